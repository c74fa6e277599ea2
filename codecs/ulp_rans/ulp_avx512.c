/* The kernels in AVX-512 with VBMI2, but symbols: two groups of 32 elements a vector of bytes; see ulp_kernels.h. */
#include "codecs/ulp_rans/ulp_long.h"

/* Tests define RANS_EMULATED and the intrinsics in plain C, to run this file where there is no such processor. */
#if defined(MTH_RANS_HAVE_X86) || defined(RANS_EMULATED)

#include "base/cpu.h"
#include "codecs/ulp_rans/ulp_avx512.h"
#include "codecs/ulp_rans/ulp_count.h"
#include "codecs/ulp_rans/ulp_steps.h"

#include <string.h>

#ifndef RANS_EMULATED
#define ULP_NAME           mth_ulp_avx512
#define ULP_LONG_SPLIT     mth_ulp_long_split_avx512
#define ULP_LONG_JOIN      mth_ulp_long_join_avx512
#define ULP_SPLIT16        mth_ulp_avx512_split16
#define ULP_JOIN16         mth_ulp_avx512_join16
#define ULP_DIRECTIONS     mth_ulp_avx512_directions
#define ULP_TURNS          mth_ulp_turn_avx512
#define ULP_COUNT          mth_ulp_avx512_count
#define ULP_VIEW           mth_ulp_avx512_view
#define ULP_COUNT_CONTEXTS mth_ulp_avx512_count_contexts
#endif

enum { VEC_GROUPS = VEC_BYTES / MTH_ULP_GROUP, MOST_VECS = MTH_ULP_MAX_FLAG_LANES / VEC_BYTES };

/* The masks of two groups. */
ULP_INLINE uint64_t load_masks(const uint32_t *masks)
{
    return masks[0] | (uint64_t)masks[1] << 32;
}

ULP_INLINE void store_masks(uint32_t *masks, uint64_t bits)
{
    masks[0] = (uint32_t)bits;
    masks[1] = (uint32_t)(bits >> 32);
}

/* ---- elements of 16 and of 32 bits ---- */

/* Packing takes from each 128 bits of its sources in turns; the permutation puts them in order. */
ULP_INLINE vec pack_words(vec a, vec b)
{
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), _mm512_packus_epi16(a, b));
}

ULP_INLINE vec pack_doubles(vec a, vec b, vec c, vec d)
{
    vec words = _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
                                    words);
}

ULP_INLINE vec context16(vec base, __m128i shift, vec mask, vec top)
{
    vec below = _mm512_subs_epu16(top, _mm512_and_si512(_mm512_srl_epi16(base, shift), mask));
    return _mm512_min_epu16(below, _mm512_set1_epi16(MTH_ULP_CONTEXTS - 1));
}

ULP_INLINE vec context32(vec base, __m128i shift, vec mask, vec top)
{
    vec below = _mm512_sub_epi32(top, _mm512_and_si512(_mm512_srl_epi32(base, shift), mask));
    return _mm512_min_epi32(_mm512_max_epi32(below, _mm512_setzero_si512()),
                            _mm512_set1_epi32(MTH_ULP_CONTEXTS - 1));
}

