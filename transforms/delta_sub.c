/* delta-sub: the bits of elements, read as unsigned integers, minus those of their reference, modulo 2^width.
 */
#include "base/lane.h"
#include "transforms/delta.h"
#include "transforms/transform.h"

static const struct mth_reference_slot references[] = {
    {"base", "the elements to take the difference from"},
};

/* Little-endian lanes; the casts bring the sum, which C promotes to int, back to its width. */
#define DEFINE_KERNELS(bits)                                                                     \
    static void sub##bits(const uint8_t *restrict in, const uint8_t *restrict base, size_t n,    \
                          uint8_t *restrict out)                                                 \
    {                                                                                            \
        for (size_t at = 0; at < n * (bits / 8); at += bits / 8) {                               \
            uint##bits##_t x = mth_lane_load##bits(in + at), b = mth_lane_load##bits(base + at); \
            mth_lane_store##bits(out + at, (uint##bits##_t)(x - b));                             \
        }                                                                                        \
    }                                                                                            \
    static void add##bits(const uint8_t *restrict in, const uint8_t *restrict base, size_t n,    \
                          uint8_t *restrict out)                                                 \
    {                                                                                            \
        for (size_t at = 0; at < n * (bits / 8); at += bits / 8) {                               \
            uint##bits##_t d = mth_lane_load##bits(in + at), b = mth_lane_load##bits(base + at); \
            mth_lane_store##bits(out + at, (uint##bits##_t)(d + b));                             \
        }                                                                                        \
    }

DEFINE_KERNELS(8)
DEFINE_KERNELS(16)
DEFINE_KERNELS(32)
DEFINE_KERNELS(64)

static const struct mth_delta_kernels kernels[] = {
    {8, MTH_DTYPE_U8, sub8, add8},
    {16, MTH_DTYPE_U16, sub16, add16},
    {32, MTH_DTYPE_U32, sub32, add32},
    {64, MTH_DTYPE_U64, sub64, add64},
};

static const struct mth_delta_kernels *kernels_of(const struct mth_symbol_type *type)
{
    return mth_delta_find(kernels, sizeof kernels / sizeof kernels[0], type->container_bits);
}

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    (void)values;
    return mth_delta_plan(kernels_of(type), n_bytes, plans, n_streams);
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    mth_delta_apply(job, kernels_of(&job->type)->forward, src, streams[0].data);
    streams[0].n_bytes = job->n_bytes;
    return MTH_OK;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    mth_delta_apply(job, kernels_of(&job->type)->inverse, streams[0].data, dst);
    return MTH_OK;
}

const struct mth_transform mth_transform_delta_sub = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "delta-sub",
    .summary = "bits of elements as integers minus those of the base, modulo 2^width",
    .references = references,
    .n_references = sizeof references / sizeof references[0],
    .max_streams = 1,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
