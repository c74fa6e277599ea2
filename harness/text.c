/* Text for people; see text.h. */
#include "harness/text.h"

#include "base/checked.h"
#include "base/file.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *mth_text_name(const char *name, size_t n_columns, char out[MTH_TEXT_BYTES])
{
    /* One character for each sequence of UTF-8: its continuation bytes are 10xxxxxx. */
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        n += (*p & 0xc0) != 0x80;
    size_t skip = n > n_columns ? n - n_columns + 2 : 0;
    size_t used = 0, seen = 0;
    if (skip) {
        out[used++] = '.';
        out[used++] = '.';
    }
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
        if ((*p & 0xc0) == 0x80)
            continue;
        if (seen++ >= skip)
            out[used++] = *p >= 0x20 && *p < 0x7f ? (char)*p : '?';
    }
    out[used] = '\0';
    return out;
}

bool mth_text_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

const char *mth_text_size(uint64_t n_bytes, char out[MTH_TEXT_BYTES])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (n_bytes < 1024) {
        snprintf(out, MTH_TEXT_BYTES, "%llu B", (unsigned long long)n_bytes);
        return out;
    }
    double value = (double)n_bytes / 1024;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(out, MTH_TEXT_BYTES, value < 10 ? "%.2f %s" : "%.1f %s", value, units[unit]);
    return out;
}

int mth_size_parse(const char *text, size_t *n_bytes, struct mth_error *err)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
        {"KB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"TB", 1000000000000},
    };
    char *end = NULL;
    errno = 0;
    uintmax_t number = isdigit((unsigned char)text[0]) ? strtoumax(text, &end, 10) : 0;
    if (!end)
        return mth_error_set(err, MTH_ERR_USAGE, "'%s' is not a size such as 65536, 64KiB or 1MB", text);
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        uint64_t total;
        if (errno != 0 || !mth_u64_mul(number, units[i].bytes, &total) || !mth_u64_to_size(total, n_bytes))
            return mth_error_set(err, MTH_ERR_USAGE, "'%s' is more than this machine can address", text);
        return MTH_OK;
    }
    return mth_error_set(err, MTH_ERR_USAGE,
                         "'%s' has no unit we know: KiB, MiB, GiB are binary, KB, MB, GB are decimal", text);
}

const char *mth_text_plural(uint64_t number)
{
    return number == 1 ? "" : "s";
}

int mth_text_put_json(struct mth_json_writer *writer, const char *path, struct mth_error *err)
{
    const char *text;
    size_t n_bytes;
    int status = mth_json_writer_text(writer, &text, &n_bytes);
    if (status)
        mth_error_set(err, status, "cannot write JSON: %s", mth_status_text(status));
    else if (strcmp(path, "-") != 0)
        status = mth_file_write_all(path, (struct mth_bytes){(const uint8_t *)text, n_bytes}, err);
    else if (fwrite(text, 1, n_bytes, stdout) != n_bytes)
        status = mth_error_set(err, MTH_ERR_IO, "cannot write to standard output");
    mth_json_writer_free(writer);
    return status;
}
