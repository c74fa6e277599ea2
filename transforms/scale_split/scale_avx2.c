/* The kernels of scale-split for AVX2; see scale_kernels.h. */
#include "transforms/scale_split/scale_kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

/* Rows are the portable loops, compiled for these instructions: they have nothing to shuffle. */
#define MTH_KERNEL __attribute__((target("avx2,bmi,bmi2")))
#include "transforms/scale_split/scale_template.h"

#define MTH_INLINE_KERNEL static inline __attribute__((always_inline, target("avx2,bmi,bmi2")))

MTH_INLINE_KERNEL __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

MTH_INLINE_KERNEL void store(uint8_t *p, __m256i x)
{
    _mm256_storeu_si256((__m256i *)(void *)p, x);
}

/* The signs of 32 words. */
MTH_INLINE_KERNEL void store_signs(uint8_t *p, __m256i a, __m256i b)
{
    __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xd8);
    mth_lane_store32(p, (uint32_t)_mm256_movemask_epi8(bytes));
}

/* Two bytes of signs to the top bits of 16 words. */
MTH_INLINE_KERNEL __m256i load_signs(const uint8_t *p)
{
    const __m256i bit = _mm256_setr_epi16(1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800,
                                          0x1000, 0x2000, 0x4000, (short)0x8000);
    __m256i signs = _mm256_set1_epi16((short)mth_lane_load16(p));
    return _mm256_slli_epi16(_mm256_cmpeq_epi16(_mm256_and_si256(signs, bit), bit), 15);
}

/* ---- bf16: 5 bits of each mantissa, eight of them in 5 bytes ---- */

/* Eight fields of 5 bits in each half, in words of 16, to 40 bits at the bottom of the half. */
MTH_INLINE_KERNEL __m256i pack_5(__m256i x)
{
    x = _mm256_madd_epi16(x, _mm256_set1_epi32(1 | 32 << 16));
    x = _mm256_and_si256(_mm256_or_si256(x, _mm256_srli_epi64(x, 22)), _mm256_set1_epi64x(0xfffff));
    return _mm256_or_si256(x, _mm256_slli_epi64(_mm256_shuffle_epi32(x, 0x4e), 20));
}

/* The inverse. A field is moved to the top of its word, past its neighbours, and down again. */
MTH_INLINE_KERNEL __m256i unpack_5(__m256i x)
{
    const __m256i bytes =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 0, 1, 1, 2, 1, 2, 2, 3, 3, 4, 3, 4, 4, 5));
    const __m256i up = _mm256_broadcastsi128_si256(
        _mm_setr_epi16(1 << 11, 1 << 6, 1 << 9, 1 << 4, 1 << 7, 1 << 10, 1 << 5, 1 << 8));
    return _mm256_srli_epi16(_mm256_mullo_epi16(_mm256_shuffle_epi8(x, bytes), up), 11);
}

static MTH_KERNEL void take_rest_bf16_avx2(const uint8_t *restrict src, size_t n, uint8_t *restrict mantissas,
                                           uint8_t *restrict signs)
{
    const __m256i low = _mm256_set1_epi16(0x1f);
    size_t i = 0;
    /* A store of 8 bytes reaches 3 behind its 5, which the next eight elements write again. */
    for (; n - i >= 32 + 8; i += 32) {
        __m256i x[2] = {load(src + 2 * i), load(src + 2 * i + 32)};
        store_signs(signs + i / 8, x[0], x[1]);
        for (size_t h = 0; h < 2; h++) {
            uint8_t *out = mantissas + (i + 16 * h) / 8 * 5;
            __m256i packed = pack_5(_mm256_and_si256(x[h], low));
            _mm_storel_epi64((__m128i *)(void *)out, _mm256_castsi256_si128(packed));
            _mm_storel_epi64((__m128i *)(void *)(out + 5), _mm256_extracti128_si256(packed, 1));
        }
    }
    take_rest_bf16(src + 2 * i, n - i, mantissas + i / 8 * 5, signs + i / 8);
}

static MTH_KERNEL bool put_rest_bf16_avx2(const uint8_t *restrict mantissas, const uint8_t *restrict signs,
                                          size_t n, uint8_t *restrict dst)
{
    size_t i = 0;
    /* A load of 8 bytes reaches 3 behind its 5. */
    for (; n - i >= 16 + 8; i += 16) {
        const uint8_t *in = mantissas + i / 8 * 5;
        __m256i packed = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)(const void *)in)),
            _mm_loadl_epi64((const __m128i *)(const void *)(in + 5)), 1);
        store(dst + 2 * i, _mm256_or_si256(unpack_5(packed), load_signs(signs + i / 8)));
    }
    return put_rest_bf16(mantissas + i / 8 * 5, signs + i / 8, n - i, dst + 2 * i);
}

/* ---- f16: 8 bits of each mantissa ---- */

static MTH_KERNEL void take_rest_f16_avx2(const uint8_t *restrict src, size_t n, uint8_t *restrict mantissas,
                                          uint8_t *restrict signs)
{
    const __m256i low = _mm256_set1_epi16(0xff);
    size_t i = 0;
    for (; n - i >= 32; i += 32) {
        __m256i a = load(src + 2 * i), b = load(src + 2 * i + 32);
        store_signs(signs + i / 8, a, b);
        store(mantissas + i,
              _mm256_permute4x64_epi64(
                  _mm256_packus_epi16(_mm256_and_si256(a, low), _mm256_and_si256(b, low)), 0xd8));
    }
    take_rest_f16(src + 2 * i, n - i, mantissas + i, signs + i / 8);
}

static MTH_KERNEL bool put_rest_f16_avx2(const uint8_t *restrict mantissas, const uint8_t *restrict signs,
                                         size_t n, uint8_t *restrict dst)
{
    size_t i = 0;
    for (; n - i >= 16; i += 16) {
        __m256i low = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(mantissas + i)));
        store(dst + 2 * i, _mm256_or_si256(low, load_signs(signs + i / 8)));
    }
    return put_rest_f16(mantissas + i, signs + i / 8, n - i, dst + 2 * i);
}

const struct mth_scale_kernels mth_scale_kernels_avx2 = {
    .name = "avx2",
    .bf16 = {7, add_exponents_bf16, add_zeros_bf16, take_symbols_bf16, put_symbols_bf16, take_rest_bf16_avx2,
             put_rest_bf16_avx2},
    .f16 = {10, add_exponents_f16, add_zeros_f16, take_symbols_f16, put_symbols_f16, take_rest_f16_avx2,
            put_rest_f16_avx2},
};

#else

const struct mth_scale_kernels mth_scale_kernels_avx2 = {.name = "avx2"};

#endif
