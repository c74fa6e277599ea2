/* The narrow mode in AVX2: 32 lanes a vector. What the template asks for; see rans_narrow_template.h. */
#include "codecs/rans/rans_narrow.h"

#ifdef MTH_RANS_HAVE_X86

#include "base/cpu.h"
#include "codecs/rans/rans_shuffles.h"

#include <immintrin.h>
#include <string.h>

#define RANS_NAME   mth_rans_narrow_avx2
#define RANS_TEXT   "avx2"
#define RANS_NEEDS  MTH_CPU_AVX2
#define RANS_TARGET __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define VEC_INLINE  static inline __attribute__((always_inline)) RANS_TARGET

typedef __m256i vec;
#define VEC_BYTES 32

VEC_INLINE vec v_load(const uint8_t *p)
{
    return _mm256_loadu_si256((const void *)p);
}

VEC_INLINE void v_store(uint8_t *p, vec v)
{
    _mm256_storeu_si256((void *)p, v);
}

VEC_INLINE vec v_add(vec a, vec b)
{
    return _mm256_add_epi8(a, b);
}

VEC_INLINE vec v_sub(vec a, vec b)
{
    return _mm256_sub_epi8(a, b);
}

VEC_INLINE vec v_fill(uint8_t byte)
{
    return _mm256_set1_epi8((char)byte);
}

/* 16 bytes in both halves. */
VEC_INLINE vec twice(const uint8_t *p)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)p));
}

/* A shuffle looks at four bits of the index; bit 4, moved to where a blend looks, picks one of two. */
VEC_INLINE vec v_lookup(const uint8_t *table, vec i, int n)
{
    vec first = _mm256_shuffle_epi8(twice(table), i);
    if (n == 16)
        return first;
    return _mm256_blendv_epi8(first, _mm256_shuffle_epi8(twice(table + 16), i), _mm256_slli_epi16(i, 3));
}

/*
 * The cell's first symbol, and one more for every bound that the slot lies behind. Bytes are compared as signed ones, which is
 * right inside a cell: its slots have the same sign.
 */
VEC_INLINE vec v_symbols(const struct mth_rans_narrow_table *table, vec slots, int n_bounds)
{
    vec cells = _mm256_and_si256(_mm256_srli_epi16(slots, 4), _mm256_set1_epi8(15));
    vec symbols = _mm256_shuffle_epi8(twice(table->cell_first), cells);
    for (int k = 0; k < n_bounds; k++)
        symbols = _mm256_sub_epi8(
            symbols, _mm256_cmpgt_epi8(slots, _mm256_shuffle_epi8(twice(table->cell_bound[k]), cells)));
    return symbols;
}

VEC_INLINE vec v_positions(const struct mth_rans_narrow_table *table, vec bytes)
{
    vec positions = _mm256_min_epu8(v_sub(bytes, v_fill(table->base)), v_fill(table->escape_position));
    return _mm256_blendv_epi8(positions, v_fill(table->far_position),
                              _mm256_cmpeq_epi8(bytes, v_fill(table->far)));
}

/*
 * Products are below 2^16. Unpacking takes 8 bytes from each half of a register and packing puts them back there, so that
 * lanes come out where they were.
 */
VEC_INLINE void v_multiply_add(vec f, vec h, vec r, vec *high, vec *low)
{
    vec zero = _mm256_setzero_si256(), byte = _mm256_set1_epi16(255);
    vec a = _mm256_mullo_epi16(_mm256_unpacklo_epi8(f, zero), _mm256_unpacklo_epi8(h, zero));
    vec b = _mm256_mullo_epi16(_mm256_unpackhi_epi8(f, zero), _mm256_unpackhi_epi8(h, zero));
    a = _mm256_add_epi16(a, _mm256_unpacklo_epi8(r, zero));
    b = _mm256_add_epi16(b, _mm256_unpackhi_epi8(r, zero));
    *high = _mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8));
    *low = _mm256_packus_epi16(_mm256_and_si256(a, byte), _mm256_and_si256(b, byte));
}

/*
 * Two runs of 8 bytes as one register: shuffles for, or data of, 16 lanes. The upper half goes by way of a double, so that
 * nothing is said about alignment; it is one load, and one store, all the same.
 */
VEC_INLINE __m128i join(const void *first, const void *second)
{
    double high;
    memcpy(&high, second, sizeof high);
    return _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(_mm_loadl_epi64(first)), &high));
}

VEC_INLINE void store_high(uint8_t *p, __m128i v)
{
    __m128d both = _mm_castsi128_pd(v);
    double high = _mm_cvtsd_f64(_mm_unpackhi_pd(both, both));
    memcpy(p, &high, sizeof high);
}

