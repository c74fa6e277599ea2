/*
 * Laws of what `mithril report` makes for a paper and for a browser: the same from the same rows, no text of a row taken for
 * markup, a page that fetches nothing.
 */
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
#include <unistd.h>

#include <cmocka.h>

/* A pair by two pipelines that a hostile hand named, at two distances. */
static const char hostile[] =
    "{\"kind\":\"env\",\"schema\":1,\"env_id\":\"e\",\"cpu_model\":\"<script>alert(1)</script>\"}\n"
    "{\"schema\":1,\"kind\":\"cell\",\"row_id\":\"1\",\"env_id\":\"e\",\"dataset\":\"a_b & "
    "50%\",\"class\":\"user\","
    "\"base\":\"x\",\"steps_apart\":1,\"fraction_changed\":0.1,\"spec\":\"<b>z</"
    "b>_$#{}~^\\\\\",\"phase\":\"compress\","
    "\"threads\":1,\"raw_bytes\":1000,\"stored_bytes\":500,\"ratio\":2,\"median_ns\":10,\"ci_lo_ns\":9,\"ci_"
    "hi_ns\":11,"
    "\"gib_s\":1,\"heap_peak_bytes\":4096,\"flags\":[\"\\\"><img src=x>\"],\"verified\":true}\n"
    "{\"schema\":1,\"kind\":\"cell\",\"row_id\":\"2\",\"env_id\":\"e\",\"dataset\":\"other\",\"class\":"
    "\"user\","
    "\"base\":\"x\",\"steps_apart\":9,\"fraction_changed\":0.5,\"spec\":\"<b>z</"
    "b>_$#{}~^\\\\\",\"phase\":\"compress\","
    "\"threads\":2,\"raw_bytes\":2000,\"stored_bytes\":1500,\"ratio\":1.5,\"median_ns\":10,\"ci_lo_ns\":9,"
    "\"ci_hi_ns\":11,\"gib_s\":2,\"heap_peak_bytes\":8192,\"verified\":true}\n"
    "{\"schema\":1,\"kind\":\"cell\",\"row_id\":\"3\",\"env_id\":\"e\",\"dataset\":\"other\",\"class\":"
    "\"user\","
    "\"base\":\"x\",\"steps_apart\":9,\"fraction_changed\":0.5,\"spec\":\"<b>z</"
    "b>_$#{}~^\\\\\",\"phase\":\"compress\","
    "\"threads\":1,\"raw_bytes\":2000,\"stored_bytes\":1500,\"ratio\":1.5,\"median_ns\":10,\"ci_lo_ns\":9,"
    "\"ci_hi_ns\":11,\"gib_s\":1.25,\"heap_peak_bytes\":8192,\"verified\":true}\n";

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is missing in:\n%.3000s", part, text);
}

static void assert_has_not(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("'%s' is in it", part);
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, part)) != NULL; p += strlen(part))
        n++;
    return n;
}

/* Reports of rows, in a directory of their own. All but LaTeX has figures: skips the test where nothing draws them. */
static char *reported(const char *rows, const char *const *options)
{
    if ((strcmp(options[0], "--latex") != 0 || options[2]) && !program_is_installed("gnuplot"))
        skip();
    char *directory = temp_dir_create();
    const char *arguments[16] = {"report", "rows.jsonl", "-q"};
    for (size_t i = 0; options[i]; i++)
        arguments[3 + i] = options[i];
    temp_dir_write(directory, "rows.jsonl", rows, strlen(rows));
    struct program_result result = program_run(directory, arguments);
    if (result.exit_code != 0)
        fail_msg("exit %d: %s", result.exit_code, result.err);
    program_result_free(&result);
    return directory;
}

