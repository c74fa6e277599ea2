/* Cutting families of tensors into bundles: pieces of the same elements side by side; see bundle.h. */
#include "pipeline/bundle.h"

/* The chunks of each kind of family in the bundle that is being filled: one for each member, behind one another. */
struct open_kinds {
    struct {
        uint32_t kind;
        size_t first;
    } of[MTH_MAX_BUNDLE_CHUNKS];
    size_t n;
    size_t n_alone; /* bytes of families that do not look at the base */
};

static const struct mth_layout_family *family_of(const struct mth_bundle_planner *planner)
{
    return &planner->relations->layout.families[planner->family];
}

/* Have all members of the planner's family one chunk? */
static bool share_chunk(const struct mth_bundle_planner *planner)
{
    const struct mth_layout_family *family = family_of(planner);
    return mth_family_is_gathered(&planner->relations->members[family->first_member], family->n_members);
}

/* A chunk for each member, if they do not share one. Those that are predicted come behind what they are predicted from. */
static size_t begin_chunks(struct mth_bundle_planner *planner, struct mth_bundle *bundle)
{
    const struct mth_layout_family *family = family_of(planner);
    size_t first = bundle->n_chunks;
    bool shared = share_chunk(planner);
    for (uint32_t m = 0; m < (shared ? 1 : family->n_members); m++) {
        const struct mth_related *member = &planner->relations->members[family->first_member + m];
        struct mth_bundle_chunk *chunk = &bundle->chunks[bundle->n_chunks++];
        bool has_reference;
        uint32_t spec = mth_bundle_planner_spec(planner, member->region, &has_reference);
        bool has_older = shared && mth_bundle_planner_older(planner, member->region) != MTH_NO_REFERENCE;
        uint8_t fallback = planner->fallbacks ? planner->fallbacks[member->region] : MTH_NO_FALLBACK;
        *chunk = (struct mth_bundle_chunk){.dtype = planner->map->regions[member->region].dtype,
                                           .spec = spec,
                                           .has_reference = has_reference,
                                           .has_older = has_older,
                                           .fallback = has_reference ? fallback : MTH_NO_FALLBACK,
                                           .may_split = shared,
                                           .first = MTH_NO_SEGMENT,
                                           .last = MTH_NO_SEGMENT};
        if (member->n_inputs == 0)
            continue;
        chunk->mode = MTH_CHUNK_PREDICTED;
        chunk->spec = member->spec;
        chunk->fallback = (uint8_t)mth_bundle_planner_alone(planner, member->region);
        chunk->predictor = member->predictor;
        chunk->n_inputs = member->n_inputs;
        chunk->has_reference = false;
        for (size_t i = 0; i < member->n_inputs; i++) {
            chunk->inputs[i] = (struct mth_bundle_input){.source = member->inputs[i].source,
                                                         .chunk = (uint32_t)first + member->inputs[i].member};
            chunk->has_reference |= member->inputs[i].source == MTH_FROM_BASE ||
                                    bundle->chunks[chunk->inputs[i].chunk].has_reference;
        }
        for (size_t i = 0; i < MTH_MAX_SETTINGS; i++)
            chunk->settings[i] = member->settings[i];
    }
    return first;
}

/* Where the base has the inputs of the segment that was just added. */
static int note_places(const struct mth_bundle_planner *planner, struct mth_bundle *bundle,
                       const struct mth_related *member, uint64_t offset)
{
    const struct mth_layout_family *family = family_of(planner);
    int status = mth_array_reserve(bundle->memory, &bundle->places, &bundle->places_capacity,
                                   bundle->n_segments * MTH_MAX_INPUTS, sizeof *bundle->places);
    if (status)
        return status;
    struct mth_input_place *places = &bundle->places[(bundle->n_segments - 1) * MTH_MAX_INPUTS];
    for (size_t i = 0; i < member->n_inputs; i++) {
        uint32_t source = planner->relations->members[family->first_member + member->inputs[i].member].region;
        if (member->inputs[i].source == MTH_FROM_BASE)
            places[i] = (struct mth_input_place){planner->references[source],
                                                 mth_bundle_planner_origin(planner, source) + offset};
    }
    return MTH_OK;
}

static int add_piece(struct mth_bundle_planner *planner, struct mth_bundle *bundle, size_t first, uint64_t n)
{
    const struct mth_layout_family *family = family_of(planner);
    bool shared = share_chunk(planner);
    int status = MTH_OK;
    for (uint32_t m = 0; !status && m < family->n_members; m++) {
        const struct mth_related *member = &planner->relations->members[family->first_member + m];
        const struct mth_region *region = &planner->map->regions[member->region];
        size_t index = shared ? first : first + m;
        struct mth_bundle_chunk *chunk = &bundle->chunks[index];
        uint32_t elem_bytes = planner->relations->layout.members[family->first_member + m].elem_bytes;
        uint64_t offset = planner->elem * elem_bytes;
        bool refers = member->n_inputs == 0 && chunk->has_reference;
        if (planner->row_elems)
            status = mth_bundle_add_piece(bundle, index, region, offset, (size_t)n * elem_bytes,
                                          planner->row_elems[member->region]);
        if (!status)
            status = mth_bundle_add_segment(
                bundle, chunk, (size_t)n * elem_bytes,
                refers ? planner->references[member->region] : MTH_NO_REFERENCE,
                refers ? mth_bundle_planner_origin(planner, member->region) + offset : 0);
        if (!status && shared)
            bundle->segments[chunk->last].older = mth_bundle_planner_older(planner, member->region);
        if (!status && member->n_inputs)
            status = note_places(planner, bundle, member, offset);
    }
    return status;
}

int mth_bundle_planner_next_of_families(struct mth_bundle_planner *planner, struct mth_bundle *bundle)
{
    struct open_kinds open = {.n = 0};
    int status = MTH_OK;
    while (!status && planner->family < planner->relations->layout.n_families) {
        const struct mth_layout_family *family = family_of(planner);
        uint64_t left = family->n_elems - planner->elem;
        uint64_t n = left < family->piece_elems ? left : family->piece_elems,
                 n_bytes = n * family->elem_bytes;
        uint32_t kind = planner->relations->kinds[planner->family];
        size_t k = 0;
        while (k < open.n && open.of[k].kind != kind)
            k++;
        bool refers =
            mth_family_refers(&planner->relations->members[family->first_member], family->n_members);
        if (bundle->n_bytes > 0 &&
            (bundle->n_bytes + n_bytes > planner->chunk_bytes ||
             (!refers && n_bytes > planner->alone_bytes - open.n_alone) ||
             bundle->n_segments + family->n_members > MTH_MAX_BUNDLE_SEGMENTS ||
             (k == open.n && bundle->n_chunks + family->n_members > MTH_MAX_BUNDLE_CHUNKS)))
            break;
        if (k == open.n) {
            open.of[open.n].kind = kind;
            open.of[open.n++].first = begin_chunks(planner, bundle);
        }
        status = add_piece(planner, bundle, open.of[k].first, n);
        planner->place += n_bytes;
        open.n_alone += refers ? 0 : n_bytes;
        planner->elem += n;
        if (planner->elem == family->n_elems) {
            planner->family++;
            planner->elem = 0;
        }
    }
    return status;
}
