/* Walking the description of a pickle of PyTorch; see torch_objects.h. */
#include "formats/torch_objects.h"

#include "base/checked.h"
#include "formats/torch_optimizer.h"
#include "formats/torch_tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    ON_PATH = 0x80,             /* flag beside the count of visits */
    OPTIMIZER_MAX_ENTRIES = 16, /* an optimizer's dict has few */
    RANGE_MAX_DEPTH = 6
};

/* What names and shapes may take in the map, and what may be copied to make names: far more than for any real file, far
 * less than a bomb would have. */
enum { MAP_FREE_BYTES = 16 << 20, MAP_BYTES_PER_NODE = 64, PATH_WORK_BYTES = 1 << 30, PATH_STEP_BYTES = 16 };

struct walker {
    const struct mth_pickle *pickle;
    struct mth_torch_storages *storages;
    const struct mth_source *source;
    struct mth_region_map *map;
    struct mth_error *err;
    struct mth_torch_seen seen;
    uint8_t *visits; /* one a node */
    unsigned depth;
    bool in_state; /* of an optimizer */
    struct mth_torch_budget budget;
    size_t n_path;
    struct mth_torch_view view;
    char path[MTH_TORCH_NAME_MAX_BYTES + 1];
};

static int walk(struct walker *w, uint32_t ref);

static int no_memory(const struct walker *w)
{
    return mth_error_set(w->err, MTH_ERR_NO_MEMORY, "%s: no memory to list its tensors", w->source->name);
}

/* ---- the path ---- */

static int push_name(struct walker *w, const char *name, size_t n_name)
{
    size_t n_dot = w->n_path > 0;
    if (n_name > MTH_TORCH_NAME_MAX_BYTES - w->n_path - n_dot)
        return mth_error_set(w->err, MTH_ERR_LIMIT, "%s: below '%.80s' a name gets longer than %d bytes",
                             w->source->name, w->path, MTH_TORCH_NAME_MAX_BYTES);
    if (n_name + PATH_STEP_BYTES > w->budget.path_bytes_left)
        return mth_error_set(w->err, MTH_ERR_LIMIT,
                             "%s: its pickle refers to itself too often to list its tensors",
                             w->source->name);
    w->budget.path_bytes_left -= n_name + PATH_STEP_BYTES;
    if (n_dot)
        w->path[w->n_path] = '.';
    /* Names end at a NUL, so that one inside becomes something else. */
    for (size_t i = 0; i < n_name; i++)
        w->path[w->n_path + n_dot + i] = name[i] ? name[i] : '?';
    w->n_path += n_dot + n_name;
    w->path[w->n_path] = '\0';
    return MTH_OK;
}

static int push_number(struct walker *w, int64_t number)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%" PRId64, number);
    return push_name(w, text, (size_t)n);
}

static int push_key(struct walker *w, uint32_t key)
{
    size_t n_text = 0;
    int64_t number;
    const char *text = mth_pickle_text(w->pickle, key, &n_text);
    if (text)
        return push_name(w, text, n_text);
    return mth_pickle_int(w->pickle, key, &number) ? push_number(w, number) : push_name(w, "?", 1);
}

static void pop_to(struct walker *w, size_t n_path)
{
    w->n_path = n_path;
    w->path[n_path] = '\0';
}

/* ---- tensors ---- */

static int add_tensor(struct walker *w)
{
    const struct mth_torch_view *view = &w->view;
    const char *name = w->n_path ? w->path : "tensor";
    size_t n_name = w->n_path ? w->n_path : strlen(name);
    bool is_strided = view->flags & MTH_TENSOR_STRIDED;
    struct mth_tensor tensor = {.region = MTH_NO_REGION, .n_elems = view->n_elems, .flags = view->flags};
    uint64_t n_bytes = sizeof tensor + n_name + 1 + (view->n_dims << is_strided) * sizeof *view->shape;
    if (n_bytes > w->budget.map_bytes_left)
        return mth_error_set(w->err, MTH_ERR_LIMIT,
                             "%s: tensor '%.80s': the list of tensors outgrows the pickle", w->source->name,
                             name);
    w->budget.map_bytes_left -= n_bytes;
    tensor.dtype = (uint8_t)view->dtype;
    tensor.role = (uint8_t)mth_role_of(name, view->dtype);
    if (w->in_state && tensor.role == MTH_ROLE_WEIGHT)
        tensor.role = MTH_ROLE_OTHER;
    if (view->n_elems > 0) {
        tensor.region = (uint32_t)(view->storage - w->storages->items);
        tensor.offset_bytes = view->offset_bytes;
    }
    int status = mth_region_map_add_view(w->map, name, n_name, view->shape, is_strided ? view->strides : NULL,
                                         view->n_dims, &tensor);
    return status ? mth_error_set(w->err, status, "%s: tensor '%.80s': %s", w->source->name, name,
                                  mth_status_text(status))
                  : MTH_OK;
}

