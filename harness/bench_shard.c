/* Splitting a plan; see bench_shard.h. */
#include "harness/bench_shard.h"

#include "base/hash.h"
#include "harness/bench.h"
#include "harness/env.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which shard ---- */

/* Digits of n_text bytes alone, at most max. */
static bool parse_count(const char *text, size_t n_text, size_t max, size_t *out)
{
    size_t number = 0;
    for (size_t i = 0; i < n_text; i++) {
        if (!isdigit((unsigned char)text[i]) || number > max)
            return false;
        number = number * 10 + (size_t)(text[i] - '0');
    }
    *out = number;
    return n_text > 0 && number <= max;
}

/* Two variables that an engine sets together: a rank from `first` on, and how many there are. */
struct rank_names {
    const char *rank, *count;
};

/* The innermost engine first: mpirun and torchrun run inside of jobs of Slurm. */
static const struct rank_names engines[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"PMI_RANK", "PMI_SIZE"},
    {"RANK", "WORLD_SIZE"},
};
enum { N_ENGINES = sizeof engines / sizeof engines[0] };

static int fail_variable(const char *name, const char *value, struct mth_error *err)
{
    if (!value)
        return mth_error_set(err, MTH_ERR_USAGE, "--shard auto: %s is not set", name);
    return mth_error_set(err, MTH_ERR_USAGE, "--shard auto: %s is '%.40s'", name, value);
}

static int read_variable(const char *name, size_t max, size_t *value, struct mth_error *err)
{
    const char *text = getenv(name);
    return text && parse_count(text, strlen(text), max, value) ? MTH_OK : fail_variable(name, text, err);
}

static int read_rank(const struct rank_names *names, size_t *rank, size_t *count, struct mth_error *err)
{
    int status = read_variable(names->count, MTH_MAX_SHARDS, count, err);
    if (!status)
        status = read_variable(names->rank, MTH_MAX_SHARDS, rank, err);
    if (!status && *rank >= *count)
        status = mth_error_set(err, MTH_ERR_USAGE, "--shard auto: %s is %zu, and %s is %zu", names->rank,
                               *rank, names->count, *count);
    return status;
}

/* The place of an element in its array; arrays with gaps are no ranks. */
static int read_array(size_t *rank, size_t *count, struct mth_error *err)
{
    enum { MAX_ID = 100000000 };
    size_t id = 0, first = 0, last = 0, step = 1;
    int status = read_variable("SLURM_ARRAY_TASK_ID", MAX_ID, &id, err);
    if (!status)
        status = read_variable("SLURM_ARRAY_TASK_COUNT", MTH_MAX_SHARDS, count, err);
    if (!status)
        status = read_variable("SLURM_ARRAY_TASK_MIN", MAX_ID, &first, err);
    if (!status)
        status = read_variable("SLURM_ARRAY_TASK_MAX", MAX_ID, &last, err);
    if (!status && getenv("SLURM_ARRAY_TASK_STEP"))
        status = read_variable("SLURM_ARRAY_TASK_STEP", MAX_ID, &step, err);
    if (status)
        return status;
    if (step == 0 || id < first || id > last || (id - first) % step || (last - first) / step + 1 != *count)
        return mth_error_set(
            err, MTH_ERR_USAGE,
            "--shard auto: task %zu of an array of %zu from %zu to %zu, which has gaps: say --shard I/N", id,
            *count, first, last);
    *rank = (id - first) / step;
    return MTH_OK;
}

/*
 * The tasks of whatever engine runs this process. The script of a job of Slurm is one process outside of any step, though
 * SLURM_NTASKS tells how many srun would start. *name stays NULL where there is no engine.
 */
