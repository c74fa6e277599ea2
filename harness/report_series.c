/*
 * Figures with a series a pipeline: ratio over what changed and over the steps between, memory over size, throughput over
 * threads. Series differ in colour, mark and dash, so that they stay apart in grey.
 */
#include "harness/report_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SERIES = 7, MIN_POINTS = 2 };

struct mth_series_axes {
    const char *x_label, *y_label;
    const char *settings; /* of gnuplot, beyond the labels */
    bool lines;
    /* The point of a compressing cell; false for one that has none. */
    bool (*point)(const struct mth_report *report, const struct mth_report_cell *cell, double *x, double *y);
};

/* ---- what is a point ---- */

static bool is_pair(const struct mth_report *report, const struct mth_report_cell *cell)
{
    return report->groups[cell->group].base && cell->ratio > 0;
}

static bool ratio_changed(const struct mth_report *report, const struct mth_report_cell *cell, double *x,
                          double *y)
{
    *x = 100 * report->groups[cell->group].fraction_changed;
    *y = cell->ratio;
    return is_pair(report, cell) && *x > 0;
}

static bool ratio_steps(const struct mth_report *report, const struct mth_report_cell *cell, double *x,
                        double *y)
{
    *x = (double)report->groups[cell->group].steps_apart;
    *y = cell->ratio;
    return is_pair(report, cell) && *x > 0;
}

static bool memory(const struct mth_report *report, const struct mth_report_cell *cell, double *x, double *y)
{
    const struct mth_report_cell *back = mth_report_other_phase(report, cell);
    int64_t heap = cell->heap_peak_bytes;
    if (back && back->heap_peak_bytes > heap)
        heap = back->heap_peak_bytes;
    *x = (double)report->groups[cell->group].raw_bytes / 1e6;
    *y = (double)heap / (1 << 20);
    return heap > 0 && report->groups[cell->group].threads == 1;
}

/* The slower of both phases. */
static bool threads(const struct mth_report *report, const struct mth_report_cell *cell, double *x, double *y)
{
    const struct mth_report_cell *back = mth_report_other_phase(report, cell);
    *x = (double)report->groups[cell->group].threads;
    *y = back ? fmin(cell->gib_s, back->gib_s) : cell->gib_s;
    return *x > 0 && *y > 0;
}

/* ---- which series ---- */

struct series {
    const char *spec;
    size_t n_points;
    double x_lo, x_hi;
};

static bool is_point(const struct mth_report *report, const struct mth_report_plot *plot,
                     const struct mth_report_cell *cell, double *x, double *y)
{
    return cell->verified && !cell->lossy && mth_report_is_compress(cell) &&
           strncmp(cell->spec, "peer:", 5) != 0 && plot->axes->point(report, cell, x, y);
}

/* Our own presets stand first where they have as many points as others. */
static bool is_ours(const char *spec)
{
    return strcmp(spec, "balanced") == 0 || strcmp(spec, "max") == 0 || strcmp(spec, "fast") == 0;
}

/* Those with the most points, in the order of the rows; points at one place of x tell nothing. */
static size_t find_series(const struct mth_report *report, const struct mth_report_plot *plot,
                          struct series found[MAX_SERIES])
{
    struct series *all = calloc(report->n_cells + 1, sizeof *all);
    size_t n_all = 0, n_found = 0;
    for (size_t i = 0; all && i < report->n_cells; i++) {
        const struct mth_report_cell *cell = &report->cells[i];
        double x, y;
        size_t at = 0;
        if (!is_point(report, plot, cell, &x, &y))
            continue;
        while (at < n_all && strcmp(all[at].spec, cell->spec) != 0)
            at++;
        if (at == n_all)
            all[n_all++] = (struct series){.spec = cell->spec, .x_lo = x, .x_hi = x};
        all[at].n_points++;
        all[at].x_lo = fmin(all[at].x_lo, x);
        all[at].x_hi = fmax(all[at].x_hi, x);
    }
    /* Of each count of points ours, then others. */
    for (size_t round = 2 * report->n_cells + 1; n_found < MAX_SERIES && round >= 2 * MIN_POINTS; round--) {
        for (size_t i = 0; i < n_all && n_found < MAX_SERIES; i++) {
            if (2 * all[i].n_points + is_ours(all[i].spec) == round && all[i].x_hi > all[i].x_lo)
                found[n_found++] = all[i];
        }
    }
    free(all);
    return n_found;
}

