/* Laws of the safetensors reader on valid files: what is mapped, in which order, at what cost. */
#include "formats/json_guard.h"
#include "formats/param_names.h"
#include "formats/safetensors_header.h"
#include "tests/support/map_bytes.h"
#include "tests/support/safetensors_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The format's own table, apart from ours: 22 dtypes and the bits of one element. */
static const struct {
    const char *name;
    enum mth_dtype dtype;
    unsigned bits;
} every_dtype[] = {
    {"BOOL", MTH_DTYPE_BOOL, 8},
    {"U8", MTH_DTYPE_U8, 8},
    {"I8", MTH_DTYPE_I8, 8},
    {"F8_E5M2", MTH_DTYPE_F8_E5M2, 8},
    {"F8_E4M3", MTH_DTYPE_F8_E4M3, 8},
    {"F8_E8M0", MTH_DTYPE_F8_E8M0, 8},
    {"F8_E4M3FNUZ", MTH_DTYPE_F8_E4M3FNUZ, 8},
    {"F8_E5M2FNUZ", MTH_DTYPE_F8_E5M2FNUZ, 8},
    {"I16", MTH_DTYPE_I16, 16},
    {"U16", MTH_DTYPE_U16, 16},
    {"F16", MTH_DTYPE_F16, 16},
    {"BF16", MTH_DTYPE_BF16, 16},
    {"I32", MTH_DTYPE_I32, 32},
    {"U32", MTH_DTYPE_U32, 32},
    {"F32", MTH_DTYPE_F32, 32},
    {"F64", MTH_DTYPE_F64, 64},
    {"I64", MTH_DTYPE_I64, 64},
    {"U64", MTH_DTYPE_U64, 64},
    {"C64", MTH_DTYPE_C64, 64},
    {"F4", MTH_DTYPE_F4, 4},
    {"F6_E2M3", MTH_DTYPE_F6_E2M3, 6},
    {"F6_E3M2", MTH_DTYPE_F6_E3M2, 6},
};

enum { N_EVERY_DTYPE = sizeof every_dtype / sizeof every_dtype[0] };

/* Maps a file that must be fine; frees it. */
static void map_and_free(struct mapped *mapped, struct mth_buffer file)
{
    map_bytes(mapped, "test.safetensors", file.data, file.n_bytes);
    free(file.data);
    if (mapped->status)
        print_error("%s\n", mapped->err.text);
    assert_int_equal(mapped->status, MTH_OK);
}

static const struct mth_tensor *tensor_named(const struct mapped *mapped, const char *name)
{
    const struct mth_tensor *tensor = mth_region_map_find(&mapped->map, name);
    assert_non_null(tensor);
    return tensor;
}

static void every_dtype_of_the_format_is_mapped(void **state)
{
    (void)state;
    const uint64_t shape[] = {3, 4};
    struct safetensors_builder builder = {0};
    for (size_t i = 0; i < N_EVERY_DTYPE; i++)
        safetensors_builder_add(&builder, every_dtype[i].name, every_dtype[i].name, shape, 2, NULL,
                                12 * every_dtype[i].bits / 8);
    size_t n_data = builder.data.n_bytes;
    struct mth_buffer file = safetensors_builder_finish(&builder, 0);
    uint64_t offset = file.n_bytes - n_data;
    struct mapped mapped;
    map_and_free(&mapped, file);

    assert_string_equal(mapped.map.format, "safetensors");
    assert_int_equal(mapped.map.n_tensors, N_EVERY_DTYPE);
    assert_int_equal(mapped.map.n_regions, N_EVERY_DTYPE + 1);
    assert_int_equal(mapped.map.regions[0].dtype, MTH_DTYPE_OPAQUE);
    assert_int_equal(mapped.map.regions[0].n_bytes, offset);
    for (size_t i = 0; i < N_EVERY_DTYPE; i++) {
        const struct mth_tensor *tensor = &mapped.map.tensors[i];
        const struct mth_region *region = &mapped.map.regions[i + 1];
        assert_string_equal(mth_tensor_name(&mapped.map, tensor), every_dtype[i].name);
        assert_int_equal(tensor->dtype, every_dtype[i].dtype);
        assert_int_equal(tensor->region, i + 1);
        assert_int_equal(tensor->offset_bytes, 0);
        assert_int_equal(tensor->n_elems, 12);
        assert_int_equal(tensor->n_dims, 2);
        assert_memory_equal(mth_tensor_shape(&mapped.map, tensor), shape, sizeof shape);
        assert_int_equal(region->dtype, every_dtype[i].dtype);
        assert_int_equal(region->offset, offset);
        assert_int_equal(region->n_bytes, 12 * every_dtype[i].bits / 8);
        assert_int_equal(mth_tensor_bytes(tensor), region->n_bytes);
        offset += region->n_bytes;
    }
    unmap(&mapped);
}

