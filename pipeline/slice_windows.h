/*
 * A search for slices, and the few elements of tensors that it looks at: windows, hashed, of elements as they are or rounded. Shared by
 * the files that search; see slices.h.
 */
#ifndef MTH_PIPELINE_SLICE_WINDOWS_H
#define MTH_PIPELINE_SLICE_WINDOWS_H

#include "pipeline/slices.h"

#include "base/checked.h"
#include "transforms/predictors/predictor.h"

enum {
    WINDOW_BYTES = 16, /* that are hashed */
    WINDOW_ELEMS = WINDOW_BYTES / 2,
    AHEAD = 8, /* windows that are fetched */
    PLACES_PER_PROBE = 4
};

/* A window of a tensor, or of what it would be rounded to. */
struct mth_slice_probe {
    uint64_t hash;
    uint64_t elem;
    uint32_t region;
    uint8_t predictor; /* MTH_PREDICT_NOTHING: as it is */
};

/* What makes a whole a part, or a part a whole: predictors. */
struct mth_slice_form {
    uint8_t of_whole, of_part;
};

struct mth_slice_search {
    const struct mth_region_map *map;
    const struct mth_source *input;
    struct mth_memory *memory;
    struct mth_error *err;
    bool is_coarse;
    unsigned stride_log2;
    uint64_t most_elems[2], least_part[2]; /* of tensors of 16 and of 32 bits */
    struct mth_slice_probe *probes;
    size_t n_probes, probes_capacity;
    uint32_t *buckets; /* of probes, by the upper bits of their hashes: where each begins */
    unsigned shift;
    uint8_t *bytes, *rounded; /* of a part's first stride */
    struct mth_slice *slices;
    size_t n_slices, slices_capacity;
    struct mth_slice_form *forms; /* of each slice: what makes one the other */
    size_t forms_capacity;
    uint8_t *roles; /* of each region */
};

enum mth_slice_role { ROLE_NONE, ROLE_WHOLE, ROLE_PART };

static inline size_t mth_slice_width_of(const struct mth_slice_search *s, uint32_t region)
{
    return mth_dtype_lane_bytes(s->map->regions[region].dtype);
}

static inline uint64_t mth_slice_elems_of(const struct mth_slice_search *s, uint32_t region)
{
    return s->map->regions[region].n_bytes / mth_slice_width_of(s, region);
}

/* May a region be a whole or a part? */
bool mth_slice_is_eligible(const struct mth_region_map *map, size_t region);

/* False for what says little about its place: halves that are the same. */
static inline bool mth_slice_hash_window(const uint8_t *window, uint64_t *hash)
{
    uint64_t a = mth_load64(window), b = mth_load64(window + 8);
    uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) + b;
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    *hash = (x ^ x >> 29) * UINT64_C(0xff51afd7ed558ccd);
    return a != b;
}

/* Elements as they are or rounded; room holds n of them. */
int mth_slice_read_elems(const struct mth_slice_search *s, uint32_t region, uint64_t elem, size_t n,
                         uint8_t predictor, uint8_t *bytes, uint8_t *rounded, const uint8_t **out);

/* Which forms of a tensor are looked at: what is rounded only where there is something it may be. */
uint8_t mth_slice_last_form(const struct mth_slice_search *s, uint32_t region, bool is_whole);

static inline bool mth_slice_is_form(uint8_t form)
{
    return form == MTH_PREDICT_NOTHING || form >= MTH_PREDICT_BF16_NEAREST;
}

/* The windows of a whole, one a stride. */
int mth_slice_probe_whole(struct mth_slice_search *s, uint32_t region);
/* The first windows of what is in no slice yet, in place of those of wholes. */
int mth_slice_probe_heads(struct mth_slice_search *s);
/* Puts probes into their buckets. */
int mth_slice_sort_probes(struct mth_slice_search *s);

#endif
