/*
 * Laws of the safetensors reader on files that lie: each is refused with one line that names file, tensor and place.
 * map_bytes checks the line and the account of every one of them.
 */
#include "formats/json_guard.h"
#include "formats/safetensors_header.h"
#include "tests/support/map_bytes.h"
#include "tests/support/safetensors_builder.h"

#include "base/checked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char file_name[] = "hostile.safetensors";

/* Maps a file of this header and n_data bytes behind it, and expects this status and these words in the line. */
static void refused(const void *header, size_t n_header, size_t n_data, int status, const char *words)
{
    struct mth_buffer file = safetensors_wrap(header, n_header, n_data);
    struct mapped mapped;
    map_bytes(&mapped, file_name, file.data, file.n_bytes);
    free(file.data);
    if (mapped.status != status || !strstr(mapped.err.text, words))
        print_error("%.*s...: wanted %s and '%s', got %s: %s\n", n_header < 60 ? (int)n_header : 60,
                    (const char *)header, mth_status_name(status), words, mth_status_name(mapped.status),
                    mapped.err.text);
    assert_int_equal(mapped.status, status);
    assert_non_null(strstr(mapped.err.text, words));
    unmap(&mapped);
}

struct lie {
    const char *header;
    const char *words; /* in the error line */
};

static void all_refused(const struct lie *lies, size_t n_lies, size_t n_data)
{
    for (size_t i = 0; i < n_lies; i++)
        refused(lies[i].header, strlen(lies[i].header), n_data, MTH_ERR_FORMAT, lies[i].words);
}

static struct mth_buffer small_file(void)
{
    const uint64_t shape[] = {2, 3}, none[] = {0};
    struct safetensors_builder builder = {0};
    safetensors_builder_text(&builder, "{\"__metadata__\":{\"format\":\"pt\"}");
    safetensors_builder_add(&builder, "w", "BF16", shape, 2, NULL, 12);
    safetensors_builder_add(&builder, "e", "F6_E3M2", none, 1, NULL, 0);
    safetensors_builder_add(&builder, "\\u00e9", "F64", NULL, 0, NULL, 8);
    return safetensors_builder_finish(&builder, 3);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct mth_buffer file = small_file();
    for (size_t n = 0; n < file.n_bytes; n++) {
        struct mapped mapped;
        map_bytes(&mapped, file_name, file.data, n);
        assert_int_equal(mapped.status, MTH_ERR_TRUNCATED);
        unmap(&mapped);
    }
    free(file.data);
}

static void bytes_behind_the_last_tensor_are_refused(void **state)
{
    (void)state;
    refused("{}", 2, 1, MTH_ERR_FORMAT, "the 1 bytes from byte 10");
    static const char header[] = "{\"t\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}";
    refused(header, sizeof header - 1, 4, MTH_ERR_FORMAT,
            "the 1 bytes from byte 64 to its end are no tensor's");
}

static void a_header_longer_than_the_file_or_the_limit_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        int status;
    } lies[] = {{3, MTH_ERR_TRUNCATED},
                {MTH_SAFETENSORS_HEADER_MAX_BYTES, MTH_ERR_TRUNCATED},
                {MTH_SAFETENSORS_HEADER_MAX_BYTES + 1, MTH_ERR_FORMAT},
                {UINT32_MAX, MTH_ERR_FORMAT},
                {INT64_MAX, MTH_ERR_FORMAT},
                {UINT64_MAX - 8, MTH_ERR_FORMAT},
                {UINT64_MAX, MTH_ERR_FORMAT}};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        uint8_t file[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
        struct mapped mapped;
        mth_store64(file, lies[i].length);
        map_bytes(&mapped, file_name, file, sizeof file);
        assert_int_equal(mapped.status, lies[i].status);
        assert_non_null(
            strstr(mapped.err.text, lies[i].status == MTH_ERR_FORMAT ? "the limit is" : "inside its header"));
        unmap(&mapped);
    }
}

