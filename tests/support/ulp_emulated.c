/* The source of the AVX-512 kernels of ulp-rans over intrinsics in plain C; see ulp_rig.h. */
#include "tests/support/avx512_emulated.h"

#include "codecs/ulp_rans/ulp_steps.h"
#include "tests/support/ulp_rig.h"

#define RANS_EMULATED
#define ULP_NAME           ulp_emulated
#define ULP_REST           mth_ulp_portable
#define ULP_DECODE_SYMBOLS ulp_emulated_decode_symbols
#define ULP_ENCODE_SYMBOLS ulp_emulated_encode_symbols
#define ULP_DIRECTIONS     emulated_directions
#define ULP_TURNS          mth_ulp_turn_portable
#define ULP_SPLIT16        mth_ulp_emulated_split16
#define ULP_JOIN16         mth_ulp_emulated_join16
#define ULP_COUNT          ulp_emulated_count
#define ULP_COUNT_CONTEXTS ulp_emulated_count_contexts
#define ULP_VIEW           ulp_emulated_view
#define ULP_LONG_SPLIT     ulp_emulated_split
#define ULP_LONG_JOIN      ulp_emulated_join

MTH_ULP_DECLARE_STEPS(emulated)

/* They have a file of their own, which is not run here. */
static void emulated_directions(const struct mth_ulp_format *format, const uint8_t *base,
                                const uint8_t *older, size_t n_groups, uint8_t *out)
{
    mth_ulp_portable.directions(format, base, older, n_groups, out);
}

#include "codecs/ulp_rans/ulp_avx512.c"
