/* The wide mode in AVX-512: 16 lanes a vector, entries gathered; see rans_wide.h. */
#include "codecs/rans/rans_wide.h"

/* Tests define RANS_EMULATED and the intrinsics in plain C, to run this file where there is no such processor. */
#if defined(MTH_RANS_WIDE_HAVE_X86) || defined(RANS_EMULATED)

#include "base/cpu.h"

#ifdef RANS_EMULATED
#define TARGET
#else
#include <immintrin.h>
#define RANS_WIDE_NAME mth_rans_wide_avx512
#define TARGET         __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,popcnt")))
#endif
#define VEC_INLINE static inline __attribute__((always_inline)) TARGET

enum { VEC_LANES = 16, VECS = MTH_RANS_WIDE_LANES / VEC_LANES };

/*
 * 16 lanes.
 *
 * Requires  32 readable bytes at in
 */
VEC_INLINE const uint8_t *decode_vec(const struct mth_rans_wide_table *table, __m128i slot_bits,
                                     __m512i slot_mask, __m512i *x, const uint8_t *in, __m512i *values)
{
    __m512i entries = _mm512_i32gather_epi32(_mm512_and_si512(*x, slot_mask), (const void *)table->slots, 4);
    __m512i freq = _mm512_and_si512(_mm512_srli_epi32(entries, MTH_RANS_ENTRY_FREQ_SHIFT),
                                    _mm512_set1_epi32(MTH_RANS_WIDE_SLOTS - 1));
    __m512i y = _mm512_add_epi32(_mm512_mullo_epi32(freq, _mm512_srl_epi32(*x, slot_bits)),
                                 _mm512_srli_epi32(entries, MTH_RANS_ENTRY_RANK_SHIFT));
    __mmask16 below = _mm512_cmplt_epu32_mask(y, _mm512_set1_epi32(MTH_RANS_WIDE_STATE_LOW));
    __m512i words =
        _mm512_maskz_expand_epi32(below, _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)in)));
    *values = entries;
    *x = _mm512_mask_or_epi32(y, below, _mm512_slli_epi32(y, 16), words);
    return in + MTH_RANS_WORD_BYTES * (size_t)__builtin_popcount(below);
}

VEC_INLINE size_t decode_some(const struct mth_rans_wide_table *table, struct mth_rans_wide_reader *reader,
                              uint8_t *dst, size_t n_steps, size_t n_vecs)
{
    __m128i slot_bits = _mm_cvtsi32_si128(table->slot_bits);
    __m512i slot_mask = _mm512_set1_epi32((1 << table->slot_bits) - 1);
    __m512i x[VECS], values;
    const uint8_t *in = reader->in, *end = reader->end;
    size_t done = 0, n_lanes = n_vecs * VEC_LANES;
    for (size_t v = 0; v < n_vecs; v++)
        x[v] = _mm512_loadu_si512(reader->lanes.x + v * VEC_LANES);
    /* The last vector reads 32 bytes wherever it stands: at most 32 further on. */
    for (; done < n_steps && (size_t)(end - in) >= n_lanes * MTH_RANS_WORD_BYTES; done++) {
        for (size_t v = 0; v < n_vecs; v++, dst += VEC_LANES) {
            in = decode_vec(table, slot_bits, slot_mask, &x[v], in, &values);
            _mm_storeu_si128((void *)dst, _mm512_cvtepi32_epi8(values));
        }
    }
    for (size_t v = 0; v < n_vecs; v++)
        _mm512_storeu_si512(reader->lanes.x + v * VEC_LANES, x[v]);
    reader->in = in;
    return done;
}

TARGET static size_t decode_steps(const struct mth_rans_wide_table *table,
                                  struct mth_rans_wide_reader *reader, uint8_t *dst, size_t n_steps)
{
    return reader->lanes.n_lanes == VEC_LANES ? decode_some(table, reader, dst, n_steps, 1)
                                              : decode_some(table, reader, dst, n_steps, VECS);
}

/* ---- encoding ---- */

