/* How well predictions fit a sample; see replay.h. */
#include "pipeline/replay.h"

#include "base/checked.h"
#include "transforms/predictors/float_bits.h"

#include <math.h>

static void predict(const struct mth_replay_parameter *p, const struct mth_recipe *recipe,
                    uint32_t predicted[MTH_REPLAY_SAMPLE])
{
    uint8_t bytes[MTH_MAX_INPUTS][4 * MTH_REPLAY_SAMPLE], result[4 * MTH_REPLAY_SAMPLE];
    const uint8_t *inputs[MTH_MAX_INPUTS];
    for (size_t k = 0; k < recipe->n_inputs; k++) {
        enum mth_kept kept = recipe->inputs[k].kept;
        const uint32_t *input = recipe->inputs[k].is_after ? p->after[kept] : p->before[kept];
        inputs[k] = bytes[k];
        for (size_t i = 0; i < p->n; i++)
            mth_store32(bytes[k] + 4 * i, input[i]);
    }
    mth_predictor_at(recipe->predictor)->predict(recipe->settings, inputs, p->n, result);
    for (size_t i = 0; i < p->n; i++)
        predicted[i] = mth_load32(result + 4 * i);
}

static uint32_t steps_apart(uint32_t a, uint32_t b)
{
    return a > b ? a - b : b - a;
}

size_t mth_recipe_fit(const struct mth_replay_parameter *p, const struct mth_recipe *recipe)
{
    enum { NEAR_STEPS = 8 };
    uint32_t predicted[MTH_REPLAY_SAMPLE];
    size_t n_near = 0, n_exact = 0;
    predict(p, recipe, predicted);
    for (size_t i = 0; i < p->n; i++) {
        uint32_t apart = steps_apart(predicted[i], p->after[recipe->of][i]);
        n_near += apart <= NEAR_STEPS;
        n_exact += apart == 0;
    }
    return n_near >= p->n - p->n / 4 ? n_exact + 1 : 0;
}

double mth_recipe_gain(const struct mth_replay_parameter *p, const struct mth_recipe *recipe)
{
    uint32_t predicted[MTH_REPLAY_SAMPLE];
    double gain = 0;
    predict(p, recipe, predicted);
    for (size_t i = 0; i < p->n; i++) {
        uint32_t actual = p->after[recipe->of][i];
        gain += log2(1 + (double)steps_apart(p->before[recipe->of][i], actual)) -
                log2(1 + (double)steps_apart(predicted[i], actual));
    }
    return gain / (double)p->n;
}

/* What Adam moves a weight by, but for its rate: NAN or infinite where that is none. */
static double move_of(uint32_t m, uint32_t v, double eps)
{
    return (double)mth_float_of(m) / (sqrt((double)mth_float_of(v)) + eps);
}

bool mth_replay_fit_drift(const struct mth_replay_parameter *p, double kept, double *a, double *b)
{
    double xx = 0, xy = 0, yy = 0, xz = 0, yz = 0, eps = p->group->eps;
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
    *a = (xz * yy - yz * xy) / determinant;
    *b = (yz * xx - xz * xy) / determinant;
    return isfinite(*a) && isfinite(*b);
}
