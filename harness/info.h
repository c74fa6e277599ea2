/* What `mithril info` tells of a checkpoint: sizes and entropies, by dtype and by tensor. */
#ifndef MTH_HARNESS_INFO_H
#define MTH_HARNESS_INFO_H

#include "harness/bounds.h"
#include "harness/checkpoint_file.h"
#include "harness/entropy.h"
#include "harness/text.h"

#include <stdbool.h>
#include <stdint.h>

struct mth_info_dtype {
    uint64_t n_tensors;
    uint64_t n_elems; /* of the tensors */
    uint64_t n_bytes; /* of the regions */
    struct mth_entropy entropy;
    double bound_ratio; /* alone, as in bounds.h; INFINITY when nothing is charged */
    /* Of the regions that have a counterpart in the base. */
    struct mth_entropy paired;
    double paired_bound_ratio;
};

struct mth_info_tensor {
    const struct mth_tensor *tensor;
    struct mth_entropy entropy; /* only the exponent, and the xor where matched */
    bool matched;
};

struct mth_info {
    const struct mth_loaded *input;
    const struct mth_loaded *base;  /* or NULL */
    const struct mth_loaded *older; /* what the base became out of, or NULL */
    struct mth_info_dtype dtypes[MTH_N_DTYPES];
    struct mth_info_tensor *tensors; /* those that were asked for */
    size_t n_tensors;
    size_t n_matched; /* regions */
    struct mth_paired paired;
    struct mth_bound bound;
    struct mth_bound pair_bound;
    struct mth_bound directed_bound; /* that with the older one */
    uint64_t *base_offsets;          /* of the regions */
};

/*
 * Collect all of it; name (or NULL for all) picks one tensor, and the entropies are then of that one alone.
 * Errors: MTH_ERR_USAGE for a name that is no tensor's, with the nearest one; MTH_ERR_NO_MEMORY.
 */
int mth_info_collect(const struct mth_loaded *input, const struct mth_loaded *base,
                     const struct mth_loaded *older, const char *name, struct mth_info *info,
                     struct mth_error *err);
void mth_info_free(struct mth_info *info);

/* "128x512", cut to its column; "scalar" without dimensions. Returns out. */
const char *mth_info_shape(const struct mth_region_map *map, const struct mth_tensor *tensor,
                           size_t n_columns, char out[MTH_TEXT_BYTES]);

#endif
