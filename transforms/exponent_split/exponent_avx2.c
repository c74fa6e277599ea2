/* The kernels of exponent-split for AVX2; see exponent_kernels.h. */
#include "transforms/exponent_split/exponent_kernels.h"

#include "base/status.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

/* Formats without code of their own here are the portable loops, compiled for these instructions. */
#define MTH_KERNEL __attribute__((target("avx2,bmi,bmi2")))
#include "transforms/exponent_split/exponent_template.h"

#define MTH_INLINE_KERNEL static inline __attribute__((always_inline, target("avx2,bmi,bmi2")))

MTH_INLINE_KERNEL __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

MTH_INLINE_KERNEL void store(uint8_t *p, __m256i x)
{
    _mm256_storeu_si256((__m256i *)(void *)p, x);
}

/* Two runs of 16 words below 256 to 32 bytes. Packing works within halves: the quarters are put in order after. */
MTH_INLINE_KERNEL __m256i words_to_bytes(__m256i a, __m256i b)
{
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xd8);
}

/* 16 bytes to 16 words. */
MTH_INLINE_KERNEL __m256i bytes_to_words(const uint8_t *p)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}

/* ---- bf16 ---- */

static MTH_KERNEL void split_bf16_avx2(const uint8_t *restrict src, size_t n, uint8_t *restrict exponent,
                                       uint8_t *restrict sign_mantissa)
{
    const __m256i byte = _mm256_set1_epi16(0xff), sign = _mm256_set1_epi16(0x80),
                  mantissa = _mm256_set1_epi16(0x7f);
    size_t i = 0;
    for (; n - i >= 32; i += 32) {
        __m256i a = load(src + 2 * i), b = load(src + 2 * i + 32);
        __m256i a_sm =
            _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(a, 8), sign), _mm256_and_si256(a, mantissa));
        __m256i b_sm =
            _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(b, 8), sign), _mm256_and_si256(b, mantissa));
        store(exponent + i, words_to_bytes(_mm256_and_si256(_mm256_srli_epi16(a, 7), byte),
                                           _mm256_and_si256(_mm256_srli_epi16(b, 7), byte)));
        store(sign_mantissa + i, words_to_bytes(a_sm, b_sm));
    }
    split_bf16(src + 2 * i, n - i, exponent + i, sign_mantissa + i);
}

static MTH_KERNEL int join_bf16_avx2(const uint8_t *restrict exponent, const uint8_t *restrict sign_mantissa,
                                     size_t n, uint8_t *restrict dst)
{
    const __m256i mantissa = _mm256_set1_epi16(0x7f), sign = _mm256_set1_epi16((short)0x8000);
    size_t i = 0;
    for (; n - i >= 16; i += 16) {
        __m256i e = bytes_to_words(exponent + i), sm = bytes_to_words(sign_mantissa + i);
        __m256i x = _mm256_or_si256(_mm256_slli_epi16(e, 7), _mm256_and_si256(sm, mantissa));
        store(dst + 2 * i, _mm256_or_si256(x, _mm256_and_si256(_mm256_slli_epi16(sm, 8), sign)));
    }
    return join_bf16(exponent + i, sign_mantissa + i, n - i, dst + 2 * i);
}

/* ---- f16: fields of 11 bits, eight of them in 11 bytes ---- */

/* In each half eight fields of 11 bits in words of 16 to 88 bits at the bottom of the half. */
MTH_INLINE_KERNEL __m256i pack_11(__m256i x)
{
    x = _mm256_or_si256(_mm256_and_si256(x, _mm256_set1_epi32(0x7ff)),
                        _mm256_and_si256(_mm256_srli_epi32(x, 5), _mm256_set1_epi32(0x7ff << 11)));
    x = _mm256_or_si256(_mm256_and_si256(x, _mm256_set1_epi64x(0x3fffff)),
                        _mm256_and_si256(_mm256_srli_epi64(x, 10), _mm256_set1_epi64x(0x3fffffLL << 22)));
    /* Two times 44 bits: the low quarter takes 20 bits of the high one. Shifts by 64 give 0. */
    __m256i high = _mm256_shuffle_epi32(x, 0x4e);
    __m256i low_part = _mm256_sllv_epi64(high, _mm256_setr_epi64x(44, 64, 44, 64));
    __m256i own_part = _mm256_srlv_epi64(x, _mm256_setr_epi64x(0, 20, 0, 20));
    return _mm256_or_si256(low_part, own_part);
}

