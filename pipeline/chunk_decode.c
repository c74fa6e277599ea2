/* Decoding chunks: the walk of chunk.c backwards, several chunks side by side; see chunk.h. */
#include "pipeline/chunk.h"

#include "base/checked.h"
#include "base/varint.h"
#include "pipeline/fused/fused.h"

#include <string.h>

/* One of the chunks that are decoded side by side. */
struct lane {
    struct mth_reader entry;
    struct mth_reader stored; /* streams that lie in the payload as they are */
    struct mth_reader coded;
};

struct decoding {
    struct mth_chunk_worker *worker;
    const struct mth_pipeline *pipeline;
    struct mth_stage_states *states;
    const struct mth_leaf_models *models;
    struct lane lanes[MTH_MAX_BATCH];
    size_t n_lanes;
    size_t n_leaves;
    struct mth_decode_digests *digests; /* of the only lane, for the root; NULL: not asked for */
};

/* What a node has to produce in one lane: n_bytes at dst, or anywhere when dst is NULL; bytes says where. */
struct wanted {
    struct mth_symbol_type type;
    uint8_t *dst;
    size_t n_bytes;
    bool fixed;
    struct mth_context context;
    struct mth_chunk_reference reference;
    struct mth_bytes bytes;
};

/* Cuts n bytes off the front of a cursor. */
static bool cut(struct mth_reader *reader, uint64_t n, struct mth_bytes *out)
{
    if (n > (uint64_t)(reader->end - reader->at))
        return false;
    *out = (struct mth_bytes){reader->at, (size_t)n};
    reader->at += n;
    return true;
}

/* Bytes that need no decoding: left where they are, unless the caller wants them elsewhere. */
static void deliver(struct wanted *want, struct mth_bytes bytes)
{
    if (want->dst) {
        if (bytes.n_bytes)
            memcpy(want->dst, bytes.data, bytes.n_bytes);
        bytes.data = want->dst;
    }
    want->bytes = bytes;
}

static int decode_leaf(struct decoding *d, const struct mth_node *node, struct wanted *wants)
{
    size_t leaf = d->n_leaves++;
    struct mth_decode_job jobs[MTH_MAX_BATCH];
    size_t n_jobs = 0;
    const struct mth_codec *codec = node->codec;
    bool identity = (codec->flags & MTH_CODEC_IDENTITY) != 0;

    for (size_t i = 0; i < d->n_lanes; i++) {
        struct wanted *want = &wants[i];
        struct mth_bytes coded;
        uint64_t value;
        if (want->fixed && identity) {
            if (!cut(&d->lanes[i].stored, want->n_bytes, &coded))
                return MTH_ERR_CORRUPT;
            deliver(want, coded);
            continue;
        }
        if (!mth_varint_get(&d->lanes[i].entry, &value) || !cut(&d->lanes[i].coded, value >> 1, &coded))
            return MTH_ERR_CORRUPT;
        if (value & 1) {
            if (coded.n_bytes != want->n_bytes)
                return MTH_ERR_CORRUPT;
            deliver(want, coded);
            continue;
        }
        if (identity)
            return MTH_ERR_CORRUPT;
        if (!want->dst)
            want->dst = mth_arena_take(&d->worker->arena, want->n_bytes);
        if (!want->dst)
            return MTH_ERR_NO_MEMORY;
        want->bytes = (struct mth_bytes){want->dst, want->n_bytes};
        jobs[n_jobs++] = (struct mth_decode_job){.src = coded,
                                                 .type = want->type,
                                                 .context = want->context,
                                                 .model = d->models ? d->models->model[leaf] : NULL,
                                                 .dst = want->dst,
                                                 .dst_bytes = want->n_bytes};
    }
    if (n_jobs == 0)
        return MTH_OK;
    void *state;
    int status = mth_stage_state(d->pipeline, node, MTH_SIDE_DECODE, d->worker->memory, d->states, &state);
    if (status)
        return status;
    if (d->digests && node == d->pipeline->nodes && codec->flags & MTH_CODEC_DIGESTS)
        return codec->decode_digested(state, &jobs[0], d->digests);
    return codec->decode(state, jobs, n_jobs);
}

static int decode_node(struct decoding *d, const struct mth_node *node, struct wanted *wants);

/* What the streams of one lane's transform are, as far as is known before they are decoded. */
struct split {
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    struct mth_bytes streams[MTH_MAX_STREAMS];
    struct mth_chunk_reference references[MTH_MAX_STREAMS];
    struct mth_context_part parts[MTH_MAX_STREAMS + 1];
};

