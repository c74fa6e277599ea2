/*
 * Laws of checkpoints of several files, on what PyTorch and safetensors wrote: tests/fixtures/sets/, where make_sets.py also
 * wrote down what they say that each tensor is.
 */
#include "formats/dcp.h"
#include "harness/json.h"
#include "harness/opened.h"
#include "harness/set_files.h"
#include "tests/support/crc32.h"
#include "tests/support/temp_dir.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FIXTURES "tests/fixtures/sets/"

/* ---- a set that is open ---- */

struct rig {
    struct mth_memory *memory;
    struct mth_opened opened;
    struct mth_error err;
    int status;
};

static void rig_open(struct rig *rig, const char *path)
{
    *rig = (struct rig){.memory = mth_memory_create(0)};
    rig->status = mth_opened_open_any(&rig->opened, path, 2, rig->memory, &rig->err);
    if (!rig->status)
        rig->status = mth_opened_map(&rig->opened, MTH_N_DTYPES, &rig->err);
}

static void rig_close(struct rig *rig)
{
    mth_opened_close(&rig->opened);
    assert_int_equal(mth_memory_current(rig->memory), 0);
    mth_memory_destroy(rig->memory);
}

static void rig_must(const struct rig *rig)
{
    if (rig->status)
        print_error("%s\n", rig->err.text);
    assert_int_equal(rig->status, MTH_OK);
}

static void rig_refuses(const char *path, int status, const char *words)
{
    struct rig rig;
    rig_open(&rig, path);
    if (rig.status != status || !strstr(rig.err.text, words))
        print_error("wanted %s and '%s', got %s: %s\n", mth_status_name(status), words,
                    mth_status_name(rig.status), rig.err.text);
    assert_int_equal(rig.status, status);
    assert_non_null(strstr(rig.err.text, words));
    assert_memory_equal(rig.err.text, path, strlen(path));
    rig_close(&rig);
}

static uint32_t crc_of(const struct mth_opened *opened, const struct mth_tensor *tensor)
{
    struct mth_error err;
    if (tensor->region == MTH_NO_REGION)
        return 0;
    size_t n_bytes = (size_t)mth_tensor_bytes(tensor);
    uint8_t *bytes = malloc(n_bytes);
    uint64_t at = opened->map.regions[tensor->region].offset + tensor->offset_bytes;
    assert_int_equal(mth_source_read(&opened->source, at, bytes, n_bytes, &err), MTH_OK);
    uint32_t crc = crc32_more(0, bytes, n_bytes);
    free(bytes);
    return crc;
}

/* ---- what PyTorch says ---- */

static const char *string(const struct mth_json_node *node, const char *key)
{
    const char *value;
    struct mth_error err;
    assert_int_equal(mth_json_get_string(node, key, MTH_JSON_OPTIONAL, &value, &err), MTH_OK);
    return value;
}

static void check_tensor(const struct rig *rig, const struct mth_json_node *node,
                         const struct mth_tensor *tensor)
{
    static const char *const roles[] = {"other", "weight", "adam-m", "adam-v", "step"};
    const struct mth_region_map *map = &rig->opened.map;
    const struct mth_tensor *found = mth_tensor_param(map, tensor);
    const char *param = string(node, "param");
    struct mth_json_node shape;
    struct mth_error err;
    int64_t crc;
    size_t n_dims;
    assert_string_equal(mth_dtype_info((enum mth_dtype)tensor->dtype)->name, string(node, "dtype"));
    assert_string_equal(roles[tensor->role], string(node, "role"));
    assert_string_equal(found ? mth_tensor_name(map, found) : "none", param ? param : "none");
    assert_int_equal(mth_json_get_array(node, "shape", MTH_JSON_REQUIRED, &shape, &n_dims, &err), MTH_OK);
    assert_int_equal(n_dims, tensor->n_dims);
    for (size_t i = 0; i < n_dims; i++) {
        double value;
        assert_int_equal(mth_json_item_real(&shape, i, &value, &err), MTH_OK);
        assert_int_equal(mth_tensor_shape(map, tensor)[i], value);
    }
    assert_int_equal(mth_json_get_int(node, "crc32", MTH_JSON_REQUIRED, 0, INT64_MAX, &crc, &err), MTH_OK);
    assert_int_equal(crc_of(&rig->opened, tensor), crc);
}

