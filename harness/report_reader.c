/* Members of rows, and the places that rows take; see report_reader.h. */
#include "harness/report_reader.h"

#include <string.h>

#define REAL_MAX 1e300

const char *mth_reader_text(struct mth_row_reader *reader, const char *key, enum mth_json_need need)
{
    const char *value = NULL;
    if (!reader->status)
        reader->status = mth_json_get_string(reader->row, key, need, &value, reader->err);
    return value;
}

int64_t mth_reader_integer(struct mth_row_reader *reader, const char *key)
{
    int64_t value = 0;
    if (!reader->status)
        reader->status =
            mth_json_get_int(reader->row, key, MTH_JSON_OPTIONAL, 0, INT64_MAX, &value, reader->err);
    return value;
}

double mth_reader_real(struct mth_row_reader *reader, const char *key)
{
    double value = -1;
    if (!reader->status)
        reader->status =
            mth_json_get_real(reader->row, key, MTH_JSON_OPTIONAL, -REAL_MAX, REAL_MAX, &value, reader->err);
    return value;
}

bool mth_reader_truth(struct mth_row_reader *reader, const char *key)
{
    bool value = false;
    if (!reader->status)
        reader->status = mth_json_get_bool(reader->row, key, MTH_JSON_OPTIONAL, &value, reader->err);
    return value;
}

int mth_reader_no_memory(struct mth_row_reader *reader)
{
    return mth_error_set(reader->err, MTH_ERR_NO_MEMORY, "no memory for the rows");
}

/* Room for a text that the report keeps; NULL without memory, which the reader says. */
static char *keep(struct mth_row_reader *reader, struct mth_report *report, size_t n_bytes)
{
    char *text = mth_memory_alloc(report->memory, n_bytes);
    char **kept =
        text ? mth_report_grow(report, MTH_REPORT_TEXTS, &report->texts, &report->n_texts, sizeof *kept)
             : NULL;
    if (!kept) {
        mth_memory_free(report->memory, text);
        reader->status = mth_reader_no_memory(reader);
        return NULL;
    }
    *kept = text;
    return text;
}

/* An array of strings as one text with spaces, which the report keeps. */
char *mth_reader_words(struct mth_row_reader *reader, struct mth_report *report, const char *key)
{
    struct mth_json_node array;
    size_t n_items = 0, n_text = 1;
    const char *item;
    if (!reader->status)
        reader->status =
            mth_json_get_array(reader->row, key, MTH_JSON_OPTIONAL, &array, &n_items, reader->err);
    for (size_t i = 0; !reader->status && i < n_items; i++) {
        reader->status = mth_json_item_string(&array, i, &item, reader->err);
        n_text += reader->status ? 0 : strlen(item) + 1;
    }
    if (reader->status)
        return NULL;
    char *joined = keep(reader, report, n_text);
    if (!joined)
        return NULL;
    size_t used = 0;
    for (size_t i = 0; i < n_items; i++) {
        mth_json_item_string(&array, i, &item, reader->err);
        used += (size_t)snprintf(joined + used, n_text - used, "%s%s", i ? " " : "", item);
    }
    joined[used] = '\0';
    return joined;
}

/*
 * What a row's spec is called: that of a lossy one with its error behind it, so that no table and no figure shows one without.
 */
const char *mth_reader_spec(struct mth_row_reader *reader, struct mth_report *report, bool *lossy)
{
    enum { ERRORS_BYTES = 128 };
    const char *spec = mth_reader_text(reader, "spec", MTH_JSON_REQUIRED);
    struct mth_json_node loss;
    struct mth_row_reader inner = {.row = &loss, .err = reader->err};
    *lossy = mth_reader_truth(reader, "lossy");
    if (!reader->status && *lossy)
        reader->status = mth_json_get_object(reader->row, "loss", MTH_JSON_REQUIRED, &loss, reader->err);
    if (reader->status || !*lossy)
        return spec;
    double mean = mth_reader_real(&inner, "mean_abs_error"), most = mth_reader_real(&inner, "max_abs_error");
    double row = mth_reader_real(&inner, "mean_row_l2_error");
    reader->status = inner.status;
    if (reader->status)
        return spec;
    size_t n = strlen(spec) + ERRORS_BYTES;
    char *label = keep(reader, report, n);
    if (label)
        snprintf(label, n, "%s, LOSSY: error %.3g in the mean, %.3g at most, %.3g a row (l2)", spec, mean,
                 most, row);
    return label;
}

size_t mth_reader_place(const void *array, size_t n, size_t size, const void *row,
                        bool (*is_same)(const void *a, const void *b))
{
    size_t at = 0;
    while (at < n && !is_same((const char *)array + at * size, row))
        at++;
    return at;
}

void mth_reader_put(struct mth_report *report, struct mth_row_reader *reader, size_t which,
                    void *array_pointer, size_t *n, size_t size, const void *row,
                    bool (*is_same)(const void *a, const void *b))
{
    char *array;
    memcpy(&array, array_pointer, sizeof array);
    size_t at = is_same ? mth_reader_place(array, *n, size, row, is_same) : *n;
    void *place = at < *n ? array + at * size : mth_report_grow(report, which, array_pointer, n, size);
    if (place)
        memcpy(place, row, size);
    else
        reader->status = mth_reader_no_memory(reader);
}