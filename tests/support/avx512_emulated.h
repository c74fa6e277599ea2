/*
 * The AVX-512 intrinsics that kernels here use, in plain C, after Intel's Intrinsics Guide: to run their sources on any machine.
 * In place of <immintrin.h>, which must not be included beside it.
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

typedef struct {
    uint8_t b[16];
} __m128i;

typedef uint64_t __mmask64;
typedef uint32_t __mmask32;
typedef uint16_t __mmask16;

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

EMULATED uint32_t emulated_double(const __m512i *a, int i)
{
    return emulated_word(a, 2 * i) | (uint32_t)emulated_word(a, 2 * i + 1) << 16;
}

EMULATED void emulated_set_double(__m512i *a, int i, uint32_t v)
{
    emulated_set_word(a, 2 * i, v & 0xffff);
    emulated_set_word(a, 2 * i + 1, v >> 16);
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

EMULATED void _mm256_storeu_si256(void *p, __m256i a)
{
    memcpy(p, a.b, sizeof a.b);
}

EMULATED __m128i _mm_loadu_si128(const void *p)
{
    __m128i a;
    memcpy(a.b, p, sizeof a.b);
    return a;
}

EMULATED void _mm_storeu_si128(void *p, __m128i a)
{
    memcpy(p, a.b, sizeof a.b);
}

EMULATED __m128i _mm_cvtsi32_si128(int v)
{
    __m128i a = {{0}};
    memcpy(a.b, &v, sizeof v);
    return a;
}

EMULATED __m512i _mm512_castsi128_si512(__m128i a)
{
    __m512i r = {{0}};
    memcpy(r.b, a.b, sizeof a.b);
    return r;
}

EMULATED __m512i _mm512_inserti32x4(__m512i a, __m128i b, int at)
{
    memcpy(a.b + 16 * at, b.b, sizeof b.b);
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

EMULATED __m512i _mm512_set1_epi32(int v)
{
    __m512i r;
    for (int i = 0; i < 16; i++)
        emulated_set_double(&r, i, (uint32_t)v);
    return r;
}

EMULATED __m512i _mm512_setr_epi32(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j,
                                   int k, int l, int m, int n, int o, int p)
{
    const int v[16] = {a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p};
    __m512i r;
    for (int at = 0; at < 16; at++)
        emulated_set_double(&r, at, (uint32_t)v[at]);
    return r;
}

EMULATED __m512i _mm512_setr_epi64(long long a, long long b, long long c, long long d, long long e,
                                   long long f, long long g, long long h)
{
    const long long v[8] = {a, b, c, d, e, f, g, h};
    __m512i r;
    memcpy(r.b, v, sizeof v);
    return r;
}

EMULATED __m512i _mm512_set1_epi64(long long v)
{
    return _mm512_setr_epi64(v, v, v, v, v, v, v, v);
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
EMULATED_BYTES(_mm512_max_epu8, a > b ? a : b)
EMULATED_BYTES(_mm512_subs_epu8, a > b ? a - b : 0)
EMULATED_BYTES(_mm512_min_epi8, (int8_t)a < (int8_t)b ? a : b)
EMULATED_BYTES(_mm512_and_si512, a &b)
EMULATED_BYTES(_mm512_andnot_si512, ~a &b)
EMULATED_BYTES(_mm512_or_si512, a | b)
EMULATED_BYTES(_mm512_xor_si512, a ^ b)

/* Bit i of imm: what comes out where the bits of a, b and c, a the highest, are i. */
EMULATED __m512i _mm512_ternarylogic_epi64(__m512i a, __m512i b, __m512i c, int imm)
{
    __m512i r;
    for (int i = 0; i < 64; i++) {
        unsigned byte = 0;
        for (int k = 0; k < 8; k++) {
            int at = (a.b[i] >> k & 1) << 2 | (b.b[i] >> k & 1) << 1 | (c.b[i] >> k & 1);
            byte |= (unsigned)(imm >> at & 1) << k;
        }
        r.b[i] = (uint8_t)byte;
    }
    return r;
}

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
EMULATED_WORDS(_mm512_avg_epu16, (a + b + 1) >> 1)
EMULATED_WORDS(_mm512_srlv_epi16, b < 16 ? a >> b : 0)
EMULATED_WORDS(_mm512_min_epu16, a < b ? a : b)
EMULATED_WORDS(_mm512_subs_epu16, a > b ? a - b : 0)

