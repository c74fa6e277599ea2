/* A stream's blocks: what is counted, which form they get, and their bytes; see spec.md. */
#include "codecs/ulp_rans/ulp_stream.h"

#include "base/checked.h"
#include "base/hash.h"
#include "codecs/ulp_rans/ulp_map.h"
#include "codecs/ulp_rans/ulp_symbols.h"
#include "codecs/ulp_rans/ulp_turns.h"

#include <string.h>

enum {
    /* Of each file at once: longer ones wait for memory where they could compute. */
    PIECE_BYTES = MTH_HASH64_BLOCK_BYTES,
    FIRST_BYTES = 8192,
    SPLIT_STEPS =
        4096, /* that become symbols at once, where nothing has to be known of all: so they stay in the nearest cache */
    TOP_GROUPS = 128,    /* sampled for the highest exponent that counts */
    TOP_SHARE = 1024,    /* elements above it are one in so many at most */
    SHIFT_STEPS = 4096,  /* sampled for the bits of steps */
    KEPT_BITS = 5,       /* of a step of average length, that are coded */
    MANY_CHANGES = 2048, /* that are worth many lanes of flags: each costs half a byte */
    MANY_ELEMS = 1 << 16 /* the same: shorter blocks take no time to speak of */
};

/* What the next pass has in cache is hashed now. */
static void digest(struct mth_ulp_digests *digests, const uint8_t *src, const uint8_t *base, size_t n_bytes)
{
    if (!digests)
        return;
    mth_hash64_add(&digests->src, src, n_bytes);
    mth_hash64_add(&digests->base, base, n_bytes);
}

/* The same of whole blocks of the hash, behind which there is more. */
static void digest_blocks(struct mth_ulp_digests *digests, const uint8_t *src, const uint8_t *base,
                          size_t n_blocks)
{
    if (!digests)
        return;
    mth_hash64_add_blocks(&digests->src, src, n_blocks);
    mth_hash64_add_blocks(&digests->base, base, n_blocks);
}

static void digest_block(struct mth_ulp_digests *digests, const uint8_t *src, const uint8_t *base)
{
    if (digests)
        mth_hash64_add_block_pair(&digests->src, src, &digests->base, base);
}

/* ---- what a block is like ---- */

static unsigned exponent_at(const struct mth_ulp_format *format, const uint8_t *p)
{
    uint64_t x = 0;
    for (unsigned i = 0; i < format->lane_bits / 8; i++)
        x |= (uint64_t)p[i] << (8 * i);
    return (unsigned)(x >> format->mantissa_bits) & ((1u << format->exponent_bits) - 1);
}

/* The largest exponents of what was sampled, the largest first. */
struct largest {
    unsigned exponents[TOP_GROUPS * MTH_ULP_GROUP / TOP_SHARE + 1];
    size_t n; /* that count */
};

static void note_exponent(struct largest *largest, unsigned exponent)
{
    size_t i = largest->n - 1;
    if (exponent <= largest->exponents[i])
        return;
    for (; i > 0 && largest->exponents[i - 1] < exponent; i--)
        largest->exponents[i] = largest->exponents[i - 1];
    largest->exponents[i] = exponent;
}

/* The largest exponent of a whole group of 16-bit elements. */
static unsigned largest16(const struct mth_ulp_format *format, const uint8_t *group)
{
    uint16_t mask = (uint16_t)(((1u << format->exponent_bits) - 1) << format->mantissa_bits), most = 0;
    for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
        uint16_t x = mth_lane_load16(group + 2 * i) & mask;
        most = x > most ? x : most;
    }
    return most >> format->mantissa_bits;
}

/* The same of 32-bit ones. */
static unsigned largest32(const struct mth_ulp_format *format, const uint8_t *group)
{
    uint32_t mask = ((1u << format->exponent_bits) - 1) << format->mantissa_bits, most = 0;
    for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
        uint32_t x = mth_lane_load32(group + 4 * i) & mask;
        most = x > most ? x : most;
    }
    return most >> format->mantissa_bits;
}

/* Groups that are looked at for the highest exponent, and which share of all. */
static size_t top_step(const struct mth_ulp_block *block)
{
    return block->n_groups / TOP_GROUPS + 1;
}

