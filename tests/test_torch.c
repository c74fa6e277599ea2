/*
 * Laws of the torch readers on what PyTorch itself wrote: tests/fixtures/torch/, where make_fixtures.py also wrote down
 * what PyTorch says that each tensor is.
 */
#include "base/checked.h"
#include "formats/region_map.h"
#include "harness/json.h"
#include "tests/support/crc32.h"
#include "tests/support/map_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIXTURES "tests/fixtures/torch/"

static const char *const lists[] = {"torch1.json", "torch2.json"};

enum { N_LISTS = sizeof lists / sizeof lists[0] };

/* One fixture: its entry in the list, its bytes, and the map that we make of them. */
struct fixture {
    const char *name;
    struct mth_json_node entry;
    struct mth_memory *memory;
    struct mth_buffer bytes;
    struct mth_region_map map;
};

static void fixture_open(struct fixture *fixture, const char *name)
{
    char path[256];
    struct mth_error err;
    struct mth_source source;
    const struct mth_format_options options = {.raw_dtype = MTH_N_DTYPES};
    snprintf(path, sizeof path, FIXTURES "%s", name);
    fixture->name = name;
    fixture->memory = mth_memory_create(0);
    int status = mth_file_read_all(path, fixture->memory, &fixture->bytes, &err);
    if (!status) {
        mth_source_memory(path, (struct mth_bytes){fixture->bytes.data, fixture->bytes.n_bytes}, &source);
        status = mth_format_map(&source, &options, fixture->memory, &fixture->map, &err);
    }
    if (status)
        print_error("%s\n", err.text);
    assert_int_equal(status, MTH_OK);
}

static void fixture_close(struct fixture *fixture)
{
    mth_region_map_free(&fixture->map);
    mth_memory_free(fixture->memory, fixture->bytes.data);
    assert_int_equal(mth_memory_current(fixture->memory), 0);
    mth_memory_destroy(fixture->memory);
}

/* Does it for every fixture there is. */
static void each_fixture(void (*check)(struct fixture *))
{
    size_t n_checked = 0;
    for (size_t l = 0; l < N_LISTS; l++) {
        char path[256];
        struct mth_json *json;
        struct mth_error err;
        struct mth_json_node files;
        size_t n_files;
        snprintf(path, sizeof path, FIXTURES "%s", lists[l]);
        assert_int_equal(mth_json_load(path, 1 << 22, &json, &err), MTH_OK);
        struct mth_json_node root = mth_json_root(json, path);
        assert_int_equal(mth_json_get_array(&root, "files", MTH_JSON_REQUIRED, &files, &n_files, &err),
                         MTH_OK);
        for (size_t i = 0; i < n_files; i++) {
            struct fixture fixture;
            const char *name;
            assert_int_equal(mth_json_item_object(&files, i, &fixture.entry, &err), MTH_OK);
            assert_int_equal(mth_json_get_string(&fixture.entry, "file", MTH_JSON_REQUIRED, &name, &err),
                             MTH_OK);
            fixture_open(&fixture, name);
            check(&fixture);
            fixture_close(&fixture);
            n_checked++;
        }
        mth_json_free(json);
    }
    assert_true(n_checked >= 40);
}

/* ---- what PyTorch says ---- */

static int64_t integer(const struct mth_json_node *node, const char *key)
{
    int64_t value;
    struct mth_error err;
    assert_int_equal(mth_json_get_int(node, key, MTH_JSON_OPTIONAL, 0, INT64_MAX, &value, &err), MTH_OK);
    return value;
}

static const char *string(const struct mth_json_node *node, const char *key)
{
    const char *value;
    struct mth_error err;
    assert_int_equal(mth_json_get_string(node, key, MTH_JSON_OPTIONAL, &value, &err), MTH_OK);
    return value;
}

static bool boolean(const struct mth_json_node *node, const char *key)
{
    bool value;
    struct mth_error err;
    assert_int_equal(mth_json_get_bool(node, key, MTH_JSON_OPTIONAL, &value, &err), MTH_OK);
    return value;
}

static void numbers_equal(const struct mth_json_node *node, const char *key, const uint64_t *values,
                          size_t n_values)
{
    struct mth_json_node array;
    struct mth_error err;
    size_t n_items;
    assert_int_equal(mth_json_get_array(node, key, MTH_JSON_OPTIONAL, &array, &n_items, &err), MTH_OK);
    assert_int_equal(n_items, values ? n_values : 0);
    for (size_t i = 0; i < n_items; i++) {
        double value;
        assert_int_equal(mth_json_item_real(&array, i, &value, &err), MTH_OK);
        assert_int_equal(values[i], value);
    }
}

