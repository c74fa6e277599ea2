/* A bundle whose plan was read back to its bytes; see bundle.h. */
#include "pipeline/bundle.h"

#include "base/checked.h"

#include <string.h>

/* Chunks of one spec and dtype that wait to be decoded in one call. */
struct batch {
    const struct mth_bundle_decoder *decoder;
    size_t worker_index;
    size_t limit;
    struct mth_error *err;
    struct mth_chunk_decode_job jobs[MTH_MAX_BATCH];
    const struct mth_bundle_chunk *chunks[MTH_MAX_BATCH];
    struct mth_bundle_job *owners[MTH_MAX_BATCH];
    size_t n;
    struct mth_decode_digests digests; /* of a chunk that is decoded alone */
};

static void scatter(const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                    const uint8_t *flat, uint8_t *dst)
{
    for (uint32_t i = chunk->first; i != MTH_NO_SEGMENT; i = bundle->segments[i].next) {
        memcpy(dst + bundle->segments[i].at, flat, bundle->segments[i].n_bytes);
        flat += bundle->segments[i].n_bytes;
    }
}

static int wrong_base(struct batch *batch)
{
    return mth_error_set(batch->err, MTH_ERR_BASE,
                         "%s: is not the base that was coded against: its content differs",
                         batch->decoder->base->source->name);
}

/* Is the chunk's codec one that takes digests on its way? Then its reference is compared with its digest behind it. */
static bool takes_digests(const struct mth_pipeline *pipeline, const struct mth_bundle_chunk *chunk)
{
    const struct mth_codec *root = pipeline->nodes[0].codec;
    return chunk->mode == MTH_CHUNK_CODED && chunk->has_reference && root && root->flags & MTH_CODEC_DIGESTS;
}

/* What a codec that takes digests is asked for. */
static void ask_for_digests(struct batch *batch)
{
    const struct mth_bundle_job *owner = batch->owners[0];
    bool is_all = owner->bundle->n_chunks == 1 && mth_bundle_is_flat(owner->bundle, batch->chunks[0]);
    batch->digests = (struct mth_decode_digests){.is_away = is_all && owner->is_away};
    batch->jobs[0].digests = &batch->digests;
}

/* A base that is another one may be why a chunk did not decode. */
static int check_digests(struct batch *batch, int status)
{
    const struct mth_bundle_chunk *chunk = batch->chunks[0];
    const struct mth_chunk_decode_job *job = &batch->jobs[0];
    struct mth_bundle_job *owner = batch->owners[0];
    const struct mth_decode_digests *digests = &batch->digests;
    bool taken = !status && digests->taken;
    if (!mth_hash64_is(taken ? digests->reference
                             : mth_hash64(job->reference.data, job->reference.n_bytes, 0),
                       chunk->reference_digest))
        return wrong_base(batch);
    owner->has_leaf = taken && owner->bundle->n_chunks == 1 && mth_bundle_is_flat(owner->bundle, chunk);
    owner->leaf = digests->dst;
    return status;
}

static int flush(struct batch *batch)
{
    if (batch->n == 0)
        return MTH_OK;
    struct mth_coder *coder = batch->decoder->coder;
    const struct mth_bundle_chunk *first = batch->chunks[0];
    struct mth_coder_spec *spec = batch->decoder->front->specs[first->spec];
    bool is_digested = takes_digests(spec->pipeline, first);
    if (is_digested)
        ask_for_digests(batch);
    int status = mth_chunk_decode(&coder->workers[batch->worker_index].chunk, spec->pipeline,
                                  &spec->decode[batch->worker_index],
                                  mth_coder_find_models(coder, first->spec, first->dtype),
                                  mth_symbol_type_of(first->dtype), batch->jobs, batch->n);
    if (is_digested)
        status = check_digests(batch, status);
    if (status == MTH_ERR_BASE)
        return status;
    if (status)
        return mth_error_set(batch->err, status, "the bundle at byte %llu: %s",
                             (unsigned long long)batch->owners[0]->bundle->offset, mth_status_text(status));
    for (size_t i = 0; i < batch->n; i++) {
        if (!mth_bundle_is_flat(batch->owners[i]->bundle, batch->chunks[i]))
            scatter(batch->owners[i]->bundle, batch->chunks[i], batch->jobs[i].dst, batch->owners[i]->dst);
    }
    batch->n = 0;
    return MTH_OK;
}

