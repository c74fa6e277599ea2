/* Building and checking region maps; see region_map.h. */
#include "formats/region_map.h"

#include "base/checked.h"

#include <string.h>

void mth_region_map_init(struct mth_region_map *map, struct mth_memory *memory, const char *format,
                         uint64_t n_bytes)
{
    *map = (struct mth_region_map){.memory = memory, .format = format, .n_bytes = n_bytes};
}

void mth_region_map_free(struct mth_region_map *map)
{
    mth_memory_free(map->memory, map->regions);
    mth_memory_free(map->memory, map->tensors);
    mth_memory_free(map->memory, map->text);
    mth_memory_free(map->memory, map->dims);
    mth_memory_free(map->memory, map->derived);
    mth_memory_free(map->memory, map->params);
    mth_memory_free(map->memory, map->groups);
    mth_memory_free(map->memory, map->group_of);
    mth_memory_free(map->memory, map->lone_states);
    mth_region_map_init(map, map->memory, map->format, 0);
}

/* Room for n more things of size bytes behind the first n_used; grows by half, so that adding costs O(1). */
static int reserve(struct mth_region_map *map, void **array, size_t *capacity, size_t n_used, size_t n,
                   size_t size)
{
    size_t wanted, n_bytes;
    if (!mth_size_add(n_used, n, &wanted))
        return MTH_ERR_OVERFLOW;
    if (wanted <= *capacity)
        return MTH_OK;
    if (wanted > UINT32_MAX)
        return MTH_ERR_LIMIT;
    wanted = mth_size_max(wanted, *capacity + *capacity / 2);
    if (!mth_size_mul(wanted, size, &n_bytes))
        return MTH_ERR_OVERFLOW;
    void *grown = mth_memory_realloc(map->memory, *array, n_bytes);
    if (!grown)
        return MTH_ERR_NO_MEMORY;
    *array = grown;
    *capacity = wanted;
    return MTH_OK;
}

int mth_region_map_add_region(struct mth_region_map *map, uint64_t offset, uint64_t n_bytes,
                              enum mth_dtype dtype, uint32_t *index)
{
    if (index)
        *index = n_bytes ? (uint32_t)map->n_regions : MTH_NO_REGION;
    if (n_bytes == 0)
        return MTH_OK;
    void *array = map->regions;
    int status = reserve(map, &array, &map->regions_capacity, map->n_regions, 1, sizeof *map->regions);
    map->regions = array;
    if (status)
        return status;
    map->regions[map->n_regions++] =
        (struct mth_region){.offset = offset, .n_bytes = n_bytes, .dtype = dtype};
    return MTH_OK;
}

int mth_region_map_add_view(struct mth_region_map *map, const char *name, size_t n_name,
                            const uint64_t *shape, const uint64_t *strides, size_t n_dims,
                            const struct mth_tensor *tensor)
{
    if (n_dims > MTH_MAX_DIMS)
        return MTH_ERR_LIMIT;
    size_t n_entries = strides ? 2 * n_dims : n_dims;
    void *tensors = map->tensors, *text = map->text, *dims = map->dims;
    int status = reserve(map, &tensors, &map->tensors_capacity, map->n_tensors, 1, sizeof *map->tensors);
    map->tensors = tensors;
    if (!status)
        status = reserve(map, &text, &map->text_capacity, map->n_text, n_name + 1, 1);
    map->text = text;
    if (!status)
        status = reserve(map, &dims, &map->dims_capacity, map->n_dims, n_entries, sizeof *map->dims);
    map->dims = dims;
    if (status)
        return status;

    struct mth_tensor *added = &map->tensors[map->n_tensors++];
    *added = *tensor;
    added->name = (uint32_t)map->n_text;
    added->shape = (uint32_t)map->n_dims;
    added->n_dims = (uint8_t)n_dims;
    if (strides)
        added->flags |= MTH_TENSOR_STRIDED;
    if (n_name)
        memcpy(map->text + map->n_text, name, n_name);
    map->text[map->n_text + n_name] = '\0';
    map->n_text += n_name + 1;
    if (n_dims)
        memcpy(map->dims + map->n_dims, shape, n_dims * sizeof *shape);
    if (n_dims && strides)
        memcpy(map->dims + map->n_dims + n_dims, strides, n_dims * sizeof *strides);
    map->n_dims += n_entries;
    return MTH_OK;
}

