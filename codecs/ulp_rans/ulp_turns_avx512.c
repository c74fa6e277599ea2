/* Directions and turns in AVX-512 with VBMI2: 64 elements a vector; see ulp_kernels.h and ulp_turn_kernels.h. */
#include "codecs/ulp_rans/ulp_turn_kernels.h"

#ifdef MTH_RANS_HAVE_X86

#include "codecs/ulp_rans/ulp_vec_avx512.h"

#define TURN_TARGET           RANS_TARGET_AVX512
#define TURN_GATHER(x, mask)  _pext_u32(x, mask)
#define TURN_SCATTER(x, mask) _pdep_u32(x, mask)
#define TURN_COUNT(mask)      ((unsigned)_mm_popcnt_u32(mask))
#include "codecs/ulp_rans/ulp_turn_bits.h"

enum { VEC_WORDS = 2, WORD = MTH_ULP_GROUP };

/* The last word may stand alone. */
ULP_INLINE __m512i load_part(const uint8_t *p, __mmask64 part)
{
    return _mm512_maskz_loadu_epi8(part, p);
}

ULP_INLINE __mmask64 part_of(size_t n_words)
{
    return n_words >= VEC_WORDS ? UINT64_MAX : UINT32_MAX;
}

/* ---- directions ---- */

ULP_INLINE __m512i direction16(__m512i base, __m512i older, bool is_float)
{
    __m512i top = _mm512_set1_epi16((short)0x8000);
    if (is_float) {
        base = _mm512_xor_si512(base, _mm512_or_si512(_mm512_srai_epi16(base, 15), top));
        older = _mm512_xor_si512(older, _mm512_or_si512(_mm512_srai_epi16(older, 15), top));
    }
    __m512i step = _mm512_sub_epi16(base, older);
    __m512i distance = _mm512_min_epu16(_mm512_abs_epi16(step), _mm512_set1_epi16(MTH_ULP_DISTANCE));
    return _mm512_or_si512(distance,
                           _mm512_and_si512(_mm512_srai_epi16(step, 15), _mm512_set1_epi16(MTH_ULP_DOWN)));
}

ULP_INLINE __m512i direction32(__m512i base, __m512i older, bool is_float)
{
    __m512i top = _mm512_set1_epi32((int)0x80000000);
    if (is_float) {
        base = _mm512_xor_si512(base, _mm512_or_si512(_mm512_srai_epi32(base, 31), top));
        older = _mm512_xor_si512(older, _mm512_or_si512(_mm512_srai_epi32(older, 31), top));
    }
    __m512i step = _mm512_sub_epi32(base, older);
    __m512i distance = _mm512_min_epu32(_mm512_abs_epi32(step), _mm512_set1_epi32(MTH_ULP_DISTANCE));
    return _mm512_or_si512(distance,
                           _mm512_and_si512(_mm512_srai_epi32(step, 31), _mm512_set1_epi32(MTH_ULP_DOWN)));
}

ULP_INLINE void directions32(const uint8_t *base, const uint8_t *older, size_t n_groups, bool is_float,
                             uint8_t *out)
{
    enum { VEC_ELEMS = VEC_BYTES / 4 };
    for (size_t i = 0; i < n_groups * WORD; i += VEC_ELEMS)
        _mm_storeu_si128((void *)(out + i), _mm512_cvtepi32_epi8(direction32(load(base + 4 * i),
                                                                             load(older + 4 * i), is_float)));
}

RANS_TARGET_AVX512 void mth_ulp_avx512_directions(const struct mth_ulp_format *format, const uint8_t *base,
                                                  const uint8_t *older, size_t n_groups, uint8_t *out)
{
    bool is_float = format->exponent_bits > 0;
    if (format->lane_bits == 32) {
        directions32(base, older, n_groups, is_float, out);
        return;
    }
    if (format->lane_bits != 16) {
        mth_ulp_avx2.directions(format, base, older, n_groups, out);
        return;
    }
    for (size_t g = 0; g < n_groups; g++, base += VEC_BYTES, older += VEC_BYTES, out += WORD)
        _mm256_storeu_si256((void *)out,
                            _mm512_cvtepi16_epi8(direction16(load(base), load(older), is_float)));
}

