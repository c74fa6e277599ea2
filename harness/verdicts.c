/* Verdicts on the targets, each with its scope and reason; and the check of --require. */
#include "harness/bench.h"

#include "harness/require.h"

#include <stdio.h>
#include <string.h>

double mth_gib_s(uint64_t raw_bytes, double ns)
{
    return ns > 0 ? (double)raw_bytes / (1024.0 * 1024.0 * 1024.0) / (ns / 1e9) : 0;
}

/* The slower edge of the slower phase: what a verdict on throughput may lean on. */
static double sure_gib_s(const struct mth_bench_cell *cell)
{
    double compress = mth_gib_s(cell->parent->raw_bytes, cell->phases[MTH_PHASE_COMPRESS].time.ci_hi);
    double decompress = mth_gib_s(cell->parent->raw_bytes, cell->phases[MTH_PHASE_DECOMPRESS].time.ci_hi);
    return compress < decompress ? compress : decompress;
}

/* Peak heap of the hungrier phase over the bytes of the checkpoint. */
static double heap_ratio(const struct mth_bench_cell *cell)
{
    size_t compress = cell->phases[MTH_PHASE_COMPRESS].heap_peak_bytes;
    size_t decompress = cell->phases[MTH_PHASE_DECOMPRESS].heap_peak_bytes;
    double peak = (double)(compress > decompress ? compress : decompress);
    return cell->parent->raw_bytes ? peak / (double)cell->parent->raw_bytes : 0;
}

static double ratio_of(const struct mth_bench_cell *cell)
{
    return cell->ratio;
}

/* How far a cell is towards both targets at once: 1 when it reaches the harder of the two. */
static double both_of(const struct mth_bench_cell *cell)
{
    double ratio = cell->ratio / MTH_TARGET_RATIO, speed = sure_gib_s(cell) / MTH_TARGET_GIB_S;
    return ratio < speed ? ratio : speed;
}

/* Verdicts are on this program and on what is lossless; peers stand beside. */
static bool judged(const struct mth_bench_cell *cell)
{
    return cell->verified && !cell->peer_command && !cell->stats.loss.is_lossy;
}

/* The part of the bytes that a cell saves. */
static double saving_of(const struct mth_bench_cell *cell)
{
    return cell->ratio > 1 ? 1 - 1 / cell->ratio : 0;
}

/*
 * Does it compress, rather than move bytes? It saves at least half of what the best cell saves. Else a codec that finds
 * nothing in weights (1.00x, near the speed of memcpy) would pass the target on throughput.
 */
static bool compresses(const struct mth_bench_cell *cell)
{
    double most = 0;
    for (size_t i = 0; i < cell->parent->n_cells; i++) {
        const struct mth_bench_cell *other = &cell->parent->cells[i];
        if (judged(other) && saving_of(other) > most)
            most = saving_of(other);
    }
    return saving_of(cell) >= most / 2;
}

/* The verified cell that compresses and has the largest value, NULL when there is none. */
static const struct mth_bench_cell *best(const struct mth_bench_case *at,
                                         double (*value)(const struct mth_bench_cell *))
{
    const struct mth_bench_cell *found = NULL;
    for (size_t i = 0; i < at->n_cells; i++) {
        const struct mth_bench_cell *cell = &at->cells[i];
        if (judged(cell) && compresses(cell) && (!found || value(cell) > value(found)))
            found = cell;
    }
    return found;
}

/* The hungriest preset: what users run; of all cells where no preset was measured. */
static const struct mth_bench_cell *hungriest(const struct mth_bench_case *at)
{
    const struct mth_bench_cell *found = NULL;
    bool found_preset = false;
    for (size_t i = 0; i < at->n_cells; i++) {
        const struct mth_bench_cell *cell = &at->cells[i];
        bool preset = mth_preset_find(cell->spec, strlen(cell->spec)) != NULL;
        if (!judged(cell) || (found_preset && !preset))
            continue;
        if (!found || (preset && !found_preset) || heap_ratio(cell) > heap_ratio(found))
            found = cell;
        found_preset |= preset;
    }
    return found;
}

static void judge(struct mth_verdict *verdict, bool passed)
{
    verdict->result = passed ? "PASS" : "FAIL";
}

