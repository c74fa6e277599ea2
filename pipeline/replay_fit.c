/* The numbers of predictions, by which fits a sample; see replay.h. */
#include "pipeline/replay.h"

#include "base/checked.h"
#include "transforms/predictors/adam.h"

#include <math.h>
#include <string.h>

/* Bits a value by which a prediction must be nearer than the value before, or it is not worth its time. */
#define MIN_GAIN 0.05

/* ---- a step ---- */

/* Is what is predicted within a few steps of what is there, for most of the sample? exact: for how many it is just that. */
static bool is_near(const uint32_t *predicted, const uint32_t *actual, size_t n, size_t *exact)
{
    enum { NEAR_STEPS = 8 };
    size_t n_near = 0;
    *exact = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t apart = predicted[i] > actual[i] ? predicted[i] - actual[i] : actual[i] - predicted[i];
        n_near += apart <= NEAR_STEPS;
        *exact += apart == 0;
    }
    return n_near >= n - n / 4;
}

static void predict(enum mth_predictor_number number, const uint32_t *settings,
                    const uint32_t *const inputs[], size_t n, uint32_t *out)
{
    const struct mth_predictor *predictor = mth_predictor_at(number);
    uint8_t bytes[MTH_MAX_INPUTS][4 * MTH_REPLAY_SAMPLE], result[4 * MTH_REPLAY_SAMPLE];
    const uint8_t *parts[MTH_MAX_INPUTS];
    for (size_t k = 0; k < predictor->n_inputs; k++) {
        parts[k] = bytes[k];
        for (size_t i = 0; i < n; i++)
            mth_store32(bytes[k] + 4 * i, inputs[k][i]);
    }
    predictor->predict(settings, parts, n, result);
    for (size_t i = 0; i < n; i++)
        out[i] = mth_load32(result + 4 * i);
}

bool mth_replay_fit_v(const struct mth_replay_parameter *p, uint32_t weight, uint32_t scale,
                      uint32_t settings[MTH_MAX_SETTINGS])
{
    const struct mth_optimizer_group *group = p->group;
    uint32_t predicted[MTH_REPLAY_SAMPLE];
    const uint32_t *const inputs[3] = {p->before[MTH_KEPT_V], p->before[MTH_KEPT_M], p->after[MTH_KEPT_M]};
    size_t exact;
    settings[0] = weight;
    settings[1] = mth_bits_of((float)group->beta2);
    settings[2] = mth_bits_of((float)(1 - group->beta2));
    settings[3] = scale;
    predict(MTH_PREDICT_ADAM_V, settings, inputs, p->n, predicted);
    return is_near(predicted, p->after[MTH_KEPT_V], p->n, &exact);
}

/* The rate is the file's, or the base's where a scheduler has set the next one already; weights decay by it, or not. */
bool mth_replay_fit_w(const struct mth_replay_parameter *p, uint32_t settings[MTH_MAX_SETTINGS])
{
    const struct mth_optimizer_group *groups[] = {p->group, p->base_group ? p->base_group : p->group};
    const uint32_t *const inputs[3] = {p->before[MTH_KEPT_W], p->after[MTH_KEPT_M], p->after[MTH_KEPT_V]};
    size_t most = 0;
    for (size_t k = 0; k < 4; k++) {
        const struct mth_optimizer_group *group = p->group;
        double lr = groups[k % 2]->lr, decay = k < 2 ? 1 - lr * group->weight_decay : 1;
        double correction = 1 - pow(group->beta1, p->step), bias = sqrt(1 - pow(group->beta2, p->step));
        const uint32_t tried[MTH_MAX_SETTINGS] = {mth_bits_of((float)decay),
                                                  mth_bits_of((float)-(lr / correction)),
                                                  mth_bits_of((float)bias), mth_bits_of((float)group->eps)};
        uint32_t predicted[MTH_REPLAY_SAMPLE];
        size_t exact;
        predict(MTH_PREDICT_ADAM_W, tried, inputs, p->n, predicted);
        if (is_near(predicted, p->after[MTH_KEPT_W], p->n, &exact) && exact + 1 > most) {
            most = exact + 1;
            memcpy(settings, tried, sizeof tried);
        }
    }
    return most > 0;
}

/* ---- several steps ---- */

/* About how many bits the steps between what is predicted and what is there have. */
static double bits_apart(const uint32_t *predicted, const uint32_t *actual, size_t n)
{
    double bits = 0;
    for (size_t i = 0; i < n; i++) {
        double apart = predicted[i] > actual[i] ? (double)(predicted[i] - actual[i])
                                                : (double)(actual[i] - predicted[i]);
        bits += log2(apart + 1);
    }
    return bits / (double)n;
}

/* What Adam moves a weight by, but for its rate: NAN or infinite where that is none. */
static double move_of(uint32_t m, uint32_t v, double eps)
{
    return (double)mth_float_of(m) / (sqrt((double)mth_float_of(v)) + eps);
}

/* Weights moved along their first moments over the roots of their second, of all of the steps between: about as those before them and
 * behind them say, each for its share, which least squares find. */
bool mth_replay_fit_drift(const struct mth_replay_parameter *p, uint32_t settings[MTH_MAX_SETTINGS])
{
    const struct mth_optimizer_group *group = p->group;
    double kept = pow(1 - group->lr * group->weight_decay, p->n_steps), eps = group->eps;
    double xx = 0, xy = 0, yy = 0, xz = 0, yz = 0;
    for (size_t i = 0; i < p->n; i++) {
        double x = move_of(p->before[MTH_KEPT_M][i], p->before[MTH_KEPT_V][i], eps),
               y = move_of(p->after[MTH_KEPT_M][i], p->after[MTH_KEPT_V][i], eps),
               z = (double)mth_float_of(p->after[MTH_KEPT_W][i]) -
                   (double)mth_float_of(p->before[MTH_KEPT_W][i]) * kept;
        if (!isfinite(x) || !isfinite(y) || !isfinite(z))
            continue;
        xx += x * x;
        xy += x * y;
        yy += y * y;
        xz += x * z;
        yz += y * z;
    }
    double determinant = xx * yy - xy * xy;
    double a = (xz * yy - yz * xy) / determinant, b = (yz * xx - xz * xy) / determinant;
    if (!isfinite(a) || !isfinite(b))
        return false;
    const uint32_t *const inputs[] = {p->before[MTH_KEPT_W], p->before[MTH_KEPT_M], p->before[MTH_KEPT_V],
                                      p->after[MTH_KEPT_M], p->after[MTH_KEPT_V]};
    uint32_t predicted[MTH_REPLAY_SAMPLE];
    settings[0] = mth_bits_of((float)kept);
    settings[1] = mth_bits_of((float)a);
    settings[2] = mth_bits_of((float)b);
    settings[3] = mth_bits_of((float)eps);
    predict(MTH_PREDICT_ADAM_DRIFT, settings, inputs, p->n, predicted);
    return bits_apart(predicted, p->after[MTH_KEPT_W], p->n) + MIN_GAIN <
           bits_apart(p->before[MTH_KEPT_W], p->after[MTH_KEPT_W], p->n);
}
