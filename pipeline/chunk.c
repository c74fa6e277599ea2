/* Encoding a chunk, and what encoding and decoding share; see chunk.h. */
#include "pipeline/chunk.h"

#include "base/checked.h"
#include "base/varint.h"
#include "pipeline/fused/fused.h"

#include <assert.h>
#include <string.h>

void mth_stage_states_free(const struct mth_pipeline *pipeline, struct mth_stage_states *states)
{
    for (size_t i = 0; i < pipeline->n_nodes; i++) {
        if (states->state[i])
            pipeline->nodes[i].codec->destroy(states->state[i]);
        states->state[i] = NULL;
    }
}

int mth_stage_state(const struct mth_pipeline *pipeline, const struct mth_node *node, unsigned side,
                    struct mth_memory *memory, struct mth_stage_states *states, void **state)
{
    size_t index = (size_t)(node - pipeline->nodes);
    if (!states->state[index]) {
        int status = node->codec->create(node->options, side, memory, &states->state[index]);
        if (status) {
            states->state[index] = NULL;
            return status;
        }
    }
    *state = states->state[index];
    return MTH_OK;
}

size_t mth_chunk_context(const struct mth_chunk_reference *reference, const struct mth_stream_plan *plans,
                         const struct mth_bytes *streams, size_t n_before, struct mth_context_part *parts)
{
    size_t n = 0;
    if (reference->bytes.data)
        parts[n++] = (struct mth_context_part){
            .kind = MTH_CONTEXT_REFERENCE, .index = 0, .type = reference->type, .bytes = reference->bytes};
    for (size_t i = 0; i < n_before; i++)
        parts[n++] = (struct mth_context_part){
            .kind = MTH_CONTEXT_STREAM, .index = i, .type = plans[i].type, .bytes = streams[i]};
    return n;
}

size_t mth_chunk_root_context(const struct mth_chunk_worker *worker, const struct mth_pipeline *pipeline,
                              const struct mth_chunk_reference *reference, struct mth_context_part *parts)
{
    const struct mth_codec *codec = pipeline->nodes[0].codec;
    size_t n = mth_chunk_context(reference, NULL, NULL, 0, parts);
    if (n == 1 && codec && codec->flags & MTH_CODEC_TAKES_OLDER && worker->n_inputs == 2)
        parts[n++] = (struct mth_context_part){
            .kind = MTH_CONTEXT_REFERENCE, .index = 1, .type = reference->type, .bytes = worker->inputs[1]};
    return n;
}

const struct mth_bytes *mth_chunk_references(const struct mth_chunk_worker *worker,
                                             const struct mth_pipeline *pipeline, const struct mth_node *node,
                                             const struct mth_chunk_reference *reference)
{
    size_t n = node->transform->n_references;
    if (n > 1)
        return node == &pipeline->nodes[0] && worker->n_inputs == n ? worker->inputs : NULL;
    return n == 0 || reference->bytes.data ? &reference->bytes : NULL;
}

int mth_chunk_child_references(struct mth_arena *arena, const struct mth_pipeline *pipeline,
                               const struct mth_node *node, const struct mth_chunk_reference *reference,
                               size_t n_streams, struct mth_chunk_reference *children)
{
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    struct mth_buffer streams[MTH_MAX_STREAMS];
    const struct mth_transform *transform = node->transform;
    size_t n_planned;
    bool wanted = false;

    for (size_t i = 0; i < n_streams; i++) {
        children[i] = (struct mth_chunk_reference){0};
        wanted |= mth_node_child(pipeline, node, i)->wants_reference;
    }
    if (!wanted || !reference->bytes.data)
        return MTH_OK;
    if (transform->n_references > 0) {
        if (n_streams == 1)
            children[0] = *reference;
        return MTH_OK;
    }
    if (transform->plan(node->options, &reference->type, reference->bytes.n_bytes, plans, &n_planned) ||
        n_planned != n_streams)
        return MTH_OK; /* an earlier filter changed the type: nothing is aligned with these streams */
    struct mth_transform_job job = {.options = node->options,
                                    .type = reference->type,
                                    .n_bytes = reference->bytes.n_bytes,
                                    .plans = plans,
                                    .n_streams = n_streams};
    for (size_t i = 0; i < n_streams; i++) {
        streams[i] = (struct mth_buffer){.data = mth_arena_take(arena, plans[i].n_bytes),
                                         .capacity_bytes = plans[i].n_bytes};
        if (!streams[i].data)
            return MTH_ERR_NO_MEMORY;
    }
    int status = transform->forward(&job, reference->bytes.data, streams);
    for (size_t i = 0; !status && i < n_streams; i++)
        children[i] = (struct mth_chunk_reference){.type = plans[i].type,
                                                   .bytes = {streams[i].data, streams[i].n_bytes}};
    return status;
}

