/* A parsed spec: what follows from its tree, its canonical text, and the trees that are made of it; see pipeline.h. */
#include "pipeline/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Facts about a tree, from the leaves up: children stand behind their parents. */
static void annotate(struct mth_pipeline *pipeline)
{
    pipeline->needs_base = pipeline->is_lossy = false;
    for (size_t i = pipeline->n_nodes; i-- > 0;) {
        struct mth_node *node = &pipeline->nodes[i];
        if (node->codec) {
            bool context = (node->codec->flags & MTH_CODEC_CONTEXT) &&
                           (!node->codec->uses_context || node->codec->uses_context(node->options));
            node->wants_reference = context;
            node->wants_siblings = context;
            pipeline->needs_base |= (node->codec->flags & MTH_CODEC_NEEDS_REFERENCE) != 0;
            pipeline->has_models |= node->codec->models != NULL;
            pipeline->takes_rows |= (node->codec->flags & MTH_CODEC_TAKES_ROWS) != 0;
            pipeline->interleaves |= (node->codec->flags & MTH_CODEC_INTERLEAVES) != 0;
            continue;
        }
        pipeline->is_lossy |= (node->transform->flags & MTH_TRANSFORM_LOSSY) != 0;
        node->wants_reference = node->transform->n_references > 0;
        node->wants_rows = (node->transform->flags & MTH_TRANSFORM_ROWS) != 0;
        pipeline->needs_base |= node->wants_reference;
        for (size_t c = 0; c < node->n_children; c++) {
            const struct mth_node *child = &pipeline->nodes[node->children[c]];
            node->wants_reference |= child->wants_reference;
            node->wants_siblings |= child->wants_siblings;
            node->wants_rows |= child->wants_rows;
        }
    }
}

struct text_out {
    char *text;
    size_t length;
};

static bool put(struct text_out *out, const char *text)
{
    size_t n = strlen(text);
    if (out->length + n >= MTH_SPEC_TEXT_BYTES)
        return false;
    memcpy(out->text + out->length, text, n + 1);
    out->length += n;
    return true;
}

static bool put_stage(struct text_out *out, const char *name, uint32_t version,
                      const struct mth_option *options, size_t n_options, const int64_t *values)
{
    char head[96], settings[512];
    snprintf(head, sizeof head, "%s@%u", name, (unsigned)version);
    mth_option_print(options, n_options, values, settings, sizeof settings);
    return put(out, head) && put(out, settings);
}

static bool put_chain(const struct mth_pipeline *pipeline, size_t index, unsigned depth, struct text_out *out)
{
    const struct mth_node *node = &pipeline->nodes[index];
    if (node->codec)
        return put_stage(out, node->codec->name, node->codec->wire_version, node->codec->options,
                         node->codec->n_options, node->options);
    const struct mth_transform *transform = node->transform;
    if (!put_stage(out, transform->name, transform->wire_version, transform->options, transform->n_options,
                   node->options) ||
        !put(out, "+"))
        return false;
    if (transform->max_streams == 1)
        return put_chain(pipeline, node->children[0], depth, out);
    for (size_t c = 0; c < node->n_children; c++) {
        for (unsigned i = 0; c > 0 && i < depth; i++) {
            if (!put(out, "/"))
                return false;
        }
        if (!put_chain(pipeline, node->children[c], depth + 1, out))
            return false;
    }
    return true;
}

int mth_pipeline_finish(struct mth_pipeline *pipeline)
{
    struct text_out out = {.text = pipeline->text};
    annotate(pipeline);
    return put_chain(pipeline, 0, 1, &out) ? MTH_OK : MTH_ERR_SPEC;
}

int mth_pipeline_finish_list(struct mth_pipeline *first)
{
    struct text_out out = {0};
    if (!first->next && !first->relates && mth_guard_is_open(&first->guard))
        return MTH_OK;
    first->list = out.text = calloc(1, MTH_SPEC_TEXT_BYTES);
    if (!out.text)
        return MTH_ERR_NO_MEMORY;
    for (const struct mth_pipeline *p = first; p; p = p->next) {
        char guard[MTH_GUARD_TEXT_BYTES];
        mth_guard_print(&p->guard, guard);
        if (!put(&out, guard) || !put(&out, p->text) || (p->next && !put(&out, ",")))
            return MTH_ERR_SPEC;
    }
    if (first->relates && !put(&out, "," MTH_RELATED_WORD))
        return MTH_ERR_SPEC;
    return MTH_OK;
}

void mth_pipeline_destroy(struct mth_pipeline *pipeline)
{
    while (pipeline) {
        struct mth_pipeline *next = pipeline->next;
        free(pipeline->list);
        free(pipeline);
        pipeline = next;
    }
}

const char *mth_pipeline_text(const struct mth_pipeline *pipeline)
{
    return pipeline->list ? pipeline->list : pipeline->text;
}

