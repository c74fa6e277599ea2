/* Laws of region maps, of raw files, and of matching a checkpoint with its base. */
#include "formats/name_index.h"
#include "formats/region_match.h"
#include "tests/support/map_bytes.h"
#include "tests/support/safetensors_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t shape_2_3[] = {2, 3};

/* A header of 10 bytes and two BF16 tensors of 6 elements, the second one a half of its region. */
static void make_map(struct mth_region_map *map, struct mth_memory *memory)
{
    struct mth_tensor tensor = {.n_elems = 6, .dtype = MTH_DTYPE_BF16};
    mth_region_map_init(map, memory, "test", 46);
    assert_int_equal(mth_region_map_add_region(map, 0, 10, MTH_DTYPE_OPAQUE, NULL), MTH_OK);
    assert_int_equal(mth_region_map_add_region(map, 10, 12, MTH_DTYPE_BF16, &tensor.region), MTH_OK);
    assert_int_equal(mth_region_map_add_tensor(map, "a", 1, shape_2_3, 2, &tensor), MTH_OK);
    assert_int_equal(mth_region_map_add_region(map, 22, 24, MTH_DTYPE_BF16, &tensor.region), MTH_OK);
    tensor.offset_bytes = 12;
    assert_int_equal(mth_region_map_add_tensor(map, "b.c", 3, shape_2_3, 2, &tensor), MTH_OK);
}

