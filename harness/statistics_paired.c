/* Statistics of paired differences; see statistics_paired.h. */
#include "harness/statistics_paired.h"

#include "base/status.h"
#include "harness/statistics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { N_RESAMPLES = 1000, MAX_EXACT = 50 };

/* ---- the estimate ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/*
 * Row i of the means of sorted values holds (x[i] + x[j]) / 2 for j = i .. n-1, rising in j, and of two rows the lower one is
 * larger in every column. So how many sums are below a pivot is counted along a staircase, in n steps.
 *
 * below[i]: the first j of row i whose sum is not below the pivot.
 */
static size_t count_below(const double *sorted, size_t n, double pivot, size_t *below)
{
    size_t count = 0, j = n;
    for (size_t i = 0; i < n; i++) {
        while (j > i && sorted[i] + sorted[j - 1] >= pivot)
            j--;
        below[i] = j > i ? j : i;
        count += below[i] - i;
        /* Rows further down may have all their columns above: j stays where it is. */
    }
    return count;
}

/*
 * The k-th smallest sum (k from 0) of sorted values, each with each and itself: candidates between two staircases, of which a
 * random one cuts off a part of about half.
 * Source    Monahan, Algorithm 616: fast computation of the Hodges-Lehmann location estimator, 1984
 * Shape     rows: 3 n
 */
static double select_sum(const double *sorted, size_t n, size_t k, size_t *rows)
{
    size_t *first = rows, *end = rows + n, *cut = rows + 2 * n;
    uint64_t random = n;
    for (size_t i = 0; i < n; i++) {
        first[i] = i;
        end[i] = n;
    }
    for (;;) {
        size_t n_left = 0;
        for (size_t i = 0; i < n; i++)
            n_left += end[i] - first[i];
        size_t pick = mth_random_below(&random, n_left), row = 0;
        for (; pick >= end[row] - first[row]; row++)
            pick -= end[row] - first[row];
        double pivot = sorted[row] + sorted[first[row] + pick];
        size_t n_below = count_below(sorted, n, pivot, cut);
        if (k < n_below) { /* it is below the pivot */
            memcpy(end, cut, n * sizeof *end);
            continue;
        }
        size_t n_up_to = count_below(sorted, n, nextafter(pivot, INFINITY), cut);
        if (k < n_up_to)
            return pivot;
        memcpy(first, cut, n * sizeof *first);
    }
}

/* The largest sum below a sum that is there. */
static double sum_before(const double *sorted, size_t n, double sum, size_t *below)
{
    double largest = -INFINITY;
    (void)count_below(sorted, n, sum, below);
    for (size_t i = 0; i < n; i++) {
        if (below[i] > i)
            largest = fmax(largest, sorted[i] + sorted[below[i] - 1]);
    }
    return largest;
}

/* Of sorted values. */
static double centre_of_sorted(const double *sorted, size_t n, size_t *rows)
{
    size_t n_pairs = n * (n + 1) / 2;
    double upper = select_sum(sorted, n, n_pairs / 2, rows), lower = upper;
    if (n_pairs % 2 == 0 && count_below(sorted, n, upper, rows) == n_pairs / 2)
        lower = sum_before(sorted, n, upper, rows);
    return (lower + upper) / 4;
}

int mth_hodges_lehmann(const double *values, size_t n, double *centre)
{
    *centre = 0;
    if (n == 0)
        return MTH_OK;
    double *sorted = malloc(n * sizeof *sorted);
    size_t *rows = malloc(3 * n * sizeof *rows);
    int status = sorted && rows ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status) {
        memcpy(sorted, values, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, compare);
        *centre = centre_of_sorted(sorted, n, rows);
    }
    free(sorted);
    free(rows);
    return status;
}

/* ---- the test ---- */

struct ranked {
    double size;
    bool positive;
};

static int by_size(const void *a, const void *b)
{
    double x = ((const struct ranked *)a)->size, y = ((const struct ranked *)b)->size;
    return (x > y) - (x < y);
}

/* P(W <= w) of the sum of the ranks 1 .. n, each in it or not with even odds. */
static double exact_tail(size_t n, size_t w)
{
    /* ways[s]: in how many of the 2^n ways the sum is s; exact in a double for n up to 50 */
    double ways[MAX_EXACT * (MAX_EXACT + 1) / 2 + 1] = {1};
    size_t largest = 0;
    for (size_t rank = 1; rank <= n; rank++) {
        largest += rank;
        for (size_t s = largest; s >= rank; s--)
            ways[s] += ways[s - rank];
    }
    double sum = 0;
    for (size_t s = 0; s <= w && s <= largest; s++)
        sum += ways[s];
    return ldexp(sum, -(int)n);
}

