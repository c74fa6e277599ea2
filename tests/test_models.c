/*
 * Laws of what only a codec with models, context and interleaved decoding exercises: the example plug-in, run by the
 * pipeline.
 */
#include "tests/support/made_checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const specs[] = {
    "range0",
    "exponent-split+rans/store",
    "delta-xor+byte-group+rans",
    "exponent-split+range0/store",
    "byte-group+range0/range0:context=yes",
    "delta-xor+byte-group+range0:context=yes",
    "delta-ulp+byte-group+store/range0",
};
enum { N_SPECS = sizeof specs / sizeof specs[0] };

static void models_restore_and_do_not_depend_on_threads(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_checkpoint();
    struct made *base = made_base(input);
    struct mth_coder *one = made_coder(memory, 1, 4096);
    struct mth_coder *three = made_coder(memory, 3, 4096);
    for (size_t i = 0; i < N_SPECS; i++) {
        struct made_frame a = made_encode(one, specs[i], input, base);
        struct made_frame b = made_encode(three, specs[i], input, base);
        assert_int_equal(a.n_bytes, b.n_bytes);
        assert_memory_equal(a.data, b.data, a.n_bytes);
        made_assert_restores(one, a, input, base);
        made_assert_restores(three, a, input, base);
        free(a.data);
        free(b.data);
    }
    mth_coder_destroy(one);
    mth_coder_destroy(three);
    made_free(input);
    made_free(base);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

/* 64 chunks of bf16: a table in each would cost more than one for all. */
static void a_shared_model_is_written_once(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *small = made_coder(memory, 1, 4096), *large = made_coder(memory, 1, 1 << 20);
    struct made *input = made_begin();
    made_add_tensor(input, "w", MTH_DTYPE_BF16, 64 * 2048);
    made_fill(input);
    struct made_frame many = made_encode(small, "exponent-split+range0/store", input, NULL);
    struct made_frame one = made_encode(large, "exponent-split+range0/store", input, NULL);
    /*
     * What a bundle of one chunk costs is below 70 bytes: its block, its place in the index, its digests, a mode and a
     * state. A table of its own, a dozen bytes or more, would pass that.
     */
    assert_in_range(many.n_bytes - one.n_bytes, 63 * 40, 63 * 70);
    made_assert_restores(large, many, input, NULL);
    free(many.data);
    free(one.data);
    made_free(input);
    mth_coder_destroy(small);
    mth_coder_destroy(large);
    mth_memory_destroy(memory);
}

static void every_flipped_bit_of_a_frame_with_models_is_detected(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 1, 4096);
    struct made *input = made_begin();
    made_add_tensor(input, "w", MTH_DTYPE_BF16, 6000);
    made_fill(input);
    struct made_frame frame = made_encode(coder, "exponent-split+range0/store", input, NULL);
    uint8_t *dst = malloc(input->map.n_bytes);
    struct mth_error err;
    /* The mantissas in the middle are all alike: every 17th bit there stands for them. */
    for (size_t bit = 0; bit < 8 * frame.n_bytes;
         bit += bit < 800 || bit > 8 * frame.n_bytes - 3000 ? 1 : 17) {
        frame.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(made_decode(coder, frame, NULL, dst, input->map.n_bytes, &err), MTH_OK);
        frame.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(made_decode(coder, frame, NULL, dst, input->map.n_bytes, &err), MTH_OK);
    free(dst);
    free(frame.data);
    made_free(input);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

/* build/examples/plugin_range0.so lies beside the build/tests that holds this program. */
static int load_plugin(const char *program)
{
    char path[4096];
    struct mth_error err = {0};
    const char *slash = strrchr(program, '/');
    snprintf(path, sizeof path, "%.*s../examples/plugin_range0.so", slash ? (int)(slash - program + 1) : 0,
             program);
    int status = mth_plugin_load(path, &err);
    if (status)
        fprintf(stderr, "test_models: %s\n", err.text);
    return status;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_restore_and_do_not_depend_on_threads),
        cmocka_unit_test(a_shared_model_is_written_once),
        cmocka_unit_test(every_flipped_bit_of_a_frame_with_models_is_detected),
    };
    if (argc < 1 || load_plugin(argv[0]))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
