/* A file of a directory that is one container; see packed_file.h. */
#include "harness/packed_file.h"

#include "formats/folder.h"
#include "harness/directory.h"
#include "harness/output.h"
#include "harness/text.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 1 << 20 };

char *mth_packed_find(const char *path, const char **name)
{
    char *directory = mth_path_join(path, "", ""), *container = NULL;
    for (char *slash;
         directory && !container && (slash = strrchr(directory, '/')) != NULL && slash > directory;) {
        *slash = '\0';
        *name = path + (slash - directory) + 1;
        container = mth_opened_whole_path(directory);
    }
    /* In the directory where the command was given. */
    if (directory && !container && path[0] != '/') {
        *name = path;
        container = mth_opened_whole_path(".");
    }
    free(directory);
    return container;
}

/* The entry of a name, or of one without the container's suffix. */
static int find_entry(const struct mth_opened *opened, const struct mth_folder *folder, const char *name,
                      size_t *entry, struct mth_error *err)
{
    size_t n_name = strlen(name), n_plain = n_name;
    char label[MTH_TEXT_BYTES];
    if (mth_path_ends_in(name, MTH_CONTAINER_SUFFIX))
        n_plain -= strlen(MTH_CONTAINER_SUFFIX);
    size_t found = folder->n_entries;
    for (size_t i = 0; i < folder->n_entries; i++) {
        const char *other = mth_folder_name(folder, i);
        size_t n_other = strlen(other);
        /* "notes/.mth" is no file, though "notes/" is in the list. */
        if (mth_folder_is_directory(folder, i))
            continue;
        if ((n_other == n_name || (n_other == n_plain && found == folder->n_entries)) &&
            memcmp(other, name, n_other) == 0)
            found = i;
    }
    *entry = found;
    return found < folder->n_entries
               ? MTH_OK
               : mth_error_set(err, MTH_ERR_NOT_FOUND, "%s: has no file '%s'; `mithril info` lists them",
                               opened->path, mth_text_name(name, 60, label));
}

static int copy(const struct mth_opened *opened, const struct mth_folder_entry *file, struct mth_sink *sink,
                struct mth_error *err)
{
    uint8_t *piece = mth_memory_alloc(opened->memory, PIECE_BYTES);
    int status = piece ? MTH_OK : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a piece of the file");
    for (uint64_t done = 0; !status && done < file->n_bytes;) {
        uint64_t left = file->n_bytes - done;
        size_t n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        status = mth_output_interrupted()
                     ? mth_error_set(err, MTH_ERR_CANCELLED, "interrupted, nothing was written")
                     : mth_source_read(&opened->source, file->begin + done, piece, n, err);
        if (!status)
            status = mth_sink_put(sink, piece, n, err);
        done += n;
    }
    mth_memory_free(opened->memory, piece);
    return status;
}

int mth_packed_restore(const struct mth_opened *opened, const char *name, struct mth_sink *sink,
                       struct mth_container_stats *stats, struct mth_error *err)
{
    struct mth_folder_attributes attributes;
    struct mth_folder folder;
    size_t entry;
    int status = mth_folder_read(&opened->source, opened->memory, &folder, err);
    if (status)
        return status;
    status = find_entry(opened, &folder, name, &entry, err);
    if (!status)
        status = mth_folder_get_attributes(&opened->source, &folder, entry, &attributes, err);
    if (!status)
        status = copy(opened, &folder.entries[entry], sink, err);
    if (!status) {
        struct mth_container_info info;
        mth_container_describe(opened->container, &info);
        *stats = (struct mth_container_stats){.raw_bytes = folder.entries[entry].n_bytes, .loss = info.loss};
        stats->attributes = (struct mth_file_attributes){.known = true,
                                                         .mode = attributes.mode,
                                                         .mtime_s = attributes.mtime_s,
                                                         .mtime_ns = attributes.mtime_ns};
        status = mth_container_stored_bytes(opened->container, folder.entries[entry].begin,
                                            folder.entries[entry].n_bytes, &stats->stored_bytes, err);
    }
    mth_folder_free(&folder);
    return status;
}
