/*
 * Laws of what is measured beside ratio and throughput: warm-up, rooflines, threads, resident memory, latency. What depends on
 * times is judged on times that are given; the program only shows that rows hold together.
 */
#include "harness/bench.h"
#include "harness/bench_memory.h"
#include "tests/support/program.h"
#include "tests/support/rows.h"
#include "tests/support/sanitized.h"
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

#include <cmocka.h>

/* Where a clock ticks in microseconds, reading it takes none. */
#ifdef __linux__
#define TIMER_IS_FINE true
#else
#define TIMER_IS_FINE false
#endif

#define TINY "datasets/tiny-gpt/finetune-1e-5/finetune-1e-5-step-00010"

static void a_warm_up_ends_when_times_have_stopped_falling(void **state)
{
    static const double warm[] = {100, 100, 100}, falling[] = {100, 90, 80, 70, 60, 50, 40, 30, 20, 10, 5};
    static const double late[] = {100, 40, 50, 39, 41}, slower[] = {100, 150, 200};
    static const double last[] = {100, 99, 98, 97, 80}, creeping[] = {100, 96, 93};
    (void)state;
    assert_false(mth_warm_up_settled(warm, 0));
    assert_false(mth_warm_up_settled(warm, 2));
    assert_true(mth_warm_up_settled(warm, 3));
    for (size_t n = 0; n <= sizeof falling / sizeof falling[0]; n++)
        assert_false(mth_warm_up_settled(falling, n));
    assert_false(mth_warm_up_settled(late, 3)); /* the second fell */
    assert_true(mth_warm_up_settled(late, 4));  /* 39 is within 5 % of 40 */
    assert_true(mth_warm_up_settled(late, 5));
    assert_true(mth_warm_up_settled(slower, 3)); /* no warm-up makes it faster */
    assert_true(mth_warm_up_settled(last, 4));
    assert_false(mth_warm_up_settled(last, 5));
    assert_true(mth_warm_up_settled(creeping, 3)); /* each within 5 % of the one before */
}

static void the_roofline_is_the_fastest_way_to_move_bytes(void **state)
{
    struct mth_bench_case at = {.raw_bytes = 1000};
    (void)state;
    assert_true(mth_bench_memory_roofline_ns(&at, 500) == 0);
    at.memory[MTH_MEMORY_COPY].time.median = 200; /* ten bytes a nanosecond, read and written */
    assert_true(mth_bench_memory_roofline_ns(&at, 500) == 50);
    at.memory[MTH_MEMORY_WRITE].time.median = 500;
    assert_true(mth_bench_memory_roofline_ns(&at, 500) == 50);
    at.memory[MTH_MEMORY_READ].time.median = 50; /* twenty */
    assert_true(mth_bench_memory_roofline_ns(&at, 500) == 25);
}

static void efficiency_is_what_threads_gain_of_what_they_could(void **state)
{
    struct mth_bench_cell cells[3] = {
        {.spec = "a", .verified = true}, {.spec = "a", .verified = true}, {.spec = "b", .verified = true}};
    struct mth_bench_case cases[3] = {{.id = "d", .n_threads = 4, .cells = &cells[0], .n_cells = 1},
                                      {.id = "d", .n_threads = 1, .cells = &cells[1], .n_cells = 1},
                                      {.id = "d", .n_threads = 2, .cells = &cells[2], .n_cells = 1}};
    struct mth_bench bench = {.cases = cases, .n_cases = 3};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        cells[i].parent = &cases[i];
    cells[0].phases[MTH_PHASE_COMPRESS].time.median = 25;
    cells[1].phases[MTH_PHASE_COMPRESS].time.median = 80;
    cells[2].phases[MTH_PHASE_COMPRESS].time.median = 80;
    assert_true(mth_bench_efficiency(&bench, &cells[0], MTH_PHASE_COMPRESS) == 80);
    assert_true(mth_bench_efficiency(&bench, &cells[1], MTH_PHASE_COMPRESS) == 100);
    assert_true(mth_bench_efficiency(&bench, &cells[2], MTH_PHASE_COMPRESS) < 0); /* not on one thread */
    cells[1].verified = false;
    assert_true(mth_bench_efficiency(&bench, &cells[0], MTH_PHASE_COMPRESS) < 0);
}

