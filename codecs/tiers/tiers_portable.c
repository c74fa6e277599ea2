/* The kernels in plain C; see tiers_kernels.h. */
#include "codecs/tiers/tiers_kernels.h"

#include <string.h>

enum { HIGHEST_BIT = 0x80 };

static unsigned rank_of(const struct mth_tiers_table *table, uint8_t byte)
{
    unsigned position = (uint8_t)(byte - table->base);
    if (byte == table->far)
        return table->far_rank;
    return table->position_rank[position < MTH_TIERS_RANKS ? position : MTH_TIERS_NO_RANK];
}

/* The ranks of all bytes, for loops that look up many. */
static void fill_ranks(const struct mth_tiers_table *table, uint8_t ranks[256])
{
    for (unsigned byte = 0; byte < 256; byte++)
        ranks[byte] = (uint8_t)rank_of(table, (uint8_t)byte);
}

/* Where the row and the bits of vector v are. */
static size_t row_at(size_t v)
{
    return v / 2 * MTH_TIERS_VEC;
}

static size_t bits_at(size_t v)
{
    return v / MTH_TIERS_GROUP_VECS * MTH_TIERS_VEC;
}

static unsigned bit_of(size_t v)
{
    return HIGHEST_BIT >> v % MTH_TIERS_GROUP_VECS;
}

/* ---- decoding ---- */

/* Without a branch: whether a pair is of the rest is as good as random. */
static const uint8_t *decode_vec(const struct mth_tiers_tier *tier, struct mth_tiers_source codes, size_t v,
                                 const uint8_t *restrict rest, uint8_t *restrict pairs)
{
    const uint8_t *low = codes.low + row_at(v), *high = codes.high + bits_at(v);
    unsigned shift = v % 2 * 4, bit = 7 - v % MTH_TIERS_GROUP_VECS;
    for (size_t i = 0; i < MTH_TIERS_VEC; i++) {
        unsigned code = (low[i] >> shift & 15u) | (high[i] >> bit & 1u) << 4;
        unsigned pair = tier->pair[code], is_rest = pair == MTH_TIERS_REST_PAIR;
        pairs[i] = (uint8_t)(is_rest ? *rest : pair);
        rest += is_rest;
    }
    return rest;
}

static size_t decode_pairs(const struct mth_tiers_tier *tier, struct mth_tiers_source codes, size_t n_vecs,
                           const uint8_t *rest, uint8_t *pairs)
{
    const uint8_t *begin = rest;
    for (size_t v = 0; v < n_vecs; v++)
        rest = decode_vec(tier, codes, v, rest, pairs + v * MTH_TIERS_VEC);
    return (size_t)(rest - begin);
}

static void put_values(const struct mth_tiers_table *table, const uint8_t pairs[MTH_TIERS_VEC], uint8_t *dst)
{
    for (size_t i = 0; i < MTH_TIERS_VEC; i++) {
        dst[i] = table->value[pairs[i] & 15];
        dst[MTH_TIERS_VEC + i] = table->value[pairs[i] >> 4];
    }
}

static size_t decode_bytes(const struct mth_tiers_table *table, struct mth_tiers_source codes, size_t n_vecs,
                           const uint8_t *rest, uint8_t *dst)
{
    const uint8_t *begin = rest;
    uint8_t pairs[MTH_TIERS_VEC];
    for (size_t v = 0; v < n_vecs; v++, dst += MTH_TIERS_VEC_BYTES) {
        rest = decode_vec(&table->tiers[0], codes, v, rest, pairs);
        put_values(table, pairs, dst);
    }
    return (size_t)(rest - begin);
}

/* A flag is the highest bit of a code; the pair without it is 0. */
static const uint8_t *decode_flags_vec(const uint8_t *high, size_t v, const uint8_t *restrict rest,
                                       uint8_t *restrict pairs)
{
    unsigned bit = 7 - v % MTH_TIERS_GROUP_VECS;
    for (size_t i = 0; i < MTH_TIERS_VEC; i++) {
        unsigned is_rest = high[i] >> bit & 1u;
        pairs[i] = (uint8_t)(*rest * is_rest);
        rest += is_rest;
    }
    return rest;
}

static size_t decode_flags(const struct mth_tiers_table *table, struct mth_tiers_source codes, size_t n_vecs,
                           const uint8_t *rest, uint8_t *dst)
{
    const uint8_t *begin = rest;
    uint8_t pairs[MTH_TIERS_VEC];
    for (size_t v = 0; v < n_vecs; v++, dst += MTH_TIERS_VEC_BYTES) {
        rest = decode_flags_vec(codes.high + bits_at(v), v, rest, pairs);
        put_values(table, pairs, dst);
    }
    return (size_t)(rest - begin);
}

