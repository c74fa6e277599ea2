/* The loops of the moments in plain C, and which table is taken; see moment_kernels.h. */
#include "base/cpu.h"

#define MTH_KERNEL
#include "transforms/moment/moment_template.h"

const struct mth_moment_kernels mth_moment_kernels_portable = {
    "portable",  find16,       restore16,       find24,    restore24,  find_sum,
    restore_sum, find_divided, restore_divided, split32,   classify32, join32,
    pack,        unpack,       deal32,          collect32, find_scales};

const struct mth_moment_kernels *mth_moment_kernels_of(unsigned features)
{
    if (features & MTH_CPU_AVX512 && features & MTH_CPU_VBMI && mth_moment_kernels_vbmi.name)
        return &mth_moment_kernels_vbmi;
    if (features & MTH_CPU_AVX512 && mth_moment_kernels_avx512.name)
        return &mth_moment_kernels_avx512;
    return features & MTH_CPU_AVX2 && mth_moment_kernels_avx2.name ? &mth_moment_kernels_avx2
                                                                   : &mth_moment_kernels_portable;
}
