/* Successive halving over the specs of a class; see explore_search.h. */
#include "harness/explore_search.h"

#include "harness/statistics.h"

#include <stdlib.h>
#include <string.h>

enum {
    KEPT_SHARE = 4,     /* one of so many goes on to the next level */
    MIN_KEPT = 12,      /* so many at least */
    MAX_OFFSPRING = 128 /* new specs in a generation */
};

/* What is known of the spec of the same number in the pool. */
struct candidate {
    struct mth_cost costs[MTH_EXPLORE_LEVELS];
    size_t n_levels; /* measured so far */
    bool dropped, expanded;
};

struct search {
    struct mth_explore_class *at;
    size_t class_index;
    const struct mth_explore_hooks *hooks;
    uint64_t random, deadline_ns;
    struct candidate *candidates; /* n_known, as many as the pool has */
    size_t n_known;
    size_t *pending; /* not measured yet, of capacity n_known */
    size_t n_pending;
};

/* Candidates for what came into the pool; they are pending. */
static int take_in(struct search *s)
{
    size_t n = s->at->pool.n_items;
    struct candidate *candidates = realloc(s->candidates, (n + 1) * sizeof *candidates);
    if (!candidates)
        return MTH_ERR_NO_MEMORY;
    s->candidates = candidates;
    size_t *pending = realloc(s->pending, (n + 1) * sizeof *pending);
    if (!pending)
        return MTH_ERR_NO_MEMORY;
    s->pending = pending;
    for (; s->n_known < n; s->n_known++) {
        s->candidates[s->n_known] = (struct candidate){.n_levels = 0};
        s->pending[s->n_pending++] = s->n_known;
    }
    return MTH_OK;
}

static void shuffle_pending(struct search *s)
{
    for (size_t i = s->n_pending; i > 1; i--) {
        size_t j = mth_random_below(&s->random, i), swap = s->pending[i - 1];
        s->pending[i - 1] = s->pending[j];
        s->pending[j] = swap;
    }
}

static bool time_is_up(const struct search *s)
{
    return s->hooks->now_ns(s->hooks->arg) >= s->deadline_ns;
}

/* Would the next level take more than half of what is left? Three passes are what a measurement is. */
static bool is_too_slow(const struct search *s, const struct candidate *candidate, size_t level)
{
    enum { N_PASSES = 3 };
    if (level == 0)
        return false;
    const struct mth_cost *before = &candidate->costs[level - 1];
    double growth = (double)s->at->sample_bytes[level] / (double)s->at->sample_bytes[level - 1];
    double ns = (before->of[MTH_COST_COMPRESS] + before->of[MTH_COST_DECOMPRESS]) * growth * N_PASSES;
    uint64_t now = s->hooks->now_ns(s->hooks->arg);
    return now >= s->deadline_ns || ns > (double)(s->deadline_ns - now) / 2;
}

static int measure(struct search *s, size_t index, size_t level)
{
    struct candidate *candidate = &s->candidates[index];
    int status = s->hooks->measure(s->hooks->arg, s->class_index, level, s->at->pool.items[index],
                                   &candidate->costs[level]);
    if (status == MTH_ERR_CANCELLED)
        return status;
    s->at->n_passes++;
    candidate->dropped = status != MTH_OK;
    s->at->n_dropped += candidate->dropped;
    if (!candidate->dropped && level == 0)
        s->at->n_measured++;
    if (!candidate->dropped)
        candidate->n_levels = level + 1;
    return MTH_OK;
}

/* New specs on the smallest sample, in the order of pending, at most so many. */
static int measure_pending(struct search *s, size_t n_most)
{
    size_t n = 0;
    int status = MTH_OK;
    while (!status && n < s->n_pending && n < n_most && !time_is_up(s))
        status = measure(s, s->pending[n++], 0);
    s->n_pending -= n;
    for (size_t i = 0; i < s->n_pending; i++)
        s->pending[i] = s->pending[i + n];
    return status;
}

