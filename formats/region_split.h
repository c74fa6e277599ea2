/* A map whose regions are cut: where what they are compared with ends, or where a part of one is what another holds. */
#ifndef MTH_FORMATS_REGION_SPLIT_H
#define MTH_FORMATS_REGION_SPLIT_H

#include "formats/region_map.h"

/* The region has another part from this byte of it on. */
struct mth_region_cut {
    uint32_t region;
    uint64_t at; /* whole elements; inside the region */
};

/*
 * A copy of a map in which some regions are several. A tensor that spans a region becomes as many tensors of its name: that of the
 * first part in its place, those of the others behind all that were there. They are of whole rows, or have one dimension where the cuts
 * do not leave any; other tensors of the region are without bytes. What an optimizer keeps of a tensor that is cut is kept of each
 * part: of tensors that are cut alike the parts, of those of one element, which count steps, that. What derives from regions is not
 * taken along.
 *
 * Shape     cuts: sorted by region, then by place, each once. out: borrows the names and groups of map; first: for each region of
 *           map, and one more, the number of its first part in out
 * Errors    MTH_ERR_NO_MEMORY, MTH_ERR_LIMIT; then there is nothing to free
 */
int mth_region_split(const struct mth_region_map *map, const struct mth_region_cut *cuts, size_t n_cuts,
                     struct mth_region_map *out, uint32_t *first);
void mth_region_split_free(struct mth_region_map *split);

#endif
