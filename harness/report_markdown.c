/* Result rows as Markdown tables. */
#include "harness/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void mth_markdown_text(const char *text, FILE *out)
{
    for (const unsigned char *p = (const unsigned char *)(text ? text : "-"); *p; p++) {
        if (*p == '|')
            fputs("\\|", out);
        else
            fputc(*p < 0x20 || *p == 0x7f ? '?' : *p, out);
    }
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
    char scope[64];
    fputs("\n### ", out);
    mth_markdown_text(group->dataset, out);
    fputs(" (", out);
    mth_markdown_text(group->class_name, out);
    fprintf(out, "), %s, %" PRId64 " thread%s", mth_report_scope(group->base, group->steps_apart, scope),
            group->threads, group->threads == 1 ? "" : "s");
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
    fputs("); memcpy ", out);
    put_real(group->memcpy_gib_s, 2, " GiB/s", out);
    fputs("\n\n| pipeline | ratio | % of bound | compress GiB/s | % memcpy | decompress GiB/s | % memcpy | "
          "peak heap MiB | "
          "verified | flags |\n|---|---:|---:|---:|---:|---:|---:|---:|---|---|\n",
          out);
}

/* "1.376 [1.310, 1.402] | 12.3 |" */
static void put_speed(const struct mth_report_cell *cell, FILE *out)
{
    if (!cell || !cell->verified || cell->gib_s < 0) {
        fputs(" - | - |", out);
        return;
    }
    fprintf(out, " %.3f [%.3f, %.3f] | ", cell->gib_s, cell->gib_s_lo, cell->gib_s_hi);
    put_real(cell->pct_memcpy, 1, "", out);
    fputs(" |", out);
}

/* The flags of both phases, each once. */
static void put_flags(const struct mth_report_cell *a, const struct mth_report_cell *b, FILE *out)
{
    mth_markdown_text(a->flags, out);
    const char *p = b ? b->flags : "";
    while (*p) {
        char word[64];
        size_t n = strcspn(p, " ");
        snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), p);
        if (!strstr(a->flags, word)) {
            fputc(' ', out);
            mth_markdown_text(word, out);
        }
        p += n + (p[n] == ' ');
    }
}

static void put_cell(const struct mth_report *report, const struct mth_report_cell *cell, FILE *out)
{
    const struct mth_report_group *group = &report->groups[cell->group];
    const struct mth_report_cell *back = mth_report_other_phase(report, cell);
    fputs("| ", out);
    put_code(cell->spec, out);
    if (!cell->verified) {
        fprintf(out, " | - | - | - | - | - | - | - | %s: ", cell->unsupported ? "UNSUPPORTED" : "FAILED");
        mth_markdown_text(cell->error, out);
        fputs(" | |\n", out);
        return;
    }
    int64_t heap = cell->heap_peak_bytes;
    if (back && back->heap_peak_bytes > heap)
        heap = back->heap_peak_bytes;
    fprintf(out, " | %.3f | ", cell->ratio);
    put_real(group->bound_ratio > 0 ? 100 * cell->ratio / group->bound_ratio : -1, 1, "", out);
    fputs(" |", out);
    put_speed(cell, out);
    put_speed(back, out);
    fprintf(out, " %.2f | %s | ", (double)heap / (1 << 20), back && back->verified ? "yes" : "no");
    put_flags(cell, back, out);
    fputs(" |\n", out);
}

static void put_runs(const struct mth_report *report, FILE *out)
{
    if (report->n_runs == 0)
        return;
    fputs("\n## Whole runs\n\nThe first checkpoint full, each other one against the one before it.\n\n"
          "| run | pipeline | checkpoints | raw bytes | stored bytes | ratio | verified |\n"
          "|---|---|---:|---:|---:|---:|---|\n",
          out);
    for (size_t i = 0; i < report->n_runs; i++) {
        const struct mth_report_run *run = &report->runs[i];
        fputs("| ", out);
        mth_markdown_text(run->run_id, out);
        fputs(" | ", out);
        put_code(run->spec, out);
        fprintf(out, " | %" PRId64 " | %" PRId64 " | %" PRId64 " | ", run->n_checkpoints, run->raw_bytes,
                run->stored_bytes);
        put_real(run->ratio, 3, "", out);
        fprintf(out, " | %s |\n", run->verified ? "yes" : "no");
    }
}