static void latex_has_a_booktabs_table_for_every_dataset(void **state)
{
    char *rows = temp_dir_read("tests/fixtures", "rows.jsonl", NULL);
    char *directory = reported(rows, (const char *const[]){"--latex", "t.tex", NULL});
    char *text = temp_dir_read(directory, "t.tex", NULL);
    (void)state;
    free(rows);
    assert_int_equal(count(text, "\\begin{table}"), count(text, "\\end{table}"));
    assert_int_equal(count(text, "\\toprule"), count(text, "\\begin{table}"));
    assert_int_equal(count(text, "\\bottomrule"), count(text, "\\begin{table}"));
    assert_has(text, "\\texttt{zstd} & 1.280 &");
    free(text);
    temp_dir_destroy(directory);
}

static void no_text_of_a_row_is_markup(void **state)
{
    char *directory = reported(hostile, (const char *const[]){"--latex", "t.tex", "--html", "p.html", NULL});
    char *latex = temp_dir_read(directory, "t.tex", NULL), *html = temp_dir_read(directory, "p.html", NULL);
    (void)state;
    assert_has(latex,
               "\\textless{}b\\textgreater{}z\\textless{}/b\\textgreater{}\\_\\$\\#\\{\\}\\textasciitilde{}"
               "\\textasciicircum{}\\textbackslash{}");
    assert_has(latex, "a\\_b \\& 50\\%");
    assert_has(html, "&lt;b&gt;z&lt;/b&gt;");
    assert_has(html, "&quot;&gt;&lt;img src=x&gt;");
    assert_has_not(html, "<b>");
    assert_has_not(html, "<img");
    assert_int_equal(count(html, "<script>"), 1); /* ours */
    free(latex);
    free(html);
    temp_dir_destroy(directory);
}

static void a_page_holds_its_figures_and_fetches_nothing(void **state)
{
    char *directory = reported(hostile, (const char *const[]){"--html", "p.html", NULL});
    char *html = temp_dir_read(directory, "p.html", NULL);
    (void)state;
    assert_true(count(html, "<svg") >= 4); /* throughput, what changed, steps, threads */
    assert_int_equal(count(html, "<svg"), count(html, "</svg>"));
    assert_has_not(html, " src=\"");
    assert_has_not(html, "<link");
    assert_has_not(html, "url(http");
    assert_has_not(html, "<?xml");
    assert_has(html, "default-src 'none'");
    assert_has(html, "Where the numbers come from");
    free(html);
    temp_dir_destroy(directory);
}

/* Tables, page, and every figure in every format. */
static void the_same_rows_give_the_same_bytes(void **state)
{
    static const char *const options[] = {"-o", "out", "--html", "p.html", "--formats", "svg,pdf,png", NULL};
    static const char *const figures[] = {"ratio_throughput", "ratio_changed", "ratio_steps", "memory",
                                          "threads"};
    static const char *const endings[] = {"svg", "pdf", "png", "dat", "gp"};
    static const char *const tables[] = {"p.html", "out/cells.tex", "out/report.md", "out/cells.csv"};
    enum { N_FIGURES = sizeof figures / sizeof figures[0], N_ENDINGS = 5, N_TABLES = 4 };
    char *a = reported(hostile, options);
    (void)sleep(1); /* what tells the time would differ */
    char *b = reported(hostile, options);
    (void)state;
    for (size_t i = 0; i < N_FIGURES * N_ENDINGS + N_TABLES; i++) {
        char name[64];
        size_t n_one, n_two;
        if (i < N_TABLES)
            snprintf(name, sizeof name, "%s", tables[i]);
        else
            snprintf(name, sizeof name, "out/%s.%s", figures[(i - N_TABLES) / N_ENDINGS],
                     endings[(i - N_TABLES) % N_ENDINGS]);
        char *one = temp_dir_read(a, name, &n_one), *two = temp_dir_read(b, name, &n_two);
        if (!one || !two)
            fail_msg("%s is not there", name);
        if (n_one != n_two || memcmp(one, two, n_one) != 0)
            fail_msg("%s is another one each time", name);
        free(one);
        free(two);
    }
    temp_dir_destroy(a);
    temp_dir_destroy(b);
}

