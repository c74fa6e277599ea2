/*
 * The table of the narrow mode: up to 32 symbols over 256 slots; spec.md describes its bytes.
 *
 * A symbol is a byte value, or the escape, which stands for all others and has the value `marker`, the smallest one that
 * is no symbol itself. Symbols lie in slot order, where a large one is followed by a small one; so at most a few begin
 * inside any sixteen slots, and a decoder with byte shuffles finds a slot's symbol by comparing with those few.
 */
#ifndef MTH_CODECS_RANS_NARROW_TABLE_H
#define MTH_CODECS_RANS_NARROW_TABLE_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MTH_RANS_SLOTS = 256,
    MTH_RANS_NARROW_SYMBOLS = 32, /* the escape among them */
    MTH_RANS_CELLS = 16,          /* of 16 slots each */
    MTH_RANS_CELL_SLOTS = 16,
    /* The escape's frequency, the first value; for each symbol its frequency, before most of them no gap. */
    MTH_RANS_NARROW_TABLE_BYTES = 2 + 3 * MTH_RANS_NARROW_SYMBOLS
};

struct mth_rans_narrow_table {
    /* By symbol, in slot order; slots of a symbol are start .. start + freq - 1. Unused entries are zero. */
    uint8_t freq[MTH_RANS_NARROW_SYMBOLS];
    uint8_t start[MTH_RANS_NARROW_SYMBOLS];
    uint8_t value[MTH_RANS_NARROW_SYMBOLS];

    /* For decoders: the symbol of every slot, and the same by cells: the symbol of a cell's first slot, and the last
     * slots (as signed bytes) before its inner boundaries, 127 where there is none. */
    uint8_t symbol[MTH_RANS_SLOTS];
    uint8_t cell_first[MTH_RANS_CELLS];
    uint8_t cell_bound[MTH_RANS_CELL_SLOTS - 1][MTH_RANS_CELLS];
    uint32_t n_bounds; /* of the cell with most of them */

    /*
     * For encoders: what belongs to a byte, by position. A byte's position is its distance from base, at most
     * escape_position; that of the byte far is far_position. reciprocal is floor(2^16 / freq), or 2^16 - 1, in two
     * planes.
     */
    uint8_t base, escape_position, far, far_position;
    uint8_t n_positions; /* 16 or 32 */
    uint8_t position_freq[MTH_RANS_NARROW_SYMBOLS];
    uint8_t position_start[MTH_RANS_NARROW_SYMBOLS];
    uint8_t position_reciprocal_low[MTH_RANS_NARROW_SYMBOLS];
    uint8_t position_reciprocal_high[MTH_RANS_NARROW_SYMBOLS];

    uint8_t n_symbols;
    uint8_t escape_freq; /* 0: there is no escape */
    uint8_t marker;
    bool encodes; /* the values allow positions; always so in tables that were built */
};

/*
 * The best table for counts: its frequencies, and which values are worth a symbol, give the smallest size among tables
 * whose values lie in a window of 29 or are one value elsewhere.
 *
 * Requires  exact: the counts are of every byte that will be coded, else of a sample; then there is an escape
 * Errors    false when fewer than two symbols are left (a constant stream)
 * Cost      some thousand cycles
 * Exact     integers only: the same table on every machine
 */
bool mth_rans_narrow_build(const uint32_t counts[256], bool exact, struct mth_rans_narrow_table *table);

/* The same in two steps, for who looks at its price first: what is known of the table before it is filled. */
struct mth_rans_narrow_plan {
    size_t n_direct;
    uint8_t values[MTH_RANS_NARROW_SYMBOLS];
    uint16_t freq[MTH_RANS_NARROW_SYMBOLS];
    uint32_t escape_freq; /* 0: there is no escape */
    uint64_t cost;        /* as mth_rans_narrow_cost tells of the same counts */
};
bool mth_rans_narrow_plan(const uint32_t counts[256], bool exact, struct mth_rans_narrow_plan *plan);
size_t
mth_rans_narrow_plan_bytes(const struct mth_rans_narrow_plan *plan); /* that mth_rans_narrow_write will use */
void mth_rans_narrow_fill(const struct mth_rans_narrow_plan *plan, struct mth_rans_narrow_table *table);

/* What coding takes, in bits times 2^24, escaped bytes included; UINT64_MAX when a value can not be coded. */
uint64_t mth_rans_narrow_cost(const struct mth_rans_narrow_table *table, const uint32_t counts[256]);

/* Shape: out has MTH_RANS_NARROW_TABLE_BYTES. Returns the bytes used. */
size_t mth_rans_narrow_write(const struct mth_rans_narrow_table *table, uint8_t *out);

/* Reads a table from hostile bytes and cuts it off the front of wire. Errors: MTH_ERR_CORRUPT. */
int mth_rans_narrow_read(struct mth_bytes *wire, struct mth_rans_narrow_table *table);

#endif
