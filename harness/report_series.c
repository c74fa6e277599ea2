/*
 * Figures with a series a pipeline: ratio over what changed and over the steps between, memory over size, throughput over
 * threads. Series differ in colour, mark and dash, so that they stay apart in grey.
 */
#include "harness/report_plot.h"

#include "harness/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SERIES = MTH_PLOT_COLOURS, MIN_POINTS = 2, TITLE_BYTES = 24 };

struct mth_series_axes {
    const char *x_label, *y_label;
    const char *settings; /* of gnuplot, beyond the labels */
    bool lines;
    bool bounds; /* the bounds of the same checkpoints as one more line */
    bool linear; /* what the first would reach if threads were free */
    bool aside;  /* many points at one place of x: series stand a little apart, where x is a logarithm */
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
    *x = (double)report->groups[cell->group].raw_bytes / 1e6;
    *y = (double)mth_report_heap(report, cell) / (1 << 20);
    return *y > 0 && report->groups[cell->group].threads == 1;
}

static bool resident(const struct mth_report *report, const struct mth_report_cell *cell, double *x,
                     double *y)
{
    *x = (double)report->groups[cell->group].raw_bytes / 1e6;
    *y = (double)mth_report_resident(report, cell) / (1 << 20);
    return *y > 0 && report->groups[cell->group].threads == 1;
}

static bool same_data(const struct mth_report_group *a, const struct mth_report_group *b)
{
    return mth_text_same(a->env_id, b->env_id) && mth_text_same(a->dataset, b->dataset) &&
           mth_text_same(a->base, b->base);
}

/* The largest checkpoint that was measured on several numbers of threads; NULL for none. */
static const struct mth_report_group *scaled(const struct mth_report *report)
{
    const struct mth_report_group *largest = NULL;
    for (size_t g = 0; g < report->n_groups; g++) {
        const struct mth_report_group *group = &report->groups[g];
        for (size_t h = 0; h < g; h++) {
            if (same_data(group, &report->groups[h]) && group->threads != report->groups[h].threads &&
                (!largest || group->raw_bytes > largest->raw_bytes))
                largest = group;
        }
    }
    return largest;
}

/* The slower of both phases, on one checkpoint: lines over several would tell of data. */
static bool threads(const struct mth_report *report, const struct mth_report_cell *cell, double *x, double *y)
{
    const struct mth_report_cell *back = mth_report_other_phase(report, cell);
    *x = (double)report->groups[cell->group].threads;
    *y = back ? fmin(cell->gib_s, back->gib_s) : cell->gib_s;
    const struct mth_report_group *group = scaled(report);
    return *x > 0 && *y > 0 && group && same_data(group, &report->groups[cell->group]);
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

static void put_block(struct point *points, size_t n, FILE *out)
{
    if (n > 1)
        qsort(points, n, sizeof *points, by_x);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%.6g %.6g\n", points[i].x, points[i].y);
    fputs("\n\n", out);
}

/* The bound of each checkpoint that has a point. */
static void put_bounds(const struct mth_report *report, const struct mth_report_plot *plot,
                       struct point *points, FILE *out)
{
    size_t n = 0;
    for (size_t g = 0; g < report->n_groups; g++) {
        bool has = false;
        for (size_t i = 0; i < report->n_cells && !has; i++)
            has = report->cells[i].group == g &&
                  is_point(report, plot, &report->cells[i], &points[n].x, &points[n].y);
        if (!has || report->groups[g].bound_ratio <= 0)
            continue;
        points[n++].y = report->groups[g].bound_ratio;
    }
    fputs("# bound\n", out);
    put_block(points, n, out);
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
        fprintf(out, "# %s\n", found[s].spec);
        put_block(points, n, out);
    }
    if (points && plot->axes->bounds)
        put_bounds(report, plot, points, out);
    free(points);
}

/* A spec that fits into half a column. */
static void put_series_title(const char *spec, FILE *out)
{
    char title[TITLE_BYTES];
    size_t n = strlen(spec);
    bool cut = n >= sizeof title;
    snprintf(title, sizeof title, "%.*s%s", (int)(cut ? sizeof title - 3 : n), spec, cut ? ".." : "");
    mth_plot_quoted(title, out);
}

/* The rise of a line from the origin through the first point of a series. */
static double first_rate(const struct mth_report *report, const struct mth_report_plot *plot,
                         const char *spec)
{
    double least = INFINITY, rate = 0;
    for (size_t i = 0; i < report->n_cells; i++) {
        double x, y;
        if (strcmp(report->cells[i].spec, spec) == 0 && is_point(report, plot, &report->cells[i], &x, &y) &&
            x < least) {
            least = x;
            rate = y / x;
        }
    }
    return rate;
}

