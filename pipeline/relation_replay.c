/* Steps of an optimizer: which parameters made some since the base, and what follows from it; see relations.h. */
#include "pipeline/relation_replay.h"

#include "base/checked.h"
#include "formats/tensor_class.h"

#include <string.h>

enum { LARGE_ELEMS = 4096, MAX_STEPS = 1 << 20, N_TURNS = 3, MAX_GROUPS = 64 };

/* ---- which tensors they are ---- */

static bool is_plain(const struct mth_replay_search *s, uint32_t index, uint64_t n_elems)
{
    const struct mth_region *region = &s->map->regions[index];
    return region->dtype == MTH_DTYPE_F32 && region->n_bytes == 4 * n_elems && region->flags == 0;
}

/* The fp32 weights of a parameter: itself, or what it is the rounding of. */
static uint32_t masters_of(const struct mth_replay_search *s, uint32_t region)
{
    const struct mth_families *families = s->families;
    if (s->map->regions[region].dtype == MTH_DTYPE_F32 || !families->regions[region].is_copy)
        return region;
    const struct mth_growing_family *family = &families->of[families->regions[region].family - 1];
    const struct mth_related *copy = &family->members[families->regions[region].member];
    return family->members[copy->inputs[0].member].region;
}

/* A tensor that spans its region, whose bytes the base has as well. */
static bool is_known(const struct mth_replay_search *s, const struct mth_tensor *tensor)
{
    return tensor->region != MTH_NO_REGION && is_plain(s, tensor->region, tensor->n_elems) &&
           s->base->references[tensor->region] != MTH_NO_REFERENCE;
}

/* How many steps the parameter made since the base; 0: none, or nobody knows. */
static int find_steps(struct mth_replay_search *s, const struct mth_tensor *step, struct mth_error *err)
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

/* The same where the groups say it. */
static void find_steps_of_groups(struct mth_replay_parameter *p)
{
    double step = p->group ? p->group->step : 0, before = p->base_group ? p->base_group->step : 0;
    if (before >= 0 && step > before && step - before <= MAX_STEPS) {
        p->step = step;
        p->n_steps = step - before;
    }
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

int mth_replay_read_sample(struct mth_replay_search *s, enum mth_kept kept)
{
    struct mth_replay_parameter *p = &s->parameter;
    uint32_t region = p->regions[kept];
    p->n = MTH_REPLAY_SAMPLE;
    if (region == MTH_NO_REGION)
        return MTH_OK;
    int status = read_sample(s->input, s->map->regions[region].offset, p, p->after[kept], s->err);
    if (!status)
        status = read_sample(s->base->reader->source, mth_counterpart_offset(s->base, region), p,
                             p->before[kept], s->err);
    return status;
}

/* ---- families ---- */

/* The members that recipes make. spec: of the moments. */
static size_t list_members(const struct mth_replay_search *s, const struct mth_recipes *recipes, uint8_t spec,
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
            member->spec = spec;
        for (size_t k = 0; k < recipe->n_inputs; k++) {
            member->inputs[k].source = recipe->inputs[k].is_after ? MTH_FROM_SELF : MTH_FROM_BASE;
            member->inputs[k].member = at_of[recipe->inputs[k].kept];
        }
        memcpy(member->settings, recipe->settings, sizeof member->settings);
    }
    return recipes->n;
}

