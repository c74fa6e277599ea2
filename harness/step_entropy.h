/* What a coder of steps in units of the last place would spend at best, given tensor and exponent of the base. */
#ifndef MTH_HARNESS_STEP_ENTROPY_H
#define MTH_HARNESS_STEP_ENTROPY_H

#include "base/dtype.h"
#include "base/memory.h"

#include <stddef.h>
#include <stdint.h>

struct mth_step_entropy;

/* NULL when there is no memory: 0.3 MiB, 2 MiB for F64. */
struct mth_step_entropy *mth_step_entropy_create(enum mth_dtype dtype, struct mth_memory *memory);
void mth_step_entropy_destroy(struct mth_step_entropy *steps);

/*
 * The bits of one tensor.
 *
 * Model     the difference of elements as ordered integers (docs/transforms.md, delta-ulp), modulo the width of a lane: -127 ..
 *           127 by the order-0 entropy among elements whose base has the same exponent; others as one symbol more, and all
 *           their bits. The tables are free. Integers have no exponent. What is behind the last whole lane is not counted
 * Shape     data, base: n_bytes each
 * Cost      about 2 ns a lane
 */
double mth_step_entropy_bits(struct mth_step_entropy *steps, const uint8_t *data, const uint8_t *base,
                             size_t n_bytes);

#endif
