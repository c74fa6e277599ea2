/* CRC-32 as zip files have it, a bit at a time: slow, and apart from any library. */
#ifndef MTH_TESTS_CRC32_H
#define MTH_TESTS_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of what came before (0 at the beginning) and n_bytes more. */
static inline uint32_t crc32_more(uint32_t crc, const uint8_t *data, size_t n_bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < n_bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

#endif