RANS_TARGET_AVX512 static void contexts(const struct mth_ulp_format *format, const uint8_t *base,
                                        size_t n_groups, unsigned top, uint8_t *out)
{
    __m128i shift = _mm_cvtsi32_si128((int)format->mantissa_bits);
    int mask = (1 << format->exponent_bits) - 1;
    size_t n = n_groups / VEC_GROUPS;
    if (format->exponent_bits == 0)
        n = 0;
    if (format->lane_bits == 16) {
        vec masks = _mm512_set1_epi16((short)mask), tops = _mm512_set1_epi16((short)top);
        for (size_t i = 0; i < n; i++, base += 2 * VEC_BYTES, out += VEC_BYTES)
            store(out, pack_words(context16(load(base), shift, masks, tops),
                                  context16(load(base + VEC_BYTES), shift, masks, tops)));
    } else if (format->lane_bits == 32) {
        vec masks = _mm512_set1_epi32(mask), tops = _mm512_set1_epi32((int)top);
        for (size_t i = 0; i < n; i++, base += 4 * VEC_BYTES, out += VEC_BYTES)
            store(out, pack_doubles(context32(load(base), shift, masks, tops),
                                    context32(load(base + VEC_BYTES), shift, masks, tops),
                                    context32(load(base + 2 * VEC_BYTES), shift, masks, tops),
                                    context32(load(base + 3 * VEC_BYTES), shift, masks, tops)));
    } else {
        n = 0;
    }
    if (n_groups > n * VEC_GROUPS)
        ULP_REST.contexts(format, base, n_groups - n * VEC_GROUPS, top, out);
}

/* Floats as ordered integers, and back; integers are what they are. */
ULP_INLINE vec order16(vec x, bool is_float)
{
    vec top = _mm512_set1_epi16((short)0x8000);
    return is_float ? _mm512_xor_si512(x, _mm512_or_si512(_mm512_srai_epi16(x, 15), top)) : x;
}

ULP_INLINE vec unorder16(vec m, bool is_float)
{
    vec top = _mm512_set1_epi16((short)0x8000), ones = _mm512_set1_epi16(-1);
    vec positive = _mm512_andnot_si512(_mm512_srai_epi16(m, 15), ones);
    return is_float ? _mm512_xor_si512(m, _mm512_or_si512(positive, top)) : m;
}

ULP_INLINE vec order32(vec x, bool is_float)
{
    vec top = _mm512_set1_epi32((int)0x80000000);
    return is_float ? _mm512_xor_si512(x, _mm512_or_si512(_mm512_srai_epi32(x, 31), top)) : x;
}

ULP_INLINE vec unorder32(vec m, bool is_float)
{
    vec top = _mm512_set1_epi32((int)0x80000000), ones = _mm512_set1_epi32(-1);
    vec positive = _mm512_andnot_si512(_mm512_srai_epi32(m, 31), ones);
    return is_float ? _mm512_xor_si512(m, _mm512_or_si512(positive, top)) : m;
}

/* A group a vector; steps are written whether there are any or not, as branches would be taken by chance. */
ULP_INLINE size_t analyze16(bool is_float, const uint8_t *src, const uint8_t *base, size_t n_groups,
                            uint32_t *masks, uint8_t *steps)
{
    uint8_t *out = steps;
    for (size_t g = 0; g < n_groups; g++, src += VEC_BYTES, base += VEC_BYTES) {
        vec x = load(src), a = load(base);
        __mmask32 changed = _mm512_cmpneq_epi16_mask(x, a);
        vec step = _mm512_sub_epi16(order16(x, is_float), order16(a, is_float));
        masks[g] = (uint32_t)changed;
        store(out, _mm512_maskz_compress_epi16(changed, step));
        out += 2 * __builtin_popcount((uint32_t)changed);
    }
    return (size_t)(out - steps) / 2;
}

ULP_INLINE size_t analyze32(bool is_float, const uint8_t *src, const uint8_t *base, size_t n_groups,
                            uint32_t *masks, uint8_t *steps)
{
    uint8_t *out = steps;
    for (size_t g = 0; g < n_groups; g++) {
        masks[g] = 0;
        for (unsigned i = 0; i < 2; i++, src += VEC_BYTES, base += VEC_BYTES) {
            vec x = load(src), a = load(base);
            uint32_t changed = (uint32_t)_mm512_cmpneq_epi32_mask(x, a);
            vec step = _mm512_sub_epi32(order32(x, is_float), order32(a, is_float));
            store(out, _mm512_maskz_compress_epi32((__mmask16)changed, step));
            out += 4 * __builtin_popcount(changed);
            masks[g] |= changed << 16 * i;
        }
    }
    return (size_t)(out - steps) / 4;
}

