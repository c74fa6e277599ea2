/* The table of a stream: which values have ranks, and which pairs of ranks each tier has; spec.md describes its bytes. */
#ifndef MTH_CODECS_TIERS_TABLE_H
#define MTH_CODECS_TIERS_TABLE_H

#include "base/bytes.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MTH_TIERS_RANKS = 15, /* values that have one; 15 stands for any other value */
    MTH_TIERS_NO_RANK = 15,
    MTH_TIERS_PAIRS = 31, /* that a tier codes */
    MTH_TIERS_REST = 31,  /* the code of all other pairs */
    MTH_TIERS_REST_PAIR = 0xff,
    MTH_TIERS_WIRE_BYTES = 2 * MTH_TIERS_RANKS
};

/* A pair is a byte: the rank of one value in its lower half, of the other one in its upper half. */
struct mth_tiers_tier {
    alignas(16) uint8_t pair[32]; /* of each code; MTH_TIERS_REST_PAIR where the code has none */
    /* By the lower rank a: upper ranks below end[a] have a code, offset[a] + rank (modulo 256). */
    uint8_t end[16], offset[16];
};

struct mth_tiers_table {
    alignas(16) uint8_t value[16];  /* of each rank; that of "no rank" is the first */
    struct mth_tiers_tier tiers[2]; /* the second one codes what the first one leaves */
    bool has_flags; /* the first tier is one bit a pair, and has no pair but that of rank 0 twice */
    /*
     * For encoders. The position of a byte v is min(v - base mod 256, 15): values that have ranks lie within 15 of each other,
     * but for one, far, which is as good as base when there is none.
     */
    uint8_t position_rank[16];
    uint8_t base, far, far_rank;
    bool has_far;
};

/*
 * The table that codes counted bytes best, among those whose values lie as above.
 *
 * Shape     counts: of each byte value; n_counted: their sum, 1 .. 2^15; mode: a value that occurs most
 * Cost      about a microsecond
 */
void mth_tiers_table_build(const uint32_t counts[256], uint32_t n_counted, uint8_t mode,
                           struct mth_tiers_table *table);

/* Bytes that n bytes take with the table, without heads and padding, when they are spread as the counted ones. */
uint64_t mth_tiers_table_price(const struct mth_tiers_table *table, const uint32_t counts[256],
                               uint32_t n_counted, uint64_t n);

void mth_tiers_table_write(const struct mth_tiers_table *table, uint8_t wire[MTH_TIERS_WIRE_BYTES]);

/* Everything that decoders need. Errors: MTH_ERR_CORRUPT. */
int mth_tiers_table_read(const uint8_t wire[MTH_TIERS_WIRE_BYTES], bool has_flags,
                         struct mth_tiers_table *table);

#endif
