/* Compressing a file in order: threads read and code bundles, and hand them over in turn; see stream.h. */
#include "pipeline/stream_plan.h"

#include "base/checked.h"

#include <string.h>

/* A sample takes the first bundle, which holds the header, and one of every so many, from their middle. */
static bool is_sampled(const struct mth_stream_encode_job *job, uint64_t number)
{
    return job->sample_every <= 1 || number == 0 || number % job->sample_every == job->sample_every / 2;
}

/* The next bundle into lane; false when there is none. */
static bool take(struct mth_encode_run *run, struct mth_bundle *bundle, uint64_t *number)
{
    struct mth_stream_turns *turns = &run->turns;
    pthread_mutex_lock(&turns->lock);
    bool taken = false;
    if (!turns->failed) {
        struct mth_error err = {0};
        int status = mth_bundle_planner_next(&run->planner, bundle);
        while (!status && bundle->n_bytes && !is_sampled(run->job, run->n_planned++))
            status = mth_bundle_planner_next(&run->planner, bundle);
        if (status) {
            mth_error_set(&err, status, "no memory for the plan of a bundle");
            mth_stream_turns_fail_locked(turns, status, &err);
        } else if (bundle->n_bytes) {
            *number = run->next++;
            taken = true;
        }
    }
    pthread_mutex_unlock(&turns->lock);
    return taken;
}

/* One thread knows where its block goes, and codes straight to its place when there is room. */
static bool is_in_place(const struct mth_encode_run *run, size_t n_bound)
{
    const struct mth_buffer *memory = run->writer.sink->memory;
    return run->encoder.coder->n_threads == 1 && memory &&
           memory->capacity_bytes - memory->n_bytes >= n_bound;
}

/* Reads the bundle at hand, and codes it into a block with its head. */
static int code(struct mth_encode_run *run, size_t worker_index, size_t n_bound, struct mth_turn_block *coded,
                struct mth_error *err)
{
    struct mth_coder *coder = run->encoder.coder;
    struct mth_bundle_lane *lane = &coder->bundle_workers[worker_index].lanes[0];
    struct mth_buffer *block = &coded->block, *memory = run->writer.sink->memory;
    struct mth_bytes bytes = {0};
    int status = MTH_OK;
    if (run->encoder.is_lossy || !mth_stream_view_chunks(run->job->input, run->encoder.layout, &lane->bundle))
        status =
            mth_stream_view(run->job->input, run->encoder.layout, lane->bundle.offset, lane->bundle.n_bytes,
                            coder->memory, &lane->bytes, &lane->bytes_capacity, &bytes, err);
    if (is_in_place(run, n_bound))
        *block = (struct mth_buffer){.data = memory->data + memory->n_bytes, .capacity_bytes = n_bound};
    if (!status)
        status = mth_bundle_encode(&run->encoder, worker_index, bytes.data, block, err);
    if (status)
        return status;
    if (block->n_bytes > UINT32_MAX)
        return mth_error_set(err, MTH_ERR_OVERFLOW, "a bundle of %zu bytes does not fit a container",
                             block->n_bytes);
    if (run->encoder.is_lossy)
        status = mth_bundle_settle(&run->encoder, worker_index, block, bytes.data, run->job->verify, err);
    if (status)
        return status;
    struct mth_bytes body = {block->data + MTH_BLOCK_HEAD_BYTES, block->n_bytes - MTH_BLOCK_HEAD_BYTES};
    mth_block_put_head(MTH_BLOCK_BUNDLE, body, coded->number, block->data);
    return run->job->verify && !run->encoder.is_lossy
               ? mth_bundle_verify(&run->encoder, worker_index, body, bytes.data, err)
               : MTH_OK;
}

static void work(void *arg, size_t worker_index)
{
    struct mth_encode_run *run = arg;
    struct mth_bundle *bundle = &run->encoder.coder->bundle_workers[worker_index].lanes[0].bundle;
    uint64_t number;
    int status = MTH_OK;
    while (!status && take(run, bundle, &number)) {
        struct mth_turn_block *coded;
        struct mth_error err = {0};
        size_t n_bound;
        status = mth_bundle_bound(&run->encoder, bundle, &n_bound);
        if (!status)
            status = mth_stream_turns_take(&run->turns, worker_index, is_in_place(run, n_bound) ? 0 : n_bound,
                                           &coded);
        if (status) {
            mth_error_set(&err, status, "no room to code a bundle: %s", mth_status_text(status));
            mth_stream_turns_fail(&run->turns, status, &err);
            break;
        }
        coded->number = number;
        status = coded->status = code(run, worker_index, n_bound, coded, &coded->err);
        mth_bundle_summarise(bundle, &coded->summary);
        mth_stream_turns_hand_in(&run->turns, worker_index, coded);
    }
    mth_stream_turns_settle(&run->turns, worker_index);
}

static int write_front(struct mth_encode_run *run, struct mth_error *err)
{
    struct mth_coder *coder = run->encoder.coder;
    uint8_t head[MTH_HEAD_BYTES];
    mth_container_put_head(
        &(struct mth_container_head){.raw_bytes = run->stats.raw_bytes,
                                     .version = run->front.has_older ? MTH_CONTAINER_VERSION_OLDER : 0,
                                     .chunk_bytes = coder->chunk_bytes,
                                     .is_lossy = run->encoder.is_lossy},
        head);
    int status = mth_sink_put(run->writer.sink, head, sizeof head, err);
    run->writer.offset += sizeof head;
    if (!status)
        status = mth_front_write_specs(&run->writer, coder, run->encoder.specs, &run->encoder.numbers, err);
    if (!status && run->front.has_base)
        status = mth_front_write_bases(&run->writer, coder->memory, &run->match.use,
                                       run->front.has_older ? &run->match.older_use : NULL, err);
    if (!status)
        status = mth_front_write_layout(&run->writer, &run->relations.layout, &run->index, err);
    run->index.front_end = run->writer.offset;
    return status;
}

