/*
 * gradient24: what an optimizer makes of gradients and of what it was before, as those gradients.
 *
 * As moment24, for all orders in which the two are added: m1 = stays * m0 + weight * d, as mul_ and add_ do it (momentum, and averages
 * of older releases), or as lerp_; and d may be the gradient or that and a share of the weights. Sizes are relative to the root of
 * the squares before or, where nobody averages these, to one middle for all.
 *
 * Streams   0 size, a byte: half octaves of g above those of sqrt(v0), or above the middle, and 128; 0: denormal or zero; 255: kept
 *           1 rest, 7 bits packed: sign, 6 bits of the mantissa; 0 where kept
 *           2 low, a byte: 8 more bits of the mantissa; 0 where kept
 *           3 kept: the elements, 4 bytes each; the tail
 */
#include "base/cpu.h"
#include "transforms/moment/moment.h"
#include "transforms/moment/moment_kernels.h"

enum { SIZES = MTH_MOMENT24_SIZES, REST, LOWS, KEPT, N_STREAMS };
enum { WEIGHT, STAYS, DECAY, SCALE, SIZED_BY, N_OPTIONS };

static const char *const sized_by[] = {"squares", "middle"};

static const struct mth_option options[N_OPTIONS] = {
    [WEIGHT] = {"weight", "bits of the fp32 share of what is added: 2^-24 to 1", 0x33800000, 0x3f800000,
                0x3f800000, NULL},
    [STAYS] = {"stays", "bits of the fp32 share of what was before, to 1; 0: all but the weight, by lerp_", 0,
               0x3f800000, 0x3f666666, NULL},
    [DECAY] = {"decay", "bits of the fp32 share of the weights that is added, to 1", 0, 0x3f800000, 0, NULL},
    [SCALE] = {"scale", "bits of the fp32 value that gradients were multiplied with: 2^-63 to 2^63",
               0x20000000, 0x5f000000, 0x3f800000, NULL},
    [SIZED_BY] = {"sizes", "what the sizes of gradients are relative to", 0, 1, 0, sized_by},
};

static const struct mth_reference_slot references[] = {
    {"m", "what it was before the step"},
    {"v", "the average of squares before the step; any where sizes have a middle"},
    {"w", "weights before the step; any where nothing decays"},
};

static struct mth_gradient24_rule rule_of(const int64_t *values)
{
    return (struct mth_gradient24_rule){mth_sum_rule_of((uint32_t)values[WEIGHT], (uint32_t)values[STAYS],
                                                        (uint32_t)values[DECAY], (uint32_t)values[SCALE]),
                                        values[SIZED_BY] == 0};
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    const struct mth_moment_kernels *kernels = mth_moment_kernels_of(mth_cpu_features());
    const struct mth_gradient24_rule rule = rule_of(job->options);
    const uint8_t *m = job->references[0].data, *v = job->references[1].data, *w = job->references[2].data;
    size_t n = job->n_bytes / 4;
    streams[SIZES].n_bytes = streams[LOWS].n_bytes = n;
    streams[REST].n_bytes = job->plans[REST].n_bytes;
    streams[KEPT].n_bytes = 0;
    for (size_t at = 0; at < n; at += MTH_MOMENT_BLOCK_ELEMS) {
        size_t n_block = n - at < MTH_MOMENT_BLOCK_ELEMS ? n - at : MTH_MOMENT_BLOCK_ELEMS;
        uint8_t rests[MTH_MOMENT_BLOCK_ELEMS], *sizes = streams[SIZES].data + at;
        kernels->find_sum(&rule, m + 4 * at, v + 4 * at, w + 4 * at, src + 4 * at, n_block, sizes, rests,
                          streams[LOWS].data + at);
        mth_moment_keep(sizes, n_block, src + 4 * at, &streams[KEPT]);
        kernels->pack(rests, at, n_block, MTH_MOMENT16_REST_BITS, streams[REST].data);
    }
    if (job->n_bytes > 4 * n)
        mth_moment_end(job, src, n, &streams[KEPT]);
    return MTH_OK;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    const struct mth_moment_kernels *kernels = mth_moment_kernels_of(mth_cpu_features());
    const struct mth_gradient24_rule rule = rule_of(job->options);
    const uint8_t *m = job->references[0].data, *v = job->references[1].data, *w = job->references[2].data;
    size_t n = job->n_bytes / 4, n_tail = job->n_bytes - 4 * n, used = 0;
    if (!mth_packed_ends_clean(streams[REST].data, n, MTH_MOMENT16_REST_BITS))
        return MTH_ERR_CORRUPT;
    for (size_t at = 0; at < n; at += MTH_MOMENT_BLOCK_ELEMS) {
        size_t n_block = n - at < MTH_MOMENT_BLOCK_ELEMS ? n - at : MTH_MOMENT_BLOCK_ELEMS;
        uint8_t rests[MTH_MOMENT_BLOCK_ELEMS];
        const uint8_t *sizes = streams[SIZES].data + at;
        kernels->unpack(streams[REST].data, at, n_block, MTH_MOMENT16_REST_BITS, rests);
        if (kernels->restore_sum(&rule, m + 4 * at, v + 4 * at, w + 4 * at, sizes, rests,
                                 streams[LOWS].data + at, n_block, dst + 4 * at) ||
            !mth_moment_take_kept(sizes, n_block, &streams[KEPT], &used, dst + 4 * at))
            return MTH_ERR_CORRUPT;
    }
    if (streams[KEPT].n_bytes - used != n_tail)
        return MTH_ERR_CORRUPT;
    if (n_tail)
        memcpy(dst + 4 * n, streams[KEPT].data + used, n_tail);
    return MTH_OK;
}

const struct mth_transform mth_transform_gradient24 = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "gradient24",
    .summary = "momentum, or an average, of gradients of few bits as those, given what it was before",
    .options = options,
    .n_options = N_OPTIONS,
    .references = references,
    .n_references = sizeof references / sizeof references[0],
    .max_streams = N_STREAMS,
    .plan = mth_moment24_plan,
    .forward = forward,
    .inverse = inverse,
    .flags = MTH_TRANSFORM_CHOOSES,
};
