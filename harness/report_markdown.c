/* Result rows as Markdown tables. */
#include "harness/report_tables.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void mth_markdown_text(const char *text, FILE *out)
{
    mth_table_escape(MTH_TABLE_MARKDOWN, text, out);
}

static void put_code(const char *text, FILE *out)
{
    fputc('`', out);
    mth_markdown_text(text, out);
    fputc('`', out);
}

static void put_real(double value, int digits, const char *unit, FILE *out)
{
    if (value < 0)
        fputc('-', out);
    else
        fprintf(out, "%.*f%s", digits, value, unit);
}

static void put_env(const struct mth_report_env *env, FILE *out)
{
    char size[32] = "unknown";
    if (env->llc_bytes > 0)
        snprintf(size, sizeof size, "%.1f MiB", (double)env->llc_bytes / (1 << 20));
    fprintf(out, "- machine `%.8s`: ", env->env_id);
    mth_markdown_text(env->cpu_model, out);
    fprintf(out, ", %" PRId64 " processors, last-level cache %s, %.1f GiB of memory; features ",
            env->cpus_allowed, size, (double)env->memory_bytes / (1 << 30));
    mth_markdown_text(env->cpu_features, out);
    fputs("; kernel ", out);
    mth_markdown_text(env->kernel, out);
    fputs(", ", out);
    mth_markdown_text(env->os, out);
    fputs("; mithril ", out);
    mth_markdown_text(env->version, out);
    fputs(" (", out);
    mth_markdown_text(env->commit, out);
    fputs("), ", out);
    mth_markdown_text(env->compiler, out);
    fputc('\n', out);
}

/* Each sweep once, and what is wrong with its shards. */
static void put_sweeps(const struct mth_report *report, FILE *out)
{
    char *problems = NULL;
    size_t n_problems = 0;
    for (size_t i = 0; i < report->n_shards; i++) {
        const struct mth_report_shard *shard = &report->shards[i];
        const char *slash = strchr(shard->shard, '/');
        bool seen = false;
        for (size_t j = 0; j < i; j++)
            seen |= strcmp(report->shards[j].sweep, shard->sweep) == 0;
        if (seen)
            continue;
        fputs("- sweep `", out);
        mth_markdown_text(shard->sweep, out);
        fputs("`, in shards: ", out);
        mth_markdown_text(slash ? slash + 1 : shard->shard, out);
        fputc('\n', out);
    }
    FILE *memory = report->n_shards ? open_memstream(&problems, &n_problems) : NULL;
    size_t n = memory ? mth_report_sweep_problems(report, memory) : 0;
    if (memory && fclose(memory) == 0 && n) {
        fputs("- **not whole**: ", out);
        mth_markdown_text(problems, out);
        fputc('\n', out);
    }
    free(problems);
}

static void put_group_head(const struct mth_report *report, const struct mth_report_group *group, FILE *out)
{
    char scope[MTH_REPORT_SCOPE_BYTES];
    fputs("\n### ", out);
    mth_markdown_text(group->dataset, out);
    fputs(" (", out);
    mth_markdown_text(group->class_name, out);
    fprintf(out, "), %s, %" PRId64 " thread%s",
            mth_report_scope(group->base, group->older, group->steps_apart, scope), group->threads,
            group->threads == 1 ? "" : "s");
    if (report->n_envs > 1 && group->env_id)
        fprintf(out, ", machine `%.8s`", group->env_id);
    fprintf(out, "\n\n%.2f MB", (double)group->raw_bytes / 1e6);
    if (group->dtype) {
        fputs(", mostly ", out);
        mth_markdown_text(group->dtype, out);
    }
    if (group->fraction_changed >= 0)
        fprintf(out, "; %.2f %% of the elements changed", 100 * group->fraction_changed);
    if (group->lr >= 0)
        fprintf(out, "; learning rate %.3g", group->lr);
    fputs("; bound ", out);
    put_real(group->bound_ratio, 3, "x", out);
    fputs(" (", out);
    mth_markdown_text(group->bound_model, out);
    fputs(")", out);
    mth_report_put_memory(group, out);
    fputs("\n\n", out);
}

static void put_group(const struct mth_report *report, size_t g, FILE *out)
{
    for (size_t t = 0; t < MTH_REPORT_TABLES; t++) {
        const struct mth_report_table *table = &mth_report_tables[t];
        if (!table->has(report, g))
            continue;
        if (table->title)
            fprintf(out, "\n%s. %s\n\n", table->title, table->note);
        else
            put_group_head(report, &report->groups[g], out);
        table->put(report, g, MTH_TABLE_MARKDOWN, out);
    }
}

/* A chapter with one table; nothing where it would be empty. */
static void put_chapter(const struct mth_report *report, size_t n_rows, const char *head,
                        void (*put)(const struct mth_report *report, enum mth_table_format format, FILE *out),
                        FILE *out)
{
    if (n_rows == 0)
        return;
    fprintf(out, "\n## %s\n\n", head);
    put(report, MTH_TABLE_MARKDOWN, out);
}

