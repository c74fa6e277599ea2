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
#include "transforms/moment/moment.h"
#include "transforms/moment/moment_kernels.h"

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

static void find(const struct mth_moment_kernels *kernels, const void *rule, const struct mth_bytes *before,
                 size_t at, const uint8_t *src, size_t n, uint8_t *sizes, uint8_t *rests, uint8_t *lows)
{
    kernels->find_sum(rule, before[0].data + 4 * at, before[1].data + 4 * at, before[2].data + 4 * at, src, n,
                      sizes, rests, lows);
}

static uint32_t restore(const struct mth_moment_kernels *kernels, const void *rule,
                        const struct mth_bytes *before, size_t at, const uint8_t *sizes, const uint8_t *rests,
                        const uint8_t *lows, size_t n, uint8_t *dst)
{
    return kernels->restore_sum(rule, before[0].data + 4 * at, before[1].data + 4 * at,
                                before[2].data + 4 * at, sizes, rests, lows, n, dst);
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    const struct mth_gradient24_rule rule = rule_of(job->options);
    return mth_moment24_forward(job, &rule, find, src, streams);
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    const struct mth_gradient24_rule rule = rule_of(job->options);
    return mth_moment24_inverse(job, &rule, restore, streams, dst);
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
    .max_streams = MTH_N_MOMENT24_STREAMS,
    .plan = mth_moment24_plan,
    .forward = forward,
    .inverse = inverse,
    .flags = MTH_TRANSFORM_CHOOSES,
};
