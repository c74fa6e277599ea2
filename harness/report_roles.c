/*
 * The figure of roles: a bar a pipeline and dataset, as high as its container in percent of the checkpoint, made of what each role takes
 * (weights, the states of an optimizer, headers, framing).
 */
#include "harness/report_plot.h"

#include <stdio.h>
#include <string.h>

/* In the order in which they are stacked; what has another name is "other". */
static const char *const roles[] = {"weight", "adam_m", "adam_v", "step", "other", "header", "framing"};
enum { N_ROLES = sizeof roles / sizeof roles[0], MAX_BARS = 24 };

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_bar(const struct mth_report_part *a, const struct mth_report_part *b)
{
    return same(a->env_id, b->env_id) && same(a->dataset, b->dataset) && same(a->base, b->base) &&
           same(a->spec, b->spec) && a->threads == b->threads;
}

static size_t role_of(const struct mth_report_part *part)
{
    for (size_t i = 0; i < N_ROLES; i++) {
        if (strcmp(roles[i], part->part) == 0)
            return i;
    }
    return 4; /* other */
}

static bool has_parts(const struct mth_report *report, const struct mth_report_plot *plot)
{
    (void)plot;
    return report->n_parts > 0;
}

/* Is it the first part of its bar? */
static bool begins_bar(const struct mth_report *report, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (same_bar(&report->parts[i], &report->parts[index]))
            return false;
    }
    return true;
}

/* A line a bar: its name, then percent of the checkpoint by role. */
static void put_bar(const struct mth_report *report, const struct mth_report_part *first, FILE *out)
{
    double stored[N_ROLES] = {0}, raw = 0;
    char name[128];
    for (size_t i = 0; i < report->n_parts; i++) {
        const struct mth_report_part *part = &report->parts[i];
        if (!same_bar(part, first))
            continue;
        raw += (double)part->raw_bytes;
        stored[role_of(part)] += (double)part->stored_bytes;
    }
    snprintf(name, sizeof name, "%.40s, %.24s%s", first->dataset, first->spec,
             first->base ? ", against a base" : "");
    mth_plot_quoted(name, out);
    for (size_t r = 0; r < N_ROLES; r++)
        fprintf(out, " %.6g", raw > 0 ? 100 * stored[r] / raw : 0);
    fputc('\n', out);
}

static void put_data(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    size_t n_bars = 0;
    (void)plot;
    fputs("# bar, then percent of the checkpoint:", out);
    for (size_t r = 0; r < N_ROLES; r++)
        fprintf(out, " %s", roles[r]);
    fputc('\n', out);
    for (size_t i = 0; i < report->n_parts && n_bars < MAX_BARS; i++) {
        if (!begins_bar(report, i))
            continue;
        put_bar(report, &report->parts[i], out);
        n_bars++;
    }
}

/* Patterns tell the roles apart in grey; weights are solid. */
static const int patterns[N_ROLES] = {3, 1, 2, 6, 4, 5, 7};

static void put_script(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    (void)report, (void)plot;
    fputs("set style data histograms\nset style histogram rowstacked\nset boxwidth 0.7\nset border 3\nset "
          "tics nomirror\n"
          "set grid ytics linetype 1 linewidth 0.5 linecolor rgb '#cccccc'\nset yrange [0:*]\n"
          "set ylabel 'stored, percent of the checkpoint'\nset xtics rotate by -30 noenhanced\n"
          "set key outside top center horizontal samplen 2 noenhanced\nplot",
          out);
    for (size_t r = 0; r < N_ROLES; r++) {
        fprintf(out,
                "%s \\\n  data using %zu%s fillstyle pattern %d border rgb '#333333' linecolor rgb '%s' "
                "title '%s'",
                r ? "," : "", r + 2, r ? "" : ":xtic(1)", patterns[r], mth_plot_colours[r], roles[r]);
    }
    fputc('\n', out);
}

const struct mth_report_plot mth_plot_roles = {
    .name = "roles",
    .caption = "What each role takes in the container, in percent of the checkpoint.",
    .width = 720,
    .height = 520,
    .has = has_parts,
    .put_data = put_data,
    .put_script = put_script,
};
