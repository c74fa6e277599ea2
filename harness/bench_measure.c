/*
 * Measuring a case: rounds over all its cells and memcpy, in a seeded random order.
 *
 * The checkpoint lies in a ring of copies that together are four times the last-level cache, touched before the
 * first sample. A sample is some passes over neighbouring copies, each pass from one copy of the input to a frame of
 * its own, or back. Before every sample the caches are swept, so that each pass is a cold one. After every decoding
 * sample all that it restored, into poisoned buffers, is compared with the original by its XXH3-128.
 */
#include "harness/bench.h"

#include "base/checked.h"
#include "base/hash.h"
#include "base/pool.h"
#include "harness/bench_files.h"
#include "harness/bench_memory.h"
#include "harness/bench_peer.h"
#include "harness/bench_resident.h"
#include "harness/bench_ring.h"
#include "harness/bounds.h"
#include "harness/clock.h"
#include "harness/conditions.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_SAMPLES = 3 };

static const double sample_goal_ns = 10e6; /* long beside the timer, short beside a round */

/* The dtype that most bytes have, for the headline and for peers. */
static enum mth_dtype main_dtype(const struct mth_region_map *map)
{
    uint64_t bytes[MTH_N_DTYPES] = {0};
    size_t best = MTH_DTYPE_OPAQUE;
    for (size_t i = 0; i < map->n_regions; i++)
        bytes[map->regions[i].dtype] += map->regions[i].n_bytes;
    for (size_t d = 0; d < MTH_N_DTYPES; d++) {
        if (bytes[d] > bytes[best])
            best = d;
    }
    return (enum mth_dtype)best;
}

/* A cell while it is measured. */
struct live {
    struct mth_bench_cell *cell;
    struct mth_memory *memory[MTH_N_PHASES];
    struct mth_coder *coder[MTH_N_PHASES];
    struct mth_bench_peer *peer; /* instead of the two above */
    uint64_t frame_hash;
    struct mth_digest digest; /* of what must be restored */
    size_t copies[MTH_N_PHASES];
    size_t *frame_bytes; /* of each slot */
    bool wanted;         /* in this round */
};

struct measuring {
    struct mth_bench *bench;
    struct mth_bench_case *at;
    struct mth_error *err;
    struct mth_loaded input;
    struct mth_loaded base;
    struct mth_digest digest;
    struct mth_ring ring;
    struct mth_pool *pool;
    struct mth_memory *parts_memory;
    struct live *live;
    struct mth_bench_files files;
    size_t *frame_bytes; /* scratch shared by all cells, one per slot */
};

static int fail_cell(struct mth_bench_cell *cell, const struct mth_error *err)
{
    cell->verified = false;
    cell->error = *err;
    return err->status;
}

static int encode_slot(struct measuring *m, struct live *live, size_t i, size_t *n_bytes)
{
    struct mth_ring *ring = &m->ring;
    struct mth_error err = {0};
    struct mth_checkpoint input = {mth_ring_slot(ring->raw, ring->raw_bytes, i), &m->input.map};
    struct mth_checkpoint base = {mth_ring_slot(ring->base, ring->base_bytes, i), &m->base.map};
    int status =
        mth_coder_encode(live->coder[MTH_PHASE_COMPRESS], live->cell->pipeline, &input,
                         m->at->base_path ? &base : NULL, mth_ring_slot(ring->frames, ring->frame_bytes, i),
                         ring->frame_bytes, n_bytes, &live->cell->stats, &err);
    return status ? fail_cell(live->cell, &err) : MTH_OK;
}

static int decode_slot(struct measuring *m, struct live *live, size_t i, size_t n_bytes)
{
    struct mth_ring *ring = &m->ring;
    struct mth_error err = {0};
    struct mth_bytes frame = {mth_ring_slot(ring->frames, ring->frame_bytes, i), n_bytes};
    struct mth_bytes base = {mth_ring_slot(ring->base, ring->base_bytes, i), ring->base_bytes};
    int status = mth_coder_decode(live->coder[MTH_PHASE_DECOMPRESS], frame, m->at->base_path ? &base : NULL,
                                  mth_ring_slot(ring->restored, ring->raw_bytes, i), ring->raw_bytes, &err);
    return status ? fail_cell(live->cell, &err) : MTH_OK;
}