/* The storage's bytes are elements of what its tensors are. */
static void note_dtype(struct mth_torch_storage *storage, enum mth_dtype dtype)
{
    storage->is_mixed |= storage->dtype != MTH_DTYPE_OPAQUE && storage->dtype != dtype;
    storage->dtype = (uint8_t)dtype;
}

static int refuse_tensor(struct walker *w, const char *why)
{
    return mth_error_set(w->err, MTH_ERR_FORMAT, "%s: tensor '%.80s': %s", w->source->name,
                         w->n_path ? w->path : "tensor", why);
}

static int walk_tensor(struct walker *w, uint32_t callable, uint32_t args)
{
    const char *why;
    int status = mth_torch_view_read(w->pickle, w->storages, callable, args, &w->view, &why);
    if (status)
        return refuse_tensor(w, why);
    if (!w->view.storage)
        return MTH_OK;
    if (w->view.n_elems > 0)
        note_dtype(w->view.storage, w->view.dtype);
    return add_tensor(w);
}

/* A storage that is saved by itself. What else looks at it says of which dtype it is. */
static int walk_storage(struct walker *w, uint32_t ref)
{
    const char *why = "";
    uint64_t view_bytes;
    struct mth_torch_storage *storage = mth_torch_storages_find(w->storages, w->pickle, ref, &view_bytes);
    if (!storage)
        return MTH_OK;
    if (mth_torch_view_whole(storage, &w->view, &why) != MTH_OK)
        return refuse_tensor(w, why);
    return add_tensor(w);
}

/* ---- containers and objects ---- */

/* May a container be walked now? Then leave it afterwards. */
static bool enter(struct walker *w, uint32_t ref)
{
    uint8_t *visits = &w->visits[ref];
    if (w->depth == MTH_TORCH_MAX_DEPTH || *visits >= MTH_TORCH_MAX_VISITS)
        return false;
    *visits = (uint8_t)(*visits + 1) | ON_PATH;
    w->depth++;
    return true;
}

static void leave(struct walker *w, uint32_t ref)
{
    w->visits[ref] &= (uint8_t)~ON_PATH;
    w->depth--;
}

static int walk_named(struct walker *w, const char *name, uint32_t ref)
{
    size_t n_path = w->n_path;
    int status = push_name(w, name, strlen(name));
    if (!status)
        status = walk(w, ref);
    pop_to(w, n_path);
    return status;
}

/* The value of an entry, MTH_PICKLE_REF_NONE when there is none. */
static uint32_t entry(const struct walker *w, uint32_t ref, const char *name)
{
    struct mth_pickle_cursor cursor;
    uint32_t key, value, found = MTH_PICKLE_REF_NONE;
    mth_pickle_begin(w->pickle, ref, &cursor);
    while (cursor.has_entries && mth_pickle_next(&cursor, &key, &value)) {
        if (mth_pickle_text_is(w->pickle, key, name))
            found = value;
    }
    return found;
}

/* The entries of an optimizer's state, each with the tensors that lie in it. */
static int walk_state(struct walker *w, uint32_t state)
{
    struct mth_pickle_cursor cursor;
    uint32_t key, value;
    int status = MTH_OK;
    size_t n_path = w->n_path;
    if (!enter(w, state))
        return MTH_OK;
    mth_pickle_begin(w->pickle, state, &cursor);
    while (!status && cursor.has_entries && mth_pickle_next(&cursor, &key, &value)) {
        struct mth_torch_slot slot = {.key = key, .value = value, .first = (uint32_t)w->map->n_tensors};
        status = push_key(w, key);
        if (!status)
            status = walk(w, value);
        pop_to(w, n_path);
        slot.end = (uint32_t)w->map->n_tensors;
        if (!status && slot.end > slot.first && mth_torch_seen_slot(&w->seen, slot) != MTH_OK)
            status = no_memory(w);
    }
    leave(w, state);
    return status;
}

