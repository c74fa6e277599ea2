/* Cutting regions in two; see region_split.h. */
#include "formats/region_split.h"

#include <string.h>

void mth_region_split_free(struct mth_region_map *split)
{
    if (!split->memory)
        return;
    mth_memory_free(split->memory, split->regions);
    mth_memory_free(split->memory, split->tensors);
    mth_memory_free(split->memory, split->dims);
    memset(split, 0, sizeof *split);
}

static void split_regions(const struct mth_region_map *map, const uint64_t *n_front,
                          struct mth_region_map *out, uint32_t *first)
{
    out->n_regions = 0;
    for (size_t i = 0; i < map->n_regions; i++) {
        struct mth_region region = map->regions[i];
        first[i] = (uint32_t)out->n_regions;
        if (n_front[i]) {
            region.n_bytes = n_front[i];
            out->regions[out->n_regions++] = region;
            region.offset += n_front[i];
            region.n_bytes = map->regions[i].n_bytes - n_front[i];
        }
        out->regions[out->n_regions++] = region;
    }
}

/* A tensor of the rows of another, as many as fill a region. */
static struct mth_tensor rows_of(struct mth_region_map *out, const struct mth_tensor *tensor, uint32_t region)
{
    struct mth_tensor rows = *tensor;
    uint64_t n_row = tensor->n_elems / out->dims[tensor->shape];
    unsigned bits = mth_dtype_info((enum mth_dtype)tensor->dtype)->bits;
    rows.region = region;
    rows.n_elems = out->regions[region].n_bytes * 8 / bits;
    rows.shape = (uint32_t)out->n_dims;
    memcpy(out->dims + out->n_dims, out->dims + tensor->shape, tensor->n_dims * sizeof *out->dims);
    out->dims[out->n_dims] = rows.n_elems / n_row;
    out->n_dims += tensor->n_dims;
    return rows;
}

static void split_tensors(const struct mth_region_map *map, const uint64_t *n_front,
                          struct mth_region_map *out, const uint32_t *first)
{
    for (size_t i = 0; i < map->n_tensors; i++) {
        struct mth_tensor *tensor = &out->tensors[i];
        if (tensor->region == MTH_NO_REGION)
            continue;
        uint32_t region = tensor->region;
        tensor->region = first[region];
        if (n_front[region] == 0)
            continue;
        if (tensor->flags || tensor->n_dims == 0 ||
            mth_tensor_span_bytes(map, &map->tensors[i]) != map->regions[region].n_bytes) {
            tensor->region = MTH_NO_REGION;
            continue;
        }
        struct mth_tensor whole = *tensor;
        *tensor = rows_of(out, &whole, first[region]);
        out->tensors[out->n_tensors++] = rows_of(out, &whole, first[region] + 1);
    }
}

int mth_region_split(const struct mth_region_map *map, const uint64_t *n_front, struct mth_region_map *out,
                     uint32_t *first)
{
    size_t n_more = 0, n_tensors = map->n_tensors, n_dims = map->n_dims;
    for (size_t i = 0; i < map->n_regions; i++)
        n_more += n_front[i] != 0;
    for (size_t i = 0; i < map->n_tensors; i++) {
        const struct mth_tensor *tensor = &map->tensors[i];
        if (tensor->region == MTH_NO_REGION || n_front[tensor->region] == 0)
            continue;
        n_tensors++;
        n_dims += 2u * tensor->n_dims;
    }
    if (map->n_regions + n_more >= MTH_NO_REGION || n_tensors >= MTH_NO_TENSOR || n_dims > UINT32_MAX)
        return MTH_ERR_LIMIT;
    *out = *map;
    out->regions = mth_memory_calloc(map->memory, map->n_regions + n_more, sizeof *out->regions);
    out->tensors = mth_memory_calloc(map->memory, n_tensors, sizeof *out->tensors);
    out->dims = mth_memory_calloc(map->memory, n_dims, sizeof *out->dims);
    if (!out->regions || !out->tensors || !out->dims) {
        mth_region_split_free(out);
        return MTH_ERR_NO_MEMORY;
    }
    memcpy(out->tensors, map->tensors, map->n_tensors * sizeof *out->tensors);
    if (map->n_dims)
        memcpy(out->dims, map->dims, map->n_dims * sizeof *out->dims);
    out->n_derived = 0;
    split_regions(map, n_front, out, first);
    split_tensors(map, n_front, out, first);
    return MTH_OK;
}
