/* One run of a transform, for tests that look at its streams. */
#ifndef MTH_TESTS_TRANSFORM_RUN_H
#define MTH_TESTS_TRANSFORM_RUN_H

#include "transforms/transform.h"

#include <stddef.h>
#include <stdint.h>

/* A transform with its plan and streams of its own. Points into itself: not to be copied. */
struct transform_run {
    const struct mth_transform *transform;
    int64_t options[MTH_MAX_OPTIONS];
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    struct mth_bytes base;
    struct mth_transform_job job;
    struct mth_buffer streams[MTH_MAX_STREAMS];
};

/*
 * Plan n_bytes of a type by the transform of a name. width is its first option, 0 for the default; base is its reference or
 * NULL. Returns what plan said; allocates nothing.
 */
int transform_run_plan(struct transform_run *run, const char *name, struct mth_symbol_type type, size_t width,
                       const void *base, size_t n_bytes);

/* Plan and run forward, which the test fails over if either fails; transform_run_end frees the streams. */
void transform_run_forward(struct transform_run *run, const char *name, struct mth_symbol_type type,
                           size_t width, const void *src, const void *base, size_t n_bytes);

/* The status of inverse on the streams as they are now. */
int transform_run_inverse(const struct transform_run *run, uint8_t *dst);

void transform_run_end(struct transform_run *run);

/* n <= 64 bits from bit `at` on, least significant first: slow, and nothing like a kernel. */
uint64_t get_bits(const uint8_t *p, size_t at, unsigned n);

#endif
