/* The bytes of a base that chunks refer to, where the given base has them; see bundle.h. */
#include "pipeline/bundle.h"

#include "base/checked.h"
#include "formats/name_index.h"
#include "transforms/predictors/float_convert.h"

#include <string.h>

void mth_base_reader_free(struct mth_base_reader *reader)
{
    if (reader->memory) {
        mth_memory_free(reader->memory, reader->offsets);
        mth_memory_free(reader->memory, reader->dtypes);
    }
    *reader = (struct mth_base_reader){0};
}

/* By name in the map of a base, the references from first on: false when something is not there. */
static int find_by_name(const struct mth_container_front *front, size_t first, size_t end,
                        const struct mth_region_map *map, uint64_t *offsets, bool *found)
{
    struct mth_name_index index;
    int status = mth_name_index_build(map, &index, NULL);
    if (status)
        return status;
    *found = true;
    for (size_t i = first; *found && i < end; i++) {
        const struct mth_reference *reference = &front->references[i];
        /* What is no tensor has no name; whether it is there, its digest tells. */
        if (reference->dtype == MTH_DTYPE_OPAQUE) {
            offsets[i] = reference->offset;
            continue;
        }
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

/* The places of references first .. end - 1 in the base that they are of. */
static int find_places(const struct mth_container_front *front, const struct mth_front_base *wanted,
                       size_t first, size_t end, const struct mth_stream_base *base, uint64_t *offsets,
                       struct mth_error *err)
{
    bool found = false;
    int status = base->map ? find_by_name(front, first, end, base->map, offsets, &found) : MTH_OK;
    if (status)
        return mth_error_set(err, status, "looking for the tensors in the base failed: %s",
                             mth_status_text(status));
    if (found)
        return MTH_OK;
    if (base->source->n_bytes != wanted->n_bytes)
        return mth_error_set(err, MTH_ERR_BASE,
                             "%s: is not the base that was coded against: it has %llu bytes "
                             "and not %llu, and lacks tensors by name",
                             base->source->name, (unsigned long long)base->source->n_bytes,
                             (unsigned long long)wanted->n_bytes);
    for (size_t i = first; i < end; i++)
        offsets[i] = front->references[i].offset;
    return MTH_OK;
}

int mth_base_reader_find(const struct mth_container_front *front, const struct mth_stream_base *base,
                         struct mth_memory *memory, struct mth_base_reader *reader, struct mth_error *err)
{
    *reader = (struct mth_base_reader){.source = base->source,
                                       .memory = memory,
                                       .n_references = front->n_references,
                                       .n_of_base = front->n_of_base};
    if (front->has_older && !base->older)
        return mth_error_set(err, MTH_ERR_BASE,
                             "was coded against two bases; give the older one too, of %llu bytes, with "
                             "another --base",
                             (unsigned long long)front->older.n_bytes);
    if (base->older && !front->has_older)
        return mth_error_set(err, MTH_ERR_BASE, "was coded against one base; leave out the older one");
    reader->offsets = mth_memory_alloc(memory, front->n_references * sizeof *reader->offsets);
    reader->dtypes = mth_memory_alloc(memory, front->n_references);
    if (!reader->offsets || !reader->dtypes)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the tensors of the base");
    for (size_t i = 0; i < front->n_references; i++)
        reader->dtypes[i] = (uint8_t)front->references[i].dtype;
    int status = find_places(front, &front->base, 0, front->n_of_base, base, reader->offsets, err);
    if (status || !front->has_older)
        return status;
    reader->older = base->older->source;
    return find_places(front, &front->older, front->n_of_base, front->n_references, base->older,
                       reader->offsets, err);
}

/* The dtype that a segment's reference is converted from; that of the chunk where it is not. Inputs are taken as they are. */
static enum mth_dtype dtype_of(const struct mth_base_reader *reader, const struct mth_bundle *bundle,
                               const struct mth_bundle_chunk *chunk, uint32_t segment, size_t input)
{
    return input == MTH_MAX_INPUTS ? (enum mth_dtype)reader->dtypes[bundle->segments[segment].reference]
                                   : chunk->dtype;
}

/* The reference of a segment, or of one of its inputs. */
static uint32_t reference_of(const struct mth_bundle *bundle, uint32_t segment, size_t input)
{
    return input == MTH_MAX_INPUTS ? bundle->segments[segment].reference
                                   : bundle->places[segment * MTH_MAX_INPUTS + input].reference;
}

/* The base that this is of. */
static const struct mth_source *source_of(const struct mth_base_reader *reader,
                                          const struct mth_bundle *bundle, uint32_t segment, size_t input)
{
    return reference_of(bundle, segment, input) < reader->n_of_base ? reader->source : reader->older;
}

/* Where a segment's reference, or one of its inputs, begins in its source. */
static uint64_t place_of(const struct mth_base_reader *reader, const struct mth_bundle *bundle,
                         const struct mth_bundle_chunk *chunk, uint32_t segment, size_t input)
{
    if (input == MTH_MAX_INPUTS) {
        const struct mth_bundle_segment *of = &bundle->segments[segment];
        enum mth_dtype from = dtype_of(reader, bundle, chunk, segment, input);
        return reader->offsets[of->reference] +
               of->reference_offset / mth_dtype_lane_bytes(chunk->dtype) * mth_dtype_lane_bytes(from);
    }
    const struct mth_input_place *place = &bundle->places[segment * MTH_MAX_INPUTS + input];
    return reader->offsets[place->reference] + place->offset;
}

/* n bytes of the chunk's dtype, of elements that the base has in another. */
static int read_converted(const struct mth_source *source, enum mth_dtype from, enum mth_dtype to,
                          uint64_t begin, uint8_t *out, size_t n, struct mth_error *err)
{
    enum { BLOCK_ELEMS = 1024, MOST_BYTES = 4 };
    uint8_t block[BLOCK_ELEMS * MOST_BYTES];
    size_t n_elems = n / mth_dtype_lane_bytes(to), n_block = 0;
    int status = MTH_OK;
    for (size_t done = 0; !status && done < n_elems; done += n_block) {
        n_block = mth_size_min(n_elems - done, BLOCK_ELEMS);
        status = mth_source_read(source, begin + done * mth_dtype_lane_bytes(from), block,
                                 n_block * mth_dtype_lane_bytes(from), err);
        if (!status)
            mth_float_convert(from, to, n_block, block, out + done * mth_dtype_lane_bytes(to));
    }
    return status;
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
        uint64_t begin = place_of(reader, bundle, chunk, i, input);
        enum mth_dtype from = dtype_of(reader, bundle, chunk, i, input);
        const struct mth_source *source = source_of(reader, bundle, i, input);
        uint32_t first = i;
        size_t n = 0;
        while (i != MTH_NO_SEGMENT &&
               (i == first || (from == chunk->dtype && dtype_of(reader, bundle, chunk, i, input) == from &&
                               source_of(reader, bundle, i, input) == source &&
                               place_of(reader, bundle, chunk, i, input) == begin + n))) {
            n += segments[i].n_bytes;
            i = segments[i].next;
        }
        if (from == chunk->dtype && n == chunk->n_bytes && source->memory && begin <= source->n_bytes &&
            n <= source->n_bytes - begin) {
            *out = (struct mth_bytes){source->memory + begin, n};
            return MTH_OK;
        }
        int status = MTH_OK;
        if (filled == 0)
            status = mth_array_reserve(bundle->memory, scratch, capacity, chunk->n_bytes, 1);
        if (status)
            return mth_error_set(err, status, "no memory for the bytes of the base");
        status = from == chunk->dtype
                     ? mth_source_read(source, begin, *scratch + filled, n, err)
                     : read_converted(source, from, chunk->dtype, begin, *scratch + filled, n, err);
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

const char *mth_base_reader_name(const struct mth_base_reader *reader, const struct mth_bundle *bundle,
                                 const struct mth_bundle_chunk *chunk, size_t input)
{
    return source_of(reader, bundle, chunk->first, input)->name;
}
