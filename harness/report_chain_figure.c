/*
 * The figure of chains: bytes written, bytes kept at most, and seconds to restore the worst step and the mean one, over the
 * distance between full checkpoints.
 *
 * Each run and pipeline has a colour and a mark, as many as can be told apart: those with most points; the tables have all. Solid
 * lines are full:every=K, dotted ones one-shot:every=K; a policy that never has a second full one stands at K = the number of
 * steps. A dashed line across is the intermittent policy, which picks its own distances.
 */
#include "harness/report_plot.h"

#include "harness/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum series { FULL, ONE_SHOT, INTERMITTENT, N_SERIES };

struct panel {
    const char *title;
    const char *unit;
    double (*value)(const struct mth_report_chain *chain);
};

static double written(const struct mth_report_chain *chain)
{
    return 100 * (double)chain->written_bytes / (double)chain->raw_bytes;
}

static double kept(const struct mth_report_chain *chain)
{
    return 100 * (double)chain->kept_peak_bytes * (double)chain->n_steps / (double)chain->raw_bytes;
}

static double worst_seconds(const struct mth_report_chain *chain)
{
    return chain->worst.restore_ns * 1e-9;
}

static double mean_seconds(const struct mth_report_chain *chain)
{
    return chain->mean.restore_ns * 1e-9;
}

static const struct panel panels[] = {
    {"bytes written", "% of the run", written},
    {"bytes kept at most", "% of one checkpoint", kept},
    {"restoring the worst step", "seconds", worst_seconds},
    {"restoring a step, mean", "seconds", mean_seconds},
};
enum { N_PANELS = sizeof panels / sizeof panels[0] };

/* The series of a policy, and its K; N_SERIES for what is not drawn. */
static enum series series_of(const struct mth_report_chain *chain, double *k)
{
    static const char full[] = "full:every=", one_shot[] = "one-shot:every=";
    if (!chain->verified || chain->raw_bytes <= 0 || chain->n_steps <= 0)
        return N_SERIES;
    *k = (double)chain->n_steps;
    if (strcmp(chain->policy, "intermittent") == 0)
        return INTERMITTENT;
    if (strcmp(chain->policy, "consecutive") == 0)
        return FULL;
    if (strcmp(chain->policy, "one-shot") == 0)
        return ONE_SHOT;
    if (strncmp(chain->policy, full, sizeof full - 1) == 0)
        *k = strtod(chain->policy + sizeof full - 1, NULL);
    else if (strncmp(chain->policy, one_shot, sizeof one_shot - 1) == 0)
        *k = strtod(chain->policy + sizeof one_shot - 1, NULL);
    else
        *k = 1;
    return strncmp(chain->policy, one_shot, sizeof one_shot - 1) == 0 ? ONE_SHOT : FULL;
}

static bool is_of_group(const struct mth_report_chain *chain, const struct mth_report_chain *first)
{
    return mth_text_same(chain->env_id, first->env_id) && strcmp(chain->dataset, first->dataset) == 0 &&
           strcmp(chain->spec, first->spec) == 0 && chain->threads == first->threads;
}

enum { MAX_LINES = MTH_PLOT_COLOURS };

/* The chains of its run and pipeline that have a place; 0 where an earlier one stands for them. */
static size_t count_of_first(const struct mth_report *report, size_t index)
{
    size_t n = 0;
    double k;
    for (size_t i = 0; i < report->n_chains; i++) {
        if (series_of(&report->chains[i], &k) == N_SERIES ||
            !is_of_group(&report->chains[index], &report->chains[i]))
            continue;
        if (n == 0 && i != index)
            return 0;
        n++;
    }
    return n;
}

/* The first chains of the runs and pipelines that are drawn, in the order of the rows. */
static size_t choose(const struct mth_report *report, size_t first[MAX_LINES])
{
    size_t n_groups = 0, n = 0, most = 0;
    for (size_t i = 0; i < report->n_chains; i++) {
        size_t count = count_of_first(report, i);
        n_groups += count > 0;
        most = count > most ? count : most;
    }
    /* The fewest points that a group must have for all of those to be drawn. */
    size_t least = 1;
    for (size_t n_kept = n_groups; n_kept > MAX_LINES && least < most; least++) {
        n_kept = 0;
        for (size_t i = 0; i < report->n_chains; i++)
            n_kept += count_of_first(report, i) > least;
    }
    for (size_t i = 0; i < report->n_chains && n < MAX_LINES; i++) {
        if (count_of_first(report, i) >= least)
            first[n++] = i;
    }
    return n;
}

struct point {
    double k;
    const struct mth_report_chain *chain;
};

static int by_k(const void *a, const void *b)
{
    double x = ((const struct point *)a)->k, y = ((const struct point *)b)->k;
    return (x > y) - (x < y);
}

static void put_point(double k, const struct mth_report_chain *chain, FILE *out)
{
    fprintf(out, "%.6g", k);
    for (size_t i = 0; i < N_PANELS; i++)
        fprintf(out, " %.6g", panels[i].value(chain));
    fputc(' ', out);
    mth_plot_quoted(chain->policy, out);
    fputc('\n', out);
}

