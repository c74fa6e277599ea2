/* Unsigned LEB128 numbers: seven bits a byte, low bits first, at most ten bytes. */
#ifndef MTH_BASE_VARINT_H
#define MTH_BASE_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MTH_VARINT_MAX_BYTES = 10 };

/* A cursor over bytes that may be hostile. */
struct mth_reader {
    const uint8_t *at;
    const uint8_t *end;
};

/* Writes value at out, which has room for MTH_VARINT_MAX_BYTES; returns the bytes used. */
static inline size_t mth_varint_put(uint8_t *out, uint64_t value)
{
    size_t n = 0;
    while (value >= 0x80) {
        out[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[n++] = (uint8_t)value;
    return n;
}

/* False when the bytes end too early, or hold more than 64 bits, or are longer than they need be. */
static inline bool mth_varint_get(struct mth_reader *reader, uint64_t *value)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        if (shift == 63 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *value = v;
            return byte != 0 || shift == 0;
        }
    }
    return false;
}

/* Signed numbers near zero as small unsigned ones: 0, -1, 1, -2, ... */
static inline uint64_t mth_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t mth_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

#endif
