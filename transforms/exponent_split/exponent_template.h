/*
 * The kernels of exponent-split in portable C, compiled once for each instruction set: a file defines MTH_KERNEL (the
 * attributes of a function that is called from outside it) and includes this. Everything else is inlined into those.
 */
#include "base/lane.h"

#include <stdbool.h>

enum {
    GROUP_ELEMS = 8,      /* the packing repeats */
    BLOCK_BYTES = 1 << 13 /* elements that a kernel goes over twice, while they are in L1 */
};

/*
 * The kernels take a format as constants: lane_bits of an element, of them mantissa_bits the lowest, one sign
 * the highest, exponent between. Each is inlined into a function per format, where its shifts and masks are
 * immediate.
 */

/* A word whose every lane (of 8, 16, 32 or 64 bits) has its low_bits set. */
MTH_ALWAYS_INLINE uint64_t repeat_mask(unsigned low_bits, unsigned lane_bits)
{
    uint64_t mask = ((uint64_t)1 << low_bits) - 1;
    if (lane_bits <= 8)
        mask |= mask << 8;
    if (lane_bits <= 16)
        mask |= mask << 16;
    if (lane_bits <= 32)
        mask |= mask << 32;
    return mask;
}

/* Move the low `bits` of every lane of a word, the rest being zero, together: in pairs, pairs of pairs .. */
MTH_ALWAYS_INLINE uint64_t gather_lanes(uint64_t x, unsigned lane_bits, unsigned bits)
{
#define GATHER(lane)                                  \
    if (lane_bits <= lane) {                          \
        unsigned b = bits * (lane / lane_bits);       \
        uint64_t low = repeat_mask(b, 2 * lane);      \
        x = (x & low) | (x >> (lane - b) & low << b); \
    }
    GATHER(8)
    GATHER(16)
    GATHER(32)
#undef GATHER
    return x;
}

/* The inverse: fields without gaps at the bottom of x, all above them zero, to the low bits of lanes. */
MTH_ALWAYS_INLINE uint64_t scatter_lanes(uint64_t x, unsigned lane_bits, unsigned bits)
{
#define SCATTER(lane)                                 \
    if (lane_bits <= lane) {                          \
        unsigned b = bits * (lane / lane_bits);       \
        uint64_t low = repeat_mask(b, 2 * lane);      \
        x = (x & low) | (x & low << b) << (lane - b); \
    }
    SCATTER(32)
    SCATTER(16)
    SCATTER(8)
#undef SCATTER
    return x;
}

/*
 * Pack signs with mantissas of eight elements.
 *
 * Shape     src: lane_bits bytes; out: 1 + mantissa_bits bytes
 * Example   f16, 1.0 (00 3c) and -1.5 (00 be), then six zeros -> 00 00 30 00 00 00 00 00 00 00 00: 0, then
 * 11000000000
 */
MTH_ALWAYS_INLINE void pack_group(const uint8_t *src, uint8_t *out, unsigned lane_bits,
                                  unsigned mantissa_bits)
{
    unsigned bits = 1 + mantissa_bits, n_words = lane_bits / 8, word_bits = 64 / lane_bits * bits;
    uint64_t mantissa_mask = repeat_mask(mantissa_bits, lane_bits);
    uint64_t sign_mask = repeat_mask(1, lane_bits) << mantissa_bits;
    uint64_t pending = 0;
    unsigned n_pending = 0;
    for (unsigned w = 0; w < n_words; w++) {
        uint64_t x = mth_lane_load64(src + 8 * w);
        x = (x & mantissa_mask) | (x >> (lane_bits - bits) & sign_mask);
        x = gather_lanes(x, lane_bits, bits);
        pending |= x << n_pending;
        if (n_pending + word_bits >= 64) {
            mth_lane_store64(out, pending);
            out += 8;
            pending = x >> (64 - n_pending);
            n_pending += word_bits - 64;
        } else {
            n_pending += word_bits;
        }
    }
    mth_lane_store_part(out, pending, n_pending / 8);
}

