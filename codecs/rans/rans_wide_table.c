/* The table of the wide mode; see rans_wide_table.h. */
#include "codecs/rans/rans_wide_table.h"

#include "base/checked.h"
#include "base/status.h"
#include "codecs/rans/rans_quantise.h"

#include <string.h>

enum { RAW_BITS = 8, FLAG_ESCAPES = 4, MAX_CLASS = MTH_RANS_MAX_SLOT_BITS };

/* ---- from counts to frequencies ---- */

/*
 * A symbol of its own costs one slot, or log2(M / (M - 1)) = 1 / (M ln 2) bits a byte, and saves about the 8 bits of an
 * escaped byte: worth it when it makes up more than 1 / (8 M ln 2), 1 / 5.5 M, of the bytes.
 */
static bool is_direct(uint32_t count, uint64_t total, unsigned slot_bits)
{
    return count && (uint64_t)count * 11 << slot_bits > 2 * total;
}

bool mth_rans_wide_build(const uint32_t counts[256], bool exact, unsigned slot_bits,
                         struct mth_rans_wide_table *table)
{
    uint32_t chosen[MTH_RANS_MAX_QUANTISED], freq[MTH_RANS_MAX_QUANTISED];
    uint8_t values[MTH_RANS_MAX_QUANTISED];
    uint64_t total = 0, n_escaped = 0;
    size_t n = 0;
    for (size_t v = 0; v < 256; v++)
        total += counts[v];
    memset(table->freq, 0, sizeof table->freq);
    table->slot_bits = (uint8_t)slot_bits;
    table->marker = 0;
    bool has_marker = false;
    for (size_t v = 0; v < 256; v++) {
        if (is_direct(counts[v], total, slot_bits)) {
            values[n] = (uint8_t)v;
            chosen[n++] = counts[v];
            continue;
        }
        n_escaped += counts[v];
        table->marker = has_marker ? table->marker : (uint8_t)v;
        has_marker = true;
    }
    table->escapes = has_marker && (n_escaped || !exact);
    if (table->escapes) {
        values[n] = table->marker;
        chosen[n++] = (uint32_t)n_escaped + !exact;
    } else {
        table->marker = 0;
    }
    if (n < 2)
        return false;
    mth_rans_quantise(chosen, n, 1u << slot_bits, freq);
    for (size_t i = 0; i < n; i++)
        table->freq[values[i]] = (uint16_t)freq[i];
    return true;
}

uint64_t mth_rans_wide_cost(const struct mth_rans_wide_table *table, const uint32_t counts[256])
{
    uint64_t cost = 0, n_escaped = 0;
    const uint64_t slot_bits = (uint64_t)table->slot_bits << MTH_RANS_LOG2_BITS;
    for (size_t v = 0; v < 256; v++) {
        if (!counts[v])
            continue;
        if (!table->freq[v] || (table->escapes && v == table->marker))
            n_escaped += counts[v];
        else
            cost += counts[v] * (slot_bits - mth_rans_log2(table->freq[v]));
    }
    if (n_escaped && !table->escapes)
        return UINT64_MAX;
    if (n_escaped)
        cost += n_escaped * (slot_bits - mth_rans_log2(table->freq[table->marker]) +
                             ((uint64_t)RAW_BITS << MTH_RANS_LOG2_BITS));
    return cost;
}

/* ---- what encoders and decoders look up ---- */

/*
 * With 2^k >= freq > 2^(k - 1) and R = ceil(2^(31 + k) / freq) < 2^32, x R / 2^(31 + k) is above x / freq by less than
 * x / 2^(31 + k) < 2^-k <= 1 / freq for x < 2^31: its floor is the quotient.
 * Source    T. Granlund, P. Montgomery, "Division by invariant integers using multiplication", 1994, theorem 4.2
 */
struct mth_rans_wide_coder mth_rans_wide_coder_of(uint32_t freq, uint32_t start)
{
    unsigned shift = 0;
    while ((1u << shift) < freq)
        shift++;
    uint64_t reciprocal = (((uint64_t)1 << (31 + shift)) + freq - 1) / freq;
    return (struct mth_rans_wide_coder){(uint32_t)reciprocal, freq | start << MTH_RANS_CODER_FIELD_BITS |
                                                                  shift << MTH_RANS_CODER_SHIFT_AT};
}

void mth_rans_wide_prepare_encoder(struct mth_rans_wide_table *table)
{
    uint32_t start = 0;
    for (size_t v = 0; v < 256; v++) {
        if (table->freq[v])
            table->coders[v] = mth_rans_wide_coder_of(table->freq[v], start);
        start += table->freq[v];
    }
    for (size_t v = 0; v < 256; v++) {
        if (!table->freq[v])
            table->coders[v] =
                table->escapes ? table->coders[table->marker] : (struct mth_rans_wide_coder){0};
    }
}

void mth_rans_wide_prepare_decoder(struct mth_rans_wide_table *table)
{
    uint32_t *slot = table->slots;
    for (uint32_t v = 0; v < 256; v++) {
        uint32_t entry = (uint32_t)table->freq[v] << MTH_RANS_ENTRY_FREQ_SHIFT | v;
        for (uint32_t rank = 0; rank < table->freq[v]; rank++)
            *slot++ = entry | rank << MTH_RANS_ENTRY_RANK_SHIFT;
    }
}

/* ---- bytes ---- */

struct bit_writer {
    uint8_t *out;
    uint64_t pending; /* bits that do not fill a byte yet */
    unsigned n_pending;
};

