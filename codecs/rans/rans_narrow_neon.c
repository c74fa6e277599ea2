/* The narrow mode in NEON: 16 lanes a vector. What the template asks for; see rans_narrow_template.h. */
#include "codecs/rans/rans_narrow.h"

#ifdef MTH_RANS_HAVE_NEON

#include "base/cpu.h"
#include "codecs/rans/rans_neon.h"

#define RANS_NAME  mth_rans_narrow_neon
#define RANS_TEXT  "neon"
#define RANS_NEEDS MTH_CPU_NEON
#define RANS_TARGET
#define VEC_INLINE static inline __attribute__((always_inline))

typedef uint8x16_t vec;
#define VEC_BYTES 16

#define v_multiply_add mth_rans_neon_multiply_add
#define v_refill       mth_rans_neon_refill
#define v_divide       mth_rans_neon_divide

VEC_INLINE vec v_load(const uint8_t *p)
{
    return vld1q_u8(p);
}

VEC_INLINE void v_store(uint8_t *p, vec v)
{
    vst1q_u8(p, v);
}

VEC_INLINE vec v_add(vec a, vec b)
{
    return vaddq_u8(a, b);
}

VEC_INLINE vec v_sub(vec a, vec b)
{
    return vsubq_u8(a, b);
}

VEC_INLINE vec v_fill(uint8_t byte)
{
    return vdupq_n_u8(byte);
}

VEC_INLINE vec v_lookup(const uint8_t *table, vec i, int n)
{
    if (n == 16)
        return vqtbl1q_u8(vld1q_u8(table), i);
    return vqtbl2q_u8(vld1q_u8_x2(table), i);
}

/* The cell's first symbol, and one more for every bound that the slot lies behind. */
VEC_INLINE vec v_symbols(const struct mth_rans_narrow_table *table, vec slots, int n_bounds)
{
    vec cells = vshrq_n_u8(slots, 4);
    vec symbols = vqtbl1q_u8(vld1q_u8(table->cell_first), cells);
    for (int k = 0; k < n_bounds; k++) {
        vec bounds = vqtbl1q_u8(vld1q_u8(table->cell_bound[k]), cells);
        symbols = vsubq_u8(symbols, vcgtq_s8(vreinterpretq_s8_u8(slots), vreinterpretq_s8_u8(bounds)));
    }
    return symbols;
}

VEC_INLINE vec v_positions(const struct mth_rans_narrow_table *table, vec bytes)
{
    vec positions = vminq_u8(v_sub(bytes, v_fill(table->base)), v_fill(table->escape_position));
    return vbslq_u8(vceqq_u8(bytes, v_fill(table->far)), v_fill(table->far_position), positions);
}

VEC_INLINE uint8_t *v_emit(vec freq, vec *high, vec *low, uint8_t *at)
{
    return mth_rans_neon_emit(vcgeq_u8(*high, freq), high, low, at);
}

VEC_INLINE uint64_t v_equal_bits(vec a, vec b)
{
    return mth_rans_neon_bits(vceqq_u8(a, b));
}

#include "codecs/rans/rans_narrow_template.h"

#else
typedef int mth_rans_narrow_neon_is_not_here;
#endif
