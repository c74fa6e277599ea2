/* The same of the steps of ulp-rans; see ulp_emulated.c. */
#include "tests/support/avx512_emulated.h"

#define RANS_EMULATED
#define ULP_SPLIT16 mth_ulp_emulated_split16
#define ULP_JOIN16  mth_ulp_emulated_join16

#include "codecs/ulp_rans/ulp_steps_avx512.c"
