/* Rows of results; see rows.h. */
#include "tests/support/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void rows_each(const char *rows, rows_check *check, void *arg)
{
    for (const char *line = rows; *line;) {
        const char *end = strchr(line, '\n');
        struct mth_json *json;
        struct mth_error err;
        assert_non_null(end);
        if (mth_json_parse("rows", line, (size_t)(end - line), &json, &err))
            fail_msg("%s", err.text);
        struct mth_json_node root = mth_json_root(json, "rows");
        check(&root, arg);
        mth_json_free(json);
        line = end + 1;
    }
}

const char *rows_text(const struct mth_json_node *row, const char *key)
{
    struct mth_error err;
    const char *text = NULL;
    if (mth_json_get_string(row, key, MTH_JSON_OPTIONAL, &text, &err))
        fail_msg("%s", err.text);
    return text ? text : "";
}

double rows_number(const struct mth_json_node *row, const char *key)
{
    struct mth_error err;
    double value = 0;
    if (mth_json_get_real(row, key, MTH_JSON_REQUIRED, -1e300, 1e300, &value, &err))
        fail_msg("%s", err.text);
    return value;
}

size_t rows_count(const struct mth_json_node *row, const char *key)
{
    struct mth_json_node array;
    struct mth_error err;
    size_t n = 0;
    if (mth_json_get_array(row, key, MTH_JSON_REQUIRED, &array, &n, &err))
        fail_msg("%s", err.text);
    return n;
}
