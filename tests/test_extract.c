/*
 * Laws of extraction: what `extract` writes of a file, of its container, and of a container against a base is, bit for bit,
 * what PyTorch says that the tensor is; a part of a tensor is that part of it.
 */
#include "base/checked.h"
#include "formats/tensor_read.h"
#include "harness/json.h"
#include "tests/support/crc32.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FIXTURES "tests/fixtures/torch/"

static char *directory;

static int create_directory(void **state)
{
    (void)state;
    directory = temp_dir_create();
    return 0;
}

static int destroy_directory(void **state)
{
    (void)state;
    temp_dir_destroy(directory);
    return 0;
}

#define RUN(...) program_run(directory, (const char *const[]){__VA_ARGS__, NULL})

static void assert_fine(struct program_result result)
{
    if (result.exit_code != 0 || result.err[0])
        fail_msg("exit code %d, errors '%s'", result.exit_code, result.err);
    program_result_free(&result);
}

static void assert_refused(struct program_result result, int exit_code, const char *part)
{
    if (result.exit_code != exit_code || !strstr(result.err, part) || program_lines(result.err) != 1)
        fail_msg("exit code %d (expected %d), errors '%s'", result.exit_code, exit_code, result.err);
    program_result_free(&result);
    assert_null(temp_dir_read(directory, "x.safetensors", &(size_t){0}));
}

/* ---- what was extracted ---- */

struct extracted {
    struct mth_memory *memory;
    uint8_t *bytes;
    struct mth_region_map map;
};

static void extracted_open(struct extracted *extracted, const char *name)
{
    const struct mth_format_options options = {.raw_dtype = MTH_N_DTYPES};
    struct mth_source source;
    struct mth_error err = {0};
    size_t n_bytes;
    extracted->bytes = (uint8_t *)temp_dir_read(directory, name, &n_bytes);
    assert_non_null(extracted->bytes);
    extracted->memory = mth_memory_create(0);
    mth_source_memory(name, (struct mth_bytes){extracted->bytes, n_bytes}, &source);
    if (mth_format_map(&source, &options, extracted->memory, &extracted->map, &err))
        fail_msg("%s", err.text);
}

static void extracted_close(struct extracted *extracted)
{
    mth_region_map_free(&extracted->map);
    mth_memory_destroy(extracted->memory);
    free(extracted->bytes);
}

/* Undoes what extract did to what is stored as a conjugate or a negative, or with the high byte first. */
static void undo(uint8_t *bytes, const struct mth_tensor *tensor, const struct mth_json_node *node,
                 bool is_big)
{
    size_t n_bytes = (size_t)mth_tensor_bytes(tensor),
           width = mth_dtype_lane_bytes((enum mth_dtype)tensor->dtype);
    bool conjugated = false, negated = false;
    struct mth_error err;
    mth_json_get_bool(node, "is_conjugated", MTH_JSON_OPTIONAL, &conjugated, &err);
    mth_json_get_bool(node, "is_negated", MTH_JSON_OPTIONAL, &negated, &err);
    for (size_t lane = 0; lane < n_bytes / width; lane++) {
        uint8_t *at = bytes + lane * width;
        if (negated || (conjugated && lane % 2))
            at[width - 1] ^= 0x80;
        for (size_t i = 0; is_big && i < width / 2; i++) {
            uint8_t low = at[i];
            at[i] = at[width - 1 - i];
            at[width - 1 - i] = low;
        }
    }
}

static void check_tensor(struct extracted *extracted, const struct mth_json_node *node, bool is_big)
{
    const struct mth_region_map *map = &extracted->map;
    const char *name, *dtype;
    struct mth_json_node shape;
    struct mth_error err;
    int64_t crc;
    size_t n_dims;
    assert_int_equal(mth_json_get_string(node, "name", MTH_JSON_REQUIRED, &name, &err), 0);
    assert_int_equal(mth_json_get_string(node, "dtype", MTH_JSON_REQUIRED, &dtype, &err), 0);
    assert_int_equal(mth_json_get_int(node, "crc32", MTH_JSON_REQUIRED, 0, INT64_MAX, &crc, &err), 0);
    assert_int_equal(mth_json_get_array(node, "shape", MTH_JSON_REQUIRED, &shape, &n_dims, &err), 0);
    const struct mth_tensor *tensor = mth_region_map_find(map, name);
    if (!tensor)
        fail_msg("'%s' was not extracted", name);
    assert_string_equal(mth_dtype_info((enum mth_dtype)tensor->dtype)->name, dtype);
    assert_int_equal(tensor->n_dims, n_dims);
    for (size_t i = 0; i < n_dims; i++) {
        double value;
        assert_int_equal(mth_json_item_real(&shape, i, &value, &err), 0);
        assert_int_equal(mth_tensor_shape(map, tensor)[i], value);
    }
    uint8_t *bytes = tensor->region == MTH_NO_REGION
                         ? extracted->bytes
                         : extracted->bytes + map->regions[tensor->region].offset + tensor->offset_bytes;
    undo(bytes, tensor, node, is_big);
    if (crc32_more(0, bytes, (size_t)mth_tensor_bytes(tensor)) != crc)
        fail_msg("'%s' has other content than PyTorch says", name);
}

