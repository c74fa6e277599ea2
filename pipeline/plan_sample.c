/* Choosing among candidates by what they make of a sample; see bundle.h. */
#include "pipeline/bundle.h"
#include "pipeline/plan_sketch.h"

#include "base/checked.h"

#include <string.h>

enum {
    SMALL_REGION_BYTES = 1 << 18, /* below that, regions of a dtype are judged together */
    MIN_SAMPLE_BYTES = 1 << 14,
    MAX_SAMPLE_BYTES = 1 << 18,
    SAMPLE_SHARE = 64,      /* of a region, so many times less is looked at */
    N_PIECES = 4,           /* of a region's sample, spread over it */
    PIECE_ALIGN = 64,       /* whole elements of any dtype */
    MAX_POOLED = 16,        /* small regions in a sample that is shared */
    POOLED_BYTES = 1 << 12, /* the most that each gives to it */
    NEARNESS_BYTES = 512,   /* looked at to tell whether a small region is near its base at all */
    /* A candidate takes the place of one before it only if it is smaller by this share: samples are not the whole. */
    MARGIN = 64,
    /* A sample that the base made so many times smaller has no chunk that would be smaller without. */
    SURE_RATIO = 4,
    MAX_KNOWN = 64, /* sketches that are kept; when there are more, regions are measured each */
    ANY_ALONE = MTH_NO_FALLBACK - 1 /* in place of what a sample was measured against */
};

/* The best on a sample, and the best of those that do without the base where the former might not be it everywhere. */
struct choice {
    uint8_t spec, fallback;
};

/* What was chosen for a sample, and what that looked like. */
struct known {
    const struct kind *kind;
    struct mth_plan_sketch sketch;
    uint8_t alone; /* what it was measured against */
    struct choice choice;
};

/* Whether a region has a counterpart in the base; of small ones, whether that is like it at all. */
enum nearness { UNMATCHED, NEAR, FAR, N_NEARNESSES };

/* Regions of a dtype and, where guards ask for it, a class that have a counterpart in the base, or that have none. */
struct kind {
    uint32_t candidates[MTH_MAX_PLAN_CANDIDATES];
    size_t n_candidates; /* 0: not asked yet */
    bool matched;
    size_t n_small;       /* regions that are judged together */
    struct choice choice; /* for those */
};

struct sampling {
    const struct mth_bundle_encoder *encoder;
    const struct mth_bundle_planner *planner;
    const struct mth_source *input;
    const struct mth_families *families; /* NULL: nothing is predicted */
    struct mth_error *err;
    struct kind kinds[MTH_N_DTYPES][MTH_N_CLASSES][N_NEARNESSES];
    uint8_t *nearness; /* for each region */
    struct known known[MAX_KNOWN];
    size_t n_known;
};

static bool is_matched(const struct sampling *s, size_t region)
{
    return s->planner->references && s->planner->references[region] != MTH_NO_REFERENCE;
}

static struct kind *kind_of(struct sampling *s, size_t region)
{
    enum mth_dtype dtype = s->planner->map->regions[region].dtype;
    enum mth_tensor_class class_ = mth_bundle_planner_class(s->planner, region);
    struct kind *kind = &s->kinds[dtype][class_][s->nearness[region]];
    if (kind->n_candidates == 0) {
        kind->matched = is_matched(s, region);
        kind->n_candidates = mth_plan_candidates(s->planner->specs, s->planner->guards, dtype, class_,
                                                 kind->matched, kind->candidates);
    }
    return kind;
}

/* The bundle that samples are put together in: one chunk, a segment for each piece. */
static struct mth_bundle *sample_bundle(const struct sampling *s)
{
    return &s->encoder->coder->bundle_workers[0].lanes[0].bundle;
}

static void begin(struct mth_bundle *bundle)
{
    bundle->n_bytes = bundle->n_segments = bundle->n_pieces = 0;
    bundle->n_chunks = 1;
    bundle->chunks[0] = (struct mth_bundle_chunk){.first = MTH_NO_SEGMENT, .last = MTH_NO_SEGMENT};
}

