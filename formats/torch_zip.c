/*
 * torch zip: what torch.save has written since PyTorch 1.6, and TorchScript.
 *
 * A zip archive whose members share a folder: data.pkl, the pickle; data/KEY, the bytes of a storage each; perhaps
 * byteorder. TorchScript adds constants.pkl with its own storages in constants/. Storages become regions; all else, code
 * and zip headers included, is opaque.
 */
#include "formats/torch_zip.h"

#include "base/checked.h"
#include "formats/name_index.h"
#include "formats/pickle.h"
#include "formats/zip_directory.h"

#include <string.h>

enum {
    /* What a description may take: a real file needs some 300 bytes a tensor, and each tensor has a member. */
    PICKLE_FREE_BYTES = 32 << 20,
    PICKLE_BYTES_PER_MEMBER = 320,
    MEMBER_NAME_MAX_BYTES = 1024
};

/* A pickle and the folder its storages are in. */
struct part {
    const char *pickle, *folder;
    const char *prefix; /* of the names of its tensors */
    bool is_required;
};

static const struct part parts[] = {{"data.pkl", "data/", "", true},
                                    {"constants.pkl", "constants/", "constants", false}};

enum { N_PARTS = sizeof parts / sizeof parts[0] };

struct archive {
    const struct mth_source *source;
    struct mth_region_map *map;
    struct mth_error *err;
    const char *prefix; /* of all names */
    struct mth_torch_budget *budget;
    struct mth_zip_directory directory;
    const char *root; /* the folder, with its slash */
    size_t n_root;
    struct mth_pickle pickles[N_PARTS];
    struct mth_torch_storages storages;
};

static int probe(const struct mth_source *source, const uint8_t *head, size_t n_head)
{
    (void)source;
    return n_head >= 4 && memcmp(head, "PK\3\4", 4) == 0;
}

static size_t append(char *path, size_t at, const char *text, size_t n_text)
{
    memcpy(path + at, text, n_text);
    return at + n_text;
}

/* A member below the root, NULL when there is none. */
static const struct mth_zip_member *find(const struct archive *a, const char *folder, const char *name,
                                         size_t n_name)
{
    char path[MEMBER_NAME_MAX_BYTES];
    size_t n_folder = strlen(folder);
    if (a->n_root + n_folder + n_name > sizeof path)
        return NULL;
    size_t n = append(path, 0, a->root, a->n_root);
    n = append(path, n, folder, n_folder);
    n = append(path, n, name, n_name);
    return mth_zip_find(&a->directory, path, n);
}

/* The folder of the first data.pkl that is in one. PyTorch takes the first member's folder, which is the same one. */
static int find_root(struct archive *a)
{
    static const char suffix[] = "/data.pkl";
    size_t n_suffix = sizeof suffix - 1;
    for (size_t i = 0; i < a->directory.n_members; i++) {
        const struct mth_zip_member *member = &a->directory.members[i];
        const char *name = mth_zip_name(&a->directory, member);
        if (member->n_name < n_suffix || memcmp(name + member->n_name - n_suffix, suffix, n_suffix) != 0)
            continue;
        a->root = name;
        a->n_root = member->n_name - n_suffix + 1;
        return MTH_OK;
    }
    return mth_error_set(a->err, MTH_ERR_FORMAT,
                         "%s: a zip archive, but not one of PyTorch: it has no data.pkl", a->source->name);
}

static int read_byteorder(const struct archive *a, uint32_t *region_flags)
{
    const struct mth_zip_member *member = find(a, "", "byteorder", 9);
    char order[6];
    *region_flags = 0;
    if (!member)
        return MTH_OK;
    size_t n_order = member->n_bytes < sizeof order ? (size_t)member->n_bytes : sizeof order;
    int status = mth_source_read(a->source, member->data_offset, order, n_order, a->err);
    if (status)
        return status;
    bool is_big = member->is_stored && member->n_bytes == 3 && memcmp(order, "big", 3) == 0;
    if (!is_big && !(member->is_stored && member->n_bytes == 6 && memcmp(order, "little", 6) == 0))
        return mth_error_set(a->err, MTH_ERR_FORMAT,
                             "%s: its byteorder is neither little nor big (byte %llu)", a->source->name,
                             (unsigned long long)member->data_offset);
    if (is_big)
        *region_flags = MTH_REGION_BIG_ENDIAN;
    return MTH_OK;
}

/* Find the members that the storages of a part are. */
static int locate(struct archive *a, const struct part *part)
{
    for (size_t i = a->storages.first; i < a->storages.n; i++) {
        struct mth_torch_storage *storage = &a->storages.items[i];
        const struct mth_zip_member *member = find(a, part->folder, storage->key, strlen(storage->key));
        uint64_t n_bytes;
        if (!mth_u64_mul(storage->n_elems, storage->type->n_bytes, &n_bytes))
            return mth_error_set(a->err, MTH_ERR_FORMAT, "%s: storage '%s%s': its size passes 64 bits",
                                 a->source->name, part->folder, storage->key);
        /* Nothing is kept of a storage without bytes; then there need be no member. */
        if (!member && n_bytes == 0)
            continue;
        if (!member)
            return mth_error_set(a->err, MTH_ERR_FORMAT, "%s: storage '%s%s' is no member of the zip archive",
                                 a->source->name, part->folder, storage->key);
        if (!member->is_stored)
            return mth_error_set(
                a->err, MTH_ERR_UNSUPPORTED,
                "%s: storage '%s%s' is compressed or encrypted by zip; torch.save does neither",
                a->source->name, part->folder, storage->key);
        if (member->n_bytes < n_bytes)
            return mth_error_set(a->err, MTH_ERR_FORMAT,
                                 "%s: storage '%s%s' at byte %llu has %llu bytes, the pickle says %llu",
                                 a->source->name, part->folder, storage->key,
                                 (unsigned long long)member->data_offset, (unsigned long long)member->n_bytes,
                                 (unsigned long long)n_bytes);
        storage->offset = member->data_offset;
        storage->n_bytes = member->n_bytes;
    }
    return MTH_OK;
}

