/*
 * Fuzz target: any bytes as a pickle, and its description as one of PyTorch.
 *
 * Whatever they are, reading ends with a description or a line, and every node of a description can be asked everything.
 * Each storage that the pickle names gets 64 bytes, one behind the other, so that its tensors become a map.
 */
#include "base/checked.h"
#include "formats/name_index.h"
#include "formats/torch_objects.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 16 << 20, STORAGE_BYTES = 64 };

static void must(int holds)
{
    if (!holds)
        abort();
}

static void ask_every_node(const struct mth_pickle *pickle)
{
    for (uint32_t ref = 0; ref < mth_pickle_n_nodes(pickle); ref++) {
        struct mth_pickle_object object;
        struct mth_pickle_cursor cursor;
        uint32_t key, value, n_items = 0;
        uint64_t number;
        double real;
        size_t n_text = 0;
        const char *text = mth_pickle_text(pickle, ref, &n_text);
        must(!text || text[n_text] == '\0');
        mth_pickle_begin(pickle, ref, &cursor);
        while (mth_pickle_next(&cursor, &key, &value)) {
            (void)mth_pickle_kind(pickle, key);
            (void)mth_pickle_kind(pickle, value);
            n_items++;
        }
        switch (mth_pickle_kind(pickle, ref)) {
        case MTH_PICKLE_STRING:
        case MTH_PICKLE_BYTES:
        case MTH_PICKLE_GLOBAL:
            must(n_items == 0);
            break;
        default:
            must(n_items == mth_pickle_length(pickle, ref));
        }
        if (mth_pickle_object(pickle, ref, &object))
            (void)(mth_pickle_kind(pickle, object.callable) + mth_pickle_kind(pickle, object.args) +
                   mth_pickle_kind(pickle, object.state));
        (void)mth_pickle_kind(pickle, mth_pickle_persistent_id(pickle, ref));
        (void)mth_pickle_kind(pickle, mth_pickle_item(pickle, ref, 1));
        (void)mth_pickle_u64(pickle, ref, &number);
        (void)mth_pickle_float(pickle, ref, &real);
    }
}

static void map_objects(const struct mth_pickle *pickle, struct mth_memory *memory)
{
    struct mth_torch_storages storages;
    struct mth_region_map map;
    struct mth_error err;
    mth_torch_storages_init(&storages, memory);
    must(mth_torch_storages_collect(&storages, pickle) == MTH_OK);
    struct mth_source source = {.name = "fuzz.pt", .n_bytes = storages.n * STORAGE_BYTES, .fd = -1};
    for (size_t i = 0; i < storages.n; i++) {
        storages.items[i].offset = i * STORAGE_BYTES;
        storages.items[i].n_bytes = STORAGE_BYTES;
    }
    mth_region_map_init(&map, memory, "fuzz", source.n_bytes);
    int status = mth_torch_objects_add(pickle, "", NULL, &storages, &source, &map, &err);
    if (!status)
        status = mth_torch_storages_place(&storages, &source, &map, 0, &err);
    if (!status)
        status = mth_name_index_make_unique(&map);
    must(status != MTH_OK || mth_region_map_check(&map) == MTH_OK);
    must(status != MTH_ERR_INTERNAL);
    mth_region_map_free(&map);
    mth_torch_storages_free(&storages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_source source;
    struct mth_pickle pickle;
    struct mth_error err = {0};
    uint64_t n_read = 0;
    must(memory != NULL);
    mth_source_memory("fuzz.pt", (struct mth_bytes){data, size}, &source);
    int status = mth_pickle_read(&source, 0, size, MAX_BYTES, memory, &pickle, &n_read, &err);
    must(n_read <= size);
    if (status == MTH_OK) {
        ask_every_node(&pickle);
        map_objects(&pickle, memory);
        mth_pickle_free(&pickle);
    } else {
        must(status != MTH_ERR_INTERNAL && err.status == status && err.text[0] != '\0');
    }
    must(mth_memory_current(memory) == 0);
    mth_memory_destroy(memory);
    return 0;
}
