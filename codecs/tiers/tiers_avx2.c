/* The kernels in AVX2: 32 codes a vector; see tiers_kernels.h and docs/kernels.md. */
#include "codecs/tiers/tiers_kernels.h"

#ifdef MTH_TIERS_HAVE_X86

#include "base/cpu.h"
#include "codecs/rans/rans_shuffles.h"

#include <immintrin.h>
#include <string.h>

#define TARGET     __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define VEC_INLINE static inline __attribute__((always_inline)) TARGET

typedef __m256i vec;

VEC_INLINE vec load(const uint8_t *p)
{
    return _mm256_loadu_si256((const void *)p);
}

VEC_INLINE void store(uint8_t *p, vec v)
{
    _mm256_storeu_si256((void *)p, v);
}

VEC_INLINE vec fill(uint8_t byte)
{
    return _mm256_set1_epi8((char)byte);
}

/* 16 bytes in both halves, for shuffles. */
VEC_INLINE vec twice(const uint8_t *p)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)p));
}

VEC_INLINE vec lower_half(vec bytes)
{
    return _mm256_and_si256(bytes, fill(15));
}

VEC_INLINE vec upper_half(vec bytes)
{
    return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), fill(15));
}

VEC_INLINE vec to_upper_half(vec bytes)
{
    return _mm256_slli_epi16(bytes, 4);
}

/* ---- decoding ---- */

/* How many lanes of the mask lie below each lane that is in it, within 16 lanes. */
VEC_INLINE vec count_below(vec mask)
{
    vec counts = _mm256_add_epi8(mask, _mm256_slli_si256(mask, 1)); /* all counts are negative */
    counts = _mm256_add_epi8(counts, _mm256_slli_si256(counts, 2));
    counts = _mm256_add_epi8(counts, _mm256_slli_si256(counts, 4));
    counts = _mm256_add_epi8(counts, _mm256_slli_si256(counts, 8));
    return _mm256_xor_si256(counts, fill(255));
}

struct pairs_of {
    vec low, high; /* pairs of codes below 16, and of the others */
};

VEC_INLINE struct pairs_of load_pairs(const struct mth_tiers_tier *tier)
{
    return (struct pairs_of){twice(tier->pair), twice(tier->pair + 16)};
}

/* For the lanes of the mask the next pairs of the rest, in order. */
VEC_INLINE vec take_rest(vec is_rest, const uint8_t **rest)
{
    uint32_t bits = (uint32_t)_mm256_movemask_epi8(is_rest);
    const uint8_t *back = *rest + __builtin_popcount(bits & 0xffff);
    vec bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)*rest)),
                                        _mm_loadu_si128((const void *)back), 1);
    *rest += __builtin_popcount(bits);
    return _mm256_shuffle_epi8(bytes, count_below(is_rest));
}

/* A vector of pairs; the highest bits of their codes are those of high. */
VEC_INLINE vec decode_vec(struct pairs_of pairs_of, vec low, vec high, const uint8_t **rest)
{
    vec pairs = _mm256_blendv_epi8(_mm256_shuffle_epi8(pairs_of.low, low),
                                   _mm256_shuffle_epi8(pairs_of.high, low), high);
    vec is_rest = _mm256_cmpeq_epi8(pairs, fill(MTH_TIERS_REST_PAIR));
    return _mm256_blendv_epi8(pairs, take_rest(is_rest, rest), is_rest);
}

VEC_INLINE void store_bytes(vec values, vec pairs, uint8_t *dst)
{
    store(dst, _mm256_shuffle_epi8(values, lower_half(pairs)));
    store(dst + MTH_TIERS_VEC, _mm256_shuffle_epi8(values, upper_half(pairs)));
}

/* A group of up to 8 vectors; pairs go out as they are, or as the values of their ranks. */
VEC_INLINE const uint8_t *decode_group(struct pairs_of pairs_of, const vec *values,
                                       struct mth_tiers_source codes, size_t n_vecs, const uint8_t *rest,
                                       uint8_t *dst)
{
    vec high = load(codes.high);
    for (size_t v = 0; v < n_vecs; v++) {
        vec row = load(codes.low + v / 2 * MTH_TIERS_VEC);
        vec pairs = decode_vec(pairs_of, v % 2 ? upper_half(row) : lower_half(row), high, &rest);
        if (values)
            store_bytes(*values, pairs, dst + v * MTH_TIERS_VEC_BYTES);
        else
            store(dst + v * MTH_TIERS_VEC, pairs);
        high = _mm256_add_epi8(high, high);
    }
    return rest;
}

