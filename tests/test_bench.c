/*
 * Laws of `mithril bench`: every cell verified, rows that hold together, verdicts that follow from them, and bad input
 * refused with one line and the exit code of the design. Runs the program; no law depends on how fast it is.
 */
#include "tests/support/program.h"
#include "tests/support/rows.h"
#include "tests/support/safetensors_builder.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TINY "datasets/tiny-gpt/"

/*
 * Runs it as if the cache were small, where it measures: a ring of copies for a large one, touched page by page, takes most of the
 * time, and no law here is about times.
 */
static struct program_result run(const char *const *arguments)
{
    enum { MAX_ARGUMENTS = 48 };
    const char *all[MAX_ARGUMENTS + 3] = {NULL};
    size_t n = 0;
    for (; arguments[n]; n++) {
        assert_in_range(n, 0, MAX_ARGUMENTS - 1);
        all[n] = arguments[n];
    }
    if (strcmp(arguments[0], "bench") == 0) {
        all[n++] = "--cache";
        all[n++] = "64KiB";
    }
    return program_run(NULL, all);
}

/* Measures with a few rounds and gives the rows; the caller frees them. */
static char *measure(const char *operand, const char *const *specs, const char *base)
{
    char *directory = temp_dir_create();
    char path[4096];
    const char *arguments[32] = {"bench", operand, "--rounds", "3", "--seconds", "0", "-q", "--json", path};
    size_t n = 9;
    snprintf(path, sizeof path, "%s/rows.jsonl", directory);
    if (base) {
        arguments[n++] = "--base";
        arguments[n++] = base;
    }
    for (size_t i = 0; specs[i]; i++) {
        arguments[n++] = "-p";
        arguments[n++] = specs[i];
    }
    struct program_result result = run(arguments);
    if (result.exit_code != 0)
        fail_msg("exit %d: %s", result.exit_code, result.err);
    assert_int_equal(program_lines(result.err), 0);
    for (const char *line = result.out; *line;) {
        size_t width = strcspn(line, "\n");
        assert_in_range(width, 0, 120);
        line += width + (line[width] == '\n');
    }
    char *rows = temp_dir_read(directory, "rows.jsonl", NULL);
    assert_non_null(rows);
    program_result_free(&result);
    temp_dir_destroy(directory);
    return rows;
}

struct seen {
    size_t n_env, n_cells, n_baselines, n_runs, n_verdicts;
    char ids[256][32];
    size_t n_ids;
};

static void check_any(const struct mth_json_node *row, void *arg)
{
    struct seen *seen = arg;
    const char *kind = rows_text(row, "kind");
    if (strcmp(kind, "env") == 0) {
        seen->n_env++;
        return;
    }
    assert_true(seen->n_ids < 256);
    for (size_t i = 0; i < seen->n_ids; i++)
        assert_string_not_equal(seen->ids[i], rows_text(row, "row_id"));
    snprintf(seen->ids[seen->n_ids++], 32, "%s", rows_text(row, "row_id"));
    seen->n_baselines += strcmp(kind, "baseline") == 0;
    seen->n_runs += strcmp(kind, "run") == 0;
    if (strcmp(kind, "cell") == 0) {
        struct mth_json_node samples;
        struct mth_error err;
        size_t n_samples;
        bool verified = false;
        seen->n_cells++;
        assert_int_equal(mth_json_get_bool(row, "verified", MTH_JSON_REQUIRED, &verified, &err), 0);
        assert_true(verified);
        assert_true(rows_number(row, "ratio") ==
                    rows_number(row, "raw_bytes") / rows_number(row, "stored_bytes"));
        assert_int_equal(strlen(rows_text(row, "dataset_xxh3")), 32);
        assert_int_equal(strlen(rows_text(row, "base_xxh3")), rows_text(row, "base")[0] ? 32 : 0);
        assert_true(rows_number(row, "payload_bytes") < rows_number(row, "stored_bytes"));
        assert_true(rows_number(row, "ci_lo_ns") <= rows_number(row, "median_ns"));
        assert_true(rows_number(row, "median_ns") <= rows_number(row, "ci_hi_ns"));
        assert_int_equal(mth_json_get_array(row, "samples_ns", MTH_JSON_REQUIRED, &samples, &n_samples, &err),
                         0);
        assert_int_equal(n_samples, 3);
    }
    if (strcmp(kind, "verdict") == 0) {
        struct mth_json_node evidence;
        struct mth_error err;
        size_t n_evidence;
        seen->n_verdicts++;
        assert_int_equal(mth_json_get_array(row, "evidence", MTH_JSON_REQUIRED, &evidence, &n_evidence, &err),
                         0);
        for (size_t i = 0; i < n_evidence; i++) {
            const char *id;
            bool found = false;
            assert_int_equal(mth_json_item_string(&evidence, i, &id, &err), 0);
            for (size_t j = 0; j < seen->n_ids; j++)
                found |= strcmp(seen->ids[j], id) == 0;
            assert_true(found);
        }
    }
}

