/*
 * A peer: another compressor in a process of its own, that does what it is told by lines on a pipe and times itself.
 * docs/peers.md has the protocol. Nothing that a peer says is believed where it can be checked.
 */
#ifndef MTH_HARNESS_PEER_H
#define MTH_HARNESS_PEER_H

#include "base/bytes.h"
#include "base/status.h"
#include "harness/resident.h"

#include <stddef.h>
#include <stdint.h>

/* What a process is for. It sees only what it needs: a decoder never sees the checkpoint. */
enum mth_peer_role { MTH_PEER_COMPRESS = 0, MTH_PEER_DECOMPRESS };

struct mth_peer_config {
    const char *command; /* program and arguments, apart by blanks; no shell */
    enum mth_peer_role role;
    size_t n_threads;
    size_t n_slots;     /* copies of the input to keep, and outputs */
    size_t sweep_bytes; /* to be written before each sample, so that it begins with cold caches */
    const char *dtype;  /* of most bytes: "BF16" */
    size_t element_bytes;
    double limit_seconds; /* for one answer */
};

struct mth_peer;

/*
 * Start a peer and tell it what it is for.
 *
 * Errors    MTH_ERR_NOT_FOUND when there is no such program; MTH_ERR_UNSUPPORTED when the peer says that it has
 *           nothing for this dtype; and as for every call below: MTH_ERR_LIBRARY for a peer that ends, breaks the
 *           protocol or reports an error, MTH_ERR_LIMIT for one that has not answered in time (it is then ended);
 *           MTH_ERR_IO, MTH_ERR_NO_MEMORY
 */
int mth_peer_start(const struct mth_peer_config *config, struct mth_peer **out, struct mth_error *err);

/* "NAME@VERSION:SETTINGS", as the peer calls itself. */
const char *mth_peer_identity(const struct mth_peer *peer);

/*
 * Hand over the base, before anything else; both processes of a pair have it.
 * Errors: MTH_ERR_UNSUPPORTED when the peer has nothing for pairs.
 */
int mth_peer_send_base(struct mth_peer *peer, struct mth_bytes base, struct mth_error *err);

/* Hand over what is to be compressed, or decompressed. */
int mth_peer_send(struct mth_peer *peer, struct mth_bytes data, struct mth_error *err);

/* One sample: n passes from the input of slots first .. first + n - 1 to their outputs, as the peer times it. */
int mth_peer_pass(struct mth_peer *peer, size_t first, size_t n, uint64_t *wall_ns, uint64_t *cpu_ns,
                  struct mth_error *err);

/*
 * Fetch the output of a slot into a buffer.
 * Errors: MTH_ERR_LIBRARY when it is longer than the capacity (nothing of it is then fetched).
 */
int mth_peer_fetch(struct mth_peer *peer, size_t slot, struct mth_buffer *out, struct mth_error *err);

/* Its resident memory; see resident.h. */
uint64_t mth_peer_resident_bytes(const struct mth_peer *peer, enum mth_resident which);

/* Ends the process, whatever it does. NULL is fine. */
void mth_peer_stop(struct mth_peer *peer);

#endif
