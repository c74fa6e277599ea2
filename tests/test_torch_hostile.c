/*
 * Laws of the torch readers on files that lie or explode. map_bytes checks of each that what comes out is a sound map or
 * one line that names the file.
 */
#include "base/checked.h"
#include "formats/torch_objects.h"
#include "tests/support/torch_files.h"
#include "tests/support/zip_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LARGE "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"

/* ---- bombs ---- */

/* Puts bytes of a pickle behind those that are there. */
static void append(char *pickle, size_t *n, const void *bytes, size_t n_bytes)
{
    memcpy(pickle + *n, bytes, n_bytes);
    *n += n_bytes;
}

#define APPEND(pickle, n, text) append(pickle, n, text, sizeof(text) - 1)

/* Lists of two references to the list before, 60 deep, with a tensor at the bottom. */
static void a_memo_bomb_is_walked_in_bounded_time(void **state)
{
    (void)state;
    char pickle[2048];
    size_t n = sizeof VECTOR - 1;
    struct mapped mapped;
    memcpy(pickle, VECTOR "q\0", n + 2);
    n += 2;
    for (unsigned i = 1; i <= 60; i++) {
        n += (size_t)sprintf(pickle + n, "0]");
        memcpy(pickle + n, (char[]){'h', (char)(i - 1), 'a', 'h', (char)(i - 1), 'a', 'q', (char)i}, 8);
        n += 8;
    }
    pickle[n++] = '.';
    torch_map_pickle(&mapped, pickle, n);
    assert_int_equal(mapped.status, MTH_OK);
    assert_in_range(mapped.map.n_tensors, 2, 2 * MTH_TORCH_MAX_VISITS);
    unmap(&mapped);
}

static void a_cycle_is_walked_once(void **state)
{
    (void)state;
    NAMES("}q\0(\x8c\4self"
          "h\0\x8c\1w" VECTOR "u",
          "w ");
    NAMES("]q\0"
          "h\0"
          "ah\0"
          "a" VECTOR "a",
          "2 ");
    NAMES("cm\nC\n)Rq\0}(\x8c\4self"
          "h\0\x8c\1w" VECTOR "ub",
          "w ");
}

static void nesting_without_end_costs_no_stack(void **state)
{
    (void)state;
    enum { N = 200000 };
    static const char tail[] = VECTOR;
    char *pickle = malloc(2 * N + sizeof tail + 1);
    assert_non_null(pickle);
    memset(pickle, ']', N);
    memcpy(pickle + N, tail, sizeof tail - 1);
    memset(pickle + N + sizeof tail - 1, 'a', N);
    pickle[2 * N + sizeof tail - 1] = '.';
    torch_names(pickle, 2 * N + sizeof tail, "");
    /* Tuples in tuples, objects in the arguments of objects, dicts in dicts. */
    static const struct {
        const char *bytes;
        size_t n_bytes;
    } wraps[] = {{"\x85", 1}, {"\x85q\0000cm\nC\nh\0R", 12}, {"q\0000}\x8c\1ah\0s", 10}};
    for (size_t w = 0; w < sizeof wraps / sizeof wraps[0]; w++) {
        size_t n = sizeof tail - 1;
        for (; n + wraps[w].n_bytes < N; n += wraps[w].n_bytes)
            memcpy(pickle + n, wraps[w].bytes, wraps[w].n_bytes);
        pickle[n++] = '.';
        torch_names(pickle, n, "");
    }
    free(pickle);
}

static void names_and_shapes_do_not_outgrow_the_pickle(void **state)
{
    (void)state;
    enum { N = 400000, NAME = 10000 };
    struct mapped mapped;
    char *pickle = malloc(N + NAME + 1024);
    assert_non_null(pickle);
    /* One tensor under one long key, many times: 4 bytes for a name of 10,000. */
    size_t n = 0;
    APPEND(pickle, &n, VECTOR "q\0000X");
    mth_store32((uint8_t *)pickle + n, NAME);
    n += 4;
    memset(pickle + n, 'k', NAME);
    n += NAME;
    APPEND(pickle, &n, "q\0010}(");
    size_t n_head = n;
    while (n < N)
        APPEND(pickle, &n, "h\1h\0");
    APPEND(pickle, &n, "u.");
    torch_map_pickle(&mapped, pickle, n);
    assert_int_equal(mapped.status, MTH_ERR_LIMIT);
    assert_non_null(strstr(mapped.err.text, "outgrows the pickle"));
    assert_true(mth_memory_peak(mapped.memory) < 64 << 20);
    unmap(&mapped);
    /* The same keys for dicts without a tensor, which costs time alone. */
    n = n_head;
    while (n < N)
        APPEND(pickle, &n, "h\1}");
    APPEND(pickle, &n, "u.");
    torch_map_pickle(&mapped, pickle, n);
    assert_int_equal(mapped.status, MTH_ERR_LIMIT);
    assert_non_null(strstr(mapped.err.text, "too often"));
    unmap(&mapped);
    free(pickle);
}