/* Compares a set that is open with what an entry of sets.json says. */
static void check_set(const struct rig *rig, const struct mth_json_node *entry)
{
    struct mth_json_node tensors, node;
    struct mth_error err;
    size_t n_tensors;
    const struct mth_region_map *map = &rig->opened.map;
    rig_must(rig);
    assert_string_equal(map->format, string(entry, "format"));
    assert_int_equal(mth_json_get_array(entry, "tensors", MTH_JSON_REQUIRED, &tensors, &n_tensors, &err),
                     MTH_OK);
    assert_int_equal(map->n_tensors, n_tensors);
    for (size_t i = 0; i < n_tensors; i++) {
        assert_int_equal(mth_json_item_object(&tensors, i, &node, &err), MTH_OK);
        const struct mth_tensor *tensor = mth_region_map_find(map, string(&node, "name"));
        if (!tensor)
            print_error("%s: no tensor %s\n", rig->opened.path, string(&node, "name"));
        assert_non_null(tensor);
        check_tensor(rig, &node, tensor);
    }
}

/* The entry of a directory in sets.json, which the caller frees. */
static struct mth_json *entry_of(const char *directory, struct mth_json_node *entry)
{
    struct mth_json *json;
    struct mth_json_node sets;
    struct mth_error err;
    size_t n_sets;
    assert_int_equal(mth_json_load(FIXTURES "sets.json", 1 << 20, &json, &err), MTH_OK);
    struct mth_json_node root = mth_json_root(json, "sets.json");
    assert_int_equal(mth_json_get_array(&root, "sets", MTH_JSON_REQUIRED, &sets, &n_sets, &err), MTH_OK);
    for (size_t i = 0; i < n_sets; i++) {
        assert_int_equal(mth_json_item_object(&sets, i, entry, &err), MTH_OK);
        if (strcmp(string(entry, "directory"), directory) == 0)
            return json;
    }
    fail_msg("sets.json has no %s", directory);
    return NULL;
}

static void check_path(const char *path, const char *directory)
{
    struct rig rig;
    struct mth_json_node entry;
    struct mth_json *json = entry_of(directory, &entry);
    rig_open(&rig, path);
    check_set(&rig, &entry);
    rig_close(&rig);
    mth_json_free(json);
}

static void every_tensor_of_a_set_is_what_its_writer_says(void **state)
{
    (void)state;
    static const char *const names[] = {"hf-step1", "hf-step2", "bin", "dcp-step1", "dcp-step2", "dcp-ranks"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, FIXTURES "%s", names[i]);
        check_path(path, names[i]);
    }
}

static void the_leading_file_stands_for_the_set(void **state)
{
    (void)state;
    check_path(FIXTURES "hf-step1/model.safetensors.index.json", "hf-step1");
    check_path(FIXTURES "bin/pytorch_model.bin.index.json", "bin");
    check_path(FIXTURES "dcp-ranks/.metadata", "dcp-ranks");
}

/* ---- sets in other shapes ---- */

static void copy_part(const char *from, const char *directory, const char *name, size_t n_less)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_buffer bytes;
    struct mth_error err;
    assert_int_equal(mth_file_read_all(from, memory, &bytes, &err), MTH_OK);
    temp_dir_write(directory, name, bytes.data, bytes.n_bytes - n_less);
    mth_memory_free(memory, bytes.data);
    mth_memory_destroy(memory);
}

static void copy(const char *from, const char *directory, const char *name)
{
    copy_part(from, directory, name, 0);
}

static void write_text(const char *directory, const char *name, const char *text)
{
    temp_dir_write(directory, name, text, strlen(text));
}

static void drop(const char *directory, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(unlink(path), 0);
}

#define SHARD_1 "model-00001-of-00002.safetensors"
#define SHARD_2 "model-00002-of-00002.safetensors"

