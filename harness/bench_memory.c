/* What memory can do; see bench_memory.h. */
#include "harness/bench_memory.h"

#include "harness/clock.h"

#include <stdlib.h>
#include <string.h>

struct work {
    enum mth_memory_pass pass;
    const uint8_t *from;
    uint8_t *to;
    size_t n_bytes;
    size_t n_threads;
};

/* Where sums go, so that no compiler leaves the reading out. */
static _Atomic uint64_t sink;

/* A loop that compilers turn into one over vectors. */
static uint64_t sum_of(const uint8_t *from, size_t n)
{
    uint64_t sum = 0, word;
    for (size_t i = 0; i < n / sizeof word; i++) {
        memcpy(&word, from + i * sizeof word, sizeof word);
        sum += word;
    }
    for (size_t i = n - n % sizeof word; i < n; i++)
        sum += from[i];
    return sum;
}

static void do_share(void *arg, size_t worker)
{
    const struct work *work = arg;
    size_t share = work->n_bytes / work->n_threads;
    size_t at = worker * share;
    size_t n = worker + 1 == work->n_threads ? work->n_bytes - at : share;
    if (work->pass == MTH_MEMORY_COPY)
        memcpy(work->to + at, work->from + at, n);
    else if (work->pass == MTH_MEMORY_WRITE)
        memset(work->to + at, MTH_RING_POISON, n);
    else
        sink += sum_of(work->from + at, n);
}

/* The next copies of the ring are cold by themselves, unless all three samples do not fit into it. */
static bool must_sweep(const struct mth_bench_case *at, enum mth_memory_pass pass,
                       const struct mth_ring *ring)
{
    size_t n = 0;
    for (size_t p = 0; p < MTH_N_MEMORY_PASSES; p++)
        n += at->memory[p].copies;
    return pass == MTH_MEMORY_COPY || n > ring->n_slots;
}

static double sample(struct mth_bench_case *at, enum mth_memory_pass pass, struct mth_ring *ring,
                     struct mth_pool *pool)
{
    struct mth_phase_result *result = &at->memory[pass];
    size_t n = result->copies, first = mth_ring_take(ring, n);
    struct work work = {.pass = pass,
                        .from = mth_ring_slot(ring->raw, ring->raw_bytes, first),
                        .to = mth_ring_slot(ring->restored, ring->raw_bytes, first),
                        .n_bytes = n * ring->raw_bytes,
                        .n_threads = at->n_threads};
    if (must_sweep(at, pass, ring))
        mth_ring_sweep(ring);
    uint64_t begin = mth_clock_ns();
    mth_pool_run(pool, do_share, &work);
    double ns = (double)(mth_clock_ns() - begin) / (double)n;
    result->samples_ns[result->n_samples++] = ns;
    return ns;
}

int mth_bench_memory_prepare(struct mth_bench_case *at, size_t rounds, struct mth_ring *ring,
                             struct mth_pool *pool)
{
    for (size_t p = 0; p < MTH_N_MEMORY_PASSES; p++) {
        struct mth_phase_result *result = &at->memory[p];
        result->samples_ns = calloc(rounds, sizeof(double));
        if (!result->samples_ns)
            return MTH_ERR_NO_MEMORY;
        result->copies = 1;
        result->copies = mth_bench_copies_for(sample(at, (enum mth_memory_pass)p, ring, pool), ring->n_slots);
        result->n_samples = 0;
    }
    return MTH_OK;
}

double mth_bench_memory_sample(struct mth_bench_case *at, struct mth_ring *ring, struct mth_pool *pool)
{
    double copy_ns = sample(at, MTH_MEMORY_COPY, ring, pool);
    sample(at, MTH_MEMORY_READ, ring, pool);
    sample(at, MTH_MEMORY_WRITE, ring, pool);
    return copy_ns;
}

void mth_bench_memory_finish(struct mth_bench_case *at, uint64_t seed)
{
    for (size_t p = 0; p < MTH_N_MEMORY_PASSES; p++)
        mth_summarise(at->memory[p].samples_ns, at->memory[p].n_samples, seed, &at->memory[p].time);
    at->memcpy_gib_s = mth_gib_s(at->raw_bytes, at->memory[MTH_MEMORY_COPY].time.median);
}

double mth_bench_memory_roofline_ns(const struct mth_bench_case *at, uint64_t n_bytes)
{
    static const double moves[MTH_N_MEMORY_PASSES] = {2, 1, 1}; /* a copy reads a byte and writes it */
    double fastest = 0;                                         /* bytes in a nanosecond */
    for (size_t p = 0; p < MTH_N_MEMORY_PASSES; p++) {
        double ns = at->memory[p].time.median;
        double rate = ns > 0 ? moves[p] * (double)at->raw_bytes / ns : 0;
        fastest = rate > fastest ? rate : fastest;
    }
    return fastest > 0 ? (double)n_bytes / fastest : 0;
}