static int read_task(const char **name, size_t *rank, size_t *count, struct mth_error *err)
{
    for (size_t i = 0; i < N_ENGINES; i++) {
        if (getenv(engines[i].rank) || getenv(engines[i].count)) {
            *name = engines[i].rank;
            return read_rank(&engines[i], rank, count, err);
        }
    }
    if (!getenv("SLURM_STEP_ID"))
        return MTH_OK;
    const struct rank_names names = {"SLURM_PROCID", getenv("SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS"
                                                                                    : "SLURM_NTASKS"};
    *name = names.rank;
    return read_rank(&names, rank, count, err);
}

/* Tasks, elements of an array, or the tasks of each element. */
static int read_environment(struct mth_shard *shard, size_t *rank, size_t *count, struct mth_error *err)
{
    bool array = getenv("SLURM_ARRAY_TASK_ID") != NULL;
    size_t array_rank = 0, array_count = 1, task_rank = 0, task_count = 1;
    const char *task = NULL;
    int status = array ? read_array(&array_rank, &array_count, err) : MTH_OK;
    if (!status)
        status = read_task(&task, &task_rank, &task_count, err);
    if (status)
        return status;
    if (!array && !task)
        return mth_error_set(err, MTH_ERR_USAGE, "--shard auto: %s; say --shard I/N",
                             getenv("SLURM_JOB_ID")
                                 ? "in a job of Slurm, but in no step (srun) and no array"
                                 : "no rank in the environment, of Slurm, Open MPI, PMI or torchrun");
    *rank = array_rank * task_count + task_rank;
    *count = array_count * task_count;
    snprintf(shard->from, sizeof shard->from, "%s%s%s", array ? "SLURM_ARRAY_TASK_ID" : "",
             array && task ? " and " : "", task ? task : "");
    return MTH_OK;
}

int mth_shard_parse(const char *text, struct mth_shard *shard, struct mth_error *err)
{
    size_t rank = 0, count = 0;
    *shard = (struct mth_shard){.from = "--shard"};
    if (strcmp(text, "auto") == 0) {
        int status = read_environment(shard, &rank, &count, err);
        if (status)
            return status;
        rank++;
    } else {
        size_t n = strcspn(text, "/");
        if (text[n] != '/' || !parse_count(text, n, MTH_MAX_SHARDS, &rank) ||
            !parse_count(text + n + 1, strlen(text + n + 1), MTH_MAX_SHARDS, &count) || rank == 0 ||
            rank > count)
            return mth_error_set(err, MTH_ERR_USAGE,
                                 "--shard %.40s: must be I/N, 1/N to N/N with N up to %d, or auto", text,
                                 MTH_MAX_SHARDS);
    }
    if (count > MTH_MAX_SHARDS)
        return mth_error_set(err, MTH_ERR_USAGE, "--shard: %zu shards are more than %d", count,
                             MTH_MAX_SHARDS);
    shard->number = rank;
    shard->n_shards = count;
    snprintf(shard->text, sizeof shard->text, "%zu/%zu", rank, count);
    return MTH_OK;
}

/* ---- the part of a plan ---- */

static void put_hex(const char *text, size_t n_text, char id[MTH_SWEEP_ID_BYTES])
{
    snprintf(id, MTH_SWEEP_ID_BYTES, "%016" PRIx64, mth_hash64(text, n_text, 0));
}

/* Everything that tells what is measured and how: equal arguments on equal data directories give equal ids. */
static int identify_plan(const struct mth_bench *bench, char id[MTH_SWEEP_ID_BYTES], size_t *n_cells)
{
    const struct mth_bench_config *config = &bench->config;
    char *text = NULL;
    size_t n_text = 0;
    FILE *out = open_memstream(&text, &n_text);
    if (!out)
        return MTH_ERR_NO_MEMORY;
    *n_cells = 0;
    fprintf(out, "%zu %a %" PRIu64 " %zu %zu %zu %d %d %d %d %s\n", config->rounds, config->cell_seconds,
            config->seed, config->n_threads, config->chunk_bytes,
            config->llc_bytes == config->llc_real_bytes ? 0 : config->llc_bytes, config->parts, config->lossy,
            config->resident, config->latency, config->files_asked ? config->files_asked : "-");
    for (size_t c = 0; c < bench->n_cases; c++) {
        const struct mth_bench_case *at = &bench->cases[c];
        fprintf(out, "%s %s %" PRId64 " %s %d %zu\n", at->id, at->base_path ? at->base_path : "-",
                at->steps_apart, at->run_id ? at->run_id : "-", (int)at->raw_dtype, at->n_threads);
        if (at->older_path)
            fprintf(out, " older %s\n", at->older_path);
        for (size_t i = 0; i < at->n_cells; i++)
            fprintf(out, " %s %s\n", at->cells[i].spec, at->cells[i].resolved);
        *n_cells += at->n_cells;
    }
    if (fclose(out) != 0) {
        free(text);
        return MTH_ERR_NO_MEMORY;
    }
    put_hex(text, n_text, id);
    free(text);
    return MTH_OK;
}

struct dealing {
    size_t shard, n_shards; /* the shard from 0 */
    size_t n_cases;
};

static bool is_mine(const void *arg, size_t c, size_t i)
{
    const struct dealing *deal = arg;
    if (deal->n_shards <= deal->n_cases)
        return c % deal->n_shards == deal->shard;
    if (deal->shard % deal->n_cases != c)
        return false;
    /* Shards c, c + n_cases, c + 2 n_cases .. share the case. */
    size_t n_sharing = (deal->n_shards - 1 - c) / deal->n_cases + 1;
    return i % n_sharing == deal->shard / deal->n_cases;
}

int mth_bench_take_shard(struct mth_bench *bench, const struct mth_shard *shard, struct mth_error *err)
{
    struct mth_shard *mine = &bench->config.shard;
    char text[3 * MTH_SWEEP_ID_BYTES];
    *mine = *shard;
    if (identify_plan(bench, mine->plan, &mine->n_sweep_cells))
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the plan");
    mth_env_build_id(mine->build);
    snprintf(text, sizeof text, "%s%s%zu", mine->plan, mine->build, mine->n_shards);
    put_hex(text, strlen(text), mine->sweep);
    const struct dealing deal = {shard->number - 1, shard->n_shards, bench->n_cases};
    mth_bench_keep_cells(bench, is_mine, &deal);
    for (size_t c = 0; c < bench->n_cases; c++)
        mine->n_cells += bench->cases[c].n_cells;
    return MTH_OK;
}

void mth_shard_path(const struct mth_shard *shard, const char *path, char out[4096])
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    size_t n_stem = dot && dot != path && dot[-1] != '/' ? (size_t)(dot - path) : strlen(path);
    if (strcmp(path, "-") == 0 || shard->n_shards == 0)
        snprintf(out, 4096, "%s", path);
    else
        snprintf(out, 4096, "%.*s.%zu-of-%zu%s", (int)(n_stem < 3900 ? n_stem : 3900), path, shard->number,
                 shard->n_shards, path + n_stem);
}
