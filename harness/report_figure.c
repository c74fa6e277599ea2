/*
 * The figure: ratio against throughput, drawn by gnuplot from a script and data of ours, which stay beside it.
 *
 * Each dataset has a colour. An open triangle is a pipeline compressing, a filled circle the same one decompressing; a
 * dashed line is the dataset's bound, the grey band memcpy beside each of them, the shaded corner the targets.
 */
#include "harness/report_plot.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define TARGET_RATIO "10"
#define TARGET_GIB_S "2.5"

enum { N_COLOURS = MTH_PLOT_COLOURS };

static bool is_drawn(const struct mth_report_cell *cell)
{
    return cell->verified && cell->gib_s > 0 && cell->ratio > 0;
}

static bool has_points(const struct mth_report *report, size_t group)
{
    for (size_t i = 0; i < report->n_cells; i++) {
        if (report->cells[i].group == group && is_drawn(&report->cells[i]))
            return true;
    }
    return false;
}

/* Of a pipeline in both phases, how near it comes to the targets together; -1 when it is not drawn. */
static double nearness(const struct mth_report *report, const struct mth_report_cell *cell)
{
    const struct mth_report_cell *other = mth_report_other_phase(report, cell);
    if (!is_drawn(cell) || !other || !is_drawn(other))
        return -1;
    double speed = cell->gib_s < other->gib_s ? cell->gib_s : other->gib_s;
    double ratio = cell->ratio / 10;
    return speed / 2.5 < ratio ? speed / 2.5 : ratio;
}

/* The pipelines worth a name: the best ratio of a group, and the one nearest to both targets when it is near. */
static bool is_named(const struct mth_report *report, const struct mth_report_cell *cell)
{
    bool best_ratio = true, nearest = true;
    for (size_t i = 0; i < report->n_cells; i++) {
        const struct mth_report_cell *other = &report->cells[i];
        if (other == cell || other->group != cell->group || !mth_report_is_compress(other) ||
            !is_drawn(other))
            continue;
        best_ratio &= other->ratio < cell->ratio || (other->ratio == cell->ratio && other > cell);
        nearest &= nearness(report, other) < nearness(report, cell);
    }
    return best_ratio || (nearest && nearness(report, cell) > 0.5);
}

static void put_points(const struct mth_report *report, size_t group, bool compress, bool named, FILE *out)
{
    size_t n = 0;
    for (size_t i = 0; i < report->n_cells; i++) {
        const struct mth_report_cell *cell = &report->cells[i];
        if (cell->group != group || mth_report_is_compress(cell) != compress || !is_drawn(cell))
            continue;
        if (named && !is_named(report, cell))
            continue;
        fprintf(out, "%.6g %.6g %.6g %.6g ", cell->gib_s, cell->ratio, cell->gib_s_lo, cell->gib_s_hi);
        mth_plot_quoted(cell->spec, out);
        fputc('\n', out);
        n++;
    }
    /* gnuplot skips an index of its data that is empty, and all behind it would move up. */
    if (n == 0)
        fputs("NaN NaN NaN NaN \"\"\n", out);
    fputs("\n\n", out);
}

/* Three blocks a group: compress, decompress, names. */
static void put_data(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    (void)plot;
    fputs("# GiB/s, ratio, slower and faster edge of the 95 % interval, pipeline\n", out);
    for (size_t g = 0; g < report->n_groups; g++) {
        if (!has_points(report, g))
            continue;
        fprintf(out, "# %s, %" PRId64 " threads: compress, decompress, names\n", report->groups[g].dataset,
                report->groups[g].threads);
        put_points(report, g, true, false, out);
        put_points(report, g, false, false, out);
        put_points(report, g, true, true, out);
    }
}

struct range {
    double x_lo, x_hi, y_lo, y_hi;
};

static struct range find_range(const struct mth_report *report)
{
    struct range range = {.x_lo = 1, .x_hi = 4, .y_lo = 0.95, .y_hi = 13};
    for (size_t i = 0; i < report->n_cells; i++) {
        const struct mth_report_cell *cell = &report->cells[i];
        if (!is_drawn(cell))
            continue;
        range.x_lo = fmin(range.x_lo, cell->gib_s_lo);
        range.x_hi = fmax(range.x_hi, cell->gib_s_hi);
        range.y_lo = fmin(range.y_lo, cell->ratio);
        range.y_hi = fmax(range.y_hi, cell->ratio);
    }
    for (size_t g = 0; g < report->n_groups; g++) {
        range.x_hi = fmax(range.x_hi, report->groups[g].memcpy_gib_s);
        if (report->groups[g].bound_ratio > 0)
            range.y_hi = fmax(range.y_hi, report->groups[g].bound_ratio);
    }
    return (struct range){range.x_lo / 1.4, range.x_hi * 1.4, range.y_lo / 1.1, range.y_hi * 1.35};
}

