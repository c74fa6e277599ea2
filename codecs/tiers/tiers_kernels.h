/*
 * The kernels of the codec: bytes, taken two by two, to and from codes of 5 bits in two tiers; spec.md tells how they lie.
 *
 * Codes come in vectors of 32. The lower four bits of two vectors share 32 bytes, the highest bits of eight vectors another
 * 32; a vector of the first tier codes 64 bytes, byte i and byte 32 + i as a pair. What a tier has no code for, the rest, goes
 * on as pairs, in order.
 */
#ifndef MTH_CODECS_TIERS_KERNELS_H
#define MTH_CODECS_TIERS_KERNELS_H

#include "codecs/tiers/tiers_table.h"

enum {
    MTH_TIERS_VEC = 32,
    MTH_TIERS_VEC_BYTES = 2 * MTH_TIERS_VEC,
    MTH_TIERS_GROUP_VECS = 8, /* that share 32 bytes of highest bits */
    MTH_TIERS_SLACK = 16      /* bytes that a kernel may read or write beside the pairs of a rest */
};

/* Where codes lie. */
struct mth_tiers_codes {
    uint8_t *low, *high;
};

struct mth_tiers_source {
    const uint8_t *low, *high;
};

/* Bytes of the two parts. */
static inline size_t mth_tiers_low_bytes(size_t n_vecs)
{
    return (n_vecs + 1) / 2 * MTH_TIERS_VEC;
}

static inline size_t mth_tiers_high_bytes(size_t n_vecs)
{
    return (n_vecs + MTH_TIERS_GROUP_VECS - 1) / MTH_TIERS_GROUP_VECS * MTH_TIERS_VEC;
}

/*
 * Encoders write the rest in front of rest_end and return how many pairs it has; there is room for all pairs and the slack.
 * Decoders read it from rest on, where bytes for all pairs and the slack may be read, and return how many pairs they took.
 *
 * Requires  a piece of a run of codes has whole groups, but for the last; pairs of a second tier are such as the first one
 *           leaves
 * Errors    none: any bytes are codes
 */
struct mth_tiers_kernels {
    const char *name;
    unsigned needs; /* enum mth_cpu_feature */
    size_t (*encode_bytes)(const struct mth_tiers_table *table, const uint8_t *src, size_t n_vecs,
                           struct mth_tiers_codes codes, uint8_t *rest_end);
    size_t (*encode_pairs)(const struct mth_tiers_tier *tier, const uint8_t *pairs, size_t n_vecs,
                           struct mth_tiers_codes codes, uint8_t *rest_end);
    size_t (*decode_pairs)(const struct mth_tiers_tier *tier, struct mth_tiers_source codes, size_t n_vecs,
                           const uint8_t *rest, uint8_t *pairs);
    size_t (*decode_bytes)(const struct mth_tiers_table *table, struct mth_tiers_source codes, size_t n_vecs,
                           const uint8_t *rest, uint8_t *dst);
    /* The same for a first tier of flags: codes.low is not used. */
    size_t (*encode_flags)(const struct mth_tiers_table *table, const uint8_t *src, size_t n_vecs,
                           struct mth_tiers_codes codes, uint8_t *rest_end);
    size_t (*decode_flags)(const struct mth_tiers_table *table, struct mth_tiers_source codes, size_t n_vecs,
                           const uint8_t *rest, uint8_t *dst);
    /* Where in src the bytes without rank are, counted from first on. Returns how many; places has room for n. */
    size_t (*find_unranked)(const struct mth_tiers_table *table, const uint8_t *src, size_t n, uint16_t first,
                            uint16_t *places);
};

/* The kernels for these CPU features; mth_tiers_kernels_at lists all that were built, portable first, then NULL. */
const struct mth_tiers_kernels *mth_tiers_kernels_for(unsigned features);
const struct mth_tiers_kernels *mth_tiers_kernels_at(size_t i);

/* What the file of an instruction set brings, for the selection. */
extern const struct mth_tiers_kernels mth_tiers_portable;
#if defined(__x86_64__) && defined(__GNUC__)
#define MTH_TIERS_HAVE_X86 1
extern const struct mth_tiers_kernels mth_tiers_avx2;
#endif

#endif