static double normal_p(double n, double w, double tie_correction)
{
    double mean = n * (n + 1) / 4;
    double variance = n * (n + 1) * (2 * n + 1) / 24 - tie_correction / 48;
    double distance = fabs(w - mean) - 0.5;
    if (variance <= 0 || distance <= 0)
        return 1;
    return erfc(distance / sqrt(2 * variance));
}

int mth_wilcoxon_signed_rank(const double *values, size_t n, double *p)
{
    struct ranked *ranked = malloc((n + 1) * sizeof *ranked);
    size_t m = 0;
    double sum = 0, tie_correction = 0;
    *p = 1;
    if (!ranked)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        if (values[i] != 0)
            ranked[m++] = (struct ranked){fabs(values[i]), values[i] > 0};
    }
    qsort(ranked, m, sizeof *ranked, by_size);
    for (size_t i = 0; i < m;) {
        size_t end = i + 1;
        while (end < m && ranked[end].size == ranked[i].size)
            end++;
        double rank = (double)(i + 1 + end) / 2, tied = (double)(end - i);
        tie_correction += tied * tied * tied - tied;
        for (; i < end; i++)
            sum += ranked[i].positive ? rank : 0;
    }
    free(ranked);
    if (m == 0)
        return MTH_OK;
    double total = (double)m * (double)(m + 1) / 2;
    if (m <= MAX_EXACT && tie_correction == 0)
        *p = fmin(1, 2 * exact_tail(m, (size_t)fmin(sum, total - sum)));
    else
        *p = normal_p((double)m, sum, tie_correction);
    return MTH_OK;
}

void mth_holm(double *p, size_t n)
{
    double largest = 0;
    /* The smallest of those left, n times; done ones are marked by a value below 0. */
    for (size_t left = n; left > 0; left--) {
        size_t at = n;
        for (size_t i = 0; i < n; i++) {
            if (p[i] >= 0 && (at == n || p[i] < p[at]))
                at = i;
        }
        largest = fmax(largest, fmin(1, p[at] * (double)left));
        p[at] = -1 - largest;
    }
    for (size_t i = 0; i < n; i++)
        p[i] = -1 - p[i];
}

/* ---- the interval ---- */

/* The rank of each value among all, equal ones in any order; sorted: the values in order. */
static void rank(const double *values, size_t n, double *sorted, size_t *ranks)
{
    for (size_t i = 0; i < n; i++) {
        ranks[i] = 0;
        for (size_t j = 0; j < n; j++)
            ranks[i] += values[j] < values[i] || (values[j] == values[i] && j < i);
        sorted[ranks[i]] = values[i];
    }
}

/* A resample, in order: what was drawn is counted by its rank. */
static void resample(const double *sorted, const size_t *ranks, size_t n, size_t length, uint64_t *random,
                     size_t *times, double *drawn)
{
    memset(times, 0, n * sizeof *times);
    for (size_t i = 0; i < n;) {
        size_t from = mth_random_below(random, n);
        for (size_t j = 0; j < length && i < n; j++, i++)
            times[ranks[(from + j) % n]]++;
    }
    size_t n_drawn = 0;
    for (size_t r = 0; r < n; r++) {
        for (size_t t = 0; t < times[r]; t++)
            drawn[n_drawn++] = sorted[r];
    }
}

int mth_block_bootstrap(const double *values, size_t n, uint64_t seed, double *lo, double *hi)
{
    *lo = 0;
    *hi = 0;
    if (n == 0)
        return MTH_OK;
    double *sorted = malloc((2 * n + N_RESAMPLES) * sizeof *sorted);
    size_t *ranks = malloc(5 * n * sizeof *ranks);
    if (!sorted || !ranks) {
        free(sorted);
        free(ranks);
        return MTH_ERR_NO_MEMORY;
    }
    double *drawn = sorted + n, *estimates = drawn + n;
    size_t *times = ranks + n, *rows = times + n;
    size_t length = (size_t)(cbrt((double)n) + 0.5);
    rank(values, n, sorted, ranks);
    for (size_t r = 0; r < N_RESAMPLES; r++) {
        resample(sorted, ranks, n, length, &seed, times, drawn);
        estimates[r] = centre_of_sorted(drawn, n, rows);
    }
    qsort(estimates, N_RESAMPLES, sizeof *estimates, compare);
    *lo = estimates[N_RESAMPLES * 25 / 1000];
    *hi = estimates[N_RESAMPLES * 975 / 1000 - 1];
    free(sorted);
    free(ranks);
    return MTH_OK;
}
