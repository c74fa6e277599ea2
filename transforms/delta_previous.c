/*
 * delta-previous: by how much an integer differs from the one before it.
 *
 * Offsets grow, counters stand still, positions count up: the steps take few values where the numbers take many. Steps
 * are folded, so that the upper bytes of small ones are zero.
 */
#include "base/lane.h"
#include "transforms/fold.h"
#include "transforms/transform.h"

#include <stdbool.h>

/* The first element is its difference from 0. */
#define DEFINE_KERNELS(bits)                                                              \
    static void steps##bits(const uint8_t *restrict in, size_t n, uint8_t *restrict out)  \
    {                                                                                     \
        uint##bits##_t before = 0;                                                        \
        for (size_t at = 0; at < n * (bits / 8); at += bits / 8) {                        \
            uint##bits##_t x = mth_lane_load##bits(in + at);                              \
            mth_lane_store##bits(out + at, mth_fold##bits((uint##bits##_t)(x - before))); \
            before = x;                                                                   \
        }                                                                                 \
    }                                                                                     \
    static void sums##bits(const uint8_t *restrict in, size_t n, uint8_t *restrict out)   \
    {                                                                                     \
        uint##bits##_t sum = 0;                                                           \
        for (size_t at = 0; at < n * (bits / 8); at += bits / 8) {                        \
            sum = (uint##bits##_t)(sum + mth_unfold##bits(mth_lane_load##bits(in + at))); \
            mth_lane_store##bits(out + at, sum);                                          \
        }                                                                                 \
    }

DEFINE_KERNELS(8)
DEFINE_KERNELS(16)
DEFINE_KERNELS(32)
DEFINE_KERNELS(64)

typedef void kernel(const uint8_t *restrict in, size_t n, uint8_t *restrict out);

struct width {
    enum mth_dtype steps; /* the type of the stream */
    kernel *forward, *inverse;
};

static const struct width *width_of(const struct mth_symbol_type *type)
{
    static const struct width widths[] = {{MTH_DTYPE_U8, steps8, sums8},
                                          {MTH_DTYPE_U16, steps16, sums16},
                                          {MTH_DTYPE_U32, steps32, sums32},
                                          {MTH_DTYPE_U64, steps64, sums64}};
    bool integer = type->dtype >= MTH_DTYPE_BOOL && type->dtype <= MTH_DTYPE_I64;
    for (size_t i = 0; integer && i < sizeof widths / sizeof widths[0]; i++) {
        if (mth_dtype_info(widths[i].steps)->lane_bits == type->container_bits)
            return &widths[i];
    }
    return NULL;
}

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    (void)values;
    const struct width *width = width_of(type);
    if (!width)
        return MTH_ERR_UNSUPPORTED;
    plans[0] = (struct mth_stream_plan){.type = mth_symbol_type_of(width->steps),
                                        .n_symbols = n_bytes / (type->container_bits / 8u),
                                        .n_bytes = n_bytes};
    *n_streams = 1;
    return MTH_OK;
}

static void apply(const struct mth_transform_job *job, kernel *run, const uint8_t *in, uint8_t *out)
{
    size_t n = job->plans[0].n_symbols, n_whole = n * (job->type.container_bits / 8u);
    run(in, n, out);
    if (n_whole < job->n_bytes)
        memcpy(out + n_whole, in + n_whole, job->n_bytes - n_whole);
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    apply(job, width_of(&job->type)->forward, src, streams[0].data);
    streams[0].n_bytes = job->n_bytes;
    return MTH_OK;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    apply(job, width_of(&job->type)->inverse, streams[0].data, dst);
    return MTH_OK;
}

const struct mth_transform mth_transform_delta_previous = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "delta-previous",
    .summary = "integers minus the one before each",
    .max_streams = 1,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
