/* The narrow mode in plain C, and what every kernel leaves to it: ends of streams, few lanes; see rans_narrow.h. */
#include "codecs/rans/rans_narrow.h"

#include "codecs/rans/rans_escapes.h"
#include "codecs/rans/rans_scalar.h"

#include <string.h>

enum { GROUP = 4, STATE_LOW = 256 };

void mth_rans_lanes_init(struct mth_rans_lanes *lanes, size_t n_lanes)
{
    memset(lanes->high, STATE_LOW >> 8, sizeof lanes->high);
    memset(lanes->low, 0, sizeof lanes->low);
    lanes->n_lanes = n_lanes;
}

bool mth_rans_lanes_at_start(const struct mth_rans_lanes *lanes)
{
    struct mth_rans_lanes start;
    mth_rans_lanes_init(&start, lanes->n_lanes);
    return memcmp(lanes->high, start.high, lanes->n_lanes) == 0 &&
           memcmp(lanes->low, start.low, lanes->n_lanes) == 0;
}

/* ---- decoding ---- */

/* One lane, with a look at the end of the input. */
static bool decode_lane(const struct mth_rans_narrow_table *table, struct mth_rans_reader *reader,
                        size_t lane, uint8_t *dst)
{
    unsigned slot = reader->lanes.low[lane], high = reader->lanes.high[lane];
    unsigned symbol = table->symbol[slot];
    unsigned x = table->freq[symbol] * high + slot - table->start[symbol];
    *dst = table->value[symbol];
    if (x < STATE_LOW) {
        if (reader->in == reader->end)
            return false;
        x = x << 8 | *reader->in++;
    }
    reader->lanes.low[lane] = (uint8_t)x;
    reader->lanes.high[lane] = (uint8_t)(x >> 8);
    return true;
}

/* A table by slots. */
struct slots {
    uint8_t freq[MTH_RANS_SLOTS];
    uint8_t rank[MTH_RANS_SLOTS]; /* of the slot among those of its symbol */
    uint8_t value[MTH_RANS_SLOTS];
};

static void fill_slots(const struct mth_rans_narrow_table *table, struct slots *slots)
{
    for (size_t slot = 0; slot < MTH_RANS_SLOTS; slot++) {
        unsigned symbol = table->symbol[slot];
        slots->freq[slot] = table->freq[symbol];
        slots->rank[slot] = (uint8_t)(slot - table->start[symbol]);
        slots->value[slot] = table->value[symbol];
    }
}

/*
 * Stores go out in groups, first the states, then the bytes: stores that alternate between two lines cost far more than as
 * many that follow each other.
 */
static size_t decode_steps(const struct mth_rans_narrow_table *table, struct mth_rans_reader *reader,
                           uint8_t *restrict dst, size_t n_steps)
{
    size_t n_lanes = reader->lanes.n_lanes, done = 0;
    const uint8_t *in = reader->in;
    struct slots slots;
    uint16_t x[MTH_RANS_MAX_LANES];
    if (n_lanes < GROUP || (size_t)(reader->end - in) < n_lanes)
        return 0;
    fill_slots(table, &slots);
    for (size_t i = 0; i < n_lanes; i++)
        x[i] = (uint16_t)(reader->lanes.high[i] << 8 | reader->lanes.low[i]);
    for (; done < n_steps && (size_t)(reader->end - in) >= n_lanes; done++) {
        for (size_t i = 0; i < n_lanes; i += GROUP, dst += GROUP) {
            uint32_t next[GROUP], value[GROUP];
            for (size_t k = 0; k < GROUP; k++) {
                uint32_t slot = x[i + k] & 255;
                value[k] = slots.value[slot];
                in = mth_rans_pull(slots.freq[slot], slots.rank[slot], x[i + k], in, &next[k]);
            }
            for (size_t k = 0; k < GROUP; k++)
                x[i + k] = (uint16_t)next[k];
            for (size_t k = 0; k < GROUP; k++)
                dst[k] = (uint8_t)value[k];
        }
    }
    for (size_t i = 0; i < n_lanes; i++) {
        reader->lanes.low[i] = (uint8_t)x[i];
        reader->lanes.high[i] = (uint8_t)(x[i] >> 8);
    }
    reader->in = in;
    return done;
}

/* One after the other: plain C gains nothing from two streams at once. */
static size_t decode_no_pair(const struct mth_rans_narrow_table *const tables[2],
                             struct mth_rans_reader *const readers[2], uint8_t *const dst[2], size_t n_steps)
{
    (void)tables;
    (void)readers;
    (void)dst;
    (void)n_steps;
    return 0;
}

bool mth_rans_narrow_decode(const struct mth_rans_narrow_kernels *kernels,
                            const struct mth_rans_narrow_table *table, struct mth_rans_reader *reader,
                            uint8_t *dst, size_t n)
{
    size_t n_lanes = reader->lanes.n_lanes, n_steps = n / n_lanes, done = 0;
    if (n_lanes >= MTH_RANS_MIN_KERNEL_LANES)
        done = kernels->decode(table, reader, dst, n_steps);
    /* Below this the tables by slots cost more than they save. */
    if ((n_steps - done) * n_lanes > 2 * MTH_RANS_SLOTS)
        done += decode_steps(table, reader, dst + done * n_lanes, n_steps - done);
    for (size_t i = done * n_lanes; i < n; i++) {
        if (!decode_lane(table, reader, i % n_lanes, dst + i))
            return false;
    }
    return true;
}

