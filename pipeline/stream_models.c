/* Models of a stream: counted on a sample of its chunks before anything is coded; see bundle.h. */
#include "pipeline/bundle.h"

#include "base/checked.h"

/* The counts of one spec and dtype. */
struct sample {
    uint32_t spec;
    enum mth_dtype dtype;
    size_t n_seen;
    const struct mth_node *leaves[MTH_MAX_LEAVES];
    size_t n_leaves;
    struct mth_leaf_counts counts;
};

struct samples {
    struct sample *list;
    size_t n, capacity;
};

int mth_stream_view(const struct mth_source *source, const struct mth_layout *layout, uint64_t place,
                    size_t n_bytes, struct mth_memory *memory, uint8_t **scratch, size_t *capacity,
                    struct mth_bytes *out, struct mth_error *err)
{
    uint64_t n_run = n_bytes, offset = layout ? mth_layout_to_file(layout, place, &n_run) : place;
    if (n_run >= n_bytes && source->memory && offset <= source->n_bytes &&
        n_bytes <= source->n_bytes - offset) {
        *out = (struct mth_bytes){source->memory + offset, n_bytes};
        return MTH_OK;
    }
    int status = mth_array_reserve(memory, scratch, capacity, n_bytes, 1);
    if (status)
        return mth_error_set(err, status, "%s: no memory for %zu bytes of it", source->name, n_bytes);
    *out = (struct mth_bytes){*scratch, n_bytes};
    for (size_t done = 0; !status && done < n_bytes;) {
        offset = layout ? mth_layout_to_file(layout, place + done, &n_run) : place;
        size_t n = (size_t)mth_u64_min(n_run, n_bytes - done);
        status = mth_source_read(source, offset, *scratch + done, n, err);
        done += n;
    }
    return status;
}

/* The bytes of a chunk that stands at a place of its bundle, if a source in memory has them side by side; else NULL. */
static const uint8_t *view_chunk(const struct mth_source *source, const struct mth_layout *layout,
                                 const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                                 size_t at)
{
    uint64_t n_run, offset = mth_layout_to_file(layout, bundle->offset + at, &n_run);
    bool is_whole = !chunk->may_split && bundle->segments[chunk->first].at == at &&
                    mth_bundle_is_flat(bundle, chunk) && chunk->n_bytes <= n_run;
    return is_whole && offset <= source->n_bytes && chunk->n_bytes <= source->n_bytes - offset
               ? source->memory + offset
               : NULL;
}

bool mth_stream_view_chunks(const struct mth_source *source, const struct mth_layout *layout,
                            struct mth_bundle *bundle)
{
    size_t at = 0, n = 0;
    if (!source->memory || !layout)
        return false;
    for (; n < bundle->n_chunks; at += bundle->chunks[n++].n_bytes) {
        bundle->chunks[n].view = view_chunk(source, layout, bundle, &bundle->chunks[n], at);
        if (!bundle->chunks[n].view)
            break;
    }
    if (n == bundle->n_chunks && at == bundle->n_bytes)
        return true;
    for (size_t i = 0; i < n; i++)
        bundle->chunks[i].view = NULL;
    return false;
}

static void free_samples(struct mth_memory *memory, struct samples *samples)
{
    for (size_t i = 0; i < samples->n; i++) {
        for (size_t leaf = 0; leaf < MTH_MAX_LEAVES; leaf++)
            mth_memory_free(memory, samples->list[i].counts.counts[leaf]);
    }
    mth_memory_free(memory, samples->list);
}

static int find_sample(const struct mth_bundle_encoder *encoder, struct samples *samples,
                       const struct mth_bundle_chunk *chunk, struct sample **out)
{
    struct mth_memory *memory = encoder->coder->memory;
    for (size_t i = 0; i < samples->n; i++) {
        *out = &samples->list[i];
        if ((*out)->spec == chunk->spec && (*out)->dtype == chunk->dtype)
            return MTH_OK;
    }
    int status = mth_array_reserve(memory, &samples->list, &samples->capacity, samples->n + 1, sizeof **out);
    if (status)
        return status;
    *out = &samples->list[samples->n++];
    **out = (struct sample){.spec = chunk->spec, .dtype = chunk->dtype};
    (*out)->n_leaves = mth_pipeline_leaves(encoder->specs[chunk->spec]->pipeline,
                                           mth_symbol_type_of(chunk->dtype), (*out)->leaves);
    for (size_t i = 0; i < (*out)->n_leaves; i++) {
        const struct mth_model_ops *ops = (*out)->leaves[i]->codec->models;
        if (ops && !((*out)->counts.counts[i] = mth_memory_calloc(memory, 1, ops->counts_bytes)))
            return MTH_ERR_NO_MEMORY;
    }
    return MTH_OK;
}