static void rows_hold_together(void **state)
{
    static const char *const specs[] = {"store", "seed", "balanced", NULL};
    struct seen seen = {0};
    (void)state;
    char *rows = measure("tiny-gpt/finetune-1e-6", specs, NULL);
    rows_each(rows, check_any, &seen);
    assert_int_equal(seen.n_env, 1);
    assert_int_equal(seen.n_baselines, 3);
    assert_int_equal(seen.n_cells, 6);
    assert_int_equal(seen.n_runs, 3);
    assert_int_equal(seen.n_verdicts, 5);
    free(rows);
}

struct wanted_verdict {
    const char *target;
    const char *result;
    double value_lo, value_hi;
    bool has_run;
    size_t n_found;
};

static void check_verdict(const struct mth_json_node *row, void *arg)
{
    struct wanted_verdict *want = arg;
    if (strcmp(rows_text(row, "kind"), "verdict") != 0 || strcmp(rows_text(row, "target"), want->target) != 0)
        return;
    want->n_found++;
    assert_string_equal(rows_text(row, "result"), want->result);
    assert_true(rows_number(row, "value") >= want->value_lo && rows_number(row, "value") <= want->value_hi);
    if (want->has_run) {
        assert_true(rows_number(row, "run_ratio") > 3 && rows_number(row, "run_ratio") < 6);
        assert_int_equal((int)rows_number(row, "run_checkpoints"), 3);
        assert_int_equal((int)rows_number(row, "steps_apart"), 1);
    } else {
        assert_true(rows_number(row, "bound_ratio") > 1.49 && rows_number(row, "bound_ratio") < 1.52);
    }
}

static void seed_on_one_trained_checkpoint_fails_10x_with_its_bound(void **state)
{
    static const char *const specs[] = {"seed", NULL};
    struct wanted_verdict want = {"ratio", "FAIL", 1.36, 1.50, false, 0};
    (void)state;
    char *rows = measure("tiny-gpt", specs, NULL);
    rows_each(rows, check_verdict, &want);
    assert_int_equal(want.n_found, 1);
    free(rows);
}

static void a_fine_tuning_pair_passes_10x_with_plain_xor_and_shows_its_run(void **state)
{
    static const char *const specs[] = {"delta-xor+zstd", "seed", NULL};
    struct wanted_verdict want = {"ratio", "PASS", 10, 100, true, 0};
    (void)state;
    char *rows = measure("tiny-gpt/finetune-1e-6", specs, NULL);
    rows_each(rows, check_verdict, &want);
    assert_int_equal(want.n_found, 1);
    free(rows);
}

static void synthetic_data_supports_no_verdict_on_a_target(void **state)
{
    static const char *const manifest =
        "{\"schema\": 1, \"datasets\": [{\"id\": \"made\", \"class\": \"synthetic-random\", \"title\": "
        "\"t\", "
        "\"licence\": \"CC0-1.0\", \"source\": {\"kind\": \"local\"}, \"files\": [{\"path\": \"made.bin\", "
        "\"dtype\": \"BF16\"}], \"checkpoints\": [{\"id\": \"made\", \"file\": \"made.bin\"}]}]}";
    char *directory = temp_dir_create();
    char path[4096];
    static const char zeros[4000];
    (void)state;
    temp_dir_write(directory, "datasets/manifest.json", manifest, strlen(manifest));
    temp_dir_write(directory, "made.bin", zeros, sizeof zeros);
    snprintf(path, sizeof path, "%s/datasets/manifest.json", directory);
    const char *const arguments[] = {"bench", "made",       "-p", "seed", "--rounds",
                                     "3",     "--manifest", path, "-q",   NULL};
    struct program_result result = run(arguments);
    if (result.exit_code != 0)
        fail_msg("%s", result.err);
    assert_non_null(strstr(result.out, "UNSUPPORTED ratio"));
    assert_non_null(strstr(result.out, "UNSUPPORTED throughput"));
    assert_non_null(strstr(result.out, "synthetic data"));
    assert_non_null(strstr(result.out, "PASS        bit_exact"));
    program_result_free(&result);
    temp_dir_destroy(directory);
}