/* Plans a lane, takes its reference apart, and finds the streams that lie in the payload as they are. */
static int open_split(struct decoding *d, const struct mth_node *node, struct lane *lane,
                      const struct wanted *want, struct split *split, size_t *n_streams)
{
    const struct mth_transform *transform = node->transform;
    if (!mth_chunk_references(d->worker, d->pipeline, node, &want->reference))
        return MTH_ERR_CORRUPT;
    int status = transform->plan(node->options, &want->type, want->n_bytes, split->plans, n_streams);
    if (status)
        return MTH_ERR_CORRUPT;
    for (size_t s = 0; s < *n_streams; s++) {
        if (mth_chunk_is_stored(mth_node_child(d->pipeline, node, s), &split->plans[s], want->fixed) &&
            !cut(&lane->stored, split->plans[s].n_bytes, &split->streams[s]))
            return MTH_ERR_CORRUPT;
    }
    return mth_chunk_child_references(&d->worker->arena, d->pipeline, node, &want->reference, *n_streams,
                                      split->references);
}

/* Decodes stream s of every lane. */
static int decode_stream(struct decoding *d, const struct mth_node *node, size_t s,
                         const struct wanted *wants, struct split *splits)
{
    struct wanted streams[MTH_MAX_BATCH];
    const struct mth_node *child = mth_node_child(d->pipeline, node, s);

    if (mth_chunk_is_stored(child, &splits[0].plans[s], wants[0].fixed)) {
        d->n_leaves++;
        return MTH_OK;
    }
    for (size_t i = 0; i < d->n_lanes; i++) {
        const struct mth_stream_plan *plan = &splits[i].plans[s];
        bool variable = (plan->flags & MTH_STREAM_VARIABLE) != 0;
        uint64_t n_bytes = plan->n_bytes;
        if (variable && (!mth_varint_get(&d->lanes[i].entry, &n_bytes) || n_bytes > plan->n_bytes))
            return MTH_ERR_CORRUPT;
        streams[i] = (struct wanted){
            .type = plan->type,
            .n_bytes = (size_t)n_bytes,
            .fixed = wants[i].fixed && !variable,
            .reference = splits[i].references[s],
            .context = {splits[i].parts, mth_chunk_context(&splits[i].references[s], splits[i].plans,
                                                           splits[i].streams, s, splits[i].parts)},
        };
    }
    int status = decode_node(d, child, streams);
    for (size_t i = 0; !status && i < d->n_lanes; i++)
        splits[i].streams[s] = streams[i].bytes;
    return status;
}

/* What a fused path is given of every lane; false, and nothing is taken, when one of them is not for it. */
static bool open_fused(struct decoding *d, const struct mth_fused *fused, const struct wanted *wants,
                       const struct split *splits, struct mth_fused_decode_job *jobs)
{
    struct lane after[MTH_MAX_BATCH];
    size_t coded = fused->coded_stream;
    for (size_t i = 0; i < d->n_lanes; i++) {
        uint64_t value;
        after[i] = d->lanes[i];
        if (!wants[i].fixed || !mth_varint_get(&after[i].entry, &value) || value & 1 ||
            !cut(&after[i].coded, value >> 1, &jobs[i].coded) || !fused->takes(jobs[i].coded))
            return false;
        jobs[i].plans = splits[i].plans;
        jobs[i].stored = splits[i].streams[1 - coded];
        jobs[i].model = d->models ? d->models->model[d->n_leaves + coded] : NULL;
        jobs[i].dst_bytes = wants[i].n_bytes;
    }
    memcpy(d->lanes, after, d->n_lanes * sizeof after[0]);
    return true;
}

/* All of a transform in one pass; *done is false, and nothing has happened, when that can not be. */
static int decode_fused(struct decoding *d, const struct mth_node *node, struct wanted *wants,
                        const struct split *splits, bool *done)
{
    struct mth_fused_decode_job jobs[MTH_MAX_BATCH] = {{0}};
    const struct mth_fused *fused = d->worker->generic ? NULL : mth_fused_find(d->pipeline, node);
    void *state;
    *done = fused && open_fused(d, fused, wants, splits, jobs);
    if (!*done)
        return MTH_OK;
    d->n_leaves += 2;
    for (size_t i = 0; i < d->n_lanes; i++) {
        if (!wants[i].dst)
            wants[i].dst = mth_arena_take(&d->worker->arena, wants[i].n_bytes);
        if (!wants[i].dst)
            return MTH_ERR_NO_MEMORY;
        wants[i].bytes = (struct mth_bytes){wants[i].dst, wants[i].n_bytes};
        jobs[i].dst = wants[i].dst;
    }
    int status = mth_stage_state(d->pipeline, mth_node_child(d->pipeline, node, fused->coded_stream),
                                 MTH_SIDE_DECODE, d->worker->memory, d->states, &state);
    if (status || d->n_lanes == 0)
        return status;
    return fused->decode(node, wants[0].type, state, jobs, d->n_lanes);
}