static int add(struct sampling *s, size_t index, uint64_t done, size_t n_bytes)
{
    struct mth_bundle *bundle = sample_bundle(s);
    struct mth_bundle_chunk *chunk = &bundle->chunks[0];
    const struct mth_bundle_planner *planner = s->planner;
    const struct mth_region *region = &planner->map->regions[index];
    struct mth_bundle_lane *lane = &s->encoder->coder->bundle_workers[0].lanes[0];
    int status = mth_array_reserve(bundle->memory, &bundle->segments, &bundle->segments_capacity,
                                   bundle->n_segments + 1, sizeof *bundle->segments);
    if (!status && planner->row_elems)
        status = mth_bundle_add_piece(bundle, 0, region, done, n_bytes, planner->row_elems[index]);
    if (!status)
        status = mth_array_reserve(bundle->memory, &lane->bytes, &lane->bytes_capacity,
                                   bundle->n_bytes + n_bytes, 1);
    if (status)
        return status;
    uint32_t number = (uint32_t)bundle->n_segments++;
    bundle->segments[number] = (struct mth_bundle_segment){
        .at = (uint32_t)bundle->n_bytes,
        .n_bytes = (uint32_t)n_bytes,
        .next = MTH_NO_SEGMENT,
        .reference = is_matched(s, index) ? planner->references[index] : MTH_NO_REFERENCE,
        .reference_offset = mth_bundle_planner_origin(planner, index) + done};
    if (number > 0)
        bundle->segments[chunk->last].next = number;
    else
        chunk->first = number;
    chunk->last = number;
    chunk->n_segments++;
    chunk->dtype = region->dtype;
    chunk->has_reference = is_matched(s, index);
    status = mth_source_read(s->input, region->offset + done, lane->bytes + bundle->n_bytes, n_bytes, s->err);
    chunk->n_bytes += n_bytes;
    bundle->n_bytes += n_bytes;
    return status;
}

/* Bytes that a candidate makes of the sample. */
static int measure(struct sampling *s, uint32_t candidate, struct mth_bytes src, struct mth_bytes reference,
                   size_t *n_bytes)
{
    struct mth_coder *coder = s->encoder->coder;
    struct mth_coder_worker *worker = &coder->workers[0];
    struct mth_bundle_lane *lane = &coder->bundle_workers[0].lanes[0];
    struct mth_coder_spec *spec = s->encoder->specs[candidate];
    struct mth_symbol_type type = mth_symbol_type_of(sample_bundle(s)->chunks[0].dtype);
    size_t n_bound, n_stored;
    int status = mth_chunk_bound(spec->pipeline, type, src.n_bytes, &n_bound, &n_stored);
    if (!status)
        status = mth_array_reserve(coder->memory, &lane->block, &lane->block_capacity, n_bound, 1);
    if (status)
        return status;
    struct mth_buffer out = {.data = lane->block, .capacity_bytes = lane->block_capacity};
    if (!spec->pipeline->nodes[0].wants_reference)
        reference = (struct mth_bytes){0};
    status = mth_chunk_encode(&worker->chunk, spec->pipeline, &spec->encode[0], NULL, type, src, reference,
                              &out, &worker->entry);
    *n_bytes = mth_size_min(out.n_bytes + worker->entry.n_bytes, src.n_bytes);
    return status;
}

static bool takes_reference(const struct sampling *s, uint8_t spec)
{
    return s->planner->specs[spec]->nodes[0].wants_reference;
}

/* A sample like this one. */
static const struct known *find_known(const struct sampling *s, const struct kind *kind, uint8_t alone,
                                      const struct mth_plan_sketch *sketch)
{
    for (size_t i = 0; i < s->n_known; i++) {
        if (s->known[i].kind == kind && s->known[i].alone == alone &&
            mth_plan_sketches_match(&s->known[i].sketch, sketch))
            return &s->known[i];
    }
    return NULL;
}

static void note_known(struct sampling *s, const struct kind *kind, uint8_t alone,
                       const struct mth_plan_sketch *sketch, struct choice choice)
{
    if (s->n_known < MAX_KNOWN)
        s->known[s->n_known++] =
            (struct known){.kind = kind, .sketch = *sketch, .alone = alone, .choice = choice};
}

/* The first of a kind's candidates, of those that look at the base or of the others, that no later one beats. */
static int find_best(struct sampling *s, const struct kind *kind, bool refers, struct mth_bytes src,
                     struct mth_bytes reference, uint8_t *best, size_t *n_best)
{
    int status = MTH_OK;
    *best = MTH_NO_FALLBACK;
    for (size_t i = 0; !status && i < kind->n_candidates; i++) {
        size_t n_bytes = 0;
        uint8_t spec = (uint8_t)kind->candidates[i];
        if (kind->matched && takes_reference(s, spec) != refers)
            continue;
        status = measure(s, spec, src, reference, &n_bytes);
        if (!status && (*best == MTH_NO_FALLBACK || n_bytes < *n_best - *n_best / MARGIN)) {
            *n_best = n_bytes;
            *best = spec;
        }
    }
    return status;
}

