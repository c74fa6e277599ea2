/* The table of the narrow mode; see rans_narrow_table.h. */
#include "codecs/rans/rans_narrow_table.h"

#include "base/status.h"
#include "codecs/rans/rans_quantise.h"

#include <string.h>

enum {
    MAX_WINDOW =
        MTH_RANS_NARROW_SYMBOLS - 2, /* values in a row; two positions are the far value's and the escape's */
    SMALL_POSITIONS = 16,
    MAX_DIRECT = MTH_RANS_NARROW_SYMBOLS - 1,
    SLOT_BITS = 8,
    RAW_BITS = 8, /* of an escaped byte */
    TABLE_HEAD_BYTES = 2,
    GAP_BYTES = 2 /* of values that are none between two that are */
};

/* A symbol on its way into a table. */
struct entry {
    uint8_t value;
    uint16_t freq;
    uint32_t count;
};

enum sort_rank { BY_FREQ, BY_COUNT, BY_VALUE };

/* Sorts by descending frequency or count, equal ones by ascending value: by numbers that tell all of it and where an entry was. */
static void sort_entries(struct entry *entries, size_t n, enum sort_rank by)
{
    enum { VALUE_SHIFT = 8, RANK_SHIFT = 16 };
    struct entry before[MTH_RANS_NARROW_SYMBOLS];
    uint64_t keys[MTH_RANS_NARROW_SYMBOLS];
    for (size_t i = 0; i < n; i++) {
        uint64_t rank = by == BY_FREQ ? entries[i].freq : by == BY_COUNT ? entries[i].count : 0;
        uint64_t key = rank << RANK_SHIFT | (uint64_t)(255u - entries[i].value) << VALUE_SHIFT | i;
        size_t k = i;
        for (; k > 0 && keys[k - 1] < key; k--)
            keys[k] = keys[k - 1];
        keys[k] = key;
        before[i] = entries[i];
    }
    for (size_t i = 0; i < n; i++)
        entries[i] = before[keys[i] & ((1u << VALUE_SHIFT) - 1)];
}

/* ---- from frequencies to what kernels look up ---- */

/* Largest, smallest, second largest, second smallest, ...: large symbols keep the small ones apart. */
static void put_in_slot_order(struct entry *entries, size_t n)
{
    struct entry sorted[MTH_RANS_NARROW_SYMBOLS];
    sort_entries(entries, n, BY_FREQ);
    memcpy(sorted, entries, n * sizeof *entries);
    size_t front = 0, back = n;
    for (size_t i = 0; i < n; i++)
        entries[i] = i % 2 == 0 ? sorted[front++] : sorted[--back];
}

static void fill_cells(struct mth_rans_narrow_table *table)
{
    memset(table->cell_bound, 127, sizeof table->cell_bound);
    uint32_t n_in_cell[MTH_RANS_CELLS] = {0};
    for (size_t s = 1; s < table->n_symbols; s++) {
        unsigned start = table->start[s], cell = start / MTH_RANS_CELL_SLOTS;
        if (start % MTH_RANS_CELL_SLOTS)
            table->cell_bound[n_in_cell[cell]++][cell] = (uint8_t)(start - 1);
    }
    for (size_t c = 0; c < MTH_RANS_CELLS; c++) {
        table->cell_first[c] = table->symbol[c * MTH_RANS_CELL_SLOTS];
        if (n_in_cell[c] > table->n_bounds)
            table->n_bounds = n_in_cell[c];
    }
}

/* Sets base and the far value for the direct values, if one window and one value hold them. */
static bool place_window(struct mth_rans_narrow_table *table, struct entry *direct, size_t n)
{
    sort_entries(direct, n, BY_VALUE);
    size_t first = 0, last = n - 1;
    if (direct[last].value - direct[first].value >= MAX_WINDOW) {
        if (direct[last].value - direct[first + 1].value < MAX_WINDOW)
            table->far = direct[first++].value;
        else if (direct[last - 1].value - direct[first].value < MAX_WINDOW)
            table->far = direct[last--].value;
        else
            return false;
    }
    bool small = direct[last].value - direct[first].value < SMALL_POSITIONS - 2;
    bool is_far = first > 0 || last < n - 1;
    table->n_positions = small ? SMALL_POSITIONS : MTH_RANS_NARROW_SYMBOLS;
    table->base = direct[first].value;
    table->far = is_far ? table->far : table->base;
    table->far_position = is_far ? (uint8_t)(table->n_positions - 1) : 0;
    table->escape_position = (uint8_t)(table->n_positions - 1 - is_far);
    return true;
}