static void a_map_keeps_what_was_added(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_region_map map;
    make_map(&map, memory);
    assert_int_equal(mth_region_map_check(&map), MTH_OK);
    assert_int_equal(map.n_regions, 3);
    assert_int_equal(map.n_tensors, 2);
    const struct mth_tensor *tensor = mth_region_map_find(&map, "b.c");
    assert_ptr_equal(tensor, &map.tensors[1]);
    assert_int_equal(tensor->region, 2);
    assert_int_equal(tensor->offset_bytes, 12);
    assert_memory_equal(mth_tensor_shape(&map, tensor), shape_2_3, sizeof shape_2_3);
    assert_null(mth_region_map_find(&map, "b"));
    assert_null(mth_region_map_find(&map, "b.c.d"));
    mth_region_map_free(&map);
    assert_int_equal(map.n_tensors, 0);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void an_empty_region_is_not_added(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_region_map map;
    uint32_t index = 7;
    mth_region_map_init(&map, memory, "test", 0);
    assert_int_equal(mth_region_map_add_region(&map, 0, 0, MTH_DTYPE_F32, &index), MTH_OK);
    assert_int_equal(index, MTH_NO_REGION);
    assert_int_equal(map.n_regions, 0);
    assert_int_equal(mth_region_map_check(&map), MTH_OK);
    mth_region_map_free(&map);
    mth_memory_destroy(memory);
}

static void a_tensor_has_at_most_64_dimensions(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_region_map map;
    uint64_t shape[MTH_MAX_DIMS + 1];
    const struct mth_tensor tensor = {.region = MTH_NO_REGION, .dtype = MTH_DTYPE_F32};
    for (size_t i = 0; i <= MTH_MAX_DIMS; i++)
        shape[i] = i;
    mth_region_map_init(&map, memory, "test", 0);
    assert_int_equal(mth_region_map_add_tensor(&map, "t", 1, shape, MTH_MAX_DIMS + 1, &tensor),
                     MTH_ERR_LIMIT);
    assert_int_equal(map.n_tensors, 0);
    assert_int_equal(mth_region_map_add_tensor(&map, "t", 1, shape, MTH_MAX_DIMS, &tensor), MTH_OK);
    assert_int_equal(mth_region_map_check(&map), MTH_OK);
    mth_region_map_free(&map);
    mth_memory_destroy(memory);
}

static void check_finds_every_broken_promise(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_region_map map;
    make_map(&map, memory);
#define BROKEN(lvalue, type, bad)                                       \
    do {                                                                \
        type good = lvalue;                                             \
        lvalue = bad;                                                   \
        assert_int_equal(mth_region_map_check(&map), MTH_ERR_INTERNAL); \
        lvalue = good;                                                  \
        assert_int_equal(mth_region_map_check(&map), MTH_OK);           \
    } while (0)
    BROKEN(map.n_bytes, uint64_t, 47);
    BROKEN(map.n_bytes, uint64_t, 45);
    BROKEN(map.n_regions, size_t, 2);
    BROKEN(map.regions[0].offset, uint64_t, 1);
    BROKEN(map.regions[1].offset, uint64_t, 9);
    BROKEN(map.regions[1].offset, uint64_t, 11);
    BROKEN(map.regions[1].n_bytes, uint64_t, 0);
    BROKEN(map.regions[2].n_bytes, uint64_t, UINT64_MAX);
    BROKEN(map.tensors[0].region, uint32_t, 3);
    BROKEN(map.tensors[0].region, uint32_t, MTH_NO_REGION);
    BROKEN(map.tensors[0].offset_bytes, uint64_t, 1);
    BROKEN(map.tensors[1].offset_bytes, uint64_t, 13);
    BROKEN(map.tensors[1].offset_bytes, uint64_t, UINT64_MAX);
    BROKEN(map.tensors[0].n_elems, uint64_t, 5);
    BROKEN(map.tensors[0].n_dims, uint8_t, 1);
    BROKEN(map.tensors[1].n_dims, uint8_t, 3);
    BROKEN(map.tensors[0].shape, uint32_t, 5);
    BROKEN(map.tensors[0].shape, uint32_t, UINT32_MAX);
    BROKEN(map.tensors[0].name, uint32_t, 6);
    BROKEN(map.tensors[0].dtype, uint8_t, MTH_DTYPE_F32);
    BROKEN(map.tensors[0].dtype, uint8_t, MTH_N_DTYPES);
    BROKEN(map.text[5], char, 'x');
    BROKEN(map.dims[0], uint64_t, UINT64_MAX);
#undef BROKEN
    mth_region_map_free(&map);
    mth_memory_destroy(memory);
}

static void a_shape_has_bytes_or_none_that_fit(void **state)
{
    (void)state;
    static const struct {
        enum mth_dtype dtype;
        uint64_t shape[3];
        size_t n_dims;
        int status;
        uint64_t n_elems, n_bytes;
    } rows[] = {
        {MTH_DTYPE_F32, {0}, 0, MTH_OK, 1, 4},
        {MTH_DTYPE_C64, {2, 3}, 2, MTH_OK, 6, 48},
        {MTH_DTYPE_F4, {2}, 1, MTH_OK, 2, 1},
        {MTH_DTYPE_F4, {0}, 1, MTH_OK, 0, 0},
        {MTH_DTYPE_F4, {3}, 1, MTH_ERR_FORMAT, 0, 0},
        {MTH_DTYPE_F6_E2M3, {4}, 1, MTH_OK, 4, 3},
        {MTH_DTYPE_F6_E2M3, {2}, 1, MTH_ERR_FORMAT, 0, 0},
        {MTH_DTYPE_U8, {0, UINT64_MAX, UINT64_MAX}, 3, MTH_OK, 0, 0},
        {MTH_DTYPE_U8, {UINT64_MAX, 2, 0}, 3, MTH_ERR_OVERFLOW, 0, 0},
        {MTH_DTYPE_U8, {UINT64_MAX / 8}, 1, MTH_OK, UINT64_MAX / 8, UINT64_MAX / 8},
        {MTH_DTYPE_U8, {UINT64_MAX / 8 + 1}, 1, MTH_ERR_OVERFLOW, 0, 0},
        {MTH_DTYPE_F64, {UINT64_MAX / 64}, 1, MTH_OK, UINT64_MAX / 64, UINT64_MAX / 64 * 8},
        {MTH_DTYPE_F64, {UINT64_MAX / 64 + 1}, 1, MTH_ERR_OVERFLOW, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t n_elems = 99, n_bytes = 99;
        assert_int_equal(mth_shape_bytes(rows[i].dtype, rows[i].shape, rows[i].n_dims, &n_elems, &n_bytes),
                         rows[i].status);
        if (rows[i].status)
            continue;
        const struct mth_tensor tensor = {.n_elems = n_elems, .dtype = (uint8_t)rows[i].dtype};
        assert_int_equal(n_elems, rows[i].n_elems);
        assert_int_equal(n_bytes, rows[i].n_bytes);
        assert_int_equal(mth_tensor_bytes(&tensor), n_bytes);
    }
}

static void roles_come_from_names_and_dtypes(void **state)
{
    (void)state;
    assert_int_equal(mth_role_of("model.w", MTH_DTYPE_BF16), MTH_ROLE_WEIGHT);
    assert_int_equal(mth_role_of("model.w", MTH_DTYPE_F4), MTH_ROLE_WEIGHT);
    assert_int_equal(mth_role_of("model.w", MTH_DTYPE_I64), MTH_ROLE_OTHER);
    assert_int_equal(mth_role_of("exp_avg", MTH_DTYPE_F32), MTH_ROLE_ADAM_M);
    assert_int_equal(mth_role_of("state.0.exp_avg", MTH_DTYPE_F32), MTH_ROLE_ADAM_M);
    assert_int_equal(mth_role_of("state.0.exp_avg_sq", MTH_DTYPE_F32), MTH_ROLE_ADAM_V);
    assert_int_equal(mth_role_of("state.0.step", MTH_DTYPE_F32), MTH_ROLE_STEP);
    assert_int_equal(mth_role_of("my_exp_avg", MTH_DTYPE_F32), MTH_ROLE_WEIGHT);
    assert_int_equal(mth_role_of("", MTH_DTYPE_U8), MTH_ROLE_OTHER);
}

static void a_raw_file_is_whole_elements_and_an_opaque_rest(void **state)
{
    (void)state;
    static const struct {
        enum mth_dtype dtype;
        size_t group_bytes, group_elems;
    } rows[] = {{MTH_DTYPE_U8, 1, 1},      {MTH_DTYPE_BF16, 2, 1},    {MTH_DTYPE_F32, 4, 1},
                {MTH_DTYPE_C64, 8, 1},     {MTH_DTYPE_F4, 1, 2},      {MTH_DTYPE_F6_E2M3, 3, 4},
                {MTH_DTYPE_F6_E3M2, 3, 4}, {MTH_DTYPE_F8_E8M0, 1, 1}, {MTH_DTYPE_BOOL, 1, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t n = 0; n < 30; n++) {
            uint8_t bytes[30] = {0};
            struct mapped mapped;
            map_bytes_with(&mapped, "weights.bin", bytes, n, rows[i].dtype, 0);
            assert_int_equal(mapped.status, MTH_OK);
            size_t n_groups = n / rows[i].group_bytes, rest = n % rows[i].group_bytes;
            assert_int_equal(mapped.map.n_regions, (n_groups > 0) + (rest > 0));
            assert_int_equal(mapped.map.n_tensors, 1);
            assert_string_equal(mth_tensor_name(&mapped.map, mapped.map.tensors), "data");
            assert_int_equal(mapped.map.tensors->n_elems, n_groups * rows[i].group_elems);
            assert_int_equal(mapped.map.tensors->region, n_groups ? 0 : MTH_NO_REGION);
            if (rest)
                assert_int_equal(mapped.map.regions[mapped.map.n_regions - 1].dtype, MTH_DTYPE_OPAQUE);
            unmap(&mapped);
        }
    }
}

static void raw_opaque_bytes_are_no_tensor(void **state)
{
    (void)state;
    struct mapped mapped;
    map_bytes_with(&mapped, "weights.bin", "abc", 3, MTH_DTYPE_OPAQUE, 0);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mapped.map.n_tensors, 0);
    assert_int_equal(mapped.map.n_regions, 1);
    unmap(&mapped);
}

static void a_dtype_makes_any_file_raw(void **state)
{
    (void)state;
    struct mth_buffer file = safetensors_wrap("{}", 2, 0);
    struct mapped mapped;
    map_bytes_with(&mapped, "m.safetensors", file.data, file.n_bytes, MTH_DTYPE_U8, 0);
    free(file.data);
    assert_int_equal(mapped.status, MTH_OK);
    assert_string_equal(mapped.map.format, "raw");
    unmap(&mapped);
}

static void a_file_of_no_known_format_is_refused(void **state)
{
    (void)state;
    struct mapped mapped;
    map_bytes(&mapped, "weights.bin", "\x80\x02}q", 4);
    assert_int_equal(mapped.status, MTH_ERR_FORMAT);
    assert_non_null(strstr(mapped.err.text, "--dtype"));
    unmap(&mapped);
    map_bytes(&mapped, "weights.bin", NULL, 0);
    assert_int_equal(mapped.status, MTH_ERR_FORMAT);
    assert_non_null(strstr(mapped.err.text, "empty"));
    unmap(&mapped);
}

static void every_format_has_a_name_and_a_summary(void **state)
{
    (void)state;
    size_t n = 0;
    for (const struct mth_format *format; (format = mth_format_at(n)); n++) {
        assert_true(strlen(format->name) > 0 && strlen(format->summary) > 0);
        assert_non_null(format->map);
    }
    assert_true(n >= 2);
    assert_null(mth_format_at(n + 1));
}

/* A safetensors file from a text such as "a:F32:2 b:BF16:3": name, dtype, elements of 1 to 4 bytes each. */
static void map_text(struct mapped *mapped, const char *text)
{
    struct safetensors_builder builder = {0};
    char name[32], dtype[16];
    unsigned n;
    for (; sscanf(text, "%31[^:]:%15[^:]:%u", name, dtype, &n) == 3; text += strcspn(text, " ") + 1) {
        const uint64_t shape[] = {n};
        safetensors_builder_add(&builder, name, dtype, shape, 1, NULL,
                                n * mth_dtype_info(mth_dtype_find(dtype, strlen(dtype)))->bits / 8);
        if (!strchr(text, ' '))
            break;
    }
    struct mth_buffer file = safetensors_builder_finish(&builder, 0);
    map_bytes(mapped, "m.safetensors", file.data, file.n_bytes);
    free(file.data);
    assert_int_equal(mapped->status, MTH_OK);
}

/* The tensor of the base that a tensor's region is paired with; "" for none. */
static const char *match_of(const struct mapped *mapped, const struct mapped *base, const char *name)
{
    uint64_t offsets[16];
    assert_true(mapped->map.n_regions <= 16);
    assert_int_equal(mth_region_match(&mapped->map, &base->map, offsets), MTH_OK);
    assert_true(offsets[0] == MTH_NO_MATCH);
    const struct mth_tensor *tensor = mth_region_map_find(&mapped->map, name);
    for (size_t i = 0; i < base->map.n_tensors; i++) {
        const struct mth_tensor *other = &base->map.tensors[i];
        if (other->region != MTH_NO_REGION &&
            base->map.regions[other->region].offset == offsets[tensor->region])
            return mth_tensor_name(&base->map, other);
    }
    assert_true(offsets[tensor->region] == MTH_NO_MATCH);
    return "";
}

static void regions_are_paired_by_name_dtype_and_shape(void **state)
{
    (void)state;
    struct mapped map, base;
    map_text(&map, "a:F32:2 b:F32:2 c:F32:2 d:BF16:4 e:F32:0 f:F32:6");
    map_text(&base, "g:F32:2 c:F32:2 f:F32:6 d:F16:4 b:F32:3 a:F32:2 e:F32:0");
    assert_string_equal(match_of(&map, &base, "a"), "a");
    assert_string_equal(match_of(&map, &base, "c"), "c");
    assert_string_equal(match_of(&map, &base, "f"), "f");
    assert_string_equal(match_of(&map, &base, "b"), ""); /* another shape */
    assert_string_equal(match_of(&map, &base, "d"), ""); /* another dtype, the same shape */
    assert_string_equal(match_of(&base, &map, "g"), ""); /* not there */
    unmap(&map);
    unmap(&base);
}

static void shapes_of_one_size_are_not_one_shape(void **state)
{
    (void)state;
    static const struct {
        uint64_t dims[3];
        size_t n_dims;
    } shapes[] = {{{2, 3}, 2}, {{3, 2}, 2}, {{6}, 1}, {{6, 1}, 2}, {{6, 1, 1}, 3}};
    enum { N = sizeof shapes / sizeof shapes[0] };
    struct mapped mapped[N];
    for (size_t i = 0; i < N; i++) {
        struct safetensors_builder builder = {0};
        safetensors_builder_add(&builder, "t", "F32", shapes[i].dims, shapes[i].n_dims, NULL, 24);
        struct mth_buffer file = safetensors_builder_finish(&builder, 0);
        map_bytes(&mapped[i], "m.safetensors", file.data, file.n_bytes);
        free(file.data);
    }
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++)
            assert_string_equal(match_of(&mapped[i], &mapped[j], "t"), i == j ? "t" : "");
    }
    for (size_t i = 0; i < N; i++)
        unmap(&mapped[i]);
}

