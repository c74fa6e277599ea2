/* The directory of a chain: its manifest, its lock, and what interrupted writers left; see mithril.h and docs/chain.md. */
#include "pipeline/chain.h"

#include "base/file.h"
#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_MANIFEST_BYTES = 1 << 30 };

static char *join(const char *directory, const char *name)
{
    size_t n = strlen(directory) + strlen(name) + 2;
    char *path = malloc(n);
    if (path)
        snprintf(path, n, "%s/%s", directory, name);
    return path;
}

static int no_memory(const char *directory, struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for a chain", directory);
}

/* ---- reading ---- */

static int read_manifest(const char *path, struct mth_chain *chain, struct mth_error *err)
{
    struct mth_source source;
    struct mth_buffer text;
    int status = mth_source_open(path, &source, err);
    if (status)
        return status;
    bool is_large = source.n_bytes > MAX_MANIFEST_BYTES;
    mth_source_close(&source);
    if (is_large)
        return mth_error_set(err, MTH_ERR_FORMAT, "%s: is too large for the manifest of a chain", path);
    status = mth_file_read_all(path, chain->memory, &text, err);
    if (status)
        return status;
    status = mth_chain_manifest_parse(path, (struct mth_bytes){text.data, text.n_bytes}, chain, err);
    mth_memory_free(chain->memory, text.data);
    return status;
}

int mth_chain_read(const char *directory, struct mth_memory *memory, struct mth_chain *chain,
                   struct mth_error *err)
{
    char *path = join(directory, MTH_CHAIN_MANIFEST);
    *chain = (struct mth_chain){.memory = memory};
    if (!path)
        return no_memory(directory, err);
    int status = read_manifest(path, chain, err);
    if (status == MTH_ERR_NOT_FOUND)
        mth_error_set(err, status, "%s: is no chain: there is no %s", directory, MTH_CHAIN_MANIFEST);
    free(path);
    if (status)
        mth_chain_free(chain);
    return status;
}

/* ---- what lies in the directory ---- */

/* Calls visit for every name; it may remove the file of that name. */
static int visit_names(const char *directory,
                       int (*visit)(void *arg, const char *name, struct mth_error *err), void *arg,
                       struct mth_error *err)
{
    int status = MTH_OK;
    DIR *stream = opendir(directory);
    if (!stream)
        return mth_error_set(err, MTH_ERR_IO, "%s: %s", directory, strerror(errno));
    while (!status) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry && errno)
            status = mth_error_set(err, MTH_ERR_IO, "%s: cannot list: %s", directory, strerror(errno));
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = visit(arg, entry->d_name, err);
    }
    closedir(stream);
    return status;
}

static bool is_named(const struct mth_chain *chain, const char *file)
{
    char own[MTH_CHAIN_FILE_BYTES];
    size_t index = mth_chain_find(chain, strtoull(file + strlen("step-"), NULL, 10));
    if (index == chain->n_steps)
        return false;
    mth_chain_step_file(&chain->steps[index], own);
    return strcmp(own, file) == 0;
}

static int remove_unnamed(void *arg, const char *name, struct mth_error *err)
{
    const struct mth_chain_writer *writer = arg;
    bool is_old = mth_chain_is_container(name) && !is_named(&writer->chain, name);
    if (!is_old && !mth_chain_is_leftover(name))
        return MTH_OK;
    char *path = join(writer->directory, name);
    if (!path)
        return no_memory(writer->directory, err);
    int status = MTH_OK;
    if (unlink(path) != 0 && errno != ENOENT)
        status = mth_error_set(err, MTH_ERR_IO, "%s: cannot be removed: %s", path, strerror(errno));
    free(path);
    return status;
}

int mth_chain_writer_clean(struct mth_chain_writer *writer, struct mth_error *err)
{
    return visit_names(writer->directory, remove_unnamed, writer, err);
}

/* Where there is no manifest there may be nothing but what an interrupted first writer leaves. */
static int refuse_others(void *arg, const char *name, struct mth_error *err)
{
    const char *directory = arg;
    if (strcmp(name, MTH_CHAIN_LOCK) == 0 ||
        (mth_chain_is_leftover(name) && !strncmp(name, MTH_CHAIN_MANIFEST, strlen(MTH_CHAIN_MANIFEST))))
        return MTH_OK;
    return mth_error_set(err, MTH_ERR_USAGE, "%s: is no chain (there is no %s) and holds '%.80s'", directory,
                         MTH_CHAIN_MANIFEST, name);
}

/* ---- writing ---- */

static bool is_named_so(int file, const char *path)
{
    struct stat open_one, named;
    return fstat(file, &open_one) == 0 && stat(path, &named) == 0 && open_one.st_dev == named.st_dev &&
           open_one.st_ino == named.st_ino;
}

