/* Cutting a checkpoint into bundles; see bundle.h. */
#include "pipeline/bundle.h"

#include <string.h>

enum {
    MIN_ROOM_SHARE = 8, /* of a bundle, that is worth a piece of a tensor that does not fit it whole */
    CUT_ALIGN = 512     /* whole elements */
};

void mth_bundle_free(struct mth_bundle *bundle)
{
    mth_memory_free(bundle->memory, bundle->segments);
    mth_memory_free(bundle->memory, bundle->pieces);
    mth_memory_free(bundle->memory, bundle->places);
    bundle->segments = NULL;
    bundle->pieces = NULL;
    bundle->places = NULL;
    bundle->places_capacity = 0;
    bundle->n_segments = bundle->segments_capacity = 0;
    bundle->n_pieces = bundle->pieces_capacity = 0;
}

void mth_bundle_planner_init(struct mth_bundle_planner *planner, const struct mth_region_map *map,
                             const struct mth_pipeline *asked,
                             const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS], size_t chunk_bytes,
                             size_t alone_bytes, size_t moments_bytes)
{
    *planner = (struct mth_bundle_planner){
        .map = map, .chunk_bytes = chunk_bytes, .alone_bytes = alone_bytes, .moments_bytes = moments_bytes};
    memcpy(planner->specs, specs, sizeof planner->specs);
    mth_pipeline_guards(asked, planner->guards);
    memset(planner->spec_of, 0xff, sizeof planner->spec_of);
}

void mth_bundle_planner_rewind(struct mth_bundle_planner *planner)
{
    planner->region = planner->family = 0;
    planner->done = planner->elem = planner->place = 0;
}

bool mth_bundle_planner_may_refer(const struct mth_bundle_planner *planner, enum mth_dtype dtype)
{
    uint32_t candidates[MTH_MAX_PLAN_CANDIDATES];
    size_t n = mth_plan_candidates(planner->specs, planner->guards, dtype, MTH_N_CLASSES, true, candidates);
    for (size_t i = 0; i < n; i++) {
        if (planner->specs[candidates[i]]->nodes[0].wants_reference)
            return true;
    }
    return false;
}

uint32_t mth_bundle_planner_spec(struct mth_bundle_planner *planner, size_t region, bool *has_reference)
{
    enum mth_dtype dtype = planner->map->regions[region].dtype;
    bool matched = planner->references && planner->references[region] != MTH_NO_REFERENCE;
    uint32_t spec;
    if (planner->choices) {
        spec = planner->choices[region];
    } else {
        /* Asked once a kind, not once a tensor. */
        uint32_t candidates[MTH_MAX_PLAN_CANDIDATES], *known = &planner->spec_of[dtype][matched];
        if (*known == UINT32_MAX) {
            mth_plan_candidates(planner->specs, planner->guards, dtype,
                                mth_bundle_planner_class(planner, region), matched, candidates);
            *known = candidates[0];
        }
        spec = *known;
    }
    *has_reference = matched && planner->specs[spec]->nodes[0].wants_reference;
    return spec;
}

uint32_t mth_bundle_planner_older(struct mth_bundle_planner *planner, size_t region)
{
    bool has_reference;
    if (!planner->older)
        return MTH_NO_REFERENCE;
    uint32_t spec = mth_bundle_planner_spec(planner, region, &has_reference);
    const struct mth_codec *codec = planner->specs[spec]->nodes[0].codec;
    bool takes = has_reference && codec && codec->flags & MTH_CODEC_TAKES_OLDER;
    return takes ? planner->older[region] : MTH_NO_REFERENCE;
}

uint32_t mth_bundle_planner_alone(const struct mth_bundle_planner *planner, size_t region)
{
    uint32_t candidates[MTH_MAX_PLAN_CANDIDATES];
    size_t n = mth_plan_candidates(planner->specs, planner->guards, planner->map->regions[region].dtype,
                                   mth_bundle_planner_class(planner, region), false, candidates);
    for (size_t i = 0; i < n; i++) {
        if (!planner->specs[candidates[i]]->nodes[0].wants_reference)
            return candidates[i];
    }
    return candidates[0];
}

