/* The kernels of exponent-split for any machine; see exponent_kernels.h. */
#include "transforms/exponent_split/exponent_kernels.h"

#include "base/status.h"

#define MTH_KERNEL
#include "transforms/exponent_split/exponent_template.h"

const struct mth_exponent_kernels mth_exponent_kernels_portable = {
    .name = "portable",
    .formats = {{8, 4, 3, split_e4m3, join_e4m3},
                {8, 5, 2, split_e5m2, join_e5m2},
                {16, 8, 7, split_bf16, join_bf16},
                {16, 5, 10, split_f16, join_f16},
                {32, 8, 23, split_f32, join_f32},
                {64, 11, 52, split_f64, join_f64}},
};
