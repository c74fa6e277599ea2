/* Counting bytes, for the codecs that code them by how often they occur. */
#ifndef MTH_CODECS_BYTE_HISTOGRAM_H
#define MTH_CODECS_BYTE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { MTH_BYTE_VALUES = 256, MTH_BYTE_QUARTERS = 4 };

/* The first byte of quarter q of n bytes: quarters are ceil(n / 4) long but for the last, which may be shorter. */
static inline size_t mth_byte_quarter(size_t n, size_t q)
{
    size_t at = q * (n / MTH_BYTE_QUARTERS + (n % MTH_BYTE_QUARTERS != 0));
    return at < n ? at : n;
}

/*
 * Count the bytes of each quarter.
 *
 * Shape     counts[q][v]: how often v occurs in bytes [mth_byte_quarter(n, q), mth_byte_quarter(n, q + 1))
 * Requires  n below 2^32
 * Errors    none
 * Cost      one read of src; about a cycle a byte. The quarters are walked side by side, so that a run of equal bytes
 *           does not wait for its own counter
 * Example   n = 5: 07 07 07 09 07 -> 07: 2, 1, 1, 0; 09: 0, 1, 0, 0
 */
void mth_byte_histogram_quarters(const uint8_t *src, size_t n,
                                 uint32_t counts[MTH_BYTE_QUARTERS][MTH_BYTE_VALUES]);

/* The same for all of src. */
void mth_byte_histogram(const uint8_t *src, size_t n, uint32_t counts[MTH_BYTE_VALUES]);

#endif
