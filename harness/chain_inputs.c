/* The files that operands name, in the order of their steps; see chain_command.h. */
#include "harness/chain_command.h"

#include "harness/directory.h"

#include <stdlib.h>

static int by_step(const void *a, const void *b)
{
    uint64_t x = ((const struct mth_step_file *)a)->step, y = ((const struct mth_step_file *)b)->step;
    return (x > y) - (x < y);
}

static int no_memory(struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the files to be added");
}

static int add_input(struct mth_step_files *inputs, const char *path, uint64_t step, struct mth_error *err)
{
    struct mth_step_file *items = realloc(inputs->items, (inputs->n_items + 1) * sizeof *items);
    if (!items)
        return no_memory(err);
    inputs->items = items;
    items[inputs->n_items].path = mth_path_trimmed(path);
    items[inputs->n_items].step = step;
    if (!items[inputs->n_items].path)
        return no_memory(err);
    inputs->n_items++;
    return MTH_OK;
}

/* The steps in a directory, files and directories of files. */
static int add_directory(struct mth_step_files *inputs, const char *path, struct mth_error *err)
{
    struct mth_step_files files;
    int status = mth_step_files_list_folders(path, &files, err);
    if (status)
        return status;
    for (size_t i = 0; !status && i < files.n_items; i++)
        status = add_input(inputs, files.items[i].path, files.items[i].step, err);
    mth_step_files_free(&files);
    return status;
}

/* What a path without --step is: a file or a directory that is one step, or a directory of steps. */
static int add_path(struct mth_step_files *inputs, const char *path, struct mth_error *err)
{
    char *trimmed = mth_path_trimmed(path);
    uint64_t step;
    bool is_step = false;
    int status = trimmed ? mth_step_is_directory(trimmed, &is_step, err) : no_memory(err);
    if (!status && mth_path_is_directory(trimmed) && !is_step)
        status = add_directory(inputs, trimmed, err);
    else if (!status && (is_step ? mth_step_of_directory(mth_path_name(trimmed), &step)
                                 : mth_step_of_file(mth_path_name(trimmed), &step)))
        status = add_input(inputs, trimmed, step, err);
    else if (!status && !is_step && !mth_path_is_file(trimmed))
        status = mth_error_set(err, MTH_ERR_NOT_FOUND, "%s: there is no such file or directory", trimmed);
    else if (!status)
        status = mth_error_set(err, MTH_ERR_USAGE,
                               "%s: its name does not end in a step number (step-1000.pt); --step N gives it",
                               trimmed);
    free(trimmed);
    return status;
}

static int collect(const struct mth_options *options, size_t first, struct mth_step_files *inputs,
                   struct mth_error *err)
{
    int status = MTH_OK;
    if (options->has_step && options->operands.n_items != first + 1)
        return mth_error_set(err, MTH_ERR_USAGE, "--step goes with one file");
    for (size_t i = first; !status && i < options->operands.n_items; i++) {
        const char *path = options->operands.items[i];
        status =
            options->has_step ? add_input(inputs, path, options->step, err) : add_path(inputs, path, err);
    }
    if (status)
        return status;
    qsort(inputs->items, inputs->n_items, sizeof *inputs->items, by_step);
    for (size_t i = 1; i < inputs->n_items; i++)
        if (inputs->items[i].step == inputs->items[i - 1].step)
            return mth_error_set(err, MTH_ERR_USAGE, "two files of step %llu: %s and %s",
                                 (unsigned long long)inputs->items[i].step, inputs->items[i - 1].path,
                                 inputs->items[i].path);
    return MTH_OK;
}

int mth_chain_inputs_find(const struct mth_options *options, size_t first, struct mth_step_files *inputs,
                          struct mth_error *err)
{
    *inputs = (struct mth_step_files){0};
    int status = collect(options, first, inputs, err);
    if (status)
        mth_step_files_free(inputs);
    return status;
}
