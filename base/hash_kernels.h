/* XXH3-64 for processors with wider vectors: the digest of mth_hash64, which calls them, at up to twice or four times the speed. */
#ifndef MTH_BASE_HASH_KERNELS_H
#define MTH_BASE_HASH_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define MTH_HASH_HAVE_X86 1

/* Requires  a processor with AVX2, or AVX-512 F (mth_cpu_features()) */
uint64_t mth_hash64_avx2(const void *data, size_t n_bytes, uint64_t seed);
uint64_t mth_hash64_avx512(const void *data, size_t n_bytes, uint64_t seed);
/* A piece more of mth_hash64_begin's state. */
void mth_hash64_add_avx2(void *state, const void *data, size_t n_bytes);
void mth_hash64_add_avx512(void *state, const void *data, size_t n_bytes);
/* Blocks of 1 KiB into the accumulators, with the 192 bytes of a secret; no other state. */
void mth_hash64_blocks_avx2(uint64_t accumulators[8], const uint8_t *secret, const uint8_t *data,
                            size_t n_blocks);
void mth_hash64_blocks_avx512(uint64_t accumulators[8], const uint8_t *secret, const uint8_t *data,
                              size_t n_blocks);

/* Of XXH3: a block is 16 stripes, for each of which 8 bytes of the secret are passed; it ends with the last ones of these. */
enum { MTH_XXH_STRIPE_BYTES = 64, MTH_XXH_STRIPES = 16, MTH_XXH_STEP = 8, MTH_XXH_END = 128 };
/* What is fetched ahead: see xxh3.h. */
enum { MTH_XXH_AHEAD = 4096 };
#endif

#endif