/* The candidate that does without the base, as it would be chosen if there were none; MTH_NO_FALLBACK: there is no such. */
static int choose_alone(struct sampling *s, const struct kind *kind, uint8_t *alone)
{
    const struct mth_bundle *bundle = sample_bundle(s);
    struct mth_bytes src = {s->encoder->coder->bundle_workers[0].lanes[0].bytes, bundle->n_bytes};
    struct mth_plan_sketch sketch;
    size_t n_bytes = 0;
    int status = mth_bundle_set_spans(bundle, 0, &s->encoder->coder->workers[0]);
    if (status)
        return status;
    mth_plan_sketch(src, (struct mth_bytes){0}, mth_dtype_lane_bytes(bundle->chunks[0].dtype), &sketch);
    const struct known *known = find_known(s, kind, MTH_NO_FALLBACK, &sketch);
    if (known) {
        *alone = known->choice.spec;
        return MTH_OK;
    }
    status = find_best(s, kind, false, src, (struct mth_bytes){0}, alone, &n_bytes);
    if (!status)
        note_known(s, kind, MTH_NO_FALLBACK, &sketch, (struct choice){*alone, MTH_NO_FALLBACK});
    return status;
}

/* What a sample's base has, and what their difference looks like. */
static int view_difference(struct sampling *s, struct mth_bytes *src, struct mth_bytes *reference,
                           struct mth_plan_sketch *sketch)
{
    struct mth_coder_worker *worker = &s->encoder->coder->workers[0];
    const struct mth_bundle *bundle = sample_bundle(s);
    const struct mth_bundle_chunk *chunk = &bundle->chunks[0];
    *src = (struct mth_bytes){s->encoder->coder->bundle_workers[0].lanes[0].bytes, bundle->n_bytes};
    int status = mth_base_reader_gather(s->encoder->base, bundle, chunk, &worker->reference[0],
                                        &worker->reference_capacity[0], reference, s->err);
    if (!status)
        status = mth_bundle_set_spans(bundle, 0, worker);
    if (!status)
        mth_plan_sketch(*src, *reference, mth_dtype_lane_bytes(chunk->dtype), sketch);
    return status;
}

static bool is_float16(enum mth_dtype dtype)
{
    return dtype == MTH_DTYPE_BF16 || dtype == MTH_DTYPE_F16;
}

/*
 * What the base makes so small that nothing without it comes near, whatever that is: then it need not be looked for.
 * MTH_NO_FALLBACK: it is not.
 */
static int choose_surely(struct sampling *s, const struct kind *kind, struct choice *choice)
{
    struct mth_bytes src, reference;
    struct mth_plan_sketch sketch;
    size_t n_best = 0;
    int status = view_difference(s, &src, &reference, &sketch);
    *choice = (struct choice){MTH_NO_FALLBACK, MTH_NO_FALLBACK};
    if (status || !mth_plan_varies16(src))
        return status;
    const struct known *known = find_known(s, kind, ANY_ALONE, &sketch);
    if (known) {
        *choice = known->choice;
        return MTH_OK;
    }
    status = find_best(s, kind, true, src, reference, &choice->spec, &n_best);
    if (n_best >= src.n_bytes / SURE_RATIO)
        choice->spec = MTH_NO_FALLBACK;
    if (!status && choice->spec != MTH_NO_FALLBACK)
        note_known(s, kind, ANY_ALONE, &sketch, *choice);
    return status;
}

