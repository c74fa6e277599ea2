/* Generates the dataset small-model; see small_model.h. */
#include "datasets/small_model.h"

#include "base/checked.h"
#include "base/file.h"
#include "datasets/drawn.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 4 layers of width 256 and a vocabulary that brings the whole to 4,999,936 elements, just below 10 MB. */
enum { MTH_LAYERS = 4, MTH_WIDTH = 256, MTH_MLP = 1024, MTH_VOCABULARY = 7189 };

/*
 * A tensor's elements are mean + scale * row * z, z from a normal distribution. scale and mean count 2^-16;
 * row is a factor of each row between 0.75 and 1.25 where the tensor is a matrix, because the rows of trained
 * matrices differ.
 */
struct tensor {
    const char *name; /* %u is the layer */
    uint32_t rows;    /* 0 for a vector */
    uint32_t columns;
    uint32_t scale;
    uint32_t mean;
};

/* The scales are those of trained transformers of this size: about 0.02 to 0.08, norms near 1, small biases.
 */
static const struct tensor first[] = {{"model.embed_tokens.weight", MTH_VOCABULARY, MTH_WIDTH, 3277, 0}};

static const struct tensor layer[] = {
    {"model.layers.%u.input_layernorm.bias", 0, MTH_WIDTH, 3932, 0},
    {"model.layers.%u.input_layernorm.weight", 0, MTH_WIDTH, 4588, 62259},
    {"model.layers.%u.mlp.down_proj.bias", 0, MTH_WIDTH, 2294, 0},
    {"model.layers.%u.mlp.down_proj.weight", MTH_WIDTH, MTH_MLP, 2294, 0},
    {"model.layers.%u.mlp.up_proj.bias", 0, MTH_MLP, 1966, 0},
    {"model.layers.%u.mlp.up_proj.weight", MTH_MLP, MTH_WIDTH, 2949, 0},
    {"model.layers.%u.post_attention_layernorm.bias", 0, MTH_WIDTH, 4260, 0},
    {"model.layers.%u.post_attention_layernorm.weight", 0, MTH_WIDTH, 3277, 73400},
    {"model.layers.%u.self_attn.k_proj.bias", 0, MTH_WIDTH, 655, 0},
    {"model.layers.%u.self_attn.k_proj.weight", MTH_WIDTH, MTH_WIDTH, 3604, 0},
    {"model.layers.%u.self_attn.o_proj.bias", 0, MTH_WIDTH, 1638, 0},
    {"model.layers.%u.self_attn.o_proj.weight", MTH_WIDTH, MTH_WIDTH, 1966, 0},
    {"model.layers.%u.self_attn.q_proj.bias", 0, MTH_WIDTH, 7864, 0},
    {"model.layers.%u.self_attn.q_proj.weight", MTH_WIDTH, MTH_WIDTH, 3604, 0},
    {"model.layers.%u.self_attn.v_proj.bias", 0, MTH_WIDTH, 1311, 0},
    {"model.layers.%u.self_attn.v_proj.weight", MTH_WIDTH, MTH_WIDTH, 2294, 0},
};

static const struct tensor last[] = {
    {"model.norm.bias", 0, MTH_WIDTH, 8192, 0},
    {"model.norm.weight", 0, MTH_WIDTH, 6881, 98304},
};

enum {
    MTH_N_FIRST = sizeof first / sizeof first[0],
    MTH_N_LAYER = sizeof layer / sizeof layer[0],
    MTH_N_LAST = sizeof last / sizeof last[0],
    MTH_N_TENSORS = MTH_N_FIRST + MTH_LAYERS * MTH_N_LAYER + MTH_N_LAST
};

static const struct tensor *tensor_at(size_t index)
{
    const size_t n_in_layers = (size_t)MTH_LAYERS * MTH_N_LAYER;
    if (index < MTH_N_FIRST)
        return &first[index];
    index -= MTH_N_FIRST;
    return index < n_in_layers ? &layer[index % MTH_N_LAYER] : &last[index - n_in_layers];
}

static size_t tensor_elems(const struct tensor *tensor)
{
    return (size_t)(tensor->rows ? tensor->rows : 1) * tensor->columns;
}

