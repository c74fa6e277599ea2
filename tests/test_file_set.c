/* Laws of file sets: several files as one source and one map, names of shards, and the index of a sharded model. */
#include "formats/file_set.h"
#include "formats/json_guard.h"
#include "formats/name_index.h"
#include "formats/shard_index.h"
#include "tests/support/map_bytes.h"
#include "tests/support/safetensors_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the source ---- */

struct parts {
    const char *texts[4];
    size_t n_reads;
};

static int read_part(void *state, size_t member, uint64_t offset, void *dst, size_t n_bytes,
                     struct mth_error *err)
{
    struct parts *parts = state;
    (void)err;
    parts->n_reads++;
    assert_in_range(n_bytes, 1, strlen(parts->texts[member]) - offset);
    memcpy(dst, parts->texts[member] + offset, n_bytes);
    return MTH_OK;
}

static void reads_span_members_and_pass_over_empty_ones(void **state)
{
    (void)state;
    struct parts parts = {.texts = {"abc", "", "defgh", ""}};
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_file_set set;
    struct mth_source source;
    struct mth_error err;
    static const char whole[] = "abcdefgh";
    mth_file_set_init(&set, "set", read_part, &parts, memory);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(mth_file_set_add(&set, strlen(parts.texts[i])), MTH_OK);
    mth_file_set_source(&set, &source);
    assert_int_equal(source.n_bytes, 8);
    for (size_t begin = 0; begin <= 8; begin++) {
        for (size_t end = begin; end <= 8; end++) {
            char room[9] = "........";
            assert_int_equal(mth_source_read(&source, begin, room, end - begin, &err), MTH_OK);
            assert_memory_equal(room, whole + begin, end - begin);
            assert_memory_equal(room + (end - begin), "........", 8 - (end - begin));
        }
    }
    assert_int_equal(mth_source_read(&source, 7, (char[2]){0}, 2, &err), MTH_ERR_TRUNCATED);
    mth_file_set_free(&set);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void a_member_reads_like_its_file(void **state)
{
    (void)state;
    struct parts parts = {.texts = {"abc", "defgh"}};
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_file_set set;
    struct mth_set_view view;
    struct mth_source source;
    struct mth_error err;
    char room[6] = "";
    mth_file_set_init(&set, "set", read_part, &parts, memory);
    assert_int_equal(mth_file_set_add(&set, 3), MTH_OK);
    assert_int_equal(mth_file_set_add(&set, 5), MTH_OK);
    mth_file_set_member_source(&set, 1, "two", &view, &source);
    assert_int_equal(source.n_bytes, 5);
    assert_int_equal(mth_source_read(&source, 0, room, 5, &err), MTH_OK);
    assert_string_equal(room, "defgh");
    assert_int_equal(mth_source_read(&source, 4, room, 2, &err), MTH_ERR_TRUNCATED);
    mth_file_set_free(&set);
    mth_memory_destroy(memory);
}

static void sizes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_file_set set;
    mth_file_set_init(&set, "set", read_part, NULL, memory);
    assert_int_equal(mth_file_set_add(&set, UINT64_MAX - 1), MTH_OK);
    assert_int_equal(mth_file_set_add(&set, 1), MTH_OK);
    assert_int_equal(mth_file_set_add(&set, 1), MTH_ERR_OVERFLOW);
    assert_int_equal(set.n_members, 2);
    mth_file_set_free(&set);
    mth_memory_destroy(memory);
}

/* ---- the map ---- */

static struct mth_buffer shard(const char *name, const char *other)
{
    struct safetensors_builder builder = {0};
    const uint64_t shape[] = {2, 4};
    safetensors_builder_add(&builder, name, "BF16", shape, 2, NULL, 16);
    if (other)
        safetensors_builder_add(&builder, other, "F32", NULL, 0, NULL, 4);
    return safetensors_builder_finish(&builder, 0);
}

