/*
 * What coding takes, at most. Everything that grows with options, chunks and threads is added up as the engine will ask for
 * it: buffers of bundles, scratch of chunks in the order in which it is taken, states of codecs by their own account. The coder with its
 * workers and specs is there when an engine asks, and in the account already.
 * tests/test_memory_need.c holds it against what is really taken.
 */
#include "pipeline/memory_need.h"

#include "base/checked.h"
#include "base/hash.h"
#include "base/repeats.h"
#include "pipeline/relations.h"
#include "pipeline/slices.h"
#include "pipeline/stream_turns.h"

#include <string.h>

enum {
    SEGMENT_BYTES =
        112, /* of a segment, in the bundle and in its plan, and of how rows run through it, with room to grow */
    /* Of a region that has a counterpart: its reference, its offsets, its place in the index of names; while it is looked for:
     * what it may be, keys of its content, a region and a tensor of those that are cut in two. */
    REGION_BYTES = 256,
    /* Of a segment that is predicted: where the base has its inputs, in the bundle and in its plan. */
    PLACES_BYTES = 160,
    /* Of a region, while it is found out whether it is predicted from another: what it looks like, its family. */
    RELATED_BYTES = 400,
    /* Of a part of a region that was cut: a cut, a region, a tensor, its origin and its reference, and the same as of any region. */
    PART_BYTES = 256 + RELATED_BYTES,
    CUT_REGION_BYTES = 128,  /* of any region of a map that is cut: it is there twice */
    MEMBER_BYTES = 80,       /* of a member of a layout, and its share of its family, with room to grow */
    CHUNK_PLAN_BYTES = 4096, /* of a chunk in a plan, at most */
    /* So many more become chunks that do not want their base. */
    MAX_CUTS = MTH_CHUNK_BYTES_MOMENTS / MTH_CHUNK_BYTES_ALONE,
    BUNDLE_PLAN_BYTES = 1 << 18, /* of most plans, whole */
    /* What presets keep to, less what the program takes; see docs/container.md. */
    BOUND_BYTES = 57 << 20,
    BOUND_THREAD_BYTES = 8 << 20,
    FILE_LANES = 2,
    FRONT_BYTES = 4 << 20 /* pages of references and their coding, the index */
};

/* Scratch of a chunk: the k-th piece that it takes is the k-th block of an arena, as large as any chunk made it. */
struct scratch {
    uint64_t blocks[MTH_ARENA_MAX_BLOCKS];
    size_t n_used;
};

struct estimate {
    struct scratch scratch;
    uint64_t states[MTH_N_PLAN_SPECS][MTH_MAX_NODES]; /* both sides */
    const struct mth_pipeline *pipeline;              /* being walked */
    size_t spec;
    size_t n_lanes;
    size_t batch; /* chunks that are decoded side by side where that is faster */
    unsigned sides;
};

/* All figures are for one machine's memory: sums of those cannot wrap, but a codec may say SIZE_MAX. */
static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t product(uint64_t a, uint64_t n)
{
    return n && a > UINT64_MAX / n ? UINT64_MAX : a * n;
}

static void take(struct estimate *e, uint64_t n_bytes)
{
    for (size_t lane = 0; lane < e->n_lanes && e->scratch.n_used < MTH_ARENA_MAX_BLOCKS; lane++) {
        uint64_t *block = &e->scratch.blocks[e->scratch.n_used++];
        *block = n_bytes > *block ? n_bytes : *block;
    }
}

static void take_state(struct estimate *e, const struct mth_node *node, size_t n_bytes)
{
    uint64_t *state = &e->states[e->spec][node - e->pipeline->nodes];
    uint64_t n = 0;
    for (unsigned s = MTH_SIDE_ENCODE; s <= MTH_SIDE_DECODE; s++)
        if (e->sides & s)
            n = add(n, mth_codec_state_bytes(node->codec, node->options, s, n_bytes));
    *state = n > *state ? n : *state;
}

