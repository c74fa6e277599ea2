/* One run of a transform for a test to look at; see transform_run.h. */
#include "tests/support/transform_run.h"

#include "transforms/transform_registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int transform_run_plan(struct transform_run *run, const char *name, struct mth_symbol_type type, size_t width,
                       const void *base, size_t n_bytes)
{
    memset(run, 0, sizeof *run);
    run->transform = mth_transform_find(name, strlen(name));
    assert_non_null(run->transform);
    mth_option_defaults(run->transform->options, run->transform->n_options, run->options);
    if (width)
        run->options[0] = (int64_t)width;
    run->base = (struct mth_bytes){.data = base, .n_bytes = n_bytes};
    run->job = (struct mth_transform_job){.options = run->options,
                                          .type = type,
                                          .n_bytes = n_bytes,
                                          .references = &run->base,
                                          .plans = run->plans};
    return run->transform->plan(run->options, &type, n_bytes, run->plans, &run->job.n_streams);
}

void transform_run_forward(struct transform_run *run, const char *name, struct mth_symbol_type type,
                           size_t width, const void *src, const void *base, size_t n_bytes)
{
    assert_int_equal(transform_run_plan(run, name, type, width, base, n_bytes), MTH_OK);
    for (size_t s = 0; s < run->job.n_streams; s++) {
        run->streams[s].capacity_bytes = run->plans[s].n_bytes;
        run->streams[s].data = malloc(run->plans[s].n_bytes + 1);
        assert_non_null(run->streams[s].data);
    }
    assert_int_equal(run->transform->forward(&run->job, src, run->streams), MTH_OK);
}

int transform_run_inverse(const struct transform_run *run, uint8_t *dst)
{
    struct mth_bytes in[MTH_MAX_STREAMS];
    for (size_t s = 0; s < run->job.n_streams; s++)
        in[s] = (struct mth_bytes){.data = run->streams[s].data, .n_bytes = run->streams[s].n_bytes};
    return run->transform->inverse(&run->job, in, dst);
}

void transform_run_end(struct transform_run *run)
{
    for (size_t s = 0; s < run->job.n_streams; s++)
        free(run->streams[s].data);
}

uint64_t get_bits(const uint8_t *p, size_t at, unsigned n)
{
    uint64_t x = 0;
    for (unsigned i = 0; i < n; i++)
        x |= (uint64_t)(p[(at + i) / 8] >> (at + i) % 8 & 1) << i;
    return x;
}
