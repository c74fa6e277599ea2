/* Laws of the statistics that results rest on. */
#include "harness/statistics.h"
#include "harness/statistics_paired.h"

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
    /* Of many uneven samples another seed has another interval, and the same median. */
    double uneven[40];
    uint64_t random = 1;
    bool differs = false;
    for (size_t i = 0; i < 40; i++)
        uneven[i] = (double)(mth_random_next(&random) >> 40);
    assert_int_equal(mth_summarise(uneven, 40, 0, &a), 0);
    for (uint64_t seed = 1; seed < 20; seed++) {
        assert_int_equal(mth_summarise(uneven, 40, seed, &b), 0);
        assert_true(a.median == b.median);
        differs |= a.ci_lo != b.ci_lo || a.ci_hi != b.ci_hi;
    }
    assert_true(differs);
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

static double centre_of(const double *values, size_t n)
{
    double centre;
    assert_int_equal(mth_hodges_lehmann(values, n, &centre), 0);
    return centre;
}

static double wilcoxon_of(const double *values, size_t n)
{
    double p;
    assert_int_equal(mth_wilcoxon_signed_rank(values, n, &p), 0);
    return p;
}

/* What SciPy 1.17 makes of them is in the tests below; centres by numpy.median over all pairs. */
static const double eight[] = {1.1, -0.4, 2.3, 0.7, -1.5, 3.2, 0.9, 1.8};
static const double normal[] = {0.401,  0.699,  0.126,  -0.491, -0.055, -0.592, 0.46,  1.74,   -0.092,
                                -0.22,  0.89,   0.757,  0.505,  -0.53,  0.371,  1.095, -0.944, -0.058,
                                -1.501, -0.891, -1.442, 0.165,  -0.867, 0.671,  0.557};

static void the_hodges_lehmann_centre_is_the_median_of_all_pair_means(void **state)
{
    (void)state;
    assert_true(centre_of((const double[]){1, 2, 6}, 3) == 2.75);
    assert_true(centre_of(NULL, 0) == 0);
    assert_true(centre_of((const double[]){7}, 1) == 7);
    assert_true(fabs(centre_of(eight, 8) - 0.975) < 1e-12);
    assert_true(fabs(centre_of(normal, 25) - 0.0395) < 1e-12);
}

/* Against sorting all pairs, on values of which many are equal. */
static void the_centre_is_found_without_making_all_pairs(void **state)
{
    uint64_t random = 11;
    (void)state;
    for (size_t t = 0; t < 300; t++) {
        double values[40], pairs[820];
        size_t n = 1 + mth_random_below(&random, 40), n_pairs = 0;
        for (size_t i = 0; i < n; i++)
            values[i] = (double)mth_random_below(&random, t % 2 ? 9 : 1000000) / 16 - 0.25;
        for (size_t i = 0; i < n; i++) {
            for (size_t j = i; j < n; j++)
                pairs[n_pairs++] = (values[i] + values[j]) / 2;
        }
        assert_true(fabs(centre_of(values, n) - mth_median(pairs, n_pairs)) < 1e-9);
    }
}

/* scipy.stats.wilcoxon, method exact; then approx with correction, where values tie or are many. */
static void the_signed_rank_test_gives_the_p_of_scipy(void **state)
{
    static const double ties[] = {1, 1, -1, 2, 2, 3, -2, 4, 0, 5, 1, 3};
    double many[60];
    (void)state;
    assert_true(fabs(wilcoxon_of(eight, 8) - 0.109375) < 1e-12);
    assert_true(fabs(wilcoxon_of(normal, 25) - 0.8325093984603882) < 1e-12);
    assert_true(fabs(wilcoxon_of(ties, 12) - 0.03156688711439703) < 1e-12);
    for (int i = 1; i <= 60; i++)
        many[i - 1] = i * 0.013 + (i % 2 ? -1 : 1) * (i % 7) * 0.1 + 0.001 * i * i - 2;
    assert_true(fabs(wilcoxon_of(many, 60) - 0.034618371435871015) < 1e-12);
    assert_true(wilcoxon_of((const double[]){0, 0}, 2) == 1);
    assert_true(fabs(wilcoxon_of((const double[]){1, 2, 3, 4, 5}, 5) - 0.0625) < 1e-15);
}

/* R: p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.5), "holm") */
static void holm_multiplies_by_how_many_are_left_and_never_falls(void **state)
{
    double p[] = {0.01, 0.04, 0.03, 0.005, 0.5};
    static const double wanted[] = {0.04, 0.09, 0.09, 0.025, 0.5};
    (void)state;
    mth_holm(p, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(fabs(p[i] - wanted[i]) < 1e-15);
}

/* Of series whose neighbours are alike, which a bootstrap of single values would take for more than they are. */
static void the_block_interval_covers_the_centre_of_values_that_drift(void **state)
{
    enum { N_TRIALS = 150, N = 40 };
    uint64_t random = 5;
    size_t covered = 0;
    (void)state;
    for (size_t t = 0; t < N_TRIALS; t++) {
        double values[N], lo, hi, drift = 0;
        for (size_t i = 0; i < N; i++) {
            double uniform = (double)(mth_random_next(&random) >> 11) / 9007199254740992.0 - 0.5;
            drift = 0.3 * drift + uniform;
            values[i] = 3 + drift;
        }
        assert_int_equal(mth_block_bootstrap(values, N, t, &lo, &hi), 0);
        covered += lo <= 3 && 3 <= hi;
    }
    assert_in_range(covered, N_TRIALS * 85 / 100, N_TRIALS * 98 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_is_the_middle_or_the_mean_of_both_middles),
        cmocka_unit_test(one_wild_sample_moves_neither_median_nor_mad),
        cmocka_unit_test(the_summary_depends_on_samples_and_seed_alone),
        cmocka_unit_test(the_interval_covers_the_true_median),
        cmocka_unit_test(the_hodges_lehmann_centre_is_the_median_of_all_pair_means),
        cmocka_unit_test(the_centre_is_found_without_making_all_pairs),
        cmocka_unit_test(the_signed_rank_test_gives_the_p_of_scipy),
        cmocka_unit_test(holm_multiplies_by_how_many_are_left_and_never_falls),
        cmocka_unit_test(the_block_interval_covers_the_centre_of_values_that_drift),
        cmocka_unit_test(a_shuffle_is_a_permutation_and_reaches_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
