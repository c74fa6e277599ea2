/* Specs for whole checkpoints from those of its classes; see explore.h. */
#include "harness/explore.h"

#include <stdlib.h>
#include <string.h>

static const char *spec_of(const struct mth_explore_class *at, size_t pick)
{
    return at->pool.items[at->front[pick].spec];
}

/* Do all classes of this one's dtype have the same spec? */
static bool dtype_agrees(const struct mth_explore_class *classes, size_t n, const size_t *picks, size_t index)
{
    for (size_t i = 0; i < n; i++) {
        if (classes[i].dtype == classes[index].dtype &&
            strcmp(spec_of(&classes[i], picks[i]), spec_of(&classes[index], picks[index])) != 0)
            return false;
    }
    return true;
}

static bool dtype_came_before(const struct mth_explore_class *classes, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (classes[i].dtype == classes[index].dtype)
            return true;
    }
    return false;
}

char *mth_explore_join_spec(const struct mth_explore_class *classes, size_t n_classes, const size_t *picks)
{
    enum { MAX_TEXT = 4096 };
    char *text = malloc(MAX_TEXT), brief[MAX_TEXT];
    size_t used = 0;
    struct mth_pipeline *pipeline = NULL;
    struct mth_error err;
    if (!text)
        return NULL;
    for (size_t i = 0; i < n_classes && used < MAX_TEXT; i++) {
        bool agrees = dtype_agrees(classes, n_classes, picks, i);
        if (agrees && dtype_came_before(classes, i))
            continue;
        (void)mth_explore_short(spec_of(&classes[i], picks[i]), brief, sizeof brief);
        /* "bf16" of "bf16.matrix" */
        size_t n_guard = agrees ? strcspn(classes[i].guard, ".") : strlen(classes[i].guard);
        used += (size_t)snprintf(text + used, MAX_TEXT - used, "%s%.*s=%s", used ? "," : "", (int)n_guard,
                                 classes[i].guard, brief);
    }
    if (used < MAX_TEXT && mth_pipeline_parse(text, true, &pipeline, &err) == MTH_OK) {
        mth_pipeline_destroy(pipeline);
        return text;
    }
    free(text);
    return NULL;
}

int mth_explore_add_pick(struct mth_exploration *exploration, const char *spec, const struct mth_cost *cost,
                         bool is_preset)
{
    size_t n = strlen(spec) + 1;
    if (exploration->n_picks == exploration->capacity) {
        size_t capacity = 2 * exploration->capacity + 32;
        struct mth_explore_pick *picks = realloc(exploration->picks, capacity * sizeof *picks);
        if (!picks)
            return MTH_ERR_NO_MEMORY;
        exploration->picks = picks;
        exploration->capacity = capacity;
    }
    char *copy = malloc(n);
    if (!copy)
        return MTH_ERR_NO_MEMORY;
    memcpy(copy, spec, n);
    exploration->picks[exploration->n_picks++] =
        (struct mth_explore_pick){.spec = copy, .cost = *cost, .is_preset = is_preset};
    return MTH_OK;
}

void mth_exploration_free(struct mth_exploration *exploration)
{
    for (size_t i = 0; i < exploration->n_classes; i++)
        mth_explore_class_free(&exploration->classes[i]);
    for (size_t i = 0; i < exploration->n_picks; i++)
        free(exploration->picks[i].spec);
    free(exploration->picks);
}

/* What would be taken, with copies and steps of an optimizer found as well: samples do not tell what that brings. */
static int add_related(struct mth_exploration *exploration)
{
    enum { MAX_TEXT = 4096 };
    struct mth_cost costs[MTH_EXPLORE_SUMS] = {0};
    double raw_bytes = 0;
    char text[MAX_TEXT + 16];
    for (size_t c = 0; c < exploration->n_classes; c++)
        raw_bytes += (double)exploration->classes[c].n_bytes;
    for (size_t i = 0; i < exploration->n_picks; i++)
        costs[i] = exploration->picks[i].cost;
    size_t best = mth_preference_pick(&exploration->preference, costs, exploration->n_picks, raw_bytes);
    if (best == exploration->n_picks)
        return MTH_OK;
    snprintf(text, sizeof text, "%s,related", exploration->picks[best].spec);
    int status = mth_explore_add_pick(exploration, text, &costs[best], false);
    if (!status)
        exploration->picks[exploration->n_picks - 1].relates = true;
    return status;
}