/* A dict with these two entries is the state dict of an optimizer. */
static int walk_optimizer(struct walker *w, uint32_t state, uint32_t groups)
{
    struct mth_torch_optimizer optimizer = {.groups = groups, .first_slot = w->seen.n_slots};
    size_t n_path = w->n_path;
    bool was_in_state = w->in_state;
    w->in_state = true;
    int status = push_name(w, "state", 5);
    if (!status)
        status = walk_state(w, state);
    w->in_state = was_in_state;
    pop_to(w, n_path);
    optimizer.end_slot = w->seen.n_slots;
    if (!status && optimizer.end_slot > optimizer.first_slot &&
        mth_torch_seen_optimizer(&w->seen, optimizer) != MTH_OK)
        status = no_memory(w);
    return status;
}

/* What there is of an optimizer whose states are in another file. */
static int note_groups(struct walker *w, uint32_t groups)
{
    const struct mth_torch_optimizer optimizer = {
        .groups = groups, .first_slot = w->seen.n_slots, .end_slot = w->seen.n_slots};
    return mth_torch_seen_optimizer(&w->seen, optimizer) == MTH_OK ? MTH_OK : no_memory(w);
}

/* A module keeps its parts in these dicts; names of its state dict do not tell which. */
static bool is_elided(const struct walker *w, uint32_t key)
{
    return mth_pickle_text_is(w->pickle, key, "_parameters") ||
           mth_pickle_text_is(w->pickle, key, "_buffers") || mth_pickle_text_is(w->pickle, key, "_modules");
}

/* Items or entries of a container, which was entered. */
static int walk_items(struct walker *w, uint32_t ref, bool are_attributes)
{
    struct mth_pickle_cursor cursor;
    uint32_t key, value, state = MTH_PICKLE_REF_NONE, groups = MTH_PICKLE_REF_NONE;
    size_t n_path = w->n_path;
    int64_t index = 0;
    int status = MTH_OK;
    mth_pickle_begin(w->pickle, ref, &cursor);
    if (cursor.has_entries && mth_pickle_length(w->pickle, ref) <= OPTIMIZER_MAX_ENTRIES) {
        state = entry(w, ref, "state");
        groups = entry(w, ref, "param_groups");
    }
    bool has_groups = mth_pickle_kind(w->pickle, groups) == MTH_PICKLE_LIST,
         is_optimizer = has_groups && mth_pickle_length(w->pickle, state) > 0;
    if (has_groups && !is_optimizer)
        status = note_groups(w, groups);
    while (!status && mth_pickle_next(&cursor, &key, &value)) {
        if (is_optimizer && value == state && mth_pickle_text_is(w->pickle, key, "state")) {
            status = walk_optimizer(w, state, groups);
            continue;
        }
        if (!cursor.has_entries)
            status = push_number(w, index++);
        else if (!are_attributes || !is_elided(w, key))
            status = push_key(w, key);
        if (!status)
            status = walk(w, value);
        pop_to(w, n_path);
    }
    return status;
}

/* A list of pairs that stands for a dict. */
static int walk_pairs(struct walker *w, uint32_t list)
{
    struct mth_pickle_cursor cursor, pair;
    uint32_t key, item, parts[2], none;
    size_t n_path = w->n_path;
    int status = MTH_OK;
    if (!enter(w, list))
        return MTH_OK;
    mth_pickle_begin(w->pickle, list, &cursor);
    while (!status && mth_pickle_next(&cursor, &key, &item)) {
        mth_pickle_begin(w->pickle, item, &pair);
        if (mth_pickle_length(w->pickle, item) != 2 || pair.has_entries ||
            !mth_pickle_next(&pair, &none, &parts[0]) || !mth_pickle_next(&pair, &none, &parts[1]))
            continue;
        status = push_key(w, parts[0]);
        if (!status)
            status = walk(w, parts[1]);
        pop_to(w, n_path);
    }
    leave(w, list);
    return status;
}

