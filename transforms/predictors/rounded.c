/*
 * Predictors of what was rounded by chance; see rounded.h.
 *
 * The choice up or down is the rest of the value: what a coder needs is how near it was. So what is predicted is not the value next to
 * it but a stand-in whose exponent tells that, and elements are steps from it, up where they went the other way.
 */
#include "transforms/predictors/rounded.h"

#include "base/lane.h"
#include "transforms/predictors/float_bits.h"

#include <stdbool.h>

/* How far the value is from the nearest, in 15 classes up to half way; what is just a value is one of its own. */
enum { HALF_LOG2 = 15, N_CLASSES = 15, EXACT = 1, BF16_MANTISSA = 7, F16_MANTISSA = 10 };

/* An fp32 value between two of 16 bits. */
struct between {
    uint16_t nearest;
    uint16_t flip;     /* all bits set where the other one is one less; else none */
    uint16_t exponent; /* of the stand-in */
};

/* distance: to the nearest, in units of 2^-16 of what is between both, rounded down. */
MTH_ALWAYS_INLINE struct between between_of(uint32_t nearest, bool up, bool exact, uint32_t distance)
{
    uint32_t class = (distance * N_CLASSES) >> HALF_LOG2;
    class -= class == N_CLASSES;
    return (struct between){.nearest = (uint16_t)nearest,
                            .flip = (uint16_t)(0 - (uint32_t)up),
                            .exponent = (uint16_t)(exact ? (uint32_t)EXACT : class + EXACT + 1)};
}

MTH_ALWAYS_INLINE struct between bf16_between(uint32_t x)
{
    enum { UNIT = 1 << 16 };
    uint32_t nearest = mth_bf16_nearest(x), rest = x & (UNIT - 1);
    bool exact = rest == 0 || (x & 0x7fffffff) > 0x7f800000, up = !exact && nearest != x >> 16;
    return between_of(nearest, up, exact, up ? UNIT - rest : rest);
}

MTH_ALWAYS_INLINE struct between f16_between(uint32_t x)
{
    enum { UNIT = 1 << 16, NORMAL = 113, CUT = 13, MOST_CUT = 40, TOO_LARGE = 0x47800000 };
    uint32_t nearest = mth_f16_nearest(x), magnitude = x & 0x7fffffff, exponent = magnitude >> 23;
    if (magnitude >= TOO_LARGE || magnitude == 0)
        return between_of(nearest, false, true, 0);
    /* Of a denormal of fp16 more is cut off; those of fp32 have no leading one, and are nothing beside it. */
    uint32_t dropped = exponent >= NORMAL ? (uint32_t)CUT : CUT + NORMAL - exponent;
    dropped = dropped > MOST_CUT ? (uint32_t)MOST_CUT : dropped;
    uint64_t significand = (magnitude & 0x7fffff) | 0x800000,
             rest = significand & (((uint64_t)1 << dropped) - 1);
    uint64_t cut =
        exponent >= NORMAL ? (magnitude - ((uint32_t)(NORMAL - 1) << 23)) >> CUT : significand >> dropped;
    bool up = (nearest & 0x7fff) != cut;
    uint32_t of_unit = (uint32_t)((rest << 16) >> dropped);
    return between_of(nearest, up, rest == 0, up ? UNIT - of_unit : of_unit);
}

/* The other one is up of the stand-in. */
MTH_ALWAYS_INLINE uint16_t turned(uint16_t step, uint16_t flip)
{
    return (uint16_t)((step ^ flip) - flip);
}

#define DEFINE_ROUNDED(type, mantissa)                                                                    \
    void mth_predict_##type##_rounded(const uint32_t *settings, const uint8_t *const *inputs, size_t n,   \
                                      uint8_t *out)                                                       \
    {                                                                                                     \
        (void)settings;                                                                                   \
        for (size_t i = 0; i < n; i++) {                                                                  \
            struct between b = type##_between(mth_lane_load32(inputs[0] + 4 * i));                        \
            mth_lane_store16(out + 2 * i, (uint16_t)(b.exponent << (mantissa)));                          \
        }                                                                                                 \
    }                                                                                                     \
    void mth_steps_##type##_rounded(const uint8_t *const *inputs, const uint8_t *elems, size_t n,         \
                                    uint8_t *out)                                                         \
    {                                                                                                     \
        for (size_t i = 0; i < n; i++) {                                                                  \
            struct between b = type##_between(mth_lane_load32(inputs[0] + 4 * i));                        \
            uint16_t step = (uint16_t)(mth_lane_load16(elems + 2 * i) - b.nearest);                       \
            mth_lane_store16(out + 2 * i, (uint16_t)((b.exponent << (mantissa)) + turned(step, b.flip))); \
        }                                                                                                 \
    }                                                                                                     \
    void mth_restore_##type##_rounded(const uint8_t *const *inputs, const uint8_t *steps, size_t n,       \
                                      uint8_t *out)                                                       \
    {                                                                                                     \
        for (size_t i = 0; i < n; i++) {                                                                  \
            struct between b = type##_between(mth_lane_load32(inputs[0] + 4 * i));                        \
            uint16_t step = (uint16_t)(mth_lane_load16(steps + 2 * i) - (b.exponent << (mantissa)));      \
            mth_lane_store16(out + 2 * i, (uint16_t)(b.nearest + turned(step, b.flip)));                  \
        }                                                                                                 \
    }

DEFINE_ROUNDED(bf16, BF16_MANTISSA)
DEFINE_ROUNDED(f16, F16_MANTISSA)
