/* byte-group: byte i of every element goes to stream i, the lowest first. */
#include "transforms/byte_planes.h"
#include "transforms/transform.h"

#include <string.h>

enum { OPTION_WIDTH };

_Static_assert((int)MTH_MAX_STREAMS <= (int)MTH_BYTE_PLANES_MAX_WIDTH, "the kernel takes every width");

static const struct mth_option options[] = {
    {"width", "bytes of an element; 0 takes the width of the dtype", 0, MTH_MAX_STREAMS, 0, NULL},
};

/* Symbols that do not fill bytes are grouped as bytes: one stream, unchanged. */
static size_t width_of(const int64_t *values, const struct mth_symbol_type *type)
{
    if (values[OPTION_WIDTH])
        return (size_t)values[OPTION_WIDTH];
    size_t width = type->container_bits % 8 == 0 ? type->container_bits / 8u : 1;
    return width == 0 || width > MTH_MAX_STREAMS ? 1 : width;
}

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    size_t width = width_of(values, type);
    size_t n = n_bytes / width;
    for (size_t i = 0; i < width; i++)
        plans[i] =
            (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_U8), .n_symbols = n, .n_bytes = n};
    plans[width - 1].n_bytes += n_bytes % width;
    *n_streams = width;
    return MTH_OK;
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    size_t width = job->n_streams;
    size_t n = job->n_bytes / width;
    uint8_t *planes[MTH_MAX_STREAMS];
    for (size_t s = 0; s < width; s++) {
        planes[s] = streams[s].data;
        streams[s].n_bytes = job->plans[s].n_bytes;
    }
    mth_byte_planes_split(src, n, width, planes);
    size_t n_tail = job->n_bytes % width;
    if (n_tail)
        memcpy(planes[width - 1] + n, src + n * width, n_tail);
    return MTH_OK;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    size_t width = job->n_streams;
    size_t n = job->n_bytes / width;
    const uint8_t *planes[MTH_MAX_STREAMS];
    for (size_t s = 0; s < width; s++)
        planes[s] = streams[s].data;
    mth_byte_planes_join(planes, n, width, dst);
    size_t n_tail = job->n_bytes % width;
    if (n_tail)
        memcpy(dst + n * width, planes[width - 1] + n, n_tail);
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
