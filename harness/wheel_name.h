/* What the file name of a Python wheel says of the system that it is for. */
#ifndef MTH_HARNESS_WHEEL_NAME_H
#define MTH_HARNESS_WHEEL_NAME_H

#include <stddef.h>

enum { MTH_WHEEL_NAME_BYTES = 256, MTH_WHEEL_MAX_OPTIONS = 24 };

/* Options for pip. Points into itself: not to be copied. */
struct mth_wheel_options {
    const char *argv[MTH_WHEEL_MAX_OPTIONS];
    size_t n; /* 0 for a wheel of Python alone, which pip takes anywhere */
    char tags[MTH_WHEEL_NAME_BYTES];
    char implementation[3]; /* cp of cp311 */
};

/*
 * The options that make pip download a wheel whatever system it runs on.
 *
 * Errors    MTH_ERR_USAGE when this is not the name of a wheel: NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl
 * Source    PEP 427, "File name convention"; several platforms are joined by dots (PEP 425)
 */
int mth_wheel_options(const char *wheel, struct mth_wheel_options *options);

#endif
