/*
 * Datasets: what the manifest (datasets/manifest.json, see docs/datasets.md) says there is, and where it
 * lies.
 *
 * A dataset is a set of files from one source. What can be measured are its entries: a lone checkpoint, or a
 * pair of a checkpoint and its base. A run is an ordered list of checkpoints.
 */
#ifndef MTH_HARNESS_DATASETS_H
#define MTH_HARNESS_DATASETS_H

#include "base/dtype.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mth_dataset_source {
    MTH_SOURCE_GENERATED, /* `mithril datasets make` writes it, the same bytes everywhere */
    MTH_SOURCE_COMMITTED, /* in the repository */
    MTH_SOURCE_PYPI,      /* a member of a wheel */
    MTH_SOURCE_HUB,       /* a file of a model repository on the Hugging Face hub */
    MTH_SOURCE_LOCAL,     /* the user puts it there */
    MTH_SOURCE_TRAINED    /* a command trains it anew, some minutes */
};

struct mth_dataset_file {
    const char *name; /* as the manifest writes it, relative to the root */
    const char *path; /* the same from the current directory */
    /* Pinned by the manifest, or recorded at the first fetch; unknown: 0 and NULL. */
    uint64_t n_bytes;
    const char *xxh3;           /* XXH3-128, 32 hex digits */
    const char *sha256;         /* 64 hex digits */
    bool recorded;              /* those three come from the first fetch, not from the manifest */
    const char *rebuilt_sha256; /* trained: what the run that was made here recorded; NULL without one */
    enum mth_dtype raw_dtype;   /* MTH_N_DTYPES for a file that describes itself */
    const char *member;         /* pypi: the file's path in the wheel */
    const char *version;        /* pypi: of the package; the dataset's unless the file says another */
    const char *wheel;          /* pypi: file name */
    const char *wheel_sha256;   /* pypi */
    const char *revision;       /* hub */
    const char *remote;         /* hub: the file's path in the repository */
};

struct mth_dataset {
    const char *id;
    const char *class_name;
    const char *title;
    const char *licence;
    enum mth_dataset_source source;
    const char *generator;    /* generated */
    const char *rebuild;      /* trained: the command that does it */
    const char *package;      /* pypi */
    const char *version;      /* pypi */
    const char *wheel;        /* pypi: file name */
    const char *wheel_sha256; /* pypi */
    const char *repo;         /* hub: owner/name */
    bool untested;            /* where it comes from could not be reached by any test */
    struct mth_dataset_file *files;
    size_t n_files;
    const char *directory; /* build/datasets/<id>, from the current directory */
};

struct mth_dataset_entry {
    const char *id;
    const struct mth_dataset *dataset;
    const char *class_name;
    const char *title;
    const struct mth_dataset_file *file;
    const struct mth_dataset_file *base_file;  /* NULL for a lone checkpoint */
    const struct mth_dataset_file *older_file; /* that the base became out of; NULL for none */
    const char *path;                          /* of file */
    const char *base_path;                     /* of base_file */
    const char *older_path;                    /* of older_file */
    const char *xxh3;                          /* of file; NULL when not known yet */
    const char *base_xxh3, *older_xxh3;
    uint64_t n_bytes;         /* of file; 0 when not known yet */
    enum mth_dtype raw_dtype; /* MTH_N_DTYPES for a file that describes itself */
    int64_t steps_apart;      /* 0 for a lone checkpoint, and where it is not known */
    double lr;                /* negative when not known */
    double fraction_changed;  /* of the elements; negative when not known */
    int64_t n_elements;       /* 0 when not known */
    const char *run_id;       /* of the run it belongs to, or NULL */
    bool present;             /* its files were there when the manifest was loaded */
};

struct mth_dataset_run {
    const char *id;
    const struct mth_dataset *dataset;
    const char **paths; /* oldest first */
    size_t n_paths;
    bool present; /* all of them */
};

struct mth_manifest;

/* MITHRIL_DATASETS, or datasets/manifest.json. */
const char *mth_manifest_default_path(void);

/*
 * Load a manifest. Paths in it are relative to the parent of its directory.
 * Errors: those of reading a file; MTH_ERR_FORMAT with the member that breaks the schema.
 */
int mth_manifest_load(const char *path, struct mth_manifest **manifest, struct mth_error *err);
void mth_manifest_free(struct mth_manifest *manifest);

/* Positions: entries, datasets and runs in the manifest's order; NULL past the last. All are borrowed from
 * the manifest. */
const struct mth_dataset_entry *mth_manifest_entry_at(const struct mth_manifest *manifest, size_t index);
const struct mth_dataset *mth_manifest_dataset_at(const struct mth_manifest *manifest, size_t index);
const struct mth_dataset_run *mth_manifest_run_at(const struct mth_manifest *manifest, size_t index);

/* By id; NULL when there is none. */
const struct mth_dataset_entry *mth_manifest_entry_find(const struct mth_manifest *manifest, const char *id);
const struct mth_dataset *mth_manifest_dataset_find(const struct mth_manifest *manifest, const char *id);
const struct mth_dataset_run *mth_manifest_run_find(const struct mth_manifest *manifest, const char *id);

/* MTH_ERR_USAGE, with a line that names the id of the manifest nearest to what was asked for. */
int mth_manifest_unknown(const struct mth_manifest *manifest, const char *id, struct mth_error *err);

/* MTH_ERR_NOT_FOUND, with the one line that says which dataset is absent and how to get it. */
int mth_dataset_absent(const struct mth_dataset *dataset, struct mth_error *err);

/* Is a regular file of this dataset's there? */
bool mth_dataset_file_present(const struct mth_dataset_file *file);

/* "generated", "committed", "pypi", "hub", "local", "trained". */
const char *mth_dataset_source_name(enum mth_dataset_source source);

#endif
