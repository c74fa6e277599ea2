/* Symbols in AVX2: 32 lanes a vector; see ulp_kernels.h. */
#include "codecs/ulp_rans/ulp_scalar.h"

#ifdef MTH_RANS_HAVE_X86

#include "codecs/ulp_rans/ulp_avx2.h"

/* An encoder's: symbols below this are found by comparing, those of a vector that has others are looked up one by one. */
enum { SHORT = 3 };

/* What is to be known of 32 symbols, in planes of bytes; and of one, in the bytes of a word. */
struct planes {
    vec byte[4];
};

/* Of each four words in a half the first bytes, the second ones, ... */
ULP_INLINE vec gather_words(const void *words, vec places)
{
    vec found = _mm256_i32gather_epi32((const int *)words, places, 4);
    return _mm256_shuffle_epi8(found, _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
                                                       0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
}

/* places: of eight elements a vector. */
ULP_INLINE struct planes gather_planes(const void *words, vec first, vec second, vec third, vec fourth)
{
    vec a = gather_words(words, first), b = gather_words(words, second);
    vec c = gather_words(words, third), d = gather_words(words, fourth);
    /* In fours of bytes: the first half of a vector's, of all vectors in turn, then the other half. */
    vec order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    vec ab_low = _mm256_unpacklo_epi32(a, b), ab_high = _mm256_unpackhi_epi32(a, b);
    vec cd_low = _mm256_unpacklo_epi32(c, d), cd_high = _mm256_unpackhi_epi32(c, d);
    return (struct planes){{_mm256_permutevar8x32_epi32(_mm256_unpacklo_epi64(ab_low, cd_low), order),
                            _mm256_permutevar8x32_epi32(_mm256_unpackhi_epi64(ab_low, cd_low), order),
                            _mm256_permutevar8x32_epi32(_mm256_unpacklo_epi64(ab_high, cd_high), order),
                            _mm256_permutevar8x32_epi32(_mm256_unpackhi_epi64(ab_high, cd_high), order)}};
}

/*
 * The symbol of a slot is how many bounds it lies behind. With d the distance modulo 256 from the first slot of a symbol to this
 * one, the symbol that it belongs to has the least, and the one behind it, which the slot has not reached, the greatest: the least
 * is the slot's rank, and both are as far apart as the symbol has slots. No branch asks whether all steps are short: one of 32 mostly is not.
 */
ULP_INLINE void find_symbols(const struct mth_ulp_table *table, vec slot, vec context, vec *symbol, vec *rank,
                             vec *freq)
{
    vec ordered = _mm256_xor_si256(slot, _mm256_set1_epi8((char)0x80));
    vec before =
        _mm256_sub_epi8(ordered, _mm256_set1_epi8(1)); /* bounds are the last slot of the symbol before */
    vec least = slot, greatest = slot, n = _mm256_setzero_si256();
    for (size_t k = 1; k < table->n_symbols; k++) {
        vec bound = look_up(table->bound[k], context), behind = _mm256_cmpgt_epi8(ordered, bound);
        vec d = _mm256_sub_epi8(before, bound);
        least = _mm256_min_epu8(least, d);
        greatest = _mm256_max_epu8(greatest, d);
        n = _mm256_sub_epi8(n, behind);
    }
    *symbol = n;
    *rank = least;
    *freq = _mm256_sub_epi8(least, greatest);
}

ULP_INLINE size_t decode_some_symbols(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                      const uint8_t *from, size_t n_steps, uint8_t *symbols, size_t n_vecs)
{
    vec high[MOST_VECS], low[MOST_VECS], zero = _mm256_setzero_si256();
    const uint8_t *in = reader->in, *end = reader->end;
    size_t done = 0;
    for (size_t v = 0; v < n_vecs; v++) {
        high[v] = load(reader->lanes.high + v * VEC_BYTES);
        low[v] = load(reader->lanes.low + v * VEC_BYTES);
    }
    for (; done < n_steps && (size_t)(end - in) >= n_vecs * VEC_BYTES; done++) {
        for (size_t v = 0; v < n_vecs; v++, from += VEC_BYTES, symbols += VEC_BYTES) {
            vec symbol, rank, freq, context = load(from);
            find_symbols(table, low[v], context, &symbol, &rank, &freq);
            store(symbols, symbol);
            in = decode_lanes(freq, rank, _mm256_cmpeq_epi8(freq, zero), &high[v], &low[v], in);
        }
    }
    for (size_t v = 0; v < n_vecs; v++) {
        store(reader->lanes.high + v * VEC_BYTES, high[v]);
        store(reader->lanes.low + v * VEC_BYTES, low[v]);
    }
    reader->in = in;
    return done;
}

RANS_TARGET_AVX2 size_t mth_ulp_avx2_decode_symbols(const struct mth_ulp_table *table,
                                                    struct mth_rans_reader *reader, const uint8_t *from,
                                                    size_t n_steps, uint8_t *symbols)
{
    if (reader->lanes.n_lanes == VEC_BYTES)
        return decode_some_symbols(table, reader, from, n_steps, symbols, 1);
    return decode_some_symbols(table, reader, from, n_steps, symbols, 2);
}

/* What coding a symbol needs: its frequency, its start, and both bytes of the reciprocal. */
struct symbol_words {
    uint32_t of[MTH_ULP_SYMBOLS * MTH_ULP_CONTEXTS];
};

static void fill_words(const struct mth_ulp_table *table, struct symbol_words *words)
{
    for (size_t s = 0; s < MTH_ULP_SYMBOLS; s++) {
        for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
            words->of[s * MTH_ULP_CONTEXTS + c] = table->freq[s][c] | (uint32_t)table->start[s][c] << 8 |
                                                  (uint32_t)table->symbol_reciprocal[0][s][c] << 16 |
                                                  (uint32_t)table->symbol_reciprocal[1][s][c] << 24;
    }
}

ULP_INLINE struct planes gather_coded(const struct symbol_words *words, vec place)
{
    __m128i front = _mm256_castsi256_si128(place), back = _mm256_extracti128_si256(place, 1);
    return gather_planes(words->of, _mm256_cvtepu8_epi32(front),
                         _mm256_cvtepu8_epi32(_mm_srli_si128(front, 8)), _mm256_cvtepu8_epi32(back),
                         _mm256_cvtepu8_epi32(_mm_srli_si128(back, 8)));
}

/* The context of lanes with symbol k finds something, all others find 0. */
ULP_INLINE struct planes look_up_short(const struct mth_ulp_table *table, vec place)
{
    vec zero = _mm256_setzero_si256();
    struct planes coded = {{zero, zero, zero, zero}};
    for (size_t k = 0; k < SHORT; k++) {
        vec is_k = _mm256_xor_si256(place, _mm256_set1_epi8((char)(k << 4)));
        vec at_k = _mm256_adds_epu8(is_k, _mm256_set1_epi8(0x70));
        coded.byte[0] = _mm256_or_si256(coded.byte[0], look_up(table->freq[k], at_k));
        coded.byte[1] = _mm256_or_si256(coded.byte[1], look_up(table->start[k], at_k));
        coded.byte[2] = _mm256_or_si256(coded.byte[2], look_up(table->symbol_reciprocal[0][k], at_k));
        coded.byte[3] = _mm256_or_si256(coded.byte[3], look_up(table->symbol_reciprocal[1][k], at_k));
    }
    return coded;
}

ULP_INLINE size_t encode_some_symbols(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                      const uint8_t *from_end, const uint8_t *symbols_end, size_t n_steps,
                                      size_t n_vecs)
{
    vec high[MOST_VECS], low[MOST_VECS], zero = _mm256_setzero_si256();
    vec longest = _mm256_set1_epi8(SHORT - 1);
    struct symbol_words words;
    uint8_t *at = writer->at;
    size_t done = 0;
    fill_words(table, &words);
    for (size_t v = 0; v < n_vecs; v++) {
        high[v] = load(writer->lanes.high + v * VEC_BYTES);
        low[v] = load(writer->lanes.low + v * VEC_BYTES);
    }
    for (; done < n_steps && (size_t)(at - writer->begin) >= n_vecs * VEC_BYTES; done++) {
        for (size_t v = n_vecs; v-- > 0;) {
            from_end -= VEC_BYTES;
            symbols_end -= VEC_BYTES;
            vec symbol = load(symbols_end), longer = _mm256_cmpgt_epi8(symbol, longest);
            /* Symbols are below 16: nothing leaves a byte. */
            vec place = _mm256_or_si256(load(from_end), _mm256_slli_epi16(symbol, 4));
            struct planes coded = _mm256_testz_si256(longer, longer) ? look_up_short(table, place)
                                                                     : gather_coded(&words, place);
            at = encode_lanes(coded.byte[0], coded.byte[1], coded.byte[2], coded.byte[3],
                              _mm256_cmpeq_epi8(coded.byte[0], zero), &high[v], &low[v], at);
        }
    }
    for (size_t v = 0; v < n_vecs; v++) {
        store(writer->lanes.high + v * VEC_BYTES, high[v]);
        store(writer->lanes.low + v * VEC_BYTES, low[v]);
    }
    writer->at = at;
    return done;
}

RANS_TARGET_AVX2 size_t mth_ulp_avx2_encode_symbols(const struct mth_ulp_table *table,
                                                    struct mth_rans_writer *writer, const uint8_t *from_end,
                                                    const uint8_t *symbols_end, size_t n_steps)
{
    if (writer->lanes.n_lanes == VEC_BYTES)
        return encode_some_symbols(table, writer, from_end, symbols_end, n_steps, 1);
    return encode_some_symbols(table, writer, from_end, symbols_end, n_steps, 2);
}

#else
typedef int mth_ulp_symbols_avx2_is_not_here;
#endif
