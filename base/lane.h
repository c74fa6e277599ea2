/*
 * Little-endian loads and stores of lanes at any address, in the shape that compilers vectorise.
 *
 * The byte-wise loads of base/checked.h are for fields of files; a loop over elements wants these.
 */
#ifndef MTH_BASE_LANE_H
#define MTH_BASE_LANE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* For kernels whose parameters must become constants: the size of the function must not talk the compiler out
 * of it. */
#define MTH_ALWAYS_INLINE static inline __attribute__((always_inline))

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define MTH_LE16(x) __builtin_bswap16(x)
#define MTH_LE32(x) __builtin_bswap32(x)
#define MTH_LE64(x) __builtin_bswap64(x)
#else
#define MTH_LE16(x) (x)
#define MTH_LE32(x) (x)
#define MTH_LE64(x) (x)
#endif
#define MTH_LE8(x) (x)

#define MTH_DEFINE_LANE(bits)                                                 \
    MTH_ALWAYS_INLINE uint##bits##_t mth_lane_load##bits(const uint8_t *p)    \
    {                                                                         \
        uint##bits##_t x;                                                     \
        memcpy(&x, p, sizeof x);                                              \
        return MTH_LE##bits(x);                                               \
    }                                                                         \
    MTH_ALWAYS_INLINE void mth_lane_store##bits(uint8_t *p, uint##bits##_t x) \
    {                                                                         \
        x = MTH_LE##bits(x);                                                  \
        memcpy(p, &x, sizeof x);                                              \
    }

MTH_DEFINE_LANE(8)
MTH_DEFINE_LANE(16)
MTH_DEFINE_LANE(32)
MTH_DEFINE_LANE(64)
#undef MTH_DEFINE_LANE

/*
 * The low n_bytes of a word, 0 .. 8: the rest of a loaded word is zero, of a stored word ignored. In whole loads and
 * stores of 4, 2 and 1 bytes, since copying a part of a word by memcpy goes through memory and waits for it.
 */
MTH_ALWAYS_INLINE uint64_t mth_lane_load_part(const uint8_t *p, size_t n_bytes)
{
    if (n_bytes == 8)
        return mth_lane_load64(p);
    uint64_t x = 0;
    unsigned at = 0;
    if (n_bytes & 4) {
        x = mth_lane_load32(p);
        at = 4;
    }
    if (n_bytes & 2) {
        x |= (uint64_t)mth_lane_load16(p + at) << (8 * at);
        at += 2;
    }
    if (n_bytes & 1)
        x |= (uint64_t)p[at] << (8 * at);
    return x;
}

MTH_ALWAYS_INLINE void mth_lane_store_part(uint8_t *p, uint64_t x, size_t n_bytes)
{
    if (n_bytes == 8) {
        mth_lane_store64(p, x);
        return;
    }
    unsigned at = 0;
    if (n_bytes & 4) {
        mth_lane_store32(p, (uint32_t)x);
        at = 4;
    }
    if (n_bytes & 2) {
        mth_lane_store16(p + at, (uint16_t)(x >> (8 * at)));
        at += 2;
    }
    if (n_bytes & 1)
        p[at] = (uint8_t)(x >> (8 * at));
}

#endif
