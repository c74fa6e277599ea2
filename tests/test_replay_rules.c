/*
 * Laws of the rules by which steps of optimizers are redone. Steps are written out here, one operation after the other, as PyTorch does them:
 * each tensor that follows from others comes out just as it is, and the scale of gradients is the one that they had. Of several steps what is
 * left is taken where it tells a twentieth of a bit, and what comes near is counted as docs/states.md has it.
 */
#include "pipeline/replay.h"

#include "tests/support/patterns.h"
#include "transforms/predictors/float_bits.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N = MTH_REPLAY_SAMPLE };

#define SCALE 0.7071068F

static uint64_t random_state;

/* -1 to 1. */
static double uniform(void)
{
    return ldexp((double)(pattern_random(&random_state) >> 11), -52) - 1;
}

/* Of gradients: bf16 ones, sums of some, any. */
enum width { OF_16_BITS, OF_24_BITS, OF_ANY };

static const enum mth_gradients of_width[] = {MTH_GRADIENTS_16, MTH_GRADIENTS_24, MTH_GRADIENTS_32};

static float gradient_of(enum width width)
{
    uint32_t any = mth_bits_of((float)(1e-3 * uniform() * pow(2, 3 * uniform())));
    if (width == OF_ANY)
        return mth_float_of(any);
    return mth_float_of(mth_cut_bits(any, width == OF_16_BITS ? 16 : 8)) * SCALE;
}

struct tested {
    struct mth_replay_parameter p;
    struct mth_optimizer_group group, base;
};

/* A parameter of which some tensors are kept. The rate stands in the base's group alone, where a scheduler has set the next one. */
static void begin(struct tested *t, const struct mth_optimizer_group *group, unsigned kept, double step,
                  bool rate_is_base_s)
{
    struct mth_replay_parameter *p = &t->p;
    random_state = 1 + (uint64_t)step;
    memset(p, 0, sizeof *p);
    t->group = t->base = *group;
    if (rate_is_base_s)
        t->group.lr *= 0.75;
    else
        t->base.lr *= 0.75;
    p->n_elems = p->n = N;
    p->step = step;
    p->n_steps = 1;
    p->group = &t->group;
    p->base_group = &t->base;
    for (uint32_t k = 0; k < MTH_KEPT_STEP; k++)
        p->regions[k] = kept >> k & 1 ? k : MTH_NO_REGION;
    for (size_t i = 0; i < N; i++) {
        double size = 1e-3 * pow(2, 2 * uniform());
        p->before[MTH_KEPT_W][i] = mth_bits_of((float)(0.05 * uniform()));
        p->before[MTH_KEPT_M][i] = mth_bits_of((float)(size * uniform() / 4));
        p->before[MTH_KEPT_V][i] = mth_bits_of((float)(size * size / 3));
        p->before[MTH_KEPT_MAX][i] = mth_bits_of((float)(size * size));
        p->before[MTH_KEPT_MOMENTUM][i] = mth_bits_of((float)(size * uniform()));
    }
}

static float before(const struct tested *t, enum mth_kept kept, size_t i)
{
    return mth_float_of(t->p.before[kept][i]);
}

static void set(struct tested *t, enum mth_kept kept, size_t i, float value)
{
    t->p.after[kept][i] = mth_bits_of(value);
}

static const struct mth_recipe *recipe_of(const struct mth_recipes *recipes, enum mth_kept kept)
{
    for (size_t i = 0; i < recipes->n; i++)
        if (recipes->of[i].of == kept)
            return &recipes->of[i];
    return NULL;
}

/* How many elements of the sample come out just so; N of all. */
static size_t n_exact(const struct tested *t, const struct mth_recipes *recipes, enum mth_kept kept)
{
    const struct mth_recipe *recipe = recipe_of(recipes, kept);
    if (!recipe || recipe->predictor == MTH_PREDICT_NOTHING)
        return 0;
    size_t n = mth_recipe_fit(&t->p, recipe);
    return n ? n - 1 : 0;
}

