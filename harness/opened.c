/* Checkpoints that are read at offsets; see opened.h. */
#define _GNU_SOURCE /* st_mtim where POSIX alone hides it */
#include "harness/opened.h"

#include "formats/dcp.h"
#include "harness/folder_files.h"
#include "harness/set_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLAIM_BYTES = 16 };

int mth_opened_blame(const char *path, struct mth_error *err)
{
    struct mth_error copy = *err;
    size_t n = strlen(path);
    if (strncmp(copy.text, path, n) == 0)
        return err->status;
    return mth_error_set(err, copy.status, "%.300s: %s", path, copy.text);
}

int mth_opened_open_file(struct mth_opened *opened, const char *path, struct mth_memory *memory,
                         struct mth_error *err)
{
    int status;
    *opened = (struct mth_opened){.path = path, .memory = memory};
    if (strcmp(path, "-") == 0) {
        struct mth_input input;
        mth_input_descriptor("standard input", STDIN_FILENO, &input);
        status = mth_source_spool(&input, &opened->file, err);
    } else {
        status = mth_source_open(path, &opened->file, err);
    }
    if (status)
        return status;
    opened->has_file = true;
    opened->source = opened->file;
    opened->base = (struct mth_stream_base){.source = &opened->source};
    return MTH_OK;
}

int mth_opened_open_step(struct mth_opened *opened, const char *path, struct mth_memory *memory,
                         struct mth_error *err)
{
    if (!mth_path_is_directory(path))
        return mth_opened_open_file(opened, path, memory, err);
    *opened = (struct mth_opened){.path = path, .memory = memory};
    int status = mth_folder_files_open(&opened->folder, path, memory, err);
    if (status)
        return status;
    mth_folder_files_source(opened->folder, &opened->source);
    opened->base = (struct mth_stream_base){.source = &opened->source};
    return MTH_OK;
}

void mth_opened_borrow(struct mth_opened *opened, const char *path, const struct mth_source *source,
                       struct mth_memory *memory)
{
    *opened = (struct mth_opened){.path = path, .memory = memory, .file = *source, .source = *source};
    opened->base = (struct mth_stream_base){.source = &opened->source};
}

int mth_opened_open(struct mth_opened *opened, const char *path, size_t n_threads, struct mth_memory *memory,
                    struct mth_error *err)
{
    uint8_t head[CLAIM_BYTES];
    int status = mth_opened_open_file(opened, path, memory, err);
    if (status)
        return status;
    size_t n_head = opened->file.n_bytes < sizeof head ? (size_t)opened->file.n_bytes : sizeof head;
    status = mth_source_read(&opened->file, 0, head, n_head, err);
    if (status || !mth_container_claims(head, n_head))
        return status;
    struct mth_stream_config config = {.n_threads = n_threads, .memory = memory};
    status = mth_container_open(&opened->file, &config, &opened->container, err);
    if (status)
        return mth_opened_blame(path, err);
    struct mth_container_info info;
    mth_container_describe(opened->container, &info);
    mth_container_source(opened->container, &opened->source);
    opened->base.has_digest = true;
    memcpy(opened->base.digest, info.digest, sizeof info.digest);
    return MTH_OK;
}

bool mth_opened_is_whole_name(const char *path)
{
    return strcmp(mth_path_name(path), MTH_WHOLE_NAME MTH_CONTAINER_SUFFIX) == 0;
}

char *mth_opened_whole_path(const char *directory)
{
    char *path = mth_path_join(directory, "/", MTH_WHOLE_NAME MTH_CONTAINER_SUFFIX);
    if (path && !mth_path_is_file(path)) {
        free(path);
        path = NULL;
    }
    return path;
}

int mth_opened_open_whole(struct mth_opened *opened, const char *directory, size_t n_threads,
                          struct mth_memory *memory, bool *found, struct mth_error *err)
{
    char *path = mth_opened_whole_path(directory);
    *found = path != NULL;
    if (!path)
        return MTH_OK;
    int status = mth_opened_open(opened, path, n_threads, memory, err);
    opened->own_path = path;
    return status;
}

