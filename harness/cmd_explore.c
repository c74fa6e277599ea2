/* `mithril explore`: which pipelines are worth it on this checkpoint, and the one to take. */
#include "harness/command.h"

#include "harness/clock.h"
#include "harness/conditions.h"
#include "harness/explore.h"
#include "harness/explore_sample.h"
#include "harness/output.h"
#include "harness/progress.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_BUDGET_S 60
/* Of the time that is free: the search, of that the presets on a sample of all; the rest is for measuring in full. */
#define SEARCH_SHARE 0.55
#define PRESET_SHARE 0.1
/* What estimates may be wrong by, and what comes behind the measuring. */
#define MARGIN 0.95

static const struct mth_command_line command = {
    .usage = "explore FILE|DATASET|DIRECTORY [--base FILE [--base OLDER]] [--budget TIME]",
    .summary = "Search transforms, codecs and their options for the Pareto front of ratio against both "
               "speeds, for each\n"
               "class of tensors: on samples first, the survivors in full. Prints the front with what each "
               "point costs,\n"
               "every one restored and compared, and writes the winner as a spec that --pipeline takes.",
    .notes =
        "A directory is one checkpoint, as bench takes it. A second --base is an older checkpoint that the "
        "base "
        "became out\n"
        "of.\n"
        "--prefer ratio, speed or balanced, or weights: ratio:4,compress:1,decompress:1. The winner goes to\n"
        "standard output, behind the table (alone with -q), or to the file of -o. --memory is what one spec "
        "may\n"
        "take while it is tried (default 512MiB). --json writes the rows of bench and one of kind explore.\n"
        "docs/explore.md tells how it is done.",
    .takes = MTH_TAKES_CHAIN | MTH_TAKES_THREADS | MTH_TAKES_OUTPUT | MTH_TAKES_FORCE | MTH_TAKES_DTYPE |
             MTH_TAKES_JSON | MTH_TAKES_EXTENSIONS | MTH_TAKES_MANIFEST | MTH_TAKES_MEMORY |
             MTH_TAKES_EXPLORE | MTH_TAKES_QUIET,
    .min_operands = 1,
    .max_operands = 1,
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

struct run {
    struct mth_options options;
    struct mth_manifest *manifest; /* names in the case are its */
    struct mth_bench bench;
    struct mth_exploration exploration;
    struct mth_progress progress;
    struct mth_loaded input, base, older;
    struct mth_memory *memory;
    struct mth_explore_source source;
    struct mth_explore_sample samples[MTH_MAX_COST_SETS][MTH_EXPLORE_LEVELS];
    uint64_t begin_ns, end_ns;
    double full_ns;  /* what measuring in full takes before its first round */
    double sweep_ns; /* of the caches, before each sample */
};

static double seconds_since(const struct run *run, uint64_t begin)
{
    (void)run;
    return (double)(mth_clock_ns() - begin) * 1e-9;
}

/* ---- hooks of the search ---- */

static int measure(void *arg, size_t class_index, size_t level, const char *spec, struct mth_cost *cost)
{
    struct run *run = arg;
    struct mth_error err;
    if (interrupted)
        return MTH_ERR_CANCELLED;
    double all = (double)(run->end_ns - run->begin_ns), now = (double)(mth_clock_ns() - run->begin_ns);
    mth_progress_show(&run->progress, (size_t)(1000 * now / all), 1000,
                      run->exploration.classes[class_index].guard);
    return mth_explore_sample_measure(&run->samples[class_index][level], spec, run->bench.config.n_threads,
                                      run->options.memory_bytes, cost, &err);
}

static uint64_t now_ns(void *arg)
{
    (void)arg;
    return mth_clock_ns();
}

/* ---- loading ---- */

/* One checkpoint: an operand that stands for several is refused with their names. */
static int plan(struct run *run, struct mth_error *err)
{
    const char *store[] = {"store"};
    struct mth_options options = run->options;
    options.pipelines = (struct mth_words){store, 1};
    int status = mth_bench_plan(&run->bench, &options, run->manifest, err);
    if (!status && run->bench.n_cases > 1)
        status =
            mth_error_set(err, MTH_ERR_USAGE, "%.80s stands for %zu checkpoints; name one, such as %.80s",
                          options.operands.items[0], run->bench.n_cases, run->bench.cases[1].id);
    return status;
}

static int load(struct run *run, struct mth_error *err)
{
    const struct mth_bench_case *at = &run->bench.cases[0];
    run->memory = mth_memory_create(0);
    int status = run->memory ? MTH_OK : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    if (!status)
        status = mth_bench_load(at, at->path, run->memory, &run->input, err);
    if (!status && at->base_path)
        status = mth_bench_load(at, at->base_path, run->memory, &run->base, err);
    if (!status && at->older_path)
        status = mth_bench_load(at, at->older_path, run->memory, &run->older, err);
    if (!status && mth_explore_source_open(&run->source, &run->input, at->base_path ? &run->base : NULL,
                                           at->older_path ? &run->older : NULL))
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    if (!status)
        mth_explore_classes(&run->source, run->exploration.classes, &run->exploration.n_classes);
    if (!status && run->exploration.n_classes == 0)
        status = mth_error_set(err, MTH_ERR_UNSUPPORTED, "%.200s: has no tensors of 4 KiB or more to explore",
                               at->path);
    return status;
}

static void unload(struct run *run)
{
    for (size_t c = 0; c < MTH_MAX_COST_SETS; c++) {
        for (size_t l = 0; l < MTH_EXPLORE_LEVELS; l++)
            mth_explore_sample_free(&run->samples[c][l]);
    }
    mth_explore_source_close(&run->source);
    if (run->base.memory)
        mth_loaded_close(&run->base);
    if (run->older.memory)
        mth_loaded_close(&run->older);
    if (run->input.memory)
        mth_loaded_close(&run->input);
    run->base = run->older = run->input = (struct mth_loaded){0};
    mth_memory_destroy(run->memory);
    run->memory = NULL;
}

/* ---- the budget ---- */

/* Nanoseconds a byte to touch memory that was just asked for, and to go over it again a line at a time: buffers are large. */
static void time_memory(double *touch_ns, double *sweep_ns)
{
    enum { SOME_BYTES = 64 << 20, LINE_BYTES = 64 };
    *touch_ns = *sweep_ns = 1;
    uint64_t begin = mth_clock_ns();
    volatile uint8_t *bytes = malloc(SOME_BYTES);
    if (!bytes)
        return;
    memset((void *)(uintptr_t)bytes, 1, SOME_BYTES);
    uint64_t middle = mth_clock_ns();
    for (size_t i = 0; i < SOME_BYTES; i += LINE_BYTES)
        bytes[i]++;
    *touch_ns = (double)(middle - begin) / SOME_BYTES;
    *sweep_ns = (double)(mth_clock_ns() - middle) / SOME_BYTES;
    free((void *)(uintptr_t)bytes);
}

/* What the benchmark does before its first round: loading once more, the bound, its buffers. */
static void estimate_full(struct run *run, double load_s)
{
    const double bound_ns = 3, n_buffers = 4;
    double raw =
        (double)run->input.bytes.n_bytes + (double)run->base.bytes.n_bytes + (double)run->older.bytes.n_bytes;
    double llc = (double)run->bench.config.llc_bytes;
    double slots = raw > 4 * llc ? raw : 4 * llc + raw;
    double touch_ns, sweep_ns;
    time_memory(&touch_ns, &sweep_ns);
    run->full_ns = load_s * 1e9 + raw * bound_ns + 0.75 * touch_ns * (n_buffers * slots + 2 * llc);
    run->sweep_ns = 2 * llc * sweep_ns;
}

/* What the samples of so many rounds take for each cell, beside long passes. */
static double rounds_ns(const struct run *run, double n_rounds)
{
    const double sample_goal_ns = 10e6;
    return n_rounds * MTH_N_PHASES * (run->sweep_ns + sample_goal_ns);
}

/* Is there time for a search of a second, and for the least that can be told? */
static bool budget_suffices(const struct run *run)
{
    const double search_s = 1, n_cells = 3, n_rounds = 1;
    double needed = seconds_since(run, run->begin_ns) + search_s +
                    (run->full_ns + n_cells * rounds_ns(run, n_rounds)) * 1e-9;
    if (needed <= run->exploration.budget_s)
        return true;
    fprintf(stderr,
            "mithril: a budget of %g s is too small for this checkpoint on this machine; %.0f s would be "
            "enough to "
            "begin with%s\n",
            run->exploration.budget_s, needed * 1.5 + 1,
            run->bench.config.llc_bytes > (32u << 20)
                ? " (fewer with --cache 32MiB, where caches then flatter)"
                : "");
    return false;
}

/* ---- the search ---- */

/* The same seed draws the same pieces. Sizes are then as they came out. */
static int make_samples(struct run *run, struct mth_error *err)
{
    for (size_t c = 0; c < run->exploration.n_classes; c++) {
        struct mth_explore_class *at = &run->exploration.classes[c];
        at->has_base = false;
        for (size_t l = 0; l < at->n_levels; l++) {
            struct mth_explore_sample *sample = &run->samples[c][l];
            if (mth_explore_sample_make(sample, &run->source, at->dtype, at->class_, at->sample_bytes[l],
                                        run->bench.config.seed + l))
                return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for samples");
            at->sample_bytes[l] = sample->n_bytes;
            at->has_base |= sample->has_base;
        }
    }
    return MTH_OK;
}

/* Presets on a sample of everything, each scaled to all of it. */
static int try_presets(struct run *run, uint64_t deadline_ns, struct mth_error *err)
{
    enum { SAMPLE_BYTES = 1 << 19 };
    struct mth_explore_sample sample;
    const struct mth_preset *preset;
    bool has_base = run->bench.cases[0].base_path != NULL;
    if (mth_explore_sample_make(&sample, &run->source, MTH_DTYPE_OPAQUE, MTH_N_CLASSES, SAMPLE_BYTES,
                                run->bench.config.seed))
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for samples");
    double growth = sample.n_bytes ? (double)run->input.bytes.n_bytes / (double)sample.n_bytes : 1;
    int status = MTH_OK;
    for (size_t i = 0; !status && (preset = mth_preset_at(i)) != NULL && mth_clock_ns() < deadline_ns; i++) {
        struct mth_cost cost;
        struct mth_error failed;
        if (interrupted)
            status = mth_error_set(err, MTH_ERR_CANCELLED, "interrupted; nothing was written");
        if (status || !(has_base ? preset->delta : preset->spec) ||
            mth_explore_sample_measure(&sample, preset->name, run->bench.config.n_threads,
                                       run->options.memory_bytes, &cost, &failed))
            continue;
        for (size_t k = 0; k < MTH_N_COSTS; k++)
            cost.of[k] *= growth;
        if (mth_explore_add_pick(&run->exploration, preset->name, &cost, true))
            status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    }
    mth_explore_sample_free(&sample);
    return status;
}

/* Each class gets time by the root of its bytes: large ones are worth more of it, small ones need some. */
static int search(struct run *run, struct mth_error *err)
{
    struct mth_exploration *exploration = &run->exploration;
    const struct mth_explore_hooks hooks = {.measure = measure, .now_ns = now_ns, .arg = run};
    uint64_t begin = mth_clock_ns();
    double free_ns = (double)run->end_ns - (double)begin - run->full_ns, total = 0, share = 0;
    double search_ns = (free_ns > 0 ? free_ns : 0) * SEARCH_SHARE, class_ns = search_ns * (1 - PRESET_SHARE);
    int status = make_samples(run, err);
    for (size_t c = 0; c < exploration->n_classes; c++)
        total += sqrt((double)exploration->classes[c].n_bytes);
    for (size_t c = 0; !status && c < exploration->n_classes; c++) {
        struct mth_explore_class *at = &exploration->classes[c];
        share += sqrt((double)at->n_bytes) / total;
        status =
            mth_explore_search(at, c, run->bench.config.seed, begin + (uint64_t)(share * class_ns), &hooks);
        if (status)
            mth_error_set(err, status,
                          status == MTH_ERR_CANCELLED ? "interrupted; nothing was written" : "no memory");
    }
    if (!status && mth_explore_join(exploration))
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    if (!status)
        status = try_presets(run, begin + (uint64_t)search_ns, err);
    return status;
}

/* ---- measuring in full ---- */

static int show_round(void *arg, const struct mth_bench_case *at, size_t round, size_t n_rounds)
{
    struct run *run = arg;
    (void)round, (void)n_rounds;
    double all = (double)(run->end_ns - run->begin_ns), now = (double)(mth_clock_ns() - run->begin_ns);
    char label[64];
    snprintf(label, sizeof label, "%zu pipelines in full", at->n_cells);
    mth_progress_show(&run->progress, (size_t)(1000 * now / all), 1000, label);
    return interrupted ? MTH_ERR_CANCELLED : MTH_OK;
}

/* Is there a cell that means the same? Presets may. */
static bool is_there(const struct mth_bench_case *at, const char *spec)
{
    struct mth_pipeline *pipeline;
    struct mth_error err;
    bool found = false;
    if (mth_pipeline_parse(spec, at->base_path != NULL, &pipeline, &err))
        return false;
    for (size_t i = 0; i < at->n_cells; i++)
        found |= strcmp(at->cells[i].resolved, mth_pipeline_text(pipeline)) == 0;
    mth_pipeline_destroy(pipeline);
    return found;
}

static int measure_in_full(struct run *run, struct mth_error *err)
{
    enum { MAX_ROUNDS = 1000, MIN_ROUNDS = 3, N_PASSES = 5 };
    struct mth_bench *bench = &run->bench;
    struct mth_bench_case *at = &bench->cases[0];
    size_t chosen[MTH_EXPLORE_CELLS], n_chosen, rounds = bench->config.rounds;
    double raw = (double)run->input.bytes.n_bytes, cell_seconds = bench->config.cell_seconds;
    double left = (double)run->end_ns - (double)mth_clock_ns() - run->full_ns - rounds_ns(run, MIN_ROUNDS);
    int status = mth_explore_choose(&run->exploration, raw, N_PASSES, rounds_ns(run, MIN_ROUNDS), left,
                                    chosen, &n_chosen, err);
    unload(run);
    /* "store" is there already, and stays: what nothing costs. */
    for (size_t i = 0; !status && i < n_chosen && at->n_cells < MTH_EXPLORE_CELLS; i++) {
        if (!is_there(at, run->exploration.picks[chosen[i]].spec))
            status = mth_bench_add_cell(at, run->exploration.picks[chosen[i]].spec, err);
    }
    mth_bench_link_cells(bench);
    bench->config.rounds = MAX_ROUNDS;
    bench->config.cell_seconds = 1e9;
    bench->config.stop_at_ns = run->end_ns;
    bench->config.no_verdicts = true;
    if (!status)
        status = mth_bench_measure(bench, at, show_round, run, err);
    /* Rows tell how one of them is measured again, and that is bench's way. */
    bench->config.rounds = rounds;
    bench->config.cell_seconds = cell_seconds;
    return status;
}

/* ---- what comes of it ---- */

static int more_rows(void *arg, FILE *out)
{
    const struct run *run = arg;
    return mth_explore_write_row(&run->exploration, &run->bench, out);
}

static int write_winner(const struct run *run, const char *spec, FILE *table, struct mth_error *err)
{
    char text[4200];
    if (!run->options.output && run->options.quiet) {
        fprintf(table, "%s\n", spec); /* beside rows on standard output on standard error */
        return MTH_OK;
    }
    if (!run->options.output) {
        fprintf(table, "winner (%s): %s\n", run->exploration.preference.name, spec);
        return MTH_OK;
    }
    int n = snprintf(text, sizeof text, "%s\n", spec);
    int status =
        mth_output_write(run->options.output, (struct mth_bytes){(const uint8_t *)text, (size_t)n}, err);
    if (!status && !run->options.quiet)
        fprintf(table, "winner (%s) in %s: %s\n", run->exploration.preference.name, run->options.output,
                spec);
    return status;
}

/* Exit code. */
static int conclude(struct run *run, struct mth_error *err)
{
    struct mth_exploration *exploration = &run->exploration;
    const struct mth_bench_case *at = &run->bench.cases[0];
    bool rows_printed = run->options.json && strcmp(run->options.json, "-") == 0;
    FILE *table = rows_printed ? stderr : stdout;
    if (mth_explore_conclude(exploration, at)) {
        mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
        return mth_command_fail(err);
    }
    for (size_t i = 0; i < at->n_cells; i++) {
        if (!at->cells[i].verified && !at->cells[i].unsupported) {
            mth_error_set(err, MTH_ERR_CHECKSUM, "%.200s: does not restore the checkpoint: %.200s",
                          at->cells[i].spec, at->cells[i].error.text);
            return mth_command_fail(err);
        }
    }
    mth_bench_number_rows(&run->bench);
    exploration->spent_s[3] = seconds_since(run, run->begin_ns);
    if (run->options.json && mth_bench_write_file(&run->bench, run->options.json, more_rows, run, err))
        return mth_command_fail(err);
    if (!run->options.quiet)
        mth_explore_print(exploration, &run->bench, table);
    if (exploration->winner == at->n_cells) {
        fprintf(stderr, "mithril: nothing was measured in full within the budget\n");
        return MTH_EXIT_INCONCLUSIVE;
    }
    return write_winner(run, at->cells[exploration->winner].spec, table, err) ? mth_command_fail(err)
                                                                              : MTH_EXIT_OK;
}

static int check_outputs(const struct run *run, struct mth_error *err)
{
    const char *const older = run->options.bases.n_items > 1 ? run->options.bases.items[1] : NULL;
    const char *const inputs[] = {run->options.operands.items[0], run->options.base, older};
    const char *const outputs[] = {run->options.output, run->options.json};
    int status = MTH_OK;
    for (size_t i = 0; !status && i < 2; i++) {
        if (outputs[i])
            status = mth_output_check(outputs[i], i == 1 || run->options.force, inputs, 3, err);
    }
    return status;
}

static int explore(struct run *run, struct mth_error *err)
{
    enum { DEFAULT_MEMORY = 512 << 20 };
    struct mth_exploration *exploration = &run->exploration;
    if (run->options.memory_bytes == 0)
        run->options.memory_bytes = DEFAULT_MEMORY;
    exploration->budget_s = run->options.budget_seconds > 0 ? run->options.budget_seconds : DEFAULT_BUDGET_S;
    run->end_ns = run->begin_ns + (uint64_t)(exploration->budget_s * MARGIN * 1e9);
    int status = mth_preference_parse(run->options.prefer ? run->options.prefer : "balanced",
                                      &exploration->preference, err);
    if (!status)
        status = check_outputs(run, err);
    if (!status)
        status = mth_bench_load_manifest(&run->options, &run->manifest, err);
    if (!status)
        status = plan(run, err);
    uint64_t begin = mth_clock_ns();
    if (!status)
        status = load(run, err);
    exploration->spent_s[0] = seconds_since(run, begin);
    int code = MTH_EXIT_OK;
    if (!status) {
        estimate_full(run, exploration->spent_s[0]);
        code = budget_suffices(run) ? MTH_EXIT_OK : MTH_EXIT_INCONCLUSIVE;
    }
    mth_progress_begin(&run->progress, run->options.quiet);
    begin = mth_clock_ns();
    if (!status && code == MTH_EXIT_OK)
        status = search(run, err);
    exploration->spent_s[1] = seconds_since(run, begin);
    begin = mth_clock_ns();
    if (!status && code == MTH_EXIT_OK)
        status = measure_in_full(run, err);
    exploration->spent_s[2] = seconds_since(run, begin);
    mth_progress_end(&run->progress);
    unload(run);
    if (status)
        return mth_command_fail(err);
    return code == MTH_EXIT_OK ? conclude(run, err) : code;
}

int mth_cmd_explore(int argc, char **argv)
{
    char env_id[MTH_ENV_ID_BYTES];
    struct mth_error err = {0};
    int code;
    uint64_t begin = mth_clock_ns();
    struct run *run = calloc(1, sizeof *run);
    if (!run) {
        mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
        return mth_command_fail(&err);
    }
    if (!mth_options_parse(&command, argc, argv, &run->options, &code)) {
        free(run);
        return code;
    }
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    run->begin_ns = begin;
    mth_bench_configure(&run->bench.config, &run->options, env_id);
    code = explore(run, &err);
    mth_bench_free(&run->bench);
    mth_exploration_free(&run->exploration);
    mth_manifest_free(run->manifest);
    mth_options_free(&run->options);
    free(run);
    return code;
}
