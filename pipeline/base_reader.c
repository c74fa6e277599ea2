/* The bytes of a base that chunks refer to: which they are, where the given base has them; see bundle.h. */
#include "pipeline/bundle.h"

#include "base/checked.h"
#include "formats/name_index.h"
#include "formats/region_match.h"

#include <string.h>

void mth_base_reader_free(struct mth_base_reader *reader)
{
    if (reader->memory)
        mth_memory_free(reader->memory, reader->offsets);
    *reader = (struct mth_base_reader){0};
}

/* For each region of a map the first tensor that spans it. */
static uint32_t *covering_tensors(const struct mth_region_map *map, struct mth_memory *memory)
{
    uint32_t *tensors = mth_memory_alloc(memory, map->n_regions * sizeof *tensors);
    if (!tensors)
        return NULL;
    memset(tensors, 0xff, map->n_regions * sizeof *tensors);
    for (size_t i = map->n_tensors; i-- > 0;) {
        const struct mth_tensor *tensor = &map->tensors[i];
        if (tensor->region != MTH_NO_REGION &&
            mth_tensor_span_bytes(map, tensor) == map->regions[tensor->region].n_bytes)
            tensors[tensor->region] = (uint32_t)i;
    }
    return tensors;
}

/* The region that begins at an offset; there is one. */
static size_t region_at(const struct mth_region_map *map, uint64_t offset)
{
    size_t low = 0, high = map->n_regions;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (map->regions[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int note_matches(struct mth_bundle_planner *planner, const struct mth_region_map *base,
                        const uint64_t *matches, const uint32_t *covering, uint32_t *references,
                        struct mth_base_use *use, struct mth_base_reader *reader, size_t *n_tensors,
                        size_t *n_matched)
{
    const struct mth_region_map *map = planner->map;
    bool may_refer[MTH_N_DTYPES]; /* asked once a dtype, not once a tensor */
    for (size_t i = 0; i < MTH_N_DTYPES; i++)
        may_refer[i] = mth_bundle_planner_may_refer(planner, (enum mth_dtype)i);
    for (size_t i = 0; i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        bool matched = matches[i] != MTH_NO_MATCH;
        references[i] = MTH_NO_REFERENCE;
        if (region->dtype == MTH_DTYPE_OPAQUE)
            continue;
        (*n_tensors)++;
        *n_matched += matched;
        if (!matched || !may_refer[region->dtype])
            continue;
        if (use->n_references == MTH_NO_REFERENCE)
            return MTH_ERR_LIMIT;
        references[i] = (uint32_t)use->n_references;
        use->tensors[use->n_references] = covering[region_at(base, matches[i])];
        reader->offsets[use->n_references++] = matches[i];
    }
    reader->n_references = use->n_references;
    return MTH_OK;
}

int mth_base_reader_match(struct mth_bundle_planner *planner, const struct mth_stream_base *base,
                          struct mth_memory *memory, uint32_t *references, struct mth_base_use *use,
                          struct mth_base_reader *reader, struct mth_error *err)
{
    const struct mth_region_map *map = planner->map;
    size_t n_tensors = 0, n_matched = 0;
    uint32_t *covering = covering_tensors(base->map, memory);
    uint64_t *matches = mth_memory_alloc(memory, map->n_regions * sizeof *matches);
    *reader = (struct mth_base_reader){.source = base->source, .memory = memory};
    reader->offsets = mth_memory_alloc(memory, map->n_regions * sizeof *reader->offsets);
    *use = (struct mth_base_use){.map = base->map, .n_bytes = base->source->n_bytes};
    use->has_digest = base->has_digest;
    memcpy(use->digest.bytes, base->digest, sizeof use->digest.bytes);
    use->tensors = mth_memory_alloc(memory, map->n_regions * sizeof *use->tensors);
    int status = covering && matches && reader->offsets && use->tensors ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status)
        status = mth_region_match(map, base->map, matches);
    if (!status)
        status = note_matches(planner, base->map, matches, covering, references, use, reader, &n_tensors,
                              &n_matched);
    mth_memory_free(memory, covering);
    mth_memory_free(memory, matches);
    if (status)
        return mth_error_set(err, status, "pairing the tensors with the base failed: %s",
                             mth_status_text(status));
    /* A base of another model is a mistake that must not pass as a checkpoint coded alone. */
    if (n_tensors > 0 && n_matched == 0)
        return mth_error_set(
            err, MTH_ERR_BASE,
            "the base does not match: no tensor has a counterpart of its name, dtype and shape there");
    return MTH_OK;
}

void mth_base_reader_prune(struct mth_base_reader *reader, struct mth_base_use *use, uint32_t *references,
                           const bool *needed, size_t n_regions)
{
    size_t n = 0;
    /* References are numbered in the order of regions. */
    for (size_t i = 0; i < n_regions; i++) {
        uint32_t old = references[i];
        if (old == MTH_NO_REFERENCE)
            continue;
        references[i] = needed[i] ? (uint32_t)n : MTH_NO_REFERENCE;
        if (!needed[i])
            continue;
        use->tensors[n] = use->tensors[old];
        reader->offsets[n++] = reader->offsets[old];
    }
    use->n_references = reader->n_references = n;
}

/* By name in the map of the base: false when something is not there. */
static int find_by_name(const struct mth_container_front *front, const struct mth_region_map *map,
                        uint64_t *offsets, bool *found)
{
    struct mth_name_index index;
    int status = mth_name_index_build(map, &index, NULL);
    if (status)
        return status;
    *found = true;
    for (size_t i = 0; *found && i < front->n_references; i++) {
        const struct mth_reference *reference = &front->references[i];
        const char *name = (const char *)front->text.data + reference->name;
        const struct mth_tensor *tensor = mth_name_index_find(&index, name);
        *found = tensor && tensor->region != MTH_NO_REGION;
        if (!*found)
            break;
        const struct mth_region *region = &map->regions[tensor->region];
        *found = region->n_bytes == reference->n_bytes && region->dtype == (enum mth_dtype)reference->dtype;
        offsets[i] = region->offset;
    }
    mth_name_index_free(&index);
    return MTH_OK;
}

int mth_base_reader_find(const struct mth_container_front *front, const struct mth_stream_base *base,
                         struct mth_memory *memory, struct mth_base_reader *reader, struct mth_error *err)
{
    bool found = false;
    *reader = (struct mth_base_reader){
        .source = base->source, .memory = memory, .n_references = front->n_references};
    reader->offsets = mth_memory_alloc(memory, front->n_references * sizeof *reader->offsets);
    int status = reader->offsets ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status && base->map)
        status = find_by_name(front, base->map, reader->offsets, &found);
    if (status)
        return mth_error_set(err, status, "looking for the tensors in the base failed: %s",
                             mth_status_text(status));
    if (found)
        return MTH_OK;
    if (base->source->n_bytes != front->base_bytes)
        return mth_error_set(err, MTH_ERR_BASE,
                             "%s: is not the base that was coded against: it has %llu bytes "
                             "and not %llu, and lacks tensors by name",
                             base->source->name, (unsigned long long)base->source->n_bytes,
                             (unsigned long long)front->base_bytes);
    for (size_t i = 0; i < front->n_references; i++)
        reader->offsets[i] = front->references[i].offset;
    return MTH_OK;
}

/* Where a segment's reference, or one of its inputs, begins in the source. */
static uint64_t place_of(const struct mth_base_reader *reader, const struct mth_bundle *bundle,
                         uint32_t segment, size_t input)
{
    if (input == MTH_MAX_INPUTS)
        return reader->offsets[bundle->segments[segment].reference] +
               bundle->segments[segment].reference_offset;
    const struct mth_input_place *place = &bundle->places[segment * MTH_MAX_INPUTS + input];
    return reader->offsets[place->reference] + place->offset;
}

/* input MTH_MAX_INPUTS: the reference of a chunk that is not predicted. */
static int gather(const struct mth_base_reader *reader, const struct mth_bundle *bundle,
                  const struct mth_bundle_chunk *chunk, size_t input, uint8_t **scratch, size_t *capacity,
                  struct mth_bytes *out, struct mth_error *err)
{
    const struct mth_bundle_segment *segments = bundle->segments;
    size_t filled = 0;
    uint32_t i = chunk->first;
    while (i != MTH_NO_SEGMENT) {
        /* Segments that follow one another in the base are read at once. */
        uint64_t begin = place_of(reader, bundle, i, input);
        size_t n = 0;
        while (i != MTH_NO_SEGMENT && place_of(reader, bundle, i, input) == begin + n) {
            n += segments[i].n_bytes;
            i = segments[i].next;
        }
        if (n == chunk->n_bytes && reader->source->memory && begin <= reader->source->n_bytes &&
            n <= reader->source->n_bytes - begin) {
            *out = (struct mth_bytes){reader->source->memory + begin, n};
            return MTH_OK;
        }
        int status = MTH_OK;
        if (filled == 0)
            status = mth_array_reserve(bundle->memory, scratch, capacity, chunk->n_bytes, 1);
        if (status)
            return mth_error_set(err, status, "no memory for the bytes of the base");
        status = mth_source_read(reader->source, begin, *scratch + filled, n, err);
        if (status)
            return status;
        filled += n;
    }
    *out = (struct mth_bytes){*scratch, chunk->n_bytes};
    return MTH_OK;
}

int mth_base_reader_gather(const struct mth_base_reader *reader, const struct mth_bundle *bundle,
                           const struct mth_bundle_chunk *chunk, uint8_t **scratch, size_t *capacity,
                           struct mth_bytes *out, struct mth_error *err)
{
    return gather(reader, bundle, chunk, MTH_MAX_INPUTS, scratch, capacity, out, err);
}

int mth_base_reader_gather_input(const struct mth_base_reader *reader, const struct mth_bundle *bundle,
                                 const struct mth_bundle_chunk *chunk, size_t input, uint8_t **scratch,
                                 size_t *capacity, struct mth_bytes *out, struct mth_error *err)
{
    return gather(reader, bundle, chunk, input, scratch, capacity, out, err);
}
