/*
 * The spec language: one line of text -> a tree of stages, and back as canonical text. Grammar: docs/spec.md.
 *
 *   spec     = candidate { "," candidate }                       where there are several
 *   candidate = [ guard "=" ] chain(1)                           a guard says which tensors it is for
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
    struct mth_spec_guard guard; /* of the candidates to come */
    unsigned nesting;            /* of named specs */
    unsigned depth_above;        /* of splitters that the text stands below */
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
    char schema[256] = "", hint[MTH_HINT_BYTES];
    const char *nearest = NULL;
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
    mth_did_you_mean(at, n, "", nearest, hint);
    bool has_options = hint[0] && schema[0];
    return mth_error_set(
        parser->err, MTH_ERR_SPEC,
        "spec '%.120s': no codec, transform or preset is called '%.*s'%s%s%s; `mithril list` "
        "shows all",
        parser->text, (int)mth_size_min(n, MTH_MAX_NAME_BYTES), at, hint, has_options ? " It takes " : "",
        has_options ? schema : "");
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

/* The spec that a word of n bytes stands for: one that was defined, or a preset's. NULL: none. */
static int find_named(const struct parser *parser, const char *word, size_t n, const char **spec)
{
    *spec = define_find(word, n);
    const struct mth_preset *preset = *spec ? NULL : mth_preset_find(word, n);
    if (!preset)
        return MTH_OK;
    *spec = parser->has_base ? preset->delta : preset->spec;
    return *spec ? MTH_OK
                 : mth_error_set(parser->err, MTH_ERR_UNSUPPORTED, "preset %s has no form %s a base",
                                 preset->name, parser->has_base ? "with" : "without");
}

/* A named spec in the place of a codec: parsed on its own, its tree grafted here. */
static int parse_named(struct parser *parser, const char *spec, unsigned depth, size_t *index)
{
    struct parser inner = *parser;
    inner.text = spec;
    inner.at = spec;
    inner.depth_above += depth - 1;
    if (++inner.nesting > MTH_MAX_NESTING)
        return fail(parser, parser->at, "named specs nest too deep");
    int status = parse_chain(&inner, 1, index);
    if (!status && *inner.at == ',')
        status = fail(parser, parser->at, "a list of candidates can not stand inside a spec");
    else if (!status && *inner.at != '\0')
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
    if (parser->depth_above + depth > MTH_MAX_NESTING + 1)
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
    const char *named;
    int status = find_named(parser, word, n, &named);
    if (status)
        return status;
    if (named)
        return parse_named(parser, named, depth, index);
    return fail_unknown(parser, word, n);
}

/* Candidates in the order in which they are written. */
struct candidates {
    struct mth_pipeline *first, **end;
    size_t n;
    bool relates;
};

static int parse_list(struct parser *parser, struct candidates *list);

/* The list that a word with options stands for; allocated, NULL without memory. */
static char *with_options(const char *spec, const char *options, size_t n_options)
{
    char *text = calloc(1, strlen(spec) * (n_options + 1) + 1), *out = text;
    for (; text && *spec; spec++) {
        if (*spec == '*') {
            memcpy(out, options, n_options);
            out += n_options;
        } else {
            *out++ = *spec;
        }
    }
    return text;
}

/* A preset's name of n bytes, and options for it. */
static int parse_preset_with_options(struct parser *parser, const struct mth_preset *preset, size_t n,
                                     struct candidates *list)
{
    const char *options = parser->at + n;
    size_t n_options = strcspn(options, ",");
    struct parser inner = *parser;
    char *text = with_options(parser->has_base ? preset->delta_with_options : preset->spec_with_options,
                              options, n_options);
    if (!text)
        return mth_error_set(parser->err, MTH_ERR_NO_MEMORY, "no memory for a pipeline");
    inner.text = inner.at = text;
    int status = strcspn(options, "+/") >= n_options
                     ? parse_list(&inner, list)
                     : fail(parser, options, "a preset with options can only stand alone");
    parser->at = options + n_options;
    free(text);
    return status;
}

/* "bf16.matrix=" before a candidate, or before a name, for all candidates that this stands for. */
static int parse_guard(struct parser *parser)
{
    size_t n = word_length(parser->at);
    if (n == 0 || parser->at[n] != '=')
        return MTH_OK;
    if (!mth_guard_is_open(&parser->guard))
        return fail(parser, parser->at, "a candidate has two guards");
    if (mth_guard_parse(parser->at, n, &parser->guard))
        return fail(parser, parser->at,
                    "before '=' must stand a dtype, a class of tensors, or both, as in f32.adam_m=");
    parser->at += n + 1;
    return MTH_OK;
}

