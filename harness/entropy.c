/* Counting symbols; see entropy.h. */
#include "harness/entropy.h"

#include "base/checked.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/*
 * Runs of equal symbols would make every increment wait for the one before (a store and a load of the same
 * word, some five cycles), so that neighbouring lanes count in tables of their own.
 */
enum { N_TABLES = 4, MAX_EXPONENTS = 1 << 11, PIECE_BITS = 12, MAX_PIECES = 5 };

struct mth_entropy_counter {
    struct mth_memory *memory;
    const struct mth_dtype_info *dtype;
    unsigned parts;
    size_t lane_bytes;
    uint64_t n_lanes;
    uint64_t n_changed;
    uint64_t sign[2];
    uint64_t exponent[N_TABLES * MAX_EXPONENTS]; /* [table][symbol], as many symbols as the dtype has */
    uint64_t planes[MTH_ENTROPY_MAX_PLANES][N_TABLES][256];
    uint64_t xor_planes[MTH_ENTROPY_MAX_PLANES][N_TABLES][256];
    uint64_t mantissa[MAX_PIECES][1 << PIECE_BITS];
};

struct mth_entropy_counter *mth_entropy_counter_create(enum mth_dtype dtype, unsigned parts,
                                                       struct mth_memory *memory)
{
    struct mth_entropy_counter *counter = mth_memory_alloc(memory, sizeof *counter);
    if (!counter)
        return NULL;
    counter->memory = memory;
    counter->dtype = mth_dtype_info(dtype);
    counter->lane_bytes = mth_dtype_lane_bytes(dtype);
    counter->parts = parts;
    if (counter->dtype->exponent_bits == 0)
        counter->parts &= ~(unsigned)(MTH_ENTROPY_EXPONENT | MTH_ENTROPY_FIELDS);
    mth_entropy_counter_reset(counter);
    return counter;
}

void mth_entropy_counter_destroy(struct mth_entropy_counter *counter)
{
    if (counter)
        mth_memory_free(counter->memory, counter);
}

/* Clears only what is in use: there may be a tensor a kilobyte. */
void mth_entropy_counter_reset(struct mth_entropy_counter *counter)
{
    counter->n_lanes = counter->n_changed = 0;
    if (counter->parts & MTH_ENTROPY_EXPONENT)
        memset(counter->exponent, 0, (sizeof(uint64_t) * N_TABLES) << counter->dtype->exponent_bits);
    if (counter->parts & MTH_ENTROPY_FIELDS) {
        memset(counter->sign, 0, sizeof counter->sign);
        memset(counter->mantissa, 0, sizeof counter->mantissa);
    }
    if (counter->parts & MTH_ENTROPY_PLANES)
        memset(counter->planes, 0, counter->lane_bytes * sizeof counter->planes[0]);
    if (counter->parts & MTH_ENTROPY_XOR)
        memset(counter->xor_planes, 0, counter->lane_bytes * sizeof counter->xor_planes[0]);
}

/* A constant width lets the compiler make one load of it. */
static inline uint64_t load_lane(const uint8_t *p, size_t lane_bytes)
{
    switch (lane_bytes) {
    case 1:
        return p[0];
    case 2:
        return mth_load16(p);
    case 4:
        return mth_load32(p);
    default:
        return mth_load64(p);
    }
}

static inline void count_exponents(struct mth_entropy_counter *counter, const uint8_t *data, size_t n,
                                   size_t lane_bytes)
{
    unsigned shift = counter->dtype->mantissa_bits, bits = counter->dtype->exponent_bits;
    uint64_t mask = (UINT64_C(1) << bits) - 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t exponent = load_lane(data + i * lane_bytes, lane_bytes) >> shift & mask;
        counter->exponent[(i % N_TABLES << bits) + exponent]++;
    }
}

static inline void count_fields(struct mth_entropy_counter *counter, const uint8_t *data, size_t n,
                                size_t lane_bytes)
{
    unsigned bits = counter->dtype->mantissa_bits, sign_at = bits + counter->dtype->exponent_bits;
    for (size_t i = 0; i < n; i++) {
        uint64_t lane = load_lane(data + i * lane_bytes, lane_bytes);
        counter->sign[lane >> sign_at & 1]++;
        unsigned left = bits;
        for (size_t piece = 0; left > 0; piece++) {
            unsigned taken = left < PIECE_BITS ? left : PIECE_BITS;
            left -= taken;
            counter->mantissa[piece][lane >> left & ((1u << taken) - 1)]++;
        }
    }
}

