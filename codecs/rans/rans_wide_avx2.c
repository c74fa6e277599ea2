/* The wide mode in AVX2: 8 lanes a vector, entries gathered; see rans_wide.h. */
#include "codecs/rans/rans_shuffles.h"
#include "codecs/rans/rans_wide.h"

#ifdef MTH_RANS_WIDE_HAVE_X86

#include "base/cpu.h"

#include <immintrin.h>

enum {
    VEC_LANES = 8,
    VECS = MTH_RANS_WIDE_LANES / VEC_LANES,
    LEAST_VECS = MTH_RANS_WIDE_KERNEL_LANES / VEC_LANES
};

#define TARGET __attribute__((target("avx2,bmi,bmi2,popcnt")))

/* For each mask of 8 lanes, which of 8 words a lane gets; for a vpermd after a widening load. */
#define BIT(m, i) ((m) >> (i)&1)
#define COUNT(m) \
    (BIT(m, 0) + BIT(m, 1) + BIT(m, 2) + BIT(m, 3) + BIT(m, 4) + BIT(m, 5) + BIT(m, 6) + BIT(m, 7))
#define BELOW(m, i) (uint8_t) COUNT((m) & ((1 << (i)) - 1))
#define ROW(m)                                                                                     \
    {                                                                                              \
        BELOW(m, 0), BELOW(m, 1), BELOW(m, 2), BELOW(m, 3), BELOW(m, 4), BELOW(m, 5), BELOW(m, 6), \
            BELOW(m, 7)                                                                            \
    }
#define ROWS4(m)  ROW(m), ROW((m) + 1), ROW((m) + 2), ROW((m) + 3)
#define ROWS16(m) ROWS4(m), ROWS4((m) + 4), ROWS4((m) + 8), ROWS4((m) + 12)
#define ROWS64(m) ROWS16(m), ROWS16((m) + 16), ROWS16((m) + 32), ROWS16((m) + 48)

static const uint8_t words_of[256][8] = {ROWS64(0), ROWS64(64), ROWS64(128), ROWS64(192)};

/*
 * 8 lanes. States are below 2^31 before and after, so that signed comparison does.
 *
 * Requires  16 readable bytes at in
 */
static inline __attribute__((always_inline)) TARGET const uint8_t *
decode_vec(const struct mth_rans_wide_table *table, __m128i slot_bits, __m256i slot_mask, __m256i *x,
           const uint8_t *in, __m256i *values)
{
    __m256i entries = _mm256_i32gather_epi32((const void *)table->slots, _mm256_and_si256(*x, slot_mask), 4);
    __m256i freq = _mm256_and_si256(_mm256_srli_epi32(entries, MTH_RANS_ENTRY_FREQ_SHIFT),
                                    _mm256_set1_epi32(MTH_RANS_WIDE_SLOTS - 1));
    __m256i y = _mm256_add_epi32(_mm256_mullo_epi32(freq, _mm256_srl_epi32(*x, slot_bits)),
                                 _mm256_srli_epi32(entries, MTH_RANS_ENTRY_RANK_SHIFT));
    __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(MTH_RANS_WIDE_STATE_LOW), y);
    unsigned bits = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(below));
    __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)in));
    words = _mm256_permutevar8x32_epi32(words,
                                        _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)words_of[bits])));
    *values = entries;
    *x = _mm256_blendv_epi8(y, _mm256_or_si256(_mm256_slli_epi32(y, 16), words), below);
    return in + MTH_RANS_WORD_BYTES * (size_t)__builtin_popcount(bits);
}