/* Cells of one dataset: slow and small, fast and large, beaten by both, not smaller at all. */
#define CELL(spec, phase, ratio, speed)                                                                 \
    "{\"schema\":1,\"kind\":\"cell\",\"dataset\":\"d\",\"class\":\"user\",\"spec\":\"" spec             \
    "\",\"phase\":\"" phase "\",\"threads\":1,\"raw_bytes\":1000,\"stored_bytes\":500,\"ratio\":" ratio \
    ",\"gib_s\":" speed ",\"verified\":true}\n"

static void a_front_joins_what_no_other_pipeline_beats_in_both(void **state)
{
    static const char rows[] = CELL("slow", "compress", "3", "1") CELL("slow", "decompress", "3", "4")
        CELL("fast", "compress", "2", "5") CELL("fast", "decompress", "2", "3")
            CELL("beaten", "compress", "2", "4") CELL("beaten", "decompress", "2", "2.5")
                CELL("as-fast", "compress", "1.5", "5") CELL("as-small", "decompress", "2", "1.5")
                    CELL("moved", "compress", "1", "9");
    char *directory = reported(rows, (const char *const[]){"-o", "out", NULL});
    char *data = temp_dir_read(directory, "out/ratio_throughput.dat", NULL);
    (void)state;
    /* Compressing there are two on it, from slow to fast; decompressing the smallest is the fastest, and alone. */
    assert_has(data,
               "1 3 1 1 \"slow\"\n5 2 5 5 \"fast\"\n\n\n4 2 4 4 \"beaten\"\n5 1.5 5 5 \"as-fast\"\n\n\n");
    assert_has(data, "\n\n\n4 3 4 4 \"slow\"\n\n\n1.5 2 1.5 1.5 \"as-small\"\n2.5 2 2.5 2.5 \"beaten\"\n3 2 "
                     "3 3 \"fast\"\n");
    assert_has_not(data, "moved");
    free(data);
    temp_dir_destroy(directory);
}

/* A pair at two distances, on one thread and on two, by one pipeline. */
#define POINT(dataset, raw, steps, changed, threads, phase, ratio, speed, heap, resident)          \
    "{\"schema\":1,\"kind\":\"cell\",\"dataset\":\"" dataset                                       \
    "\",\"class\":\"user\",\"base\":\"b\",\"steps_apart\":" steps ",\"fraction_changed\":" changed \
    ",\"bound_ratio\":7.5,\"bound_model\":\"m\",\"memcpy_gib_s\":8.25,\"spec\":\"s\","             \
    "\"phase\":\"" phase "\",\"threads\":" threads ",\"raw_bytes\":" raw                           \
    ",\"stored_bytes\":500,\"ratio\":" ratio ",\"gib_s\":" speed ",\"heap_peak_bytes\":" heap      \
    ",\"resident_peak_bytes\":" resident ",\"verified\":true}\n"

static void figures_show_what_the_rows_say(void **state)
{
    static const char rows[] =
        POINT("near", "2000000", "1", "0.25", "1", "compress", "6", "1.5", "1048576", "3145728")
            POINT("near", "2000000", "1", "0.25", "1", "decompress", "6", "1.25", "2097152", "1048576")
                POINT("far", "4000000", "8", "0.5", "1", "compress", "3", "2", "4194304", "5242880")
                    POINT("far", "4000000", "8", "0.5", "2", "compress", "3", "3.5", "8388608", "1048576")
                        POINT("far", "4000000", "8", "0.5", "2", "decompress", "3", "3", "1", "1");
    static const struct {
        const char *file, *part;
    } wanted[] = {{"out/ratio_steps.dat", "# s\n1 6\n8 3\n8 3\n"},
                  {"out/ratio_changed.dat", "# s\n25 6\n50 3\n50 3\n"},
                  {"out/ratio_changed.dat", "# bound\n25 7.5\n50 7.5\n50 7.5\n"},
                  {"out/memory.dat", "# s\n2 2\n4 4\n"},   /* the hungrier phase, MiB over MB */
                  {"out/resident.dat", "# s\n2 3\n4 5\n"}, /* on one thread */
                  {"out/threads.dat", "# s\n1 2\n2 3\n"},  /* the slower phase, of the largest */
                  {"out/ratio_throughput.gp", "set object 3 rectangle from 2.5,10 to graph 1,graph 1"},
                  {"out/ratio_throughput.gp", "set arrow from 8.25,graph 0 to 8.25,graph 1 nohead"},
                  {"out/ratio_throughput.gp", ",7.5 nohead dashtype 2"}, /* the bound */
                  {"out/ratio_throughput.gp", "using 1:2:3:4 with xerrorbars"}};
    char *directory = reported(rows, (const char *const[]){"-o", "out", NULL});
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        char *text = temp_dir_read(directory, wanted[i].file, NULL);
        assert_non_null(text);
        assert_has(text, wanted[i].part);
        free(text);
    }
    temp_dir_destroy(directory);
}

