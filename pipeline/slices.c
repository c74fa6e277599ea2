/* Cutting a map into parts that are copies of others; see slices.h. */
#include "pipeline/slices.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

struct cuts {
    struct mth_region_cut *of;
    size_t n, capacity;
};

static int add(struct mth_memory *memory, const struct mth_region_map *map, struct cuts *cuts,
               uint32_t region, uint64_t elem)
{
    uint64_t at = elem * mth_dtype_lane_bytes(map->regions[region].dtype);
    if (at == 0 || at == map->regions[region].n_bytes || cuts->n == MTH_MAX_SLICE_CUTS)
        return MTH_OK;
    int status = mth_array_reserve(memory, &cuts->of, &cuts->capacity, cuts->n + 1, sizeof *cuts->of);
    if (!status)
        cuts->of[cuts->n++] = (struct mth_region_cut){region, at};
    return status;
}

static int compare(const void *left, const void *right)
{
    const struct mth_region_cut *a = left, *b = right;
    if (a->region != b->region)
        return a->region < b->region ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

static void sort(struct cuts *cuts)
{
    size_t n = 0;
    if (cuts->n)
        qsort(cuts->of, cuts->n, sizeof *cuts->of, compare);
    for (size_t i = 0; i < cuts->n; i++) {
        if (n == 0 || compare(&cuts->of[n - 1], &cuts->of[i]) != 0)
            cuts->of[n++] = cuts->of[i];
    }
    cuts->n = n;
}

/* The first cut of a region or, where it has none, of one behind it. */
static size_t first_of(const struct cuts *cuts, size_t n, uint32_t region)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cuts->of[middle].region < region)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What an optimizer keeps of a parameter is cut as that is. used: for each region whether it is a part or has parts itself. */
static int follow_parameters(struct mth_memory *memory, const struct mth_region_map *map, const bool *used,
                             struct cuts *cuts)
{
    size_t n = cuts->n;
    int status = MTH_OK;
    for (size_t i = 0; !status && i < map->n_params && i < map->n_tensors; i++) {
        const struct mth_tensor *state = &map->tensors[i], *param = mth_tensor_param(map, state);
        if (!param || param->region == MTH_NO_REGION || state->region == MTH_NO_REGION ||
            used[state->region] || state->region == param->region || state->n_elems != param->n_elems)
            continue;
        size_t width = mth_dtype_lane_bytes(map->regions[param->region].dtype);
        if (map->regions[state->region].n_bytes / mth_dtype_lane_bytes(map->regions[state->region].dtype) !=
            map->regions[param->region].n_bytes / width)
            continue;
        for (size_t k = first_of(cuts, n, param->region);
             !status && k < n && cuts->of[k].region == param->region; k++)
            status = add(memory, map, cuts, state->region, cuts->of[k].at / width);
    }
    return status;
}

/*
 * Weights of one width, all of which the base has by name: what is twice there is little more than what is there once, so that parts are
 * not worth much time. Where widths differ, as in a training state, they are.
 */
static bool are_in_base(const struct mth_region_map *map, const struct mth_base_match *match)
{
    enum mth_dtype first = MTH_DTYPE_OPAQUE;
    if (!match->references || match->paired.n_same == 0 ||
        mth_paired_of(&match->paired) + match->paired.n_new != match->paired.n_same)
        return false;
    for (size_t i = 0; i < map->n_regions; i++) {
        enum mth_dtype dtype = map->regions[i].dtype;
        if (dtype == MTH_DTYPE_OPAQUE)
            continue;
        if (mth_dtype_lane_bytes(dtype) != 2 || (first != MTH_DTYPE_OPAQUE && dtype != first))
            return false;
        first = dtype;
    }
    return true;
}

static int find_cuts(const struct mth_region_map *map, const struct mth_source *input,
                     const struct mth_base_match *match, struct mth_memory *memory, struct cuts *cuts,
                     struct mth_error *err)
{
    struct mth_slice *slices = NULL;
    size_t n_slices = 0;
    bool *used = NULL;
    int status = mth_slices_find(map, input, are_in_base(map, match), memory, &slices, &n_slices, err);
    if (!status && n_slices) {
        used = mth_memory_calloc(memory, map->n_regions, sizeof *used);
        status = used ? MTH_OK : MTH_ERR_NO_MEMORY;
    }
    for (size_t i = 0; !status && i < n_slices; i++) {
        used[slices[i].whole] = used[slices[i].part] = true;
        status = add(memory, map, cuts, slices[i].whole, slices[i].first);
        if (!status)
            status = add(memory, map, cuts, slices[i].whole, slices[i].first + slices[i].n_elems);
    }
    sort(cuts);
    if (!status && cuts->n && map->params)
        status = follow_parameters(memory, map, used, cuts);
    sort(cuts);
    mth_memory_free(memory, slices);
    mth_memory_free(memory, used);
    return status;
}

/* The references of regions that are now several. */
static int repeat_references(const struct mth_region_map *map, const uint32_t *first, size_t n_parts,
                             struct mth_memory *memory, uint32_t **references)
{
    uint32_t *of_parts = mth_memory_alloc(memory, n_parts * sizeof *of_parts);
    if (!of_parts)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < map->n_regions; i++) {
        for (uint32_t part = first[i]; part < first[i + 1]; part++)
            of_parts[part] = (*references)[i];
    }
    mth_memory_free(memory, *references);
    *references = of_parts;
    return MTH_OK;
}

/* The same, and where they begin in these. */
static int note_origins(const struct mth_region_map *map, const uint32_t *first, struct mth_base_match *match,
                        struct mth_memory *memory, struct mth_slices *slices)
{
    size_t n = slices->split.n_regions;
    slices->origins = mth_memory_calloc(memory, n, sizeof *slices->origins);
    if (!slices->origins)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < map->n_regions; i++) {
        for (uint32_t part = first[i]; part < first[i + 1]; part++)
            slices->origins[part] = slices->split.regions[part].offset - map->regions[i].offset;
    }
    int status = repeat_references(map, first, n, memory, &match->references);
    if (!status && match->older)
        status = repeat_references(map, first, n, memory, &match->older);
    return status;
}

int mth_slices_cut(struct mth_bundle_planner *planner, const struct mth_source *input,
                   struct mth_base_match *match, struct mth_memory *memory, struct mth_slices *slices,
                   struct mth_error *err)
{
    const struct mth_region_map *map = planner->map;
    struct cuts cuts = {0};
    struct mth_error inner = {0};
    uint32_t *first = NULL;
    int status = find_cuts(map, input, match, memory, &cuts, &inner);
    if (!status && cuts.n) {
        first = mth_memory_alloc(memory, (map->n_regions + 1) * sizeof *first);
        status = first ? mth_region_split(map, cuts.of, cuts.n, &slices->split, first) : MTH_ERR_NO_MEMORY;
        if (!status && match->references)
            status = note_origins(map, first, match, memory, slices);
        if (!status) {
            planner->map = &slices->split;
            planner->references = match->references;
            planner->older = match->older;
            planner->origins = slices->origins;
        }
    }
    mth_memory_free(memory, first);
    mth_memory_free(memory, cuts.of);
    if (!status)
        return MTH_OK;
    return inner.status ? mth_error_set(err, inner.status, "%s", inner.text)
                        : mth_error_set(err, status, "looking for parts of tensors failed: %s",
                                        mth_status_text(status));
}

void mth_slices_free(struct mth_slices *slices, struct mth_memory *memory)
{
    mth_region_split_free(&slices->split);
    mth_memory_free(memory, slices->origins);
    slices->origins = NULL;
}