static int check_slot(struct measuring *m, struct live *live, size_t i)
{
    struct mth_digest digest =
        mth_hash128(mth_ring_slot(m->ring.restored, m->ring.raw_bytes, i), m->ring.raw_bytes);
    struct mth_error err;
    if (mth_digest_equal(&digest, &live->digest))
        return MTH_OK;
    mth_error_set(&err, MTH_ERR_CHECKSUM, "what was restored is not the original");
    return fail_cell(live->cell, &err);
}

void mth_bench_add_sample(struct mth_bench_cell *cell, enum mth_phase phase, uint64_t wall_ns,
                          uint64_t cpu_ns, size_t copies, double memcpy_ns)
{
    struct mth_phase_result *result = &cell->phases[phase];
    result->samples_ns[result->n_samples] = (double)wall_ns / (double)copies;
    result->memcpy_ns[result->n_samples] = memcpy_ns;
    result->cpu_samples_ns[result->n_samples] = (double)cpu_ns / (double)copies;
    result->n_samples++;
    result->copies = copies;
    cell->spent_ns += (double)wall_ns;
    if (wall_ns < 1000000)
        result->flags |= MTH_CELL_SHORT_SAMPLE;
}

/*
 * A build for scripts/compare_trials.sh is slower than it need be by MTH_PLANTED_PCT percent of what a sample took since
 * begin_cpu_ns; any other build by nothing.
 */
static void plant_slow_down(uint64_t begin_cpu_ns)
{
#ifdef MTH_PLANTED_PCT
    uint64_t now = mth_clock_cpu_ns(), end = now + (now - begin_cpu_ns) * MTH_PLANTED_PCT / 100;
    while (mth_clock_cpu_ns() < end)
        continue;
#else
    (void)begin_cpu_ns;
#endif
}

/* One sample of each phase. */
static int sample_cell(struct measuring *m, struct live *live, double memcpy_ns)
{
    struct mth_ring *ring = &m->ring;
    size_t n_encode = live->copies[MTH_PHASE_COMPRESS], n_decode = live->copies[MTH_PHASE_DECOMPRESS];
    size_t n = mth_size_max(n_encode, n_decode);
    size_t first = mth_ring_take(ring, n);
    int status = MTH_OK;

    mth_ring_sweep(ring);
    uint64_t cpu = mth_clock_cpu_ns(), begin = mth_clock_ns();
    for (size_t i = 0; !status && i < n_encode; i++)
        status = encode_slot(m, live, first + i, &m->frame_bytes[first + i]);
    plant_slow_down(cpu);
    uint64_t wall = mth_clock_ns() - begin;
    cpu = mth_clock_cpu_ns() - cpu;
    if (status)
        return status;
    mth_bench_add_sample(live->cell, MTH_PHASE_COMPRESS, wall, cpu, n_encode, memcpy_ns);

    for (size_t i = n_encode; !status && i < n_decode; i++)
        status = encode_slot(m, live, first + i, &m->frame_bytes[first + i]);
    for (size_t i = 0; !status && i < n; i++) {
        const uint8_t *frame = mth_ring_slot(ring->frames, ring->frame_bytes, first + i);
        if (m->frame_bytes[first + i] != live->cell->stored_bytes ||
            mth_hash64(frame, live->cell->stored_bytes, 0) != live->frame_hash)
            live->cell->phases[MTH_PHASE_COMPRESS].flags |= MTH_CELL_NONDETERMINISTIC;
    }
    if (status)
        return status;
    memset(mth_ring_slot(ring->restored, ring->raw_bytes, first), MTH_RING_POISON,
           n_decode * ring->raw_bytes);
    mth_ring_sweep(ring);
    cpu = mth_clock_cpu_ns();
    begin = mth_clock_ns();
    for (size_t i = 0; !status && i < n_decode; i++)
        status = decode_slot(m, live, first + i, m->frame_bytes[first + i]);
    plant_slow_down(cpu);
    wall = mth_clock_ns() - begin;
    cpu = mth_clock_cpu_ns() - cpu;
    if (status)
        return status;
    mth_bench_add_sample(live->cell, MTH_PHASE_DECOMPRESS, wall, cpu, n_decode, memcpy_ns);
    for (size_t i = 0; !status && i < n_decode; i++)
        status = check_slot(m, live, first + i);
    return status;
}

