/* Streams back to elements. Everything read is hostile; see spec.md. */
#include "codecs/ulp_rans/ulp_stream.h"

#include "base/checked.h"
#include "codecs/ulp_rans/ulp_output.h"
#include "codecs/ulp_rans/ulp_rows.h"
#include "codecs/ulp_rans/ulp_symbols.h"
#include "codecs/ulp_rans/ulp_turns.h"

#include <string.h>

extern const struct mth_codec mth_codec_rans;

/* A block on its way. */
struct block {
    struct mth_ulp_state *state;
    const struct mth_ulp_format *format;
    const uint8_t *base, *older;  /* NULL: all zeros */
    bool may_turn, may_have_rows; /* by the mode of the stream */
    struct mth_ulp_rows rows;     /* row: 0 where the map goes by groups, or there is none */
    struct mth_ulp_output *output;
    struct mth_hash64_pieces *base_digest; /* NULL: not asked for */
    size_t n_base_digested;                /* bytes of the block's base */
    size_t n_elems, n_groups, n_full;      /* groups; those that are whole */
    size_t n_changed, n_active;            /* elements; groups that have flags */
    size_t n_carried, n_taken;             /* sign bytes that states hold; those that are there */
    struct mth_reader reader;              /* of the block's bytes */
};

static size_t bytes_left(const struct mth_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

/* n bytes of a block, NULL when there are not so many. */
static const uint8_t *take(struct mth_reader *reader, size_t n)
{
    if (bytes_left(reader) < n)
        return NULL;
    reader->at += n;
    return reader->at - n;
}

static bool take_number(struct mth_reader *reader, size_t most, size_t *value)
{
    uint64_t number;
    if (!mth_varint_get(reader, &number) || number > most)
        return false;
    *value = (size_t)number;
    return true;
}

/* The states of so many lanes; a high byte of 0 is no state. */
static bool begin_lanes(struct block *block, size_t n_lanes, struct mth_rans_reader *reader)
{
    const uint8_t *states = take(&block->reader, 2 * n_lanes);
    if (!states || memchr(states, 0, n_lanes))
        return false;
    mth_rans_lanes_init(&reader->lanes, n_lanes);
    memcpy(reader->lanes.high, states, n_lanes);
    memcpy(reader->lanes.low, states + n_lanes, n_lanes);
    reader->in = block->reader.at;
    reader->end = block->reader.end;
    reader->ahead = NULL;
    return true;
}

/* States end where they began: with a sign byte each, as many as there are, and 0 in the lanes behind. */
static bool end_lanes(struct block *block, const struct mth_rans_reader *reader)
{
    const struct mth_rans_lanes *lanes = &reader->lanes;
    size_t n = mth_size_min(lanes->n_lanes, block->n_carried - block->n_taken), rest = 0;
    block->reader.at = reader->in;
    for (size_t i = 0; i < lanes->n_lanes; i++)
        rest |= (size_t)(lanes->high[i] ^ 1) | (i < n ? 0 : lanes->low[i]);
    memcpy(block->state->signs + block->n_taken, lanes->low, n);
    block->n_taken += n;
    return rest == 0;
}

/* A map of n bits. */
static bool read_bits(struct block *block, size_t n)
{
    struct mth_ulp_state *state = block->state;
    size_t n_map = (n + 7) / 8, n_coded;
    if (!take_number(&block->reader, bytes_left(&block->reader), &n_coded))
        return false;
    const uint8_t *coded = take(&block->reader, n_coded);
    struct mth_decode_job job = {.src = {coded, n_coded},
                                 .type = mth_symbol_type_of(MTH_DTYPE_U8),
                                 .dst = state->map,
                                 .dst_bytes = n_map};
    return coded && mth_codec_rans.decode(state->map_state, &job, 1) == MTH_OK &&
           (n % 8 == 0 || state->map[n_map - 1] >> n % 8 == 0);
}

/* Which groups have flags: those whose bit is set in a map. */
static bool read_map(struct block *block)
{
    struct mth_ulp_state *state = block->state;
    if (!read_bits(block, block->n_groups))
        return false;
    block->n_active = 0;
    for (size_t g = 0; g < block->n_groups; g++) {
        state->masks[g] = 0;
        state->numbers[block->n_active] = (uint32_t)g;
        block->n_active += state->map[g / 8] >> g % 8 & 1;
    }
    return true;
}

/* The same by rows: how many elements have one, where they begin, and the map. */
static bool read_rows(struct block *block)
{
    struct mth_ulp_rows *rows = &block->rows;
    rows->n_elems = block->n_elems;
    if (!take_number(&block->reader, block->n_elems, &rows->row) || rows->row < MTH_ULP_MIN_ROW ||
        !take_number(&block->reader, rows->row - 1, &rows->first) || !read_bits(block, mth_ulp_rows_n(rows)))
        return false;
    block->n_active = mth_ulp_groups(mth_ulp_rows_elems(rows, block->state->map));
    return true;
}

/* The base's digest goes on to a group: these come from memory, and are looked at next. */
static void digest_base(struct block *block, size_t group)
{
    size_t lane_bytes = block->format->lane_bits / 8,
           end = mth_size_min(group * MTH_ULP_GROUP, block->n_elems) * lane_bytes;
    if (!block->base_digest || end <= block->n_base_digested)
        return;
    mth_hash64_add(block->base_digest, block->base + block->n_base_digested, end - block->n_base_digested);
    block->n_base_digested = end;
}

/*
 * The base of groups that come two batches later, while flags are computed; NULL: there is none. One batch later would be too late: the
 * digest of one asks for the next itself, at once, and waits for it.
 */
static const uint8_t *base_ahead(const struct block *block, size_t first, size_t n)
{
    size_t group_bytes = MTH_ULP_GROUP * (block->format->lane_bits / 8),
           at = first + 2 * MTH_ULP_BATCH_GROUPS;
    bool is_there = block->base && at + n <= block->n_full;
    return is_there ? block->base + at * group_bytes : NULL;
}

/* Where groups go, while their flags are computed: it comes from memory, too, before anything is written. */
static void prefetch_output(const struct block *block, size_t first, size_t n)
{
    enum { LINE_BYTES = 64 };
    size_t group_bytes = MTH_ULP_GROUP * (block->format->lane_bits / 8),
           end = mth_size_min(first + n, block->n_full) * group_bytes;
    for (size_t at = first * group_bytes; at < end; at += LINE_BYTES)
        __builtin_prefetch(block->output->at + at, 1, 2);
}

/* Flags of the rows that a map names, to masks, and the contexts of what changed. */
static bool decode_flags_of_rows(struct block *block, size_t n_lanes)
{
    struct mth_ulp_state *state = block->state;
    uint8_t *contexts = state->symbols; /* which come later */
    struct mth_rans_reader reader;
    if (!begin_lanes(block, n_lanes, &reader))
        return false;
    digest_base(block, block->n_groups);
    mth_ulp_rows_contexts(&block->rows, state->map, state, block->format, block->base, contexts);
    if (!mth_ulp_decode_flags(state->kernels, &state->table, &reader, contexts, 0, block->n_active,
                              state->active) ||
        !mth_ulp_rows_unpack(&block->rows, state->map, state->active, block->n_groups, state->masks))
        return false;
    return state->kernels->collect(&state->shuffles, contexts, block->n_active, state->active,
                                   state->contexts) == block->n_changed &&
           end_lanes(block, &reader);
}

/* Flags to masks, and the contexts of what changed. */
static bool decode_flags(struct block *block, bool grouped, size_t n_lanes)
{
    struct mth_ulp_state *state = block->state;
    const uint32_t *numbers = grouped ? state->numbers : NULL;
    uint32_t *masks = grouped ? state->active : state->masks;
    struct mth_rans_reader reader;
    size_t n_changed = 0;
    if (!begin_lanes(block, n_lanes, &reader))
        return false;
    for (size_t g = 0; g < block->n_active;) {
        size_t n = mth_size_min(block->n_active - g, MTH_ULP_BATCH_GROUPS);
        digest_base(block, (grouped ? numbers[g + n - 1] : g + n - 1) + 1);
        mth_ulp_contexts(state, block->format, block->base, block->n_full, numbers, g, n, state->batch);
        if (!grouped && !block->output->room)
            prefetch_output(block, g, n);
        reader.ahead = grouped ? NULL : base_ahead(block, g, n);
        if (!mth_ulp_decode_flags(state->kernels, &state->table, &reader, state->batch, g, n, masks + g))
            return false;
        n_changed += state->kernels->collect(&state->shuffles, state->batch, n, masks + g,
                                             state->contexts + n_changed);
        g += n;
    }
    for (size_t i = 0; grouped && i < block->n_active; i++)
        state->masks[state->numbers[i]] = state->active[i];
    /* What the last group was filled up with does not change. */
    size_t n_last = block->n_elems % MTH_ULP_GROUP;
    return n_changed == block->n_changed && end_lanes(block, &reader) &&
           (n_last == 0 || state->masks[block->n_groups - 1] >> n_last == 0);
}

static bool decode_symbols(struct block *block, size_t n_lanes)
{
    struct mth_ulp_state *state = block->state;
    struct mth_rans_reader reader;
    return begin_lanes(block, n_lanes, &reader) &&
           mth_ulp_decode_symbols(state->kernels, &state->table, &reader, state->contexts, block->n_changed,
                                  state->symbols) &&
           end_lanes(block, &reader);
}

/* Turns, and with them the signs of all that changed: *signs becomes where they are. */
static bool decode_turns(struct block *block, size_t n_turned, size_t n_kept, const uint8_t **signs)
{
    struct mth_ulp_state *state = block->state;
    struct mth_ulp_turns turns;
    struct mth_rans_reader reader;
    mth_ulp_turns_begin(&turns, state, block->format, block->base, block->older, block->n_elems,
                        block->n_changed, n_kept);
    if (turns.n != n_turned || !mth_ulp_turns_read_table(&turns, state, &block->reader) ||
        !begin_lanes(block, mth_ulp_turn_lanes(turns.n), &reader) ||
        !mth_ulp_turns_decode(&turns, state->kernels, &reader) || !end_lanes(block, &reader))
        return false;
    uint8_t *joined = (uint8_t *)state->active;
    mth_ulp_turns_join(&turns, state->kernels, state->signs, joined);
    *signs = joined;
    return true;
}

/* The base with its steps. */
static void merge(struct block *block)
{
    struct mth_ulp_state *state = block->state;
    size_t lane_bytes = block->format->lane_bits / 8, group_bytes = MTH_ULP_GROUP * lane_bytes, n, used = 0;
    digest_base(block, block->n_groups);
    for (size_t g = 0; g < block->n_full; g += n) {
        n = mth_size_min(block->n_full - g, MTH_ULP_PIECE_BYTES / group_bytes);
        used += state->kernels->merge(
            block->format, &state->shuffles, mth_ulp_base_at(state, block->base, group_bytes, g), n,
            state->masks + g, state->steps + used * lane_bytes, mth_ulp_output_piece(block->output));
        mth_ulp_output_put(block->output, n * group_bytes);
    }
    if (block->n_full == block->n_groups)
        return;
    state->kernels->merge(block->format, &state->shuffles, state->last_base, 1, state->masks + block->n_full,
                          state->steps + used * lane_bytes, state->last_dst);
    mth_ulp_output_copy(block->output, state->last_dst,
                        (block->n_elems - block->n_full * MTH_ULP_GROUP) * lane_bytes);
}

static bool decode_changes(struct block *block, uint8_t head)
{
    struct mth_ulp_state *state = block->state;
    bool in_rows = !(head & MTH_ULP_CHANGES), grouped = !in_rows && head & MTH_ULP_GROUPED;
    bool has_shifts = block->format->lane_bits > 16;
    bool is_directed = block->may_turn && !(head & MTH_ULP_CARRIES),
         carries = block->may_turn || head & MTH_ULP_CARRIES;
    size_t flag_lanes = mth_ulp_flag_lanes(carries ? head | MTH_ULP_CARRIES : head), n_turned = 0, n_extra;
    size_t n_lanes = (size_t)1 << (head >> MTH_ULP_LANES_SHIFT & MTH_ULP_LANES_MASK);
    if (n_lanes > MTH_RANS_MAX_LANES)
        return false;
    if (!(head & MTH_ULP_PACKED ? mth_ulp_table_unpack(&block->reader, has_shifts, &state->table)
                                : mth_ulp_table_read(&block->reader, has_shifts, &state->table)))
        return false;
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        if (state->table.shift[c] > block->format->lane_bits - 2)
            return false;
    }
    if (!take_number(&block->reader, block->n_elems, &block->n_changed) || block->n_changed == 0 ||
        !take_number(&block->reader, bytes_left(&block->reader), &n_extra))
        return false;
    block->n_active = block->n_groups;
    if ((grouped && !read_map(block)) || (in_rows && !read_rows(block)))
        return false;
    if (is_directed && (!take_number(&block->reader, block->n_changed, &n_turned) || n_turned == 0))
        return false;
    size_t n_plain = block->n_changed - n_turned, n_signs = (n_plain + 7) / 8;
    size_t n_all_lanes = flag_lanes + n_lanes + (is_directed ? mth_ulp_turn_lanes(n_turned) : 0);
    size_t n_kept = block->older ? 0 : mth_ulp_kept_signs(flag_lanes, n_lanes);
    block->n_carried = carries ? mth_size_min(n_signs, n_all_lanes) : 0;
    block->n_taken = 0;
    const uint8_t *signs = take(&block->reader, n_signs - block->n_carried), *joined = state->signs;
    const uint8_t *bits = signs ? take(&block->reader, n_extra) : NULL;
    struct mth_ulp_bit_reader extra = {.at = bits, .end = bits ? bits + n_extra : NULL};
    if (!bits)
        return false;
    memcpy(state->signs + block->n_carried, signs, n_signs - block->n_carried);
    if (!(in_rows ? decode_flags_of_rows(block, flag_lanes) : decode_flags(block, grouped, flag_lanes)) ||
        !decode_symbols(block, n_lanes) || (is_directed && !decode_turns(block, n_turned, n_kept, &joined)) ||
        bytes_left(&block->reader) > 0)
        return false;
    if (n_plain % 8 && state->signs[n_plain / 8] >> n_plain % 8)
        return false;
    if (!mth_ulp_join(state->kernels, block->format->lane_bits, state->table.shift, state->symbols, joined,
                      state->contexts, block->n_changed, &extra, state->steps) ||
        !mth_ulp_bits_ended(&extra))
        return false;
    merge(block);
    return true;
}

