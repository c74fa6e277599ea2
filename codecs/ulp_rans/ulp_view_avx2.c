/* Elements of 16 bits and their base looked at once, in AVX2: a group of 32 at a time; see `view` in ulp_kernels.h. */
#include "codecs/ulp_rans/ulp_kernels.h"

#ifdef MTH_RANS_HAVE_X86

#include "codecs/ulp_rans/ulp_avx2.h"

enum { LANE_BITS = 16, PARTS = MTH_ULP_GROUP / 8, BF16_MANTISSA = 7, BF16_EXPONENT = 8 };

/* Exponents as words: of bf16 by a shift that is known, which is one instruction less. */
ULP_INLINE vec exponents_of(vec base, bool is_bf16, __m128i shift, vec mask)
{
    return is_bf16 ? _mm256_srli_epi16(_mm256_add_epi16(base, base), 8)
                   : _mm256_and_si256(_mm256_srl_epi16(base, shift), mask);
}

ULP_INLINE size_t view_groups(const struct mth_ulp_format *format, bool is_bf16,
                              const struct mth_ulp_shuffles *shuffles, unsigned top, const uint8_t *src,
                              const uint8_t *base, size_t n_groups, struct mth_ulp_view *out)
{
    __m128i shift = _mm_cvtsi32_si128((int)format->mantissa_bits);
    vec exponent_mask = _mm256_set1_epi16((short)((1 << format->exponent_bits) - 1));
    vec tops = _mm256_set1_epi8((char)top), most = _mm256_set1_epi8(MTH_ULP_CONTEXTS - 1);
    uint8_t *steps = out->steps, *contexts = out->contexts, *changed = out->changed;
    uint32_t *masks = out->masks;
    size_t n_active = 0;
    for (size_t g = 0; g < n_groups;
         g++, src += 2 * VEC_BYTES, base += 2 * VEC_BYTES, contexts += VEC_BYTES) {
        vec x = load(src), y = load(src + VEC_BYTES), a = load(base), b = load(base + VEC_BYTES);
        vec same = pack_signed_words(_mm256_cmpeq_epi16(x, a), _mm256_cmpeq_epi16(y, b));
        uint32_t mask = ~(uint32_t)_mm256_movemask_epi8(same);
        vec exponent = pack_words(exponents_of(a, is_bf16, shift, exponent_mask),
                                  exponents_of(b, is_bf16, shift, exponent_mask));
        vec first = _mm256_sub_epi16(order16(x, true), order16(a, true));
        vec second = _mm256_sub_epi16(order16(y, true), order16(b, true));
        __m128i step[PARTS] = {_mm256_castsi256_si128(first), _mm256_extracti128_si256(first, 1),
                               _mm256_castsi256_si128(second), _mm256_extracti128_si256(second, 1)};
        store(contexts, _mm256_min_epu8(_mm256_subs_epu8(tops, exponent), most));
        masks[g] = mask;
        n_active += mask != 0;
        /* Whether there are any, and in which quarter, changes by chance: no branch asks. */
        for (size_t i = 0; i < PARTS; i++, mask >>= 8) {
            steps = gather16(shuffles, step[i], mask, steps);
            changed = gather8(shuffles, load8(contexts + 8 * i), mask, changed);
        }
    }
    out->n_changed = (size_t)(changed - out->changed);
    out->n_active = n_active;
    return n_groups;
}

RANS_TARGET_AVX2 size_t mth_ulp_avx2_view(const struct mth_ulp_format *format,
                                          const struct mth_ulp_shuffles *shuffles, unsigned top,
                                          const uint8_t *src, const uint8_t *base, size_t n_groups,
                                          struct mth_ulp_view *out)
{
    if (format->lane_bits != LANE_BITS || format->exponent_bits == 0 || format->exponent_bits > 8)
        return 0;
    bool is_bf16 = format->mantissa_bits == BF16_MANTISSA && format->exponent_bits == BF16_EXPONENT;
    return is_bf16 ? view_groups(format, true, shuffles, top, src, base, n_groups, out)
                   : view_groups(format, false, shuffles, top, src, base, n_groups, out);
}

#else
typedef int mth_ulp_view_avx2_is_not_here;
#endif