/* floor(x / freq) of 16 lanes: even ones and odd ones apart, as products have twice the width. */
VEC_INLINE __m512i divide(__m512i x, __m512i reciprocal, __m512i fields)
{
    __m512i shift =
        _mm512_add_epi32(_mm512_srli_epi32(fields, MTH_RANS_CODER_SHIFT_AT), _mm512_set1_epi32(31));
    __m512i even = _mm512_srlv_epi64(_mm512_mul_epu32(x, reciprocal),
                                     _mm512_and_si512(shift, _mm512_set1_epi64(0xffffffff)));
    __m512i odd =
        _mm512_srlv_epi64(_mm512_mul_epu32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(reciprocal, 32)),
                          _mm512_srli_epi64(shift, 32));
    return _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}

/*
 * 16 lanes.
 *
 * Requires  32 writable bytes in front of at
 */
VEC_INLINE uint8_t *encode_vec(const struct mth_rans_wide_table *table, __m128i limit_shift, __m512i n_slots,
                               __m512i *x, const uint8_t *src, uint8_t *at)
{
    const __m512i field = _mm512_set1_epi32((1 << MTH_RANS_CODER_FIELD_BITS) - 1),
                  lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i values = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)src));
    __m512i reciprocal =
        _mm512_i32gather_epi32(values, (const void *)&table->coders[0].reciprocal, sizeof *table->coders);
    __m512i fields =
        _mm512_i32gather_epi32(values, (const void *)&table->coders[0].fields, sizeof *table->coders);
    __m512i freq = _mm512_and_si512(fields, field),
            start = _mm512_and_si512(_mm512_srli_epi32(fields, MTH_RANS_CODER_FIELD_BITS), field);
    __mmask16 above = _mm512_cmpge_epu32_mask(*x, _mm512_sll_epi32(freq, limit_shift));
    int n_above = __builtin_popcount(above);
    /* The words of the lanes that are above, in order, turned to the vector's end; what lies in front is written again. */
    __m512i words = _mm512_permutexvar_epi32(_mm512_add_epi32(lanes, _mm512_set1_epi32(n_above)),
                                             _mm512_maskz_compress_epi32(above, *x));
    _mm256_storeu_si256((void *)(at - VEC_LANES * MTH_RANS_WORD_BYTES), _mm512_cvtepi32_epi16(words));
    __m512i y = _mm512_mask_srli_epi32(*x, above, *x, 16);
    __m512i rest = _mm512_mullo_epi32(divide(y, reciprocal, fields), _mm512_sub_epi32(n_slots, freq));
    *x = _mm512_add_epi32(_mm512_add_epi32(y, rest), start);
    return at - MTH_RANS_WORD_BYTES * n_above;
}

VEC_INLINE size_t encode_some(const struct mth_rans_wide_table *table, struct mth_rans_wide_writer *writer,
                              const uint8_t *src_end, size_t n_steps, size_t n_vecs)
{
    __m128i limit_shift = _mm_cvtsi32_si128(31 - table->slot_bits);
    __m512i n_slots = _mm512_set1_epi32(1 << table->slot_bits), x[VECS];
    uint8_t *at = writer->at;
    size_t done = 0, n_lanes = n_vecs * VEC_LANES;
    for (size_t v = 0; v < n_vecs; v++)
        x[v] = _mm512_loadu_si512(writer->lanes.x + v * VEC_LANES);
    /* The last vector writes 32 bytes wherever it stands: at most 32 further in front. */
    for (; done < n_steps && (size_t)(at - writer->begin) >= n_lanes * MTH_RANS_WORD_BYTES; done++) {
        src_end -= n_lanes;
        for (size_t v = n_vecs; v-- > 0;)
            at = encode_vec(table, limit_shift, n_slots, &x[v], src_end + v * VEC_LANES, at);
    }
    for (size_t v = 0; v < n_vecs; v++)
        _mm512_storeu_si512(writer->lanes.x + v * VEC_LANES, x[v]);
    writer->at = at;
    return done;
}

TARGET static size_t encode_steps(const struct mth_rans_wide_table *table,
                                  struct mth_rans_wide_writer *writer, const uint8_t *src_end, size_t n_steps)
{
    return writer->lanes.n_lanes == VEC_LANES ? encode_some(table, writer, src_end, n_steps, 1)
                                              : encode_some(table, writer, src_end, n_steps, VECS);
}

const struct mth_rans_wide_kernels RANS_WIDE_NAME = {
    .name = "avx512",
    .needs = MTH_CPU_AVX512,
    .decode = decode_steps,
    .encode = encode_steps,
};

#else
typedef int mth_rans_wide_avx512_is_not_here;
#endif