static void every_dtype_of_ours_is_one_of_the_format(void **state)
{
    (void)state;
    assert_int_equal(N_EVERY_DTYPE, MTH_N_DTYPES - 1);
    for (size_t i = 0; i < N_EVERY_DTYPE; i++) {
        assert_string_equal(mth_dtype_info(every_dtype[i].dtype)->name, every_dtype[i].name);
        assert_int_equal(mth_dtype_info(every_dtype[i].dtype)->bits, every_dtype[i].bits);
    }
}

static void scalars_have_one_element_and_no_dimension(void **state)
{
    (void)state;
    struct safetensors_builder builder = {0};
    safetensors_builder_add(&builder, "step", "I64", NULL, 0, NULL, 8);
    struct mapped mapped;
    map_and_free(&mapped, safetensors_builder_finish(&builder, 0));
    const struct mth_tensor *tensor = tensor_named(&mapped, "step");
    assert_int_equal(tensor->n_dims, 0);
    assert_int_equal(tensor->n_elems, 1);
    assert_int_equal(tensor->region, 1);
    unmap(&mapped);
}

static void empty_tensors_have_no_region_wherever_they_lie(void **state)
{
    (void)state;
    const uint64_t none[] = {4, 0, UINT64_MAX}, two[] = {2};
    struct safetensors_builder builder = {0};
    safetensors_builder_add(&builder, "first", "F32", none, 2, NULL, 0);
    safetensors_builder_add(&builder, "a", "F32", two, 1, NULL, 8);
    safetensors_builder_add(&builder, "middle", "F4", none, 2, NULL, 0);
    safetensors_builder_add(&builder, "b", "F32", two, 1, NULL, 8);
    safetensors_builder_add(&builder, "last", "F64", none, 3, NULL, 0);
    struct mapped mapped;
    map_and_free(&mapped, safetensors_builder_finish(&builder, 0));
    static const char *const order[] = {"first", "a", "middle", "b", "last"};
    assert_int_equal(mapped.map.n_tensors, 5);
    assert_int_equal(mapped.map.n_regions, 3);
    for (size_t i = 0; i < 5; i++) {
        const struct mth_tensor *tensor = &mapped.map.tensors[i];
        assert_string_equal(mth_tensor_name(&mapped.map, tensor), order[i]);
        assert_int_equal(tensor->n_elems, i % 2 ? 2 : 0);
        assert_int_equal(tensor->region, i % 2 ? (i + 1) / 2 : MTH_NO_REGION);
    }
    unmap(&mapped);
}

