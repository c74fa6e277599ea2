/* Reading a container in order, block by block, and checking that everything fits together; see stream_decode.c. */
#ifndef MTH_PIPELINE_CONTAINER_READ_H
#define MTH_PIPELINE_CONTAINER_READ_H

#include "pipeline/bundle.h"

/* Used by one thread at a time. */
struct mth_container_reader {
    struct mth_input *input;
    struct mth_memory *memory;
    struct mth_container_head head;
    struct mth_container_front front;
    struct mth_index index; /* as it follows from the bundles */
    struct mth_root root;
    struct mth_block pending; /* a block whose head was read; type 0: none */
    uint64_t pending_offset;
    uint64_t offset;  /* in the container */
    bool short_page;  /* the last page was not full: no bundle may follow */
    bool finished;    /* root and trailer were read and are right */
    uint8_t *scratch; /* bodies of blocks that are no bundles */
    size_t scratch_capacity;
};

/* Reads head and front. Free the reader also after an error. */
int mth_container_reader_open(struct mth_container_reader *reader, struct mth_coder *coder,
                              struct mth_input *input, struct mth_error *err);
void mth_container_reader_free(struct mth_container_reader *reader);

/* A bundle as it was found: its body is not checked yet, but for its size. */
struct mth_found_bundle {
    struct mth_block block;
    uint64_t number;
    uint64_t offset; /* in the file */
    uint32_t n_raw;
    uint64_t at;           /* of the body, in an input that is read at offsets */
    struct mth_bytes body; /* data NULL: still to be fetched */
};

/* The next bundle; finished is set behind the last, when all that follows it was found right. The body lies in scratch or
 * in an input in memory; of an input that is read at offsets only the end was read. */
int mth_container_reader_next(struct mth_container_reader *reader, uint8_t **scratch, size_t *capacity,
                              struct mth_found_bundle *found, struct mth_error *err);

/*
 * The body of a bundle, where it is still to be fetched, into scratch. By several threads at once, and while others are found.
 * Errors: those of reading; MTH_ERR_CORRUPT when it is not what was found; MTH_ERR_NO_MEMORY.
 */
int mth_container_reader_fetch(const struct mth_container_reader *reader, struct mth_found_bundle *found,
                               uint8_t **scratch, size_t *capacity, struct mth_error *err);

#endif
