/*
 * moment32: the moving average of gradients, given the average before and that of squares.
 *
 * What stays of m0 is p = (1 - weight) * m0; what comes to it is about weight * sqrt(v0) in size. Where p is much the larger of the two, m1 has
 * its sign and nearly its size; where it is the smaller, it hardly matters. So elements are sorted by how they compare, and sign and size of m1 relative to
 * p go to a stream for each class. The rest of the mantissa is as good as random.
 *
 * Streams   0 rest: 16 low bits of each element; then 6 bits each, packed; 0 where kept
 *           1 .. 13 a byte for each element of a class: 2 * (half octaves of m1 above the anchor, and 62) + (its sign is not p's); 255: kept
 *           14 kept: the elements, 4 bytes each; the tail
 *           The class is how many half octaves p lies above weight * sqrt(v0), and 5, from 0 to 12; the anchor is the latter in class 0, else p
 */
#include "base/cpu.h"
#include "transforms/forward_digests.h"
#include "transforms/moment/moment.h"
#include "transforms/moment/moment_kernels.h"

enum {
    REST = 0,
    FIRST_CLASS = 1,
    N_CLASSES = MTH_MOMENT32_CLASSES,
    KEPT = FIRST_CLASS + N_CLASSES,
    N_STREAMS = KEPT + 1
};

static const struct mth_reference_slot references[] = {
    {"m", "the moving average before the step"},
    {"v", "that of the squares before the step"},
};

const struct mth_option mth_moment_options[] = {
    {"weight", "bits of the fp32 share that gradients have, 1 - beta1: 2^-24 to 1", 0x33800000, 0x3f7fffff,
     0x3dcccccd, NULL},
    {"scale", "bits of the fp32 value that 16-bit gradients were multiplied with: 2^-63 to 2^63", 0x20000000,
     0x5f000000, 0x3f800000, NULL},
};

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    size_t n = n_bytes / 4, n_rest = 2 * n + mth_packed_bytes(n, MTH_MOMENT32_HIGH_BITS);
    (void)values;
    if (type->dtype != MTH_DTYPE_F32 || type->symbol_bits != 32 || type->container_bits != 32)
        return MTH_ERR_UNSUPPORTED;
    plans[REST] = (struct mth_stream_plan){
        .type = mth_symbol_type_of(MTH_DTYPE_OPAQUE), .n_symbols = n_rest, .n_bytes = n_rest};
    for (size_t c = 0; c < N_CLASSES; c++)
        plans[FIRST_CLASS + c] = (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_U8),
                                                          .n_symbols = n,
                                                          .n_bytes = n,
                                                          .flags = MTH_STREAM_VARIABLE};
    plans[KEPT] = (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_OPAQUE),
                                           .n_symbols = n_bytes,
                                           .n_bytes = n_bytes,
                                           .flags = MTH_STREAM_VARIABLE};
    *n_streams = N_STREAMS;
    return MTH_OK;
}

struct arithmetic {
    const struct mth_moment_kernels *kernels;
    struct mth_moment32_rule rule;
};

static struct arithmetic arithmetic_of(const int64_t *options)
{
    uint32_t weight = (uint32_t)options[MTH_MOMENT_WEIGHT];
    return (struct arithmetic){mth_moment_kernels_of(mth_cpu_features()),
                               {1.0f - mth_float_of(weight), mth_half_octave(weight) - MTH_HALF_OCTAVE_BIAS}};
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    const struct arithmetic a = arithmetic_of(job->options);
    const uint8_t *m = job->references[0].data, *v = job->references[1].data;
    size_t n = job->n_bytes / 4;
    uint8_t *low = streams[REST].data, *packed = low + 2 * n, *ends[N_CLASSES];
    uint8_t classes[MTH_MOMENT_BLOCK_ELEMS], symbols[MTH_MOMENT_BLOCK_ELEMS], high[MTH_MOMENT_BLOCK_ELEMS];
    for (size_t c = 0; c < N_CLASSES; c++)
        ends[c] = streams[FIRST_CLASS + c].data;
    streams[REST].n_bytes = job->plans[REST].n_bytes;
    streams[KEPT].n_bytes = 0;
    struct mth_digest_blocks digests;
    mth_digest_blocks_begin(&digests, job, sizeof references / sizeof references[0]);
    for (size_t at = 0; at < n; at += MTH_MOMENT_BLOCK_ELEMS) {
        size_t n_block = n - at < MTH_MOMENT_BLOCK_ELEMS ? n - at : MTH_MOMENT_BLOCK_ELEMS;
        mth_digest_blocks_reference(&digests, 0, 4 * at, 4 * n_block);
        a.kernels->split32(&a.rule, m + 4 * at, v + 4 * at, src + 4 * at, n_block, classes, symbols,
                           low + 2 * at, high);
        mth_digest_blocks_reference(&digests, 1, 4 * at, 4 * n_block);
        a.kernels->deal32(classes, symbols, n_block, ends);
        mth_digest_blocks_src(&digests, src, 4 * at, 4 * n_block);
        mth_digest_blocks_beside(&digests, 4 * at, 4 * n_block);
        mth_moment_keep(symbols, n_block, src + 4 * at, &streams[KEPT]);
        a.kernels->pack(high, at, n_block, MTH_MOMENT32_HIGH_BITS, packed);
    }
    for (size_t c = 0; c < N_CLASSES; c++)
        streams[FIRST_CLASS + c].n_bytes = (size_t)(ends[c] - streams[FIRST_CLASS + c].data);
    mth_digest_blocks_add(&digests, src, 4 * n, job->n_bytes - 4 * n);
    mth_digest_blocks_end(&digests);
    if (job->n_bytes > 4 * n)
        mth_moment_end(job, src, n, &streams[KEPT]);
    return MTH_OK;
}

