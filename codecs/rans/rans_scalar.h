/*
 * Single lanes with states of 16 bits over 256 slots, without branches: whether a byte goes out or comes in is as good as random, so it is
 * written, or read, anyway.
 */
#ifndef MTH_CODECS_RANS_SCALAR_H
#define MTH_CODECS_RANS_SCALAR_H

#include "base/lane.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MTH_RANS_SCALAR_STATE_LOW = 256, MTH_RANS_SCALAR_SLOTS = 256 };

/*
 * What coding a symbol needs: floor(x / freq) is x * reciprocal >> 24, exact for x < 256 freq with reciprocal =
 * ceil(2^24 / freq): the error is below x / 2^24 < 256 freq / 2^24 <= 1 / freq as long as freq <= 256.
 */
struct mth_rans_divisor {
    uint32_t reciprocal;
    uint32_t limit;      /* states from here on lose a byte first */
    uint32_t complement; /* of the frequency to all slots */
    uint32_t start;
};

/* freq: 1 .. 256 slots from start on. A symbol of all slots leaves a state as it is. */
static inline struct mth_rans_divisor mth_rans_divisor_of(uint32_t freq, uint32_t start)
{
    return (struct mth_rans_divisor){((1u << 24) + freq - 1) / freq, freq << 8, MTH_RANS_SCALAR_SLOTS - freq,
                                     start};
}

/* Codes a symbol into state x; at[-1] is writable. Returns the next place. */
MTH_ALWAYS_INLINE uint8_t *mth_rans_push(const struct mth_rans_divisor *restrict divisor, uint32_t x,
                                         uint8_t *restrict at, uint32_t *next)
{
    bool above = x >= divisor->limit;
    at[-1] = (uint8_t)x;
    x = above ? x >> 8 : x;
    uint32_t quotient = (uint32_t)((uint64_t)x * divisor->reciprocal >> 24);
    *next = x + quotient * divisor->complement + divisor->start;
    return at - above;
}

/* Takes a symbol of freq slots out of state x, whose slot has this rank among them; *in is readable. Returns the next place. */
MTH_ALWAYS_INLINE const uint8_t *mth_rans_pull(uint32_t freq, uint32_t rank, uint32_t x,
                                               const uint8_t *restrict in, uint32_t *next)
{
    uint32_t y = freq * (x >> 8) + rank;
    uint32_t renormalised = y << 8 | *in;
    uint32_t below = (y - MTH_RANS_SCALAR_STATE_LOW) >> 31;
    *next = y ^ ((y ^ renormalised) & (0 - below));
    return in + below;
}

#endif
