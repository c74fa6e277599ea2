/* The table and the verdicts of a benchmark as text of at most 120 columns. */
#include "harness/bench.h"
#include "harness/loss.h"

#include <string.h>

/* Four columns of 120 are left for numbers that are longer than expected. */
enum { SPEC_COLUMN = 48 };

/* A spec cut to its column; a cut one ends in "..". */
static void print_spec(const char *spec, FILE *out)
{
    size_t n = strlen(spec);
    if (n <= SPEC_COLUMN)
        fprintf(out, "  %-*s", SPEC_COLUMN, spec);
    else
        fprintf(out, "  %.*s..", SPEC_COLUMN - 2, spec);
}

static void print_headline(const struct mth_bench *bench, const struct mth_bench_case *at, FILE *out)
{
    fprintf(out, "\n%.80s (%s): %.2f MB, ", at->id, at->class_name, (double)at->raw_bytes / 1e6);
    if (at->n_files)
        fprintf(out, "all %zu files of it, ", at->n_files);
    fprintf(out, "%zu tensors, mostly %s\n", at->n_tensors, at->main_dtype ? at->main_dtype : "?");
    if (at->base_path) {
        fprintf(out, "  against a base");
        if (at->steps_apart > 0)
            fprintf(out, " %lld step%s before", (long long)at->steps_apart, at->steps_apart == 1 ? "" : "s");
        if (at->older_path)
            fprintf(out, " and an older one");
        if (at->fraction_changed >= 0)
            fprintf(out, ", %.2f %% of its elements changed", 100 * at->fraction_changed);
        if (at->lr >= 0)
            fprintf(out, ", learning rate %.3g", at->lr);
        fprintf(out, "\n");
    }
    fprintf(out, "  bound %.3fx (%s); memcpy %.2f GiB/s on %zu thread%s; timer %.0f ns%s\n", at->bound_ratio,
            at->bound_model ? at->bound_model : "none", at->memcpy_gib_s, at->n_threads,
            at->n_threads == 1 ? "" : "s", bench->config.timer_ns,
            at->in_cache ? "; in cache: no verdict on speed" : "");
}

/* "12.345 +-0.123  45 %": GiB/s, the wider half of its interval, and the percentage of memcpy. */
static void print_speed(const struct mth_bench_case *at, const struct mth_phase_result *result, FILE *out)
{
    double median = mth_gib_s(at->raw_bytes, result->time.median);
    double low = median - mth_gib_s(at->raw_bytes, result->time.ci_hi);
    double high = mth_gib_s(at->raw_bytes, result->time.ci_lo) - median;
    fprintf(out, " %7.3f +-%-5.3f %3.0f %%", median, low > high ? low : high, result->pct_memcpy);
}

static void print_cell(const struct mth_bench_case *at, const struct mth_bench_cell *cell, FILE *out)
{
    char loss[MTH_LOSS_TEXT_BYTES];
    print_spec(cell->spec, out);
    if (cell->unsupported || !cell->verified) {
        fprintf(out, " %s: %.50s\n",
                cell->unsupported    ? "UNSUPPORTED"
                : cell->peer_command ? "DISQUALIFIED"
                                     : "FAILED",
                cell->error.text);
        return;
    }
    size_t compress = cell->phases[MTH_PHASE_COMPRESS].heap_peak_bytes;
    size_t decompress = cell->phases[MTH_PHASE_DECOMPRESS].heap_peak_bytes;
    fprintf(out, " %8.3f", cell->ratio);
    print_speed(at, &cell->phases[MTH_PHASE_COMPRESS], out);
    print_speed(at, &cell->phases[MTH_PHASE_DECOMPRESS], out);
    if (cell->peer_command)
        fprintf(out, " %8s  ok\n", "-"); /* what another process takes is not accounted for */
    else
        fprintf(out, " %8.2f  ok%s\n",
                (double)(compress > decompress ? compress : decompress) / (1024.0 * 1024.0),
                mth_loss_text(&cell->stats.loss, loss));
}

static void print_file_cell(const struct mth_bench_case *at, const struct mth_bench_cell *cell, FILE *out)
{
    if (!cell->verified || cell->files[0].n_samples == 0)
        return;
    print_spec(cell->spec, out);
    for (size_t p = 0; p < MTH_N_FILE_PASSES; p++) {
        const struct mth_file_result *result = &cell->files[p];
        fprintf(out, " %6.3f %3.0f [%3.0f %3.0f]", mth_gib_s(at->raw_bytes, result->time.median),
                result->pct_memory.median, result->pct_memory.ci_lo, result->pct_memory.ci_hi);
    }
    fprintf(out, "\n");
}

