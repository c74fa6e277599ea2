/* Elements to a stream of chance-rans; see chance_stream.h. */
#include "codecs/byte_histogram.h"
#include "codecs/chance_rans/chance_stream.h"
#include "codecs/rans/rans_quantise.h"

#include "base/varint.h"

#include <string.h>

enum {
    COUNTED_PIECES = 16,    /* about so many are counted: 64 Ki elements */
    MANY_ELEMS = 1 << 15,   /* that are worth all lanes, whose states take 128 bytes */
    ELEMS_A_LANE = 1 << 11, /* of fewer */
    MAX_FEW_LANES_LOG2 = 3, /* which have no vector kernels anyway */
    MAX_TABLE_BYTES = 2 + 2 * MTH_CHANCE_CLASSES
};

/* The class, and above it whether an element is up. */
static void symbols_of(const struct mth_chance_known *known, const uint8_t *restrict src,
                       const uint8_t *restrict reference, size_t n, uint8_t *restrict symbols)
{
    const unsigned shift = known->shift;
    const uint16_t mask = known->mask;
    for (size_t i = 0; i < n; i++) {
        uint16_t stand_in = mth_lane_load16(reference + ELEM_BYTES * i);
        uint16_t step = (uint16_t)(mth_lane_load16(src + ELEM_BYTES * i) - stand_in);
        uint16_t up = step == 1 ? MTH_CHANCE_CLASSES : 0;
        symbols[i] = (uint8_t)(mth_chance_class_of(stand_in, shift, mask) | up);
    }
}

static bool all_are_neighbours(const uint8_t *src, const uint8_t *reference, size_t n)
{
    uint16_t others = 0;
    for (size_t i = 0; i < n; i++)
        others |=
            (uint16_t)(mth_lane_load16(src + ELEM_BYTES * i) - mth_lane_load16(reference + ELEM_BYTES * i));
    return others <= 1;
}

/* A stream on its way. */
struct coding {
    struct mth_chance_state *state;
    struct mth_chance_known known;
    const uint8_t *src;
    size_t n_elems;
    uint8_t *at, *end; /* of what is written from the front, and of the room */
};

/* The symbols of n elements from a place on. */
static void take_symbols(const struct coding *coding, size_t at, size_t n)
{
    symbols_of(&coding->known, coding->src + ELEM_BYTES * at, mth_chance_reference_at(&coding->known, at), n,
               coding->state->symbols);
}

static unsigned lanes_log2_of(size_t n_elems)
{
    unsigned log2 = 0;
    if (n_elems >= MANY_ELEMS)
        return MAX_LANES_LOG2;
    while (log2 < MAX_FEW_LANES_LOG2 && (size_t)ELEMS_A_LANE << log2 < n_elems)
        log2++;
    return log2;
}

/* What a class takes with a chance, in bits times 2^MTH_RANS_LOG2_BITS. */
static uint64_t price_of(uint32_t chance, uint64_t n_up, uint64_t n_stay)
{
    uint64_t whole = (uint64_t)MTH_CHANCE_SLOT_BITS << MTH_RANS_LOG2_BITS;
    return n_up * (whole - mth_rans_log2(chance)) +
           n_stay * (whole - mth_rans_log2(MTH_CHANCE_SLOTS - chance));
}

/* How likely a class goes up, by what was counted of it: one of 1 / share elements. What is known without is taken as long as that is no worse than to say another. */
static uint32_t chance_of(uint32_t by_distance, uint64_t n_up, uint64_t n_stay, size_t share)
{
    enum { NAMED_BITS = 16 };
    uint64_t n = n_up + n_stay;
    /* Half a count more of each side: not all were looked at. */
    uint64_t counted = ((2 * n_up + 1) * MTH_CHANCE_SLOTS + n + 1) / (2 * n + 2);
    uint32_t chance = counted < 1 ? 1 : (uint32_t)mth_u64_min(counted, MTH_CHANCE_SLOTS - 1);
    uint64_t taken = price_of(chance, n_up, n_stay) + ((uint64_t)NAMED_BITS << MTH_RANS_LOG2_BITS) / share;
    return taken < price_of(by_distance, n_up, n_stay) ? chance : by_distance;
}

/* Of the pieces of a stream, some: how likely each class goes up. */
static void choose_chances(const struct coding *coding, uint32_t chances[MTH_CHANCE_CLASSES])
{
    struct mth_chance_state *state = coding->state;
    size_t n_pieces = coding->n_elems / PIECE_ELEMS + 1, every = n_pieces / COUNTED_PIECES + 1;
    uint64_t counts[MTH_BYTE_VALUES] = {0};
    for (size_t at = 0; at < coding->n_elems; at += every * PIECE_ELEMS) {
        uint32_t of_piece[MTH_BYTE_VALUES];
        size_t n = mth_size_min(PIECE_ELEMS, coding->n_elems - at);
        take_symbols(coding, at, n);
        mth_byte_histogram(state->symbols, n, of_piece);
        for (size_t s = 0; s < 2 * MTH_CHANCE_CLASSES; s++)
            counts[s] += of_piece[s];
    }
    for (uint32_t c = 0; c < MTH_CHANCE_CLASSES; c++)
        chances[c] = chance_of(mth_chance_by_distance(c), counts[c + MTH_CHANCE_CLASSES], counts[c], every);
}

