/*
 * The spec language: one line of text -> a tree of stages, and back as canonical text. Grammar: docs/spec.md.
 *
 *   spec     = chain(1)
 *   chain(d) = filter "+" chain(d)                             a transform that yields one stream
 *            | splitter "+" chain(d+1) { slashes(d) chain(d+1) } a transform that yields several, a branch
 * for each | codec | name                                    name: a preset or a defined sub-spec stage    =
 * word [ "@" version ] { ":" option "=" value }
 *
 * slashes(d) is a run of exactly d slashes. People write one level, and name what nests deeper; canonical
 * text has no names left in it and may need more.
 */
#include "pipeline/pipeline.h"

#include "base/checked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MTH_MAX_NESTING = 8, MTH_MAX_DEFINES = 64, MTH_MAX_NAME_BYTES = 48 };

static struct {
    char name[MTH_MAX_NAME_BYTES];
    char *spec;
} defines[MTH_MAX_DEFINES];
static size_t n_defines;

struct parser {
    struct mth_pipeline *pipeline;
    const char *text; /* what is being parsed, for messages */
    const char *at;
    bool has_base;
    unsigned nesting;
    struct mth_error *err;
};

static int parse_chain(struct parser *parser, unsigned depth, size_t *index);

static int fail(const struct parser *parser, const char *at, const char *what)
{
    return mth_error_set(parser->err, MTH_ERR_SPEC, "spec '%.120s', character %zu: %s", parser->text,
                         (size_t)(at - parser->text) + 1, what);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

static size_t word_length(const char *at)
{
    size_t n = 0;
    while (is_word(at[n]))
        n++;
    return n;
}

static const char *define_find(const char *name, size_t n_name)
{
    for (size_t i = 0; i < n_defines; i++) {
        if (strlen(defines[i].name) == n_name && memcmp(defines[i].name, name, n_name) == 0)
            return defines[i].spec;
    }
    return NULL;
}

/* The nearest name there is, with its schema, for a stage that nobody knows. */
static int fail_unknown(const struct parser *parser, const char *at, size_t n)
{
    char schema[256] = "";
    const char *nearest = "store";
    size_t best = SIZE_MAX;
    const struct mth_codec *codec;
    const struct mth_transform *transform;
    const struct mth_preset *preset;

    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
        size_t distance = mth_edit_distance(at, n, codec->name);
        if (distance < best) {
            best = distance;
            nearest = codec->name;
            mth_option_schema(codec->options, codec->n_options, schema, sizeof schema);
        }
    }
    for (size_t i = 0; (transform = mth_transform_at(i)) != NULL; i++) {
        size_t distance = mth_edit_distance(at, n, transform->name);
        if (distance < best) {
            best = distance;
            nearest = transform->name;
            mth_option_schema(transform->options, transform->n_options, schema, sizeof schema);
        }
    }
    for (size_t i = 0; (preset = mth_preset_at(i)) != NULL; i++) {
        size_t distance = mth_edit_distance(at, n, preset->name);
        if (distance < best) {
            best = distance;
            nearest = preset->name;
            schema[0] = '\0';
        }
    }
    return mth_error_set(parser->err, MTH_ERR_SPEC,
                         "spec '%.120s': no codec, transform or preset is called '%.*s'; nearest is %s%s%s%s",
                         parser->text, (int)mth_size_min(n, MTH_MAX_NAME_BYTES), at, nearest,
                         schema[0] ? " with " : "", schema, "; `mithril list` shows all");
}

static int new_node(struct parser *parser, const char *at, struct mth_node **node, size_t *index)
{
    struct mth_pipeline *pipeline = parser->pipeline;
    if (pipeline->n_nodes == MTH_MAX_NODES)
        return fail(parser, at, "too many stages");
    *index = pipeline->n_nodes++;
    *node = &pipeline->nodes[*index];
    **node = (struct mth_node){0};
    return MTH_OK;
}

