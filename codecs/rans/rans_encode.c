/* Encoding a stream: which mode, which table, and its bytes; see spec.md. */
#include "codecs/rans/rans_stream.h"

#include "base/checked.h"
#include "codecs/rans/rans_pieces.h"
#include "codecs/rans/rans_quantise.h"
#include "codecs/rans/rans_sparse.h"

#include <string.h>

enum {
    HEAD_BYTES = 1,
    NEARLY_CONSTANT = 16, /* from one other value in this many on, exceptions are counted */
    WIDE_GAIN = 64,       /* narrow is faster: wide has to save one byte in this many, where speed counts, */
    WIDE_GAIN_SLOW = 32,  /* and more where it has too few lanes for vectors, and takes ten times as long, */
    LEAST_SLOW_BYTES = 2048, /* which is nothing to speak of below */
    LEAST_TABLE_BYTES = 8,   /* no useful table takes fewer */
    NARROW_LANE_BYTES = 512, /* bytes that make one more lane worth its state */
    WIDE_LANE_BYTES = 1024
};

static size_t lanes_for(size_t n, size_t bytes_a_lane, size_t most)
{
    size_t n_lanes = 1;
    while (n_lanes < most && n / bytes_a_lane >= 2 * n_lanes)
        n_lanes *= 2;
    return n_lanes;
}

/* From 4 KiB on there are enough for the vector kernels. */
size_t mth_rans_narrow_lanes(size_t n)
{
    size_t n_lanes = lanes_for(n, NARROW_LANE_BYTES, MTH_RANS_MAX_LANES);
    return n_lanes == 8 || n_lanes == 16 ? MTH_RANS_MIN_KERNEL_LANES : n_lanes;
}

/* From 8 KiB on the same. */
size_t mth_rans_wide_lanes(size_t n)
{
    size_t n_lanes = lanes_for(n, WIDE_LANE_BYTES, MTH_RANS_WIDE_LANES);
    return n_lanes == 8 ? MTH_RANS_WIDE_KERNEL_LANES : n_lanes;
}

/* ---- prices ---- */

/* Bytes of n bytes whose sample costs this much. */
static uint64_t scale(uint64_t cost, const struct mth_rans_counts *counts, size_t n)
{
    if (cost == UINT64_MAX)
        return UINT64_MAX;
    /* In units of 2^-8 bits a sample is below 2^15 * 2^5 * 2^8, so that the product fits 64 bits for n < 2^36. */
    uint64_t per_sample = cost >> (MTH_RANS_LOG2_BITS - 8);
    uint64_t n_scaled = (uint64_t)n, shift = 0;
    while (n_scaled >> shift >> 34)
        shift++;
    return (per_sample * (n_scaled >> shift) / counts->n_counted << shift) / (8 << 8);
}

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t narrow_price(uint64_t cost, const struct mth_rans_counts *counts, size_t n)
{
    uint64_t bytes = scale(cost, counts, n);
    return saturating_add(bytes, HEAD_BYTES + 2 * mth_rans_narrow_lanes(n));
}

static uint64_t wide_price(const struct mth_rans_wide_table *table, const struct mth_rans_counts *counts,
                           size_t n)
{
    uint64_t bytes = scale(mth_rans_wide_cost(table, counts->n), counts, n);
    return saturating_add(bytes, HEAD_BYTES + 4 * mth_rans_wide_lanes(n));
}

/* What wide takes at least beside what an ideal coder would: its states, and of each symbol a class and some bits. */
static uint64_t wide_overhead(const struct mth_rans_counts *counts, size_t n)
{
    size_t n_values = 0;
    for (size_t v = 0; v < 256; v++)
        n_values += counts->n[v] != 0;
    return HEAD_BYTES + 4 * mth_rans_wide_lanes(n) + n_values / 4;
}

/* What narrow and wide must differ by, of what narrow takes. */
static uint64_t wide_gain(uint64_t price, size_t n, bool for_size)
{
    if (for_size)
        return 0;
    bool is_slow = mth_rans_wide_lanes(n) < MTH_RANS_WIDE_KERNEL_LANES && n >= LEAST_SLOW_BYTES;
    return price / (is_slow ? WIDE_GAIN_SLOW : WIDE_GAIN);
}

/* What an ideal coder with the sample's own statistics would take. */
static uint64_t ideal_price(const struct mth_rans_counts *counts, size_t n)
{
    uint64_t cost = 0, log_total = mth_rans_log2((uint32_t)counts->n_counted);
    for (size_t v = 0; v < 256; v++) {
        if (counts->n[v])
            cost += counts->n[v] * (log_total - mth_rans_log2(counts->n[v]));
    }
    return scale(cost, counts, n);
}

