/* What of a base a checkpoint is coded against. */
#ifndef MTH_PIPELINE_BASE_MATCH_H
#define MTH_PIPELINE_BASE_MATCH_H

#include "formats/region_align.h"
#include "pipeline/bundle.h"

struct mth_base_match {
    /* The checkpoint's map, cut where what a region is compared with ends; without memory: none had to be cut. */
    struct mth_region_map split;
    uint32_t *references; /* for each region, MTH_NO_REFERENCE where there is none */
    struct mth_base_use use;
    /* The same of the base's own older state, where both have all elements of a region in its dtype; NULL: there is none. */
    uint32_t *older;
    struct mth_base_use older_use;
    struct mth_base_reader reader;
    struct mth_paired paired;
};

/*
 * The counterpart of each region, of those that a plan can refer to, and how many there are of each kind.
 * Shape: alignments: one per region of map. paired: zeroed before. Errors: those of reading; MTH_ERR_NO_MEMORY
 */
int mth_base_align(const struct mth_source *input, const struct mth_region_map *map,
                   const struct mth_stream_base *base, struct mth_alignment *alignments,
                   struct mth_paired *paired, struct mth_error *err);

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
