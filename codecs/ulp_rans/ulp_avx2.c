/* The kernels in AVX2: a group of 32 elements a vector; see ulp_kernels.h. */
#include "codecs/ulp_rans/ulp_long.h"

#ifdef MTH_RANS_HAVE_X86

#include "base/cpu.h"
#include "codecs/ulp_rans/ulp_avx2.h"
#include "codecs/ulp_rans/ulp_count.h"
#include "codecs/ulp_rans/ulp_steps.h"

/* ---- elements of 16 and of 32 bits ---- */

/* Doublewords of four vectors as bytes in their order. */
ULP_INLINE vec pack_doubles(vec a, vec b, vec c, vec d)
{
    vec words = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    return _mm256_permutevar8x32_epi32(words, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

ULP_INLINE vec context16(vec exponent, vec top)
{
    return _mm256_min_epu16(_mm256_subs_epu16(top, exponent), _mm256_set1_epi16(MTH_ULP_CONTEXTS - 1));
}

ULP_INLINE vec context32(vec base, __m128i shift, vec mask, vec top)
{
    vec below = _mm256_sub_epi32(top, _mm256_and_si256(_mm256_srl_epi32(base, shift), mask));
    return _mm256_min_epi32(_mm256_max_epi32(below, _mm256_setzero_si256()),
                            _mm256_set1_epi32(MTH_ULP_CONTEXTS - 1));
}

/* What is not in a local variable would be read anew for each group: `out` may be any bytes. */
ULP_INLINE void contexts16(__m128i shift, vec mask, const uint8_t *base, size_t n_groups, vec top,
                           uint8_t *out)
{
    for (size_t g = 0; g < n_groups; g++, base += 2 * VEC_BYTES, out += VEC_BYTES) {
        vec a = _mm256_and_si256(_mm256_srl_epi16(load(base), shift), mask);
        vec b = _mm256_and_si256(_mm256_srl_epi16(load(base + VEC_BYTES), shift), mask);
        store(out, pack_words(context16(a, top), context16(b, top)));
    }
}

/* The sign goes out in front, which is one instruction less than by the number of bits. */
ULP_INLINE void contexts_bf16(const uint8_t *base, size_t n_groups, vec top, uint8_t *out)
{
    for (size_t g = 0; g < n_groups; g++, base += 2 * VEC_BYTES, out += VEC_BYTES) {
        vec a = load(base), b = load(base + VEC_BYTES);
        a = _mm256_srli_epi16(_mm256_add_epi16(a, a), 8);
        b = _mm256_srli_epi16(_mm256_add_epi16(b, b), 8);
        store(out, pack_words(context16(a, top), context16(b, top)));
    }
}

ULP_INLINE void contexts32(__m128i shift, vec mask, const uint8_t *base, size_t n_groups, vec top,
                           uint8_t *out)
{
    for (size_t g = 0; g < n_groups; g++, base += 4 * VEC_BYTES, out += VEC_BYTES)
        store(out, pack_doubles(context32(load(base), shift, mask, top),
                                context32(load(base + VEC_BYTES), shift, mask, top),
                                context32(load(base + 2 * VEC_BYTES), shift, mask, top),
                                context32(load(base + 3 * VEC_BYTES), shift, mask, top)));
}

RANS_TARGET_AVX2 static void contexts(const struct mth_ulp_format *format, const uint8_t *base,
                                      size_t n_groups, unsigned top, uint8_t *out)
{
    enum { BF16_MANTISSA = 7, BF16_EXPONENT = 8 };
    __m128i shift = _mm_cvtsi32_si128((int)format->mantissa_bits);
    int mask = (1 << format->exponent_bits) - 1;
    if (format->exponent_bits == 0 || (format->lane_bits != 16 && format->lane_bits != 32))
        mth_ulp_portable.contexts(format, base, n_groups, top, out);
    else if (format->lane_bits == 32)
        contexts32(shift, _mm256_set1_epi32(mask), base, n_groups, _mm256_set1_epi32((int)top), out);
    else if (format->mantissa_bits == BF16_MANTISSA && format->exponent_bits == BF16_EXPONENT)
        contexts_bf16(base, n_groups, _mm256_set1_epi16((short)top), out);
    else
        contexts16(shift, _mm256_set1_epi16((short)mask), base, n_groups, _mm256_set1_epi16((short)top), out);
}

/* Ordered integers as floats; integers are what they are. */
ULP_INLINE vec unorder16(vec m, bool is_float)
{
    vec top = _mm256_set1_epi16((short)0x8000), ones = _mm256_set1_epi16(-1);
    vec positive = _mm256_andnot_si256(_mm256_srai_epi16(m, 15), ones);
    return is_float ? _mm256_xor_si256(m, _mm256_or_si256(positive, top)) : m;
}

ULP_INLINE vec order32(vec x, bool is_float)
{
    vec top = _mm256_set1_epi32((int)0x80000000);
    return is_float ? _mm256_xor_si256(x, _mm256_or_si256(_mm256_srai_epi32(x, 31), top)) : x;
}

ULP_INLINE vec unorder32(vec m, bool is_float)
{
    vec top = _mm256_set1_epi32((int)0x80000000), ones = _mm256_set1_epi32(-1);
    vec positive = _mm256_andnot_si256(_mm256_srai_epi32(m, 31), ones);
    return is_float ? _mm256_xor_si256(m, _mm256_or_si256(positive, top)) : m;
}

ULP_INLINE vec direction16(vec base, vec older, bool is_float)
{
    vec step = _mm256_sub_epi16(order16(base, is_float), order16(older, is_float));
    vec distance = _mm256_min_epu16(_mm256_abs_epi16(step), _mm256_set1_epi16(MTH_ULP_DISTANCE));
    vec down = _mm256_and_si256(_mm256_srai_epi16(step, 15), _mm256_set1_epi16(MTH_ULP_DOWN));
    return _mm256_or_si256(distance, down);
}

ULP_INLINE vec direction32(vec base, vec older, bool is_float)
{
    vec step = _mm256_sub_epi32(order32(base, is_float), order32(older, is_float));
    vec distance = _mm256_min_epu32(_mm256_abs_epi32(step), _mm256_set1_epi32(MTH_ULP_DISTANCE));
    vec down = _mm256_and_si256(_mm256_srai_epi32(step, 31), _mm256_set1_epi32(MTH_ULP_DOWN));
    return _mm256_or_si256(distance, down);
}

ULP_INLINE void directions32(const uint8_t *base, const uint8_t *older, size_t n_groups, bool is_float,
                             uint8_t *out)
{
    for (size_t g = 0; g < n_groups; g++, out += VEC_BYTES) {
        vec four[4];
        for (size_t k = 0; k < 4; k++, base += VEC_BYTES, older += VEC_BYTES)
            four[k] = direction32(load(base), load(older), is_float);
        store(out, pack_doubles(four[0], four[1], four[2], four[3]));
    }
}

RANS_TARGET_AVX2 static void directions(const struct mth_ulp_format *format, const uint8_t *base,
                                        const uint8_t *older, size_t n_groups, uint8_t *out)
{
    bool is_float = format->exponent_bits > 0;
    if (format->lane_bits == 32) {
        directions32(base, older, n_groups, is_float, out);
        return;
    }
    if (format->lane_bits != 16) {
        mth_ulp_portable.directions(format, base, older, n_groups, out);
        return;
    }
    for (size_t g = 0; g < n_groups; g++, base += 2 * VEC_BYTES, older += 2 * VEC_BYTES, out += VEC_BYTES)
        store(out, pack_words(direction16(load(base), load(older), is_float),
                              direction16(load(base + VEC_BYTES), load(older + VEC_BYTES), is_float)));
}

ULP_INLINE size_t analyze16(const struct mth_ulp_shuffles *shuffles, bool is_float, const uint8_t *src,
                            const uint8_t *base, size_t n_groups, uint32_t *masks, uint8_t *steps)
{
    uint8_t *out = steps;
    for (size_t g = 0; g < n_groups; g++, src += 2 * VEC_BYTES, base += 2 * VEC_BYTES) {
        vec x = load(src), y = load(src + VEC_BYTES), a = load(base), b = load(base + VEC_BYTES);
        vec same = pack_signed_words(_mm256_cmpeq_epi16(x, a), _mm256_cmpeq_epi16(y, b));
        uint32_t mask = ~(uint32_t)_mm256_movemask_epi8(same);
        masks[g] = mask;
        vec first = _mm256_sub_epi16(order16(x, is_float), order16(a, is_float));
        vec second = _mm256_sub_epi16(order16(y, is_float), order16(b, is_float));
        out = gather16(shuffles, _mm256_castsi256_si128(first), mask, out);
        out = gather16(shuffles, _mm256_extracti128_si256(first, 1), mask >> 8, out);
        out = gather16(shuffles, _mm256_castsi256_si128(second), mask >> 16, out);
        out = gather16(shuffles, _mm256_extracti128_si256(second, 1), mask >> 24, out);
    }
    return (size_t)(out - steps) / 2;
}

ULP_INLINE size_t analyze32(const struct mth_ulp_shuffles *shuffles, bool is_float, const uint8_t *src,
                            const uint8_t *base, size_t n_groups, uint32_t *masks, uint8_t *steps)
{
    uint8_t *out = steps;
    for (size_t g = 0; g < n_groups; g++) {
        uint32_t mask = 0;
        for (unsigned i = 0; i < 4; i++, src += VEC_BYTES, base += VEC_BYTES) {
            vec x = load(src), a = load(base);
            vec step = _mm256_sub_epi32(order32(x, is_float), order32(a, is_float));
            uint32_t same = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(x, a)));
            uint32_t changed = ~same & 0xff;
            vec lanes = _mm256_cvtepu8_epi32(load8(shuffles->gather8[changed]));
            store(out, _mm256_permutevar8x32_epi32(step, lanes));
            out += 4 * count_of(changed);
            mask |= changed << 8 * i;
        }
        masks[g] = mask;
    }
    return (size_t)(out - steps) / 4;
}

