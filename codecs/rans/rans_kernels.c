/* Which kernels run; see rans_narrow.h. */
#include "codecs/rans/rans_narrow.h"

/* From the plainest to the fastest. */
static const struct mth_rans_narrow_kernels *const built[] = {
    &mth_rans_narrow_portable,
#ifdef MTH_RANS_HAVE_X86
    &mth_rans_narrow_avx2,
    &mth_rans_narrow_avx512,
#endif
#ifdef MTH_RANS_HAVE_NEON
    &mth_rans_narrow_neon,
#endif
};

enum { N_BUILT = sizeof built / sizeof built[0] };

const struct mth_rans_narrow_kernels *mth_rans_narrow_kernels_at(size_t i)
{
    return i < N_BUILT ? built[i] : NULL;
}

const struct mth_rans_narrow_kernels *mth_rans_narrow_kernels_for(unsigned features)
{
    size_t i = N_BUILT - 1;
    while ((built[i]->needs & features) != built[i]->needs)
        i--;
    return built[i];
}
