/*
 * A block cache: the memory of a library that can not be reset, kept between streams.
 *
 * bzip2, liblzma and brotli end their coder with every stream and ask for the same blocks again for the next.
 * Their allocation hooks point here: a freed block waits for a request of its size, so that a state which
 * has seen a stream of a size allocates nothing for the next one.
 */
#ifndef MTH_CODECS_BLOCK_CACHE_H
#define MTH_CODECS_BLOCK_CACHE_H

#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>

enum { MTH_BLOCK_CACHE_SLOTS = 64 };

struct mth_block_cache {
    struct mth_memory *memory; /* set by the owner; the rest starts as zeros */
    struct {
        void *block;
        size_t n_bytes;
        bool used;
    } slots[MTH_BLOCK_CACHE_SLOTS];
};

/* A block of at least n_bytes; NULL when memory refuses, or all slots are in use, even after waiting blocks were given back. */
void *mth_block_cache_alloc(struct mth_block_cache *cache, size_t n_bytes);
/* Let a block wait for the next request. NULL is fine. */
void mth_block_cache_free(struct mth_block_cache *cache, void *block);
/* Give every block back, those in use too. */
void mth_block_cache_release(struct mth_block_cache *cache);

#endif