/* The tensors of a part, below the prefix of the archive and that of the part. */
static int add_objects(struct archive *a, const struct part *part, const struct mth_pickle *pickle)
{
    size_t n_prefix = strlen(a->prefix), n_part = strlen(part->prefix);
    char *prefix = mth_memory_alloc(a->map->memory, n_prefix + n_part + 2);
    if (!prefix)
        return mth_error_set(a->err, MTH_ERR_NO_MEMORY, "%s: no memory to list its tensors", a->source->name);
    size_t n = append(prefix, 0, a->prefix, n_prefix);
    if (n_prefix && n_part)
        n = append(prefix, n, ".", 1);
    n = append(prefix, n, part->prefix, n_part);
    prefix[n] = '\0';
    int status = mth_torch_objects_add(pickle, prefix, a->budget, &a->storages, a->source, a->map, a->err);
    mth_memory_free(a->map->memory, prefix);
    return status;
}

static int read_part(struct archive *a, const struct part *part, struct mth_pickle *pickle)
{
    const struct mth_zip_member *member = find(a, "", part->pickle, strlen(part->pickle));
    if (!member && !part->is_required)
        return MTH_OK;
    if (!member->is_stored)
        return mth_error_set(a->err, MTH_ERR_UNSUPPORTED,
                             "%s: %s is compressed or encrypted by zip; torch.save does neither",
                             a->source->name, part->pickle);
    size_t max_bytes = PICKLE_FREE_BYTES + a->directory.n_members * PICKLE_BYTES_PER_MEMBER;
    int status = mth_pickle_read(a->source, member->data_offset, member->n_bytes, max_bytes, a->map->memory,
                                 pickle, NULL, a->err);
    if (status)
        return status;
    status = mth_torch_storages_collect(&a->storages, pickle);
    if (status)
        return mth_error_set(a->err, status, "%s: no memory to list its storages", a->source->name);
    status = locate(a, part);
    if (!status)
        status = add_objects(a, part, pickle);
    return status;
}

/* The CRC-32 of each storage that is a region follows from it. */
static int add_derived(struct archive *a)
{
    const struct mth_region_map *map = a->map;
    int status = MTH_OK;
    for (size_t i = 0; i < a->directory.n_members && !status; i++) {
        const struct mth_zip_member *member = &a->directory.members[i];
        const struct mth_region *region = mth_region_map_region_at(map, member->data_offset);
        if (!region || region->offset != member->data_offset || region->n_bytes != member->n_bytes ||
            region->dtype == MTH_DTYPE_OPAQUE)
            continue;
        uint32_t index = (uint32_t)(region - map->regions);
        status = mth_region_map_add_derived(a->map, member->central_crc_offset, index);
        if (!status && member->local_crc_offset != MTH_ZIP_NO_OFFSET)
            status = mth_region_map_add_derived(a->map, member->local_crc_offset, index);
    }
    return status;
}

static int map_archive(struct archive *a)
{
    uint32_t region_flags;
    int status = find_root(a);
    if (!status)
        status = read_byteorder(a, &region_flags);
    for (size_t i = 0; i < N_PARTS && !status; i++)
        status = read_part(a, &parts[i], &a->pickles[i]);
    if (!status)
        status = mth_torch_storages_place(&a->storages, a->source, a->map, region_flags, a->err);
    if (status)
        return status;
    status = add_derived(a);
    if (!status)
        status = mth_name_index_make_unique(a->map);
    return status ? mth_error_set(a->err, status, "%s: %s", a->source->name, mth_status_text(status))
                  : MTH_OK;
}

int mth_torch_zip_map(const struct mth_source *source, const char *prefix, struct mth_torch_budget *budget,
                      struct mth_region_map *map, struct mth_error *err)
{
    struct archive a = {.source = source, .map = map, .err = err, .prefix = prefix, .budget = budget};
    int status = mth_zip_directory_read(source, map->memory, &a.directory, err);
    if (status)
        return status;
    mth_torch_storages_init(&a.storages, map->memory);
    for (size_t i = 0; i < N_PARTS; i++)
        a.pickles[i] = (struct mth_pickle){.memory = map->memory};
    status = map_archive(&a);
    mth_torch_storages_free(&a.storages);
    for (size_t i = 0; i < N_PARTS; i++)
        mth_pickle_free(&a.pickles[i]);
    mth_zip_directory_free(&a.directory);
    return status;
}

static int map_torch_zip(const struct mth_source *source, const struct mth_format_options *options,
                         struct mth_region_map *map, struct mth_error *err)
{
    (void)options;
    return mth_torch_zip_map(source, "", NULL, map, err);
}

const struct mth_format mth_format_torch_zip = {
    .name = "torch-zip",
    .summary =
        "PyTorch 1.6 and later (.pt, .pth, .bin, .ckpt), TorchScript: a zip archive of a pickle and storages",
    .probe = probe,
    .map = map_torch_zip,
};
