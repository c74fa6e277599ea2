/* What of each optimizer follows from what, and with what numbers; see replay.h and docs/states.md. */
#include "pipeline/replay.h"

#include "transforms/predictors/float_bits.h"

#include <math.h>

/* Bits a value by which a prediction must be nearer than the value before, or it is not worth its time. */
#define MIN_GAIN 0.05

static uint32_t setting(double value)
{
    return mth_bits_of((float)value);
}

/* The recipe of a tensor, which comes next; not predicted as yet. */
static struct mth_recipe *add(struct mth_recipes *recipes, enum mth_kept of)
{
    struct mth_recipe *recipe = &recipes->of[recipes->n++];
    *recipe = (struct mth_recipe){.of = of};
    return recipe;
}

static void before(struct mth_recipe *recipe, enum mth_kept kept)
{
    recipe->inputs[recipe->n_inputs].is_after = false;
    recipe->inputs[recipe->n_inputs++].kept = kept;
}

static void after(struct mth_recipe *recipe, enum mth_kept kept)
{
    recipe->inputs[recipe->n_inputs].is_after = true;
    recipe->inputs[recipe->n_inputs++].kept = kept;
}

static bool is_kept(const struct mth_replay_parameter *p, enum mth_kept kept)
{
    return p->regions[kept] != MTH_NO_REGION;
}

/* Takes what was tried if it fits better than what was kept. */
static void keep_better(const struct mth_replay_parameter *p, const struct mth_recipe *tried, size_t *most,
                        struct mth_recipe *recipe)
{
    size_t n = mth_recipe_fit(p, tried);
    if (n > *most) {
        *most = n;
        *recipe = *tried;
    }
}

/* The rate is the file's, or the base's where a scheduler has set the next one already. */
static double rate(const struct mth_replay_parameter *p, size_t which)
{
    return which && p->base_group ? p->base_group->lr : p->group->lr;
}

/* What gradients were summed up to, by gradient24; squares: those that sizes are relative to, or what was there before. */
static void sum_up(struct mth_recipe *recipe, enum mth_kept squares)
{
    recipe->n_inputs = 0;
    before(recipe, recipe->of);
    before(recipe, squares);
    before(recipe, MTH_KEPT_W);
}

/* A moving average of gradients by its transform; weight: the share of a new one. False where that is none. */
static bool add_moment(struct mth_recipes *recipes, double weight, double most)
{
    float share = (float)weight < 1 ? (float)weight : 0x1.fffffep-1f;
    struct mth_recipe *m = add(recipes, MTH_KEPT_M);
    before(m, MTH_KEPT_M);
    before(m, MTH_KEPT_V);
    recipes->weight = mth_bits_of(share);
    return share >= 0x1p-24f && (double)share < most;
}

/* Squares that are averaged as gradients are, whose own average is known. */
static bool add_squares(const struct mth_replay_parameter *p, double beta2, uint32_t scale,
                        struct mth_recipes *recipes)
{
    const struct mth_way *way = &recipes->way;
    struct mth_recipe *v = add(recipes, MTH_KEPT_V);
    v->predictor = recipes->gradients == MTH_GRADIENTS_24 ? MTH_PREDICT_ADAM_V24 : MTH_PREDICT_ADAM_V;
    before(v, MTH_KEPT_V);
    before(v, MTH_KEPT_M);
    after(v, MTH_KEPT_M);
    v->settings[0] = recipes->weight;
    v->settings[1] = setting(beta2);
    v->settings[2] = setting(1 - beta2);
    v->settings[3] = scale;
    if (recipes->gradients == MTH_GRADIENTS_SUMMED) {
        v->predictor = MTH_PREDICT_SUMMED_V;
        before(v, MTH_KEPT_W);
        v->settings[4] = mth_bits_of(way->stays);
        v->settings[5] = mth_bits_of(way->decay);
    }
    return mth_recipe_fit(p, v) > 0;
}

/* Weights less a rate times what is said to be subtracted. */
static void add_subtraction(const struct mth_replay_parameter *p, struct mth_recipes *recipes)
{
    const struct mth_optimizer_group *group = p->group;
    struct mth_recipe *w = add(recipes, MTH_KEPT_W);
    size_t most = 0;
    for (size_t i = 0; i < 2; i++) {
        struct mth_recipe tried = {.of = MTH_KEPT_W, .predictor = MTH_PREDICT_SGD_W};
        before(&tried, MTH_KEPT_W);
        after(&tried, MTH_KEPT_MOMENTUM);
        tried.settings[0] = setting(-rate(p, i));
        if (group->kind == MTH_OPTIMIZER_SGD && group->is_nesterov) {
            tried.predictor = MTH_PREDICT_NESTEROV_W;
            before(&tried, MTH_KEPT_MOMENTUM);
            tried.settings[1] = setting(group->momentum);
            tried.settings[2] = setting(1 / (1 - group->dampening));
        }
        keep_better(p, &tried, &most, w);
    }
}

