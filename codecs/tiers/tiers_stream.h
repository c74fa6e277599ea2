/* What encoder and decoder of the codec share; spec.md describes the bytes. */
#ifndef MTH_CODECS_TIERS_STREAM_H
#define MTH_CODECS_TIERS_STREAM_H

#include "codecs/codec.h"
#include "codecs/tiers/tiers_kernels.h"

/* The first byte of a stream. */
enum mth_tiers_mode {
    MTH_TIERS_RAW = 0,
    MTH_TIERS_CONSTANT = 1,
    MTH_TIERS_SPARSE = 2,
    MTH_TIERS_CODED = 3,
    MTH_TIERS_FLAGGED = 4 /* the first tier is one bit a pair */
};

enum {
    MTH_TIERS_BLOCK_BYTES = 1 << 15,
    MTH_TIERS_BLOCK_PAIRS = MTH_TIERS_BLOCK_BYTES / 2,
    MTH_TIERS_HEAD_BYTES = 5, /* of a coded stream: mode, and its length modulo 2^32 */
    MTH_TIERS_BLOCK_HEAD_BYTES = 6,
    MTH_TIERS_STEP_BYTES = 1 << 12, /* coded at once, in the nearest cache; whole groups */
    MTH_TIERS_STEP_PAIRS = MTH_TIERS_STEP_BYTES / 2
};

/* Of a block; what decoders of hostile bytes may read beyond what they wrote is there and was set once. */
struct mth_tiers_state {
    struct mth_memory *memory;
    const struct mth_tiers_kernels *kernels;
    struct mth_tiers_table table;
    uint8_t pairs[MTH_TIERS_BLOCK_PAIRS + MTH_TIERS_SLACK]; /* of the second tier */
    uint8_t rest[MTH_TIERS_BLOCK_PAIRS + 2 * MTH_TIERS_SLACK];
    uint8_t room[MTH_TIERS_STEP_BYTES];
    uint16_t places[MTH_TIERS_BLOCK_BYTES];
    uint8_t unranked[MTH_TIERS_BLOCK_BYTES];
};

/* Vectors of n bytes, and of n pairs. */
static inline size_t mth_tiers_byte_vecs(size_t n)
{
    return (n + MTH_TIERS_VEC_BYTES - 1) / MTH_TIERS_VEC_BYTES;
}

static inline size_t mth_tiers_pair_vecs(size_t n)
{
    return (n + MTH_TIERS_VEC - 1) / MTH_TIERS_VEC;
}

/* Bytes of the codes of a tier. */
static inline size_t mth_tiers_code_bytes(size_t n_vecs)
{
    return mth_tiers_low_bytes(n_vecs) + mth_tiers_high_bytes(n_vecs);
}

/* Bytes of the first tier: flags are the highest bits of codes without the others. */
static inline size_t mth_tiers_first_low_bytes(const struct mth_tiers_table *table, size_t n_vecs)
{
    return table->has_flags ? 0 : mth_tiers_low_bytes(n_vecs);
}

int mth_tiers_encode(void *state, struct mth_encode_job *job);
int mth_tiers_decode(void *state, struct mth_decode_job *jobs, size_t n_jobs);

#endif
