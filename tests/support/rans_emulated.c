/* The source of the AVX-512 kernels over intrinsics in plain C; see rans_emulated.h. */
#include "tests/support/rans_emulated.h"

#include "tests/support/avx512_emulated.h"

#define RANS_EMULATED
#define RANS_NAME     rans_narrow_emulated
#define RANS_32_LANES mth_rans_narrow_portable

#include "codecs/rans/rans_narrow_avx512.c"
