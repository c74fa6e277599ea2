/* Models: the tables that the chunks of a spec and dtype share, kept for a call. stream_models.c builds them. */
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
