/*
 * changes: where elements differ from the base, as gaps, and what they are there.
 *
 * A gap is how many elements in a row stay as they are before one that changes: an unsigned LEB128 number. So reinforcement
 * learning systems send the weights of a step to where they are used; see the preset `sparse-sync` in docs/presets.md.
 */
#include "base/lane.h"
#include "base/varint.h"
#include "transforms/transform.h"

#include <stdbool.h>

enum { STREAM_GAPS, STREAM_VALUES, N_STREAMS };

static const struct mth_reference_slot references[] = {
    {"base", "the elements that most are equal to"},
};

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    (void)values;
    if (type->container_bits == 0 || type->container_bits % 8 != 0)
        return MTH_ERR_UNSUPPORTED;
    size_t n = n_bytes / (type->container_bits / 8u);
    /* A gap of g takes no more than g + 1 bytes, and stands for as many elements. */
    plans[STREAM_GAPS] = (struct mth_stream_plan){
        .type = mth_symbol_type_of(MTH_DTYPE_U8), .n_symbols = n, .n_bytes = n, .flags = MTH_STREAM_VARIABLE};
    plans[STREAM_VALUES] = (struct mth_stream_plan){
        .type = *type, .n_symbols = n, .n_bytes = n_bytes, .flags = MTH_STREAM_VARIABLE};
    *n_streams = N_STREAMS;
    return MTH_OK;
}

/* How many elements from i on equal those of the base. */
static size_t equal_run(const uint8_t *src, const uint8_t *base, size_t lane_bytes, size_t i, size_t n)
{
    enum { WORD = 8 };
    size_t begin = i * lane_bytes, at = begin, end = n * lane_bytes;
    while (end - at >= WORD && mth_lane_load64(src + at) == mth_lane_load64(base + at))
        at += WORD;
    while (at < end && src[at] == base[at])
        at++;
    return (at - begin) / lane_bytes;
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    size_t lane_bytes = job->type.container_bits / 8u, n = job->n_bytes / lane_bytes, n_gaps = 0,
           n_values = 0;
    const uint8_t *base = job->references[0].data;
    uint8_t *gaps = streams[STREAM_GAPS].data, *values = streams[STREAM_VALUES].data;
    for (size_t i = 0; i < n; i++) {
        size_t gap = equal_run(src, base, lane_bytes, i, n);
        i += gap;
        if (i == n)
            break;
        uint8_t number[MTH_VARINT_MAX_BYTES];
        size_t n_number = mth_varint_put(number, gap);
        memcpy(gaps + n_gaps, number, n_number);
        n_gaps += n_number;
        memcpy(values + n_values, src + i * lane_bytes, lane_bytes);
        n_values += lane_bytes;
    }
    size_t n_tail = job->n_bytes % lane_bytes;
    if (n_tail)
        memcpy(values + n_values, src + n * lane_bytes, n_tail);
    streams[STREAM_GAPS].n_bytes = n_gaps;
    streams[STREAM_VALUES].n_bytes = n_values + n_tail;
    return MTH_OK;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    size_t lane_bytes = job->type.container_bits / 8u, n = job->n_bytes / lane_bytes;
    size_t n_tail = job->n_bytes % lane_bytes, i = 0;
    const struct mth_bytes *gaps = &streams[STREAM_GAPS];
    struct mth_reader reader = {.at = gaps->data, .end = gaps->data + gaps->n_bytes};
    const uint8_t *value = streams[STREAM_VALUES].data;
    size_t n_left = streams[STREAM_VALUES].n_bytes;
    if (n)
        memcpy(dst, job->references[0].data, n * lane_bytes);
    while (reader.at < reader.end) {
        uint64_t gap;
        if (!mth_varint_get(&reader, &gap) || gap >= n - i || n_left < lane_bytes)
            return MTH_ERR_CORRUPT;
        i += (size_t)gap;
        if (memcmp(dst + i * lane_bytes, value, lane_bytes) == 0)
            return MTH_ERR_CORRUPT;
        memcpy(dst + i++ * lane_bytes, value, lane_bytes);
        value += lane_bytes;
        n_left -= lane_bytes;
    }
    if (n_left != n_tail)
        return MTH_ERR_CORRUPT;
    if (n_tail)
        memcpy(dst + n * lane_bytes, value, n_tail);
    return MTH_OK;
}

const struct mth_transform mth_transform_changes = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "changes",
    .summary = "where elements differ from the base, as gaps, and what they are there",
    .references = references,
    .n_references = sizeof references / sizeof references[0],
    .max_streams = N_STREAMS,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
};
