/* Counting symbols in plain C; see ulp_count.h. */
#include "codecs/ulp_rans/ulp_count.h"

#include "base/lane.h"

#include <string.h>

/* Four sums take turns, so that equal neighbours do not wait for each other. */
enum { TURNS = 4, AT_ONCE = 8 };

struct sums {
    uint32_t of[TURNS][MTH_ULP_PLACES];
};

static inline void count_word(struct sums *sums, uint64_t places)
{
    for (size_t k = 0; k < AT_ONCE; k++, places >>= 8)
        sums->of[k % TURNS][places & 255]++;
}

static void add_sums(const struct sums *sums, uint32_t counts[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS])
{
    for (size_t k = 0; k < MTH_ULP_PLACES; k++)
        counts[k / MTH_ULP_SYMBOLS][k % MTH_ULP_SYMBOLS] +=
            sums->of[0][k] + sums->of[1][k] + sums->of[2][k] + sums->of[3][k];
}

void mth_ulp_portable_count(const uint8_t *contexts, const uint8_t *symbols, size_t n,
                            uint32_t counts[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS])
{
    struct sums sums = {{{0}}};
    size_t i = 0;
    for (; n - i >= AT_ONCE; i += AT_ONCE)
        count_word(&sums,
                   mth_lane_load64(contexts + i) << MTH_ULP_SYMBOL_BITS | mth_lane_load64(symbols + i));
    for (; i < n; i++)
        sums.of[0][contexts[i] * MTH_ULP_SYMBOLS + symbols[i]]++;
    add_sums(&sums, counts);
}

/* Of two neighbours at once: half as many counters to go through. */
void mth_ulp_portable_count_contexts(const uint8_t *contexts, size_t n, uint32_t counts[MTH_ULP_CONTEXTS])
{
    enum { PAIRS = AT_ONCE / 2 };
    uint32_t pairs[PAIRS][MTH_ULP_PLACES] = {{0}};
    size_t i = 0;
    for (; n - i >= AT_ONCE; i += AT_ONCE) {
        uint64_t word = mth_lane_load64(contexts + i), both = word | word >> 4;
        for (size_t k = 0; k < PAIRS; k++)
            pairs[k][both >> (16 * k) & 0xff]++;
    }
    for (; i < n; i++)
        counts[contexts[i]]++;
    for (size_t p = 0; p < MTH_ULP_PLACES; p++) {
        uint32_t n_here = pairs[0][p] + pairs[1][p] + pairs[2][p] + pairs[3][p];
        counts[p % MTH_ULP_CONTEXTS] += n_here;
        counts[p / MTH_ULP_CONTEXTS] += n_here;
    }
}

void mth_ulp_count_places(const uint8_t *places, size_t n, uint32_t counts[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS])
{
    struct sums sums = {{{0}}};
    size_t i = 0;
    for (; n - i >= AT_ONCE; i += AT_ONCE)
        count_word(&sums, mth_lane_load64(places + i));
    for (; i < n; i++)
        sums.of[0][places[i]]++;
    add_sums(&sums, counts);
}
