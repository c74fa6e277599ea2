/* A map whose regions are cut where what they are compared with ends. */
#ifndef MTH_FORMATS_REGION_SPLIT_H
#define MTH_FORMATS_REGION_SPLIT_H

#include "formats/region_map.h"

/*
 * A copy of a map in which some regions are two. A tensor that spans a region becomes two tensors of its name, one of the rows in
 * front and, behind all others, one of those behind; other tensors of it are without bytes. What derives from regions is not
 * taken along.
 *
 * Shape     n_front: for each region of map the bytes of its first part, whole rows; 0: it stays one. out: borrows the names
 *           and groups of map; first: for each region of map the number of its first part in out
 * Errors    MTH_ERR_NO_MEMORY, MTH_ERR_LIMIT; then there is nothing to free
 */
int mth_region_split(const struct mth_region_map *map, const uint64_t *n_front, struct mth_region_map *out,
                     uint32_t *first);
void mth_region_split_free(struct mth_region_map *split);

#endif
