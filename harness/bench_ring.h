/*
 * The ring of buffers that a case is measured in: copies of the checkpoint and of its bases, room for frames and for
 * what is restored; and the sweep that pushes all of it out of the caches.
 */
#ifndef MTH_HARNESS_BENCH_RING_H
#define MTH_HARNESS_BENCH_RING_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MTH_RING_POISON = 0xa5, MTH_RING_BASES = 2 };

struct mth_ring {
    size_t n_slots;
    size_t raw_bytes, base_bytes[MTH_RING_BASES], frame_bytes; /* of a slot */
    uint8_t *raw, *bases[MTH_RING_BASES], *frames, *restored;
    uint8_t *sweep;
    size_t sweep_bytes;
    size_t cursor;
};

/*
 * Build a ring of as many slots as make four caches, as far as half of the machine's free memory goes; every page is
 * touched. bases: empty where there is none. in_cache: whether it had to be smaller. Errors: MTH_ERR_NO_MEMORY; the ring is then still to be freed.
 */
int mth_ring_build(struct mth_ring *ring, struct mth_bytes input,
                   const struct mth_bytes bases[MTH_RING_BASES], size_t frame_bytes, size_t llc_bytes,
                   bool *in_cache);
/* How many slots those are, with so much memory free. */
size_t mth_ring_count(const struct mth_ring *ring, size_t llc_bytes, size_t free_bytes, bool *in_cache);
void mth_ring_free(struct mth_ring *ring);

static inline uint8_t *mth_ring_slot(uint8_t *first, size_t bytes, size_t index)
{
    return first + index * bytes;
}

/* Base k of a slot. */
static inline struct mth_bytes mth_ring_base(const struct mth_ring *ring, size_t k, size_t index)
{
    return (struct mth_bytes){mth_ring_slot(ring->bases[k], ring->base_bytes[k], index), ring->base_bytes[k]};
}

/* Pushes everything else out of the caches. */
void mth_ring_sweep(struct mth_ring *ring);

/* The next n slots; a sample never wraps around, so it may begin again at the front. */
size_t mth_ring_take(struct mth_ring *ring, size_t n);

#endif
