/* Option schemas; see option.h. */
#include "base/option.h"

#include "base/checked.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MTH_NAME_MAX_BYTES = 64 };

void mth_option_defaults(const struct mth_option *options, size_t n_options, int64_t *values)
{
    for (size_t i = 0; i < n_options; i++)
        values[i] = options[i].default_value;
}

size_t mth_edit_distance(const char *a, size_t n_a, const char *b)
{
    size_t n_b = strlen(b);
    size_t row[MTH_NAME_MAX_BYTES + 1];
    if (n_b > MTH_NAME_MAX_BYTES)
        return mth_size_max(n_a, n_b);
    for (size_t j = 0; j <= n_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = mth_size_min(substituted, mth_size_min(row[j], row[j - 1]) + 1);
        }
    }
    return row[n_b];
}

const char *mth_did_you_mean(const char *given, size_t n_given, const char *dashes, const char *nearest,
                             char out[MTH_HINT_BYTES])
{
    out[0] = '\0';
    /* What is cut short, or has one letter in three wrong and one more. */
    if (nearest && (strncmp(given, nearest, n_given) == 0 ||
                    mth_edit_distance(given, n_given, nearest) <= n_given / 3 + 1))
        snprintf(out, MTH_HINT_BYTES, "; did you mean '%.4s%.100s'?", dashes, nearest);
    return out;
}

/* Appends formatted text; *length may pass capacity, as with snprintf. */
static void append(char *out, size_t capacity, size_t *length, const char *text)
{
    size_t n = strlen(text);
    if (*length < capacity) {
        size_t room = capacity - *length - 1;
        size_t take = mth_size_min(room, n);
        memcpy(out + *length, text, take);
        out[*length + take] = '\0';
    }
    *length += n;
}

static void value_text(const struct mth_option *option, int64_t value, char *out, size_t capacity)
{
    if (option->words)
        snprintf(out, capacity, "%s", option->words[value - option->min]);
    else
        snprintf(out, capacity, "%" PRId64, value);
}

size_t mth_option_print(const struct mth_option *options, size_t n_options, const int64_t *values, char *out,
                        size_t capacity)
{
    size_t length = 0;
    if (capacity)
        out[0] = '\0';
    for (size_t i = 0; i < n_options; i++) {
        char value[MTH_NAME_MAX_BYTES];
        value_text(&options[i], values[i], value, sizeof value);
        append(out, capacity, &length, ":");
        append(out, capacity, &length, options[i].name);
        append(out, capacity, &length, "=");
        append(out, capacity, &length, value);
    }
    return length;
}

size_t mth_option_schema(const struct mth_option *options, size_t n_options, char *out, size_t capacity)
{
    size_t length = 0;
    if (capacity)
        out[0] = '\0';
    for (size_t i = 0; i < n_options; i++) {
        char value[MTH_NAME_MAX_BYTES];
        if (i)
            append(out, capacity, &length, ", ");
        append(out, capacity, &length, options[i].name);
        append(out, capacity, &length, "=");
        if (options[i].words) {
            for (int64_t v = options[i].min; v <= options[i].max; v++) {
                if (v > options[i].min)
                    append(out, capacity, &length, "|");
                append(out, capacity, &length, options[i].words[v - options[i].min]);
            }
        } else {
            snprintf(value, sizeof value, "%" PRId64 "..%" PRId64, options[i].min, options[i].max);
            append(out, capacity, &length, value);
        }
        value_text(&options[i], options[i].default_value, value, sizeof value);
        append(out, capacity, &length, " (default ");
        append(out, capacity, &length, value);
        append(out, capacity, &length, ")");
    }
    return length;
}

static const struct mth_option *find_option(const struct mth_option *options, size_t n_options,
                                            const char *name, size_t n_name)
{
    for (size_t i = 0; i < n_options; i++) {
        if (strlen(options[i].name) == n_name && memcmp(options[i].name, name, n_name) == 0)
            return &options[i];
    }
    return NULL;
}

static bool parse_integer(const char *text, size_t n_text, int64_t *value)
{
    bool negative = n_text && text[0] == '-';
    size_t i = negative;
    if (i == n_text || n_text - i > 18) /* 18 digits can not overflow */
        return false;
    int64_t v = 0;
    for (; i < n_text; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (text[i] - '0');
    }
    *value = negative ? -v : v;
    return true;
}

static bool parse_value(const struct mth_option *option, const char *text, size_t n_text, int64_t *value)
{
    if (!option->words) {
        int64_t number;
        if (!parse_integer(text, n_text, &number) || number < option->min || number > option->max)
            return false;
        *value = number;
        return true;
    }
    for (int64_t v = option->min; v <= option->max; v++) {
        const char *word = option->words[v - option->min];
        if (strlen(word) == n_text && memcmp(word, text, n_text) == 0) {
            *value = v;
            return true;
        }
    }
    return false;
}

int mth_option_set(const struct mth_option *options, size_t n_options, const char *owner, const char *text,
                   size_t n_text, int64_t *values, struct mth_error *err)
{
    char schema[256];
    const char *equals = memchr(text, '=', n_text);
    size_t n_name = equals ? (size_t)(equals - text) : n_text;
    int n_shown = (int)mth_size_min(n_text, MTH_NAME_MAX_BYTES);

    if (n_options == 0)
        return mth_error_set(err, MTH_ERR_SPEC, "%s takes no options; remove ':%.*s'", owner, n_shown, text);
    mth_option_schema(options, n_options, schema, sizeof schema);
    const struct mth_option *option = find_option(options, n_options, text, n_name);
    if (!option)
        return mth_error_set(err, MTH_ERR_SPEC, "%s has no option '%.*s'; it takes %s", owner,
                             (int)mth_size_min(n_name, MTH_NAME_MAX_BYTES), text, schema);
    if (!equals || !parse_value(option, equals + 1, n_text - n_name - 1, &values[option - options]))
        return mth_error_set(err, MTH_ERR_SPEC, "%s: '%.*s' is not a valid setting; it takes %s", owner,
                             n_shown, text, schema);
    return MTH_OK;
}
