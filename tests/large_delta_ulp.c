/* delta-ulp over all 2^32 pairs of bf16 values: what tests/test_transforms.c samples, whole. */
#include "transforms/transform_registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_VALUES = 1 << 16, N_BYTES = 2 * N_VALUES };

static void delta_ulp_roundtrips_all_bf16_pairs(void **state)
{
    (void)state;
    const struct mth_transform *transform = mth_transform_find("delta-ulp", strlen("delta-ulp"));
    uint8_t *src = malloc(N_BYTES), *base = malloc(N_BYTES), *stream = malloc(N_BYTES),
            *dst = malloc(N_BYTES);
    assert_true(transform && src && base && stream && dst);
    for (size_t i = 0; i < N_VALUES; i++) {
        src[2 * i] = (uint8_t)i;
        src[2 * i + 1] = (uint8_t)(i >> 8);
    }
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    struct mth_bytes reference = {.data = base, .n_bytes = N_BYTES};
    struct mth_transform_job job = {.options = NULL,
                                    .type = mth_symbol_type_of(MTH_DTYPE_BF16),
                                    .n_bytes = N_BYTES,
                                    .references = &reference,
                                    .plans = plans};
    assert_int_equal(transform->plan(NULL, &job.type, N_BYTES, plans, &job.n_streams), MTH_OK);
    for (size_t value = 0; value < N_VALUES; value++) {
        struct mth_buffer out = {.data = stream, .capacity_bytes = N_BYTES};
        for (size_t i = 0; i < N_VALUES; i++) {
            base[2 * i] = (uint8_t)value;
            base[2 * i + 1] = (uint8_t)(value >> 8);
        }
        memset(dst, (int)value, N_BYTES);
        assert_int_equal(transform->forward(&job, src, &out), MTH_OK);
        struct mth_bytes in = {.data = stream, .n_bytes = out.n_bytes};
        assert_int_equal(transform->inverse(&job, &in, dst), MTH_OK);
        if (memcmp(dst, src, N_BYTES) != 0)
            fail_msg("against base %04zx", value);
    }
    free(src);
    free(base);
    free(stream);
    free(dst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delta_ulp_roundtrips_all_bf16_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
