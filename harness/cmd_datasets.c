/* `mithril datasets`: what there is to measure, and getting it. */
#include "harness/command.h"

#include "base/file.h"
#include "harness/dataset_get.h"
#include "harness/datasets.h"
#include "harness/file_digest.h"
#include "harness/json_writer.h"
#include "harness/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct mth_command_line command = {
    .usage = "datasets [list | make [ID...] | fetch ID... | check [ID...] | path ID]",
    .summary = "Tell what there is to measure, and get it.\n\n"
               "  list   what there is, and whether its files are here (the default)\n"
               "  make   generate the generated datasets, or those of ID\n"
               "  fetch  download datasets and verify them; HF_ENDPOINT names another model hub\n"
               "  check  hash the files that are here and compare them with the manifest\n"
               "  path   print the file of ID; of a pair or a run all of them, oldest first",
    .notes =
        "make and fetch leave alone what is here and right, unless --force is given. --json goes with list.\n"
        "The manifest is described in docs/datasets.md.",
    .takes = MTH_TAKES_MANIFEST | MTH_TAKES_JSON | MTH_TAKES_FORCE | MTH_TAKES_QUIET,
    .max_operands = SIZE_MAX,
};

/* ---- list ---- */

static void size_text(uint64_t n_bytes, char *out, size_t capacity)
{
    if (n_bytes == 0)
        snprintf(out, capacity, "-");
    else if (n_bytes < 1 << 20)
        snprintf(out, capacity, "%.1f KiB", (double)n_bytes / 1024);
    else
        snprintf(out, capacity, "%.1f MiB", (double)n_bytes / (1024 * 1024));
}

static const char *presence_text(const struct mth_dataset_entry *entry)
{
    if (entry->present)
        return "yes";
    switch (entry->dataset->source) {
    case MTH_SOURCE_GENERATED:
        return "make";
    case MTH_SOURCE_PYPI:
    case MTH_SOURCE_HUB:
        return "fetch";
    case MTH_SOURCE_TRAINED:
        return "train";
    default:
        return "no";
    }
}

static void list_table(const struct mth_manifest *manifest)
{
    /* What 120 columns leave. */
    enum { MTH_TITLE_COLUMNS = 31 };
    bool untested = false;
    printf("%-32s %-16s %-7s %10s %8s %8s  %s\n", "ID", "CLASS", "PRESENT", "SIZE", "STEPS", "CHANGED",
           "TITLE");
    const struct mth_dataset_entry *entry;
    for (size_t i = 0; (entry = mth_manifest_entry_at(manifest, i)); i++) {
        char presence[16], size[32], steps[32] = "-", changed[32] = "-";
        snprintf(presence, sizeof presence, "%s%s", presence_text(entry),
                 entry->dataset->untested ? "*" : "");
        size_text(entry->n_bytes, size, sizeof size);
        if (entry->steps_apart > 0)
            snprintf(steps, sizeof steps, "%" PRId64, entry->steps_apart);
        if (entry->fraction_changed >= 0)
            snprintf(changed, sizeof changed, "%.2f %%", 100 * entry->fraction_changed);
        printf("%-32s %-16s %-7s %10s %8s %8s  %.*s\n", entry->id, entry->class_name, presence, size, steps,
               changed, MTH_TITLE_COLUMNS, entry->title);
        untested = untested || entry->dataset->untested;
    }
    if (untested)
        printf("* no test could reach what it is fetched from\n");
}

static void list_entry_json(struct mth_json_writer *w, const struct mth_dataset_entry *entry)
{
    mth_json_begin_object(w, NULL);
    mth_json_string(w, "id", entry->id);
    mth_json_string(w, "dataset", entry->dataset->id);
    mth_json_string(w, "class", entry->class_name);
    mth_json_string(w, "title", entry->title);
    mth_json_string(w, "source", mth_dataset_source_name(entry->dataset->source));
    mth_json_string(w, "licence", entry->dataset->licence);
    mth_json_bool(w, "untested", entry->dataset->untested);
    mth_json_bool(w, "present", entry->present);
    mth_json_string(w, "path", entry->path);
    mth_json_string(w, "base_path", entry->base_path);
    mth_json_string(w, "older_path", entry->older_path);
    if (entry->n_bytes)
        mth_json_uint(w, "bytes", entry->n_bytes);
    else
        mth_json_null(w, "bytes");
    mth_json_string(w, "xxh3", entry->xxh3);
    mth_json_string(w, "dtype",
                    entry->raw_dtype == MTH_N_DTYPES ? NULL : mth_dtype_info(entry->raw_dtype)->name);
    if (entry->steps_apart > 0)
        mth_json_int(w, "steps_apart", entry->steps_apart);
    else
        mth_json_null(w, "steps_apart");
    if (entry->lr >= 0)
        mth_json_real(w, "lr", entry->lr);
    else
        mth_json_null(w, "lr");
    if (entry->fraction_changed >= 0)
        mth_json_real(w, "fraction_changed", entry->fraction_changed);
    else
        mth_json_null(w, "fraction_changed");
    mth_json_string(w, "run", entry->run_id);
    mth_json_end(w);
}

