/*
 * delta-ulp: by how many representable values an element moved from its reference.
 *
 * Both are mapped to unsigned integers in the order of their values, subtracted modulo 2^width, and the
 * difference is folded (0, -1, 1, -2, 2 .. to 0, 1, 2, 3, 4 ..), so that a small step either way is a small
 * symbol.
 */
#include "base/lane.h"
#include "transforms/delta.h"
#include "transforms/fold.h"
#include "transforms/transform.h"

static const struct mth_reference_slot references[] = {
    {"base", "the elements to take the difference from"},
};

/*
 * The kernels of one width.
 *
 * Order of floats: sign and magnitude. A positive one moves above all negative ones by its sign bit, the
 * negative ones are turned around by flipping every bit; -0 and +0 are neighbours, NaNs lie outside the
 * infinities. The map is one-to-one, so that every bit pattern comes back.
 *
 * Order of integers: their own. Signed ones would have their sign bit flipped, which cancels in a difference
 * modulo 2^bits, so that one kernel serves both.
 */
#define DEFINE_KERNELS(bits)                                                                             \
    MTH_ALWAYS_INLINE uint##bits##_t order##bits(uint##bits##_t x)                                       \
    {                                                                                                    \
        return x ^ (mth_spread_sign##bits(x) | (uint##bits##_t)((uint##bits##_t)1 << (bits - 1)));       \
    }                                                                                                    \
    MTH_ALWAYS_INLINE uint##bits##_t unorder##bits(uint##bits##_t m)                                     \
    {                                                                                                    \
        return m ^ (mth_spread_sign##bits((uint##bits##_t) ~m) |                                         \
                    (uint##bits##_t)((uint##bits##_t)1 << (bits - 1)));                                  \
    }                                                                                                    \
    static void sub_float##bits(const uint8_t *restrict in, const uint8_t *restrict base, size_t n,      \
                                uint8_t *restrict out)                                                   \
    {                                                                                                    \
        for (size_t at = 0; at < n * (bits / 8); at += bits / 8) {                                       \
            uint##bits##_t x = mth_lane_load##bits(in + at), b = mth_lane_load##bits(base + at);         \
            mth_lane_store##bits(out + at,                                                               \
                                 mth_fold##bits((uint##bits##_t)(order##bits(x) - order##bits(b))));     \
        }                                                                                                \
    }                                                                                                    \
    static void add_float##bits(const uint8_t *restrict in, const uint8_t *restrict base, size_t n,      \
                                uint8_t *restrict out)                                                   \
    {                                                                                                    \
        for (size_t at = 0; at < n * (bits / 8); at += bits / 8) {                                       \
            uint##bits##_t z = mth_lane_load##bits(in + at), b = mth_lane_load##bits(base + at);         \
            mth_lane_store##bits(out + at,                                                               \
                                 unorder##bits((uint##bits##_t)(mth_unfold##bits(z) + order##bits(b)))); \
        }                                                                                                \
    }                                                                                                    \
    static void sub_integer##bits(const uint8_t *restrict in, const uint8_t *restrict base, size_t n,    \
                                  uint8_t *restrict out)                                                 \
    {                                                                                                    \
        for (size_t at = 0; at < n * (bits / 8); at += bits / 8) {                                       \
            uint##bits##_t x = mth_lane_load##bits(in + at), b = mth_lane_load##bits(base + at);         \
            mth_lane_store##bits(out + at, mth_fold##bits((uint##bits##_t)(x - b)));                     \
        }                                                                                                \
    }                                                                                                    \
    static void add_integer##bits(const uint8_t *restrict in, const uint8_t *restrict base, size_t n,    \
                                  uint8_t *restrict out)                                                 \
    {                                                                                                    \
        for (size_t at = 0; at < n * (bits / 8); at += bits / 8) {                                       \
            uint##bits##_t z = mth_lane_load##bits(in + at), b = mth_lane_load##bits(base + at);         \
            mth_lane_store##bits(out + at, (uint##bits##_t)(mth_unfold##bits(z) + b));                   \
        }                                                                                                \
    }

DEFINE_KERNELS(8)
DEFINE_KERNELS(16)
DEFINE_KERNELS(32)
DEFINE_KERNELS(64)

static const struct mth_delta_kernels float_kernels[] = {
    {8, MTH_DTYPE_U8, sub_float8, add_float8},
    {16, MTH_DTYPE_U16, sub_float16, add_float16},
    {32, MTH_DTYPE_U32, sub_float32, add_float32},
    {64, MTH_DTYPE_U64, sub_float64, add_float64},
};

static const struct mth_delta_kernels integer_kernels[] = {
    {8, MTH_DTYPE_U8, sub_integer8, add_integer8},
    {16, MTH_DTYPE_U16, sub_integer16, add_integer16},
    {32, MTH_DTYPE_U32, sub_integer32, add_integer32},
    {64, MTH_DTYPE_U64, sub_integer64, add_integer64},
};

/* What is not a float is an integer, bare bytes too. A float that is not whole has no order: NULL. */
static const struct mth_delta_kernels *kernels_of(const struct mth_symbol_type *type)
{
    enum { N_ROWS = sizeof float_kernels / sizeof float_kernels[0] };
    const struct mth_dtype_info *info = mth_dtype_info(type->dtype);
    if (info->exponent_bits == 0)
        return mth_delta_find(integer_kernels, N_ROWS, type->container_bits);
    if (type->symbol_bits != info->lane_bits || type->container_bits != info->lane_bits)
        return NULL;
    return mth_delta_find(float_kernels, N_ROWS, type->container_bits);
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

const struct mth_transform mth_transform_delta_ulp = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "delta-ulp",
    .summary = "by how many representable values elements moved from the base, folded to small integers",
    .references = references,
    .n_references = sizeof references / sizeof references[0],
    .max_streams = 1,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