static int add_bound(const struct mth_pipeline *pipeline, const struct mth_node *node,
                     struct mth_symbol_type type, size_t n_bytes, bool fixed, size_t *n_bound,
                     size_t *n_stored)
{
    if (node->codec) {
        if (fixed && (node->codec->flags & MTH_CODEC_IDENTITY)) {
            *n_stored += n_bytes;
            return mth_size_add(*n_bound, n_bytes, n_bound) ? MTH_OK : MTH_ERR_OVERFLOW;
        }
        size_t bound = node->codec->bound ? node->codec->bound(node->options, n_bytes) : 0;
        return mth_size_add(*n_bound, mth_size_max(bound, n_bytes), n_bound) ? MTH_OK : MTH_ERR_OVERFLOW;
    }
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    size_t n_streams;
    int status = node->transform->plan(node->options, &type, n_bytes, plans, &n_streams);
    for (size_t i = 0; !status && i < n_streams; i++)
        status = add_bound(pipeline, mth_node_child(pipeline, node, i), plans[i].type, plans[i].n_bytes,
                           fixed && !(plans[i].flags & MTH_STREAM_VARIABLE), n_bound, n_stored);
    return status;
}

int mth_chunk_bound(const struct mth_pipeline *pipeline, struct mth_symbol_type type, size_t n_bytes,
                    size_t *n_bound, size_t *n_stored)
{
    *n_bound = 0;
    *n_stored = 0;
    return add_bound(pipeline, &pipeline->nodes[0], type, n_bytes, true, n_bound, n_stored);
}

/* An encoding in progress. counts is set when only models are being counted. */
struct encoding {
    struct mth_chunk_worker *worker;
    const struct mth_pipeline *pipeline;
    struct mth_stage_states *states;
    const struct mth_leaf_models *models;
    struct mth_leaf_counts *counts;
    struct mth_chunk_entry *entry;
    uint8_t *out;
    size_t capacity;
    size_t stored_at; /* where the next stored stream goes */
    size_t coded_at;  /* where the next coded stream goes */
    size_t n_leaves;
};

/* What a node of the tree is given. */
struct stream {
    struct mth_symbol_type type;
    struct mth_bytes bytes;
    bool fixed;   /* its size follows from the chunk's */
    bool placed;  /* it lies in the payload already */
    bool in_rows; /* a symbol for each element of the chunk, so that they lie in its rows */
    struct mth_context context;
    struct mth_chunk_reference reference;
};

static int note(struct encoding *e, uint64_t value)
{
    if (e->entry->n_bytes + MTH_VARINT_MAX_BYTES > sizeof e->entry->bytes)
        return MTH_ERR_LIMIT;
    e->entry->n_bytes += mth_varint_put(e->entry->bytes + e->entry->n_bytes, value);
    return MTH_OK;
}

/* Codes one stream to the end of the payload; one that does not shrink, or that the codec refuses, is stored
 * there. */
