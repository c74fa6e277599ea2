/* Storages and element types of PyTorch; see torch_storages.h. */
#include "formats/torch_storages.h"

#include "base/checked.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* torch.float4_e2m1fn_x2 is two F4 in an element of PyTorch; a view on such elements has no strides of ours, so they are
 * parts as well. Types of fewer than 8 bits that PyTorch keeps in a byte each (uint4) are bytes. */
static const struct mth_torch_type types[] = {
    {"float32", "FloatStorage", MTH_DTYPE_F32, 4, 1},
    {"bfloat16", "BFloat16Storage", MTH_DTYPE_BF16, 2, 1},
    {"float16", "HalfStorage", MTH_DTYPE_F16, 2, 1},
    {"float64", "DoubleStorage", MTH_DTYPE_F64, 8, 1},
    {"int64", "LongStorage", MTH_DTYPE_I64, 8, 1},
    {"int32", "IntStorage", MTH_DTYPE_I32, 4, 1},
    {"int16", "ShortStorage", MTH_DTYPE_I16, 2, 1},
    {"int8", "CharStorage", MTH_DTYPE_I8, 1, 1},
    {"uint8", "ByteStorage", MTH_DTYPE_U8, 1, 1},
    {"bool", "BoolStorage", MTH_DTYPE_BOOL, 1, 1},
    {"uint16", NULL, MTH_DTYPE_U16, 2, 1},
    {"uint32", NULL, MTH_DTYPE_U32, 4, 1},
    {"uint64", NULL, MTH_DTYPE_U64, 8, 1},
    {"complex64", "ComplexFloatStorage", MTH_DTYPE_C64, 8, 1},
    {"complex128", "ComplexDoubleStorage", MTH_DTYPE_F64, 16, 2},
    {"complex32", "ComplexHalfStorage", MTH_DTYPE_F16, 4, 2},
    {"float8_e4m3fn", NULL, MTH_DTYPE_F8_E4M3, 1, 1},
    {"float8_e5m2", NULL, MTH_DTYPE_F8_E5M2, 1, 1},
    {"float8_e8m0fnu", NULL, MTH_DTYPE_F8_E8M0, 1, 1},
    {"float8_e4m3fnuz", NULL, MTH_DTYPE_F8_E4M3FNUZ, 1, 1},
    {"float8_e5m2fnuz", NULL, MTH_DTYPE_F8_E5M2FNUZ, 1, 1},
    {"float4_e2m1fn_x2", NULL, MTH_DTYPE_F4, 1, 2},
    {"qint8", "QInt8Storage", MTH_DTYPE_I8, 1, 1},
    {"quint8", "QUInt8Storage", MTH_DTYPE_U8, 1, 1},
    {"qint32", "QInt32Storage", MTH_DTYPE_I32, 4, 1},
    {"quint4x2", "QUInt4x2Storage", MTH_DTYPE_U8, 1, 1},
    {"quint2x4", "QUInt2x4Storage", MTH_DTYPE_U8, 1, 1},
    {"bits16", NULL, MTH_DTYPE_U16, 2, 1},
    {"bits8", NULL, MTH_DTYPE_U8, 1, 1},
    {"bits4x2", NULL, MTH_DTYPE_U8, 1, 1},
    {"bits2x4", NULL, MTH_DTYPE_U8, 1, 1},
    {"bits1x8", NULL, MTH_DTYPE_U8, 1, 1},
    {"uint1", NULL, MTH_DTYPE_U8, 1, 1},
    {"uint2", NULL, MTH_DTYPE_U8, 1, 1},
    {"uint3", NULL, MTH_DTYPE_U8, 1, 1},
    {"uint4", NULL, MTH_DTYPE_U8, 1, 1},
    {"uint5", NULL, MTH_DTYPE_U8, 1, 1},
    {"uint6", NULL, MTH_DTYPE_U8, 1, 1},
    {"uint7", NULL, MTH_DTYPE_U8, 1, 1},
    {"int1", NULL, MTH_DTYPE_I8, 1, 1},
    {"int2", NULL, MTH_DTYPE_I8, 1, 1},
    {"int3", NULL, MTH_DTYPE_I8, 1, 1},
    {"int4", NULL, MTH_DTYPE_I8, 1, 1},
    {"int5", NULL, MTH_DTYPE_I8, 1, 1},
    {"int6", NULL, MTH_DTYPE_I8, 1, 1},
    {"int7", NULL, MTH_DTYPE_I8, 1, 1},
};

static const struct mth_torch_type bytes_type = {"uint8", "UntypedStorage", MTH_DTYPE_U8, 1, 1};

enum { N_TYPES = sizeof types / sizeof types[0] };