/* A stage with streams, as both walks see it. */
struct stage {
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    size_t n_streams;
    bool refers; /* its streams have references that are made for them */
};

static bool open_stage(const struct estimate *e, const struct mth_node *node, struct mth_symbol_type type,
                       size_t n_bytes, bool has_reference, struct stage *stage)
{
    if (node->transform->plan(node->options, &type, n_bytes, stage->plans, &stage->n_streams))
        return false;
    stage->refers = false;
    for (size_t i = 0; has_reference && node->transform->n_references == 0 && i < stage->n_streams; i++)
        stage->refers |= mth_node_child(e->pipeline, node, i)->wants_reference;
    return true;
}

static bool is_stored(const struct estimate *e, const struct mth_node *node, const struct stage *stage,
                      size_t i, bool fixed)
{
    return mth_chunk_is_stored(mth_node_child(e->pipeline, node, i), &stage->plans[i], fixed);
}

static void take_references(struct estimate *e, const struct stage *stage)
{
    for (size_t i = 0; stage->refers && i < stage->n_streams; i++)
        take(e, stage->plans[i].n_bytes);
}

/* As mth_chunk_encode takes its scratch. */
static void walk_encoding(struct estimate *e, const struct mth_node *node, struct mth_symbol_type type,
                          size_t n_bytes, bool fixed, bool has_reference)
{
    struct stage stage;
    if (node->codec) {
        take_state(e, node, n_bytes);
        return;
    }
    if (!open_stage(e, node, type, n_bytes, has_reference, &stage))
        return;
    for (size_t i = 0; i < stage.n_streams; i++)
        if (!is_stored(e, node, &stage, i, fixed))
            take(e, stage.plans[i].n_bytes);
    take_references(e, &stage);
    for (size_t i = 0; i < stage.n_streams; i++)
        walk_encoding(e, mth_node_child(e->pipeline, node, i), stage.plans[i].type, stage.plans[i].n_bytes,
                      fixed && !(stage.plans[i].flags & MTH_STREAM_VARIABLE), has_reference);
}

/* As mth_chunk_decode does. placed: what comes out goes where the caller wants it. */
static void walk_decoding(struct estimate *e, const struct mth_node *node, struct mth_symbol_type type,
                          size_t n_bytes, bool fixed, bool has_reference, bool placed)
{
    struct stage stage;
    if (node->transform && open_stage(e, node, type, n_bytes, has_reference, &stage)) {
        take_references(e, &stage);
        for (size_t i = 0; i < stage.n_streams; i++)
            if (!is_stored(e, node, &stage, i, fixed))
                walk_decoding(e, mth_node_child(e->pipeline, node, i), stage.plans[i].type,
                              stage.plans[i].n_bytes, fixed && !(stage.plans[i].flags & MTH_STREAM_VARIABLE),
                              has_reference, false);
    } else if (node->codec) {
        take_state(e, node, n_bytes);
    }
    if (!placed)
        take(e, n_bytes);
}

static void walk(struct estimate *e, size_t spec, const struct mth_pipeline *pipeline, enum mth_dtype dtype,
                 size_t n_bytes, bool has_reference)
{
    struct mth_symbol_type type = mth_symbol_type_of(dtype);
    e->spec = spec;
    e->pipeline = pipeline;
    if (e->sides & MTH_SIDE_ENCODE) {
        e->n_lanes = 1;
        e->scratch.n_used = 0;
        walk_encoding(e, &pipeline->nodes[0], type, n_bytes, true, has_reference);
    }
    if (e->sides & MTH_SIDE_DECODE) {
        e->n_lanes = pipeline->interleaves ? e->batch : 1;
        e->scratch.n_used = 0;
        walk_decoding(e, &pipeline->nodes[0], type, n_bytes, true, has_reference, true);
    }
}

