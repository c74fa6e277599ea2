/* Scratch memory for one chunk at a time: handed out piece by piece, taken back all at once, kept for the
 * next chunk. */
#ifndef MTH_PIPELINE_ARENA_H
#define MTH_PIPELINE_ARENA_H

#include "base/memory.h"

#include <stddef.h>
#include <stdint.h>

enum { MTH_ARENA_MAX_BLOCKS = 256 };

struct mth_arena {
    struct mth_memory *memory;
    struct {
        uint8_t *data;
        size_t n_bytes;
    } blocks[MTH_ARENA_MAX_BLOCKS];
    size_t n_blocks;
    size_t n_used; /* blocks handed out since the last reset */
};

void mth_arena_init(struct mth_arena *arena, struct mth_memory *memory);
void mth_arena_free(struct mth_arena *arena);
/* n_bytes aligned to 64, valid until the reset; NULL when memory is refused. Chunks of one shape find their
 * blocks again. */
uint8_t *mth_arena_take(struct mth_arena *arena, size_t n_bytes);
void mth_arena_reset(struct mth_arena *arena);

#endif