/* A name of torch, whichever of its modules it was in: what stands behind the last dot. */
static const char *torch_name(const struct mth_pickle *pickle, uint32_t ref)
{
    size_t n_text = 0;
    if (mth_pickle_kind(pickle, ref) != MTH_PICKLE_GLOBAL)
        return NULL;
    const char *text = mth_pickle_text(pickle, ref, &n_text);
    return text && strncmp(text, "torch.", 6) == 0 ? strrchr(text, '.') + 1 : NULL;
}

const struct mth_torch_type *mth_torch_type_of_class(const struct mth_pickle *pickle, uint32_t ref)
{
    const char *name = torch_name(pickle, ref);
    for (size_t i = 0; i < N_TYPES && name; i++) {
        if (types[i].storage && strcmp(types[i].storage, name) == 0)
            return &types[i];
    }
    /* UntypedStorage, TypedStorage, _UntypedStorage, and any class that is still to come. */
    const char *suffix = name ? strstr(name, "Storage") : NULL;
    return suffix && strcmp(suffix, "Storage") == 0 ? &bytes_type : NULL;
}

const struct mth_torch_type *mth_torch_type_of_dtype(const struct mth_pickle *pickle, uint32_t ref)
{
    const char *name = torch_name(pickle, ref);
    for (size_t i = 0; i < N_TYPES && name; i++) {
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    }
    return NULL;
}

/* ---- storages ---- */

void mth_torch_storages_init(struct mth_torch_storages *storages, struct mth_memory *memory)
{
    *storages = (struct mth_torch_storages){.memory = memory};
}

void mth_torch_storages_free(struct mth_torch_storages *storages)
{
    mth_memory_free(storages->memory, storages->items);
    mth_memory_free(storages->memory, storages->slots);
    mth_torch_storages_init(storages, storages->memory);
}

/* The parts of a persistent id of a storage; false for any other. */
struct id {
    const struct mth_torch_type *type;
    const char *key;
    size_t n_key;
    uint64_t n_elems, view_elems;
};

static bool read_id(const struct mth_pickle *pickle, uint32_t persistent, struct id *id)
{
    uint32_t tuple = mth_pickle_persistent_id(pickle, persistent);
    if (!mth_pickle_text_is(pickle, mth_pickle_item(pickle, tuple, 0), "storage"))
        return false;
    id->type = mth_torch_type_of_class(pickle, mth_pickle_item(pickle, tuple, 1));
    id->key = mth_pickle_text(pickle, mth_pickle_item(pickle, tuple, 2), &id->n_key);
    id->view_elems = 0;
    /* Before 1.6 a sixth part may tell of a view: its own key, where it begins, and its length. */
    uint32_t view = mth_pickle_item(pickle, tuple, 5);
    if (mth_pickle_kind(pickle, view) == MTH_PICKLE_TUPLE &&
        !mth_pickle_u64(pickle, mth_pickle_item(pickle, view, 1), &id->view_elems))
        return false;
    return id->type && id->key && id->n_key <= MTH_TORCH_KEY_MAX_BYTES && strlen(id->key) == id->n_key &&
           mth_pickle_u64(pickle, mth_pickle_item(pickle, tuple, 4), &id->n_elems);
}

/* The slot of a key: the one that holds it, or the free one where it belongs. At least half of them are free. */
static uint32_t *slot_of(const struct mth_torch_storages *storages, const char *key, size_t n_key)
{
    size_t mask = storages->n_slots - 1;
    size_t at = (size_t)mth_hash64(key, n_key, storages->seed) & mask;
    for (;; at = (at + 1) & mask) {
        uint32_t taken = storages->slots[at];
        if (taken == 0 || strcmp(storages->items[taken - 1].key, key) == 0)
            return &storages->slots[at];
    }
}

static int add_storage(struct mth_torch_storages *storages, const struct id *id)
{
    if (storages->n == storages->capacity) {
        size_t capacity = storages->capacity + storages->capacity / 2 + 16;
        struct mth_torch_storage *grown =
            mth_memory_realloc(storages->memory, storages->items, capacity * sizeof *grown);
        if (!grown)
            return MTH_ERR_NO_MEMORY;
        storages->items = grown;
        storages->capacity = capacity;
    }
    storages->items[storages->n++] = (struct mth_torch_storage){
        .key = id->key, .type = id->type, .n_elems = id->n_elems, .region = MTH_NO_REGION};
    return MTH_OK;
}

