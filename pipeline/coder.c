/* A coder: threads, and cached pipelines with their states. */
#include "pipeline/coder.h"

#include "base/checked.h"
#include "base/varint.h"
#include "pipeline/bundle.h"

#include <string.h>

static bool is_chunk_size(size_t n_bytes)
{
    return n_bytes >= (size_t)1 << MTH_MIN_CHUNK_LOG2 && n_bytes <= (size_t)1 << MTH_MAX_CHUNK_LOG2 &&
           (n_bytes & (n_bytes - 1)) == 0;
}

static int create(const struct mth_coder_config *config, bool has_pool, struct mth_coder **out,
                  struct mth_error *err)
{
    if (config->chunk_bytes && !is_chunk_size(config->chunk_bytes))
        return mth_error_set(err, MTH_ERR_USAGE,
                             "a chunk of %zu bytes: it must be a power of two, 4 KiB to 1 GiB",
                             config->chunk_bytes);
    struct mth_coder *coder = mth_memory_calloc(config->memory, 1, sizeof *coder);
    if (!coder)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a coder");
    coder->memory = config->memory;
    coder->asked_chunk_bytes = config->chunk_bytes;
    coder->lossy = config->lossy;
    coder->tensors_alone = config->tensors_alone;
    coder->n_threads = config->n_threads;
    int status = has_pool ? mth_pool_create(config->n_threads, &coder->pool) : MTH_OK;
    if (!status) {
        coder->workers = mth_memory_calloc(config->memory, config->n_threads, sizeof *coder->workers);
        status = coder->workers ? MTH_OK : MTH_ERR_NO_MEMORY;
    }
    for (size_t i = 0; !status && i < config->n_threads; i++) {
        coder->workers[i].chunk.memory = config->memory;
        mth_arena_init(&coder->workers[i].chunk.arena, config->memory);
    }
    if (status) {
        mth_coder_destroy(coder);
        return mth_error_set(err, status, "cannot start %zu threads: %s", config->n_threads,
                             mth_status_text(status));
    }
    *out = coder;
    return MTH_OK;
}

size_t mth_pipeline_chunk_bytes(const struct mth_pipeline *pipeline, bool has_base)
{
    bool large = mth_pipeline_wants_rows(pipeline) || (has_base && mth_pipeline_wants_reference(pipeline));
    return large ? MTH_CHUNK_BYTES_LARGE : MTH_CHUNK_BYTES_ALONE;
}

size_t mth_coder_chunk_bytes(const struct mth_coder *coder, const struct mth_pipeline *pipeline,
                             bool has_base)
{
    return coder->asked_chunk_bytes ? coder->asked_chunk_bytes : mth_pipeline_chunk_bytes(pipeline, has_base);
}

size_t mth_coder_moments_bytes(const struct mth_coder *coder)
{
    return coder->asked_chunk_bytes ? coder->asked_chunk_bytes : MTH_CHUNK_BYTES_MOMENTS;
}

int mth_coder_create(const struct mth_coder_config *config, struct mth_coder **out, struct mth_error *err)
{
    return create(config, true, out, err);
}

int mth_coder_create_driven(const struct mth_coder_config *config, struct mth_coder **out,
                            struct mth_error *err)
{
    return create(config, false, out, err);
}

static void empty_cache(struct mth_coder *coder)
{
    for (size_t i = 0; i < coder->n_cached; i++) {
        struct mth_coder_spec *spec = &coder->cache[i];
        for (size_t t = 0; t < coder->n_threads; t++) {
            if (spec->encode)
                mth_stage_states_free(spec->pipeline, &spec->encode[t]);
            if (spec->decode)
                mth_stage_states_free(spec->pipeline, &spec->decode[t]);
        }
        mth_memory_free(coder->memory, spec->encode);
        mth_memory_free(coder->memory, spec->decode);
        mth_pipeline_destroy(spec->pipeline);
    }
    coder->n_cached = 0;
}

void mth_coder_destroy(struct mth_coder *coder)
{
    if (!coder)
        return;
    mth_coder_free_models(coder);
    empty_cache(coder);
    for (size_t i = 0; coder->workers && i < coder->n_threads; i++) {
        struct mth_coder_worker *worker = &coder->workers[i];
        mth_arena_free(&worker->chunk.arena);
        for (size_t b = 0; b < MTH_MAX_BATCH; b++) {
            mth_memory_free(coder->memory, worker->gathered[b]);
            mth_memory_free(coder->memory, worker->reference[b]);
        }
        for (size_t k = 0; k < MTH_MAX_INPUTS; k++)
            mth_memory_free(coder->memory, worker->inputs[k]);
        mth_memory_free(coder->memory, worker->spans);
    }
    for (size_t i = 0; coder->bundle_workers && i < coder->n_threads; i++)
        mth_bundle_worker_free(coder->memory, &coder->bundle_workers[i]);
    mth_memory_free(coder->memory, coder->bundle_workers);
    mth_memory_free(coder->memory, coder->workers);
    mth_pool_destroy(coder->pool);
    mth_memory_free(coder->memory, coder);
}

void mth_coder_trim_cache(struct mth_coder *coder, size_t n)
{
    if (coder->n_cached + n > MTH_MAX_CACHED_SPECS)
        empty_cache(coder);
}

