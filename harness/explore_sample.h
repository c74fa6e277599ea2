/* Samples of a checkpoint for an exploration: pieces of the tensors of a class, as a little checkpoint of their own. */
#ifndef MTH_HARNESS_EXPLORE_SAMPLE_H
#define MTH_HARNESS_EXPLORE_SAMPLE_H

#include "harness/checkpoint_file.h"
#include "harness/explore_search.h"

/* A checkpoint and its bases, and what is looked up in them; borrowed from all. */
struct mth_explore_source {
    const struct mth_loaded *input, *base, *older; /* NULL: no base, no older one */
    struct mth_memory *memory;
    uint8_t *classes;             /* of each region */
    uint32_t *tensors;            /* the tensor that is a region, or MTH_NO_TENSOR */
    uint32_t *counterparts;       /* the tensor of the base of its name, dtype and shape, or MTH_NO_TENSOR */
    uint32_t *older_counterparts; /* that of the older base */
};
int mth_explore_source_open(struct mth_explore_source *source, const struct mth_loaded *input,
                            const struct mth_loaded *base, const struct mth_loaded *older);
void mth_explore_source_close(struct mth_explore_source *source);

/* The classes of a checkpoint that are worth a search, the largest first: at least 4 KiB and a thousandth of all. */
void mth_explore_classes(const struct mth_explore_source *source,
                         struct mth_explore_class classes[MTH_MAX_COST_SETS], size_t *n_classes);

struct mth_explore_sample {
    struct mth_memory *memory;
    struct mth_region_map map, base_map, older_map;
    uint8_t *data, *base_data, *older_data;
    size_t n_bytes, n_base_bytes, n_older_bytes;
    bool has_base, has_older; /* some piece has a counterpart; and one that is older */
};

/*
 * Pieces of whole rows, where rows are short enough, at places drawn with the seed; and their counterparts in the bases.
 *
 * Shape     class_: of dtype; MTH_N_CLASSES for pieces of everything
 * Errors    MTH_ERR_NO_MEMORY, MTH_ERR_LIMIT
 */
int mth_explore_sample_make(struct mth_explore_sample *sample, const struct mth_explore_source *source,
                            enum mth_dtype dtype, enum mth_tensor_class class_, uint64_t n_bytes,
                            uint64_t seed);
void mth_explore_sample_free(struct mth_explore_sample *sample);

/*
 * What a spec costs on a sample: the bytes of its chunks, and the shortest of up to three passes each way; every pass is
 * restored into poisoned bytes and compared.
 *
 * Errors    those of coding; MTH_ERR_CHECKSUM for what does not restore; MTH_ERR_LIMIT for what takes more memory
 */
int mth_explore_sample_measure(const struct mth_explore_sample *sample, const char *spec, size_t n_threads,
                               size_t memory_bytes, struct mth_cost *cost, struct mth_error *err);

#endif