/* The tensors that are said to follow do, exactly but for a few; what gradients were is found. */
static void check(const char *what, const struct tested *t, enum mth_gradients gradients, unsigned follow)
{
    struct mth_replay_scale scale = {.bits = 0};
    struct mth_recipes recipes;
    if (!mth_replay_find(&t->p, &scale, &recipes))
        fail_msg("%s: nothing follows", what);
    if (recipes.gradients != gradients)
        fail_msg("%s: gradients are %d, not %d", what, (int)recipes.gradients, (int)gradients);
    if (gradients != MTH_GRADIENTS_32)
        assert_true(fabs((double)mth_float_of(scale.bits) - (double)SCALE) < 0x1p-20);
    for (unsigned k = 0; k < MTH_KEPT_STEP; k++) {
        size_t n = n_exact(t, &recipes, (enum mth_kept)k);
        if (follow >> k & 1 && n < N - N / 16)
            fail_msg("%s: of tensor %u %zu elements come out", what, k, n);
    }
}

enum {
    W = 1 << MTH_KEPT_W,
    M = 1 << MTH_KEPT_M,
    V = 1 << MTH_KEPT_V,
    LARGEST = 1 << MTH_KEPT_MAX,
    MOMENTUM = 1 << MTH_KEPT_MOMENTUM
};

/* ---- Adam ---- */

/* decays: through the gradient, as Adam does, not by itself, as AdamW; is_sum: mul_ and add_ instead of lerp_. */
static void step_adam(struct tested *t, const struct mth_optimizer_group *true_group, enum width width,
                      bool decays, bool is_sum, bool has_largest)
{
    const struct mth_optimizer_group *group = true_group;
    float of_m = (float)(1 - group->beta1), beta1 = (float)group->beta1, of_v = (float)(1 - group->beta2),
          beta2 = (float)group->beta2, decay = (float)group->weight_decay,
          kept = decays ? 1 : (float)(1 - group->lr * group->weight_decay),
          rate = (float)-(group->lr / (1 - pow(group->beta1, t->p.step))),
          bias = (float)sqrt(1 - pow(group->beta2, t->p.step)), eps = (float)group->eps;
    for (size_t i = 0; i < N; i++) {
        float w = before(t, MTH_KEPT_W, i), m = before(t, MTH_KEPT_M, i), v = before(t, MTH_KEPT_V, i),
              most = before(t, MTH_KEPT_MAX, i), g = gradient_of(width);
        if (decays)
            g = fmaf(decay, w, g);
        m = is_sum ? fmaf(of_m, g, m * beta1) : fmaf(of_m, g - m, m);
        v = fmaf(of_v * g, g, v * beta2);
        most = v > most ? v : most;
        set(t, MTH_KEPT_M, i, m);
        set(t, MTH_KEPT_V, i, v);
        set(t, MTH_KEPT_MAX, i, most);
        set(t, MTH_KEPT_W, i, w * kept + (rate * m) / (sqrtf(has_largest ? most : v) / bias + eps));
    }
}

static const struct mth_optimizer_group adam = {
    .kind = MTH_OPTIMIZER_ADAM, .lr = 1e-3, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8};

static void each_order_of_adam_s_operations_is_redone(void **state)
{
    (void)state;
    const struct mth_optimizer_group group = adam;
    static struct tested t;
    for (unsigned form = 0; form < 48; form++) {
        enum width width = (enum width)(form % 3);
        bool decays = form / 3 & 1, is_sum = form / 6 & 1, has_largest = form / 12 & 1,
             is_base_s = form / 24 & 1;
        char what[100];
        snprintf(what, sizeof what, "Adam, form %u", form);
        begin(&t, &group, W | M | V | (has_largest ? LARGEST : 0), 12, is_base_s);
        step_adam(&t, &group, width, decays, is_sum, has_largest);
        bool is_plain = (!decays && !is_sum) || width == OF_ANY;
        check(what, &t, is_plain ? of_width[width] : MTH_GRADIENTS_SUMMED,
              W | (width == OF_ANY ? 0 : V) | (has_largest ? LARGEST : 0));
    }
}