RANS_TARGET_AVX2 static size_t analyze(const struct mth_ulp_format *format,
                                       const struct mth_ulp_shuffles *shuffles, const uint8_t *src,
                                       const uint8_t *base, size_t n_groups, uint32_t *masks, uint8_t *steps)
{
    bool is_float = format->exponent_bits > 0;
    if (format->lane_bits == 16)
        return is_float ? analyze16(shuffles, true, src, base, n_groups, masks, steps)
                        : analyze16(shuffles, false, src, base, n_groups, masks, steps);
    if (format->lane_bits == 32)
        return is_float ? analyze32(shuffles, true, src, base, n_groups, masks, steps)
                        : analyze32(shuffles, false, src, base, n_groups, masks, steps);
    return mth_ulp_portable.analyze(format, shuffles, src, base, n_groups, masks, steps);
}

ULP_INLINE vec scatter16(const struct mth_ulp_shuffles *shuffles, const uint8_t **steps, uint32_t mask)
{
    const uint8_t *first = *steps, *second = first + 2 * count_of(mask & 0xff);
    __m128i low = _mm_shuffle_epi8(load16(first), load16(shuffles->scatter16[mask & 0xff]));
    __m128i high = _mm_shuffle_epi8(load16(second), load16(shuffles->scatter16[mask >> 8 & 0xff]));
    *steps = second + 2 * count_of(mask >> 8 & 0xff);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

ULP_INLINE size_t merge16(const struct mth_ulp_shuffles *shuffles, bool is_float, const uint8_t *base,
                          size_t n_groups, const uint32_t *masks, const uint8_t *steps, uint8_t *dst)
{
    const uint8_t *in = steps;
    for (size_t g = 0; g < n_groups; g++, base += 2 * VEC_BYTES, dst += 2 * VEC_BYTES) {
        __builtin_prefetch(base + MTH_ULP_NEAR_BYTES, 0, 3);
        vec a = load(base), b = load(base + VEC_BYTES);
        vec first = scatter16(shuffles, &in, masks[g] & 0xffff);
        vec second = scatter16(shuffles, &in, masks[g] >> 16);
        store(dst, unorder16(_mm256_add_epi16(order16(a, is_float), first), is_float));
        store(dst + VEC_BYTES, unorder16(_mm256_add_epi16(order16(b, is_float), second), is_float));
    }
    return (size_t)(in - steps) / 2;
}

ULP_INLINE size_t merge32(const struct mth_ulp_shuffles *shuffles, bool is_float, const uint8_t *base,
                          size_t n_groups, const uint32_t *masks, const uint8_t *steps, uint8_t *dst)
{
    const uint8_t *in = steps;
    vec n_lanes = _mm256_set1_epi32(8);
    for (size_t g = 0; g < n_groups; g++) {
        for (unsigned i = 0; i < 4; i++, base += VEC_BYTES, dst += VEC_BYTES) {
            uint32_t mask = masks[g] >> 8 * i & 0xff;
            vec lanes = _mm256_cvtepu8_epi32(load8(shuffles->scatter8[mask]));
            vec step = _mm256_and_si256(_mm256_permutevar8x32_epi32(load(in), lanes),
                                        _mm256_cmpgt_epi32(n_lanes, lanes));
            store(dst, unorder32(_mm256_add_epi32(order32(load(base), is_float), step), is_float));
            in += 4 * count_of(mask);
        }
    }
    return (size_t)(in - steps) / 4;
}

RANS_TARGET_AVX2 static size_t merge(const struct mth_ulp_format *format,
                                     const struct mth_ulp_shuffles *shuffles, const uint8_t *base,
                                     size_t n_groups, const uint32_t *masks, const uint8_t *steps,
                                     uint8_t *dst)
{
    bool is_float = format->exponent_bits > 0;
    if (format->lane_bits == 16)
        return is_float ? merge16(shuffles, true, base, n_groups, masks, steps, dst)
                        : merge16(shuffles, false, base, n_groups, masks, steps, dst);
    if (format->lane_bits == 32)
        return is_float ? merge32(shuffles, true, base, n_groups, masks, steps, dst)
                        : merge32(shuffles, false, base, n_groups, masks, steps, dst);
    return mth_ulp_portable.merge(format, shuffles, base, n_groups, masks, steps, dst);
}

RANS_TARGET_AVX2 static size_t collect(const struct mth_ulp_shuffles *shuffles, const uint8_t *from,
                                       size_t n_groups, const uint32_t *masks, uint8_t *out)
{
    uint8_t *at = out;
    for (size_t g = 0; g < n_groups; g++, from += MTH_ULP_GROUP) {
        uint32_t mask = masks[g];
        /* Whether there are any, and in which quarter, changes by chance: no branch asks. */
        for (unsigned i = 0; i < 4; i++, mask >>= 8)
            at = gather8(shuffles, load8(from + 8 * i), mask, at);
    }
    return (size_t)(at - out);
}

/* ---- flags ---- */

/* What all 256 slots leave of x, where `mask` is 255; x where it is 0. */
ULP_INLINE vec negate_where(vec x, vec mask)
{
    return _mm256_sub_epi8(_mm256_xor_si256(x, mask), mask);
}

ULP_INLINE size_t decode_some_flags(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                    const uint8_t *from, size_t n_groups, uint32_t *masks, size_t first,
                                    size_t n_vecs)
{
    vec high[MOST_VECS], low[MOST_VECS], zero = _mm256_setzero_si256();
    const uint8_t *in = reader->in, *end = reader->end;
    const uint8_t *ahead = reader->ahead ? reader->ahead : from;
    size_t g = 0, next = reader->ahead ? MTH_ULP_AHEAD_BYTES : 0;
    for (size_t v = 0; v < n_vecs; v++) {
        size_t lane = (first + v) % n_vecs * VEC_BYTES;
        high[v] = load(reader->lanes.high + lane);
        low[v] = load(reader->lanes.low + lane);
    }
    while (n_groups - g >= n_vecs && (size_t)(end - in) >= n_vecs * VEC_BYTES) {
        for (size_t v = 0; v < n_vecs; v++, g++, ahead += next) {
            __builtin_prefetch(ahead, 0, 2);
            vec changed = look_up(table->changed, load(from + g * MTH_ULP_GROUP)), slot = low[v];
            vec behind = _mm256_sub_epi8(slot, changed), rank = _mm256_min_epu8(slot, behind);
            vec freq = _mm256_sub_epi8(rank, _mm256_max_epu8(slot, behind));
            vec same = _mm256_cmpeq_epi8(rank, behind);
            masks[g] = ~(uint32_t)_mm256_movemask_epi8(same);
            in = decode_lanes(freq, rank, _mm256_cmpeq_epi8(changed, zero), &high[v], &low[v], in);
        }
    }
    for (size_t v = 0; v < n_vecs; v++) {
        size_t lane = (first + v) % n_vecs * VEC_BYTES;
        store(reader->lanes.high + lane, high[v]);
        store(reader->lanes.low + lane, low[v]);
    }
    reader->in = in;
    return g;
}

RANS_TARGET_AVX2 static size_t decode_flags(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                            const uint8_t *from, size_t first, size_t n_groups,
                                            uint32_t *masks)
{
    /* States of four vectors do not fit the registers: as an unknown number, they stay in memory, and the tables do not. */
    size_t n_vecs = reader->lanes.n_lanes / VEC_BYTES;
    return n_vecs == 1   ? decode_some_flags(table, reader, from, n_groups, masks, first, 1)
           : n_vecs == 2 ? decode_some_flags(table, reader, from, n_groups, masks, first, 2)
                         : decode_some_flags(table, reader, from, n_groups, masks, first, n_vecs);
}

ULP_INLINE size_t encode_some_flags(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                    const uint8_t *from, size_t n_groups, const uint32_t *masks, size_t first,
                                    size_t n_vecs)
{
    vec high[MOST_VECS], low[MOST_VECS], zero = _mm256_setzero_si256(), flip = _mm256_set1_epi8((char)0x80);
    uint8_t *at = writer->at;
    size_t left = n_groups;
    /* Vector v has the groups that lie v before the last. */
    for (size_t v = 0; v < n_vecs; v++) {
        size_t lane = (first + n_groups - 1 + n_vecs - v) % n_vecs * VEC_BYTES;
        high[v] = load(writer->lanes.high + lane);
        low[v] = load(writer->lanes.low + lane);
    }
    while (left >= n_vecs && (size_t)(at - writer->begin) >= n_vecs * VEC_BYTES) {
        for (size_t v = 0; v < n_vecs; v++) {
            left--;
            vec context = load(from + left * MTH_ULP_GROUP), changed = look_up(table->changed, context);
            vec same = spread(~masks[left]);
            vec freq = negate_where(changed, same);
            /* A place above 127 finds 0. */
            vec if_changed = _mm256_or_si256(context, same);
            vec if_same = _mm256_or_si256(context, _mm256_andnot_si256(same, flip));
            vec reciprocal_low = _mm256_or_si256(look_up(table->same_reciprocal[0], if_same),
                                                 look_up(table->changed_reciprocal[0], if_changed));
            vec reciprocal_high = _mm256_or_si256(look_up(table->same_reciprocal[1], if_same),
                                                  look_up(table->changed_reciprocal[1], if_changed));
            at = encode_lanes(freq, _mm256_and_si256(same, changed), reciprocal_low, reciprocal_high,
                              _mm256_cmpeq_epi8(changed, zero), &high[v], &low[v], at);
        }
    }
    for (size_t v = 0; v < n_vecs; v++) {
        size_t lane = (first + n_groups - 1 + n_vecs - v) % n_vecs * VEC_BYTES;
        store(writer->lanes.high + lane, high[v]);
        store(writer->lanes.low + lane, low[v]);
    }
    writer->at = at;
    return n_groups - left;
}

RANS_TARGET_AVX2 static size_t encode_flags(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                            const uint8_t *from, size_t first, size_t n_groups,
                                            const uint32_t *masks)
{
    size_t n_vecs = writer->lanes.n_lanes / VEC_BYTES;
    return n_vecs == 1   ? encode_some_flags(table, writer, from, n_groups, masks, first, 1)
           : n_vecs == 2 ? encode_some_flags(table, writer, from, n_groups, masks, first, 2)
                         : encode_some_flags(table, writer, from, n_groups, masks, first, n_vecs);
}

const struct mth_ulp_kernels mth_ulp_avx2 = {
    .name = "avx2",
    .needs = MTH_CPU_AVX2,
    .contexts = contexts,
    .directions = directions,
    .analyze = analyze,
    .merge = merge,
    .collect = collect,
    .view = mth_ulp_avx2_view,
    .decode_flags = decode_flags,
    .encode_flags = encode_flags,
    .decode_symbols = mth_ulp_avx2_decode_symbols,
    .encode_symbols = mth_ulp_avx2_encode_symbols,
    .split16 = mth_ulp_avx2_split16,
    .join16 = mth_ulp_avx2_join16,
    .split32 = mth_ulp_long_split_avx2,
    .join32 = mth_ulp_long_join_avx2,
    .count = mth_ulp_portable_count,
    .count_contexts = mth_ulp_portable_count_contexts,
    .turns = &mth_ulp_turn_avx2,
};

#else
typedef int mth_ulp_avx2_is_not_here;
#endif
