/* Dequantised values; see palette_scale.h. */
#include "transforms/palette/palette_scale.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_VALUES = 256,
    MAX_FIRST_FACTOR = 8, /* how large the smallest factor that occurs may be */
    N_NEIGHBOURS = 3      /* floats on either side of the middle that are tried */
};

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t round_to_bf16(uint32_t bits)
{
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/* Finite values only: a larger one becomes an infinity. */
static uint32_t round_to_f16(uint32_t bits)
{
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x47800000) /* 2^16 */
        return sign | 0x7c00;
    if (magnitude < 0x38800000) {   /* 2^-14: denormal, a count of 2^-24 */
        if (magnitude < 0x33000000) /* 2^-25 */
            return sign;
        unsigned shift = 126 - (magnitude >> 23); /* 24 bits of mantissa, of which 2^-24 is the unit */
        uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
        uint32_t half = (uint32_t)1 << (shift - 1), rest = mantissa & (2 * half - 1),
                 units = mantissa >> shift;
        return sign | (units + (rest > half || (rest == half && (units & 1))));
    }
    uint32_t rebased = magnitude - 0x38000000; /* exponents from 127 to 15 */
    return sign | (rebased + 0xfff + (rebased >> 13 & 1)) >> 13;
}

uint64_t mth_palette_product(enum mth_palette_float format, float scale, int factor)
{
    uint32_t bits = bits_of(scale * (float)factor);
    if (format == MTH_PALETTE_BF16)
        return round_to_bf16(bits);
    return format == MTH_PALETTE_F16 ? round_to_f16(bits) : bits;
}

/* A value, and how far from it toward 0 (below) and away from 0 (above) a product may lie that is rounded to it. */
struct value {
    double value, below, above;
};

/* False for infinities and NaNs. */
static bool read_value(enum mth_palette_float format, uint64_t pattern, struct value *out)
{
    static const struct {
        unsigned mantissa_bits, exponent_bits;
    } formats[] = {[MTH_PALETTE_BF16] = {7, 8}, [MTH_PALETTE_F16] = {10, 5}, [MTH_PALETTE_F32] = {23, 8}};
    unsigned m = formats[format].mantissa_bits, e = formats[format].exponent_bits;
    assert(e > 0);
    int exponent = (int)(pattern >> m & ((1u << e) - 1)), bias = (1 << (e - 1)) - 1;
    double mantissa = (double)(pattern & (((uint64_t)1 << m) - 1));
    if (exponent == (1 << e) - 1)
        return false;
    int power = (exponent ? exponent : 1) - bias - (int)m;
    out->value = ldexp(mantissa + (exponent ? (double)((uint64_t)1 << m) : 0), power);
    /* Half a unit, which below a power of 2 is half as large, and what rounding to f32 before may add. */
    out->above = ldexp(0.5 + 0x1p-14, power);
    out->below = mantissa == 0 && exponent > 1 ? out->above / 2 : out->above;
    if (pattern >> (m + e) & 1)
        out->value = -out->value;
    return true;
}

struct lattice {
    enum mth_palette_float format;
    const uint64_t *patterns;
    size_t n;
    struct value values[MAX_VALUES];
    uint16_t by_magnitude[MAX_VALUES]; /* values that are not zero, ascending */
    size_t n_nonzero;
};

/* Patterns ascend, so positive values do, and behind them negative ones do in magnitude: merge the two runs. */
static bool read_lattice(struct lattice *l)
{
    size_t negative = 0, i = 0;
    for (size_t k = 0; k < l->n; k++) {
        if (!read_value(l->format, l->patterns[k], &l->values[k]))
            return false;
    }
    while (negative < l->n && !signbit(l->values[negative].value))
        negative++;
    size_t j = negative;
    l->n_nonzero = 0;
    while (i < negative || j < l->n) {
        bool left = j == l->n || (i < negative && l->values[i].value <= -l->values[j].value);
        size_t next = left ? i++ : j++;
        if (l->values[next].value != 0)
            l->by_magnitude[l->n_nonzero++] = (uint16_t)next;
    }
    return l->n_nonzero > 0;
}

/* The scales of which the smallest value is `first` times one, and all others are some times it. */
static bool narrow(const struct lattice *l, int first, double *low, double *high, int *factors)
{
    memset(factors, 0, l->n * sizeof *factors);
    for (size_t i = 0; i < l->n_nonzero; i++) {
        size_t at = l->by_magnitude[i];
        const struct value *value = &l->values[at];
        double magnitude = fabs(value->value), factor = first;
        if (i > 0)
            factor = floor(magnitude / ((*low + *high) / 2) + 0.5);
        if (factor < 1 || factor > MTH_PALETTE_MAX_FACTOR)
            return false;
        double from = (magnitude - value->below) / factor, to = (magnitude + value->above) / factor;
        *low = i == 0 || from > *low ? from : *low;
        *high = i == 0 || to < *high ? to : *high;
        if (*low > *high)
            return false;
        factors[at] = (int)(value->value < 0 ? -factor : factor);
    }
    return true;
}

static bool gives_all(const struct lattice *l, float scale, const int *factors)
{
    for (size_t i = 0; i < l->n; i++) {
        if (mth_palette_product(l->format, scale, factors[i]) != l->patterns[i])
            return false;
    }
    return true;
}

static bool factors_fit(const int *factors, size_t n)
{
    int low = factors[0], high = factors[0];
    for (size_t i = 1; i < n; i++) {
        low = factors[i] < low ? factors[i] : low;
        high = factors[i] > high ? factors[i] : high;
    }
    return high - low <= 255;
}

bool mth_palette_find_scale(enum mth_palette_float format, const uint64_t *values, size_t n, float *scale,
                            int *factors)
{
    struct lattice l = {.format = format, .patterns = values, .n = n};
    if (n == 0 || n > MAX_VALUES || !read_lattice(&l))
        return false;
    for (int first = 1; first <= MAX_FIRST_FACTOR; first++) {
        double low = 0, high = 0;
        if (!narrow(&l, first, &low, &high, factors) || !factors_fit(factors, n))
            continue;
        uint32_t middle = bits_of((float)((low + high) / 2));
        for (int i = -N_NEIGHBOURS; i <= N_NEIGHBOURS; i++) {
            *scale = float_of(middle + (uint32_t)i);
            if (isfinite(*scale) && *scale > 0 && gives_all(&l, *scale, factors))
                return true;
        }
    }
    return false;
}