/* Parameters of one model share the scale; those of another group may have summed otherwise. */
static void a_scale_that_is_known_serves_every_way(void **state)
{
    (void)state;
    const struct mth_optimizer_group group = adam;
    static struct tested t;
    struct mth_replay_scale scale = {.bits = 0};
    static const struct {
        bool decays, is_sum;
        size_t way;
    } cases[] = {{true, true, 3}, {false, false, 0}, {true, false, 2}, {false, true, 1}, {true, true, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mth_recipes recipes;
        begin(&t, &group, W | M | V, 12 + (double)i, false);
        step_adam(&t, &group, OF_16_BITS, cases[i].decays, cases[i].is_sum, false);
        assert_true(mth_replay_find(&t.p, &scale, &recipes));
        assert_int_equal(scale.way, cases[i].way);
        assert_int_equal(n_exact(&t, &recipes, MTH_KEPT_W), N);
        /* Without its weights a parameter has one way, whatever others had. */
        t.p.regions[MTH_KEPT_W] = MTH_NO_REGION;
        assert_true(mth_replay_find(&t.p, &scale, &recipes));
        assert_null(recipe_of(&recipes, MTH_KEPT_W));
        assert_int_equal(recipes.gradients,
                         cases[i].decays || cases[i].is_sum ? MTH_GRADIENTS_32 : MTH_GRADIENTS_16);
        scale.way = cases[i].way;
    }
}

/* ---- SGD, Adagrad, RMSprop ---- */

static void each_order_of_sgd_s_operations_is_redone(void **state)
{
    (void)state;
    static struct tested t;
    for (unsigned form = 0; form < 24; form++) {
        bool is_nesterov = form & 1, decays = form >> 1 & 1, is_base_s = form >> 2 & 1;
        enum width width = (enum width)(form / 8);
        const struct mth_optimizer_group group = {.kind = MTH_OPTIMIZER_SGD,
                                                  .lr = 0.1,
                                                  .weight_decay = decays ? 0.01 : 0,
                                                  .momentum = 0.9,
                                                  .dampening = form >> 1 & 1 ? 0.5 : 0,
                                                  .is_nesterov = is_nesterov};
        float rate = (float)-group.lr, mu = (float)group.momentum, share = (float)(1 - group.dampening),
              decay = (float)group.weight_decay;
        char what[100];
        snprintf(what, sizeof what, "SGD, form %u", form);
        begin(&t, &group, W | MOMENTUM, 7, is_base_s);
        for (size_t i = 0; i < N; i++) {
            float w = before(&t, MTH_KEPT_W, i), momentum = before(&t, MTH_KEPT_MOMENTUM, i),
                  g = gradient_of(width);
            if (decays)
                g = fmaf(decay, w, g);
            momentum = fmaf(share, g, momentum * mu);
            set(&t, MTH_KEPT_MOMENTUM, i, momentum);
            set(&t, MTH_KEPT_W, i, fmaf(is_nesterov ? fmaf(momentum, mu, g) : momentum, rate, w));
        }
        check(what, &t, width == OF_ANY ? MTH_GRADIENTS_32 : MTH_GRADIENTS_SUMMED, W);
    }
}

/* What squares divide is weights, or their momentum; of gradients of any bits squares come near, of few they follow. */
static void each_division_by_the_root_of_squares_is_redone(void **state)
{
    (void)state;
    static struct tested t;
    for (unsigned form = 0; form < 32; form++) {
        bool is_adagrad = form & 1, has_momentum = !is_adagrad && form >> 1 & 1, is_base_s = form >> 2 & 1,
             decays = form >> 3 & 1;
        /* Of sums weights tell too little. */
        enum width width = form / 16 ? OF_ANY : OF_16_BITS;
        const struct mth_optimizer_group group = {.kind = is_adagrad ? MTH_OPTIMIZER_ADAGRAD
                                                                     : MTH_OPTIMIZER_RMSPROP,
                                                  .lr = 0.01,
                                                  .weight_decay = decays ? 0.01 : 0,
                                                  .momentum = has_momentum ? 0.9 : 0,
                                                  .alpha = 0.99,
                                                  .lr_decay = 0.01,
                                                  .eps = 1e-8};
        enum { STEP = 9 };
        float rate = (float)-(is_adagrad ? group.lr / (1 + (STEP - 1) * group.lr_decay) : group.lr),
              stays = is_adagrad ? 1 : (float)group.alpha, share = is_adagrad ? 1 : (float)(1 - group.alpha),
              mu = (float)group.momentum, decay = (float)group.weight_decay, eps = (float)group.eps;
        char what[100];
        snprintf(what, sizeof what, "division, form %u", form);
        begin(&t, &group, W | V | (has_momentum ? MOMENTUM : 0), STEP, is_base_s);
        for (size_t i = 0; i < N; i++) {
            float w = before(&t, MTH_KEPT_W, i), v = before(&t, MTH_KEPT_V, i),
                  momentum = before(&t, MTH_KEPT_MOMENTUM, i), g = gradient_of(width);
            if (decays)
                g = fmaf(decay, w, g);
            v = fmaf(share * g, g, v * stays);
            momentum = momentum * mu + g / (sqrtf(v) + eps);
            set(&t, MTH_KEPT_V, i, v);
            set(&t, MTH_KEPT_MOMENTUM, i, momentum);
            set(&t, MTH_KEPT_W, i,
                has_momentum ? fmaf(momentum, rate, w) : w + (rate * g) / (sqrtf(v) + eps));
        }
        check(what, &t, width == OF_ANY ? MTH_GRADIENTS_32 : MTH_GRADIENTS_DIVIDED,
              (has_momentum ? W : 0) | (width == OF_ANY ? 0 : V));
        if (width != OF_ANY)
            continue;
        struct mth_recipes recipes;
        assert_true(mth_replay_find(&t.p, NULL, &recipes));
        if (mth_recipe_gain(&t.p, recipe_of(&recipes, MTH_KEPT_V)) < 3)
            fail_msg("%s: squares do not come near", what);
    }
}

static void each_centered_division_is_redone(void **state)
{
    (void)state;
    static struct tested t;
    for (unsigned form = 0; form < 12; form++) {
        bool has_momentum = form & 1, is_base_s = form >> 1 & 1;
        enum width width = (enum width)(form / 4);
        const struct mth_optimizer_group group = {.kind = MTH_OPTIMIZER_RMSPROP,
                                                  .lr = 0.01,
                                                  .momentum = has_momentum ? 0.9 : 0,
                                                  .alpha = 0.99,
                                                  .eps = 1e-8};
        float rate = (float)-group.lr, stays = (float)group.alpha, share = (float)(1 - group.alpha),
              mu = (float)group.momentum, eps = (float)group.eps;
        char what[100];
        snprintf(what, sizeof what, "centered, form %u", form);
        begin(&t, &group, W | M | V | (has_momentum ? MOMENTUM : 0), 9, is_base_s);
        for (size_t i = 0; i < N; i++) {
            /* An average that was small tells what came to it. */
            t.p.before[MTH_KEPT_M][i] = mth_bits_of(before(&t, MTH_KEPT_M, i) / 64);
            float w = before(&t, MTH_KEPT_W, i), v = before(&t, MTH_KEPT_V, i), a = before(&t, MTH_KEPT_M, i),
                  momentum = before(&t, MTH_KEPT_MOMENTUM, i), g = gradient_of(width);
            v = fmaf(share * g, g, v * stays);
            a = fmaf(share, g - a, a);
            float below = sqrtf(fmaf(-a, a, v)) + eps;
            momentum = momentum * mu + g / below;
            set(&t, MTH_KEPT_V, i, v);
            set(&t, MTH_KEPT_M, i, a);
            set(&t, MTH_KEPT_MOMENTUM, i, momentum);
            set(&t, MTH_KEPT_W, i, has_momentum ? fmaf(momentum, rate, w) : w + (rate * g) / below);
        }
        struct mth_replay_scale scale = {.bits = 0};
        struct mth_recipes recipes;
        check(what, &t, of_width[width], (has_momentum ? W : 0) | (width == OF_ANY ? 0 : V));
        assert_true(mth_replay_find(&t.p, &scale, &recipes));
        /* The gradient is what its average tells: not to the last bit. */
        if (n_exact(&t, &recipes, has_momentum ? MTH_KEPT_MOMENTUM : MTH_KEPT_W) < N / 8)
            fail_msg("%s: what is divided does not come near", what);
    }
}

/* Shares that are none of a transform's options, though steps were made with them; and what is not kept. */
static void what_no_transform_takes_is_not_said(void **state)
{
    (void)state;
    static struct tested t;
    for (unsigned form = 0; form < 5; form++) {
        const struct mth_optimizer_group group = {.kind = form == 0   ? MTH_OPTIMIZER_SGD
                                                          : form == 1 ? MTH_OPTIMIZER_ADAGRAD
                                                          : form == 2 ? MTH_OPTIMIZER_RMSPROP
                                                                      : MTH_OPTIMIZER_ADAM,
                                                  .lr = 0.01,
                                                  .weight_decay = form < 4 ? 2 : 0.1,
                                                  .momentum = 0.9,
                                                  .alpha = 0.99,
                                                  .beta1 = form < 4 ? 0.9 : 1 - 0x1p-30,
                                                  .beta2 = 0.99,
                                                  .eps = 1e-8};
        struct mth_replay_scale scale = {.bits = mth_bits_of(SCALE)};
        struct mth_recipes recipes;
        bool is_adagrad = form == 1;
        float stays = is_adagrad ? 1 : (float)group.alpha, share = is_adagrad ? 1 : (float)(1 - group.alpha);
        begin(&t, &group, W | (form == 0 ? MOMENTUM : V) | (form > 2 ? M : 0), 1, false);
        /* As large as gradients: what decays does not hide these. */
        for (size_t i = 0; i < N; i++)
            t.p.before[MTH_KEPT_W][i] = mth_bits_of(before(&t, MTH_KEPT_W, i) / 256);
        if (form > 2)
            step_adam(&t, &group, OF_16_BITS, form == 3, false, false);
        for (size_t i = 0; form <= 2 && i < N; i++) {
            float w = before(&t, MTH_KEPT_W, i), v = before(&t, MTH_KEPT_V, i),
                  g = fmaf(2, w, gradient_of(OF_16_BITS)),
                  momentum = fmaf(1, g, before(&t, MTH_KEPT_MOMENTUM, i) * 0.9F);
            v = fmaf(share * g, g, v * stays);
            set(&t, MTH_KEPT_V, i, v);
            set(&t, MTH_KEPT_MOMENTUM, i, momentum);
            set(&t, MTH_KEPT_W, i,
                form == 0 ? fmaf(momentum, -0.01F, w) : w + (-0.01F * g) / (sqrtf(v) + 1e-8F));
        }
        bool found = mth_replay_find(&t.p, &scale, &recipes);
        if (found && recipes.gradients != MTH_GRADIENTS_32)
            fail_msg("form %u: gradients are %d", form, (int)recipes.gradients);
        /* What stands in for a share below all is one that there is. */
        assert_true(!found || recipes.weight == 0 ||
                    (recipes.weight >= 0x33800000 && recipes.weight < 0x3f800000));
        t.p.regions[MTH_KEPT_W] = MTH_NO_REGION;
        assert_true(form > 2 || !mth_replay_find(&t.p, &scale, &recipes));
    }
}

/* Squares that no such gradient made: what moved weights is not all that has to fit. */
static void squares_have_to_fit_what_they_divided(void **state)
{
    (void)state;
    static struct tested t;
    const struct mth_optimizer_group group = {
        .kind = MTH_OPTIMIZER_RMSPROP, .lr = 0.01, .alpha = 0.99, .eps = 1e-8};
    for (unsigned is_other = 0; is_other < 2; is_other++) {
        struct mth_replay_scale scale = {.bits = mth_bits_of(SCALE)};
        struct mth_recipes recipes;
        begin(&t, &group, W | V, 9, false);
        for (size_t i = 0; i < N; i++) {
            float g = gradient_of(OF_16_BITS),
                  v = fmaf((float)(1 - 0.99) * g, g, before(&t, MTH_KEPT_V, i) * 0.99F);
            set(&t, MTH_KEPT_W, i, before(&t, MTH_KEPT_W, i) + (-0.01F * g) / (sqrtf(v) + 1e-8F));
            set(&t, MTH_KEPT_V, i, is_other && i % 2 ? v * 1.001F : v);
        }
        assert_true(mth_replay_find(&t.p, &scale, &recipes));
        assert_int_equal(recipes.gradients, is_other ? MTH_GRADIENTS_32 : MTH_GRADIENTS_DIVIDED);
    }
}

/* ---- several steps ---- */

/* Weights that decayed and went where moments point, and by chance so many times as far. */
static void drift(struct tested *t, const struct mth_optimizer_group *group, double n_steps, double chance)
{
    double kept = pow(1 - group->lr * group->weight_decay, n_steps);
    begin(t, group, W | M | V, 20, false);
    t->group.lr = group->lr;
    t->p.n_steps = n_steps;
    for (size_t i = 0; i < N; i++) {
        float w = before(t, MTH_KEPT_W, i), v = before(t, MTH_KEPT_V, i) * 1.25F,
              m = before(t, MTH_KEPT_M, i) * 0.5F + (float)(2e-4 * uniform());
        double move = -2e-3 * (double)before(t, MTH_KEPT_M, i) / sqrt((double)before(t, MTH_KEPT_V, i)) -
                      1e-3 * (double)m / sqrt((double)v);
        set(t, MTH_KEPT_M, i, m);
        set(t, MTH_KEPT_V, i, v);
        set(t, MTH_KEPT_W, i, (float)((double)w * kept + move + chance * 1e-3 * uniform()));
    }
}

static const struct mth_optimizer_group drifting = {
    .kind = MTH_OPTIMIZER_ADAM, .lr = 1e-3, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-12};

static void weights_of_several_steps_follow_where_it_pays(void **state)
{
    (void)state;
    /* About how many hundredths of a bit a value are gained: none at all, little, and more than a twentieth of a bit. */
    static const struct {
        double chance;
        bool follow;
    } cases[] = {{0, true}, {0.1, true}, {1, true}, {3, true}, {12, false}, {100, false}};
    static struct tested t;
    double least_taken = INFINITY;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mth_recipes recipes;
        drift(&t, &drifting, 5, cases[i].chance);
        assert_true(mth_replay_find(&t.p, NULL, &recipes));
        const struct mth_recipe *w = recipe_of(&recipes, MTH_KEPT_W);
        assert_non_null(w);
        if ((w->predictor != MTH_PREDICT_NOTHING) != cases[i].follow)
            fail_msg("%g times as far by chance: %s", cases[i].chance, w->n_inputs ? "follows" : "does not");
        double gain = mth_replay_gain_of_weights(&t.p);
        assert_true(cases[i].follow == (gain > 0.05));
        least_taken = cases[i].follow && gain < least_taken ? gain : least_taken;
    }
    /* What is taken is not far from what is not. */
    assert_true(least_taken < 0.2);
}

