/* What chunks are predicted to be; see bundle.h. */
#include "pipeline/bundle.h"

#include "base/checked.h"

#include <string.h>

/* Do two chunks have an input in the same places of the base? */
static bool same_places(const struct mth_bundle *bundle, const struct mth_bundle_chunk *a, size_t a_input,
                        const struct mth_bundle_chunk *b, size_t b_input)
{
    uint32_t x = a->first, y = b->first;
    if (a->n_segments != b->n_segments || a->n_bytes != b->n_bytes)
        return false;
    for (; x != MTH_NO_SEGMENT && y != MTH_NO_SEGMENT;
         x = bundle->segments[x].next, y = bundle->segments[y].next) {
        const struct mth_input_place *of_a = &bundle->places[x * MTH_MAX_INPUTS + a_input],
                                     *of_b = &bundle->places[y * MTH_MAX_INPUTS + b_input];
        if (bundle->segments[x].n_bytes != bundle->segments[y].n_bytes ||
            of_a->reference != of_b->reference || of_a->offset != of_b->offset)
            return false;
    }
    return true;
}

/* The same bytes of the base as an input of an earlier chunk, whose digest is known to be theirs; NULL: none. */
static const struct mth_bundle_input *known_input(const struct mth_bundle *bundle,
                                                  const struct mth_bundle_chunk *chunk, size_t input)
{
    for (const struct mth_bundle_chunk *other = bundle->chunks; other < chunk; other++) {
        for (size_t i = 0; mth_chunk_is_predicted(other->mode) && i < other->n_inputs; i++) {
            if (other->inputs[i].source == MTH_FROM_BASE && same_places(bundle, other, i, chunk, input))
                return &other->inputs[i];
        }
    }
    return NULL;
}

static int gather_input(const struct mth_base_reader *base, struct mth_coder_worker *worker,
                        const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk, size_t i,
                        const uint8_t *bytes, struct mth_bytes *out, struct mth_error *err)
{
    const struct mth_bundle_input *input = &chunk->inputs[i];
    if (input->source != MTH_FROM_SELF)
        return mth_base_reader_gather_input(base, bundle, chunk, i, &worker->inputs[i],
                                            &worker->inputs_capacity[i], out, err);
    int status = mth_bundle_gather(bundle, &bundle->chunks[input->chunk], bytes, &worker->inputs[i],
                                   &worker->inputs_capacity[i], out);
    return status ? mth_error_set(err, status, "no memory for what a chunk is predicted from") : MTH_OK;
}

static int gather_inputs(const struct mth_base_reader *base, struct mth_coder_worker *worker,
                         const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                         const uint8_t *bytes, struct mth_prediction *prediction, struct mth_error *err)
{
    *prediction =
        (struct mth_prediction){.n_inputs = mth_predictor_at(chunk->predictor) ? 0 : chunk->n_inputs};
    for (size_t i = 0; i < chunk->n_inputs; i++) {
        int status = gather_input(base, worker, bundle, chunk, i, bytes, &prediction->inputs[i], err);
        if (status)
            return status;
    }
    prediction->reference = prediction->inputs[0];
    return MTH_OK;
}

/* Room for all of a prediction. */
static int take_room(struct mth_coder_worker *worker, const struct mth_bundle *bundle,
                     const struct mth_bundle_chunk *chunk, uint8_t **room, struct mth_error *err)
{
    int status = mth_array_reserve(bundle->memory, &worker->reference[0], &worker->reference_capacity[0],
                                   chunk->n_bytes, 1);
    *room = worker->reference[0];
    return status ? mth_error_set(err, status, "no memory for what a chunk is predicted to be") : MTH_OK;
}

int mth_bundle_predict(const struct mth_base_reader *base, struct mth_coder_worker *worker,
                       const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                       const uint8_t *bytes, uint8_t *room, struct mth_prediction *prediction,
                       struct mth_error *err)
{
    const struct mth_predictor *predictor = mth_predictor_at(chunk->predictor);
    const uint8_t *inputs[MTH_MAX_INPUTS];
    int status = gather_inputs(base, worker, bundle, chunk, bytes, prediction, err);
    if (status || !predictor || !predictor->predict)
        return status;
    for (size_t i = 0; i < chunk->n_inputs; i++)
        inputs[i] = prediction->inputs[i].data;
    status = room ? MTH_OK : take_room(worker, bundle, chunk, &room, err);
    if (status)
        return status;
    predictor->predict(chunk->settings, inputs, chunk->n_bytes / predictor->elem_bytes, room);
    prediction->reference = (struct mth_bytes){room, chunk->n_bytes};
    return MTH_OK;
}