static void appended_maps_tile_the_whole_and_keep_what_they_say(void **state)
{
    (void)state;
    struct mth_buffer files[] = {shard("a", "b"), shard("c", NULL), shard("a", "d")};
    struct mapped parts[3];
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_region_map map;
    uint64_t at = 0;
    mth_region_map_init(&map, memory, "shards", 0);
    for (size_t i = 0; i < 3; i++) {
        map_bytes(&parts[i], "part.safetensors", files[i].data, files[i].n_bytes);
        assert_int_equal(parts[i].status, MTH_OK);
        assert_int_equal(mth_region_map_add_derived(&parts[i].map, 0, 1), MTH_OK);
        assert_int_equal(mth_region_map_append(&map, &parts[i].map, at), MTH_OK);
        at += files[i].n_bytes;
    }
    map.n_bytes = at;
    assert_int_equal(mth_region_map_check(&map), MTH_OK);
    assert_int_equal(map.n_tensors, 5);
    assert_int_equal(map.n_derived, 3);
    for (size_t i = 0, t = 0, begin = 0; i < 3; begin += files[i++].n_bytes) {
        assert_int_equal(map.derived[i].offset, begin);
        for (size_t j = 0; j < parts[i].map.n_tensors; j++, t++) {
            const struct mth_tensor *old = &parts[i].map.tensors[j], *new = &map.tensors[t];
            assert_string_equal(mth_tensor_name(&map, new), mth_tensor_name(&parts[i].map, old));
            assert_int_equal(map.regions[new->region].offset,
                             begin + parts[i].map.regions[old->region].offset);
            assert_int_equal(new->dtype, old->dtype);
            assert_int_equal(mth_tensor_bytes(new), mth_tensor_bytes(old));
        }
    }
    /* Of two with one name the later one gets its number. */
    assert_int_equal(mth_name_index_make_unique(&map), MTH_OK);
    assert_string_equal(mth_tensor_name(&map, &map.tensors[0]), "a");
    assert_string_equal(mth_tensor_name(&map, &map.tensors[3]), "a#3");
    mth_region_map_free(&map);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    for (size_t i = 0; i < 3; i++) {
        unmap(&parts[i]);
        free(files[i].data);
    }
}

