/* Tables: from counts, to and from bytes; see ulp_table.h and spec.md. */
#include "codecs/ulp_rans/ulp_table.h"

#include "codecs/rans/rans_quantise.h"

#include <string.h>

enum { FLIP = 0x80, LAST_SLOT = MTH_ULP_SLOTS - 1 };

/* ---- what kernels look up ---- */

static void set_reciprocal(uint8_t *low, uint8_t *high, unsigned freq)
{
    unsigned reciprocal = freq <= 1 ? 65535 : 65536 / freq;
    *low = (uint8_t)reciprocal;
    *high = (uint8_t)(reciprocal >> 8);
}

/* Everything that follows from frequencies. */
static void prepare(struct mth_ulp_table *table)
{
    table->n_symbols = 1;
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        unsigned at = 0;
        set_reciprocal(&table->changed_reciprocal[0][c], &table->changed_reciprocal[1][c], table->changed[c]);
        set_reciprocal(&table->same_reciprocal[0][c], &table->same_reciprocal[1][c],
                       MTH_ULP_SLOTS - table->changed[c]);
        for (size_t s = 0; s < MTH_ULP_SYMBOLS; s++) {
            bool is_only = s == 0 && table->freq[0][c] == 0;
            table->start[s][c] = (uint8_t)at;
            set_reciprocal(&table->symbol_reciprocal[0][s][c], &table->symbol_reciprocal[1][s][c],
                           table->freq[s][c]);
            /* Behind the last symbol `at` is 256, and slot 255 is behind no bound. */
            table->bound[s][c] = (uint8_t)((s == 0 ? LAST_SLOT : at - 1) ^ FLIP);
            at += is_only ? MTH_ULP_SLOTS : table->freq[s][c];
            if (table->freq[s][c] && s >= table->n_symbols)
                table->n_symbols = s + 1;
        }
    }
}

/* ---- from counts ---- */

static uint8_t flag_frequency(uint64_t n_changed, uint64_t n_elements)
{
    if (n_changed == 0)
        return 0;
    if (n_elements < n_changed)
        n_elements = n_changed;
    uint64_t freq = (n_changed * MTH_ULP_SLOTS + n_elements / 2) / n_elements;
    return (uint8_t)(freq < 1 ? 1 : freq > LAST_SLOT ? LAST_SLOT : freq);
}

/* Symbol 0 always has a slot, so that the first bound lies behind one. */
static void quantise(struct mth_ulp_table *table, size_t c, const uint32_t counts[MTH_ULP_SYMBOLS])
{
    uint32_t some[MTH_ULP_SYMBOLS], freq[MTH_ULP_SYMBOLS];
    size_t which[MTH_ULP_SYMBOLS], n = 0;
    for (size_t s = 0; s < MTH_ULP_SYMBOLS; s++) {
        if (counts[s] || s == 0) {
            some[n] = counts[s];
            which[n++] = s;
        }
    }
    mth_rans_quantise(some, n, MTH_ULP_SLOTS, freq);
    for (size_t i = 0; i < n; i++)
        table->freq[which[i]][c] = (uint8_t)freq[i]; /* 256, the only one, becomes 0 */
}

void mth_ulp_table_build(struct mth_ulp_table *table, const struct mth_ulp_counts *counts)
{
    table->used = 0;
    memset(table->freq, 0, sizeof table->freq);
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        uint64_t n_changed = 0;
        for (size_t s = 0; s < MTH_ULP_SYMBOLS; s++)
            n_changed += counts->symbols[c][s];
        table->changed[c] = flag_frequency(n_changed, counts->elements[c]);
        if (n_changed == 0)
            continue;
        table->used |= (uint16_t)(1u << c);
        quantise(table, c, counts->symbols[c]);
    }
    prepare(table);
}

/* ---- bytes ---- */

static uint16_t symbols_of(const struct mth_ulp_table *table, size_t c)
{
    uint16_t mask = 1;
    for (size_t s = 1; s < MTH_ULP_SYMBOLS; s++)
        mask |= (uint16_t)((table->freq[s][c] != 0) << s);
    return mask;
}

static size_t put16(uint8_t *out, unsigned value)
{
    out[0] = (uint8_t)value;
    out[1] = (uint8_t)(value >> 8);
    return 2;
}

size_t mth_ulp_table_write(const struct mth_ulp_table *table, bool has_shifts, uint8_t *out)
{
    size_t n = put16(out, table->top);
    n += put16(out + n, table->used);
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        if (!(table->used >> c & 1))
            continue;
        out[n++] = table->changed[c];
        if (has_shifts)
            out[n++] = table->shift[c];
        uint16_t mask = symbols_of(table, c);
        n += put16(out + n, mask);
        /* The last one gets what is left. */
        for (size_t s = 0; mask >> s > 1; s++) {
            if (mask >> s & 1)
                out[n++] = table->freq[s][c];
        }
    }
    return n;
}

static bool get8(struct mth_reader *reader, uint8_t *value)
{
    if (reader->at == reader->end)
        return false;
    *value = *reader->at++;
    return true;
}

static bool get16(struct mth_reader *reader, uint16_t *value)
{
    uint8_t low, high;
    if (!get8(reader, &low) || !get8(reader, &high))
        return false;
    *value = (uint16_t)(low | high << 8);
    return true;
}

static bool read_symbols(struct mth_reader *reader, struct mth_ulp_table *table, size_t c)
{
    uint16_t mask;
    unsigned sum = 0;
    if (!get16(reader, &mask) || !(mask & 1))
        return false;
    size_t s = 0;
    for (; mask >> s > 1; s++) {
        if (!(mask >> s & 1))
            continue;
        if (!get8(reader, &table->freq[s][c]) || table->freq[s][c] == 0)
            return false;
        sum += table->freq[s][c];
    }
    if (sum >= MTH_ULP_SLOTS)
        return false;
    table->freq[s][c] = (uint8_t)(MTH_ULP_SLOTS - sum);
    return true;
}

bool mth_ulp_table_read(struct mth_reader *reader, bool has_shifts, struct mth_ulp_table *table)
{
    memset(table, 0, sizeof *table);
    if (!get16(reader, &table->top) || !get16(reader, &table->used))
        return false;
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        if (!(table->used >> c & 1))
            continue;
        if (!get8(reader, &table->changed[c]) || table->changed[c] == 0)
            return false;
        if (has_shifts && (!get8(reader, &table->shift[c]) || table->shift[c] > MTH_ULP_MAX_SHIFT))
            return false;
        if (!read_symbols(reader, table, c))
            return false;
    }
    prepare(table);
    return true;
}
