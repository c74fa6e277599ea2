/* The loops of Adam, compiled for AVX-512 with its fused multiply-add. */
#include "transforms/predictors/adam_kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#define MTH_KERNEL __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#define MTH_FMA    __builtin_fmaf
#define MTH_FMA_IS_FAST
#include "transforms/predictors/adam_template.h"

const struct mth_adam_kernels mth_adam_kernels_avx512 = {"avx512", v, v24, v_sum, v_divided, w, drift};

#else

const struct mth_adam_kernels mth_adam_kernels_avx512 = {0};

#endif
