/* Coding a checkpoint in memory: the engines of stream.h between buffers. */
#include "pipeline/stream.h"

#include "base/checked.h"

int mth_coder_bound(const struct mth_coder *coder, const struct mth_checkpoint *input, size_t *n_bytes)
{
    /* A chunk that does not shrink is stored, so payloads never pass the raw bytes; the rest is framing: blocks, plans
     * and index of bundles, a segment and a reference with its name for each region. */
    enum { FIXED_BYTES = 1 << 16, REGION_BYTES = 128, CHUNK_BYTES = 96 + MTH_MAX_ENTRY_BYTES / 8 };
    const struct mth_region_map *map = input->map;
    size_t raw, n_chunks, regions, chunks;
    size_t chunk_bytes = coder->asked_chunk_bytes ? coder->asked_chunk_bytes : MTH_CHUNK_BYTES_ALONE;
    if (!mth_u64_to_size(map->n_bytes, &raw) ||
        !mth_size_add(3 * (raw / chunk_bytes) + 1024, map->n_regions, &n_chunks) ||
        !mth_size_mul(n_chunks, CHUNK_BYTES, &chunks) ||
        !mth_size_mul(map->n_regions, REGION_BYTES, &regions) || !mth_size_add(raw, chunks, n_bytes) ||
        !mth_size_add(*n_bytes, regions, n_bytes) || !mth_size_add(*n_bytes, map->n_text, n_bytes) ||
        !mth_size_add(*n_bytes, FIXED_BYTES, n_bytes))
        return MTH_ERR_OVERFLOW;
    return MTH_OK;
}

int mth_coder_encode(struct mth_coder *coder, const struct mth_pipeline *pipeline,
                     const struct mth_checkpoint *input, const struct mth_checkpoint *base, uint8_t *dst,
                     size_t capacity_bytes, size_t *n_bytes, struct mth_container_stats *stats,
                     struct mth_error *err)
{
    struct mth_source source, base_source;
    struct mth_stream_base against;
    struct mth_buffer out = {.data = dst, .capacity_bytes = capacity_bytes};
    struct mth_sink sink;
    struct mth_stream_encode_job job = {
        .pipeline = pipeline, .input = &source, .map = input->map, .sink = &sink, .lossy = coder->lossy};
    mth_source_memory("input", (struct mth_bytes){input->data, (size_t)input->map->n_bytes}, &source);
    mth_sink_memory(&out, &sink);
    if (base) {
        mth_source_memory("the base", (struct mth_bytes){base->data, (size_t)base->map->n_bytes},
                          &base_source);
        against = (struct mth_stream_base){.source = &base_source, .map = base->map};
        job.base = &against;
    }
    int status = mth_stream_encode(coder, &job, stats, err);
    *n_bytes = out.n_bytes;
    return status;
}

int mth_coder_decode(struct mth_coder *coder, struct mth_bytes container, const struct mth_bytes *base,
                     uint8_t *dst, size_t dst_bytes, struct mth_error *err)
{
    struct mth_source source, base_source;
    struct mth_stream_base against;
    struct mth_buffer out = {.data = dst, .capacity_bytes = dst_bytes};
    struct mth_input input;
    struct mth_sink sink;
    struct mth_stream_decode_job job = {.input = &input, .sink = &sink};
    mth_source_memory("container", container, &source);
    mth_input_source(&source, &input);
    mth_sink_memory(&out, &sink);
    if (base) {
        mth_source_memory("the base", *base, &base_source);
        against = (struct mth_stream_base){.source = &base_source};
        job.base = &against;
    }
    int status = mth_stream_decode(coder, &job, NULL, err);
    if (!status && out.n_bytes != dst_bytes)
        return mth_error_set(err, MTH_ERR_CAPACITY, "restores to %zu bytes, the destination has %zu",
                             out.n_bytes, dst_bytes);
    return status;
}
