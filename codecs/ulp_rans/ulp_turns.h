/*
 * Signs given the direction of the step before: where an older checkpoint is at hand too, an element that moved between it and the
 * base mostly moves on. Whether it *turns* is coded by the kernels of flags, given how far it moved and the base's exponent; an
 * element that did not move keeps a plain sign. See spec.md, "Turns".
 */
#ifndef MTH_CODECS_ULP_TURNS_H
#define MTH_CODECS_ULP_TURNS_H

#include "codecs/ulp_rans/ulp_stream.h"

enum {
    MTH_ULP_TURN_BINS = 5,      /* of exponents, at most */
    MTH_ULP_TURN_CONTEXTS = 15, /* 3 distances, 5 bins each; one more is for what fills up the last group */
    MTH_ULP_MANY_TURNS = 32768, /* from so many on they have many lanes */
    /* Bins, which contexts turn, and a frequency for each. */
    MTH_ULP_TURN_TABLE_BYTES = 4 + MTH_ULP_TURN_CONTEXTS
};

/* The changed elements of a block, and which of them moved before; in buffers of the state. */
struct mth_ulp_turns {
    size_t n_changed, n;    /* elements; those that moved before, and whose signs are turns */
    size_t n_kept;          /* so many of the first ones count as if they had not moved */
    uint8_t *directions;    /* n_changed: MTH_ULP_DOWN, and the distance, 0 .. 3 */
    uint8_t *contexts;      /* n, and what fills up the last group */
    uint32_t *moved, *down; /* bit i of all: the i-th changed element did; down: only where it moved */
    uint32_t *masks;        /* bit i of all: the i-th of them turns */
    uint16_t bins;          /* bit c: with context c a bin begins; bit 0 is not set */
    struct mth_ulp_table table;
};

/* With directions from zero hardly any element is still: as many signs as states carry for nothing stay plain. */
static inline size_t mth_ulp_kept_signs(size_t flag_lanes, size_t symbol_lanes)
{
    return 8 * (flag_lanes + symbol_lanes + MTH_ULP_GROUP);
}

static inline size_t mth_ulp_turn_lanes(size_t n)
{
    return n >= MTH_ULP_MANY_TURNS ? MTH_ULP_MAX_FLAG_LANES : MTH_ULP_GROUP;
}

/*
 * The directions of changed elements, whose masks and contexts are the state's; steps are overwritten.
 *
 * Shape     base, older: of the block, NULL: all zeros; n_elems of it; n_kept: 0 unless directions are from zero
 */
void mth_ulp_turns_begin(struct mth_ulp_turns *turns, struct mth_ulp_state *state,
                         const struct mth_ulp_format *format, const uint8_t *base, const uint8_t *older,
                         size_t n_elems, size_t n_changed, size_t n_kept);

/*
 * An encoder's, where there is no older checkpoint: whether it looks, in a sample, as if signs depended on which side of zero the base
 * lies, enough to be worth the time. The state's masks are those of the block.
 */
bool mth_ulp_turns_promise(const struct mth_ulp_state *state, const struct mth_ulp_format *format,
                           const uint8_t *src, const uint8_t *base, size_t n_groups, size_t n_changed);

/*
 * An encoder's: whether turns take fewer bytes than signs. If so their bits are taken out of signs, and the others move up.
 *
 * Shape     signs: (n_changed + 7) / 8 bytes, then those of the n_changed - n others
 */
bool mth_ulp_turns_take(struct mth_ulp_turns *turns, struct mth_ulp_state *state, uint8_t *signs);
/* Returns the bytes written to out[MTH_ULP_TURN_TABLE_BYTES]. */
size_t mth_ulp_turns_put_table(const struct mth_ulp_turns *turns, uint8_t *out);
bool mth_ulp_turns_encode(const struct mth_ulp_turns *turns, const struct mth_ulp_kernels *kernels,
                          struct mth_rans_writer *writer);

/* A decoder's: the table, hostile. Contexts follow from it. */
bool mth_ulp_turns_read_table(struct mth_ulp_turns *turns, struct mth_ulp_state *state,
                              struct mth_reader *reader);
bool mth_ulp_turns_decode(struct mth_ulp_turns *turns, const struct mth_ulp_kernels *kernels,
                          struct mth_rans_reader *reader);
/* Signs of all changed elements from those that are plain, (n_changed - n + 7) / 8 bytes, and turns. */
void mth_ulp_turns_join(const struct mth_ulp_turns *turns, const struct mth_ulp_kernels *kernels,
                        const uint8_t *plain, uint8_t *signs);

#endif