/* They are far from one another in memory. */
static void expect_top(const struct mth_ulp_block *block)
{
    size_t group_bytes = MTH_ULP_GROUP * (block->format->lane_bits / 8);
    for (size_t g = 0; block->base && g < block->n_groups; g += top_step(block))
        __builtin_prefetch(block->base + g * group_bytes);
}

/* The lowest exponent with hardly any above it, in a sample. */
static uint16_t choose_top(const struct mth_ulp_block *block)
{
    const struct mth_ulp_format *format = block->format;
    size_t lane_bytes = format->lane_bits / 8, group_bytes = MTH_ULP_GROUP * lane_bytes, n = 0;
    struct largest largest = {.n = 0};
    if (format->exponent_bits == 0 || !block->base)
        return 0;
    for (size_t g = 0; g < block->n_groups; g += top_step(block))
        n += mth_size_min(MTH_ULP_GROUP, block->n_elems - g * MTH_ULP_GROUP);
    largest.n = n / TOP_SHARE + 1;
    for (size_t g = 0; g < block->n_groups; g += top_step(block)) {
        const uint8_t *group = block->base + g * group_bytes;
        size_t n_here = mth_size_min(MTH_ULP_GROUP, block->n_elems - g * MTH_ULP_GROUP);
        unsigned least = largest.exponents[largest.n - 1];
        if (n_here == MTH_ULP_GROUP && ((lane_bytes == 2 && largest16(format, group) <= least) ||
                                        (lane_bytes == 4 && largest32(format, group) <= least)))
            continue;
        for (size_t i = 0; i < n_here; i++)
            note_exponent(&largest, exponent_at(format, group + i * lane_bytes));
    }
    return (uint16_t)largest.exponents[largest.n - 1];
}

/* Masks and steps of n groups, contexts of all elements and of those that changed, behind those of the block before. */
static void view(struct mth_ulp_block *block, const uint8_t *src, const uint8_t *base, size_t first, size_t n)
{
    struct mth_ulp_state *state = block->state;
    const struct mth_ulp_kernels *kernels = state->kernels;
    const struct mth_ulp_format *format = block->format;
    size_t lane_bytes = format->lane_bits / 8, group_bytes = MTH_ULP_GROUP * lane_bytes;
    struct mth_ulp_view out = {.masks = state->masks + first,
                               .steps = state->steps + (block->n_changed - block->n_split) * lane_bytes,
                               .contexts = state->of_base + first * MTH_ULP_GROUP,
                               .changed = state->contexts + block->n_changed};
    size_t done =
        kernels->view ? kernels->view(format, &state->shuffles, state->table.top, src, base, n, &out) : 0;
    block->n_changed += out.n_changed;
    block->n_active += out.n_active;
    if (done == n)
        return;
    const uint32_t *masks = out.masks + done;
    uint8_t *contexts = out.contexts + done * MTH_ULP_GROUP;
    n -= done;
    size_t n_steps =
        kernels->analyze(format, &state->shuffles, src + done * group_bytes, base + done * group_bytes, n,
                         out.masks + done, state->steps + (block->n_changed - block->n_split) * lane_bytes);
    kernels->contexts(format, base + done * group_bytes, n, state->table.top, contexts);
    if (n_steps)
        kernels->collect(&state->shuffles, contexts, n, masks, state->contexts + block->n_changed);
    block->n_changed += n_steps;
    for (size_t i = 0; i < n; i++)
        block->n_active += masks[i] != 0;
}

/* Signs and stored bits are made where flags come later; they go out behind the head, which is not known yet. */
static void begin_parts(struct mth_ulp_block *block, size_t n_signs)
{
    struct mth_ulp_state *state = block->state;
    block->extra = state->coded + (n_signs + 7) / 8;
    block->parts =
        (struct mth_ulp_parts){.symbols = state->symbols,
                               .signs = state->coded,
                               .extra = {.at = block->extra, .end = state->coded + MTH_ULP_CODED_BYTES}};
}

/* n of the state's steps, whole groups unless they are the last ones. */
static void split(struct mth_ulp_block *block, size_t n)
{
    struct mth_ulp_state *state = block->state;
    struct mth_ulp_parts parts = block->parts;
    size_t lane_bytes = block->format->lane_bits / 8, n_left = block->n_changed - block->n_split - n;
    parts.symbols += block->n_split;
    parts.signs += block->n_split / 8;
    if (block->extra && !mth_ulp_split(state->kernels, block->format->lane_bits, state->table.shift,
                                       state->steps, state->contexts + block->n_split, n, &parts))
        block->extra = NULL;
    block->parts.extra = parts.extra;
    block->n_split += n;
    memmove(state->steps, state->steps + n * lane_bytes, n_left * lane_bytes);
}

