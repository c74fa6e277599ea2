/* Signs given the direction of the step before; see ulp_turns.h. */
#include "codecs/ulp_rans/ulp_turns.h"

#include "base/checked.h"
#include "codecs/rans/rans_quantise.h"
#include "codecs/ulp_rans/ulp_scalar.h"

#include <string.h>

enum { WORD = MTH_ULP_GROUP, BIN_ELEMS = 1 << 14 /* sampled to choose bins */ };

/* Words of 32 elements. */
static size_t n_words(size_t n)
{
    return (n + WORD - 1) / WORD;
}

/* ---- runs of bits ---- */

struct bit_writer {
    uint8_t *at;
    uint64_t held;
    unsigned n_held;
};

/* n <= 32; bytes are written when they are whole. */
static void push_bits(struct bit_writer *writer, uint32_t bits, unsigned n)
{
    writer->held |= (uint64_t)bits << writer->n_held;
    writer->n_held += n;
    for (; writer->n_held >= 8; writer->n_held -= 8, writer->held >>= 8)
        *writer->at++ = (uint8_t)writer->held;
}

static void end_bits(const struct bit_writer *writer)
{
    if (writer->n_held)
        *writer->at = (uint8_t)writer->held;
}

struct bit_source {
    const uint8_t *at, *end;
    uint64_t held;
    unsigned n_held;
};

/* n <= 32; zeros behind the end. */
static uint32_t pull_bits(struct bit_source *source, unsigned n)
{
    for (; source->n_held < n; source->n_held += 8)
        source->held |= (uint64_t)(source->at < source->end ? *source->at++ : 0) << source->n_held;
    uint32_t bits = (uint32_t)(source->held & (((uint64_t)1 << n) - 1));
    source->held >>= n;
    source->n_held -= n;
    return bits;
}

/* The moves of the networks below: bits that go down by 1, 2, 4, 8, 16 (Warren, Hacker's Delight, 7-4). */
struct moves {
    uint32_t by[5];
};

static struct moves moves_of(uint32_t mask)
{
    struct moves moves;
    uint32_t before = ~mask << 1, left = mask;
    for (unsigned i = 0; i < 5; i++) {
        uint32_t odd = before;
        for (unsigned k = 1; k < WORD; k *= 2)
            odd ^= odd << k;
        moves.by[i] = odd & left;
        left = (left ^ moves.by[i]) | moves.by[i] >> (1u << i);
        before &= ~odd;
    }
    return moves;
}

/* Are the bits of a mask its lowest ones? Then nothing moves: so it is where all elements did, or none. */
static bool is_in_place(uint32_t mask)
{
    return (mask & (mask + 1)) == 0;
}

/* The bits of x that mask names, side by side. */
static uint32_t gather_bits(uint32_t x, uint32_t mask)
{
    x &= mask;
    if (is_in_place(mask))
        return x;
    struct moves moves = moves_of(mask);
    for (unsigned i = 0; i < 5; i++) {
        uint32_t moved = x & moves.by[i];
        x = (x ^ moved) | moved >> (1u << i);
    }
    return x;
}

/* The inverse: the lowest bits of x to where mask names them. */
static uint32_t scatter_bits(uint32_t x, uint32_t mask)
{
    if (is_in_place(mask))
        return x & mask;
    struct moves moves = moves_of(mask);
    for (unsigned i = 5; i-- > 0;) {
        uint32_t moved = x << (1u << i);
        x = (x & ~moves.by[i]) | (moved & moves.by[i]);
    }
    return x & mask;
}

static uint32_t load_word(const uint8_t *p, size_t n_left_bytes)
{
    uint8_t bytes[4] = {0};
    memcpy(bytes, p, mth_size_min(n_left_bytes, sizeof bytes));
    return mth_lane_load32(bytes);
}

/* ---- what both sides know ---- */

/* Directions of 32 changed elements as masks: which moved, which of them down. Behind the last none did. */
struct word {
    uint32_t valid, moved, down;
};

static uint32_t valid_at(const struct mth_ulp_turns *turns, size_t j)
{
    size_t n = turns->n_changed - j * WORD;
    return n >= WORD ? UINT32_MAX : (1u << n) - 1;
}

static struct word word_at(const struct mth_ulp_turns *turns, size_t j)
{
    return (struct word){valid_at(turns, j), turns->moved[j], turns->down[j]};
}

static void find_word(struct mth_ulp_turns *turns, size_t j)
{
    const uint8_t *of = turns->directions + j * WORD;
    uint8_t moved[WORD], down[WORD];
    for (size_t i = 0; i < WORD; i++) {
        moved[i] = (of[i] & MTH_ULP_DISTANCE) != 0;
        down[i] = of[i] >> 7;
    }
    size_t n_kept = turns->n_kept > j * WORD ? turns->n_kept - j * WORD : 0;
    uint32_t may = n_kept >= WORD ? 0 : UINT32_MAX << n_kept;
    turns->moved[j] = mth_ulp_mask_of(moved) & valid_at(turns, j) & may;
    turns->down[j] = mth_ulp_mask_of(down) & turns->moved[j];
    turns->n += (size_t)__builtin_popcount(turns->moved[j]);
}

