/* The source of the AVX-512 kernels of long steps over intrinsics in plain C; see ulp_rig.h. */
#include "tests/support/avx512_emulated.h"

#include "tests/support/ulp_rig.h"

#define RANS_EMULATED
#define ULP_LONG_SPLIT ulp_emulated_split
#define ULP_LONG_JOIN  ulp_emulated_join

#include "codecs/ulp_rans/ulp_long_avx512.c"
