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
    items[inputs->n_items].path = mth_path_join(path, "", "");
    items[inputs->n_items].step = step;
    if (!items[inputs->n_items].path)
        return no_memory(err);
    inputs->n_items++;
    return MTH_OK;
}

/* A directory's steps, each a file. */
static int add_directory(struct mth_step_files *inputs, const char *path, struct mth_error *err)
{
    struct mth_step_files files;
    int status = mth_step_files_list(path, &files, err);
    if (status)
        return status;
    for (size_t i = 0; !status && i < files.n_items; i++)
        status = add_input(inputs, files.items[i].path, files.items[i].step, err);
    mth_step_files_free(&files);
    return status;
}

static int collect(const struct mth_options *options, size_t first, struct mth_step_files *inputs,
                   struct mth_error *err)
{
    int status = MTH_OK;
    uint64_t step = options->step;
    if (options->has_step && options->operands.n_items != first + 1)
        return mth_error_set(err, MTH_ERR_USAGE, "--step goes with one file");
    for (size_t i = first; !status && i < options->operands.n_items; i++) {
        const char *path = options->operands.items[i];
        if (mth_path_is_directory(path) && !options->has_step)
            status = add_directory(inputs, path, err);
        else if (options->has_step || mth_step_of_file(mth_path_name(path), &step))
            status = add_input(inputs, path, step, err);
        else
            status = mth_error_set(
                err, MTH_ERR_USAGE,
                "%s: its name does not end in a step number (step-1000.pt); --step N gives it", path);
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