static void a_header_that_ends_early_is_refused(void **state)
{
    (void)state;
    static const char header[] = "{\"t\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}";
    for (size_t n = 0; n < sizeof header - 1; n++) {
        struct mth_buffer file = safetensors_wrap(header, n, 3);
        struct mapped mapped;
        map_bytes(&mapped, file_name, file.data, file.n_bytes);
        assert_int_equal(mapped.status, MTH_ERR_FORMAT);
        unmap(&mapped);
        free(file.data);
    }
}

static void what_is_not_one_json_object_is_refused(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        {"", "premature EOF"},
        {" {}", "does not begin with '{'"},
        {"\xef\xbb\xbf{}", "does not begin with '{'"},
        {"[]", "does not begin with '{'"},
        {"null", "does not begin with '{'"},
        {"\"a\"", "does not begin with '{'"},
        {"{", "not valid JSON"},
        {"{}}", "not valid JSON"},
        {"{}{}", "not valid JSON"},
        {"{}8", "not valid JSON"},
        {"{}\"t", "inside a string"},
        {"{\"", "inside a string"},
        {"{\"a\\", "inside a string"},
        {"{}\f", "control character"},
        {"{\"a\":\f{}}", "control character"},
        {"{,}", "not valid JSON"},
        {"{/**/}", "not valid JSON"},
        {"{a:1}", "not valid JSON"},
        {"{'a':1}", "not valid JSON"},
        {"{\"a\" 1}", "not valid JSON"},
        {"{\"a\":}", "not valid JSON"},
        {"{1:1}", "not valid JSON"},
    };
    all_refused(lies, sizeof lies / sizeof lies[0], 0);
    refused("{}\0", 3, 0, MTH_ERR_FORMAT, "control character");
}

/* The header is read in pieces of 64 KiB; where one begins, an entry may begin that no comma allows. */
static void a_comma_that_is_missing_between_pieces_is_refused(void **state)
{
    enum { PIECE_BYTES = 64 << 10 };
    static const char begin[] = "{\"__metadata__\":{\"k\":\"";
    static const char end[] = "\"}";
    static const char entries[] = "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                                  "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}";
    static char header[PIECE_BYTES + sizeof entries];
    (void)state;
    memset(header, 'x', PIECE_BYTES);
    memcpy(header, begin, sizeof begin - 1);
    memcpy(header + PIECE_BYTES - (sizeof end - 1), end, sizeof end - 1);
    memcpy(header + PIECE_BYTES, entries, sizeof entries - 1);
    refused(header, sizeof header - 1, 2, MTH_ERR_FORMAT, "not valid JSON");
}

static void what_is_no_tensor_is_refused(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        {"{\"t\":null}", "tensor 't': its entry is not an object"},
        {"{\"t\":[\"F32\",[1],[0,4]]}", "not an object"},
        {"{\"t\":4}", "not an object"},
        {"{\"t\":true}", "not an object"},
        {"{\"t\":\"F32\"}", "not an object"},
        {"{\"t\":{}}", "dtype is missing"},
        {"{\"t\":{\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype is missing"},
        {"{\"t\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", "shape is missing"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1]}}", "data_offsets is missing"},
        {"{\"t\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
         "dtype is there twice"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}",
         "shape is there twice"},
        {"{\"t\":{\"data_offsets\":[0,4],\"data_offsets\":[0,4]}}", "data_offsets is there twice"},
        {"{\"t\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype is not a string"},
        {"{\"t\":{\"dtype\":{\"F32\":null},\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype is not a string"},
        {"{\"t\":{\"shape\":null}}", "shape is not an array"},
        {"{\"t\":{\"shape\":1}}", "shape is not an array"},
        {"{\"t\":{\"shape\":{}}}", "shape is not an array"},
        {"{\"t\":{\"shape\":[[1]]}}", "shape holds what is no number"},
        {"{\"t\":{\"shape\":[null]}}", "shape holds what is no number"},
        {"{\"t\":{\"shape\":[\"1\"]}}", "shape holds what is no number"},
        {"{\"t\":{\"data_offsets\":[]}}", "not two numbers"},
        {"{\"t\":{\"data_offsets\":[0]}}", "not two numbers"},
        {"{\"t\":{\"data_offsets\":[0,4,8]}}", "more than 2 numbers"},
        {"{\"t\":{\"data_offsets\":[0,null]}}", "not two numbers"},
        {"{\"t\":{\"data_offsets\":{\"0\":4}}}", "not an array"},
    };
    all_refused(lies, sizeof lies / sizeof lies[0], 4);
}

