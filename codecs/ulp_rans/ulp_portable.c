/* The kernels in plain C: elements to steps and back; see ulp_kernels.h. Flags and symbols are in ulp_scalar_decode.c and ulp_scalar_encode.c. */
#include "codecs/ulp_rans/ulp_count.h"
#include "codecs/ulp_rans/ulp_long.h"
#include "codecs/ulp_rans/ulp_places.h"
#include "codecs/ulp_rans/ulp_scalar.h"
#include "codecs/ulp_rans/ulp_steps.h"

#include "base/lane.h"

#include <string.h>

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
    MTH_ALWAYS_INLINE void contexts##bits(unsigned shift, unsigned exponent_bits, const uint8_t *base,       \
                                          size_t n_groups, unsigned top, uint8_t *out)                       \
    {                                                                                                        \
        const uint##bits##_t mask = (uint##bits##_t)((1u << exponent_bits) - 1);                             \
        const int16_t most = MTH_ULP_CONTEXTS - 1;                                                           \
        /* Above all exponents by more than there are contexts is as good as above by just that. */          \
        top = top < (unsigned)mask + MTH_ULP_CONTEXTS ? top : (unsigned)mask + MTH_ULP_CONTEXTS;             \
        for (size_t g = 0; g < n_groups; g++, base += MTH_ULP_GROUP * (bits / 8), out += MTH_ULP_GROUP) {    \
            for (size_t i = 0; i < MTH_ULP_GROUP; i++) {                                                     \
                int16_t exponent = (int16_t)(mth_lane_load##bits(base + i * (bits / 8)) >> shift & mask);    \
                int16_t below = (int16_t)((int16_t)top - exponent);                                          \
                below = below > 0 ? below : 0;                                                               \
                out[i] = (uint8_t)(below < most ? below : most);                                             \
            }                                                                                                \
        }                                                                                                    \
    }                                                                                                        \
    MTH_ALWAYS_INLINE uint32_t differ##bits(bool is_float, const uint8_t *restrict src,                      \
                                            const uint8_t *restrict base, uint##bits##_t *restrict step)     \
    {                                                                                                        \
        uint8_t changed[MTH_ULP_GROUP];                                                                      \
        for (size_t i = 0; i < MTH_ULP_GROUP; i++) {                                                         \
            uint##bits##_t x = mth_lane_load##bits(src + i * (bits / 8)),                                    \
                           b = mth_lane_load##bits(base + i * (bits / 8));                                   \
            step[i] = (uint##bits##_t)(order##bits(x, is_float) - order##bits(b, is_float));                 \
            changed[i] = step[i] != 0;                                                                       \
        }                                                                                                    \
        return mth_ulp_mask_of(changed);                                                                     \
    }                                                                                                        \
    static size_t analyze##bits(const struct mth_ulp_shuffles *shuffles, bool is_float,                      \
                                const uint8_t *restrict src, const uint8_t *restrict base, size_t n_groups,  \
                                uint32_t *restrict masks, uint8_t *restrict steps)                           \
    {                                                                                                        \
        size_t done = 0, n = 0;                                                                              \
        for (size_t g = 0; g < n_groups; g += n) {                                                           \
            uint##bits##_t step[MTH_ULP_STRETCH * MTH_ULP_GROUP];                                            \
            uint8_t places[MTH_ULP_PLACES_ROOM];                                                             \
            n = n_groups - g < MTH_ULP_STRETCH ? n_groups - g : MTH_ULP_STRETCH;                             \
            for (size_t i = 0; i < n;                                                                        \
                 i++, src += MTH_ULP_GROUP * (bits / 8), base += MTH_ULP_GROUP * (bits / 8))                 \
                masks[g + i] = differ##bits(is_float, src, base, step + i * MTH_ULP_GROUP);                  \
            size_t n_places = mth_ulp_places(shuffles, masks + g, n, places);                                \
            uint8_t *out = steps + done * sizeof *step;                                                      \
            for (size_t k = 0; k < n_places; k += MTH_ULP_AT_ONCE)                                           \
                for (size_t j = k; j < k + MTH_ULP_AT_ONCE; j++)                                             \
                    memcpy(out + j * sizeof *step, &step[places[j]], sizeof *step);                          \
            done += n_places;                                                                                \
        }                                                                                                    \
        return done;                                                                                         \
    }                                                                                                        \
    static void directions##bits(bool is_float, const uint8_t *base, const uint8_t *older, size_t n_groups,  \
                                 uint8_t *out)                                                               \
    {                                                                                                        \
        for (size_t i = 0; i < n_groups * MTH_ULP_GROUP; i++) {                                              \
            uint##bits##_t b = mth_lane_load##bits(base + i * (bits / 8)),                                   \
                           o = mth_lane_load##bits(older + i * (bits / 8));                                  \
            uint##bits##_t step = (uint##bits##_t)(order##bits(b, is_float) - order##bits(o, is_float));     \
            bool is_down = step >> (bits - 1);                                                               \
            uint##bits##_t distance = is_down ? (uint##bits##_t)(0 - step) : step;                           \
            distance = distance < MTH_ULP_DISTANCE ? distance : MTH_ULP_DISTANCE;                            \
            out[i] = (uint8_t)(distance | (is_down ? MTH_ULP_DOWN : 0));                                     \
        }                                                                                                    \
    }                                                                                                        \
    MTH_ALWAYS_INLINE uint##bits##_t moved##bits(const uint8_t *base, uint##bits##_t step, bool is_float)    \
    {                                                                                                        \
        return unorder##bits((uint##bits##_t)(order##bits(mth_lane_load##bits(base), is_float) + step),      \
                             is_float);                                                                      \
    }                                                                                                        \
    static size_t merge##bits(const struct mth_ulp_shuffles *shuffles, bool is_float,                        \
                              const uint8_t *restrict base, size_t n_groups, const uint32_t *restrict masks, \
                              const uint8_t *restrict steps, uint8_t *restrict dst)                          \
    {                                                                                                        \
        const size_t lane_bytes = bits / 8;                                                                  \
        size_t done = 0, n = 0, n_elems;                                                                     \
        for (size_t g = 0; g < n_groups;                                                                     \
             g += n, base += n_elems * lane_bytes, dst += n_elems * lane_bytes) {                            \
            uint##bits##_t step[MTH_ULP_STRETCH * MTH_ULP_GROUP];                                            \
            uint8_t places[MTH_ULP_PLACES_ROOM];                                                             \
            n = n_groups - g < MTH_ULP_STRETCH ? n_groups - g : MTH_ULP_STRETCH;                             \
            n_elems = n * MTH_ULP_GROUP;                                                                     \
            size_t n_places = mth_ulp_places(shuffles, masks + g, n, places);                                \
            const uint8_t *in = steps + done * lane_bytes;                                                   \
            done += n_places;                                                                                \
            if (n_places < MTH_ULP_FEW_PLACES) {                                                             \
                memcpy(dst, base, n_elems *lane_bytes);                                                      \
                for (size_t k = 0; k < n_places; k++) {                                                      \
                    size_t at = places[k] * lane_bytes;                                                      \
                    memcpy(&step[0], in + k * lane_bytes, lane_bytes);                                       \
                    mth_lane_store##bits(dst + at, moved##bits(base + at, step[0], is_float));               \
                }                                                                                            \
                continue;                                                                                    \
            }                                                                                                \
            memset(step, 0, n_elems *lane_bytes);                                                            \
            for (size_t k = 0; k < n_places; k++)                                                            \
                memcpy(&step[places[k]], in + k * lane_bytes, lane_bytes);                                   \
            for (size_t i = 0; i < n_elems; i++)                                                             \
                mth_lane_store##bits(dst + i * lane_bytes,                                                   \
                                     moved##bits(base + i * lane_bytes, step[i], is_float));                 \
        }                                                                                                    \
        return done;                                                                                         \
    }

