/* Loops over a step of Adam: one table an instruction set, all with the same bits. */
#ifndef MTH_TRANSFORMS_ADAM_KERNELS_H
#define MTH_TRANSFORMS_ADAM_KERNELS_H

#include <stddef.h>
#include <stdint.h>

struct mth_adam_kernels {
    const char *name; /* "avx2" */
    /* As the predictors of predictor.h. */
    void (*v)(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
    void (*v24)(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
    void (*v_sum)(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
    void (*v_divided)(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
    void (*w)(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
    void (*drift)(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
};

extern const struct mth_adam_kernels mth_adam_kernels_portable;
extern const struct mth_adam_kernels mth_adam_kernels_avx2;   /* empty where it can not be compiled */
extern const struct mth_adam_kernels mth_adam_kernels_avx512; /* the same */

/* The best of a set of CPU features (mth_cpu_features()). */
const struct mth_adam_kernels *mth_adam_kernels_of(unsigned features);

#endif
