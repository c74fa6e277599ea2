/* Laws of reading a container at offsets: the same bytes, only what is needed, and as the base of another. */
#include "base/checked.h"
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

/* Where the blocks of a container of one page lie, taken from its bytes as docs/container.md describes them. */
struct layout {
    uint64_t front_end;
    uint64_t page_bytes; /* of its block */
    uint64_t root_bytes;
    const uint8_t *entries;
    size_t n_entries;
};

static struct layout layout_of(struct mth_bytes container)
{
    const uint8_t *data = container.data;
    uint64_t root = mth_load64(data + container.n_bytes - 24), page = 24;
    struct layout layout = {.root_bytes = 16 + mth_load32(data + root + 4)};
    assert_int_equal(data[root], 7);
    while (data[page] != 6) {
        if (data[page] == 5 && layout.front_end == 0)
            layout.front_end = page;
        page += 16 + mth_load32(data + page + 4);
    }
    layout.page_bytes = 16 + mth_load32(data + page + 4);
    assert_int_equal(page + layout.page_bytes, root);
    layout.entries = data + page + 32;
    layout.n_entries = (size_t)(layout.page_bytes - 32) / 16;
    return layout;
}

/* The bytes of the blocks whose bundles cover some of a range of the original. */
static uint64_t blocks_of(const struct layout *layout, uint64_t offset, uint64_t n_bytes)
{
    uint64_t at = 0, total = 0;
    for (size_t i = 0; i < layout->n_entries; i++) {
        uint64_t n_raw = mth_load32(layout->entries + 16 * i);
        if (at < offset + n_bytes && offset < at + n_raw)
            total += mth_load32(layout->entries + 16 * i + 4);
        at += n_raw;
    }
    return total;
}

/* Several MiB in tensors of several sizes; chunks of 64 KiB. */
static struct made *several_mib(void)
{
    static const uint64_t n_elems[] = {400000, 100, 1000000, 32768, 700000, 5, 300000, 65536};
    struct made *made = made_begin();
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, 1000);
    for (size_t i = 0; i < sizeof n_elems / sizeof n_elems[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%zu", i);
        made_add_tensor(made, name, i % 3 == 2 ? MTH_DTYPE_F32 : MTH_DTYPE_BF16, n_elems[i]);
    }
    made_fill(made);
    return made;
}

/* Opens anew, reads elements of a tensor, and compares what was read of the file with what must be. */
static void assert_reads_exactly(struct mth_memory *memory, struct mth_bytes bytes, const struct made *input,
                                 const struct made *base, const struct mth_tensor *tensor, uint64_t first,
                                 uint64_t n_elems)
{
    struct counted counted = {.bytes = bytes}, counted_base = {0};
    struct mth_source source = counted_source(&counted), base_source, original;
    struct layout layout = layout_of(bytes);
    struct mth_error err = {0};
    struct mth_container *container = opened(&source, memory, 1);
    /* Head and front, the head of the block behind them, root, trailer. */
    assert_int_equal(counted.n_read, layout.front_end + 16 + layout.root_bytes + 24);
    struct mth_stream_base against;
    if (base) {
        counted_base.bytes = (struct mth_bytes){base->data, (size_t)base->map.n_bytes};
        base_source = counted_source(&counted_base);
        against = (struct mth_stream_base){.source = &base_source, .map = &base->map};
        assert_int_equal(mth_container_set_base(container, &against, &err), 0);
    }
    mth_container_source(container, &original);
    size_t elem_bytes = mth_dtype_lane_bytes((enum mth_dtype)tensor->dtype);
    uint8_t *dst = malloc((size_t)n_elems * elem_bytes + 1);
    counted.n_read = 0;
    if (mth_tensor_read(&original, &input->map, tensor, first, n_elems, dst, &err))
        fail_msg("%s", err.text);
    const struct mth_region *region = &input->map.regions[tensor->region];
    uint64_t at = region->offset + first * elem_bytes, n_bytes = n_elems * elem_bytes;
    assert_memory_equal(dst, input->data + at, (size_t)n_bytes);
    assert_int_equal(counted.n_read, layout.page_bytes + blocks_of(&layout, at, n_bytes));
    /* Of the base, no more than the bundles that were restored. */
    if (base)
        assert_in_range(counted_base.n_read, n_bytes, n_bytes + 2 * (64 << 10));
    free(dst);
    mth_container_close(container);
}

