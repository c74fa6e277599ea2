/* Steps of an optimizer: which parameters made some since the base, and what follows from it; see relations.h. */
#include "pipeline/bundle.h"
#include "pipeline/replay.h"

#include "base/checked.h"
#include "transforms/predictors/adam.h"

#include <math.h>
#include <string.h>

enum {
    LARGE_ELEMS = 4096,
    MAX_STEPS = 1 << 20,
    MAX_SEARCHES = 4 /* for a scale, where none was found */
};

struct search {
    struct mth_families *families;
    const struct mth_region_map *map;
    const struct mth_source *input;
    const struct mth_base_use *use;
    const struct mth_base_reader *base;
    const uint32_t *references;
    struct mth_replay *replay;
    struct mth_error *err;
    size_t n_searches;
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
           s->references[tensor->region] != MTH_NO_REFERENCE;
}

/* How many steps the parameter made since the base; 0: none, or nobody knows. */
static int find_steps(struct search *s, const struct mth_tensor *step, struct mth_error *err)
{
    const struct mth_region *region = step->region == MTH_NO_REGION ? NULL : &s->map->regions[step->region];
    uint32_t reference = region ? s->references[step->region] : MTH_NO_REFERENCE;
    struct mth_replay_parameter *p = &s->parameter;
    double before = -1;
    p->n_steps = 0;
    if (!region || region->flags || reference == MTH_NO_REFERENCE)
        return MTH_OK;
    int status = mth_optimizer_read_step(s->input, step, region->offset + step->offset_bytes, &p->step, err);
    if (!status)
        status = mth_optimizer_read_step(s->base->source, step,
                                         s->base->offsets[reference] + step->offset_bytes, &before, err);
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
            status = read_sample(s->base->source, s->base->offsets[s->references[p->regions[i]]], p,
                                 p->before[i], s->err);
    }
    return status;
}

/* ---- what is the same for all ---- */

/* Do gradients of 16 bits make m? A scale that was found for one parameter is that of others. */
static bool fit_scale(struct search *s, float weight)
{
    const struct mth_replay_parameter *p = &s->parameter;
    struct mth_replay *replay = s->replay;
    size_t enough = p->n - p->n / 16;
    if (replay->scale)
        return mth_replay_count_exact(p, weight, mth_float_of(replay->scale)) >= enough;
    float scale = 1;
    if (mth_replay_count_exact(p, weight, scale) < enough &&
        (s->n_searches++ >= MAX_SEARCHES || !mth_replay_find_scale(p, weight, &scale)))
        return false;
    replay->scale = mth_bits_of(scale);
    return true;
}

/* ---- families ---- */

/* The family of w, before which m and v are put; or a new one. */
static int put_family(struct search *s, const struct mth_related moments[2],
                      const struct mth_related *weights)
{
    struct mth_families *families = s->families;
    uint32_t of_w = families->regions[weights->region].family;
    struct mth_related members[MTH_MAX_FAMILY_MEMBERS] = {moments[0], moments[1], *weights};
    if (of_w == 0)
        return mth_families_begin(families, members, 3);
    struct mth_growing_family *family = &families->of[of_w - 1];
    if (family->n + 2 > MTH_MAX_FAMILY_MEMBERS || families->regions[weights->region].member != 0)
        return MTH_OK;
    for (size_t i = 1; i < family->n; i++) {
        members[i + 2] = family->members[i];
        members[i + 2].inputs[0].member = (uint8_t)(members[i + 2].inputs[0].member + 2);
    }
    family->n += 2;
    memcpy(family->members, members, family->n * sizeof *members);
    for (size_t i = 0; i < family->n; i++) {
        families->regions[members[i].region].family = of_w;
        families->regions[members[i].region].member = (uint8_t)i;
    }
    return MTH_OK;
}

static void from(struct mth_related *member, size_t input, uint8_t source, uint8_t other)
{
    member->inputs[input].source = source;
    member->inputs[input].member = other;
}

/* One step: v follows from m, and the weights from both. False where v does not. */
static bool redo_step(struct search *s, uint32_t weight, struct mth_related moments[2], struct mth_related *w)
{
    enum { M, V, W };
    struct mth_replay_parameter *p = &s->parameter;
    struct mth_related *v = &moments[1];
    bool is16 = fit_scale(s, mth_float_of(weight));
    if (!mth_replay_fit_v(p, weight, is16 ? s->replay->scale : 0, v->settings))
        return false;
    v->predictor = MTH_PREDICT_ADAM_V;
    v->n_inputs = 3;
    from(v, 0, MTH_FROM_BASE, V);
    from(v, 1, MTH_FROM_BASE, M);
    from(v, 2, MTH_FROM_SELF, M);
    moments[0].spec = is16 ? MTH_PLAN_MOMENT16 : MTH_PLAN_MOMENT32;
    if (mth_replay_fit_w(p, w->settings)) {
        w->predictor = MTH_PREDICT_ADAM_W;
        w->n_inputs = 3;
        from(w, 0, MTH_FROM_BASE, W);
        from(w, 1, MTH_FROM_SELF, M);
        from(w, 2, MTH_FROM_SELF, V);
    }
    return true;
}