static void of_two_tensors_with_one_name_the_first_is_paired(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_region_map map;
    mth_region_map_init(&map, memory, "test", 24);
    for (uint64_t i = 0; i < 2; i++) {
        struct mth_tensor tensor = {.n_elems = 6, .dtype = MTH_DTYPE_BF16};
        assert_int_equal(mth_region_map_add_region(&map, i * 12, 12, MTH_DTYPE_BF16, &tensor.region), MTH_OK);
        assert_int_equal(mth_region_map_add_tensor(&map, "a", 1, shape_2_3, 2, &tensor), MTH_OK);
    }
    uint64_t offsets[2];
    assert_int_equal(mth_region_match(&map, &map, offsets), MTH_OK);
    assert_true(offsets[0] == 0 && offsets[1] == 0);

    struct mth_name_index index;
    const struct mth_tensor *duplicate;
    assert_int_equal(mth_name_index_build(&map, &index, &duplicate), MTH_OK);
    assert_ptr_equal(duplicate, &map.tensors[1]);
    assert_ptr_equal(mth_name_index_find(&index, "a"), &map.tensors[0]);
    assert_null(mth_name_index_find(&index, "b"));
    mth_name_index_free(&index);
    mth_region_map_free(&map);
    mth_memory_destroy(memory);
}

