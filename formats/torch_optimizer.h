/*
 * Which parameter a tensor of an optimizer's state belongs to.
 *
 * The state dict of an optimizer numbers its parameters in the order of its param groups. Where the names are there
 * (param_names, or a state keyed by names) they decide; else a state dict or module that has as many parameters, of the
 * same shapes, in the same order.
 */
#ifndef MTH_FORMATS_TORCH_OPTIMIZER_H
#define MTH_FORMATS_TORCH_OPTIMIZER_H

#include "formats/pickle.h"
#include "formats/region_map.h"

/* Tensors first .. end - 1 of a map, all below one container; their names begin with its path, of n_prefix bytes, its dot
 * included. */
struct mth_torch_range {
    uint32_t first, end, n_prefix;
};

/* One entry of an optimizer's state: its key, what that is for in the pickle, and its tensors. */
struct mth_torch_slot {
    uint32_t key, value, first, end;
};

struct mth_torch_optimizer {
    uint32_t groups;             /* its param_groups in the pickle */
    size_t first_slot, end_slot; /* none: its states are elsewhere */
};

/* What a walk saw. Arrays grow by half; all on one account. */
struct mth_torch_seen {
    struct mth_memory *memory;
    struct mth_torch_range *ranges; /* outside of optimizers, the innermost first */
    size_t n_ranges, ranges_capacity;
    struct mth_torch_slot *slots;
    size_t n_slots, slots_capacity;
    struct mth_torch_optimizer *optimizers;
    size_t n_optimizers, optimizers_capacity;
};

int mth_torch_seen_range(struct mth_torch_seen *seen, struct mth_torch_range range);
int mth_torch_seen_slot(struct mth_torch_seen *seen, struct mth_torch_slot slot);
int mth_torch_seen_optimizer(struct mth_torch_seen *seen, struct mth_torch_optimizer optimizer);
void mth_torch_seen_free(struct mth_torch_seen *seen);

/*
 * Set map->params where optimizers can be matched; leave it NULL where none can. What is kept of others are lone states.
 *
 * Requires  tensors of one storage have the same region, and offset_bytes is theirs in it
 * Errors    MTH_ERR_NO_MEMORY
 * Cost      linear in ranges times their tensors for each optimizer, and no more than 64 ranges of the right size
 */
int mth_torch_optimizers_match(const struct mth_pickle *pickle, const struct mth_torch_seen *seen,
                               struct mth_region_map *map);

#endif