DEFINE_ELEMENTS(8)
DEFINE_ELEMENTS(16)
DEFINE_ELEMENTS(32)
DEFINE_ELEMENTS(64)

static void contexts(const struct mth_ulp_format *format, const uint8_t *base, size_t n_groups, unsigned top,
                     uint8_t *out)
{
    enum { BF16_SHIFT = 7, BF16_EXPONENT = 8 };
    unsigned shift = format->mantissa_bits, exponent_bits = format->exponent_bits;
    if (exponent_bits == 0)
        memset(out, 0, n_groups * MTH_ULP_GROUP);
    else if (format->lane_bits == 8)
        contexts8(shift, exponent_bits, base, n_groups, top, out);
    /* By a number of bits that is not known, words without vectors of their own are shifted in larger ones. */
    else if (format->lane_bits == 16 && shift == BF16_SHIFT && exponent_bits == BF16_EXPONENT)
        contexts16(BF16_SHIFT, BF16_EXPONENT, base, n_groups, top, out);
    else if (format->lane_bits == 16)
        contexts16(shift, exponent_bits, base, n_groups, top, out);
    else if (format->lane_bits == 32)
        contexts32(shift, exponent_bits, base, n_groups, top, out);
    else
        contexts64(shift, exponent_bits, base, n_groups, top, out);
}

