/*
 * The kernels of turns: masks, contexts and counts of a block's changed elements, and the bits that go from signs to turns and back.
 * What they share; see ulp_turns.h.
 */
#ifndef MTH_CODECS_ULP_TURN_KERNELS_H
#define MTH_CODECS_ULP_TURN_KERNELS_H

#include "codecs/ulp_rans/ulp_turns.h"

struct mth_ulp_turn_kernels {
    /* Directions of n words as masks: which moved, and which of those down. Returns how many moved. */
    size_t (*find)(const uint8_t *directions, size_t n_words, uint32_t *moved, uint32_t *down);
    /*
     * Contexts of turns, of elements that moved; of others, anything.
     *
     * Shape     bins: of each context of an element, ascending by one at most; exponents: these contexts; out[32 n]
     */
    void (*contexts)(const uint8_t bins[MTH_ULP_CONTEXTS], const uint8_t *directions,
                     const uint8_t *exponents, size_t n_words, uint8_t *out);
    /* How many elements of n words have each context, and how many of those turn; but of the last one, which fills words up. */
    void (*count)(const uint8_t *contexts, const uint32_t *masks, size_t n_words,
                  uint32_t counts[MTH_ULP_CONTEXTS][2]);
    /*
     * Turns from the signs of those that moved, as bytes at the masks of turns; the signs of all others, side by side, in place; and both
     * back to the signs of all.
     */
    void (*turned)(const struct mth_ulp_turns *turns, const uint8_t *signs);
    void (*plain)(const struct mth_ulp_turns *turns, uint8_t *signs);
    void (*join)(const struct mth_ulp_turns *turns, const uint8_t *plain, uint8_t *signs);
};

/* Words of 32 elements. */
static inline size_t mth_ulp_turn_words(size_t n)
{
    return (n + MTH_ULP_GROUP - 1) / MTH_ULP_GROUP;
}

#endif