void mth_ulp_turns_begin(struct mth_ulp_turns *turns, struct mth_ulp_state *state,
                         const struct mth_ulp_format *format, const uint8_t *base, const uint8_t *older,
                         size_t n_elems, size_t n_changed, size_t n_kept)
{
    size_t group_bytes = MTH_ULP_GROUP * (format->lane_bits / 8), n_full = n_elems / MTH_ULP_GROUP,
           n_groups = mth_ulp_groups(n_elems), at = 0, n;
    uint8_t last_older[MTH_ULP_GROUP * 8];
    *turns = (struct mth_ulp_turns){.n_changed = n_changed,
                                    .n_kept = n_kept,
                                    .directions = state->steps,
                                    .contexts = state->steps + n_changed + MTH_ULP_SLACK_BYTES,
                                    .masks = state->turns,
                                    .moved = state->turns + MTH_ULP_BLOCK_GROUPS,
                                    .down = state->turns + 2 * MTH_ULP_BLOCK_GROUPS};
    mth_ulp_fill_last(format, older, n_elems, last_older);
    for (size_t g = 0; g < n_groups; g += n) {
        bool is_last = g == n_full;
        size_t most = is_last ? 1 : mth_size_min(MTH_ULP_BATCH_GROUPS, n_full - g);
        /* Groups side by side that all changed, or one that did not. */
        for (n = 0; n < most && state->masks[g + n];)
            n++;
        if (n == 0) {
            n = 1;
            continue;
        }
        state->kernels->directions(
            format, is_last ? state->last_base : mth_ulp_base_at(state, base, group_bytes, g),
            is_last ? last_older : mth_ulp_base_at(state, older, group_bytes, g), n, state->batch);
        at += state->kernels->collect(&state->shuffles, state->batch, n, state->masks + g,
                                      turns->directions + at);
    }
    /* What a last word holds beside is looked at, and left. */
    memset(turns->directions + n_changed, 0, WORD);
    memset(state->contexts + n_changed, 0, WORD);
    for (size_t j = 0; j < n_words(n_changed); j++)
        find_word(turns, j);
}

/* Contexts of those that moved, from their bins. Sums of comparisons, so that a compiler makes vectors of them. */
static void set_contexts(struct mth_ulp_turns *turns, const struct mth_ulp_state *state)
{
    enum { N_BOUNDS = MTH_ULP_TURN_BINS - 1 };
    uint8_t bounds[N_BOUNDS];
    size_t at = 0, n_bounds = 0;
    memset(bounds, UINT8_MAX, sizeof bounds);
    for (size_t c = 1; c < MTH_ULP_CONTEXTS; c++) {
        if (turns->bins >> c & 1)
            bounds[n_bounds++] = (uint8_t)c;
    }
    for (size_t j = 0; j < n_words(turns->n_changed); j++) {
        const uint8_t *directions = turns->directions + j * WORD, *exponents = state->contexts + j * WORD;
        uint8_t contexts[WORD];
        uint32_t moved = word_at(turns, j).moved;
        for (size_t i = 0; i < WORD; i++) {
            uint8_t distance = directions[i] & MTH_ULP_DISTANCE, c = exponents[i];
            uint8_t bin =
                (uint8_t)((c >= bounds[0]) + (c >= bounds[1]) + (c >= bounds[2]) + (c >= bounds[3]));
            contexts[i] = (uint8_t)(distance * MTH_ULP_TURN_BINS - MTH_ULP_TURN_BINS + bin);
        }
        at += state->kernels->collect(&state->shuffles, contexts, 1, &moved, turns->contexts + at);
    }
    memset(turns->contexts + at, MTH_ULP_TURN_CONTEXTS, n_words(turns->n) * WORD - turns->n);
}

/* ---- encoding ---- */

static uint64_t lane_at(const uint8_t *p, unsigned n_bits)
{
    switch (n_bits) {
    case 8:
        return *p;
    case 16:
        return mth_lane_load16(p);
    case 32:
        return mth_lane_load32(p);
    default:
        return mth_lane_load64(p);
    }
}