/* One sample of each kind of pass from file to file. */
static int sample_files(struct measuring *m, struct live *live, uint64_t *random)
{
    struct mth_error err = {0};
    int status = mth_bench_files_sample(&m->files, live->cell, &m->ring, &live->digest, random, &err);
    return status ? fail_cell(live->cell, &err) : MTH_OK;
}

static int sample_peer(struct measuring *m, struct live *live, double memcpy_ns)
{
    struct mth_error err = {0};
    int status = mth_bench_peer_sample(live->peer, live->cell, &m->ring, memcpy_ns, &err);
    return status ? fail_cell(live->cell, &err) : MTH_OK;
}

size_t mth_bench_copies_for(double pass_ns, size_t n_slots)
{
    double n = pass_ns > 0 ? sample_goal_ns / pass_ns + 1 : (double)n_slots;
    return n < (double)n_slots ? (size_t)n : n_slots;
}

int mth_bench_allocate_samples(struct mth_bench_cell *cell, size_t rounds)
{
    for (size_t p = 0; p < MTH_N_PHASES; p++) {
        cell->phases[p].samples_ns = calloc(rounds, sizeof(double));
        cell->phases[p].memcpy_ns = calloc(rounds, sizeof(double));
        cell->phases[p].cpu_samples_ns = calloc(rounds, sizeof(double));
        if (!cell->phases[p].samples_ns || !cell->phases[p].memcpy_ns || !cell->phases[p].cpu_samples_ns)
            return MTH_ERR_NO_MEMORY;
    }
    return MTH_OK;
}

static int prepare_peer(struct measuring *m, struct live *live)
{
    struct mth_error err = {0};
    struct mth_bytes input = {m->input.bytes.data, m->input.bytes.n_bytes};
    struct mth_bytes base = {m->base.bytes.data, m->base.bytes.n_bytes};
    int status = mth_bench_peer_prepare(&m->bench->config, &m->ring, input, m->at->base_path ? &base : NULL,
                                        main_dtype(&m->input.map), live->cell, &live->peer, &err);
    return status ? fail_cell(live->cell, &err) : MTH_OK;
}

/* The pass that verifies is the first of the warm-up. */
void mth_bench_begin_warm_up(struct mth_bench_cell *cell, enum mth_phase phase, double first_ns)
{
    cell->phases[phase].warm_up_ns[0] = first_ns;
    cell->phases[phase].n_warm_up = 1;
    cell->spent_ns += first_ns;
}

