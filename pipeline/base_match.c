/* Pairing a checkpoint with its base; see base_match.h. */
#include "pipeline/base_match.h"

#include "formats/region_split.h"
#include "transforms/predictors/float_convert.h"

#include <string.h>

/* A counterpart is of use if the plan can refer to it: elements of the same dtype, or of one that is converted. */
static bool is_usable(const struct mth_region_map *base, const struct mth_region *region,
                      const struct mth_alignment *alignment)
{
    enum mth_dtype of = base->regions[alignment->base_region].dtype;
    return alignment->kind == MTH_ALIGNED_CONVERTED ? mth_float_converts(of, region->dtype)
                                                    : of == region->dtype;
}

static void count(struct mth_paired *paired, enum mth_alignment_kind kind)
{
    uint64_t *const counts[MTH_N_ALIGNED_KINDS] = {
        [MTH_ALIGNED_NOT] = &paired->n_new,         [MTH_ALIGNED_SAME] = &paired->n_same,
        [MTH_ALIGNED_RENAMED] = &paired->n_renamed, [MTH_ALIGNED_RESHAPED] = &paired->n_reshaped,
        [MTH_ALIGNED_RESIZED] = &paired->n_resized, [MTH_ALIGNED_CONVERTED] = &paired->n_converted,
    };
    ++*counts[kind];
}

/* Cuts regions of which only the front has a counterpart. */
static int split(struct mth_bundle_planner *planner, const struct mth_alignment *alignments,
                 struct mth_base_match *match, struct mth_region_cut *cuts, uint32_t *first)
{
    const struct mth_region_map *map = planner->map;
    size_t n_cuts = 0;
    for (size_t i = 0; i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        uint64_t n_bytes = alignments[i].n_elems * mth_dtype_lane_bytes(region->dtype);
        if (alignments[i].kind != MTH_ALIGNED_NOT && n_bytes < region->n_bytes)
            cuts[n_cuts++] = (struct mth_region_cut){(uint32_t)i, n_bytes};
        first[i] = (uint32_t)i;
    }
    int status = n_cuts ? mth_region_split(map, cuts, n_cuts, &match->split, first) : MTH_OK;
    if (!status && n_cuts)
        planner->map = &match->split;
    return status;
}

static void note_references(struct mth_bundle_planner *planner, const struct mth_region_map *map,
                            const struct mth_region_map *base, const struct mth_alignment *alignments,
                            const uint32_t *first, struct mth_base_match *match)
{
    bool may_refer[MTH_N_DTYPES]; /* asked once a dtype, not once a tensor */
    struct mth_base_use *use = &match->use;
    for (size_t i = 0; i < MTH_N_DTYPES; i++)
        may_refer[i] = mth_bundle_planner_may_refer(planner, (enum mth_dtype)i);
    for (size_t i = 0; i < planner->map->n_regions; i++)
        match->references[i] = MTH_NO_REFERENCE;
    for (size_t i = 0; i < map->n_regions; i++) {
        if (alignments[i].kind == MTH_ALIGNED_NOT || !may_refer[map->regions[i].dtype])
            continue;
        const struct mth_region *of = &base->regions[alignments[i].base_region];
        match->references[first[i]] = (uint32_t)use->n_references;
        use->places[use->n_references] =
            (struct mth_base_place){alignments[i].base_region, alignments[i].base_tensor};
        match->reader.dtypes[use->n_references] = (uint8_t)of->dtype;
        match->reader.offsets[use->n_references++] = of->offset;
    }
    match->reader.n_references = match->reader.n_of_base = use->n_references;
}

int mth_base_align(const struct mth_source *input, const struct mth_region_map *map,
                   const struct mth_stream_base *base, struct mth_alignment *alignments,
                   struct mth_paired *paired, struct mth_error *err)
{
    int status = mth_region_align(map, input, base->map, base->source, mth_float_converts, alignments, err);
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        bool is_wanted = alignments[i].kind != MTH_ALIGNED_OPAQUE || !base->tensors_alone;
        if (alignments[i].kind != MTH_ALIGNED_NOT &&
            !(is_wanted && is_usable(base->map, &map->regions[i], &alignments[i])))
            alignments[i].kind = MTH_ALIGNED_NOT;
        if (map->regions[i].dtype != MTH_DTYPE_OPAQUE)
            count(paired, alignments[i].kind);
    }
    return status;
}

