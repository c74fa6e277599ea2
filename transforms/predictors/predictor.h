/*
 * Predictors: what elements are expected to be, computed from other tensors that the decoder has already. A chunk that
 * is as predicted costs nothing; else it is coded with the prediction as its reference.
 *
 * A prediction is the same bits on every machine: operations of IEEE 754 one by one in a stated order, nothing contracted,
 * denormals kept. None allocates; any alignment is fine; every bit pattern is taken.
 */
#ifndef MTH_TRANSFORMS_PREDICTOR_H
#define MTH_TRANSFORMS_PREDICTOR_H

#include "base/dtype.h"

#include <stddef.h>
#include <stdint.h>

enum { MTH_MAX_INPUTS = 5, MTH_MAX_SETTINGS = 7 };

/* Append-only: containers store these numbers. */
enum mth_predictor_number {
    MTH_PREDICT_NOTHING = 0, /* the inputs are references of the pipeline, as they are */
    MTH_PREDICT_SAME,
    MTH_PREDICT_BF16_NEAREST,
    MTH_PREDICT_BF16_TRUNCATED,
    MTH_PREDICT_F16_NEAREST,
    MTH_PREDICT_ADAM_V,
    MTH_PREDICT_ADAM_W,
    MTH_PREDICT_ADAM_DRIFT,
    MTH_PREDICT_LARGER,
    MTH_PREDICT_SGD_W,
    MTH_PREDICT_NESTEROV_W,
    MTH_PREDICT_DIVISORS,
    MTH_PREDICT_CENTERED,
    MTH_PREDICT_AVERAGED,
    MTH_PREDICT_AVERAGED_APART,
    MTH_PREDICT_ADAM_V24,
    MTH_PREDICT_SUMMED_V,
    MTH_PREDICT_DIVIDED_V,
    MTH_PREDICT_BF16_ROUNDED,
    MTH_PREDICT_F16_ROUNDED,
    MTH_PREDICT_BF16_CHANCE,
    MTH_PREDICT_F16_CHANCE,
    MTH_N_PREDICTORS
};

struct mth_predictor {
    const char *name;
    size_t n_inputs;
    size_t n_settings;
    size_t elem_bytes;  /* of what is predicted; 0: any, and inputs are as wide */
    size_t input_bytes; /* of an element of each input */
    /* Shape: inputs[n_inputs] and out of n elements each; settings[n_settings], bits of fp32 values. */
    void (*predict)(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
    /* Where what is coded is not the elements themselves but what they are beside the prediction, and back; else NULL. See rounded.h. */
    void (*steps)(const uint8_t *const *inputs, const uint8_t *elems, size_t n, uint8_t *out);
    void (*restore)(const uint8_t *const *inputs, const uint8_t *steps, size_t n, uint8_t *out);
};

/* NULL for a number that is none, or nothing. SAME has no function: what it predicts is its input. */
const struct mth_predictor *mth_predictor_at(uint64_t number);

void mth_predict_adam_v(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_predict_adam_v24(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_predict_summed_v(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_predict_divided_v(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_predict_adam_w(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_predict_adam_drift(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_predict_larger(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_predict_sgd_w(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_predict_nesterov_w(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_predict_divisors(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_predict_centered(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_predict_averaged(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_predict_averaged_apart(const uint32_t *settings, const uint8_t *const *inputs, size_t n,
                                uint8_t *out);

#endif
