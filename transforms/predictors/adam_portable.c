/* The loops of Adam in plain C, and which table is taken; see adam_kernels.h. */
#include "transforms/predictors/adam_kernels.h"

#include "base/cpu.h"

#define MTH_KERNEL
#include "transforms/predictors/adam_template.h"

const struct mth_adam_kernels mth_adam_kernels_portable = {"portable", v, v24, v_sum, v_divided, w, drift};

const struct mth_adam_kernels *mth_adam_kernels_of(unsigned features)
{
    if (features & MTH_CPU_AVX512 && mth_adam_kernels_avx512.name)
        return &mth_adam_kernels_avx512;
    return features & MTH_CPU_AVX2 && mth_adam_kernels_avx2.name ? &mth_adam_kernels_avx2
                                                                 : &mth_adam_kernels_portable;
}
