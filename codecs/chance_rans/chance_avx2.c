/* Flags in AVX2: 8 lanes a vector, chances in two registers; see chance_kernels.h. */
#include "codecs/chance_rans/chance_kernels.h"

#ifdef MTH_RANS_WIDE_HAVE_X86

#include "base/cpu.h"
#include "codecs/rans/rans_shuffles.h"

#include <immintrin.h>

#define TARGET     __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define VEC_INLINE static inline __attribute__((always_inline)) TARGET

enum { VEC_LANES = 8, VECS = MTH_RANS_WIDE_LANES / VEC_LANES };

/*
 * 8 lanes, as chance_portable.c does one. States are below 2^31 before and after, so that signed comparison does.
 *
 * Requires  16 readable bytes at in
 */
VEC_INLINE const uint8_t *decode_vec(const __m256i chances[2], __m256i *x, const uint8_t *in,
                                     const uint8_t *classes, __m256i *up)
{
    __m256i class = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)classes));
    __m256i low = _mm256_permutevar8x32_epi32(chances[0], class),
            high = _mm256_permutevar8x32_epi32(chances[1], class);
    __m256i chance =
        _mm256_blendv_epi8(low, high, _mm256_cmpgt_epi32(class, _mm256_set1_epi32(VEC_LANES - 1)));
    __m256i slot = _mm256_and_si256(*x, _mm256_set1_epi32(MTH_CHANCE_SLOTS - 1));
    __m256i product = _mm256_mullo_epi32(chance, _mm256_srli_epi32(*x, MTH_CHANCE_SLOT_BITS));
    *up = _mm256_cmpgt_epi32(chance, slot);
    __m256i left = _mm256_sub_epi32(_mm256_sub_epi32(*x, chance), product);
    __m256i y = _mm256_blendv_epi8(left, _mm256_add_epi32(product, slot), *up);
    __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(MTH_RANS_WIDE_STATE_LOW), y);
    unsigned bits = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(below));
    __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)in));
    /* Which word each lane gets; the others' is not looked at. */
    __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)mth_rans_expand.first[bits]));
    words = _mm256_permutevar8x32_epi32(words, order);
    *x = _mm256_blendv_epi8(y, _mm256_or_si256(_mm256_slli_epi32(y, 16), words), below);
    return in + MTH_RANS_WORD_BYTES * (size_t)__builtin_popcount(bits);
}

/* 1 in each of 32 bytes whose lane is up. */
VEC_INLINE __m256i pack_flags(const __m256i up[VECS])
{
    __m256i a = _mm256_packs_epi32(up[0], up[1]), b = _mm256_packs_epi32(up[2], up[3]);
    __m256i bytes =
        _mm256_permutevar8x32_epi32(_mm256_packs_epi16(a, b), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    return _mm256_and_si256(bytes, _mm256_set1_epi8(1));
}

TARGET static size_t decode_steps(const uint32_t chances[MTH_CHANCE_CLASSES],
                                  struct mth_rans_wide_reader *reader, const uint8_t *classes, uint8_t *flags,
                                  size_t n_steps)
{
    __m256i table[2] = {_mm256_loadu_si256((const void *)chances),
                        _mm256_loadu_si256((const void *)(chances + VEC_LANES))};
    __m256i x[VECS], up[VECS];
    const uint8_t *in = reader->in, *end = reader->end;
    size_t done = 0;
    for (size_t v = 0; v < VECS; v++)
        x[v] = _mm256_load_si256((const void *)(reader->lanes.x + VEC_LANES * v));
    /* The last vector reads 16 bytes wherever it stands: at most 16 for each in front of it further on. */
    for (; done < n_steps && (size_t)(end - in) >= MTH_RANS_WIDE_LANES * MTH_RANS_WORD_BYTES; done++) {
        for (size_t v = 0; v < VECS; v++, classes += VEC_LANES)
            in = decode_vec(table, &x[v], in, classes, &up[v]);
        _mm256_storeu_si256((void *)flags, pack_flags(up));
        flags += MTH_RANS_WIDE_LANES;
    }
    for (size_t v = 0; v < VECS; v++)
        _mm256_store_si256((void *)(reader->lanes.x + VEC_LANES * v), x[v]);
    reader->in = in;
    return done;
}

const struct mth_chance_kernels mth_chance_avx2 = {
    .name = "avx2", .needs = MTH_CPU_AVX2, .decode = decode_steps};

#else
typedef int mth_chance_avx2_is_not_here;
#endif
