/* What the AVX2 kernels of ulp-rans share. A file that includes this has MTH_RANS_HAVE_X86. */
#ifndef MTH_CODECS_ULP_AVX2_H
#define MTH_CODECS_ULP_AVX2_H

#include "codecs/rans/rans_avx2.h"
#include "codecs/ulp_rans/ulp_kernels.h"

#define ULP_INLINE static inline __attribute__((always_inline)) RANS_TARGET_AVX2

typedef __m256i vec;

enum { VEC_BYTES = 32, MOST_VECS = MTH_ULP_MAX_FLAG_LANES / VEC_BYTES };

ULP_INLINE vec load(const uint8_t *p)
{
    return _mm256_loadu_si256((const void *)p);
}

ULP_INLINE void store(uint8_t *p, vec v)
{
    _mm256_storeu_si256((void *)p, v);
}

ULP_INLINE __m128i load8(const uint8_t *p)
{
    return _mm_loadl_epi64((const void *)p);
}

ULP_INLINE __m128i load16(const uint8_t *p)
{
    return _mm_loadu_si128((const void *)p);
}

/* Words of two vectors as bytes in their order. */
ULP_INLINE vec pack_words(vec a, vec b)
{
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xd8);
}

/* The same of words that are signed. */
ULP_INLINE vec pack_signed_words(vec a, vec b)
{
    return _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xd8);
}

/* Bits of a mask to bytes, 255 for those that are set. */
ULP_INLINE vec spread(uint32_t mask)
{
    vec bytes = _mm256_shuffle_epi8(
        _mm256_set1_epi32((int)mask),
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
    vec bits = _mm256_set1_epi64x((long long)0x8040201008040201);
    return _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bits), bits);
}

/* ---- elements ---- */

/* Floats as ordered integers, integers as they are. */
ULP_INLINE vec order16(vec x, bool is_float)
{
    vec top = _mm256_set1_epi16((short)0x8000);
    return is_float ? _mm256_xor_si256(x, _mm256_or_si256(_mm256_srai_epi16(x, 15), top)) : x;
}

/* Bits that are set, as they are added to addresses: of an int the sign would be carried on. */
ULP_INLINE size_t count_of(uint32_t mask)
{
    return (unsigned)__builtin_popcount(mask);
}

/* 16-bit steps of the lanes in the lowest byte of a mask, and room behind them. Returns where they end. */
ULP_INLINE uint8_t *gather16(const struct mth_ulp_shuffles *shuffles, __m128i steps, uint32_t mask,
                             uint8_t *out)
{
    mask &= 0xff;
    _mm_storeu_si128((void *)out, _mm_shuffle_epi8(steps, load16(shuffles->gather16[mask])));
    return out + 2 * count_of(mask);
}

/* The same of bytes. */
ULP_INLINE uint8_t *gather8(const struct mth_ulp_shuffles *shuffles, __m128i bytes, uint32_t mask,
                            uint8_t *out)
{
    mask &= 0xff;
    _mm_storel_epi64((void *)out, _mm_shuffle_epi8(bytes, load8(shuffles->gather8[mask])));
    return out + count_of(mask);
}

/* ---- states ---- */

/* What a lane's table says, for the context of each. */
ULP_INLINE vec look_up(const uint8_t table[MTH_ULP_CONTEXTS], vec context)
{
    return _mm256_shuffle_epi8(mth_rans_twice(table), context);
}

/* A symbol of freq slots is taken out of each lane but those in `keep`; rank is the slot less the symbol's first. */
ULP_INLINE const uint8_t *decode_lanes(vec freq, vec rank, vec keep, vec *high, vec *low, const uint8_t *in)
{
    /* A freq of 0 leaves the slot where it was, and no high byte. */
    vec kept = _mm256_and_si256(*high, keep);
    mth_rans_multiply_add(freq, *high, rank, high, low);
    *high = _mm256_or_si256(*high, kept);
    return mth_rans_refill(high, low, in);
}

ULP_INLINE uint8_t *encode_lanes(vec freq, vec start, vec reciprocal_low, vec reciprocal_high, vec keep,
                                 vec *high, vec *low, uint8_t *at)
{
    vec full = _mm256_andnot_si256(keep, mth_rans_full(freq, *high)), rest, quotient;
    at = mth_rans_emit(full, high, low, at);
    /* 256 slots, written 0, are a frequency like others, whose high byte is 1. */
    mth_rans_divide_wide(*high, *low, freq, _mm256_sub_epi8(_mm256_setzero_si256(), keep), reciprocal_low,
                         reciprocal_high, &quotient, &rest);
    *high = quotient;
    *low = _mm256_add_epi8(start, rest);
    return at;
}

/* Symbols; see ulp_kernels.h. */
size_t mth_ulp_avx2_decode_symbols(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                   const uint8_t *from, size_t n_steps, uint8_t *symbols);
size_t mth_ulp_avx2_encode_symbols(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                   const uint8_t *from_end, const uint8_t *symbols_end, size_t n_steps);

#endif
