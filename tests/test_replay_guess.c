/*
 * Laws of what a step of Adam was made with where no file tells: of a step that was made with known numbers, those are found, rounded or
 * not, and with the largest squares; what others had is tried first; of what was no step nothing is said for long. And of the scale of gradients that are sums.
 */
#include "pipeline/replay.h"

#include "tests/support/patterns.h"
#include "transforms/predictors/adam.h"
#include "transforms/predictors/float_bits.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define USUAL_GRADIENTS 1e-3

enum { N = MTH_REPLAY_SAMPLE };

static uint64_t random_state = 1;

/* -1 to 1. */
static double uniform(void)
{
    return ldexp((double)(pattern_random(&random_state) >> 11), -52) - 1;
}

static uint32_t bits(double value)
{
    return mth_bits_of((float)value);
}

/* A parameter that such a step moved, by predictors as they are tested on torch's own steps. scale: of its weights; gradients: of those. */
static void make_step(const struct mth_optimizer_group *group, double step, bool has_largest, double scale,
                      double gradients, struct mth_replay_parameter *p)
{
    const uint32_t settings[] = {bits(1 - group->lr * group->weight_decay),
                                 bits(-(group->lr / (1 - pow(group->beta1, step)))),
                                 bits(sqrt(1 - pow(group->beta2, step))), bits(group->eps)};
    float of_m = (float)(1 - group->beta1), of_v = (float)(1 - group->beta2), stays = (float)group->beta2;
    *p = (struct mth_replay_parameter){.n_elems = N, .n = N, .step = step, .n_steps = 1};
    for (size_t k = 0; k < MTH_KEPT_STEP; k++)
        p->regions[k] = MTH_NO_REGION;
    p->regions[MTH_KEPT_W] = 0;
    p->regions[MTH_KEPT_M] = 1;
    p->regions[MTH_KEPT_V] = 2;
    if (has_largest)
        p->regions[MTH_KEPT_MAX] = 3;
    for (size_t i = 0; i < N; i++) {
        /* Some weights are small: these tell rates best. */
        double size = gradients * pow(2, 4 * uniform());
        float g = (float)(size * uniform()), m0 = (float)(size * uniform() / 4),
              v0 = (float)(size * size / 3);
        float v1 = fmaf(of_v * g, g, v0 * stays);
        p->before[MTH_KEPT_W][i] = bits(scale * uniform() * pow(2, -4 * fabs(uniform())));
        p->before[MTH_KEPT_M][i] = mth_bits_of(m0);
        p->before[MTH_KEPT_V][i] = mth_bits_of(v0);
        p->after[MTH_KEPT_M][i] = mth_bits_of(fmaf(of_m, g - m0, m0));
        p->after[MTH_KEPT_V][i] = mth_bits_of(v1);
        p->after[MTH_KEPT_MAX][i] = mth_bits_of(i % 2 ? v1 : 3 * v1);
    }
    const uint8_t *of_w[] = {(const uint8_t *)p->before[MTH_KEPT_W], (const uint8_t *)p->after[MTH_KEPT_M],
                             (const uint8_t *)p->after[has_largest ? MTH_KEPT_MAX : MTH_KEPT_V]};
    mth_predictor_at(MTH_PREDICT_ADAM_W)->predict(settings, of_w, N, (uint8_t *)p->after[MTH_KEPT_W]);
}

/* How many weights come out with what was found. */
static size_t n_exact(const struct mth_replay_parameter *p, bool has_largest)
{
    const struct mth_optimizer_group *group = p->group;
    const uint32_t settings[] = {bits(1 - group->lr * group->weight_decay),
                                 bits(-(group->lr / (1 - pow(group->beta1, p->step)))),
                                 bits(sqrt(1 - pow(group->beta2, p->step))), bits(group->eps)};
    const uint8_t *inputs[] = {(const uint8_t *)p->before[MTH_KEPT_W], (const uint8_t *)p->after[MTH_KEPT_M],
                               (const uint8_t *)p->after[has_largest ? MTH_KEPT_MAX : MTH_KEPT_V]};
    uint32_t predicted[N];
    size_t n = 0;
    mth_predictor_at(MTH_PREDICT_ADAM_W)->predict(settings, inputs, N, (uint8_t *)predicted);
    for (size_t i = 0; i < N; i++)
        n += predicted[i] == p->after[MTH_KEPT_W][i];
    return n;
}

static bool is_near(double found, double real, double share)
{
    return fabs(found - real) <= share * fabs(real);
}

