/*
 * The benchmark: cases (a checkpoint, maybe with its base), cells (a case and a pipeline), and what was measured.
 * The method is written down in docs/measurement.md.
 */
#ifndef MTH_HARNESS_BENCH_H
#define MTH_HARNESS_BENCH_H

#include "base/hash.h"
#include "harness/bench_latency.h"
#include "harness/bench_parts.h"
#include "harness/bench_shard.h"
#include "harness/checkpoint_file.h"
#include "harness/datasets.h"
#include "harness/env.h"
#include "harness/json_writer.h"
#include "harness/options.h"
#include "harness/statistics.h"
#include "pipeline/mithril.h"

#include <stdbool.h>
#include <stdio.h>

enum mth_phase { MTH_PHASE_COMPRESS = 0, MTH_PHASE_DECOMPRESS, MTH_N_PHASES };

enum mth_cell_flags {
    MTH_CELL_IN_CACHE =
        1u << 0, /* no room for a working set beyond the cache: supports no throughput verdict */
    MTH_CELL_SHORT_SAMPLE = 1u << 1,     /* a sample lasted less than a millisecond */
    MTH_CELL_SPREAD = 1u << 2,           /* the interval is wider than 5 % of the median on a side */
    MTH_CELL_FEW_SAMPLES = 1u << 3,      /* fewer than five samples: the time budget of the cell was spent */
    MTH_CELL_NONDETERMINISTIC = 1u << 4, /* a later pass made other bytes */
    MTH_CELL_THREADS = 1u << 5,          /* used more CPU time than the threads asked for could give */
    MTH_CELL_DISQUALIFIED = 1u << 6,     /* a peer that did not restore, died, or gave no answer in time */
    MTH_CELL_GOVERNOR =
        1u << 7, /* the processors' frequency is left to another governor than "performance" */
    MTH_CELL_THROTTLED = 1u << 8, /* a processor was too hot, or a quota was used up, meanwhile */
    MTH_CELL_STOLEN = 1u << 9,    /* a hypervisor gave more than 1 % of the time to others */
    MTH_CELL_SWAPPED = 1u << 10,  /* pages went to or came from a disk */
    MTH_CELL_LOSSY =
        1u << 11, /* it restores to quantized values, not to the original: no verdict rests on it */
    MTH_CELL_UNSETTLED = 1u << 12 /* times were still falling when the warm-up ended */
};

/* The most samples that a cell is warmed up by. */
enum { MTH_WARM_UP_MOST = 10 };

/* One phase of a cell: samples are nanoseconds for one pass over the checkpoint. */
struct mth_phase_result {
    double *samples_ns;
    double *cpu_samples_ns; /* processor time of all threads in the same samples */
    double *memcpy_ns;      /* of the same rounds */
    size_t n_samples;
    double warm_up_ns[MTH_WARM_UP_MOST + 1]; /* the verifying pass, then samples that do not count */
    size_t n_warm_up;
    struct mth_summary time; /* ns */
    double cpu_ns;           /* median */
    double setup_ns;
    double pct_memcpy;
    double pct_roofline;
    size_t heap_peak_bytes;
    size_t resident_peak_bytes; /* where it was measured */
    bool resident_known;
    size_t copies; /* passes in a sample */
    uint32_t flags;
    char row_id[24];
};

/* What memory itself can do, in the same rounds; the first is what `memcpy` means elsewhere. */
enum mth_memory_pass { MTH_MEMORY_COPY = 0, MTH_MEMORY_READ, MTH_MEMORY_WRITE, MTH_N_MEMORY_PASSES };

/* What is done from file to file, where that is measured. */
enum mth_file_pass {
    MTH_FILE_COMPRESS = 0,
    MTH_FILE_COMPRESS_VERIFIED, /* each bundle restored and compared before it is written */
    MTH_FILE_DECOMPRESS,
    MTH_N_FILE_PASSES
};

/* Sample i was taken in the round of sample i of the same phase in memory. */
struct mth_file_result {
    double *samples_ns;
    double *cpu_samples;
    size_t n_samples;
    struct mth_summary time;       /* ns */
    struct mth_summary pct_memory; /* throughput in percent of that in memory, round by round */
    double *copy_ns;               /* of a plain copy from file to file, in the same rounds */
    double pct_copy;
    double cpu_ns; /* median */
    size_t heap_peak_bytes;
    uint32_t flags;
    char row_id[24];
};

struct mth_bench_case;

