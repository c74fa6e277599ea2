/* XXH3-64 by AVX2: the header of xxHash once more, with 256-bit accumulators; see hash_kernels.h. */
#include "base/hash_kernels.h"

#ifdef MTH_HASH_HAVE_X86

/* Before the attributes: these headers bring their own. */
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

#define XXH_VECTOR 2 /* XXH_AVX2 */
#include "base/xxh3.h"

uint64_t mth_hash64_avx2(const void *data, size_t n_bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, n_bytes, seed);
}

void mth_hash64_add_avx2(void *state, const void *data, size_t n_bytes)
{
    (void)XXH3_64bits_update(state, data, n_bytes);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int mth_hash_avx2_is_not_here;
#endif
