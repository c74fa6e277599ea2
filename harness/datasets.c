/* Asking a manifest; see datasets.h. Its schema is in manifest_parse.c. */
#include "harness/datasets.h"

#include "base/checked.h"
#include "base/option.h"
#include "harness/manifest.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct mth_manifest_block {
    struct mth_manifest_block *next;
    max_align_t data[];
};

struct mth_manifest_document {
    struct mth_manifest_document *next;
    struct mth_json *json;
};

int mth_manifest_alloc(struct mth_manifest *manifest, size_t n, size_t size, void **out,
                       struct mth_error *err)
{
    size_t n_bytes;
    struct mth_manifest_block *block = NULL;
    if (mth_size_mul(n, size, &n_bytes) && mth_size_add(n_bytes, sizeof *block, &n_bytes))
        block = calloc(1, n_bytes);
    *out = NULL;
    if (!block)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", manifest->path);
    block->next = manifest->blocks;
    manifest->blocks = block;
    *out = block->data;
    return MTH_OK;
}

int mth_manifest_text(struct mth_manifest *manifest, const char **out, struct mth_error *err,
                      const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    void *text;
    int status = mth_manifest_alloc(manifest, (size_t)n + 1, 1, &text, err);
    if (!status)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    *out = text;
    return status;
}

int mth_manifest_document(struct mth_manifest *manifest, const char *path, struct mth_json_node *root,
                          struct mth_error *err)
{
    void *block;
    struct mth_json *json;
    int status = mth_manifest_alloc(manifest, 1, sizeof(struct mth_manifest_document), &block, err);
    if (!status)
        status = mth_json_load(path, MTH_MANIFEST_MAX_BYTES, &json, err);
    if (status)
        return status;
    struct mth_manifest_document *document = block;
    document->json = json;
    document->next = manifest->documents;
    manifest->documents = document;
    *root = mth_json_root(json, path);
    return MTH_OK;
}

const char *mth_manifest_default_path(void)
{
    const char *path = getenv("MITHRIL_DATASETS");
    return path && path[0] ? path : "datasets/manifest.json";
}

/* The parent of a manifest's directory: "a/b/manifest.json" -> "a/", "b/manifest.json" -> "", "manifest.json"
 * -> "../". */
static int find_root(struct mth_manifest *manifest, struct mth_error *err)
{
    const char *path = manifest->path, *slash = strrchr(path, '/');
    if (!slash)
        return mth_manifest_text(manifest, &manifest->root, err, "../");
    size_t n_directory = (size_t)(slash - path), n_parent = n_directory;
    while (n_parent > 0 && path[n_parent - 1] != '/')
        n_parent--;
    const char *last = path + n_parent;
    size_t n_last = n_directory - n_parent;
    /* "..", "." and doubled slashes name no directory whose parent is the text before them. */
    bool plain =
        n_last > 0 && !(n_last == 1 && last[0] == '.') && !(n_last == 2 && last[0] == '.' && last[1] == '.');
    if (!plain)
        return mth_manifest_text(manifest, &manifest->root, err, "%.*s/../", (int)n_directory, path);
    return mth_manifest_text(manifest, &manifest->root, err, "%.*s", (int)n_parent, path);
}

int mth_manifest_load(const char *path, struct mth_manifest **out, struct mth_error *err)
{
    *out = NULL;
    struct mth_manifest *manifest = calloc(1, sizeof *manifest);
    if (!manifest)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    manifest->path = path;
    struct mth_json_node root;
    int status = mth_manifest_text(manifest, &manifest->path, err, "%s", path);
    if (!status)
        status = find_root(manifest, err);
    if (!status)
        status = mth_manifest_document(manifest, manifest->path, &root, err);
    if (!status)
        status = mth_manifest_parse(manifest, &root, err);
    if (status)
        mth_manifest_free(manifest);
    else
        *out = manifest;
    return status;
}

void mth_manifest_free(struct mth_manifest *manifest)
{
    if (!manifest)
        return;
    for (struct mth_manifest_document *document = manifest->documents; document; document = document->next)
        mth_json_free(document->json);
    while (manifest->blocks) {
        struct mth_manifest_block *block = manifest->blocks;
        manifest->blocks = block->next;
        free(block);
    }
    free(manifest);
}

