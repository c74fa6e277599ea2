/*
 * Laws of torch.distributed.checkpoint on .metadata and .distcp files made by hand: names, what lies between the items, and
 * what is refused. tests/test_sets.c has what PyTorch itself wrote.
 */
#include "tests/support/dcp_builder.h"
#include "tests/support/torch_files.h"
#include "tests/support/zip_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Names of the tensors in their order, a space behind each. */
static void names_are(const struct mapped *mapped, const char *wanted)
{
    char found[1024] = "";
    if (mapped->status)
        print_error("%s\n", mapped->err.text);
    assert_int_equal(mapped->status, MTH_OK);
    for (size_t i = 0; i < mapped->map.n_tensors; i++) {
        size_t n = strlen(found);
        snprintf(found + n, sizeof found - n, "%s ", mth_tensor_name(&mapped->map, &mapped->map.tensors[i]));
    }
    assert_string_equal(found, wanted);
}

static void refused(struct mapped *mapped, int status, const char *words)
{
    if (mapped->status != status || !strstr(mapped->err.text, words))
        print_error("wanted %s and '%s', got %s: %s\n", mth_status_name(status), words,
                    mth_status_name(mapped->status), mapped->err.text);
    assert_int_equal(mapped->status, status);
    assert_non_null(strstr(mapped->err.text, words));
    unmap(mapped);
}

/* ---- names ---- */

static void items_are_named_as_the_metadata_says(void **state)
{
    (void)state;
    static const char object[] = "}(\x8c\4lossK\1\x8c\1t" VECTOR "u.", nothing[] = "K\5.";
    struct mth_buffer file = {0}, metadata = {0};
    struct mapped mapped;
    int32_t sizes[6], at = 0;
    sizes[0] = (int32_t)dcp_put_tensor(&file);
    sizes[1] = (int32_t)dcp_put_pickle(&file, object, sizeof object - 1);
    sizes[2] = (int32_t)dcp_put_tensor(&file);
    sizes[3] = (int32_t)dcp_put_pickle(&file, nothing, sizeof nothing - 1);
    sizes[4] = (int32_t)dcp_put_tensor(&file);
    sizes[5] = (int32_t)dcp_put_tensor(&file);
    static const struct {
        const char *name, *place;
    } items[] = {{"model.w", DCP_PLACE_1("\0")},
                 {"train", DCP_NO_PLACE},
                 {"big.exp_avg", DCP_PLACE_2("\x10", "\3")},
                 {"step", DCP_NO_PLACE},
                 {"big.exp_avg", DCP_PLACE_2("\0", "\0")},
                 {"scalar", DCP_PLACE_0}};
    dcp_begin(&metadata);
    for (size_t i = 0; i < 6; at += sizes[i++])
        dcp_item(&metadata, items[i].name, items[i].place, "a.distcp", at, sizes[i]);
    /* A chunk in a file of another rank is one all the same. */
    dcp_item(&metadata, "scalar", DCP_PLACE_1("\7"), "b.distcp", 0, 100);
    dcp_end(&metadata);
    dcp_map(&mapped, &metadata, &file, 0);
    names_are(&mapped, "model.w train.t big.exp_avg@16,3 big.exp_avg@0,0 scalar ");
    assert_string_equal(mapped.map.format, "dcp");
    assert_int_equal(mapped.map.tensors[2].role, MTH_ROLE_ADAM_M);
    for (size_t i = 0; i < mapped.map.n_tensors; i++)
        assert_int_equal(mapped.map.tensors[i].n_elems, 3);
    unmap(&mapped);
    free(file.data);
    free(metadata.data);
}

