/* A bundle to the body of its block; see bundle.h. */
#include "pipeline/bundle_alone.h"

#include "base/checked.h"

#include <string.h>

enum {
    SEGMENT_PLAN_BYTES = 4 * MTH_VARINT_MAX_BYTES,
    CHUNK_PLAN_BYTES = 8 * MTH_VARINT_MAX_BYTES + MTH_MAX_ENTRY_BYTES,
    MIN_RESTING_BYTES = 1 << 15, /* segments as in the base that are worth a chunk of their own, */
    RESTING_SHARE = 16,          /* and if they are so much of one */
    /* Of a predicted chunk: its settings and inputs, and the places of these. */
    INPUTS_PLAN_BYTES = (2 + MTH_MAX_SETTINGS + 3 * MTH_MAX_INPUTS) * MTH_VARINT_MAX_BYTES,
    PLACES_PLAN_BYTES = 2 * MTH_MAX_INPUTS * MTH_VARINT_MAX_BYTES
};

void mth_bundle_worker_free(struct mth_memory *memory, struct mth_bundle_worker *worker)
{
    for (size_t i = 0; i < MTH_MAX_BATCH; i++) {
        mth_bundle_free(&worker->lanes[i].bundle);
        mth_memory_free(memory, worker->lanes[i].bytes);
        mth_memory_free(memory, worker->lanes[i].block);
    }
    mth_memory_free(memory, worker->plan.data);
    mth_memory_free(memory, worker->alone.data);
}

int mth_bundle_workers(struct mth_coder *coder)
{
    if (coder->bundle_workers)
        return MTH_OK;
    coder->bundle_workers = mth_memory_calloc(coder->memory, coder->n_threads, sizeof *coder->bundle_workers);
    if (!coder->bundle_workers)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < coder->n_threads; i++) {
        for (size_t lane = 0; lane < MTH_MAX_BATCH; lane++)
            coder->bundle_workers[i].lanes[lane].bundle.memory = coder->memory;
    }
    return MTH_OK;
}

int mth_bundle_bound(const struct mth_bundle_encoder *encoder, const struct mth_bundle *bundle,
                     size_t *n_bytes)
{
    size_t total = MTH_BLOCK_HEAD_BYTES + MTH_BUNDLE_TAIL_BYTES + MTH_VARINT_MAX_BYTES +
                   bundle->n_segments * SEGMENT_PLAN_BYTES + bundle->n_chunks * CHUNK_PLAN_BYTES;
    for (size_t i = 0; i < bundle->n_chunks; i++) {
        const struct mth_bundle_chunk *chunk = &bundle->chunks[i];
        size_t n_bound, n_stored;
        int status = mth_chunk_bound(encoder->specs[chunk->spec]->pipeline, mth_symbol_type_of(chunk->dtype),
                                     chunk->n_bytes, &n_bound, &n_stored);
        total += chunk->has_reference ? CHUNK_PLAN_BYTES : 0; /* for what rests */
        if (!status && chunk->fallback != MTH_NO_FALLBACK) {
            size_t n_alone, n_cut = mth_bundle_alone_cuts(encoder, chunk);
            status = mth_bundle_alone_bound(encoder, chunk, &n_alone);
            n_bound = mth_size_max(n_bound, n_alone);
            total += n_cut * (size_t)(SEGMENT_PLAN_BYTES + CHUNK_PLAN_BYTES);
        }
        if (status)
            return status;
        if (mth_chunk_is_predicted(chunk->mode) || chunk->has_older)
            total += INPUTS_PLAN_BYTES + chunk->n_segments * (size_t)PLACES_PLAN_BYTES;
        if (!mth_size_add(total, mth_size_max(n_bound, chunk->n_bytes), &total))
            return MTH_ERR_OVERFLOW;
    }
    *n_bytes = total;
    return MTH_OK;
}

