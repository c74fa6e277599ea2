/* A chunk coded without its base; see bundle_alone.h. */
#include "pipeline/bundle_alone.h"

#include "base/checked.h"

#include <string.h>

enum { SPLIT_PLAN_BYTES = 12 }; /* about what another chunk takes */

size_t mth_bundle_alone_cuts(const struct mth_bundle_encoder *encoder, const struct mth_bundle_chunk *chunk)
{
    return chunk->may_split ? (chunk->n_bytes - 1) / encoder->alone_bytes : 0;
}

int mth_bundle_alone_bound(const struct mth_bundle_encoder *encoder, const struct mth_bundle_chunk *chunk,
                           size_t *n_bytes)
{
    const struct mth_pipeline *pipeline = encoder->specs[chunk->fallback]->pipeline;
    struct mth_symbol_type type = mth_symbol_type_of(chunk->dtype);
    size_t n_cut = mth_bundle_alone_cuts(encoder, chunk), n_bound, n_stored;
    int status = MTH_OK;
    if (n_cut)
        status = mth_chunk_bound(pipeline, type, encoder->alone_bytes, &n_bound, &n_stored);
    if (!status && n_cut && !mth_size_mul(n_bound, n_cut, n_bytes))
        status = MTH_ERR_OVERFLOW;
    if (!status)
        status = mth_chunk_bound(pipeline, type, chunk->n_bytes - n_cut * encoder->alone_bytes, &n_bound,
                                 &n_stored);
    if (!status && !mth_size_add(n_cut ? *n_bytes : 0, n_bound, n_bytes))
        status = MTH_ERR_OVERFLOW;
    /* It stays whole where there is no room for more chunks. */
    if (!status && n_cut)
        status = mth_chunk_bound(pipeline, type, chunk->n_bytes, &n_bound, &n_stored);
    *n_bytes = status ? 0 : mth_size_max(*n_bytes, n_bound);
    return status;
}

/* A difference that leaves so much of a chunk may be worse than the chunk itself; what is predicted of moments leaves much, and
 * alone they are larger. */
enum { DENSE_PERCENT = 40, DENSE_PREDICTED_PERCENT = 83 };

bool mth_bundle_may_be_worse(const struct mth_bundle_chunk *chunk, size_t n_payload)
{
    size_t percent = chunk->n_inputs ? DENSE_PREDICTED_PERCENT : DENSE_PERCENT;
    return (chunk->has_reference || chunk->n_inputs) && chunk->fallback != MTH_NO_FALLBACK &&
           n_payload / percent > chunk->n_bytes / 100;
}

/* How often a chunk can be cut in a bundle that has room for so many more chunks and segments: as often as asked, or never. */
static size_t can_split(const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk, size_t n_cut)
{
    bool fits = n_cut <= MTH_MAX_BUNDLE_CHUNKS - bundle->n_chunks &&
                n_cut <= MTH_MAX_BUNDLE_SEGMENTS - bundle->n_segments;
    return chunk->may_split && fits ? n_cut : 0;
}

/* Leaves a chunk its first n bytes, and makes chunks of as many at the end of the bundle of what is behind them. */
static int split_chunk(struct mth_bundle *bundle, struct mth_bundle_chunk *chunk, size_t n_cut, size_t n)
{
    int status = mth_array_reserve(bundle->memory, &bundle->segments, &bundle->segments_capacity,
                                   bundle->n_segments + n_cut, sizeof *bundle->segments);
    for (; !status && n_cut > 0; n_cut--) {
        struct mth_bundle_segment *segment = &bundle->segments[chunk->first];
        struct mth_bundle_chunk *rest = &bundle->chunks[bundle->n_chunks++];
        size_t n_segments = 1, end = segment->n_bytes;
        for (; end < n; n_segments++, end += segment->n_bytes)
            segment = &bundle->segments[segment->next];
        *rest = *chunk;
        rest->fallback = MTH_NO_FALLBACK;
        rest->n_bytes = chunk->n_bytes - n;
        rest->first = segment->next;
        rest->n_segments = chunk->n_segments - (uint32_t)n_segments;
        if (end > n) {
            uint32_t n_behind = (uint32_t)(end - n);
            bundle->segments[bundle->n_segments] = (struct mth_bundle_segment){
                .at = segment->at + segment->n_bytes - n_behind, .n_bytes = n_behind, .next = segment->next};
            rest->first = (uint32_t)bundle->n_segments++;
            rest->n_segments++;
            segment->n_bytes -= n_behind;
        }
        segment->next = MTH_NO_SEGMENT;
        chunk->n_segments = (uint32_t)n_segments;
        chunk->n_bytes = n;
        chunk = rest;
    }
    return status;
}

