/* Planning a checkpoint; see planner.h. */
#include "pipeline/planner.h"

#include "base/checked.h"
#include "formats/region_match.h"

#include <string.h>

enum { MTH_NO_UNIT = UINT32_MAX };

void mth_plan_init(struct mth_plan *plan, struct mth_memory *memory)
{
    *plan = (struct mth_plan){.memory = memory};
}

void mth_plan_free(struct mth_plan *plan)
{
    mth_memory_free(plan->memory, plan->segments);
    mth_memory_free(plan->memory, plan->units);
    mth_memory_free(plan->memory, plan->base_offsets);
    mth_memory_free(plan->memory, plan->unit_of_segment);
    mth_plan_init(plan, plan->memory);
}

int mth_array_reserve(struct mth_memory *memory, void *array_pointer, size_t *capacity, size_t n, size_t size)
{
    size_t n_bytes;
    void *array;
    if (n <= *capacity)
        return MTH_OK;
    n = mth_size_max(n, *capacity + *capacity / 2);
    if (!mth_size_mul(n, size, &n_bytes))
        return MTH_ERR_OVERFLOW;
    memcpy(&array, array_pointer, sizeof array);
    array = mth_memory_realloc(memory, array, n_bytes);
    if (!array)
        return MTH_ERR_NO_MEMORY;
    memcpy(array_pointer, &array, sizeof array);
    *capacity = n;
    return MTH_OK;
}

int mth_plan_add_unit(struct mth_plan *plan, const struct mth_unit *unit)
{
    int status =
        mth_array_reserve(plan->memory, &plan->units, &plan->units_capacity, plan->n_units + 1, sizeof *unit);
    if (!status)
        plan->units[plan->n_units++] = *unit;
    return status;
}

int mth_plan_add_segment(struct mth_plan *plan, const struct mth_segment *segment)
{
    int status = mth_array_reserve(plan->memory, &plan->segments, &plan->segments_capacity,
                                   plan->n_segments + 1, sizeof *segment);
    if (!status)
        plan->segments[plan->n_segments++] = *segment;
    return status;
}

/* The rules: what asked for, its form without references, or what stands in for it. */
static uint32_t choose_spec(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS], enum mth_dtype dtype,
                            bool has_reference)
{
    struct mth_symbol_type type = mth_symbol_type_of(dtype);
    if ((has_reference || !specs[MTH_PLAN_ASKED]->needs_base) &&
        mth_pipeline_accepts(specs[MTH_PLAN_ASKED], type))
        return MTH_PLAN_ASKED;
    if (specs[MTH_PLAN_ALONE] && mth_pipeline_accepts(specs[MTH_PLAN_ALONE], type))
        return MTH_PLAN_ALONE;
    return mth_dtype_lane_bytes(dtype) > 1 ? MTH_PLAN_WIDE : MTH_PLAN_NARROW;
}

/* Small tensors wait here for others of their kind, one open unit a kind. */
struct open_units {
    uint32_t unit[MTH_N_DTYPES][MTH_N_PLAN_SPECS][2];
};

static uint32_t *open_slot(struct open_units *open, const struct mth_unit *unit)
{
    return &open->unit[unit->dtype][unit->spec][unit->has_reference];
}

/* Gives a region a unit: a new one, or the open one of its kind. Segments get their unit's order later. */
static int place_region(struct mth_plan *plan, struct open_units *open, const struct mth_region *region,
                        uint64_t base_offset, const struct mth_unit *kind, size_t chunk_bytes)
{
    uint32_t *slot = open_slot(open, kind);
    bool small = region->n_bytes < chunk_bytes;
    uint32_t index = small ? *slot : MTH_NO_UNIT;
    if (index != MTH_NO_UNIT && region->n_bytes > chunk_bytes - plan->units[index].n_bytes)
        index = MTH_NO_UNIT;
    if (index == MTH_NO_UNIT) {
        index = (uint32_t)plan->n_units;
        int status = mth_plan_add_unit(plan, kind);
        if (status)
            return status;
        if (small)
            *slot = index;
    }
    struct mth_unit *unit = &plan->units[index];
    unit->n_bytes += region->n_bytes;

    /* Neighbours in the file that are neighbours in the base too are one segment. */
    struct mth_segment *last = plan->n_segments ? &plan->segments[plan->n_segments - 1] : NULL;
    if (last && plan->unit_of_segment[plan->n_segments - 1] == index &&
        last->offset + last->n_bytes == region->offset &&
        (!kind->has_reference || last->base_offset + last->n_bytes == base_offset)) {
        last->n_bytes += region->n_bytes;
        return MTH_OK;
    }
    struct mth_segment segment = {
        .offset = region->offset, .n_bytes = region->n_bytes, .base_offset = base_offset};
    int status = mth_array_reserve(plan->memory, &plan->unit_of_segment, &plan->unit_of_segment_capacity,
                                   plan->n_segments + 1, sizeof *plan->unit_of_segment);
    if (!status)
        status = mth_plan_add_segment(plan, &segment);
    if (status)
        return status;
    plan->unit_of_segment[plan->n_segments - 1] = index;
    plan->units[index].n_segments++;
    return MTH_OK;
}

