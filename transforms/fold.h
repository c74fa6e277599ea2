/* Differences modulo 2^bits, folded so that a small step either way is a small number: 0, -1, 1, -2 .. to 0, 1, 2, 3 .. */
#ifndef MTH_TRANSFORMS_FOLD_H
#define MTH_TRANSFORMS_FOLD_H

#include "base/lane.h"

/* The top bit of x spread over all bits is 0 - (x >> (bits - 1)): no signed shift, which C leaves to the compiler. */
#define MTH_DEFINE_FOLD(bits)                                                \
    MTH_ALWAYS_INLINE uint##bits##_t mth_spread_sign##bits(uint##bits##_t x) \
    {                                                                        \
        return (uint##bits##_t)(0 - (x >> (bits - 1)));                      \
    }                                                                        \
    MTH_ALWAYS_INLINE uint##bits##_t mth_fold##bits(uint##bits##_t d)        \
    {                                                                        \
        return (uint##bits##_t)(d << 1) ^ mth_spread_sign##bits(d);          \
    }                                                                        \
    MTH_ALWAYS_INLINE uint##bits##_t mth_unfold##bits(uint##bits##_t z)      \
    {                                                                        \
        return (uint##bits##_t)(z >> 1) ^ (uint##bits##_t)(0 - (z & 1));     \
    }

MTH_DEFINE_FOLD(8)
MTH_DEFINE_FOLD(16)
MTH_DEFINE_FOLD(32)
MTH_DEFINE_FOLD(64)
#undef MTH_DEFINE_FOLD

#endif