/* The parts of a sparse tensor, by how many of them there are: COO, then the compressed layouts. */
static int walk_sparse(struct walker *w, uint32_t data)
{
    static const char *const coo[] = {"indices", "values"};
    static const char *const compressed[] = {"compressed_indices", "plain_indices", "values"};
    struct mth_pickle_object third;
    bool is_compressed = mth_pickle_object(w->pickle, mth_pickle_item(w->pickle, data, 2), &third) &&
                         mth_torch_call_of(w->pickle, third.callable) == MTH_TORCH_TENSOR;
    int status = MTH_OK;
    for (uint32_t i = 0; i < (is_compressed ? 3u : 2u) && !status; i++)
        status = walk_named(w, is_compressed ? compressed[i] : coo[i], mth_pickle_item(w->pickle, data, i));
    return status;
}

static int walk_nested(struct walker *w, uint32_t args)
{
    static const char *const names[] = {"buffer", "sizes", "strides", "storage_offsets"};
    int status = MTH_OK;
    for (uint32_t i = 0; i < 4 && !status; i++)
        status = walk_named(w, names[i], mth_pickle_item(w->pickle, args, i));
    return status;
}

/* Behind the tensor: the scheme, then scales and zero points, which are tensors where each channel has its own. */
static int walk_quantizer(struct walker *w, uint32_t params)
{
    int status = walk_named(w, "scales", mth_pickle_item(w->pickle, params, 1));
    return status ? status : walk_named(w, "zero_points", mth_pickle_item(w->pickle, params, 2));
}

/* Arguments of a call that nothing is known of; the only one is taken for the thing itself. */
static int walk_arguments(struct walker *w, uint32_t args)
{
    if (mth_pickle_kind(w->pickle, args) != MTH_PICKLE_TUPLE || mth_pickle_length(w->pickle, args) != 1)
        return walk(w, args);
    return walk(w, mth_pickle_item(w->pickle, args, 0));
}

/* What a call would give, at the path of its result. */
static int walk_call(struct walker *w, uint32_t callable, uint32_t args)
{
    uint32_t first = mth_pickle_item(w->pickle, args, 0);
    int status;
    switch (mth_torch_call_of(w->pickle, callable)) {
    case MTH_TORCH_TENSOR:
        return walk_tensor(w, callable, args);
    case MTH_TORCH_QUANTIZED:
        status = walk_tensor(w, callable, args);
        return status ? status : walk_quantizer(w, mth_pickle_item(w->pickle, args, 4));
    case MTH_TORCH_PARAMETER:
        status = walk(w, first);
        return status ? status : walk(w, mth_pickle_item(w->pickle, args, 3));
    case MTH_TORCH_SPARSE:
        return walk_sparse(w, mth_pickle_item(w->pickle, args, 1));
    case MTH_TORCH_NESTED:
        return walk_nested(w, args);
    case MTH_TORCH_MAPPING:
        return mth_pickle_kind(w->pickle, first) == MTH_PICKLE_LIST ? walk_pairs(w, first) : MTH_OK;
    case MTH_TORCH_SUBCLASS:
    case MTH_TORCH_UNKNOWN:
        break;
    }
    return walk_arguments(w, args);
}

/* The attributes of an object: a dict, or a pair of dicts where the class has slots. */
static int walk_attributes(struct walker *w, uint32_t state)
{
    enum mth_pickle_kind kind = mth_pickle_kind(w->pickle, state);
    int status = MTH_OK;
    if (kind == MTH_PICKLE_TUPLE && mth_pickle_length(w->pickle, state) == 2 && enter(w, state)) {
        status = walk_attributes(w, mth_pickle_item(w->pickle, state, 0));
        if (!status)
            status = walk_attributes(w, mth_pickle_item(w->pickle, state, 1));
        leave(w, state);
        return status;
    }
    if (kind != MTH_PICKLE_DICT)
        return walk(w, state);
    if (enter(w, state)) {
        status = walk_items(w, state, true);
        leave(w, state);
    }
    return status;
}

/* A parameter with no more than its tensor. */
static bool is_plain_parameter(const struct walker *w, const struct mth_pickle_object *object,
                               enum mth_torch_call call, struct mth_pickle_object *tensor)
{
    return call == MTH_TORCH_PARAMETER && mth_pickle_length(w->pickle, object->args) == 3 &&
           mth_pickle_object(w->pickle, mth_pickle_item(w->pickle, object->args, 0), tensor) &&
           mth_torch_call_of(w->pickle, tensor->callable) == MTH_TORCH_TENSOR;
}

