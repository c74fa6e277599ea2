/* Laws of reading and writing JSON: errors name the file and the path, and what is written reads back the same. */
#include "harness/json.h"
#include "harness/json_writer.h"
#include "tests/support/temp_dir.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mth_error err;

static struct mth_json *parse(const char *text)
{
    struct mth_json *json;
    if (mth_json_parse("doc", text, strlen(text), &json, &err))
        fail_msg("%s", err.text);
    return json;
}

static void parse_errors_name_the_line(void **state)
{
    (void)state;
    static const char *const bad[] = {"{\n\n\"a\": }", "{\"a\":1,\n\n\"a\":2}", "[1,\n2,\n3"};
    struct mth_json *json;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(mth_json_parse("doc", bad[i], strlen(bad[i]), &json, &err), MTH_ERR_FORMAT);
        assert_null(json);
        if (strncmp(err.text, "doc: line 3: ", 13) != 0)
            fail_msg("%s", err.text);
    }
    assert_int_equal(mth_json_parse("doc", "", 0, &json, &err), MTH_ERR_FORMAT);
    assert_int_equal(mth_json_parse("doc", "\"a\0b\"", 5, &json, &err), MTH_ERR_FORMAT);
}

static void load_refuses_a_file_above_its_limit(void **state)
{
    (void)state;
    char *directory = temp_dir_create(), path[512];
    struct mth_json *json;
    temp_dir_write(directory, "doc.json", "[1, 2]", 6);
    snprintf(path, sizeof path, "%s/doc.json", directory);
    assert_int_equal(mth_json_load(path, 6, &json, &err), 0);
    mth_json_free(json);
    assert_int_equal(mth_json_load(path, 5, &json, &err), MTH_ERR_LIMIT);
    assert_null(json);
    assert_int_equal(mth_json_load(directory, 5, &json, &err), MTH_ERR_IO);
    temp_dir_destroy(directory);
    assert_int_equal(mth_json_load(path, 6, &json, &err), MTH_ERR_NOT_FOUND);
}

static void member_errors_name_the_path(void **state)
{
    (void)state;
    struct mth_json *json =
        parse("{\"a\":[{\"n\":7,\"s\":\"x\"},5],\"o\":{\"r\":0.5,\"z\":null,\"b\":true}}");
    struct mth_json_node root = mth_json_root(json, "doc"), array, item, object;
    static const char *const keys[] = {"number", "s", NULL};
    const char *string;
    int64_t number;
    double real;
    bool flag;
    size_t n;
    assert_int_equal(mth_json_get_array(&root, "a", MTH_JSON_REQUIRED, &array, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_int_equal(mth_json_item_object(&array, 0, &item, &err), 0);
    assert_int_equal(mth_json_get_int(&item, "n", MTH_JSON_REQUIRED, 7, 7, &number, &err), 0);
    assert_int_equal(number, 7);

    assert_int_equal(mth_json_get_int(&item, "n", MTH_JSON_REQUIRED, 0, 6, &number, &err), MTH_ERR_FORMAT);
    assert_string_equal(err.text, "doc: a[0].n: is 7, must be from 0 to 6");
    assert_int_equal(mth_json_get_int(&item, "s", MTH_JSON_OPTIONAL, 0, 6, &number, &err), MTH_ERR_FORMAT);
    assert_string_equal(err.text, "doc: a[0].s: must be an integer");
    assert_int_equal(mth_json_get_string(&item, "t", MTH_JSON_REQUIRED, &string, &err), MTH_ERR_FORMAT);
    assert_string_equal(err.text, "doc: a[0].t: is missing");
    assert_int_equal(mth_json_item_object(&array, 1, &item, &err), MTH_ERR_FORMAT);
    assert_string_equal(err.text, "doc: a[1]: must be an object");
    assert_int_equal(mth_json_item_object(&array, 2, &item, &err), MTH_ERR_FORMAT);
    assert_int_equal(mth_json_item_object(&array, 0, &item, &err), 0);
    assert_int_equal(mth_json_only_keys(&item, keys, &err), MTH_ERR_FORMAT);
    assert_string_equal(err.text, "doc: a[0].n: is not a member of the schema; did you mean s?");

    assert_int_equal(mth_json_get_object(&root, "o", MTH_JSON_REQUIRED, &object, &err), 0);
    assert_int_equal(mth_json_get_real(&object, "r", MTH_JSON_REQUIRED, 0, 1, &real, &err), 0);
    assert_true(real == 0.5);
    assert_int_equal(mth_json_get_bool(&object, "b", MTH_JSON_REQUIRED, &flag, &err), 0);
    assert_true(flag);
    assert_int_equal(mth_json_get_real(&object, "z", MTH_JSON_OPTIONAL, 0, 1, &real, &err), 0);
    assert_true(real == -1.0);
    assert_int_equal(mth_json_get_real(&object, "z", MTH_JSON_REQUIRED, 0, 1, &real, &err), MTH_ERR_FORMAT);
    assert_string_equal(err.text, "doc: o.z: must be a number");
    mth_json_free(json);
}

static void writer_is_compact_and_keeps_the_order_of_calls(void **state)
{
    (void)state;
    struct mth_json_writer w;
    const char *text;
    size_t n;
    mth_json_writer_init(&w);
    for (int round = 0; round < 2; round++) {
        mth_json_writer_reset(&w);
        mth_json_begin_object(&w, NULL);
        mth_json_string(&w, "z", "1");
        mth_json_begin_array(&w, "a");
        mth_json_uint(&w, NULL, UINT64_MAX);
        mth_json_int(&w, NULL, INT64_MIN);
        mth_json_begin_object(&w, NULL);
        mth_json_end(&w);
        mth_json_end(&w);
        mth_json_bool(&w, "b", false);
        mth_json_string(&w, "n", NULL);
        mth_json_end(&w);
        assert_int_equal(mth_json_writer_text(&w, &text, &n), 0);
        assert_string_equal(text, "{\"z\":\"1\",\"a\":[18446744073709551615,-9223372036854775808,{}],"
                                  "\"b\":false,\"n\":null}\n");
        assert_int_equal(n, strlen(text));
    }
    mth_json_writer_free(&w);
}

/* What a writer makes of one string or number, without quotes' meaning. */
static char *written(const char *string, double real)
{
    struct mth_json_writer w;
    const char *text;
    size_t n;
    mth_json_writer_init(&w);
    mth_json_begin_array(&w, NULL);
    if (string)
        mth_json_string(&w, NULL, string);
    else
        mth_json_real(&w, NULL, real);
    mth_json_end(&w);
    assert_int_equal(mth_json_writer_text(&w, &text, &n), 0);
    char *copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, text, n + 1);
    mth_json_writer_free(&w);
    return copy;
}

static void every_utf8_string_reads_back(void **state)
{
    (void)state;
    static const char *const strings[] = {"", "plain", "\"\\/", "\x01\x1f\x7f\t\n",
                                          "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"};
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        char *text = written(strings[i], 0);
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        struct mth_json *json = parse(text);
        struct mth_json_node root = mth_json_root(json, "doc");
        const char *back;
        assert_int_equal(mth_json_item_string(&root, 0, &back, &err), 0);
        assert_string_equal(back, strings[i]);
        mth_json_free(json);
        free(text);
    }
}