static size_t position_of(const struct mth_rans_narrow_table *table, uint8_t value)
{
    uint8_t distance = (uint8_t)(value - table->base);
    if (value == table->far)
        return table->far_position;
    return distance < table->escape_position ? distance : table->escape_position;
}

static void set_position(struct mth_rans_narrow_table *table, size_t position, size_t symbol)
{
    unsigned freq = table->freq[symbol];
    unsigned reciprocal = freq == 1 ? 65535 : 65536 / freq;
    table->position_freq[position] = (uint8_t)freq;
    table->position_start[position] = table->start[symbol];
    table->position_reciprocal_low[position] = (uint8_t)reciprocal;
    table->position_reciprocal_high[position] = (uint8_t)(reciprocal >> 8);
}

static void fill_positions(struct mth_rans_narrow_table *table, struct entry *direct, size_t n_direct)
{
    table->encodes = place_window(table, direct, n_direct);
    if (!table->encodes)
        return;
    for (size_t s = 0; s < table->n_symbols; s++) {
        bool is_escape = table->escape_freq && table->value[s] == table->marker;
        for (size_t p = 0; is_escape && p < table->n_positions; p++)
            set_position(table, p, s);
    }
    for (size_t s = 0; s < table->n_symbols; s++) {
        if (!table->escape_freq || table->value[s] != table->marker)
            set_position(table, position_of(table, table->value[s]), s);
    }
}

/*
 * Fills a table from its direct symbols and the escape's frequency, 0 for none.
 *
 * Requires  1 <= n_direct <= MAX_DIRECT or, without escape, 32; at least two symbols; frequencies 1..255 that add up to 256
 */
static void fill(struct mth_rans_narrow_table *table, struct entry *direct, size_t n_direct,
                 unsigned escape_freq)
{
    struct entry entries[MTH_RANS_NARROW_SYMBOLS];
    bool is_direct[256] = {false};
    memset(table, 0, sizeof *table);
    memcpy(entries, direct, n_direct * sizeof *direct);
    for (size_t i = 0; i < n_direct; i++)
        is_direct[direct[i].value] = true;
    while (is_direct[table->marker])
        table->marker++;
    table->escape_freq = (uint8_t)escape_freq;
    table->n_symbols = (uint8_t)n_direct;
    if (escape_freq)
        entries[table->n_symbols++] = (struct entry){.value = table->marker, .freq = (uint16_t)escape_freq};
    put_in_slot_order(entries, table->n_symbols);
    size_t slot = 0;
    for (size_t s = 0; s < table->n_symbols; s++) {
        table->freq[s] = (uint8_t)entries[s].freq;
        table->start[s] = (uint8_t)slot;
        table->value[s] = entries[s].value;
        memset(table->symbol + slot, (int)s, entries[s].freq);
        slot += entries[s].freq;
    }
    fill_cells(table);
    fill_positions(table, direct, n_direct);
}

/* ---- from counts to frequencies ---- */

/* The values that may become symbols, most frequent first: those of the best window and the best one elsewhere. */
static size_t find_candidates(const uint32_t counts[256], struct entry candidates[MAX_DIRECT])
{
    uint64_t sum = 0, best_sum = 0;
    size_t base = 0, n = 0;
    for (size_t v = 0; v < 256; v++) {
        sum += counts[v] - (uint64_t)(v >= MAX_WINDOW ? counts[v - MAX_WINDOW] : 0);
        if (sum > best_sum) {
            best_sum = sum;
            base = v >= MAX_WINDOW ? v - MAX_WINDOW + 1 : 0;
        }
    }
    struct entry far = {0};
    for (size_t v = 0; v < 256; v++) {
        struct entry entry = {.value = (uint8_t)v, .count = counts[v]};
        if (counts[v] && v - base < MAX_WINDOW)
            candidates[n++] = entry;
        else if (counts[v] > far.count)
            far = entry;
    }
    if (far.count)
        candidates[n++] = far;
    sort_entries(candidates, n, BY_COUNT);
    return n;
}

struct choice {
    size_t n_direct;
    uint32_t freq[MTH_RANS_NARROW_SYMBOLS]; /* of the direct ones, then of the escape */
    bool escapes;
    uint64_t cost;
};

/* The counts of the first n_direct candidates and, behind them, of the escape; how many there are. */
static size_t count_choice(const struct entry *candidates, size_t n_direct, uint64_t total, bool exact,
                           struct choice *out, uint32_t counts[MTH_RANS_NARROW_SYMBOLS], uint64_t *n_escaped)
{
    *n_escaped = total;
    for (size_t i = 0; i < n_direct; i++) {
        counts[i] = candidates[i].count;
        *n_escaped -= counts[i];
    }
    out->n_direct = n_direct;
    out->escapes = *n_escaped > 0 || !exact;
    counts[n_direct] = (uint32_t)*n_escaped + !exact; /* what a sample has not seen may still come */
    return n_direct + out->escapes;
}

