/*
 * Floats of one width as those of another: what the tensors of a checkpoint are compared with whose base keeps them in another
 * dtype.
 */
#ifndef MTH_TRANSFORMS_FLOAT_CONVERT_H
#define MTH_TRANSFORMS_FLOAT_CONVERT_H

#include "base/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Between which dtypes there is a conversion: F32, BF16 and F16, any of them to another. Append-only: containers rely on it. */
bool mth_float_converts(enum mth_dtype from, enum mth_dtype to);

/*
 * Convert n elements.
 *
 * Shape     src: n elements of from, dst: n elements of to; little-endian, any alignment; no overlap
 * Requires  mth_float_converts(from, to)
 * Exact     what is wider holds every value, and NaNs with all their bits; what is narrower is the nearest, ties to even, a
 *           NaN 7fc0 as bf16 and 7e00 with its sign as f16. From bf16 to f16 and back by way of F32
 */
void mth_float_convert(enum mth_dtype from, enum mth_dtype to, size_t n, const uint8_t *src, uint8_t *dst);

#endif
