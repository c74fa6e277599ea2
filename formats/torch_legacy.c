/*
 * torch legacy: what torch.save wrote before PyTorch 1.6, and still writes when it is told to.
 *
 * Five pickles one behind the other (a magic number, a protocol version, the sizes of the writer's types, the object, the
 * keys of the storages), then each storage in the order of the keys: its number of elements as 8 bytes, and the elements.
 * All is little-endian, on every machine. A tar archive, which came before that, is refused by name.
 */
#include "formats/region_map.h"

#include "base/checked.h"
#include "formats/name_index.h"
#include "formats/pickle.h"
#include "formats/torch_objects.h"

#include <string.h>

enum {
    PROTOCOL_VERSION = 1001,
    COUNT_BYTES = 8,
    TAR_BYTES = 512,
    TAR_MAGIC_AT = 257,
    SMALL_PICKLE_BYTES = 1 << 20,
    /* What the object's and the keys' description may take: a real one needs some 300 bytes a tensor. */
    OBJECT_PICKLE_BYTES = 48 << 20,
    KEYS_PICKLE_BYTES = 16 << 20
};

/* The magic number as LONG1 writes it: 0x1950a86a20f9469cfc6c in 10 bytes, and the end of its pickle. */
static const uint8_t magic[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

struct stream {
    const struct mth_source *source;
    struct mth_region_map *map;
    struct mth_error *err;
    uint64_t at;
    struct mth_pickle object, keys;
    struct mth_torch_storages storages;
};

static bool is_tar(const struct mth_source *source, const uint8_t *head, size_t n_head)
{
    static const char *const members[] = {"sys_info", "pickle", "storages", "tensors"};
    char found[5];
    bool is_member = false;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        size_t n = strlen(members[i]) + 1;
        is_member |= n_head >= n && memcmp(head, members[i], n) == 0;
    }
    return is_member && source->n_bytes >= TAR_BYTES &&
           mth_source_read(source, TAR_MAGIC_AT, found, sizeof found, NULL) == MTH_OK &&
           memcmp(found, "ustar", sizeof found) == 0;
}

static int probe(const struct mth_source *source, const uint8_t *head, size_t n_head)
{
    if (is_tar(source, head, n_head))
        return 1;
    /* Before the number come the protocol and, from protocol 4 on, a frame. */
    for (size_t at = 2; at <= 11 && at + sizeof magic <= n_head && head[0] == 0x80; at += 9) {
        if (memcmp(head + at, magic, sizeof magic) == 0)
            return 1;
    }
    return 0;
}

/* The next pickle of the stream, which goes on behind it. */
static int read_pickle(struct stream *s, size_t max_bytes, struct mth_pickle *pickle)
{
    uint64_t n_read = 0;
    int status = mth_pickle_read(s->source, s->at, s->source->n_bytes - s->at, max_bytes, s->map->memory,
                                 pickle, &n_read, s->err);
    s->at += n_read;
    return status;
}

/* What stands before the object. */
static int read_preamble(struct stream *s)
{
    struct mth_pickle pickle;
    for (size_t i = 0; i < 3; i++) {
        uint64_t at = s->at;
        int64_t version = 0;
        int status = read_pickle(s, SMALL_PICKLE_BYTES, &pickle);
        if (status)
            return status;
        bool is_version = mth_pickle_int(&pickle, pickle.root, &version);
        mth_pickle_free(&pickle);
        if (i == 1 && (!is_version || version != PROTOCOL_VERSION))
            return mth_error_set(
                s->err, MTH_ERR_UNSUPPORTED,
                "%s: the protocol version at byte %llu is not %d, the only one that PyTorch wrote",
                s->source->name, (unsigned long long)at, PROTOCOL_VERSION);
    }
    return MTH_OK;
}

