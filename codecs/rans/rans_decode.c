/* Decoding streams, two at a time where they allow it; see spec.md. Everything read here is hostile. */
#include "codecs/rans/rans_stream.h"

#include "base/checked.h"
#include "codecs/rans/rans_escapes.h"
#include "codecs/rans/rans_pieces.h"
#include "codecs/rans/rans_sparse.h"

#include <string.h>

/* Decoded, then searched for escapes while it is in the cache; a multiple of every number of lanes. */
enum { PIECE_BYTES = MTH_RANS_PIECE_BYTES };

/* A stream whose symbols are still to be decoded. */
struct coded {
    struct mth_rans_reader narrow;
    struct mth_rans_wide_reader wide;
    const struct mth_rans_model *table;
    const uint8_t *escapes; /* the end of those not used yet */
    uint8_t *dst;           /* of the next piece; of each piece where they are drained */
    size_t n_left;
    const struct mth_piece_drain *drain; /* NULL: dst takes the whole stream */
    size_t job, at;                      /* what the drain is told */
    enum mth_rans_mode mode;
};

static int open_narrow(size_t n_lanes, struct mth_bytes wire, struct coded *coded)
{
    struct mth_rans_reader *reader = &coded->narrow;
    if (n_lanes > MTH_RANS_MAX_LANES || wire.n_bytes < 2 * n_lanes)
        return MTH_ERR_CORRUPT;
    mth_rans_lanes_init(&reader->lanes, n_lanes);
    memcpy(reader->lanes.high, wire.data, n_lanes);
    memcpy(reader->lanes.low, wire.data + n_lanes, n_lanes);
    if (memchr(reader->lanes.high, 0, n_lanes))
        return MTH_ERR_CORRUPT;
    reader->in = wire.data + 2 * n_lanes;
    reader->end = wire.data + wire.n_bytes;
    coded->escapes = reader->end;
    return MTH_OK;
}

static int open_wide(size_t n_lanes, struct mth_bytes wire, struct coded *coded)
{
    struct mth_rans_wide_reader *reader = &coded->wide;
    if (n_lanes > MTH_RANS_WIDE_LANES || wire.n_bytes < 4 * n_lanes)
        return MTH_ERR_CORRUPT;
    mth_rans_wide_lanes_init(&reader->lanes, n_lanes);
    for (size_t i = 0; i < n_lanes; i++) {
        reader->lanes.x[i] = mth_load32(wire.data + 4 * i);
        if (reader->lanes.x[i] < MTH_RANS_WIDE_STATE_LOW || reader->lanes.x[i] >> 31)
            return MTH_ERR_CORRUPT;
    }
    reader->in = wire.data + 4 * n_lanes;
    reader->end = wire.data + wire.n_bytes;
    coded->escapes = reader->end;
    return MTH_OK;
}

/* The table of a stream: the model, or what its front holds, which is read into own. */
static int open_table(const struct mth_decode_job *job, unsigned head, struct mth_bytes *wire,
                      struct mth_rans_model *own, struct coded *coded)
{
    coded->table = job->model;
    if (head & MTH_RANS_SHARED)
        return job->model && coded->table->mode == coded->mode ? MTH_OK : MTH_ERR_CORRUPT;
    coded->table = own;
    if (coded->mode == MTH_RANS_NARROW)
        return mth_rans_narrow_read(wire, &own->narrow);
    int status = mth_rans_wide_read(wire, &own->wide);
    if (!status)
        mth_rans_wide_prepare_decoder(&own->wide);
    return status;
}

static int open_coded(const struct mth_decode_job *job, struct mth_rans_model *own, struct coded *coded)
{
    unsigned head = job->src.data[0];
    struct mth_bytes wire = {job->src.data + 1, job->src.n_bytes - 1};
    size_t n_lanes = (size_t)1 << (head >> MTH_RANS_LANES_SHIFT & MTH_RANS_LANES_MASK);
    coded->mode = head & MTH_RANS_MODE_MASK;
    coded->dst = job->dst;
    coded->n_left = job->dst_bytes;
    if (head >> 7 || (coded->mode != MTH_RANS_NARROW && coded->mode != MTH_RANS_WIDE))
        return MTH_ERR_CORRUPT;
    int status = open_table(job, head, &wire, own, coded);
    if (status)
        return status;
    return coded->mode == MTH_RANS_NARROW ? open_narrow(n_lanes, wire, coded)
                                          : open_wide(n_lanes, wire, coded);
}

/* The modes that are done at once; sets *done when the stream is one of them. */
static int decode_short(const struct mth_decode_job *job, bool *done)
{
    *done = true;
    if (job->dst_bytes == 0 || job->src.n_bytes == 0)
        return job->dst_bytes == job->src.n_bytes ? MTH_OK : MTH_ERR_CORRUPT;
    const uint8_t *in = job->src.data;
    size_t n = job->src.n_bytes;
    switch (in[0]) {
    case MTH_RANS_RAW:
        if (n - 1 != job->dst_bytes)
            return MTH_ERR_CORRUPT;
        memcpy(job->dst, in + 1, job->dst_bytes);
        return MTH_OK;
    case MTH_RANS_CONSTANT:
        if (n != 2)
            return MTH_ERR_CORRUPT;
        memset(job->dst, in[1], job->dst_bytes);
        return MTH_OK;
    case MTH_RANS_SPARSE:
        if (n < 2)
            return MTH_ERR_CORRUPT;
        return mth_rans_sparse_read((struct mth_bytes){in + 2, n - 2}, in[1], job->dst, job->dst_bytes);
    default:
        *done = false;
        return MTH_OK;
    }
}