struct mth_bench_cell {
    struct mth_bench_case *parent;
    char *spec; /* as asked */
    struct mth_pipeline *pipeline;
    char *resolved;     /* canonical text; of a peer what it calls itself */
    char *peer_command; /* of a peer; NULL for a pipeline */
    struct mth_container_stats stats;
    struct mth_parts parts; /* where they are asked for */
    struct mth_latency latency;
    size_t stored_bytes;
    double ratio;
    bool unsupported; /* the spec has no meaning here: no base, for instance */
    bool verified;
    struct mth_error error; /* why not, when neither */
    struct mth_phase_result phases[MTH_N_PHASES];
    struct mth_file_result files[MTH_N_FILE_PASSES];
    double spent_ns;
};

struct mth_bench_case {
    char *id;
    const char *class_name;
    char *path;
    char *base_path;  /* NULL without a base */
    char *older_path; /* of an older base, that the base became out of; NULL without one */
    bool as_whole;    /* directories are one file with all that is in them */
    size_t n_threads;
    enum mth_dtype raw_dtype;
    int64_t steps_apart;     /* 0: not known, or no base */
    double lr;               /* negative: not known */
    double fraction_changed; /* negative: not known */
    char *run_id;            /* NULL: belongs to no run */
    struct mth_bench_cell *cells;
    size_t n_cells;
    size_t n_cells_elsewhere; /* in other shards */
    /* Known once it was measured. */
    uint64_t raw_bytes;
    uint64_t base_bytes, older_bytes;
    char hash[MTH_DIGEST_HEX_BYTES]; /* of the checkpoint; "" until it is loaded */
    char base_hash[MTH_DIGEST_HEX_BYTES];
    char older_hash[MTH_DIGEST_HEX_BYTES];
    size_t n_tensors;
    size_t n_files;         /* of a directory as a whole; 0 of anything else */
    const char *main_dtype; /* the dtype of most bytes */
    double bound_ratio;
    const char *bound_model;
    double memcpy_gib_s;
    struct mth_phase_result memory[MTH_N_MEMORY_PASSES];
    struct mth_phase_result file_copy; /* beside cells from file to file; a sample a round */
    bool in_cache;
};

static inline size_t mth_bench_n_bases(const struct mth_bench_case *at)
{
    return at->base_path ? (size_t)1 + (at->older_path != NULL) : 0;
}

/* Checkpoint, bases that it needs, and stored bytes: what any program must read or write. */
static inline uint64_t mth_bench_moved_bytes(const struct mth_bench_cell *cell)
{
    const struct mth_bench_case *at = cell->parent;
    return at->raw_bytes + at->base_bytes + (cell->stats.n_bases > 1 ? at->older_bytes : 0) +
           cell->stored_bytes;
}

/* Checkpoints of a run in order; its ratio is measured for each spec of its pairs. */
struct mth_bench_run {
    char *id;
    char **paths;
    size_t n_paths;
    bool as_whole; /* as in a case */
};

/* The ratio of a whole run under one spec: the first checkpoint full, each other one against the one before. */
struct mth_run_result {
    const struct mth_bench_run *run;
    const char *spec;
    uint64_t raw_bytes;
    uint64_t stored_bytes;
    double ratio;
    bool verified;
    char row_id[24];
};

struct mth_bench_config {
    const struct mth_options
        *asked;      /* for the arguments that measure a cell again; NULL: those of no command line */
    double timer_ns; /* what reading the clock takes */
    bool parts;      /* rows of kind part, for each cell */
    bool lossy;      /* lossy pipelines may be measured */
    bool resident;   /* resident peaks, in processes of their own */
    bool latency;    /* rows of kind latency */
    bool scaling;    /* cases on fewer threads, too */
    size_t rounds;
    double cell_seconds; /* after this much time a cell gets no more than three samples */
    uint64_t seed;
    size_t n_threads;
    size_t chunk_bytes;    /* 0: as each pipeline likes it */
    size_t llc_bytes;      /* what passes are cold for */
    size_t llc_real_bytes; /* what the machine has */
    double peer_seconds;   /* for one answer of a peer */
    uint64_t stop_at_ns;   /* no round begins that would end behind it, once there are some; 0: never */
    bool no_verdicts;      /* in rows: what was picked among many is not judged by the times that picked it */
    bool quiet;
    /* Called before each sample of a cell, where programs take turns. Anything but 0 ends the measuring. NULL: no turns. */
    int (*wait_for_turn)(const char *next);
    const char *files_directory; /* where files are measured; NULL: nowhere */
    const char *files_asked;     /* the same as --files said it */
    const char *files_system;    /* "tmpfs", "other" */
    const char *env_id;
    struct mth_shard shard;
    char run_tag[9]; /* 8 hex digits, another in every run: rows of several runs may be merged */
};

