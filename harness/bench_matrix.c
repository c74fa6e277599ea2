/*
 * A matrix: a JSON file that says which datasets are measured with which pipelines.
 *
 *   {"schema": 1, "cells": [{"datasets": ["tiny-gpt", ...], "pipelines": ["seed", ...]}, ...]}
 *
 * A dataset named twice gets the pipelines of both.
 */
#include "harness/bench.h"

#include "harness/json.h"

#include <stdio.h>
#include <string.h>

enum { MAX_MATRIX_BYTES = 1 << 20, MAX_LIST = 256 };

static struct mth_bench_case *find_case(struct mth_bench *bench, const char *id)
{
    for (size_t i = 0; i < bench->n_cases; i++) {
        if (strcmp(bench->cases[i].id, id) == 0)
            return &bench->cases[i];
    }
    return NULL;
}

static int add_entry(struct mth_bench *bench, const struct mth_dataset_entry *entry, const char *const *specs,
                     size_t n_specs, struct mth_error *err)
{
    struct mth_bench_case *at = find_case(bench, entry->id);
    int status = MTH_OK;
    if (!at) {
        struct mth_bench_case like = {.id = (char *)(uintptr_t)entry->id,
                                      .class_name = entry->class_name,
                                      .path = (char *)(uintptr_t)entry->path,
                                      .base_path = (char *)(uintptr_t)entry->base_path,
                                      .older_path = (char *)(uintptr_t)entry->older_path,
                                      .raw_dtype = entry->raw_dtype,
                                      .steps_apart = entry->steps_apart,
                                      .lr = entry->lr,
                                      .fraction_changed = entry->fraction_changed,
                                      .run_id = (char *)(uintptr_t)entry->run_id};
        status = mth_bench_add_case(bench, &like, &at);
        if (status)
            return mth_error_set(err, status, "no memory for a case");
    }
    for (size_t i = 0; !status && i < n_specs; i++)
        status = mth_bench_add_cell(at, specs[i], err);
    return status;
}

static int add_run_of(struct mth_bench *bench, const struct mth_manifest *manifest, const char *run_id)
{
    const struct mth_dataset_run *run = run_id ? mth_manifest_run_find(manifest, run_id) : NULL;
    if (!run || !run->present)
        return MTH_OK;
    return mth_bench_add_run(bench, run->id, run->paths, run->n_paths, false);
}

/* One line a dataset, however often a matrix names it. */
static void tell_absent(struct mth_bench *bench, const struct mth_dataset *dataset)
{
    struct mth_error absent;
    for (size_t i = 0; i < bench->n_absent; i++)
        if (bench->absent[i] == dataset)
            return;
    if (bench->n_absent < sizeof bench->absent / sizeof bench->absent[0])
        bench->absent[bench->n_absent++] = dataset;
    mth_dataset_absent(dataset, &absent);
    fprintf(stderr, "mithril: skipped: %s\n", absent.text);
}

int mth_bench_add_dataset(struct mth_bench *bench, const char *id, const struct mth_manifest *manifest,
                          const char *const *specs, size_t n_specs, struct mth_error *err)
{
    const struct mth_dataset *dataset = mth_manifest_dataset_find(manifest, id);
    const struct mth_dataset_entry *only = mth_manifest_entry_find(manifest, id);
    const struct mth_dataset_entry *entry;
    int status = MTH_OK;

    if (!dataset && !only)
        return mth_manifest_unknown(manifest, id, err);
    for (size_t i = 0; !status && (entry = mth_manifest_entry_at(manifest, i)) != NULL; i++) {
        if (only ? entry != only : entry->dataset != dataset)
            continue;
        if (!entry->present) {
            tell_absent(bench, entry->dataset);
            break;
        }
        status = add_entry(bench, entry, specs, n_specs, err);
        if (!status && add_run_of(bench, manifest, entry->run_id))
            status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a run");
    }
    return status;
}

/* The strings of a member, borrowed from the document. */
static int read_list(const struct mth_json_node *group, const char *key, const char *list[MAX_LIST],
                     size_t *n, struct mth_error *err)
{
    struct mth_json_node array;
    int status = mth_json_get_array(group, key, MTH_JSON_REQUIRED, &array, n, err);
    if (!status && (*n == 0 || *n > MAX_LIST))
        status = mth_json_error(group, key, MTH_ERR_FORMAT, err, "must have 1 to %d items", MAX_LIST);
    for (size_t i = 0; !status && i < *n; i++)
        status = mth_json_item_string(&array, i, &list[i], err);
    return status;
}

static int plan_group(struct mth_bench *bench, const struct mth_json_node *group,
                      const struct mth_manifest *manifest, struct mth_error *err)
{
    static const char *const keys[] = {"datasets", "pipelines", NULL};
    const char *datasets[MAX_LIST], *specs[MAX_LIST];
    size_t n_datasets, n_specs;
    int status = mth_json_only_keys(group, keys, err);
    if (!status)
        status = read_list(group, "datasets", datasets, &n_datasets, err);
    if (!status)
        status = read_list(group, "pipelines", specs, &n_specs, err);
    for (size_t i = 0; !status && i < n_datasets; i++)
        status = mth_bench_add_dataset(bench, datasets[i], manifest, specs, n_specs, err);
    return status; /* NOLINT(clang-analyzer-unix.Malloc): the cells hold what keep_specs kept */
}

int mth_bench_plan_matrix(struct mth_bench *bench, const char *path, const struct mth_manifest *manifest,
                          struct mth_error *err)
{
    static const char *const keys[] = {"schema", "cells", NULL};
    struct mth_json *json;
    struct mth_json_node groups;
    int64_t schema;
    size_t n_groups = 0;
    int status = mth_json_load(path, MAX_MATRIX_BYTES, &json, err);
    if (status)
        return status;
    struct mth_json_node root = mth_json_root(json, path);
    status = mth_json_only_keys(&root, keys, err);
    if (!status)
        status = mth_json_get_int(&root, "schema", MTH_JSON_REQUIRED, 1, 1, &schema, err);
    if (!status)
        status = mth_json_get_array(&root, "cells", MTH_JSON_REQUIRED, &groups, &n_groups, err);
    for (size_t i = 0; !status && i < n_groups; i++) {
        struct mth_json_node group;
        status = mth_json_item_object(&groups, i, &group, err);
        if (!status)
            status = plan_group(bench, &group, manifest, err);
    }
    mth_json_free(json);
    return status;
}
