/*
 * divided24: what moved by gradients that were divided by the root of their squares, as those gradients.
 *
 * RMSprop and Adagrad keep squares alone: v1 = stays * v0 + weight * d * d, and move weights or their momentum by rate * d / (sqrt(v1) + eps).
 * Given the squares before, the gradient that gives just the bits of x1 stands for the element, as in gradient24.
 *
 * Streams   as those of gradient24, sizes by squares
 */
#include "transforms/moment/moment.h"
#include "transforms/moment/moment_kernels.h"

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

static void find(const struct mth_moment_kernels *kernels, const void *rule, const struct mth_bytes *before,
                 size_t at, const uint8_t *src, size_t n, uint8_t *sizes, uint8_t *rests, uint8_t *lows)
{
    kernels->find_divided(rule, before[0].data + 4 * at, before[1].data + 4 * at, before[2].data + 4 * at,
                          src, n, sizes, rests, lows);
}

static uint32_t restore(const struct mth_moment_kernels *kernels, const void *rule,
                        const struct mth_bytes *before, size_t at, const uint8_t *sizes, const uint8_t *rests,
                        const uint8_t *lows, size_t n, uint8_t *dst)
{
    return kernels->restore_divided(rule, before[0].data + 4 * at, before[1].data + 4 * at,
                                    before[2].data + 4 * at, sizes, rests, lows, n, dst);
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    const struct mth_divided_rule rule = rule_of(job->options);
    return mth_moment24_forward(job, &rule, find, src, streams);
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    const struct mth_divided_rule rule = rule_of(job->options);
    return mth_moment24_inverse(job, &rule, restore, streams, dst);
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
    .max_streams = MTH_N_MOMENT24_STREAMS,
    .plan = mth_moment24_plan,
    .forward = forward,
    .inverse = inverse,
    .flags = MTH_TRANSFORM_CHOOSES,
};