#define EMULATED_DOUBLES(name, expression)                                   \
    EMULATED __m512i name(__m512i x, __m512i y)                              \
    {                                                                        \
        __m512i r;                                                           \
        for (int i = 0; i < 16; i++) {                                       \
            uint32_t a = emulated_double(&x, i), b = emulated_double(&y, i); \
            emulated_set_double(&r, i, expression);                          \
        }                                                                    \
        return r;                                                            \
    }

EMULATED_DOUBLES(_mm512_add_epi32, a + b)
EMULATED_DOUBLES(_mm512_sub_epi32, a - b)
EMULATED_DOUBLES(_mm512_mullo_epi32, a *b)
EMULATED_DOUBLES(_mm512_min_epi32, (int32_t)a < (int32_t)b ? a : b)
EMULATED_DOUBLES(_mm512_max_epi32, (int32_t)a > (int32_t)b ? a : b)

#define EMULATED_SHIFT(name, lanes, lane, type, operator)                                    \
    EMULATED __m512i name(__m512i a, unsigned n)                                             \
    {                                                                                        \
        __m512i r;                                                                           \
        for (int i = 0; i < (lanes); i++)                                                    \
            emulated_set_##lane(&r, i, (uint32_t)((type)emulated_##lane(&a, i) operator n)); \
        return r;                                                                            \
    }

EMULATED_SHIFT(_mm512_srli_epi16, 32, word, uint16_t, >>)
EMULATED_SHIFT(_mm512_slli_epi16, 32, word, uint16_t, <<)
EMULATED_SHIFT(_mm512_srai_epi16, 32, word, int16_t, >>)
EMULATED_SHIFT(_mm512_srai_epi32, 16, double, int32_t, >>)
EMULATED_SHIFT(_mm512_srli_epi32, 16, double, uint32_t, >>)
EMULATED_SHIFT(_mm512_slli_epi32, 16, double, uint32_t, <<)

#define EMULATED_QUADS(name, expression)        \
    EMULATED __m512i name(__m512i x, __m512i y) \
    {                                           \
        for (int i = 0; i < 8; i++) {           \
            uint64_t a, b;                      \
            memcpy(&a, x.b + 8 * i, 8);         \
            memcpy(&b, y.b + 8 * i, 8);         \
            a = expression;                     \
            memcpy(x.b + 8 * i, &a, 8);         \
        }                                       \
        return x;                               \
    }

EMULATED_QUADS(_mm512_add_epi64, a + b)

EMULATED __m512i _mm512_popcnt_epi64(__m512i a)
{
    for (int i = 0; i < 8; i++) {
        uint64_t x;
        memcpy(&x, a.b + 8 * i, 8);
        x = (uint64_t)__builtin_popcountll(x);
        memcpy(a.b + 8 * i, &x, 8);
    }
    return a;
}

EMULATED_QUADS(_mm512_mul_epu32, (a & 0xffffffff) * (b & 0xffffffff))
EMULATED_QUADS(_mm512_sllv_epi64, b > 63 ? 0 : a << b)
EMULATED_QUADS(_mm512_srlv_epi64, b > 63 ? 0 : a >> b)
EMULATED_DOUBLES(_mm512_sllv_epi32, b > 31 ? 0 : a << b)
EMULATED_DOUBLES(_mm512_srlv_epi32, b > 31 ? 0 : a >> b)

EMULATED __m512i _mm512_srli_epi64(__m512i a, unsigned n)
{
    return _mm512_srlv_epi64(a, _mm512_set1_epi64(n));
}

EMULATED __m512i _mm512_slli_epi64(__m512i a, unsigned n)
{
    return _mm512_sllv_epi64(a, _mm512_set1_epi64(n));
}

EMULATED __m512i _mm512_srl_epi16(__m512i a, __m128i n)
{
    return _mm512_srli_epi16(a, n.b[0]);
}

EMULATED __m512i _mm512_srl_epi32(__m512i a, __m128i n)
{
    return _mm512_srli_epi32(a, n.b[0]);
}

EMULATED __m512i _mm512_sll_epi32(__m512i a, __m128i n)
{
    return _mm512_slli_epi32(a, n.b[0]);
}

