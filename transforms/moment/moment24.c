/*
 * moment24: the moving average of gradients that were sums of some bf16 values, or fp16 ones, times one scale, as those values.
 *
 * As moment16, with gradients of up to 24 bits: 8 more bits of the mantissa, of which the last are zero more often than not.
 *
 * Streams   0 size, a byte: half octaves of g above those of sqrt(v0), and 128; 255: kept
 *           1 rest, 7 bits packed: sign, 6 bits of the mantissa; 0 where kept
 *           2 low, a byte: 8 more bits of the mantissa; 0 where kept
 *           3 kept: the elements, 4 bytes each; the tail
 */
#include "base/cpu.h"
#include "transforms/moment/moment.h"
#include "transforms/moment/moment_kernels.h"

enum { SIZES = MTH_MOMENT24_SIZES, REST, LOWS, KEPT, N_STREAMS = MTH_N_MOMENT24_STREAMS };

static const struct mth_reference_slot references[] = {
    {"m", "the moving average before the step"},
    {"v", "that of the squares before the step"},
};

int mth_moment24_plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                      struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    size_t n = n_bytes / 4, n_rest = mth_packed_bytes(n, MTH_MOMENT16_REST_BITS);
    (void)values;
    if (type->dtype != MTH_DTYPE_F32 || type->symbol_bits != 32 || type->container_bits != 32)
        return MTH_ERR_UNSUPPORTED;
    plans[SIZES] = plans[LOWS] =
        (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_U8), .n_symbols = n, .n_bytes = n};
    plans[REST] = (struct mth_stream_plan){
        .type = mth_symbol_type_of(MTH_DTYPE_OPAQUE), .n_symbols = n_rest, .n_bytes = n_rest};
    plans[KEPT] = (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_OPAQUE),
                                           .n_symbols = n_bytes,
                                           .n_bytes = n_bytes,
                                           .flags = MTH_STREAM_VARIABLE};
    *n_streams = N_STREAMS;
    return MTH_OK;
}

static struct mth_adam_rule rule_of(const int64_t *options)
{
    return mth_adam_rule_of((uint32_t)options[MTH_MOMENT_WEIGHT], (uint32_t)options[MTH_MOMENT_SCALE]);
}

int mth_moment24_forward(const struct mth_transform_job *job, const void *rule, mth_moment24_find *find,
                         const uint8_t *src, struct mth_buffer *streams)
{
    const struct mth_moment_kernels *kernels = mth_moment_kernels_of(mth_cpu_features());
    size_t n = job->n_bytes / 4;
    streams[SIZES].n_bytes = streams[LOWS].n_bytes = n;
    streams[REST].n_bytes = job->plans[REST].n_bytes;
    streams[KEPT].n_bytes = 0;
    for (size_t at = 0; at < n; at += MTH_MOMENT_BLOCK_ELEMS) {
        size_t n_block = n - at < MTH_MOMENT_BLOCK_ELEMS ? n - at : MTH_MOMENT_BLOCK_ELEMS;
        uint8_t rests[MTH_MOMENT_BLOCK_ELEMS], *sizes = streams[SIZES].data + at;
        find(kernels, rule, job->references, at, src + 4 * at, n_block, sizes, rests,
             streams[LOWS].data + at);
        mth_moment_keep(sizes, n_block, src + 4 * at, &streams[KEPT]);
        kernels->pack(rests, at, n_block, MTH_MOMENT16_REST_BITS, streams[REST].data);
    }
    if (job->n_bytes > 4 * n)
        mth_moment_end(job, src, n, &streams[KEPT]);
    return MTH_OK;
}

int mth_moment24_inverse(const struct mth_transform_job *job, const void *rule, mth_moment24_restore *restore,
                         const struct mth_bytes *streams, uint8_t *dst)
{
    const struct mth_moment_kernels *kernels = mth_moment_kernels_of(mth_cpu_features());
    size_t n = job->n_bytes / 4, n_tail = job->n_bytes - 4 * n, used = 0;
    if (!mth_packed_ends_clean(streams[REST].data, n, MTH_MOMENT16_REST_BITS))
        return MTH_ERR_CORRUPT;
    for (size_t at = 0; at < n; at += MTH_MOMENT_BLOCK_ELEMS) {
        size_t n_block = n - at < MTH_MOMENT_BLOCK_ELEMS ? n - at : MTH_MOMENT_BLOCK_ELEMS;
        uint8_t rests[MTH_MOMENT_BLOCK_ELEMS];
        const uint8_t *sizes = streams[SIZES].data + at;
        kernels->unpack(streams[REST].data, at, n_block, MTH_MOMENT16_REST_BITS, rests);
        if (restore(kernels, rule, job->references, at, sizes, rests, streams[LOWS].data + at, n_block,
                    dst + 4 * at) ||
            !mth_moment_take_kept(sizes, n_block, &streams[KEPT], &used, dst + 4 * at))
            return MTH_ERR_CORRUPT;
    }
    if (streams[KEPT].n_bytes - used != n_tail)
        return MTH_ERR_CORRUPT;
    if (n_tail)
        memcpy(dst + 4 * n, streams[KEPT].data + used, n_tail);
    return MTH_OK;
}

static void find(const struct mth_moment_kernels *kernels, const void *rule, const struct mth_bytes *before,
                 size_t at, const uint8_t *src, size_t n, uint8_t *sizes, uint8_t *rests, uint8_t *lows)
{
    kernels->find24(rule, before[0].data + 4 * at, before[1].data + 4 * at, src, n, sizes, rests, lows);
}

static uint32_t restore(const struct mth_moment_kernels *kernels, const void *rule,
                        const struct mth_bytes *before, size_t at, const uint8_t *sizes, const uint8_t *rests,
                        const uint8_t *lows, size_t n, uint8_t *dst)
{
    return kernels->restore24(rule, before[0].data + 4 * at, before[1].data + 4 * at, sizes, rests, lows, n,
                              dst);
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    const struct mth_adam_rule rule = rule_of(job->options);
    return mth_moment24_forward(job, &rule, find, src, streams);
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    const struct mth_adam_rule rule = rule_of(job->options);
    return mth_moment24_inverse(job, &rule, restore, streams, dst);
}

const struct mth_transform mth_transform_moment24 = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "moment24",
    .summary = "the moving average of sums of bf16 gradients, or of fp16 ones, as those",
    .options = mth_moment_options,
    .n_options = MTH_N_MOMENT_OPTIONS,
    .references = references,
    .n_references = sizeof references / sizeof references[0],
    .max_streams = N_STREAMS,
    .plan = mth_moment24_plan,
    .forward = forward,
    .inverse = inverse,
    .flags = MTH_TRANSFORM_CHOOSES,
};