static void put_verdicts(const struct mth_report *report, FILE *out)
{
    if (report->n_verdicts == 0)
        return;
    fputs("\n## Verdicts\n\nEach holds for its scope alone.\n\n"
          "| target | verdict | value | threshold | scope | pipeline | bound | whole run | reason |\n"
          "|---|---|---:|---:|---|---|---:|---:|---|\n",
          out);
    for (size_t i = 0; i < report->n_verdicts; i++) {
        const struct mth_report_verdict *verdict = &report->verdicts[i];
        fputs("| ", out);
        mth_markdown_text(verdict->target, out);
        fputs(" | ", out);
        mth_markdown_text(verdict->result, out);
        fputs(" | ", out);
        put_real(verdict->value, 3, "", out);
        fprintf(out, " | %g | ", verdict->threshold);
        mth_markdown_text(verdict->scope, out);
        if (verdict->steps_apart > 0)
            fprintf(out, ", %" PRId64 " step%s apart", verdict->steps_apart,
                    verdict->steps_apart == 1 ? "" : "s");
        fputs(" | ", out);
        if (verdict->spec)
            put_code(verdict->spec, out);
        fputs(" | ", out);
        put_real(verdict->bound_ratio, 3, "", out);
        fputs(" | ", out);
        put_real(verdict->run_ratio, 2, "x", out);
        fputs(" | ", out);
        mth_markdown_text(verdict->reason ? verdict->reason : "", out);
        fputs(" |\n", out);
    }
}

static void put_e2e(const struct mth_report_e2e *row, FILE *out)
{
    fputs("| ", out);
    mth_markdown_text(row->dataset, out);
    if (row->base && !row->spec) {
        fputs(" against ", out);
        mth_markdown_text(row->base, out);
    }
    fputs(" | ", out);
    mth_markdown_text(row->file_system, out);
    if (row->cache) {
        fputs(", ", out);
        mth_markdown_text(row->cache, out);
    }
    fputs(" | ", out);
    put_code(row->tool, out);
    fputs(" | ", out);
    if (row->spec)
        put_code(row->spec, out);
    else
        fputc('-', out);
    if (row->threads > 0)
        fprintf(out, " | %" PRId64 " | ", row->threads);
    else
        fputs(" | - | ", out);
    mth_markdown_text(row->phase, out);
    fputs(" | ", out);
    put_real(row->ratio, 3, "", out);
    fputs(" | ", out);
    put_real(row->median_ns < 0 ? -1 : row->median_ns * 1e-9, 4, "", out);
    fputs(" | ", out);
    put_real(row->gib_s, 3, "", out);
    fputs(" | ", out);
    put_real(row->pct_memory, 0, "", out);
    if (row->pct_memory >= 0)
        fprintf(out, " [%.0f, %.0f]", row->pct_memory_lo, row->pct_memory_hi);
    fputs(" |\n", out);
}

static void put_files(const struct mth_report *report, FILE *out)
{
    if (report->n_e2e == 0)
        return;
    fputs("\n## File to file\n\nReading, coding, verifying where the tool does, and writing; for command "
          "lines also "
          "the start of the process.\nBeside cells of the benchmark: their throughput in percent of that in "
          "memory, with its interval.\n\n"
          "| file | where | tool | pipeline | threads | phase | ratio | seconds | GiB/s | % of memory |\n"
          "|---|---|---|---|---:|---|---:|---:|---:|---:|\n",
          out);
    for (size_t i = 0; i < report->n_e2e; i++)
        put_e2e(&report->e2e[i], out);
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
        fputs(" | | | | | | | | | | | | | |\n", out);
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
          "Restoring goes link by link; the last column is its time in\npercent of the sum of the links on "
          "their "
          "own.\n\n"
          "| run | policy | pipeline | threads | full | written, MB | ratio | kept, MB | last: links | MB "
          "read | "
          "seconds | worst: links | MB read | seconds | mean: links | MB read | seconds | heap, MB | % of "
          "links |\n"
          "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
          out);
    for (size_t i = 0; i < report->n_chains; i++)
        put_chain(&report->chains[i], out);
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
    for (size_t g = 0; g < report->n_groups; g++) {
        put_group_head(report, &report->groups[g], out);
        for (size_t i = 0; i < report->n_cells; i++) {
            if (report->cells[i].group == g && mth_report_is_compress(&report->cells[i]))
                put_cell(report, &report->cells[i], out);
        }
    }
    put_runs(report, out);
    put_verdicts(report, out);
    put_files(report, out);
    put_chains(report, out);
}