bool mth_ulp_turns_promise(const struct mth_ulp_state *state, const struct mth_ulp_format *format,
                           const uint8_t *src, const uint8_t *base, size_t n_groups, size_t n_changed)
{
    /*
     * Of n coins with a heads a code saves 0.72 (2a - n)^2 / n bits, and 0.72 by chance. Contexts are taken together by fours; what they
     * save together is to be a fortieth of all, and more than chance.
     */
    enum { SAMPLE = 512, BIN_LOG2 = 2, N_BINS = MTH_ULP_CONTEXTS >> BIN_LOG2, SHARE = 40 };
    unsigned bits = format->lane_bits, top = state->table.top;
    uint64_t magnitude = ((uint64_t)1 << (bits - 1)) - 1;
    uint32_t n[N_BINS] = {0}, away[N_BINS] = {0}, evidence = 0, noise = 0, sum = 0;
    if (!base || !format->exponent_bits)
        return false;
    for (size_t g = 0, every = n_changed / SAMPLE + 1; g < n_groups; g += every) {
        for (uint32_t mask = state->masks[g]; mask; mask &= mask - 1) {
            size_t at = (g * MTH_ULP_GROUP + (size_t)__builtin_ctz(mask)) * (bits / 8);
            uint64_t b = lane_at(base + at, bits), x = lane_at(src + at, bits);
            unsigned exponent = (unsigned)((b & magnitude) >> format->mantissa_bits);
            unsigned c = exponent > top ? 0 : top - exponent;
            unsigned bin = c < MTH_ULP_CONTEXTS ? c >> BIN_LOG2 : N_BINS - 1;
            n[bin]++;
            away[bin] += (x ^ b) <= magnitude && (x & magnitude) > (b & magnitude);
        }
    }
    for (size_t i = 0; i < N_BINS; i++) {
        uint32_t odds = 2 * away[i] > n[i] ? 2 * away[i] - n[i] : n[i] - 2 * away[i];
        evidence += n[i] ? odds * odds / n[i] : 0;
        noise += n[i] > 0;
        sum += n[i];
    }
    return evidence > noise + sum / SHARE;
}

/* Bins of about as many elements that moved, in a sample. */
static void choose_bins(struct mth_ulp_turns *turns, const struct mth_ulp_state *state)
{
    size_t counts[MTH_ULP_CONTEXTS] = {0}, sum = 0, n_bins = 1, every = turns->n_changed / BIN_ELEMS + 1,
           n = 0;
    for (size_t i = 0; i < turns->n_changed; i += every) {
        bool moved = turns->directions[i] & MTH_ULP_DISTANCE;
        counts[state->contexts[i]] += moved;
        n += moved;
    }
    turns->bins = 0;
    for (size_t c = 0; c + 1 < MTH_ULP_CONTEXTS && n_bins < MTH_ULP_TURN_BINS; c++) {
        sum += counts[c];
        if (sum < n / MTH_ULP_TURN_BINS)
            continue;
        turns->bins |= (uint16_t)(1u << (c + 1));
        sum = 0;
        n_bins++;
    }
}

/* Sums take turns, so that equal neighbours do not wait for each other. */
static void count_turns(const struct mth_ulp_turns *turns, struct mth_ulp_counts *counts)
{
    enum { TURNS = 4 };
    uint32_t sums[TURNS][MTH_ULP_CONTEXTS][2] = {{{0}}};
    /* What fills up the last word has a context of its own. */
    for (size_t j = 0; j < n_words(turns->n); j++) {
        const uint8_t *contexts = turns->contexts + j * WORD;
        uint32_t mask = turns->masks[j];
        for (size_t i = 0; i < WORD; i++, mask >>= 1)
            sums[i % TURNS][contexts[i]][mask & 1]++;
    }
    for (size_t c = 0; c < MTH_ULP_TURN_CONTEXTS; c++) {
        for (size_t k = 0; k < TURNS; k++) {
            counts->elements[c] += (uint64_t)sums[k][c][0] + sums[k][c][1];
            counts->symbols[c][0] += sums[k][c][1];
        }
    }
}

/* The table of turns, and what they take with it, in bytes. */
static size_t build(struct mth_ulp_turns *turns)
{
    struct mth_ulp_counts counts = {.elements = {0}};
    uint64_t bits = 0, whole = (uint64_t)8 << MTH_RANS_LOG2_BITS;
    count_turns(turns, &counts);
    mth_ulp_table_build(&turns->table, &counts);
    size_t n = MTH_ULP_TURN_TABLE_BYTES + mth_ulp_turn_lanes(turns->n) / 2 + 4;
    for (size_t c = 0; c < MTH_ULP_TURN_CONTEXTS; c++) {
        uint32_t turned = counts.symbols[c][0], freq = turns->table.changed[c];
        if (turned)
            bits += turned * (whole - mth_rans_log2(freq)) +
                    (counts.elements[c] - turned) * (whole - mth_rans_log2(MTH_ULP_SLOTS - freq));
    }
    return n + (size_t)(bits >> (MTH_RANS_LOG2_BITS + 3));
}

