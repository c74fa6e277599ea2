/* The table of predictors, and those that round; see predictor.h. */
#include "transforms/predictors/predictor.h"

#include "base/lane.h"
#include "transforms/predictors/float_bits.h"
#include "transforms/predictors/rounded.h"

static void bf16_nearest(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    (void)settings;
    for (size_t i = 0; i < n; i++)
        mth_lane_store16(out + 2 * i, mth_bf16_nearest(mth_lane_load32(inputs[0] + 4 * i)));
}

static void bf16_truncated(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    (void)settings;
    for (size_t i = 0; i < n; i++)
        mth_lane_store16(out + 2 * i, (uint16_t)(mth_lane_load32(inputs[0] + 4 * i) >> 16));
}

static void f16_nearest(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out)
{
    (void)settings;
    for (size_t i = 0; i < n; i++)
        mth_lane_store16(out + 2 * i, mth_f16_nearest(mth_lane_load32(inputs[0] + 4 * i)));
}

static const struct mth_predictor predictors[MTH_N_PREDICTORS] = {
    [MTH_PREDICT_SAME] = {"same", 1, 0, 0, 0, NULL, NULL, NULL},
    [MTH_PREDICT_BF16_NEAREST] = {"bf16-nearest", 1, 0, 2, 4, bf16_nearest, NULL, NULL},
    [MTH_PREDICT_BF16_TRUNCATED] = {"bf16-truncated", 1, 0, 2, 4, bf16_truncated, NULL, NULL},
    [MTH_PREDICT_F16_NEAREST] = {"f16-nearest", 1, 0, 2, 4, f16_nearest, NULL, NULL},
    [MTH_PREDICT_ADAM_V] = {"adam-v", 3, 4, 4, 4, mth_predict_adam_v, NULL, NULL},
    [MTH_PREDICT_ADAM_W] = {"adam-w", 3, 4, 4, 4, mth_predict_adam_w, NULL, NULL},
    [MTH_PREDICT_ADAM_DRIFT] = {"adam-drift", 5, 4, 4, 4, mth_predict_adam_drift, NULL, NULL},
    [MTH_PREDICT_LARGER] = {"larger", 2, 0, 4, 4, mth_predict_larger, NULL, NULL},
    [MTH_PREDICT_SGD_W] = {"sgd-w", 2, 1, 4, 4, mth_predict_sgd_w, NULL, NULL},
    [MTH_PREDICT_NESTEROV_W] = {"nesterov-w", 3, 3, 4, 4, mth_predict_nesterov_w, NULL, NULL},
    [MTH_PREDICT_DIVISORS] = {"divisors", 3, 4, 4, 4, mth_predict_divisors, NULL, NULL},
    [MTH_PREDICT_CENTERED] = {"centered", 4, 4, 4, 4, mth_predict_centered, NULL, NULL},
    [MTH_PREDICT_AVERAGED] = {"averaged", 2, 1, 4, 4, mth_predict_averaged, NULL, NULL},
    [MTH_PREDICT_AVERAGED_APART] = {"averaged-apart", 2, 2, 4, 4, mth_predict_averaged_apart, NULL, NULL},
    [MTH_PREDICT_ADAM_V24] = {"adam-v24", 3, 4, 4, 4, mth_predict_adam_v24, NULL, NULL},
    [MTH_PREDICT_SUMMED_V] = {"summed-v", 4, 6, 4, 4, mth_predict_summed_v, NULL, NULL},
    [MTH_PREDICT_DIVIDED_V] = {"divided-v", 4, 7, 4, 4, mth_predict_divided_v, NULL, NULL},
    [MTH_PREDICT_BF16_ROUNDED] = {"bf16-rounded", 1, 0, 2, 4, mth_predict_bf16_rounded,
                                  mth_steps_bf16_rounded, mth_restore_bf16_rounded},
    [MTH_PREDICT_F16_ROUNDED] = {"f16-rounded", 1, 0, 2, 4, mth_predict_f16_rounded, mth_steps_f16_rounded,
                                 mth_restore_f16_rounded},
    [MTH_PREDICT_BF16_CHANCE] = {"bf16-chance", 1, 0, 2, 4, mth_predict_bf16_chance, mth_steps_bf16_chance,
                                 mth_restore_bf16_chance},
    [MTH_PREDICT_F16_CHANCE] = {"f16-chance", 1, 0, 2, 4, mth_predict_f16_chance, mth_steps_f16_chance,
                                mth_restore_f16_chance},
};

const struct mth_predictor *mth_predictor_at(uint64_t number)
{
    return number > MTH_PREDICT_NOTHING && number < MTH_N_PREDICTORS ? &predictors[number] : NULL;
}
