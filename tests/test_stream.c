/*
 * Laws of the engine behind compress and decompress: what one thread waits for does not hold up the others, what fails is told
 * in the order of the file, and a file that changes while it is read is refused.
 *
 * The clock only ends a test that would hang.
 */
#include "tests/support/made_container.h"

#include "base/checked.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { CHUNK_BYTES = 4096, N_CHUNKS = 12, PATIENCE_S = 20 };

/* A checkpoint whose first bundle is read only when another one was. */
struct slow_source {
    const uint8_t *data;
    pthread_mutex_t lock;
    pthread_cond_t was_read;
    uint64_t wanted; /* offset of the read that the first one waits for */
    bool seen, in_time;
    bool fails; /* all reads, once they happen */
};

static int read_slowly(void *state, uint64_t offset, void *dst, size_t n_bytes, struct mth_error *err)
{
    struct slow_source *source = state;
    pthread_mutex_lock(&source->lock);
    if (offset == source->wanted) {
        source->seen = true;
        pthread_cond_broadcast(&source->was_read);
    }
    if (offset == 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += PATIENCE_S;
        int late = 0;
        while (!source->seen && !late)
            late = pthread_cond_timedwait(&source->was_read, &source->lock, &until);
        source->in_time = source->seen;
    }
    pthread_mutex_unlock(&source->lock);
    if (source->fails)
        return mth_error_set(err, MTH_ERR_IO, "no bytes at %llu", (unsigned long long)offset);
    memcpy(dst, source->data + offset, n_bytes);
    return MTH_OK;
}

/* Compresses on two threads; the first bundle is read after the one at chunk `wanted`. */
static int compress_slowly(const struct made *made, struct slow_source *slow, struct mth_buffer *out,
                           struct mth_error *err)
{
    struct mth_source source = {
        .name = "slow", .n_bytes = made->map.n_bytes, .fd = -1, .read = read_slowly, .state = slow};
    struct mth_stream_config config = made_config(made->memory, 2, CHUNK_BYTES);
    struct mth_pipeline *pipeline;
    struct mth_sink sink;
    slow->data = made->data;
    pthread_mutex_init(&slow->lock, NULL);
    pthread_cond_init(&slow->was_read, NULL);
    mth_sink_memory(out, &sink);
    assert_int_equal(mth_pipeline_parse("store", false, &pipeline, err), MTH_OK);
    int status = mth_compress(pipeline, &source, &made->map, NULL, NULL, &sink, &config, NULL, err);
    mth_pipeline_destroy(pipeline);
    pthread_cond_destroy(&slow->was_read);
    pthread_mutex_destroy(&slow->lock);
    return status;
}

static struct made *chunks(void)
{
    struct made *made = made_begin();
    made_add_tensor(made, "w", MTH_DTYPE_U8, CHUNK_BYTES * N_CHUNKS);
    made_fill(made);
    return made;
}

static void a_bundle_that_takes_long_does_not_hold_up_the_next_two(void **state)
{
    (void)state;
    struct made *made = chunks();
    struct slow_source slow = {.wanted = 2 * CHUNK_BYTES};
    struct mth_error err = {0};
    uint8_t *block = malloc(2 * CHUNK_BYTES * N_CHUNKS);
    assert_non_null(block);
    struct mth_buffer out = {.data = block, .capacity_bytes = 2 * CHUNK_BYTES * N_CHUNKS};
    assert_int_equal(compress_slowly(made, &slow, &out, &err), MTH_OK);
    assert_true(slow.in_time);
    struct mth_bytes plain = made_compress(made->memory, 1, CHUNK_BYTES, "store", made, NULL, NULL);
    assert_int_equal(out.n_bytes, plain.n_bytes);
    assert_memory_equal(out.data, plain.data, plain.n_bytes);
    made_container_free(plain);
    free(block);
    made_free(made);
}

static void the_first_failure_of_the_file_is_told_though_a_later_one_came_before_it(void **state)
{
    (void)state;
    struct made *made = chunks();
    struct slow_source slow = {.wanted = CHUNK_BYTES, .fails = true};
    struct mth_error err = {0};
    uint8_t block[CHUNK_BYTES];
    struct mth_buffer out = {.data = block, .capacity_bytes = sizeof block};
    assert_int_equal(compress_slowly(made, &slow, &out, &err), MTH_ERR_IO);
    assert_true(slow.in_time);
    assert_string_equal(err.text, "no bytes at 0");
    made_free(made);
}

