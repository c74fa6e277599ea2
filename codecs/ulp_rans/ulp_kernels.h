/*
 * The kernels of ulp-rans, for each instruction set the same bytes.
 *
 * Elements go in groups of 32, a bit of a mask for each: has it changed? A rANS lane takes every 32nd, 64th or 128th element, as in the
 * narrow mode of `rans`, whose states and renormalisation these are (codecs/rans/rans_narrow.h); only the table is picked by
 * each element's context.
 */
#ifndef MTH_CODECS_ULP_KERNELS_H
#define MTH_CODECS_ULP_KERNELS_H

#include "codecs/rans/rans_narrow.h"
#include "codecs/ulp_rans/ulp_bits.h"
#include "codecs/ulp_rans/ulp_table.h"

#include <string.h>

enum { MTH_ULP_GROUP = 32, MTH_ULP_MAX_FLAG_LANES = MTH_RANS_LANES_ROOM };

/* Where a lane keeps its exponent. */
struct mth_ulp_format {
    unsigned lane_bits; /* 8, 16, 32 or 64 */
    unsigned mantissa_bits;
    unsigned exponent_bits; /* 0: an integer */
};

/* Shuffles by a mask of 8 lanes, for vectors: filled once for a state. */
struct mth_ulp_shuffles {
    uint8_t gather8[256][8];   /* the bytes of the mask's lanes to the front */
    uint8_t gather16[256][16]; /* the same of 16-bit lanes */
    uint8_t scatter8[256][8];  /* the first bytes to the mask's lanes; 128 or more elsewhere */
    uint8_t scatter16[256][16];
};

/* "Room behind" is this much: what vectors may read there, and overwrite. */
enum { MTH_ULP_SLACK_BYTES = 64 };

/*
 * What decoders ask for on their way: of mth_rans_reader's `ahead` a line for each group whose flags they decode, from memory to the
 * second-level cache; of the base that they merge, what lies so far in front, from there to the first.
 */
enum { MTH_ULP_AHEAD_BYTES = 64, MTH_ULP_NEAR_BYTES = 1024 };

/* A direction: how far the base lies from the older element, and whether below it. */
enum { MTH_ULP_DISTANCE = 3, MTH_ULP_DOWN = 0x80 };

void mth_ulp_shuffles_fill(struct mth_ulp_shuffles *shuffles);

struct mth_ulp_turn_kernels;

/* What an encoder wants to know of groups of elements: where all of it goes, with room behind steps and what changed. */
struct mth_ulp_view {
    uint32_t *masks;
    uint8_t *steps;    /* of changed elements */
    uint8_t *contexts; /* of all */
    uint8_t *changed;  /* contexts of changed elements */
    size_t n_changed;  /* of those, */
    size_t n_active;   /* and in so many groups */
};

