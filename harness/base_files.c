/* The bases of the files that a command goes through; see base_files.h. */
#include "harness/base_files.h"

#include "harness/set_files.h"

#include <stdlib.h>
#include <string.h>

static int no_memory(struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the bases");
}

static void close_chain(struct mth_base_files *bases)
{
    mth_opened_chain_close(&bases->chain);
    for (size_t i = 0; bases->paths && i < bases->options->bases.n_items; i++)
        free(bases->paths[i]);
    free(bases->paths);
    free(bases->place);
    bases->paths = NULL;
    bases->place = NULL;
}

int mth_base_files_open(struct mth_base_files *bases, const struct mth_options *options, size_t n_threads,
                        struct mth_memory *memory, struct mth_error *err)
{
    size_t n_directories = 0;
    *bases = (struct mth_base_files){.options = options, .n_threads = n_threads, .memory = memory};
    for (size_t i = 0; i < options->bases.n_items; i++)
        n_directories += mth_path_is_directory(options->bases.items[i]);
    bases->are_directories = n_directories > 0;
    if (!bases->are_directories)
        return mth_opened_chain_open(&bases->chain, options, n_threads, memory, err);
    if (n_directories < options->bases.n_items)
        return mth_error_set(err, MTH_ERR_USAGE,
                             "--base: directories and files do not go together; give directories alone");
    if (n_directories > MTH_CONTAINER_MAX_CHAIN)
        return mth_error_set(err, MTH_ERR_USAGE, "--base is given %zu times; at most %d", n_directories,
                             MTH_CONTAINER_MAX_CHAIN);
    return MTH_OK;
}

void mth_base_files_close(struct mth_base_files *bases)
{
    close_chain(bases);
}

bool mth_base_files_vary(const struct mth_base_files *bases)
{
    return bases->are_directories || (bases->chain.links && bases->chain.links[0].set);
}

/* A directory below that of a base; place "." is that itself. */
static char *below(const char *base, const char *place)
{
    char *trimmed = mth_path_trimmed(base), *path = NULL;
    if (trimmed)
        path = strcmp(place, ".") == 0 ? mth_path_join(trimmed, "", "") : mth_path_join(trimmed, "/", place);
    free(trimmed);
    return path;
}

/* Opens the links' paths; what is behind those that are needed is an older base. */
static int open_paths(struct mth_base_files *bases, bool as_whole, struct mth_error *err)
{
    int status = mth_opened_chain_open_paths(&bases->chain, (const char *const *)bases->paths,
                                             bases->options->bases.n_items, false, as_whole,
                                             bases->options->dtype, bases->n_threads, bases->memory, err);
    if (status)
        close_chain(bases);
    return status;
}

static int is_set(const char *path, bool *is, struct mth_error *err)
{
    struct mth_set_plan plan;
    int status = mth_set_plan_find(path, &plan, err);
    *is = !status && plan.kind != MTH_SET_NONE;
    if (!status)
        mth_set_plan_free(&plan);
    return status;
}

/* The set at a place of the directories; *found is false where the first has none. */
static int open_set(struct mth_base_files *bases, const char *place, bool *found, struct mth_error *err)
{
    size_t n = bases->options->bases.n_items;
    int status = MTH_OK;
    *found = bases->place && strcmp(bases->place, place) == 0;
    if (*found)
        return MTH_OK;
    close_chain(bases);
    bases->paths = calloc(n, sizeof *bases->paths);
    if (!bases->paths)
        return no_memory(err);
    for (size_t i = 0; i < n && (i == 0 || bases->paths[0]); i++) {
        struct mth_error why;
        char *path = below(bases->options->bases.items[i], place);
        if (!path)
            return no_memory(err);
        int failed = is_set(path, found, i ? &why : err);
        status = i ? status : failed;
        if (*found)
            bases->paths[i] = path;
        else
            free(path);
    }
    *found = bases->paths[0] != NULL;
    if (!*found) {
        close_chain(bases);
        return status;
    }
    bases->place = mth_path_join(place, "", "");
    return bases->place ? open_paths(bases, false, err) : no_memory(err);
}

/* The file of a name at a place of the directories; *found is false where the first has none. */
static int open_file(struct mth_base_files *bases, const char *place, const char *name, bool *found,
                     struct mth_error *err)
{
    size_t n = bases->options->bases.n_items;
    close_chain(bases);
    bases->paths = calloc(n, sizeof *bases->paths);
    if (!bases->paths)
        return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        char *directory = below(bases->options->bases.items[i], place);
        bases->paths[i] = directory ? mth_set_path(directory, name) : NULL;
        free(directory);
    }
    *found = bases->paths[0] != NULL;
    return *found ? open_paths(bases, false, err) : MTH_OK;
}

/* All that lies at a place of the directories; *found is false where the first has none there. */
static int open_whole(struct mth_base_files *bases, const char *place, bool *found, struct mth_error *err)
{
    size_t n = bases->options->bases.n_items;
    close_chain(bases);
    bases->paths = calloc(n, sizeof *bases->paths);
    if (!bases->paths)
        return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        char *path = below(bases->options->bases.items[i], place);
        if (!path)
            return no_memory(err);
        if (mth_path_is_directory(path))
            bases->paths[i] = path;
        else
            free(path);
    }
    *found = bases->paths[0] != NULL;
    return *found ? open_paths(bases, true, err) : MTH_OK;
}