/* A part of two tensors, the second a state of the first when it is_known. */
static void add_part(struct mth_region_map *part, struct mth_memory *memory, bool is_known)
{
    const struct mth_tensor none = {.region = MTH_NO_REGION, .dtype = MTH_DTYPE_U8};
    const uint64_t shape[] = {0};
    mth_region_map_init(part, memory, "made", 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(mth_region_map_add_tensor(part, "t", 1, shape, 1, &none), MTH_OK);
    if (!is_known)
        return;
    part->params = mth_memory_calloc(memory, 2, sizeof *part->params);
    part->n_params = part->params_capacity = 2;
    part->params[0] = MTH_NO_TENSOR;
    part->params[1] = 0;
}

static void parameters_of_a_part_stay_in_it(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_region_map map, part;
    const bool known[] = {false, true, false, true, true};
    mth_region_map_init(&map, memory, "made", 0);
    for (size_t i = 0; i < 5; i++) {
        add_part(&part, memory, known[i]);
        assert_int_equal(mth_region_map_append(&map, &part, 0), MTH_OK);
        mth_region_map_free(&part);
    }
    assert_int_equal(mth_region_map_check(&map), MTH_OK);
    for (size_t i = 0; i < 10; i++) {
        const struct mth_tensor *param = mth_tensor_param(&map, &map.tensors[i]);
        assert_ptr_equal(param, i % 2 == 1 && known[i / 2] ? &map.tensors[i - 1] : NULL);
    }
    mth_region_map_free(&map);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

/* What an optimizer says of its groups, and keeps of parameters that its file does not tell, is shifted as its tensors are. */
static void groups_and_lone_states_of_a_part_stay_in_it(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_region_map map, part;
    const bool has_groups[] = {false, true, false, true};
    mth_region_map_init(&map, memory, "made", 0);
    for (size_t i = 0; i < 4; i++) {
        add_part(&part, memory, false);
        if (has_groups[i]) {
            part.groups = mth_memory_calloc(memory, 2, sizeof *part.groups);
            part.group_of = mth_memory_calloc(memory, 2, sizeof *part.group_of);
            part.n_groups = part.n_grouped = 2;
            part.groups[1].lr = (double)i;
            part.group_of[0] = UINT32_MAX;
            part.group_of[1] = 1;
            assert_int_equal(mth_region_map_add_lone_state(&part, (struct mth_lone_state){1, 2}), MTH_OK);
        }
        assert_int_equal(mth_region_map_append(&map, &part, 0), MTH_OK);
        mth_region_map_free(&part);
    }
    assert_int_equal(mth_region_map_check(&map), MTH_OK);
    for (size_t i = 0; i < 8; i++) {
        const struct mth_optimizer_group *group = mth_tensor_group(&map, &map.tensors[i]);
        assert_int_equal(group != NULL, i % 2 == 1 && has_groups[i / 2]);
        if (group)
            assert_true(group->lr == (double)(i / 2));
    }
    assert_int_equal(map.n_lone_states, 2);
    assert_int_equal(map.lone_states[0].first, 3);
    assert_int_equal(map.lone_states[1].first, 7);
    assert_int_equal(map.lone_states[1].end, 8);
    map.lone_states[1].end = 9;
    assert_int_equal(mth_region_map_check(&map), MTH_ERR_INTERNAL);
    mth_region_map_free(&map);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

/* ---- names ---- */

static void only_plain_names_are_looked_for(void **state)
{
    (void)state;
    char longest[257];
    static const char *const plain[] = {
        "a", "model-00001-of-00002.safetensors", "..a", "a..b", "...", ".hidden", "\xc3\xa9"};
    static const char *const others[] = {"",     ".",    "..",   "a/b",  "/a",    "a/",
                                         "../a", "a\\b", "a\nb", "\x7f", "\x1b[m"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        assert_true(mth_set_name_is_plain(plain[i], strlen(plain[i])));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(mth_set_name_is_plain(others[i], strlen(others[i])));
    assert_false(mth_set_name_is_plain("a\0b", 3));
    memset(longest, 'x', sizeof longest);
    assert_true(mth_set_name_is_plain(longest, MTH_SET_NAME_MAX_BYTES));
    assert_false(mth_set_name_is_plain(longest, MTH_SET_NAME_MAX_BYTES + 1));
}

static void names_of_shards_say_which_belong_together(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t n_prefix;
        const char *extension;
        uint64_t number, n_shards;
    } shards[] = {
        {"model-00001-of-00002.safetensors", 5, ".safetensors", 1, 2},
        {"a-00001-of-00001-00003-of-00010.bin", 16, ".bin", 3, 10},
        {"-00001-of-00001.x.y", 0, ".x.y", 1, 1},
        {"m-000012-of-000345.pt", 1, ".pt", 12, 345},
    };
    static const char *const others[] = {"model.safetensors",
                                         "model-1-of-2.safetensors",
                                         "model-00001-of-00002",
                                         "model-00003-of-00002.bin",
                                         "model-00000-of-00002.bin",
                                         "model00001-of-00002.bin",
                                         "model-00001-of-000002.bin",
                                         "model-0x001-of-00002.bin",
                                         "-of-00002.bin",
                                         "m-99999999999999999999999-of-99999999999999999999999.bin",
                                         ""};
    struct mth_shard_name shard_name;
    for (size_t i = 0; i < sizeof shards / sizeof shards[0]; i++) {
        assert_true(mth_shard_name_parse(shards[i].name, &shard_name));
        assert_int_equal(shard_name.n_prefix, shards[i].n_prefix);
        assert_string_equal(shard_name.extension, shards[i].extension);
        assert_int_equal(shard_name.number, shards[i].number);
        assert_int_equal(shard_name.n_shards, shards[i].n_shards);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(mth_shard_name_parse(others[i], &shard_name));
}

/* ---- the index ---- */

static int read_index(const char *text, size_t n_text, size_t limit, struct mth_memory **memory,
                      struct mth_shard_index *index, struct mth_error *err)
{
    struct mth_source source;
    *memory = mth_memory_create(limit);
    mth_source_memory("m.index.json", (struct mth_bytes){(const uint8_t *)text, n_text}, &source);
    return mth_shard_index_read(&source, *memory, index, err);
}

static void an_index_lists_each_shard_once_and_its_weights(void **state)
{
    (void)state;
    static const char text[] =
        "{\"metadata\":{\"total_size\":1e3,\"x\":[{\"weight_map\":1}]},\"weight_map\":{"
        "\"b\":\"two\",\"a\":\"one\",\"\\u00e9\":\"two\",\"\":\"one\",\"c\":\"two\"},\"more\":null} \n";
    struct mth_memory *memory;
    struct mth_shard_index index;
    struct mth_error err;
    char found[64] = "";
    assert_int_equal(read_index(text, sizeof text - 1, 0, &memory, &index, &err), MTH_OK);
    assert_int_equal(index.n_shards, 2);
    assert_int_equal(index.n_weights, 5);
    for (size_t i = 0; i < index.n_shards; i++) {
        strcat(strcat(found, mth_shard_name(&index, i)), ":");
        for (uint32_t w = index.shards[i].first_weight; w; w = index.weights[w - 1].next)
            strcat(strcat(found, index.text + index.weights[w - 1].name), ",");
    }
    assert_string_equal(found, "one:,a,two:c,\xc3\xa9,b,");
    mth_shard_index_free(&index);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void refused(const char *text, size_t n_text, int status, const char *words)
{
    struct mth_memory *memory;
    struct mth_shard_index index;
    struct mth_error err = {0};
    int found = read_index(text, n_text, 0, &memory, &index, &err);
    if (found != status || !strstr(err.text, words))
        print_error("%.60s: wanted %s and '%s', got %s: %s\n", text, mth_status_name(status), words,
                    mth_status_name(found), err.text);
    assert_int_equal(found, status);
    assert_non_null(strstr(err.text, words));
    assert_null(strpbrk(err.text, "\n\r\033"));
    assert_memory_equal(err.text, "m.index.json", 12);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void an_index_that_lies_is_refused_with_a_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } lies[] = {
        {"", "not valid JSON"},
        {"[]", "does not begin with '{'"},
        {"{}", "no weight_map"},
        {"{\"weight_map\":[]}", "not an object"},
        {"{\"weight_map\":null}", "not an object"},
        {"{\"weight_map\":{}}", "names no shard"},
        {"{\"weight_map\":{\"a\":1}}", "weight 'a' has no name of a file"},
        {"{\"weight_map\":{\"a\":{}}}", "weight 'a' has no name of a file"},
        {"{\"weight_map\":{\"a\":\"../x\"}}", "no plain name"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "no plain name"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "no plain name"},
        {"{\"weight_map\":{\"a\":\"\"}}", "no plain name"},
        {"{\"weight_map\":{\"a\":\"x\\u0000y\"}}", "no plain name"},
        {"{\"weight_map\":{\"a\":\"x\\ny\"}}", "no plain name"},
        {"{\"weight_map\":{\"a\\u0000\":\"x\"}}", "contains a NUL"},
        {"{\"weight_map\":{\"a\":\"x\",\"b\":\"x\",\"a\":\"y\"}}", "weight 'a' is there twice"},
        {"{\"weight_map\":{\"a\":\"x\"},\"weight_map\":{\"b\":\"x\"}}", "weight_map is there twice"},
        {"{\"weight_map\":{\"a\":\"x\"}", "not valid JSON"},
        {"{\"weight_map\":{\"a\":\"x\"}}{", "not valid JSON"},
        {"{\"weight_map\":{\"a\":\"x\xff\"}}", "invalid UTF-8"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++)
        refused(lies[i].text, strlen(lies[i].text), MTH_ERR_FORMAT, lies[i].words);
}

static void deep_and_long_indexes_are_refused_within_bounds(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    char *text = malloc(N + 64);
    int n = snprintf(text, 64, "{\"metadata\":");
    memset(text + n, '[', N);
    refused(text, (size_t)n + N, MTH_ERR_FORMAT, "nested deeper");
    n = snprintf(text, 64, "{\"weight_map\":{\"");
    memset(text + n, 'x', N);
    memcpy(text + n + N, "\":\"s\"}}", 7);
    refused(text, (size_t)n + N + 7, MTH_ERR_FORMAT, "more than 16384 bytes");
    n = snprintf(text, 64, "{\"weight_map\":{\"a\":\"");
    memset(text + n, 'x', N);
    memcpy(text + n + N, "\"}}", 3);
    refused(text, (size_t)n + N + 3, MTH_ERR_FORMAT, "no plain name");
    free(text);
}

static void every_truncation_of_an_index_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"metadata\":{\"total_size\":12},\"weight_map\":{\"a\":\"one\",\"b\\n\":\"two\"}}";
    for (size_t n = 0; n + 1 < sizeof text; n++)
        refused(text, n, MTH_ERR_FORMAT, "");
}

static void an_index_without_memory_is_an_error_and_no_leak(void **state)
{
    (void)state;
    enum { N = 3000 };
    char *text = malloc((size_t)N * 40 + 64);
    size_t n_text = (size_t)sprintf(text, "{\"weight_map\":{");
    for (int i = 0; i < N; i++)
        n_text += (size_t)sprintf(text + n_text, "%s\"w%d\":\"s%d\"", i ? "," : "", i * 7919 % N, i % 17);
    n_text += (size_t)sprintf(text + n_text, "}}");
    bool is_read = false;
    for (size_t limit = 1000; !is_read; limit += limit / 8) {
        struct mth_memory *memory;
        struct mth_shard_index index;
        struct mth_error err;
        int status = read_index(text, n_text, limit, &memory, &index, &err);
        is_read = status == MTH_OK;
        assert_true(is_read || status == MTH_ERR_NO_MEMORY);
        if (is_read)
            mth_shard_index_free(&index);
        assert_int_equal(mth_memory_current(memory), 0);
        mth_memory_destroy(memory);
        assert_true(limit < 4 << 20);
    }
    free(text);
}

static void a_shard_must_hold_what_the_index_places_there(void **state)
{
    (void)state;
    static const char text[] = "{\"weight_map\":{\"a\":\"one\",\"b\":\"one\",\"c\":\"two\"}}";
    struct mth_memory *memory;
    struct mth_shard_index index;
    struct mth_error err;
    struct mapped mapped;
    size_t n_unlisted = 9;
    assert_int_equal(read_index(text, sizeof text - 1, 0, &memory, &index, &err), MTH_OK);
    struct mth_buffer both = shard("b", "a"), more = shard("c", "d");
    map_bytes(&mapped, "one", both.data, both.n_bytes);
    assert_int_equal(mth_shard_index_check(&index, 0, &mapped.map, &n_unlisted, &err), MTH_OK);
    assert_int_equal(n_unlisted, 0);
    assert_int_equal(mth_shard_index_check(&index, 1, &mapped.map, &n_unlisted, &err), MTH_ERR_FORMAT);
    assert_string_equal(err.text,
                        "m.index.json: weight 'c' is not in 'two', where the index says that it is");
    unmap(&mapped);
    map_bytes(&mapped, "two", more.data, more.n_bytes);
    assert_int_equal(mth_shard_index_check(&index, 1, &mapped.map, &n_unlisted, &err), MTH_OK);
    assert_int_equal(n_unlisted, 1);
    unmap(&mapped);
    free(both.data);
    free(more.data);
    mth_shard_index_free(&index);
    mth_memory_destroy(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_span_members_and_pass_over_empty_ones),
        cmocka_unit_test(a_member_reads_like_its_file),
        cmocka_unit_test(sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(appended_maps_tile_the_whole_and_keep_what_they_say),
        cmocka_unit_test(parameters_of_a_part_stay_in_it),
        cmocka_unit_test(groups_and_lone_states_of_a_part_stay_in_it),
        cmocka_unit_test(only_plain_names_are_looked_for),
        cmocka_unit_test(names_of_shards_say_which_belong_together),
        cmocka_unit_test(an_index_lists_each_shard_once_and_its_weights),
        cmocka_unit_test(an_index_that_lies_is_refused_with_a_line),
        cmocka_unit_test(deep_and_long_indexes_are_refused_within_bounds),
        cmocka_unit_test(every_truncation_of_an_index_is_refused),
        cmocka_unit_test(an_index_without_memory_is_an_error_and_no_leak),
        cmocka_unit_test(a_shard_must_hold_what_the_index_places_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
