/* Statistics of paired differences, for telling a small change from noise. */
#ifndef MTH_HARNESS_STATISTICS_PAIRED_H
#define MTH_HARNESS_STATISTICS_PAIRED_H

#include <stddef.h>
#include <stdint.h>

/*
 * The Hodges-Lehmann estimate of the centre of n values: the median of the means of all pairs, each value paired with itself
 * too. Not moved by a third of wild values, and nearly as sharp as the mean where there are none.
 *
 * Shape     n = 0 gives 0
 * Source    Hodges and Lehmann, Estimates of location based on rank tests, 1963
 * Errors    MTH_ERR_NO_MEMORY
 * Example   1, 2, 6 -> means 1, 1.5, 3.5, 2, 4, 6 -> 2.75
 */
int mth_hodges_lehmann(const double *values, size_t n, double *centre);

/*
 * The two-sided p of Wilcoxon's signed-rank test that values lie around 0. Zeros are left out. Exact up to 50 values
 * without ties; beyond by the normal approximation, corrected for ties and continuity.
 *
 * Source    Wilcoxon, Individual comparisons by ranking methods, 1945; Hollander and Wolfe, section 3.1
 * Errors    MTH_ERR_NO_MEMORY
 */
int mth_wilcoxon_signed_rank(const double *values, size_t n, double *p);

/* Holm's correction: p of n hypotheses into what is to be compared with the level of all together. In place. */
void mth_holm(double *p, size_t n);

/*
 * The 95 % interval of the Hodges-Lehmann estimate by a bootstrap of blocks: runs of neighbouring values, about the cube root
 * of n long, are drawn from the circle of all, so that what neighbours share stays together.
 *
 * Source    Politis and Romano, A circular block-resampling procedure for stationary data, 1992; percentile interval,
 *           1000 resamples, seeded
 * Errors    MTH_ERR_NO_MEMORY
 */
int mth_block_bootstrap(const double *values, size_t n, uint64_t seed, double *lo, double *hi);

#endif
