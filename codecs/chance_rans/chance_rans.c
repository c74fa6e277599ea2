/*
 * chance-rans: which of two neighbours each element is, by rANS given a class that the reference tells.
 *
 * What stochastic rounding made of a value is one of the two next to it, and how near the value was says how likely each is. The
 * predictors of such copies (transforms/predictors/rounded.h) give a stand-in whose exponent is that class, and an element is its
 * stand-in or one more. A bit an element is so little that bytes beside it count: one state of 32 lanes for all classes, and two bytes of a
 * table for each. spec.md describes the bytes.
 *
 * Source    rANS as in codecs/rans
 */
#include "codecs/byte_histogram.h"
#include "codecs/chance_rans/chance_kernels.h"
#include "codecs/codec.h"
#include "codecs/rans/rans_quantise.h"

#include "base/checked.h"
#include "base/cpu.h"
#include "base/lane.h"
#include "base/varint.h"

#include <string.h>

enum {
    MODE_RAW = 0,
    MODE_CODED = 1,
    LANES_SHIFT = 4,
    MAX_LANES_LOG2 = 5,
    LANE_BYTES = 4,         /* of a state */
    ELEM_BYTES = 2,         /* of an element */
    PIECE_ELEMS = 1 << 12,  /* worked on together; a multiple of all lanes */
    COUNTED_PIECES = 16,    /* about so many are counted: 64 Ki elements */
    MANY_ELEMS = 1 << 15,   /* that are worth all lanes, whose states take 128 bytes */
    ELEMS_A_LANE = 1 << 11, /* of fewer */
    MAX_FEW_LANES_LOG2 = 3, /* which have no vector kernels anyway */
    MAX_TABLE_BYTES = 2 + 2 * MTH_CHANCE_CLASSES
};

struct state {
    struct mth_memory *memory;
    const struct mth_chance_kernels *kernels;
    const struct mth_rans_wide_kernels *wide_kernels;
    struct mth_rans_wide_table *table; /* of an encoder: of symbols, see symbols_of */
    uint8_t classes[PIECE_ELEMS], symbols[PIECE_ELEMS];
};

/* Raw is the worst case. */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    return src_bytes == SIZE_MAX ? 0 : src_bytes + 1;
}

static void destroy(void *opaque)
{
    struct state *state = opaque;
    if (!state)
        return;
    mth_memory_free(state->memory, state->table);
    mth_memory_free(state->memory, state);
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    (void)values;
    struct state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    state->kernels = mth_chance_kernels_for(mth_cpu_features());
    state->wide_kernels = mth_rans_wide_kernels_for(mth_cpu_features());
    if (sides & MTH_SIDE_ENCODE) {
        state->table = mth_memory_calloc(memory, 1, sizeof *state->table);
        if (!state->table) {
            destroy(state);
            return MTH_ERR_NO_MEMORY;
        }
        state->table->slot_bits = MTH_CHANCE_SLOT_BITS;
    }
    *out = state;
    return MTH_OK;
}

static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    (void)values;
    (void)stream_bytes;
    return sizeof(struct state) + (side & MTH_SIDE_ENCODE ? sizeof(struct mth_rans_wide_table) : 0);
}

/* ---- elements ---- */

/* What both sides know of a stream. Its elements are words of 16 bits, whatever they mean; floats have classes. */
struct known {
    const uint8_t *reference; /* NULL: zeros */
    unsigned shift;
    uint16_t mask; /* of the exponent, shifted; 0: all are of one class */
};

static struct known known_of(const struct mth_symbol_type *type, const struct mth_context *context,
                             size_t n_bytes)
{
    struct known known = {.reference = NULL};
    const struct mth_dtype_info *info = mth_dtype_info(type->dtype);
    for (size_t i = 0; i < context->n_parts; i++) {
        const struct mth_context_part *part = &context->parts[i];
        if (part->kind == MTH_CONTEXT_REFERENCE && part->index == 0 && part->bytes.n_bytes == n_bytes)
            known.reference = part->bytes.data;
    }
    if (type->container_bits == 16 && type->symbol_bits == 16 && info->lane_bits == 16 &&
        info->exponent_bits) {
        known.shift = info->mantissa_bits;
        known.mask = (uint16_t)((1u << info->exponent_bits) - 1);
    }
    return known;
}

/* Of a piece, or what there is where a stream has none. */
static const uint8_t *reference_at(const struct known *known, size_t elem)
{
    static const uint8_t zeros[ELEM_BYTES * PIECE_ELEMS];
    return known->reference ? known->reference + ELEM_BYTES * elem : zeros;
}

/* The chance of a class that a stream does not name: classes 2 to 15 are ways from one side to the other, in equal parts, and the others stay. */
static uint32_t chance_by_distance(uint32_t class)
{
    enum { FIRST = 2, N = MTH_CHANCE_CLASSES - FIRST };
    return class < FIRST ? 1 : ((2 * (class - FIRST) + 1) * MTH_CHANCE_SLOTS + N) / (2 * N);
}