VEC_INLINE const uint8_t *v_refill(vec *high, vec *low, const uint8_t *in)
{
    vec empty = _mm256_cmpeq_epi8(*high, _mm256_setzero_si256());
    uint32_t bits = (uint32_t)_mm256_movemask_epi8(empty);
    const uint8_t *in1 = in + __builtin_popcount(bits & 0xff);
    const uint8_t *in2 = in + __builtin_popcount(bits & 0xffff);
    const uint8_t *in3 = in + __builtin_popcount(bits & 0xffffff);
    const struct mth_rans_shuffles *s = &mth_rans_expand;
    __m128i front =
        _mm_shuffle_epi8(join(in, in1), join(&s->first[bits & 0xff], &s->second[bits >> 8 & 0xff]));
    __m128i back =
        _mm_shuffle_epi8(join(in2, in3), join(&s->first[bits >> 16 & 0xff], &s->second[bits >> 24]));
    vec bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(front), back, 1);
    *high = _mm256_blendv_epi8(*high, *low, empty);
    *low = _mm256_blendv_epi8(*low, bytes, empty);
    return in + __builtin_popcount(bits);
}

/* Each group of 8 lanes goes out as 8 bytes, what counts at their end; the next group covers the rest. */
VEC_INLINE uint8_t *v_emit(vec freq, vec *high, vec *low, uint8_t *at)
{
    vec full = _mm256_cmpeq_epi8(_mm256_max_epu8(*high, freq), *high);
    uint32_t bits = (uint32_t)_mm256_movemask_epi8(full);
    uint8_t *at2 = at - __builtin_popcount(bits >> 24);
    uint8_t *at1 = at - __builtin_popcount(bits >> 16);
    uint8_t *at0 = at - __builtin_popcount(bits >> 8);
    const struct mth_rans_shuffles *s = &mth_rans_compress;
    __m128i front = _mm_shuffle_epi8(_mm256_castsi256_si128(*low),
                                     join(&s->first[bits & 0xff], &s->second[bits >> 8 & 0xff]));
    __m128i back = _mm_shuffle_epi8(_mm256_extracti128_si256(*low, 1),
                                    join(&s->first[bits >> 16 & 0xff], &s->second[bits >> 24]));
    store_high(at - 8, back);
    _mm_storel_epi64((void *)(at2 - 8), back);
    store_high(at1 - 8, front);
    _mm_storel_epi64((void *)(at0 - 8), front);
    *low = _mm256_blendv_epi8(*low, *high, full);
    *high = _mm256_andnot_si256(full, *high);
    return at - __builtin_popcount(bits);
}

/* Quotients less one, and rests, of 16-bit x. */
VEC_INLINE vec divide_words(vec x, vec f, vec reciprocal, vec *rest)
{
    vec q = _mm256_mulhi_epu16(x, reciprocal);
    vec r = _mm256_sub_epi16(x, _mm256_mullo_epi16(q, f));
    *rest = _mm256_min_epu16(r, _mm256_sub_epi16(r, f));
    return _mm256_add_epi16(q, _mm256_cmpeq_epi16(r, *rest));
}

/*
 * With R = floor(2^16 / f), or 2^16 - 1 for f = 1, x R / 2^16 lies above x / f - 1, so that its floor is the quotient or one
 * less. In the latter case the rest is f too large; r - f wraps around in the former, so the smaller one is right.
 */
VEC_INLINE void v_divide(vec h, vec l, vec f, vec reciprocal_low, vec reciprocal_high, vec *q, vec *rest)
{
    vec zero = _mm256_setzero_si256(), rest_a, rest_b;
    vec a = divide_words(_mm256_unpacklo_epi8(l, h), _mm256_unpacklo_epi8(f, zero),
                         _mm256_unpacklo_epi8(reciprocal_low, reciprocal_high), &rest_a);
    vec b = divide_words(_mm256_unpackhi_epi8(l, h), _mm256_unpackhi_epi8(f, zero),
                         _mm256_unpackhi_epi8(reciprocal_low, reciprocal_high), &rest_b);
    *q = _mm256_add_epi8(_mm256_packus_epi16(a, b), _mm256_set1_epi8(1));
    *rest = _mm256_packus_epi16(rest_a, rest_b);
}

VEC_INLINE uint64_t v_equal_bits(vec a, vec b)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b));
}

#include "codecs/rans/rans_narrow_template.h"

#else
typedef int mth_rans_narrow_avx2_is_not_here;
#endif
