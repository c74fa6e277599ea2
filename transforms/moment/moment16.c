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
#include "transforms/forward_digests.h"
#include "transforms/moment/moment.h"
#include "transforms/moment/moment_kernels.h"

#include <stdbool.h>

enum { SIZES = 0, REST = 1, KEPT = 2 };

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
                                           .n_symbols = mth_packed_bytes(n, MTH_MOMENT16_REST_BITS),
                                           .n_bytes = mth_packed_bytes(n, MTH_MOMENT16_REST_BITS)};
    plans[KEPT] = (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_OPAQUE),
                                           .n_symbols = n_bytes,
                                           .n_bytes = n_bytes,
                                           .flags = MTH_STREAM_VARIABLE};
    *n_streams = 3;
    return MTH_OK;
}

struct arithmetic {
    const struct mth_moment_kernels *kernels;
    struct mth_adam_rule rule;
};

static struct arithmetic arithmetic_of(const int64_t *options)
{
    return (struct arithmetic){
        mth_moment_kernels_of(mth_cpu_features()),
        mth_adam_rule_of((uint32_t)options[MTH_MOMENT_WEIGHT], (uint32_t)options[MTH_MOMENT_SCALE])};
}

/* The next gradient or the one before, where the nearest does not give m1; false where none does. */
static bool find_neighbour(const struct arithmetic *a, float m0, uint32_t v0, uint32_t m1, uint8_t *size,
                           uint8_t *rest)
{
    const struct mth_adam_rule *rule = &a->rule;
    uint16_t nearest = mth_adam_gradient16(rule, mth_adam_gradient(rule, m0, mth_float_of(m1)));
    const uint16_t tried[] = {(uint16_t)(nearest + 1), (uint16_t)(nearest - 1)};
    for (size_t i = 0; i < sizeof tried / sizeof tried[0]; i++) {
        int32_t from_root = (tried[i] >> 6 & 0x1ff) - mth_half_octave_of_root(v0) + MTH_MOMENT16_BIAS;
        if (mth_adam_fits(rule, m0, tried[i], m1) && from_root >= 0 && from_root < MTH_MOMENT_ESCAPE) {
            *size = (uint8_t)from_root;
            *rest = (uint8_t)(tried[i] >> 15 << 6 | (tried[i] & 0x3f));
            return true;
        }
    }
    return false;
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    const struct arithmetic a = arithmetic_of(job->options);
    const uint8_t *m = job->references[0].data, *v = job->references[1].data;
    size_t n = job->n_bytes / 4;
    streams[SIZES].n_bytes = n;
    streams[REST].n_bytes = job->plans[REST].n_bytes;
    streams[KEPT].n_bytes = 0;
    struct mth_digest_blocks digests;
    mth_digest_blocks_begin(&digests, job, sizeof references / sizeof references[0]);
    for (size_t at = 0; at < n; at += MTH_MOMENT_BLOCK_ELEMS) {
        size_t n_block = n - at < MTH_MOMENT_BLOCK_ELEMS ? n - at : MTH_MOMENT_BLOCK_ELEMS;
        mth_digest_blocks_reference(&digests, 0, 4 * at, 4 * n_block);
        uint8_t rests[MTH_MOMENT_BLOCK_ELEMS], *sizes = streams[SIZES].data + at;
        a.kernels->find16(&a.rule, m + 4 * at, v + 4 * at, src + 4 * at, n_block, sizes, rests);
        mth_digest_blocks_reference(&digests, 1, 4 * at, 4 * n_block);
        for (const uint8_t *escape = memchr(sizes, MTH_MOMENT_ESCAPE, n_block); escape;) {
            size_t i = (size_t)(escape - sizes);
            const uint8_t *elem = src + 4 * (at + i);
            if (!find_neighbour(&a, mth_float_of(mth_lane_load32(m + 4 * (at + i))),
                                mth_lane_load32(v + 4 * (at + i)), mth_lane_load32(elem), &sizes[i],
                                &rests[i])) {
                memcpy(streams[KEPT].data + streams[KEPT].n_bytes, elem, 4);
                streams[KEPT].n_bytes += 4;
            }
            escape = memchr(sizes + i + 1, MTH_MOMENT_ESCAPE, n_block - i - 1);
        }
        a.kernels->pack(rests, at, n_block, MTH_MOMENT16_REST_BITS, streams[REST].data);
        mth_digest_blocks_src(&digests, src, 4 * at, 4 * n_block);
        mth_digest_blocks_beside(&digests, 4 * at, 4 * n_block);
    }
    mth_digest_blocks_add(&digests, src, 4 * n, job->n_bytes - 4 * n);
    mth_digest_blocks_end(&digests);
    if (job->n_bytes > 4 * n)
        mth_moment_end(job, src, n, &streams[KEPT]);
    return MTH_OK;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    const struct arithmetic a = arithmetic_of(job->options);
    const uint8_t *m = job->references[0].data, *v = job->references[1].data;
    size_t n = job->n_bytes / 4, n_tail = job->n_bytes - 4 * n, used = 0;
    if (!mth_packed_ends_clean(streams[REST].data, n, MTH_MOMENT16_REST_BITS))
        return MTH_ERR_CORRUPT;
    for (size_t at = 0; at < n; at += MTH_MOMENT_BLOCK_ELEMS) {
        size_t n_block = n - at < MTH_MOMENT_BLOCK_ELEMS ? n - at : MTH_MOMENT_BLOCK_ELEMS;
        uint8_t rests[MTH_MOMENT_BLOCK_ELEMS];
        const uint8_t *sizes = streams[SIZES].data + at;
        a.kernels->unpack(streams[REST].data, at, n_block, MTH_MOMENT16_REST_BITS, rests);
        if (a.kernels->restore16(&a.rule, m + 4 * at, v + 4 * at, sizes, rests, n_block, dst + 4 * at))
            return MTH_ERR_CORRUPT;
        if (!mth_moment_take_kept(sizes, n_block, &streams[KEPT], &used, dst + 4 * at))
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
    .flags = MTH_TRANSFORM_CHOOSES,
};