static void a_tensor_belongs_to_the_class_that_holds_it(void **state)
{
    (void)state;
    assert_int_equal(mth_latency_class_of(0), MTH_LATENCY_CLASSES);
    assert_int_equal(mth_latency_class_of(1), 0);
    assert_int_equal(mth_latency_class_of(1024), 0);
    assert_int_equal(mth_latency_class_of(1025), 1);
    assert_int_equal(mth_latency_class_of(1 << 20), 5);
    assert_int_equal(mth_latency_class_of((1 << 20) + 1), MTH_LATENCY_CLASSES);
}

/* ---- what the program writes ---- */

struct seen {
    size_t n_cells, n_latency, n_one_thread, n_baselines[3], n_calls, n_small;
    double resident[2], heap[2]; /* of store and zstd:level=19, compressing on one thread */
    double fastest;              /* bytes a nanosecond that memory can move, of the baselines before */
    double latency_raw, latency_stored;
};

static void see_cell(const struct mth_json_node *row, struct seen *seen)
{
    bool compress = strcmp(rows_text(row, "phase"), "compress") == 0;
    bool slow = strcmp(rows_text(row, "spec"), "zstd:level=19") == 0;
    double raw = rows_number(row, "raw_bytes");
    seen->n_cells++;
    assert_true(rows_number(row, "resident_per_byte") == rows_number(row, "resident_peak_bytes") / raw);
    assert_true(rows_number(row, "heap_per_byte") == rows_number(row, "heap_peak_bytes") / raw);
    assert_true(rows_number(row, "moved_bytes") == 2 * raw + rows_number(row, "stored_bytes"));
    double least_ns = rows_number(row, "moved_bytes") / seen->fastest;
    assert_true(
        fabs(rows_number(row, "pct_roofline") / (100 * least_ns / rows_number(row, "median_ns")) - 1) < 1e-9);
    assert_in_range(rows_count(row, "warm_up_ns"), 1, MTH_WARM_UP_MOST + 1);
    assert_true(rows_number(row, "pct_parallel") > 0);
    if (rows_number(row, "threads") != 1)
        return;
    seen->n_one_thread++;
    assert_true(rows_number(row, "pct_parallel") == 100);
    assert_true(rows_number(row, "gib_s_thread") == rows_number(row, "gib_s"));
    if (compress)
        seen->resident[slow] = rows_number(row, "resident_peak_bytes");
    if (compress)
        seen->heap[slow] = rows_number(row, "heap_peak_bytes");
}

static void see_latency(const struct mth_json_node *row, struct seen *seen)
{
    double p50 = rows_number(row, "p50_ns"), p95 = rows_number(row, "p95_ns");
    seen->n_latency++;
    assert_int_equal((int)rows_number(row, "threads"), 1);
    assert_true(p50 > 0 && p50 <= p95 && p95 <= rows_number(row, "p99_ns"));
    assert_true(rows_count(row, "samples_ns") >= (size_t)rows_number(row, "n_tensors"));
    assert_true(rows_number(row, "raw_bytes") <=
                rows_number(row, "up_to_bytes") * rows_number(row, "n_tensors"));
    if (strcmp(rows_text(row, "spec"), "store") == 0 && strcmp(rows_text(row, "phase"), "compress") == 0)
        seen->n_small += (size_t)rows_number(row, "n_tensors");
}

static void see(const struct mth_json_node *row, void *arg)
{
    static const char *const baselines[] = {"memcpy", "read", "write"};
    struct seen *seen = arg;
    const char *kind = rows_text(row, "kind");
    if (strcmp(kind, "cell") == 0)
        see_cell(row, seen);
    if (strcmp(kind, "latency") == 0)
        see_latency(row, seen);
    for (size_t i = 0; i < 3 && strcmp(kind, "baseline") == 0; i++) {
        if (strcmp(rows_text(row, "what"), baselines[i]) != 0)
            continue;
        double rate = (i ? 1 : 2) * rows_number(row, "raw_bytes") / rows_number(row, "median_ns");
        seen->n_baselines[i] += rows_number(row, "gib_s") > 0;
        seen->fastest = i ? fmax(seen->fastest, rate) : rate;
        assert_true(rows_number(row, "timer_ns") > 0 || !TIMER_IS_FINE);
    }
}

