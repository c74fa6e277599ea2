/* Checkpoints that are read at offsets; see opened.h. */
#define _GNU_SOURCE /* st_mtim where POSIX alone hides it */
#include "harness/opened.h"

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

int mth_opened_map(struct mth_opened *opened, enum mth_dtype raw_dtype, struct mth_error *err)
{
    struct mth_format_options options = {.raw_dtype = raw_dtype};
    int status = mth_format_map(&opened->source, &options, opened->memory, &opened->map, err);
    if (status)
        return mth_opened_blame(opened->path, err);
    opened->has_map = true;
    opened->base.map = &opened->map;
    return MTH_OK;
}

int mth_opened_map_any(struct mth_opened *opened, enum mth_dtype raw_dtype, bool *is_opaque,
                       struct mth_error *why, struct mth_error *err)
{
    int status = mth_opened_map(opened, raw_dtype, why);
    *is_opaque = status == MTH_ERR_FORMAT || status == MTH_ERR_TRUNCATED || status == MTH_ERR_OVERFLOW ||
                 status == MTH_ERR_UNSUPPORTED || status == MTH_ERR_LIMIT || status == MTH_ERR_CORRUPT ||
                 status == MTH_ERR_CHECKSUM;
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
    if (opened->has_file)
        mth_source_close(&opened->file);
    *opened = (struct mth_opened){0};
}

int mth_opened_chain_open(struct mth_opened_chain *chain, const struct mth_options *options, size_t n_threads,
                          struct mth_memory *memory, struct mth_error *err)
{
    size_t n = options->bases.n_items;
    *chain = (struct mth_opened_chain){0};
    if (n == 0)
        return MTH_OK;
    if (n > MTH_CONTAINER_MAX_CHAIN)
        return mth_error_set(err, MTH_ERR_USAGE, "--base is given %zu times; at most %d", n,
                             MTH_CONTAINER_MAX_CHAIN);
    chain->links = calloc(n, sizeof *chain->links);
    if (!chain->links)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the bases");
    int status = MTH_OK;
    /* From the last, which needs none, to the first. */
    for (size_t i = n; !status && i-- > 0;) {
        struct mth_opened *link = &chain->links[i];
        struct mth_container_info info = {0};
        struct mth_error why = {0};
        status = mth_opened_open(link, options->bases.items[i], n_threads, memory, err);
        if (status)
            break;
        if (link->container)
            mth_container_describe(link->container, &info);
        if (info.has_base && i + 1 == n)
            status = mth_error_set(err, MTH_ERR_BASE,
                                   "%s: was itself coded against a base; give that with another --base",
                                   link->path);
        else if (info.has_base)
            status = mth_container_set_base(link->container, &chain->links[i + 1].base, err);
        else if (i + 1 < n)
            status = mth_error_set(err, MTH_ERR_BASE, "%s: needs no base; leave out the one behind it",
                                   link->path);
        /* To restore, a base may do without a map. */
        if (!status && mth_opened_map(link, options->dtype, &why)) {
            if (why.status != MTH_ERR_FORMAT && why.status != MTH_ERR_TRUNCATED) {
                *err = why;
                status = why.status;
            }
        }
        if (status)
            mth_opened_blame(link->path, err);
    }
    chain->n_links = n;
    return status;
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

struct mth_file_attributes mth_opened_attributes(const struct mth_opened *opened)
{
    struct stat st;
    if (strcmp(opened->path, "-") == 0 || fstat(opened->file.fd, &st) != 0)
        return (struct mth_file_attributes){0};
    return (struct mth_file_attributes){.known = true,
                                        .mode = (uint32_t)st.st_mode & 0777,
                                        .mtime_s = st.st_mtim.tv_sec,
                                        .mtime_ns = (uint32_t)st.st_mtim.tv_nsec};
}
