/* The arguments that measure a cell again, from its row. */
#ifndef MTH_HARNESS_BENCH_RERUN_H
#define MTH_HARNESS_BENCH_RERUN_H

#include "base/status.h"
#include "harness/options.h"

#include <stddef.h>

struct mth_rerun {
    char **argv; /* as bench takes them: argv[0] is "bench"; NULL-terminated */
    size_t argc;
};

/*
 * Find the row that options->rerun names in the files that are its operands, and give its arguments with the --json, --quiet, --parts
 * and --strict of now.
 *
 * Errors    MTH_ERR_USAGE when no row is called so, or this one can not be measured by itself; those of reading rows
 */
int mth_bench_rerun(const struct mth_options *options, struct mth_rerun *rerun, struct mth_error *err);
void mth_bench_rerun_free(struct mth_rerun *rerun);

#endif