static void tensors_come_in_file_order_whatever_the_order_of_the_header(void **state)
{
    (void)state;
    /* Every order of four entries; e is empty and lies where c begins. */
    static const char *const entries[] = {
        "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}",
        "\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[3,3]}",
        "\"c\":{\"shape\":[1,2],\"data_offsets\":[3,7],\"dtype\":\"F16\"}",
        "\"d\":{\"data_offsets\":[7,8],\"dtype\":\"I8\",\"shape\":[1]}",
    };
    for (unsigned order = 0; order < 4 * 4 * 4 * 4; order++) {
        unsigned at[] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6 & 3};
        if ((1u << at[0] | 1u << at[1] | 1u << at[2] | 1u << at[3]) != 15)
            continue;
        char header[512];
        int n = snprintf(header, sizeof header, "{%s,%s,%s,%s}", entries[at[0]], entries[at[1]],
                         entries[at[2]], entries[at[3]]);
        struct mapped mapped;
        map_and_free(&mapped, safetensors_wrap(header, (size_t)n, 8));
        assert_int_equal(mapped.map.n_tensors, 4);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(mth_tensor_name(&mapped.map, &mapped.map.tensors[i])[0], "aecd"[i]);
        unmap(&mapped);
    }
}

/* As people name them who write an optimizer's state to such a file. */
static void states_find_their_parameters_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *param;
    } items[] = {{"step_of.all", NULL}, /* the first part of a name need not be the model's */
                 {"model.a.weight", NULL},
                 {"optimizer.state.a.weight.exp_avg", "model.a.weight"},
                 {"optimizer.state.model.a.weight.exp_avg_sq", "model.a.weight"},
                 {"optim.a.weight.step", "model.a.weight"},
                 {"b.weight", NULL},
                 {"b.weight.exp_avg", "b.weight"},
                 {"optim.b.weight.exp_avg_sq", "b.weight"},
                 {"c.weight.exp_avg", NULL},
                 {"exp_avg", NULL},
                 {"opt.a.weight.exp_avg_sq", "model.a.weight"},
                 {"other.a.weight.exp_avg", NULL},
                 /* A part of a tensor has the part at the same place. */
                 {"model.d.weight", NULL},
                 {"model.d.weight@16,0", NULL},
                 {"optim.state.d.weight.exp_avg@16,0", "model.d.weight@16,0"},
                 {"optim.state.d.weight.exp_avg@32,0", NULL},
                 {"e.weight", NULL},
                 {"e.weight@4", NULL},
                 {"e.weight.exp_avg@4", "e.weight@4"},
                 /* As Megatron calls what it keeps: first what it is, then of what; buffers side by side. */
                 {"optimizer.state.fp32_param.dec.w", NULL},
                 {"optimizer.state.exp_avg.dec.w", "optimizer.state.fp32_param.dec.w"},
                 {"optimizer.state.exp_avg_sq.dec.w", "optimizer.state.fp32_param.dec.w"},
                 {"optimizer.state.exp_avg.b.weight", "b.weight"},
                 {"optimizer.state.exp_avg_sq.a.weight", "model.a.weight"},
                 {"optimizer.state.exp_avg.lost", NULL},
                 {"0.?.param", NULL},
                 {"0.?.exp_avg", "0.?.param"},
                 {"0.?.exp_avg_sq", "0.?.param"},
                 {"1.?.exp_avg", NULL},
                 {"0.?.param@8", NULL},
                 {"0.?.exp_avg@8", "0.?.param@8"},
                 /* Nothing is kept of itself. */
                 {"exp_avg.bias", NULL},
                 {"exp_avg.exp_avg.exp_avg", NULL}};
    struct safetensors_builder builder = {0};
    struct mapped mapped;
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++)
        safetensors_builder_add(&builder, items[i].name, "F32", (uint64_t[]){3}, 1, NULL, 12);
    map_and_free(&mapped, safetensors_builder_finish(&builder, 0));
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        const struct mth_tensor *param = mth_tensor_param(&mapped.map, &mapped.map.tensors[i]);
        assert_string_equal(param ? mth_tensor_name(&mapped.map, param) : "none",
                            items[i].param ? items[i].param : "none");
    }
    const struct mth_tensor *named = mth_region_map_find(&mapped.map, "optimizer.state.exp_avg_sq.dec.w");
    assert_int_equal(named->role, MTH_ROLE_ADAM_V);
    assert_int_equal(mth_region_map_find(&mapped.map, "optimizer.state.fp32_param.dec.w")->role,
                     MTH_ROLE_WEIGHT);
    /* What a format knows already, a name does not change. */
    mapped.map.params[2] = 5;
    assert_int_equal(mth_params_match_names(&mapped.map), MTH_OK);
    assert_int_equal(mapped.map.params[2], 5);
    assert_int_equal(mapped.map.params[3], 1);
    unmap(&mapped);
}

