/* Cutting regions; see region_split.h. */
#include "formats/region_split.h"

#include <string.h>

struct splitting {
    const struct mth_region_map *map;
    struct mth_region_map *out;
    const uint32_t *first;
    uint32_t *
        more; /* for each tensor of map the first of its parts behind the one in its place; MTH_NO_TENSOR: none */
};

void mth_region_split_free(struct mth_region_map *split)
{
    if (!split->memory)
        return;
    mth_memory_free(split->memory, split->regions);
    mth_memory_free(split->memory, split->tensors);
    mth_memory_free(split->memory, split->dims);
    mth_memory_free(split->memory, split->params);
    mth_memory_free(split->memory, split->group_of);
    memset(split, 0, sizeof *split);
}

static void split_regions(const struct mth_region_map *map, const struct mth_region_cut *cuts, size_t n_cuts,
                          struct mth_region_map *out, uint32_t *first)
{
    size_t cut = 0;
    out->n_regions = 0;
    for (size_t i = 0; i < map->n_regions; i++) {
        const struct mth_region *whole = &map->regions[i];
        uint64_t begin = 0;
        first[i] = (uint32_t)out->n_regions;
        for (; begin < whole->n_bytes; out->n_regions++) {
            uint64_t end = cut < n_cuts && cuts[cut].region == i ? cuts[cut++].at : whole->n_bytes;
            struct mth_region *part = &out->regions[out->n_regions];
            *part = *whole;
            part->offset += begin;
            part->n_bytes = end - begin;
            begin = end;
        }
    }
    first[map->n_regions] = (uint32_t)out->n_regions;
}

static size_t n_parts(const struct splitting *s, uint32_t region)
{
    return region == MTH_NO_REGION ? 1 : s->first[region + 1] - s->first[region];
}

/* The part of a tensor that a region holds. */
static struct mth_tensor part_of(struct mth_region_map *out, const struct mth_tensor *tensor, uint32_t region,
                                 uint64_t offset)
{
    struct mth_tensor part = *tensor;
    unsigned bits = mth_dtype_info((enum mth_dtype)tensor->dtype)->bits;
    const uint64_t *shape = out->dims + tensor->shape;
    uint64_t n_row = shape[0] ? tensor->n_elems / shape[0] : 0;
    part.region = region;
    part.n_elems = out->regions[region].n_bytes * 8 / bits;
    part.shape = (uint32_t)out->n_dims;
    bool of_rows = n_row && part.n_elems % n_row == 0 && offset * 8 / bits % n_row == 0;
    part.n_dims = of_rows ? tensor->n_dims : 1;
    memcpy(out->dims + out->n_dims, shape, part.n_dims * sizeof *out->dims);
    out->dims[out->n_dims] = of_rows ? part.n_elems / n_row : part.n_elems;
    out->n_dims += part.n_dims;
    return part;
}

static void split_tensors(const struct splitting *s)
{
    const struct mth_region_map *map = s->map;
    struct mth_region_map *out = s->out;
    for (size_t i = 0; i < map->n_tensors; i++) {
        struct mth_tensor *tensor = &out->tensors[i];
        uint32_t region = tensor->region;
        s->more[i] = MTH_NO_TENSOR;
        if (region == MTH_NO_REGION)
            continue;
        tensor->region = s->first[region];
        if (n_parts(s, region) == 1)
            continue;
        if (tensor->flags || tensor->n_dims == 0 ||
            mth_tensor_span_bytes(map, &map->tensors[i]) != map->regions[region].n_bytes) {
            tensor->region = MTH_NO_REGION;
            continue;
        }
        struct mth_tensor whole = *tensor;
        *tensor = part_of(out, &whole, s->first[region], 0);
        s->more[i] = (uint32_t)out->n_tensors;
        for (uint32_t part = s->first[region] + 1; part < s->first[region + 1]; part++)
            out->tensors[out->n_tensors++] =
                part_of(out, &whole, part, out->regions[part].offset - map->regions[region].offset);
    }
}

/* Are the parts of two tensors of the same elements? */
static bool cut_alike(const struct splitting *s, const struct mth_tensor *a, const struct mth_tensor *b)
{
    if (a->region == MTH_NO_REGION || b->region == MTH_NO_REGION ||
        n_parts(s, a->region) != n_parts(s, b->region))
        return false;
    for (size_t i = 0; i < n_parts(s, a->region); i++) {
        const struct mth_region *x = &s->out->regions[s->first[a->region] + i],
                                *y = &s->out->regions[s->first[b->region] + i];
        if (x->n_bytes / mth_dtype_lane_bytes(x->dtype) != y->n_bytes / mth_dtype_lane_bytes(y->dtype))
            return false;
    }
    return true;
}

