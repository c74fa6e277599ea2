/*
 * Patterns of a pipeline that one pass over the data does: a transform and the codecs of its streams, in pieces that stay in
 * the cache. Optimisations only: the generic path makes the same bytes, and takes what a fused one declines.
 */
#ifndef MTH_PIPELINE_FUSED_H
#define MTH_PIPELINE_FUSED_H

#include "pipeline/pipeline.h"

/* Elements into a stored stream and a coded one. */
struct mth_fused_encode_job {
    const struct mth_node *node; /* the transform */
    const struct mth_stream_plan *plans;
    struct mth_symbol_type type;
    struct mth_bytes src;
    uint8_t *stored;              /* where the stored stream goes */
    void *state;                  /* of the codec */
    struct mth_encode_job *coded; /* of the coded stream, its src.data left out; out is set */
};

struct mth_fused_decode_job {
    const struct mth_stream_plan *plans;
    struct mth_bytes stored;
    struct mth_bytes coded;
    const void *model;
    uint8_t *dst;
    size_t dst_bytes;
};

struct mth_fused {
    const char *pattern; /* "exponent-split+rans/store" */
    size_t coded_stream; /* which of the two is coded; the other is stored */
    /* Errors: MTH_ERR_UNSUPPORTED for what the generic path has to do; anything may have been written then. */
    int (*encode)(const struct mth_fused_encode_job *job);
    /* Can these bytes of the coded stream be taken? */
    bool (*takes)(struct mth_bytes coded);
    /* Several chunks of one type side by side. Errors: MTH_ERR_CORRUPT, those of the codec. */
    int (*decode)(const struct mth_node *node, struct mth_symbol_type type, void *state,
                  const struct mth_fused_decode_job *jobs, size_t n_jobs);
};

/* The fused path of a transform and its branches, NULL when there is none. Cost: a few comparisons. */
const struct mth_fused *mth_fused_find(const struct mth_pipeline *pipeline, const struct mth_node *node);

extern const struct mth_fused mth_fused_exponent_rans, mth_fused_exponent_tiers;

#endif