/* A codec is given an older base only where nothing stands before it. */
bool mth_pipeline_takes_older(const struct mth_pipeline *pipeline)
{
    for (; pipeline; pipeline = pipeline->next) {
        const struct mth_codec *codec = pipeline->nodes[0].codec;
        if (codec && codec->flags & MTH_CODEC_TAKES_OLDER)
            return true;
    }
    return false;
}

bool mth_pipeline_needs_base(const struct mth_pipeline *pipeline)
{
    for (; pipeline; pipeline = pipeline->next) {
        if (!pipeline->needs_base)
            return false;
    }
    return true;
}

bool mth_pipeline_is_lossy(const struct mth_pipeline *pipeline)
{
    for (; pipeline; pipeline = pipeline->next) {
        if (pipeline->is_lossy)
            return true;
    }
    return false;
}

bool mth_pipeline_wants_reference(const struct mth_pipeline *pipeline)
{
    for (; pipeline; pipeline = pipeline->next) {
        if (pipeline->nodes[0].wants_reference)
            return true;
    }
    return false;
}

bool mth_pipeline_wants_rows(const struct mth_pipeline *pipeline)
{
    for (; pipeline; pipeline = pipeline->next) {
        if (pipeline->nodes[0].wants_rows)
            return true;
    }
    return false;
}

bool mth_pipeline_takes_rows(const struct mth_pipeline *pipeline)
{
    for (; pipeline; pipeline = pipeline->next) {
        if (pipeline->takes_rows)
            return true;
    }
    return false;
}

/* Copies a chain without its reference-taking filters; children are placed behind their parents again. */
static int copy_without(const struct mth_pipeline *from, size_t index, struct mth_pipeline *to, size_t *out)
{
    const struct mth_node *node = &from->nodes[index];
    if (node->transform && node->transform->n_references > 0) {
        if (node->transform->max_streams > 1)
            return MTH_ERR_UNSUPPORTED;
        return copy_without(from, node->children[0], to, out);
    }
    if (node->codec && (node->codec->flags & MTH_CODEC_NEEDS_REFERENCE))
        return MTH_ERR_UNSUPPORTED;
    *out = to->n_nodes++;
    to->nodes[*out] = *node;
    for (size_t c = 0; c < node->n_children; c++) {
        size_t child;
        int status = copy_without(from, node->children[c], to, &child);
        if (status)
            return status;
        to->nodes[*out].children[c] = (uint8_t)child;
    }
    return MTH_OK;
}

int mth_candidate_without_references(const struct mth_pipeline *candidate, struct mth_pipeline **out)
{
    struct mth_pipeline *copy = calloc(1, sizeof *copy);
    if (!copy)
        return MTH_ERR_NO_MEMORY;
    size_t root;
    copy->guard = candidate->guard;
    int status = copy_without(candidate, 0, copy, &root);
    if (!status)
        status = mth_pipeline_finish(copy);
    if (status) {
        free(copy);
        return status;
    }
    *out = copy;
    return MTH_OK;
}

int mth_pipeline_without_references(const struct mth_pipeline *pipeline, struct mth_pipeline **out)
{
    struct mth_pipeline *first = NULL, **end = &first;
    bool relates = pipeline->relates;
    int status = MTH_OK;
    for (; !status && pipeline; pipeline = pipeline->next) {
        status = mth_candidate_without_references(pipeline, end);
        if (!status)
            end = &(*end)->next;
        else if (status == MTH_ERR_UNSUPPORTED)
            status = MTH_OK;
    }
    if (first)
        first->relates = relates;
    if (!status)
        status = first ? mth_pipeline_finish_list(first) : MTH_ERR_UNSUPPORTED;
    if (status) {
        mth_pipeline_destroy(first);
        return status;
    }
    *out = first;
    return MTH_OK;
}

/* n_leaves counts down: a short spec can ask for a splitter of splitters of splitters. */
static bool accepts(const struct mth_pipeline *pipeline, const struct mth_node *node,
                    struct mth_symbol_type type, size_t *n_leaves)
{
    /* A few whole elements of any width: plan's answer depends on the type, not on the length. */
    enum { SAMPLE_BYTES = 1024 };
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    size_t n_streams;
    if (node->codec)
        return *n_leaves && (*n_leaves)--;
    if (node->transform->plan(node->options, &type, SAMPLE_BYTES, plans, &n_streams))
        return false;
    for (size_t i = 0; i < n_streams; i++) {
        if (!accepts(pipeline, mth_node_child(pipeline, node, i), plans[i].type, n_leaves))
            return false;
    }
    return true;
}

bool mth_pipeline_accepts(const struct mth_pipeline *pipeline, struct mth_symbol_type type)
{
    size_t n_leaves = MTH_MAX_LEAVES;
    return accepts(pipeline, &pipeline->nodes[0], type, &n_leaves);
}
