/* The narrow mode in AVX2: 32 lanes a vector. What the template asks for; see rans_narrow_template.h. */
#include "codecs/rans/rans_narrow.h"

#ifdef MTH_RANS_HAVE_X86

#include "base/cpu.h"
#include "codecs/rans/rans_avx2.h"

#define RANS_NAME   mth_rans_narrow_avx2
#define RANS_TEXT   "avx2"
#define RANS_NEEDS  MTH_CPU_AVX2
#define RANS_TARGET RANS_TARGET_AVX2
#define VEC_INLINE  static inline __attribute__((always_inline)) RANS_TARGET

typedef __m256i vec;
#define VEC_BYTES 32

#define v_multiply_add mth_rans_multiply_add
#define v_refill       mth_rans_refill
#define v_divide       mth_rans_divide

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

/* A shuffle looks at four bits of the index; bit 4, moved to where a blend looks, picks one of two. */
VEC_INLINE vec v_lookup(const uint8_t *table, vec i, int n)
{
    vec first = _mm256_shuffle_epi8(mth_rans_twice(table), i);
    if (n == 16)
        return first;
    return _mm256_blendv_epi8(first, _mm256_shuffle_epi8(mth_rans_twice(table + 16), i),
                              _mm256_slli_epi16(i, 3));
}

/*
 * The cell's first symbol, and one more for every bound that the slot lies behind. Bytes are compared as signed ones, which is
 * right inside a cell: its slots have the same sign.
 */
VEC_INLINE vec v_symbols(const struct mth_rans_narrow_table *table, vec slots, int n_bounds)
{
    vec cells = _mm256_and_si256(_mm256_srli_epi16(slots, 4), _mm256_set1_epi8(15));
    vec symbols = _mm256_shuffle_epi8(mth_rans_twice(table->cell_first), cells);
    for (int k = 0; k < n_bounds; k++)
        symbols = _mm256_sub_epi8(
            symbols,
            _mm256_cmpgt_epi8(slots, _mm256_shuffle_epi8(mth_rans_twice(table->cell_bound[k]), cells)));
    return symbols;
}

VEC_INLINE vec v_positions(const struct mth_rans_narrow_table *table, vec bytes)
{
    vec positions = _mm256_min_epu8(v_sub(bytes, v_fill(table->base)), v_fill(table->escape_position));
    return _mm256_blendv_epi8(positions, v_fill(table->far_position),
                              _mm256_cmpeq_epi8(bytes, v_fill(table->far)));
}

VEC_INLINE uint8_t *v_emit(vec freq, vec *high, vec *low, uint8_t *at)
{
    return mth_rans_emit(mth_rans_full(freq, *high), high, low, at);
}

VEC_INLINE uint64_t v_equal_bits(vec a, vec b)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b));
}

#include "codecs/rans/rans_narrow_template.h"

#else
typedef int mth_rans_narrow_avx2_is_not_here;
#endif
