/* Models: built from a sample of chunks before encoding, kept for a call, found again by spec and dtype. */
#include "pipeline/coder.h"

#include "base/checked.h"

#include <string.h>

static void add_leaves(const struct mth_pipeline *pipeline, const struct mth_node *node,
                       struct mth_symbol_type type, const struct mth_node **leaves, size_t *n)
{
    enum { SAMPLE_BYTES = 1024 };
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    size_t n_streams;
    if (node->codec) {
        if (*n < MTH_MAX_LEAVES)
            leaves[(*n)++] = node;
        return;
    }
    if (node->transform->plan(node->options, &type, SAMPLE_BYTES, plans, &n_streams))
        return;
    for (size_t i = 0; i < n_streams && *n < MTH_MAX_LEAVES; i++)
        add_leaves(pipeline, mth_node_child(pipeline, node, i), plans[i].type, leaves, n);
}

size_t mth_pipeline_leaves(const struct mth_pipeline *pipeline, struct mth_symbol_type type,
                           const struct mth_node *leaves[MTH_MAX_LEAVES])
{
    size_t n = 0;
    add_leaves(pipeline, &pipeline->nodes[0], type, leaves, &n);
    return n;
}

/* Models are const to those who use them; here is where they are made and freed. */
static void *owned(const void *model)
{
    return (void *)(uintptr_t)model;
}

void mth_coder_free_models(struct mth_coder *coder)
{
    for (size_t i = 0; i < coder->n_models; i++) {
        for (size_t leaf = 0; leaf < MTH_MAX_LEAVES; leaf++)
            mth_memory_free(coder->memory, owned(coder->models[i].models.model[leaf]));
    }
    mth_memory_free(coder->memory, coder->models);
    coder->models = NULL;
    coder->n_models = 0;
}

const struct mth_leaf_models *mth_coder_find_models(const struct mth_coder *coder, uint32_t spec,
                                                    enum mth_dtype dtype)
{
    for (size_t i = 0; i < coder->n_models; i++) {
        if (coder->models[i].spec == spec && coder->models[i].dtype == dtype)
            return &coder->models[i].models;
    }
    return NULL;
}

int mth_coder_add_models(struct mth_coder *coder, uint32_t spec, enum mth_dtype dtype,
                         struct mth_coder_models **out)
{
    size_t n_bytes;
    if (!mth_size_mul(coder->n_models + 1, sizeof *coder->models, &n_bytes))
        return MTH_ERR_OVERFLOW;
    struct mth_coder_models *grown = mth_memory_realloc(coder->memory, coder->models, n_bytes);
    if (!grown)
        return MTH_ERR_NO_MEMORY;
    coder->models = grown;
    *out = &grown[coder->n_models++];
    memset(*out, 0, sizeof **out);
    (*out)->spec = spec;
    (*out)->dtype = dtype;
    return MTH_OK;
}

static void free_counts(struct mth_coder *coder, struct mth_leaf_counts *counts)
{
    for (size_t leaf = 0; leaf < MTH_MAX_LEAVES; leaf++)
        mth_memory_free(coder->memory, counts->counts[leaf]);
}

/* Counts every MTH_MODEL_SAMPLE-th chunk of the units of one spec and dtype. */
static int count_sample(struct mth_coder *coder, const struct mth_pipeline *pipeline, uint32_t spec,
                        enum mth_dtype dtype, const uint8_t *input, const uint8_t *base,
                        struct mth_leaf_counts *counts)
{
    struct mth_coder_worker *worker = &coder->workers[0];
    struct mth_bytes src, reference = {0};
    size_t n_seen = 0;
    int status = MTH_OK;

    for (size_t u = 0; u < coder->plan.n_units; u++) {
        const struct mth_unit *unit = &coder->plan.units[u];
        if (unit->spec != spec || unit->dtype != dtype)
            continue;
        for (size_t c = 0; !status && c < unit->n_chunks; c++) {
            uint64_t offset;
            size_t n_bytes;
            if (n_seen++ % MTH_MODEL_SAMPLE != 0)
                continue;
            mth_plan_chunk_range(&coder->plan, unit, unit->first_chunk + c, &offset, &n_bytes);
            status = mth_coder_gather(coder, unit, input, false, offset, n_bytes, &worker->gathered[0],
                                      &worker->gathered_capacity[0], &src);
            if (!status && unit->has_reference)
                status = mth_coder_gather(coder, unit, base, true, offset, n_bytes, &worker->reference[0],
                                          &worker->reference_capacity[0], &reference);
            if (!status)
                status = mth_chunk_count(&worker->chunk, pipeline, mth_symbol_type_of(dtype), src, reference,
                                         counts);
        }
    }
    return status;
}

static int build_for(struct mth_coder *coder, const struct mth_pipeline *pipeline, uint32_t spec,
                     enum mth_dtype dtype, const uint8_t *input, const uint8_t *base)
{
    const struct mth_node *leaves[MTH_MAX_LEAVES];
    struct mth_leaf_counts counts = {{0}};
    struct mth_coder_models *models;
    size_t n_leaves = mth_pipeline_leaves(pipeline, mth_symbol_type_of(dtype), leaves);
    int status = mth_coder_add_models(coder, spec, dtype, &models);

    for (size_t i = 0; !status && i < n_leaves; i++) {
        const struct mth_model_ops *ops = leaves[i]->codec->models;
        if (ops) {
            counts.counts[i] = mth_memory_calloc(coder->memory, 1, ops->counts_bytes);
            status = counts.counts[i] ? MTH_OK : MTH_ERR_NO_MEMORY;
        }
    }
    if (!status)
        status = count_sample(coder, pipeline, spec, dtype, input, base, &counts);
    for (size_t i = 0; !status && i < n_leaves; i++) {
        const struct mth_model_ops *ops = leaves[i]->codec->models;
        if (!ops)
            continue;
        void *model = mth_memory_calloc(coder->memory, 1, ops->model_bytes);
        if (!model) {
            status = MTH_ERR_NO_MEMORY;
            break;
        }
        status = ops->build(leaves[i]->options, counts.counts[i], model);
        if (status) {
            mth_memory_free(coder->memory, model);
            status = status == MTH_ERR_UNSUPPORTED ? MTH_OK : status;
            continue;
        }
        models->models.model[i] = model;
    }
    free_counts(coder, &counts);
    return status;
}

int mth_coder_build_models(struct mth_coder *coder, struct mth_coder_spec *const specs[MTH_N_PLAN_SPECS],
                           const uint8_t *input, const uint8_t *base)
{
    int status = MTH_OK;
    for (size_t u = 0; !status && u < coder->plan.n_units; u++) {
        const struct mth_unit *unit = &coder->plan.units[u];
        const struct mth_pipeline *pipeline = specs[unit->spec]->pipeline;
        if (pipeline->has_models && !mth_coder_find_models(coder, unit->spec, unit->dtype))
            status = build_for(coder, pipeline, unit->spec, unit->dtype, input, base);
    }
    return status;
}
