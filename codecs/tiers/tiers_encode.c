/* Encoding a stream: which mode, which table, and its blocks; see spec.md. */
#include "codecs/tiers/tiers_stream.h"

#include "base/checked.h"
#include "codecs/rans/rans_histogram.h"
#include "codecs/rans/rans_sparse.h"
#include "codecs/tiers/tiers_pieces.h"

#include <string.h>

enum {
    RAW_HEAD_BYTES = 1,
    NEARLY_CONSTANT = 16, /* from one other value in this many on, exceptions are counted */
    PLACE_BYTES = 3,
    PADDING_BYTES =
        MTH_TIERS_BLOCK_HEAD_BYTES + MTH_TIERS_VEC /* of a block, its second tier's about half filled */
};

/* Where the bytes of a stream come from: at most a step at a time; returns where they are, which may be room. */
struct source {
    const uint8_t *(*read)(void *arg, size_t at, size_t n, uint8_t *room);
    void *arg;
    size_t n;
};

/* ---- a block ---- */

struct block {
    size_t n_pairs; /* that the first tier leaves */
    size_t n_rest;  /* that the second one leaves */
    size_t n_places;
};

static bool has_unranked(const uint8_t *pairs, size_t n)
{
    uint8_t found = 0;
    for (size_t i = 0; i < n; i++)
        found |= (uint8_t)(((pairs[i] & 15) == MTH_TIERS_NO_RANK) | (pairs[i] >> 4 == MTH_TIERS_NO_RANK));
    return found;
}

static void note_unranked(struct mth_tiers_state *state, const uint8_t *step, size_t n, size_t at,
                          struct block *block)
{
    uint16_t *places = state->places + block->n_places;
    size_t found = state->kernels->find_unranked(&state->table, step, n, (uint16_t)at, places);
    for (size_t i = 0; i < found; i++)
        state->unranked[block->n_places + i] = step[places[i] - at];
    block->n_places += found;
}

/* n bytes at `at` of a block: their codes, and what is left for the second tier. */
static void encode_step(struct mth_tiers_state *state, const uint8_t *step, size_t n, size_t at,
                        struct mth_tiers_codes codes, struct block *block)
{
    size_t n_vecs = mth_tiers_byte_vecs(n), first_vec = at / MTH_TIERS_VEC_BYTES;
    uint8_t *rest_end = state->rest + sizeof state->rest - MTH_TIERS_SLACK;
    if (n % MTH_TIERS_VEC_BYTES) {
        if (step != state->room)
            memcpy(state->room, step, n);
        memset(state->room + n, state->table.value[0], n_vecs * MTH_TIERS_VEC_BYTES - n);
        step = state->room;
    }
    codes.low += mth_tiers_first_low_bytes(&state->table, first_vec);
    codes.high += mth_tiers_high_bytes(first_vec);
    size_t n_left = (state->table.has_flags ? state->kernels->encode_flags : state->kernels->encode_bytes)(
        &state->table, step, n_vecs, codes, rest_end);
    memcpy(state->pairs + block->n_pairs, rest_end - n_left, n_left);
    if (has_unranked(rest_end - n_left, n_left))
        note_unranked(state, step, n, at, block);
    block->n_pairs += n_left;
}

/* What follows the codes of the first tier, from out on. Returns its end, NULL when there is no room. */
static uint8_t *put_rest(struct mth_tiers_state *state, struct block *block, uint8_t *out, const uint8_t *end)
{
    size_t n_vecs = mth_tiers_pair_vecs(block->n_pairs), n_codes = mth_tiers_code_bytes(n_vecs);
    size_t n_padding = n_vecs * MTH_TIERS_VEC - block->n_pairs;
    uint8_t *rest_end = state->rest + sizeof state->rest - MTH_TIERS_SLACK;
    struct mth_tiers_codes codes = {out, out + mth_tiers_low_bytes(n_vecs)};
    if ((size_t)(end - out) < n_codes + PLACE_BYTES * block->n_places)
        return NULL;
    out += n_codes;
    memset(state->pairs + block->n_pairs, MTH_TIERS_REST_PAIR, n_padding);
    size_t n_rest =
        state->kernels->encode_pairs(&state->table.tiers[1], state->pairs, n_vecs, codes, rest_end);
    block->n_rest = n_rest - n_padding;
    if ((size_t)(end - out) < block->n_rest + PLACE_BYTES * block->n_places)
        return NULL;
    memcpy(out, rest_end - n_rest, block->n_rest);
    out += block->n_rest;
    for (size_t i = 0; i < block->n_places; i++, out += 2)
        mth_store16(out, state->places[i]);
    memcpy(out, state->unranked, block->n_places);
    return out + block->n_places;
}

