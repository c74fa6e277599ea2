/*
 * Streams that never lie in memory whole: what makes them and what takes them works on pieces that stay in the cache. For
 * paths that fuse a codec with a transform; the bytes are those of the codec.
 */
#ifndef MTH_CODECS_PIECES_H
#define MTH_CODECS_PIECES_H

#include <stddef.h>
#include <stdint.h>

/* Where a piece may begin: at its multiples. The last one ends where the stream ends. */
enum { MTH_PIECE_ALIGNMENT = 1 << 12 };

/* Where a stream comes from. */
struct mth_piece_feed {
    /* A few bytes here and there; returns where they are, which may be room. At most 4 Ki at a time. */
    const uint8_t *(*sample)(void *arg, size_t at, size_t n, uint8_t *room);
    /* Each piece into room, once. */
    void (*take)(void *arg, size_t at, size_t n, uint8_t *room);
    void *arg;
};

/* Where streams go: pieces of stream `job`, from front to back. Anything but MTH_OK ends the decoding with it. */
struct mth_piece_drain {
    int (*put)(void *arg, size_t job, size_t at, const uint8_t *bytes, size_t n);
    void *arg;
};

#endif
