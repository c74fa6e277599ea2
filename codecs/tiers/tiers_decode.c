/* Decoding streams; see spec.md. Everything read here is hostile. */
#include "codecs/tiers/tiers_stream.h"

#include "base/checked.h"
#include "codecs/rans/rans_sparse.h"
#include "codecs/tiers/tiers_pieces.h"

#include <string.h>

/* A block whose second tier is decoded, and where its first one stands. */
struct block {
    struct mth_tiers_source codes;
    size_t n_bytes;
    size_t n_pairs, n_taken; /* of the second tier */
    const uint8_t *places, *unranked;
    size_t n_places, n_put;
};

/* Takes n bytes from the front of wire; NULL when there are fewer. */
static const uint8_t *take(struct mth_bytes *wire, size_t n)
{
    const uint8_t *bytes = wire->data;
    if (wire->n_bytes < n)
        return NULL;
    wire->data += n;
    wire->n_bytes -= n;
    return bytes;
}

/* The codes of a tier. */
static bool take_codes(struct mth_bytes *wire, size_t n_low, size_t n_vecs, struct mth_tiers_source *codes)
{
    codes->low = take(wire, n_low);
    codes->high = codes->low ? take(wire, mth_tiers_high_bytes(n_vecs)) : NULL;
    return codes->high != NULL;
}

/* The pairs of the second tier, into state->pairs. Codes of the padding are those of a rest that is not there. */
static bool decode_second_tier(struct mth_tiers_state *state, struct mth_bytes *wire, size_t n_pairs,
                               size_t n_rest)
{
    struct mth_tiers_source codes;
    size_t n_vecs = mth_tiers_pair_vecs(n_pairs), n_padding = n_vecs * MTH_TIERS_VEC - n_pairs;
    if (n_pairs > MTH_TIERS_BLOCK_PAIRS || n_rest > n_pairs ||
        !take_codes(wire, mth_tiers_low_bytes(n_vecs), n_vecs, &codes))
        return false;
    const uint8_t *rest = take(wire, n_rest);
    if (!rest)
        return false;
    memcpy(state->rest, rest, n_rest);
    return state->kernels->decode_pairs(&state->table.tiers[1], codes, n_vecs, state->rest, state->pairs) ==
           n_rest + n_padding;
}

/* Places rise, and lie in the block. */
static bool places_are_good(const struct block *block)
{
    size_t least = 0;
    for (size_t i = 0; i < block->n_places; i++) {
        size_t place = mth_load16(block->places + 2 * i);
        if (place < least || place >= block->n_bytes)
            return false;
        least = place + 1;
    }
    return true;
}

static bool open_block(struct mth_tiers_state *state, struct mth_bytes *wire, size_t n, struct block *block)
{
    size_t n_vecs = mth_tiers_byte_vecs(n);
    const uint8_t *head = take(wire, MTH_TIERS_BLOCK_HEAD_BYTES);
    if (!head)
        return false;
    *block = (struct block){.n_bytes = n, .n_pairs = mth_load16(head), .n_places = mth_load16(head + 4)};
    if (!take_codes(wire, mth_tiers_first_low_bytes(&state->table, n_vecs), n_vecs, &block->codes) ||
        !decode_second_tier(state, wire, block->n_pairs, mth_load16(head + 2)))
        return false;
    block->places = take(wire, 2 * block->n_places);
    block->unranked = block->places ? take(wire, block->n_places) : NULL;
    return block->unranked && places_are_good(block);
}

/* The next n bytes of a block, which begin at `at`: a step, or what is left. */
static void decode_step(struct mth_tiers_state *state, struct block *block, size_t at, size_t n, uint8_t *dst)
{
    size_t n_vecs = mth_tiers_byte_vecs(n), first_vec = at / MTH_TIERS_VEC_BYTES;
    struct mth_tiers_source codes = {block->codes.low + mth_tiers_first_low_bytes(&state->table, first_vec),
                                     block->codes.high + mth_tiers_high_bytes(first_vec)};
    uint8_t *out = n % MTH_TIERS_VEC_BYTES ? state->room : dst;
    /* No more than all pairs of a block can be taken: what lies behind those of this one is of an earlier block. */
    block->n_taken += (state->table.has_flags ? state->kernels->decode_flags : state->kernels->decode_bytes)(
        &state->table, codes, n_vecs, state->pairs + block->n_taken, out);
    if (out != dst)
        memcpy(dst, out, n);
    for (; block->n_put < block->n_places; block->n_put++) {
        size_t place = mth_load16(block->places + 2 * block->n_put) - at;
        if (place >= n)
            break;
        dst[place] = block->unranked[block->n_put];
    }
}

