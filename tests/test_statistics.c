/* Laws of the statistics that results rest on. */
#include "harness/statistics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_median_is_the_middle_or_the_mean_of_both_middles(void **state)
{
    double odd[] = {9, 1, 5}, even[] = {4, 1, 3, 2};
    (void)state;
    assert_true(mth_median(odd, 3) == 5);
    assert_true(mth_median(even, 4) == 2.5);
    assert_true(mth_median(NULL, 0) == 0);
}

static void one_wild_sample_moves_neither_median_nor_mad(void **state)
{
    double samples[] = {10, 11, 12, 13, 1e9};
    struct mth_summary summary;
    (void)state;
    assert_int_equal(mth_summarise(samples, 5, 1, &summary), 0);
    assert_true(summary.median == 12);
    assert_true(summary.mad == 1);
    assert_true(summary.ci_lo >= 10 && summary.ci_lo <= 12);
    assert_true(summary.ci_hi >= 12);
}

static void the_summary_depends_on_samples_and_seed_alone(void **state)
{
    double samples[] = {5, 3, 8, 1, 9, 2};
    struct mth_summary a, b;
    (void)state;
    assert_int_equal(mth_summarise(samples, 6, 7, &a), 0);
    assert_int_equal(mth_summarise(samples, 6, 7, &b), 0);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(samples[0] == 5 && samples[5] == 2); /* and leaves them alone */
}

/* Of intervals from samples of a known distribution, about 95 % must hold its median. */
static void the_interval_covers_the_true_median(void **state)
{
    enum { N_TRIALS = 400, N_SAMPLES = 25 };
    uint64_t random = 42;
    size_t covered = 0;
    (void)state;
    for (size_t t = 0; t < N_TRIALS; t++) {
        double samples[N_SAMPLES];
        struct mth_summary summary;
        for (size_t i = 0; i < N_SAMPLES; i++) {
            double uniform = (double)(mth_random_next(&random) >> 11) / 9007199254740992.0;
            samples[i] = exp(uniform); /* skewed, median exp(0.5) */
        }
        assert_int_equal(mth_summarise(samples, N_SAMPLES, t, &summary), 0);
        covered += summary.ci_lo <= exp(0.5) && exp(0.5) <= summary.ci_hi;
    }
    assert_in_range(covered, N_TRIALS * 90 / 100, N_TRIALS * 99 / 100);
}

static void a_shuffle_is_a_permutation_and_reaches_every_place(void **state)
{
    enum { N = 5 };
    uint64_t random = 3;
    size_t seen[N][N] = {{0}};
    (void)state;
    for (size_t t = 0; t < 1000; t++) {
        size_t items[N], mask = 0;
        mth_random_shuffle(&random, items, N);
        for (size_t i = 0; i < N; i++) {
            mask |= (size_t)1 << items[i];
            seen[items[i]][i]++;
        }
        assert_int_equal(mask, (1 << N) - 1);
    }
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++)
            assert_in_range(seen[i][j], 140, 260); /* 200 expected */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_is_the_middle_or_the_mean_of_both_middles),
        cmocka_unit_test(one_wild_sample_moves_neither_median_nor_mad),
        cmocka_unit_test(the_summary_depends_on_samples_and_seed_alone),
        cmocka_unit_test(the_interval_covers_the_true_median),
        cmocka_unit_test(a_shuffle_is_a_permutation_and_reaches_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
