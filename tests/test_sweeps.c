/*
 * Laws of sweeps: every cell in one shard and no other, ranks taken from the engine that is innermost, and a report that names
 * what is lost, twice there, or foreign. Engines are not run: their variables are set here.
 */
#include "harness/bench_shard.h"
#include "harness/json.h"
#include "harness/report.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const variables[] = {"OMPI_COMM_WORLD_RANK",
                                        "OMPI_COMM_WORLD_SIZE",
                                        "PMI_RANK",
                                        "PMI_SIZE",
                                        "RANK",
                                        "WORLD_SIZE",
                                        "SLURM_JOB_ID",
                                        "SLURM_STEP_ID",
                                        "SLURM_STEP_NUM_TASKS",
                                        "SLURM_PROCID",
                                        "SLURM_NTASKS",
                                        "SLURM_ARRAY_TASK_ID",
                                        "SLURM_ARRAY_TASK_COUNT",
                                        "SLURM_ARRAY_TASK_MIN",
                                        "SLURM_ARRAY_TASK_MAX",
                                        "SLURM_ARRAY_TASK_STEP"};

/* "NAME=VALUE NAME=VALUE", and nothing else of any engine. */
static void set_environment(const char *settings)
{
    char text[512];
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
    snprintf(text, sizeof text, "%s", settings);
    for (char *at = text; *at;) {
        size_t n = strcspn(at, " ");
        bool last = at[n] == '\0';
        at[n] = '\0';
        char *equals = strchr(at, '=');
        *equals = '\0';
        assert_int_equal(setenv(at, equals + 1, 1), 0);
        at += n + !last;
    }
}

static void ranks_come_from_the_innermost_engine(void **state)
{
    (void)state;
    static const struct {
        const char *environment, *shard, *error; /* NULL for one that is refused, and what it then says */
    } cases[] = {
        {"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2", "1/2", NULL},
        {"PMI_RANK=3 PMI_SIZE=4", "4/4", NULL},
        {"RANK=7 WORLD_SIZE=8", "8/8", NULL},
        {"SLURM_JOB_ID=1 SLURM_STEP_ID=0 SLURM_PROCID=2 SLURM_NTASKS=3", "3/3", NULL},
        /* A step may have fewer tasks than its job. */
        {"SLURM_JOB_ID=1 SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=8 SLURM_STEP_NUM_TASKS=2", "2/2", NULL},
        {"SLURM_JOB_ID=1 SLURM_PROCID=0 SLURM_NTASKS=2 OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2", "2/2",
         NULL},
        {"SLURM_JOB_ID=1 SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=1 RANK=2 WORLD_SIZE=4", "3/4", NULL},
        {"SLURM_JOB_ID=1 SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=0 "
         "SLURM_ARRAY_TASK_MAX=3",
         "2/4", NULL},
        {"SLURM_JOB_ID=1 SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=3 "
         "SLURM_ARRAY_TASK_MAX=7 SLURM_ARRAY_TASK_STEP=2",
         "3/3", NULL},
        {"SLURM_JOB_ID=1 SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_NTASKS=2 SLURM_ARRAY_TASK_ID=2 "
         "SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=2",
         "4/4", NULL},
        {"", NULL, "no rank in the environment"},
        {"SLURM_JOB_ID=1 SLURM_PROCID=0 SLURM_NTASKS=2", NULL, "no step"},
        {"RANK=1", NULL, "WORLD_SIZE is not set"},
        {"WORLD_SIZE=2", NULL, "RANK is not set"},
        {"RANK=2 WORLD_SIZE=2", NULL, "RANK is 2, and WORLD_SIZE is 2"},
        {"RANK=-1 WORLD_SIZE=2", NULL, "RANK is '-1'"},
        {"RANK=0 WORLD_SIZE=99999999999999999999", NULL, "WORLD_SIZE is"},
        {"RANK=0 WORLD_SIZE=0", NULL, "WORLD_SIZE is 0"},
        {"SLURM_JOB_ID=1 SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1 "
         "SLURM_ARRAY_TASK_MAX=7",
         NULL, "gaps"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mth_shard shard;
        struct mth_error err = {0};
        set_environment(cases[i].environment);
        int status = mth_shard_parse("auto", &shard, &err);
        if (cases[i].shard && status)
            fail_msg("%s: %s", cases[i].environment, err.text);
        if (cases[i].shard)
            assert_string_equal(shard.text, cases[i].shard);
        else
            assert_int_equal(status, MTH_ERR_USAGE);
        if (cases[i].error && !strstr(err.text, cases[i].error))
            fail_msg("%s: %s", cases[i].environment, err.text);
    }
    set_environment("");
}

static void shards_are_said_as_i_of_n(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "1",
                                        "/",
                                        "0/2",
                                        "3/2",
                                        "1/0",
                                        "1/2/3",
                                        "a/b",
                                        "1/",
                                        "/2",
                                        "-1/2",
                                        "1/99999999",
                                        "18446744073709551617/2"};
    struct mth_shard shard;
    struct mth_error err;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(mth_shard_parse(wrong[i], &shard, &err), MTH_ERR_USAGE);
    assert_int_equal(mth_shard_parse("2/3", &shard, &err), 0);
    assert_int_equal(shard.number, 2);
    assert_int_equal(shard.n_shards, 3);
    char path[4096];
    mth_shard_path(&shard, "a.b/rows.jsonl", path);
    assert_string_equal(path, "a.b/rows.2-of-3.jsonl");
    mth_shard_path(&shard, "a.b/rows", path);
    assert_string_equal(path, "a.b/rows.2-of-3");
    mth_shard_path(&shard, ".rows", path);
    assert_string_equal(path, ".rows.2-of-3");
    mth_shard_path(&shard, "-", path);
    assert_string_equal(path, "-");
}

