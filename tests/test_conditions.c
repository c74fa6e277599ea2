/* Laws of what a measurement tells against itself: each flag is raised by its cause, and by nothing else. */
#include "harness/bench.h"
#include "harness/bench_ring.h"
#include "harness/conditions.h"
#include "harness/env.h"
#include "harness/json.h"
#include "tests/support/program.h"
#include "tests/support/rows.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DATA "datasets/tiny-gpt/pretrain/pretrain-step-002000.safetensors"

static void put(const char *root, const char *path, const char *text)
{
    temp_dir_write(root, path, text, strlen(text));
}

/* A system where nothing is wrong; tests change one file of it. */
static char *quiet_system(void)
{
    char *root = temp_dir_create();
    put(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    put(root, "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n");
    put(root, "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "0\n");
    put(root, "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "0\n");
    put(root, "sys/fs/cgroup/cpu.stat", "usage_usec 5\nnr_periods 0\nnr_throttled 0\n");
    put(root, "proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
    put(root, "proc/vmstat", "pgpgin 7\npswpin 0\npswpout 0\n");
    put(root, "proc/loadavg", "0.10 0.20 0.30 1/100 1000\n");
    return root;
}

static struct mth_conditions read_from(const char *root)
{
    struct mth_conditions conditions;
    mth_conditions_read(root, &conditions);
    return conditions;
}

/* The flags of a time in which one file changed. */
static uint32_t flags_when(const char *path, const char *text)
{
    char *root = quiet_system();
    struct mth_conditions before = read_from(root);
    if (path)
        put(root, path, text);
    struct mth_conditions after = read_from(root);
    temp_dir_destroy(root);
    return mth_conditions_flags(&before, &after);
}

static void each_flag_of_the_system_has_its_cause(void **state)
{
    (void)state;
    assert_int_equal(flags_when(NULL, NULL), 0);
    assert_int_equal(flags_when("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n"),
                     MTH_CELL_GOVERNOR);
    assert_int_equal(flags_when("sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "1\n"),
                     MTH_CELL_THROTTLED);
    assert_int_equal(flags_when("sys/fs/cgroup/cpu.stat", "nr_throttled 3\n"), MTH_CELL_THROTTLED);
    assert_int_equal(flags_when("proc/stat", "cpu  150 0 150 890 0 0 0 10 0 0\n"), MTH_CELL_STOLEN);
    assert_int_equal(flags_when("proc/stat", "cpu  150 0 150 1898 0 0 0 2 0 0\n"), 0); /* 0.2 % */
    assert_int_equal(flags_when("proc/vmstat", "pswpin 1\npswpout 0\n"), MTH_CELL_SWAPPED);
    assert_int_equal(flags_when("proc/vmstat", "pswpin 0\npswpout 9\n"), MTH_CELL_SWAPPED);
    assert_int_equal(flags_when("proc/loadavg", "90.0 20.0 3.0 1/1 1\n"), 0);
}

static void a_system_that_tells_nothing_raises_nothing(void **state)
{
    char *root = temp_dir_create();
    struct mth_conditions nothing = read_from(root);
    (void)state;
    assert_int_equal(mth_conditions_flags(&nothing, &nothing), 0);
    assert_string_equal(nothing.governor, "");
    put(root, "proc/stat", "cpu");
    put(root, "proc/vmstat", "pswpin\n");
    put(root, "proc/loadavg", "");
    nothing = read_from(root);
    assert_int_equal(mth_conditions_flags(&nothing, &nothing), 0);
    temp_dir_destroy(root);
}

static uint32_t flags_of_times(size_t n_samples, double lo, double hi, double cpu, size_t n_threads,
                               bool in_cache)
{
    struct mth_phase_result result = {
        .n_samples = n_samples, .time = {.median = 100, .ci_lo = lo, .ci_hi = hi}, .cpu_ns = cpu};
    return mth_bench_phase_flags(&result, n_threads, in_cache);
}

static void each_flag_of_the_times_has_its_cause(void **state)
{
    (void)state;
    assert_int_equal(flags_of_times(9, 98, 102, 100, 1, false), 0);
    assert_int_equal(flags_of_times(4, 98, 102, 100, 1, false), MTH_CELL_FEW_SAMPLES);
    assert_int_equal(flags_of_times(9, 94, 102, 100, 1, false), MTH_CELL_SPREAD);
    assert_int_equal(flags_of_times(9, 98, 106, 100, 1, false), MTH_CELL_SPREAD);
    assert_int_equal(flags_of_times(9, 98, 102, 120, 1, false), MTH_CELL_THREADS);
    assert_int_equal(flags_of_times(9, 98, 102, 190, 2, false), 0);
    assert_int_equal(flags_of_times(9, 98, 102, 100, 1, true), MTH_CELL_IN_CACHE);
}

static void a_sample_below_a_millisecond_is_flagged(void **state)
{
    struct mth_bench_cell cell = {0};
    (void)state;
    assert_int_equal(mth_bench_allocate_samples(&cell, 2), 0);
    mth_bench_add_sample(&cell, MTH_PHASE_COMPRESS, 1000000, 1, 1, 1);
    assert_int_equal(cell.phases[MTH_PHASE_COMPRESS].flags, 0);
    mth_bench_add_sample(&cell, MTH_PHASE_COMPRESS, 999999, 1, 1, 1);
    assert_int_equal(cell.phases[MTH_PHASE_COMPRESS].flags, MTH_CELL_SHORT_SAMPLE);
    assert_int_equal(cell.phases[MTH_PHASE_DECOMPRESS].flags, 0);
    for (size_t p = 0; p < MTH_N_PHASES; p++) {
        free(cell.phases[p].samples_ns);
        free(cell.phases[p].cpu_samples_ns);
        free(cell.phases[p].memcpy_ns);
    }
}

static void a_ring_that_has_no_room_for_four_caches_is_flagged(void **state)
{
    static const struct mth_ring ring = {.raw_bytes = 1000, .base_bytes = {300, 200}, .frame_bytes = 499};
    bool in_cache = true;
    (void)state;
    /* A slot takes 3000 bytes, and half of what is free may be taken. */
    assert_int_equal(mth_ring_count(&ring, 2500, 2 * 11 * 3000, &in_cache), 11);
    assert_false(in_cache);
    assert_int_equal(mth_ring_count(&ring, 2500, 2 * 11 * 3000 - 1, &in_cache), 10);
    assert_true(in_cache);
    assert_int_equal(mth_ring_count(&ring, 2500, 0, &in_cache), 1);
    assert_true(in_cache);
    assert_int_equal(mth_ring_count(&ring, 0, 1 << 30, &in_cache),
                     1); /* how large the cache is is not known */
    assert_true(in_cache);
}

/* Whatever it is, in whichever cell and phase. */
static void strict_refuses_each_flag_by_its_name(void **state)
{
    struct mth_bench_cell cells[2] = {{.spec = "a", .verified = true}, {.spec = "b", .verified = true}};
    struct mth_bench_case at = {.id = "d", .cells = cells, .n_cells = 2};
    struct mth_bench bench = {.cases = &at, .n_cases = 1};
    struct mth_error err = {0};
    const char *name;
    uint32_t flag, all = 0;
    size_t n = 0;
    (void)state;
    assert_int_equal(mth_bench_refuse_flags(&bench, &err), 0);
    for (; (name = mth_bench_flag_name(n, &flag)) != NULL; n++) {
        struct mth_phase_result *result = &cells[n % 2].phases[n / 2 % 2];
        result->flags = flag;
        assert_int_equal(mth_bench_refuse_flags(&bench, &err), MTH_ERR_LIMIT);
        assert_non_null(strstr(err.text, name));
        result->flags = 0;
        all |= flag;
    }
    assert_int_equal(n, 13);
    assert_int_equal(all, (1u << 13) - 1); /* none twice, none left out */
    cells[1].phases[1].flags = MTH_CELL_UNSETTLED;
    cells[1].verified = false; /* that is told otherwise */
    assert_int_equal(mth_bench_refuse_flags(&bench, &err), 0);
}

static struct program_result run_on(const char *root, const char *const *arguments)
{
    assert_int_equal(setenv("MTH_SYSTEM_ROOT", root, 1), 0);
    struct program_result result = program_run(NULL, arguments);
    unsetenv("MTH_SYSTEM_ROOT");
    return result;
}

static void env_tells_what_speaks_against_measuring(void **state)
{
    static const char *const env[] = {"env", NULL};
    static const char *const flags[] = {"\ngovernor          fine\n", "\nstolen            fine\n",
                                        "\nthrottled         fine\n", "\nswapped           fine\n",
                                        "\nbusy              fine\n"};
    char *root = quiet_system(), *nothing = temp_dir_create();
    (void)state;
    struct program_result result = run_on(root, env);
    assert_non_null(strstr(result.out, "nothing that is known speaks against measuring"));
    assert_non_null(strstr(result.out, " ns to read\n"));
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        assert_non_null(strstr(result.out, flags[i]));
    program_result_free(&result);
    put(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    put(root, "proc/vmstat", "pswpin 5\npswpout 7\n");
    put(root, "proc/loadavg", "1000.0 0 0 1/1 1\n");
    put(root, "proc/stat", "cpu  50 0 0 40 0 0 0 10\n");
    put(root, "sys/fs/cgroup/cpu.stat", "nr_throttled 4\n");
    result = run_on(root, env);
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "governor of the processors' frequency is powersave"));
    assert_non_null(strstr(result.out, "12 pages were swapped"));
    assert_non_null(strstr(result.out, "1000.0 threads were busy"));
    assert_non_null(strstr(result.out, "gave 10.0 % of the processors' time to others"));
    assert_non_null(strstr(result.out, "slowed down 4 times"));
    assert_null(strstr(result.out, "nothing that is known"));
    program_result_free(&result);
    result = run_on(nothing, env);
    assert_non_null(strstr(result.out, "\nswapped           not told by this system\n"));
    assert_non_null(strstr(result.out, "\nthrottled         not told by this system\n"));
    program_result_free(&result);
    temp_dir_destroy(nothing);
    temp_dir_destroy(root);
}

struct stamp {
    const char *key;
    char text[256]; /* "" for what the build does not know */
    size_t n_found;
};

static void check_stamp(const struct mth_json_node *row, void *arg)
{
    struct stamp *stamp = arg;
    const char *text;
    struct mth_error err;
    assert_int_equal(mth_json_get_string(row, stamp->key, MTH_JSON_OPTIONAL, &text, &err), 0);
    stamp->n_found++;
    if (stamp->text[0] == '\0')
        assert_null(text);
    else
        assert_string_equal(text ? text : "nothing", stamp->text);
}

/* make leaves both beside the program: the commit, and the hash of what `git diff HEAD` said. */
static void a_row_tells_the_commit_and_what_was_changed_since_and_null_for_what_is_not_known(void **state)
{
    static const char *const keys[][2] = {{"commit", "commit"}, {"dirty_diff", "diff"}};
    static const char *const unknown[] = {"governor", "boost", "smt"};
    char *path = program_path();
    struct mth_json_writer writer;
    const char *row;
    size_t n_row;
    (void)state;
    mth_json_writer_init(&writer);
    mth_env_row(&writer, NULL);
    assert_int_equal(mth_json_writer_text(&writer, &row, &n_row), 0);
    *strrchr(path, '/') = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct stamp stamp = {.key = keys[i][0]};
        char *text = temp_dir_read(path, keys[i][1], NULL);
        if (!text) { /* another program than make's */
            skip();
            return;
        }
        snprintf(stamp.text, sizeof stamp.text, "%.*s", (int)strcspn(text, "\n"), text);
        free(text);
        rows_each(row, check_stamp, &stamp);
        assert_int_equal(stamp.n_found, 1);
    }
    /* Whatever this system tells of these: there, and never an empty text. */
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        char key[64];
        snprintf(key, sizeof key, "\"%s\":", unknown[i]);
        assert_non_null(strstr(row, key));
    }
    assert_null(strstr(row, ":\"\""));
    free(path);
    mth_json_writer_free(&writer);
}

static void strict_refuses_before_the_measuring_and_rows_with_flags_after(void **state)
{
    char *root = quiet_system(), rows[4096];
    snprintf(rows, sizeof rows, "%s/rows.jsonl", root);
    const char *const strict[] = {"bench",   DATA,    "-p",       "store",  "--rounds", "3", "-q",
                                  "--cache", "64KiB", "--strict", "--json", rows,       NULL};
    (void)state;
    struct program_result result = run_on(root, strict); /* three samples, in cache */
    assert_int_equal(result.exit_code, 5);
    assert_int_equal(program_lines(result.err), 1);
    assert_non_null(strstr(result.err, "flagged in_cache"));
    assert_null(temp_dir_read(root, "rows.jsonl", NULL));
    program_result_free(&result);
    put(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n");
    result = run_on(root, strict);
    assert_int_equal(result.exit_code, 5);
    assert_non_null(strstr(result.err, "--strict: the governor"));
    program_result_free(&result);
    temp_dir_destroy(root);
}

/* Without --strict the row says it. */
static void a_row_carries_the_flags_of_the_system(void **state)
{
    char *root = quiet_system();
    (void)state;
    put(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n");
    struct program_result result =
        run_on(root, (const char *const[]){"bench", DATA, "-p", "store", "--rounds", "3", "-q", "--cache",
                                           "64KiB", "--json", "-", NULL});
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "\"governor\"]"));
    program_result_free(&result);
    temp_dir_destroy(root);
}

/* build/tests/plugin_moody.so, beside this program. */
static const char *this_program;

static void a_codec_that_makes_other_bytes_each_time_is_flagged(void **state)
{
    static const char zeros[1 << 16];
    char *directory = temp_dir_create(), file[4096], plugin[4096];
    const char *slash = strrchr(this_program, '/');
    (void)state;
    temp_dir_write(directory, "zeros", zeros, sizeof zeros);
    snprintf(file, sizeof file, "%s/zeros", directory);
    snprintf(plugin, sizeof plugin, "%.*splugin_moody.so", slash ? (int)(slash - this_program + 1) : 0,
             this_program);
    for (int moody = 0; moody < 2; moody++) {
        struct program_result result = program_run(
            NULL, (const char *const[]){"bench", file, "--dtype", "bf16", "--plugin", plugin, "-p",
                                        moody ? "moody" : "zstd", "--rounds", "3", "--seconds", "0", "-q",
                                        "--cache", "64KiB", "--json", "-", NULL});
        if (result.exit_code != 0)
            fail_msg("exit %d: %s", result.exit_code, result.err);
        assert_int_equal(strstr(result.out, "\"nondeterministic\"") != NULL, moody);
        program_result_free(&result);
    }
    temp_dir_destroy(directory);
}

int main(int argc, char **argv)
{
    (void)argc;
    this_program = argv[0];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_flag_of_the_system_has_its_cause),
        cmocka_unit_test(a_system_that_tells_nothing_raises_nothing),
        cmocka_unit_test(each_flag_of_the_times_has_its_cause),
        cmocka_unit_test(a_sample_below_a_millisecond_is_flagged),
        cmocka_unit_test(a_ring_that_has_no_room_for_four_caches_is_flagged),
        cmocka_unit_test(strict_refuses_each_flag_by_its_name),
        cmocka_unit_test(a_codec_that_makes_other_bytes_each_time_is_flagged),
        cmocka_unit_test(env_tells_what_speaks_against_measuring),
        cmocka_unit_test(a_row_tells_the_commit_and_what_was_changed_since_and_null_for_what_is_not_known),
        cmocka_unit_test(strict_refuses_before_the_measuring_and_rows_with_flags_after),
        cmocka_unit_test(a_row_carries_the_flags_of_the_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
