/* Allocation with byte accounting; see memory.h. */
#include "base/memory.h"

#include "base/checked.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Each block starts with its size; 64 bytes keep what follows aligned for any vector unit. */
enum { MTH_BLOCK_HEADER_BYTES = 64 };

struct mth_memory {
    atomic_size_t current;
    atomic_size_t peak;
    size_t limit;
};

struct mth_memory *mth_memory_create(size_t limit_bytes)
{
    struct mth_memory *memory = malloc(sizeof *memory);
    if (!memory)
        return NULL;
    atomic_init(&memory->current, 0);
    atomic_init(&memory->peak, 0);
    memory->limit = limit_bytes ? limit_bytes : SIZE_MAX;
    return memory;
}

void mth_memory_destroy(struct mth_memory *memory)
{
    if (!memory)
        return;
    assert(atomic_load(&memory->current) == 0);
    free(memory);
}

static bool account_add(struct mth_memory *memory, size_t n_bytes)
{
    size_t before = atomic_load(&memory->current);
    do {
        if (n_bytes > memory->limit || before > memory->limit - n_bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&memory->current, &before, before + n_bytes));
    size_t now = before + n_bytes;
    size_t peak = atomic_load(&memory->peak);
    while (now > peak && !atomic_compare_exchange_weak(&memory->peak, &peak, now)) {
    }
    return true;
}

void *mth_memory_alloc(struct mth_memory *memory, size_t n_bytes)
{
    size_t total;
    /* aligned_alloc wants a multiple of the alignment. */
    if (!mth_size_add(n_bytes, 2 * MTH_BLOCK_HEADER_BYTES - 1, &total))
        return NULL;
    total -= total % MTH_BLOCK_HEADER_BYTES;
    if (!account_add(memory, n_bytes))
        return NULL;
    uint8_t *block = aligned_alloc(MTH_BLOCK_HEADER_BYTES, total);
    if (!block) {
        atomic_fetch_sub(&memory->current, n_bytes);
        return NULL;
    }
    memcpy(block, &n_bytes, sizeof n_bytes);
    return block + MTH_BLOCK_HEADER_BYTES;
}

void *mth_memory_calloc(struct mth_memory *memory, size_t n, size_t size)
{
    size_t n_bytes;
    if (!mth_size_mul(n, size, &n_bytes))
        return NULL;
    void *block = mth_memory_alloc(memory, n_bytes);
    if (block)
        memset(block, 0, n_bytes);
    return block;
}

static size_t block_bytes(const void *block)
{
    size_t n_bytes;
    memcpy(&n_bytes, (const uint8_t *)block - MTH_BLOCK_HEADER_BYTES, sizeof n_bytes);
    return n_bytes;
}

void *mth_memory_realloc(struct mth_memory *memory, void *block, size_t n_bytes)
{
    void *fresh = mth_memory_alloc(memory, n_bytes);
    if (!fresh || !block)
        return fresh;
    memcpy(fresh, block, mth_size_min(n_bytes, block_bytes(block)));
    mth_memory_free(memory, block);
    return fresh;
}

void mth_memory_free(struct mth_memory *memory, void *block)
{
    if (!block)
        return;
    atomic_fetch_sub(&memory->current, block_bytes(block));
    free((uint8_t *)block - MTH_BLOCK_HEADER_BYTES);
}

size_t mth_memory_limit(const struct mth_memory *memory)
{
    return memory->limit;
}

int mth_memory_charge(struct mth_memory *memory, size_t n_bytes)
{
    return account_add(memory, n_bytes);
}

void mth_memory_discharge(struct mth_memory *memory, size_t n_bytes)
{
    atomic_fetch_sub(&memory->current, n_bytes);
}

size_t mth_memory_current(const struct mth_memory *memory)
{
    return atomic_load(&memory->current);
}

size_t mth_memory_peak(const struct mth_memory *memory)
{
    return atomic_load(&memory->peak);
}

void mth_memory_reset_peak(struct mth_memory *memory)
{
    atomic_store(&memory->peak, atomic_load(&memory->current));
}