/* n is 32 at most. */
static void put_bits(struct bit_writer *writer, uint32_t bits, unsigned n)
{
    writer->pending |= (uint64_t)bits << writer->n_pending;
    for (writer->n_pending += n; writer->n_pending >= 8; writer->n_pending -= 8) {
        *writer->out++ = (uint8_t)writer->pending;
        writer->pending >>= 8;
    }
}

static unsigned bit_length(uint32_t x)
{
    return x ? 32u - (unsigned)__builtin_clz(x) : 0;
}

/* The same class again: 0. Else 1, a sign, and one bit less than the distance of ones before a 0. */
static void put_class(struct bit_writer *writer, unsigned before, unsigned class)
{
    unsigned distance = class < before ? before - class : class - before;
    if (distance == 0) {
        put_bits(writer, 0, 1);
        return;
    }
    put_bits(writer, 1u | (uint32_t)(class < before) << 1 | ((1u << (distance - 1)) - 1) << 2, distance + 2);
}

/* Elias' gamma code: ones before a 0 tell how many bits follow the highest. */
static void put_run(struct bit_writer *writer, uint32_t run)
{
    unsigned n = bit_length(run);
    put_bits(writer, (1u << (n - 1)) - 1, n);
    put_bits(writer, run & ((1u << (n - 1)) - 1), n - 1);
}

size_t mth_rans_wide_write(const struct mth_rans_wide_table *table, uint8_t *out)
{
    struct bit_writer writer = {.out = out + 2};
    unsigned before = 0;
    uint32_t left = 1u << table->slot_bits;
    out[0] = (uint8_t)((table->slot_bits - MTH_RANS_MIN_SLOT_BITS) | (table->escapes ? FLAG_ESCAPES : 0));
    out[1] = table->marker;
    for (size_t v = 0; left; v++) {
        unsigned class = bit_length(table->freq[v]);
        put_class(&writer, before, class);
        before = class;
        if (class) {
            put_bits(&writer, table->freq[v] & ((1u << (class - 1)) - 1), class - 1);
            left -= table->freq[v];
            continue;
        }
        uint32_t run = 1;
        for (; !table->freq[v + 1]; v++)
            run++;
        put_run(&writer, run);
    }
    put_bits(&writer, 0, 7); /* the last byte's unused bits */
    return (size_t)(writer.out - out);
}

struct bit_reader {
    const uint8_t *in;
    size_t n_bits, at;
};

/* Bits past the end are ones, which no valid table ends with: it has too many of them. */
static uint32_t get_bits(struct bit_reader *reader, unsigned n)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < n; i++, reader->at++)
        bits |=
            (reader->at < reader->n_bits ? (uint32_t)reader->in[reader->at / 8] >> reader->at % 8 & 1u : 1u)
            << i;
    return bits;
}

/* The next class, or MAX_CLASS + 1 when there is none. */
static unsigned get_class(struct bit_reader *reader, unsigned before)
{
    if (!get_bits(reader, 1))
        return before;
    bool falls = get_bits(reader, 1);
    unsigned distance = 1;
    while (distance <= MAX_CLASS && get_bits(reader, 1))
        distance++;
    if (falls ? distance > before : distance > MAX_CLASS - before)
        return MAX_CLASS + 1;
    return falls ? before - distance : before + distance;
}

static uint32_t get_run(struct bit_reader *reader)
{
    unsigned n = 0;
    while (n < 9 && get_bits(reader, 1))
        n++;
    return 1u << n | get_bits(reader, n);
}

int mth_rans_wide_read(struct mth_bytes *wire, struct mth_rans_wide_table *table)
{
    if (wire->n_bytes < 2)
        return MTH_ERR_CORRUPT;
    unsigned flags = wire->data[0];
    table->slot_bits = (uint8_t)(MTH_RANS_MIN_SLOT_BITS + (flags & 3));
    table->escapes = (flags & FLAG_ESCAPES) != 0;
    table->marker = wire->data[1];
    if (flags > 7 || table->slot_bits > MTH_RANS_MAX_SLOT_BITS || (!table->escapes && table->marker))
        return MTH_ERR_CORRUPT;
    /* No table is longer, so that eight times the bytes does not overflow. */
    size_t n_table = mth_size_min(wire->n_bytes, MTH_RANS_WIDE_TABLE_BYTES) - 2;
    struct bit_reader reader = {wire->data + 2, 8 * n_table, 0};
    uint32_t left = 1u << table->slot_bits;
    unsigned class = 0;
    size_t n_symbols = 0;
    memset(table->freq, 0, sizeof table->freq);
    for (size_t v = 0; left; v++) {
        class = get_class(&reader, class);
        if (v > 255 || class > MAX_CLASS)
            return MTH_ERR_CORRUPT;
        if (class) {
            uint32_t freq = 1u << (class - 1) | get_bits(&reader, class - 1);
            if (freq > left)
                return MTH_ERR_CORRUPT;
            table->freq[v] = (uint16_t)freq;
            left -= freq;
            n_symbols++;
            continue;
        }
        v += get_run(&reader) - 1;
    }
    size_t used = 2 + (reader.at + 7) / 8;
    if (reader.at > reader.n_bits || n_symbols < 2 || (table->escapes && !table->freq[table->marker]))
        return MTH_ERR_CORRUPT;
    wire->data += used;
    wire->n_bytes -= used;
    return MTH_OK;
}