VEC_INLINE size_t decode(const struct mth_tiers_tier *tier, const vec *values, struct mth_tiers_source codes,
                         size_t n_vecs, const uint8_t *rest, uint8_t *dst)
{
    const uint8_t *begin = rest;
    struct pairs_of pairs_of = load_pairs(tier);
    size_t width = values ? MTH_TIERS_VEC_BYTES : MTH_TIERS_VEC;
    for (; n_vecs >= MTH_TIERS_GROUP_VECS; n_vecs -= MTH_TIERS_GROUP_VECS) {
        rest = decode_group(pairs_of, values, codes, MTH_TIERS_GROUP_VECS, rest, dst);
        codes.low += mth_tiers_low_bytes(MTH_TIERS_GROUP_VECS);
        codes.high += MTH_TIERS_VEC;
        dst += MTH_TIERS_GROUP_VECS * width;
    }
    if (n_vecs)
        rest = decode_group(pairs_of, values, codes, n_vecs, rest, dst);
    return (size_t)(rest - begin);
}

TARGET static size_t decode_pairs(const struct mth_tiers_tier *tier, struct mth_tiers_source codes,
                                  size_t n_vecs, const uint8_t *rest, uint8_t *pairs)
{
    return decode(tier, NULL, codes, n_vecs, rest, pairs);
}

TARGET static size_t decode_bytes(const struct mth_tiers_table *table, struct mth_tiers_source codes,
                                  size_t n_vecs, const uint8_t *rest, uint8_t *dst)
{
    vec values = twice(table->value);
    return decode(&table->tiers[0], &values, codes, n_vecs, rest, dst);
}

VEC_INLINE const uint8_t *decode_flags_group(vec values, const uint8_t *high_bits, size_t n_vecs,
                                             const uint8_t *rest, uint8_t *dst)
{
    vec high = load(high_bits);
    for (size_t v = 0; v < n_vecs; v++) {
        vec is_rest = _mm256_cmpgt_epi8(fill(0), high);
        vec pairs = _mm256_and_si256(take_rest(is_rest, &rest), is_rest);
        store_bytes(values, pairs, dst + v * MTH_TIERS_VEC_BYTES);
        high = _mm256_add_epi8(high, high);
    }
    return rest;
}

TARGET static size_t decode_flags(const struct mth_tiers_table *table, struct mth_tiers_source codes,
                                  size_t n_vecs, const uint8_t *rest, uint8_t *dst)
{
    const uint8_t *begin = rest, *high = codes.high;
    vec values = twice(table->value);
    for (; n_vecs >= MTH_TIERS_GROUP_VECS; n_vecs -= MTH_TIERS_GROUP_VECS) {
        rest = decode_flags_group(values, high, MTH_TIERS_GROUP_VECS, rest, dst);
        high += MTH_TIERS_VEC;
        dst += MTH_TIERS_GROUP_VECS * MTH_TIERS_VEC_BYTES;
    }
    if (n_vecs)
        rest = decode_flags_group(values, high, n_vecs, rest, dst);
    return (size_t)(rest - begin);
}

/* ---- encoding ---- */

struct ranks_of {
    vec base, far, far_rank, position_rank;
};

VEC_INLINE struct ranks_of load_ranks(const struct mth_tiers_table *table)
{
    return (struct ranks_of){fill(table->base), fill(table->far), fill(table->far_rank),
                             twice(table->position_rank)};
}

VEC_INLINE vec rank(struct ranks_of of, vec bytes, bool has_far)
{
    vec positions = _mm256_min_epu8(_mm256_sub_epi8(bytes, of.base), fill(15));
    vec ranks = _mm256_shuffle_epi8(of.position_rank, positions);
    return has_far ? _mm256_blendv_epi8(ranks, of.far_rank, _mm256_cmpeq_epi8(bytes, of.far)) : ranks;
}

struct codes_of {
    vec end, offset;
};

/* The lanes of a group of 8 that its bits name go out as 8 bytes, what counts at their end; the next group covers the rest. */
VEC_INLINE void emit_group(__m128i pairs, const uint8_t shuffles[256][8], uint32_t bits, uint8_t *end)
{
    __m128i shuffle = _mm_loadl_epi64((const void *)&shuffles[bits & 0xff]);
    _mm_storel_epi64((void *)(end - 8), _mm_shuffle_epi8(pairs, shuffle));
}

