/*
 * Searching the specs for one class of tensors, on samples of growing size, until a time. What is measured and what time it is
 * comes through hooks: tests give both.
 */
#ifndef MTH_HARNESS_EXPLORE_SEARCH_H
#define MTH_HARNESS_EXPLORE_SEARCH_H

#include "formats/tensor_class.h"
#include "harness/explore_front.h"
#include "harness/explore_specs.h"

#include <stdint.h>

enum { MTH_EXPLORE_LEVELS = 3, MTH_EXPLORE_FRONT = 48 };

struct mth_explore_hooks {
    /*
     * What a spec costs on the sample of a class at a level, restored and compared. Errors: MTH_ERR_CANCELLED ends the search;
     * any other drops the spec.
     */
    int (*measure)(void *arg, size_t class_index, size_t level, const char *spec, struct mth_cost *cost);
    uint64_t (*now_ns)(void *arg);
    void *arg;
};

/* A spec on the front of a class, with what it would cost on the whole class. */
struct mth_explore_found {
    size_t spec; /* in the pool */
    size_t level;
    struct mth_cost cost;
};

struct mth_explore_class {
    char guard[32]; /* "bf16.matrix" */
    enum mth_dtype dtype;
    enum mth_tensor_class class_;
    bool has_base;                             /* some of its sample has a counterpart */
    uint64_t n_bytes, n_whole_bytes;           /* of the class, of the checkpoint */
    size_t n_levels;                           /* 1 .. MTH_EXPLORE_LEVELS */
    uint64_t sample_bytes[MTH_EXPLORE_LEVELS]; /* growing */
    /* What was found. */
    struct mth_spec_pool pool;
    size_t n_measured; /* specs that restored a sample */
    size_t n_dropped;  /* that failed on it */
    size_t n_passes;   /* measurements, of all levels */
    struct mth_explore_found front[MTH_EXPLORE_FRONT];
    size_t n_front;
};

/*
 * Successive halving with offspring: all seeds on the smallest sample; of those the better quarter, and twelve at least, on the
 * next, and so on; then the neighbours of those on the front are new seeds, until the time is up or there are none. "Better"
 * is the order of explore_front.h. Orders are shuffled with the seed, so that what is left out for lack of time is left to
 * chance. Of two that hardly differ the shorter one stays on the front.
 *
 * Errors    MTH_ERR_NO_MEMORY, MTH_ERR_CANCELLED
 * Source    K. Jamieson and A. Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, 2016;
 *           offspring one change away, as zstd's paramgrill and Blosc2's btune try them
 */
int mth_explore_search(struct mth_explore_class *at, size_t class_index, uint64_t seed, uint64_t deadline_ns,
                       const struct mth_explore_hooks *hooks);
void mth_explore_class_free(struct mth_explore_class *at);

#endif
