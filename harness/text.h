/* Text for people: names that may be hostile, sizes with their units, and JSON results that go where --json says. */
#ifndef MTH_HARNESS_TEXT_H
#define MTH_HARNESS_TEXT_H

#include "base/status.h"
#include "harness/json_writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MTH_TEXT_BYTES = 128 };

/*
 * A name as at most n_columns printable ASCII characters: what a terminal could obey becomes '?', and of a name that
 * is too long the end is kept, behind "..", because that is where tensor names differ.
 *
 * Shape     out: MTH_TEXT_BYTES; n_columns 3 .. MTH_TEXT_BYTES - 1; returns out
 * Example   "model.layers.10.weight", 12 -> "...10.weight"
 */
const char *mth_text_name(const char *name, size_t n_columns, char out[MTH_TEXT_BYTES]);

/* What a noun ends in behind a number: nothing behind 1, else "s". */
const char *mth_text_plural(uint64_t number);

/* Are they the same text, or both NULL? */
bool mth_text_same(const char *a, const char *b);

/* "853688 B", "833.7 KiB", "1.50 GiB". Returns out. */
const char *mth_text_size(uint64_t n_bytes, char out[MTH_TEXT_BYTES]);

/*
 * A size such as 4096, 64KiB, 1 MB: binary units KiB, MiB, GiB, TiB; decimal ones KB, MB, GB, TB; B.
 * Errors: MTH_ERR_USAGE, which names the right units.
 */
int mth_size_parse(const char *text, size_t *n_bytes, struct mth_error *err);

/* Write what a writer holds to a file, whole or not at all, or to standard output for "-". Frees the writer. */
int mth_text_put_json(struct mth_json_writer *writer, const char *path, struct mth_error *err);

#endif