/* A container read at offsets, one byte of which may be another whenever more than a head or an end of a block is read. */
struct changing_source {
    struct mth_bytes bytes;
    uint64_t changed; /* UINT64_MAX: none */
};

static int read_changing(void *state, uint64_t offset, void *dst, size_t n_bytes, struct mth_error *err)
{
    const struct changing_source *source = state;
    (void)err;
    memcpy(dst, source->bytes.data + offset, n_bytes);
    if (n_bytes > 24 && source->changed >= offset && source->changed - offset < n_bytes)
        ((uint8_t *)dst)[source->changed - offset] ^= 0x10;
    return MTH_OK;
}

static int decompress_at_offsets(struct changing_source *changing, struct mth_memory *memory, uint8_t *dst,
                                 size_t n_bytes, struct mth_error *err)
{
    struct mth_source source = {.name = "container",
                                .n_bytes = changing->bytes.n_bytes,
                                .fd = -1,
                                .read = read_changing,
                                .state = changing};
    struct mth_stream_config config = made_config(memory, 1, 0);
    struct mth_buffer out = {.data = dst, .capacity_bytes = n_bytes};
    struct mth_input input;
    struct mth_sink sink;
    mth_input_source(&source, &input);
    mth_sink_memory(&out, &sink);
    *err = (struct mth_error){0};
    return mth_decompress(&input, NULL, &sink, &config, NULL, err);
}

/* Two bundles, the second of two chunks. */
static struct made *small(void)
{
    struct made *made = made_begin();
    made_add_tensor(made, "a", MTH_DTYPE_BF16, CHUNK_BYTES / 2);
    made_add_tensor(made, "b", MTH_DTYPE_BF16, 100);
    made_add_tensor(made, "c", MTH_DTYPE_U8, 100);
    made_fill(made);
    return made;
}

static void a_container_that_changes_while_it_is_read_is_refused_wherever_it_does(void **state)
{
    (void)state;
    struct made *made = small();
    struct mth_bytes container = made_compress(made->memory, 1, CHUNK_BYTES, "balanced", made, NULL, NULL);
    struct changing_source changing = {.bytes = container, .changed = UINT64_MAX};
    size_t n = (size_t)made->map.n_bytes, n_refused = 0;
    struct mth_error err;
    uint8_t *dst = malloc(n);
    assert_non_null(dst);
    assert_int_equal(decompress_at_offsets(&changing, made->memory, dst, n, &err), MTH_OK);
    assert_memory_equal(dst, made->data, n);
    for (changing.changed = 0; changing.changed < container.n_bytes; changing.changed++) {
        int status = decompress_at_offsets(&changing, made->memory, dst, n, &err);
        if (status == MTH_OK)
            assert_memory_equal(dst, made->data, n); /* in a head or an end that nobody read with more */
        else
            assert_true(status == MTH_ERR_CHECKSUM || status == MTH_ERR_CORRUPT);
        n_refused += status != MTH_OK;
    }
    assert_true(n_refused > container.n_bytes / 2);
    free(dst);
    made_container_free(container);
    made_free(made);
}

static void a_container_cut_anywhere_is_refused_when_read_at_offsets(void **state)
{
    (void)state;
    struct made *made = small();
    struct mth_bytes container = made_compress(made->memory, 1, CHUNK_BYTES, "store", made, NULL, NULL);
    size_t n = (size_t)made->map.n_bytes;
    struct mth_error err;
    uint8_t *dst = malloc(n);
    assert_non_null(dst);
    for (size_t cut = 0; cut < container.n_bytes; cut++) {
        struct changing_source changing = {.bytes = {container.data, cut}, .changed = UINT64_MAX};
        int status = decompress_at_offsets(&changing, made->memory, dst, n, &err);
        /* Too short for what its head promises is seen before the end is. */
        assert_true(status == MTH_ERR_TRUNCATED || status == MTH_ERR_CORRUPT ||
                    (status == MTH_ERR_FORMAT && cut < 4));
    }
    free(dst);
    made_container_free(container);
    made_free(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_that_takes_long_does_not_hold_up_the_next_two),
        cmocka_unit_test(the_first_failure_of_the_file_is_told_though_a_later_one_came_before_it),
        cmocka_unit_test(a_container_that_changes_while_it_is_read_is_refused_wherever_it_does),
        cmocka_unit_test(a_container_cut_anywhere_is_refused_when_read_at_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