static unsigned slot_bits_for(size_t n)
{
    return n < (1 << 12) ? 10 : n < (1 << 14) ? 11 : 12;
}

void mth_rans_choose_table(const struct mth_rans_counts *counts, size_t n, bool for_size,
                           struct mth_rans_model *out, uint64_t *estimate)
{
    uint8_t wire[MTH_RANS_WIDE_TABLE_BYTES];
    struct mth_rans_narrow_plan plan;
    out->mode = MTH_RANS_RAW;
    *estimate = saturating_add(n, HEAD_BYTES);
    if (mth_rans_narrow_plan(counts->n, counts->exact, &plan)) {
        uint64_t price = narrow_price(plan.cost, counts, n) + mth_rans_narrow_plan_bytes(&plan);
        if (price < *estimate) {
            out->mode = MTH_RANS_NARROW;
            *estimate = price;
        }
    }
    /* The ideal price says whether looking further can pay. */
    uint64_t wide_limit = *estimate - wide_gain(*estimate, n, for_size);
    if (saturating_add(ideal_price(counts, n), wide_overhead(counts, n)) < wide_limit &&
        mth_rans_wide_build(counts->n, counts->exact, slot_bits_for(n), &out->wide)) {
        uint64_t price = wide_price(&out->wide, counts, n) + mth_rans_wide_write(&out->wide, wire);
        if (price < wide_limit) {
            out->mode = MTH_RANS_WIDE;
            *estimate = price;
        }
    }
    if (out->mode == MTH_RANS_NARROW)
        mth_rans_narrow_fill(&plan, &out->narrow);
}

/* ---- bytes ---- */

/* A place that fills from its end. */
struct room {
    uint8_t *begin, *at;
};

static bool put_front(struct room *room, const void *bytes, size_t n)
{
    if ((size_t)(room->at - room->begin) < n)
        return false;
    room->at -= n;
    memcpy(room->at, bytes, n);
    return true;
}

static bool put_head(struct room *room, enum mth_rans_mode mode, size_t n_lanes, bool shared)
{
    unsigned log2_lanes = 0;
    while (n_lanes >> log2_lanes > 1)
        log2_lanes++;
    uint8_t head = (uint8_t)(mode | (shared ? MTH_RANS_SHARED : 0) | log2_lanes << MTH_RANS_LANES_SHIFT);
    return put_front(room, &head, HEAD_BYTES);
}

static bool put_narrow(const struct mth_rans_state *state, const struct mth_rans_narrow_table *table,
                       bool shared, struct mth_bytes src, struct room *room)
{
    uint8_t wire[MTH_RANS_NARROW_TABLE_BYTES];
    struct mth_rans_writer writer = {.begin = room->begin};
    size_t n_room = (size_t)(room->at - room->begin);
    size_t n_escapes = state->kernels->escapes(table, src.data, src.n_bytes, room->begin, n_room);
    if (n_escapes > n_room)
        return false;
    writer.at = room->at - n_escapes;
    mth_rans_lanes_init(&writer.lanes, mth_rans_narrow_lanes(src.n_bytes));
    if (!mth_rans_narrow_encode(state->kernels, table, &writer, src.data, src.n_bytes))
        return false;
    size_t n_lanes = writer.lanes.n_lanes;
    room->at = writer.at;
    return put_front(room, writer.lanes.low, n_lanes) && put_front(room, writer.lanes.high, n_lanes) &&
           (shared || put_front(room, wire, mth_rans_narrow_write(table, wire))) &&
           put_head(room, MTH_RANS_NARROW, n_lanes, shared);
}

static bool put_wide(const struct mth_rans_state *state, const struct mth_rans_wide_table *table, bool shared,
                     struct mth_bytes src, struct room *room)
{
    uint8_t wire[MTH_RANS_WIDE_TABLE_BYTES], states[4 * MTH_RANS_WIDE_LANES];
    struct mth_rans_wide_writer writer = {.begin = room->begin};
    size_t n_room = (size_t)(room->at - room->begin);
    size_t n_escapes = mth_rans_wide_escapes(table, src.data, src.n_bytes, room->begin, n_room);
    if (n_escapes > n_room)
        return false;
    writer.at = room->at - n_escapes;
    mth_rans_wide_lanes_init(&writer.lanes, mth_rans_wide_lanes(src.n_bytes));
    if (!mth_rans_wide_encode(state->wide_kernels, table, &writer, src.data, src.n_bytes))
        return false;
    size_t n_lanes = writer.lanes.n_lanes;
    for (size_t i = 0; i < n_lanes; i++)
        mth_store32(states + 4 * i, writer.lanes.x[i]);
    room->at = writer.at;
    return put_front(room, states, 4 * n_lanes) &&
           (shared || put_front(room, wire, mth_rans_wide_write(table, wire))) &&
           put_head(room, MTH_RANS_WIDE, n_lanes, shared);
}

