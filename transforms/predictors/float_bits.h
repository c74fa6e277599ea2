/* Arithmetic on fp32 values by their bits, the same on every machine. */
#ifndef MTH_TRANSFORMS_FLOAT_BITS_H
#define MTH_TRANSFORMS_FLOAT_BITS_H

#include "base/lane.h"

MTH_ALWAYS_INLINE float mth_float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The one NaN for all: which one comes out of an operation depends on the processor. */
MTH_ALWAYS_INLINE uint32_t mth_bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : bits;
}

/* To nearest, ties to even; a NaN becomes the one that torch makes. */
MTH_ALWAYS_INLINE uint16_t mth_bf16_nearest(uint32_t x)
{
    uint32_t rounded = (x + 0x7fff + (x >> 16 & 1)) >> 16;
    return (uint16_t)((x & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

/* To nearest, ties to even; what is too large becomes infinite, a NaN quiet. */
static inline uint16_t mth_f16_nearest(uint32_t x)
{
    enum { INFINITE = 0x7c00, QUIET = 0x7e00, F16_BIAS = 15, F32_BIAS = 127, CUT = 13 };
    uint16_t sign = (uint16_t)(x >> 16 & 0x8000);
    uint32_t magnitude = x & 0x7fffffff, exponent = magnitude >> 23, dropped = CUT;
    if (magnitude > 0x7f800000)
        return sign | QUIET;
    if (exponent >= F32_BIAS + F16_BIAS + 1)
        return sign | INFINITE;
    uint32_t significand = (magnitude & 0x7fffff) | 0x800000, result = 0;
    if (exponent <= F32_BIAS - F16_BIAS) {
        /* A denormal: the leading one is a bit like the others. */
        dropped += F32_BIAS - F16_BIAS + 1 - exponent;
        if (dropped > 25)
            return sign;
    } else {
        result = (exponent - (F32_BIAS - F16_BIAS) - 1) << 10;
    }
    result += significand >> dropped;
    uint32_t half = (uint32_t)1 << (dropped - 1), rest = significand & (half + half - 1);
    result += rest > half || (rest == half && (result & 1));
    return (uint16_t)(sign | result);
}

/*
 * product + term, rounded to odd: where something was lost, the last bit is set, so that no tie is seen where there is none when it is rounded to fp32,
 * which has less than half the bits.
 *
 * Source  S. Boldo and G. Melquiond, Emulation of a FMA and Correctly Rounded Sums, IEEE Transactions on Computers 57(4), 2008
 */
static inline double mth_odd_sum(double product, double term)
{
    double sum = product + term;
    double kept = sum - product, lost = (product - (sum - kept)) + (term - kept);
    uint64_t bits, lost_bits;
    memcpy(&bits, &sum, sizeof bits);
    memcpy(&lost_bits, &lost, sizeof lost_bits);
    /* Of what is infinite or no number nothing is lost. Away from zero or towards it is a coin: no branch. */
    uint64_t even = (uint64_t)((lost > 0) | (lost < 0)) & ~bits & 1, inward = (bits ^ lost_bits) >> 63;
    bits += (even ^ (0 - inward)) + inward;
    memcpy(&sum, &bits, sizeof bits);
    return sum;
}

/*
 * a * b + c, rounded once, without the instruction for it. In double the product is exact. What the sum loses there matters only where it comes to lie half
 * way between two fp32 values, of which those below 2^-126 are further apart than the sum's exponent says: one element in 2^29, and what is next to
 * nothing.
 */
MTH_ALWAYS_INLINE float mth_fma(float a, float b, float c)
{
    enum { CUT = 29, EXPONENT_AT = 52, LEAST_NORMAL = 1023 - 126 };
    double product = (double)a * (double)b, term = (double)c, sum = product + term;
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    uint64_t cut = bits & (((uint64_t)1 << CUT) - 1), half = (uint64_t)1 << (CUT - 1);
    uint64_t small = bits << 1 >> (EXPONENT_AT + 1) < LEAST_NORMAL && bits << 1 != 0;
    if ((cut == half) | small)
        sum = mth_odd_sum(product, term);
    return (float)sum;
}

/* A kernel whose instruction set has it defines it as the instruction, which gives the same bits. */
#ifndef MTH_FMA
#define MTH_FMA mth_fma
#endif

#endif
