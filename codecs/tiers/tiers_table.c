/* Choosing ranks and pairs; see tiers_table.h. */
#include "codecs/tiers/tiers_table.h"

#include "base/status.h"

#include <string.h>

enum {
    N_VALUES = 256,
    N_TIERS = 2,
    CODE_BITS = 5,
    FLAGS_SHARE = 3, /* flags may pay when one value makes up more than one in so many */
    FAR_SHARE = 512, /* one value in so many gives a value far from the others a rank */
    PLACE_BYTES = 3  /* of a byte without rank: where it is, and what */
};

/* ---- what follows from values and ends ---- */

static void fill_tier(struct mth_tiers_tier *tier, const uint8_t begin[16])
{
    unsigned code = 0;
    memset(tier->pair, 0, sizeof tier->pair);
    for (unsigned a = 0; a < MTH_TIERS_RANKS; a++) {
        tier->offset[a] = (uint8_t)(code - begin[a]);
        for (unsigned b = begin[a]; b < tier->end[a]; b++)
            tier->pair[code++] = (uint8_t)(a | b << 4);
    }
    tier->pair[MTH_TIERS_REST] = MTH_TIERS_REST_PAIR;
}

/* From values and ends all else that decoders need. */
static void finish(struct mth_tiers_table *table)
{
    static const uint8_t none[16] = {0};
    table->value[MTH_TIERS_NO_RANK] = table->value[0];
    fill_tier(&table->tiers[0], none);
    fill_tier(&table->tiers[1], table->tiers[0].end);
}

/* ---- ranks ---- */

static bool in_run(unsigned base, unsigned v)
{
    return (uint8_t)(v - base) < MTH_TIERS_RANKS;
}

/*
 * A run of values as long as there are ranks: of those with the most frequent value, the one that has most of the counted
 * bytes. Values follow each other modulo 256.
 */
static unsigned best_base(const uint32_t counts[N_VALUES], unsigned mode, uint32_t *n_inside)
{
    uint32_t sum = 0;
    unsigned best = (mode + N_VALUES + 1 - MTH_TIERS_RANKS) % N_VALUES;
    for (unsigned i = 0; i < MTH_TIERS_RANKS; i++)
        sum += counts[(best + i) % N_VALUES];
    *n_inside = sum;
    for (unsigned base = best; base != mode; base = (base + 1) % N_VALUES) {
        sum += counts[(base + MTH_TIERS_RANKS) % N_VALUES] - counts[base];
        if (sum > *n_inside) {
            *n_inside = sum;
            best = (base + 1) % N_VALUES;
        }
    }
    return best;
}

