/* Directories that are measured as a whole, as compress codes them; see bench.h. */
#include "harness/bench.h"

#include "harness/base_files.h"
#include "harness/directory.h"
#include "harness/whole_directory.h"

#include <stdlib.h>

/* One that a container stands for, or of which compress would make one. */
static int look_at(const char *path, const struct mth_options *options, struct mth_memory *memory,
                   bool *is_whole, struct mth_error *err)
{
    struct mth_opened opened, *base = NULL;
    struct mth_base_files bases;
    char *container = mth_opened_whole_path(path);
    *is_whole = container != NULL;
    free(container);
    if (*is_whole)
        return MTH_OK;
    int status = mth_whole_open(&opened, path, memory, is_whole, err);
    if (status || !*is_whole)
        return status;
    if (options && options->base) {
        status = mth_base_files_open(&bases, options, 1, memory, err);
        if (!status)
            status = mth_base_files_choose_whole(&bases, &opened, ".", &base, err);
        *is_whole = !status && base;
        mth_base_files_close(&bases);
    }
    mth_opened_close(&opened);
    return status;
}

int mth_bench_is_whole(const char *path, const struct mth_options *options, bool *is_whole,
                       struct mth_error *err)
{
    *is_whole = false;
    if (!mth_path_is_directory(path) || (options && options->dtype != MTH_N_DTYPES))
        return MTH_OK;
    struct mth_memory *memory = mth_memory_create(0);
    int status = memory ? look_at(path, options, memory, is_whole, err)
                        : mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    mth_memory_destroy(memory);
    return status;
}

int mth_bench_load(const struct mth_bench_case *at, const char *path, struct mth_memory *memory,
                   struct mth_loaded *loaded, struct mth_error *err)
{
    bool as_base = at->path && path != at->path;
    return at->as_whole ? mth_loaded_open_whole(path, as_base, memory, loaded, err)
                        : mth_loaded_open(path, at->raw_dtype, memory, loaded, err);
}

bool mth_bench_tensors_alone(const struct mth_bench_case *at)
{
    return at->as_whole && at->base_path && mth_path_is_directory(at->base_path);
}
