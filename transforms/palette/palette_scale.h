/*
 * Dequantised values: floats that are a scale times small integers, rounded to their format.
 */
#ifndef MTH_TRANSFORMS_PALETTE_SCALE_H
#define MTH_TRANSFORMS_PALETTE_SCALE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The formats whose products are known here. */
enum mth_palette_float { MTH_PALETTE_NO_FLOAT, MTH_PALETTE_BF16, MTH_PALETTE_F16, MTH_PALETTE_F32 };

enum { MTH_PALETTE_MAX_FACTOR = 255 };

/*
 * The bits of scale * factor: the product in f32, then rounded to the format, both to nearest, ties to even.
 *
 * Exact     on every machine with IEEE arithmetic that does not flush denormals; scale is finite and above 0
 */
uint64_t mth_palette_product(enum mth_palette_float format, float scale, int factor);

/*
 * Find a scale of which all values are multiples, as the product above has them.
 *
 * Shape     values: n patterns of the format, ascending and distinct; *scale above 0; factors[n]: -255 .. 255, which differ
 *           by at most 255
 * Returns   false where there is none, or none was found
 * Cost      n steps for each of a few guesses
 */
bool mth_palette_find_scale(enum mth_palette_float format, const uint64_t *values, size_t n, float *scale,
                            int *factors);

#endif
