/*
 * Laws of `mithril compare --run`: what is called slower, how seldom that is wrong on recorded noise, and what becomes of
 * programs that do not play along. No law depends on how fast this machine is.
 */
#include "harness/compare_judge.h"
#include "harness/statistics.h"
#include "tests/support/compare_noise.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* ---- the rule ---- */

enum { N_SERIES = 3 };

struct times {
    double ns[N_SERIES][MTH_N_ARMS][MTH_MAX_BLOCKS];
    struct mth_speed_shift shifts[N_SERIES];
    enum mth_speed_verdict verdicts[N_SERIES];
};

/* Noise of a part around 1 ms, even; every arm's time is multiplied by a factor. */
static void make_times(struct times *times, double noise, uint64_t seed)
{
    for (size_t s = 0; s < N_SERIES; s++) {
        for (size_t arm = 0; arm < MTH_N_ARMS; arm++) {
            for (size_t b = 0; b < MTH_MAX_BLOCKS; b++) {
                double uniform = (double)(mth_random_next(&seed) >> 11) / 9007199254740992.0;
                times->ns[s][arm][b] = 1e6 * (1 + noise * (uniform - 0.5));
            }
        }
    }
}

static void slow_down(struct times *times, size_t series, enum mth_arm arm, double factor)
{
    for (size_t b = 0; b < MTH_MAX_BLOCKS; b++)
        times->ns[series][arm][b] *= factor;
}

static void judge(struct times *times, size_t n_blocks, double margin_pct)
{
    struct mth_speed_series series[N_SERIES];
    for (size_t s = 0; s < N_SERIES; s++) {
        series[s] = (struct mth_speed_series){.n_blocks = n_blocks, .margin_pct = margin_pct};
        for (size_t arm = 0; arm < MTH_N_ARMS; arm++)
            series[s].ns[arm] = times->ns[s][arm];
    }
    assert_int_equal(mth_speed_judge(series, N_SERIES, 1, times->shifts, times->verdicts), 0);
}

static void a_slow_down_above_the_margin_is_called_in_its_place(void **state)
{
    struct times *times = calloc(1, sizeof *times);
    (void)state;
    make_times(times, 0.02, 1);
    slow_down(times, 1, MTH_ARM_NEW, 1.05);
    judge(times, 40, 3);
    assert_int_equal(times->verdicts[0], MTH_SPEED_OK);
    assert_int_equal(times->verdicts[1], MTH_SPEED_REGRESSED);
    assert_int_equal(times->verdicts[2], MTH_SPEED_OK);
    assert_true(times->shifts[1].pct > 4.5 && times->shifts[1].pct < 5.5);
    assert_true(times->shifts[1].lo_pct <= times->shifts[1].pct &&
                times->shifts[1].pct <= times->shifts[1].hi_pct);
    assert_true(times->shifts[1].p_holm >= times->shifts[1].p);
    judge(times, 40, 10); /* the user's margin counts */
    assert_int_equal(times->verdicts[1], MTH_SPEED_OK);
    free(times);
}

static void faster_is_fine(void **state)
{
    struct times *times = calloc(1, sizeof *times);
    (void)state;
    make_times(times, 0.02, 2);
    slow_down(times, 0, MTH_ARM_NEW, 0.8);
    judge(times, 40, 3);
    assert_int_equal(times->verdicts[0], MTH_SPEED_OK);
    assert_true(times->shifts[0].pct < -19 && times->shifts[0].pct > -21);
    free(times);
}

static void what_noise_hides_is_inconclusive(void **state)
{
    struct times *times = calloc(1, sizeof *times);
    (void)state;
    make_times(times, 1, 3);
    judge(times, 20, 3);
    for (size_t s = 0; s < N_SERIES; s++)
        assert_int_equal(times->verdicts[s], MTH_SPEED_INCONCLUSIVE);
    make_times(times, 0.02, 3);
    slow_down(times, 0, MTH_ARM_NEW, 1.5);
    judge(times, MTH_MIN_BLOCKS - 1, 3); /* however clear it looks */
    assert_int_equal(times->verdicts[0], MTH_SPEED_INCONCLUSIVE);
    judge(times, MTH_MIN_BLOCKS, 3);
    assert_int_equal(times->verdicts[0], MTH_SPEED_REGRESSED);
    free(times);
}

static void a_program_that_differs_from_itself_makes_nothing_of_another(void **state)
{
    struct times *times = calloc(1, sizeof *times);
    (void)state;
    make_times(times, 0.02, 4);
    slow_down(times, 0, MTH_ARM_AGAIN, 1.2);
    slow_down(times, 0, MTH_ARM_NEW, 1.5);
    judge(times, 40, 3);
    assert_int_equal(times->verdicts[0], MTH_SPEED_INCONCLUSIVE);
    assert_int_equal(times->verdicts[1], MTH_SPEED_OK);
    free(times);
}

