/* Compressing as the public header has it: with a coder of its own, and what that would take. */
#include "pipeline/container.h"
#include "pipeline/stream.h"

int mth_compress(const struct mth_pipeline *pipeline, const struct mth_source *input,
                 const struct mth_region_map *map, const struct mth_stream_base *base,
                 const struct mth_file_attributes *attributes, struct mth_sink *sink,
                 const struct mth_stream_config *config, struct mth_container_stats *stats,
                 struct mth_error *err)
{
    struct mth_coder *coder;
    struct mth_coder_config coder_config = {
        .n_threads = config->n_threads, .chunk_bytes = config->chunk_bytes, .memory = config->memory};
    struct mth_stream_encode_job job = {.pipeline = pipeline,
                                        .input = input,
                                        .map = map,
                                        .base = base,
                                        .attributes = attributes,
                                        .sink = sink,
                                        .progress = {config->progress, config->progress_arg},
                                        .verify = config->verify,
                                        .lossy = config->lossy};
    int status = mth_coder_create(&coder_config, &coder, err);
    if (status)
        return status;
    status = mth_stream_encode(coder, &job, stats, err);
    mth_coder_destroy(coder);
    return status;
}

static int discard(void *state, const void *data, size_t n_bytes, struct mth_error *err)
{
    (void)state, (void)data, (void)n_bytes, (void)err;
    return MTH_OK;
}

int mth_compress_estimate(const struct mth_pipeline *pipeline, const struct mth_source *input,
                          const struct mth_region_map *map, const struct mth_stream_base *base,
                          const struct mth_stream_config *config, uint64_t n_sample_bytes, uint64_t *n_stored,
                          struct mth_error *err)
{
    struct mth_coder *coder;
    size_t chunk_bytes =
        config->chunk_bytes ? config->chunk_bytes : mth_pipeline_chunk_bytes(pipeline, base != NULL);
    struct mth_coder_config coder_config = {
        .n_threads = config->n_threads, .chunk_bytes = config->chunk_bytes, .memory = config->memory};
    struct mth_container_stats stats;
    struct mth_sink sink = {.name = "nowhere", .write = discard, .fd = -1};
    struct mth_stream_sampled sampled = {0};
    uint64_t every = n_sample_bytes ? (map->n_bytes + n_sample_bytes - 1) / n_sample_bytes : 1;
    struct mth_stream_encode_job job = {.pipeline = pipeline,
                                        .input = input,
                                        .map = map,
                                        .base = base,
                                        .sink = &sink,
                                        .progress = {config->progress, config->progress_arg},
                                        .lossy = config->lossy,
                                        .sample_every = every,
                                        .sampled = &sampled};
    int status = mth_coder_create(&coder_config, &coder, err);
    if (status)
        return status;
    status = mth_stream_encode(coder, &job, &stats, err);
    mth_coder_destroy(coder);
    /* What stands around the bundles is there already; those that were passed over are like the rest of the sample. */
    uint64_t n_left = status ? 0 : map->n_bytes - stats.sampled_bytes;
    if (!status)
        *n_stored = stats.stored_bytes;
    if (!status && n_left)
        *n_stored += (uint64_t)((double)sampled.rest_block_bytes / (double)(sampled.rest_raw_bytes + 1) *
                                (double)n_left) +
                     n_left / chunk_bytes * MTH_PAGE_ENTRY_BYTES;
    return status;
}
