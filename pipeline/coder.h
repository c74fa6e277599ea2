/* The inside of a coder, shared by encoding and decoding. */
#ifndef MTH_PIPELINE_CODER_H
#define MTH_PIPELINE_CODER_H

#include "base/pool.h"
#include "pipeline/chunk.h"
#include "pipeline/planner.h"
#include "transforms/predictors/predictor.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    MTH_MIN_CHUNK_LOG2 = 12,
    MTH_MAX_CHUNK_LOG2 = 30,
    MTH_MAX_CACHED_SPECS = 64,
    MTH_MODEL_SAMPLE = 16 /* one chunk in this many is counted when models are built */
};

/* A pipeline with the states of every thread, kept from call to call. */
struct mth_coder_spec {
    struct mth_pipeline *pipeline;
    struct mth_stage_states *encode; /* one per thread */
    struct mth_stage_states *decode;
};

/* The models of one spec on one dtype, leaf by leaf. */
struct mth_coder_models {
    uint32_t spec;
    enum mth_dtype dtype;
    struct mth_leaf_models models;
};

struct mth_coder_worker {
    struct mth_chunk_worker chunk;
    struct mth_chunk_entry entry;
    /* Scratch for chunks that lie scattered, and for their references. */
    uint8_t *gathered[MTH_MAX_BATCH];
    size_t gathered_capacity[MTH_MAX_BATCH];
    uint8_t *reference[MTH_MAX_BATCH];
    size_t reference_capacity[MTH_MAX_BATCH];
    /* What a predicted chunk is predicted from. */
    uint8_t *inputs[MTH_MAX_INPUTS];
    size_t inputs_capacity[MTH_MAX_INPUTS];
    struct mth_row_span *spans;
    size_t spans_capacity;
};

/* Bytes that grow. */
struct mth_growing {
    uint8_t *data;
    size_t n_bytes;
    size_t capacity;
};

struct mth_bundle_worker; /* bundle.h */

struct mth_coder {
    struct mth_memory *memory;
    struct mth_pool *pool;
    size_t n_threads;
    size_t asked_chunk_bytes; /* 0: as the pipeline likes it */
    bool lossy;               /* a lossy pipeline may be used */
    bool tensors_alone;       /* of bases in memory */
    size_t chunk_bytes;       /* of the call in progress */
    struct mth_coder_worker *workers;
    struct mth_bundle_worker *bundle_workers; /* one per thread, when there is any */
    struct mth_coder_spec cache[MTH_MAX_CACHED_SPECS];
    size_t n_cached;
    struct mth_coder_models *models; /* of the call in progress */
    size_t n_models;
};

/* A coder whose n_threads workers are driven by threads of the caller's: it has no pool of its own. */
int mth_coder_create_driven(const struct mth_coder_config *config, struct mth_coder **coder,
                            struct mth_error *err);

/*
 * The pipeline of a text and its states; kept for later calls. The cache is emptied when it is full, so only
 * the specs taken since the last mth_coder_trim_cache are sure to be there.
 */
int mth_coder_take_spec(struct mth_coder *coder, const char *text, struct mth_coder_spec **spec,
                        struct mth_error *err);
/* Makes room for n more specs. Call before a series of takes. */
void mth_coder_trim_cache(struct mth_coder *coder, size_t n);

/* The size of a coder's chunks for a pipeline: what was asked for, or what the pipeline likes. */
size_t mth_coder_chunk_bytes(const struct mth_coder *coder, const struct mth_pipeline *pipeline,
                             bool has_base);
/* The most of a bundle of a family with moments of any gradients. */
size_t mth_coder_moments_bytes(const struct mth_coder *coder);

/* The pipelines that a plan for this one may use, by enum mth_plan_spec; NULL where there is none. */
int mth_coder_take_plan_specs(struct mth_coder *coder, const struct mth_pipeline *pipeline,
                              struct mth_coder_spec *specs[MTH_N_PLAN_SPECS], struct mth_error *err);

/* Frees the models of the last call. specs: those that mth_coder_models.spec counts in. */
void mth_coder_free_models(struct mth_coder *coder);
const struct mth_leaf_models *mth_coder_find_models(const struct mth_coder *coder, uint32_t spec,
                                                    enum mth_dtype dtype);
/* An empty set of models for a spec and dtype. */
int mth_coder_add_models(struct mth_coder *coder, uint32_t spec, enum mth_dtype dtype,
                         struct mth_coder_models **models);

/* Walks a pipeline's leaves in the order of coding: the codec's node for each, up to MTH_MAX_LEAVES. */
size_t mth_pipeline_leaves(const struct mth_pipeline *pipeline, struct mth_symbol_type type,
                           const struct mth_node *leaves[MTH_MAX_LEAVES]);

/* Grow an array to hold n things of size bytes; keeps its content. For the lists that the pipeline reuses. */
int mth_array_reserve(struct mth_memory *memory, void *array_pointer, size_t *capacity, size_t n,
                      size_t size);

int mth_growing_reserve(struct mth_memory *memory, struct mth_growing *growing, size_t n_more);
int mth_growing_put(struct mth_memory *memory, struct mth_growing *growing, const void *data, size_t n_bytes);
int mth_growing_put_varint(struct mth_memory *memory, struct mth_growing *growing, uint64_t value);

#endif
