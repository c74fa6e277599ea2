/*
 * The figure of roles: a bar a pipeline and dataset, as long as its container in percent of the checkpoint, made of what each role takes
 * (weights, the states of an optimizer, headers, framing). Bars lie, so that their names can be read.
 */
#include "harness/report_plot.h"

#include "harness/text.h"

#include <stdio.h>
#include <string.h>

/* In the order in which they are stacked; what has another name is "other". */
static const char *const roles[] = {"weight", "adam_m", "adam_v", "step", "other", "header", "framing"};
enum { N_ROLES = sizeof roles / sizeof roles[0], MAX_BARS = 14, NAME_BYTES = 30 };

static bool same_bar(const struct mth_report_part *a, const struct mth_report_part *b)
{
    return mth_text_same(a->env_id, b->env_id) && mth_text_same(a->dataset, b->dataset) &&
           mth_text_same(a->base, b->base) && mth_text_same(a->older, b->older) &&
           mth_text_same(a->spec, b->spec) && a->threads == b->threads;
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

/* A bar: where it begins in the parts, and percent of the checkpoint by role. */
struct bar {
    size_t first;
    double stored[N_ROLES];
};

static struct bar measure(const struct mth_report *report, size_t first)
{
    struct bar bar = {.first = first};
    double raw = 0;
    for (size_t i = 0; i < report->n_parts; i++) {
        const struct mth_report_part *part = &report->parts[i];
        if (!same_bar(part, &report->parts[first]))
            continue;
        raw += (double)part->raw_bytes;
        bar.stored[role_of(part)] += (double)part->stored_bytes;
    }
    for (size_t r = 0; r < N_ROLES; r++)
        bar.stored[r] = raw > 0 ? 100 * bar.stored[r] / raw : 0;
    return bar;
}

/* Do several tensors' roles take more than a thousandth of the container? */
static bool is_mixed(const struct bar *bar)
{
    double all = 0;
    size_t n = 0;
    for (size_t r = 0; r < N_ROLES; r++)
        all += bar->stored[r];
    for (size_t r = 0; r < 5; r++)
        n += bar->stored[r] > all / 1000;
    return n > 1;
}

/* Is it the first part of its bar, and no later one of the same on more threads? */
static bool begins_bar(const struct mth_report *report, size_t index)
{
    const struct mth_report_part *part = &report->parts[index];
    for (size_t i = 0; i < report->n_parts; i++) {
        const struct mth_report_part *other = &report->parts[i];
        if (i < index && same_bar(other, part))
            return false;
        if (mth_text_same(other->env_id, part->env_id) && mth_text_same(other->dataset, part->dataset) &&
            mth_text_same(other->base, part->base) && mth_text_same(other->older, part->older) &&
            mth_text_same(other->spec, part->spec) && other->threads < part->threads)
            return false;
    }
    return true;
}

/* Those of several roles where there are any: weights alone are one box each. */
static size_t choose(const struct mth_report *report, struct bar bars[MAX_BARS])
{
    size_t n = 0;
    for (int mixed = 1; mixed >= 0 && n == 0; mixed--) {
        for (size_t i = 0; i < report->n_parts && n < MAX_BARS; i++) {
            if (!begins_bar(report, i))
                continue;
            struct bar bar = measure(report, i);
            if (!mixed || is_mixed(&bar))
                bars[n++] = bar;
        }
    }
    return n;
}

/* "..h/dataset, pipeline", cut in front, where names begin alike. */
static void put_name(const struct mth_report_part *part, FILE *out)
{
    enum { CUT = 2, WHOLE_BYTES = 256 };
    char name[WHOLE_BYTES];
    snprintf(name, sizeof name, "%.120s, %.120s", part->dataset, part->spec);
    size_t n = strlen(name), skip = n > NAME_BYTES ? n - NAME_BYTES : 0;
    for (size_t i = 0; skip && i < CUT; i++)
        name[skip + i] = '.';
    mth_plot_quoted(name + skip, out);
}

static void put_data(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    struct bar bars[MAX_BARS];
    size_t n_bars = choose(report, bars);
    (void)plot;
    fputs("# bar, its place, then percent of the checkpoint:", out);
    for (size_t r = 0; r < N_ROLES; r++)
        fprintf(out, " %s", roles[r]);
    fputc('\n', out);
    for (size_t i = 0; i < n_bars; i++) {
        put_name(&report->parts[bars[i].first], out);
        fprintf(out, " %zu", i + 1);
        for (size_t r = 0; r < N_ROLES; r++)
            fprintf(out, " %.6g", bars[i].stored[r]);
        fputc('\n', out);
    }
}

/* Patterns tell the roles apart in grey; weights are solid. */
static const char *const patterns[N_ROLES] = {"solid",     "pattern 1", "pattern 2", "pattern 6",
                                              "pattern 4", "pattern 5", "pattern 7"};

static void put_script(const struct mth_report *report, const struct mth_report_plot *plot, FILE *out)
{
    struct bar bars[MAX_BARS];
    bool used[N_ROLES] = {false};
    size_t n_bars = choose(report, bars), n = 0;
    (void)plot;
    for (size_t i = 0; i < n_bars; i++) {
        for (size_t r = 0; r < N_ROLES; r++)
            used[r] |= bars[i].stored[r] > 0.4; /* less can not be seen */
    }
    fputs(MTH_PLOT_PAPER, out);
    fprintf(
        out,
        "set xrange [0:100]\nset xtics 20\nset yrange [%zu.5:0.5]\nset grid noytics\nset xlabel 'stored, %% "
        "of the "
        "checkpoint'\n"
        "set ytics noenhanced font small scale 0\nset key bmargin center horizontal maxcols 2 Left reverse "
        "samplen 2 height 0.5 noenhanced\nset style fill border rgb '#333333'\nset "
        "lmargin at screen 0.47\nplot",
        n_bars);
    for (size_t r = 0; r < N_ROLES; r++) {
        if (!used[r])
            continue;
        fprintf(out, "%s \\\n  data using (0", n ? "," : "");
        for (size_t k = 0; k < r; k++)
            fprintf(out, "+$%zu", k + 3);
        fputs("):2:(0", out);
        for (size_t k = 0; k < r; k++)
            fprintf(out, "+$%zu", k + 3);
        fputs("):(0", out);
        for (size_t k = 0; k <= r; k++)
            fprintf(out, "+$%zu", k + 3);
        fprintf(out,
                "):($2-0.36):($2+0.36):ytic(1) with boxxyerror fillstyle %s border rgb '#333333' "
                "linewidth 0.7 linecolor rgb '%s' title '%s  '",
                patterns[r], mth_plot_colour(r), roles[r]);
        n++;
    }
    fputs(n ? "\n" : " NaN title 'nothing is stored'\n", out);
}

const struct mth_report_plot mth_plot_roles = {
    .name = "roles",
    .caption = "What each role takes in the container, in percent of the checkpoint.",
    .width = MTH_PLOT_COLUMN,
    .height = 620,
    .has = has_parts,
    .put_data = put_data,
    .put_script = put_script,
};
