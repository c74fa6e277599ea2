/* The files that operands name; see file_walk.h. */
#include "harness/file_walk.h"

#include "base/file.h"
#include "harness/command.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 64 };

struct walk {
    const struct mth_naming *naming;
    mth_file_work *work;
    void *arg;
    int exit_code;
    bool over;
};

/* a, b and c in one string, allocated. */
static char *join(const char *a, const char *b, const char *c)
{
    size_t n = strlen(a) + strlen(b) + strlen(c) + 1;
    char *text = malloc(n);
    if (text)
        snprintf(text, n, "%s%s%s", a, b, c);
    return text;
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), n_suffix = strlen(suffix);
    return n > n_suffix && strcmp(name + n - n_suffix, suffix) == 0;
}

/* The name of an output; NULL and an error when it has none. */
static char *output_name(const struct mth_naming *naming, const char *name, struct mth_error *err)
{
    if (!naming->adds && !has_suffix(name, naming->suffix)) {
        mth_error_set(err, MTH_ERR_USAGE, "%s: does not end in %s; -o FILE names the output", name,
                      naming->suffix);
        return NULL;
    }
    char *out = join(name, naming->adds ? naming->suffix : "", "");
    if (!out)
        mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    else if (!naming->adds)
        out[strlen(out) - strlen(naming->suffix)] = '\0';
    return out;
}

static void note(struct walk *walk, const struct mth_error *err)
{
    int code = mth_command_fail(err);
    if (walk->exit_code == MTH_EXIT_OK)
        walk->exit_code = code;
    walk->over |= err->status == MTH_ERR_CANCELLED;
}

static void do_file(struct walk *walk, const char *input, const char *output)
{
    struct mth_error err = {0};
    if (walk->work(walk->arg, input, output, &err))
        note(walk, &err);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, sorted; NULL when it can not be read. */
static char **list(const char *path, size_t *n_names)
{
    DIR *directory = opendir(path);
    char **names = NULL;
    *n_names = 0;
    if (!directory)
        return NULL;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char **more = realloc(names, (*n_names + 1) * sizeof *names);
        if (!more)
            break;
        names = more;
        names[*n_names] = join(entry->d_name, "", "");
        if (names[*n_names])
            (*n_names)++;
    }
    closedir(directory);
    if (*n_names)
        qsort(names, *n_names, sizeof *names, compare_names);
    return names ? names : calloc(1, sizeof *names);
}

static void do_directory(struct walk *walk, const char *input, const char *output, unsigned depth);

static void do_entry(struct walk *walk, const char *input, const char *output, const char *name,
                     unsigned depth)
{
    struct stat st;
    struct mth_error err = {0};
    char *from = join(input, "/", name), *to = NULL;
    /* A link to a file is read; a link to a directory might lead around in a circle. */
    if (from && stat(from, &st) == 0 && S_ISDIR(st.st_mode)) {
        struct stat link;
        to = join(output, "/", name);
        if (to && lstat(from, &link) == 0 && !S_ISLNK(link.st_mode))
            do_directory(walk, from, to, depth + 1);
    } else if (from && (walk->naming->adds || has_suffix(name, walk->naming->suffix))) {
        char *renamed = output_name(walk->naming, name, &err);
        to = renamed ? join(output, "/", renamed) : NULL;
        if (to)
            do_file(walk, from, to);
        free(renamed);
    }
    free(from);
    free(to);
}

static void do_directory(struct walk *walk, const char *input, const char *output, unsigned depth)
{
    struct mth_error err = {0};
    size_t n_names = 0;
    char **names = depth < MAX_DEPTH ? list(input, &n_names) : NULL;
    if (!names) {
        mth_error_set(&err, MTH_ERR_IO, "%s: the directory cannot be read", input);
        note(walk, &err);
        return;
    }
    if (mth_file_make_directory(output, &err))
        note(walk, &err);
    for (size_t i = 0; i < n_names; i++) {
        if (!walk->over && !err.status)
            do_entry(walk, input, output, names[i], depth);
        free(names[i]);
    }
    free(names);
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A path without the slashes at its end. */
static char *trimmed(const char *path)
{
    char *copy = join(path, "", "");
    for (size_t n = copy ? strlen(copy) : 0; n > 1 && copy[n - 1] == '/'; n--)
        copy[n - 1] = '\0';
    return copy;
}

static void do_operand(struct walk *walk, const struct mth_options *options, const char *operand)
{
    struct mth_error err = {0};
    char *input = trimmed(operand), *output = NULL;
    bool is_stream = strcmp(operand, "-") == 0;
    const char *slash = input ? strrchr(input, '/') : NULL;
    if (!input) {
        mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
    } else if (options->output && options->operands.n_items == 1 &&
               !(is_directory(options->output) && !is_directory(input) && !is_stream)) {
        output = trimmed(options->output);
    } else if (is_stream) {
        output = join("-", "", "");
    } else if (options->output) {
        char *name = output_name(walk->naming, slash ? slash + 1 : input, &err);
        output =
            name && !mth_file_make_directory(options->output, &err) ? join(options->output, "/", name) : NULL;
        free(name);
    } else {
        output = output_name(walk->naming, input, &err);
    }
    if (!output) {
        if (!err.status)
            mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
        note(walk, &err);
    } else if (!is_stream && is_directory(input)) {
        do_directory(walk, input, output, 0);
    } else {
        do_file(walk, input, output);
    }
    free(input);
    free(output);
}

int mth_file_walk(const struct mth_options *options, const struct mth_naming *naming, mth_file_work *work,
                  void *arg)
{
    struct walk walk = {.naming = naming, .work = work, .arg = arg};
    for (size_t i = 0; i < options->operands.n_items && !walk.over; i++)
        do_operand(&walk, options, options->operands.items[i]);
    return walk.exit_code;
}
