/*
 * Writing JSON: one compact line an object, members in the order of the calls, so that equal data gives equal
 * bytes.
 *
 *     struct mth_json_writer w;
 *     mth_json_writer_init(&w);
 *     mth_json_begin_object(&w, NULL);
 *     mth_json_string(&w, "kind", "cell");
 *     mth_json_begin_array(&w, "samples_ns");
 *     mth_json_uint(&w, NULL, 12345);
 *     mth_json_end(&w);
 *     mth_json_end(&w);
 *     status = mth_json_writer_text(&w, &text, &n_bytes);
 *     mth_json_writer_free(&w);
 *
 * key is NULL for an item of an array and for the topmost value. Failures are remembered and come out at the
 * end.
 */
#ifndef MTH_HARNESS_JSON_WRITER_H
#define MTH_HARNESS_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MTH_JSON_MAX_DEPTH = 16 };

struct mth_json_writer {
    char *text;
    size_t n_bytes;
    size_t capacity_bytes;
    size_t depth;
    char closers[MTH_JSON_MAX_DEPTH]; /* what ends each open container */
    bool has_items[MTH_JSON_MAX_DEPTH];
    int status;
};

void mth_json_writer_init(struct mth_json_writer *writer);
void mth_json_writer_free(struct mth_json_writer *writer);
/* Start again, keeping the memory. */
void mth_json_writer_reset(struct mth_json_writer *writer);

void mth_json_begin_object(struct mth_json_writer *writer, const char *key);
void mth_json_begin_array(struct mth_json_writer *writer, const char *key);
/* Ends the innermost object or array. */
void mth_json_end(struct mth_json_writer *writer);

/* NULL writes null. What is not UTF-8 comes out as U+FFFD. */
void mth_json_string(struct mth_json_writer *writer, const char *key, const char *value);
void mth_json_int(struct mth_json_writer *writer, const char *key, int64_t value);
void mth_json_uint(struct mth_json_writer *writer, const char *key, uint64_t value);
/* The shortest of 15 to 17 digits that reads back as the same double; null when it is not finite. */
void mth_json_real(struct mth_json_writer *writer, const char *key, double value);
void mth_json_bool(struct mth_json_writer *writer, const char *key, bool value);
void mth_json_null(struct mth_json_writer *writer, const char *key);

/*
 * All of it, with a newline and a NUL behind it (n_bytes counts the newline, not the NUL). Borrowed from the
 * writer. Errors: MTH_ERR_NO_MEMORY; MTH_ERR_INTERNAL when begin and end do not pair.
 */
int mth_json_writer_text(struct mth_json_writer *writer, const char **text, size_t *n_bytes);

#endif