/* The chunk of each kind in the bundle that is being filled; 0: none yet, else its number and 1. */
struct open_chunks {
    /* What may do better without its base is apart from what does not, and what has an older one from what has none. */
    uint16_t chunk[MTH_N_DTYPES][MTH_N_PLAN_SPECS][3][2];
    size_t n_alone; /* bytes without a reference */
};

static uint8_t fallback_of(const struct mth_bundle_planner *planner, bool has_reference)
{
    return planner->fallbacks && has_reference ? planner->fallbacks[planner->region] : MTH_NO_FALLBACK;
}

int mth_bundle_add_segment(struct mth_bundle *bundle, struct mth_bundle_chunk *chunk, size_t n,
                           uint32_t reference, uint64_t reference_offset)
{
    uint32_t index = (uint32_t)bundle->n_segments;
    int status = mth_array_reserve(bundle->memory, &bundle->segments, &bundle->segments_capacity,
                                   bundle->n_segments + 1, sizeof *bundle->segments);
    if (status)
        return status;
    bundle->segments[bundle->n_segments++] =
        (struct mth_bundle_segment){.at = (uint32_t)bundle->n_bytes,
                                    .n_bytes = (uint32_t)n,
                                    .next = MTH_NO_SEGMENT,
                                    .reference = reference,
                                    .reference_offset = reference_offset};
    if (chunk->last != MTH_NO_SEGMENT)
        bundle->segments[chunk->last].next = index;
    else
        chunk->first = index;
    chunk->last = index;
    chunk->n_segments++;
    chunk->n_bytes += n;
    bundle->n_bytes += n;
    return MTH_OK;
}

/* Puts n bytes of the planner's region behind what the bundle holds. */
static int add_piece(struct mth_bundle_planner *planner, struct mth_bundle *bundle, struct open_chunks *open,
                     size_t n)
{
    const struct mth_region *region = &planner->map->regions[planner->region];
    bool has_reference;
    uint32_t spec = mth_bundle_planner_spec(planner, planner->region, &has_reference);
    open->n_alone += has_reference ? 0 : n;
    uint8_t fallback = fallback_of(planner, has_reference);
    uint32_t older = mth_bundle_planner_older(planner, planner->region);
    bool has_older = older != MTH_NO_REFERENCE;
    uint16_t *slot =
        &open->chunk[region->dtype][spec][has_reference + (fallback != MTH_NO_FALLBACK)][has_older];
    uint32_t at = (uint32_t)bundle->n_bytes;
    if (*slot == 0) {
        bundle->chunks[bundle->n_chunks++] = (struct mth_bundle_chunk){.dtype = region->dtype,
                                                                       .spec = spec,
                                                                       .has_reference = has_reference,
                                                                       .has_older = has_older,
                                                                       .fallback = fallback,
                                                                       .may_split = true,
                                                                       .first = MTH_NO_SEGMENT,
                                                                       .last = MTH_NO_SEGMENT};
        *slot = (uint16_t)bundle->n_chunks;
    }
    struct mth_bundle_chunk *chunk = &bundle->chunks[*slot - 1];
    struct mth_bundle_segment *last = chunk->last == MTH_NO_SEGMENT ? NULL : &bundle->segments[chunk->last];
    if (planner->row_elems) {
        int status = mth_bundle_add_piece(bundle, *slot - 1u, region, planner->done, n,
                                          planner->row_elems[planner->region]);
        if (status)
            return status;
    }
    /* Neighbours are one segment, unless each has a reference of its own. */
    if (last && !has_reference && last->at + last->n_bytes == at) {
        last->n_bytes += (uint32_t)n;
        chunk->n_bytes += n;
        bundle->n_bytes += n;
        return MTH_OK;
    }
    int status = mth_bundle_add_segment(
        bundle, chunk, n, has_reference ? planner->references[planner->region] : MTH_NO_REFERENCE,
        has_reference ? mth_bundle_planner_origin(planner, planner->region) + planner->done : 0);
    if (!status)
        bundle->segments[chunk->last].older = older;
    return status;
}

