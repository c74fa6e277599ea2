/* The same of the symbols of ulp-rans; see ulp_emulated.c. */
#include "tests/support/avx512_emulated.h"

#include "tests/support/ulp_rig.h"

#define RANS_EMULATED
#define ULP_REST           mth_ulp_portable
#define ULP_DECODE_SYMBOLS ulp_emulated_decode_symbols
#define ULP_ENCODE_SYMBOLS ulp_emulated_encode_symbols

#include "codecs/ulp_rans/ulp_symbols_avx512.c"
