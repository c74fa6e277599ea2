/* XXH3-64 for processors with AVX2: the same digest as mth_hash64, which calls it, at up to twice the speed. */
#ifndef MTH_BASE_HASH_AVX2_H
#define MTH_BASE_HASH_AVX2_H

#include <stddef.h>
#include <stdint.h>

/* Requires  a processor with AVX2 where it was compiled for one (mth_cpu_features()) */
uint64_t mth_hash64_avx2(const void *data, size_t n_bytes, uint64_t seed);

#endif
