/* What flags and symbols in plain C share, to decode and to encode; see ulp_scalar.h. */
#ifndef MTH_CODECS_ULP_SCALAR_STATES_H
#define MTH_CODECS_ULP_SCALAR_STATES_H

#include "codecs/rans/rans_scalar.h"
#include "codecs/ulp_rans/ulp_places.h"
#include "codecs/ulp_rans/ulp_scalar.h"

#include <string.h>

/*
 * A group at once: arithmetic on words that compilers make vectors of. Bytes go out, or come in, one by one, from and to few
 * lanes: those of some groups stand in a list first, so that no branch asks for each of them, or for each group.
 */

/* By lane. */
struct states {
    uint16_t of[MTH_RANS_LANES_ROOM];
};

static inline void load_states(const struct mth_rans_lanes *lanes, struct states *states)
{
    memset(states, 0, sizeof *states);
    for (size_t i = 0; i < lanes->n_lanes; i++)
        states->of[i] = (uint16_t)(lanes->high[i] << 8 | lanes->low[i]);
}

static inline void store_states(struct mth_rans_lanes *lanes, const struct states *states)
{
    for (size_t i = 0; i < lanes->n_lanes; i++) {
        uint16_t x = states->of[i];
        lanes->low[i] = (uint8_t)x;
        lanes->high[i] = (uint8_t)(x >> 8);
    }
}

/*
 * What is known of elements is looked up for two neighbours at once. A place is a context, and a bit above it that says whether the
 * element changed, where that is known.
 */
enum { CONTEXT_BITS = 4, PLACES = 2 << CONTEXT_BITS };

/* Groups whose words are looked up before any is needed: a vector that is loaded right behind the stores of its parts waits for them. */
enum { AHEAD = 4, WORD_PLACES = 8 };

/* The places of a group as numbers of pairs, from eight bytes four. */
static inline void pair_places(const uint8_t *contexts, uint32_t mask, uint16_t numbers[MTH_ULP_GROUP / 2])
{
    for (size_t i = 0; i < MTH_ULP_GROUP; i += WORD_PLACES, numbers += WORD_PLACES / 2) {
        uint64_t changed = mth_ulp_flags_of(mask >> i & 0xff) << CONTEXT_BITS;
        uint64_t places = mth_lane_load64(contexts + i) | changed;
        uint64_t both = (places & 0x001f001f001f001f) | (places >> 3 & 0x03e003e003e003e0);
        numbers[0] = (uint16_t)both;
        numbers[1] = (uint16_t)(both >> 16);
        numbers[2] = (uint16_t)(both >> 32);
        numbers[3] = (uint16_t)(both >> 48);
    }
}

#endif
