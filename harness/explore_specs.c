/* Specs made from the registries; see explore_specs.h. */
#include "harness/explore_specs.h"

#include "base/hash.h"
#include "pipeline/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the pool ---- */

void mth_spec_pool_free(struct mth_spec_pool *pool)
{
    for (size_t i = 0; i < pool->n_items; i++)
        free(pool->items[i]);
    free(pool->items);
    free(pool->slots);
    *pool = (struct mth_spec_pool){0};
}

static size_t *slot_of(const struct mth_spec_pool *pool, const char *text)
{
    size_t at = (size_t)(mth_hash64(text, strlen(text), 0) % pool->n_slots);
    while (pool->slots[at] && strcmp(pool->items[pool->slots[at] - 1], text) != 0)
        at = (at + 1) % pool->n_slots;
    return &pool->slots[at];
}

/* Room for one more; half of the slots stay empty. */
static int reserve(struct mth_spec_pool *pool)
{
    if (pool->n_items < pool->capacity)
        return MTH_OK;
    size_t capacity = 2 * pool->capacity + 64;
    char **items = realloc(pool->items, capacity * sizeof *items);
    if (!items)
        return MTH_ERR_NO_MEMORY;
    pool->items = items;
    size_t *slots = calloc(2 * capacity + 1, sizeof *slots);
    if (!slots)
        return MTH_ERR_NO_MEMORY;
    free(pool->slots);
    pool->slots = slots;
    pool->n_slots = 2 * capacity + 1;
    pool->capacity = capacity;
    for (size_t i = 0; i < pool->n_items; i++)
        *slot_of(pool, pool->items[i]) = i + 1;
    return MTH_OK;
}

int mth_spec_pool_add(struct mth_spec_pool *pool, const char *text, bool *added)
{
    int status = reserve(pool);
    if (status)
        return status;
    size_t *slot = slot_of(pool, text), n = strlen(text) + 1;
    if (added)
        *added = *slot == 0;
    if (*slot)
        return MTH_OK;
    char *copy = malloc(n);
    if (!copy)
        return MTH_ERR_NO_MEMORY;
    memcpy(copy, text, n);
    pool->items[pool->n_items++] = copy;
    *slot = pool->n_items;
    return MTH_OK;
}

/* ---- trees ---- */

/* What pipelines are made for, and where they go. */
struct maker {
    enum mth_dtype dtype;
    bool has_base;
    struct mth_spec_pool *pool;
};

/* Longer specs are not made: what a stage more brings beyond that is not worth reading it. */
enum { MAX_STAGES = 14, SOME_BYTES = 1024 };

static size_t put_leaf(struct mth_pipeline *to, const struct mth_codec *codec)
{
    struct mth_node *node = &to->nodes[to->n_nodes];
    *node = (struct mth_node){.codec = codec};
    mth_option_defaults(codec->options, codec->n_options, node->options);
    return to->n_nodes++;
}

static size_t put_transform(struct mth_pipeline *to, const struct mth_transform *transform)
{
    struct mth_node *node = &to->nodes[to->n_nodes];
    *node = (struct mth_node){.transform = transform};
    mth_option_defaults(transform->options, transform->n_options, node->options);
    return to->n_nodes++;
}

static void adopt(struct mth_pipeline *to, size_t parent, size_t child)
{
    struct mth_node *node = &to->nodes[parent];
    node->children[node->n_children++] = (uint8_t)child;
}

/* Does any stage take several references? Only relations between tensors find those. */
static bool wants_several(const struct mth_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->n_nodes; i++) {
        if (pipeline->nodes[i].transform && pipeline->nodes[i].transform->n_references > 1)
            return true;
    }
    return false;
}

/* A tree that was built into the pool, if it takes the type; what can not be written down is left out. */
static int offer(const struct maker *maker, struct mth_pipeline *built)
{
    if (built->n_nodes > MAX_STAGES || mth_pipeline_finish(built) || wants_several(built) ||
        built->is_lossy || (built->needs_base && !maker->has_base) ||
        !mth_pipeline_accepts(built, mth_symbol_type_of(maker->dtype)))
        return MTH_OK;
    struct mth_pipeline *parsed = NULL; /* says what the tree does not: too deep, too long */
    struct mth_error err;
    if (mth_pipeline_parse(built->text, maker->has_base, &parsed, &err))
        return MTH_OK;
    mth_pipeline_destroy(parsed);
    return mth_spec_pool_add(maker->pool, built->text, NULL);
}