/* Scratch and states of one thread, and the tables that all share. */
static uint64_t sum_of(const struct estimate *e)
{
    uint64_t total = 0;
    for (size_t i = 0; i < MTH_ARENA_MAX_BLOCKS; i++)
        total = add(total, e->scratch.blocks[i]);
    for (size_t s = 0; s < MTH_N_PLAN_SPECS; s++)
        for (size_t i = 0; i < MTH_MAX_NODES; i++)
            total = add(total, e->states[s][i]);
    return total;
}

/* Models of a spec, for one dtype: what is counted, and the tables. */
static uint64_t model_bytes(const struct mth_pipeline *pipeline, enum mth_dtype dtype)
{
    const struct mth_node *leaves[MTH_MAX_LEAVES];
    uint64_t total = 0;
    size_t n_leaves =
        pipeline->has_models ? mth_pipeline_leaves(pipeline, mth_symbol_type_of(dtype), leaves) : 0;
    for (size_t i = 0; i < n_leaves; i++) {
        const struct mth_model_ops *models = leaves[i]->codec->models;
        if (models)
            total += models->counts_bytes + models->model_bytes;
    }
    return total;
}

/* Bytes of the regions of each dtype, and how many there are. */
struct content {
    uint64_t n_bytes[MTH_N_DTYPES];
    uint64_t total;
    size_t n_dtypes;
};

static struct content content_of(const struct mth_region_map *map)
{
    struct content content = {.total = map->n_bytes};
    for (size_t i = 0; i < map->n_regions; i++)
        content.n_bytes[map->regions[i].dtype] += map->regions[i].n_bytes;
    for (size_t i = 0; i < MTH_N_DTYPES; i++)
        content.n_dtypes += content.n_bytes[i] > 0;
    return content;
}

static size_t at_most(uint64_t n, size_t limit)
{
    return n < limit ? (size_t)n : limit;
}

/* A thread's share of buffers for bundles: so many of n bytes each, but all threads together see no more than the file. */
static uint64_t buffers(uint64_t n_buffers, uint64_t n, uint64_t n_lanes, size_t n_threads,
                        uint64_t raw_bytes)
{
    uint64_t share = raw_bytes / n_threads + 1;
    return n_buffers * (n_lanes * n < share ? n_lanes * n : n > share ? n : share);
}

/*
 * By how much the chunks of a bundle may grow: what each has beside its bytes, and what these may become. The chunks of all
 * dtypes together have no more bytes than one alone.
 */
struct growth {
    uint64_t beside; /* sum over dtypes */
    uint64_t most;   /* of any */
};

/* How many bytes more than n its coding may take. */
static uint64_t over(const struct mth_pipeline *pipeline, enum mth_dtype dtype, size_t n)
{
    size_t n_bound = 0, n_stored = 0;
    int status = mth_chunk_bound(pipeline, mth_symbol_type_of(dtype), n, &n_bound, &n_stored);
    return status == MTH_OK && n_bound > n ? n_bound - n : 0;
}

/* What is predicted may be coded with these, whatever was asked for. */
static void walk_predicted(struct estimate *e, const struct mth_need_encode_job *job, enum mth_dtype dtype,
                           size_t n, struct growth *growth)
{
    for (size_t i = MTH_PLAN_STEPS; i < MTH_PLAN_MORE_MOMENTS; i++) {
        const struct mth_pipeline *pipeline = job->specs[i];
        /* A step of an optimizer is redone against a base only, in a bundle that holds w, m and v. */
        bool is_moment = i >= MTH_PLAN_MOMENT16, is_chance = i == MTH_PLAN_CHANCES;
        /* What was rounded by chance lies beside what has twice as many bytes. */
        size_t n_most = is_moment || is_chance ? n / 3 : n, spec = 0;
        if (!mth_pipeline_accepts(pipeline, mth_symbol_type_of(dtype)) || (is_moment && !job->has_base) ||
            (is_chance && dtype != MTH_DTYPE_BF16 && dtype != MTH_DTYPE_F16))
            continue;
        /* Where it is a candidate as well, both have the same states. */
        while (job->specs[spec] != pipeline)
            spec++;
        uint64_t whole = over(pipeline, dtype, n_most);
        walk(e, spec, pipeline, dtype, n_most, !is_moment);
        /* Of one group nothing is taken twice; nor, under a limit, of those that no file tells (relation_replay.c). */
        for (size_t more = MTH_PLAN_MORE_MOMENTS;
             is_moment && job->map->n_groups > 1 && more < MTH_N_PLAN_SPECS; more++)
            walk(e, more, pipeline, dtype, n_most, false);
        growth->most = whole > growth->most ? whole : growth->most;
    }
}

