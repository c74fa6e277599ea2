/*
 * Reading JSON: manifests, settings, result rows. The one place that knows the JSON library.
 *
 * A struct mth_json_node is a cursor: a value and how it was reached, so that every error names the file and
 * the path ("datasets/manifest.json: datasets[3].pairs[0].steps_apart: must be an integer"). Cursors live on
 * the stack, borrow the document and point at their parents; strings are borrowed from the document as well.
 */
#ifndef MTH_HARNESS_JSON_H
#define MTH_HARNESS_JSON_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mth_json; /* a document */

struct mth_json_node {
    const void *value;
    const struct mth_json_node *parent; /* NULL for the root */
    const char *file;                   /* or another name for the text; borrowed */
    const char *key;                    /* in an object; NULL in an array */
    size_t index;                       /* in an array */
};

/* An optional member may be absent or null: the getter then gives its "none" value and succeeds. */
enum mth_json_need { MTH_JSON_REQUIRED, MTH_JSON_OPTIONAL };

enum mth_json_type {
    MTH_JSON_NULL,
    MTH_JSON_BOOL,
    MTH_JSON_INTEGER,
    MTH_JSON_REAL,
    MTH_JSON_STRING,
    MTH_JSON_ARRAY,
    MTH_JSON_OBJECT
};

/*
 * Parse a file, or n_bytes of text called name in messages. A member twice in an object is an error.
 * Errors: those of reading a file; MTH_ERR_LIMIT for a file above max_bytes; MTH_ERR_FORMAT with the line
 * number.
 */
int mth_json_load(const char *path, size_t max_bytes, struct mth_json **json, struct mth_error *err);
int mth_json_parse(const char *name, const char *text, size_t n_bytes, struct mth_json **json,
                   struct mth_error *err);
void mth_json_free(struct mth_json *json);

/* The document's topmost value. file is borrowed for messages. */
struct mth_json_node mth_json_root(const struct mth_json *json, const char *file);

enum mth_json_type mth_json_type(const struct mth_json_node *node);

/*
 * Members of an object node. Errors: MTH_ERR_FORMAT when a required member is missing, or any is of another
 * type or out of range. None values: NULL, 0, -1.0 for reals, false; for containers a node with value NULL
 * and n_items 0.
 */
int mth_json_get_string(const struct mth_json_node *node, const char *key, enum mth_json_need need,
                        const char **out, struct mth_error *err);
int mth_json_get_int(const struct mth_json_node *node, const char *key, enum mth_json_need need, int64_t min,
                     int64_t max, int64_t *out, struct mth_error *err);
/* An integer is a real too. Out of range: not between min and max. */
int mth_json_get_real(const struct mth_json_node *node, const char *key, enum mth_json_need need, double min,
                      double max, double *out, struct mth_error *err);
int mth_json_get_bool(const struct mth_json_node *node, const char *key, enum mth_json_need need, bool *out,
                      struct mth_error *err);
int mth_json_get_array(const struct mth_json_node *node, const char *key, enum mth_json_need need,
                       struct mth_json_node *out, size_t *n_items, struct mth_error *err);
int mth_json_get_object(const struct mth_json_node *node, const char *key, enum mth_json_need need,
                        struct mth_json_node *out, struct mth_error *err);

/* Item of an array node that must be an object, or a string. Errors: MTH_ERR_FORMAT. */
int mth_json_item_object(const struct mth_json_node *array, size_t index, struct mth_json_node *out,
                         struct mth_error *err);
int mth_json_item_string(const struct mth_json_node *array, size_t index, const char **out,
                         struct mth_error *err);
/* Item of an array node as a number. Errors: MTH_ERR_FORMAT. */
int mth_json_item_real(const struct mth_json_node *array, size_t index, double *out, struct mth_error *err);

/* Refuse members of an object that are not in keys (NULL-terminated), naming the nearest one. */
int mth_json_only_keys(const struct mth_json_node *node, const char *const *keys, struct mth_error *err);

/* Record an error about a node, prefixed with its file and path; key (or NULL) is one member further. Returns
 * status. */
int mth_json_error(const struct mth_json_node *node, const char *key, int status, struct mth_error *err,
                   const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 5, 6)))
#endif
    ;

#endif
