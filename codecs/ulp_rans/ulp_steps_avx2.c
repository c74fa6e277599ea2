/* Steps of 16 bits to symbols and back in AVX2: half a group of 32 a vector; see ulp_steps.h. */
#include "codecs/ulp_rans/ulp_steps.h"

#ifdef MTH_RANS_HAVE_X86

#include "codecs/ulp_rans/ulp_avx2.h"

/* By the symbols in the low bytes of words; their high bytes find 0. */
ULP_INLINE vec first_of(vec symbol)
{
    static const uint8_t table[MTH_ULP_SYMBOLS] = {MTH_ULP_FIRST_OF_SYMBOL};
    return _mm256_shuffle_epi8(mth_rans_twice(table), symbol);
}

ULP_INLINE vec bits_of(vec symbol)
{
    static const uint8_t table[MTH_ULP_SYMBOLS] = {MTH_ULP_BITS_OF_SYMBOL};
    return _mm256_shuffle_epi8(mth_rans_twice(table), symbol);
}

/* How many fewer bits stand in front of the upper half of each 32, and each 64, than fit there. */
struct widths {
    vec low16, low32, all;
};

ULP_INLINE struct widths widths_of(vec n)
{
    vec low16 = _mm256_and_si256(n, _mm256_set1_epi32(0xffff));
    vec n32 = _mm256_add_epi32(low16, _mm256_srli_epi32(n, 16));
    vec low32 = _mm256_and_si256(n32, _mm256_set1_epi64x(0xffffffff));
    return (struct widths){low16, low32, _mm256_add_epi64(low32, _mm256_srli_epi64(n32, 32))};
}

/* Four fields a doubleword to one, the first one lowest. */
ULP_INLINE vec join_fields(vec field, const struct widths *widths)
{
    vec low = _mm256_and_si256(field, _mm256_set1_epi32(0xffff)), high = _mm256_srli_epi32(field, 16);
    vec field32 = _mm256_or_si256(low, _mm256_sllv_epi32(high, widths->low16));
    low = _mm256_and_si256(field32, _mm256_set1_epi64x(0xffffffff));
    return _mm256_or_si256(low, _mm256_sllv_epi64(_mm256_srli_epi64(field32, 32), widths->low32));
}

ULP_INLINE vec part_fields(vec field64, const struct widths *widths)
{
    vec high = _mm256_srlv_epi64(field64, widths->low32);
    vec low = _mm256_xor_si256(field64, _mm256_sllv_epi64(high, widths->low32));
    vec field32 = _mm256_or_si256(low, _mm256_slli_epi64(high, 32));
    high = _mm256_srlv_epi32(field32, widths->low16);
    low = _mm256_xor_si256(field32, _mm256_sllv_epi32(high, widths->low16));
    return _mm256_or_si256(low, _mm256_slli_epi32(high, 16));
}

/* Symbols of magnitudes less one. */
ULP_INLINE vec symbols_of(vec v)
{
    static const uint8_t first[MTH_ULP_SYMBOLS] = {MTH_ULP_FIRST_OF_SYMBOL};
    vec symbol = _mm256_min_epu16(v, _mm256_set1_epi16(MTH_ULP_DIRECT));
    for (size_t s = MTH_ULP_DIRECT + 1; s < MTH_ULP_ESCAPE; s++)
        symbol = _mm256_sub_epi16(symbol, _mm256_cmpgt_epi16(v, _mm256_set1_epi16((short)(first[s] - 1))));
    return _mm256_sub_epi16(symbol,
                            _mm256_cmpgt_epi16(v, _mm256_set1_epi16(MTH_ULP_FIRST_OF_THE_ESCAPE - 1)));
}

/* 16 steps' symbols, and four fields. */
ULP_INLINE vec split_half(vec v, struct mth_ulp_fields *fields, size_t at)
{
    vec symbol = symbols_of(v);
    struct widths widths = widths_of(bits_of(symbol));
    store((uint8_t *)&fields->bits[at], join_fields(_mm256_sub_epi16(v, first_of(symbol)), &widths));
    store((uint8_t *)&fields->n[at], widths.all);
    return symbol;
}

/*
 * The same of a group whose fields have 7 bits at most, in bytes: joined by products with powers of two, first in pairs, then in
 * fours, by shifts in eights. Of eight elements 56 bits go out at once.
 */
enum {
    N_WORDS = MTH_ULP_GROUP / 8,
    MOST_BYTE = 255,
    BUCKETS_BELOW = 6 /* what a bucket begins with, less a power of two */
};

struct words {
    uint64_t bits[N_WORDS], n[N_WORDS];
};

/* By numbers of bits, 0 .. 7. */
#define TABLE_OF_BITS(name, ...)                              \
    ULP_INLINE vec name(vec n)                                \
    {                                                         \
        static const uint8_t table[16] = {__VA_ARGS__};       \
        return _mm256_shuffle_epi8(mth_rans_twice(table), n); \
    }