/* Sorts the segments by unit, keeping file order within one: a counting sort, in place through a copy. */
static int group_segments(struct mth_plan *plan)
{
    size_t first = 0;
    for (size_t u = 0; u < plan->n_units; u++) {
        plan->units[u].first_segment = first;
        first += plan->units[u].n_segments;
        plan->units[u].n_segments = 0;
        plan->units[u].n_bytes = 0;
    }
    /* The sorted list is built behind the unsorted one, then moved to the front. */
    size_t n = plan->n_segments;
    int status = mth_array_reserve(plan->memory, &plan->segments, &plan->segments_capacity, 2 * n,
                                   sizeof *plan->segments);
    if (status)
        return status;
    for (size_t i = 0; i < n; i++) {
        struct mth_unit *unit = &plan->units[plan->unit_of_segment[i]];
        struct mth_segment *segment = &plan->segments[n + unit->first_segment + unit->n_segments++];
        *segment = plan->segments[i];
        segment->unit_offset = unit->n_bytes;
        unit->n_bytes += segment->n_bytes;
    }
    if (n)
        memcpy(plan->segments, plan->segments + n, n * sizeof *plan->segments);
    return MTH_OK;
}

int mth_plan_count_chunks(struct mth_plan *plan)
{
    size_t n_chunks = 0;
    for (size_t u = 0; u < plan->n_units; u++) {
        struct mth_unit *unit = &plan->units[u];
        uint64_t n = unit->n_bytes / plan->chunk_bytes + (unit->n_bytes % plan->chunk_bytes != 0);
        unit->first_chunk = n_chunks;
        if (!mth_u64_to_size(n, &unit->n_chunks) || !mth_size_add(n_chunks, unit->n_chunks, &n_chunks))
            return MTH_ERR_OVERFLOW;
    }
    plan->n_chunks = n_chunks;
    return MTH_OK;
}

int mth_plan_make(struct mth_plan *plan, const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS],
                  const struct mth_region_map *map, const struct mth_region_map *base, size_t chunk_bytes)
{
    struct open_units open;
    uint32_t spec_of[MTH_N_DTYPES][2]; /* asked once a kind, not once a tensor */
    memset(&open, 0xff, sizeof open);
    memset(spec_of, 0xff, sizeof spec_of);
    plan->chunk_bytes = chunk_bytes;
    plan->raw_bytes = map->n_bytes;
    plan->n_segments = 0;
    plan->n_units = 0;
    plan->n_tensors = 0;
    plan->n_matched = 0;

    int status = mth_array_reserve(plan->memory, &plan->base_offsets, &plan->base_offsets_capacity,
                                   map->n_regions, sizeof *plan->base_offsets);
    if (!status && base)
        status = mth_region_match(map, base, plan->base_offsets);
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        bool matched = base && plan->base_offsets[i] != MTH_NO_MATCH;
        if (region->dtype != MTH_DTYPE_OPAQUE) {
            plan->n_tensors++;
            plan->n_matched += matched;
        }
        uint32_t spec = spec_of[region->dtype][matched];
        if (spec == UINT32_MAX)
            spec = spec_of[region->dtype][matched] = choose_spec(specs, region->dtype, matched);
        /* A stand-in never looks at a reference, so none is kept for it. */
        struct mth_unit kind = {.dtype = region->dtype,
                                .spec = spec,
                                .has_reference = matched && specs[spec]->nodes[0].wants_reference};
        status = place_region(plan, &open, region, kind.has_reference ? plan->base_offsets[i] : 0, &kind,
                              chunk_bytes);
    }
    if (!status)
        status = group_segments(plan);
    if (!status)
        status = mth_plan_count_chunks(plan);
    return status;
}

const struct mth_unit *mth_plan_unit_of_chunk(const struct mth_plan *plan, size_t chunk)
{
    size_t low = 0, high = plan->n_units;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (plan->units[middle].first_chunk <= chunk)
            low = middle;
        else
            high = middle;
    }
    return &plan->units[low];
}

void mth_plan_chunk_range(const struct mth_plan *plan, const struct mth_unit *unit, size_t chunk,
                          uint64_t *offset, size_t *n_bytes)
{
    *offset = (uint64_t)(chunk - unit->first_chunk) * plan->chunk_bytes;
    uint64_t left = unit->n_bytes - *offset;
    *n_bytes = left < plan->chunk_bytes ? (size_t)left : plan->chunk_bytes;
}

const struct mth_segment *mth_plan_segment_at(const struct mth_plan *plan, const struct mth_unit *unit,
                                              uint64_t unit_offset)
{
    size_t low = unit->first_segment, high = unit->first_segment + unit->n_segments;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (plan->segments[middle].unit_offset <= unit_offset)
            low = middle;
        else
            high = middle;
    }
    return &plan->segments[low];
}
