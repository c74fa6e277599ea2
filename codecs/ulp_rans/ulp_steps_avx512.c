/* Steps of 16 bits to symbols and back in AVX-512 with VBMI2: a group of 32 a vector; see ulp_steps.h. */
#include "codecs/ulp_rans/ulp_steps.h"

/* Tests define RANS_EMULATED and the intrinsics in plain C, to run this file where there is no such processor. */
#if defined(MTH_RANS_HAVE_X86) || defined(RANS_EMULATED)

#include "codecs/ulp_rans/ulp_vec_avx512.h"

#include <string.h>

#ifndef RANS_EMULATED
#define ULP_SPLIT16 mth_ulp_avx512_split16
#define ULP_JOIN16  mth_ulp_avx512_join16
#endif

/* By the symbols in words below 16. */
ULP_INLINE vec first_of(vec symbol)
{
    static const uint8_t table[MTH_ULP_SYMBOLS] = {MTH_ULP_FIRST_OF_SYMBOL};
    return _mm512_permutexvar_epi8(symbol, _mm512_castsi128_si512(_mm_loadu_si128((const void *)table)));
}

/* As many ones as bits follow such a symbol. */
ULP_INLINE vec bits_of(vec symbol)
{
    static const uint16_t table[MTH_ULP_GROUP] = {
        [8] = 1, [9] = 3, [10] = 7, [11] = 15, [12] = 31, [13] = 63, [14] = 127, [15] = 32767};
    return _mm512_permutexvar_epi16(symbol, load((const uint8_t *)table));
}

/*
 * The bits of a group: those of its long steps side by side, four a word, and which bits of these lanes they are. So few steps are long
 * that most groups have one word, or two.
 */
enum { FIELDS_A_WORD = 4, MAX_WORDS = MTH_ULP_GROUP / FIELDS_A_WORD };

struct fields {
    uint64_t lanes[MAX_WORDS], used[MAX_WORDS];
    size_t n_words;
};

ULP_INLINE void find_fields(vec symbol, __mmask32 is_long, struct fields *fields)
{
    store((uint8_t *)fields->used, _mm512_maskz_compress_epi16(is_long, bits_of(symbol)));
    fields->n_words = ((size_t)__builtin_popcount((uint32_t)is_long) + FIELDS_A_WORD - 1) / FIELDS_A_WORD;
}

/* Requires MTH_ULP_FIELDS_ROOM. */
ULP_INLINE void put_fields(struct mth_ulp_bit_writer *writer, const struct fields *fields)
{
    for (size_t i = 0; i < fields->n_words; i++) {
        uint64_t used = fields->used[i];
        (void)mth_ulp_put_bits(writer, _pext_u64(fields->lanes[i], used),
                               (unsigned)__builtin_popcountll(used));
    }
}

/* False: there are not so many bits. */
ULP_INLINE bool get_fields(struct mth_ulp_bit_reader *reader, struct fields *fields)
{
    for (size_t i = 0; i < fields->n_words; i++) {
        uint64_t used = fields->used[i], bits;
        if (!mth_ulp_get_bits(reader, (unsigned)__builtin_popcountll(used), &bits))
            return false;
        fields->lanes[i] = _pdep_u64(bits, used);
    }
    return true;
}

/* The bits of a word, of which `at` lie behind `in`, and 8 bytes more are there. */
ULP_INLINE uint64_t get_word(const uint8_t *in, uint64_t *at, uint64_t used)
{
    enum { AT_ONCE = 57 };
    uint64_t n = (uint64_t)__builtin_popcountll(used), word;
    unsigned shift = *at % 8;
    memcpy(&word, in + *at / 8, sizeof word);
    word >>= shift;
    if (n > AT_ONCE)
        word |= (uint64_t)in[*at / 8 + sizeof word] << 1 << (63 - shift);
    *at += n;
    return _pdep_u64(word, used);
}

/* The same of all, without a look at the end of the bits; most have two words at most, and how many changes by chance. */
ULP_INLINE void get_fields_within(const uint8_t *in, uint64_t *at, struct fields *fields)
{
    fields->lanes[0] = get_word(in, at, fields->used[0]);
    fields->lanes[1] = get_word(in, at, fields->used[1]);
    for (size_t i = 2; i < fields->n_words; i++)
        fields->lanes[i] = get_word(in, at, fields->used[i]);
}

/*
 * Symbols of magnitudes less one. Buckets double, and the first one that has several lengths begins at 8: so it is the bits of v - 6
 * that tell the bucket, at least two; without the lowest one they are looked up.
 */
ULP_INLINE vec symbols_of(vec v, __mmask32 is_long)
{
    enum { BELOW = 6 };
#define TWICE(x) x, x
    static const uint8_t table[2 * VEC_BYTES] = {0,
                                                 8,
                                                 TWICE(9),
                                                 TWICE(TWICE(10)),
                                                 TWICE(TWICE(TWICE(11))),
                                                 TWICE(TWICE(TWICE(TWICE(12)))),
                                                 TWICE(TWICE(TWICE(TWICE(TWICE(13))))),
                                                 TWICE(TWICE(TWICE(TWICE(TWICE(TWICE(14))))))};
#undef TWICE
    vec place = _mm512_min_epu16(_mm512_srli_epi16(_mm512_subs_epu16(v, _mm512_set1_epi16(BELOW)), 1),
                                 _mm512_set1_epi16(2 * VEC_BYTES - 1));
    vec bucket = _mm512_permutex2var_epi8(load(table), place, load(table + VEC_BYTES));
    bucket =
        _mm512_mask_blend_epi16(_mm512_cmpge_epu16_mask(v, _mm512_set1_epi16(MTH_ULP_FIRST_OF_THE_ESCAPE)),
                                bucket, _mm512_set1_epi16(MTH_ULP_ESCAPE));
    return _mm512_mask_blend_epi16(is_long, v, bucket);
}