enum { F32_BYTES = 4 };

/* Where an input of a chunk lies, if it is the chunk before it or one of the inputs of that; else NULL. */
static const uint8_t *input_before(const struct mth_bundle *bundle, size_t before, size_t input,
                                   struct mth_bytes src, const struct mth_prediction *prediction)
{
    const struct mth_bundle_chunk *of = &bundle->chunks[before], *chunk = of + 1;
    if (chunk->inputs[input].source == MTH_FROM_SELF)
        return chunk->inputs[input].chunk == before ? src.data : NULL;
    for (size_t i = 0; i < of->n_inputs; i++) {
        if (of->inputs[i].source == MTH_FROM_BASE && same_places(bundle, of, i, chunk, input))
            return prediction->inputs[i].data;
    }
    return NULL;
}

int mth_bundle_foretell_begin(struct mth_coder_worker *worker, const struct mth_bundle *bundle,
                              size_t chunk_index, struct mth_bytes src,
                              const struct mth_prediction *prediction, struct mth_foretelling *foretelling,
                              struct mth_error *err)
{
    const struct mth_bundle_chunk *chunk = &bundle->chunks[chunk_index + 1];
    const struct mth_predictor *predictor =
        chunk_index + 1 < bundle->n_chunks ? mth_predictor_at(chunk->predictor) : NULL;
    *foretelling = (struct mth_foretelling){.predictor = NULL};
    if (!predictor || !predictor->predict || predictor->elem_bytes != F32_BYTES ||
        predictor->input_bytes != F32_BYTES || chunk->n_bytes != src.n_bytes || src.n_bytes % F32_BYTES != 0)
        return MTH_OK;
    for (size_t i = 0; i < chunk->n_inputs; i++) {
        foretelling->inputs[i] = input_before(bundle, chunk_index, i, src, prediction);
        if (!foretelling->inputs[i])
            return MTH_OK;
    }
    foretelling->predictor = predictor;
    foretelling->settings = chunk->settings;
    return take_room(worker, bundle, chunk, &foretelling->room, err);
}

void mth_bundle_foretell(void *arg, size_t at, size_t n_bytes)
{
    const struct mth_foretelling *f = arg;
    const uint8_t *inputs[MTH_MAX_INPUTS];
    for (size_t i = 0; i < f->predictor->n_inputs; i++)
        inputs[i] = f->inputs[i] + at;
    f->predictor->predict(f->settings, inputs, n_bytes / F32_BYTES, f->room + at);
}

/* Where n_bytes of a chunk at `at` are predicted to. As long as all is the same nobody wants them: one block's room is enough, and stays in cache. */
static uint8_t *place_of(const struct mth_bundle_chunk *chunk, uint8_t *room, size_t at, bool is_same)
{
    return chunk->is_foretold || !is_same ? room + at : room;
}

/* Is a block as predicted, as all before it? Else what was predicted so far goes where it is wanted now. */
static bool compare_block(const struct mth_bundle_chunk *chunk, const uint8_t *elems, size_t at,
                          size_t n_bytes, uint8_t *room)
{
    const uint8_t *predicted = place_of(chunk, room, at, true);
    if (memcmp(predicted, elems + at, n_bytes) == 0)
        return true;
    if (!chunk->is_foretold) {
        memmove(room + at, predicted, n_bytes);
        memcpy(room, elems, at);
    }
    return false;
}

/* Predicted, compared and digested at once: all inputs, what is predicted and what it is compared with lie in the first-level cache. Whole blocks of
 * the hash, of elements of two bytes as well. */
enum { BLOCK_ELEMS = 512 };

