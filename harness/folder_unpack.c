/* A folder that is one file as a directory again; see folder_files.h. */
#define _GNU_SOURCE /* futimens, fdopendir */
#include "harness/folder_files.h"

#include "formats/folder.h"
#include "harness/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 20 };

struct unpacking {
    const struct mth_source *source;
    struct mth_folder folder;
    char *directory; /* under the name of its own */
    int held;        /* by this process, as others see */
    size_t n_made;   /* entries that are there, the last of them perhaps in part */
    uint8_t *piece;
    const bool *lost; /* of each entry; NULL: nothing is */
    bool (*stop)(void);
};

static int no_memory(const char *path, struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
}

static int failed(const char *path, const char *what, struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_IO, "%s: %s: %s", path, what, strerror(errno));
}

int mth_folder_output_check(const char *path, struct mth_error *err)
{
    struct mth_names names;
    struct stat st;
    if (stat(path, &st) != 0)
        return errno == ENOENT ? MTH_OK : mth_error_set(err, MTH_ERR_IO, "%s: %s", path, strerror(errno));
    bool is_empty = S_ISDIR(st.st_mode) && mth_names_list(path, &names, err) == MTH_OK;
    if (is_empty) {
        is_empty = names.n_items == 0;
        mth_names_free(&names);
    }
    return is_empty ? MTH_OK
                    : mth_error_set(err, MTH_ERR_USAGE,
                                    "%s: is there already, and several files become a directory of "
                                    "its own; -o writes elsewhere",
                                    path);
}

/* ---- entries ---- */

static int set_attributes(int fd, const char *path, const struct mth_folder_attributes *attributes,
                          struct mth_error *err)
{
    const struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = (time_t)attributes->mtime_s, .tv_nsec = (long)attributes->mtime_ns}};
    /* What no file system can keep is not worth a step. */
    bool has_time = attributes->mtime_ns < 1000000000;
    if (fchmod(fd, attributes->mode) != 0)
        return failed(path, "cannot set its mode", err);
    if (has_time && futimens(fd, times) != 0 && errno != EINVAL)
        return failed(path, "cannot set its time", err);
    return MTH_OK;
}

/* Reads a file piece by piece; sink: NULL to see whether it can be read. */
static int copy(const struct unpacking *at, size_t entry, struct mth_sink *sink, struct mth_error *err)
{
    const struct mth_folder_entry *file = &at->folder.entries[entry];
    int status = MTH_OK;
    for (uint64_t done = 0; done < file->n_bytes && !status;) {
        uint64_t left = file->n_bytes - done;
        size_t n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        if (at->stop && at->stop())
            return mth_error_set(err, MTH_ERR_CANCELLED, "interrupted, nothing was written");
        status = mth_source_read(at->source, file->begin + done, at->piece, n, err);
        if (!status && sink)
            status = mth_sink_put(sink, at->piece, n, err);
        done += n;
    }
    return status;
}

bool mth_folder_is_damage(int status)
{
    return status == MTH_ERR_CHECKSUM || status == MTH_ERR_CORRUPT || status == MTH_ERR_TRUNCATED;
}

int mth_folder_find_lost(const struct mth_source *source, const struct mth_folder *folder, bool *lost,
                         bool (*stop)(void), struct mth_memory *memory, struct mth_error *err)
{
    struct unpacking at = {.source = source, .folder = *folder, .stop = stop};
    at.piece = mth_memory_alloc(memory, PIECE_BYTES);
    int status = at.piece ? MTH_OK : no_memory(source->name, err);
    for (size_t i = 0; i < folder->n_entries && !status; i++) {
        status = copy(&at, i, NULL, err);
        lost[i] = mth_folder_is_damage(status);
        if (lost[i])
            status = MTH_OK;
    }
    mth_memory_free(memory, at.piece);
    return status;
}

/* Of an entry; *known is false where they are lost, as files may be. */
static int get_attributes(const struct unpacking *at, size_t entry, struct mth_folder_attributes *attributes,
                          bool *known, struct mth_error *err)
{
    int status = mth_folder_get_attributes(at->source, &at->folder, entry, attributes, err);
    *known = !status;
    return at->lost && mth_folder_is_damage(status) ? MTH_OK : status;
}

static int make_file(const struct unpacking *at, size_t entry, const char *path, struct mth_error *err)
{
    struct mth_folder_attributes attributes;
    struct mth_sink sink;
    bool known;
    int status = get_attributes(at, entry, &attributes, &known, err);
    if (status)
        return status;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return failed(path, "cannot be made", err);
    mth_sink_descriptor(path, fd, &sink);
    status = copy(at, entry, &sink, err);
    if (!status && known)
        status = set_attributes(fd, path, &attributes, err);
    if (!status && fsync(fd) != 0)
        status = failed(path, "cannot be written", err);
    if (close(fd) != 0 && !status)
        status = failed(path, "cannot be written", err);
    return status;
}

