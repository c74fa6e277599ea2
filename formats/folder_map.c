/*
 * folder: several files as one (folder.h). Each is mapped as what it is; one of no known format, or damaged, is opaque.
 *
 * Tensors keep their names, whichever file they are in, so that a checkpoint whose shards were cut anew still finds its base. A
 * name that several files have gets the file's behind it: ranks of DeepSpeed all call their tensors alike.
 */
#include "formats/folder.h"

#include "base/checked.h"
#include "formats/dcp.h"
#include "formats/name_index.h"
#include "formats/param_names.h"

#include <stdlib.h>
#include <string.h>

/* How much of a file's path stands behind a name that others have as well, at most. */
enum { SUFFIX_BYTES = 100 };

/* What a .metadata says of the files beside it. */
struct metadata {
    size_t n_directory; /* bytes of the path before its name */
    size_t entry;
    struct mth_dcp dcp;
};

struct mapping {
    const struct mth_source *source;
    struct mth_region_map *map;
    struct mth_folder folder;
    struct metadata *metadata;
    size_t n_metadata;
    size_t *first_tensors; /* of each entry; one more for the end */
};

static int no_memory(const struct mapping *at, struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its map", at->source->name);
}

/* ---- one file ---- */

struct member {
    const struct mth_source *source;
    uint64_t begin;
};

static int read_member(void *state, uint64_t offset, void *dst, size_t n_bytes, struct mth_error *err)
{
    const struct member *member = state;
    return mth_source_read(member->source, member->begin + offset, dst, n_bytes, err);
}

static void open_member(const struct mapping *at, size_t entry, struct member *member,
                        struct mth_source *source)
{
    const struct mth_folder_entry *file = &at->folder.entries[entry];
    *member = (struct member){at->source, file->begin};
    *source = (struct mth_source){.name = mth_folder_name(&at->folder, entry),
                                  .n_bytes = file->n_bytes,
                                  .fd = -1,
                                  .read = read_member,
                                  .state = member};
    if (at->source->memory)
        *source = (struct mth_source){.name = source->name,
                                      .n_bytes = source->n_bytes,
                                      .fd = -1,
                                      .memory = at->source->memory + file->begin};
}

static const char *name_alone(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const struct mth_dcp *find_metadata(const struct mapping *at, const char *path)
{
    size_t n_directory = (size_t)(name_alone(path) - path);
    for (size_t i = 0; i < at->n_metadata; i++) {
        const struct metadata *metadata = &at->metadata[i];
        if (metadata->n_directory == n_directory &&
            memcmp(mth_folder_name(&at->folder, metadata->entry), path, n_directory) == 0)
            return &metadata->dcp;
    }
    return NULL;
}

/* Every .metadata that can be read; without one the files beside it are mapped without names. */
static int read_all_metadata(struct mapping *at, struct mth_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < at->folder.n_entries; i++)
        n += strcmp(name_alone(mth_folder_name(&at->folder, i)), MTH_DCP_METADATA_NAME) == 0;
    at->metadata = mth_memory_calloc(at->map->memory, n, sizeof *at->metadata);
    if (!at->metadata)
        return no_memory(at, err);
    for (size_t i = 0; i < at->folder.n_entries; i++) {
        const char *path = mth_folder_name(&at->folder, i), *name = name_alone(path);
        struct metadata *metadata = &at->metadata[at->n_metadata];
        struct member member;
        struct mth_source source;
        if (strcmp(name, MTH_DCP_METADATA_NAME) != 0)
            continue;
        open_member(at, i, &member, &source);
        int status = mth_dcp_read(&source, at->map->memory, &metadata->dcp, err);
        if (status && !mth_format_is_of_content(status))
            return status;
        metadata->n_directory = (size_t)(name - path);
        metadata->entry = i;
        at->n_metadata += !status;
    }
    return MTH_OK;
}

static int map_opaque(const struct mapping *at, size_t entry, struct mth_error *err)
{
    const struct mth_folder_entry *file = &at->folder.entries[entry];
    return mth_region_map_add_region(at->map, file->begin, file->n_bytes, MTH_DTYPE_OPAQUE, NULL)
               ? no_memory(at, err)
               : MTH_OK;
}

