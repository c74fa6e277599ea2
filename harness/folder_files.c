/* A directory of files as one file; see folder_files.h. */
#define _GNU_SOURCE /* st_mtim where POSIX alone hides it */
#include "harness/folder_files.h"

#include "formats/file_set.h"
#include "formats/folder.h"
#include "harness/directory.h"
#include "harness/opened.h"
#include "harness/set_plan.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Files that stay open though nobody reads from them just now; of containers, which keep what they decoded last, fewer. */
enum { MAX_OPEN_FILES = 64, MAX_OPEN_CONTAINERS = 3 };

struct open_file {
    struct mth_source source;
    struct mth_opened *container; /* of an entry that is one; NULL */
    char *path;                   /* of that */
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
    bool *is_packed;     /* is an entry what a container restores to? NULL: none is */
    size_t n_threads;    /* that may read containers */
    size_t n_containers; /* that are open */
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

/* Where an entry lies. */
static char *path_of(const struct mth_folder_files *files, const char *name, bool is_packed)
{
    char *path = mth_path_join(files->path, "/", name);
    char *suffixed = path && is_packed ? mth_path_join(path, MTH_CONTAINER_SUFFIX, "") : NULL;
    if (!is_packed)
        return path;
    free(path);
    return suffixed;
}

static int stat_entry(const struct mth_folder_files *files, const char *name, bool is_packed, struct stat *st,
                      struct mth_error *err)
{
    char *joined = path_of(files, name, is_packed);
    if (!joined)
        return no_memory(files->path, err);
    int status =
        stat(joined, st) == 0 ? MTH_OK : mth_error_set(err, MTH_ERR_IO, "%s: %s", joined, strerror(errno));
    free(joined);
    return status;
}

/* ---- files that are there as containers ---- */

static int open_container(const struct mth_folder_files *files, const char *path, struct mth_opened *opened,
                          bool *is_usable, struct mth_error *err)
{
    int status = mth_opened_open(opened, path, files->n_threads, files->memory, err);
    *is_usable = !status && opened->container && !mth_opened_needs_base(opened);
    return status;
}

static int find_raw_bytes(const struct mth_folder_files *files, const char *name, uint64_t *n_bytes,
                          struct mth_error *err)
{
    struct mth_opened opened = {0};
    bool is_usable = false;
    char *path = path_of(files, name, true);
    int status = path ? open_container(files, path, &opened, &is_usable, err) : no_memory(files->path, err);
    if (!status && !is_usable)
        status = mth_error_set(err, MTH_ERR_IO, "%s: was changed while it was read", path);
    *n_bytes = status ? 0 : opened.source.n_bytes;
    mth_opened_close(&opened);
    free(path);
    return status;
}

static bool has_name(const struct walk *walk, size_t n_sorted, const char *name)
{
    return n_sorted && bsearch(&name, walk->names, n_sorted, sizeof *walk->names, by_bytes) != NULL;
}

/* A name and whether it goes without the container's suffix. */
struct packed_name {
    char *name;
    bool is_packed;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct packed_name *)a)->name, ((const struct packed_name *)b)->name);
}

/* Is it a container that can be read as its file, beside which that file is not? One that can not be read is a file like others. */
static bool is_usable(const struct mth_folder_files *files, const struct walk *walk, const char *name)
{
    struct mth_opened opened = {0};
    struct mth_error ignored;
    bool usable = false;
    char *plain = mth_path_ends_in(name, MTH_CONTAINER_SUFFIX) ? mth_set_plain_name(name) : NULL;
    char *slashed = plain ? mth_path_join(plain, "/", "") : NULL;
    bool is_alone =
        slashed && !has_name(walk, walk->n_names, plain) && !has_name(walk, walk->n_names, slashed);
    char *path = is_alone ? path_of(files, name, false) : NULL;
    if (path) {
        (void)open_container(files, path, &opened, &usable, &ignored);
        mth_opened_close(&opened);
    }
    free(path);
    free(slashed);
    free(plain);
    return usable;
}

/* Takes the suffix off the names of containers, and sorts them again. */
static int unpack_names(struct mth_folder_files *files, struct walk *walk, struct mth_error *err)
{
    struct packed_name *names = calloc(walk->n_names + 1, sizeof *names);
    files->is_packed = mth_memory_calloc(files->memory, walk->n_names + 1, sizeof *files->is_packed);
    if (!names || !files->is_packed) {
        free(names);
        return no_memory(files->path, err);
    }
    for (size_t i = 0; i < walk->n_names; i++)
        names[i] = (struct packed_name){walk->names[i], is_usable(files, walk, walk->names[i])};
    for (size_t i = 0; i < walk->n_names; i++)
        if (names[i].is_packed)
            names[i].name[strlen(names[i].name) - strlen(MTH_CONTAINER_SUFFIX)] = '\0';
    qsort(names, walk->n_names, sizeof *names, by_name);
    for (size_t i = 0; i < walk->n_names; i++) {
        walk->names[i] = names[i].name;
        files->is_packed[i] = names[i].is_packed;
    }
    free(names);
    return MTH_OK;
}

