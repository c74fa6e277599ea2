/* Predictors that redo steps of other optimizers, and averages of weights; see predictor.h and docs/states.md. */
#include "transforms/predictors/predictor.h"

#include "transforms/predictors/float_bits.h"

#include <math.h>

/* Element i of an input. */
MTH_ALWAYS_INLINE float at(const uint8_t *input, size_t i)
{
    return mth_float_of(mth_lane_load32(input + 4 * i));
}

MTH_ALWAYS_INLINE void put(uint8_t *out, size_t i, float x)
{
    mth_lane_store32(out + 4 * i, mth_bits_of(x));
}

/* The second where it is larger, or no number; else the first. Inputs: two of the same kind */
void mth_predict_larger(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    (void)settings;
    for (size_t i = 0; i < n; i++) {
        float a = at(inputs[0], i), b = at(inputs[1], i);
        put(out, i, b > a || isnan(b) ? b : a);
    }
}

/* Weights less a rate times their momentum. Settings: -lr. Inputs: w before; momentum after */
void mth_predict_sgd_w(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    float rate = mth_float_of(settings[0]);
    for (size_t i = 0; i < n; i++)
        put(out, i, mth_fma(at(inputs[1], i), rate, at(inputs[0], i)));
}

/* The same by Nesterov: the gradient is what the momentum tells. Settings: -lr; momentum; 1 / (1 - dampening). Inputs: w before; momentum after
 * and before */
void mth_predict_nesterov_w(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    float rate = mth_float_of(settings[0]), mu = mth_float_of(settings[1]), over = mth_float_of(settings[2]);
    for (size_t i = 0; i < n; i++) {
        float after = at(inputs[1], i), gradient = (after - at(inputs[2], i) * mu) * over;
        put(out, i, mth_fma(mth_fma(after, mu, gradient), rate, at(inputs[0], i)));
    }
}

/*
 * Squares s that gradients were divided by the root of: with x moved by r = rate * g / sqrt(s), s = stays * s0 + share * g * g is
 * stays * s0 / (1 - share * r * r / rate^2).
 *
 * Settings  stays; share; mu, by which x is multiplied first; 1 / rate
 * Inputs    s before; x before and after
 */
void mth_predict_divisors(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    float stays = mth_float_of(settings[0]), share = mth_float_of(settings[1]),
          mu = mth_float_of(settings[2]), over = mth_float_of(settings[3]);
    for (size_t i = 0; i < n; i++) {
        float r = (at(inputs[2], i) - at(inputs[1], i) * mu) * over;
        put(out, i, (at(inputs[0], i) * stays) / (1 - share * (r * r)));
    }
}

/*
 * x moved by gradients over the root of their variance: x * mu + rate * g / (sqrt(s - a * a) + eps), g as its average a tells.
 *
 * Settings  mu; rate; the share of a gradient in its average; eps
 * Inputs    x before; a before and after; s after
 */
void mth_predict_centered(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    float mu = mth_float_of(settings[0]), rate = mth_float_of(settings[1]),
          over_weight = 1 / mth_float_of(settings[2]), eps = mth_float_of(settings[3]);
    for (size_t i = 0; i < n; i++) {
        float before = at(inputs[1], i), after = at(inputs[2], i);
        float gradient = mth_fma(after - before, over_weight, before);
        float below = sqrtf(mth_fma(-after, after, at(inputs[3], i))) + eps;
        put(out, i, at(inputs[0], i) * mu + (rate * gradient) / below);
    }
}

/* An average of weights, as lerp_ makes it: fma(weight, w - e, e). Settings: weight. Inputs: e before; w after */
void mth_predict_averaged(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    float weight = mth_float_of(settings[0]);
    for (size_t i = 0; i < n; i++) {
        float e = at(inputs[0], i);
        put(out, i, mth_fma(weight, at(inputs[1], i) - e, e));
    }
}

/* The same by mul_ and add_: fma(w, weight, e * decay). Settings: weight; decay. Inputs: e before; w after */
void mth_predict_averaged_apart(const uint32_t *settings, const uint8_t *const *inputs, size_t n,
                                uint8_t *out)
{
    float weight = mth_float_of(settings[0]), decay = mth_float_of(settings[1]);
    for (size_t i = 0; i < n; i++)
        put(out, i, mth_fma(at(inputs[1], i), weight, at(inputs[0], i) * decay));
}