/* The block of n bytes at `at` of the source. Returns the end of what was written, NULL when there is no room. */
static uint8_t *put_block(struct mth_tiers_state *state, const struct source *source, size_t at, size_t n,
                          uint8_t *out, const uint8_t *end)
{
    size_t n_vecs = mth_tiers_byte_vecs(n), n_low = mth_tiers_first_low_bytes(&state->table, n_vecs);
    size_t n_codes = n_low + mth_tiers_high_bytes(n_vecs);
    struct block block = {0};
    if ((size_t)(end - out) < MTH_TIERS_BLOCK_HEAD_BYTES + n_codes)
        return NULL;
    uint8_t *head = out;
    out += MTH_TIERS_BLOCK_HEAD_BYTES;
    struct mth_tiers_codes codes = {out, out + n_low};
    for (size_t done = 0; done < n; done += MTH_TIERS_STEP_BYTES) {
        size_t n_step = mth_size_min(n - done, MTH_TIERS_STEP_BYTES);
        encode_step(state, source->read(source->arg, at + done, n_step, state->room), n_step, done, codes,
                    &block);
    }
    out = put_rest(state, &block, out + n_codes, end);
    if (!out)
        return NULL;
    mth_store16(head, (uint16_t)block.n_pairs);
    mth_store16(head + 2, (uint16_t)block.n_rest);
    mth_store16(head + 4, (uint16_t)block.n_places);
    return out;
}

/* ---- a stream ---- */

static bool encode_coded(struct mth_tiers_state *state, const struct source *source,
                         struct mth_encode_job *job, size_t n_room)
{
    uint8_t *out = job->dst, *end = job->dst + n_room;
    if (n_room < MTH_TIERS_HEAD_BYTES + MTH_TIERS_WIRE_BYTES)
        return false;
    *out = state->table.has_flags ? MTH_TIERS_FLAGGED : MTH_TIERS_CODED;
    mth_store32(out + 1, (uint32_t)source->n);
    mth_tiers_table_write(&state->table, out + MTH_TIERS_HEAD_BYTES);
    out += MTH_TIERS_HEAD_BYTES + MTH_TIERS_WIRE_BYTES;
    for (size_t at = 0; out && at < source->n; at += MTH_TIERS_BLOCK_BYTES)
        out = put_block(state, source, at, mth_size_min(source->n - at, MTH_TIERS_BLOCK_BYTES), out, end);
    if (out)
        job->out = (struct mth_bytes){job->dst, (size_t)(out - job->dst)};
    return out != NULL;
}

static bool encode_short(struct mth_encode_job *job, size_t n_others, uint8_t value, size_t n_room)
{
    uint8_t mode = n_others ? MTH_TIERS_SPARSE : MTH_TIERS_CONSTANT;
    size_t n = mth_rans_short_write(job->src, mode, n_others, value, job->dst, n_room);
    if (n > 0)
        job->out = (struct mth_bytes){job->dst, n};
    return n > 0;
}

static int encode_raw(struct mth_encode_job *job)
{
    if (job->dst_capacity < job->src.n_bytes + RAW_HEAD_BYTES)
        return MTH_ERR_CAPACITY;
    job->dst[0] = MTH_TIERS_RAW;
    memcpy(job->dst + RAW_HEAD_BYTES, job->src.data, job->src.n_bytes);
    job->out = (struct mth_bytes){job->dst, job->src.n_bytes + RAW_HEAD_BYTES};
    return MTH_OK;
}

