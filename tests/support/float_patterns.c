/* Every pattern of narrow lanes, and the odd values of wide floats; see float_patterns.h. */
#include "tests/support/float_patterns.h"

#include "tests/support/patterns.h"

enum { MAX_EDGES = 32 };

static void put_bits(uint8_t *p, uint64_t x, size_t width)
{
    for (size_t i = 0; i < width; i++)
        p[i] = (uint8_t)(x >> 8 * i);
}

void fill_lane_pairs(uint8_t *a, uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        put_bits(a + 2 * i, i, 2);
        put_bits(b + 2 * i, i * 40503 + 17, 2); /* an odd factor: every value once */
    }
}

static size_t edge_values(const struct mth_dtype_info *info, uint64_t out[MAX_EDGES])
{
    const uint64_t sign = (uint64_t)1 << (info->lane_bits - 1), hidden = (uint64_t)1 << info->mantissa_bits;
    const uint64_t infinity = sign - hidden, one = infinity / 2 & ~(hidden - 1);
    const uint64_t magnitudes[] = {
        0,
        1,
        2,
        hidden - 1,
        hidden,
        hidden + 1,
        one,
        one + 1,
        one - 1,
        infinity - 1,
        infinity,
        infinity + 1,
        infinity + hidden / 2,
        sign - 1,
        infinity + hidden / 2 + 0x155,
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof magnitudes / sizeof magnitudes[0]; i++) {
        out[n++] = magnitudes[i];
        out[n++] = magnitudes[i] | sign;
    }
    return n;
}

void fill_float_edges(enum mth_dtype dtype, uint8_t *a, uint8_t *b, size_t n)
{
    uint64_t edges[MAX_EDGES];
    size_t n_edges = edge_values(mth_dtype_info(dtype), edges), width = mth_dtype_lane_bytes(dtype), at = 0;
    pattern_fill(PATTERN_RANDOM, 1, a, n);
    pattern_fill(PATTERN_RANDOM, 2, b, n);
    for (size_t i = 0; i < n_edges * n_edges && at + width <= n; i++, at += width) {
        put_bits(a + at, edges[i / n_edges], width);
        put_bits(b + at, edges[i % n_edges], width);
    }
}
