/* The same of how ulp-rans looks at elements; see ulp_emulated.c. */
#include "tests/support/avx512_emulated.h"

#include "tests/support/ulp_rig.h"

#define RANS_EMULATED
#define ULP_VIEW ulp_emulated_view

#include "codecs/ulp_rans/ulp_view_avx512.c"