/* ---- what shards measure ---- */

#define DATA "tiny-gpt", "tiny-gpt/pretrain-1", "tiny-gpt/finetune-1e-6"
enum { N_CASES = 3, N_SPECS = 3 };

/* A shard of the same little sweep, into DIRECTORY/NAME.I-of-N.jsonl. */
static void measure(const char *directory, const char *name, const char *shard, const char *rounds)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.jsonl", directory, name);
    const char *const arguments[] = {
        "bench", DATA,        "-p", "store",   "-p",    "lz4",     "-p",  "zstd:level=1", "-q", "--rounds",
        rounds,  "--seconds", "0",  "--cache", "64KiB", "--shard", shard, "--json",       path, NULL};
    struct program_result result = program_run(NULL, arguments);
    if (result.exit_code)
        fail_msg("exit %d: %s", result.exit_code, result.err);
    program_result_free(&result);
}

struct split {
    size_t n_seen[N_CASES * N_SPECS];
    size_t n_in_shard, n_said;
    char sweep[MTH_SWEEP_ID_BYTES];
};

static const char *text_of(const struct mth_json_node *row, const char *key)
{
    struct mth_error err;
    const char *text = NULL;
    assert_int_equal(mth_json_get_string(row, key, MTH_JSON_OPTIONAL, &text, &err), 0);
    return text ? text : "";
}

static void see_row(struct split *split, const struct mth_json_node *row, const char *shard)
{
    static const char *const datasets[] = {DATA}, *const specs[] = {"store", "lz4", "zstd:level=1"};
    struct mth_error err;
    if (strcmp(text_of(row, "kind"), "env") == 0)
        return;
    assert_string_equal(text_of(row, "shard"), shard);
    if (split->sweep[0])
        assert_string_equal(text_of(row, "sweep"), split->sweep);
    snprintf(split->sweep, sizeof split->sweep, "%s", text_of(row, "sweep"));
    if (strcmp(text_of(row, "kind"), "shard") == 0) {
        int64_t n_cells = 0;
        assert_int_equal(mth_json_get_int(row, "n_cells", MTH_JSON_REQUIRED, 0, 99, &n_cells, &err), 0);
        split->n_said = (size_t)n_cells;
    }
    if (strcmp(text_of(row, "kind"), "cell") != 0 || strcmp(text_of(row, "phase"), "compress") != 0)
        return;
    split->n_in_shard++;
    for (size_t i = 0; i < N_CASES * N_SPECS; i++)
        split->n_seen[i] += strcmp(datasets[i / N_SPECS], text_of(row, "dataset")) == 0 &&
                            strcmp(specs[i % N_SPECS], text_of(row, "spec")) == 0;
}