static void price_choice(const uint32_t *counts, size_t n, uint64_t n_escaped, struct choice *out)
{
    out->cost = n_escaped * ((uint64_t)RAW_BITS << MTH_RANS_LOG2_BITS);
    for (size_t i = 0; i < n; i++)
        out->cost +=
            counts[i] * (((uint64_t)SLOT_BITS << MTH_RANS_LOG2_BITS) - (uint64_t)mth_rans_log2(out->freq[i]));
}

/* The price of the first n_direct candidates as symbols, all else escaped. */
static void try_choice(const struct entry *candidates, size_t n_direct, uint64_t total, bool exact,
                       struct choice *out)
{
    uint32_t counts[MTH_RANS_NARROW_SYMBOLS];
    uint64_t n_escaped;
    size_t n = count_choice(candidates, n_direct, total, exact, out, counts, &n_escaped);
    out->cost = UINT64_MAX;
    if (n < 2)
        return;
    mth_rans_quantise(counts, n, MTH_RANS_SLOTS, out->freq);
    price_choice(counts, n, n_escaped, out);
}

/* The same with one candidate more or less than another choice, from whose frequencies few differ then. */
static void try_next(const struct entry *candidates, size_t n_direct, uint64_t total, bool exact,
                     const struct choice *from, struct choice *out)
{
    uint32_t counts[MTH_RANS_NARROW_SYMBOLS], escape_freq = from->escapes ? from->freq[from->n_direct] : 0;
    uint64_t n_escaped;
    size_t n = count_choice(candidates, n_direct, total, exact, out, counts, &n_escaped);
    out->cost = UINT64_MAX;
    if (n < 2 || from->cost == UINT64_MAX)
        return;
    memcpy(out->freq, from->freq, sizeof out->freq);
    if (n_direct < from->n_direct) {
        out->freq[n_direct] += escape_freq;
    } else {
        /* Its first slot is one of the largest symbol's, which has several. */
        out->freq[n_direct] = escape_freq;
        out->freq[from->n_direct] = 1;
        out->freq[0]--;
        if (!out->escapes)
            out->freq[from->n_direct] += escape_freq;
    }
    mth_rans_quantise_from(counts, n, out->freq);
    price_choice(counts, n, n_escaped, out);
}

/*
 * A symbol of its own costs one slot, 1/256 of everybody's probability, or log2(256/255) bits a byte; it saves about the 8
 * bits of an escaped byte. So the least frequent one has about 0.0007 of the bytes; from there on the price is tried.
 */
static void choose(const struct entry *candidates, size_t n, uint64_t total, bool exact, struct choice *best)
{
    size_t start = 1;
    while (start < n && candidates[start].count * (uint64_t)1416 > total)
        start++;
    try_choice(candidates, start, total, exact, best);
    for (int step = -1; step <= 1; step += 2) {
        struct choice next;
        for (size_t k = start + (size_t)step; k >= 1 && k <= n; k += (size_t)step) {
            bool is_near = best->cost != UINT64_MAX && best->n_direct + 1 - k <= 2 && best->freq[0] > 1;
            if (is_near)
                try_next(candidates, k, total, exact, best, &next);
            else
                try_choice(candidates, k, total, exact, &next);
            if (next.cost >= best->cost)
                break;
            *best = next;
        }
    }
}

bool mth_rans_narrow_plan(const uint32_t counts[256], bool exact, struct mth_rans_narrow_plan *plan)
{
    struct entry candidates[MAX_DIRECT];
    struct choice choice;
    uint64_t total = 0;
    for (size_t v = 0; v < 256; v++)
        total += counts[v];
    size_t n = find_candidates(counts, candidates);
    if (n == 0)
        return false;
    choose(candidates, n, total, exact, &choice);
    if (choice.cost == UINT64_MAX)
        return false;
    plan->n_direct = choice.n_direct;
    plan->escape_freq = choice.escapes ? choice.freq[choice.n_direct] : 0;
    plan->cost = choice.cost;
    /* What a sample may not have seen is no part of it. */
    if (!exact)
        plan->cost -= ((uint64_t)SLOT_BITS << MTH_RANS_LOG2_BITS) - mth_rans_log2(plan->escape_freq);
    for (size_t i = 0; i < choice.n_direct; i++) {
        plan->values[i] = candidates[i].value;
        plan->freq[i] = (uint16_t)choice.freq[i];
    }
    return true;
}