VEC_INLINE uint8_t *emit(vec pairs, uint32_t bits, uint8_t *end)
{
    const struct mth_rans_shuffles *s = &mth_rans_compress;
    __m128i front = _mm256_castsi256_si128(pairs), back = _mm256_extracti128_si256(pairs, 1);
    emit_group(back, s->second, bits >> 24, end);
    emit_group(back, s->first, bits >> 16, end - __builtin_popcount(bits >> 24));
    emit_group(front, s->second, bits >> 8, end - __builtin_popcount(bits >> 16));
    emit_group(front, s->first, bits, end - __builtin_popcount(bits >> 8));
    return end - __builtin_popcount(bits);
}

/* Codes of 32 pairs a, b. */
VEC_INLINE vec encode_vec(struct codes_of of, vec a, vec b, vec pairs, uint8_t **rest)
{
    vec has_code = _mm256_cmpgt_epi8(_mm256_shuffle_epi8(of.end, a), b);
    vec codes = _mm256_add_epi8(_mm256_shuffle_epi8(of.offset, a), b);
    *rest = emit(pairs, ~(uint32_t)_mm256_movemask_epi8(has_code), *rest);
    return _mm256_blendv_epi8(fill(MTH_TIERS_REST), codes, has_code);
}

/* A vector of bytes, or of pairs when ranks is NULL; bit v of the codes' highest ones goes to high. */
VEC_INLINE vec encode_at(struct codes_of codes_of, const struct ranks_of *ranks, bool has_far,
                         const uint8_t *src, size_t v, vec *high, uint8_t **rest)
{
    vec a, b, pairs;
    if (ranks) {
        a = rank(*ranks, load(src + v * MTH_TIERS_VEC_BYTES), has_far);
        b = rank(*ranks, load(src + v * MTH_TIERS_VEC_BYTES + MTH_TIERS_VEC), has_far);
        pairs = _mm256_or_si256(a, to_upper_half(b));
    } else {
        pairs = load(src + v * MTH_TIERS_VEC);
        a = lower_half(pairs);
        b = upper_half(pairs);
    }
    vec code = encode_vec(codes_of, a, b, pairs, rest);
    *high = _mm256_or_si256(*high,
                            _mm256_and_si256(_mm256_cmpgt_epi8(code, fill(15)), fill((uint8_t)(0x80u >> v))));
    return lower_half(code);
}

/* A group of up to 8 vectors, the last one first. */
VEC_INLINE uint8_t *encode_group(struct codes_of codes_of, const struct ranks_of *ranks, bool has_far,
                                 const uint8_t *src, size_t n_vecs, struct mth_tiers_codes codes,
                                 uint8_t *rest)
{
    vec high = fill(0);
    if (n_vecs % 2)
        store(codes.low + n_vecs / 2 * MTH_TIERS_VEC,
              encode_at(codes_of, ranks, has_far, src, n_vecs - 1, &high, &rest));
#pragma GCC unroll 4
    for (size_t row = n_vecs / 2; row-- > 0;) {
        vec second = encode_at(codes_of, ranks, has_far, src, 2 * row + 1, &high, &rest);
        vec first = encode_at(codes_of, ranks, has_far, src, 2 * row, &high, &rest);
        store(codes.low + row * MTH_TIERS_VEC, _mm256_or_si256(first, to_upper_half(second)));
    }
    store(codes.high, high);
    return rest;
}

VEC_INLINE size_t encode(const struct mth_tiers_tier *tier, const struct ranks_of *ranks, bool has_far,
                         const uint8_t *src, size_t n_vecs, struct mth_tiers_codes codes, uint8_t *rest_end)
{
    struct codes_of codes_of = {twice(tier->end), twice(tier->offset)};
    size_t width = ranks ? MTH_TIERS_VEC_BYTES : MTH_TIERS_VEC;
    size_t n_groups = n_vecs / MTH_TIERS_GROUP_VECS, n_last = n_vecs % MTH_TIERS_GROUP_VECS;
    uint8_t *rest = rest_end;
    codes.low += n_groups * mth_tiers_low_bytes(MTH_TIERS_GROUP_VECS);
    codes.high += n_groups * MTH_TIERS_VEC;
    src += n_groups * MTH_TIERS_GROUP_VECS * width;
    if (n_last)
        rest = encode_group(codes_of, ranks, has_far, src, n_last, codes, rest);
    for (; n_groups > 0; n_groups--) {
        codes.low -= mth_tiers_low_bytes(MTH_TIERS_GROUP_VECS);
        codes.high -= MTH_TIERS_VEC;
        src -= MTH_TIERS_GROUP_VECS * width;
        rest = encode_group(codes_of, ranks, has_far, src, MTH_TIERS_GROUP_VECS, codes, rest);
    }
    return (size_t)(rest_end - rest);
}