enum { AT_ONCE = 12 };

/* Extracts all tensors of a fixture, some at once, from this file, and compares them with the list. */
static void check_all(const char *file, const char *base, const struct mth_json_node *entry)
{
    struct mth_json_node tensors, nodes[AT_ONCE];
    struct mth_error err;
    size_t n_tensors;
    bool is_big = false;
    mth_json_get_bool(entry, "big_endian", MTH_JSON_OPTIONAL, &is_big, &err);
    assert_int_equal(mth_json_get_array(entry, "tensors", MTH_JSON_REQUIRED, &tensors, &n_tensors, &err), 0);
    for (size_t begin = 0; begin < n_tensors; begin += AT_ONCE) {
        const char *argv[2 * AT_ONCE + 8] = {"extract", file, "-f", "-o", "out.safetensors"};
        size_t n = 5, end = mth_size_min(begin + AT_ONCE, n_tensors);
        for (size_t i = begin; i < end; i++) {
            argv[n++] = "-n";
            assert_int_equal(mth_json_item_object(&tensors, i, &nodes[i - begin], &err), 0);
            assert_int_equal(
                mth_json_get_string(&nodes[i - begin], "name", MTH_JSON_REQUIRED, &argv[n++], &err), 0);
        }
        if (base) {
            argv[n++] = "-b";
            argv[n++] = base;
        }
        assert_fine(program_run(directory, argv));
        struct extracted extracted;
        extracted_open(&extracted, "out.safetensors");
        assert_int_equal(extracted.map.n_tensors, end - begin);
        for (size_t i = begin; i < end; i++)
            check_tensor(&extracted, &nodes[i - begin], is_big);
        extracted_close(&extracted);
    }
}

static void copy_fixture(const char *name)
{
    char path[256];
    struct mth_buffer bytes;
    struct mth_error err;
    struct mth_memory *memory = mth_memory_create(0);
    snprintf(path, sizeof path, FIXTURES "%s", name);
    assert_int_equal(mth_file_read_all(path, memory, &bytes, &err), 0);
    temp_dir_write(directory, "file", bytes.data, bytes.n_bytes);
    /* A base that is alike but for a few bytes in the middle, where storages lie. */
    for (size_t i = bytes.n_bytes / 2; i < bytes.n_bytes / 2 + 3; i++)
        bytes.data[i] ^= 1;
    temp_dir_write(directory, "base", bytes.data, bytes.n_bytes);
    mth_memory_free(memory, bytes.data);
    mth_memory_destroy(memory);
}

static void check_list(const char *list, void (*check)(const struct mth_json_node *entry))
{
    char path[256];
    struct mth_json *json;
    struct mth_json_node files, entry;
    struct mth_error err;
    size_t n_files;
    snprintf(path, sizeof path, FIXTURES "%s", list);
    assert_int_equal(mth_json_load(path, 1 << 22, &json, &err), 0);
    struct mth_json_node root = mth_json_root(json, path);
    assert_int_equal(mth_json_get_array(&root, "files", MTH_JSON_REQUIRED, &files, &n_files, &err), 0);
    assert_true(n_files >= 20);
    for (size_t i = 0; i < n_files; i++) {
        const char *name;
        assert_int_equal(mth_json_item_object(&files, i, &entry, &err), 0);
        assert_int_equal(mth_json_get_string(&entry, "file", MTH_JSON_REQUIRED, &name, &err), 0);
        copy_fixture(name);
        check(&entry);
    }
    mth_json_free(json);
}

static void check_file_and_container(const struct mth_json_node *entry)
{
    check_all("file", NULL, entry);
    assert_fine(RUN("compress", "file", "-q", "-f"));
    check_all("file.mth", NULL, entry);
}

static void every_tensor_of_pytorch_comes_out_of_file_and_container(void **state)
{
    (void)state;
    check_list("torch1.json", check_file_and_container);
    check_list("torch2.json", check_file_and_container);
}