/* The inverse: dst gets eight elements whose exponents are zero. */
MTH_ALWAYS_INLINE void unpack_group(const uint8_t *in, uint8_t *dst, unsigned lane_bits,
                                    unsigned mantissa_bits)
{
    unsigned bits = 1 + mantissa_bits, n_words = lane_bits / 8, word_bits = 64 / lane_bits * bits;
    uint64_t word_mask = ((uint64_t)1 << word_bits) - 1;
    uint64_t mantissa_mask = repeat_mask(mantissa_bits, lane_bits);
    uint64_t sign_mask = repeat_mask(1, lane_bits) << mantissa_bits;
    for (unsigned w = 0; w < n_words; w++) {
        /* Word w starts within a byte, at most 7 + 53 bits before its end: a load of 8 bytes has all of it.
         */
        unsigned first_byte = w * word_bits / 8;
        unsigned n_load = bits - first_byte < 8 ? bits - first_byte : 8;
        uint64_t x = mth_lane_load_part(in + first_byte, n_load) >> (w * word_bits % 8) & word_mask;
        x = scatter_lanes(x, lane_bits, bits);
        mth_lane_store64(dst + 8 * w, (x & mantissa_mask) | (x & sign_mask) << (lane_bits - bits));
    }
}

/* The last n < 8 elements: as a group with zeros behind, of which only the bytes that hold something are
 * written. */
MTH_ALWAYS_INLINE void pack_rest(const uint8_t *src, size_t n, uint8_t *out, unsigned lane_bits,
                                 unsigned mantissa_bits)
{
    uint8_t elems[GROUP_ELEMS * 8] = {0}, packed[64];
    memcpy(elems, src, n * (lane_bits / 8));
    pack_group(elems, packed, lane_bits, mantissa_bits);
    memcpy(out, packed, (n * (1 + mantissa_bits) + 7) / 8);
}

/* False when the unused bits of the last byte are not zero: they would be elements behind the last. */
MTH_ALWAYS_INLINE bool unpack_rest(const uint8_t *in, size_t n, uint8_t *dst, unsigned lane_bits,
                                   unsigned mantissa_bits)
{
    uint8_t elems[GROUP_ELEMS * 8], packed[64] = {0}, unused = 0;
    size_t n_used = n * (lane_bits / 8);
    memcpy(packed, in, (n * (1 + mantissa_bits) + 7) / 8);
    unpack_group(packed, elems, lane_bits, mantissa_bits);
    memcpy(dst, elems, n_used);
    for (size_t i = n_used; i < lane_bits; i++)
        unused |= elems[i];
    return unused == 0;
}

/* Exponents alone, and back into elements that have none yet. Loops over lanes, which compilers vectorise. */
#define DEFINE_EXPONENT_LOOPS(lane, container)                                                      \
    MTH_ALWAYS_INLINE void take_exponents##lane(const uint8_t *restrict src, size_t n,              \
                                                uint8_t *restrict exponent, unsigned exponent_bits, \
                                                unsigned mantissa_bits)                             \
    {                                                                                               \
        const uint##lane##_t mask = (uint##lane##_t)(((uint##lane##_t)1 << exponent_bits) - 1);     \
        for (size_t i = 0; i < n; i++) {                                                            \
            uint##lane##_t x = mth_lane_load##lane(src + i * (lane / 8));                           \
            mth_lane_store##container(exponent + i * (container / 8),                               \
                                      (uint##container##_t)(x >> mantissa_bits & mask));            \
        }                                                                                           \
    }                                                                                               \
    MTH_ALWAYS_INLINE void put_exponents##lane(const uint8_t *restrict exponent, size_t n,          \
                                               uint8_t *restrict dst, unsigned exponent_bits,       \
                                               unsigned mantissa_bits)                              \
    {                                                                                               \
        const uint##lane##_t mask = (uint##lane##_t)(((uint##lane##_t)1 << exponent_bits) - 1);     \
        for (size_t i = 0; i < n; i++) {                                                            \
            uint##lane##_t e = mth_lane_load##container(exponent + i * (container / 8)) & mask;     \
            uint##lane##_t x = mth_lane_load##lane(dst + i * (lane / 8));                           \
            mth_lane_store##lane(dst + i * (lane / 8), (uint##lane##_t)(x | e << mantissa_bits));   \
        }                                                                                           \
    }

DEFINE_EXPONENT_LOOPS(8, 8)
DEFINE_EXPONENT_LOOPS(16, 8)
DEFINE_EXPONENT_LOOPS(32, 8)
DEFINE_EXPONENT_LOOPS(64, 16)

/* True when no exponent has a bit above its field. */
MTH_ALWAYS_INLINE bool exponents_fit(const uint8_t *exponent, size_t n, unsigned exponent_bits)
{
    if (exponent_bits == 8)
        return true;
    unsigned seen = 0;
    if (exponent_bits < 8) {
        for (size_t i = 0; i < n; i++)
            seen |= exponent[i];
    } else {
        for (size_t i = 0; i < n; i++)
            seen |= mth_lane_load16(exponent + 2 * i);
    }
    return seen >> exponent_bits == 0;
}

/* A format's kernels. A block of elements is read for its mantissas and, while still in L1, for its
 * exponents. */