static struct mth_pipeline *fresh(void)
{
    struct mth_pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (pipeline)
        pipeline->guard = (struct mth_spec_guard){MTH_N_DTYPES, MTH_N_CLASSES};
    return pipeline;
}

/* A codec that does nothing, for streams that are not looked at; the first one where there is none. */
static const struct mth_codec *identity(void)
{
    const struct mth_codec *codec;
    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
        if (codec->flags & MTH_CODEC_IDENTITY)
            return codec;
    }
    return mth_codec_at(0);
}

/* ---- seeds ---- */

static int seed_codec(const struct maker *maker, const struct mth_codec *codec)
{
    struct mth_pipeline *built = fresh();
    if (!built)
        return MTH_ERR_NO_MEMORY;
    put_leaf(built, codec);
    int status = offer(maker, built);
    free(built);
    return status;
}

/* The codec on all streams (only SIZE_MAX), or on one of n. */
static int seed_behind(const struct maker *maker, const struct mth_transform *transform,
                       const struct mth_codec *codec, size_t only, size_t n_streams)
{
    struct mth_pipeline *built = fresh();
    if (!built)
        return MTH_ERR_NO_MEMORY;
    size_t root = put_transform(built, transform), n = only == SIZE_MAX ? 1 : n_streams;
    for (size_t i = 0; i < n; i++)
        adopt(built, root, put_leaf(built, only == SIZE_MAX || i == only ? codec : identity()));
    int status = offer(maker, built);
    free(built);
    return status;
}

/* Streams that a type leads to by default; 0 where the transform does not take it. */
static size_t count_streams(const struct mth_transform *transform, struct mth_symbol_type type)
{
    int64_t options[MTH_MAX_OPTIONS];
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    size_t n = 0;
    mth_option_defaults(transform->options, transform->n_options, options);
    return transform->plan(options, &type, SOME_BYTES, plans, &n) ? 0 : n;
}

static int seed_transform(const struct maker *maker, const struct mth_transform *transform)
{
    const struct mth_codec *codec;
    size_t n = count_streams(transform, mth_symbol_type_of(maker->dtype));
    int status = MTH_OK;
    for (size_t i = 0; !status && n > 0 && (codec = mth_codec_at(i)) != NULL; i++) {
        status = seed_behind(maker, transform, codec, SIZE_MAX, n);
        for (size_t s = 0; !status && n > 1 && s < n; s++)
            status = seed_behind(maker, transform, codec, s, n);
    }
    return status;
}

static int seed_preset(const struct maker *maker, const struct mth_preset *preset)
{
    const char *spec = maker->has_base ? preset->delta : preset->spec;
    struct mth_pipeline *list;
    struct mth_error err;
    int status = MTH_OK;
    if (!spec || mth_pipeline_parse(spec, maker->has_base, &list, &err))
        return MTH_OK;
    for (struct mth_pipeline *p = list; !status && p; p = p->next)
        status = offer(maker, p);
    mth_pipeline_destroy(list);
    return status;
}

int mth_explore_preset_seeds(enum mth_dtype dtype, bool has_base, struct mth_spec_pool *pool)
{
    const struct maker maker = {dtype, has_base, pool};
    const struct mth_preset *preset;
    int status = MTH_OK;
    for (size_t i = 0; !status && (preset = mth_preset_at(i)) != NULL; i++)
        status = seed_preset(&maker, preset);
    return status;
}

int mth_explore_seeds(enum mth_dtype dtype, bool has_base, struct mth_spec_pool *pool)
{
    const struct maker maker = {dtype, has_base, pool};
    const struct mth_codec *codec;
    const struct mth_transform *transform;
    int status = MTH_OK;
    for (size_t i = 0; !status && (codec = mth_codec_at(i)) != NULL; i++)
        status = seed_codec(&maker, codec);
    for (size_t i = 0; !status && (transform = mth_transform_at(i)) != NULL; i++)
        status = seed_transform(&maker, transform);
    return status;
}

/* ---- neighbours ---- */

enum change { REPLACE_CODEC, SET_OPTION, INSERT, REMOVE };

/* One change at one node. */
struct edit {
    enum change change;
    size_t node;
    const struct mth_codec *codec;
    const struct mth_transform *transform;
    size_t stream,
        n_streams; /* of the transform that is inserted: where what was there goes; SIZE_MAX: everywhere */
    size_t option;
    int64_t value;
};

