/* Lanes of a few groups as lists: what plain C goes through instead of the bits of masks. */
#ifndef MTH_CODECS_ULP_PLACES_H
#define MTH_CODECS_ULP_PLACES_H

#include "base/lane.h"
#include "codecs/rans/rans_shuffles.h"
#include "codecs/ulp_rans/ulp_kernels.h"

/*
 * Groups whose lanes can be told by a byte; the most places there are, and what is written behind them.
 *
 * One list for all of them ends by chance once, not once a group; those who read it may go on to a multiple of MTH_ULP_AT_ONCE,
 * where they find lane 0.
 */
enum {
    MTH_ULP_STRETCH = 256 / MTH_ULP_GROUP,
    MTH_ULP_AT_ONCE = 4,
    MTH_ULP_FEW_PLACES = 32, /* of a stretch: gone to one by one, rather than through all lanes */
    MTH_ULP_PLACES_ROOM = MTH_ULP_STRETCH * MTH_ULP_GROUP + 8
};

/*
 * The lanes that changed.
 *
 * Shape     masks[n_groups], MTH_ULP_STRETCH at most; places[MTH_ULP_PLACES_ROOM]
 * Returns   how many there are
 */
MTH_ALWAYS_INLINE size_t mth_ulp_places(const struct mth_ulp_shuffles *shuffles, const uint32_t *masks,
                                        size_t n_groups, uint8_t *restrict places)
{
    const uint64_t ones = 0x0101010101010101;
    size_t n = 0;
    for (size_t g = 0; g < n_groups; g++) {
        uint32_t mask = masks[g];
        /* How many bits each byte has, and those below it. */
        uint32_t sums = mask - (mask >> 1 & 0x55555555);
        sums = (sums & 0x33333333) + (sums >> 2 & 0x33333333);
        sums = ((sums + (sums >> 4)) & 0x0f0f0f0f) * 0x01010101;
        /* What a table has behind a byte's bits carries only to what is behind them, too. */
        for (size_t i = 0; i < 4; i++) {
            uint64_t first = ones * (g * MTH_ULP_GROUP + 8 * i);
            uint8_t *at = places + n + (i ? sums >> (8 * i - 8) & 0xff : 0);
            mth_lane_store64(at, mth_lane_load64(shuffles->gather8[mask >> 8 * i & 0xff]) + first);
        }
        n += sums >> 24;
    }
    mth_lane_store32(places + n, 0);
    return n;
}

/* Lanes below 128 that have something in common. */
enum { MTH_ULP_LIST_GROUPS = 4, MTH_ULP_LIST_LANES = MTH_ULP_LIST_GROUPS * MTH_ULP_GROUP };

struct mth_ulp_list {
    uint8_t room[8], lanes[MTH_ULP_LIST_LANES]; /* filled from the end */
};

static inline uint8_t *mth_ulp_list_end(struct mth_ulp_list *list)
{
    return list->lanes + MTH_ULP_LIST_LANES;
}

/*
 * The lanes of a group that are set, in front of those that a list has from `at` on.
 *
 * Shape     is_set[MTH_ULP_GROUP], each 0 or 1; first: the number of the first of these lanes
 * Returns   where the list begins now
 */
MTH_ALWAYS_INLINE uint8_t *mth_ulp_list_group(const uint8_t *is_set, size_t first, uint8_t *at)
{
    const uint64_t ones = 0x0101010101010101;
    for (size_t i = MTH_ULP_GROUP; i > 0; i -= 8) {
        uint64_t flags = mth_lane_load64(is_set + i - 8);
        unsigned mask = (unsigned)(flags * 0x0102040810204080u >> 56), n = (unsigned)(flags * ones >> 56);
        /* In front of lanes the table has 128, from which nothing carries. */
        mth_lane_store64(at - 8, mth_lane_load64(mth_rans_compress.first[mask]) + ones * (first + i - 8));
        at -= n;
    }
    return at;
}

#endif
