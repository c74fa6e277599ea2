/* Encoding a checkpoint: plan, build models, code chunks on all threads in order, write the index. */
#include "pipeline/frame.h"

#include "base/checked.h"

#include <string.h>

/* What stands in where the spec asked for does not fit a dtype: the rules, by enum mth_plan_spec. */
static const char *const stand_ins[MTH_N_PLAN_SPECS] = {
    [MTH_PLAN_WIDE] = "byte-group+zstd:level=3",
    [MTH_PLAN_NARROW] = "zstd:level=3",
};

/*
 * A run over the chunks. Threads take chunks in order and code them in any order; what they make is appended
 * in order: a thread waits for its turn, takes its place in the frame and notes the chunk in the index.
 */
struct encode_run {
    struct mth_coder *coder;
    struct mth_coder_spec *specs[MTH_N_PLAN_SPECS];
    const uint8_t *input;
    const uint8_t *base;
    uint8_t *dst;
    size_t capacity;
    atomic_size_t next;
    pthread_mutex_t lock;
    pthread_cond_t turned;
    size_t turn;   /* chunks appended so far */
    size_t offset; /* where the next payload goes */
    int failed;
    size_t n_raw;
};

/* Waits until every chunk before this one is appended. False when another thread failed. */
static bool wait_for_turn(struct encode_run *run, size_t chunk)
{
    pthread_mutex_lock(&run->lock);
    while (run->turn != chunk && !run->failed)
        pthread_cond_wait(&run->turned, &run->lock);
    return !run->failed; /* the lock stays held */
}

static void end_turn(struct encode_run *run, int status)
{
    if (status && !run->failed)
        run->failed = status;
    run->turn++;
    pthread_cond_broadcast(&run->turned);
    pthread_mutex_unlock(&run->lock);
}

static int note_chunk(struct encode_run *run, struct mth_bytes payload, bool raw,
                      const struct mth_chunk_entry *entry, uint64_t checksum)
{
    struct mth_memory *memory = run->coder->memory;
    struct mth_growing *index = &run->coder->index;
    uint8_t bytes[8];
    mth_store64(bytes, checksum);
    int status = mth_growing_put_varint(memory, index, (uint64_t)payload.n_bytes << 1 | raw);
    if (!status)
        status = mth_growing_put(memory, index, bytes, sizeof bytes);
    if (!status && !raw)
        status = mth_growing_put_varint(memory, index, entry->n_bytes);
    if (!status && !raw)
        status = mth_growing_put(memory, index, entry->bytes, entry->n_bytes);
    run->n_raw += raw;
    return status;
}

/* Codes a chunk into out, or decides to store it. The payload is then what payload says. */
static int code_chunk(struct encode_run *run, struct mth_coder_worker *worker, size_t worker_index,
                      const struct mth_unit *unit, size_t chunk, struct mth_buffer *out,
                      struct mth_bytes *payload, bool *raw)
{
    struct mth_coder *coder = run->coder;
    struct mth_coder_spec *spec = run->specs[unit->spec];
    struct mth_symbol_type type = mth_symbol_type_of(unit->dtype);
    struct mth_bytes src, reference = {0};
    uint64_t offset;
    size_t n_bytes;

    mth_plan_chunk_range(&coder->plan, unit, chunk, &offset, &n_bytes);
    int status = mth_coder_gather(coder, unit, run->input, false, offset, n_bytes, &worker->gathered[0],
                                  &worker->gathered_capacity[0], &src);
    if (!status && unit->has_reference)
        status = mth_coder_gather(coder, unit, run->base, true, offset, n_bytes, &worker->reference[0],
                                  &worker->reference_capacity[0], &reference);
    if (status)
        return status;
    uint8_t leaf[8];
    mth_store64(leaf, mth_hash64(src.data, src.n_bytes, chunk));
    memcpy(&coder->leaves[chunk], leaf, sizeof leaf);

    size_t n_bound, n_stored;
    status = mth_chunk_bound(spec->pipeline, type, n_bytes, &n_bound, &n_stored);
    if (!status && out->capacity_bytes < n_bound) {
        status = mth_array_reserve(coder->memory, &worker->payload, &worker->payload_capacity, n_bound, 1);
        *out = (struct mth_buffer){.data = worker->payload, .capacity_bytes = worker->payload_capacity};
    }
    if (!status)
        status = mth_chunk_encode(&worker->chunk, spec->pipeline, &spec->encode[worker_index],
                                  mth_coder_find_models(coder, unit->spec, unit->dtype), type, src, reference,
                                  out, &worker->entry);
    *raw = !status && out->n_bytes >= n_bytes;
    *payload = *raw ? src : (struct mth_bytes){out->data, out->n_bytes};
    return status;
}

