/* Which kernels run, and the shuffles that vectors use; see ulp_kernels.h. */
#include "codecs/ulp_rans/ulp_kernels.h"

#include <string.h>

/* From the plainest to the fastest. */
static const struct mth_ulp_kernels *const built[] = {
    &mth_ulp_portable,
#ifdef MTH_RANS_HAVE_X86
    &mth_ulp_avx2,
    &mth_ulp_avx512,
#endif
};

enum { N_BUILT = sizeof built / sizeof built[0] };

const struct mth_ulp_kernels *mth_ulp_kernels_at(size_t i)
{
    return i < N_BUILT ? built[i] : NULL;
}

const struct mth_ulp_kernels *mth_ulp_kernels_for(unsigned features)
{
    size_t i = N_BUILT - 1;
    while ((built[i]->needs & features) != built[i]->needs)
        i--;
    return built[i];
}

void mth_ulp_shuffles_fill(struct mth_ulp_shuffles *shuffles)
{
    enum { ZERO = 0x80, LANES = 8 };
    memset(shuffles, ZERO, sizeof *shuffles);
    for (unsigned mask = 0; mask < 256; mask++) {
        unsigned n = 0;
        for (unsigned lane = 0; lane < LANES; lane++) {
            if (!(mask >> lane & 1))
                continue;
            shuffles->gather8[mask][n] = (uint8_t)lane;
            shuffles->scatter8[mask][lane] = (uint8_t)n;
            for (unsigned half = 0; half < 2; half++) {
                shuffles->gather16[mask][2 * n + half] = (uint8_t)(2 * lane + half);
                shuffles->scatter16[mask][2 * lane + half] = (uint8_t)(2 * n + half);
            }
            n++;
        }
    }
}
