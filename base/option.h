/*
 * Options as data: what `list` prints, what the spec parser checks, what a codec or transform receives.
 *
 * Every option is an integer with a range, or one of a list of words whose index is the integer.
 */
#ifndef MTH_BASE_OPTION_H
#define MTH_BASE_OPTION_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MTH_MAX_OPTIONS = 8 };

struct mth_option {
    const char *name;
    const char *help;
    int64_t min;
    int64_t max;
    int64_t default_value;
    const char *const *words; /* NULL for a number; else max - min + 1 words, the first for min */
};

/* The defaults of a schema. Shape: values[n_options]. */
void mth_option_defaults(const struct mth_option *options, size_t n_options, int64_t *values);

/*
 * Set one option from text of the form name=value (n_text bytes, not terminated).
 * Errors: MTH_ERR_SPEC with a line that shows the schema; the values stay as they are.
 */
int mth_option_set(const struct mth_option *options, size_t n_options, const char *owner, const char *text,
                   size_t n_text, int64_t *values, struct mth_error *err);

/* Append every option as ":name=value" to out (NUL-terminated). Returns the length that all of it needs, as
 * snprintf. */
size_t mth_option_print(const struct mth_option *options, size_t n_options, const int64_t *values, char *out,
                        size_t capacity);

/* The schema on one line: "level=-7..22 (3: default) ..."; for messages and `list`. */
size_t mth_option_schema(const struct mth_option *options, size_t n_options, char *out, size_t capacity);

/* How many insertions, deletions and substitutions turn a (n_a bytes) into b; for "did you mean". Cost n_a *
 * |b|. */
size_t mth_edit_distance(const char *a, size_t n_a, const char *b);

enum { MTH_HINT_BYTES = 160 };

/* "; did you mean 'NEAREST'?", dashes before it, where what was given (n_given bytes) is likely to be that name, else nothing. */
const char *mth_did_you_mean(const char *given, size_t n_given, const char *dashes, const char *nearest,
                             char out[MTH_HINT_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
