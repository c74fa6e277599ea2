/* Streams of chance-rans back to elements; everything read is hostile. See chance_stream.h. */
#include "codecs/chance_rans/chance_stream.h"

#include "base/varint.h"

#include <string.h>

static void classes_of(const struct mth_chance_known *known, const uint8_t *restrict reference, size_t n,
                       uint8_t *restrict classes)
{
    const unsigned shift = known->shift;
    const uint16_t mask = known->mask;
    for (size_t i = 0; i < n; i++)
        classes[i] = (uint8_t)mth_chance_class_of(mth_lane_load16(reference + ELEM_BYTES * i), shift, mask);
}

static void restore_elements(const uint8_t *restrict reference, const uint8_t *restrict flags, size_t n,
                             uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++)
        mth_lane_store16(dst + ELEM_BYTES * i,
                         (uint16_t)(mth_lane_load16(reference + ELEM_BYTES * i) + flags[i]));
}

static size_t bytes_left(const struct mth_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static bool take16(struct mth_reader *reader, uint16_t *value)
{
    if (bytes_left(reader) < 2)
        return false;
    *value = mth_lane_load16(reader->at);
    reader->at += 2;
    return true;
}

static bool read_table(struct mth_reader *reader, uint32_t chances[MTH_CHANCE_CLASSES])
{
    uint16_t named, chance;
    if (!take16(reader, &named))
        return false;
    for (uint32_t c = 0; c < MTH_CHANCE_CLASSES; c++) {
        chances[c] = mth_chance_by_distance(c);
        if (!(named >> c & 1))
            continue;
        if (!take16(reader, &chance) || chance == 0 || chance >= MTH_CHANCE_SLOTS)
            return false;
        chances[c] = chance;
    }
    return true;
}

/* The next exception's place; n_elems behind the last. */
static bool read_exception(struct mth_reader *reader, size_t n_elems, size_t *next, uint16_t *step)
{
    uint64_t gap;
    if (!mth_varint_get(reader, &gap) || gap > n_elems - *next)
        return false;
    *next += (size_t)gap;
    return *next == n_elems || (take16(reader, step) && *step > 1);
}

/* Goes over them, to what lies behind. */
static bool skip_exceptions(struct mth_reader *reader, size_t n_elems)
{
    uint16_t step;
    for (size_t next = 0;; next++) {
        if (!read_exception(reader, n_elems, &next, &step))
            return false;
        if (next == n_elems)
            return true;
    }
}

static bool read_states(struct mth_reader *reader, size_t n_lanes, struct mth_rans_wide_reader *flags)
{
    if (bytes_left(reader) < n_lanes * LANE_BYTES)
        return false;
    mth_rans_wide_lanes_init(&flags->lanes, n_lanes);
    for (size_t i = 0; i < n_lanes; i++, reader->at += LANE_BYTES) {
        uint32_t x = mth_lane_load32(reader->at);
        if (x < MTH_RANS_WIDE_STATE_LOW || x >> 31)
            return false;
        flags->lanes.x[i] = x;
    }
    flags->in = reader->at;
    flags->end = reader->end;
    return true;
}

static bool decode_coded(struct mth_chance_state *state, const struct mth_decode_job *job)
{
    size_t n_elems = job->dst_bytes / ELEM_BYTES, n_tail = job->dst_bytes % ELEM_BYTES;
    unsigned head = job->src.data[0], lanes_log2 = head >> LANES_SHIFT;
    uint16_t step = 0;
    uint32_t chances[MTH_CHANCE_CLASSES];
    struct mth_reader reader = {job->src.data + 1, job->src.data + job->src.n_bytes};
    struct mth_rans_wide_reader flags;
    const struct mth_chance_known known = mth_chance_known_of(&job->type, &job->context, job->dst_bytes);
    if ((head & ((1u << LANES_SHIFT) - 1)) != MODE_CODED || lanes_log2 > MAX_LANES_LOG2 ||
        bytes_left(&reader) < n_tail)
        return false;
    reader.end -= n_tail;
    if (!read_table(&reader, chances))
        return false;
    struct mth_reader exceptions = reader;
    if (!skip_exceptions(&reader, n_elems) || !read_states(&reader, (size_t)1 << lanes_log2, &flags))
        return false;
    for (size_t at = 0; at < n_elems; at += PIECE_ELEMS) {
        size_t n = mth_size_min(PIECE_ELEMS, n_elems - at);
        const uint8_t *reference = mth_chance_reference_at(&known, at);
        classes_of(&known, reference, n, state->classes);
        if (!mth_chance_decode(state->kernels, chances, &flags, state->classes, state->symbols, n))
            return false;
        restore_elements(reference, state->symbols, n, job->dst + ELEM_BYTES * at);
    }
    if (flags.in != flags.end || !mth_rans_wide_lanes_at_start(&flags.lanes))
        return false;
    for (size_t next = 0;; next++) {
        if (!read_exception(&exceptions, n_elems, &next, &step))
            return false;
        if (next == n_elems)
            break;
        uint16_t stand_in = known.reference ? mth_lane_load16(known.reference + ELEM_BYTES * next) : 0;
        mth_lane_store16(job->dst + ELEM_BYTES * next, (uint16_t)(stand_in + step));
    }
    if (n_tail)
        job->dst[job->dst_bytes - 1] = *reader.end;
    return true;
}

static bool decode_one(struct mth_chance_state *state, const struct mth_decode_job *job)
{
    if (job->dst_bytes == 0 || job->src.n_bytes == 0)
        return job->dst_bytes == job->src.n_bytes;
    if (job->src.data[0] != MODE_RAW)
        return decode_coded(state, job);
    if (job->src.n_bytes - 1 != job->dst_bytes)
        return false;
    memcpy(job->dst, job->src.data + 1, job->dst_bytes);
    return true;
}

int mth_chance_decode_streams(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    for (size_t i = 0; i < n_jobs; i++) {
        if (!decode_one(opaque, &jobs[i]))
            return MTH_ERR_CORRUPT;
    }
    return MTH_OK;
}
