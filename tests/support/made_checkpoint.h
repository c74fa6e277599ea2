/* Checkpoints made up in memory, and coding them, for the tests of the pipeline. */
#ifndef MTH_TESTS_MADE_CHECKPOINT_H
#define MTH_TESTS_MADE_CHECKPOINT_H

#include "pipeline/mithril.h"

struct made {
    struct mth_memory *memory;
    struct mth_region_map map;
    uint8_t *data;
    struct mth_checkpoint checkpoint;
};

/* Pseudo-random numbers, the same in every run. */
uint32_t made_random32(void);

/* Begin; add tensors (MTH_DTYPE_OPAQUE: bytes that are none); fill with bytes like those of weights. */
struct made *made_begin(void);
void made_add_tensor(struct made *made, const char *name, enum mth_dtype dtype, uint64_t n_elems);
/* The same of a shape of its own. */
void made_add_shaped(struct made *made, const char *name, enum mth_dtype dtype, const uint64_t *shape,
                     size_t n_dims);
void made_fill(struct made *made);
void made_free(struct made *made);

/* Every kind of trouble: opaque bytes, dtypes in turn, tensors below and above a chunk, one without a match. */
struct made *made_checkpoint(void);
/* The same tensors without "new", in reverse, a few bytes changed. */
struct made *made_base(const struct made *of);

struct made_frame {
    uint8_t *data;
    size_t n_bytes;
};

/* These fail the test on any error. */
struct mth_coder *made_coder(struct mth_memory *memory, size_t n_threads, size_t chunk_bytes);
struct made_frame made_encode(struct mth_coder *coder, const char *spec, const struct made *input,
                              const struct made *base);
void made_assert_restores(struct mth_coder *coder, struct made_frame frame, const struct made *input,
                          const struct made *base);

/* The status of decoding. */
int made_decode(struct mth_coder *coder, struct made_frame frame, const struct made *base, uint8_t *dst,
                size_t n_bytes, struct mth_error *err);

#endif
