/*
 * A .distcp file of torch.distributed.checkpoint: zip archives of torch.save, one behind the other.
 *
 * Where .metadata is at hand it says which item lies where and how it is called. Without, the archives are found from the
 * end of the file backwards, each by the end record of its directory, and are called by their number.
 */
#include "formats/dcp.h"

#include "base/checked.h"
#include "formats/file_set.h"
#include "formats/name_index.h"
#include "formats/param_names.h"
#include "formats/torch_zip.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the maps of all archives of a file may take: an archive has 1,200 bytes at least, its map needs some 300. */
enum { MAP_FREE_BYTES = 16 << 20, PATH_FREE_BYTES = 1 << 30, PATH_BYTES_PART = 4 };

/* What is read of a zip archive's end: APPNOTE 4.3.14 to 4.3.16. */
#define END_SIGNATURE     0x06054b50u
#define END64_SIGNATURE   0x06064b50u
#define LOCATOR_SIGNATURE 0x07064b50u
#define LOCAL_SIGNATURE   0x04034b50u

enum { END_BYTES = 22, END64_BYTES = 56, LOCATOR_BYTES = 20, MEMBER_MIN_BYTES = 30 + 46 };

struct reader {
    const struct mth_source *source;
    struct mth_region_map *map;
    struct mth_error *err;
    struct mth_torch_budget budget;
    uint64_t map_bytes_max;
};

static int probe(const struct mth_source *source, const uint8_t *head, size_t n_head)
{
    size_t n_name = strlen(source->name), n_suffix = sizeof MTH_DCP_SUFFIX - 1;
    (void)head;
    return n_head > 0 && n_name >= n_suffix && strcmp(source->name + n_name - n_suffix, MTH_DCP_SUFFIX) == 0;
}

/* ---- archives ---- */

/* A range of a source. */
struct range {
    const struct mth_source *source;
    uint64_t begin;
};

static int read_range(void *state, uint64_t offset, void *dst, size_t n_bytes, struct mth_error *err)
{
    const struct range *range = state;
    return mth_source_read(range->source, range->begin + offset, dst, n_bytes, err);
}

/* Roughly what a map takes. */
static uint64_t map_bytes(const struct mth_region_map *map)
{
    return (uint64_t)map->n_tensors * sizeof *map->tensors + map->n_text +
           (uint64_t)map->n_dims * sizeof *map->dims;
}

/* Map an archive in a range of the file, and add it to the map of the file. */
static int add_archive(struct reader *r, uint64_t begin, uint64_t n_bytes, const char *name,
                       const char *label)
{
    struct range range = {r->source, begin};
    struct mth_source archive = {
        .name = label, .n_bytes = n_bytes, .fd = -1, .read = read_range, .state = &range};
    struct mth_region_map part;
    mth_region_map_init(&part, r->map->memory, r->map->format, n_bytes);
    int status = mth_torch_zip_map(&archive, name, &r->budget, &part, r->err);
    if (!status) {
        status = mth_region_map_append(r->map, &part, begin);
        if (!status && map_bytes(r->map) > r->map_bytes_max)
            status = MTH_ERR_LIMIT;
        if (status)
            mth_error_set(r->err, status, "%s: %s", label,
                          status == MTH_ERR_LIMIT ? "the list of tensors outgrows the file"
                                                  : mth_status_text(status));
    }
    mth_region_map_free(&part);
    return status;
}

static int add_opaque(struct reader *r, uint64_t begin, uint64_t end)
{
    int status = mth_region_map_add_region(r->map, begin, end - begin, MTH_DTYPE_OPAQUE, NULL);
    return status ? mth_error_set(r->err, status, "%s: %s", r->source->name, mth_status_text(status))
                  : MTH_OK;
}

static int begins_as_archive(const struct reader *r, uint64_t offset, uint64_t n_bytes, bool *is_archive)
{
    uint8_t signature[4];
    *is_archive = false;
    if (n_bytes < sizeof signature)
        return MTH_OK;
    int status = mth_source_read(r->source, offset, signature, sizeof signature, r->err);
    *is_archive = !status && mth_load32(signature) == LOCAL_SIGNATURE;
    return status;
}

