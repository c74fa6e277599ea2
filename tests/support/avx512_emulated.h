/*
 * The AVX-512 intrinsics that rans_narrow_avx512.c uses, in plain C, after Intel's Intrinsics Guide: to run its source on
 * any machine. In place of <immintrin.h>, which must not be included beside it.
 */
#ifndef MTH_TESTS_AVX512_EMULATED_H
#define MTH_TESTS_AVX512_EMULATED_H

#include <stdint.h>
#include <string.h>

typedef struct {
    uint8_t b[64];
} __m512i;

typedef struct {
    uint8_t b[32];
} __m256i;

typedef uint64_t __mmask64;
typedef uint32_t __mmask32;

#define EMULATED static inline __attribute__((unused))

EMULATED uint16_t emulated_word(const __m512i *a, int i)
{
    return (uint16_t)(a->b[2 * i] | a->b[2 * i + 1] << 8);
}

EMULATED void emulated_set_word(__m512i *a, int i, unsigned v)
{
    a->b[2 * i] = (uint8_t)v;
    a->b[2 * i + 1] = (uint8_t)(v >> 8);
}

EMULATED __m512i _mm512_loadu_si512(const void *p)
{
    __m512i a;
    memcpy(a.b, p, sizeof a.b);
    return a;
}

EMULATED void _mm512_storeu_si512(void *p, __m512i a)
{
    memcpy(p, a.b, sizeof a.b);
}

EMULATED __m256i _mm256_loadu_si256(const void *p)
{
    __m256i a;
    memcpy(a.b, p, sizeof a.b);
    return a;
}

EMULATED __m512i _mm512_broadcast_i64x4(__m256i a)
{
    __m512i r;
    memcpy(r.b, a.b, sizeof a.b);
    memcpy(r.b + 32, a.b, sizeof a.b);
    return r;
}

EMULATED __m512i _mm512_setzero_si512(void)
{
    return (__m512i){{0}};
}

EMULATED __m512i _mm512_set1_epi8(char v)
{
    __m512i r;
    memset(r.b, v, sizeof r.b);
    return r;
}

EMULATED __m512i _mm512_set1_epi16(short v)
{
    __m512i r;
    for (int i = 0; i < 32; i++)
        emulated_set_word(&r, i, (unsigned)v);
    return r;
}

#define EMULATED_BYTES(name, expression)        \
    EMULATED __m512i name(__m512i x, __m512i y) \
    {                                           \
        __m512i r;                              \
        for (int i = 0; i < 64; i++) {          \
            unsigned a = x.b[i], b = y.b[i];    \
            r.b[i] = (uint8_t)(expression);     \
        }                                       \
        return r;                               \
    }

EMULATED_BYTES(_mm512_add_epi8, a + b)
EMULATED_BYTES(_mm512_sub_epi8, a - b)
EMULATED_BYTES(_mm512_min_epu8, a < b ? a : b)
EMULATED_BYTES(_mm512_and_si512, a &b)

#define EMULATED_WORDS(name, expression)                                 \
    EMULATED __m512i name(__m512i x, __m512i y)                          \
    {                                                                    \
        __m512i r;                                                       \
        for (int i = 0; i < 32; i++) {                                   \
            uint32_t a = emulated_word(&x, i), b = emulated_word(&y, i); \
            emulated_set_word(&r, i, expression);                        \
        }                                                                \
        return r;                                                        \
    }

EMULATED_WORDS(_mm512_add_epi16, a + b)
EMULATED_WORDS(_mm512_sub_epi16, a - b)
EMULATED_WORDS(_mm512_mullo_epi16, a *b)
EMULATED_WORDS(_mm512_mulhi_epu16, a *b >> 16)
EMULATED_WORDS(_mm512_min_epu16, a < b ? a : b)

EMULATED __m512i _mm512_srli_epi16(__m512i a, unsigned n)
{
    __m512i r;
    for (int i = 0; i < 32; i++)
        emulated_set_word(&r, i, (unsigned)emulated_word(&a, i) >> n);
    return r;
}

EMULATED __m512i _mm512_mask_add_epi16(__m512i src, __mmask32 k, __m512i a, __m512i b)
{
    __m512i sum = _mm512_add_epi16(a, b);
    for (int i = 0; i < 32; i++) {
        if (k >> i & 1)
            emulated_set_word(&src, i, emulated_word(&sum, i));
    }
    return src;
}

