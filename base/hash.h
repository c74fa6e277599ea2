/* XXH3 digests. The hash is compiled inline from xxHash's header: a call into the shared library runs at half
 * the speed. */
#ifndef MTH_BASE_HASH_H
#define MTH_BASE_HASH_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* XXH3-128 in its canonical, big-endian byte order: the order in which tools print it. */
struct mth_digest {
    uint8_t bytes[16];
};

enum { MTH_DIGEST_HEX_BYTES = 33 };

/* XXH3-64 of n_bytes with a seed; 20 GiB/s in cache by SSE2, 36 by AVX2 on a Zen 3. */
uint64_t mth_hash64(const void *data, size_t n_bytes, uint64_t seed);

/*
 * Is XXH3-64 of these bytes what was noted? Always yes in a build for fuzzing, which would otherwise never get past
 * a checksum (FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION, the name that libFuzzer and others use).
 */
bool mth_hash64_matches(const void *data, size_t n_bytes, uint64_t seed, uint64_t noted);
/* The same of one that was taken. */
bool mth_hash64_is(uint64_t hash, uint64_t noted);

/* The same with seed 0 over pieces, for who has each of them in cache: begin, any number of pieces, end. */
enum { MTH_HASH64_STATE_BYTES = 576 };
struct mth_hash64_pieces {
    alignas(64) uint8_t state[MTH_HASH64_STATE_BYTES];
};
void mth_hash64_begin(struct mth_hash64_pieces *pieces);
void mth_hash64_add(struct mth_hash64_pieces *pieces, const void *data, size_t n_bytes);
/*
 * The same of whole blocks, faster where pieces are small.
 *
 * Requires  at least a byte is added behind them, before the end
 */
enum { MTH_HASH64_BLOCK_BYTES = 1024 };
void mth_hash64_add_blocks(struct mth_hash64_pieces *pieces, const void *data, size_t n_blocks);
/* One or the other: what is whole blocks, where goes_on tells that there is more behind it. */
void mth_hash64_add_part(struct mth_hash64_pieces *pieces, const void *data, size_t n_bytes, bool goes_on);
/* The same of two streams, a block each. */
void mth_hash64_add_block_pair(struct mth_hash64_pieces *first, const void *of_first,
                               struct mth_hash64_pieces *second, const void *of_second);
uint64_t mth_hash64_end(const struct mth_hash64_pieces *pieces);

/* XXH3-128 of n_bytes, seed 0. */
struct mth_digest mth_hash128(const void *data, size_t n_bytes);

/* XXH3-128 over pieces: begin, any number of updates, end. */
struct mth_hash_stream;
struct mth_hash_stream *mth_hash_stream_create(void);
void mth_hash_stream_update(struct mth_hash_stream *stream, const void *data, size_t n_bytes);
struct mth_digest mth_hash_stream_digest(const struct mth_hash_stream *stream);
void mth_hash_stream_destroy(struct mth_hash_stream *stream);

bool mth_digest_equal(const struct mth_digest *a, const struct mth_digest *b);

/* 32 lower-case hex digits and a NUL. */
void mth_digest_hex(const struct mth_digest *digest, char hex[MTH_DIGEST_HEX_BYTES]);

#endif