/* The candidates that were measured at a level, the better ones first. The caller frees *order. */
static int order_at(const struct search *s, size_t level, size_t **order, size_t **rank, size_t *n)
{
    struct mth_cost *costs = calloc(s->n_known + 1, sizeof *costs);
    size_t *members = calloc(s->n_known + 1, sizeof *members),
           *places = calloc(s->n_known + 1, sizeof *places);
    size_t *ranks = calloc(s->n_known + 1, sizeof *ranks);
    int status = costs && members && places && ranks ? MTH_OK : MTH_ERR_NO_MEMORY;
    *n = 0;
    for (size_t i = 0; !status && i < s->n_known; i++) {
        if (s->candidates[i].dropped || s->candidates[i].n_levels <= level)
            continue;
        costs[*n] = s->candidates[i].costs[level];
        members[(*n)++] = i;
    }
    if (!status)
        status = mth_cost_order(costs, *n, places, ranks);
    for (size_t i = 0; !status && i < *n; i++) {
        size_t place = places[i];
        places[i] = members[place];
        costs[i].of[0] = (double)ranks[place];
    }
    for (size_t i = 0; !status && i < *n; i++)
        ranks[i] = (size_t)costs[i].of[0];
    free(costs);
    free(members);
    *order = places;
    *rank = ranks;
    return status;
}

/* The better ones of a level on the sample of the next. */
static int promote(struct search *s, size_t level)
{
    size_t *order = NULL, *rank = NULL, n = 0;
    int status = order_at(s, level - 1, &order, &rank, &n);
    size_t n_kept = n / KEPT_SHARE > MIN_KEPT ? n / KEPT_SHARE : MIN_KEPT;
    for (size_t i = 0; !status && i < n && i < n_kept && !time_is_up(s); i++) {
        struct candidate *candidate = &s->candidates[order[i]];
        if (candidate->n_levels == level && !is_too_slow(s, candidate, level))
            status = measure(s, order[i], level);
    }
    free(order);
    free(rank);
    return status;
}

/* The highest level that anything was measured at. */
static size_t top_level(const struct search *s)
{
    size_t n_levels = 0;
    for (size_t i = 0; i < s->n_known; i++) {
        if (!s->candidates[i].dropped && s->candidates[i].n_levels > n_levels)
            n_levels = s->candidates[i].n_levels;
    }
    return n_levels ? n_levels - 1 : 0;
}

/* Neighbours of those on the front that had none yet. *any: there were some. */
static int breed(struct search *s, bool *any)
{
    size_t *order = NULL, *rank = NULL, n = 0, n_before = s->at->pool.n_items;
    int status = order_at(s, top_level(s), &order, &rank, &n);
    for (size_t i = 0; !status && i < n && rank[i] == 0; i++) {
        struct candidate *candidate = &s->candidates[order[i]];
        if (candidate->expanded || s->at->pool.n_items > n_before + MAX_OFFSPRING * KEPT_SHARE)
            continue;
        candidate->expanded = true;
        status =
            mth_explore_neighbours(s->at->pool.items[order[i]], s->at->dtype, s->at->has_base, &s->at->pool);
        status = status == MTH_ERR_SPEC ? MTH_OK : status;
    }
    if (!status)
        status = take_in(s);
    if (!status)
        shuffle_pending(s);
    *any = s->n_pending > 0;
    free(order);
    free(rank);
    return status;
}

static int run_generation(struct search *s, size_t n_most)
{
    int status = measure_pending(s, n_most);
    for (size_t level = 1; !status && level < s->at->n_levels; level++)
        status = promote(s, level);
    return status;
}

/*
 * Is there a shorter spec that is hardly worse: by a thousandth of the bytes and a tenth of the time, which is what times of
 * samples are good for; or by what the whole checkpoint would not notice?
 */
static bool has_shorter(const struct mth_explore_class *at, size_t index)
{
    const struct mth_explore_found *found = &at->front[index];
    double whole = (double)at->n_whole_bytes;
    const double slack[MTH_N_COSTS] = {1e-3 * found->cost.of[MTH_COST_BYTES] + 1e-4 * whole,
                                       0.1 * found->cost.of[MTH_COST_COMPRESS] + 1e-2 * whole,
                                       0.1 * found->cost.of[MTH_COST_DECOMPRESS] + 1e-2 * whole};
    for (size_t i = 0; i < at->n_front; i++) {
        const struct mth_explore_found *other = &at->front[i];
        size_t n = strlen(at->pool.items[other->spec]), n_found = strlen(at->pool.items[found->spec]);
        bool near = n < n_found;
        for (size_t k = 0; near && k < MTH_N_COSTS; k++)
            near = other->cost.of[k] <= found->cost.of[k] + slack[k];
        if (near)
            return true;
    }
    return false;
}