static int parse_candidate(struct parser *parser, struct candidates *list)
{
    int guarded = parse_guard(parser);
    if (guarded)
        return guarded;
    size_t n = word_length(parser->at), root;
    const struct mth_preset *preset = parser->at[n] == ':' ? mth_preset_find(parser->at, n) : NULL;
    if (preset && preset->spec_with_options)
        return parse_preset_with_options(parser, preset, n, list);
    if (parser->at[n] == ',' || parser->at[n] == '\0') {
        const char *spec;
        int status = find_named(parser, parser->at, n, &spec);
        if (status)
            return status;
        if (spec) {
            struct parser inner = *parser;
            inner.text = inner.at = spec;
            if (++inner.nesting > MTH_MAX_NESTING)
                return fail(parser, parser->at, "named specs nest too deep");
            parser->at += n;
            return parse_list(&inner, list);
        }
    }
    if (n == strlen(MTH_RELATED_WORD) && memcmp(parser->at, MTH_RELATED_WORD, n) == 0) {
        parser->at += n;
        list->relates = true;
        return MTH_OK;
    }
    if (list->n == MTH_MAX_CANDIDATES)
        return fail(parser, parser->at, "too many candidates");
    struct mth_pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (!pipeline)
        return mth_error_set(parser->err, MTH_ERR_NO_MEMORY, "no memory for a pipeline");
    *list->end = pipeline;
    list->end = &pipeline->next;
    list->n++;
    pipeline->guard = parser->guard;
    parser->pipeline = pipeline;
    const char *begin = parser->at;
    int status = parse_chain(parser, 1, &root);
    if (!status && mth_pipeline_finish(pipeline))
        status = fail(parser, parser->at, "the spec is too long");
    /* It is told of rows of values, and what comes of a transform is neither. */
    for (size_t i = 1; !status && i < pipeline->n_nodes; i++) {
        const struct mth_transform *transform = pipeline->nodes[i].transform;
        if (transform && transform->flags & MTH_TRANSFORM_LOSSY)
            status = fail(parser, begin, "a lossy transform can only be the first");
    }
    return status;
}

static int parse_list(struct parser *parser, struct candidates *list)
{
    const struct mth_spec_guard outer = parser->guard;
    for (;;) {
        int status = parse_candidate(parser, list);
        if (status)
            return status;
        parser->guard = outer;
        if (*parser->at == '\0')
            return MTH_OK;
        if (*parser->at != ',')
            return fail(parser, parser->at, "the spec should end here");
        parser->at++;
    }
}

int mth_pipeline_parse(const char *spec, bool has_base, struct mth_pipeline **out, struct mth_error *err)
{
    struct candidates list = {.end = &list.first};
    struct parser parser = {
        .text = spec, .at = spec, .has_base = has_base, .guard = {MTH_N_DTYPES, MTH_N_CLASSES}, .err = err};
    int status = parse_list(&parser, &list);
    if (!status && !list.first)
        status = fail(&parser, parser.at, "'" MTH_RELATED_WORD "' needs a candidate beside it");
    if (!status && list.relates && mth_pipeline_is_lossy(list.first))
        status = fail(&parser, parser.at, "'" MTH_RELATED_WORD "' does not go with what is lossy");
    if (!status) {
        list.first->relates = list.relates;
        status = mth_pipeline_finish_list(list.first);
        if (status == MTH_ERR_NO_MEMORY)
            mth_error_set(err, status, "no memory for a pipeline");
        else if (status)
            fail(&parser, parser.at, "the spec is too long");
    }
    if (status) {
        mth_pipeline_destroy(list.first);
        return status;
    }
    *out = list.first;
    return MTH_OK;
}

int mth_pipeline_parse_alone(const char *spec, struct mth_pipeline **pipeline, struct mth_error *err)
{
    struct mth_pipeline *without;
    int status = mth_pipeline_parse(spec, false, pipeline, err);
    if (status || !mth_pipeline_needs_base(*pipeline))
        return status;
    status = mth_pipeline_without_references(*pipeline, &without);
    mth_pipeline_destroy(*pipeline);
    *pipeline = status ? NULL : without;
    return status ? mth_error_set(err, status, "'%.80s' cannot do without a base", spec) : MTH_OK;
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