/* The plan, with the first failure kept. */
struct plan_writer {
    struct mth_memory *memory;
    struct mth_growing *plan;
    int status;
};

static void put(struct plan_writer *w, const void *data, size_t n_bytes)
{
    if (!w->status)
        w->status = mth_growing_put(w->memory, w->plan, data, n_bytes);
}

static void put_number(struct plan_writer *w, uint64_t value)
{
    if (!w->status)
        w->status = mth_growing_put_varint(w->memory, w->plan, value);
}

static void put_segments(struct plan_writer *w, const struct mth_bundle *bundle,
                         const struct mth_bundle_chunk *chunk)
{
    uint32_t end = 0;
    put_number(w, chunk->n_segments);
    for (uint32_t i = chunk->first; i != MTH_NO_SEGMENT; i = bundle->segments[i].next) {
        put_number(w, bundle->segments[i].at - end);
        put_number(w, bundle->segments[i].n_bytes);
        end = bundle->segments[i].at + bundle->segments[i].n_bytes;
    }
}

static void put_references(struct plan_writer *w, const struct mth_bundle *bundle,
                           const struct mth_bundle_chunk *chunk)
{
    uint8_t digest[8];
    int64_t next = 0;
    put_number(w, chunk->has_reference);
    if (!chunk->has_reference)
        return;
    put_number(w, MTH_FROM_BASE);
    mth_store64(digest, chunk->reference_digest);
    put(w, digest, sizeof digest);
    for (uint32_t i = chunk->first; i != MTH_NO_SEGMENT; i = bundle->segments[i].next) {
        const struct mth_bundle_segment *segment = &bundle->segments[i];
        put_number(w, mth_zigzag((int64_t)segment->reference - next));
        put_number(w, segment->reference_offset);
        next = (int64_t)segment->reference + 1;
    }
}

/* What the base has of a predicted chunk's input, segment by segment. */
static void put_places(struct plan_writer *w, const struct mth_bundle *bundle,
                       const struct mth_bundle_chunk *chunk, size_t input)
{
    uint8_t digest[8];
    int64_t next = 0;
    mth_store64(digest, chunk->inputs[input].digest);
    put(w, digest, sizeof digest);
    for (uint32_t i = chunk->first; i != MTH_NO_SEGMENT; i = bundle->segments[i].next) {
        const struct mth_input_place *place = &bundle->places[i * MTH_MAX_INPUTS + input];
        put_number(w, mth_zigzag((int64_t)place->reference - next));
        put_number(w, place->offset);
        next = (int64_t)place->reference + 1;
    }
}

static void put_prediction(struct plan_writer *w, const struct mth_bundle *bundle,
                           const struct mth_bundle_chunk *chunk)
{
    const struct mth_predictor *predictor = mth_predictor_at(chunk->predictor);
    uint8_t setting[4];
    put_number(w, chunk->predictor);
    for (size_t i = 0; predictor && i < predictor->n_settings; i++) {
        mth_store32(setting, chunk->settings[i]);
        put(w, setting, sizeof setting);
    }
    put_number(w, chunk->n_inputs);
    for (size_t i = 0; i < chunk->n_inputs; i++) {
        put_number(w, chunk->inputs[i].source);
        if (chunk->inputs[i].source == MTH_FROM_SELF)
            put_number(w, chunk->inputs[i].chunk);
        else
            put_places(w, bundle, chunk, i);
    }
}

static void put_chunk(struct plan_writer *w, const struct mth_bundle_encoder *encoder,
                      const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                      const struct mth_chunk_entry *entry)
{
    put_number(w, (uint64_t)chunk->mode);
    put_number(w, (uint64_t)chunk->dtype);
    put_segments(w, bundle, chunk);
    if (chunk->mode == MTH_CHUNK_STORED)
        return;
    if (mth_chunk_is_predicted(chunk->mode))
        put_prediction(w, bundle, chunk);
    else
        put_references(w, bundle, chunk);
    if (chunk->mode == MTH_CHUNK_COPY_OF_BASE || chunk->mode == MTH_CHUNK_AS_PREDICTED)
        return;
    put_number(w, encoder->numbers.of[chunk->spec]);
    put_number(w, chunk->payload.n_bytes);
    put_number(w, entry->n_bytes);
    put(w, entry->bytes, entry->n_bytes);
}