struct mth_bench {
    struct mth_bench_config config;
    struct mth_bench_case *cases;
    size_t n_cases;
    struct mth_bench_run *runs;
    size_t n_runs;
    struct mth_run_result *run_results;
    size_t n_run_results;
    size_t next_row;
    /* Datasets that are not here and of which that was said: once is enough. */
    const struct mth_dataset *absent[64];
    size_t n_absent;
};

struct mth_verdict {
    const char *target; /* "ratio", "throughput", "both", "memory", "bit_exact" */
    const char *result; /* "PASS", "FAIL", "UNSUPPORTED" */
    double value;
    double threshold;
    const struct mth_bench_case *scope;
    const struct mth_bench_cell *cell; /* the evidence; NULL where there is none */
    double run_ratio;                  /* of the whole run beside a pair's ratio; 0: none */
    size_t run_checkpoints;
    char reason[160];
    char row_id[24];
};

/* ---- bench_begin.c: what it begins and ends with ---- */

/* The settings that options ask for; env_id is filled, and pointed to. */
void mth_bench_configure(struct mth_bench_config *config, const struct mth_options *options,
                         char env_id[MTH_ENV_ID_BYTES]);
/* *manifest is NULL where there is none and nobody asked for one. */
int mth_bench_load_manifest(const struct mth_options *options, struct mth_manifest **manifest,
                            struct mth_error *err);
/* Rows behind those of the benchmark. */
typedef int mth_bench_more_rows(void *arg, FILE *out);
/* Rows into a file, whole or not at all; "-" is standard output. more: NULL for none. */
int mth_bench_write_file(const struct mth_bench *bench, const char *path, mth_bench_more_rows *more,
                         void *arg, struct mth_error *err);

/* ---- bench_plan.c: what to measure ---- */

/*
 * Fill cases, cells and runs from the operands (files, dataset ids, directories of step files) or from a matrix.
 * Absent datasets are skipped with one line. Errors: one line each.
 */
int mth_bench_plan(struct mth_bench *bench, const struct mth_options *options,
                   const struct mth_manifest *manifest, struct mth_error *err);
void mth_bench_free(struct mth_bench *bench);

/* Builders, for the parts of the plan. Strings are copied. */
int mth_bench_add_case(struct mth_bench *bench, const struct mth_bench_case *like,
                       struct mth_bench_case **added);
int mth_bench_add_cell(struct mth_bench_case *to, const char *spec, struct mth_error *err);
/* as_whole: its checkpoints are directories, measured as in a case. Of an id that is there nothing changes. */
int mth_bench_add_run(struct mth_bench *bench, const char *id, const char *const *paths, size_t n_paths,
                      bool as_whole);

/* Lets cells point at their cases, where cases stay from then on. */
void mth_bench_link_cells(struct mth_bench *bench);
/* Drops the cells that keep (of the indices of case and cell) does not want, and cases that have none left. */
void mth_bench_keep_cells(struct mth_bench *bench, bool (*keep)(const void *arg, size_t c, size_t i),
                          const void *arg);

/* ---- bench_whole.c: directories that are coded as a whole ---- */

/*
 * Is a directory measured as a whole? It is where compress makes one container of it against what --base names, or has made one.
 * Shape     options: NULL for a step of a run, whose bases are not known yet
 */
int mth_bench_is_whole(const char *path, const struct mth_options *options, bool *is_whole,
                       struct mth_error *err);
/* The checkpoint of a case, or one of its bases. Errors: those of checkpoint_file.h. */
int mth_bench_load(const struct mth_bench_case *at, const char *path, struct mth_memory *memory,
                   struct mth_loaded *loaded, struct mth_error *err);
/* Of a case's bases, does compress look at tensors alone? */
bool mth_bench_tensors_alone(const struct mth_bench_case *at);

/* ---- bench_matrix.c: a file of datasets and pipelines ---- */

int mth_bench_plan_matrix(struct mth_bench *bench, const char *path, const struct mth_manifest *manifest,
                          struct mth_error *err);
/* Adds a dataset's entries (all of a dataset, or one) as cases. Errors: MTH_ERR_USAGE for an id that is none. */
int mth_bench_add_dataset(struct mth_bench *bench, const char *id, const struct mth_manifest *manifest,
                          const char *const *specs, size_t n_specs, struct mth_error *err);

