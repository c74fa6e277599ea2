/* What coding will take, at most, known before it begins; see memory_need.c. */
#ifndef MTH_PIPELINE_MEMORY_NEED_H
#define MTH_PIPELINE_MEMORY_NEED_H

#include "pipeline/container.h"

/* What is to be coded, as far as memory depends on it. */
struct mth_need_encode_job {
    const struct mth_pipeline *specs[MTH_N_PLAN_SPECS]; /* NULL where there is none */
    struct mth_spec_guard guards[MTH_MAX_CANDIDATES];
    const struct mth_region_map *map;
    bool has_base, has_older;
    bool verify;
    bool slices; /* parts of tensors are looked for, and predicted where they are found */
    size_t chunk_bytes;
    size_t moments_bytes; /* of bundles of moments, and of copies rounded by chance, where there may be any */
    size_t n_threads;
};

/* Errors: MTH_ERR_NO_MEMORY. */
int mth_need_encode(const struct mth_need_encode_job *job, struct mth_memory *memory,
                    struct mth_memory_need *need);
/* The same to restore what has this front. in_memory: container and original lie there. */
int mth_need_decode(const struct mth_container_front *front, const struct mth_container_head *head,
                    size_t n_threads, bool in_memory, struct mth_memory *memory,
                    struct mth_memory_need *need);
/* Takes lanes from a front until decoding keeps to the bound of memory, and to the account's limit, or one is left. */
int mth_need_fit_lanes(struct mth_container_front *front, const struct mth_container_head *head,
                       size_t n_threads, bool in_memory, struct mth_memory *memory);

/* Does what is needed fit what is left of an account? Errors: MTH_ERR_LIMIT with both figures. */
int mth_need_check(const struct mth_memory *memory, const struct mth_memory_need *need,
                   struct mth_error *err);

#endif
