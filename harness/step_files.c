/* A directory of step files; see step_files.h. */
#include "harness/step_files.h"

#include "base/checked.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The step that a file name ends in before its extension; false when it is not the name of a step file. */
static bool step_of_name(const char *name, uint64_t *step)
{
    static const char *const extensions[] = {".safetensors", ".bin", ".pt", ".pth", ".ckpt"};
    size_t n_name = strlen(name), n_stem = 0;
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        size_t n_ext = strlen(extensions[i]);
        if (n_name > n_ext && strcmp(name + n_name - n_ext, extensions[i]) == 0)
            n_stem = n_name - n_ext;
    }
    size_t first = n_stem;
    while (first > 0 && name[first - 1] >= '0' && name[first - 1] <= '9')
        first--;
    if (first == n_stem)
        return false;
    uint64_t value = 0;
    for (size_t i = first; i < n_stem; i++)
        if (!mth_u64_mul(value, 10, &value) || !mth_u64_add(value, (uint64_t)(name[i] - '0'), &value))
            return false;
    *step = value;
    return true;
}

static int by_step(const void *a, const void *b)
{
    uint64_t x = ((const struct mth_step_file *)a)->step, y = ((const struct mth_step_file *)b)->step;
    return (x > y) - (x < y);
}

/* Adds directory/name when it is a regular step file. capacity is that of files->items. */
static int consider(const char *directory, const char *name, struct mth_step_files *files, size_t *capacity,
                    struct mth_error *err)
{
    uint64_t step;
    if (name[0] == '.' || !step_of_name(name, &step))
        return MTH_OK;
    if (files->n_items == *capacity) {
        size_t grown = *capacity ? *capacity * 2 : 16;
        struct mth_step_file *items = realloc(files->items, grown * sizeof *items);
        if (!items)
            return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its files", directory);
        files->items = items;
        *capacity = grown;
    }
    size_t n_path = strlen(directory) + strlen(name) + 2;
    char *path = malloc(n_path);
    if (!path)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its files", directory);
    snprintf(path, n_path, "%s/%s", directory, name);
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        free(path);
        return MTH_OK;
    }
    files->items[files->n_items++] = (struct mth_step_file){.path = path, .step = step};
    return MTH_OK;
}

/* Sorts what was found, and refuses what can not be ordered. */
static int order(const char *directory, struct mth_step_files *files, struct mth_error *err)
{
    if (files->n_items == 0)
        return mth_error_set(err, MTH_ERR_NOT_FOUND,
                             "%s: holds no step files (files such as step-1000.safetensors, the number last)",
                             directory);
    qsort(files->items, files->n_items, sizeof *files->items, by_step);
    for (size_t i = 1; i < files->n_items; i++)
        if (files->items[i].step == files->items[i - 1].step)
            return mth_error_set(err, MTH_ERR_USAGE, "%s: two files of step %llu: %s and %s", directory,
                                 (unsigned long long)files->items[i].step,
                                 strrchr(files->items[i - 1].path, '/') + 1,
                                 strrchr(files->items[i].path, '/') + 1);
    return MTH_OK;
}

int mth_step_files_list(const char *directory, struct mth_step_files *files, struct mth_error *err)
{
    *files = (struct mth_step_files){0};
    DIR *stream = opendir(directory);
    if (!stream)
        return mth_error_set(err, errno == ENOENT || errno == ENOTDIR ? MTH_ERR_NOT_FOUND : MTH_ERR_IO,
                             "%s: %s", directory, strerror(errno));
    size_t capacity = 0;
    int status = MTH_OK;
    for (;;) {
        errno = 0;
        const struct dirent *item = readdir(stream);
        if (!item && errno)
            status = mth_error_set(err, MTH_ERR_IO, "%s: cannot list: %s", directory, strerror(errno));
        if (!item || status)
            break;
        status = consider(directory, item->d_name, files, &capacity, err);
    }
    closedir(stream);
    if (!status)
        status = order(directory, files, err);
    if (status)
        mth_step_files_free(files);
    return status;
}

void mth_step_files_free(struct mth_step_files *files)
{
    for (size_t i = 0; i < files->n_items; i++)
        free(files->items[i].path);
    free(files->items);
    *files = (struct mth_step_files){0};
}
