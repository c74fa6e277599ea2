/* Laws of option schemas: what is set, what is refused, and what is printed. */
#include "base/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const words[] = {"none", "order-0", "order-1"};

static const struct mth_option schema[] = {
    {.name = "level", .help = "effort", .min = -7, .max = 22, .default_value = 3},
    {.name = "model", .help = "what is modelled", .min = 0, .max = 2, .default_value = 1, .words = words},
    {.name = "all", .help = "anything", .min = INT64_MIN, .max = INT64_MAX, .default_value = 0},
};

enum { N_SCHEMA = 3 };

static int set(const char *text, int64_t *values, struct mth_error *err)
{
    return mth_option_set(schema, N_SCHEMA, "codec", text, strlen(text), values, err);
}

static void defaults_are_those_of_the_schema(void **state)
{
    (void)state;
    int64_t values[N_SCHEMA] = {9, 9, 9};
    mth_option_defaults(schema, N_SCHEMA, values);
    assert_true(values[0] == 3 && values[1] == 1 && values[2] == 0);
}

static void a_number_inside_its_range_is_set(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } rows[] = {{"level=-7", -7}, {"level=22", 22}, {"level=0", 0}, {"level=-0", 0}, {"level=007", 7}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t values[N_SCHEMA] = {3, 1, 0};
        assert_int_equal(set(rows[i].text, values, NULL), MTH_OK);
        assert_true(values[0] == rows[i].value && values[1] == 1 && values[2] == 0);
    }
    int64_t values[N_SCHEMA];
    assert_int_equal(set("all=999999999999999999", values, NULL), MTH_OK);
    assert_true(values[2] == 999999999999999999);
    assert_int_equal(set("all=-999999999999999999", values, NULL), MTH_OK);
    assert_true(values[2] == -999999999999999999);
}

static void a_word_sets_its_index(void **state)
{
    (void)state;
    int64_t values[N_SCHEMA] = {3, 1, 0};
    for (int64_t i = 0; i < 3; i++) {
        char text[32];
        snprintf(text, sizeof text, "model=%s", words[i]);
        assert_int_equal(set(text, values, NULL), MTH_OK);
        assert_true(values[1] == i);
    }
}

static void what_is_no_setting_is_refused_with_the_range(void **state)
{
    (void)state;
    static const char *const bad[] = {"level=23",
                                      "level=-8",
                                      "level=",
                                      "level=-",
                                      "level=3x",
                                      "level= 3",
                                      "level=+3",
                                      "level=3.0",
                                      "level=0x3",
                                      "level",
                                      "level=--3",
                                      "level=order-1",
                                      "model=1",
                                      "model=",
                                      "model=order",
                                      "model=order-1x",
                                      "all=9223372036854775808",
                                      "all=99999999999999999999999999",
                                      "all=-9223372036854775809"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t values[N_SCHEMA] = {3, 1, 0};
        struct mth_error err;
        assert_int_equal(set(bad[i], values, &err), MTH_ERR_SPEC);
        assert_true(values[0] == 3 && values[1] == 1 && values[2] == 0);
        assert_non_null(strstr(err.text, "codec"));
        assert_non_null(strstr(err.text, "level=-7..22"));
        assert_non_null(strstr(err.text, "model=none|order-0|order-1"));
    }
}

static void an_unknown_name_is_refused_with_those_that_are_known(void **state)
{
    (void)state;
    static const char *const bad[] = {"levle=3", "LEVEL=3", "leve=3", "levels=3", "=3", "", "=", "x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t values[N_SCHEMA] = {3, 1, 0};
        struct mth_error err;
        assert_int_equal(set(bad[i], values, &err), MTH_ERR_SPEC);
        assert_true(values[0] == 3);
        assert_non_null(strstr(err.text, "has no option"));
        assert_non_null(strstr(err.text, "level="));
    }
}

static void a_stage_without_options_takes_none(void **state)
{
    (void)state;
    struct mth_error err;
    assert_int_equal(mth_option_set(NULL, 0, "store", "level=3", 7, NULL, &err), MTH_ERR_SPEC);
    assert_non_null(strstr(err.text, "store takes no options"));
}

static void only_the_given_bytes_are_read(void **state)
{
    (void)state;
    int64_t values[N_SCHEMA] = {3, 1, 0};
    assert_int_equal(mth_option_set(schema, N_SCHEMA, "codec", "level=123", 7, values, NULL), MTH_OK);
    assert_true(values[0] == 1);
}