static void names_are_found_and_others_are_not(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_region_map map;
    const struct mth_tensor tensor = {.region = MTH_NO_REGION, .dtype = MTH_DTYPE_F32};
    const uint64_t none[] = {0};
    char name[8];
    mth_region_map_init(&map, memory, "test", 0);
    for (size_t n = 0; n <= 70; n++) {
        struct mth_name_index index;
        const struct mth_tensor *duplicate = &tensor;
        assert_int_equal(mth_name_index_build(&map, &index, &duplicate), MTH_OK);
        assert_null(duplicate);
        for (size_t i = 0; i <= 70; i++) {
            snprintf(name, sizeof name, "t%zu", i);
            assert_ptr_equal(mth_name_index_find(&index, name), i < n ? &map.tensors[i] : NULL);
        }
        mth_name_index_free(&index);
        snprintf(name, sizeof name, "t%zu", n);
        assert_int_equal(mth_region_map_add_tensor(&map, name, strlen(name), none, 1, &tensor), MTH_OK);
    }
    mth_region_map_free(&map);
    mth_memory_destroy(memory);
}

static void a_tensor_that_is_part_of_a_region_is_not_paired(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_region_map map;
    make_map(&map, memory);
    uint64_t offsets[3];
    assert_int_equal(mth_region_match(&map, &map, offsets), MTH_OK);
    assert_true(offsets[0] == MTH_NO_MATCH && offsets[1] == 10 && offsets[2] == MTH_NO_MATCH);
    map.tensors[1].offset_bytes = 0;
    assert_int_equal(mth_region_match(&map, &map, offsets), MTH_OK);
    assert_true(offsets[2] == MTH_NO_MATCH);

    /* Nor with one that is all of its region. */
    struct mth_region_map whole;
    struct mth_tensor tensor = {.n_elems = 6, .dtype = MTH_DTYPE_BF16};
    mth_region_map_init(&whole, memory, "test", 12);
    assert_int_equal(mth_region_map_add_region(&whole, 0, 12, MTH_DTYPE_BF16, &tensor.region), MTH_OK);
    assert_int_equal(mth_region_map_add_tensor(&whole, "b.c", 3, shape_2_3, 2, &tensor), MTH_OK);
    assert_int_equal(mth_region_match(&whole, &map, offsets), MTH_OK);
    assert_true(offsets[0] == MTH_NO_MATCH);
    mth_region_map_free(&whole);
    mth_region_map_free(&map);
    mth_memory_destroy(memory);
}

