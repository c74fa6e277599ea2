/* Whether a program became slower; see compare_judge.h. */
#include "harness/compare_judge.h"

#include "base/status.h"
#include "harness/statistics_paired.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* A difference of logarithms as percent of time. */
static double percent(double log_ratio)
{
    return 100 * expm1(log_ratio);
}

/* differences: room for n_blocks values. */
static int measure_shift(const struct mth_speed_series *series, uint64_t seed, double *differences,
                         struct mth_speed_shift *shift)
{
    const double *const *ns = series->ns;
    size_t n = series->n_blocks;
    double change, lo, hi, again;
    for (size_t i = 0; i < n; i++)
        differences[i] = log(ns[MTH_ARM_AGAIN][i] / ns[MTH_ARM_OLD][i]);
    int status = mth_hodges_lehmann(differences, n, &again);
    if (!status)
        status = mth_wilcoxon_signed_rank(differences, n, &shift->again_p);
    /* The old program ran twice as often: its mean is the better reference. */
    for (size_t i = 0; i < n; i++)
        differences[i] = log(ns[MTH_ARM_NEW][i]) - (log(ns[MTH_ARM_OLD][i]) + log(ns[MTH_ARM_AGAIN][i])) / 2;
    if (!status)
        status = mth_hodges_lehmann(differences, n, &change);
    if (!status)
        status = mth_block_bootstrap(differences, n, seed, &lo, &hi);
    if (!status)
        status = mth_wilcoxon_signed_rank(differences, n, &shift->p);
    if (status)
        return status;
    shift->n_blocks = n;
    shift->pct = percent(change);
    shift->lo_pct = percent(lo);
    shift->hi_pct = percent(hi);
    shift->again_pct = percent(again);
    return MTH_OK;
}

static enum mth_speed_verdict verdict_of(const struct mth_speed_shift *shift, double margin_pct)
{
    bool again_differs = shift->again_p < 0.05 && fabs(shift->again_pct) > margin_pct;
    if (shift->n_blocks < MTH_MIN_BLOCKS || again_differs)
        return MTH_SPEED_INCONCLUSIVE;
    if (shift->p_holm < MTH_SPEED_ALPHA && shift->pct > margin_pct)
        return MTH_SPEED_REGRESSED;
    return shift->hi_pct < margin_pct ? MTH_SPEED_OK : MTH_SPEED_INCONCLUSIVE;
}

int mth_speed_judge(const struct mth_speed_series *series, size_t n_series, uint64_t seed,
                    struct mth_speed_shift *shifts, enum mth_speed_verdict *verdicts)
{
    size_t most_blocks = 0;
    for (size_t i = 0; i < n_series; i++)
        most_blocks = series[i].n_blocks > most_blocks ? series[i].n_blocks : most_blocks;
    double *memory = malloc((n_series + most_blocks + 1) * sizeof *memory);
    if (!memory)
        return MTH_ERR_NO_MEMORY;
    double *p = memory, *differences = p + n_series;
    int status = MTH_OK;
    for (size_t i = 0; !status && i < n_series; i++) {
        shifts[i] = (struct mth_speed_shift){0};
        status = measure_shift(&series[i], seed, differences, &shifts[i]);
        p[i] = shifts[i].p;
    }
    if (!status)
        mth_holm(p, n_series);
    for (size_t i = 0; !status && i < n_series; i++) {
        shifts[i].p_holm = p[i];
        verdicts[i] = verdict_of(&shifts[i], series[i].margin_pct);
    }
    free(memory);
    return status;
}
