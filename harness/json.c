/* Reading JSON through jansson; see json.h. */
#include "harness/json.h"

#include "base/file.h"
#include "base/option.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A document is jansson's own root value: the struct is never defined. */
static const json_t *root_of(const struct mth_json *json)
{
    return (const json_t *)(const void *)json;
}

int mth_json_parse(const char *name, const char *text, size_t n_bytes, struct mth_json **json,
                   struct mth_error *err)
{
    json_error_t where;
    json_t *root = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    *json = NULL;
    if (!root)
        return mth_error_set(
            err, json_error_code(&where) == json_error_out_of_memory ? MTH_ERR_NO_MEMORY : MTH_ERR_FORMAT,
            "%s: line %d: %s", name, where.line, where.text);
    *json = (struct mth_json *)(void *)root;
    return MTH_OK;
}

int mth_json_load(const char *path, size_t max_bytes, struct mth_json **json, struct mth_error *err)
{
    struct mth_source source;
    *json = NULL;
    int status = mth_source_open(path, &source, err);
    if (status)
        return status;
    char *text = NULL;
    if (source.n_bytes > max_bytes)
        status = mth_error_set(err, MTH_ERR_LIMIT, "%s: has %llu bytes, at most %zu are read", path,
                               (unsigned long long)source.n_bytes, max_bytes);
    else if (!(text = malloc((size_t)source.n_bytes + 1)))
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    else
        status = mth_source_read(&source, 0, text, (size_t)source.n_bytes, err);
    if (!status)
        status = mth_json_parse(path, text, (size_t)source.n_bytes, json, err);
    free(text);
    mth_source_close(&source);
    return status;
}

void mth_json_free(struct mth_json *json)
{
    json_decref((json_t *)(void *)json);
}

struct mth_json_node mth_json_root(const struct mth_json *json, const char *file)
{
    return (struct mth_json_node){.value = root_of(json), .file = file};
}

enum mth_json_type mth_json_type(const struct mth_json_node *node)
{
    switch (json_typeof((const json_t *)node->value)) {
    case JSON_OBJECT:
        return MTH_JSON_OBJECT;
    case JSON_ARRAY:
        return MTH_JSON_ARRAY;
    case JSON_STRING:
        return MTH_JSON_STRING;
    case JSON_INTEGER:
        return MTH_JSON_INTEGER;
    case JSON_REAL:
        return MTH_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return MTH_JSON_BOOL;
    case JSON_NULL:
        break;
    }
    return MTH_JSON_NULL;
}

/* Appends the path of a node, ".datasets[3].pairs", to a text of capacity bytes that may already be full. */
static void append_path(const struct mth_json_node *node, char *text, size_t capacity)
{
    if (!node->parent)
        return;
    append_path(node->parent, text, capacity);
    size_t used = strlen(text);
    if (node->key)
        snprintf(text + used, capacity - used, "%s%s", used ? "." : "", node->key);
    else
        snprintf(text + used, capacity - used, "[%zu]", node->index);
}