struct mth_ulp_kernels {
    const char *name;
    unsigned needs; /* enum mth_cpu_feature */
    /* The contexts of n groups of base elements. Shape: base: 32 n lanes; out[32 n]. */
    void (*contexts)(const struct mth_ulp_format *format, const uint8_t *base, size_t n_groups, unsigned top,
                     uint8_t *out);
    /*
     * Steps from base to src, as differences of ordered integers modulo 2^lane_bits.
     *
     * Shape     src, base: 32 n lanes; masks[n]; steps: those of changed elements, in native lanes, and room behind them
     * Returns   how many changed
     */
    size_t (*analyze)(const struct mth_ulp_format *format, const struct mth_ulp_shuffles *shuffles,
                      const uint8_t *src, const uint8_t *base, size_t n_groups, uint32_t *masks,
                      uint8_t *steps);
    /* The inverse: dst from base, masks and steps. steps: room behind them. Returns how many were used. */
    size_t (*merge)(const struct mth_ulp_format *format, const struct mth_ulp_shuffles *shuffles,
                    const uint8_t *base, size_t n_groups, const uint32_t *masks, const uint8_t *steps,
                    uint8_t *dst);
    /*
     * How elements got from an older checkpoint to the base: the steps between, 3 for more, and MTH_ULP_DOWN where they went down.
     * 2^(lane_bits - 1) steps are down.
     *
     * Shape     base, older: 32 n lanes; out[32 n]
     */
    void (*directions)(const struct mth_ulp_format *format, const uint8_t *base, const uint8_t *older,
                       size_t n_groups, uint8_t *out);
    /* The contexts of changed elements, in order; out: room behind them. Returns how many. */
    size_t (*collect)(const struct mth_ulp_shuffles *shuffles, const uint8_t *contexts, size_t n_groups,
                      const uint32_t *masks, uint8_t *out);
    /*
     * analyze, contexts and collect at once, for the formats that it knows; NULL: there is no such kernel. top: below
     * 2^exponent_bits.
     *
     * Returns   how many groups were done
     */
    size_t (*view)(const struct mth_ulp_format *format, const struct mth_ulp_shuffles *shuffles, unsigned top,
                   const uint8_t *src, const uint8_t *base, size_t n_groups, struct mth_ulp_view *out);
    /*
     * Flags of n groups, the first of which is group number `first` of its stream; decoders go forward, encoders backward.
     * Each does as many groups as it can without looking for the end of its bytes at every one, and returns how many;
     * mth_ulp_decode_flags and _encode_flags do the rest. An encoder begins at the last group.
     */
    size_t (*decode_flags)(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                           const uint8_t *contexts, size_t first, size_t n_groups, uint32_t *masks);
    size_t (*encode_flags)(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                           const uint8_t *contexts, size_t first, size_t n_groups, const uint32_t *masks);
    /* The same for symbols of changed elements, in whole steps of all lanes. Requires 32 or 64 lanes. */
    size_t (*decode_symbols)(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                             const uint8_t *contexts, size_t n_steps, uint8_t *symbols);
    size_t (*encode_symbols)(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                             const uint8_t *contexts_end, const uint8_t *symbols_end, size_t n_steps);
    /*
     * Groups of 32 steps of 16 bits, without shifts, to symbols, signs and bits, and back.
     *
     * Shape     steps: 32 n lanes; symbols[32 n]; signs[4 n]
     * Returns   how many groups were done: the room may be too near its end for more, or the bits at theirs
     */
    size_t (*split16)(const uint8_t *steps, size_t n_groups, uint8_t *symbols, uint8_t *signs,
                      struct mth_ulp_bit_writer *extra);
    size_t (*join16)(const uint8_t *symbols, const uint8_t *signs, size_t n_groups,
                     struct mth_ulp_bit_reader *extra, uint8_t *steps);
    /*
     * The same of steps of 32 bits, whose lowest shift[context] bits are stored; see ulp_long.h.
     *
     * Shape     contexts[32 n]
     * Returns   how many groups were done; joining also ends at one that stands for steps that there are not
     */
    size_t (*split32)(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *steps, const uint8_t *contexts,
                      size_t n_groups, uint8_t *symbols, uint8_t *signs, struct mth_ulp_bit_writer *extra);
    size_t (*join32)(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *symbols, const uint8_t *signs,
                     const uint8_t *contexts, size_t n_groups, struct mth_ulp_bit_reader *extra,
                     uint8_t *steps);
    /*
     * Adds how many changed elements have each context and symbol.
     *
     * Shape     contexts[n], symbols[n]: below 16 both
     */
    void (*count)(const uint8_t *contexts, const uint8_t *symbols, size_t n,
                  uint32_t counts[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS]);
    /* Adds how many elements have each context. Shape: contexts[n]: below 16 */
    void (*count_contexts)(const uint8_t *contexts, size_t n, uint32_t counts[MTH_ULP_CONTEXTS]);
    const struct mth_ulp_turn_kernels *turns; /* see ulp_turn_kernels.h */
};

const struct mth_ulp_kernels *mth_ulp_kernels_for(unsigned features);
/* All that were built, portable first, then NULL. */
const struct mth_ulp_kernels *mth_ulp_kernels_at(size_t i);

/* Errors: false when the input, or the room, ran out. */
bool mth_ulp_decode_flags(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                          struct mth_rans_reader *reader, const uint8_t *contexts, size_t first,
                          size_t n_groups, uint32_t *masks);
bool mth_ulp_encode_flags(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                          struct mth_rans_writer *writer, const uint8_t *contexts, size_t first,
                          size_t n_groups, const uint32_t *masks);
/* n symbols, the whole stream. A context that never changes is an error of the caller. */
bool mth_ulp_decode_symbols(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                            struct mth_rans_reader *reader, const uint8_t *contexts, size_t n,
                            uint8_t *symbols);
bool mth_ulp_encode_symbols(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                            struct mth_rans_writer *writer, const uint8_t *contexts, const uint8_t *symbols,
                            size_t n);

extern const struct mth_ulp_kernels mth_ulp_portable;
extern const struct mth_ulp_turn_kernels mth_ulp_turn_portable;
#ifdef MTH_RANS_HAVE_X86
extern const struct mth_ulp_kernels mth_ulp_avx2;
extern const struct mth_ulp_kernels mth_ulp_avx512;
extern const struct mth_ulp_turn_kernels mth_ulp_turn_avx2;
extern const struct mth_ulp_turn_kernels mth_ulp_turn_avx512;
size_t mth_ulp_avx2_view(const struct mth_ulp_format *format, const struct mth_ulp_shuffles *shuffles,
                         unsigned top, const uint8_t *src, const uint8_t *base, size_t n_groups,
                         struct mth_ulp_view *out);
size_t mth_ulp_avx512_view(const struct mth_ulp_format *format, const struct mth_ulp_shuffles *shuffles,
                           unsigned top, const uint8_t *src, const uint8_t *base, size_t n_groups,
                           struct mth_ulp_view *out);
void mth_ulp_avx512_directions(const struct mth_ulp_format *format, const uint8_t *base, const uint8_t *older,
                               size_t n_groups, uint8_t *out);
#endif

#endif
