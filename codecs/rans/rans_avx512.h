/*
 * Steps of rANS in AVX-512 with VBMI2 that kernels share: 64 states of 16 bits as two planes, the high bytes and the low ones.
 *
 * A file that includes this has MTH_RANS_HAVE_X86, or it has defined RANS_EMULATED and the intrinsics in plain C: tests do,
 * to run kernels where there is no such processor.
 */
#ifndef MTH_CODECS_RANS_AVX512_H
#define MTH_CODECS_RANS_AVX512_H

#include <stdint.h>

#ifdef RANS_EMULATED
#define RANS_TARGET_AVX512
#else
#include <immintrin.h>
#define RANS_TARGET_AVX512                                                                      \
    __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi," \
                          "avx512vbmi2")))
#endif
#define RANS_AVX512 static inline __attribute__((always_inline)) RANS_TARGET_AVX512

RANS_AVX512 __m512i mth_rans_512_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

/* Bytes of b in the odd places, those of a in the even ones. By a mask register, results would come three cycles later, not one. */
RANS_AVX512 __m512i mth_rans_512_weave(__m512i a, __m512i b)
{
    enum { IF_A_B_ELSE_C = 0xca };
    return _mm512_ternarylogic_epi64(_mm512_set1_epi16(255), a, b, IF_A_B_ELSE_C);
}

/* f * h + r, below 2^16, as planes: even lanes and odd ones apart, so that nothing has to be unpacked. */
RANS_AVX512 void mth_rans_512_multiply_add(__m512i f, __m512i h, __m512i r, __m512i *high, __m512i *low)
{
    __m512i byte = _mm512_set1_epi16(255);
    __m512i even = _mm512_mullo_epi16(_mm512_and_si512(f, byte), _mm512_and_si512(h, byte));
    __m512i odd = _mm512_mullo_epi16(_mm512_srli_epi16(f, 8), _mm512_srli_epi16(h, 8));
    even = _mm512_add_epi16(even, _mm512_and_si512(r, byte));
    odd = _mm512_add_epi16(odd, _mm512_srli_epi16(r, 8));
    *high = mth_rans_512_weave(_mm512_srli_epi16(even, 8), odd);
    *low = mth_rans_512_weave(even, _mm512_slli_epi16(odd, 8));
}

/* Expanded from a register: from memory, some processors take it apart byte by byte. */
RANS_AVX512 const uint8_t *mth_rans_512_refill(__m512i *high, __m512i *low, const uint8_t *in)
{
    __mmask64 empty = _mm512_testn_epi8_mask(*high, *high);
    *high = _mm512_mask_blend_epi8(empty, *high, *low);
    *low = _mm512_mask_expand_epi8(*low, empty, mth_rans_512_load(in));
    return in + __builtin_popcountll((uint64_t)empty);
}

/*
 * Bytes in the first n places of 64 go out in front of `at`: they are moved to the end of a vector, the next one covers the rest. Where each
 * byte then comes from is loaded: no vector unit has a part in that.
 */
RANS_AVX512 uint8_t *mth_rans_512_put_front(__m512i bytes, size_t n, uint8_t *at)
{
#define MTH_RANS_8(i) (i), (i) + 1, (i) + 2, (i) + 3, (i) + 4, (i) + 5, (i) + 6, (i) + 7
#define MTH_RANS_64                                                                               \
    MTH_RANS_8(0), MTH_RANS_8(8), MTH_RANS_8(16), MTH_RANS_8(24), MTH_RANS_8(32), MTH_RANS_8(40), \
        MTH_RANS_8(48), MTH_RANS_8(56)
    static const uint8_t turned[2 * 64] = {MTH_RANS_64, MTH_RANS_64};
#undef MTH_RANS_64
#undef MTH_RANS_8
    _mm512_storeu_si512((void *)(at - 64), _mm512_permutexvar_epi8(mth_rans_512_load(turned + n), bytes));
    return at - n;
}

/* The lanes in `full` lose a byte. */
RANS_AVX512 uint8_t *mth_rans_512_emit(__mmask64 full, __m512i *high, __m512i *low, uint8_t *at)
{
    __m512i bytes = _mm512_maskz_compress_epi8(full, *low);
    *low = _mm512_mask_blend_epi8(full, *low, *high);
    *high = _mm512_mask_blend_epi8(full, *high, _mm512_setzero_si512());
    return mth_rans_512_put_front(bytes, (size_t)__builtin_popcountll((uint64_t)full), at);
}

/* As in rans_avx2.h: the quotient, or one less and a rest that is f too large. */
RANS_AVX512 __m512i mth_rans_512_divide_words(__m512i x, __m512i f, __m512i reciprocal, __m512i *rest)
{
    __m512i q = _mm512_mulhi_epu16(x, reciprocal);
    __m512i r = _mm512_sub_epi16(x, _mm512_mullo_epi16(q, f));
    *rest = _mm512_min_epu16(r, _mm512_sub_epi16(r, f));
    return _mm512_mask_add_epi16(q, _mm512_cmpneq_epi16_mask(r, *rest), q, _mm512_set1_epi16(1));
}

/* Quotients, below 256, and rests of states by f, with reciprocals floor(65536 / f), at most 65535, as planes. */
RANS_AVX512 void mth_rans_512_divide(__m512i h, __m512i l, __m512i f, __m512i reciprocal_low,
                                     __m512i reciprocal_high, __m512i *q, __m512i *rest)
{
    __m512i zero = _mm512_setzero_si512(), rest_a, rest_b;
    __m512i a = mth_rans_512_divide_words(_mm512_unpacklo_epi8(l, h), _mm512_unpacklo_epi8(f, zero),
                                          _mm512_unpacklo_epi8(reciprocal_low, reciprocal_high), &rest_a);
    __m512i b = mth_rans_512_divide_words(_mm512_unpackhi_epi8(l, h), _mm512_unpackhi_epi8(f, zero),
                                          _mm512_unpackhi_epi8(reciprocal_low, reciprocal_high), &rest_b);
    *q = _mm512_packus_epi16(a, b);
    *rest = _mm512_packus_epi16(rest_a, rest_b);
}

#undef RANS_AVX512

#endif
