/*
 * The ratio of whole runs: for each spec that a run's pairs were measured with, the first checkpoint full and each
 * other one against the one before it, all restored and compared. Not timed: the cells tell the speed.
 */
#include "harness/bench.h"

#include "pipeline/pipeline.h"

#include <stdlib.h>
#include <string.h>

struct run_coding {
    struct mth_memory *memory;
    struct mth_coder *encoder;
    struct mth_loaded loaded[2]; /* the checkpoint before, and this one */
    uint8_t *frame;
    size_t frame_capacity;
};

static int resize(uint8_t **buffer, size_t *capacity, size_t wanted)
{
    if (wanted <= *capacity)
        return MTH_OK;
    free(*buffer);
    *buffer = malloc(wanted);
    *capacity = *buffer ? wanted : 0;
    return *buffer ? MTH_OK : MTH_ERR_NO_MEMORY;
}

/* One checkpoint, there and back with a fresh decoder. */
static int code_step(struct run_coding *coding, const struct mth_bench_config *config,
                     const struct mth_pipeline *pipeline, const struct mth_loaded *input,
                     const struct mth_loaded *base, size_t *n_bytes, bool *verified, struct mth_error *err)
{
    size_t bound;
    struct mth_coder *decoder = NULL;
    size_t n_raw = input->bytes.n_bytes;
    struct mth_coder_config coder_config = {
        .n_threads = config->n_threads, .chunk_bytes = config->chunk_bytes, .memory = coding->memory};
    int status = mth_coder_bound(coding->encoder, &input->checkpoint, &bound);
    if (!status)
        status = resize(&coding->frame, &coding->frame_capacity, bound);
    uint8_t *restored = malloc(n_raw + 1);
    if (!status && !restored)
        status = MTH_ERR_NO_MEMORY;
    if (!status)
        status =
            mth_coder_encode(coding->encoder, pipeline, &input->checkpoint, base ? &base->checkpoint : NULL,
                             base != NULL, coding->frame, bound, n_bytes, NULL, err);
    if (!status)
        status = mth_coder_create(&coder_config, &decoder, err);
    if (!status) {
        struct mth_bytes base_bytes = {0};
        if (base)
            base_bytes = (struct mth_bytes){base->bytes.data, base->bytes.n_bytes};
        memset(restored, 0xa5, n_raw);
        *verified = mth_coder_decode(decoder, (struct mth_bytes){coding->frame, *n_bytes}, &base_bytes,
                                     base != NULL, restored, n_raw, err) == MTH_OK &&
                    memcmp(restored, input->bytes.data, n_raw) == 0;
    }
    mth_coder_destroy(decoder);
    free(restored);
    return status;
}

static int parse_pair(const char *spec, struct mth_pipeline **alone, struct mth_pipeline **delta,
                      struct mth_error *err)
{
    *alone = NULL;
    *delta = NULL;
    int status = mth_pipeline_parse(spec, true, delta, err);
    if (!status)
        status = mth_pipeline_parse_alone(spec, alone, err);
    return status;
}

static int measure_run(struct run_coding *coding, const struct mth_bench *bench,
                       const struct mth_bench_run *run, const char *spec, struct mth_run_result *result,
                       struct mth_error *err)
{
    struct mth_pipeline *alone, *delta;
    const struct mth_bench_case like = {.raw_dtype = MTH_N_DTYPES, .as_whole = run->as_whole};
    struct mth_coder_config config = {.n_threads = bench->config.n_threads,
                                      .chunk_bytes = bench->config.chunk_bytes,
                                      .memory = coding->memory,
                                      .tensors_alone = run->as_whole};
    int status = parse_pair(spec, &alone, &delta, err);
    if (!status)
        status = mth_coder_create(&config, &coding->encoder, err);

    *result = (struct mth_run_result){.run = run, .spec = spec, .verified = true};
    for (size_t i = 0; !status && i < run->n_paths; i++) {
        struct mth_loaded *now = &coding->loaded[i % 2], *before = i ? &coding->loaded[(i + 1) % 2] : NULL;
        size_t n_bytes;
        bool verified;
        if (i > 1)
            mth_loaded_close(now);
        *now = (struct mth_loaded){0};
        status = mth_bench_load(&like, run->paths[i], coding->memory, now, err);
        if (status) {
            *now = (struct mth_loaded){0};
            break;
        }
        status = code_step(coding, &bench->config, i ? delta : alone, now, before, &n_bytes, &verified, err);
        if (!status) {
            result->raw_bytes += now->bytes.n_bytes;
            result->stored_bytes += n_bytes;
            result->verified &= verified;
        }
    }
    if (result->stored_bytes)
        result->ratio = (double)result->raw_bytes / (double)result->stored_bytes;
    for (size_t i = 0; i < 2; i++) {
        if (coding->loaded[i].memory)
            mth_loaded_close(&coding->loaded[i]);
        coding->loaded[i] = (struct mth_loaded){0};
    }
    mth_coder_destroy(coding->encoder);
    coding->encoder = NULL;
    mth_pipeline_destroy(alone);
    mth_pipeline_destroy(delta);
    return status;
}

const struct mth_run_result *mth_bench_run_result(const struct mth_bench *bench, const char *run_id,
                                                  const char *spec)
{
    for (size_t i = 0; run_id && i < bench->n_run_results; i++) {
        const struct mth_run_result *result = &bench->run_results[i];
        if (strcmp(result->run->id, run_id) == 0 && strcmp(result->spec, spec) == 0)
            return result;
    }
    return NULL;
}

static const struct mth_bench_run *find_run(const struct mth_bench *bench, const char *id)
{
    for (size_t i = 0; i < bench->n_runs; i++) {
        if (strcmp(bench->runs[i].id, id) == 0)
            return &bench->runs[i];
    }
    return NULL;
}

static int measure_cell_run(struct run_coding *coding, struct mth_bench *bench,
                            const struct mth_bench_case *at, const struct mth_bench_cell *cell,
                            struct mth_error *err)
{
    const struct mth_bench_run *run = at->run_id ? find_run(bench, at->run_id) : NULL;
    if (!run || !cell->verified || cell->peer_command || cell->stats.loss.is_lossy ||
        mth_bench_run_result(bench, at->run_id, cell->spec))
        return MTH_OK;
    size_t n = bench->n_run_results + 1;
    struct mth_run_result *grown = realloc(bench->run_results, n * sizeof *grown);
    if (!grown)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the result of a run");
    bench->run_results = grown;
    int status = measure_run(coding, bench, run, cell->spec, &grown[n - 1], err);
    if (!status)
        bench->n_run_results = n;
    /* A spec that cannot code the first checkpoint has no ratio for the run. */
    return status == MTH_ERR_UNSUPPORTED ? MTH_OK : status;
}

int mth_bench_measure_runs(struct mth_bench *bench, struct mth_error *err)
{
    struct run_coding coding = {.memory = mth_memory_create(0)};
    if (!coding.memory)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a run");
    int status = MTH_OK;
    for (size_t c = 0; !status && c < bench->n_cases; c++) {
        for (size_t i = 0; !status && i < bench->cases[c].n_cells; i++)
            status = measure_cell_run(&coding, bench, &bench->cases[c], &bench->cases[c].cells[i], err);
    }
    free(coding.frame);
    mth_memory_destroy(coding.memory);
    return status;
}
