/* What chunks are predicted to be; see bundle.h. */
#include "pipeline/bundle.h"

static int gather_input(const struct mth_base_reader *base, struct mth_coder_worker *worker,
                        const struct mth_bundle *bundle, struct mth_bundle_chunk *chunk, size_t i,
                        const uint8_t *bytes, bool sets_digest, struct mth_bytes *out, struct mth_error *err)
{
    struct mth_bundle_input *input = &chunk->inputs[i];
    int status;
    if (input->source == MTH_FROM_SELF) {
        status = mth_bundle_gather(bundle, &bundle->chunks[input->chunk], bytes, &worker->inputs[i],
                                   &worker->inputs_capacity[i], out);
        return status ? mth_error_set(err, status, "no memory for what a chunk is predicted from") : MTH_OK;
    }
    status = mth_base_reader_gather_input(base, bundle, chunk, i, &worker->inputs[i],
                                          &worker->inputs_capacity[i], out, err);
    if (status)
        return status;
    if (sets_digest)
        input->digest = mth_hash64(out->data, out->n_bytes, 0);
    else if (!mth_hash64_matches(out->data, out->n_bytes, 0, input->digest))
        return mth_error_set(err, MTH_ERR_BASE,
                             "%s: is not the base that was coded against: its content differs",
                             base->source->name);
    return MTH_OK;
}

int mth_bundle_predict(const struct mth_base_reader *base, struct mth_coder_worker *worker,
                       const struct mth_bundle *bundle, struct mth_bundle_chunk *chunk, const uint8_t *bytes,
                       bool sets_digests, struct mth_prediction *prediction, struct mth_error *err)
{
    const struct mth_predictor *predictor = mth_predictor_at(chunk->predictor);
    const uint8_t *inputs[MTH_MAX_INPUTS];
    *prediction = (struct mth_prediction){.n_inputs = predictor ? 0 : chunk->n_inputs};
    for (size_t i = 0; i < chunk->n_inputs; i++) {
        int status =
            gather_input(base, worker, bundle, chunk, i, bytes, sets_digests, &prediction->inputs[i], err);
        if (status)
            return status;
        inputs[i] = prediction->inputs[i].data;
    }
    prediction->reference = prediction->inputs[0];
    if (!predictor || !predictor->predict)
        return MTH_OK;
    int status = mth_array_reserve(bundle->memory, &worker->reference[0], &worker->reference_capacity[0],
                                   chunk->n_bytes, 1);
    if (status)
        return mth_error_set(err, status, "no memory for what a chunk is predicted to be");
    predictor->predict(chunk->settings, inputs, chunk->n_bytes / predictor->elem_bytes, worker->reference[0]);
    prediction->reference = (struct mth_bytes){worker->reference[0], chunk->n_bytes};
    return MTH_OK;
}