static void see_file(struct split *split, const char *directory, const char *name, const char *shard)
{
    char *rows = temp_dir_read(directory, name, NULL);
    assert_non_null(rows);
    split->n_in_shard = split->n_said = 0;
    for (const char *line = rows; *line; line = strchr(line, '\n') + 1) {
        struct mth_json *json;
        struct mth_error err;
        if (mth_json_parse("rows", line, strcspn(line, "\n"), &json, &err))
            fail_msg("%s", err.text);
        struct mth_json_node root = mth_json_root(json, "rows");
        see_row(split, &root, shard);
        mth_json_free(json);
    }
    assert_int_equal(split->n_in_shard, split->n_said);
    free(rows);
}

/* In fewer shards than checkpoints, as many, more, and more than there are cells. */
static void every_cell_is_in_one_shard(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 5, 11};
    char *directory = temp_dir_create();
    for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
        struct split split = {.n_said = 0};
        for (size_t i = 1; i <= counts[k]; i++) {
            char shard[32], name[64];
            snprintf(shard, sizeof shard, "%zu/%zu", i, counts[k]);
            snprintf(name, sizeof name, "rows.%zu-of-%zu.jsonl", i, counts[k]);
            measure(directory, "rows", shard, "1");
            see_file(&split, directory, name, shard);
        }
        for (size_t i = 0; i < N_CASES * N_SPECS; i++)
            assert_int_equal(split.n_seen[i], 1);
    }
    temp_dir_destroy(directory);
}

/* ---- what a report says of them ---- */

/* Of files in the directory, by names with spaces between. */
static struct program_result report(const char *directory, const char *names, bool partial)
{
    const char *arguments[12] = {"report"};
    char text[512];
    size_t n = 1;
    snprintf(text, sizeof text, "%s", names);
    for (char *at = strtok(text, " "); at; at = strtok(NULL, " "))
        arguments[n++] = at;
    if (partial)
        arguments[n++] = "--partial";
    return program_run(directory, arguments);
}

static void assert_told(const char *directory, const char *names, int exit_code, const char *told)
{
    struct program_result result = report(directory, names, false);
    if (result.exit_code != exit_code || !strstr(result.err, told))
        fail_msg("%s: exit %d: %s", names, result.exit_code, result.err);
    assert_int_equal(program_lines(result.err), exit_code ? 1 : 0);
    assert_true((result.out[0] == '\0') == (exit_code != 0));
    program_result_free(&result);
    if (exit_code == 0)
        return;
    result = report(directory, names, true);
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.err, told));
    assert_non_null(strstr(result.out, "**not whole**"));
    program_result_free(&result);
}

/* The same rows without those lines that hold a text. */
static void copy_without(const char *directory, const char *from, const char *to, const char *without)
{
    char *rows = temp_dir_read(directory, from, NULL), *kept = rows;
    assert_non_null(rows);
    for (char *line = rows; *line;) {
        size_t n = strcspn(line, "\n") + 1;
        char *found = strstr(line, without);
        if (!found || found >= line + n) {
            memmove(kept, line, n);
            kept += n;
        }
        line += n;
    }
    temp_dir_write(directory, to, rows, (size_t)(kept - rows));
    free(rows);
}