/* ---- bench_measure.c: measuring one case (bench_measuring.h has its inner parts) ---- */

/* Called before each round; done counts samples. Anything but 0 ends the measuring with MTH_ERR_CANCELLED. */
typedef int mth_bench_progress(void *arg, const struct mth_bench_case *at, size_t round, size_t n_rounds);

/* Errors: a case that can not be loaded, or no memory. A cell that fails keeps its own error. */
int mth_bench_measure(struct mth_bench *bench, struct mth_bench_case *at, mth_bench_progress *progress,
                      void *progress_arg, struct mth_error *err);

/* Parts of bench_cell.c that bench_peer.c shares: room for samples, one of them, and how many passes it should have. */
int mth_bench_allocate_samples(struct mth_bench_cell *cell, size_t rounds);
void mth_bench_add_sample(struct mth_bench_cell *cell, enum mth_phase phase, uint64_t wall_ns,
                          uint64_t cpu_ns, size_t copies, double memcpy_ns);
void mth_bench_begin_warm_up(struct mth_bench_cell *cell, enum mth_phase phase, double first_ns);
size_t mth_bench_copies_for(double pass_ns, size_t n_slots);

/* ---- bench_flags.c: what speaks against a row ---- */

/* What the times of a phase say against themselves; result has its summary and its processor time. */
uint32_t mth_bench_phase_flags(const struct mth_phase_result *result, size_t n_threads, bool in_cache);
/* The flags one by one, in the order of rows; NULL behind the last. */
const char *mth_bench_flag_name(size_t index, uint32_t *flag);
/* The words of enum mth_cell_flags with a comma between. */
void mth_bench_flag_words(uint32_t flags, char out[256]);
/* --strict: an error, MTH_ERR_LIMIT, that names the flags of the first cell which has any. */
int mth_bench_refuse_flags(const struct mth_bench *bench, struct mth_error *err);

/* ---- bench_warm_up.c ---- */

/*
 * Have times stopped falling? The last two of at least three must not lie more than 5 % below the fastest before each.
 */
bool mth_warm_up_settled(const double *passes_ns, size_t n);

/* ---- bench_scaling.c: the same on fewer threads ---- */

/* Adds each case again on 1, 2, 4, ... threads, as many as are fewer than it has. */
int mth_bench_add_scaling(struct mth_bench *bench, struct mth_error *err);
/*
 * Parallel efficiency of a cell's phase in percent: its throughput over that of one thread times its threads; -1 where one
 * thread was not measured. 100 for one thread.
 */
double mth_bench_efficiency(const struct mth_bench *bench, const struct mth_bench_cell *cell,
                            enum mth_phase phase);

/* ---- bench_runs.c ---- */

int mth_bench_measure_runs(struct mth_bench *bench, struct mth_error *err);
/* The result of a run under a spec, NULL when it was not measured. */
const struct mth_run_result *mth_bench_run_result(const struct mth_bench *bench, const char *run_id,
                                                  const char *spec);

/* ---- verdicts.c ---- */

enum { MTH_VERDICTS_PER_CASE = 5 };
#define MTH_TARGET_RATIO  10.0
#define MTH_TARGET_GIB_S  2.5
#define MTH_TARGET_MEMORY 2.0

/* The verdicts of one case, in the order of struct mth_verdict's comment. */
void mth_verdicts_of(const struct mth_bench *bench, const struct mth_bench_case *at,
                     struct mth_verdict verdicts[MTH_VERDICTS_PER_CASE]);

/* Does every cell meet --require? Errors: MTH_ERR_USAGE for an expression that is none. */
int mth_require_check(const struct mth_bench *bench, const char *expression, bool *met,
                      struct mth_error *err);

/* GiB/s of a phase at a time in ns; 0 for no time. */
double mth_gib_s(uint64_t raw_bytes, double ns);

/* ---- bench_rows.c ---- */

/* Gives every row its id. Call once, when all is measured. */
void mth_bench_number_rows(struct mth_bench *bench);
int mth_bench_write_rows(const struct mth_bench *bench, const char *env_row, FILE *out);

/* ---- bench_table.c ---- */

void mth_bench_print_case(const struct mth_bench *bench, const struct mth_bench_case *at, FILE *out);
void mth_bench_print_verdicts(const struct mth_bench *bench, FILE *out);

#endif
