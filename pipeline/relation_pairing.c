/*
 * Which weights belong to what an optimizer keeps of its parameters by number, where no file tells; see relation_replay.h.
 *
 * Files of weights are in another order than the optimizer: safetensors' writers sort names, groups part what decays from what does
 * not. So the weights of one shape, in the order of their names with numbers in them as numbers, are tried from the place on where the
 * state stands among those of that shape, nearest first: layers stay together, and what is in one layer is soon through.
 */
#include "pipeline/relation_replay.h"

#include <stdlib.h>
#include <string.h>

/* A layer's tensors of one shape are few: the right ones are among the nearest. */
enum { MAX_NEAREST = 16, MAX_TRIED = 64, MAX_TRIED_IN_ALL = 1 << 16 };

/*
 * Bits a value that the weights' own move makes a prediction nearer by: what is taken, and what others need not be looked at for. Nothing but
 * its own step fits a tensor that made one. Of several something fits others, where gradients of layers are alike, but less than their own: all
 * that are near are tried then.
 */
#define MIN_GAIN     0.05
#define CERTAIN_GAIN 0.25

/* Weights without a state. */
struct candidate {
    const struct mth_region_map *map;
    uint32_t tensor;
    bool is_used;
};

struct pairing {
    struct mth_replay_search *search;
    struct candidate *candidates;
    size_t n_candidates;
    uint32_t *n_before; /* for each candidate that begins a shape: states of that shape that were looked at */
    size_t n_tried;
};

/* ---- candidates ---- */

static int compare_shapes(const struct mth_region_map *map, const struct mth_tensor *a,
                          const struct mth_tensor *b)
{
    if (a->n_dims != b->n_dims)
        return a->n_dims < b->n_dims ? -1 : 1;
    for (size_t i = 0; i < a->n_dims; i++) {
        uint64_t x = mth_tensor_shape(map, a)[i], y = mth_tensor_shape(map, b)[i];
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* By name, "h.2" before "h.10". */
static int compare_names(const char *a, const char *b)
{
    while (*a && *b) {
        if (is_digit(*a) && is_digit(*b)) {
            size_t n_a = strspn(a, "0123456789"), n_b = strspn(b, "0123456789");
            int order = n_a != n_b ? (n_a < n_b ? -1 : 1) : memcmp(a, b, n_a);
            if (order)
                return order;
            a += n_a;
            b += n_b;
        } else if (*a != *b) {
            break;
        } else {
            a++;
            b++;
        }
    }
    return (unsigned char)*a - (unsigned char)*b;
}

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    const struct mth_region_map *map = a->map;
    const struct mth_tensor *x = &map->tensors[a->tensor], *y = &map->tensors[b->tensor];
    int order = compare_shapes(map, x, y);
    if (!order)
        order = compare_names(mth_tensor_name(map, x), mth_tensor_name(map, y));
    return order ? order : (a->tensor > b->tensor) - (a->tensor < b->tensor);
}

static int list_candidates(struct pairing *p, const struct mth_kept_tensors *kept)
{
    const struct mth_replay_search *s = p->search;
    const struct mth_region_map *map = s->map;
    p->candidates = mth_memory_calloc(s->families->memory, map->n_tensors + 1, sizeof *p->candidates);
    p->n_before = mth_memory_calloc(s->families->memory, map->n_tensors + 1, sizeof *p->n_before);
    if (!p->candidates || !p->n_before)
        return MTH_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < map->n_tensors; i++) {
        const struct mth_tensor *tensor = &map->tensors[i];
        if (tensor->role == MTH_ROLE_WEIGHT && kept[i].tensors[MTH_KEPT_W] == MTH_NO_TENSOR &&
            mth_replay_take_weights(p->search, i) && s->parameter.regions[MTH_KEPT_W] == tensor->region)
            p->candidates[p->n_candidates++] = (struct candidate){.map = map, .tensor = i};
    }
    if (p->n_candidates)
        qsort(p->candidates, p->n_candidates, sizeof *p->candidates, compare_candidates);
    return MTH_OK;
}

