/* Reading the index of a sharded model; see shard_index.h. */
#include "formats/shard_index.h"

#include "base/checked.h"
#include "formats/file_set.h"
#include "formats/json_guard.h"
#include "formats/json_stream.h"
#include "formats/name_index.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 127 };

/* Where in the index the next event falls. */
enum place { AT_START, IN_FILE, AT_WEIGHTS, IN_WEIGHTS, AT_SHARD, AT_UNKNOWN, AT_END };

/* A weight as it was read: both names in the text. */
struct pair {
    uint32_t weight, shard;
};

struct reader {
    const struct mth_source *source;
    struct mth_memory *memory;
    struct mth_error *err;
    enum place place;
    size_t unknown_depth;
    bool seen_weights;
    struct pair *pairs;
    size_t n_pairs, pairs_capacity;
    char *text;
    size_t n_text, text_capacity;
};

static int fail(const struct reader *r, const struct mth_json_stream *json, int status, const char *format,
                ...) __attribute__((format(printf, 4, 5)));

static int fail(const struct reader *r, const struct mth_json_stream *json, int status, const char *format,
                ...)
{
    char what[320];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return mth_error_set(r->err, status, "%s: %s (index, before byte %llu)", r->source->name, what,
                         (unsigned long long)mth_json_stream_offset(json));
}

static int no_memory(const struct reader *r)
{
    return mth_error_set(r->err, MTH_ERR_NO_MEMORY, "%s: no memory to read its index", r->source->name);
}

/* ---- what was read ---- */

static int put_text(struct reader *r, const char *text, size_t n_text, uint32_t *at)
{
    size_t wanted = r->n_text + n_text + 1;
    if (wanted > r->text_capacity) {
        size_t capacity = mth_size_max(wanted, r->text_capacity + r->text_capacity / 2);
        char *grown = mth_memory_realloc(r->memory, r->text, capacity);
        if (!grown)
            return no_memory(r);
        r->text = grown;
        r->text_capacity = capacity;
    }
    *at = (uint32_t)r->n_text;
    if (n_text)
        memcpy(r->text + r->n_text, text, n_text);
    r->text[r->n_text + n_text] = '\0';
    r->n_text = wanted;
    return MTH_OK;
}

/* Neighbours are mostly in the same shard: its name is kept once a run. */
static int put_shard(struct reader *r, const char *text, size_t n_text, uint32_t *at)
{
    if (r->n_pairs > 0) {
        uint32_t last = r->pairs[r->n_pairs - 1].shard;
        if (strlen(r->text + last) == n_text && memcmp(r->text + last, text, n_text) == 0) {
            *at = last;
            return MTH_OK;
        }
    }
    return put_text(r, text, n_text, at);
}

static int begin_weight(struct reader *r, const struct mth_json_stream *json, const char *text, size_t n_text)
{
    if (mth_json_stream_was_cut(json) || n_text > MTH_JSON_STRING_MAX_BYTES)
        return fail(r, json, MTH_ERR_FORMAT, "the weight '%.40s...' has a name of more than %d bytes", text,
                    MTH_JSON_STRING_MAX_BYTES);
    if (n_text && memchr(text, '\0', n_text))
        return fail(r, json, MTH_ERR_FORMAT, "the name of a weight contains a NUL");
    if (r->n_pairs == r->pairs_capacity) {
        size_t capacity = r->pairs_capacity + r->pairs_capacity / 2 + 64;
        struct pair *grown = mth_memory_realloc(r->memory, r->pairs, capacity * sizeof *grown);
        if (!grown)
            return no_memory(r);
        r->pairs = grown;
        r->pairs_capacity = capacity;
    }
    r->place = AT_SHARD;
    return put_text(r, text, n_text, &r->pairs[r->n_pairs].weight);
}

static int end_weight(struct reader *r, const struct mth_json_stream *json, const char *text, size_t n_text)
{
    struct pair *pair = &r->pairs[r->n_pairs];
    const char *weight = r->text + pair->weight;
    if (mth_json_stream_was_cut(json) || !mth_set_name_is_plain(text, n_text))
        return fail(
            r, json, MTH_ERR_FORMAT,
            "weight '%.80s' is said to be in '%.*s', which is no plain name of a file beside the index",
            weight, (int)mth_size_min(n_text, 80), text);
    int status = put_shard(r, text, n_text, &pair->shard);
    r->n_pairs += !status;
    r->place = IN_WEIGHTS;
    return status;
}

