/* Flags in AVX-512: 16 lanes a vector, chances in a register; see chance_kernels.h. */
#include "codecs/chance_rans/chance_kernels.h"

#ifdef MTH_RANS_WIDE_HAVE_X86

#include "base/cpu.h"

#include <immintrin.h>

#define TARGET     __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,popcnt")))
#define VEC_INLINE static inline __attribute__((always_inline)) TARGET

enum { VEC_LANES = 16, VECS = MTH_RANS_WIDE_LANES / VEC_LANES };

/*
 * 16 lanes, as chance_portable.c does one.
 *
 * Requires  32 readable bytes at in
 */
VEC_INLINE const uint8_t *decode_vec(__m512i chances, __m512i *x, const uint8_t *in, const uint8_t *classes,
                                     uint8_t *flags)
{
    __m512i class = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)classes));
    __m512i chance = _mm512_permutexvar_epi32(class, chances);
    __m512i slot = _mm512_and_si512(*x, _mm512_set1_epi32(MTH_CHANCE_SLOTS - 1));
    __m512i product = _mm512_mullo_epi32(chance, _mm512_srli_epi32(*x, MTH_CHANCE_SLOT_BITS));
    __mmask16 up = _mm512_cmplt_epu32_mask(slot, chance);
    __m512i left = _mm512_sub_epi32(_mm512_sub_epi32(*x, chance), product);
    __m512i y = _mm512_mask_add_epi32(left, up, product, slot);
    __mmask16 below = _mm512_cmplt_epu32_mask(y, _mm512_set1_epi32(MTH_RANS_WIDE_STATE_LOW));
    __m512i words =
        _mm512_maskz_expand_epi32(below, _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)in)));
    *x = _mm512_mask_or_epi32(y, below, _mm512_slli_epi32(y, 16), words);
    _mm_storeu_si128((void *)flags, _mm_maskz_set1_epi8(up, 1));
    return in + MTH_RANS_WORD_BYTES * (size_t)__builtin_popcount(below);
}

TARGET static size_t decode_steps(const uint32_t chances[MTH_CHANCE_CLASSES],
                                  struct mth_rans_wide_reader *reader, const uint8_t *classes, uint8_t *flags,
                                  size_t n_steps)
{
    __m512i table = _mm512_loadu_si512(chances), x[VECS];
    const uint8_t *in = reader->in, *end = reader->end;
    size_t done = 0;
    for (size_t v = 0; v < VECS; v++)
        x[v] = _mm512_loadu_si512(reader->lanes.x + v * VEC_LANES);
    /* The last vector reads 32 bytes wherever it stands: at most 32 further on. */
    for (; done < n_steps && (size_t)(end - in) >= MTH_RANS_WIDE_LANES * MTH_RANS_WORD_BYTES; done++) {
        for (size_t v = 0; v < VECS; v++, classes += VEC_LANES, flags += VEC_LANES)
            in = decode_vec(table, &x[v], in, classes, flags);
    }
    for (size_t v = 0; v < VECS; v++)
        _mm512_storeu_si512(reader->lanes.x + v * VEC_LANES, x[v]);
    reader->in = in;
    return done;
}

const struct mth_chance_kernels mth_chance_avx512 = {
    .name = "avx512", .needs = MTH_CPU_AVX512, .decode = decode_steps};

#else
typedef int mth_chance_avx512_is_not_here;
#endif
