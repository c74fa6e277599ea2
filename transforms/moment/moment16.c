/*
 * moment16: the moving average of gradients that were bf16 values times one scale, as those values.
 *
 * m1 = m0 + weight * (scale * g - m0), as PyTorch's Adam computes it. Where a bf16 g gives just the bits of m1, it stands for the
 * element; where none does, the element is kept. A gradient is coded given the root of v: its size relative to that in one stream,
 * its sign and the rest of its mantissa in another, as good as random.
 *
 * Streams   0 size, a byte: half octaves of g above those of sqrt(v0), and 128; 255: kept
 *           1 rest, 7 bits packed: sign, 6 bits of the mantissa; 0 where kept
 *           2 kept: the elements, 4 bytes each; the tail
 */
#include "transforms/moment/moment.h"

#include <stdbool.h>

enum { SIZES = 0, REST = 1, KEPT = 2 };
enum { N_REST_BITS = 7, SIZE_BIAS = 128 };

static const struct mth_reference_slot references[] = {
    {"m", "the moving average before the step"},
    {"v", "that of the squares before the step"},
};

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    size_t n = n_bytes / 4;
    (void)values;
    if (type->dtype != MTH_DTYPE_F32 || type->symbol_bits != 32 || type->container_bits != 32)
        return MTH_ERR_UNSUPPORTED;
    plans[SIZES] =
        (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_U8), .n_symbols = n, .n_bytes = n};
    plans[REST] = (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_OPAQUE),
                                           .n_symbols = mth_packed_bytes(n, N_REST_BITS),
                                           .n_bytes = mth_packed_bytes(n, N_REST_BITS)};
    plans[KEPT] = (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_OPAQUE),
                                           .n_symbols = n_bytes,
                                           .n_bytes = n_bytes,
                                           .flags = MTH_STREAM_VARIABLE};
    *n_streams = 3;
    return MTH_OK;
}

struct arithmetic {
    float weight, scale;
};

static struct arithmetic arithmetic_of(const int64_t *options)
{
    return (struct arithmetic){mth_float_of((uint32_t)options[MTH_MOMENT_WEIGHT]),
                               mth_float_of((uint32_t)options[MTH_MOMENT_SCALE])};
}

static uint32_t replay(const struct arithmetic *a, uint16_t gradient, float m0)
{
    return mth_bits_of(mth_adam_m(m0, mth_adam_scaled(gradient, a->scale), a->weight));
}

/* The gradient that gives m1, or one of its neighbours. */
static bool find_gradient(const struct arithmetic *a, uint32_t m0_bits, uint32_t m1, uint16_t *gradient)
{
    float m0 = mth_float_of(m0_bits);
    uint16_t g = mth_adam_gradient16(mth_adam_gradient(m0, mth_float_of(m1), a->weight), a->scale);
    for (int step = 0; step < 3; step++) {
        *gradient = (uint16_t)(step == 2 ? g - 1 : g + step);
        if (replay(a, *gradient, m0) == m1)
            return true;
    }
    return false;
}

/* The gradient of an element and its size, as forward would have it; false: it is kept. */
static bool find(const struct arithmetic *a, uint32_t m0, uint32_t v0, uint32_t m1, uint16_t *gradient,
                 int32_t *size)
{
    bool found = find_gradient(a, m0, m1, gradient);
    *size = (*gradient >> 6 & 0x1ff) - mth_half_octave_of_root(v0) + SIZE_BIAS;
    return found && *size >= 0 && *size < MTH_MOMENT_ESCAPE;
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    const struct arithmetic a = arithmetic_of(job->options);
    const uint8_t *m = job->references[0].data, *v = job->references[1].data;
    size_t n = job->n_bytes / 4;
    streams[SIZES].n_bytes = n;
    streams[REST].n_bytes = job->plans[REST].n_bytes;
    streams[KEPT].n_bytes = 0;
    if (streams[REST].n_bytes)
        memset(streams[REST].data, 0, streams[REST].n_bytes);
    for (size_t i = 0; i < n; i++) {
        uint32_t m1 = mth_lane_load32(src + 4 * i);
        uint16_t g;
        int32_t size;
        if (!find(&a, mth_lane_load32(m + 4 * i), mth_lane_load32(v + 4 * i), m1, &g, &size)) {
            streams[SIZES].data[i] = MTH_MOMENT_ESCAPE;
            mth_lane_store32(streams[KEPT].data + streams[KEPT].n_bytes, m1);
            streams[KEPT].n_bytes += 4;
            continue;
        }
        streams[SIZES].data[i] = (uint8_t)size;
        mth_packed_put(streams[REST].data, i, N_REST_BITS, (uint32_t)(g >> 15 << 6 | (g & 0x3f)));
    }
    if (job->n_bytes > 4 * n)
        mth_moment_end(job, src, n, &streams[KEPT]);
    return MTH_OK;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    const struct arithmetic a = arithmetic_of(job->options);
    const uint8_t *m = job->references[0].data, *v = job->references[1].data;
    size_t n = job->n_bytes / 4, n_tail = job->n_bytes - 4 * n, used = 0;
    if (!mth_packed_ends_clean(streams[REST].data, n, N_REST_BITS))
        return MTH_ERR_CORRUPT;
    for (size_t i = 0; i < n; i++) {
        uint32_t m0 = mth_lane_load32(m + 4 * i), v0 = mth_lane_load32(v + 4 * i), m1;
        uint16_t g, again;
        int32_t size_again;
        uint8_t size = streams[SIZES].data[i];
        uint32_t rest = mth_packed_get(streams[REST].data, i, N_REST_BITS);
        if (size == MTH_MOMENT_ESCAPE) {
            if (rest || streams[KEPT].n_bytes - used < 4)
                return MTH_ERR_CORRUPT;
            m1 = mth_lane_load32(streams[KEPT].data + used);
            used += 4;
            if (find(&a, m0, v0, m1, &again, &size_again))
                return MTH_ERR_CORRUPT;
            mth_lane_store32(dst + 4 * i, m1);
            continue;
        }
        int32_t top = size - SIZE_BIAS + mth_half_octave_of_root(v0);
        if (top < 0 || top > 0x1ff)
            return MTH_ERR_CORRUPT;
        g = (uint16_t)(rest >> 6 << 15 | (uint32_t)top << 6 | (rest & 0x3f));
        m1 = replay(&a, g, mth_float_of(m0));
        /* Where several gradients give the same, one of them stands for it. */
        if (!find(&a, m0, v0, m1, &again, &size_again) || again != g)
            return MTH_ERR_CORRUPT;
        mth_lane_store32(dst + 4 * i, m1);
    }
    if (streams[KEPT].n_bytes - used != n_tail)
        return MTH_ERR_CORRUPT;
    if (n_tail)
        memcpy(dst + 4 * n, streams[KEPT].data + used, n_tail);
    return MTH_OK;
}

const struct mth_transform mth_transform_moment16 = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "moment16",
    .summary = "the moving average of bf16 gradients as those, given the average before and that of squares",
    .options = mth_moment_options,
    .n_options = MTH_N_MOMENT_OPTIONS,
    .references = references,
    .n_references = sizeof references / sizeof references[0],
    .max_streams = 3,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