static void numbers_that_are_no_sizes_are_refused(void **state)
{
    (void)state;
    static const char *const numbers[] = {
        "1.0", "1e0",  "-1",  "-0",   "18446744073709551616", "99999999999999999999999999999999",
        "0.1", "1e99", "1E1", "1e999"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        static const char *const forms[] = {"{\"t\":{\"shape\":[%s]}}", "{\"t\":{\"data_offsets\":[%s,8]}}",
                                            "{\"t\":{\"data_offsets\":[0,%s]}}"};
        for (size_t form = 0; form < 3; form++) {
            char header[128];
            const char *at = strstr(forms[form], "%s");
            int n = snprintf(header, sizeof header, "%.*s%s%s", (int)(at - forms[form]), forms[form],
                             numbers[i], at + 2);
            refused(header, (size_t)n, 8, MTH_ERR_FORMAT, "is no whole number below 2^64");
        }
    }
    refused("{\"t\":{\"shape\":[01]}}", 20, 8, MTH_ERR_FORMAT, "not valid JSON");
    refused("{\"t\":{\"shape\":[+1]}}", 20, 8, MTH_ERR_FORMAT, "not valid JSON");
    refused("{\"t\":{\"shape\":[1.]}}", 20, 8, MTH_ERR_FORMAT, "not valid JSON");
}

static void shapes_that_do_not_fit_their_bytes_are_refused(void **state)
{
    (void)state;
#define ONE(dtype, shape, offsets) \
    "{\"t\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
    static const struct lie lies[] = {
        {ONE("F32", "[1]", "[0,8]"), "takes 4 bytes of F32, its data_offsets span 8"},
        {ONE("F32", "[3]", "[0,8]"), "takes 12 bytes"},
        {ONE("F32", "[]", "[0,8]"), "takes 4 bytes"},
        {ONE("F32", "[0]", "[0,8]"), "takes 0 bytes"},
        {ONE("F32", "[2]", "[8,0]"), "begins at 8, behind its end at 0"},
        {ONE("F32", "[2]", "[18446744073709551615,7]"), "behind its end"},
        {ONE("F4", "[15]", "[0,8]"), "do not fill whole bytes"},
        {ONE("F4", "[]", "[0,1]"), "do not fill whole bytes"},
        {ONE("F6_E2M3", "[9]", "[0,7]"), "do not fill whole bytes"},
        {ONE("F6_E3M2", "[2]", "[0,2]"), "do not fill whole bytes"},
        {ONE("U8", "[9223372036854775808,2]", "[0,0]"), "passes 64 bits"},
        {ONE("U8", "[9223372036854775808,2,0]", "[0,0]"), "passes 64 bits"},
        {ONE("F64", "[288230376151711744]", "[0,0]"), "passes 64 bits"},
        {ONE("U8", "[18446744073709551615,18446744073709551615]", "[0,1]"), "passes 64 bits"},
        {ONE("U8", "[4]", "[4,8]"), "the 4 bytes before it are no tensor's"},
        {ONE("U8", "[0]", "[8,8]"), "the 8 bytes before it are no tensor's"},
        {ONE("U8", "[7]", "[0,7]"), "are no tensor's"},
    };
    all_refused(lies, sizeof lies / sizeof lies[0], 8);
    static const char *const beyond[] = {
        ONE("U8", "[9]", "[0,9]"),
        ONE("U8", "[8]", "[1,9]"),
        ONE("U8", "[0]", "[9,9]"),
        ONE("U8", "[0]", "[18446744073709551615,18446744073709551615]"),
        ONE("U8", "[1]", "[18446744073709551614,18446744073709551615]"),
        ONE("U8", "[2305843009213693951]", "[0,2305843009213693951]"),
    };
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++)
        refused(beyond[i], strlen(beyond[i]), 8, MTH_ERR_TRUNCATED, "tensor 't': its data ends at byte");
#undef ONE
}

