/*
 * When a cell is warm, and the rounds until it is; see bench.h and bench_measuring.h. Pages, codec states and the processor's
 * frequency settle in the first passes.
 */
#include "harness/bench_measuring.h"

#include "harness/bench_memory.h"
#include "harness/clock.h"

enum { MIN_PASSES = 3 };

bool mth_warm_up_settled(const double *passes_ns, size_t n)
{
    if (n < MIN_PASSES)
        return false;
    double fastest = passes_ns[0];
    for (size_t i = 1; i + 2 < n; i++)
        fastest = passes_ns[i] < fastest ? passes_ns[i] : fastest;
    for (size_t i = n - 2; i < n; i++) {
        if (passes_ns[i] < 0.95 * fastest)
            return false;
        fastest = passes_ns[i] < fastest ? passes_ns[i] : fastest;
    }
    return true;
}

static bool is_settled(const struct mth_bench_cell *cell)
{
    return mth_warm_up_settled(cell->phases[MTH_PHASE_COMPRESS].warm_up_ns,
                               cell->phases[MTH_PHASE_COMPRESS].n_warm_up) &&
           mth_warm_up_settled(cell->phases[MTH_PHASE_DECOMPRESS].warm_up_ns,
                               cell->phases[MTH_PHASE_DECOMPRESS].n_warm_up);
}

static bool wants_warm_up(const struct mth_measuring *m, const struct mth_bench_cell *cell)
{
    return cell->verified && !is_settled(cell) &&
           cell->phases[MTH_PHASE_DECOMPRESS].n_warm_up <= MTH_WARM_UP_MOST &&
           cell->spent_ns < m->bench->config.cell_seconds * 1e9;
}

/* What a round that counts takes beyond one of the warm-up: the caches are swept. 0 where nothing bounds the time. */
static uint64_t round_sweeps_ns(struct mth_measuring *m)
{
    if (!m->bench->config.stop_at_ns)
        return 0;
    uint64_t begin = mth_clock_ns();
    mth_ring_sweep(&m->ring);
    return (mth_clock_ns() - begin) * (MTH_N_PHASES * m->at->n_cells + MTH_N_MEMORY_PASSES);
}

/* What a round takes at least, by the passes that verified. */
static uint64_t verifying_ns(const struct mth_bench_case *at)
{
    double sum_ns = 0;
    for (size_t i = 0; i < at->n_cells; i++) {
        for (size_t p = 0; p < MTH_N_PHASES; p++)
            sum_ns += at->cells[i].phases[p].n_warm_up > 0 ? at->cells[i].phases[p].warm_up_ns[0] : 0;
    }
    return (uint64_t)sum_ns;
}

/* A round of the warm-up leaves the time that the first few that count will take. */
static bool leaves_time(const struct mth_measuring *m, uint64_t now_ns, uint64_t round_ns, uint64_t sweeps_ns)
{
    uint64_t stop = m->bench->config.stop_at_ns;
    return !stop || now_ns + round_ns + MTH_MIN_SAMPLES * (round_ns + sweeps_ns) <= stop;
}

/* Samples become passes of the warm-up: they stay in the row, and count for nothing. */
static void keep_warm_up(struct mth_bench_cell *cell)
{
    for (size_t p = 0; p < MTH_N_PHASES; p++) {
        struct mth_phase_result *result = &cell->phases[p];
        if (result->n_samples > 0)
            result->warm_up_ns[result->n_warm_up++] = result->samples_ns[0];
        result->n_samples = 0;
        result->flags &= ~(uint32_t)MTH_CELL_SHORT_SAMPLE;
    }
}
int mth_measuring_warm_up(struct mth_measuring *m, size_t *order, uint64_t *random,
                          mth_bench_progress *progress, void *progress_arg)
{
    struct mth_bench_case *at = m->at;
    bool wanted = !m->bench->config.wait_for_turn;
    size_t sweep_bytes = m->ring.sweep_bytes;
    int status = MTH_OK;
    uint64_t sweeps_ns = round_sweeps_ns(m), begin = mth_clock_ns(), last_ns = verifying_ns(at);
    m->ring.sweep_bytes = 0;
    while (!status && wanted && leaves_time(m, begin, last_ns, sweeps_ns)) {
        wanted = false;
        for (size_t i = 0; i < at->n_cells; i++) {
            m->live[i].wanted = wants_warm_up(m, &at->cells[i]);
            wanted |= m->live[i].wanted;
        }
        if (wanted && progress && progress(progress_arg, at, 0, m->bench->config.rounds))
            status = MTH_ERR_CANCELLED;
        else if (wanted)
            status = mth_measuring_round(m, false, order, random);
        for (size_t i = 0; i < at->n_cells; i++)
            keep_warm_up(&at->cells[i]);
        for (size_t p = 0; p < MTH_N_MEMORY_PASSES; p++)
            at->memory[p].n_samples = 0;
        uint64_t now = mth_clock_ns();
        last_ns = now - begin;
        begin = now;
    }
    m->ring.sweep_bytes = sweep_bytes;
    for (size_t i = 0; i < at->n_cells; i++) {
        at->cells[i].spent_ns = 0;
        for (size_t p = 0; p < MTH_N_PHASES; p++) {
            struct mth_phase_result *result = &at->cells[i].phases[p];
            if (at->cells[i].verified && !mth_warm_up_settled(result->warm_up_ns, result->n_warm_up))
                result->flags |= MTH_CELL_UNSETTLED;
        }
    }
    return status;
}
