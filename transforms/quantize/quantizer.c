/* Quantizers of rows; see quantizer.h. */
#include "transforms/quantize/quantizer.h"

#include "base/lane.h"

#include <float.h>
#include <math.h>

enum {
    LANES = 8, /* sums that run side by side: how many is part of what is the same everywhere */
    TILE_ELEMS = 128,
    MAX_ROUNDS = 15
};

static float load(const uint8_t *row, size_t i)
{
    uint32_t bits = mth_lane_load32(row + 4 * i);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static unsigned n_levels(const struct mth_quantizer *quantizer)
{
    return 1u << quantizer->bits;
}

size_t mth_quantizer_n_noted(const struct mth_quantizer *quantizer)
{
    return quantizer->kind == MTH_QUANTIZER_K_MEANS ? n_levels(quantizer) : 2;
}

size_t mth_quantizer_code_bytes(const struct mth_quantizer *quantizer, size_t n_elems)
{
    return n_elems / 8 * quantizer->bits + (n_elems % 8 * quantizer->bits + 7) / 8;
}

/* ---- uniform ---- */

struct range {
    double low, high;
};

static bool find_range(const uint8_t *row, size_t n, struct range *range)
{
    float low = load(row, 0), high = low;
    for (size_t i = 0; i < n; i++) {
        float x = load(row, i);
        /* Not true of a NaN either. */
        if (!(x >= -FLT_MAX && x <= FLT_MAX))
            return false;
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    *range = (struct range){low, high};
    return true;
}

/* 3 levels at least, so that the scale of any range is finite. */
static void note_range(const struct range *range, unsigned levels, float noted[2])
{
    noted[0] = (float)range->low;
    noted[1] = (float)((range->high - range->low) / (levels - 1));
}

/* Numbers per unit; of a row of one value all are 0. */
static double inverse_scale(float scale)
{
    return scale > 0 ? 1 / (double)scale : 0;
}

/* A range is no less than a hundredth of the row's, so that no number is out of what an int32_t holds. Limits are kept there,
 * because comparing doubles might trap, and loops that might are not vectorised. */
MTH_ALWAYS_INLINE int32_t number_of(double x, double bias, double inverse, int32_t last)
{
    int32_t number = (int32_t)((x - bias) * inverse + 0.5);
    number = number < last ? number : last;
    return number > 0 ? number : 0;
}

/* The product of 24 and 8 bits is exact in double, so this is the same with a fused multiply-add and without. */
static float value_of(uint32_t number, float bias, float scale)
{
    double x = (double)bias + (double)number * (double)scale;
    x = x > (double)FLT_MAX ? (double)FLT_MAX : x;
    return (float)x;
}

/* What quantizing a row to a range costs. In tiles, and the sums apart, so that compilers find vectors in it. */
static double squared_error(const uint8_t *row, size_t n, const struct range *range, unsigned levels)
{
    float noted[2];
    note_range(range, levels, noted);
    double bias = noted[0], scale = noted[1], inverse = inverse_scale(noted[1]);
    int32_t last = (int32_t)levels - 1;
    double sums[LANES] = {0}, squares[TILE_ELEMS + LANES] = {0}, total = 0;
    for (size_t begin = 0; begin < n; begin += TILE_ELEMS) {
        size_t n_tile = n - begin < TILE_ELEMS ? n - begin : TILE_ELEMS;
        for (size_t i = 0; i < n_tile; i++) {
            double x = load(row, begin + i), e = bias + number_of(x, bias, inverse, last) * scale - x;
            squares[i] = e * e;
        }
        memset(squares + n_tile, 0, LANES * sizeof *squares);
        for (size_t i = 0; i < n_tile; i += LANES)
            for (size_t k = 0; k < LANES; k++)
                sums[k] += squares[i + k];
    }
    for (size_t k = 0; k < LANES; k++)
        total += sums[k];
    return total;
}

/* From either end, whichever costs less, step after step; the best range on the way is kept. */
static void narrow(const struct mth_quantizer *quantizer, const uint8_t *row, size_t n, struct range *range)
{
    unsigned levels = n_levels(quantizer);
    double step = (range->high - range->low) / quantizer->steps;
    double best = squared_error(row, n, range, levels);
    struct range at = *range;
    for (unsigned i = 0; i < quantizer->tried && best > 0; i++) {
        struct range up = {at.low + step, at.high}, down = {at.low, at.high - step};
        double error_up = squared_error(row, n, &up, levels);
        double error_down = squared_error(row, n, &down, levels);
        at = error_up < error_down ? up : down;
        double error = error_up < error_down ? error_up : error_down;
        if (error < best) {
            best = error;
            *range = at;
        }
    }
}

/* ---- k-means ---- */

/* How many borders between neighbours lie below x: the nearest of ascending values; of two as near the lower. */
static uint32_t nearest(const double *borders, unsigned levels, double x)
{
    uint32_t at = 0;
    for (unsigned half = levels / 2; half > 0; half /= 2)
        at += borders[at + half - 1] < x ? half : 0;
    return at;
}

static void set_borders(const double *centres, unsigned levels, double *borders)
{
    for (unsigned i = 0; i + 1 < levels; i++)
        borders[i] = (centres[i] + centres[i + 1]) / 2;
}

static void find_centres(const struct mth_quantizer *quantizer, const uint8_t *row, size_t n,
                         const struct range *range, float *noted)
{
    double centres[MTH_MAX_QUANTIZER_LEVELS], borders[MTH_MAX_QUANTIZER_LEVELS];
    double sums[MTH_MAX_QUANTIZER_LEVELS];
    uint32_t counts[MTH_MAX_QUANTIZER_LEVELS];
    unsigned levels = n_levels(quantizer);
    for (unsigned i = 0; i < levels; i++)
        centres[i] = range->low + (range->high - range->low) / (levels - 1) * i;
    bool moves = true;
    for (unsigned round = 0; moves && round < MAX_ROUNDS; round++) {
        set_borders(centres, levels, borders);
        memset(sums, 0, levels * sizeof *sums);
        memset(counts, 0, levels * sizeof *counts);
        for (size_t i = 0; i < n; i++) {
            double x = load(row, i);
            uint32_t at = nearest(borders, levels, x);
            sums[at] += x;
            counts[at]++;
        }
        moves = false;
        /* A centre that nothing is near to stays. */
        for (unsigned i = 0; i < levels; i++) {
            double centre = counts[i] ? sums[i] / counts[i] : centres[i];
            moves = moves || centre < centres[i] || centre > centres[i];
            centres[i] = centre;
        }
    }
    for (unsigned i = 0; i < levels; i++)
        noted[i] = (float)centres[i];
}

/* ---- rows ---- */

bool mth_quantizer_fit(const struct mth_quantizer *quantizer, const uint8_t *row, size_t n, float *noted)
{
    struct range range;
    if (!find_range(row, n, &range))
        return false;
    if (quantizer->kind == MTH_QUANTIZER_K_MEANS) {
        find_centres(quantizer, row, n, &range, noted);
        return true;
    }
    if (quantizer->kind == MTH_QUANTIZER_SYMMETRIC) {
        range.high = range.high > -range.low ? range.high : -range.low;
        range.low = -range.high;
    } else if (quantizer->kind == MTH_QUANTIZER_ADAPTIVE) {
        narrow(quantizer, row, n, &range);
    }
    note_range(&range, n_levels(quantizer), noted);
    return true;
}

/* Numbers one behind the other, the first in the lowest bits. */
struct bits {
    uint8_t *at;
    uint32_t word;
    unsigned n;
};

static void put_number(struct bits *bits, uint32_t number, unsigned n_bits)
{
    bits->word |= number << bits->n;
    bits->n += n_bits;
    while (bits->n >= 8) {
        *bits->at++ = (uint8_t)bits->word;
        bits->word >>= 8;
        bits->n -= 8;
    }
}

void mth_quantizer_encode(const struct mth_quantizer *quantizer, const float *noted, const uint8_t *row,
                          size_t n, uint8_t *codes)
{
    struct bits bits = {.at = codes};
    unsigned levels = n_levels(quantizer);
    if (quantizer->kind == MTH_QUANTIZER_K_MEANS) {
        double centres[MTH_MAX_QUANTIZER_LEVELS], borders[MTH_MAX_QUANTIZER_LEVELS];
        for (unsigned i = 0; i < levels; i++)
            centres[i] = noted[i];
        set_borders(centres, levels, borders);
        for (size_t i = 0; i < n; i++)
            put_number(&bits, nearest(borders, levels, load(row, i)), quantizer->bits);
    } else {
        double bias = noted[0], inverse = inverse_scale(noted[1]);
        int32_t last = (int32_t)levels - 1;
        for (size_t i = 0; i < n; i++)
            put_number(&bits, (uint32_t)number_of(load(row, i), bias, inverse, last), quantizer->bits);
    }
    if (bits.n)
        *bits.at = (uint8_t)bits.word;
}

bool mth_quantizer_is_valid(const struct mth_quantizer *quantizer, const float *noted, const uint8_t *codes,
                            size_t n)
{
    unsigned n_last = (unsigned)(n % 8 * quantizer->bits % 8);
    for (size_t i = 0; i < mth_quantizer_n_noted(quantizer); i++)
        if (!(noted[i] >= -FLT_MAX && noted[i] <= FLT_MAX))
            return false;
    if (quantizer->kind != MTH_QUANTIZER_K_MEANS && !(noted[1] >= 0))
        return false;
    return n_last == 0 || codes[mth_quantizer_code_bytes(quantizer, n) - 1] >> n_last == 0;
}

/* Eight numbers at a time: they are whole bytes. */
MTH_ALWAYS_INLINE uint64_t load_numbers(const uint8_t *codes, size_t n_bytes)
{
    uint64_t word = 0;
    for (size_t i = 0; i < n_bytes; i++)
        word |= (uint64_t)codes[i] << 8 * i;
    return word;
}

static void store(uint8_t *row, size_t i, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    mth_lane_store32(row + 4 * i, bits);
}

void mth_quantizer_decode(const struct mth_quantizer *quantizer, const float *noted, const uint8_t *codes,
                          size_t n, uint8_t *row)
{
    float values[MTH_MAX_QUANTIZER_LEVELS] = {0};
    const float *value = quantizer->kind == MTH_QUANTIZER_K_MEANS ? noted : values;
    unsigned levels = n_levels(quantizer), n_bits = quantizer->bits;
    for (unsigned i = 0; value == values && i < levels; i++)
        values[i] = value_of(i, noted[0], noted[1]);
    for (size_t i = 0; i < n; i += 8) {
        size_t n_now = n - i < 8 ? n - i : 8;
        uint64_t word = load_numbers(codes + i / 8 * n_bits, n_now == 8 ? n_bits : (n_now * n_bits + 7) / 8);
        for (size_t k = 0; k < n_now; k++, word >>= n_bits)
            store(row, i + k, value[word & (levels - 1)]);
    }
}
