/* Result rows as JSON Lines; the schema is in docs/rows.md and only grows. */
#include "harness/bench.h"

#include "base/cpu.h"
#include "harness/bench_arguments.h"
#include "harness/bench_files.h"
#include "harness/env.h"
#include "harness/loss.h"
#include "harness/pairing.h"

#include <stdlib.h>
#include <string.h>

enum { SCHEMA = 1 };

static const char *const phase_names[MTH_N_PHASES] = {"compress", "decompress"};

static const struct {
    const char *tool;
    bool verifies;
} file_passes[MTH_N_FILE_PASSES] = {{"mithril, unverified", false}, {"mithril", true}, {"mithril", false}};

static void number(struct mth_bench *bench, char row_id[24])
{
    snprintf(row_id, 24, "%.8s-%zu", bench->config.run_tag, ++bench->next_row);
}

void mth_bench_number_rows(struct mth_bench *bench)
{
    if (bench->config.shard.n_shards)
        number(bench, bench->config.shard.row_id);
    for (size_t c = 0; c < bench->n_cases; c++) {
        for (size_t p = 0; p < MTH_N_MEMORY_PASSES; p++)
            number(bench, bench->cases[c].memory[p].row_id);
        number(bench, bench->cases[c].file_copy.row_id);
        for (size_t i = 0; i < bench->cases[c].n_cells; i++) {
            for (size_t p = 0; p < MTH_N_PHASES; p++)
                number(bench, bench->cases[c].cells[i].phases[p].row_id);
            for (size_t p = 0; p < MTH_N_FILE_PASSES; p++)
                number(bench, bench->cases[c].cells[i].files[p].row_id);
        }
    }
    for (size_t i = 0; i < bench->n_run_results; i++)
        number(bench, bench->run_results[i].row_id);
}

static void put_real_or_null(struct mth_json_writer *w, const char *key, double value, bool known)
{
    if (known)
        mth_json_real(w, key, value);
    else
        mth_json_null(w, key);
}

static void put_uint_or_null(struct mth_json_writer *w, const char *key, uint64_t value, bool known)
{
    if (known)
        mth_json_uint(w, key, value);
    else
        mth_json_null(w, key);
}

static void begin_row(struct mth_json_writer *w, const struct mth_bench *bench, const char *kind,
                      const char *row_id)
{
    mth_json_writer_reset(w);
    mth_json_begin_object(w, NULL);
    mth_json_int(w, "schema", SCHEMA);
    mth_json_string(w, "kind", kind);
    mth_json_string(w, "row_id", row_id);
    mth_json_string(w, "env_id", bench->config.env_id);
    if (bench->config.shard.n_shards) {
        mth_json_string(w, "sweep", bench->config.shard.sweep);
        mth_json_string(w, "shard", bench->config.shard.text);
    }
}

static void put_case(struct mth_json_writer *w, const struct mth_bench_case *at)
{
    bool pair = at->base_path != NULL;
    mth_json_string(w, "dataset", at->id);
    mth_json_string(w, "class", at->class_name);
    mth_json_string(w, "base", at->base_path);
    mth_json_string(w, "dataset_xxh3", at->hash[0] ? at->hash : NULL);
    mth_json_string(w, "base_xxh3", at->base_hash[0] ? at->base_hash : NULL);
    mth_json_string(w, "older", at->older_path);
    mth_json_string(w, "older_xxh3", at->older_hash[0] ? at->older_hash : NULL);
    if (pair && at->steps_apart > 0)
        mth_json_int(w, "steps_apart", at->steps_apart);
    else
        mth_json_null(w, "steps_apart");
    put_real_or_null(w, "lr", at->lr, pair && at->lr >= 0);
    put_real_or_null(w, "fraction_changed", at->fraction_changed, pair && at->fraction_changed >= 0);
    mth_json_string(w, "run_id", at->run_id);
    mth_json_string(w, "dtype", at->main_dtype);
    put_uint_or_null(w, "n_files", at->n_files, at->n_files > 0);
}

static void put_samples(struct mth_json_writer *w, const char *key, const double *samples, size_t n_samples)
{
    mth_json_begin_array(w, key);
    for (size_t i = 0; i < n_samples; i++)
        mth_json_real(w, NULL, samples[i]);
    mth_json_end(w);
}

