/* Blocks in their turn; see stream_turns.h. */
#include "pipeline/stream_turns.h"

#include <string.h>

int mth_stream_turns_begin(struct mth_stream_turns *turns)
{
    struct mth_memory *memory = turns->coder->memory;
    size_t n_threads = turns->coder->n_threads;
    /* Of a thread's bundles two are coded and wait, a third is being coded: no two of them share a remainder. */
    turns->n_waiting = n_threads * (MTH_BLOCKS_PER_THREAD + 1);
    turns->blocks = mth_memory_calloc(memory, n_threads * MTH_BLOCKS_PER_THREAD, sizeof *turns->blocks);
    turns->waiting = mth_memory_calloc(memory, turns->n_waiting, sizeof(struct mth_turn_block *));
    pthread_mutex_init(&turns->lock, NULL);
    pthread_cond_init(&turns->turned, NULL);
    return turns->blocks && turns->waiting ? MTH_OK : MTH_ERR_NO_MEMORY;
}

void mth_stream_turns_end(struct mth_stream_turns *turns)
{
    pthread_cond_destroy(&turns->turned);
    pthread_mutex_destroy(&turns->lock);
    mth_memory_free(turns->coder->memory, turns->blocks);
    mth_memory_free(turns->coder->memory, turns->waiting);
}

void mth_stream_turns_fail_locked(struct mth_stream_turns *turns, int status, const struct mth_error *err)
{
    if (!turns->failed) {
        turns->failed = status;
        turns->err = *err;
    }
    pthread_cond_broadcast(&turns->turned);
}

void mth_stream_turns_fail(struct mth_stream_turns *turns, int status, const struct mth_error *err)
{
    pthread_mutex_lock(&turns->lock);
    mth_stream_turns_fail_locked(turns, status, err);
    pthread_mutex_unlock(&turns->lock);
}

static void count(struct mth_container_stats *stats, const struct mth_bundle_summary *summary)
{
    stats->n_bundles++;
    stats->sampled_bytes += summary->n_bytes;
    stats->n_chunks += summary->n_chunks;
    stats->n_chunks_raw += summary->n_chunks_raw;
    stats->n_chunks_copied += summary->n_chunks_copied;
    stats->payload_bytes += summary->payload_bytes;
    if (!stats->loss.is_lossy)
        return;
    /* In the order of the bundles, so that sums do not depend on threads. */
    stats->loss.n_elems += summary->loss.n_elems;
    stats->loss.n_rows += summary->loss.n_rows;
    stats->loss.sum_abs += summary->loss.sum_abs;
    stats->loss.sum_l2 += summary->loss.sum_l2;
    if (summary->loss.max_abs > stats->loss.max_abs)
        stats->loss.max_abs = summary->loss.max_abs;
}

/* Gives a block its place, and writes it where that must be done in order. Called with the lock held. */
static int place(struct mth_stream_turns *turns, struct mth_turn_block *block, struct mth_error *err)
{
    const struct mth_stream_progress *progress = turns->progress;
    struct mth_sink *sink = turns->writer->sink;
    size_t n_bytes = block->block.n_bytes;
    int status = MTH_OK;
    if (sink->memory && n_bytes <= sink->memory->capacity_bytes - sink->memory->n_bytes) {
        block->memory = sink->memory->data + sink->memory->n_bytes;
        sink->memory->n_bytes += n_bytes;
    } else if (sink->write_at) {
        block->to_file = true;
        block->offset = mth_sink_reserve(sink, n_bytes);
    } else {
        status = mth_sink_put(sink, block->block.data, n_bytes, err);
    }
    if (status)
        return status;
    mth_index_add(turns->index, turns->writer->offset, (uint32_t)block->summary.n_bytes, (uint32_t)n_bytes,
                  block->summary.leaf);
    turns->writer->offset += n_bytes;
    count(turns->stats, &block->summary);
    if (turns->index->n_entries == MTH_PAGE_ENTRIES)
        status = mth_index_write_page(turns->index, turns->writer, err);
    if (!status && progress->call &&
        progress->call(progress->arg, turns->index->raw_offset, turns->stats->raw_bytes))
        status = mth_error_set(err, MTH_ERR_CANCELLED, "cancelled");
    return status;
}

