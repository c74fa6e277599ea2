/* The kernels in plain C, and what the others leave to them; see ulp_kernels.h. */
#include "codecs/ulp_rans/ulp_kernels.h"

#include "base/lane.h"

#include <string.h>

enum { STATE_LOW = 256 };

/* ---- elements ---- */

/*
 * Ordered integers: see docs/transforms.md, delta-ulp. A float's magnitude turns around for negative ones, so that neighbours are
 * one step apart; the order of integers is their own, and the flipped sign of signed ones cancels in a difference.
 */
#define DEFINE_ELEMENTS(bits)                                                                                \
    MTH_ALWAYS_INLINE uint##bits##_t order##bits(uint##bits##_t x, bool is_float)                            \
    {                                                                                                        \
        uint##bits##_t top = (uint##bits##_t)((uint##bits##_t)1 << (bits - 1));                              \
        return is_float ? x ^ ((uint##bits##_t)(0 - (x >> (bits - 1))) | top) : x;                           \
    }                                                                                                        \
    MTH_ALWAYS_INLINE uint##bits##_t unorder##bits(uint##bits##_t m, bool is_float)                          \
    {                                                                                                        \
        uint##bits##_t top = (uint##bits##_t)((uint##bits##_t)1 << (bits - 1));                              \
        return is_float ? m ^ ((uint##bits##_t)((m >> (bits - 1)) - 1) | top) : m;                           \
    }                                                                                                        \
    static void contexts##bits(const struct mth_ulp_format *format, const uint8_t *base, size_t n,           \
                               unsigned top, uint8_t *out)                                                   \
    {                                                                                                        \
        unsigned mask = (1u << format->exponent_bits) - 1, shift = format->mantissa_bits;                    \
        for (size_t i = 0; i < n; i++) {                                                                     \
            unsigned exponent = (unsigned)(mth_lane_load##bits(base + i * (bits / 8)) >> shift) & mask;      \
            unsigned below = top > exponent ? top - exponent : 0;                                            \
            out[i] = (uint8_t)(below < MTH_ULP_CONTEXTS ? below : MTH_ULP_CONTEXTS - 1);                     \
        }                                                                                                    \
    }                                                                                                        \
    static size_t analyze##bits(bool is_float, const uint8_t *src, const uint8_t *base, size_t n_groups,     \
                                uint32_t *masks, uint8_t *steps)                                             \
    {                                                                                                        \
        size_t n = 0;                                                                                        \
        for (size_t g = 0; g < n_groups; g++) {                                                              \
            uint32_t mask = 0;                                                                               \
            for (size_t i = 0; i < MTH_ULP_GROUP; i++, src += bits / 8, base += bits / 8) {                  \
                uint##bits##_t x = mth_lane_load##bits(src), b = mth_lane_load##bits(base);                  \
                uint##bits##_t step = (uint##bits##_t)(order##bits(x, is_float) - order##bits(b, is_float)); \
                memcpy(steps + n * sizeof step, &step, sizeof step);                                         \
                mask |= (uint32_t)(step != 0) << i;                                                          \
                n += step != 0;                                                                              \
            }                                                                                                \
            masks[g] = mask;                                                                                 \
        }                                                                                                    \
        return n;                                                                                            \
    }                                                                                                        \
    static size_t merge##bits(bool is_float, const uint8_t *base, size_t n_groups, const uint32_t *masks,    \
                              const uint8_t *steps, uint8_t *dst)                                            \
    {                                                                                                        \
        size_t n = 0;                                                                                        \
        for (size_t g = 0; g < n_groups;                                                                     \
             g++, base += MTH_ULP_GROUP * (bits / 8), dst += MTH_ULP_GROUP * (bits / 8)) {                   \
            memcpy(dst, base, MTH_ULP_GROUP *(bits / 8));                                                    \
            for (uint32_t mask = masks[g]; mask; mask &= mask - 1) {                                         \
                size_t at = (size_t)__builtin_ctz(mask) * (bits / 8);                                        \
                uint##bits##_t step, b = mth_lane_load##bits(base + at);                                     \
                memcpy(&step, steps + n++ * sizeof step, sizeof step);                                       \
                mth_lane_store##bits(                                                                        \
                    dst + at, unorder##bits((uint##bits##_t)(order##bits(b, is_float) + step), is_float));   \
            }                                                                                                \
        }                                                                                                    \
        return n;                                                                                            \
    }

DEFINE_ELEMENTS(8)
DEFINE_ELEMENTS(16)
DEFINE_ELEMENTS(32)
DEFINE_ELEMENTS(64)

static void contexts(const struct mth_ulp_format *format, const uint8_t *base, size_t n_groups, unsigned top,
                     uint8_t *out)
{
    size_t n = n_groups * MTH_ULP_GROUP;
    if (format->exponent_bits == 0)
        memset(out, 0, n);
    else if (format->lane_bits == 8)
        contexts8(format, base, n, top, out);
    else if (format->lane_bits == 16)
        contexts16(format, base, n, top, out);
    else if (format->lane_bits == 32)
        contexts32(format, base, n, top, out);
    else
        contexts64(format, base, n, top, out);
}

static size_t analyze(const struct mth_ulp_format *format, const struct mth_ulp_shuffles *shuffles,
                      const uint8_t *src, const uint8_t *base, size_t n_groups, uint32_t *masks,
                      uint8_t *steps)
{
    bool is_float = format->exponent_bits > 0;
    (void)shuffles;
    switch (format->lane_bits) {
    case 8:
        return analyze8(is_float, src, base, n_groups, masks, steps);
    case 16:
        return analyze16(is_float, src, base, n_groups, masks, steps);
    case 32:
        return analyze32(is_float, src, base, n_groups, masks, steps);
    default:
        return analyze64(is_float, src, base, n_groups, masks, steps);
    }
}

static size_t merge(const struct mth_ulp_format *format, const struct mth_ulp_shuffles *shuffles,
                    const uint8_t *base, size_t n_groups, const uint32_t *masks, const uint8_t *steps,
                    uint8_t *dst)
{
    bool is_float = format->exponent_bits > 0;
    (void)shuffles;
    switch (format->lane_bits) {
    case 8:
        return merge8(is_float, base, n_groups, masks, steps, dst);
    case 16:
        return merge16(is_float, base, n_groups, masks, steps, dst);
    case 32:
        return merge32(is_float, base, n_groups, masks, steps, dst);
    default:
        return merge64(is_float, base, n_groups, masks, steps, dst);
    }
}

static size_t collect(const struct mth_ulp_shuffles *shuffles, const uint8_t *from, size_t n_groups,
                      const uint32_t *masks, uint8_t *out)
{
    size_t n = 0;
    (void)shuffles;
    for (size_t g = 0; g < n_groups; g++, from += MTH_ULP_GROUP) {
        for (uint32_t mask = masks[g]; mask; mask &= mask - 1)
            out[n++] = from[__builtin_ctz(mask)];
    }
    return n;
}

/* ---- states ---- */

/* x after a symbol was taken out of it, and a byte read where it got small. False: there was none. */
static inline bool refill(struct mth_rans_reader *reader, size_t lane, unsigned x)
{
    if (x < STATE_LOW) {
        if (reader->in == reader->end)
            return false;
        x = x << 8 | *reader->in++;
    }
    reader->lanes.low[lane] = (uint8_t)x;
    reader->lanes.high[lane] = (uint8_t)(x >> 8);
    return true;
}

/* A symbol of `freq` slots from `start` on into a lane. False: there was no room. */
static inline bool emit(struct mth_rans_writer *writer, size_t lane, unsigned freq, unsigned start)
{
    unsigned x = writer->lanes.high[lane] * 256u + writer->lanes.low[lane];
    if (x >= freq << 8) {
        if (writer->at == writer->begin)
            return false;
        *--writer->at = (uint8_t)x;
        x >>= 8;
    }
    writer->lanes.high[lane] = (uint8_t)(x / freq);
    writer->lanes.low[lane] = (uint8_t)(start + x % freq);
    return true;
}

/* ---- flags ---- */

static bool decode_group(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                         const uint8_t *contexts, size_t number, uint32_t *out)
{
    size_t lane = number * MTH_ULP_GROUP & (reader->lanes.n_lanes - 1);
    uint32_t mask = 0;
    for (size_t i = 0; i < MTH_ULP_GROUP; i++, lane++) {
        unsigned changed = table->changed[contexts[i]], slot = reader->lanes.low[lane];
        if (changed == 0)
            continue;
        bool is_changed = slot < changed;
        unsigned freq = is_changed ? changed : MTH_ULP_SLOTS - changed;
        mask |= (uint32_t)is_changed << i;
        if (!refill(reader, lane, freq * reader->lanes.high[lane] + (is_changed ? slot : slot - changed)))
            return false;
    }
    *out = mask;
    return true;
}

static bool encode_group(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                         const uint8_t *contexts, size_t number, uint32_t mask)
{
    size_t lane = (number * MTH_ULP_GROUP & (writer->lanes.n_lanes - 1)) + MTH_ULP_GROUP;
    for (size_t i = MTH_ULP_GROUP; i-- > 0;) {
        unsigned changed = table->changed[contexts[i]];
        lane--;
        if (changed == 0)
            continue;
        bool is_changed = mask >> i & 1;
        if (!emit(writer, lane, is_changed ? changed : MTH_ULP_SLOTS - changed, is_changed ? 0 : changed))
            return false;
    }
    return true;
}

static size_t decode_no_flags(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                              const uint8_t *from, size_t first, size_t n_groups, uint32_t *masks)
{
    (void)table, (void)reader, (void)from, (void)first, (void)n_groups, (void)masks;
    return 0;
}

static size_t encode_no_flags(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                              const uint8_t *from, size_t first, size_t n_groups, const uint32_t *masks)
{
    (void)table, (void)writer, (void)from, (void)first, (void)n_groups, (void)masks;
    return 0;
}

bool mth_ulp_decode_flags(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                          struct mth_rans_reader *reader, const uint8_t *from, size_t first, size_t n_groups,
                          uint32_t *masks)
{
    size_t g = kernels->decode_flags(table, reader, from, first, n_groups, masks);
    for (; g < n_groups; g++) {
        if (!decode_group(table, reader, from + g * MTH_ULP_GROUP, first + g, &masks[g]))
            return false;
    }
    return true;
}

bool mth_ulp_encode_flags(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                          struct mth_rans_writer *writer, const uint8_t *from, size_t first, size_t n_groups,
                          const uint32_t *masks)
{
    size_t left = n_groups - kernels->encode_flags(table, writer, from, first, n_groups, masks);
    while (left-- > 0) {
        if (!encode_group(table, writer, from + left * MTH_ULP_GROUP, first + left, masks[left]))
            return false;
    }
    return true;
}

/* ---- symbols ---- */

static bool decode_symbol(const struct mth_ulp_table *table, struct mth_rans_reader *reader, size_t lane,
                          unsigned context, uint8_t *out)
{
    enum { FLIP = 0x80 };
    unsigned slot = reader->lanes.low[lane], symbol = 0;
    while (symbol + 1 < table->n_symbols && slot > (table->bound[symbol + 1][context] ^ (unsigned)FLIP))
        symbol++;
    *out = (uint8_t)symbol;
    unsigned freq = table->freq[symbol][context];
    if (freq == 0) /* all slots */
        return true;
    return refill(reader, lane, freq * reader->lanes.high[lane] + slot - table->start[symbol][context]);
}

static bool encode_symbol(const struct mth_ulp_table *table, struct mth_rans_writer *writer, size_t lane,
                          unsigned context, unsigned symbol)
{
    unsigned freq = table->freq[symbol][context];
    return freq == 0 || emit(writer, lane, freq, table->start[symbol][context]);
}

static size_t decode_no_symbols(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                const uint8_t *from, size_t n_steps, uint8_t *symbols)
{
    (void)table, (void)reader, (void)from, (void)n_steps, (void)symbols;
    return 0;
}

static size_t encode_no_symbols(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                const uint8_t *from_end, const uint8_t *symbols_end, size_t n_steps)
{
    (void)table, (void)writer, (void)from_end, (void)symbols_end, (void)n_steps;
    return 0;
}

bool mth_ulp_decode_symbols(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                            struct mth_rans_reader *reader, const uint8_t *from, size_t n, uint8_t *symbols)
{
    size_t n_lanes = reader->lanes.n_lanes, i = 0;
    if (n_lanes >= MTH_ULP_GROUP)
        i = n_lanes * kernels->decode_symbols(table, reader, from, n / n_lanes, symbols);
    for (; i < n; i++) {
        if (!decode_symbol(table, reader, i & (n_lanes - 1), from[i], &symbols[i]))
            return false;
    }
    return true;
}

bool mth_ulp_encode_symbols(const struct mth_ulp_kernels *kernels, const struct mth_ulp_table *table,
                            struct mth_rans_writer *writer, const uint8_t *from, const uint8_t *symbols,
                            size_t n)
{
    size_t n_lanes = writer->lanes.n_lanes, left = n;
    while (left & (n_lanes - 1)) {
        left--;
        if (!encode_symbol(table, writer, left & (n_lanes - 1), from[left], symbols[left]))
            return false;
    }
    if (n_lanes >= MTH_ULP_GROUP)
        left -= n_lanes * kernels->encode_symbols(table, writer, from + left, symbols + left, left / n_lanes);
    while (left-- > 0) {
        if (!encode_symbol(table, writer, left & (n_lanes - 1), from[left], symbols[left]))
            return false;
    }
    return true;
}

const struct mth_ulp_kernels mth_ulp_portable = {
    .name = "portable",
    .contexts = contexts,
    .analyze = analyze,
    .merge = merge,
    .collect = collect,
    .decode_flags = decode_no_flags,
    .encode_flags = encode_no_flags,
    .decode_symbols = decode_no_symbols,
    .encode_symbols = encode_no_symbols,
};
