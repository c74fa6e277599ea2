/*
 * A block whose map goes by rows: where whole rows of a tensor change or rest, a bit for each row says more than one for each group of
 * 32, which two rows share. Elements of the rows that the map names are put behind one another, and have flags as if there were no
 * others. See spec.md, "Rows".
 */
#ifndef MTH_CODECS_ULP_ROWS_H
#define MTH_CODECS_ULP_ROWS_H

#include "codecs/ulp_rans/ulp_stream.h"

enum {
    MTH_ULP_MIN_ROW = MTH_ULP_GROUP + 1,
    MTH_ULP_FILL_CONTEXT = MTH_ULP_CONTEXTS - 1 /* of what fills up the last group of rows */
};

/* Rows of `row` elements, one of which begins at `first`, less than `row`; what is before it is a row too, and so is the last one. */
struct mth_ulp_rows {
    size_t row, first, n_elems;
};

static inline size_t mth_ulp_rows_n(const struct mth_ulp_rows *rows)
{
    return (rows->first > 0) + (rows->n_elems - rows->first + rows->row - 1) / rows->row;
}

/* Where row i begins; that of the number of rows is the end of the last one. */
static inline size_t mth_ulp_row_begin(const struct mth_ulp_rows *rows, size_t i)
{
    size_t whole = rows->first > 0 ? 1 : 0, at = i < whole ? 0 : rows->first + (i - whole) * rows->row;
    return at < rows->n_elems ? at : rows->n_elems;
}

/*
 * What most elements of a block lie in: rows of one length. False: no rows are known, or none that a map may go by.
 *
 * Shape     spans: of the stream; first, n_elems: the block in it
 */
bool mth_ulp_rows_find(const struct mth_row_span *spans, size_t n_spans, size_t first, size_t n_elems,
                       struct mth_ulp_rows *rows);

/* Which rows changed, by the masks of groups: a bit each into map. Returns the elements of these. */
size_t mth_ulp_rows_mark(const struct mth_ulp_rows *rows, const uint32_t *masks, uint8_t *map);

/* The elements of the rows that a map names. */
size_t mth_ulp_rows_elems(const struct mth_ulp_rows *rows, const uint8_t *map);

/*
 * Masks and contexts of the rows that a map names, behind one another; what fills up the last group has its own context and no mask.
 *
 * Shape     contexts: of all elements, overwritten; masks: of all groups; out: as many words as there are groups
 * Returns   groups
 */
size_t mth_ulp_rows_pack(const struct mth_ulp_rows *rows, const uint8_t *map, const uint32_t *masks,
                         uint8_t *contexts, uint32_t *out);

/* The inverse for masks: all of the block's groups are written. False where one is set behind the last row. */
bool mth_ulp_rows_unpack(const struct mth_ulp_rows *rows, const uint8_t *map, const uint32_t *packed,
                         size_t n_groups, uint32_t *masks);

/*
 * The contexts of the rows that a map names, from the base.
 *
 * Shape     out: a byte for each of these elements, the last group filled up, and a group of room behind
 */
void mth_ulp_rows_contexts(const struct mth_ulp_rows *rows, const uint8_t *map, struct mth_ulp_state *state,
                           const struct mth_ulp_format *format, const uint8_t *base, uint8_t *out);

#endif
