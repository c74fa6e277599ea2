/* A step of Adam or AdamW, redone: which parameters made one since the base, and with what numbers; see relations.h. */
#include "pipeline/bundle.h"

#include "base/checked.h"
#include "transforms/predictors/adam.h"

#include <math.h>
#include <string.h>

enum {
    N_PIECES = 4,
    PIECE_ELEMS = 64,
    N_SAMPLE = N_PIECES * PIECE_ELEMS,
    LARGE_ELEMS = 4096,
    N_WITNESSES = 16,
    N_SCALES = 1 << 21,
    MAX_SEARCHES = 4, /* for a scale, where none was found */
    MAX_SCALES = 4
};

/* A parameter: the regions of m, v and w, and elements of each before and after. */
struct parameter {
    uint32_t m, v, w;
    uint64_t n_elems;
    const struct mth_optimizer_group *group, *base_group;
    double step;
    size_t n;
    uint32_t m0[N_SAMPLE], v0[N_SAMPLE], w0[N_SAMPLE], m1[N_SAMPLE], v1[N_SAMPLE], w1[N_SAMPLE];
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
    struct parameter parameter;
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

/* Of each parameter (a tensor's number) what its optimizer keeps; MTH_NO_TENSOR where it does not. */
struct kept {
    uint32_t m, v, step;
};

static struct kept *list_kept(const struct search *s)
{
    const struct mth_region_map *map = s->map;
    struct kept *kept = mth_memory_alloc(s->families->memory, map->n_tensors * sizeof *kept);
    if (!kept)
        return NULL;
    memset(kept, 0xff, map->n_tensors * sizeof *kept);
    for (size_t i = 0; i < map->n_tensors; i++) {
        const struct mth_tensor *tensor = &map->tensors[i], *param = mth_tensor_param(map, tensor);
        if (!param)
            continue;
        struct kept *of = &kept[param - map->tensors];
        if (tensor->role == MTH_ROLE_ADAM_M)
            of->m = (uint32_t)i;
        else if (tensor->role == MTH_ROLE_ADAM_V)
            of->v = (uint32_t)i;
        else if (tensor->role == MTH_ROLE_STEP)
            of->step = (uint32_t)i;
    }
    return kept;
}

/* A step is one fp32 or an integer of 64 bits. */
static int read_step(const struct mth_source *source, enum mth_dtype dtype, uint64_t offset, double *step,
                     struct mth_error *err)
{
    uint8_t bytes[8];
    size_t width = mth_dtype_lane_bytes(dtype);
    int status = mth_source_read(source, offset, bytes, width, err);
    if (status)
        return status;
    *step = width == 8 ? (double)(int64_t)mth_load64(bytes) : (double)mth_float_of(mth_load32(bytes));
    return MTH_OK;
}

/* Did the base have the step before? */
static int find_step(struct search *s, const struct mth_tensor *step, bool *is_next, struct mth_error *err)
{
    const struct mth_region *region = step->region == MTH_NO_REGION ? NULL : &s->map->regions[step->region];
    uint32_t reference = region ? s->references[step->region] : MTH_NO_REFERENCE;
    double before;
    *is_next = false;
    if (step->n_elems != 1 || !region || region->flags || reference == MTH_NO_REFERENCE ||
        (step->dtype != MTH_DTYPE_F32 && step->dtype != MTH_DTYPE_I64))
        return MTH_OK;
    int status = read_step(s->input, (enum mth_dtype)step->dtype, region->offset + step->offset_bytes,
                           &s->parameter.step, err);
    if (!status)
        status = read_step(s->base->source, (enum mth_dtype)step->dtype,
                           s->base->offsets[reference] + step->offset_bytes, &before, err);
    *is_next = !status && s->parameter.step == before + 1 && s->parameter.step >= 1;
    return status;
}

static int read_sample(const struct mth_source *source, uint64_t offset, const struct parameter *p,
                       uint32_t *sample, struct mth_error *err)
{
    uint8_t bytes[4 * PIECE_ELEMS];
    for (uint64_t i = 0; i < N_PIECES; i++) {
        uint64_t n = p->n_elems < PIECE_ELEMS ? p->n_elems : PIECE_ELEMS;
        uint64_t at = (p->n_elems - n) / (N_PIECES - 1) * i;
        int status = mth_source_read(source, offset + 4 * at, bytes, (size_t)(4 * n), err);
        if (status)
            return status;
        for (size_t k = 0; k < n; k++)
            sample[i * PIECE_ELEMS + k] = mth_load32(bytes + 4 * k);
    }
    return MTH_OK;
}

static int read_samples(struct search *s)
{
    struct parameter *p = &s->parameter;
    const struct {
        uint32_t region;
        uint32_t *before, *after;
    } of[] = {{p->m, p->m0, p->m1}, {p->v, p->v0, p->v1}, {p->w, p->w0, p->w1}};
    int status = MTH_OK;
    p->n = N_SAMPLE;
    for (size_t i = 0; !status && i < sizeof of / sizeof of[0]; i++) {
        status = read_sample(s->input, s->map->regions[of[i].region].offset, p, of[i].after, s->err);
        if (!status)
            status = read_sample(s->base->source, s->base->offsets[s->references[of[i].region]], p,
                                 of[i].before, s->err);
    }
    return status;
}

/* ---- the scale of 16-bit gradients ---- */

/* As near as m1 tells: not rounded. */
static double gradient_of(const struct parameter *p, size_t i, float weight)
{
    double m0 = (double)mth_float_of(p->m0[i]);
    return ((double)mth_float_of(p->m1[i]) - m0) / (double)weight + m0;
}

/* How many elements of the sample come out of a bf16 gradient, scaled. */
static size_t count_exact(const struct parameter *p, float weight, float scale)
{
    const struct mth_adam_rule rule = mth_adam_rule_of(mth_bits_of(weight), mth_bits_of(scale));
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        float m0 = mth_float_of(p->m0[i]), gradient = mth_adam_gradient(&rule, m0, mth_float_of(p->m1[i]));
        n += mth_adam_fits(&rule, m0, mth_adam_gradient16(&rule, gradient), p->m1[i]) & 1;
    }
    return n;
}

