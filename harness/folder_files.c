/* A directory of files as one file; see folder_files.h. */
#define _GNU_SOURCE /* st_mtim where POSIX alone hides it */
#include "harness/folder_files.h"

#include "formats/file_set.h"
#include "formats/folder.h"
#include "harness/directory.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Files that stay open though nobody reads from them just now. */
enum { MAX_OPEN_FILES = 64 };

struct open_file {
    struct mth_source source;
    size_t entry, n_users;
    uint64_t last_use;
    bool is_open;
};

struct mth_folder_files {
    char *path;
    struct mth_memory *memory;
    struct mth_folder folder;
    struct mth_buffer head;
    uint8_t *attributes; /* of all entries */
    struct mth_file_attributes own;
    struct mth_file_set parts; /* head, entries, attributes */
    pthread_mutex_t lock;
    struct open_file open[MAX_OPEN_FILES];
    uint64_t clock;
};

static int no_memory(const char *path, struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its files", path);
}

/* ---- what is in the directory ---- */

/* Paths below it, with a slash behind those of directories, in no order yet. */
struct walk {
    const char *path;
    char **names;
    size_t n_names, capacity;
};

static int add_name(struct walk *walk, char *name, struct mth_error *err)
{
    if (walk->n_names == walk->capacity) {
        size_t capacity = walk->capacity ? 2 * walk->capacity : 64;
        char **grown = realloc(walk->names, capacity * sizeof *grown);
        if (!grown) {
            free(name);
            return no_memory(walk->path, err);
        }
        walk->names = grown;
        walk->capacity = capacity;
    }
    walk->names[walk->n_names++] = name;
    return MTH_OK;
}

/* Adds what lies at a place below the directory. */
static int visit(struct walk *walk, const char *below, const char *name, struct mth_error *err)
{
    struct stat itself, target;
    char *place = mth_path_join(below, name, ""),
         *path = place ? mth_path_join(walk->path, "/", place) : NULL;
    int status = path ? MTH_OK : no_memory(walk->path, err);
    if (!status && (lstat(path, &itself) != 0 || stat(path, &target) != 0))
        status = mth_error_set(err, MTH_ERR_IO, "%s: %s", path, strerror(errno));
    if (!status && !S_ISREG(target.st_mode) && !(S_ISDIR(target.st_mode) && S_ISDIR(itself.st_mode)))
        status = mth_error_set(err, MTH_ERR_IO,
                               "%s: is neither a file nor a directory%s; a step of several files may hold "
                               "nothing else",
                               path, S_ISLNK(itself.st_mode) ? " but a link to one" : "");
    if (!status && strlen(place) + 1 > MTH_FOLDER_PATH_MAX_BYTES)
        status = mth_error_set(err, MTH_ERR_LIMIT, "%.200s..: its name is too long", path);
    if (!status && S_ISDIR(target.st_mode)) {
        char *slashed = mth_path_join(place, "/", "");
        free(place);
        place = slashed;
        status = place ? MTH_OK : no_memory(walk->path, err);
    }
    free(path);
    if (status) {
        free(place);
        return status;
    }
    return add_name(walk, place, err);
}

