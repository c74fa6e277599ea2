/* The wide mode in plain C; see rans_wide.h. */
#include "codecs/rans/rans_wide.h"

#include "base/checked.h"
#include "codecs/rans/rans_escapes.h"

#include <string.h>

enum { STATE_BITS = 31, WORD_BITS = 8 * MTH_RANS_WORD_BYTES, GROUP = 4 };

void mth_rans_wide_lanes_init(struct mth_rans_wide_lanes *lanes, size_t n_lanes)
{
    for (size_t i = 0; i < MTH_RANS_WIDE_LANES; i++)
        lanes->x[i] = MTH_RANS_WIDE_STATE_LOW;
    lanes->n_lanes = n_lanes;
}

bool mth_rans_wide_lanes_at_start(const struct mth_rans_wide_lanes *lanes)
{
    for (size_t i = 0; i < lanes->n_lanes; i++) {
        if (lanes->x[i] != MTH_RANS_WIDE_STATE_LOW)
            return false;
    }
    return true;
}

/* ---- decoding ---- */

/* A symbol's new state, below 2^31, before it is renormalised. */
static inline uint32_t advance(uint32_t x, uint32_t entry, unsigned slot_bits)
{
    uint32_t freq = entry >> MTH_RANS_ENTRY_FREQ_SHIFT & (MTH_RANS_WIDE_SLOTS - 1);
    return freq * (x >> slot_bits) + (entry >> MTH_RANS_ENTRY_RANK_SHIFT);
}

static bool decode_lane(const struct mth_rans_wide_table *table, struct mth_rans_wide_reader *reader,
                        size_t lane, uint8_t *dst)
{
    uint32_t x = reader->lanes.x[lane], entry = table->slots[x & ((1u << table->slot_bits) - 1)];
    x = advance(x, entry, table->slot_bits);
    *dst = (uint8_t)entry;
    if (x < MTH_RANS_WIDE_STATE_LOW) {
        if (reader->end - reader->in < MTH_RANS_WORD_BYTES)
            return false;
        x = x << WORD_BITS | mth_load16(reader->in);
        reader->in += MTH_RANS_WORD_BYTES;
    }
    reader->lanes.x[lane] = x;
    return true;
}

/* One lane without a branch; the word is loaded anyway. */
static inline const uint8_t *decode_state(const uint32_t *restrict slots, unsigned slot_bits, uint32_t x,
                                          const uint8_t *restrict in, uint32_t *next, uint32_t *value)
{
    uint32_t entry = slots[x & ((1u << slot_bits) - 1)];
    uint32_t y = advance(x, entry, slot_bits);
    uint32_t renormalised = y << WORD_BITS | mth_load16(in);
    uint32_t below = (y - MTH_RANS_WIDE_STATE_LOW) >> 31;
    *value = entry & 255;
    *next = y ^ ((y ^ renormalised) & (0 - below));
    return in + below * MTH_RANS_WORD_BYTES;
}

static size_t decode_steps(const struct mth_rans_wide_table *table, struct mth_rans_wide_reader *reader,
                           uint8_t *restrict dst, size_t n_steps)
{
    size_t n_lanes = reader->lanes.n_lanes, done = 0;
    const uint8_t *in = reader->in;
    uint32_t *x = reader->lanes.x;
    if (n_lanes < GROUP)
        return 0;
    for (; done < n_steps && (size_t)(reader->end - in) >= n_lanes * MTH_RANS_WORD_BYTES; done++) {
        for (size_t i = 0; i < n_lanes; i += GROUP, dst += GROUP) {
            uint32_t next[GROUP], value[GROUP];
            for (size_t k = 0; k < GROUP; k++)
                in = decode_state(table->slots, table->slot_bits, x[i + k], in, &next[k], &value[k]);
            for (size_t k = 0; k < GROUP; k++)
                x[i + k] = next[k];
            for (size_t k = 0; k < GROUP; k++)
                dst[k] = (uint8_t)value[k];
        }
    }
    reader->in = in;
    return done;
}

bool mth_rans_wide_decode(const struct mth_rans_wide_kernels *kernels,
                          const struct mth_rans_wide_table *table, struct mth_rans_wide_reader *reader,
                          uint8_t *dst, size_t n)
{
    size_t n_lanes = reader->lanes.n_lanes, n_steps = n / n_lanes, done = 0;
    if (n_lanes >= MTH_RANS_WIDE_KERNEL_LANES)
        done = kernels->decode(table, reader, dst, n_steps);
    done += decode_steps(table, reader, dst + done * n_lanes, n_steps - done);
    for (size_t i = done * n_lanes; i < n; i++) {
        if (!decode_lane(table, reader, i % n_lanes, dst + i))
            return false;
    }
    return true;
}

/* ---- encoding ---- */