static size_t analyze(const struct mth_ulp_format *format, const struct mth_ulp_shuffles *shuffles,
                      const uint8_t *src, const uint8_t *base, size_t n_groups, uint32_t *masks,
                      uint8_t *steps)
{
    bool is_float = format->exponent_bits > 0;
    switch (format->lane_bits) {
    case 8:
        return analyze8(shuffles, is_float, src, base, n_groups, masks, steps);
    case 16:
        return analyze16(shuffles, is_float, src, base, n_groups, masks, steps);
    case 32:
        return analyze32(shuffles, is_float, src, base, n_groups, masks, steps);
    default:
        return analyze64(shuffles, is_float, src, base, n_groups, masks, steps);
    }
}

static size_t merge(const struct mth_ulp_format *format, const struct mth_ulp_shuffles *shuffles,
                    const uint8_t *base, size_t n_groups, const uint32_t *masks, const uint8_t *steps,
                    uint8_t *dst)
{
    bool is_float = format->exponent_bits > 0;
    switch (format->lane_bits) {
    case 8:
        return merge8(shuffles, is_float, base, n_groups, masks, steps, dst);
    case 16:
        return merge16(shuffles, is_float, base, n_groups, masks, steps, dst);
    case 32:
        return merge32(shuffles, is_float, base, n_groups, masks, steps, dst);
    default:
        return merge64(shuffles, is_float, base, n_groups, masks, steps, dst);
    }
}

static void directions(const struct mth_ulp_format *format, const uint8_t *base, const uint8_t *older,
                       size_t n_groups, uint8_t *out)
{
    bool is_float = format->exponent_bits > 0;
    switch (format->lane_bits) {
    case 8:
        directions8(is_float, base, older, n_groups, out);
        break;
    case 16:
        directions16(is_float, base, older, n_groups, out);
        break;
    case 32:
        directions32(is_float, base, older, n_groups, out);
        break;
    default:
        directions64(is_float, base, older, n_groups, out);
    }
}

static size_t collect(const struct mth_ulp_shuffles *shuffles, const uint8_t *restrict from, size_t n_groups,
                      const uint32_t *masks, uint8_t *restrict out)
{
    size_t done = 0, n = 0;
    for (size_t g = 0; g < n_groups; g += n, from += n * MTH_ULP_GROUP) {
        uint8_t places[MTH_ULP_PLACES_ROOM];
        n = n_groups - g < MTH_ULP_STRETCH ? n_groups - g : MTH_ULP_STRETCH;
        size_t n_places = mth_ulp_places(shuffles, masks + g, n, places);
        for (size_t k = 0; k < n_places; k += MTH_ULP_AT_ONCE)
            for (size_t j = k; j < k + MTH_ULP_AT_ONCE; j++)
                out[done + j] = from[places[j]];
        done += n_places;
    }
    return done;
}

const struct mth_ulp_kernels mth_ulp_portable = {
    .name = "portable",
    .contexts = contexts,
    .analyze = analyze,
    .merge = merge,
    .directions = directions,
    .collect = collect,
    .decode_flags = mth_ulp_scalar_decode_flags,
    .encode_flags = mth_ulp_scalar_encode_flags,
    .decode_symbols = mth_ulp_scalar_decode_symbols,
    .encode_symbols = mth_ulp_scalar_encode_symbols,
    .split16 = mth_ulp_portable_split16,
    .join16 = mth_ulp_portable_join16,
    .split32 = mth_ulp_long_split_portable,
    .join32 = mth_ulp_long_join_portable,
    .count = mth_ulp_portable_count,
    .count_contexts = mth_ulp_portable_count_contexts,
    .turns = &mth_ulp_turn_portable,
};
