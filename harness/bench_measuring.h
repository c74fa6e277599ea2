/*
 * A case while it is measured: shared by bench_measure.c, which prepares it, bench_cell.c, which takes samples of a cell,
 * bench_rounds.c, which goes through all cells, and bench_warm_up.c.
 */
#ifndef MTH_HARNESS_BENCH_MEASURING_H
#define MTH_HARNESS_BENCH_MEASURING_H

#include "base/hash.h"
#include "base/pool.h"
#include "harness/bench.h"
#include "harness/bench_files.h"
#include "harness/bench_peer.h"
#include "harness/bench_ring.h"

/* What a cell is content with whose time is up. */
enum { MTH_MIN_SAMPLES = 3 };

/* A cell while it is measured. */
struct mth_live {
    struct mth_bench_cell *cell;
    struct mth_memory *memory[MTH_N_PHASES];
    struct mth_coder *coder[MTH_N_PHASES];
    struct mth_bench_peer *peer; /* instead of the two above */
    uint64_t frame_hash;
    struct mth_digest digest; /* of what must be restored */
    size_t copies[MTH_N_PHASES];
    size_t *frame_bytes; /* of each slot */
    bool wanted;         /* in this round */
};

struct mth_measuring {
    struct mth_bench *bench;
    struct mth_bench_case *at;
    struct mth_error *err;
    struct mth_loaded input;
    struct mth_loaded bases[MTH_RING_BASES]; /* the base, and an older one */
    size_t n_bases;
    struct mth_digest digest;
    struct mth_ring ring;
    struct mth_pool *pool;
    struct mth_memory *parts_memory;
    struct mth_live *live;
    struct mth_bench_files files;
    size_t *frame_bytes; /* scratch shared by all cells, one per slot */
};

/* ---- bench_measure.c ---- */

/* The dtype that most bytes have, for the headline and for peers. */
enum mth_dtype mth_main_dtype(const struct mth_region_map *map);

/* ---- bench_cell.c ---- */

/* Set-up, and one pass each way with fresh coders: verifies, warms up, and tells how long a sample should be. */
int mth_live_prepare(struct mth_measuring *m, struct mth_live *live);
int mth_live_prepare_peer(struct mth_measuring *m, struct mth_live *live);
/* One sample of each phase: in memory, by a peer, and one of each kind of pass from file to file. */
int mth_live_sample(struct mth_measuring *m, struct mth_live *live, double memcpy_ns);
int mth_live_sample_peer(struct mth_measuring *m, struct mth_live *live, double memcpy_ns);
int mth_live_sample_files(struct mth_measuring *m, struct mth_live *live, uint64_t *random);
/* What the samples say. scratch: room for as many values as there are rounds. */
void mth_live_finish(struct mth_measuring *m, struct mth_live *live, double *scratch);
void mth_live_close(struct mth_live *live);

/* ---- bench_rounds.c ---- */

/* One sample of every cell that wants one. order: room for two a cell. */
int mth_measuring_round(struct mth_measuring *m, bool with_files, size_t *order, uint64_t *random);
/* The warm-up, and all rounds that count. */
int mth_measuring_rounds(struct mth_measuring *m, mth_bench_progress *progress, void *progress_arg);

/* ---- bench_warm_up.c ---- */

/*
 * Rounds as those that count, of the cells whose times still fall; only the caches are not swept, which takes longer than all the
 * rest where they are large. Where programs take turns there are none: what is compared there is the faster half of each block.
 */
int mth_measuring_warm_up(struct mth_measuring *m, size_t *order, uint64_t *random,
                          mth_bench_progress *progress, void *progress_arg);

#endif