static void a_name_too_long_is_refused(void **state)
{
    (void)state;
    char pickle[MTH_TORCH_NAME_MAX_BYTES + 256];
    for (size_t n_key = MTH_TORCH_NAME_MAX_BYTES - 2; n_key <= MTH_TORCH_NAME_MAX_BYTES - 1; n_key++) {
        size_t n = 0;
        APPEND(pickle, &n, "}\x8c\1a}X");
        mth_store32((uint8_t *)pickle + n, (uint32_t)n_key);
        n += 4;
        memset(pickle + n, 'k', n_key);
        n += n_key;
        APPEND(pickle, &n, VECTOR "ss.");
        struct mapped mapped;
        torch_map_pickle(&mapped, pickle, n);
        assert_int_equal(mapped.status, n_key == MTH_TORCH_NAME_MAX_BYTES - 2 ? MTH_OK : MTH_ERR_LIMIT);
        unmap(&mapped);
    }
}

/* What a hundred thousand tensors take, in proportion: each has a storage, a name of 30 bytes and two dimensions. */
static void a_tensor_costs_a_few_hundred_bytes(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct zip_builder builder = {0};
    struct mth_buffer pickle = {0};
#define PUT(text) zip_builder_bytes(&pickle, text, sizeof(text) - 1)
    PUT("ctorch._utils\n_rebuild_tensor_v2\nq\0000");
    PUT("\x8c\7storageq\0010");
    PUT("ctorch\nFloatStorage\nq\0020");
    PUT("\x8c\3cpuq\0030");
    PUT("ccollections\nOrderedDict\nq\0040}(");
    uint32_t memo = 5;
    for (unsigned i = 0; i < N; i++) {
        char name[64], key[16], piece[256];
        int n_name = sprintf(name, "model.layers.%06u.some.weight", i), n_key = sprintf(key, "%u", i);
        uint8_t put[5] = {'r'};
        piece[0] = '\x8c';
        piece[1] = (char)n_name;
        zip_builder_bytes(&pickle, piece, 2);
        zip_builder_bytes(&pickle, name, (size_t)n_name);
        PUT("h\0((h\1h\2\x8c");
        piece[0] = (char)n_key;
        zip_builder_bytes(&pickle, piece, 1);
        zip_builder_bytes(&pickle, key, (size_t)n_key);
        PUT("h\3K\4t");
        mth_store32(put + 1, memo++);
        zip_builder_bytes(&pickle, put, 5);
        PUT("QK\0K\2K\2\x86");
        mth_store32(put + 1, memo++);
        zip_builder_bytes(&pickle, put, 5);
        PUT("K\2K\1\x86\x89h\4)RtR");
        mth_store32(put + 1, memo++);
        zip_builder_bytes(&pickle, put, 5);
    }
    PUT("u.");
#undef PUT
    zip_builder_store(&builder, "archive/data.pkl", pickle.data, pickle.n_bytes);
    for (unsigned i = 0; i < N; i++) {
        char name[32];
        float value[4] = {(float)i};
        sprintf(name, "archive/data/%u", i);
        zip_builder_store(&builder, name, value, sizeof value);
    }
    struct mth_buffer file = zip_builder_finish(&builder, NULL);
    struct mapped mapped;
    map_bytes(&mapped, "many.pt", file.data, file.n_bytes);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mapped.map.n_tensors, N);
    assert_true(mth_memory_peak(mapped.memory) < N * 640 + (1 << 20));
    assert_true(mth_memory_current(mapped.memory) < N * 224);
    unmap(&mapped);
    free(file.data);
    free(pickle.data);
}

/* ---- archives ---- */

