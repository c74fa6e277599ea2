/* Two programs measuring in turn; see compare_run.h. */
#include "harness/compare_run.h"

#include "harness/clock.h"
#include "harness/process.h"
#include "harness/progress.h"
#include "harness/statistics.h"

#include <stdlib.h>
#include <string.h>

/*
 * Two rounds forward, two backward: four samples of each phase of a cell by each program. The cache that passes are cold for is
 * small, because a sweep of a large one would take most of the time: speeds are compared, not told.
 */
enum { ROUNDS = 4, N_FASTER = ROUNDS / 2, LINE_BYTES = 64, MAX_ROWS_BYTES = 256 << 20 };
static const char default_cache[] = "1MiB";
static const double answer_seconds = 600;

struct block {
    const struct mth_compare_run_config *config;
    struct mth_process processes[MTH_N_ARMS];
    size_t order[MTH_N_ARMS];
    struct mth_report rows[MTH_N_ARMS];
    size_t n_rows; /* read so far */
};

static const char *const names[MTH_N_ARMS] = {"the old program", "the old program, again", "the new program"};

/* ---- taking turns ---- */

/* The arguments that a block sets itself, and the defaults of those that the user did not give. */
static int start(struct block *block, size_t arm, uint64_t seed, struct mth_error *err)
{
    const struct mth_compare_run_config *config = block->config;
    char rounds[16], seed_text[24];
    const char *own[] = {"--paced", "-q",     "--json",  "-",         "--rounds",
                         rounds,    "--seed", seed_text, "--seconds", "10000"};
    enum { N_OWN = sizeof own / sizeof own[0] };
    const char **argv = calloc(config->n_arguments + N_OWN + 5, sizeof *argv);
    size_t n = 0;
    bool has_cache = false;
    if (!argv)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    snprintf(rounds, sizeof rounds, "%d", ROUNDS);
    snprintf(seed_text, sizeof seed_text, "%llu", (unsigned long long)seed);
    argv[n++] = arm == MTH_ARM_NEW ? config->new_program : config->old_program;
    argv[n++] = "bench";
    for (size_t i = 0; i < config->n_arguments; i++) {
        argv[n++] = config->arguments[i];
        has_cache |= strncmp(config->arguments[i], "--cache", 7) == 0;
    }
    for (size_t i = 0; i < N_OWN; i++)
        argv[n++] = own[i];
    if (!has_cache) {
        argv[n++] = "--cache";
        argv[n++] = default_cache;
    }
    /* posix_spawnp takes a char *const[] for historical reasons and does not change it. */
    int status = mth_process_start(&block->processes[arm], names[arm], (char *const *)(uintptr_t)argv,
                                   answer_seconds, err);
    free(argv);
    return status;
}

/* Reads what a program would do next: "case", "round", "sample" or "rows". */
static int read_turn(struct block *block, size_t arm, char turn[LINE_BYTES], struct mth_error *err)
{
    char line[LINE_BYTES];
    int status = mth_process_read_line(&block->processes[arm], line, sizeof line, err);
    if (status)
        return status;
    if (strncmp(line, "paced ", 6) != 0)
        return mth_error_set(err, MTH_ERR_LIBRARY, "%s does not take turns: it is no bench of this version",
                             names[arm]);
    memcpy(turn, line + 6, LINE_BYTES - 6);
    return MTH_OK;
}

static int give_turn(struct block *block, size_t arm, struct mth_error *err)
{
    mth_process_set_deadline(&block->processes[arm]);
    return mth_process_write(&block->processes[arm], "\n", 1, err);
}

/* One turn: does it, and tells what is next. */
static int take_turn(struct block *block, size_t arm, char next[LINE_BYTES], struct mth_error *err)
{
    int status = give_turn(block, arm, err);
    return status ? status : read_turn(block, arm, next, err);
}