/* What is kept of a tensor that is cut, for each of its parts. */
static void split_state(const struct splitting *s)
{
    const struct mth_region_map *map = s->map;
    struct mth_region_map *out = s->out;
    for (size_t i = 0; i < map->n_params; i++) {
        uint32_t param = map->params[i];
        const struct mth_tensor *state = &map->tensors[i];
        if (param == MTH_NO_TENSOR || s->more[param] == MTH_NO_TENSOR)
            continue;
        const struct mth_tensor *whole = &map->tensors[param];
        bool alike = s->more[i] != MTH_NO_TENSOR && cut_alike(s, state, whole);
        if (!alike && (state->n_elems != 1 || state->region == MTH_NO_REGION)) {
            out->params[i] = MTH_NO_TENSOR;
            continue;
        }
        for (uint32_t part = 0; part + 1 < n_parts(s, whole->region); part++) {
            uint32_t number = alike ? s->more[i] + part : (uint32_t)out->n_tensors;
            if (!alike)
                out->tensors[out->n_tensors++] = out->tensors[i];
            out->params[number] = s->more[param] + part;
            if (out->group_of && i < map->n_grouped)
                out->group_of[number] = map->group_of[i];
        }
    }
}

/* How many tensors and dims there will be, at most. */
static void count(const struct splitting *s, uint64_t *n_tensors, uint64_t *n_dims)
{
    const struct mth_region_map *map = s->map;
    *n_tensors = map->n_tensors;
    *n_dims = map->n_dims;
    for (size_t i = 0; i < map->n_tensors; i++) {
        const struct mth_tensor *tensor = &map->tensors[i];
        size_t n = n_parts(s, tensor->region);
        uint32_t param = i < map->n_params ? map->params[i] : (uint32_t)MTH_NO_TENSOR;
        *n_tensors += n - 1;
        *n_dims += n > 1 ? n * (tensor->n_dims + (uint64_t)1) : 0;
        if (n == 1 && param != MTH_NO_TENSOR)
            *n_tensors += n_parts(s, map->tensors[param].region) - 1;
    }
}

static uint32_t *copy_numbers(struct mth_memory *memory, const uint32_t *numbers, size_t n, size_t capacity)
{
    uint32_t *copy = mth_memory_alloc(memory, capacity * sizeof *copy);
    if (!copy)
        return NULL;
    memset(copy, 0xff, capacity * sizeof *copy);
    if (n)
        memcpy(copy, numbers, n * sizeof *copy);
    return copy;
}

static int take_room(struct splitting *s, uint64_t n_tensors, uint64_t n_dims)
{
    const struct mth_region_map *map = s->map;
    struct mth_region_map *out = s->out;
    out->tensors = mth_memory_calloc(map->memory, n_tensors, sizeof *out->tensors);
    out->dims = mth_memory_calloc(map->memory, n_dims + 1, sizeof *out->dims);
    s->more = mth_memory_alloc(map->memory, (map->n_tensors + 1) * sizeof *s->more);
    if (map->params)
        out->params = copy_numbers(map->memory, map->params, map->n_params, n_tensors + 1);
    if (map->group_of)
        out->group_of = copy_numbers(map->memory, map->group_of, map->n_grouped, n_tensors + 1);
    if (!out->tensors || !out->dims || !s->more || (map->params && !out->params) ||
        (map->group_of && !out->group_of))
        return MTH_ERR_NO_MEMORY;
    if (map->n_tensors)
        memcpy(out->tensors, map->tensors, map->n_tensors * sizeof *out->tensors);
    if (map->n_dims)
        memcpy(out->dims, map->dims, map->n_dims * sizeof *out->dims);
    return MTH_OK;
}

int mth_region_split(const struct mth_region_map *map, const struct mth_region_cut *cuts, size_t n_cuts,
                     struct mth_region_map *out, uint32_t *first)
{
    struct splitting s = {.map = map, .out = out, .first = first};
    uint64_t n_tensors, n_dims;
    if (map->n_regions + n_cuts >= MTH_NO_REGION)
        return MTH_ERR_LIMIT;
    *out = *map;
    out->tensors = NULL;
    out->dims = NULL;
    out->params = NULL;
    out->group_of = NULL;
    out->n_derived = 0;
    out->regions = mth_memory_calloc(map->memory, map->n_regions + n_cuts, sizeof *out->regions);
    int status = out->regions ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status) {
        split_regions(map, cuts, n_cuts, out, first);
        count(&s, &n_tensors, &n_dims);
        status = n_tensors >= MTH_NO_TENSOR || n_dims > UINT32_MAX ? MTH_ERR_LIMIT
                                                                   : take_room(&s, n_tensors, n_dims);
    }
    if (!status) {
        split_tensors(&s);
        if (out->params)
            split_state(&s);
        out->n_params = out->params ? out->n_tensors : 0;
        out->n_grouped = out->group_of ? out->n_tensors : 0;
    }
    mth_memory_free(map->memory, s.more);
    if (status)
        mth_region_split_free(out);
    return status;
}
