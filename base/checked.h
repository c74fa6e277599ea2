/*
 * Overflow-checked arithmetic on sizes, and the little-endian loads and stores of file fields.
 *
 * The mth_size_* and mth_u64_* functions return false and leave *out alone when the result does not fit.
 */
#ifndef MTH_BASE_CHECKED_H
#define MTH_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool mth_size_add(size_t a, size_t b, size_t *out)
{
    if (b > SIZE_MAX - a)
        return false;
    *out = a + b;
    return true;
}

static inline bool mth_size_mul(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

static inline bool mth_u64_add(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b > UINT64_MAX - a)
        return false;
    *out = a + b;
    return true;
}

static inline bool mth_u64_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b != 0 && a > UINT64_MAX / b)
        return false;
    *out = a * b;
    return true;
}

/* True and the value as a size when it fits one. */
static inline bool mth_u64_to_size(uint64_t value, size_t *out)
{
    if (value > SIZE_MAX)
        return false;
    *out = (size_t)value;
    return true;
}

static inline uint64_t mth_u64_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline size_t mth_size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t mth_size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline uint16_t mth_load16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t mth_load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t mth_load64(const uint8_t *p)
{
    return (uint64_t)mth_load32(p) | (uint64_t)mth_load32(p + 4) << 32;
}

static inline void mth_store16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void mth_store32(uint8_t *p, uint32_t v)
{
    mth_store16(p, (uint16_t)v);
    mth_store16(p + 2, (uint16_t)(v >> 16));
}

static inline void mth_store64(uint8_t *p, uint64_t v)
{
    mth_store32(p, (uint32_t)v);
    mth_store32(p + 4, (uint32_t)(v >> 32));
}

#endif