/* Set-up, and one pass each way with fresh coders: verifies, warms up, and tells how long a sample should be. */
static int prepare_cell(struct measuring *m, struct live *live)
{
    struct mth_bench_cell *cell = live->cell;
    struct mth_error err = {0};
    double first_ns[MTH_N_PHASES];

    if (m->files.directory && mth_bench_files_prepare(m->bench, cell))
        return MTH_ERR_NO_MEMORY;
    if (mth_bench_allocate_samples(cell, m->bench->config.rounds))
        return MTH_ERR_NO_MEMORY;
    for (size_t p = 0; p < MTH_N_PHASES; p++) {
        live->memory[p] = mth_memory_create(0);
        if (!live->memory[p])
            return MTH_ERR_NO_MEMORY;
        struct mth_coder_config config = {.n_threads = m->at->n_threads,
                                          .chunk_bytes = m->bench->config.chunk_bytes,
                                          .memory = live->memory[p],
                                          .lossy = m->bench->config.lossy};
        uint64_t begin = mth_clock_ns();
        int status = mth_coder_create(&config, &live->coder[p], &err);
        if (status)
            return fail_cell(cell, &err);
        cell->phases[p].setup_ns = (double)(mth_clock_ns() - begin);
    }
    memset(m->ring.restored, MTH_RING_POISON, m->ring.raw_bytes);
    uint64_t begin = mth_clock_ns();
    int status = encode_slot(m, live, 0, &cell->stored_bytes);
    uint64_t middle = mth_clock_ns();
    if (!status)
        status = decode_slot(m, live, 0, cell->stored_bytes);
    uint64_t end = mth_clock_ns();
    /* The library compared with the original what is not lossy, and noted how far the rest is from it; it must stay so. */
    live->digest =
        !status && cell->stats.loss.is_lossy ? mth_hash128(m->ring.restored, m->ring.raw_bytes) : m->digest;
    if (!status)
        status = check_slot(m, live, 0);
    if (status)
        return status;
    live->frame_hash = mth_hash64(m->ring.frames, cell->stored_bytes, 0);
    struct mth_bytes frame = {m->ring.frames, cell->stored_bytes};
    if (m->bench->config.parts && mth_parts_of(frame, &m->input.map, m->parts_memory, &cell->parts, &err))
        return fail_cell(cell, &err);
    first_ns[MTH_PHASE_COMPRESS] = (double)(middle - begin);
    first_ns[MTH_PHASE_DECOMPRESS] = (double)(end - middle);
    for (size_t p = 0; p < MTH_N_PHASES; p++) {
        /* The first pass also makes codec states; what it takes beyond a later one is set-up (see finish_cell). */
        cell->phases[p].setup_ns += first_ns[p];
        live->copies[p] = mth_bench_copies_for(first_ns[p], m->ring.n_slots);
        mth_bench_begin_warm_up(cell, (enum mth_phase)p, first_ns[p]);
    }
    cell->ratio = cell->stored_bytes ? (double)m->ring.raw_bytes / (double)cell->stored_bytes : 0;
    cell->verified = true;
    return MTH_OK;
}

uint32_t mth_bench_phase_flags(const struct mth_phase_result *result, size_t n_threads, bool in_cache)
{
    const struct mth_summary *time = &result->time;
    uint32_t flags = in_cache ? MTH_CELL_IN_CACHE : 0;
    if (result->n_samples < 5)
        flags |= MTH_CELL_FEW_SAMPLES;
    if (time->ci_hi > 1.05 * time->median || time->ci_lo < 0.95 * time->median)
        flags |= MTH_CELL_SPREAD;
    if (result->cpu_ns > 1.1 * (double)n_threads * time->median)
        flags |= MTH_CELL_THREADS;
    return flags;
}

/* scratch: room for as many values as there are rounds. */
static void finish_cell(struct measuring *m, struct live *live, double *scratch)
{
    struct mth_bench_cell *cell = live->cell;
    for (size_t p = 0; p < MTH_N_PHASES; p++) {
        struct mth_phase_result *result = &cell->phases[p];
        size_t n = result->n_samples;
        if (cell->peer_command && !cell->verified && !cell->unsupported)
            result->flags |= MTH_CELL_DISQUALIFIED;
        if (live->memory[p])
            result->heap_peak_bytes = mth_memory_peak(live->memory[p]);
        if (!cell->verified || n == 0)
            continue;
        mth_summarise(result->samples_ns, n, m->bench->config.seed, &result->time);
        memcpy(scratch, result->cpu_samples_ns, n * sizeof *scratch);
        result->cpu_ns = mth_median(scratch, n);
        result->setup_ns =
            result->setup_ns > result->time.median ? result->setup_ns - result->time.median : 0;
        for (size_t i = 0; i < n; i++)
            scratch[i] = 100 * result->memcpy_ns[i] / result->samples_ns[i];
        result->pct_memcpy = mth_median(scratch, n);
        result->flags |= cell->stats.loss.is_lossy ? MTH_CELL_LOSSY : 0;
        uint64_t moved = m->at->raw_bytes + m->at->base_bytes + cell->stored_bytes;
        result->pct_roofline = 100 * mth_bench_memory_roofline_ns(m->at, moved) / result->time.median;
        result->flags |= mth_bench_phase_flags(result, m->at->n_threads, m->at->in_cache);
    }
}

