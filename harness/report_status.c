/*
 * The project's status from rows: each founding criterion, what proves it, what fails and how far its bound is.
 *
 * The rule: COMPLETE when every criterion passes in the scope in which it can be true; what fails outside of that scope
 * is listed beside its bound.
 */
#include "harness/report.h"

#include <inttypes.h>
#include <string.h>

static bool is_synthetic(const struct mth_report_verdict *verdict)
{
    return verdict->class_name && strncmp(verdict->class_name, "synthetic", 9) == 0;
}

static bool is_consecutive_pair(const struct mth_report_verdict *verdict)
{
    return !is_synthetic(verdict) && verdict->base && !verdict->older && verdict->steps_apart == 1;
}

static bool is_consecutive_pair_on_one_core(const struct mth_report_verdict *verdict)
{
    return is_consecutive_pair(verdict) && verdict->threads == 1;
}

static bool is_real_on_one_core(const struct mth_report_verdict *verdict)
{
    return !is_synthetic(verdict) && verdict->threads == 1;
}

static bool is_real(const struct mth_report_verdict *verdict)
{
    return !is_synthetic(verdict);
}

static bool is_any(const struct mth_report_verdict *verdict)
{
    (void)verdict;
    return true;
}

static const struct criterion {
    const char *target; /* of the verdicts */
    const char *text;
    const char *scope;
    const char *unit;
    bool (*in_scope)(const struct mth_report_verdict *verdict);
} criteria[] = {
    {"ratio", "at least 10x, lossless", "trained checkpoints coded against the one a step before", "x",
     is_consecutive_pair},
    {"throughput", "at least 2.5 GiB/s, compressing and decompressing", "trained checkpoints, one core",
     " GiB/s", is_real_on_one_core},
    {"both", "both of these in one cell", "trained checkpoints coded against the one a step before, one core",
     " of the way", is_consecutive_pair_on_one_core},
    {"memory", "peak memory at most 2x the checkpoint", "trained checkpoints", "x", is_real},
    {"bit_exact", "every bit restored", "every dataset", "", is_any},
};
enum { N_CRITERIA = sizeof criteria / sizeof criteria[0] };

static bool is_about(const struct criterion *criterion, const struct mth_report_verdict *verdict)
{
    return strcmp(criterion->target, verdict->target) == 0;
}

/* PASS when something in scope was judged and all of it passes. */
static const char *result_of(const struct mth_report *report, const struct criterion *criterion)
{
    bool passed = false;
    for (size_t i = 0; i < report->n_verdicts; i++) {
        const struct mth_report_verdict *verdict = &report->verdicts[i];
        if (!is_about(criterion, verdict) || !criterion->in_scope(verdict))
            continue;
        if (strcmp(verdict->result, "FAIL") == 0)
            return "FAIL";
        passed |= strcmp(verdict->result, "PASS") == 0;
    }
    return passed ? "PASS" : "UNSUPPORTED";
}

static void put_verdict(const struct criterion *criterion, const struct mth_report_verdict *verdict,
                        FILE *out)
{
    fputs("| ", out);
    mth_markdown_text(verdict->scope, out);
    if (verdict->steps_apart > 0)
        fprintf(out, ", %" PRId64 " step%s apart", verdict->steps_apart,
                verdict->steps_apart == 1 ? "" : "s");
    fprintf(out, " | %s | ", criterion->in_scope(verdict) ? "yes" : "no");
    mth_markdown_text(verdict->result, out);
    fprintf(out, " | %.3f%s | ", verdict->value, criterion->unit);
    if (verdict->spec) {
        fputc('`', out);
        mth_markdown_text(verdict->spec, out);
        fputc('`', out);
    }
    fputs(" | ", out);
    if (strcmp(criterion->target, "ratio") == 0 || strcmp(criterion->target, "both") == 0) {
        if (verdict->bound_ratio > 0)
            fprintf(out, "%.3fx", verdict->bound_ratio);
        fputs(" | ", out);
        if (verdict->run_ratio > 0)
            fprintf(out, "%.2fx (%" PRId64 " checkpoints)", verdict->run_ratio, verdict->run_checkpoints);
        fputs(" | ", out);
    }
    mth_markdown_text(verdict->reason ? verdict->reason : "", out);
    fputs(" | ", out);
    mth_markdown_text(verdict->evidence, out);
    fputs(" |\n", out);
}

static void put_criterion(const struct mth_report *report, const struct criterion *criterion, FILE *out)
{
    bool with_bound = strcmp(criterion->target, "ratio") == 0 || strcmp(criterion->target, "both") == 0;
    fprintf(out, "\n## %s: %s\n\nScope: %s.\n\n", criterion->text, result_of(report, criterion),
            criterion->scope);
    fprintf(out,
            "| measured on | in scope | verdict | value | pipeline |%s reason | rows "
            "|\n|---|---|---|---:|---|%s---|---|\n",
            with_bound ? " bound | the whole run |" : "", with_bound ? "---:|---:|" : "");
    for (size_t i = 0; i < report->n_verdicts; i++) {
        if (is_about(criterion, &report->verdicts[i]))
            put_verdict(criterion, &report->verdicts[i], out);
    }
}

