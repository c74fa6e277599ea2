/* Laws of what torch files need of a region map: strided views, derived bytes, names that are there once, parameters. */
#include "formats/name_index.h"
#include "formats/region_match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A map of 64 opaque bytes and 48 of F32. */
static void map_begin(struct mth_region_map *map)
{
    struct mth_memory *memory = mth_memory_create(0);
    assert_non_null(memory);
    mth_region_map_init(map, memory, "test", 112);
    assert_int_equal(mth_region_map_add_region(map, 0, 64, MTH_DTYPE_OPAQUE, NULL), MTH_OK);
    assert_int_equal(mth_region_map_add_region(map, 64, 48, MTH_DTYPE_F32, NULL), MTH_OK);
}

static void map_end(struct mth_region_map *map)
{
    struct mth_memory *memory = map->memory;
    mth_region_map_free(map);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void add(struct mth_region_map *map, const char *name, uint64_t rows, uint64_t columns,
                const uint64_t *strides, uint64_t offset_bytes)
{
    const uint64_t shape[] = {rows, columns};
    const struct mth_tensor tensor = {
        .region = 1, .offset_bytes = offset_bytes, .n_elems = rows * columns, .dtype = MTH_DTYPE_F32};
    assert_int_equal(mth_region_map_add_view(map, name, strlen(name), shape, strides, 2, &tensor), MTH_OK);
}

static void the_span_of_a_view_is_from_its_first_byte_to_its_last(void **state)
{
    (void)state;
    static const struct {
        uint64_t shape[3], strides[3], n_bytes;
    } views[] = {
        {{2, 3, 4}, {12, 4, 1}, 96}, {{4, 3, 2}, {1, 4, 12}, 96}, {{2, 1, 1}, {100, 7, 7}, 404},
        {{5, 5, 5}, {0, 0, 0}, 4},   {{2, 0, 2}, {9, 9, 9}, 0},   {{1, 1, 1}, {9, 9, 9}, 4},
        {{3, 3, 3}, {1, 1, 1}, 28},
    };
    uint64_t n_bytes;
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        assert_int_equal(mth_view_span_bytes(MTH_DTYPE_F32, views[i].shape, views[i].strides, 3, &n_bytes),
                         MTH_OK);
        assert_int_equal(n_bytes, views[i].n_bytes);
    }
    assert_int_equal(mth_view_span_bytes(MTH_DTYPE_F32, NULL, NULL, 0, &n_bytes), MTH_OK);
    assert_int_equal(n_bytes, 4);
    const uint64_t huge[] = {UINT64_MAX, 2}, ones[] = {1, 1}, wide[] = {UINT64_MAX, 1};
    assert_int_equal(mth_view_span_bytes(MTH_DTYPE_F32, huge, ones, 1, &n_bytes), MTH_ERR_OVERFLOW);
    assert_int_equal(mth_view_span_bytes(MTH_DTYPE_U8, huge, wide, 2, &n_bytes), MTH_ERR_OVERFLOW);
    assert_int_equal(mth_view_span_bytes(MTH_DTYPE_F4, ones, ones, 2, &n_bytes), MTH_ERR_FORMAT);
}

static void views_may_overlap_but_not_leave_their_region(void **state)
{
    (void)state;
    const uint64_t transposed[] = {1, 4}, wide[] = {9, 1};
    struct mth_region_map map;
    map_begin(&map);
    add(&map, "all", 3, 4, NULL, 0);
    add(&map, "transposed", 4, 3, transposed, 0);
    add(&map, "apart", 2, 3, wide, 0);
    assert_int_equal(mth_region_map_check(&map), MTH_OK);
    assert_null(mth_tensor_strides(&map, &map.tensors[0]));
    assert_memory_equal(mth_tensor_strides(&map, &map.tensors[1]), transposed, sizeof transposed);
    assert_memory_equal(mth_tensor_strides(&map, &map.tensors[2]), wide, sizeof wide);
    assert_int_equal(mth_tensor_span_bytes(&map, &map.tensors[0]), 48);
    assert_int_equal(mth_tensor_span_bytes(&map, &map.tensors[1]), 48);
    assert_int_equal(mth_tensor_span_bytes(&map, &map.tensors[2]), 48);
    assert_int_equal(mth_tensor_bytes(&map.tensors[2]), 24);
    map.tensors[2].offset_bytes = 4;
    assert_int_equal(mth_region_map_check(&map), MTH_ERR_INTERNAL);
    map.tensors[2].offset_bytes = 0;
    map.tensors[2].shape = (uint32_t)map.n_dims - 2;
    assert_int_equal(mth_region_map_check(&map), MTH_ERR_INTERNAL);
    map_end(&map);
}

