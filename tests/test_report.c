/* Laws of reports: made from rows alone, the same from the same, and honest about what was not verified. */
#include "base/file.h"
#include "harness/report_plot.h"
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

static const char fixture[] = "tests/fixtures/rows.jsonl";

static void read_rows(struct mth_report *report, const char *const *paths, size_t n_paths)
{
    struct mth_error err = {0};
    if (mth_report_read(report, paths, n_paths, &err))
        fail_msg("%s", err.text);
}

/* The same of rows that are no file yet. */
static void read_written(struct mth_report *report, const void *rows, size_t n_bytes)
{
    char *directory = temp_dir_create(), path[4096];
    temp_dir_write(directory, "rows.jsonl", rows, n_bytes);
    snprintf(path, sizeof path, "%s/rows.jsonl", directory);
    const char *paths[] = {path};
    read_rows(report, paths, 1);
    temp_dir_destroy(directory);
}

/* What a maker writes, as a text. */
static char *made(const struct mth_report *report, void (*make)(const struct mth_report *report, FILE *out))
{
    char *text = NULL;
    size_t n_text;
    FILE *out = open_memstream(&text, &n_text);
    assert_non_null(out);
    make(report, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is missing in:\n%s", part, text);
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, part)) != NULL; p += strlen(part))
        n++;
    return n;
}

static void same_rows_twice_give_the_tables_of_once(void **state)
{
    (void)state;
    const char *twice[] = {fixture, fixture};
    struct mth_report a, b;
    read_rows(&a, twice, 1);
    read_rows(&b, twice, 2);
    assert_int_equal(a.n_cells, 7);
    assert_int_equal(b.n_cells, 7);
    assert_int_equal(b.n_verdicts, 6);
    assert_int_equal(b.n_runs, 1);
    assert_int_equal(b.n_envs, 1);
    char *csv_a = made(&a, mth_report_csv), *csv_b = made(&b, mth_report_csv);
    assert_string_equal(csv_a, csv_b);
    free(csv_a);
    free(csv_b);
    mth_report_free(&a);
    mth_report_free(&b);
}

static void later_rows_replace_earlier_ones_in_their_place(void **state)
{
    (void)state;
    static const char later[] = "{\"schema\":1,\"kind\":\"cell\",\"row_id\":\"new\",\"env_id\":"
                                "\"00000000000000aa\",\"dataset\":\"alone\","
                                "\"spec\":\"zstd\",\"phase\":\"compress\",\"threads\":1,\"raw_bytes\":"
                                "1073741824,\"ratio\":9.75,\"verified\":true}\n";
    char *directory = temp_dir_create(), path[4096];
    temp_dir_write(directory, "later.jsonl", later, sizeof later - 1);
    snprintf(path, sizeof path, "%s/later.jsonl", directory);
    const char *paths[] = {fixture, path};
    struct mth_report report;
    read_rows(&report, paths, 2);
    assert_int_equal(report.n_cells, 7);
    assert_string_equal(report.cells[0].row_id, "new");
    assert_true(report.cells[0].ratio == 9.75);
    mth_report_free(&report);
    temp_dir_destroy(directory);
}

static void rows_with_an_older_base_stand_apart_from_those_with_one(void **state)
{
    (void)state;
    static const char *const members[] = {
        "\"kind\":\"cell\",\"phase\":\"compress\",\"ratio\":4,\"verified\":true",
        "\"kind\":\"verdict\",\"target\":\"ratio\",\"result\":\"PASS\",\"value\":4,\"threshold\":10",
        "\"kind\":\"e2e\",\"tool\":\"mithril\",\"phase\":\"compress\"",
        "\"kind\":\"part\",\"by\":\"role\",\"part\":\"weight\"",
        "\"kind\":\"latency\",\"phase\":\"compress\",\"up_to_bytes\":1024",
    };
    static const char *const older[] = {"null", "\"old\"", "\"older\"", "null"};
    char *text;
    size_t n_text;
    FILE *out = open_memstream(&text, &n_text);
    assert_non_null(out);
    for (size_t k = 0; k < sizeof older / sizeof older[0]; k++) {
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
            fprintf(out,
                    "{\"schema\":1,\"row_id\":\"r%zu-%zu\",\"env_id\":\"e\",\"dataset\":\"d\",\"class\":"
                    "\"toy-trained\",\"base\":\"b\",\"older\":%s,\"steps_apart\":1,\"spec\":\"seed\","
                    "\"threads\":1,\"raw_bytes\":1000,\"stored_bytes\":250,%s}\n",
                    k, i, older[k], members[i]);
    }
    assert_int_equal(fclose(out), 0);
    struct mth_report report;
    read_written(&report, text, n_text);
    free(text);
    /* The last one is the first again. */
    assert_int_equal(report.n_cells, 3);
    assert_int_equal(report.n_groups, 3);
    assert_int_equal(report.n_verdicts, 3);
    assert_int_equal(report.n_e2e, 3);
    assert_int_equal(report.n_parts, 3);
    assert_int_equal(report.n_latencies, 3);
    assert_string_equal(report.cells[0].row_id, "r3-0");
    text = made(&report, mth_report_markdown);
    assert_int_equal(count(text, "### d (toy-trained), against the base 1 step before, 1 thread"), 1);
    assert_int_equal(
        count(text, "### d (toy-trained), against the base 1 step before and an older one, 1 thread"), 2);
    free(text);
    mth_report_free(&report);
}

