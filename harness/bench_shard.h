/*
 * A sweep: one plan of cells, split among processes that know nothing of each other. Each makes the whole plan, and
 * measures its part. docs/sweeps.md.
 */
#ifndef MTH_HARNESS_BENCH_SHARD_H
#define MTH_HARNESS_BENCH_SHARD_H

#include "base/status.h"

#include <stddef.h>

struct mth_bench;

enum { MTH_SWEEP_ID_BYTES = 17, MTH_MAX_SHARDS = 65536 };

/* A part of a sweep. n_shards is 0 where nothing is split. */
struct mth_shard {
    size_t number; /* 1 .. n_shards */
    size_t n_shards;
    char text[32];  /* "2/4" */
    char from[160]; /* what said so: "--shard", or variables of the environment */
    /* Known once the plan is split. */
    char sweep[MTH_SWEEP_ID_BYTES]; /* hex; of plan, build and n_shards: equal in all shards */
    char plan[MTH_SWEEP_ID_BYTES];  /* of what is measured, and how */
    char build[MTH_SWEEP_ID_BYTES];
    size_t n_cells;       /* of this shard */
    size_t n_sweep_cells; /* of all */
    char row_id[24];
};

/*
 * "2/4", or "auto": the rank that Open MPI, PMI, torchrun or Slurm put into the environment.
 * Errors: MTH_ERR_USAGE for text that is neither, for an environment without a rank, or with half of one.
 */
int mth_shard_parse(const char *text, struct mth_shard *shard, struct mth_error *err);

/*
 * Leave in the plan what is this shard's: whole cases where there are enough, so that the cells of a checkpoint stay in the
 * same rounds; else the cells of each case dealt out among the shards that share it. Sets config.shard.
 * Errors: MTH_ERR_NO_MEMORY.
 */
int mth_bench_take_shard(struct mth_bench *bench, const struct mth_shard *shard, struct mth_error *err);

/* rows.jsonl -> rows.2-of-4.jsonl: shards may share a directory and a command line. "-" stays. */
void mth_shard_path(const struct mth_shard *shard, const char *path, char out[4096]);

#endif