/* A model can code any byte when it escapes, or has them all. */
static bool model_codes_all(const struct mth_rans_model *model)
{
    if (model->mode == MTH_RANS_NARROW)
        return model->narrow.encodes && model->narrow.escape_freq;
    if (model->wide.escapes)
        return true;
    for (size_t v = 0; v < 256; v++) {
        if (!model->wide.freq[v])
            return false;
    }
    return true;
}

/* What a stream of n bytes takes with the model, which would not be written again. */
static uint64_t model_price(const struct mth_rans_model *model, const struct mth_rans_counts *counts,
                            size_t n)
{
    if (!model || !model_codes_all(model))
        return UINT64_MAX;
    return model->mode == MTH_RANS_NARROW
               ? narrow_price(mth_rans_narrow_cost(&model->narrow, counts->n), counts, n)
               : wide_price(&model->wide, counts, n);
}

static bool encode_table(const struct mth_rans_state *state, const struct mth_rans_model *table, bool shared,
                         struct mth_encode_job *job, size_t n_room)
{
    struct room room = {job->dst, job->dst + n_room};
    bool done = table->mode == MTH_RANS_NARROW ? put_narrow(state, &table->narrow, shared, job->src, &room)
                                               : put_wide(state, &table->wide, shared, job->src, &room);
    if (done)
        job->out = (struct mth_bytes){room.at, (size_t)(job->dst + n_room - room.at)};
    return done;
}

static bool encode_short(struct mth_encode_job *job, size_t n_others, uint8_t value, size_t n_room)
{
    uint8_t mode = n_others ? MTH_RANS_SPARSE : MTH_RANS_CONSTANT;
    size_t n = mth_rans_short_write(job->src, mode, n_others, value, job->dst, n_room);
    if (n > 0)
        job->out = (struct mth_bytes){job->dst, n};
    return n > 0;
}

static int encode_raw(struct mth_encode_job *job)
{
    if (job->dst_capacity < job->src.n_bytes + HEAD_BYTES)
        return MTH_ERR_CAPACITY;
    job->dst[0] = MTH_RANS_RAW;
    memcpy(job->dst + HEAD_BYTES, job->src.data, job->src.n_bytes);
    job->out = (struct mth_bytes){job->dst, job->src.n_bytes + HEAD_BYTES};
    return MTH_OK;
}

/* Nearly constant streams are looked at whole: their exceptions may cost less than any table. */
static bool nearly_constant(const struct mth_rans_counts *counts, uint8_t value)
{
    return (counts->n_counted - counts->n[value]) * NEARLY_CONSTANT <= counts->n_counted;
}

/* The cheapest table for a stream: the model or state->own[0], whose mode may be raw. May be NULL. */
static const struct mth_rans_model *pick_table(struct mth_rans_state *state,
                                               const struct mth_rans_model *model,
                                               const struct mth_rans_counts *counts, size_t n,
                                               uint64_t *price)
{
    const struct mth_rans_model *table = model;
    *price = model_price(table, counts, n);
    if (*price > saturating_add(ideal_price(counts, n), LEAST_TABLE_BYTES)) {
        uint64_t own_price;
        mth_rans_choose_table(counts, n, state->for_size, &state->own[0], &own_price);
        if (own_price < *price) {
            *price = own_price;
            table = &state->own[0];
        }
    }
    return table;
}

int mth_rans_encode(void *opaque, struct mth_encode_job *job)
{
    struct mth_rans_state *state = opaque;
    size_t n = job->src.n_bytes;
    /* What does not get smaller goes raw. */
    size_t n_room = mth_size_min(job->dst_capacity, n);
    struct mth_rans_counts counts;
    if (n == 0) {
        job->out = (struct mth_bytes){job->dst, 0};
        return MTH_OK;
    }
    mth_rans_sample(job->src.data, n, state->for_size, &counts);
    uint8_t value = mth_rans_most_frequent(&counts);
    uint64_t price, sparse_price = UINT64_MAX;
    size_t n_others = n;
    if (nearly_constant(&counts, value)) {
        n_others = mth_rans_count_others(job->src.data, n, value);
        sparse_price = MTH_RANS_SHORT_HEAD_BYTES + mth_rans_sparse_estimate(n, n_others);
    }
    if (n_others == 0)
        return encode_short(job, 0, value, n_room) ? MTH_OK : encode_raw(job);

    const struct mth_rans_model *table = pick_table(state, job->model, &counts, n, &price);
    if (sparse_price < price && encode_short(job, n_others, value, n_room))
        return MTH_OK;
    if (table && table->mode != MTH_RANS_RAW && price <= n) {
        if (table == &state->own[0] && table->mode == MTH_RANS_WIDE)
            mth_rans_wide_prepare_encoder(&state->own[0].wide);
        if (encode_table(state, table, table == job->model, job, n_room))
            return MTH_OK;
    }
    return encode_raw(job);
}

