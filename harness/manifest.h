/* Inside of datasets.h: a manifest in memory, and what parsing it shares with asking it. */
#ifndef MTH_HARNESS_MANIFEST_H
#define MTH_HARNESS_MANIFEST_H

#include "harness/datasets.h"
#include "harness/json.h"

enum { MTH_MANIFEST_SCHEMA = 1, MTH_MANIFEST_MAX_BYTES = 4 << 20 };

struct mth_manifest_block; /* one allocation of a manifest */
struct mth_manifest_document;

struct mth_manifest {
    const char *path;
    const char *root; /* what the paths in it are relative to; "" for the current directory */
    struct mth_dataset *datasets;
    size_t n_datasets;
    struct mth_dataset_entry *entries;
    size_t n_entries;
    struct mth_dataset_run *runs;
    size_t n_runs;
    /* Everything above lives in these, and ends with them. */
    struct mth_manifest_block *blocks;
    struct mth_manifest_document *documents;
};

/* n zeroed things of size bytes that live as long as the manifest. Errors: MTH_ERR_NO_MEMORY. */
int mth_manifest_alloc(struct mth_manifest *manifest, size_t n, size_t size, void **out,
                       struct mth_error *err);
/* A text that lives as long as the manifest. */
int mth_manifest_text(struct mth_manifest *manifest, const char **out, struct mth_error *err,
                      const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5), nonnull(4)))
#endif
    ;
/* Load a document that lives as long as the manifest. Errors: those of mth_json_load. */
int mth_manifest_document(struct mth_manifest *manifest, const char *path, struct mth_json_node *root,
                          struct mth_error *err);

/* Fill a manifest from its root value. Errors: MTH_ERR_FORMAT, MTH_ERR_NO_MEMORY. */
int mth_manifest_parse(struct mth_manifest *manifest, const struct mth_json_node *root,
                       struct mth_error *err);

/*
 * Take what the first fetch recorded for files that the manifest does not pin, or what a training run recorded of the
 * files it made, from the directory of a dataset; without a record nothing changes. Errors: MTH_ERR_FORMAT.
 */
int mth_manifest_read_fetched(struct mth_manifest *manifest, struct mth_dataset *dataset,
                              struct mth_error *err);
int mth_manifest_read_trained(struct mth_manifest *manifest, struct mth_dataset *dataset,
                              struct mth_error *err);

/* A member of n_digits lower-case hex digits. */
int mth_manifest_hash(const struct mth_json_node *node, const char *key, enum mth_json_need need,
                      size_t n_digits, const char **out, struct mth_error *err);

/* Checks of single values; they say why not, or NULL. */
const char *mth_manifest_path_fault(const char *path);
const char *mth_manifest_id_fault(const char *id);

#endif
