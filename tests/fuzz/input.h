/* What inputs of several fuzz targets have in common: names as hashes, options as bytes. */
#ifndef MTH_TESTS_FUZZ_INPUT_H
#define MTH_TESTS_FUZZ_INPUT_H

#include "base/hash.h"
#include "base/option.h"

#include <string.h>

enum { INPUT_OPTIONS = 8 };

/* What stands for a name: a registry may grow and change its order, and inputs mean what they did. */
static inline uint32_t input_name(const char *name)
{
    return (uint32_t)mth_hash64(name, strlen(name), 0);
}

/* The options that bytes stand for: 0 the default, else a value of the range. */
static inline void input_options(const struct mth_option *options, size_t n_options,
                                 const uint8_t bytes[INPUT_OPTIONS], int64_t *values)
{
    mth_option_defaults(options, n_options, values);
    for (size_t i = 0; i < n_options && i < INPUT_OPTIONS; i++) {
        int64_t n_values = options[i].max - options[i].min + 1;
        if (bytes[i] && n_values <= 255)
            values[i] = options[i].min + (bytes[i] - 1) % n_values;
        else if (bytes[i])
            values[i] = options[i].min + (bytes[i] - 1) * (n_values / 255);
    }
}

#endif
