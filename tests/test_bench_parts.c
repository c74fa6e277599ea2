/*
 * Laws of the rows that tell parts, of p95 and outliers, and of measuring a row again: parts sum to the whole to the byte,
 * a row leads back to its cell.
 */
#include "harness/json.h"
#include "harness/statistics.h"
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

#define TINY "datasets/tiny-gpt/finetune-1e-5/finetune-1e-5-step-00010"

static int64_t integer_of(const struct mth_json_node *row, const char *key)
{
    struct mth_error err;
    int64_t value = 0;
    assert_int_equal(mth_json_get_int(row, key, MTH_JSON_REQUIRED, 0, INT64_MAX, &value, &err), 0);
    return value;
}

/* Sums over the part rows of a way to part, and what the cell has. */
struct sums {
    const char *by;
    int64_t raw_bytes, stored_bytes, cell_raw_bytes, cell_stored_bytes;
    size_t n_parts;
};

static void add_row(const struct mth_json_node *row, struct sums *sums)
{
    if (strcmp(rows_text(row, "kind"), "cell") == 0) {
        sums->cell_raw_bytes = integer_of(row, "raw_bytes");
        sums->cell_stored_bytes = integer_of(row, "stored_bytes");
    }
    if (strcmp(rows_text(row, "kind"), "part") != 0 || strcmp(rows_text(row, "by"), sums->by) != 0)
        return;
    sums->raw_bytes += integer_of(row, "raw_bytes");
    sums->stored_bytes += integer_of(row, "stored_bytes");
    sums->n_parts++;
}

static struct sums sums_of(const char *rows, const char *by)
{
    struct sums sums = {.by = by};
    for (const char *line = rows, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        struct mth_json *json;
        struct mth_error err;
        assert_int_equal(mth_json_parse("rows", line, (size_t)(end - line), &json, &err), 0);
        struct mth_json_node root = mth_json_root(json, "rows");
        add_row(&root, &sums);
        mth_json_free(json);
    }
    return sums;
}

static void parts_sum_to_the_whole(const char *file, const char *spec, const char *base, size_t n_tensors)
{
    static const char *const ways[] = {"tensor", "dtype", "role"};
    const char *arguments[] = {"bench",     file, "-p", spec,      "--rounds", "3",
                               "--seconds", "0",  "-q", "--cache", "64KiB",    "--parts",
                               "--json",    "-",  NULL, NULL,      NULL};
    if (base) {
        arguments[14] = "--base";
        arguments[15] = base;
    }
    struct program_result result = program_run(NULL, arguments);
    assert_int_equal(result.exit_code, 0);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct sums sums = sums_of(result.out, ways[i]);
        assert_true(sums.n_parts >= 3);
        assert_int_equal(sums.raw_bytes, sums.cell_raw_bytes);
        assert_int_equal(sums.stored_bytes, sums.cell_stored_bytes);
        if (i == 0)
            assert_int_equal(sums.n_parts, n_tensors + 2);
    }
    program_result_free(&result);
}

static void parts_by_tensor_dtype_and_role_sum_to_the_cell(void **state)
{
    (void)state;
    parts_sum_to_the_whole(TINY "1.safetensors", "balanced", NULL, 28);
    parts_sum_to_the_whole(TINY "1.safetensors", "seed", TINY "0.safetensors", 28);
}

/* Rows of a run, and its first compress cell's id, in a directory. */
static char *measured(const char *directory, char id[64])
{
    char path[4096];
    snprintf(path, sizeof path, "%s/rows.jsonl", directory);
    struct program_result result =
        program_run(NULL, (const char *const[]){"bench", TINY "1.safetensors", "-b", TINY "0.safetensors",
                                                "-p", "seed", "-p", "store", "--rounds", "3", "--seconds",
                                                "0", "-q", "--cache", "64KiB", "--json", path, NULL});
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    char *rows = temp_dir_read(directory, "rows.jsonl", NULL);
    const char *cell = strstr(rows, "\"kind\":\"cell\",\"row_id\":\"");
    assert_non_null(cell);
    cell += strlen("\"kind\":\"cell\",\"row_id\":\"");
    snprintf(id, 64, "%.*s", (int)strcspn(cell, "\""), cell);
    free(rows);
    return strdup(path);
}

static void a_row_leads_back_to_its_cell(void **state)
{
    char *directory = temp_dir_create(), id[64];
    char *path = measured(directory, id);
    (void)state;
    struct program_result again =
        program_run(NULL, (const char *const[]){"bench", "--rerun", id, path, "-q", "--json", "-", NULL});
    assert_int_equal(again.exit_code, 0);
    assert_non_null(strstr(again.out, "\"spec\":\"seed\""));
    assert_null(strstr(again.out, "\"spec\":\"store\""));
    assert_non_null(strstr(again.out, "\"base_xxh3\":\""));
    assert_non_null(strstr(again.out, "\"--cache\",\"65536\""));
    program_result_free(&again);
    free(path);
    temp_dir_destroy(directory);
}

static void expect_refused(const char *id, const char *path, int exit_code, const char *says)
{
    struct program_result result =
        program_run(NULL, (const char *const[]){"bench", "--rerun", id, path, NULL});
    if (result.exit_code != exit_code || program_lines(result.err) != 1 || !strstr(result.err, says))
        fail_msg("exit %d, not %d with '%s': %s", result.exit_code, exit_code, says, result.err);
    program_result_free(&result);
}

static void a_row_that_can_not_be_measured_again_gets_one_line(void **state)
{
    static const char rows[] = "{\"kind\":\"run\",\"row_id\":\"a\"}\n"
                               "{\"kind\":\"cell\",\"row_id\":\"b\",\"argv\":[\"rm\",\"-rf\",\"x\"]}\n"
                               "{\"kind\":\"cell\",\"row_id\":\"c\",\"argv\":[1,2,3]}\n"
                               "[]\n";
    char *directory = temp_dir_create(), path[4096];
    (void)state;
    temp_dir_write(directory, "rows.jsonl", rows, sizeof rows - 1);
    snprintf(path, sizeof path, "%s/rows.jsonl", directory);
    expect_refused("a", path, 1, "is not measured by itself");
    expect_refused("b", path, 2, "no command line of bench");
    expect_refused("c", path, 2, "argv");
    expect_refused("d", path, 2, "is no object");
    expect_refused("d", NULL, 1, "name the file of rows");
    expect_refused("d", "no/such", 6, "no/such");
    temp_dir_destroy(directory);
}

static void outliers_are_told_and_stay_in(void **state)
{
    double samples[] = {10, 11, 12, 13, 14, 11.5, 12.5, 12.2, 90};
    struct mth_summary summary;
    (void)state;
    assert_int_equal(mth_summarise(samples, 9, 1, &summary), 0);
    assert_true(summary.median == 12.2);
    assert_true(summary.p95 == 90); /* of nine, the last is the first that 95 % do not exceed */
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(mth_is_outlier(samples[i], &summary), i == 8);
    double many[100];
    for (size_t i = 0; i < 100; i++)
        many[i] = (double)(i + 1);
    assert_int_equal(mth_summarise(many, 100, 1, &summary), 0);
    assert_true(summary.p95 == 95);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_by_tensor_dtype_and_role_sum_to_the_cell),
        cmocka_unit_test(a_row_leads_back_to_its_cell),
        cmocka_unit_test(a_row_that_can_not_be_measured_again_gets_one_line),
        cmocka_unit_test(outliers_are_told_and_stay_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
