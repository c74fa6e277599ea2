/*
 * Laws of the rounds of `mithril bench`: their order, the warm-up, and what becomes of samples. They are told by a peer whose times
 * are known, because it makes them up: this program is the peer, too (`test_bench_rounds --as SCRIPT`). No law depends on how
 * fast anything is.
 */
#include "harness/bench.h"
#include "tests/support/program.h"
#include "tests/support/rows.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define DATA "datasets/tiny-gpt/pretrain/pretrain-step-002000.safetensors"
#define LOG  "MTH_TEST_LOG"

static const char *this_program;

/* ---- the peer ---- */

enum { STEADY_NS = 1000000, WILD_PASS = 7 };

/* What pass number n takes, from 1 on. The first verifies, and as times do not fall two more are the warm-up. */
static long scripted_ns(const char *script, unsigned n)
{
    if (strcmp(script, "warming") == 0)
        return (long)STEADY_NS - 60000 * (long)n; /* each falls by more than 5 % */
    if (strcmp(script, "wild") == 0 && n == WILD_PASS)
        return 20 * (long)STEADY_NS;
    return STEADY_NS + 10000 * (long)(n % 3);
}

/* Says that a pass took so long, which is true of the time that it sleeps: nobody may say more than was waited for it. */
static void take(long ns)
{
    struct timespec left = {.tv_sec = 0, .tv_nsec = ns};
    while (nanosleep(&left, &left) != 0)
        continue;
    printf("ok %ld %ld\n", ns, ns);
}

static void note(const char *script)
{
    const char *path = getenv(LOG);
    FILE *log = path ? fopen(path, "a") : NULL;
    if (!log || fprintf(log, "%s\n", script) < 0 || fclose(log) != 0)
        exit(9);
}

/* It compresses to the same bytes. */
static int be_peer(const char *script)
{
    char line[256], role[16] = "";
    unsigned long n_data = 0, first, n;
    unsigned char *data = NULL;
    unsigned n_passes = 0;
    while (fgets(line, sizeof line, stdin)) {
        if (strncmp(line, "hello ", 6) == 0)
            printf("ok scripted@1:script=%s\n", script);
        else if (sscanf(line, "setup %15s", role) == 1)
            printf("ok\n");
        else if (sscanf(line, "data %lu", &n_data) == 1) {
            data = malloc(n_data + 1);
            if (!data || fread(data, 1, n_data, stdin) != n_data)
                return 9;
            printf("ok\n");
        } else if (sscanf(line, "pass %lu %lu", &first, &n) == 2) {
            if (strncmp(script, "noted", 5) == 0 && strcmp(role, "compress") == 0)
                note(script);
            take(scripted_ns(script, ++n_passes));
        } else if (strncmp(line, "output ", 7) == 0) {
            printf("ok %lu\n", n_data);
            fwrite(data, 1, n_data, stdout);
        } else
            printf("error %s", line);
        fflush(stdout);
    }
    free(data);
    return 0;
}

/* ---- what bench makes of it ---- */

/* Rows of some peers beside a pipeline; malloc'd. */
static char *measured(const char *const *scripts, const char *rounds, const char *seconds, const char *seed)
{
    enum { MAX_PEERS = 4, N_FIXED = 16 };
    static char peers[MAX_PEERS][4200];
    const char *arguments[N_FIXED + MAX_PEERS + 1] = {"bench",   DATA,        "-p",     "store",  "--rounds",
                                                      rounds,    "--seconds", seconds,  "--seed", seed,
                                                      "--cache", "64KiB",     "--json", "-",      "-q"};
    size_t n = 15;
    for (size_t i = 0; scripts[i]; i++) {
        assert_in_range(i, 0, MAX_PEERS - 1);
        snprintf(peers[i], sizeof peers[i], "--peer=%s=%s --as %s", scripts[i], this_program, scripts[i]);
        arguments[n++] = peers[i];
    }
    struct program_result result = program_run(NULL, arguments);
    if (result.exit_code != 0)
        fail_msg("exit %d: %s", result.exit_code, result.err);
    char *rows = strdup(result.out);
    assert_non_null(rows);
    program_result_free(&result);
    return rows;
}

/* Who compressed, in order, by the last letter of each. */
static void order_of(const char *seed, char *out, size_t capacity)
{
    static const char *const scripts[] = {"noted-a", "noted-b", "noted-c", NULL};
    char *directory = temp_dir_create(), path[4096];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/log", directory);
    assert_int_equal(setenv(LOG, path, 1), 0);
    free(measured(scripts, "3", "0", seed));
    char *text = temp_dir_read(directory, "log", NULL);
    assert_non_null(text);
    for (const char *line = text; *line && n + 1 < capacity; line = strchr(line, '\n') + 1)
        out[n++] = line[strcspn(line, "\n") - 1];
    out[n] = '\0';
    free(text);
    temp_dir_destroy(directory);
}

static void cells_take_turns_in_an_order_that_the_seed_shuffles_anew_each_round(void **state)
{
    enum { N = 3, ROUNDS = 3 };
    char one[64], again[64], others[5][64];
    bool rounds_differ = false, seeds_differ = false;
    (void)state;
    order_of("1", one, sizeof one);
    order_of("1", again, sizeof again);
    assert_string_equal(one, again);
    assert_int_equal(strlen(one), N + N * ROUNDS); /* the passes that verified come before */
    for (size_t s = 0; s < 5; s++) {
        char seed[8];
        snprintf(seed, sizeof seed, "%zu", s + 2);
        order_of(seed, others[s], sizeof others[s]);
        seeds_differ |= strcmp(one, others[s]) != 0;
        for (size_t r = 0; r < ROUNDS; r++) {
            const char *round = others[s] + N + r * N;
            for (char name = 'a'; name <= 'c'; name++)
                assert_non_null(memchr(round, name, N)); /* each once a round */
            rounds_differ |= memcmp(round, others[s] + N, N) != 0;
        }
    }
    assert_true(seeds_differ);
    assert_true(rounds_differ);
}

