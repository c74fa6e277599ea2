/* Streams of the codec that never lie in memory whole; see codecs/pieces.h. */
#ifndef MTH_CODECS_RANS_PIECES_H
#define MTH_CODECS_RANS_PIECES_H

#include "codecs/codec.h"
#include "codecs/pieces.h"

#include <stdbool.h>

enum { MTH_RANS_PIECE_BYTES = 1 << 14 };

/*
 * Encode a stream of job->src.n_bytes, its data left out; pieces of MTH_RANS_PIECE_BYTES are taken, the last one, which may
 * be shorter, first.
 *
 * Shape     state: of the codec rans, to encode; job->dst as for the codec
 * Errors    MTH_ERR_UNSUPPORTED for a stream that the codec has to see whole, or that does not shrink; some or all of it was
 *           taken then
 */
int mth_rans_encode_pieces(void *state, const struct mth_piece_feed *feed, struct mth_encode_job *job);

/* Can this stream be decoded in pieces? */
bool mth_rans_has_pieces(struct mth_bytes src);

/*
 * Decode streams that have pieces, two side by side; their dst is left out.
 *
 * Errors    those of the codec, and of the drain
 */
int mth_rans_decode_pieces(void *state, const struct mth_decode_job *jobs, size_t n_jobs,
                           const struct mth_piece_drain *drain);

#endif
