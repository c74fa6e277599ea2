/* Bits that are stored as they are: the lowest of a byte first. */
#ifndef MTH_CODECS_ULP_BITS_H
#define MTH_CODECS_ULP_BITS_H

#include "base/lane.h"

#include <stdbool.h>

struct mth_ulp_bit_writer {
    uint8_t *at, *end;
    uint64_t held; /* fewer than 8 bits between calls */
    unsigned n_held;
};

/* value < 2^n, n <= 56. False: no room. */
static inline bool mth_ulp_put_some(struct mth_ulp_bit_writer *writer, uint64_t value, unsigned n)
{
    if (writer->end - writer->at < 8)
        return false;
    writer->held |= value << writer->n_held;
    writer->n_held += n;
    mth_lane_store64(writer->at, writer->held);
    writer->at += writer->n_held / 8;
    writer->held >>= writer->n_held & ~7u;
    writer->n_held &= 7;
    return true;
}

/* value < 2^n, n <= 64. */
static inline bool mth_ulp_put_bits(struct mth_ulp_bit_writer *writer, uint64_t value, unsigned n)
{
    enum { HALF = 32 };
    if (n <= HALF)
        return mth_ulp_put_some(writer, value, n);
    return mth_ulp_put_some(writer, value & UINT32_MAX, HALF) &&
           mth_ulp_put_some(writer, value >> HALF, n - HALF);
}

/* The last byte, filled up with zeros. */
static inline bool mth_ulp_end_bits(struct mth_ulp_bit_writer *writer)
{
    if (writer->n_held == 0)
        return true;
    if (writer->at == writer->end)
        return false;
    *writer->at++ = (uint8_t)writer->held;
    return true;
}

struct mth_ulp_bit_reader {
    const uint8_t *at, *end;
    unsigned n_used; /* of the bits of the byte at */
};

/* n <= 57 with 8 bytes left, else bit by bit. False: there are not so many. */
static inline bool mth_ulp_get_bits(struct mth_ulp_bit_reader *reader, unsigned n, uint64_t *value)
{
    enum { AT_ONCE = 57 };
    if (n <= AT_ONCE && reader->end - reader->at >= 8) {
        *value = mth_lane_load64(reader->at) >> reader->n_used & (((uint64_t)1 << n) - 1);
        reader->at += (reader->n_used + n) / 8;
        reader->n_used = (reader->n_used + n) % 8;
        return true;
    }
    *value = 0;
    for (unsigned i = 0; i < n; i++) {
        if (reader->at == reader->end)
            return false;
        *value |= (uint64_t)(*reader->at >> reader->n_used & 1) << i;
        reader->at += reader->n_used == 7;
        reader->n_used = (reader->n_used + 1) % 8;
    }
    return true;
}

/* Nothing is left but zeros that fill up the last byte. */
static inline bool mth_ulp_bits_ended(const struct mth_ulp_bit_reader *reader)
{
    if (reader->n_used == 0)
        return reader->at == reader->end;
    return reader->end - reader->at == 1 && *reader->at >> reader->n_used == 0;
}

#endif
