/* Decoding a frame: check it and its base, decode chunks on all threads, compare the digest. */
#include "pipeline/frame.h"

#include "base/checked.h"

#include <string.h>

struct decode_run {
    struct mth_coder *coder;
    struct mth_coder_spec *specs[MTH_N_PLAN_SPECS];
    const uint8_t *base;
    uint8_t *dst;
    struct mth_frame_chunk *chunks;
    atomic_size_t next; /* in batches */
    size_t batch;
    atomic_int failed;
    atomic_size_t failed_chunk;
};

/* The chunks that one call decodes: neighbours of one unit. */
struct batch {
    const struct mth_unit *unit;
    size_t first;
    size_t n;
};

static int prepare(struct decode_run *run, struct mth_coder_worker *worker, const struct batch *batch,
                   size_t i, struct mth_chunk_decode_job *job)
{
    struct mth_coder *coder = run->coder;
    const struct mth_frame_chunk *chunk = &run->chunks[batch->first + i];
    uint64_t offset;
    size_t n_bytes;

    mth_plan_chunk_range(&coder->plan, batch->unit, batch->first + i, &offset, &n_bytes);
    *job =
        (struct mth_chunk_decode_job){.payload = chunk->payload, .entry = chunk->entry, .dst_bytes = n_bytes};
    if (!mth_hash64_matches(chunk->payload.data, chunk->payload.n_bytes, batch->first + i, chunk->checksum))
        return MTH_ERR_CHECKSUM;
    if (chunk->raw && chunk->payload.n_bytes != n_bytes)
        return MTH_ERR_CORRUPT;
    job->dst = mth_coder_place(coder, batch->unit, run->dst, offset, n_bytes);
    if (!job->dst) {
        int status =
            mth_array_reserve(coder->memory, &worker->gathered[i], &worker->gathered_capacity[i], n_bytes, 1);
        if (status)
            return status;
        job->dst = worker->gathered[i];
    }
    if (!batch->unit->has_reference)
        return MTH_OK;
    return mth_coder_gather(coder, batch->unit, run->base, true, offset, n_bytes, &worker->reference[i],
                            &worker->reference_capacity[i], &job->reference);
}

static int decode_batch(struct decode_run *run, size_t worker_index, const struct batch *batch)
{
    struct mth_coder *coder = run->coder;
    struct mth_coder_worker *worker = &coder->workers[worker_index];
    struct mth_coder_spec *spec = run->specs[batch->unit->spec];
    struct mth_chunk_decode_job jobs[MTH_MAX_BATCH], coded[MTH_MAX_BATCH];
    size_t n_coded = 0;
    int status = MTH_OK;

    for (size_t i = 0; !status && i < batch->n; i++) {
        status = prepare(run, worker, batch, i, &jobs[i]);
        if (status)
            break;
        if (!run->chunks[batch->first + i].raw)
            coded[n_coded++] = jobs[i];
        else if (jobs[i].dst_bytes)
            memcpy(jobs[i].dst, jobs[i].payload.data, jobs[i].dst_bytes);
    }
    if (!status && n_coded)
        status = mth_chunk_decode(&worker->chunk, spec->pipeline, &spec->decode[worker_index],
                                  mth_coder_find_models(coder, batch->unit->spec, batch->unit->dtype),
                                  mth_symbol_type_of(batch->unit->dtype), coded, n_coded);
    for (size_t i = 0; !status && i < batch->n; i++) {
        uint64_t offset;
        size_t n_bytes;
        uint8_t leaf[8];
        mth_store64(leaf, mth_hash64(jobs[i].dst, jobs[i].dst_bytes, batch->first + i));
        memcpy(&coder->leaves[batch->first + i], leaf, sizeof leaf);
        mth_plan_chunk_range(&coder->plan, batch->unit, batch->first + i, &offset, &n_bytes);
        if (jobs[i].dst == worker->gathered[i])
            mth_coder_scatter(coder, batch->unit, jobs[i].dst, run->dst, offset, n_bytes);
    }
    return status;
}

static void decode_work(void *arg, size_t worker_index)
{
    struct decode_run *run = arg;
    const struct mth_plan *plan = &run->coder->plan;
    size_t first;
    while ((first = atomic_fetch_add(&run->next, run->batch)) < plan->n_chunks &&
           !atomic_load(&run->failed)) {
        size_t end = mth_size_min(first + run->batch, plan->n_chunks);
        while (first < end) {
            struct batch batch = {.unit = mth_plan_unit_of_chunk(plan, first), .first = first};
            size_t unit_end = batch.unit->first_chunk + batch.unit->n_chunks;
            batch.n = mth_size_min(end, unit_end) - first;
            int status = decode_batch(run, worker_index, &batch);
            if (status) {
                int none = 0;
                if (atomic_compare_exchange_strong(&run->failed, &none, status))
                    atomic_store(&run->failed_chunk, first);
                return;
            }
            first += batch.n;
        }
    }
}