/* All that a dtype's tensors may be coded with. */
static void walk_dtype(struct estimate *e, const struct mth_need_encode_job *job, enum mth_dtype dtype,
                       size_t n, bool relates, struct growth *growth, uint64_t *n_models)
{
    uint64_t beside = 0;
    for (int matched = 0; matched <= (job->has_base ? 1 : 0); matched++) {
        uint32_t candidates[MTH_MAX_PLAN_CANDIDATES];
        size_t n_candidates =
            mth_plan_candidates(job->specs, job->guards, dtype, MTH_N_CLASSES, matched, candidates);
        for (size_t i = 0; i < n_candidates; i++) {
            const struct mth_pipeline *pipeline = job->specs[candidates[i]];
            uint64_t alone = over(pipeline, dtype, 0), whole = over(pipeline, dtype, n);
            walk(e, candidates[i], pipeline, dtype, n, matched);
            *n_models += model_bytes(pipeline, dtype);
            beside = alone > beside ? alone : beside;
            growth->most = whole > growth->most ? whole : growth->most;
        }
    }
    growth->beside += beside;
    if (relates)
        walk_predicted(e, job, dtype, n, growth);
}

/* Have two tensors as many elements, so that one may be predicted from the other? A yes may be wrong. */
static int may_relate(const struct mth_region_map *map, struct mth_memory *memory, bool *relates)
{
    struct mth_repeats sizes;
    int status = mth_repeats_init(&sizes, map->n_regions, memory);
    if (status)
        return status;
    *relates = false;
    for (size_t i = 0; !*relates && i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        uint64_t n_elems = region->n_bytes / mth_dtype_lane_bytes(region->dtype);
        uint64_t hash = mth_hash64(&n_elems, sizeof n_elems, 0);
        if (region->dtype == MTH_DTYPE_OPAQUE || n_elems < MTH_MIN_RELATED_ELEMS)
            continue;
        mth_repeats_note(&sizes, hash);
        *relates = mth_repeats_has(&sizes, hash);
    }
    mth_repeats_free(&sizes);
    return MTH_OK;
}