/* The bits of n long steps, as magnitudes less one; room for a vector behind them. False: the writer is too near its end. */
ULP_INLINE bool put_long(struct mth_ulp_bit_writer *writer, const uint16_t *magnitudes, size_t n)
{
    for (size_t i = 0; i < n; i += MTH_ULP_GROUP) {
        __mmask32 here = n - i < MTH_ULP_GROUP ? (1u << (n - i)) - 1 : UINT32_MAX;
        vec v = load((const uint8_t *)(magnitudes + i)), symbol = symbols_of(v, here);
        struct fields fields;
        if (writer->end - writer->at < MTH_ULP_FIELDS_ROOM)
            return false;
        find_fields(symbol, here, &fields);
        store((uint8_t *)fields.lanes,
              _mm512_maskz_compress_epi16(here, _mm512_sub_epi16(v, first_of(symbol))));
        put_fields(writer, &fields);
    }
    return true;
}

/* Whether a group has any long steps is as good as random: they are set apart without asking, and their bits made 32 at a time. */
RANS_TARGET_AVX512 size_t ULP_SPLIT16(const uint8_t *steps, size_t n_groups, uint8_t *symbols, uint8_t *signs,
                                      struct mth_ulp_bit_writer *extra)
{
    enum { BATCH = 64 };
    uint16_t apart[(BATCH + 1) * MTH_ULP_GROUP];
    struct mth_ulp_bit_writer writer = *extra;
    vec one = _mm512_set1_epi16(1), longer = _mm512_set1_epi16(MTH_ULP_DIRECT);
    size_t g = 0, n;
    for (; g < n_groups; g += n) {
        size_t n_apart = 0;
        n = n_groups - g < BATCH ? n_groups - g : BATCH;
        for (size_t i = g; i < g + n; i++) {
            vec step = load(steps + i * VEC_BYTES), v = _mm512_sub_epi16(_mm512_abs_epi16(step), one);
            uint32_t down = (uint32_t)_mm512_movepi16_mask(step);
            __mmask32 is_long = _mm512_cmpge_epu16_mask(v, longer);
            store((uint8_t *)(apart + n_apart), _mm512_maskz_compress_epi16(is_long, v));
            n_apart += (size_t)__builtin_popcount((uint32_t)is_long);
            memcpy(signs + i * sizeof down, &down, sizeof down);
            _mm256_storeu_si256((void *)(symbols + i * MTH_ULP_GROUP),
                                _mm512_cvtepi16_epi8(symbols_of(v, is_long)));
        }
        if (!put_long(&writer, apart, n_apart))
            break;
        *extra = writer;
    }
    return g;
}

ULP_INLINE vec load_symbols(const uint8_t *symbols)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)symbols));
}

ULP_INLINE __mmask32 long_of(vec symbol)
{
    return _mm512_cmpge_epu16_mask(symbol, _mm512_set1_epi16(MTH_ULP_DIRECT));
}

ULP_INLINE void join_group(const uint8_t *symbols, const uint8_t *signs, const struct fields *fields,
                           uint8_t *steps)
{
    vec v = load_symbols(symbols);
    __mmask32 is_long = long_of(v);
    if (is_long)
        v = _mm512_add_epi16(first_of(v),
                             _mm512_maskz_expand_epi16(is_long, load((const uint8_t *)fields->lanes)));
    vec magnitude = _mm512_add_epi16(v, _mm512_set1_epi16(1));
    uint32_t down;
    memcpy(&down, signs, sizeof down);
    store(steps, _mm512_mask_sub_epi16(magnitude, (__mmask32)down, _mm512_setzero_si512(), magnitude));
}

RANS_TARGET_AVX512 size_t ULP_JOIN16(const uint8_t *symbols, const uint8_t *signs, size_t n_groups,
                                     struct mth_ulp_bit_reader *extra, uint8_t *steps)
{
    struct mth_ulp_bit_reader reader = *extra;
    struct fields fields[MTH_ULP_FIELDS_BATCH];
    size_t g = 0, n;
    memset(fields, 0, sizeof fields);
    for (; g < n_groups; g += n) {
        bool good = true;
        n = n_groups - g < MTH_ULP_FIELDS_BATCH ? n_groups - g : MTH_ULP_FIELDS_BATCH;
        bool is_within = reader.end - reader.at >= MTH_ULP_FIELDS_BATCH * MTH_ULP_FIELDS_ROOM;
        uint64_t at = reader.n_used;
        for (size_t i = 0; i < n; i++) {
            vec symbol = load_symbols(symbols + (g + i) * MTH_ULP_GROUP);
            __mmask32 is_long = long_of(symbol);
            if (is_within) {
                find_fields(symbol, is_long, &fields[i]);
                get_fields_within(reader.at, &at, &fields[i]);
                continue;
            }
            if (!is_long)
                continue;
            find_fields(symbol, is_long, &fields[i]);
            good &= get_fields(&reader, &fields[i]);
        }
        if (!good)
            break;
        if (is_within) {
            reader.at += at / 8;
            reader.n_used = at % 8;
        }
        for (size_t i = 0; i < n; i++)
            join_group(symbols + (g + i) * MTH_ULP_GROUP, signs + (g + i) * sizeof(uint32_t), &fields[i],
                       steps + (g + i) * VEC_BYTES);
        *extra = reader;
    }
    return g;
}

#else
typedef int mth_ulp_steps_avx512_is_not_here;
#endif
