/* Streams of the codec that never lie in memory whole; see codecs/pieces.h. */
#ifndef MTH_CODECS_TIERS_PIECES_H
#define MTH_CODECS_TIERS_PIECES_H

#include "codecs/codec.h"
#include "codecs/pieces.h"

#include <stdbool.h>

/*
 * Encode a stream of job->src.n_bytes, its data left out; pieces are taken from front to back.
 *
 * Shape     state: of the codec tiers, to encode; job->dst as for the codec
 * Errors    MTH_ERR_UNSUPPORTED for a stream that the codec has to see whole, or that does not shrink; some or all of it was
 *           taken then
 */
int mth_tiers_encode_pieces(void *state, const struct mth_piece_feed *feed, struct mth_encode_job *job);

/* Can this stream be decoded in pieces? */
bool mth_tiers_has_pieces(struct mth_bytes src);

/*
 * Decode streams that have pieces; their dst is left out.
 *
 * Errors    those of the codec, and of the drain
 */
int mth_tiers_decode_pieces(void *state, const struct mth_decode_job *jobs, size_t n_jobs,
                            const struct mth_piece_drain *drain);

#endif