#define DEFINE_FORMAT(format, lane, exponent_bits, mantissa_bits)                                            \
    static MTH_KERNEL void split_##format(const uint8_t *restrict src, size_t n, uint8_t *restrict exponent, \
                                          uint8_t *restrict sign_mantissa)                                   \
    {                                                                                                        \
        enum {                                                                                               \
            BLOCK = BLOCK_BYTES / (lane / 8),                                                                \
            EXPONENT = (exponent_bits + 7) / 8,                                                              \
            PACKED = 1 + mantissa_bits                                                                       \
        };                                                                                                   \
        for (size_t at = 0; at < n; at += BLOCK) {                                                           \
            const uint8_t *block = src + at * (lane / 8);                                                    \
            size_t n_block = n - at < BLOCK ? n - at : BLOCK, n_groups = n_block / GROUP_ELEMS;              \
            uint8_t *packed = sign_mantissa + at / GROUP_ELEMS * PACKED;                                     \
            for (size_t g = 0; g < n_groups; g++)                                                            \
                pack_group(block + g * lane, packed + g * PACKED, lane, mantissa_bits);                      \
            if (n_block % GROUP_ELEMS)                                                                       \
                pack_rest(block + n_groups * lane, n_block % GROUP_ELEMS, packed + n_groups * PACKED, lane,  \
                          mantissa_bits);                                                                    \
            take_exponents##lane(block, n_block, exponent + at * EXPONENT, exponent_bits, mantissa_bits);    \
        }                                                                                                    \
    }                                                                                                        \
    static MTH_KERNEL int join_##format(const uint8_t *restrict exponent,                                    \
                                        const uint8_t *restrict sign_mantissa, size_t n,                     \
                                        uint8_t *restrict dst)                                               \
    {                                                                                                        \
        enum {                                                                                               \
            BLOCK = BLOCK_BYTES / (lane / 8),                                                                \
            EXPONENT = (exponent_bits + 7) / 8,                                                              \
            PACKED = 1 + mantissa_bits                                                                       \
        };                                                                                                   \
        bool valid = true;                                                                                   \
        for (size_t at = 0; at < n; at += BLOCK) {                                                           \
            uint8_t *block = dst + at * (lane / 8);                                                          \
            size_t n_block = n - at < BLOCK ? n - at : BLOCK, n_groups = n_block / GROUP_ELEMS;              \
            const uint8_t *packed = sign_mantissa + at / GROUP_ELEMS * PACKED;                               \
            for (size_t g = 0; g < n_groups; g++)                                                            \
                unpack_group(packed + g * PACKED, block + g * lane, lane, mantissa_bits);                    \
            if (n_block % GROUP_ELEMS)                                                                       \
                valid &= unpack_rest(packed + n_groups * PACKED, n_block % GROUP_ELEMS,                      \
                                     block + n_groups * lane, lane, mantissa_bits);                          \
            valid &= exponents_fit(exponent + at * EXPONENT, n_block, exponent_bits);                        \
            put_exponents##lane(exponent + at * EXPONENT, n_block, block, exponent_bits, mantissa_bits);     \
        }                                                                                                    \
        return valid ? MTH_OK : MTH_ERR_CORRUPT;                                                             \
    }

DEFINE_FORMAT(e4m3, 8, 4, 3)
DEFINE_FORMAT(e5m2, 8, 5, 2)
DEFINE_FORMAT(f16, 16, 5, 10)
DEFINE_FORMAT(f32, 32, 8, 23)
DEFINE_FORMAT(f64, 64, 11, 52)

/*
 * bf16 alone needs no packing: both fields fill a byte, and one loop over lanes does both.
 *
 * Example   80 3f (1.0), 40 c0 (-3.0) -> exponent 7f 80, sign with mantissa 00 c0
 */
static MTH_KERNEL void split_bf16(const uint8_t *restrict src, size_t n, uint8_t *restrict exponent,
                                  uint8_t *restrict sign_mantissa)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t x = mth_lane_load16(src + 2 * i);
        exponent[i] = (uint8_t)(x >> 7);
        sign_mantissa[i] = (uint8_t)((x >> 8 & 0x80) | (x & 0x7f));
    }
}

static MTH_KERNEL int join_bf16(const uint8_t *restrict exponent, const uint8_t *restrict sign_mantissa,
                                size_t n, uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++) {
        unsigned e = exponent[i], s = sign_mantissa[i];
        mth_lane_store16(dst + 2 * i, (uint16_t)((s & 0x80) << 8 | e << 7 | (s & 0x7f)));
    }
    return MTH_OK;
}
