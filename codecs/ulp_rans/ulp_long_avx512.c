/* Long steps in AVX-512, sixteen a vector; see ulp_long.h. */
#include "codecs/ulp_rans/ulp_long.h"

/* Tests define RANS_EMULATED and the intrinsics in plain C, to run this file where there is no such processor. */
#if defined(MTH_RANS_HAVE_X86) || defined(RANS_EMULATED)

#include "codecs/ulp_rans/ulp_vec_avx512.h"

#ifndef RANS_EMULATED
#define ULP_LONG_SPLIT mth_ulp_long_split_avx512
#define ULP_LONG_JOIN  mth_ulp_long_join_avx512
#endif

enum { N_VECS = 2 /* a group */, VEC_ELEMS = 16, N_PAIRS = MTH_ULP_GROUP / 2 };

/* Sixteen bytes as doublewords. */
ULP_INLINE vec widen(const uint8_t *bytes)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)bytes));
}

/* By the low four bits of each doubleword, which is below 16; other bytes are 0. */
ULP_INLINE vec look_up(vec table, vec place)
{
    return _mm512_permutexvar_epi32(place, table);
}

/* A vector's symbols; fields of two elements each and their lengths to out. u - 6 as a float has in its exponent the bits that follow a bucket. */
ULP_INLINE vec split_vector(vec step, vec shift, uint64_t *fields, uint64_t *n)
{
    const vec one = _mm512_set1_epi32(1), base = _mm512_set1_epi32(6), low32 = _mm512_set1_epi64(UINT32_MAX);
    vec v = _mm512_sub_epi32(_mm512_abs_epi32(step), one), u = _mm512_srlv_epi32(v, shift);
    vec most = _mm512_min_epu32(u, _mm512_set1_epi32(MTH_ULP_FIRST_OF_THE_ESCAPE));
    vec over = _mm512_sub_epi32(most, base);
    __mmask16 is_bucket = _mm512_cmpge_epu32_mask(u, _mm512_set1_epi32(MTH_ULP_DIRECT)),
              is_escape = _mm512_cmpge_epu32_mask(u, _mm512_set1_epi32(MTH_ULP_FIRST_OF_THE_ESCAPE));
    vec rest = _mm512_maskz_sub_epi32(is_bucket,
                                      _mm512_srli_epi32(_mm512_castps_si512(_mm512_cvtepi32_ps(over)), 23),
                                      _mm512_set1_epi32(127));
    vec first = _mm512_mask_add_epi32(u, is_bucket, base, _mm512_sllv_epi32(one, rest));
    vec symbol = _mm512_mask_add_epi32(u, is_bucket, rest, _mm512_set1_epi32(MTH_ULP_DIRECT - 1));
    vec above = _mm512_sllv_epi32(first, shift), width = _mm512_add_epi32(shift, rest);
    vec field = _mm512_sub_epi32(v, _mm512_mask_blend_epi32(is_escape, above, _mm512_setzero_si512()));
    width = _mm512_mask_blend_epi32(is_escape, width, _mm512_set1_epi32(MTH_ULP_LONG_BITS));
    vec low_width = _mm512_and_si512(width, low32);
    store(fields, _mm512_or_si512(_mm512_and_si512(field, low32),
                                  _mm512_sllv_epi64(_mm512_srli_epi64(field, 32), low_width)));
    store(n, _mm512_add_epi64(low_width, _mm512_srli_epi64(width, 32)));
    return symbol;
}

RANS_TARGET_AVX512 size_t ULP_LONG_SPLIT(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *steps,
                                         const uint8_t *contexts, size_t n_groups, uint8_t *symbols,
                                         uint8_t *signs, struct mth_ulp_bit_writer *extra)
{
    struct mth_ulp_bit_writer writer = *extra;
    const vec shifts = widen(shift);
    size_t done = 0, n;
    for (; done < n_groups && mth_ulp_long_has_room(&writer); done += n) {
        uint64_t fields[MTH_ULP_FIELDS_BATCH][N_PAIRS], n_bits[MTH_ULP_FIELDS_BATCH][N_PAIRS];
        n = n_groups - done < MTH_ULP_FIELDS_BATCH ? n_groups - done : MTH_ULP_FIELDS_BATCH;
        if (writer.end - writer.at < (ptrdiff_t)n * MTH_ULP_LONG_ROOM)
            n = 1;
        for (size_t at = done * MTH_ULP_GROUP, k = 0; k < n; k++) {
            for (size_t i = 0; i < MTH_ULP_GROUP; i += VEC_ELEMS, at += VEC_ELEMS) {
                vec step = load(steps + 4 * at);
                vec symbol = split_vector(step, look_up(shifts, widen(contexts + at)), &fields[k][i / 2],
                                          &n_bits[k][i / 2]);
                uint16_t down = (uint16_t)_mm512_movepi32_mask(step);
                memcpy(signs + at / 8, &down, sizeof down);
                _mm_storeu_si128((void *)(symbols + at), _mm512_cvtepi32_epi8(symbol));
            }
        }
        for (size_t k = 0; k < n; k++)
            mth_ulp_long_put_pairs(&writer, fields[k], n_bits[k]);
    }
    *extra = writer;
    return done;
}