/* The elements whose gradients are known best: those that moved m most, for its size. */
static size_t best_known(const struct parameter *p, float weight, size_t *best, double *errors, size_t n_best)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        double m0 = fabs((double)mth_float_of(p->m0[i])), m1 = fabs((double)mth_float_of(p->m1[i]));
        double gradient = fabs(gradient_of(p, i, weight)), error;
        if (!(gradient > 1e-30) || !(gradient < 1e30))
            continue;
        error = (m0 > m1 ? m0 : m1) * 0x1p-23 / (double)weight / gradient + 0x1p-23;
        size_t at = n < n_best ? n++ : n_best;
        while (at > 0 && errors[at - 1] > error) {
            if (at < n_best) {
                errors[at] = errors[at - 1];
                best[at] = best[at - 1];
            }
            at--;
        }
        if (at < n_best) {
            errors[at] = error;
            best[at] = i;
        }
    }
    return n;
}

/* How far a normal value is from one of bf16, in units of the last of 52 bits of its mantissa. */
static uint64_t off_bf16(double value)
{
    enum { N_CUT_BITS = 52 - 7 };
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t rest = bits & (((uint64_t)1 << N_CUT_BITS) - 1), other = ((uint64_t)1 << N_CUT_BITS) - rest;
    return rest < other ? rest : other;
}

/* The gradients that are known best, and how far from a bf16 value each may seem to be. */
struct witnesses {
    double gradients[N_WITNESSES];
    uint64_t off[N_WITNESSES];
};

static bool all_agree(const struct witnesses *witnesses, double inverse)
{
    for (size_t i = 0; i < N_WITNESSES; i++) {
        if (off_bf16(witnesses->gradients[i] * inverse) > witnesses->off[i])
            return false;
    }
    return true;
}

static double inverse_at(uint32_t step)
{
    return 1 + step * (1.0 / N_SCALES);
}

/* Scales that were tried. */
struct trials {
    const struct parameter *p;
    float weight, scale;
    size_t most, n_tried;
};

/* A scale whose inverse lies at a step, and the neighbours of its bits, on all of the sample. */
static void try_scale(struct trials *trials, uint32_t step)
{
    enum { NEIGHBOURS = 8 };
    uint32_t middle = mth_bits_of((float)(1 / inverse_at(step)));
    trials->n_tried++;
    for (uint32_t bits = middle - NEIGHBOURS; bits <= middle + NEIGHBOURS; bits++) {
        size_t exact = count_exact(trials->p, trials->weight, mth_float_of(bits));
        if (exact > trials->most) {
            trials->most = exact;
            trials->scale = mth_float_of(bits);
        }
    }
}

/*
 * The scale by which some bf16 values are the gradients; its power of two is theirs. It lies between 1/2 and 1, its inverse is looked for in steps as small as
 * the gradients are known. The one that is known best is a bf16 value times the scale: of 128 significands one, so that its inverse lies
 * near one of 128 places. What all of the best known agree to is tried on all.
 */
