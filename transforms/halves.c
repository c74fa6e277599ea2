/*
 * halves: the upper 16 bits of 32-bit floats to one stream, the lower 16 to another.
 *
 * The upper half of an f32 is a bf16 (the value rounded toward zero), so what is good for bf16 serves f32 too. And the
 * lower half is all zeros where the values were bf16, and mostly zeros where they had another short mantissa.
 */
#include "base/lane.h"
#include "transforms/transform.h"

enum { STREAM_HIGH, STREAM_LOW, N_STREAMS, LANE_BYTES = 4 };

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    (void)values;
    const struct mth_dtype_info *info = mth_dtype_info(type->dtype);
    if (type->container_bits != 32 || type->symbol_bits != 32 || info->lane_bits != 32 ||
        info->exponent_bits != 8)
        return MTH_ERR_UNSUPPORTED;
    size_t n = n_bytes / LANE_BYTES;
    plans[STREAM_HIGH] = (struct mth_stream_plan){
        .type = mth_symbol_type_of(MTH_DTYPE_BF16), .n_symbols = n, .n_bytes = 2 * n};
    plans[STREAM_LOW] = (struct mth_stream_plan){
        .type = mth_symbol_type_of(MTH_DTYPE_U16), .n_symbols = n, .n_bytes = 2 * n + n_bytes % LANE_BYTES};
    *n_streams = N_STREAMS;
    return MTH_OK;
}

static void split(const uint8_t *restrict src, size_t n, uint8_t *restrict high, uint8_t *restrict low)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t x = mth_lane_load32(src + 4 * i);
        mth_lane_store16(high + 2 * i, (uint16_t)(x >> 16));
        mth_lane_store16(low + 2 * i, (uint16_t)x);
    }
}

static void join(const uint8_t *restrict high, const uint8_t *restrict low, size_t n, uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++)
        mth_lane_store32(dst + 4 * i,
                         (uint32_t)mth_lane_load16(high + 2 * i) << 16 | mth_lane_load16(low + 2 * i));
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    size_t n = job->plans[STREAM_HIGH].n_symbols, n_tail = job->n_bytes % LANE_BYTES;
    for (size_t s = 0; s < N_STREAMS; s++)
        streams[s].n_bytes = job->plans[s].n_bytes;
    split(src, n, streams[STREAM_HIGH].data, streams[STREAM_LOW].data);
    if (n_tail)
        memcpy(streams[STREAM_LOW].data + 2 * n, src + LANE_BYTES * n, n_tail);
    return MTH_OK;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    size_t n = job->plans[STREAM_HIGH].n_symbols, n_tail = job->n_bytes % LANE_BYTES;
    join(streams[STREAM_HIGH].data, streams[STREAM_LOW].data, n, dst);
    if (n_tail)
        memcpy(dst + LANE_BYTES * n, streams[STREAM_LOW].data + 2 * n, n_tail);
    return MTH_OK;
}

const struct mth_transform mth_transform_halves = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "halves",
    .summary = "upper halves of 32-bit floats, which are bf16, to one stream, lower halves to another",
    .max_streams = N_STREAMS,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