/* A stream's blocks go to dst, or piece by piece to the drain. */
static int decode_coded(struct mth_tiers_state *state, const struct mth_decode_job *job, size_t job_index,
                        const struct mth_piece_drain *drain)
{
    uint8_t piece[MTH_TIERS_STEP_BYTES];
    struct mth_bytes wire = job->src;
    const uint8_t *head = take(&wire, MTH_TIERS_HEAD_BYTES + MTH_TIERS_WIRE_BYTES);
    if (!head || mth_load32(head + 1) != (uint32_t)job->dst_bytes)
        return MTH_ERR_CORRUPT;
    int status =
        mth_tiers_table_read(head + MTH_TIERS_HEAD_BYTES, head[0] == MTH_TIERS_FLAGGED, &state->table);
    for (size_t at = 0; !status && at < job->dst_bytes; at += MTH_TIERS_BLOCK_BYTES) {
        struct block block;
        if (!open_block(state, &wire, mth_size_min(job->dst_bytes - at, MTH_TIERS_BLOCK_BYTES), &block))
            return MTH_ERR_CORRUPT;
        for (size_t done = 0; !status && done < block.n_bytes; done += MTH_TIERS_STEP_BYTES) {
            size_t n = mth_size_min(block.n_bytes - done, MTH_TIERS_STEP_BYTES);
            decode_step(state, &block, done, n, drain ? piece : job->dst + at + done);
            if (drain)
                status = drain->put(drain->arg, job_index, at + done, piece, n);
        }
        if (!status && block.n_taken != block.n_pairs)
            status = MTH_ERR_CORRUPT;
    }
    return !status && wire.n_bytes ? MTH_ERR_CORRUPT : status;
}

static int decode_job(struct mth_tiers_state *state, const struct mth_decode_job *job)
{
    const uint8_t *in = job->src.data;
    size_t n = job->src.n_bytes;
    if (job->dst_bytes == 0 || n == 0)
        return job->dst_bytes == n ? MTH_OK : MTH_ERR_CORRUPT;
    switch (in[0]) {
    case MTH_TIERS_RAW:
        if (n - 1 != job->dst_bytes)
            return MTH_ERR_CORRUPT;
        memcpy(job->dst, in + 1, job->dst_bytes);
        return MTH_OK;
    case MTH_TIERS_CONSTANT:
        if (n != 2)
            return MTH_ERR_CORRUPT;
        memset(job->dst, in[1], job->dst_bytes);
        return MTH_OK;
    case MTH_TIERS_SPARSE:
        if (n < 2)
            return MTH_ERR_CORRUPT;
        return mth_rans_sparse_read((struct mth_bytes){in + 2, n - 2}, in[1], job->dst, job->dst_bytes);
    case MTH_TIERS_CODED:
    case MTH_TIERS_FLAGGED:
        return decode_coded(state, job, 0, NULL);
    default:
        return MTH_ERR_CORRUPT;
    }
}

int mth_tiers_decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    int status = MTH_OK;
    for (size_t i = 0; !status && i < n_jobs; i++)
        status = decode_job(opaque, &jobs[i]);
    return status;
}

bool mth_tiers_has_pieces(struct mth_bytes src)
{
    return src.n_bytes && (src.data[0] == MTH_TIERS_CODED || src.data[0] == MTH_TIERS_FLAGGED);
}

int mth_tiers_decode_pieces(void *opaque, const struct mth_decode_job *jobs, size_t n_jobs,
                            const struct mth_piece_drain *drain)
{
    int status = MTH_OK;
    for (size_t i = 0; !status && i < n_jobs; i++)
        status = decode_coded(opaque, &jobs[i], i, drain);
    return status;
}
