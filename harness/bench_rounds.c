/* Rounds over all cells of a case and memcpy, in a seeded random order; see bench_measuring.h. */
#include "harness/bench_measuring.h"

#include "harness/bench_memory.h"
#include "harness/clock.h"

#include <stdlib.h>

/* A cell that has used up its time is content with three samples. */
static bool wants_sample(const struct mth_measuring *m, const struct mth_bench_cell *cell)
{
    return cell->verified && (cell->phases[MTH_PHASE_DECOMPRESS].n_samples < MTH_MIN_SAMPLES ||
                              cell->spent_ns < m->bench->config.cell_seconds * 1e9);
}

/* One sample of every cell that wants one: in memory, and from file to file. */
int mth_measuring_round(struct mth_measuring *m, bool with_files, size_t *order, uint64_t *random)
{
    struct mth_bench_case *at = m->at;
    size_t n_cells = at->n_cells, n_kinds = with_files ? 2 : 1;
    double memcpy_ns = mth_bench_memory_sample(at, &m->ring, m->pool);
    int status = with_files ? mth_bench_files_copy(&m->files, at, m->pool, &m->ring, m->err) : MTH_OK;
    if (status)
        return status;
    mth_random_shuffle(random, order, n_kinds * n_cells);
    for (size_t i = 0; i < n_kinds * n_cells; i++) {
        struct mth_live *live = &m->live[order[i] % n_cells];
        if (!live->wanted || !live->cell->verified)
            continue;
        if (m->bench->config.wait_for_turn && m->bench->config.wait_for_turn("sample"))
            return MTH_ERR_CANCELLED;
        if (live->cell->peer_command)
            status = order[i] < n_cells ? mth_live_sample_peer(m, live, memcpy_ns) : MTH_OK;
        else
            status = order[i] < n_cells ? mth_live_sample(m, live, memcpy_ns)
                                        : mth_live_sample_files(m, live, random);
        if (status == MTH_ERR_CANCELLED)
            return status;
    }
    return MTH_OK;
}

/* Late rounds are left out; the first few only where there is no time at all. */
static bool time_is_up(const struct mth_measuring *m, size_t round, uint64_t now_ns, uint64_t round_ns)
{
    uint64_t stop = m->bench->config.stop_at_ns;
    return stop && round > 0 && (round < MTH_MIN_SAMPLES ? now_ns > stop : now_ns + round_ns > stop);
}

int mth_measuring_rounds(struct mth_measuring *m, mth_bench_progress *progress, void *progress_arg)
{
    struct mth_bench_case *at = m->at;
    uint64_t random = m->bench->config.seed;
    size_t *order = calloc(2 * at->n_cells + 1, sizeof *order);
    int status = order ? mth_measuring_warm_up(m, order, &random, progress, progress_arg) : MTH_ERR_NO_MEMORY;
    uint64_t begin = mth_clock_ns(), last_ns = 0;
    for (size_t round = 0; !status && round < m->bench->config.rounds; round++) {
        uint64_t now = mth_clock_ns();
        last_ns = round ? now - begin : 0;
        begin = now;
        if (time_is_up(m, round, now, last_ns))
            break;
        for (size_t i = 0; i < at->n_cells; i++)
            m->live[i].wanted = wants_sample(m, &at->cells[i]);
        if (progress && progress(progress_arg, at, round, m->bench->config.rounds))
            status = MTH_ERR_CANCELLED;
        else
            status = mth_measuring_round(m, m->files.directory != NULL, order, &random);
    }
    free(order);
    mth_bench_memory_finish(at, m->bench->config.seed);
    mth_summarise(at->file_copy.samples_ns, at->file_copy.n_samples, m->bench->config.seed,
                  &at->file_copy.time);
    return status;
}