static void names_that_differ_by_what_stands_before_them_all_are_paired(void **state)
{
    (void)state;
    struct mapped weights, training, mixed;
    map_text(&weights, "w:F32:2 l.w:F32:3 l.v:F32:4");
    map_text(&training, "ema.w:F32:2 model.w:F32:2 model.l.w:F32:3 model.l.v:F32:4 ema.l.w:F32:9 xw:F32:2");
    /* The one under which most tensors are there; both ways. */
    assert_string_equal(match_of(&weights, &training, "w"), "model.w");
    assert_string_equal(match_of(&weights, &training, "l.v"), "model.l.v");
    assert_string_equal(match_of(&training, &weights, "model.l.w"), "l.w");
    assert_string_equal(match_of(&training, &weights, "ema.w"), "");
    assert_string_equal(match_of(&training, &weights, "xw"), "");
    /* Where one name is the same, all are taken as they are. */
    map_text(&mixed, "w:F32:2 model.l.w:F32:3");
    assert_string_equal(match_of(&weights, &mixed, "w"), "w");
    assert_string_equal(match_of(&weights, &mixed, "l.w"), "");
    unmap(&weights);
    unmap(&training);
    unmap(&mixed);
}

static void raw_files_of_one_size_are_paired(void **state)
{
    (void)state;
    const uint8_t bytes[16] = {0};
    struct mapped map, same, longer;
    map_bytes_with(&map, "a.bin", bytes, 13, MTH_DTYPE_F32, 0);
    map_bytes_with(&same, "b.bin", bytes, 14, MTH_DTYPE_F32, 0);
    map_bytes_with(&longer, "c.bin", bytes, 16, MTH_DTYPE_F32, 0);
    uint64_t offsets[2];
    assert_int_equal(map.map.n_regions, 2);
    assert_int_equal(mth_region_match(&map.map, &same.map, offsets), MTH_OK);
    assert_true(offsets[0] == 0 && offsets[1] == MTH_NO_MATCH);
    assert_int_equal(mth_region_match(&map.map, &longer.map, offsets), MTH_OK);
    assert_true(offsets[0] == MTH_NO_MATCH);
    unmap(&map);
    unmap(&same);
    unmap(&longer);
}