static void states_find_their_parameters_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *param;
    } items[] = {{"model.a.weight", NULL},
                 {"optim.state.a.weight.exp_avg", "model.a.weight"},
                 {"optim.state.a.weight.max_exp_avg_sq", "model.a.weight"},
                 {"optim.state.b.weight.exp_avg", NULL},
                 {"state.model.a.weight.step", "model.a.weight"},
                 {"model.state.proj.weight", NULL},
                 {"optim.state.exp_avg", NULL}};
    enum { N = sizeof items / sizeof items[0] };
    struct mth_buffer file = {0}, metadata = {0};
    struct mapped mapped;
    dcp_begin(&metadata);
    for (size_t i = 0; i < N; i++) {
        int32_t at = (int32_t)file.n_bytes;
        dcp_item(&metadata, items[i].name, DCP_PLACE_1("\0"), "a.distcp", at, (int32_t)dcp_put_tensor(&file));
    }
    dcp_end(&metadata);
    dcp_map(&mapped, &metadata, &file, 0);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mapped.map.n_tensors, N);
    for (size_t i = 0; i < N; i++) {
        const struct mth_tensor *tensor = &mapped.map.tensors[i],
                                *param = mth_tensor_param(&mapped.map, tensor);
        assert_string_equal(mth_tensor_name(&mapped.map, tensor), items[i].name);
        assert_string_equal(param ? mth_tensor_name(&mapped.map, param) : "none",
                            items[i].param ? items[i].param : "none");
    }
    /* Of a parameter's state what is none of Adam's is no weight; a module may be called "state". */
    assert_int_equal(mapped.map.tensors[2].role, MTH_ROLE_OTHER);
    assert_int_equal(mapped.map.tensors[5].role, MTH_ROLE_WEIGHT);
    unmap(&mapped);
    free(file.data);
    free(metadata.data);
}

static void what_is_no_item_is_opaque(void **state)
{
    (void)state;
    struct mth_buffer file = {0}, metadata = {0};
    struct mapped mapped;
    dcp_put_text(&file, "before");
    int32_t n = (int32_t)dcp_put_tensor(&file), other = (int32_t)file.n_bytes;
    dcp_put_text(&file, "bytes of an object");
    int32_t last = (int32_t)file.n_bytes;
    dcp_put_text(&file, "behind");
    dcp_begin(&metadata);
    /* In any order. */
    dcp_item(&metadata, "o", DCP_NO_PLACE, "a.distcp", other, last - other);
    dcp_item(&metadata, "w", DCP_PLACE_1("\0"), "a.distcp", 6, n);
    dcp_item(&metadata, "empty", DCP_NO_PLACE, "a.distcp", 8, 0);
    dcp_end(&metadata);
    dcp_map(&mapped, &metadata, &file, 0);
    names_are(&mapped, "w ");
    assert_int_equal(mapped.map.regions[0].n_bytes, 6);
    assert_int_equal(mapped.map.regions[0].dtype, MTH_DTYPE_OPAQUE);
    assert_int_equal(mapped.map.regions[mapped.map.n_regions - 1].n_bytes, 6);
    unmap(&mapped);
    free(file.data);
    free(metadata.data);
}

static void items_of_extensions_are_opaque(void **state)
{
    (void)state;
    struct mth_buffer file = {0}, metadata = {0};
    struct mapped mapped;
    dcp_put_text(&file, "(\xb5/\xfd packed by somebody");
    dcp_begin(&metadata);
    dcp_item(&metadata, "w", DCP_PLACE_1("\0"), "a.distcp", 0, (int32_t)file.n_bytes);
    dcp_end(&metadata);
    dcp_map(&mapped, &metadata, &file, 0);
    refused(&mapped, MTH_ERR_FORMAT, "item 'w' at byte 0: there is no archive of torch.save");
    /* The same with descriptors: they go before the "ub" of the info and the end of all. */
    metadata.n_bytes -= strlen("ubuub.");
    dcp_put_string(&metadata, "transform_descriptors");
    dcp_put_text(&metadata, "](");
    dcp_put_string(&metadata, "stream.zstd");
    dcp_put_text(&metadata, "eubuub.");
    dcp_map(&mapped, &metadata, &file, 0);
    names_are(&mapped, "");
    assert_int_equal(mapped.map.n_regions, 1);
    unmap(&mapped);
    free(file.data);
    free(metadata.data);
}

static void a_file_that_the_metadata_does_not_name_goes_by_numbers(void **state)
{
    (void)state;
    struct mth_buffer file = {0}, metadata = {0};
    struct mapped mapped;
    dcp_put_tensor(&file);
    dcp_put_tensor(&file);
    dcp_begin(&metadata);
    dcp_item(&metadata, "w", DCP_PLACE_1("\0"), "other.distcp", 0, 10);
    dcp_end(&metadata);
    dcp_map(&mapped, &metadata, &file, 0);
    names_are(&mapped, "0 1 ");
    unmap(&mapped);
    free(file.data);
    free(metadata.data);
}

/* ---- without metadata ---- */

