/* What a coder of steps in units of the last place would spend at best, given tensor and exponent of the base, and where that came from. */
#ifndef MTH_HARNESS_STEP_ENTROPY_H
#define MTH_HARNESS_STEP_ENTROPY_H

#include "base/dtype.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mth_step_entropy;

/* NULL when there is no memory: 0.3 MiB, 2 MiB for F64; seven times that if directed, which tensors with an older base have to be. */
struct mth_step_entropy *mth_step_entropy_create(enum mth_dtype dtype, bool directed,
                                                 struct mth_memory *memory);
void mth_step_entropy_destroy(struct mth_step_entropy *steps);

/*
 * The bits of one tensor.
 *
 * Model     the difference of elements as ordered integers (docs/transforms.md, delta-ulp), modulo the width of a lane: -127 ..
 *           127 by the order-0 entropy among elements whose base has the same exponent; others as one symbol more, and all
 *           their bits. The tables are free. Integers have no exponent. What is behind the last whole lane is not counted.
 *           With an older base the elements have to share, beside the exponent, how far their base lies above or below its
 *           counterpart there, -3 .. 3, farther ones as those
 * Shape     data, base, older: n_bytes each; older: NULL for none
 * Cost      about 2 ns a lane
 */
double mth_step_entropy_bits(struct mth_step_entropy *steps, const uint8_t *data, const uint8_t *base,
                             const uint8_t *older, size_t n_bytes);

#endif