static void a_cell_file_to_file_stands_beside_its_speed_in_memory_and_a_later_one_replaces_it(void **state)
{
    (void)state;
    static const char rows[] =
        "{\"schema\":1,\"kind\":\"e2e\",\"row_id\":\"old\",\"env_id\":\"a\",\"tool\":\"mithril\",\"phase\":"
        "\"decompress\",\"dataset\":\"d\",\"base\":null,\"spec\":\"seed\",\"threads\":2,\"gib_s\":1}\n"
        "{\"schema\":1,\"kind\":\"e2e\",\"row_id\":\"new\",\"env_id\":\"a\",\"tool\":\"mithril\",\"phase\":"
        "\"decompress\",\"dataset\":\"d\",\"base\":null,\"spec\":\"seed\",\"threads\":2,\"ratio\":1.5,"
        "\"median_ns\":5e8,\"gib_s\":2.5,\"pct_memory\":71,\"pct_memory_lo\":69.5,\"pct_memory_hi\":80}\n"
        "{\"schema\":1,\"kind\":\"e2e\",\"row_id\":\"other\",\"env_id\":\"a\",\"tool\":\"mithril\",\"phase\":"
        "\"decompress\",\"dataset\":\"d\",\"base\":null,\"spec\":\"seed\",\"threads\":4,\"gib_s\":3}\n";
    struct mth_report report;
    read_written(&report, rows, sizeof rows - 1);
    assert_int_equal(report.n_e2e, 2);
    assert_string_equal(report.e2e[0].row_id, "new");
    char *text = made(&report, mth_report_markdown);
    assert_has(text,
               "| d | - | `mithril` | `seed` | 2 | decompress | 1.500 | 0.5000 | 2.500 | 71 [70, 80] |");
    free(text);
    mth_report_free(&report);
}

static void markdown_has_a_line_for_every_pipeline(void **state)
{
    (void)state;
    const char *paths[] = {fixture};
    struct mth_report report;
    read_rows(&report, paths, 1);
    char *text = made(&report, mth_report_markdown);
    assert_has(
        text,
        "| `zstd` | 1.280 | 85.3 | 0.500 [0.476, 0.526] | 5.0 | 1.000 [0.909, 1.111] | 10.0 | 2.00 | yes | "
        "spread few_samples |");
    assert_has(text, "UNSUPPORTED: codes against a base");
    assert_has(text, "### pair (real-trained), against the base 1 step before, 1 thread");
    assert_has(text, "| run | `delta-xor+lz4` | 3 | 3221225472 | 800000000 | 4.030 | yes |");
    assert_has(text, "Example \\| CPU");
    assert_has(text, "| in.safetensors | - | `zstd -3` | - | - | compress | 2.000 |");
    /* One line a pipeline, not one a phase. */
    assert_int_equal(count(text, "| `seed` |"), 2); /* its cell, and a verdict */
    free(text);
    mth_report_free(&report);
}

