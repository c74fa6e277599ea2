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

/* The streams of moment24, gradient24 and divided24, in this order: sizes, rests, lows, what is kept. */
enum { MTH_MOMENT24_SIZES = 0, MTH_N_MOMENT24_STREAMS = 4 };
int mth_moment24_plan(const int64_t *values, const struct mth_symbol_type *type, size_t n_bytes,
                      struct mth_stream_plan plans[MTH_MAX_STREAMS], size_t *n_streams);

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

/* Eight symbols of bits each, one a byte, side by side in the low bits; and apart again. */
MTH_ALWAYS_INLINE uint64_t mth_close_up(uint64_t x, unsigned bits)
{
    unsigned gap = 8 - bits;
    x = (x & 0x00ff00ff00ff00ff) | (x & 0xff00ff00ff00ff00) >> gap;
    x = (x & 0x0000ffff0000ffff) | (x & 0xffff0000ffff0000) >> 2 * gap;
    return (x & 0xffffffff) | x >> 32 << 4 * bits;
}

MTH_ALWAYS_INLINE uint64_t mth_spread_out(uint64_t x, unsigned bits)
{
    const uint64_t of2 = (((uint64_t)1 << 2 * bits) - 1) * 0x0000000100000001,
                   of1 = (((uint64_t)1 << bits) - 1) * 0x0001000100010001;
    unsigned gap = 8 - bits;
    x = (x & (((uint64_t)1 << 4 * bits) - 1)) | x >> 4 * bits << 32;
    x = (x & of2) | (x & of2 << 2 * bits) << 2 * gap;
    return (x & of1) | (x & of1 << bits) << gap;
}

/* Symbols first .. first + n - 1 of those that are packed bits (at most 7) each, low bits first. first: a multiple of 8. */
MTH_ALWAYS_INLINE void mth_unpack(const uint8_t *packed, size_t first, size_t n, unsigned bits,
                                  uint8_t *symbols)
{
    const uint8_t *group = packed + first / 8 * bits;
    size_t i = 0;
    /* Of all groups but the last eight bytes are there. */
    for (; i + 16 <= n; i += 8, group += bits)
        mth_lane_store64(symbols + i,
                         mth_spread_out(mth_lane_load64(group) & (((uint64_t)1 << 8 * bits) - 1), bits));
    for (; i < n; i += 8, group += bits) {
        size_t n_group = n - i < 8 ? n - i : 8;
        uint64_t word = mth_lane_load_part(group, n_group == 8 ? bits : mth_packed_bytes(n_group, bits));
        mth_lane_store_part(symbols + i, mth_spread_out(word, bits), n_group);
    }
}

MTH_ALWAYS_INLINE void mth_pack(const uint8_t *symbols, size_t first, size_t n, unsigned bits,
                                uint8_t *packed)
{
    uint8_t *group = packed + first / 8 * bits;
    size_t i = 0;
    for (; i + 16 <= n; i += 8, group += bits)
        mth_lane_store64(group, mth_close_up(mth_lane_load64(symbols + i), bits));
    for (; i < n; i += 8, group += bits) {
        size_t n_group = n - i < 8 ? n - i : 8;
        uint64_t word = mth_close_up(mth_lane_load_part(symbols + i, n_group), bits);
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

/* The elements of a block that are kept, behind those before. */
MTH_ALWAYS_INLINE void mth_moment_keep(const uint8_t *symbols, size_t n, const uint8_t *block,
                                       struct mth_buffer *kept)
{
    for (const uint8_t *escape = memchr(symbols, MTH_MOMENT_ESCAPE, n); escape;) {
        size_t i = (size_t)(escape - symbols);
        memcpy(kept->data + kept->n_bytes, block + 4 * i, 4);
        kept->n_bytes += 4;
        escape = memchr(symbols + i + 1, MTH_MOMENT_ESCAPE, n - i - 1);
    }
}

/* The elements of a block that are kept, to their places; used: bytes taken before. False where there are none left. */
MTH_ALWAYS_INLINE bool mth_moment_take_kept(const uint8_t *symbols, size_t n, const struct mth_bytes *kept,
                                            size_t *used, uint8_t *block)
{
    for (const uint8_t *escape = memchr(symbols, MTH_MOMENT_ESCAPE, n); escape;) {
        size_t i = (size_t)(escape - symbols);
        if (kept->n_bytes - *used < 4)
            return false;
        memcpy(block + 4 * i, kept->data + *used, 4);
        *used += 4;
        escape = memchr(symbols + i + 1, MTH_MOMENT_ESCAPE, n - i - 1);
    }
    return true;
}

#endif