static void put_summary(struct mth_json_writer *w, const struct mth_summary *time, bool known)
{
    put_real_or_null(w, "median_ns", time->median, known);
    put_real_or_null(w, "mad_ns", time->mad, known);
    put_real_or_null(w, "p95_ns", time->p95, known);
    put_real_or_null(w, "ci_lo_ns", time->ci_lo, known);
    put_real_or_null(w, "ci_hi_ns", time->ci_hi, known);
}

/* Indices into the samples: they are told, and stay in. */
static void put_outliers(struct mth_json_writer *w, const double *samples, size_t n_samples,
                         const struct mth_summary *time)
{
    mth_json_begin_array(w, "outliers");
    for (size_t i = 0; i < n_samples; i++) {
        if (mth_is_outlier(samples[i], time))
            mth_json_uint(w, NULL, i);
    }
    mth_json_end(w);
}

static void put_times(struct mth_json_writer *w, const struct mth_phase_result *result, bool with_memcpy)
{
    put_samples(w, "samples_ns", result->samples_ns, result->n_samples);
    if (with_memcpy) {
        put_samples(w, "warm_up_ns", result->warm_up_ns, result->n_warm_up);
        put_samples(w, "cpu_samples_ns", result->cpu_samples_ns, result->n_samples);
        put_samples(w, "memcpy_ns", result->memcpy_ns, result->n_samples);
    }
    put_summary(w, &result->time, result->n_samples > 0);
    put_outliers(w, result->samples_ns, result->n_samples, &result->time);
    mth_json_uint(w, "passes_per_sample", result->copies);
}

static void put_speed(struct mth_json_writer *w, uint64_t raw_bytes, const struct mth_summary *time,
                      bool known)
{
    put_real_or_null(w, "gib_s", mth_gib_s(raw_bytes, time->median), known);
    put_real_or_null(w, "gib_s_lo", mth_gib_s(raw_bytes, time->ci_hi), known);
    put_real_or_null(w, "gib_s_hi", mth_gib_s(raw_bytes, time->ci_lo), known);
}

static void put_argv(struct mth_json_writer *w, const struct mth_bench *bench,
                     const struct mth_bench_cell *cell)
{
    struct mth_arguments list;
    int status = mth_bench_arguments(bench, cell, &list);
    if (status) {
        mth_json_null(w, "argv");
    } else {
        mth_json_begin_array(w, "argv");
        for (size_t i = 0; i < list.n_items; i++)
            mth_json_string(w, NULL, list.items[i]);
        mth_json_end(w);
    }
    mth_arguments_free(&list);
}

static void put_flags(struct mth_json_writer *w, uint32_t flags)
{
    mth_json_begin_array(w, "flags");
    uint32_t flag;
    const char *name;
    for (size_t i = 0; (name = mth_bench_flag_name(i, &flag)) != NULL; i++) {
        if (flags & flag)
            mth_json_string(w, NULL, name);
    }
    mth_json_end(w);
}

static size_t chunk_bytes_of(const struct mth_bench *bench, const struct mth_bench_case *at,
                             const struct mth_bench_cell *cell)
{
    if (bench->config.chunk_bytes || !cell->pipeline)
        return bench->config.chunk_bytes;
    return mth_pipeline_chunk_bytes(cell->pipeline, at->base_path != NULL);
}

/* NAME_peak_bytes, and NAME_per_byte of the checkpoint. */
static void put_memory(struct mth_json_writer *w, const char *name, size_t n_bytes, uint64_t raw_bytes,
                       bool known)
{
    char key[32];
    snprintf(key, sizeof key, "%s_peak_bytes", name);
    put_uint_or_null(w, key, n_bytes, known);
    snprintf(key, sizeof key, "%s_per_byte", name);
    put_real_or_null(w, key, raw_bytes ? (double)n_bytes / (double)raw_bytes : 0, known && raw_bytes > 0);
}