/* ---- Adam ---- */

/* What the weights came of. */
static struct mth_recipe fit_adam_weights(const struct mth_replay_parameter *p)
{
    const struct mth_optimizer_group *group = p->group;
    struct mth_recipe w = {.of = MTH_KEPT_W};
    double correction = 1 - pow(group->beta1, p->step), bias = sqrt(1 - pow(group->beta2, p->step));
    size_t most = 0;
    /* Weights decay by the rate, or not. */
    for (size_t i = 0; i < 4; i++) {
        struct mth_recipe tried = {.of = MTH_KEPT_W, .predictor = MTH_PREDICT_ADAM_W};
        double lr = rate(p, i % 2);
        before(&tried, MTH_KEPT_W);
        after(&tried, MTH_KEPT_M);
        after(&tried, is_kept(p, MTH_KEPT_MAX) ? MTH_KEPT_MAX : MTH_KEPT_V);
        tried.settings[0] = setting(i < 2 ? 1 - lr * group->weight_decay : 1);
        tried.settings[1] = setting(-(lr / correction));
        tried.settings[2] = setting(bias);
        tried.settings[3] = setting(group->eps);
        keep_better(p, &tried, &most, &w);
    }
    return w;
}

/* By lerp_, or by mul_ and add_ as before PyTorch 2; gradients alone or, where weights do not decay but might, with a share of these. */
static size_t list_adam_ways(const struct mth_optimizer_group *group, const struct mth_recipe *w,
                             struct mth_way ways[MTH_MAX_WAYS])
{
    bool may_decay = group->weight_decay > 0 && group->weight_decay <= 1 && w->settings[0] == setting(1);
    size_t n = 0;
    for (size_t decays = 0; decays <= may_decay; decays++) {
        for (size_t is_sum = 0; is_sum < 2; is_sum++)
            ways[n++] = (struct mth_way){.of = MTH_KEPT_M,
                                         .weight = (float)(1 - group->beta1),
                                         .stays = is_sum ? (float)group->beta1 : 0,
                                         .decay = decays ? (float)group->weight_decay : 0};
    }
    return n;
}

static bool find_adam(const struct mth_replay_parameter *p, struct mth_replay_scale *scale,
                      struct mth_recipes *recipes)
{
    struct mth_way ways[MTH_MAX_WAYS];
    const bool has_weights = is_kept(p, MTH_KEPT_W);
    const struct mth_recipe w = has_weights ? fit_adam_weights(p) : (struct mth_recipe){.of = MTH_KEPT_W};
    if (!add_moment(recipes, 1 - p->group->beta1, 0.5))
        return false;
    size_t n_ways = list_adam_ways(p->group, &w, ways);
    /* gradient24 takes weights, whether they decay or not. */
    recipes->gradients = mth_replay_fit_scale(p, ways, has_weights ? n_ways : 1, scale);
    if (recipes->gradients == MTH_GRADIENTS_SUMMED) {
        recipes->way = ways[scale->way];
        sum_up(&recipes->of[0], MTH_KEPT_V);
    }
    if (!add_squares(p, p->group->beta2, recipes->gradients == MTH_GRADIENTS_32 ? 0 : scale->bits, recipes))
        return false;
    if (is_kept(p, MTH_KEPT_MAX)) {
        struct mth_recipe *largest = add(recipes, MTH_KEPT_MAX);
        largest->predictor = MTH_PREDICT_LARGER;
        before(largest, MTH_KEPT_MAX);
        after(largest, MTH_KEPT_V);
    }
    if (has_weights)
        recipes->of[recipes->n++] = w;
    return true;
}

/* Several steps: the gradients between are not known, but what is left of the moments before, and where the weights went. */
static bool follow_adam(const struct mth_replay_parameter *p, struct mth_recipes *recipes)
{
    const struct mth_optimizer_group *group = p->group;
    double kept = pow(1 - group->lr * group->weight_decay, p->n_steps), a, b;
    if (!(group->beta1 >= 0) || !add_moment(recipes, 1 - pow(group->beta1, p->n_steps), 1))
        return false;
    add(recipes, MTH_KEPT_V);
    if (is_kept(p, MTH_KEPT_MAX))
        add(recipes, MTH_KEPT_MAX);
    if (!is_kept(p, MTH_KEPT_W))
        return true;
    struct mth_recipe *w = add(recipes, MTH_KEPT_W), moved = {.of = MTH_KEPT_W};
    if (!mth_replay_fit_drift(p, kept, &a, &b))
        return true;
    moved.predictor = MTH_PREDICT_ADAM_DRIFT;
    before(&moved, MTH_KEPT_W);
    before(&moved, MTH_KEPT_M);
    before(&moved, MTH_KEPT_V);
    after(&moved, MTH_KEPT_M);
    after(&moved, MTH_KEPT_V);
    moved.settings[0] = setting(kept);
    moved.settings[1] = setting(a);
    moved.settings[2] = setting(b);
    moved.settings[3] = setting(group->eps);
    if (mth_recipe_gain(p, &moved) > MIN_GAIN)
        *w = moved;
    return true;
}

