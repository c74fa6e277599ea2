/* What memory itself can do with the buffers that a case is measured in: copy, read, write. */
#ifndef MTH_HARNESS_BENCH_MEMORY_H
#define MTH_HARNESS_BENCH_MEMORY_H

#include "base/pool.h"
#include "harness/bench.h"
#include "harness/bench_ring.h"

/* Room for samples, and one of each that does not count. Errors: MTH_ERR_NO_MEMORY. */
int mth_bench_memory_prepare(struct mth_bench_case *at, size_t rounds, struct mth_ring *ring,
                             struct mth_pool *pool);
/* One sample of each, cold ones. Nanoseconds of one memcpy of the checkpoint. */
double mth_bench_memory_sample(struct mth_bench_case *at, struct mth_ring *ring, struct mth_pool *pool);
void mth_bench_memory_finish(struct mth_bench_case *at, uint64_t seed);

/*
 * The least time that moving n_bytes, read and written together, takes where nothing is computed: at the fastest rate that memory was
 * seen at in these rounds, be it reading, writing, or both of a copy. 0 where none was measured.
 * Source    the roofline's slanted part: Williams, Waterman and Patterson, 2009; bandwidths after McCalpin's STREAM
 */
double mth_bench_memory_roofline_ns(const struct mth_bench_case *at, uint64_t n_bytes);

#endif
