/*
 * The tables of the example codec range0: counts of symbols -> frequencies that add up to 4096, and their
 * wire form.
 *
 * A table on the wire, numbers little-endian: u16 how many symbols (0: the class does not occur), then for
 * each, in ascending order: u8 symbol, u16 frequency.
 */
#ifndef MTH_EXAMPLES_RANGE0_TABLE_H
#define MTH_EXAMPLES_RANGE0_TABLE_H

#include "base/checked.h"
#include "base/status.h"

#include <string.h>

enum {
    FREQ_BITS = 12,
    N_SLOTS = 1 << FREQ_BITS,
    N_SYMBOLS = 256,
    TABLE_HEAD_BYTES = 2,
    TABLE_ENTRY_BYTES = 3 /* a symbol and its frequency */
};

struct range0_table {
    uint16_t freq[N_SYMBOLS]; /* 0: the symbol can not be coded */
    uint16_t start[N_SYMBOLS];
    uint8_t symbol[N_SLOTS];
};

/* Fill start and symbol from freq, whose sum is 0 or N_SLOTS. */
static inline void table_complete(struct range0_table *table)
{
    unsigned at = 0;
    memset(table->symbol, 0, sizeof table->symbol);
    for (unsigned s = 0; s < N_SYMBOLS; s++) {
        table->start[s] = (uint16_t)at;
        memset(table->symbol + at, (int)s, table->freq[s]);
        at += table->freq[s];
    }
}

/* Did any symbol of the class occur? */
static inline bool table_occurs(const struct range0_table *table)
{
    return table->freq[table->symbol[0]] != 0;
}

static inline unsigned largest_frequency(const uint16_t *freq)
{
    unsigned best = 0;
    for (unsigned s = 1; s < N_SYMBOLS; s++) {
        if (freq[s] > freq[best])
            best = s;
    }
    return best;
}

/*
 * Scale counts to frequencies: every symbol that occurs gets at least one slot, the largest pays or takes the
 * rest. Integers only. Counts are cut to 40 bits, so that n * N_SLOTS fits 64 bits even in the sum of 256 of
 * them.
 */
static inline void table_build(const uint64_t *counts, struct range0_table *table)
{
    uint16_t *freq = table->freq;
    uint64_t most = 0, total = 0;
    for (size_t s = 0; s < N_SYMBOLS; s++)
        most = counts[s] > most ? counts[s] : most;
    unsigned shift = 0;
    while (most >> shift >> 40)
        shift++;
    for (size_t s = 0; s < N_SYMBOLS; s++)
        total += counts[s] >> shift;
    memset(table, 0, sizeof *table);
    if (most == 0)
        return;
    unsigned sum = 0;
    for (size_t s = 0; s < N_SYMBOLS; s++) {
        if (counts[s] == 0)
            continue;
        uint64_t share = (counts[s] >> shift) * N_SLOTS / total;
        freq[s] = (uint16_t)(share ? share : 1);
        sum += freq[s];
    }
    for (; sum < N_SLOTS; sum++)
        freq[largest_frequency(freq)]++;
    for (; sum > N_SLOTS; sum--)
        freq[largest_frequency(freq)]--;
    table_complete(table);
}

static inline size_t table_bytes(const struct range0_table *table)
{
    size_t n = TABLE_HEAD_BYTES;
    for (size_t s = 0; s < N_SYMBOLS; s++)
        n += table->freq[s] ? TABLE_ENTRY_BYTES : 0;
    return n;
}

/* Shape: out has table_bytes(table). Returns the end of what was written. */
static inline uint8_t *table_write(const struct range0_table *table, uint8_t *out)
{
    mth_store16(out, (uint16_t)((table_bytes(table) - TABLE_HEAD_BYTES) / TABLE_ENTRY_BYTES));
    out += TABLE_HEAD_BYTES;
    for (unsigned s = 0; s < N_SYMBOLS; s++) {
        if (!table->freq[s])
            continue;
        out[0] = (uint8_t)s;
        mth_store16(out + 1, table->freq[s]);
        out += TABLE_ENTRY_BYTES;
    }
    return out;
}

/* Read a table from hostile bytes and move *at past it. */
static inline int table_read(const uint8_t **at, const uint8_t *end, struct range0_table *table)
{
    if (end - *at < TABLE_HEAD_BYTES)
        return MTH_ERR_CORRUPT;
    size_t n_symbols = mth_load16(*at);
    *at += TABLE_HEAD_BYTES;
    if (n_symbols > N_SYMBOLS || (size_t)(end - *at) < n_symbols * TABLE_ENTRY_BYTES)
        return MTH_ERR_CORRUPT;
    memset(table->freq, 0, sizeof table->freq);
    unsigned sum = 0;
    for (size_t i = 0; i < n_symbols; i++, *at += TABLE_ENTRY_BYTES) {
        unsigned s = (*at)[0], freq = mth_load16(*at + 1);
        if (freq == 0 || freq > N_SLOTS - sum || (i > 0 && s <= (*at)[-TABLE_ENTRY_BYTES]))
            return MTH_ERR_CORRUPT;
        table->freq[s] = (uint16_t)freq;
        sum += freq;
    }
    if (sum != (n_symbols ? N_SLOTS : 0))
        return MTH_ERR_CORRUPT;
    table_complete(table);
    return MTH_OK;
}

#endif
