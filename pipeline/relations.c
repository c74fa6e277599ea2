/* Families of tensors; see relations.h. */
#include "pipeline/relations.h"

#include "base/checked.h"
#include "pipeline/bundle.h"

#include <string.h>

enum { MAX_KINDS = 64 };

void mth_relations_free(struct mth_relations *relations)
{
    struct mth_memory *memory = relations->layout.memory;
    if (!memory)
        return;
    mth_layout_free(&relations->layout);
    mth_memory_free(memory, relations->members);
    mth_memory_free(memory, relations->kinds);
    mth_memory_free(memory, relations->is_member);
    *relations = (struct mth_relations){.layout.memory = memory};
}

static bool same_kind(const struct mth_region_map *map, const struct mth_related *a,
                      const struct mth_related *b)
{
    return map->regions[a->region].dtype == map->regions[b->region].dtype && a->predictor == b->predictor &&
           a->n_inputs == b->n_inputs && a->spec == b->spec &&
           memcmp(a->inputs, b->inputs, sizeof a->inputs) == 0 &&
           memcmp(a->settings, b->settings, sizeof a->settings) == 0;
}

/* The kind of a family like one before, or the next number. */
static uint32_t kind_of(const struct mth_relations *relations, const struct mth_region_map *map,
                        const struct mth_related *members, size_t n)
{
    const struct mth_layout *layout = &relations->layout;
    bool is_gathered = mth_family_is_gathered(members, n);
    for (size_t f = layout->n_families; f-- > 0;) {
        const struct mth_layout_family *family = &layout->families[f];
        const struct mth_related *others = &relations->members[family->first_member];
        size_t i = 0;
        if (mth_family_is_gathered(others, family->n_members) != is_gathered)
            continue;
        while ((is_gathered || family->n_members == n) && i < n &&
               same_kind(map, &others[is_gathered ? 0 : i], &members[i]))
            i++;
        if (i == n)
            return relations->kinds[f];
        /* Far back nothing is looked for: neighbours are alike. */
        if (layout->n_families - f == MAX_KINDS)
            break;
    }
    return relations->n_kinds;
}

uint64_t mth_counterpart_offset(const struct mth_counterparts *base, uint32_t region)
{
    return base->reader->offsets[base->references[region]] + (base->origins ? base->origins[region] : 0);
}

bool mth_family_refers(const struct mth_related *members, size_t n)
{
    bool refers = false;
    for (size_t i = 0; i < n; i++) {
        refers |= members[i].n_inputs == 0 && members[i].settings[0];
        for (size_t k = 0; k < members[i].n_inputs; k++)
            refers |= members[i].inputs[k].source == MTH_FROM_BASE;
    }
    return refers;
}

bool mth_family_is_gathered(const struct mth_related *members, size_t n)
{
    size_t n_inputs = 0;
    for (size_t i = 0; i < n; i++)
        n_inputs += members[i].n_inputs;
    return n_inputs == 0;
}

/* The next family of a layout. */
static int add(struct mth_relations *relations, const struct mth_region_map *map,
               const struct mth_related *members, size_t n, size_t chunk_bytes)
{
    struct mth_layout *layout = &relations->layout;
    size_t elem_bytes = 0, before = layout->n_members;
    for (size_t i = 0; i < n; i++)
        elem_bytes += mth_dtype_lane_bytes(map->regions[members[i].region].dtype);
    uint64_t n_elems =
        map->regions[members[0].region].n_bytes / mth_dtype_lane_bytes(map->regions[members[0].region].dtype);
    /* Pieces of whole cache lines, as long as all of them together fit a chunk. */
    size_t piece_elems = chunk_bytes / elem_bytes / 1024 * 1024;
    if (piece_elems < MTH_MIN_PIECE_ELEMS)
        return MTH_OK;
    uint64_t largest = (n_elems < piece_elems ? n_elems : piece_elems) * elem_bytes;
    if (largest > relations->largest_bytes)
        relations->largest_bytes = (size_t)largest;
    uint32_t kind = kind_of(relations, map, members, n);
    int status = mth_array_reserve(layout->memory, &relations->members, &relations->members_capacity,
                                   before + n, sizeof *relations->members);
    if (!status)
        status = mth_array_reserve(layout->memory, &relations->kinds, &relations->kinds_capacity,
                                   layout->n_families + 1, sizeof *relations->kinds);
    if (!status)
        status = mth_layout_add_family(layout, n_elems, (uint32_t)piece_elems);
    for (size_t i = 0; !status && i < n; i++) {
        const struct mth_region *region = &map->regions[members[i].region];
        status = mth_layout_add_member(layout, region->offset, (uint32_t)mth_dtype_lane_bytes(region->dtype));
        relations->members[before + i] = members[i];
        relations->is_member[members[i].region] = true;
    }
    if (status)
        return status;
    relations->kinds[layout->n_families - 1] = kind;
    relations->n_kinds += kind == relations->n_kinds;
    return MTH_OK;
}

/* Has it moments of gradients of any bits? Then each of its pieces has many tables. */
static bool has_moments(const struct mth_bundle_planner *planner, const struct mth_related *members, size_t n)
{
    const struct mth_pipeline *const *specs = planner->specs;
    for (size_t i = 0; i < n; i++) {
        if (members[i].n_inputs && members[i].predictor == MTH_PREDICT_NOTHING &&
            specs[members[i].spec]->nodes[0].transform == specs[MTH_PLAN_MOMENT32]->nodes[0].transform)
            return true;
    }
    return false;
}

static bool is_rounded_by_chance(const struct mth_related *member)
{
    return member->n_inputs &&
           (member->predictor == MTH_PREDICT_BF16_CHANCE || member->predictor == MTH_PREDICT_F16_CHANCE);
}