int mth_torch_storages_collect(struct mth_torch_storages *storages, const struct mth_pickle *pickle)
{
    size_t n_ids = 0;
    uint32_t n_nodes = mth_pickle_n_nodes(pickle);
    uint64_t seed = 0;
    struct id id;
    for (uint32_t ref = 0; ref < n_nodes; ref++) {
        if (read_id(pickle, ref, &id)) {
            n_ids++;
            /* Whoever wants keys to collide changes the seed by writing them. */
            seed = mth_hash64(id.key, id.n_key, seed);
        }
    }
    mth_memory_free(storages->memory, storages->slots);
    for (storages->n_slots = 2; storages->n_slots / 2 < n_ids;)
        storages->n_slots *= 2;
    storages->seed = seed;
    storages->first = storages->n;
    storages->slots = mth_memory_calloc(storages->memory, storages->n_slots, sizeof *storages->slots);
    if (!storages->slots)
        return MTH_ERR_NO_MEMORY;
    for (uint32_t ref = 0; ref < n_nodes; ref++) {
        if (!read_id(pickle, ref, &id))
            continue;
        uint32_t *slot = slot_of(storages, id.key, id.n_key);
        if (*slot)
            continue;
        int status = add_storage(storages, &id);
        if (status)
            return status;
        *slot = (uint32_t)storages->n;
    }
    return MTH_OK;
}

struct mth_torch_storage *mth_torch_storages_find_key(const struct mth_torch_storages *storages,
                                                      const char *key, size_t n_key)
{
    uint32_t taken = storages->slots ? *slot_of(storages, key, n_key) : 0;
    return taken ? &storages->items[taken - 1] : NULL;
}

struct mth_torch_storage *mth_torch_storages_find(const struct mth_torch_storages *storages,
                                                  const struct mth_pickle *pickle, uint32_t persistent,
                                                  uint64_t *view_bytes)
{
    struct id id;
    if (!read_id(pickle, persistent, &id) || !mth_u64_mul(id.view_elems, id.type->n_bytes, view_bytes))
        return NULL;
    return mth_torch_storages_find_key(storages, id.key, id.n_key);
}

/* ---- regions ---- */

struct place {
    uint64_t offset;
    uint32_t storage;
};

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static enum mth_dtype dtype_of(const struct mth_torch_storage *storage)
{
    if (storage->is_mixed)
        return MTH_DTYPE_U8;
    return storage->dtype != MTH_DTYPE_OPAQUE ? (enum mth_dtype)storage->dtype : storage->type->dtype;
}

static int add_regions(struct mth_torch_storages *storages, const struct place *places, size_t n_places,
                       const struct mth_source *source, struct mth_region_map *map, uint32_t flags,
                       struct mth_error *err)
{
    uint64_t end = 0;
    int status = MTH_OK;
    for (size_t i = 0; i < n_places && !status; i++) {
        struct mth_torch_storage *storage = &storages->items[places[i].storage];
        if (storage->offset < end)
            return mth_error_set(err, MTH_ERR_FORMAT,
                                 "%s: storage '%.80s' at byte %llu overlaps the one before it", source->name,
                                 storage->key, (unsigned long long)storage->offset);
        status = mth_region_map_add_region(map, end, storage->offset - end, MTH_DTYPE_OPAQUE, NULL);
        if (!status)
            status = mth_region_map_add_region(map, storage->offset, storage->n_bytes, dtype_of(storage),
                                               &storage->region);
        if (!status)
            map->regions[storage->region].flags = flags;
        end = storage->offset + storage->n_bytes;
    }
    if (!status)
        status = mth_region_map_add_region(map, end, source->n_bytes - end, MTH_DTYPE_OPAQUE, NULL);
    return status ? mth_error_set(err, status, "%s: %s", source->name, mth_status_text(status)) : MTH_OK;
}

int mth_torch_storages_place(struct mth_torch_storages *storages, const struct mth_source *source,
                             struct mth_region_map *map, uint32_t region_flags, struct mth_error *err)
{
    struct place *places = mth_memory_calloc(storages->memory, storages->n, sizeof *places);
    size_t n_places = 0;
    bool in_order = true;
    if (!places)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory to order its storages", source->name);
    for (size_t i = 0; i < storages->n; i++) {
        if (storages->items[i].n_bytes == 0)
            continue;
        places[n_places] = (struct place){storages->items[i].offset, (uint32_t)i};
        in_order &= n_places == 0 || places[n_places - 1].offset < places[n_places].offset;
        n_places++;
    }
    if (!in_order)
        qsort(places, n_places, sizeof *places, compare_places);
    int status = add_regions(storages, places, n_places, source, map, region_flags, err);
    mth_memory_free(storages->memory, places);
    for (size_t i = 0; i < map->n_tensors && !status; i++) {
        struct mth_tensor *tensor = &map->tensors[i];
        if (tensor->region != MTH_NO_REGION)
            tensor->region = storages->items[tensor->region].region;
    }
    return status;
}