/* Does a region lie whole in a base, in its own dtype? */
static bool is_whole(const struct mth_region *region, const struct mth_alignment *alignment)
{
    return alignment->kind != MTH_ALIGNED_NOT && alignment->kind != MTH_ALIGNED_CONVERTED &&
           alignment->n_elems * mth_dtype_lane_bytes(region->dtype) == region->n_bytes;
}

/* What of the older base is looked at beside the base: it is numbered behind all of that. */
static int note_older(const struct mth_bundle_planner *planner, const struct mth_source *input,
                      const struct mth_region_map *map, const struct mth_stream_base *base,
                      const struct mth_alignment *alignments, const uint32_t *first,
                      struct mth_memory *memory, struct mth_base_match *match, struct mth_error *err)
{
    struct mth_base_use *use = &match->older_use;
    const struct mth_stream_base *older = base->older;
    size_t n_regions = planner->map->n_regions;
    struct mth_paired paired = {0};
    struct mth_alignment *of_older = mth_memory_calloc(memory, map->n_regions, sizeof *of_older);
    *use = (struct mth_base_use){
        .map = older->map, .n_bytes = older->source->n_bytes, .has_digest = older->has_digest};
    memcpy(use->digest.bytes, older->digest, sizeof use->digest.bytes);
    use->places = mth_memory_alloc(memory, map->n_regions * sizeof *use->places);
    match->older = mth_memory_alloc(memory, n_regions * sizeof *match->older);
    match->reader.older = older->source;
    int status = of_older && use->places && match->older ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status)
        status = mth_base_align(input, map, older, of_older, &paired, err);
    for (size_t i = 0; !status && i < n_regions; i++)
        match->older[i] = MTH_NO_REFERENCE;
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        if (match->references[first[i]] == MTH_NO_REFERENCE || !is_whole(region, &alignments[i]) ||
            !is_whole(region, &of_older[i]))
            continue;
        const struct mth_region *of = &older->map->regions[of_older[i].base_region];
        size_t n = match->use.n_references + use->n_references;
        match->older[first[i]] = (uint32_t)n;
        use->places[use->n_references++] =
            (struct mth_base_place){of_older[i].base_region, of_older[i].base_tensor};
        match->reader.dtypes[n] = (uint8_t)of->dtype;
        match->reader.offsets[n] = of->offset;
    }
    match->reader.n_references = match->use.n_references + use->n_references;
    mth_memory_free(memory, of_older);
    return status;
}

/* The reason, where reading did not give one. */
static int blame(int status, const struct mth_error *inner, struct mth_error *err)
{
    return inner->status ? mth_error_set(err, inner->status, "%s", inner->text)
                         : mth_error_set(err, status, "pairing the tensors with the base failed: %s",
                                         mth_status_text(status));
}

int mth_pair(const struct mth_source *input, const struct mth_region_map *map,
             const struct mth_stream_base *base, struct mth_paired *paired, struct mth_error *err)
{
    struct mth_error inner = {0};
    struct mth_alignment *alignments = mth_memory_calloc(map->memory, map->n_regions, sizeof *alignments);
    *paired = (struct mth_paired){0};
    int status =
        alignments ? mth_base_align(input, map, base, alignments, paired, &inner) : MTH_ERR_NO_MEMORY;
    mth_memory_free(map->memory, alignments);
    return status ? blame(status, &inner, err) : MTH_OK;
}

