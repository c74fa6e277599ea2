/* The files that operands name; see file_walk.h. */
#include "harness/file_walk.h"

#include "base/file.h"
#include "harness/command.h"
#include "harness/directory.h"
#include "harness/set_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 64 };

struct walk {
    const struct mth_options *options;
    const struct mth_naming *naming;
    mth_file_work *work;
    mth_directory_work *whole;
    void *arg;
    size_t n_files; /* given to work */
    size_t n_failed;
    size_t n_there; /* of the directory that several operands go to: what there was of it (base/file.h) */
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
    walk->n_failed++;
    if (walk->exit_code == MTH_EXIT_OK)
        walk->exit_code = code;
    walk->over |= err->status == MTH_ERR_CANCELLED;
}

static void note_no_memory(struct walk *walk)
{
    struct mth_error err;
    mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory for the names of files");
    note(walk, &err);
}

static void do_walked(struct walk *walk, const struct mth_walked *file)
{
    struct mth_error err = {0};
    walk->n_files++;
    if (walk->work(walk->arg, file, &err))
        note(walk, &err);
}

/* One that is no part of a directory that is gone through. */
static void do_file(struct walk *walk, const char *input, const char *output, const char *place)
{
    do_walked(walk, &(struct mth_walked){.input = input, .output = output, .place = place});
}

static void do_directory(struct walk *walk, const char *input, const char *output, const char *place,
                         unsigned depth);

/* output: NULL where nothing is written. place: of the directory; NULL: it is the operand. */
static void do_entry(struct walk *walk, const char *input, const char *output, const char *place,
                     const char *name, unsigned depth)
{
    struct stat st;
    struct mth_error err = {0};
    char *from = mth_path_join(input, "/", name), *to = NULL;
    char *here = place ? mth_path_join(place, "/", name) : mth_path_join(name, "", "");
    if (!from || !here) {
        note_no_memory(walk);
        free(from);
        free(here);
        return;
    }
    /* A link to a file is read; a link to a directory might lead around in a circle. */
    if (stat(from, &st) == 0 && S_ISDIR(st.st_mode)) {
        struct stat link;
        to = output ? mth_path_join(output, "/", name) : NULL;
        if (output && !to)
            note_no_memory(walk);
        else if (lstat(from, &link) == 0 && !S_ISLNK(link.st_mode))
            do_directory(walk, from, to, here, depth + 1);
    } else if (walk->naming->reads_only) {
        if (mth_path_ends_in(name, walk->naming->suffix))
            do_walked(walk, &(struct mth_walked){.input = from, .place = here, .is_below = true});
    } else if (walk->naming->adds || mth_path_ends_in(name, walk->naming->suffix)) {
        char *renamed = output_name(walk->naming, name, &err);
        to = renamed ? mth_path_join(output, "/", renamed) : NULL;
        if (to)
            do_walked(walk, &(struct mth_walked){from, to, here, true});
        free(renamed);
    }
    free(from);
    free(here);
    free(to);
}

/* Is a directory done, as a whole? */
static bool is_done(struct walk *walk, const struct mth_walked *directory)
{
    struct mth_error err = {0};
    bool done = false;
    int status = walk->whole ? walk->whole(walk->arg, directory, &done, &err) : MTH_OK;
    walk->n_files += done;
    if (status)
        note(walk, &err);
    return done || status;
}

static void do_directory(struct walk *walk, const char *input, const char *output, const char *place,
                         unsigned depth)
{
    struct mth_error err = {0};
    struct mth_names names = {0};
    size_t n_failed = walk->n_failed, n_there = 0;
    if (is_done(walk, &(struct mth_walked){input, output, place ? place : ".", place != NULL}))
        return;
    int status = depth < MAX_DEPTH ? mth_names_list(input, &names, &err)
                                   : mth_error_set(&err, MTH_ERR_LIMIT, "%s: directories lie deeper than %d",
                                                   input, MAX_DEPTH);
    if (!status && output)
        status = mth_file_make_directory_noted(output, &n_there, &err);
    bool is_made = !status && output;
    if (status)
        note(walk, &err);
    for (size_t i = 0; i < names.n_items && !status && !walk->over; i++)
        do_entry(walk, input, output, place, names.items[i], depth);
    /* Where nothing failed an empty one is what the input is. */
    if (is_made && walk->n_failed > n_failed)
        mth_file_take_back_directory(output, n_there);
    mth_names_free(&names);
}

/* Makes the directory that several outputs go to, as options->output names it. */
static int make_output(struct walk *walk, struct mth_error *err)
{
    size_t n_there;
    int status = mth_file_make_directory_noted(walk->options->output, &n_there, err);
    if (!status && n_there < walk->n_there)
        walk->n_there = n_there;
    return status;
}

/* ---- the index of a sharded model ---- */

static bool is_operand(const struct walk *walk, const char *path)
{
    for (size_t i = 0; i < walk->options->operands.n_items; i++) {
        if (mth_path_is_same(walk->options->operands.items[i], path))
            return true;
    }
    return false;
}