MTH_ALWAYS_INLINE uint16_t class_of(uint16_t elem, unsigned shift, uint16_t mask)
{
    uint16_t exponent = (uint16_t)(elem >> shift) & mask;
    return exponent < MTH_CHANCE_CLASSES ? exponent : MTH_CHANCE_CLASSES - 1;
}

static void classes_of(const struct known *known, const uint8_t *restrict reference, size_t n,
                       uint8_t *restrict classes)
{
    const unsigned shift = known->shift;
    const uint16_t mask = known->mask;
    for (size_t i = 0; i < n; i++)
        classes[i] = (uint8_t)class_of(mth_lane_load16(reference + ELEM_BYTES * i), shift, mask);
}

/* The class, and above it whether an element is up. */
static void symbols_of(const struct known *known, const uint8_t *restrict src,
                       const uint8_t *restrict reference, size_t n, uint8_t *restrict symbols)
{
    const unsigned shift = known->shift;
    const uint16_t mask = known->mask;
    for (size_t i = 0; i < n; i++) {
        uint16_t stand_in = mth_lane_load16(reference + ELEM_BYTES * i);
        uint16_t step = (uint16_t)(mth_lane_load16(src + ELEM_BYTES * i) - stand_in);
        uint16_t up = step == 1 ? MTH_CHANCE_CLASSES : 0;
        symbols[i] = (uint8_t)(class_of(stand_in, shift, mask) | up);
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

static void restore_elements(const uint8_t *restrict reference, const uint8_t *restrict flags, size_t n,
                             uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++)
        mth_lane_store16(dst + ELEM_BYTES * i,
                         (uint16_t)(mth_lane_load16(reference + ELEM_BYTES * i) + flags[i]));
}

/* ---- encoding ---- */

/* A stream on its way. */
struct coding {
    struct state *state;
    struct known known;
    const uint8_t *src;
    size_t n_elems;
    uint8_t *at, *end; /* of what is written from the front, and of the room */
};

/* The symbols of n elements from a place on. */
static void take_symbols(const struct coding *coding, size_t at, size_t n)
{
    symbols_of(&coding->known, coding->src + ELEM_BYTES * at, reference_at(&coding->known, at), n,
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
    struct state *state = coding->state;
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
        chances[c] = chance_of(chance_by_distance(c), counts[c + MTH_CHANCE_CLASSES], counts[c], every);
}

static void put_table(struct coding *coding, const uint32_t chances[MTH_CHANCE_CLASSES])
{
    uint8_t *at = coding->at;
    uint32_t named = 0;
    coding->at += 2;
    for (uint32_t c = 0; c < MTH_CHANCE_CLASSES; c++) {
        coding->state->table->coders[c] = mth_rans_wide_coder_of(MTH_CHANCE_SLOTS - chances[c], chances[c]);
        coding->state->table->coders[c + MTH_CHANCE_CLASSES] = mth_rans_wide_coder_of(chances[c], 0);
        if (chances[c] == chance_by_distance(c))
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
        const uint8_t *src = coding->src + ELEM_BYTES * at, *reference = reference_at(&coding->known, at);
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
    struct state *state = coding->state;
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

static bool encode_coded(struct state *state, struct mth_encode_job *job)
{
    size_t n_bytes = job->src.n_bytes, n_tail = n_bytes % ELEM_BYTES;
    struct coding coding = {.state = state,
                            .known = known_of(&job->type, &job->context, n_bytes),
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

static int encode(void *opaque, struct mth_encode_job *job)
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

/* ---- decoding: everything read is hostile ---- */

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
        chances[c] = chance_by_distance(c);
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

static bool decode_coded(struct state *state, const struct mth_decode_job *job)
{
    size_t n_elems = job->dst_bytes / ELEM_BYTES, n_tail = job->dst_bytes % ELEM_BYTES;
    unsigned head = job->src.data[0], lanes_log2 = head >> LANES_SHIFT;
    uint16_t step = 0;
    uint32_t chances[MTH_CHANCE_CLASSES];
    struct mth_reader reader = {job->src.data + 1, job->src.data + job->src.n_bytes};
    struct mth_rans_wide_reader flags;
    const struct known known = known_of(&job->type, &job->context, job->dst_bytes);
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
        const uint8_t *reference = reference_at(&known, at);
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

static bool decode_one(struct state *state, const struct mth_decode_job *job)
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

static int decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    for (size_t i = 0; i < n_jobs; i++) {
        if (!decode_one(opaque, &jobs[i]))
            return MTH_ERR_CORRUPT;
    }
    return MTH_OK;
}

const struct mth_codec mth_codec_chance_rans = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "chance-rans",
    .summary =
        "which of two neighbours elements are, by rANS given the class that the reference's exponent is",
    .flags = MTH_CODEC_CONTEXT | MTH_CODEC_NEEDS_REFERENCE,
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
    .state_bytes = state_bytes,
};