static void bytes_that_are_not_utf8_become_replacement_characters(void **state)
{
    (void)state;
    static const char *const bad[] = {"\xff",     "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xe2\x82", "\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *text = written(bad[i], 0);
        assert_non_null(strstr(text, "\\ufffd"));
        for (const char *p = text; *p; p++)
            assert_true((unsigned char)*p < 0x80);
        mth_json_free(parse(text));
        free(text);
    }
}

static void every_finite_real_reads_back_the_same(void **state)
{
    (void)state;
    static const double reals[] = {0.0,  -0.0,    0.1,     1.0 / 3.0, 1e-6,
                                   1e22, DBL_MAX, DBL_MIN, 5e-324,    123456789.123456789};
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
        char *text = written(NULL, reals[i]);
        assert_true(strtod(text + 1, NULL) == reals[i]);
        struct mth_json *json = parse(text);
        struct mth_json_node root = mth_json_root(json, "doc");
        double back;
        assert_int_equal(mth_json_item_real(&root, 0, &back, &err), 0);
        assert_true(back == reals[i]);
        mth_json_free(json);
        free(text);
    }
    char *tenth = written(NULL, 0.1), *none = written(NULL, NAN);
    assert_string_equal(tenth, "[0.1]\n");
    assert_string_equal(none, "[null]\n");
    free(tenth);
    free(none);
}

static void writer_reports_ends_that_do_not_pair(void **state)
{
    (void)state;
    struct mth_json_writer w;
    const char *text;
    size_t n;
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    assert_int_equal(mth_json_writer_text(&w, &text, &n), MTH_ERR_INTERNAL);
    mth_json_writer_reset(&w);
    mth_json_end(&w);
    assert_int_equal(mth_json_writer_text(&w, &text, &n), MTH_ERR_INTERNAL);
    mth_json_writer_reset(&w);
    for (int i = 0; i < MTH_JSON_MAX_DEPTH + 1; i++)
        mth_json_begin_array(&w, NULL);
    assert_int_equal(mth_json_writer_text(&w, &text, &n), MTH_ERR_INTERNAL);
    mth_json_writer_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_errors_name_the_line),
        cmocka_unit_test(load_refuses_a_file_above_its_limit),
        cmocka_unit_test(member_errors_name_the_path),
        cmocka_unit_test(writer_is_compact_and_keeps_the_order_of_calls),
        cmocka_unit_test(every_utf8_string_reads_back),
        cmocka_unit_test(bytes_that_are_not_utf8_become_replacement_characters),
        cmocka_unit_test(every_finite_real_reads_back_the_same),
        cmocka_unit_test(writer_reports_ends_that_do_not_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
