/* Steps of 16 bits to symbols and back in AVX-512 with VBMI2: a group of 32 a vector; see ulp_steps.h. */
#include "codecs/ulp_rans/ulp_steps.h"

/* Tests define RANS_EMULATED and the intrinsics in plain C, to run this file where there is no such processor. */
#if defined(MTH_RANS_HAVE_X86) || defined(RANS_EMULATED)

#include "codecs/rans/rans_avx512.h"

#include <string.h>

#ifndef RANS_EMULATED
#define ULP_SPLIT16 mth_ulp_avx512_split16
#define ULP_JOIN16  mth_ulp_avx512_join16
#endif

#define ULP_INLINE static inline __attribute__((always_inline)) RANS_TARGET_AVX512

typedef __m512i vec;

enum { VEC_BYTES = 64 };

ULP_INLINE vec load(const uint8_t *p)
{
    return mth_rans_512_load(p);
}

ULP_INLINE void store(uint8_t *p, vec v)
{
    _mm512_storeu_si512((void *)p, v);
}

/* By the symbols in words below 16. */
ULP_INLINE vec first_of(vec symbol)
{
    static const uint8_t table[MTH_ULP_SYMBOLS] = {MTH_ULP_FIRST_OF_SYMBOL};
    return _mm512_permutexvar_epi8(symbol, _mm512_castsi128_si512(_mm_loadu_si128((const void *)table)));
}

ULP_INLINE vec bits_of(vec symbol)
{
    static const uint8_t table[MTH_ULP_SYMBOLS] = {MTH_ULP_BITS_OF_SYMBOL};
    return _mm512_permutexvar_epi8(symbol, _mm512_castsi128_si512(_mm_loadu_si128((const void *)table)));
}

/* Bits of fields in the lower half of each 32 bits, and each 64; and of all four. */
struct widths {
    vec low16, low32, all;
};

ULP_INLINE struct widths widths_of(vec n)
{
    vec low16 = _mm512_and_si512(n, _mm512_set1_epi32(0xffff));
    vec n32 = _mm512_add_epi32(low16, _mm512_srli_epi32(n, 16));
    vec low32 = _mm512_and_si512(n32, _mm512_set1_epi64(0xffffffff));
    return (struct widths){low16, low32, _mm512_add_epi64(low32, _mm512_srli_epi64(n32, 32))};
}

/* Four fields of 16 bits to one, the first one lowest; and back. */
ULP_INLINE vec join_fields(vec field, const struct widths *widths)
{
    vec low = _mm512_and_si512(field, _mm512_set1_epi32(0xffff)), high = _mm512_srli_epi32(field, 16);
    vec field32 = _mm512_or_si512(low, _mm512_sllv_epi32(high, widths->low16));
    low = _mm512_and_si512(field32, _mm512_set1_epi64(0xffffffff));
    return _mm512_or_si512(low, _mm512_sllv_epi64(_mm512_srli_epi64(field32, 32), widths->low32));
}

