/* The kernels of turns in plain C; see ulp_turn_kernels.h. */
#include "codecs/ulp_rans/ulp_turn_kernels.h"

#include "codecs/ulp_rans/ulp_scalar.h"

enum { WORD = MTH_ULP_GROUP };

/* The moves of the networks below: bits that go down by 1, 2, 4, 8, 16 (Warren, Hacker's Delight, 7-4). */
struct moves {
    uint32_t by[5];
};

static struct moves moves_of(uint32_t mask)
{
    struct moves moves;
    uint32_t before = ~mask << 1, left = mask;
    for (unsigned i = 0; i < 5; i++) {
        uint32_t odd = before;
        for (unsigned k = 1; k < WORD; k *= 2)
            odd ^= odd << k;
        moves.by[i] = odd & left;
        left = (left ^ moves.by[i]) | moves.by[i] >> (1u << i);
        before &= ~odd;
    }
    return moves;
}

/* Are the bits of a mask its lowest ones? Then nothing moves: so it is where all elements did, or none. */
static bool is_in_place(uint32_t mask)
{
    return (mask & (mask + 1)) == 0;
}

/* The bits of x that mask names, side by side. */
static uint32_t gather_bits(uint32_t x, uint32_t mask)
{
    x &= mask;
    if (is_in_place(mask))
        return x;
    struct moves moves = moves_of(mask);
    for (unsigned i = 0; i < 5; i++) {
        uint32_t moved = x & moves.by[i];
        x = (x ^ moved) | moved >> (1u << i);
    }
    return x;
}

/* The inverse: the lowest bits of x to where mask names them. */
static uint32_t scatter_bits(uint32_t x, uint32_t mask)
{
    if (is_in_place(mask))
        return x & mask;
    struct moves moves = moves_of(mask);
    for (unsigned i = 5; i-- > 0;) {
        uint32_t moved = x << (1u << i);
        x = (x & ~moves.by[i]) | (moved & moves.by[i]);
    }
    return x & mask;
}

#define TURN_TARGET
#define TURN_GATHER(x, mask)  gather_bits(x, mask)
#define TURN_SCATTER(x, mask) scatter_bits(x, mask)
#define TURN_COUNT(mask)      ((unsigned)__builtin_popcount(mask))
#include "codecs/ulp_rans/ulp_turn_bits.h"

static size_t find(const uint8_t *directions, size_t n_words, uint32_t *moved, uint32_t *down)
{
    size_t n = 0;
    for (size_t j = 0; j < n_words; j++, directions += WORD) {
        uint8_t has_moved[WORD], is_down[WORD];
        for (size_t i = 0; i < WORD; i++) {
            has_moved[i] = (directions[i] & MTH_ULP_DISTANCE) != 0;
            is_down[i] = directions[i] >> 7;
        }
        moved[j] = mth_ulp_mask_of(has_moved);
        down[j] = mth_ulp_mask_of(is_down) & moved[j];
        n += (size_t)__builtin_popcount(moved[j]);
    }
    return n;
}

/* Bins by comparisons with where they begin, so that a compiler makes vectors of them. */
static void contexts(const uint8_t bins[MTH_ULP_CONTEXTS], const uint8_t *directions,
                     const uint8_t *exponents, size_t n_words, uint8_t *out)
{
    enum { N_BOUNDS = MTH_ULP_TURN_BINS - 1 };
    uint8_t bounds[N_BOUNDS];
    memset(bounds, UINT8_MAX, sizeof bounds);
    for (size_t c = 1; c < MTH_ULP_CONTEXTS; c++) {
        if (bins[c] > bins[c - 1])
            bounds[bins[c - 1]] = (uint8_t)c;
    }
    for (size_t i = 0; i < n_words * WORD; i++) {
        uint8_t distance = directions[i] & MTH_ULP_DISTANCE, c = exponents[i];
        uint8_t bin = (uint8_t)((c >= bounds[0]) + (c >= bounds[1]) + (c >= bounds[2]) + (c >= bounds[3]));
        out[i] = (uint8_t)(distance * MTH_ULP_TURN_BINS - MTH_ULP_TURN_BINS + bin);
    }
}

/* Sums take turns, so that equal neighbours do not wait for each other. */
static void count(const uint8_t *of, const uint32_t *masks, size_t n_words,
                  uint32_t counts[MTH_ULP_CONTEXTS][2])
{
    enum { TURNS = 4 };
    uint32_t sums[TURNS][MTH_ULP_CONTEXTS][2] = {{{0}}};
    for (size_t j = 0; j < n_words; j++, of += WORD) {
        uint32_t mask = masks[j];
        for (size_t i = 0; i < WORD; i++, mask >>= 1)
            sums[i % TURNS][of[i]][mask & 1]++;
    }
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        for (size_t k = 0; k < TURNS; k++) {
            counts[c][0] += sums[k][c][0] + sums[k][c][1];
            counts[c][1] += sums[k][c][1];
        }
    }
}

const struct mth_ulp_turn_kernels mth_ulp_turn_portable = {
    .find = find,
    .contexts = contexts,
    .count = count,
    .turned = turned,
    .plain = plain,
    .join = join,
};
