/* Gradients that were added to what is left of those before, in the orders in which optimizers do it; docs/states.md. */
#ifndef MTH_TRANSFORMS_SUM_H
#define MTH_TRANSFORMS_SUM_H

#include "transforms/predictors/adam.h"

#include <stdbool.h>

/* How: d = fma(decay, w, g * scale) is what is added, g a value of few bits. */
struct mth_sum_rule {
    float weight, over_weight; /* of d */
    float stays;               /* of what was before; 0: as lerp_ does it, all but the weight of d */
    float decay;
    float scale, over_scale;
};

MTH_ALWAYS_INLINE struct mth_sum_rule mth_sum_rule_of(uint32_t weight, uint32_t stays, uint32_t decay,
                                                      uint32_t scale)
{
    float w = mth_float_of(weight), s = mth_float_of(scale);
    return (struct mth_sum_rule){w, 1 / w, mth_float_of(stays), mth_float_of(decay), s, 1 / s};
}

/* What it decides in a loop. */
struct mth_sum_form {
    bool is_lerp, decays;
};

MTH_ALWAYS_INLINE struct mth_sum_form mth_sum_form_of(const struct mth_sum_rule *rule)
{
    return (struct mth_sum_form){!(rule->stays > 0), rule->decay > 0};
}

/* Calls what is inlined, its first argument the form of a rule as a constant: a loop is compiled for each. */
#define MTH_BY_SUM_FORM(rule, function, ...)                                                          \
    (mth_sum_form_of(rule).is_lerp                                                                    \
         ? (mth_sum_form_of(rule).decays ? function((struct mth_sum_form){true, true}, __VA_ARGS__)   \
                                         : function((struct mth_sum_form){true, false}, __VA_ARGS__)) \
         : (mth_sum_form_of(rule).decays ? function((struct mth_sum_form){false, true}, __VA_ARGS__)  \
                                         : function((struct mth_sum_form){false, false}, __VA_ARGS__)))

/* What is added of a gradient that is scaled. */
MTH_ALWAYS_INLINE float mth_sum_added(const struct mth_sum_rule *rule, struct mth_sum_form form, float w,
                                      float scaled)
{
    return form.decays ? MTH_FMA(rule->decay, w, scaled) : scaled;
}

/* m1 of m0: lerp_, or mul_ and add_. */
MTH_ALWAYS_INLINE float mth_sum_after(const struct mth_sum_rule *rule, struct mth_sum_form form, float m0,
                                      float added)
{
    return form.is_lerp ? MTH_FMA(rule->weight, added - m0, m0)
                        : MTH_FMA(rule->weight, added, m0 * rule->stays);
}

/* What was added, about as near as m1 tells. */
MTH_ALWAYS_INLINE float mth_sum_difference(const struct mth_sum_rule *rule, struct mth_sum_form form,
                                           float m0, float m1)
{
    return form.is_lerp ? MTH_FMA(m1 - m0, rule->over_weight, m0)
                        : (m1 - m0 * rule->stays) * rule->over_weight;
}

/* The gradient that made m1 of m0, before it was scaled, if it was one of few bits: of 16, else of 20, else of 24. fits: all bits where it
 * gives just m1, or 0. */
MTH_ALWAYS_INLINE uint32_t mth_sum_gradient(const struct mth_sum_rule *rule, struct mth_sum_form form,
                                            float m0, float w, uint32_t m1, uint32_t *fits)
{
    float added = mth_sum_difference(rule, form, m0, mth_float_of(m1));
    float gradient = form.decays ? MTH_FMA(-rule->decay, w, added) : added;
    uint32_t near = mth_bits_of(gradient * rule->over_scale), best = 0, found = 0;
    for (unsigned n_cut = 16; n_cut >= 8; n_cut -= 4) {
        uint32_t tried = mth_cut_bits(near, n_cut);
        float after =
            mth_sum_after(rule, form, m0, mth_sum_added(rule, form, w, mth_float_of(tried) * rule->scale));
        best = (best & found) | (tried & ~found);
        found |= 0 - (uint32_t)(mth_bits_of(after) == m1);
    }
    *fits = found;
    return best;
}

#endif