static void encode_work(void *arg, size_t worker_index)
{
    struct encode_run *run = arg;
    struct mth_coder *coder = run->coder;
    struct mth_coder_worker *worker = &coder->workers[worker_index];
    size_t chunk;

    while ((chunk = atomic_fetch_add(&run->next, 1)) < coder->plan.n_chunks) {
        const struct mth_unit *unit = mth_plan_unit_of_chunk(&coder->plan, chunk);
        struct mth_buffer out = {0};
        struct mth_bytes payload = {0};
        bool raw = false;
        /* One thread knows where the payload goes, and codes straight to its place when there is room. */
        if (coder->n_threads == 1)
            out = (struct mth_buffer){.data = run->dst + run->offset,
                                      .capacity_bytes = run->capacity - run->offset};
        int status = code_chunk(run, worker, worker_index, unit, chunk, &out, &payload, &raw);
        uint64_t checksum = status ? 0 : mth_hash64(payload.data, payload.n_bytes, chunk);
        if (!wait_for_turn(run, chunk)) {
            pthread_mutex_unlock(&run->lock);
            return;
        }
        size_t at = run->offset;
        if (!status && payload.n_bytes > run->capacity - at)
            status = MTH_ERR_CAPACITY;
        if (!status)
            status = note_chunk(run, payload, raw, &worker->entry, checksum);
        if (!status)
            run->offset += payload.n_bytes;
        end_turn(run, status);
        if (status)
            return;
        if (payload.n_bytes && payload.data != run->dst + at)
            memcpy(run->dst + at, payload.data, payload.n_bytes);
    }
}

static int take_specs(struct mth_coder *coder, const struct mth_pipeline *pipeline,
                      struct mth_coder_spec *specs[MTH_N_PLAN_SPECS], struct mth_error *err)
{
    mth_coder_trim_cache(coder, MTH_N_PLAN_SPECS);
    int status = mth_coder_take_spec(coder, pipeline->text, &specs[MTH_PLAN_ASKED], err);
    if (!status && pipeline->needs_base) {
        struct mth_pipeline *alone;
        int bad = mth_pipeline_without_references(pipeline, &alone);
        if (bad == MTH_OK) {
            status = mth_coder_take_spec(coder, alone->text, &specs[MTH_PLAN_ALONE], err);
            mth_pipeline_destroy(alone);
        } else if (bad != MTH_ERR_UNSUPPORTED) {
            status = bad;
        }
    }
    for (size_t i = 0; !status && i < MTH_N_PLAN_SPECS; i++) {
        struct mth_pipeline *stand_in;
        if (!stand_ins[i])
            continue;
        status = mth_pipeline_parse(stand_ins[i], false, &stand_in, err);
        if (status)
            break;
        status = mth_coder_take_spec(coder, stand_in->text, &specs[i], err);
        mth_pipeline_destroy(stand_in);
    }
    return status;
}

static int code_chunks(struct encode_run *run)
{
    struct mth_coder *coder = run->coder;
    int status = mth_array_reserve(coder->memory, &coder->leaves, &coder->leaves_capacity,
                                   coder->plan.n_chunks, sizeof *coder->leaves);
    if (status)
        return status;
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->turned, NULL);
    mth_pool_run(coder->pool, encode_work, run);
    pthread_cond_destroy(&run->turned);
    pthread_mutex_destroy(&run->lock);
    return run->failed;
}

/* The index holds the chunks' records by now; what stands before them is only known at the end. */
static int finish(struct encode_run *run, struct mth_frame_head *head, size_t *n_bytes)
{
    struct mth_coder *coder = run->coder;
    struct mth_growing front = {0};
    head->digest = mth_hash128(coder->leaves, coder->plan.n_chunks * sizeof *coder->leaves);
    int status = mth_frame_put_index(coder, head, run->specs, &front);
    size_t n_index = front.n_bytes + coder->index.n_bytes;
    if (!status && run->capacity - run->offset < n_index + MTH_FRAME_TRAILER_BYTES)
        status = MTH_ERR_CAPACITY;
    if (!status) {
        uint8_t *index = run->dst + run->offset;
        memcpy(index, front.data, front.n_bytes);
        if (coder->index.n_bytes)
            memcpy(index + front.n_bytes, coder->index.data, coder->index.n_bytes);
        mth_frame_put_trailer((struct mth_bytes){index, n_index}, index + n_index);
        *n_bytes = run->offset + n_index + MTH_FRAME_TRAILER_BYTES;
    }
    mth_memory_free(coder->memory, front.data);
    return status;
}

