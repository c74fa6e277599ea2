/* Small tensors that were trained, far apart among ones that rest: they stand together and share a chunk. */
#include "base/checked.h"
#include "tests/support/made_container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t *tensor_data(struct made *made, size_t tensor)
{
    return made->data + made->map.regions[made->map.tensors[tensor].region].offset;
}

/* Layers too large to share a bundle, and adapters of two sizes between them; those a step from before, if that is given. */
static struct made *scattered_checkpoint(const struct made *before, size_t n_others)
{
    enum { N_LAYERS = 9, LAYER_ELEMS = 1 << 19, ADAPTER_ELEMS = 3 << 10 };
    struct made *made = made_begin();
    char name[32];
    for (size_t i = 0; i < N_LAYERS; i++) {
        snprintf(name, sizeof name, "adapters.%zu.a", i);
        made_add_tensor(made, name, MTH_DTYPE_BF16, ADAPTER_ELEMS + (i < n_others ? 1 : 0));
        snprintf(name, sizeof name, "layers.%zu", i);
        made_add_tensor(made, name, MTH_DTYPE_BF16, LAYER_ELEMS);
        snprintf(name, sizeof name, "adapters.%zu.b", i);
        made_add_tensor(made, name, MTH_DTYPE_BF16, 2 * ADAPTER_ELEMS);
    }
    made_fill(made);
    if (!before)
        return made;
    memcpy(made->data, before->data, (size_t)made->map.n_bytes);
    for (size_t t = 0; t < made->map.n_tensors; t += t % 3 ? 1 : 2) {
        for (size_t i = 0; i < ADAPTER_ELEMS; i += 1 + i % 5)
            tensor_data(made, t)[2 * i] ^= 1;
    }
    return made;
}

/* What is trained between layers that rest stands together: one chunk, but for a tensor that has none of its size beside it. */
static void small_tensors_that_are_trained_far_apart_share_a_chunk(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    for (size_t n_others = 0; n_others <= 1; n_others++) {
        struct made *base = scattered_checkpoint(NULL, n_others),
                    *input = scattered_checkpoint(base, n_others);
        struct mth_container_stats stats;
        struct mth_bytes container = made_compress(memory, 1, 0, "balanced", input, base, &stats),
                         again = made_compress(memory, 2, 0, "balanced", input, base, NULL);
        made_assert_container(memory, 2, container, input, base);
        assert_int_equal(stats.n_chunks - stats.n_chunks_copied, 1 + n_others);
        assert_int_equal(container.n_bytes, again.n_bytes);
        assert_memory_equal(container.data, again.data, container.n_bytes);
        made_container_free(container);
        made_container_free(again);
        made_free(base);
        made_free(input);
    }
    mth_memory_destroy(memory);
}

/* A scattered checkpoint with one in three elements of its adapters moved by steps of the last place. */
static struct made *stepped(const struct made *from, int steps)
{
    struct made *made = scattered_checkpoint(from, 0);
    memcpy(made->data, from->data, (size_t)made->map.n_bytes);
    for (size_t t = 0; t < made->map.n_tensors; t += t % 3 ? 1 : 2) {
        for (size_t i = 0; i < made->map.tensors[t].n_elems; i += 3) {
            uint8_t *lane = tensor_data(made, t) + 2 * i;
            mth_store16(lane, (uint16_t)(mth_load16(lane) + (*lane & 8 ? steps : -steps)));
        }
    }
    return made;
}

/* The same with an older base, which tells the way that they go. */
static void small_tensors_that_share_a_chunk_have_an_older_base(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *base = scattered_checkpoint(NULL, 0), *input = stepped(base, 1), *older = stepped(base, -1);
    struct mth_container_stats stats;
    struct made_base_source before, against;
    made_base_source(older, &before);
    made_base_source(base, &against);
    struct mth_bytes one = made_compress(memory, 1, 0, "balanced", input, base, &stats);
    uint8_t *bytes[2] = {malloc(2 * one.n_bytes), malloc((size_t)input->map.n_bytes)};
    assert_true(bytes[0] && bytes[1]);
    struct mth_buffer container = {.data = bytes[0], .capacity_bytes = 2 * one.n_bytes},
                      restored = {.data = bytes[1], .capacity_bytes = (size_t)input->map.n_bytes};
    struct mth_stream_config config = made_config(memory, 2, 0);
    struct mth_pipeline *pipeline;
    struct mth_source source;
    struct mth_input packed;
    struct mth_sink sink;
    struct mth_error err = {0};
    against.base.older = &before.base;
    mth_source_memory("made", (struct mth_bytes){input->data, (size_t)input->map.n_bytes}, &source);
    mth_sink_memory(&container, &sink);
    assert_int_equal(mth_pipeline_parse("balanced", true, &pipeline, &err), 0);
    if (mth_compress(pipeline, &source, &input->map, &against.base, NULL, &sink, &config, &stats, &err))
        fail_msg("%s", err.text);
    mth_pipeline_destroy(pipeline);
    assert_int_equal(stats.n_chunks - stats.n_chunks_copied, 1);
    assert_true(container.n_bytes + 2000 < one.n_bytes);
    mth_source_memory("container", (struct mth_bytes){container.data, container.n_bytes}, &source);
    mth_input_source(&source, &packed);
    mth_sink_memory(&restored, &sink);
    if (mth_decompress(&packed, &against.base, &sink, &config, NULL, &err))
        fail_msg("%s", err.text);
    assert_int_equal(restored.n_bytes, input->map.n_bytes);
    assert_memory_equal(restored.data, input->data, restored.n_bytes);
    free(bytes[0]);
    free(bytes[1]);
    made_container_free(one);
    made_free(base);
    made_free(input);
    made_free(older);
    mth_memory_destroy(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_tensors_that_are_trained_far_apart_share_a_chunk),
        cmocka_unit_test(small_tensors_that_share_a_chunk_have_an_older_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