static int walk_object(struct walker *w, uint32_t ref)
{
    struct mth_pickle_object object, tensor;
    if (!mth_pickle_object(w->pickle, ref, &object))
        return MTH_OK;
    enum mth_torch_call call = mth_torch_call_of(w->pickle, object.callable);
    /* Any number of names may share a tensor: leaves are not counted. */
    if (call == MTH_TORCH_TENSOR)
        return walk_tensor(w, object.callable, object.args);
    if (is_plain_parameter(w, &object, call, &tensor))
        return walk_tensor(w, tensor.callable, tensor.args);
    if (!enter(w, ref))
        return MTH_OK;
    int status;
    if (call == MTH_TORCH_SUBCLASS) {
        uint32_t function = mth_pickle_item(w->pickle, object.args, 0);
        status = walk_call(w, function, mth_pickle_item(w->pickle, object.args, 2));
        if (!status)
            status = walk_attributes(w, mth_pickle_item(w->pickle, object.args, 3));
    } else {
        status = walk_call(w, object.callable, object.args);
    }
    if (!status)
        status = walk_items(w, ref, false);
    if (!status)
        status = walk_attributes(w, object.state);
    leave(w, ref);
    return status;
}

static int walk_container(struct walker *w, uint32_t ref)
{
    if (!enter(w, ref))
        return MTH_OK;
    int status = walk_items(w, ref, false);
    leave(w, ref);
    return status;
}

static int walk(struct walker *w, uint32_t ref)
{
    struct mth_torch_range range = {.first = (uint32_t)w->map->n_tensors};
    int status;
    switch (mth_pickle_kind(w->pickle, ref)) {
    case MTH_PICKLE_DICT:
    case MTH_PICKLE_LIST:
    case MTH_PICKLE_TUPLE:
    case MTH_PICKLE_SET:
        status = walk_container(w, ref);
        break;
    case MTH_PICKLE_OBJECT:
        status = walk_object(w, ref);
        break;
    case MTH_PICKLE_PERSISTENT:
        return walk_storage(w, ref);
    default:
        return MTH_OK;
    }
    range.end = (uint32_t)w->map->n_tensors;
    range.n_prefix = (uint32_t)(w->n_path ? w->n_path + 1 : 0);
    if (!status && !w->in_state && range.end - range.first > 1 && w->depth <= RANGE_MAX_DEPTH &&
        mth_torch_seen_range(&w->seen, range) != MTH_OK)
        status = no_memory(w);
    return status;
}

int mth_torch_objects_add(const struct mth_pickle *pickle, const char *prefix,
                          struct mth_torch_budget *budget, struct mth_torch_storages *storages,
                          const struct mth_source *source, struct mth_region_map *map, struct mth_error *err)
{
    uint32_t n_nodes = mth_pickle_n_nodes(pickle);
    struct walker *w = mth_memory_alloc(map->memory, sizeof *w);
    if (!w)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory to list its tensors", source->name);
    *w = (struct walker){.pickle = pickle, .storages = storages, .source = source, .map = map, .err = err};
    w->seen.memory = map->memory;
    struct mth_torch_budget own = {MAP_FREE_BYTES + (uint64_t)n_nodes * MAP_BYTES_PER_NODE, PATH_WORK_BYTES};
    if (budget) {
        own.map_bytes_left = mth_u64_min(own.map_bytes_left, budget->map_bytes_left);
        own.path_bytes_left = mth_u64_min(own.path_bytes_left, budget->path_bytes_left);
    }
    w->budget = own;
    w->visits = mth_memory_calloc(map->memory, n_nodes, 1);
    int status = w->visits ? push_name(w, prefix, strlen(prefix)) : no_memory(w);
    if (!status)
        status = walk(w, pickle->root);
    if (!status && mth_torch_optimizers_match(pickle, &w->seen, map) != MTH_OK)
        status = no_memory(w);
    if (budget) {
        budget->map_bytes_left -= own.map_bytes_left - w->budget.map_bytes_left;
        budget->path_bytes_left -= own.path_bytes_left - w->budget.path_bytes_left;
    }
    mth_torch_seen_free(&w->seen);
    mth_memory_free(map->memory, w->visits);
    mth_memory_free(map->memory, w);
    return status;
}
