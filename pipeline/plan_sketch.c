/* Sketches of samples; see plan_sketch.h. */
#include "pipeline/plan_sketch.h"

#include "base/checked.h"

#include <string.h>

enum {
    MAX_LOOKED_AT = 1 << 14, /* bytes */
    N_RUNS = 8,              /* that they are in, spread over the sample */
    WINDOW_ELEMS = 256,      /* near one another */
    SLOTS = 1024,            /* of a table of a window's values */
    /* Two numbers are alike when they differ by less than one part in this many of the larger. */
    COLLISION_PARTS = 6,
    DISTINCT_PARTS = 16
};

/* Byte b of the difference. */
static uint8_t byte_at(const struct mth_bytes *src, const struct mth_bytes *reference, size_t b)
{
    return reference->data ? (uint8_t)(src->data[b] ^ reference->data[b]) : src->data[b];
}

struct counting {
    uint16_t planes[MTH_SKETCH_PLANES][256];
    size_t n_elems, n_distinct;
};

/* The elements of one window. */
static void count_window(const struct mth_bytes *src, const struct mth_bytes *reference, size_t begin,
                         size_t n, size_t width, struct counting *counting)
{
    uint64_t values[SLOTS];
    uint8_t used[SLOTS] = {0};
    for (size_t i = 0; i < n; i++) {
        uint64_t value = 0;
        for (size_t b = 0; b < width; b++) {
            uint8_t byte = byte_at(src, reference, begin + i * width + b);
            counting->planes[b][byte]++;
            value |= (uint64_t)byte << 8 * b;
        }
        /* A hash by multiplication, as Knuth has it. */
        size_t at = (size_t)(value * 0x9e3779b97f4a7c15u >> 54);
        while (used[at] && values[at] != value)
            at = (at + 1) % SLOTS;
        counting->n_distinct += !used[at];
        used[at] = 1;
        values[at] = value;
    }
    counting->n_elems += n;
}

void mth_plan_sketch(struct mth_bytes src, struct mth_bytes reference, size_t width,
                     struct mth_plan_sketch *out)
{
    struct counting counting = {.n_elems = 0};
    size_t n_elems = src.n_bytes / width, run = n_elems / N_RUNS,
           n_run = mth_size_min(run, MAX_LOOKED_AT / N_RUNS / width);
    memset(out, 0, sizeof *out);
    for (size_t r = 0; r < N_RUNS; r++) {
        for (size_t done = 0, n; done < n_run; done += n) {
            n = mth_size_min(n_run - done, WINDOW_ELEMS);
            count_window(&src, &reference, (r * run + done) * width, n, width, &counting);
        }
    }
    if (counting.n_elems == 0)
        return;
    uint64_t n_pairs = (uint64_t)counting.n_elems * counting.n_elems;
    for (size_t b = 0; b < width; b++) {
        uint64_t squares = 0;
        for (size_t v = 0; v < 256; v++)
            squares += (uint64_t)counting.planes[b][v] * counting.planes[b][v];
        out->collisions[b] = (uint32_t)((squares << 24) / n_pairs);
    }
    out->distinct = (uint32_t)(((uint64_t)counting.n_distinct << 16) / counting.n_elems);
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