/* ---- the others ---- */

static bool find_sgd(const struct mth_replay_parameter *p, struct mth_replay_scale *scale,
                     struct mth_recipes *recipes)
{
    const struct mth_optimizer_group *group = p->group;
    if (!is_kept(p, MTH_KEPT_MOMENTUM))
        return false;
    struct mth_recipe *momentum = add(recipes, MTH_KEPT_MOMENTUM);
    const struct mth_way way = {.of = MTH_KEPT_MOMENTUM,
                                .weight = (float)(1 - group->dampening),
                                .stays = (float)group->momentum,
                                .decay = (float)group->weight_decay};
    bool is_known = way.weight >= 0x1p-24f && way.weight <= 1 && way.stays > 0 && way.stays <= 1 &&
                    way.decay >= 0 && way.decay <= 1;
    if (is_known && mth_replay_fit_scale(p, &way, 1, scale) == MTH_GRADIENTS_SUMMED) {
        recipes->gradients = MTH_GRADIENTS_SUMMED;
        recipes->weight = mth_bits_of(way.weight);
        recipes->way = way;
        sum_up(momentum, MTH_KEPT_MOMENTUM);
    }
    add_subtraction(p, recipes);
    return recipes->of[1].n_inputs > 0;
}

/* Gradients that were divided by the root of squares: what they moved, and by what. */
struct division {
    enum mth_kept moved;
    double stays, share, mu; /* of squares, and of what moved */
    bool by_rate;
};

static double rate_of_division(const struct mth_replay_parameter *p, size_t which)
{
    double lr = rate(p, which);
    return p->group->kind == MTH_OPTIMIZER_ADAGRAD ? lr / (1 + (p->step - 1) * p->group->lr_decay) : lr;
}

/* Where gradients of few bits made both; what moved is the first recipe. */
static bool add_divided(const struct mth_replay_parameter *p, const struct division *division,
                        struct mth_replay_scale *scale, struct mth_recipes *recipes)
{
    struct mth_way ways[MTH_MAX_WAYS];
    size_t n = division->by_rate ? 2 : 1;
    double decay = p->group->weight_decay;
    if (!(decay >= 0) || decay > 1)
        return false;
    for (size_t i = 0; i < n; i++)
        ways[i] = (struct mth_way){.of = division->moved,
                                   .weight = (float)division->share,
                                   .stays = (float)division->stays,
                                   .decay = (float)decay,
                                   .divides = true,
                                   .mu = (float)division->mu,
                                   .rate = division->by_rate ? (float)-rate_of_division(p, i) : 1,
                                   .eps = (float)p->group->eps};
    if (mth_replay_fit_scale(p, ways, n, scale) != MTH_GRADIENTS_DIVIDED)
        return false;
    recipes->gradients = MTH_GRADIENTS_DIVIDED;
    recipes->way = ways[scale->way];
    recipes->weight = mth_bits_of(recipes->way.weight);
    sum_up(&recipes->of[0], MTH_KEPT_V);
    struct mth_recipe *v = add(recipes, MTH_KEPT_V);
    v->predictor = MTH_PREDICT_DIVIDED_V;
    before(v, MTH_KEPT_V);
    before(v, division->moved);
    after(v, division->moved);
    before(v, MTH_KEPT_W);
    mth_way_numbers(&recipes->way, scale->bits, v->settings);
    return true;
}

/* Squares by what they divided: a tensor that moved by a rate times gradients over their root. */
static bool add_divisors(const struct mth_replay_parameter *p, const struct division *division,
                         struct mth_replay_scale *scale, struct mth_recipes *recipes)
{
    add(recipes, division->moved);
    if (add_divided(p, division, scale, recipes))
        return true;
    struct mth_recipe *v = add(recipes, MTH_KEPT_V);
    double best = MIN_GAIN;
    for (size_t i = 0; i < 2; i++) {
        struct mth_recipe tried = {.of = MTH_KEPT_V, .predictor = MTH_PREDICT_DIVISORS};
        before(&tried, MTH_KEPT_V);
        before(&tried, division->moved);
        after(&tried, division->moved);
        tried.settings[0] = setting(division->stays);
        tried.settings[1] = setting(division->share);
        tried.settings[2] = setting(division->mu);
        tried.settings[3] = setting(division->by_rate ? 1 / rate_of_division(p, i) : 1);
        double gain = mth_recipe_gain(p, &tried);
        if (gain > best) {
            best = gain;
            *v = tried;
        }
    }
    return best > MIN_GAIN;
}

