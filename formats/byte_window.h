/*
 * A range of a source, read from front to back through a small buffer.
 *
 * What reads a pickle or a zip directory asks for a few bytes at a time; the window keeps 64 KiB of them, whatever the
 * range holds. Nothing outside of the range is read.
 */
#ifndef MTH_FORMATS_BYTE_WINDOW_H
#define MTH_FORMATS_BYTE_WINDOW_H

#include "base/file.h"

enum { MTH_WINDOW_BYTES = 64 << 10 };

struct mth_window {
    const struct mth_source *source;
    uint64_t offset; /* in the source, of the next byte */
    uint64_t end;
    size_t at, n_held; /* the next byte and the end of what is held, in bytes */
    uint8_t bytes[MTH_WINDOW_BYTES];
};

/* Look at n_bytes from offset on; they must lie inside of the source. */
void mth_window_open(struct mth_window *window, const struct mth_source *source, uint64_t offset,
                     uint64_t n_bytes);

/* Bytes of the range that were not taken yet. */
static inline uint64_t mth_window_left(const struct mth_window *window)
{
    return window->end - window->offset;
}

/*
 * The next n_bytes, at most MTH_WINDOW_BYTES, which stay where they are until the next call.
 * Errors: MTH_ERR_TRUNCATED where the range ends earlier, with what naming what was read; those of reading.
 */
int mth_window_take(struct mth_window *window, size_t n_bytes, const char *what, const uint8_t **bytes,
                    struct mth_error *err);

/* Pass over n_bytes without reading them. Errors: MTH_ERR_TRUNCATED. */
int mth_window_skip(struct mth_window *window, uint64_t n_bytes, const char *what, struct mth_error *err);

/*
 * The next bytes up to a newline, which is taken too but not counted.
 * Errors: MTH_ERR_TRUNCATED without a newline; MTH_ERR_LIMIT where a line is longer than MTH_WINDOW_BYTES - 1.
 */
int mth_window_line(struct mth_window *window, const char *what, const uint8_t **line, size_t *n_line,
                    struct mth_error *err);

#endif
