/* The search for a scale, in a shape that compilers vectorise; part of moment_template.h. */
#include "transforms/moment/scale_witnesses.h"

/*
 * How many steps each witness that misses has to go until it is near a value of few bits again; 0 or less where it is. All are whole numbers, so that what
 * lies above by one more than it may be off is far.
 */
MTH_ALWAYS_INLINE void steps_of_each(const struct mth_scale_witnesses *witnesses, uint32_t step,
                                     double ahead[MTH_SCALE_WITNESSES])
{
    const uint64_t grid = (uint64_t)1 << (52 - witnesses->n_mantissa);
    const double inverse = mth_scale_inverse_at(step), to_next = (double)(int64_t)grid;
#pragma GCC unroll 1
    for (size_t i = 0; i < MTH_SCALE_WITNESSES; i++) {
        double above = mth_above_grid(witnesses->gradients[i] * inverse, grid - 1), off = witnesses->off[i];
        ahead[i] = mth_smaller(to_next - above - off, (above - off) * 0x1p53) * witnesses->steps_a_unit[i];
    }
}

/* The largest but MTH_SCALE_MISSES of them; 0 where there are no more above. */
MTH_ALWAYS_INLINE double largest_but_some(const double ahead[MTH_SCALE_WITNESSES])
{
    double farthest[MTH_SCALE_MISSES + 1] = {0};
    for (size_t i = 0; i < MTH_SCALE_WITNESSES; i++) {
        double next = ahead[i];
        for (size_t k = 0; k <= MTH_SCALE_MISSES; k++) {
            double rest = mth_smaller(farthest[k], next);
            farthest[k] = mth_larger(farthest[k], next);
            next = rest;
        }
    }
    return farthest[MTH_SCALE_MISSES];
}

/* Not more than that, and mostly not much less: of the largest of four parts the third, as no more than two miss. */
MTH_ALWAYS_INLINE double third_of_parts(const double ahead[MTH_SCALE_WITNESSES])
{
    enum { N_PARTS = 4 };
    double most[N_PARTS];
    for (size_t k = 0; k < N_PARTS; k++)
        most[k] = ahead[k];
    for (size_t i = N_PARTS; i < MTH_SCALE_WITNESSES; i += N_PARTS) {
        for (size_t k = 0; k < N_PARTS; k++)
            most[k] = mth_larger(most[k], ahead[i + k]);
    }
    return mth_smaller(mth_larger(mth_smaller(most[0], most[1]), mth_smaller(most[2], most[3])),
                       mth_smaller(mth_larger(most[0], most[1]), mth_larger(most[2], most[3])));
}

/*
 * 0 where the witnesses agree to a step, but MTH_SCALE_MISSES at most, else how many steps on they may, at least. Nothing branches on who does, which is a
 * coin.
 */
MTH_ALWAYS_INLINE uint32_t steps_to_go(const struct mth_scale_witnesses *witnesses, uint32_t step)
{
    double ahead[MTH_SCALE_WITNESSES], n;
    steps_of_each(witnesses, step, ahead);
    n = third_of_parts(ahead);
    n = n > 0 ? n : largest_but_some(ahead);
    return n > 1 ? (uint32_t)n : n > 0;
}

/* From one step that they may agree to, to the next is a chain of operations that each wait for the one before: so stretches are gone through side by side. */
MTH_KERNEL static void find_scales(const struct mth_scale_witnesses *witnesses,
                                   uint32_t agreed[MTH_SCALE_STRETCHES][MTH_SCALES_TRIED],
                                   size_t n_agreed[MTH_SCALE_STRETCHES])
{
    enum { N_STEPS = MTH_SCALE_STEPS / MTH_SCALE_STRETCHES };
    uint32_t steps[MTH_SCALE_STRETCHES];
    bool goes_on = true;
    for (uint32_t k = 0; k < MTH_SCALE_STRETCHES; k++) {
        steps[k] = k * N_STEPS;
        n_agreed[k] = 0;
    }
    while (goes_on) {
        goes_on = false;
        for (uint32_t k = 0; k < MTH_SCALE_STRETCHES; k++) {
            if (steps[k] >= (k + 1) * N_STEPS || n_agreed[k] == MTH_SCALES_TRIED)
                continue;
            uint32_t n = steps_to_go(witnesses, steps[k]);
            if (n == 0)
                agreed[k][n_agreed[k]++] = steps[k];
            steps[k] += n + (n == 0);
            goes_on = true;
        }
    }
}
