/* Laws of coding a checkpoint in memory: exact, the same bytes on any number of threads, and hostile containers refused. */
#include "base/checked.h"
#include "tests/support/made_checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const specs_alone[] = {
    "store",
    "zstd:level=1",
    "seed",
    "balanced",
    "byte-group+store/zstd",
    "byte-group:width=3+zstd",
    "bit-shuffle+zstd:level=1",
    "exponent-split+zstd/byte-group+store",
    "exponent-split+byte-group+zstd//store/bit-shuffle+zstd",
    "zero-map+store/zstd/exponent-split+zstd//store",
    "palette+zstd/store/byte-group+zstd",
    "halves+exponent-split+zstd//store/byte-group+zstd,delta-previous+zstd,seed",
};
static const char *const specs_delta[] = {
    "seed",
    "balanced",
    "delta-xor+store",
    "delta-sub+byte-group+zstd",
    "delta-ulp+exponent-split+zstd/store",
    "byte-group+delta-xor+zstd:level=1/delta-sub+store",
    "zstd:prefix=yes",
    "byte-group+zstd:prefix=yes",
    "delta-xor+byte-group+zstd:prefix=yes",
    "delta-xor+zero-map+zstd",
    "delta-ulp+byte-group+zstd,zstd:prefix=yes,seed",
};
enum {
    N_ALONE = sizeof specs_alone / sizeof specs_alone[0],
    N_DELTA = sizeof specs_delta / sizeof specs_delta[0]
};