/* The inverse; what lies above the 88 bits is ignored. */
MTH_INLINE_KERNEL __m256i unpack_11(__m256i x)
{
    __m256i low = _mm256_shuffle_epi32(x, 0x44);
    x = _mm256_or_si256(_mm256_srlv_epi64(low, _mm256_setr_epi64x(0, 44, 0, 44)),
                        _mm256_sllv_epi64(x, _mm256_setr_epi64x(64, 20, 64, 20)));
    x = _mm256_or_si256(_mm256_and_si256(x, _mm256_set1_epi64x(0x3fffff)),
                        _mm256_slli_epi64(_mm256_and_si256(x, _mm256_set1_epi64x(0x3fffffLL << 22)), 10));
    return _mm256_or_si256(_mm256_and_si256(x, _mm256_set1_epi32(0x7ff)),
                           _mm256_slli_epi32(_mm256_and_si256(x, _mm256_set1_epi32(0x7ff << 11)), 5));
}

static MTH_KERNEL void split_f16_avx2(const uint8_t *restrict src, size_t n, uint8_t *restrict exponent,
                                      uint8_t *restrict sign_mantissa)
{
    const __m256i field = _mm256_set1_epi16(0x1f), mantissa = _mm256_set1_epi16(0x3ff),
                  sign = _mm256_set1_epi16(0x400);
    size_t i = 0;
    /* A store of 16 bytes reaches 5 behind its 11, which the next eight elements write again. */
    for (; n - i >= 32 + 8; i += 32) {
        __m256i x[2] = {load(src + 2 * i), load(src + 2 * i + 32)};
        store(exponent + i, words_to_bytes(_mm256_and_si256(_mm256_srli_epi16(x[0], 10), field),
                                           _mm256_and_si256(_mm256_srli_epi16(x[1], 10), field)));
        for (size_t h = 0; h < 2; h++) {
            uint8_t *out = sign_mantissa + (i + 16 * h) / 8 * 11;
            __m256i packed = pack_11(_mm256_or_si256(_mm256_and_si256(x[h], mantissa),
                                                     _mm256_and_si256(_mm256_srli_epi16(x[h], 5), sign)));
            _mm_storeu_si128((__m128i *)(void *)out, _mm256_castsi256_si128(packed));
            _mm_storeu_si128((__m128i *)(void *)(out + 11), _mm256_extracti128_si256(packed, 1));
        }
    }
    split_f16(src + 2 * i, n - i, exponent + i, sign_mantissa + i / 8 * 11);
}

static MTH_KERNEL int join_f16_avx2(const uint8_t *restrict exponent, const uint8_t *restrict sign_mantissa,
                                    size_t n, uint8_t *restrict dst)
{
    const __m256i mantissa = _mm256_set1_epi16(0x3ff), sign = _mm256_set1_epi16((short)0x8000);
    __m256i seen = _mm256_setzero_si256();
    size_t i = 0;
    /* A load of 16 bytes reaches 5 behind its 11. */
    for (; n - i >= 16 + 8; i += 16) {
        const uint8_t *in = sign_mantissa + i / 8 * 11;
        __m256i packed = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)in)),
            _mm_loadu_si128((const __m128i *)(const void *)(in + 11)), 1);
        __m256i sm = unpack_11(packed), e = bytes_to_words(exponent + i);
        seen = _mm256_or_si256(seen, e);
        __m256i x = _mm256_or_si256(_mm256_slli_epi16(e, 10), _mm256_and_si256(sm, mantissa));
        store(dst + 2 * i, _mm256_or_si256(x, _mm256_and_si256(_mm256_slli_epi16(sm, 5), sign)));
    }
    bool fits = _mm256_testz_si256(seen, _mm256_set1_epi16(0xe0));
    int status = join_f16(exponent + i, sign_mantissa + i / 8 * 11, n - i, dst + 2 * i);
    return fits ? status : MTH_ERR_CORRUPT;
}

