/*
 * What of a base each region of a checkpoint is compared with, when not only the same tensors are there: renamed, reshaped,
 * grown, shrunk and converted ones have a counterpart too, and so has what is no tensor: headers, pickles, directories.
 */
#ifndef MTH_FORMATS_REGION_ALIGN_H
#define MTH_FORMATS_REGION_ALIGN_H

#include "formats/region_map.h"

enum mth_alignment_kind {
    MTH_ALIGNED_NOT = 0,
    MTH_ALIGNED_SAME,      /* name, dtype and shape */
    MTH_ALIGNED_RENAMED,   /* found by content: dtype and bytes, and most of a sample */
    MTH_ALIGNED_RESHAPED,  /* name and dtype, as many elements in another shape */
    MTH_ALIGNED_RESIZED,   /* name and dtype, more or fewer rows: those in front that both have */
    MTH_ALIGNED_CONVERTED, /* name, another float dtype; rows may be more or fewer */
    MTH_ALIGNED_OPAQUE,    /* no tensor: the one of its number, in a base of the same format */
    MTH_N_ALIGNED_KINDS
};

struct mth_alignment {
    enum mth_alignment_kind kind;
    uint32_t base_region;
    uint32_t base_tensor; /* the first that spans it; MTH_NO_TENSOR for what is no tensor */
    uint64_t n_elems;     /* of the region, from its first on, that have a counterpart */
};

/* What is no tensor and shorter than this is as new: to say where its counterpart is would take as much. */
enum { MTH_MIN_ALIGNED_OPAQUE_BYTES = 512 };

/*
 * Find the counterpart of each region. What is found by content is found by a few elements of either side, so that it may be
 * of no use, and what changed much is not found.
 *
 * Shape     alignments: one per region of map. converts: whether elements of a dtype are of use to those of another; NULL:
 *           none are. source, base_source: the files of the maps
 * Errors    MTH_ERR_NO_MEMORY; those of reading
 * Cost      by names: linear in the tensors of both. By content: n log n in those that are left, and 512 bytes read of each
 */
int mth_region_align(const struct mth_region_map *map, const struct mth_source *source,
                     const struct mth_region_map *base, const struct mth_source *base_source,
                     bool (*converts)(enum mth_dtype from, enum mth_dtype to),
                     struct mth_alignment *alignments, struct mth_error *err);

/* "renamed", ... */
const char *mth_alignment_text(enum mth_alignment_kind kind);

#endif