static void a_directory_pairs_its_steps_in_order(void **state)
{
    static const char *const arguments[] = {"bench", TINY "finetune-1e-5", "-p", "seed", "--rounds",
                                            "3",     "--seconds",          "0",  "-q",   NULL};
    (void)state;
    struct program_result result = run(arguments);
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "against a base 1 step before"));
    assert_non_null(strstr(result.out, "the whole run of 3 checkpoints"));
    assert_non_null(strstr(result.out, "3 cells verified, 0 failed"));
    program_result_free(&result);
}

static void the_same_seed_and_file_give_the_same_sizes_on_any_number_of_threads(void **state)
{
    const char *arguments[] = {"bench",     TINY "finetune-1e-5/finetune-1e-5-step-000100.safetensors",
                               "-p",        "balanced",
                               "--rounds",  "3",
                               "--seconds", "0",
                               "-q",        "--json",
                               "-",         "-t",
                               "1",         NULL};
    (void)state;
    struct program_result one = run(arguments);
    arguments[12] = "3";
    struct program_result three = run(arguments);
    const char *a = strstr(one.out, "\"stored_bytes\":"), *b = strstr(three.out, "\"stored_bytes\":");
    assert_non_null(a);
    assert_non_null(b);
    assert_memory_equal(a, b, strcspn(a, ","));
    program_result_free(&one);
    program_result_free(&three);
}

static void stored_bytes_are_those_of_the_file_that_compress_writes(void **state)
{
    const char *file = TINY "finetune-1e-5/finetune-1e-5-step-000101.safetensors";
    const char *base = TINY "finetune-1e-5/finetune-1e-5-step-000100.safetensors";
    char *directory = temp_dir_create();
    char path[4096], wanted[64];
    size_t n_bytes = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/step.mth", directory);
    struct program_result packed =
        run((const char *const[]){"compress", file, "-b", base, "-p", "balanced", "-o", path, "-q", NULL});
    assert_int_equal(packed.exit_code, 0);
    free(temp_dir_read(directory, "step.mth", &n_bytes));
    struct program_result rows =
        run((const char *const[]){"bench", file, "-b", base, "-p", "balanced", "--rounds", "3", "--seconds",
                                  "0", "-q", "--json", "-", NULL});
    assert_int_equal(rows.exit_code, 0);
    snprintf(wanted, sizeof wanted, "\"stored_bytes\":%zu,", n_bytes);
    assert_non_null(strstr(rows.out, wanted));
    program_result_free(&packed);
    program_result_free(&rows);
    temp_dir_destroy(directory);
}

static void a_cache_said_to_be_smaller_is_flagged_and_asked_for_again(void **state)
{
    const char *file = TINY "pretrain/pretrain-step-002000.safetensors";
    (void)state;
    struct program_result result = run((const char *const[]){"bench", file, "-p", "store", "--rounds", "3",
                                                             "--seconds", "0", "-q", "--json", "-", NULL});
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, "\"flags\":[\"in_cache\""));
    assert_non_null(strstr(result.out, "\"--cache\",\"65536\""));
    program_result_free(&result);
}

struct file_rows {
    size_t n_cells, n_files, n_verifying;
    char cell_ids[16][32];
    char cell_phases[16][16];
};