/*
 * Twelve blocks, new above old by 5.0 to 6.1 percent, but for the fifth smallest, which is below: of 4096 ways to give ranks 1 to 12
 * their signs 10 have a sum of 5 or less on a side, so p = 20 / 4096 = 0.0049. Alone that is below 0.01; as one of three it is not.
 */
static void what_one_phase_may_say_is_corrected_for_how_many_were_asked(void **state)
{
    enum { N = 12, FIFTH = 4 };
    struct times *times = calloc(1, sizeof *times);
    struct mth_speed_series series[N_SERIES];
    (void)state;
    assert_non_null(times);
    for (size_t s = 0; s < N_SERIES; s++) {
        series[s] = (struct mth_speed_series){.n_blocks = N, .margin_pct = 3.5};
        for (size_t arm = 0; arm < MTH_N_ARMS; arm++)
            series[s].ns[arm] = times->ns[s][arm];
        for (size_t b = 0; b < N; b++) {
            double shift = s ? (b % 2 ? 1e-4 : -1e-4) * (double)(b + 1) : 0.050 + 0.001 * (double)b;
            times->ns[s][MTH_ARM_OLD][b] = times->ns[s][MTH_ARM_AGAIN][b] = 1e6;
            times->ns[s][MTH_ARM_NEW][b] = 1e6 * exp(s == 0 && b == FIFTH ? -shift : shift);
        }
    }
    assert_int_equal(mth_speed_judge(series, 1, 1, times->shifts, times->verdicts), 0);
    assert_true(fabs(times->shifts[0].p - 20.0 / 4096) < 1e-12 &&
                times->shifts[0].p_holm == times->shifts[0].p);
    assert_true(times->shifts[0].pct > 3.5);
    assert_int_equal(times->verdicts[0], MTH_SPEED_REGRESSED);
    assert_int_equal(mth_speed_judge(series, N_SERIES, 1, times->shifts, times->verdicts), 0);
    assert_true(fabs(times->shifts[0].p_holm - 60.0 / 4096) < 1e-12);
    assert_int_equal(times->verdicts[0], MTH_SPEED_INCONCLUSIVE);
    assert_int_equal(times->verdicts[1], MTH_SPEED_OK);
    free(times);
}

/* The interval is drawn by the seed, and by nothing else. */
static void the_seed_draws_the_interval(void **state)
{
    struct times *times = calloc(1, sizeof *times);
    struct mth_speed_series series = {.n_blocks = 40, .margin_pct = 3};
    struct mth_speed_shift one, again, other;
    enum mth_speed_verdict verdict;
    bool differs = false;
    (void)state;
    assert_non_null(times);
    make_times(times, 0.1, 9);
    for (size_t arm = 0; arm < MTH_N_ARMS; arm++)
        series.ns[arm] = times->ns[0][arm];
    assert_int_equal(mth_speed_judge(&series, 1, 1, &one, &verdict), 0);
    assert_int_equal(mth_speed_judge(&series, 1, 1, &again, &verdict), 0);
    assert_memory_equal(&one, &again, sizeof one);
    for (uint64_t seed = 2; seed < 12; seed++) {
        assert_int_equal(mth_speed_judge(&series, 1, seed, &other, &verdict), 0);
        assert_true(one.pct == other.pct && one.p == other.p);
        differs |= one.lo_pct != other.lo_pct || one.hi_pct != other.hi_pct;
    }
    assert_true(differs);
    free(times);
}

/* A part of what tests/large_compare.c does. */
static void on_recorded_noise_it_is_seldom_wrong(void **state)
{
    enum { N_RUNS = 120, N_BLOCKS = 60 };
    struct compare_noise *noise = compare_noise_load(COMPARE_NOISE);
    (void)state;
    struct compare_counts itself = compare_noise_simulate(noise, N_RUNS, N_BLOCKS, 0, 3);
    struct compare_counts slower = compare_noise_simulate(noise, N_RUNS, N_BLOCKS, 5, 4);
    compare_noise_free(noise);
    print_message("itself: %zu OK, %zu REGRESSED; 5 %% slower: %zu REGRESSED of %d\n", itself.n_ok,
                  itself.n_regressed, slower.n_regressed, N_RUNS);
    assert_true(itself.n_regressed <= 1);
    assert_true(itself.n_ok >= N_RUNS * 90 / 100);
    assert_true(slower.n_regressed >= N_RUNS * 95 / 100);
}

/* ---- the programs ---- */

#define DATA "datasets/tiny-gpt/pretrain/pretrain-step-002000.safetensors"