static void put_title(const struct mth_report *report, const struct mth_report_group *group, FILE *out)
{
    char title[160], threads[40] = "", scope[40] = "alone";
    bool many = false;
    for (size_t i = 0; i < report->n_groups; i++)
        many |= report->groups[i].threads != report->groups[0].threads;
    if (many)
        snprintf(threads, sizeof threads, ", %" PRId64 " threads", group->threads);
    if (group->base && group->steps_apart > 0)
        snprintf(scope, sizeof scope, "%" PRId64 " step%s apart", group->steps_apart,
                 group->steps_apart == 1 ? "" : "s");
    else if (group->base)
        snprintf(scope, sizeof scope, "a pair");
    snprintf(title, sizeof title, "%.50s (%.20s), %s%s", group->dataset,
             group->class_name ? group->class_name : "-", scope, threads);
    mth_plot_quoted(title, out);
}

static void put_lines(const struct mth_report *report, const struct range *range, FILE *out)
{
    double slowest = INFINITY, fastest = 0;
    size_t n = 0;
    for (size_t g = 0; g < report->n_groups; g++) {
        const struct mth_report_group *group = &report->groups[g];
        if (!has_points(report, g))
            continue;
        if (group->bound_ratio > 0)
            fprintf(out,
                    "set arrow from %.6g,%.6g to %.6g,%.6g nohead dashtype 2 linewidth 1 linecolor rgb '%s' "
                    "back\n",
                    range->x_lo, group->bound_ratio, range->x_hi, group->bound_ratio,
                    mth_plot_colours[n % N_COLOURS]);
        if (group->memcpy_gib_s > 0) {
            slowest = fmin(slowest, group->memcpy_gib_s);
            fastest = fmax(fastest, group->memcpy_gib_s);
        }
        n++;
    }
    /* It was measured beside each dataset: a band, or a line where there is but one. */
    if (fastest > 0)
        fprintf(
            out,
            "set object 2 rectangle from %.6g,graph 0 to %.6g,graph 1 fillcolor rgb '#888888' fillstyle "
            "solid 0.13 "
            "noborder behind\n"
            "set arrow from %.6g,graph 0 to %.6g,graph 1 nohead linewidth 1.5 linecolor rgb '#999999' back\n"
            "set label 'memcpy' at %.6g,graph 0.45 right rotate by 90 offset 0.9,0 textcolor rgb '#555555'\n",
            slowest, fastest, fastest, fastest, fastest);
}

static void put_script(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    struct range range = find_range(report);
    size_t n = 0;
    (void)plot;
    fputs("set logscale xy\nset grid xtics ytics mxtics mytics linecolor rgb '#dddddd', linecolor rgb "
          "'#eeeeee'\n"
          "set xlabel 'throughput of the whole pipeline in memory, GiB/s'\n"
          "set ylabel 'ratio, original over compressed'\nset format x '%g'\nset format y '%g'\n"
          "set xtics add (0.05, 0.2, 0.5, 2.5, 5, 20, 50)\nset ytics add (1, 1.5, 2, 3, 5, 20, 30, 50, 200)\n"
          "set key bmargin center vertical maxrows 4 Left reverse samplen 1 font ',10' height 0.5\nset tics "
          "nomirror\nset border 3\n"
          "set title 'open: compress, filled: decompress; dashed: bound of the dataset; shaded: both "
          "targets'\n",
          out);
    fprintf(out, "set xrange [%.6g:%.6g]\nset yrange [%.6g:%.6g]\n", range.x_lo, range.x_hi, range.y_lo,
            range.y_hi);
    fputs("set object 3 rectangle from " TARGET_GIB_S "," TARGET_RATIO
          " to graph 1,graph 1 fillcolor rgb '#009E73' "
          "fillstyle solid 0.12 noborder behind\n"
          "set label '>= " TARGET_RATIO "x at >= " TARGET_GIB_S " GiB/s' at graph 0.99,graph 0.97 right "
          "textcolor rgb '#006a4d'\n",
          out);
    put_lines(report, &range, out);
    fputs("plot", out);
    for (size_t g = 0; g < report->n_groups; g++) {
        if (!has_points(report, g))
            continue;
        const char *colour = mth_plot_colours[n % N_COLOURS];
        fprintf(out,
                "%s \\\n  data index %zu using 1:2:3:4 with xerrorbars pointtype 8 pointsize 1.2 linewidth "
                "1.3 linecolor rgb "
                "'%s' notitle, \\\n  data index %zu using 1:2:3:4 with xerrorbars pointtype 7 pointsize 1.0 "
                "linewidth 1.3 "
                "linecolor rgb '%s' title ",
                n ? "," : "", 3 * n, colour, 3 * n + 1, colour);
        put_title(report, &report->groups[g], out);
        fprintf(out,
                ", \\\n  data index %zu using 1:2:5 with labels left offset 0.8,0.7 font ',9' noenhanced "
                "textcolor rgb '%s' "
                "notitle",
                3 * n + 2, colour);
        n++;
    }
    if (n == 0)
        fputs(" NaN title 'no verified cell'", out);
    fputc('\n', out);
}

static bool has_any(const struct mth_report *report, const struct mth_report_plot *plot)
{
    (void)report, (void)plot;
    return true; /* without points it says so */
}

const struct mth_report_plot mth_plot_ratio_throughput = {
    .name = "ratio_throughput",
    .caption = "Ratio against throughput, each pipeline on each dataset, with 95 % intervals; dashed: "
               "bounds; grey: memcpy; "
               "shaded: both targets.",
    .width = 1180,
    .height = 720,
    .has = has_any,
    .put_data = put_data,
    .put_script = put_script,
};