static void reports_name_lost_doubled_and_foreign_shards(void **state)
{
    (void)state;
    char *directory = temp_dir_create();
    measure(directory, "a", "1/3", "1");
    measure(directory, "a", "2/3", "1");
    measure(directory, "a", "3/3", "1");
    measure(directory, "again", "2/3", "1");
    measure(directory, "other", "2/3", "2");
    measure(directory, "other", "1/2", "1");
    assert_told(directory, "a.1-of-3.jsonl a.2-of-3.jsonl a.3-of-3.jsonl", 0, "");
    assert_told(directory, "a.1-of-3.jsonl a.2-of-3.jsonl a.3-of-3.jsonl a.2-of-3.jsonl", 0, "");
    assert_told(directory, "a.1-of-3.jsonl again.2-of-3.jsonl a.3-of-3.jsonl", 0, "");
    assert_told(directory, "a.1-of-3.jsonl a.3-of-3.jsonl", 2, "shard 2 of 3 is lost");
    assert_told(directory, "a.2-of-3.jsonl", 2, "shards 1, 3 of 3 are lost");
    assert_told(directory, "a.1-of-3.jsonl a.2-of-3.jsonl a.3-of-3.jsonl again.2-of-3.jsonl", 2,
                "shard 2/3 is there twice (a.2-of-3.jsonl, again.2-of-3.jsonl)");
    assert_told(directory, "a.1-of-3.jsonl a.3-of-3.jsonl other.2-of-3.jsonl", 2,
                "shard 2 of 3 is lost; other.2");
    assert_told(directory, "a.1-of-3.jsonl a.3-of-3.jsonl other.2-of-3.jsonl", 2,
                "(other cells or other options)");
    assert_told(directory, "a.1-of-3.jsonl a.2-of-3.jsonl a.3-of-3.jsonl other.1-of-2.jsonl", 2,
                "(split otherwise)");
    copy_without(directory, "a.2-of-3.jsonl", "cut", "\"spec\":\"lz4\"");
    assert_told(directory, "a.1-of-3.jsonl cut a.3-of-3.jsonl", 2, "cut: shard 2/3");
    assert_told(directory, "a.1-of-3.jsonl cut a.3-of-3.jsonl", 2, "lacks 1 of its 3 cells");
    copy_without(directory, "a.2-of-3.jsonl", "headless", "\"kind\":\"shard\"");
    assert_told(directory, "a.1-of-3.jsonl headless a.3-of-3.jsonl", 2, "lacks its row of kind shard");
    temp_dir_destroy(directory);
}

static void compare_refuses_half_a_sweep(void **state)
{
    (void)state;
    char *directory = temp_dir_create();
    measure(directory, "a", "1/2", "1");
    struct program_result result =
        program_run(directory, (const char *const[]){"compare", "a.1-of-2.jsonl", "a.1-of-2.jsonl", NULL});
    assert_int_equal(result.exit_code, 2);
    assert_non_null(strstr(result.err, "shard 2 of 2 is lost"));
    program_result_free(&result);
    result = program_run(
        directory, (const char *const[]){"compare", "a.1-of-2.jsonl", "a.1-of-2.jsonl", "--partial", NULL});
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    temp_dir_destroy(directory);
}

/* A verdict is on all cells of a checkpoint; a shard with some of them has none. */
static void shards_of_one_checkpoint_withhold_verdicts(void **state)
{
    (void)state;
    char *directory = temp_dir_create();
    measure(directory, "a", "4/6", "1");
    char *rows = temp_dir_read(directory, "a.4-of-6.jsonl", NULL);
    assert_non_null(rows);
    assert_non_null(strstr(rows, "2 of the 3 cells are in other shards"));
    assert_non_null(strstr(rows, "\"result\":\"UNSUPPORTED\""));
    assert_null(strstr(rows, "\"result\":\"PASS\""));
    assert_null(strstr(rows, "\"result\":\"FAIL\""));
    free(rows);
    temp_dir_destroy(directory);
}

int main(void)
{
    set_environment("");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_come_from_the_innermost_engine),
        cmocka_unit_test(shards_are_said_as_i_of_n),
        cmocka_unit_test(every_cell_is_in_one_shard),
        cmocka_unit_test(reports_name_lost_doubled_and_foreign_shards),
        cmocka_unit_test(compare_refuses_half_a_sweep),
        cmocka_unit_test(shards_of_one_checkpoint_withhold_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