static bool has_shifts(const struct mth_ulp_block *block)
{
    return block->format->lane_bits > 16;
}

/* All groups. The first n_digested were hashed before. */
static void analyze(struct mth_ulp_block *block, size_t n_digested)
{
    struct mth_ulp_state *state = block->state;
    size_t group_bytes = MTH_ULP_GROUP * (block->format->lane_bits / 8), n_piece = PIECE_BYTES / group_bytes;
    block->n_changed = block->n_split = block->n_active = 0;
    memset(state->table.shift, 0, sizeof state->table.shift);
    begin_parts(block, block->n_elems);
    for (size_t g = 0; g < block->n_groups;) {
        bool is_last = g == block->n_full;
        size_t n = is_last ? 1 : mth_size_min(n_piece, block->n_full - g);
        const uint8_t *src = is_last ? state->last_src : block->src + g * group_bytes;
        const uint8_t *base =
            is_last ? state->last_base : mth_ulp_base_at(state, block->base, group_bytes, g);
        if (g + n < block->n_full && g >= n_digested)
            digest_block(block->digests, src, base);
        else if (!is_last && g >= n_digested)
            digest(block->digests, src, base, n * group_bytes);
        view(block, src, base, g, n);
        g += n;
        size_t n_steps = block->n_changed - block->n_split;
        if (n_steps >= SPLIT_STEPS && !has_shifts(block))
            split(block, n_steps - n_steps % MTH_ULP_GROUP);
    }
}

/* So many low bits of wide steps are stored as they are that those of average length have KEPT_BITS left. */
static void choose_shifts(const struct mth_ulp_block *block)
{
    struct mth_ulp_state *state = block->state;
    uint32_t n[MTH_ULP_CONTEXTS] = {0}, bits[MTH_ULP_CONTEXTS] = {0};
    size_t every = block->n_changed / SHIFT_STEPS + 1;
    bool is_32 = block->format->lane_bits == 32;
    for (size_t i = 0; i < block->n_changed; i += every) {
        n[state->contexts[i]]++;
        bits[state->contexts[i]] += is_32 ? mth_ulp_step_bits32(state->steps, i)
                                          : mth_ulp_step_bits(block->format->lane_bits, state->steps, i);
    }
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        uint32_t average = n[c] ? (bits[c] + n[c] / 2) / n[c] : 0;
        state->table.shift[c] = (uint8_t)(average > KEPT_BITS ? average - KEPT_BITS : 0);
    }
}

/* ---- bytes ---- */

static bool put(struct mth_ulp_block *block, const void *data, size_t n)
{
    if ((size_t)(block->end - block->at) < n)
        return false;
    if (n)
        memcpy(block->at, data, n);
    block->at += n;
    return true;
}

static bool put_number(struct mth_ulp_block *block, uint64_t value)
{
    uint8_t bytes[MTH_VARINT_MAX_BYTES];
    return put(block, bytes, mth_varint_put(bytes, value));
}

/* States, high bytes first, and what was written. */
static bool put_lanes(struct mth_ulp_block *block, const struct mth_rans_writer *writer)
{
    const uint8_t *coded_end = block->state->coded + MTH_ULP_CODED_BYTES;
    return put(block, writer->lanes.high, writer->lanes.n_lanes) &&
           put(block, writer->lanes.low, writer->lanes.n_lanes) &&
           put(block, writer->at, (size_t)(coded_end - writer->at));
}

/* Signs on their way into the states in which lanes begin. */
struct carried {
    uint8_t bytes[2 * MTH_ULP_MAX_FLAG_LANES + MTH_RANS_MAX_LANES];
    size_t n, taken;
};

static struct mth_rans_writer writer_of(const struct mth_ulp_block *block, size_t n_lanes,
                                        struct carried *carried)
{
    uint8_t *coded = block->state->coded;
    struct mth_rans_writer writer = {.begin = coded, .at = coded + MTH_ULP_CODED_BYTES};
    size_t n = mth_size_min(n_lanes, carried->n - carried->taken);
    mth_rans_lanes_init(&writer.lanes, n_lanes);
    memcpy(writer.lanes.low, carried->bytes + carried->taken, n);
    carried->taken += n;
    return writer;
}