const struct mth_dataset_entry *mth_manifest_entry_at(const struct mth_manifest *manifest, size_t index)
{
    return index < manifest->n_entries ? &manifest->entries[index] : NULL;
}

const struct mth_dataset *mth_manifest_dataset_at(const struct mth_manifest *manifest, size_t index)
{
    return index < manifest->n_datasets ? &manifest->datasets[index] : NULL;
}

const struct mth_dataset_run *mth_manifest_run_at(const struct mth_manifest *manifest, size_t index)
{
    return index < manifest->n_runs ? &manifest->runs[index] : NULL;
}

const struct mth_dataset_entry *mth_manifest_entry_find(const struct mth_manifest *manifest, const char *id)
{
    for (size_t i = 0; i < manifest->n_entries; i++)
        if (strcmp(manifest->entries[i].id, id) == 0)
            return &manifest->entries[i];
    return NULL;
}

const struct mth_dataset *mth_manifest_dataset_find(const struct mth_manifest *manifest, const char *id)
{
    for (size_t i = 0; i < manifest->n_datasets; i++)
        if (strcmp(manifest->datasets[i].id, id) == 0)
            return &manifest->datasets[i];
    return NULL;
}

const struct mth_dataset_run *mth_manifest_run_find(const struct mth_manifest *manifest, const char *id)
{
    for (size_t i = 0; i < manifest->n_runs; i++)
        if (strcmp(manifest->runs[i].id, id) == 0)
            return &manifest->runs[i];
    return NULL;
}

static void consider(const char *id, const char *candidate, const char **nearest, size_t *nearest_distance)
{
    size_t distance = mth_edit_distance(id, strlen(id), candidate);
    if (distance < *nearest_distance) {
        *nearest = candidate;
        *nearest_distance = distance;
    }
}

int mth_manifest_unknown(const struct mth_manifest *manifest, const char *id, struct mth_error *err)
{
    const char *nearest = NULL;
    char hint[MTH_HINT_BYTES];
    size_t nearest_distance = SIZE_MAX;
    for (size_t i = 0; i < manifest->n_entries; i++)
        consider(id, manifest->entries[i].id, &nearest, &nearest_distance);
    for (size_t i = 0; i < manifest->n_datasets; i++)
        consider(id, manifest->datasets[i].id, &nearest, &nearest_distance);
    if (!nearest)
        return mth_error_set(err, MTH_ERR_USAGE, "no dataset is called '%s': %s lists none", id,
                             manifest->path);
    return mth_error_set(err, MTH_ERR_USAGE, "no dataset is called '%.100s'%s (mithril datasets lists them)",
                         id, mth_did_you_mean(id, strlen(id), "", nearest, hint));
}

int mth_dataset_absent(const struct mth_dataset *dataset, struct mth_error *err)
{
    const char *id = dataset->id;
    switch (dataset->source) {
    case MTH_SOURCE_GENERATED:
        return mth_error_set(err, MTH_ERR_NOT_FOUND,
                             "%s is not there: `mithril datasets make %s` generates it", id, id);
    case MTH_SOURCE_COMMITTED:
        return mth_error_set(err, MTH_ERR_NOT_FOUND,
                             "%s is not there: it is part of the repository, git restores it", id);
    case MTH_SOURCE_PYPI:
    case MTH_SOURCE_HUB:
        return mth_error_set(err, MTH_ERR_NOT_FOUND,
                             "%s is not there: `mithril datasets fetch %s` downloads it", id, id);
    case MTH_SOURCE_TRAINED:
        return mth_error_set(err, MTH_ERR_NOT_FOUND, "%s is not there: `%s` trains it, in some minutes", id,
                             dataset->rebuild);
    case MTH_SOURCE_LOCAL:
        break;
    }
    return mth_error_set(err, MTH_ERR_NOT_FOUND, "%s is not there: its files are yours to put at %s", id,
                         dataset->files[0].path);
}

bool mth_dataset_file_present(const struct mth_dataset_file *file)
{
    struct stat st;
    return stat(file->path, &st) == 0 && S_ISREG(st.st_mode);
}

const char *mth_dataset_source_name(enum mth_dataset_source source)
{
    static const char *const names[] = {"generated", "committed", "pypi", "hub", "local", "trained"};
    return names[source];
}
