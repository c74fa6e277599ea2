/* Test data for what works on elements: every pattern of narrow lanes, and the odd values of wide floats. */
#ifndef MTH_TESTS_FLOAT_PATTERNS_H
#define MTH_TESTS_FLOAT_PATTERNS_H

#include "base/dtype.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Fill two buffers of n bytes so that 16-bit lanes of each run through all 65536 values, in different orders, and
 * bytes through all 256; n of 2^17 holds them all.
 */
void fill_lane_pairs(uint8_t *a, uint8_t *b, size_t n);

/*
 * Fill two buffers of n bytes with every pair of the edge values of a float type (zeros, denormals, one, the largest,
 * infinities, quiet and signalling NaNs with payloads, of either sign), and random bits behind. The pairs of a type
 * of 64 bits take 7200 bytes.
 */
void fill_float_edges(enum mth_dtype dtype, uint8_t *a, uint8_t *b, size_t n);

#endif