/* A shard lies beside its index, and its output beside that of the index. */
static void do_shard(struct walk *walk, const char *index, const char *name)
{
    struct mth_error err = {0};
    char *directory = mth_path_directory(index), *renamed = output_name(walk->naming, name, &err);
    const char *out = walk->options->output ? walk->options->output : directory;
    bool is_here = directory && strcmp(directory, ".") == 0 && index[0] != '.';
    char *from = is_here     ? mth_path_join(name, "", "")
                 : directory ? mth_path_join(directory, "/", name)
                             : NULL;
    char *to = !renamed                            ? NULL
               : is_here && !walk->options->output ? mth_path_join(renamed, "", "")
               : out                               ? mth_path_join(out, "/", renamed)
                                                   : NULL;
    if (!from || !to)
        note_no_memory(walk);
    else if (!is_operand(walk, from))
        do_file(walk, from, to, name);
    free(directory);
    free(renamed);
    free(from);
    free(to);
}

/* The index itself, then its shards; one that is none of a model is a file like any other. */
static void do_index(struct walk *walk, const char *index)
{
    struct mth_error err = {0};
    struct mth_names shards;
    const char *name = mth_path_name(index), *output = walk->options->output;
    char *renamed = output_name(walk->naming, output ? name : index, &err), *to = renamed;
    if (renamed && output) {
        to = make_output(walk, &err) ? NULL : mth_path_join(output, "/", renamed);
        free(renamed);
    }
    if (!to) {
        if (!err.status)
            mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
        note(walk, &err);
        return;
    }
    do_file(walk, index, to, name);
    free(to);
    if (mth_set_shards_of(index, &shards, &err)) {
        fprintf(stderr, "mithril: %s; its shards are not known\n", err.text);
        return;
    }
    for (size_t i = 0; i < shards.n_items && !walk->over; i++)
        do_shard(walk, index, shards.items[i]);
    mth_names_free(&shards);
}

/* ---- operands ---- */

/* Where the output of an operand goes; NULL and an error, or no memory. */
static char *output_of(struct walk *walk, const char *input, bool is_stream, struct mth_error *err)
{
    const struct mth_options *options = walk->options;
    if (options->output && options->operands.n_items == 1 &&
        !(mth_path_is_directory(options->output) && !mth_path_is_directory(input) && !is_stream))
        return mth_path_trimmed(options->output);
    if (is_stream)
        return mth_path_join("-", "", "");
    if (!options->output)
        return output_name(walk->naming, input, err);
    char *name = output_name(walk->naming, mth_path_name(input), err), *output = NULL;
    if (name && !make_output(walk, err))
        output = mth_path_join(options->output, "/", name);
    free(name);
    return output;
}

/* To find nothing to read in a directory is more likely a mistake than what was meant. */
static void do_directory_operand(struct walk *walk, const char *input, const char *output)
{
    struct mth_error err;
    size_t n_before = walk->n_files;
    int exit_code = walk->exit_code;
    do_directory(walk, input, output, NULL, 0);
    if (walk->n_files > n_before || !walk->naming->reads_only || walk->exit_code != exit_code)
        return;
    mth_error_set(&err, MTH_ERR_USAGE, "%s: no file in it ends in %s", input, walk->naming->suffix);
    note(walk, &err);
}

static void do_operand(struct walk *walk, const char *operand)
{
    struct mth_error err = {0};
    char *input = mth_path_trimmed(operand), *output = NULL;
    bool is_stream = strcmp(operand, "-") == 0;
    if (input && walk->naming->adds && mth_set_is_index(input) && mth_path_is_file(input)) {
        do_index(walk, input);
        free(input);
        return;
    }
    if (input && !walk->naming->reads_only)
        output = output_of(walk, input, is_stream, &err);
    if (!output && !(input && walk->naming->reads_only)) {
        if (!err.status)
            mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
        note(walk, &err);
    } else if (!is_stream && mth_path_is_directory(input)) {
        do_directory_operand(walk, input, output);
    } else {
        do_file(walk, input, output, mth_path_name(input));
    }
    free(input);
    free(output);
}

/* Standard output takes one file. */
static int check_stream(const struct mth_options *options, const struct mth_naming *naming,
                        struct mth_error *err)
{
    const char *operand = options->operands.items[0];
    if (!options->output || strcmp(options->output, "-") != 0 || naming->reads_only)
        return MTH_OK;
    if (options->operands.n_items > 1)
        return mth_error_set(err, MTH_ERR_USAGE, "-o -: standard output takes one file, and these are %zu",
                             options->operands.n_items);
    if (mth_path_is_directory(operand) ||
        (naming->adds && mth_set_is_index(operand) && mth_path_is_file(operand)))
        return mth_error_set(err, MTH_ERR_USAGE,
                             "-o -: standard output takes one file, and %s stands for more", operand);
    return MTH_OK;
}

int mth_file_walk(const struct mth_options *options, const struct mth_naming *naming, mth_file_work *work,
                  mth_directory_work *whole, void *arg)
{
    struct walk walk = {
        .options = options, .naming = naming, .work = work, .whole = whole, .arg = arg, .n_there = SIZE_MAX};
    struct mth_error err = {0};
    if (check_stream(options, naming, &err))
        return mth_command_fail(&err);
    for (size_t i = 0; i < options->operands.n_items && !walk.over; i++)
        do_operand(&walk, options->operands.items[i]);
    if (walk.n_failed && walk.n_there != SIZE_MAX)
        mth_file_take_back_directory(options->output, walk.n_there);
    return walk.exit_code;
}
