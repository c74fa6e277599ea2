/* Directories that tests write into, and what lies in them. */
#ifndef MTH_TESTS_TEMP_DIR_H
#define MTH_TESTS_TEMP_DIR_H

#include <stdbool.h>
#include <stddef.h>

/* A new directory under TMPDIR or /tmp; ends the test when there can be none. */
char *temp_dir_create(void);
/* Removes it with all that is in it, and frees its name. */
void temp_dir_destroy(char *directory);

/* Write directory/name, with directories of name made; ends the test when that fails. */
void temp_dir_write(const char *directory, const char *name, const void *data, size_t n_bytes);
/* The same with the content of a file that lies elsewhere. */
void temp_dir_copy(const char *directory, const char *name, const char *from);
/* Is there anything called directory/name? */
bool temp_dir_has(const char *directory, const char *name);
/* The content of directory/name with a NUL behind it, or NULL when it is not there; the caller frees it. */
char *temp_dir_read(const char *directory, const char *name, size_t *n_bytes);

/* Are directory/a and directory/b there, and do they hold the same bytes? */
bool temp_dir_same(const char *directory, const char *a, const char *b);

/* Files below directory/name, 0 when that is not there. Directories are not counted. */
size_t temp_dir_count(const char *directory, const char *name);

#endif