static void a_file_without_tensors_is_one_opaque_region(void **state)
{
    (void)state;
    struct safetensors_builder builder = {0};
    struct mapped mapped;
    map_and_free(&mapped, safetensors_builder_finish(&builder, 6));
    assert_int_equal(mapped.map.n_tensors, 0);
    assert_int_equal(mapped.map.n_regions, 1);
    assert_int_equal(mapped.map.regions[0].n_bytes, 16);
    unmap(&mapped);
}

static void what_the_reference_takes_is_taken(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}} \n\t\r ",
        "{ \"t\" :\n{ \"data_offsets\" : [ 0 , 8 ] ,\t\"shape\":[\r2\n],\"dtype\":\"F32\" } }",
        "{\"__metadata__\":{},\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"__metadata__\":null,\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"__metadata__\":{\"a\":\"b\",\"a\":"
        "\"\\u00e9\"}}",
        "{\"\\u005f_metadata__\":{\"format\":\"pt\"},\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":"
        "[0,8]}}",
        "{\"\\u0074\":{\"\\u0064type\":\"\\u004632\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"t\":{\"x\":[1,{\"dtype\":null},-1.5e3,true],\"dtype\":\"F32\",\"shape\":[2],\"y\":0,\"data_"
        "offsets\":[0,8]}}",
        "{\"t\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,8],\"data_offsets\":[0,8]}}",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct mapped mapped;
        map_and_free(&mapped, safetensors_wrap(headers[i], strlen(headers[i]), 8));
        assert_int_equal(mapped.map.n_tensors, 1);
        assert_int_equal(tensor_named(&mapped, "t")->n_elems, i == 9 ? 8 : 2);
        unmap(&mapped);
    }
}

static void names_are_unescaped_and_kept_as_utf8(void **state)
{
    (void)state;
    struct safetensors_builder builder = {0};
    safetensors_builder_add(&builder, "", "U8", NULL, 0, NULL, 1);
    safetensors_builder_add(&builder, "\\\"\\\\\\/\\b\\f\\n\\r\\t", "U8", NULL, 0, NULL, 1);
    safetensors_builder_add(&builder, "\\ud83d\\ude00\xf0\x9f\x98\x80", "U8", NULL, 0, NULL, 1);
    safetensors_builder_add(&builder, "\xc3\xa9\x7f\xef\xbf\xbf\xf4\x8f\xbf\xbf", "U8", NULL, 0, NULL, 1);
    struct mapped mapped;
    map_and_free(&mapped, safetensors_builder_finish(&builder, 0));
    tensor_named(&mapped, "");
    tensor_named(&mapped, "\"\\/\b\f\n\r\t");
    tensor_named(&mapped, "\xf0\x9f\x98\x80\xf0\x9f\x98\x80");
    tensor_named(&mapped, "\xc3\xa9\x7f\xef\xbf\xbf\xf4\x8f\xbf\xbf");
    unmap(&mapped);
}

/* A string of n bytes, every third of which is an escape. The caller frees it. */
static char *long_text(size_t n)
{
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, 'x', n);
    for (size_t i = 4; i + 2 < n; i += 6)
        memcpy(text + i, "\\n", 2);
    text[n] = '\0';
    return text;
}

