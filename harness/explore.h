/*
 * `mithril explore`: the specs of a checkpoint on the Pareto front of ratio and both speeds. Searched by class on samples
 * (explore_search.h), put together (explore_front.h), then measured in full by the benchmark. docs/explore.md.
 */
#ifndef MTH_HARNESS_EXPLORE_H
#define MTH_HARNESS_EXPLORE_H

#include "harness/bench.h"
#include "harness/explore_search.h"

enum { MTH_EXPLORE_SUMS = 64, MTH_EXPLORE_CELLS = 24 };

/* A spec for whole checkpoints, and what it should cost. */
struct mth_explore_pick {
    char *spec;
    struct mth_cost cost;
    bool is_preset;
    bool relates; /* is one before, with copies and steps of an optimizer found */
};

struct mth_exploration {
    struct mth_explore_class classes[MTH_MAX_COST_SETS];
    size_t n_classes;
    struct mth_explore_pick *picks; /* sums of classes, then presets */
    size_t n_picks, capacity;
    struct mth_preference preference;
    double budget_s;
    double spent_s[4]; /* loading, searching, measuring in full, all */
    /* Behind the measuring: indices into the case's cells. */
    size_t front[MTH_EXPLORE_CELLS];
    size_t n_front;
    size_t winner; /* n_cells: none */
};

/* ---- explore_join.c: specs of classes put together ---- */

/* The front of sums over all classes as picks. Errors: MTH_ERR_NO_MEMORY. */
int mth_explore_join(struct mth_exploration *exploration);
/* The spec that codes each class as picked; classes of a dtype that agree share a guard. The caller frees it; NULL: no memory, or
 * longer than a spec may be. */
char *mth_explore_join_spec(const struct mth_explore_class *classes, size_t n_classes, const size_t *picks);
int mth_explore_add_pick(struct mth_exploration *exploration, const char *spec, const struct mth_cost *cost,
                         bool is_preset);
void mth_exploration_free(struct mth_exploration *exploration);

/*
 * Which picks to measure in full: first what each preference would take, of sums and of presets, then what relates, then others
 * in the order of fronts, until cost_ns of them (and of what measuring each takes besides) reaches limit_ns.
 *
 * Shape     chosen[MTH_EXPLORE_CELLS]; passes: how often each is run
 */
int mth_explore_choose(const struct mth_exploration *exploration, double raw_bytes, double passes,
                       double besides_ns, double limit_ns, size_t chosen[MTH_EXPLORE_CELLS], size_t *n_chosen,
                       struct mth_error *err);

/* ---- explore_rows.c ---- */

/* The measured cells' costs, the front among them and the winner. Errors: MTH_ERR_NO_MEMORY. */
int mth_explore_conclude(struct mth_exploration *exploration, const struct mth_bench_case *at);
void mth_explore_print(const struct mth_exploration *exploration, const struct mth_bench *bench, FILE *out);
/* The row of kind explore, behind those of the benchmark. Errors: MTH_ERR_NO_MEMORY, MTH_ERR_IO. */
int mth_explore_write_row(const struct mth_exploration *exploration, const struct mth_bench *bench,
                          FILE *out);

#endif
