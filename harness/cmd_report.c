/* `mithril report`: rows of one or more runs into tables, a figure, the project's status. */
#include "harness/command.h"

#include "base/file.h"
#include "harness/options.h"
#include "harness/output.h"
#include "harness/report_plot.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char gaps_path[] = "docs/status_gaps.md";

/* Writes what make puts out into a file, or to standard output where path is NULL or "-". */
static int write_text(const struct mth_report *report, const char *path,
                      void (*make)(const struct mth_report *report, FILE *out), struct mth_error *err)
{
    char *text = NULL;
    size_t n_text = 0;
    if (!path) {
        make(report, stdout);
        return MTH_OK;
    }
    FILE *out = open_memstream(&text, &n_text);
    int status = MTH_OK;
    if (out)
        make(report, out);
    if (!out || fclose(out) != 0)
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    if (!status)
        status = mth_output_write(path, (struct mth_bytes){(const uint8_t *)text, n_text}, err);
    free(text);
    return status;
}

/* The list of gaps as a text, allocated on the report's account. */
static int read_gaps(const struct mth_report *report, char **gaps, struct mth_error *err)
{
    struct mth_buffer bytes;
    int status = mth_file_read_all(gaps_path, report->memory, &bytes, err);
    if (status == MTH_ERR_NOT_FOUND)
        return mth_error_set(err, MTH_ERR_IO, "%s: is not here; --status works in the root of the repository",
                             gaps_path);
    if (status)
        return status;
    *gaps = mth_memory_realloc(report->memory, bytes.data, bytes.n_bytes + 1);
    if (!*gaps) {
        mth_memory_free(report->memory, bytes.data);
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    }
    (*gaps)[bytes.n_bytes] = '\0';
    return MTH_OK;
}

static int write_status(const struct mth_report *report, const char *path, bool quiet, struct mth_error *err)
{
    char *text = NULL, *gaps = NULL;
    size_t n_text = 0;
    bool complete = false;
    int status = read_gaps(report, &gaps, err);
    if (status)
        return status;
    FILE *out = open_memstream(&text, &n_text);
    if (out)
        mth_report_status(report, gaps, out, &complete);
    if (!out || fclose(out) != 0)
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    if (!status)
        status = mth_file_write_all(path, (struct mth_bytes){(const uint8_t *)text, n_text}, err);
    if (!status && !quiet)
        printf("%s: %s\n", path, complete ? "COMPLETE" : "NOT COMPLETE");
    free(text);
    mth_memory_free(report->memory, gaps);
    return status;
}

/* directory/name, unless a name was asked for; NULL where neither was. Returns out. */
static const char *path_of(const char *asked, const char *directory, const char *name, char out[4096])
{
    if (asked)
        return asked;
    if (!directory)
        return NULL;
    snprintf(out, 4096, "%.4000s/%s", directory, name);
    return out;
}

static const struct mth_report_plot *const plots[] = {
    &mth_plot_ratio_throughput, &mth_plot_ratio_changed, &mth_plot_ratio_steps, &mth_plot_memory,
    &mth_plot_resident,         &mth_plot_threads,       &mth_plot_roles,       &mth_plot_chains};
enum { N_PLOTS = sizeof plots / sizeof plots[0] };

static int check_formats(const char *formats, struct mth_error *err)
{
    for (const char *at = formats; *at; at += strcspn(at, ","), at += *at == ',') {
        size_t n = strcspn(at, ",");
        if (n != 3 ||
            (strncmp(at, "svg", n) != 0 && strncmp(at, "pdf", n) != 0 && strncmp(at, "png", n) != 0))
            return mth_error_set(err, MTH_ERR_USAGE, "--formats %.60s: there are svg, pdf and png", formats);
    }
    return MTH_OK;
}

/* Every figure that the rows have something for, in every format asked for. */
static int draw_all(const struct mth_report *report, const char *directory, const char *formats,
                    struct mth_error *err)
{
    int status = MTH_OK;
    for (const char *at = formats; !status && *at; at += strcspn(at, ","), at += *at == ',') {
        for (size_t i = 0; !status && i < N_PLOTS; i++) {
            char path[4096];
            snprintf(path, sizeof path, "%.3900s/%s.%.3s", directory, plots[i]->name, at);
            if (plots[i]->has(report, plots[i]))
                status = mth_report_draw(report, plots[i], path, err);
        }
    }
    return status;
}

/* A drawing beside the page, read back for it into bytes, on the report's account. */
static int read_drawing(const struct mth_report *report, const struct mth_report_plot *plot, const char *path,
                        struct mth_buffer *bytes, struct mth_report_drawing *drawing, struct mth_error *err)
{
    int status = mth_report_draw(report, plot, path, err);
    if (!status)
        status = mth_file_read_all(path, report->memory, bytes, err);
    if (status)
        return status;
    /* What stands before the element is for files of their own. */
    const char *text = (const char *)bytes->data;
    size_t at = 0;
    while (at + 4 < bytes->n_bytes && memcmp(text + at, "<svg", 4) != 0)
        at++;
    *drawing =
        (struct mth_report_drawing){.svg = text + at, .caption = plot->caption, .n_svg = bytes->n_bytes - at};
    return MTH_OK;
}