static void withhold(struct mth_verdict *verdict, const char *why)
{
    verdict->result = "UNSUPPORTED";
    snprintf(verdict->reason, sizeof verdict->reason, "%s", why);
}

static bool is_synthetic(const struct mth_bench_case *at)
{
    return strncmp(at->class_name, "synthetic", 9) == 0;
}

/* What data of this kind, or this measurement, can not support. */
static bool withheld(struct mth_verdict *verdict, bool on_speed)
{
    const struct mth_bench_case *at = verdict->scope;
    if (!verdict->cell)
        withhold(verdict, "no cell was verified");
    else if (is_synthetic(at))
        withhold(verdict, "synthetic data: no verdict is taken from it");
    else if (on_speed && at->in_cache)
        withhold(verdict, "no room for a working set of four caches: not measured cold");
    else
        return false;
    return true;
}

static void judge_ratio(const struct mth_bench *bench, struct mth_verdict *verdict)
{
    const struct mth_bench_case *at = verdict->scope;
    verdict->threshold = MTH_TARGET_RATIO;
    verdict->cell = best(at, ratio_of);
    verdict->value = verdict->cell ? verdict->cell->ratio : 0;
    const struct mth_run_result *run =
        verdict->cell ? mth_bench_run_result(bench, at->run_id, verdict->cell->spec) : NULL;
    if (run) {
        verdict->run_ratio = run->ratio;
        verdict->run_checkpoints = run->run->n_paths;
    }
    if (withheld(verdict, false))
        return;
    judge(verdict, verdict->value >= MTH_TARGET_RATIO);
    if (verdict->value >= MTH_TARGET_RATIO)
        return;
    const char *what = "room is left";
    if (verdict->value > at->bound_ratio)
        what = "this cell knows more than that model";
    else if (at->bound_ratio < MTH_TARGET_RATIO)
        what = "10x is out of reach for this model";
    snprintf(verdict->reason, sizeof verdict->reason, "bound %.3fx (%s): %s", at->bound_ratio,
             at->bound_model, what);
}

static void judge_throughput(struct mth_verdict *verdict)
{
    verdict->threshold = MTH_TARGET_GIB_S;
    verdict->cell = best(verdict->scope, sure_gib_s);
    verdict->value = verdict->cell ? sure_gib_s(verdict->cell) : 0;
    if (!withheld(verdict, true))
        judge(verdict, verdict->value >= MTH_TARGET_GIB_S);
}

static void judge_both(struct mth_verdict *verdict)
{
    verdict->threshold = 1;
    verdict->cell = best(verdict->scope, both_of);
    verdict->value = verdict->cell ? both_of(verdict->cell) : 0;
    if (withheld(verdict, true))
        return;
    judge(verdict, verdict->value >= 1);
    snprintf(verdict->reason, sizeof verdict->reason, "nearest cell: %.2fx at %.2f GiB/s",
             verdict->cell->ratio, sure_gib_s(verdict->cell));
}

static void judge_memory(struct mth_verdict *verdict)
{
    verdict->threshold = MTH_TARGET_MEMORY;
    verdict->cell = hungriest(verdict->scope);
    verdict->value = verdict->cell ? heap_ratio(verdict->cell) : 0;
    if (!verdict->cell) {
        withhold(verdict, "no cell was verified");
        return;
    }
    judge(verdict, verdict->value <= MTH_TARGET_MEMORY);
    if (verdict->value > MTH_TARGET_MEMORY)
        snprintf(verdict->reason, sizeof verdict->reason,
                 "codec states and scratch of fixed size weigh more than a checkpoint of %.1f MB",
                 (double)verdict->scope->raw_bytes / 1e6);
}

static void judge_exactness(struct mth_verdict *verdict)
{
    const struct mth_bench_case *at = verdict->scope;
    size_t n_verified = 0, n_failed = 0;
    for (size_t i = 0; i < at->n_cells; i++) {
        n_verified += judged(&at->cells[i]);
        if (!at->cells[i].verified && !at->cells[i].unsupported && !at->cells[i].peer_command) {
            n_failed++;
            verdict->cell = &at->cells[i];
        }
    }
    verdict->threshold = 1;
    verdict->value = n_verified + n_failed ? (double)n_verified / (double)(n_verified + n_failed) : 0;
    if (n_verified + n_failed == 0) {
        withhold(verdict, "no cell was measured");
        return;
    }
    judge(verdict, n_failed == 0);
    snprintf(verdict->reason, sizeof verdict->reason, "%zu of %zu cells restored every bit", n_verified,
             n_verified + n_failed);
}