static int fetch_reference(struct batch *batch, const struct mth_bundle_job *owner,
                           const struct mth_bundle_chunk *chunk, size_t lane, bool is_checked_later,
                           struct mth_bytes *out)
{
    struct mth_coder_worker *worker = &batch->decoder->coder->workers[batch->worker_index];
    int status = mth_base_reader_gather(batch->decoder->base, owner->bundle, chunk, &worker->reference[lane],
                                        &worker->reference_capacity[lane], out, batch->err);
    if (!status && !is_checked_later &&
        !mth_hash64_matches(out->data, out->n_bytes, 0, chunk->reference_digest))
        return wrong_base(batch);
    return status;
}

/* A chunk that is decoded with the next flush. */
static int queue(struct batch *batch, struct mth_bundle_job *owner, const struct mth_bundle_chunk *chunk,
                 struct mth_chunk_decode_job *job)
{
    struct mth_coder *coder = batch->decoder->coder;
    struct mth_coder_worker *worker = &coder->workers[batch->worker_index];
    size_t lane = batch->n;
    job->dst = owner->dst + owner->bundle->segments[chunk->first].at;
    if (!mth_bundle_is_flat(owner->bundle, chunk)) {
        int status = mth_array_reserve(coder->memory, &worker->gathered[lane],
                                       &worker->gathered_capacity[lane], chunk->n_bytes, 1);
        if (status)
            return mth_error_set(batch->err, status, "no memory to decode");
        job->dst = worker->gathered[lane];
    }
    batch->jobs[lane] = *job;
    batch->chunks[lane] = chunk;
    batch->owners[lane] = owner;
    batch->n++;
    return MTH_OK;
}

static int decode_chunk(struct batch *batch, struct mth_bundle_job *owner,
                        const struct mth_bundle_chunk *chunk)
{
    if (chunk->mode == MTH_CHUNK_STORED) {
        scatter(owner->bundle, chunk, chunk->payload.data, owner->dst);
        return MTH_OK;
    }
    const struct mth_pipeline *pipeline =
        chunk->mode == MTH_CHUNK_CODED ? batch->decoder->front->specs[chunk->spec]->pipeline : NULL;
    bool is_alone = pipeline && !pipeline->interleaves;
    int status = MTH_OK;
    if (batch->n == batch->limit || (batch->n && (is_alone || batch->chunks[0]->spec != chunk->spec ||
                                                  batch->chunks[0]->dtype != chunk->dtype)))
        status = flush(batch);
    size_t lane = batch->n;
    struct mth_chunk_decode_job job = {
        .payload = chunk->payload, .entry = chunk->entry, .dst_bytes = chunk->n_bytes};
    if (!status && chunk->has_reference)
        status = fetch_reference(batch, owner, chunk, lane, pipeline && takes_digests(pipeline, chunk),
                                 &job.reference);
    if (status)
        return status;
    if (chunk->mode == MTH_CHUNK_COPY_OF_BASE) {
        scatter(owner->bundle, chunk, job.reference.data, owner->dst);
        return MTH_OK;
    }
    status = queue(batch, owner, chunk, &job);
    return !status && is_alone ? flush(batch) : status;
}

/* The elements of a chunk of which something else was coded. What was predicted is not needed any more. */
static int restore_elements(struct mth_coder_worker *worker, const struct mth_bundle_job *owner,
                            const struct mth_bundle_chunk *chunk, const struct mth_prediction *prediction,
                            struct mth_error *err)
{
    const struct mth_predictor *predictor = mth_predictor_at(chunk->predictor);
    struct mth_bytes coded;
    if (!predictor || !predictor->restore)
        return MTH_OK;
    int status = mth_bundle_gather(owner->bundle, chunk, owner->dst, &worker->inputs[1],
                                   &worker->inputs_capacity[1], &coded);
    if (status)
        return mth_error_set(err, status, "no memory for what was coded of a chunk");
    predictor->restore(&prediction->inputs[0].data, coded.data, coded.n_bytes / predictor->elem_bytes,
                       worker->reference[0]);
    scatter(owner->bundle, chunk, worker->reference[0], owner->dst);
    return MTH_OK;
}

