/* The inside of a container that is read at offsets: its index (container_places.c) and its bundles (container_source.c). */
#ifndef MTH_PIPELINE_CONTAINER_AT_H
#define MTH_PIPELINE_CONTAINER_AT_H

#include "pipeline/container_read.h"

enum { MTH_CACHED_PAGES = 4 };

/* A page of the index, as it was read. */
struct mth_cached_page {
    uint8_t *body;
    size_t number; /* SIZE_MAX: none */
    size_t n_entries;
    uint64_t last_use;
};

/* A range of a bundle that only its base could tell. */
struct mth_missing_range {
    uint32_t at;
    uint32_t n_bytes;
};

/* A decoded bundle. */
struct mth_decoded_bundle {
    uint8_t *bytes;
    size_t capacity;
    uint64_t offset; /* its place */
    size_t n_bytes;  /* 0: empty */
    size_t n_readers;
    bool loading;
    uint64_t last_use;
    struct mth_missing_range *missing; /* when there is no base */
    size_t n_missing, missing_capacity;
};

struct mth_container {
    const struct mth_source *source;
    struct mth_memory *memory;
    struct mth_coder *coder;
    struct mth_input input; /* of the reader */
    struct mth_container_reader reader;
    struct mth_page_place *places;
    size_t n_places;
    struct mth_bundle_decoder decoder;
    struct mth_base_reader base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct mth_cached_page pages[MTH_CACHED_PAGES];
    struct mth_decoded_bundle *slots;
    size_t n_slots;
    bool *worker_busy;
    uint64_t clock;
};

/* Where a bundle lies, as the index has it. */
struct mth_bundle_place {
    uint64_t number;
    uint64_t offset; /* in the original */
    uint32_t n_raw;
    uint64_t block_offset;
    uint32_t n_block;
    uint64_t leaf;
};

/* The bundle that holds a byte of the original. Called with the lock held. */
int mth_container_find_bundle(struct mth_container *container, uint64_t offset,
                              struct mth_bundle_place *place, struct mth_error *err);

#endif