/* ---- in pieces ---- */

/* Escapes of all pieces, which come last piece first: so they are written upwards, each piece's in its own order. */
struct escape_list {
    uint8_t *at, *end;
};

static bool add_escapes(const struct mth_rans_state *state, const struct mth_rans_narrow_table *table,
                        const uint8_t *piece, size_t n, struct escape_list *list)
{
    uint8_t found[MTH_RANS_PIECE_BYTES];
    if (!table->escape_freq)
        return true;
    size_t n_found = state->kernels->escapes(table, piece, n, found, sizeof found);
    if (n_found > (size_t)(list->end - list->at))
        return false;
    memcpy(list->at, found + sizeof found - n_found, n_found);
    list->at += n_found;
    return true;
}

static bool encode_narrow_pieces(const struct mth_rans_state *state,
                                 const struct mth_rans_narrow_table *table, const struct mth_piece_feed *feed,
                                 size_t n, struct mth_rans_writer *writer, struct escape_list *escapes)
{
    uint8_t piece[MTH_RANS_PIECE_BYTES];
    size_t n_piece = n % MTH_RANS_PIECE_BYTES;
    for (size_t end = n; end > 0; end -= n_piece, n_piece = MTH_RANS_PIECE_BYTES) {
        if (n_piece == 0)
            n_piece = MTH_RANS_PIECE_BYTES;
        feed->take(feed->arg, end - n_piece, n_piece, piece);
        if (!add_escapes(state, table, piece, n_piece, escapes) ||
            !mth_rans_narrow_encode(state->kernels, table, writer, piece, n_piece))
            return false;
    }
    return true;
}

int mth_rans_encode_pieces(void *opaque, const struct mth_piece_feed *feed, struct mth_encode_job *job)
{
    /* Where escapes may go: they are few, or the table would have other symbols. */
    enum { ESCAPE_SHARE = 8 };
    struct mth_rans_state *state = opaque;
    struct mth_rans_counts counts;
    uint8_t wire[MTH_RANS_NARROW_TABLE_BYTES];
    size_t n = job->src.n_bytes, n_escape_room = job->dst_capacity / ESCAPE_SHARE;
    uint64_t price;
    if (n <= MTH_RANS_PIECE_BYTES)
        return MTH_ERR_UNSUPPORTED;
    mth_rans_sample_of(feed->sample, feed->arg, n, state->for_size, &counts);
    if (nearly_constant(&counts, mth_rans_most_frequent(&counts)))
        return MTH_ERR_UNSUPPORTED;
    const struct mth_rans_model *table = pick_table(state, job->model, &counts, n, &price);
    if (!table || table->mode != MTH_RANS_NARROW || price > n)
        return MTH_ERR_UNSUPPORTED;

    bool shared = table == job->model;
    uint8_t *words_end = job->dst + job->dst_capacity - n_escape_room;
    struct escape_list escapes = {words_end, job->dst + job->dst_capacity};
    struct mth_rans_writer writer = {.begin = job->dst, .at = words_end};
    mth_rans_lanes_init(&writer.lanes, mth_rans_narrow_lanes(n));
    if (!encode_narrow_pieces(state, &table->narrow, feed, n, &writer, &escapes))
        return MTH_ERR_UNSUPPORTED;
    size_t n_lanes = writer.lanes.n_lanes;
    struct room room = {job->dst, writer.at};
    if (!put_front(&room, writer.lanes.low, n_lanes) || !put_front(&room, writer.lanes.high, n_lanes) ||
        (!shared && !put_front(&room, wire, mth_rans_narrow_write(&table->narrow, wire))) ||
        !put_head(&room, MTH_RANS_NARROW, n_lanes, shared))
        return MTH_ERR_UNSUPPORTED;
    job->out = (struct mth_bytes){room.at, (size_t)(escapes.at - room.at)};
    return job->out.n_bytes <= n ? MTH_OK : MTH_ERR_UNSUPPORTED;
}