static void metadata_may_be_long_without_memory(void **state)
{
    (void)state;
    char *text = long_text(3 << 20);
    struct safetensors_builder builder = {0};
    safetensors_builder_text(&builder, "{\"__metadata__\":{\"k\":\"%s\",\"%s\":\"v\\ud83d\\ude00\"}", text,
                             text);
    safetensors_builder_add(&builder, "t", "F32", NULL, 0, NULL, 4);
    free(text);
    struct mapped mapped;
    map_and_free(&mapped, safetensors_builder_finish(&builder, 3));
    assert_int_equal(mapped.map.n_tensors, 1);
    assert_true(mth_memory_peak(mapped.memory) < 400 << 10);
    unmap(&mapped);
}

static void a_long_string_is_cut_between_characters(void **state)
{
    (void)state;
    static const char unit[] = "\\ud83d\\ude00\\\\\\\"\xf0\x9f\x98\x80";
    for (size_t phase = 0; phase < sizeof unit; phase++) {
        struct safetensors_builder builder = {0};
        safetensors_builder_text(&builder, "{\"__metadata__\":{\"k\":\"%.*s", (int)phase,
                                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        for (size_t n = phase; n < MTH_JSON_STRING_MAX_BYTES + sizeof unit; n += sizeof unit - 1)
            safetensors_builder_text(&builder, "%s", unit);
        safetensors_builder_text(&builder, "\"}");
        safetensors_builder_add(&builder, "t", "F32", NULL, 0, NULL, 4);
        struct mapped mapped;
        map_and_free(&mapped, safetensors_builder_finish(&builder, 0));
        assert_int_equal(mapped.map.n_tensors, 1);
        unmap(&mapped);
    }
}

static void a_name_may_be_as_long_as_the_limit(void **state)
{
    (void)state;
    char *text = long_text(MTH_JSON_STRING_MAX_BYTES);
    /* Both must be gathered from two pieces of the header and unescaped: the most that the parser ever holds. */
    struct safetensors_builder builder = {0};
    safetensors_builder_text(&builder, "{%*s\"__metadata__\":{}", 60000, "");
    safetensors_builder_add(&builder, text, "F32", NULL, 0, NULL, 4);
    struct mapped mapped;
    map_and_free(&mapped, safetensors_builder_finish(&builder, 0));
    free(text);
    assert_int_equal(mapped.map.n_tensors, 1);
    unmap(&mapped);
}

static void metadata_in_long_characters_takes_no_more(void **state)
{
    (void)state;
    /* 60,000 bytes in 20,000 characters with escapes, across two pieces. */
    struct safetensors_builder builder = {0};
    safetensors_builder_text(&builder, "{%*s\"__metadata__\":{\"k\":\"", 40000, "");
    for (size_t i = 0; i < 20000; i++)
        safetensors_builder_text(&builder, "\xe2\x82\xac%s", i % 100 ? "" : "\\t");
    safetensors_builder_text(&builder, "\"}");
    safetensors_builder_add(&builder, "t", "F32", NULL, 0, NULL, 4);
    struct mapped mapped;
    map_and_free(&mapped, safetensors_builder_finish(&builder, 0));
    assert_int_equal(mapped.map.n_tensors, 1);
    unmap(&mapped);
}

static void tokens_may_lie_across_pieces_of_the_header(void **state)
{
    (void)state;
    static const char entry[] =
        "\"t\\u0065\xc3\xa9\":{\"dtype\":\"F32\",\"shape\":[12,100],\"data_offsets\":[0,4800]}}";
    for (size_t shift = 0; shift < sizeof entry; shift++) {
        char *header = malloc(70000);
        assert_non_null(header);
        size_t n_space = (64 << 10) - 1 - shift;
        memset(header, ' ', n_space + 1);
        header[0] = '{';
        memcpy(header + 1 + n_space, entry, sizeof entry - 1);
        struct mapped mapped;
        map_and_free(&mapped, safetensors_wrap(header, n_space + sizeof entry, 4800));
        free(header);
        const struct mth_tensor *tensor = tensor_named(&mapped, "te\xc3\xa9");
        assert_int_equal(mth_tensor_shape(&mapped.map, tensor)[0], 12);
        assert_int_equal(mth_tensor_shape(&mapped.map, tensor)[1], 100);
        unmap(&mapped);
    }
}

static struct mth_buffer file_of_many(size_t n_tensors)
{
    struct safetensors_builder builder = {0};
    for (size_t i = 0; i < n_tensors; i++) {
        char name[96];
        const uint64_t shape[] = {1, i % 3};
        snprintf(name, sizeof name, "model.layers.%zu.mlp.experts.%zu.down_proj.weight", i / 256, i % 256);
        safetensors_builder_add(&builder, name, "BF16", shape, 2, NULL, i % 3 * 2);
    }
    return safetensors_builder_finish(&builder, 0);
}

static void a_hundred_thousand_tensors_take_a_few_mib(void **state)
{
    (void)state;
    struct mapped mapped;
    map_and_free(&mapped, file_of_many(100000));
    assert_int_equal(mapped.map.n_tensors, 100000);
    assert_true(mth_memory_peak(mapped.memory) < 24 << 20);
    unmap(&mapped);
}

/* Maps a header as it is and with a space before its second entry (of three). True when both have a map, and the same. */
static bool is_read_alike(const char *first, const char *second, const char *third)
{
    struct mapped mapped[2];
    for (size_t i = 0; i < 2; i++) {
        char text[512];
        size_t n = (size_t)snprintf(text, sizeof text, "%s%s%s%s%s", first, i ? " " : "", second, third,
                                    i ? "" : " ");
        struct mth_buffer file = safetensors_wrap(text, n, 8);
        map_bytes(&mapped[i], "entry.safetensors", file.data, file.n_bytes);
        free(file.data);
    }
    if (mapped[0].status != mapped[1].status)
        fail_msg("%s: %s, and with a space before it: %s", second, mth_status_name(mapped[0].status),
                 mth_status_name(mapped[1].status));
    bool is_mapped = mapped[0].status == MTH_OK;
    if (is_mapped) {
        const struct mth_region_map *a = &mapped[0].map, *b = &mapped[1].map;
        assert_int_equal(a->n_tensors, b->n_tensors);
        assert_int_equal(a->n_text, b->n_text);
        assert_memory_equal(a->text, b->text, a->n_text);
        assert_int_equal(a->n_dims, b->n_dims);
        assert_memory_equal(a->dims, b->dims, a->n_dims * sizeof *a->dims);
        assert_int_equal(a->n_regions, b->n_regions);
        for (size_t i = 0; i < a->n_tensors; i++) {
            assert_int_equal(a->tensors[i].dtype, b->tensors[i].dtype);
            assert_int_equal(a->tensors[i].role, b->tensors[i].role);
            assert_int_equal(a->tensors[i].region, b->tensors[i].region);
            assert_int_equal(a->tensors[i].n_elems, b->tensors[i].n_elems);
        }
    }
    unmap(&mapped[0]);
    unmap(&mapped[1]);
    return is_mapped;
}

/* Entries written in the usual way are read by a path of their own, those with a space before them are not. */
static void an_entry_is_the_same_with_a_space_before_it_whatever_is_wrong_with_it(void **state)
{
    static const char first[] = "{\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},";
    static const struct {
        const char *entry, *behind;
    } headers[] = {
        {"\"a.b\":{\"dtype\":\"F8_E4M3\",\"shape\":[2,3],\"data_offsets\":[0,6]},",
         "\"z\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[6,8]}}"},
        {"\"a.b\":{\"dtype\":\"F4\",\"shape\":[0,10],\"data_offsets\":[0,0]},",
         "\"z\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}"},
    };
    size_t n_mapped = 0;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(headers[i].entry);
        for (size_t at = 0; at < n; at++) {
            for (unsigned byte = 1; byte < 256; byte++) {
                char changed[128];
                memcpy(changed, headers[i].entry, n + 1);
                changed[at] = (char)byte;
                n_mapped += is_read_alike(first, changed, headers[i].behind);
            }
        }
    }
    assert_in_range(n_mapped, 300, 3000); /* other names, for instance */
}

