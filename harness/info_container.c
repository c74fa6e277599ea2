/* What `mithril info` tells of a container; see info_container.h. */
#include "harness/info_container.h"

#include "base/hash.h"
#include "formats/folder.h"
#include "harness/base_files.h"
#include "harness/info.h"
#include "harness/loss.h"
#include "harness/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SPEC_COLUMNS = 4096, NAME_COLUMNS = 46, SHAPE_COLUMNS = 18 };

struct telling {
    struct mth_opened *opened;
    const struct mth_options *options;
    struct mth_container_info info;
    char digest[MTH_DIGEST_HEX_BYTES];
    char base_digest[MTH_DIGEST_HEX_BYTES], older_digest[MTH_DIGEST_HEX_BYTES]; /* empty: not known */
    /* Tensors that are told of: all, or one. None where the original has no map, and then why says so. */
    const struct mth_tensor *tensors;
    size_t n_tensors;
    struct mth_error why;
};

static void put_digest(const uint8_t bytes[16], char hex[MTH_DIGEST_HEX_BYTES])
{
    struct mth_digest digest;
    memcpy(digest.bytes, bytes, sizeof digest.bytes);
    mth_digest_hex(&digest, hex);
}

static double ratio_of(uint64_t n_raw, uint64_t n_stored)
{
    return n_stored ? (double)n_raw / (double)n_stored : 0;
}

/* What the elements of a tensor take; views on one region share what that takes. */
static int stored_bytes(const struct telling *telling, const struct mth_tensor *tensor, uint64_t *n_stored,
                        struct mth_error *err)
{
    const struct mth_region_map *map = &telling->opened->map;
    *n_stored = 0;
    if (tensor->region == MTH_NO_REGION)
        return MTH_OK;
    return mth_container_stored_bytes(telling->opened->container,
                                      map->regions[tensor->region].offset + tensor->offset_bytes,
                                      mth_tensor_span_bytes(map, tensor), n_stored, err);
}

static void print_making(const struct telling *telling)
{
    const struct mth_container_info *info = &telling->info;
    const struct mth_region_map *map = telling->opened->has_map ? &telling->opened->map : NULL;
    char name[MTH_TEXT_BYTES];
    printf("%s: container version %u of a file in format %s, %" PRIu64 " -> %" PRIu64 " bytes, ratio %.3f\n",
           mth_text_name(telling->opened->path, 48, name), info->version, map ? map->format : "unknown",
           info->raw_bytes, info->stored_bytes, ratio_of(info->raw_bytes, info->stored_bytes));
    printf("  bundles %" PRIu64 ", of up to %zu KiB\n", info->n_bundles, info->chunk_bytes >> 10);
    printf("  digest  %s\n", telling->digest);
    if (info->loss.is_lossy)
        printf("  LOSSY   restores to quantized values; those of %" PRIu64
               " rows of tables moved by %.4g in the "
               "mean, %.4g at most, rows by %.4g (l2)\n",
               info->loss.n_rows, mth_loss_mean_abs(&info->loss), info->loss.max_abs,
               mth_loss_mean_l2(&info->loss));
    if (info->has_base)
        printf("  base    %" PRIu64 " bytes%s%s, %zu of its tensors are looked at\n", info->base_bytes,
               telling->base_digest[0] ? ", digest " : "", telling->base_digest, info->n_references);
    else
        printf("  base    none\n");
    if (info->has_older)
        printf("  older   base of %" PRIu64 " bytes%s%s\n", info->older_bytes,
               telling->older_digest[0] ? ", digest " : "", telling->older_digest);
    for (size_t i = 0; i < info->n_specs; i++)
        printf("  spec    %.*s\n", SPEC_COLUMNS, mth_container_spec(telling->opened->container, i));
    if (!map)
        printf("  tensors not known: %s\n", telling->why.text);
}

/* The files that a container restores to, where they are several and their list can be had; the caller frees them. */
static int list_files(const struct telling *telling, struct mth_folder *files, struct mth_error *err)
{
    const struct mth_opened *opened = telling->opened;
    bool is_folder = false;
    mth_folder_init(files, opened->memory);
    int status = mth_folder_is(&opened->source, &is_folder, err);
    if (!status && is_folder)
        status = mth_folder_read(&opened->source, opened->memory, files, err);
    if (status)
        mth_folder_init(files, opened->memory);
    return status == MTH_ERR_BASE ? MTH_OK : status;
}

static int stored_of_file(const struct telling *telling, const struct mth_folder_entry *file,
                          uint64_t *n_stored, struct mth_error *err)
{
    *n_stored = 0;
    return file->n_bytes == 0 ? MTH_OK
                              : mth_container_stored_bytes(telling->opened->container, file->begin,
                                                           file->n_bytes, n_stored, err);
}