static int list_json(const struct mth_manifest *manifest, const char *path, struct mth_error *err)
{
    struct mth_json_writer w;
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_int(&w, "schema", 1);
    mth_json_begin_array(&w, "datasets");
    const struct mth_dataset_entry *entry;
    for (size_t i = 0; (entry = mth_manifest_entry_at(manifest, i)); i++)
        list_entry_json(&w, entry);
    mth_json_end(&w);
    mth_json_begin_array(&w, "runs");
    const struct mth_dataset_run *run;
    for (size_t i = 0; (run = mth_manifest_run_at(manifest, i)); i++) {
        mth_json_begin_object(&w, NULL);
        mth_json_string(&w, "id", run->id);
        mth_json_bool(&w, "present", run->present);
        mth_json_begin_array(&w, "paths");
        for (size_t k = 0; k < run->n_paths; k++)
            mth_json_string(&w, NULL, run->paths[k]);
        mth_json_end(&w);
        mth_json_end(&w);
    }
    mth_json_end(&w);
    mth_json_end(&w);
    const char *text;
    size_t n_text;
    int status = mth_json_writer_text(&w, &text, &n_text);
    if (status)
        mth_error_set(err, status, "no memory for the list");
    else if (strcmp(path, "-") == 0)
        fwrite(text, 1, n_text, stdout);
    else
        status = mth_file_write_all(
            path, (struct mth_bytes){.data = (const uint8_t *)text, .n_bytes = n_text}, err);
    mth_json_writer_free(&w);
    return status;
}

/* ---- make, fetch, check, path ---- */

static void report_line(const void *arg, const char *line)
{
    const struct mth_options *options = arg;
    if (!options->quiet) {
        printf("%s\n", line);
        fflush(stdout);
    }
}

/* The dataset of an id of a dataset, an entry or a run. Errors: MTH_ERR_USAGE, and NULL. */
static int find_dataset(const struct mth_manifest *manifest, const char *id, const struct mth_dataset **out,
                        struct mth_error *err)
{
    const struct mth_dataset_entry *entry = mth_manifest_entry_find(manifest, id);
    const struct mth_dataset_run *run = mth_manifest_run_find(manifest, id);
    *out = mth_manifest_dataset_find(manifest, id);
    if (!*out && entry)
        *out = entry->dataset;
    if (!*out && run)
        *out = run->dataset;
    return *out ? MTH_OK : mth_manifest_unknown(manifest, id, err);
}

static int make_all(const struct mth_manifest *manifest, const char *const *ids, size_t n_ids,
                    const struct mth_options *options, struct mth_error *err)
{
    const struct mth_dataset_reporter reporter = {.report = report_line, .arg = options};
    const struct mth_dataset *dataset;
    int status = MTH_OK;
    for (size_t i = 0; i < n_ids && !status; i++) {
        status = find_dataset(manifest, ids[i], &dataset, err);
        if (!status)
            status = mth_dataset_make(dataset, options->force, &reporter, err);
    }
    for (size_t i = 0; n_ids == 0 && !status && (dataset = mth_manifest_dataset_at(manifest, i)); i++)
        if (dataset->source == MTH_SOURCE_GENERATED)
            status = mth_dataset_make(dataset, options->force, &reporter, err);
    return status;
}

/* The first error is reported at the end; the others when they happen, so that one bad download stops no
 * other. */
static int fetch_all(const struct mth_manifest *manifest, const char *const *ids, size_t n_ids,
                     const struct mth_options *options, struct mth_error *err)
{
    const struct mth_dataset_reporter reporter = {.report = report_line, .arg = options};
    struct mth_error failure;
    int first = MTH_OK;
    const struct mth_dataset *dataset;
    for (size_t i = 0; i < n_ids && !first; i++)
        first = find_dataset(manifest, ids[i], &dataset, err);
    if (first)
        return first;
    for (size_t i = 0; i < n_ids; i++) {
        int status = find_dataset(manifest, ids[i], &dataset, &failure);
        if (!status)
            status = mth_dataset_fetch(dataset, options->force, &reporter, &failure);
        if (status == MTH_ERR_CANCELLED)
            return mth_error_set(err, status, "%s", failure.text);
        if (status && first)
            mth_command_fail(&failure);
        else if (status)
            first = mth_error_set(err, status, "%s", failure.text);
    }
    return first;
}

/* Checks the files of one dataset. named: it was asked for, so that an absent one is an error and not a
 * remark. */
