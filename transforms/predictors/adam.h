/* The arithmetic of Adam and AdamW as PyTorch does it on a CPU; docs/states.md. */
#ifndef MTH_TRANSFORMS_ADAM_H
#define MTH_TRANSFORMS_ADAM_H

#include "transforms/predictors/float_bits.h"

/* How gradients were averaged: m1 = m0 + weight * (g - m0); of 16-bit ones, g is a bf16 value times scale. */
struct mth_adam_rule {
    float weight, over_weight;
    float scale, over_scale;
};

MTH_ALWAYS_INLINE struct mth_adam_rule mth_adam_rule_of(uint32_t weight, uint32_t scale)
{
    float w = mth_float_of(weight), s = mth_float_of(scale);
    return (struct mth_adam_rule){.weight = w, .over_weight = 1 / w, .scale = s, .over_scale = 1 / s};
}

/* exp_avg.lerp_(grad, weight), for a weight below 1/2. */
MTH_ALWAYS_INLINE float mth_adam_m(const struct mth_adam_rule *rule, float m0, float gradient)
{
    return MTH_FMA(rule->weight, gradient - m0, m0);
}

/* The gradient that made m1 of m0, about as near as m1 tells. */
MTH_ALWAYS_INLINE float mth_adam_gradient(const struct mth_adam_rule *rule, float m0, float m1)
{
    return MTH_FMA(m1 - m0, rule->over_weight, m0);
}

/* A gradient that was rounded to bf16 and then scaled; the bf16 value. */
MTH_ALWAYS_INLINE uint16_t mth_adam_gradient16(const struct mth_adam_rule *rule, float gradient)
{
    return mth_bf16_nearest(mth_bits_of(gradient * rule->over_scale));
}

MTH_ALWAYS_INLINE float mth_adam_scaled(const struct mth_adam_rule *rule, uint16_t gradient16)
{
    return mth_float_of((uint32_t)gradient16 << 16) * rule->scale;
}

/* Does a 16-bit gradient make m1 of m0? All bits, or 0. */
MTH_ALWAYS_INLINE uint32_t mth_adam_fits(const struct mth_adam_rule *rule, float m0, uint16_t gradient16,
                                         uint32_t m1)
{
    float scaled = mth_adam_scaled(rule, gradient16);
    return 0 - (uint32_t)(mth_bits_of(mth_adam_m(rule, m0, scaled)) == m1);
}

/*
 * Gradients of up to 24 bits: sums of some of 16, and those of fp16. Bits of fp32 whose lower n are zero, to nearest, ties to even.
 */
MTH_ALWAYS_INLINE uint32_t mth_cut_bits(uint32_t x, unsigned n)
{
    uint32_t rounded = (x + ((1u << (n - 1)) - 1) + (x >> n & 1)) & ~((1u << n) - 1);
    return (x & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : rounded;
}

/* The gradient that made m1 of m0, before it was scaled, if it was one of few bits: of 16, else of 20, else of 24. fits: all bits where it gives
 * just m1, or 0. */
MTH_ALWAYS_INLINE uint32_t mth_adam_gradient24(const struct mth_adam_rule *rule, float m0, uint32_t m1,
                                               float gradient, uint32_t *fits)
{
    uint32_t near = mth_bits_of(gradient * rule->over_scale), best = 0, found = 0;
    for (unsigned n_cut = 16; n_cut >= 8; n_cut -= 4) {
        uint32_t tried = mth_cut_bits(near, n_cut);
        uint32_t is_right =
            0 - (uint32_t)(mth_bits_of(mth_adam_m(rule, m0, mth_float_of(tried) * rule->scale)) == m1);
        best = (best & found) | (tried & ~found);
        found |= is_right;
    }
    *fits = found;
    return best;
}

#endif
