/* The loops of adam_kernels.h, in a shape that compilers vectorise. Before it: MTH_KERNEL, the attributes of a kernel, and MTH_FMA,
 * with MTH_FMA_IS_FAST where that is an instruction. */
#include "transforms/predictors/adam.h"
#include "transforms/predictors/divided.h"
#include "transforms/predictors/sum.h"

#include <math.h>
#include <stdbool.h>

MTH_ALWAYS_INLINE float v_of(float v0, float gradient, float decay, float share)
{
    return MTH_FMA(share * gradient, gradient, v0 * decay);
}

/* Three loops: gradients of any bits, of which every bit counts; and those of 16 and of 24, of which m tells more. */
MTH_KERNEL static void v32(const uint32_t *settings, const uint8_t *const *inputs, size_t n,
                           uint8_t *restrict out)
{
    double over_weight = 1 / (double)mth_float_of(settings[0]);
    float decay = mth_float_of(settings[1]), share = mth_float_of(settings[2]);
    const uint8_t *restrict v = inputs[0], *restrict before = inputs[1], *restrict after = inputs[2];
    for (size_t i = 0; i < n; i++) {
        double m0 = (double)mth_float_of(mth_lane_load32(before + 4 * i)),
               m1 = (double)mth_float_of(mth_lane_load32(after + 4 * i));
        float gradient = (float)((m1 - m0) * over_weight + m0), v0 = mth_float_of(mth_lane_load32(v + 4 * i));
        mth_lane_store32(out + 4 * i, mth_bits_of(v_of(v0, gradient, decay, share)));
    }
}

MTH_KERNEL static void v16(const uint32_t *settings, const uint8_t *const *inputs, size_t n,
                           uint8_t *restrict out)
{
    const struct mth_adam_rule rule = mth_adam_rule_of(settings[0], settings[3]);
    float decay = mth_float_of(settings[1]), share = mth_float_of(settings[2]);
    const uint8_t *restrict v = inputs[0], *restrict before = inputs[1], *restrict after = inputs[2];
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i));
        uint32_t m1 = mth_lane_load32(after + 4 * i), bits, scaled_bits;
        float gradient = mth_adam_gradient(&rule, m0, mth_float_of(m1));
        uint16_t gradient16 = mth_adam_gradient16(&rule, gradient);
        float scaled = mth_adam_scaled(&rule, gradient16);
        uint32_t fits = mth_adam_fits(&rule, m0, gradient16, m1);
        memcpy(&bits, &gradient, sizeof bits);
        memcpy(&scaled_bits, &scaled, sizeof scaled_bits);
        gradient = mth_float_of((scaled_bits & fits) | (bits & ~fits));
        float v0 = mth_float_of(mth_lane_load32(v + 4 * i));
        mth_lane_store32(out + 4 * i, mth_bits_of(v_of(v0, gradient, decay, share)));
    }
}

MTH_KERNEL static void v24(const uint32_t *settings, const uint8_t *const *inputs, size_t n,
                           uint8_t *restrict out)
{
    const struct mth_adam_rule rule = mth_adam_rule_of(settings[0], settings[3]);
    float decay = mth_float_of(settings[1]), share = mth_float_of(settings[2]);
    const uint8_t *restrict v = inputs[0], *restrict before = inputs[1], *restrict after = inputs[2];
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i));
        uint32_t m1 = mth_lane_load32(after + 4 * i), fits, bits, scaled_bits;
        float gradient = mth_adam_gradient(&rule, m0, mth_float_of(m1));
        float scaled = mth_float_of(mth_adam_gradient24(&rule, m0, m1, gradient, &fits)) * rule.scale;
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