static void put_cell(struct mth_json_writer *w, const struct mth_bench *bench,
                     const struct mth_bench_case *at, const struct mth_bench_cell *cell, size_t phase)
{
    const struct mth_phase_result *result = &cell->phases[phase];
    bool timed = cell->verified && result->n_samples > 0;
    begin_row(w, bench, "cell", result->row_id);
    put_case(w, at);
    mth_json_string(w, "spec", cell->spec);
    mth_json_string(w, "spec_resolved", cell->resolved);
    mth_json_string(w, "phase", phase_names[phase]);
    mth_json_uint(w, "threads", at->n_threads);
    mth_json_uint(w, "raw_bytes", at->raw_bytes);
    if (cell->verified)
        mth_json_uint(w, "stored_bytes", cell->stored_bytes);
    else
        mth_json_null(w, "stored_bytes");
    put_real_or_null(w, "ratio", cell->ratio, cell->verified);
    put_real_or_null(w, "bound_ratio", at->bound_ratio, at->bound_ratio > 0);
    mth_json_string(w, "bound_model", at->bound_model);
    put_times(w, result, true);
    put_real_or_null(w, "setup_ns", result->setup_ns, timed);
    put_real_or_null(w, "cpu_ns", result->cpu_ns, timed);
    put_speed(w, at->raw_bytes, &result->time, timed);
    put_real_or_null(w, "pct_memcpy", result->pct_memcpy, timed);
    put_real_or_null(w, "memcpy_gib_s", at->memcpy_gib_s, timed);
    put_uint_or_null(w, "moved_bytes", mth_bench_moved_bytes(cell), timed);
    put_real_or_null(w, "pct_roofline", result->pct_roofline, timed && result->pct_roofline > 0);
    put_real_or_null(w, "gib_s_thread", mth_gib_s(at->raw_bytes, result->time.median) / (double)at->n_threads,
                     timed);
    double efficiency = mth_bench_efficiency(bench, cell, (enum mth_phase)phase);
    put_real_or_null(w, "pct_parallel", efficiency, timed && efficiency >= 0);
    put_memory(w, "heap", result->heap_peak_bytes, at->raw_bytes, !cell->peer_command);
    put_memory(w, "resident", result->resident_peak_bytes, at->raw_bytes,
               cell->verified && result->resident_known);
    put_uint_or_null(w, "chunk_bytes", chunk_bytes_of(bench, at, cell), cell->pipeline != NULL);
    put_uint_or_null(w, "n_chunks", cell->stats.n_chunks, !cell->peer_command);
    put_uint_or_null(w, "payload_bytes", cell->stats.payload_bytes, !cell->peer_command);
    put_uint_or_null(w, "n_bases", cell->stats.n_bases, cell->verified && !cell->peer_command);
    mth_pairing_put(w, "paired", mth_paired_of(&cell->stats.paired) ? &cell->stats.paired : NULL);
    mth_loss_put(w, &cell->stats.loss);
    char kernels[64];
    mth_cpu_describe(mth_cpu_features(), kernels, sizeof kernels);
    mth_json_string(w, "kernel", cell->peer_command ? NULL : kernels);
    put_flags(w, result->flags);
    mth_json_bool(w, "verified", cell->verified);
    mth_json_bool(w, "unsupported", cell->unsupported);
    mth_json_string(w, "error", cell->verified ? NULL : cell->error.text);
    put_argv(w, bench, cell);
    mth_json_end(w);
}