int mth_bundle_code(const struct mth_bundle_encoder *encoder, size_t worker_index,
                    const struct mth_bundle_chunk *chunk, uint32_t number, struct mth_bytes src,
                    struct mth_bytes reference, struct mth_buffer *payload, struct mth_error *err)
{
    struct mth_coder *coder = encoder->coder;
    struct mth_coder_worker *worker = &coder->workers[worker_index];
    struct mth_coder_spec *spec = encoder->specs[number];
    int status = mth_chunk_encode(&worker->chunk, spec->pipeline, &spec->encode[worker_index],
                                  mth_coder_find_models(coder, number, chunk->dtype),
                                  mth_symbol_type_of(chunk->dtype), src, reference, payload, &worker->entry);
    return status ? mth_error_set(err, status, "encoding with '%.200s' failed: %s", spec->pipeline->text,
                                  mth_status_text(status))
                  : MTH_OK;
}

/*
 * Segments that are the base's become a chunk of their own at the end of the bundle, a copy: beside what was trained, tensors that rest
 * would make changes look rare to a codec that is given the base. False where that is worth nothing.
 */
static bool set_resting_apart(struct mth_bundle *bundle, struct mth_bundle_chunk *chunk, struct mth_bytes src,
                              struct mth_bytes reference)
{
    struct mth_bundle_segment *segments = bundle->segments;
    uint32_t ends[2] = {MTH_NO_SEGMENT, MTH_NO_SEGMENT};
    struct mth_bundle_chunk parts[2] = {*chunk, *chunk}; /* what moved, what rests */
    if (!chunk->may_split || chunk->n_segments < 2 || bundle->n_chunks == MTH_MAX_BUNDLE_CHUNKS)
        return false;
    size_t n_resting = 0, at = 0;
    for (uint32_t i = chunk->first; i != MTH_NO_SEGMENT; at += segments[i].n_bytes, i = segments[i].next) {
        bool rests = memcmp(src.data + at, reference.data + at, segments[i].n_bytes) == 0;
        n_resting += rests ? segments[i].n_bytes : 0;
    }
    if (n_resting < MIN_RESTING_BYTES || n_resting < src.n_bytes / RESTING_SHARE || n_resting == src.n_bytes)
        return false;
    for (size_t p = 0; p < 2; p++) {
        parts[p].n_segments = 0;
        parts[p].n_bytes = 0;
    }
    at = 0;
    for (uint32_t i = chunk->first, next; i != MTH_NO_SEGMENT; i = next) {
        size_t p = memcmp(src.data + at, reference.data + at, segments[i].n_bytes) == 0;
        next = segments[i].next;
        if (ends[p] == MTH_NO_SEGMENT)
            parts[p].first = i;
        else
            segments[ends[p]].next = i;
        segments[i].next = MTH_NO_SEGMENT;
        ends[p] = i;
        parts[p].n_segments++;
        parts[p].n_bytes += segments[i].n_bytes;
        at += segments[i].n_bytes;
    }
    parts[1].fallback = MTH_NO_FALLBACK;
    parts[1].may_split = false;
    *chunk = parts[0];
    bundle->chunks[bundle->n_chunks++] = parts[1];
    return true;
}

static int gather_both(const struct mth_bundle_encoder *encoder, size_t worker_index,
                       const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                       const uint8_t *bytes, struct mth_bytes *src, struct mth_bytes *reference,
                       struct mth_error *err)
{
    struct mth_coder_worker *worker = &encoder->coder->workers[worker_index];
    int status =
        mth_bundle_gather(bundle, chunk, bytes, &worker->gathered[0], &worker->gathered_capacity[0], src);
    return status ? status
                  : mth_base_reader_gather(encoder->base, bundle, chunk, &worker->reference[0],
                                           &worker->reference_capacity[0], reference, err);
}