void mth_verdicts_of(const struct mth_bench *bench, const struct mth_bench_case *at,
                     struct mth_verdict verdicts[MTH_VERDICTS_PER_CASE])
{
    static const char *const targets[MTH_VERDICTS_PER_CASE] = {"ratio", "throughput", "both", "memory",
                                                               "bit_exact"};
    for (size_t i = 0; i < MTH_VERDICTS_PER_CASE; i++)
        verdicts[i] = (struct mth_verdict){.target = targets[i], .scope = at};
    judge_ratio(bench, &verdicts[0]);
    judge_throughput(&verdicts[1]);
    judge_both(&verdicts[2]);
    judge_memory(&verdicts[3]);
    judge_exactness(&verdicts[4]);
    for (size_t i = 0; at->n_cells_elsewhere && i < MTH_VERDICTS_PER_CASE; i++) {
        char why[96];
        snprintf(why, sizeof why, "%zu of the %zu cells are in other shards: a verdict wants all",
                 at->n_cells_elsewhere, at->n_cells + at->n_cells_elsewhere);
        withhold(&verdicts[i], why);
    }
}

/* File to file, without verifying: the slower of both ways by the slow edge of its interval. */
static double sure_file_gib_s(const struct mth_bench_cell *cell)
{
    double compress = mth_gib_s(cell->parent->raw_bytes, cell->files[MTH_FILE_COMPRESS].time.ci_hi);
    double decompress = mth_gib_s(cell->parent->raw_bytes, cell->files[MTH_FILE_DECOMPRESS].time.ci_hi);
    return compress < decompress ? compress : decompress;
}

static double sure_pct_memory(const struct mth_bench_cell *cell)
{
    double compress = cell->files[MTH_FILE_COMPRESS].pct_memory.ci_lo;
    double decompress = cell->files[MTH_FILE_DECOMPRESS].pct_memory.ci_lo;
    return compress < decompress ? compress : decompress;
}

/* The quantities that --require knows; those of files are 0 where no files are measured. */
static bool required_value(const void *subject, const char *name, size_t n_name, double *value)
{
    const struct mth_bench_cell *cell = subject;
    const struct mth_quantity known[] = {
        {"ratio", cell->ratio},
        {"gib_s", sure_gib_s(cell)},
        {"compress_gib_s", mth_gib_s(cell->parent->raw_bytes, cell->phases[MTH_PHASE_COMPRESS].time.ci_hi)},
        {"decompress_gib_s",
         mth_gib_s(cell->parent->raw_bytes, cell->phases[MTH_PHASE_DECOMPRESS].time.ci_hi)},
        {"compress_pct_memcpy", cell->phases[MTH_PHASE_COMPRESS].pct_memcpy},
        {"decompress_pct_memcpy", cell->phases[MTH_PHASE_DECOMPRESS].pct_memcpy},
        {"heap_ratio", heap_ratio(cell)},
        {"file_gib_s", sure_file_gib_s(cell)},
        {"file_pct_memory", sure_pct_memory(cell)},
    };
    return mth_quantity_find(known, sizeof known / sizeof known[0], name, n_name, value);
}

static const char required_names[] =
    "ratio, gib_s, compress_gib_s, decompress_gib_s, compress_pct_memcpy, decompress_pct_memcpy, heap_ratio, "
    "file_gib_s, file_pct_memory";

int mth_require_check(const struct mth_bench *bench, const char *expression, bool *met, struct mth_error *err)
{
    *err = (struct mth_error){0};
    *met = true;
    for (size_t c = 0; c < bench->n_cases; c++) {
        for (size_t i = 0; i < bench->cases[c].n_cells; i++) {
            const struct mth_bench_cell *cell = &bench->cases[c].cells[i];
            if (!cell->unsupported && !cell->peer_command)
                *met &= mth_require_meets(expression, required_value, cell, required_names, err) &&
                        cell->verified;
            if (err->status)
                return err->status;
        }
    }
    return MTH_OK;
}
