/* A directory that is restored from one container; see folder_files.h. */
#include "harness/directory.h"
#include "harness/folder_files.h"
#include "harness/output.h"

#include <stdlib.h>

int mth_folder_output_open(const char *path, struct mth_folder_output *output, struct mth_error *err)
{
    char *trimmed = mth_path_trimmed(path), *beside = trimmed ? mth_path_directory(trimmed) : NULL;
    output->path = path;
    mth_folder_clear_unfinished(path);
    int status = beside ? mth_scratch_open(beside, path, &output->scratch, err)
                        : mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    free(trimmed);
    free(beside);
    if (status)
        return status;
    mth_output_watch();
    mth_scratch_sink(&output->scratch, &output->sink);
    return MTH_OK;
}

/* Where each of its files begins is only known from its list, so that nothing is made before all of it is there. */
int mth_folder_output_close(struct mth_folder_output *output, int status,
                            const struct mth_file_attributes *attributes, struct mth_memory *memory,
                            struct mth_error *err)
{
    struct mth_source source;
    if (!status)
        status = mth_scratch_source(&output->scratch, &source, err);
    if (!status)
        status =
            mth_folder_unpack(&source, output->path, attributes, NULL, mth_output_interrupted, memory, err);
    if (status == MTH_ERR_CANCELLED)
        mth_error_set(err, status, "interrupted, nothing was written");
    mth_output_unwatch();
    mth_scratch_close(&output->scratch);
    return status;
}
