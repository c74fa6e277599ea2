/* Tables: from counts, to and from bytes; see ulp_table.h and spec.md. */
#include "codecs/ulp_rans/ulp_table.h"

#include "codecs/rans/rans_quantise.h"
#include "codecs/ulp_rans/ulp_bits.h"

#include <string.h>

enum { FLIP = 0x80, LAST_SLOT = MTH_ULP_SLOTS - 1 };

/* ---- what kernels look up ---- */

static void set_reciprocal(uint8_t *low, uint8_t *high, unsigned freq)
{
    unsigned reciprocal = freq == 1 ? 65535 : freq == 0 ? MTH_ULP_SLOTS : 65536 / freq;
    *low = (uint8_t)reciprocal;
    *high = (uint8_t)(reciprocal >> 8);
}

/* The multiplier of a frequency, and its shift; see ulp_table.h. */
static uint16_t multiplier_of(unsigned freq, unsigned *shift)
{
    *shift = 0;
    while (freq >> (*shift + 1))
        ++*shift;
    unsigned multiplier = (1u << (17 + *shift)) / freq - (1u << 16);
    return (uint16_t)(multiplier > UINT16_MAX ? UINT16_MAX : multiplier);
}

static void set_flag(struct mth_ulp_table *table, size_t place, unsigned freq)
{
    unsigned shift;
    table->flag_multiplier[place] = multiplier_of(freq, &shift);
    table->flag_divide_by[place] = (uint16_t)((freq & 255) | shift << 8);
    table->flag_others[place / MTH_ULP_CONTEXTS][place % MTH_ULP_CONTEXTS] = (uint8_t)(MTH_ULP_SLOTS - freq);
}