static void print_files(const struct mth_bench *bench, const struct mth_bench_case *at, FILE *out)
{
    if (!bench->config.files_directory)
        return;
    fprintf(out, "\n  file to file%s; a plain copy %.2f GiB/s\n",
            strcmp(bench->config.files_system, "tmpfs") == 0 ? ", in memory (tmpfs)" : "",
            mth_gib_s(at->raw_bytes, at->file_copy.time.median));
    fprintf(out, "  %-*s %20s %20s %20s\n", SPEC_COLUMN, "", "compress", "compress and verify", "decompress");
    fprintf(out, "  %-*s %20s %20s %20s\n", SPEC_COLUMN, "pipeline", "GiB/s, % of memory",
            "GiB/s, % of memory", "GiB/s, % of memory");
    for (size_t i = 0; i < at->n_cells; i++)
        print_file_cell(at, &at->cells[i], out);
}

void mth_bench_print_case(const struct mth_bench *bench, const struct mth_bench_case *at, FILE *out)
{
    print_headline(bench, at, out);
    fprintf(out, "  %-*s %8s %20s %20s %8s\n", SPEC_COLUMN, "", "", "compress, of", "decompress, of", "heap");
    fprintf(out, "  %-*s %8s %20s %20s %8s\n", SPEC_COLUMN, "pipeline", "ratio", "GiB/s     memcpy",
            "GiB/s     memcpy", "MiB");
    for (size_t i = 0; i < at->n_cells; i++)
        print_cell(at, &at->cells[i], out);
    print_files(bench, at, out);
}

/* What was reached, and what was asked. */
static void value_text(const struct mth_verdict *verdict, char *out, size_t capacity)
{
    out[0] = '\0';
    if (strcmp(verdict->target, "ratio") == 0)
        snprintf(out, capacity, "%.3fx of >= %gx", verdict->value, verdict->threshold);
    else if (strcmp(verdict->target, "throughput") == 0)
        snprintf(out, capacity, "%.3f of >= %g GiB/s", verdict->value, verdict->threshold);
    else if (strcmp(verdict->target, "memory") == 0)
        snprintf(out, capacity, "heap %.2fx of <= %gx the checkpoint", verdict->value, verdict->threshold);
}

static void print_verdict(const struct mth_verdict *verdict, FILE *out)
{
    char value[96];
    value_text(verdict, value, sizeof value);
    fprintf(out, "  %-11s %-10s %s", verdict->result, verdict->target, value);
    if (verdict->cell)
        fprintf(out, " (%.*s)", SPEC_COLUMN, verdict->cell->spec);
    if (verdict->run_ratio > 0)
        fprintf(out, "\n  %-22s the whole run of %zu checkpoints, the first one full: %.2fx", "",
                verdict->run_checkpoints, verdict->run_ratio);
    if (verdict->reason[0])
        fprintf(out, "%s%s", verdict->cell || value[0] ? "\n                         " : "", verdict->reason);
    fprintf(out, "\n");
}

void mth_bench_print_verdicts(const struct mth_bench *bench, FILE *out)
{
    fprintf(out,
            "\nVerdicts (ratio >= %gx, >= %g GiB/s each way, memory <= %gx, every bit; each for its scope "
            "alone)\n",
            MTH_TARGET_RATIO, MTH_TARGET_GIB_S, MTH_TARGET_MEMORY);
    for (size_t c = 0; c < bench->n_cases; c++) {
        const struct mth_bench_case *at = &bench->cases[c];
        struct mth_verdict verdicts[MTH_VERDICTS_PER_CASE];
        fprintf(out, "%.80s (%s, ", at->id, at->class_name);
        if (at->n_files)
            fprintf(out, "all %zu files of it, ", at->n_files);
        fprintf(out, "%s", at->base_path ? "against a base" : "alone");
        if (at->base_path && at->steps_apart > 0)
            fprintf(out, " %lld step%s before", (long long)at->steps_apart, at->steps_apart == 1 ? "" : "s");
        if (at->older_path)
            fprintf(out, " and an older one");
        fprintf(out, ", %zu thread%s)\n", at->n_threads, at->n_threads == 1 ? "" : "s");
        mth_verdicts_of(bench, at, verdicts);
        for (size_t i = 0; i < MTH_VERDICTS_PER_CASE; i++)
            print_verdict(&verdicts[i], out);
    }
}
