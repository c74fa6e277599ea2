/*
 * What differences against one reference share: a pair of kernels for each width of lanes, and the way to
 * them.
 *
 * Bytes left behind the last whole lane are copied, not subtracted; see transform.h.
 */
#ifndef MTH_TRANSFORMS_DELTA_H
#define MTH_TRANSFORMS_DELTA_H

#include "transforms/transform.h"

#include <string.h>

/*
 * One direction of a difference.
 *
 * Shape     in, base, out: n lanes each
 * Requires  out overlaps neither of the others; any alignment
 */
typedef void mth_delta_kernel(const uint8_t *restrict in, const uint8_t *restrict base, size_t n,
                              uint8_t *restrict out);

struct mth_delta_kernels {
    unsigned lane_bits;
    enum mth_dtype difference; /* the integer that holds a difference */
    mth_delta_kernel *forward, *inverse;
};

/* The row for lanes of a width, NULL when there is none. */
static inline const struct mth_delta_kernels *mth_delta_find(const struct mth_delta_kernels *rows,
                                                             size_t n_rows, unsigned lane_bits)
{
    for (size_t i = 0; i < n_rows; i++) {
        if (rows[i].lane_bits == lane_bits)
            return &rows[i];
    }
    return NULL;
}

/* The plan of a row, or MTH_ERR_UNSUPPORTED for NULL. */
static inline int mth_delta_plan(const struct mth_delta_kernels *row, size_t n_bytes,
                                 struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams)
{
    if (!row)
        return MTH_ERR_UNSUPPORTED;
    plans[0] = (struct mth_stream_plan){.type = mth_symbol_type_of(row->difference),
                                        .n_symbols = n_bytes / (row->lane_bits / 8),
                                        .n_bytes = n_bytes};
    *n_streams = 1;
    return MTH_OK;
}

/* Run one of a row's kernels over a job and copy the tail. */
static inline void mth_delta_apply(const struct mth_transform_job *job, mth_delta_kernel *kernel,
                                   const uint8_t *in, uint8_t *out)
{
    size_t n = job->plans[0].n_symbols;
    size_t n_whole = n * (job->type.container_bits / 8u);
    kernel(in, job->references[0].data, n, out);
    if (n_whole < job->n_bytes)
        memcpy(out + n_whole, in + n_whole, job->n_bytes - n_whole);
}

#endif