static void check_file_row(const struct mth_json_node *row, void *arg)
{
    struct file_rows *seen = arg;
    struct mth_json_node samples;
    struct mth_error err;
    size_t n_samples = 0;
    bool verifies = false;
    if (strcmp(rows_text(row, "kind"), "cell") == 0) {
        assert_true(seen->n_cells < 16);
        snprintf(seen->cell_ids[seen->n_cells], 32, "%s", rows_text(row, "row_id"));
        snprintf(seen->cell_phases[seen->n_cells++], 16, "%s", rows_text(row, "phase"));
    }
    if (strcmp(rows_text(row, "kind"), "e2e") != 0)
        return;
    seen->n_files++;
    assert_int_equal(mth_json_get_array(row, "samples_ns", MTH_JSON_REQUIRED, &samples, &n_samples, &err), 0);
    assert_int_equal(n_samples, 3);
    assert_int_equal(mth_json_get_array(row, "memory_ns", MTH_JSON_REQUIRED, &samples, &n_samples, &err), 0);
    assert_int_equal(n_samples, 3);
    assert_true(rows_number(row, "pct_memory") > 0);
    assert_true(rows_number(row, "pct_memory_lo") <= rows_number(row, "pct_memory"));
    assert_true(rows_number(row, "pct_memory") <= rows_number(row, "pct_memory_hi"));
    assert_true(rows_number(row, "ratio") ==
                rows_number(row, "raw_bytes") / rows_number(row, "stored_bytes"));
    assert_int_equal(mth_json_get_bool(row, "verifies", MTH_JSON_REQUIRED, &verifies, &err), 0);
    seen->n_verifying += verifies;
    if (verifies)
        assert_string_equal(rows_text(row, "phase"), "compress");
    /* Sizes are the same whichever way the bytes came; a flag would say otherwise. */
    struct mth_json_node flags;
    size_t n_flags;
    assert_int_equal(mth_json_get_array(row, "flags", MTH_JSON_REQUIRED, &flags, &n_flags, &err), 0);
    for (size_t i = 0; i < n_flags; i++) {
        const char *flag;
        assert_int_equal(mth_json_item_string(&flags, i, &flag, &err), 0);
        assert_string_not_equal(flag, "nondeterministic");
    }
    bool found = false;
    for (size_t i = 0; i < seen->n_cells; i++)
        found |= strcmp(seen->cell_ids[i], rows_text(row, "memory_row")) == 0 &&
                 strcmp(seen->cell_phases[i], rows_text(row, "phase")) == 0;
    assert_true(found);
}

static void files_are_measured_beside_memory_and_none_stays(void **state)
{
    char *directory = temp_dir_create();
    struct file_rows seen = {0};
    (void)state;
    temp_dir_write(directory, "files/other", "x", 1);
    char path[4096];
    snprintf(path, sizeof path, "%s/files", directory);
    struct program_result result =
        run((const char *const[]){"bench",     TINY "finetune-1e-5/finetune-1e-5-step-000101.safetensors",
                                  "-b",        TINY "finetune-1e-5/finetune-1e-5-step-000100.safetensors",
                                  "-p",        "balanced",
                                  "-p",        "store",
                                  "-t",        "2",
                                  "--rounds",  "3",
                                  "--seconds", "0",
                                  "-q",        "--files",
                                  path,        "--json",
                                  "-",         NULL});
    if (result.exit_code != 0)
        fail_msg("%s", result.err);
    rows_each(result.out, check_file_row, &seen);
    for (const char *line = result.err; *line;) {
        size_t width = strcspn(line, "\n");
        assert_in_range(width, 0, 120);
        line += width + (line[width] == '\n');
    }
    assert_non_null(strstr(result.err, "a plain copy"));
    assert_non_null(strstr(result.out, "\"what\":\"file_copy\""));
    assert_int_equal(seen.n_cells, 4);
    assert_int_equal(seen.n_files, 6);
    assert_int_equal(seen.n_verifying, 2);
    assert_int_equal(temp_dir_count(directory, "files"), 1);
    program_result_free(&result);
    temp_dir_destroy(directory);
}

struct pair_rows {
    size_t n_cells, n_files, n_parts, n_latencies, n_verdicts, n_bases[4];
    double stored_bytes[2], resident_bytes, bound_ratio; /* of balanced, of seed */
    char row_id[32];
};

