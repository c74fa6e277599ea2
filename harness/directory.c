/* Names in directories, and paths; see directory.h. */
#include "harness/directory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct mth_names *names, size_t *capacity, const char *name)
{
    if (names->n_items == *capacity) {
        size_t grown = *capacity ? *capacity * 2 : 64;
        char **items = realloc(names->items, grown * sizeof *items);
        if (!items)
            return MTH_ERR_NO_MEMORY;
        names->items = items;
        *capacity = grown;
    }
    char *copy = mth_path_join(name, "", "");
    if (!copy)
        return MTH_ERR_NO_MEMORY;
    names->items[names->n_items++] = copy;
    return MTH_OK;
}

int mth_names_list(const char *directory, struct mth_names *names, struct mth_error *err)
{
    size_t capacity = 0;
    int status = MTH_OK;
    *names = (struct mth_names){0};
    DIR *stream = opendir(directory);
    if (!stream)
        return mth_error_set(err, errno == ENOENT || errno == ENOTDIR ? MTH_ERR_NOT_FOUND : MTH_ERR_IO,
                             "%s: %s", directory, strerror(errno));
    while (!status) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry && errno)
            status = mth_error_set(err, MTH_ERR_IO, "%s: cannot list: %s", directory, strerror(errno));
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (add_name(names, &capacity, entry->d_name))
            status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its files", directory);
    }
    closedir(stream);
    if (status)
        mth_names_free(names);
    else
        mth_names_sort(names);
    return status;
}

void mth_names_sort(struct mth_names *names)
{
    if (names->n_items)
        qsort(names->items, names->n_items, sizeof *names->items, compare_names);
}

void mth_names_free(struct mth_names *names)
{
    for (size_t i = 0; i < names->n_items; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct mth_names){0};
}

bool mth_names_have(const struct mth_names *names, const char *name)
{
    return names->n_items &&
           bsearch(&name, names->items, names->n_items, sizeof *names->items, compare_names) != NULL;
}

bool mth_path_is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool mth_path_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool mth_path_is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

bool mth_path_is_same(const char *a, const char *b)
{
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino;
}

bool mth_path_ends_in(const char *path, const char *suffix)
{
    size_t n = strlen(path), n_suffix = strlen(suffix);
    return n > n_suffix && strcmp(path + n - n_suffix, suffix) == 0;
}

const char *mth_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *mth_path_join(const char *a, const char *b, const char *c)
{
    size_t n = strlen(a) + strlen(b) + strlen(c) + 1;
    char *text = malloc(n);
    if (text)
        snprintf(text, n, "%s%s%s", a, b, c);
    return text;
}

char *mth_path_directory(const char *path)
{
    const char *name = mth_path_name(path);
    if (name == path)
        return mth_path_join(".", "", "");
    char *copy = mth_path_join(path, "", "");
    if (copy)
        copy[name - path == 1 ? 1 : name - path - 1] = '\0';
    return copy;
}

char *mth_path_trimmed(const char *path)
{
    char *copy = mth_path_join(path, "", "");
    for (size_t n = copy ? strlen(copy) : 0; n > 1 && copy[n - 1] == '/'; n--)
        copy[n - 1] = '\0';
    return copy;
}
