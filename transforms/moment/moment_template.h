/* The loops of moment_kernels.h, in a shape that compilers vectorise. Before it: MTH_KERNEL, the attributes of a kernel, and MTH_FMA. */
#include "transforms/moment/moment.h"
#include "transforms/moment/moment_kernels.h"
#include "transforms/moment/scale_template.h"

/* ---- packed symbols: each number of bits a constant ---- */

MTH_KERNEL static void pack(const uint8_t *symbols, size_t first, size_t n, unsigned bits, uint8_t *packed)
{
    if (bits == MTH_MOMENT32_HIGH_BITS)
        mth_pack(symbols, first, n, MTH_MOMENT32_HIGH_BITS, packed);
    else
        mth_pack(symbols, first, n, MTH_MOMENT16_REST_BITS, packed);
}

MTH_KERNEL static void unpack(const uint8_t *packed, size_t first, size_t n, unsigned bits, uint8_t *symbols)
{
    if (bits == MTH_MOMENT32_HIGH_BITS)
        mth_unpack(packed, first, n, MTH_MOMENT32_HIGH_BITS, symbols);
    else
        mth_unpack(packed, first, n, MTH_MOMENT16_REST_BITS, symbols);
}

/* ---- moment16 ---- */

MTH_KERNEL static void find16(const struct mth_adam_rule *rule, const uint8_t *restrict before,
                              const uint8_t *restrict squares, const uint8_t *restrict after, size_t n,
                              uint8_t *restrict sizes, uint8_t *restrict rests)
{
    const struct mth_adam_rule r = *rule;
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i));
        uint32_t m1 = mth_lane_load32(after + 4 * i), v0 = mth_lane_load32(squares + 4 * i);
        uint16_t g = mth_adam_gradient16(&r, mth_adam_gradient(&r, m0, mth_float_of(m1)));
        uint32_t size = (uint32_t)((g >> 6 & 0x1ff) - mth_half_octave_of_root(v0) + MTH_MOMENT16_BIAS);
        uint32_t fits = mth_adam_fits(&r, m0, g, m1) & (0 - (uint32_t)(size < MTH_MOMENT_ESCAPE));
        sizes[i] = (uint8_t)((size & fits) | (MTH_MOMENT_ESCAPE & ~fits));
        rests[i] = (uint8_t)(((uint32_t)g >> 15 << 6 | (g & 0x3f)) & fits);
    }
}

MTH_KERNEL static uint32_t restore16(const struct mth_adam_rule *rule, const uint8_t *restrict before,
                                     const uint8_t *restrict squares, const uint8_t *restrict sizes,
                                     const uint8_t *restrict rests, size_t n, uint8_t *restrict after)
{
    const struct mth_adam_rule r = *rule;
    uint32_t unsound = 0;
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i));
        uint32_t rest = rests[i], escapes = 0 - (uint32_t)(sizes[i] == MTH_MOMENT_ESCAPE);
        uint32_t top = (uint32_t)(sizes[i] - MTH_MOMENT16_BIAS +
                                  mth_half_octave_of_root(mth_lane_load32(squares + 4 * i)));
        unsound |= (~escapes & (top & ~0x1ffu)) | (escapes & rest);
        uint32_t g = rest >> 6 << 15 | (top & 0x1ff) << 6 | (rest & 0x3f);
        float scaled = mth_adam_scaled(&r, (uint16_t)g);
        mth_lane_store32(after + 4 * i, mth_bits_of(mth_adam_m(&r, m0, scaled)));
    }
    return unsound;
}

/* ---- moment24 ---- */

MTH_KERNEL static void find24(const struct mth_adam_rule *rule, const uint8_t *restrict before,
                              const uint8_t *restrict squares, const uint8_t *restrict after, size_t n,
                              uint8_t *restrict sizes, uint8_t *restrict rests, uint8_t *restrict lows)
{
    const struct mth_adam_rule r = *rule;
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i));
        uint32_t m1 = mth_lane_load32(after + 4 * i), v0 = mth_lane_load32(squares + 4 * i), fits;
        uint32_t g = mth_adam_gradient24(&r, m0, m1, mth_adam_gradient(&r, m0, mth_float_of(m1)), &fits);
        uint32_t size = (uint32_t)(mth_half_octave(g) - mth_half_octave_of_root(v0) + MTH_MOMENT16_BIAS);
        fits &= 0 - (uint32_t)(size < MTH_MOMENT_ESCAPE);
        sizes[i] = (uint8_t)((size & fits) | (MTH_MOMENT_ESCAPE & ~fits));
        rests[i] = (uint8_t)((g >> 31 << 6 | (g >> 16 & 0x3f)) & fits);
        lows[i] = (uint8_t)(g >> 8 & fits);
    }
}