static bool find_scale(const struct parameter *p, float weight, float *scale)
{
    enum { MAX_TRIED = 64, N_SIGNIFICANDS = 128 };
    struct witnesses witnesses;
    struct trials trials = {.p = p, .weight = weight};
    size_t best[N_WITNESSES];
    double errors[N_WITNESSES];
    if (best_known(p, weight, best, errors, N_WITNESSES) < N_WITNESSES)
        return false;
    for (size_t i = 0; i < N_WITNESSES; i++) {
        /* A significand is below 2. */
        double off = (errors[i] + 0x1p-21) * 0x1p53;
        witnesses.gradients[i] = fabs(gradient_of(p, best[i], weight));
        witnesses.off[i] = off < 0x1p52 ? (uint64_t)off : (uint64_t)1 << 52;
    }
    int exponent;
    double significand = 2 * frexp(witnesses.gradients[0], &exponent);
    /* Off by an error in a significand below 2, and by a step. */
    double reach = (errors[0] + 0x1p-21) * 4 * N_SCALES + 1;
    uint32_t end = 0; /* behind the last step that was looked at */
    for (uint32_t i = 0; i <= 3 * N_SIGNIFICANDS && trials.n_tried < MAX_TRIED; i++) {
        double inverse = (1 + i * (1.0 / N_SIGNIFICANDS)) / significand;
        double middle = (inverse - 1) * N_SCALES, first = middle - reach, last = middle + reach;
        if (last < 0 || first >= N_SCALES)
            continue;
        uint32_t step = first > end ? (uint32_t)first : end;
        for (; step <= last && step < N_SCALES && trials.n_tried < MAX_TRIED; step++) {
            if (all_agree(&witnesses, inverse_at(step)))
                try_scale(&trials, step);
        }
        end = step;
    }
    *scale = trials.scale;
    return trials.most >= p->n - p->n / 16;
}

/* ---- what fits ---- */

/* Is what is predicted within a few steps of what is there, for most of the sample? exact: for how many it is just that. */
static bool is_near(const uint32_t *predicted, const uint32_t *actual, size_t n, size_t *exact)
{
    enum { NEAR_STEPS = 8 };
    size_t n_near = 0;
    *exact = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t apart = predicted[i] > actual[i] ? predicted[i] - actual[i] : actual[i] - predicted[i];
        n_near += apart <= NEAR_STEPS;
        *exact += apart == 0;
    }
    return n_near >= n - n / 4;
}

static void predict(void (*predictor)(const uint32_t *, const uint8_t *const *, size_t, uint8_t *),
                    const uint32_t *settings, const uint32_t *const inputs[3], size_t n, uint32_t *out)
{
    uint8_t bytes[3][4 * N_SAMPLE], result[4 * N_SAMPLE];
    const uint8_t *const parts[3] = {bytes[0], bytes[1], bytes[2]};
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < n; i++)
            mth_store32(bytes[k] + 4 * i, inputs[k][i]);
    }
    predictor(settings, parts, n, result);
    for (size_t i = 0; i < n; i++)
        out[i] = mth_load32(result + 4 * i);
}

static bool fit_v(const struct parameter *p, const struct mth_optimizer_group *group, uint32_t weight,
                  float scale, uint32_t settings[MTH_MAX_SETTINGS])
{
    uint32_t predicted[N_SAMPLE];
    const uint32_t *const inputs[3] = {p->v0, p->m0, p->m1};
    size_t exact;
    settings[0] = weight;
    settings[1] = mth_bits_of((float)group->beta2);
    settings[2] = mth_bits_of((float)(1 - group->beta2));
    settings[3] = mth_bits_of(scale);
    predict(mth_predict_adam_v, settings, inputs, p->n, predicted);
    return is_near(predicted, p->v1, p->n, &exact);
}

/* The rate is the file's, or the base's where a scheduler has set the next one already; weights decay by it, or not. */
static bool fit_w(const struct parameter *p, uint32_t settings[MTH_MAX_SETTINGS])
{
    const struct mth_optimizer_group *groups[] = {p->group, p->base_group ? p->base_group : p->group};
    const uint32_t *const inputs[3] = {p->w0, p->m1, p->v1};
    size_t most = 0;
    for (size_t k = 0; k < 4; k++) {
        const struct mth_optimizer_group *group = p->group;
        double lr = groups[k % 2]->lr, decay = k < 2 ? 1 - lr * group->weight_decay : 1;
        double correction = 1 - pow(group->beta1, p->step), bias = sqrt(1 - pow(group->beta2, p->step));
        const uint32_t tried[MTH_MAX_SETTINGS] = {mth_bits_of((float)decay),
                                                  mth_bits_of((float)-(lr / correction)),
                                                  mth_bits_of((float)bias), mth_bits_of((float)group->eps)};
        uint32_t predicted[N_SAMPLE];
        size_t exact;
        predict(mth_predict_adam_w, tried, inputs, p->n, predicted);
        if (is_near(predicted, p->w1, p->n, &exact) && exact + 1 > most) {
            most = exact + 1;
            memcpy(settings, tried, sizeof tried);
        }
    }
    return most > 0;
}

