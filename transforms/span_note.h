/*
 * How a transform that was told of rows notes them at the head of a stream, and reads the note back.
 *
 * A note is the number of spans, then for each its elements, the elements of a row, and those of the first row that lie
 * before it: varints. Spans cover the elements in order, none is empty; a row has at least one element.
 */
#ifndef MTH_TRANSFORMS_SPAN_NOTE_H
#define MTH_TRANSFORMS_SPAN_NOTE_H

#include "base/varint.h"
#include "transforms/transform.h"

enum {
    MTH_MAX_SPANS = 256, /* in a note: what lies behind is taken as one span without rows */
    MTH_SPAN_NOTE_BYTES = (1 + 3 * MTH_MAX_SPANS) * MTH_VARINT_MAX_BYTES
};

struct mth_span_list {
    struct mth_row_span spans[MTH_MAX_SPANS];
    size_t n;
};

/* Rows in a span, the first and the last perhaps cut. */
static inline size_t mth_span_rows(const struct mth_row_span *span)
{
    return (span->n_elems + span->phase + span->row_elems - 1) / span->row_elems;
}

/* Elements of row i of a span. */
static inline size_t mth_span_row_elems(const struct mth_row_span *span, size_t i)
{
    size_t begin = i * span->row_elems, end = begin + span->row_elems, last = span->phase + span->n_elems;
    return (end < last ? end : last) - (begin > span->phase ? begin : span->phase);
}

/* The spans of n elements as a job tells them: none empty, those without rows beside one another as one. */
void mth_spans_of_job(const struct mth_transform_job *job, size_t n_elems, struct mth_span_list *list);

/* Writes a note; out has room for MTH_SPAN_NOTE_BYTES. Returns its bytes. */
size_t mth_spans_put(const struct mth_span_list *list, uint8_t *out);

/* Reads a note that may be hostile: false when it does not describe n elements. */
bool mth_spans_get(struct mth_reader *reader, size_t n_elems, struct mth_span_list *list);

#endif
