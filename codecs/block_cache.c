/* The memory of a library that can not be reset, kept between streams; see block_cache.h. */
#include "codecs/block_cache.h"

#include "base/checked.h"

enum { NO_SLOT = MTH_BLOCK_CACHE_SLOTS };

/*
 * Sizes are rounded up to eight steps an octave, at most 1/8 more: requests of about the same size share a block, and
 * since only equal sizes do, a stream that asks for what the one before asked for finds all of it, in any order.
 */
static size_t rounded(size_t n_bytes)
{
    size_t step = 64;
    while (step < n_bytes / 16)
        step *= 2;
    size_t n;
    return mth_size_add(n_bytes, step - 1, &n) ? n - n % step : n_bytes;
}

/* A waiting block of a size. */
static size_t find_waiting(const struct mth_block_cache *cache, size_t n_bytes)
{
    for (size_t i = 0; i < MTH_BLOCK_CACHE_SLOTS; i++) {
        if (cache->slots[i].block && !cache->slots[i].used && cache->slots[i].n_bytes == n_bytes)
            return i;
    }
    return NO_SLOT;
}

static size_t find_empty(const struct mth_block_cache *cache)
{
    for (size_t i = 0; i < MTH_BLOCK_CACHE_SLOTS; i++) {
        if (!cache->slots[i].block)
            return i;
    }
    return NO_SLOT;
}

static void release_waiting(struct mth_block_cache *cache)
{
    for (size_t i = 0; i < MTH_BLOCK_CACHE_SLOTS; i++) {
        if (cache->slots[i].used)
            continue;
        mth_memory_free(cache->memory, cache->slots[i].block);
        cache->slots[i].block = NULL;
    }
}

void *mth_block_cache_alloc(struct mth_block_cache *cache, size_t n_bytes)
{
    n_bytes = rounded(n_bytes);
    size_t slot = find_waiting(cache, n_bytes);
    if (slot != NO_SLOT) {
        cache->slots[slot].used = true;
        return cache->slots[slot].block;
    }
    if (find_empty(cache) == NO_SLOT)
        release_waiting(cache);
    void *block = mth_memory_alloc(cache->memory, n_bytes);
    if (!block) {
        release_waiting(cache);
        block = mth_memory_alloc(cache->memory, n_bytes);
    }
    slot = find_empty(cache);
    if (slot == NO_SLOT || !block) {
        mth_memory_free(cache->memory, block);
        return NULL;
    }
    cache->slots[slot].block = block;
    cache->slots[slot].n_bytes = n_bytes;
    cache->slots[slot].used = true;
    return block;
}

void mth_block_cache_free(struct mth_block_cache *cache, void *block)
{
    for (size_t i = 0; block && i < MTH_BLOCK_CACHE_SLOTS; i++) {
        if (cache->slots[i].block == block)
            cache->slots[i].used = false;
    }
}

void mth_block_cache_release(struct mth_block_cache *cache)
{
    for (size_t i = 0; i < MTH_BLOCK_CACHE_SLOTS; i++)
        cache->slots[i].used = false;
    release_waiting(cache);
}