static int encode_leaf(struct encoding *e, const struct mth_node *node, const struct stream *stream)
{
    size_t leaf = e->n_leaves++;
    const struct mth_codec *codec = node->codec;
    if (stream->fixed && (codec->flags & MTH_CODEC_IDENTITY)) {
        if (!stream->placed && !e->counts && stream->bytes.n_bytes) {
            memcpy(e->out + e->stored_at, stream->bytes.data, stream->bytes.n_bytes);
            e->stored_at += stream->bytes.n_bytes;
        }
        return MTH_OK;
    }
    if (e->counts) {
        if (e->counts->counts[leaf])
            codec->models->count(node->options, &stream->bytes, &stream->context, e->counts->counts[leaf]);
        return MTH_OK;
    }
    int status = MTH_ERR_UNSUPPORTED;
    struct mth_encode_job job = {.src = stream->bytes,
                                 .type = stream->type,
                                 .context = stream->context,
                                 .model = e->models ? e->models->model[leaf] : NULL,
                                 .dst = e->out + e->coded_at,
                                 .dst_capacity = e->capacity - e->coded_at,
                                 .digests = node == e->pipeline->nodes ? e->worker->digests : NULL};
    if (stream->in_rows && codec->flags & MTH_CODEC_TAKES_ROWS) {
        job.spans = e->worker->spans;
        job.n_spans = e->worker->n_spans;
    }
    if (!(codec->flags & MTH_CODEC_IDENTITY) && codec->bound(node->options, stream->bytes.n_bytes) > 0) {
        void *state;
        status = mth_stage_state(e->pipeline, node, MTH_SIDE_ENCODE, e->worker->memory, e->states, &state);
        if (status)
            return status;
        status = codec->encode(state, &job);
    }
    if (status && status != MTH_ERR_UNSUPPORTED && status != MTH_ERR_CAPACITY)
        return status;
    bool raw = status || job.out.n_bytes >= stream->bytes.n_bytes;
    if (raw)
        job.out = stream->bytes;
    e->worker->needs_older |= !raw && job.needs_older;
    if (job.out.n_bytes && job.out.data != job.dst)
        memmove(job.dst, job.out.data, job.out.n_bytes);
    e->coded_at += job.out.n_bytes;
    return note(e, (uint64_t)job.out.n_bytes << 1 | raw);
}

static int encode_node(struct encoding *e, const struct mth_node *node, const struct stream *input);

/* A buffer for each stream: in the payload for those that are stored as they are, in scratch for the others.
 */
static int place_streams(struct encoding *e, const struct mth_node *node, const struct mth_stream_plan *plans,
                         size_t n_streams, bool fixed, struct mth_buffer *streams, bool *placed)
{
    for (size_t i = 0; i < n_streams; i++) {
        placed[i] = !e->counts && mth_chunk_is_stored(mth_node_child(e->pipeline, node, i), &plans[i], fixed);
        streams[i] = (struct mth_buffer){.capacity_bytes = plans[i].n_bytes};
        if (placed[i]) {
            streams[i].data = e->out + e->stored_at;
            e->stored_at += plans[i].n_bytes;
        } else {
            streams[i].data = mth_arena_take(&e->worker->arena, plans[i].n_bytes);
            if (!streams[i].data)
                return MTH_ERR_NO_MEMORY;
        }
    }
    return MTH_OK;
}

/* A transform and its streams in one pass, where there is one for them; MTH_ERR_UNSUPPORTED where there is none. */
static int encode_fused(struct encoding *e, const struct mth_node *node, const struct stream *input,
                        const struct mth_stream_plan *plans)
{
    const struct mth_fused *fused =
        e->counts || e->worker->generic || !input->fixed ? NULL : mth_fused_find(e->pipeline, node);
    if (!fused)
        return MTH_ERR_UNSUPPORTED;
    size_t coded = fused->coded_stream;
    struct mth_encode_job job = {.src = {NULL, plans[coded].n_bytes},
                                 .type = plans[coded].type,
                                 .model = e->models ? e->models->model[e->n_leaves + coded] : NULL,
                                 .dst = e->out + e->coded_at,
                                 .dst_capacity = e->capacity - e->coded_at};
    struct mth_fused_encode_job fused_job = {.node = node,
                                             .plans = plans,
                                             .type = input->type,
                                             .src = input->bytes,
                                             .stored = e->out + e->stored_at,
                                             .coded = &job};
    int status = mth_stage_state(e->pipeline, mth_node_child(e->pipeline, node, coded), MTH_SIDE_ENCODE,
                                 e->worker->memory, e->states, &fused_job.state);
    if (!status)
        status = fused->encode(&fused_job);
    if (status)
        return status;
    if (job.out.n_bytes >= plans[coded].n_bytes)
        return MTH_ERR_UNSUPPORTED;
    if (job.out.data != job.dst)
        memmove(job.dst, job.out.data, job.out.n_bytes);
    e->stored_at += plans[1 - coded].n_bytes;
    e->coded_at += job.out.n_bytes;
    e->n_leaves += 2;
    return note(e, (uint64_t)job.out.n_bytes << 1);
}

