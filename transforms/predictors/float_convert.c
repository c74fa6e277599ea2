/* Floats of one width as those of another; see float_convert.h. */
#include "transforms/predictors/float_convert.h"

#include "transforms/predictors/float_bits.h"

static bool is_convertible(enum mth_dtype dtype)
{
    return dtype == MTH_DTYPE_F32 || dtype == MTH_DTYPE_BF16 || dtype == MTH_DTYPE_F16;
}

bool mth_float_converts(enum mth_dtype from, enum mth_dtype to)
{
    return from != to && is_convertible(from) && is_convertible(to);
}

/* Every value of f16 is one of fp32; those that are denormal here are not there. */
static uint32_t from_f16(uint16_t x)
{
    enum { BIAS_DIFFERENCE = 127 - 15, WIDER = 23 - 10, MOST = 31, INFINITE = 255 };
    uint32_t sign = (uint32_t)(x & 0x8000) << 16, exponent = x >> 10 & MOST, mantissa = x & 0x3ff;
    if (exponent == MOST)
        return sign | (uint32_t)INFINITE << 23 | mantissa << WIDER;
    if (exponent == 0) {
        if (mantissa == 0)
            return sign;
        exponent = 1;
        for (; !(mantissa & 0x400); exponent--)
            mantissa <<= 1;
        mantissa &= 0x3ff;
    }
    return sign | (exponent + BIAS_DIFFERENCE) << 23 | mantissa << WIDER;
}

static uint32_t load(enum mth_dtype from, const uint8_t *src, size_t i)
{
    if (from == MTH_DTYPE_F32)
        return mth_lane_load32(src + 4 * i);
    uint16_t x = mth_lane_load16(src + 2 * i);
    return from == MTH_DTYPE_BF16 ? (uint32_t)x << 16 : from_f16(x);
}

void mth_float_convert(enum mth_dtype from, enum mth_dtype to, size_t n, const uint8_t *src, uint8_t *dst)
{
    if (to == MTH_DTYPE_F32) {
        for (size_t i = 0; i < n; i++)
            mth_lane_store32(dst + 4 * i, load(from, src, i));
    } else if (to == MTH_DTYPE_BF16) {
        for (size_t i = 0; i < n; i++)
            mth_lane_store16(dst + 2 * i, mth_bf16_nearest(load(from, src, i)));
    } else {
        for (size_t i = 0; i < n; i++)
            mth_lane_store16(dst + 2 * i, mth_f16_nearest(load(from, src, i)));
    }
}