static void archives_are_found_from_the_end(void **state)
{
    (void)state;
    static const char object[] = "}(\x8c\1a" VECTOR "\x8c\1b" VECTOR "u.";
    static const char pickle[] = VECTOR ".";
    static const uint8_t zeros[STORAGE_BYTES];
    struct mth_buffer file = {0};
    struct mapped mapped;
    /* What lies before the first is opaque. */
    dcp_put_text(&file, "something else");
    dcp_put_tensor(&file);
    struct zip_builder builder = {.is_zip64 = true};
    zip_builder_store(&builder, "archive/data.pkl", pickle, sizeof pickle - 1);
    zip_builder_store(&builder, "archive/data/0", zeros, sizeof zeros);
    struct mth_buffer zip64 = zip_builder_finish(&builder, NULL);
    dcp_put(&file, zip64.data, zip64.n_bytes);
    dcp_put_pickle(&file, object, sizeof object - 1);
    dcp_map(&mapped, NULL, &file, 0);
    names_are(&mapped, "0 1 2.a 2.b ");
    assert_int_equal(mapped.map.regions[0].n_bytes, 14);
    unmap(&mapped);
    /* With anything behind the last there is none. */
    dcp_put_text(&file, ".");
    dcp_map(&mapped, NULL, &file, 0);
    refused(&mapped, MTH_ERR_FORMAT, "no archive of torch.save ends where the file ends");
    free(zip64.data);
    free(file.data);
}

static void short_files_hold_no_archive(void **state)
{
    (void)state;
    struct mth_buffer whole = {0};
    dcp_put_tensor(&whole);
    for (size_t n = 0; n < whole.n_bytes; n++) {
        struct mth_buffer cut = {.data = whole.data, .n_bytes = n};
        struct mapped mapped;
        dcp_map(&mapped, NULL, &cut, 0);
        refused(&mapped, MTH_ERR_FORMAT, "");
        /* And the last bytes alone. */
        cut.data = whole.data + whole.n_bytes - n;
        dcp_map(&mapped, NULL, &cut, 0);
        refused(&mapped, MTH_ERR_FORMAT, "");
    }
    free(whole.data);
}

/* ---- lies ---- */

/* An item of a file that holds one archive. */
static void item_refused(const char *name, const char *place, const char *path, int32_t offset,
                         int32_t n_bytes, int status, const char *words)
{
    struct mth_buffer file = {0}, metadata = {0};
    struct mapped mapped;
    dcp_put_tensor(&file);
    dcp_begin(&metadata);
    dcp_item(&metadata, name, place, path, offset, n_bytes);
    dcp_end(&metadata);
    dcp_map(&mapped, &metadata, &file, 0);
    refused(&mapped, status, words);
    free(file.data);
    free(metadata.data);
}

static void items_that_lie_are_refused(void **state)
{
    (void)state;
    static const char at_1[] = DCP_PLACE_1("\0");
    item_refused("w", at_1, "a.distcp", 0, 1 << 20, MTH_ERR_TRUNCATED,
                 "item 'w' at byte 0: the metadata says that it ends behind");
    item_refused("w", at_1, "a.distcp", 1 << 30, 1, MTH_ERR_TRUNCATED, "ends behind the file");
    item_refused("w", at_1, "a.distcp", -1, 10, MTH_ERR_FORMAT, "is no range");
    item_refused("w", at_1, "a.distcp", 0, -1, MTH_ERR_FORMAT, "is no range");
    item_refused("w", at_1, "a.distcp", 1, 100, MTH_ERR_FORMAT, "no archive");
    item_refused("w", at_1, "a.distcp", 0, 3, MTH_ERR_FORMAT, "no archive");
    item_refused("w", at_1, "a.distcp", 0, 100, MTH_ERR_TRUNCATED, "without its directory at the end");
    item_refused("w", at_1, "../a.distcp", 0, 10, MTH_ERR_FORMAT, "no plain name");
    item_refused("w", at_1, "/etc/passwd", 0, 10, MTH_ERR_FORMAT, "no plain name");
    item_refused("w", at_1, "", 0, 10, MTH_ERR_FORMAT, "no plain name");
    item_refused("w", at_1, "..", 0, 10, MTH_ERR_FORMAT, "no plain name");
    item_refused("w", "K\3R", "a.distcp", 0, 10, MTH_ERR_FORMAT, "");
    item_refused("w", "ctorch\nSize\nJ\xff\xff\xff\xff\x85\x85R", "a.distcp", 0, 10, MTH_ERR_FORMAT,
                 "no list of numbers");
    item_refused("w", "ctorch\nSize\n]\x85R", "a.distcp", 0, 10, MTH_ERR_FORMAT, "no list of numbers");
    item_refused("a\nb", at_1, "a.distcp", 0, 1 << 20, MTH_ERR_TRUNCATED, "item 'a?b'");
}

