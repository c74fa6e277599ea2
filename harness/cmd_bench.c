/* `mithril bench`: strategies over checkpoints, every cell verified, and verdicts on the targets. */
#include "harness/command.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/pool.h"
#include "harness/bench.h"
#include "harness/bench_files.h"
#include "harness/bench_rerun.h"
#include "harness/bench_resident.h"
#include "harness/clock.h"
#include "harness/conditions.h"
#include "harness/env.h"
#include "harness/loss.h"
#include "harness/progress.h"
#include "harness/text.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct mth_command_line command = {
    .usage = "bench FILE|DATASET|DIRECTORY... | --matrix FILE | --rerun ROW ROWS.jsonl",
    .summary =
        "Measure pipelines on checkpoints: ratio and throughput beside bound and memcpy, every cell "
        "restored\n"
        "and compared, and the verdicts on the targets, each with its scope.\n\n"
        "  FILE       a checkpoint of one's own; --base makes it a pair, a second --base names an older "
        "checkpoint\n"
        "             that the base became out of\n"
        "  DATASET    an id of the manifest: a dataset, or one entry of it (`mithril datasets`)\n"
        "  DIRECTORY  a checkpoint of several files (shards, torch.distributed.checkpoint); one that "
        "compress "
        "makes one\n"
        "             container of (weights and their optimizer in different files), all of its files; or a "
        "run "
        "of steps,\n"
        "             files or such directories: the first alone, each other one against the one before it",
    .notes =
        "--rounds is the most samples a cell gets (default 9); --seconds the time after which a cell gets no "
        "more\n"
        "than three (default 0.5). --files tmpfs also measures from file to file in memory, --files DIR in a "
        "directory.\n"
        "--strict refuses (5) where the machine is no place to measure, and rows with flags. --rerun ROW "
        "takes the\n"
        "arguments of a row from its file: bench --rerun ROW FILE.jsonl.\n"
        "--require 'ratio>=10,gib_s>=2.5' exits 3 unless every cell meets it.\n"
        "Rows are described in docs/rows.md, the method in docs/measurement.md.",
    .takes = MTH_TAKES_PIPELINES | MTH_TAKES_CHAIN | MTH_TAKES_THREADS | MTH_TAKES_DTYPE | MTH_TAKES_JSON |
             MTH_TAKES_EXTENSIONS | MTH_TAKES_CHUNK | MTH_TAKES_MANIFEST | MTH_TAKES_MATRIX |
             MTH_TAKES_ROUNDS | MTH_TAKES_BENCH | MTH_TAKES_PEERS | MTH_TAKES_REQUIRE | MTH_TAKES_FILES |
             MTH_TAKES_QUIET,
    .max_operands = SIZE_MAX,
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

struct bench_progress {
    struct mth_progress progress;
    const struct mth_bench *bench;
    size_t n_done; /* cells of the cases before */
    size_t n_total;
};

/*
 * Says what it would do next, and waits until it is told to: `compare --run` lets programs measure in turn. The end of
 * standard input ends it.
 */
static int wait_for_turn(const char *next)
{
    char line[16];
    printf("paced %s\n", next);
    return fflush(stdout) == 0 && fgets(line, sizeof line, stdin) ? MTH_OK : MTH_ERR_CANCELLED;
}

static int turn_of(const struct mth_bench *bench, const char *next)
{
    return bench->config.wait_for_turn ? bench->config.wait_for_turn(next) : MTH_OK;
}

static int show_round(void *arg, const struct mth_bench_case *at, size_t round, size_t n_rounds)
{
    struct bench_progress *p = arg;
    char label[128];
    if (interrupted || turn_of(p->bench, "round"))
        return MTH_ERR_CANCELLED;
    snprintf(label, sizeof label, "%.80s: %zu pipeline%s", at->id, at->n_cells, mth_text_plural(at->n_cells));
    mth_progress_show(&p->progress, p->n_done * n_rounds + round * at->n_cells, p->n_total * n_rounds, label);
    return MTH_OK;
}

static int measure_all(struct mth_bench *bench, bool quiet, struct mth_error *err)
{
    struct bench_progress progress = {.bench = bench};
    int status = MTH_OK;
    for (size_t c = 0; c < bench->n_cases; c++)
        progress.n_total += bench->cases[c].n_cells;
    mth_progress_begin(&progress.progress, quiet);
    for (size_t c = 0; !status && c < bench->n_cases; c++) {
        status = turn_of(bench, "case");
        if (!status)
            status = mth_bench_measure(bench, &bench->cases[c], show_round, &progress, err);
        progress.n_done += bench->cases[c].n_cells;
    }
    /* The runs that pairs belong to are not what takes turns. */
    if (!status)
        status = bench->config.wait_for_turn ? turn_of(bench, "rows") : mth_bench_measure_runs(bench, err);
    if (status == MTH_ERR_CANCELLED && !err->status)
        mth_error_set(err, status, "interrupted; nothing was written");
    mth_progress_end(&progress.progress);
    return status;
}

static void print_all(const struct mth_bench *bench, FILE *out)
{
    for (size_t c = 0; c < bench->n_cases; c++)
        mth_bench_print_case(bench, &bench->cases[c], out);
    mth_bench_print_verdicts(bench, out);
}

struct cell_counts {
    size_t n_verified, n_failed, n_disqualified;
};