bool mth_ulp_turns_take(struct mth_ulp_turns *turns, struct mth_ulp_state *state, uint8_t *signs)
{
    size_t n_signs = (turns->n_changed + 7) / 8;
    if (turns->n == 0)
        return false;
    choose_bins(turns, state);
    set_contexts(turns, state);
    struct bit_writer turned = {.at = (uint8_t *)turns->masks};
    memset(turns->masks, 0, n_words(turns->n) * sizeof *turns->masks);
    for (size_t j = 0; j < n_words(turns->n_changed); j++) {
        struct word word = word_at(turns, j);
        uint32_t sign = load_word(signs + 4 * j, n_signs - 4 * j);
        push_bits(&turned, gather_bits(sign ^ word.down, word.moved),
                  (unsigned)__builtin_popcount(word.moved));
    }
    end_bits(&turned);
    for (size_t j = 0; j < n_words(turns->n); j++)
        turns->masks[j] = mth_lane_load32((const uint8_t *)&turns->masks[j]);
    if (build(turns) >= turns->n / 8)
        return false;
    struct bit_writer plain = {.at = signs};
    for (size_t j = 0; j < n_words(turns->n_changed); j++) {
        struct word word = word_at(turns, j);
        uint32_t still = word.valid & ~word.moved, sign = load_word(signs + 4 * j, n_signs - 4 * j);
        push_bits(&plain, gather_bits(sign, still), (unsigned)__builtin_popcount(still));
    }
    end_bits(&plain);
    return true;
}

size_t mth_ulp_turns_put_table(const struct mth_ulp_turns *turns, uint8_t *out)
{
    size_t n = 4;
    mth_lane_store16(out, turns->bins);
    mth_lane_store16(out + 2, turns->table.used);
    for (size_t c = 0; c < MTH_ULP_TURN_CONTEXTS; c++) {
        if (turns->table.used >> c & 1)
            out[n++] = turns->table.changed[c];
    }
    return n;
}

bool mth_ulp_turns_encode(const struct mth_ulp_turns *turns, const struct mth_ulp_kernels *kernels,
                          struct mth_rans_writer *writer)
{
    return mth_ulp_encode_flags(kernels, &turns->table, writer, turns->contexts, 0, n_words(turns->n),
                                turns->masks);
}

/* ---- decoding ---- */

bool mth_ulp_turns_read_table(struct mth_ulp_turns *turns, struct mth_ulp_state *state,
                              struct mth_reader *reader)
{
    uint8_t changed[MTH_ULP_CONTEXTS] = {0};
    if (reader->end - reader->at < 4)
        return false;
    uint16_t used = mth_lane_load16(reader->at + 2);
    turns->bins = mth_lane_load16(reader->at);
    reader->at += 4;
    if (turns->bins & 1 || __builtin_popcount(turns->bins) >= MTH_ULP_TURN_BINS ||
        used >> MTH_ULP_TURN_CONTEXTS)
        return false;
    set_contexts(turns, state);
    for (size_t c = 0; c < MTH_ULP_TURN_CONTEXTS; c++) {
        if (!(used >> c & 1))
            continue;
        if (reader->at == reader->end || *reader->at == 0)
            return false;
        changed[c] = *reader->at++;
    }
    mth_ulp_table_of_flags(&turns->table, changed);
    return true;
}

bool mth_ulp_turns_decode(struct mth_ulp_turns *turns, const struct mth_ulp_kernels *kernels,
                          struct mth_rans_reader *reader)
{
    return mth_ulp_decode_flags(kernels, &turns->table, reader, turns->contexts, 0, n_words(turns->n),
                                turns->masks);
}

void mth_ulp_turns_join(const struct mth_ulp_turns *turns, const uint8_t *plain, uint8_t *signs)
{
    struct bit_source source = {.at = plain, .end = plain + (turns->n_changed - turns->n + 7) / 8};
    struct bit_writer writer = {.at = signs};
    uint64_t held = 0;
    unsigned n_held = 0;
    size_t next = 0;
    for (size_t j = 0; j < n_words(turns->n_changed); j++) {
        struct word word = word_at(turns, j);
        unsigned n_moved = (unsigned)__builtin_popcount(word.moved);
        uint32_t still = word.valid & ~word.moved;
        if (n_held < n_moved) {
            held |= (uint64_t)turns->masks[next++] << n_held;
            n_held += WORD;
        }
        uint32_t turned = scatter_bits((uint32_t)held, word.moved);
        held >>= n_moved;
        n_held -= n_moved;
        uint32_t kept = pull_bits(&source, (unsigned)__builtin_popcount(still));
        uint32_t sign = (turned ^ word.down) | scatter_bits(kept, still);
        push_bits(&writer, sign, (unsigned)__builtin_popcount(word.valid));
    }
    end_bits(&writer);
}