/* The family of the weights, which its other members are copies of, with what is kept of them; or a new one. */
static int put_family(struct mth_replay_search *s, struct mth_related members[MTH_MAX_FAMILY_MEMBERS],
                      size_t n)
{
    struct mth_families *families = s->families;
    uint32_t region_of_w = s->parameter.regions[MTH_KEPT_W];
    uint32_t of_w = region_of_w == MTH_NO_REGION ? 0 : families->regions[region_of_w].family;
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

/* The numbers of a transform of moments. */
static struct mth_moments moments_of(const struct mth_replay_search *s, const struct mth_recipes *recipes)
{
    struct mth_moments moments = {.kind = (uint8_t)(MTH_PLAN_MOMENT16 + recipes->gradients)};
    if (moments.kind >= MTH_PLAN_GRADIENT24) {
        mth_way_numbers(&recipes->way, s->scale.bits, moments.numbers);
        moments.by_squares = recipes->way.of == MTH_KEPT_M;
    } else {
        moments.numbers[MTH_DIVIDED_WEIGHT] = recipes->weight;
        moments.numbers[MTH_DIVIDED_SCALE] = moments.kind == MTH_PLAN_MOMENT32 ? 0 : s->scale.bits;
    }
    return moments;
}

static bool same_moments(const struct mth_moments *a, const struct mth_moments *b)
{
    return a->kind == b->kind && a->by_squares == b->by_squares &&
           memcmp(a->numbers, b->numbers, sizeof a->numbers) == 0;
}

/* The plan spec of the moments of a parameter: one that others have as well, or a new one. False where there is no room for it. */
static bool take_moments(struct mth_replay_search *s, const struct mth_recipes *recipes, uint8_t *spec)
{
    *spec = 0;
    if (!recipes->weight)
        return true;
    const struct mth_moments moments = moments_of(s, recipes);
    bool is_counted = s->map->n_groups > 1 || mth_memory_limit(s->families->memory) == SIZE_MAX;
    size_t n = is_counted ? MTH_N_MOMENTS : MTH_PLAN_MORE_MOMENTS - MTH_PLAN_MOMENT16;
    struct mth_moments *of = s->replay->of;
    size_t first = moments.kind - MTH_PLAN_MOMENT16, i = first;
    while (i < n && of[i].kind && !same_moments(&of[i], &moments))
        i = i == first ? MTH_PLAN_MORE_MOMENTS - MTH_PLAN_MOMENT16 : i + 1;
    if (i >= n)
        return false;
    of[i] = moments;
    *spec = (uint8_t)(MTH_PLAN_MOMENT16 + i);
    return true;
}

/* The group that a parameter would have moved by, of those that belong to no state by the files' word: several steps apart no other number
 * is known. */
static void take_loose_group(struct mth_replay_search *s)
{
    struct mth_replay_parameter *p = &s->parameter;
    const double step = p->step, n_steps = p->n_steps;
    const struct mth_loose_group *best = NULL;
    double most = 0;
    for (size_t i = 0; i < s->n_loose; i++) {
        p->group = s->loose[i].now;
        p->base_group = s->loose[i].before;
        find_steps_of_groups(p);
        double gain = p->n_steps > 1 ? mth_replay_gain_of_weights(p) : 0;
        if (gain > most) {
            most = gain;
            best = &s->loose[i];
        }
    }
    p->group = best ? best->now : NULL;
    p->base_group = best ? best->before : NULL;
    p->step = step;
    p->n_steps = n_steps;
    if (best)
        find_steps_of_groups(p);
}

/* What follows of a parameter, and its family. */
static int relate(struct mth_replay_search *s)
{
    struct mth_related members[MTH_MAX_FAMILY_MEMBERS] = {{.region = 0}};
    struct mth_recipes recipes;
    uint8_t spec;
    int status = MTH_OK;
    for (size_t i = 0; !status && i < MTH_KEPT_STEP; i++)
        status = mth_replay_read_sample(s, (enum mth_kept)i);
    /* Where nobody tells the step what fits it is looked for, whatever the groups say. */
    if (!status && s->parameter.group && s->parameter.group->kind == MTH_OPTIMIZER_ADAM &&
        s->parameter.step == 0)
        s->parameter.group = NULL;
    if (!status && !s->parameter.group && s->parameter.step == 0)
        take_loose_group(s);
    if (!status && !s->parameter.group && !mth_replay_guess(&s->parameter, &s->guesses))
        return MTH_OK;
    if (status || !mth_replay_find(&s->parameter, &s->scale, &recipes))
        return status;
    /* What there is no room for is found as if gradients had any bits. */
    if (!take_moments(s, &recipes, &spec) &&
        (!mth_replay_find(&s->parameter, NULL, &recipes) || !take_moments(s, &recipes, &spec)))
        return MTH_OK;
    return put_family(s, members, list_members(s, &recipes, spec, members));
}

static const struct mth_optimizer_group *base_group(const struct mth_replay_search *s, uint32_t region)
{
    const struct mth_region_map *base = s->use->map;
    return mth_tensor_group(base, &base->tensors[s->use->places[s->base->references[region]].tensor]);
}

/* Takes tensors apart that look alike and are all kept of one parameter: as long as squares only rise, the largest are those. */
static void part_own(struct mth_replay_search *s, const struct mth_kept_tensors *kept, uint32_t region)
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

bool mth_replay_take_weights(struct mth_replay_search *s, uint32_t tensor)
{
    const struct mth_tensor *weights = &s->map->tensors[tensor];
    uint32_t w = weights->region == MTH_NO_REGION ? MTH_NO_REGION : masters_of(s, weights->region);
    s->parameter.n_elems = weights->n_elems;
    s->parameter.regions[MTH_KEPT_W] = w;
    return weights->n_elems >= MTH_MIN_RELATED_ELEMS && w != MTH_NO_REGION &&
           is_plain(s, w, weights->n_elems) && s->base->references[w] != MTH_NO_REFERENCE &&
           !s->families->regions[w].is_copy;
}

/* Of a parameter that has nothing but a state there are as many elements as of its first tensor that is large enough. */
static bool count_elems(struct mth_replay_search *s, const struct mth_kept_tensors *kept)
{
    s->parameter.regions[MTH_KEPT_W] = MTH_NO_REGION;
    for (size_t i = MTH_KEPT_W + 1; i < MTH_KEPT_STEP; i++) {
        if (kept->tensors[i] == MTH_NO_TENSOR)
            continue;
        s->parameter.n_elems = s->map->tensors[kept->tensors[i]].n_elems;
        return s->parameter.n_elems >= MTH_MIN_RELATED_ELEMS;
    }
    return false;
}

/* Tells the regions of a parameter; false where something that is kept of it can not be followed. */
static bool find_regions(struct mth_replay_search *s, const struct mth_kept_tensors *kept)
{
    const struct mth_region_map *map = s->map;
    struct mth_replay_parameter *p = &s->parameter;
    uint32_t weights = kept->tensors[MTH_KEPT_W];
    if (weights == MTH_NO_TENSOR ? !count_elems(s, kept) : !mth_replay_take_weights(s, weights))
        return false;
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

int mth_replay_take_state(struct mth_replay_search *s, const struct mth_kept_tensors *kept, bool *is_known)
{
    const struct mth_region_map *map = s->map;
    struct mth_replay_parameter *p = &s->parameter;
    uint32_t any = MTH_NO_TENSOR;
    for (size_t i = MTH_KEPT_W + 1; i < MTH_KEPT_STEP; i++)
        any = any == MTH_NO_TENSOR ? kept->tensors[i] : any;
    *is_known = false;
    if (any == MTH_NO_TENSOR)
        return MTH_OK;
    p->group = mth_tensor_group(map, &map->tensors[any]);
    if ((p->group && p->group->kind == MTH_OPTIMIZER_OTHER) || !find_regions(s, kept))
        return MTH_OK;
    *is_known = true;
    p->base_group = base_group(s, map->tensors[any].region);
    p->step = p->n_steps = 0;
    if (kept->tensors[MTH_KEPT_STEP] != MTH_NO_TENSOR)
        return find_steps(s, &map->tensors[kept->tensors[MTH_KEPT_STEP]], s->err);
    find_steps_of_groups(p);
    return MTH_OK;
}

static int consider(struct mth_replay_search *s, const struct mth_kept_tensors *kept)
{
    bool is_known;
    int status = mth_replay_take_state(s, kept, &is_known);
    return status || !is_known ? status : relate(s);
}

/* The scale of gradients is looked for in the first: matrices of many elements, of which more is known, before those that are looked up by
 * row, whose gradients are sums in fp32, and before small ones. */
static int turn_of(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    if (tensor->n_elems < LARGE_ELEMS)
        return N_TURNS - 1;
    return mth_tensor_class_of(map, tensor) == MTH_CLASS_EMBEDDING;
}

/* Those of weights, then states whose weights nobody knows. */
static int consider_all(struct mth_replay_search *s, const struct mth_kept_tensors *kept,
                        const struct mth_kept_tensors *lone)
{
    const struct mth_region_map *map = s->map;
    int status = MTH_OK;
    for (int turn = 0; turn < N_TURNS; turn++) {
        for (size_t i = 0; !status && kept && i < map->n_tensors; i++) {
            if (turn_of(map, &map->tensors[i]) == turn)
                status = consider(s, &kept[i]);
        }
    }
    for (int turn = 0; turn < N_TURNS; turn++) {
        for (size_t i = 0; !status && lone && i < map->n_lone_states; i++) {
            if (turn_of(map, &map->tensors[map->lone_states[i].first]) == turn)
                status = consider(s, &lone[i]);
        }
    }
    return status;
}

/* The groups of Adam that no tensor of a map has. */
static size_t list_loose_groups(const struct mth_region_map *map,
                                const struct mth_optimizer_group *groups[MTH_MAX_LOOSE_GROUPS])
{
    size_t n = 0;
    for (uint32_t g = 0; g < map->n_groups && g < MAX_GROUPS && n < MTH_MAX_LOOSE_GROUPS; g++) {
        size_t i = 0;
        while (i < map->n_grouped && map->group_of[i] != g)
            i++;
        if (i == map->n_grouped && map->groups[g].kind == MTH_OPTIMIZER_ADAM)
            groups[n++] = &map->groups[g];
    }
    return n;
}

/* Those of both, in their order; none where there are other ones in the base. */
static void find_loose_groups(struct mth_replay_search *s)
{
    const struct mth_optimizer_group *now[MTH_MAX_LOOSE_GROUPS], *before[MTH_MAX_LOOSE_GROUPS];
    size_t n = list_loose_groups(s->map, now);
    if (n == 0 || !s->use->map || list_loose_groups(s->use->map, before) != n)
        return;
    for (size_t i = 0; i < n; i++)
        s->loose[i] = (struct mth_loose_group){now[i], before[i]};
    s->n_loose = n;
}

int mth_families_find_replays(struct mth_families *families, const struct mth_source *input,
                              const struct mth_base_use *use, const struct mth_counterparts *base,
                              struct mth_replay *replay, struct mth_error *err)
{
    const struct mth_region_map *map = families->map;
    struct mth_memory *memory = families->memory;
    struct mth_kept_tensors *kept = NULL, *lone = NULL;
    struct mth_error inner = {0};
    if (map->n_params == 0 && map->n_lone_states == 0)
        return MTH_OK;
    struct mth_replay_search *s = mth_memory_calloc(memory, 1, sizeof *s);
    if (s) {
        *s = (struct mth_replay_search){.families = families,
                                        .map = map,
                                        .input = input,
                                        .use = use,
                                        .base = base,
                                        .replay = replay,
                                        .err = &inner};
        kept = mth_optimizer_list_kept(map, memory);
    }
    int status = s && kept ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status)
        find_loose_groups(s);
    if (!status && map->n_lone_states)
        status = mth_replay_pair_lone_states(s, kept, &lone);
    if (!status)
        status = consider_all(s, kept, lone);
    mth_memory_free(memory, lone);
    mth_memory_free(memory, kept);
    mth_memory_free(memory, s);
    if (!status)
        return MTH_OK;
    return inner.status ? mth_error_set(err, inner.status, "%s", inner.text)
                        : mth_error_set(err, status, "looking for the optimizer's step failed: %s",
                                        mth_status_text(status));
}