/* What a chunk is coded against, and whether it is just that. src: its bytes, less those that are set apart. */
static int find_reference(const struct mth_bundle_encoder *encoder, size_t worker_index,
                          struct mth_bundle *bundle, struct mth_bundle_chunk *chunk, const uint8_t *bytes,
                          struct mth_bytes *src, struct mth_chunk_digests *digests,
                          struct mth_prediction *prediction, struct mth_error *err)
{
    struct mth_coder_worker *worker = &encoder->coder->workers[worker_index];
    int status = MTH_OK;
    *prediction = (struct mth_prediction){0};
    if (chunk->n_inputs > 0) {
        bool is_same;
        status = mth_bundle_predict_beside(encoder->base, worker, bundle, chunk, bytes, *src, digests,
                                           prediction, &is_same, err);
        chunk->mode = !status && is_same ? MTH_CHUNK_AS_PREDICTED : MTH_CHUNK_PREDICTED;
    } else if (chunk->has_reference) {
        status = mth_base_reader_gather(encoder->base, bundle, chunk, &worker->reference[0],
                                        &worker->reference_capacity[0], &prediction->reference, err);
        if (!status && encoder->specs[chunk->spec]->pipeline->nodes[0].codec &&
            set_resting_apart(bundle, chunk, *src, prediction->reference)) {
            worker->chunk.n_spans = 0; /* they are of the whole */
            if (!bundle->has_leaf)
                bundle->leaf = mth_hash64(bytes, bundle->n_bytes, 0);
            bundle->has_leaf = true;
            status =
                gather_both(encoder, worker_index, bundle, chunk, bytes, src, &prediction->reference, err);
        }
        if (!status && prediction->reference.data &&
            memcmp(src->data, prediction->reference.data, src->n_bytes) == 0)
            chunk->mode = MTH_CHUNK_COPY_OF_BASE;
    }
    return status;
}

/* The digests of a chunk's reference, and of its own bytes where they are all of its bundle's. */
static void note_digests(struct mth_bundle *bundle, struct mth_bundle_chunk *chunk, struct mth_bytes src,
                         struct mth_bytes reference, const struct mth_encode_digests *digests)
{
    if (!bundle->has_leaf)
        bundle->leaf = digests->taken ? digests->src : mth_hash64(src.data, src.n_bytes, 0);
    bundle->has_leaf = true;
    /* What is predicted is known without one: its inputs have theirs. */
    if (chunk->has_reference && chunk->n_inputs == 0)
        chunk->reference_digest =
            digests->taken ? digests->reference : mth_hash64(reference.data, reference.n_bytes, 0);
}

/* The older state of what a chunk is coded against, as its second input. */
static int gather_older(const struct mth_bundle_encoder *encoder, struct mth_coder_worker *worker,
                        struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                        struct mth_prediction *prediction, struct mth_error *err)
{
    int status = mth_array_reserve(bundle->memory, &bundle->places, &bundle->places_capacity,
                                   bundle->n_segments * MTH_MAX_INPUTS, sizeof *bundle->places);
    if (status)
        return mth_error_set(err, status, "no memory for a chunk");
    for (uint32_t i = chunk->first; i != MTH_NO_SEGMENT; i = bundle->segments[i].next) {
        const struct mth_bundle_segment *segment = &bundle->segments[i];
        struct mth_input_place *places = &bundle->places[i * MTH_MAX_INPUTS];
        places[0] = (struct mth_input_place){segment->reference, segment->reference_offset};
        places[1] = (struct mth_input_place){segment->older, segment->reference_offset};
    }
    prediction->inputs[0] = prediction->reference;
    prediction->n_inputs = 2;
    return mth_base_reader_gather_input(encoder->base, bundle, chunk, 1, &worker->inputs[1],
                                        &worker->inputs_capacity[1], &prediction->inputs[1], err);
}