TARGET static size_t encode_bytes(const struct mth_tiers_table *table, const uint8_t *src, size_t n_vecs,
                                  struct mth_tiers_codes codes, uint8_t *rest_end)
{
    struct ranks_of ranks = load_ranks(table);
    return table->has_far ? encode(&table->tiers[0], &ranks, true, src, n_vecs, codes, rest_end)
                          : encode(&table->tiers[0], &ranks, false, src, n_vecs, codes, rest_end);
}

TARGET static size_t encode_pairs(const struct mth_tiers_tier *tier, const uint8_t *pairs, size_t n_vecs,
                                  struct mth_tiers_codes codes, uint8_t *rest_end)
{
    return encode(tier, NULL, false, pairs, n_vecs, codes, rest_end);
}

TARGET static size_t encode_flags(const struct mth_tiers_table *table, const uint8_t *src, size_t n_vecs,
                                  struct mth_tiers_codes codes, uint8_t *rest_end)
{
    struct ranks_of ranks = load_ranks(table);
    vec high = fill(0);
    uint8_t *rest = rest_end;
    for (size_t v = n_vecs; v-- > 0;) {
        vec a = rank(ranks, load(src + v * MTH_TIERS_VEC_BYTES), true);
        vec b = rank(ranks, load(src + v * MTH_TIERS_VEC_BYTES + MTH_TIERS_VEC), true);
        vec pairs = _mm256_or_si256(a, to_upper_half(b));
        vec is_first = _mm256_cmpeq_epi8(pairs, fill(0));
        size_t in_group = v % MTH_TIERS_GROUP_VECS;
        rest = emit(pairs, ~(uint32_t)_mm256_movemask_epi8(is_first), rest);
        high = _mm256_or_si256(high, _mm256_andnot_si256(is_first, fill((uint8_t)(0x80u >> in_group))));
        if (in_group == 0) {
            store(codes.high + v / MTH_TIERS_GROUP_VECS * MTH_TIERS_VEC, high);
            high = fill(0);
        }
    }
    return (size_t)(rest_end - rest);
}

/* Four vectors at a time: mostly none of them has one. */
VEC_INLINE size_t find(struct ranks_of ranks, bool has_far, const uint8_t *src, size_t n_vecs, uint16_t first,
                       uint16_t *places)
{
    enum { AT_ONCE = 4 };
    vec none = fill(MTH_TIERS_NO_RANK);
    size_t found = 0;
    for (size_t v = 0; v + AT_ONCE <= n_vecs; v += AT_ONCE) {
        vec found_ranks[AT_ONCE], largest = fill(0);
        for (size_t i = 0; i < AT_ONCE; i++) {
            found_ranks[i] = rank(ranks, load(src + (v + i) * MTH_TIERS_VEC), has_far);
            largest = _mm256_max_epu8(largest, found_ranks[i]);
        }
        if (!_mm256_movemask_epi8(_mm256_cmpeq_epi8(largest, none)))
            continue;
        for (size_t i = 0; i < AT_ONCE; i++) {
            uint32_t bits = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(found_ranks[i], none));
            for (; bits; bits &= bits - 1)
                places[found++] = (uint16_t)(first + (v + i) * MTH_TIERS_VEC + (unsigned)__builtin_ctz(bits));
        }
    }
    return found;
}

TARGET static size_t find_unranked(const struct mth_tiers_table *table, const uint8_t *src, size_t n,
                                   uint16_t first, uint16_t *places)
{
    struct ranks_of ranks = load_ranks(table);
    size_t n_vecs = n / MTH_TIERS_VEC / 4 * 4, done = n_vecs * MTH_TIERS_VEC;
    size_t found = table->has_far ? find(ranks, true, src, n_vecs, first, places)
                                  : find(ranks, false, src, n_vecs, first, places);
    return found + mth_tiers_portable.find_unranked(table, src + done, n - done, (uint16_t)(first + done),
                                                    places + found);
}

const struct mth_tiers_kernels mth_tiers_avx2 = {
    .name = "avx2",
    .needs = MTH_CPU_AVX2,
    .encode_bytes = encode_bytes,
    .encode_pairs = encode_pairs,
    .decode_pairs = decode_pairs,
    .decode_bytes = decode_bytes,
    .encode_flags = encode_flags,
    .decode_flags = decode_flags,
    .find_unranked = find_unranked,
};

#else
typedef int mth_tiers_avx2_is_not_here;
#endif
