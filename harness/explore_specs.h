/*
 * The specs that an exploration tries, made from what is registered: every transform that takes a type, every codec, their options
 * as declared, plug-ins and presets included. Nothing here names a codec.
 */
#ifndef MTH_HARNESS_EXPLORE_SPECS_H
#define MTH_HARNESS_EXPLORE_SPECS_H

#include "base/dtype.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Canonical texts of single candidates, each once, in the order in which they came. */
struct mth_spec_pool {
    char **items;
    size_t n_items, capacity;
    size_t *slots; /* by hash: an index and 1, or 0 */
    size_t n_slots;
};

void mth_spec_pool_free(struct mth_spec_pool *pool);
/* added: it was not there; may be NULL. Errors: MTH_ERR_NO_MEMORY. */
int mth_spec_pool_add(struct mth_spec_pool *pool, const char *text, bool *added);

/*
 * What to begin with for tensors of a dtype: every codec alone; and behind every transform that takes it every codec, on all
 * streams, and on each stream with the others stored.
 * has_base: those that look at one as well. Errors: MTH_ERR_NO_MEMORY.
 */
int mth_explore_seeds(enum mth_dtype dtype, bool has_base, struct mth_spec_pool *pool);

/* The candidates of all presets that take a dtype. Errors: MTH_ERR_NO_MEMORY. */
int mth_explore_preset_seeds(enum mth_dtype dtype, bool has_base, struct mth_spec_pool *pool);

/*
 * What is one change away from a spec: another codec in a place, another value of an option (its range halved towards
 * both ends, the next on both sides, its ends and default; or any word), a transform more, a transform less.
 * Errors: MTH_ERR_NO_MEMORY, MTH_ERR_SPEC for text that is no single candidate.
 */
int mth_explore_neighbours(const char *text, enum mth_dtype dtype, bool has_base, struct mth_spec_pool *pool);

/*
 * A canonical text of one candidate as people write it: without versions, defaults left out. It means the same.
 * Errors: MTH_ERR_SPEC; out then holds the text as it was.
 */
int mth_explore_short(const char *text, char *out, size_t capacity);

#endif
