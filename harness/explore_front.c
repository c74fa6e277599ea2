/* Fronts of points of three costs; see explore_front.h. */
#include "harness/explore_front.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool mth_cost_dominates(const struct mth_cost *a, const struct mth_cost *b)
{
    bool smaller = false;
    for (size_t i = 0; i < MTH_N_COSTS; i++) {
        if (a->of[i] > b->of[i])
            return false;
        smaller |= a->of[i] < b->of[i];
    }
    return smaller;
}

/* ---- order ---- */

struct ordered {
    const struct mth_cost *cost;
    size_t index, rank;
    double room; /* between the neighbours along each cost, in shares of what all span, by logarithms */
    size_t along;
};

/* Points to a rank each. Equal points share one. */
static void rank_all(struct ordered *items, size_t n)
{
    size_t n_left = n;
    for (size_t rank = 0; n_left > 0; rank++) {
        for (size_t i = 0; i < n; i++) {
            bool free = items[i].rank == SIZE_MAX;
            for (size_t j = 0; free && j < n; j++)
                free = items[j].rank < rank || !mth_cost_dominates(items[j].cost, items[i].cost);
            if (free) {
                items[i].rank = rank;
                n_left--;
            }
        }
    }
}

static int compare_along(const void *left, const void *right)
{
    const struct ordered *a = left, *b = right;
    double x = a->cost->of[a->along], y = b->cost->of[b->along];
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (x < y || x > y)
        return x < y ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static int compare_room(const void *left, const void *right)
{
    const struct ordered *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->room < b->room || a->room > b->room)
        return a->room > b->room ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Times and sizes are told apart by their quotients, not by their differences. */
static double scaled(const struct mth_cost *cost, size_t along)
{
    return log1p(cost->of[along]);
}

/* Room along one cost; the outermost points of a rank have all there is. */
static void add_room(struct ordered *items, size_t n, size_t along)
{
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (size_t i = 0; i < n; i++) {
        items[i].along = along;
        least = fmin(least, scaled(items[i].cost, along));
        most = fmax(most, scaled(items[i].cost, along));
    }
    qsort(items, n, sizeof *items, compare_along);
    for (size_t i = 0; i < n; i++) {
        bool is_first = i == 0 || items[i - 1].rank != items[i].rank;
        bool is_last = i + 1 == n || items[i + 1].rank != items[i].rank;
        if (is_first || is_last)
            items[i].room = HUGE_VAL;
        else if (most > least)
            items[i].room +=
                (scaled(items[i + 1].cost, along) - scaled(items[i - 1].cost, along)) / (most - least);
    }
}

int mth_cost_order(const struct mth_cost *costs, size_t n, size_t *order, size_t *rank)
{
    struct ordered *items = calloc(n + 1, sizeof *items);
    if (!items)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        items[i] = (struct ordered){.cost = &costs[i], .index = i, .rank = SIZE_MAX};
    rank_all(items, n);
    for (size_t along = 0; along < MTH_N_COSTS; along++)
        add_room(items, n, along);
    qsort(items, n, sizeof *items, compare_room);
    for (size_t i = 0; i < n; i++) {
        order[i] = items[i].index;
        if (rank)
            rank[items[i].index] = items[i].rank;
    }
    free(items);
    return MTH_OK;
}

/* ---- sums ---- */

/* What stays of n sums: the front, and no more than capacity of it. */
static int prune(struct mth_cost_sum *sums, size_t *n, size_t capacity)
{
    struct mth_cost *costs = calloc(*n + 1, sizeof *costs);
    size_t *order = calloc(*n + 1, sizeof *order), *rank = calloc(*n + 1, sizeof *rank);
    struct mth_cost_sum *kept = calloc(capacity + 1, sizeof *kept);
    int status = costs && order && rank && kept ? MTH_OK : MTH_ERR_NO_MEMORY;
    size_t n_kept = 0;
    for (size_t i = 0; !status && i < *n; i++)
        costs[i] = sums[i].cost;
    if (!status)
        status = mth_cost_order(costs, *n, order, rank);
    for (size_t i = 0; !status && i < *n && n_kept < capacity && rank[order[i]] == 0; i++)
        kept[n_kept++] = sums[order[i]];
    if (!status) {
        memcpy(sums, kept, n_kept * sizeof *kept);
        *n = n_kept;
    }
    free(costs);
    free(order);
    free(rank);
    free(kept);
    return status;
}

int mth_cost_sums(const struct mth_cost_set *sets, size_t n_sets, struct mth_cost_sum *sums, size_t capacity,
                  size_t *n_sums)
{
    size_t most = 1, n = 1;
    for (size_t s = 0; s < n_sets; s++)
        most = sets[s].n_points > most ? sets[s].n_points : most;
    struct mth_cost_sum *wide = calloc(capacity * most + 1, sizeof *wide);
    if (!wide)
        return MTH_ERR_NO_MEMORY;
    int status = MTH_OK;
    memset(sums, 0, sizeof *sums);
    for (size_t s = 0; !status && s < n_sets; s++) {
        size_t n_wide = 0;
        for (size_t i = 0; i < n; i++) {
            for (size_t p = 0; p < sets[s].n_points; p++) {
                struct mth_cost_sum *sum = &wide[n_wide++];
                *sum = sums[i];
                sum->picks[s] = p;
                for (size_t k = 0; k < MTH_N_COSTS; k++)
                    sum->cost.of[k] += sets[s].points[p].of[k];
            }
        }
        status = prune(wide, &n_wide, capacity);
        if (!status)
            memcpy(sums, wide, n_wide * sizeof *sums);
        n = n_wide;
    }
    *n_sums = n;
    free(wide);
    return status;
}

/* ---- preference ---- */

static const struct mth_preference preferences[] = {
    {"ratio", {1, 0, 0}}, {"speed", {0, 1, 1}}, {"balanced", {4, 1, 1}}};

static const char *const cost_names[MTH_N_COSTS] = {"ratio", "compress", "decompress"};

/* "compress:2" */
static bool parse_weight(const char *text, size_t n_text, double weights[MTH_N_COSTS])
{
    enum { MAX_NUMBER = 24 };
    for (size_t i = 0; i < MTH_N_COSTS; i++) {
        size_t n = strlen(cost_names[i]);
        char number[MAX_NUMBER], *end;
        if (n_text <= n + 1 || n_text - n - 1 >= sizeof number || memcmp(text, cost_names[i], n) != 0 ||
            text[n] != ':' || weights[i] >= 0)
            continue;
        memcpy(number, text + n + 1, n_text - n - 1);
        number[n_text - n - 1] = '\0';
        double value = number[0] >= '0' && number[0] <= '9' ? strtod(number, &end) : -1;
        if (value < 0 || *end != '\0' || !(value <= 1000))
            return false;
        weights[i] = value;
        return true;
    }
    return false;
}

int mth_preference_parse(const char *text, struct mth_preference *preference, struct mth_error *err)
{
    for (size_t i = 0; i < sizeof preferences / sizeof preferences[0]; i++) {
        if (strcmp(text, preferences[i].name) == 0) {
            *preference = preferences[i];
            return MTH_OK;
        }
    }
    *preference = (struct mth_preference){.name = "weights", .weights = {-1, -1, -1}};
    bool sound = true;
    for (const char *at = text; sound && *at;) {
        size_t n = strcspn(at, ",");
        sound = parse_weight(at, n, preference->weights) && (at[n] == '\0' || at[n + 1] != '\0');
        at += n + (at[n] == ',');
    }
    double sum = 0;
    for (size_t i = 0; i < MTH_N_COSTS; i++) {
        preference->weights[i] = preference->weights[i] > 0 ? preference->weights[i] : 0;
        sum += preference->weights[i];
    }
    return sound && sum > 0 ? MTH_OK
                            : mth_error_set(err, MTH_ERR_USAGE,
                                            "--prefer %.60s: ratio, speed, balanced, or weights such as "
                                            "ratio:4,compress:1,decompress:1",
                                            text);
}

static double gain(const struct mth_cost *cost, double raw_bytes)
{
    return cost->of[MTH_COST_BYTES] > 0 ? log(raw_bytes / cost->of[MTH_COST_BYTES]) : HUGE_VAL;
}

/* The logarithm of the product; with_weight false: of the costs that have none, each counted once. */
static double score(const struct mth_preference *preference, const struct mth_cost *cost, double raw_bytes,
                    bool with_weight)
{
    double sum = 0;
    for (size_t i = 0; i < MTH_N_COSTS; i++) {
        double weight = preference->weights[i];
        double value = i == MTH_COST_BYTES ? gain(cost, raw_bytes) : 1 / cost->of[i];
        if (with_weight ? weight > 0 : !(weight > 0))
            sum += (with_weight ? weight : 1) * log(value);
    }
    return sum;
}

size_t mth_preference_pick(const struct mth_preference *preference, const struct mth_cost *costs, size_t n,
                           double raw_bytes)
{
    double best_gain = -HUGE_VAL;
    size_t picked = n;
    for (size_t i = 0; i < n; i++)
        best_gain = fmax(best_gain, gain(&costs[i], raw_bytes));
    for (size_t i = 0; i < n; i++) {
        double of_this = gain(&costs[i], raw_bytes);
        /* Where nothing shrinks, what grows least. */
        if (best_gain > 0 ? of_this < best_gain / 2 : of_this < best_gain)
            continue;
        if (picked == n || best_gain <= 0) {
            picked = picked == n ? i : picked;
            continue;
        }
        double a = score(preference, &costs[i], raw_bytes, true),
               b = score(preference, &costs[picked], raw_bytes, true);
        if (a > b || (!(a < b) && score(preference, &costs[i], raw_bytes, false) >
                                      score(preference, &costs[picked], raw_bytes, false)))
            picked = i;
    }
    return picked;
}