/* Families stand behind all else. */
static void skip_members(struct mth_bundle_planner *planner)
{
    while (planner->relations && planner->region < planner->map->n_regions &&
           planner->relations->is_member[planner->region])
        planner->region++;
}

int mth_bundle_planner_next(struct mth_bundle_planner *planner, struct mth_bundle *bundle)
{
    struct open_chunks open = {0};
    int status = MTH_OK;
    bundle->n_bytes = 0;
    bundle->n_chunks = 0;
    bundle->n_segments = 0;
    bundle->n_pieces = 0;
    bundle->offset = planner->place;
    skip_members(planner);
    if (planner->region == planner->map->n_regions)
        return planner->relations ? mth_bundle_planner_next_of_families(planner, bundle) : MTH_OK;
    while (!status && planner->region < planner->map->n_regions) {
        uint64_t left = planner->map->regions[planner->region].n_bytes - planner->done;
        bool has_reference;
        mth_bundle_planner_spec(planner, planner->region, &has_reference);
        size_t whole = has_reference ? planner->chunk_bytes : planner->alone_bytes;
        size_t n = left >= whole ? whole : (size_t)left, room = planner->chunk_bytes - bundle->n_bytes;
        /* Where the base is of use a chunk has tables and states beside what is left of it, so that room is filled up. */
        if (has_reference && fallback_of(planner, has_reference) == MTH_NO_FALLBACK && n > room &&
            room >= planner->chunk_bytes / MIN_ROOM_SHARE)
            n = room / CUT_ALIGN * CUT_ALIGN;
        /* Else a full piece stands alone; smaller ones share until the next would not fit. */
        if (bundle->n_bytes > 0 && (n > room || bundle->n_segments == MTH_MAX_BUNDLE_SEGMENTS ||
                                    (!has_reference && n > planner->alone_bytes - open.n_alone)))
            break;
        status = add_piece(planner, bundle, &open, n);
        planner->done += n;
        planner->place += n;
        if (n == left) {
            planner->region++;
            planner->done = 0;
            skip_members(planner);
        }
    }
    return status;
}

bool mth_bundle_is_flat(const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk)
{
    const struct mth_bundle_segment *segments = bundle->segments;
    uint32_t at = segments[chunk->first].at;
    for (uint32_t i = chunk->first; i != MTH_NO_SEGMENT; i = segments[i].next) {
        if (segments[i].at != at)
            return false;
        at += segments[i].n_bytes;
    }
    return true;
}

int mth_bundle_gather(const struct mth_bundle *bundle, const struct mth_bundle_chunk *chunk,
                      const uint8_t *bytes, uint8_t **scratch, size_t *capacity, struct mth_bytes *out)
{
    const struct mth_bundle_segment *segments = bundle->segments;
    if (chunk->view) {
        *out = (struct mth_bytes){chunk->view, chunk->n_bytes};
        return MTH_OK;
    }
    if (mth_bundle_is_flat(bundle, chunk)) {
        *out = (struct mth_bytes){bytes + segments[chunk->first].at, chunk->n_bytes};
        return MTH_OK;
    }
    int status = mth_array_reserve(bundle->memory, scratch, capacity, chunk->n_bytes, 1);
    if (status)
        return status;
    uint8_t *flat = *scratch;
    for (uint32_t i = chunk->first; i != MTH_NO_SEGMENT; i = segments[i].next) {
        memcpy(flat, bytes + segments[i].at, segments[i].n_bytes);
        flat += segments[i].n_bytes;
    }
    *out = (struct mth_bytes){*scratch, chunk->n_bytes};
    return MTH_OK;
}
