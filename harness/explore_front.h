/*
 * Points of three costs (bytes, time to compress, time to decompress), all to be small: which are on the front, in what order
 * others follow, what sums of them there are, and which is the one to take. No clock is read here.
 */
#ifndef MTH_HARNESS_EXPLORE_FRONT_H
#define MTH_HARNESS_EXPLORE_FRONT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { MTH_COST_BYTES = 0, MTH_COST_COMPRESS, MTH_COST_DECOMPRESS, MTH_N_COSTS };

/* Bytes stored, and nanoseconds each way. */
struct mth_cost {
    double of[MTH_N_COSTS];
};

/* As small in everything, and smaller in something? */
bool mth_cost_dominates(const struct mth_cost *a, const struct mth_cost *b);

/*
 * Order points: those that no other dominates, then those that only the former do, and so on. Within such a rank those
 * that stand apart from their neighbours come first, and of equals the one that came first.
 *
 * Shape     order[n] gets the indices; rank[n] the number of each point's rank, from 0; rank may be NULL
 * Errors    MTH_ERR_NO_MEMORY
 * Cost      n^2 comparisons a rank
 * Source    K. Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, 2002, sections III-A and III-B
 */
int mth_cost_order(const struct mth_cost *costs, size_t n, size_t *order, size_t *rank);

/* A set of points to pick one from: a class of tensors. */
struct mth_cost_set {
    const struct mth_cost *points;
    size_t n_points;
};

/* A point of each set, and their sum. */
enum { MTH_MAX_COST_SETS = 8 };
struct mth_cost_sum {
    struct mth_cost cost;
    size_t picks[MTH_MAX_COST_SETS];
};

/*
 * The front of all sums of a point from each set; where it has more points than sums hold, those in front by the order above.
 *
 * Shape     n_sets up to MTH_MAX_COST_SETS, none empty; sums[capacity]
 * Errors    MTH_ERR_NO_MEMORY
 */
int mth_cost_sums(const struct mth_cost_set *sets, size_t n_sets, struct mth_cost_sum *sums, size_t capacity,
                  size_t *n_sums);

/* How much each cost weighs in choosing. */
struct mth_preference {
    const char *name; /* "balanced"; "weights" where they were given */
    double weights[MTH_N_COSTS];
};

/*
 * "ratio", "speed", "balanced", or weights: "ratio:4,compress:1,decompress:1", of which some may be left out.
 * Errors: MTH_ERR_USAGE.
 */
int mth_preference_parse(const char *text, struct mth_preference *preference, struct mth_error *err);

/*
 * The point to take: of those that shrink raw_bytes by at least half as much as the best does (by the logarithm of the
 * ratio), the one with the largest product of shares of the best, each to the power of its weight: logarithm of the ratio, and both
 * speeds. Of equals the one whose costs without weight are smaller, then the first. n for no points.
 */
size_t mth_preference_pick(const struct mth_preference *preference, const struct mth_cost *costs, size_t n,
                           double raw_bytes);

#endif
