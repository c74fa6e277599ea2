/* What a benchmark begins and ends with: its settings, the manifest, the file of rows; see bench.h. */
#include "harness/bench.h"

#include "base/file.h"
#include "base/hash.h"
#include "harness/clock.h"
#include "harness/env.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_ROUNDS = 9 };
#define DEFAULT_CELL_SECONDS 0.5
#define DEFAULT_PEER_SECONDS 120

int mth_bench_load_manifest(const struct mth_options *options, struct mth_manifest **manifest,
                            struct mth_error *err)
{
    const char *path = options->manifest ? options->manifest : mth_manifest_default_path();
    *manifest = NULL;
    int status = mth_manifest_load(path, manifest, err);
    /* Away from the repository there is no manifest, and a file of one's own needs none. */
    if (status == MTH_ERR_NOT_FOUND && !options->manifest && !options->matrix)
        return MTH_OK;
    return status;
}

void mth_bench_configure(struct mth_bench_config *config, const struct mth_options *options,
                         char env_id[MTH_ENV_ID_BYTES])
{
    uint64_t now[2] = {mth_clock_ns(), (uint64_t)getpid()};
    mth_env_id(env_id);
    *config = (struct mth_bench_config){
        .asked = options,
        .rounds = options->rounds ? options->rounds : DEFAULT_ROUNDS,
        .cell_seconds = options->seconds >= 0 ? options->seconds : DEFAULT_CELL_SECONDS,
        .peer_seconds = options->peer_seconds >= 0 ? options->peer_seconds : DEFAULT_PEER_SECONDS,
        .seed = options->has_seed ? options->seed : 1,
        .n_threads = options->threads ? options->threads : 1,
        .chunk_bytes = options->chunk_bytes,
        .llc_bytes = options->cache_bytes ? options->cache_bytes : mth_env_llc_bytes(),
        .timer_ns = mth_clock_overhead_ns(),
        .parts = options->parts,
        .lossy = options->lossy,
        .resident = options->resident,
        .latency = options->latency,
        .scaling = options->scaling,
        .llc_real_bytes = mth_env_llc_bytes(),
        .quiet = options->quiet,
        .env_id = env_id};
    snprintf(config->run_tag, sizeof config->run_tag, "%08x", (unsigned)mth_hash64(now, sizeof now, 0));
}

int mth_bench_write_file(const struct mth_bench *bench, const char *path, mth_bench_more_rows *more,
                         void *arg, struct mth_error *err)
{
    struct mth_json_writer env;
    const char *env_row;
    size_t n_env, n_text = 0;
    char *text = NULL;
    FILE *memory = open_memstream(&text, &n_text);
    if (!memory)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the rows");
    mth_json_writer_init(&env);
    mth_env_row(&env, NULL);
    int status = mth_json_writer_text(&env, &env_row, &n_env);
    if (!status)
        status = mth_bench_write_rows(bench, env_row, memory);
    if (!status && more)
        status = more(arg, memory);
    if (fclose(memory) != 0 && !status)
        status = MTH_ERR_NO_MEMORY;
    mth_json_writer_free(&env);
    if (status)
        mth_error_set(err, status, "cannot make the rows: %s", mth_status_text(status));
    else if (strcmp(path, "-") != 0)
        status = mth_file_write_all(path, (struct mth_bytes){(const uint8_t *)text, n_text}, err);
    else if (fwrite(text, 1, n_text, stdout) != n_text || fflush(stdout) != 0)
        status = mth_error_set(err, MTH_ERR_IO, "cannot write to standard output");
    free(text);
    return status;
}
