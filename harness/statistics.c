/* Robust statistics; see statistics.h. */
#include "harness/statistics.h"

#include "base/status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_RESAMPLES = 1000 };

uint64_t mth_random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

size_t mth_random_below(uint64_t *state, size_t n)
{
    /* Numbers from the last, partial block of size n would favour its first members. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t r;
    do {
        r = mth_random_next(state);
    } while (r >= limit);
    return (size_t)(r % n);
}

void mth_random_shuffle(uint64_t *state, size_t *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        items[i] = i;
    for (size_t i = n; i > 1; i--) {
        size_t j = mth_random_below(state, i);
        size_t swap = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swap;
    }
}

bool mth_is_outlier(double sample, const struct mth_summary *summary)
{
    return summary->mad > 0 && 0.6745 * fabs(sample - summary->median) > 3.5 * summary->mad;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double mth_median(double *samples, size_t n)
{
    if (n == 0)
        return 0;
    qsort(samples, n, sizeof *samples, compare);
    return n % 2 ? samples[n / 2] : (samples[n / 2 - 1] + samples[n / 2]) / 2;
}

double mth_percentile(const double *sorted, size_t n, size_t percent)
{
    return n ? sorted[(percent * n + 99) / 100 - 1] : 0;
}

static void bootstrap(const double *samples, size_t n, uint64_t seed, double *scratch, double *medians,
                      struct mth_summary *summary)
{
    for (size_t r = 0; r < N_RESAMPLES; r++) {
        for (size_t i = 0; i < n; i++)
            scratch[i] = samples[mth_random_below(&seed, n)];
        medians[r] = mth_median(scratch, n);
    }
    qsort(medians, N_RESAMPLES, sizeof *medians, compare);
    summary->ci_lo = medians[N_RESAMPLES * 25 / 1000];
    summary->ci_hi = medians[N_RESAMPLES * 975 / 1000 - 1];
}

int mth_summarise(const double *samples, size_t n, uint64_t seed, struct mth_summary *summary)
{
    *summary = (struct mth_summary){0};
    if (n == 0)
        return MTH_OK;
    double *scratch = malloc((n + N_RESAMPLES) * sizeof *scratch);
    if (!scratch)
        return MTH_ERR_NO_MEMORY;
    memcpy(scratch, samples, n * sizeof *samples);
    summary->median = mth_median(scratch, n);
    summary->ci_lo = scratch[0]; /* sorted by now */
    summary->ci_hi = scratch[n - 1];
    summary->p95 = mth_percentile(scratch, n, 95);
    for (size_t i = 0; i < n; i++)
        scratch[i] = fabs(samples[i] - summary->median);
    summary->mad = mth_median(scratch, n);
    if (n >= 3)
        bootstrap(samples, n, seed, scratch, scratch + n, summary);
    free(scratch);
    return MTH_OK;
}
