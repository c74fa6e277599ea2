/* Matching an optimizer's state with the parameters it is kept for; see torch_optimizer.h. */
#include "formats/torch_optimizer.h"

#include "base/checked.h"
#include "formats/name_index.h"

#include <stdlib.h>
#include <string.h>

/* Bounds of the work: ranges that are looked through for an optimizer, optimizers of a file, and a name. */
enum { MAX_TRIED_RANGES = 64, MAX_OPTIMIZERS = 64, NAME_BYTES = 2048 };

/* ---- what a walk saw ---- */

/* Room for one more thing of size bytes behind n. */
static int reserve(struct mth_torch_seen *seen, void **array, size_t *capacity, size_t n, size_t size)
{
    if (n < *capacity)
        return MTH_OK;
    size_t wanted = n + n / 2 + 16;
    void *grown = mth_memory_realloc(seen->memory, *array, wanted * size);
    if (!grown)
        return MTH_ERR_NO_MEMORY;
    *array = grown;
    *capacity = wanted;
    return MTH_OK;
}

int mth_torch_seen_range(struct mth_torch_seen *seen, struct mth_torch_range range)
{
    void *array = seen->ranges;
    int status = reserve(seen, &array, &seen->ranges_capacity, seen->n_ranges, sizeof range);
    seen->ranges = array;
    if (!status)
        seen->ranges[seen->n_ranges++] = range;
    return status;
}

int mth_torch_seen_slot(struct mth_torch_seen *seen, struct mth_torch_slot slot)
{
    void *array = seen->slots;
    int status = reserve(seen, &array, &seen->slots_capacity, seen->n_slots, sizeof slot);
    seen->slots = array;
    if (!status)
        seen->slots[seen->n_slots++] = slot;
    return status;
}

int mth_torch_seen_optimizer(struct mth_torch_seen *seen, struct mth_torch_optimizer optimizer)
{
    void *array = seen->optimizers;
    int status = reserve(seen, &array, &seen->optimizers_capacity, seen->n_optimizers, sizeof optimizer);
    seen->optimizers = array;
    if (!status)
        seen->optimizers[seen->n_optimizers++] = optimizer;
    return status;
}

void mth_torch_seen_free(struct mth_torch_seen *seen)
{
    mth_memory_free(seen->memory, seen->ranges);
    mth_memory_free(seen->memory, seen->slots);
    mth_memory_free(seen->memory, seen->optimizers);
}

/* ---- the parameters of an optimizer ---- */

/* A parameter as the param groups list it. */
struct listed {
    int64_t id;
    uint32_t name; /* a string in the pickle, MTH_PICKLE_REF_NONE when there is none */
    uint32_t slot; /* its state, MTH_NO_TENSOR when it has none */
    uint32_t group;
    uint32_t param; /* the tensor that was found for it */
};

struct matcher {
    const struct mth_pickle *pickle;
    const struct mth_torch_seen *seen;
    struct mth_region_map *map;
    struct mth_name_index index; /* of the map */
    struct listed *listed;
    size_t n_listed, n_groups;
    bool has_names; /* all of them */
    uint32_t *candidates;
    size_t n_candidates;
    uint32_t *seen_at; /* for each region (a storage's number) the last tensor + 1 that lies in it */
};

static uint32_t entry(const struct matcher *m, uint32_t dict, const char *name)
{
    struct mth_pickle_cursor cursor;
    uint32_t key, value;
    mth_pickle_begin(m->pickle, dict, &cursor);
    while (cursor.has_entries && mth_pickle_next(&cursor, &key, &value)) {
        if (mth_pickle_text_is(m->pickle, key, name))
            return value;
    }
    return MTH_PICKLE_REF_NONE;
}

