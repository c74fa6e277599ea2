/* Which bytes of a base belong to which region of a checkpoint. */
#ifndef MTH_FORMATS_REGION_MATCH_H
#define MTH_FORMATS_REGION_MATCH_H

#include "formats/region_map.h"

#include <stdbool.h>

#define MTH_NO_MATCH UINT64_MAX

/*
 * Pair the regions of a map with those of its base: tensors of the same name, dtype and shape, whatever their order and
 * the formats of the files. Where not one name is the same, names are also taken without the text that all of one side
 * have before them ("model.w" and "w").
 *
 * Shape     base_offsets: one per region of map, set to a byte offset in the base's file, where n_bytes of that region's
 *           counterpart begin, or to MTH_NO_MATCH
 * Errors    MTH_ERR_NO_MEMORY
 * Cost      linear in the number of tensors of both
 */
int mth_region_match(const struct mth_region_map *map, const struct mth_region_map *base,
                     uint64_t *base_offsets);

/*
 * The same by names alone: where there is no tensor of the same name, dtype and shape, one of the same name.
 *
 * Shape     base_tensors: one per region of map, set to the number of a tensor of base that spans a region, or to
 *           MTH_NO_TENSOR; has_kind: one per region, set where dtype and shape are the same too
 */
int mth_region_match_names(const struct mth_region_map *map, const struct mth_region_map *base,
                           uint32_t *base_tensors, bool *has_kind);

#endif