static void close_cell(struct live *live)
{
    mth_bench_peer_close(live->peer);
    for (size_t p = 0; p < MTH_N_PHASES; p++) {
        mth_coder_destroy(live->coder[p]);
        mth_memory_destroy(live->memory[p]);
    }
}

/* A cell that has used up its time is content with three samples. */
static bool wants_sample(const struct measuring *m, const struct mth_bench_cell *cell)
{
    return cell->verified && (cell->phases[MTH_PHASE_DECOMPRESS].n_samples < MIN_SAMPLES ||
                              cell->spent_ns < m->bench->config.cell_seconds * 1e9);
}

/* One sample of every cell that wants one: in memory, and from file to file. */
static int run_round(struct measuring *m, bool with_files, size_t *order, uint64_t *random)
{
    struct mth_bench_case *at = m->at;
    size_t n_cells = at->n_cells, n_kinds = with_files ? 2 : 1;
    double memcpy_ns = mth_bench_memory_sample(at, &m->ring, m->pool);
    int status = with_files ? mth_bench_files_copy(&m->files, at, m->pool, &m->ring, m->err) : MTH_OK;
    if (status)
        return status;
    mth_random_shuffle(random, order, n_kinds * n_cells);
    for (size_t i = 0; i < n_kinds * n_cells; i++) {
        struct live *live = &m->live[order[i] % n_cells];
        if (!live->wanted || !live->cell->verified)
            continue;
        if (m->bench->config.wait_for_turn && m->bench->config.wait_for_turn("sample"))
            return MTH_ERR_CANCELLED;
        if (live->cell->peer_command)
            status = order[i] < n_cells ? sample_peer(m, live, memcpy_ns) : MTH_OK;
        else
            status = order[i] < n_cells ? sample_cell(m, live, memcpy_ns) : sample_files(m, live, random);
        if (status == MTH_ERR_CANCELLED)
            return status;
    }
    return MTH_OK;
}

/* Late rounds are left out; the first few only where there is no time at all. */
static bool time_is_up(const struct measuring *m, size_t round, uint64_t now_ns, uint64_t round_ns)
{
    uint64_t stop = m->bench->config.stop_at_ns;
    return stop && round > 0 && (round < MIN_SAMPLES ? now_ns > stop : now_ns + round_ns > stop);
}

static bool is_settled(const struct mth_bench_cell *cell)
{
    return mth_warm_up_settled(cell->phases[MTH_PHASE_COMPRESS].warm_up_ns,
                               cell->phases[MTH_PHASE_COMPRESS].n_warm_up) &&
           mth_warm_up_settled(cell->phases[MTH_PHASE_DECOMPRESS].warm_up_ns,
                               cell->phases[MTH_PHASE_DECOMPRESS].n_warm_up);
}

static bool wants_warm_up(const struct measuring *m, const struct mth_bench_cell *cell)
{
    return cell->verified && !is_settled(cell) &&
           cell->phases[MTH_PHASE_DECOMPRESS].n_warm_up <= MTH_WARM_UP_MOST &&
           cell->spent_ns < m->bench->config.cell_seconds * 1e9;
}

