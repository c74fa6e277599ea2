/*
 * The kernels of scale-split in portable C, compiled once for each instruction set: a file defines MTH_KERNEL (the
 * attributes of a function that is called from outside it) and includes this. Everything else is inlined into those.
 */
#include "base/lane.h"

enum { GROUP_ELEMS = 8, LANES = 4 /* of 16 bits in a word */ };

/* The same 16 bits in each lane of a word. */
#define MTH_EACH_LANE(x) ((uint64_t)(x)*0x0001000100010001u)

/* Move the low `bits` of every lane, the rest being zero, together. */
MTH_ALWAYS_INLINE uint64_t gather_fields(uint64_t x, unsigned bits)
{
    x = (x | x >> (16 - bits)) & (((uint64_t)1 << 2 * bits) - 1) * 0x0000000100000001u;
    return (x | x >> (32 - 2 * bits)) & (((uint64_t)1 << 4 * bits) - 1);
}

/* The inverse: fields without gaps at the bottom of x, all above them zero, to the low bits of lanes. */
MTH_ALWAYS_INLINE uint64_t scatter_fields(uint64_t x, unsigned bits)
{
    x = (x | x << (32 - 2 * bits)) & (((uint64_t)1 << 2 * bits) - 1) * 0x0000000100000001u;
    return (x | x << (16 - bits)) & MTH_EACH_LANE((1u << bits) - 1);
}

/* Eight elements: low_bits of each to as many bytes, signs to one. */
MTH_ALWAYS_INLINE void take_group(const uint8_t *src, uint8_t *mantissas, uint8_t *sign, unsigned low_bits)
{
    uint64_t a = mth_lane_load64(src), b = mth_lane_load64(src + 8),
             low = MTH_EACH_LANE((1u << low_bits) - 1);
    uint64_t packed = gather_fields(a & low, low_bits) | gather_fields(b & low, low_bits) << LANES * low_bits;
    mth_lane_store_part(mantissas, packed, low_bits);
    *sign = (uint8_t)(gather_fields(a >> 15 & MTH_EACH_LANE(1), 1) |
                      gather_fields(b >> 15 & MTH_EACH_LANE(1), 1) << 4);
}

MTH_ALWAYS_INLINE void put_group(const uint8_t *mantissas, uint8_t sign, uint8_t *dst, unsigned low_bits)
{
    uint64_t packed = mth_lane_load_part(mantissas, low_bits), half = ((uint64_t)1 << LANES * low_bits) - 1;
    mth_lane_store64(dst, scatter_fields(packed & half, low_bits) | scatter_fields(sign & 15u, 1) << 15);
    mth_lane_store64(dst + 8, scatter_fields(packed >> LANES * low_bits, low_bits) |
                                  scatter_fields(sign >> 4, 1) << 15);
}

/* The last n < 8 elements, as a group with zeros behind. */
MTH_ALWAYS_INLINE void take_last(const uint8_t *src, size_t n, uint8_t *mantissas, uint8_t *signs,
                                 unsigned low_bits)
{
    uint8_t elems[2 * GROUP_ELEMS] = {0}, packed[8];
    if (n == 0)
        return;
    memcpy(elems, src, 2 * n);
    take_group(elems, packed, signs, low_bits);
    memcpy(mantissas, packed, (n * low_bits + 7) / 8);
}

MTH_ALWAYS_INLINE bool put_last(const uint8_t *mantissas, const uint8_t *signs, size_t n, uint8_t *dst,
                                unsigned low_bits)
{
    uint8_t elems[2 * GROUP_ELEMS], packed[8] = {0}, unused = 0;
    if (n == 0)
        return true;
    memcpy(packed, mantissas, (n * low_bits + 7) / 8);
    put_group(packed, *signs, elems, low_bits);
    memcpy(dst, elems, 2 * n);
    for (size_t i = 2 * n; i < sizeof elems; i++)
        unused |= elems[i];
    return unused == 0;
}