/* Would forward have kept the escapes of a block? It does not where their size has a symbol. */
static bool must_be_kept(const struct arithmetic *a, const uint8_t *m, const uint8_t *v, const uint8_t *block,
                         size_t n, const uint8_t *symbols)
{
    uint8_t classes[MTH_MOMENT_BLOCK_ELEMS], again[MTH_MOMENT_BLOCK_ELEMS], high[MTH_MOMENT_BLOCK_ELEMS],
        low[2 * MTH_MOMENT_BLOCK_ELEMS];
    if (!memchr(symbols, MTH_MOMENT_ESCAPE, n))
        return true;
    a->kernels->split32(&a->rule, m, v, block, n, classes, again, low, high);
    return memcmp(again, symbols, n) == 0;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    const struct arithmetic a = arithmetic_of(job->options);
    const uint8_t *m = job->references[0].data, *v = job->references[1].data;
    size_t n = job->n_bytes / 4, n_tail = job->n_bytes - 4 * n, n_kept = 0;
    const uint8_t *low = streams[REST].data, *packed = low + 2 * n, *starts[N_CLASSES], *ends[N_CLASSES];
    uint8_t classes[MTH_MOMENT_BLOCK_ELEMS], symbols[MTH_MOMENT_BLOCK_ELEMS], high[MTH_MOMENT_BLOCK_ELEMS];
    if (!mth_packed_ends_clean(packed, n, MTH_MOMENT32_HIGH_BITS))
        return MTH_ERR_CORRUPT;
    for (size_t c = 0; c < N_CLASSES; c++) {
        starts[c] = streams[FIRST_CLASS + c].data;
        ends[c] = starts[c] + streams[FIRST_CLASS + c].n_bytes;
    }
    for (size_t at = 0; at < n; at += MTH_MOMENT_BLOCK_ELEMS) {
        size_t n_block = n - at < MTH_MOMENT_BLOCK_ELEMS ? n - at : MTH_MOMENT_BLOCK_ELEMS;
        const uint8_t *m0 = m + 4 * at, *v0 = v + 4 * at;
        a.kernels->unpack(packed, at, n_block, MTH_MOMENT32_HIGH_BITS, high);
        a.kernels->classify32(&a.rule, m0, v0, n_block, classes);
        if (!a.kernels->collect32(classes, n_block, starts, ends, symbols) ||
            a.kernels->join32(&a.rule, m0, v0, symbols, low + 2 * at, high, n_block, dst + 4 * at) ||
            !mth_moment_take_kept(symbols, n_block, &streams[KEPT], &n_kept, dst + 4 * at) ||
            !must_be_kept(&a, m0, v0, dst + 4 * at, n_block, symbols))
            return MTH_ERR_CORRUPT;
    }
    for (size_t c = 0; c < N_CLASSES; c++) {
        if (starts[c] != ends[c])
            return MTH_ERR_CORRUPT;
    }
    if (streams[KEPT].n_bytes - n_kept != n_tail)
        return MTH_ERR_CORRUPT;
    if (n_tail)
        memcpy(dst + 4 * n, streams[KEPT].data + n_kept, n_tail);
    return MTH_OK;
}

const struct mth_transform mth_transform_moment32 = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "moment32",
    .summary = "the moving average of gradients, given the average before and that of squares",
    .options = mth_moment_options,
    .n_options = 1,
    .references = references,
    .n_references = sizeof references / sizeof references[0],
    .max_streams = N_STREAMS,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
