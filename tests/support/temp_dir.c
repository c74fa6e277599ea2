/* Directories of tests; see temp_dir.h. */
#include "tests/support/temp_dir.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *join(const char *directory, const char *name)
{
    size_t n = strlen(directory) + strlen(name) + 2;
    char *path = malloc(n);
    assert_non_null(path);
    snprintf(path, n, "%s/%s", directory, name);
    return path;
}

char *temp_dir_create(void)
{
    const char *parent = getenv("TMPDIR");
    char *path = join(parent && parent[0] ? parent : "/tmp", "mithril-test.XXXXXX");
    if (!mkdtemp(path))
        fail_msg("%s: no directory for a test", path);
    return path;
}

/* Counts the files below a path, and removes it when asked to. */
static size_t walk(const char *path, bool removing)
{
    DIR *stream = opendir(path);
    size_t n = 0;
    const struct dirent *item;
    while (stream && (item = readdir(stream))) {
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
            continue;
        char *inner = join(path, item->d_name);
        struct stat st;
        if (lstat(inner, &st) == 0 && S_ISDIR(st.st_mode)) {
            n += walk(inner, removing);
        } else {
            n++;
            if (removing)
                unlink(inner);
        }
        free(inner);
    }
    if (stream)
        closedir(stream);
    if (removing)
        rmdir(path);
    return n;
}

void temp_dir_destroy(char *directory)
{
    walk(directory, true);
    free(directory);
}

void temp_dir_write(const char *directory, const char *name, const void *data, size_t n_bytes)
{
    char *path = join(directory, name);
    for (char *p = path + strlen(directory) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(path, 0777);
        *p = '/';
    }
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, n_bytes, file) != n_bytes || fclose(file) != 0)
        fail_msg("%s: cannot write", path);
    free(path);
}

char *temp_dir_read(const char *directory, const char *name, size_t *n_bytes)
{
    char *path = join(directory, name);
    FILE *file = fopen(path, "rb");
    free(path);
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    long n = ftell(file);
    rewind(file);
    char *content = malloc((size_t)n + 1);
    assert_non_null(content);
    if (fread(content, 1, (size_t)n, file) != (size_t)n)
        fail_msg("%s/%s: cannot read", directory, name);
    content[n] = '\0';
    fclose(file);
    if (n_bytes)
        *n_bytes = (size_t)n;
    return content;
}

size_t temp_dir_count(const char *directory, const char *name)
{
    char *path = join(directory, name);
    size_t n = walk(path, false);
    free(path);
    return n;
}

bool temp_dir_same(const char *directory, const char *a, const char *b)
{
    size_t n_a = 0, n_b = 0;
    char *left = temp_dir_read(directory, a, &n_a), *right = temp_dir_read(directory, b, &n_b);
    bool same = left && right && n_a == n_b && memcmp(left, right, n_a) == 0;
    free(left);
    free(right);
    return same;
}

void temp_dir_copy(const char *directory, const char *name, const char *from)
{
    size_t n = 0;
    char *content = temp_dir_read(".", from, &n);
    if (!content)
        fail_msg("%s: is not there", from);
    temp_dir_write(directory, name, content, n);
    free(content);
}

bool temp_dir_has(const char *directory, const char *name)
{
    struct stat st;
    char *path = join(directory, name);
    bool is_there = stat(path, &st) == 0;
    free(path);
    return is_there;
}
