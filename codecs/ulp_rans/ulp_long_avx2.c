/* Long steps in AVX2, eight a vector; see ulp_long.h. */
#include "codecs/ulp_rans/ulp_long.h"

#ifdef MTH_RANS_HAVE_X86

#include "codecs/rans/rans_avx2.h"

#define ULP_INLINE static inline __attribute__((always_inline)) RANS_TARGET_AVX2

typedef __m256i vec;

enum { VEC_BYTES = 32, N_VECS = 4 /* a group */, VEC_ELEMS = 8 };

ULP_INLINE vec load(const void *p)
{
    return _mm256_loadu_si256(p);
}

ULP_INLINE void store(void *p, vec v)
{
    _mm256_storeu_si256(p, v);
}

ULP_INLINE vec table_of(const uint8_t table[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table));
}

/* Eight of 32 bytes as doublewords. */
ULP_INLINE vec widen(const uint8_t *bytes, size_t vector)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(bytes + vector * VEC_ELEMS)));
}

ULP_INLINE vec pack_doubles(const vec v[N_VECS])
{
    vec words = _mm256_packus_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
    return _mm256_permutevar8x32_epi32(words, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* Fields of two elements each, and their lengths. */
struct pairs {
    uint64_t fields[MTH_ULP_GROUP / 2], n[MTH_ULP_GROUP / 2];
};

/* A vector's symbols; fields to out. u - 6 as a float has in its exponent the bits that follow a bucket. */
ULP_INLINE vec split_vector(vec step, vec shift, uint64_t *fields, uint64_t *n)
{
    const vec one = _mm256_set1_epi32(1), base = _mm256_set1_epi32(6), low32 = _mm256_set1_epi64x(UINT32_MAX);
    vec v = _mm256_sub_epi32(_mm256_abs_epi32(step), one), u = _mm256_srlv_epi32(v, shift);
    vec over = _mm256_sub_epi32(_mm256_min_epu32(u, _mm256_set1_epi32(MTH_ULP_FIRST_OF_THE_ESCAPE)), base);
    vec rest = _mm256_sub_epi32(_mm256_srli_epi32(_mm256_castps_si256(_mm256_cvtepi32_ps(over)), 23),
                                _mm256_set1_epi32(127));
    vec is_direct = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), over);
    rest = _mm256_andnot_si256(is_direct, rest);
    vec is_escape = _mm256_cmpgt_epi32(rest, _mm256_set1_epi32(7));
    vec first = _mm256_blendv_epi8(_mm256_add_epi32(base, _mm256_sllv_epi32(one, rest)), u, is_direct);
    vec symbol =
        _mm256_blendv_epi8(_mm256_add_epi32(rest, _mm256_set1_epi32(MTH_ULP_DIRECT - 1)), u, is_direct);
    first = _mm256_andnot_si256(is_escape, first);
    vec field = _mm256_sub_epi32(v, _mm256_sllv_epi32(first, shift));
    vec width =
        _mm256_blendv_epi8(_mm256_add_epi32(shift, rest), _mm256_set1_epi32(MTH_ULP_LONG_BITS), is_escape);
    vec low_width = _mm256_and_si256(width, low32);
    store(fields, _mm256_or_si256(_mm256_and_si256(field, low32),
                                  _mm256_sllv_epi64(_mm256_srli_epi64(field, 32), low_width)));
    store(n, _mm256_add_epi64(low_width, _mm256_srli_epi64(width, 32)));
    return symbol;
}

RANS_TARGET_AVX2 size_t mth_ulp_long_split_avx2(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *steps,
                                                const uint8_t *contexts, size_t n_groups, uint8_t *symbols,
                                                uint8_t *signs, struct mth_ulp_bit_writer *extra)
{
    struct mth_ulp_bit_writer writer = *extra;
    const vec shifts = table_of(shift);
    size_t done = 0, n;
    for (; done < n_groups && mth_ulp_long_has_room(&writer); done += n) {
        struct pairs pairs[MTH_ULP_FIELDS_BATCH]; /* made before any goes out, as in ulp_long_avx512.c */
        n = n_groups - done < MTH_ULP_FIELDS_BATCH ? n_groups - done : MTH_ULP_FIELDS_BATCH;
        if (writer.end - writer.at < (ptrdiff_t)n * MTH_ULP_LONG_ROOM)
            n = 1;
        for (size_t k = 0; k < n; k++, contexts += MTH_ULP_GROUP, symbols += MTH_ULP_GROUP) {
            uint8_t shift_of[MTH_ULP_GROUP];
            vec symbol[N_VECS];
            store(shift_of, _mm256_shuffle_epi8(shifts, load(contexts)));
            for (size_t i = 0; i < N_VECS; i++, steps += VEC_BYTES) {
                vec step = load(steps);
                *signs++ = (uint8_t)_mm256_movemask_ps(_mm256_castsi256_ps(step));
                symbol[i] =
                    split_vector(step, widen(shift_of, i), &pairs[k].fields[i * 4], &pairs[k].n[i * 4]);
            }
            store(symbols, pack_doubles(symbol));
        }
        for (size_t k = 0; k < n; k++)
            mth_ulp_long_put_pairs(&writer, pairs[k].fields, pairs[k].n);
    }
    *extra = writer;
    return done;
}