/* What was added to m, of any bits: in double, m but for what stayed. */
MTH_ALWAYS_INLINE void v_in_form(struct mth_sum_form form, bool of_few_bits, const struct mth_sum_rule *rule,
                                 const uint32_t *settings, const uint8_t *const *inputs, size_t n,
                                 uint8_t *restrict out)
{
    const struct mth_sum_rule r = *rule;
    float decay = mth_float_of(settings[1]), share = mth_float_of(settings[2]);
    double over_weight = 1 / (double)r.weight;
    const uint8_t *restrict v = inputs[0], *restrict before = inputs[1], *restrict after = inputs[2],
                            *restrict weights = inputs[3];
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i)),
              w0 = mth_float_of(mth_lane_load32(weights + 4 * i));
        uint32_t m1 = mth_lane_load32(after + 4 * i), fits = 0, bits, few_bits;
        double left = (double)(form.is_lerp ? m0 : m0 * r.stays);
        float few = 0,
              added = (float)(((double)mth_float_of(m1) - left) * over_weight + (form.is_lerp ? left : 0));
        if (of_few_bits)
            few = mth_sum_added(&r, form, w0,
                                mth_float_of(mth_sum_gradient(&r, form, m0, w0, m1, &fits)) * r.scale);
        memcpy(&bits, &added, sizeof bits);
        memcpy(&few_bits, &few, sizeof few_bits);
        added = mth_float_of((few_bits & fits) | (bits & ~fits));
        mth_lane_store32(out + 4 * i,
                         mth_bits_of(v_of(mth_float_of(mth_lane_load32(v + 4 * i)), added, decay, share)));
    }
}

MTH_KERNEL static void v_sum(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    const struct mth_sum_rule rule = mth_sum_rule_of(settings[0], settings[4], settings[5], settings[3]);
    if (rule.scale > 0)
        MTH_BY_SUM_FORM(&rule, v_in_form, true, &rule, settings, inputs, n, out);
    else
        MTH_BY_SUM_FORM(&rule, v_in_form, false, &rule, settings, inputs, n, out);
}

MTH_KERNEL static void v_divided(const uint32_t *settings, const uint8_t *const *inputs, size_t n,
                                 uint8_t *restrict out)
{
    const struct mth_divided_rule r = mth_divided_rule_of(settings);
    const uint8_t *restrict v = inputs[0], *restrict before = inputs[1], *restrict after = inputs[2],
                            *restrict weights = inputs[3];
    for (size_t i = 0; i < n; i++) {
        float x0 = mth_float_of(mth_lane_load32(before + 4 * i)),
              v0 = mth_float_of(mth_lane_load32(v + 4 * i)),
              w0 = mth_float_of(mth_lane_load32(weights + 4 * i));
        uint32_t x1 = mth_lane_load32(after + 4 * i), fits, bits, few_bits;
        float added = mth_divided_difference(&r, x0, v0, mth_float_of(x1));
        float few = mth_divided_added(
            &r, w0, mth_float_of(mth_divided_gradient(&r, x0, v0, w0, x1, added, &fits)) * r.scale);
        memcpy(&bits, &added, sizeof bits);
        memcpy(&few_bits, &few, sizeof few_bits);
        added = mth_float_of((few_bits & fits) | (bits & ~fits));
        mth_lane_store32(out + 4 * i, mth_bits_of(mth_divided_squares(&r, v0, added)));
    }
}

#ifdef MTH_FMA_IS_FAST
/* A divisor by which many are divided. */
struct divisor {
    float value, inverse;
    bool is_plain; /* quotients of dividends below are neither too large nor too small */
};

static struct divisor divisor_of(float value)
{
    return (struct divisor){value, 1 / value, value >= 0x1p-20F && value <= 0x1p20F};
}

/*
 * x / divisor, rounded to nearest: a product, put right twice by what it leaves. The first time it comes to within a unit of the last place, so that what
 * it leaves is exact; then it is the quotient.
 *
 * Requires  x is 0, or 2^-75 to 2^64; the divisor is plain
 * Source    P. Markstein, Computation of elementary functions on the IBM RISC System/6000 processor, IBM Journal of Research and Development 34(1), 1990:
 *           with the inverse rounded to nearest
 */