static const char *role_name(unsigned role)
{
    static const char *const names[] = {"other", "weight", "adam-m", "adam-v", "step"};
    return names[role];
}

/* The CRC-32 of a tensor's elements in the order of their indices. */
static uint32_t tensor_crc(const struct fixture *fixture, const struct mth_tensor *tensor)
{
    const struct mth_region_map *map = &fixture->map;
    if (tensor->region == MTH_NO_REGION)
        return 0;
    const uint8_t *begin = fixture->bytes.data + map->regions[tensor->region].offset + tensor->offset_bytes;
    const uint64_t *strides = mth_tensor_strides(map, tensor), *shape = mth_tensor_shape(map, tensor);
    if (!strides)
        return crc32_more(0, begin, (size_t)mth_tensor_bytes(tensor));
    size_t elem_bytes = mth_dtype_info((enum mth_dtype)tensor->dtype)->bits / 8;
    uint32_t crc = 0;
    for (uint64_t n = 0; n < tensor->n_elems; n++) {
        uint64_t left = n, at = 0;
        for (size_t d = tensor->n_dims; d-- > 0; left /= shape[d])
            at += left % shape[d] * strides[d];
        crc = crc32_more(crc, begin + at * elem_bytes, elem_bytes);
    }
    return crc;
}

static void check_tensor(const struct fixture *fixture, const struct mth_json_node *node,
                         const struct mth_tensor *tensor, uint32_t regions[64])
{
    const struct mth_region_map *map = &fixture->map;
    const char *param = string(node, "param");
    const struct mth_tensor *found = mth_tensor_param(map, tensor);
    assert_string_equal(mth_tensor_name(map, tensor), string(node, "name"));
    assert_string_equal(mth_dtype_info((enum mth_dtype)tensor->dtype)->name, string(node, "dtype"));
    assert_string_equal(role_name(tensor->role), string(node, "role"));
    numbers_equal(node, "shape", mth_tensor_shape(map, tensor), tensor->n_dims);
    numbers_equal(node, "strides", mth_tensor_strides(map, tensor), tensor->n_dims);
    assert_int_equal(tensor->flags & MTH_TENSOR_CONJUGATED ? 1 : 0, boolean(node, "is_conjugated"));
    assert_int_equal(tensor->flags & MTH_TENSOR_NEGATED ? 1 : 0, boolean(node, "is_negated"));
    assert_int_equal(tensor_crc(fixture, tensor), integer(node, "crc32"));
    assert_string_equal(found ? mth_tensor_name(map, found) : "none", param ? param : "none");
    int64_t storage = integer(node, "storage");
    assert_int_equal(tensor->region == MTH_NO_REGION, storage == 0);
    if (storage == 0)
        return;
    const struct mth_region *region = &map->regions[tensor->region];
    assert_int_equal(tensor->offset_bytes, integer(node, "offset_bytes"));
    assert_int_equal(region->n_bytes, integer(node, "storage_bytes"));
    /* What shares a storage there shares a region here, and nothing else does. */
    assert_in_range(storage, 1, 63);
    if (regions[storage] == MTH_NO_REGION) {
        for (size_t i = 0; i < 64; i++)
            assert_int_not_equal(regions[i], tensor->region);
        regions[storage] = tensor->region;
    }
    assert_int_equal(regions[storage], tensor->region);
}

static void check_fixture(struct fixture *fixture)
{
    struct mth_json_node tensors, node;
    struct mth_error err;
    size_t n_tensors;
    uint32_t regions[64];
    memset(regions, 0xff, sizeof regions);
    const char *format = string(&fixture->entry, "format");
    assert_string_equal(fixture->map.format, format ? format : "torch-zip");
    assert_int_equal(
        mth_json_get_array(&fixture->entry, "tensors", MTH_JSON_REQUIRED, &tensors, &n_tensors, &err),
        MTH_OK);
    if (fixture->map.n_tensors != n_tensors)
        print_error("%s\n", fixture->name);
    assert_int_equal(fixture->map.n_tensors, n_tensors);
    for (size_t i = 0; i < n_tensors; i++) {
        assert_int_equal(mth_json_item_object(&tensors, i, &node, &err), MTH_OK);
        check_tensor(fixture, &node, &fixture->map.tensors[i], regions);
    }
    bool is_big = boolean(&fixture->entry, "big_endian");
    for (size_t i = 0; i < fixture->map.n_regions; i++) {
        const struct mth_region *region = &fixture->map.regions[i];
        assert_int_equal(region->flags,
                         region->dtype != MTH_DTYPE_OPAQUE && is_big ? MTH_REGION_BIG_ENDIAN : 0);
    }
}

