/* What chunks are predicted to be; see bundle.h. */
#include "pipeline/bundle.h"

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

int mth_bundle_predict(const struct mth_base_reader *base, struct mth_coder_worker *worker,
                       const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                       const uint8_t *bytes, uint8_t *room, struct mth_prediction *prediction,
                       struct mth_error *err)
{
    const struct mth_predictor *predictor = mth_predictor_at(chunk->predictor);
    const uint8_t *inputs[MTH_MAX_INPUTS];
    *prediction = (struct mth_prediction){.n_inputs = predictor ? 0 : chunk->n_inputs};
    for (size_t i = 0; i < chunk->n_inputs; i++) {
        int status = gather_input(base, worker, bundle, chunk, i, bytes, &prediction->inputs[i], err);
        if (status)
            return status;
        inputs[i] = prediction->inputs[i].data;
    }
    prediction->reference = prediction->inputs[0];
    if (!predictor || !predictor->predict)
        return MTH_OK;
    int status = room ? MTH_OK
                      : mth_array_reserve(bundle->memory, &worker->reference[0],
                                          &worker->reference_capacity[0], chunk->n_bytes, 1);
    if (status)
        return mth_error_set(err, status, "no memory for what a chunk is predicted to be");
    if (!room)
        room = worker->reference[0];
    predictor->predict(chunk->settings, inputs, chunk->n_bytes / predictor->elem_bytes, room);
    prediction->reference = (struct mth_bytes){room, chunk->n_bytes};
    return MTH_OK;
}

void mth_bundle_set_input_digests(const struct mth_bundle *bundle, struct mth_bundle_chunk *chunk,
                                  const struct mth_prediction *prediction)
{
    for (size_t i = 0; i < chunk->n_inputs; i++) {
        const struct mth_bytes *bytes = &prediction->inputs[i];
        struct mth_bundle_input *input = &chunk->inputs[i];
        if (input->source == MTH_FROM_SELF)
            continue;
        const struct mth_bundle_input *known = known_input(bundle, chunk, i);
        input->digest = known ? known->digest : mth_hash64(bytes->data, bytes->n_bytes, 0);
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