static int count_chunk(const struct mth_bundle_encoder *encoder, const struct mth_bundle *bundle,
                       size_t chunk_index, const uint8_t *bytes, struct sample *sample, struct mth_error *err)
{
    struct mth_coder_worker *worker = &encoder->coder->workers[0];
    const struct mth_bundle_chunk *chunk = &bundle->chunks[chunk_index];
    struct mth_bytes src, reference = {0};
    int status =
        mth_bundle_gather(bundle, chunk, bytes, &worker->gathered[0], &worker->gathered_capacity[0], &src);
    if (!status)
        status = mth_bundle_set_spans(bundle, chunk_index, worker);
    if (!status && chunk->has_reference)
        status = mth_base_reader_gather(encoder->base, bundle, chunk, &worker->reference[0],
                                        &worker->reference_capacity[0], &reference, err);
    if (!status)
        status = mth_chunk_count(&worker->chunk, encoder->specs[chunk->spec]->pipeline,
                                 mth_symbol_type_of(chunk->dtype), src, reference, &sample->counts);
    return status;
}

static int count_bundle(const struct mth_bundle_encoder *encoder, const struct mth_source *input,
                        struct samples *samples, struct mth_error *err)
{
    struct mth_coder *coder = encoder->coder;
    struct mth_bundle_lane *lane = &coder->bundle_workers[0].lanes[0];
    struct mth_bytes bytes = {0};
    int status = MTH_OK;
    for (size_t i = 0; !status && i < lane->bundle.n_chunks; i++) {
        const struct mth_bundle_chunk *chunk = &lane->bundle.chunks[i];
        struct sample *sample;
        if (!encoder->specs[chunk->spec]->pipeline->has_models || mth_chunk_is_predicted(chunk->mode))
            continue;
        status = find_sample(encoder, samples, chunk, &sample);
        if (status || sample->n_seen++ % MTH_MODEL_SAMPLE != 0)
            continue;
        if (!bytes.data)
            status = mth_stream_view(input, encoder->layout, lane->bundle.offset, lane->bundle.n_bytes,
                                     coder->memory, &lane->bytes, &lane->bytes_capacity, &bytes, err);
        if (!status)
            status = count_chunk(encoder, &lane->bundle, i, bytes.data, sample, err);
    }
    return status;
}

static int build(struct mth_coder *coder, const struct sample *sample)
{
    struct mth_coder_models *models;
    int status = mth_coder_add_models(coder, sample->spec, sample->dtype, &models);
    for (size_t i = 0; !status && i < sample->n_leaves; i++) {
        const struct mth_node *leaf = sample->leaves[i];
        if (!sample->counts.counts[i])
            continue;
        void *model = mth_memory_calloc(coder->memory, 1, leaf->codec->models->model_bytes);
        if (!model)
            return MTH_ERR_NO_MEMORY;
        status = leaf->codec->models->build(leaf->options, sample->counts.counts[i], model);
        if (status) {
            mth_memory_free(coder->memory, model);
            status = status == MTH_ERR_UNSUPPORTED ? MTH_OK : status;
            continue;
        }
        models->models.model[i] = model;
    }
    return status;
}

/* Does any spec that is used have models? Else nobody need look at the bundles. */
static bool wants_models(const struct mth_bundle_encoder *encoder)
{
    bool wanted = false;
    for (size_t i = 0; i < MTH_N_PLAN_SPECS; i++)
        wanted |= encoder->numbers.of[i] != UINT32_MAX && encoder->specs[i]->pipeline->has_models;
    return wanted;
}

int mth_stream_build_models(const struct mth_bundle_encoder *encoder, struct mth_bundle_planner *planner,
                            const struct mth_source *input, struct mth_error *err)
{
    struct mth_coder *coder = encoder->coder;
    struct mth_bundle *bundle = &coder->bundle_workers[0].lanes[0].bundle;
    struct samples samples = {0};
    struct mth_error inner = {0};
    int status = MTH_OK;
    if (!wants_models(encoder))
        return MTH_OK;
    mth_bundle_planner_rewind(planner);
    for (;;) {
        status = mth_bundle_planner_next(planner, bundle);
        if (status || bundle->n_bytes == 0)
            break;
        status = count_bundle(encoder, input, &samples, &inner);
        if (status)
            break;
    }
    for (size_t i = 0; !status && i < samples.n; i++)
        status = build(coder, &samples.list[i]);
    free_samples(coder->memory, &samples);
    if (!status)
        return MTH_OK;
    return inner.status
               ? mth_error_set(err, inner.status, "%s", inner.text)
               : mth_error_set(err, status, "sampling for models failed: %s", mth_status_text(status));
}
