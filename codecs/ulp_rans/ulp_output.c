/* Elements to their place; see ulp_output.h. */
#include "codecs/ulp_rans/ulp_output.h"

#include "base/checked.h"

#include <string.h>

enum { LINE = MTH_LINE_BYTES };

void mth_ulp_output_begin(struct mth_ulp_output *output, uint8_t *dst, uint8_t *room,
                          struct mth_hash64_pieces *digest)
{
    /* Vectors that lie in one line are stored and loaded at once. */
    if (room)
        room += (0 - (uintptr_t)room) % LINE;
    *output = (struct mth_ulp_output){.at = dst, .written = dst, .room = room, .digest = digest};
    if (digest)
        mth_hash64_begin(digest);
}

void mth_ulp_output_put(struct mth_ulp_output *output, size_t n_bytes)
{
    uint8_t *piece = mth_ulp_output_piece(output), *end = output->at + n_bytes;
    if (output->digest)
        mth_hash64_add(output->digest, piece, n_bytes);
    if (output->room) {
        /* What was left over lies in front of the piece. */
        const uint8_t *from = piece - (output->at - output->written);
        size_t n_left = (size_t)(end - output->written);
        size_t n_first = mth_size_min((0 - (uintptr_t)output->written) % LINE, n_left);
        memcpy(output->written, from, n_first);
        size_t n_lines = (n_left - n_first) / LINE, n_done = n_first + n_lines * LINE;
        mth_copy_lines_away(output->written + n_first, from + n_first, n_lines);
        n_left -= n_done;
        memmove(piece - n_left, from + n_done, n_left);
        output->written += n_done;
    }
    output->at = end;
}

void mth_ulp_output_copy(struct mth_ulp_output *output, const uint8_t *src, size_t n_bytes)
{
    for (size_t n; n_bytes > 0; n_bytes -= n) {
        n = mth_size_min(n_bytes, MTH_ULP_PIECE_BYTES);
        if (src) {
            memcpy(mth_ulp_output_piece(output), src, n);
            src += n;
        } else {
            memset(mth_ulp_output_piece(output), 0, n);
        }
        mth_ulp_output_put(output, n);
    }
}

void mth_ulp_output_end(struct mth_ulp_output *output)
{
    if (!output->room)
        return;
    size_t n_left = (size_t)(output->at - output->written);
    memcpy(output->written, mth_ulp_output_piece(output) - n_left, n_left);
    mth_copy_lines_end();
}
