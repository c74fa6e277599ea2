/* Sketches of samples; see plan_sketch.h. */
#include "pipeline/plan_sketch.h"

#include "base/checked.h"
#include "base/lane.h"

#include <string.h>

enum {
    MAX_LOOKED_AT = 1 << 14, /* bytes; */
    MAX_COMPARED = 1 << 12,  /* where there is a reference */
    N_RUNS = 8,              /* that they are in, spread over the sample */
    FEW_RUNS = 2,            /* of a window each */
    WINDOW_ELEMS = 256,      /* near one another */
    HASH_BITS = 14,          /* of a window's values, of which one in 64 at most meets another then */
    TURNS = 2,               /* of tables */
    /* Two numbers are alike when they differ by less than one part in this many of the larger. */
    COLLISION_PARTS = 6,
    DISTINCT_PARTS = 16
};

struct counting {
    uint16_t planes[TURNS][MTH_SKETCH_PLANES]
                   [256]; /* they take turns: equal neighbours do not wait for each other */
    size_t n_elems, n_distinct;
};

/* The elements of one window, a word of them at once: of what is nearly its base, most words are 0. */
MTH_ALWAYS_INLINE void count_window(const uint8_t *src, const uint8_t *reference, size_t n, size_t width,
                                    struct counting *counting)
{
    enum { WORD_BITS = 64 };
    uint64_t seen[(1 << HASH_BITS) / WORD_BITS] = {0},
                                     of_element = width == 8 ? UINT64_MAX : ((uint64_t)1 << 8 * width) - 1;
    size_t n_zeros = 0, n_bytes = n * width, per_word = 8 / width * width;
    for (size_t done = 0; done < n_bytes; done += per_word) {
        size_t n_word = mth_size_min(n_bytes - done, per_word);
        uint64_t word = mth_lane_load_part(src + done, n_word);
        if (reference)
            word ^= mth_lane_load_part(reference + done, n_word);
        if (word == 0) {
            n_zeros += n_word / width;
            continue;
        }
        for (size_t i = 0; i < n_word; i += width) {
            uint64_t value = word >> 8 * i & of_element;
            if (value == 0) {
                n_zeros++;
                continue;
            }
            for (size_t b = 0; b < width; b++)
                counting->planes[i / width % TURNS][b][value >> 8 * b & 255]++;
            /* A hash by multiplication, as Knuth has it. */
            size_t hash = (size_t)(value * 0x9e3779b97f4a7c15u >> (64 - HASH_BITS));
            counting->n_distinct += !(seen[hash / WORD_BITS] >> hash % WORD_BITS & 1);
            seen[hash / WORD_BITS] |= (uint64_t)1 << hash % WORD_BITS;
        }
    }
    for (size_t b = 0; b < width; b++)
        counting->planes[0][b][0] = (uint16_t)(counting->planes[0][b][0] + n_zeros);
    counting->n_distinct += n_zeros > 0;
    counting->n_elems += n;
}

/* The same of elements of 16 bits, which have room for a bit each, without a branch that would be taken by chance. */
static void count_window16(const uint8_t *src, const uint8_t *reference, size_t n, struct counting *counting)
{
    enum { WORD_BITS = 64, PER_WORD = 4 };
    uint64_t seen[(1 << 16) / WORD_BITS] = {0};
    size_t n_zeros = 0, n_distinct = 0;
    for (size_t i = 0; i < n; i += PER_WORD) {
        size_t n_word = mth_size_min(n - i, PER_WORD);
        uint64_t word = mth_lane_load_part(src + 2 * i, 2 * n_word);
        if (reference)
            word ^= mth_lane_load_part(reference + 2 * i, 2 * n_word);
        if (word == 0) {
            n_zeros += n_word;
            continue;
        }
        for (size_t k = 0; k < n_word; k++, word >>= 16) {
            size_t value = word & UINT16_MAX;
            counting->planes[k % TURNS][0][value & 255]++;
            counting->planes[k % TURNS][1][value >> 8]++;
            n_distinct += !(seen[value / WORD_BITS] >> value % WORD_BITS & 1);
            seen[value / WORD_BITS] |= (uint64_t)1 << value % WORD_BITS;
        }
    }
    for (size_t b = 0; b < 2; b++)
        counting->planes[0][b][0] = (uint16_t)(counting->planes[0][b][0] + n_zeros);
    counting->n_distinct += n_distinct + (n_zeros > 0 && !(seen[0] & 1));
    counting->n_elems += n;
}

static void count_elements(const uint8_t *src, const uint8_t *reference, size_t n, size_t width,
                           struct counting *counting)
{
    switch (width) {
    case 1:
        count_window(src, reference, n, 1, counting);
        break;
    case 2:
        count_window16(src, reference, n, counting);
        break;
    case 4:
        count_window(src, reference, n, 4, counting);
        break;
    default:
        count_window(src, reference, n, width, counting);
    }
}

void mth_plan_sketch(struct mth_bytes src, struct mth_bytes reference, size_t width,
                     struct mth_plan_sketch *out)
{
    struct counting counting = {.n_elems = 0};
    size_t n_elems = src.n_bytes / width, run = n_elems / N_RUNS,
           most = reference.data ? MAX_COMPARED : MAX_LOOKED_AT,
           n_run = mth_size_min(run, most / N_RUNS / width);
    memset(out, 0, sizeof *out);
    for (size_t r = 0; r < N_RUNS; r++) {
        for (size_t done = 0, n; done < n_run; done += n) {
            n = mth_size_min(n_run - done, WINDOW_ELEMS);
            size_t at = (r * run + done) * width;
            count_elements(src.data + at, reference.data ? reference.data + at : NULL, n, width, &counting);
        }
    }
    if (counting.n_elems == 0)
        return;
    uint64_t n_pairs = (uint64_t)counting.n_elems * counting.n_elems;
    for (size_t b = 0; b < width; b++) {
        uint64_t squares = 0;
        for (size_t v = 0; v < 256; v++) {
            uint64_t n = (uint64_t)counting.planes[0][b][v] + counting.planes[1][b][v];
            squares += n * n;
        }
        out->collisions[b] = (uint32_t)((squares << 24) / n_pairs);
    }
    out->distinct = (uint32_t)(((uint64_t)counting.n_distinct << 16) / counting.n_elems);
}

bool mth_plan_varies16(struct mth_bytes src)
{
    struct counting counting = {.n_elems = 0};
    size_t run = src.n_bytes / 2 / FEW_RUNS, n = mth_size_min(run, WINDOW_ELEMS);
    for (size_t r = 0; r < FEW_RUNS; r++)
        count_window16(src.data + r * run * 2, NULL, n, &counting);
    return counting.n_distinct * 2 > counting.n_elems;
}

static bool alike(uint32_t a, uint32_t b, uint32_t parts)
{
    uint32_t larger = a > b ? a : b, smaller = a > b ? b : a;
    return larger - smaller <= larger / parts;
}

bool mth_plan_sketches_match(const struct mth_plan_sketch *a, const struct mth_plan_sketch *b)
{
    for (size_t i = 0; i < MTH_SKETCH_PLANES; i++) {
        if (!alike(a->collisions[i], b->collisions[i], COLLISION_PARTS))
            return false;
    }
    return alike(a->distinct, b->distinct, DISTINCT_PARTS);
}