int mth_opened_open_any(struct mth_opened *opened, const char *path, size_t n_threads,
                        struct mth_memory *memory, struct mth_error *err)
{
    struct mth_set_plan plan;
    bool found = false;
    *opened = (struct mth_opened){.path = path, .memory = memory};
    int status = mth_set_plan_find(path, &plan, err);
    if (status)
        return status;
    if (plan.kind == MTH_SET_NONE && mth_path_is_directory(path)) {
        status = mth_opened_open_whole(opened, path, n_threads, memory, &found, err);
        return found
                   ? status
                   : mth_error_set(
                         err, MTH_ERR_IO,
                         "%s: a directory without a checkpoint of several files: no *.index.json, no shards "
                         "(NAME-00001-of-00002.safetensors), no .metadata",
                         path);
    }
    if (plan.kind == MTH_SET_NONE)
        return mth_opened_open(opened, path, n_threads, memory, err);
    status = mth_set_files_open(&opened->set, path, &plan, n_threads, memory, err);
    if (status)
        return status;
    mth_set_files_source(opened->set, &opened->source);
    opened->base = (struct mth_stream_base){.source = &opened->source};
    return MTH_OK;
}

bool mth_opened_needs_base(const struct mth_opened *opened)
{
    struct mth_container_info info = {0};
    if (opened->set)
        return mth_set_files_need_base(opened->set);
    if (opened->container)
        mth_container_describe(opened->container, &info);
    return info.has_base;
}

bool mth_opened_needs_older(const struct mth_opened *opened)
{
    struct mth_container_info info = {0};
    if (opened->container)
        mth_container_describe(opened->container, &info);
    return info.has_older;
}

int mth_opened_set_base(struct mth_opened *opened, const struct mth_stream_base *base, struct mth_error *err)
{
    if (opened->set) {
        mth_set_files_set_base(opened->set, base);
        return MTH_OK;
    }
    int status = opened->container ? mth_container_set_base(opened->container, base, err)
                                   : mth_error_set(err, MTH_ERR_BASE, "needs no base");
    return status ? mth_opened_blame(opened->path, err) : MTH_OK;
}

static int map_set(struct mth_opened *opened, enum mth_dtype raw_dtype, struct mth_error *err)
{
    size_t n_unlisted;
    if (raw_dtype != MTH_N_DTYPES)
        return mth_error_set(err, MTH_ERR_USAGE, "%s: --dtype is for one file, and these are several",
                             opened->path);
    int status = mth_set_files_map(opened->set, &opened->map, &n_unlisted, err);
    if (!status && n_unlisted)
        fprintf(stderr,
                "mithril: %s: %zu tensors of the shards are not in the index; they are taken as well\n",
                opened->path, n_unlisted);
    return status;
}

/* What the metadata beside a .distcp file says of it; *found tells whether there is any. */
static int read_metadata(const struct mth_opened *opened, struct mth_dcp *dcp, bool *found,
                         struct mth_error *err)
{
    struct mth_opened metadata = {0};
    char *directory = mth_path_directory(opened->path);
    char *path = directory ? mth_set_path(directory, MTH_DCP_METADATA_NAME) : NULL;
    int status = MTH_OK;
    free(directory);
    *found = false;
    if (path) {
        status = mth_opened_open(&metadata, path, 1, opened->memory, err);
        /* A container that needs a base can not be read here. */
        if (!status && !mth_opened_needs_base(&metadata)) {
            status = mth_dcp_read(&metadata.source, opened->memory, dcp, err);
            *found = !status;
        }
        mth_opened_close(&metadata);
    }
    free(path);
    return status;
}

static int map_file(struct mth_opened *opened, enum mth_dtype raw_dtype, bool use_metadata,
                    struct mth_error *err)
{
    struct mth_format_options options = {.raw_dtype = raw_dtype};
    struct mth_dcp dcp;
    bool has_dcp = false;
    int status = MTH_OK;
    char *name = mth_set_plain_name(mth_path_name(opened->path));
    if (!name)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", opened->path);
    options.name = name;
    if (use_metadata && raw_dtype == MTH_N_DTYPES && mth_path_ends_in(name, MTH_DCP_SUFFIX))
        status = read_metadata(opened, &dcp, &has_dcp, err);
    options.dcp = has_dcp ? &dcp : NULL;
    if (!status)
        status = mth_format_map(&opened->source, &options, opened->memory, &opened->map, err);
    if (has_dcp)
        mth_dcp_free(&dcp);
    free(name);
    return status;
}

static int map_with(struct mth_opened *opened, enum mth_dtype raw_dtype, bool use_metadata,
                    struct mth_error *err)
{
    int status =
        opened->set ? map_set(opened, raw_dtype, err) : map_file(opened, raw_dtype, use_metadata, err);
    if (status)
        return mth_opened_blame(opened->path, err);
    opened->has_map = true;
    opened->base.map = &opened->map;
    return MTH_OK;
}

int mth_opened_map(struct mth_opened *opened, enum mth_dtype raw_dtype, struct mth_error *err)
{
    return map_with(opened, raw_dtype, true, err);
}

