/* Names, sentences and one-line errors for the status codes of status.h. */
#include "base/status.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static const struct {
    const char *name;
    const char *text;
} statuses[] = {
    {"MTH_OK", "no error"},
    {"MTH_ERR_USAGE", "an argument is not valid here"},
    {"MTH_ERR_NO_MEMORY", "the system has no memory left to give"},
    {"MTH_ERR_LIMIT", "the limit set for this operation would be exceeded"},
    {"MTH_ERR_IO", "reading or writing failed"},
    {"MTH_ERR_NOT_FOUND", "no such file, tensor or name"},
    {"MTH_ERR_CORRUPT", "the compressed data is damaged"},
    {"MTH_ERR_TRUNCATED", "the data ends too early"},
    {"MTH_ERR_CHECKSUM", "a checksum does not match"},
    {"MTH_ERR_FORMAT", "the checkpoint file breaks the rules of its format"},
    {"MTH_ERR_UNSUPPORTED", "this combination is not supported"},
    {"MTH_ERR_SPEC", "the pipeline spec is not valid"},
    {"MTH_ERR_BASE", "the base is missing or is not the one that was coded against"},
    {"MTH_ERR_CAPACITY", "the destination buffer is too small"},
    {"MTH_ERR_OVERFLOW", "a size does not fit in memory"},
    {"MTH_ERR_LIBRARY", "a compression library reported a failure"},
    {"MTH_ERR_CANCELLED", "the operation was cancelled"},
    {"MTH_ERR_INTERNAL", "internal error"},
};

_Static_assert(sizeof statuses / sizeof statuses[0] == 1 - MTH_STATUS_LAST, "one row for each status");

const char *mth_status_name(int status)
{
    if (status > 0 || status < MTH_STATUS_LAST)
        return "MTH_ERR_?";
    return statuses[-status].name;
}

const char *mth_status_text(int status)
{
    if (status > 0 || status < MTH_STATUS_LAST)
        return "unknown status";
    return statuses[-status].text;
}

int(mth_error_set)(struct mth_error *err, int status, const char *format, ...)
{
    if (!err)
        return status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    for (char *p = err->text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    err->status = status;
    return status;
}