static void numbers_of_a_step_are_found(void **state)
{
    (void)state;
    static const struct {
        double beta1, beta2, eps, lr, decay, step;
        bool has_largest, is_round; /* rate and decay have few digits */
    } cases[] = {
        {0.9, 0.999, 1e-8, 1e-3, 0.01, 500, false, true},
        {0.9, 0.95, 1e-8, 3e-4, 0.1, 200, false, true},
        {0.95, 0.99, 1e-15, 5e-4, 0, 1000, false, true},
        {0.8, 0.9995, 1e-5, 2e-3, 0.05, 30, false, true},
        {0.9, 0.98, 1e-6, 6.25e-5, 0.1, 40, false, true},
        {0.9, 0.999, 1e-8, 1e-3, 0.01, 500, true, true},
        {0.9, 0.95, 1e-8, 2.7182818e-4, 0.1, 90, false, false},
        {0.9, 0.999, 1e-8, 7.3890561e-4, 0.03141593, 777, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct mth_optimizer_group group = {.kind = MTH_OPTIMIZER_ADAM,
                                                  .beta1 = cases[i].beta1,
                                                  .beta2 = cases[i].beta2,
                                                  .eps = cases[i].eps,
                                                  .lr = cases[i].lr,
                                                  .weight_decay = cases[i].decay};
        struct mth_replay_parameter p;
        struct mth_replay_guesses guesses = {.n = 0};
        make_step(&group, cases[i].step, cases[i].has_largest, 0.05, USUAL_GRADIENTS, &p);
        assert_true(mth_replay_guess(&p, &guesses));
        assert_non_null(p.group);
        assert_true(p.group->beta1 == cases[i].beta1 && is_near(p.group->beta2, cases[i].beta2, 1e-9));
        if (cases[i].is_round) {
            assert_true(is_near(p.group->lr, cases[i].lr, 1e-9) &&
                        is_near(p.group->weight_decay, cases[i].decay, 1e-9));
            assert_int_equal(n_exact(&p, cases[i].has_largest), N);
        } else {
            assert_true(is_near(p.group->lr, cases[i].lr, 1e-6));
            assert_true(n_exact(&p, cases[i].has_largest) >= N - N / 16);
        }
        assert_int_equal(guesses.n, 1);
    }
}

/* Where gradients are far larger than eps, any of the small ones does; of smaller ones each eps is told from its neighbours. */
static void a_small_eps_is_found_of_gradients_as_small(void **state)
{
    (void)state;
    static const double epsilons[] = {1e-10, 1e-12, 1e-15, 1e-16};
    for (size_t i = 0; i < sizeof epsilons / sizeof epsilons[0]; i++) {
        const struct mth_optimizer_group group = {.kind = MTH_OPTIMIZER_ADAM,
                                                  .beta1 = 0.9,
                                                  .beta2 = 0.99,
                                                  .eps = epsilons[i],
                                                  .lr = 1e-3,
                                                  .weight_decay = 0.1};
        struct mth_replay_parameter p;
        struct mth_replay_guesses guesses = {.n = 0};
        make_step(&group, 500, false, 0.05, 100 * epsilons[i], &p);
        assert_true(mth_replay_guess(&p, &guesses));
        assert_true(p.group->eps == epsilons[i]);
        assert_int_equal(n_exact(&p, false), N);
    }
}

static const struct mth_optimizer_group usual = {
    .kind = MTH_OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .lr = 1e-3, .weight_decay = 0.1};

/* As long as averages have not forgotten how they began. */
static void a_step_that_no_file_numbers_is_found(void **state)
{
    (void)state;
    static const double steps[] = {1, 2, 3, 11, 25, 60, 150};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct mth_replay_parameter p;
        struct mth_replay_guesses guesses = {.n = 0};
        make_step(&usual, steps[i], false, 0.05, USUAL_GRADIENTS, &p);
        p.step = p.n_steps = 0;
        assert_true(mth_replay_guess(&p, &guesses));
        assert_true(p.step == steps[i] && p.n_steps == 1 && guesses.steps[0] == steps[i]);
        assert_int_equal(n_exact(&p, false), N);
        /* The next one has it, too. */
        make_step(&usual, steps[i], false, 0.05, USUAL_GRADIENTS, &p);
        p.step = p.n_steps = 0;
        assert_true(mth_replay_guess(&p, &guesses));
        assert_true(p.step == steps[i] && p.group == &guesses.of[0] && guesses.n == 1);
    }
}

