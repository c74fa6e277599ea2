/* Elements of 16 bits and their base looked at once, in AVX-512 with VBMI2: two groups of 32 at a time; see `view` in ulp_kernels.h. */
#include "codecs/ulp_rans/ulp_kernels.h"

/* Tests define RANS_EMULATED and the intrinsics in plain C, to run this file where there is no such processor. */
#if defined(MTH_RANS_HAVE_X86) || defined(RANS_EMULATED)

#include "codecs/ulp_rans/ulp_vec_avx512.h"

#ifndef RANS_EMULATED
#define ULP_VIEW mth_ulp_avx512_view
#endif

enum { N_VECS = 2, LANE_BITS = 16, LANES_A_WORD = 4 };

/* Floats as ordered integers. */
ULP_INLINE vec order(vec x)
{
    return _mm512_xor_si512(x, _mm512_or_si512(_mm512_srai_epi16(x, 15), _mm512_set1_epi16((short)0x8000)));
}

/* A byte from bit `shift` on of each lane: of four lanes, twice in each word of 64 bits. */
ULP_INLINE vec fields_at(unsigned shift)
{
    uint64_t places = 0;
    for (unsigned i = 0; i < 2 * LANES_A_WORD; i++)
        places |= (uint64_t)(shift + i % LANES_A_WORD * LANE_BITS) << 8 * i;
    return _mm512_set1_epi64((long long)places);
}

RANS_TARGET_AVX512 size_t ULP_VIEW(const struct mth_ulp_format *format,
                                   const struct mth_ulp_shuffles *shuffles, unsigned top, const uint8_t *src,
                                   const uint8_t *base, size_t n_groups, struct mth_ulp_view *out)
{
    (void)shuffles;
    if (format->lane_bits != LANE_BITS || format->exponent_bits == 0 || format->exponent_bits > 8)
        return 0;
    vec fields = fields_at(format->mantissa_bits);
    vec exponents = _mm512_set1_epi8((char)((1u << format->exponent_bits) - 1));
    vec tops = _mm512_set1_epi8((char)top), most = _mm512_set1_epi8(MTH_ULP_CONTEXTS - 1);
    vec in_order = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    uint8_t *steps = out->steps, *contexts = out->contexts, *changed = out->changed;
    uint32_t *masks = out->masks;
    size_t n_active = 0, g = 0;
    for (; n_groups - g >= N_VECS;
         g += N_VECS, src += N_VECS * VEC_BYTES, base += N_VECS * VEC_BYTES, contexts += VEC_BYTES) {
        vec a[N_VECS];
        for (size_t v = 0; v < N_VECS; v++) {
            vec x = mth_rans_512_load(src + v * VEC_BYTES);
            a[v] = mth_rans_512_load(base + v * VEC_BYTES);
            __mmask32 mask = _mm512_cmpneq_epi16_mask(x, a[v]);
            masks[g + v] = (uint32_t)mask;
            store(steps, _mm512_maskz_compress_epi16(mask, _mm512_sub_epi16(order(x), order(a[v]))));
            steps += 2 * __builtin_popcount((uint32_t)mask);
            n_active += mask != 0;
        }
        vec exponent = _mm512_permutex2var_epi32(_mm512_multishift_epi64_epi8(fields, a[0]), in_order,
                                                 _mm512_multishift_epi64_epi8(fields, a[1]));
        vec context = _mm512_min_epu8(_mm512_subs_epu8(tops, _mm512_and_si512(exponent, exponents)), most);
        uint64_t both = masks[g] | (uint64_t)masks[g + 1] << MTH_ULP_GROUP;
        store(contexts, context);
        store(changed, _mm512_maskz_compress_epi8((__mmask64)both, context));
        changed += __builtin_popcountll(both);
    }
    out->n_changed = (size_t)(changed - out->changed);
    out->n_active = n_active;
    return g;
}

#else
typedef int mth_ulp_view_avx512_is_not_here;
#endif