static void every_spec_restores_the_same_bytes_on_any_number_of_threads(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_checkpoint();
    struct made *base = made_base(input);
    struct mth_coder *one = made_coder(memory, 1, 4096);
    struct mth_coder *three = made_coder(memory, 3, 4096);
    struct mth_coder *fresh = made_coder(memory, 2, 1 << 20);

    for (size_t i = 0; i < N_ALONE + N_DELTA; i++) {
        const char *spec = i < N_ALONE ? specs_alone[i] : specs_delta[i - N_ALONE];
        const struct made *against = i < N_ALONE ? NULL : base;
        struct made_frame a = made_encode(one, spec, input, against);
        struct made_frame b = made_encode(three, spec, input, against);
        assert_int_equal(a.n_bytes, b.n_bytes);
        assert_memory_equal(a.data, b.data, a.n_bytes);
        made_assert_restores(one, a, input, against);
        made_assert_restores(three, a, input, against);
        made_assert_restores(fresh, a, input, against);
        free(a.data);
        free(b.data);
    }
    mth_coder_destroy(one);
    mth_coder_destroy(three);
    mth_coder_destroy(fresh);
    made_free(input);
    made_free(base);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void a_checkpoint_of_any_small_length_restores(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 2, 4096);
    for (uint64_t n = 0; n < 70; n++) {
        struct made *input = made_begin();
        if (n)
            made_add_tensor(input, "t", MTH_DTYPE_BF16, n);
        made_fill(input);
        struct made_frame frame = made_encode(coder, "balanced", input, NULL);
        made_assert_restores(coder, frame, input, NULL);
        free(frame.data);
        made_free(input);
    }
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

static void a_base_makes_the_frame_smaller_and_small_tensors_share_chunks(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 1, 0);
    struct made *input = made_checkpoint();
    struct made *base = made_base(input);
    struct made_frame alone = made_encode(coder, "seed", input, NULL);
    struct made_frame delta = made_encode(coder, "seed", input, base);
    assert_true(delta.n_bytes * 3 < alone.n_bytes);

    struct mth_pipeline *pipeline;
    struct mth_container_stats stats;
    struct mth_error err;
    assert_int_equal(mth_pipeline_parse("seed", false, &pipeline, &err), 0);
    assert_int_equal(mth_coder_encode(coder, pipeline, &input->checkpoint, NULL, 0, alone.data, alone.n_bytes,
                                      &alone.n_bytes, &stats, &err),
                     0);
    /* One chunk for each dtype: all 43 tensors are small beside a chunk. */
    assert_int_equal(stats.n_chunks, 8);
    mth_pipeline_destroy(pipeline);
    free(alone.data);
    free(delta.data);
    made_free(input);
    made_free(base);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

static void another_base_is_refused(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 2, 4096);
    struct made *input = made_checkpoint();
    struct made *base = made_base(input);
    struct made_frame frame = made_encode(coder, "seed", input, base);
    uint8_t *dst = calloc(1, input->map.n_bytes);
    struct mth_error err = {0};

    base->data[base->map.n_bytes / 2] ^= 1;
    assert_int_equal(made_decode(coder, frame, base, dst, input->map.n_bytes, &err), MTH_ERR_BASE);
    base->data[base->map.n_bytes / 2] ^= 1;
    assert_int_equal(made_decode(coder, frame, NULL, dst, input->map.n_bytes, &err), MTH_ERR_BASE);
    assert_int_equal(made_decode(coder, frame, input, dst, input->map.n_bytes, &err), MTH_ERR_BASE);
    assert_int_equal(made_decode(coder, frame, base, dst, input->map.n_bytes - 1, &err), MTH_ERR_CAPACITY);
    assert_int_equal(made_decode(coder, frame, base, dst, input->map.n_bytes, &err), MTH_OK);

    struct mth_pipeline *pipeline;
    assert_int_equal(mth_pipeline_parse("seed", true, &pipeline, &err), 0);
    assert_int_equal(mth_coder_encode(coder, pipeline, &input->checkpoint, NULL, 0, frame.data, frame.n_bytes,
                                      &frame.n_bytes, NULL, &err),
                     MTH_ERR_UNSUPPORTED);
    mth_pipeline_destroy(pipeline);
    free(dst);
    free(frame.data);
    made_free(input);
    made_free(base);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

/* Elements that go one way from the older base to the base, and on or back from there. */
static void an_older_base_is_used_where_it_helps_and_then_is_needed(void **state)
{
    enum { N_ELEMS = 1 << 15 };
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 2, 0);
    struct made *made[3]; /* the input, its base, the older one */
    struct mth_error err = {0};
    struct mth_pipeline *pipeline;
    struct mth_container_stats stats;
    for (size_t k = 0; k < 3; k++) {
        made[k] = made_begin();
        made_add_tensor(made[k], "a", MTH_DTYPE_BF16, N_ELEMS);
        made_fill(made[k]);
    }
    for (size_t i = 0; i < N_ELEMS; i++) {
        uint16_t value = mth_load16(made[0]->data + 2 * i);
        bool moves = i % 3 == 0, turns = made_random32() % 8 == 0;
        int step = !moves ? 0 : made_random32() % 2 ? 1 : -1;
        mth_store16(made[1]->data + 2 * i, (uint16_t)(value - step));
        mth_store16(made[2]->data + 2 * i, (uint16_t)(turns ? value : value - 2 * step));
    }
    const struct mth_checkpoint bases[3] = {made[1]->checkpoint, made[2]->checkpoint, made[2]->checkpoint};
    struct mth_bytes bytes[2] = {{made[1]->data, 2 * N_ELEMS}, {made[2]->data, 2 * N_ELEMS}};
    static uint8_t frame[1 << 18], dst[2 * N_ELEMS];
    size_t n_frame, n_one;
    assert_int_equal(mth_pipeline_parse("balanced", true, &pipeline, &err), 0);
    assert_int_equal(mth_coder_encode(coder, pipeline, &made[0]->checkpoint, bases, 1, frame, sizeof frame,
                                      &n_one, &stats, &err),
                     0);
    assert_int_equal(stats.n_bases, 1);
    struct mth_bytes container = {frame, n_one};
    assert_int_equal(mth_coder_decode(coder, container, bytes, 2, dst, sizeof dst, &err), MTH_ERR_BASE);
    assert_int_equal(mth_coder_encode(coder, pipeline, &made[0]->checkpoint, bases, 2, frame, sizeof frame,
                                      &n_frame, &stats, &err),
                     0);
    assert_int_equal(stats.n_bases, 2);
    assert_true(n_frame < n_one);
    container.n_bytes = n_frame;
    assert_int_equal(mth_coder_decode(coder, container, bytes, 1, dst, sizeof dst, &err), MTH_ERR_BASE);
    assert_int_equal(mth_coder_decode(coder, container, bytes, 2, dst, sizeof dst, &err), 0);
    assert_memory_equal(dst, made[0]->data, sizeof dst);
    made[2]->data[2 * 3] ^= 1;
    assert_int_equal(mth_coder_decode(coder, container, bytes, 2, dst, sizeof dst, &err), MTH_ERR_BASE);
    assert_int_equal(mth_coder_encode(coder, pipeline, &made[0]->checkpoint, bases, 3, frame, sizeof frame,
                                      &n_frame, &stats, &err),
                     MTH_ERR_USAGE);
    assert_int_equal(mth_coder_decode(coder, container, bytes, 3, dst, sizeof dst, &err), MTH_ERR_USAGE);
    mth_pipeline_destroy(pipeline);
    for (size_t k = 0; k < 3; k++)
        made_free(made[k]);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

/* A tensor of which either base has but a part, or another dtype, is coded against one base alone. */
static void an_older_base_that_has_no_such_tensor_is_not_looked_at(void **state)
{
    enum { N_ELEMS = 1 << 15, HALF = N_ELEMS / 2 };
    (void)state;
    static const struct {
        size_t n_base, n_older;
        enum mth_dtype of_older;
        size_t n_bases;
    } cases[] = {{N_ELEMS, N_ELEMS, MTH_DTYPE_BF16, 2},     {N_ELEMS, HALF, MTH_DTYPE_BF16, 1},
                 {HALF, N_ELEMS, MTH_DTYPE_BF16, 1},        {HALF, HALF, MTH_DTYPE_BF16, 1},
                 {N_ELEMS, 2 * N_ELEMS, MTH_DTYPE_BF16, 2}, {N_ELEMS, N_ELEMS, MTH_DTYPE_F32, 1}};
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 2, 0);
    struct mth_pipeline *pipeline;
    struct mth_error err = {0};
    static uint8_t frame[1 << 18], dst[2 * N_ELEMS];
    assert_int_equal(mth_pipeline_parse("balanced", true, &pipeline, &err), 0);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct made *made[3];
        for (size_t k = 0; k < 3; k++) {
            made[k] = made_begin();
            made_add_tensor(made[k], "a", k < 2 ? MTH_DTYPE_BF16 : cases[c].of_older,
                            k == 0   ? N_ELEMS
                            : k == 1 ? cases[c].n_base
                                     : cases[c].n_older);
            made_fill(made[k]);
        }
        size_t width = cases[c].of_older == MTH_DTYPE_F32 ? 4 : 2;
        for (size_t i = 0; i < N_ELEMS; i++) {
            uint16_t value = mth_load16(made[0]->data + 2 * i);
            int step = i % 3 ? 0 : made_random32() % 2 ? 1 : -1;
            if (i < cases[c].n_base)
                mth_store16(made[1]->data + 2 * i, (uint16_t)(value - step));
            if (i < cases[c].n_older)
                mth_store16(made[2]->data + width * i + width - 2, (uint16_t)(value - 2 * step));
        }
        const struct mth_checkpoint bases[2] = {made[1]->checkpoint, made[2]->checkpoint};
        struct mth_bytes bytes[2] = {{made[1]->data, (size_t)made[1]->map.n_bytes},
                                     {made[2]->data, (size_t)made[2]->map.n_bytes}};
        struct mth_container_stats stats;
        size_t n_frame;
        assert_int_equal(mth_coder_encode(coder, pipeline, &made[0]->checkpoint, bases, 2, frame,
                                          sizeof frame, &n_frame, &stats, &err),
                         0);
        if (stats.n_bases != cases[c].n_bases)
            fail_msg("case %zu: %zu bases", c, stats.n_bases);
        assert_int_equal(mth_coder_decode(coder, (struct mth_bytes){frame, n_frame}, bytes, stats.n_bases,
                                          dst, sizeof dst, &err),
                         0);
        assert_memory_equal(dst, made[0]->data, sizeof dst);
        for (size_t k = 0; k < 3; k++)
            made_free(made[k]);
    }
    mth_pipeline_destroy(pipeline);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