static bool find_adagrad(const struct mth_replay_parameter *p, struct mth_replay_scale *scale,
                         struct mth_recipes *recipes)
{
    const struct division division = {MTH_KEPT_W, 1, 1, 1, true};
    return add_divisors(p, &division, scale, recipes);
}

/* Gradients, less their average in what divides them, over that: what weights or their momentum move by. */
static void add_centered(const struct mth_replay_parameter *p, enum mth_kept moved, double mu, bool by_rate,
                         struct mth_recipes *recipes)
{
    struct mth_recipe *recipe = add(recipes, moved);
    size_t most = 0;
    for (size_t i = 0; i < 2; i++) {
        struct mth_recipe tried = {.of = moved, .predictor = MTH_PREDICT_CENTERED};
        before(&tried, moved);
        before(&tried, MTH_KEPT_M);
        after(&tried, MTH_KEPT_M);
        after(&tried, MTH_KEPT_V);
        tried.settings[0] = setting(mu);
        tried.settings[1] = setting(by_rate ? -rate(p, i) : 1);
        tried.settings[2] = recipes->weight;
        tried.settings[3] = setting(p->group->eps);
        keep_better(p, &tried, &most, recipe);
    }
}

static bool find_rmsprop(const struct mth_replay_parameter *p, struct mth_replay_scale *scale,
                         struct mth_recipes *recipes)
{
    const struct mth_optimizer_group *group = p->group;
    bool has_momentum = is_kept(p, MTH_KEPT_MOMENTUM), fits;
    if (is_kept(p, MTH_KEPT_M)) {
        const struct mth_way way = {.of = MTH_KEPT_M, .weight = (float)(1 - group->alpha)};
        fits = add_moment(recipes, 1 - group->alpha, 0.5);
        if (fits)
            recipes->gradients = mth_replay_fit_scale(p, &way, 1, scale);
        fits = fits && add_squares(p, group->alpha, recipes->gradients == MTH_GRADIENTS_32 ? 0 : scale->bits,
                                   recipes);
        if (fits && has_momentum)
            add_centered(p, MTH_KEPT_MOMENTUM, group->momentum, false, recipes);
        else if (fits)
            add_centered(p, MTH_KEPT_W, 1, true, recipes);
    } else {
        const struct division division = {has_momentum ? MTH_KEPT_MOMENTUM : MTH_KEPT_W, group->alpha,
                                          1 - group->alpha, has_momentum ? group->momentum : 1,
                                          !has_momentum};
        fits = add_divisors(p, &division, scale, recipes);
    }
    if (fits && has_momentum)
        add_subtraction(p, recipes);
    return fits;
}

bool mth_replay_find(const struct mth_replay_parameter *p, struct mth_replay_scale *scale,
                     struct mth_recipes *recipes)
{
    bool has_moments = is_kept(p, MTH_KEPT_M) && is_kept(p, MTH_KEPT_V);
    *recipes = (struct mth_recipes){.gradients = MTH_GRADIENTS_32, .way = {.of = MTH_KEPT_M}};
    if (!is_kept(p, MTH_KEPT_W) && p->group->kind != MTH_OPTIMIZER_ADAM)
        return false;
    switch (p->group->kind) {
    case MTH_OPTIMIZER_ADAM:
        if (!has_moments || p->n_steps < 1)
            return false;
        return p->n_steps > 1 ? follow_adam(p, recipes) : find_adam(p, scale, recipes);
    case MTH_OPTIMIZER_SGD:
        return find_sgd(p, scale, recipes);
    case MTH_OPTIMIZER_ADAGRAD:
        return is_kept(p, MTH_KEPT_V) && p->n_steps == 1 && find_adagrad(p, scale, recipes);
    case MTH_OPTIMIZER_RMSPROP:
        return is_kept(p, MTH_KEPT_V) && p->n_steps == 1 && find_rmsprop(p, scale, recipes);
    default:
        return false;
    }
}

double mth_replay_gain_of_weights(const struct mth_replay_parameter *p)
{
    struct mth_recipes recipes;
    double gain = 0;
    if (!mth_replay_find(p, NULL, &recipes))
        return 0;
    for (size_t i = 0; i < recipes.n; i++) {
        const struct mth_recipe *recipe = &recipes.of[i];
        bool takes_part = recipe->of == MTH_KEPT_W;
        for (size_t k = 0; k < recipe->n_inputs; k++)
            takes_part |= recipe->inputs[k].kept == MTH_KEPT_W;
        if (takes_part && recipe->predictor != MTH_PREDICT_NOTHING)
            gain += mth_recipe_gain(p, recipe);
    }
    return gain;
}
