/*
 * The figure: ratio against throughput, drawn by gnuplot from a script and data of ours, which stay beside it.
 *
 * Above pipelines compress, below they decompress. Each checkpoint has a mark, a colour and a dash. Its front joins the pipelines that no
 * other one beats in both ratio and speed, with the intervals of their speeds; small points are those that are beaten. A thin dashed
 * line is the checkpoint's bound, the grey band memcpy beside each of them, the shaded corner the targets.
 */
#include "harness/report_plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TARGET_RATIO "10"
#define TARGET_GIB_S "2.5"

/* More fronts than these can not be told apart in a column: half of them alone, half against a base. */
enum { MAX_DRAWN = 6 };

/* What saves less than a hundredth only moves bytes: it would end every front beside memcpy. */
static bool is_drawn(const struct mth_report_cell *cell)
{
    return cell->verified && !cell->lossy && cell->gib_s > 0 && cell->ratio > 1.01;
}

/* Does another pipeline on the same checkpoint come out smaller and no slower, or faster and no larger? */
static bool is_beaten(const struct mth_report *report, const struct mth_report_cell *cell)
{
    for (size_t i = 0; i < report->n_cells; i++) {
        const struct mth_report_cell *other = &report->cells[i];
        if (other->group == cell->group && is_drawn(other) &&
            mth_report_is_compress(other) == mth_report_is_compress(cell) && other->ratio >= cell->ratio &&
            other->gib_s >= cell->gib_s && (other->ratio > cell->ratio || other->gib_s > cell->gib_s))
            return true;
    }
    return false;
}

/* ---- which checkpoints ---- */

struct drawn {
    size_t group;
    double best_ratio; /* 0: nothing to draw */
};

static struct drawn weigh(const struct mth_report *report, size_t group)
{
    struct drawn drawn = {.group = group};
    for (size_t i = 0; i < report->n_cells; i++) {
        const struct mth_report_cell *cell = &report->cells[i];
        if (cell->group == group && is_drawn(cell))
            drawn.best_ratio = fmax(drawn.best_ratio, cell->ratio);
    }
    return drawn;
}

static bool is_synthetic(const struct mth_report_group *group)
{
    return group->class_name && strncmp(group->class_name, "synthetic", 9) == 0;
}

/* Real data before synthetic, large before small, compressible before not; then as in the rows. */
static bool comes_before(const struct mth_report *report, const struct drawn *a, const struct drawn *b)
{
    const struct mth_report_group *x = &report->groups[a->group], *y = &report->groups[b->group];
    if (is_synthetic(x) != is_synthetic(y))
        return is_synthetic(y);
    if (x->raw_bytes != y->raw_bytes)
        return x->raw_bytes > y->raw_bytes;
    return a->best_ratio != b->best_ratio ? a->best_ratio > b->best_ratio : a->group < b->group;
}

/* The first of a kind (against a base or not) that are not taken, put behind those that are. */
static size_t take(const struct mth_report *report, int64_t threads, bool pairs, size_t most,
                   struct drawn drawn[MAX_DRAWN], size_t n_drawn)
{
    for (size_t n_taken = 0; n_drawn < MAX_DRAWN && n_taken < most; n_taken++) {
        struct drawn best = {0};
        for (size_t g = 0; g < report->n_groups; g++) {
            struct drawn next = weigh(report, g);
            bool taken = next.best_ratio <= 0 || (report->groups[g].base != NULL) != pairs ||
                         report->groups[g].threads != threads;
            for (size_t i = 0; i < n_drawn; i++)
                taken |= drawn[i].group == g;
            if (!taken && (best.best_ratio <= 0 || comes_before(report, &next, &best)))
                best = next;
        }
        if (best.best_ratio <= 0)
            break;
        drawn[n_drawn++] = best;
    }
    return n_drawn;
}

/* On the fewest threads that anything was measured on: what more of them gain is another figure. */
static size_t choose(const struct mth_report *report, struct drawn drawn[MAX_DRAWN])
{
    int64_t threads = INT64_MAX;
    for (size_t i = 0; i < report->n_cells; i++) {
        if (is_drawn(&report->cells[i]) && report->groups[report->cells[i].group].threads < threads)
            threads = report->groups[report->cells[i].group].threads;
    }
    size_t n = take(report, threads, false, MAX_DRAWN / 2, drawn, 0);
    n = take(report, threads, true, MAX_DRAWN - n, drawn, n);
    return take(report, threads, false, MAX_DRAWN - n, drawn, n);
}

/* ---- data ---- */

static int by_speed(const void *a, const void *b)
{
    const struct mth_report_cell *const *x = a, *const *y = b;
    if ((*x)->gib_s != (*y)->gib_s)
        return (*x)->gib_s < (*y)->gib_s ? -1 : 1;
    return (*x > *y) - (*x < *y);
}

