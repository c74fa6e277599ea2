/*
 * Where a decoder puts the elements of a stream: in order, piece by piece. Each piece is hashed while it is in the nearest cache, and may then go
 * past all caches, in whole lines.
 */
#ifndef MTH_CODECS_ULP_OUTPUT_H
#define MTH_CODECS_ULP_OUTPUT_H

#include "base/copy.h"
#include "base/hash.h"

enum { MTH_ULP_PIECE_BYTES = 4096, MTH_ULP_OUTPUT_ROOM_BYTES = MTH_ULP_PIECE_BYTES + 2 * MTH_LINE_BYTES };

struct mth_ulp_output {
    uint8_t *at;                      /* where the next piece belongs */
    uint8_t *written;                 /* all before this is there; less than a line is not */
    uint8_t *room;                    /* a piece, behind a line; NULL: it goes to its place at once */
    struct mth_hash64_pieces *digest; /* NULL: not asked for */
};

/* room: MTH_ULP_OUTPUT_ROOM_BYTES, for pieces that go past caches, or NULL. */
void mth_ulp_output_begin(struct mth_ulp_output *output, uint8_t *dst, uint8_t *room,
                          struct mth_hash64_pieces *digest);

/* Where the next piece is made, of MTH_ULP_PIECE_BYTES at most. */
static inline uint8_t *mth_ulp_output_piece(const struct mth_ulp_output *output)
{
    return output->room ? output->room + MTH_LINE_BYTES : output->at;
}

/* It is made. */
void mth_ulp_output_put(struct mth_ulp_output *output, size_t n_bytes);
/* Any number of bytes that lie elsewhere; src NULL: zeros. */
void mth_ulp_output_copy(struct mth_ulp_output *output, const uint8_t *src, size_t n_bytes);
/* All was put. */
void mth_ulp_output_end(struct mth_ulp_output *output);

#endif
