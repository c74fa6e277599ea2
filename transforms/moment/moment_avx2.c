/* The loops of the moments, compiled for AVX2 with its fused multiply-add. */
#if defined(__x86_64__) && defined(__GNUC__)

#define MTH_KERNEL __attribute__((target("avx2,fma")))
#define MTH_FMA    __builtin_fmaf
#include "transforms/moment/moment_template.h"

const struct mth_moment_kernels mth_moment_kernels_avx2 = {
    "avx2",  find16,     restore16, find24, restore24, find_sum, restore_sum, find_divided, restore_divided,
    split32, classify32, join32,    pack,   unpack,    deal32,   collect32,   find_scales};

#else

#include "transforms/moment/moment_kernels.h"

const struct mth_moment_kernels mth_moment_kernels_avx2 = {0};

#endif