/* ---- events ---- */

/* A value that is of no use here goes by unread, however deep. */
static int skip(struct reader *r, const struct mth_json_stream *json, enum mth_json_event event)
{
    if (event == MTH_JSON_MAP_BEGIN || event == MTH_JSON_ARRAY_BEGIN)
        r->unknown_depth++;
    else if (event == MTH_JSON_MAP_END || event == MTH_JSON_ARRAY_END)
        r->unknown_depth--;
    if (r->unknown_depth > MAX_DEPTH)
        return fail(r, json, MTH_ERR_FORMAT, "nested deeper than %d", MAX_DEPTH);
    if (r->unknown_depth == 0)
        r->place = IN_FILE;
    return MTH_OK;
}

static int begin_entry(struct reader *r, const struct mth_json_stream *json, const char *text, size_t n_text)
{
    static const char weights[] = "weight_map";
    bool is_weights = n_text == sizeof weights - 1 && memcmp(text, weights, n_text) == 0;
    r->place = is_weights ? AT_WEIGHTS : AT_UNKNOWN;
    r->unknown_depth = 0;
    if (is_weights && r->seen_weights)
        return fail(r, json, MTH_ERR_FORMAT, "weight_map is there twice");
    r->seen_weights |= is_weights;
    return MTH_OK;
}

static int on_event(void *arg, const struct mth_json_stream *json, enum mth_json_event event,
                    const char *text, size_t n_text)
{
    struct reader *r = arg;
    switch (r->place) {
    case AT_START:
        r->place = IN_FILE;
        return event == MTH_JSON_MAP_BEGIN ? MTH_OK
                                           : fail(r, json, MTH_ERR_FORMAT, "the index is not a JSON object");
    case IN_FILE:
        if (event == MTH_JSON_KEY)
            return begin_entry(r, json, text, n_text);
        r->place = AT_END;
        return MTH_OK;
    case AT_WEIGHTS:
        r->place = IN_WEIGHTS;
        return event == MTH_JSON_MAP_BEGIN ? MTH_OK
                                           : fail(r, json, MTH_ERR_FORMAT, "weight_map is not an object");
    case IN_WEIGHTS:
        if (event == MTH_JSON_KEY)
            return begin_weight(r, json, text, n_text);
        r->place = IN_FILE;
        return MTH_OK;
    case AT_SHARD:
        return event == MTH_JSON_STRING
                   ? end_weight(r, json, text, n_text)
                   : fail(r, json, MTH_ERR_FORMAT, "weight '%.80s' has no name of a file",
                          r->text + r->pairs[r->n_pairs].weight);
    case AT_UNKNOWN:
        return skip(r, json, event);
    case AT_END:
        break;
    }
    return fail(r, json, MTH_ERR_INTERNAL, "an event after the end");
}

static int on_refusal(void *arg, const struct mth_json_stream *json, const char *why)
{
    return fail(arg, json, MTH_ERR_FORMAT, "not valid JSON: %s", why);
}

/* ---- order ---- */

/* qsort hands nothing on: what is compared points to its text. */
struct sorted {
    const char *text;
    uint32_t number; /* of the pair */
};

static int compare_texts(const void *left, const void *right)
{
    return strcmp(((const struct sorted *)left)->text, ((const struct sorted *)right)->text);
}

static struct sorted *sort_texts(const struct reader *r, bool shards)
{
    struct sorted *sorted = mth_memory_calloc(r->memory, r->n_pairs, sizeof *sorted);
    bool in_order = true;
    if (!sorted)
        return NULL;
    for (size_t i = 0; i < r->n_pairs; i++) {
        sorted[i].text = r->text + (shards ? r->pairs[i].shard : r->pairs[i].weight);
        sorted[i].number = (uint32_t)i;
        in_order &= i == 0 || compare_texts(&sorted[i - 1], &sorted[i]) <= 0;
    }
    /* Sorting may take memory that no account sees. */
    if (!in_order)
        qsort(sorted, r->n_pairs, sizeof *sorted, compare_texts);
    return sorted;
}

