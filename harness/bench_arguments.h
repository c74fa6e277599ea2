/* The command line that measures a cell again. */
#ifndef MTH_HARNESS_BENCH_ARGUMENTS_H
#define MTH_HARNESS_BENCH_ARGUMENTS_H

#include "harness/argument_list.h"
#include "harness/bench.h"

/*
 * Those of this run, "mithril" and "bench" first, its datasets and pipelines replaced by the cell's: plug-ins, definitions, peer, base,
 * seed and all. Errors: MTH_ERR_NO_MEMORY; list is to be freed also then.
 */
int mth_bench_arguments(const struct mth_bench *bench, const struct mth_bench_cell *cell,
                        struct mth_arguments *list);

#endif
