/* Symbols in AVX-512 with VBMI: 64 lanes a vector; see ulp_kernels.h. */
#include "codecs/ulp_rans/ulp_kernels.h"

/* Tests define RANS_EMULATED and the intrinsics in plain C, to run this file where there is no such processor. */
#if defined(MTH_RANS_HAVE_X86) || defined(RANS_EMULATED)

#include "codecs/ulp_rans/ulp_avx512.h"

/* Bounds by quarter and context: those of symbols 4 q + i, and of the one behind the quarter. */
enum { QUARTER = MTH_ULP_SYMBOLS / 4 };
struct quarters {
    vec first_of[QUARTER - 1]; /* of quarters but the first, in all places */
    vec bound[QUARTER + 1];
};

ULP_INLINE vec four_tables(const uint8_t *first, const uint8_t *second, const uint8_t *third,
                           const uint8_t *fourth)
{
    vec v = two_tables(first, second);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)third), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const void *)fourth), 3);
}

ULP_INLINE struct quarters load_quarters(const struct mth_ulp_table *table)
{
    static const uint8_t behind_all[MTH_ULP_CONTEXTS] = {127, 127, 127, 127, 127, 127, 127, 127,
                                                         127, 127, 127, 127, 127, 127, 127, 127};
    struct quarters quarters;
    for (size_t i = 0; i < QUARTER; i++)
        quarters.bound[i] = four_tables(table->bound[i], table->bound[QUARTER + i],
                                        table->bound[2 * QUARTER + i], table->bound[3 * QUARTER + i]);
    quarters.bound[QUARTER] =
        four_tables(table->bound[QUARTER], table->bound[2 * QUARTER], table->bound[3 * QUARTER], behind_all);
    for (size_t q = 1; q < QUARTER; q++)
        quarters.first_of[q - 1] = one_table(table->bound[q * QUARTER]);
    return quarters;
}

/*
 * The symbol of a slot is how many bounds it lies behind: first of those where quarters begin, then of those within one. With d the
 * distance modulo 256 from the first slot of a symbol to this one, the symbol that it belongs to has the least, and the one behind it,
 * which the slot has not reached, the greatest: the least is the slot's rank, and both are as far apart as the symbol has slots.
 * No branch asks whether steps are short: one of 64 hardly ever is not long.
 */
ULP_INLINE void find_symbols(const struct quarters *quarters, vec slot, vec context, vec *symbol, vec *rank,
                             vec *freq)
{
    vec ordered = _mm512_xor_si512(slot, _mm512_set1_epi8((char)0x80));
    vec before =
        _mm512_sub_epi8(ordered, _mm512_set1_epi8(1)); /* bounds are the last slot of the symbol before */
    vec place = context, n = _mm512_setzero_si512(), bound[QUARTER + 1], d[QUARTER + 1];
    for (size_t q = 1; q < QUARTER; q++) {
        __mmask64 behind =
            _mm512_cmpgt_epi8_mask(ordered, _mm512_permutexvar_epi8(context, quarters->first_of[q - 1]));
        place = _mm512_mask_add_epi8(place, behind, place, _mm512_set1_epi8(MTH_ULP_CONTEXTS));
    }
    for (size_t i = 0; i <= QUARTER; i++) {
        bound[i] = _mm512_permutexvar_epi8(place, quarters->bound[i]);
        d[i] = _mm512_sub_epi8(before, bound[i]);
    }
    for (size_t i = 1; i < QUARTER; i++)
        n = _mm512_mask_add_epi8(n, _mm512_cmpgt_epi8_mask(ordered, bound[i]), n, _mm512_set1_epi8(1));
    vec quarter = _mm512_and_si512(_mm512_srli_epi16(place, 2), _mm512_set1_epi8(3 * QUARTER));
    *symbol = _mm512_add_epi8(n, quarter);
    *rank = _mm512_min_epu8(_mm512_min_epu8(d[0], d[1]), _mm512_min_epu8(d[2], d[3]));
    *freq = _mm512_sub_epi8(*rank, _mm512_max_epu8(_mm512_max_epu8(d[1], d[2]), _mm512_max_epu8(d[3], d[4])));
}