/* ---- encoding ---- */

static size_t position_of(const struct mth_rans_narrow_table *table, uint8_t value)
{
    uint8_t distance = (uint8_t)(value - table->base);
    if (value == table->far)
        return table->far_position;
    return distance < table->escape_position ? distance : table->escape_position;
}

static bool encode_lane(const struct mth_rans_narrow_table *table, struct mth_rans_writer *writer,
                        size_t lane, uint8_t value)
{
    size_t position = position_of(table, value);
    unsigned freq = table->position_freq[position], high = writer->lanes.high[lane];
    unsigned x = high << 8 | writer->lanes.low[lane];
    if (high >= freq) {
        if (writer->at == writer->begin)
            return false;
        *--writer->at = (uint8_t)x;
        x = high;
    }
    writer->lanes.high[lane] = (uint8_t)(x / freq);
    writer->lanes.low[lane] = (uint8_t)(table->position_start[position] + x % freq);
    return true;
}

static void fill_divisors(const struct mth_rans_narrow_table *table, struct mth_rans_divisor divisors[256])
{
    struct mth_rans_divisor by_position[MTH_RANS_NARROW_SYMBOLS] = {{0}};
    for (size_t p = 0; p < table->n_positions; p++) {
        uint32_t freq = table->position_freq[p];
        if (freq)
            by_position[p] = mth_rans_divisor_of(freq, table->position_start[p]);
    }
    for (size_t v = 0; v < 256; v++)
        divisors[v] = by_position[position_of(table, (uint8_t)v)];
}

static size_t encode_steps(const struct mth_rans_narrow_table *table, struct mth_rans_writer *writer,
                           const uint8_t *src_end, size_t n_steps)
{
    size_t n_lanes = writer->lanes.n_lanes, done = 0;
    uint8_t *at = writer->at;
    struct mth_rans_divisor divisors[256];
    uint16_t x[MTH_RANS_MAX_LANES];
    if (n_lanes < GROUP)
        return 0;
    fill_divisors(table, divisors);
    for (size_t i = 0; i < n_lanes; i++)
        x[i] = (uint16_t)(writer->lanes.high[i] << 8 | writer->lanes.low[i]);
    for (; done < n_steps && (size_t)(at - writer->begin) >= n_lanes; done++) {
        src_end -= n_lanes;
        for (size_t i = n_lanes; i > 0; i -= GROUP) {
            uint32_t next[GROUP];
            for (size_t k = GROUP; k-- > 0;)
                at = mth_rans_push(&divisors[src_end[i - GROUP + k]], x[i - GROUP + k], at, &next[k]);
            for (size_t k = 0; k < GROUP; k++)
                x[i - GROUP + k] = (uint16_t)next[k];
        }
    }
    for (size_t i = 0; i < n_lanes; i++) {
        writer->lanes.low[i] = (uint8_t)x[i];
        writer->lanes.high[i] = (uint8_t)(x[i] >> 8);
    }
    writer->at = at;
    return done;
}

bool mth_rans_narrow_encode(const struct mth_rans_narrow_kernels *kernels,
                            const struct mth_rans_narrow_table *table, struct mth_rans_writer *writer,
                            const uint8_t *src, size_t n)
{
    size_t n_lanes = writer->lanes.n_lanes, left = n;
    for (; left % n_lanes; left--) {
        if (!encode_lane(table, writer, (left - 1) % n_lanes, src[left - 1]))
            return false;
    }
    if (n_lanes >= MTH_RANS_MIN_KERNEL_LANES)
        left -= n_lanes * kernels->encode(table, writer, src + left, left / n_lanes);
    if (left > 2 * MTH_RANS_SLOTS)
        left -= n_lanes * encode_steps(table, writer, src + left, left / n_lanes);
    for (; left; left--) {
        if (!encode_lane(table, writer, (left - 1) % n_lanes, src[left - 1]))
            return false;
    }
    return true;
}

static size_t find_escapes(const struct mth_rans_narrow_table *table, const uint8_t *src, size_t n,
                           uint8_t *out, size_t n_out)
{
    uint8_t escaped[256];
    if (!table->escape_freq)
        return 0;
    memset(escaped, 1, sizeof escaped);
    for (size_t s = 0; s < table->n_symbols; s++)
        escaped[table->value[s]] = table->value[s] == table->marker;
    return mth_rans_escapes_take(escaped, src, n, out, n_out);
}

const struct mth_rans_narrow_kernels mth_rans_narrow_portable = {
    .name = "portable",
    .decode = decode_steps,
    .decode_pair = decode_no_pair,
    .encode = encode_steps,
    .escapes = find_escapes,
};