/* A peer that fails has lost; a pipeline that fails is our own fault. */
static struct cell_counts count_cells(const struct mth_bench *bench)
{
    struct cell_counts counts = {0};
    for (size_t c = 0; c < bench->n_cases; c++) {
        for (size_t i = 0; i < bench->cases[c].n_cells; i++) {
            const struct mth_bench_cell *cell = &bench->cases[c].cells[i];
            counts.n_verified += cell->verified;
            if (!cell->verified && !cell->unsupported)
                ++*(cell->peer_command ? &counts.n_disqualified : &counts.n_failed);
        }
    }
    for (size_t i = 0; i < bench->n_run_results; i++)
        counts.n_failed += !bench->run_results[i].verified;
    return counts;
}

/* Rows, table, verdicts, and what the shell is told. */
static int conclude(struct mth_bench *bench, const struct mth_options *options, struct mth_error *err)
{
    bool met = true;
    /* The table gives way to rows on standard output. */
    FILE *out = options->json && strcmp(options->json, "-") == 0 ? stderr : stdout;
    char rows_path[4096];
    mth_bench_number_rows(bench);
    if (options->json) {
        mth_shard_path(&bench->config.shard, options->json, rows_path);
        int status = mth_bench_write_file(bench, rows_path, NULL, NULL, err);
        if (status)
            return mth_command_fail(err);
    }
    if (bench->config.shard.n_shards && !options->quiet)
        fprintf(out, "shard %s of sweep %s, %zu of %zu cells (%s)\n", bench->config.shard.text,
                bench->config.shard.sweep, bench->config.shard.n_cells, bench->config.shard.n_sweep_cells,
                bench->config.shard.from);
    print_all(bench, out);
    struct cell_counts counts = count_cells(bench);
    fprintf(out, "\n%zu cells verified, %zu failed", counts.n_verified, counts.n_failed);
    if (counts.n_disqualified)
        fprintf(out, ", %zu of peers disqualified", counts.n_disqualified);
    if (options->json && out == stdout)
        fprintf(out, "; rows: %s", rows_path);
    fprintf(out, "\n");
    if (counts.n_failed) {
        mth_error_set(err, MTH_ERR_CHECKSUM, "%zu cells did not restore their checkpoint", counts.n_failed);
        return mth_command_fail(err);
    }
    if (options->require && mth_require_check(bench, options->require, &met, err))
        return mth_command_fail(err);
    if (!met) {
        fprintf(stderr, "mithril: not every cell meets --require '%s'\n", options->require);
        return MTH_EXIT_REGRESSION;
    }
    return MTH_EXIT_OK;
}

/* Is this a place to measure on? */
static int refuse_conditions(struct mth_error *err)
{
    struct mth_conditions now;
    struct mth_condition list[MTH_N_CONDITIONS];
    mth_conditions_read(mth_conditions_root(), &now);
    mth_conditions_list(&now, (unsigned)mth_pool_processors(), list);
    for (size_t i = 0; i < MTH_N_CONDITIONS; i++) {
        if (list[i].against)
            return mth_error_set(err, MTH_ERR_LIMIT, "--strict: %s; mithril env tells all", list[i].text);
    }
    return MTH_OK;
}

static int rerun_row(const struct mth_options *options)
{
    struct mth_arguments list;
    struct mth_error err;
    int status = mth_bench_rerun(options, &list, &err);
    if (status)
        return mth_command_fail(&err);
    int code = mth_cmd_bench((int)list.n_items, list.items);
    mth_arguments_free(&list);
    return code;
}

int mth_cmd_bench(int argc, char **argv)
{
    struct mth_options options;
    struct mth_manifest *manifest = NULL;
    struct mth_error err = {0};
    char env_id[MTH_ENV_ID_BYTES];
    int code;

    if (!mth_options_parse(&command, argc, argv, &options, &code))
        return code;
    if (options.rerun) {
        code = rerun_row(&options);
        mth_options_free(&options);
        return code;
    }
    if (options.operands.n_items == 0 && !options.matrix) {
        fprintf(stderr, "mithril: bench needs a FILE, DATASET or DIRECTORY, or --matrix FILE\n");
        mth_options_free(&options);
        return MTH_EXIT_USAGE;
    }
    struct mth_bench bench = {0};
    mth_bench_configure(&bench.config, &options, env_id);
    bench.config.wait_for_turn = options.paced ? wait_for_turn : NULL;
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL); /* files that are measured must not stay behind */
    struct mth_shard shard = {0};
    int status = mth_loss_check(&options, &err);
    if (!status && options.shard)
        status = mth_shard_parse(options.shard, &shard, &err);
    if (!status && options.files) {
        bench.config.files_asked = options.files;
        status = mth_bench_files_where(options.files, &bench.config.files_directory, &err);
    }
    if (!status && options.files)
        bench.config.files_system = mth_bench_files_system(bench.config.files_directory);
    if (!status && options.strict)
        status = refuse_conditions(&err);
    if (!status)
        status = mth_bench_load_manifest(&options, &manifest, &err);
    if (!status)
        status = mth_bench_plan(&bench, &options, manifest, &err);
    if (!status && options.shard)
        status = mth_bench_take_shard(&bench, &shard, &err);
    if (!status && options.require) { /* a wrong expression is told before the measuring, not after */
        bool met;
        status = mth_require_check(&bench, options.require, &met, &err);
    }
    if (!status && options.one_pass) {
        status = mth_resident_pass(&bench, options.one_pass, options.container, &err);
        code = status ? mth_command_fail(&err) : MTH_EXIT_OK;
        goto done;
    }
    if (!status)
        status = measure_all(&bench, options.quiet, &err);
    if (!status && options.strict)
        status = mth_bench_refuse_flags(&bench, &err);
    code = status ? mth_command_fail(&err) : conclude(&bench, &options, &err);
done:
    mth_bench_free(&bench);
    mth_manifest_free(manifest);
    mth_options_free(&options);
    return code;
}
