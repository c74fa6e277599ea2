/* Laws of reading a container at offsets: the same bytes, only what is needed, and as the base of another. */
#include "tests/support/made_container.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A source that counts what is read of it. */
struct counted {
    struct mth_bytes bytes;
    uint64_t n_read;
};

static int read_counted(void *state, uint64_t offset, void *dst, size_t n_bytes, struct mth_error *err)
{
    struct counted *counted = state;
    (void)err;
    counted->n_read += n_bytes;
    memcpy(dst, counted->bytes.data + offset, n_bytes);
    return MTH_OK;
}

static struct mth_source counted_source(struct counted *counted)
{
    return (struct mth_source){.name = "counted",
                               .n_bytes = counted->bytes.n_bytes,
                               .fd = -1,
                               .read = read_counted,
                               .state = counted};
}

static struct mth_container *opened(const struct mth_source *source, struct mth_memory *memory,
                                    size_t n_threads)
{
    struct mth_stream_config config = made_config(memory, n_threads, 0);
    struct mth_container *container;
    struct mth_error err = {0};
    if (mth_container_open(source, &config, &container, &err))
        fail_msg("%s", err.text);
    return container;
}

static void any_range_reads_as_the_original(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_checkpoint(), *base = made_base(input);
    struct mth_bytes bytes = made_compress(memory, 2, 4096, "balanced", input, base, NULL);
    struct mth_source source, original;
    struct made_base_source against;
    struct mth_error err = {0};
    mth_source_memory("bytes", bytes, &source);
    struct mth_container *container = opened(&source, memory, 1);
    made_base_source(base, &against);
    assert_int_equal(mth_container_set_base(container, &against.base, &err), 0);
    mth_container_source(container, &original);
    assert_int_equal(original.n_bytes, input->map.n_bytes);
    uint8_t *dst = malloc((size_t)original.n_bytes);
    for (size_t i = 0; i < 2000; i++) {
        size_t at = made_random32() % (original.n_bytes + 1);
        size_t n = made_random32() % (i % 2 ? 100 : original.n_bytes + 1);
        n = n > original.n_bytes - at ? (size_t)original.n_bytes - at : n;
        if (mth_source_read(&original, at, dst, n, &err))
            fail_msg("%s", err.text);
        if (n)
            assert_memory_equal(dst, input->data + at, n);
    }
    assert_int_equal(mth_source_read(&original, original.n_bytes, dst, 1, &err), MTH_ERR_TRUNCATED);
    free(dst);
    mth_container_close(container);
    made_container_free(bytes);
    made_free(input);
    made_free(base);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void reading_one_range_takes_the_index_and_the_bundles_that_cover_it(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_begin();
    made_add_tensor(input, "a", MTH_DTYPE_BF16, 2048 * 10000);
    made_fill(input);
    struct counted counted = {.bytes = made_compress(memory, 1, 4096, "store", input, NULL, NULL)};
    struct mth_source source = counted_source(&counted), original;
    struct mth_container *container = opened(&source, memory, 1);
    struct mth_error err;
    uint8_t dst[5000];
    /* Head, spec, root with its three pages, trailer. */
    assert_in_range(counted.n_read, 100, 300);
    mth_container_source(container, &original);
    counted.n_read = 0;
    assert_int_equal(mth_source_read(&original, 4096 * 6000 + 100, dst, sizeof dst, &err), 0);
    assert_memory_equal(dst, input->data + 4096 * 6000 + 100, sizeof dst);
    /* A page of 4096 entries of 16 bytes, and two bundles that were stored. */
    assert_in_range(counted.n_read, 2 * 4096, 2 * (4096 + 100) + 4096 * 16 + 100);
    counted.n_read = 0;
    assert_int_equal(mth_source_read(&original, 4096 * 6000, dst, 4000, &err), 0);
    assert_int_equal(counted.n_read, 0);
    mth_container_close(container);
    made_container_free(counted.bytes);
    made_free(input);
    mth_memory_destroy(memory);
}

/* A chain: each checkpoint against the one before, each base read through its own container. */
static void a_chain_of_containers_restores_its_last(void **state)
{
    (void)state;
    enum { N_LINKS = 5 };
    struct mth_memory *memory = mth_memory_create(0);
    struct made *made[N_LINKS];
    struct mth_bytes bytes[N_LINKS];
    struct mth_source files[N_LINKS], originals[N_LINKS];
    struct mth_container *containers[N_LINKS];
    struct mth_stream_base bases[N_LINKS];
    struct mth_error err = {0};
    made[0] = made_checkpoint();
    for (size_t i = 0; i < N_LINKS; i++) {
        if (i)
            made[i] = made_base(made[i - 1]);
        bytes[i] = made_compress(memory, 1, 4096, "balanced", made[i], i ? made[i - 1] : NULL, NULL);
        mth_source_memory("link", bytes[i], &files[i]);
        containers[i] = opened(&files[i], memory, 2);
        if (i)
            assert_int_equal(mth_container_set_base(containers[i], &bases[i - 1], &err), 0);
        mth_container_source(containers[i], &originals[i]);
        bases[i] = (struct mth_stream_base){.source = &originals[i], .map = &made[i]->map};
    }
    const struct made *last = made[N_LINKS - 1];
    uint8_t *dst = malloc(last->map.n_bytes);
    if (mth_source_read(&originals[N_LINKS - 1], 0, dst, last->map.n_bytes, &err))
        fail_msg("%s", err.text);
    assert_memory_equal(dst, last->data, last->map.n_bytes);

    /* And in order, on threads that read the base side by side. */
    struct mth_stream_config config = made_config(memory, 3, 0);
    struct mth_buffer out = {.data = dst, .capacity_bytes = last->map.n_bytes};
    struct mth_input input;
    struct mth_sink sink;
    memset(dst, 0, last->map.n_bytes);
    mth_input_source(&files[N_LINKS - 1], &input);
    mth_sink_memory(&out, &sink);
    if (mth_decompress(&input, &bases[N_LINKS - 2], &sink, &config, NULL, &err))
        fail_msg("%s", err.text);
    assert_memory_equal(dst, last->data, last->map.n_bytes);
    free(dst);
    for (size_t i = N_LINKS; i-- > 0;) {
        mth_container_close(containers[i]);
        made_container_free(bytes[i]);
        made_free(made[i]);
    }
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

struct crowd {
    const struct mth_source *original;
    const struct made *input;
    int failed;
};

static void *read_as_others_do(void *arg)
{
    struct crowd *crowd = arg;
    uint8_t dst[3000];
    uint64_t n = 1;
    for (size_t i = 0; i < 500 && !crowd->failed; i++) {
        n = n * 6364136223846793005u + 1442695040888963407u;
        size_t at = (size_t)(n >> 33) % (size_t)(crowd->original->n_bytes - sizeof dst);
        struct mth_error err;
        if (mth_source_read(crowd->original, at, dst, sizeof dst, &err) ||
            memcmp(dst, crowd->input->data + at, sizeof dst) != 0)
            crowd->failed = 1;
    }
    return NULL;
}

static void more_readers_than_workers_all_read_right(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_checkpoint();
    struct mth_bytes bytes = made_compress(memory, 1, 4096, "seed", input, NULL, NULL);
    struct mth_source source, original;
    mth_source_memory("bytes", bytes, &source);
    struct mth_container *container = opened(&source, memory, 2);
    mth_container_source(container, &original);
    pthread_t threads[5];
    struct crowd crowds[5];
    for (size_t i = 0; i < 5; i++) {
        crowds[i] = (struct crowd){.original = &original, .input = input};
        assert_int_equal(pthread_create(&threads[i], NULL, read_as_others_do, &crowds[i]), 0);
    }
    for (size_t i = 0; i < 5; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(crowds[i].failed, 0);
    }
    mth_container_close(container);
    made_container_free(bytes);
    made_free(input);
    mth_memory_destroy(memory);
}

/* Damage is found by whoever reads what was damaged; nothing is read wrong. */
static void a_flipped_bit_is_found_or_does_not_matter(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_begin();
    made_add_tensor(input, "", MTH_DTYPE_OPAQUE, 7);
    made_add_tensor(input, "a", MTH_DTYPE_BF16, 2100);
    made_fill(input);
    struct mth_bytes bytes = made_compress(memory, 1, 4096, "balanced", input, NULL, NULL);
    uint8_t *copy = malloc(bytes.n_bytes), *dst = malloc(input->map.n_bytes);
    struct mth_stream_config config = made_config(memory, 1, 0);
    for (size_t bit = 0; bit < 8 * bytes.n_bytes; bit++) {
        struct mth_source source, original;
        struct mth_container *container;
        struct mth_error err = {0};
        memcpy(copy, bytes.data, bytes.n_bytes);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        mth_source_memory("copy", (struct mth_bytes){copy, bytes.n_bytes}, &source);
        if (mth_container_open(&source, &config, &container, &err))
            continue;
        mth_container_source(container, &original);
        if (mth_source_read(&original, 0, dst, (size_t)original.n_bytes, &err) == MTH_OK)
            fail_msg("bit %zu may flip unseen", bit);
        mth_container_close(container);
    }
    free(copy);
    free(dst);
    made_container_free(bytes);
    made_free(input);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_range_reads_as_the_original),
        cmocka_unit_test(reading_one_range_takes_the_index_and_the_bundles_that_cover_it),
        cmocka_unit_test(a_chain_of_containers_restores_its_last),
        cmocka_unit_test(more_readers_than_workers_all_read_right),
        cmocka_unit_test(a_flipped_bit_is_found_or_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