#define DEFINE_FORMAT(format, exponent_bits, mantissa_bits)                                                  \
    static MTH_KERNEL uint64_t add_exponents_##format(const uint8_t *restrict src, size_t n,                 \
                                                      uint16_t *restrict columns, size_t *n_zeros)           \
    {                                                                                                        \
        uint64_t sum = 0;                                                                                    \
        size_t zeros = 0;                                                                                    \
        for (size_t at = 0; at < n;) {                                                                       \
            /* Short runs, whose sums fit the 16 bits of a lane. */                                          \
            size_t end = n - at < 256 ? n : at + 256;                                                        \
            uint16_t run = 0, run_zeros = 0;                                                                 \
            if (columns) {                                                                                   \
                for (size_t i = at; i < end; i++) {                                                          \
                    uint16_t e = (uint16_t)(mth_lane_load16(src + 2 * i) >> mantissa_bits &                  \
                                            ((1u << exponent_bits) - 1));                                    \
                    columns[i] = (uint16_t)(columns[i] + e);                                                 \
                    run = (uint16_t)(run + e);                                                               \
                    run_zeros = (uint16_t)(run_zeros + (e == 0));                                            \
                }                                                                                            \
            } else {                                                                                         \
                for (size_t i = at; i < end; i++) {                                                          \
                    uint16_t e = (uint16_t)(mth_lane_load16(src + 2 * i) >> mantissa_bits &                  \
                                            ((1u << exponent_bits) - 1));                                    \
                    run = (uint16_t)(run + e);                                                               \
                    run_zeros = (uint16_t)(run_zeros + (e == 0));                                            \
                }                                                                                            \
            }                                                                                                \
            sum += run;                                                                                      \
            zeros += run_zeros;                                                                              \
            at = end;                                                                                        \
        }                                                                                                    \
        *n_zeros = zeros;                                                                                    \
        return sum;                                                                                          \
    }                                                                                                        \
    static MTH_KERNEL void add_zeros_##format(const uint8_t *restrict src, size_t n,                         \
                                              uint16_t *restrict columns)                                    \
    {                                                                                                        \
        for (size_t i = 0; i < n; i++)                                                                       \
            columns[i] = (uint16_t)(columns[i] + ((mth_lane_load16(src + 2 * i) >> mantissa_bits &           \
                                                   ((1u << exponent_bits) - 1)) == 0));                      \
    }                                                                                                        \
    static MTH_KERNEL bool take_symbols_##format(const uint8_t *restrict src, size_t n, int base,            \
                                                 const int16_t *restrict shifts, uint8_t *restrict symbols)  \
    {                                                                                                        \
        const uint16_t first = (uint16_t)(base + MTH_SCALE_LOWEST);                                          \
        uint16_t escaped = 0;                                                                                \
        for (size_t i = 0; i < n; i++) {                                                                     \
            uint16_t x = mth_lane_load16(src + 2 * i);                                                       \
            uint16_t e = (uint16_t)(x >> mantissa_bits & ((1u << exponent_bits) - 1));                       \
            uint16_t code = (uint16_t)(e - first - (uint16_t)shifts[i]);                                     \
            code = code < MTH_SCALE_N_CODES ? (uint16_t)(code + 1) : (uint16_t)0;                            \
            escaped |= code == 0;                                                                            \
            symbols[i] = (uint8_t)(code << 2 | (x >> (mantissa_bits - 2) & 3));                              \
        }                                                                                                    \
        return escaped;                                                                                      \
    }                                                                                                        \
    static MTH_KERNEL unsigned put_symbols_##format(const uint8_t *restrict symbols, size_t n, int base,     \
                                                    const int16_t *restrict shifts, uint8_t *restrict dst)   \
    {                                                                                                        \
        const uint16_t first = (uint16_t)(base + MTH_SCALE_LOWEST - 1);                                      \
        uint16_t escaped = 0, outside = 0;                                                                   \
        for (size_t i = 0; i < n; i++) {                                                                     \
            uint16_t symbol = symbols[i], code = symbol >> 2;                                                \
            uint16_t e = (uint16_t)(code + first + (uint16_t)shifts[i]);                                     \
            uint16_t escape = code == 0;                                                                     \
            e = escape ? (uint16_t)0 : e;                                                                    \
            escaped |= escape;                                                                               \
            outside |= (uint16_t)(e >> exponent_bits | symbol >> 7);                                         \
            uint16_t x = mth_lane_load16(dst + 2 * i);                                                       \
            x = (uint16_t)(x | e << mantissa_bits | (symbol & 3) << (mantissa_bits - 2));                    \
            mth_lane_store16(dst + 2 * i, x);                                                                \
        }                                                                                                    \
        return (escaped ? MTH_SCALE_ESCAPES : 0u) | (outside ? MTH_SCALE_INVALID : 0u);                      \
    }                                                                                                        \
    static MTH_KERNEL void take_rest_##format(const uint8_t *restrict src, size_t n,                         \
                                              uint8_t *restrict mantissas, uint8_t *restrict signs)          \
    {                                                                                                        \
        enum { LOW = mantissa_bits - MTH_SCALE_LEADING_BITS };                                               \
        size_t n_groups = n / GROUP_ELEMS;                                                                   \
        for (size_t g = 0; g < n_groups; g++)                                                                \
            take_group(src + g * 2 * GROUP_ELEMS, mantissas + g * LOW, signs + g, LOW);                      \
        take_last(src + n_groups * 2 * GROUP_ELEMS, n % GROUP_ELEMS, mantissas + n_groups * LOW,             \
                  signs + n_groups, LOW);                                                                    \
    }                                                                                                        \
    static MTH_KERNEL bool put_rest_##format(const uint8_t *restrict mantissas,                              \
                                             const uint8_t *restrict signs, size_t n, uint8_t *restrict dst) \
    {                                                                                                        \
        enum { LOW = mantissa_bits - MTH_SCALE_LEADING_BITS };                                               \
        size_t n_groups = n / GROUP_ELEMS;                                                                   \
        for (size_t g = 0; g < n_groups; g++)                                                                \
            put_group(mantissas + g * LOW, signs[g], dst + g * 2 * GROUP_ELEMS, LOW);                        \
        return put_last(mantissas + n_groups * LOW, signs + n_groups, n % GROUP_ELEMS,                       \
                        dst + n_groups * 2 * GROUP_ELEMS, LOW);                                              \
    }

DEFINE_FORMAT(bf16, 8, 7)
DEFINE_FORMAT(f16, 5, 10)