static void a_file_and_its_bytes_in_memory_map_alike(void **state)
{
    (void)state;
    struct mth_buffer file = file_of_many(3000);
    assert_true(file.n_bytes > 3 * (64 << 10));
    char path[] = "/tmp/mithril-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct mth_error err;
    assert_int_equal(mth_file_write_all(path, (struct mth_bytes){file.data, file.n_bytes}, &err), MTH_OK);

    struct mapped mapped;
    map_and_free(&mapped, file);
    struct mth_source source;
    struct mth_region_map map;
    const struct mth_format_options options = {.raw_dtype = MTH_N_DTYPES};
    assert_int_equal(mth_source_open(path, &source, &err), MTH_OK);
    assert_int_equal(mth_format_map(&source, &options, mapped.memory, &map, &err), MTH_OK);
    assert_int_equal(map.n_tensors, mapped.map.n_tensors);
    assert_int_equal(map.n_regions, mapped.map.n_regions);
    assert_int_equal(map.n_text, mapped.map.n_text);
    assert_memory_equal(map.tensors, mapped.map.tensors, map.n_tensors * sizeof *map.tensors);
    assert_memory_equal(map.text, mapped.map.text, map.n_text);
    assert_memory_equal(map.dims, mapped.map.dims, map.n_dims * sizeof *map.dims);
    for (size_t i = 0; i < map.n_regions; i++)
        assert_int_equal(map.regions[i].offset, mapped.map.regions[i].offset);
    mth_region_map_free(&map);
    mth_source_close(&source);
    unlink(path);
    unmap(&mapped);
}

