/* Reading a range of a source from front to back; see byte_window.h. */
#include "formats/byte_window.h"

#include <string.h>

void mth_window_open(struct mth_window *window, const struct mth_source *source, uint64_t offset,
                     uint64_t n_bytes)
{
    window->source = source;
    window->offset = offset;
    window->end = offset + n_bytes;
    window->at = window->n_held = 0;
}

static int ends_early(const struct mth_window *window, const char *what, struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_TRUNCATED, "%s: ends at byte %llu, inside %s", window->source->name,
                         (unsigned long long)window->end, what);
}

/* Hold more: at least one byte that was not held before, of which there must be one in the range. */
static int fill(struct mth_window *window, struct mth_error *err)
{
    size_t n_kept = window->n_held - window->at;
    if (n_kept)
        memmove(window->bytes, window->bytes + window->at, n_kept);
    uint64_t left = mth_window_left(window) - n_kept;
    size_t n_more = left < MTH_WINDOW_BYTES - n_kept ? (size_t)left : MTH_WINDOW_BYTES - n_kept;
    window->at = 0;
    window->n_held = n_kept;
    int status =
        mth_source_read(window->source, window->offset + n_kept, window->bytes + n_kept, n_more, err);
    if (!status)
        window->n_held += n_more;
    return status;
}

int mth_window_take(struct mth_window *window, size_t n_bytes, const char *what, const uint8_t **bytes,
                    struct mth_error *err)
{
    if (n_bytes > mth_window_left(window))
        return ends_early(window, what, err);
    if (n_bytes > window->n_held - window->at) {
        int status = fill(window, err);
        if (status)
            return status;
    }
    *bytes = window->bytes + window->at;
    window->at += n_bytes;
    window->offset += n_bytes;
    return MTH_OK;
}

int mth_window_skip(struct mth_window *window, uint64_t n_bytes, const char *what, struct mth_error *err)
{
    if (n_bytes > mth_window_left(window))
        return ends_early(window, what, err);
    window->offset += n_bytes;
    if (n_bytes <= window->n_held - window->at)
        window->at += (size_t)n_bytes;
    else
        window->at = window->n_held = 0;
    return MTH_OK;
}

int mth_window_line(struct mth_window *window, const char *what, const uint8_t **line, size_t *n_line,
                    struct mth_error *err)
{
    size_t n_seen = 0;
    for (;;) {
        size_t n_held = window->n_held - window->at;
        const uint8_t *begin = window->bytes + window->at;
        const uint8_t *newline = n_held > n_seen ? memchr(begin + n_seen, '\n', n_held - n_seen) : NULL;
        if (newline) {
            *line = begin;
            *n_line = (size_t)(newline - begin);
            window->at += *n_line + 1;
            window->offset += *n_line + 1;
            return MTH_OK;
        }
        n_seen = n_held;
        if (n_held == mth_window_left(window))
            return ends_early(window, what, err);
        if (n_held == MTH_WINDOW_BYTES)
            return mth_error_set(err, MTH_ERR_LIMIT, "%s: %s at byte %llu is longer than %d bytes",
                                 window->source->name, what, (unsigned long long)window->offset,
                                 MTH_WINDOW_BYTES - 1);
        int status = fill(window, err);
        if (status)
            return status;
    }
}