/* Whether the sample is smaller with its base than with what does without it. */
static int choose_with_base(struct sampling *s, const struct kind *kind, uint8_t alone, struct choice *choice)
{
    struct mth_bytes src, reference;
    struct mth_plan_sketch sketch;
    size_t n_alone = 0, n_best = 0;
    int status = view_difference(s, &src, &reference, &sketch);
    if (status)
        return status;
    const struct known *known = find_known(s, kind, alone, &sketch);
    if (known && alone != MTH_NO_FALLBACK) {
        *choice = known->choice;
        return MTH_OK;
    }
    *choice = (struct choice){MTH_NO_FALLBACK, MTH_NO_FALLBACK};
    status = find_best(s, kind, true, src, reference, &choice->spec, &n_best);
    if (status || alone == MTH_NO_FALLBACK)
        return status;
    status = measure(s, alone, src, (struct mth_bytes){0}, &n_alone);
    bool is_first = alone < choice->spec;
    if (choice->spec == MTH_NO_FALLBACK ||
        (is_first ? n_best >= n_alone - n_alone / MARGIN : n_alone < n_best - n_best / MARGIN))
        choice->spec = alone;
    else if (n_best >= src.n_bytes / SURE_RATIO)
        choice->fallback = alone;
    if (!status)
        note_known(s, kind, alone, &sketch, *choice);
    return status;
}

/* A sample of one region, in pieces spread over it. */
static int choose_for_region(struct sampling *s, const struct kind *kind, size_t index, struct choice *choice)
{
    uint64_t n_bytes = s->planner->map->regions[index].n_bytes, share = n_bytes / SAMPLE_SHARE;
    size_t n_sample = share < MIN_SAMPLE_BYTES   ? MIN_SAMPLE_BYTES
                      : share > MAX_SAMPLE_BYTES ? MAX_SAMPLE_BYTES
                                                 : (size_t)share;
    size_t n_piece = mth_size_min(n_sample, s->planner->chunk_bytes) / N_PIECES / PIECE_ALIGN * PIECE_ALIGN;
    int status = MTH_OK;
    begin(sample_bundle(s));
    for (uint64_t i = 0; !status && i < N_PIECES; i++) {
        uint64_t middle = n_bytes / (2 * N_PIECES) * (2 * i + 1), at = middle - n_piece / 2;
        status = add(s, index, at / PIECE_ALIGN * PIECE_ALIGN, n_piece);
    }
    if (!status && is_matched(s, index) && is_float16(s->planner->map->regions[index].dtype)) {
        status = choose_surely(s, kind, choice);
        if (status || choice->spec != MTH_NO_FALLBACK)
            return status;
    }
    if (!status)
        status = choose_alone(s, kind, &choice->spec);
    return status || !is_matched(s, index) ? status : choose_with_base(s, kind, choice->spec, choice);
}

static bool is_small(const struct sampling *s, size_t region)
{
    return s->planner->map->regions[region].n_bytes < SMALL_REGION_BYTES;
}

/* What is predicted from others has its spec from that, and a sample of its own would be for nothing; small regions share theirs. */
static bool is_predicted(const struct sampling *s, size_t region)
{
    return s->families && mth_families_predict(s->families, region);
}

/* A sample of n small regions of a dtype and class: of all of them, or of those of a kind. */
static int sample_small(struct sampling *s, enum mth_dtype dtype, enum mth_tensor_class class_,
                        const struct kind *kind, size_t n)
{
    const struct mth_region_map *map = s->planner->map;
    size_t every = (n + MAX_POOLED - 1) / MAX_POOLED, n_seen = 0;
    int status = MTH_OK;
    begin(sample_bundle(s));
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        if (map->regions[i].dtype != dtype || mth_bundle_planner_class(s->planner, i) != class_ ||
            !is_small(s, i) || (kind && kind_of(s, i) != kind) || n_seen++ % every != 0)
            continue;
        size_t n_bytes = (size_t)mth_u64_min(map->regions[i].n_bytes, POOLED_BYTES);
        if (n_bytes <= s->planner->chunk_bytes - sample_bundle(s)->n_bytes)
            status = add(s, i, 0, n_bytes);
    }
    return status;
}

/* All small regions of a dtype and class: what is best for them without the base is asked once, as if there were none. */
static int choose_for_small(struct sampling *s, enum mth_dtype dtype, enum mth_tensor_class class_)
{
    struct kind *kinds = s->kinds[dtype][class_];
    uint8_t alone = MTH_NO_FALLBACK;
    size_t n = 0;
    int status = MTH_OK;
    const struct kind *chooses = NULL;
    for (size_t k = 0; k < N_NEARNESSES; k++) {
        n += kinds[k].n_small;
        chooses = kinds[k].n_candidates > 1 && kinds[k].n_small ? &kinds[k] : chooses;
    }
    if (!chooses)
        return MTH_OK;
    status = sample_small(s, dtype, class_, NULL, n);
    if (!status)
        status = choose_alone(s, chooses, &alone);
    for (size_t k = 0; !status && k < N_NEARNESSES; k++) {
        kinds[k].choice = (struct choice){(uint8_t)kinds[k].candidates[0], MTH_NO_FALLBACK};
        if (kinds[k].n_small == 0 || kinds[k].n_candidates < 2)
            continue;
        if (alone != MTH_NO_FALLBACK)
            kinds[k].choice.spec = alone;
        if (k == UNMATCHED && alone != MTH_NO_FALLBACK)
            continue;
        status = sample_small(s, dtype, class_, &kinds[k], kinds[k].n_small);
        if (!status)
            status = k == UNMATCHED ? choose_alone(s, &kinds[k], &kinds[k].choice.spec)
                                    : choose_with_base(s, &kinds[k], alone, &kinds[k].choice);
    }
    return status;
}

