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

ULP_INLINE uint8_t *encode_lanes(vec freq, vec start, vec reciprocal_low, vec reciprocal_high, vec *high,
                                 vec *low, uint8_t *at)
{
    vec rest, quotient;
    __mmask64 moves = _mm512_test_epi8_mask(freq, freq);
    at = mth_rans_512_emit(_mm512_mask_cmpge_epu8_mask(moves, *high, freq), high, low, at);
    mth_rans_512_divide(*high, *low, freq, reciprocal_low, reciprocal_high, &quotient, &rest);
    *high = _mm512_mask_blend_epi8(moves, *high, quotient);
    *low = _mm512_mask_blend_epi8(moves, *low, _mm512_add_epi8(start, rest));
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