/* A chunk whose codec looked at both bases: what it is coded against becomes two inputs, of which nothing is predicted. */
static void note_inputs(struct mth_bundle_chunk *chunk, const struct mth_prediction *prediction)
{
    const struct mth_bytes *older = &prediction->inputs[1];
    chunk->mode = MTH_CHUNK_PREDICTED;
    chunk->predictor = MTH_PREDICT_NOTHING;
    chunk->n_inputs = 2;
    chunk->inputs[0] = (struct mth_bundle_input){.source = MTH_FROM_BASE, .digest = chunk->reference_digest};
    chunk->inputs[1] = (struct mth_bundle_input){.source = MTH_FROM_BASE,
                                                 .digest = mth_hash64(older->data, older->n_bytes, 0)};
}

/* What is coded of a chunk: its bytes, or what they are beside what is predicted. */
static int find_coded(struct mth_coder_worker *worker, const struct mth_bundle *bundle,
                      const struct mth_bundle_chunk *chunk, const struct mth_prediction *prediction,
                      struct mth_bytes src, struct mth_bytes *coded)
{
    const struct mth_predictor *predictor = mth_predictor_at(chunk->predictor);
    *coded = src;
    if (chunk->mode != MTH_CHUNK_PREDICTED || !predictor || !predictor->steps)
        return MTH_OK;
    int status =
        mth_array_reserve(bundle->memory, &worker->inputs[1], &worker->inputs_capacity[1], src.n_bytes, 1);
    if (status)
        return status;
    predictor->steps(&prediction->inputs[0].data, src.data, src.n_bytes / predictor->elem_bytes,
                     worker->inputs[1]);
    coded->data = worker->inputs[1];
    return MTH_OK;
}

/* What a transform, which is given the inputs of a chunk as they are, has taken on its way. */
static void take_digests(const struct mth_forward_digests *forward, size_t n_inputs,
                         struct mth_chunk_digests *taken)
{
    if (!forward->taken)
        return;
    taken->has_leaf = forward->src != NULL;
    for (size_t i = 0; i < n_inputs; i++) {
        taken->has_inputs[i] = true;
        taken->inputs[i] = forward->references[i];
    }
}

/* Is it moments whose gradients have any bits? Then the squares that follow from them are hardly ever just as predicted, and what is predicted is wanted. */
static bool is_of_any_bits(const struct mth_bundle_encoder *encoder, const struct mth_bundle_chunk *chunk)
{
    return encoder->specs[chunk->spec]->pipeline->nodes[0].transform ==
           encoder->specs[MTH_PLAN_MOMENT32]->pipeline->nodes[0].transform;
}

