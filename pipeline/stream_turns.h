/*
 * Places for blocks that threads code side by side: each gets its place in the container when all before it have theirs,
 * and is written there by the thread that coded it. A thread whose block must wait codes another one meanwhile.
 */
#ifndef MTH_PIPELINE_STREAM_TURNS_H
#define MTH_PIPELINE_STREAM_TURNS_H

#include "pipeline/stream.h"

#include <pthread.h>

/* A block on its way: coded, then given its place, then written there. */
struct mth_turn_block {
    struct mth_buffer block; /* with its head */
    uint64_t number;
    struct mth_bundle_summary summary;
    int status; /* of coding it */
    struct mth_error err;
    bool is_coded;
    bool has_place;
    /* The place: neither of the two where it was written when it got it. */
    bool to_file;
    uint64_t offset;
    uint8_t *memory;
};

enum { MTH_BLOCKS_PER_THREAD = 2 };

struct mth_stream_turns {
    struct mth_coder *coder;
    const struct mth_stream_progress *progress;
    /* Written to under the lock. */
    struct mth_block_writer *writer;
    struct mth_index *index;
    struct mth_container_stats *stats;
    pthread_mutex_t lock;
    pthread_cond_t turned;
    uint64_t turn; /* blocks that have their place */
    int failed;
    struct mth_error err;
    struct mth_turn_block *blocks;   /* MTH_BLOCKS_PER_THREAD for each thread */
    struct mth_turn_block **waiting; /* by number, modulo n_waiting */
    size_t n_waiting;
};

/* coder, progress, writer, index and stats are set. Errors: MTH_ERR_NO_MEMORY. */
int mth_stream_turns_begin(struct mth_stream_turns *turns);
void mth_stream_turns_end(struct mth_stream_turns *turns);

/*
 * A free block of a thread's, with room for n_bytes. Where both are on their way, or memory is short, the older one is
 * waited for. Errors: MTH_ERR_NO_MEMORY; MTH_ERR_CANCELLED when another thread failed.
 */
int mth_stream_turns_take(struct mth_stream_turns *turns, size_t worker_index, size_t n_bytes,
                          struct mth_turn_block **block);
/*
 * Hands in a block: block, number, status and err, summary are set. What can be placed gets its place, what of this
 * thread's has one is written. An error is told in turn, so that it is the same for any number of threads.
 */
void mth_stream_turns_hand_in(struct mth_stream_turns *turns, size_t worker_index,
                              struct mth_turn_block *block);
/* Waits until all blocks of a thread are written, or there was an error. */
void mth_stream_turns_settle(struct mth_stream_turns *turns, size_t worker_index);

/* The first failure stays. The lock is not held, or in the second is. */
void mth_stream_turns_fail(struct mth_stream_turns *turns, int status, const struct mth_error *err);
void mth_stream_turns_fail_locked(struct mth_stream_turns *turns, int status, const struct mth_error *err);

#endif