static void put_series_script(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    struct series found[MAX_SERIES];
    size_t n_found = find_series(report, plot, found);
    fputs(MTH_PLOT_PAPER, out);
    fprintf(out,
            "set autoscale fix\nset offsets graph 0.05, graph 0.05, graph 0.05, graph 0.05\n"
            "set xlabel '%s'\nset ylabel '%s'\n"
            "set key bmargin center horizontal maxcols 2 Left reverse samplen 3 height 0.5\n%s\n",
            plot->axes->x_label, plot->axes->y_label, plot->axes->settings);
    fputs("plot", out);
    for (size_t s = 0; s < n_found; s++) {
        fprintf(out,
                "%s \\\n  data index %zu using ($1*%.4g):2 with %s pointtype %d pointsize 1 linewidth 1.2 "
                "dashtype %d "
                "linecolor rgb '%s' title ",
                s ? "," : "", s, plot->axes->aside ? pow(1.05, (double)s - (double)(n_found - 1) / 2) : 1,
                plot->axes->lines ? "linespoints" : "points", mth_plot_mark(s), mth_plot_dash(s),
                mth_plot_colour(s));
        put_series_title(found[s].spec, out);
        fputs(" noenhanced", out);
    }
    if (plot->axes->bounds)
        fprintf(
            out,
            ", \\\n  data index %zu using 1:2 with lines linewidth 2 linecolor rgb '#aaaaaa' title 'bound'",
            n_found);
    if (plot->axes->linear)
        fprintf(out, ", \\\n  %.6g * x with lines linewidth 2 linecolor rgb '#aaaaaa' title 'first, no loss'",
                n_found ? first_rate(report, plot, found[0].spec) : 0);
    fputc('\n', out);
}

/* ---- the figures ---- */

#define SERIES(file, text, axes_of)                                                                \
    {                                                                                              \
        .name = file, .caption = text, .width = MTH_PLOT_COLUMN, .height = 480, .has = has_series, \
        .put_data = put_series, .put_script = put_series_script, .axes = &(axes_of)                \
    }

static const struct mth_series_axes changed_axes = {.x_label = "elements changed, %",
                                                    .y_label = "ratio",
                                                    .settings = "set logscale xy\n" MTH_PLOT_LOG_TICS,
                                                    .lines = true,
                                                    .bounds = true,
                                                    .point = ratio_changed};
static const struct mth_series_axes steps_axes = {.x_label = "training steps between the two",
                                                  .y_label = "ratio",
                                                  .settings = "set logscale xy\n" MTH_PLOT_LOG_TICS,
                                                  .aside = true,
                                                  .point = ratio_steps};
static const struct mth_series_axes memory_axes = {.x_label = "checkpoint, MB",
                                                   .y_label = "peak heap, MiB",
                                                   .settings = "set logscale xy\n" MTH_PLOT_LOG_TICS,
                                                   .aside = true,
                                                   .point = memory};
static const struct mth_series_axes resident_axes = {.x_label = "checkpoint, MB",
                                                     .y_label = "resident peak, MiB",
                                                     .settings = "set logscale xy\n" MTH_PLOT_LOG_TICS,
                                                     .aside = true,
                                                     .point = resident};
static const struct mth_series_axes threads_axes = {.x_label = "threads",
                                                    .y_label = "slower phase, GiB/s",
                                                    .settings = "set yrange [0:*]\nset xtics 1",
                                                    .lines = true,
                                                    .linear = true,
                                                    .point = threads};

const struct mth_report_plot mth_plot_ratio_changed = SERIES(
    "ratio_changed", "Ratio of checkpoints against their bases over the part of the elements that changed.",
    changed_axes);
const struct mth_report_plot mth_plot_ratio_steps =
    SERIES("ratio_steps",
           "Ratio of checkpoints against their bases over the training steps between; series stand a little "
           "apart.",
           steps_axes);
const struct mth_report_plot mth_plot_memory =
    SERIES("memory",
           "Peak heap beyond the caller's buffers, of the hungrier phase, over the size of the checkpoint; "
           "one thread.",
           memory_axes);
const struct mth_report_plot mth_plot_resident =
    SERIES("resident",
           "Peak resident memory beyond the caller's buffers, of the hungrier phase, each phase in a process "
           "of its own; one "
           "thread.",
           resident_axes);
const struct mth_report_plot mth_plot_threads = SERIES(
    "threads", "Throughput of the slower phase over the number of threads; grey: as if threads cost nothing.",
    threads_axes);