int mth_bundle_predict_beside(const struct mth_base_reader *base, struct mth_coder_worker *worker,
                              const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                              const uint8_t *bytes, struct mth_bytes src, struct mth_chunk_digests *digests,
                              struct mth_prediction *prediction, bool *is_same, struct mth_error *err)
{
    const struct mth_predictor *predictor = mth_predictor_at(chunk->predictor);
    const uint8_t *inputs[MTH_MAX_INPUTS];
    struct mth_hash64_pieces of_inputs[MTH_MAX_INPUTS];
    uint8_t *room;
    *is_same = false;
    int status = gather_inputs(base, worker, bundle, chunk, bytes, prediction, err);
    if (status || !predictor)
        return status;
    if (!predictor->predict) {
        *is_same = memcmp(src.data, prediction->reference.data, src.n_bytes) == 0;
        return MTH_OK;
    }
    status = take_room(worker, bundle, chunk, &room, err);
    if (status)
        return status;
    size_t n_elems = src.n_bytes / predictor->elem_bytes;
    for (size_t i = 0; i < chunk->n_inputs; i++) {
        digests->has_inputs[i] = chunk->inputs[i].source == MTH_FROM_BASE &&
                                 prediction->inputs[i].n_bytes == n_elems * predictor->input_bytes &&
                                 !known_input(bundle, chunk, i);
        if (digests->has_inputs[i])
            mth_hash64_begin(&of_inputs[i]);
    }
    *is_same = true;
    for (size_t at = 0; at < n_elems; at += BLOCK_ELEMS) {
        size_t n = mth_size_min(BLOCK_ELEMS, n_elems - at), n_bytes = n * predictor->elem_bytes,
               begin = at * predictor->elem_bytes;
        bool is_last = at + n == n_elems;
        for (size_t i = 0; i < chunk->n_inputs; i++) {
            inputs[i] = prediction->inputs[i].data + at * predictor->input_bytes;
            if (digests->has_inputs[i])
                mth_hash64_add_part(&of_inputs[i], inputs[i], n * predictor->input_bytes, !is_last);
        }
        if (!chunk->is_foretold)
            predictor->predict(chunk->settings, inputs, n, place_of(chunk, room, begin, *is_same));
        if (digests->leaf)
            mth_hash64_add_part(digests->leaf, src.data + begin, n_bytes, !is_last || digests->leaf_goes_on);
        *is_same = *is_same && compare_block(chunk, src.data, begin, n_bytes, room);
    }
    digests->has_leaf = digests->leaf != NULL;
    for (size_t i = 0; i < chunk->n_inputs; i++) {
        if (digests->has_inputs[i])
            digests->inputs[i] = mth_hash64_end(&of_inputs[i]);
    }
    if (!*is_same)
        prediction->reference = (struct mth_bytes){room, src.n_bytes};
    return MTH_OK;
}

void mth_bundle_set_input_digests(const struct mth_bundle *bundle, struct mth_bundle_chunk *chunk,
                                  const struct mth_prediction *prediction,
                                  const struct mth_chunk_digests *digests)
{
    for (size_t i = 0; i < chunk->n_inputs; i++) {
        const struct mth_bytes *bytes = &prediction->inputs[i];
        struct mth_bundle_input *input = &chunk->inputs[i];
        if (input->source == MTH_FROM_SELF)
            continue;
        const struct mth_bundle_input *known = known_input(bundle, chunk, i);
        if (known)
            input->digest = known->digest;
        else
            input->digest =
                digests->has_inputs[i] ? digests->inputs[i] : mth_hash64(bytes->data, bytes->n_bytes, 0);
    }
}

int mth_bundle_check_inputs(const struct mth_base_reader *base, const struct mth_bundle *bundle,
                            const struct mth_bundle_chunk *chunk, const struct mth_prediction *prediction,
                            struct mth_error *err)
{
    for (size_t i = 0; i < chunk->n_inputs; i++) {
        const struct mth_bytes *bytes = &prediction->inputs[i];
        const struct mth_bundle_input *input = &chunk->inputs[i];
        if (input->source == MTH_FROM_SELF)
            continue;
        const struct mth_bundle_input *known = known_input(bundle, chunk, i);
        bool matches = known ? known->digest == input->digest
                             : mth_hash64_matches(bytes->data, bytes->n_bytes, 0, input->digest);
        if (!matches)
            return mth_error_set(err, MTH_ERR_BASE,
                                 "%s: is not the base that was coded against: its content differs",
                                 mth_base_reader_name(base, bundle, chunk, i));
    }
    return MTH_OK;
}