#define CHAIN(dataset, policy, spec, worst, mean)                                                     \
    "{\"schema\":1,\"kind\":\"chain\",\"dataset\":\"" dataset "\",\"policy\":\"" policy               \
    "\",\"spec\":\"" spec "\",\"threads\":1,\"n_steps\":10,\"n_full\":1,\"raw_bytes\":1000,\"stored_" \
    "bytes\":400,\"written_bytes\":500,"                                                              \
    "\"kept_peak_bytes\":150,\"worst\":{\"restore_ns\":" worst "},\"mean\":{\"restore_ns\":" mean     \
    "},\"verified\":true}\n"

static void chains_are_drawn_over_k_and_no_more_of_them_than_can_be_told_apart(void **state)
{
    static const char rows[] = CHAIN("r", "full:every=4", "a", "4e9", "2e9")
        CHAIN("r", "full:every=2", "a", "2e9", "1e9") CHAIN("r", "one-shot:every=4", "a", "3e9", "1e9");
    char *directory = reported(rows, (const char *const[]){"-o", "out", NULL});
    char *data = temp_dir_read(directory, "out/chains.dat", NULL), *many = NULL;
    size_t n_many;
    (void)state;
    /* K, bytes written and kept in percent, seconds of the worst and of the mean */
    assert_has(data, "# r, a, 1 threads: full, one-shot, intermittent\n2 50 150 2 1 \"full:every=2\"\n"
                     "4 50 150 4 2 \"full:every=4\"\n\n\n4 50 150 3 1 \"one-shot:every=4\"\n\n\n");
    free(data);
    temp_dir_destroy(directory);
    /* Nine pipelines, the last with two points: it is drawn, and no two have a colour or a mark in common. */
    FILE *out = open_memstream(&many, &n_many);
    assert_non_null(out);
    for (int i = 0; i < 9; i++)
        fprintf(out, CHAIN("r", "consecutive", "p%d", "1e9", "1e9"), i);
    fputs(CHAIN("r", "full:every=2", "p8", "1e9", "1e9"), out);
    assert_int_equal(fclose(out), 0);
    directory = reported(many, (const char *const[]){"-o", "out", NULL});
    char *script = temp_dir_read(directory, "out/chains.gp", NULL);
    assert_has(script, ", p8\"");
    assert_true(count(script, " title \"r, p") <= MTH_PLOT_COLOURS);
    for (size_t i = 0; i < MTH_PLOT_COLOURS; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(mth_plot_colour(i), mth_plot_colour(j));
            assert_int_not_equal(mth_plot_mark(i), mth_plot_mark(j));
        }
    }
    free(many);
    free(script);
    temp_dir_destroy(directory);
}

