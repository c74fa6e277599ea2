/* Result rows as LaTeX tables, by the rules of booktabs: one table a dataset, to be included in a paper. */
#include "harness/report.h"

#include <inttypes.h>
#include <string.h>

/* Text in which every character of LaTeX's own is escaped. */
static void put_text(const char *text, FILE *out)
{
    static const struct {
        char c;
        const char *latex;
    } own[] = {{'\\', "\\textbackslash{}"},
               {'~', "\\textasciitilde{}"},
               {'^', "\\textasciicircum{}"},
               {'&', "\\&"},
               {'%', "\\%"},
               {'$', "\\$"},
               {'#', "\\#"},
               {'_', "\\_"},
               {'{', "\\{"},
               {'}', "\\}"},
               {'<', "\\textless{}"},
               {'>', "\\textgreater{}"},
               {'|', "\\textbar{}"},
               {'"', "\\textquotedbl{}"}};
    for (const char *p = text ? text : "--"; *p; p++) {
        size_t i = 0;
        while (i < sizeof own / sizeof own[0] && own[i].c != *p)
            i++;
        if (i < sizeof own / sizeof own[0])
            fputs(own[i].latex, out);
        else
            fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, out);
    }
}

static void put_real(double value, int digits, FILE *out)
{
    if (value < 0)
        fputs("--", out);
    else
        fprintf(out, "%.*f", digits, value);
}

/* A speed with its interval as small limits: the slower and the faster edge. */
static void put_speed(const struct mth_report_cell *cell, FILE *out)
{
    fputs(" & ", out);
    if (!cell || !cell->verified || cell->gib_s < 0) {
        fputs("-- & --", out);
        return;
    }
    fprintf(out, "%.2f\\,{\\scriptsize[%.2f, %.2f]} & ", cell->gib_s, cell->gib_s_lo, cell->gib_s_hi);
    put_real(cell->pct_memcpy, 0, out);
}

static void put_cell(const struct mth_report *report, const struct mth_report_cell *cell, FILE *out)
{
    const struct mth_report_group *group = &report->groups[cell->group];
    const struct mth_report_cell *back = mth_report_other_phase(report, cell);
    fputs("\\texttt{", out);
    put_text(cell->spec, out);
    fputs("}", out);
    if (!cell->verified) {
        fprintf(out, " & \\multicolumn{7}{l}{%s} \\\\\n", cell->unsupported ? "unsupported" : "failed");
        return;
    }
    int64_t heap = cell->heap_peak_bytes;
    if (back && back->heap_peak_bytes > heap)
        heap = back->heap_peak_bytes;
    fprintf(out, " & %.3f & ", cell->ratio);
    put_real(group->bound_ratio > 0 ? 100 * cell->ratio / group->bound_ratio : -1, 1, out);
    put_speed(cell, out);
    put_speed(back, out);
    fprintf(out, " & %.1f \\\\\n", (double)heap / (1 << 20));
}

/* A label may hold letters, digits and dashes. */
static void put_label(const struct mth_report_group *group, size_t index, FILE *out)
{
    fputs("\\label{tab:mithril-", out);
    for (const char *p = group->dataset; *p; p++)
        fputc((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ? *p : '-',
              out);
    fprintf(out, "-%zu}\n", index + 1);
}

static void put_caption(const struct mth_report_group *group, FILE *out)
{
    char scope[64];
    fputs("\\caption{", out);
    put_text(group->dataset, out);
    fputs(" (", out);
    put_text(group->class_name, out);
    fprintf(out, "), %s, %" PRId64 " thread%s, %.2f\\,MB",
            mth_report_scope(group->base, group->steps_apart, scope), group->threads,
            group->threads == 1 ? "" : "s", (double)group->raw_bytes / 1e6);
    if (group->bound_ratio > 0) {
        fprintf(out, "; bound %.3f (", group->bound_ratio);
        put_text(group->bound_model, out);
        fputc(')', out);
    }
    if (group->memcpy_gib_s > 0)
        fprintf(out, "; memcpy %.2f\\,GiB/s", group->memcpy_gib_s);
    fputs(". Medians with 95\\,\\% intervals; \\%\\,b: percent of the bound, \\%\\,m: of memcpy.}\n", out);
}

static void put_env(const struct mth_report_env *env, FILE *out)
{
    fputs("% machine ", out);
    put_text(env->env_id, out);
    fputs(": ", out);
    put_text(env->cpu_model, out);
    fprintf(out, ", %" PRId64 " processors; ", env->cpus_allowed);
    put_text(env->os, out);
    fputs(", kernel ", out);
    put_text(env->kernel, out);
    fputs("; mithril ", out);
    put_text(env->version, out);
    fputs(" (", out);
    put_text(env->commit, out);
    fputs("), ", out);
    put_text(env->compiler, out);
    fputc('\n', out);
}

void mth_report_latex(const struct mth_report *report, FILE *out)
{
    fputs("% Made by mithril report from result rows. It needs \\usepackage{booktabs,textcomp} and "
          "\\usepackage[T1]{fontenc}.\n",
          out);
    for (size_t i = 0; i < report->n_envs; i++)
        put_env(&report->envs[i], out);
    for (size_t g = 0; g < report->n_groups; g++) {
        fputs("\n\\begin{table}\n\\centering\\small\n", out);
        put_caption(&report->groups[g], out);
        put_label(&report->groups[g], g, out);
        fputs("\\begin{tabular}{@{}lrrrrrrr@{}}\n\\toprule\n"
              " & & & \\multicolumn{2}{c}{compress} & \\multicolumn{2}{c}{decompress} & heap \\\\\n"
              "\\cmidrule(lr){4-5}\\cmidrule(lr){6-7}\n"
              "pipeline & ratio & \\%\\,b & GiB/s & \\%\\,m & GiB/s & \\%\\,m & MiB \\\\\n\\midrule\n",
              out);
        for (size_t i = 0; i < report->n_cells; i++) {
            if (report->cells[i].group == g && mth_report_is_compress(&report->cells[i]))
                put_cell(report, &report->cells[i], out);
        }
        fputs("\\bottomrule\n\\end{tabular}\n\\end{table}\n", out);
    }
}