static int add_entries(struct mth_folder_files *files, const struct walk *walk, struct mth_error *err)
{
    files->attributes = mth_memory_calloc(files->memory, walk->n_names, MTH_FOLDER_ATTRIBUTE_BYTES);
    if (!files->attributes)
        return no_memory(files->path, err);
    for (size_t i = 0; i < walk->n_names; i++) {
        struct stat st;
        bool is_packed = files->is_packed && files->is_packed[i];
        int status = stat_entry(files, walk->names[i], is_packed, &st, err);
        uint64_t n_bytes = status || S_ISDIR(st.st_mode) ? 0 : (uint64_t)st.st_size;
        if (!status && is_packed)
            status = find_raw_bytes(files, walk->names[i], &n_bytes, err);
        if (status)
            return status;
        const struct mth_folder_attributes attributes = attributes_of(&st);
        mth_folder_put_attributes(&attributes, files->attributes + i * MTH_FOLDER_ATTRIBUTE_BYTES);
        status = mth_folder_add(&files->folder, walk->names[i], n_bytes);
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

static int fill(struct mth_folder_files *files, bool unpacks, struct mth_error *err)
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
    if (!status && unpacks)
        status = unpack_names(files, &walk, err);
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

static int open_files(struct mth_folder_files **out, const char *path, bool unpacks, size_t n_threads,
                      struct mth_memory *memory, struct mth_error *err)
{
    struct mth_folder_files *files = calloc(1, sizeof *files);
    *out = NULL;
    if (!files)
        return no_memory(path, err);
    pthread_mutex_init(&files->lock, NULL);
    files->path = mth_path_trimmed(path);
    files->memory = memory;
    files->n_threads = n_threads;
    mth_folder_init(&files->folder, memory);
    mth_file_set_init(&files->parts, files->path, read_part, files, memory);
    int status = files->path ? fill(files, unpacks, err) : no_memory(path, err);
    if (status)
        mth_folder_files_close(files);
    else
        *out = files;
    return status;
}

int mth_folder_files_open(struct mth_folder_files **out, const char *path, struct mth_memory *memory,
                          struct mth_error *err)
{
    return open_files(out, path, false, 1, memory, err);
}

int mth_folder_files_open_packed(struct mth_folder_files **out, const char *path, size_t n_threads,
                                 struct mth_memory *memory, struct mth_error *err)
{
    return open_files(out, path, true, n_threads, memory, err);
}

bool mth_folder_files_have(const struct mth_folder_files *files, const char *suffix)
{
    bool found = false;
    for (size_t i = 0; i < files->folder.n_entries && !found; i++)
        found = mth_path_ends_in(mth_folder_name(&files->folder, i), suffix);
    return found;
}

static void close_entry(struct mth_folder_files *files, struct open_file *file)
{
    if (!file->is_open)
        return;
    if (file->container) {
        mth_opened_close(file->container);
        free(file->container);
        free(file->path);
        files->n_containers--;
    } else {
        mth_source_close(&file->source);
    }
    *file = (struct open_file){0};
}

void mth_folder_files_close(struct mth_folder_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < MAX_OPEN_FILES; i++)
        close_entry(files, &files->open[i]);
    mth_file_set_free(&files->parts);
    mth_memory_free(files->memory, files->head.data);
    mth_memory_free(files->memory, files->attributes);
    mth_memory_free(files->memory, files->is_packed);
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

/* Of one that is there as a container. */
static int open_packed(struct mth_folder_files *files, struct open_file *file, size_t entry,
                       struct mth_error *err)
{
    bool usable = false;
    file->container = calloc(1, sizeof *file->container);
    file->path = path_of(files, mth_folder_name(&files->folder, entry), true);
    int status = file->container && file->path
                     ? open_container(files, file->path, file->container, &usable, err)
                     : no_memory(files->path, err);
    if (!status && (!usable || file->container->source.n_bytes != files->folder.entries[entry].n_bytes))
        status = mth_error_set(err, MTH_ERR_TRUNCATED, "%s: was changed while it was read", file->path);
    if (status) {
        if (file->container)
            mth_opened_close(file->container);
        free(file->container);
        free(file->path);
        *file = (struct open_file){0};
        return status;
    }
    file->source = file->container->source;
    file->is_open = true;
    file->entry = entry;
    files->n_containers++;
    return MTH_OK;
}

static int open_entry(struct mth_folder_files *files, struct open_file *file, size_t entry,
                      struct mth_error *err)
{
    if (files->is_packed && files->is_packed[entry])
        return open_packed(files, file, entry, err);
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
    struct open_file *oldest = NULL, *container = NULL;
    bool is_packed = files->is_packed && files->is_packed[entry];
    for (size_t i = 0; i < MAX_OPEN_FILES; i++) {
        struct open_file *file = &files->open[i];
        if (file->is_open && file->entry == entry) {
            *found = file;
            return MTH_OK;
        }
        if (file->n_users == 0 && (!oldest || file->last_use < oldest->last_use))
            oldest = file;
        if (file->n_users == 0 && file->container && (!container || file->last_use < container->last_use))
            container = file;
    }
    if (is_packed && container && files->n_containers >= MAX_OPEN_CONTAINERS)
        oldest = container;
    if (!oldest)
        return mth_error_set(err, MTH_ERR_LIMIT, "%s: too many threads read from it", files->path);
    close_entry(files, oldest);
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
        int status = stat_entry(files, name, files->is_packed && files->is_packed[i], &st, err);
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