static size_t n_against_base;

static void check_against_base(const struct mth_json_node *entry)
{
    /* The three bytes may have hit a pickle: then there is no base to speak of. */
    struct program_result result = RUN("compress", "file", "-b", "base", "-q", "-f", "-o", "delta.mth");
    if (result.exit_code == 0) {
        check_all("delta.mth", "base", entry);
        n_against_base++;
    }
    program_result_free(&result);
}

static void every_tensor_of_pytorch_comes_out_of_a_container_with_a_base(void **state)
{
    (void)state;
    n_against_base = 0;
    check_list("torch2.json", check_against_base);
    assert_true(n_against_base >= 12);
}

static void one_row_of_a_tensor_is_what_it_holds_there(void **state)
{
    (void)state;
    struct extracted whole, part;
    copy_fixture("torch2-views.pt");
    assert_fine(RUN("compress", "file", "-q"));
    static const char *const names[] = {"base", "transposed", "every_other", "permuted", "expanded"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_fine(RUN("extract", "file", "-n", names[i], "-q", "-f", "-o", "whole"));
        assert_fine(RUN("extract", "file.mth", "-n", names[i], "-q", "-f", "-o", "part", "--rows", "1:3"));
        extracted_open(&whole, "whole");
        extracted_open(&part, "part");
        const struct mth_tensor *a = &whole.map.tensors[0], *b = &part.map.tensors[0];
        uint64_t n_rows = mth_tensor_shape(&whole.map, a)[0];
        size_t n_row = (size_t)(mth_tensor_bytes(a) / n_rows);
        assert_int_equal(mth_tensor_shape(&part.map, b)[0], 2);
        assert_int_equal(b->n_elems, a->n_elems / n_rows * 2);
        assert_memory_equal(part.bytes + part.map.regions[b->region].offset,
                            whole.bytes + whole.map.regions[a->region].offset + n_row, 2 * n_row);
        extracted_close(&whole);
        extracted_close(&part);
    }
    assert_fine(RUN("extract", "file", "-n", "base", "-q", "-f", "-o", "whole", "--rows", ":"));
    assert_fine(RUN("extract", "file", "-n", "base", "-q", "-f", "-o", "part", "--rows", "6:6"));
    assert_refused(RUN("extract", "file", "-n", "base", "-o", "x.safetensors", "--rows", "5:7"), 1, "6 rows");
    assert_refused(RUN("extract", "file", "-n", "base", "-o", "x.safetensors", "--rows", "3:2"), 1,
                   "ends before it begins");
    assert_refused(RUN("extract", "file", "-n", "base", "-o", "x.safetensors", "--rows", "3"), 1,
                   "BEGIN:END");
    assert_refused(RUN("extract", "file", "-n", "base", "-n", "row", "-o", "x.safetensors", "--rows", "1:2"),
                   1, "one tensor");
    assert_refused(RUN("extract", "file", "-n", "base", "-n", "base", "-o", "x.safetensors"), 1, "twice");
}

/* ---- reading tensors of any shape ---- */

static uint32_t random_state = 12345;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)random_state * n >> 32);
}

/* Element by element, by the definition of strides. */
static void read_slowly(const uint8_t *region, const struct mth_region_map *map,
                        const struct mth_tensor *tensor, uint64_t first, uint64_t n, size_t elem_bytes,
                        uint8_t *out)
{
    const uint64_t *shape = mth_tensor_shape(map, tensor), *strides = mth_tensor_strides(map, tensor);
    for (uint64_t i = first; i < first + n; i++) {
        uint64_t left = i, at = 0;
        for (size_t d = tensor->n_dims; strides && d-- > 0; left /= shape[d])
            at += left % shape[d] * strides[d];
        memcpy(out + (i - first) * elem_bytes,
               region + tensor->offset_bytes + (strides ? at : i) * elem_bytes, elem_bytes);
    }
}

