/* What to measure: cases, cells and runs from files, dataset ids, directories of step files; see bench.h. */
#include "harness/bench.h"

#include "harness/bench_peer.h"
#include "harness/bench_ring.h"
#include "harness/set_plan.h"
#include "harness/step_files.h"

#include <stdlib.h>
#include <string.h>

/* For a file of one's own and no --pipeline: the common ground, then our presets. */
static const char *const default_specs[] = {"store", "zstd:level=3", "lz4", "seed", "balanced"};
enum { N_DEFAULT_SPECS = sizeof default_specs / sizeof default_specs[0] };

static char *copy_text(const char *text)
{
    if (!text)
        return NULL;
    size_t n = strlen(text) + 1;
    char *copy = malloc(n);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

int mth_bench_add_case(struct mth_bench *bench, const struct mth_bench_case *like,
                       struct mth_bench_case **added)
{
    struct mth_bench_case *grown = realloc(bench->cases, (bench->n_cases + 1) * sizeof *grown);
    if (!grown)
        return MTH_ERR_NO_MEMORY;
    bench->cases = grown;
    struct mth_bench_case *fresh = &grown[bench->n_cases];
    *fresh = *like;
    fresh->id = copy_text(like->id);
    fresh->path = copy_text(like->path);
    fresh->base_path = copy_text(like->base_path);
    fresh->older_path = copy_text(like->older_path);
    fresh->run_id = copy_text(like->run_id);
    fresh->n_threads = like->n_threads ? like->n_threads : bench->config.n_threads;
    fresh->cells = NULL;
    fresh->n_cells = 0;
    bench->n_cases++;
    *added = fresh;
    bool whole = fresh->id && fresh->path && !fresh->base_path == !like->base_path &&
                 !fresh->older_path == !like->older_path && !fresh->run_id == !like->run_id;
    return whole ? MTH_OK : MTH_ERR_NO_MEMORY;
}

int mth_bench_add_cell(struct mth_bench_case *to, const char *spec, struct mth_error *err)
{
    for (size_t i = 0; i < to->n_cells; i++) {
        if (strcmp(to->cells[i].spec, spec) == 0)
            return MTH_OK;
    }
    struct mth_bench_cell *grown = realloc(to->cells, (to->n_cells + 1) * sizeof *grown);
    if (!grown)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a cell");
    to->cells = grown;
    struct mth_bench_cell *cell = &grown[to->n_cells];
    *cell = (struct mth_bench_cell){.spec = copy_text(spec)};
    to->n_cells++;
    if (!cell->spec)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a cell");
    int status = mth_pipeline_parse(spec, to->base_path != NULL, &cell->pipeline, err);
    if (status == MTH_ERR_UNSUPPORTED) {
        cell->unsupported = true;
        cell->error = *err;
    } else if (status) {
        return status;
    } else if (mth_pipeline_needs_base(cell->pipeline) && !to->base_path) {
        cell->unsupported = true;
        mth_error_set(&cell->error, MTH_ERR_UNSUPPORTED, "codes against a base, and there is none");
    }
    cell->resolved = copy_text(cell->pipeline ? mth_pipeline_text(cell->pipeline) : spec);
    return cell->resolved ? MTH_OK : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a cell");
}

int mth_bench_add_run(struct mth_bench *bench, const char *id, const char *const *paths, size_t n_paths,
                      bool as_whole)
{
    for (size_t i = 0; i < bench->n_runs; i++) {
        if (strcmp(bench->runs[i].id, id) == 0)
            return MTH_OK;
    }
    struct mth_bench_run *grown = realloc(bench->runs, (bench->n_runs + 1) * sizeof *grown);
    if (!grown)
        return MTH_ERR_NO_MEMORY;
    bench->runs = grown;
    struct mth_bench_run *run = &grown[bench->n_runs];
    *run = (struct mth_bench_run){.as_whole = as_whole};
    run->id = copy_text(id);
    run->paths = calloc(n_paths + 1, sizeof *run->paths);
    bench->n_runs++;
    if (!run->id || !run->paths)
        return MTH_ERR_NO_MEMORY;
    for (; run->n_paths < n_paths; run->n_paths++) {
        run->paths[run->n_paths] = copy_text(paths[run->n_paths]);
        if (!run->paths[run->n_paths])
            return MTH_ERR_NO_MEMORY;
    }
    return MTH_OK;
}

static void free_cell(struct mth_bench_cell *cell)
{
    mth_pipeline_destroy(cell->pipeline);
    free(cell->spec);
    free(cell->resolved);
    free(cell->peer_command);
    mth_parts_free(&cell->parts);
    mth_latency_free(&cell->latency);
    for (size_t p = 0; p < MTH_N_PHASES; p++) {
        free(cell->phases[p].samples_ns);
        free(cell->phases[p].memcpy_ns);
        free(cell->phases[p].cpu_samples_ns);
    }
    for (size_t p = 0; p < MTH_N_FILE_PASSES; p++) {
        free(cell->files[p].samples_ns);
        free(cell->files[p].copy_ns);
        free(cell->files[p].cpu_samples);
    }
}

static void free_case(struct mth_bench_case *at)
{
    for (size_t i = 0; i < at->n_cells; i++)
        free_cell(&at->cells[i]);
    free(at->cells);
    for (size_t p = 0; p < MTH_N_MEMORY_PASSES; p++)
        free(at->memory[p].samples_ns);
    free(at->file_copy.samples_ns);
    free(at->id);
    free(at->path);
    free(at->base_path);
    free(at->older_path);
    free(at->run_id);
}

void mth_bench_free(struct mth_bench *bench)
{
    for (size_t c = 0; c < bench->n_cases; c++)
        free_case(&bench->cases[c]);
    for (size_t r = 0; r < bench->n_runs; r++) {
        for (size_t i = 0; i < bench->runs[r].n_paths; i++)
            free(bench->runs[r].paths[i]);
        free(bench->runs[r].paths);
        free(bench->runs[r].id);
    }
    free(bench->cases);
    free(bench->runs);
    free(bench->run_results);
}

void mth_bench_link_cells(struct mth_bench *bench)
{
    for (size_t c = 0; c < bench->n_cases; c++) {
        for (size_t i = 0; i < bench->cases[c].n_cells; i++)
            bench->cases[c].cells[i].parent = &bench->cases[c];
    }
}

void mth_bench_keep_cells(struct mth_bench *bench, bool (*keep)(const void *arg, size_t c, size_t i),
                          const void *arg)
{
    size_t n_cases = 0;
    for (size_t c = 0; c < bench->n_cases; c++) {
        struct mth_bench_case *at = &bench->cases[c];
        size_t n_cells = 0, n_before = at->n_cells;
        for (size_t i = 0; i < n_before; i++) {
            if (keep(arg, c, i))
                at->cells[n_cells++] = at->cells[i];
            else
                free_cell(&at->cells[i]);
        }
        at->n_cells = n_cells;
        at->n_cells_elsewhere += n_before - n_cells;
        if (n_cells || n_before == 0)
            bench->cases[n_cases++] = *at;
        else
            free_case(at);
    }
    bench->n_cases = n_cases;
    mth_bench_link_cells(bench);
}

struct spec_list {
    const char *const *items;
    size_t n_items;
};

static int add_case_with(struct mth_bench *bench, const struct mth_bench_case *like, struct spec_list specs,
                         struct mth_error *err)
{
    struct mth_bench_case *added;
    int status = mth_bench_add_case(bench, like, &added);
    if (status)
        return mth_error_set(err, status, "no memory for a case");
    for (size_t i = 0; !status && i < specs.n_items; i++)
        status = mth_bench_add_cell(added, specs.items[i], err);
    return status;
}

/* A directory is a step that is a set, or one as a whole; one of the latter makes all directories of the run so. */
static int judge_step(void *arg, const char *path, bool *is_step, struct mth_error *err)
{
    struct mth_set_plan plan;
    bool *any_whole = arg, is_whole;
    int status = mth_bench_is_whole(path, NULL, &is_whole, err);
    *is_step = !status && is_whole;
    *any_whole |= *is_step;
    if (status || is_whole)
        return status;
    status = mth_set_plan_find(path, &plan, err);
    *is_step = !status && plan.kind != MTH_SET_NONE;
    if (!status)
        mth_set_plan_free(&plan);
    return status;
}

/* Step files in step order: the first alone, each other one against the one before, and the whole as a run. */
static int add_directory(struct mth_bench *bench, const char *directory, struct spec_list specs,
                         struct mth_error *err)
{
    struct mth_step_files files;
    bool any_whole = false;
    int status = mth_step_files_list_judged(directory, judge_step, &any_whole, &files, err);
    if (status)
        return status;
    const char **paths = calloc(files.n_items, sizeof *paths);
    if (!paths)
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the steps of %s", directory);
    for (size_t i = 0; !status && i < files.n_items; i++) {
        struct mth_bench_case like = {.id = files.items[i].path,
                                      .class_name = "user",
                                      .path = files.items[i].path,
                                      .as_whole = any_whole,
                                      .raw_dtype = MTH_N_DTYPES,
                                      .lr = -1,
                                      .fraction_changed = -1};
        paths[i] = files.items[i].path;
        if (i > 0) {
            like.base_path = files.items[i - 1].path;
            like.steps_apart = (int64_t)(files.items[i].step - files.items[i - 1].step);
            like.run_id = (char *)(uintptr_t)directory;
        }
        status = add_case_with(bench, &like, specs, err);
    }
    if (!status && files.n_items > 1 && mth_bench_add_run(bench, directory, paths, files.n_items, any_whole))
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a run");
    free(paths);
    mth_step_files_free(&files);
    return status;
}

static int add_operand(struct mth_bench *bench, const char *operand, const struct mth_options *options,
                       const struct mth_manifest *manifest, struct spec_list specs, struct mth_error *err)
{
    struct mth_set_plan plan;
    const char *older = options->bases.n_items > 1 ? options->bases.items[1] : NULL;
    bool directory = mth_path_is_directory(operand), exists = directory || mth_path_is_file(operand);
    if (!exists && manifest &&
        (mth_manifest_entry_find(manifest, operand) || mth_manifest_dataset_find(manifest, operand)))
        return mth_bench_add_dataset(bench, operand, manifest, specs.items, specs.n_items, err);
    bool as_whole = false, is_set = false;
    int status = mth_bench_is_whole(operand, options, &as_whole, err);
    if (!status && !as_whole) {
        status = mth_set_plan_find(operand, &plan, err);
        is_set = !status && plan.kind != MTH_SET_NONE;
        if (!status)
            mth_set_plan_free(&plan);
    }
    if (status)
        return status;
    if (directory && !as_whole && !is_set && options->base)
        return mth_error_set(err, MTH_ERR_USAGE,
                             "%s: the steps of a directory are each other's bases, and as a whole it has "
                             "nothing in this base; leave out --base",
                             operand);
    if (directory && !as_whole && !is_set)
        return add_directory(bench, operand, specs, err);
    struct mth_bench_case like = {.id = (char *)(uintptr_t)operand,
                                  .class_name = "user",
                                  .path = (char *)(uintptr_t)operand,
                                  .base_path = (char *)(uintptr_t)options->base,
                                  .older_path = (char *)(uintptr_t)older,
                                  .as_whole = as_whole,
                                  .raw_dtype = options->dtype,
                                  .lr = -1,
                                  .fraction_changed = -1};
    return add_case_with(bench, &like, specs, err);
}

int mth_bench_plan(struct mth_bench *bench, const struct mth_options *options,
                   const struct mth_manifest *manifest, struct mth_error *err)
{
    struct spec_list specs = {default_specs, N_DEFAULT_SPECS};
    if (options->pipelines.n_items)
        specs = (struct spec_list){options->pipelines.items, options->pipelines.n_items};
    int status = MTH_OK;
    if (options->bases.n_items > MTH_RING_BASES)
        return mth_error_set(err, MTH_ERR_USAGE,
                             "--base is given %zu times; bench takes a base and an older one",
                             options->bases.n_items);
    if (options->matrix)
        status = mth_bench_plan_matrix(bench, options->matrix, manifest, err);
    for (size_t i = 0; !status && i < options->operands.n_items; i++)
        status = add_operand(bench, options->operands.items[i], options, manifest, specs, err);
    if (!status && bench->n_cases == 0)
        status = mth_error_set(err, MTH_ERR_NOT_FOUND, "nothing to measure: none of the datasets is present");
    if (!status && bench->config.scaling)
        status = mth_bench_add_scaling(bench, err);
    for (size_t c = 0; !status && c < bench->n_cases; c++)
        status = mth_bench_add_peers(&bench->cases[c], options->peers.items, options->peers.n_items, err);
    mth_bench_link_cells(bench);
    return status;
}
