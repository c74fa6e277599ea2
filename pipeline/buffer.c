/*
 * Plain buffers: compress and decompress elements of one dtype with the `seed` preset.
 *
 * Layout: one byte with the dtype, then a container. The dtype stands outside because a container of an empty buffer
 * has no chunk that could tell it.
 */
#include "pipeline/container.h"

#include "base/checked.h"

enum { BUFFER_HEAD_BYTES = 1, BUFFER_SLACK_BYTES = 1 << 18 };

struct buffer_coder {
    struct mth_memory *memory;
    struct mth_coder *coder;
};

static int open_coder(struct buffer_coder *bc, struct mth_error *err)
{
    *bc = (struct buffer_coder){.memory = mth_memory_create(0)};
    if (!bc->memory)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a coder");
    struct mth_coder_config config = {.n_threads = 1, .memory = bc->memory};
    return mth_coder_create(&config, &bc->coder, err);
}

static void close_coder(struct buffer_coder *bc)
{
    mth_coder_destroy(bc->coder);
    mth_memory_destroy(bc->memory);
}

static int check_dtype(enum mth_dtype dtype, struct mth_error *err)
{
    if ((unsigned)dtype < MTH_N_DTYPES)
        return MTH_OK;
    return mth_error_set(err, MTH_ERR_USAGE, "%u is not a dtype", (unsigned)dtype);
}

size_t mth_buffer_bound(size_t n_bytes)
{
    size_t bound;
    /* Framing takes well under 1 % of large buffers. */
    return mth_size_add(n_bytes, n_bytes / 64 + BUFFER_SLACK_BYTES, &bound) ? bound : SIZE_MAX;
}

static int encode_buffer(struct buffer_coder *bc, const void *src, size_t n_bytes, enum mth_dtype dtype,
                         uint8_t *dst, size_t capacity, size_t *n_out, struct mth_error *err)
{
    struct mth_source source;
    struct mth_region_map map;
    struct mth_pipeline *pipeline;
    struct mth_format_options options = {.raw_dtype = dtype};

    mth_source_memory("buffer", (struct mth_bytes){src, n_bytes}, &source);
    int status = mth_format_map(&source, &options, bc->memory, &map, err);
    if (status)
        return status;
    status = mth_pipeline_parse("seed", false, &pipeline, err);
    if (!status) {
        struct mth_checkpoint input = {.data = src, .map = &map};
        status = mth_coder_encode(bc->coder, pipeline, &input, NULL, 0, dst, capacity, n_out, NULL, err);
        mth_pipeline_destroy(pipeline);
    }
    mth_region_map_free(&map);
    return status;
}

int mth_buffer_compress(const void *src, size_t n_bytes, enum mth_dtype dtype, void *dst,
                        size_t capacity_bytes, size_t *n_out, struct mth_error *err)
{
    struct buffer_coder bc;
    uint8_t *out = dst;
    int status = check_dtype(dtype, err);
    if (status)
        return status;
    if (capacity_bytes < BUFFER_HEAD_BYTES)
        return mth_error_set(err, MTH_ERR_CAPACITY, "the destination has no room");
    status = open_coder(&bc, err);
    if (!status)
        status = encode_buffer(&bc, src, n_bytes, dtype, out + BUFFER_HEAD_BYTES,
                               capacity_bytes - BUFFER_HEAD_BYTES, n_out, err);
    if (!status) {
        out[0] = (uint8_t)dtype;
        *n_out += BUFFER_HEAD_BYTES;
    }
    close_coder(&bc);
    return status;
}

int mth_buffer_decompress(const void *src, size_t n_src, enum mth_dtype dtype, void *dst, size_t n_bytes,
                          struct mth_error *err)
{
    struct buffer_coder bc;
    struct mth_container_head head;
    const uint8_t *in = src;
    int status = check_dtype(dtype, err);
    if (status)
        return status;
    if (n_src < BUFFER_HEAD_BYTES)
        return mth_error_set(err, MTH_ERR_TRUNCATED, "the compressed buffer is empty");
    struct mth_bytes container = {in + BUFFER_HEAD_BYTES, n_src - BUFFER_HEAD_BYTES};
    if (container.n_bytes < MTH_HEAD_BYTES)
        return mth_error_set(err, MTH_ERR_TRUNCATED, "the compressed buffer ends too early");
    status = mth_container_get_head(container.data, &head, err);
    if (status)
        return status;
    if (in[0] != (uint8_t)dtype)
        return mth_error_set(err, MTH_ERR_USAGE, "the buffer was compressed as %s, not as %s",
                             mth_dtype_info((enum mth_dtype)in[0])->name, mth_dtype_info(dtype)->name);
    if (head.raw_bytes != n_bytes)
        return mth_error_set(err, MTH_ERR_USAGE, "the buffer restores to %llu bytes, not to %zu",
                             (unsigned long long)head.raw_bytes, n_bytes);
    status = open_coder(&bc, err);
    if (!status)
        status = mth_coder_decode(bc.coder, container, NULL, 0, dst, n_bytes, err);
    close_coder(&bc);
    return status;
}