static void items_that_overlap_are_refused(void **state)
{
    (void)state;
    struct mth_buffer file = {0}, metadata = {0};
    struct mapped mapped;
    int32_t n = (int32_t)dcp_put_tensor(&file);
    dcp_begin(&metadata);
    dcp_item(&metadata, "a", DCP_PLACE_1("\0"), "a.distcp", 0, n);
    dcp_item(&metadata, "b", DCP_PLACE_1("\0"), "a.distcp", n - 1, 1);
    dcp_end(&metadata);
    dcp_map(&mapped, &metadata, &file, 0);
    refused(&mapped, MTH_ERR_FORMAT, "item 'b' at byte");
    metadata.n_bytes = 0;
    dcp_begin(&metadata);
    dcp_item(&metadata, "a", DCP_PLACE_1("\0"), "a.distcp", 0, n);
    dcp_item(&metadata, "b", DCP_PLACE_1("\0"), "a.distcp", 0, n);
    dcp_end(&metadata);
    dcp_map(&mapped, &metadata, &file, 0);
    refused(&mapped, MTH_ERR_FORMAT, "begins inside the one before it");
    free(file.data);
    free(metadata.data);
}

static void read_refused(const void *pickle, size_t n_pickle, int status, const char *words)
{
    struct mth_buffer metadata = {.data = (uint8_t *)(uintptr_t)pickle, .n_bytes = n_pickle}, file = {0};
    struct mapped mapped;
    dcp_map(&mapped, &metadata, &file, 0);
    refused(&mapped, status, words);
}

#define M                                   "\x80\2ctorch.distributed.checkpoint.metadata\nMetadata\n)\x81"
#define DATA(d)                             M "}\x8c\x0cstorage_data" d "sb."
#define INDEX(s)                            "ctorch.distributed.checkpoint.metadata\nMetadataIndex\n)\x81" s "b"
#define INFO(s)                             "ctorch.distributed.checkpoint.filesystem\n_StorageInfo\n)\x81" s "b"
#define READ_REFUSED(pickle, status, words) read_refused(pickle, sizeof(pickle) - 1, status, words)

static void metadata_that_is_none_is_refused(void **state)
{
    (void)state;
    READ_REFUSED("", MTH_ERR_TRUNCATED, "");
    READ_REFUSED("PK\3\4", MTH_ERR_TRUNCATED, "");
    READ_REFUSED("\x80\2K\1.", MTH_ERR_FORMAT, "none of its Metadata");
    READ_REFUSED("\x80\2}.", MTH_ERR_FORMAT, "none of its Metadata");
    READ_REFUSED("\x80\2ctorch\nOther\n)\x81}b.", MTH_ERR_FORMAT, "none of its Metadata");
    READ_REFUSED(M "}b.", MTH_ERR_UNSUPPORTED, "does not say where its items lie");
    READ_REFUSED(M "Nb.", MTH_ERR_UNSUPPORTED, "does not say where its items lie");
    READ_REFUSED(DATA("N"), MTH_ERR_UNSUPPORTED, "does not say where its items lie");
    READ_REFUSED(DATA("]"), MTH_ERR_UNSUPPORTED, "does not say where its items lie");
    READ_REFUSED(DATA("}K\1K\2s"), MTH_ERR_UNSUPPORTED, "not PyTorch's file system");
    READ_REFUSED(DATA("}" INDEX("}") "K\2s"), MTH_ERR_UNSUPPORTED, "not PyTorch's file system");
    READ_REFUSED(DATA("}" INDEX("}") INFO("}") "s"), MTH_ERR_FORMAT, "without a name or a file");
    READ_REFUSED(DATA("}" INDEX("}\x8c\3fqnK\1s") INFO("}") "s"), MTH_ERR_FORMAT, "without a name or a file");
    READ_REFUSED(DATA("}" INDEX("}\x8c\3fqn\x8c\1ws") INFO("}") "s"), MTH_ERR_FORMAT,
                 "without a name or a file");
    READ_REFUSED(DATA("}" INDEX("}\x8c\3fqn\x8c\1ws") INFO("}\x8c\x0drelative_path\x8c\1fs") "s"),
                 MTH_ERR_FORMAT, "is no range");
}