/* Where candidates of a tensor's shape begin, or would; with is_behind, where they end. */
static size_t bound_of(const struct pairing *p, const struct mth_tensor *tensor, bool is_behind)
{
    const struct mth_region_map *map = p->search->map;
    size_t low = 0, high = p->n_candidates;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_shapes(map, &map->tensors[p->candidates[middle].tensor], tensor);
        if (order < 0 || (is_behind && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- pairing ---- */

/* What a lone state is; false where its parameter is known by now, or it is none. */
static bool list_state(const struct mth_region_map *map, const struct mth_lone_state *state,
                       struct mth_kept_tensors *kept)
{
    bool has_any = false;
    memset(kept, 0xff, sizeof *kept);
    for (uint32_t i = state->first; i < state->end; i++) {
        enum mth_kept is = mth_kept_of(mth_tensor_name(map, &map->tensors[i]));
        if (mth_tensor_param(map, &map->tensors[i]))
            return false;
        if (is == MTH_N_KEPT || kept->tensors[is] != MTH_NO_TENSOR)
            continue;
        kept->tensors[is] = i;
        has_any |= is != MTH_KEPT_STEP;
    }
    return has_any;
}

/* How much nearer predictions are with a candidate. */
static int try_candidate(struct pairing *p, const struct candidate *candidate, double *gain)
{
    struct mth_replay_search *s = p->search;
    *gain = 0;
    if (candidate->is_used || !mth_replay_take_weights(s, candidate->tensor))
        return MTH_OK;
    p->n_tried++;
    int status = mth_replay_read_sample(s, MTH_KEPT_W);
    if (!status)
        *gain = mth_replay_gain_of_weights(&s->parameter);
    return status;
}

/* The best of those from first to end, from a place on; NULL: none. */
static int find_weights(struct pairing *p, size_t first, size_t end, size_t place, struct candidate **best)
{
    double most = MIN_GAIN, gain;
    int status = MTH_OK;
    *best = NULL;
    size_t n_nearest = p->search->parameter.n_steps > 1 ? MAX_NEAREST : 0;
    for (size_t i = 0;
         i < MAX_TRIED && (most < CERTAIN_GAIN || i < n_nearest) && p->n_tried < MAX_TRIED_IN_ALL; i++) {
        /* 0, 1 behind, 1 before, 2 behind, ... */
        size_t away = (i + 1) / 2;
        bool is_inside = i % 2 ? away < end - place : away <= place - first;
        if (!is_inside)
            continue;
        struct candidate *candidate = &p->candidates[i % 2 ? place + away : place - away];
        status = try_candidate(p, candidate, &gain);
        if (status)
            return status;
        if (gain > most) {
            most = gain;
            *best = candidate;
        }
    }
    return MTH_OK;
}

/* A state that is to be followed, and has a group that says by what arithmetic. */
static int pair(struct pairing *p, const struct mth_kept_tensors *state, struct candidate **found)
{
    struct mth_replay_search *s = p->search;
    const struct mth_region_map *map = s->map;
    bool is_known;
    uint32_t any = MTH_NO_TENSOR;
    *found = NULL;
    int status = mth_replay_take_state(s, state, &is_known);
    if (status || !is_known || !s->parameter.group)
        return status;
    for (size_t i = MTH_KEPT_W + 1; !status && i < MTH_KEPT_STEP; i++) {
        if (state->tensors[i] == MTH_NO_TENSOR)
            continue;
        any = state->tensors[i];
        status = mth_replay_read_sample(s, (enum mth_kept)i);
    }
    size_t first = bound_of(p, &map->tensors[any], false), end = bound_of(p, &map->tensors[any], true);
    if (status || first == end)
        return status;
    size_t place = first + p->n_before[first]++;
    return find_weights(p, first, end, place < end ? place : end - 1, found);
}

int mth_replay_pair_lone_states(struct mth_replay_search *search, struct mth_kept_tensors *kept,
                                struct mth_kept_tensors **lone)
{
    const struct mth_region_map *map = search->map;
    struct mth_memory *memory = search->families->memory;
    struct pairing p = {.search = search};
    *lone = mth_memory_alloc(memory, map->n_lone_states * sizeof **lone);
    int status = *lone ? list_candidates(&p, kept) : MTH_ERR_NO_MEMORY;
    for (size_t i = 0; !status && i < map->n_lone_states; i++) {
        struct mth_kept_tensors *state = &(*lone)[i];
        struct candidate *found = NULL;
        if (!list_state(map, &map->lone_states[i], state)) {
            memset(state, 0xff, sizeof *state);
            continue;
        }
        status = pair(&p, state, &found);
        if (status || !found)
            continue;
        found->is_used = true;
        kept[found->tensor] = *state;
        kept[found->tensor].tensors[MTH_KEPT_W] = found->tensor;
        memset(state, 0xff, sizeof *state);
    }
    mth_memory_free(memory, p.candidates);
    mth_memory_free(memory, p.n_before);
    return status;
}
