/*
 * Reports: result rows of one or more runs as tables, as a figure, as the project's status. Everything is made from
 * rows, so that the same rows give the same bytes; nothing is measured here. The rows' schema is in docs/rows.md.
 */
#ifndef MTH_HARNESS_REPORT_H
#define MTH_HARNESS_REPORT_H

#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"
#include "harness/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { MTH_ROWS_SCHEMA = 1 };

/* Strings are borrowed from the rows; NULL is what a row has as null or not at all. Reals are then -1, integers 0. */

struct mth_report_env {
    const char *env_id;
    const char *cpu_model, *cpu_features, *kernel, *os, *compiler, *version, *commit, *machine;
    int64_t cpus_allowed, llc_bytes, memory_bytes;
    struct mth_json_node libraries; /* an object of codec to version; its value is NULL where there is none */
};

/* What was measured together: a dataset on a machine with a number of threads. */
struct mth_report_group {
    const char *env_id;
    const char *dataset, *class_name, *base, *older, *run_id, *dtype, *hash, *base_hash, *older_hash;
    int64_t threads, raw_bytes, steps_apart;
    double lr, fraction_changed;
    double bound_ratio;
    const char *bound_model;
    double memcpy_gib_s, read_gib_s, write_gib_s, timer_ns; /* all but the first from rows of kind baseline */
};

struct mth_report_cell {
    size_t group;
    const char *row_id, *spec, *spec_resolved, *phase, *kernel, *error;
    int64_t stored_bytes, heap_peak_bytes, resident_peak_bytes, chunk_bytes, n_samples;
    double ratio, median_ns, mad_ns, ci_lo_ns, ci_hi_ns, setup_ns, cpu_ns;
    double gib_s, gib_s_lo, gib_s_hi, pct_memcpy, p95_ns, pct_roofline, pct_parallel;
    struct mth_json_node samples,
        cpu_samples; /* samples_ns, cpu_samples_ns; n_samples of each, or none of the latter */
    char *flags;     /* words with a space between */
    bool verified, unsupported;
    bool lossy; /* its spec says so, with the error, wherever it is shown */
};

struct mth_report_verdict {
    const char *row_id, *env_id, *target, *result, *scope, *dataset, *class_name, *base, *older, *spec,
        *reason, *bound_model;
    double value, threshold, bound_ratio, run_ratio;
    int64_t threads, steps_apart, run_checkpoints;
    char *evidence; /* row ids with a space between */
};

struct mth_report_run {
    const char *row_id, *run_id, *spec;
    int64_t n_checkpoints, raw_bytes, stored_bytes;
    double ratio;
    bool verified;
};

/* What the parts of a checkpoint take under a pipeline, by role. */
struct mth_report_part {
    const char *env_id, *dataset, *base, *older, *spec, *part;
    int64_t threads, raw_bytes, stored_bytes;
};

/* Single tensors of a size, in one phase of a pipeline. */
struct mth_report_latency {
    const char *env_id, *dataset, *base, *older, *spec, *phase;
    int64_t threads, up_to_bytes, n_tensors, n_calls;
    double p50_ns, p95_ns, p99_ns;
};

/* Timed from file to file: a command line, or a cell of the benchmark, which has a spec. */
struct mth_report_e2e {
    const char *row_id, *env_id, *tool, *dataset, *base, *older, *phase, *spec, *file_system, *cache;
    int64_t raw_bytes, stored_bytes, threads;
    double ratio, median_ns, gib_s, pct_memory, pct_memory_lo, pct_memory_hi;
};

/* Restoring a step of a chain. Links are a mean where it stands for all steps. */
struct mth_report_restored {
    double n_links, read_bytes, restore_ns, heap_peak_bytes;
};

/* A run as a chain, under one policy and pipeline. */
struct mth_report_chain {
    const char *row_id, *env_id, *dataset, *policy, *spec, *keep, *error;
    int64_t threads, n_steps, n_full, raw_bytes, stored_bytes, written_bytes, kept_bytes, kept_peak_bytes;
    struct mth_report_restored last, worst, mean;
    double ratio, pct_links, pct_links_cpu, pct_links_cpu_worst;
    bool verified;
};

/* A search for pipelines. front: row ids of compressing cells; classes: see mth_report_explore_points. */
struct mth_report_exploration {
    const char *row_id, *env_id, *dataset, *base, *older, *prefer, *winner, *winner_row;
    int64_t threads, raw_bytes;
    double budget_s, took_s;
    struct mth_json_node front, classes;
    size_t n_front, n_classes;
};

/* A point of a class's front on samples. */
struct mth_report_explore_point {
    const char *class_name, *spec;
    int64_t raw_bytes, n_specs; /* of the class */
    int64_t sample_bytes;
    double ratio, compress_gib_s, decompress_gib_s;
};

/* A part of a sweep, that one process measured. */
struct mth_report_shard {
    const char *sweep, *shard, *row_id, *plan, *build;
    const char *file;        /* where it was read, borrowed from the caller */
    int64_t n_cells, n_read; /* that it has, -1 where its row is not there; cells that were read */
};