static void a_base_of_another_model_is_refused(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 1, 4096);
    struct made *input = made_begin(), *stranger = made_begin();
    struct mth_pipeline *pipeline;
    struct mth_error err = {0};
    static uint8_t dst[1 << 18];
    size_t n_bytes;
    made_add_tensor(input, "a", MTH_DTYPE_BF16, 100);
    made_add_tensor(stranger, "b", MTH_DTYPE_BF16, 101);
    made_fill(input);
    made_fill(stranger);
    assert_int_equal(mth_pipeline_parse("seed", true, &pipeline, &err), 0);
    assert_int_equal(mth_coder_encode(coder, pipeline, &input->checkpoint, &stranger->checkpoint, 1, dst,
                                      sizeof dst, &n_bytes, NULL, &err),
                     MTH_ERR_BASE);
    assert_non_null(strstr(err.text, "does not match"));
    mth_pipeline_destroy(pipeline);
    made_free(input);
    made_free(stranger);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

static void a_destination_too_small_is_an_error_at_every_size(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_begin();
    made_add_tensor(input, "t", MTH_DTYPE_BF16, 3000);
    made_fill(input);
    for (size_t n_threads = 1; n_threads < 3; n_threads++) {
        struct mth_coder *coder = made_coder(memory, n_threads, 4096);
        struct made_frame frame = made_encode(coder, "balanced", input, NULL);
        struct mth_pipeline *pipeline;
        struct mth_error err;
        assert_int_equal(mth_pipeline_parse("balanced", false, &pipeline, &err), 0);
        for (size_t capacity = 0; capacity < frame.n_bytes; capacity++) {
            size_t n_bytes;
            uint8_t *dst = malloc(capacity + 1); /* the sanitizer watches its end */
            assert_int_equal(mth_coder_encode(coder, pipeline, &input->checkpoint, NULL, 0, dst, capacity,
                                              &n_bytes, NULL, &err),
                             MTH_ERR_CAPACITY);
            free(dst);
        }
        mth_pipeline_destroy(pipeline);
        free(frame.data);
        mth_coder_destroy(coder);
    }
    made_free(input);
    mth_memory_destroy(memory);
}