int mth_base_match(struct mth_bundle_planner *planner, const struct mth_source *input,
                   const struct mth_stream_base *base, struct mth_memory *memory,
                   struct mth_base_match *match, struct mth_error *err)
{
    const struct mth_region_map *map = planner->map;
    size_t n = map->n_regions;
    struct mth_error inner = {0};
    struct mth_alignment *alignments = mth_memory_calloc(memory, n, sizeof *alignments);
    struct mth_region_cut *cuts = mth_memory_alloc(memory, n * sizeof *cuts);
    uint32_t *first = mth_memory_alloc(memory, (n + 1) * sizeof *first);
    match->reader = (struct mth_base_reader){.source = base->source, .memory = memory};
    size_t n_most = base->older ? 2 * n : n;
    match->reader.offsets = mth_memory_alloc(memory, n_most * sizeof *match->reader.offsets);
    match->reader.dtypes = mth_memory_alloc(memory, n_most);
    match->use = (struct mth_base_use){
        .map = base->map, .n_bytes = base->source->n_bytes, .has_digest = base->has_digest};
    memcpy(match->use.digest.bytes, base->digest, sizeof match->use.digest.bytes);
    match->use.places = mth_memory_alloc(memory, n * sizeof *match->use.places);
    bool has_room =
        alignments && cuts && first && match->reader.offsets && match->reader.dtypes && match->use.places;
    int status = has_room && n < MTH_NO_REFERENCE / 2 ? MTH_OK : has_room ? MTH_ERR_LIMIT : MTH_ERR_NO_MEMORY;
    if (!status)
        status = mth_base_align(input, map, base, alignments, &match->paired, &inner);
    if (!status)
        status = split(planner, alignments, match, cuts, first);
    if (!status) {
        match->references = mth_memory_alloc(memory, planner->map->n_regions * sizeof *match->references);
        status = match->references ? MTH_OK : MTH_ERR_NO_MEMORY;
    }
    if (!status)
        note_references(planner, map, base->map, alignments, first, match);
    if (!status && base->older && base->older->map)
        status = note_older(planner, input, map, base, alignments, first, memory, match, &inner);
    mth_memory_free(memory, alignments);
    mth_memory_free(memory, cuts);
    mth_memory_free(memory, first);
    if (status)
        return blame(status, &inner, err);
    /* A base of another model is a mistake that must not pass as a checkpoint coded alone. */
    if (mth_paired_of(&match->paired) == 0 && match->paired.n_new > 0)
        return mth_error_set(
            err, MTH_ERR_BASE,
            "the base does not match: no tensor has a counterpart there, by its name or by its content");
    return MTH_OK;
}

/* Of one base; *n counts the references of the reader that stay. */
static void prune(uint32_t *references, struct mth_base_use *use, size_t first, const bool *needed,
                  size_t n_regions, struct mth_base_reader *reader, size_t *n)
{
    size_t n_before = *n;
    uint32_t last = MTH_NO_REFERENCE;
    /* References are numbered in the order of regions; neighbours that are parts of one tensor have the same. */
    for (size_t i = 0; i < n_regions; i++) {
        uint32_t old = references[i];
        if (old == MTH_NO_REFERENCE)
            continue;
        bool is_new = needed[i] && old != last;
        references[i] = needed[i] ? (uint32_t)(*n - !is_new) : MTH_NO_REFERENCE;
        if (!is_new)
            continue;
        last = old;
        use->places[*n - n_before] = use->places[old - first];
        reader->dtypes[*n] = reader->dtypes[old];
        reader->offsets[(*n)++] = reader->offsets[old];
    }
    use->n_references = *n - n_before;
}

void mth_base_match_prune(struct mth_base_match *match, const bool *needed, size_t n_regions)
{
    size_t n = 0, n_of_base = match->reader.n_of_base;
    prune(match->references, &match->use, 0, needed, n_regions, &match->reader, &n);
    match->reader.n_of_base = n;
    if (match->older)
        prune(match->older, &match->older_use, n_of_base, needed, n_regions, &match->reader, &n);
    match->reader.n_references = n;
}

void mth_base_match_free(struct mth_base_match *match, struct mth_memory *memory)
{
    mth_region_split_free(&match->split);
    mth_memory_free(memory, match->references);
    mth_memory_free(memory, match->use.places);
    mth_memory_free(memory, match->older);
    mth_memory_free(memory, match->older_use.places);
    mth_base_reader_free(&match->reader);
}
