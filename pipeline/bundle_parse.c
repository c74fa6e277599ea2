/* The plan in the body of a bundle's block, every length and offset checked; see bundle.h. */
#include "pipeline/bundle.h"

#include "base/checked.h"
#include "transforms/predictors/float_convert.h"

#include <stdlib.h>
#include <string.h>

int mth_bundle_tail(struct mth_bytes body, size_t chunk_bytes, uint32_t *n_raw, uint64_t *leaf)
{
    if (body.n_bytes < MTH_BUNDLE_TAIL_BYTES)
        return MTH_ERR_CORRUPT;
    const uint8_t *tail = body.data + body.n_bytes - MTH_BUNDLE_TAIL_BYTES;
    *n_raw = mth_load32(tail + 4);
    *leaf = mth_load64(tail + 8);
    return *n_raw > 0 && *n_raw <= chunk_bytes ? MTH_OK : MTH_ERR_CORRUPT;
}

static int read_segments(struct mth_reader *plan, struct mth_bundle *bundle, struct mth_bundle_chunk *chunk)
{
    uint64_t n_segments, gap, n_bytes, end = 0;
    if (!mth_varint_get(plan, &n_segments) || n_segments == 0 ||
        n_segments > MTH_MAX_BUNDLE_SEGMENTS - bundle->n_segments)
        return MTH_ERR_CORRUPT;
    int status = mth_array_reserve(bundle->memory, &bundle->segments, &bundle->segments_capacity,
                                   bundle->n_segments + (size_t)n_segments, sizeof *bundle->segments);
    if (status)
        return status;
    chunk->first = (uint32_t)bundle->n_segments;
    chunk->n_segments = (uint32_t)n_segments;
    for (uint64_t i = 0; i < n_segments; i++) {
        if (!mth_varint_get(plan, &gap) || gap > bundle->n_bytes - end)
            return MTH_ERR_CORRUPT;
        end += gap;
        if (!mth_varint_get(plan, &n_bytes) || n_bytes == 0 || n_bytes > bundle->n_bytes - end)
            return MTH_ERR_CORRUPT;
        uint32_t index = (uint32_t)bundle->n_segments;
        bundle->segments[bundle->n_segments++] =
            (struct mth_bundle_segment){.at = (uint32_t)end,
                                        .n_bytes = (uint32_t)n_bytes,
                                        .next = i + 1 < n_segments ? index + 1 : MTH_NO_SEGMENT,
                                        .reference = MTH_NO_REFERENCE};
        chunk->n_bytes += (size_t)n_bytes;
        end += n_bytes;
    }
    return MTH_OK;
}

/* The bytes of a reference as elements of a dtype; false when it has no such elements. */
static bool bytes_as(const struct mth_reference *reference, enum mth_dtype dtype, uint64_t *n_bytes)
{
    enum mth_dtype from = (enum mth_dtype)reference->dtype;
    *n_bytes = reference->n_bytes;
    return from == dtype ||
           (mth_float_converts(from, dtype) && mth_u64_mul(reference->n_bytes / mth_dtype_lane_bytes(from),
                                                           mth_dtype_lane_bytes(dtype), n_bytes));
}

/* A range of a reference, as elements of a dtype; MTH_N_DTYPES: of its own. number: of the one that is next, where none is
 * skipped. */
static bool read_place(const struct mth_container_front *front, struct mth_reader *plan, enum mth_dtype dtype,
                       size_t n_bytes, uint64_t *number, struct mth_input_place *place)
{
    uint64_t step, n_reference;
    if (!mth_varint_get(plan, &step) || !mth_varint_get(plan, &place->offset))
        return false;
    *number += (uint64_t)mth_unzigzag(step);
    if (*number >= front->n_references)
        return false;
    const struct mth_reference *reference = &front->references[*number];
    if (dtype == MTH_N_DTYPES)
        dtype = (enum mth_dtype)reference->dtype;
    size_t width = mth_dtype_lane_bytes(dtype);
    if (!bytes_as(reference, dtype, &n_reference) || place->offset > n_reference ||
        n_bytes > n_reference - place->offset)
        return false;
    if (dtype != (enum mth_dtype)reference->dtype && (place->offset % width || n_bytes % width))
        return false;
    place->reference = (uint32_t)(*number)++;
    return true;
}

