/* XXH3-64 by AVX-512: the header of xxHash once more, with 512-bit accumulators; see hash_kernels.h. */
#include "base/hash_kernels.h"

#ifdef MTH_HASH_HAVE_X86

/* Before the attributes: these headers bring their own. */
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f")
#endif

#define XXH_VECTOR 3 /* XXH_AVX512 */
#include "base/xxh3.h"

uint64_t mth_hash64_avx512(const void *data, size_t n_bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, n_bytes, seed);
}

void mth_hash64_add_avx512(void *state, const void *data, size_t n_bytes)
{
    (void)XXH3_64bits_update(state, data, n_bytes);
}

void mth_hash64_blocks_avx512(uint64_t accumulators[8], const uint8_t *secret, const uint8_t *data,
                              size_t n_blocks)
{
    __m512i sums = _mm512_loadu_si512((const void *)accumulators),
            end = _mm512_loadu_si512((const void *)(secret + MTH_XXH_END)),
            prime = _mm512_set1_epi32((int)XXH_PRIME32_1);
    for (; n_blocks > 0; n_blocks--) {
        for (size_t i = 0; i < MTH_XXH_STRIPES; i++, data += MTH_XXH_STRIPE_BYTES) {
            __builtin_prefetch(data + MTH_XXH_AHEAD);
            __m512i x = _mm512_loadu_si512((const void *)data);
            __m512i key = _mm512_xor_si512(x, _mm512_loadu_si512((const void *)(secret + i * MTH_XXH_STEP)));
            __m512i product = _mm512_mul_epu32(key, _mm512_srli_epi64(key, 32));
            sums = _mm512_add_epi64(sums, _mm512_shuffle_epi32(x, (_MM_PERM_ENUM)_MM_SHUFFLE(1, 0, 3, 2)));
            sums = _mm512_add_epi64(sums, product);
        }
        sums = _mm512_xor_si512(_mm512_xor_si512(sums, _mm512_srli_epi64(sums, 47)), end);
        __m512i upper = _mm512_mul_epu32(_mm512_srli_epi64(sums, 32), prime);
        sums = _mm512_add_epi64(_mm512_mul_epu32(sums, prime), _mm512_slli_epi64(upper, 32));
    }
    _mm512_storeu_si512((void *)accumulators, sums);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int mth_hash_avx512_is_not_here;
#endif