static void rows_tell_of_memory_threads_and_single_tensors(void **state)
{
    struct seen seen = {0};
    (void)state;
    struct program_result result = program_run(NULL, (const char *const[]){"bench",      TINY "1.safetensors",
                                                                           "-b",         TINY "0.safetensors",
                                                                           "-p",         "store",
                                                                           "-p",         "zstd:level=19",
                                                                           "-t",         "2",
                                                                           "--scaling",  "--latency",
                                                                           "--rounds",   "3",
                                                                           "--seconds",  "0.01",
                                                                           "--cache",    "64KiB",
                                                                           "--resident", "-q",
                                                                           "--json",     "-",
                                                                           NULL});
    if (result.exit_code != 0)
        fail_msg("exit %d: %s", result.exit_code, result.err);
    rows_each(result.out, see, &seen);
    assert_int_equal(seen.n_cells, 8); /* two pipelines, two phases, one and two threads */
    assert_int_equal(seen.n_one_thread, 4);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(seen.n_baselines[i], 2);
    assert_int_equal(seen.n_small, 28); /* all tensors of this model are small */
    assert_true(seen.n_latency > 0);
    /* zstd at this level has tables of megabytes; what only copies has none. */
    assert_true(seen.resident[1] > seen.resident[0] + 1e6);
    assert_true(seen.heap[1] > seen.heap[0] + 1e6);
    /* Nor do the program and the buffers count. */
    if (!SANITIZED)
        assert_true(seen.resident[0] < 1.5e6);
    program_result_free(&result);
}

static void a_pass_for_resident_memory_is_of_one_cell(void **state)
{
    static const char *const phases[] = {"compress", "sideways"};
    char *directory = temp_dir_create(), container[4096];
    (void)state;
    snprintf(container, sizeof container, "%s/c.mth", directory);
    for (size_t i = 0; i < 2; i++) {
        struct program_result result =
            program_run(NULL, (const char *const[]){"bench", TINY "1.safetensors", "-p", "store", "-p",
                                                    i ? "store" : "lz4", "--one-pass", phases[i],
                                                    "--container", container, NULL});
        assert_int_equal(result.exit_code, 1);
        assert_int_equal(program_lines(result.err), 1);
        assert_non_null(strstr(result.err, "--one-pass"));
        program_result_free(&result);
    }
    assert_int_equal(temp_dir_count(directory, "."), 0);
    temp_dir_destroy(directory);
}

static void see_plugin(const struct mth_json_node *row, void *arg)
{
    if (strcmp(rows_text(row, "kind"), "cell") == 0 && strcmp(rows_text(row, "phase"), "compress") == 0)
        snprintf(arg, 32, "%s", rows_text(row, "row_id"));
}

static void a_row_of_a_defined_spec_is_measured_again_by_its_arguments(void **state)
{
    char *directory = temp_dir_create(), rows[4096], id[32] = "";
    (void)state;
    snprintf(rows, sizeof rows, "%s/rows.jsonl", directory);
    struct program_result result =
        program_run(NULL, (const char *const[]){"bench", TINY "1.safetensors", "-p", "mine", "--define",
                                                "mine=byte-group+lz4", "--rounds", "3", "--seconds", "0",
                                                "--cache", "64KiB", "-q", "--json", rows, NULL});
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    char *text = temp_dir_read(directory, "rows.jsonl", NULL);
    rows_each(text, see_plugin, id);
    free(text);
    result =
        program_run(NULL, (const char *const[]){"bench", "--rerun", id, rows, "-q", "--json", "-", NULL});
    if (result.exit_code != 0)
        fail_msg("exit %d: %s", result.exit_code, result.err);
    assert_non_null(strstr(result.out, "\"spec_resolved\":\"byte-group"));
    program_result_free(&result);
    temp_dir_destroy(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_up_ends_when_times_have_stopped_falling),
        cmocka_unit_test(the_roofline_is_the_fastest_way_to_move_bytes),
        cmocka_unit_test(efficiency_is_what_threads_gain_of_what_they_could),
        cmocka_unit_test(a_tensor_belongs_to_the_class_that_holds_it),
        cmocka_unit_test(rows_tell_of_memory_threads_and_single_tensors),
        cmocka_unit_test(a_pass_for_resident_memory_is_of_one_cell),
        cmocka_unit_test(a_row_of_a_defined_spec_is_measured_again_by_its_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
