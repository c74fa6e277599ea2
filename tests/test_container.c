/* Laws of the container: exact, the same bytes on any number of threads, a wrong base refused. */
#include "tests/support/made_container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const specs_alone[] = {
    "store",
    "seed",
    "balanced",
    "fast",
    "byte-group:width=3+zstd",
    "exponent-split+byte-group+zstd//store/bit-shuffle+zstd",
};
static const char *const specs_delta[] = {
    "seed",
    "balanced",
    "fast",
    "delta-xor+store",
    "delta-ulp+exponent-split+zstd/store",
    "byte-group+zstd:prefix=yes",
    "zstd:level=1", /* does not look at its base */
};
enum {
    N_ALONE = sizeof specs_alone / sizeof specs_alone[0],
    N_DELTA = sizeof specs_delta / sizeof specs_delta[0]
};

static void every_spec_restores_on_any_number_of_threads_from_the_same_bytes(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_checkpoint(), *base = made_base(input);
    for (size_t i = 0; i < N_ALONE + N_DELTA; i++) {
        const char *spec = i < N_ALONE ? specs_alone[i] : specs_delta[i - N_ALONE];
        const struct made *against = i < N_ALONE ? NULL : base;
        struct mth_bytes one = made_compress(memory, 1, 4096, spec, input, against, NULL);
        struct mth_bytes three = made_compress(memory, 3, 4096, spec, input, against, NULL);
        assert_int_equal(one.n_bytes, three.n_bytes);
        assert_memory_equal(one.data, three.data, one.n_bytes);
        made_assert_container(memory, 1, one, input, against);
        made_assert_container(memory, 3, one, input, against);
        made_container_free(one);
        made_container_free(three);
    }
    made_free(input);
    made_free(base);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void lengths_around_every_boundary_restore(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    for (uint64_t chunks = 0; chunks < 3; chunks++) {
        for (int64_t more = -2; more <= 2; more++) {
            int64_t n = (int64_t)(4096 * chunks) + more;
            if (n < 0)
                continue;
            struct made *input = made_begin();
            made_add_tensor(input, "a", MTH_DTYPE_U8, (uint64_t)n);
            made_add_tensor(input, "b", MTH_DTYPE_BF16, chunks);
            made_fill(input);
            struct mth_bytes container = made_compress(memory, 2, 4096, "balanced", input, NULL, NULL);
            made_assert_container(memory, 2, container, input, NULL);
            made_container_free(container);
            made_free(input);
        }
    }
    mth_memory_destroy(memory);
}

static void many_bundles_fill_pages_and_restore(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    for (uint64_t n_bundles = 4095; n_bundles < 4098; n_bundles++) {
        struct made *input = made_begin();
        struct mth_container_stats stats;
        made_add_tensor(input, "a", MTH_DTYPE_BF16, 2048 * n_bundles);
        made_fill(input);
        struct mth_bytes container = made_compress(memory, 2, 4096, "store", input, NULL, &stats);
        assert_int_equal(stats.n_bundles, n_bundles);
        assert_int_equal(stats.stored_bytes, container.n_bytes);
        made_assert_container(memory, 2, container, input, NULL);
        made_container_free(container);
        made_free(input);
    }
    mth_memory_destroy(memory);
}

static void chunks_are_larger_where_a_base_is_looked_at(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_checkpoint();
    static const struct {
        const char *spec;
        bool has_base;
        uint8_t log2;
    } cases[] = {{"seed", false, 18}, {"seed", true, 20}, {"zstd:level=1", true, 18}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mth_bytes container =
            made_compress(memory, 1, 0, cases[i].spec, input, cases[i].has_base ? input : NULL, NULL);
        assert_int_equal(container.data[6], cases[i].log2); /* of the head: docs/container.md */
        made_container_free(container);
    }
    made_free(input);
    mth_memory_destroy(memory);
}

static void small_tensors_share_chunks_and_what_equals_the_base_costs_no_payload(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_checkpoint();
    struct mth_container_stats stats;
    struct mth_bytes container = made_compress(memory, 1, 0, "seed", input, NULL, &stats);
    assert_int_equal(stats.n_bundles, 1);
    assert_int_equal(stats.n_chunks, 8); /* one for each dtype, opaque bytes among them */
    made_container_free(container);
    container = made_compress(memory, 1, 0, "seed", input, input, &stats);
    assert_int_equal(stats.n_chunks_copied, 7);
    made_assert_container(memory, 1, container, input, input);
    made_container_free(container);
    made_free(input);
    mth_memory_destroy(memory);
}

static void a_wrong_base_is_refused(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_checkpoint(), *base = made_base(input);
    struct mth_bytes container = made_compress(memory, 1, 4096, "seed", input, base, NULL);
    size_t n_bytes = (size_t)input->map.n_bytes;
    uint8_t *dst = malloc(n_bytes);
    struct mth_error err = {0};
    base->data[base->map.n_bytes / 2] ^= 1;
    assert_int_equal(made_decompress(memory, 2, container, base, false, dst, n_bytes, &err), MTH_ERR_BASE);
    assert_non_null(strstr(err.text, "not the base"));
    base->data[base->map.n_bytes / 2] ^= 1;
    assert_int_equal(made_decompress(memory, 2, container, NULL, false, dst, n_bytes, &err), MTH_ERR_BASE);
    assert_int_equal(made_decompress(memory, 2, container, input, false, dst, n_bytes, &err), MTH_ERR_BASE);
    assert_int_equal(made_decompress(memory, 2, container, base, false, dst, n_bytes, &err), MTH_OK);
    free(dst);
    made_container_free(container);
    made_free(input);
    made_free(base);
    mth_memory_destroy(memory);
}

/* The tensors of one checkpoint in the order of another: the same weights in a file of another layout. */
static struct made *laid_out_like(const struct made *content, const struct made *order)
{
    struct made *made = made_begin();
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, 999);
    for (size_t i = 0; i < order->map.n_tensors; i++) {
        const struct mth_tensor *tensor = &order->map.tensors[i];
        if (mth_region_map_find(&content->map, mth_tensor_name(&order->map, tensor)))
            made_add_tensor(made, mth_tensor_name(&order->map, tensor), (enum mth_dtype)tensor->dtype,
                            tensor->n_elems);
    }
    made_fill(made);
    for (size_t i = 0; i < made->map.n_tensors; i++) {
        const struct mth_tensor *to = &made->map.tensors[i];
        const struct mth_tensor *from = mth_region_map_find(&content->map, mth_tensor_name(&made->map, to));
        memcpy(made->data + made->map.regions[to->region].offset,
               content->data + content->map.regions[from->region].offset,
               content->map.regions[from->region].n_bytes);
    }
    return made;
}

