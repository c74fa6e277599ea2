/* Robust statistics of a few samples. */
#ifndef MTH_HARNESS_STATISTICS_H
#define MTH_HARNESS_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* splitmix64: good enough to shuffle and to resample, and the same everywhere. */
uint64_t mth_random_next(uint64_t *state);
/* A number below n, without bias; n is at least 1. */
size_t mth_random_below(uint64_t *state, size_t n);
/* Fisher-Yates over the numbers 0 .. n-1. */
void mth_random_shuffle(uint64_t *state, size_t *items, size_t n);

struct mth_summary {
    double median;
    double mad;   /* median absolute deviation from the median, not scaled */
    double p95;   /* the smallest sample that 95 % of all do not exceed */
    double ci_lo; /* 95 % interval of the median by percentile bootstrap */
    double ci_hi;
};

/*
 * Summarise samples. n = 0 gives zeros; with n < 3 the interval is the range of the samples.
 * Source    Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13; 1000 resamples, seeded
 * Errors    MTH_ERR_NO_MEMORY
 */
int mth_summarise(const double *samples, size_t n, uint64_t seed, struct mth_summary *summary);

/*
 * Is a sample far from the others? More than 3.5 scaled deviations from the median. It is told, and stays in.
 * Source    Iglewicz and Hoaglin, How to detect and handle outliers, 1993
 */
bool mth_is_outlier(double sample, const struct mth_summary *summary);

/* The smallest of n samples, in rising order, that so many percent (1 to 100) of all do not exceed. 0 for n = 0. */
double mth_percentile(const double *sorted, size_t n, size_t percent);

/* The median; samples is sorted. 0 for n = 0. */
double mth_median(double *samples, size_t n);

#endif