static bool decode_block(struct block *block)
{
    const uint8_t *head = take(&block->reader, 1);
    if (!head)
        return false;
    block->n_groups = mth_ulp_groups(block->n_elems);
    block->n_full = block->n_elems / MTH_ULP_GROUP;
    if (*head == 0) {
        digest_base(block, block->n_groups);
        mth_ulp_output_copy(block->output, block->base, block->n_elems * (block->format->lane_bits / 8));
        return bytes_left(&block->reader) == 0;
    }
    mth_ulp_fill_last(block->format, block->base, block->n_elems, block->state->last_base);
    bool is_known = *head & MTH_ULP_CHANGES || (block->may_have_rows && *head & MTH_ULP_GROUPED);
    return is_known && decode_changes(block, *head);
}

static bool decode_stream(struct mth_ulp_state *state, const struct mth_decode_job *job,
                          struct mth_ulp_output *output, struct mth_hash64_pieces *base_digest)
{
    struct mth_ulp_format format;
    struct mth_reader reader = {.at = job->src.data, .end = job->src.data + job->src.n_bytes};
    const uint8_t *mode = take(&reader, 1), *base = mth_ulp_base_of(&job->context, job->dst_bytes);
    const uint8_t *older = mth_ulp_older_of(&job->context, job->dst_bytes);
    if (!mode)
        return false;
    if (*mode == MTH_ULP_RAW) {
        if (bytes_left(&reader) != job->dst_bytes)
            return false;
        mth_ulp_output_copy(output, reader.at, job->dst_bytes);
        if (base_digest)
            mth_hash64_add(base_digest, base, job->dst_bytes);
        return true;
    }
    bool is_directed = *mode == MTH_ULP_DIRECTED || *mode == MTH_ULP_ROWED_DIRECTED;
    if (*mode > MTH_ULP_ROWED_DIRECTED || (is_directed && !older) || !mth_ulp_format_of(&job->type, &format))
        return false;
    size_t lane_bytes = format.lane_bits / 8, n_elems = job->dst_bytes / lane_bytes, done = 0;
    while (done < n_elems) {
        size_t n_body;
        struct block block = {.state = state,
                              .format = &format,
                              .base = base ? base + done * lane_bytes : NULL,
                              .older = is_directed ? older + done * lane_bytes : NULL,
                              .may_turn = *mode != MTH_ULP_CODED,
                              .may_have_rows = *mode >= MTH_ULP_ROWED,
                              .output = output,
                              .base_digest = base_digest,
                              .n_elems = mth_size_min(n_elems - done, mth_ulp_block_elems(&format))};
        if (!take_number(&reader, bytes_left(&reader), &n_body))
            return false;
        const uint8_t *body = take(&reader, n_body);
        if (!body)
            return false;
        block.reader = (struct mth_reader){.at = body, .end = body + n_body};
        if (!decode_block(&block))
            return false;
        done += block.n_elems;
    }
    size_t n_tail = job->dst_bytes - done * lane_bytes;
    if (bytes_left(&reader) != n_tail)
        return false;
    mth_ulp_output_copy(output, reader.at, n_tail);
    if (base_digest)
        mth_hash64_add(base_digest, base + done * lane_bytes, n_tail);
    return true;
}

