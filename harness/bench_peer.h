/*
 * Cells of peers: other compressors beside our pipelines, in the same rounds, on the same bytes and threads.
 *
 * Two processes a cell. One is given the checkpoint and compresses it; what it hands over is the compressed
 * checkpoint, its length the stored bytes, and all that the other process is ever given. That one decompresses, and
 * what comes back is compared here.
 */
#ifndef MTH_HARNESS_BENCH_PEER_H
#define MTH_HARNESS_BENCH_PEER_H

#include "base/bytes.h"
#include "base/dtype.h"
#include "harness/bench.h"
#include "harness/bench_ring.h"

struct mth_bench_peer; /* a cell's peer while it is measured */

/*
 * Start a cell's peer and let it do one pass each way; input must stay where it is until the peer is closed, also after
 * an error. The cell gets its identity, sizes and set-up times; one that is not installed or has nothing for this dtype
 * becomes unsupported.
 * Errors: those of peer.h; MTH_ERR_CHECKSUM when it does not restore the input.
 */
int mth_bench_peer_prepare(const struct mth_bench_config *config, const struct mth_ring *ring,
                           struct mth_bytes input, const struct mth_bytes *base, enum mth_dtype dtype,
                           struct mth_bench_cell *cell, struct mth_bench_peer **out, struct mth_error *err);

/*
 * One sample of each phase, by a peer that sweeps the caches itself, on the processor that it runs on. What it made is
 * compared: a compressed checkpoint with the first one, restored ones with the input.
 * Errors: as above; the cell may then have the sample that failed.
 */
int mth_bench_peer_sample(struct mth_bench_peer *peer, struct mth_bench_cell *cell, struct mth_ring *ring,
                          double memcpy_ns, struct mth_error *err);

/*
 * What a pass each way takes, in two more processes with one copy of everything: by how much the peak of its resident memory is
 * above what it had with its library loaded, less the bytes that it was handed and those that it made, which ours are not charged either.
 * A cell whose peer fails at that, and a system that does not tell, stay without.
 * Errors: MTH_ERR_NO_MEMORY
 */
int mth_bench_peer_resident(const struct mth_bench_config *config, struct mth_bytes input,
                            const struct mth_bytes *base, enum mth_dtype dtype, struct mth_bench_cell *cell,
                            struct mth_error *err);

void mth_bench_peer_close(struct mth_bench_peer *peer);

/* Adds the peers of --peer (NAME=COMMAND) to a case. Errors: MTH_ERR_USAGE for what is none. */
int mth_bench_add_peers(struct mth_bench_case *to, const char *const *peers, size_t n_peers,
                        struct mth_error *err);

#endif