static void what_others_had_is_tried_first(void **state)
{
    (void)state;
    struct mth_optimizer_group groups[MTH_MAX_GUESSES + 1];
    struct mth_replay_parameter p;
    struct mth_replay_guesses guesses = {.n = 0};
    for (size_t i = 0; i <= MTH_MAX_GUESSES; i++) {
        groups[i] = usual;
        groups[i].lr *= (double)(i + 1);
        make_step(&groups[i], 50, false, 0.05, USUAL_GRADIENTS, &p);
        assert_true(mth_replay_guess(&p, &guesses));
        /* There is no room for more; the last one is kept. */
        assert_int_equal(guesses.n, i < MTH_MAX_GUESSES ? i + 1 : MTH_MAX_GUESSES);
        assert_ptr_equal(p.group, &guesses.of[guesses.n - 1]);
        assert_true(is_near(p.group->lr, groups[i].lr, 1e-9));
    }
    /* The first is still there. Of another number of steps it is what is assumed, and of an optimizer without squares nothing. */
    make_step(&groups[0], 50, false, 0.05, USUAL_GRADIENTS, &p);
    assert_true(mth_replay_guess(&p, &guesses));
    assert_ptr_equal(p.group, &guesses.of[0]);
    p.n_steps = 10;
    assert_true(mth_replay_guess(&p, &guesses));
    assert_ptr_equal(p.group, &guesses.of[MTH_MAX_GUESSES - 1]);
    p.n_steps = 0;
    assert_false(mth_replay_guess(&p, &guesses));
    p.n_steps = 1;
    p.regions[MTH_KEPT_V] = MTH_NO_REGION;
    assert_false(mth_replay_guess(&p, &guesses));
}

static void what_is_no_step_is_not_tried_for_long(void **state)
{
    (void)state;
    struct mth_replay_parameter p, noise;
    struct mth_replay_guesses guesses = {.n = 0};
    make_step(&usual, 50, false, 0.05, USUAL_GRADIENTS, &p);
    noise = p;
    for (size_t k = 0; k < MTH_KEPT_STEP; k++)
        for (size_t i = 0; i < N; i++)
            noise.after[k][i] = (uint32_t)pattern_random(&random_state);
    for (size_t i = 0; i < 20; i++)
        assert_false(mth_replay_guess(&noise, &guesses));
    assert_int_equal(guesses.n, 0);
    assert_false(mth_replay_guess(&p, &guesses));
    guesses.n_failed = 0;
    assert_true(mth_replay_guess(&p, &guesses));
    /* What is known is tried all the same. */
    guesses.n_failed = 16;
    assert_true(mth_replay_guess(&p, &guesses));
}

/* Of 16 significant bits each, as sums of a few bf16 values are, wherever their scale lies between 1/2 and 1. */
static void scales_of_sums_are_found(void **state)
{
    (void)state;
    static const double scales[] = {0.5078125, 0.5733191, 0.6180340, 0.7071068, 0.8414710, 0.9876543};
    static struct mth_replay_parameter p;
    const struct mth_way way = {.of = MTH_KEPT_M, .weight = 0.1F};
    for (size_t k = 0; k < sizeof scales / sizeof scales[0]; k++) {
        struct mth_replay_scale scale = {.bits = 0};
        p = (struct mth_replay_parameter){.n_elems = N, .n = N};
        for (size_t i = 0; i < N; i++) {
            uint32_t sum = mth_cut_bits(bits(USUAL_GRADIENTS * uniform()), 8);
            float m0 = (float)(USUAL_GRADIENTS * uniform() / 64), g = mth_float_of(sum) * (float)scales[k];
            p.before[MTH_KEPT_M][i] = mth_bits_of(m0);
            p.after[MTH_KEPT_M][i] = mth_bits_of(fmaf(way.weight, g - m0, m0));
        }
        assert_int_equal(mth_replay_fit_scale(&p, &way, 1, &scale), MTH_GRADIENTS_24);
        assert_true(is_near((double)mth_float_of(scale.bits), scales[k], 0x1p-20));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_a_step_are_found),
        cmocka_unit_test(a_small_eps_is_found_of_gradients_as_small),
        cmocka_unit_test(a_step_that_no_file_numbers_is_found),
        cmocka_unit_test(what_others_had_is_tried_first),
        cmocka_unit_test(what_is_no_step_is_not_tried_for_long),
        cmocka_unit_test(scales_of_sums_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