static int read_references(const struct mth_container_front *front, struct mth_reader *plan,
                           struct mth_bundle *bundle, struct mth_bundle_chunk *chunk)
{
    uint64_t n_references, source, number = 0;
    if (!mth_varint_get(plan, &n_references))
        return MTH_ERR_CORRUPT;
    if (n_references == 0)
        return MTH_OK;
    if (n_references > 1 || !mth_varint_get(plan, &source) || source != MTH_FROM_BASE)
        return MTH_ERR_UNSUPPORTED;
    if (plan->end - plan->at < 8)
        return MTH_ERR_CORRUPT;
    chunk->has_reference = true;
    chunk->reference_digest = mth_load64(plan->at);
    plan->at += 8;
    for (uint32_t i = chunk->first; i != MTH_NO_SEGMENT; i = bundle->segments[i].next) {
        struct mth_bundle_segment *segment = &bundle->segments[i];
        struct mth_input_place place;
        if (!read_place(front, plan, chunk->dtype, segment->n_bytes, &number, &place))
            return MTH_ERR_CORRUPT;
        segment->reference = place.reference;
        segment->reference_offset = place.offset;
    }
    return MTH_OK;
}

/* ---- predictions ---- */

static int read_places(const struct mth_container_front *front, struct mth_reader *plan,
                       struct mth_bundle *bundle, struct mth_bundle_chunk *chunk, size_t input)
{
    uint64_t number = 0;
    if (plan->end - plan->at < 8)
        return MTH_ERR_CORRUPT;
    chunk->has_reference = true;
    chunk->inputs[input].digest = mth_load64(plan->at);
    plan->at += 8;
    int status = mth_array_reserve(bundle->memory, &bundle->places, &bundle->places_capacity,
                                   bundle->n_segments * MTH_MAX_INPUTS, sizeof *bundle->places);
    for (uint32_t i = chunk->first; !status && i != MTH_NO_SEGMENT; i = bundle->segments[i].next) {
        if (!read_place(front, plan, MTH_N_DTYPES, bundle->segments[i].n_bytes, &number,
                        &bundle->places[i * MTH_MAX_INPUTS + input]))
            status = MTH_ERR_CORRUPT;
    }
    return status;
}

/* An earlier chunk of the bundle, whose elements, of input_bytes each, are as many as this one's. */
static int read_chunk_input(struct mth_reader *plan, const struct mth_bundle *bundle,
                            struct mth_bundle_chunk *chunk, size_t input, size_t n_input_bytes)
{
    uint64_t number;
    /* The last is this one. */
    if (!mth_varint_get(plan, &number) || number + 1 >= bundle->n_chunks ||
        bundle->chunks[number].n_bytes != n_input_bytes)
        return MTH_ERR_CORRUPT;
    chunk->inputs[input].chunk = (uint32_t)number;
    chunk->has_reference = chunk->has_reference || bundle->chunks[number].has_reference;
    return MTH_OK;
}