/* The decay of each step is in what is left of weights: nothing is left to chance then. */
static void weights_of_several_steps_decay_as_often(void **state)
{
    (void)state;
    static const double steps[] = {2, 5, 40};
    static struct tested t;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct mth_recipes recipes;
        drift(&t, &drifting, steps[i], 0);
        assert_true(mth_replay_find(&t.p, NULL, &recipes));
        const struct mth_recipe *w = recipe_of(&recipes, MTH_KEPT_W);
        assert_int_equal(w->predictor, MTH_PREDICT_ADAM_DRIFT);
        assert_true(mth_recipe_fit(&t.p, w) > N / 4);
    }
}

/* Nothing may be left of averages before: then a new gradient's share is all but one, or just that. */
static void averages_that_are_forgotten_are_followed(void **state)
{
    (void)state;
    static const double betas[] = {0, 0.1, 0.5};
    static struct tested t;
    for (size_t i = 0; i < sizeof betas / sizeof betas[0]; i++) {
        struct mth_optimizer_group group = drifting;
        struct mth_recipes recipes;
        group.beta1 = betas[i];
        drift(&t, &group, 40, 0);
        assert_true(mth_replay_find(&t.p, NULL, &recipes));
        assert_true(recipes.weight >= 0x3f7ffff0 && recipes.weight <= 0x3f7fffff);
    }
    /* And where hardly anything comes to them, that is no share. */
    struct mth_optimizer_group group = drifting;
    struct mth_recipes recipes;
    group.beta1 = 1 - 0x1p-30;
    drift(&t, &group, 5, 0);
    assert_false(mth_replay_find(&t.p, NULL, &recipes));
}