/* A small frame with every feature: base, two units, coded and stored streams. */
static struct made_frame small_frame(struct mth_coder *coder, struct made **input, struct made **base)
{
    *input = made_begin();
    made_add_tensor(*input, "", MTH_DTYPE_OPAQUE, 5);
    made_add_tensor(*input, "a", MTH_DTYPE_BF16, 120);
    made_add_tensor(*input, "b", MTH_DTYPE_F32, 30);
    made_fill(*input);
    *base = made_base(*input);
    return made_encode(coder, "delta-xor+exponent-split+zstd/store", *input, *base);
}

static void every_flipped_bit_and_every_truncation_of_a_frame_is_detected(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 1, 4096);
    struct made *input, *base;
    struct made_frame frame = small_frame(coder, &input, &base);
    uint8_t *dst = malloc(input->map.n_bytes);
    struct mth_error err;

    for (size_t bit = 0; bit < 8 * frame.n_bytes; bit++) {
        frame.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (made_decode(coder, frame, base, dst, input->map.n_bytes, &err) == MTH_OK)
            fail_msg("bit %zu of %zu may flip unseen", bit, 8 * frame.n_bytes);
        frame.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < frame.n_bytes; n++) {
        struct made_frame cut = {malloc(n + 1), n};
        memcpy(cut.data, frame.data, n);
        assert_int_not_equal(made_decode(coder, cut, base, dst, input->map.n_bytes, &err), MTH_OK);
        free(cut.data);
    }
    assert_int_equal(made_decode(coder, frame, base, dst, input->map.n_bytes, &err), MTH_OK);
    free(dst);
    free(frame.data);
    made_free(input);
    made_free(base);
    mth_coder_destroy(coder);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void a_second_call_allocates_nothing_more(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 2, 4096);
    struct made *input = made_checkpoint();
    struct made_frame frame = made_encode(coder, "seed", input, NULL);
    free(frame.data);
    size_t before = mth_memory_current(memory);
    frame = made_encode(coder, "seed", input, NULL);
    /* Which worker meets which chunk differs, so scratch may still grow a little; it must not pile up. */
    for (int i = 0; i < 20; i++) {
        struct made_frame again = made_encode(coder, "seed", input, NULL);
        free(again.data);
    }
    assert_in_range(mth_memory_current(memory), before, 2 * before);
    free(frame.data);
    made_free(input);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