int mth_opened_map_any(struct mth_opened *opened, enum mth_dtype raw_dtype, bool *is_opaque,
                       struct mth_error *why, struct mth_error *err)
{
    int status = mth_opened_map(opened, raw_dtype, why);
    *is_opaque = false;
    if (mth_format_is_of_content(status) && mth_path_ends_in(opened->path, MTH_DCP_SUFFIX)) {
        struct mth_error of_metadata = *why;
        status = map_with(opened, raw_dtype, false, why);
        if (!status)
            fprintf(stderr, "mithril: %s; its tensors go without names\n", of_metadata.text);
    }
    *is_opaque = mth_format_is_of_content(status);
    if (*is_opaque)
        return mth_opened_map(opened, MTH_DTYPE_OPAQUE, err);
    if (status)
        *err = *why;
    return status;
}

void mth_opened_close(struct mth_opened *opened)
{
    if (opened->has_map)
        mth_region_map_free(&opened->map);
    mth_container_close(opened->container);
    mth_set_files_close(opened->set);
    mth_folder_files_close(opened->folder);
    if (opened->has_file)
        mth_source_close(&opened->file);
    free(opened->own_path);
    *opened = (struct mth_opened){0};
}

int mth_opened_open_base(struct mth_opened *opened, const char *path, size_t n_threads,
                         struct mth_memory *memory, struct mth_error *err)
{
    struct mth_error why = {0};
    int status = mth_opened_open_step(opened, path, memory, err);
    if (status || !opened->folder || !mth_folder_files_have(opened->folder, MTH_CONTAINER_SUFFIX))
        return status;
    status = mth_opened_map(opened, MTH_N_DTYPES, &why);
    bool has_tensors = !status && opened->map.n_tensors > 0;
    mth_opened_close(opened);
    if (status == MTH_ERR_NO_MEMORY)
        return mth_error_set(err, status, "%s", why.text);
    if (has_tensors)
        return mth_opened_open_step(opened, path, memory, err);
    *opened = (struct mth_opened){.path = path, .memory = memory};
    status = mth_folder_files_open_packed(&opened->folder, path, n_threads, memory, err);
    if (status)
        return status;
    mth_folder_files_source(opened->folder, &opened->source);
    opened->base = (struct mth_stream_base){.source = &opened->source};
    return MTH_OK;
}

struct chain_config {
    const char *const *paths;
    size_t n;
    bool is_strict, as_whole;
    enum mth_dtype raw_dtype;
    size_t n_threads;
    struct mth_memory *memory;
};

static bool has_path(const struct chain_config *config, size_t i)
{
    return i < config->n && config->paths[i];
}

static int open_link(struct mth_opened *link, const char *path, const struct chain_config *config,
                     struct mth_error *err)
{
    bool found = false;
    if (!config->as_whole || !mth_path_is_directory(path))
        return mth_opened_open_any(link, path, config->n_threads, config->memory, err);
    int status = mth_opened_open_whole(link, path, config->n_threads, config->memory, &found, err);
    if (!found)
        status = mth_opened_open_base(link, path, config->n_threads, config->memory, err);
    /* Other files may lie there by the time of restoring. */
    link->base.tensors_alone = true;
    return status;
}

static int missing(const char *path, bool is_older, struct mth_error *err)
{
    return mth_error_set(
        err, MTH_ERR_BASE,
        is_older ? "%s: was itself coded against two bases; give the older one with another --base"
                 : "%s: was itself coded against a base; give that with another --base",
        path);
}

/*
 * Opens the link *next and, where it needs some, the links behind it: its base with all that this one needs, then an older one.
 * *next becomes the first that is left.
 */
static int open_links(struct mth_opened_chain *chain, const struct chain_config *config, size_t *next,
                      struct mth_error *err)
{
    size_t i = (*next)++, base = *next;
    struct mth_opened *link = &chain->links[i];
    const char *path = config->paths[i];
    struct mth_error why = {0};
    int status = open_link(link, path, config, err);
    if (status)
        return mth_opened_blame(path, err);
    bool needs[] = {mth_opened_needs_base(link), mth_opened_needs_older(link)};
    for (size_t k = 0; !status && k < sizeof needs / sizeof needs[0]; k++) {
        size_t at = *next;
        if (needs[k] && !has_path(config, at))
            return missing(path, k > 0, err);
        if (needs[k])
            status = open_links(chain, config, next, err);
        if (needs[k] && k > 0)
            chain->links[base].base.older = &chain->links[at].base;
    }
    if (!status && needs[0])
        status = mth_opened_set_base(link, &chain->links[base].base, err);
    if (status)
        return status;
    /* To restore, a base may do without a map. */
    status = mth_opened_map(link, config->raw_dtype, &why);
    if (status == MTH_ERR_FORMAT || status == MTH_ERR_TRUNCATED)
        return MTH_OK;
    if (status)
        *err = why;
    return status;
}

