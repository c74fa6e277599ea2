/*
 * A block cache: the memory of a library that can not be reset, kept between streams.
 *
 * bzip2, liblzma and brotli end their coder with every stream and ask for the same blocks again for the next.
 * Their allocation hooks point here: a freed block waits for a request of its size, so that a state which has
 * seen a stream of a shape allocates nothing, or little, for the next one. Blocks in use and blocks that wait are
 * together hardly more than what the library had in use at once.
 */
#ifndef MTH_CODECS_BLOCK_CACHE_H
#define MTH_CODECS_BLOCK_CACHE_H

#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>

enum { MTH_BLOCK_CACHE_SLOTS = 64 };

struct mth_block_cache {
    struct mth_memory *memory; /* set by the owner; the rest starts as zeros */
    size_t used_bytes;
    size_t waiting_bytes;
    size_t most_bytes; /* the most that used_bytes has been */
    struct {
        void *block;
        size_t n_bytes;
        bool used;
    } slots[MTH_BLOCK_CACHE_SLOTS];
};

/*
 * A block of at least n_bytes. NULL when memory refuses, even after all that waits was given back, or when
 * all slots are in use.
 */
void *mth_block_cache_alloc(struct mth_block_cache *cache, size_t n_bytes);
/* Let a block wait for the next request. NULL is fine. */
void mth_block_cache_free(struct mth_block_cache *cache, void *block);
/* The most that a cache takes when its library has at most n_bytes in use at once: sizes are rounded up by an eighth, blocks
 * that wait are an eighth of the most that was in use. */
static inline size_t mth_block_cache_bound(size_t n_bytes)
{
    return n_bytes + n_bytes / 8 + (n_bytes + n_bytes / 8) / 8 + 2 * 4096 + MTH_BLOCK_CACHE_SLOTS * 64;
}
/* Give every block back, those in use too. */
void mth_block_cache_release(struct mth_block_cache *cache);

#endif