static int check_dataset(const struct mth_dataset *dataset, bool named, const struct mth_options *options,
                         struct mth_error *err)
{
    for (size_t i = 0; i < dataset->n_files; i++)
        if (!mth_dataset_file_present(&dataset->files[i])) {
            if (named)
                return mth_dataset_absent(dataset, err);
            if (!options->quiet)
                printf("%-9s %s (%s)\n", "absent", dataset->id, mth_dataset_source_name(dataset->source));
            return MTH_OK;
        }
    int first = MTH_OK;
    for (size_t i = 0; i < dataset->n_files; i++) {
        const struct mth_dataset_file *file = &dataset->files[i];
        struct mth_file_digest digest;
        struct mth_error failure;
        int status = mth_file_digest(file->path, file->sha256 != NULL, &digest, &failure);
        if (!status)
            status = mth_file_digest_compare(&digest, file, file->path, &failure);
        /* Training gives other bits on another processor: then what the run here recorded is what counts. */
        bool rebuilt = status == MTH_ERR_CHECKSUM && file->rebuilt_sha256 &&
                       strcmp(digest.sha256, file->rebuilt_sha256) == 0;
        if (rebuilt)
            status = MTH_OK;
        if (status && first)
            mth_command_fail(&failure);
        else if (status)
            first = mth_error_set(err, status, "%s", failure.text);
        else if (!options->quiet)
            printf("%-9s %s\n", rebuilt ? "rebuilt" : file->xxh3 ? "right" : "unknown", file->path);
    }
    return first;
}

static int check_all(const struct mth_manifest *manifest, const char *const *ids, size_t n_ids,
                     const struct mth_options *options, struct mth_error *err)
{
    struct mth_error failure;
    int first = MTH_OK;
    for (size_t i = 0; n_ids ? i < n_ids : mth_manifest_dataset_at(manifest, i) != NULL; i++) {
        const struct mth_dataset *dataset = mth_manifest_dataset_at(manifest, i);
        int status = n_ids ? find_dataset(manifest, ids[i], &dataset, &failure) : MTH_OK;
        if (!status)
            status = check_dataset(dataset, n_ids > 0, options, &failure);
        if (status && first)
            mth_command_fail(&failure);
        else if (status)
            first = mth_error_set(err, status, "%s", failure.text);
    }
    return first;
}

static int print_paths(const struct mth_manifest *manifest, const char *id, struct mth_error *err)
{
    const struct mth_dataset_entry *entry = mth_manifest_entry_find(manifest, id);
    const struct mth_dataset_run *run = entry ? NULL : mth_manifest_run_find(manifest, id);
    if (!entry && !run)
        return mth_manifest_unknown(manifest, id, err);
    if (entry ? !entry->present : !run->present)
        return mth_dataset_absent(entry ? entry->dataset : run->dataset, err);
    if (entry && entry->older_path)
        printf("%s\n", entry->older_path);
    if (entry && entry->base_path)
        printf("%s\n", entry->base_path);
    if (entry)
        printf("%s\n", entry->path);
    for (size_t i = 0; run && i < run->n_paths; i++)
        printf("%s\n", run->paths[i]);
    return MTH_OK;
}

/* ---- the command ---- */

/* What a subcommand wants of its ids. */
static int run_subcommand(const char *name, const struct mth_manifest *manifest, const char *const *ids,
                          size_t n_ids, const struct mth_options *options, struct mth_error *err)
{
    if (strcmp(name, "list") == 0 && n_ids == 0) {
        if (options->json)
            return list_json(manifest, options->json, err);
        list_table(manifest);
        return MTH_OK;
    }
    if (options->json)
        return mth_error_set(err, MTH_ERR_USAGE, "datasets %s: --json goes with list", name);
    if (strcmp(name, "make") == 0)
        return make_all(manifest, ids, n_ids, options, err);
    if (strcmp(name, "fetch") == 0 && n_ids > 0)
        return fetch_all(manifest, ids, n_ids, options, err);
    if (strcmp(name, "check") == 0)
        return check_all(manifest, ids, n_ids, options, err);
    if (strcmp(name, "path") == 0 && n_ids == 1)
        return print_paths(manifest, ids[0], err);
    return mth_error_set(
        err, MTH_ERR_USAGE,
        "datasets %s: list takes no ID, path takes one, fetch at least one (mithril datasets -h)", name);
}

static int subcommand_known(const char *name, struct mth_error *err)
{
    static const char *const names[] = {"list", "make", "fetch", "check", "path"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return MTH_OK;
    return mth_error_set(err, MTH_ERR_USAGE, "datasets: '%s' is none of list, make, fetch, check, path",
                         name);
}

int mth_cmd_datasets(int argc, char **argv)
{
    struct mth_options options;
    struct mth_manifest *manifest = NULL;
    struct mth_error err;
    int code;
    if (!mth_options_parse(&command, argc, argv, &options, &code))
        return code;
    const struct mth_words *operands = &options.operands;
    const char *name = operands->n_items ? operands->items[0] : "list";
    size_t n_ids = operands->n_items ? operands->n_items - 1 : 0;
    const char *const *ids = n_ids ? operands->items + 1 : NULL;
    int status = subcommand_known(name, &err);
    if (!status)
        status = mth_manifest_load(options.manifest ? options.manifest : mth_manifest_default_path(),
                                   &manifest, &err);
    if (!status)
        status = run_subcommand(name, manifest, ids, n_ids, &options, &err);
    mth_manifest_free(manifest);
    mth_options_free(&options);
    if (!status && (fflush(stdout) != 0 || ferror(stdout)))
        status = mth_error_set(&err, MTH_ERR_IO, "cannot write to standard output");
    return status ? mth_command_fail(&err) : MTH_EXIT_OK;
}