/* "@version" and ":option=value ..." behind the word of a stage. */
static int parse_settings(struct parser *parser, const char *name, uint32_t version,
                          const struct mth_option *options, size_t n_options, int64_t *values)
{
    mth_option_defaults(options, n_options, values);
    if (*parser->at == '@') {
        char *end;
        unsigned long asked = strtoul(parser->at + 1, &end, 10);
        if (end == parser->at + 1)
            return fail(parser, parser->at, "a version number must follow '@'");
        if (asked != version)
            return mth_error_set(parser->err, MTH_ERR_UNSUPPORTED, "%s@%lu is not known here, only %s@%u",
                                 name, asked, name, (unsigned)version);
        parser->at = end;
    }
    while (*parser->at == ':') {
        const char *option = ++parser->at;
        while (is_word(*parser->at) || *parser->at == '=')
            parser->at++;
        int status = mth_option_set(options, n_options, name, option, (size_t)(parser->at - option), values,
                                    parser->err);
        if (status)
            return status;
    }
    return MTH_OK;
}

/* A named spec in the place of a codec: parsed on its own, its tree grafted here. */
static int parse_named(struct parser *parser, const char *spec, size_t *index)
{
    struct parser inner = *parser;
    inner.text = spec;
    inner.at = spec;
    if (++inner.nesting > MTH_MAX_NESTING)
        return fail(parser, parser->at, "named specs nest too deep");
    int status = parse_chain(&inner, 1, index);
    if (!status && *inner.at != '\0')
        status = fail(&inner, inner.at, "the spec should end here");
    return status;
}

static int parse_branches(struct parser *parser, struct mth_node *node, const char *name, unsigned depth)
{
    size_t n_slashes;
    do {
        size_t child;
        if (node->n_children == node->transform->max_streams)
            return mth_error_set(parser->err, MTH_ERR_SPEC,
                                 "spec '%.120s': %s yields at most %zu streams, more branches follow",
                                 parser->text, name, node->transform->max_streams);
        int status = parse_chain(parser, depth + 1, &child);
        if (status)
            return status;
        node->children[node->n_children++] = (uint8_t)child;
        n_slashes = strspn(parser->at, "/");
        if (n_slashes > depth)
            return fail(parser, parser->at, "more slashes than there are levels");
        if (n_slashes == depth)
            parser->at += n_slashes;
    } while (n_slashes == depth);
    return MTH_OK;
}

static int parse_transform(struct parser *parser, const struct mth_transform *transform, unsigned depth,
                           size_t *index)
{
    struct mth_node *node = NULL;
    int status = new_node(parser, parser->at, &node, index);
    if (status)
        return status;
    node->transform = transform;
    status = parse_settings(parser, transform->name, transform->wire_version, transform->options,
                            transform->n_options, node->options);
    if (status)
        return status;
    if (*parser->at == '\0' || *parser->at == '/')
        return mth_error_set(parser->err, MTH_ERR_SPEC,
                             "spec '%.120s': %s is a transform, a codec must follow, as in %s+zstd",
                             parser->text, transform->name, transform->name);
    if (*parser->at != '+')
        return fail(parser, parser->at, "expected '+', ':' or '/'");
    parser->at++;
    if (transform->max_streams > 1)
        return parse_branches(parser, node, transform->name, depth);
    size_t child = 0;
    status = parse_chain(parser, depth, &child);
    node->children[0] = (uint8_t)child;
    node->n_children = 1;
    return status;
}

static int parse_codec(struct parser *parser, const struct mth_codec *codec, size_t *index)
{
    struct mth_node *node = NULL;
    int status = new_node(parser, parser->at, &node, index);
    if (status)
        return status;
    node->codec = codec;
    status = parse_settings(parser, codec->name, codec->wire_version, codec->options, codec->n_options,
                            node->options);
    if (!status && *parser->at == '+')
        return mth_error_set(parser->err, MTH_ERR_SPEC,
                             "spec '%.120s': %s is a codec, nothing can follow it with '+'", parser->text,
                             codec->name);
    return status;
}

static int parse_chain(struct parser *parser, unsigned depth, size_t *index)
{
    if (depth > MTH_MAX_NESTING + 1)
        return fail(parser, parser->at, "stages nest too deep");
    const char *word = parser->at;
    size_t n = word_length(word);
    if (n == 0)
        return fail(parser, word,
                    *word ? "expected the name of a codec or transform" : "the spec ends too early");
    parser->at += n;
    const struct mth_transform *transform = mth_transform_find(word, n);
    if (transform)
        return parse_transform(parser, transform, depth, index);
    const struct mth_codec *codec = mth_codec_find(word, n);
    if (codec)
        return parse_codec(parser, codec, index);
    const char *defined = define_find(word, n);
    if (defined)
        return parse_named(parser, defined, index);
    const struct mth_preset *preset = mth_preset_find(word, n);
    if (preset) {
        const char *spec = parser->has_base ? preset->delta : preset->spec;
        if (!spec)
            return mth_error_set(parser->err, MTH_ERR_UNSUPPORTED, "preset %s has no form %s a base",
                                 preset->name, parser->has_base ? "with" : "without");
        return parse_named(parser, spec, index);
    }
    return fail_unknown(parser, word, n);
}