static int check_weights(const struct reader *r)
{
    struct sorted *sorted = sort_texts(r, false);
    int status = sorted ? MTH_OK : no_memory(r);
    for (size_t i = 1; i < r->n_pairs && !status; i++) {
        if (strcmp(sorted[i - 1].text, sorted[i].text) == 0)
            status = mth_error_set(r->err, MTH_ERR_FORMAT, "%s: weight '%.80s' is there twice",
                                   r->source->name, sorted[i].text);
    }
    mth_memory_free(r->memory, sorted);
    return status;
}

/* Makes the list of shards, and of each the list of its weights. */
static int gather(const struct reader *r, struct mth_shard_index *index)
{
    struct sorted *sorted = sort_texts(r, true);
    size_t n_shards = 0;
    if (!sorted)
        return no_memory(r);
    for (size_t i = 0; i < r->n_pairs; i++)
        n_shards += i == 0 || strcmp(sorted[i - 1].text, sorted[i].text) != 0;
    index->shards = mth_memory_calloc(r->memory, n_shards, sizeof *index->shards);
    index->weights = mth_memory_calloc(r->memory, r->n_pairs, sizeof *index->weights);
    int status = index->shards && index->weights ? MTH_OK : no_memory(r);
    for (size_t i = 0; i < r->n_pairs && !status; i++) {
        uint32_t number = sorted[i].number;
        if (i == 0 || strcmp(sorted[i - 1].text, sorted[i].text) != 0)
            index->shards[index->n_shards++].name = r->pairs[number].shard;
        struct mth_shard *shard = &index->shards[index->n_shards - 1];
        index->weights[number] = (struct mth_shard_weight){r->pairs[number].weight, shard->first_weight};
        shard->first_weight = number + 1;
    }
    index->n_weights = r->n_pairs;
    mth_memory_free(r->memory, sorted);
    return status;
}

int mth_shard_index_read(const struct mth_source *source, struct mth_memory *memory,
                         struct mth_shard_index *index, struct mth_error *err)
{
    struct reader r = {.source = source, .memory = memory, .err = err};
    const struct mth_json_handler handler = {
        .event = on_event, .refuse = on_refusal, .arg = &r, .what = "index"};
    *index = (struct mth_shard_index){.memory = memory, .name = source->name};
    if (source->n_bytes > MTH_SHARD_INDEX_MAX_BYTES)
        return mth_error_set(err, MTH_ERR_LIMIT, "%s: an index of %llu bytes; the limit is %d", source->name,
                             (unsigned long long)source->n_bytes, MTH_SHARD_INDEX_MAX_BYTES);
    int status = mth_json_stream_read(source, 0, source->n_bytes, &handler, memory, err);
    if (!status && !r.seen_weights)
        status = mth_error_set(err, MTH_ERR_FORMAT,
                               "%s: has no weight_map; it is no index of a sharded model", source->name);
    if (!status && r.n_pairs == 0)
        status = mth_error_set(err, MTH_ERR_FORMAT, "%s: its weight_map names no shard", source->name);
    if (!status)
        status = check_weights(&r);
    if (!status)
        status = gather(&r, index);
    index->text = r.text;
    mth_memory_free(memory, r.pairs);
    if (status)
        mth_shard_index_free(index);
    return status;
}

void mth_shard_index_free(struct mth_shard_index *index)
{
    mth_memory_free(index->memory, index->shards);
    mth_memory_free(index->memory, index->weights);
    mth_memory_free(index->memory, index->text);
    *index = (struct mth_shard_index){.memory = index->memory};
}

int mth_shard_index_check(const struct mth_shard_index *index, size_t shard, const struct mth_region_map *map,
                          size_t *n_unlisted, struct mth_error *err)
{
    struct mth_name_index names;
    size_t n_listed = 0;
    int status = mth_name_index_build(map, &names, NULL);
    if (status)
        return mth_error_set(err, status, "%s: no memory to look for its weights", index->name);
    for (uint32_t w = index->shards[shard].first_weight; w != 0 && !status; w = index->weights[w - 1].next) {
        const char *weight = index->text + index->weights[w - 1].name;
        n_listed++;
        if (!mth_name_index_find(&names, weight))
            status = mth_error_set(err, MTH_ERR_FORMAT,
                                   "%s: weight '%.80s' is not in '%.100s', where the index says that it is",
                                   index->name, weight, mth_shard_name(index, shard));
    }
    mth_name_index_free(&names);
    /* Weights of an index have names of their own, and each is one of the map's. */
    *n_unlisted = status ? 0 : map->n_tensors - n_listed;
    return status;
}
