/* Loops of the moments over a block of elements: one table an instruction set, all with the same bits. */
#ifndef MTH_TRANSFORMS_MOMENT_KERNELS_H
#define MTH_TRANSFORMS_MOMENT_KERNELS_H

#include "transforms/moment/scale_witnesses.h"
#include "transforms/predictors/adam.h"
#include "transforms/predictors/divided.h"
#include "transforms/predictors/sum.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MTH_MOMENT16_REST_BITS = 7, MTH_MOMENT16_BIAS = 128 };
enum {
    MTH_GRADIENT24_MIDDLE = 192
}; /* the half octave that sizes are told from, of gradients whose squares nobody averages */
enum {
    MTH_MOMENT32_CLASSES = 13,
    MTH_MOMENT32_CLASS_BIAS = 5,
    MTH_MOMENT32_BIAS = 62,
    MTH_MOMENT32_SIZES = 127,
    MTH_MOMENT32_LOW_BITS = 16,
    MTH_MOMENT32_HIGH_BITS = 6
};

/* What moment32 knows of a step: the share of m0 that stays, and half octaves of its weight above 1. */
struct mth_moment32_rule {
    float stays;
    int32_t weight;
};

/* What gradient24 knows of one: are sizes told from the root of v0, or from a middle? */
struct mth_gradient24_rule {
    struct mth_sum_rule sum;
    bool by_squares;
};

/* m0, v0: n elements before the step, m1: after it; n is MTH_MOMENT_BLOCK_ELEMS at most. */
struct mth_moment_kernels {
    const char *name; /* "avx2" */
    /* moment16: sizes and rests of the gradients that made m1; MTH_MOMENT_ESCAPE and 0 where the nearest did not. */
    void (*find16)(const struct mth_adam_rule *rule, const uint8_t *m0, const uint8_t *v0, const uint8_t *m1,
                   size_t n, uint8_t *sizes, uint8_t *rests);
    /* And back; what is written for escapes is of no use. 0 unless some size or rest is none. */
    uint32_t (*restore16)(const struct mth_adam_rule *rule, const uint8_t *m0, const uint8_t *v0,
                          const uint8_t *sizes, const uint8_t *rests, size_t n, uint8_t *m1);
    /* moment24: the same of gradients of 24 bits; lows: 8 more bits of each. */
    void (*find24)(const struct mth_adam_rule *rule, const uint8_t *m0, const uint8_t *v0, const uint8_t *m1,
                   size_t n, uint8_t *sizes, uint8_t *rests, uint8_t *lows);
    uint32_t (*restore24)(const struct mth_adam_rule *rule, const uint8_t *m0, const uint8_t *v0,
                          const uint8_t *sizes, const uint8_t *rests, const uint8_t *lows, size_t n,
                          uint8_t *m1);
    /* gradient24: the same by any rule; w0: weights before, or any where nothing decays. */
    void (*find_sum)(const struct mth_gradient24_rule *rule, const uint8_t *m0, const uint8_t *v0,
                     const uint8_t *w0, const uint8_t *m1, size_t n, uint8_t *sizes, uint8_t *rests,
                     uint8_t *lows);
    uint32_t (*restore_sum)(const struct mth_gradient24_rule *rule, const uint8_t *m0, const uint8_t *v0,
                            const uint8_t *w0, const uint8_t *sizes, const uint8_t *rests,
                            const uint8_t *lows, size_t n, uint8_t *m1);
    /* divided24: the same of what moved by gradients over the root of their squares. */
    void (*find_divided)(const struct mth_divided_rule *rule, const uint8_t *x0, const uint8_t *v0,
                         const uint8_t *w0, const uint8_t *x1, size_t n, uint8_t *sizes, uint8_t *rests,
                         uint8_t *lows);
    uint32_t (*restore_divided)(const struct mth_divided_rule *rule, const uint8_t *x0, const uint8_t *v0,
                                const uint8_t *w0, const uint8_t *sizes, const uint8_t *rests,
                                const uint8_t *lows, size_t n, uint8_t *x1);
    /* moment32: the class of each element, its symbol, and the rest of its mantissa in 16 bits and 6. */
    void (*split32)(const struct mth_moment32_rule *rule, const uint8_t *m0, const uint8_t *v0,
                    const uint8_t *m1, size_t n, uint8_t *classes, uint8_t *symbols, uint8_t *low,
                    uint8_t *high);
    void (*classify32)(const struct mth_moment32_rule *rule, const uint8_t *m0, const uint8_t *v0, size_t n,
                       uint8_t *classes);
    /* And back, as restore16. */
    uint32_t (*join32)(const struct mth_moment32_rule *rule, const uint8_t *m0, const uint8_t *v0,
                       const uint8_t *symbols, const uint8_t *low, const uint8_t *high, size_t n,
                       uint8_t *m1);
    /* mth_pack and mth_unpack of moment.h, of 6 bits or of 7. */
    void (*pack)(const uint8_t *symbols, size_t first, size_t n, unsigned bits, uint8_t *packed);
    void (*unpack)(const uint8_t *packed, size_t first, size_t n, unsigned bits, uint8_t *symbols);
    /* Symbols to where those of their classes end; ends move on. */
    void (*deal32)(const uint8_t *classes, const uint8_t *symbols, size_t n,
                   uint8_t *ends[MTH_MOMENT32_CLASSES]);
    /* And back, from where those of each class begin; starts move on. False where one is at its end; starts are of no use then. */
    bool (*collect32)(const uint8_t *classes, size_t n, const uint8_t *starts[MTH_MOMENT32_CLASSES],
                      const uint8_t *const ends[MTH_MOMENT32_CLASSES], uint8_t *symbols);
    /* Steps of a scale that all witnesses agree to but MTH_SCALE_MISSES at most, in their order: the first of each stretch. */
    void (*find_scales)(const struct mth_scale_witnesses *witnesses,
                        uint32_t agreed[MTH_SCALE_STRETCHES][MTH_SCALES_TRIED],
                        size_t n_agreed[MTH_SCALE_STRETCHES]);
};

extern const struct mth_moment_kernels mth_moment_kernels_portable;
extern const struct mth_moment_kernels mth_moment_kernels_avx2;   /* empty where it can not be compiled */
extern const struct mth_moment_kernels mth_moment_kernels_avx512; /* the same */
extern const struct mth_moment_kernels mth_moment_kernels_vbmi;   /* the same */

/* The best of a set of CPU features (mth_cpu_features()). */
const struct mth_moment_kernels *mth_moment_kernels_of(unsigned features);

/* Elements at `at`, n of them, to the bytes of moment24's streams and back (not 0: bytes that no element has), by the rule of one of the
 * transforms that have those streams; before: the references. */
typedef void mth_moment24_find(const struct mth_moment_kernels *kernels, const void *rule,
                               const struct mth_bytes *before, size_t at, const uint8_t *src, size_t n,
                               uint8_t *sizes, uint8_t *rests, uint8_t *lows);
typedef uint32_t mth_moment24_restore(const struct mth_moment_kernels *kernels, const void *rule,
                                      const struct mth_bytes *before, size_t at, const uint8_t *sizes,
                                      const uint8_t *rests, const uint8_t *lows, size_t n, uint8_t *dst);

/* forward and inverse of these transforms. */
int mth_moment24_forward(const struct mth_transform_job *job, const void *rule, mth_moment24_find *find,
                         const uint8_t *src, struct mth_buffer *streams);
int mth_moment24_inverse(const struct mth_transform_job *job, const void *rule, mth_moment24_restore *restore,
                         const struct mth_bytes *streams, uint8_t *dst);

#endif