static void put_file_pass(struct mth_json_writer *w, const struct mth_bench *bench,
                          const struct mth_bench_case *at, const struct mth_bench_cell *cell,
                          enum mth_file_pass pass)
{
    const struct mth_file_result *result = &cell->files[pass];
    enum mth_phase phase = mth_file_pass_phase(pass);
    begin_row(w, bench, "e2e", result->row_id);
    mth_json_string(w, "tool", file_passes[pass].tool);
    mth_json_string(w, "phase", phase_names[phase]);
    put_case(w, at);
    mth_json_string(w, "spec", cell->spec);
    mth_json_string(w, "spec_resolved", cell->resolved);
    mth_json_bool(w, "verifies", file_passes[pass].verifies);
    mth_json_string(w, "file_system", bench->config.files_system);
    mth_json_uint(w, "threads", at->n_threads);
    mth_json_uint(w, "raw_bytes", at->raw_bytes);
    mth_json_uint(w, "stored_bytes", cell->stored_bytes);
    mth_json_real(w, "ratio", cell->ratio);
    put_samples(w, "samples_ns", result->samples_ns, result->n_samples);
    put_samples(w, "memory_ns", cell->phases[phase].samples_ns, result->n_samples);
    put_summary(w, &result->time, true);
    put_outliers(w, result->samples_ns, result->n_samples, &result->time);
    mth_json_real(w, "cpu_ns", result->cpu_ns);
    put_speed(w, at->raw_bytes, &result->time, true);
    mth_json_real(w, "pct_memory", result->pct_memory.median);
    mth_json_real(w, "pct_memory_lo", result->pct_memory.ci_lo);
    mth_json_real(w, "pct_memory_hi", result->pct_memory.ci_hi);
    put_samples(w, "copy_ns", result->copy_ns, result->n_samples);
    mth_json_real(w, "pct_copy", result->pct_copy);
    mth_json_string(w, "memory_row", cell->phases[phase].row_id);
    mth_json_uint(w, "heap_peak_bytes", result->heap_peak_bytes);
    put_flags(w, result->flags);
    mth_json_bool(w, "verified", cell->verified);
    put_argv(w, bench, cell);
    mth_json_end(w);
}

static void put_part(struct mth_json_writer *w, const struct mth_bench *bench,
                     const struct mth_bench_case *at, const struct mth_bench_cell *cell, size_t index)
{
    const struct mth_part *part = &cell->parts.items[index];
    const char *cell_row = cell->phases[MTH_PHASE_COMPRESS].row_id;
    char row_id[48];
    snprintf(row_id, sizeof row_id, "%s-p%zu", cell_row, index + 1);
    begin_row(w, bench, "part", row_id);
    put_case(w, at);
    mth_json_string(w, "spec", cell->spec);
    mth_json_string(w, "spec_resolved", cell->resolved);
    mth_json_uint(w, "threads", at->n_threads);
    mth_json_string(w, "cell_row", cell_row);
    mth_json_string(w, "by", part->by);
    mth_json_string(w, "part", part->name);
    mth_json_string(w, "part_dtype", part->role ? mth_dtype_info(part->dtype)->name : NULL);
    mth_json_string(w, "part_role", part->role);
    mth_json_uint(w, "raw_bytes", part->raw_bytes);
    mth_json_uint(w, "stored_bytes", part->stored_bytes);
    put_real_or_null(w, "ratio", (double)part->raw_bytes / (double)part->stored_bytes,
                     part->stored_bytes > 0);
    mth_json_end(w);
}

static int flush(struct mth_json_writer *w, FILE *out)
{
    const char *text;
    size_t n_bytes;
    int status = mth_json_writer_text(w, &text, &n_bytes);
    if (!status && fwrite(text, 1, n_bytes, out) != n_bytes)
        status = MTH_ERR_IO;
    return status;
}

/* The calls of a phase on tensors of a size. */
static void put_latency(struct mth_json_writer *w, const struct mth_bench *bench,
                        const struct mth_bench_cell *cell, size_t index, size_t phase)
{
    const struct mth_latency_class *sizes = &cell->latency.classes[index];
    const struct mth_latency_calls *calls = &sizes->phases[phase];
    const char *cell_row = cell->phases[phase].row_id;
    char row_id[48];
    snprintf(row_id, sizeof row_id, "%s-l%zu", cell_row, index + 1);
    begin_row(w, bench, "latency", row_id);
    put_case(w, cell->parent);
    mth_json_string(w, "spec", cell->spec);
    mth_json_string(w, "spec_resolved", cell->resolved);
    mth_json_string(w, "phase", phase_names[phase]);
    mth_json_uint(w, "threads", cell->parent->n_threads);
    mth_json_string(w, "cell_row", cell_row);
    mth_json_uint(w, "up_to_bytes", sizes->up_to_bytes);
    mth_json_uint(w, "n_tensors", sizes->n_tensors);
    mth_json_uint(w, "raw_bytes", sizes->raw_bytes);
    mth_json_uint(w, "stored_bytes", sizes->stored_bytes);
    put_samples(w, "samples_ns", calls->samples_ns, calls->n_samples);
    mth_json_real(w, "p50_ns", calls->p50_ns);
    mth_json_real(w, "p95_ns", calls->p95_ns);
    mth_json_real(w, "p99_ns", calls->p99_ns);
    mth_json_real(w, "timer_ns", bench->config.timer_ns);
    put_flags(w, calls->n_samples < MTH_LATENCY_ENOUGH ? MTH_CELL_FEW_SAMPLES : 0);
    mth_json_end(w);
}

