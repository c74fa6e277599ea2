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

enum { MTH_MOMENT_BLOCK_ELEMS = 512 }; /* looked at together; whole groups of 8 symbols */

/* Symbols first .. first + n - 1 of those that are packed bits (at most 7) each, low bits first. first: a multiple of 8. */
MTH_ALWAYS_INLINE void mth_unpack(const uint8_t *packed, size_t first, size_t n, unsigned bits,
                                  uint8_t *symbols)
{
    const uint8_t *group = packed + first / 8 * bits;
    for (size_t i = 0; i < n; i += 8, group += bits) {
        size_t n_group = n - i < 8 ? n - i : 8;
        uint64_t word = mth_lane_load_part(group, n_group == 8 ? bits : mth_packed_bytes(n_group, bits));
        for (size_t k = 0; k < n_group; k++)
            symbols[i + k] = (uint8_t)(word >> k * bits & ((1u << bits) - 1));
    }
}

MTH_ALWAYS_INLINE void mth_pack(const uint8_t *symbols, size_t first, size_t n, unsigned bits,
                                uint8_t *packed)
{
    uint8_t *group = packed + first / 8 * bits;
    for (size_t i = 0; i < n; i += 8, group += bits) {
        size_t n_group = n - i < 8 ? n - i : 8;
        uint64_t word = 0;
        for (size_t k = 0; k < n_group; k++)
            word |= (uint64_t)symbols[i + k] << k * bits;
        mth_lane_store_part(group, word, n_group == 8 ? bits : mth_packed_bytes(n_group, bits));
    }
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
