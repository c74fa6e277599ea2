/*
 * The tables of ulp-rans: how often elements change, and which symbols their steps are, each by context.
 *
 * A context is how far the exponent of the base's element lies below `top`, 0 .. 15; integers have one context. All tables have
 * 256 slots. A frequency of 256 is written 0 in bytes: such a symbol costs nothing and leaves the state as it is.
 */
#ifndef MTH_CODECS_ULP_TABLE_H
#define MTH_CODECS_ULP_TABLE_H

#include "base/varint.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MTH_ULP_CONTEXTS = 16,
    MTH_ULP_SYMBOLS = 16,
    MTH_ULP_SLOTS = 256,
    /* Symbols: 8 steps of their own, 7 buckets of 2^1 .. 2^7 steps, and the escape with all bits. */
    MTH_ULP_DIRECT = 8,
    MTH_ULP_ESCAPE = 15,
    MTH_ULP_MAX_SHIFT = 63,
    /* The most bytes a table takes: top, contexts, and for each a frequency, a shift, symbols, and their frequencies. */
    MTH_ULP_TABLE_BYTES = 4 + MTH_ULP_CONTEXTS * (1 + 1 + 2 + MTH_ULP_SYMBOLS),
    /* Packed: 27 bits, and for each context up to 17, 13 and 4, and 15 frequencies of at most 15; a word more for the writer. */
    MTH_ULP_PACKED_TABLE_BYTES = (27 + MTH_ULP_CONTEXTS * (17 + 13 + 4 + 15 * 15)) / 8 + 1 + 8
};

struct mth_ulp_table {
    uint16_t top;
    uint16_t used; /* bit c: elements of context c change */
    /* By context. */
    alignas(32) uint8_t changed[MTH_ULP_CONTEXTS]; /* slots of "changed", the first ones; 0: it never does */
    uint8_t shift[MTH_ULP_CONTEXTS];               /* low bits of a step that are stored as they are */
    /* By symbol, then context. */
    uint8_t freq[MTH_ULP_SYMBOLS][MTH_ULP_CONTEXTS];
    uint8_t start[MTH_ULP_SYMBOLS][MTH_ULP_CONTEXTS];
    /*
     * What kernels look up. bound[k]: the last slot in front of symbol k, with its top bit flipped so that signed comparisons
     * order it; 255, flipped, where the context has no symbol k or above. k from 1 on.
     */
    uint8_t bound[MTH_ULP_SYMBOLS][MTH_ULP_CONTEXTS];
    /* floor(65536 / f), at most 65535, as planes: of both frequencies of a flag, and of a symbol's. */
    uint8_t changed_reciprocal[2][MTH_ULP_CONTEXTS];
    uint8_t same_reciprocal[2][MTH_ULP_CONTEXTS];
    uint8_t symbol_reciprocal[2][MTH_ULP_SYMBOLS][MTH_ULP_CONTEXTS];
    /*
     * What makes a quotient by f of any state x below 256 f, exactly: with shift = floor(log2 f) and
     * m = floor(2^(17 + shift) / f) - 65536, at most 65535,
     *     floor(x / f) = floor((x + floor(x m / 65536) + 1) / 2) >> shift
     * Of flags by place: the context, and 16 more where the element changed. flag_others: 256 - f; flag_divide_by: f mod 256, and 256 times
     * the shift.
     */
    uint8_t flag_others[2][MTH_ULP_CONTEXTS];
    alignas(64) uint16_t flag_multiplier[2 * MTH_ULP_CONTEXTS];
    uint16_t flag_divide_by[2 * MTH_ULP_CONTEXTS];
    uint8_t symbol_multiplier[2][MTH_ULP_SYMBOLS][MTH_ULP_CONTEXTS]; /* as planes */
    uint8_t symbol_shift[MTH_ULP_SYMBOLS][MTH_ULP_CONTEXTS];
    size_t n_symbols; /* the highest one in use, and one more */
};

/* What a table is made of: elements by context, and of those that changed, symbols. */
struct mth_ulp_counts {
    uint64_t elements[MTH_ULP_CONTEXTS]; /* may be estimated */
    uint32_t symbols[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS];
};

/* The best table of counts; top and shift are set before. */
void mth_ulp_table_build(struct mth_ulp_table *table, const struct mth_ulp_counts *counts);

/* One of flags alone, by their frequencies, 0 where they never are set. */
void mth_ulp_table_of_flags(struct mth_ulp_table *table, const uint8_t changed[MTH_ULP_CONTEXTS]);

/* Returns the bytes written to out[MTH_ULP_TABLE_BYTES]. */
size_t mth_ulp_table_write(const struct mth_ulp_table *table, bool has_shifts, uint8_t *out);

/* The same in fewer bytes, where most symbols of a context are its first ones: to out[MTH_ULP_PACKED_TABLE_BYTES]. */
size_t mth_ulp_table_pack(const struct mth_ulp_table *table, bool has_shifts, uint8_t *out);

/* Read hostile bytes. False where they are no table. */
bool mth_ulp_table_read(struct mth_reader *reader, bool has_shifts, struct mth_ulp_table *table);
bool mth_ulp_table_unpack(struct mth_reader *reader, bool has_shifts, struct mth_ulp_table *table);

#endif