/* A program that is a shell script, in a directory; its path is malloc'd. */
static char *script(const char *directory, const char *name, const char *text)
{
    char path[4096];
    temp_dir_write(directory, name, text, strlen(text));
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(chmod(path, 0755), 0);
    return strdup(path);
}

static void expect(const char *old_program, const char *new_program, const char *option, int exit_code,
                   const char *says)
{
    struct program_result result = program_run(
        NULL, (const char *const[]){"compare", "--run", old_program, new_program, "-q", "--seconds", "0",
                                    "--json", "-", "--", DATA, "-p", "store", option, NULL});
    if (result.exit_code != exit_code || (!strstr(result.out, says) && !strstr(result.err, says)))
        fail_msg("exit %d, not %d with '%s':\n%s%s", result.exit_code, exit_code, says, result.out,
                 result.err);
    if (exit_code != 3 && exit_code != 4) {
        assert_int_equal(program_lines(result.err), 1);
        assert_string_equal(result.out, "");
    }
    program_result_free(&result);
}

static void without_time_for_blocks_sizes_are_compared_and_speeds_are_not_judged(void **state)
{
    char *mithril = program_path();
    (void)state;
    expect(mithril, mithril, NULL, 4, "time for 0 of at least 12 blocks");
    expect(mithril, mithril, NULL, 4, "\"same\":1");
    free(mithril);
}

static void blocks_are_measured_and_every_time_is_kept(void **state)
{
    char *mithril = program_path();
    (void)state;
    struct program_result result = program_run(
        NULL, (const char *const[]){"compare", "--run", mithril, mithril, "-q", "--seconds", "3", "--json",
                                    "-", "--", DATA, "-p", "store", "--cache", "64KiB", NULL});
    /* How many blocks there were, and what noise made of them, is the machine's; the form is ours. */
    assert_true(result.exit_code == 0 || result.exit_code == 3 || result.exit_code == 4);
    assert_non_null(strstr(result.out, "\"kind\":\"compare\""));
    assert_non_null(strstr(result.out, "\"paired\":true"));
    assert_non_null(strstr(result.out, "\"new_block_ns\":["));
    assert_non_null(strstr(result.out, "\"phase\":\"decompress\""));
    program_result_free(&result);
    free(mithril);
}

static void another_size_by_the_new_program_exits_3_whatever_the_times(void **state)
{
    char *directory = temp_dir_create(), *mithril = program_path(), text[4352];
    (void)state;
    snprintf(text, sizeof text, "#!/bin/sh\nexec %s \"$@\" --chunk 4KiB\n", mithril);
    char *other = script(directory, "other", text);
    expect(mithril, other, NULL, 3, "\"size\":\"CHANGED\"");
    free(other);
    free(mithril);
    temp_dir_destroy(directory);
}

static void programs_that_do_not_play_along_get_one_line(void **state)
{
    char *directory = temp_dir_create(), *mithril = program_path();
    (void)state;
    char *silent = script(directory, "silent", "#!/bin/sh\nexit 0\n");
    char *failing = script(directory, "failing", "#!/bin/sh\necho 'it is broken' >&2\nexit 6\n");
    char *talking = script(directory, "talking", "#!/bin/sh\necho hello\nread line\n");
    char *lying = script(directory, "lying", "#!/bin/sh\necho paced rows\nread line\necho '{}'\n");
    expect(mithril, silent, NULL, 6, "the new program ended with exit code 0");
    expect(failing, mithril, NULL, 6, "it is broken");
    expect(mithril, talking, NULL, 6, "does not take turns");
    expect(lying, lying, NULL, 2, "kind");
    expect(mithril, lying, NULL, 6, "does not measure what the others do");
    expect(mithril, "no/such", NULL, 6, "no/such is not installed");
    expect(mithril, mithril, "--no-such-option", 1, "no option --no-such-option");
    expect(mithril, mithril, "--rounds=3", 1, "--rounds is not for bench here");
    free(silent);
    free(failing);
    free(talking);
    free(lying);
    free(mithril);
    temp_dir_destroy(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_down_above_the_margin_is_called_in_its_place),
        cmocka_unit_test(faster_is_fine),
        cmocka_unit_test(what_noise_hides_is_inconclusive),
        cmocka_unit_test(a_program_that_differs_from_itself_makes_nothing_of_another),
        cmocka_unit_test(what_one_phase_may_say_is_corrected_for_how_many_were_asked),
        cmocka_unit_test(the_seed_draws_the_interval),
        cmocka_unit_test(on_recorded_noise_it_is_seldom_wrong),
        cmocka_unit_test(without_time_for_blocks_sizes_are_compared_and_speeds_are_not_judged),
        cmocka_unit_test(blocks_are_measured_and_every_time_is_kept),
        cmocka_unit_test(another_size_by_the_new_program_exits_3_whatever_the_times),
        cmocka_unit_test(programs_that_do_not_play_along_get_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
