/*
 * What the AVX-512 kernels of flags and of symbols share. A file that includes this has MTH_RANS_HAVE_X86; or tests define RANS_EMULATED,
 * the intrinsics in plain C and these names.
 */
#ifndef MTH_CODECS_ULP_AVX512_H
#define MTH_CODECS_ULP_AVX512_H

#include "codecs/ulp_rans/ulp_kernels.h"
#include "codecs/ulp_rans/ulp_vec_avx512.h"

#ifndef RANS_EMULATED
/* What does not come in whole vectors. */
#define ULP_REST           mth_ulp_avx2
#define ULP_DECODE_SYMBOLS mth_ulp_avx512_decode_symbols
#define ULP_ENCODE_SYMBOLS mth_ulp_avx512_encode_symbols
#endif

/* ---- states ---- */

/* A symbol of freq slots is taken out of each lane but those in `keep`; rank is the slot less the symbol's first. */
ULP_INLINE const uint8_t *decode_lanes(vec freq, vec rank, __mmask64 keep, vec *high, vec *low,
                                       const uint8_t *in)
{
    vec kept = *high;
    mth_rans_512_multiply_add(freq, *high, rank, high, low);
    *high = _mm512_mask_blend_epi8(keep, *high, kept);
    return mth_rans_512_refill(high, low, in);
}

/* What divides states of even lanes and of odd ones, in words: f in the low byte, whatever above it; see mth_ulp_table. */
struct divisors {
    vec even, odd, even_multiplier, odd_multiplier, even_shift, odd_shift;
};

ULP_INLINE vec divide_words(vec x, vec multiplier, vec shift)
{
    return _mm512_srlv_epi16(_mm512_avg_epu16(x, _mm512_mulhi_epu16(x, multiplier)), shift);
}

/*
 * 64 symbols into their states, of which the high bytes are kept inverted; f slots from start on each, others = 256 - f, 0 where that is 256.
 * With x = 256 h + l a state and q = floor(x / f) the new one is 256 q + start + x - q f; of the product the low byte is enough. Where f is 256, q is h: the
 * state stays. What waits for a mask register comes three cycles later than what does not: there are two such, and no more.
 */
ULP_INLINE uint8_t *put_lanes(vec others, vec start, const struct divisors *by, vec *inverted, vec *low,
                              uint8_t *at)
{
    enum { IF_A_B_ELSE_NOT_C = 0xc5, NEITHER = 0x01 };
    vec ones = _mm512_set1_epi8(-1), byte = _mm512_set1_epi16(255);
    __mmask64 full = _mm512_cmplt_epu8_mask(*inverted, others);
    at = mth_rans_512_put_front(_mm512_maskz_compress_epi8(full, *low),
                                (size_t)__builtin_popcountll((uint64_t)full), at);
    vec l = _mm512_mask_sub_epi8(*low, full, ones, *inverted);
    vec not_h = _mm512_mask_blend_epi8(full, *inverted, ones);
    vec even = _mm512_ternarylogic_epi64(byte, l, _mm512_slli_epi16(not_h, 8), IF_A_B_ELSE_NOT_C);
    vec odd = _mm512_ternarylogic_epi64(byte, _mm512_srli_epi16(l, 8), not_h, IF_A_B_ELSE_NOT_C);
    even = divide_words(even, by->even_multiplier, by->even_shift);
    odd = _mm512_slli_epi16(divide_words(odd, by->odd_multiplier, by->odd_shift), 8);
    *inverted = _mm512_ternarylogic_epi64(even, even, odd, NEITHER);
    vec taken = mth_rans_512_weave(_mm512_mullo_epi16(even, by->even), _mm512_mullo_epi16(odd, by->odd));
    *low = _mm512_sub_epi8(_mm512_add_epi8(l, start), taken);
    return at;
}

/* 16 bytes in front, 16 behind, and whatever above: a look-up by context, or by context and 16 more. */
ULP_INLINE vec two_tables(const uint8_t first[MTH_ULP_CONTEXTS], const uint8_t second[MTH_ULP_CONTEXTS])
{
    return _mm512_inserti32x4(_mm512_castsi128_si512(_mm_loadu_si128((const void *)first)),
                              _mm_loadu_si128((const void *)second), 1);
}

ULP_INLINE vec one_table(const uint8_t table[MTH_ULP_CONTEXTS])
{
    return two_tables(table, table);
}

/* Symbols; see ulp_kernels.h. */
size_t ULP_DECODE_SYMBOLS(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                          const uint8_t *from, size_t n_steps, uint8_t *symbols);
size_t ULP_ENCODE_SYMBOLS(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                          const uint8_t *from_end, const uint8_t *symbols_end, size_t n_steps);

#endif