static int write_latency(struct mth_json_writer *w, const struct mth_bench *bench,
                         const struct mth_bench_cell *cell, FILE *out)
{
    int status = MTH_OK;
    for (size_t c = 0; c < MTH_LATENCY_CLASSES && cell->verified; c++) {
        for (size_t p = 0; !status && p < MTH_N_PHASES && cell->latency.classes[c].n_tensors; p++) {
            put_latency(w, bench, cell, c, p);
            status = flush(w, out);
        }
    }
    return status;
}

static void put_baseline(struct mth_json_writer *w, const struct mth_bench *bench,
                         const struct mth_bench_case *at, const char *what,
                         const struct mth_phase_result *result)
{
    begin_row(w, bench, "baseline", result->row_id);
    put_case(w, at);
    mth_json_string(w, "what", what);
    mth_json_uint(w, "threads", at->n_threads);
    mth_json_uint(w, "raw_bytes", at->raw_bytes);
    put_times(w, result, false);
    mth_json_real(w, "gib_s", mth_gib_s(at->raw_bytes, result->time.median));
    mth_json_real(w, "timer_ns", bench->config.timer_ns);
    put_flags(w, at->in_cache ? MTH_CELL_IN_CACHE : 0);
    mth_json_end(w);
}

static void put_run(struct mth_json_writer *w, const struct mth_bench *bench,
                    const struct mth_run_result *result)
{
    begin_row(w, bench, "run", result->row_id);
    mth_json_string(w, "run_id", result->run->id);
    mth_json_string(w, "spec", result->spec);
    mth_json_uint(w, "n_checkpoints", result->run->n_paths);
    mth_json_uint(w, "raw_bytes", result->raw_bytes);
    mth_json_uint(w, "stored_bytes", result->stored_bytes);
    mth_json_real(w, "ratio", result->ratio);
    mth_json_bool(w, "verified", result->verified);
    mth_json_end(w);
}

/* What a sweep is known by, also where this shard has no cells. */
static void put_shard(struct mth_json_writer *w, const struct mth_bench *bench)
{
    const struct mth_shard *shard = &bench->config.shard;
    begin_row(w, bench, "shard", shard->row_id);
    mth_json_string(w, "plan", shard->plan);
    mth_json_string(w, "build", shard->build);
    mth_json_uint(w, "n_cells", shard->n_cells);
    mth_json_uint(w, "n_sweep_cells", shard->n_sweep_cells);
    mth_json_string(w, "from", shard->from);
    mth_json_end(w);
}

