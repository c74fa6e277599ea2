/* What the transforms of an optimizer's first moment share: magnitudes in half octaves, and symbols of a few bits, packed. */
#ifndef MTH_TRANSFORMS_MOMENT_H
#define MTH_TRANSFORMS_MOMENT_H

#include "transforms/predictors/adam.h"
#include "transforms/transform.h"

#include <stdbool.h>

enum {
    MTH_HALF_OCTAVE_BIAS = 254, /* of 1.0 */
    MTH_MOMENT_ESCAPE = 255     /* the symbol of an element that is kept whole */
};

extern const struct mth_option mth_moment_options[];
enum { MTH_N_MOMENT_OPTIONS = 2, MTH_MOMENT_WEIGHT = 0, MTH_MOMENT_SCALE = 1 };

/* Exponent and first bit of the mantissa of an fp32 value. */
MTH_ALWAYS_INLINE int32_t mth_half_octave(uint32_t bits)
{
    return (int32_t)(bits >> 22 & 0x1ff);
}

/* The same of the square root of a value that is not negative, to within half of one. */
MTH_ALWAYS_INLINE int32_t mth_half_octave_of_root(uint32_t bits)
{
    return (mth_half_octave(bits) + MTH_HALF_OCTAVE_BIAS) >> 1;
}

MTH_ALWAYS_INLINE size_t mth_packed_bytes(size_t n, unsigned bits)
{
    return n / 8 * bits + (n % 8 * bits + 7) / 8;
}

/* Symbol i of those that are packed bits each, low bits first. */
MTH_ALWAYS_INLINE uint32_t mth_packed_get(const uint8_t *packed, size_t i, unsigned bits)
{
    const uint8_t *group = packed + i / 8 * bits;
    unsigned at = (unsigned)(i % 8) * bits;
    uint32_t word = group[at / 8];
    if (at % 8 + bits > 8)
        word |= (uint32_t)group[at / 8 + 1] << 8;
    return word >> at % 8 & ((1u << bits) - 1);
}

/* To bytes that are zero. */
MTH_ALWAYS_INLINE void mth_packed_put(uint8_t *packed, size_t i, unsigned bits, uint32_t symbol)
{
    uint8_t *group = packed + i / 8 * bits;
    unsigned at = (unsigned)(i % 8) * bits;
    uint32_t word = symbol << at % 8;
    group[at / 8] |= (uint8_t)word;
    if (at % 8 + bits > 8)
        group[at / 8 + 1] |= (uint8_t)(word >> 8);
}

/* Are the bits behind the last symbol zero? */
MTH_ALWAYS_INLINE bool mth_packed_ends_clean(const uint8_t *packed, size_t n, unsigned bits)
{
    unsigned used = (unsigned)(n % 8 * bits % 8);
    return used == 0 || packed[mth_packed_bytes(n, bits) - 1] >> used == 0;
}

/* Elements that are kept whole, in a stream of variable length behind which the tail of the elements stands. */
MTH_ALWAYS_INLINE void mth_moment_end(const struct mth_transform_job *job, const uint8_t *src, size_t n,
                                      struct mth_buffer *kept)
{
    memcpy(kept->data + kept->n_bytes, src + 4 * n, job->n_bytes - 4 * n);
    kept->n_bytes += job->n_bytes - 4 * n;
}

#endif