EMULATED __m512i _mm512_abs_epi16(__m512i a)
{
    for (int i = 0; i < 32; i++) {
        unsigned word = emulated_word(&a, i);
        emulated_set_word(&a, i, word >> 15 ? 65536 - word : word);
    }
    return a;
}

EMULATED __m256i _mm512_cvtepi16_epi8(__m512i a)
{
    __m256i r;
    for (int i = 0; i < 32; i++)
        r.b[i] = a.b[2 * i];
    return r;
}

EMULATED __m512i _mm512_cvtepu8_epi16(__m256i a)
{
    __m512i r;
    for (int i = 0; i < 32; i++)
        emulated_set_word(&r, i, a.b[i]);
    return r;
}

EMULATED __m512i _mm512_mask_sub_epi16(__m512i src, __mmask32 k, __m512i a, __m512i b)
{
    __m512i difference = _mm512_sub_epi16(a, b);
    for (int i = 0; i < 32; i++) {
        if (k >> i & 1)
            emulated_set_word(&src, i, emulated_word(&difference, i));
    }
    return src;
}

EMULATED __m512i _mm512_mask_blend_epi16(__mmask32 k, __m512i a, __m512i b)
{
    for (int i = 0; i < 32; i++)
        emulated_set_word(&a, i, k >> i & 1 ? emulated_word(&b, i) : emulated_word(&a, i));
    return a;
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

/* Signed doublewords to words, saturating, as above. */
EMULATED uint16_t emulated_saturate_double(int32_t v)
{
    return (uint16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

EMULATED __m512i _mm512_packs_epi32(__m512i a, __m512i b)
{
    __m512i r;
    for (int lane = 0; lane < 4; lane++) {
        for (int i = 0; i < 4; i++) {
            emulated_set_word(&r, 8 * lane + i,
                              emulated_saturate_double((int32_t)emulated_double(&a, 4 * lane + i)));
            emulated_set_word(&r, 8 * lane + 4 + i,
                              emulated_saturate_double((int32_t)emulated_double(&b, 4 * lane + i)));
        }
    }
    return r;
}

/* Of each 64 bits of a, the byte from each of eight bits on. */
EMULATED __m512i _mm512_multishift_epi64_epi8(__m512i at, __m512i a)
{
    for (int i = 0; i < 64; i++) {
        uint64_t word;
        unsigned n = at.b[i] & 63;
        memcpy(&word, a.b + i / 8 * 8, 8);
        at.b[i] = (uint8_t)(n ? word >> n | word << (64 - n) : word);
    }
    return at;
}

EMULATED __m512i _mm512_permutex2var_epi32(__m512i a, __m512i i, __m512i b)
{
    __m512i r;
    for (int k = 0; k < 16; k++) {
        uint32_t at = emulated_double(&i, k);
        emulated_set_double(&r, k, emulated_double(at & 16 ? &b : &a, (int)(at & 15)));
    }
    return r;
}

EMULATED __m512i _mm512_permutexvar_epi32(__m512i i, __m512i a)
{
    __m512i r;
    for (int k = 0; k < 16; k++)
        emulated_set_double(&r, k, emulated_double(&a, (int)(emulated_double(&i, k) & 15)));
    return r;
}

EMULATED __m512i _mm512_permutexvar_epi64(__m512i i, __m512i a)
{
    __m512i r;
    for (int k = 0; k < 8; k++)
        memcpy(r.b + 8 * k, a.b + 8 * (i.b[8 * k] & 7), 8);
    return r;
}

EMULATED __m512i _mm512_permutexvar_epi16(__m512i i, __m512i a)
{
    __m512i r;
    for (int k = 0; k < 32; k++)
        memcpy(r.b + 2 * k, a.b + 2 * (i.b[2 * k] & 31), 2);
    return r;
}

EMULATED uint64_t _pext_u64(uint64_t x, uint64_t mask)
{
    uint64_t r = 0;
    for (unsigned n = 0; mask; mask &= mask - 1, n++)
        r |= (x >> __builtin_ctzll(mask) & 1) << n;
    return r;
}

EMULATED uint64_t _pdep_u64(uint64_t x, uint64_t mask)
{
    uint64_t r = 0;
    for (unsigned n = 0; mask; mask &= mask - 1, n++)
        r |= (x >> n & 1) << __builtin_ctzll(mask);
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

EMULATED __m512i _mm512_mask_add_epi8(__m512i src, __mmask64 k, __m512i a, __m512i b)
{
    return _mm512_mask_blend_epi8(k, src, _mm512_add_epi8(a, b));
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
EMULATED_MASK(_mm512_cmplt_epu8_mask, a < b)
EMULATED_MASK(_mm512_cmpgt_epi8_mask, (int8_t)a > (int8_t)b)
EMULATED_MASK(_mm512_test_epi8_mask, (a & b) != 0)
EMULATED_MASK(_mm512_testn_epi8_mask, (a & b) == 0)

EMULATED __m512i _mm512_mask_sub_epi8(__m512i src, __mmask64 k, __m512i a, __m512i b)
{
    return _mm512_mask_blend_epi8(k, src, _mm512_sub_epi8(a, b));
}

EMULATED __mmask64 _mm512_mask_cmpge_epu8_mask(__mmask64 k, __m512i a, __m512i b)
{
    return k & _mm512_cmpge_epu8_mask(a, b);
}

EMULATED __mmask32 _mm512_movepi16_mask(__m512i a)
{
    __mmask32 k = 0;
    for (int i = 0; i < 32; i++)
        k |= (__mmask32)(emulated_word(&a, i) >> 15) << i;
    return k;
}

EMULATED __mmask32 _mm512_cmpge_epu16_mask(__m512i a, __m512i b)
{
    __mmask32 k = 0;
    for (int i = 0; i < 32; i++)
        k |= (__mmask32)(emulated_word(&a, i) >= emulated_word(&b, i)) << i;
    return k;
}

EMULATED uint8_t _mm512_test_epi64_mask(__m512i a, __m512i b)
{
    unsigned k = 0;
    for (int i = 0; i < 64; i++)
        k |= (unsigned)((a.b[i] & b.b[i]) != 0) << i / 8;
    return (uint8_t)k;
}

EMULATED __mmask16 _mm512_cmpneq_epi32_mask(__m512i a, __m512i b)
{
    __mmask16 k = 0;
    for (int i = 0; i < 16; i++)
        k = (__mmask16)(k | (emulated_double(&a, i) != emulated_double(&b, i)) << i);
    return k;
}

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

/* The first lanes of a to those of the mask, or those of the mask to the front; zeros elsewhere. */
EMULATED __m512i emulated_expand(uint64_t k, __m512i a, int lane_bytes)
{
    __m512i r = {{0}};
    for (int i = 0, n = 0; i < 64 / lane_bytes; i++) {
        if (k >> i & 1)
            memcpy(r.b + i * lane_bytes, a.b + n++ * lane_bytes, (size_t)lane_bytes);
    }
    return r;
}

EMULATED __m512i emulated_compress(uint64_t k, __m512i a, int lane_bytes)
{
    __m512i r = {{0}};
    for (int i = 0, n = 0; i < 64 / lane_bytes; i++) {
        if (k >> i & 1)
            memcpy(r.b + n++ * lane_bytes, a.b + i * lane_bytes, (size_t)lane_bytes);
    }
    return r;
}

EMULATED __m512i _mm512_maskz_expand_epi16(__mmask32 k, __m512i a)
{
    return emulated_expand(k, a, 2);
}

EMULATED __m512i _mm512_maskz_expand_epi32(__mmask16 k, __m512i a)
{
    return emulated_expand(k, a, 4);
}

EMULATED __m512i _mm512_maskz_compress_epi8(__mmask64 k, __m512i a)
{
    return emulated_compress(k, a, 1);
}

EMULATED __m512i _mm512_maskz_compress_epi16(__mmask32 k, __m512i a)
{
    return emulated_compress(k, a, 2);
}

EMULATED __m512i _mm512_maskz_compress_epi32(__mmask16 k, __m512i a)
{
    return emulated_compress(k, a, 4);
}

/* ---- 16 lanes of 32 bits ---- */

EMULATED __m512i _mm512_mask_blend_epi32(__mmask16 k, __m512i a, __m512i b)
{
    for (int i = 0; i < 16; i++)
        emulated_set_double(&a, i, k >> i & 1 ? emulated_double(&b, i) : emulated_double(&a, i));
    return a;
}

EMULATED __m512i _mm512_mask_or_epi32(__m512i src, __mmask16 k, __m512i a, __m512i b)
{
    return _mm512_mask_blend_epi32(k, src, _mm512_or_si512(a, b));
}

EMULATED __m512i _mm512_mask_srli_epi32(__m512i src, __mmask16 k, __m512i a, unsigned n)
{
    return _mm512_mask_blend_epi32(k, src, _mm512_srli_epi32(a, n));
}

EMULATED __mmask16 _mm512_cmplt_epu32_mask(__m512i a, __m512i b)
{
    unsigned k = 0;
    for (int i = 0; i < 16; i++)
        k |= (unsigned)(emulated_double(&a, i) < emulated_double(&b, i)) << i;
    return (__mmask16)k;
}

EMULATED __mmask16 _mm512_cmpge_epu32_mask(__m512i a, __m512i b)
{
    return (__mmask16)~_mm512_cmplt_epu32_mask(a, b);
}

EMULATED __m512i _mm512_i32gather_epi32(__m512i i, const void *base, int scale)
{
    __m512i r;
    for (int k = 0; k < 16; k++) {
        uint32_t v;
        memcpy(&v, (const uint8_t *)base + (int64_t)(int32_t)emulated_double(&i, k) * scale, sizeof v);
        emulated_set_double(&r, k, v);
    }
    return r;
}

EMULATED __m512i _mm512_cvtepu16_epi32(__m256i a)
{
    __m512i r;
    for (int i = 0; i < 16; i++)
        emulated_set_double(&r, i, a.b[2 * i] | (uint32_t)a.b[2 * i + 1] << 8);
    return r;
}

EMULATED __m512i _mm512_cvtepu8_epi32(__m128i a)
{
    __m512i r;
    for (int i = 0; i < 16; i++)
        emulated_set_double(&r, i, a.b[i]);
    return r;
}

EMULATED __m256i _mm512_cvtepi32_epi16(__m512i a)
{
    __m256i r;
    for (int i = 0; i < 16; i++)
        memcpy(r.b + 2 * i, a.b + 4 * i, 2);
    return r;
}

EMULATED __m128i _mm512_cvtepi32_epi8(__m512i a)
{
    __m128i r;
    for (int i = 0; i < 16; i++)
        r.b[i] = a.b[4 * i];
    return r;
}

/* Floats as their bits. */
typedef __m512i __m512;

EMULATED __m512 _mm512_cvtepi32_ps(__m512i a)
{
    for (int i = 0; i < 16; i++) {
        float x = (float)(int32_t)emulated_double(&a, i);
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        emulated_set_double(&a, i, bits);
    }
    return a;
}

EMULATED __m512i _mm512_castps_si512(__m512 a)
{
    return a;
}

EMULATED __m512i _mm512_abs_epi32(__m512i a)
{
    for (int i = 0; i < 16; i++) {
        uint32_t x = emulated_double(&a, i);
        emulated_set_double(&a, i, x >> 31 ? 0 - x : x);
    }
    return a;
}

EMULATED __m512i _mm512_min_epu32(__m512i a, __m512i b)
{
    return _mm512_mask_blend_epi32(_mm512_cmplt_epu32_mask(a, b), b, a);
}

EMULATED __m512i _mm512_mask_add_epi32(__m512i src, __mmask16 k, __m512i a, __m512i b)
{
    return _mm512_mask_blend_epi32(k, src, _mm512_add_epi32(a, b));
}

EMULATED __m512i _mm512_mask_sub_epi32(__m512i src, __mmask16 k, __m512i a, __m512i b)
{
    return _mm512_mask_blend_epi32(k, src, _mm512_sub_epi32(a, b));
}

EMULATED __m512i _mm512_maskz_sub_epi32(__mmask16 k, __m512i a, __m512i b)
{
    return _mm512_mask_blend_epi32(k, _mm512_setzero_si512(), _mm512_sub_epi32(a, b));
}

EMULATED __mmask16 _mm512_movepi32_mask(__m512i a)
{
    unsigned k = 0;
    for (int i = 0; i < 16; i++)
        k |= (unsigned)(emulated_double(&a, i) >> 31) << i;
    return (__mmask16)k;
}

#endif
