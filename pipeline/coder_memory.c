/* Coding a checkpoint in memory: the engines of stream.h between buffers. */
#include "pipeline/stream.h"

#include "base/checked.h"

int mth_coder_bound(const struct mth_coder *coder, const struct mth_checkpoint *input, size_t *n_bytes)
{
    /* A chunk that does not shrink is stored, so payloads never pass the raw bytes; the rest is framing: blocks, plans
     * and index of bundles, a segment, and for each region a reference to both bases with its name in each. */
    enum { FIXED_BYTES = 1 << 16, REGION_BYTES = 192, CHUNK_BYTES = 112 + MTH_MAX_ENTRY_BYTES / 8 };
    const struct mth_region_map *map = input->map;
    size_t raw, n_chunks, regions, chunks;
    size_t chunk_bytes = coder->asked_chunk_bytes ? coder->asked_chunk_bytes : MTH_CHUNK_BYTES_ALONE;
    if (!mth_u64_to_size(map->n_bytes, &raw) ||
        !mth_size_add(3 * (raw / chunk_bytes) + 1024, map->n_regions, &n_chunks) ||
        !mth_size_mul(n_chunks, CHUNK_BYTES, &chunks) ||
        !mth_size_mul(map->n_regions, REGION_BYTES, &regions) || !mth_size_add(raw, chunks, n_bytes) ||
        !mth_size_add(*n_bytes, regions, n_bytes) || !mth_size_add(*n_bytes, map->n_text, n_bytes) ||
        !mth_size_add(*n_bytes, map->n_text, n_bytes) || !mth_size_add(*n_bytes, FIXED_BYTES, n_bytes))
        return MTH_ERR_OVERFLOW;
    return MTH_OK;
}

enum { MTH_MAX_BASES = 2 };

/* Base i of a chain in which the one before became out of it. */
static void link_base(const struct mth_coder *coder, struct mth_bytes bytes, const struct mth_region_map *map,
                      size_t i, struct mth_source sources[MTH_MAX_BASES],
                      struct mth_stream_base chain[MTH_MAX_BASES])
{
    static const char *const names[MTH_MAX_BASES] = {"the base", "the older base"};
    mth_source_memory(names[i], bytes, &sources[i]);
    chain[i] =
        (struct mth_stream_base){.source = &sources[i], .map = map, .tensors_alone = coder->tensors_alone};
    if (i > 0)
        chain[i - 1].older = &chain[i];
}

static int too_many_bases(struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_USAGE, "takes a base and an older one, and no more");
}

int mth_coder_encode(struct mth_coder *coder, const struct mth_pipeline *pipeline,
                     const struct mth_checkpoint *input, const struct mth_checkpoint *bases, size_t n_bases,
                     uint8_t *dst, size_t capacity_bytes, size_t *n_bytes, struct mth_container_stats *stats,
                     struct mth_error *err)
{
    struct mth_source source, base_sources[MTH_MAX_BASES];
    struct mth_stream_base against[MTH_MAX_BASES];
    struct mth_buffer out = {.data = dst, .capacity_bytes = capacity_bytes};
    struct mth_sink sink;
    struct mth_stream_encode_job job = {
        .pipeline = pipeline, .input = &source, .map = input->map, .sink = &sink, .lossy = coder->lossy};
    mth_source_memory("input", (struct mth_bytes){input->data, (size_t)input->map->n_bytes}, &source);
    mth_sink_memory(&out, &sink);
    for (size_t i = 0; i < n_bases && i < MTH_MAX_BASES; i++)
        link_base(coder, (struct mth_bytes){bases[i].data, (size_t)bases[i].map->n_bytes}, bases[i].map, i,
                  base_sources, against);
    job.base = n_bases ? against : NULL;
    int status = n_bases > MTH_MAX_BASES ? too_many_bases(err) : mth_stream_encode(coder, &job, stats, err);
    *n_bytes = out.n_bytes;
    return status;
}

int mth_coder_decode(struct mth_coder *coder, struct mth_bytes container, const struct mth_bytes *bases,
                     size_t n_bases, uint8_t *dst, size_t dst_bytes, struct mth_error *err)
{
    struct mth_source source, base_sources[MTH_MAX_BASES];
    struct mth_stream_base against[MTH_MAX_BASES];
    struct mth_buffer out = {.data = dst, .capacity_bytes = dst_bytes};
    struct mth_input input;
    struct mth_sink sink;
    struct mth_stream_decode_job job = {.input = &input, .sink = &sink};
    mth_source_memory("container", container, &source);
    mth_input_source(&source, &input);
    mth_sink_memory(&out, &sink);
    for (size_t i = 0; i < n_bases && i < MTH_MAX_BASES; i++)
        link_base(coder, bases[i], NULL, i, base_sources, against);
    job.base = n_bases ? against : NULL;
    int status = n_bases > MTH_MAX_BASES ? too_many_bases(err) : mth_stream_decode(coder, &job, NULL, err);
    if (!status && out.n_bytes != dst_bytes)
        return mth_error_set(err, MTH_ERR_CAPACITY, "restores to %zu bytes, the destination has %zu",
                             out.n_bytes, dst_bytes);
    return status;
}