/* Squares of which nothing is known, as where all are zero: there is nothing to fit. */
static void what_has_no_squares_has_no_drift(void **state)
{
    (void)state;
    static struct tested t;
    struct mth_recipes recipes;
    double a, b;
    drift(&t, &drifting, 5, 0);
    t.group.eps = 0;
    memset(t.p.before[MTH_KEPT_V], 0, sizeof t.p.before[MTH_KEPT_V]);
    assert_false(mth_replay_fit_drift(&t.p, 1, &a, &b));
    assert_true(mth_replay_find(&t.p, NULL, &recipes));
    assert_int_equal(recipe_of(&recipes, MTH_KEPT_W)->predictor, MTH_PREDICT_NOTHING);
    /* One element that is no number is passed over, and the others tell. */
    drift(&t, &drifting, 5, 0);
    t.p.before[MTH_KEPT_V][3] = 0x7fc00000;
    t.p.after[MTH_KEPT_W][5] = 0x7f800000;
    assert_true(mth_replay_fit_drift(&t.p, 1, &a, &b));
    assert_true(mth_replay_find(&t.p, NULL, &recipes));
    assert_int_equal(recipe_of(&recipes, MTH_KEPT_W)->predictor, MTH_PREDICT_ADAM_DRIFT);
}

/* ---- what comes near ---- */

