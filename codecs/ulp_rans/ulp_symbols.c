/* Steps to symbols and back; see ulp_symbols.h. */
#include "codecs/ulp_rans/ulp_symbols.h"

#include "codecs/ulp_rans/ulp_places.h"
#include "codecs/ulp_rans/ulp_scalar.h"
#include "codecs/ulp_rans/ulp_steps.h"

#include <string.h>

enum { BUCKET_BASE = 6 };

static unsigned bit_length(uint64_t x)
{
    return x ? 64u - (unsigned)__builtin_clzll(x) : 0;
}

/* Low bits and what a bucket has to say go out together where they fit a word for sure. */
enum { AT_ONCE_LANE_BITS = 32 };

/* One step's symbol, and its bits. */
MTH_ALWAYS_INLINE bool split_one(uint64_t v, unsigned shift, unsigned lane_bits,
                                 struct mth_ulp_bit_writer *extra, uint8_t *symbol)
{
    uint64_t u = v >> shift, low = v & (((uint64_t)1 << shift) - 1), rest = 0;
    unsigned n_rest = 0;
    if (u < MTH_ULP_DIRECT) {
        *symbol = (uint8_t)u;
    } else {
        n_rest = bit_length((u - BUCKET_BASE) / 2);
        rest = u - BUCKET_BASE - ((uint64_t)1 << n_rest);
        *symbol = (uint8_t)(MTH_ULP_DIRECT + n_rest - 1);
        if (MTH_ULP_DIRECT + n_rest - 1 >= MTH_ULP_ESCAPE) {
            *symbol = MTH_ULP_ESCAPE;
            return mth_ulp_put_bits(extra, v, lane_bits - 1);
        }
    }
    if (shift + n_rest == 0)
        return true;
    if (lane_bits <= AT_ONCE_LANE_BITS)
        return mth_ulp_put_some(extra, low | rest << shift, shift + n_rest);
    return mth_ulp_put_bits(extra, low, shift) && mth_ulp_put_bits(extra, rest, n_rest);
}

MTH_ALWAYS_INLINE bool join_one(unsigned symbol, unsigned shift, unsigned lane_bits,
                                struct mth_ulp_bit_reader *extra, uint64_t *v)
{
    uint64_t low = 0, rest = 0, u = symbol;
    unsigned n_rest = symbol < MTH_ULP_DIRECT ? 0 : symbol - MTH_ULP_DIRECT + 1;
    if (symbol == MTH_ULP_ESCAPE)
        return mth_ulp_get_bits(extra, lane_bits - 1, v);
    if (lane_bits <= AT_ONCE_LANE_BITS) {
        if (shift + n_rest && !mth_ulp_get_bits(extra, shift + n_rest, &low))
            return false;
        rest = low >> shift;
        low &= ((uint64_t)1 << shift) - 1;
    } else if ((shift && !mth_ulp_get_bits(extra, shift, &low)) ||
               (n_rest && !mth_ulp_get_bits(extra, n_rest, &rest))) {
        return false;
    }
    if (n_rest)
        u = BUCKET_BASE + ((uint64_t)1 << n_rest) + rest;
    /* Below 2^(lane_bits - 1), or it is no step of such a lane. */
    if (u >> (lane_bits - 1 - shift))
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
    static bool split##bits(const uint8_t *shift, const uint8_t *steps, const uint8_t *contexts, size_t i, \
                            size_t n, struct mth_ulp_parts *parts)                                         \
    {                                                                                                      \
        struct mth_ulp_bit_writer extra = parts->extra;                                                    \
        uint8_t *symbols = parts->symbols, *signs = parts->signs;                                          \
        bool is_down;                                                                                      \
        for (; i < n; i++) {                                                                               \
            uint64_t v = magnitude##bits(steps, i, &is_down);                                              \
            signs[i / 8] |= (uint8_t)((0u - is_down) & 1u << i % 8);                                       \
            if (!split_one(v, shift[contexts[i]], bits, &extra, &symbols[i]))                              \
                return false;                                                                              \
        }                                                                                                  \
        parts->extra = extra;                                                                              \
        return true;                                                                                       \
    }                                                                                                      \
    static bool join##bits(const uint8_t *shift, const uint8_t *symbols, const uint8_t *signs,             \
                           const uint8_t *contexts, size_t i, size_t n,                                    \
                           struct mth_ulp_bit_reader *bits_left, uint8_t *steps)                           \
    {                                                                                                      \
        struct mth_ulp_bit_reader extra = *bits_left;                                                      \
        for (; i < n; i++) {                                                                               \
            uint64_t v = 0;                                                                                \
            if (!join_one(symbols[i], shift[contexts[i]], bits, &extra, &v))                               \
                return false;                                                                              \
            set##bits(steps, i, v, signs[i / 8] >> i % 8 & 1);                                             \
        }                                                                                                  \
        *bits_left = extra;                                                                                \
        return true;                                                                                       \
    }