static bool put_flags_of_rows(struct mth_ulp_block *block, size_t n_lanes, struct carried *carried)
{
    struct mth_ulp_state *state = block->state;
    struct mth_rans_writer writer = writer_of(block, n_lanes, carried);
    size_t n = mth_ulp_rows_pack(&block->rows, state->map, state->masks, state->of_base, state->active);
    return mth_ulp_encode_flags(state->kernels, &state->table, &writer, state->of_base, 0, n,
                                state->active) &&
           put_lanes(block, &writer);
}

static bool put_flags(struct mth_ulp_block *block, bool grouped, size_t n_lanes, struct carried *carried)
{
    struct mth_ulp_state *state = block->state;
    struct mth_rans_writer writer = writer_of(block, n_lanes, carried);
    if (!grouped)
        return mth_ulp_encode_flags(state->kernels, &state->table, &writer, state->of_base, 0,
                                    block->n_groups, state->masks) &&
               put_lanes(block, &writer);
    for (size_t left = block->n_active; left > 0;) {
        size_t n = (left - 1) % MTH_ULP_BATCH_GROUPS + 1;
        left -= n;
        for (size_t i = 0; i < n; i++)
            memcpy(state->batch + i * MTH_ULP_GROUP,
                   state->of_base + (size_t)state->numbers[left + i] * MTH_ULP_GROUP, MTH_ULP_GROUP);
        if (!mth_ulp_encode_flags(state->kernels, &state->table, &writer, state->batch, left, n,
                                  state->active + left))
            return false;
    }
    return put_lanes(block, &writer);
}

static bool put_symbols(struct mth_ulp_block *block, size_t n_lanes, struct carried *carried)
{
    struct mth_ulp_state *state = block->state;
    struct mth_rans_writer writer = writer_of(block, n_lanes, carried);
    return mth_ulp_encode_symbols(state->kernels, &state->table, &writer, state->contexts, state->symbols,
                                  block->n_changed) &&
           put_lanes(block, &writer);
}

/* Turns, behind all else. */
static bool put_turns(struct mth_ulp_block *block, const struct mth_ulp_turns *turns, struct carried *carried)
{
    uint8_t table[MTH_ULP_TURN_TABLE_BYTES];
    struct mth_rans_writer writer = writer_of(block, mth_ulp_turn_lanes(turns->n), carried);
    return put(block, table, mth_ulp_turns_put_table(turns, table)) &&
           mth_ulp_turns_encode(turns, block->state->kernels, &writer) && put_lanes(block, &writer);
}

static unsigned log2_of(size_t n)
{
    unsigned log = 0;
    while (n >>= 1)
        log++;
    return log;
}

/* Whether the direction of the step before, or from zero, is worth it; then the signs are those of elements that had none. */
static bool take_turns(struct mth_ulp_block *block, size_t flag_lanes, size_t symbol_lanes,
                       struct mth_ulp_turns *turns, uint8_t *signs)
{
    size_t n_kept = block->older ? 0 : mth_ulp_kept_signs(flag_lanes, symbol_lanes);
    if (!block->older &&
        (block->n_changed <= n_kept || !mth_ulp_turns_promise(block->state, block->format, block->src,
                                                              block->base, block->n_full, block->n_changed)))
        return false;
    mth_ulp_turns_begin(turns, block->state, block->format, block->base, block->older, block->n_elems,
                        block->n_changed, n_kept);
    if (mth_ulp_turns_take(turns, block->state, signs)) {
        block->has_turns = true;
        return true;
    }
    turns->n = 0;
    return false;
}

