/*
 * Predictors of what was rounded by chance; see rounded.h.
 *
 * The choice up or down is the rest of the value: what a coder needs is how near it was. So what is predicted is not the value next to
 * it but a stand-in whose exponent tells that, and elements are steps from it: by _rounded up where they went to the farther of both, by
 * _chance where they went away from zero. The latter tells more, as some schemes take to one side what they leave on the other, and costs less.
 */
#include "transforms/predictors/rounded.h"

#include "base/cpu.h"
#include "base/lane.h"
#include "transforms/predictors/float_bits.h"

#include <stdbool.h>

/* How far the value is from the nearest, in 15 classes up to half way; what is just a value is one of its own. */
enum { HALF_LOG2 = 15, N_CLASSES = 15, EXACT = 1, BF16_MANTISSA = 7, F16_MANTISSA = 10 };

/* How far it is from the one towards zero, in 14 classes up to the other: half way is between two of them. */
enum { UNIT_LOG2 = 16, N_WAYS = 14 };

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

/* ---- from the value towards zero ---- */

/* An fp32 value without what is cut off, and the exponent of its stand-in. */
struct below {
    uint16_t cut, exponent;
};

/*
 * left: not zero where anything was cut off; rest: how much, in units of 2^-16 of what lies between both, rounded down. Without a branch or
 * what a compiler makes one of, here and below, so that loops become vectors.
 */
MTH_ALWAYS_INLINE struct below below_of(uint32_t cut, uint32_t left, uint32_t rest)
{
    uint32_t inexact = 0 - ((left | (0 - left)) >> 31);
    uint32_t way = (rest * N_WAYS >> UNIT_LOG2) + 1;
    return (struct below){(uint16_t)cut, (uint16_t)(EXACT + (way & inexact))};
}

MTH_ALWAYS_INLINE struct below bf16_below(uint32_t x)
{
    enum { INFINITE = 0x7f800000 };
    uint32_t rest = x & 0xffff, nan = 0 - ((INFINITE - (x & 0x7fffffff)) >> 31);
    return below_of(x >> 16, rest & ~nan, rest);
}

/*
 * From 2^-14 on the bits in front are those of fp16 but for the bias. What is smaller is so many units of its last place, 2^-24, and a
 * part of one: both are exact in fp32.
 */
MTH_ALWAYS_INLINE struct below f16_below(uint32_t x)
{
    enum { LEAST_NORMAL = 113 << 23, BIAS = 112 << 23, CUT = 13, TOO_LARGE = 0x47800000, INFINITE = 0x7c00 };
    uint32_t magnitude = x & 0x7fffffff;
    uint32_t small = 0 - ((magnitude - LEAST_NORMAL) >> 31), large = 0 - ((TOO_LARGE - 1 - magnitude) >> 31);
    float units = mth_float_of(magnitude & small) * 0x1p24f;
    int32_t whole = (int32_t)units;
    float part = units - (float)whole;
    uint32_t normal_rest = magnitude << (UNIT_LOG2 - CUT) & 0xffff;
    uint32_t cut = ((uint32_t)whole & small) | ((magnitude - BIAS) >> CUT & ~small);
    uint32_t rest = ((uint32_t)(int32_t)(part * 0x1p16f) & small) | (normal_rest & ~small);
    uint32_t left = (mth_bits_of(part) & small) | (normal_rest & ~(small | large));
    return below_of((x >> 31) << 15 | (cut & ~large) | (INFINITE & large), left, rest);
}

/* The loops, for an instruction set: compilers make vectors of them. */
#define DEFINE_LOOPS(set, target, type, mantissa)                                                         \
    target static void type##_predict_##set(const uint8_t *restrict wide, size_t n, uint8_t *out)         \
    {                                                                                                     \
        for (size_t i = 0; i < n; i++) {                                                                  \
            struct below b = type##_below(mth_lane_load32(wide + 4 * i));                                 \
            mth_lane_store16(out + 2 * i, (uint16_t)(b.exponent << (mantissa)));                          \
        }                                                                                                 \
    }                                                                                                     \
    target static void type##_steps_##set(const uint8_t *restrict wide, const uint8_t *elems, size_t n,   \
                                          uint8_t *out)                                                   \
    {                                                                                                     \
        for (size_t i = 0; i < n; i++) {                                                                  \
            struct below b = type##_below(mth_lane_load32(wide + 4 * i));                                 \
            uint16_t elem = mth_lane_load16(elems + 2 * i);                                               \
            mth_lane_store16(out + 2 * i, (uint16_t)((b.exponent << (mantissa)) + elem - b.cut));         \
        }                                                                                                 \
    }                                                                                                     \
    target static void type##_restore_##set(const uint8_t *restrict wide, const uint8_t *steps, size_t n, \
                                            uint8_t *out)                                                 \
    {                                                                                                     \
        for (size_t i = 0; i < n; i++) {                                                                  \
            struct below b = type##_below(mth_lane_load32(wide + 4 * i));                                 \
            uint16_t step = mth_lane_load16(steps + 2 * i);                                               \
            mth_lane_store16(out + 2 * i, (uint16_t)(b.cut + step - (b.exponent << (mantissa))));         \
        }                                                                                                 \
    }

DEFINE_LOOPS(portable, , bf16, BF16_MANTISSA)
DEFINE_LOOPS(portable, , f16, F16_MANTISSA)

#if defined(__x86_64__) && defined(__GNUC__)
DEFINE_LOOPS(avx2, __attribute__((target("avx2"))), bf16, BF16_MANTISSA)
DEFINE_LOOPS(avx2, __attribute__((target("avx2"))), f16, F16_MANTISSA)
#define CALL(loop, ...) \
    (mth_cpu_features() & MTH_CPU_AVX2 ? loop##_avx2(__VA_ARGS__) : loop##_portable(__VA_ARGS__))
#else
#define CALL(loop, ...) loop##_portable(__VA_ARGS__)
#endif

#define DEFINE_CHANCE(type)                                                                            \
    void mth_predict_##type##_chance(const uint32_t *settings, const uint8_t *const *inputs, size_t n, \
                                     uint8_t *out)                                                     \
    {                                                                                                  \
        (void)settings;                                                                                \
        CALL(type##_predict, inputs[0], n, out);                                                       \
    }                                                                                                  \
    void mth_steps_##type##_chance(const uint8_t *const *inputs, const uint8_t *elems, size_t n,       \
                                   uint8_t *out)                                                       \
    {                                                                                                  \
        CALL(type##_steps, inputs[0], elems, n, out);                                                  \
    }                                                                                                  \
    void mth_restore_##type##_chance(const uint8_t *const *inputs, const uint8_t *steps, size_t n,     \
                                     uint8_t *out)                                                     \
    {                                                                                                  \
        CALL(type##_restore, inputs[0], steps, n, out);                                                \
    }

DEFINE_CHANCE(bf16)
DEFINE_CHANCE(f16)