/* The same where the first directory has a container there that stands for it. */
static int open_packed(struct mth_base_files *bases, const char *place, bool *found, struct mth_error *err)
{
    char *directory = below(bases->options->bases.items[0], place),
         *path = directory ? mth_opened_whole_path(directory) : NULL;
    bool is_packed = path != NULL;
    free(directory);
    free(path);
    *found = false;
    return is_packed ? open_whole(bases, place, found, err) : MTH_OK;
}

static bool has_file(const struct mth_base_files *bases, const char *place, const char *name)
{
    char *directory = below(bases->options->bases.items[0], place);
    char *path = directory ? mth_set_path(directory, name) : NULL;
    bool found = path != NULL;
    free(directory);
    free(path);
    return found;
}

/* What is one of the set's files, or has no file of its name there, goes against the set. */
static int pick(struct mth_base_files *bases, const char *place, const char *name, bool *found,
                struct mth_error *err)
{
    struct mth_error of_set = {0};
    bool has_set = false, has_same = has_file(bases, place, name);
    int status = open_set(bases, place, &has_set, &of_set);
    if (status && !has_same) {
        *err = of_set;
        return status;
    }
    *found = has_set && !status;
    if (*found && (!has_same || mth_set_files_have(bases->chain.links[0].set, name)))
        return MTH_OK;
    return has_same ? open_file(bases, place, name, found, err) : open_packed(bases, place, found, err);
}

int mth_base_files_pick(struct mth_base_files *bases, const char *place, struct mth_opened **base,
                        struct mth_error *err)
{
    bool found = false;
    int status = MTH_OK;
    *base = NULL;
    if (bases->are_directories) {
        char *name = mth_set_plain_name(mth_path_name(place)), *directory = mth_path_directory(place);
        status = name && directory ? pick(bases, directory, name, &found, err) : no_memory(err);
        free(name);
        free(directory);
    }
    if (!status && (found || !bases->are_directories) && bases->chain.links)
        *base = &bases->chain.links[0];
    return status;
}

int mth_base_files_pick_whole(struct mth_base_files *bases, const char *place, struct mth_opened **base,
                              struct mth_error *err)
{
    bool found = false;
    *base = NULL;
    if (!bases->are_directories) {
        if (bases->chain.links && !bases->chain.links[0].set)
            *base = &bases->chain.links[0];
        return MTH_OK;
    }
    int status = open_whole(bases, place, &found, err);
    if (!status && found)
        *base = &bases->chain.links[0];
    return status;
}

int mth_base_files_choose_whole(struct mth_base_files *bases, const struct mth_opened *input,
                                const char *place, struct mth_opened **base, struct mth_error *err)
{
    int status = mth_base_files_pick_whole(bases, place, base, err);
    bool found = !status && *base && (*base)->has_map;
    if (found)
        status = mth_opened_has_counterparts(input, *base, &found, err);
    if (status || !found)
        *base = NULL;
    return status;
}

/* Gives a container a base, which may be that of another; of two the older one too where it was coded against both. */
static int try_base(const struct mth_base_files *bases, struct mth_opened *opened, struct mth_opened **base,
                    struct mth_error *err)
{
    if (*base && bases->are_directories)
        (*base)->base.older = mth_opened_needs_older(opened) ? bases->chain.older : NULL;
    int status = *base ? mth_opened_set_base(opened, &(*base)->base, err) : MTH_OK;
    if (status)
        *base = NULL;
    return status;
}

int mth_base_files_fit(struct mth_base_files *bases, const char *place, struct mth_opened *opened,
                       struct mth_opened **base, struct mth_error *err)
{
    bool is_whole = bases->are_directories && mth_opened_is_whole_name(place);
    struct mth_error first = {0}, second = {0};
    char *directory = mth_path_directory(place);
    if (!directory)
        return no_memory(err);
    int status = is_whole ? mth_base_files_pick_whole(bases, directory, base, &first)
                          : mth_base_files_pick(bases, place, base, &first);
    if (!status)
        status = try_base(bases, opened, base, &first);
    /* It may be of a file of that name, or of a directory and have another by now. */
    if (bases->are_directories && !*base && (is_whole || !status)) {
        int other = is_whole ? mth_base_files_pick(bases, place, base, &second)
                             : mth_base_files_pick_whole(bases, directory, base, &second);
        if (!other)
            (void)try_base(bases, opened, base, &second);
    }
    free(directory);
    if (!status || *base)
        return MTH_OK;
    *err = first;
    return status;
}

int mth_base_files_spare(const struct mth_base_files *bases, const char *output, struct mth_error *err)
{
    for (size_t i = 0; i < bases->chain.n_links; i++) {
        if (bases->chain.links[i].path && mth_opened_holds(&bases->chain.links[i], output))
            return mth_error_set(err, MTH_ERR_USAGE,
                                 "%s: is a file of the base, it can not be the output too", output);
    }
    return MTH_OK;
}

int mth_base_files_give(struct mth_base_files *bases, struct mth_opened *opened, struct mth_error *err)
{
    struct mth_opened *base = NULL;
    const struct mth_words *paths = &bases->options->bases;
    int status = MTH_OK;
    if (paths->n_items == 0 || !mth_opened_needs_base(opened))
        return MTH_OK;
    if (opened->set && bases->are_directories) {
        bool found;
        status = open_set(bases, ".", &found, err);
        base = found ? bases->chain.links : NULL;
    } else if (opened->container) {
        return mth_base_files_fit(bases, mth_path_name(opened->path), opened, &base, err);
    } else {
        status = mth_base_files_pick(bases, mth_path_name(opened->path), &base, err);
    }
    return status || !base ? status : mth_opened_set_base(opened, &base->base, err);
}