/* Of rows measured against a base and an older one. */
static void check_older_row(const struct mth_json_node *row, void *arg)
{
    struct pair_rows *seen = arg;
    const char *kind = rows_text(row, "kind");
    if (strcmp(kind, "env") == 0 || strcmp(kind, "run") == 0)
        return;
    assert_non_null(strstr(rows_text(row, "older"), "000100.safetensors"));
    assert_non_null(strstr(rows_text(row, "base"), "000101.safetensors"));
    assert_int_equal(strlen(rows_text(row, "older_xxh3")), 32);
    assert_string_not_equal(rows_text(row, "older_xxh3"), rows_text(row, "base_xxh3"));
    seen->n_files += strcmp(kind, "e2e") == 0;
    seen->n_parts += strcmp(kind, "part") == 0;
    seen->n_latencies += strcmp(kind, "latency") == 0;
    if (strcmp(kind, "verdict") == 0) {
        seen->n_verdicts++;
        assert_non_null(strstr(rows_text(row, "scope"), "against a base and an older one"));
    }
    if (strcmp(kind, "cell") != 0)
        return;
    bool verified = false, balanced = strcmp(rows_text(row, "spec"), "balanced") == 0;
    struct mth_error err;
    assert_int_equal(mth_json_get_bool(row, "verified", MTH_JSON_REQUIRED, &verified, &err), 0);
    assert_true(verified);
    assert_string_equal(rows_text(row, "bound_model"), "ulp-given-exponent-and-direction");
    seen->bound_ratio = rows_number(row, "bound_ratio");
    seen->n_bases[seen->n_cells++] = (size_t)rows_number(row, "n_bases");
    seen->stored_bytes[!balanced] = rows_number(row, "stored_bytes");
    seen->resident_bytes += rows_number(row, "resident_peak_bytes");
    /* What does not look at the older one does not move it. */
    assert_true(rows_number(row, "moved_bytes") ==
                rows_number(row, "raw_bytes") * (balanced ? 3 : 2) + rows_number(row, "stored_bytes"));
    snprintf(seen->row_id, sizeof seen->row_id, "%s", rows_text(row, "row_id"));
}

static void number_of_cells(const struct mth_json_node *row, void *arg)
{
    double *bound_ratio = arg;
    if (strcmp(rows_text(row, "kind"), "cell") == 0) {
        assert_string_equal(rows_text(row, "older"), "");
        *bound_ratio = rows_number(row, "bound_ratio");
    }
}

static void an_older_base_is_in_every_row_and_makes_the_pair_smaller(void **state)
{
    static const char *const balanced[] = {"balanced", NULL};
    const char *file = TINY "finetune-1e-5/finetune-1e-5-step-000102.safetensors",
               *base = TINY "finetune-1e-5/finetune-1e-5-step-000101.safetensors",
               *older = TINY "finetune-1e-5/finetune-1e-5-step-000100.safetensors";
    char *directory = temp_dir_create();
    char path[4096], container[4096], wanted[64];
    double bound_ratio = 0;
    size_t n_bytes = 0;
    struct pair_rows seen = {0}, again = {0}, by_id = {0};
    (void)state;
    snprintf(path, sizeof path, "%s/rows.jsonl", directory);
    snprintf(container, sizeof container, "%s/two.mth", directory);
    struct program_result result = run((const char *const[]){
        "bench",    file,       "-b",        base,      "-b",        older,        "-p",      "seed",
        "-p",       "balanced", "-q",        "--parts", "--latency", "--resident", "--files", "tmpfs",
        "--rounds", "3",        "--seconds", "0",       "--json",    path,         NULL});
    if (result.exit_code != 0)
        fail_msg("%s", result.err);
    program_result_free(&result);
    char *rows = temp_dir_read(directory, "rows.jsonl", NULL);
    rows_each(rows, check_older_row, &seen);
    free(rows);
    assert_int_equal(seen.n_cells, 4);
    assert_int_equal(seen.n_bases[0] + seen.n_bases[1], 2); /* of seed */
    assert_int_equal(seen.n_bases[2] + seen.n_bases[3], 4);
    assert_int_equal(seen.n_files, 6);
    assert_int_equal(seen.n_verdicts, 5);
    assert_true(seen.n_parts > 0 && seen.n_latencies > 0 && seen.resident_bytes > 0);

    /* The same file as compress makes; smaller than with one base, and so is the bound. */
    result =
        run((const char *const[]){"compress", file, "-b", base, "-b", older, "-o", container, "-q", NULL});
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    free(temp_dir_read(directory, "two.mth", &n_bytes));
    assert_true(seen.stored_bytes[0] == (double)n_bytes);
    rows = measure("tiny-gpt/finetune-1e-5", balanced, NULL);
    rows_each(rows, number_of_cells, &bound_ratio);
    snprintf(wanted, sizeof wanted, "\"stored_bytes\":%zu,", n_bytes);
    assert_null(strstr(rows, wanted));
    assert_true(bound_ratio < seen.bound_ratio);
    free(rows);

    /* The row's arguments, and the entry of the manifest, measure it again. */
    result = run((const char *const[]){"bench", "--rerun", seen.row_id, path, "-q", "--json", "-", NULL});
    if (result.exit_code != 0)
        fail_msg("%s", result.err);
    rows_each(result.out, check_older_row, &again);
    assert_true(again.n_cells == 2 && again.stored_bytes[0] == seen.stored_bytes[0]);
    program_result_free(&result);
    result =
        run((const char *const[]){"bench", "tiny-gpt/finetune-1e-5-since-100", "-p", "balanced", "--resident",
                                  "--rounds", "3", "--seconds", "0", "-q", "--json", "-", NULL});
    assert_int_equal(result.exit_code, 0);
    rows_each(result.out, check_older_row, &by_id);
    assert_true(by_id.n_cells == 2 && by_id.stored_bytes[0] == seen.stored_bytes[0]);
    program_result_free(&result);
    temp_dir_destroy(directory);
}

