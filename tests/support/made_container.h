/* Containers of made-up checkpoints, in memory, for the tests of the pipeline. */
#ifndef MTH_TESTS_MADE_CONTAINER_H
#define MTH_TESTS_MADE_CONTAINER_H

#include "tests/support/made_checkpoint.h"

/* A source of what was made, and how it serves as a base. */
struct made_base_source {
    struct mth_source source;
    struct mth_stream_base base;
};
void made_base_source(const struct made *made, struct made_base_source *out);

struct mth_stream_config made_config(struct mth_memory *memory, size_t n_threads, size_t chunk_bytes);

/* Compress into a block that the caller frees; ends the test on an error. base: NULL for none. */
struct mth_bytes made_compress(struct mth_memory *memory, size_t n_threads, size_t chunk_bytes,
                               const char *spec, const struct made *input, const struct made *base,
                               struct mth_container_stats *stats);
void made_container_free(struct mth_bytes container);

/* The status of restoring to dst, in memory or (in_order) through a sink that only takes bytes in order. */
int made_decompress(struct mth_memory *memory, size_t n_threads, struct mth_bytes container,
                    const struct made *base, bool in_order, uint8_t *dst, size_t n_bytes,
                    struct mth_error *err);

/* Makes the checksums of the front and of bundles right again, so that a damaged block may say anything. */
void made_repair(uint8_t *data, size_t n_bytes);

/* Restores both ways and compares. */
void made_assert_container(struct mth_memory *memory, size_t n_threads, struct mth_bytes container,
                           const struct made *input, const struct made *base);

/* Compresses, restores and compares, by one thread and another; the container's bytes. */
size_t made_assert_comes_back(size_t chunk_bytes, const struct made *input, const struct made *base,
                              const char *spec);

#endif
