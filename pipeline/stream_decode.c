/* Restoring a container in order: threads take bundles as they are read, and write them in turn; see stream.h. */
#include "pipeline/container_read.h"
#include "pipeline/memory_need.h"
#include "pipeline/stream.h"

#include "base/checked.h"
#include "base/copy.h"
#include "base/scratch.h"

#include <string.h>

/*
 * Reading has a lock of its own, so that one thread reads while another writes and the rest decode; of an input that is
 * read at offsets only heads and ends are read under it. Numbers are given under the first lock and honoured under the
 * second.
 */
struct decode_run {
    const struct mth_stream_decode_job *job;
    struct mth_container_reader reader;
    struct mth_bundle_decoder decoder;
    struct mth_base_reader base;
    struct mth_container_stats stats;
    uint8_t *original; /* where it goes when it goes to memory */
    struct mth_scratch scratch;
    struct mth_sink spooled; /* what is wanted in order and does not come in order goes through a file */
    uint64_t out_offset;     /* where it begins in a sink that is written in any order */
    pthread_mutex_t reading;
    uint64_t next; /* turn to be given */
    pthread_mutex_t lock;
    pthread_cond_t turned;
    uint64_t turn;
    uint64_t n_written;
    atomic_int failed;
    struct mth_error err;
};

static void fail(struct decode_run *run, int status, const struct mth_error *err)
{
    pthread_mutex_lock(&run->lock);
    if (!atomic_load(&run->failed)) {
        run->err = *err;
        atomic_store(&run->failed, status);
    }
    pthread_cond_broadcast(&run->turned);
    pthread_mutex_unlock(&run->lock);
}

/* Takes the next bundles, as many as are decoded side by side. False when there are none. */
static bool take(struct decode_run *run, struct mth_bundle_worker *worker, struct mth_found_bundle *found,
                 size_t *n_found, uint64_t *turn)
{
    struct mth_container_reader *reader = &run->reader;
    size_t limit = mth_front_lanes(&reader->front);
    struct mth_error err = {0};
    int status = MTH_OK;
    *n_found = 0;
    pthread_mutex_lock(&run->reading);
    while (!status && *n_found < limit && !reader->finished && !atomic_load(&run->failed)) {
        struct mth_bundle_lane *lane = &worker->lanes[*n_found];
        status =
            mth_container_reader_next(reader, &lane->block, &lane->block_capacity, &found[*n_found], &err);
        if (!status && !reader->finished)
            (*n_found)++;
    }
    if (!status && *n_found)
        *turn = run->next++;
    else if (!status && atomic_load(&run->failed))
        *n_found = 0;
    /* Under the lock, so that nobody reads on behind damage. */
    if (status)
        fail(run, status, &err);
    pthread_mutex_unlock(&run->reading);
    return !status && *n_found;
}

/* Where a bundle is decoded right where it belongs, in memory, as it lies there in one piece; NULL: it does not. */
static uint8_t *own_place(const struct decode_run *run, uint64_t place, size_t n_bytes)
{
    uint64_t n_run, offset;
    if (!run->original)
        return NULL;
    offset = mth_layout_to_file(&run->reader.front.layout, place, &n_run);
    return n_run >= n_bytes ? run->original + offset : NULL;
}

static int restore(struct decode_run *run, size_t worker_index, struct mth_found_bundle *found,
                   size_t n_found, struct mth_bundle_job *jobs, struct mth_error *err)
{
    struct mth_coder *coder = run->decoder.coder;
    struct mth_bundle_worker *worker = &coder->bundle_workers[worker_index];
    for (size_t i = 0; i < n_found; i++) {
        struct mth_bundle_lane *lane = &worker->lanes[i];
        int status =
            mth_container_reader_fetch(&run->reader, &found[i], &lane->block, &lane->block_capacity, err);
        if (status)
            return status;
        if (!mth_block_matches(&found[i].block, found[i].body, found[i].number))
            return mth_error_set(err, MTH_ERR_CHECKSUM, "the bundle at byte %llu of the original is damaged",
                                 (unsigned long long)found[i].offset);
        status = mth_bundle_parse(&run->decoder, found[i].body, found[i].offset, &lane->bundle, err);
        if (status)
            return status;
        jobs[i] = (struct mth_bundle_job){.bundle = &lane->bundle};
        jobs[i].dst = own_place(run, found[i].offset, lane->bundle.n_bytes);
        jobs[i].is_away = jobs[i].dst != NULL;
        if (jobs[i].dst)
            continue;
        status =
            mth_array_reserve(coder->memory, &lane->bytes, &lane->bytes_capacity, lane->bundle.n_bytes, 1);
        if (status)
            return mth_error_set(err, status, "no memory for a bundle of %zu bytes", lane->bundle.n_bytes);
        jobs[i].dst = lane->bytes;
    }
    return mth_bundle_decode(&run->decoder, worker_index, jobs, n_found, err);
}

