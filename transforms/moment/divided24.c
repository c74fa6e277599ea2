/*
 * divided24: what moved by gradients that were divided by the root of their squares, as those gradients.
 *
 * RMSprop and Adagrad keep squares alone: v1 = stays * v0 + weight * d * d, and move weights or their momentum by rate * d / (sqrt(v1) + eps).
 * Given the squares before, the gradient that gives just the bits of x1 stands for the element, as in gradient24.
 *
 * Streams   as those of gradient24, sizes by squares
 */
#include "base/cpu.h"
#include "transforms/moment/moment.h"
#include "transforms/moment/moment_kernels.h"

enum { SIZES = MTH_MOMENT24_SIZES, REST, LOWS, KEPT, N_STREAMS };

static const struct mth_option options[MTH_N_DIVIDED] = {
    [MTH_DIVIDED_WEIGHT] = {"weight", "bits of the fp32 share of a square", 0, UINT32_MAX, 0x3c23d70a, NULL},
    [MTH_DIVIDED_STAYS] = {"stays", "bits of the fp32 share of the squares before", 0, UINT32_MAX, 0x3f7d70a4,
                           NULL},
    [MTH_DIVIDED_DECAY] = {"decay", "bits of the fp32 share of the weights that is added, to 1", 0,
                           0x3f800000, 0, NULL},
    [MTH_DIVIDED_SCALE] = {"scale",
                           "bits of the fp32 value that gradients were multiplied with: 2^-63 to 2^63",
                           0x20000000, 0x5f000000, 0x3f800000, NULL},
    [MTH_DIVIDED_MU] = {"mu", "bits of the fp32 share of what moved that stays", 0, UINT32_MAX, 0x3f800000,
                        NULL},
    [MTH_DIVIDED_RATE] = {"rate", "bits of the fp32 value that gradients are multiplied with then", 0,
                          UINT32_MAX, 0x3f800000, NULL},
    [MTH_DIVIDED_EPS] = {"eps", "bits of the fp32 value that is added to the root", 0, UINT32_MAX, 0x322bcc77,
                         NULL},
};

static const struct mth_reference_slot references[] = {
    {"x", "what it was before the step"},
    {"v", "the squares before the step"},
    {"w", "weights before the step; any where nothing decays"},
};

static struct mth_divided_rule rule_of(const int64_t *values)
{
    uint32_t numbers[MTH_N_DIVIDED];
    for (size_t i = 0; i < MTH_N_DIVIDED; i++)
        numbers[i] = (uint32_t)values[i];
    return mth_divided_rule_of(numbers);
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    const struct mth_moment_kernels *kernels = mth_moment_kernels_of(mth_cpu_features());
    const struct mth_divided_rule rule = rule_of(job->options);
    const uint8_t *x = job->references[0].data, *v = job->references[1].data, *w = job->references[2].data;
    size_t n = job->n_bytes / 4;
    streams[SIZES].n_bytes = streams[LOWS].n_bytes = n;
    streams[REST].n_bytes = job->plans[REST].n_bytes;
    streams[KEPT].n_bytes = 0;
    for (size_t at = 0; at < n; at += MTH_MOMENT_BLOCK_ELEMS) {
        size_t n_block = n - at < MTH_MOMENT_BLOCK_ELEMS ? n - at : MTH_MOMENT_BLOCK_ELEMS;
        uint8_t rests[MTH_MOMENT_BLOCK_ELEMS], *sizes = streams[SIZES].data + at;
        kernels->find_divided(&rule, x + 4 * at, v + 4 * at, w + 4 * at, src + 4 * at, n_block, sizes, rests,
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
    const struct mth_divided_rule rule = rule_of(job->options);
    const uint8_t *x = job->references[0].data, *v = job->references[1].data, *w = job->references[2].data;
    size_t n = job->n_bytes / 4, n_tail = job->n_bytes - 4 * n, used = 0;
    if (!mth_packed_ends_clean(streams[REST].data, n, MTH_MOMENT16_REST_BITS))
        return MTH_ERR_CORRUPT;
    for (size_t at = 0; at < n; at += MTH_MOMENT_BLOCK_ELEMS) {
        size_t n_block = n - at < MTH_MOMENT_BLOCK_ELEMS ? n - at : MTH_MOMENT_BLOCK_ELEMS;
        uint8_t rests[MTH_MOMENT_BLOCK_ELEMS];
        const uint8_t *sizes = streams[SIZES].data + at;
        kernels->unpack(streams[REST].data, at, n_block, MTH_MOMENT16_REST_BITS, rests);
        if (kernels->restore_divided(&rule, x + 4 * at, v + 4 * at, w + 4 * at, sizes, rests,
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

const struct mth_transform mth_transform_divided24 = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "divided24",
    .summary =
        "weights or momentum that moved by gradients of few bits over the root of their squares, as those",
    .options = options,
    .n_options = MTH_N_DIVIDED,
    .references = references,
    .n_references = sizeof references / sizeof references[0],
    .max_streams = N_STREAMS,
    .plan = mth_moment24_plan,
    .forward = forward,
    .inverse = inverse,
    .flags = MTH_TRANSFORM_CHOOSES,
};