static int read_rows(struct block *block, size_t arm, struct mth_error *err)
{
    char *text = NULL;
    size_t n_text = 0;
    FILE *out = open_memstream(&text, &n_text);
    if (!out)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for rows");
    int status = give_turn(block, arm, err);
    if (!status)
        status = mth_process_finish(&block->processes[arm], out, err);
    if (fclose(out) != 0 && !status)
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for rows");
    if (!status && n_text > MAX_ROWS_BYTES)
        status = mth_error_set(err, MTH_ERR_LIMIT, "%s writes more rows than can be", names[arm]);
    if (!status)
        status = mth_report_read_text(&block->rows[arm], names[arm],
                                      (struct mth_bytes){(const uint8_t *)text, n_text}, err);
    free(text);
    block->n_rows += !status;
    return status;
}

/* A cell that does not restore ends bench with 2, and is bad data here too. */
static int explain(const struct block *block, int status, struct mth_error *err)
{
    for (size_t arm = 0; arm < MTH_N_ARMS; arm++) {
        const struct mth_process *process = &block->processes[arm];
        if (status == MTH_ERR_LIBRARY && process->messages && process->pid == 0 && process->exit_code == 2)
            err->status = MTH_ERR_CHECKSUM;
        if (status == MTH_ERR_LIBRARY && process->messages && process->pid == 0 && process->exit_code == 1)
            err->status = MTH_ERR_USAGE;
    }
    return err->status;
}

/* Are all programs about to do the same? */
static int check_alike(char next[MTH_N_ARMS][LINE_BYTES], struct mth_error *err)
{
    for (size_t arm = 1; arm < MTH_N_ARMS; arm++) {
        if (strcmp(next[arm], next[0]) != 0)
            return mth_error_set(err, MTH_ERR_LIBRARY, "%s does not measure what the others do", names[arm]);
    }
    return MTH_OK;
}

/* One block, from start to rows. seed: of the order of programs, and of the cells in each, the same in all. */
static int run_block(struct block *block, uint64_t seed, struct mth_error *err)
{
    char next[MTH_N_ARMS][LINE_BYTES];
    uint64_t random = seed;
    size_t n_rounds = 0;
    int status = MTH_OK;
    mth_random_shuffle(&random, block->order, MTH_N_ARMS);
    for (size_t i = 0; !status && i < MTH_N_ARMS; i++) {
        size_t arm = block->order[i];
        status = start(block, arm, seed, err);
        if (!status)
            status = read_turn(block, arm, next[arm], err);
    }
    if (!status)
        status = check_alike(next, err);
    while (!status && strcmp(next[0], "rows") != 0) {
        n_rounds += strcmp(next[0], "round") == 0;
        /* Each alone: none shall disturb another. Every other round goes through them backwards. */
        for (size_t i = 0; !status && i < MTH_N_ARMS; i++) {
            size_t arm = block->order[n_rounds % 2 ? i : MTH_N_ARMS - 1 - i];
            status = take_turn(block, arm, next[arm], err);
        }
        if (!status)
            status = check_alike(next, err);
    }
    for (size_t arm = 0; !status && arm < MTH_N_ARMS; arm++)
        status = read_rows(block, arm, err);
    if (status)
        status = explain(block, status, err);
    for (size_t arm = 0; arm < MTH_N_ARMS; arm++)
        mth_process_stop(&block->processes[arm]);
    if (status) {
        while (block->n_rows)
            mth_report_free(&block->rows[--block->n_rows]);
    }
    return status;
}

/* ---- what the blocks gave ---- */