MTH_ALWAYS_INLINE float quotient(float x, const struct divisor *divisor)
{
    float near = x * divisor->inverse;
    near = MTH_FMA(MTH_FMA(-near, divisor->value, x), divisor->inverse, near);
    return MTH_FMA(MTH_FMA(-near, divisor->value, x), divisor->inverse, near);
}

enum { PLAIN_ELEMS = 256, LARGEST_FINITE = 0x7f7fffff };

/* Has each of the elements a root that is 0 or from 2^-75 to 2^64? */
MTH_ALWAYS_INLINE bool have_plain_roots(const uint8_t *squares, size_t n)
{
    uint32_t most = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = mth_lane_load32(squares + 4 * i);
        most = bits > most ? bits : most;
    }
    return most <= LARGEST_FINITE;
}
#endif

MTH_ALWAYS_INLINE float w_of(float w0, float decay, float moved, float divided_root, float eps)
{
    return w0 * decay + moved / (divided_root + eps);
}

MTH_KERNEL static void w(const uint32_t *settings, const uint8_t *const *inputs, size_t n,
                         uint8_t *restrict out)
{
    float decay = mth_float_of(settings[0]), step = mth_float_of(settings[1]),
          bias = mth_float_of(settings[2]), eps = mth_float_of(settings[3]);
    const uint8_t *restrict before = inputs[0], *restrict m = inputs[1], *restrict squares = inputs[2];
    size_t first = 0;
#ifdef MTH_FMA_IS_FAST
    const struct divisor divisor = divisor_of(bias);
    for (size_t n_block; divisor.is_plain && first < n; first += n_block) {
        n_block = n - first < PLAIN_ELEMS ? n - first : PLAIN_ELEMS;
        if (!have_plain_roots(squares + 4 * first, n_block))
            break;
        for (size_t i = first; i < first + n_block; i++) {
            float w0 = mth_float_of(mth_lane_load32(before + 4 * i)),
                  m1 = mth_float_of(mth_lane_load32(m + 4 * i));
            float root = sqrtf(mth_float_of(mth_lane_load32(squares + 4 * i)));
            mth_lane_store32(out + 4 * i,
                             mth_bits_of(w_of(w0, decay, step * m1, quotient(root, &divisor), eps)));
        }
    }
#endif
    for (size_t i = first; i < n; i++) {
        float w0 = mth_float_of(mth_lane_load32(before + 4 * i)),
              m1 = mth_float_of(mth_lane_load32(m + 4 * i));
        float root = sqrtf(mth_float_of(mth_lane_load32(squares + 4 * i)));
        mth_lane_store32(out + 4 * i, mth_bits_of(w_of(w0, decay, step * m1, root / bias, eps)));
    }
}

MTH_ALWAYS_INLINE float moved_by(const uint8_t *m, const uint8_t *v, size_t i, float rate, float eps)
{
    return (rate * mth_float_of(mth_lane_load32(m + 4 * i))) /
           (sqrtf(mth_float_of(mth_lane_load32(v + 4 * i))) + eps);
}

MTH_KERNEL static void drift(const uint32_t *settings, const uint8_t *const *inputs, size_t n,
                             uint8_t *restrict out)
{
    float decay = mth_float_of(settings[0]), a = mth_float_of(settings[1]), b = mth_float_of(settings[2]),
          eps = mth_float_of(settings[3]);
    const uint8_t *restrict w0 = inputs[0], *restrict m0 = inputs[1], *restrict v0 = inputs[2],
                            *restrict m1 = inputs[3], *restrict v1 = inputs[4];
    for (size_t i = 0; i < n; i++) {
        float kept = mth_float_of(mth_lane_load32(w0 + 4 * i)) * decay;
        float moved = moved_by(m0, v0, i, a, eps) + moved_by(m1, v1, i, b, eps);
        mth_lane_store32(out + 4 * i, mth_bits_of(kept + moved));
    }
}