/* What a round that counts takes beyond one of the warm-up: the caches are swept. 0 where nothing bounds the time. */
static uint64_t round_sweeps_ns(struct measuring *m)
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
static bool leaves_time(const struct measuring *m, uint64_t now_ns, uint64_t round_ns, uint64_t sweeps_ns)
{
    uint64_t stop = m->bench->config.stop_at_ns;
    return !stop || now_ns + round_ns + MIN_SAMPLES * (round_ns + sweeps_ns) <= stop;
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

/*
 * Rounds as those that count, of the cells whose times still fall; only the caches are not swept, which takes longer than all the
 * rest where they are large. Where programs take turns there are none: what is compared there is the faster half of each block.
 */
static int warm_up(struct measuring *m, size_t *order, uint64_t *random, mth_bench_progress *progress,
                   void *progress_arg)
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
            status = run_round(m, false, order, random);
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
            if (!mth_warm_up_settled(result->warm_up_ns, result->n_warm_up))
                result->flags |= MTH_CELL_UNSETTLED;
        }
    }
    return status;
}

static int run_rounds(struct measuring *m, mth_bench_progress *progress, void *progress_arg)
{
    struct mth_bench_case *at = m->at;
    uint64_t random = m->bench->config.seed;
    size_t *order = calloc(2 * at->n_cells + 1, sizeof *order);
    int status = order ? warm_up(m, order, &random, progress, progress_arg) : MTH_ERR_NO_MEMORY;
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
            status = run_round(m, m->files.directory != NULL, order, &random);
    }
    free(order);
    mth_bench_memory_finish(at, m->bench->config.seed);
    mth_summarise(at->file_copy.samples_ns, at->file_copy.n_samples, m->bench->config.seed,
                  &at->file_copy.time);
    return status;
}

static int load_case(struct measuring *m, struct mth_memory *memory, struct mth_error *err)
{
    struct mth_bench_case *at = m->at;
    struct mth_bound bound = {0};
    int status = mth_loaded_open(at->path, at->raw_dtype, memory, &m->input, err);
    if (!status && at->base_path)
        status = mth_loaded_open(at->base_path, at->raw_dtype, memory, &m->base, err);
    if (!status)
        status = mth_bound_compute(&m->input.checkpoint, at->base_path ? &m->base.checkpoint : NULL, &bound);
    if (status)
        return status;
    m->digest = mth_hash128(m->input.bytes.data, m->input.bytes.n_bytes);
    mth_digest_hex(&m->digest, at->hash);
    if (at->base_path) {
        struct mth_digest base = mth_hash128(m->base.bytes.data, m->base.bytes.n_bytes);
        mth_digest_hex(&base, at->base_hash);
    }
    at->raw_bytes = m->input.bytes.n_bytes;
    at->base_bytes = at->base_path ? m->base.bytes.n_bytes : 0;
    at->n_tensors = m->input.map.n_tensors;
    at->main_dtype = mth_dtype_info(main_dtype(&m->input.map))->name;
    at->bound_model = bound.model;
    at->bound_ratio = bound.ratio;
    return MTH_OK;
}

/* The ring, with room in every slot for any frame: the bound is the same for every coder with this chunk size. */
static int build_ring(struct measuring *m, struct mth_memory *memory, struct mth_error *err)
{
    struct mth_coder *coder;
    struct mth_coder_config config = {
        .n_threads = 1, .chunk_bytes = m->bench->config.chunk_bytes, .memory = memory};
    int status = mth_coder_create(&config, &coder, err);
    if (status)
        return status;
    size_t frame_bytes = 0;
    status = mth_coder_bound(coder, &m->input.checkpoint, &frame_bytes);
    mth_coder_destroy(coder);
    if (status)
        return status;
    struct mth_bytes input = {m->input.bytes.data, m->input.bytes.n_bytes};
    struct mth_bytes base = {m->base.bytes.data, m->base.bytes.n_bytes};
    status = mth_ring_build(&m->ring, input, base, frame_bytes, m->bench->config.llc_bytes, &m->at->in_cache);
    m->at->in_cache |= m->bench->config.llc_bytes < m->bench->config.llc_real_bytes;
    m->frame_bytes = calloc(m->ring.n_slots + 1, sizeof *m->frame_bytes);
    return status || m->frame_bytes ? status : MTH_ERR_NO_MEMORY;
}