static void set_symbol(struct mth_ulp_table *table, size_t s, size_t c, unsigned freq)
{
    unsigned shift;
    uint16_t multiplier = multiplier_of(freq, &shift);
    table->symbol_multiplier[0][s][c] = (uint8_t)multiplier;
    table->symbol_multiplier[1][s][c] = (uint8_t)(multiplier >> 8);
    table->symbol_shift[s][c] = (uint8_t)shift;
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
        set_flag(table, c, MTH_ULP_SLOTS - table->changed[c]);
        set_flag(table, MTH_ULP_CONTEXTS + c, table->changed[c] ? table->changed[c] : MTH_ULP_SLOTS);
        for (size_t s = 0; s < MTH_ULP_SYMBOLS; s++) {
            bool is_only = s == 0 && table->freq[0][c] == 0;
            table->start[s][c] = (uint8_t)at;
            set_reciprocal(&table->symbol_reciprocal[0][s][c], &table->symbol_reciprocal[1][s][c],
                           table->freq[s][c]);
            if (is_only || table->freq[s][c])
                set_symbol(table, s, c, is_only ? MTH_ULP_SLOTS : table->freq[s][c]);
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

void mth_ulp_table_of_flags(struct mth_ulp_table *table, const uint8_t changed[MTH_ULP_CONTEXTS])
{
    memset(table, 0, sizeof *table);
    memcpy(table->changed, changed, sizeof table->changed);
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
        table->used |= (uint16_t)((changed[c] != 0) << c);
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

/* ---- bits ---- */

enum {
    TOP_BITS = 11,
    N_SYMBOLS_BITS = 4,
    CHANGED_ORDER = 2, /* of the codes below, for each field */
    SHIFT_ORDER = 0,
    FREQ_ORDER = 2,
    MAX_PREFIX = 9 /* ones, at most: no field needs more */
};

/* A number by an exponential Golomb code: how much longer than `order` bits it is, in ones, a zero, and what is behind its
 * leading one when 2^order is added to it. */
static bool put_golomb(struct mth_ulp_bit_writer *writer, unsigned value, unsigned order)
{
    unsigned n = order;
    value += 1u << order;
    while (value >> n > 1)
        n++;
    return mth_ulp_put_bits(writer, (1u << (n - order)) - 1, n - order + 1) &&
           mth_ulp_put_bits(writer, value - (1u << n), n);
}

static bool get_golomb(struct mth_ulp_bit_reader *reader, unsigned order, unsigned *value)
{
    uint64_t bit = 1, rest;
    unsigned n = order;
    while (mth_ulp_get_bits(reader, 1, &bit) && bit && n - order < MAX_PREFIX)
        n++;
    if (bit || !mth_ulp_get_bits(reader, n, &rest))
        return false;
    *value = (1u << n) + (unsigned)rest - (1u << order);
    return true;
}

static unsigned fold(int difference)
{
    return difference < 0 ? (unsigned)-difference * 2 - 1 : (unsigned)difference * 2;
}

static int unfold(unsigned folded)
{
    return folded & 1 ? -(int)(folded / 2) - 1 : (int)(folded / 2);
}

/* Half the exponent, twice the steps in units of the last place: of a context twice as many elements change as of the one
 * before. */
static int expected_changed(int before)
{
    return before == 0 ? 1 : before * 2 < LAST_SLOT ? before * 2 : LAST_SLOT;
}

size_t mth_ulp_table_pack(const struct mth_ulp_table *table, bool has_shifts, uint8_t *out)
{
    struct mth_ulp_bit_writer writer = {.at = out, .end = out + MTH_ULP_PACKED_TABLE_BYTES};
    int changed = 0, shift = 0;
    mth_ulp_put_bits(&writer, table->top, TOP_BITS);
    mth_ulp_put_bits(&writer, table->used, MTH_ULP_CONTEXTS);
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        size_t n = MTH_ULP_SYMBOLS - 1;
        if (!(table->used >> c & 1))
            continue;
        put_golomb(&writer, fold(table->changed[c] - expected_changed(changed)), CHANGED_ORDER);
        if (has_shifts)
            put_golomb(&writer, fold(table->shift[c] - shift), SHIFT_ORDER);
        changed = table->changed[c];
        shift = table->shift[c];
        while (n > 0 && table->freq[n][c] == 0)
            n--;
        mth_ulp_put_bits(&writer, n, N_SYMBOLS_BITS);
        for (size_t s = 1; s <= n; s++)
            put_golomb(&writer, table->freq[s][c], FREQ_ORDER);
    }
    mth_ulp_end_bits(&writer);
    return (size_t)(writer.at - out);
}

/* Symbols of a context: 0 gets the slots that the others leave. */
static bool unpack_symbols(struct mth_ulp_bit_reader *reader, struct mth_ulp_table *table, size_t c)
{
    uint64_t n;
    unsigned freq = 1, sum = 0;
    if (!mth_ulp_get_bits(reader, N_SYMBOLS_BITS, &n))
        return false;
    for (size_t s = 1; s <= n; s++) {
        if (!get_golomb(reader, FREQ_ORDER, &freq))
            return false;
        sum += freq;
        if (sum >= MTH_ULP_SLOTS)
            return false;
        table->freq[s][c] = (uint8_t)freq;
    }
    table->freq[0][c] = (uint8_t)(MTH_ULP_SLOTS - sum);
    return freq > 0;
}

bool mth_ulp_table_unpack(struct mth_reader *reader, bool has_shifts, struct mth_ulp_table *table)
{
    struct mth_ulp_bit_reader bits = {.at = reader->at, .end = reader->end};
    uint64_t top, used;
    int changed = 0, shift = 0;
    unsigned folded;
    memset(table, 0, sizeof *table);
    if (!mth_ulp_get_bits(&bits, TOP_BITS, &top) || !mth_ulp_get_bits(&bits, MTH_ULP_CONTEXTS, &used))
        return false;
    table->top = (uint16_t)top;
    table->used = (uint16_t)used;
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        if (!(used >> c & 1))
            continue;
        if (!get_golomb(&bits, CHANGED_ORDER, &folded))
            return false;
        changed = expected_changed(changed) + unfold(folded);
        if (changed < 1 || changed > LAST_SLOT)
            return false;
        table->changed[c] = (uint8_t)changed;
        if (has_shifts && !get_golomb(&bits, SHIFT_ORDER, &folded))
            return false;
        shift += has_shifts ? unfold(folded) : 0;
        if (shift < 0 || shift > MTH_ULP_MAX_SHIFT)
            return false;
        table->shift[c] = (uint8_t)shift;
        if (!unpack_symbols(&bits, table, c))
            return false;
    }
    /* The last byte is filled up with zeros. */
    if (bits.n_used && *bits.at >> bits.n_used)
        return false;
    reader->at = bits.at + (bits.n_used > 0);
    prepare(table);
    return true;
}