size_t mth_rans_narrow_plan_bytes(const struct mth_rans_narrow_plan *plan)
{
    bool is_direct[256] = {false};
    size_t n_runs = 0;
    for (size_t i = 0; i < plan->n_direct; i++)
        is_direct[plan->values[i]] = true;
    for (size_t i = 0; i < plan->n_direct; i++)
        n_runs += plan->values[i] == 0 || !is_direct[plan->values[i] - 1];
    return TABLE_HEAD_BYTES + plan->n_direct + (n_runs ? GAP_BYTES * (n_runs - 1) : 0);
}

void mth_rans_narrow_fill(const struct mth_rans_narrow_plan *plan, struct mth_rans_narrow_table *table)
{
    struct entry direct[MTH_RANS_NARROW_SYMBOLS];
    for (size_t i = 0; i < plan->n_direct; i++)
        direct[i] = (struct entry){.value = plan->values[i], .freq = plan->freq[i]};
    fill(table, direct, plan->n_direct, plan->escape_freq);
}

bool mth_rans_narrow_build(const uint32_t counts[256], bool exact, struct mth_rans_narrow_table *table)
{
    struct mth_rans_narrow_plan plan;
    if (!mth_rans_narrow_plan(counts, exact, &plan))
        return false;
    mth_rans_narrow_fill(&plan, table);
    return true;
}

uint64_t mth_rans_narrow_cost(const struct mth_rans_narrow_table *table, const uint32_t counts[256])
{
    uint64_t n_escaped = 0, cost = 0;
    const uint64_t slot_bits = (uint64_t)SLOT_BITS << MTH_RANS_LOG2_BITS;
    for (size_t v = 0; v < 256; v++)
        n_escaped += counts[v];
    for (size_t s = 0; s < table->n_symbols; s++) {
        if (table->escape_freq && table->value[s] == table->marker)
            continue;
        uint32_t count = counts[table->value[s]];
        cost += count * (slot_bits - mth_rans_log2(table->freq[s]));
        n_escaped -= count;
    }
    if (n_escaped && !table->escape_freq)
        return UINT64_MAX;
    if (n_escaped)
        cost += n_escaped *
                (slot_bits - mth_rans_log2(table->escape_freq) + ((uint64_t)RAW_BITS << MTH_RANS_LOG2_BITS));
    return cost;
}

/* ---- bytes ---- */

size_t mth_rans_narrow_write(const struct mth_rans_narrow_table *table, uint8_t *out)
{
    uint8_t freq[256] = {0};
    unsigned first = 256;
    for (size_t s = 0; s < table->n_symbols; s++) {
        if (table->escape_freq && table->value[s] == table->marker)
            continue;
        freq[table->value[s]] = table->freq[s];
        first = table->value[s] < first ? table->value[s] : first;
    }
    size_t n = 0;
    unsigned sum = table->escape_freq;
    out[n++] = table->escape_freq;
    out[n++] = (uint8_t)first;
    for (unsigned v = first, gap = 0; sum < MTH_RANS_SLOTS; v++) {
        if (!freq[v]) {
            gap++;
            continue;
        }
        if (gap) {
            out[n++] = 0;
            out[n++] = (uint8_t)gap;
            gap = 0;
        }
        out[n++] = freq[v];
        sum += freq[v];
    }
    return n;
}

int mth_rans_narrow_read(struct mth_bytes *wire, struct mth_rans_narrow_table *table)
{
    struct entry direct[MTH_RANS_NARROW_SYMBOLS];
    size_t n = 0, at = 2;
    if (wire->n_bytes < at)
        return MTH_ERR_CORRUPT;
    unsigned sum = wire->data[0], value = wire->data[1], escape_freq = sum;
    size_t limit = MTH_RANS_NARROW_SYMBOLS - (escape_freq != 0);
    while (sum < MTH_RANS_SLOTS) {
        if (at == wire->n_bytes)
            return MTH_ERR_CORRUPT;
        unsigned freq = wire->data[at++];
        if (freq == 0) {
            if (at == wire->n_bytes || wire->data[at] == 0)
                return MTH_ERR_CORRUPT;
            value += wire->data[at++];
            continue;
        }
        sum += freq;
        if (n == limit || value > 255 || sum > MTH_RANS_SLOTS)
            return MTH_ERR_CORRUPT;
        direct[n++] = (struct entry){.value = (uint8_t)value++, .freq = (uint16_t)freq};
    }
    if (n + (escape_freq != 0) < 2)
        return MTH_ERR_CORRUPT;
    fill(table, direct, n, escape_freq);
    wire->data += at;
    wire->n_bytes -= at;
    return MTH_OK;
}
