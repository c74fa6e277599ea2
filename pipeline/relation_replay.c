/* Steps of an optimizer: which parameters made some since the base, and what follows from it; see relations.h. */
#include "pipeline/bundle.h"
#include "pipeline/replay.h"

#include "base/checked.h"
#include "formats/tensor_class.h"

#include <string.h>

enum { LARGE_ELEMS = 4096, MAX_STEPS = 1 << 20, N_TURNS = 3 };

struct search {
    struct mth_families *families;
    const struct mth_region_map *map;
    const struct mth_source *input;
    const struct mth_base_use *use;
    const struct mth_counterparts *base;
    struct mth_replay *replay;
    struct mth_error *err;
    struct mth_replay_scale scale;
    struct mth_replay_guesses guesses;
    struct mth_replay_parameter parameter;
};

/* ---- which tensors they are ---- */

static bool is_plain(const struct search *s, uint32_t index, uint64_t n_elems)
{
    const struct mth_region *region = &s->map->regions[index];
    return region->dtype == MTH_DTYPE_F32 && region->n_bytes == 4 * n_elems && region->flags == 0;
}

/* The fp32 weights of a parameter: itself, or what it is the rounding of. */
static uint32_t masters_of(const struct search *s, uint32_t region)
{
    const struct mth_families *families = s->families;
    if (s->map->regions[region].dtype == MTH_DTYPE_F32 || !families->regions[region].is_copy)
        return region;
    const struct mth_growing_family *family = &families->of[families->regions[region].family - 1];
    const struct mth_related *copy = &family->members[families->regions[region].member];
    return family->members[copy->inputs[0].member].region;
}

/* A tensor that spans its region, whose bytes the base has as well. */
static bool is_known(const struct search *s, const struct mth_tensor *tensor)
{
    return tensor->region != MTH_NO_REGION && is_plain(s, tensor->region, tensor->n_elems) &&
           s->base->references[tensor->region] != MTH_NO_REFERENCE;
}

/* How many steps the parameter made since the base; 0: none, or nobody knows. */
static int find_steps(struct search *s, const struct mth_tensor *step, struct mth_error *err)
{
    const struct mth_region *region = step->region == MTH_NO_REGION ? NULL : &s->map->regions[step->region];
    uint32_t reference = region ? s->base->references[step->region] : MTH_NO_REFERENCE;
    struct mth_replay_parameter *p = &s->parameter;
    double before = -1;
    p->n_steps = 0;
    if (!region || region->flags || reference == MTH_NO_REFERENCE)
        return MTH_OK;
    int status = mth_optimizer_read_step(s->input, step, region->offset + step->offset_bytes, &p->step, err);
    if (!status)
        status = mth_optimizer_read_step(s->base->reader->source, step,
                                         mth_counterpart_offset(s->base, step->region) + step->offset_bytes,
                                         &before, err);
    if (!status && before >= 0 && p->step > before && p->step - before <= MAX_STEPS)
        p->n_steps = p->step - before;
    return status;
}

static int read_sample(const struct mth_source *source, uint64_t offset, const struct mth_replay_parameter *p,
                       uint32_t *sample, struct mth_error *err)
{
    uint8_t bytes[4 * MTH_REPLAY_PIECE_ELEMS];
    for (uint64_t i = 0; i < MTH_REPLAY_PIECES; i++) {
        uint64_t n = p->n_elems < MTH_REPLAY_PIECE_ELEMS ? p->n_elems : MTH_REPLAY_PIECE_ELEMS;
        uint64_t at = (p->n_elems - n) / (MTH_REPLAY_PIECES - 1) * i;
        int status = mth_source_read(source, offset + 4 * at, bytes, (size_t)(4 * n), err);
        if (status)
            return status;
        for (size_t k = 0; k < n; k++)
            sample[i * MTH_REPLAY_PIECE_ELEMS + k] = mth_load32(bytes + 4 * k);
    }
    return MTH_OK;
}

static int read_samples(struct search *s)
{
    struct mth_replay_parameter *p = &s->parameter;
    int status = MTH_OK;
    p->n = MTH_REPLAY_SAMPLE;
    for (size_t i = 0; !status && i < MTH_KEPT_STEP; i++) {
        if (p->regions[i] == MTH_NO_REGION)
            continue;
        status = read_sample(s->input, s->map->regions[p->regions[i]].offset, p, p->after[i], s->err);
        if (!status)
            status = read_sample(s->base->reader->source, mth_counterpart_offset(s->base, p->regions[i]), p,
                                 p->before[i], s->err);
    }
    return status;
}

/* ---- families ---- */