int mth_json_error(const struct mth_json_node *node, const char *key, int status, struct mth_error *err,
                   const char *format, ...)
{
    char path[256] = "";
    char text[MTH_ERROR_TEXT_BYTES];
    append_path(node, path, sizeof path);
    if (key) {
        size_t used = strlen(path);
        snprintf(path + used, sizeof path - used, "%s%s", used ? "." : "", key);
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return mth_error_set(err, status, "%s: %s%s%s", node->file, path, path[0] ? ": " : "", text);
}

/*
 * Find a member. *out is NULL when it is optional and absent or null. type_name is what the message asks for.
 * An integer is taken where a real is wanted.
 */
static int member(const struct mth_json_node *node, const char *key, enum mth_json_need need, json_type type,
                  const char *type_name, const json_t **out, struct mth_error *err)
{
    const json_t *value = json_object_get((const json_t *)node->value, key);
    *out = NULL;
    if (need == MTH_JSON_OPTIONAL && (!value || json_is_null(value)))
        return MTH_OK;
    if (!value)
        return mth_json_error(node, key, MTH_ERR_FORMAT, err, "is missing");
    bool fits = json_typeof(value) == type || (type == JSON_TRUE && json_is_false(value)) ||
                (type == JSON_REAL && json_is_integer(value));
    if (!fits)
        return mth_json_error(node, key, MTH_ERR_FORMAT, err, "must be %s", type_name);
    *out = value;
    return MTH_OK;
}

int mth_json_get_string(const struct mth_json_node *node, const char *key, enum mth_json_need need,
                        const char **out, struct mth_error *err)
{
    const json_t *value;
    int status = member(node, key, need, JSON_STRING, "a string", &value, err);
    *out = status || !value ? NULL : json_string_value(value);
    return status;
}

int mth_json_get_int(const struct mth_json_node *node, const char *key, enum mth_json_need need, int64_t min,
                     int64_t max, int64_t *out, struct mth_error *err)
{
    const json_t *value;
    int status = member(node, key, need, JSON_INTEGER, "an integer", &value, err);
    *out = 0;
    if (status || !value)
        return status;
    int64_t number = json_integer_value(value);
    if (number < min || number > max)
        return mth_json_error(node, key, MTH_ERR_FORMAT, err, "is %lld, must be from %lld to %lld",
                              (long long)number, (long long)min, (long long)max);
    *out = number;
    return MTH_OK;
}

int mth_json_get_real(const struct mth_json_node *node, const char *key, enum mth_json_need need, double min,
                      double max, double *out, struct mth_error *err)
{
    const json_t *value;
    int status = member(node, key, need, JSON_REAL, "a number", &value, err);
    *out = -1.0;
    if (status || !value)
        return status;
    double number = json_number_value(value);
    if (!(number >= min && number <= max))
        return mth_json_error(node, key, MTH_ERR_FORMAT, err, "is %g, must be from %g to %g", number, min,
                              max);
    *out = number;
    return MTH_OK;
}

int mth_json_get_bool(const struct mth_json_node *node, const char *key, enum mth_json_need need, bool *out,
                      struct mth_error *err)
{
    const json_t *value;
    int status = member(node, key, need, JSON_TRUE, "true or false", &value, err);
    *out = !status && json_is_true(value);
    return status;
}

static struct mth_json_node child(const struct mth_json_node *parent, const json_t *value, const char *key,
                                  size_t index)
{
    return (struct mth_json_node){
        .value = value, .parent = parent, .file = parent->file, .key = key, .index = index};
}

int mth_json_get_array(const struct mth_json_node *node, const char *key, enum mth_json_need need,
                       struct mth_json_node *out, size_t *n_items, struct mth_error *err)
{
    const json_t *value;
    int status = member(node, key, need, JSON_ARRAY, "an array", &value, err);
    *out = child(node, value, key, 0);
    *n_items = value ? json_array_size(value) : 0;
    return status;
}

int mth_json_get_object(const struct mth_json_node *node, const char *key, enum mth_json_need need,
                        struct mth_json_node *out, struct mth_error *err)
{
    const json_t *value;
    int status = member(node, key, need, JSON_OBJECT, "an object", &value, err);
    *out = child(node, value, key, 0);
    return status;
}

int mth_json_item_object(const struct mth_json_node *array, size_t index, struct mth_json_node *out,
                         struct mth_error *err)
{
    *out = child(array, json_array_get((const json_t *)array->value, index), NULL, index);
    if (!json_is_object((const json_t *)out->value))
        return mth_json_error(out, NULL, MTH_ERR_FORMAT, err, "must be an object");
    return MTH_OK;
}

int mth_json_item_string(const struct mth_json_node *array, size_t index, const char **out,
                         struct mth_error *err)
{
    struct mth_json_node item =
        child(array, json_array_get((const json_t *)array->value, index), NULL, index);
    *out = json_string_value((const json_t *)item.value);
    if (!*out)
        return mth_json_error(&item, NULL, MTH_ERR_FORMAT, err, "must be a string");
    return MTH_OK;
}

int mth_json_item_real(const struct mth_json_node *array, size_t index, double *out, struct mth_error *err)
{
    struct mth_json_node item =
        child(array, json_array_get((const json_t *)array->value, index), NULL, index);
    if (!json_is_number((const json_t *)item.value))
        return mth_json_error(&item, NULL, MTH_ERR_FORMAT, err, "must be a number");
    *out = json_number_value((const json_t *)item.value);
    return MTH_OK;
}

int mth_json_only_keys(const struct mth_json_node *node, const char *const *keys, struct mth_error *err)
{
    /* jansson's iterators want a mutable value but do not change it. */
    json_t *object = (json_t *)(uintptr_t)node->value;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        const char *nearest = keys[0];
        size_t nearest_distance = SIZE_MAX;
        for (size_t i = 0; keys[i] && nearest_distance; i++) {
            size_t distance = mth_edit_distance(key, strlen(key), keys[i]);
            if (distance < nearest_distance) {
                nearest_distance = distance;
                nearest = keys[i];
            }
        }
        if (nearest_distance)
            return mth_json_error(node, key, MTH_ERR_FORMAT, err,
                                  "is not a member of the schema; did you mean %s?", nearest);
    }
    return MTH_OK;
}