/* ---- by the metadata ---- */

enum { NUMBER_BYTES = 21, LABEL_BYTES = 256 };

/* NAME, and of a chunk also where it begins: NAME@0,16. room holds it. */
static void name_item(const struct mth_dcp *dcp, const struct mth_dcp_item *item, char *room)
{
    const char *name = dcp->text + item->name;
    size_t n = strlen(name);
    memcpy(room, name, n + 1);
    for (size_t i = 0; item->is_chunk && i < item->n_dims; i++)
        n += (size_t)snprintf(room + n, NUMBER_BYTES + 1, "%c%" PRIu64, i ? ',' : '@',
                              dcp->dims[item->place + i]);
}

static int refuse_item(const struct reader *r, const char *label, int status, const char *why)
{
    return mth_error_set(r->err, status, "%s: %s", label, why);
}

static int add_item(struct reader *r, const struct mth_dcp *dcp, const struct mth_dcp_item *item,
                    uint64_t *end)
{
    char label[LABEL_BYTES];
    bool is_archive = false;
    const char *plain = dcp->text + item->name;
    snprintf(label, sizeof label, "%.120s: item '%.60s' at byte %" PRIu64, r->source->name, plain,
             item->offset);
    if (item->offset > r->source->n_bytes || item->n_bytes > r->source->n_bytes - item->offset)
        return refuse_item(r, label, MTH_ERR_TRUNCATED,
                           "the metadata says that it ends behind the file; is the file whole?");
    if (item->n_bytes == 0)
        return MTH_OK;
    if (item->offset < *end)
        return refuse_item(r, label, MTH_ERR_FORMAT,
                           "the metadata says that it begins inside the one before it");
    int status = add_opaque(r, *end, item->offset);
    *end = item->offset + item->n_bytes;
    if (!status && !item->is_transformed)
        status = begins_as_archive(r, item->offset, item->n_bytes, &is_archive);
    if (!status && item->is_tensor && !is_archive && !item->is_transformed)
        return refuse_item(r, label, MTH_ERR_FORMAT, "there is no archive of torch.save");
    if (status || !is_archive)
        return status ? status : add_opaque(r, item->offset, *end);
    char *name = mth_memory_alloc(r->map->memory, strlen(plain) + (size_t)NUMBER_BYTES * item->n_dims + 1);
    if (!name)
        return refuse_item(r, label, MTH_ERR_NO_MEMORY, "no memory");
    name_item(dcp, item, name);
    size_t n_before = r->map->n_tensors;
    status = add_archive(r, item->offset, item->n_bytes, name, label);
    mth_memory_free(r->map->memory, name);
    /* What a chunk is for, its name without the place tells. */
    for (size_t i = n_before; !status && item->is_chunk && i < r->map->n_tensors; i++) {
        struct mth_tensor *tensor = &r->map->tensors[i];
        tensor->role = (uint8_t)mth_role_of(plain, (enum mth_dtype)tensor->dtype);
    }
    return status;
}

static int map_items(struct reader *r, const struct mth_dcp *dcp, const struct mth_dcp_file *file)
{
    uint64_t end = 0;
    int status = MTH_OK;
    for (uint32_t i = 0; i < file->n_items && !status; i++)
        status = add_item(r, dcp, &dcp->items[file->first_item + i], &end);
    return status ? status : add_opaque(r, end, r->source->n_bytes);
}

/* ---- from the end backwards ---- */