static int print_files(const struct telling *telling, const struct mth_folder *files, struct mth_error *err)
{
    enum { FILE_COLUMNS = NAME_COLUMNS + SHAPE_COLUMNS + 13 };
    if (files->n_entries)
        printf("\n%-*s %11s %11s %9s\n", FILE_COLUMNS, "file", "size", "stored", "ratio");
    for (size_t i = 0; i < files->n_entries; i++) {
        const struct mth_folder_entry *file = &files->entries[i];
        char name[MTH_TEXT_BYTES], size[MTH_TEXT_BYTES], stored[MTH_TEXT_BYTES];
        uint64_t n_stored;
        if (mth_folder_is_directory(files, i))
            continue;
        int status = stored_of_file(telling, file, &n_stored, err);
        if (status)
            return status;
        printf("%-*s %11s %11s %9.3f\n", FILE_COLUMNS,
               mth_text_name(mth_folder_name(files, i), FILE_COLUMNS, name),
               mth_text_size(file->n_bytes, size), mth_text_size(n_stored, stored),
               ratio_of(file->n_bytes, n_stored));
    }
    return MTH_OK;
}

static int put_files(struct mth_json_writer *w, const struct telling *telling, const struct mth_folder *files,
                     struct mth_error *err)
{
    int status = MTH_OK;
    mth_json_begin_array(w, "files");
    for (size_t i = 0; !status && i < files->n_entries; i++) {
        uint64_t n_stored;
        if (mth_folder_is_directory(files, i))
            continue;
        status = stored_of_file(telling, &files->entries[i], &n_stored, err);
        mth_json_begin_object(w, NULL);
        mth_json_string(w, "name", mth_folder_name(files, i));
        mth_json_uint(w, "n_bytes", files->entries[i].n_bytes);
        mth_json_uint(w, "stored_bytes", n_stored);
        mth_json_end(w);
    }
    mth_json_end(w);
    return status;
}

static int print_tensors(const struct telling *telling, struct mth_error *err)
{
    const struct mth_region_map *map = &telling->opened->map;
    if (telling->n_tensors)
        printf("\n%-*s %-11s %-*s %11s %11s %9s\n", NAME_COLUMNS, "tensor", "dtype", SHAPE_COLUMNS, "shape",
               "size", "stored", "ratio");
    for (size_t i = 0; i < telling->n_tensors; i++) {
        const struct mth_tensor *tensor = &telling->tensors[i];
        char name[MTH_TEXT_BYTES], shape[MTH_TEXT_BYTES], size[MTH_TEXT_BYTES], stored[MTH_TEXT_BYTES];
        uint64_t n_stored;
        int status = stored_bytes(telling, tensor, &n_stored, err);
        if (status)
            return status;
        printf("%-*s %-11s %-*s %11s %11s %9.3f\n", NAME_COLUMNS,
               mth_text_name(mth_tensor_name(map, tensor), NAME_COLUMNS, name),
               mth_dtype_info((enum mth_dtype)tensor->dtype)->name, SHAPE_COLUMNS,
               mth_info_shape(map, tensor, SHAPE_COLUMNS, shape),
               mth_text_size(mth_tensor_bytes(tensor), size), mth_text_size(n_stored, stored),
               ratio_of(mth_tensor_span_bytes(map, tensor), n_stored));
    }
    return MTH_OK;
}

static int put_tensor(struct mth_json_writer *w, const struct telling *telling,
                      const struct mth_tensor *tensor, struct mth_error *err)
{
    const struct mth_region_map *map = &telling->opened->map;
    uint64_t n_stored;
    int status = stored_bytes(telling, tensor, &n_stored, err);
    mth_json_begin_object(w, NULL);
    mth_json_string(w, "name", mth_tensor_name(map, tensor));
    mth_json_string(w, "dtype", mth_dtype_info((enum mth_dtype)tensor->dtype)->name);
    mth_json_begin_array(w, "shape");
    for (size_t i = 0; i < tensor->n_dims; i++)
        mth_json_uint(w, NULL, mth_tensor_shape(map, tensor)[i]);
    mth_json_end(w);
    mth_json_uint(w, "n_elems", tensor->n_elems);
    mth_json_uint(w, "n_bytes", mth_tensor_bytes(tensor));
    mth_json_uint(w, "stored_bytes", n_stored);
    mth_json_real(w, "ratio", ratio_of(mth_tensor_span_bytes(map, tensor), n_stored));
    mth_json_end(w);
    return status;
}

