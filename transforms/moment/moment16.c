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
#include "base/cpu.h"
#include "transforms/moment/moment.h"
#include "transforms/predictors/adam_kernels.h"

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
    const struct mth_adam_kernels *kernels;
    float weight, scale;
};

static struct arithmetic arithmetic_of(const int64_t *options)
{
    return (struct arithmetic){mth_adam_kernels_of(mth_cpu_features()),
                               mth_float_of((uint32_t)options[MTH_MOMENT_WEIGHT]),
                               mth_float_of((uint32_t)options[MTH_MOMENT_SCALE])};
}

static int32_t size_of(uint32_t gradient, uint32_t v0)
{
    return (int32_t)(gradient >> 6 & 0x1ff) - mth_half_octave_of_root(v0) + SIZE_BIAS;
}

/* The next gradient or the one before, where the nearest does not give m1. */
static bool find_neighbour(const struct arithmetic *a, float m0, uint32_t m1, uint32_t *gradient)
{
    const uint16_t tried[] = {(uint16_t)(*gradient + 1), (uint16_t)(*gradient - 1)};
    for (size_t i = 0; i < sizeof tried / sizeof tried[0]; i++) {
        if (mth_bits_of(mth_adam_m(m0, mth_adam_scaled(tried[i], a->scale), a->weight)) == m1) {
            *gradient = tried[i];
            return true;
        }
    }
    return false;
}

/* Elements that are looked at together. */
struct block {
    uint32_t gradients[MTH_MOMENT_BLOCK_ELEMS];
    uint32_t fits[MTH_MOMENT_BLOCK_ELEMS]; /* all bits; 0: the element is kept */
};

/* What forward makes of n elements m1: their gradients, and which have one. */
static void find(const struct arithmetic *a, const uint8_t *m, const uint8_t *v, const uint8_t *m1, size_t n,
                 struct block *block)
{
    a->kernels->gradients16(a->weight, a->scale, m, m1, n, block->gradients, block->fits);
    for (size_t i = 0; i < n; i++) {
        if (!block->fits[i])
            block->fits[i] = 0 - (uint32_t)find_neighbour(a, mth_float_of(mth_lane_load32(m + 4 * i)),
                                                          mth_lane_load32(m1 + 4 * i), &block->gradients[i]);
    }
    for (size_t i = 0; i < n; i++) {
        int32_t size = size_of(block->gradients[i], mth_lane_load32(v + 4 * i));
        block->fits[i] &= 0 - (uint32_t)(size >= 0 && size < MTH_MOMENT_ESCAPE);
    }
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    const struct arithmetic a = arithmetic_of(job->options);
    const uint8_t *m = job->references[0].data, *v = job->references[1].data;
    size_t n = job->n_bytes / 4;
    streams[SIZES].n_bytes = n;
    streams[REST].n_bytes = job->plans[REST].n_bytes;
    streams[KEPT].n_bytes = 0;
    for (size_t at = 0; at < n; at += MTH_MOMENT_BLOCK_ELEMS) {
        size_t n_block = n - at < MTH_MOMENT_BLOCK_ELEMS ? n - at : MTH_MOMENT_BLOCK_ELEMS;
        struct block block;
        uint8_t rest[MTH_MOMENT_BLOCK_ELEMS];
        find(&a, m + 4 * at, v + 4 * at, src + 4 * at, n_block, &block);
        for (size_t i = 0; i < n_block; i++) {
            uint32_t g = block.gradients[i];
            if (!block.fits[i]) {
                rest[i] = 0;
                streams[SIZES].data[at + i] = MTH_MOMENT_ESCAPE;
                memcpy(streams[KEPT].data + streams[KEPT].n_bytes, src + 4 * (at + i), 4);
                streams[KEPT].n_bytes += 4;
                continue;
            }
            streams[SIZES].data[at + i] = (uint8_t)size_of(g, mth_lane_load32(v + 4 * (at + i)));
            rest[i] = (uint8_t)(g >> 15 << 6 | (g & 0x3f));
        }
        mth_pack(rest, at, n_block, N_REST_BITS, streams[REST].data);
    }
    if (job->n_bytes > 4 * n)
        mth_moment_end(job, src, n, &streams[KEPT]);
    return MTH_OK;
}

/* The gradients that streams hold for elements from at on; false for what is no gradient. */
static bool read_gradients(const struct mth_bytes *streams, const uint8_t *v, size_t at, size_t n,
                           struct block *block)
{
    uint8_t rests[MTH_MOMENT_BLOCK_ELEMS];
    const uint8_t *sizes = streams[SIZES].data + at;
    uint32_t unsound = 0;
    mth_unpack(streams[REST].data, at, n, N_REST_BITS, rests);
    for (size_t i = 0; i < n; i++) {
        uint32_t rest = rests[i], fits = 0 - (uint32_t)(sizes[i] != MTH_MOMENT_ESCAPE);
        uint32_t top =
            (uint32_t)(sizes[i] - SIZE_BIAS + mth_half_octave_of_root(mth_lane_load32(v + 4 * (at + i))));
        block->fits[i] = fits;
        unsound |= (fits & (top & ~0x1ffu)) | (~fits & rest);
        block->gradients[i] = fits & (rest >> 6 << 15 | (top & 0x1ff) << 6 | (rest & 0x3f));
    }
    return unsound == 0;
}

/* Would forward have made the same of these elements? Of gradients that give the same moment one stands for it. */
static bool are_those_of_forward(const struct block *block, const struct block *again, size_t n)
{
    uint32_t differs = 0;
    for (size_t i = 0; i < n; i++)
        differs |= (block->fits[i] ^ again->fits[i]) |
                   (block->fits[i] & (block->gradients[i] ^ again->gradients[i]));
    return differs == 0;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    const struct arithmetic a = arithmetic_of(job->options);
    const uint8_t *m = job->references[0].data, *v = job->references[1].data;
    size_t n = job->n_bytes / 4, n_tail = job->n_bytes - 4 * n, used = 0;
    if (!mth_packed_ends_clean(streams[REST].data, n, N_REST_BITS))
        return MTH_ERR_CORRUPT;
    for (size_t at = 0; at < n; at += MTH_MOMENT_BLOCK_ELEMS) {
        size_t n_block = n - at < MTH_MOMENT_BLOCK_ELEMS ? n - at : MTH_MOMENT_BLOCK_ELEMS;
        struct block block, again;
        if (!read_gradients(streams, v, at, n_block, &block))
            return MTH_ERR_CORRUPT;
        a.kernels->moments16(a.weight, a.scale, m + 4 * at, block.gradients, n_block, dst + 4 * at);
        for (size_t i = 0; i < n_block; i++) {
            if (block.fits[i])
                continue;
            if (streams[KEPT].n_bytes - used < 4)
                return MTH_ERR_CORRUPT;
            memcpy(dst + 4 * (at + i), streams[KEPT].data + used, 4);
            used += 4;
        }
        find(&a, m + 4 * at, v + 4 * at, dst + 4 * at, n_block, &again);
        if (!are_those_of_forward(&block, &again, n_block))
            return MTH_ERR_CORRUPT;
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