DEFINE_STEPS(8)
DEFINE_STEPS(16)
DEFINE_STEPS(32)
DEFINE_STEPS(64)

MTH_ALWAYS_INLINE void split_group(const uint16_t *restrict step, uint16_t *restrict v,
                                   uint8_t *restrict is_down, uint8_t *restrict is_long,
                                   uint8_t *restrict symbols)
{
    for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
        uint16_t down = step[i] >> 15;
        v[i] = (uint16_t)((step[i] ^ (0 - down)) + down - 1);
        is_down[i] = (uint8_t)down;
        is_long[i] = v[i] >= MTH_ULP_DIRECT;
        symbols[i] = (uint8_t)v[i];
    }
}

MTH_ALWAYS_INLINE void join_group(const uint16_t *restrict v, uint32_t down, uint16_t *restrict step)
{
    uint8_t is_down[MTH_ULP_GROUP];
    for (size_t i = 0; i < MTH_ULP_GROUP; i += 8)
        mth_lane_store64(is_down + i, mth_ulp_flags_of(down >> i & 0xff));
    for (size_t i = 0; i < MTH_ULP_GROUP; i++)
        step[i] = (uint16_t)(((v[i] + 1) ^ (0 - is_down[i])) + is_down[i]);
}

/*
 * Some groups at once, as if no step were a long one: arithmetic that compilers make vectors of. The long ones stand in a list and
 * follow one by one.
 */
size_t mth_ulp_portable_split16(const uint8_t *steps, size_t n_groups, uint8_t *symbols, uint8_t *signs,
                                struct mth_ulp_bit_writer *extra)
{
    struct mth_ulp_bit_writer writer = *extra;
    size_t n = 0, g = 0;
    for (; g < n_groups; g += n) {
        uint16_t step[MTH_ULP_LIST_LANES], v[MTH_ULP_LIST_LANES];
        struct mth_ulp_list list;
        uint8_t *at = mth_ulp_list_end(&list);
        n = n_groups - g < MTH_ULP_LIST_GROUPS ? n_groups - g : MTH_ULP_LIST_GROUPS;
        if (writer.end - writer.at < MTH_ULP_LIST_GROUPS * MTH_ULP_FIELDS_ROOM)
            break;
        memcpy(step, steps + g * MTH_ULP_GROUP * sizeof *step, n * MTH_ULP_GROUP * sizeof *step);
        for (size_t k = n; k-- > 0;) {
            uint8_t is_down[MTH_ULP_GROUP], is_long[MTH_ULP_GROUP], *out = symbols + (g + k) * MTH_ULP_GROUP;
            split_group(step + k * MTH_ULP_GROUP, v + k * MTH_ULP_GROUP, is_down, is_long, out);
            at = mth_ulp_list_group(is_long, k * MTH_ULP_GROUP, at);
            mth_lane_store32(signs + (g + k) * sizeof(uint32_t), mth_ulp_mask_of(is_down));
        }
        for (; at < mth_ulp_list_end(&list); at++)
            (void)split_one(v[*at], 0, 16, &writer, &symbols[g * MTH_ULP_GROUP + *at]);
    }
    *extra = writer;
    return g;
}