static void explorations_are_told_with_winner_front_and_classes(void **state)
{
    static const char rows[] = CELL("small", "compress", "3", "1")
        CELL("small", "decompress", "3",
             "4") "{\"schema\":1,\"kind\":\"cell\",\"row_id\":\"w-1\",\"dataset\":\"d\",\"class\":\"user\","
                  "\"spec\":\"won\",\"phase\":"
                  "\"compress\",\"threads\":1,\"raw_bytes\":1000,\"stored_bytes\":500,\"ratio\":2,\"gib_s\":"
                  "2.5,\"pct_memcpy\":50,"
                  "\"heap_peak_bytes\":1048576,\"verified\":true}\n"
                  "{\"schema\":1,\"kind\":\"explore\",\"row_id\":\"x\",\"dataset\":\"d\",\"threads\":1,\"raw_"
                  "bytes\":1000,\"budget_s\":60,"
                  "\"load_s\":1,\"search_s\":2,\"full_s\":3,\"prefer\":\"speed\",\"winner\":\"won\",\"winner_"
                  "row\":\"w-1\",\"front\":[\"w-1\","
                  "\"gone\"],\"classes\":[{\"class\":\"bf16.matrix\",\"raw_bytes\":2000000,\"n_specs\":77,"
                  "\"front\":[{\"spec\":\"rans@1:aim=speed\","
                  "\"sample_bytes\":65536,\"ratio\":1.25,\"compress_gib_s\":3,\"decompress_gib_s\":4}]}]}\n";
    static const char broken[] = "{\"schema\":1,\"kind\":\"explore\",\"dataset\":\"d\",\"classes\":[{"
                                 "\"class\":\"c\",\"front\":[{\"spec\":7}]}]}\n";
    char *directory = reported(rows, (const char *const[]){"--markdown", "r.md", "--html", "p.html", NULL});
    char *markdown = temp_dir_read(directory, "r.md", NULL), *html = temp_dir_read(directory, "p.html", NULL);
    (void)state;
    assert_has(markdown, "| d | 1 | speed | 60 | 6.0 | 1 | 2 | `won` | 2.000 |\n");
    assert_has(markdown,
               "| d | `won` | * | 2.000 | 2.500 | 50.0 | - | - | 1.00 |\n"); /* and none that is gone */
    assert_has(markdown, "| d | bf16.matrix | 2.00 | 77 | `rans` | 64 | 1.250 | 3.000 | 4.000 |\n");
    assert_has(html, "<h2 id=explorations>");
    free(markdown);
    free(html);
    temp_dir_write(directory, "rows.jsonl", broken, sizeof broken - 1);
    struct program_result result =
        program_run(directory, (const char *const[]){"report", "rows.jsonl", "-q", NULL});
    assert_int_equal(result.exit_code, 2);
    assert_has(result.err, "rows.jsonl, row 1: classes[0].front[0].spec");
    program_result_free(&result);
    temp_dir_destroy(directory);
}

static void figures_are_as_wide_as_a_column_of_print(void **state)
{
    char *directory = reported(hostile, (const char *const[]){"-o", "out", "--formats", "pdf", NULL});
    char *script = temp_dir_read(directory, "out/threads.gp", NULL),
         *pdf = temp_dir_read(directory, "out/threads.pdf", NULL);
    (void)state;
    assert_has(script, "set terminal pdfcairo size 3.30in,");
    assert_has(script, "font 'sans-serif,8'");
    assert_non_null(pdf);
    free(script);
    free(pdf);
    temp_dir_destroy(directory);
}

/* Names that a program would take for options among them. */
static void figures_are_drawn_whatever_they_are_called(void **state)
{
    static const char *const names[] = {"-f.svg", "./-f.pdf", "out of here.png"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char option[64];
        snprintf(option, sizeof option, "--figure=%s", names[i]);
        char *directory = reported(hostile, (const char *const[]){option, NULL});
        char *figure = temp_dir_read(directory, names[i], NULL);
        assert_non_null(figure);
        free(figure);
        temp_dir_destroy(directory);
    }
}

