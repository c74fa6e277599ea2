/* Notes of spans; see span_note.h. */
#include "transforms/span_note.h"

static void add(struct mth_span_list *list, const struct mth_row_span *span)
{
    struct mth_row_span *last = list->n ? &list->spans[list->n - 1] : NULL;
    if (span->n_elems == 0)
        return;
    if (last && ((last->row_elems == 0 && span->row_elems == 0) || list->n == MTH_MAX_SPANS)) {
        last->n_elems += span->n_elems;
        last->row_elems = last->phase = 0;
        return;
    }
    list->spans[list->n++] = *span;
}

void mth_spans_of_job(const struct mth_transform_job *job, size_t n_elems, struct mth_span_list *list)
{
    size_t left = n_elems;
    list->n = 0;
    for (size_t i = 0; i < job->n_spans; i++) {
        struct mth_row_span span = job->spans[i];
        span.n_elems = span.n_elems < left ? span.n_elems : left;
        if (span.phase >= span.row_elems)
            span.row_elems = span.phase = 0;
        left -= span.n_elems;
        add(list, &span);
    }
    add(list, &(struct mth_row_span){.n_elems = left});
}

size_t mth_spans_put(const struct mth_span_list *list, uint8_t *out)
{
    size_t n = mth_varint_put(out, list->n);
    for (size_t i = 0; i < list->n; i++) {
        n += mth_varint_put(out + n, list->spans[i].n_elems);
        n += mth_varint_put(out + n, list->spans[i].row_elems);
        n += mth_varint_put(out + n, list->spans[i].phase);
    }
    return n;
}

bool mth_spans_get(struct mth_reader *reader, size_t n_elems, struct mth_span_list *list)
{
    uint64_t n_spans, n, row, phase, left = n_elems;
    if (!mth_varint_get(reader, &n_spans) || n_spans > MTH_MAX_SPANS)
        return false;
    list->n = 0;
    for (uint64_t i = 0; i < n_spans; i++) {
        if (!mth_varint_get(reader, &n) || !mth_varint_get(reader, &row) || !mth_varint_get(reader, &phase) ||
            n == 0 || n > left || row == 0 || row > UINT32_MAX || phase >= row || phase > SIZE_MAX / 2 - n)
            return false;
        left -= n;
        list->spans[list->n++] =
            (struct mth_row_span){.n_elems = (size_t)n, .row_elems = (uint32_t)row, .phase = (uint32_t)phase};
    }
    return left == 0;
}
