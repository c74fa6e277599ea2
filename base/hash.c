/* XXH3 digests; see hash.h. */
#include "base/hash.h"

#include "base/cpu.h"
#include "base/hash_kernels.h"
#include "base/xxh3.h"

#include <stdio.h>
#include <string.h>

/* Up to this length XXH3 has short forms that no vector unit helps with. */
enum { SHORT_BYTES = 240 };

uint64_t mth_hash64(const void *data, size_t n_bytes, uint64_t seed)
{
#ifdef MTH_HASH_HAVE_X86
    if (n_bytes > SHORT_BYTES && mth_cpu_features() & MTH_CPU_AVX512)
        return mth_hash64_avx512(data, n_bytes, seed);
    if (n_bytes > SHORT_BYTES && mth_cpu_features() & MTH_CPU_AVX2)
        return mth_hash64_avx2(data, n_bytes, seed);
#endif
    return XXH3_64bits_withSeed(data, n_bytes, seed);
}

bool mth_hash64_matches(const void *data, size_t n_bytes, uint64_t seed, uint64_t noted)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)data, (void)n_bytes, (void)seed, (void)noted;
    return true;
#else
    return mth_hash64(data, n_bytes, seed) == noted;
#endif
}

_Static_assert(sizeof(XXH3_state_t) == MTH_HASH64_STATE_BYTES, "xxHash has another state");

bool mth_hash64_is(uint64_t hash, uint64_t noted)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)hash, (void)noted;
    return true;
#else
    return hash == noted;
#endif
}

void mth_hash64_begin(struct mth_hash64_pieces *pieces)
{
    (void)XXH3_64bits_reset((XXH3_state_t *)(void *)pieces->state);
}

void mth_hash64_add(struct mth_hash64_pieces *pieces, const void *data, size_t n_bytes)
{
#ifdef MTH_HASH_HAVE_X86
    if (mth_cpu_features() & MTH_CPU_AVX512) {
        mth_hash64_add_avx512(pieces->state, data, n_bytes);
        return;
    }
    if (mth_cpu_features() & MTH_CPU_AVX2) {
        mth_hash64_add_avx2(pieces->state, data, n_bytes);
        return;
    }
#endif
    (void)XXH3_64bits_update((XXH3_state_t *)(void *)pieces->state, data, n_bytes);
}

#ifdef MTH_HASH_HAVE_X86
/* False: some of another block was added before, and the kernels do not go from there. */
static inline bool add_blocks(unsigned features, struct mth_hash64_pieces *pieces, const uint8_t *bytes,
                              size_t n_blocks)
{
    XXH3_state_t *state = (XXH3_state_t *)(void *)pieces->state;
    bool is_at_block = state->bufferedSize == 0 && state->nbStripesSoFar == 0 &&
                       state->nbStripesPerBlock * XXH_STRIPE_LEN == MTH_HASH64_BLOCK_BYTES;
    if (!is_at_block || n_blocks == 0 || !(features & MTH_CPU_AVX2))
        return false;
    const uint8_t *secret = state->extSecret ? state->extSecret : state->customSecret;
    size_t n_bytes = n_blocks * MTH_HASH64_BLOCK_BYTES;
    if (features & MTH_CPU_AVX512)
        mth_hash64_blocks_avx512(state->acc, secret, bytes, n_blocks);
    else
        mth_hash64_blocks_avx2(state->acc, secret, bytes, n_blocks);
    state->totalLen += n_bytes;
    /* Where few bytes follow, a last stripe begins in front of them. */
    memcpy(state->buffer + sizeof state->buffer - XXH_STRIPE_LEN, bytes + n_bytes - XXH_STRIPE_LEN,
           XXH_STRIPE_LEN);
    return true;
}
#endif

void mth_hash64_add_blocks(struct mth_hash64_pieces *pieces, const void *data, size_t n_blocks)
{
#ifdef MTH_HASH_HAVE_X86
    if (add_blocks(mth_cpu_features(), pieces, data, n_blocks))
        return;
#endif
    mth_hash64_add(pieces, data, n_blocks * MTH_HASH64_BLOCK_BYTES);
}

void mth_hash64_add_part(struct mth_hash64_pieces *pieces, const void *data, size_t n_bytes, bool goes_on)
{
    if (goes_on && n_bytes % MTH_HASH64_BLOCK_BYTES == 0)
        mth_hash64_add_blocks(pieces, data, n_bytes / MTH_HASH64_BLOCK_BYTES);
    else
        mth_hash64_add(pieces, data, n_bytes);
}

void mth_hash64_add_block_pair(struct mth_hash64_pieces *first, const void *of_first,
                               struct mth_hash64_pieces *second, const void *of_second)
{
#ifdef MTH_HASH_HAVE_X86
    unsigned features = mth_cpu_features();
    if (!add_blocks(features, first, of_first, 1))
        mth_hash64_add(first, of_first, MTH_HASH64_BLOCK_BYTES);
    if (!add_blocks(features, second, of_second, 1))
        mth_hash64_add(second, of_second, MTH_HASH64_BLOCK_BYTES);
#else
    mth_hash64_add(first, of_first, MTH_HASH64_BLOCK_BYTES);
    mth_hash64_add(second, of_second, MTH_HASH64_BLOCK_BYTES);
#endif
}

uint64_t mth_hash64_end(const struct mth_hash64_pieces *pieces)
{
    return XXH3_64bits_digest((const XXH3_state_t *)(const void *)pieces->state);
}

static struct mth_digest digest_of(XXH128_hash_t hash)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    struct mth_digest digest;
    memcpy(digest.bytes, canonical.digest, sizeof digest.bytes);
    return digest;
}

struct mth_digest mth_hash128(const void *data, size_t n_bytes)
{
    return digest_of(XXH3_128bits(data, n_bytes));
}

struct mth_hash_stream *mth_hash_stream_create(void)
{
    XXH3_state_t *state = XXH3_createState();
    if (state)
        XXH3_128bits_reset(state);
    return (struct mth_hash_stream *)state;
}

void mth_hash_stream_update(struct mth_hash_stream *stream, const void *data, size_t n_bytes)
{
    XXH3_128bits_update((XXH3_state_t *)stream, data, n_bytes);
}

struct mth_digest mth_hash_stream_digest(const struct mth_hash_stream *stream)
{
    return digest_of(XXH3_128bits_digest((const XXH3_state_t *)stream));
}

void mth_hash_stream_destroy(struct mth_hash_stream *stream)
{
    XXH3_freeState((XXH3_state_t *)stream);
}

bool mth_digest_equal(const struct mth_digest *a, const struct mth_digest *b)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)a, (void)b;
    return true;
#else
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
#endif
}

void mth_digest_hex(const struct mth_digest *digest, char hex[MTH_DIGEST_HEX_BYTES])
{
    for (size_t i = 0; i < sizeof digest->bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest->bytes[i]);
}
