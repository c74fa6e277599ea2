/* Frequencies from counts, and their price, in integers. */
#ifndef MTH_CODECS_RANS_QUANTISE_H
#define MTH_CODECS_RANS_QUANTISE_H

#include <stddef.h>
#include <stdint.h>

enum { MTH_RANS_LOG2_BITS = 24, MTH_RANS_MAX_QUANTISED = 257 };

/*
 * log2(x) in units of 2^-24, 1 <= x <= 65536: from a table up to 256, exact to half a unit; above that linear between
 * the 256 points of an octave, below the truth by at most 2^-17.
 */
uint32_t mth_rans_log2(uint32_t x);

/*
 * The frequencies that code counts in the fewest bits: minimise sum of counts[i] * -log2(freq[i] / total).
 *
 * Shape     counts, freq: n
 * Requires  1 <= n <= total, n <= MTH_RANS_MAX_QUANTISED, total <= 65536; the sum of counts is below 2^31
 * Exact     a minimum of the price as mth_rans_log2 has it. freq[i] >= 1 for every i, even where counts[i] is 0; the sum is
 *           total; of equal prices the first symbols get more. Integers only
 * Cost      n steps for each slot that rounding gave wrongly, which is a fraction of n
 * Source    the objective is separable and convex, so that moves of single slots find its minimum (W. Fox, "Discrete
 *           optimization via marginal analysis", Management Science 13(3), 1966)
 */
void mth_rans_quantise(const uint32_t *counts, size_t n, uint32_t total, uint32_t *freq);

/*
 * The same from frequencies that are near: of equal prices those stay that are there.
 *
 * Requires  freq[i] >= 1; their sum is the total
 */
void mth_rans_quantise_from(const uint32_t *counts, size_t n, uint32_t *freq);

#endif
