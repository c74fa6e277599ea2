/* Result rows as LaTeX tables, by the rules of booktabs: one table a dataset, to be included in a paper. */
#include "harness/report_tables.h"

#include <inttypes.h>
#include <string.h>

static void put_text(const char *text, FILE *out)
{
    mth_table_escape(MTH_TABLE_LATEX, text, out);
}

/* A label may hold letters, digits and dashes. */
static void put_label(const struct mth_report_group *group, size_t index, size_t table, FILE *out)
{
    static const char *const kinds[MTH_REPORT_TABLES] = {"", "machine-", "tensors-"};
    fprintf(out, "\\label{tab:mithril-%s", kinds[table]);
    for (const char *p = group->dataset; *p; p++)
        fputc((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ? *p : '-',
              out);
    fprintf(out, "-%zu}\n", index + 1);
}

static void put_caption(const struct mth_report_group *group, const struct mth_report_table *table, FILE *out)
{
    char scope[MTH_REPORT_SCOPE_BYTES];
    fputs("\\caption{", out);
    put_text(group->dataset, out);
    fputs(" (", out);
    put_text(group->class_name, out);
    fprintf(out, "), %s, %" PRId64 " thread%s, %.2f\\,MB",
            mth_report_scope(group->base, group->older, group->steps_apart, scope), group->threads,
            group->threads == 1 ? "" : "s", (double)group->raw_bytes / 1e6);
    if (table->title) {
        fputs(". ", out);
        put_text(table->note, out);
    } else {
        if (group->bound_ratio > 0) {
            fprintf(out, "; bound %.3f (", group->bound_ratio);
            put_text(group->bound_model, out);
            fputc(')', out);
        }
        mth_report_put_memory(group, out);
        fputs(". Medians with 95\\,\\% intervals.", out);
    }
    fputs("}\n", out);
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
        for (size_t t = 0; t < MTH_REPORT_TABLES; t++) {
            const struct mth_report_table *table = &mth_report_tables[t];
            if (!table->has(report, g))
                continue;
            fputs("\n\\begin{table}\n\\centering\\small\n", out);
            put_caption(&report->groups[g], table, out);
            put_label(&report->groups[g], g, t, out);
            table->put(report, g, MTH_TABLE_LATEX, out);
            fputs("\\end{table}\n", out);
        }
    }
}