static int read_prediction(const struct mth_container_front *front, struct mth_reader *plan,
                           struct mth_bundle *bundle, struct mth_bundle_chunk *chunk)
{
    uint64_t number, n_inputs, source;
    if (!mth_varint_get(plan, &number))
        return MTH_ERR_CORRUPT;
    const struct mth_predictor *predictor = mth_predictor_at(number);
    if (!predictor && number != MTH_PREDICT_NOTHING)
        return MTH_ERR_UNSUPPORTED;
    chunk->predictor = (uint8_t)number;
    size_t n_settings = predictor ? predictor->n_settings : 0, n_input_bytes = chunk->n_bytes;
    if (predictor && predictor->elem_bytes) {
        if (chunk->n_bytes % predictor->elem_bytes)
            return MTH_ERR_CORRUPT;
        n_input_bytes = chunk->n_bytes / predictor->elem_bytes * predictor->input_bytes;
    }
    if ((size_t)(plan->end - plan->at) < 4 * n_settings)
        return MTH_ERR_CORRUPT;
    for (size_t i = 0; i < n_settings; i++, plan->at += 4)
        chunk->settings[i] = mth_load32(plan->at);
    if (!mth_varint_get(plan, &n_inputs) || n_inputs == 0 || n_inputs > MTH_MAX_INPUTS ||
        (predictor && n_inputs != predictor->n_inputs))
        return MTH_ERR_CORRUPT;
    chunk->n_inputs = (uint8_t)n_inputs;
    for (size_t i = 0; i < n_inputs; i++) {
        if (!mth_varint_get(plan, &source))
            return MTH_ERR_CORRUPT;
        if (source > MTH_FROM_BASE)
            return MTH_ERR_UNSUPPORTED;
        chunk->inputs[i].source = (uint8_t)source;
        /* The base has as many bytes for an input as the chunk has. */
        if (source == MTH_FROM_BASE && n_input_bytes != chunk->n_bytes)
            return MTH_ERR_CORRUPT;
        int status = source == MTH_FROM_BASE ? read_places(front, plan, bundle, chunk, i)
                                             : read_chunk_input(plan, bundle, chunk, i, n_input_bytes);
        if (status)
            return status;
    }
    return MTH_OK;
}

static bool cut(struct mth_reader *reader, uint64_t n, struct mth_bytes *out)
{
    if (n > (uint64_t)(reader->end - reader->at))
        return false;
    *out = (struct mth_bytes){reader->at, (size_t)n};
    reader->at += n;
    return true;
}

static int read_coding(const struct mth_container_front *front, struct mth_reader *plan,
                       struct mth_reader *payloads, struct mth_bundle_chunk *chunk)
{
    uint64_t spec, n_payload, n_entry;
    if (!mth_varint_get(plan, &spec) || spec >= front->n_specs || !mth_varint_get(plan, &n_payload) ||
        !cut(payloads, n_payload, &chunk->payload) || !mth_varint_get(plan, &n_entry) ||
        !cut(plan, n_entry, &chunk->entry))
        return MTH_ERR_CORRUPT;
    chunk->spec = (uint32_t)spec;
    const struct mth_pipeline *pipeline = front->specs[spec]->pipeline;
    /* What does not shrink is stored. */
    if (n_payload >= chunk->n_bytes)
        return MTH_ERR_CORRUPT;
    if ((pipeline->needs_base && !chunk->has_reference && chunk->n_inputs == 0) ||
        !mth_pipeline_accepts(pipeline, mth_symbol_type_of(chunk->dtype)))
        return MTH_ERR_CORRUPT;
    return MTH_OK;
}

static int read_chunk(const struct mth_container_front *front, struct mth_reader *plan,
                      struct mth_reader *payloads, struct mth_bundle *bundle)
{
    struct mth_bundle_chunk *chunk = &bundle->chunks[bundle->n_chunks];
    uint64_t mode, dtype;
    if (!mth_varint_get(plan, &mode))
        return MTH_ERR_CORRUPT;
    if (mode > MTH_CHUNK_COPY_OF_BASE && mode != MTH_CHUNK_PREDICTED && mode != MTH_CHUNK_AS_PREDICTED)
        return MTH_ERR_UNSUPPORTED;
    if (!mth_varint_get(plan, &dtype) || dtype >= MTH_N_DTYPES)
        return MTH_ERR_CORRUPT;
    *chunk = (struct mth_bundle_chunk){.mode = (enum mth_chunk_mode)mode, .dtype = (enum mth_dtype)dtype};
    int status = read_segments(plan, bundle, chunk);
    if (status)
        return status;
    bundle->n_chunks++;
    if (mode == MTH_CHUNK_STORED)
        return cut(payloads, chunk->n_bytes, &chunk->payload) ? MTH_OK : MTH_ERR_CORRUPT;
    status = mth_chunk_is_predicted(chunk->mode) ? read_prediction(front, plan, bundle, chunk)
                                                 : read_references(front, plan, bundle, chunk);
    if (status)
        return status;
    if (mode == MTH_CHUNK_AS_PREDICTED)
        return chunk->predictor == MTH_PREDICT_NOTHING ? MTH_ERR_CORRUPT : MTH_OK;
    if (mode == MTH_CHUNK_COPY_OF_BASE)
        return chunk->has_reference ? MTH_OK : MTH_ERR_CORRUPT;
    return read_coding(front, plan, payloads, chunk);
}