static void overlaps_and_holes_are_refused(void **state)
{
    (void)state;
#define U8(name, shape, offsets) \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"
    static const struct lie lies[] = {
        {"{" U8("a", "4", "0,4") "," U8("b", "5", "3,8") "}", "'b': begins at byte"},
        {"{" U8("b", "5", "3,8") "," U8("a", "4", "0,4") "}", "inside of 'a'"},
        {"{" U8("a", "8", "0,8") "," U8("b", "8", "0,8") "}", "inside of"},
        {"{" U8("a", "8", "0,8") "," U8("b", "1", "3,4") "}", "inside of 'a'"},
        {"{" U8("a", "8", "0,8") "," U8("e", "0", "3,3") "}", "'e': begins at byte"},
        {"{" U8("a", "3", "0,3") "," U8("b", "4", "4,8") "}", "'b': begins at byte"},
        {"{" U8("a", "3", "0,3") "," U8("e", "0", "5,5") "," U8("b", "5", "3,8") "}", "inside of 'b'"},
        {"{" U8("a", "8", "0,8") "," U8("a", "8", "0,8") "}", "tensor 'a': is there twice"},
        {"{" U8("a", "4", "0,4") "," U8("b", "0", "4,4") "," U8("\\u0061", "4", "4,8") "}",
         "'a': is there twice"},
        {"{" U8("e", "0", "0,0") "," U8("a", "8", "0,8") "," U8("e", "0", "8,8") "}", "'e': is there twice"},
    };
    all_refused(lies, sizeof lies / sizeof lies[0], 8);
#undef U8
}

static void metadata_that_is_no_map_of_strings_is_refused(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        {"{\"__metadata__\":[]}", "__metadata__ is not an object"},
        {"{\"__metadata__\":\"a\"}", "__metadata__ is not an object"},
        {"{\"__metadata__\":1}", "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"a\":1}}", "not a string"},
        {"{\"__metadata__\":{\"a\":null}}", "not a string"},
        {"{\"__metadata__\":{\"a\":{}}}", "not a string"},
        {"{\"__metadata__\":{\"a\":[\"b\"]}}", "not a string"},
        {"{\"__metadata__\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", "not a string"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", "__metadata__ is there twice"},
        {"{\"__metadata__\":null,\"__metadata__\":{}}", "__metadata__ is there twice"},
    };
    all_refused(lies, sizeof lies / sizeof lies[0], 0);
}

static void an_unknown_dtype_is_named_with_its_tensor(void **state)
{
    (void)state;
    static const char *const dtypes[] = {
        "F31",    "f32",       "bfloat16",
        "OPAQUE", "bytes",     "",
        "F32 ",   "F8_E4M3FN", "a dtype whose name is longer than any that one would write by hand"};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        char header[256], words[128];
        int n = snprintf(header, sizeof header,
                         "{\"lm.w\":{\"dtype\":\"%s\",\"shape\":[8],\"data_offsets\":[0,8]}}", dtypes[i]);
        snprintf(words, sizeof words, "tensor 'lm.w': unknown dtype '%.40s'", dtypes[i]);
        refused(header, (size_t)n, 8, MTH_ERR_FORMAT, words);
    }
}

static void strings_that_are_no_unicode_are_refused(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        {"{\"\xff\":", "invalid UTF-8 at byte 10"},
        {"{\"\x80\":", "invalid UTF-8"},
        {"{\"\xc0\xaf\":", "invalid UTF-8"},
        {"{\"\xc1\xbf\":", "invalid UTF-8"},
        {"{\"\xc3\":", "invalid UTF-8"},
        {"{\"\xe0\x9f\xbf\":", "invalid UTF-8"},
        {"{\"\xed\xa0\x80\":", "invalid UTF-8"},
        {"{\"\xf0\x8f\xbf\xbf\":", "invalid UTF-8"},
        {"{\"\xf4\x90\x80\x80\":", "invalid UTF-8"},
        {"{\"\xf5\x80\x80\x80\":", "invalid UTF-8"},
        {"{\"\xe2\x82\":", "invalid UTF-8"},
        {"{\xc3\xa9", "not valid JSON"},
        {"{\"\\ud800\":", "half a surrogate pair"},
        {"{\"\\ud800x\":", "half a surrogate pair"},
        {"{\"\\ud800\\n\":", "half a surrogate pair"},
        {"{\"\\ud800xudc00\":", "half a surrogate pair"},
        {"{\"\\ud800\\u0041\":", "half a surrogate pair"},
        {"{\"\\udc00\":", "half a surrogate pair"},
        {"{\"\\udc00\\ud800\":", "half a surrogate pair"},
        {"{\"\\u12g4\":", "four hex digits"},
        {"{\"\\u12\":", "four hex digits"},
        {"{\"\\x41\":", "an escape that JSON does not know"},
        {"{\"\\U0041\":", "an escape that JSON does not know"},
        {"{\"a\nb\":", "control character"},
        {"{\"a\x1b[31m\":", "control character"},
    };
    all_refused(lies, sizeof lies / sizeof lies[0], 0);
    refused("{\"a\0b\":", 7, 0, MTH_ERR_FORMAT, "control character");
}

