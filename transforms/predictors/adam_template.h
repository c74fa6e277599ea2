/* The loops of adam_kernels.h, in a shape that compilers vectorise. Before it: MTH_KERNEL, the attributes of a kernel. */
#include "transforms/predictors/adam.h"

#include <math.h>

/* Two loops: gradients of any bits, and those of 16, of which m tells more. */
MTH_ALWAYS_INLINE float v_of(float v0, float gradient, float decay, float share)
{
    return mth_fma(share * gradient, gradient, v0 * decay);
}

MTH_KERNEL static void v32(const uint32_t *settings, const uint8_t *const *inputs, size_t n,
                           uint8_t *restrict out)
{
    float weight = mth_float_of(settings[0]), decay = mth_float_of(settings[1]),
          share = mth_float_of(settings[2]);
    const uint8_t *restrict v = inputs[0], *restrict before = inputs[1], *restrict after = inputs[2];
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i)),
              m1 = mth_float_of(mth_lane_load32(after + 4 * i));
        float gradient = (float)mth_adam_gradient(m0, m1, weight);
        float v0 = mth_float_of(mth_lane_load32(v + 4 * i));
        mth_lane_store32(out + 4 * i, mth_bits_of(v_of(v0, gradient, decay, share)));
    }
}

MTH_KERNEL static void v16(const uint32_t *settings, const uint8_t *const *inputs, size_t n,
                           uint8_t *restrict out)
{
    float weight = mth_float_of(settings[0]), decay = mth_float_of(settings[1]),
          share = mth_float_of(settings[2]), scale = mth_float_of(settings[3]);
    const uint8_t *restrict v = inputs[0], *restrict before = inputs[1], *restrict after = inputs[2];
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i));
        uint32_t m1 = mth_lane_load32(after + 4 * i);
        double wide = mth_adam_gradient(m0, mth_float_of(m1), weight);
        float scaled = mth_adam_scaled(mth_adam_gradient16(wide, scale), scale), gradient = (float)wide;
        uint32_t fits = 0 - (uint32_t)(mth_bits_of(mth_adam_m(m0, scaled, weight)) == m1), bits, scaled_bits;
        memcpy(&bits, &gradient, sizeof bits);
        memcpy(&scaled_bits, &scaled, sizeof scaled_bits);
        gradient = mth_float_of((scaled_bits & fits) | (bits & ~fits));
        float v0 = mth_float_of(mth_lane_load32(v + 4 * i));
        mth_lane_store32(out + 4 * i, mth_bits_of(v_of(v0, gradient, decay, share)));
    }
}

MTH_KERNEL static void v(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    if (mth_float_of(settings[3]) != 0)
        v16(settings, inputs, n, out);
    else
        v32(settings, inputs, n, out);
}

MTH_KERNEL static void w(const uint32_t *settings, const uint8_t *const *inputs, size_t n,
                         uint8_t *restrict out)
{
    float decay = mth_float_of(settings[0]), step = mth_float_of(settings[1]),
          bias = mth_float_of(settings[2]), eps = mth_float_of(settings[3]);
    const uint8_t *restrict before = inputs[0], *restrict m = inputs[1], *restrict squares = inputs[2];
    for (size_t i = 0; i < n; i++) {
        float w0 = mth_float_of(mth_lane_load32(before + 4 * i)),
              m1 = mth_float_of(mth_lane_load32(m + 4 * i));
        float v1 = mth_float_of(mth_lane_load32(squares + 4 * i));
        float w1 = w0 * decay + (step * m1) / (sqrtf(v1) / bias + eps);
        mth_lane_store32(out + 4 * i, mth_bits_of(w1));
    }
}

MTH_KERNEL static void gradients16(float weight, float scale, const uint8_t *restrict before,
                                   const uint8_t *restrict after, size_t n, uint32_t *restrict gradients,
                                   uint32_t *restrict fits)
{
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i));
        uint32_t m1 = mth_lane_load32(after + 4 * i);
        uint16_t g = mth_adam_gradient16(mth_adam_gradient(m0, mth_float_of(m1), weight), scale);
        gradients[i] = g;
        fits[i] = 0 - (uint32_t)(mth_bits_of(mth_adam_m(m0, mth_adam_scaled(g, scale), weight)) == m1);
    }
}

MTH_KERNEL static void moments16(float weight, float scale, const uint8_t *restrict before,
                                 const uint32_t *restrict gradients, size_t n, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i));
        mth_lane_store32(out + 4 * i,
                         mth_bits_of(mth_adam_m(m0, mth_adam_scaled((uint16_t)gradients[i], scale), weight)));
    }
}