int mth_explore_join(struct mth_exploration *exploration)
{
    struct mth_cost points[MTH_MAX_COST_SETS][MTH_EXPLORE_FRONT];
    struct mth_cost_set sets[MTH_MAX_COST_SETS];
    struct mth_explore_class searched[MTH_MAX_COST_SETS];
    struct mth_cost_sum *sums = calloc(MTH_EXPLORE_SUMS, sizeof *sums);
    size_t n_sets = 0, n_sums = 0;
    if (!sums)
        return MTH_ERR_NO_MEMORY;
    /* A class of which nothing is known is coded by what stands in. */
    for (size_t c = 0; c < exploration->n_classes; c++) {
        const struct mth_explore_class *at = &exploration->classes[c];
        if (at->n_front == 0)
            continue;
        for (size_t i = 0; i < at->n_front; i++)
            points[n_sets][i] = at->front[i].cost;
        sets[n_sets] = (struct mth_cost_set){points[n_sets], at->n_front};
        searched[n_sets++] = *at;
    }
    int status = n_sets ? mth_cost_sums(sets, n_sets, sums, MTH_EXPLORE_SUMS, &n_sums) : MTH_OK;
    for (size_t i = 0; !status && i < n_sums; i++) {
        char *spec = mth_explore_join_spec(searched, n_sets, sums[i].picks);
        if (spec)
            status = mth_explore_add_pick(exploration, spec, &sums[i].cost, false);
        free(spec);
    }
    free(sums);
    return status ? status : add_related(exploration);
}

/* ---- what is measured in full ---- */

struct choice {
    const struct mth_exploration *exploration;
    double per_cell_ns, passes, left_ns;
    size_t *chosen, *n_chosen;
};

static bool choose_one(struct choice *choice, size_t index)
{
    const struct mth_cost *cost = &choice->exploration->picks[index].cost;
    double ns =
        choice->per_cell_ns + choice->passes * (cost->of[MTH_COST_COMPRESS] + cost->of[MTH_COST_DECOMPRESS]);
    for (size_t i = 0; i < *choice->n_chosen; i++) {
        if (choice->chosen[i] == index)
            return true;
    }
    if (*choice->n_chosen == MTH_EXPLORE_CELLS || ns > choice->left_ns)
        return false;
    choice->left_ns -= ns;
    choice->chosen[(*choice->n_chosen)++] = index;
    return true;
}

/* What a preference would take of the sums, or of the presets. */
static void choose_preferred(struct choice *choice, const struct mth_preference *preference, double raw_bytes,
                             bool presets, struct mth_cost *costs, size_t *members)
{
    size_t n = 0;
    for (size_t i = 0; i < choice->exploration->n_picks; i++) {
        if (choice->exploration->picks[i].is_preset != presets)
            continue;
        costs[n] = choice->exploration->picks[i].cost;
        members[n++] = i;
    }
    size_t best = mth_preference_pick(preference, costs, n, raw_bytes);
    if (best < n)
        choose_one(choice, members[best]);
}

int mth_explore_choose(const struct mth_exploration *exploration, double raw_bytes, double passes,
                       double besides_ns, double limit_ns, size_t chosen[MTH_EXPLORE_CELLS], size_t *n_chosen,
                       struct mth_error *err)
{
    static const char *const names[] = {"balanced", "speed", "ratio"};
    size_t n = exploration->n_picks;
    struct mth_cost *costs = calloc(n + 1, sizeof *costs);
    size_t *order = calloc(n + 1, sizeof *order);
    struct choice choice = {.exploration = exploration,
                            .per_cell_ns = besides_ns,
                            .passes = passes,
                            .left_ns = limit_ns,
                            .chosen = chosen,
                            .n_chosen = n_chosen};
    int status = costs && order ? MTH_OK : MTH_ERR_NO_MEMORY;
    *n_chosen = 0;
    for (size_t k = 0; !status && k < 2; k++) {
        struct mth_preference preference;
        choose_preferred(&choice, &exploration->preference, raw_bytes, k == 1, costs, order);
        for (size_t i = 0; !status && i < sizeof names / sizeof names[0]; i++) {
            status = mth_preference_parse(names[i], &preference, err);
            if (!status)
                choose_preferred(&choice, &preference, raw_bytes, k == 1, costs, order);
        }
    }
    /* No sample tells what that brings. */
    for (size_t i = 0; !status && i < n; i++) {
        if (exploration->picks[i].relates)
            choose_one(&choice, i);
    }
    for (size_t i = 0; !status && i < n; i++)
        costs[i] = exploration->picks[i].cost;
    if (!status)
        status = mth_cost_order(costs, n, order, NULL);
    for (size_t i = 0; !status && i < n; i++)
        choose_one(&choice, order[i]);
    free(costs);
    free(order);
    return status;
}