static void shards_do_without_an_index(void **state)
{
    (void)state;
    char *dir = temp_dir_create();
    copy(FIXTURES "hf-step1/" SHARD_2, dir, SHARD_2);
    rig_refuses(dir, MTH_ERR_FORMAT, "number 1 of 2 is missing");
    copy(FIXTURES "hf-step1/" SHARD_1, dir, SHARD_1);
    check_path(dir, "hf-step1");
    copy(FIXTURES "bin/pytorch_model-00001-of-00002.bin", dir, "pytorch_model-00001-of-00002.bin");
    rig_refuses(dir, MTH_ERR_USAGE, "shards of several models");
    drop(dir, "pytorch_model-00001-of-00002.bin");
    drop(dir, SHARD_2);
    rig_refuses(dir, MTH_ERR_FORMAT, "number 2 of 2 is missing");
    drop(dir, SHARD_1);
    rig_refuses(dir, MTH_ERR_IO, "a directory without a checkpoint");
    temp_dir_destroy(dir);
}

static void an_index_and_its_shards_must_agree(void **state)
{
    (void)state;
    char *dir = temp_dir_create();
    struct rig rig;
    write_text(dir, "model.safetensors.index.json",
               "{\"weight_map\":{\"lm_head.weight\":\"" SHARD_1 "\",\"no.such\":\"" SHARD_2 "\"}}");
    rig_refuses(dir, MTH_ERR_NOT_FOUND, "'" SHARD_1 "', which belongs to model.safetensors.index.json");
    copy(FIXTURES "hf-step1/" SHARD_1, dir, SHARD_1);
    copy(FIXTURES "hf-step1/" SHARD_2, dir, SHARD_2);
    rig_refuses(dir, MTH_ERR_FORMAT, "weight 'lm_head.weight' is not in '" SHARD_1 "'");
    /* Tensors that the index does not name are there all the same. */
    write_text(dir, "model.safetensors.index.json", "{\"weight_map\":{\"lm_head.weight\":\"" SHARD_2 "\"}}");
    rig_open(&rig, dir);
    rig_must(&rig);
    assert_int_equal(rig.opened.map.n_tensors, 7);
    rig_close(&rig);
    write_text(dir, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"../" SHARD_2 "\"}}");
    rig_refuses(dir, MTH_ERR_FORMAT, "no plain name");
    /* Two indexes: that of the safetensors is meant; two of them are one too many. */
    copy(FIXTURES "hf-step1/model.safetensors.index.json", dir, "model.safetensors.index.json");
    copy(FIXTURES "bin/pytorch_model.bin.index.json", dir, "pytorch_model.bin.index.json");
    check_path(dir, "hf-step1");
    copy(FIXTURES "hf-step1/model.safetensors.index.json", dir, "other.safetensors.index.json");
    rig_refuses(dir, MTH_ERR_USAGE, "several indexes");
    temp_dir_destroy(dir);
}

static void metadata_of_the_first_versions_says_the_same(void **state)
{
    (void)state;
    char *dir = temp_dir_create();
    copy(FIXTURES "dcp-step1/__0_0.distcp", dir, "__0_0.distcp");
    copy(FIXTURES "dcp-step1.metadata-of-torch-1", dir, ".metadata");
    check_path(dir, "dcp-step1");
    temp_dir_destroy(dir);
}

static void a_missing_or_short_file_of_dcp_is_told(void **state)
{
    (void)state;
    char *dir = temp_dir_create();
    copy(FIXTURES "dcp-ranks/.metadata", dir, ".metadata");
    copy(FIXTURES "dcp-ranks/__0_0.distcp", dir, "__0_0.distcp");
    rig_refuses(dir, MTH_ERR_NOT_FOUND, "'__1_0.distcp', which belongs to .metadata, is not there");
    copy_part(FIXTURES "dcp-ranks/__1_0.distcp", dir, "__1_0.distcp", 1);
    rig_refuses(dir, MTH_ERR_TRUNCATED, "ends behind the file");
    temp_dir_destroy(dir);
}

/* ---- many files ---- */

enum { N_SHARDS = 80, N_READERS = 4, N_READS = 400, SHARD_BYTES = 200 };

struct reader {
    const struct mth_source *source;
    const uint8_t *whole;
    uint32_t seed;
    size_t n_wrong;
};