/* ---- f32: fields of 24 bits ---- */

static MTH_KERNEL void split_f32_avx2(const uint8_t *restrict src, size_t n, uint8_t *restrict exponent,
                                      uint8_t *restrict sign_mantissa)
{
    const __m256i byte = _mm256_set1_epi32(0xff), mantissa = _mm256_set1_epi32(0x7fffff),
                  sign = _mm256_set1_epi32(0x800000), in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7),
                  three_each = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7);
    const __m256i drop_fourth =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    size_t i = 0;
    /* A store of 32 bytes reaches 8 behind its 24, less than the next three elements write again. */
    for (; n - i >= 32 + 3; i += 32) {
        __m256i e[4];
        for (size_t q = 0; q < 4; q++) {
            __m256i x = load(src + 4 * (i + 8 * q));
            __m256i sm = _mm256_or_si256(_mm256_and_si256(x, mantissa),
                                         _mm256_and_si256(_mm256_srli_epi32(x, 8), sign));
            e[q] = _mm256_and_si256(_mm256_srli_epi32(x, 23), byte);
            store(sign_mantissa + 3 * (i + 8 * q),
                  _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(sm, drop_fourth), three_each));
        }
        __m256i packed =
            _mm256_packus_epi16(_mm256_packus_epi32(e[0], e[1]), _mm256_packus_epi32(e[2], e[3]));
        store(exponent + i, _mm256_permutevar8x32_epi32(packed, in_order));
    }
    split_f32(src + 4 * i, n - i, exponent + i, sign_mantissa + 3 * i);
}

static MTH_KERNEL int join_f32_avx2(const uint8_t *restrict exponent, const uint8_t *restrict sign_mantissa,
                                    size_t n, uint8_t *restrict dst)
{
    const __m256i mantissa = _mm256_set1_epi32(0x7fffff), sign = _mm256_set1_epi32((int)0x80000000),
                  apart = _mm256_setr_epi32(0, 1, 2, 7, 3, 4, 5, 7);
    const __m256i add_fourth =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1));
    size_t i = 0;
    /* A load of 32 bytes reaches 8 behind its 24: less than three elements. */
    for (; n - i >= 8 + 3; i += 8) {
        __m256i sm =
            _mm256_shuffle_epi8(_mm256_permutevar8x32_epi32(load(sign_mantissa + 3 * i), apart), add_fourth);
        __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(exponent + i)));
        __m256i x = _mm256_or_si256(_mm256_slli_epi32(e, 23), _mm256_and_si256(sm, mantissa));
        store(dst + 4 * i, _mm256_or_si256(x, _mm256_and_si256(_mm256_slli_epi32(sm, 8), sign)));
    }
    return join_f32(exponent + i, sign_mantissa + 3 * i, n - i, dst + 4 * i);
}

const struct mth_exponent_kernels mth_exponent_kernels_avx2 = {
    .name = "avx2",
    .formats = {{8, 4, 3, split_e4m3, join_e4m3},
                {8, 5, 2, split_e5m2, join_e5m2},
                {16, 8, 7, split_bf16_avx2, join_bf16_avx2},
                {16, 5, 10, split_f16_avx2, join_f16_avx2},
                {32, 8, 23, split_f32_avx2, join_f32_avx2},
                {64, 11, 52, split_f64, join_f64}},
};

#else

const struct mth_exponent_kernels mth_exponent_kernels_avx2 = {.name = "avx2"};

#endif
