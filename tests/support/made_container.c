/* Containers of made-up checkpoints; see made_container.h. */
#include "tests/support/made_container.h"

#include "base/checked.h"
#include "pipeline/container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void made_base_source(const struct made *made, struct made_base_source *out)
{
    mth_source_memory("base", (struct mth_bytes){made->data, made->map.n_bytes}, &out->source);
    out->base = (struct mth_stream_base){.source = &out->source, .map = &made->map};
}

struct mth_stream_config made_config(struct mth_memory *memory, size_t n_threads, size_t chunk_bytes)
{
    return (struct mth_stream_config){.n_threads = n_threads, .chunk_bytes = chunk_bytes, .memory = memory};
}

struct mth_bytes made_compress(struct mth_memory *memory, size_t n_threads, size_t chunk_bytes,
                               const char *spec, const struct made *input, const struct made *base,
                               struct mth_container_stats *stats)
{
    struct mth_stream_config config = made_config(memory, n_threads, chunk_bytes);
    struct made_base_source against;
    struct mth_pipeline *pipeline;
    struct mth_source source;
    struct mth_sink sink;
    struct mth_error err = {0};
    struct mth_buffer out = {.capacity_bytes = 2 * input->map.n_bytes + (1 << 20)};
    out.data = malloc(out.capacity_bytes);
    assert_non_null(out.data);
    mth_sink_memory(&out, &sink);
    mth_source_memory("made", (struct mth_bytes){input->data, input->map.n_bytes}, &source);
    if (base)
        made_base_source(base, &against);
    if (mth_pipeline_parse(spec, base != NULL, &pipeline, &err) ||
        mth_compress(pipeline, &source, &input->map, base ? &against.base : NULL, NULL, &sink, &config, stats,
                     &err))
        fail_msg("%s: %s", spec, err.text);
    mth_pipeline_destroy(pipeline);
    return (struct mth_bytes){out.data, out.n_bytes};
}

void made_container_free(struct mth_bytes container)
{
    free((void *)(uintptr_t)container.data);
}

static int put_in_order(void *state, const void *data, size_t n_bytes, struct mth_error *err)
{
    struct mth_sink inner;
    mth_sink_memory(state, &inner);
    return mth_sink_put(&inner, data, n_bytes, err);
}

int made_decompress(struct mth_memory *memory, size_t n_threads, struct mth_bytes container,
                    const struct made *base, bool in_order, uint8_t *dst, size_t n_bytes,
                    struct mth_error *err)
{
    struct mth_stream_config config = made_config(memory, n_threads, 0);
    struct mth_buffer out = {.data = dst, .capacity_bytes = n_bytes};
    struct made_base_source against;
    struct mth_source source;
    struct mth_input input;
    struct mth_sink sink;
    mth_source_memory("container", container, &source);
    mth_input_source(&source, &input);
    mth_sink_memory(&out, &sink);
    if (in_order)
        sink = (struct mth_sink){.name = "in order", .write = put_in_order, .state = &out, .fd = -1};
    if (base)
        made_base_source(base, &against);
    int status = mth_decompress(&input, base ? &against.base : NULL, &sink, &config, NULL, err);
    if (!status)
        assert_int_equal(out.n_bytes, n_bytes);
    return status;
}

void made_assert_container(struct mth_memory *memory, size_t n_threads, struct mth_bytes container,
                           const struct made *input, const struct made *base)
{
    size_t n_bytes = (size_t)input->map.n_bytes;
    uint8_t *dst = malloc(n_bytes + 1);
    assert_non_null(dst);
    for (int in_order = 0; in_order < 2; in_order++) {
        struct mth_error err = {0};
        memset(dst, 0xa5, n_bytes + 1);
        if (made_decompress(memory, n_threads, container, base, in_order, dst, n_bytes, &err))
            fail_msg("%s", err.text);
        assert_memory_equal(dst, input->data, n_bytes);
        assert_int_equal(dst[n_bytes], 0xa5);
    }
    free(dst);
}

void made_repair(uint8_t *data, size_t n_bytes)
{
    uint64_t numbers[2] = {0}; /* of the front, of bundles */
    size_t at = MTH_HEAD_BYTES;
    while (at + MTH_BLOCK_HEAD_BYTES <= n_bytes) {
        uint8_t type = data[at];
        size_t n = mth_load32(data + at + 4);
        if (type < MTH_BLOCK_SPEC || type > MTH_BLOCK_LAYOUT || type == MTH_BLOCK_INDEX ||
            type == MTH_BLOCK_ROOT || n > n_bytes - at - MTH_BLOCK_HEAD_BYTES)
            return;
        struct mth_bytes body = {data + at + MTH_BLOCK_HEAD_BYTES, n};
        mth_block_put_head((enum mth_block_type)type, body, numbers[type == MTH_BLOCK_BUNDLE]++, data + at);
        at += MTH_BLOCK_HEAD_BYTES + n;
    }
}

size_t made_assert_comes_back(size_t chunk_bytes, const struct made *input, const struct made *base,
                              const char *spec)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_bytes bytes = made_compress(memory, 2, chunk_bytes, spec, input, base, NULL);
    made_assert_container(memory, 1, bytes, input, base);
    size_t n_bytes = bytes.n_bytes;
    made_container_free(bytes);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    return n_bytes;
}
