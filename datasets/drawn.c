/* Values drawn by counter; see drawn.h. */
#include "datasets/drawn.h"

uint64_t mth_drawn_bits(uint64_t seed, uint64_t counter)
{
    uint64_t z = seed + (counter + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/*
 * The sum of twelve uniform numbers of 21 bits, less its mean. A uniform number below m has variance
 * (m * m - 1) / 12, so twelve have standard deviation m = 2^21 (to 2^-22).
 */
int64_t mth_drawn_normal(uint64_t seed, uint64_t index)
{
    const uint64_t mask = (1u << 21) - 1;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t bits = mth_drawn_bits(seed, index * 4 + i);
        sum += (bits & mask) + (bits >> 21 & mask) + (bits >> 42 & mask);
    }
    return (int64_t)sum - (int64_t)(6 * mask);
}

uint16_t mth_drawn_bf16(int64_t value)
{
    if (value == 0)
        return 0;
    unsigned sign = value < 0 ? 0x8000 : 0;
    uint64_t magnitude = value < 0 ? (uint64_t)-value : (uint64_t)value;
    unsigned top = 0; /* of the highest bit that is set */
    for (unsigned step = 32; step; step /= 2)
        if (magnitude >> top >> step)
            top += step;
    unsigned exponent = top + 127 - 45;
    if (top <= 7)
        return (uint16_t)(sign | exponent << 7 | ((magnitude << (7 - top)) & 0x7f));
    unsigned shift = top - 7;
    uint64_t kept = magnitude >> shift;
    uint64_t rest = magnitude & ((UINT64_C(1) << shift) - 1), half = UINT64_C(1) << (shift - 1);
    kept += rest > half || (rest == half && (kept & 1));
    /* kept holds the leading one: added to the exponent less one, it also carries a round-up to the next power. */
    return (uint16_t)(sign | (((exponent - 1) << 7) + (unsigned)kept));
}