struct mth_report {
    struct mth_memory *memory;
    const char *file; /* that is being read */
    struct mth_report_env *envs;
    struct mth_report_group *groups;
    struct mth_report_cell *cells;
    struct mth_report_verdict *verdicts;
    struct mth_report_run *runs;
    struct mth_report_e2e *e2e;
    struct mth_report_part *parts; /* by role; others are passed over */
    struct mth_report_chain *chains;
    struct mth_report_latency *latencies;
    struct mth_report_shard *shards;
    struct mth_report_exploration *explorations;
    size_t n_explorations;
    size_t n_envs, n_groups, n_cells, n_verdicts, n_runs, n_e2e, n_parts, n_chains, n_latencies, n_shards;
    struct mth_json **documents; /* what the strings lie in */
    size_t n_documents;
    char **texts; /* what was joined of them */
    size_t n_texts;
    size_t capacities[13]; /* of these arrays, as report_rows.h numbers them */
};

/*
 * Read files of rows. A cell, verdict or run that comes again (the same machine, dataset, pipeline, threads and phase)
 * replaces the one before, in its place. Rows of kinds that are not known are passed over.
 * Errors: those of reading a file; MTH_ERR_FORMAT, MTH_ERR_UNSUPPORTED (a newer schema) with file and line.
 */
int mth_report_read(struct mth_report *report, const char *const *paths, size_t n_paths,
                    struct mth_error *err);
/* The same of rows in memory, called name in messages. */
int mth_report_read_text(struct mth_report *report, const char *name, struct mth_bytes text,
                         struct mth_error *err);
void mth_report_free(struct mth_report *report);

/* The cell of the other phase of the same pipeline; NULL when there is none. */
const struct mth_report_cell *mth_report_other_phase(const struct mth_report *report,
                                                     const struct mth_report_cell *cell);
/* Peak heap and resident memory of the hungrier phase of a pipeline, by the cell of either; 0 where not known. */
int64_t mth_report_heap(const struct mth_report *report, const struct mth_report_cell *cell);
int64_t mth_report_resident(const struct mth_report *report, const struct mth_report_cell *cell);
/* Is it the compress phase? Tables have a line for each of these. */
bool mth_report_is_compress(const struct mth_report_cell *cell);
/* "alone", "against a base", "against the base 1 step before", "against the base 1 step before and an older one". */
enum { MTH_REPORT_SCOPE_BYTES = 96 };
const char *mth_report_scope(const char *base, const char *older, int64_t steps_apart,
                             char out[MTH_REPORT_SCOPE_BYTES]);

/* ---- report_explore.c: explorations ---- */

typedef void mth_report_explore_each(void *arg, const struct mth_report_explore_point *point);
/* Goes through the points of all classes; each may be NULL. Errors: MTH_ERR_FORMAT for members that are not there or of another
 * type: reading a row asks once. */
int mth_report_explore_points(const struct mth_report_exploration *exploration, mth_report_explore_each *each,
                              void *arg, struct mth_error *err);

/* ---- report_sweeps.c: parts of sweeps ---- */

/* The shard that rows like this one belong to; NULL when none was read yet. */
struct mth_report_shard *mth_report_find_shard(const struct mth_report *report,
                                               const struct mth_report_shard *like);
/* Shards that are lost, there twice, foreign, or not whole, told in one line. How many they are. */
size_t mth_report_sweep_problems(const struct mth_report *report, FILE *out);
/* The same as an error, MTH_ERR_FORMAT; with partial only a warning on standard error. */
int mth_report_check_sweeps(const struct mth_report *report, bool partial, struct mth_error *err);

/* ---- what reports are made ---- */

void mth_report_markdown(const struct mth_report *report, FILE *out);
void mth_report_csv(const struct mth_report *report, FILE *out);

/* What a Markdown table can hold: '|' and control characters are taken out of a text. */
void mth_markdown_text(const char *text, FILE *out);

/* A page of HTML that needs nothing else, with drawings in it; svg begins at its element. */
struct mth_report_drawing {
    const char *svg, *caption;
    size_t n_svg;
};
void mth_report_html(const struct mth_report *report, const struct mth_report_drawing *drawings,
                     size_t n_drawings, FILE *out);
/* Tables for a paper, with booktabs. */
void mth_report_latex(const struct mth_report *report, FILE *out);

/* gaps: a page of docs/ to include, its links as they are there, or NULL. complete: whether every criterion holds in its scope. */
void mth_report_status(const struct mth_report *report, const char *gaps, FILE *out, bool *complete);

/*
 * Makes the table of verdicts between the marker lines of a README anew. Errors: those of reading and writing it;
 * MTH_ERR_FORMAT when the markers are not there.
 */
int mth_report_readme(const struct mth_report *report, const char *path, struct mth_error *err);

/* hyperfine's JSON into rows of kind e2e, one a line. Errors: MTH_ERR_FORMAT, ... */
int mth_report_hyperfine(const char *path, FILE *out, struct mth_error *err);

#endif
