/* The arguments that measure a cell again, from its row. */
#ifndef MTH_HARNESS_BENCH_RERUN_H
#define MTH_HARNESS_BENCH_RERUN_H

#include "base/status.h"
#include "harness/argument_list.h"
#include "harness/options.h"

/*
 * Find the row that options->rerun names in the files that are its operands, and give its arguments with the --json, --quiet, --parts
 * and --strict of now.
 *
 * Shape     list: as bench takes them, "bench" first; to be freed
 * Errors    MTH_ERR_USAGE when no row is called so, or this one can not be measured by itself; those of reading rows
 */
int mth_bench_rerun(const struct mth_options *options, struct mth_arguments *list, struct mth_error *err);

#endif