static int decode_transform(struct decoding *d, const struct mth_node *node, struct wanted *wants)
{
    struct split splits[MTH_MAX_BATCH];
    size_t n_streams = 0;
    int status = MTH_OK;

    for (size_t i = 0; !status && i < d->n_lanes; i++) {
        size_t n;
        status = open_split(d, node, &d->lanes[i], &wants[i], &splits[i], &n);
        if (!status && i > 0 && n != n_streams)
            status = MTH_ERR_CORRUPT;
        if (!status)
            n_streams = n;
    }
    bool done = false;
    if (!status)
        status = decode_fused(d, node, wants, splits, &done);
    if (status || done)
        return status;
    for (size_t s = 0; !status && s < n_streams; s++)
        status = decode_stream(d, node, s, wants, splits);
    for (size_t i = 0; !status && i < d->n_lanes; i++) {
        struct wanted *want = &wants[i];
        struct mth_transform_job job = {
            .options = node->options,
            .type = want->type,
            .n_bytes = want->n_bytes,
            .references = mth_chunk_references(d->worker, d->pipeline, node, &want->reference),
            .plans = splits[i].plans,
            .n_streams = n_streams};
        if (!want->dst)
            want->dst = mth_arena_take(&d->worker->arena, want->n_bytes);
        if (!want->dst)
            return MTH_ERR_NO_MEMORY;
        want->bytes = (struct mth_bytes){want->dst, want->n_bytes};
        status = node->transform->inverse(&job, splits[i].streams, want->dst);
    }
    return status;
}

static int decode_node(struct decoding *d, const struct mth_node *node, struct wanted *wants)
{
    return node->codec ? decode_leaf(d, node, wants) : decode_transform(d, node, wants);
}

/* Points a lane's cursors at the parts of its payload. */
static int open_lane(const struct mth_pipeline *pipeline, struct mth_symbol_type type,
                     const struct mth_chunk_decode_job *job, struct lane *lane)
{
    size_t n_bound, n_stored;
    int status = mth_chunk_bound(pipeline, type, job->dst_bytes, &n_bound, &n_stored);
    if (status || n_stored > job->payload.n_bytes)
        return MTH_ERR_CORRUPT;
    const uint8_t *payload = job->payload.data;
    *lane = (struct lane){
        .entry = {job->entry.data, job->entry.data + job->entry.n_bytes},
        .stored = {payload, payload + n_stored},
        .coded = {payload + n_stored, payload + job->payload.n_bytes},
    };
    return MTH_OK;
}

int mth_chunk_decode(struct mth_chunk_worker *worker, const struct mth_pipeline *pipeline,
                     struct mth_stage_states *states, const struct mth_leaf_models *models,
                     struct mth_symbol_type type, const struct mth_chunk_decode_job *jobs, size_t n_jobs)
{
    struct decoding d = {
        .worker = worker, .pipeline = pipeline, .states = states, .models = models, .n_lanes = n_jobs};
    if (n_jobs == 1)
        d.digests = jobs[0].digests;
    struct wanted wants[MTH_MAX_BATCH];
    struct mth_context_part parts[MTH_MAX_BATCH][2];
    int status = MTH_OK;

    mth_arena_reset(&worker->arena);
    for (size_t i = 0; !status && i < n_jobs; i++) {
        struct mth_chunk_reference reference = {.type = type, .bytes = jobs[i].reference};
        wants[i] = (struct wanted){
            .type = type,
            .dst = jobs[i].dst,
            .n_bytes = jobs[i].dst_bytes,
            .fixed = true,
            .reference = reference,
            .context = {parts[i], mth_chunk_root_context(worker, pipeline, &reference, parts[i])},
        };
        status = open_lane(pipeline, type, &jobs[i], &d.lanes[i]);
    }
    if (!status)
        status = decode_node(&d, &pipeline->nodes[0], wants);
    /* Nothing may be left over: what nobody reads, nobody wrote. */
    for (size_t i = 0; !status && i < n_jobs; i++) {
        const struct lane *lane = &d.lanes[i];
        if (lane->entry.at != lane->entry.end || lane->stored.at != lane->stored.end ||
            lane->coded.at != lane->coded.end)
            status = MTH_ERR_CORRUPT;
    }
    return status;
}
