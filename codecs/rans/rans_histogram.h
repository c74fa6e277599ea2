/* Counting bytes: all of them, or a sample that every machine takes from the same places. */
#ifndef MTH_CODECS_RANS_HISTOGRAM_H
#define MTH_CODECS_RANS_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* A sample is 1/32 of the bytes, or 1/8, but 4 Ki at least and 32 Ki at most. */
    MTH_RANS_MIN_SAMPLE = 1 << 12,
    MTH_RANS_MAX_SAMPLE = 1 << 15
};

struct mth_rans_counts {
    uint32_t n[256];
    size_t n_counted; /* at most MTH_RANS_MAX_SAMPLE */
    bool exact;       /* every byte was counted */
};

/*
 * Count a sample of a stream of n bytes: everything up to MTH_RANS_MIN_SAMPLE bytes, else blocks spread over it.
 *
 * Shape     read: called for each range of the sample, at most MTH_RANS_MIN_SAMPLE bytes; returns where they are, which may
 *           be room, MTH_RANS_MIN_SAMPLE bytes; thorough: a sample of 1/8 instead of 1/32, within the same limits
 * Requires  1 <= n
 * Cost      about 0.4 ns a byte of the sample
 */
void mth_rans_sample_of(const uint8_t *(*read)(void *arg, size_t at, size_t n, uint8_t *room), void *arg,
                        size_t n, bool thorough, struct mth_rans_counts *counts);
/* The same of bytes in memory. */
void mth_rans_sample(const uint8_t *src, size_t n, bool thorough, struct mth_rans_counts *counts);

/* The lowest of the values that were counted most often. */
uint8_t mth_rans_most_frequent(const struct mth_rans_counts *counts);

/* How many bytes differ from value. */
size_t mth_rans_count_others(const uint8_t *src, size_t n, uint8_t value);

#endif
