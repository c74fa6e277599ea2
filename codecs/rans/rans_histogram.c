/* Counting bytes; see rans_histogram.h. */
#include "codecs/rans/rans_histogram.h"

#include "base/checked.h"

#include <string.h>

enum {
    SAMPLED = 32, /* one byte in this many */
    SAMPLED_THOROUGHLY = 8,
    BLOCK_BYTES = 128, /* that follow each other */
    TABLES = 4         /* the same byte twice in a row would wait for itself in one table */
};

static void count_block(const uint8_t *src, size_t n, uint32_t tables[TABLES][256])
{
    size_t i = 0;
    for (; n - i >= TABLES; i += TABLES) {
        for (size_t k = 0; k < TABLES; k++)
            tables[k][src[i + k]]++;
    }
    for (; i < n; i++)
        tables[0][src[i]]++;
}

/*
 * Where block i of n_blocks begins: somewhere in the i-th of n_blocks equal parts. Rows of a matrix are often as long as
 * a part, so that a fixed place in it would see but a few columns; the place moves by the golden ratio.
 */
static size_t block_at(size_t n, size_t n_blocks, size_t i)
{
    size_t part = n / n_blocks, room = part - BLOCK_BYTES;
    uint32_t place = (uint32_t)i * 2654435769u;
    return i * part + (size_t)((uint64_t)place * room >> 32);
}

void mth_rans_sample_of(const uint8_t *(*read)(void *arg, size_t at, size_t n, uint8_t *room), void *arg,
                        size_t n, bool thorough, struct mth_rans_counts *counts)
{
    uint8_t room[MTH_RANS_MIN_SAMPLE];
    uint32_t tables[TABLES][256];
    memset(tables, 0, sizeof tables);
    counts->exact = n <= MTH_RANS_MIN_SAMPLE;
    counts->n_counted = n;
    if (counts->exact) {
        count_block(read(arg, 0, n, room), n, tables);
    } else {
        size_t n_sampled =
            mth_size_min(mth_size_max(n / (thorough ? SAMPLED_THOROUGHLY : SAMPLED), MTH_RANS_MIN_SAMPLE),
                         MTH_RANS_MAX_SAMPLE);
        size_t n_blocks = n_sampled / BLOCK_BYTES;
        for (size_t i = 0; i < n_blocks; i++)
            count_block(read(arg, block_at(n, n_blocks, i), BLOCK_BYTES, room), BLOCK_BYTES, tables);
        counts->n_counted = n_blocks * BLOCK_BYTES;
    }
    for (size_t v = 0; v < 256; v++)
        counts->n[v] = tables[0][v] + tables[1][v] + tables[2][v] + tables[3][v];
}

static const uint8_t *in_memory(void *arg, size_t at, size_t n, uint8_t *room)
{
    const uint8_t *const *src = arg;
    (void)n;
    (void)room;
    return *src + at;
}

void mth_rans_sample(const uint8_t *src, size_t n, bool thorough, struct mth_rans_counts *counts)
{
    mth_rans_sample_of(in_memory, &src, n, thorough, counts);
}

size_t mth_rans_count_others(const uint8_t *src, size_t n, uint8_t value)
{
    enum { PART = 1 << 12 };
    size_t others = 0;
    for (size_t at = 0; at < n; at += PART) {
        size_t stop = mth_size_min(n, at + PART);
        uint16_t in_part = 0; /* narrow, so that vectors count many at once */
        for (size_t i = at; i < stop; i++)
            in_part = (uint16_t)(in_part + (src[i] != value));
        others += in_part;
    }
    return others;
}

uint8_t mth_rans_most_frequent(const struct mth_rans_counts *counts)
{
    uint32_t most = 0;
    unsigned best = 0;
    for (unsigned v = 0; v < 256; v++)
        most = counts->n[v] > most ? counts->n[v] : most;
    while (counts->n[best] != most)
        best++;
    return (uint8_t)best;
}