static void count(struct mth_container_stats *stats, const struct mth_bundle_job *job)
{
    stats->n_chunks += job->bundle->n_chunks;
    stats->n_skipped += job->skipped;
    for (size_t i = 0; i < job->bundle->n_chunks; i++) {
        stats->n_chunks_raw += job->bundle->chunks[i].mode == MTH_CHUNK_STORED;
        stats->n_chunks_copied += job->bundle->chunks[i].mode == MTH_CHUNK_COPY_OF_BASE;
    }
}

/* Where what is restored is written to: NULL when it goes nowhere. */
static struct mth_sink *sink_of(struct decode_run *run)
{
    return run->scratch.fd >= 0 ? &run->spooled : run->job->sink;
}

/* Puts a bundle where the file has its bytes. */
static int put_in_any_order(struct decode_run *run, struct mth_sink *sink, const struct mth_bundle_job *job,
                            struct mth_error *err)
{
    const struct mth_layout *layout = &run->reader.front.layout;
    size_t n_bytes = job->bundle->n_bytes;
    int status = MTH_OK;
    for (size_t done = 0; !status && done < n_bytes;) {
        uint64_t n_run, offset = mth_layout_to_file(layout, job->bundle->offset + done, &n_run);
        size_t n = (size_t)mth_u64_min(n_run, n_bytes - done);
        if (run->original && job->dst + done != run->original + offset)
            mth_copy_away(run->original + offset, job->dst + done, n);
        else if (!run->original)
            status = mth_sink_put_at(sink, run->out_offset + offset, job->dst + done, n, err);
        done += n;
    }
    return status;
}

/* Writes what was restored when its turn has come. */
static int hand_over(struct decode_run *run, const struct mth_bundle_job *jobs, size_t n_jobs, uint64_t turn,
                     struct mth_error *err)
{
    const struct mth_stream_progress *progress = &run->job->progress;
    struct mth_sink *sink = sink_of(run);
    bool in_order = sink && !sink->write_at && !run->original;
    int status = MTH_OK;
    for (size_t i = 0; sink && !in_order && !status && i < n_jobs; i++)
        status = put_in_any_order(run, sink, &jobs[i], err);
    if (status)
        return status;
    pthread_mutex_lock(&run->lock);
    while (in_order && run->turn != turn && !atomic_load(&run->failed))
        pthread_cond_wait(&run->turned, &run->lock);
    if (!atomic_load(&run->failed)) {
        for (size_t i = 0; !status && i < n_jobs; i++) {
            if (in_order)
                status = mth_sink_put(run->job->sink, jobs[i].dst, jobs[i].bundle->n_bytes, err);
            run->n_written += jobs[i].bundle->n_bytes;
            count(&run->stats, &jobs[i]);
        }
        if (!status && progress->call &&
            progress->call(progress->arg, run->n_written, run->reader.head.raw_bytes))
            status = mth_error_set(err, MTH_ERR_CANCELLED, "cancelled");
        run->turn++;
        pthread_cond_broadcast(&run->turned);
    }
    pthread_mutex_unlock(&run->lock);
    return status;
}

static void work(void *arg, size_t worker_index)
{
    struct decode_run *run = arg;
    struct mth_bundle_worker *worker = &run->decoder.coder->bundle_workers[worker_index];
    struct mth_found_bundle found[MTH_MAX_BATCH];
    struct mth_bundle_job jobs[MTH_MAX_BATCH];
    size_t n_found;
    uint64_t turn;
    while (take(run, worker, found, &n_found, &turn)) {
        struct mth_error err = {0};
        int status = restore(run, worker_index, found, n_found, jobs, &err);
        if (!status)
            status = hand_over(run, jobs, n_found, turn, &err);
        if (status) {
            fail(run, status, &err);
            return;
        }
    }
}

/* Decodes as many bundles side by side as memory is there for, and asks whether there is enough for one. */
static int check_memory(struct decode_run *run, struct mth_error *err)
{
    struct mth_coder *coder = run->decoder.coder;
    struct mth_container_reader *reader = &run->reader;
    const struct mth_sink *sink = run->job->sink;
    bool in_memory = sink && sink->memory && reader->front.layout.n_families == 0;
    struct mth_memory_need need = {0};
    int status =
        mth_need_fit_lanes(&reader->front, &reader->head, coder->n_threads, in_memory, coder->memory);
    if (!status && mth_memory_limit(coder->memory) != SIZE_MAX)
        status =
            mth_need_decode(&reader->front, &reader->head, coder->n_threads, in_memory, coder->memory, &need);
    if (status)
        return mth_error_set(err, status, "no memory to decode");
    return mth_need_check(coder->memory, &need, err);
}

