/* `mithril chain compare`: what each policy and pipeline costs on a run, as a table and as rows. */
#include "harness/chain_command.h"
#include "harness/chain_compare.h"
#include "harness/command.h"

#include "base/file.h"
#include "base/hash.h"
#include "harness/bench_files.h"
#include "harness/clock.h"
#include "harness/directory.h"
#include "harness/env.h"
#include "harness/loss.h"
#include "harness/output.h"
#include "harness/progress.h"
#include "harness/text.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SCHEMA = 1, ROW_ID_BYTES = 32 };

static const char *const default_policies[] = {"full",         "full:every=2", "full:every=4",
                                               "full:every=8", "consecutive",  "one-shot:every=4",
                                               "one-shot",     "intermittent"};
static const char *const default_specs[] = {"balanced"};

struct comparing {
    const struct mth_options *options;
    struct mth_chain_comparison comparison;
    struct mth_chain_cell *cells;
    size_t n_cells, n_measured;
    char *dataset; /* what the run is called */
    const char *file_system;
    struct mth_progress progress;
    char label[128];
};

static volatile sig_atomic_t interrupted;

static void note_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static int go_on(void *arg, uint64_t n_done, uint64_t n_total)
{
    (void)arg, (void)n_done, (void)n_total;
    return interrupted || mth_output_interrupted();
}

/* ---- rows ---- */

static void put_restored(struct mth_json_writer *w, const char *which, const struct mth_chain_restored *step,
                         bool is_mean, size_t n_steps)
{
    mth_json_begin_object(w, which);
    if (!is_mean)
        mth_json_uint(w, "step", step->number);
    if (is_mean)
        mth_json_real(w, "n_links", (double)step->n_links / (double)n_steps);
    else
        mth_json_uint(w, "n_links", step->n_links);
    mth_json_uint(w, "read_bytes", step->read_bytes);
    mth_json_uint(w, "restore_ns", step->ns);
    mth_json_uint(w, "heap_peak_bytes", step->heap_bytes);
    mth_json_end(w);
}

static void put_steps(struct mth_json_writer *w, const struct mth_chain_cell *cell)
{
    mth_json_begin_array(w, "steps");
    for (size_t i = 0; i < cell->n_steps; i++) {
        const struct mth_chain_restored *step = &cell->steps[i];
        mth_json_begin_object(w, NULL);
        mth_json_uint(w, "step", step->number);
        mth_json_uint(w, "stored_bytes", step->stored_bytes);
        mth_json_uint(w, "n_links", step->n_links);
        mth_json_uint(w, "read_bytes", step->read_bytes);
        mth_json_uint(w, "restore_ns", step->ns);
        mth_json_uint(w, "restore_cpu_ns", step->cpu_ns);
        mth_json_uint(w, "link_ns", step->link_ns);
        mth_json_uint(w, "link_cpu_ns", step->link_cpu_ns);
        mth_json_real(w, "pct_links", step->pct_links);
        mth_json_real(w, "pct_links_cpu", step->pct_links_cpu);
        mth_json_end(w);
    }
    mth_json_end(w);
}

static void put_percents(struct mth_json_writer *w, const struct mth_chain_cell *cell)
{
    struct mth_chain_pct pct = mth_chain_pct_links(cell);
    mth_json_real(w, "pct_links", pct.wall);
    mth_json_real(w, "pct_links_cpu", pct.cpu);
    mth_json_real(w, "pct_links_worst", pct.worst_wall);
    mth_json_real(w, "pct_links_cpu_worst", pct.worst_cpu);
}

static void put_argv(struct mth_json_writer *w, const struct comparing *at, const struct mth_chain_cell *cell)
{
    char threads[24];
    snprintf(threads, sizeof threads, "%zu", at->comparison.n_threads);
    const char *const words[] = {"mithril",  "chain", "compare", "--policy", cell->policy,       "-p",
                                 cell->spec, "-t",    threads,   "--keep",   at->comparison.keep};
    mth_json_begin_array(w, "argv");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        mth_json_string(w, NULL, words[i]);
    if (cell->loss.is_lossy)
        mth_json_string(w, NULL, "--lossy");
    if (at->options->files) {
        mth_json_string(w, NULL, "--files");
        mth_json_string(w, NULL, at->options->files);
    }
    for (size_t i = 0; i < at->options->operands.n_items; i++)
        mth_json_string(w, NULL, at->options->operands.items[i]);
    mth_json_end(w);
}