RANS_TARGET_AVX512 size_t ULP_DECODE_SYMBOLS(const struct mth_ulp_table *table,
                                             struct mth_rans_reader *reader, const uint8_t *from,
                                             size_t n_steps, uint8_t *symbols)
{
    if (reader->lanes.n_lanes != VEC_BYTES)
        return ULP_REST.decode_symbols(table, reader, from, n_steps, symbols);
    struct quarters quarters = load_quarters(table);
    vec high = load(reader->lanes.high), low = load(reader->lanes.low);
    const uint8_t *in = reader->in, *end = reader->end;
    size_t done = 0;
    for (; done < n_steps && end - in >= VEC_BYTES; done++, from += VEC_BYTES, symbols += VEC_BYTES) {
        vec symbol, rank, freq;
        find_symbols(&quarters, low, load(from), &symbol, &rank, &freq);
        store(symbols, symbol);
        in = decode_lanes(freq, rank, _mm512_testn_epi8_mask(freq, freq), &high, &low, in);
    }
    store(reader->lanes.high, high);
    store(reader->lanes.low, low);
    reader->in = in;
    return done;
}

/* All of a table by symbol and context; its first half alone, where that is enough. */
struct wide_table {
    vec part[4];
};

ULP_INLINE struct wide_table load_wide(const uint8_t table[MTH_ULP_SYMBOLS][MTH_ULP_CONTEXTS])
{
    const uint8_t *p = table[0];
    return (struct wide_table){
        {load(p), load(p + VEC_BYTES), load(p + 2 * VEC_BYTES), load(p + 3 * VEC_BYTES)}};
}

/* A permutation of two vectors looks at seven bits of a place; `above` has those whose eighth is set. */
ULP_INLINE vec look_up_wide(const struct wide_table *table, vec place, __mmask64 above)
{
    vec found = _mm512_permutex2var_epi8(table->part[0], place, table->part[1]);
    if (above)
        found = _mm512_mask_blend_epi8(above, found,
                                       _mm512_permutex2var_epi8(table->part[2], place, table->part[3]));
    return found;
}

/* As flags are coded, see put_lanes in ulp_avx512.h. */
RANS_TARGET_AVX512 size_t ULP_ENCODE_SYMBOLS(const struct mth_ulp_table *table,
                                             struct mth_rans_writer *writer, const uint8_t *from_end,
                                             const uint8_t *symbols_end, size_t n_steps)
{
    if (writer->lanes.n_lanes != VEC_BYTES)
        return ULP_REST.encode_symbols(table, writer, from_end, symbols_end, n_steps);
    vec zero = _mm512_setzero_si512(), byte = _mm512_set1_epi16(255);
    vec inverted = _mm512_xor_si512(load(writer->lanes.high), _mm512_set1_epi8(-1)),
        low = load(writer->lanes.low);
    struct wide_table freqs = load_wide(table->freq), starts = load_wide(table->start),
                      lows = load_wide(table->symbol_multiplier[0]),
                      highs = load_wide(table->symbol_multiplier[1]), shifts = load_wide(table->symbol_shift);
    uint8_t *at = writer->at;
    size_t done = 0;
    for (; done < n_steps && at - writer->begin >= VEC_BYTES; done++) {
        from_end -= VEC_BYTES;
        symbols_end -= VEC_BYTES;
        /* Symbols are below 16: nothing leaves a byte. */
        vec place = _mm512_or_si512(load(from_end), _mm512_slli_epi16(load(symbols_end), 4));
        __mmask64 above = _mm512_movepi8_mask(place);
        vec freq = look_up_wide(&freqs, place, above), shift = look_up_wide(&shifts, place, above);
        vec multiplier_low = look_up_wide(&lows, place, above),
            multiplier_high = look_up_wide(&highs, place, above);
        struct divisors divisors = {
            .even = freq,
            .odd = _mm512_srli_epi16(freq, 8),
            .even_multiplier = mth_rans_512_weave(multiplier_low, _mm512_slli_epi16(multiplier_high, 8)),
            .odd_multiplier = mth_rans_512_weave(_mm512_srli_epi16(multiplier_low, 8), multiplier_high),
            .even_shift = _mm512_and_si512(shift, byte),
            .odd_shift = _mm512_srli_epi16(shift, 8),
        };
        at = put_lanes(_mm512_sub_epi8(zero, freq), look_up_wide(&starts, place, above), &divisors, &inverted,
                       &low, at);
    }
    store(writer->lanes.high, _mm512_xor_si512(inverted, _mm512_set1_epi8(-1)));
    store(writer->lanes.low, low);
    writer->at = at;
    return done;
}

#else
typedef int mth_ulp_symbols_avx512_is_not_here;
#endif
