/* Making the nodes of a description; what only the machine in pickle.c and the accessors in pickle_tree.c know. */
#ifndef MTH_FORMATS_PICKLE_TREE_H
#define MTH_FORMATS_PICKLE_TREE_H

#include "formats/pickle.h"

/* The fixed nodes, which every description begins with. */
enum {
    REF_NONE = MTH_PICKLE_REF_NONE,
    REF_FALSE,
    REF_TRUE,
    REF_EMPTY_TUPLE,
    REF_OPAQUE = MTH_PICKLE_REF_OPAQUE,
    N_FIXED_REFS
};

/* An empty description with the fixed nodes, and its end. */
int mth_pickle_tree_init(struct mth_pickle *pickle, struct mth_memory *memory, size_t max_bytes);

/*
 * Count n_bytes more against the limit, before they are allocated; give them back.
 * Errors: MTH_ERR_LIMIT.
 */
int mth_pickle_charge(struct mth_pickle *pickle, size_t n_bytes);
void mth_pickle_discharge(struct mth_pickle *pickle, size_t n_bytes);

/* Nodes. Errors of all: MTH_ERR_LIMIT, MTH_ERR_NO_MEMORY. */
int mth_pickle_add_int(struct mth_pickle *pickle, int64_t value, uint32_t *ref);
int mth_pickle_add_float(struct mth_pickle *pickle, double value, uint32_t *ref);
/* Room for a text that the caller fills in: kept is NULL for one that is too long to be kept. */
int mth_pickle_add_text(struct mth_pickle *pickle, enum mth_pickle_kind kind, uint64_t n_text, char **kept,
                        uint32_t *ref);
int mth_pickle_add_tuple(struct mth_pickle *pickle, const uint32_t *items, size_t n_items, uint32_t *ref);
/* An empty LIST, SET or DICT. */
int mth_pickle_add_container(struct mth_pickle *pickle, enum mth_pickle_kind kind, uint32_t *ref);
int mth_pickle_add_object(struct mth_pickle *pickle, uint32_t callable, uint32_t args, uint32_t *ref);
int mth_pickle_add_persistent(struct mth_pickle *pickle, uint32_t id, uint32_t *ref);

/* What becomes of the value behind a container when items or entries (keys and values, n_items of both) are put in. */
int mth_pickle_extend(struct mth_pickle *pickle, uint32_t ref, const uint32_t *items, size_t n_items,
                      bool are_entries);
void mth_pickle_set_state(struct mth_pickle *pickle, uint32_t ref, uint32_t state);

#endif
