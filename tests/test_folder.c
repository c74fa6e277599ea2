/* Laws of folders that are one file: what is in the list comes back, what lies is refused, tensors are found in every file. */
#include "base/checked.h"
#include "formats/folder.h"
#include "formats/region_map.h"
#include "tests/support/safetensors_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mth_memory *memory;

static int begin(void **state)
{
    (void)state;
    memory = mth_memory_create(0);
    return memory ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    return 0;
}

struct part {
    const char *name;
    struct mth_bytes bytes;
};

/* A folder of some files, in the order of their names; to be freed. */
static struct mth_buffer make_folder(const struct part *parts, size_t n_parts)
{
    struct mth_folder folder;
    struct mth_buffer head, out = {0};
    mth_folder_init(&folder, memory);
    for (size_t i = 0; i < n_parts; i++)
        assert_int_equal(mth_folder_add(&folder, parts[i].name, parts[i].bytes.n_bytes), 0);
    assert_int_equal(mth_folder_write_head(&folder, &head), 0);
    out = (struct mth_buffer){.data = calloc(1, (size_t)folder.n_bytes), .n_bytes = (size_t)folder.n_bytes};
    memcpy(out.data, head.data, head.n_bytes);
    for (size_t i = 0; i < n_parts; i++) {
        struct mth_folder_attributes attributes = {0600 + (uint32_t)i, 7, -3 - (int64_t)i};
        if (parts[i].bytes.n_bytes)
            memcpy(out.data + folder.entries[i].begin, parts[i].bytes.data, parts[i].bytes.n_bytes);
        mth_folder_put_attributes(&attributes, out.data + folder.n_content + i * MTH_FOLDER_ATTRIBUTE_BYTES);
    }
    mth_memory_free(memory, head.data);
    mth_folder_free(&folder);
    return out;
}

static int read_bytes(const void *data, size_t n_bytes, struct mth_folder *folder, struct mth_source *source)
{
    struct mth_error err = {0};
    mth_source_memory("f", (struct mth_bytes){data, n_bytes}, source);
    int status = mth_folder_read(source, memory, folder, &err);
    assert_true(!status || err.text[0] != '\0');
    return status;
}

static const struct part some[] = {{" a % name\n\xff", {(const uint8_t *)"one", 3}},
                                   {"empty", {NULL, 0}},
                                   {"sub/", {NULL, 0}},
                                   {"sub/.metadata", {(const uint8_t *)"two2", 4}}};
enum { N_SOME = sizeof some / sizeof some[0] };

static void a_list_comes_back(void **state)
{
    (void)state;
    struct mth_buffer bytes = make_folder(some, N_SOME);
    struct mth_folder folder;
    struct mth_source source;
    /* Its bytes are what documents say, and stay so. */
    static const char head[] = "mithril-folder 1 79 4\n3 %20a%20%25%20name%0a%ff\n0 empty\n0 sub/\n4 "
                               "sub/.metadata\n";
    assert_true(bytes.n_bytes > sizeof head - 1);
    assert_memory_equal(bytes.data, head, sizeof head - 1);
    assert_int_equal(read_bytes(bytes.data, bytes.n_bytes, &folder, &source), 0);
    assert_int_equal(folder.n_entries, N_SOME);
    for (size_t i = 0; i < N_SOME; i++) {
        struct mth_folder_attributes attributes;
        struct mth_error err;
        assert_string_equal(mth_folder_name(&folder, i), some[i].name);
        assert_int_equal(folder.entries[i].n_bytes, some[i].bytes.n_bytes);
        if (some[i].bytes.n_bytes)
            assert_memory_equal(bytes.data + folder.entries[i].begin, some[i].bytes.data,
                                some[i].bytes.n_bytes);
        assert_int_equal(mth_folder_is_directory(&folder, i), i == 2);
        assert_int_equal(mth_folder_get_attributes(&source, &folder, i, &attributes, &err), 0);
        assert_int_equal(attributes.mode, 0600 + i);
        assert_int_equal(attributes.mtime_ns, 7);
        assert_int_equal(attributes.mtime_s, -3 - (int64_t)i);
    }
    mth_folder_free(&folder);
    free(bytes.data);
}