int mth_need_encode(const struct mth_need_encode_job *job, struct mth_memory *memory,
                    struct mth_memory_need *need)
{
    struct estimate *e = mth_memory_calloc(memory, 1, sizeof *e);
    if (!e)
        return MTH_ERR_NO_MEMORY;
    struct content content = content_of(job->map);
    struct growth growth = {0};
    uint64_t n_models = 0, n_regions = job->map->n_regions;
    size_t n = at_most(content.total, job->chunk_bytes);
    bool relates = job->slices;
    int status = job->specs[MTH_PLAN_STEPS] && !relates ? may_relate(job->map, memory, &relates) : MTH_OK;
    if (status) {
        mth_memory_free(memory, e);
        return status;
    }
    /* What was rounded by chance, and moments of an optimizer, lie in larger bundles. */
    bool may_have_chances =
        content.n_bytes[MTH_DTYPE_F32] && (content.n_bytes[MTH_DTYPE_BF16] || content.n_bytes[MTH_DTYPE_F16]);
    if (relates && ((may_have_chances && job->specs[MTH_PLAN_CHANCES]) ||
                    (job->has_base && job->specs[MTH_PLAN_MOMENT32])))
        n = at_most(content.total, mth_size_max(job->chunk_bytes, job->moments_bytes));
    e->batch = 1;
    e->sides = MTH_SIDE_ENCODE | (job->verify ? MTH_SIDE_DECODE : 0u);
    for (size_t d = 0; d < MTH_N_DTYPES; d++)
        if (content.n_bytes[d])
            walk_dtype(e, job, (enum mth_dtype)d, at_most(content.n_bytes[d], n), relates, &growth,
                       &n_models);
    /* Bytes; what lies scattered, gathered; blocks on their way; the bytes of the base, and a chunk coded without it;
     * what is restored; what chunks are predicted from, which is together no more than the bundle. */
    uint64_t n_buffers = 2u + MTH_BLOCKS_PER_THREAD + (job->has_base || relates ? 2u : 0u) +
                         (job->has_older ? 1u : 0u) + (job->verify ? 1u : 0u) + relates;
    uint64_t thread = add(sum_of(e), buffers(n_buffers, n, 1, job->n_threads, content.total) +
                                         MTH_BLOCKS_PER_THREAD * (growth.most + growth.beside));
    mth_memory_free(memory, e);
    uint64_t segment = SEGMENT_BYTES + (relates ? PLACES_BYTES : 0u);
    thread += at_most(n_regions, MTH_MAX_BUNDLE_SEGMENTS) * segment * (job->verify ? 2u : 1u) +
              at_most(n_regions + MAX_CUTS, MTH_MAX_BUNDLE_CHUNKS) * CHUNK_PLAN_BYTES +
              sizeof(struct mth_bundle_worker);
    *need = (struct mth_memory_need){.thread_bytes = thread, .n_threads = job->n_threads};
    need->total_bytes = add(
        product(thread, job->n_threads),
        FRONT_BYTES + n_models +
            n_regions * ((job->has_base ? REGION_BYTES + sizeof(struct mth_reference) : 8) +
                         (job->has_older ? REGION_BYTES + sizeof(struct mth_reference) : 0) +
                         (relates ? RELATED_BYTES : 0)) +
            /* Where tensors are cut the map is there again, with more regions; the search is over before anything is coded. */
            (job->slices ? at_most(3 * n_regions, MTH_MAX_SLICE_CUTS) * (uint64_t)PART_BYTES +
                               n_regions * (uint64_t)CUT_REGION_BYTES + mth_slices_need(job->map)
                         : 0));
    return MTH_OK;
}

int mth_need_decode(const struct mth_container_front *front, const struct mth_container_head *head,
                    size_t n_threads, bool in_memory, struct mth_memory *memory, struct mth_memory_need *need)
{
    struct estimate *e = mth_memory_calloc(memory, 1, sizeof *e);
    if (!e)
        return MTH_ERR_NO_MEMORY;
    size_t n = at_most(head->raw_bytes, head->chunk_bytes);
    e->batch = mth_front_lanes(front);
    e->sides = MTH_SIDE_DECODE;
    for (size_t s = 0; s < front->n_specs; s++) {
        const struct mth_pipeline *pipeline = front->specs[s]->pipeline;
        for (size_t d = 0; d < MTH_N_DTYPES; d++) {
            struct mth_symbol_type type = mth_symbol_type_of((enum mth_dtype)d);
            if (mth_pipeline_accepts(pipeline, type))
                walk(e, s, pipeline, (enum mth_dtype)d, n, front->has_base);
        }
    }
    /* The block, whose payloads are no longer than what they restore, and the bytes; what is scattered when it is decoded;
     * the bytes of the base; what chunks are predicted from. */
    bool relates = front->layout.n_families > 0;
    uint64_t n_lanes = e->batch, n_buffers = (in_memory ? 1u : 3u) + (front->has_base || relates ? 1u : 0u) +
                                             (front->has_older ? 1u : 0u) + relates;
    uint64_t thread = add(sum_of(e), buffers(n_buffers, n, n_lanes, n_threads, head->raw_bytes) +
                                         n_lanes * BUNDLE_PLAN_BYTES);
    mth_memory_free(memory, e);
    thread += sizeof(struct mth_bundle_worker);
    *need = (struct mth_memory_need){.thread_bytes = thread, .n_threads = n_threads};
    need->total_bytes =
        add(product(thread, n_threads), FRONT_BYTES + front->n_references * (uint64_t)REGION_BYTES +
                                            front->layout.n_members * (uint64_t)MEMBER_BYTES);
    return MTH_OK;
}

