/* The file of --margins; see compare.h. docs/compare.md has its form. */
#include "harness/compare.h"

#include <fnmatch.h>
#include <stdlib.h>

enum { MAX_FILE_BYTES = 1 << 20, SCHEMA = 1 };

struct entry {
    const char *dataset, *spec; /* patterns of a shell */
    struct mth_margin margin;   /* -1 and NULL where nothing is set */
};

struct mth_margins {
    struct mth_json *json; /* what the strings lie in */
    struct entry *entries;
    size_t n_entries;
};

static int read_entry(const struct mth_json_node *list, size_t index, struct entry *entry,
                      struct mth_error *err)
{
    static const char *const keys[] = {"dataset", "spec", "size_pct", "speed_pct", "require", NULL};
    struct mth_json_node node;
    int status = mth_json_item_object(list, index, &node, err);
    if (!status)
        status = mth_json_only_keys(&node, keys, err);
    if (!status)
        status = mth_json_get_string(&node, "dataset", MTH_JSON_OPTIONAL, &entry->dataset, err);
    if (!status)
        status = mth_json_get_string(&node, "spec", MTH_JSON_OPTIONAL, &entry->spec, err);
    if (!status)
        status =
            mth_json_get_real(&node, "size_pct", MTH_JSON_OPTIONAL, 0, 100, &entry->margin.size_pct, err);
    if (!status)
        status = mth_json_get_real(&node, "speed_pct", MTH_JSON_OPTIONAL, 0.1, 1000, &entry->margin.speed_pct,
                                   err);
    if (!status)
        status = mth_json_get_string(&node, "require", MTH_JSON_OPTIONAL, &entry->margin.require, err);
    struct mth_error wrong;
    if (!status && entry->margin.require && mth_compare_check_require(entry->margin.require, &wrong))
        status = mth_json_error(&node, "require", MTH_ERR_FORMAT, err, "%s", wrong.text);
    return status;
}

int mth_margins_load(const char *path, struct mth_margins **out, struct mth_error *err)
{
    static const char *const keys[] = {"schema", "margins", NULL};
    struct mth_json_node list;
    int64_t schema;
    struct mth_margins *margins = calloc(1, sizeof *margins);
    if (!margins)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    int status = mth_json_load(path, MAX_FILE_BYTES, &margins->json, err);
    if (status) {
        free(margins);
        return status;
    }
    struct mth_json_node root = mth_json_root(margins->json, path);
    if (mth_json_type(&root) != MTH_JSON_OBJECT)
        status = mth_json_error(&root, NULL, MTH_ERR_FORMAT, err, "is no object");
    if (!status)
        status = mth_json_only_keys(&root, keys, err);
    if (!status)
        status = mth_json_get_int(&root, "schema", MTH_JSON_REQUIRED, SCHEMA, SCHEMA, &schema, err);
    if (!status)
        status = mth_json_get_array(&root, "margins", MTH_JSON_REQUIRED, &list, &margins->n_entries, err);
    if (!status && margins->n_entries) {
        margins->entries = calloc(margins->n_entries, sizeof *margins->entries);
        if (!margins->entries)
            status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    }
    for (size_t i = 0; !status && i < margins->n_entries; i++)
        status = read_entry(&list, i, &margins->entries[i], err);
    if (status)
        mth_margins_free(margins);
    else
        *out = margins;
    return status;
}

void mth_margins_free(struct mth_margins *margins)
{
    if (!margins)
        return;
    mth_json_free(margins->json);
    free(margins->entries);
    free(margins);
}

static bool matches(const char *pattern, const char *text)
{
    return !pattern || fnmatch(pattern, text, 0) == 0;
}

struct mth_margin mth_margin_of(const struct mth_margins *margins, const char *dataset, const char *spec)
{
    struct mth_margin margin = {.speed_pct = MTH_SPEED_MARGIN_PCT};
    for (size_t i = 0; margins && i < margins->n_entries; i++) {
        const struct entry *entry = &margins->entries[i];
        if (!matches(entry->dataset, dataset) || !matches(entry->spec, spec))
            continue;
        if (entry->margin.size_pct >= 0)
            margin.size_pct = entry->margin.size_pct;
        if (entry->margin.speed_pct >= 0)
            margin.speed_pct = entry->margin.speed_pct;
        if (entry->margin.require)
            margin.require = entry->margin.require;
    }
    return margin;
}