static int map_member(struct mapping *at, size_t entry, struct mth_error *err)
{
    const char *path = mth_folder_name(&at->folder, entry);
    struct mth_format_options options = {
        .raw_dtype = MTH_N_DTYPES, .name = name_alone(path), .dcp = find_metadata(at, path)};
    struct mth_region_map part;
    struct mth_error why;
    struct member member;
    struct mth_source source;
    bool is_opaque;
    open_member(at, entry, &member, &source);
    /* A folder in a folder is a file like any other: how deep they go would be for whoever made them to say. */
    int status = mth_folder_is(&source, &is_opaque, err);
    if (status || is_opaque)
        return status ? status : map_opaque(at, entry, err);
    status = mth_format_map(&source, &options, at->map->memory, &part, &why);
    if (mth_format_is_of_content(status) && options.dcp) {
        options.dcp = NULL;
        status = mth_format_map(&source, &options, at->map->memory, &part, &why);
    }
    if (mth_format_is_of_content(status))
        return map_opaque(at, entry, err);
    if (status) {
        *err = why;
        return status;
    }
    status = mth_region_map_append(at->map, &part, at->folder.entries[entry].begin);
    mth_region_map_free(&part);
    return status ? mth_error_set(err, status, "%s: %s: %s", at->source->name, path, mth_status_text(status))
                  : MTH_OK;
}

/* ---- names ---- */

/* Says of which tensors the name is one of several files. */
static int find_shared_names(const struct mapping *at, bool *shared)
{
    struct mth_name_index index;
    const struct mth_region_map *map = at->map;
    int status = mth_name_index_build(map, &index, NULL);
    if (status)
        return status;
    for (size_t entry = 0; entry < at->folder.n_entries; entry++)
        for (size_t i = at->first_tensors[entry]; i < at->first_tensors[entry + 1]; i++) {
            const struct mth_tensor *first =
                mth_name_index_find(&index, mth_tensor_name(map, &map->tensors[i]));
            size_t of_first = (size_t)(first - map->tensors);
            if (of_first < at->first_tensors[entry])
                shared[of_first] = shared[i] = true;
        }
    mth_name_index_free(&index);
    return MTH_OK;
}

/* A path, to be held against others from its end on. */
struct path_end {
    const char *path;
    size_t n_path, entry;
};

/* The byte before the last n, where a name ends 0. */
static int byte_before(const struct path_end *end, size_t n)
{
    if (n == end->n_path || end->path[end->n_path - 1 - n] == '/')
        return 0;
    return (unsigned char)end->path[end->n_path - 1 - n];
}

static bool same_byte(const struct path_end *a, const struct path_end *b, size_t n)
{
    return n < a->n_path && n < b->n_path && byte_before(a, n) == byte_before(b, n);
}

/* How many bytes two paths have in common at their ends, in whole names. */
static size_t common_names(const struct path_end *a, const struct path_end *b)
{
    size_t n_names = 0;
    for (size_t n = 0; same_byte(a, b, n); n++)
        n_names = byte_before(a, n + 1) == 0 && byte_before(b, n + 1) == 0 ? n + 1 : n_names;
    return n_names;
}

/* Those with names in common side by side. */
static int compare_ends(const void *left, const void *right)
{
    const struct path_end *a = left, *b = right;
    size_t n = 0;
    while (same_byte(a, b, n))
        n++;
    int order = byte_before(a, n) - byte_before(b, n);
    return order ? order : (a->n_path > b->n_path) - (a->n_path < b->n_path);
}

/*
 * For each file how much of the end of its path tells it from all others: whole names. What stands before is left out, so that files in a
 * directory that has the number of the step (global_step1000/) are called alike in every step.
 */