/* The first link and what it needs; what is behind that is the older base. */
static int open_all(struct mth_opened_chain *chain, const struct chain_config *config, struct mth_error *err)
{
    size_t next = 0;
    int status = open_links(chain, config, &next, err);
    if (status || !has_path(config, next))
        return status;
    size_t older = next;
    status = open_links(chain, config, &next, err);
    if (!config->is_strict && status == MTH_ERR_BASE)
        return MTH_OK;
    if (!status && config->is_strict && has_path(config, next))
        return mth_error_set(err, MTH_ERR_BASE, "%s: needs no base; leave out the one behind it",
                             config->paths[next - 1]);
    if (!status && (config->is_strict || chain->links[older].has_map))
        chain->older = chain->links[0].base.older = &chain->links[older].base;
    return status;
}

int mth_opened_chain_open_paths(struct mth_opened_chain *chain, const char *const *paths, size_t n,
                                bool is_strict, bool as_whole, enum mth_dtype raw_dtype, size_t n_threads,
                                struct mth_memory *memory, struct mth_error *err)
{
    const struct chain_config config = {paths, n, is_strict, as_whole, raw_dtype, n_threads, memory};
    *chain = (struct mth_opened_chain){0};
    if (n == 0)
        return MTH_OK;
    if (n > MTH_CONTAINER_MAX_CHAIN)
        return mth_error_set(err, MTH_ERR_USAGE, "--base is given %zu times; at most %d", n,
                             MTH_CONTAINER_MAX_CHAIN);
    chain->links = calloc(n, sizeof *chain->links);
    if (!chain->links)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the bases");
    chain->n_links = n;
    return open_all(chain, &config, err);
}

int mth_opened_chain_open(struct mth_opened_chain *chain, const struct mth_options *options, size_t n_threads,
                          struct mth_memory *memory, struct mth_error *err)
{
    return mth_opened_chain_open_paths(chain, options->bases.items, options->bases.n_items, true, false,
                                       options->dtype, n_threads, memory, err);
}

void mth_opened_chain_close(struct mth_opened_chain *chain)
{
    for (size_t i = 0; chain->links && i < chain->n_links; i++)
        mth_opened_close(&chain->links[i]);
    free(chain->links);
    *chain = (struct mth_opened_chain){0};
}

const struct mth_stream_base *mth_opened_chain_base(const struct mth_opened_chain *chain)
{
    return chain->links ? &chain->links[0].base : NULL;
}

bool mth_opened_holds(const struct mth_opened *opened, const char *path)
{
    return opened->set ? mth_set_files_hold(opened->set, path) : mth_path_is_same(opened->path, path);
}

int mth_opened_has_counterparts(const struct mth_opened *opened, const struct mth_opened *base, bool *found,
                                struct mth_error *err)
{
    const struct mth_stream_base against = {.source = &base->source, .map = &base->map};
    struct mth_paired paired;
    int status = mth_pair(&opened->source, &opened->map, &against, &paired, err);
    *found = !status && mth_paired_of(&paired) > 0;
    return status;
}

struct mth_file_attributes mth_opened_attributes(const struct mth_opened *opened)
{
    struct stat st;
    if (opened->folder)
        return mth_folder_files_attributes(opened->folder);
    if (strcmp(opened->path, "-") == 0 || !opened->has_file || fstat(opened->file.fd, &st) != 0)
        return (struct mth_file_attributes){0};
    return (struct mth_file_attributes){.known = true,
                                        .mode = (uint32_t)st.st_mode & 0777,
                                        .mtime_s = st.st_mtim.tv_sec,
                                        .mtime_ns = (uint32_t)st.st_mtim.tv_nsec};
}

int mth_opened_check(const struct mth_opened *opened, const struct mth_file_attributes *attributes,
                     struct mth_error *err)
{
    if (opened->folder)
        return mth_folder_files_check(opened->folder, err);
    struct mth_file_attributes now = mth_opened_attributes(opened);
    if (now.known && now.mtime_s == attributes->mtime_s && now.mtime_ns == attributes->mtime_ns)
        return MTH_OK;
    return mth_error_set(err, MTH_ERR_IO, "%s: was changed while it was read", opened->path);
}
