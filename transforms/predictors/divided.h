/* Gradients that were divided by the root of their squares, as RMSprop and Adagrad do it; docs/states.md. */
#ifndef MTH_TRANSFORMS_DIVIDED_H
#define MTH_TRANSFORMS_DIVIDED_H

#include "transforms/predictors/adam.h"

#include <math.h>
#include <stdbool.h>

/* How: d = fma(decay, w, g * scale), g a value of few bits; v1 = fma(weight * d, d, stays * v0); x1 = mu * x0 + rate * d / (sqrt(v1) + eps). */
struct mth_divided_rule {
    float weight, stays;
    float mu, rate, over_rate, eps;
    float decay;
    float scale, over_scale;
};

/* The bits of such numbers: of a spec's options, or of a prediction's settings, in their order. */
enum mth_divided_number {
    MTH_DIVIDED_WEIGHT,
    MTH_DIVIDED_STAYS,
    MTH_DIVIDED_DECAY,
    MTH_DIVIDED_SCALE,
    MTH_DIVIDED_MU,
    MTH_DIVIDED_RATE,
    MTH_DIVIDED_EPS,
    MTH_N_DIVIDED
};

MTH_ALWAYS_INLINE struct mth_divided_rule mth_divided_rule_of(const uint32_t numbers[MTH_N_DIVIDED])
{
    float rate = mth_float_of(numbers[MTH_DIVIDED_RATE]), scale = mth_float_of(numbers[MTH_DIVIDED_SCALE]);
    return (struct mth_divided_rule){.weight = mth_float_of(numbers[MTH_DIVIDED_WEIGHT]),
                                     .stays = mth_float_of(numbers[MTH_DIVIDED_STAYS]),
                                     .mu = mth_float_of(numbers[MTH_DIVIDED_MU]),
                                     .rate = rate,
                                     .over_rate = 1 / rate,
                                     .eps = mth_float_of(numbers[MTH_DIVIDED_EPS]),
                                     .decay = mth_float_of(numbers[MTH_DIVIDED_DECAY]),
                                     .scale = scale,
                                     .over_scale = 1 / scale};
}

MTH_ALWAYS_INLINE float mth_divided_added(const struct mth_divided_rule *rule, float w, float scaled)
{
    return rule->decay > 0 ? MTH_FMA(rule->decay, w, scaled) : scaled;
}

MTH_ALWAYS_INLINE float mth_divided_squares(const struct mth_divided_rule *rule, float v0, float added)
{
    return MTH_FMA(rule->weight * added, added, v0 * rule->stays);
}

MTH_ALWAYS_INLINE float mth_divided_moved(const struct mth_divided_rule *rule, float x0, float v0,
                                          float added)
{
    float below = sqrtf(mth_divided_squares(rule, v0, added)) + rule->eps;
    return x0 * rule->mu + (rule->rate * added) / below;
}

/*
 * What was added, about as near as x1 tells: with r = d / sqrt(v1), v1 is stays * v0 / (1 - weight * r * r) but for eps, which a second look
 * knows of.
 */
MTH_ALWAYS_INLINE float mth_divided_difference(const struct mth_divided_rule *rule, float x0, float v0,
                                               float x1)
{
    float r = (x1 - x0 * rule->mu) * rule->over_rate;
    float first = r * sqrtf((v0 * rule->stays) / (1 - rule->weight * (r * r)));
    return r * (sqrtf(mth_divided_squares(rule, v0, first)) + rule->eps);
}

/* The gradient that made x1 of x0 and v0, before it was scaled, if it was one of few bits: of 16, else of 20, else of 24. fits: all bits
 * where it gives just x1, or 0. */
MTH_ALWAYS_INLINE uint32_t mth_divided_gradient(const struct mth_divided_rule *rule, float x0, float v0,
                                                float w, uint32_t x1, float difference, uint32_t *fits)
{
    float gradient = rule->decay > 0 ? MTH_FMA(-rule->decay, w, difference) : difference;
    uint32_t near = mth_bits_of(gradient * rule->over_scale), best = 0, found = 0;
    for (unsigned n_cut = 16; n_cut >= 8; n_cut -= 4) {
        uint32_t tried = mth_cut_bits(near, n_cut);
        float added = mth_divided_added(rule, w, mth_float_of(tried) * rule->scale);
        best = (best & found) | (tried & ~found);
        found |= 0 - (uint32_t)(mth_bits_of(mth_divided_moved(rule, x0, v0, added)) == x1);
    }
    *fits = found;
    return best;
}

#endif
