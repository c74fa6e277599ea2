/*
 * Steps of rANS in NEON: 16 states of 16 bits as two planes, the high bytes and the low ones.
 *
 * A file that includes this has MTH_RANS_HAVE_NEON.
 */
#ifndef MTH_CODECS_RANS_NEON_H
#define MTH_CODECS_RANS_NEON_H

#include "codecs/rans/rans_shuffles.h"

#include <arm_neon.h>

#define RANS_NEON static inline __attribute__((always_inline))

/* Bit i of the result: byte i of the mask, whose bytes are 0 or 255, is set. */
RANS_NEON uint32_t mth_rans_neon_bits(uint8x16_t mask)
{
    static const uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t weighted = vandq_u8(mask, vld1q_u8(weights));
    return (uint32_t)vaddv_u8(vget_low_u8(weighted)) | (uint32_t)vaddv_u8(vget_high_u8(weighted)) << 8;
}

/* f * h + r; sums are below 2^16. */
RANS_NEON void mth_rans_neon_multiply_add(uint8x16_t f, uint8x16_t h, uint8x16_t r, uint8x16_t *high,
                                          uint8x16_t *low)
{
    uint16x8_t a = vaddw_u8(vmull_u8(vget_low_u8(f), vget_low_u8(h)), vget_low_u8(r));
    uint16x8_t b = vaddw_high_u8(vmull_high_u8(f, h), r);
    *high = vuzp2q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b));
    *low = vuzp1q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b));
}

RANS_NEON const uint8_t *mth_rans_neon_refill(uint8x16_t *high, uint8x16_t *low, const uint8_t *in)
{
    uint8x16_t empty = vceqzq_u8(*high);
    uint32_t bits = mth_rans_neon_bits(empty);
    const struct mth_rans_shuffles *s = &mth_rans_expand;
    const uint8_t *in1 = in + __builtin_popcount(bits & 0xff);
    uint8x16_t bytes = vqtbl1q_u8(vcombine_u8(vld1_u8(in), vld1_u8(in1)),
                                  vcombine_u8(vld1_u8(s->first[bits & 0xff]), vld1_u8(s->second[bits >> 8])));
    *high = vbslq_u8(empty, *low, *high);
    *low = vbslq_u8(empty, bytes, *low);
    return in + __builtin_popcount(bits);
}

/* The lanes in full lose a byte. Both groups of 8 lanes go out as 8 bytes, what counts at their end; the first covers what does
 * not of the second. */
RANS_NEON uint8_t *mth_rans_neon_emit(uint8x16_t full, uint8x16_t *high, uint8x16_t *low, uint8_t *at)
{
    uint32_t bits = mth_rans_neon_bits(full);
    const struct mth_rans_shuffles *s = &mth_rans_compress;
    uint8_t *at0 = at - __builtin_popcount(bits >> 8);
    uint8x16_t out =
        vqtbl1q_u8(*low, vcombine_u8(vld1_u8(s->first[bits & 0xff]), vld1_u8(s->second[bits >> 8])));
    vst1_u8(at - 8, vget_high_u8(out));
    vst1_u8(at0 - 8, vget_low_u8(out));
    *low = vbslq_u8(full, *high, *low);
    *high = vbicq_u8(*high, full);
    return at - __builtin_popcount(bits);
}

/* Upper halves of the products of 16-bit words. */
RANS_NEON uint16x8_t mth_rans_neon_multiply_high(uint16x8_t a, uint16x8_t b)
{
    uint32x4_t first = vmull_u16(vget_low_u16(a), vget_low_u16(b));
    return vuzp2q_u16(vreinterpretq_u16_u32(first), vreinterpretq_u16_u32(vmull_high_u16(a, b)));
}

/* Quotients less one, and rests, of 16-bit x; why is in rans_avx2.h. */
RANS_NEON uint16x8_t mth_rans_neon_divide_words(uint16x8_t x, uint16x8_t f, uint16x8_t reciprocal,
                                                uint16x8_t *rest)
{
    uint16x8_t q = mth_rans_neon_multiply_high(x, reciprocal);
    uint16x8_t r = vmlsq_u16(x, q, f);
    *rest = vminq_u16(r, vsubq_u16(r, f));
    return vaddq_u16(q, vceqq_u16(r, *rest));
}

RANS_NEON void mth_rans_neon_divide(uint8x16_t h, uint8x16_t l, uint8x16_t f, uint8x16_t reciprocal_low,
                                    uint8x16_t reciprocal_high, uint8x16_t *q, uint8x16_t *rest)
{
    uint16x8_t rest_a, rest_b;
    uint16x8_t a =
        mth_rans_neon_divide_words(vreinterpretq_u16_u8(vzip1q_u8(l, h)), vmovl_u8(vget_low_u8(f)),
                                   vreinterpretq_u16_u8(vzip1q_u8(reciprocal_low, reciprocal_high)), &rest_a);
    uint16x8_t b =
        mth_rans_neon_divide_words(vreinterpretq_u16_u8(vzip2q_u8(l, h)), vmovl_high_u8(f),
                                   vreinterpretq_u16_u8(vzip2q_u8(reciprocal_low, reciprocal_high)), &rest_b);
    *q = vaddq_u8(vuzp1q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b)), vdupq_n_u8(1));
    *rest = vuzp1q_u8(vreinterpretq_u8_u16(rest_a), vreinterpretq_u8_u16(rest_b));
}

#undef RANS_NEON

#endif