static void *read_here_and_there(void *arg)
{
    struct reader *reader = arg;
    uint8_t room[3 * SHARD_BYTES];
    struct mth_error err;
    for (size_t i = 0; i < N_READS; i++) {
        reader->seed = reader->seed * 1664525u + 1013904223u;
        uint64_t begin = reader->seed % reader->source->n_bytes, left = reader->source->n_bytes - begin;
        size_t n = left < sizeof room ? (size_t)left : sizeof room;
        reader->n_wrong += mth_source_read(reader->source, begin, room, n, &err) != MTH_OK ||
                           memcmp(room, reader->whole + begin, n) != 0;
    }
    return NULL;
}

/* More files than are kept open. */
static void many_files_are_read_by_several_threads(void **state)
{
    (void)state;
    char *dir = temp_dir_create();
    uint8_t *whole = malloc((size_t)N_SHARDS * SHARD_BYTES);
    size_t n_whole = 0;
    struct rig rig;
    for (unsigned i = 0; i < N_SHARDS; i++) {
        char name[64], header[128];
        uint8_t *file = whole + n_whole;
        size_t n_header =
            (size_t)snprintf(header, sizeof header,
                             "{\"t%u\":{\"dtype\":\"U8\",\"shape\":[100],\"data_offsets\":[0,100]}}", i);
        memset(file, 0, 8);
        file[0] = (uint8_t)n_header;
        memcpy(file + 8, header, n_header);
        memset(file + 8 + n_header, (int)i, 100);
        snprintf(name, sizeof name, "m-%05u-of-%05u.safetensors", i + 1, N_SHARDS);
        temp_dir_write(dir, name, file, 8 + n_header + 100);
        n_whole += 8 + n_header + 100;
    }
    rig_open(&rig, dir);
    rig_must(&rig);
    assert_int_equal(rig.opened.source.n_bytes, n_whole);
    assert_int_equal(rig.opened.map.n_tensors, N_SHARDS);
    pthread_t threads[N_READERS];
    struct reader readers[N_READERS];
    for (uint32_t i = 0; i < N_READERS; i++) {
        readers[i] = (struct reader){&rig.opened.source, whole, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, read_here_and_there, &readers[i]), 0);
    }
    for (size_t i = 0; i < N_READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].n_wrong, 0);
    }
    rig_close(&rig);
    free(whole);
    temp_dir_destroy(dir);
}

static void a_file_that_changes_its_size_meanwhile_is_noticed(void **state)
{
    (void)state;
    char *dir = temp_dir_create(), *byte = malloc(1);
    struct rig rig;
    copy(FIXTURES "hf-step1/" SHARD_1, dir, SHARD_1);
    copy(FIXTURES "hf-step1/" SHARD_2, dir, SHARD_2);
    rig = (struct rig){.memory = mth_memory_create(0)};
    assert_int_equal(mth_opened_open_any(&rig.opened, dir, 1, rig.memory, &rig.err), MTH_OK);
    copy_part(FIXTURES "hf-step1/" SHARD_2, dir, SHARD_2, 1);
    uint64_t last = rig.opened.source.n_bytes - 1;
    assert_int_equal(mth_source_read(&rig.opened.source, last, byte, 1, &rig.err), MTH_ERR_TRUNCATED);
    assert_non_null(strstr(rig.err.text, "became another"));
    rig_close(&rig);
    free(byte);
    temp_dir_destroy(dir);
}

/* ---- one file of a set ---- */

static void open_file(struct rig *rig, const char *path)
{
    *rig = (struct rig){.memory = mth_memory_create(0)};
    rig->status = mth_opened_open(&rig->opened, path, 1, rig->memory, &rig->err);
    if (!rig->status)
        rig->status = mth_opened_map(&rig->opened, MTH_N_DTYPES, &rig->err);
}

