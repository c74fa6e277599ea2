/* Names in directories, and paths. */
#ifndef MTH_HARNESS_DIRECTORY_H
#define MTH_HARNESS_DIRECTORY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct mth_names {
    char **items; /* sorted by bytes */
    size_t n_items;
};

/* The names in a directory, "." and ".." left out. Errors: MTH_ERR_NOT_FOUND, MTH_ERR_IO, MTH_ERR_NO_MEMORY. */
int mth_names_list(const char *directory, struct mth_names *names, struct mth_error *err);
void mth_names_free(struct mth_names *names);
void mth_names_sort(struct mth_names *names);

/* Is it there? Cost: a binary search. */
bool mth_names_have(const struct mth_names *names, const char *name);

bool mth_path_is_directory(const char *path);
bool mth_path_is_file(const char *path);
/* Is anything there, or not to be told? */
bool mth_path_is_there(const char *path);
/* Are both there, and one file? */
bool mth_path_is_same(const char *a, const char *b);
bool mth_path_ends_in(const char *path, const char *suffix);

/* What stands behind the last slash. */
const char *mth_path_name(const char *path);

/* a, b and c in one string, allocated; NULL without memory. */
char *mth_path_join(const char *a, const char *b, const char *c);

/* The directory that a path lies in, "." for a name alone; allocated. */
char *mth_path_directory(const char *path);

/* A path without the slashes at its end; allocated. */
char *mth_path_trimmed(const char *path);

#endif
