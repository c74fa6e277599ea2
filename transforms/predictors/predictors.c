/* The table of predictors, and those that round; see predictor.h. */
#include "transforms/predictors/predictor.h"

#include "base/lane.h"
#include "transforms/predictors/float_bits.h"

static void bf16_nearest(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    (void)settings;
    for (size_t i = 0; i < n; i++)
        mth_lane_store16(out + 2 * i, mth_bf16_nearest(mth_lane_load32(inputs[0] + 4 * i)));
}

static void bf16_truncated(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    (void)settings;
    for (size_t i = 0; i < n; i++)
        mth_lane_store16(out + 2 * i, (uint16_t)(mth_lane_load32(inputs[0] + 4 * i) >> 16));
}

/* To nearest, ties to even; what is too large becomes infinite, a NaN quiet. */
static uint16_t to_f16(uint32_t x)
{
    enum { INFINITE = 0x7c00, QUIET = 0x7e00, F16_BIAS = 15, F32_BIAS = 127, CUT = 13 };
    uint16_t sign = (uint16_t)(x >> 16 & 0x8000);
    uint32_t magnitude = x & 0x7fffffff, exponent = magnitude >> 23, dropped = CUT;
    if (magnitude > 0x7f800000)
        return sign | QUIET;
    if (exponent >= F32_BIAS + F16_BIAS + 1)
        return sign | INFINITE;
    uint32_t significand = (magnitude & 0x7fffff) | 0x800000, result = 0;
    if (exponent <= F32_BIAS - F16_BIAS) {
        /* A denormal: the leading one is a bit like the others. */
        dropped += F32_BIAS - F16_BIAS + 1 - exponent;
        if (dropped > 25)
            return sign;
    } else {
        result = (exponent - (F32_BIAS - F16_BIAS) - 1) << 10;
    }
    result += significand >> dropped;
    uint32_t half = (uint32_t)1 << (dropped - 1), rest = significand & (half + half - 1);
    result += rest > half || (rest == half && (result & 1));
    return (uint16_t)(sign | result);
}

static void f16_nearest(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    (void)settings;
    for (size_t i = 0; i < n; i++)
        mth_lane_store16(out + 2 * i, to_f16(mth_lane_load32(inputs[0] + 4 * i)));
}

static const struct mth_predictor predictors[MTH_N_PREDICTORS] = {
    [MTH_PREDICT_SAME] = {"same", 1, 0, 0, 0, NULL},
    [MTH_PREDICT_BF16_NEAREST] = {"bf16-nearest", 1, 0, 2, 4, bf16_nearest},
    [MTH_PREDICT_BF16_TRUNCATED] = {"bf16-truncated", 1, 0, 2, 4, bf16_truncated},
    [MTH_PREDICT_F16_NEAREST] = {"f16-nearest", 1, 0, 2, 4, f16_nearest},
    [MTH_PREDICT_ADAM_V] = {"adam-v", 3, 4, 4, 4, mth_predict_adam_v},
    [MTH_PREDICT_ADAM_W] = {"adam-w", 3, 4, 4, 4, mth_predict_adam_w},
    [MTH_PREDICT_ADAM_DRIFT] = {"adam-drift", 5, 4, 4, 4, mth_predict_adam_drift},
};

const struct mth_predictor *mth_predictor_at(uint64_t number)
{
    return number > MTH_PREDICT_NOTHING && number < MTH_N_PREDICTORS ? &predictors[number] : NULL;
}
