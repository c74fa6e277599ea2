/* The same of how ulp-rans counts; see ulp_emulated.c. */
#include "tests/support/avx512_emulated.h"

#include "tests/support/ulp_rig.h"

#define RANS_EMULATED
#define ULP_COUNT          ulp_emulated_count
#define ULP_COUNT_CONTEXTS ulp_emulated_count_contexts

#include "codecs/ulp_rans/ulp_count_avx512.c"