static void a_distcp_file_has_the_names_that_the_set_has(void **state)
{
    (void)state;
    struct rig set, file;
    size_t n_found = 0;
    rig_open(&set, FIXTURES "dcp-ranks");
    rig_must(&set);
    for (int rank = 0; rank < 2; rank++) {
        char path[128];
        snprintf(path, sizeof path, FIXTURES "dcp-ranks/__%d_0.distcp", rank);
        open_file(&file, path);
        rig_must(&file);
        assert_string_equal(file.opened.map.format, "dcp");
        for (size_t i = 0; i < file.opened.map.n_tensors; i++) {
            const struct mth_tensor *tensor = &file.opened.map.tensors[i];
            const char *name = mth_tensor_name(&file.opened.map, tensor);
            const struct mth_tensor *same = mth_region_map_find(&set.opened.map, name);
            assert_non_null(same);
            assert_int_equal(crc_of(&file.opened, tensor), crc_of(&set.opened, same));
            n_found++;
        }
        rig_close(&file);
    }
    assert_int_equal(n_found, set.opened.map.n_tensors);
    rig_close(&set);
}

static void a_distcp_file_alone_has_the_same_tensors_by_number(void **state)
{
    (void)state;
    char *dir = temp_dir_create(), path[512];
    struct rig with, without;
    copy(FIXTURES "dcp-step1/__0_0.distcp", dir, "__0_0.distcp");
    snprintf(path, sizeof path, "%s/__0_0.distcp", dir);
    open_file(&without, path);
    open_file(&with, FIXTURES "dcp-step1/__0_0.distcp");
    rig_must(&without);
    rig_must(&with);
    const struct mth_region_map *a = &with.opened.map, *b = &without.opened.map;
    assert_int_equal(a->n_tensors, b->n_tensors);
    assert_int_equal(a->n_regions, b->n_regions);
    for (size_t i = 0; i < a->n_tensors; i++) {
        assert_int_equal(a->tensors[i].region, b->tensors[i].region);
        assert_int_equal(a->tensors[i].dtype, b->tensors[i].dtype);
        const char *number = mth_tensor_name(b, &b->tensors[i]);
        assert_true(number[0] >= '0' && number[0] <= '9');
    }
    for (size_t i = 0; i < a->n_regions; i++)
        assert_int_equal(a->regions[i].offset, b->regions[i].offset);
    rig_close(&with);
    rig_close(&without);
    temp_dir_destroy(dir);
}

static void damage_that_hides_the_metadata_costs_the_names_alone(void **state)
{
    (void)state;
    char *dir = temp_dir_create(), path[512];
    struct mth_error why = {0};
    struct rig rig;
    bool is_opaque = true;
    copy(FIXTURES "dcp-step1/__0_0.distcp", dir, "__0_0.distcp");
    write_text(dir, ".metadata", "\x80\4not a pickle");
    snprintf(path, sizeof path, "%s/__0_0.distcp", dir);
    open_file(&rig, path);
    assert_int_equal(rig.status, MTH_ERR_FORMAT);
    rig_close(&rig);
    rig = (struct rig){.memory = mth_memory_create(0)};
    assert_int_equal(mth_opened_open_file(&rig.opened, path, rig.memory, &rig.err), MTH_OK);
    assert_int_equal(mth_opened_map_any(&rig.opened, MTH_N_DTYPES, &is_opaque, &why, &rig.err), MTH_OK);
    assert_false(is_opaque);
    assert_true(rig.opened.map.n_tensors > 10);
    rig_close(&rig);
    temp_dir_destroy(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_of_a_set_is_what_its_writer_says),
        cmocka_unit_test(the_leading_file_stands_for_the_set),
        cmocka_unit_test(shards_do_without_an_index),
        cmocka_unit_test(an_index_and_its_shards_must_agree),
        cmocka_unit_test(metadata_of_the_first_versions_says_the_same),
        cmocka_unit_test(a_missing_or_short_file_of_dcp_is_told),
        cmocka_unit_test(many_files_are_read_by_several_threads),
        cmocka_unit_test(a_file_that_changes_its_size_meanwhile_is_noticed),
        cmocka_unit_test(a_distcp_file_has_the_names_that_the_set_has),
        cmocka_unit_test(a_distcp_file_alone_has_the_same_tensors_by_number),
        cmocka_unit_test(damage_that_hides_the_metadata_costs_the_names_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