/* One storage: where it lies, how long it is. */
static int locate_storage(struct stream *s, struct mth_torch_storage *storage)
{
    uint8_t field[COUNT_BYTES];
    uint64_t n_bytes;
    if (s->source->n_bytes - s->at < sizeof field)
        return mth_error_set(s->err, MTH_ERR_TRUNCATED, "%s: ends at byte %llu, before storage '%s'",
                             s->source->name, (unsigned long long)s->source->n_bytes, storage->key);
    int status = mth_source_read(s->source, s->at, field, sizeof field, s->err);
    if (status)
        return status;
    uint64_t n_elems = mth_load64(field);
    if (n_elems < storage->n_elems || !mth_u64_mul(n_elems, storage->type->n_bytes, &n_bytes))
        return mth_error_set(s->err, MTH_ERR_FORMAT,
                             "%s: storage '%s' at byte %llu has %llu elements, the pickle says %llu",
                             s->source->name, storage->key, (unsigned long long)s->at,
                             (unsigned long long)n_elems, (unsigned long long)storage->n_elems);
    s->at += sizeof field;
    if (n_bytes > s->source->n_bytes - s->at)
        return mth_error_set(s->err, MTH_ERR_TRUNCATED,
                             "%s: ends at byte %llu, inside storage '%s', which takes %llu", s->source->name,
                             (unsigned long long)s->source->n_bytes, storage->key,
                             (unsigned long long)n_bytes);
    storage->offset = s->at;
    storage->n_bytes = n_bytes;
    s->at += n_bytes;
    return MTH_OK;
}

static int locate_storages(struct stream *s)
{
    struct mth_pickle_cursor cursor;
    uint32_t key, item;
    int status = MTH_OK;
    if (mth_pickle_kind(&s->keys, s->keys.root) != MTH_PICKLE_LIST)
        return mth_error_set(s->err, MTH_ERR_FORMAT,
                             "%s: the pickle before byte %llu is not the list of storages", s->source->name,
                             (unsigned long long)s->at);
    mth_pickle_begin(&s->keys, s->keys.root, &cursor);
    while (!status && mth_pickle_next(&cursor, &key, &item)) {
        size_t n_key = 0;
        const char *text = mth_pickle_text(&s->keys, item, &n_key);
        struct mth_torch_storage *storage = text && n_key <= MTH_TORCH_KEY_MAX_BYTES
                                                ? mth_torch_storages_find_key(&s->storages, text, n_key)
                                                : NULL;
        if (!storage || storage->offset != 0)
            return mth_error_set(s->err, MTH_ERR_FORMAT, "%s: storage '%.80s' is listed, but %s",
                                 s->source->name, text ? text : "?",
                                 storage ? "listed before" : "nothing refers to it");
        status = locate_storage(s, storage);
    }
    return status;
}

static int map_stream(struct stream *s)
{
    int status = read_preamble(s);
    if (!status)
        status = read_pickle(s, OBJECT_PICKLE_BYTES, &s->object);
    if (!status)
        status = read_pickle(s, KEYS_PICKLE_BYTES, &s->keys);
    if (status)
        return status;
    status = mth_torch_storages_collect(&s->storages, &s->object);
    if (status)
        return mth_error_set(s->err, status, "%s: no memory to list its storages", s->source->name);
    status = locate_storages(s);
    if (!status)
        status = mth_torch_objects_add(&s->object, "", NULL, &s->storages, s->source, s->map, s->err);
    if (!status)
        status = mth_torch_storages_place(&s->storages, s->source, s->map, 0, s->err);
    if (status)
        return status;
    status = mth_name_index_make_unique(s->map);
    return status ? mth_error_set(s->err, status, "%s: %s", s->source->name, mth_status_text(status))
                  : MTH_OK;
}

static int map_torch_legacy(const struct mth_source *source, const struct mth_format_options *options,
                            struct mth_region_map *map, struct mth_error *err)
{
    (void)options;
    struct stream s = {.source = source, .map = map, .err = err};
    uint8_t first = 0;
    int status = mth_source_read(source, 0, &first, 1, err);
    if (status)
        return status;
    if (first != 0x80)
        return mth_error_set(
            err, MTH_ERR_UNSUPPORTED,
            "%s: a tar archive of a PyTorch before 0.2; load it and save it again with a later one",
            source->name);
    s.object = s.keys = (struct mth_pickle){.memory = map->memory};
    mth_torch_storages_init(&s.storages, map->memory);
    status = map_stream(&s);
    mth_torch_storages_free(&s.storages);
    mth_pickle_free(&s.object);
    mth_pickle_free(&s.keys);
    return status;
}

const struct mth_format mth_format_torch_legacy = {
    .name = "torch-legacy",
    .summary = "PyTorch before 1.6 (.pt, .pth): pickles, then the storages",
    .probe = probe,
    .map = map_torch_legacy,
};