/* Values of the run by falling counts, the lower position first among equals. */
static void sort_run(const uint32_t counts[N_VALUES], unsigned base, uint8_t sorted[MTH_TIERS_RANKS])
{
    for (unsigned i = 0; i < MTH_TIERS_RANKS; i++) {
        uint8_t v = (uint8_t)(base + i);
        unsigned k = i;
        for (; k > 0 && counts[sorted[k - 1]] < counts[v]; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = v;
    }
}

/* The most frequent value outside takes the place of the rarest one inside, if that is worth the time it takes. */
static void choose_far(const uint32_t counts[N_VALUES], uint32_t least_gain, struct mth_tiers_table *table)
{
    unsigned far = table->base, k = MTH_TIERS_RANKS - 1;
    uint8_t *value = table->value;
    uint32_t best = counts[value[k]] + least_gain;
    for (unsigned v = 0; v < N_VALUES; v++) {
        if (counts[v] > best && !in_run(table->base, v)) {
            far = v;
            best = counts[v];
        }
    }
    table->has_far = far != table->base;
    if (!table->has_far)
        return;
    table->far = (uint8_t)far;
    for (; k > 0 && counts[value[k - 1]] < counts[far]; k--)
        value[k] = value[k - 1];
    value[k] = (uint8_t)far;
}

static void choose_ranks(const uint32_t counts[N_VALUES], uint32_t n_counted, unsigned mode,
                         struct mth_tiers_table *table)
{
    uint32_t n_inside;
    table->base = (uint8_t)best_base(counts, mode, &n_inside);
    table->far = table->base;
    table->has_far = false;
    sort_run(counts, table->base, table->value);
    if (n_counted - n_inside > n_counted / FAR_SHARE)
        choose_far(counts, n_counted / FAR_SHARE, table);
    memset(table->position_rank, MTH_TIERS_NO_RANK, sizeof table->position_rank);
    for (unsigned r = 0; r < MTH_TIERS_RANKS; r++) {
        if (in_run(table->base, table->value[r]))
            table->position_rank[(uint8_t)(table->value[r] - table->base)] = (uint8_t)r;
        if (table->value[r] == table->far)
            table->far_rank = (uint8_t)r;
    }
}

/* ---- pairs ---- */

static uint32_t next_in_row(const uint32_t count[MTH_TIERS_RANKS], const uint8_t end[16], unsigned a)
{
    unsigned b = end[a];
    return b < MTH_TIERS_RANKS && (a == 0 || b < end[a - 1]) ? count[a] * count[b] : 0;
}

/*
 * The most frequent pairs if neighbours know nothing of each other. Counts fall with the rank, so that the pairs of a lower
 * rank a with a code are those with the first upper ranks, and no more than those of a - 1: the next best pair is the next one
 * of a row, and is no candidate while the row in front is as short.
 */
static void choose_pairs(const uint32_t count[MTH_TIERS_RANKS], const uint8_t begin[16],
                         struct mth_tiers_tier *tier)
{
    uint32_t next[MTH_TIERS_RANKS + 1]; /* how frequent the next pair of a row is; 0: it is no candidate */
    unsigned n_rows = 1;
    memcpy(tier->end, begin, sizeof tier->end);
    while (n_rows < MTH_TIERS_RANKS && tier->end[n_rows - 1])
        n_rows++;
    for (unsigned a = 0; a < n_rows; a++)
        next[a] = next_in_row(count, tier->end, a);
    for (unsigned n = 0; n < MTH_TIERS_PAIRS; n++) {
        unsigned best = 0;
        for (unsigned a = 1; a < n_rows; a++)
            best = next[a] > next[best] ? a : best;
        if (next[best] == 0)
            return;
        tier->end[best]++;
        next[best] = next_in_row(count, tier->end, best);
        if (best + 1 == MTH_TIERS_RANKS)
            continue;
        next[best + 1] = next_in_row(count, tier->end, best + 1);
        n_rows += best + 1 == n_rows;
    }
}

static void build_tiers(const uint32_t count[MTH_TIERS_RANKS], bool has_flags, struct mth_tiers_table *table)
{
    static const uint8_t none[16] = {0}, twice_rank_0[16] = {1};
    table->has_flags = has_flags;
    if (has_flags)
        memcpy(table->tiers[0].end, twice_rank_0, sizeof twice_rank_0);
    else
        choose_pairs(count, none, &table->tiers[0]);
    choose_pairs(count, table->tiers[0].end, &table->tiers[1]);
    finish(table);
}

void mth_tiers_table_build(const uint32_t counts[N_VALUES], uint32_t n_counted, uint8_t mode,
                           struct mth_tiers_table *table)
{
    enum { PRICED = 1 << 20 };
    uint32_t count[MTH_TIERS_RANKS];
    choose_ranks(counts, n_counted, mode, table);
    for (unsigned r = 0; r < MTH_TIERS_RANKS; r++)
        count[r] = counts[table->value[r]];
    build_tiers(count, false, table);
    if (count[0] <= n_counted / FLAGS_SHARE)
        return;
    struct mth_tiers_table other = *table;
    build_tiers(count, true, &other);
    if (mth_tiers_table_price(&other, counts, n_counted, PRICED) <
        mth_tiers_table_price(table, counts, n_counted, PRICED))
        *table = other;
}

uint64_t mth_tiers_table_price(const struct mth_tiers_table *table, const uint32_t counts[N_VALUES],
                               uint32_t n_counted, uint64_t n)
{
    enum { FRACTION_BITS = 16, PAIR_BITS = 8 };
    uint64_t n_ranked = 0, covered[N_TIERS] = {0};
    for (unsigned a = 0; a < MTH_TIERS_RANKS; a++) {
        uint64_t count = counts[table->value[a]];
        n_ranked += count;
        for (unsigned b = 0; b < table->tiers[1].end[a]; b++)
            covered[b >= table->tiers[0].end[a]] += count * counts[table->value[b]];
    }
    /* Counts are at most 2^15: squares 2^30, bits a pair below 2^6 times that. */
    uint64_t square = (uint64_t)n_counted * n_counted, rest = square - covered[0];
    uint64_t bits =
        (table->has_flags ? 1 : CODE_BITS) * square + CODE_BITS * rest + PAIR_BITS * (rest - covered[1]);
    uint64_t per_pair = (bits << FRACTION_BITS) / square;
    per_pair += ((2 * 8 * PLACE_BYTES * (n_counted - n_ranked)) << FRACTION_BITS) / n_counted;
    /* 16 bits are a pair's bytes; per_pair is below 2^23. */
    return n >> 40 ? (n >> (FRACTION_BITS + 4)) * per_pair : n * per_pair >> (FRACTION_BITS + 4);
}

/* ---- bytes ---- */

void mth_tiers_table_write(const struct mth_tiers_table *table, uint8_t wire[MTH_TIERS_WIRE_BYTES])
{
    memcpy(wire, table->value, MTH_TIERS_RANKS);
    for (unsigned a = 0; a < MTH_TIERS_RANKS; a++)
        wire[MTH_TIERS_RANKS + a] = (uint8_t)(table->tiers[0].end[a] | table->tiers[1].end[a] << 4);
}

int mth_tiers_table_read(const uint8_t wire[MTH_TIERS_WIRE_BYTES], bool has_flags,
                         struct mth_tiers_table *table)
{
    unsigned n_pairs[N_TIERS] = {0};
    memset(table, 0, sizeof *table);
    memcpy(table->value, wire, MTH_TIERS_RANKS);
    for (unsigned a = 0; a < MTH_TIERS_RANKS; a++) {
        unsigned first = wire[MTH_TIERS_RANKS + a] & 15u, second = wire[MTH_TIERS_RANKS + a] >> 4;
        if (first > second)
            return MTH_ERR_CORRUPT;
        table->tiers[0].end[a] = (uint8_t)first;
        table->tiers[1].end[a] = (uint8_t)second;
        n_pairs[0] += first;
        n_pairs[1] += second - first;
    }
    table->has_flags = has_flags;
    if (has_flags && (n_pairs[0] != 1 || table->tiers[0].end[0] != 1))
        return MTH_ERR_CORRUPT;
    if (n_pairs[0] > MTH_TIERS_PAIRS || n_pairs[1] > MTH_TIERS_PAIRS)
        return MTH_ERR_CORRUPT;
    finish(table);
    return MTH_OK;
}
