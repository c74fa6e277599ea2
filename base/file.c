/* Reading at offsets and atomic writing; see file.h. */
#define _GNU_SOURCE /* O_TMPFILE, on Linux alone */
#include "base/file.h"

#include "base/checked.h"
#include "base/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* One system call moves at most this much, so that signals are noticed between them. */
enum { MTH_IO_PIECE_BYTES = 8 << 20 };

int mth_source_open(const char *path, struct mth_source *source, struct mth_error *err)
{
    *source = (struct mth_source){.name = path, .fd = -1};
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return mth_error_set(err, errno == ENOENT || errno == ENOTDIR ? MTH_ERR_NOT_FOUND : MTH_ERR_IO,
                             "%s: %s", path, strerror(errno));
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return mth_error_set(err, MTH_ERR_IO, "%s: %s", path,
                             S_ISDIR(st.st_mode) ? "is a directory, not a checkpoint file"
                                                 : "is not a regular file");
    }
    source->fd = fd;
    source->n_bytes = (uint64_t)st.st_size;
    return MTH_OK;
}

void mth_source_memory(const char *name, struct mth_bytes bytes, struct mth_source *source)
{
    *source = (struct mth_source){.name = name, .n_bytes = bytes.n_bytes, .fd = -1, .memory = bytes.data};
}

void mth_source_close(struct mth_source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
}