/* The low bytes of four vectors of 8, in order. */
static inline __attribute__((always_inline)) TARGET __m256i pack_values(const __m256i values[VECS])
{
    __m256i byte = _mm256_set1_epi32(255);
    __m256i a = _mm256_packus_epi32(_mm256_and_si256(values[0], byte), _mm256_and_si256(values[1], byte));
    __m256i b = _mm256_packus_epi32(_mm256_and_si256(values[2], byte), _mm256_and_si256(values[3], byte));
    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* The low bytes of one vector of 8. */
static inline __attribute__((always_inline)) TARGET void store_values(uint8_t *dst, __m256i values)
{
    __m256i words = _mm256_packus_epi32(_mm256_and_si256(values, _mm256_set1_epi32(255)), values);
    __m128i both = _mm_unpacklo_epi64(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storel_epi64((void *)dst, _mm_packus_epi16(both, both));
}

static inline __attribute__((always_inline)) TARGET size_t
decode_some(const struct mth_rans_wide_table *table, struct mth_rans_wide_reader *reader, uint8_t *dst,
            size_t n_steps, size_t n_vecs)
{
    __m128i slot_bits = _mm_cvtsi32_si128(table->slot_bits);
    __m256i slot_mask = _mm256_set1_epi32((1 << table->slot_bits) - 1);
    __m256i x[VECS], values[VECS];
    const uint8_t *in = reader->in, *end = reader->end;
    size_t done = 0, n_lanes = n_vecs * VEC_LANES;
    for (size_t v = 0; v < n_vecs; v++)
        x[v] = _mm256_load_si256((const void *)(reader->lanes.x + VEC_LANES * v));
    /* The last vector reads 16 bytes wherever it stands: at most 16 for each in front of it further on. */
    for (; done < n_steps && (size_t)(end - in) >= n_lanes * MTH_RANS_WORD_BYTES; done++, dst += n_lanes) {
        for (size_t v = 0; v < n_vecs; v++)
            in = decode_vec(table, slot_bits, slot_mask, &x[v], in, &values[v]);
        if (n_vecs == VECS)
            _mm256_storeu_si256((void *)dst, pack_values(values));
        else
            for (size_t v = 0; v < n_vecs; v++)
                store_values(dst + VEC_LANES * v, values[v]);
    }
    for (size_t v = 0; v < n_vecs; v++)
        _mm256_store_si256((void *)(reader->lanes.x + VEC_LANES * v), x[v]);
    reader->in = in;
    return done;
}

TARGET static size_t decode_steps(const struct mth_rans_wide_table *table,
                                  struct mth_rans_wide_reader *reader, uint8_t *dst, size_t n_steps)
{
    return reader->lanes.n_lanes == MTH_RANS_WIDE_LANES
               ? decode_some(table, reader, dst, n_steps, VECS)
               : decode_some(table, reader, dst, n_steps, LEAST_VECS);
}

/* ---- encoding ---- */

/* The reciprocals and the fields of 8 symbols. */
static inline __attribute__((always_inline)) TARGET void
gather_coders(const struct mth_rans_wide_table *table, const uint8_t *src, __m256i *reciprocal,
              __m256i *fields)
{
    __m256i values = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)src));
    /* Coders of values 0, 1, 4, 5 and 2, 3, 6, 7, so that taking words apart within halves gives the order again. */
    __m256i apart = _mm256_permutevar8x32_epi32(values, _mm256_setr_epi32(0, 1, 4, 5, 2, 3, 6, 7));
    __m256i a = _mm256_i32gather_epi64((const void *)table->coders, _mm256_castsi256_si128(apart), 8);
    __m256i b = _mm256_i32gather_epi64((const void *)table->coders, _mm256_extracti128_si256(apart, 1), 8);
    __m256 x = _mm256_castsi256_ps(a), y = _mm256_castsi256_ps(b);
    *reciprocal = _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0x88));
    *fields = _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xdd));
}

/* floor(x / freq) of 8 lanes: even ones and odd ones apart, as products have twice the width. */
static inline __attribute__((always_inline)) TARGET __m256i divide(__m256i x, __m256i reciprocal,
                                                                   __m256i fields)
{
    __m256i shift =
        _mm256_add_epi32(_mm256_srli_epi32(fields, MTH_RANS_CODER_SHIFT_AT), _mm256_set1_epi32(31));
    __m256i even = _mm256_srlv_epi64(_mm256_mul_epu32(x, reciprocal),
                                     _mm256_and_si256(shift, _mm256_set1_epi64x(0xffffffff)));
    __m256i odd =
        _mm256_srlv_epi64(_mm256_mul_epu32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(reciprocal, 32)),
                          _mm256_srli_epi64(shift, 32));
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

