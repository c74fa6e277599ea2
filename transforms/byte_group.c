/* byte-group: byte i of every element goes to stream i, the lowest first. */
#include "transforms/transform.h"

#include "base/checked.h"

#include <string.h>

enum { OPTION_WIDTH };

static const struct mth_option options[] = {
    {"width", "bytes of an element; 0 takes the width of the dtype", 0, MTH_MAX_STREAMS, 0, NULL},
};

static size_t width_of(const int64_t *values, const struct mth_symbol_type *type)
{
    if (values[OPTION_WIDTH])
        return (size_t)values[OPTION_WIDTH];
    return type->container_bits % 8 == 0 ? type->container_bits / 8u : 1;
}

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    size_t width = width_of(values, type);
    size_t n = n_bytes / width;
    for (size_t i = 0; i < width; i++)
        plans[i] = (struct mth_stream_plan){
            .type = mth_symbol_type_of(MTH_DTYPE_U8), .n_symbols = n, .n_bytes = n};
    plans[width - 1].n_bytes += n_bytes % width;
    *n_streams = width;
    return MTH_OK;
}

/* Widths as constants let the compiler unroll and vectorise. */
static inline void split(const uint8_t *restrict src, size_t n, size_t width, struct mth_buffer *streams)
{
    for (size_t s = 0; s < width; s++) {
        uint8_t *restrict out = streams[s].data;
        for (size_t i = 0; i < n; i++)
            out[i] = src[i * width + s];
    }
}

static void split_pairs(const uint8_t *restrict src, size_t n, uint8_t *restrict low, uint8_t *restrict high)
{
    for (size_t i = 0; i < n; i++) {
        low[i] = src[2 * i];
        high[i] = src[2 * i + 1];
    }
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    size_t width = job->n_streams;
    size_t n = job->n_bytes / width;
    switch (width) {
    case 2:
        split_pairs(src, n, streams[0].data, streams[1].data);
        break;
    case 4:
        split(src, n, 4, streams);
        break;
    case 8:
        split(src, n, 8, streams);
        break;
    default:
        split(src, n, width, streams);
    }
    for (size_t s = 0; s < width; s++)
        streams[s].n_bytes = job->plans[s].n_bytes;
    size_t n_tail = job->n_bytes % width;
    if (n_tail)
        memcpy(streams[width - 1].data + n, src + n * width, n_tail);
    return MTH_OK;
}

static inline void join(const struct mth_bytes *streams, size_t n, size_t width, uint8_t *restrict dst)
{
    for (size_t s = 0; s < width; s++) {
        const uint8_t *restrict in = streams[s].data;
        for (size_t i = 0; i < n; i++)
            dst[i * width + s] = in[i];
    }
}

static void join_pairs(const uint8_t *restrict low, const uint8_t *restrict high, size_t n, uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++) {
        dst[2 * i] = low[i];
        dst[2 * i + 1] = high[i];
    }
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    size_t width = job->n_streams;
    size_t n = job->n_bytes / width;
    switch (width) {
    case 2:
        join_pairs(streams[0].data, streams[1].data, n, dst);
        break;
    case 4:
        join(streams, n, 4, dst);
        break;
    case 8:
        join(streams, n, 8, dst);
        break;
    default:
        join(streams, n, width, dst);
    }
    size_t n_tail = job->n_bytes % width;
    if (n_tail)
        memcpy(dst + n * width, streams[width - 1].data + n, n_tail);
    return MTH_OK;
}

const struct mth_transform mth_transform_byte_group = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "byte-group",
    .summary = "byte i of every element to stream i, the lowest first",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .max_streams = MTH_MAX_STREAMS,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
