/* The loops of Adam, compiled for AVX2: without the fused multiply-add, which the portable ones do not have. */
#include "transforms/predictors/adam_kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#define MTH_KERNEL __attribute__((target("avx2")))
#include "transforms/predictors/adam_template.h"

const struct mth_adam_kernels mth_adam_kernels_avx2 = {"avx2", v, w, gradients16, moments16};

#else

const struct mth_adam_kernels mth_adam_kernels_avx2 = {0};

#endif