static void archives_that_are_not_whole_are_refused(void **state)
{
    (void)state;
    static const char pickle[] = VECTOR ".";
    static const uint8_t zeros[STORAGE_BYTES];
    struct zip_builder builder = {0};
    zip_builder_store(&builder, "archive/model.json", "{}", 2);
    torch_file_refused(zip_builder_finish(&builder, NULL), MTH_ERR_FORMAT, "it has no data.pkl");
    zip_builder_store(&builder, "data.pkl", pickle, sizeof pickle);
    torch_file_refused(zip_builder_finish(&builder, NULL), MTH_ERR_FORMAT, "it has no data.pkl");
    zip_builder_store(&builder, "a/data.pkl", pickle, sizeof pickle);
    torch_file_refused(zip_builder_finish(&builder, NULL), MTH_ERR_FORMAT, "storage 'data/0' is no member");
    zip_builder_store(&builder, "a/data.pkl", pickle, sizeof pickle);
    zip_builder_store(&builder, "b/data/0", zeros, sizeof zeros);
    torch_file_refused(zip_builder_finish(&builder, NULL), MTH_ERR_FORMAT, "storage 'data/0' is no member");
    zip_builder_store(&builder, "a/data.pkl", pickle, sizeof pickle);
    zip_builder_store(&builder, "a/data/0", zeros, sizeof zeros - 1);
    torch_file_refused(zip_builder_finish(&builder, NULL), MTH_ERR_FORMAT,
                       "has 47 bytes, the pickle says 48");
    zip_builder_store(&builder, "a/data.pkl", pickle, sizeof pickle);
    zip_builder_add(&builder,
                    &(struct zip_member){.name = "a/data/0", .data = zeros, .n_bytes = 48, .method = 8});
    torch_file_refused(zip_builder_finish(&builder, NULL), MTH_ERR_UNSUPPORTED, "'data/0' is compressed");
    zip_builder_add(&builder,
                    &(struct zip_member){.name = "a/data.pkl", .data = zeros, .n_bytes = 48, .method = 8});
    torch_file_refused(zip_builder_finish(&builder, NULL), MTH_ERR_UNSUPPORTED, "data.pkl is compressed");
    zip_builder_store(&builder, "a/data.pkl", pickle, sizeof pickle);
    zip_builder_store(&builder, "a/byteorder", "middle", 6);
    torch_file_refused(zip_builder_finish(&builder, NULL), MTH_ERR_FORMAT, "neither little nor big");
    zip_builder_store(&builder, "a/data.pkl", "", 0);
    torch_file_refused(zip_builder_finish(&builder, NULL), MTH_ERR_TRUNCATED, "inside a pickle");
    /* Nothing is wrong with a storage that is larger than it says, or one that has no bytes and no member. */
    static const char empty[] = REBUILD(STORAGE("FloatStorage", "9", "K\0"), "K\0", "K\0\x85", "K\1\x85") ".";
    struct mapped mapped;
    zip_builder_store(&builder, "a/data.pkl", empty, sizeof empty);
    struct mth_buffer file = zip_builder_finish(&builder, NULL);
    map_bytes(&mapped, "made.pt", file.data, file.n_bytes);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mapped.map.n_tensors, 1);
    unmap(&mapped);
    free(file.data);
}

/* ---- legacy ---- */

#define MAGIC                 \
    "\x80\2\x8a\x0al\xfc\x9c" \
    "F\xf9 j\xa8P\x19."
#define VERSION    "\x80\2M\xe9\3."
#define SYS_INFO   "\x80\2}."
#define KEYS(keys) "\x80\2](" keys "e."
#define ONE_KEY   \
    KEYS("\x8c\1" \
         "0")
#define COUNT(n) n "\0\0\0\0\0\0\0"
#define DATA     "0123456789ab0123456789ab0123456789ab0123456789ab"

static void legacy_refused(const char *bytes, size_t n_bytes, int status, const char *words)
{
    struct mth_buffer file = {0};
    zip_builder_bytes(&file, bytes, n_bytes);
    torch_file_refused(file, status, words);
}

#define LEGACY_REFUSED(bytes, status, words) legacy_refused(bytes, sizeof(bytes) - 1, status, words)