/* What is measured of a cell apart from the rounds. */
static int measure_beside(struct measuring *m, struct mth_bench_cell *cell)
{
    const struct mth_bench_config *config = &m->bench->config;
    int status = MTH_OK;
    if (!cell->verified || cell->peer_command)
        return MTH_OK;
    if (config->latency && m->at->n_threads == 1)
        status = mth_bench_latency(cell, &m->input.checkpoint, m->at->base_path ? &m->base.checkpoint : NULL,
                                   MTH_LATENCY_CALLS, config->cell_seconds, config->seed, m->err);
    if (!status && config->resident)
        status = mth_resident_measure(m->bench, cell, m->err);
    return status;
}

int mth_bench_measure(struct mth_bench *bench, struct mth_bench_case *at, mth_bench_progress *progress,
                      void *progress_arg, struct mth_error *err)
{
    struct measuring m = {.bench = bench, .at = at, .err = err};
    struct mth_memory *memory = mth_memory_create(0);
    m.live = calloc(at->n_cells + 1, sizeof *m.live);
    double *scratch = calloc(bench->config.rounds + 1, sizeof *scratch);
    int status = memory && m.live && scratch ? MTH_OK : MTH_ERR_NO_MEMORY;
    struct mth_conditions before, after;
    *err = (struct mth_error){0};
    m.parts_memory = memory;
    mth_conditions_read(mth_conditions_root(), &before);
    if (!status)
        status = load_case(&m, memory, err);
    if (!status)
        status = build_ring(&m, memory, err);
    if (!status)
        status = mth_pool_create(at->n_threads, &m.pool);
    if (!status && bench->config.files_directory)
        status = mth_bench_files_open(&m.files, bench, at,
                                      (struct mth_bytes){m.input.bytes.data, m.input.bytes.n_bytes},
                                      (struct mth_bytes){m.base.bytes.data, m.base.bytes.n_bytes}, err);
    if (!status)
        status = mth_bench_memory_prepare(at, bench->config.rounds, &m.ring, m.pool);
    for (size_t i = 0; !status && i < at->n_cells; i++) {
        m.live[i].cell = &at->cells[i];
        if (at->cells[i].unsupported)
            continue;
        if (bench->config.stop_at_ns && i > 0 && mth_clock_ns() > bench->config.stop_at_ns) {
            at->cells[i].unsupported = true;
            mth_error_set(&at->cells[i].error, MTH_ERR_UNSUPPORTED, "the time was up before it was measured");
            continue;
        }
        int prepared =
            at->cells[i].peer_command ? prepare_peer(&m, &m.live[i]) : prepare_cell(&m, &m.live[i]);
        if (prepared == MTH_ERR_NO_MEMORY)
            status = MTH_ERR_NO_MEMORY;
    }
    if (!status)
        status = run_rounds(&m, progress, progress_arg);
    mth_conditions_read(mth_conditions_root(), &after);
    for (size_t i = 0; m.live && i < at->n_cells; i++) {
        for (size_t p = 0; p < MTH_N_PHASES; p++)
            at->cells[i].phases[p].flags |= mth_conditions_flags(&before, &after);
        if (!status)
            finish_cell(&m, &m.live[i], scratch);
        if (!status && m.files.directory && !at->cells[i].unsupported && !at->cells[i].peer_command)
            mth_bench_files_finish(bench, &at->cells[i]);
        close_cell(&m.live[i]);
    }
    mth_bench_files_close(&m.files);
    mth_pool_destroy(m.pool);
    mth_ring_free(&m.ring);
    for (size_t i = 0; !status && i < at->n_cells; i++)
        status = measure_beside(&m, &at->cells[i]);
    free(m.frame_bytes);
    free(m.live);
    free(scratch);
    if (m.base.memory)
        mth_loaded_close(&m.base);
    if (m.input.memory)
        mth_loaded_close(&m.input);
    mth_memory_destroy(memory);
    if (status == MTH_ERR_CANCELLED)
        mth_error_set(err, status, "interrupted; nothing was written");
    else if (status && !err->status)
        mth_error_set(err, status, "%s: %s", at->path, mth_status_text(status));
    return status;
}
