/* What the AVX2 kernels of ulp-rans share. A file that includes this has MTH_RANS_HAVE_X86. */
#ifndef MTH_CODECS_ULP_AVX2_H
#define MTH_CODECS_ULP_AVX2_H

#include "codecs/rans/rans_avx2.h"

#define ULP_INLINE static inline __attribute__((always_inline)) RANS_TARGET_AVX2

typedef __m256i vec;

enum { VEC_BYTES = 32 };

ULP_INLINE vec load(const uint8_t *p)
{
    return _mm256_loadu_si256((const void *)p);
}

ULP_INLINE void store(uint8_t *p, vec v)
{
    _mm256_storeu_si256((void *)p, v);
}

/* Words of two vectors as bytes in their order. */
ULP_INLINE vec pack_words(vec a, vec b)
{
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xd8);
}

/* 255 in the bytes whose bit is set. */

/* Bits of a mask to bytes, 255 for those that are set. */
ULP_INLINE vec spread(uint32_t mask)
{
    vec bytes = _mm256_shuffle_epi8(
        _mm256_set1_epi32((int)mask),
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
    vec bits = _mm256_set1_epi64x((long long)0x8040201008040201);
    return _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bits), bits);
}

#endif