static void a_name_with_a_nul_is_refused(void **state)
{
    (void)state;
    static const char header[] = "{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}";
    refused(header, sizeof header - 1, 8, MTH_ERR_FORMAT, "contains a NUL");
}

/* n copies of a byte between two texts; the caller frees it. */
static char *stuffed(const char *before, char stuffing, size_t n, const char *after, size_t *n_bytes)
{
    size_t n_before = strlen(before), n_after = strlen(after);
    char *text = malloc(n_before + n + n_after);
    assert_non_null(text);
    memcpy(text, before, n_before);
    memset(text + n_before, stuffing, n);
    memcpy(text + n_before + n, after, n_after);
    *n_bytes = n_before + n + n_after;
    return text;
}

static void refuse_stuffed(const char *before, char stuffing, size_t n, const char *after, int status,
                           const char *words)
{
    size_t n_bytes;
    char *text = stuffed(before, stuffing, n, after, &n_bytes);
    refused(text, n_bytes, 0, status, words);
    free(text);
}

static void nesting_words_and_names_are_bounded(void **state)
{
    (void)state;
    refuse_stuffed("{\"t\":{\"x\":", '[', 10 << 20, "", MTH_ERR_FORMAT, "nested deeper than 127");
    refuse_stuffed("{\"t\":{\"x\":", '[', 126, "", MTH_ERR_FORMAT, "nested deeper than 127");
    refuse_stuffed("{\"t\":{\"x\":", '[', 125, "", MTH_ERR_FORMAT, "premature EOF");
    refuse_stuffed("{\"__metadata__\":", '[', 10 << 20, "", MTH_ERR_FORMAT, "not an object");
    refuse_stuffed("", '[', 10 << 20, "", MTH_ERR_FORMAT, "does not begin with");
    refuse_stuffed("{\"t\":{\"shape\":[", '1', 10 << 20, "]}}", MTH_ERR_FORMAT,
                   "a number or word that does not end");
    refuse_stuffed("{\"t\":{\"shape\":[", '1', MTH_JSON_WORD_MAX_BYTES, "]}}", MTH_ERR_FORMAT,
                   "no whole number");
    refuse_stuffed("{", 't', 10 << 20, "}", MTH_ERR_FORMAT, "a number or word that does not end");
    refuse_stuffed("{\"", 'n', 10 << 20, "\":{}}", MTH_ERR_FORMAT, "is longer than 16384 bytes");
    refuse_stuffed("{\"", 'n', MTH_JSON_STRING_MAX_BYTES + 1, "\":{}}", MTH_ERR_FORMAT,
                   "is longer than 16384 bytes");
    refuse_stuffed("{\"", 'n', MTH_JSON_STRING_MAX_BYTES, "\":{}}", MTH_ERR_FORMAT, "dtype is missing");
    refuse_stuffed("{\"t\":{\"dtype\":\"", 'F', 10 << 20, "\"}}", MTH_ERR_FORMAT, "unknown dtype");
    /* The inside of a long string is checked although yajl does not see it. */
    refuse_stuffed("{\"__metadata__\":{\"k\":\"", 'v', 1 << 20, "\n\"}}", MTH_ERR_FORMAT,
                   "control character");
    refuse_stuffed("{\"__metadata__\":{\"k\":\"", 'v', 1 << 20, "\xff\"}}", MTH_ERR_FORMAT, "invalid UTF-8");
    refuse_stuffed("{\"__metadata__\":{\"k\":\"", 'v', 1 << 20, "", MTH_ERR_FORMAT, "inside a string");
}