static void put_row(struct mth_json_writer *w, const struct comparing *at, const struct mth_chain_cell *cell,
                    const char *row_id, const char *env_id)
{
    mth_json_writer_reset(w);
    mth_json_begin_object(w, NULL);
    mth_json_int(w, "schema", SCHEMA);
    mth_json_string(w, "kind", "chain");
    mth_json_string(w, "row_id", row_id);
    mth_json_string(w, "env_id", env_id);
    mth_json_string(w, "dataset", at->dataset);
    mth_json_string(w, "policy", cell->policy);
    mth_json_string(w, "spec", cell->spec);
    mth_json_string(w, "spec_alone", cell->spec_alone);
    mth_json_string(w, "spec_delta", cell->spec_delta);
    mth_json_uint(w, "threads", at->comparison.n_threads);
    mth_json_string(w, "file_system", at->file_system);
    mth_json_uint(w, "n_steps", at->comparison.files->n_items);
    mth_json_uint(w, "n_full", cell->n_full);
    mth_json_uint(w, "raw_bytes", cell->raw_bytes);
    mth_json_uint(w, "stored_bytes", cell->stored_bytes);
    if (cell->verified && cell->stored_bytes)
        mth_json_real(w, "ratio", (double)cell->raw_bytes / (double)cell->stored_bytes);
    else
        mth_json_null(w, "ratio");
    mth_json_uint(w, "written_bytes", cell->written_bytes);
    mth_json_string(w, "keep", at->comparison.keep);
    mth_json_uint(w, "kept_bytes", cell->kept_bytes);
    mth_json_uint(w, "kept_peak_bytes", cell->kept_peak_bytes);
    mth_json_uint(w, "add_ns", cell->add_ns);
    if (cell->verified) {
        struct mth_chain_restored mean = mth_chain_mean(cell);
        put_restored(w, "last", &cell->steps[cell->n_steps - 1], false, cell->n_steps);
        put_restored(w, "worst", &cell->steps[mth_chain_worst(cell)], false, cell->n_steps);
        put_restored(w, "mean", &mean, true, cell->n_steps);
        mth_json_int(w, "rounds", MTH_CHAIN_ROUNDS);
        put_percents(w, cell);
        put_steps(w, cell);
    }
    mth_json_bool(w, "verified", cell->verified);
    mth_loss_put(w, &cell->loss);
    mth_json_bool(w, "unsupported", cell->unsupported);
    mth_json_string(w, "error", cell->verified ? NULL : cell->err.text);
    put_argv(w, at, cell);
    mth_json_end(w);
}

static int append(struct mth_json_writer *w, FILE *out)
{
    const char *text;
    size_t n_text;
    int status = mth_json_writer_text(w, &text, &n_text);
    return status ? status : fwrite(text, 1, n_text, out) == n_text ? MTH_OK : MTH_ERR_NO_MEMORY;
}

static int make_rows(const struct comparing *at, FILE *out)
{
    struct mth_json_writer w;
    char env_id[MTH_ENV_ID_BYTES], row_id[ROW_ID_BYTES];
    uint64_t now[2] = {mth_clock_ns(), (uint64_t)getpid()};
    unsigned tag = (unsigned)mth_hash64(now, sizeof now, 0);
    mth_env_id(env_id);
    mth_json_writer_init(&w);
    mth_env_row(&w, NULL);
    int status = append(&w, out);
    for (size_t i = 0; !status && i < at->n_measured; i++) {
        snprintf(row_id, sizeof row_id, "%08x-%zu", tag, i + 1);
        put_row(&w, at, &at->cells[i], row_id, env_id);
        status = append(&w, out);
    }
    mth_json_writer_free(&w);
    return status;
}

static int write_rows(const struct comparing *at, const char *path, struct mth_error *err)
{
    char *text = NULL;
    size_t n_text = 0;
    FILE *out = open_memstream(&text, &n_text);
    int status = out ? make_rows(at, out) : MTH_ERR_NO_MEMORY;
    if (out && fclose(out) != 0 && !status)
        status = MTH_ERR_NO_MEMORY;
    if (status)
        mth_error_set(err, status, "cannot make the rows: %s", mth_status_text(status));
    else if (strcmp(path, "-") != 0)
        status = mth_file_write_all(path, (struct mth_bytes){(const uint8_t *)text, n_text}, err);
    else if (fwrite(text, 1, n_text, stdout) != n_text)
        status = mth_error_set(err, MTH_ERR_IO, "cannot write to standard output");
    free(text);
    return status;
}

/* ---- the table ---- */

