/*
 * Tensors that are a contiguous part of another, as they are or rounded: parts of a fused matrix that are saved beside it, rows of a larger
 * table, the tensors behind an optimizer's flat buffer. A map is cut where such parts begin and end: then each is a copy as any
 * other (relations.h). docs/states.md has the rules.
 */
#ifndef MTH_PIPELINE_SLICES_H
#define MTH_PIPELINE_SLICES_H

#include "formats/region_split.h"
#include "pipeline/base_match.h"

/* Of a map, so that what planning takes is bounded. */
enum { MTH_MAX_SLICES = 4096, MTH_MAX_SLICE_CUTS = 4 * MTH_MAX_SLICES };

/* A map that was cut; without memory: it was not. */
struct mth_slices {
    struct mth_region_map split;
    uint64_t *origins; /* for each region where in its reference it begins */
};

/*
 * Cuts the planner's map, if there is anything to cut, and what a match says of its regions.
 *
 * Errors    those of reading; MTH_ERR_NO_MEMORY, MTH_ERR_LIMIT
 * Cost      grows with the root of the bytes times the tensors: see slice_search.c
 */
int mth_slices_cut(struct mth_bundle_planner *planner, const struct mth_source *input,
                   struct mth_base_match *match, struct mth_memory *memory, struct mth_slices *slices,
                   struct mth_error *err);
void mth_slices_free(struct mth_slices *slices, struct mth_memory *memory);

/* slice_search.c: a region whose elements another has as well, from its first on, as they are or rounded. */
struct mth_slice {
    uint32_t whole, part; /* regions */
    uint64_t first, n_elems;
};

/*
 * Slices of a map, sorted by the whole, then by the first; those of one whole do not overlap, and no part is itself a whole. By samples: a
 * wrong one costs a cut.
 *
 * Shape     is_coarse: of tensors that are large only those are found that begin at a multiple of 256 elements, and none that is rounded
 *           elsewhere, in a quarter of the time; slices: to be freed
 * Errors    those of reading; MTH_ERR_NO_MEMORY
 */
int mth_slices_find(const struct mth_region_map *map, const struct mth_source *input, bool is_coarse,
                    struct mth_memory *memory, struct mth_slice **slices, size_t *n_slices,
                    struct mth_error *err);

/* The most bytes that a search takes of a map. */
uint64_t mth_slices_need(const struct mth_region_map *map);

#endif
