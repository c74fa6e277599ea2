/*
 * Laws of `mithril compare` on rows: sizes are exact and found by what the data are, speeds of two runs change no result,
 * and what can not be compared is named. The rows are made here, so that no law depends on a clock.
 */
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A cell as bench would write it; zero and NULL are what most tests take. */
struct made_cell {
    const char *dataset, *hash, *base_hash, *older_hash, *spec,
        *resolved; /* without a base where it has no hash */
    unsigned long stored_bytes, threads;
    double ns;
    bool fails;
};

struct made_rows {
    const char *env_id, *cpu_model, *features, *zstd;
    unsigned long cpus, llc_bytes;
    bool no_env;
    struct made_cell cells[4];
    size_t n_cells;
};

static const char *or_else(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static void put_cell(const struct made_rows *rows, const struct made_cell *cell, FILE *out)
{
    static const char *const phases[] = {"compress", "decompress"};
    double ns = cell->ns > 0 ? cell->ns : 1e6;
    for (size_t p = 0; p < 2; p++) {
        fprintf(out,
                "{\"schema\":1,\"kind\":\"cell\",\"row_id\":\"%s-%zu\",\"env_id\":\"%s\",\"dataset\":\"%s\","
                "\"class\":\"toy-trained\",\"base\":%s,\"dataset_xxh3\":",
                cell->spec, p, or_else(rows->env_id, "e1"), or_else(cell->dataset, "weights"),
                cell->base_hash ? "\"base\"" : "null");
        fprintf(out, cell->hash ? "\"%s\"" : "%s", or_else(cell->hash, "null"));
        if (cell->base_hash)
            fprintf(out, ",\"base_xxh3\":\"%s\"", cell->base_hash);
        if (cell->older_hash)
            fprintf(out, ",\"older\":\"older\",\"older_xxh3\":\"%s\"", cell->older_hash);
        fprintf(
            out,
            ",\"spec\":\"%s\",\"spec_resolved\":\"%s\",\"phase\":\"%s\",\"threads\":%lu,\"raw_bytes\":10000,"
            "\"stored_bytes\":%lu,\"ratio\":%.17g,\"median_ns\":%g,\"ci_lo_ns\":%g,\"ci_hi_ns\":%g,\"gib_s\":"
            "1,"
            "\"verified\":%s}\n",
            cell->spec, or_else(cell->resolved, cell->spec), phases[p], cell->threads ? cell->threads : 1,
            cell->stored_bytes, 10000.0 / (double)cell->stored_bytes, ns, ns * 0.99, ns * 1.01,
            cell->fails ? "false" : "true");
    }
}

static void write_rows(const char *directory, const char *name, const struct made_rows *rows)
{
    char *text = NULL;
    size_t n_text;
    FILE *out = open_memstream(&text, &n_text);
    assert_non_null(out);
    if (!rows->no_env)
        fprintf(
            out,
            "{\"kind\":\"env\",\"schema\":1,\"env_id\":\"%s\",\"cpu_model\":\"%s\",\"cpu_features\":\"%s\","
            "\"cpus_allowed\":%lu,\"llc_bytes\":%lu,\"libraries\":{\"zstd\":\"%s\"}}\n",
            or_else(rows->env_id, "e1"), or_else(rows->cpu_model, "one"), or_else(rows->features, "avx2"),
            rows->cpus ? rows->cpus : 2, rows->llc_bytes ? rows->llc_bytes : 1000,
            or_else(rows->zstd, "libzstd 1.5.4"));
    for (size_t i = 0; i < rows->n_cells; i++)
        put_cell(rows, &rows->cells[i], out);
    assert_int_equal(fclose(out), 0);
    temp_dir_write(directory, name, text, n_text);
    free(text);
}

static const char margins_text[] = "{\"schema\":1,\"margins\":[{\"spec\":\"zstd*\",\"size_pct\":1},"
                                   "{\"dataset\":\"other*\",\"require\":\"ratio>=3\"}]}";

/* Compares in a directory of its own; options end with NULL. */
static struct program_result compare(const struct made_rows *before, const struct made_rows *now,
                                     const char *const *options)
{
    char *directory = temp_dir_create();
    const char *arguments[16] = {"compare", "old.jsonl", "new.jsonl"};
    for (size_t i = 0; options && options[i]; i++)
        arguments[3 + i] = options[i];
    write_rows(directory, "old.jsonl", before);
    write_rows(directory, "new.jsonl", now);
    temp_dir_write(directory, "margins.json", margins_text, strlen(margins_text));
    struct program_result result = program_run(directory, arguments);
    temp_dir_destroy(directory);
    return result;
}

static void expect(struct program_result result, int exit_code, const char *says)
{
    if (result.exit_code != exit_code || (!strstr(result.out, says) && !strstr(result.err, says)))
        fail_msg("exit %d, not %d with '%s':\n%s%s", result.exit_code, exit_code, says, result.out,
                 result.err);
    program_result_free(&result);
}

static const struct made_rows plain = {.cells = {{.spec = "rans", .hash = "aa", .stored_bytes = 5000},
                                                 {.spec = "zstd", .hash = "aa", .stored_bytes = 6000}},
                                       .n_cells = 2};

static void a_run_against_itself_is_fine(void **state)
{
    (void)state;
    expect(compare(&plain, &plain, NULL), 0, "sizes: 2 the same\n");
}

static void any_other_size_exits_3_in_either_direction(void **state)
{
    struct made_rows now = plain;
    (void)state;
    now.cells[0].stored_bytes = 5001;
    expect(compare(&plain, &now, NULL), 3, "5000 -> 5001 B (+0.020 %)");
    now.cells[0].stored_bytes = 4999;
    expect(compare(&plain, &now, NULL), 3, "REGRESSED: 1 sizes changed");
    expect(compare(&plain, &now, (const char *const[]){"--sizes", NULL}), 3, "1 changed");
}

static void speeds_of_two_runs_change_no_result(void **state)
{
    struct made_rows now = plain;
    (void)state;
    now.cells[0].ns = 2e6;
    expect(compare(&plain, &now, NULL), 0, "1.000 -> 2.000 ms (+100.0 %)");
}

static void data_are_found_by_their_hash_and_not_by_their_name(void **state)
{
    struct made_rows now = plain;
    (void)state;
    now.cells[0].dataset = "elsewhere";
    expect(compare(&plain, &now, NULL), 0, "2 the same");
    now.cells[0].dataset = "weights";
    now.cells[0].hash = "bb";
    expect(compare(&plain, &now, NULL), 4, "the data of this name are others");
}

static void a_cell_is_the_same_with_the_same_base_threads_and_spec_alone(void **state)
{
    struct made_rows before = plain, now;
    (void)state;
    before.cells[0].base_hash = "cc";
    now = before;
    expect(compare(&before, &now, NULL), 0, "2 the same");
    now.cells[0].base_hash = "dd";
    expect(compare(&before, &now, NULL), 4, "the base is another");
    now = before;
    now.cells[0].older_hash = "ee";
    expect(compare(&before, &now, NULL), 4, "it has an older base now");
    expect(compare(&now, &before, NULL), 4, "it has no older base now");
    expect(compare(&now, &now, NULL), 0, "2 the same");
    before = now;
    now.cells[0].older_hash = "ff";
    expect(compare(&before, &now, NULL), 4, "the older base is another");
    now.cells[0].older_hash = before.cells[0].older_hash = NULL;
    now.cells[1].threads = 2;
    expect(compare(&before, &now, NULL), 4, "1 missing, 1 added");
    now = before;
    now.cells[1].spec = "zstd:level=4";
    expect(compare(&before, &now, NULL), 4, "1 missing, 1 added");
}

static void a_size_by_another_library_is_not_compared(void **state)
{
    struct made_rows now = plain;
    (void)state;
    now.env_id = "e2";
    now.zstd = "libzstd 1.5.6";
    now.cells[1].stored_bytes = 6010;
    expect(compare(&plain, &now, NULL), 0, "libzstd 1.5.4, then libzstd 1.5.6");
    now.cells[0].stored_bytes = 5010; /* which is ours */
    expect(compare(&plain, &now, NULL), 3, "1 changed, 1 not compared");
}

static void missing_and_added_cells_are_named(void **state)
{
    struct made_rows now = plain;
    (void)state;
    now.cells[1].spec = "lz4";
    expect(compare(&plain, &now, NULL), 4, "MISSING   weights  zstd  6000 B before");
    expect(compare(&plain, &now, NULL), 4, "added     weights  lz4  6000 B");
    now = plain;
    now.cells[2] = (struct made_cell){.spec = "lz4", .hash = "aa", .stored_bytes = 7000};
    now.n_cells = 3;
    expect(compare(&plain, &now, NULL), 0, "2 the same, 1 added");
    now.cells[0].hash = now.cells[1].hash = now.cells[2].hash = "bb";
    expect(compare(&plain, &now, NULL), 4, "no cell is in both");
}

static void a_cell_that_does_not_restore_any_more_exits_3(void **state)
{
    struct made_rows now = plain;
    (void)state;
    now.cells[1].fails = true;
    expect(compare(&plain, &now, NULL), 3, "REGRESSED: 1 cells do not restore");
    expect(compare(&now, &now, NULL), 0, "OK");
}

static void different_machines_are_refused_unless_sizes_alone_are_asked_for(void **state)
{
    struct made_rows now = plain;
    (void)state;
    now.env_id = "e2";
    expect(compare(&plain, &now, NULL), 0, "2 the same"); /* another build on the same machine */
    now.cpu_model = "two";
    struct program_result result = compare(&plain, &now, NULL);
    assert_int_equal(program_lines(result.err), 1);
    assert_string_equal(result.out, "");
    expect(result, 5, "different machines (one, then two)");
    expect(compare(&plain, &now, (const char *const[]){"--sizes", NULL}), 0, "2 the same");
    now.cpu_model = NULL;
    now.features = "avx2 avx512";
    expect(compare(&plain, &now, NULL), 5, "different machines (features avx2, then avx2 avx512)");
    now.features = NULL;
    now.cpus = 4;
    expect(compare(&plain, &now, NULL), 5, "different machines (2 processors");
    now.cpus = 0;
    now.llc_bytes = 2000;
    expect(compare(&plain, &now, NULL), 5, "then 2 with 2000): ");
    now.llc_bytes = 0;
    now.no_env = true;
    expect(compare(&plain, &now, NULL), 5, "the machine is not known");
    expect(compare(&plain, &now, (const char *const[]){"--sizes", NULL}), 0, "2 the same");
}

static void users_set_what_they_allow(void **state)
{
    static const char *const with_margins[] = {"--margins", "margins.json", NULL};
    struct made_rows now = plain;
    (void)state;
    now.cells[1].stored_bytes = 6050; /* 0.83 % of the 1 that zstd may */
    expect(compare(&plain, &now, with_margins), 0, "1 changed within the margin");
    now.cells[1].stored_bytes = 6061;
    expect(compare(&plain, &now, with_margins), 3, "1 changed");
    now = plain;
    now.cells[0].dataset = "other/one";
    expect(compare(&plain, &now, with_margins), 3, "does not meet 'ratio>=3'");
    expect(compare(&plain, &plain, (const char *const[]){"--require", "ratio>=1.6", NULL}), 0, "OK");
    expect(compare(&plain, &plain, (const char *const[]){"--require", "ratio>=1.9", NULL}), 3,
           "1 cells do not meet what is required");
}

static void reports_hold_what_was_found_and_nothing_else_decides(void **state)
{
    struct made_rows now = plain;
    char *directory = temp_dir_create();
    (void)state;
    now.cells[0].stored_bytes = 5001;
    write_rows(directory, "old.jsonl", &plain);
    write_rows(directory, "new.jsonl", &now);
    struct program_result result =
        program_run(directory, (const char *const[]){"compare", "old.jsonl", "new.jsonl", "-q", "--markdown",
                                                     "pr.md", "--json", "result.json", NULL});
    assert_int_equal(result.exit_code, 3);
    assert_string_equal(result.out, "");
    char *markdown = temp_dir_read(directory, "pr.md", NULL),
         *json = temp_dir_read(directory, "result.json", NULL);
    assert_non_null(strstr(markdown, "### mithril compare: REGRESSED"));
    assert_non_null(strstr(markdown, "| weights | `rans` | 5000 -> 5001 B"));
    assert_non_null(strstr(json, "\"result\":\"REGRESSED\""));
    assert_non_null(strstr(json, "\"old_stored_bytes\":5000,\"new_stored_bytes\":5001"));
    free(markdown);
    free(json);
    program_result_free(&result);
    temp_dir_destroy(directory);
}

static void refuse(const char *directory, const char *const *arguments, int exit_code, const char *says)
{
    struct program_result result = program_run(directory, arguments);
    assert_int_equal(program_lines(result.err), 1);
    assert_string_equal(result.out, "");
    expect(result, exit_code, says);
}

static void bad_input_gets_one_line_and_an_exit_code(void **state)
{
    static const char *const margins[][2] = {
        {"{\"schema\":1,\"margins\":[{\"size_pc\":1}]}", "size_pct"},
        {"{\"schema\":2,\"margins\":[]}", "schema"},
        {"{\"schema\":1,\"margins\":[{\"size_pct\":-1}]}", "size_pct"},
        {"{\"schema\":1,\"margins\":[{\"require\":\"speed>3\"}]}", "it knows ratio"},
        {"[]", "is no object"},
        {"{", "margins.json"},
    };
    char *directory = temp_dir_create();
    (void)state;
    write_rows(directory, "old.jsonl", &plain);
    temp_dir_write(directory, "empty.jsonl", "", 0);
    temp_dir_write(directory, "bad.jsonl", "{\"kind\":\"cell\"", 14);
    temp_dir_write(directory, "list.jsonl", "[1]\n", 4);
    refuse(directory, (const char *const[]){"compare", "old.jsonl", "empty.jsonl", NULL}, 2, "holds no rows");
    refuse(directory, (const char *const[]){"compare", "bad.jsonl", "old.jsonl", NULL}, 2,
           "bad.jsonl, row 1");
    refuse(directory, (const char *const[]){"compare", "list.jsonl", "old.jsonl", NULL}, 2, "is no object");
    refuse(directory, (const char *const[]){"compare", "old.jsonl", "none.jsonl", NULL}, 6, "none.jsonl");
    refuse(directory, (const char *const[]){"compare", "old.jsonl", NULL}, 1, "something is missing");
    refuse(directory, (const char *const[]){"compare", "old.jsonl", "old.jsonl", "--require", "x>=1", NULL},
           1, "it knows ratio");
    for (size_t i = 0; i < sizeof margins / sizeof margins[0]; i++) {
        temp_dir_write(directory, "margins.json", margins[i][0], strlen(margins[i][0]));
        refuse(directory,
               (const char *const[]){"compare", "old.jsonl", "old.jsonl", "--margins", "margins.json", NULL},
               2, margins[i][1]);
    }
    temp_dir_destroy(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_against_itself_is_fine),
        cmocka_unit_test(any_other_size_exits_3_in_either_direction),
        cmocka_unit_test(speeds_of_two_runs_change_no_result),
        cmocka_unit_test(data_are_found_by_their_hash_and_not_by_their_name),
        cmocka_unit_test(a_cell_is_the_same_with_the_same_base_threads_and_spec_alone),
        cmocka_unit_test(a_size_by_another_library_is_not_compared),
        cmocka_unit_test(missing_and_added_cells_are_named),
        cmocka_unit_test(a_cell_that_does_not_restore_any_more_exits_3),
        cmocka_unit_test(different_machines_are_refused_unless_sizes_alone_are_asked_for),
        cmocka_unit_test(users_set_what_they_allow),
        cmocka_unit_test(reports_hold_what_was_found_and_nothing_else_decides),
        cmocka_unit_test(bad_input_gets_one_line_and_an_exit_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
