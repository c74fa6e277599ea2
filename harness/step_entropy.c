/* Entropy of steps; see step_entropy.h. */
#include "harness/step_entropy.h"

#include "base/lane.h"

#include <math.h>
#include <stdbool.h>

enum {
    MOST = 127,
    ESCAPE = 2 * MOST + 1,
    N_SYMBOLS = ESCAPE + 1,
    FARTHEST = 3,
    N_DIRECTIONS = 2 * FARTHEST + 1
};

struct mth_step_entropy {
    struct mth_memory *memory;
    const struct mth_dtype_info *info;
    size_t n_rows;                 /* exponents, or those by directions */
    uint32_t (*counts)[N_SYMBOLS]; /* by row; zeros between calls */
    bool *used;                    /* rows that were seen */
};

static size_t n_exponents(const struct mth_dtype_info *info)
{
    return (size_t)1 << info->exponent_bits;
}

struct mth_step_entropy *mth_step_entropy_create(enum mth_dtype dtype, bool directed,
                                                 struct mth_memory *memory)
{
    struct mth_step_entropy *steps = mth_memory_calloc(memory, 1, sizeof *steps);
    if (!steps)
        return NULL;
    steps->memory = memory;
    steps->info = mth_dtype_info(dtype);
    steps->n_rows = n_exponents(steps->info) * (directed ? (size_t)N_DIRECTIONS : 1);
    steps->counts = mth_memory_calloc(memory, steps->n_rows, sizeof *steps->counts);
    steps->used = mth_memory_calloc(memory, steps->n_rows, sizeof *steps->used);
    if (steps->counts && steps->used)
        return steps;
    mth_step_entropy_destroy(steps);
    return NULL;
}

void mth_step_entropy_destroy(struct mth_step_entropy *steps)
{
    if (!steps)
        return;
    mth_memory_free(steps->memory, steps->counts);
    mth_memory_free(steps->memory, steps->used);
    mth_memory_free(steps->memory, steps);
}

/* The difference d modulo 2^bits as a symbol; that of the base and the older one, as far as it is told apart, as a row. */
#define DEFINE_COUNT(bits)                                                                               \
    static void count##bits(struct mth_step_entropy *steps, const uint8_t *data, const uint8_t *base,    \
                            const uint8_t *older, size_t n)                                              \
    {                                                                                                    \
        const unsigned shift = steps->info->mantissa_bits;                                               \
        const size_t mask = n_exponents(steps->info) - 1;                                                \
        const uint##bits##_t top = (uint##bits##_t)(mask ? (uint##bits##_t)1 << (bits - 1) : 0);         \
        const uint##bits##_t turn = (uint##bits##_t)(mask ? ~(uint##bits##_t)0 : 0);                     \
        for (size_t i = 0; i < n; i++) {                                                                 \
            uint##bits##_t x = mth_lane_load##bits(data + i * (bits / 8));                               \
            uint##bits##_t b = mth_lane_load##bits(base + i * (bits / 8));                               \
            size_t row = (size_t)(b >> shift) & mask;                                                    \
            x ^= x & top ? turn : top;                                                                   \
            b ^= b & top ? turn : top;                                                                   \
            uint##bits##_t moved = (uint##bits##_t)(x - b + MOST);                                       \
            if (older) {                                                                                 \
                uint##bits##_t o = mth_lane_load##bits(older + i * (bits / 8));                          \
                o ^= o & top ? turn : top;                                                               \
                uint##bits##_t came = (uint##bits##_t)(b - o), near = (uint##bits##_t)(came + FARTHEST); \
                size_t far = came >> (bits - 1) ? 0 : N_DIRECTIONS - 1;                                  \
                row = row * N_DIRECTIONS + (near < N_DIRECTIONS ? (size_t)near : far);                   \
            }                                                                                            \
            steps->counts[row][moved < ESCAPE ? moved : ESCAPE]++;                                       \
            steps->used[row] = true;                                                                     \
        }                                                                                                \
    }

DEFINE_COUNT(8)
DEFINE_COUNT(16)
DEFINE_COUNT(32)
DEFINE_COUNT(64)

/* The bits of one row's steps; its counts are cleared. */
static double bits_of(uint32_t counts[N_SYMBOLS], unsigned lane_bits)
{
    double n = 0, bits = 0;
    for (size_t s = 0; s < N_SYMBOLS; s++)
        n += counts[s];
    for (size_t s = 0; s < N_SYMBOLS; s++) {
        if (counts[s])
            bits += counts[s] * log2(n / counts[s]);
    }
    bits += (double)counts[ESCAPE] * lane_bits;
    memset(counts, 0, N_SYMBOLS * sizeof *counts);
    return bits;
}

double mth_step_entropy_bits(struct mth_step_entropy *steps, const uint8_t *data, const uint8_t *base,
                             const uint8_t *older, size_t n_bytes)
{
    double bits = 0;
    size_t n = n_bytes / (steps->info->lane_bits / 8);
    switch (steps->info->lane_bits) {
    case 8:
        count8(steps, data, base, older, n);
        break;
    case 16:
        count16(steps, data, base, older, n);
        break;
    case 32:
        count32(steps, data, base, older, n);
        break;
    default:
        count64(steps, data, base, older, n);
    }
    for (size_t r = 0; r < steps->n_rows; r++) {
        if (steps->used[r])
            bits += bits_of(steps->counts[r], steps->info->lane_bits);
        steps->used[r] = false;
    }
    return bits;
}