int mth_ulp_decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    struct mth_ulp_state *state = opaque;
    for (size_t j = 0; j < n_jobs; j++) {
        struct mth_ulp_output output;
        mth_ulp_output_begin(&output, jobs[j].dst, NULL, NULL);
        if (jobs[j].dst_bytes == 0 ? jobs[j].src.n_bytes != 0
                                   : !decode_stream(state, &jobs[j], &output, NULL))
            return MTH_ERR_CORRUPT;
    }
    return MTH_OK;
}

int mth_ulp_decode_digested(void *opaque, struct mth_decode_job *job, struct mth_decode_digests *digests)
{
    struct mth_ulp_state *state = opaque;
    struct mth_hash64_pieces of_dst, of_base;
    struct mth_ulp_output output;
    digests->taken = false;
    if (job->dst_bytes == 0 || !mth_ulp_base_of(&job->context, job->dst_bytes))
        return mth_ulp_decode(state, job, 1);
    mth_hash64_begin(&of_base);
    mth_ulp_output_begin(&output, job->dst, digests->is_away ? state->room : NULL, &of_dst);
    if (!decode_stream(state, job, &output, &of_base))
        return MTH_ERR_CORRUPT;
    mth_ulp_output_end(&output);
    digests->taken = true;
    digests->dst = mth_hash64_end(&of_dst);
    digests->reference = mth_hash64_end(&of_base);
    return MTH_OK;
}