MTH_KERNEL static uint32_t restore24(const struct mth_adam_rule *rule, const uint8_t *restrict before,
                                     const uint8_t *restrict squares, const uint8_t *restrict sizes,
                                     const uint8_t *restrict rests, const uint8_t *restrict lows, size_t n,
                                     uint8_t *restrict after)
{
    const struct mth_adam_rule r = *rule;
    uint32_t unsound = 0;
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i));
        uint32_t rest = rests[i], low = lows[i], escapes = 0 - (uint32_t)(sizes[i] == MTH_MOMENT_ESCAPE);
        uint32_t top = (uint32_t)(sizes[i] - MTH_MOMENT16_BIAS +
                                  mth_half_octave_of_root(mth_lane_load32(squares + 4 * i)));
        unsound |= (~escapes & (top & ~0x1ffu)) | (escapes & (rest | low));
        uint32_t g = rest >> 6 << 31 | (top & 0x1ff) << 22 | (rest & 0x3f) << 16 | low << 8;
        mth_lane_store32(after + 4 * i, mth_bits_of(mth_adam_m(&r, m0, mth_float_of(g) * r.scale)));
    }
    return unsound;
}

/* ---- gradient24: a loop for each form of a rule ---- */

/* Half octaves that a gradient's size is told from. */
MTH_ALWAYS_INLINE int32_t middle_of(const struct mth_gradient24_rule *rule, uint32_t v0)
{
    int32_t by_squares = 0 - (int32_t)rule->by_squares;
    return (mth_half_octave_of_root(v0) & by_squares) | (MTH_GRADIENT24_MIDDLE & ~by_squares);
}

/* A gradient's symbols. */
MTH_ALWAYS_INLINE void put_gradient(uint32_t g, uint32_t fits, int32_t middle, size_t i,
                                    uint8_t *restrict sizes, uint8_t *restrict rests, uint8_t *restrict lows)
{
    uint32_t size = (uint32_t)(mth_half_octave(g) - middle + MTH_MOMENT16_BIAS);
    uint32_t tiny = 0 - (uint32_t)(mth_half_octave(g) == 0);
    fits &= tiny | (0 - (uint32_t)(size - 1 < MTH_MOMENT_ESCAPE - 1));
    sizes[i] = (uint8_t)((size & ~tiny & fits) | (MTH_MOMENT_ESCAPE & ~fits));
    rests[i] = (uint8_t)((g >> 31 << 6 | (g >> 16 & 0x3f)) & fits);
    lows[i] = (uint8_t)(g >> 8 & fits);
}

/* And back. unsound: 0 unless they are none. */
MTH_ALWAYS_INLINE uint32_t take_gradient(uint8_t size, uint32_t rest, uint32_t low, int32_t middle,
                                         uint32_t *unsound)
{
    uint32_t escapes = 0 - (uint32_t)(size == MTH_MOMENT_ESCAPE), tiny = 0 - (uint32_t)(size == 0);
    uint32_t top = (uint32_t)(size - MTH_MOMENT16_BIAS + middle);
    *unsound |= (~(escapes | tiny) & (0 - (uint32_t)(top - 1 >= 0x1ff))) | (escapes & (rest | low));
    return rest >> 6 << 31 | (top & 0x1ff & ~tiny) << 22 | (rest & 0x3f) << 16 | low << 8;
}

MTH_ALWAYS_INLINE void find_in_form(struct mth_sum_form form, const struct mth_gradient24_rule *rule,
                                    const uint8_t *restrict before, const uint8_t *restrict squares,
                                    const uint8_t *restrict weights, const uint8_t *restrict after, size_t n,
                                    uint8_t *restrict sizes, uint8_t *restrict rests, uint8_t *restrict lows)
{
    const struct mth_gradient24_rule r = *rule;
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i)),
              w0 = mth_float_of(mth_lane_load32(weights + 4 * i));
        uint32_t m1 = mth_lane_load32(after + 4 * i), v0 = mth_lane_load32(squares + 4 * i), fits;
        uint32_t g = mth_sum_gradient(&r.sum, form, m0, w0, m1, &fits);
        put_gradient(g, fits, middle_of(&r, v0), i, sizes, rests, lows);
    }
}