/* One block, by K. full alone (K = 1) is the first point of one-shot too. A line across for the intermittent policy. */
static void put_series(const struct mth_report *report, const struct mth_report_chain *first,
                       enum series series, FILE *out)
{
    struct point *points = calloc(report->n_chains, sizeof *points);
    size_t n = 0;
    for (size_t i = 0; points && i < report->n_chains; i++) {
        const struct mth_report_chain *chain = &report->chains[i];
        double k = 0;
        enum series own = is_of_group(chain, first) ? series_of(chain, &k) : N_SERIES;
        if (own == series || (series == ONE_SHOT && own == FULL && k == 1))
            points[n++] = (struct point){k < (double)chain->n_steps ? k : (double)chain->n_steps, chain};
    }
    if (n > 1)
        qsort(points, n, sizeof *points, by_k);
    for (size_t i = 0; i < n; i++) {
        if (series == INTERMITTENT)
            put_point(1, points[i].chain, out);
        put_point(points[i].k, points[i].chain, out);
    }
    /* gnuplot skips an index of its data that is empty, and all behind it would move up. */
    if (n == 0)
        fputs("NaN NaN NaN NaN NaN \"\"\n", out);
    fputs("\n\n", out);
    free(points);
}

static void put_data(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    size_t first[MAX_LINES], n_lines = choose(report, first);
    (void)plot;
    fputs("# K", out);
    for (size_t i = 0; i < N_PANELS; i++)
        fprintf(out, "; %s, %s", panels[i].title, panels[i].unit);
    fputs("; policy\n", out);
    for (size_t i = 0; i < n_lines; i++) {
        const struct mth_report_chain *chain = &report->chains[first[i]];
        fprintf(out, "# %s, %s, %" PRId64 " threads: full, one-shot, intermittent\n", chain->dataset,
                chain->spec, chain->threads);
        for (enum series s = 0; s < N_SERIES; s++)
            put_series(report, chain, s, out);
    }
}

/* The end of a run's name, and all of a spec: that of a lossy one has its error in it. */
static void put_title(const struct mth_report_chain *chain, FILE *out)
{
    char title[256];
    size_t n = strlen(chain->dataset), skip = n > 30 ? n - 30 : 0;
    snprintf(title, sizeof title, "%s%.34s, %.180s", skip ? ".." : "", chain->dataset + skip, chain->spec);
    fputs(" title ", out);
    mth_plot_quoted(title, out);
}

/* The lines of one panel. Circles stand for a run and pipeline in the key, and that in the first panel alone. */
static void put_panel(const struct mth_report *report, size_t panel, FILE *out)
{
    static const char *const styles[N_SERIES] = {
        "linespoints dashtype 1 pointsize 1.1 linewidth 1.5 pointtype",
        "linespoints dashtype 3 pointsize 1.1 linewidth 1.5 pointtype",
        "lines dashtype 2 linewidth 1.5 linetype",
    };
    size_t first[MAX_LINES], n_lines = choose(report, first);
    fprintf(
        out, "set title '%s'\nset ylabel '%s'\nset key %s\nplot", panels[panel].title, panels[panel].unit,
        panel == 0
            ? "at screen 0.02,screen 0.01 bottom left vertical maxcols 1 Left reverse samplen 3 font small"
            : "off");
    for (size_t i = 0; i < n_lines; i++) {
        for (enum series s = 0; s < N_SERIES; s++) {
            fprintf(out, "%s \\\n  data index %zu using 1:%zu with %s %d linecolor rgb '%s'",
                    i || s ? "," : "", N_SERIES * i + s, panel + 2, styles[s], mth_plot_mark(i),
                    mth_plot_colour(i));
            if (s == FULL)
                put_title(&report->chains[first[i]], out);
            else
                fputs(" notitle", out);
        }
    }
    fputs(n_lines ? "\n" : " NaN notitle\n", out);
}

static void put_script(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    size_t first[MAX_LINES], n_lines = choose(report, first);
    (void)plot;
    /* The key stands below, a line a run and pipeline: each takes about a fortieth of the height. */
    double bottom = 0.09 + 0.0225 * (double)n_lines;
    fputs(MTH_PLOT_PAPER, out);
    fprintf(out,
            "set multiplot layout 2,2 margins 0.09,0.985,%.3f,0.90 spacing 0.11,0.13 title 'solid: "
            "full:every=K; dotted: one-shot:every=K; dashed: intermittent'\nset logscale x 2\n"
            "set xlabel 'K: steps from one full checkpoint to the next'\n"
            "set offsets graph 0.03,graph 0.03,graph 0.12,0\nset yrange [0:*]\nset key noenhanced\n"
            "set title noenhanced offset 0,-0.5\n",
            bottom);
    for (size_t i = 0; i < N_PANELS; i++)
        put_panel(report, i, out);
    fputs("unset multiplot\n", out);
}

static bool has_chains(const struct mth_report *report, const struct mth_report_plot *plot)
{
    (void)plot;
    return report->n_chains > 0;
}

const struct mth_report_plot mth_plot_chains = {
    .name = "chains",
    .caption = "Chains: bytes and restore time over the distance between full checkpoints, for each policy.",
    .width = 2 * MTH_PLOT_COLUMN,
    .height = 1040,
    .has = has_chains,
    .put_data = put_data,
    .put_script = put_script,
};