/* The base must be there when the frame asks for one, and be that one. A base that is not asked for is
 * ignored. */
static int check_base(struct mth_coder *coder, const struct mth_frame_head *head,
                      const struct mth_bytes *base, struct mth_error *err)
{
    struct mth_digest digest;
    if (!head->has_base)
        return MTH_OK;
    if (!base)
        return mth_error_set(err, MTH_ERR_BASE, "coded against a base of %llu bytes; give it with --base",
                             (unsigned long long)head->base_bytes);
    int status =
        base->n_bytes == head->base_bytes ? mth_coder_digest(coder, *base, digest.bytes) : MTH_ERR_BASE;
    if (!status && !mth_digest_equal(&digest, &head->base_digest))
        status = MTH_ERR_BASE;
    if (status == MTH_ERR_BASE)
        return mth_error_set(err, status, "this is not the base that was coded against: its content differs");
    return status;
}

static int read_chunks(struct mth_coder *coder, struct mth_reader *index, struct mth_bytes payloads,
                       struct mth_frame_chunk **out, struct mth_error *err)
{
    size_t n = coder->plan.n_chunks;
    *out = NULL;
    /* A record has at least nine bytes: a count that the index can not hold is refused before memory is
     * taken. */
    if (n > (size_t)(index->end - index->at) / 9)
        return mth_error_set(err, MTH_ERR_CORRUPT, "the frame's index is too short for its %zu chunks", n);
    struct mth_frame_chunk *chunks = mth_memory_calloc(coder->memory, n, sizeof *chunks);
    if (!chunks)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the records of %zu chunks", n);
    bool good = true;
    for (size_t i = 0; good && i < n; i++)
        good = mth_frame_read_chunk(index, &payloads, &chunks[i]);
    if (!good || payloads.n_bytes || index->at != index->end) {
        mth_memory_free(coder->memory, chunks);
        return mth_error_set(err, MTH_ERR_CORRUPT, "the frame's chunk records are damaged");
    }
    *out = chunks;
    return MTH_OK;
}

static int run_chunks(struct decode_run *run, const struct mth_frame_head *head, struct mth_error *err)
{
    struct mth_coder *coder = run->coder;
    int status = mth_array_reserve(coder->memory, &coder->leaves, &coder->leaves_capacity,
                                   coder->plan.n_chunks, sizeof *coder->leaves);
    if (status)
        return mth_error_set(err, status, "no memory to decode");
    run->batch = 1;
    for (size_t i = 0; i < MTH_N_PLAN_SPECS; i++) {
        if (run->specs[i] && run->specs[i]->pipeline->interleaves)
            run->batch = MTH_MAX_BATCH;
    }
    mth_pool_run(coder->pool, decode_work, run);
    status = atomic_load(&run->failed);
    if (status)
        return mth_error_set(err, status, "chunk %zu: %s", atomic_load(&run->failed_chunk),
                             mth_status_text(status));
    struct mth_digest digest = mth_hash128(coder->leaves, coder->plan.n_chunks * sizeof *coder->leaves);
    if (!mth_digest_equal(&digest, &head->digest))
        return mth_error_set(err, MTH_ERR_CHECKSUM,
                             "the restored bytes do not have the digest of the original");
    return MTH_OK;
}

int mth_coder_decode(struct mth_coder *coder, struct mth_bytes frame, const struct mth_bytes *base,
                     uint8_t *dst, size_t dst_bytes, struct mth_error *err)
{
    struct decode_run run = {.coder = coder, .base = base ? base->data : NULL, .dst = dst};
    struct mth_frame_head head;
    struct mth_reader index;
    struct mth_bytes payloads;

    int status = mth_frame_open(frame, &head, &index, &payloads, err);
    if (status)
        return status;
    if (head.raw_bytes != dst_bytes)
        return mth_error_set(err, MTH_ERR_CAPACITY,
                             "the frame restores to %llu bytes, the destination has %zu",
                             (unsigned long long)head.raw_bytes, dst_bytes);
    status = check_base(coder, &head, base, err);
    if (!status)
        status = mth_frame_read_plan(coder, &head, &index, run.specs, err);
    if (!status)
        status = read_chunks(coder, &index, payloads, &run.chunks, err);
    if (!status)
        status = run_chunks(&run, &head, err);
    mth_memory_free(coder->memory, run.chunks);
    return status;
}

int mth_frame_info(struct mth_bytes frame, struct mth_frame_info *info, struct mth_error *err)
{
    struct mth_frame_head head;
    struct mth_reader index;
    struct mth_bytes payloads;
    int status = mth_frame_open(frame, &head, &index, &payloads, err);
    if (status)
        return status;
    *info = (struct mth_frame_info){.raw_bytes = head.raw_bytes, .has_base = head.has_base};
    memcpy(info->digest, head.digest.bytes, sizeof info->digest);
    memcpy(info->base_digest, head.base_digest.bytes, sizeof info->base_digest);
    return MTH_OK;
}