static inline uint32_t freq_of(const struct mth_rans_wide_coder *coder)
{
    return coder->fields & ((1u << MTH_RANS_CODER_FIELD_BITS) - 1);
}

/* x / freq * M + start + x % freq, for x below freq * 2^(31 - slot_bits). */
static inline uint32_t push(uint32_t x, const struct mth_rans_wide_coder *coder, unsigned slot_bits)
{
    uint32_t start = coder->fields >> MTH_RANS_CODER_FIELD_BITS & ((1u << MTH_RANS_CODER_FIELD_BITS) - 1);
    uint32_t shift = coder->fields >> MTH_RANS_CODER_SHIFT_AT;
    uint32_t quotient = (uint32_t)((uint64_t)x * coder->reciprocal >> (STATE_BITS + shift));
    return x + quotient * ((1u << slot_bits) - freq_of(coder)) + start;
}

static bool encode_lane(const struct mth_rans_wide_table *table, struct mth_rans_wide_writer *writer,
                        size_t lane, uint8_t value)
{
    const struct mth_rans_wide_coder *coder = &table->coders[value];
    uint32_t x = writer->lanes.x[lane];
    if (x >= freq_of(coder) << (STATE_BITS - table->slot_bits)) {
        if (writer->at - writer->begin < MTH_RANS_WORD_BYTES)
            return false;
        writer->at -= MTH_RANS_WORD_BYTES;
        mth_store16(writer->at, (uint16_t)x);
        x >>= WORD_BITS;
    }
    writer->lanes.x[lane] = push(x, coder, table->slot_bits);
    return true;
}

/* One lane without a branch; the word is written anyway. */
static inline uint8_t *encode_state(const struct mth_rans_wide_coder *restrict coder, unsigned slot_bits,
                                    uint32_t x, uint8_t *restrict at, uint32_t *next)
{
    uint32_t above = ((freq_of(coder) << (STATE_BITS - slot_bits)) - 1 - x) >> 31;
    mth_store16(at - MTH_RANS_WORD_BYTES, (uint16_t)x);
    *next = push(x >> WORD_BITS * above, coder, slot_bits);
    return at - above * MTH_RANS_WORD_BYTES;
}

static size_t encode_steps(const struct mth_rans_wide_table *table, struct mth_rans_wide_writer *writer,
                           const uint8_t *src_end, size_t n_steps)
{
    size_t n_lanes = writer->lanes.n_lanes, done = 0;
    unsigned slot_bits = table->slot_bits;
    uint8_t *at = writer->at;
    uint32_t x[MTH_RANS_WIDE_LANES];
    if (n_lanes < GROUP)
        return 0;
    memcpy(x, writer->lanes.x, sizeof x);
    for (; done < n_steps && (size_t)(at - writer->begin) >= n_lanes * MTH_RANS_WORD_BYTES; done++) {
        src_end -= n_lanes;
        for (size_t i = n_lanes; i > 0; i -= GROUP) {
            uint32_t next[GROUP];
            for (size_t k = GROUP; k-- > 0;)
                at = encode_state(&table->coders[src_end[i - GROUP + k]], slot_bits, x[i - GROUP + k], at,
                                  &next[k]);
            for (size_t k = 0; k < GROUP; k++)
                x[i - GROUP + k] = next[k];
        }
    }
    memcpy(writer->lanes.x, x, sizeof x);
    writer->at = at;
    return done;
}

bool mth_rans_wide_encode(const struct mth_rans_wide_kernels *kernels,
                          const struct mth_rans_wide_table *table, struct mth_rans_wide_writer *writer,
                          const uint8_t *src, size_t n)
{
    size_t n_lanes = writer->lanes.n_lanes, left = n;
    for (; left % n_lanes; left--) {
        if (!encode_lane(table, writer, (left - 1) % n_lanes, src[left - 1]))
            return false;
    }
    if (n_lanes >= MTH_RANS_WIDE_KERNEL_LANES)
        left -= n_lanes * kernels->encode(table, writer, src + left, left / n_lanes);
    left -= n_lanes * encode_steps(table, writer, src + left, left / n_lanes);
    for (; left; left--) {
        if (!encode_lane(table, writer, (left - 1) % n_lanes, src[left - 1]))
            return false;
    }
    return true;
}

size_t mth_rans_wide_escapes(const struct mth_rans_wide_table *table, const uint8_t *src, size_t n,
                             uint8_t *out, size_t n_out)
{
    if (!table->escapes)
        return 0;
    uint8_t escaped[256];
    for (size_t v = 0; v < 256; v++)
        escaped[v] = !table->freq[v] || v == table->marker;
    return mth_rans_escapes_take(escaped, src, n, out, n_out);
}

const struct mth_rans_wide_kernels mth_rans_wide_portable = {
    .name = "portable",
    .decode = decode_steps,
    .encode = encode_steps,
};