int mth_source_read(const struct mth_source *source, uint64_t offset, void *dst, size_t n_bytes,
                    struct mth_error *err)
{
    if (offset > source->n_bytes || n_bytes > source->n_bytes - offset)
        return mth_error_set(err, MTH_ERR_TRUNCATED, "%s: ends at byte %llu, %zu bytes are wanted at %llu",
                             source->name, (unsigned long long)source->n_bytes, n_bytes,
                             (unsigned long long)offset);
    if (source->read)
        return source->read(source->state, offset, dst, n_bytes, err);
    if (source->fd < 0) {
        if (n_bytes)
            mth_copy_near(dst, source->memory + offset, n_bytes);
        return MTH_OK;
    }
    uint8_t *out = dst;
    while (n_bytes > 0) {
        ssize_t got = pread(source->fd, out, mth_size_min(n_bytes, MTH_IO_PIECE_BYTES), (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mth_error_set(err, MTH_ERR_IO, "%s: cannot read at byte %llu: %s", source->name,
                                 (unsigned long long)offset, strerror(errno));
        if (got == 0)
            return mth_error_set(err, MTH_ERR_TRUNCATED, "%s: became shorter while it was read",
                                 source->name);
        out += got;
        offset += (uint64_t)got;
        n_bytes -= (size_t)got;
    }
    return MTH_OK;
}

int mth_file_read_all(const char *path, struct mth_memory *memory, struct mth_buffer *out,
                      struct mth_error *err)
{
    struct mth_source source;
    *out = (struct mth_buffer){0};
    int status = mth_source_open(path, &source, err);
    if (status)
        return status;
    size_t n_bytes;
    if (!mth_u64_to_size(source.n_bytes, &n_bytes)) {
        mth_source_close(&source);
        return mth_error_set(err, MTH_ERR_OVERFLOW, "%s: too large for this machine", path);
    }
    uint8_t *data = mth_memory_alloc(memory, n_bytes);
    if (!data)
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its %zu bytes", path, n_bytes);
    else
        status = mth_source_read(&source, 0, data, n_bytes, err);
    mth_source_close(&source);
    if (status) {
        mth_memory_free(memory, data);
        return status;
    }
    *out = (struct mth_buffer){.data = data, .n_bytes = n_bytes, .capacity_bytes = n_bytes};
    return MTH_OK;
}

struct mth_file_writer {
    int fd;
    char *path;
    char *temporary; /* its name, a pattern while the file has none */
    bool unnamed;
};

enum { SUFFIX_BYTES = 12, MAX_NAME_TRIES = 100 };
static const char suffix[SUFFIX_BYTES] = ".tmp.XXXXXX";

static void writer_free(struct mth_file_writer *writer)
{
    free(writer->path);
    free(writer->temporary);
    free(writer);
}

/* The directory of a path, allocated. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t n = !slash ? 1 : slash == path ? 1 : (size_t)(slash - path);
    char *directory = malloc(n + 1);
    if (!directory)
        return NULL;
    memcpy(directory, slash ? path : ".", n);
    directory[n] = '\0';
    return directory;
}

/* A file without a name where the output will be, -1 where that is not known. */
static int open_unnamed(const char *path)
{
#if defined(O_TMPFILE) && defined(__linux__)
    char *directory = directory_of(path);
    /* Without /proc it could never be given a name. */
    int fd = directory && access("/proc/self/fd", X_OK) == 0
                 ? open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
                 : -1;
    free(directory);
    return fd;
#else
    (void)path;
    return -1;
#endif
}

/*
 * Gives an unnamed file its name. Where nothing has it yet that is one step. Over a file that is there no link can go: then
 * the file is linked beside it and renamed. A process that is killed between these two calls leaves the whole new file
 * as "NAME.mithril~", which the next one that writes NAME takes away.
 */
static int name_file(struct mth_file_writer *writer)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", writer->fd);
    snprintf(writer->temporary + strlen(writer->path), SUFFIX_BYTES, ".mithril~");
    if (linkat(AT_FDCWD, link, AT_FDCWD, writer->path, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    for (unsigned i = 0; errno == EEXIST && i < MAX_NAME_TRIES; i++) {
        unlink(writer->temporary);
        if (linkat(AT_FDCWD, link, AT_FDCWD, writer->temporary, AT_SYMLINK_FOLLOW) != 0)
            continue;
        if (rename(writer->temporary, writer->path) == 0)
            return 0;
        /* Another process that writes the same file took it for a leftover, or put it in its place. */
        int failed = errno;
        unlink(writer->temporary);
        if (failed != ENOENT)
            return failed;
        errno = EEXIST;
    }
    return errno;
}

int mth_file_writer_open(const char *path, struct mth_file_writer **out, struct mth_error *err)
{
    size_t n_path = strlen(path);
    struct stat st;
    /* A rename would put a file in the place of a device: of /dev/null, for one. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return mth_error_set(err, MTH_ERR_IO, "%s: cannot write: %s", path,
                             S_ISDIR(st.st_mode) ? "is a directory" : "is not a regular file");
    struct mth_file_writer *writer = calloc(1, sizeof *writer);
    if (writer) {
        writer->path = malloc(n_path + 1);
        writer->temporary = malloc(n_path + sizeof suffix);
    }
    if (!writer || !writer->path || !writer->temporary) {
        if (writer)
            writer_free(writer);
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    }
    memcpy(writer->path, path, n_path + 1);
    memcpy(writer->temporary, path, n_path);
    memcpy(writer->temporary + n_path, suffix, sizeof suffix);
    writer->fd = open_unnamed(path);
    writer->unnamed = writer->fd >= 0;
    if (writer->fd < 0)
        writer->fd = mkstemp(writer->temporary);
    if (writer->fd < 0) {
        int status = mth_error_set(err, MTH_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
        writer_free(writer);
        return status;
    }
    /* It has 0600 so far; a new file gets what the umask grants. umask can only be read by setting it. */
    mode_t mask = umask(022);
    umask(mask);
    if (fchmod(writer->fd, 0666 & ~mask) != 0) {
        int status = mth_error_set(err, MTH_ERR_IO, "%s: cannot set its mode: %s", path, strerror(errno));
        mth_file_writer_abort(writer);
        return status;
    }
    *out = writer;
    return MTH_OK;
}

int mth_file_writer_set_attributes(struct mth_file_writer *writer, uint32_t mode, int64_t mtime_s,
                                   uint32_t mtime_ns, struct mth_error *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = mtime_s, .tv_nsec = mtime_ns}};
    if (fchmod(writer->fd, mode & 0777) != 0 || futimens(writer->fd, times) != 0)
        return mth_error_set(err, MTH_ERR_IO, "%s: cannot set its mode and time: %s", writer->path,
                             strerror(errno));
    return MTH_OK;
}

int mth_file_writer_write(struct mth_file_writer *writer, const void *data, size_t n_bytes,
                          struct mth_error *err)
{
    const uint8_t *p = data;
    while (n_bytes > 0) {
        ssize_t put = write(writer->fd, p, mth_size_min(n_bytes, MTH_IO_PIECE_BYTES));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return mth_error_set(err, MTH_ERR_IO, "%s: cannot write: %s", writer->path, strerror(errno));
        p += put;
        n_bytes -= (size_t)put;
    }
    return MTH_OK;
}

int mth_file_writer_write_at(struct mth_file_writer *writer, uint64_t offset, const void *data,
                             size_t n_bytes, struct mth_error *err)
{
    const uint8_t *p = data;
    while (n_bytes > 0) {
        ssize_t put = pwrite(writer->fd, p, mth_size_min(n_bytes, MTH_IO_PIECE_BYTES), (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return mth_error_set(err, MTH_ERR_IO, "%s: cannot write: %s", writer->path, strerror(errno));
        p += put;
        offset += (uint64_t)put;
        n_bytes -= (size_t)put;
    }
    return MTH_OK;
}

/* Makes a rename durable. File systems that can not sync a directory are not an error. */
static void sync_directory_of(const char *path)
{
    char *directory = directory_of(path);
    int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(directory);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

int mth_file_writer_commit(struct mth_file_writer *writer, struct mth_error *err)
{
    int failed = fsync(writer->fd) != 0 ? errno : 0;
    if (!failed && writer->unnamed)
        failed = name_file(writer);
    if (close(writer->fd) != 0 && !failed)
        failed = errno;
    writer->fd = -1;
    if (!failed && !writer->unnamed && rename(writer->temporary, writer->path) != 0)
        failed = errno;
    if (failed) {
        int status = mth_error_set(err, MTH_ERR_IO, "%s: cannot write: %s", writer->path, strerror(failed));
        mth_file_writer_abort(writer);
        return status;
    }
    sync_directory_of(writer->path);
    writer_free(writer);
    return MTH_OK;
}

void mth_file_writer_abort(struct mth_file_writer *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0)
        close(writer->fd);
    if (!writer->unnamed)
        unlink(writer->temporary);
    writer_free(writer);
}

int mth_file_write_all(const char *path, struct mth_bytes content, struct mth_error *err)
{
    struct mth_file_writer *writer;
    int status = mth_file_writer_open(path, &writer, err);
    if (status)
        return status;
    status = mth_file_writer_write(writer, content.data, content.n_bytes, err);
    if (status) {
        mth_file_writer_abort(writer);
        return status;
    }
    return mth_file_writer_commit(writer, err);
}

int mth_file_make_directory_noted(const char *path, size_t *n_there, struct mth_error *err)
{
    size_t n = strlen(path);
    char *copy = malloc(n + 1);
    *n_there = n;
    if (!copy)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
    memcpy(copy, path, n + 1);
    size_t n_found = 0;
    int failed = 0;
    for (size_t i = 1; i <= n && !failed; i++) {
        /* A slash too many, or at the end, names nothing more. */
        if ((copy[i] != '/' && copy[i] != '\0') || copy[i - 1] == '/')
            continue;
        copy[i] = '\0';
        struct stat st;
        if (mkdir(copy, 0777) != 0) {
            failed = errno == EEXIST ? ENOTDIR : errno;
            if (stat(copy, &st) == 0 && S_ISDIR(st.st_mode)) {
                failed = 0;
                n_found = i;
            }
        }
        if (i < n)
            copy[i] = '/';
    }
    free(copy);
    if (failed) {
        mth_file_take_back_directory(path, n_found);
        return mth_error_set(err, MTH_ERR_IO, "%s: cannot create the directory: %s", path, strerror(failed));
    }
    *n_there = n_found;
    return MTH_OK;
}

void mth_file_take_back_directory(const char *path, size_t n_there)
{
    size_t n = strlen(path);
    char *copy = n > n_there ? malloc(n + 1) : NULL;
    if (!copy)
        return;
    memcpy(copy, path, n + 1);
    /* Of one that holds something neither it goes nor what it lies in. */
    for (size_t i = n; i > n_there; i--) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        copy[i] = '\0';
        (void)rmdir(copy);
    }
    free(copy);
}

int mth_file_make_directory(const char *path, struct mth_error *err)
{
    size_t n_there;
    return mth_file_make_directory_noted(path, &n_there, err);
}