static void metadata_that_goes_in_circles_ends(void **state)
{
    (void)state;
    /* storage_data holds itself; a state that is its own object; an index that is its own name. */
    READ_REFUSED(DATA("}q\1h\1h\1s"), MTH_ERR_UNSUPPORTED, "not PyTorch's file system");
    READ_REFUSED("\x80\2ctorch.distributed.checkpoint.metadata\nMetadata\n)\x81q\1h\1b.", MTH_ERR_UNSUPPORTED,
                 "does not say where");
    READ_REFUSED(
        DATA("}ctorch.distributed.checkpoint.metadata\nMetadataIndex\n)\x81q\2}\x8c\3fqnh\2sb" INFO("}") "s"),
        MTH_ERR_FORMAT, "without a name or a file");
    /* Attributes of classes with slots are a pair; one that holds itself is no dict. */
    READ_REFUSED("\x80\2ctorch.distributed.checkpoint.metadata\nMetadata\n)\x81q\1NN\x86"
                 "b.",
                 MTH_ERR_UNSUPPORTED, "does not say where");
}

static void attributes_in_slots_are_read_too(void **state)
{
    (void)state;
    static const char pickle[] = M "N}\x8c\x0cstorage_data}s\x86"
                                   "b.";
    struct mth_buffer metadata = {.data = (uint8_t *)(uintptr_t)pickle, .n_bytes = sizeof pickle - 1},
                      file = {0};
    struct mapped mapped;
    dcp_put_tensor(&file);
    dcp_map(&mapped, &metadata, &file, 0);
    names_are(&mapped, "0 ");
    unmap(&mapped);
    free(file.data);
}

/* ---- bombs ---- */

/* Dicts of many fields that all items share would be looked through for each of them. */
static void shared_attributes_of_many_fields_are_not_looked_through(void **state)
{
    (void)state;
    enum { N_FIELDS = 20000, N_ITEMS = 20000 };
    struct mth_buffer metadata = {0}, file = {0};
    struct mapped mapped;
    dcp_put_text(&metadata, "\x80\2}q\1(");
    for (int i = 0; i < N_FIELDS; i++) {
        char number[16];
        snprintf(number, sizeof number, "I%d\n", i);
        dcp_put_text(&metadata, number);
        dcp_put_text(&metadata, "N");
    }
    dcp_put_text(&metadata, "u0");
    dcp_put_text(&metadata, &M[2]);
    dcp_put_text(&metadata, "}\x8c\x0cstorage_data}(");
    for (int i = 0; i < N_ITEMS; i++)
        dcp_put_text(&metadata, INDEX("h\1") INFO("h\1"));
    dcp_put_text(&metadata, "usb.");
    dcp_map(&mapped, &metadata, &file, 0);
    refused(&mapped, MTH_ERR_FORMAT, "without a name or a file");
    free(metadata.data);
}

/* Archives whose pickles name one tensor over and over, below a name as long as it may be. */
static void archives_that_multiply_names_are_cut_short(void **state)
{
    (void)state;
    enum { N_ARCHIVES = 100, N_TIMES = 900, N_NAME = 16000 };
    struct mth_buffer pickle = {0}, file = {0}, metadata = {0};
    struct mapped mapped;
    size_t n_each = 0;
    char *name = malloc(N_NAME + 1);
    memset(name, 'n', N_NAME);
    name[N_NAME] = '\0';
    static const char vector[] = VECTOR;
    dcp_put_text(&pickle, "](");
    dcp_put(&pickle, vector, sizeof vector - 1);
    dcp_put_text(&pickle, "q\1");
    for (int i = 1; i < N_TIMES; i++)
        dcp_put_text(&pickle, "h\1");
    dcp_put_text(&pickle, "e.");
    for (int i = 0; i < N_ARCHIVES; i++)
        n_each = dcp_put_pickle(&file, pickle.data, pickle.n_bytes);
    dcp_begin(&metadata);
    for (int i = 0; i < N_ARCHIVES; i++) {
        name[0] = (char)('a' + i % 26);
        name[1] = (char)('a' + i / 26);
        dcp_item(&metadata, name, DCP_NO_PLACE, "a.distcp", (int32_t)((size_t)i * n_each), (int32_t)n_each);
    }
    dcp_end(&metadata);
    dcp_map(&mapped, &metadata, &file, 128 << 20);
    refused(&mapped, MTH_ERR_LIMIT, "outgrows");
    free(name);
    free(pickle.data);
    free(file.data);
    free(metadata.data);
}