/* How many bits each of a group has; shifts to shift_of, where they are 0 for escapes. */
ULP_INLINE vec widths_of(vec symbol, vec contexts, vec shifts, vec bits, uint8_t *shift_of)
{
    vec is_escape = _mm256_cmpeq_epi8(symbol, _mm256_set1_epi8(MTH_ULP_ESCAPE));
    vec shift = _mm256_andnot_si256(is_escape, _mm256_shuffle_epi8(shifts, contexts));
    store(shift_of, shift);
    return _mm256_add_epi8(shift, _mm256_shuffle_epi8(bits, symbol));
}

/* Eight steps; *wrong gets bits where there is none. */
ULP_INLINE vec join_vector(vec field, vec width, vec shift, vec first, vec down, vec *wrong)
{
    const vec one = _mm256_set1_epi32(1);
    field = _mm256_and_si256(field, _mm256_sub_epi32(_mm256_sllv_epi32(one, width), one));
    vec rest = _mm256_srlv_epi32(field, shift), u = _mm256_add_epi32(first, rest);
    vec low = _mm256_sub_epi32(field, _mm256_sllv_epi32(rest, shift));
    *wrong = _mm256_or_si256(
        *wrong, _mm256_srlv_epi32(u, _mm256_sub_epi32(_mm256_set1_epi32(MTH_ULP_LONG_BITS), shift)));
    vec m = _mm256_add_epi32(_mm256_or_si256(_mm256_sllv_epi32(u, shift), low), one);
    return _mm256_sub_epi32(_mm256_xor_si256(m, down), down);
}

/* A group on its way: the fields of some are read before any is looked at. */
struct group {
    uint8_t width[MTH_ULP_GROUP], shift[MTH_ULP_GROUP], first[MTH_ULP_GROUP];
    uint32_t fields[MTH_ULP_GROUP];
};

RANS_TARGET_AVX2 size_t mth_ulp_long_join_avx2(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *symbols,
                                               const uint8_t *signs, const uint8_t *contexts, size_t n_groups,
                                               struct mth_ulp_bit_reader *extra, uint8_t *steps)
{
    static const uint8_t first_of_symbol[MTH_ULP_SYMBOLS] = {MTH_ULP_FIRST_OF_SYMBOL},
                         bits_of_symbol[MTH_ULP_SYMBOLS] = {MTH_ULP_BITS_OF_LONG_SYMBOL};
    const vec shifts = table_of(shift), firsts = table_of(first_of_symbol), bits = table_of(bits_of_symbol);
    const vec bit_of_lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    struct group groups[MTH_ULP_FIELDS_BATCH];
    struct mth_ulp_bit_reader reader = *extra;
    size_t done = 0, n;
    for (; done < n_groups; done += n) {
        n = n_groups - done < MTH_ULP_FIELDS_BATCH ? n_groups - done : MTH_ULP_FIELDS_BATCH;
        if (reader.end - reader.at < (ptrdiff_t)n * MTH_ULP_LONG_MOST)
            n = 1;
        if (!mth_ulp_long_has_bits(&reader))
            break;
        vec wrong = _mm256_setzero_si256();
        for (size_t k = 0; k < n; k++) {
            size_t at = (done + k) * MTH_ULP_GROUP;
            vec symbol = load(symbols + at);
            store(groups[k].width, widths_of(symbol, load(contexts + at), shifts, bits, groups[k].shift));
            store(groups[k].first, _mm256_shuffle_epi8(firsts, symbol));
            mth_ulp_long_get(&reader, groups[k].width, groups[k].fields);
        }
        for (size_t k = 0; k < n; k++) {
            size_t at = (done + k) * MTH_ULP_GROUP;
            for (size_t i = 0; i < N_VECS; i++) {
                vec down = _mm256_and_si256(_mm256_set1_epi32(signs[at / 8 + i]), bit_of_lane);
                vec step = join_vector(load(&groups[k].fields[i * VEC_ELEMS]), widen(groups[k].width, i),
                                       widen(groups[k].shift, i), widen(groups[k].first, i),
                                       _mm256_cmpeq_epi32(down, bit_of_lane), &wrong);
                store(steps + 4 * at + i * VEC_BYTES, step);
            }
        }
        if (!_mm256_testz_si256(wrong, wrong))
            break;
        *extra = reader;
    }
    return done;
}

#else
typedef int mth_ulp_long_avx2_is_not_here;
#endif