/* One block: the front of a checkpoint in a phase, from slow to fast, or what is beaten. */
static void put_points(const struct mth_report *report, size_t group, bool compress, bool beaten, FILE *out)
{
    const struct mth_report_cell **points = calloc(report->n_cells + 1, sizeof *points);
    size_t n = 0;
    for (size_t i = 0; points && i < report->n_cells; i++) {
        const struct mth_report_cell *cell = &report->cells[i];
        if (cell->group == group && mth_report_is_compress(cell) == compress && is_drawn(cell) &&
            is_beaten(report, cell) == beaten)
            points[n++] = cell;
    }
    if (n > 1)
        qsort(points, n, sizeof *points, by_speed);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "%.6g %.6g %.6g %.6g ", points[i]->gib_s, points[i]->ratio, points[i]->gib_s_lo,
                points[i]->gib_s_hi);
        mth_plot_quoted(points[i]->spec, out);
        fputc('\n', out);
    }
    /* gnuplot skips an index of its data that is empty, and all behind it would move up. */
    if (n == 0)
        fputs("NaN NaN NaN NaN \"\"\n", out);
    fputs("\n\n", out);
    free(points);
}

/* Four blocks a checkpoint: front and beaten compressing, the same decompressing. */
static void put_data(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    struct drawn drawn[MAX_DRAWN];
    size_t n_drawn = choose(report, drawn);
    (void)plot;
    fputs("# GiB/s, ratio, slower and faster edge of the 95 % interval, pipeline\n", out);
    for (size_t i = 0; i < n_drawn; i++) {
        const struct mth_report_group *group = &report->groups[drawn[i].group];
        fprintf(out, "# %s, %" PRId64 " threads: compress, front and beaten; decompress, the same\n",
                group->dataset, group->threads);
        for (size_t block = 0; block < 4; block++)
            put_points(report, drawn[i].group, block < 2, block % 2 == 1, out);
    }
}

/* ---- the script ---- */

struct range {
    double x_lo, x_hi, y_lo, y_hi;
};

static struct range find_range(const struct mth_report *report, const struct drawn *drawn, size_t n_drawn)
{
    struct range range = {.x_lo = 1, .x_hi = 4, .y_lo = 0.95, .y_hi = 13};
    for (size_t d = 0; d < n_drawn; d++) {
        const struct mth_report_group *group = &report->groups[drawn[d].group];
        range.x_hi = fmax(range.x_hi, group->memcpy_gib_s);
        range.y_hi = fmax(range.y_hi, group->bound_ratio);
        for (size_t i = 0; i < report->n_cells; i++) {
            const struct mth_report_cell *cell = &report->cells[i];
            if (cell->group != drawn[d].group || !is_drawn(cell))
                continue;
            range.x_lo = fmin(range.x_lo, cell->gib_s_lo);
            range.x_hi = fmax(range.x_hi, cell->gib_s_hi);
            range.y_lo = fmin(range.y_lo, cell->ratio);
            range.y_hi = fmax(range.y_hi, cell->ratio);
        }
    }
    return (struct range){range.x_lo / 1.4, range.x_hi * 1.4, range.y_lo / 1.15, range.y_hi * 1.5};
}

static void put_title(const struct mth_report_group *group, FILE *out)
{
    char title[96], scope[40] = "alone";
    if (group->base && group->steps_apart > 0)
        snprintf(scope, sizeof scope, "%" PRId64 " step%s apart", group->steps_apart,
                 group->steps_apart == 1 ? "" : "s");
    else if (group->base)
        snprintf(scope, sizeof scope, "a pair");
    if (group->older)
        snprintf(scope + strlen(scope), sizeof scope - strlen(scope), ", two bases");
    size_t n = strlen(group->dataset), most = 30;
    snprintf(title, sizeof title, "%s%.*s, %s", n > most ? ".." : "", (int)most,
             group->dataset + (n > most ? n - most : 0), scope);
    mth_plot_quoted(title, out);
}