static int put_json(const struct telling *telling, const struct mth_folder *files, struct mth_error *err)
{
    const struct mth_container_info *info = &telling->info;
    struct mth_json_writer w;
    int status = MTH_OK;
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_string(&w, "kind", "info");
    mth_json_int(&w, "schema", 1);
    mth_json_string(&w, "file", telling->opened->path);
    mth_json_string(&w, "base", telling->options->base);
    mth_json_string(&w, "format", "container");
    mth_json_string(&w, "original_format", telling->opened->has_map ? telling->opened->map.format : NULL);
    mth_json_uint(&w, "version", info->version);
    mth_json_uint(&w, "raw_bytes", info->raw_bytes);
    mth_json_uint(&w, "stored_bytes", info->stored_bytes);
    mth_json_real(&w, "ratio", ratio_of(info->raw_bytes, info->stored_bytes));
    mth_json_uint(&w, "n_bundles", info->n_bundles);
    mth_json_uint(&w, "chunk_bytes", info->chunk_bytes);
    mth_loss_put(&w, &info->loss);
    mth_json_string(&w, "digest", telling->digest);
    mth_json_bool(&w, "has_base", info->has_base);
    mth_json_uint(&w, "base_bytes", info->base_bytes);
    mth_json_string(&w, "base_digest", telling->base_digest[0] ? telling->base_digest : NULL);
    mth_json_bool(&w, "has_older", info->has_older);
    mth_json_uint(&w, "older_bytes", info->older_bytes);
    mth_json_string(&w, "older_digest", telling->older_digest[0] ? telling->older_digest : NULL);
    mth_json_uint(&w, "n_base_tensors", info->n_references);
    mth_json_begin_array(&w, "specs");
    for (size_t i = 0; i < info->n_specs; i++)
        mth_json_string(&w, NULL, mth_container_spec(telling->opened->container, i));
    mth_json_end(&w);
    if (telling->opened->has_map)
        mth_json_uint(&w, "n_tensors", telling->opened->map.n_tensors);
    else
        mth_json_null(&w, "n_tensors");
    if (files->n_entries)
        status = put_files(&w, telling, files, err);
    mth_json_begin_array(&w, "tensors");
    for (size_t i = 0; !status && i < telling->n_tensors; i++)
        status = put_tensor(&w, telling, &telling->tensors[i], err);
    mth_json_end(&w);
    mth_json_end(&w);
    if (status) {
        mth_json_writer_free(&w);
        return status;
    }
    return mth_text_put_json(&w, telling->options->json, err);
}

/* The original, read through to the container, and the first failure of that. */
struct noted {
    struct mth_source source;
    int status;
};

static int read_noted(void *state, uint64_t offset, void *dst, size_t n_bytes, struct mth_error *err)
{
    struct noted *noted = state;
    int status = mth_source_read(&noted->source, offset, dst, n_bytes, err);
    if (status && !noted->status)
        noted->status = status;
    return status;
}

/*
 * Maps the original where its header can be had, which seldom takes the base. A file that was kept as bytes has no map, and
 * that is no failure; damage of the container is one.
 */
static int find_tensors(struct telling *telling, struct mth_error *err)
{
    struct mth_opened *opened = telling->opened;
    const char *name = telling->options->name;
    struct noted noted = {.source = opened->source};
    opened->source.read = read_noted;
    opened->source.state = &noted;
    int status = mth_opened_map(opened, telling->options->dtype, &telling->why);
    opened->source = noted.source;
    bool is_damaged = (noted.status && noted.status != MTH_ERR_BASE) || status == MTH_ERR_NO_MEMORY;
    if (status && (is_damaged || name)) {
        *err = telling->why;
        return status;
    }
    if (status)
        return MTH_OK;
    const struct mth_region_map *map = &telling->opened->map;
    telling->tensors = map->tensors;
    telling->n_tensors = map->n_tensors;
    if (!name)
        return MTH_OK;
    telling->tensors = mth_region_map_find(map, name);
    telling->n_tensors = 1;
    return telling->tensors ? MTH_OK
                            : mth_error_set(err, MTH_ERR_USAGE, "%s: restores no tensor called '%.100s'",
                                            telling->opened->path, name);
}

int mth_info_container(struct mth_opened *opened, const struct mth_options *options,
                       struct mth_memory *memory, struct mth_error *err)
{
    struct telling telling = {.opened = opened, .options = options};
    struct mth_base_files bases;
    mth_container_describe(opened->container, &telling.info);
    put_digest(telling.info.digest, telling.digest);
    if (telling.info.base_has_digest)
        put_digest(telling.info.base_digest, telling.base_digest);
    if (telling.info.older_has_digest)
        put_digest(telling.info.older_digest, telling.older_digest);
    int status = mth_base_files_open(&bases, options, 1, memory, err);
    if (!status && options->base && !telling.info.has_base)
        status = mth_error_set(err, MTH_ERR_BASE, "%s: was coded without a base; leave out -b", opened->path);
    if (!status)
        status = mth_base_files_give(&bases, opened, err);
    if (!status)
        status = find_tensors(&telling, err);
    struct mth_folder files;
    mth_folder_init(&files, memory);
    if (!status)
        status = list_files(&telling, &files, err);
    if (!status && options->json) {
        status = put_json(&telling, &files, err);
    } else if (!status) {
        print_making(&telling);
        status = print_files(&telling, &files, err);
        if (!status)
            status = print_tensors(&telling, err);
    }
    mth_folder_free(&files);
    if (opened->has_map)
        mth_region_map_free(&opened->map);
    opened->has_map = false;
    mth_container_close(opened->container);
    opened->container = NULL;
    mth_base_files_close(&bases);
    return status;
}