static void assert_refused(const char *const *arguments, int exit_code, const char *mentions)
{
    struct program_result result = run(arguments);
    if (result.exit_code != exit_code || program_lines(result.err) != 1 || !strstr(result.err, mentions))
        fail_msg("%s %s: exit %d, not %d: %s", arguments[0], arguments[1], result.exit_code, exit_code,
                 result.err);
    assert_string_equal(result.out, "");
    program_result_free(&result);
}

static void bad_input_gets_one_line_and_an_exit_code(void **state)
{
    static const uint8_t lies[] = "\x10\0\0\0\0\0\0\0{\"a\":{\"dtype\":1}}";
    static const uint8_t huge[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    static const char unknown[] =
        "\x3a\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"Q9\",\"shape\":[1],\"data_offsets\":[0,1]}}       x";
    char *directory = temp_dir_create();
    char bad[4][4096], rows[4096];
    static const char *const names[4] = {"lies.safetensors", "huge.safetensors", "unknown.safetensors",
                                         "empty.safetensors"};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        snprintf(bad[i], sizeof bad[i], "%s/%s", directory, names[i]);
    snprintf(rows, sizeof rows, "%s/rows.jsonl", directory);
    temp_dir_write(directory, names[0], lies, sizeof lies - 1);
    temp_dir_write(directory, names[1], huge, sizeof huge);
    temp_dir_write(directory, names[2], unknown, sizeof unknown - 1);
    temp_dir_write(directory, names[3], "", 0);
    for (size_t i = 0; i < 4; i++)
        assert_refused((const char *const[]){"bench", bad[i], "-q", "--json", rows, NULL}, 2, names[i]);
    assert_refused((const char *const[]){"bench", "no/such.safetensors", "-q", "--json", rows, NULL}, 6,
                   "no/such");
    assert_refused((const char *const[]){"bench", "docs", "-q", "--json", rows, NULL}, 6, "docs");
    assert_int_equal(temp_dir_count(directory, "."), 4); /* nothing half-written */

    const char *file = TINY "pretrain/pretrain-step-002000.safetensors";
    const char *stranger = "fixtures/none.safetensors";
    assert_refused((const char *const[]){"bench", file, "-p", "zstdd", NULL}, 1,
                   "did you mean 'zstd'? It takes level=");
    assert_refused((const char *const[]){"bench", file, "-p", "zstd:lvl=1", NULL}, 1, "level=-7..22");
    assert_refused((const char *const[]){"bench", file, "--base", stranger, "-q", NULL}, 6,
                   "none.safetensors");
    assert_refused((const char *const[]){"bench", file, "-b", file, "-b", stranger, "-q", NULL}, 6,
                   "none.safetensors");
    assert_refused((const char *const[]){"bench", file, "-b", file, "-b", file, "-b", file, NULL}, 1,
                   "a base and an older one");
    assert_refused((const char *const[]){"bench", file, "--require", "speed>3", NULL}, 1, "gib_s");
    assert_refused((const char *const[]){"bench", file, "--rounds", "0", NULL}, 1, "--rounds");
    assert_refused((const char *const[]){"bench", file, "--bas", "x", NULL}, 1, "--base");
    assert_refused((const char *const[]){"bench", file, "--files", "no/such", NULL}, 1, "no/such");
    assert_refused((const char *const[]){"bench", file, "--files", file, NULL}, 1, "no directory");
    assert_refused((const char *const[]){"bench", NULL}, 1, "FILE");
    temp_dir_destroy(directory);
}

static void a_base_of_another_model_fails_every_cell_that_needs_it(void **state)
{
    struct safetensors_builder builder = {0};
    safetensors_builder_add(&builder, "other", "U8", (const uint64_t[]){1}, 1, "x", 1);
    struct mth_buffer file = safetensors_builder_finish(&builder, 0);
    char *directory = temp_dir_create();
    char path[4096];
    (void)state;
    temp_dir_write(directory, "other.safetensors", file.data, file.n_bytes);
    free(file.data);
    snprintf(path, sizeof path, "%s/other.safetensors", directory);
    const char *const arguments[] = {"bench",    TINY "pretrain/pretrain-step-002000.safetensors",
                                     "--base",   path,
                                     "-p",       "seed",
                                     "--rounds", "3",
                                     "-q",       NULL};
    struct program_result result = run(arguments);
    assert_int_equal(result.exit_code, 2);
    assert_int_equal(program_lines(result.err), 1);
    assert_non_null(strstr(result.out, "base does not match"));
    program_result_free(&result);
    temp_dir_destroy(directory);
}

static void an_unmet_requirement_exits_3_and_a_met_one_0(void **state)
{
    const char *arguments[] = {"bench",
                               TINY "pretrain/pretrain-step-002000.safetensors",
                               "-p",
                               "seed",
                               "--rounds",
                               "3",
                               "--seconds",
                               "0",
                               "-q",
                               "--require",
                               "ratio>=1.4,ratio<=1.42",
                               NULL};
    (void)state;
    struct program_result result = run(arguments);
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    arguments[10] = "ratio>=10";
    result = run(arguments);
    assert_int_equal(result.exit_code, 3);
    assert_int_equal(program_lines(result.err), 1);
    program_result_free(&result);
}

static void an_absent_dataset_is_skipped_with_one_line(void **state)
{
    static const char manifest[] = "{\"schema\": 1, \"datasets\": [{\"id\": \"away\", \"class\": \"user\", "
                                   "\"title\": \"t\", \"licence\": \"CC0-1.0\", "
                                   "\"source\": {\"kind\": \"local\"}, \"files\": [{\"path\": \"away.bin\", "
                                   "\"dtype\": \"BF16\"}], \"checkpoints\": "
                                   "[{\"id\": \"away\", \"file\": \"away.bin\"}]}]}";
    char *directory = temp_dir_create();
    char path[4096];
    (void)state;
    temp_dir_write(directory, "datasets/manifest.json", manifest, sizeof manifest - 1);
    snprintf(path, sizeof path, "%s/datasets/manifest.json", directory);
    const char *const arguments[] = {"bench",    "away", TINY "pretrain/pretrain-step-002000.safetensors",
                                     "away",     "-p",   "store",
                                     "--rounds", "3",    "--manifest",
                                     path,       "-q",   NULL};
    struct program_result result = run(arguments);
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(program_lines(result.err), 1);
    assert_non_null(strstr(result.err, "away"));
    program_result_free(&result);
    temp_dir_destroy(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_hold_together),
        cmocka_unit_test(seed_on_one_trained_checkpoint_fails_10x_with_its_bound),
        cmocka_unit_test(a_fine_tuning_pair_passes_10x_with_plain_xor_and_shows_its_run),
        cmocka_unit_test(synthetic_data_supports_no_verdict_on_a_target),
        cmocka_unit_test(a_directory_pairs_its_steps_in_order),
        cmocka_unit_test(the_same_seed_and_file_give_the_same_sizes_on_any_number_of_threads),
        cmocka_unit_test(stored_bytes_are_those_of_the_file_that_compress_writes),
        cmocka_unit_test(a_cache_said_to_be_smaller_is_flagged_and_asked_for_again),
        cmocka_unit_test(files_are_measured_beside_memory_and_none_stays),
        cmocka_unit_test(an_older_base_is_in_every_row_and_makes_the_pair_smaller),
        cmocka_unit_test(bad_input_gets_one_line_and_an_exit_code),
        cmocka_unit_test(a_base_of_another_model_fails_every_cell_that_needs_it),
        cmocka_unit_test(an_unmet_requirement_exits_3_and_a_met_one_0),
        cmocka_unit_test(an_absent_dataset_is_skipped_with_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
