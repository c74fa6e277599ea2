/*
 * The tensors of a pickle of PyTorch, found by walking its description.
 *
 * A tensor is named by its path: keys of dicts, numbers of list items and names of attributes, with dots between them
 * ("optimizer.state.0.exp_avg"). A module that was saved whole gives the names that its state dict would have.
 */
#ifndef MTH_FORMATS_TORCH_OBJECTS_H
#define MTH_FORMATS_TORCH_OBJECTS_H

#include "formats/torch_storages.h"

enum {
    /* Deeper down nothing is looked for. */
    MTH_TORCH_MAX_DEPTH = 128,
    /* A container that can be reached on several ways is walked no more often than that. */
    MTH_TORCH_MAX_VISITS = 8,
    MTH_TORCH_NAME_MAX_BYTES = 16384
};

/* What the pickles of one file may take together, where a file holds many: bytes of names and shapes, bytes copied to make
 * names. A single pickle has its own limits besides. */
struct mth_torch_budget {
    uint64_t map_bytes_left, path_bytes_left;
};

/*
 * Add the tensors of a pickle to a map, in the order of the pickle; their regions are numbers of storages.
 *
 * Shape     prefix: a path that all names begin with, "" for none. budget: NULL for none; what is used is taken off.
 *           Storages are those of this pickle, and have their places
 * Errors    MTH_ERR_FORMAT for a tensor that does not lie inside of its storage, MTH_ERR_LIMIT where the names and shapes
 *           would take far more than the pickle does, or a name more than MTH_TORCH_NAME_MAX_BYTES; MTH_ERR_NO_MEMORY
 * Cost      linear in the description: each container is visited at most MTH_TORCH_MAX_VISITS times
 */
int mth_torch_objects_add(const struct mth_pickle *pickle, const char *prefix,
                          struct mth_torch_budget *budget, struct mth_torch_storages *storages,
                          const struct mth_source *source, struct mth_region_map *map, struct mth_error *err);

#endif