/* Facts about a tree, from the leaves up: children stand behind their parents. */
static void annotate(struct mth_pipeline *pipeline)
{
    pipeline->needs_base = false;
    for (size_t i = pipeline->n_nodes; i-- > 0;) {
        struct mth_node *node = &pipeline->nodes[i];
        if (node->codec) {
            bool context = (node->codec->flags & MTH_CODEC_CONTEXT) &&
                           (!node->codec->uses_context || node->codec->uses_context(node->options));
            node->wants_reference = context;
            node->wants_siblings = context;
            pipeline->has_models |= node->codec->models != NULL;
            pipeline->interleaves |= (node->codec->flags & MTH_CODEC_INTERLEAVES) != 0;
            continue;
        }
        node->wants_reference = node->transform->n_references > 0;
        pipeline->needs_base |= node->wants_reference;
        for (size_t c = 0; c < node->n_children; c++) {
            const struct mth_node *child = &pipeline->nodes[node->children[c]];
            node->wants_reference |= child->wants_reference;
            node->wants_siblings |= child->wants_siblings;
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

static int finish(struct mth_pipeline *pipeline)
{
    struct text_out out = {.text = pipeline->text};
    annotate(pipeline);
    return put_chain(pipeline, 0, 1, &out) ? MTH_OK : MTH_ERR_SPEC;
}

int mth_pipeline_parse(const char *spec, bool has_base, struct mth_pipeline **out, struct mth_error *err)
{
    struct mth_pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (!pipeline)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a pipeline");
    struct parser parser = {.pipeline = pipeline, .text = spec, .at = spec, .has_base = has_base, .err = err};
    size_t root;
    int status = parse_chain(&parser, 1, &root);
    if (!status && *parser.at != '\0')
        status = fail(&parser, parser.at, "the spec should end here");
    if (!status && finish(pipeline))
        status = fail(&parser, parser.at, "the spec is too long");
    if (status) {
        free(pipeline);
        return status;
    }
    *out = pipeline;
    return MTH_OK;
}

void mth_pipeline_destroy(struct mth_pipeline *pipeline)
{
    free(pipeline);
}

const char *mth_pipeline_text(const struct mth_pipeline *pipeline)
{
    return pipeline->text;
}

bool mth_pipeline_needs_base(const struct mth_pipeline *pipeline)
{
    return pipeline->needs_base;
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

int mth_pipeline_without_references(const struct mth_pipeline *pipeline, struct mth_pipeline **out)
{
    struct mth_pipeline *copy = calloc(1, sizeof *copy);
    if (!copy)
        return MTH_ERR_NO_MEMORY;
    size_t root;
    int status = copy_without(pipeline, 0, copy, &root);
    if (!status)
        status = finish(copy);
    if (status) {
        free(copy);
        return status;
    }
    *out = copy;
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

int mth_spec_define(const char *name, const char *spec, struct mth_error *err)
{
    size_t n = word_length(name);
    if (n == 0 || name[n] != '\0' || n >= MTH_MAX_NAME_BYTES)
        return mth_error_set(err, MTH_ERR_SPEC,
                             "'%.60s' is not a name: lower-case letters, digits, '-', '_' and '.'", name);
    if (mth_codec_find(name, n) || mth_transform_find(name, n) || mth_preset_find(name, n) ||
        define_find(name, n))
        return mth_error_set(err, MTH_ERR_SPEC, "the name '%s' is taken", name);
    if (n_defines == MTH_MAX_DEFINES)
        return mth_error_set(err, MTH_ERR_LIMIT, "at most %d specs can be defined", MTH_MAX_DEFINES);
    struct mth_pipeline *pipeline;
    int status = mth_pipeline_parse(spec, false, &pipeline, err);
    if (status)
        return status;
    mth_pipeline_destroy(pipeline);
    size_t n_spec = strlen(spec) + 1;
    char *copy = malloc(n_spec);
    if (!copy)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a spec");
    memcpy(copy, spec, n_spec);
    memcpy(defines[n_defines].name, name, n + 1);
    defines[n_defines++].spec = copy;
    return MTH_OK;
}