int mth_coder_take_spec(struct mth_coder *coder, const char *text, struct mth_coder_spec **out,
                        struct mth_error *err)
{
    struct mth_pipeline *pipeline;
    for (size_t i = 0; i < coder->n_cached; i++) {
        if (strcmp(coder->cache[i].pipeline->text, text) == 0) {
            *out = &coder->cache[i];
            return MTH_OK;
        }
    }
    int status = mth_pipeline_parse(text, false, &pipeline, err);
    if (status)
        return status;
    if (strcmp(pipeline->text, text) != 0) {
        mth_pipeline_destroy(pipeline);
        return mth_error_set(err, MTH_ERR_CORRUPT, "spec '%.120s' is not in canonical form", text);
    }
    struct mth_coder_spec *spec = &coder->cache[coder->n_cached];
    spec->pipeline = pipeline;
    spec->encode = mth_memory_calloc(coder->memory, coder->n_threads, sizeof *spec->encode);
    spec->decode = mth_memory_calloc(coder->memory, coder->n_threads, sizeof *spec->decode);
    coder->n_cached++; /* from here on empty_cache owns it */
    if (!spec->encode || !spec->decode)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the states of a pipeline");
    *out = spec;
    return MTH_OK;
}

static bool same_guard(const struct mth_spec_guard *a, const struct mth_spec_guard *b)
{
    return a->dtype == b->dtype && a->class_ == b->class_;
}

/* Do all candidates with this guard want a base? */
static bool all_need_base(const struct mth_pipeline *candidate, const struct mth_spec_guard *guard)
{
    for (; candidate; candidate = candidate->next) {
        if (same_guard(&candidate->guard, guard) && !candidate->needs_base)
            return false;
    }
    return true;
}

/*
 * Candidate i without its reference-taking filters, unless there is no such thing or a candidate before has the same. Only a
 * list that has nothing else for a tensor without a counterpart needs it.
 */
static int take_alone(struct mth_coder *coder, const struct mth_pipeline *first,
                      const struct mth_pipeline *candidate, struct mth_coder_spec *specs[MTH_N_PLAN_SPECS],
                      size_t i, struct mth_error *err)
{
    struct mth_pipeline *alone;
    struct mth_coder_spec *spec = NULL;
    int status = mth_candidate_without_references(candidate, &alone);
    if (status == MTH_ERR_UNSUPPORTED)
        return MTH_OK;
    if (status)
        return mth_error_set(err, status, "no memory for a pipeline");
    status = mth_coder_take_spec(coder, alone->text, &spec, err);
    mth_pipeline_destroy(alone);
    for (size_t j = 0; j < i; j++, first = first->next) {
        if (specs[MTH_PLAN_ALONE + j] == spec && same_guard(&first->guard, &candidate->guard))
            spec = NULL;
    }
    specs[MTH_PLAN_ALONE + i] = spec;
    return status;
}

int mth_coder_take_plan_specs(struct mth_coder *coder, const struct mth_pipeline *pipeline,
                              struct mth_coder_spec *specs[MTH_N_PLAN_SPECS], struct mth_error *err)
{
    int status = MTH_OK;
    bool relates = pipeline->relates;
    const struct mth_pipeline *first = pipeline;
    mth_coder_trim_cache(coder,
                         MTH_PLAN_MORE_MOMENTS + MTH_N_MOMENTS); /* moments without options, and with */
    for (size_t i = 0; !status && pipeline; i++, pipeline = pipeline->next) {
        const struct mth_transform *root = pipeline->nodes[0].transform;
        if (root && root->n_references > 1)
            return mth_error_set(err, MTH_ERR_SPEC, "%s takes several references: only '%s' finds those",
                                 root->name, MTH_RELATED_WORD);
        status = mth_coder_take_spec(coder, pipeline->text, &specs[MTH_PLAN_ASKED + i], err);
        if (!status && all_need_base(first, &pipeline->guard))
            status = take_alone(coder, first, pipeline, specs, i, err);
    }
    for (size_t i = 0; !status && i < MTH_N_PLAN_SPECS; i++) {
        struct mth_pipeline *stand_in;
        const char *text = mth_plan_stand_in((enum mth_plan_spec)i);
        if (!text || (i >= MTH_PLAN_STEPS && !relates))
            continue;
        status = mth_pipeline_parse(text, false, &stand_in, err);
        if (status)
            break;
        status = mth_coder_take_spec(coder, stand_in->text, &specs[i], err);
        mth_pipeline_destroy(stand_in);
    }
    return status;
}

int mth_array_reserve(struct mth_memory *memory, void *array_pointer, size_t *capacity, size_t n, size_t size)
{
    size_t n_bytes;
    void *array;
    if (n <= *capacity)
        return MTH_OK;
    n = mth_size_max(n, *capacity + *capacity / 2);
    if (!mth_size_mul(n, size, &n_bytes))
        return MTH_ERR_OVERFLOW;
    memcpy(&array, array_pointer, sizeof array);
    array = mth_memory_realloc(memory, array, n_bytes);
    if (!array)
        return MTH_ERR_NO_MEMORY;
    memcpy(array_pointer, &array, sizeof array);
    *capacity = n;
    return MTH_OK;
}

int mth_growing_reserve(struct mth_memory *memory, struct mth_growing *growing, size_t n_more)
{
    size_t wanted;
    if (!mth_size_add(growing->n_bytes, n_more, &wanted))
        return MTH_ERR_OVERFLOW;
    return mth_array_reserve(memory, &growing->data, &growing->capacity, wanted, 1);
}

int mth_growing_put(struct mth_memory *memory, struct mth_growing *growing, const void *data, size_t n_bytes)
{
    int status = mth_growing_reserve(memory, growing, n_bytes);
    if (status || n_bytes == 0)
        return status;
    memcpy(growing->data + growing->n_bytes, data, n_bytes);
    growing->n_bytes += n_bytes;
    return MTH_OK;
}

int mth_growing_put_varint(struct mth_memory *memory, struct mth_growing *growing, uint64_t value)
{
    uint8_t bytes[MTH_VARINT_MAX_BYTES];
    return mth_growing_put(memory, growing, bytes, mth_varint_put(bytes, value));
}