int mth_region_map_add_tensor(struct mth_region_map *map, const char *name, size_t n_name,
                              const uint64_t *shape, size_t n_dims, const struct mth_tensor *tensor)
{
    return mth_region_map_add_view(map, name, n_name, shape, NULL, n_dims, tensor);
}

int mth_region_map_rename(struct mth_region_map *map, size_t tensor, const char *suffix, size_t n_suffix)
{
    size_t n_name = strlen(map->text + map->tensors[tensor].name);
    void *text = map->text;
    int status = reserve(map, &text, &map->text_capacity, map->n_text, n_name + n_suffix + 1, 1);
    map->text = text;
    if (status)
        return status;
    memcpy(map->text + map->n_text, map->text + map->tensors[tensor].name, n_name);
    memcpy(map->text + map->n_text + n_name, suffix, n_suffix);
    map->text[map->n_text + n_name + n_suffix] = '\0';
    map->tensors[tensor].name = (uint32_t)map->n_text;
    map->n_text += n_name + n_suffix + 1;
    return MTH_OK;
}

int mth_region_map_add_derived(struct mth_region_map *map, uint64_t offset, uint32_t region)
{
    void *array = map->derived;
    int status = reserve(map, &array, &map->derived_capacity, map->n_derived, 1, sizeof *map->derived);
    map->derived = array;
    if (!status)
        map->derived[map->n_derived++] = (struct mth_derived){.offset = offset, .region = region};
    return status;
}

int mth_region_map_add_lone_state(struct mth_region_map *map, struct mth_lone_state state)
{
    void *array = map->lone_states;
    int status = reserve(map, &array, &map->lone_states_capacity, map->n_lone_states, 1, sizeof state);
    map->lone_states = array;
    if (!status)
        map->lone_states[map->n_lone_states++] = state;
    return status;
}

/* The parameters of a part's tensors; those of tensors before it are known or not. */
static int append_params(struct mth_region_map *map, const struct mth_region_map *part, size_t n_before)
{
    if (part->n_params == 0)
        return MTH_OK;
    size_t n_gap = n_before - map->n_params;
    void *params = map->params;
    int status = reserve(map, &params, &map->params_capacity, map->n_params, n_gap + part->n_params,
                         sizeof *map->params);
    map->params = params;
    if (status)
        return status;
    for (size_t i = 0; i < n_gap; i++)
        map->params[map->n_params++] = MTH_NO_TENSOR;
    for (size_t i = 0; i < part->n_params; i++) {
        uint32_t param = part->params[i];
        map->params[map->n_params++] =
            param == MTH_NO_TENSOR ? (uint32_t)MTH_NO_TENSOR : param + (uint32_t)n_before;
    }
    return MTH_OK;
}

/* What optimizers of a part say of their groups, and what they keep of parameters that it does not tell. */
static int append_groups(struct mth_region_map *map, const struct mth_region_map *part, size_t n_before)
{
    size_t n_groups = map->n_groups;
    int status = MTH_OK;
    for (size_t i = 0; i < part->n_lone_states && !status; i++) {
        struct mth_lone_state state = part->lone_states[i];
        state.first += (uint32_t)n_before;
        state.end += (uint32_t)n_before;
        status = mth_region_map_add_lone_state(map, state);
    }
    if (status || part->n_groups == 0 || part->n_grouped == 0)
        return status;
    uint32_t *group_of =
        mth_memory_realloc(map->memory, map->group_of, (n_before + part->n_grouped) * sizeof *group_of);
    if (!group_of)
        return MTH_ERR_NO_MEMORY;
    map->group_of = group_of;
    struct mth_optimizer_group *groups =
        mth_memory_realloc(map->memory, map->groups, (n_groups + part->n_groups) * sizeof *groups);
    if (!groups)
        return MTH_ERR_NO_MEMORY;
    map->groups = groups;
    memcpy(groups + n_groups, part->groups, part->n_groups * sizeof *groups);
    map->n_groups += part->n_groups;
    while (map->n_grouped < n_before)
        group_of[map->n_grouped++] = UINT32_MAX;
    for (size_t i = 0; i < part->n_grouped; i++)
        group_of[map->n_grouped++] =
            part->group_of[i] < part->n_groups ? part->group_of[i] + (uint32_t)n_groups : UINT32_MAX;
    return MTH_OK;
}

