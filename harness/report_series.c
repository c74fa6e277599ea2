/*
 * Figures with a series a pipeline: ratio over what changed and over the steps between, memory over size, throughput over
 * threads. Series differ in colour, mark and dash, so that they stay apart in grey. Steps say little across runs, so that each
 * run has a panel of its own.
 */
#include "harness/report_plot.h"

#include "harness/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* As many series as there are presets. */
enum { MAX_SERIES = 9, MIN_POINTS = 2, TITLE_BYTES = 24, MAX_PANELS = 5 };

struct mth_series_axes {
    const char *x_label, *y_label;
    const char *settings; /* of gnuplot, beyond the labels */
    bool lines;
    bool bounds; /* the bounds of the same checkpoints as one more line */
    bool linear; /* what the first would reach if threads were free */
    bool aside;  /* many points at one place of x: series stand a little apart, where x is a logarithm */
    bool panels; /* one a run that has points at several places, and one for the key */
    /* The point of a compressing cell; false for one that has none. */
    bool (*point)(const struct mth_report *report, const struct mth_report_cell *cell, double *x, double *y);
};

/* ---- what is a point ---- */

/* Against one base: an older one beside it is another measurement of the same pair. */
static bool is_pair(const struct mth_report *report, const struct mth_report_cell *cell)
{
    const struct mth_report_group *group = &report->groups[cell->group];
    return group->base && !group->older && cell->ratio > 0;
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
           mth_text_same(a->base, b->base) && mth_text_same(a->older, b->older);
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

/* ---- panels ---- */

struct panel {
    const char *run_id; /* NULL: all that there is */
    size_t n_points;
    double x_lo, x_hi;
};

static bool is_in(const struct mth_report *report, const struct panel *panel,
                  const struct mth_report_cell *cell)
{
    const char *run_id = report->groups[cell->group].run_id;
    return !panel->run_id || (run_id && strcmp(run_id, panel->run_id) == 0);
}

static void note_in_panel(struct panel *all, size_t *n_all, const char *run_id, double x)
{
    size_t at = 0;
    while (at < *n_all && strcmp(all[at].run_id, run_id) != 0)
        at++;
    if (at == *n_all)
        all[(*n_all)++] = (struct panel){.run_id = run_id, .x_lo = x, .x_hi = x};
    all[at].n_points++;
    all[at].x_lo = fmin(all[at].x_lo, x);
    all[at].x_hi = fmax(all[at].x_hi, x);
}

/* The runs with the most points, in the order of the rows; where no run has several places of x, one panel of everything. */
static size_t find_panels(const struct mth_report *report, const struct mth_report_plot *plot,
                          struct panel found[MAX_PANELS])
{
    struct panel *all = calloc(report->n_cells + 1, sizeof *all);
    size_t n_all = 0, n_wide = 0, n_found = 0;
    for (size_t i = 0; all && plot->axes->panels && i < report->n_cells; i++) {
        const char *run_id = report->groups[report->cells[i].group].run_id;
        double x, y;
        if (run_id && is_point(report, plot, &report->cells[i], &x, &y))
            note_in_panel(all, &n_all, run_id, x);
    }
    for (size_t i = 0; i < n_all; i++) {
        if (all[i].x_hi > all[i].x_lo)
            all[n_wide++] = all[i];
    }
    for (size_t i = 0; i < n_wide; i++) {
        size_t n_before = 0; /* in a list by points */
        for (size_t k = 0; k < n_wide; k++)
            n_before += all[k].n_points > all[i].n_points || (all[k].n_points == all[i].n_points && k < i);
        if (n_before < MAX_PANELS)
            found[n_found++] = all[i];
    }
    free(all);
    if (n_found == 0)
        found[n_found++] = (struct panel){.run_id = NULL};
    return n_found;
}

/* The points of a series in a panel, by x; spec NULL: the bound of each checkpoint that has one. */
static size_t collect(const struct mth_report *report, const struct mth_report_plot *plot,
                      const struct panel *panel, const char *spec, struct point *points)
{
    size_t n = 0, last_group = SIZE_MAX;
    for (size_t i = 0; i < report->n_cells; i++) {
        const struct mth_report_cell *cell = &report->cells[i];
        if ((spec ? strcmp(cell->spec, spec) != 0 : cell->group == last_group) ||
            !is_in(report, panel, cell) || !is_point(report, plot, cell, &points[n].x, &points[n].y))
            continue;
        last_group = cell->group;
        if (!spec)
            points[n].y = report->groups[cell->group].bound_ratio;
        n += points[n].y > 0;
    }
    if (n > 1)
        qsort(points, n, sizeof *points, by_x);
    return n;
}

static void put_series(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    struct series found[MAX_SERIES];
    struct panel panels[MAX_PANELS];
    size_t n_found = find_series(report, plot, found), n_panels = find_panels(report, plot, panels);
    struct point *points = calloc(report->n_cells + 1, sizeof *points);
    fprintf(out, "# %s; %s: a block a pipeline\n", plot->axes->x_label, plot->axes->y_label);
    for (size_t p = 0; points && p < n_panels; p++) {
        if (panels[p].run_id)
            fprintf(out, "# == %s\n", panels[p].run_id);
        for (size_t s = 0; s < n_found + plot->axes->bounds; s++) {
            const char *spec = s < n_found ? found[s].spec : NULL;
            size_t n = collect(report, plot, &panels[p], spec, points);
            fprintf(out, "# %s\n", spec ? spec : "bound");
            for (size_t i = 0; i < n; i++)
                fprintf(out, "%.6g %.6g\n", points[i].x, points[i].y);
            /* A block without a line would not count. */
            fputs(n ? "\n\n" : "- -\n\n\n", out);
        }
    }
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

static void put_style(size_t s, const struct series *series, bool with_lines, FILE *out)
{
    fprintf(out, "with %s pointtype %d pointsize 1 linewidth 1.2 dashtype %d linecolor rgb '%s' title ",
            with_lines ? "linespoints" : "points", mth_plot_mark(s), mth_plot_dash(s), mth_plot_colour(s));
    put_series_title(series->spec, out);
    fputs(" noenhanced", out);
}

/* One plot command: the series of a panel, whose first block is number `block`. */
static void put_plot(const struct mth_report *report, const struct mth_report_plot *plot,
                     const struct series *found, size_t n_found, size_t block, bool with_lines, FILE *out)
{
    const char *comma = "";
    fputs("plot", out);
    if (plot->axes->bounds) { /* behind the others */
        fprintf(out,
                " \\\n  data index %zu using 1:2 with %s linewidth 3 linecolor rgb '#aaaaaa' title 'bound'",
                block + n_found, with_lines ? "lines" : "points pointtype 5");
        comma = ",";
    }
    for (size_t s = 0; s < n_found; s++, comma = ",") {
        fprintf(out, "%s \\\n  data index %zu using ($1*%.4g):2 ", comma, block + s,
                plot->axes->aside ? pow(1.05, (double)s - (double)(n_found - 1) / 2) : 1);
        put_style(s, &found[s], with_lines, out);
    }
    if (plot->axes->linear)
        fprintf(out, ", \\\n  %.6g * x with lines linewidth 2 linecolor rgb '#aaaaaa' title 'first, no loss'",
                n_found ? first_rate(report, plot, found[0].spec) : 0);
    fputc('\n', out);
}

/* The same axes in every panel, so that runs can be compared. */
static void put_ranges(const struct mth_report *report, const struct mth_report_plot *plot,
                       const struct panel *panels, size_t n_panels, FILE *out)
{
    struct point lo = {INFINITY, INFINITY}, hi = {0, 0};
    for (size_t i = 0; i < report->n_cells; i++) {
        const struct mth_report_cell *cell = &report->cells[i];
        double x, y;
        bool is_shown = false;
        for (size_t p = 0; p < n_panels && !is_shown; p++)
            is_shown = is_in(report, &panels[p], cell);
        if (!is_shown || !is_point(report, plot, cell, &x, &y))
            continue;
        double top = plot->axes->bounds ? fmax(y, report->groups[cell->group].bound_ratio) : y;
        lo = (struct point){fmin(lo.x, x), fmin(lo.y, y)};
        hi = (struct point){fmax(hi.x, x), fmax(hi.y, isfinite(top) ? top : y)};
    }
    fprintf(out, "set xrange [%.6g:%.6g]\nset yrange [%.6g:%.6g]\n", lo.x / 1.3, hi.x * 1.3, lo.y / 1.2,
            hi.y * 1.2);
}

static void put_panels(const struct mth_report *report, const struct mth_report_plot *plot,
                       const struct series *found, size_t n_found, const struct panel *panels,
                       size_t n_panels, FILE *out)
{
    put_ranges(report, plot, panels, n_panels, out);
    fprintf(out, "set key off\nset multiplot layout 2,%zu margins 0.07,0.99,0.1,0.94 spacing 0.075,0.17\n",
            (n_panels + 2) / 2);
    for (size_t p = 0; p < n_panels; p++) {
        fputs("set title ", out);
        mth_plot_quoted(panels[p].run_id ? panels[p].run_id : "all runs", out);
        fputs(" noenhanced offset 0,-0.6\n", out);
        put_plot(report, plot, found, n_found, p * (n_found + plot->axes->bounds), panels[p].run_id, out);
    }
    fputs("unset title\nunset xlabel\nunset ylabel\nunset border\nunset tics\nunset grid\nunset logscale\n"
          "set xrange [0:1]\nset yrange [0:1]\nset key on center center vertical maxcols 1 Left reverse "
          "samplen 3\nplot",
          out);
    for (size_t s = 0; s < n_found; s++) {
        fprintf(out, "%s \\\n  NaN ", s ? "," : "");
        put_style(s, &found[s], panels[0].run_id, out);
    }
    if (plot->axes->bounds)
        fputs(", \\\n  NaN with lines linewidth 3 linecolor rgb '#aaaaaa' title 'bound'", out);
    fputs("\nunset multiplot\n", out);
}

static void put_series_script(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    struct series found[MAX_SERIES];
    struct panel panels[MAX_PANELS];
    size_t n_found = find_series(report, plot, found), n_panels = find_panels(report, plot, panels);
    fputs(MTH_PLOT_PAPER, out);
    fprintf(out, "set datafile missing '-'\nset xlabel '%s'\nset ylabel '%s'\n%s\n", plot->axes->x_label,
            plot->axes->y_label, plot->axes->settings);
    if (plot->axes->panels) {
        put_panels(report, plot, found, n_found, panels, n_panels, out);
        return;
    }
    fputs("set autoscale fix\nset offsets graph 0.05, graph 0.05, graph 0.05, graph 0.05\n"
          "set key bmargin center horizontal maxcols 2 Left reverse samplen 3 height 0.5\n",
          out);
    put_plot(report, plot, found, n_found, 0, plot->axes->lines, out);
}

/* ---- the figures ---- */

#define SERIES(file, text, axes_of, columns, tall)                                                     \
    {                                                                                                  \
        .name = file, .caption = text, .width = (columns)*MTH_PLOT_COLUMN, .height = tall,             \
        .has = has_series, .put_data = put_series, .put_script = put_series_script, .axes = &(axes_of) \
    }

static const struct mth_series_axes changed_axes = {.x_label = "elements changed, %",
                                                    .y_label = "ratio",
                                                    .settings = "set logscale xy\n" MTH_PLOT_LOG_TICS,
                                                    .lines = true,
                                                    .bounds = true,
                                                    .point = ratio_changed};
static const struct mth_series_axes steps_axes = {.x_label = "training steps between the two",
                                                  .y_label = "ratio",
                                                  .settings =
                                                      "set logscale xy\n"
                                                      "set ytics add (0.2, 0.5, 2, 5, 20, 50, 200, 500)\n",
                                                  .lines = true,
                                                  .bounds = true,
                                                  .panels = true,
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
    changed_axes, 1, 520);
const struct mth_report_plot mth_plot_ratio_steps = SERIES(
    "ratio_steps", "Ratio of checkpoints against their bases over the training steps between, a panel a run.",
    steps_axes, 2, 760);
const struct mth_report_plot mth_plot_memory =
    SERIES("memory",
           "Peak heap beyond the caller's buffers, of the hungrier phase, over the size of the checkpoint; "
           "one thread.",
           memory_axes, 1, 480);
const struct mth_report_plot mth_plot_resident =
    SERIES("resident",
           "Peak resident memory beyond the caller's buffers, of the hungrier phase, each phase in a process "
           "of its own; one "
           "thread.",
           resident_axes, 1, 480);
const struct mth_report_plot mth_plot_threads = SERIES(
    "threads", "Throughput of the slower phase over the number of threads; grey: as if threads cost nothing.",
    threads_axes, 1, 480);