/* Nearly constant streams are looked at whole: their exceptions may cost less than codes. */
static bool nearly_constant(const struct mth_rans_counts *counts, uint8_t value)
{
    return (counts->n_counted - counts->n[value]) * NEARLY_CONSTANT <= counts->n_counted;
}

/* Makes the table and tells what a stream of n bytes would take with it. */
static uint64_t choose_table(struct mth_tiers_state *state, const struct mth_rans_counts *counts,
                             uint8_t mode, size_t n)
{
    size_t n_blocks = (n - 1) / MTH_TIERS_BLOCK_BYTES + 1;
    uint32_t n_counted = (uint32_t)counts->n_counted;
    mth_tiers_table_build(counts->n, n_counted, mode, &state->table);
    return MTH_TIERS_HEAD_BYTES + MTH_TIERS_WIRE_BYTES + (uint64_t)n_blocks * PADDING_BYTES +
           mth_tiers_table_price(&state->table, counts->n, n_counted, n);
}

static const uint8_t *read_memory(void *arg, size_t at, size_t n, uint8_t *room)
{
    const struct mth_bytes *src = arg;
    (void)n;
    (void)room;
    return src->data + at;
}

int mth_tiers_encode(void *opaque, struct mth_encode_job *job)
{
    struct mth_tiers_state *state = opaque;
    size_t n = job->src.n_bytes, n_others = n;
    /* What does not get smaller goes raw. */
    size_t n_room = mth_size_min(job->dst_capacity, n);
    struct mth_rans_counts counts;
    uint64_t sparse_price = UINT64_MAX;
    if (n == 0) {
        job->out = (struct mth_bytes){job->dst, 0};
        return MTH_OK;
    }
    mth_rans_sample(job->src.data, n, false, &counts);
    uint8_t value = mth_rans_most_frequent(&counts);
    if (nearly_constant(&counts, value)) {
        n_others = mth_rans_count_others(job->src.data, n, value);
        sparse_price = MTH_RANS_SHORT_HEAD_BYTES + mth_rans_sparse_estimate(n, n_others);
    }
    if (n_others == 0)
        return encode_short(job, 0, value, n_room) ? MTH_OK : encode_raw(job);
    uint64_t price = choose_table(state, &counts, value, n);
    if (sparse_price < price && encode_short(job, n_others, value, n_room))
        return MTH_OK;
    struct source source = {read_memory, &job->src, n};
    return price <= n && encode_coded(state, &source, job, n_room) ? MTH_OK : encode_raw(job);
}

/* ---- in pieces ---- */

_Static_assert(MTH_TIERS_STEP_BYTES % MTH_PIECE_ALIGNMENT == 0, "steps are pieces");

static const uint8_t *read_feed(void *arg, size_t at, size_t n, uint8_t *room)
{
    const struct mth_piece_feed *feed = arg;
    feed->take(feed->arg, at, n, room);
    return room;
}

int mth_tiers_encode_pieces(void *opaque, const struct mth_piece_feed *feed, struct mth_encode_job *job)
{
    struct mth_tiers_state *state = opaque;
    struct mth_rans_counts counts;
    struct mth_piece_feed own_feed = *feed;
    size_t n = job->src.n_bytes;
    if (n <= MTH_TIERS_STEP_BYTES)
        return MTH_ERR_UNSUPPORTED;
    mth_rans_sample_of(feed->sample, feed->arg, n, false, &counts);
    uint8_t value = mth_rans_most_frequent(&counts);
    if (nearly_constant(&counts, value) || choose_table(state, &counts, value, n) > n)
        return MTH_ERR_UNSUPPORTED;
    struct source source = {read_feed, &own_feed, n};
    return encode_coded(state, &source, job, mth_size_min(job->dst_capacity, n)) ? MTH_OK
                                                                                 : MTH_ERR_UNSUPPORTED;
}