/* Copies a chain with the change in it. Children stand behind their parents. False: too many stages. */
static bool copy_chain(const struct mth_pipeline *from, size_t index, const struct edit *edit,
                       struct mth_pipeline *to, size_t *out)
{
    const struct mth_node *node = &from->nodes[index];
    bool here = index == edit->node;
    if (to->n_nodes + MTH_MAX_STREAMS + 1 > MTH_MAX_NODES)
        return false;
    if (here && edit->change == REPLACE_CODEC) {
        *out = put_leaf(to, edit->codec);
        return true;
    }
    if (here && edit->change == REMOVE)
        return copy_chain(from, node->children[0], edit, to, out);
    size_t inserted = SIZE_MAX;
    if (here && edit->change == INSERT) {
        inserted = put_transform(to, edit->transform);
        for (size_t s = 0; edit->stream != SIZE_MAX && s < edit->stream; s++)
            adopt(to, inserted, put_leaf(to, identity()));
    }
    size_t copy = to->n_nodes++;
    to->nodes[copy] = *node;
    to->nodes[copy].n_children = 0;
    if (here && edit->change == SET_OPTION)
        to->nodes[copy].options[edit->option] = edit->value;
    for (size_t c = 0; c < node->n_children; c++) {
        size_t child;
        if (!copy_chain(from, node->children[c], edit, to, &child))
            return false;
        adopt(to, copy, child);
    }
    *out = copy;
    if (inserted == SIZE_MAX)
        return true;
    adopt(to, inserted, copy);
    for (size_t s = edit->stream; edit->stream != SIZE_MAX && s + 1 < edit->n_streams; s++)
        adopt(to, inserted, put_leaf(to, identity()));
    *out = inserted;
    return true;
}

static int apply(const struct maker *maker, const struct mth_pipeline *from, const struct edit *edit)
{
    struct mth_pipeline *built = fresh();
    size_t root;
    if (!built)
        return MTH_ERR_NO_MEMORY;
    int status = copy_chain(from, 0, edit, built, &root) ? offer(maker, built) : MTH_OK;
    free(built);
    return status;
}

/* Other values of one option. */
static int change_option(const struct maker *maker, const struct mth_pipeline *from, size_t node,
                         size_t index, const struct mth_option *option)
{
    int64_t now = from->nodes[node].options[index];
    struct edit edit = {.change = SET_OPTION, .node = node, .option = index};
    const int64_t values[] = {now - 1,
                              now + 1,
                              option->min + (now - option->min) / 2,
                              now + (option->max - now + 1) / 2,
                              option->min,
                              option->max,
                              option->default_value};
    int status = MTH_OK;
    if (option->words) {
        for (int64_t value = option->min; !status && value <= option->max; value++) {
            edit.value = value;
            status = apply(maker, from, &edit);
        }
        return status;
    }
    for (size_t i = 0; !status && i < sizeof values / sizeof values[0]; i++) {
        edit.value = values[i];
        if (edit.value >= option->min && edit.value <= option->max)
            status = apply(maker, from, &edit);
    }
    return status;
}

/* What comes to each node, of the first stream that does. */
static void find_types(const struct mth_pipeline *from, size_t index, struct mth_symbol_type type,
                       struct mth_symbol_type types[MTH_MAX_NODES])
{
    const struct mth_node *node = &from->nodes[index];
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    size_t n = 0;
    types[index] = type;
    if (node->codec || node->transform->plan(node->options, &type, SOME_BYTES, plans, &n))
        return;
    for (size_t c = 0; c < node->n_children; c++)
        find_types(from, node->children[c], c < n ? plans[c].type : type, types);
}

