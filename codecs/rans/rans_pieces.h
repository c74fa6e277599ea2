/*
 * Streams that never lie in memory whole: what makes them and what takes them works on pieces that stay in the cache. For
 * paths that fuse the codec with a transform. The bytes are those of the codec.
 */
#ifndef MTH_CODECS_RANS_PIECES_H
#define MTH_CODECS_RANS_PIECES_H

#include "codecs/codec.h"

#include <stdbool.h>

enum { MTH_RANS_PIECE_BYTES = 1 << 14 };

/* Where a stream comes from. */
struct mth_rans_feed {
    /* A few bytes here and there; returns where they are, which may be room. At most 4 Ki at a time. */
    const uint8_t *(*sample)(void *arg, size_t at, size_t n, uint8_t *room);
    /* Pieces into room: the last one first, the others of MTH_RANS_PIECE_BYTES. */
    void (*take)(void *arg, size_t at, size_t n, uint8_t *room);
    void *arg;
};

/*
 * Encode a stream of job->src.n_bytes, its data left out.
 *
 * Shape     state: of the codec rans, to encode; job->dst as for the codec
 * Errors    MTH_ERR_UNSUPPORTED for a stream that the codec has to see whole, or that does not shrink; some or all of it was
 *           taken then
 */
int mth_rans_encode_pieces(void *state, const struct mth_rans_feed *feed, struct mth_encode_job *job);

/* Can this stream be decoded in pieces? */
bool mth_rans_has_pieces(struct mth_bytes src);

/* Where streams go: pieces of stream `job`, from front to back. Anything but MTH_OK ends the decoding with it. */
struct mth_rans_drain {
    int (*put)(void *arg, size_t job, size_t at, const uint8_t *bytes, size_t n);
    void *arg;
};

/*
 * Decode streams that have pieces, two side by side; their dst is left out.
 *
 * Errors    those of the codec, and of the drain
 */
int mth_rans_decode_pieces(void *state, const struct mth_decode_job *jobs, size_t n_jobs,
                           const struct mth_rans_drain *drain);

#endif