static int encode_transform(struct encoding *e, const struct mth_node *node, const struct stream *input)
{
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    struct mth_buffer buffers[MTH_MAX_STREAMS];
    struct mth_bytes streams[MTH_MAX_STREAMS];
    struct mth_chunk_reference references[MTH_MAX_STREAMS];
    bool placed[MTH_MAX_STREAMS];
    size_t n_streams;
    const struct mth_transform *transform = node->transform;

    const struct mth_bytes *references_of_root =
        mth_chunk_references(e->worker, e->pipeline, node, &input->reference);
    if (!references_of_root)
        return MTH_ERR_UNSUPPORTED;
    int status = transform->plan(node->options, &input->type, input->bytes.n_bytes, plans, &n_streams);
    if (status)
        return status;
    status = encode_fused(e, node, input, plans);
    if (status != MTH_ERR_UNSUPPORTED)
        return status;
    status = place_streams(e, node, plans, n_streams, input->fixed, buffers, placed);
    if (status)
        return status;
    struct mth_transform_job job = {
        .options = node->options,
        .type = input->type,
        .n_bytes = input->bytes.n_bytes,
        .references = references_of_root,
        .plans = plans,
        .n_streams = n_streams,
        .digests = node == e->pipeline->nodes && !e->counts ? e->worker->forward_digests : NULL};
    if (input->in_rows) {
        job.spans = e->worker->spans;
        job.n_spans = e->worker->n_spans;
    }
    status = transform->forward(&job, input->bytes.data, buffers);
    if (!status)
        status = mth_chunk_child_references(&e->worker->arena, e->pipeline, node, &input->reference,
                                            n_streams, references);
    for (size_t i = 0; !status && i < n_streams; i++) {
        struct mth_context_part parts[MTH_MAX_STREAMS + 1];
        bool variable = (plans[i].flags & MTH_STREAM_VARIABLE) != 0;
        assert(variable || buffers[i].n_bytes == plans[i].n_bytes);
        streams[i] = (struct mth_bytes){buffers[i].data, buffers[i].n_bytes};
        struct stream child = {
            .type = plans[i].type,
            .bytes = streams[i],
            .fixed = input->fixed && !variable,
            .placed = placed[i],
            .in_rows = input->in_rows && !variable &&
                       plans[i].n_symbols == input->bytes.n_bytes * 8 / input->type.container_bits,
            .reference = references[i],
            .context = {parts, mth_chunk_context(&references[i], plans, streams, i, parts)},
        };
        if (variable && !e->counts)
            status = note(e, streams[i].n_bytes);
        if (!status)
            status = encode_node(e, mth_node_child(e->pipeline, node, i), &child);
    }
    return status;
}

static int encode_node(struct encoding *e, const struct mth_node *node, const struct stream *input)
{
    return node->codec ? encode_leaf(e, node, input) : encode_transform(e, node, input);
}

static int encode_root(struct encoding *e, struct mth_symbol_type type, struct mth_bytes src,
                       struct mth_bytes reference)
{
    struct mth_context_part parts[2];
    struct mth_chunk_reference base = {.type = type, .bytes = reference};
    struct stream input = {
        .type = type,
        .bytes = src,
        .fixed = true,
        .in_rows = true,
        .reference = base,
        .context = {parts, mth_chunk_root_context(e->worker, e->pipeline, &base, parts)},
    };
    mth_arena_reset(&e->worker->arena);
    return encode_node(e, &e->pipeline->nodes[0], &input);
}

int mth_chunk_encode(struct mth_chunk_worker *worker, const struct mth_pipeline *pipeline,
                     struct mth_stage_states *states, const struct mth_leaf_models *models,
                     struct mth_symbol_type type, struct mth_bytes src, struct mth_bytes reference,
                     struct mth_buffer *out, struct mth_chunk_entry *entry)
{
    size_t n_bound, n_stored;
    int status = mth_chunk_bound(pipeline, type, src.n_bytes, &n_bound, &n_stored);
    if (status)
        return status;
    if (out->capacity_bytes < n_bound)
        return MTH_ERR_CAPACITY;
    entry->n_bytes = 0;
    worker->needs_older = false;
    struct encoding e = {.worker = worker,
                         .pipeline = pipeline,
                         .states = states,
                         .models = models,
                         .entry = entry,
                         .out = out->data,
                         .capacity = out->capacity_bytes,
                         .coded_at = n_stored};
    status = encode_root(&e, type, src, reference);
    out->n_bytes = e.coded_at;
    return status;
}

int mth_chunk_count(struct mth_chunk_worker *worker, const struct mth_pipeline *pipeline,
                    struct mth_symbol_type type, struct mth_bytes src, struct mth_bytes reference,
                    struct mth_leaf_counts *counts)
{
    struct encoding e = {.worker = worker, .pipeline = pipeline, .counts = counts};
    return encode_root(&e, type, src, reference);
}
