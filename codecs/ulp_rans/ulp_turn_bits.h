/*
 * Bits of signs to turns and back: three loops over words, for each instruction set that includes this.
 *
 * Before it: TURN_TARGET, the attributes of functions; TURN_GATHER(x, mask), the bits of x that mask names, side by side;
 * TURN_SCATTER(x, mask), the inverse; TURN_COUNT(mask), how many these are.
 */
#include "base/checked.h"

#include <string.h>

#define TURN_INLINE static inline __attribute__((always_inline)) TURN_TARGET

struct bit_writer {
    uint8_t *at;
    uint64_t held;
    unsigned n_held;
};

enum { HALF_BITS = 32 };

/* n <= 32; four bytes are written when they are whole. */
TURN_INLINE void push_bits(struct bit_writer *writer, uint32_t bits, unsigned n)
{
    writer->held |= (uint64_t)bits << writer->n_held;
    writer->n_held += n;
    if (writer->n_held >= HALF_BITS) {
        mth_lane_store32(writer->at, (uint32_t)writer->held);
        writer->at += sizeof(uint32_t);
        writer->held >>= HALF_BITS;
        writer->n_held -= HALF_BITS;
    }
}

TURN_INLINE void end_bits(struct bit_writer *writer)
{
    for (uint64_t held = writer->held, left = writer->n_held + 7; left >= 8; left -= 8, held >>= 8)
        *writer->at++ = (uint8_t)held;
}

struct bit_source {
    const uint8_t *at, *end;
    uint64_t held;
    unsigned n_held;
};

/* n <= 32; zeros behind the end. */
TURN_INLINE uint32_t pull_bits(struct bit_source *source, unsigned n)
{
    for (; source->n_held < n; source->n_held += 8)
        source->held |= (uint64_t)(source->at < source->end ? *source->at++ : 0) << source->n_held;
    uint32_t bits = (uint32_t)(source->held & (((uint64_t)1 << n) - 1));
    source->held >>= n;
    source->n_held -= n;
    return bits;
}

TURN_INLINE uint32_t load_word(const uint8_t *p, size_t n_left_bytes)
{
    uint8_t bytes[sizeof(uint32_t)] = {0};
    if (n_left_bytes >= sizeof bytes)
        return mth_lane_load32(p);
    memcpy(bytes, p, n_left_bytes);
    return mth_lane_load32(bytes);
}

/* Of the last word those elements that there are. */
TURN_INLINE uint32_t valid_at(const struct mth_ulp_turns *turns, size_t j)
{
    size_t n = turns->n_changed - j * MTH_ULP_GROUP;
    return n >= MTH_ULP_GROUP ? UINT32_MAX : (1u << n) - 1;
}

TURN_TARGET static void turned(const struct mth_ulp_turns *turns, const uint8_t *signs)
{
    size_t n_signs = (turns->n_changed + 7) / 8;
    struct bit_writer writer = {.at = (uint8_t *)turns->masks};
    for (size_t j = 0; j < mth_ulp_turn_words(turns->n_changed); j++) {
        uint32_t moved = turns->moved[j], sign = load_word(signs + 4 * j, n_signs - 4 * j);
        push_bits(&writer, TURN_GATHER(sign ^ turns->down[j], moved), TURN_COUNT(moved));
    }
    end_bits(&writer);
}

/* What is written lies behind what was read. */
TURN_TARGET static void plain(const struct mth_ulp_turns *turns, uint8_t *signs)
{
    size_t n_signs = (turns->n_changed + 7) / 8;
    struct bit_writer writer = {.at = signs};
    for (size_t j = 0; j < mth_ulp_turn_words(turns->n_changed); j++) {
        uint32_t still = valid_at(turns, j) & ~turns->moved[j];
        if (still)
            push_bits(&writer, TURN_GATHER(load_word(signs + 4 * j, n_signs - 4 * j), still),
                      TURN_COUNT(still));
    }
    end_bits(&writer);
}

TURN_TARGET static void join(const struct mth_ulp_turns *turns, const uint8_t *plain_signs, uint8_t *signs)
{
    struct bit_source source = {.at = plain_signs,
                                .end = plain_signs + (turns->n_changed - turns->n + 7) / 8};
    size_t next = 0, n_signs = (turns->n_changed + 7) / 8;
    uint64_t held = 0;
    unsigned n_held = 0;
    for (size_t j = 0; j < mth_ulp_turn_words(turns->n_changed); j++) {
        uint32_t moved = turns->moved[j], still = valid_at(turns, j) & ~moved, kept = 0;
        unsigned n_moved = TURN_COUNT(moved);
        uint8_t bytes[sizeof(uint32_t)];
        if (n_held < n_moved) {
            held |= (uint64_t)turns->masks[next++] << n_held;
            n_held += MTH_ULP_GROUP;
        }
        uint32_t sign = TURN_SCATTER((uint32_t)held, moved) ^ turns->down[j];
        held >>= n_moved;
        n_held -= n_moved;
        if (still)
            kept = TURN_SCATTER(pull_bits(&source, TURN_COUNT(still)), still);
        mth_lane_store32(bytes, sign | kept);
        memcpy(signs + 4 * j, bytes, mth_size_min(n_signs - 4 * j, sizeof bytes));
    }
}

#undef TURN_INLINE