static int change_node(const struct maker *maker, const struct mth_pipeline *from, size_t index,
                       struct mth_symbol_type type)
{
    const struct mth_node *node = &from->nodes[index];
    const struct mth_option *options = node->codec ? node->codec->options : node->transform->options;
    size_t n_options = node->codec ? node->codec->n_options : node->transform->n_options;
    const struct mth_codec *codec;
    const struct mth_transform *transform;
    int status = MTH_OK;
    for (size_t i = 0; !status && i < n_options; i++)
        status = change_option(maker, from, index, i, &options[i]);
    for (size_t i = 0; !status && node->codec && (codec = mth_codec_at(i)) != NULL; i++)
        status = apply(maker, from, &(struct edit){.change = REPLACE_CODEC, .node = index, .codec = codec});
    if (!status && node->transform)
        status = apply(maker, from, &(struct edit){.change = REMOVE, .node = index});
    for (size_t i = 0; !status && (transform = mth_transform_at(i)) != NULL; i++) {
        struct edit edit = {.change = INSERT, .node = index, .transform = transform, .stream = SIZE_MAX};
        edit.n_streams = count_streams(transform, type);
        if (edit.n_streams == 0)
            continue;
        status = apply(maker, from, &edit);
        for (edit.stream = 0; !status && edit.n_streams > 1 && edit.stream < edit.n_streams; edit.stream++)
            status = apply(maker, from, &edit);
    }
    return status;
}

int mth_explore_neighbours(const char *text, enum mth_dtype dtype, bool has_base, struct mth_spec_pool *pool)
{
    const struct maker maker = {dtype, has_base, pool};
    struct mth_pipeline *from;
    struct mth_error err;
    if (mth_pipeline_parse(text, has_base, &from, &err))
        return MTH_ERR_SPEC;
    struct mth_symbol_type types[MTH_MAX_NODES];
    int status = from->next || from->relates ? MTH_ERR_SPEC : MTH_OK;
    find_types(from, 0, mth_symbol_type_of(dtype), types);
    for (size_t i = 0; !status && i < from->n_nodes; i++)
        status = change_node(&maker, from, i, types[i]);
    mth_pipeline_destroy(from);
    return status;
}

/* ---- short texts ---- */

/* One stage, from its name to what follows it; what is as it would be anyway is left out. */
static size_t put_stage(const char *stage, size_t n_stage, FILE *out)
{
    size_t n_name = strcspn(stage, "@:"), at = n_name;
    int64_t values[MTH_MAX_OPTIONS];
    char settings[512];
    const struct mth_transform *transform = mth_transform_find(stage, n_name);
    const struct mth_codec *codec = mth_codec_find(stage, n_name);
    const struct mth_option *options = transform ? transform->options : codec ? codec->options : NULL;
    size_t n_options = transform ? transform->n_options : codec ? codec->n_options : 0;
    fwrite(stage, 1, n_name, out);
    while (at < n_stage && stage[at] != ':')
        at++;
    mth_option_defaults(options, n_options, values);
    mth_option_print(options, n_options, values, settings, sizeof settings);
    while (at < n_stage) {
        size_t n = 1;
        while (at + n < n_stage && stage[at + n] != ':')
            n++;
        char setting[128];
        snprintf(setting, sizeof setting, "%.*s", (int)(n < 127 ? n : 127), stage + at);
        const char *found = strstr(settings, setting);
        bool is_default = found && (found[n] == ':' || found[n] == '\0');
        if (!is_default)
            fwrite(stage + at, 1, n, out);
        at += n;
    }
    return n_stage;
}

int mth_explore_short(const char *text, char *out, size_t capacity)
{
    char *made = NULL;
    size_t n_made = 0;
    FILE *memory = open_memstream(&made, &n_made);
    struct mth_pipeline *pipeline = NULL;
    struct mth_error err;
    snprintf(out, capacity, "%s", text);
    if (!memory)
        return MTH_ERR_NO_MEMORY;
    for (const char *at = text; *at;) {
        size_t n_guard = strcspn(at, "=@:+/,"), n;
        if (at[n_guard] == '=') { /* a guard stands as it is */
            fwrite(at, 1, n_guard + 1, memory);
            at += n_guard + 1;
        }
        n = strcspn(at, "+/,");
        at += put_stage(at, n, memory);
        size_t n_between = strspn(at, "+/,");
        fwrite(at, 1, n_between, memory);
        at += n_between;
    }
    int status = fclose(memory) == 0 ? MTH_OK : MTH_ERR_NO_MEMORY;
    /* Whatever was left out, it must mean the same. */
    if (!status && (n_made >= capacity || mth_pipeline_parse(made, true, &pipeline, &err) ||
                    strcmp(mth_pipeline_text(pipeline), text) != 0))
        status = MTH_ERR_SPEC;
    if (!status)
        snprintf(out, capacity, "%s", made);
    mth_pipeline_destroy(pipeline);
    free(made);
    return status;
}
