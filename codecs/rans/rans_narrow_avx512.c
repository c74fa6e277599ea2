/* The narrow mode in AVX-512 with VBMI and VBMI2: 64 lanes a vector. See rans_narrow_template.h. */
#include "codecs/rans/rans_narrow.h"

/* Tests define RANS_EMULATED and the intrinsics in plain C, to run this file where there is no such processor. */
#if defined(MTH_RANS_HAVE_X86) || defined(RANS_EMULATED)

#include "base/cpu.h"

#ifndef RANS_EMULATED
#include <immintrin.h>
#define RANS_NAME mth_rans_narrow_avx512
#define RANS_TARGET                                                                             \
    __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi," \
                          "avx512vbmi2")))
#define RANS_32_LANES mth_rans_narrow_avx2
#endif

#define RANS_TEXT  "avx512"
#define RANS_NEEDS (MTH_CPU_AVX512 | MTH_CPU_VBMI)
#define VEC_INLINE static inline __attribute__((always_inline)) RANS_TARGET

typedef __m512i vec;
#define VEC_BYTES 64

VEC_INLINE vec v_load(const uint8_t *p)
{
    return _mm512_loadu_si512((const void *)p);
}

VEC_INLINE void v_store(uint8_t *p, vec v)
{
    _mm512_storeu_si512((void *)p, v);
}

VEC_INLINE vec v_add(vec a, vec b)
{
    return _mm512_add_epi8(a, b);
}

VEC_INLINE vec v_sub(vec a, vec b)
{
    return _mm512_sub_epi8(a, b);
}

VEC_INLINE vec v_fill(uint8_t byte)
{
    return _mm512_set1_epi8((char)byte);
}

VEC_INLINE vec v_lookup(const uint8_t *table, vec i, int n)
{
    (void)n;
    return _mm512_permutexvar_epi8(i, _mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)table)));
}

/* A permute of two registers looks at seven bits; the eighth picks one of two. */
VEC_INLINE vec v_symbols(const struct mth_rans_narrow_table *table, vec slots, int n_bounds)
{
    const uint8_t *symbol = table->symbol;
    (void)n_bounds;
    vec below = _mm512_permutex2var_epi8(v_load(symbol), slots, v_load(symbol + 64));
    vec above = _mm512_permutex2var_epi8(v_load(symbol + 128), slots, v_load(symbol + 192));
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(slots), below, above);
}

VEC_INLINE vec v_positions(const struct mth_rans_narrow_table *table, vec bytes)
{
    vec positions = _mm512_min_epu8(v_sub(bytes, v_fill(table->base)), v_fill(table->escape_position));
    return _mm512_mask_blend_epi8(_mm512_cmpeq_epi8_mask(bytes, v_fill(table->far)), positions,
                                  v_fill(table->far_position));
}

VEC_INLINE void v_multiply_add(vec f, vec h, vec r, vec *high, vec *low)
{
    vec zero = _mm512_setzero_si512(), byte = _mm512_set1_epi16(255);
    vec a = _mm512_mullo_epi16(_mm512_unpacklo_epi8(f, zero), _mm512_unpacklo_epi8(h, zero));
    vec b = _mm512_mullo_epi16(_mm512_unpackhi_epi8(f, zero), _mm512_unpackhi_epi8(h, zero));
    a = _mm512_add_epi16(a, _mm512_unpacklo_epi8(r, zero));
    b = _mm512_add_epi16(b, _mm512_unpackhi_epi8(r, zero));
    *high = _mm512_packus_epi16(_mm512_srli_epi16(a, 8), _mm512_srli_epi16(b, 8));
    *low = _mm512_packus_epi16(_mm512_and_si512(a, byte), _mm512_and_si512(b, byte));
}

/* Expanded from a register: from memory, some processors take it apart byte by byte. */
VEC_INLINE const uint8_t *v_refill(vec *high, vec *low, const uint8_t *in)
{
    __mmask64 empty = _mm512_testn_epi8_mask(*high, *high);
    *high = _mm512_mask_blend_epi8(empty, *high, *low);
    *low = _mm512_mask_expand_epi8(*low, empty, v_load(in));
    return in + __builtin_popcountll((uint64_t)empty);
}

/* What counts is moved to the end of the 64 bytes that go out; the next vector covers the rest. */
VEC_INLINE uint8_t *v_emit(vec freq, vec *high, vec *low, uint8_t *at)
{
    static const uint8_t ascending[64] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                          16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
                                          32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
                                          48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    __mmask64 full = _mm512_cmpge_epu8_mask(*high, freq);
    int n = __builtin_popcountll((uint64_t)full);
    vec bytes = _mm512_maskz_compress_epi8(full, *low);
    v_store(at - 64, _mm512_permutexvar_epi8(v_add(v_load(ascending), v_fill((uint8_t)n)), bytes));
    *low = _mm512_mask_blend_epi8(full, *low, *high);
    *high = _mm512_mask_blend_epi8(full, *high, _mm512_setzero_si512());
    return at - n;
}

/* As in rans_narrow_avx2.c: the quotient, or one less and a rest that is f too large. */
VEC_INLINE vec divide_words(vec x, vec f, vec reciprocal, vec *rest)
{
    vec q = _mm512_mulhi_epu16(x, reciprocal);
    vec r = _mm512_sub_epi16(x, _mm512_mullo_epi16(q, f));
    *rest = _mm512_min_epu16(r, _mm512_sub_epi16(r, f));
    return _mm512_mask_add_epi16(q, _mm512_cmpneq_epi16_mask(r, *rest), q, _mm512_set1_epi16(1));
}

VEC_INLINE void v_divide(vec h, vec l, vec f, vec reciprocal_low, vec reciprocal_high, vec *q, vec *rest)
{
    vec zero = _mm512_setzero_si512(), rest_a, rest_b;
    vec a = divide_words(_mm512_unpacklo_epi8(l, h), _mm512_unpacklo_epi8(f, zero),
                         _mm512_unpacklo_epi8(reciprocal_low, reciprocal_high), &rest_a);
    vec b = divide_words(_mm512_unpackhi_epi8(l, h), _mm512_unpackhi_epi8(f, zero),
                         _mm512_unpackhi_epi8(reciprocal_low, reciprocal_high), &rest_b);
    *q = _mm512_packus_epi16(a, b);
    *rest = _mm512_packus_epi16(rest_a, rest_b);
}

VEC_INLINE uint64_t v_equal_bits(vec a, vec b)
{
    return (uint64_t)_mm512_cmpeq_epi8_mask(a, b);
}

#include "codecs/rans/rans_narrow_template.h"

#else
typedef int mth_rans_narrow_avx512_is_not_here;
#endif