/* The text of a list with the numbers of its first line filled in, in front of n_behind bytes. */
static int read_lines(const char *lines, size_t n_lines, size_t n_entries, size_t n_behind)
{
    static char text[1 << 17];
    struct mth_folder folder;
    struct mth_source source;
    int n = 0;
    for (int before = -1; before != n;) {
        before = n;
        n = snprintf(text, sizeof text, "mithril-folder 1 %zu %zu\n", (size_t)n + n_lines, n_entries);
    }
    memcpy(text + n, lines, n_lines);
    int status = read_bytes(text, (size_t)n + n_lines + n_behind, &folder, &source);
    if (!status)
        mth_folder_free(&folder);
    return status;
}

static void a_list_that_lies_is_refused(void **state)
{
    (void)state;
    char longest[300] = "0 ";
    assert_int_equal(read_lines("0 a\n0 b\n", 8, 2, 32), 0);
    static const struct {
        const char *lines;
        size_t n_entries, n_behind;
    } lies[] = {
        {"0 ../a\n", 1, 16},
        {"0 a/\n0 a/../b\n", 2, 32},
        {"0 a/\n0 a/../\n0 a/../b\n", 3, 48},
        {"0 /a\n", 1, 16},
        {"0 /\n0 /a\n", 2, 32},
        {"0 a/\n0 a//b\n", 2, 32},
        {"0 a/\n0 a//\n0 a//b\n", 3, 48},
        {"0 .\n", 1, 16},
        {"0 a/\n0 a/.\n", 2, 32},
        {"0 ..\n", 1, 16},
        {"0 ../\n", 1, 16},
        {"0 /\n", 1, 16},
        {"0 \n", 1, 16},
        {"0 a\n0 a\n", 2, 32},
        {"0 b\n0 a\n", 2, 32},
        {"1 a/\n", 1, 17},
        {"0 %61\n", 1, 16},
        {"0 a b\n", 1, 16},
        {"0 %0\n", 1, 16},
        {"0 %2\n", 1, 16},
        {"0 a%00b\n", 1, 16},
        {"0 %2F\n", 1, 16},
        {"01 a\n", 1, 17},
        {"-1 a\n", 1, 16},
        {"1 a\n", 1, 16},
        {"0 a\n", 1, 17},
        {"0 a\n", 2, 32},
        {"0 a\n0 b\n", 1, 16},
        {"0 a", 1, 16},
        {" 0 a\n", 1, 16},
        {"0 %2e%2e/\n0 %2e%2e/a\n", 2, 32},
        /* Directories that are not there, or come later, or are files, among names that look like them. */
        {"0 a/b\n", 1, 16},
        {"0 a\n0 a/b\n", 2, 32},
        {"0 a\n0 a/\n", 2, 32},
        {"0 a\n0 a-\n0 a/\n0 a/b\n", 4, 64},
        {"0 aa/\n0 aa/b\n0 ab/\n0 b/\n0 ba/a\n", 5, 80},
        {"0 a/\n0 a/b/c\n", 2, 32},
        {"0 a/\n0 a/b/c/\n", 2, 32},
        {"0 a/\n0 a/b\n0 a/b/c\n", 3, 48},
        {"72057594037927937 a\n", 1, 16},
        {"18446744073709551615 a\n2 b\n", 2, 33},
        {"18446744073709551616 a\n", 1, 16},
        {"72057594037927936 a\n72057594037927936 b\n", 2, 32},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++)
        if (read_lines(lies[i].lines, strlen(lies[i].lines), lies[i].n_entries, lies[i].n_behind) == 0)
            fail_msg("taken: '%s'", lies[i].lines);
    memset(longest + 2, 'a', 256);
    strcpy(longest + 258, "\n");
    assert_int_not_equal(read_lines(longest, 259, 1, 16), 0);
    assert_int_equal(read_lines(longest + 1, 0, 0, 0), 0);
    memmove(longest + 3, longest + 4, 256);
    assert_int_equal(read_lines(longest, 258, 1, 16), 0);
    assert_int_equal(read_lines("0 a-\n0 a/\n0 a/b/\n0 a/b/c\n0 a/bb\n0 aa/\n0 aa/b\n", 45, 7, 112), 0);
}

