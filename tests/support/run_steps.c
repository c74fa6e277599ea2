/* A made-up training run; see run_steps.h. */
#include "tests/support/run_steps.h"

#include "base/checked.h"
#include "tests/support/patterns.h"
#include "tests/support/safetensors_builder.h"
#include "tests/support/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_ELEMS = 12000, N_ROWS = 600, ROW = 40 };

static void add_layer(struct safetensors_builder *builder, unsigned tensor, unsigned step)
{
    static uint8_t data[2 * N_ELEMS];
    char name[32];
    uint64_t seed = tensor;
    for (unsigned i = 0; i < N_ELEMS; i++)
        mth_store16(data + 2 * i,
                    (uint16_t)(0x3c00 + (pattern_random(&seed) & 0x3ff) + (i % 40 == step % 40 ? step : 0)));
    snprintf(name, sizeof name, "layers.%u.weight", tensor);
    safetensors_builder_add(builder, name, "BF16", (const uint64_t[]){N_ELEMS}, 1, data, sizeof data);
}

static void add_table(struct safetensors_builder *builder, unsigned step)
{
    static uint8_t data[4 * N_ROWS * ROW];
    for (uint32_t i = 0; i < N_ROWS * ROW; i++) {
        uint32_t moved = i / ROW % 7 == step % 7 ? step : 0;
        mth_store32(data + (size_t)4 * i, 0x3c000000 + ((i + moved) * 2654435761u >> 8));
    }
    safetensors_builder_add(builder, "users.emb.weight", "F32", (const uint64_t[]){N_ROWS, ROW}, 2, data,
                            sizeof data);
    safetensors_builder_add(builder, "bias", "F32", (const uint64_t[]){ROW}, 1, data, 4 * ROW);
}

struct mth_buffer run_step_make(enum run_kind kind, unsigned step, unsigned first, unsigned n_tensors)
{
    struct safetensors_builder builder = {0};
    if (kind == RUN_TABLE)
        add_table(&builder, step);
    for (unsigned t = first; kind == RUN_LAYERS && t < first + n_tensors; t++)
        add_layer(&builder, t, step);
    return safetensors_builder_finish(&builder, 0);
}

void run_step_write(const char *directory, const char *name, enum run_kind kind, unsigned step)
{
    struct mth_buffer file = run_step_make(kind, step, 0, 2);
    temp_dir_write(directory, name, file.data, file.n_bytes);
    free(file.data);
}

void run_steps_write(const char *directory, enum run_kind kind, unsigned n_steps)
{
    for (unsigned i = 1; i <= n_steps; i++) {
        char name[64];
        snprintf(name, sizeof name, "run/step-%u.safetensors", i);
        run_step_write(directory, name, kind, i);
    }
}
