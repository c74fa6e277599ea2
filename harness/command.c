/* What results mean to the shell; see command.h. */
#include "harness/command.h"

#include <stdio.h>

int mth_exit_code(int status)
{
    switch (status) {
    case MTH_OK:
        return MTH_EXIT_OK;
    case MTH_ERR_USAGE:
    case MTH_ERR_SPEC:
        return MTH_EXIT_USAGE;
    case MTH_ERR_CORRUPT:
    case MTH_ERR_TRUNCATED:
    case MTH_ERR_CHECKSUM:
    case MTH_ERR_FORMAT:
    case MTH_ERR_BASE:
    case MTH_ERR_UNSUPPORTED:
    case MTH_ERR_OVERFLOW:
        return MTH_EXIT_DATA;
    case MTH_ERR_LIMIT:
        return MTH_EXIT_ENVIRONMENT;
    case MTH_ERR_CANCELLED:
        return MTH_EXIT_INTERRUPTED;
    default:
        return MTH_EXIT_RESOURCES;
    }
}

int mth_command_fail(const struct mth_error *err)
{
    fprintf(stderr, "mithril: %s\n", err->text);
    return mth_exit_code(err->status);
}