/* The page; its figures stay beside it with their scripts, as NAME_FIGURE.svg. */
static int write_html(const struct mth_report *report, const char *path, struct mth_error *err)
{
    struct mth_report_drawing drawings[N_PLOTS];
    struct mth_buffer bytes[N_PLOTS];
    size_t n_drawings = 0, n_path = strlen(path), n_text = 0;
    const char *dot = strrchr(path, '.');
    size_t n_stem = dot && !strchr(dot, '/') ? (size_t)(dot - path) : n_path;
    char *text = NULL;
    int status = MTH_OK;
    for (size_t i = 0; !status && i < N_PLOTS; i++) {
        char figure[4096];
        snprintf(figure, sizeof figure, "%.*s_%s.svg", (int)(n_stem < 3900 ? n_stem : 3900), path,
                 plots[i]->name);
        if (!plots[i]->has(report, plots[i]))
            continue;
        status = read_drawing(report, plots[i], figure, &bytes[n_drawings], &drawings[n_drawings], err);
        n_drawings += !status;
    }
    FILE *out = status ? NULL : open_memstream(&text, &n_text);
    if (out)
        mth_report_html(report, drawings, n_drawings, out);
    if (!status && (!out || fclose(out) != 0))
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    if (!status)
        status = mth_file_write_all(path, (struct mth_bytes){(const uint8_t *)text, n_text}, err);
    while (n_drawings)
        mth_memory_free(report->memory, bytes[--n_drawings].data);
    free(text);
    return status;
}

static bool is_standard_output(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

/* What was written, beside what went to standard output. */
static void tell_written(const char *const *written, size_t n_written, const char *directory)
{
    FILE *out = stdout;
    for (size_t i = 0; i < n_written; i++)
        if (is_standard_output(written[i]))
            out = stderr;
    for (size_t i = 0; i < n_written; i++)
        if (written[i] && !is_standard_output(written[i]))
            fprintf(out, "wrote %s\n", written[i]);
    if (directory)
        fprintf(out, "wrote figures into %s\n", directory);
}

static int make_reports(const struct mth_options *options, const struct mth_report *report,
                        struct mth_error *err)
{
    const char *directory = options->output;
    char buffers[3][4096];
    const char *markdown = path_of(options->markdown, directory, "report.md", buffers[0]);
    const char *csv = path_of(options->csv, directory, "cells.csv", buffers[1]);
    const char *latex = path_of(options->latex, directory, "cells.tex", buffers[2]);
    /* A figure that was asked for is that of the cells; where there are none, that of the chains. */
    bool only_chains = report->n_chains > 0 && report->n_cells == 0;
    bool nothing_asked = !markdown && !csv && !latex && !options->html && !options->figure &&
                         !options->status && !options->readme;
    const char *formats = options->formats ? options->formats : "svg";
    size_t n_there = directory ? strlen(directory) : 0;
    int status = check_formats(formats, err);
    if (!status && is_standard_output(options->html))
        status =
            mth_error_set(err, MTH_ERR_USAGE, "--html -: a page has figures beside it, so it needs a name");
    if (!status && directory)
        status = mth_file_make_directory_noted(directory, &n_there, err);
    if (!status && (markdown || nothing_asked))
        status = write_text(report, markdown, mth_report_markdown, err);
    if (!status && csv)
        status = write_text(report, csv, mth_report_csv, err);
    if (!status && latex)
        status = write_text(report, latex, mth_report_latex, err);
    if (!status && options->status)
        status = write_status(report, options->status, options->quiet, err);
    if (!status && options->readme)
        status = mth_report_readme(report, options->readme, err);
    /* Last, because gnuplot may be missing. */
    if (!status && options->figure)
        status = mth_report_draw(report, only_chains ? &mth_plot_chains : &mth_plot_ratio_throughput,
                                 options->figure, err);
    if (!status && directory)
        status = draw_all(report, directory, formats, err);
    if (!status && options->html)
        status = write_html(report, options->html, err);
    if (status && directory)
        mth_file_take_back_directory(directory, n_there);
    if (!status && !options->quiet && !nothing_asked) {
        const char *const written[] = {markdown, csv, latex, options->figure, options->html};
        tell_written(written, sizeof written / sizeof written[0], directory);
    }
    return status;
}

static int fail(const struct mth_error *err, bool drawing)
{
    int exit_code = mth_command_fail(err);
    /* A file that is not there is an input; a program that is not there is the environment. */
    return drawing && err->status == MTH_ERR_NOT_FOUND ? MTH_EXIT_ENVIRONMENT : exit_code;
}

int mth_cmd_report(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .usage = "report ROWS.jsonl... [OPTION...]",
        .summary =
            "Makes tables, a figure and the status from the rows that bench wrote. Without options the "
            "tables go to\n"
            "standard output; with -o DIR report.md, cells.csv, cells.tex and the figures are written there: "
            "of\n"
            "chains, too, where there are rows of them.",
        .notes = "The figure keeps its gnuplot script and data beside it. --hyperfine needs no rows: it "
                 "prints new ones.",
        .takes = MTH_TAKES_OUTPUT | MTH_TAKES_REPORTS | MTH_TAKES_HYPERFINE | MTH_TAKES_QUIET,
        .max_operands = SIZE_MAX,
    };
    struct mth_options options;
    struct mth_error err;
    struct mth_report report;
    int exit_code;
    bool read = false;
    if (!mth_options_parse(&line, argc, argv, &options, &exit_code))
        return exit_code;
    int status = MTH_OK;
    if (options.hyperfine)
        status = mth_report_hyperfine(options.hyperfine, stdout, &err);
    else if (options.operands.n_items == 0)
        status = mth_error_set(&err, MTH_ERR_USAGE, "something is missing: mithril %s", line.usage);
    if (!status && options.operands.n_items > 0) {
        status = mth_report_read(&report, options.operands.items, options.operands.n_items, &err);
        read = status == MTH_OK;
        if (read)
            status = mth_report_check_sweeps(&report, options.partial, &err);
        if (!status)
            status = make_reports(&options, &report, &err);
    }
    exit_code = status ? fail(&err, read) : MTH_EXIT_OK;
    if (read)
        mth_report_free(&report);
    mth_options_free(&options);
    return exit_code;
}