/* ---- damage ---- */

static void make_pair(struct mth_buffer *metadata, struct mth_buffer *file)
{
    int32_t n = (int32_t)dcp_put_tensor(file);
    dcp_put_tensor(file);
    dcp_begin(metadata);
    dcp_item(metadata, "w", DCP_PLACE_1("\0"), "a.distcp", 0, n);
    dcp_item(metadata, "w", DCP_PLACE_1("\3"), "a.distcp", n, (int32_t)file->n_bytes - n);
    dcp_end(metadata);
}

/* dcp_map checks that whatever comes out is a sound map or one line. */
static void every_bit_flip_gives_a_map_or_a_line(void **state)
{
    (void)state;
    struct mth_buffer metadata = {0}, file = {0};
    size_t n_refused = 0, n_bits;
    make_pair(&metadata, &file);
    n_bits = 8 * (metadata.n_bytes + file.n_bytes);
    for (size_t bit = 0; bit < n_bits; bit++) {
        struct mapped mapped;
        uint8_t *byte =
            bit / 8 < metadata.n_bytes ? &metadata.data[bit / 8] : &file.data[bit / 8 - metadata.n_bytes];
        *byte ^= (uint8_t)(1u << bit % 8);
        dcp_map(&mapped, &metadata, &file, 0);
        *byte ^= (uint8_t)(1u << bit % 8);
        n_refused += mapped.status != MTH_OK;
        unmap(&mapped);
    }
    assert_true(n_refused > n_bits / 8);
    free(metadata.data);
    free(file.data);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct mth_buffer metadata = {0}, file = {0};
    make_pair(&metadata, &file);
    for (size_t n = 0; n < metadata.n_bytes + file.n_bytes; n++) {
        struct mth_buffer cut = n < metadata.n_bytes ? metadata : file;
        cut.n_bytes = n < metadata.n_bytes ? n : n - metadata.n_bytes;
        struct mapped mapped;
        dcp_map(&mapped, n < metadata.n_bytes ? &cut : &metadata, n < metadata.n_bytes ? &file : &cut, 0);
        assert_int_not_equal(mapped.status, MTH_OK);
        unmap(&mapped);
    }
    free(metadata.data);
    free(file.data);
}

static void a_refusal_for_lack_of_memory_holds_none(void **state)
{
    (void)state;
    struct mth_buffer metadata = {0}, file = {0};
    bool is_mapped = false;
    make_pair(&metadata, &file);
    for (size_t limit = 1000; !is_mapped; limit += limit / 8) {
        struct mapped mapped;
        dcp_map(&mapped, &metadata, &file, limit);
        is_mapped = mapped.status == MTH_OK;
        assert_true(is_mapped || mapped.status == MTH_ERR_NO_MEMORY);
        assert_true(limit < 2 << 20);
        unmap(&mapped);
    }
    free(metadata.data);
    free(file.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_named_as_the_metadata_says),
        cmocka_unit_test(states_find_their_parameters_by_name),
        cmocka_unit_test(what_is_no_item_is_opaque),
        cmocka_unit_test(items_of_extensions_are_opaque),
        cmocka_unit_test(a_file_that_the_metadata_does_not_name_goes_by_numbers),
        cmocka_unit_test(archives_are_found_from_the_end),
        cmocka_unit_test(short_files_hold_no_archive),
        cmocka_unit_test(items_that_lie_are_refused),
        cmocka_unit_test(items_that_overlap_are_refused),
        cmocka_unit_test(metadata_that_is_none_is_refused),
        cmocka_unit_test(metadata_that_goes_in_circles_ends),
        cmocka_unit_test(attributes_in_slots_are_read_too),
        cmocka_unit_test(shared_attributes_of_many_fields_are_not_looked_through),
        cmocka_unit_test(archives_that_multiply_names_are_cut_short),
        cmocka_unit_test(every_bit_flip_gives_a_map_or_a_line),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(a_refusal_for_lack_of_memory_holds_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