TABLE_OF_BITS(power_of, 1, 2, 4, 8, 16, 32, 64, 128)
/* Of nibbles: how many bits they have, and how many with four below. */
TABLE_OF_BITS(length_of_low, 0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4)
TABLE_OF_BITS(length_of_high, 0, 5, 6, 6, 7, 7, 7, 7)

/* How many bits pairs and fours of bytes have, and eights. */
struct sums {
    vec n16, n32, n64;
};

ULP_INLINE struct sums sums_of(vec n)
{
    vec n16 = _mm256_maddubs_epi16(n, _mm256_set1_epi8(1)),
        n32 = _mm256_madd_epi16(n16, _mm256_set1_epi16(1));
    vec low32 = _mm256_and_si256(n32, _mm256_set1_epi64x(0xffffffff));
    return (struct sums){n16, n32, _mm256_add_epi64(low32, _mm256_srli_epi64(n32, 32))};
}

/* v: 32 magnitudes less one, in bytes. Returns their symbols. */
ULP_INLINE vec split_bytes(vec v, struct words *words)
{
    static const uint8_t first[MTH_ULP_SYMBOLS] = {MTH_ULP_FIRST_OF_SYMBOL};
    vec half = _mm256_and_si256(_mm256_srli_epi16(_mm256_subs_epu8(v, _mm256_set1_epi8(BUCKETS_BELOW)), 1),
                                _mm256_set1_epi8(0x7f));
    vec n =
        _mm256_max_epu8(length_of_low(half),
                        length_of_high(_mm256_and_si256(_mm256_srli_epi16(half, 4), _mm256_set1_epi8(7))));
    vec symbol = _mm256_add_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(MTH_ULP_DIRECT - 1)), n);
    vec field = _mm256_sub_epi8(v, _mm256_shuffle_epi8(mth_rans_twice(first), symbol)), power = power_of(n);
    struct sums sums = sums_of(n);
    vec one = _mm256_set1_epi16(1), one32 = _mm256_set1_epi32(1);
    vec pairs = _mm256_maddubs_epi16(_mm256_or_si256(_mm256_slli_epi16(power, 8), one), field);
    vec power16 = _mm256_mullo_epi16(_mm256_and_si256(power, _mm256_set1_epi16(MOST_BYTE)),
                                     _mm256_srli_epi16(power, 8));
    vec fours = _mm256_madd_epi16(_mm256_or_si256(_mm256_slli_epi32(power16, 16), one32), pairs);
    vec low32 = _mm256_set1_epi64x(0xffffffff);
    vec upper = _mm256_sllv_epi64(_mm256_srli_epi64(fours, 32), _mm256_and_si256(sums.n32, low32));
    store((uint8_t *)words->bits, _mm256_or_si256(_mm256_and_si256(fours, low32), upper));
    store((uint8_t *)words->n, sums.n64);
    return symbol;
}

ULP_INLINE uint64_t bits_of_words(const struct words *words)
{
    return words->n[0] + words->n[1] + words->n[2] + words->n[3];
}

/* False: there may be no room. */
ULP_INLINE bool put_words(struct mth_ulp_bit_writer *writer, const struct words *words)
{
    uint64_t n_bits = bits_of_words(words), word = 0, at = 0;
    if (writer->end - writer->at < MTH_ULP_FIELDS_ROOM)
        return false;
    if (n_bits > MTH_ULP_FEW_BITS) {
        for (size_t i = 0; i < N_WORDS; i++)
            (void)mth_ulp_put_some(writer, words->bits[i], (unsigned)words->n[i]);
        return true;
    }
    for (size_t i = 0; i < N_WORDS; at += words->n[i], i++)
        word |= words->bits[i] << at;
    (void)mth_ulp_put_some(writer, word, (unsigned)n_bits);
    return true;
}

RANS_TARGET_AVX2 size_t mth_ulp_avx2_split16(const uint8_t *steps, size_t n_groups, uint8_t *symbols,
                                             uint8_t *signs, struct mth_ulp_bit_writer *extra)
{
    struct mth_ulp_bit_writer writer = *extra;
    vec one = _mm256_set1_epi16(1), most = _mm256_set1_epi16(MTH_ULP_DIRECT - 1),
        most_byte = _mm256_set1_epi16(MOST_BYTE);
    size_t g = 0;
    for (; g < n_groups; g++, steps += 2 * VEC_BYTES, symbols += VEC_BYTES, signs += sizeof(uint32_t)) {
        vec a = load(steps), b = load(steps + VEC_BYTES);
        vec down = _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xd8);
        vec v = _mm256_sub_epi16(_mm256_abs_epi16(a), one), w = _mm256_sub_epi16(_mm256_abs_epi16(b), one);
        vec both = _mm256_or_si256(v, w), symbol = pack_words(v, w);
        vec longer = _mm256_cmpgt_epi16(both, most), longest = _mm256_cmpgt_epi16(both, most_byte);
        uint32_t bits = (uint32_t)_mm256_movemask_epi8(down);
        if (!_mm256_testz_si256(longest, longest)) {
            struct mth_ulp_fields fields;
            v = split_half(v, &fields, 0);
            w = split_half(w, &fields, 4);
            symbol = pack_words(v, w);
            if (!mth_ulp_put_fields(&writer, &fields))
                break;
        } else if (!_mm256_testz_si256(longer, longer)) {
            struct words words;
            symbol = split_bytes(symbol, &words);
            if (!put_words(&writer, &words))
                break;
        }
        memcpy(signs, &bits, sizeof bits);
        store(symbols, symbol);
    }
    *extra = writer;
    return g;
}