MTH_ALWAYS_INLINE uint32_t restore_in_form(struct mth_sum_form form, const struct mth_gradient24_rule *rule,
                                           const uint8_t *restrict before, const uint8_t *restrict squares,
                                           const uint8_t *restrict weights, const uint8_t *restrict sizes,
                                           const uint8_t *restrict rests, const uint8_t *restrict lows,
                                           size_t n, uint8_t *restrict after)
{
    const struct mth_gradient24_rule r = *rule;
    uint32_t unsound = 0;
    for (size_t i = 0; i < n; i++) {
        float m0 = mth_float_of(mth_lane_load32(before + 4 * i)),
              w0 = mth_float_of(mth_lane_load32(weights + 4 * i));
        int32_t middle = middle_of(&r, mth_lane_load32(squares + 4 * i));
        uint32_t g = take_gradient(sizes[i], rests[i], lows[i], middle, &unsound);
        float added = mth_sum_added(&r.sum, form, w0, mth_float_of(g) * r.sum.scale);
        mth_lane_store32(after + 4 * i, mth_bits_of(mth_sum_after(&r.sum, form, m0, added)));
    }
    return unsound;
}

MTH_KERNEL static void find_sum(const struct mth_gradient24_rule *rule, const uint8_t *before,
                                const uint8_t *squares, const uint8_t *weights, const uint8_t *after,
                                size_t n, uint8_t *sizes, uint8_t *rests, uint8_t *lows)
{
    MTH_BY_SUM_FORM(&rule->sum, find_in_form, rule, before, squares, weights, after, n, sizes, rests, lows);
}

MTH_KERNEL static uint32_t restore_sum(const struct mth_gradient24_rule *rule, const uint8_t *before,
                                       const uint8_t *squares, const uint8_t *weights, const uint8_t *sizes,
                                       const uint8_t *rests, const uint8_t *lows, size_t n, uint8_t *after)
{
    return MTH_BY_SUM_FORM(&rule->sum, restore_in_form, rule, before, squares, weights, sizes, rests, lows, n,
                           after);
}

/* ---- divided24 ---- */

MTH_KERNEL static void find_divided(const struct mth_divided_rule *rule, const uint8_t *restrict before,
                                    const uint8_t *restrict squares, const uint8_t *restrict weights,
                                    const uint8_t *restrict after, size_t n, uint8_t *restrict sizes,
                                    uint8_t *restrict rests, uint8_t *restrict lows)
{
    const struct mth_divided_rule r = *rule;
    for (size_t i = 0; i < n; i++) {
        float x0 = mth_float_of(mth_lane_load32(before + 4 * i)),
              w0 = mth_float_of(mth_lane_load32(weights + 4 * i));
        uint32_t x1 = mth_lane_load32(after + 4 * i), v0 = mth_lane_load32(squares + 4 * i), fits;
        float difference = mth_divided_difference(&r, x0, mth_float_of(v0), mth_float_of(x1));
        uint32_t g = mth_divided_gradient(&r, x0, mth_float_of(v0), w0, x1, difference, &fits);
        put_gradient(g, fits, mth_half_octave_of_root(v0), i, sizes, rests, lows);
    }
}

MTH_KERNEL static uint32_t restore_divided(const struct mth_divided_rule *rule,
                                           const uint8_t *restrict before, const uint8_t *restrict squares,
                                           const uint8_t *restrict weights, const uint8_t *restrict sizes,
                                           const uint8_t *restrict rests, const uint8_t *restrict lows,
                                           size_t n, uint8_t *restrict after)
{
    const struct mth_divided_rule r = *rule;
    uint32_t unsound = 0;
    for (size_t i = 0; i < n; i++) {
        float x0 = mth_float_of(mth_lane_load32(before + 4 * i)),
              w0 = mth_float_of(mth_lane_load32(weights + 4 * i));
        uint32_t v0 = mth_lane_load32(squares + 4 * i);
        uint32_t g = take_gradient(sizes[i], rests[i], lows[i], mth_half_octave_of_root(v0), &unsound);
        float added = mth_divided_added(&r, w0, mth_float_of(g) * r.scale);
        mth_lane_store32(after + 4 * i, mth_bits_of(mth_divided_moved(&r, x0, mth_float_of(v0), added)));
    }
    return unsound;
}

/* ---- moment32 ---- */

/* What is known of an element before it is there. */
struct expected {
    int32_t class, anchor;
    uint32_t sign;
};

MTH_ALWAYS_INLINE struct expected expect(const struct mth_moment32_rule *rule, uint32_t m0, uint32_t v0)
{
    uint32_t p = mth_bits_of(rule->stays * mth_float_of(m0));
    int32_t size = mth_half_octave(p), scale = mth_half_octave_of_root(v0) + rule->weight;
    int32_t above = size - scale + MTH_MOMENT32_CLASS_BIAS;
    above = above < 0 ? 0 : above;
    above = above < MTH_MOMENT32_CLASSES ? above : MTH_MOMENT32_CLASSES - 1;
    return (struct expected){.class = above, .anchor = above == 0 ? scale : size, .sign = p >> 31};
}