static int compare_places(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Do segments tile the bundle in their order? Those of a bundle with a single chunk do. */
static bool tile_in_order(const struct mth_bundle *bundle)
{
    uint64_t end = 0;
    for (size_t i = 0; i < bundle->n_segments; i++) {
        if (bundle->segments[i].at != end)
            return false;
        end += bundle->segments[i].n_bytes;
    }
    return end == bundle->n_bytes;
}

/* Segments must tile the bundle: begin and length in one number each, sorted. */
static int check_tiling(struct mth_bundle *bundle)
{
    uint64_t end = 0;
    if (tile_in_order(bundle))
        return MTH_OK;
    uint64_t *places = mth_memory_alloc(bundle->memory, bundle->n_segments * sizeof *places);
    if (!places)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < bundle->n_segments; i++)
        places[i] = (uint64_t)bundle->segments[i].at << 32 | bundle->segments[i].n_bytes;
    qsort(places, bundle->n_segments, sizeof *places, compare_places);
    bool tiles = true;
    for (size_t i = 0; tiles && i < bundle->n_segments; i++) {
        tiles = places[i] >> 32 == end;
        end += places[i] & UINT32_MAX;
    }
    mth_memory_free(bundle->memory, places);
    return tiles && end == bundle->n_bytes ? MTH_OK : MTH_ERR_CORRUPT;
}

int mth_bundle_parse(const struct mth_bundle_decoder *decoder, struct mth_bytes body, uint64_t offset,
                     struct mth_bundle *bundle, struct mth_error *err)
{
    uint32_t n_raw;
    uint64_t n_chunks = 0;
    bundle->offset = offset;
    bundle->n_chunks = bundle->n_segments = 0;
    int status = mth_bundle_tail(body, decoder->chunk_bytes, &n_raw, &bundle->leaf);
    if (!status) {
        size_t n_rest = body.n_bytes - MTH_BUNDLE_TAIL_BYTES;
        uint32_t n_plan = mth_load32(body.data + n_rest);
        bundle->n_bytes = n_raw;
        if (n_plan > n_rest) {
            status = MTH_ERR_CORRUPT;
        } else {
            struct mth_reader plan = {body.data + n_rest - n_plan, body.data + n_rest};
            struct mth_reader payloads = {body.data, plan.at};
            if (!mth_varint_get(&plan, &n_chunks) || n_chunks > MTH_MAX_BUNDLE_CHUNKS)
                status = MTH_ERR_CORRUPT;
            for (uint64_t i = 0; !status && i < n_chunks; i++)
                status = read_chunk(decoder->front, &plan, &payloads, bundle);
            if (!status && (plan.at != plan.end || payloads.at != payloads.end || bundle->n_segments == 0))
                status = MTH_ERR_CORRUPT;
        }
    }
    if (!status)
        status = check_tiling(bundle);
    if (status == MTH_ERR_UNSUPPORTED)
        return mth_error_set(err, status,
                             "the bundle at byte %llu has a kind of chunk or reference that this "
                             "program does not know",
                             (unsigned long long)offset);
    if (status)
        return mth_error_set(err, status, "the bundle at byte %llu is damaged: %s",
                             (unsigned long long)offset, mth_status_text(status));
    return MTH_OK;
}