/* The middle of a chunk without its reference: is that so much larger that the whole is as well? */
static int sample_fallback(const struct mth_bundle_encoder *encoder, size_t worker_index,
                           const struct mth_bundle_chunk *chunk, struct mth_bytes src, size_t n_coded,
                           bool *is_far_larger, struct mth_error *err)
{
    enum { SHARE = 16, LEAST_BYTES = 16 << 10, ALIGN = 64, MARGIN = 16 };
    struct mth_growing *room = &encoder->coder->bundle_workers[worker_index].alone;
    struct mth_buffer alone = {.data = room->data, .capacity_bytes = room->capacity};
    size_t n = src.n_bytes / SHARE / ALIGN * ALIGN;
    *is_far_larger = false;
    if (n < LEAST_BYTES)
        return MTH_OK;
    struct mth_bytes middle = {src.data + n * (SHARE / 2), n};
    int status = mth_bundle_code(encoder, worker_index, chunk, chunk->fallback, middle, (struct mth_bytes){0},
                                 &alone, err);
    uint64_t expected = (uint64_t)alone.n_bytes * src.n_bytes / n;
    *is_far_larger = expected > n_coded + n_coded / MARGIN;
    return status;
}

int mth_bundle_try_alone(const struct mth_bundle_encoder *encoder, size_t worker_index,
                         struct mth_bundle *bundle, struct mth_bundle_chunk *chunk, struct mth_bytes src,
                         struct mth_buffer *payload, struct mth_error *err)
{
    struct mth_coder *coder = encoder->coder;
    struct mth_growing *room = &coder->bundle_workers[worker_index].alone;
    struct mth_coder_worker *worker = &coder->workers[worker_index];
    struct mth_chunk_entry entry = worker->entry;
    size_t n_bound;
    struct mth_chunk_entry first_entry = {.n_bytes = 0};
    size_t n_first = 0, total = 0, n_cut = can_split(bundle, chunk, mth_bundle_alone_cuts(encoder, chunk));
    size_t n_piece = n_cut ? encoder->alone_bytes : src.n_bytes;
    int status = mth_bundle_alone_bound(encoder, chunk, &n_bound);
    if (!status)
        status = mth_growing_reserve(coder->memory, room, n_bound);
    if (status)
        return mth_error_set(err, status, "no memory to code a chunk without its base");
    bool is_far_larger;
    status = sample_fallback(encoder, worker_index, chunk, src, payload->n_bytes, &is_far_larger, err);
    if (status || is_far_larger) {
        worker->entry = entry;
        return status;
    }
    for (size_t done = 0; done < src.n_bytes; done += n_piece) {
        struct mth_bytes piece = {src.data + done, mth_size_min(n_piece, src.n_bytes - done)};
        struct mth_buffer alone = {.data = room->data + n_first, .capacity_bytes = room->capacity - n_first};
        status = mth_bundle_code(encoder, worker_index, chunk, chunk->fallback, piece, (struct mth_bytes){0},
                                 &alone, err);
        if (status)
            return status;
        total += mth_size_min(alone.n_bytes + worker->entry.n_bytes, piece.n_bytes) +
                 (done ? SPLIT_PLAN_BYTES : 0);
        /* Only the first is kept: the others are coded when their turn comes. */
        if (done == 0) {
            n_first = alone.n_bytes;
            first_entry = worker->entry;
        }
    }
    if (total >= payload->n_bytes + entry.n_bytes) {
        worker->entry = entry;
        return MTH_OK;
    }
    memcpy(payload->data, room->data, n_first);
    payload->n_bytes = n_first;
    worker->entry = first_entry;
    chunk->spec = chunk->fallback;
    chunk->has_reference = chunk->has_older = false;
    chunk->n_inputs = 0;
    status = split_chunk(bundle, chunk, n_cut, n_piece);
    return status ? mth_error_set(err, status, "no memory for a chunk") : MTH_OK;
}