/* Within each 128 bits: bytes of the low or the high 64 of a and b in turns. */
EMULATED __m512i emulated_unpack(__m512i a, __m512i b, int from)
{
    __m512i r;
    for (int lane = 0; lane < 64; lane += 16) {
        for (int i = 0; i < 8; i++) {
            r.b[lane + 2 * i] = a.b[lane + from + i];
            r.b[lane + 2 * i + 1] = b.b[lane + from + i];
        }
    }
    return r;
}

EMULATED __m512i _mm512_unpacklo_epi8(__m512i a, __m512i b)
{
    return emulated_unpack(a, b, 0);
}

EMULATED __m512i _mm512_unpackhi_epi8(__m512i a, __m512i b)
{
    return emulated_unpack(a, b, 8);
}

/* Signed words to bytes, saturating; within each 128 bits eight of a, then eight of b. */
EMULATED uint8_t emulated_saturate(uint16_t word)
{
    return word >> 15 ? 0 : word > 255 ? 255 : (uint8_t)word;
}

EMULATED __m512i _mm512_packus_epi16(__m512i a, __m512i b)
{
    __m512i r;
    for (int lane = 0; lane < 4; lane++) {
        for (int i = 0; i < 8; i++) {
            r.b[16 * lane + i] = emulated_saturate(emulated_word(&a, 8 * lane + i));
            r.b[16 * lane + 8 + i] = emulated_saturate(emulated_word(&b, 8 * lane + i));
        }
    }
    return r;
}

EMULATED __m512i _mm512_permutexvar_epi8(__m512i i, __m512i a)
{
    __m512i r;
    for (int k = 0; k < 64; k++)
        r.b[k] = a.b[i.b[k] & 63];
    return r;
}

EMULATED __m512i _mm512_permutex2var_epi8(__m512i a, __m512i i, __m512i b)
{
    __m512i r;
    for (int k = 0; k < 64; k++)
        r.b[k] = i.b[k] & 64 ? b.b[i.b[k] & 63] : a.b[i.b[k] & 63];
    return r;
}

EMULATED __m512i _mm512_mask_blend_epi8(__mmask64 k, __m512i a, __m512i b)
{
    for (int i = 0; i < 64; i++)
        a.b[i] = k >> i & 1 ? b.b[i] : a.b[i];
    return a;
}

#define EMULATED_MASK(name, expression)           \
    EMULATED __mmask64 name(__m512i x, __m512i y) \
    {                                             \
        __mmask64 k = 0;                          \
        for (int i = 0; i < 64; i++) {            \
            unsigned a = x.b[i], b = y.b[i];      \
            k |= (__mmask64)(expression) << i;    \
        }                                         \
        return k;                                 \
    }

EMULATED_MASK(_mm512_cmpeq_epi8_mask, a == b)
EMULATED_MASK(_mm512_cmpge_epu8_mask, a >= b)
EMULATED_MASK(_mm512_testn_epi8_mask, (a & b) == 0)

EMULATED __mmask64 _mm512_movepi8_mask(__m512i a)
{
    __mmask64 k = 0;
    for (int i = 0; i < 64; i++)
        k |= (__mmask64)(a.b[i] >> 7) << i;
    return k;
}

EMULATED __mmask32 _mm512_cmpneq_epi16_mask(__m512i a, __m512i b)
{
    __mmask32 k = 0;
    for (int i = 0; i < 32; i++)
        k |= (__mmask32)(emulated_word(&a, i) != emulated_word(&b, i)) << i;
    return k;
}

EMULATED __m512i _mm512_mask_expand_epi8(__m512i src, __mmask64 k, __m512i a)
{
    for (int i = 0, n = 0; i < 64; i++) {
        if (k >> i & 1)
            src.b[i] = a.b[n++];
    }
    return src;
}

EMULATED __m512i _mm512_maskz_compress_epi8(__mmask64 k, __m512i a)
{
    __m512i r = {{0}};
    for (int i = 0, n = 0; i < 64; i++) {
        if (k >> i & 1)
            r.b[n++] = a.b[i];
    }
    return r;
}

#endif
