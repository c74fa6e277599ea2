/*
 * Sketches of samples: numbers by which two samples are seen to be alike, so that what was chosen for one need not be
 * measured for the other.
 */
#ifndef MTH_PIPELINE_PLAN_SKETCH_H
#define MTH_PIPELINE_PLAN_SKETCH_H

#include "base/stream.h"

#include <stdbool.h>

enum { MTH_SKETCH_PLANES = 8 };

struct mth_plan_sketch {
    /* For each byte of an element how likely two elements have the same there, in units of 2^-24. */
    uint32_t collisions[MTH_SKETCH_PLANES];
    uint32_t
        distinct; /* of elements that lie near one another, how many of 2^16 differ from all before them */
};

/*
 * Sketch n_bytes of elements of a width, 1 .. 8 bytes; of differences to a base where reference.data is there.
 *
 * Exact     integers only
 * Cost      about 1 ns a byte of what is looked at and not 0, 16 KiB at most; 9 KiB of stack
 */
void mth_plan_sketch(struct mth_bytes src, struct mth_bytes reference, size_t width,
                     struct mth_plan_sketch *out);

/* Are samples with these sketches alike enough that the same candidate is best for both? */
bool mth_plan_sketches_match(const struct mth_plan_sketch *a, const struct mth_plan_sketch *b);

/*
 * Do elements of 16 bits differ so much from those near them that no coder makes them four times smaller?
 *
 * Cost      a microsecond: of a few hundred elements half occur once, or more of them
 */
bool mth_plan_varies16(struct mth_bytes src);

#endif