/* ---- encoding ---- */

/* Vectors come from the last one to the first, so that an odd one finds its row free. */
static uint8_t *encode_vec(const struct mth_tiers_tier *tier, const uint8_t *restrict pairs, size_t v,
                           struct mth_tiers_codes codes, uint8_t *restrict rest)
{
    uint8_t *low = codes.low + row_at(v), *high = codes.high + bits_at(v);
    unsigned bit = bit_of(v), shift = v % 2 * 4;
    for (size_t i = MTH_TIERS_VEC; i-- > 0;) {
        unsigned a = pairs[i] & 15u, b = pairs[i] >> 4;
        bool has_code = b < tier->end[a];
        unsigned code = has_code ? (uint8_t)(tier->offset[a] + b) : MTH_TIERS_REST;
        rest[-1] = pairs[i];
        rest -= !has_code;
        low[i] = (uint8_t)(low[i] | (code & 15) << shift);
        high[i] = (uint8_t)(high[i] | (code >> 4) * bit);
    }
    return rest;
}

static void clear(struct mth_tiers_codes codes, size_t n_vecs)
{
    memset(codes.low, 0, mth_tiers_low_bytes(n_vecs));
    memset(codes.high, 0, mth_tiers_high_bytes(n_vecs));
}

static size_t encode_pairs(const struct mth_tiers_tier *tier, const uint8_t *pairs, size_t n_vecs,
                           struct mth_tiers_codes codes, uint8_t *rest_end)
{
    uint8_t *rest = rest_end;
    clear(codes, n_vecs);
    for (size_t v = n_vecs; v-- > 0;)
        rest = encode_vec(tier, pairs + v * MTH_TIERS_VEC, v, codes, rest);
    return (size_t)(rest_end - rest);
}

static void rank_pairs(const uint8_t ranks[256], const uint8_t *bytes, uint8_t pairs[MTH_TIERS_VEC])
{
    for (size_t i = 0; i < MTH_TIERS_VEC; i++)
        pairs[i] = (uint8_t)(ranks[bytes[i]] | ranks[bytes[MTH_TIERS_VEC + i]] << 4);
}

static size_t encode_bytes(const struct mth_tiers_table *table, const uint8_t *src, size_t n_vecs,
                           struct mth_tiers_codes codes, uint8_t *rest_end)
{
    uint8_t ranks[256], pairs[MTH_TIERS_VEC], *rest = rest_end;
    fill_ranks(table, ranks);
    clear(codes, n_vecs);
    for (size_t v = n_vecs; v-- > 0;) {
        rank_pairs(ranks, src + v * MTH_TIERS_VEC_BYTES, pairs);
        rest = encode_vec(&table->tiers[0], pairs, v, codes, rest);
    }
    return (size_t)(rest_end - rest);
}

static size_t encode_flags(const struct mth_tiers_table *table, const uint8_t *src, size_t n_vecs,
                           struct mth_tiers_codes codes, uint8_t *rest_end)
{
    uint8_t ranks[256], pairs[MTH_TIERS_VEC], *rest = rest_end;
    fill_ranks(table, ranks);
    memset(codes.high, 0, mth_tiers_high_bytes(n_vecs));
    for (size_t v = n_vecs; v-- > 0;) {
        uint8_t *high = codes.high + bits_at(v);
        rank_pairs(ranks, src + v * MTH_TIERS_VEC_BYTES, pairs);
        for (size_t i = MTH_TIERS_VEC; i-- > 0;) {
            unsigned is_rest = pairs[i] != 0;
            rest[-1] = pairs[i];
            rest -= is_rest;
            high[i] = (uint8_t)(high[i] | is_rest * bit_of(v));
        }
    }
    return (size_t)(rest_end - rest);
}

static size_t find_unranked(const struct mth_tiers_table *table, const uint8_t *src, size_t n, uint16_t first,
                            uint16_t *places)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        if (rank_of(table, src[i]) == MTH_TIERS_NO_RANK)
            places[found++] = (uint16_t)(first + i);
    }
    return found;
}

const struct mth_tiers_kernels mth_tiers_portable = {
    .name = "portable",
    .needs = 0,
    .encode_bytes = encode_bytes,
    .encode_pairs = encode_pairs,
    .decode_pairs = decode_pairs,
    .decode_bytes = decode_bytes,
    .encode_flags = encode_flags,
    .decode_flags = decode_flags,
    .find_unranked = find_unranked,
};
