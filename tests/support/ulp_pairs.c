/* Pairs of a base and what became of it, and steps between elements as the specification has them; see ulp_rig.h. */
#include "tests/support/ulp_rig.h"

#include "tests/support/float_patterns.h"
#include "tests/support/patterns.h"

#include <stdlib.h>
#include <string.h>

enum { ROW = 96, MAX_STEPS = 256 };

uint64_t ulp_load(const uint8_t *p, unsigned bits)
{
    uint64_t x = 0;
    for (unsigned i = 0; i < bits / 8; i++)
        x |= (uint64_t)p[i] << 8 * i;
    return x;
}

void ulp_store(uint8_t *p, uint64_t x, unsigned bits)
{
    for (unsigned i = 0; i < bits / 8; i++)
        p[i] = (uint8_t)(x >> 8 * i);
}

static uint64_t mask_of(const struct mth_ulp_format *format)
{
    return UINT64_MAX >> (64 - format->lane_bits);
}

static uint64_t order(const struct mth_ulp_format *format, uint64_t x)
{
    uint64_t sign = (uint64_t)1 << (format->lane_bits - 1);
    if (format->exponent_bits == 0)
        return x;
    return x & sign ? ~x & mask_of(format) : x | sign;
}

uint64_t ulp_move(const struct mth_ulp_format *format, uint64_t b, uint64_t step)
{
    uint64_t sign = (uint64_t)1 << (format->lane_bits - 1);
    uint64_t ordered = (order(format, b) + step) & mask_of(format);
    if (format->exponent_bits == 0)
        return ordered;
    return ordered & sign ? ordered & ~sign : ~ordered & mask_of(format);
}

uint64_t ulp_step(const struct mth_ulp_format *format, uint64_t b, uint64_t x)
{
    return (order(format, x) - order(format, b)) & mask_of(format);
}

struct mth_ulp_format ulp_format(enum mth_dtype dtype)
{
    struct mth_ulp_format format;
    struct mth_symbol_type type = mth_symbol_type_of(dtype);
    if (!mth_ulp_format_of(&type, &format))
        abort();
    return format;
}

const char *ulp_pair_name(enum ulp_pair pair)
{
    static const char *const names[ULP_N_PAIRS] = {"same",  "one",   "trained", "dense", "rows",
                                                   "steps", "edges", "signs",   "out",   "random"};
    return names[pair];
}

/* Every step that ends or begins the range of a symbol, for some shifts, and the longest; ones that a type has not are folded. */
static size_t list_steps(uint64_t out[MAX_STEPS])
{
    static const unsigned shifts[] = {0, 7, 26, 52};
    size_t n = 0;
    for (size_t s = 0; s < sizeof shifts / sizeof shifts[0]; s++) {
        for (unsigned u = 0; u <= 8; u++)
            out[n++] = ((uint64_t)u << shifts[s]) + 1;
        for (unsigned k = 1; k <= 8; k++) {
            uint64_t first = 6 + ((uint64_t)1 << k);
            out[n++] = first << shifts[s];
            out[n++] = (first << shifts[s]) + 1;
        }
    }
    for (unsigned bits = 7; bits < 64; bits++)
        out[n++] = (uint64_t)1 << bits;
    out[n++] = INT64_MAX;
    return n;
}

static unsigned geometric(uint64_t random, unsigned most)
{
    unsigned n = 0;
    while (n < most && random >> n & 1)
        n++;
    return n;
}

/* An element as trained weights have them: exponents that fall off below a top; any bits of an integer. */
static uint64_t draw(const struct mth_ulp_format *format, uint64_t *random)
{
    uint64_t bits = pattern_random(random), r = pattern_random(random);
    if (format->exponent_bits == 0)
        return bits & mask_of(format);
    uint64_t top = ((uint64_t)1 << (format->exponent_bits - 1)) - 3, below = geometric(r, 24);
    uint64_t exponent = top > below ? top - below : 0;
    uint64_t mantissa = bits & (((uint64_t)1 << format->mantissa_bits) - 1);
    return (r >> 63) << (format->lane_bits - 1) | exponent << format->mantissa_bits | mantissa;
}

/* What becomes of element i. */
static uint64_t become(enum ulp_pair pair, const struct mth_ulp_format *format, uint64_t b, size_t i,
                       size_t n_elems, uint64_t r, const uint64_t *steps, size_t n_steps)
{
    uint64_t few = 1 + geometric(r >> 32, 30), step = r >> 62 & 1 ? few : 0 - few;
    switch (pair) {
    case ULP_ONE:
        return i == n_elems * 2 / 3 ? ulp_move(format, b, step) : b;
    case ULP_TRAINED:
    case ULP_OUT:
        return r % 8 ? b : ulp_move(format, b, step);
    case ULP_DENSE:
        return ulp_move(format, b, step);
    case ULP_ROWS:
        return i / ROW * UINT64_C(0x9e3779b97f4a7c15) >> 60 || r % 2 ? b : ulp_move(format, b, step);
    case ULP_STEPS:
        return r % 4 ? b : ulp_move(format, b, r >> 62 & 1 ? steps[i % n_steps] : 0 - steps[i % n_steps]);
    case ULP_SIGNS:
        return r % 4 ? b : b ^ (uint64_t)1 << (format->lane_bits - 1);
    default:
        return b;
    }
}

/* Odd values, three of four as they were. */
static void fill_edges(enum mth_dtype dtype, uint64_t seed, uint8_t *src, uint8_t *base, size_t n_elems)
{
    size_t lane_bytes = mth_dtype_lane_bytes(dtype);
    if (lane_bytes == 2)
        fill_lane_pairs(src, base, n_elems * lane_bytes);
    else
        fill_float_edges(dtype, src, base, n_elems * lane_bytes);
    for (size_t i = 0; i < n_elems; i++) {
        if ((i + seed) % 4)
            memcpy(src + i * lane_bytes, base + i * lane_bytes, lane_bytes);
    }
}

void ulp_fill(enum ulp_pair pair, enum mth_dtype dtype, uint64_t seed, uint8_t *src, uint8_t *base,
              size_t n_elems)
{
    struct mth_ulp_format format = ulp_format(dtype);
    size_t lane_bytes = format.lane_bits / 8;
    uint64_t random = seed * 977 + 1, steps[MAX_STEPS];
    size_t n_steps = list_steps(steps);
    if (pair == ULP_EDGES) {
        fill_edges(dtype, seed, src, base, n_elems);
        return;
    }
    for (size_t i = 0; i < n_elems; i++) {
        uint64_t b = pair == ULP_RANDOM ? pattern_random(&random) : draw(&format, &random);
        if (pair == ULP_OUT && format.exponent_bits)
            b &= ~(((((uint64_t)1 << format.exponent_bits) - 1)) << format.mantissa_bits);
        uint64_t r = pattern_random(&random);
        uint64_t x = pair == ULP_RANDOM ? r : become(pair, &format, b, i, n_elems, r, steps, n_steps);
        ulp_store(base + i * lane_bytes, b, format.lane_bits);
        ulp_store(src + i * lane_bytes, x, format.lane_bits);
    }
}