static int compare_reals(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/*
 * One time for all samples of a program in a block: the mean of the faster half. With one thread it is processor time, which
 * says the same as the wall clock where the machine is left alone, and much more where it is not.
 */
static int time_of(const struct mth_report *rows, const struct mth_report_cell *cell, double *ns,
                   struct mth_error *err)
{
    bool one_thread = rows->groups[cell->group].threads == 1 && cell->cpu_samples.value;
    const struct mth_json_node *from = one_thread ? &cell->cpu_samples : &cell->samples;
    double samples[ROUNDS];
    if (cell->n_samples != ROUNDS)
        return mth_error_set(err, MTH_ERR_LIBRARY, "a program did not measure every round");
    for (size_t i = 0; i < ROUNDS; i++) {
        int status = mth_json_item_real(from, i, &samples[i], err);
        if (status)
            return status;
    }
    qsort(samples, ROUNDS, sizeof *samples, compare_reals);
    *ns = 0;
    for (size_t i = 0; i < N_FASTER; i++)
        *ns += samples[i] / (double)N_FASTER;
    return *ns > 0 ? MTH_OK : mth_error_set(err, MTH_ERR_LIBRARY, "a program measures no time");
}

/* The first block: cells, sizes, and a series for each phase of a cell that both programs restore. */
static int take_first(struct mth_compare *compare, struct mth_compare_run *run, struct block *block,
                      struct mth_error *err)
{
    run->rows[0] = block->rows[MTH_ARM_OLD];
    run->rows[1] = block->rows[MTH_ARM_NEW];
    mth_report_free(&block->rows[MTH_ARM_AGAIN]);
    block->n_rows = 0;
    compare->old_rows = &run->rows[0];
    compare->new_rows = &run->rows[1];
    int status = mth_compare_cells(compare, err);
    if (status)
        return status;
    size_t n = compare->n_cells * MTH_COMPARE_PHASES;
    run->cell_of = calloc(n + 1, sizeof *run->cell_of);
    run->phase_of = calloc(n + 1, sizeof *run->phase_of);
    run->shifts = calloc(n + 1, sizeof *run->shifts);
    run->verdicts = calloc(n + 1, sizeof *run->verdicts);
    bool complete = run->cell_of && run->phase_of && run->shifts && run->verdicts;
    for (size_t arm = 0; arm < MTH_N_ARMS; arm++) {
        run->ns[arm] = calloc(n * MTH_MAX_BLOCKS + 1, sizeof *run->ns[arm]);
        complete &= run->ns[arm] != NULL;
    }
    if (!complete)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the blocks");
    for (size_t i = 0; i < compare->n_cells; i++) {
        for (size_t p = 0; p < MTH_COMPARE_PHASES; p++) {
            if (!compare->cells[i].speeds[p].known)
                continue;
            run->cell_of[run->n_series] = i;
            run->phase_of[run->n_series++] = p;
        }
    }
    return MTH_OK;
}

/* Every program writes its cells in the same order each time. */
static int take_times(const struct mth_compare *compare, struct mth_compare_run *run,
                      const struct block *block, size_t b, struct mth_error *err)
{
    for (size_t s = 0; s < run->n_series; s++) {
        const struct mth_compare_cell *cell = &compare->cells[run->cell_of[s]];
        for (size_t arm = 0; arm < MTH_N_ARMS; arm++) {
            bool is_new = arm == MTH_ARM_NEW;
            const struct mth_report_cell *first =
                is_new ? cell->new_cell[run->phase_of[s]] : cell->old_cell[run->phase_of[s]];
            size_t index = (size_t)(first - run->rows[is_new].cells);
            const struct mth_report *rows = &block->rows[arm];
            if (index >= rows->n_cells || strcmp(rows->cells[index].spec, first->spec) != 0 ||
                strcmp(rows->cells[index].phase, first->phase) != 0)
                return mth_error_set(err, MTH_ERR_LIBRARY, "%s measures other cells than before", names[arm]);
            int status = time_of(rows, &rows->cells[index], &run->ns[arm][s * MTH_MAX_BLOCKS + b], err);
            if (status)
                return status;
        }
    }
    return MTH_OK;
}

static int judge(struct mth_compare *compare, struct mth_compare_run *run, uint64_t seed,
                 struct mth_error *err)
{
    struct mth_speed_series *series = calloc(run->n_series + 1, sizeof *series);
    if (!series)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    for (size_t s = 0; s < run->n_series; s++) {
        for (size_t arm = 0; arm < MTH_N_ARMS; arm++)
            series[s].ns[arm] = run->ns[arm] + s * MTH_MAX_BLOCKS;
        series[s].n_blocks = compare->n_blocks;
        series[s].margin_pct = compare->cells[run->cell_of[s]].margin.speed_pct;
    }
    int status = mth_speed_judge(series, run->n_series, seed, run->shifts, run->verdicts);
    free(series);
    if (status)
        return mth_error_set(err, status, "no memory to judge");
    for (size_t s = 0; s < run->n_series; s++) {
        struct mth_compare_speed *speed = &compare->cells[run->cell_of[s]].speeds[run->phase_of[s]];
        speed->paired = true;
        speed->shift = run->shifts[s];
        speed->verdict = run->verdicts[s];
        for (size_t arm = 0; arm < MTH_N_ARMS; arm++)
            speed->block_ns[arm] = run->ns[arm] + s * MTH_MAX_BLOCKS;
    }
    return MTH_OK;
}

/* Blocks until the time is up. */
static int run_blocks(struct block *block, struct mth_compare *compare, struct mth_compare_run *run,
                      struct mth_progress *progress, struct mth_error *err)
{
    const struct mth_compare_run_config *config = block->config;
    double begin_ns = (double)mth_clock_ns(), longest_ns = 0;
    uint64_t random = config->seed;
    int status = MTH_OK;
    for (size_t b = 0; !status && b <= MTH_MAX_BLOCKS; b++) {
        double now_ns = (double)mth_clock_ns();
        if (b > 0 && (now_ns - begin_ns + longest_ns > config->seconds * 1e9 || run->n_series == 0))
            break;
        mth_progress_show(progress, b, MTH_MAX_BLOCKS, "blocks");
        status = run_block(block, mth_random_next(&random) >> 1, err);
        if (!status && b == 0)
            status = take_first(compare, run, block, err);
        else if (!status)
            status = take_times(compare, run, block, b - 1, err);
        while (block->n_rows)
            mth_report_free(&block->rows[--block->n_rows]);
        compare->n_blocks = b;
        double took_ns = (double)mth_clock_ns() - now_ns;
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
    }
    compare->seconds = ((double)mth_clock_ns() - begin_ns) / 1e9;
    return status;
}

/* What a block decides itself. */
static int check_arguments(const struct mth_compare_run_config *config, struct mth_error *err)
{
    static const char *const own[] = {"--json", "--rounds", "--seconds", "--seed", "--paced", "--require"};
    for (size_t i = 0; i < config->n_arguments; i++) {
        for (size_t j = 0; j < sizeof own / sizeof own[0]; j++) {
            size_t n = strlen(own[j]);
            const char *argument = config->arguments[i];
            if (strncmp(argument, own[j], n) == 0 && (argument[n] == '\0' || argument[n] == '='))
                return mth_error_set(err, MTH_ERR_USAGE,
                                     "%s is not for bench here: compare decides it, or has its own", own[j]);
        }
    }
    return MTH_OK;
}

int mth_compare_run(const struct mth_compare_run_config *config, struct mth_compare *compare,
                    struct mth_compare_run *run, struct mth_error *err)
{
    struct block block = {.config = config};
    struct mth_progress progress;
    *run = (struct mth_compare_run){0};
    *err = (struct mth_error){0};
    int status = check_arguments(config, err);
    if (status)
        return status;
    compare->paired = true;
    mth_progress_begin(&progress, config->quiet);
    status = run_blocks(&block, compare, run, &progress, err);
    mth_progress_end(&progress);
    return status ? status : judge(compare, run, config->seed, err);
}

void mth_compare_run_free(struct mth_compare_run *run)
{
    for (size_t i = 0; i < 2; i++) {
        if (run->rows[i].memory)
            mth_report_free(&run->rows[i]);
    }
    for (size_t arm = 0; arm < MTH_N_ARMS; arm++)
        free(run->ns[arm]);
    free(run->cell_of);
    free(run->phase_of);
    free(run->shifts);
    free(run->verdicts);
}