/* A path of so many bytes, in directories that are all listed. */
static int read_path_of(size_t n_bytes)
{
    static char lines[65536];
    char path[5000] = "";
    size_t n = 0, n_entries = 1;
    assert_true(n_bytes < sizeof path);
    for (size_t i = 0; i < n_bytes; i++)
        path[i] = i % 200 ? 'a' : i ? '/' : 'b';
    for (size_t i = 0; i + 1 < n_bytes; i++)
        if (path[i] == '/') {
            n += (size_t)sprintf(lines + n, "0 %.*s\n", (int)(i + 1), path);
            n_entries++;
        }
    n += (size_t)sprintf(lines + n, "0 %s\n", path);
    return read_lines(lines, n, n_entries, 16 * n_entries);
}

static void paths_have_a_longest(void **state)
{
    (void)state;
    assert_int_equal(read_path_of(4095), 0);
    assert_int_not_equal(read_path_of(4096), 0);
}

static void first_lines_that_lie_are_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "mithril-folder 2 21 0\n", "mithril-folder 1 20 0\n",
        "mithril-folder 1 22 0\n", "mithril-folder 1 9999999999 0\n",
        "mithril-folder 1 22 9\n", "mithril-folder 1 22 18446744073709551615\n",
        "mithril-folder 1 22",     "mithril-folder ",
        "mithril-folder",          ""};
    struct mth_folder folder;
    struct mth_source source;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (i != 2 && read_bytes(lines[i], strlen(lines[i]), &folder, &source) == 0)
            fail_msg("taken: '%s'", lines[i]);
    assert_int_equal(read_bytes(lines[2], strlen(lines[2]), &folder, &source), 0);
    mth_folder_free(&folder);
}

static struct mth_buffer shard(const char *a, const char *b)
{
    struct safetensors_builder builder = {0};
    static const uint8_t data[16] = {1, 2, 3};
    safetensors_builder_add(&builder, a, "BF16", (const uint64_t[]){4}, 1, data, 8);
    safetensors_builder_add(&builder, b, "F32", (const uint64_t[]){4}, 1, data, 16);
    return safetensors_builder_finish(&builder, 0);
}

/* Maps bytes as any format; fails the test when none takes them. */
static void map_bytes(const uint8_t *data, size_t n_bytes, struct mth_region_map *map, int *status)
{
    struct mth_source source;
    struct mth_error err = {0};
    const struct mth_format_options options = {.raw_dtype = MTH_N_DTYPES};
    mth_source_memory("f", (struct mth_bytes){data, n_bytes}, &source);
    *status = mth_format_map(&source, &options, memory, map, &err);
    assert_int_not_equal(*status, MTH_ERR_INTERNAL);
}

static void tensors_are_found_in_every_file(void **state)
{
    (void)state;
    struct mth_buffer one = shard("only.one", "both"), two = shard("both", "only.two");
    struct mth_buffer broken = shard("lost", "gone");
    const struct part within[] = {{"x", {one.data, one.n_bytes}}};
    struct mth_buffer inner = make_folder(within, 1);
    const struct part parts[] = {{"a.safetensors", {one.data, one.n_bytes}},
                                 {"b/", {NULL, 0}},
                                 {"b/c.safetensors", {two.data, two.n_bytes}},
                                 {"broken.safetensors", {broken.data, broken.n_bytes - 1}},
                                 {"inner", {inner.data, inner.n_bytes}},
                                 {"notes.txt", {(const uint8_t *)"notes", 5}}};
    struct mth_buffer bytes = make_folder(parts, sizeof parts / sizeof parts[0]);
    struct mth_region_map map;
    int status;
    map_bytes(bytes.data, bytes.n_bytes, &map, &status);
    assert_int_equal(status, 0);
    assert_string_equal(map.format, "folder");
    assert_int_equal(map.n_tensors, 4);
    assert_non_null(mth_region_map_find(&map, "only.one"));
    assert_non_null(mth_region_map_find(&map, "only.two"));
    assert_non_null(mth_region_map_find(&map, "both@a.safetensors"));
    const struct mth_tensor *tensor = mth_region_map_find(&map, "both@c.safetensors");
    assert_non_null(tensor);
    assert_memory_equal(bytes.data + map.regions[tensor->region].offset + tensor->offset_bytes, "\1\2\3", 3);
    mth_region_map_free(&map);
    free(one.data), free(two.data), free(broken.data), free(inner.data), free(bytes.data);
}

