/*
 * The tensors of a map by name: an open-addressing table of tensor numbers.
 *
 * The hash is seeded with a digest of all names of the map: whoever wants to make names collide changes the
 * seed by writing them, so that a hostile file can not make the table slow.
 */
#ifndef MTH_FORMATS_NAME_INDEX_H
#define MTH_FORMATS_NAME_INDEX_H

#include "formats/region_map.h"

struct mth_name_index {
    const struct mth_region_map *map; /* borrowed, unchanged while the index lives */
    uint64_t seed;
    uint32_t *slots; /* n_slots, a power of two; tensor number + 1, 0 for free */
    size_t n_slots;
};

/*
 * Index a map's tensors; of several with one name the first is kept.
 *
 * Shape     duplicate: the first tensor whose name came before, NULL when there is none; may be NULL itself
 * Errors    MTH_ERR_NO_MEMORY; then there is nothing to free
 * Cost      linear; 4 bytes for each of at most 4 slots a tensor
 */
int mth_name_index_build(const struct mth_region_map *map, struct mth_name_index *index,
                         const struct mth_tensor **duplicate);
void mth_name_index_free(struct mth_name_index *index);

/*
 * Give each tensor of a map a name of its own: one whose name came before gets its number behind it ("a.b#17").
 * Errors: MTH_ERR_NO_MEMORY, MTH_ERR_LIMIT. Cost: as for an index.
 */
int mth_name_index_make_unique(struct mth_region_map *map);

/* The first tensor of a name, NULL when there is none. */
const struct mth_tensor *mth_name_index_find(const struct mth_name_index *index, const char *name);

#endif