static void legacy_streams_that_lie_are_refused(void **state)
{
    (void)state;
    struct mapped mapped;
    static const char fine[] = MAGIC VERSION SYS_INFO VECTOR "." ONE_KEY COUNT("\x0c") DATA "and more";
    map_bytes(&mapped, "fine.pt", fine, sizeof fine - 1);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mapped.map.n_regions, 3);
    assert_int_equal(mapped.map.regions[1].n_bytes, 48);
    assert_memory_equal(fine + mapped.map.regions[1].offset, DATA, 48);
    unmap(&mapped);
    LEGACY_REFUSED(MAGIC "\x80\2K\1." SYS_INFO VECTOR ".", MTH_ERR_UNSUPPORTED,
                   "protocol version at byte 15");
    LEGACY_REFUSED(MAGIC "\x80\2N." SYS_INFO VECTOR ".", MTH_ERR_UNSUPPORTED, "protocol version");
    LEGACY_REFUSED(MAGIC VERSION SYS_INFO VECTOR ".\x80\2}.", MTH_ERR_FORMAT, "is not the list of storages");
    LEGACY_REFUSED(MAGIC VERSION SYS_INFO VECTOR "." KEYS("\x8c\1"
                                                          "1"),
                   MTH_ERR_FORMAT, "'1' is listed, but nothing");
    LEGACY_REFUSED(MAGIC VERSION SYS_INFO VECTOR "." KEYS("K\1"), MTH_ERR_FORMAT,
                   "'?' is listed, but nothing");
    LEGACY_REFUSED(MAGIC VERSION SYS_INFO VECTOR "." KEYS("\x8c\1"
                                                          "0\x8c\1"
                                                          "0") COUNT("\x0c") DATA,
                   MTH_ERR_FORMAT, "listed before");
    LEGACY_REFUSED(MAGIC VERSION SYS_INFO VECTOR "." KEYS("") COUNT("\x0c") DATA, MTH_ERR_FORMAT,
                   "it ends behind its storage");
    LEGACY_REFUSED(MAGIC VERSION SYS_INFO VECTOR "." ONE_KEY COUNT("\x0b") DATA, MTH_ERR_FORMAT,
                   "has 11 elements, the pickle says 12");
    LEGACY_REFUSED(MAGIC VERSION SYS_INFO VECTOR "." ONE_KEY COUNT("\x0d") DATA, MTH_ERR_TRUNCATED,
                   "inside storage '0'");
    LEGACY_REFUSED(MAGIC VERSION SYS_INFO VECTOR "." ONE_KEY "\xff\xff\xff\xff\xff\xff\xff\xff" DATA,
                   MTH_ERR_FORMAT, "the pickle says 12");
    LEGACY_REFUSED(MAGIC VERSION SYS_INFO VECTOR "." ONE_KEY "\xff\xff\xff\xff\xff\xff\xff\x7f" DATA,
                   MTH_ERR_FORMAT, "");
    LEGACY_REFUSED(MAGIC VERSION SYS_INFO VECTOR "." ONE_KEY "\x0c\0\0", MTH_ERR_TRUNCATED,
                   "before storage '0'");
}

/* A storage that is a part of another: its own key, where it begins, how long it is. */
static void views_of_legacy_storages_are_placed(void **state)
{
    (void)state;
#define VIEW(offset)                             \
    "(\x8c\7storagectorch\nFloatStorage\n\x8c\1" \
    "0\x8c\3cpuK\x0c(\x8c\1"                     \
    "1" offset "K\4ttQ"
    static const char file[] = MAGIC VERSION SYS_INFO
        "]" REBUILD(VIEW("K\5"), "K\1", "K\3\x85", "K\1\x85") "a" VECTOR "a." ONE_KEY COUNT("\x0c") DATA;
    struct mapped mapped;
    map_bytes(&mapped, "view.pt", file, sizeof file - 1);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mapped.map.n_tensors, 2);
    assert_int_equal(mapped.map.tensors[0].region, mapped.map.tensors[1].region);
    assert_int_equal(mapped.map.tensors[0].offset_bytes, 24);
    assert_int_equal(mapped.map.tensors[1].offset_bytes, 0);
    unmap(&mapped);
    LEGACY_REFUSED(MAGIC VERSION SYS_INFO REBUILD(VIEW("K\x0a"), "K\0", "K\3\x85",
                                                  "K\1\x85") "." ONE_KEY COUNT("\x0c") DATA,
                   MTH_ERR_FORMAT, "it ends behind its storage");
    /* A view that no number of bytes can tell is no storage, so that nothing is made of it. */
    LEGACY_REFUSED(MAGIC VERSION SYS_INFO REBUILD(VIEW(LARGE), "K\0", "K\3\x85", "K\1\x85") "." KEYS("\x8c\1"
                                                                                                     "1"),
                   MTH_ERR_FORMAT, "'1' is listed, but nothing");
}

static void a_tar_of_the_first_pytorch_is_refused_by_name(void **state)
{
    (void)state;
    struct mth_buffer file = {0};
    zip_builder_bytes(&file, NULL, 1024);
    memcpy(file.data, "sys_info", 8);
    memcpy(file.data + 257, "ustar", 5);
    torch_file_refused(file, MTH_ERR_UNSUPPORTED, "a tar archive of a PyTorch before 0.2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_memo_bomb_is_walked_in_bounded_time),
        cmocka_unit_test(a_cycle_is_walked_once),
        cmocka_unit_test(nesting_without_end_costs_no_stack),
        cmocka_unit_test(names_and_shapes_do_not_outgrow_the_pickle),
        cmocka_unit_test(a_name_too_long_is_refused),
        cmocka_unit_test(a_tensor_costs_a_few_hundred_bytes),
        cmocka_unit_test(archives_that_are_not_whole_are_refused),
        cmocka_unit_test(legacy_streams_that_lie_are_refused),
        cmocka_unit_test(views_of_legacy_storages_are_placed),
        cmocka_unit_test(a_tar_of_the_first_pytorch_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
