/* What stands beside the files of a dataset about them: hashes that a fetch or a training run wrote there. */
#include "harness/manifest.h"

#include <string.h>

int mth_manifest_read_fetched(struct mth_manifest *manifest, struct mth_dataset *dataset,
                              struct mth_error *err)
{
    const char *path;
    struct mth_json_node root, files, item;
    size_t n_files;
    int status = mth_manifest_text(manifest, &path, err, "%s/recorded.json", dataset->directory);
    if (status)
        return status;
    struct mth_error failure;
    status = mth_manifest_document(manifest, path, &root, &failure);
    if (status == MTH_ERR_NOT_FOUND)
        return MTH_OK;
    if (status)
        return mth_error_set(err, status, "%s", failure.text);
    if ((status = mth_json_get_array(&root, "files", MTH_JSON_REQUIRED, &files, &n_files, err)))
        return status;
    for (size_t i = 0; i < n_files; i++) {
        const char *name, *xxh3, *sha256;
        int64_t n_bytes;
        if ((status = mth_json_item_object(&files, i, &item, err)) ||
            (status = mth_json_get_string(&item, "path", MTH_JSON_REQUIRED, &name, err)) ||
            (status = mth_json_get_int(&item, "bytes", MTH_JSON_REQUIRED, 1, INT64_MAX, &n_bytes, err)) ||
            (status = mth_manifest_hash(&item, "xxh3", MTH_JSON_REQUIRED, 32, &xxh3, err)) ||
            (status = mth_manifest_hash(&item, "sha256", MTH_JSON_REQUIRED, 64, &sha256, err)))
            return status;
        for (size_t f = 0; f < dataset->n_files; f++) {
            struct mth_dataset_file *file = &dataset->files[f];
            if (strcmp(file->name, name) != 0 || (file->xxh3 && !file->recorded))
                continue;
            file->n_bytes = (uint64_t)n_bytes;
            file->xxh3 = xxh3;
            file->sha256 = sha256;
            file->recorded = true;
        }
    }
    return MTH_OK;
}

int mth_manifest_read_trained(struct mth_manifest *manifest, struct mth_dataset *dataset,
                              struct mth_error *err)
{
    const char *path;
    struct mth_json_node root, files, item;
    size_t n_files, n_prefix = strlen("build/datasets/") + strlen(dataset->id) + 1;
    struct mth_error failure;
    int status = mth_manifest_text(manifest, &path, err, "%s/settings.json", dataset->directory);
    if (status)
        return status;
    status = mth_manifest_document(manifest, path, &root, &failure);
    if (status == MTH_ERR_NOT_FOUND)
        return MTH_OK;
    if (status)
        return mth_error_set(err, status, "%s", failure.text);
    if ((status = mth_json_get_array(&root, "checkpoints", MTH_JSON_REQUIRED, &files, &n_files, err)))
        return status;
    for (size_t i = 0; i < n_files; i++) {
        const char *name, *sha256;
        if ((status = mth_json_item_object(&files, i, &item, err)) ||
            (status = mth_json_get_string(&item, "file", MTH_JSON_REQUIRED, &name, err)) ||
            (status = mth_manifest_hash(&item, "sha256", MTH_JSON_REQUIRED, 64, &sha256, err)))
            return status;
        for (size_t f = 0; f < dataset->n_files; f++) {
            if (strcmp(dataset->files[f].name + n_prefix, name) == 0)
                dataset->files[f].rebuilt_sha256 = sha256;
        }
    }
    return MTH_OK;
}
