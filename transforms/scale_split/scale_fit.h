/*
 * The scales of a span: of its columns in whole octaves, of its rows in half octaves, from the means of exponents.
 *
 * Elements whose exponent is 0 (zeros, and what is denormal) say nothing about a scale and are not counted.
 */
#ifndef MTH_TRANSFORMS_SCALE_FIT_H
#define MTH_TRANSFORMS_SCALE_FIT_H

#include "transforms/scale_split/scale_kernels.h"
#include "transforms/transform.h"

enum {
    MTH_SCALE_MAX_COLUMNS = 1 << 13,
    MTH_SCALE_MIN_ROWS = 48, /* fewer do not pay for the scales of their columns */
    MTH_SCALE_MAX_SHIFT = 63,
    MTH_SCALE_UNIT = 256 /* of a mean */
};

struct mth_scale_columns {
    bool known;                           /* else all shifts are 0 */
    int16_t shift[MTH_SCALE_MAX_COLUMNS]; /* octaves */
    int mean_shift;                       /* in MTH_SCALE_UNIT */
};

/* The scales of a span's columns, where it has enough whole rows, and not too many columns. src: its elements. */
void mth_scale_fit_columns(const struct mth_scale_format *format, const uint8_t *src,
                           const struct mth_row_span *span, struct mth_scale_columns *columns);

/* The scale of a row of n elements, in half octaves; -1 where no exponent counts. */
int mth_scale_of_row(const struct mth_scale_format *format, const uint8_t *src, size_t n, int mean_shift);

#endif