ULP_INLINE vec part_fields(vec field64, const struct widths *widths)
{
    vec high = _mm512_srlv_epi64(field64, widths->low32);
    vec low = _mm512_xor_si512(field64, _mm512_sllv_epi64(high, widths->low32));
    vec field32 = _mm512_or_si512(low, _mm512_slli_epi64(high, 32));
    high = _mm512_srlv_epi32(field32, widths->low16);
    low = _mm512_xor_si512(field32, _mm512_sllv_epi32(high, widths->low16));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

/* Symbols of magnitudes less one. */
ULP_INLINE vec symbols_of(vec v)
{
    static const uint8_t first[MTH_ULP_SYMBOLS] = {MTH_ULP_FIRST_OF_SYMBOL};
    vec one = _mm512_set1_epi16(1), symbol = _mm512_min_epu16(v, _mm512_set1_epi16(MTH_ULP_DIRECT));
    for (size_t s = MTH_ULP_DIRECT + 1; s < MTH_ULP_ESCAPE; s++)
        symbol = _mm512_mask_add_epi16(symbol, _mm512_cmpge_epu16_mask(v, _mm512_set1_epi16(first[s])),
                                       symbol, one);
    return _mm512_mask_add_epi16(
        symbol, _mm512_cmpge_epu16_mask(v, _mm512_set1_epi16(MTH_ULP_FIRST_OF_THE_ESCAPE)), symbol, one);
}

RANS_TARGET_AVX512 size_t ULP_SPLIT16(const uint8_t *steps, size_t n_groups, uint8_t *symbols, uint8_t *signs,
                                      struct mth_ulp_bit_writer *extra)
{
    struct mth_ulp_bit_writer writer = *extra;
    vec one = _mm512_set1_epi16(1), longer = _mm512_set1_epi16(MTH_ULP_DIRECT);
    size_t g = 0;
    for (; g < n_groups; g++, steps += VEC_BYTES, symbols += MTH_ULP_GROUP, signs += sizeof(uint32_t)) {
        vec step = load(steps), v = _mm512_sub_epi16(_mm512_abs_epi16(step), one);
        uint32_t down = (uint32_t)_mm512_movepi16_mask(step);
        if (_mm512_cmpge_epu16_mask(v, longer)) {
            struct mth_ulp_fields fields;
            vec symbol = symbols_of(v);
            struct widths widths = widths_of(bits_of(symbol));
            store((uint8_t *)fields.bits, join_fields(_mm512_sub_epi16(v, first_of(symbol)), &widths));
            store((uint8_t *)fields.n, widths.all);
            if (!mth_ulp_put_fields(&writer, &fields))
                break;
            v = symbol;
        }
        memcpy(signs, &down, sizeof down);
        _mm256_storeu_si256((void *)symbols, _mm512_cvtepi16_epi8(v));
    }
    *extra = writer;
    return g;
}

ULP_INLINE vec load_symbols(const uint8_t *symbols)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)symbols));
}

ULP_INLINE void join_group(const uint8_t *symbols, const uint8_t *signs, const struct mth_ulp_fields *fields,
                           uint8_t *steps)
{
    vec symbol = load_symbols(symbols);
    struct widths widths = widths_of(bits_of(symbol));
    vec v = _mm512_add_epi16(first_of(symbol), part_fields(load((const uint8_t *)fields->bits), &widths));
    vec magnitude = _mm512_add_epi16(v, _mm512_set1_epi16(1));
    uint32_t down;
    memcpy(&down, signs, sizeof down);
    store(steps, _mm512_mask_sub_epi16(magnitude, (__mmask32)down, _mm512_setzero_si512(), magnitude));
}

RANS_TARGET_AVX512 size_t ULP_JOIN16(const uint8_t *symbols, const uint8_t *signs, size_t n_groups,
                                     struct mth_ulp_bit_reader *extra, uint8_t *steps)
{
    struct mth_ulp_bit_reader reader = *extra;
    struct mth_ulp_fields fields[MTH_ULP_FIELDS_BATCH];
    size_t g = 0, n;
    for (; g < n_groups; g += n) {
        bool good = true;
        n = n_groups - g < MTH_ULP_FIELDS_BATCH ? n_groups - g : MTH_ULP_FIELDS_BATCH;
        for (size_t i = 0; i < n; i++) {
            struct widths widths = widths_of(bits_of(load_symbols(symbols + (g + i) * MTH_ULP_GROUP)));
            store((uint8_t *)fields[i].n, widths.all);
            good &= mth_ulp_get_fields(&reader, &fields[i]);
        }
        if (!good)
            break;
        for (size_t i = 0; i < n; i++)
            join_group(symbols + (g + i) * MTH_ULP_GROUP, signs + (g + i) * sizeof(uint32_t), &fields[i],
                       steps + (g + i) * VEC_BYTES);
        *extra = reader;
    }
    return g;
}

#else
typedef int mth_ulp_steps_avx512_is_not_here;
#endif
