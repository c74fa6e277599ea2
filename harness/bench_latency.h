/* How long one small tensor takes, by size: what a program waits for that stores or loads tensors one by one. */
#ifndef MTH_HARNESS_BENCH_LATENCY_H
#define MTH_HARNESS_BENCH_LATENCY_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Up to 1 KiB, 4 KiB, ... 1 MiB. */
enum {
    MTH_LATENCY_CLASSES = 6,
    MTH_LATENCY_CALLS = 500,
    MTH_LATENCY_ENOUGH = 100 /* calls: with fewer the 99th percentile is the slowest */
};

/* Calls of one phase, each on one tensor. */
struct mth_latency_calls {
    double *samples_ns; /* in the order of the calls */
    size_t n_samples;
    double p50_ns, p95_ns, p99_ns;
};

struct mth_latency_class {
    size_t up_to_bytes;
    size_t n_tensors;                 /* that the calls go through; 0: the checkpoint has none of this size */
    uint64_t raw_bytes, stored_bytes; /* of these */
    struct mth_latency_calls phases[2];
};

struct mth_latency {
    struct mth_latency_class classes[MTH_LATENCY_CLASSES];
};

void mth_latency_free(struct mth_latency *latency);

/* The class of a size: an index, MTH_LATENCY_CLASSES for a tensor that is too large or empty. */
size_t mth_latency_class_of(uint64_t n_bytes);
size_t mth_latency_class_bytes(size_t index);

struct mth_bench_cell;
struct mth_checkpoint;

/*
 * Time a cell's pipeline on single tensors of a checkpoint.
 *
 * Shape     bases: none, a base, or that and an older one; tensors without a counterpart in each are left out; at most 64 tensors of a class, evenly from all; up to n_calls each way, over them in seeded random orders; fewer, but
 *           one a tensor, where they take longer than seconds
 * Exact     what each call restores, into a poisoned buffer, is compared
 * Errors    MTH_ERR_CHECKSUM, MTH_ERR_NO_MEMORY, those of coding
 */
int mth_bench_latency(struct mth_bench_cell *cell, const struct mth_checkpoint *input,
                      const struct mth_checkpoint *bases, size_t n_bases, size_t n_calls, double seconds,
                      uint64_t seed, struct mth_error *err);

#endif