size_t mth_small_model_elems(void)
{
    size_t n = 0;
    for (size_t i = 0; i < MTH_N_TENSORS; i++)
        n += tensor_elems(tensor_at(i));
    return n;
}

static void fill_tensor(size_t index, uint8_t *dst)
{
    const struct tensor *tensor = tensor_at(index);
    const uint64_t model_seed = UINT64_C(0x6d69746872696c); /* "mithril" */
    uint64_t seed = mth_drawn_bits(model_seed, 2 * index),
             row_seed = mth_drawn_bits(model_seed, 2 * index + 1);
    size_t rows = tensor->rows ? tensor->rows : 1;
    for (size_t r = 0; r < rows; r++) {
        /* In 2^-8: 192 .. 319. */
        int64_t row = tensor->rows ? 192 + (int64_t)(mth_drawn_bits(row_seed, r) >> 57) : 256;
        int64_t factor = row * tensor->scale;
        for (size_t c = 0; c < tensor->columns; c++) {
            size_t i = r * tensor->columns + c;
            /* 2^-21 of z, 2^-16 of scale and 2^-8 of row; below 2^24 * 2^13 * 2^9, far from overflow. */
            int64_t value = mth_drawn_normal(seed, i) * factor + (int64_t)tensor->mean * (INT64_C(1) << 29);
            mth_store16(dst + 2 * i, mth_drawn_bf16(value));
        }
    }
}

void mth_small_model_fill(uint8_t *dst)
{
    for (size_t i = 0; i < MTH_N_TENSORS; i++) {
        fill_tensor(i, dst);
        dst += 2 * tensor_elems(tensor_at(i));
    }
}

/* The JSON header of the safetensors file, padded with spaces to a multiple of 8. Returns its length. */
static size_t write_header(char *text, size_t capacity)
{
    size_t n = (size_t)snprintf(text, capacity, "{\"__metadata__\":{\"format\":\"pt\"}");
    size_t offset = 0;
    for (size_t i = 0; i < MTH_N_TENSORS; i++) {
        const struct tensor *tensor = tensor_at(i);
        char name[64], shape[32];
        snprintf(name, sizeof name, tensor->name, (unsigned)((i - MTH_N_FIRST) / MTH_N_LAYER));
        if (tensor->rows)
            snprintf(shape, sizeof shape, "%" PRIu32 ",%" PRIu32, tensor->rows, tensor->columns);
        else
            snprintf(shape, sizeof shape, "%" PRIu32, tensor->columns);
        size_t end = offset + 2 * tensor_elems(tensor);
        n += (size_t)snprintf(text + n, capacity - n,
                              ",\"%s\":{\"dtype\":\"BF16\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", name,
                              shape, offset, end);
        offset = end;
    }
    text[n++] = '}';
    while (n % 8)
        text[n++] = ' ';
    return n;
}

static int write_safetensors(const char *path, struct mth_bytes elements, struct mth_error *err)
{
    /* A tensor's line has at most 63 bytes of name and 100 of the rest. */
    char header[MTH_N_TENSORS * 192 + 64];
    uint8_t length[8];
    size_t n_header = write_header(header, sizeof header);
    mth_store64(length, n_header);
    struct mth_file_writer *writer;
    int status = mth_file_writer_open(path, &writer, err);
    if (status)
        return status;
    if ((status = mth_file_writer_write(writer, length, sizeof length, err)) ||
        (status = mth_file_writer_write(writer, header, n_header, err)) ||
        (status = mth_file_writer_write(writer, elements.data, elements.n_bytes, err))) {
        mth_file_writer_abort(writer);
        return status;
    }
    return mth_file_writer_commit(writer, err);
}

int mth_small_model_write(const char *raw_path, const char *safetensors_path, struct mth_error *err)
{
    size_t n_bytes = 2 * mth_small_model_elems();
    uint8_t *data = malloc(n_bytes);
    if (!data)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "small-model: no memory for its %zu bytes", n_bytes);
    mth_small_model_fill(data);
    struct mth_bytes elements = {.data = data, .n_bytes = n_bytes};
    int status = raw_path ? mth_file_write_all(raw_path, elements, err) : MTH_OK;
    if (!status && safetensors_path)
        status = write_safetensors(safetensors_path, elements, err);
    free(data);
    return status;
}