/* Whether some elements in the middle of a small region have the same upper byte in the base, half of them at least. */
static int find_nearness(struct sampling *s, size_t index, uint8_t *nearness)
{
    const struct mth_region *region = &s->planner->map->regions[index];
    struct mth_coder_worker *worker = &s->encoder->coder->workers[0];
    size_t width = mth_dtype_lane_bytes(region->dtype), n_same = 0,
           n_bytes = (size_t)mth_u64_min(region->n_bytes, NEARNESS_BYTES) / width * width;
    struct mth_bytes reference;
    *nearness = NEAR;
    if (n_bytes == 0)
        return MTH_OK;
    begin(sample_bundle(s));
    int status = add(s, index, (region->n_bytes - n_bytes) / 2 / width * width, n_bytes);
    if (!status)
        status =
            mth_base_reader_gather(s->encoder->base, sample_bundle(s), &sample_bundle(s)->chunks[0],
                                   &worker->reference[0], &worker->reference_capacity[0], &reference, s->err);
    const uint8_t *bytes = s->encoder->coder->bundle_workers[0].lanes[0].bytes;
    for (size_t i = width - 1; !status && i < n_bytes; i += width)
        n_same += bytes[i] == reference.data[i];
    if (n_same * 2 * width < n_bytes)
        *nearness = FAR;
    return status;
}

static int sample_regions(struct sampling *s, uint8_t *choices, uint8_t *fallbacks)
{
    const struct mth_region_map *map = s->planner->map;
    int status = MTH_OK;
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        s->nearness[i] = is_matched(s, i) ? NEAR : UNMATCHED;
        if (is_matched(s, i) && is_small(s, i))
            status = find_nearness(s, i, &s->nearness[i]);
        struct kind *kind = kind_of(s, i);
        struct choice choice = {(uint8_t)kind->candidates[0], MTH_NO_FALLBACK};
        if (is_small(s, i))
            kind->n_small++;
        else if (!status && kind->n_candidates > 1 && !is_predicted(s, i))
            status = choose_for_region(s, kind, i, &choice);
        choices[i] = choice.spec;
        fallbacks[i] = choice.fallback;
    }
    for (size_t k = 0; !status && k < MTH_N_DTYPES * MTH_N_CLASSES; k++)
        status = choose_for_small(s, (enum mth_dtype)(k / MTH_N_CLASSES),
                                  (enum mth_tensor_class)(k % MTH_N_CLASSES));
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        const struct kind *kind = kind_of(s, i);
        if (kind->n_candidates > 1 && is_small(s, i)) {
            choices[i] = kind->choice.spec;
            fallbacks[i] = kind->choice.fallback;
        }
    }
    return status;
}

int mth_plan_sample(const struct mth_bundle_encoder *encoder, const struct mth_bundle_planner *planner,
                    const struct mth_families *families, const struct mth_source *input, uint8_t *choices,
                    uint8_t *fallbacks, struct mth_error *err)
{
    struct mth_error inner = {0};
    struct sampling s = {
        .encoder = encoder, .planner = planner, .input = input, .families = families, .err = &inner};
    s.nearness = mth_memory_calloc(encoder->coder->memory, planner->map->n_regions, 1);
    int status = s.nearness ? sample_regions(&s, choices, fallbacks) : MTH_ERR_NO_MEMORY;
    mth_memory_free(encoder->coder->memory, s.nearness);
    if (!status)
        return MTH_OK;
    return inner.status ? mth_error_set(err, inner.status, "%s", inner.text)
                        : mth_error_set(err, status, "sampling to plan failed: %s", mth_status_text(status));
}
