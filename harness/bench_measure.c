/*
 * Measuring a case: the checkpoint lies in a ring of copies that together are four times the last-level cache, touched before the
 * first sample; cells are prepared, measured in rounds (bench_rounds.c), and summed up.
 */
#include "harness/bench_measuring.h"

#include "base/hash.h"
#include "harness/bench_memory.h"
#include "harness/bench_peer.h"
#include "harness/bench_resident.h"
#include "harness/bounds.h"
#include "harness/clock.h"
#include "harness/conditions.h"

#include <stdlib.h>

enum mth_dtype mth_main_dtype(const struct mth_region_map *map)
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

static int load_case(struct mth_measuring *m, struct mth_memory *memory, struct mth_error *err)
{
    struct mth_bench_case *at = m->at;
    struct mth_bound bound = {0};
    int status = mth_bench_load(at, at->path, memory, &m->input, err);
    const char *const paths[MTH_RING_BASES] = {at->base_path, at->older_path};
    m->n_bases = mth_bench_n_bases(at);
    for (size_t k = 0; !status && k < MTH_RING_BASES && k < m->n_bases; k++)
        status = mth_bench_load(at, paths[k], memory, &m->bases[k], err);
    if (!status)
        status =
            mth_bound_compute_directed(&m->input.checkpoint, m->n_bases > 0 ? &m->bases[0].checkpoint : NULL,
                                       m->n_bases > 1 ? &m->bases[1].checkpoint : NULL, &bound);
    if (status)
        return status;
    m->digest = mth_hash128(m->input.bytes.data, m->input.bytes.n_bytes);
    mth_digest_hex(&m->digest, at->hash);
    char *const hashes[MTH_RING_BASES] = {at->base_hash, at->older_hash};
    for (size_t k = 0; k < MTH_RING_BASES && k < m->n_bases; k++) {
        struct mth_digest base = mth_hash128(m->bases[k].bytes.data, m->bases[k].bytes.n_bytes);
        mth_digest_hex(&base, hashes[k]);
    }
    at->raw_bytes = m->input.bytes.n_bytes;
    at->base_bytes = m->bases[0].bytes.n_bytes;
    at->older_bytes = m->bases[1].bytes.n_bytes;
    at->n_tensors = m->input.map.n_tensors;
    at->n_files = m->input.n_files;
    at->main_dtype = mth_dtype_info(mth_main_dtype(&m->input.map))->name;
    at->bound_model = bound.model;
    at->bound_ratio = bound.ratio;
    return MTH_OK;
}

/* The ring, with room in every slot for any frame: the bound is the same for every coder with this chunk size. */
static int build_ring(struct mth_measuring *m, struct mth_memory *memory, struct mth_error *err)
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
    const struct mth_bytes bases[MTH_RING_BASES] = {mth_loaded_bytes(&m->bases[0]),
                                                    mth_loaded_bytes(&m->bases[1])};
    status = mth_ring_build(&m->ring, mth_loaded_bytes(&m->input), bases, frame_bytes,
                            m->bench->config.llc_bytes, &m->at->in_cache);
    m->at->in_cache |= m->bench->config.llc_bytes < m->bench->config.llc_real_bytes;
    m->frame_bytes = calloc(m->ring.n_slots + 1, sizeof *m->frame_bytes);
    return status || m->frame_bytes ? status : MTH_ERR_NO_MEMORY;
}

/* What is measured of a cell apart from the rounds. */
static int measure_beside(struct mth_measuring *m, struct mth_bench_cell *cell)
{
    const struct mth_bench_config *config = &m->bench->config;
    struct mth_bytes input = mth_loaded_bytes(&m->input), base = mth_loaded_bytes(&m->bases[0]);
    const struct mth_checkpoint bases[MTH_RING_BASES] = {m->bases[0].checkpoint, m->bases[1].checkpoint};
    int status = MTH_OK;
    if (!cell->verified)
        return MTH_OK;
    if (cell->peer_command)
        return config->resident ? mth_bench_peer_resident(config, input, m->at->base_path ? &base : NULL,
                                                          mth_main_dtype(&m->input.map), cell, m->err)
                                : MTH_OK;
    if (config->latency && m->at->n_threads == 1)
        status = mth_bench_latency(cell, &m->input.checkpoint, bases, m->n_bases, MTH_LATENCY_CALLS,
                                   config->cell_seconds, config->seed, m->err);
    if (!status && config->resident)
        status = mth_resident_measure(m->bench, cell, m->err);
    return status;
}

int mth_bench_measure(struct mth_bench *bench, struct mth_bench_case *at, mth_bench_progress *progress,
                      void *progress_arg, struct mth_error *err)
{
    struct mth_measuring m = {.bench = bench, .at = at, .err = err};
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
    if (!status && bench->config.files_directory) {
        const struct mth_bytes bases[MTH_RING_BASES] = {mth_loaded_bytes(&m.bases[0]),
                                                        mth_loaded_bytes(&m.bases[1])};
        status = mth_bench_files_open(&m.files, bench, at, mth_loaded_bytes(&m.input), bases, err);
    }
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
        int prepared = at->cells[i].peer_command ? mth_live_prepare_peer(&m, &m.live[i])
                                                 : mth_live_prepare(&m, &m.live[i]);
        if (prepared == MTH_ERR_NO_MEMORY)
            status = MTH_ERR_NO_MEMORY;
    }
    if (!status)
        status = mth_measuring_rounds(&m, progress, progress_arg);
    mth_conditions_read(mth_conditions_root(), &after);
    for (size_t i = 0; m.live && i < at->n_cells; i++) {
        for (size_t p = 0; p < MTH_N_PHASES; p++)
            at->cells[i].phases[p].flags |= mth_conditions_flags(&before, &after);
        if (!status)
            mth_live_finish(&m, &m.live[i], scratch);
        if (!status && m.files.directory && !at->cells[i].unsupported && !at->cells[i].peer_command)
            mth_bench_files_finish(bench, &at->cells[i]);
        mth_live_close(&m.live[i]);
    }
    mth_bench_files_close(&m.files);
    mth_pool_destroy(m.pool);
    mth_ring_free(&m.ring);
    for (size_t i = 0; !status && i < at->n_cells; i++)
        status = measure_beside(&m, &at->cells[i]);
    free(m.frame_bytes);
    free(m.live);
    free(scratch);
    for (size_t k = 0; k < MTH_RING_BASES; k++)
        mth_loaded_close(&m.bases[k]);
    mth_loaded_close(&m.input);
    mth_memory_destroy(memory);
    if (status == MTH_ERR_CANCELLED)
        mth_error_set(err, status, "interrupted; nothing was written");
    else if (status && !err->status)
        mth_error_set(err, status, "%s: %s", at->path, mth_status_text(status));
    return status;
}