/* Where the archive begins that ends at a byte; false when none does. */
static int find_archive(const struct reader *r, uint64_t end, uint64_t *begin, bool *found)
{
    uint8_t tail[END64_BYTES + LOCATOR_BYTES + END_BYTES] = {0};
    size_t n_tail = end < sizeof tail ? (size_t)end : sizeof tail;
    uint8_t *last = tail + sizeof tail - END_BYTES, *locator = last - LOCATOR_BYTES;
    *found = false;
    int status = mth_source_read(r->source, end - n_tail, tail + sizeof tail - n_tail, n_tail, r->err);
    if (status || n_tail < END_BYTES || mth_load32(last) != END_SIGNATURE || mth_load16(last + 20) != 0)
        return status;
    uint64_t central_bytes = mth_load32(last + 12), central_offset = mth_load32(last + 16);
    uint64_t record = end - END_BYTES, n_before;
    if (n_tail == sizeof tail && mth_load32(locator) == LOCATOR_SIGNATURE &&
        mth_load32(tail) == END64_SIGNATURE) {
        central_bytes = mth_load64(tail + 40);
        central_offset = mth_load64(tail + 48);
        record = end - sizeof tail;
    }
    /* Offsets count from the archive's first byte. */
    if (!mth_u64_add(central_bytes, central_offset, &n_before) || n_before > record ||
        n_before < MEMBER_MIN_BYTES)
        return MTH_OK;
    *begin = record - n_before;
    return begins_as_archive(r, *begin, n_before, found);
}

/* Where the archives begin, from the last to the first. */
struct begins {
    uint64_t *items;
    size_t n, capacity;
};

static int find_archives(const struct reader *r, struct begins *begins)
{
    uint64_t end = r->source->n_bytes;
    for (;;) {
        uint64_t begin = 0;
        bool found = false;
        int status = end ? find_archive(r, end, &begin, &found) : MTH_OK;
        if (status || !found)
            return status;
        if (begins->n == begins->capacity) {
            size_t capacity = begins->capacity + begins->capacity / 2 + 64;
            uint64_t *grown = mth_memory_realloc(r->map->memory, begins->items, capacity * sizeof *grown);
            if (!grown)
                return mth_error_set(r->err, MTH_ERR_NO_MEMORY, "%s: no memory to list its archives",
                                     r->source->name);
            begins->items = grown;
            begins->capacity = capacity;
        }
        begins->items[begins->n++] = begin;
        end = begin;
    }
}

static int map_archives(struct reader *r)
{
    struct begins begins = {0};
    char name[NUMBER_BYTES], label[LABEL_BYTES];
    int status = find_archives(r, &begins);
    if (!status && begins.n == 0)
        status = mth_error_set(r->err, MTH_ERR_FORMAT,
                               "%s: no archive of torch.save ends where the file ends; is the file whole?",
                               r->source->name);
    /* What lies before the first archive is not known. */
    if (!status)
        status = add_opaque(r, 0, begins.items[begins.n - 1]);
    for (size_t i = 0; i < begins.n && !status; i++) {
        size_t back = begins.n - 1 - i;
        uint64_t end = back ? begins.items[back - 1] : r->source->n_bytes;
        snprintf(name, sizeof name, "%zu", i);
        snprintf(label, sizeof label, "%.120s: archive %zu at byte %" PRIu64, r->source->name, i,
                 begins.items[back]);
        status = add_archive(r, begins.items[back], end - begins.items[back], name, label);
    }
    mth_memory_free(r->map->memory, begins.items);
    return status;
}

static int map_dcp(const struct mth_source *source, const struct mth_format_options *options,
                   struct mth_region_map *map, struct mth_error *err)
{
    const struct mth_dcp *dcp = options->dcp;
    const char *slash = strrchr(source->name, '/');
    const char *name = options->name ? options->name : slash ? slash + 1 : source->name;
    const struct mth_dcp_file *file = dcp ? mth_dcp_find(dcp, name) : NULL;
    struct reader r = {.source = source, .map = map, .err = err};
    r.map_bytes_max = MAP_FREE_BYTES + source->n_bytes + (dcp ? dcp->n_metadata_bytes : 0);
    r.budget =
        (struct mth_torch_budget){r.map_bytes_max, PATH_FREE_BYTES + source->n_bytes / PATH_BYTES_PART};
    int status = file ? map_items(&r, dcp, file) : map_archives(&r);
    if (status)
        return status;
    status = mth_name_index_make_unique(map);
    if (!status)
        status = mth_params_match_names(map);
    return status ? mth_error_set(err, status, "%s: %s", source->name, mth_status_text(status)) : MTH_OK;
}

const struct mth_format mth_format_dcp = {
    .name = "dcp",
    .summary = "torch.distributed.checkpoint (.distcp): zip archives of torch.save, one behind the other",
    .probe = probe,
    .map = map_dcp,
};
