/* The files that operands name; see file_walk.h. */
#include "harness/file_walk.h"

#include "base/file.h"
#include "harness/command.h"
#include "harness/directory.h"

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

/* The name of an output; NULL and an error when it has none. */
static char *output_name(const struct mth_naming *naming, const char *name, struct mth_error *err)
{
    if (!naming->adds && !mth_path_ends_in(name, naming->suffix)) {
        mth_error_set(err, MTH_ERR_USAGE, "%s: does not end in %s; -o FILE names the output", name,
                      naming->suffix);
        return NULL;
    }
    char *out = mth_path_join(name, naming->adds ? naming->suffix : "", "");
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

static void do_directory(struct walk *walk, const char *input, const char *output, unsigned depth);

static void do_entry(struct walk *walk, const char *input, const char *output, const char *name,
                     unsigned depth)
{
    struct stat st;
    struct mth_error err = {0};
    char *from = mth_path_join(input, "/", name), *to = NULL;
    /* A link to a file is read; a link to a directory might lead around in a circle. */
    if (from && stat(from, &st) == 0 && S_ISDIR(st.st_mode)) {
        struct stat link;
        to = mth_path_join(output, "/", name);
        if (to && lstat(from, &link) == 0 && !S_ISLNK(link.st_mode))
            do_directory(walk, from, to, depth + 1);
    } else if (from && (walk->naming->adds || mth_path_ends_in(name, walk->naming->suffix))) {
        char *renamed = output_name(walk->naming, name, &err);
        to = renamed ? mth_path_join(output, "/", renamed) : NULL;
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
    struct mth_names names = {0};
    int status = depth < MAX_DEPTH ? mth_names_list(input, &names, &err)
                                   : mth_error_set(&err, MTH_ERR_LIMIT, "%s: directories lie deeper than %d",
                                                   input, MAX_DEPTH);
    if (!status)
        status = mth_file_make_directory(output, &err);
    if (status)
        note(walk, &err);
    for (size_t i = 0; i < names.n_items && !status && !walk->over; i++)
        do_entry(walk, input, output, names.items[i], depth);
    mth_names_free(&names);
}

static void do_operand(struct walk *walk, const struct mth_options *options, const char *operand)
{
    struct mth_error err = {0};
    char *input = mth_path_trimmed(operand), *output = NULL;
    bool is_stream = strcmp(operand, "-") == 0;
    if (!input) {
        mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
    } else if (options->output && options->operands.n_items == 1 &&
               !(mth_path_is_directory(options->output) && !mth_path_is_directory(input) && !is_stream)) {
        output = mth_path_trimmed(options->output);
    } else if (is_stream) {
        output = mth_path_join("-", "", "");
    } else if (options->output) {
        char *name = output_name(walk->naming, mth_path_name(input), &err);
        output = name && !mth_file_make_directory(options->output, &err)
                     ? mth_path_join(options->output, "/", name)
                     : NULL;
        free(name);
    } else {
        output = output_name(walk->naming, input, &err);
    }
    if (!output) {
        if (!err.status)
            mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
        note(walk, &err);
    } else if (!is_stream && mth_path_is_directory(input)) {
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