static int measure_ends(const struct mapping *at, size_t *n_ends)
{
    size_t n = at->folder.n_entries;
    struct path_end *ends = mth_memory_calloc(at->map->memory, n, sizeof *ends);
    if (!ends)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        const char *path = mth_folder_name(&at->folder, i);
        ends[i] = (struct path_end){path, strlen(path), i};
    }
    if (n)
        qsort(ends, n, sizeof *ends, compare_ends);
    for (size_t i = 0; i < n; i++) {
        size_t before = i ? common_names(&ends[i - 1], &ends[i]) : 0,
               behind = i + 1 < n ? common_names(&ends[i], &ends[i + 1]) : 0;
        size_t n_end = mth_size_max(before, behind);
        /* One name more, with the slash behind it. */
        do
            n_end += n_end < ends[i].n_path;
        while (byte_before(&ends[i], n_end) != 0);
        n_ends[ends[i].entry] = n_end;
    }
    mth_memory_free(at->map->memory, ends);
    return MTH_OK;
}

static int tell_files_apart(const struct mapping *at)
{
    bool *shared = mth_memory_calloc(at->map->memory, at->map->n_tensors, sizeof *shared);
    size_t *n_ends = mth_memory_calloc(at->map->memory, at->folder.n_entries, sizeof *n_ends);
    int status = shared && n_ends ? find_shared_names(at, shared) : MTH_ERR_NO_MEMORY;
    if (!status)
        status = measure_ends(at, n_ends);
    for (size_t entry = 0; !status && entry < at->folder.n_entries; entry++) {
        const char *path = mth_folder_name(&at->folder, entry);
        size_t n_path = strlen(path), n_suffix = mth_size_min(n_ends[entry], SUFFIX_BYTES);
        char suffix[SUFFIX_BYTES + 2] = "@";
        memcpy(suffix + 1, path + n_path - n_suffix, n_suffix + 1);
        for (size_t i = at->first_tensors[entry]; !status && i < at->first_tensors[entry + 1]; i++)
            if (shared[i])
                status = mth_region_map_rename(at->map, i, suffix, n_suffix + 1);
    }
    mth_memory_free(at->map->memory, shared);
    mth_memory_free(at->map->memory, n_ends);
    return status ? status : mth_name_index_make_unique(at->map);
}

/* ---- all of it ---- */

static int map_files(struct mapping *at, struct mth_error *err)
{
    const struct mth_folder *folder = &at->folder;
    int status = read_all_metadata(at, err);
    if (!status && mth_region_map_add_region(at->map, 0, folder->n_head, MTH_DTYPE_OPAQUE, NULL))
        status = no_memory(at, err);
    for (size_t i = 0; i < folder->n_entries && !status; i++) {
        at->first_tensors[i] = at->map->n_tensors;
        status = folder->entries[i].n_bytes ? map_member(at, i, err) : MTH_OK;
    }
    if (status)
        return status;
    at->first_tensors[folder->n_entries] = at->map->n_tensors;
    status = mth_region_map_add_region(at->map, folder->n_content, folder->n_bytes - folder->n_content,
                                       MTH_DTYPE_OPAQUE, NULL);
    if (!status)
        status = tell_files_apart(at);
    if (!status)
        status = mth_params_match_names(at->map);
    return status ? mth_error_set(err, status, "%s: %s", at->source->name, mth_status_text(status)) : MTH_OK;
}

static int map_folder(const struct mth_source *source, const struct mth_format_options *options,
                      struct mth_region_map *map, struct mth_error *err)
{
    struct mapping at = {.source = source, .map = map};
    (void)options;
    int status = mth_folder_read(source, map->memory, &at.folder, err);
    if (status)
        return status;
    at.first_tensors = mth_memory_calloc(map->memory, at.folder.n_entries + 1, sizeof *at.first_tensors);
    status = at.first_tensors ? map_files(&at, err) : no_memory(&at, err);
    for (size_t i = 0; i < at.n_metadata; i++)
        mth_dcp_free(&at.metadata[i].dcp);
    mth_memory_free(map->memory, at.metadata);
    mth_memory_free(map->memory, at.first_tensors);
    mth_folder_free(&at.folder);
    return status;
}

static int probe(const struct mth_source *source, const uint8_t *head, size_t n_head)
{
    (void)source;
    return mth_folder_claims(head, n_head);
}

const struct mth_format mth_format_folder = {
    .name = "folder",
    .summary = "several files as one, as chains keep steps that are directories",
    .probe = probe,
    .map = map_folder,
};