RANS_TARGET_AVX512 static size_t analyze(const struct mth_ulp_format *format,
                                         const struct mth_ulp_shuffles *shuffles, const uint8_t *src,
                                         const uint8_t *base, size_t n_groups, uint32_t *masks,
                                         uint8_t *steps)
{
    bool is_float = format->exponent_bits > 0;
    if (format->lane_bits == 16)
        return is_float ? analyze16(true, src, base, n_groups, masks, steps)
                        : analyze16(false, src, base, n_groups, masks, steps);
    if (format->lane_bits == 32)
        return is_float ? analyze32(true, src, base, n_groups, masks, steps)
                        : analyze32(false, src, base, n_groups, masks, steps);
    return ULP_REST.analyze(format, shuffles, src, base, n_groups, masks, steps);
}

ULP_INLINE size_t merge16(bool is_float, const uint8_t *base, size_t n_groups, const uint32_t *masks,
                          const uint8_t *steps, uint8_t *dst)
{
    const uint8_t *in = steps;
    for (size_t g = 0; g < n_groups; g++, base += VEC_BYTES, dst += VEC_BYTES) {
        __builtin_prefetch(base + MTH_ULP_NEAR_BYTES, 0, 3);
        vec step = _mm512_maskz_expand_epi16((__mmask32)masks[g], load(in));
        store(dst, unorder16(_mm512_add_epi16(order16(load(base), is_float), step), is_float));
        in += 2 * __builtin_popcount(masks[g]);
    }
    return (size_t)(in - steps) / 2;
}

ULP_INLINE size_t merge32(bool is_float, const uint8_t *base, size_t n_groups, const uint32_t *masks,
                          const uint8_t *steps, uint8_t *dst)
{
    const uint8_t *in = steps;
    for (size_t g = 0; g < n_groups; g++) {
        for (unsigned i = 0; i < 2; i++, base += VEC_BYTES, dst += VEC_BYTES) {
            uint32_t changed = masks[g] >> 16 * i & 0xffff;
            vec step = _mm512_maskz_expand_epi32((__mmask16)changed, load(in));
            store(dst, unorder32(_mm512_add_epi32(order32(load(base), is_float), step), is_float));
            in += 4 * __builtin_popcount(changed);
        }
    }
    return (size_t)(in - steps) / 4;
}

RANS_TARGET_AVX512 static size_t merge(const struct mth_ulp_format *format,
                                       const struct mth_ulp_shuffles *shuffles, const uint8_t *base,
                                       size_t n_groups, const uint32_t *masks, const uint8_t *steps,
                                       uint8_t *dst)
{
    bool is_float = format->exponent_bits > 0;
    if (format->lane_bits == 16)
        return is_float ? merge16(true, base, n_groups, masks, steps, dst)
                        : merge16(false, base, n_groups, masks, steps, dst);
    if (format->lane_bits == 32)
        return is_float ? merge32(true, base, n_groups, masks, steps, dst)
                        : merge32(false, base, n_groups, masks, steps, dst);
    return ULP_REST.merge(format, shuffles, base, n_groups, masks, steps, dst);
}

RANS_TARGET_AVX512 static size_t collect(const struct mth_ulp_shuffles *shuffles, const uint8_t *from,
                                         size_t n_groups, const uint32_t *masks, uint8_t *out)
{
    uint8_t *at = out;
    size_t g = 0;
    for (; n_groups - g >= VEC_GROUPS; g += VEC_GROUPS) {
        uint64_t mask = load_masks(masks + g);
        store(at, _mm512_maskz_compress_epi8((__mmask64)mask, load(from + g * MTH_ULP_GROUP)));
        at += __builtin_popcountll(mask);
    }
    if (g < n_groups)
        at += ULP_REST.collect(shuffles, from + g * MTH_ULP_GROUP, n_groups - g, masks + g, at);
    return (size_t)(at - out);
}