/* Codes one chunk to the end of out. taken: what is asked for, and what was taken. */
static int encode_chunk(const struct mth_bundle_encoder *encoder, size_t worker_index,
                        struct mth_bundle *bundle, size_t chunk_index, const uint8_t *bytes,
                        struct mth_chunk_digests *taken, struct mth_buffer *out, struct mth_error *err)
{
    struct mth_coder *coder = encoder->coder;
    struct mth_coder_worker *worker = &coder->workers[worker_index];
    struct mth_bundle_chunk *chunk = &bundle->chunks[chunk_index];
    struct mth_prediction prediction;
    struct mth_bytes src;
    const bool is_predicted = chunk->n_inputs > 0;
    int status =
        mth_bundle_gather(bundle, chunk, bytes, &worker->gathered[0], &worker->gathered_capacity[0], &src);
    chunk->mode = MTH_CHUNK_CODED;
    if (!status)
        status = mth_bundle_set_spans(bundle, chunk_index, worker);
    if (status)
        return mth_error_set(err, status, "no memory for a chunk");
    status = find_reference(encoder, worker_index, bundle, chunk, bytes, &src, taken, &prediction, err);
    if (status)
        return status;
    struct mth_encode_digests digests = {.taken = false};
    if (chunk->mode == MTH_CHUNK_COPY_OF_BASE) {
        digests.src = digests.reference = mth_hash64(src.data, src.n_bytes, 0);
        digests.taken = true;
    }
    if (chunk->mode == MTH_CHUNK_AS_PREDICTED)
        mth_bundle_set_input_digests(bundle, chunk, &prediction, taken);
    if (chunk->mode == MTH_CHUNK_COPY_OF_BASE || chunk->mode == MTH_CHUNK_AS_PREDICTED) {
        note_digests(bundle, chunk, src, prediction.reference, &digests);
        return MTH_OK;
    }
    if (chunk->has_older)
        status = gather_older(encoder, worker, bundle, chunk, &prediction, err);
    if (status)
        return status;
    struct mth_bytes coded;
    status = find_coded(worker, bundle, chunk, &prediction, src, &coded);
    if (status)
        return mth_error_set(err, status, "no memory for what is coded of a chunk");
    struct mth_buffer payload = {.data = out->data + out->n_bytes,
                                 .capacity_bytes = out->capacity_bytes - out->n_bytes};
    worker->chunk.inputs = prediction.inputs;
    worker->chunk.n_inputs = prediction.n_inputs;
    struct mth_forward_digests forward = {.src = taken->leaf, .src_goes_on = taken->leaf_goes_on};
    worker->chunk.digests = chunk->has_reference && !is_predicted ? &digests : NULL;
    worker->chunk.forward_digests = is_predicted && prediction.n_inputs > 0 ? &forward : NULL;
    struct mth_foretelling foretelling = {.predictor = NULL};
    if (worker->chunk.forward_digests && is_of_any_bits(encoder, chunk))
        status = mth_bundle_foretell_begin(worker, bundle, chunk_index, src, &prediction, &foretelling, err);
    if (status)
        return status;
    if (foretelling.predictor) {
        forward.beside = mth_bundle_foretell;
        forward.beside_arg = &foretelling;
    }
    status = mth_bundle_code(encoder, worker_index, chunk, chunk->spec, coded, prediction.reference, &payload,
                             err);
    worker->chunk.n_inputs = 0;
    worker->chunk.digests = NULL;
    worker->chunk.forward_digests = NULL;
    take_digests(&forward, prediction.n_inputs, taken);
    if (foretelling.predictor)
        bundle->chunks[chunk_index + 1].is_foretold = forward.taken;
    if (!status && is_predicted)
        mth_bundle_set_input_digests(bundle, chunk, &prediction, taken);
    if (!status)
        note_digests(bundle, chunk, src, prediction.reference, &digests);
    bool needs_older = worker->chunk.needs_older;
    if (!status && mth_bundle_may_be_worse(chunk, payload.n_bytes))
        status = mth_bundle_try_alone(encoder, worker_index, bundle, chunk, src, &payload, err);
    if (status)
        return status;
    src.n_bytes = chunk->n_bytes; /* it may have been cut */
    if (chunk->n_inputs == 0)
        chunk->mode = MTH_CHUNK_CODED;
    if (payload.n_bytes >= src.n_bytes) {
        chunk->mode = MTH_CHUNK_STORED;
        chunk->has_reference = false;
        memcpy(payload.data, src.data, src.n_bytes);
        payload.n_bytes = src.n_bytes;
    }
    if (chunk->mode == MTH_CHUNK_CODED && chunk->has_reference && chunk->has_older && needs_older)
        note_inputs(chunk, &prediction);
    chunk->payload = (struct mth_bytes){payload.data, payload.n_bytes};
    out->n_bytes += payload.n_bytes;
    return MTH_OK;
}

