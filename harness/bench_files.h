/*
 * A case file to file: the checkpoint and its bases as files in a directory of the benchmark's own, and passes from one
 * file to another by the very calls that the commands make. docs/measurement.md says what a pass includes.
 */
#ifndef MTH_HARNESS_BENCH_FILES_H
#define MTH_HARNESS_BENCH_FILES_H

#include "base/hash.h"
#include "base/pool.h"
#include "harness/bench.h"
#include "harness/bench_ring.h"

struct mth_bench_files {
    const struct mth_bench_case *at;
    struct mth_stream_config config; /* but for memory and verify */
    char *directory;                 /* NULL: nothing is there */
    char *input, *bases[MTH_RING_BASES], *container, *restored;
};

/* "tmpfs" as where /dev/shm is, "DIR" as itself. Errors: MTH_ERR_USAGE where there is no such directory. */
int mth_bench_files_where(const char *asked, const char **directory, struct mth_error *err);
/* "tmpfs" for a file system in memory, "other" for any other or where it is not known. */
const char *mth_bench_files_system(const char *directory);

/* Writes the files of a case. Errors: MTH_ERR_IO, MTH_ERR_NO_MEMORY; close it also then. */
int mth_bench_files_open(struct mth_bench_files *files, const struct mth_bench *bench,
                         struct mth_bench_case *at, struct mth_bytes input,
                         const struct mth_bytes bases[MTH_RING_BASES], struct mth_error *err);
/* Removes all of them. */
void mth_bench_files_close(struct mth_bench_files *files);

/*
 * A cell's samples: room for them; one pass of each kind, caches swept before each; their statistics beside those of
 * the samples in memory. digest: of the checkpoint, which what was restored must have.
 * Errors: MTH_ERR_NO_MEMORY, MTH_ERR_CHECKSUM, MTH_ERR_CANCELLED, those of the passes.
 */
int mth_bench_files_prepare(const struct mth_bench *bench, struct mth_bench_cell *cell);
int mth_bench_files_sample(struct mth_bench_files *files, struct mth_bench_cell *cell, struct mth_ring *ring,
                           const struct mth_digest *digest, uint64_t *random, struct mth_error *err);
void mth_bench_files_finish(const struct mth_bench *bench, struct mth_bench_cell *cell);

/*
 * One sample of what any program that reads a file and writes one must spend: a copy of the input, piece by piece into a new
 * file on the pool's threads, synced and named. Adds it to at->file_copy. Errors: MTH_ERR_NO_MEMORY, MTH_ERR_IO.
 */
int mth_bench_files_copy(struct mth_bench_files *files, struct mth_bench_case *at, struct mth_pool *pool,
                         struct mth_ring *ring, struct mth_error *err);

/* The phase that a kind of pass is one of. */
enum mth_phase mth_file_pass_phase(enum mth_file_pass pass);

#endif