/* 16 steps of symbols, fields and signs. */
ULP_INLINE vec join_half(vec symbol, __m128i down, const struct mth_ulp_fields *fields, size_t at)
{
    struct widths widths = widths_of(bits_of(symbol));
    vec v =
        _mm256_add_epi16(first_of(symbol), part_fields(load((const uint8_t *)&fields->bits[at]), &widths));
    vec negative = _mm256_cvtepi8_epi16(down), magnitude = _mm256_add_epi16(v, _mm256_set1_epi16(1));
    return _mm256_sub_epi16(_mm256_xor_si256(magnitude, negative), negative);
}

ULP_INLINE void join_group(const uint8_t *symbols, const uint8_t *signs, const struct mth_ulp_fields *fields,
                           uint8_t *steps)
{
    vec symbol = load(symbols);
    uint32_t bits;
    memcpy(&bits, signs, sizeof bits);
    vec down = spread(bits), a = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(symbol)),
        b = _mm256_cvtepu8_epi16(_mm256_extracti128_si256(symbol, 1));
    store(steps, join_half(a, _mm256_castsi256_si128(down), fields, 0));
    store(steps + VEC_BYTES, join_half(b, _mm256_extracti128_si256(down, 1), fields, 4));
}

ULP_INLINE void find_widths(const uint8_t *symbols, struct mth_ulp_fields *fields)
{
    vec symbol = load(symbols);
    struct widths of_a = widths_of(bits_of(_mm256_cvtepu8_epi16(_mm256_castsi256_si128(symbol))));
    struct widths of_b = widths_of(bits_of(_mm256_cvtepu8_epi16(_mm256_extracti128_si256(symbol, 1))));
    store((uint8_t *)&fields->n[0], of_a.all);
    store((uint8_t *)&fields->n[4], of_b.all);
}

/* Fields that begin `at` bits behind `in`, where 8 bytes more than they have are there. */
ULP_INLINE void get_fields_within(const uint8_t *in, uint64_t *at, struct mth_ulp_fields *fields)
{
    enum { AT_ONCE = 57 };
    for (size_t i = 0; i < MTH_ULP_N_FIELDS; i++) {
        uint64_t n = fields->n[i], word;
        unsigned shift = *at % 8;
        memcpy(&word, in + *at / 8, sizeof word);
        word >>= shift;
        if (n > AT_ONCE)
            word |= (uint64_t)in[*at / 8 + sizeof word] << 1 << (63 - shift);
        fields->bits[i] = _bzhi_u64(word, (unsigned)n);
        *at += n;
    }
}

RANS_TARGET_AVX2 size_t mth_ulp_avx2_join16(const uint8_t *symbols, const uint8_t *signs, size_t n_groups,
                                            struct mth_ulp_bit_reader *extra, uint8_t *steps)
{
    struct mth_ulp_bit_reader reader = *extra;
    struct mth_ulp_fields fields[MTH_ULP_FIELDS_BATCH];
    size_t g = 0, n;
    for (; g < n_groups; g += n) {
        bool good = true;
        n = n_groups - g < MTH_ULP_FIELDS_BATCH ? n_groups - g : MTH_ULP_FIELDS_BATCH;
        for (size_t i = 0; i < n; i++)
            find_widths(symbols + (g + i) * VEC_BYTES, &fields[i]);
        if (reader.end - reader.at >= MTH_ULP_FIELDS_BATCH * MTH_ULP_FIELDS_ROOM) {
            uint64_t at = reader.n_used;
            for (size_t i = 0; i < n; i++)
                get_fields_within(reader.at, &at, &fields[i]);
            reader.at += at / 8;
            reader.n_used = at % 8;
        } else {
            for (size_t i = 0; i < n; i++)
                good &= mth_ulp_get_fields(&reader, &fields[i]);
        }
        if (!good)
            break;
        for (size_t i = 0; i < n; i++)
            join_group(symbols + (g + i) * VEC_BYTES, signs + (g + i) * sizeof(uint32_t), &fields[i],
                       steps + 2 * (g + i) * VEC_BYTES);
        *extra = reader;
    }
    return g;
}

#else
typedef int mth_ulp_steps_avx2_is_not_here;
#endif