struct wanted {
    const char *spec;
    size_t n_warm_up, n_samples, n_found;
    const char *flag; /* NULL: none of them is "unsettled" */
};

static bool has_flag(const struct mth_json_node *row, const char *name)
{
    struct mth_json_node flags;
    struct mth_error err;
    size_t n;
    bool found = false;
    assert_int_equal(mth_json_get_array(row, "flags", MTH_JSON_REQUIRED, &flags, &n, &err), 0);
    for (size_t i = 0; i < n; i++) {
        const char *text;
        assert_int_equal(mth_json_item_string(&flags, i, &text, &err), 0);
        found |= strcmp(text, name) == 0;
    }
    return found;
}

static void check_warm_up(const struct mth_json_node *row, void *arg)
{
    struct wanted *want = arg;
    if (strcmp(rows_text(row, "kind"), "cell") != 0 || strcmp(rows_text(row, "spec"), want->spec) != 0)
        return;
    want->n_found++;
    assert_int_equal(rows_count(row, "warm_up_ns"), want->n_warm_up);
    assert_int_equal(rows_count(row, "samples_ns"), want->n_samples);
    assert_int_equal(has_flag(row, "unsettled"), want->flag != NULL);
}

static void expect_warm_up(const char *script, const char *seconds, size_t n_warm_up, bool unsettled)
{
    const char *const scripts[] = {script, NULL};
    char spec[64];
    snprintf(spec, sizeof spec, "peer:%s", script);
    struct wanted want = {spec, n_warm_up, 4, 0, unsettled ? "unsettled" : NULL};
    char *rows = measured(scripts, "4", seconds, "1");
    rows_each(rows, check_warm_up, &want);
    assert_int_equal(want.n_found, 2);
    free(rows);
}

static void the_warm_up_ends_when_times_stop_falling_or_after_its_most_and_then_says_so(void **state)
{
    (void)state;
    expect_warm_up("steady", "1000", 3, false);
    expect_warm_up("warming", "1000", MTH_WARM_UP_MOST + 1, true);
}

static void check_short(const struct mth_json_node *row, void *arg)
{
    size_t *n_found = arg;
    if (strcmp(rows_text(row, "kind"), "cell") != 0)
        return;
    ++*n_found;
    assert_int_equal(rows_count(row, "warm_up_ns"), 1);
    assert_true(has_flag(row, "unsettled"));
}

static void without_time_for_a_warm_up_nothing_is_settled(void **state)
{
    static const char *const scripts[] = {"steady", NULL};
    size_t n_found = 0;
    (void)state;
    char *rows = measured(scripts, "3", "0", "1");
    rows_each(rows, check_short, &n_found);
    assert_int_equal(n_found, 4); /* ours too */
    free(rows);
}

/* Three samples of 1 ms, two of 1.01, three of 1.02, and one of 20. */
static void check_samples(const struct mth_json_node *row, void *arg)
{
    size_t *n_found = arg;
    struct mth_json_node outliers, samples;
    struct mth_error err;
    size_t n_outliers, n_samples;
    double index, sample;
    if (strcmp(rows_text(row, "kind"), "cell") != 0 || strcmp(rows_text(row, "spec"), "peer:wild") != 0)
        return;
    ++*n_found;
    assert_int_equal(mth_json_get_array(row, "outliers", MTH_JSON_REQUIRED, &outliers, &n_outliers, &err), 0);
    assert_int_equal(mth_json_get_array(row, "samples_ns", MTH_JSON_REQUIRED, &samples, &n_samples, &err), 0);
    assert_int_equal(n_samples, 9);
    assert_int_equal(n_outliers, 1);
    assert_int_equal(mth_json_item_real(&outliers, 0, &index, &err), 0);
    assert_true(index == WILD_PASS - 4); /* three are the warm-up */
    assert_int_equal(mth_json_item_real(&samples, (size_t)index, &sample, &err), 0);
    assert_true(sample == 20.0 * STEADY_NS); /* named, and still there */
    assert_true(rows_number(row, "median_ns") == STEADY_NS + 10000);
    assert_true(rows_number(row, "mad_ns") == 10000);
    assert_true(rows_number(row, "p95_ns") == 20.0 * STEADY_NS);
    assert_true(rows_number(row, "cpu_ns") == rows_number(row, "median_ns"));
}

static void every_sample_stands_in_the_row_and_what_is_said_follows_from_them(void **state)
{
    static const char *const scripts[] = {"wild", NULL};
    size_t n_found = 0;
    (void)state;
    char *rows = measured(scripts, "9", "1000", "1");
    rows_each(rows, check_samples, &n_found);
    assert_int_equal(n_found, 2);
    free(rows);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--as") == 0)
        return be_peer(argv[2]);
    this_program = argv[0];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_take_turns_in_an_order_that_the_seed_shuffles_anew_each_round),
        cmocka_unit_test(the_warm_up_ends_when_times_stop_falling_or_after_its_most_and_then_says_so),
        cmocka_unit_test(without_time_for_a_warm_up_nothing_is_settled),
        cmocka_unit_test(every_sample_stands_in_the_row_and_what_is_said_follows_from_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