/* A block in which something changed. False: it does not fit, and is not worth it. */
static bool encode_changes(struct mth_ulp_block *block)
{
    struct mth_ulp_state *state = block->state;
    struct mth_ulp_counts counts = {.elements = {0}};
    struct mth_ulp_turns turns = {0};
    uint8_t table[MTH_ULP_TABLE_BYTES], packed[MTH_ULP_PACKED_TABLE_BYTES];
    struct mth_ulp_parts *parts = &block->parts;
    if (has_shifts(block)) {
        choose_shifts(block);
        begin_parts(block, block->n_changed);
    }
    split(block, block->n_changed - block->n_split);
    if (!block->extra || !mth_ulp_end_bits(&parts->extra))
        return false;
    state->kernels->count(state->contexts, state->symbols, block->n_changed, counts.symbols);
    mth_ulp_count_elements(block, NULL, block->n_groups, counts.elements);
    bool in_rows;
    size_t n_map = mth_ulp_map_choose(block, &counts, &in_rows),
           n_lanes = mth_ulp_symbol_lanes(block->n_changed);
    mth_ulp_table_build(&state->table, &counts);
    size_t n_table = mth_ulp_table_write(&state->table, has_shifts(block), table),
           n_packed = mth_ulp_table_pack(&state->table, has_shifts(block), packed);
    bool is_packed = n_packed < n_table,
         many = block->n_changed >= MANY_CHANGES && block->n_elems >= MANY_ELEMS;
    size_t n_flag_lanes = mth_ulp_flag_lanes(MTH_ULP_CARRIES | (many ? MTH_ULP_MANY_FLAG_LANES : 0));
    bool is_directed = take_turns(block, n_flag_lanes, n_lanes, &turns, parts->signs);
    block->has_rows |= in_rows;
    uint8_t head = (uint8_t)((in_rows ? 0 : MTH_ULP_CHANGES) | (is_directed ? 0 : MTH_ULP_CARRIES) |
                             (is_packed ? MTH_ULP_PACKED : 0) | (n_map ? MTH_ULP_GROUPED : 0) |
                             (many ? MTH_ULP_MANY_FLAG_LANES : 0) | log2_of(n_lanes) << MTH_ULP_LANES_SHIFT);
    size_t n_signs = (block->n_changed - turns.n + 7) / 8, n_extra = (size_t)(parts->extra.at - block->extra);
    bool fits = put(block, &head, 1) &&
                put(block, is_packed ? packed : table, is_packed ? n_packed : n_table) &&
                put_number(block, block->n_changed) && put_number(block, n_extra);
    if (fits && in_rows)
        fits = put_number(block, block->rows.row) && put_number(block, block->rows.first);
    if (fits && n_map)
        fits = put_number(block, n_map) && put(block, state->map_coded, n_map);
    if (fits && is_directed)
        fits = put_number(block, turns.n);
    size_t n_turn_lanes = is_directed ? mth_ulp_turn_lanes(turns.n) : 0;
    struct carried carried = {.n = mth_size_min(n_signs, n_flag_lanes + n_lanes + n_turn_lanes)};
    memcpy(carried.bytes, parts->signs, carried.n);
    return fits && put(block, parts->signs + carried.n, n_signs - carried.n) &&
           put(block, block->extra, n_extra) &&
           (in_rows ? put_flags_of_rows(block, n_flag_lanes, &carried)
                    : put_flags(block, n_map > 0, n_flag_lanes, &carried)) &&
           put_symbols(block, n_lanes, &carried) && (!is_directed || put_turns(block, &turns, &carried));
}

/* ---- blocks ---- */

/* One block behind its length. */
static bool encode_block(struct mth_ulp_block *block)
{
    enum { LENGTH_BYTES = 3 }; /* of most blocks: 2^14 bytes to 2^21 */
    uint8_t *begin = block->at, length[MTH_VARINT_MAX_BYTES];
    if (block->end - block->at < LENGTH_BYTES + 1)
        return false;
    block->n_groups = mth_ulp_groups(block->n_elems);
    block->n_full = block->n_elems / MTH_ULP_GROUP;
    mth_ulp_fill_last(block->format, block->src, block->n_elems, block->state->last_src);
    mth_ulp_fill_last(block->format, block->base, block->n_elems, block->state->last_base);
    /* While what they look at comes from memory, the first pieces are hashed. */
    size_t group_bytes = MTH_ULP_GROUP * (block->format->lane_bits / 8),
           n_digested = FIRST_BYTES / group_bytes < block->n_full ? FIRST_BYTES / group_bytes : 0;
    expect_top(block);
    if (n_digested)
        digest_blocks(block->digests, block->src, block->base, FIRST_BYTES / PIECE_BYTES);
    block->state->table.top = choose_top(block);
    analyze(block, n_digested);
    block->at += LENGTH_BYTES;
    if (block->n_changed == 0)
        *block->at++ = 0;
    else if (!encode_changes(block))
        return false;
    size_t n = (size_t)(block->at - begin) - LENGTH_BYTES, n_length = mth_varint_put(length, n);
    if (n_length > LENGTH_BYTES)
        return false;
    if (n_length < LENGTH_BYTES)
        memmove(begin + n_length, begin + LENGTH_BYTES, n);
    memcpy(begin, length, n_length);
    block->at = begin + n_length + n;
    return true;
}

