/*
 * How often `compare --run` is wrong, on recorded noise: 10,000 comparisons of a program with itself, and 10,000 with one that is
 * 5 % slower in one phase of one cell. docs/measurement.md tells what came out.
 */
#include "tests/support/compare_noise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N_RUNS = 10000, DEFAULT_BLOCKS = 60 };

/* MTH_COMPARE_RUNS and MTH_COMPARE_BLOCKS ask for others. */
static size_t number_of(const char *name, size_t otherwise)
{
    const char *text = getenv(name);
    return text ? (size_t)strtoul(text, NULL, 10) : otherwise;
}

/* MTH_COMPARE_NOISE names a record of one's own. */
static struct compare_counts simulate(const char *noise_path, size_t n_runs, double planted_pct,
                                      uint64_t seed)
{
    const char *own = getenv("MTH_COMPARE_NOISE");
    struct compare_noise *noise = compare_noise_load(own ? own : noise_path);
    struct compare_counts counts = compare_noise_simulate(
        noise, n_runs, number_of("MTH_COMPARE_BLOCKS", DEFAULT_BLOCKS), planted_pct, seed);
    compare_noise_free(noise);
    return counts;
}

static void report(const char *what, const struct compare_counts *counts)
{
    printf("%s: %zu OK, %zu REGRESSED, %zu INCONCLUSIVE\n", what, counts->n_ok, counts->n_regressed,
           counts->n_inconclusive);
}

static void a_program_beside_itself_is_rarely_called_slower_and_mostly_fine(void **state)
{
    size_t n_runs = number_of("MTH_COMPARE_RUNS", N_RUNS);
    (void)state;
    struct compare_counts counts = simulate(COMPARE_NOISE, n_runs, 0, 1);
    report("itself", &counts);
    assert_true(counts.n_regressed * 100 <= n_runs);
    assert_true(counts.n_ok * 100 >= n_runs * 90);
}

static void a_slow_down_of_5_percent_is_caught(void **state)
{
    size_t n_runs = number_of("MTH_COMPARE_RUNS", N_RUNS);
    (void)state;
    struct compare_counts counts = simulate(COMPARE_NOISE, n_runs, 5, 2);
    report("5 % slower", &counts);
    assert_true(counts.n_regressed * 100 >= n_runs * 95);
}

/* Where noise is twice as large the answer may be that there is none, but not the wrong one. */
static void on_a_busier_machine_it_is_no_more_often_wrong(void **state)
{
    size_t n_runs = number_of("MTH_COMPARE_RUNS", N_RUNS) / 10;
    (void)state;
    struct compare_counts itself = simulate(COMPARE_NOISE_BUSY, n_runs, 0, 1);
    struct compare_counts slower = simulate(COMPARE_NOISE_BUSY, n_runs, 5, 2);
    report("busy, itself", &itself);
    report("busy, 5 % slower", &slower);
    assert_true(itself.n_regressed * 100 <= n_runs);
    assert_true(slower.n_ok * 100 <= n_runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_beside_itself_is_rarely_called_slower_and_mostly_fine),
        cmocka_unit_test(a_slow_down_of_5_percent_is_caught),
        cmocka_unit_test(on_a_busier_machine_it_is_no_more_often_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
