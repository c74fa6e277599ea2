/* Scratch memory for one chunk at a time; see arena.h. */
#include "pipeline/arena.h"

void mth_arena_init(struct mth_arena *arena, struct mth_memory *memory)
{
    *arena = (struct mth_arena){.memory = memory};
}

void mth_arena_free(struct mth_arena *arena)
{
    for (size_t i = 0; i < arena->n_blocks; i++)
        mth_memory_free(arena->memory, arena->blocks[i].data);
    mth_arena_init(arena, arena->memory);
}

uint8_t *mth_arena_take(struct mth_arena *arena, size_t n_bytes)
{
    /* The k-th piece of a chunk takes the k-th block, grown when it is too small: no search, no fragments. */
    if (arena->n_used == MTH_ARENA_MAX_BLOCKS)
        return NULL;
    size_t i = arena->n_used;
    if (i == arena->n_blocks || arena->blocks[i].n_bytes < n_bytes) {
        if (i < arena->n_blocks)
            mth_memory_free(arena->memory, arena->blocks[i].data);
        arena->blocks[i].data = mth_memory_alloc(arena->memory, n_bytes);
        arena->blocks[i].n_bytes = arena->blocks[i].data ? n_bytes : 0;
        if (i == arena->n_blocks)
            arena->n_blocks++;
        if (!arena->blocks[i].data)
            return NULL;
    }
    arena->n_used++;
    return arena->blocks[i].data;
}

void mth_arena_reset(struct mth_arena *arena)
{
    arena->n_used = 0;
}