static void every_tensor_is_what_pytorch_says(void **state)
{
    (void)state;
    each_fixture(check_fixture);
}

/* ---- derived bytes ---- */

static size_t n_derived;

static void check_derived(struct fixture *fixture)
{
    const struct mth_region_map *map = &fixture->map;
    for (size_t i = 0; i < map->n_derived; i++) {
        const struct mth_region *region = &map->regions[map->derived[i].region];
        assert_int_equal(mth_load32(fixture->bytes.data + map->derived[i].offset),
                         crc32_more(0, fixture->bytes.data + region->offset, (size_t)region->n_bytes));
    }
    if (strcmp(map->format, "torch-zip") != 0)
        return;
    /* PyTorch writes each CRC twice. */
    size_t n_regions = 0;
    for (size_t i = 0; i < map->n_regions; i++)
        n_regions += map->regions[i].dtype != MTH_DTYPE_OPAQUE;
    assert_int_equal(map->n_derived, 2 * n_regions);
    n_derived += map->n_derived;
}

static void both_crcs_of_every_storage_are_found_and_follow_from_it(void **state)
{
    (void)state;
    n_derived = 0;
    each_fixture(check_derived);
    assert_true(n_derived > 500);
}

/* ---- damage ---- */

static void load(const char *name, struct mth_memory **memory, struct mth_buffer *bytes)
{
    char path[256];
    struct mth_error err;
    snprintf(path, sizeof path, FIXTURES "%s", name);
    *memory = mth_memory_create(0);
    assert_int_equal(mth_file_read_all(path, *memory, bytes, &err), MTH_OK);
}

static const char *const small_files[] = {"torch2-zip64.pt", "torch1-rezipped.pt", "torch2-legacy.pt",
                                          "torch1-legacy_views.pt"};

enum { N_SMALL_FILES = sizeof small_files / sizeof small_files[0] };

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_SMALL_FILES; f++) {
        struct mth_memory *memory;
        struct mth_buffer bytes;
        load(small_files[f], &memory, &bytes);
        for (size_t n = 0; n < bytes.n_bytes; n++) {
            struct mapped mapped;
            map_bytes(&mapped, "cut.pt", bytes.data, n);
            assert_int_not_equal(mapped.status, MTH_OK);
            unmap(&mapped);
        }
        mth_memory_free(memory, bytes.data);
        mth_memory_destroy(memory);
    }
}

/* map_bytes checks that whatever comes out is a sound map or one line. */
static void every_bit_flip_gives_a_map_or_a_line(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_SMALL_FILES; f++) {
        struct mth_memory *memory;
        struct mth_buffer bytes;
        size_t n_refused = 0;
        load(small_files[f], &memory, &bytes);
        for (size_t bit = 0; bit < 8 * bytes.n_bytes; bit++) {
            struct mapped mapped;
            bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            map_bytes(&mapped, "flipped.pt", bytes.data, bytes.n_bytes);
            bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            n_refused += mapped.status != MTH_OK;
            unmap(&mapped);
        }
        assert_true(n_refused > bytes.n_bytes / 2);
        mth_memory_free(memory, bytes.data);
        mth_memory_destroy(memory);
    }
}

static void a_refusal_for_lack_of_memory_holds_none(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_SMALL_FILES; f++) {
        struct mth_memory *memory;
        struct mth_buffer bytes;
        bool is_mapped = false;
        load(small_files[f], &memory, &bytes);
        for (size_t limit = 1000; !is_mapped; limit += limit / 8) {
            struct mapped mapped;
            map_bytes_with(&mapped, "poor.pt", bytes.data, bytes.n_bytes, MTH_N_DTYPES, limit);
            is_mapped = mapped.status == MTH_OK;
            assert_true(is_mapped || mapped.status == MTH_ERR_NO_MEMORY);
            assert_true(limit < 2 << 20);
            unmap(&mapped);
        }
        mth_memory_free(memory, bytes.data);
        mth_memory_destroy(memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_is_what_pytorch_says),
        cmocka_unit_test(both_crcs_of_every_storage_are_found_and_follow_from_it),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_bit_flip_gives_a_map_or_a_line),
        cmocka_unit_test(a_refusal_for_lack_of_memory_holds_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