static void any_part_of_any_view_reads_as_its_definition_says(void **state)
{
    (void)state;
    enum { N_REGION = 1 << 22, N_OUT = 1 << 16, N_VIEWS = 3000 };
    uint8_t *bytes = malloc(N_REGION + 8), *out = malloc(N_OUT), *expected = malloc(N_OUT);
    struct mth_memory *memory = mth_memory_create(0);
    for (size_t i = 0; i < N_REGION + 8; i++)
        bytes[i] = (uint8_t)random_below(256);
    for (size_t i = 0; i < N_VIEWS; i++) {
        struct mth_region_map map;
        struct mth_source source;
        struct mth_error err = {0};
        uint64_t shape[4], strides[4], span;
        struct mth_tensor tensor = {.region = 1, .dtype = MTH_DTYPE_F32, .n_elems = 1};
        size_t n_dims = random_below(5);
        for (size_t d = 0; d < n_dims; d++) {
            shape[d] = random_below(4) ? 1 + random_below(8) : 1 + random_below(40);
            strides[d] = random_below(3) == 0 ? random_below(60)
                         : random_below(60)   ? 1
                                              : random_below(200000);
            tensor.n_elems *= shape[d];
        }
        /* Often as if it were laid out row by row, from some dimension on. */
        for (size_t d = n_dims; d-- > 0 && random_below(5);)
            strides[d] = d + 1 == n_dims ? 1 : shape[d + 1] * strides[d + 1];
        if (mth_view_span_bytes(MTH_DTYPE_F32, shape, strides, n_dims, &span) || span > N_REGION ||
            tensor.n_elems > N_OUT / 4)
            continue;
        tensor.offset_bytes = (N_REGION - span) / 4 * 4;
        mth_region_map_init(&map, memory, "test", N_REGION + 8);
        assert_int_equal(mth_region_map_add_region(&map, 0, 8, MTH_DTYPE_OPAQUE, NULL), 0);
        assert_int_equal(mth_region_map_add_region(&map, 8, N_REGION, MTH_DTYPE_F32, NULL), 0);
        assert_int_equal(mth_region_map_add_view(&map, "v", 1, shape, strides, n_dims, &tensor), 0);
        assert_int_equal(mth_region_map_check(&map), 0);
        mth_source_memory("test", (struct mth_bytes){bytes, N_REGION + 8}, &source);
        uint64_t first = random_below((uint32_t)tensor.n_elems + 1);
        uint64_t n = random_below((uint32_t)(tensor.n_elems - first) + 1);
        if (random_below(2)) {
            first = 0;
            n = tensor.n_elems;
        }
        const struct mth_tensor *added = &map.tensors[0];
        if (mth_tensor_read(&source, &map, added, first, n, out, &err))
            fail_msg("%s", err.text);
        read_slowly(bytes + 8, &map, added, first, n, 4, expected);
        assert_memory_equal(out, expected, (size_t)n * 4);
        assert_int_equal(mth_tensor_read(&source, &map, added, first, tensor.n_elems - first + 1, out, &err),
                         MTH_ERR_USAGE);
        mth_region_map_free(&map);
    }
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    free(bytes);
    free(out);
    free(expected);
}

static void packed_elements_are_read_where_bytes_end(void **state)
{
    (void)state;
    uint8_t bytes[32], out[32];
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_region_map map;
    struct mth_source source;
    struct mth_error err;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    mth_region_map_init(&map, memory, "test", 32);
    struct mth_tensor f4 = {.region = 0, .dtype = MTH_DTYPE_F4, .n_elems = 40, .offset_bytes = 12};
    struct mth_tensor f6 = {.region = 0, .dtype = MTH_DTYPE_F6_E2M3, .n_elems = 16};
    assert_int_equal(mth_region_map_add_region(&map, 0, 32, MTH_DTYPE_U8, NULL), 0);
    assert_int_equal(mth_region_map_add_tensor(&map, "f4", 2, (const uint64_t[]){40}, 1, &f4), 0);
    assert_int_equal(mth_region_map_add_tensor(&map, "f6", 2, (const uint64_t[]){16}, 1, &f6), 0);
    mth_source_memory("test", (struct mth_bytes){bytes, 32}, &source);
    assert_int_equal(mth_tensor_read(&source, &map, &map.tensors[0], 6, 10, out, &err), 0);
    assert_memory_equal(out, bytes + 15, 5);
    assert_int_equal(mth_tensor_read(&source, &map, &map.tensors[0], 5, 10, out, &err), MTH_ERR_USAGE);
    assert_int_equal(mth_tensor_read(&source, &map, &map.tensors[0], 6, 9, out, &err), MTH_ERR_USAGE);
    assert_int_equal(mth_tensor_read(&source, &map, &map.tensors[1], 4, 12, out, &err), 0);
    assert_memory_equal(out, bytes + 3, 9);
    mth_region_map_free(&map);
    mth_memory_destroy(memory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create_directory, destroy_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_tensor_of_pytorch_comes_out_of_file_and_container),
        TEST(every_tensor_of_pytorch_comes_out_of_a_container_with_a_base),
        TEST(one_row_of_a_tensor_is_what_it_holds_there),
        TEST(any_part_of_any_view_reads_as_its_definition_says),
        TEST(packed_elements_are_read_where_bytes_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
