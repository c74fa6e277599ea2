/* The laws that every transform keeps, whatever it does; run on each one of the registry. */
#ifndef MTH_TESTS_TRANSFORM_CONFORMANCE_H
#define MTH_TESTS_TRANSFORM_CONFORMANCE_H

#include "transforms/transform.h"

/*
 * Check a transform, over all dtypes, symbols that are no dtype, and every value of its options (the extremes of wide ones):
 *
 * - the plan depends on its arguments alone, is possible for any length, and its streams hold their symbols;
 * - forward fills exactly what was planned, touches neither source nor references, and gives the same bytes each time;
 * - inverse restores every byte: for lengths 0 .. 130 and around powers of two, for every alignment of every buffer,
 *   for all patterns of 8 and 16 bits, for the odd values of f32 and f64, and for random bits;
 * - no buffer is read or written past its end, or written before its start;
 * - inverse answers garbage, and streams of variable length that are too short or too long, with MTH_ERR_CORRUPT, or with
 *   elements that forward turns into that same garbage (into something that comes back, where it has a choice);
 * - threads do not disturb each other.
 *
 * Fails the running cmocka test, and says which case it was.
 */
void conformance_check_transform(const struct mth_transform *transform);

#endif
