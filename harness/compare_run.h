/*
 * Two programs, old and new, measuring the same cells in turn. A block starts three of them afresh, the old one twice,
 * and lets them measure sample by sample, in a random order that every other round goes through backwards, so that
 * what drifts falls on all alike. docs/measurement.md tells why.
 */
#ifndef MTH_HARNESS_COMPARE_RUN_H
#define MTH_HARNESS_COMPARE_RUN_H

#include "harness/compare.h"

struct mth_compare_run_config {
    const char *old_program, *new_program;
    const char *const *arguments; /* of bench */
    size_t n_arguments;
    double seconds; /* no block begins that may end later */
    uint64_t seed;
    bool quiet;
};

/* What the blocks gave. */
struct mth_compare_run {
    struct mth_report rows[2];  /* old, new: of the first block, which only warms up */
    double *ns[MTH_N_ARMS];     /* of series s in block b: ns[arm][s * MTH_MAX_BLOCKS + b] */
    size_t n_series;            /* two a cell that both restore: compress and decompress */
    size_t *cell_of, *phase_of; /* of a series */
    struct mth_speed_shift *shifts;
    enum mth_speed_verdict *verdicts;
};

/*
 * Run them, fill compare with the cells of both, and judge sizes and speeds. compare borrows from run.
 * Errors: MTH_ERR_LIBRARY for a program that fails, with its last message; MTH_ERR_USAGE for arguments that it sets itself;
 * those of mth_compare_cells
 */
int mth_compare_run(const struct mth_compare_run_config *config, struct mth_compare *compare,
                    struct mth_compare_run *run, struct mth_error *err);
void mth_compare_run_free(struct mth_compare_run *run);

#endif