static int lock(struct mth_chain_writer *writer, struct mth_error *err)
{
    char *path = join(writer->directory, MTH_CHAIN_LOCK);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (!path)
        return no_memory(writer->directory, err);
    int status = MTH_OK;
    writer->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    bool is_held = writer->lock >= 0 && fcntl(writer->lock, F_SETLK, &whole) == 0;
    bool is_taken = !is_held && writer->lock >= 0 && (errno == EACCES || errno == EAGAIN);
    /* A writer that gave up a new chain may have taken its lock away meanwhile. */
    if (is_held && !is_named_so(writer->lock, path)) {
        is_held = false;
        is_taken = true;
    }
    if (is_taken)
        status = mth_error_set(err, MTH_ERR_IO,
                               "%s: another process is writing to this chain; try again when it is done",
                               writer->directory);
    else if (!is_held)
        status = mth_error_set(err, MTH_ERR_IO, "%s: cannot be locked: %s", path, strerror(errno));
    free(path);
    if (status && writer->lock >= 0) {
        close(writer->lock);
        writer->lock = -1;
    }
    return status;
}

static int write_manifest(struct mth_chain_writer *writer, struct mth_error *err)
{
    struct mth_buffer text;
    char *path = join(writer->directory, MTH_CHAIN_MANIFEST);
    int status =
        path ? mth_chain_manifest_write(&writer->chain, &text, err) : no_memory(writer->directory, err);
    if (!status) {
        status = mth_file_write_all(path, (struct mth_bytes){text.data, text.n_bytes}, err);
        if (!status)
            writer->chain.stamp = mth_hash64(text.data, text.n_bytes, 0);
        mth_memory_free(writer->chain.memory, text.data);
    }
    free(path);
    return status;
}

static int create(struct mth_chain_writer *writer, struct mth_error *err)
{
    int status = visit_names(writer->directory, refuse_others, writer->directory, err);
    if (!status)
        status =
            mth_chain_set_spec(&writer->chain, MTH_CHAIN_DEFAULT_SPEC, strlen(MTH_CHAIN_DEFAULT_SPEC), err);
    writer->chain.policy = (struct mth_chain_policy){.rule = MTH_CHAIN_INTERMITTENT};
    /* Without steps, but there: so what an interrupted writer leaves is known for what it is. */
    status = status ? status : write_manifest(writer, err);
    writer->is_new = true;
    return status ? status : mth_chain_writer_clean(writer, err);
}

int mth_chain_writer_open(const char *directory, bool may_create, struct mth_memory *memory,
                          struct mth_chain_writer *writer, struct mth_error *err)
{
    struct stat st;
    *writer =
        (struct mth_chain_writer){.directory = strdup(directory), .n_there = strlen(directory), .lock = -1};
    if (!writer->directory)
        return no_memory(directory, err);
    bool is_there = stat(directory, &st) == 0;
    if (is_there && !S_ISDIR(st.st_mode))
        return mth_error_set(err, MTH_ERR_USAGE, "%s: is a file; a chain is a directory", directory);
    if (!is_there && !may_create)
        return mth_error_set(err, MTH_ERR_NOT_FOUND, "%s: there is no such chain", directory);
    int status = is_there ? MTH_OK : mth_file_make_directory_noted(directory, &writer->n_there, err);
    /* A lock in a directory that is no chain would be litter. */
    if (!status && is_there) {
        status = mth_chain_read(directory, memory, &writer->chain, err);
        if (status == MTH_ERR_NOT_FOUND && may_create)
            status = visit_names(directory, refuse_others, writer->directory, err);
        mth_chain_free(&writer->chain);
    }
    if (!status)
        status = lock(writer, err);
    if (status)
        return status;
    status = mth_chain_read(directory, memory, &writer->chain, err);
    if (status == MTH_ERR_NOT_FOUND && may_create) {
        writer->chain.memory = memory;
        return create(writer, err);
    }
    return status ? status : mth_chain_writer_clean(writer, err);
}

int mth_chain_writer_commit(struct mth_chain_writer *writer, struct mth_error *err)
{
    int status = write_manifest(writer, err);
    if (status)
        return status;
    writer->is_new = false;
    writer->n_there = strlen(writer->directory);
    return MTH_OK;
}

static void remove_file(const struct mth_chain_writer *writer, const char *name)
{
    char *path = join(writer->directory, name);
    if (path)
        unlink(path);
    free(path);
}

/* Of a chain that never had a step. The lock goes last: it is held until then. */
static void leave_nothing(struct mth_chain_writer *writer)
{
    struct mth_error err;
    writer->chain.n_steps = 0;
    if (writer->is_new && mth_chain_writer_clean(writer, &err))
        return;
    if (writer->is_new)
        remove_file(writer, MTH_CHAIN_MANIFEST);
    if (writer->lock >= 0)
        remove_file(writer, MTH_CHAIN_LOCK);
    mth_file_take_back_directory(writer->directory, writer->n_there);
}

void mth_chain_writer_close(struct mth_chain_writer *writer)
{
    if (writer->directory && (writer->is_new || writer->n_there < strlen(writer->directory)))
        leave_nothing(writer);
    mth_chain_free(&writer->chain);
    /* Closing it lets the lock go. */
    if (writer->lock >= 0)
        close(writer->lock);
    free(writer->directory);
    *writer = (struct mth_chain_writer){.lock = -1};
}
