/* Generating a dataset; see dataset_get.h. */
#include "harness/dataset_get.h"

#include "base/file.h"
#include "datasets/small_model.h"
#include "datasets/small_tensors.h"
#include "harness/directory.h"
#include "harness/file_digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int verify(const struct mth_dataset_file *file, struct mth_error *err)
{
    struct mth_file_digest digest;
    int status = mth_file_digest(file->path, false, &digest, err);
    return status ? status : mth_file_digest_compare(&digest, file, file->path, err);
}

static bool all_right(const struct mth_dataset *dataset)
{
    for (size_t i = 0; i < dataset->n_files; i++)
        if (verify(&dataset->files[i], NULL))
            return false;
    return true;
}

int mth_dataset_make_parent(const char *path, struct mth_error *err)
{
    char *directory = mth_path_directory(path);
    if (!directory)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    int status = mth_file_make_directory(directory, err);
    free(directory);
    return status;
}

/* The small model's files: raw where the manifest gives a dtype, safetensors else. */
static int make_small_model(const struct mth_dataset_file *file, struct mth_error *err)
{
    bool raw = file->raw_dtype != MTH_N_DTYPES;
    return mth_small_model_write(raw ? file->path : NULL, raw ? NULL : file->path, err);
}

static int make_many_tensors(const struct mth_dataset_file *file, struct mth_error *err)
{
    return mth_small_tensors_write(file->path, 1, err);
}

static int make_thousands_of_tensors(const struct mth_dataset_file *file, struct mth_error *err)
{
    return mth_small_tensors_write(file->path, 20, err);
}

static int make_one_tensor(const struct mth_dataset_file *file, struct mth_error *err)
{
    return mth_small_tensors_write(file->path, MTH_SMALL_TENSORS, err);
}

static const struct generator {
    const char *name;
    int (*make)(const struct mth_dataset_file *file, struct mth_error *err);
} generators[] = {
    {"small-model", make_small_model},
    {"many-tensors", make_many_tensors},
    {"thousands-of-tensors", make_thousands_of_tensors},
    {"one-tensor", make_one_tensor},
};

static const struct generator *find_generator(const char *name)
{
    for (size_t i = 0; i < sizeof generators / sizeof generators[0]; i++) {
        if (strcmp(generators[i].name, name) == 0)
            return &generators[i];
    }
    return NULL;
}

int mth_dataset_make(const struct mth_dataset *dataset, bool force,
                     const struct mth_dataset_reporter *reporter, struct mth_error *err)
{
    if (dataset->source != MTH_SOURCE_GENERATED)
        return mth_error_set(err, MTH_ERR_USAGE, "%s is not generated (its source is %s)", dataset->id,
                             mth_dataset_source_name(dataset->source));
    const struct generator *generator = find_generator(dataset->generator);
    if (!generator)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED, "%s: no generator is called '%s'", dataset->id,
                             dataset->generator);
    char line[256];
    if (!force && all_right(dataset)) {
        snprintf(line, sizeof line, "%s: already there", dataset->id);
        reporter->report(reporter->arg, line);
        return MTH_OK;
    }
    size_t n_there;
    int status = mth_file_make_directory_noted(dataset->directory, &n_there, err);
    for (size_t i = 0; i < dataset->n_files && !status; i++) {
        const struct mth_dataset_file *file = &dataset->files[i];
        status = mth_dataset_make_parent(file->path, err);
        if (!status)
            status = generator->make(file, err);
        if (!status && (status = verify(file, err)))
            unlink(file->path);
        if (status)
            break;
        snprintf(line, sizeof line, "%s: wrote %s, %llu bytes", dataset->id, file->path,
                 (unsigned long long)file->n_bytes);
        reporter->report(reporter->arg, line);
    }
    if (status)
        mth_file_take_back_directory(dataset->directory, n_there);
    return status;
}
