/* Steps to symbols and back; see ulp_symbols.h. */
#include "codecs/ulp_rans/ulp_symbols.h"

#include <string.h>

enum { BUCKET_BASE = 6 };

static unsigned bit_length(uint64_t x)
{
    return x ? 64u - (unsigned)__builtin_clzll(x) : 0;
}

/* One step's symbol, and its bits. */
static inline bool split_one(uint64_t v, unsigned shift, unsigned lane_bits, struct mth_ulp_bit_writer *extra,
                             uint8_t *symbol)
{
    uint64_t u = v >> shift;
    if (u < MTH_ULP_DIRECT) {
        *symbol = (uint8_t)u;
        return shift == 0 || mth_ulp_put_bits(extra, v & (((uint64_t)1 << shift) - 1), shift);
    }
    unsigned k = bit_length((u - BUCKET_BASE) / 2) - 1;
    if (MTH_ULP_DIRECT + k >= MTH_ULP_ESCAPE) {
        *symbol = MTH_ULP_ESCAPE;
        return mth_ulp_put_bits(extra, v, lane_bits - 1);
    }
    *symbol = (uint8_t)(MTH_ULP_DIRECT + k);
    if (shift && !mth_ulp_put_bits(extra, v & (((uint64_t)1 << shift) - 1), shift))
        return false;
    return mth_ulp_put_bits(extra, u - BUCKET_BASE - ((uint64_t)2 << k), k + 1);
}

static inline bool join_one(unsigned symbol, unsigned shift, unsigned lane_bits,
                            struct mth_ulp_bit_reader *extra, uint64_t *v)
{
    uint64_t low = 0, rest = 0, u = symbol;
    if (symbol == MTH_ULP_ESCAPE)
        return mth_ulp_get_bits(extra, lane_bits - 1, v);
    if (shift && !mth_ulp_get_bits(extra, shift, &low))
        return false;
    if (symbol >= MTH_ULP_DIRECT) {
        unsigned k = symbol - MTH_ULP_DIRECT;
        if (!mth_ulp_get_bits(extra, k + 1, &rest))
            return false;
        u = BUCKET_BASE + ((uint64_t)2 << k) + rest;
    }
    /* Below 2^(lane_bits - 1), or it is no step of such a lane. */
    if (u >> (lane_bits - 1 > shift ? lane_bits - 1 - shift : 0))
        return false;
    *v = u << shift | low;
    return true;
}

#define DEFINE_STEPS(bits)                                                                                 \
    static uint64_t magnitude##bits(const uint8_t *steps, size_t i, bool *is_down)                         \
    {                                                                                                      \
        uint##bits##_t step;                                                                               \
        memcpy(&step, steps + i * sizeof step, sizeof step);                                               \
        *is_down = step >> (bits - 1);                                                                     \
        return (uint64_t)(*is_down ? (uint##bits##_t)(0 - step) : step) - 1;                               \
    }                                                                                                      \
    static void set##bits(uint8_t *steps, size_t i, uint64_t v, bool is_down)                              \
    {                                                                                                      \
        uint##bits##_t m = (uint##bits##_t)(v + 1), step = is_down ? (uint##bits##_t)(0 - m) : m;          \
        memcpy(steps + i * sizeof step, &step, sizeof step);                                               \
    }                                                                                                      \
    static bool split##bits(const uint8_t *shift, const uint8_t *steps, const uint8_t *contexts, size_t n, \
                            struct mth_ulp_parts *parts)                                                   \
    {                                                                                                      \
        bool is_down;                                                                                      \
        for (size_t i = 0; i < n; i++) {                                                                   \
            uint64_t v = magnitude##bits(steps, i, &is_down);                                              \
            parts->signs[i / 8] |= (uint8_t)(is_down << i % 8);                                            \
            if (!split_one(v, shift[contexts[i]], bits, &parts->extra, &parts->symbols[i]))                \
                return false;                                                                              \
        }                                                                                                  \
        return true;                                                                                       \
    }                                                                                                      \
    static bool join##bits(const uint8_t *shift, const uint8_t *symbols, const uint8_t *signs,             \
                           const uint8_t *contexts, size_t n, struct mth_ulp_bit_reader *extra,            \
                           uint8_t *steps)                                                                 \
    {                                                                                                      \
        for (size_t i = 0; i < n; i++) {                                                                   \
            uint64_t v = 0;                                                                                \
            if (!join_one(symbols[i], shift[contexts[i]], bits, extra, &v))                                \
                return false;                                                                              \
            set##bits(steps, i, v, signs[i / 8] >> i % 8 & 1);                                             \
        }                                                                                                  \
        return true;                                                                                       \
    }

DEFINE_STEPS(8)
DEFINE_STEPS(16)
DEFINE_STEPS(32)
DEFINE_STEPS(64)

unsigned mth_ulp_step_bits(unsigned lane_bits, const uint8_t *steps, size_t i)
{
    bool is_down;
    switch (lane_bits) {
    case 8:
        return bit_length(magnitude8(steps, i, &is_down));
    case 16:
        return bit_length(magnitude16(steps, i, &is_down));
    case 32:
        return bit_length(magnitude32(steps, i, &is_down));
    default:
        return bit_length(magnitude64(steps, i, &is_down));
    }
}

bool mth_ulp_split(const struct mth_ulp_kernels *kernels, unsigned lane_bits,
                   const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *steps, const uint8_t *contexts,
                   size_t n, struct mth_ulp_parts *parts)
{
    (void)kernels;
    memset(parts->signs, 0, (n + 7) / 8);
    switch (lane_bits) {
    case 8:
        return split8(shift, steps, contexts, n, parts);
    case 16:
        return split16(shift, steps, contexts, n, parts);
    case 32:
        return split32(shift, steps, contexts, n, parts);
    default:
        return split64(shift, steps, contexts, n, parts);
    }
}

bool mth_ulp_join(const struct mth_ulp_kernels *kernels, unsigned lane_bits,
                  const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *symbols, const uint8_t *signs,
                  const uint8_t *contexts, size_t n, struct mth_ulp_bit_reader *extra, uint8_t *steps)
{
    (void)kernels;
    switch (lane_bits) {
    case 8:
        return join8(shift, symbols, signs, contexts, n, extra, steps);
    case 16:
        return join16(shift, symbols, signs, contexts, n, extra, steps);
    case 32:
        return join32(shift, symbols, signs, contexts, n, extra, steps);
    default:
        return join64(shift, symbols, signs, contexts, n, extra, steps);
    }
}