/* The members that recipes make. */
static size_t list_members(const struct search *s, const struct mth_recipes *recipes,
                           struct mth_related members[MTH_KEPT_STEP])
{
    uint8_t at_of[MTH_KEPT_STEP] = {0};
    for (size_t i = 0; i < recipes->n; i++)
        at_of[recipes->of[i].of] = (uint8_t)i;
    for (size_t i = 0; i < recipes->n; i++) {
        const struct mth_recipe *recipe = &recipes->of[i];
        struct mth_related *member = &members[i];
        *member = (struct mth_related){.region = s->parameter.regions[recipe->of],
                                       .predictor = recipe->predictor,
                                       .n_inputs = recipe->n_inputs};
        if (recipe->of == recipes->way.of && recipes->weight)
            member->spec = (uint8_t)(MTH_PLAN_MOMENT16 + recipes->gradients);
        for (size_t k = 0; k < recipe->n_inputs; k++) {
            member->inputs[k].source = recipe->inputs[k].is_after ? MTH_FROM_SELF : MTH_FROM_BASE;
            member->inputs[k].member = at_of[recipe->inputs[k].kept];
        }
        memcpy(member->settings, recipe->settings, sizeof member->settings);
    }
    return recipes->n;
}

/* The family of the weights, which its other members are copies of, with what is kept of them; or a new one. */
static int put_family(struct search *s, struct mth_related members[MTH_MAX_FAMILY_MEMBERS], size_t n)
{
    struct mth_families *families = s->families;
    uint32_t of_w = families->regions[s->parameter.regions[MTH_KEPT_W]].family;
    if (of_w == 0)
        return mth_families_begin(families, members, n);
    struct mth_growing_family *family = &families->of[of_w - 1];
    size_t w = 0;
    while (w + 1 < n && members[w].region != s->parameter.regions[MTH_KEPT_W])
        w++;
    if (family->n - 1 + n > MTH_MAX_FAMILY_MEMBERS || families->regions[members[w].region].member != 0)
        return MTH_OK;
    for (size_t i = 1; i < family->n; i++) {
        uint8_t *input = &family->members[i].inputs[0].member;
        *input = *input == 0 ? (uint8_t)w : (uint8_t)(*input + n - 1);
        members[n + i - 1] = family->members[i];
    }
    family->n += n - 1;
    memcpy(family->members, members, family->n * sizeof *members);
    for (size_t i = 0; i < family->n; i++) {
        families->regions[members[i].region].family = of_w;
        families->regions[members[i].region].member = (uint8_t)i;
    }
    return MTH_OK;
}

/* Transforms of moments have one weight in a container, and those that know of more one of each: false where others are there. */
static bool take_numbers(struct search *s, const struct mth_recipes *recipes)
{
    struct mth_replay *replay = s->replay;
    const struct mth_way *way = &recipes->way;
    enum mth_gradients gradients = recipes->gradients;
    uint32_t numbers[MTH_N_DIVIDED];
    if (!recipes->weight)
        return true;
    if (replay->weight && replay->weight != recipes->weight)
        return false;
    mth_way_numbers(way, s->scale.bits, numbers);
    if (gradients == MTH_GRADIENTS_SUMMED || gradients == MTH_GRADIENTS_DIVIDED) {
        bool is_first = !replay->has[MTH_GRADIENTS_SUMMED] && !replay->has[MTH_GRADIENTS_DIVIDED];
        if (!is_first && (!replay->has[gradients] || replay->by_squares != (way->of == MTH_KEPT_M) ||
                          memcmp(numbers, replay->numbers, sizeof numbers) != 0))
            return false;
        memcpy(replay->numbers, numbers, sizeof numbers);
        replay->by_squares = way->of == MTH_KEPT_M;
    }
    replay->weight = recipes->weight;
    replay->scale = s->scale.bits;
    replay->has[gradients] = true;
    return true;
}

/* What follows of a parameter, and its family. */
static int relate(struct search *s)
{
    struct mth_related members[MTH_MAX_FAMILY_MEMBERS] = {{.region = 0}};
    struct mth_recipes recipes;
    int status = read_samples(s);
    if (!status && !s->parameter.group && !mth_replay_guess(&s->parameter, &s->guesses))
        return MTH_OK;
    if (status || !mth_replay_find(&s->parameter, &s->scale, &recipes))
        return status;
    /* What does not go with others is found as if gradients had any bits. */
    if (!take_numbers(s, &recipes) &&
        (!mth_replay_find(&s->parameter, NULL, &recipes) || !take_numbers(s, &recipes)))
        return MTH_OK;
    return put_family(s, members, list_members(s, &recipes, members));
}

static const struct mth_optimizer_group *base_group(const struct search *s, uint32_t region)
{
    const struct mth_region_map *base = s->use->map;
    return mth_tensor_group(base, &base->tensors[s->use->places[s->base->references[region]].tensor]);
}

