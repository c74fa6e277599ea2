/* The AVX-512 kernels of the codec rans, run without such a processor. */
#ifndef MTH_TESTS_RANS_EMULATED_H
#define MTH_TESTS_RANS_EMULATED_H

#include "codecs/rans/rans_narrow.h"
#include "codecs/rans/rans_wide.h"

extern const struct mth_rans_narrow_kernels rans_narrow_emulated;
extern const struct mth_rans_wide_kernels rans_wide_emulated;

#endif
