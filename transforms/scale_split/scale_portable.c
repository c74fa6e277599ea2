/* The kernels of scale-split for any machine; see scale_kernels.h. */
#include "transforms/scale_split/scale_kernels.h"

#define MTH_KERNEL
#include "transforms/scale_split/scale_template.h"

const struct mth_scale_kernels mth_scale_kernels_portable = {
    .name = "portable",
    .bf16 = {7, add_exponents_bf16, add_zeros_bf16, take_symbols_bf16, put_symbols_bf16, take_rest_bf16,
             put_rest_bf16},
    .f16 = {10, add_exponents_f16, add_zeros_f16, take_symbols_f16, put_symbols_f16, take_rest_f16,
            put_rest_f16},
};
