/* Predictors that redo steps of Adam or AdamW; see predictor.h. */
#include "base/cpu.h"
#include "transforms/predictors/adam_kernels.h"
#include "transforms/predictors/predictor.h"

/*
 * v after a step, from v before and m before and after: beta2 * v + (1 - beta2) * g * g.
 *
 * Settings  1 - beta1; beta2; 1 - beta2; the scale of 16-bit gradients, 0 where they were none
 * Inputs    v0, m0, m1
 */
void mth_predict_adam_v(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    mth_adam_kernels_of(mth_cpu_features())->v(settings, inputs, n, out);
}

/* The same of gradients that were sums of some of 16 bits, or of fp16. */
void mth_predict_adam_v24(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    mth_adam_kernels_of(mth_cpu_features())->v24(settings, inputs, n, out);
}

/*
 * The same of gradients that were averaged in another order, or hold a share of the weights.
 *
 * Settings  1 - beta1; beta2; 1 - beta2; the scale of gradients of few bits, 0 where they were none; what stays of m, 0: as lerp_ does
 *           it; the share of the weights
 * Inputs    v0, m0, m1, w0
 */
void mth_predict_summed_v(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    mth_adam_kernels_of(mth_cpu_features())->v_sum(settings, inputs, n, out);
}

/*
 * Squares after a step of RMSprop or Adagrad, from those before and what was moved by gradients over their root.
 *
 * Settings  as enum mth_divided_number
 * Inputs    v0, x0, x1, w0
 */
void mth_predict_divided_v(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    mth_adam_kernels_of(mth_cpu_features())->v_divided(settings, inputs, n, out);
}

/*
 * Weights after a step, from those before and m and v after: w * (1 - lr * decay) - step * m / (sqrt(v) / bias + eps).
 *
 * Settings  1 - lr * decay; -step; bias; eps
 * Inputs    w0, m1, v1
 */
void mth_predict_adam_w(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    mth_adam_kernels_of(mth_cpu_features())->w(settings, inputs, n, out);
}

/*
 * Weights after several steps, from those before and m and v before and after: w * decay + (a * m0 / (sqrt(v0) + eps) + b * m1 / (sqrt(v1) + eps)).
 *
 * Settings  decay; a; b; eps
 * Inputs    w0, m0, v0, m1, v1
 */
void mth_predict_adam_drift(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    mth_adam_kernels_of(mth_cpu_features())->drift(settings, inputs, n, out);
}
