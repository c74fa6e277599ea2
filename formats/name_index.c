/* The tensors of a map by name; see name_index.h. */
#include "formats/name_index.h"

#include "base/checked.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

/* The slot of a name: the one that holds it, or the free one where it belongs. At least half of them are
 * free. */
static uint32_t *slot_of(const struct mth_name_index *index, const char *name)
{
    size_t mask = index->n_slots - 1;
    size_t at = (size_t)mth_hash64(name, strlen(name), index->seed) & mask;
    for (;; at = (at + 1) & mask) {
        uint32_t taken = index->slots[at];
        if (taken == 0 || strcmp(mth_tensor_name(index->map, &index->map->tensors[taken - 1]), name) == 0)
            return &index->slots[at];
    }
}

int mth_name_index_build(const struct mth_region_map *map, struct mth_name_index *index,
                         const struct mth_tensor **duplicate)
{
    *index = (struct mth_name_index){.map = map, .n_slots = 2, .seed = mth_hash64(map->text, map->n_text, 0)};
    while (index->n_slots / 2 < map->n_tensors)
        index->n_slots *= 2;
    index->slots = mth_memory_calloc(map->memory, index->n_slots, sizeof *index->slots);
    if (!index->slots)
        return MTH_ERR_NO_MEMORY;
    if (duplicate)
        *duplicate = NULL;
    for (size_t i = 0; i < map->n_tensors; i++) {
        uint32_t *slot = slot_of(index, mth_tensor_name(map, &map->tensors[i]));
        if (*slot == 0)
            *slot = (uint32_t)(i + 1);
        else if (duplicate && !*duplicate)
            *duplicate = &map->tensors[i];
    }
    return MTH_OK;
}

void mth_name_index_free(struct mth_name_index *index)
{
    mth_memory_free(index->map->memory, index->slots);
    index->slots = NULL;
}

const struct mth_tensor *mth_name_index_find(const struct mth_name_index *index, const char *name)
{
    uint32_t taken = *slot_of(index, name);
    return taken ? &index->map->tensors[taken - 1] : NULL;
}

int mth_name_index_make_unique(struct mth_region_map *map)
{
    struct mth_name_index index;
    const struct mth_tensor *duplicate;
    int status = mth_name_index_build(map, &index, &duplicate);
    if (status)
        return status;
    for (size_t i = duplicate ? (size_t)(duplicate - map->tensors) : map->n_tensors;
         i < map->n_tensors && !status; i++) {
        const char *name = mth_tensor_name(map, &map->tensors[i]);
        if (mth_name_index_find(&index, name) == &map->tensors[i])
            continue;
        char number[24];
        int n_number = snprintf(number, sizeof number, "#%zu", i);
        /* Again where that, too, is somebody's name. */
        do {
            status = mth_region_map_rename(map, i, number, (size_t)n_number);
        } while (!status && mth_name_index_find(&index, mth_tensor_name(map, &map->tensors[i])));
    }
    mth_name_index_free(&index);
    return status;
}
