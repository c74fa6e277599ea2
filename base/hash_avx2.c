/* XXH3-64 by AVX2: the header of xxHash once more, with 256-bit accumulators; see hash_kernels.h. */
#include "base/hash_kernels.h"

#ifdef MTH_HASH_HAVE_X86

/* Before the attributes: these headers bring their own. */
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

#define XXH_VECTOR 2 /* XXH_AVX2 */
#include "base/xxh3.h"

uint64_t mth_hash64_avx2(const void *data, size_t n_bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, n_bytes, seed);
}

void mth_hash64_add_avx2(void *state, const void *data, size_t n_bytes)
{
    (void)XXH3_64bits_update(state, data, n_bytes);
}

static inline __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const void *)p);
}

static inline __m256i accumulate(__m256i sums, __m256i x, __m256i secret)
{
    __m256i key = _mm256_xor_si256(x, secret);
    __m256i product = _mm256_mul_epu32(key, _mm256_srli_epi64(key, 32));
    sums = _mm256_add_epi64(sums, _mm256_shuffle_epi32(x, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm256_add_epi64(sums, product);
}

static inline __m256i scramble(__m256i sums, __m256i secret)
{
    __m256i prime = _mm256_set1_epi32((int)XXH_PRIME32_1);
    sums = _mm256_xor_si256(_mm256_xor_si256(sums, _mm256_srli_epi64(sums, 47)), secret);
    __m256i upper = _mm256_mul_epu32(_mm256_srli_epi64(sums, 32), prime);
    return _mm256_add_epi64(_mm256_mul_epu32(sums, prime), _mm256_slli_epi64(upper, 32));
}

void mth_hash64_blocks_avx2(uint64_t accumulators[8], const uint8_t *secret, const uint8_t *data,
                            size_t n_blocks)
{
    enum { HALF = MTH_XXH_STRIPE_BYTES / 2 };
    uint8_t *bytes = (uint8_t *)accumulators;
    __m256i low = load(bytes), high = load(bytes + HALF);
    for (; n_blocks > 0; n_blocks--) {
        for (size_t i = 0; i < MTH_XXH_STRIPES; i++, data += MTH_XXH_STRIPE_BYTES) {
            const uint8_t *at = secret + i * MTH_XXH_STEP;
            __builtin_prefetch(data + MTH_XXH_AHEAD);
            low = accumulate(low, load(data), load(at));
            high = accumulate(high, load(data + HALF), load(at + HALF));
        }
        low = scramble(low, load(secret + MTH_XXH_END));
        high = scramble(high, load(secret + MTH_XXH_END + HALF));
    }
    _mm256_storeu_si256((void *)bytes, low);
    _mm256_storeu_si256((void *)(bytes + HALF), high);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int mth_hash_avx2_is_not_here;
#endif