/* Called when all bundles are written, and the last page of the index, which is their only one or not full, is not. */
static void note_sample(const struct mth_encode_run *run, struct mth_stream_sampled *sampled)
{
    const struct mth_index *index = &run->index;
    uint64_t blocks = run->writer.offset - index->front_end -
                      index->n_pages * (MTH_BLOCK_HEAD_BYTES + MTH_PAGE_HEAD_BYTES +
                                        (uint64_t)MTH_PAGE_ENTRIES * MTH_PAGE_ENTRY_BYTES);
    const uint8_t *first = index->page + MTH_PAGE_HEAD_BYTES;
    *sampled = (struct mth_stream_sampled){0};
    if (index->n_pages == 0 && index->n_entries > 0) {
        sampled->first_raw_bytes = mth_load32(first);
        sampled->first_block_bytes = mth_load32(first + 4);
    }
    sampled->rest_raw_bytes = run->stats.sampled_bytes - sampled->first_raw_bytes;
    sampled->rest_block_bytes = blocks - sampled->first_block_bytes;
}

static int write_end(struct mth_encode_run *run, struct mth_error *err)
{
    static const struct mth_file_attributes none;
    struct mth_memory *memory = run->encoder.coder->memory;
    struct mth_growing root = {0};
    uint8_t trailer[MTH_TRAILER_BYTES];
    if (run->job->sampled)
        note_sample(run, run->job->sampled);
    int status = mth_index_write_page(&run->index, &run->writer, err);
    uint64_t root_offset = run->writer.offset;
    if (status)
        return status;
    status = mth_root_put(&run->index, run->job->attributes ? run->job->attributes : &none, &run->stats.loss,
                          &root);
    if (status)
        mth_error_set(err, status, "no memory for the root");
    else
        status = mth_block_write(&run->writer, MTH_BLOCK_ROOT, 0, (struct mth_bytes){root.data, root.n_bytes},
                                 err);
    mth_memory_free(memory, root.data);
    if (status)
        return status;
    mth_trailer_put(root_offset, run->writer.offset, trailer);
    run->stats.stored_bytes = run->writer.offset + sizeof trailer;
    struct mth_digest digest = mth_hash_stream_digest(run->index.leaves);
    memcpy(run->stats.digest, digest.bytes, sizeof run->stats.digest);
    return mth_sink_put(run->writer.sink, trailer, sizeof trailer, err);
}

static int run_threads(struct mth_encode_run *run, struct mth_error *err)
{
    struct mth_coder *coder = run->encoder.coder;
    run->turns = (struct mth_stream_turns){.coder = coder,
                                           .progress = &run->job->progress,
                                           .writer = &run->writer,
                                           .index = &run->index,
                                           .stats = &run->stats};
    int status = mth_stream_turns_begin(&run->turns);
    if (status) {
        mth_error_set(err, status, "no memory for %zu threads", coder->n_threads);
    } else {
        mth_pool_run(coder->pool, work, run);
        status = run->turns.failed;
        if (status)
            mth_error_set(err, status, "%s", run->turns.err.text);
    }
    mth_stream_turns_end(&run->turns);
    return status;
}

int mth_stream_encode(struct mth_coder *coder, const struct mth_stream_encode_job *job,
                      struct mth_container_stats *stats, struct mth_error *err)
{
    if (mth_pipeline_needs_base(job->pipeline) && !job->base)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED,
                             "'%.200s' codes against a base, and none was given; --base names one",
                             mth_pipeline_text(job->pipeline));
    bool is_lossy = mth_pipeline_is_lossy(job->pipeline);
    if (is_lossy && !job->lossy)
        return mth_error_set(
            err, MTH_ERR_USAGE,
            "'%.200s' is lossy: what it restores differs from the original; --lossy allows it",
            mth_pipeline_text(job->pipeline));
    struct mth_encode_run run = {.job = job,
                                 .map = job->map,
                                 .encoder = {.coder = coder, .is_lossy = is_lossy},
                                 .writer = {.sink = job->sink},
                                 .index = {.memory = coder->memory},
                                 .stats = {.raw_bytes = job->map->n_bytes, .loss.is_lossy = is_lossy}};
    if (job->attributes)
        run.stats.attributes = *job->attributes;
    coder->chunk_bytes = mth_coder_chunk_bytes(coder, job->pipeline, job->base != NULL);
    mth_coder_free_models(coder);
    int status = mth_encode_run_prepare(&run, err);
    if (!status)
        status = write_front(&run, err);
    if (!status) {
        mth_bundle_planner_rewind(&run.planner);
        status = run_threads(&run, err);
    }
    if (!status)
        status = write_end(&run, err);
    run.stats.paired = run.match.paired;
    run.stats.n_bases = (size_t)run.front.has_base + run.front.has_older;
    if (!status && stats)
        *stats = run.stats;
    mth_slices_free(&run.slices, coder->memory);
    mth_base_match_free(&run.match, coder->memory);
    mth_memory_free(coder->memory, run.row_elems);
    mth_memory_free(coder->memory, run.classes);
    mth_memory_free(coder->memory, run.choices);
    mth_memory_free(coder->memory, run.front.references);
    mth_relations_free(&run.relations);
    mth_index_free(&run.index);
    return status;
}