/* Three of four elements must be 8 steps away at most; counted are those that are exact. */
static void fits_are_counted_by_their_definition(void **state)
{
    (void)state;
    static struct mth_replay_parameter p;
    struct mth_recipe same = {.of = MTH_KEPT_MAX,
                              .predictor = MTH_PREDICT_LARGER,
                              .n_inputs = 2,
                              .inputs = {{false, MTH_KEPT_MAX}, {true, MTH_KEPT_V}}};
    static const struct {
        size_t n_off;
        int32_t by;
        size_t fit;
    } cases[] = {{0, 0, N + 1},        {N, 8, 1},
                 {N, -8, 1},           {N, 9, 0},
                 {N, -9, 0},           {N / 4, 1000, N - N / 4 + 1},
                 {N / 4 + 1, 1000, 0}, {N / 4 + 1, 8, N - N / 4}};
    random_state = 5;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        p = (struct mth_replay_parameter){.n_elems = N, .n = N};
        for (size_t i = 0; i < N; i++) {
            uint32_t x = 0x3f800000 + (uint32_t)(pattern_random(&random_state) & 0xffff);
            p.before[MTH_KEPT_MAX][i] = x;
            p.after[MTH_KEPT_V][i] = 0x3f000000;
            p.after[MTH_KEPT_MAX][i] = x + (uint32_t)(i < cases[c].n_off ? cases[c].by : 0);
        }
        assert_int_equal(mth_recipe_fit(&p, &same), cases[c].fit);
    }
    /* A value that was 3 steps away and is predicted: 2 bits. */
    for (size_t i = 0; i < N; i++) {
        p.before[MTH_KEPT_MAX][i] = 0x3f7ffffe; /* 1 has other bits */
        p.after[MTH_KEPT_V][i] = p.after[MTH_KEPT_MAX][i] = 0x3f800001;
    }
    assert_true(fabs(mth_recipe_gain(&p, &same) - 2) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_order_of_adam_s_operations_is_redone),
        cmocka_unit_test(a_scale_that_is_known_serves_every_way),
        cmocka_unit_test(each_order_of_sgd_s_operations_is_redone),
        cmocka_unit_test(each_division_by_the_root_of_squares_is_redone),
        cmocka_unit_test(each_centered_division_is_redone),
        cmocka_unit_test(what_no_transform_takes_is_not_said),
        cmocka_unit_test(squares_have_to_fit_what_they_divided),
        cmocka_unit_test(weights_of_several_steps_follow_where_it_pays),
        cmocka_unit_test(weights_of_several_steps_decay_as_often),
        cmocka_unit_test(averages_that_are_forgotten_are_followed),
        cmocka_unit_test(what_has_no_squares_has_no_drift),
        cmocka_unit_test(fits_are_counted_by_their_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