static void tables_tell_of_rooflines_threads_memory_and_single_tensors(void **state)
{
    static const char rows[] =
        "{\"schema\":1,\"kind\":\"baseline\",\"dataset\":\"d\",\"what\":\"memcpy\",\"threads\":2,\"raw_"
        "bytes\":1000,\"gib_s\":8,\"timer_ns\":30}\n"
        "{\"schema\":1,\"kind\":\"baseline\",\"dataset\":\"d\",\"what\":\"read\",\"threads\":2,\"raw_bytes\":"
        "1000,\"gib_s\":9,\"timer_ns\":30}\n"
        "{\"schema\":1,\"kind\":\"baseline\",\"dataset\":\"d\",\"what\":\"write\",\"threads\":2,\"raw_"
        "bytes\":1000,\"gib_s\":7,\"timer_ns\":30}\n"
        "{\"schema\":1,\"kind\":\"cell\",\"dataset\":\"d\",\"class\":\"user\",\"spec\":\"s\",\"phase\":"
        "\"compress\",\"threads\":2,"
        "\"raw_bytes\":1000,\"ratio\":2,\"gib_s\":3,\"pct_roofline\":12.5,\"pct_parallel\":75,\"heap_peak_"
        "bytes\":500,\"resident_peak_bytes\":1500,\"verified\":true}\n"
        "{\"schema\":1,\"kind\":\"cell\",\"dataset\":\"d\",\"class\":\"user\",\"spec\":\"s\",\"phase\":"
        "\"decompress\",\"threads\":2,"
        "\"raw_bytes\":1000,\"ratio\":2,\"gib_s\":5,\"pct_roofline\":25,\"heap_peak_bytes\":250,\"verified\":"
        "true}\n"
        "{\"schema\":1,\"kind\":\"latency\",\"dataset\":\"d\",\"spec\":\"s\",\"phase\":\"compress\","
        "\"threads\":2,\"up_to_bytes\":4096,"
        "\"n_tensors\":3,\"samples_ns\":[1000,2000],\"p50_ns\":1000,\"p95_ns\":2000,\"p99_ns\":2000}\n"
        "{\"schema\":1,\"kind\":\"latency\",\"dataset\":\"d\",\"spec\":\"s\",\"phase\":\"decompress\","
        "\"threads\":2,\"up_to_bytes\":4096,"
        "\"n_tensors\":3,\"samples_ns\":[500,700],\"p50_ns\":500,\"p95_ns\":700,\"p99_ns\":700}\n";
    char *directory = reported(rows, (const char *const[]){"-o", "out", "--html", "p.html", NULL});
    char *markdown = temp_dir_read(directory, "out/report.md", NULL),
         *latex = temp_dir_read(directory, "out/cells.tex", NULL);
    char *html = temp_dir_read(directory, "p.html", NULL);
    (void)state;
    assert_has(markdown, "; memcpy 8.00 GiB/s, reads 9.00, writes 7.00; timer 30 ns");
    assert_has(markdown, "| `s` | 12.5 | 1.500 | 75 | 0.5000 | 1.5000 | 25.0 | 2.500 | - | 0.2500 | - |\n");
    assert_has(markdown, "| `s` | 4 | 3 | 2 | 1.0 | 2.0 | 2.0 | 0.5 | 0.7 | 0.7 |\n");
    assert_has(latex,
               "\\texttt{s} & 12.5 & 1.500 & 75 & 0.5000 & 1.5000 & 25.0 & 2.500 & -- & 0.2500 & -- \\\\\n");
    assert_has(latex, " &  &  &  & \\multicolumn{3}{c}{compress} & \\multicolumn{3}{c}{decompress} "
                      "\\\\\n\\cmidrule(lr){5-7}\\cmidrule(lr){8-10}\n");
    assert_has(html, "<td class=n data-v=\"12.5\">12.5</td>");
    assert_has(html, "<td class=n>-</td>");
    free(markdown);
    free(latex);
    free(html);
    temp_dir_destroy(directory);
}