static void a_base_matches_only_with_the_same_strides_and_byte_order(void **state)
{
    (void)state;
    const uint64_t transposed[] = {1, 3}, other[] = {4, 1}, overlapping[] = {1, 1};
    uint64_t offsets[2];
    struct mth_region_map map, base;
    map_begin(&map);
    add(&map, "w", 3, 4, transposed, 0);
    for (int i = 0; i < 4; i++) {
        map_begin(&base);
        add(&base, "w", 3, 4, i == 0 ? NULL : i == 1 ? other : i == 2 ? transposed : overlapping, 0);
        assert_int_equal(mth_region_match(&map, &base, offsets), MTH_OK);
        assert_true(offsets[1] == (i == 2 ? 64 : MTH_NO_MATCH));
        base.regions[1].flags = MTH_REGION_BIG_ENDIAN;
        assert_int_equal(mth_region_match(&map, &base, offsets), MTH_OK);
        assert_true(offsets[1] == MTH_NO_MATCH);
        map_end(&base);
    }
    map_end(&map);
}

static void derived_bytes_lie_in_opaque_regions(void **state)
{
    (void)state;
    static const struct {
        uint64_t offset;
        uint32_t region;
        int status;
    } fields[] = {{0, 1, MTH_OK},
                  {60, 1, MTH_OK},
                  {61, 1, MTH_ERR_INTERNAL},
                  {64, 1, MTH_ERR_INTERNAL},
                  {112, 1, MTH_ERR_INTERNAL},
                  {0, 2, MTH_ERR_INTERNAL},
                  {UINT64_MAX, 1, MTH_ERR_INTERNAL}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct mth_region_map map;
        map_begin(&map);
        assert_int_equal(mth_region_map_add_derived(&map, fields[i].offset, fields[i].region), MTH_OK);
        assert_int_equal(mth_region_map_check(&map), fields[i].status);
        map_end(&map);
    }
}

static void every_byte_has_its_region(void **state)
{
    (void)state;
    struct mth_region_map map;
    map_begin(&map);
    for (uint64_t offset = 0; offset < 112; offset++)
        assert_ptr_equal(mth_region_map_region_at(&map, offset), &map.regions[offset >= 64]);
    assert_null(mth_region_map_region_at(&map, 112));
    assert_null(mth_region_map_region_at(&map, UINT64_MAX));
    map_end(&map);
}

static void names_are_made_unique_and_the_first_is_kept(void **state)
{
    (void)state;
    static const char *const before[] = {"a", "b", "a", "a#2", "a", "a#2"};
    static const char *const after[] = {"a", "b", "a#2#2", "a#2", "a#4", "a#2#5"};
    struct mth_region_map map;
    map_begin(&map);
    for (size_t i = 0; i < 6; i++)
        add(&map, before[i], 3, 4, NULL, 0);
    assert_int_equal(mth_name_index_make_unique(&map), MTH_OK);
    assert_int_equal(mth_region_map_check(&map), MTH_OK);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(mth_tensor_name(&map, &map.tensors[i]), after[i]);
    map_end(&map);
}

static void a_map_without_parameters_knows_none(void **state)
{
    (void)state;
    struct mth_region_map map;
    map_begin(&map);
    add(&map, "w", 3, 4, NULL, 0);
    add(&map, "w.exp_avg", 3, 4, NULL, 0);
    assert_null(mth_tensor_param(&map, &map.tensors[1]));
    map.params = mth_memory_calloc(map.memory, 2, sizeof *map.params);
    assert_non_null(map.params);
    map.n_params = 2;
    map.params[0] = MTH_NO_TENSOR;
    assert_null(mth_tensor_param(&map, &map.tensors[0]));
    assert_ptr_equal(mth_tensor_param(&map, &map.tensors[1]), &map.tensors[0]);
    assert_int_equal(mth_region_map_check(&map), MTH_OK);
    map.params[1] = 2;
    assert_int_equal(mth_region_map_check(&map), MTH_ERR_INTERNAL);
    map_end(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_span_of_a_view_is_from_its_first_byte_to_its_last),
        cmocka_unit_test(views_may_overlap_but_not_leave_their_region),
        cmocka_unit_test(a_base_matches_only_with_the_same_strides_and_byte_order),
        cmocka_unit_test(derived_bytes_lie_in_opaque_regions),
        cmocka_unit_test(every_byte_has_its_region),
        cmocka_unit_test(names_are_made_unique_and_the_first_is_kept),
        cmocka_unit_test(a_map_without_parameters_knows_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