static void csv_has_a_line_for_every_cell_with_as_many_fields(void **state)
{
    (void)state;
    const char *paths[] = {fixture};
    struct mth_report report;
    read_rows(&report, paths, 1);
    char *text = made(&report, mth_report_csv);
    assert_int_equal(count(text, "\r\n"), 1 + report.n_cells);
    assert_has(text, "\"codes against a base, \"\"and\"\" there is none\"");
    size_t expected = 0;
    for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n")) {
        size_t n_commas = 0;
        int quoted = 0;
        for (const char *p = line; *p; p++) {
            quoted ^= *p == '"';
            n_commas += *p == ',' && !quoted;
        }
        if (expected == 0)
            expected = n_commas;
        assert_int_equal(n_commas, expected);
    }
    free(text);
    mth_report_free(&report);
}

static void rows_that_break_the_schema_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *rows;
        int status;
        const char *part;
    } cases[] = {
        {"", MTH_ERR_FORMAT, "no rows"},
        {"\n\n", MTH_ERR_FORMAT, "no rows"},
        {"{\"kind\":\"cell\"", MTH_ERR_FORMAT, "row 1"},
        {"[]\n", MTH_ERR_FORMAT, "no object"},
        {"{\"schema\":1}\n", MTH_ERR_FORMAT, "kind"},
        {"{\"schema\":2,\"kind\":\"cell\"}\n", MTH_ERR_UNSUPPORTED, "schema"},
        {"{\"schema\":1,\"kind\":\"x\"}\n{\"schema\":1,\"kind\":\"cell\",\"dataset\":\"d\",\"spec\":7,"
         "\"phase\":\"compress\"}\n",
         MTH_ERR_FORMAT, "row 2: spec"},
        {"{\"schema\":1,\"kind\":\"cell\",\"dataset\":\"d\",\"spec\":\"s\",\"phase\":\"compress\",\"raw_"
         "bytes\":-1}\n",
         MTH_ERR_FORMAT, "raw_bytes"},
        {"{\"schema\":1,\"kind\":\"verdict\",\"target\":\"ratio\",\"result\":\"PASS\",\"evidence\":[3]}\n",
         MTH_ERR_FORMAT, "evidence"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mth_report report;
        struct mth_error err = {0};
        char *directory = temp_dir_create(), path[4096];
        temp_dir_write(directory, "rows.jsonl", cases[i].rows, strlen(cases[i].rows));
        snprintf(path, sizeof path, "%s/rows.jsonl", directory);
        const char *paths[] = {path};
        assert_int_equal(mth_report_read(&report, paths, 1, &err), cases[i].status);
        assert_has(err.text, cases[i].part);
        assert_has(err.text, "rows.jsonl");
        temp_dir_destroy(directory);
    }
}

/* The status made of the fixture with one text replaced by another of the same length. */
static bool complete_with(const char *old, const char *new, char **text)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_buffer bytes;
    struct mth_error err = {0};
    assert_int_equal(mth_file_read_all(fixture, memory, &bytes, &err), 0);
    size_t n_old = strlen(old), n_replaced = 0;
    assert_int_equal(n_old, strlen(new));
    for (size_t i = 0; n_old > 0 && i + n_old <= bytes.n_bytes; i++) {
        if (memcmp(bytes.data + i, old, n_old) == 0) {
            memcpy(bytes.data + i, new, n_old);
            n_replaced++;
        }
    }
    assert_true(n_old == 0 || n_replaced == 1);
    struct mth_report report;
    read_written(&report, bytes.data, bytes.n_bytes);
    mth_memory_free(memory, bytes.data);
    mth_memory_destroy(memory);

    size_t n_text;
    FILE *out = open_memstream(text, &n_text);
    assert_non_null(out);
    bool complete;
    mth_report_status(&report,
                      "## Gaps, as they are\n\n[a](delta.md#x) ([b](../results/chain)) [c](#gaps) "
                      "[d](https://e.org/f) (delta.md) [g](h/i.md)\n",
                      out, &complete);
    assert_int_equal(fclose(out), 0);
    mth_report_free(&report);
    return complete;
}

