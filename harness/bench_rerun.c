/* The arguments that measure a cell again; see bench_rerun.h. */
#include "harness/bench_rerun.h"

#include "base/file.h"
#include "harness/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add(struct mth_arguments *list, const char *text, struct mth_error *err)
{
    return mth_arguments_add(list, text)
               ? mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the arguments")
               : MTH_OK;
}

static int take_arguments(const struct mth_json_node *row, const struct mth_options *options,
                          struct mth_arguments *list, struct mth_error *err)
{
    struct mth_json_node words;
    const char *argument;
    size_t n;
    int status = mth_json_get_array(row, "argv", MTH_JSON_OPTIONAL, &words, &n, err);
    if (status)
        return status;
    if (n < 3)
        return mth_error_set(err, MTH_ERR_USAGE,
                             "--rerun %.60s: this row is not measured by itself; name one of kind cell",
                             options->rerun);
    for (size_t i = 1; !status && i < n; i++) { /* behind the program's name */
        status = mth_json_item_string(&words, i, &argument, err);
        if (!status)
            status = add(list, argument, err);
    }
    if (!status && strcmp(list->items[0], "bench") != 0)
        status = mth_json_error(row, "argv", MTH_ERR_FORMAT, err, "is no command line of bench");
    const char *const of_now[] = {options->quiet ? "-q" : NULL, options->parts ? "--parts" : NULL,
                                  options->strict ? "--strict" : NULL, options->json ? "--json" : NULL,
                                  options->json};
    for (size_t i = 0; !status && i < sizeof of_now / sizeof of_now[0]; i++) {
        if (of_now[i])
            status = add(list, of_now[i], err);
    }
    return status;
}

/* *found stays false for another row. */
static int look_at_line(const char *name, const char *line, size_t n_bytes, const struct mth_options *options,
                        struct mth_arguments *list, bool *found, struct mth_error *err)
{
    struct mth_json *json;
    const char *id = NULL;
    int status = mth_json_parse(name, line, n_bytes, &json, err);
    if (status)
        return status;
    struct mth_json_node row = mth_json_root(json, name);
    if (mth_json_type(&row) != MTH_JSON_OBJECT)
        status = mth_json_error(&row, NULL, MTH_ERR_FORMAT, err, "is no object");
    if (!status)
        status = mth_json_get_string(&row, "row_id", MTH_JSON_OPTIONAL, &id, err);
    *found = !status && id && strcmp(id, options->rerun) == 0;
    if (*found)
        status = take_arguments(&row, options, list, err);
    mth_json_free(json);
    return status;
}

static int look_into(const char *path, const struct mth_options *options, struct mth_arguments *list,
                     bool *found, struct mth_error *err)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_buffer bytes = {0};
    int status = memory ? mth_file_read_all(path, memory, &bytes, err)
                        : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    const char *at = (const char *)bytes.data, *end = at + (status ? 0 : bytes.n_bytes);
    for (size_t line = 1; !status && !*found && at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n_bytes = (size_t)((newline ? newline : end) - at);
        char name[256];
        snprintf(name, sizeof name, "%.200s, row %zu", path, line);
        if (n_bytes)
            status = look_at_line(name, at, n_bytes, options, list, found, err);
        at = newline ? newline + 1 : end;
    }
    if (memory) {
        mth_memory_free(memory, bytes.data);
        mth_memory_destroy(memory);
    }
    return status;
}

int mth_bench_rerun(const struct mth_options *options, struct mth_arguments *list, struct mth_error *err)
{
    bool found = false;
    int status = MTH_OK;
    *list = (struct mth_arguments){0};
    if (options->operands.n_items == 0)
        return mth_error_set(err, MTH_ERR_USAGE, "--rerun %.60s: name the file of rows that it is in",
                             options->rerun);
    for (size_t i = 0; !status && !found && i < options->operands.n_items; i++)
        status = look_into(options->operands.items[i], options, list, &found, err);
    if (!status && !found)
        status = mth_error_set(err, MTH_ERR_USAGE, "--rerun %.60s: %.200s has no row of this id",
                               options->rerun, options->operands.items[0]);
    if (status)
        mth_arguments_free(list);
    return status;
}
