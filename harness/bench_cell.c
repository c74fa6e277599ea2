/*
 * A cell while it is measured: samples, each some passes over neighbouring copies of the checkpoint, every pass from one copy to a
 * frame of its own, or back. Before every sample the caches are swept, so that each pass is a cold one. After every decoding
 * sample all that it restored, into poisoned buffers, is compared with the original by its XXH3-128.
 */
#include "harness/bench_measuring.h"

#include "base/checked.h"
#include "harness/bench_memory.h"
#include "harness/clock.h"

#include <stdlib.h>
#include <string.h>

static const double sample_goal_ns = 10e6; /* long beside the timer, short beside a round */

static int fail_cell(struct mth_bench_cell *cell, const struct mth_error *err)
{
    cell->verified = false;
    cell->error = *err;
    return err->status;
}

static int encode_slot(struct mth_measuring *m, struct mth_live *live, size_t i, size_t *n_bytes)
{
    struct mth_ring *ring = &m->ring;
    struct mth_error err = {0};
    struct mth_checkpoint input = {mth_ring_slot(ring->raw, ring->raw_bytes, i), &m->input.map};
    struct mth_checkpoint bases[MTH_RING_BASES];
    for (size_t k = 0; k < m->n_bases; k++)
        bases[k] = (struct mth_checkpoint){mth_ring_base(ring, k, i).data, &m->bases[k].map};
    int status = mth_coder_encode(live->coder[MTH_PHASE_COMPRESS], live->cell->pipeline, &input, bases,
                                  m->n_bases, mth_ring_slot(ring->frames, ring->frame_bytes, i),
                                  ring->frame_bytes, n_bytes, &live->cell->stats, &err);
    return status ? fail_cell(live->cell, &err) : MTH_OK;
}

static int decode_slot(struct mth_measuring *m, struct mth_live *live, size_t i, size_t n_bytes)
{
    struct mth_ring *ring = &m->ring;
    struct mth_error err = {0};
    struct mth_bytes frame = {mth_ring_slot(ring->frames, ring->frame_bytes, i), n_bytes};
    const struct mth_bytes bases[MTH_RING_BASES] = {mth_ring_base(ring, 0, i), mth_ring_base(ring, 1, i)};
    int status = mth_coder_decode(live->coder[MTH_PHASE_DECOMPRESS], frame, bases, live->cell->stats.n_bases,
                                  mth_ring_slot(ring->restored, ring->raw_bytes, i), ring->raw_bytes, &err);
    return status ? fail_cell(live->cell, &err) : MTH_OK;
}

static int check_slot(struct mth_measuring *m, struct mth_live *live, size_t i)
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
int mth_live_sample(struct mth_measuring *m, struct mth_live *live, double memcpy_ns)
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
int mth_live_sample_files(struct mth_measuring *m, struct mth_live *live, uint64_t *random)
{
    struct mth_error err = {0};
    int status = mth_bench_files_sample(&m->files, live->cell, &m->ring, &live->digest, random, &err);
    return status ? fail_cell(live->cell, &err) : MTH_OK;
}

int mth_live_sample_peer(struct mth_measuring *m, struct mth_live *live, double memcpy_ns)
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

int mth_live_prepare_peer(struct mth_measuring *m, struct mth_live *live)
{
    struct mth_error err = {0};
    struct mth_bytes input = mth_loaded_bytes(&m->input);
    struct mth_bytes base = mth_loaded_bytes(&m->bases[0]);
    int status = mth_bench_peer_prepare(&m->bench->config, &m->ring, input, m->at->base_path ? &base : NULL,
                                        mth_main_dtype(&m->input.map), live->cell, &live->peer, &err);
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
int mth_live_prepare(struct mth_measuring *m, struct mth_live *live)
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
                                          .lossy = m->bench->config.lossy,
                                          .tensors_alone = mth_bench_tensors_alone(m->at)};
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
        /* The first pass also makes codec states; what it takes beyond a later one is set-up (see mth_live_finish). */
        cell->phases[p].setup_ns += first_ns[p];
        live->copies[p] = mth_bench_copies_for(first_ns[p], m->ring.n_slots);
        mth_bench_begin_warm_up(cell, (enum mth_phase)p, first_ns[p]);
    }
    cell->ratio = cell->stored_bytes ? (double)m->ring.raw_bytes / (double)cell->stored_bytes : 0;
    cell->verified = true;
    return MTH_OK;
}

/* scratch: room for as many values as there are rounds. */
void mth_live_finish(struct mth_measuring *m, struct mth_live *live, double *scratch)
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
        uint64_t moved = mth_bench_moved_bytes(cell);
        result->pct_roofline = 100 * mth_bench_memory_roofline_ns(m->at, moved) / result->time.median;
        result->flags |= mth_bench_phase_flags(result, m->at->n_threads, m->at->in_cache);
    }
}

void mth_live_close(struct mth_live *live)
{
    mth_bench_peer_close(live->peer);
    for (size_t p = 0; p < MTH_N_PHASES; p++) {
        mth_coder_destroy(live->coder[p]);
        mth_memory_destroy(live->memory[p]);
    }
}
