/*
 * Looking for steps of an optimizer, parameter by parameter: what relation_replay.c and relation_pairing.c share. The parameter that
 * is looked at stands in the search.
 */
#ifndef MTH_PIPELINE_RELATION_REPLAY_H
#define MTH_PIPELINE_RELATION_REPLAY_H

#include "pipeline/bundle.h"
#include "pipeline/replay.h"

/* Groups of an optimizer whose states are in another file, which does not say which of them is whose (Megatron). */
enum { MTH_MAX_LOOSE_GROUPS = 8 };

struct mth_loose_group {
    const struct mth_optimizer_group *now, *before;
};

struct mth_replay_search {
    struct mth_families *families;
    const struct mth_region_map *map;
    const struct mth_source *input;
    const struct mth_base_use *use;
    const struct mth_counterparts *base;
    struct mth_replay *replay;
    struct mth_error *err;
    struct mth_replay_scale scale;
    struct mth_replay_guesses guesses;
    struct mth_loose_group loose[MTH_MAX_LOOSE_GROUPS];
    size_t n_loose;
    struct mth_replay_parameter parameter;
};

/* Weights, or the fp32 ones that they are rounded from, for the parameter; false where they can not be followed. */
bool mth_replay_take_weights(struct mth_replay_search *search, uint32_t tensor);

/*
 * What is kept of a parameter, with its weights where it has some; its group and the steps that it made.
 *
 * Shape     is_known: false where there is nothing to follow
 * Errors    those of reading
 */
int mth_replay_take_state(struct mth_replay_search *search, const struct mth_kept_tensors *kept,
                          bool *is_known);

/* Some elements of one of its tensors, before and after. Errors: those of reading. */
int mth_replay_read_sample(struct mth_replay_search *search, enum mth_kept kept);

/*
 * Finds the weights of lone states: of those that have their shape and no state as yet, the ones that moved as the optimizer would have
 * moved them, by a sample.
 *
 * Shape     kept: for each tensor what is kept of it, to which what is found is added. lone: of each lone state that found none what it
 *           is; to be freed, on an error too
 * Errors    those of reading; MTH_ERR_NO_MEMORY
 * Cost      a few samples a state; of all together at most 2^16
 */
int mth_replay_pair_lone_states(struct mth_replay_search *search, struct mth_kept_tensors *kept,
                                struct mth_kept_tensors **lone);

#endif