static void put_table(struct coding *coding, const uint32_t chances[MTH_CHANCE_CLASSES])
{
    uint8_t *at = coding->at;
    uint32_t named = 0;
    coding->at += 2;
    for (uint32_t c = 0; c < MTH_CHANCE_CLASSES; c++) {
        coding->state->table->coders[c] = mth_rans_wide_coder_of(MTH_CHANCE_SLOTS - chances[c], chances[c]);
        coding->state->table->coders[c + MTH_CHANCE_CLASSES] = mth_rans_wide_coder_of(chances[c], 0);
        if (chances[c] == mth_chance_by_distance(c))
            continue;
        named |= 1u << c;
        mth_lane_store16(coding->at, (uint16_t)chances[c]);
        coding->at += 2;
    }
    mth_lane_store16(at, (uint16_t)named);
}

static bool put_number(struct coding *coding, uint64_t value)
{
    if (coding->end - coding->at < MTH_VARINT_MAX_BYTES)
        return false;
    coding->at += mth_varint_put(coding->at, value);
    return true;
}

/* What is neither of both, and where; a gap that leads to the end ends them. */
static bool put_exceptions(struct coding *coding)
{
    size_t next = 0;
    for (size_t at = 0; at < coding->n_elems; at += PIECE_ELEMS) {
        size_t n = mth_size_min(PIECE_ELEMS, coding->n_elems - at);
        const uint8_t *src = coding->src + ELEM_BYTES * at,
                      *reference = mth_chance_reference_at(&coding->known, at);
        for (size_t i = all_are_neighbours(src, reference, n) ? n : 0; i < n; i++) {
            uint16_t step = (uint16_t)(mth_lane_load16(src + ELEM_BYTES * i) -
                                       mth_lane_load16(reference + ELEM_BYTES * i));
            if (step <= 1)
                continue;
            if (!put_number(coding, at + i - next) || coding->end - coding->at < ELEM_BYTES)
                return false;
            mth_lane_store16(coding->at, step);
            coding->at += ELEM_BYTES;
            next = at + i + 1;
        }
    }
    return put_number(coding, coding->n_elems - next);
}

/* States and words: written from the end of the room, then put where they belong. */
static bool put_flags(struct coding *coding, size_t n_lanes)
{
    struct mth_chance_state *state = coding->state;
    size_t n_state_bytes = n_lanes * LANE_BYTES;
    if ((size_t)(coding->end - coding->at) < n_state_bytes)
        return false;
    struct mth_rans_wide_writer writer = {.begin = coding->at + n_state_bytes, .at = coding->end};
    mth_rans_wide_lanes_init(&writer.lanes, n_lanes);
    for (size_t left = coding->n_elems; left > 0;) {
        size_t n = (left - 1) % PIECE_ELEMS + 1;
        left -= n;
        take_symbols(coding, left, n);
        if (!mth_rans_wide_encode(state->wide_kernels, state->table, &writer, state->symbols, n))
            return false;
    }
    for (size_t i = 0; i < n_lanes; i++, coding->at += LANE_BYTES)
        mth_lane_store32(coding->at, writer.lanes.x[i]);
    size_t n_words = (size_t)(coding->end - writer.at);
    memmove(coding->at, writer.at, n_words);
    coding->at += n_words;
    return true;
}

static bool encode_coded(struct mth_chance_state *state, struct mth_encode_job *job)
{
    size_t n_bytes = job->src.n_bytes, n_tail = n_bytes % ELEM_BYTES;
    struct coding coding = {.state = state,
                            .known = mth_chance_known_of(&job->type, &job->context, n_bytes),
                            .src = job->src.data,
                            .n_elems = n_bytes / ELEM_BYTES,
                            .at = job->dst};
    if (job->dst_capacity < 1 + MAX_TABLE_BYTES + n_tail)
        return false;
    /* What does not get smaller is raw. */
    coding.end = job->dst + mth_size_min(job->dst_capacity, n_bytes) - n_tail;
    uint32_t chances[MTH_CHANCE_CLASSES];
    unsigned lanes_log2 = lanes_log2_of(coding.n_elems);
    *coding.at++ = (uint8_t)(MODE_CODED | lanes_log2 << LANES_SHIFT);
    choose_chances(&coding, chances);
    put_table(&coding, chances);
    if (coding.at > coding.end || !put_exceptions(&coding) || !put_flags(&coding, (size_t)1 << lanes_log2))
        return false;
    if (n_tail)
        *coding.at++ = job->src.data[n_bytes - 1];
    job->out = (struct mth_bytes){job->dst, (size_t)(coding.at - job->dst)};
    return true;
}

int mth_chance_encode_stream(void *opaque, struct mth_encode_job *job)
{
    size_t n_bytes = job->src.n_bytes;
    if (n_bytes == 0) {
        job->out = (struct mth_bytes){job->dst, 0};
        return MTH_OK;
    }
    if (encode_coded(opaque, job))
        return MTH_OK;
    if (job->dst_capacity <= n_bytes)
        return MTH_ERR_CAPACITY;
    job->dst[0] = MODE_RAW;
    memcpy(job->dst + 1, job->src.data, n_bytes);
    job->out = (struct mth_bytes){job->dst, n_bytes + 1};
    return MTH_OK;
}