static void print_head(const struct comparing *at, FILE *out)
{
    char name[MTH_TEXT_BYTES], raw[MTH_TEXT_BYTES];
    fprintf(out, "%s: %zu step%s, %s; kept: %s; %zu thread%s\n", mth_text_name(at->dataset, 60, name),
            at->comparison.files->n_items, mth_text_plural(at->comparison.files->n_items),
            mth_text_size(at->cells[0].raw_bytes, raw), at->comparison.keep, at->comparison.n_threads,
            mth_text_plural(at->comparison.n_threads));
    fprintf(out, "%-17s %-14s %10s %7s %10s %5s | %-17s | %-29s | %-20s | %9s | %-11s\n", "", "", "", "", "",
            "", "links", "bytes read", "seconds", "", "cpu, links%");
    fprintf(out, "%-17s %-14s %10s %7s %10s %5s | %5s %5s %5s | %9s %9s %9s | %6s %6s %6s | %9s | %5s %5s\n",
            "policy", "pipeline", "written", "ratio", "kept", "full", "last", "worst", "mean", "last",
            "worst", "mean", "last", "worst", "mean", "memory", "all", "worst");
}

static void print_cell(const struct mth_chain_cell *cell, FILE *out)
{
    char loss[MTH_LOSS_TEXT_BYTES], written[MTH_TEXT_BYTES], kept[MTH_TEXT_BYTES], spec[MTH_TEXT_BYTES],
        read[3][MTH_TEXT_BYTES], memory[MTH_TEXT_BYTES];
    mth_text_name(cell->spec, 14, spec);
    if (!cell->verified) {
        fprintf(out, "%-17s %-14s %s: %s\n", cell->policy, spec, cell->unsupported ? "UNSUPPORTED" : "FAILED",
                cell->err.text);
        return;
    }
    struct mth_chain_restored mean = mth_chain_mean(cell);
    struct mth_chain_pct pct = mth_chain_pct_links(cell);
    const struct mth_chain_restored *last = &cell->steps[cell->n_steps - 1];
    const struct mth_chain_restored *worst = &cell->steps[mth_chain_worst(cell)];
    uint64_t heap_bytes = 0;
    for (size_t i = 0; i < cell->n_steps; i++)
        heap_bytes = cell->steps[i].heap_bytes > heap_bytes ? cell->steps[i].heap_bytes : heap_bytes;
    fprintf(out,
            "%-17s %-14s %10s %7.3f %10s %5zu | %5llu %5llu %5.1f | %9s %9s %9s | %6.3f %6.3f %6.3f | %9s "
            "| %5.1f %5.1f%s\n",
            cell->policy, spec, mth_text_size(cell->written_bytes, written),
            cell->stored_bytes ? (double)cell->raw_bytes / (double)cell->stored_bytes : 0,
            mth_text_size(cell->kept_bytes, kept), cell->n_full, (unsigned long long)last->n_links,
            (unsigned long long)worst->n_links, (double)mean.n_links / (double)cell->n_steps,
            mth_text_size(last->read_bytes, read[0]), mth_text_size(worst->read_bytes, read[1]),
            mth_text_size(mean.read_bytes, read[2]), (double)last->ns * 1e-9, (double)worst->ns * 1e-9,
            (double)mean.ns * 1e-9, mth_text_size(heap_bytes, memory), pct.cpu, pct.worst_cpu,
            mth_loss_text(&cell->loss, loss));
}

/* ---- the command ---- */

/* The run by its directory, or by that of its first file. */
static char *name_run(const struct mth_options *options)
{
    const char *first = options->operands.items[0];
    return mth_path_is_directory(first) ? mth_path_trimmed(first) : mth_path_directory(first);
}

/* A spec that is none is told before anything is measured; one that has no form for this is for its cells to say. */
static int check_spec(const char *spec, struct mth_error *err)
{
    struct mth_pipeline *pipeline = NULL;
    int status = mth_pipeline_parse(spec, true, &pipeline, err);
    mth_pipeline_destroy(pipeline);
    return status == MTH_ERR_UNSUPPORTED ? MTH_OK : status;
}

static int plan(struct comparing *at, struct mth_error *err)
{
    const struct mth_words *policies = &at->options->policies, *specs = &at->options->pipelines;
    size_t n_policies =
        policies->n_items ? policies->n_items : sizeof default_policies / sizeof default_policies[0];
    size_t n_specs = specs->n_items ? specs->n_items : sizeof default_specs / sizeof default_specs[0];
    const char *const *policy_items = policies->n_items ? policies->items : default_policies;
    const char *const *spec_items = specs->n_items ? specs->items : default_specs;
    at->cells = calloc(n_policies * n_specs, sizeof *at->cells);
    if (!at->cells)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the cells");
    int status = MTH_OK;
    for (size_t s = 0; !status && s < n_specs; s++)
        status = check_spec(spec_items[s], err);
    for (size_t s = 0; !status && s < n_specs; s++)
        for (size_t p = 0; p < n_policies; p++) {
            at->cells[at->n_cells].policy = policy_items[p];
            at->cells[at->n_cells++].spec = spec_items[s];
        }
    /* Wrong rules are told before anything is measured. */
    const struct mth_chain none = {0};
    return status ? status : mth_chain_keep(&none, at->comparison.keep, NULL, err);
}

