/* The arithmetic of Adam and AdamW as PyTorch does it on a CPU; docs/states.md. */
#ifndef MTH_TRANSFORMS_ADAM_H
#define MTH_TRANSFORMS_ADAM_H

#include "transforms/predictors/float_bits.h"

/* exp_avg.lerp_(grad, weight), for a weight below 1/2. */
MTH_ALWAYS_INLINE float mth_adam_m(float m, float gradient, float weight)
{
    return mth_fma(weight, gradient - m, m);
}

/* The gradient that made m1 of m0, as near as m1 tells: double, before it is rounded. */
MTH_ALWAYS_INLINE double mth_adam_gradient(float m0, float m1, float weight)
{
    return ((double)m1 - (double)m0) / (double)weight + (double)m0;
}

/* A gradient that was rounded to bf16 and then scaled; the bf16 value. */
MTH_ALWAYS_INLINE uint16_t mth_adam_gradient16(double gradient, float scale)
{
    return mth_bf16_nearest(mth_bits_of((float)(gradient / (double)scale)));
}

MTH_ALWAYS_INLINE float mth_adam_scaled(uint16_t gradient16, float scale)
{
    return mth_float_of((uint32_t)gradient16 << 16) * scale;
}

#endif