static char *path_of(const struct unpacking *at, size_t entry)
{
    return mth_path_join(at->directory, "/", mth_folder_name(&at->folder, entry));
}

/* A directory is in the list before what is in it, and in the list of a hostile file perhaps not at all: then it is no file's. */
static int make_entry(struct unpacking *at, size_t entry, struct mth_error *err)
{
    bool is_lost = at->lost && at->lost[entry];
    char *path = is_lost ? NULL : path_of(at, entry);
    int status = path || is_lost ? MTH_OK : no_memory(at->directory, err);
    at->n_made = entry + 1;
    if (is_lost)
        return MTH_OK;
    if (!status && mth_folder_is_directory(&at->folder, entry))
        status = mkdir(path, 0700) == 0 ? MTH_OK : failed(path, "cannot be made", err);
    else if (!status)
        status = make_file(at, entry, path, err);
    free(path);
    return status;
}

/* Syncs a directory, all of whose entries are there. A file system that can not is as good as it is. */
static int finish_directory(const char *path, const struct mth_folder_attributes *attributes,
                            struct mth_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return failed(path, "cannot be opened", err);
    int status = attributes ? set_attributes(fd, path, attributes, err) : MTH_OK;
    (void)fsync(fd);
    close(fd);
    return status;
}

/* The inner ones first: what is made in a directory changes its time. */
static int finish_directories(const struct unpacking *at, const struct mth_file_attributes *attributes,
                              struct mth_error *err)
{
    const struct mth_folder_attributes own = {attributes->mode, attributes->mtime_ns, attributes->mtime_s};
    int status = MTH_OK;
    for (size_t i = at->folder.n_entries; i-- > 0 && !status;) {
        struct mth_folder_attributes of_entry;
        bool known;
        char *path;
        if (!mth_folder_is_directory(&at->folder, i))
            continue;
        status = get_attributes(at, i, &of_entry, &known, err);
        path = status ? NULL : path_of(at, i);
        if (!status)
            status =
                path ? finish_directory(path, known ? &of_entry : NULL, err) : no_memory(at->directory, err);
        free(path);
    }
    return status ? status : finish_directory(at->directory, attributes->known ? &own : NULL, err);
}

/* Removes what was made, and nothing else. */
static void take_back(const struct unpacking *at)
{
    chmod(at->directory, 0700);
    for (size_t i = 0; i < at->n_made; i++) {
        char *path = path_of(at, i);
        if (path && mth_folder_is_directory(&at->folder, i))
            chmod(path, 0700);
        free(path);
    }
    for (size_t i = at->n_made; i-- > 0;) {
        char *path = path_of(at, i);
        if (path && mth_folder_is_directory(&at->folder, i))
            rmdir(path);
        else if (path)
            unlink(path);
        free(path);
    }
    rmdir(at->directory);
}

/* ---- all of it ---- */

static void sync_parent(const char *path)
{
    char *parent = mth_path_directory(path);
    int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(parent);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

static int put_in_place(const struct unpacking *at, const char *path, struct mth_error *err)
{
    /* Only over an empty directory does this go. */
    if (rename(at->directory, path) != 0)
        return failed(path, "cannot be put in its place", err);
    sync_parent(path);
    return MTH_OK;
}

int mth_folder_unpack(const struct mth_source *source, const char *path,
                      const struct mth_file_attributes *attributes, const bool *lost, bool (*stop)(void),
                      struct mth_memory *memory, struct mth_error *err)
{
    struct unpacking at = {.source = source, .lost = lost, .stop = stop, .held = -1};
    char *trimmed = mth_path_trimmed(path);
    if (!trimmed)
        return no_memory(path, err);
    int status = mth_folder_read(source, memory, &at.folder, err);
    if (!status) {
        at.piece = mth_memory_alloc(memory, PIECE_BYTES);
        status = at.piece ? mth_folder_make_unfinished(trimmed, &at.directory, &at.held, err)
                          : no_memory(path, err);
    }
    for (size_t i = 0; i < at.folder.n_entries && !status; i++)
        status = make_entry(&at, i, err);
    if (!status)
        status = finish_directories(&at, attributes, err);
    if (!status)
        status = put_in_place(&at, trimmed, err);
    if (status && at.directory)
        take_back(&at);
    if (at.held >= 0)
        close(at.held);
    mth_memory_free(memory, at.piece);
    mth_folder_free(&at.folder);
    free(at.directory);
    free(trimmed);
    return status;
}