/* ---- flags ---- */

/* One vector, or two in turns: while one waits for its table, the other computes. */
ULP_INLINE size_t decode_some_flags(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                    const uint8_t *from, size_t n_groups, uint32_t *masks, size_t n_vecs)
{
    vec high[MOST_VECS], low[MOST_VECS], changed_of = one_table(table->changed);
    const uint8_t *in = reader->in, *end = reader->end;
    const uint8_t *ahead = reader->ahead ? reader->ahead : from;
    size_t g = 0, next = reader->ahead ? VEC_GROUPS * MTH_ULP_AHEAD_BYTES : 0;
    for (size_t v = 0; v < n_vecs; v++) {
        high[v] = load(reader->lanes.high + v * VEC_BYTES);
        low[v] = load(reader->lanes.low + v * VEC_BYTES);
    }
    while (n_groups - g >= n_vecs * VEC_GROUPS && (size_t)(end - in) >= n_vecs * VEC_BYTES) {
        for (size_t v = 0; v < n_vecs; v++, g += VEC_GROUPS, ahead += next) {
            __builtin_prefetch(ahead, 0, 2);
            __builtin_prefetch(ahead + MTH_ULP_AHEAD_BYTES, 0, 2);
            vec changed = _mm512_permutexvar_epi8(load(from + g * MTH_ULP_GROUP), changed_of), slot = low[v];
            vec behind = _mm512_sub_epi8(slot, changed), rank = _mm512_min_epu8(slot, behind);
            vec freq = _mm512_sub_epi8(rank, _mm512_max_epu8(slot, behind));
            __mmask64 flags = _mm512_cmplt_epu8_mask(slot, changed);
            store_masks(masks + g, (uint64_t)flags);
            in = decode_lanes(freq, rank, _mm512_testn_epi8_mask(changed, changed), &high[v], &low[v], in);
        }
    }
    for (size_t v = 0; v < n_vecs; v++) {
        store(reader->lanes.high + v * VEC_BYTES, high[v]);
        store(reader->lanes.low + v * VEC_BYTES, low[v]);
    }
    reader->in = in;
    return g;
}

RANS_TARGET_AVX512 static size_t decode_flags(const struct mth_ulp_table *table,
                                              struct mth_rans_reader *reader, const uint8_t *from,
                                              size_t first, size_t n_groups, uint32_t *masks)
{
    size_t n_lanes = reader->lanes.n_lanes;
    if (n_lanes < VEC_BYTES || first * MTH_ULP_GROUP % n_lanes)
        return ULP_REST.decode_flags(table, reader, from, first, n_groups, masks);
    return n_lanes == VEC_BYTES ? decode_some_flags(table, reader, from, n_groups, masks, 1)
                                : decode_some_flags(table, reader, from, n_groups, masks, MOST_VECS);
}

/* What coding a flag needs, by its place: its context, and 16 more where the element changed. */
struct flag_tables {
    vec others, start; /* the slots of 256 that the flag does not have, 0 where it has all; its first one */
    vec multiplier, divide_by; /* in words; see mth_ulp_table */
};

ULP_INLINE struct flag_tables load_flag_tables(const struct mth_ulp_table *table)
{
    static const uint8_t first[MTH_ULP_CONTEXTS] = {0};
    return (struct flag_tables){.others = two_tables(table->flag_others[0], table->flag_others[1]),
                                .start = two_tables(table->changed, first),
                                .multiplier = load((const uint8_t *)table->flag_multiplier),
                                .divide_by = load((const uint8_t *)table->flag_divide_by)};
}