MTH_KERNEL static void split32(const struct mth_moment32_rule *rule, const uint8_t *restrict before,
                               const uint8_t *restrict squares, const uint8_t *restrict after, size_t n,
                               uint8_t *restrict classes, uint8_t *restrict symbols, uint8_t *restrict low,
                               uint8_t *restrict high)
{
    const struct mth_moment32_rule r = *rule;
    for (size_t i = 0; i < n; i++) {
        uint32_t m1 = mth_lane_load32(after + 4 * i);
        struct expected e = expect(&r, mth_lane_load32(before + 4 * i), mth_lane_load32(squares + 4 * i));
        uint32_t size = (uint32_t)(mth_half_octave(m1) - e.anchor + MTH_MOMENT32_BIAS);
        uint32_t fits = 0 - (uint32_t)(size < MTH_MOMENT32_SIZES);
        classes[i] = (uint8_t)e.class;
        symbols[i] = (uint8_t)(((size << 1 | (m1 >> 31 ^ e.sign)) & fits) | (MTH_MOMENT_ESCAPE & ~fits));
        mth_lane_store16(low + 2 * i, (uint16_t)(m1 & fits));
        high[i] = (uint8_t)(m1 >> MTH_MOMENT32_LOW_BITS & 0x3f & fits);
    }
}

MTH_KERNEL static void classify32(const struct mth_moment32_rule *rule, const uint8_t *restrict before,
                                  const uint8_t *restrict squares, size_t n, uint8_t *restrict classes)
{
    const struct mth_moment32_rule r = *rule;
    for (size_t i = 0; i < n; i++)
        classes[i] =
            (uint8_t)expect(&r, mth_lane_load32(before + 4 * i), mth_lane_load32(squares + 4 * i)).class;
}

MTH_KERNEL static uint32_t join32(const struct mth_moment32_rule *rule, const uint8_t *restrict before,
                                  const uint8_t *restrict squares, const uint8_t *restrict symbols,
                                  const uint8_t *restrict low, const uint8_t *restrict high, size_t n,
                                  uint8_t *restrict after)
{
    const struct mth_moment32_rule r = *rule;
    uint32_t unsound = 0;
    for (size_t i = 0; i < n; i++) {
        struct expected e = expect(&r, mth_lane_load32(before + 4 * i), mth_lane_load32(squares + 4 * i));
        uint32_t symbol = symbols[i], escapes = 0 - (uint32_t)(symbol == MTH_MOMENT_ESCAPE);
        uint32_t rest = mth_lane_load16(low + 2 * i) | (uint32_t)high[i] << MTH_MOMENT32_LOW_BITS;
        uint32_t size = (uint32_t)((int32_t)(symbol >> 1) - MTH_MOMENT32_BIAS + e.anchor);
        unsound |= (~escapes & ((size & ~0x1ffu) | (symbol >> 1 == MTH_MOMENT32_SIZES))) | (escapes & rest);
        mth_lane_store32(after + 4 * i, ((symbol & 1) ^ e.sign) << 31 | (size & 0x1ff) << 22 | rest);
    }
    return unsound;
}

#ifndef MTH_SORTS_BY_VECTORS
MTH_KERNEL static void deal32(const uint8_t *restrict classes, const uint8_t *restrict symbols, size_t n,
                              uint8_t *ends[MTH_MOMENT32_CLASSES])
{
    uint8_t *at[MTH_MOMENT32_CLASSES];
    memcpy(at, ends, sizeof at);
    for (size_t i = 0; i < n; i++)
        *at[classes[i]]++ = symbols[i];
    memcpy(ends, at, sizeof at);
}

MTH_KERNEL static bool collect32(const uint8_t *restrict classes, size_t n,
                                 const uint8_t *starts[MTH_MOMENT32_CLASSES],
                                 const uint8_t *const ends[MTH_MOMENT32_CLASSES], uint8_t *restrict symbols)
{
    const uint8_t *at[MTH_MOMENT32_CLASSES];
    memcpy(at, starts, sizeof at);
    for (size_t i = 0; i < n; i++) {
        if (at[classes[i]] == ends[classes[i]])
            return false;
        symbols[i] = *at[classes[i]]++;
    }
    memcpy(starts, at, sizeof at);
    return true;
}
#endif