/* A predicted chunk is decoded on its own: what it is predicted from must be there first. */
static int decode_predicted(struct batch *batch, struct mth_bundle_job *owner, struct mth_bundle_chunk *chunk)
{
    struct mth_coder_worker *worker = &batch->decoder->coder->workers[batch->worker_index];
    struct mth_prediction prediction;
    uint8_t *room = NULL;
    int status = flush(batch);
    if (chunk->mode == MTH_CHUNK_AS_PREDICTED && mth_bundle_is_flat(owner->bundle, chunk))
        room = owner->dst + owner->bundle->segments[chunk->first].at;
    if (!status)
        status = mth_bundle_predict(batch->decoder->base, worker, owner->bundle, chunk, owner->dst, room,
                                    &prediction, batch->err);
    if (status)
        return status;
    if (chunk->mode == MTH_CHUNK_AS_PREDICTED) {
        status = mth_bundle_check_inputs(batch->decoder->base, owner->bundle, chunk, &prediction, batch->err);
        if (!status && prediction.reference.data != room)
            scatter(owner->bundle, chunk, prediction.reference.data, owner->dst);
        return status;
    }
    struct mth_chunk_decode_job job = {.payload = chunk->payload,
                                       .entry = chunk->entry,
                                       .reference = prediction.reference,
                                       .dst_bytes = chunk->n_bytes};
    worker->chunk.inputs = prediction.inputs;
    worker->chunk.n_inputs = prediction.n_inputs;
    status = queue(batch, owner, chunk, &job);
    if (!status)
        status = flush(batch);
    worker->chunk.n_inputs = 0;
    /* A base that is another one may be why it did not decode. */
    int of_inputs =
        mth_bundle_check_inputs(batch->decoder->base, owner->bundle, chunk, &prediction, batch->err);
    if (of_inputs)
        return of_inputs;
    return status ? status : restore_elements(worker, owner, chunk, &prediction, batch->err);
}

int mth_bundle_decode(const struct mth_bundle_decoder *decoder, size_t worker_index,
                      struct mth_bundle_job *jobs, size_t n_jobs, struct mth_error *err)
{
    struct batch batch = {.decoder = decoder,
                          .worker_index = worker_index,
                          .limit = mth_front_lanes(decoder->front),
                          .err = err};
    int status = MTH_OK;
    for (size_t j = 0; !status && j < n_jobs; j++) {
        for (size_t i = 0; !status && i < jobs[j].bundle->n_chunks; i++) {
            struct mth_bundle_chunk *chunk = &jobs[j].bundle->chunks[i];
            if (chunk->has_reference && decoder->without_base)
                jobs[j].skipped = true;
            else if (chunk->has_reference && !decoder->base)
                status = mth_error_set(err, MTH_ERR_BASE, "was coded against a base; give it with --base");
            else if (mth_chunk_is_predicted(chunk->mode))
                status = decode_predicted(&batch, &jobs[j], chunk);
            else
                status = decode_chunk(&batch, &jobs[j], chunk);
        }
    }
    if (!status)
        status = flush(&batch);
    for (size_t j = 0; !status && !decoder->is_compared && j < n_jobs; j++) {
        const struct mth_bundle *bundle = jobs[j].bundle;
        if (jobs[j].skipped)
            continue;
        if (jobs[j].has_leaf ? !mth_hash64_is(jobs[j].leaf, bundle->leaf)
                             : !mth_hash64_matches(jobs[j].dst, bundle->n_bytes, 0, bundle->leaf))
            status = mth_error_set(err, MTH_ERR_CHECKSUM,
                                   "the bundle at byte %llu does not restore to the digest of the original",
                                   (unsigned long long)bundle->offset);
    }
    return status;
}