static const struct mth_report_cell *find_cell(const struct mth_report *report, size_t group,
                                               const char *spec)
{
    for (size_t i = 0; i < report->n_cells; i++) {
        const struct mth_report_cell *cell = &report->cells[i];
        if (cell->group == group && cell->verified && !cell->lossy && mth_report_is_compress(cell) &&
            strcmp(cell->spec, spec) == 0)
            return cell;
    }
    return NULL;
}

/* What byte grouping gains: plain zstd level 3 beside the same behind grouping, on the same bytes. */
static void put_grouping(const struct mth_report *report, FILE *out)
{
    for (size_t g = 0; g < report->n_groups; g++) {
        const struct mth_report_group *group = &report->groups[g];
        const struct mth_report_cell *plain = find_cell(report, g, "zstd:level=3");
        const struct mth_report_cell *grouped = find_cell(report, g, "seed");
        if (!plain)
            plain = find_cell(report, g, "zstd");
        if (!plain || !grouped || group->base)
            continue;
        fputs("| byte grouping improves a general compressor by about 20 % | ", out);
        fprintf(out, "%+.1f %%: %.3fx -> %.3fx | ", 100 * (grouped->ratio / plain->ratio - 1), plain->ratio,
                grouped->ratio);
        mth_markdown_text(group->dataset, out);
        fputs(" (", out);
        mth_markdown_text(group->class_name, out);
        fputs(") | ", out);
        mth_markdown_text(plain->row_id, out);
        fputc(' ', out);
        mth_markdown_text(grouped->row_id, out);
        fputs(" |\n", out);
    }
}

/* The best ratio of each trained dataset. */
static void put_best_ratios(const struct mth_report *report, FILE *out)
{
    for (size_t g = 0; g < report->n_groups; g++) {
        const struct mth_report_group *group = &report->groups[g];
        const struct mth_report_cell *best = NULL;
        char scope[MTH_REPORT_SCOPE_BYTES];
        if (group->class_name && strncmp(group->class_name, "synthetic", 9) == 0)
            continue;
        for (size_t i = 0; i < report->n_cells; i++) {
            const struct mth_report_cell *cell = &report->cells[i];
            if (cell->group == g && cell->verified && !cell->lossy && (!best || cell->ratio > best->ratio))
                best = cell;
        }
        if (!best)
            continue;
        fprintf(out, "| 10x to 20x, lossless | %.3fx by `", best->ratio);
        mth_markdown_text(best->spec, out);
        if (group->bound_ratio > 0)
            fprintf(out, "`, bound %.3fx | ", group->bound_ratio);
        else
            fputs("` | ", out);
        mth_markdown_text(group->dataset, out);
        fprintf(out, ", %s | ", mth_report_scope(group->base, group->older, group->steps_apart, scope));
        mth_markdown_text(best->row_id, out);
        fputs(" |\n", out);
    }
}

/* A page of a folder below, whose links are relative to that folder. */
static void put_page_of_folder(const char *page, const char *folder, FILE *out)
{
    for (const char *link; (link = strstr(page, "](")) != NULL;) {
        const char *target = link + 2;
        size_t n_target = strcspn(target, ")");
        bool is_above = strncmp(target, "../", 3) == 0;
        bool is_relative = *target != '/' && *target != '#' && !memchr(target, ':', n_target);
        fprintf(out, "%.*s", (int)(target - page), page);
        page = target + (is_above ? 3 : 0);
        if (is_relative && !is_above)
            fprintf(out, "%s/", folder);
    }
    fputs(page, out);
}

void mth_report_status(const struct mth_report *report, const char *gaps, FILE *out, bool *complete)
{
    *complete = true;
    for (size_t i = 0; i < N_CRITERIA; i++)
        *complete &= strcmp(result_of(report, &criteria[i]), "PASS") == 0;
    fprintf(out, "# Status: %s\n\n", *complete ? "COMPLETE" : "NOT COMPLETE");
    fputs("Made from result rows by `make status`; nothing here is written by hand but the list of gaps. "
          "COMPLETE means that\n"
          "every criterion passes in the scope in which it can be true; what fails is listed beside its "
          "bound.\n\n"
          "| criterion | scope | verdict |\n|---|---|---|\n",
          out);
    for (size_t i = 0; i < N_CRITERIA; i++)
        fprintf(out, "| %s | %s | %s |\n", criteria[i].text, criteria[i].scope,
                result_of(report, &criteria[i]));
    for (size_t i = 0; i < report->n_envs; i++) {
        fprintf(out, "%sMeasured on ", i ? "" : "\n");
        mth_markdown_text(report->envs[i].cpu_model, out);
        fprintf(out, " (`%.8s`), mithril ", report->envs[i].env_id);
        mth_markdown_text(report->envs[i].version, out);
        fputs(" (", out);
        mth_markdown_text(report->envs[i].commit, out);
        fputs(").\n", out);
    }
    for (size_t i = 0; i < N_CRITERIA; i++)
        put_criterion(report, &criteria[i], out);
    fputs("\n## Figures that the founding documents claim\n\n| claim | measured | on | rows "
          "|\n|---|---|---|---|\n",
          out);
    put_grouping(report, out);
    put_best_ratios(report, out);
    if (gaps) {
        fputc('\n', out);
        put_page_of_folder(gaps, "docs", out);
    }
}
