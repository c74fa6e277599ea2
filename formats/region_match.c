/* Pairing the regions of a checkpoint with those of its base; see region_match.h. */
#include "formats/region_match.h"

#include "formats/name_index.h"

#include <stdbool.h>
#include <string.h>

/* The region that a tensor spans, NULL when there is none. It lies inside its region: the size tells. */
static const struct mth_region *covered_region(const struct mth_region_map *map,
                                               const struct mth_tensor *tensor)
{
    if (tensor->region == MTH_NO_REGION)
        return NULL;
    const struct mth_region *region = &map->regions[tensor->region];
    return region->n_bytes == mth_tensor_span_bytes(map, tensor) ? region : NULL;
}

static bool same_kind(const struct mth_region_map *map, const struct mth_tensor *tensor,
                      const struct mth_region_map *base, const struct mth_tensor *other)
{
    /* Strides lie behind the shape, so that one comparison covers both. */
    size_t n_entries = (size_t)tensor->n_dims << (mth_tensor_strides(map, tensor) != NULL);
    return tensor->dtype == other->dtype && tensor->n_dims == other->n_dims &&
           tensor->flags == other->flags &&
           map->regions[tensor->region].flags == base->regions[other->region].flags &&
           (n_entries == 0 || memcmp(mth_tensor_shape(map, tensor), mth_tensor_shape(base, other),
                                     n_entries * sizeof *map->dims) == 0);
}

int mth_region_match(const struct mth_region_map *map, const struct mth_region_map *base,
                     uint64_t *base_offsets)
{
    for (size_t i = 0; i < map->n_regions; i++)
        base_offsets[i] = MTH_NO_MATCH;
    struct mth_name_index index;
    int status = mth_name_index_build(base, &index, NULL);
    if (status)
        return status;
    for (size_t i = 0; i < map->n_tensors; i++) {
        const struct mth_tensor *tensor = &map->tensors[i];
        if (!covered_region(map, tensor) || base_offsets[tensor->region] != MTH_NO_MATCH)
            continue;
        const struct mth_tensor *other = mth_name_index_find(&index, mth_tensor_name(map, tensor));
        const struct mth_region *region = other ? covered_region(base, other) : NULL;
        if (region && same_kind(map, tensor, base, other))
            base_offsets[tensor->region] = region->offset;
    }
    mth_name_index_free(&index);
    return MTH_OK;
}
