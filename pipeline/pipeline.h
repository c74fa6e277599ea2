/* A parsed spec as a tree of stages; shared by the parts of the pipeline folder. */
#ifndef MTH_PIPELINE_PIPELINE_H
#define MTH_PIPELINE_PIPELINE_H

#include "formats/tensor_class.h"
#include "pipeline/mithril.h"

enum { MTH_MAX_NODES = 64, MTH_MAX_LEAVES = 64, MTH_SPEC_TEXT_BYTES = 4096, MTH_MAX_CANDIDATES = 10 };

/*
 * A node is a transform with a child for each branch written, or a codec: a leaf. Stream i of a transform
 * goes to child i, or to the last child when there are fewer. A child comes behind its parent in the array.
 */
struct mth_node {
    const struct mth_transform *transform; /* NULL in a leaf */
    const struct mth_codec *codec;         /* NULL in a transform */
    int64_t options[MTH_MAX_OPTIONS];
    size_t n_children;
    uint8_t children[MTH_MAX_STREAMS];
    bool wants_reference; /* this stage or one below looks at a reference */
    bool wants_siblings;  /* a codec below looks at its context */
    bool wants_rows;      /* this stage or one below looks at rows */
};

/* Which tensors a candidate is for: of a dtype, of a class, or both; MTH_N_DTYPES and MTH_N_CLASSES stand for any. */
struct mth_spec_guard {
    uint8_t dtype;  /* enum mth_dtype */
    uint8_t class_; /* enum mth_tensor_class */
};

/* A spec, or the first of several in a list, from which the planner chooses. */
struct mth_pipeline {
    struct mth_pipeline *next; /* the candidate after this one, owned; NULL: the last */
    char *list;                /* canonical text of this one and all behind it; NULL where that is text */
    struct mth_node nodes[MTH_MAX_NODES]; /* the root is node 0 */
    size_t n_nodes;
    struct mth_spec_guard guard;
    bool relates; /* of the first: tensors are predicted from each other */
    bool needs_base;
    bool is_lossy;
    bool has_models;
    bool takes_rows;  /* some codec looks at rows, if it is told of them */
    bool interleaves; /* some codec decodes a batch faster */
    char text[MTH_SPEC_TEXT_BYTES];
};

static inline const struct mth_node *mth_node_child(const struct mth_pipeline *pipeline,
                                                    const struct mth_node *node, size_t stream)
{
    size_t i = stream < node->n_children ? stream : node->n_children - 1;
    return &pipeline->nodes[node->children[i]];
}

/* Behind a tree that was just built: facts about its nodes, and its text. Errors: MTH_ERR_SPEC when that is too long. */
int mth_pipeline_finish(struct mth_pipeline *pipeline);
/* Stands in a list beside candidates: tensors are predicted from each other. */
#define MTH_RELATED_WORD "related"

/* Behind a list: its text, the candidates' with commas between. Errors: MTH_ERR_SPEC, MTH_ERR_NO_MEMORY. */
int mth_pipeline_finish_list(struct mth_pipeline *first);

/* ---- guards: spec_guard.c ---- */

enum { MTH_GUARD_TEXT_BYTES = 32 };

static inline bool mth_guard_is_open(const struct mth_spec_guard *guard)
{
    return guard->dtype == MTH_N_DTYPES && guard->class_ == MTH_N_CLASSES;
}

/* "bf16", "vector" or "f32.adam_m", n_text bytes of it. Errors: MTH_ERR_SPEC. */
int mth_guard_parse(const char *text, size_t n_text, struct mth_spec_guard *guard);
/* What stands before the candidate, with its "="; "" where there is no guard. */
void mth_guard_print(const struct mth_spec_guard *guard, char out[MTH_GUARD_TEXT_BYTES]);
bool mth_pipeline_is_guarded(const struct mth_pipeline *pipeline);
/* Those of all candidates; open ones where there are no more. */
void mth_pipeline_guards(const struct mth_pipeline *pipeline,
                         struct mth_spec_guard guards[MTH_MAX_CANDIDATES]);

/* Does a stage of any candidate look at a reference? At rows? */
bool mth_pipeline_wants_reference(const struct mth_pipeline *pipeline);
bool mth_pipeline_wants_rows(const struct mth_pipeline *pipeline);
/* Does a codec of any candidate take them as a hint, where chunks are as they are without? */
bool mth_pipeline_takes_rows(const struct mth_pipeline *pipeline);

/*
 * The same pipeline without the filters that take a reference, for what has none. Of a list, those candidates that have
 * such a form.
 * Errors: MTH_ERR_UNSUPPORTED when a transform of several streams takes one; MTH_ERR_NO_MEMORY.
 */
int mth_pipeline_without_references(const struct mth_pipeline *pipeline, struct mth_pipeline **out);

/* The same of the first candidate alone, whatever stands behind it. */
int mth_candidate_without_references(const struct mth_pipeline *candidate, struct mth_pipeline **out);

/* Parse a spec as what it is without a base: a preset's own form, and a delta spec without what looks at a base. */
int mth_pipeline_parse_alone(const char *spec, struct mth_pipeline **pipeline, struct mth_error *err);

/* Do all transforms of a candidate take the streams that elements of this type lead to, in at most MTH_MAX_LEAVES coded
 * streams? */
bool mth_pipeline_accepts(const struct mth_pipeline *pipeline, struct mth_symbol_type type);

#endif