static void a_file_is_known_by_its_content_too(void **state)
{
    (void)state;
    struct mth_buffer file = file_of_many(1);
    struct mapped mapped;
    map_bytes(&mapped, "model.bin", file.data, file.n_bytes);
    assert_int_equal(mapped.status, MTH_OK);
    assert_string_equal(mapped.map.format, "safetensors");
    unmap(&mapped);
    free(file.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dtype_of_the_format_is_mapped),
        cmocka_unit_test(every_dtype_of_ours_is_one_of_the_format),
        cmocka_unit_test(scalars_have_one_element_and_no_dimension),
        cmocka_unit_test(empty_tensors_have_no_region_wherever_they_lie),
        cmocka_unit_test(tensors_come_in_file_order_whatever_the_order_of_the_header),
        cmocka_unit_test(states_find_their_parameters_by_name),
        cmocka_unit_test(a_file_without_tensors_is_one_opaque_region),
        cmocka_unit_test(what_the_reference_takes_is_taken),
        cmocka_unit_test(names_are_unescaped_and_kept_as_utf8),
        cmocka_unit_test(metadata_may_be_long_without_memory),
        cmocka_unit_test(a_long_string_is_cut_between_characters),
        cmocka_unit_test(a_name_may_be_as_long_as_the_limit),
        cmocka_unit_test(metadata_in_long_characters_takes_no_more),
        cmocka_unit_test(tokens_may_lie_across_pieces_of_the_header),
        cmocka_unit_test(a_hundred_thousand_tensors_take_a_few_mib),
        cmocka_unit_test(an_entry_is_the_same_with_a_space_before_it_whatever_is_wrong_with_it),
        cmocka_unit_test(a_file_and_its_bytes_in_memory_map_alike),
        cmocka_unit_test(a_file_is_known_by_its_content_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