static void a_base_of_another_layout_serves_when_its_tensors_are_the_same(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_checkpoint(), *base = made_base(input), *other = laid_out_like(base, input);
    struct mth_bytes container = made_compress(memory, 1, 4096, "balanced", input, base, NULL);
    assert_true(other->map.n_bytes != base->map.n_bytes);
    made_assert_container(memory, 2, container, input, other);
    made_container_free(container);
    made_free(input);
    made_free(base);
    made_free(other);
    mth_memory_destroy(memory);
}

/* Opaque bytes and tensors that all have a counterpart in the base, in few bundles. */
static struct mth_bytes small_container(struct mth_memory *memory, struct made **input, struct made **base)
{
    *input = made_begin();
    made_add_tensor(*input, "", MTH_DTYPE_OPAQUE, 5);
    made_add_tensor(*input, "a", MTH_DTYPE_BF16, 120);
    made_add_tensor(*input, "b", MTH_DTYPE_F32, 30);
    made_add_tensor(*input, "c", MTH_DTYPE_F32, 1030);
    made_fill(*input);
    *base = made_base(*input);
    return made_compress(memory, 1, 4096, "delta-xor+exponent-split+zstd/store", *input, *base, NULL);
}

static int stop_at_half(void *arg, uint64_t n_done, uint64_t n_total)
{
    (*(int *)arg)++;
    return n_done * 2 > n_total;
}

static void progress_may_cancel(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_checkpoint();
    struct mth_bytes container = made_compress(memory, 1, 4096, "seed", input, NULL, NULL);
    int n_calls = 0;
    struct mth_stream_config config = {.n_threads = 2,
                                       .chunk_bytes = 4096,
                                       .memory = memory,
                                       .progress = stop_at_half,
                                       .progress_arg = &n_calls};
    struct mth_pipeline *pipeline;
    struct mth_source source;
    struct mth_input in;
    struct mth_sink sink;
    struct mth_error err;
    struct mth_buffer out = {.data = malloc(1 << 20), .capacity_bytes = 1 << 20};
    mth_sink_memory(&out, &sink);
    mth_source_memory("made", (struct mth_bytes){input->data, input->map.n_bytes}, &source);
    assert_int_equal(mth_pipeline_parse("seed", false, &pipeline, &err), 0);
    assert_int_equal(mth_compress(pipeline, &source, &input->map, NULL, NULL, &sink, &config, NULL, &err),
                     MTH_ERR_CANCELLED);
    assert_in_range(n_calls, 1, 30);
    mth_source_memory("container", container, &source);
    mth_input_source(&source, &in);
    assert_int_equal(mth_decompress(&in, NULL, &sink, &config, NULL, &err), MTH_ERR_CANCELLED);
    mth_pipeline_destroy(pipeline);
    free(out.data);
    made_container_free(container);
    made_free(input);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void a_check_without_the_base_says_what_it_skipped(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input, *base;
    struct mth_bytes container = small_container(memory, &input, &base);
    struct mth_stream_config config = made_config(memory, 2, 0);
    struct mth_container_stats stats;
    struct made_base_source against;
    struct mth_source source;
    struct mth_input in;
    struct mth_error err = {0};
    mth_source_memory("container", container, &source);
    mth_input_source(&source, &in);
    assert_int_equal(mth_container_check(&in, NULL, &config, &stats, &err), MTH_OK);
    assert_int_equal(stats.n_skipped, stats.n_bundles);
    mth_input_source(&source, &in);
    made_base_source(base, &against);
    assert_int_equal(mth_container_check(&in, &against.base, &config, &stats, &err), MTH_OK);
    assert_int_equal(stats.n_skipped, 0);
    made_container_free(container);
    made_free(input);
    made_free(base);
    mth_memory_destroy(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spec_restores_on_any_number_of_threads_from_the_same_bytes),
        cmocka_unit_test(lengths_around_every_boundary_restore),
        cmocka_unit_test(many_bundles_fill_pages_and_restore),
        cmocka_unit_test(chunks_are_larger_where_a_base_is_looked_at),
        cmocka_unit_test(small_tensors_share_chunks_and_what_equals_the_base_costs_no_payload),
        cmocka_unit_test(a_wrong_base_is_refused),
        cmocka_unit_test(a_base_of_another_layout_serves_when_its_tensors_are_the_same),
        cmocka_unit_test(progress_may_cancel),
        cmocka_unit_test(a_check_without_the_base_says_what_it_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