/* Of a stream whose last block this is. */
static uint8_t mode_of(const struct mth_ulp_block *block)
{
    if (block->has_turns && block->older)
        return block->has_rows ? MTH_ULP_ROWED_DIRECTED : MTH_ULP_DIRECTED;
    return block->has_turns || block->has_rows ? MTH_ULP_ROWED : MTH_ULP_CODED;
}

static bool encode_blocks(struct mth_ulp_state *state, const struct mth_ulp_format *format,
                          const uint8_t *base, const uint8_t *older, struct mth_encode_job *job)
{
    size_t lane_bytes = format->lane_bits / 8, n_elems = job->src.n_bytes / lane_bytes, done = 0;
    size_t n_tail = job->src.n_bytes % lane_bytes;
    struct mth_ulp_digests digests;
    struct mth_ulp_block block = {
        .state = state, .format = format, .at = job->dst + 1, .end = job->dst + job->dst_capacity};
    if (job->digests && base) {
        mth_hash64_begin(&digests.src);
        mth_hash64_begin(&digests.base);
        block.digests = &digests;
    }
    while (done < n_elems) {
        block.src = job->src.data + done * lane_bytes;
        block.base = base ? base + done * lane_bytes : NULL;
        block.older = older ? older + done * lane_bytes : NULL;
        block.n_elems = mth_size_min(n_elems - done, mth_ulp_block_elems(format));
        if (!mth_ulp_rows_find(job->spans, job->n_spans, done, block.n_elems, &block.rows))
            block.rows.row = 0;
        if (!encode_block(&block))
            return false;
        size_t n_left = (block.n_elems - block.n_full * MTH_ULP_GROUP) * lane_bytes,
               at = (done + block.n_full * MTH_ULP_GROUP) * lane_bytes;
        if (n_left)
            digest(block.digests, job->src.data + at, base + at, n_left);
        done += block.n_elems;
    }
    if (!put(&block, job->src.data + done * lane_bytes, n_tail))
        return false;
    job->needs_older = older && block.has_turns;
    job->dst[0] = mode_of(&block);
    job->out = (struct mth_bytes){job->dst, (size_t)(block.at - job->dst)};
    if (block.digests) {
        size_t n_done = done * lane_bytes;
        digest(&digests, job->src.data + n_done, base + n_done, n_tail);
        *job->digests = (struct mth_encode_digests){
            .taken = true, .src = mth_hash64_end(&digests.src), .reference = mth_hash64_end(&digests.base)};
    }
    return job->out.n_bytes <= job->src.n_bytes;
}

int mth_ulp_encode(void *opaque, struct mth_encode_job *job)
{
    struct mth_ulp_state *state = opaque;
    struct mth_ulp_format format;
    const uint8_t *base = mth_ulp_base_of(&job->context, job->src.n_bytes),
                  *older = mth_ulp_older_of(&job->context, job->src.n_bytes);
    job->needs_older = false;
    if (!mth_ulp_format_of(&job->type, &format))
        return MTH_ERR_UNSUPPORTED;
    if (job->src.n_bytes == 0) {
        job->out = (struct mth_bytes){job->dst, 0};
        return MTH_OK;
    }
    if (job->dst_capacity == 0)
        return MTH_ERR_CAPACITY;
    if (encode_blocks(state, &format, base, older, job))
        return MTH_OK;
    if (job->dst_capacity < job->src.n_bytes + 1)
        return MTH_ERR_CAPACITY;
    job->needs_older = false;
    job->dst[0] = MTH_ULP_RAW;
    memcpy(job->dst + 1, job->src.data, job->src.n_bytes);
    job->out = (struct mth_bytes){job->dst, job->src.n_bytes + 1};
    return MTH_OK;
}