/*
 * 8 lanes. States are below 2^31 before and after, so that signed comparison does.
 *
 * Requires  16 writable bytes in front of at
 */
static inline __attribute__((always_inline)) TARGET uint8_t *
encode_vec(const struct mth_rans_wide_table *table, __m128i limit_shift, __m256i n_slots, __m256i *x,
           const uint8_t *src, uint8_t *at)
{
    const __m256i field = _mm256_set1_epi32((1 << MTH_RANS_CODER_FIELD_BITS) - 1);
    __m256i reciprocal, fields;
    gather_coders(table, src, &reciprocal, &fields);
    __m256i freq = _mm256_and_si256(fields, field),
            start = _mm256_and_si256(_mm256_srli_epi32(fields, MTH_RANS_CODER_FIELD_BITS), field);
    __m256i highest = _mm256_sub_epi32(_mm256_sll_epi32(freq, limit_shift), _mm256_set1_epi32(1));
    __m256i above = _mm256_cmpgt_epi32(*x, highest);
    unsigned bits = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(above));
    /* The words of the lanes that are above, in order, end at at; what lies in front of them is written again. */
    __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)mth_rans_compress.first[bits]));
    __m256i words = _mm256_and_si256(_mm256_permutevar8x32_epi32(*x, order), _mm256_set1_epi32(0xffff));
    words = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0xd8);
    _mm_storeu_si128((void *)(at - 8 * MTH_RANS_WORD_BYTES), _mm256_castsi256_si128(words));
    __m256i y = _mm256_blendv_epi8(*x, _mm256_srli_epi32(*x, 16), above);
    __m256i rest = _mm256_mullo_epi32(divide(y, reciprocal, fields), _mm256_sub_epi32(n_slots, freq));
    *x = _mm256_add_epi32(_mm256_add_epi32(y, rest), start);
    return at - MTH_RANS_WORD_BYTES * (size_t)__builtin_popcount(bits);
}

static inline __attribute__((always_inline)) TARGET size_t
encode_some(const struct mth_rans_wide_table *table, struct mth_rans_wide_writer *writer,
            const uint8_t *src_end, size_t n_steps, size_t n_vecs)
{
    __m128i limit_shift = _mm_cvtsi32_si128(31 - table->slot_bits);
    __m256i n_slots = _mm256_set1_epi32(1 << table->slot_bits), x[VECS];
    uint8_t *at = writer->at;
    size_t done = 0, n_lanes = n_vecs * VEC_LANES;
    for (size_t v = 0; v < n_vecs; v++)
        x[v] = _mm256_load_si256((const void *)(writer->lanes.x + VEC_LANES * v));
    /* The last vector writes 16 bytes wherever it stands: at most 16 for each before it further in front. */
    for (; done < n_steps && (size_t)(at - writer->begin) >= n_lanes * MTH_RANS_WORD_BYTES; done++) {
        src_end -= n_lanes;
        for (size_t v = n_vecs; v-- > 0;)
            at = encode_vec(table, limit_shift, n_slots, &x[v], src_end + VEC_LANES * v, at);
    }
    for (size_t v = 0; v < n_vecs; v++)
        _mm256_store_si256((void *)(writer->lanes.x + VEC_LANES * v), x[v]);
    writer->at = at;
    return done;
}

TARGET static size_t encode_steps(const struct mth_rans_wide_table *table,
                                  struct mth_rans_wide_writer *writer, const uint8_t *src_end, size_t n_steps)
{
    return writer->lanes.n_lanes == MTH_RANS_WIDE_LANES
               ? encode_some(table, writer, src_end, n_steps, VECS)
               : encode_some(table, writer, src_end, n_steps, LEAST_VECS);
}

const struct mth_rans_wide_kernels mth_rans_wide_avx2 = {
    .name = "avx2",
    .needs = MTH_CPU_AVX2,
    .decode = decode_steps,
    .encode = encode_steps,
};

#else
typedef int mth_rans_wide_avx2_is_not_here;
#endif