static int list_directory(struct walk *walk, const char *below, struct mth_error *err)
{
    struct mth_names names;
    char *path = mth_path_join(walk->path, "/", below);
    int status = path ? mth_names_list(path, &names, err) : no_memory(walk->path, err);
    free(path);
    if (status)
        return status;
    for (size_t i = 0; i < names.n_items && !status; i++)
        status = visit(walk, below, names.items[i], err);
    mth_names_free(&names);
    return status;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Directories are gone through as they turn up behind what was found before: no recursion, however deep they go. */
static int list_all(struct walk *walk, struct mth_error *err)
{
    int status = list_directory(walk, "", err);
    for (size_t i = 0; i < walk->n_names && !status; i++) {
        const char *name = walk->names[i];
        if (name[strlen(name) - 1] == '/')
            status = list_directory(walk, name, err);
    }
    if (!status && walk->n_names)
        qsort(walk->names, walk->n_names, sizeof *walk->names, by_bytes);
    return status;
}

static void free_walk(struct walk *walk)
{
    for (size_t i = 0; i < walk->n_names; i++)
        free(walk->names[i]);
    free(walk->names);
}

/* ---- opening ---- */

static struct mth_folder_attributes attributes_of(const struct stat *st)
{
    return (struct mth_folder_attributes){.mode = (uint32_t)st->st_mode & 0777,
                                          .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
                                          .mtime_s = st->st_mtim.tv_sec};
}

static int stat_entry(const char *path, const char *name, struct stat *st, struct mth_error *err)
{
    char *joined = mth_path_join(path, "/", name);
    if (!joined)
        return no_memory(path, err);
    int status =
        stat(joined, st) == 0 ? MTH_OK : mth_error_set(err, MTH_ERR_IO, "%s: %s", joined, strerror(errno));
    free(joined);
    return status;
}

static int add_entries(struct mth_folder_files *files, const struct walk *walk, struct mth_error *err)
{
    files->attributes = mth_memory_calloc(files->memory, walk->n_names, MTH_FOLDER_ATTRIBUTE_BYTES);
    if (!files->attributes)
        return no_memory(files->path, err);
    for (size_t i = 0; i < walk->n_names; i++) {
        struct stat st;
        int status = stat_entry(files->path, walk->names[i], &st, err);
        if (status)
            return status;
        const struct mth_folder_attributes attributes = attributes_of(&st);
        mth_folder_put_attributes(&attributes, files->attributes + i * MTH_FOLDER_ATTRIBUTE_BYTES);
        status =
            mth_folder_add(&files->folder, walk->names[i], S_ISDIR(st.st_mode) ? 0 : (uint64_t)st.st_size);
        if (status)
            return mth_error_set(err, status, "%s/%s: %s", files->path, walk->names[i],
                                 mth_status_text(status));
    }
    return MTH_OK;
}

static int add_parts(struct mth_folder_files *files)
{
    const struct mth_folder *folder = &files->folder;
    int status = mth_folder_write_head(&files->folder, &files->head);
    if (!status)
        status = mth_file_set_add(&files->parts, files->head.n_bytes);
    for (size_t i = 0; i < folder->n_entries && !status; i++)
        status = mth_file_set_add(&files->parts, folder->entries[i].n_bytes);
    if (!status)
        status = mth_file_set_add(&files->parts, folder->n_bytes - folder->n_content);
    return status;
}

static int fill(struct mth_folder_files *files, struct mth_error *err)
{
    struct walk walk = {.path = files->path};
    struct stat st;
    if (stat(files->path, &st) != 0)
        return mth_error_set(err, errno == ENOENT ? MTH_ERR_NOT_FOUND : MTH_ERR_IO, "%s: %s", files->path,
                             strerror(errno));
    const struct mth_folder_attributes own = attributes_of(&st);
    files->own = (struct mth_file_attributes){
        .known = true, .mode = own.mode, .mtime_s = own.mtime_s, .mtime_ns = own.mtime_ns};
    int status = list_all(&walk, err);
    if (!status && walk.n_names == 0)
        status = mth_error_set(err, MTH_ERR_USAGE, "%s: is an empty directory", files->path);
    if (!status)
        status = add_entries(files, &walk, err);
    free_walk(&walk);
    if (status)
        return status;
    status = add_parts(files);
    return status ? mth_error_set(err, status, "%s: %s", files->path, mth_status_text(status)) : MTH_OK;
}

static int read_part(void *state, size_t part, uint64_t offset, void *dst, size_t n_bytes,
                     struct mth_error *err);

int mth_folder_files_open(struct mth_folder_files **out, const char *path, struct mth_memory *memory,
                          struct mth_error *err)
{
    struct mth_folder_files *files = calloc(1, sizeof *files);
    *out = NULL;
    if (!files)
        return no_memory(path, err);
    pthread_mutex_init(&files->lock, NULL);
    files->path = mth_path_trimmed(path);
    files->memory = memory;
    mth_folder_init(&files->folder, memory);
    mth_file_set_init(&files->parts, files->path, read_part, files, memory);
    int status = files->path ? fill(files, err) : no_memory(path, err);
    if (status)
        mth_folder_files_close(files);
    else
        *out = files;
    return status;
}

void mth_folder_files_close(struct mth_folder_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < MAX_OPEN_FILES; i++)
        if (files->open[i].is_open)
            mth_source_close(&files->open[i].source);
    mth_file_set_free(&files->parts);
    mth_memory_free(files->memory, files->head.data);
    mth_memory_free(files->memory, files->attributes);
    mth_folder_free(&files->folder);
    pthread_mutex_destroy(&files->lock);
    free(files->path);
    free(files);
}

