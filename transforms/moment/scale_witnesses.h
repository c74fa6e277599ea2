/* The scale of gradients of few bits, looked for by those that are known best; docs/states.md. */
#ifndef MTH_TRANSFORMS_SCALE_WITNESSES_H
#define MTH_TRANSFORMS_SCALE_WITNESSES_H

#include "base/lane.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    MTH_SCALE_WITNESSES = 16,
    MTH_SCALE_STEPS = 1 << 21, /* from 1 to 2, of the inverse of a scale */
    MTH_SCALE_STRETCHES = 4,   /* of steps, that are gone through side by side */
    MTH_SCALES_TRIED = 64,     /* the most that are noted of each */
    MTH_SCALE_MISSES = 2       /* of witnesses */
};

/* The gradients that are known best, how many bits of their mantissas are not zero, and how far from that each may seem to be, in units of the
 * last of 52 bits. Some sums have more. */
struct mth_scale_witnesses {
    double gradients[MTH_SCALE_WITNESSES];
    double off[MTH_SCALE_WITNESSES];
    double steps_a_unit[MTH_SCALE_WITNESSES]; /* of the scale, that raise it by a unit; not more */
    unsigned n_mantissa;
};

/* How far a normal value lies above one whose mantissa has so few bits that all of the mask are zero, in units of its last place: exact, by way of 2^52. */
MTH_ALWAYS_INLINE double mth_above_grid(double value, uint64_t mask)
{
    uint64_t bits;
    double above;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits & mask) | (uint64_t)(1023 + 52) << 52;
    memcpy(&above, &bits, sizeof above);
    return above - 0x1p52;
}

MTH_ALWAYS_INLINE double mth_scale_inverse_at(uint32_t step)
{
    return 1 + step * (1.0 / MTH_SCALE_STEPS);
}

MTH_ALWAYS_INLINE double mth_larger(double a, double b)
{
    return a > b ? a : b;
}

MTH_ALWAYS_INLINE double mth_smaller(double a, double b)
{
    return a < b ? a : b;
}

#endif