/* Takes tensors apart that look alike and are all kept of one parameter: as long as squares only rise, the largest are those. */
static void part_own(struct search *s, const struct mth_kept_tensors *kept, uint32_t region)
{
    struct mth_families *families = s->families;
    struct mth_growing_family *family = &families->of[families->regions[region].family - 1];
    for (size_t i = 0; i < family->n; i++) {
        bool is_own = false;
        for (size_t k = MTH_KEPT_W + 1; k < MTH_KEPT_STEP; k++)
            is_own |= kept->tensors[k] != MTH_NO_TENSOR &&
                      s->map->tensors[kept->tensors[k]].region == family->members[i].region;
        if (!is_own)
            return;
    }
    for (size_t i = 0; i < family->n; i++) {
        uint32_t member = family->members[i].region;
        families->regions[member].family = 0;
        families->regions[member].is_copy = false;
    }
    family->n = 0;
}

/* Tells the regions of a parameter; false where something that is kept of it can not be followed. */
static bool find_regions(struct search *s, const struct mth_kept_tensors *kept)
{
    const struct mth_region_map *map = s->map;
    struct mth_replay_parameter *p = &s->parameter;
    uint32_t param = map->tensors[kept->tensors[MTH_KEPT_W]].region;
    uint32_t w = param == MTH_NO_REGION ? MTH_NO_REGION : masters_of(s, param);
    p->n_elems = map->tensors[kept->tensors[MTH_KEPT_W]].n_elems;
    if (p->n_elems < MTH_MIN_RELATED_ELEMS || w == MTH_NO_REGION || !is_plain(s, w, p->n_elems) ||
        s->base->references[w] == MTH_NO_REFERENCE || s->families->regions[w].is_copy)
        return false;
    p->regions[MTH_KEPT_W] = w;
    for (size_t i = MTH_KEPT_W + 1; i < MTH_KEPT_STEP; i++) {
        p->regions[i] = MTH_NO_REGION;
        if (kept->tensors[i] == MTH_NO_TENSOR)
            continue;
        const struct mth_tensor *tensor = &map->tensors[kept->tensors[i]];
        if (tensor->region != MTH_NO_REGION && s->families->regions[tensor->region].family)
            part_own(s, kept, tensor->region);
        if (!is_known(s, tensor) || tensor->n_elems != p->n_elems ||
            s->families->regions[tensor->region].family)
            return false;
        p->regions[i] = tensor->region;
        for (size_t k = 0; k < i; k++) {
            if (p->regions[k] == p->regions[i])
                return false;
        }
    }
    return true;
}

static int consider(struct search *s, const struct mth_kept_tensors *kept)
{
    const struct mth_region_map *map = s->map;
    struct mth_replay_parameter *p = &s->parameter;
    uint32_t any = MTH_NO_TENSOR;
    for (size_t i = MTH_KEPT_W + 1; i < MTH_KEPT_STEP; i++)
        any = any == MTH_NO_TENSOR ? kept->tensors[i] : any;
    if (any == MTH_NO_TENSOR)
        return MTH_OK;
    p->group = mth_tensor_group(map, &map->tensors[any]);
    if ((p->group && p->group->kind == MTH_OPTIMIZER_OTHER) || !find_regions(s, kept))
        return MTH_OK;
    p->base_group = base_group(s, map->tensors[any].region);
    p->step = p->n_steps = 0;
    int status = kept->tensors[MTH_KEPT_STEP] == MTH_NO_TENSOR
                     ? MTH_OK
                     : find_steps(s, &map->tensors[kept->tensors[MTH_KEPT_STEP]], s->err);
    return status ? status : relate(s);
}

/* The scale of gradients is looked for in the first: matrices of many elements, of which more is known, before those that are looked up by
 * row, whose gradients are sums in fp32, and before small ones. */
static int turn_of(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    if (tensor->n_elems < LARGE_ELEMS)
        return N_TURNS - 1;
    return mth_tensor_class_of(map, tensor) == MTH_CLASS_EMBEDDING;
}

int mth_families_find_replays(struct mth_families *families, const struct mth_source *input,
                              const struct mth_base_use *use, const struct mth_counterparts *base,
                              struct mth_replay *replay, struct mth_error *err)
{
    struct search *s = mth_memory_calloc(families->memory, 1, sizeof *s);
    struct mth_kept_tensors *kept = NULL;
    struct mth_error inner = {0};
    int status = s ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status) {
        *s = (struct search){.families = families,
                             .map = families->map,
                             .input = input,
                             .use = use,
                             .base = base,
                             .replay = replay,
                             .err = &inner};
        kept = families->map->n_params ? mth_optimizer_list_kept(s->map, families->memory) : NULL;
        status = kept || !families->map->n_params ? MTH_OK : MTH_ERR_NO_MEMORY;
    }
    for (int turn = 0; turn < N_TURNS; turn++) {
        for (size_t i = 0; !status && kept && i < families->map->n_tensors; i++) {
            if (turn_of(families->map, &families->map->tensors[i]) == turn)
                status = consider(s, &kept[i]);
        }
    }
    mth_memory_free(families->memory, kept);
    mth_memory_free(families->memory, s);
    if (!status)
        return MTH_OK;
    return inner.status ? mth_error_set(err, inner.status, "%s", inner.text)
                        : mth_error_set(err, status, "looking for the optimizer's step failed: %s",
                                        mth_status_text(status));
}
