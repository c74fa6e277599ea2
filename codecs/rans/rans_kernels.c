/* Which kernels run; see rans_narrow.h and rans_wide.h. */
#include "codecs/rans/rans_narrow.h"
#include "codecs/rans/rans_wide.h"

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

static const struct mth_rans_wide_kernels *const built_wide[] = {
    &mth_rans_wide_portable,
#ifdef MTH_RANS_WIDE_HAVE_X86
    &mth_rans_wide_avx2,
    &mth_rans_wide_avx512,
#endif
};

enum { N_BUILT_WIDE = sizeof built_wide / sizeof built_wide[0] };

const struct mth_rans_wide_kernels *mth_rans_wide_kernels_at(size_t i)
{
    return i < N_BUILT_WIDE ? built_wide[i] : NULL;
}

const struct mth_rans_wide_kernels *mth_rans_wide_kernels_for(unsigned features)
{
    size_t i = N_BUILT_WIDE - 1;
    while ((built_wide[i]->needs & features) != built_wide[i]->needs)
        i--;
    return built_wide[i];
}
