/*
 * Reads whatever comes as a container, in order and at offsets, in a build without checksum comparison, so that blocks,
 * plans, payloads and every codec behind them see hostile bytes. Input: one byte that says which base there is (0: none, 1: zeros,
 * 2: the training state that the golden containers of a step of Adam were coded against), then the container.
 */
#include "pipeline/mithril.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_RAW_BYTES = 1 << 20, BASE_BYTES = 4096, READ_BYTES = 5000, STATE_BYTES = 1 << 16 };

/* Read once; without it (a search that began elsewhere) inputs with the state have no base. */
static struct mth_bytes training_state(void)
{
    static uint8_t bytes[STATE_BYTES];
    static size_t n_bytes;
    static bool is_read;
    FILE *file = is_read ? NULL : fopen("tests/fixtures/states/adamw-bf16-11.pt", "rb");
    is_read = true;
    if (file) {
        n_bytes = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
    }
    return (struct mth_bytes){bytes, n_bytes};
}

static int discard(void *state, const void *data, size_t n_bytes, struct mth_error *err)
{
    (void)state, (void)data, (void)n_bytes, (void)err;
    return MTH_OK;
}

static void read_at_offsets(const struct mth_source *source, const struct mth_stream_base *base,
                            const struct mth_stream_config *config)
{
    static uint8_t dst[READ_BYTES];
    struct mth_container *container;
    struct mth_container_info info;
    struct mth_source original;
    struct mth_error err;
    if (mth_container_open(source, config, &container, &err))
        return;
    mth_container_describe(container, &info);
    if (base && info.has_base && mth_container_set_base(container, base, &err)) {
        mth_container_close(container);
        return;
    }
    mth_container_source(container, &original);
    if (original.n_bytes > 0) {
        size_t n = original.n_bytes < READ_BYTES ? (size_t)original.n_bytes : READ_BYTES;
        (void)mth_source_read(&original, 0, dst, n, &err);
        (void)mth_source_read(&original, original.n_bytes - n, dst, n, &err);
    }
    mth_container_close(container);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t base_bytes[BASE_BYTES];
    struct mth_source source, base_source;
    struct mth_input input;
    struct mth_error err;
    if (size < 1 + 16)
        return 0;
    /* What a head declares is no bomb, but would take its time. */
    uint64_t raw_bytes = 0;
    for (size_t i = 0; i < 8; i++)
        raw_bytes |= (uint64_t)data[1 + 8 + i] << 8 * i;
    if (raw_bytes > MAX_RAW_BYTES)
        return 0;
    mth_source_memory("fuzz", (struct mth_bytes){data + 1, size - 1}, &source);
    struct mth_bytes state = data[0] == 2 ? training_state() : (struct mth_bytes){0};
    mth_source_memory("base", state.n_bytes ? state : (struct mth_bytes){base_bytes, sizeof base_bytes},
                      &base_source);
    struct mth_stream_base base = {.source = &base_source};
    const struct mth_stream_base *given = data[0] & 1 || state.n_bytes ? &base : NULL;
    /* The limit turns an allocation that nothing justifies into an error, and the sanitizer's would be a crash. */
    struct mth_memory *memory = mth_memory_create((size_t)1 << 29);
    struct mth_stream_config config = {.n_threads = 1, .memory = memory};
    struct mth_sink sink = {.name = "nowhere", .write = discard, .fd = -1};
    if (!memory)
        return 0;
    mth_input_source(&source, &input);
    (void)mth_decompress(&input, given, &sink, &config, NULL, &err);
    mth_input_source(&source, &input);
    (void)mth_container_check(&input, NULL, &config, NULL, &err);
    read_at_offsets(&source, given, &config);
    if (mth_memory_current(memory) != 0)
        abort();
    mth_memory_destroy(memory);
    return 0;
}
