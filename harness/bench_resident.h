/*
 * Resident memory of a cell, each way in a process of its own: the peak of one that never falls again says nothing of a later pass,
 * and memory that was freed is handed out again without a trace.
 */
#ifndef MTH_HARNESS_BENCH_RESIDENT_H
#define MTH_HARNESS_BENCH_RESIDENT_H

#include "harness/bench.h"

/*
 * Start this program again for one pass of each phase, and keep what each told.
 * Errors: MTH_ERR_IO, MTH_ERR_LIBRARY (the pass failed), MTH_ERR_CANCELLED
 */
int mth_resident_measure(const struct mth_bench *bench, struct mth_bench_cell *cell, struct mth_error *err);

/*
 * The pass, in such a process: buffers are filled, then the peak is read, then a coder is made and codes once, then the peak is
 * read again; the difference is printed. Compressing writes the container, decompressing reads it.
 * Errors: MTH_ERR_USAGE for a phase that is none, or more than one cell; those of coding
 */
int mth_resident_pass(const struct mth_bench *bench, const char *phase, const char *container,
                      struct mth_error *err);

#endif