/* Call once with listed NULL to count, then again to fill. */
static void list_params(struct matcher *m, uint32_t groups)
{
    struct mth_pickle_cursor group_cursor, cursor, names;
    uint32_t key, group, id, name;
    m->n_listed = m->n_groups = 0;
    m->has_names = true;
    mth_pickle_begin(m->pickle, groups, &group_cursor);
    for (; mth_pickle_next(&group_cursor, &key, &group); m->n_groups++) {
        mth_pickle_begin(m->pickle, entry(m, group, "params"), &cursor);
        mth_pickle_begin(m->pickle, entry(m, group, "param_names"), &names);
        while (mth_pickle_next(&cursor, &key, &id)) {
            struct listed listed = {
                .name = MTH_PICKLE_REF_NONE, .group = (uint32_t)m->n_groups, .param = MTH_NO_TENSOR};
            if (mth_pickle_next(&names, &key, &name))
                listed.name = name;
            listed.slot = MTH_NO_TENSOR;
            /* Some optimizers list names instead of numbers. */
            if (!mth_pickle_int(m->pickle, id, &listed.id))
                listed.name = id;
            m->has_names &= mth_pickle_kind(m->pickle, listed.name) == MTH_PICKLE_STRING;
            if (m->listed)
                m->listed[m->n_listed] = listed;
            m->n_listed++;
        }
    }
}

static int compare_ids(const void *left, const void *right)
{
    const struct listed *a = *(struct listed *const *)left, *b = *(struct listed *const *)right;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Give each listed parameter the state that is kept under its number. */
static int find_slots(struct matcher *m, const struct mth_torch_optimizer *optimizer)
{
    struct listed **order = mth_memory_calloc(m->map->memory, m->n_listed, sizeof(struct listed *));
    bool in_order = true;
    if (!order)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < m->n_listed; i++) {
        order[i] = &m->listed[i];
        in_order &= i == 0 || order[i - 1]->id < order[i]->id;
    }
    if (!in_order)
        qsort(order, m->n_listed, sizeof *order, compare_ids);
    for (size_t slot = optimizer->first_slot; slot < optimizer->end_slot; slot++) {
        int64_t id;
        if (!mth_pickle_int(m->pickle, m->seen->slots[slot].key, &id))
            continue;
        size_t low = 0, high = m->n_listed;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (order[middle]->id < id)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < m->n_listed && order[low]->id == id)
            order[low]->slot = (uint32_t)slot;
    }
    mth_memory_free(m->map->memory, order);
    return MTH_OK;
}

/* ---- candidates ---- */

static bool ends_in(const char *name, const char *suffix)
{
    size_t n_name = strlen(name), n_suffix = strlen(suffix);
    return n_name >= n_suffix && strcmp(name + n_name - n_suffix, suffix) == 0;
}

/* Can an optimizer have it? What is left out are the buffers that PyTorch's own modules have. */
static bool may_be_param(const struct matcher *m, const struct mth_tensor *tensor)
{
    const char *name = mth_tensor_name(m->map, tensor);
    return tensor->role == MTH_ROLE_WEIGHT && !ends_in(name, "running_mean") && !ends_in(name, "running_var");
}

/* The tensors of a range that may be parameters; one that two names share is there once. */
static void list_candidates(struct matcher *m, const struct mth_torch_range *range)
{
    m->n_candidates = 0;
    for (uint32_t i = range->first; i < range->end; i++) {
        const struct mth_tensor *tensor = &m->map->tensors[i];
        if (!may_be_param(m, tensor))
            continue;
        if (tensor->region != MTH_NO_REGION) {
            uint32_t other = m->seen_at[tensor->region];
            m->seen_at[tensor->region] = i + 1;
            if (other > range->first && other <= i &&
                m->map->tensors[other - 1].offset_bytes == tensor->offset_bytes &&
                m->map->tensors[other - 1].n_elems == tensor->n_elems)
                continue;
        }
        m->candidates[m->n_candidates++] = i;
    }
}

/* Is a tensor of the state of the shape of a parameter? What has no state fits all. */
static bool fits(const struct matcher *m, const struct listed *listed, uint32_t param)
{
    const struct mth_tensor *tensor = &m->map->tensors[param];
    if (listed->slot == MTH_NO_TENSOR)
        return true;
    const struct mth_torch_slot *slot = &m->seen->slots[listed->slot];
    for (uint32_t i = slot->first; i < slot->end; i++) {
        const struct mth_tensor *state = &m->map->tensors[i];
        if (state->n_dims == tensor->n_dims &&
            (state->n_dims == 0 || memcmp(mth_tensor_shape(m->map, state), mth_tensor_shape(m->map, tensor),
                                          state->n_dims * sizeof(uint64_t)) == 0))
            return true;
    }
    return false;
}

