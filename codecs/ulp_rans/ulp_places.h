/* Which lanes of a few groups changed, as a list: what plain C goes through instead of the bits of masks. */
#ifndef MTH_CODECS_ULP_PLACES_H
#define MTH_CODECS_ULP_PLACES_H

#include "base/lane.h"
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

#endif