/* Writes a block where it belongs and frees it. Without its place it stays, or is waited for. */
static void write_block(struct mth_stream_turns *turns, struct mth_turn_block *block, bool waits)
{
    struct mth_error err = {0};
    int status = MTH_OK;
    if (!block->is_coded)
        return;
    pthread_mutex_lock(&turns->lock);
    while (waits && !block->has_place && !turns->failed)
        pthread_cond_wait(&turns->turned, &turns->lock);
    bool has_place = block->has_place;
    pthread_mutex_unlock(&turns->lock);
    if (!has_place)
        return;
    if (block->memory && block->memory != block->block.data)
        memcpy(block->memory, block->block.data, block->block.n_bytes);
    if (block->to_file)
        status = mth_sink_put_at(turns->writer->sink, block->offset, block->block.data, block->block.n_bytes,
                                 &err);
    if (status)
        mth_stream_turns_fail(turns, status, &err);
    *block = (struct mth_turn_block){0};
}

int mth_stream_turns_take(struct mth_stream_turns *turns, size_t worker_index, size_t n_bytes,
                          struct mth_turn_block **out)
{
    struct mth_memory *memory = turns->coder->memory;
    struct mth_bundle_lane *lanes = turns->coder->bundle_workers[worker_index].lanes;
    struct mth_turn_block *blocks = &turns->blocks[worker_index * MTH_BLOCKS_PER_THREAD];
    int status = MTH_ERR_NO_MEMORY;
    size_t i = 0;
    while (i < MTH_BLOCKS_PER_THREAD) {
        if (!blocks[i].is_coded)
            status = mth_array_reserve(memory, &lanes[i].block, &lanes[i].block_capacity, n_bytes, 1);
        if (!status)
            break;
        i++;
    }
    if (status) {
        /* The older one is before the bundle at hand, and so on down to one that waits for nothing. */
        i = blocks[1].is_coded && (!blocks[0].is_coded || blocks[1].number < blocks[0].number);
        write_block(turns, &blocks[i], true);
        if (blocks[i].is_coded)
            return MTH_ERR_CANCELLED;
        status = mth_array_reserve(memory, &lanes[i].block, &lanes[i].block_capacity, n_bytes, 1);
    }
    blocks[i].block = (struct mth_buffer){.data = lanes[i].block, .capacity_bytes = lanes[i].block_capacity};
    *out = &blocks[i];
    return status;
}

void mth_stream_turns_hand_in(struct mth_stream_turns *turns, size_t worker_index,
                              struct mth_turn_block *block)
{
    struct mth_turn_block *blocks = &turns->blocks[worker_index * MTH_BLOCKS_PER_THREAD];
    struct mth_turn_block *next;
    bool any = false;
    block->is_coded = true;
    pthread_mutex_lock(&turns->lock);
    turns->waiting[block->number % turns->n_waiting] = block;
    while (!turns->failed && (next = turns->waiting[turns->turn % turns->n_waiting]) != NULL) {
        if (!next->status)
            next->status = place(turns, next, &next->err);
        if (next->status) {
            mth_stream_turns_fail_locked(turns, next->status, &next->err);
            break;
        }
        turns->waiting[turns->turn++ % turns->n_waiting] = NULL;
        next->has_place = true;
        any = true;
    }
    if (any)
        pthread_cond_broadcast(&turns->turned);
    pthread_mutex_unlock(&turns->lock);
    for (size_t i = 0; i < MTH_BLOCKS_PER_THREAD; i++)
        write_block(turns, &blocks[i], false);
}

void mth_stream_turns_settle(struct mth_stream_turns *turns, size_t worker_index)
{
    for (size_t i = 0; i < MTH_BLOCKS_PER_THREAD; i++)
        write_block(turns, &turns->blocks[worker_index * MTH_BLOCKS_PER_THREAD + i], true);
}