/* Takes them away from the longest on, so that each one's shorter neighbour is still there when it is asked. */
static void prefer_shorter(struct mth_explore_class *at)
{
    for (;;) {
        size_t longest = at->n_front, n_longest = 0;
        for (size_t i = 0; i < at->n_front; i++) {
            size_t n = strlen(at->pool.items[at->front[i].spec]);
            if (n > n_longest && has_shorter(at, i)) {
                longest = i;
                n_longest = n;
            }
        }
        if (longest == at->n_front)
            return;
        at->n_front--;
        for (size_t i = longest; i < at->n_front; i++)
            at->front[i] = at->front[i + 1];
    }
}

/* The front over the two highest levels, each cost as it would be on the whole class. */
static int conclude(struct search *s)
{
    struct mth_explore_class *at = s->at;
    struct mth_cost *costs = calloc(s->n_known + 1, sizeof *costs);
    size_t *members = calloc(s->n_known + 1, sizeof *members), *order = calloc(s->n_known + 1, sizeof *order);
    size_t *rank = calloc(s->n_known + 1, sizeof *rank), n = 0, top = top_level(s);
    int status = costs && members && order && rank ? MTH_OK : MTH_ERR_NO_MEMORY;
    for (size_t i = 0; !status && i < s->n_known; i++) {
        const struct candidate *candidate = &s->candidates[i];
        if (candidate->dropped || candidate->n_levels == 0 || candidate->n_levels < top)
            continue;
        size_t level = candidate->n_levels - 1;
        double growth = (double)at->n_bytes / (double)at->sample_bytes[level];
        for (size_t k = 0; k < MTH_N_COSTS; k++)
            costs[n].of[k] = candidate->costs[level].of[k] * growth;
        members[n++] = i;
    }
    if (!status)
        status = mth_cost_order(costs, n, order, rank);
    at->n_front = 0;
    for (size_t i = 0; !status && i < n && at->n_front < MTH_EXPLORE_FRONT && rank[order[i]] == 0; i++) {
        size_t index = members[order[i]];
        at->front[at->n_front++] = (struct mth_explore_found){
            .spec = index, .level = s->candidates[index].n_levels - 1, .cost = costs[order[i]]};
    }
    prefer_shorter(at);
    free(costs);
    free(members);
    free(order);
    free(rank);
    return status;
}

int mth_explore_search(struct mth_explore_class *at, size_t class_index, uint64_t seed, uint64_t deadline_ns,
                       const struct mth_explore_hooks *hooks)
{
    struct search s = {
        .at = at, .class_index = class_index, .hooks = hooks, .random = seed, .deadline_ns = deadline_ns};
    bool any = true;
    /* Presets first: what is known to be good is not left to chance. */
    int status = mth_explore_preset_seeds(at->dtype, at->has_base, &at->pool);
    if (!status)
        status = take_in(&s);
    if (!status)
        status = measure_pending(&s, SIZE_MAX);
    if (!status)
        status = mth_explore_seeds(at->dtype, at->has_base, &at->pool);
    if (!status)
        status = take_in(&s);
    if (!status)
        shuffle_pending(&s);
    /* Half of the time is for seeds alone, where they take that long. */
    uint64_t now = hooks->now_ns(hooks->arg);
    if (!status && deadline_ns > now) {
        s.deadline_ns = now + (deadline_ns - now) / 2;
        status = measure_pending(&s, SIZE_MAX);
        s.deadline_ns = deadline_ns;
    }
    if (!status)
        status = run_generation(&s, 0);
    while (!status && any && !time_is_up(&s)) {
        status = breed(&s, &any);
        if (!status)
            status = run_generation(&s, MAX_OFFSPRING);
    }
    if (!status)
        status = conclude(&s);
    free(s.candidates);
    free(s.pending);
    return status;
}

void mth_explore_class_free(struct mth_explore_class *at)
{
    mth_spec_pool_free(&at->pool);
}
