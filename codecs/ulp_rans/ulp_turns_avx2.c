/* Turns in AVX2: a word of 32 elements a vector; see ulp_turn_kernels.h. */
#include "codecs/ulp_rans/ulp_turn_kernels.h"

#ifdef MTH_RANS_HAVE_X86

#include "codecs/ulp_rans/ulp_avx2.h"

#define TURN_TARGET           RANS_TARGET_AVX2
#define TURN_GATHER(x, mask)  _pext_u32(x, mask)
#define TURN_SCATTER(x, mask) _pdep_u32(x, mask)
#define TURN_COUNT(mask)      ((unsigned)_mm_popcnt_u32(mask))
#include "codecs/ulp_rans/ulp_turn_bits.h"

enum { WORD = MTH_ULP_GROUP };

ULP_INLINE uint32_t mask_of(vec bytes)
{
    return (uint32_t)_mm256_movemask_epi8(bytes);
}

RANS_TARGET_AVX2 static size_t find(const uint8_t *directions, size_t n_words, uint32_t *moved,
                                    uint32_t *down)
{
    vec distance = _mm256_set1_epi8(MTH_ULP_DISTANCE), zero = _mm256_setzero_si256();
    size_t n = 0;
    for (size_t j = 0; j < n_words; j++, directions += WORD) {
        vec of = load(directions);
        uint32_t has_moved = ~mask_of(_mm256_cmpeq_epi8(_mm256_and_si256(of, distance), zero));
        moved[j] = has_moved;
        down[j] = mask_of(of) & has_moved;
        n += TURN_COUNT(has_moved);
    }
    return n;
}

RANS_TARGET_AVX2 static void contexts(const uint8_t bins[MTH_ULP_CONTEXTS], const uint8_t *directions,
                                      const uint8_t *exponents, size_t n_words, uint8_t *out)
{
    static const uint8_t first_of_distance[MTH_ULP_CONTEXTS] = {0, 0, MTH_ULP_TURN_BINS,
                                                                2 * MTH_ULP_TURN_BINS};
    vec distance_bits = _mm256_set1_epi8(MTH_ULP_DISTANCE);
    for (size_t j = 0; j < n_words; j++) {
        vec distance = _mm256_and_si256(load(directions + j * WORD), distance_bits);
        store(out + j * WORD, _mm256_add_epi8(look_up(first_of_distance, distance),
                                              look_up(bins, load(exponents + j * WORD))));
    }
}

ULP_INLINE void count_one(vec of, uint32_t turns, size_t c, uint32_t sums[2])
{
    uint32_t is = mask_of(_mm256_cmpeq_epi8(of, _mm256_set1_epi8((char)c)));
    sums[0] += TURN_COUNT(is);
    sums[1] += TURN_COUNT(is & turns);
}

/* Most elements that moved at all moved far: what is near is often not there. */
RANS_TARGET_AVX2 static void count(const uint8_t *from, const uint32_t *masks, size_t n_words,
                                   uint32_t counts[MTH_ULP_CONTEXTS][2])
{
    enum { FIRST_FAR = 2 * MTH_ULP_TURN_BINS };
    uint32_t sums[MTH_ULP_CONTEXTS][2] = {{0}};
    for (size_t j = 0; j < n_words; j++) {
        vec of = load(from + j * WORD);
        for (size_t c = FIRST_FAR; c < MTH_ULP_TURN_CONTEXTS; c++)
            count_one(of, masks[j], c, sums[c]);
        /* Contexts are below 16, so that signed comparisons do. */
        vec near = _mm256_cmpgt_epi8(_mm256_set1_epi8(FIRST_FAR), of);
        if (_mm256_testz_si256(near, near))
            continue;
        for (size_t c = 0; c < FIRST_FAR; c++)
            count_one(of, masks[j], c, sums[c]);
    }
    memcpy(counts, sums, sizeof sums);
}

const struct mth_ulp_turn_kernels mth_ulp_turn_avx2 = {
    .find = find,
    .contexts = contexts,
    .count = count,
    .turned = turned,
    .plain = plain,
    .join = join,
};

#else
typedef int mth_ulp_turns_avx2_is_not_here;
#endif