/* Do gradients of 16 bits make m? A scale that was found for one parameter is that of others. */
static bool fit_scale(struct search *s, float weight)
{
    const struct parameter *p = &s->parameter;
    struct mth_replay *replay = s->replay;
    size_t enough = p->n - p->n / 16;
    if (replay->scale)
        return count_exact(p, weight, mth_float_of(replay->scale)) >= enough;
    float scale = 1;
    if (count_exact(p, weight, scale) < enough &&
        (s->n_searches++ >= MAX_SEARCHES || !find_scale(p, weight, &scale)))
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

/* The numbers of its step, and its family if they fit. */
static int relate(struct search *s)
{
    enum { M, V, W };
    struct parameter *p = &s->parameter;
    struct mth_replay *replay = s->replay;
    float weight = (float)(1 - p->group->beta1);
    uint32_t weight_bits = mth_bits_of(weight);
    if (!(weight > 0 && weight < 0.5f) || (replay->weight && replay->weight != weight_bits))
        return MTH_OK;
    int status = read_samples(s);
    if (status)
        return status;
    bool is16 = fit_scale(s, weight);
    struct mth_related m = {.region = p->m, .n_inputs = 2}, v = {.region = p->v}, w = {.region = p->w};
    if (!fit_v(p, p->group, weight_bits, is16 ? mth_float_of(replay->scale) : 0, v.settings))
        return MTH_OK;
    v.predictor = MTH_PREDICT_ADAM_V;
    v.n_inputs = 3;
    from(&v, 0, MTH_FROM_BASE, V);
    from(&v, 1, MTH_FROM_BASE, M);
    from(&v, 2, MTH_FROM_SELF, M);
    m.spec = is16 ? MTH_PLAN_MOMENT16 : MTH_PLAN_MOMENT32;
    from(&m, 0, MTH_FROM_BASE, M);
    from(&m, 1, MTH_FROM_BASE, V);
    if (fit_w(p, w.settings)) {
        w.predictor = MTH_PREDICT_ADAM_W;
        w.n_inputs = 3;
        from(&w, 0, MTH_FROM_BASE, W);
        from(&w, 1, MTH_FROM_SELF, M);
        from(&w, 2, MTH_FROM_SELF, V);
    }
    replay->weight = weight_bits;
    replay->has_moment16 |= is16;
    replay->has_moment32 |= !is16;
    return put_family(s, (struct mth_related[]){m, v}, &w);
}

static const struct mth_optimizer_group *base_group(const struct search *s, uint32_t region)
{
    const struct mth_region_map *base = s->use->map;
    return mth_tensor_group(base, &base->tensors[s->use->tensors[s->references[region]]]);
}

static int consider(struct search *s, const struct kept *kept, uint32_t param)
{
    const struct mth_region_map *map = s->map;
    struct parameter *p = &s->parameter;
    if (kept->m == MTH_NO_TENSOR || kept->v == MTH_NO_TENSOR || kept->step == MTH_NO_TENSOR ||
        map->tensors[param].region == MTH_NO_REGION)
        return MTH_OK;
    const struct mth_tensor *m = &map->tensors[kept->m], *v = &map->tensors[kept->v];
    uint32_t w = masters_of(s, map->tensors[param].region);
    p->group = mth_tensor_group(map, m);
    if (!p->group || !p->group->is_adam || !is_known(s, m) || !is_known(s, v) || m->n_elems != v->n_elems ||
        m->n_elems < MTH_MIN_RELATED_ELEMS || !is_plain(s, w, m->n_elems) ||
        s->references[w] == MTH_NO_REFERENCE || m->region == v->region || w == m->region || w == v->region ||
        s->families->regions[m->region].family || s->families->regions[v->region].family ||
        s->families->regions[w].is_copy)
        return MTH_OK;
    p->m = m->region;
    p->v = v->region;
    p->w = w;
    p->n_elems = m->n_elems;
    p->base_group = base_group(s, m->region);
    bool is_next;
    int status = find_step(s, &map->tensors[kept->step], &is_next, s->err);
    return status || !is_next ? status : relate(s);
}

int mth_families_find_replays(struct mth_families *families, const struct mth_source *input,
                              const struct mth_base_use *use, const struct mth_base_reader *base,
                              const uint32_t *references, struct mth_replay *replay, struct mth_error *err)
{
    struct search *s = mth_memory_calloc(families->memory, 1, sizeof *s);
    struct kept *kept = NULL;
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
        kept = families->map->n_params ? list_kept(s) : NULL;
        status = kept || !families->map->n_params ? MTH_OK : MTH_ERR_NO_MEMORY;
    }
    /* Those of many elements first: what they tell of the scale is surer. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; !status && kept && i < families->map->n_tensors; i++) {
            bool is_large = families->map->tensors[i].n_elems >= LARGE_ELEMS;
            if (is_large == (pass == 0))
                status = consider(s, &kept[i], (uint32_t)i);
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
