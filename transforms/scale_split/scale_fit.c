/* The scales of rows and columns; see scale_fit.h. */
#include "transforms/scale_split/scale_fit.h"

#include "transforms/span_note.h"

#include <string.h>

enum { MAX_ROWS = 1 << 24 }; /* whose exponents, up to 255, add up to less than 2^32 */

/* Sums over rows, column by column. */
struct sums {
    uint32_t exponents[MTH_SCALE_MAX_COLUMNS];
    uint32_t zeros[MTH_SCALE_MAX_COLUMNS];
    uint16_t part[MTH_SCALE_MAX_COLUMNS];
    uint16_t part_zeros[MTH_SCALE_MAX_COLUMNS];
    uint64_t total, n_total;
};

/* Adds up to MTH_SCALE_MAX_ADDED_ROWS whole rows. */
static void add_rows(const struct mth_scale_format *format, const uint8_t *src, size_t n_rows,
                     size_t n_columns, struct sums *sums)
{
    size_t all_zeros = 0;
    memset(sums->part, 0, n_columns * sizeof *sums->part);
    memset(sums->part_zeros, 0, n_columns * sizeof *sums->part_zeros);
    for (size_t row = 0; row < n_rows; row++) {
        const uint8_t *at = src + row * n_columns * 2;
        size_t n_zeros;
        sums->total += format->add_exponents(at, n_columns, sums->part, &n_zeros);
        if (n_zeros)
            format->add_zeros(at, n_columns, sums->part_zeros);
        all_zeros += n_zeros;
    }
    for (size_t i = 0; i < n_columns; i++)
        sums->exponents[i] += sums->part[i];
    for (size_t i = 0; all_zeros && i < n_columns; i++)
        sums->zeros[i] += sums->part_zeros[i];
    sums->n_total += n_rows * n_columns - all_zeros;
}

void mth_scale_fit_columns(const struct mth_scale_format *format, const uint8_t *src,
                           const struct mth_row_span *span, struct mth_scale_columns *columns)
{
    struct sums sums;
    size_t n_columns = span->row_elems;
    size_t n_before = span->phase ? mth_span_row_elems(span, 0) : 0;
    size_t n_rows = n_before < span->n_elems ? (span->n_elems - n_before) / n_columns : 0;
    columns->mean_shift = 0;
    columns->known = n_columns <= MTH_SCALE_MAX_COLUMNS && n_rows >= MTH_SCALE_MIN_ROWS && n_rows <= MAX_ROWS;
    if (!columns->known)
        return;
    memset(sums.exponents, 0, n_columns * sizeof *sums.exponents);
    memset(sums.zeros, 0, n_columns * sizeof *sums.zeros);
    sums.total = sums.n_total = 0;
    src += n_before * 2;
    for (size_t done = 0; done < n_rows;) {
        size_t n = n_rows - done < MTH_SCALE_MAX_ADDED_ROWS ? n_rows - done : MTH_SCALE_MAX_ADDED_ROWS;
        add_rows(format, src + done * n_columns * 2, n, n_columns, &sums);
        done += n;
    }
    int64_t mean = sums.n_total ? (int64_t)(sums.total * MTH_SCALE_UNIT / sums.n_total) : 0,
            sum_of_shifts = 0;
    for (size_t i = 0; i < n_columns; i++) {
        size_t n = n_rows - sums.zeros[i];
        int64_t own = n ? (int64_t)((uint64_t)sums.exponents[i] * MTH_SCALE_UNIT / n) : mean;
        /* To the nearest octave; moved above 0, where division rounds down. */
        int64_t shift = (own - mean + MTH_SCALE_UNIT / 2 + 512 * MTH_SCALE_UNIT) / MTH_SCALE_UNIT - 512;
        shift = shift < -MTH_SCALE_MAX_SHIFT ? -MTH_SCALE_MAX_SHIFT : shift;
        columns->shift[i] = (int16_t)(shift > MTH_SCALE_MAX_SHIFT ? MTH_SCALE_MAX_SHIFT : shift);
        sum_of_shifts += columns->shift[i];
    }
    columns->mean_shift = (int)(sum_of_shifts * MTH_SCALE_UNIT / (int64_t)n_columns);
}

int mth_scale_of_row(const struct mth_scale_format *format, const uint8_t *src, size_t n, int mean_shift)
{
    size_t n_zeros;
    uint64_t sum = format->add_exponents(src, n, NULL, &n_zeros);
    if (n_zeros == n)
        return -1;
    int mean = (int)(sum * MTH_SCALE_UNIT / (n - n_zeros)) - mean_shift;
    return mean < 0 ? 0 : (2 * mean + MTH_SCALE_UNIT / 2) / MTH_SCALE_UNIT;
}
