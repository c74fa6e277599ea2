/* What compressing a file decides before it codes anything; shared by the files that do so, see stream.h. */
#ifndef MTH_PIPELINE_STREAM_PLAN_H
#define MTH_PIPELINE_STREAM_PLAN_H

#include "pipeline/base_match.h"
#include "pipeline/slices.h"
#include "pipeline/stream_turns.h"

/* A run over the bundles: a thread takes the next one from the planner, reads and codes it, and hands it in. */
struct mth_encode_run {
    const struct mth_stream_encode_job *job;
    struct mth_bundle_encoder encoder;
    struct mth_bundle_planner planner;
    struct mth_base_match match;
    struct mth_slices slices;
    bool may_cut;                     /* memory allows for it */
    const struct mth_region_map *map; /* to plan with */
    uint32_t *row_elems;              /* for each region */
    uint8_t *classes;                 /* the same, where guards ask for them */
    uint8_t *choices;                 /* for each region; behind them, its fallbacks */
    struct mth_relations relations;
    struct mth_container_front front, plan_front; /* for verifying */
    struct mth_block_writer writer;
    struct mth_index index;
    struct mth_container_stats stats;
    struct mth_stream_turns turns; /* its lock guards the planner too */
    uint64_t n_planned;            /* bundles, of which a sample takes some */
    uint64_t next;                 /* bundle to be taken */
};

/*
 * Everything of a run that does not need coded bundles: what the base has of each tensor, which candidate is best, what is predicted
 * from what, the specs' numbers and the models. The planner has been used.
 *
 * Shape     run: job, map, encoder.coder, encoder.is_lossy, writer, index.memory and stats are set
 * Errors    those of reading; MTH_ERR_NO_MEMORY, MTH_ERR_LIMIT, MTH_ERR_USAGE; what was made so far is in run all the same
 */
int mth_encode_run_prepare(struct mth_encode_run *run, struct mth_error *err);

#endif