int mth_coder_bound(const struct mth_coder *coder, const struct mth_checkpoint *input, size_t *n_bytes)
{
    /* A chunk that does not shrink is stored, so payloads never pass the raw bytes; the rest is framing. */
    enum { FIXED_BYTES = 1 << 16, REGION_BYTES = 64 };
    const struct mth_region_map *map = input->map;
    size_t raw, n_chunks, regions, chunks;
    /* Units: one a large region, and small ones of a kind pair up to at least a chunk for any two. */
    if (!mth_u64_to_size(map->n_bytes, &raw) ||
        !mth_size_add(3 * (raw / coder->chunk_bytes) + 1024, map->n_regions, &n_chunks) ||
        !mth_size_mul(n_chunks, MTH_FRAME_CHUNK_INDEX_BYTES + MTH_MAX_ENTRY_BYTES / 8, &chunks) ||
        !mth_size_mul(map->n_regions, REGION_BYTES, &regions) || !mth_size_add(raw, chunks, n_bytes) ||
        !mth_size_add(*n_bytes, regions, n_bytes) || !mth_size_add(*n_bytes, FIXED_BYTES, n_bytes))
        return MTH_ERR_OVERFLOW;
    return MTH_OK;
}

int mth_coder_encode(struct mth_coder *coder, const struct mth_pipeline *pipeline,
                     const struct mth_checkpoint *input, const struct mth_checkpoint *base, uint8_t *dst,
                     size_t capacity_bytes, size_t *n_bytes, struct mth_frame_stats *stats,
                     struct mth_error *err)
{
    if (pipeline->needs_base && !base)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED, "'%.200s' codes against a base, and none was given",
                             pipeline->text);
    struct encode_run run = {.coder = coder,
                             .input = input->data,
                             .base = base ? base->data : NULL,
                             .dst = dst,
                             .capacity = capacity_bytes,
                             .offset = MTH_FRAME_HEAD_BYTES};
    /* A base that no stage looks at is not part of the frame. */
    bool uses_base = base && pipeline->nodes[0].wants_reference;
    struct mth_frame_head head = {.raw_bytes = input->map->n_bytes, .has_base = uses_base};
    const struct mth_pipeline *pipelines[MTH_N_PLAN_SPECS] = {0};

    mth_coder_free_models(coder);
    coder->index.n_bytes = 0;
    int status = take_specs(coder, pipeline, run.specs, err);
    if (status)
        return status;
    for (size_t i = 0; i < MTH_N_PLAN_SPECS; i++)
        pipelines[i] = run.specs[i] ? run.specs[i]->pipeline : NULL;
    status =
        mth_plan_make(&coder->plan, pipelines, input->map, uses_base ? base->map : NULL, coder->chunk_bytes);
    /* A base of another model is a mistake that must not pass as a checkpoint coded alone. */
    if (!status && uses_base && coder->plan.n_tensors > 0 && coder->plan.n_matched == 0)
        return mth_error_set(
            err, MTH_ERR_BASE,
            "the base does not match: no tensor has a counterpart of its name, dtype and shape there");
    if (!status && capacity_bytes < MTH_FRAME_HEAD_BYTES)
        status = MTH_ERR_CAPACITY;
    if (!status && uses_base) {
        struct mth_bytes bytes = {base->data, (size_t)base->map->n_bytes};
        head.base_bytes = base->map->n_bytes;
        status = mth_coder_digest(coder, bytes, head.base_digest.bytes);
    }
    if (!status)
        status = mth_coder_build_models(coder, run.specs, run.input, run.base);
    if (!status) {
        mth_frame_put_head(dst);
        status = code_chunks(&run);
    }
    if (!status)
        status = finish(&run, &head, n_bytes);
    if (status)
        return mth_error_set(err, status, "encoding with '%.200s' failed: %s", pipeline->text,
                             mth_status_text(status));
    if (stats)
        *stats = (struct mth_frame_stats){.n_units = coder->plan.n_units,
                                          .n_chunks = coder->plan.n_chunks,
                                          .n_chunks_raw = run.n_raw,
                                          .payload_bytes = run.offset - MTH_FRAME_HEAD_BYTES};
    return MTH_OK;
}
