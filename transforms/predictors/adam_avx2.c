/* The loops of Adam, compiled for AVX2 with its fused multiply-add. */
#include "transforms/predictors/adam_kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#define MTH_KERNEL __attribute__((target("avx2,fma")))
#define MTH_FMA    __builtin_fmaf
#define MTH_FMA_IS_FAST
#include "transforms/predictors/adam_template.h"

const struct mth_adam_kernels mth_adam_kernels_avx2 = {"avx2", v, v24, v_sum, v_divided, w, drift};

#else

const struct mth_adam_kernels mth_adam_kernels_avx2 = {0};

#endif