static int measure_all(struct comparing *at, struct mth_error *err)
{
    int status = MTH_OK;
    mth_progress_begin(&at->progress, at->options->quiet);
    for (size_t i = 0; !status && i < at->n_cells; i++) {
        snprintf(at->label, sizeof at->label, "%.40s, %.60s", at->cells[i].policy, at->cells[i].spec);
        mth_progress_show(&at->progress, i, at->n_cells, at->label);
        status = mth_chain_measure(&at->comparison, &at->cells[i], err);
        at->n_measured += !status;
    }
    mth_progress_end(&at->progress);
    if (status == MTH_ERR_CANCELLED)
        mth_error_set(err, status, "interrupted, nothing was written");
    return status;
}

static int compare(struct comparing *at, struct mth_error *err)
{
    const char *json = at->options->json;
    FILE *out = json && strcmp(json, "-") == 0 ? stderr : stdout;
    size_t n_failed = 0;
    int status = mth_loss_check(at->options, err);
    if (!status)
        status = plan(at, err);
    if (!status)
        status = measure_all(at, err);
    if (!status && json)
        status = write_rows(at, json, err);
    if (status)
        return status;
    print_head(at, out);
    for (size_t i = 0; i < at->n_cells; i++) {
        print_cell(&at->cells[i], out);
        n_failed += !at->cells[i].verified && !at->cells[i].unsupported;
    }
    return n_failed ? mth_error_set(err, MTH_ERR_CHECKSUM, "%zu of %zu chains did not restore their run",
                                    n_failed, at->n_cells)
                    : MTH_OK;
}

static int choose_directory(struct comparing *at, struct mth_error *err)
{
    const char *temporary = getenv("TMPDIR");
    int status = MTH_OK;
    at->comparison.directory = temporary && *temporary ? temporary : "/tmp";
    if (at->options->files)
        status = mth_bench_files_where(at->options->files, &at->comparison.directory, err);
    at->file_system = mth_bench_files_system(at->comparison.directory);
    return status;
}

int mth_chain_cmd_compare(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .name = "chain compare",
        .usage = "chain compare DIRECTORY|FILE... [OPTION...]",
        .summary =
            "Makes a chain of a run under each policy and pipeline, restores every step, compares it with "
            "its "
            "original, and\n"
            "tells what that takes: bytes written, bytes kept (what the steps that --keep names stand on; by "
            "default the last\n"
            "one), and links, bytes, seconds and memory to restore the last step, the worst and the mean.",
        .notes = "Without --policy all kinds are compared, without -p balanced. links% is the processor "
                 "time of restoring in "
                 "percent of the\n"
                 "sum of the links on their own, of all steps and of the worst one. Chains are made in "
                 "TMPDIR, /tmp, or where --files says, and "
                 "removed. The "
                 "default is one\n"
                 "thread.",
        .takes = MTH_TAKES_PIPELINES | MTH_TAKES_POLICIES | MTH_TAKES_KEEP | MTH_TAKES_THREADS |
                 MTH_TAKES_DTYPE | MTH_TAKES_MEMORY | MTH_TAKES_FILES | MTH_TAKES_JSON |
                 MTH_TAKES_EXTENSIONS | MTH_TAKES_QUIET,
        .min_operands = 1,
        .max_operands = SIZE_MAX,
    };
    struct mth_chain_run run;
    struct mth_step_files files = {0};
    struct mth_error err = {0};
    int exit_code;
    if (!mth_chain_run_begin(&line, argc, argv, &run, &exit_code))
        return exit_code;
    struct comparing at = {.options = &run.options};
    at.comparison = (struct mth_chain_comparison){.files = &files,
                                                  .keep = run.options.keep ? run.options.keep : "last:1",
                                                  .dtype = run.options.dtype,
                                                  .n_threads = run.options.threads ? run.options.threads : 1,
                                                  .memory_bytes = run.options.memory_bytes,
                                                  .lossy = run.options.lossy,
                                                  .progress = go_on};
    /* The directories that chains are made in must not stay behind. */
    struct sigaction action = {.sa_handler = note_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    int status = mth_chain_inputs_find(&run.options, 0, &files, &err);
    at.dataset = status ? NULL : name_run(&run.options);
    if (!status && !at.dataset)
        status = mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
    if (!status)
        status = choose_directory(&at, &err);
    if (!status)
        status = compare(&at, &err);
    for (size_t i = 0; i < at.n_cells; i++)
        mth_chain_cell_free(&at.cells[i]);
    free(at.cells);
    free(at.dataset);
    mth_step_files_free(&files);
    return mth_chain_run_end(&run, status, &err);
}