/* One after the other. */
static bool match_in_order(struct matcher *m)
{
    for (size_t i = 0; i < m->n_listed; i++) {
        if (!fits(m, &m->listed[i], m->candidates[i]))
            return false;
        m->listed[i].param = m->candidates[i];
    }
    return true;
}

/*
 * Each group in order, but the groups mixed, as where weights decay and biases do not: a parameter goes to the group
 * whose next entry it fits. Where it fits two of them there is no telling.
 */
static bool match_by_group(struct matcher *m)
{
    enum { MAX_GROUPS = 8 };
    size_t next[MAX_GROUPS], end[MAX_GROUPS];
    if (m->n_groups < 2 || m->n_groups > MAX_GROUPS)
        return false;
    for (size_t g = 0, i = 0; g < m->n_groups; g++) {
        next[g] = i;
        while (i < m->n_listed && m->listed[i].group == g)
            i++;
        end[g] = i;
    }
    for (size_t c = 0; c < m->n_candidates; c++) {
        size_t n_fits = 0, group = 0;
        for (size_t g = 0; g < m->n_groups; g++) {
            if (next[g] < end[g] && fits(m, &m->listed[next[g]], m->candidates[c])) {
                n_fits++;
                group = g;
            }
        }
        if (n_fits != 1)
            return false;
        m->listed[next[group]++].param = m->candidates[c];
    }
    return true;
}

/* By name, below the path of a range. */
static bool match_by_name(struct matcher *m, const struct mth_torch_range *range)
{
    char path[NAME_BYTES];
    if (range->n_prefix >= sizeof path)
        return false;
    memcpy(path, mth_tensor_name(m->map, &m->map->tensors[range->first]), range->n_prefix);
    for (size_t i = 0; i < m->n_listed; i++) {
        size_t n_name = 0;
        const char *name = mth_pickle_text(m->pickle, m->listed[i].name, &n_name);
        if (!name || n_name >= sizeof path - range->n_prefix)
            return false;
        memcpy(path + range->n_prefix, name, n_name);
        path[range->n_prefix + n_name] = '\0';
        const struct mth_tensor *tensor = mth_name_index_find(&m->index, path);
        if (!tensor || tensor->role != MTH_ROLE_WEIGHT)
            return false;
        m->listed[i].param = (uint32_t)(tensor - m->map->tensors);
    }
    return true;
}

/* ---- matching ---- */

static bool match_range(struct matcher *m, const struct mth_torch_range *range)
{
    if (m->has_names)
        return match_by_name(m, range);
    if (range->end - range->first < m->n_listed)
        return false;
    list_candidates(m, range);
    return m->n_candidates == m->n_listed && (match_in_order(m) || match_by_group(m));
}

static bool number(const struct matcher *m, uint32_t group, const char *name, double *value)
{
    uint32_t ref = entry(m, group, name);
    int64_t whole;
    if (mth_pickle_float(m->pickle, ref, value))
        return true;
    if (!mth_pickle_int(m->pickle, ref, &whole))
        return false;
    *value = (double)whole;
    return true;
}