/* Bounds, and memcpy: a band, because it was measured beside each checkpoint, and a line at its faster edge. */
static void put_lines(const struct mth_report *report, const struct drawn *drawn, size_t n_drawn,
                      const struct range *range, FILE *out)
{
    double slowest = INFINITY, fastest = 0;
    for (size_t d = 0; d < n_drawn; d++) {
        const struct mth_report_group *group = &report->groups[drawn[d].group];
        if (group->bound_ratio > 0)
            fprintf(
                out,
                "set arrow from %.6g,%.6g to %.6g,%.6g nohead dashtype 2 linewidth 0.7 linecolor rgb '%s' "
                "back\n",
                range->x_lo, group->bound_ratio, range->x_hi, group->bound_ratio, mth_plot_colour(d));
        if (group->memcpy_gib_s > 0) {
            slowest = fmin(slowest, group->memcpy_gib_s);
            fastest = fmax(fastest, group->memcpy_gib_s);
        }
    }
    if (fastest > 0)
        fprintf(
            out,
            "set object 2 rectangle from %.6g,graph 0 to %.6g,graph 1 fillcolor rgb '#888888' fillstyle "
            "solid 0.15 noborder behind\n"
            "set arrow from %.6g,graph 0 to %.6g,graph 1 nohead linewidth 1 linecolor rgb '#888888' back\n"
            "set label 8 'memcpy' at %.6g,graph 0.03 left rotate by 90 offset -0.5,0 font small textcolor "
            "rgb '#555555'\n",
            slowest, fastest, fastest, fastest, slowest);
}

static void put_panel(const struct mth_report *report, const struct drawn *drawn, size_t n_drawn,
                      bool compress, FILE *out)
{
    fprintf(out, "set ylabel 'ratio, %s' offset 0.5,0\n%splot", compress ? "compressing" : "decompressing",
            compress ? "set format x ''\nunset key\n"
                     : "set format x '%g'\nset xlabel 'throughput of the whole pipeline, GiB/s'\n"
                       "set key at screen 0.5,screen 0.002 bottom center vertical maxcols 1 Left reverse "
                       "samplen 4\n");
    for (size_t d = 0; d < n_drawn; d++) {
        size_t block = 4 * d + (compress ? 0 : 2);
        const char *colour = mth_plot_colour(d);
        int mark = mth_plot_mark(d);
        fprintf(out,
                "%s \\\n  data index %zu using 1:2 with points pointtype %d pointsize 0.5 linewidth 0.6 "
                "linecolor rgb '%s' notitle, \\\n  data index %zu using 1:2:3:4 with xerrorbars pointtype %d "
                "pointsize 0.9 linewidth 1 linecolor rgb '%s' notitle, \\\n  data index %zu using 1:2 with "
                "linespoints pointtype %d pointsize 0.9 dashtype %d linewidth 1.2 linecolor rgb '%s' title ",
                d ? "," : "", block + 1, mark, colour, block, mark, colour, block, mark, mth_plot_dash(d),
                colour);
        put_title(&report->groups[drawn[d].group], out);
        fputs(" noenhanced", out);
    }
    fputs(n_drawn ? "\n" : " NaN title 'no verified cell'\n", out);
}

static void put_script(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    struct drawn drawn[MAX_DRAWN];
    size_t n_drawn = choose(report, drawn);
    struct range range = find_range(report, drawn, n_drawn);
    (void)plot;
    fputs(MTH_PLOT_PAPER MTH_PLOT_LOG_TICS
          "set logscale xy\nset xtics (0.001, 0.01, 0.1, 0.3, 1, 2.5, 5, 10, 20, 50, 100, 200)\n"
          "set multiplot layout 2,1 margins 0.15,0.975,0.265,0.985 spacing 0.025\n",
          out);
    fprintf(out, "set xrange [%.6g:%.6g]\nset yrange [%.6g:%.6g]\n", range.x_lo, range.x_hi, range.y_lo,
            range.y_hi);
    fputs("set object 3 rectangle from " TARGET_GIB_S "," TARGET_RATIO
          " to graph 1,graph 1 fillcolor rgb '#009E73' fillstyle solid 0.12 border rgb '#005a40' linewidth "
          "0.7 behind\n"
          "set label 9 'target' at 2.6,11 left font small textcolor rgb '#005a40'\n",
          out);
    put_lines(report, drawn, n_drawn, &range, out);
    put_panel(report, drawn, n_drawn, true, out);
    put_panel(report, drawn, n_drawn, false, out);
    fputs("unset multiplot\n", out);
}

static bool has_any(const struct mth_report *report, const struct mth_report_plot *plot)
{
    (void)report, (void)plot;
    return true; /* without points it says so */
}

const struct mth_report_plot mth_plot_ratio_throughput = {
    .name = "ratio_throughput",
    .caption =
        "Ratio against throughput. Lines join the pipelines that no other one beats in both, with 95 % "
        "intervals; "
        "small points are beaten. Thin dashed lines: bounds; grey: memcpy; shaded: both targets. The largest "
        "checkpoints alone and the largest pairs are drawn, the tables have all.",
    .width = MTH_PLOT_COLUMN,
    .height = 960,
    .has = has_any,
    .put_data = put_data,
    .put_script = put_script,
};
