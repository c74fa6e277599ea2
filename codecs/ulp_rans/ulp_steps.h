/* Steps of 16 bits to symbols, signs and bits, and back, by vectors: what their files share, and what kernel sets take from them. */
#ifndef MTH_CODECS_ULP_STEPS_H
#define MTH_CODECS_ULP_STEPS_H

#include "codecs/ulp_rans/ulp_kernels.h"

/* By symbol: the first u that it stands for, 0 for the escape; how many bits follow in lanes of 16 bits, and of 32 behind the shift. */
#define MTH_ULP_FIRST_OF_SYMBOL     0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 14, 22, 38, 70, 134, 0
#define MTH_ULP_BITS_OF_SYMBOL      0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 15
#define MTH_ULP_BITS_OF_LONG_SYMBOL 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 31
#define MTH_ULP_FIRST_OF_THE_ESCAPE 262

/*
 * Bits of a group, joined by four elements: what a vector makes of fields of one element each, and takes apart.
 *
 * Requires  at most 60 bits a field
 */
enum {
    MTH_ULP_N_FIELDS = MTH_ULP_GROUP / 4,
    MTH_ULP_FIELDS_ROOM = MTH_ULP_GROUP * 2 + 16,
    MTH_ULP_FEW_BITS = 56 /* go in and out at once */
};

struct mth_ulp_fields {
    uint64_t bits[MTH_ULP_N_FIELDS], n[MTH_ULP_N_FIELDS];
};

static inline uint64_t mth_ulp_fields_bits(const struct mth_ulp_fields *fields)
{
    uint64_t n = 0;
    for (size_t i = 0; i < MTH_ULP_N_FIELDS; i++)
        n += fields->n[i];
    return n;
}

/* Fields that have no bits are 0. False: there may be no room for all, and none were written. */
MTH_ALWAYS_INLINE bool mth_ulp_put_fields(struct mth_ulp_bit_writer *writer,
                                          const struct mth_ulp_fields *fields)
{
    uint64_t n_bits = mth_ulp_fields_bits(fields), word = 0, at = 0;
    if (writer->end - writer->at < MTH_ULP_FIELDS_ROOM)
        return false;
    if (n_bits > MTH_ULP_FEW_BITS) {
        for (size_t i = 0; i < MTH_ULP_N_FIELDS; i++)
            (void)mth_ulp_put_bits(writer, fields->bits[i], (unsigned)fields->n[i]);
        return true;
    }
    for (size_t i = 0; i < MTH_ULP_N_FIELDS; at += fields->n[i], i++)
        word |= fields->bits[i] << at;
    (void)mth_ulp_put_some(writer, word, (unsigned)n_bits);
    return true;
}

/* False: there are not so many bits. */
MTH_ALWAYS_INLINE bool mth_ulp_get_fields(struct mth_ulp_bit_reader *reader, struct mth_ulp_fields *fields)
{
    uint64_t n_bits = mth_ulp_fields_bits(fields), word;
    bool good = true;
    if (n_bits > MTH_ULP_FEW_BITS) {
        for (size_t i = 0; i < MTH_ULP_N_FIELDS; i++)
            good &= mth_ulp_get_bits(reader, (unsigned)fields->n[i], &fields->bits[i]);
        return good;
    }
    good = mth_ulp_get_bits(reader, (unsigned)n_bits, &word);
    for (size_t i = 0; i < MTH_ULP_N_FIELDS; word >>= fields->n[i], i++)
        fields->bits[i] = word & (((uint64_t)1 << fields->n[i]) - 1);
    return good;
}

/*
 * Groups whose fields are read before any is looked at, and made before any goes out: a vector that is loaded right behind the
 * stores of its parts waits for them, and compilers take a vector apart lane by lane rather than load what it was stored to.
 */
enum { MTH_ULP_FIELDS_BATCH = 8 };

/* split16 and join16 of the kernel sets; see ulp_kernels.h. */
#define MTH_ULP_DECLARE_STEPS(set)                                                                          \
    size_t mth_ulp_##set##_split16(const uint8_t *steps, size_t n_groups, uint8_t *symbols, uint8_t *signs, \
                                   struct mth_ulp_bit_writer *extra);                                       \
    size_t mth_ulp_##set##_join16(const uint8_t *symbols, const uint8_t *signs, size_t n_groups,            \
                                  struct mth_ulp_bit_reader *extra, uint8_t *steps);

MTH_ULP_DECLARE_STEPS(portable)
MTH_ULP_DECLARE_STEPS(avx2)
MTH_ULP_DECLARE_STEPS(avx512)

#endif
