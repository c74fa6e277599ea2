/*
 * Coding one chunk: its elements down the tree of a pipeline to a payload, and back.
 *
 * The payload holds first the streams that the spec stores as they are, placed there by the transform itself,
 * then the coded streams. What the tree and the chunk's length do not tell - the sizes of coded streams, and
 * of streams of variable length - is noted in the chunk's entry, a run of varints in the order of the walk.
 */
#ifndef MTH_PIPELINE_CHUNK_H
#define MTH_PIPELINE_CHUNK_H

#include "pipeline/arena.h"
#include "pipeline/pipeline.h"

enum {
    MTH_MAX_BATCH = 4, /* chunks that one decode call may interleave */
    MTH_MAX_ENTRY_BYTES =
        2 * 10 * 2 * MTH_MAX_LEAVES /* a size for each stream and each leaf, with room for inner streams */
};

/* One thread's codec states for one pipeline, made when they are first needed. */
struct mth_stage_states {
    void *state[MTH_MAX_NODES];
};

void mth_stage_states_free(const struct mth_pipeline *pipeline, struct mth_stage_states *states);

/* What a thread needs to code chunks. */
struct mth_chunk_worker {
    struct mth_memory *memory;
    struct mth_arena arena;
    /* How rows run through the chunk that is encoded or counted next; n_spans 0: not known. Decoding needs none. */
    const struct mth_row_span *spans;
    size_t n_spans;
    /* Of a root that takes several references, for the chunk that is coded next: all of them; of a codec the base and an older
     * one. */
    const struct mth_bytes *inputs;
    size_t n_inputs;
    struct mth_encode_digests
        *digests; /* of the chunk that is coded next and its reference; NULL: not asked */
    struct mth_forward_digests *forward_digests; /* the same where a transform is the root */
    bool needs_older; /* of the chunk that was encoded last: its codec looked at the older one */
    bool generic;     /* no fused paths: for tests, and to compare with */
};

/* Models of a pipeline's leaves, in the order of the walk; NULL entries: none. */
struct mth_leaf_models {
    const void *model[MTH_MAX_LEAVES];
};

/* Counts for building them; NULL entries: this leaf has none. */
struct mth_leaf_counts {
    void *counts[MTH_MAX_LEAVES];
};

struct mth_chunk_entry {
    uint8_t bytes[MTH_MAX_ENTRY_BYTES];
    size_t n_bytes;
};

/*
 * The most bytes that mth_chunk_encode may write for a chunk of n_bytes, and those of them that are stored
 * streams. Errors: MTH_ERR_UNSUPPORTED, MTH_ERR_OVERFLOW.
 */
int mth_chunk_bound(const struct mth_pipeline *pipeline, struct mth_symbol_type type, size_t n_bytes,
                    size_t *n_bound, size_t *n_stored);

/*
 * Encode a chunk.
 *
 * Shape     src: n_bytes; reference: as long, or data NULL; out: capacity at least the bound above
 * Errors    those of transforms and codecs; MTH_ERR_NO_MEMORY
 */
int mth_chunk_encode(struct mth_chunk_worker *worker, const struct mth_pipeline *pipeline,
                     struct mth_stage_states *states, const struct mth_leaf_models *models,
                     struct mth_symbol_type type, struct mth_bytes src, struct mth_bytes reference,
                     struct mth_buffer *out, struct mth_chunk_entry *entry);

/* Run the transforms only, and let each codec that builds models count its stream. */
int mth_chunk_count(struct mth_chunk_worker *worker, const struct mth_pipeline *pipeline,
                    struct mth_symbol_type type, struct mth_bytes src, struct mth_bytes reference,
                    struct mth_leaf_counts *counts);

struct mth_chunk_decode_job {
    struct mth_bytes payload;
    struct mth_bytes entry;
    struct mth_bytes reference;
    uint8_t *dst;
    size_t dst_bytes;
    /* Of dst and reference, where the codec takes them; only of a job that is decoded alone. NULL: not asked for. */
    struct mth_decode_digests *digests;
};

/*
 * Decode n_jobs chunks (at most MTH_MAX_BATCH) of one pipeline and type, stage by stage side by side.
 * Errors: MTH_ERR_CORRUPT, those of codecs; MTH_ERR_NO_MEMORY. Payloads and entries may be hostile.
 */
int mth_chunk_decode(struct mth_chunk_worker *worker, const struct mth_pipeline *pipeline,
                     struct mth_stage_states *states, const struct mth_leaf_models *models,
                     struct mth_symbol_type type, const struct mth_chunk_decode_job *jobs, size_t n_jobs);

/* The codec state of a node, made at its first use. */
int mth_stage_state(const struct mth_pipeline *pipeline, const struct mth_node *node, unsigned side,
                    struct mth_memory *memory, struct mth_stage_states *states, void **state);

/* What a chunk's stream has at hand of a reference at some depth of the tree. */
struct mth_chunk_reference {
    struct mth_symbol_type type;
    struct mth_bytes bytes; /* data NULL: none */
};

/* What a transform gets as its references; NULL where there are not as many as it wants. */
const struct mth_bytes *mth_chunk_references(const struct mth_chunk_worker *worker,
                                             const struct mth_pipeline *pipeline, const struct mth_node *node,
                                             const struct mth_chunk_reference *reference);

/*
 * The references of a transform's streams. A filter that takes the reference hands it on unchanged; a
 * transform that takes none is applied to the reference as it is to the elements, so that both stay aligned.
 * children[i].bytes is empty where there is none, or no stage below wants one.
 */
int mth_chunk_child_references(struct mth_arena *arena, const struct mth_pipeline *pipeline,
                               const struct mth_node *node, const struct mth_chunk_reference *reference,
                               size_t n_streams, struct mth_chunk_reference *children);

/* Context of a codec that is the root: its reference, and the older one where there is one and it takes it. parts: 2. */
size_t mth_chunk_root_context(const struct mth_chunk_worker *worker, const struct mth_pipeline *pipeline,
                              const struct mth_chunk_reference *reference, struct mth_context_part *parts);

/* Is this child of a transform a stream that lies in the payload as it is? */
static inline bool mth_chunk_is_stored(const struct mth_node *child, const struct mth_stream_plan *plan,
                                       bool fixed)
{
    return fixed && !(plan->flags & MTH_STREAM_VARIABLE) && child->codec &&
           (child->codec->flags & MTH_CODEC_IDENTITY);
}

/* Context of stream i: its reference, then the streams before it. parts: MTH_MAX_STREAMS + 1. */
size_t mth_chunk_context(const struct mth_chunk_reference *reference, const struct mth_stream_plan *plans,
                         const struct mth_bytes *streams, size_t n_before, struct mth_context_part *parts);

#endif