static void a_hostile_setting_gives_one_short_line(void **state)
{
    (void)state;
    char text[5000];
    int64_t values[N_SCHEMA] = {3, 1, 0};
    struct mth_error err;
    memset(text, '\n', sizeof text);
    assert_int_equal(mth_option_set(schema, N_SCHEMA, "codec", text, sizeof text, values, &err),
                     MTH_ERR_SPEC);
    assert_null(strchr(err.text, '\n'));
    memcpy(text, "level=", 6);
    assert_int_equal(mth_option_set(schema, N_SCHEMA, "codec", text, sizeof text, values, &err),
                     MTH_ERR_SPEC);
    assert_null(strchr(err.text, '\n'));
    assert_non_null(strstr(err.text, "level=-7..22"));
}

static void settings_print_as_they_parse(void **state)
{
    (void)state;
    const int64_t values[N_SCHEMA] = {-7, 2, 0};
    static const char wanted[] = ":level=-7:model=order-1:all=0";
    char out[64];
    assert_int_equal(mth_option_print(schema, N_SCHEMA, values, out, sizeof out), sizeof wanted - 1);
    assert_string_equal(out, wanted);
    /* As snprintf: what does not fit is left out, the length is that of all. */
    for (size_t capacity = 0; capacity < sizeof wanted; capacity++) {
        memset(out, '#', sizeof out);
        assert_int_equal(mth_option_print(schema, N_SCHEMA, values, out, capacity), sizeof wanted - 1);
        assert_int_equal(out[capacity], '#');
        if (capacity) {
            assert_memory_equal(out, wanted, capacity - 1);
            assert_int_equal(out[capacity - 1], '\0');
        }
    }
}

static void a_schema_prints_ranges_words_and_defaults(void **state)
{
    (void)state;
    char out[256];
    size_t n = mth_option_schema(schema, 2, out, sizeof out);
    assert_string_equal(out, "level=-7..22 (default 3), model=none|order-0|order-1 (default order-0)");
    assert_int_equal(n, strlen(out));
}

static void edit_distance_counts_edits(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } rows[] = {{"", "", 0},          {"zstd", "zstd", 0}, {"zsdt", "zstd", 2},      {"std", "zstd", 1},
                {"zzstd", "zstd", 1}, {"lstd", "zstd", 1}, {"kitten", "sitting", 3}, {"", "abc", 3},
                {"abc", "", 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(mth_edit_distance(rows[i].a, strlen(rows[i].a), rows[i].b), rows[i].distance);
    char text[200];
    memset(text, 'x', sizeof text);
    text[199] = '\0';
    assert_int_equal(mth_edit_distance("x", 1, text), 199);
}

static void what_is_near_may_have_been_meant(void **state)
{
    (void)state;
    static const struct {
        const char *given, *hint;
    } rows[] = {{"zst", "; did you mean '-zstd'?"},
                {"z", "; did you mean '-zstd'?"},
                {"sz", ""},
                {"ztsd", "; did you mean '-zstd'?"},
                {"zqqs", ""},
                {"zstandard", ""},
                {"zstd12", "; did you mean '-zstd'?"}};
    char out[MTH_HINT_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(mth_did_you_mean(rows[i].given, strlen(rows[i].given), "-", "zstd", out),
                            rows[i].hint);
    assert_string_equal(mth_did_you_mean("x", 1, "", NULL, out), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_near_may_have_been_meant),
        cmocka_unit_test(defaults_are_those_of_the_schema),
        cmocka_unit_test(a_number_inside_its_range_is_set),
        cmocka_unit_test(a_word_sets_its_index),
        cmocka_unit_test(what_is_no_setting_is_refused_with_the_range),
        cmocka_unit_test(an_unknown_name_is_refused_with_those_that_are_known),
        cmocka_unit_test(a_stage_without_options_takes_none),
        cmocka_unit_test(only_the_given_bytes_are_read),
        cmocka_unit_test(a_hostile_setting_gives_one_short_line),
        cmocka_unit_test(settings_print_as_they_parse),
        cmocka_unit_test(a_schema_prints_ranges_words_and_defaults),
        cmocka_unit_test(edit_distance_counts_edits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
