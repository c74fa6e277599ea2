/*
 * Parameters by the names of what is kept of them; see param_names.h.
 *
 * get_optimizer_state_dict keys the state by the parameters' names, and the planner of torch.distributed.checkpoint flattens it: of a
 * model kept as "model" and an optimizer kept as "optim", "optim.state.layer.weight.exp_avg" belongs to "model.layer.weight". A
 * chunk of it belongs to the chunk that begins at the same place ("...exp_avg@16,0", "model.layer.weight@16,0"). Who writes
 * safetensors does the same, or leaves out "state".
 */
#include "formats/param_names.h"

#include "formats/name_index.h"
#include "formats/optimizer_state.h"
#include "formats/torch_objects.h"

#include <string.h>

/* Of fp32 weights where an optimizer keeps them among its states, and of a buffer of such. */
#define MASTERS "fp32_param"
#define BUFFER  "param"

/* A state dict has few parts: model, optimizer, ... */
enum { MAX_PARTS = 16 };

/* A name's first part, with its dot. */
struct part {
    const char *text;
    size_t n_text;
};

struct parts {
    struct part items[MAX_PARTS];
    size_t n;
};

/* "NAME.exp_avg" behind "state.", or the whole of a name that ends so; NULL for a name that is not of a state. */
static const char *behind_state(const char *name)
{
    const char *found = mth_optimizer_behind_state(name);
    return found ? found : mth_kept_of(name) < MTH_N_KEPT ? name : NULL;
}

static void note_part(struct parts *parts, const char *name)
{
    const char *dot = strchr(name, '.');
    if (!dot || parts->n == MAX_PARTS)
        return;
    size_t n_text = (size_t)(dot - name) + 1;
    for (size_t i = 0; i < parts->n; i++) {
        if (parts->items[i].n_text == n_text && memcmp(parts->items[i].text, name, n_text) == 0)
            return;
    }
    parts->items[parts->n++] = (struct part){name, n_text};
}

/* The tensor that a part, a name and the place of a chunk make; room holds them. */
static uint32_t find(const struct mth_name_index *index, const struct part *part, const char *name,
                     size_t n_name, const char *place, char *room)
{
    memcpy(room, part->text, part->n_text);
    memcpy(room + part->n_text, name, n_name);
    memcpy(room + part->n_text + n_name, place, strlen(place) + 1);
    const struct mth_tensor *tensor = mth_name_index_find(index, room);
    return tensor ? (uint32_t)(tensor - index->map->tensors) : (uint32_t)MTH_NO_TENSOR;
}

/* The tensor of a name that is said without a part, or behind one. */
static uint32_t find_weights(const struct mth_name_index *index, const struct parts *parts, const char *name,
                             size_t n_name, const char *place, char *room)
{
    static const struct part none = {"", 0};
    uint32_t param = find(index, &none, name, n_name, place, room);
    for (size_t i = 0; i < parts->n && param == MTH_NO_TENSOR; i++)
        param = find(index, &parts->items[i], name, n_name, place, room);
    return param;
}

/* Weights that are called by the last part of what their name is made of, in room. */
static uint32_t find_beside(const struct mth_name_index *index, const char *before, size_t n_before,
                            const char *weights, const char *behind, char *room)
{
    size_t n = n_before;
    memcpy(room, before, n_before);
    while (*weights)
        room[n++] = *weights++;
    memcpy(room + n, behind, strlen(behind) + 1);
    const struct mth_tensor *tensor = mth_name_index_find(index, room);
    return tensor ? (uint32_t)(tensor - index->map->tensors) : (uint32_t)MTH_NO_TENSOR;
}

/*
 * As Megatron calls them: "optimizer.state.exp_avg.NAME" is kept of "optimizer.state.fp32_param.NAME" or of "NAME", and "0.exp_avg" of
 * "0.param": flat buffers side by side.
 */
