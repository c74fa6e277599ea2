/*
 * delta-xor: the bits in which elements differ from their reference.
 *
 * The stream keeps the type of the elements, because the xor of two floats has fields where the floats have
 * theirs: delta-xor+exponent-split is a pipeline.
 */
#include "transforms/transform.h"

#include <string.h>

static const struct mth_reference_slot references[] = {
    {"base", "the elements to take the difference from"},
};

/* Any symbol of whole bytes will do: xor knows no carries. */
static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    (void)values;
    if (type->container_bits == 0 || type->container_bits % 8 != 0)
        return MTH_ERR_UNSUPPORTED;
    plans[0] = (struct mth_stream_plan){
        .type = *type, .n_symbols = n_bytes / (type->container_bits / 8u), .n_bytes = n_bytes};
    *n_streams = 1;
    return MTH_OK;
}

static void xor_bytes(const uint8_t *restrict in, const uint8_t *restrict base, size_t n,
                      uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] ^ base[i];
}

/* Both directions: xor is its own inverse. */
static void apply(const struct mth_transform_job *job, const uint8_t *in, uint8_t *out)
{
    size_t n_whole = job->plans[0].n_symbols * (job->type.container_bits / 8u);
    xor_bytes(in, job->references[0].data, n_whole, out);
    if (n_whole < job->n_bytes)
        memcpy(out + n_whole, in + n_whole, job->n_bytes - n_whole);
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    apply(job, src, streams[0].data);
    streams[0].n_bytes = job->n_bytes;
    return MTH_OK;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    apply(job, streams[0].data, dst);
    return MTH_OK;
}

const struct mth_transform mth_transform_delta_xor = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "delta-xor",
    .summary = "elements xor those of the base; keeps their type",
    .references = references,
    .n_references = sizeof references / sizeof references[0],
    .max_streams = 1,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
