/* Signs given the direction of the step before; see ulp_turns.h. */
#include "codecs/ulp_rans/ulp_turn_kernels.h"

#include "base/checked.h"
#include "codecs/rans/rans_quantise.h"

#include <string.h>

enum { WORD = MTH_ULP_GROUP, BIN_ELEMS = 1 << 14 /* sampled to choose bins */ };

/* ---- what both sides know ---- */

/* Of a word only these may have moved. */
static void restrict_word(struct mth_ulp_turns *turns, size_t j, uint32_t may)
{
    turns->n -= (size_t)__builtin_popcount(turns->moved[j] & ~may);
    turns->moved[j] &= may;
    turns->down[j] &= may;
}

/* Which moved, and which of those down. Behind the last none did, and the first ones count as if they had not. */
static void find_words(struct mth_ulp_turns *turns, const struct mth_ulp_turn_kernels *kernels)
{
    size_t n_words = mth_ulp_turn_words(turns->n_changed), n_last = turns->n_changed % WORD, j = 0;
    turns->n = kernels->find(turns->directions, n_words, turns->moved, turns->down);
    if (n_last)
        restrict_word(turns, n_words - 1, (1u << n_last) - 1);
    for (; j < n_words && (j + 1) * WORD <= turns->n_kept; j++)
        restrict_word(turns, j, 0);
    if (j < n_words && j * WORD < turns->n_kept)
        restrict_word(turns, j, UINT32_MAX << turns->n_kept % WORD);
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
    find_words(turns, state->kernels->turns);
}

/* Contexts of those that moved, from their bins. */
static void set_contexts(struct mth_ulp_turns *turns, struct mth_ulp_state *state)
{
    uint8_t bins[MTH_ULP_CONTEXTS] = {0};
    for (size_t c = 1; c < MTH_ULP_CONTEXTS; c++)
        bins[c] = (uint8_t)(bins[c - 1] + (turns->bins >> c & 1));
    size_t n_words = mth_ulp_turn_words(turns->n_changed), at = 0, n;
    for (size_t j = 0; j < n_words; j += n) {
        n = mth_size_min(n_words - j, MTH_ULP_BATCH_GROUPS);
        state->kernels->turns->contexts(bins, turns->directions + j * WORD, state->contexts + j * WORD, n,
                                        state->batch);
        at += state->kernels->collect(&state->shuffles, state->batch, n, turns->moved + j,
                                      turns->contexts + at);
    }
    memset(turns->contexts + at, MTH_ULP_TURN_CONTEXTS, mth_ulp_turn_words(turns->n) * WORD - turns->n);
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

/* Elements of a sample, and how many of them moved away from zero, contexts taken together by fours. */
enum { BIN_LOG2 = 2, N_BINS = MTH_ULP_CONTEXTS >> BIN_LOG2 };

struct sides {
    uint32_t n[N_BINS], away[N_BINS];
};

/* Which elements of a group changed, behind one another; room for all. Mostly few did: no branch is taken by chance. */
static size_t list_changed(uint32_t mask, size_t group, uint32_t *places)
{
    enum { FEW = 4 };
    uint32_t first = (uint32_t)(group * MTH_ULP_GROUP);
    size_t n = 0;
    for (size_t i = 0; i < FEW; i++, mask &= mask - 1) {
        places[n] = first + (uint32_t)__builtin_ctz(mask | 1u << 31);
        n += mask != 0;
    }
    for (; mask; mask &= mask - 1)
        places[n++] = first + (uint32_t)__builtin_ctz(mask);
    return n;
}

static void count_sides(const struct mth_ulp_format *format, unsigned top, const uint8_t *src,
                        const uint8_t *base, const uint32_t *places, size_t n, struct sides *sides)
{
    unsigned bits = format->lane_bits;
    uint64_t magnitude = ((uint64_t)1 << (bits - 1)) - 1;
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)places[i] * (bits / 8);
        uint64_t b = lane_at(base + at, bits), x = lane_at(src + at, bits);
        unsigned exponent = (unsigned)((b & magnitude) >> format->mantissa_bits);
        unsigned c = exponent > top ? 0 : top - exponent;
        unsigned bin = c < MTH_ULP_CONTEXTS ? c >> BIN_LOG2 : N_BINS - 1;
        sides->n[bin]++;
        sides->away[bin] += ((x ^ b) <= magnitude) & ((x & magnitude) > (b & magnitude));
    }
}