static void status_is_complete_only_when_every_criterion_passes_in_scope(void **state)
{
    (void)state;
    static const char *const targets[] = {"ratio", "throughput", "both", "memory", "bit_exact"};
    char *text, old[128], new[128];
    assert_true(complete_with("", "", &text));
    assert_has(text, "# Status: COMPLETE\n");
    /* What fails out of scope is listed, with its bound, and with rows that prove it. */
    assert_has(text, "| alone (toy-trained), 1 thread, alone | no | FAIL | 1.408x | `seed` | 1.500x |");
    assert_has(text, "| aa-7 aa-8 aa-9 |");
    assert_has(text, "+10.0 %: 1.280x -> 1.408x");
    assert_has(text, "## Gaps, as they are\n");
    /* The page lies in a folder, what it becomes a part of does not. */
    assert_has(text, "\n[a](docs/delta.md#x) ([b](results/chain)) [c](#gaps) [d](https://e.org/f) (delta.md) "
                     "[g](docs/h/i.md)\n");
    free(text);
    /* What was coded against two bases is no pair of a step and the one before. */
    static const char head[] =
        "\"value\":29.8,\"threshold\":10,\"scope\":\"pair (real-trained), 1 thread, against "
        "a base\",\"dataset\":\"pair\",\"class\":\"real-trained\",";
    char one[256], two[256];
    snprintf(one, sizeof one, "%s\"base\":\"before.safetensors\"", head);
    snprintf(two, sizeof two, "%s\"base\":\"b\",\"older\":\"before\"", head);
    assert_false(complete_with(one, two, &text));
    free(text);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        snprintf(old, sizeof old, "\"target\":\"%s\",\"result\":\"PASS\"", targets[i]);
        snprintf(new, sizeof new, "\"target\":\"%s\",\"result\":\"FAIL\"", targets[i]);
        assert_false(complete_with(old, new, &text));
        assert_has(text, "# Status: NOT COMPLETE\n");
        free(text);
    }
}

static void figure_leaves_its_script_and_data_beside_it(void **state)
{
    (void)state;
    const char *paths[] = {fixture};
    struct mth_report report;
    struct mth_error err = {0};
    char *directory = temp_dir_create(), path[4096];
    read_rows(&report, paths, 1);
    snprintf(path, sizeof path, "%s/it's in/f.svg", directory);
    temp_dir_write(directory, "it's in/f.svg", "old", 3);
    int status = mth_report_draw(&report, &mth_plot_ratio_throughput, path, &err);
    size_t n_bytes;
    char *script = temp_dir_read(directory, "it's in/f.gp", &n_bytes);
    char *data = temp_dir_read(directory, "it's in/f.dat", &n_bytes);
    char *figure = temp_dir_read(directory, "it's in/f.svg", &n_bytes);
    assert_non_null(script);
    assert_non_null(data);
    assert_has(script, "set output 'f.svg'");
    assert_has(data, "4 29.8 3.84615 4.16667 \"delta-xor+lz4\"");
    /* The cell that is not verified is not drawn. */
    assert_null(strstr(data, "delta-xor+zstd"));
    if (status == MTH_ERR_NOT_FOUND)
        assert_has(err.text, "gnuplot is not installed");
    else
        assert_int_equal(status, 0);
    if (status == 0)
        assert_has(figure, "<svg");
    free(script);
    free(data);
    free(figure);
    snprintf(path, sizeof path, "%s/f.jpeg", directory);
    assert_int_equal(mth_report_draw(&report, &mth_plot_ratio_throughput, path, &err), MTH_ERR_USAGE);
    mth_report_free(&report);
    temp_dir_destroy(directory);
}

static void tables_go_to_standard_output_where_that_is_asked_for(void **state)
{
    static const char *const options[] = {"--markdown", "--csv", "--latex"};
    static const char *const begins[] = {"# mithril: measured", "", "%"};
    (void)state;
    char *directory = temp_dir_create();
    size_t n_rows;
    char *rows = temp_dir_read("tests/fixtures", "rows.jsonl", &n_rows);
    temp_dir_write(directory, "rows.jsonl", rows, n_rows);
    free(rows);
    for (size_t i = 0; i < 3; i++) {
        struct program_result result =
            program_run(directory, (const char *const[]){"report", "rows.jsonl", options[i], "-", NULL});
        assert_int_equal(result.exit_code, 0);
        assert_int_equal(strncmp(result.out, begins[i], strlen(begins[i])), 0);
        assert_true(program_lines(result.out) > 5);
        assert_string_equal(result.err, "");
        program_result_free(&result);
    }
    program_assert_ends(
        program_run(directory, (const char *const[]){"report", "rows.jsonl", "--html", "-", NULL}), 1,
        "needs a name");
    assert_int_equal(temp_dir_count(directory, "."), 1);
    temp_dir_destroy(directory);
}