/* Several: the gradients between are not known, but what is left of the moments before, and where the weights went. */
static void follow_steps(const struct search *s, struct mth_related moments[2], struct mth_related *w)
{
    enum { M, V, W };
    moments[0].spec = MTH_PLAN_MOMENT32;
    if (!mth_replay_fit_drift(&s->parameter, w->settings))
        return;
    w->predictor = MTH_PREDICT_ADAM_DRIFT;
    w->n_inputs = 5;
    from(w, 0, MTH_FROM_BASE, W);
    from(w, 1, MTH_FROM_BASE, M);
    from(w, 2, MTH_FROM_BASE, V);
    from(w, 3, MTH_FROM_SELF, M);
    from(w, 4, MTH_FROM_SELF, V);
}

/* The numbers of its steps, and its family if they fit. */
static int relate(struct search *s)
{
    enum { M, V };
    struct mth_replay_parameter *p = &s->parameter;
    struct mth_replay *replay = s->replay;
    bool is_one = p->n_steps == 1;
    double beta1 = is_one ? p->group->beta1 : pow(p->group->beta1, p->n_steps);
    float share = (float)(1 - beta1), most = is_one ? 0.5f : 1.0f;
    uint32_t weight = mth_bits_of(share < 1 ? share : 0x1.fffffep-1f);
    if (!(share > 0 && beta1 >= 0 && mth_float_of(weight) < most) ||
        (replay->weight && replay->weight != weight))
        return MTH_OK;
    int status = read_samples(s);
    if (status)
        return status;
    struct mth_related moments[2] = {{.region = p->regions[MTH_KEPT_M], .n_inputs = 2},
                                     {.region = p->regions[MTH_KEPT_V]}},
                       w = {.region = p->regions[MTH_KEPT_W]};
    from(&moments[0], 0, MTH_FROM_BASE, M);
    from(&moments[0], 1, MTH_FROM_BASE, V);
    if (!is_one)
        follow_steps(s, moments, &w);
    else if (!redo_step(s, weight, moments, &w))
        return MTH_OK;
    replay->weight = weight;
    replay->has_moment16 |= moments[0].spec == MTH_PLAN_MOMENT16;
    replay->has_moment32 |= moments[0].spec == MTH_PLAN_MOMENT32;
    return put_family(s, moments, &w);
}

static const struct mth_optimizer_group *base_group(const struct search *s, uint32_t region)
{
    const struct mth_region_map *base = s->use->map;
    return mth_tensor_group(base, &base->tensors[s->use->tensors[s->references[region]]]);
}

/* Tells the regions of a parameter whose optimizer can be followed. */
static bool find_regions(struct search *s, const struct mth_kept_tensors *kept)
{
    const struct mth_region_map *map = s->map;
    struct mth_replay_parameter *p = &s->parameter;
    const struct mth_tensor *m = &map->tensors[kept->tensors[MTH_KEPT_M]];
    for (size_t i = 0; i < MTH_KEPT_STEP; i++)
        p->regions[i] = MTH_NO_REGION;
    p->n_elems = m->n_elems;
    for (size_t i = MTH_KEPT_M; i <= MTH_KEPT_V; i++) {
        const struct mth_tensor *tensor = &map->tensors[kept->tensors[i]];
        if (!is_known(s, tensor) || tensor->n_elems != p->n_elems ||
            s->families->regions[tensor->region].family)
            return false;
        p->regions[i] = tensor->region;
    }
    uint32_t param = map->tensors[kept->tensors[MTH_KEPT_W]].region;
    uint32_t w = param == MTH_NO_REGION ? MTH_NO_REGION : masters_of(s, param);
    if (w == MTH_NO_REGION || !is_plain(s, w, p->n_elems) || s->references[w] == MTH_NO_REFERENCE ||
        s->families->regions[w].is_copy)
        return false;
    p->regions[MTH_KEPT_W] = w;
    return p->regions[MTH_KEPT_M] != p->regions[MTH_KEPT_V] && w != p->regions[MTH_KEPT_M] &&
           w != p->regions[MTH_KEPT_V] && p->n_elems >= MTH_MIN_RELATED_ELEMS;
}

static int consider(struct search *s, const struct mth_kept_tensors *kept)
{
    const struct mth_region_map *map = s->map;
    struct mth_replay_parameter *p = &s->parameter;
    if (kept->tensors[MTH_KEPT_M] == MTH_NO_TENSOR || kept->tensors[MTH_KEPT_V] == MTH_NO_TENSOR ||
        kept->tensors[MTH_KEPT_STEP] == MTH_NO_TENSOR)
        return MTH_OK;
    p->group = mth_tensor_group(map, &map->tensors[kept->tensors[MTH_KEPT_M]]);
    if (!p->group || !p->group->is_adam || !find_regions(s, kept))
        return MTH_OK;
    p->base_group = base_group(s, p->regions[MTH_KEPT_M]);
    int status = find_steps(s, &map->tensors[kept->tensors[MTH_KEPT_STEP]], s->err);
    return status || p->n_steps == 0 ? status : relate(s);
}

int mth_families_find_replays(struct mth_families *families, const struct mth_source *input,
                              const struct mth_base_use *use, const struct mth_base_reader *base,
                              const uint32_t *references, struct mth_replay *replay, struct mth_error *err)
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
                             .references = references,
                             .replay = replay,
                             .err = &inner};
        kept = families->map->n_params ? mth_optimizer_list_kept(s->map, families->memory) : NULL;
        status = kept || !families->map->n_params ? MTH_OK : MTH_ERR_NO_MEMORY;
    }
    /* Those of many elements first: what they tell of the scale is surer. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; !status && kept && i < families->map->n_tensors; i++) {
            bool is_large = families->map->tensors[i].n_elems >= LARGE_ELEMS;
            if (is_large == (pass == 0))
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