static void a_tensor_or_a_part_of_it_costs_the_index_and_its_own_bundles(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = several_mib(), *base = made_base(input);
    assert_true(input->map.n_bytes > 6 << 20);
    for (int with_base = 0; with_base < 2; with_base++) {
        const struct made *against = with_base ? base : NULL;
        struct mth_bytes bytes = made_compress(memory, 1, 64 << 10, "balanced", input, against, NULL);
        for (size_t i = 0; i < input->map.n_tensors; i++) {
            const struct mth_tensor *tensor = &input->map.tensors[i];
            uint64_t n = tensor->n_elems;
            assert_reads_exactly(memory, bytes, input, against, tensor, 0, n);
            assert_reads_exactly(memory, bytes, input, against, tensor, n / 3, 1);
            assert_reads_exactly(memory, bytes, input, against, tensor, n / 2, n / 4);
        }
        made_container_free(bytes);
    }
    made_free(input);
    made_free(base);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void what_the_regions_take_is_what_the_bundles_take(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = several_mib();
    struct mth_bytes bytes = made_compress(memory, 1, 64 << 10, "balanced", input, NULL, NULL);
    struct layout layout = layout_of(bytes);
    struct mth_source source;
    struct mth_error err;
    uint64_t total = 0, n_stored, all = blocks_of(&layout, 0, input->map.n_bytes);
    mth_source_memory("bytes", bytes, &source);
    struct mth_container *container = opened(&source, memory, 1);
    for (size_t i = 0; i < input->map.n_regions; i++) {
        const struct mth_region *region = &input->map.regions[i];
        assert_int_equal(
            mth_container_stored_bytes(container, region->offset, region->n_bytes, &n_stored, &err), 0);
        total += n_stored;
    }
    /* Each share is rounded down. */
    assert_in_range(total, all - 2 * layout.n_entries, all);
    assert_int_equal(mth_container_stored_bytes(container, 0, input->map.n_bytes, &n_stored, &err), 0);
    assert_int_equal(n_stored, all);
    assert_int_equal(mth_container_stored_bytes(container, 1, input->map.n_bytes, &n_stored, &err),
                     MTH_ERR_USAGE);
    mth_container_close(container);
    made_container_free(bytes);
    made_free(input);
    mth_memory_destroy(memory);
}

/* What does not look at the base is there without it: opaque bytes, tensors that the base lacks. */
static void without_its_base_a_container_gives_what_does_not_need_it(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = made_checkpoint(), *base = made_base(input);
    struct mth_bytes bytes = made_compress(memory, 1, 0, "balanced", input, base, NULL);
    struct mth_source source, original;
    mth_source_memory("bytes", bytes, &source);
    struct mth_container *container = opened(&source, memory, 1);
    mth_container_source(container, &original);
    uint8_t *dst = malloc((size_t)original.n_bytes);
    size_t n_given = 0, n_refused = 0;
    for (size_t i = 0; i < input->map.n_regions; i++) {
        const struct mth_region *region = &input->map.regions[i];
        struct mth_error err = {0};
        int status = mth_source_read(&original, region->offset, dst, (size_t)region->n_bytes, &err);
        bool needs = region->dtype != MTH_DTYPE_OPAQUE && status != MTH_OK;
        assert_int_equal(status, needs ? MTH_ERR_BASE : MTH_OK);
        if (!needs)
            assert_memory_equal(dst, input->data + region->offset, (size_t)region->n_bytes);
        n_given += !needs;
        n_refused += needs;
    }
    assert_true(n_given >= 2 && n_refused >= 5);
    /* With the base, all of it, also what had been looked for before. */
    struct made_base_source against;
    struct mth_error err = {0};
    made_base_source(base, &against);
    assert_int_equal(mth_container_set_base(container, &against.base, &err), 0);
    assert_int_equal(mth_source_read(&original, 0, dst, (size_t)original.n_bytes, &err), 0);
    assert_memory_equal(dst, input->data, (size_t)original.n_bytes);
    free(dst);
    mth_container_close(container);
    made_container_free(bytes);
    made_free(input);
    made_free(base);
    assert_int_equal(mth_memory_current(memory), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_range_reads_as_the_original),
        cmocka_unit_test(reading_one_range_takes_the_index_and_the_bundles_that_cover_it),
        cmocka_unit_test(a_tensor_or_a_part_of_it_costs_the_index_and_its_own_bundles),
        cmocka_unit_test(what_the_regions_take_is_what_the_bundles_take),
        cmocka_unit_test(without_its_base_a_container_gives_what_does_not_need_it),
        cmocka_unit_test(a_chain_of_containers_restores_its_last),
        cmocka_unit_test(more_readers_than_workers_all_read_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
