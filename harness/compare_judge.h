/*
 * Whether a program became slower, from blocks in which the old one, the old one again and the new one ran in turn.
 * Pure functions on times: what a comparison of two binaries uses, and what simulations of it call.
 */
#ifndef MTH_HARNESS_COMPARE_JUDGE_H
#define MTH_HARNESS_COMPARE_JUDGE_H

#include <stddef.h>
#include <stdint.h>

/* Who runs: the old program twice, apart, so that the noise of telling a program from itself is measured too. */
enum mth_arm { MTH_ARM_OLD = 0, MTH_ARM_AGAIN, MTH_ARM_NEW, MTH_N_ARMS };

enum {
    MTH_MIN_BLOCKS = 12, /* below, nothing is called */
    MTH_MAX_BLOCKS = 128
};
#define MTH_SPEED_ALPHA \
    0.01 /* of all cells together that did not change, called REGRESSED: at most this part */
#define MTH_SPEED_MARGIN_PCT 3.5

enum mth_speed_verdict { MTH_SPEED_OK, MTH_SPEED_REGRESSED, MTH_SPEED_INCONCLUSIVE };

/* One cell in one phase: n_blocks times of each arm, block for block. */
struct mth_speed_series {
    const double *ns[MTH_N_ARMS];
    size_t n_blocks;
    double margin_pct;
};

/* Of the logarithm of new over old time, as percent of time: positive is slower. */
struct mth_speed_shift {
    double pct, lo_pct, hi_pct; /* Hodges-Lehmann, and its 95 % interval by a bootstrap of blocks */
    double p, p_holm; /* Wilcoxon's signed-rank, two-sided; corrected for all cells of the comparison */
    double again_pct, again_p; /* of the old program against itself */
    size_t n_blocks;
};

/*
 * Judge all cells of a comparison together.
 *
 * REGRESSED     p_holm is below MTH_SPEED_ALPHA and the shift is above the margin
 * OK            the upper edge of the interval is below the margin
 * INCONCLUSIVE  neither; fewer than MTH_MIN_BLOCKS blocks; or the old program seems to have become slower or faster
 *               than itself by more than the margin
 *
 * Shape     shifts and verdicts: n_series each
 * Errors    MTH_ERR_NO_MEMORY
 */
int mth_speed_judge(const struct mth_speed_series *series, size_t n_series, uint64_t seed,
                    struct mth_speed_shift *shifts, enum mth_speed_verdict *verdicts);

#endif