int mth_region_map_append(struct mth_region_map *map, const struct mth_region_map *part, uint64_t offset)
{
    size_t n_regions = map->n_regions, n_tensors = map->n_tensors;
    int status = MTH_OK;
    for (size_t i = 0; i < part->n_regions && !status; i++) {
        const struct mth_region *region = &part->regions[i];
        uint32_t index;
        status =
            mth_region_map_add_region(map, offset + region->offset, region->n_bytes, region->dtype, &index);
        if (!status)
            map->regions[index].flags = region->flags;
    }
    for (size_t i = 0; i < part->n_tensors && !status; i++) {
        struct mth_tensor tensor = part->tensors[i];
        const char *name = mth_tensor_name(part, &tensor);
        if (tensor.region != MTH_NO_REGION)
            tensor.region += (uint32_t)n_regions;
        status = mth_region_map_add_view(map, name, strlen(name), mth_tensor_shape(part, &tensor),
                                         mth_tensor_strides(part, &tensor), tensor.n_dims, &tensor);
    }
    for (size_t i = 0; i < part->n_derived && !status; i++)
        status = mth_region_map_add_derived(map, offset + part->derived[i].offset,
                                            part->derived[i].region + (uint32_t)n_regions);
    if (!status)
        status = append_params(map, part, n_tensors);
    return status ? status : append_groups(map, part, n_tensors);
}

int mth_shape_bytes(enum mth_dtype dtype, const uint64_t *shape, size_t n_dims, uint64_t *n_elems,
                    uint64_t *n_bytes)
{
    uint64_t elems = 1, bits;
    for (size_t i = 0; i < n_dims; i++) {
        if (!mth_u64_mul(elems, shape[i], &elems))
            return MTH_ERR_OVERFLOW;
    }
    if (!mth_u64_mul(elems, mth_dtype_info(dtype)->bits, &bits))
        return MTH_ERR_OVERFLOW;
    if (bits % 8 != 0)
        return MTH_ERR_FORMAT;
    *n_elems = elems;
    *n_bytes = bits / 8;
    return MTH_OK;
}

int mth_view_span_bytes(enum mth_dtype dtype, const uint64_t *shape, const uint64_t *strides, size_t n_dims,
                        uint64_t *n_bytes)
{
    unsigned bits = mth_dtype_info(dtype)->bits;
    uint64_t last = 0, step;
    if (bits % 8 != 0)
        return MTH_ERR_FORMAT;
    *n_bytes = 0;
    for (size_t i = 0; i < n_dims; i++) {
        if (shape[i] == 0)
            return MTH_OK;
    }
    for (size_t i = 0; i < n_dims; i++) {
        if (!mth_u64_mul(shape[i] - 1, strides[i], &step) || !mth_u64_add(last, step, &last))
            return MTH_ERR_OVERFLOW;
    }
    return mth_u64_add(last, 1, &last) && mth_u64_mul(last, bits / 8, n_bytes) ? MTH_OK : MTH_ERR_OVERFLOW;
}

uint64_t mth_tensor_span_bytes(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    const uint64_t *strides = mth_tensor_strides(map, tensor);
    uint64_t n_bytes = 0;
    if (!strides)
        return mth_tensor_bytes(tensor);
    (void)mth_view_span_bytes((enum mth_dtype)tensor->dtype, mth_tensor_shape(map, tensor), strides,
                              tensor->n_dims, &n_bytes);
    return n_bytes;
}

/* Is name the last of the parts of a dotted name, or all of it? */
static bool ends_in(const char *name, const char *part)
{
    size_t n_name = strlen(name), n_part = strlen(part);
    return n_name >= n_part && strcmp(name + n_name - n_part, part) == 0 &&
           (n_name == n_part || name[n_name - n_part - 1] == '.');
}

