/*
 * Steps of rANS in AVX2 that kernels share: 32 states of 16 bits as two planes, the high bytes and the low ones.
 *
 * A file that includes this has MTH_RANS_HAVE_X86.
 */
#ifndef MTH_CODECS_RANS_AVX2_H
#define MTH_CODECS_RANS_AVX2_H

#include "codecs/rans/rans_shuffles.h"

#include <immintrin.h>
#include <string.h>

#define RANS_TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define RANS_AVX2        static inline __attribute__((always_inline)) RANS_TARGET_AVX2

/* 16 bytes in both halves. */
RANS_AVX2 __m256i mth_rans_twice(const uint8_t *p)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)p));
}

/*
 * Products are below 2^16. Unpacking takes 8 bytes from each half of a register and packing puts them back there, so that
 * lanes come out where they were.
 */
RANS_AVX2 void mth_rans_multiply_add(__m256i f, __m256i h, __m256i r, __m256i *high, __m256i *low)
{
    __m256i zero = _mm256_setzero_si256(), byte = _mm256_set1_epi16(255);
    __m256i a = _mm256_mullo_epi16(_mm256_unpacklo_epi8(f, zero), _mm256_unpacklo_epi8(h, zero));
    __m256i b = _mm256_mullo_epi16(_mm256_unpackhi_epi8(f, zero), _mm256_unpackhi_epi8(h, zero));
    a = _mm256_add_epi16(a, _mm256_unpacklo_epi8(r, zero));
    b = _mm256_add_epi16(b, _mm256_unpackhi_epi8(r, zero));
    *high = _mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8));
    *low = _mm256_packus_epi16(_mm256_and_si256(a, byte), _mm256_and_si256(b, byte));
}

/*
 * Two runs of 8 bytes as one register: shuffles for, or data of, 16 lanes. Nothing is said about alignment: these are instructions of
 * their own, and a copy to a variable would go by way of the stack.
 */
RANS_AVX2 __m128i mth_rans_join(const void *first, const void *second)
{
    return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(_mm_loadl_epi64(first)), second));
}

RANS_AVX2 void mth_rans_store_high(uint8_t *p, __m128i v)
{
    _mm_storeh_pi((void *)p, _mm_castsi128_ps(v));
}

RANS_AVX2 const uint8_t *mth_rans_refill(__m256i *high, __m256i *low, const uint8_t *in)
{
    __m256i empty = _mm256_cmpeq_epi8(*high, _mm256_setzero_si256());
    uint32_t bits = (uint32_t)_mm256_movemask_epi8(empty);
    const uint8_t *in1 = in + __builtin_popcount(bits & 0xff);
    const uint8_t *in2 = in + __builtin_popcount(bits & 0xffff);
    const uint8_t *in3 = in + __builtin_popcount(bits & 0xffffff);
    const struct mth_rans_shuffles *s = &mth_rans_expand;
    __m128i front = _mm_shuffle_epi8(mth_rans_join(in, in1),
                                     mth_rans_join(&s->first[bits & 0xff], &s->second[bits >> 8 & 0xff]));
    __m128i back = _mm_shuffle_epi8(mth_rans_join(in2, in3),
                                    mth_rans_join(&s->first[bits >> 16 & 0xff], &s->second[bits >> 24]));
    __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(front), back, 1);
    *high = _mm256_or_si256(*high, _mm256_and_si256(*low, empty));
    *low = _mm256_or_si256(_mm256_andnot_si256(empty, *low), bytes);
    return in + __builtin_popcount(bits);
}

/* The lanes in full lose a byte. Each group of 8 lanes goes out as 8 bytes, what counts at their end; the next group covers the rest. */
RANS_AVX2 uint8_t *mth_rans_emit(__m256i full, __m256i *high, __m256i *low, uint8_t *at)
{
    uint32_t bits = (uint32_t)_mm256_movemask_epi8(full);
    uint8_t *at2 = at - __builtin_popcount(bits >> 24);
    uint8_t *at1 = at - __builtin_popcount(bits >> 16);
    uint8_t *at0 = at - __builtin_popcount(bits >> 8);
    const struct mth_rans_shuffles *s = &mth_rans_compress;
    __m128i front = _mm_shuffle_epi8(_mm256_castsi256_si128(*low),
                                     mth_rans_join(&s->first[bits & 0xff], &s->second[bits >> 8 & 0xff]));
    __m128i back = _mm_shuffle_epi8(_mm256_extracti128_si256(*low, 1),
                                    mth_rans_join(&s->first[bits >> 16 & 0xff], &s->second[bits >> 24]));
    mth_rans_store_high(at - 8, back);
    _mm_storel_epi64((void *)(at2 - 8), back);
    mth_rans_store_high(at1 - 8, front);
    _mm_storel_epi64((void *)(at0 - 8), front);
    *low = _mm256_blendv_epi8(*low, *high, full);
    *high = _mm256_andnot_si256(full, *high);
    return at - __builtin_popcount(bits);
}

/* Lanes that have to lose a byte before a symbol of so many slots. */
RANS_AVX2 __m256i mth_rans_full(__m256i freq, __m256i high)
{
    return _mm256_cmpeq_epi8(_mm256_max_epu8(high, freq), high);
}

/* Quotients less one, and rests, of 16-bit x. */
RANS_AVX2 __m256i mth_rans_divide_words(__m256i x, __m256i f, __m256i reciprocal, __m256i *rest)
{
    __m256i q = _mm256_mulhi_epu16(x, reciprocal);
    __m256i r = _mm256_sub_epi16(x, _mm256_mullo_epi16(q, f));
    *rest = _mm256_min_epu16(r, _mm256_sub_epi16(r, f));
    return _mm256_add_epi16(q, _mm256_cmpeq_epi16(r, *rest));
}

/*
 * With R = floor(2^16 / f), or 2^16 - 1 for f = 1, x R / 2^16 lies above x / f - 1, so that its floor is the quotient or one
 * less; for f = 256, whose byte f_high is 1, it is exact. In the latter case the rest is f too large; r - f wraps around in the former, so the smaller one is right.
 */
RANS_AVX2 void mth_rans_divide_wide(__m256i h, __m256i l, __m256i f, __m256i f_high, __m256i reciprocal_low,
                                    __m256i reciprocal_high, __m256i *q, __m256i *rest)
{
    __m256i rest_a, rest_b;
    __m256i a = mth_rans_divide_words(_mm256_unpacklo_epi8(l, h), _mm256_unpacklo_epi8(f, f_high),
                                      _mm256_unpacklo_epi8(reciprocal_low, reciprocal_high), &rest_a);
    __m256i b = mth_rans_divide_words(_mm256_unpackhi_epi8(l, h), _mm256_unpackhi_epi8(f, f_high),
                                      _mm256_unpackhi_epi8(reciprocal_low, reciprocal_high), &rest_b);
    *q = _mm256_add_epi8(_mm256_packus_epi16(a, b), _mm256_set1_epi8(1));
    *rest = _mm256_packus_epi16(rest_a, rest_b);
}

/* Of frequencies below 256. */
RANS_AVX2 void mth_rans_divide(__m256i h, __m256i l, __m256i f, __m256i reciprocal_low,
                               __m256i reciprocal_high, __m256i *q, __m256i *rest)
{
    mth_rans_divide_wide(h, l, f, _mm256_setzero_si256(), reciprocal_low, reciprocal_high, q, rest);
}

#undef RANS_AVX2

#endif