static void buffers_restore_and_wrong_dtype_or_size_is_an_error(void **state)
{
    (void)state;
    uint8_t src[1001], out[1001];
    struct mth_error err = {0};
    for (size_t i = 0; i < sizeof src; i++)
        src[i] = i & 1 ? 0x3f : (uint8_t)made_random32();
    for (size_t n = 0; n <= sizeof src; n += n < 10 ? 1 : 331) {
        size_t n_bytes, capacity = mth_buffer_bound(n);
        uint8_t *packed = malloc(capacity);
        assert_int_equal(mth_buffer_compress(src, n, MTH_DTYPE_BF16, packed, capacity, &n_bytes, &err),
                         MTH_OK);
        memset(out, 0, sizeof out);
        if (mth_buffer_decompress(packed, n_bytes, MTH_DTYPE_BF16, out, n, &err))
            fail_msg("%zu bytes: %s", n, err.text);
        assert_memory_equal(out, src, n);
        assert_int_equal(mth_buffer_decompress(packed, n_bytes, MTH_DTYPE_F16, out, n, &err), MTH_ERR_USAGE);
        assert_int_equal(mth_buffer_decompress(packed, n_bytes, MTH_DTYPE_BF16, out, n + 1, &err),
                         MTH_ERR_USAGE);
        assert_int_not_equal(mth_buffer_decompress(packed, n_bytes - 1, MTH_DTYPE_BF16, out, n, &err),
                             MTH_OK);
        assert_int_equal(mth_buffer_compress(src, n, MTH_N_DTYPES, packed, capacity, &n_bytes, &err),
                         MTH_ERR_USAGE);
        free(packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spec_restores_the_same_bytes_on_any_number_of_threads),
        cmocka_unit_test(a_checkpoint_of_any_small_length_restores),
        cmocka_unit_test(a_base_makes_the_frame_smaller_and_small_tensors_share_chunks),
        cmocka_unit_test(another_base_is_refused),
        cmocka_unit_test(an_older_base_that_has_no_such_tensor_is_not_looked_at),
        cmocka_unit_test(an_older_base_is_used_where_it_helps_and_then_is_needed),
        cmocka_unit_test(a_base_of_another_model_is_refused),
        cmocka_unit_test(a_destination_too_small_is_an_error_at_every_size),
        cmocka_unit_test(every_flipped_bit_and_every_truncation_of_a_frame_is_detected),
        cmocka_unit_test(a_second_call_allocates_nothing_more),
        cmocka_unit_test(buffers_restore_and_wrong_dtype_or_size_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