static void roles_are_drawn_in_percent_of_the_checkpoint(void **state)
{
    static const char rows[] = "{\"schema\":1,\"kind\":\"part\",\"row_id\":\"1\",\"dataset\":\"d\",\"spec\":"
                               "\"s\",\"by\":\"role\",\"part\":\"weight\","
                               "\"threads\":1,\"raw_bytes\":600,\"stored_bytes\":300}\n"
                               "{\"schema\":1,\"kind\":\"part\",\"row_id\":\"2\",\"dataset\":\"d\",\"spec\":"
                               "\"s\",\"by\":\"role\",\"part\":\"adam_v\","
                               "\"threads\":1,\"raw_bytes\":400,\"stored_bytes\":50}\n"
                               "{\"schema\":1,\"kind\":\"part\",\"row_id\":\"3\",\"dataset\":\"d\",\"spec\":"
                               "\"s\",\"by\":\"role\",\"part\":\"framing\","
                               "\"threads\":1,\"raw_bytes\":0,\"stored_bytes\":20}\n"
                               "{\"schema\":1,\"kind\":\"part\",\"row_id\":\"4\",\"dataset\":\"d\",\"spec\":"
                               "\"s\",\"by\":\"dtype\",\"part\":\"BF16\","
                               "\"threads\":1,\"raw_bytes\":9000,\"stored_bytes\":5000}\n";
    char *directory = reported(rows, (const char *const[]){"-o", "out", NULL});
    char *data = temp_dir_read(directory, "out/roles.dat", NULL),
         *svg = temp_dir_read(directory, "out/roles.svg", NULL);
    (void)state;
    assert_non_null(svg);
    assert_has(data,
               "\"d, s\" 1 30 0 5 0 0 0 2\n"); /* weight, adam_m, adam_v, step, other, header, framing */
    free(data);
    free(svg);
    temp_dir_destroy(directory);
}

static void figures_come_in_every_format_asked_for(void **state)
{
    char *directory = reported(hostile, (const char *const[]){"-o", "out", "--formats", "pdf,png,svg", NULL});
    static const struct {
        const char *name, *begins;
    } wanted[] = {{"out/threads.pdf", "%PDF"},
                  {"out/threads.png", "\x89PNG"},
                  {"out/threads.svg", "<?xml"},
                  {"out/ratio_steps.pdf", "%PDF"},
                  {"out/ratio_changed.gp", "#"}};
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        char *bytes = temp_dir_read(directory, wanted[i].name, NULL);
        if (!bytes || strncmp(bytes, wanted[i].begins, strlen(wanted[i].begins)) != 0)
            fail_msg("%s is not there, or is something else", wanted[i].name);
        free(bytes);
    }
    temp_dir_destroy(directory);
    struct program_result result =
        program_run(NULL, (const char *const[]){"report", "tests/fixtures/rows.jsonl", "-o", "/tmp",
                                                "--formats", "svgg", "-q", NULL});
    assert_int_equal(result.exit_code, 1);
    assert_has(result.err, "there are svg, pdf and png");
    program_result_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latex_has_a_booktabs_table_for_every_dataset),
        cmocka_unit_test(no_text_of_a_row_is_markup),
        cmocka_unit_test(a_page_holds_its_figures_and_fetches_nothing),
        cmocka_unit_test(the_same_rows_give_the_same_bytes),
        cmocka_unit_test(a_front_joins_what_no_other_pipeline_beats_in_both),
        cmocka_unit_test(figures_show_what_the_rows_say),
        cmocka_unit_test(chains_are_drawn_over_k_and_no_more_of_them_than_can_be_told_apart),
        cmocka_unit_test(explorations_are_told_with_winner_front_and_classes),
        cmocka_unit_test(figures_are_as_wide_as_a_column_of_print),
        cmocka_unit_test(figures_are_drawn_whatever_they_are_called),
        cmocka_unit_test(tables_tell_of_rooflines_threads_memory_and_single_tensors),
        cmocka_unit_test(roles_are_drawn_in_percent_of_the_checkpoint),
        cmocka_unit_test(figures_come_in_every_format_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