static bool has_series(const struct mth_report *report, const struct mth_report_plot *plot)
{
    struct series found[MAX_SERIES];
    return find_series(report, plot, found) > 0;
}

struct point {
    double x, y;
};

static int by_x(const void *a, const void *b)
{
    const struct point *p = a, *q = b;
    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    return (p->y > q->y) - (p->y < q->y);
}

static void put_series(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    struct series found[MAX_SERIES];
    size_t n_found = find_series(report, plot, found);
    struct point *points = calloc(report->n_cells + 1, sizeof *points);
    fprintf(out, "# %s; %s: a block a pipeline\n", plot->axes->x_label, plot->axes->y_label);
    for (size_t s = 0; points && s < n_found; s++) {
        size_t n = 0;
        for (size_t i = 0; i < report->n_cells; i++) {
            const struct mth_report_cell *cell = &report->cells[i];
            if (strcmp(cell->spec, found[s].spec) == 0 &&
                is_point(report, plot, cell, &points[n].x, &points[n].y))
                n++;
        }
        qsort(points, n, sizeof *points, by_x);
        fprintf(out, "# %s\n", found[s].spec);
        for (size_t i = 0; i < n; i++)
            fprintf(out, "%.6g %.6g\n", points[i].x, points[i].y);
        fputs("\n\n", out);
    }
    free(points);
}

static void put_series_script(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    static const int marks[MAX_SERIES] = {7, 4, 8, 1, 10, 13, 2};
    struct series found[MAX_SERIES];
    size_t n_found = find_series(report, plot, found);
    fprintf(out,
            "set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#cccccc'\nset border 3\nset tics "
            "nomirror\n"
            "set autoscale fix\nset offsets graph 0.05, graph 0.05, graph 0.05, graph 0.05\n"
            "set format x '%%g'\nset format y '%%g'\nset xlabel '%s' offset 0,0.4\nset ylabel '%s'\n"
            "set key bmargin center horizontal maxcols 2 Left reverse samplen 2 height 1\n%s\nplot",
            plot->axes->x_label, plot->axes->y_label, plot->axes->settings);
    for (size_t s = 0; s < n_found; s++) {
        fprintf(
            out,
            "%s \\\n  data index %zu using 1:2 with %s pointtype %d pointsize 1.1 linewidth 1.4 dashtype %zu "
            "linecolor rgb '%s' title ",
            s ? "," : "", s, plot->axes->lines ? "linespoints" : "points", marks[s], s % 5 + 1,
            mth_plot_colours[s]);
        char title[48];
        snprintf(title, sizeof title, "%.44s%s", found[s].spec, strlen(found[s].spec) > 44 ? ".." : "");
        mth_plot_quoted(title, out);
        fputs(" noenhanced", out);
    }
    fputc('\n', out);
}

/* ---- the figures ---- */

#define SERIES(file, text, axes_of)                                                    \
    {                                                                                  \
        .name = file, .caption = text, .width = 620, .height = 480, .has = has_series, \
        .put_data = put_series, .put_script = put_series_script, .axes = &(axes_of)    \
    }

static const struct mth_series_axes changed_axes = {
    "elements changed, percent", "ratio, original over compressed", "set logscale xy", false, ratio_changed};
static const struct mth_series_axes steps_axes = {"training steps between the two",
                                                  "ratio, original over compressed", "set logscale xy", false,
                                                  ratio_steps};
static const struct mth_series_axes memory_axes = {"checkpoint, MB", "peak heap of the hungrier phase, MiB",
                                                   "set logscale xy", false, memory};
static const struct mth_series_axes threads_axes = {"threads", "throughput of the slower phase, GiB/s",
                                                    "set yrange [0:*]\nset xtics 1", true, threads};

const struct mth_report_plot mth_plot_ratio_changed = SERIES(
    "ratio_changed", "Ratio of checkpoints against their bases over the part of the elements that changed.",
    changed_axes);
const struct mth_report_plot mth_plot_ratio_steps = SERIES(
    "ratio_steps", "Ratio of checkpoints against their bases over the training steps between.", steps_axes);
const struct mth_report_plot mth_plot_memory =
    SERIES("memory", "Peak heap beyond the caller's buffers over the size of the checkpoint, one thread.",
           memory_axes);
const struct mth_report_plot mth_plot_threads =
    SERIES("threads", "Throughput of the slower phase over the number of threads.", threads_axes);
