/* What is left of a damaged directory; see damaged_directory.h. */
#include "harness/damaged_directory.h"

#include "harness/folder_files.h"
#include "harness/output.h"
#include "harness/text.h"

#include <stdio.h>

static int find_lost(struct mth_damaged *damaged, struct mth_memory *memory, struct mth_error *err)
{
    damaged->lost = mth_memory_calloc(memory, damaged->folder.n_entries + 1, sizeof *damaged->lost);
    if (!damaged->lost)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the names of files");
    mth_output_watch();
    int status = mth_folder_find_lost(&damaged->opened.source, &damaged->folder, damaged->lost,
                                      mth_output_interrupted, memory, err);
    mth_output_unwatch();
    for (size_t i = 0; !status && i < damaged->folder.n_entries; i++) {
        damaged->n_files += !mth_folder_is_directory(&damaged->folder, i);
        damaged->n_lost += damaged->lost[i];
    }
    return status;
}

int mth_damaged_look(struct mth_damaged *damaged, const char *path, const struct mth_stream_base *base,
                     struct mth_memory *memory, struct mth_error *err)
{
    *damaged = (struct mth_damaged){0};
    int status = mth_opened_open(&damaged->opened, path, 1, memory, err);
    if (!status && !damaged->opened.container)
        status = mth_error_set(err, MTH_ERR_FORMAT, "%s: is not a mithril container", path);
    if (!status && mth_opened_needs_base(&damaged->opened) && base)
        status = mth_opened_set_base(&damaged->opened, base, err);
    if (!status)
        status = mth_folder_read(&damaged->opened.source, memory, &damaged->folder, err);
    return status ? status : find_lost(damaged, memory, err);
}

void mth_damaged_tell(const struct mth_damaged *damaged)
{
    char name[MTH_TEXT_BYTES];
    for (size_t i = 0; i < damaged->folder.n_entries; i++)
        if (damaged->lost[i])
            fprintf(stderr, "mithril: %s: lost: %s\n", damaged->opened.path,
                    mth_text_name(mth_folder_name(&damaged->folder, i), 120, name));
}

int mth_damaged_write(const struct mth_damaged *damaged, const char *output, struct mth_error *err)
{
    struct mth_container_info info;
    mth_container_describe(damaged->opened.container, &info);
    mth_folder_clear_unfinished(output);
    mth_output_watch();
    int status = mth_folder_unpack(&damaged->opened.source, output, &info.attributes, damaged->lost,
                                   mth_output_interrupted, damaged->opened.memory, err);
    mth_output_unwatch();
    return status;
}

void mth_damaged_close(struct mth_damaged *damaged)
{
    mth_memory_free(damaged->opened.memory, damaged->lost);
    mth_folder_free(&damaged->folder);
    mth_opened_close(&damaged->opened);
    *damaged = (struct mth_damaged){0};
}
