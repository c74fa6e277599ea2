/* The source of the AVX-512 kernels of ulp-rans over intrinsics in plain C; see ulp_rig.h. */
#include "tests/support/avx512_emulated.h"

#define RANS_EMULATED
#define ULP_NAME       ulp_emulated
#define ULP_REST       mth_ulp_portable
#define ULP_LONG_SPLIT mth_ulp_long_split_portable
#define ULP_LONG_JOIN  mth_ulp_long_join_portable

#include "codecs/ulp_rans/ulp_avx512.c"