static struct mth_optimizer_group read_group(const struct matcher *m, uint32_t group)
{
    struct mth_optimizer_group out = {0};
    uint32_t betas = entry(m, group, "betas");
    bool has_rate = number(m, group, "lr", &out.lr) && number(m, group, "weight_decay", &out.weight_decay);
    bool has_eps = number(m, group, "eps", &out.eps),
         has_momentum = number(m, group, "momentum", &out.momentum);
    double nesterov;
    out.is_nesterov = number(m, group, "nesterov", &nesterov) && nesterov != 0;
    (void)number(m, group, "step", &out.step);
    if (!has_rate)
        return out;
    if (has_eps && mth_pickle_length(m->pickle, betas) == 2 &&
        mth_pickle_float(m->pickle, mth_pickle_item(m->pickle, betas, 0), &out.beta1) &&
        mth_pickle_float(m->pickle, mth_pickle_item(m->pickle, betas, 1), &out.beta2))
        out.kind = MTH_OPTIMIZER_ADAM;
    else if (has_momentum && number(m, group, "dampening", &out.dampening))
        out.kind = MTH_OPTIMIZER_SGD;
    else if (has_eps && number(m, group, "lr_decay", &out.lr_decay))
        out.kind = MTH_OPTIMIZER_ADAGRAD;
    else if (has_eps && has_momentum && number(m, group, "alpha", &out.alpha))
        out.kind = MTH_OPTIMIZER_RMSPROP;
    return out;
}

/* Numbers of steps that no group says and that are no tensors stand in the states of its parameters. */
static void read_steps(const struct matcher *m, struct mth_optimizer_group *groups)
{
    for (size_t i = 0; i < m->n_listed; i++) {
        const struct listed *listed = &m->listed[i];
        double step;
        if (listed->slot != MTH_NO_TENSOR && groups[listed->group].step == 0 &&
            number(m, m->seen->slots[listed->slot].value, "step", &step))
            groups[listed->group].step = step;
    }
}

/* What the groups say goes behind what those of other optimizers said. */
static int set_groups(struct matcher *m, uint32_t groups)
{
    struct mth_region_map *map = m->map;
    struct mth_pickle_cursor cursor;
    uint32_t key, group;
    size_t n_groups = map->n_groups;
    if (m->n_groups == 0 || map->n_tensors == 0)
        return MTH_OK;
    if (map->n_grouped < map->n_tensors) {
        uint32_t *grown = mth_memory_realloc(map->memory, map->group_of, map->n_tensors * sizeof *grown);
        if (!grown)
            return MTH_ERR_NO_MEMORY;
        memset(grown + map->n_grouped, 0xff, (map->n_tensors - map->n_grouped) * sizeof *grown);
        map->group_of = grown;
        map->n_grouped = map->n_tensors;
    }
    void *grown =
        mth_memory_realloc(map->memory, map->groups, (n_groups + m->n_groups) * sizeof *map->groups);
    if (!grown)
        return MTH_ERR_NO_MEMORY;
    map->groups = grown;
    mth_pickle_begin(m->pickle, groups, &cursor);
    while (mth_pickle_next(&cursor, &key, &group))
        map->groups[map->n_groups++] = read_group(m, group);
    read_steps(m, map->groups + n_groups);
    for (size_t i = 0; i < m->n_listed; i++) {
        if (m->listed[i].slot == MTH_NO_TENSOR)
            continue;
        const struct mth_torch_slot *slot = &m->seen->slots[m->listed[i].slot];
        for (uint32_t tensor = slot->first; tensor < slot->end; tensor++)
            map->group_of[tensor] = (uint32_t)n_groups + m->listed[i].group;
    }
    return MTH_OK;
}

static int set_params(struct matcher *m)
{
    struct mth_region_map *map = m->map;
    if (map->n_params < map->n_tensors) {
        uint32_t *grown = mth_memory_realloc(map->memory, map->params, map->n_tensors * sizeof *grown);
        if (!grown)
            return MTH_ERR_NO_MEMORY;
        for (size_t i = map->n_params; i < map->n_tensors; i++)
            grown[i] = MTH_NO_TENSOR;
        map->params = grown;
        map->n_params = map->params_capacity = map->n_tensors;
    }
    for (size_t i = 0; i < m->n_listed; i++) {
        if (m->listed[i].slot == MTH_NO_TENSOR)
            continue;
        const struct mth_torch_slot *slot = &m->seen->slots[m->listed[i].slot];
        for (uint32_t tensor = slot->first; tensor < slot->end; tensor++)
            map->params[tensor] = m->listed[i].param;
    }
    return MTH_OK;
}