static inline void count_planes(uint64_t tables[MTH_ENTROPY_MAX_PLANES][N_TABLES][256], uint64_t *n_changed,
                                const uint8_t *data, const uint8_t *base, size_t n, size_t lane_bytes)
{
    uint64_t changed = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t lane = load_lane(data + i * lane_bytes, lane_bytes);
        if (base)
            lane ^= load_lane(base + i * lane_bytes, lane_bytes);
        changed += lane != 0;
        for (size_t plane = 0; plane < lane_bytes; plane++)
            tables[plane][i % N_TABLES][lane >> 8 * plane & 0xff]++;
    }
    if (n_changed)
        *n_changed += changed;
}

static inline void count_lanes(struct mth_entropy_counter *counter, const uint8_t *data, const uint8_t *base,
                               size_t n, size_t lane_bytes)
{
    if (counter->parts & MTH_ENTROPY_EXPONENT)
        count_exponents(counter, data, n, lane_bytes);
    if (counter->parts & MTH_ENTROPY_FIELDS)
        count_fields(counter, data, n, lane_bytes);
    if (counter->parts & MTH_ENTROPY_PLANES)
        count_planes(counter->planes, NULL, data, NULL, n, lane_bytes);
    if (counter->parts & MTH_ENTROPY_XOR)
        count_planes(counter->xor_planes, &counter->n_changed, data, base, n, lane_bytes);
}

void mth_entropy_count(struct mth_entropy_counter *counter, const uint8_t *data, const uint8_t *base,
                       size_t n_bytes)
{
    size_t n = n_bytes / counter->lane_bytes;
    counter->n_lanes += n;
    switch (counter->lane_bytes) {
    case 1:
        count_lanes(counter, data, base, n, 1);
        break;
    case 2:
        count_lanes(counter, data, base, n, 2);
        break;
    case 4:
        count_lanes(counter, data, base, n, 4);
        break;
    default:
        count_lanes(counter, data, base, n, 8);
        break;
    }
}

/* Bits a symbol, from n_tables tables of n_symbols counts each. distinct may be NULL. */
static double entropy_of(const uint64_t *counts, size_t n_tables, size_t n_symbols, unsigned *distinct)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n_tables * n_symbols; i++)
        total += counts[i];
    double bits = 0;
    unsigned n_distinct = 0;
    for (size_t symbol = 0; symbol < n_symbols; symbol++) {
        uint64_t count = 0;
        for (size_t table = 0; table < n_tables; table++)
            count += counts[table * n_symbols + symbol];
        if (count == 0)
            continue;
        n_distinct++;
        /* total == count has a logarithm of exactly 0. */
        bits += (double)count * log2((double)total / (double)count);
    }
    if (distinct)
        *distinct = n_distinct;
    return total ? bits / (double)total : 0;
}

void mth_entropy_result(const struct mth_entropy_counter *counter, struct mth_entropy *out)
{
    *out = (struct mth_entropy){
        .n_lanes = counter->n_lanes, .n_changed = counter->n_changed, .n_planes = counter->lane_bytes};
    if (counter->parts & MTH_ENTROPY_EXPONENT)
        out->exponent = entropy_of(counter->exponent, N_TABLES, (size_t)1 << counter->dtype->exponent_bits,
                                   &out->n_exponents);
    if (counter->parts & MTH_ENTROPY_FIELDS) {
        out->sign = entropy_of(counter->sign, 1, 2, NULL);
        for (size_t piece = 0; piece * PIECE_BITS < counter->dtype->mantissa_bits; piece++)
            out->mantissa += entropy_of(counter->mantissa[piece], 1, (size_t)1 << PIECE_BITS, NULL);
    }
    for (size_t plane = 0; plane < counter->lane_bytes; plane++) {
        if (counter->parts & MTH_ENTROPY_PLANES)
            out->planes[plane] = entropy_of(counter->planes[plane][0], N_TABLES, 256, NULL);
        if (counter->parts & MTH_ENTROPY_XOR)
            out->xor_planes[plane] = entropy_of(counter->xor_planes[plane][0], N_TABLES, 256, NULL);
    }
}