int mth_need_fit_lanes(struct mth_container_front *front, const struct mth_container_head *head,
                       size_t n_threads, bool in_memory, struct mth_memory *memory)
{
    uint64_t bound = BOUND_BYTES + n_threads * (uint64_t)BOUND_THREAD_BYTES, limit = mth_memory_limit(memory);
    struct mth_memory_need need;
    int status = MTH_OK;
    /* Codecs interleave pairs; what more wait for is out of the cache before it is written. */
    if (!in_memory && front->n_lanes > FILE_LANES)
        front->n_lanes = FILE_LANES;
    for (; !status && front->n_lanes > 1; front->n_lanes /= 2) {
        status = mth_need_decode(front, head, n_threads, in_memory, memory, &need);
        if (status)
            break;
        uint64_t total = add(need.total_bytes, mth_memory_current(memory));
        if (need.total_bytes <= bound && total <= limit)
            break;
    }
    return status;
}

int mth_need_check(const struct mth_memory *memory, const struct mth_memory_need *need, struct mth_error *err)
{
    uint64_t limit = mth_memory_limit(memory), current = mth_memory_current(memory);
    uint64_t total = add(need->total_bytes, current);
    if (total <= limit)
        return MTH_OK;
    return mth_error_set(err, MTH_ERR_LIMIT,
                         "may take %.1f MiB, %.1f MiB on each of %zu threads, and %.1f MiB are allowed "
                         "(--memory); fewer threads take less",
                         (double)total / (1 << 20), (double)need->thread_bytes / (1 << 20), need->n_threads,
                         (double)limit / (1 << 20));
}

int mth_compress_memory(const struct mth_pipeline *pipeline, const struct mth_region_map *map, size_t n_bases,
                        const struct mth_stream_config *config, struct mth_memory_need *need,
                        struct mth_error *err)
{
    struct mth_coder *coder;
    struct mth_coder_config coder_config = {
        .n_threads = config->n_threads, .chunk_bytes = config->chunk_bytes, .memory = config->memory};
    struct mth_coder_spec *specs[MTH_N_PLAN_SPECS] = {0};
    size_t before = mth_memory_current(config->memory);
    int status = mth_coder_create_driven(&coder_config, &coder, err);
    if (status)
        return status;
    status = mth_coder_take_plan_specs(coder, pipeline, specs, err);
    if (!status) {
        struct mth_need_encode_job job = {.map = map,
                                          .has_base = n_bases && mth_pipeline_wants_reference(pipeline),
                                          .has_older = n_bases > 1,
                                          .verify = config->verify || mth_pipeline_is_lossy(pipeline),
                                          .chunk_bytes = mth_coder_chunk_bytes(coder, pipeline, n_bases > 0),
                                          .moments_bytes = mth_coder_moments_bytes(coder),
                                          .n_threads = config->n_threads};
        for (size_t i = 0; i < MTH_N_PLAN_SPECS; i++)
            job.specs[i] = specs[i] ? specs[i]->pipeline : NULL;
        mth_pipeline_guards(pipeline, job.guards);
        size_t n_held = mth_memory_current(config->memory) - before;
        status = mth_need_encode(&job, config->memory, need);
        if (status)
            mth_error_set(err, status, "no memory to plan");
        else
            need->total_bytes = add(need->total_bytes, n_held);
    }
    mth_coder_destroy(coder);
    return status;
}