/* The parameters of an optimizer, from its groups or, where its state is keyed by names, from that. */
static int list_all(struct matcher *m, const struct mth_torch_optimizer *optimizer)
{
    size_t n_slots = optimizer->end_slot - optimizer->first_slot;
    bool is_named =
        mth_pickle_kind(m->pickle, m->seen->slots[optimizer->first_slot].key) == MTH_PICKLE_STRING;
    m->listed = NULL;
    m->n_groups = 0;
    if (!is_named)
        list_params(m, optimizer->groups);
    m->listed = mth_memory_calloc(m->map->memory, is_named ? n_slots : m->n_listed, sizeof *m->listed);
    if (!m->listed)
        return MTH_ERR_NO_MEMORY;
    if (!is_named) {
        list_params(m, optimizer->groups);
        return find_slots(m, optimizer);
    }
    m->n_listed = n_slots;
    m->n_groups = 0;
    m->has_names = true;
    for (size_t i = 0; i < n_slots; i++) {
        size_t slot = optimizer->first_slot + i;
        m->listed[i] =
            (struct listed){.name = m->seen->slots[slot].key, .slot = (uint32_t)slot, .param = MTH_NO_TENSOR};
    }
    return MTH_OK;
}

/* Which tensors they are another file may have, or what happened to them tell. */
static int list_lone_states(struct matcher *m)
{
    int status = MTH_OK;
    for (size_t i = 0; i < m->n_listed && !status; i++) {
        if (m->listed[i].slot == MTH_NO_TENSOR)
            continue;
        const struct mth_torch_slot *slot = &m->seen->slots[m->listed[i].slot];
        status = mth_region_map_add_lone_state(m->map, (struct mth_lone_state){slot->first, slot->end});
    }
    return status;
}

/* Of an optimizer whose states are elsewhere the groups alone are known. */
static int take_groups_alone(struct matcher *m, uint32_t groups)
{
    m->listed = NULL;
    list_params(m, groups);
    m->n_listed = 0;
    return set_groups(m, groups);
}

static int match_optimizer(struct matcher *m, const struct mth_torch_optimizer *optimizer)
{
    if (optimizer->first_slot == optimizer->end_slot)
        return take_groups_alone(m, optimizer->groups);
    int status = list_all(m, optimizer);
    size_t n_tried = 0;
    bool is_found = false;
    for (size_t i = 0;
         i < m->seen->n_ranges && !status && !is_found && m->n_listed > 0 && n_tried < MAX_TRIED_RANGES;
         i++) {
        const struct mth_torch_range *range = &m->seen->ranges[i];
        n_tried += m->has_names || range->end - range->first >= m->n_listed;
        is_found = match_range(m, range);
    }
    if (!status)
        status = is_found ? set_params(m) : list_lone_states(m);
    if (!status)
        status = set_groups(m, optimizer->groups);
    mth_memory_free(m->map->memory, m->listed);
    return status;
}

int mth_torch_optimizers_match(const struct mth_pickle *pickle, const struct mth_torch_seen *seen,
                               struct mth_region_map *map)
{
    struct matcher m = {.pickle = pickle, .seen = seen, .map = map};
    size_t n_regions = 0;
    if (seen->n_optimizers == 0)
        return MTH_OK;
    for (size_t i = 0; i < map->n_tensors; i++) {
        if (map->tensors[i].region != MTH_NO_REGION)
            n_regions = mth_size_max(n_regions, (size_t)map->tensors[i].region + 1);
    }
    int status = mth_name_index_build(map, &m.index, NULL);
    if (status)
        return status;
    m.candidates = mth_memory_calloc(map->memory, map->n_tensors, sizeof *m.candidates);
    m.seen_at = mth_memory_calloc(map->memory, n_regions, sizeof *m.seen_at);
    if (!m.candidates || !m.seen_at)
        status = MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < mth_size_min(seen->n_optimizers, MAX_OPTIMIZERS) && !status; i++)
        status = match_optimizer(&m, &seen->optimizers[i]);
    mth_memory_free(map->memory, m.candidates);
    mth_memory_free(map->memory, m.seen_at);
    mth_name_index_free(&m.index);
    return status;
}
