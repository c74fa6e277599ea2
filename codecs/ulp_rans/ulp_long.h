/*
 * Bits of steps that are mostly long: every element has some, and how many depends on its context.
 *
 * A field is what one element has, at most 31 bits, or what two neighbours have, at most 62: no field is looked at before it goes
 * out, and nothing branches on how long it is.
 */
#ifndef MTH_CODECS_ULP_LONG_H
#define MTH_CODECS_ULP_LONG_H

#include "base/lane.h"
#include "codecs/ulp_rans/ulp_steps.h"

enum {
    MTH_ULP_LONG_BITS = 31, /* of an escape, and the most that a field of one element has */
    /* What 32 fields take at most, and a word that is written behind them. */
    MTH_ULP_LONG_ROOM = MTH_ULP_GROUP * MTH_ULP_LONG_BITS / 8 + 1 + 8,
    /* Read, hostile shifts and symbols may ask for more: 30 and 7 bits. */
    MTH_ULP_LONG_MOST = MTH_ULP_GROUP * (MTH_ULP_LONG_BITS - 1 + 7) / 8 + 1 + 8
};

static inline bool mth_ulp_long_has_room(const struct mth_ulp_bit_writer *writer)
{
    return writer->end - writer->at >= MTH_ULP_LONG_ROOM;
}

/* mth_ulp_put_some where there is room: value < 2^n, n <= 56. All whole bytes go out, whether there are any or not: no branch. */
MTH_ALWAYS_INLINE void mth_ulp_long_put(struct mth_ulp_bit_writer *writer, uint64_t value, unsigned n)
{
    uint64_t held = writer->held | value << writer->n_held;
    unsigned n_held = writer->n_held + n;
    mth_lane_store64(writer->at, held);
    writer->at += n_held / 8;
    writer->held = held >> (n_held & ~7u);
    writer->n_held = n_held & 7;
}

/* Fields of two elements each, of at most 62 bits; few have more than 56. */
MTH_ALWAYS_INLINE void mth_ulp_long_put_pairs(struct mth_ulp_bit_writer *writer,
                                              const uint64_t fields[MTH_ULP_GROUP / 2],
                                              const uint64_t n[MTH_ULP_GROUP / 2])
{
    enum { AT_ONCE = 56, HALF = 32 };
    struct mth_ulp_bit_writer at = *writer; /* in registers */
    for (size_t i = 0; i < MTH_ULP_GROUP / 2; i++) {
        uint64_t field = fields[i], n_bits = n[i];
        if (n_bits > AT_ONCE) {
            mth_ulp_long_put(&at, field & UINT32_MAX, HALF);
            field >>= HALF;
            n_bits -= HALF;
        }
        mth_ulp_long_put(&at, field, (unsigned)n_bits);
    }
    *writer = at;
}

static inline bool mth_ulp_long_has_bits(const struct mth_ulp_bit_reader *reader)
{
    return reader->end - reader->at >= MTH_ULP_LONG_MOST;
}

/* The next n[i] bits for each of a group's elements, and any above them. */
MTH_ALWAYS_INLINE void mth_ulp_long_get(struct mth_ulp_bit_reader *reader, const uint8_t n[MTH_ULP_GROUP],
                                        uint32_t fields[MTH_ULP_GROUP])
{
    size_t bit = reader->n_used;
    for (size_t i = 0; i < MTH_ULP_GROUP; i++) {
        fields[i] = (uint32_t)(mth_lane_load64(reader->at + bit / 8) >> bit % 8);
        bit += n[i];
    }
    reader->at += bit / 8;
    reader->n_used = (unsigned)(bit % 8);
}

/*
 * The same by pairs, each from one word; where some have more than 57 bits, their elements one by one.
 *
 * Shape     n[32]: bits of elements; n_pair[16]: of two
 */
MTH_ALWAYS_INLINE void mth_ulp_long_get_pairs(struct mth_ulp_bit_reader *reader,
                                              const uint32_t n[MTH_ULP_GROUP],
                                              const uint64_t n_pair[MTH_ULP_GROUP / 2], bool is_long,
                                              uint64_t pairs[MTH_ULP_GROUP / 2])
{
    size_t bit = reader->n_used;
    for (size_t i = 0; !is_long && i < MTH_ULP_GROUP / 2; i++) {
        pairs[i] = mth_lane_load64(reader->at + bit / 8) >> bit % 8;
        bit += n_pair[i];
    }
    for (size_t i = 0; is_long && i < MTH_ULP_GROUP / 2; i++) {
        uint64_t first = mth_lane_load64(reader->at + bit / 8) >> bit % 8;
        bit += n[2 * i];
        uint64_t second = mth_lane_load64(reader->at + bit / 8) >> bit % 8;
        bit += n[2 * i + 1];
        pairs[i] = (first & (((uint64_t)1 << n[2 * i]) - 1)) | second << n[2 * i];
    }
    reader->at += bit / 8;
    reader->n_used = (unsigned)(bit % 8);
}

/* As split32 and join32 of ulp_kernels.h. */
#define MTH_DECLARE_ULP_LONG(name)                                                                  \
    size_t mth_ulp_long_split_##name(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *steps,   \
                                     const uint8_t *contexts, size_t n_groups, uint8_t *symbols,    \
                                     uint8_t *signs, struct mth_ulp_bit_writer *extra);             \
    size_t mth_ulp_long_join_##name(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *symbols,  \
                                    const uint8_t *signs, const uint8_t *contexts, size_t n_groups, \
                                    struct mth_ulp_bit_reader *extra, uint8_t *steps);
MTH_DECLARE_ULP_LONG(portable)
#ifdef MTH_RANS_HAVE_X86
MTH_DECLARE_ULP_LONG(avx2)
MTH_DECLARE_ULP_LONG(avx512)
#endif
#undef MTH_DECLARE_ULP_LONG

#endif