enum mth_role mth_role_of(const char *name, enum mth_dtype dtype)
{
    if (ends_in(name, "exp_avg"))
        return MTH_ROLE_ADAM_M;
    if (ends_in(name, "exp_avg_sq"))
        return MTH_ROLE_ADAM_V;
    if (ends_in(name, "step"))
        return MTH_ROLE_STEP;
    switch (dtype) {
    case MTH_DTYPE_F6_E2M3:
    case MTH_DTYPE_F6_E3M2:
    case MTH_DTYPE_F4:
        return MTH_ROLE_WEIGHT;
    default:
        return mth_dtype_info(dtype)->exponent_bits ? MTH_ROLE_WEIGHT : MTH_ROLE_OTHER;
    }
}

static bool tensor_is_sound(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    uint64_t n_elems, n_bytes;
    if (tensor->name >= map->n_text || tensor->dtype >= MTH_N_DTYPES || tensor->n_dims > MTH_MAX_DIMS ||
        tensor->shape > map->n_dims)
        return false;
    bool is_strided = tensor->flags & MTH_TENSOR_STRIDED;
    if ((size_t)tensor->n_dims << is_strided > map->n_dims - tensor->shape)
        return false;
    const uint64_t *shape = tensor->n_dims ? mth_tensor_shape(map, tensor) : NULL;
    if (mth_shape_bytes((enum mth_dtype)tensor->dtype, shape, tensor->n_dims, &n_elems, &n_bytes) != MTH_OK ||
        n_elems != tensor->n_elems)
        return false;
    if (is_strided &&
        mth_view_span_bytes((enum mth_dtype)tensor->dtype, shape, mth_tensor_strides(map, tensor),
                            tensor->n_dims, &n_bytes) != MTH_OK)
        return false;
    if (tensor->region == MTH_NO_REGION)
        return n_bytes == 0;
    if (tensor->region >= map->n_regions)
        return false;
    const struct mth_region *region = &map->regions[tensor->region];
    return tensor->offset_bytes <= region->n_bytes && n_bytes <= region->n_bytes - tensor->offset_bytes;
}

const struct mth_region *mth_region_map_region_at(const struct mth_region_map *map, uint64_t offset)
{
    size_t low = 0, high = map->n_regions;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (map->regions[middle].offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || offset - map->regions[low - 1].offset >= map->regions[low - 1].n_bytes)
        return NULL;
    return &map->regions[low - 1];
}

/* Four bytes inside one opaque region, and a region that they follow from. */
static bool derived_is_sound(const struct mth_region_map *map, const struct mth_derived *derived)
{
    const struct mth_region *region = mth_region_map_region_at(map, derived->offset);
    return region && derived->region < map->n_regions && region->dtype == MTH_DTYPE_OPAQUE &&
           region->n_bytes >= 4 && derived->offset - region->offset <= region->n_bytes - 4;
}

int mth_region_map_check(const struct mth_region_map *map)
{
    uint64_t end = 0;
    for (size_t i = 0; i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        if (region->offset != end || region->n_bytes == 0 || !mth_u64_add(end, region->n_bytes, &end))
            return MTH_ERR_INTERNAL;
    }
    if (end != map->n_bytes)
        return MTH_ERR_INTERNAL;
    if (map->n_text && map->text[map->n_text - 1] != '\0')
        return MTH_ERR_INTERNAL;
    for (size_t i = 0; i < map->n_tensors; i++) {
        if (!tensor_is_sound(map, &map->tensors[i]))
            return MTH_ERR_INTERNAL;
        if (i < map->n_params && map->params[i] != MTH_NO_TENSOR && map->params[i] >= map->n_tensors)
            return MTH_ERR_INTERNAL;
    }
    for (size_t i = 0; i < map->n_derived; i++) {
        if (!derived_is_sound(map, &map->derived[i]))
            return MTH_ERR_INTERNAL;
    }
    for (size_t i = 0; i < map->n_lone_states; i++) {
        const struct mth_lone_state *state = &map->lone_states[i];
        if (state->first >= state->end || state->end > map->n_tensors)
            return MTH_ERR_INTERNAL;
    }
    return MTH_OK;
}

const struct mth_tensor *mth_region_map_find(const struct mth_region_map *map, const char *name)
{
    for (size_t i = 0; i < map->n_tensors; i++) {
        if (strcmp(mth_tensor_name(map, &map->tensors[i]), name) == 0)
            return &map->tensors[i];
    }
    return NULL;
}