/* The next n bytes, of which done are decoded, escapes not put in. */
static int finish_piece(const struct mth_rans_state *state, struct coded *coded, size_t n, size_t done)
{
    bool good;
    const uint8_t *in;
    if (coded->mode == MTH_RANS_NARROW) {
        const struct mth_rans_narrow_table *table = &coded->table->narrow;
        good = mth_rans_narrow_decode(state->kernels, table, &coded->narrow, coded->dst + done, n - done);
        in = coded->narrow.in;
        if (good && table->escape_freq)
            good = mth_rans_escapes_put(table->marker, coded->dst, n, in, &coded->escapes);
    } else {
        const struct mth_rans_wide_table *table = &coded->table->wide;
        good = mth_rans_wide_decode(state->wide_kernels, table, &coded->wide, coded->dst, n);
        in = coded->wide.in;
        if (good && table->escapes)
            good = mth_rans_escapes_put(table->marker, coded->dst, n, in, &coded->escapes);
    }
    coded->n_left -= n;
    if (!good)
        return MTH_ERR_CORRUPT;
    if (!coded->drain) {
        coded->dst += n;
        return MTH_OK;
    }
    size_t at = coded->at;
    coded->at += n;
    return coded->drain->put(coded->drain->arg, coded->job, at, coded->dst, n);
}

/* All of a stream, and whether it ends where the encoder began. */
static int finish(const struct mth_rans_state *state, struct coded *coded)
{
    while (coded->n_left) {
        int status = finish_piece(state, coded, mth_size_min(coded->n_left, PIECE_BYTES), 0);
        if (status)
            return status;
    }
    bool at_end = coded->mode == MTH_RANS_NARROW
                      ? coded->narrow.in == coded->escapes && mth_rans_lanes_at_start(&coded->narrow.lanes)
                      : coded->wide.in == coded->escapes && mth_rans_wide_lanes_at_start(&coded->wide.lanes);
    return at_end ? MTH_OK : MTH_ERR_CORRUPT;
}

static bool can_pair(const struct coded *coded)
{
    return coded->mode == MTH_RANS_NARROW && coded->narrow.lanes.n_lanes >= MTH_RANS_MIN_KERNEL_LANES;
}

static int finish_pair(const struct mth_rans_state *state, struct coded *a, struct coded *b)
{
    const struct mth_rans_narrow_table *const tables[2] = {&a->table->narrow, &b->table->narrow};
    struct mth_rans_reader *const readers[2] = {&a->narrow, &b->narrow};
    size_t n_lanes = a->narrow.lanes.n_lanes;
    while (n_lanes == b->narrow.lanes.n_lanes && a->n_left >= n_lanes && b->n_left >= n_lanes) {
        size_t n = mth_size_min(mth_size_min(a->n_left, b->n_left), PIECE_BYTES) / n_lanes * n_lanes;
        uint8_t *const dst[2] = {a->dst, b->dst};
        size_t done = n_lanes * state->kernels->decode_pair(tables, readers, dst, n / n_lanes);
        int status = finish_piece(state, a, n, done);
        if (!status)
            status = finish_piece(state, b, n, done);
        if (status)
            return status;
    }
    int status = finish(state, a);
    return status ? status : finish(state, b);
}

/*
 * Jobs in their order, two side by side where they allow it. Jobs that are drained have one piece each of pieces for their
 * bytes.
 */
static int decode_jobs(struct mth_rans_state *state, const struct mth_decode_job *jobs, size_t n_jobs,
                       const struct mth_piece_drain *drain, uint8_t (*pieces)[PIECE_BYTES])
{
    struct coded coded[2];
    size_t waiting = 0; /* coded[0] is open and may be decoded together with the next one */
    for (size_t i = 0; i < n_jobs; i++) {
        bool done = false;
        int status = drain ? MTH_OK : decode_short(&jobs[i], &done);
        if (!status && !done)
            status = open_coded(&jobs[i], &state->own[waiting], &coded[waiting]);
        if (status)
            return status;
        if (done)
            continue;
        coded[waiting].drain = drain;
        if (drain) {
            coded[waiting].dst = pieces[waiting];
            coded[waiting].job = i;
            coded[waiting].at = 0;
        }
        if (waiting && can_pair(&coded[1])) {
            status = finish_pair(state, &coded[0], &coded[1]);
            waiting = 0;
        } else if (!waiting && can_pair(&coded[0])) {
            waiting = 1;
        } else {
            status = finish(state, &coded[waiting]);
        }
        if (status)
            return status;
    }
    return waiting ? finish(state, &coded[0]) : MTH_OK;
}

int mth_rans_decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    return decode_jobs(opaque, jobs, n_jobs, NULL, NULL);
}

bool mth_rans_has_pieces(struct mth_bytes src)
{
    unsigned mode = src.n_bytes ? src.data[0] & MTH_RANS_MODE_MASK : MTH_RANS_RAW;
    return mode == MTH_RANS_NARROW || mode == MTH_RANS_WIDE;
}

int mth_rans_decode_pieces(void *opaque, const struct mth_decode_job *jobs, size_t n_jobs,
                           const struct mth_piece_drain *drain)
{
    uint8_t pieces[2][PIECE_BYTES];
    return decode_jobs(opaque, jobs, n_jobs, drain, pieces);
}