/* A group on its way: the fields of some are read before any is looked at. */
struct group {
    uint32_t width[MTH_ULP_GROUP], shift[MTH_ULP_GROUP];
    uint64_t pair_width[N_PAIRS], pairs[N_PAIRS];
};

/* How many bits each of sixteen elements has, and two together. Escapes have no shift. Returns whether any two have more than a word may begin with. */
ULP_INLINE __mmask16 note_widths(vec symbol, vec shift, vec bits, struct group *group, size_t at)
{
    enum { MOST_AT_ONCE = 57 };
    __mmask16 is_escape = _mm512_cmpge_epu32_mask(symbol, _mm512_set1_epi32(MTH_ULP_ESCAPE));
    shift = _mm512_mask_blend_epi32(is_escape, shift, _mm512_setzero_si512());
    vec width = _mm512_add_epi32(shift, look_up(bits, symbol));
    vec pair =
        _mm512_and_si512(_mm512_add_epi64(width, _mm512_srli_epi64(width, 32)), _mm512_set1_epi64(127));
    store(&group->shift[at], shift);
    store(&group->width[at], width);
    store(&group->pair_width[at / 2], pair);
    return _mm512_cmpge_epu32_mask(pair, _mm512_set1_epi32(MOST_AT_ONCE + 1));
}

/* Sixteen steps; *wrong gets bits where there is none. */
ULP_INLINE vec join_vector(const struct group *group, size_t at, vec first, __mmask16 down, vec *wrong)
{
    const vec one = _mm512_set1_epi32(1), low32 = _mm512_set1_epi64(UINT32_MAX);
    vec pair = load(&group->pairs[at / 2]), width = load(&group->width[at]), shift = load(&group->shift[at]);
    vec second = _mm512_srlv_epi64(pair, _mm512_and_si512(width, low32));
    vec field = _mm512_mask_blend_epi32(0xaaaa, pair, _mm512_slli_epi64(second, 32));
    field = _mm512_and_si512(field, _mm512_sub_epi32(_mm512_sllv_epi32(one, width), one));
    vec rest = _mm512_srlv_epi32(field, shift), u = _mm512_add_epi32(first, rest);
    vec low = _mm512_sub_epi32(field, _mm512_sllv_epi32(rest, shift));
    *wrong = _mm512_or_si512(
        *wrong, _mm512_srlv_epi32(u, _mm512_sub_epi32(_mm512_set1_epi32(MTH_ULP_LONG_BITS), shift)));
    vec m = _mm512_add_epi32(_mm512_or_si512(_mm512_sllv_epi32(u, shift), low), one);
    return _mm512_mask_sub_epi32(m, down, _mm512_setzero_si512(), m);
}

RANS_TARGET_AVX512 size_t ULP_LONG_JOIN(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *symbols,
                                        const uint8_t *signs, const uint8_t *contexts, size_t n_groups,
                                        struct mth_ulp_bit_reader *extra, uint8_t *steps)
{
    static const uint8_t first_of_symbol[MTH_ULP_SYMBOLS] = {MTH_ULP_FIRST_OF_SYMBOL},
                         bits_of_symbol[MTH_ULP_SYMBOLS] = {MTH_ULP_BITS_OF_LONG_SYMBOL};
    const vec shifts = widen(shift), firsts = widen(first_of_symbol), bits = widen(bits_of_symbol);
    struct group groups[MTH_ULP_FIELDS_BATCH];
    struct mth_ulp_bit_reader reader = *extra;
    size_t done = 0, n;
    for (; done < n_groups; done += n) {
        n = n_groups - done < MTH_ULP_FIELDS_BATCH ? n_groups - done : MTH_ULP_FIELDS_BATCH;
        if (reader.end - reader.at < (ptrdiff_t)n * MTH_ULP_LONG_MOST)
            n = 1;
        if (!mth_ulp_long_has_bits(&reader))
            break;
        for (size_t k = 0; k < n; k++) {
            __mmask16 is_long = 0;
            for (size_t i = 0; i < MTH_ULP_GROUP; i += VEC_ELEMS) {
                size_t at = (done + k) * MTH_ULP_GROUP + i;
                is_long |= note_widths(widen(symbols + at), look_up(shifts, widen(contexts + at)), bits,
                                       &groups[k], i);
            }
            mth_ulp_long_get_pairs(&reader, groups[k].width, groups[k].pair_width, is_long != 0,
                                   groups[k].pairs);
        }
        vec wrong = _mm512_setzero_si512();
        for (size_t k = 0; k < n; k++) {
            for (size_t i = 0; i < MTH_ULP_GROUP; i += VEC_ELEMS) {
                size_t at = (done + k) * MTH_ULP_GROUP + i;
                uint16_t down;
                memcpy(&down, signs + at / 8, sizeof down);
                store(steps + 4 * at,
                      join_vector(&groups[k], i, look_up(firsts, widen(symbols + at)), down, &wrong));
            }
        }
        if (_mm512_test_epi64_mask(wrong, wrong))
            break;
        *extra = reader;
    }
    return done;
}

#else
typedef int mth_ulp_long_avx512_is_not_here;
#endif