static void a_shape_has_at_most_64_dimensions(void **state)
{
    (void)state;
    char header[512] = "{\"t\":{\"dtype\":\"U8\",\"shape\":[8";
    for (size_t i = 1; i < MTH_MAX_DIMS; i++)
        strcat(header, ",1");
    size_t n = strlen(header);
    strcat(header, "],\"data_offsets\":[0,8]}}");
    struct mth_buffer file = safetensors_wrap(header, strlen(header), 8);
    struct mapped mapped;
    map_bytes(&mapped, file_name, file.data, file.n_bytes);
    free(file.data);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mapped.map.tensors[0].n_dims, 64);
    unmap(&mapped);
    strcpy(header + n, ",1],\"data_offsets\":[0,8]}}");
    refused(header, strlen(header), 8, MTH_ERR_FORMAT, "shape has more than 64 numbers");
}

static void no_flipped_bit_crashes_or_breaks_the_map(void **state)
{
    (void)state;
    struct mth_buffer file = small_file();
    size_t n_refused = 0, n_bits = (file.n_bytes - 20) * 8;
    for (size_t bit = 0; bit < n_bits; bit++) {
        struct mapped mapped;
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        map_bytes(&mapped, file_name, file.data, file.n_bytes);
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        n_refused += mapped.status != MTH_OK;
        unmap(&mapped);
    }
    /* What may change unseen: letters of names and metadata, white space, a dtype or shape of the same size. */
    assert_true(n_refused > n_bits / 2);
    free(file.data);
}

static void memory_that_runs_out_is_an_error_and_no_leak(void **state)
{
    (void)state;
    struct safetensors_builder builder = {0};
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer.%d.weight", i);
        safetensors_builder_add(&builder, name, "F32", NULL, 0, NULL, 4);
    }
    struct mth_buffer file = safetensors_builder_finish(&builder, 0);
    struct mapped mapped;
    map_bytes(&mapped, file_name, file.data, file.n_bytes);
    assert_int_equal(mapped.status, MTH_OK);
    size_t peak = mth_memory_peak(mapped.memory), kept = mth_memory_current(mapped.memory);
    unmap(&mapped);
    for (size_t limit = 1; limit < peak; limit += limit < peak - kept - 4096 ? 4096 : 61) {
        map_bytes_with(&mapped, file_name, file.data, file.n_bytes, MTH_N_DTYPES, limit);
        assert_int_equal(mapped.status, MTH_ERR_NO_MEMORY);
        unmap(&mapped);
    }
    free(file.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(bytes_behind_the_last_tensor_are_refused),
        cmocka_unit_test(a_header_longer_than_the_file_or_the_limit_is_refused),
        cmocka_unit_test(a_header_that_ends_early_is_refused),
        cmocka_unit_test(what_is_not_one_json_object_is_refused),
        cmocka_unit_test(a_comma_that_is_missing_between_pieces_is_refused),
        cmocka_unit_test(what_is_no_tensor_is_refused),
        cmocka_unit_test(numbers_that_are_no_sizes_are_refused),
        cmocka_unit_test(shapes_that_do_not_fit_their_bytes_are_refused),
        cmocka_unit_test(overlaps_and_holes_are_refused),
        cmocka_unit_test(metadata_that_is_no_map_of_strings_is_refused),
        cmocka_unit_test(an_unknown_dtype_is_named_with_its_tensor),
        cmocka_unit_test(strings_that_are_no_unicode_are_refused),
        cmocka_unit_test(a_name_with_a_nul_is_refused),
        cmocka_unit_test(nesting_words_and_names_are_bounded),
        cmocka_unit_test(a_shape_has_at_most_64_dimensions),
        cmocka_unit_test(no_flipped_bit_crashes_or_breaks_the_map),
        cmocka_unit_test(memory_that_runs_out_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