static void figure_without_gnuplot_ends_with_5_and_one_line(void **state)
{
    (void)state;
    char *directory = temp_dir_create(), figure[4096];
    char *path = getenv("PATH");
    assert_non_null(path);
    char *before = strdup(path);
    assert_non_null(before);
    snprintf(figure, sizeof figure, "%s/f.png", directory);
    setenv("PATH", directory, 1);
    const char *arguments[] = {"report", fixture, "--figure", figure, NULL};
    struct program_result result = program_run(NULL, arguments);
    setenv("PATH", before, 1);
    free(before);
    assert_int_equal(result.exit_code, 5);
    assert_int_equal(program_lines(result.err), 1);
    assert_has(result.err, "gnuplot is not installed");
    program_result_free(&result);
    assert_int_equal(temp_dir_count(directory, "."), 2);
    temp_dir_destroy(directory);
}

static void hyperfine_times_become_rows_that_reports_read(void **state)
{
    (void)state;
    static const char times[] =
        "{\"results\":[{\"command\":\"zstd "
        "-3|compress|a.bin|1073741824|536870912\",\"times\":[0.5,0.25,1.0]},"
        "{\"command\":\"xz|decompress|a.bin|100|50|b.bin|2|other|cold\",\"times\":[1]}]}";
    char *directory = temp_dir_create(), path[4096], *text = NULL;
    size_t n_text;
    struct mth_error err = {0};
    temp_dir_write(directory, "times.json", times, sizeof times - 1);
    snprintf(path, sizeof path, "%s/times.json", directory);
    FILE *out = open_memstream(&text, &n_text);
    assert_non_null(out);
    assert_int_equal(mth_report_hyperfine(path, out, &err), 0);
    assert_int_equal(fclose(out), 0);
    struct mth_report report;
    read_written(&report, text, n_text);
    free(text);
    assert_int_equal(report.n_e2e, 2);
    assert_string_equal(report.e2e[0].tool, "zstd -3");
    assert_null(report.e2e[0].base);
    assert_int_equal(report.e2e[1].threads, 2);
    char *markdown = made(&report, mth_report_markdown);
    assert_has(markdown, "| a.bin against b.bin | other, cold | `xz` | - | 2 | decompress |");
    assert_has(markdown, "| a.bin | - | `zstd -3` | - | - | compress |");
    free(markdown);
    assert_true(report.e2e[0].ratio == 2 && report.e2e[0].median_ns == 5e8 && report.e2e[0].gib_s == 2);
    mth_report_free(&report);

    static const char unnamed[] = "{\"results\":[{\"command\":\"sleep 1\",\"times\":[1.0]}]}";
    temp_dir_write(directory, "times.json", unnamed, sizeof unnamed - 1);
    snprintf(path, sizeof path, "%s/times.json", directory);
    out = open_memstream(&text, &n_text);
    assert_non_null(out);
    assert_int_equal(mth_report_hyperfine(path, out, &err), MTH_ERR_FORMAT);
    assert_has(err.text, "results[0].command");
    assert_int_equal(fclose(out), 0);
    free(text);
    temp_dir_destroy(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_rows_twice_give_the_tables_of_once),
        cmocka_unit_test(later_rows_replace_earlier_ones_in_their_place),
        cmocka_unit_test(rows_with_an_older_base_stand_apart_from_those_with_one),
        cmocka_unit_test(markdown_has_a_line_for_every_pipeline),
        cmocka_unit_test(a_cell_file_to_file_stands_beside_its_speed_in_memory_and_a_later_one_replaces_it),
        cmocka_unit_test(csv_has_a_line_for_every_cell_with_as_many_fields),
        cmocka_unit_test(rows_that_break_the_schema_are_named),
        cmocka_unit_test(status_is_complete_only_when_every_criterion_passes_in_scope),
        cmocka_unit_test(figure_leaves_its_script_and_data_beside_it),
        cmocka_unit_test(tables_go_to_standard_output_where_that_is_asked_for),
        cmocka_unit_test(figure_without_gnuplot_ends_with_5_and_one_line),
        cmocka_unit_test(hyperfine_times_become_rows_that_reports_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