static void put_verdict(struct mth_json_writer *w, const struct mth_bench *bench,
                        const struct mth_verdict *verdict, const char *row_id)
{
    const struct mth_bench_case *at = verdict->scope;
    char scope[256], files[48] = "";
    if (at->n_files)
        snprintf(files, sizeof files, ", all %zu files of it", at->n_files);
    snprintf(scope, sizeof scope, "%.120s (%s%s), %zu thread%s%s", at->id, at->class_name, files,
             at->n_threads, at->n_threads == 1 ? "" : "s",
             at->older_path  ? ", against a base and an older one"
             : at->base_path ? ", against a base"
                             : ", alone");
    begin_row(w, bench, "verdict", row_id);
    mth_json_string(w, "target", verdict->target);
    mth_json_string(w, "result", verdict->result);
    mth_json_real(w, "value", verdict->value);
    mth_json_real(w, "threshold", verdict->threshold);
    mth_json_string(w, "scope", scope);
    put_case(w, at);
    mth_json_uint(w, "threads", at->n_threads);
    mth_json_uint(w, "raw_bytes", at->raw_bytes);
    mth_json_string(w, "spec", verdict->cell ? verdict->cell->spec : NULL);
    mth_json_string(w, "reason", verdict->reason[0] ? verdict->reason : NULL);
    put_real_or_null(w, "bound_ratio", at->bound_ratio, at->bound_ratio > 0);
    mth_json_string(w, "bound_model", at->bound_model);
    put_real_or_null(w, "run_ratio", verdict->run_ratio, verdict->run_ratio > 0);
    if (verdict->run_ratio > 0)
        mth_json_uint(w, "run_checkpoints", verdict->run_checkpoints);
    else
        mth_json_null(w, "run_checkpoints");
    mth_json_begin_array(w, "evidence");
    if (verdict->cell) {
        mth_json_string(w, NULL, verdict->cell->phases[MTH_PHASE_COMPRESS].row_id);
        mth_json_string(w, NULL, verdict->cell->phases[MTH_PHASE_DECOMPRESS].row_id);
    } else {
        for (size_t i = 0; i < at->n_cells; i++)
            mth_json_string(w, NULL, at->cells[i].phases[MTH_PHASE_DECOMPRESS].row_id);
    }
    const struct mth_run_result *run = verdict->cell && verdict->run_ratio > 0
                                           ? mth_bench_run_result(bench, at->run_id, verdict->cell->spec)
                                           : NULL;
    if (run)
        mth_json_string(w, NULL, run->row_id);
    mth_json_end(w);
    mth_json_end(w);
}

static int write_case(struct mth_json_writer *w, const struct mth_bench *bench,
                      const struct mth_bench_case *at, FILE *out)
{
    static const char *const passes[MTH_N_MEMORY_PASSES] = {"memcpy", "read", "write"};
    int status = MTH_OK;
    for (size_t p = 0; !status && p < MTH_N_MEMORY_PASSES; p++) {
        put_baseline(w, bench, at, passes[p], &at->memory[p]);
        status = flush(w, out);
    }
    if (!status && at->file_copy.n_samples) {
        put_baseline(w, bench, at, "file_copy", &at->file_copy);
        status = flush(w, out);
    }
    for (size_t i = 0; !status && i < at->n_cells; i++) {
        for (size_t p = 0; !status && p < MTH_N_PHASES; p++) {
            put_cell(w, bench, at, &at->cells[i], p);
            status = flush(w, out);
        }
        for (size_t p = 0; !status && p < at->cells[i].parts.n_items; p++) {
            put_part(w, bench, at, &at->cells[i], p);
            status = flush(w, out);
        }
        if (!status)
            status = write_latency(w, bench, &at->cells[i], out);
        for (size_t p = 0; !status && p < MTH_N_FILE_PASSES; p++) {
            if (!at->cells[i].verified || at->cells[i].files[p].n_samples == 0)
                continue;
            put_file_pass(w, bench, at, &at->cells[i], (enum mth_file_pass)p);
            status = flush(w, out);
        }
    }
    return status;
}

int mth_bench_write_rows(const struct mth_bench *bench, const char *env_row, FILE *out)
{
    struct mth_json_writer w;
    size_t n_verdicts = 0;
    int status = fputs(env_row, out) < 0 ? MTH_ERR_IO : MTH_OK;
    mth_json_writer_init(&w);
    if (!status && bench->config.shard.n_shards) {
        put_shard(&w, bench);
        status = flush(&w, out);
    }
    for (size_t c = 0; !status && c < bench->n_cases; c++)
        status = write_case(&w, bench, &bench->cases[c], out);
    for (size_t i = 0; !status && i < bench->n_run_results; i++) {
        put_run(&w, bench, &bench->run_results[i]);
        status = flush(&w, out);
    }
    for (size_t c = 0; !status && !bench->config.no_verdicts && c < bench->n_cases; c++) {
        struct mth_verdict verdicts[MTH_VERDICTS_PER_CASE];
        mth_verdicts_of(bench, &bench->cases[c], verdicts);
        for (size_t i = 0; !status && i < MTH_VERDICTS_PER_CASE; i++) {
            char row_id[24];
            snprintf(row_id, sizeof row_id, "%.8s-v%zu", bench->config.run_tag, ++n_verdicts);
            put_verdict(&w, bench, &verdicts[i], row_id);
            status = flush(&w, out);
        }
    }
    mth_json_writer_free(&w);
    return status;
}