int mth_bundle_encode(const struct mth_bundle_encoder *encoder, size_t worker_index, const uint8_t *bytes,
                      struct mth_buffer *out, struct mth_error *err)
{
    struct mth_bundle_worker *worker = &encoder->coder->bundle_workers[worker_index];
    struct mth_bundle *bundle = &worker->lanes[0].bundle;
    struct plan_writer plan = {.memory = encoder->coder->memory, .plan = &worker->plan};
    uint8_t tail[MTH_BUNDLE_TAIL_BYTES];
    worker->plan.n_bytes = 0;
    out->n_bytes = MTH_BLOCK_HEAD_BYTES;
    /* What is one chunk, in its order, gets its digest on the way. */
    const struct mth_bundle_chunk *first = &bundle->chunks[0];
    bundle->has_leaf = !bytes || !first->has_reference || first->n_bytes != bundle->n_bytes ||
                       !mth_bundle_is_flat(bundle, first);
    if (bytes && bundle->has_leaf)
        bundle->leaf = mth_hash64(bytes, bundle->n_bytes, 0);
    struct mth_hash64_pieces viewed;
    mth_hash64_begin(&viewed);
    /* Chunks that are cut are more than there were. */
    for (size_t i = 0; i < bundle->n_chunks; i++) {
        struct mth_chunk_digests taken = {.leaf = bytes ? NULL : &viewed,
                                          .leaf_goes_on =
                                              i + 1 < bundle->n_chunks && bundle->chunks[i + 1].n_bytes > 0};
        int status = encode_chunk(encoder, worker_index, bundle, i, bytes, &taken, out, err);
        if (status)
            return status;
        put_chunk(&plan, encoder, bundle, &bundle->chunks[i], &encoder->coder->workers[worker_index].entry);
        /* As bases are: once it was worked on. */
        if (!bytes && !taken.has_leaf)
            mth_hash64_add(&viewed, bundle->chunks[i].view, bundle->chunks[i].n_bytes);
    }
    if (!bytes)
        bundle->leaf = mth_hash64_end(&viewed);
    uint8_t count[MTH_VARINT_MAX_BYTES];
    size_t n_count = mth_varint_put(count, bundle->n_chunks), n_plan = n_count + worker->plan.n_bytes;
    if (!plan.status && out->capacity_bytes - out->n_bytes < n_plan + sizeof tail)
        plan.status = MTH_ERR_CAPACITY;
    if (plan.status)
        return mth_error_set(err, plan.status, "a bundle could not be written: %s",
                             mth_status_text(plan.status));
    mth_store32(tail, (uint32_t)n_plan);
    mth_store32(tail + 4, (uint32_t)bundle->n_bytes);
    mth_store64(tail + 8, bundle->leaf);
    memcpy(out->data + out->n_bytes, count, n_count);
    memcpy(out->data + out->n_bytes + n_count, worker->plan.data, worker->plan.n_bytes);
    out->n_bytes += n_plan;
    memcpy(out->data + out->n_bytes, tail, sizeof tail);
    out->n_bytes += sizeof tail;
    return MTH_OK;
}

void mth_bundle_summarise(const struct mth_bundle *bundle, struct mth_bundle_summary *summary)
{
    *summary = (struct mth_bundle_summary){
        .n_bytes = bundle->n_bytes, .leaf = bundle->leaf, .n_chunks = bundle->n_chunks, .loss = bundle->loss};
    for (size_t i = 0; i < bundle->n_chunks; i++) {
        summary->n_chunks_raw += bundle->chunks[i].mode == MTH_CHUNK_STORED;
        summary->n_chunks_copied += bundle->chunks[i].mode == MTH_CHUNK_COPY_OF_BASE ||
                                    bundle->chunks[i].mode == MTH_CHUNK_AS_PREDICTED;
        summary->payload_bytes += bundle->chunks[i].payload.n_bytes;
    }
}
