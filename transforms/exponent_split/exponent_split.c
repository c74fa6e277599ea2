/*
 * exponent-split: the exponents of floats to one stream, their signs with their mantissas to another.
 *
 * Exponents of trained weights take few values and signs and mantissas are near random, so that a coder for
 * each field beats one for the whole. Exponents get bytes (two for f64's 11 bits), signs with mantissas are
 * packed without gaps: eight of them fill as many bytes as one has bits.
 */
#include "base/cpu.h"
#include "transforms/exponent_split/exponent_kernels.h"
#include "transforms/transform.h"

#include <string.h>

enum { STREAM_EXPONENT, STREAM_SIGN_MANTISSA, N_STREAMS };

const struct mth_exponent_kernels *mth_exponent_kernels_of(unsigned features)
{
    return features & MTH_CPU_AVX2 ? &mth_exponent_kernels_avx2 : &mth_exponent_kernels_portable;
}

const struct mth_exponent_format *mth_exponent_format_of(const struct mth_exponent_kernels *kernels,
                                                         const struct mth_symbol_type *type)
{
    const struct mth_dtype_info *info = mth_dtype_info(type->dtype);
    if (type->symbol_bits != info->lane_bits || type->container_bits != info->lane_bits)
        return NULL;
    for (size_t i = 0; i < MTH_N_EXPONENT_FORMATS; i++) {
        const struct mth_exponent_format *format = &kernels->formats[i];
        if (format->lane_bits == info->lane_bits && format->exponent_bits == info->exponent_bits &&
            format->mantissa_bits == info->mantissa_bits)
            return format;
    }
    return NULL;
}

static const struct mth_exponent_format *format_of(const struct mth_symbol_type *type)
{
    return mth_exponent_format_of(mth_exponent_kernels_of(mth_cpu_features()), type);
}

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    (void)values;
    const struct mth_exponent_format *format = format_of(type);
    if (!format)
        return MTH_ERR_UNSUPPORTED;
    size_t n = n_bytes / (format->lane_bits / 8), n_tail = n_bytes % (format->lane_bits / 8);
    uint8_t packed_bits = (uint8_t)(1 + format->mantissa_bits);
    struct mth_symbol_type exponent =
        mth_symbol_type_of(format->exponent_bits > 8 ? MTH_DTYPE_U16 : MTH_DTYPE_U8);
    exponent.symbol_bits = format->exponent_bits;
    struct mth_symbol_type sign_mantissa = {MTH_DTYPE_OPAQUE, packed_bits, packed_bits};
    plans[STREAM_EXPONENT] =
        (struct mth_stream_plan){.type = exponent, .n_symbols = n, .n_bytes = mth_symbol_bytes(&exponent, n)};
    plans[STREAM_SIGN_MANTISSA] = (struct mth_stream_plan){
        .type = sign_mantissa, .n_symbols = n, .n_bytes = mth_symbol_bytes(&sign_mantissa, n) + n_tail};
    *n_streams = N_STREAMS;
    return MTH_OK;
}

/* The tail follows the packed symbols, and what it continues lies behind the last whole element. */
static size_t tail_bytes(const struct mth_transform_job *job)
{
    return job->n_bytes % (job->type.container_bits / 8u);
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    size_t n_tail = tail_bytes(job);
    for (size_t s = 0; s < N_STREAMS; s++)
        streams[s].n_bytes = job->plans[s].n_bytes;
    format_of(&job->type)
        ->split(src, job->plans[STREAM_EXPONENT].n_symbols, streams[STREAM_EXPONENT].data,
                streams[STREAM_SIGN_MANTISSA].data);
    if (n_tail)
        memcpy(streams[STREAM_SIGN_MANTISSA].data + streams[STREAM_SIGN_MANTISSA].n_bytes - n_tail,
               src + job->n_bytes - n_tail, n_tail);
    return MTH_OK;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    size_t n_tail = tail_bytes(job);
    if (n_tail)
        memcpy(dst + job->n_bytes - n_tail,
               streams[STREAM_SIGN_MANTISSA].data + job->plans[STREAM_SIGN_MANTISSA].n_bytes - n_tail,
               n_tail);
    return format_of(&job->type)
        ->join(streams[STREAM_EXPONENT].data, streams[STREAM_SIGN_MANTISSA].data,
               job->plans[STREAM_EXPONENT].n_symbols, dst);
}

const struct mth_transform mth_transform_exponent_split = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "exponent-split",
    .summary = "exponents of floats to one stream, signs with mantissas, packed, to another",
    .max_streams = N_STREAMS,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