struct mth_file_attributes mth_folder_files_attributes(const struct mth_folder_files *files)
{
    return files->own;
}

/* ---- reading ---- */

static int open_entry(const struct mth_folder_files *files, struct open_file *file, size_t entry,
                      struct mth_error *err)
{
    const char *name = mth_folder_name(&files->folder, entry);
    char *path = mth_path_join(files->path, "/", name);
    if (!path)
        return no_memory(files->path, err);
    int status = mth_source_open(path, &file->source, err);
    if (!status && file->source.n_bytes != files->folder.entries[entry].n_bytes) {
        mth_source_close(&file->source);
        status = mth_error_set(err, MTH_ERR_TRUNCATED, "%s: was changed while it was read", path);
    }
    file->is_open = !status;
    file->entry = entry;
    /* Its name goes with the path; errors of reading name the folder. */
    file->source.name = files->path;
    free(path);
    return status;
}

/* The open file of an entry, in the place of the one that nobody has used for longest. Called with the lock held. */
static int find_open(struct mth_folder_files *files, size_t entry, struct open_file **found,
                     struct mth_error *err)
{
    struct open_file *oldest = NULL;
    for (size_t i = 0; i < MAX_OPEN_FILES; i++) {
        struct open_file *file = &files->open[i];
        if (file->is_open && file->entry == entry) {
            *found = file;
            return MTH_OK;
        }
        if (file->n_users == 0 && (!oldest || file->last_use < oldest->last_use))
            oldest = file;
    }
    if (!oldest)
        return mth_error_set(err, MTH_ERR_LIMIT, "%s: too many threads read from it", files->path);
    if (oldest->is_open)
        mth_source_close(&oldest->source);
    oldest->is_open = false;
    *found = oldest;
    return open_entry(files, oldest, entry, err);
}

static int read_entry(struct mth_folder_files *files, size_t entry, uint64_t offset, void *dst,
                      size_t n_bytes, struct mth_error *err)
{
    struct open_file *file = NULL;
    pthread_mutex_lock(&files->lock);
    int status = find_open(files, entry, &file, err);
    if (!status) {
        file->n_users++;
        file->last_use = ++files->clock;
    }
    pthread_mutex_unlock(&files->lock);
    if (status)
        return status;
    status = mth_source_read(&file->source, offset, dst, n_bytes, err);
    pthread_mutex_lock(&files->lock);
    file->n_users--;
    pthread_mutex_unlock(&files->lock);
    return status;
}

static int read_part(void *state, size_t part, uint64_t offset, void *dst, size_t n_bytes,
                     struct mth_error *err)
{
    struct mth_folder_files *files = state;
    if (part == 0)
        memcpy(dst, files->head.data + offset, n_bytes);
    else if (part == files->folder.n_entries + 1)
        memcpy(dst, files->attributes + offset, n_bytes);
    else
        return read_entry(files, part - 1, offset, dst, n_bytes, err);
    return MTH_OK;
}

void mth_folder_files_source(struct mth_folder_files *files, struct mth_source *source)
{
    mth_file_set_source(&files->parts, source);
}

int mth_folder_files_check(const struct mth_folder_files *files, struct mth_error *err)
{
    for (size_t i = 0; i < files->folder.n_entries; i++) {
        const char *name = mth_folder_name(&files->folder, i);
        uint8_t now[MTH_FOLDER_ATTRIBUTE_BYTES];
        struct stat st;
        int status = stat_entry(files->path, name, &st, err);
        if (status)
            return status;
        const struct mth_folder_attributes attributes = attributes_of(&st);
        mth_folder_put_attributes(&attributes, now);
        if (memcmp(now, files->attributes + i * sizeof now, sizeof now) != 0)
            return mth_error_set(err, MTH_ERR_IO, "%s/%s: was changed while it was read", files->path, name);
    }
    return MTH_OK;
}

int mth_folder_content(const struct mth_source *source, struct mth_memory *memory, struct mth_source *content,
                       struct mth_error *err)
{
    struct mth_folder folder;
    int status = mth_folder_read(source, memory, &folder, err);
    if (status)
        return status;
    *content = *source;
    content->n_bytes = folder.n_content;
    mth_folder_free(&folder);
    return MTH_OK;
}