/* Whichever file has the weights. */
static void states_find_weights_of_their_name_in_another_file(void **state)
{
    (void)state;
    struct mth_buffer weights = shard("h.v", "h.w"), kept = shard("x", "optim.state.h.w.exp_avg");
    const struct part parts[] = {{"a.safetensors", {weights.data, weights.n_bytes}},
                                 {"b.safetensors", {kept.data, kept.n_bytes}}};
    struct mth_buffer bytes = make_folder(parts, 2);
    struct mth_region_map map;
    int status;
    map_bytes(bytes.data, bytes.n_bytes, &map, &status);
    assert_int_equal(status, 0);
    const struct mth_tensor *moment = mth_region_map_find(&map, "optim.state.h.w.exp_avg");
    assert_non_null(moment);
    assert_ptr_equal(mth_tensor_param(&map, moment), mth_region_map_find(&map, "h.w"));
    mth_region_map_free(&map);
    free(weights.data), free(kept.data), free(bytes.data);
}

/* As much of a path as tells it from all others, in whole names: what stands before may have the step's number in it. */
static void files_are_told_apart_by_the_ends_of_their_paths(void **state)
{
    (void)state;
    struct mth_buffer one = shard("w", "v");
    static const char *const names[] = {
        "global_step7/",    "global_step7/optim_0.pt", "global_step7/r0/",         "global_step7/r0/x",
        "global_step7/r1/", "global_step7/r1/x",       "global_step7/xoptim_0.pt", "x"};
    static const char *const wanted[] = {"w@optim_0.pt", "w@r0/x", "w@r1/x", "w@xoptim_0.pt", "w@x"};
    enum { N_NAMES = sizeof names / sizeof names[0] };
    struct part parts[N_NAMES];
    for (size_t i = 0; i < N_NAMES; i++) {
        bool is_directory = names[i][strlen(names[i]) - 1] == '/';
        parts[i] = (struct part){names[i], {is_directory ? NULL : one.data, is_directory ? 0 : one.n_bytes}};
    }
    struct mth_buffer bytes = make_folder(parts, N_NAMES);
    struct mth_region_map map;
    int status;
    map_bytes(bytes.data, bytes.n_bytes, &map, &status);
    assert_int_equal(status, 0);
    assert_int_equal(map.n_tensors, 10);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(mth_tensor_name(&map, &map.tensors[2 * i]), wanted[i]);
    mth_region_map_free(&map);
    free(one.data), free(bytes.data);
}

/* Whatever is flipped or cut: it is mapped soundly or refused. */
static void damage_is_refused_or_mapped_soundly(void **state)
{
    (void)state;
    struct mth_buffer one = shard("only.one", "both");
    const struct part parts[] = {{"a.safetensors", {one.data, one.n_bytes}},
                                 {"d/", {NULL, 0}},
                                 {"d/.metadata", {(const uint8_t *)"\x80\x02}q\0.", 6}},
                                 {"d/__0_0.distcp", {one.data, one.n_bytes}}};
    struct mth_buffer bytes = make_folder(parts, 4);
    struct mth_region_map map;
    int status;
    for (size_t n = 0; n < bytes.n_bytes; n++) {
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, bytes.data, n);
        map_bytes(cut, n, &map, &status);
        free(cut);
        assert_int_not_equal(status, 0);
    }
    for (size_t bit = 0; bit < 8 * bytes.n_bytes; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        map_bytes(bytes.data, bytes.n_bytes, &map, &status);
        if (!status)
            mth_region_map_free(&map);
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(one.data), free(bytes.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_comes_back),
        cmocka_unit_test(a_list_that_lies_is_refused),
        cmocka_unit_test(paths_have_a_longest),
        cmocka_unit_test(first_lines_that_lie_are_refused),
        cmocka_unit_test(tensors_are_found_in_every_file),
        cmocka_unit_test(states_find_weights_of_their_name_in_another_file),
        cmocka_unit_test(files_are_told_apart_by_the_ends_of_their_paths),
        cmocka_unit_test(damage_is_refused_or_mapped_soundly),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