static int prepare(struct decode_run *run, struct mth_error *err)
{
    struct mth_coder *coder = run->decoder.coder;
    const struct mth_stream_decode_job *job = run->job;
    int status = mth_container_reader_open(&run->reader, coder, job->input, err);
    if (status)
        return status;
    const struct mth_container_front *front = &run->reader.front;
    status = check_memory(run, err);
    if (status)
        return status;
    run->decoder.front = front;
    run->decoder.chunk_bytes = run->reader.head.chunk_bytes;
    run->decoder.without_base = job->without_base && !job->base;
    if (front->has_base && !job->base && !job->without_base)
        return mth_error_set(err, MTH_ERR_BASE, "was coded against a base of %llu bytes; give it with --base",
                             (unsigned long long)front->base.n_bytes);
    if (front->has_base && job->base) {
        status = mth_base_reader_find(front, job->base, coder->memory, &run->base, err);
        run->decoder.base = &run->base;
    }
    if (status)
        return status;
    if (mth_bundle_workers(coder))
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory to decode");
    if (job->sink && job->sink->memory) {
        struct mth_buffer *memory = job->sink->memory;
        if (run->reader.head.raw_bytes > memory->capacity_bytes - memory->n_bytes)
            return mth_error_set(
                err, MTH_ERR_CAPACITY, "restores to %llu bytes, the destination has room for %zu",
                (unsigned long long)run->reader.head.raw_bytes, memory->capacity_bytes - memory->n_bytes);
        run->original = memory->data + memory->n_bytes;
    }
    if (job->sink && job->sink->write_at)
        run->out_offset = mth_sink_reserve(job->sink, run->reader.head.raw_bytes);
    else if (job->sink && !job->sink->memory && front->layout.n_families) {
        status = mth_scratch_open(NULL, job->sink->name, &run->scratch, err);
        mth_scratch_sink(&run->scratch, &run->spooled);
    }
    return status;
}

int mth_stream_decode(struct mth_coder *coder, const struct mth_stream_decode_job *job,
                      struct mth_container_stats *stats, struct mth_error *err)
{
    struct decode_run run = {.job = job, .decoder = {.coder = coder}, .scratch = {.fd = -1}};
    int status = prepare(&run, err);
    if (!status) {
        pthread_mutex_init(&run.reading, NULL);
        pthread_mutex_init(&run.lock, NULL);
        pthread_cond_init(&run.turned, NULL);
        mth_pool_run(coder->pool, work, &run);
        pthread_cond_destroy(&run.turned);
        pthread_mutex_destroy(&run.lock);
        pthread_mutex_destroy(&run.reading);
        status = atomic_load(&run.failed);
        if (status)
            mth_error_set(err, status, "%s", run.err.text);
    }
    if (!status && run.scratch.fd >= 0) {
        struct mth_source restored;
        status = mth_scratch_source(&run.scratch, &restored, err);
        if (!status)
            status = mth_sink_put_source(job->sink, &restored, err);
    }
    mth_scratch_close(&run.scratch);
    if (!status && run.original)
        job->sink->memory->n_bytes += (size_t)run.reader.head.raw_bytes;
    if (!status && stats) {
        *stats = run.stats;
        stats->raw_bytes = run.reader.head.raw_bytes;
        stats->stored_bytes = run.reader.offset;
        stats->n_bundles = run.reader.root.n_bundles;
        stats->attributes = run.reader.root.attributes;
        stats->loss = run.reader.root.loss;
        stats->n_bases = (size_t)run.reader.front.has_base + run.reader.front.has_older;
        memcpy(stats->digest, run.reader.root.digest.bytes, sizeof stats->digest);
    }
    mth_base_reader_free(&run.base);
    mth_container_reader_free(&run.reader);
    return status;
}

static int decode_with(const struct mth_stream_config *config, const struct mth_stream_decode_job *job,
                       struct mth_container_stats *stats, struct mth_error *err)
{
    struct mth_coder *coder;
    struct mth_coder_config coder_config = {.n_threads = config->n_threads, .memory = config->memory};
    int status = mth_coder_create(&coder_config, &coder, err);
    if (status)
        return status;
    status = mth_stream_decode(coder, job, stats, err);
    mth_coder_destroy(coder);
    return status;
}

int mth_decompress(struct mth_input *input, const struct mth_stream_base *base, struct mth_sink *sink,
                   const struct mth_stream_config *config, struct mth_container_stats *stats,
                   struct mth_error *err)
{
    struct mth_stream_decode_job job = {
        .input = input, .base = base, .sink = sink, .progress = {config->progress, config->progress_arg}};
    return decode_with(config, &job, stats, err);
}

int mth_container_check(struct mth_input *input, const struct mth_stream_base *base,
                        const struct mth_stream_config *config, struct mth_container_stats *stats,
                        struct mth_error *err)
{
    struct mth_stream_decode_job job = {.input = input,
                                        .base = base,
                                        .without_base = true,
                                        .progress = {config->progress, config->progress_arg}};
    return decode_with(config, &job, stats, err);
}