static void a_hundred_thousand_tensors_are_paired(void **state)
{
    (void)state;
    struct mapped mapped[2];
    enum { N = 100000 };
    for (size_t reversed = 0; reversed < 2; reversed++) {
        struct safetensors_builder builder = {0};
        for (size_t i = 0; i < N; i++) {
            char name[32];
            const uint64_t shape[] = {1};
            snprintf(name, sizeof name, "t.%zu", reversed ? N - 1 - i : i);
            safetensors_builder_add(&builder, name, "U8", shape, 1, NULL, 1);
        }
        struct mth_buffer file = safetensors_builder_finish(&builder, 0);
        map_bytes(&mapped[reversed], "m.safetensors", file.data, file.n_bytes);
        assert_int_equal(mapped[reversed].status, MTH_OK);
        free(file.data);
    }
    uint64_t *offsets = malloc((N + 1) * sizeof *offsets);
    assert_non_null(offsets);
    assert_int_equal(mth_region_match(&mapped[0].map, &mapped[1].map, offsets), MTH_OK);
    for (size_t i = 0; i < N; i++)
        assert_true(offsets[i + 1] == mapped[1].map.n_bytes - 1 - i);
    free(offsets);
    unmap(&mapped[0]);
    unmap(&mapped[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_keeps_what_was_added),
        cmocka_unit_test(an_empty_region_is_not_added),
        cmocka_unit_test(a_tensor_has_at_most_64_dimensions),
        cmocka_unit_test(check_finds_every_broken_promise),
        cmocka_unit_test(a_shape_has_bytes_or_none_that_fit),
        cmocka_unit_test(roles_come_from_names_and_dtypes),
        cmocka_unit_test(a_raw_file_is_whole_elements_and_an_opaque_rest),
        cmocka_unit_test(raw_opaque_bytes_are_no_tensor),
        cmocka_unit_test(a_dtype_makes_any_file_raw),
        cmocka_unit_test(a_file_of_no_known_format_is_refused),
        cmocka_unit_test(every_format_has_a_name_and_a_summary),
        cmocka_unit_test(regions_are_paired_by_name_dtype_and_shape),
        cmocka_unit_test(shapes_of_one_size_are_not_one_shape),
        cmocka_unit_test(of_two_tensors_with_one_name_the_first_is_paired),
        cmocka_unit_test(names_are_found_and_others_are_not),
        cmocka_unit_test(a_tensor_that_is_part_of_a_region_is_not_paired),
        cmocka_unit_test(names_that_differ_by_what_stands_before_them_all_are_paired),
        cmocka_unit_test(raw_files_of_one_size_are_paired),
        cmocka_unit_test(a_hundred_thousand_tensors_are_paired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