bool mth_ulp_turns_promise(const struct mth_ulp_state *state, const struct mth_ulp_format *format,
                           const uint8_t *src, const uint8_t *base, size_t n_groups, size_t n_changed)
{
    /*
     * Of n coins with a heads a code saves 0.72 (2a - n)^2 / n bits, and 0.72 by chance. What bins save together is to be a fortieth of
     * all, and more than chance.
     */
    enum { SAMPLE = 512, SHARE = 40, RUNS = 16, LISTED = 1024 };
    uint32_t places[LISTED], evidence = 0, noise = 0, sum = 0;
    struct sides sides = {{0}, {0}};
    size_t n = 0, lane_bytes = format->lane_bits / 8;
    if (!base || !format->exponent_bits)
        return false;
    /* Runs of groups: what lies side by side comes sooner from where it is by now, behind the nearer caches. */
    size_t n_run = n_groups / (n_changed / SAMPLE + 1) / RUNS + 1;
    for (size_t run = 0; run < RUNS; run++) {
        size_t g = n_groups * run / RUNS, end = mth_size_min(g + n_run, n_groups * (run + 1) / RUNS);
        for (; g < end; g++) {
            if (n > LISTED - MTH_ULP_GROUP) {
                count_sides(format, state->table.top, src, base, places, n, &sides);
                n = 0;
            }
            n += list_changed(state->masks[g], g, places + n);
            __builtin_prefetch(base + g * MTH_ULP_GROUP * lane_bytes);
            __builtin_prefetch(src + g * MTH_ULP_GROUP * lane_bytes);
        }
    }
    count_sides(format, state->table.top, src, base, places, n, &sides);
    for (size_t i = 0; i < N_BINS; i++) {
        uint32_t of = sides.n[i], away = 2 * sides.away[i], odds = away > of ? away - of : of - away;
        evidence += of ? odds * odds / of : 0;
        noise += of > 0;
        sum += of;
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

/* The table of turns, and what they take with it, in bytes. */
static size_t build(struct mth_ulp_turns *turns, const struct mth_ulp_turn_kernels *kernels)
{
    struct mth_ulp_counts counts = {.elements = {0}};
    uint64_t bits = 0, whole = (uint64_t)8 << MTH_RANS_LOG2_BITS;
    uint32_t n_of[MTH_ULP_CONTEXTS][2] = {{0}};
    kernels->count(turns->contexts, turns->masks, mth_ulp_turn_words(turns->n), n_of);
    /* What fills up the last word has a context of its own. */
    for (size_t c = 0; c < MTH_ULP_TURN_CONTEXTS; c++) {
        counts.elements[c] = n_of[c][0];
        counts.symbols[c][0] = n_of[c][1];
    }
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
    const struct mth_ulp_turn_kernels *kernels = state->kernels->turns;
    size_t n_words = mth_ulp_turn_words(turns->n);
    if (turns->n == 0)
        return false;
    choose_bins(turns, state);
    set_contexts(turns, state);
    memset(turns->masks, 0, n_words * sizeof *turns->masks);
    kernels->turned(turns, signs);
    for (size_t j = 0; j < n_words; j++)
        turns->masks[j] = mth_lane_load32((const uint8_t *)&turns->masks[j]);
    if (build(turns, kernels) >= turns->n / 8)
        return false;
    kernels->plain(turns, signs);
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
    return mth_ulp_encode_flags(kernels, &turns->table, writer, turns->contexts, 0,
                                mth_ulp_turn_words(turns->n), turns->masks);
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
    return mth_ulp_decode_flags(kernels, &turns->table, reader, turns->contexts, 0,
                                mth_ulp_turn_words(turns->n), turns->masks);
}

void mth_ulp_turns_join(const struct mth_ulp_turns *turns, const struct mth_ulp_kernels *kernels,
                        const uint8_t *plain, uint8_t *signs)
{
    kernels->turns->join(turns, plain, signs);
}