/* ---- turns ---- */

RANS_TARGET_AVX512 static size_t find(const uint8_t *directions, size_t n_words, uint32_t *moved,
                                      uint32_t *down)
{
    size_t n = 0;
    for (size_t j = 0; j < n_words; j += VEC_WORDS, directions += VEC_BYTES) {
        __m512i of = load_part(directions, part_of(n_words - j));
        uint64_t has_moved = _mm512_test_epi8_mask(of, _mm512_set1_epi8(MTH_ULP_DISTANCE));
        uint64_t is_down = _mm512_movepi8_mask(of) & has_moved;
        moved[j] = (uint32_t)has_moved;
        down[j] = (uint32_t)is_down;
        if (n_words - j >= VEC_WORDS) {
            moved[j + 1] = (uint32_t)(has_moved >> WORD);
            down[j + 1] = (uint32_t)(is_down >> WORD);
        }
        n += (size_t)_mm_popcnt_u64(has_moved);
    }
    return n;
}

RANS_TARGET_AVX512 static void contexts(const uint8_t bins[MTH_ULP_CONTEXTS], const uint8_t *directions,
                                        const uint8_t *exponents, size_t n_words, uint8_t *out)
{
    static const uint8_t first_of_distance[MTH_ULP_CONTEXTS] = {0, 0, MTH_ULP_TURN_BINS,
                                                                2 * MTH_ULP_TURN_BINS};
    __m512i bin_of = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)bins));
    __m512i first_of = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)first_of_distance));
    for (size_t j = 0; j < n_words; j += VEC_WORDS) {
        __mmask64 part = part_of(n_words - j);
        __m512i distance =
            _mm512_and_si512(load_part(directions + j * WORD, part), _mm512_set1_epi8(MTH_ULP_DISTANCE));
        __m512i of = _mm512_add_epi8(_mm512_shuffle_epi8(first_of, distance),
                                     _mm512_shuffle_epi8(bin_of, load_part(exponents + j * WORD, part)));
        _mm512_mask_storeu_epi8(out + j * WORD, part, of);
    }
}

ULP_INLINE void count_one(__m512i of, uint64_t valid, uint64_t turns, size_t c, uint32_t sums[2])
{
    uint64_t is = _mm512_mask_cmpeq_epi8_mask(valid, of, _mm512_set1_epi8((char)c));
    sums[0] += (uint32_t)_mm_popcnt_u64(is);
    sums[1] += (uint32_t)_mm_popcnt_u64(is & turns);
}

/* Most elements that moved at all moved far: what is near is often not there. */
RANS_TARGET_AVX512 static void count(const uint8_t *from, const uint32_t *masks, size_t n_words,
                                     uint32_t counts[MTH_ULP_CONTEXTS][2])
{
    enum { FIRST_FAR = 2 * MTH_ULP_TURN_BINS };
    uint32_t sums[MTH_ULP_CONTEXTS][2] = {{0}};
    for (size_t j = 0; j < n_words; j += VEC_WORDS) {
        uint64_t valid = part_of(n_words - j), turns = masks[j];
        if (n_words - j >= VEC_WORDS)
            turns |= (uint64_t)masks[j + 1] << WORD;
        __m512i of = load_part(from + j * WORD, valid);
        for (size_t c = FIRST_FAR; c < MTH_ULP_TURN_CONTEXTS; c++)
            count_one(of, valid, turns, c, sums[c]);
        if (!_mm512_mask_cmplt_epu8_mask(valid, of, _mm512_set1_epi8(FIRST_FAR)))
            continue;
        for (size_t c = 0; c < FIRST_FAR; c++)
            count_one(of, valid, turns, c, sums[c]);
    }
    memcpy(counts, sums, sizeof sums);
}

const struct mth_ulp_turn_kernels mth_ulp_turn_avx512 = {
    .find = find,
    .contexts = contexts,
    .count = count,
    .turned = turned,
    .plain = plain,
    .join = join,
};

#else
typedef int mth_ulp_turns_avx512_is_not_here;
#endif