ULP_INLINE uint8_t *put_flags(const struct flag_tables *tables, vec context, __mmask64 flags, vec *inverted,
                              vec *low, uint8_t *at)
{
    vec place = _mm512_mask_add_epi8(context, flags, context, _mm512_set1_epi8(MTH_ULP_CONTEXTS));
    /* Of a word, such a permutation looks at the lowest five bits. */
    vec odd = _mm512_srli_epi16(place, 8), by_even = _mm512_permutexvar_epi16(place, tables->divide_by),
        by_odd = _mm512_permutexvar_epi16(odd, tables->divide_by);
    struct divisors divisors = {
        .even = by_even,
        .odd = by_odd,
        .even_multiplier = _mm512_permutexvar_epi16(place, tables->multiplier),
        .odd_multiplier = _mm512_permutexvar_epi16(odd, tables->multiplier),
        .even_shift = _mm512_srli_epi16(by_even, 8),
        .odd_shift = _mm512_srli_epi16(by_odd, 8),
    };
    return put_lanes(_mm512_permutexvar_epi8(place, tables->others),
                     _mm512_permutexvar_epi8(place, tables->start), &divisors, inverted, low, at);
}

ULP_INLINE size_t encode_some_flags(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                    const uint8_t *from, size_t n_groups, const uint32_t *masks,
                                    size_t n_vecs)
{
    vec inverted[MOST_VECS], low[MOST_VECS], ones = _mm512_set1_epi8(-1);
    struct flag_tables tables = load_flag_tables(table);
    uint8_t *at = writer->at;
    size_t left = n_groups;
    for (size_t v = 0; v < n_vecs; v++) {
        inverted[v] = _mm512_xor_si512(load(writer->lanes.high + v * VEC_BYTES), ones);
        low[v] = load(writer->lanes.low + v * VEC_BYTES);
    }
    while (left >= n_vecs * VEC_GROUPS && (size_t)(at - writer->begin) >= n_vecs * VEC_BYTES) {
        for (size_t v = n_vecs; v-- > 0;) {
            left -= VEC_GROUPS;
            at = put_flags(&tables, load(from + left * MTH_ULP_GROUP), (__mmask64)load_masks(masks + left),
                           &inverted[v], &low[v], at);
        }
    }
    for (size_t v = 0; v < n_vecs; v++) {
        store(writer->lanes.high + v * VEC_BYTES, _mm512_xor_si512(inverted[v], ones));
        store(writer->lanes.low + v * VEC_BYTES, low[v]);
    }
    writer->at = at;
    return n_groups - left;
}

RANS_TARGET_AVX512 static size_t encode_flags(const struct mth_ulp_table *table,
                                              struct mth_rans_writer *writer, const uint8_t *from,
                                              size_t first, size_t n_groups, const uint32_t *masks)
{
    size_t n_lanes = writer->lanes.n_lanes;
    if (n_lanes < VEC_BYTES || (first + n_groups) * MTH_ULP_GROUP % n_lanes)
        return ULP_REST.encode_flags(table, writer, from, first, n_groups, masks);
    return n_lanes == VEC_BYTES ? encode_some_flags(table, writer, from, n_groups, masks, 1)
                                : encode_some_flags(table, writer, from, n_groups, masks, MOST_VECS);
}

const struct mth_ulp_kernels ULP_NAME = {
    .name = "avx512",
    .needs = MTH_CPU_AVX512 | MTH_CPU_VBMI,
    .contexts = contexts,
    .directions = ULP_DIRECTIONS,
    .analyze = analyze,
    .merge = merge,
    .collect = collect,
    .view = ULP_VIEW,
    .decode_flags = decode_flags,
    .encode_flags = encode_flags,
    .decode_symbols = ULP_DECODE_SYMBOLS,
    .encode_symbols = ULP_ENCODE_SYMBOLS,
    .split16 = ULP_SPLIT16,
    .join16 = ULP_JOIN16,
    .split32 = ULP_LONG_SPLIT,
    .join32 = ULP_LONG_JOIN,
    .count = ULP_COUNT,
    .count_contexts = ULP_COUNT_CONTEXTS,
    .turns = &ULP_TURNS,
};

#else
typedef int mth_ulp_avx512_is_not_here;
#endif
