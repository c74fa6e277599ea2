/* What of a base a checkpoint is coded against. */
#ifndef MTH_PIPELINE_BASE_MATCH_H
#define MTH_PIPELINE_BASE_MATCH_H

#include "pipeline/bundle.h"

struct mth_base_match {
    /* The checkpoint's map, cut where what a region is compared with ends; without memory: none had to be cut. */
    struct mth_region_map split;
    uint32_t *references; /* for each region, MTH_NO_REFERENCE where there is none */
    struct mth_base_use use;
    struct mth_base_reader reader;
    struct mth_paired paired;
};

/*
 * Pairs a checkpoint with its base. planner: its specs say which dtypes look at a base; its map becomes the one to plan with.
 * Errors: MTH_ERR_BASE where nothing matches; those of reading; MTH_ERR_NO_MEMORY; then there may be something to free.
 */
int mth_base_match(struct mth_bundle_planner *planner, const struct mth_source *input,
                   const struct mth_stream_base *base, struct mth_memory *memory,
                   struct mth_base_match *match, struct mth_error *err);
/* Forgets what no region is coded against after all. needed: for each region. */
void mth_base_match_prune(struct mth_base_match *match, const bool *needed, size_t n_regions);
void mth_base_match_free(struct mth_base_match *match, struct mth_memory *memory);

#endif
