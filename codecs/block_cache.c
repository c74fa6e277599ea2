/* The memory of a library that can not be reset, kept between streams; see block_cache.h. */
#include "codecs/block_cache.h"

#include "base/checked.h"

enum { NO_SLOT = MTH_BLOCK_CACHE_SLOTS };

/* Sizes are rounded up by at most 1/8, so that requests of about the same size share a block. */
static size_t rounded(size_t n_bytes)
{
    size_t step = 64;
    while (step < n_bytes / 16)
        step *= 2;
    size_t n;
    return mth_size_add(n_bytes, step - 1, &n) ? n - n % step : n_bytes;
}

static bool waits(const struct mth_block_cache *cache, size_t slot)
{
    return cache->slots[slot].block && !cache->slots[slot].used;
}

static size_t find_waiting(const struct mth_block_cache *cache, size_t n_bytes)
{
    for (size_t i = 0; i < MTH_BLOCK_CACHE_SLOTS; i++) {
        if (waits(cache, i) && cache->slots[i].n_bytes == n_bytes)
            return i;
    }
    return NO_SLOT;
}

static size_t find_largest_waiting(const struct mth_block_cache *cache)
{
    size_t best = NO_SLOT;
    for (size_t i = 0; i < MTH_BLOCK_CACHE_SLOTS; i++) {
        if (waits(cache, i) && (best == NO_SLOT || cache->slots[i].n_bytes > cache->slots[best].n_bytes))
            best = i;
    }
    return best;
}

static size_t find_empty(const struct mth_block_cache *cache)
{
    for (size_t i = 0; i < MTH_BLOCK_CACHE_SLOTS; i++) {
        if (!cache->slots[i].block)
            return i;
    }
    return NO_SLOT;
}

/* Give the largest block that waits back; false when none does. */
static bool release_largest(struct mth_block_cache *cache)
{
    size_t slot = find_largest_waiting(cache);
    if (slot == NO_SLOT)
        return false;
    mth_memory_free(cache->memory, cache->slots[slot].block);
    cache->slots[slot].block = NULL;
    cache->waiting_bytes -= cache->slots[slot].n_bytes;
    return true;
}

static void *use(struct mth_block_cache *cache, size_t slot)
{
    cache->slots[slot].used = true;
    cache->used_bytes += cache->slots[slot].n_bytes;
    cache->most_bytes = mth_size_max(cache->most_bytes, cache->used_bytes);
    return cache->slots[slot].block;
}

/* An eighth above the most that was in use at once: a small block for the end of a stream must not cost a large one. */
static size_t limit_bytes(const struct mth_block_cache *cache)
{
    return cache->most_bytes + cache->most_bytes / 8 + 4096;
}

/* A new block, for which blocks that wait make room: in the slots, in the most that was in use, in the account. */
static void *allocate(struct mth_block_cache *cache, size_t n_bytes)
{
    while (find_empty(cache) == NO_SLOT && release_largest(cache)) {
    }
    while (cache->used_bytes + cache->waiting_bytes + n_bytes > limit_bytes(cache) &&
           release_largest(cache)) {
    }
    if (find_empty(cache) == NO_SLOT)
        return NULL;
    void *block = mth_memory_alloc(cache->memory, n_bytes);
    while (!block && release_largest(cache))
        block = mth_memory_alloc(cache->memory, n_bytes);
    return block;
}

void *mth_block_cache_alloc(struct mth_block_cache *cache, size_t n_bytes)
{
    n_bytes = rounded(n_bytes);
    size_t slot = find_waiting(cache, n_bytes);
    if (slot != NO_SLOT) {
        cache->waiting_bytes -= n_bytes;
        return use(cache, slot);
    }
    void *block = allocate(cache, n_bytes);
    if (!block)
        return NULL;
    slot = find_empty(cache);
    cache->slots[slot].block = block;
    cache->slots[slot].n_bytes = n_bytes;
    return use(cache, slot);
}

void mth_block_cache_free(struct mth_block_cache *cache, void *block)
{
    for (size_t i = 0; block && i < MTH_BLOCK_CACHE_SLOTS; i++) {
        if (cache->slots[i].block != block || !cache->slots[i].used)
            continue;
        cache->slots[i].used = false;
        cache->used_bytes -= cache->slots[i].n_bytes;
        cache->waiting_bytes += cache->slots[i].n_bytes;
    }
}

void mth_block_cache_release(struct mth_block_cache *cache)
{
    for (size_t i = 0; i < MTH_BLOCK_CACHE_SLOTS; i++) {
        if (cache->slots[i].block)
            mth_block_cache_free(cache, cache->slots[i].block);
    }
    while (release_largest(cache)) {
    }
}