/* Has it copies that were rounded by chance? Their elements take less than a bit, beside which a piece's states count. */
static bool has_chances(const struct mth_related *members, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_rounded_by_chance(&members[i]))
            return true;
    return false;
}

/* The most that a piece of all members may have. */
static size_t piece_bytes(const struct mth_bundle_planner *planner, const struct mth_related *members,
                          size_t n)
{
    if (has_chances(members, n) || has_moments(planner, members, n))
        return planner->moments_bytes;
    return mth_family_refers(members, n) ? planner->chunk_bytes : planner->alone_bytes;
}

/* What codes steps from a prediction: where it is a candidate as well, that; where it does not take a dtype, what does. */
static uint8_t spec_of_steps(const struct mth_bundle_planner *planner, size_t region)
{
    enum mth_dtype dtype = planner->map->regions[region].dtype;
    uint8_t spec = 0;
    if (!mth_pipeline_accepts(planner->specs[MTH_PLAN_STEPS], mth_symbol_type_of(dtype)))
        return (uint8_t)mth_bundle_planner_alone(planner, region);
    while (planner->specs[spec] != planner->specs[MTH_PLAN_STEPS])
        spec++;
    return spec;
}

/* What codes which of two neighbours an element is: where it is a candidate as well, that. */
static uint8_t spec_of_chances(const struct mth_bundle_planner *planner)
{
    uint8_t spec = 0;
    while (planner->specs[spec] != planner->specs[MTH_PLAN_CHANCES])
        spec++;
    return spec;
}

int mth_relations_settle(struct mth_relations *relations, const struct mth_families *families,
                         struct mth_bundle_planner *planner)
{
    const struct mth_region_map *map = families->map;
    int status = MTH_OK;
    relations->layout.memory = families->memory;
    relations->is_member = mth_memory_calloc(families->memory, map->n_regions, sizeof *relations->is_member);
    if (!relations->is_member)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; !status && i < families->n; i++) {
        struct mth_growing_family *family = &families->of[i];
        for (size_t m = 0; m < family->n; m++) {
            struct mth_related *member = &family->members[m];
            bool has_reference;
            if (member->n_inputs) {
                if (is_rounded_by_chance(member))
                    member->spec = spec_of_chances(planner);
                else if (member->predictor != MTH_PREDICT_NOTHING)
                    member->spec = spec_of_steps(planner, member->region);
                continue;
            }
            member->spec = (uint8_t)mth_bundle_planner_spec(planner, member->region, &has_reference);
            member->settings[0] = has_reference;
        }
        if (family->n > 1)
            status = add(relations, map, family->members, family->n,
                         piece_bytes(planner, family->members, family->n));
    }
    return status ? status : mth_layout_finish(&relations->layout, map->n_bytes);
}

int mth_families_init(struct mth_families *families, const struct mth_region_map *map,
                      struct mth_memory *memory)
{
    *families = (struct mth_families){.memory = memory, .map = map};
    families->regions = mth_memory_calloc(memory, map->n_regions, sizeof *families->regions);
    return families->regions ? MTH_OK : MTH_ERR_NO_MEMORY;
}

void mth_families_free(struct mth_families *families)
{
    mth_memory_free(families->memory, families->of);
    mth_memory_free(families->memory, families->regions);
}

bool mth_families_predict(const struct mth_families *families, size_t region)
{
    uint32_t family = families->regions[region].family;
    return family && families->of[family - 1].members[families->regions[region].member].n_inputs > 0;
}

int mth_families_begin(struct mth_families *families, const struct mth_related *members, size_t n)
{
    int status = mth_array_reserve(families->memory, &families->of, &families->capacity, families->n + 1,
                                   sizeof *families->of);
    if (status)
        return status;
    families->of[families->n] = (struct mth_growing_family){.n = n};
    memcpy(families->of[families->n++].members, members, n * sizeof *members);
    for (size_t i = 0; i < n; i++) {
        families->regions[members[i].region].family = (uint32_t)families->n;
        families->regions[members[i].region].member = (uint8_t)i;
    }
    return MTH_OK;
}

/* The next member of a region's family, which begins where there is none; NULL in member where that is full. */
static int next_member(struct mth_families *families, uint32_t region, uint32_t joining,
                       struct mth_related **member)
{
    *member = NULL;
    if (families->regions[region].family == 0) {
        int status = mth_families_begin(families, &(struct mth_related){.region = region}, 1);
        if (status)
            return status;
    }
    struct mth_growing_family *family = &families->of[families->regions[region].family - 1];
    if (family->n == MTH_MAX_FAMILY_MEMBERS)
        return MTH_OK;
    *member = &family->members[family->n];
    families->regions[joining].family = families->regions[region].family;
    families->regions[joining].member = (uint8_t)family->n++;
    return MTH_OK;
}

int mth_families_join(struct mth_families *families, uint32_t region, uint32_t copy, uint8_t predictor)
{
    struct mth_related *member;
    int status = next_member(families, region, copy, &member);
    if (status || !member)
        return status;
    *member = (struct mth_related){.region = copy, .predictor = predictor, .n_inputs = 1};
    member->inputs[0].source = MTH_FROM_SELF;
    member->inputs[0].member = families->regions[region].member;
    families->regions[copy].is_copy = true;
    return MTH_OK;
}

int mth_families_follow(struct mth_families *families, uint32_t region, const struct mth_related *follower)
{
    struct mth_related *member;
    int status = next_member(families, region, follower->region, &member);
    if (status || !member)
        return status;
    *member = *follower;
    member->inputs[0].source = MTH_FROM_BASE;
    member->inputs[0].member = families->regions[follower->region].member;
    member->inputs[1].source = MTH_FROM_SELF;
    member->inputs[1].member = families->regions[region].member;
    return MTH_OK;
}
