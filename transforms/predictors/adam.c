/* Predictors that redo a step of Adam or AdamW; see predictor.h. */
#include "transforms/predictors/adam.h"
#include "transforms/predictors/predictor.h"

#include <math.h>

/*
 * v after a step, from v before and m before and after: beta2 * v + (1 - beta2) * g * g.
 *
 * Settings  1 - beta1; beta2; 1 - beta2; the scale of 16-bit gradients, 0 where they were none
 * Inputs    v0, m0, m1
 */
void mth_predict_adam_v(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    float weight = mth_float_of(settings[0]), decay = mth_float_of(settings[1]),
          share = mth_float_of(settings[2]), scale = mth_float_of(settings[3]);
    for (size_t i = 0; i < n; i++) {
        float v0 = mth_float_of(mth_lane_load32(inputs[0] + 4 * i));
        float m0 = mth_float_of(mth_lane_load32(inputs[1] + 4 * i));
        uint32_t m1 = mth_lane_load32(inputs[2] + 4 * i);
        double wide = mth_adam_gradient(m0, mth_float_of(m1), weight);
        float gradient = (float)wide;
        if (scale != 0) {
            float scaled = mth_adam_scaled(mth_adam_gradient16(wide, scale), scale);
            gradient = mth_bits_of(mth_adam_m(m0, scaled, weight)) == m1 ? scaled : gradient;
        }
        float v1 = mth_fma(share * gradient, gradient, v0 * decay);
        mth_lane_store32(out + 4 * i, mth_bits_of(v1));
    }
}

/*
 * Weights after a step, from those before and m and v after: w * (1 - lr * decay) - step * m / (sqrt(v) / bias + eps).
 *
 * Settings  1 - lr * decay; -step; bias; eps
 * Inputs    w0, m1, v1
 */
void mth_predict_adam_w(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    float decay = mth_float_of(settings[0]), step = mth_float_of(settings[1]),
          bias = mth_float_of(settings[2]), eps = mth_float_of(settings[3]);
    for (size_t i = 0; i < n; i++) {
        float w0 = mth_float_of(mth_lane_load32(inputs[0] + 4 * i));
        float m1 = mth_float_of(mth_lane_load32(inputs[1] + 4 * i));
        float v1 = mth_float_of(mth_lane_load32(inputs[2] + 4 * i));
        float w1 = w0 * decay + (step * m1) / (sqrtf(v1) / bias + eps);
        mth_lane_store32(out + 4 * i, mth_bits_of(w1));
    }
}
