/* The wide mode's AVX-512 source over intrinsics in plain C; see rans_emulated.h. */
#include "tests/support/rans_emulated.h"

#include "tests/support/avx512_emulated.h"

#define RANS_EMULATED
#define RANS_WIDE_NAME rans_wide_emulated

#include "codecs/rans/rans_wide_avx512.c"
