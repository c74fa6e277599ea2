/*
 * changed-rows: which rows differ from those of the base, and these rows as they are.
 *
 * So checkpoints of recommendation models are written in increments: of an embedding table a step touches the rows that its
 * batch looked up, and of those nearly every element. See the preset `check-n-run` in docs/presets.md.
 */
#include "base/lane.h"
#include "transforms/span_note.h"

enum { STREAM_ROWS, STREAM_VALUES, N_STREAMS };

/* Where there are no rows, these are as good as any: 64 elements of bf16 are two lines of a cache. */
enum { DEFAULT_ROW_ELEMS = 64 };

static const struct mth_reference_slot references[] = {
    {"base", "the elements of which most rows are equal to these"},
};

static int plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    (void)values;
    if (type->container_bits == 0 || type->container_bits % 8 != 0)
        return MTH_ERR_UNSUPPORTED;
    size_t n = n_bytes / (type->container_bits / 8u);
    /* A bit a row; spans begin anew with theirs, and a row has an element at least. */
    size_t n_rows = MTH_SPAN_NOTE_BYTES + MTH_MAX_SPANS + n / 8 + 1;
    plans[STREAM_ROWS] = (struct mth_stream_plan){.type = mth_symbol_type_of(MTH_DTYPE_U8),
                                                  .n_symbols = n_rows,
                                                  .n_bytes = n_rows,
                                                  .flags = MTH_STREAM_VARIABLE};
    plans[STREAM_VALUES] = (struct mth_stream_plan){
        .type = *type, .n_symbols = n, .n_bytes = n_bytes, .flags = MTH_STREAM_VARIABLE};
    *n_streams = N_STREAMS;
    return MTH_OK;
}

/* Spans whose rows nobody knows get rows of their own; forward alone chooses, inverse is told. */
static void give_rows(struct mth_span_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->spans[i].row_elems == 0)
            list->spans[i] =
                (struct mth_row_span){.n_elems = list->spans[i].n_elems, .row_elems = DEFAULT_ROW_ELEMS};
}

static int forward(const struct mth_transform_job *job, const uint8_t *src, struct mth_buffer *streams)
{
    size_t lane_bytes = job->type.container_bits / 8u, n = job->n_bytes / lane_bytes, at = 0, n_values = 0;
    const uint8_t *base = job->references[0].data;
    uint8_t *rows = streams[STREAM_ROWS].data, *values = streams[STREAM_VALUES].data;
    struct mth_span_list list;
    mth_spans_of_job(job, n, &list);
    give_rows(&list);
    size_t n_noted = mth_spans_put(&list, rows);
    for (size_t s = 0; s < list.n; s++) {
        size_t n_rows = mth_span_rows(&list.spans[s]);
        uint8_t *bits = rows + n_noted;
        memset(bits, 0, (n_rows + 7) / 8);
        for (size_t i = 0; i < n_rows; i++) {
            size_t n_bytes = mth_span_row_elems(&list.spans[s], i) * lane_bytes;
            if (memcmp(src + at, base + at, n_bytes) != 0) {
                bits[i / 8] |= (uint8_t)(1u << i % 8);
                memcpy(values + n_values, src + at, n_bytes);
                n_values += n_bytes;
            }
            at += n_bytes;
        }
        n_noted += (n_rows + 7) / 8;
    }
    size_t n_tail = job->n_bytes - n * lane_bytes;
    if (n_tail)
        memcpy(values + n_values, src + at, n_tail);
    streams[STREAM_ROWS].n_bytes = n_noted;
    streams[STREAM_VALUES].n_bytes = n_values + n_tail;
    return MTH_OK;
}

/* The rows of one span: from the values where they changed, from the base where not. False where that can not be. */
static bool restore_span(const struct mth_row_span *span, const uint8_t *bits, size_t lane_bytes,
                         const uint8_t *base, struct mth_reader *values, uint8_t *dst)
{
    size_t n_rows = mth_span_rows(span), at = 0;
    for (size_t i = 0; i < n_rows; i++) {
        size_t n_bytes = mth_span_row_elems(span, i) * lane_bytes;
        if (bits[i / 8] >> i % 8 & 1) {
            if ((size_t)(values->end - values->at) < n_bytes || memcmp(values->at, base + at, n_bytes) == 0)
                return false;
            memcpy(dst + at, values->at, n_bytes);
            values->at += n_bytes;
        } else {
            memcpy(dst + at, base + at, n_bytes);
        }
        at += n_bytes;
    }
    return n_rows % 8 == 0 || bits[n_rows / 8] >> n_rows % 8 == 0;
}

static int inverse(const struct mth_transform_job *job, const struct mth_bytes *streams, uint8_t *dst)
{
    size_t lane_bytes = job->type.container_bits / 8u, n = job->n_bytes / lane_bytes, at = 0;
    const struct mth_bytes *rows = &streams[STREAM_ROWS], *raw = &streams[STREAM_VALUES];
    struct mth_reader reader = {.at = rows->data, .end = rows->data + rows->n_bytes};
    struct mth_reader values = {.at = raw->data, .end = raw->data + raw->n_bytes};
    struct mth_span_list list;
    if (!mth_spans_get(&reader, n, &list))
        return MTH_ERR_CORRUPT;
    for (size_t s = 0; s < list.n; s++) {
        const struct mth_row_span *span = &list.spans[s];
        size_t n_bits = (mth_span_rows(span) + 7) / 8;
        if ((size_t)(reader.end - reader.at) < n_bits ||
            !restore_span(span, reader.at, lane_bytes, job->references[0].data + at, &values, dst + at))
            return MTH_ERR_CORRUPT;
        reader.at += n_bits;
        at += span->n_elems * lane_bytes;
    }
    size_t n_tail = job->n_bytes - n * lane_bytes;
    if (reader.at != reader.end || (size_t)(values.end - values.at) != n_tail)
        return MTH_ERR_CORRUPT;
    if (n_tail)
        memcpy(dst + at, values.at, n_tail);
    return MTH_OK;
}

const struct mth_transform mth_transform_changed_rows = {
    .abi = MTH_TRANSFORM_ABI,
    .wire_version = 1,
    .name = "changed-rows",
    .summary = "which rows differ from those of the base, and these rows as they are",
    .references = references,
    .n_references = sizeof references / sizeof references[0],
    .max_streams = N_STREAMS,
    .plan = plan,
    .forward = forward,
    .inverse = inverse,
    .flags = MTH_TRANSFORM_ROWS | MTH_TRANSFORM_CHOOSES,
};
