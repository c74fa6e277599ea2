/* The narrow mode in AVX-512 with VBMI and VBMI2: 64 lanes a vector. See rans_narrow_template.h. */
#include "codecs/rans/rans_narrow.h"

/* Tests define RANS_EMULATED and the intrinsics in plain C, to run this file where there is no such processor. */
#if defined(MTH_RANS_HAVE_X86) || defined(RANS_EMULATED)

#include "base/cpu.h"
#include "codecs/rans/rans_avx512.h"

#ifndef RANS_EMULATED
#define RANS_NAME     mth_rans_narrow_avx512
#define RANS_32_LANES mth_rans_narrow_avx2
#endif

#define RANS_TARGET RANS_TARGET_AVX512
#define RANS_TEXT   "avx512"
#define RANS_NEEDS  (MTH_CPU_AVX512 | MTH_CPU_VBMI)
#define VEC_INLINE  static inline __attribute__((always_inline)) RANS_TARGET

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
    mth_rans_512_multiply_add(f, h, r, high, low);
}

VEC_INLINE const uint8_t *v_refill(vec *high, vec *low, const uint8_t *in)
{
    return mth_rans_512_refill(high, low, in);
}

VEC_INLINE uint8_t *v_emit(vec freq, vec *high, vec *low, uint8_t *at)
{
    return mth_rans_512_emit(_mm512_cmpge_epu8_mask(*high, freq), high, low, at);
}

VEC_INLINE void v_divide(vec h, vec l, vec f, vec reciprocal_low, vec reciprocal_high, vec *q, vec *rest)
{
    mth_rans_512_divide(h, l, f, reciprocal_low, reciprocal_high, q, rest);
}

VEC_INLINE uint64_t v_equal_bits(vec a, vec b)
{
    return (uint64_t)_mm512_cmpeq_epi8_mask(a, b);
}

#include "codecs/rans/rans_narrow_template.h"

#else
typedef int mth_rans_narrow_avx512_is_not_here;
#endif