static uint32_t find_of_megatron(const struct mth_name_index *index, const struct parts *parts,
                                 const char *name, char *room)
{
    if (mth_kept_before(name) < MTH_N_KEPT) {
        const char *state = mth_optimizer_behind_state(name), *dot = strchr(state, '.');
        uint32_t masters = find_beside(index, name, (size_t)(state - name), MASTERS, dot, room);
        return masters == MTH_NO_TENSOR ? find_weights(index, parts, dot + 1, strlen(dot + 1), "", room)
                                        : masters;
    }
    const char *place = strrchr(name, '@'), *end = place ? place : name + strlen(name), *last = end;
    while (last > name && last[-1] != '.')
        last--;
    return mth_kept_of(name) == MTH_N_KEPT || last == name
               ? (uint32_t)MTH_NO_TENSOR
               : find_beside(index, name, (size_t)(last - name), BUFFER, place ? place : "", room);
}

static uint32_t find_param(const struct mth_name_index *index, const struct parts *parts, const char *state,
                           char *room)
{
    const char *place = strrchr(state, '@'), *end = place ? place : state + strlen(state), *dot = end;
    while (dot > state && *dot != '.')
        dot--;
    if (dot == state)
        return MTH_NO_TENSOR;
    uint32_t param = MTH_NO_TENSOR;
    for (unsigned way = 0; way < 2 && param == MTH_NO_TENSOR; way++) {
        size_t n_name = (size_t)(dot - state);
        param = find_weights(index, parts, state, n_name, place ? place : "", room);
        /* The first part may be the optimizer's: opt, optim, optimizer. */
        const char *first = memchr(state, '.', n_name);
        if (!first || strncmp(state, "opt", 3) != 0)
            break;
        state = first + 1;
    }
    return param;
}

static uint8_t role_of(enum mth_kept kept)
{
    return kept == MTH_KEPT_M      ? MTH_ROLE_ADAM_M
           : kept == MTH_KEPT_V    ? MTH_ROLE_ADAM_V
           : kept == MTH_KEPT_STEP ? MTH_ROLE_STEP
                                   : MTH_ROLE_OTHER;
}

static int set_params(struct mth_region_map *map, const struct mth_name_index *index,
                      const struct parts *parts, size_t n_longest)
{
    /* A part is at most as long as the longest name. */
    char *room = mth_memory_alloc(map->memory, 2 * n_longest + sizeof MASTERS + 1);
    uint32_t *params = mth_memory_realloc(map->memory, map->params, map->n_tensors * sizeof *params);
    if (params) {
        map->params = params;
        map->params_capacity = map->n_tensors;
    }
    if (!room || !params) {
        mth_memory_free(map->memory, room);
        return MTH_ERR_NO_MEMORY;
    }
    while (map->n_params < map->n_tensors)
        params[map->n_params++] = MTH_NO_TENSOR;
    for (size_t i = 0; i < map->n_tensors; i++) {
        const char *name = mth_tensor_name(map, &map->tensors[i]), *state = behind_state(name);
        if (!state)
            continue;
        if (params[i] == MTH_NO_TENSOR && mth_kept_before(name) == MTH_N_KEPT)
            params[i] = find_param(index, parts, state, room);
        if (params[i] == MTH_NO_TENSOR)
            params[i] = find_of_megatron(index, parts, name, room);
        if (params[i] == i)
            params[i] = MTH_NO_TENSOR;
        if (mth_kept_before(name) < MTH_N_KEPT)
            map->tensors[i].role = role_of(mth_kept_before(name));
        /* What is a parameter's and none of Adam's three is no weight. A module may be called "state", too. */
        if (params[i] != MTH_NO_TENSOR && map->tensors[i].role == MTH_ROLE_WEIGHT)
            map->tensors[i].role = MTH_ROLE_OTHER;
    }
    mth_memory_free(map->memory, room);
    return MTH_OK;
}

int mth_params_match_names(struct mth_region_map *map)
{
    struct mth_name_index index;
    struct parts parts = {.n = 0};
    size_t n_longest = 0, n_states = 0;
    for (size_t i = 0; i < map->n_tensors; i++) {
        const char *name = mth_tensor_name(map, &map->tensors[i]);
        size_t n_name = strlen(name);
        n_longest = n_name > n_longest ? n_name : n_longest;
        if (behind_state(name))
            n_states++;
        else
            note_part(&parts, name);
    }
    if (n_states == 0)
        return MTH_OK;
    int status = mth_name_index_build(map, &index, NULL);
    if (status)
        return status;
    status = set_params(map, &index, &parts, n_longest);
    mth_name_index_free(&index);
    return status;
}