size_t mth_ulp_portable_join16(const uint8_t *symbols, const uint8_t *signs, size_t n_groups,
                               struct mth_ulp_bit_reader *extra, uint8_t *steps)
{
    size_t n = 0, g = 0;
    for (; g < n_groups; g += n) {
        uint16_t step[MTH_ULP_LIST_LANES], v[MTH_ULP_LIST_LANES];
        const uint8_t *from = symbols + g * MTH_ULP_GROUP;
        struct mth_ulp_bit_reader reader = *extra;
        struct mth_ulp_list list;
        uint8_t *at = mth_ulp_list_end(&list);
        n = n_groups - g < MTH_ULP_LIST_GROUPS ? n_groups - g : MTH_ULP_LIST_GROUPS;
        for (size_t k = n; k-- > 0;) {
            uint8_t is_long[MTH_ULP_GROUP];
            for (size_t i = 0; i < MTH_ULP_GROUP; i++)
                is_long[i] = from[k * MTH_ULP_GROUP + i] >= MTH_ULP_DIRECT;
            at = mth_ulp_list_group(is_long, k * MTH_ULP_GROUP, at);
        }
        for (size_t i = 0; i < n * MTH_ULP_GROUP; i++)
            v[i] = from[i];
        for (; at < mth_ulp_list_end(&list); at++) {
            uint64_t value;
            if (!join_one(from[*at], 0, 16, &reader, &value))
                return g;
            v[*at] = (uint16_t)value;
        }
        for (size_t k = 0; k < n; k++)
            join_group(v + k * MTH_ULP_GROUP, mth_lane_load32(signs + (g + k) * sizeof(uint32_t)),
                       step + k * MTH_ULP_GROUP);
        memcpy(steps + g * MTH_ULP_GROUP * sizeof *step, step, n * MTH_ULP_GROUP * sizeof *step);
        *extra = reader;
    }
    return n_groups;
}

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
    size_t done = 0;
    memset(parts->signs, 0, (n + 7) / 8);
    if (lane_bits == 16)
        done = MTH_ULP_GROUP *
               kernels->split16(steps, n / MTH_ULP_GROUP, parts->symbols, parts->signs, &parts->extra);
    else if (lane_bits == 32)
        done = MTH_ULP_GROUP * kernels->split32(shift, steps, contexts, n / MTH_ULP_GROUP, parts->symbols,
                                                parts->signs, &parts->extra);
    switch (lane_bits) {
    case 8:
        return split8(shift, steps, contexts, 0, n, parts);
    case 16:
        return split16(shift, steps, contexts, done, n, parts);
    case 32:
        return split32(shift, steps, contexts, done, n, parts);
    default:
        return split64(shift, steps, contexts, 0, n, parts);
    }
}

bool mth_ulp_join(const struct mth_ulp_kernels *kernels, unsigned lane_bits,
                  const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *symbols, const uint8_t *signs,
                  const uint8_t *contexts, size_t n, struct mth_ulp_bit_reader *extra, uint8_t *steps)
{
    size_t done = 0;
    if (lane_bits == 16)
        done = MTH_ULP_GROUP * kernels->join16(symbols, signs, n / MTH_ULP_GROUP, extra, steps);
    else if (lane_bits == 32)
        done =
            MTH_ULP_GROUP * kernels->join32(shift, symbols, signs, contexts, n / MTH_ULP_GROUP, extra, steps);
    switch (lane_bits) {
    case 8:
        return join8(shift, symbols, signs, contexts, 0, n, extra, steps);
    case 16:
        return join16(shift, symbols, signs, contexts, done, n, extra, steps);
    case 32:
        return join32(shift, symbols, signs, contexts, done, n, extra, steps);
    default:
        return join64(shift, symbols, signs, contexts, 0, n, extra, steps);
    }
}
