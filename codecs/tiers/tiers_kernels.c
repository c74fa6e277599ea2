/* Which kernels run; see tiers_kernels.h. */
#include "codecs/tiers/tiers_kernels.h"

/* From the plainest to the fastest. */
static const struct mth_tiers_kernels *const built[] = {
    &mth_tiers_portable,
#ifdef MTH_TIERS_HAVE_X86
    &mth_tiers_avx2,
#endif
};

enum { N_BUILT = sizeof built / sizeof built[0] };

const struct mth_tiers_kernels *mth_tiers_kernels_at(size_t i)
{
    return i < N_BUILT ? built[i] : NULL;
}

const struct mth_tiers_kernels *mth_tiers_kernels_for(unsigned features)
{
    size_t i = N_BUILT - 1;
    while ((built[i]->needs & features) != built[i]->needs)
        i--;
    return built[i];
}