static void put_restored(const struct mth_report_restored *step, FILE *out)
{
    put_real(step->n_links, step->n_links == (double)(int64_t)step->n_links ? 0 : 1, "", out);
    fputs(" | ", out);
    put_real(step->read_bytes < 0 ? -1 : step->read_bytes * 1e-6, 2, "", out);
    fputs(" | ", out);
    put_real(step->restore_ns < 0 ? -1 : step->restore_ns * 1e-9, 4, "", out);
    fputs(" | ", out);
}

static void put_chain(const struct mth_report_chain *chain, FILE *out)
{
    fputs("| ", out);
    mth_markdown_text(chain->dataset, out);
    fputs(" | ", out);
    put_code(chain->policy, out);
    fputs(" | ", out);
    put_code(chain->spec, out);
    fprintf(out, " | %" PRId64 " | %" PRId64 " | ", chain->threads, chain->n_full);
    if (!chain->verified) {
        mth_markdown_text(chain->error ? chain->error : "not verified", out);
        fputs(" | | | | | | | | | | | | | | | |\n", out);
        return;
    }
    put_real((double)chain->written_bytes * 1e-6, 2, "", out);
    fputs(" | ", out);
    put_real(chain->ratio, 3, "", out);
    fputs(" | ", out);
    put_real((double)chain->kept_bytes * 1e-6, 2, "", out);
    fputs(" | ", out);
    put_restored(&chain->last, out);
    put_restored(&chain->worst, out);
    put_restored(&chain->mean, out);
    put_real(chain->worst.heap_peak_bytes * 1e-6, 2, "", out);
    fputs(" | ", out);
    put_real(chain->pct_links, 0, "", out);
    fputs(" | ", out);
    put_real(chain->pct_links_cpu, 0, "", out);
    fputs(" | ", out);
    put_real(chain->pct_links_cpu_worst, 0, "", out);
    fputs(" |\n", out);
}

static void put_chains(const struct mth_report *report, FILE *out)
{
    if (report->n_chains == 0)
        return;
    fputs("\n## Chains\n\nA run in order, each step coded as the policy says, every step restored and "
          "compared. "
          "Written is all, kept is what the last\nstep stands on (or those that `--keep` named); MB are 10^6 "
          "bytes. "
          "Restoring goes link by link; the last columns are its time in\npercent of the sum of the links on "
          "their "
          "own: of all steps, the same of processor time, and that of the step that has most.\n\n"
          "| run | policy | pipeline | threads | full | written, MB | ratio | kept, MB | last: links | MB "
          "read | "
          "seconds | worst: links | MB read | seconds | mean: links | MB read | seconds | heap, MB | % of "
          "links | processor | worst step |\n"
          "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
          "---:|\n",
          out);
    for (size_t i = 0; i < report->n_chains; i++)
        put_chain(&report->chains[i], out);
}

static void put_explorations(const struct mth_report *report, FILE *out)
{
    if (report->n_explorations == 0)
        return;
    put_chapter(report, report->n_explorations,
                "Explorations\n\nSearches for pipelines, and the winner of each by its rule.",
                mth_report_put_explorations, out);
    fputs("\nThe front of what was measured in full, the smallest first; * won.\n\n", out);
    mth_report_put_explored_fronts(report, MTH_TABLE_MARKDOWN, out);
    fputs("\nThe front of each class of tensors on samples, in cache: what the search promised.\n\n", out);
    mth_report_put_explored_classes(report, MTH_TABLE_MARKDOWN, out);
}

void mth_report_markdown(const struct mth_report *report, FILE *out)
{
    fputs("# mithril: measured\n\nGiB is 2^30 bytes, MB is 10^6. A ratio is original over compressed; "
          "throughput is original "
          "bytes over the wall time of the\nwhole pipeline in memory, the median of all samples with its 95 "
          "% interval. "
          "The bound is what an ideal coder of the named\nmodel would reach. `docs/measurement.md` has the "
          "method.\n\n",
          out);
    for (size_t i = 0; i < report->n_envs; i++)
        put_env(&report->envs[i], out);
    put_sweeps(report, out);
    if (report->n_groups)
        fputs("\n## Cells\n", out);
    for (size_t g = 0; g < report->n_groups; g++)
        put_group(report, g, out);
    put_chapter(report, report->n_runs,
                "Whole runs\n\nThe first checkpoint full, each other one against the one before it.",
                mth_report_put_runs, out);
    put_chapter(report, report->n_verdicts, "Verdicts\n\nEach holds for its scope alone.",
                mth_report_put_verdicts, out);
    put_chapter(
        report, report->n_e2e,
        "File to file\n\nReading, coding, verifying where the tool does, and writing; for command lines also "
        "the start of the process.\nBeside cells of the benchmark: their throughput in percent of that in "
        "memory, with its interval.",
        mth_report_put_files, out);
    put_chains(report, out);
    put_explorations(report, out);
}
