/* The source of the AVX-512 kernels of ulp-rans over intrinsics in plain C; see ulp_rig.h. */
#include "tests/support/avx512_emulated.h"

#include "codecs/ulp_rans/ulp_steps.h"
#include "tests/support/ulp_rig.h"

#define RANS_EMULATED
#define ULP_NAME       ulp_emulated
#define ULP_REST       mth_ulp_portable
#define ULP_SPLIT16    mth_ulp_emulated_split16
#define ULP_JOIN16     mth_ulp_emulated_join16
#define ULP_LONG_SPLIT ulp_emulated_split
#define ULP_LONG_JOIN  ulp_emulated_join

MTH_ULP_DECLARE_STEPS(emulated)

#include "codecs/ulp_rans/ulp_avx512.c"
