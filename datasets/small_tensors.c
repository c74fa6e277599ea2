/* Generates the datasets many-tensors, thousands-of-tensors and one-tensor; see small_tensors.h. */
#include "datasets/small_tensors.h"

#include "base/checked.h"
#include "base/file.h"
#include "datasets/drawn.h"

#include <stdio.h>
#include <stdlib.h>

/* A mixture of experts of 100 layers: many tensors that each count for little. */
enum {
    EXPERTS = 1000, /* a layer */
    MIN_ELEMS = 64,
    MAX_ELEMS = 960,
    NAME_BYTES = 64,
    LINE_BYTES = 160, /* of a tensor in the header: its name and at most 96 beside it */
    ENDS_BYTES = 256
};

static const uint64_t seed = UINT64_C(0x74656e736f7273); /* "tensors" */

size_t mth_small_tensor_elems(size_t index)
{
    return MIN_ELEMS + (size_t)(mth_drawn_bits(seed, index) % (MAX_ELEMS - MIN_ELEMS + 1));
}

size_t mth_small_tensors_elems(void)
{
    size_t n = 0;
    for (size_t i = 0; i < MTH_SMALL_TENSORS; i++)
        n += mth_small_tensor_elems(i);
    return n;
}

void mth_small_tensor_fill(size_t index, uint8_t *dst)
{
    uint64_t own = mth_drawn_bits(~seed, index);
    /* Counts 2^-16: standard deviations of 0.02 to 0.08, as in trained transformers. 2^-21 of the variate and another
     * 2^-8 make the 2^-45 of a drawn bf16. */
    int64_t factor = (1311 + (int64_t)(own % 3932)) * 256;
    size_t n = mth_small_tensor_elems(index);
    for (size_t i = 0; i < n; i++)
        mth_store16(dst + 2 * i, mth_drawn_bf16(mth_drawn_normal(own, i) * factor));
}

static size_t put_tensor(char *text, size_t capacity, const char *name, size_t n_elems, size_t begin)
{
    return (size_t)snprintf(text, capacity,
                            ",\"%s\":{\"dtype\":\"BF16\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}", name,
                            n_elems, begin, begin + 2 * n_elems);
}

/* The JSON header, padded with spaces to a multiple of 8. Returns its length. */
static size_t write_header(size_t n_joined, char *text, size_t capacity)
{
    size_t n = (size_t)snprintf(text, capacity, "{\"__metadata__\":{\"format\":\"pt\"}");
    size_t offset = 0, n_tensors = MTH_SMALL_TENSORS / n_joined;
    for (size_t i = 0; i < n_tensors; i++) {
        char name[NAME_BYTES] = "weight";
        if (n_tensors > 1)
            snprintf(name, sizeof name, "layers.%zu.experts.%zu.weight", i / EXPERTS, i % EXPERTS);
        size_t n_elems = 0;
        for (size_t k = 0; k < n_joined; k++)
            n_elems += mth_small_tensor_elems(i * n_joined + k);
        n += put_tensor(text + n, capacity - n, name, n_elems, offset);
        offset += 2 * n_elems;
    }
    text[n++] = '}';
    while (n % 8)
        text[n++] = ' ';
    return n;
}

static int write_all(const char *path, struct mth_bytes header, struct mth_bytes elements,
                     struct mth_error *err)
{
    uint8_t length[8];
    struct mth_file_writer *writer;
    mth_store64(length, header.n_bytes);
    int status = mth_file_writer_open(path, &writer, err);
    if (status)
        return status;
    if ((status = mth_file_writer_write(writer, length, sizeof length, err)) ||
        (status = mth_file_writer_write(writer, header.data, header.n_bytes, err)) ||
        (status = mth_file_writer_write(writer, elements.data, elements.n_bytes, err))) {
        mth_file_writer_abort(writer);
        return status;
    }
    return mth_file_writer_commit(writer, err);
}

int mth_small_tensors_write(const char *path, size_t n_joined, struct mth_error *err)
{
    size_t capacity = ENDS_BYTES + MTH_SMALL_TENSORS / n_joined * LINE_BYTES;
    size_t n_bytes = 2 * mth_small_tensors_elems();
    char *header = malloc(capacity);
    uint8_t *data = malloc(n_bytes), *at = data;
    int status = MTH_OK;
    if (!header || !data)
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its %zu bytes", path, n_bytes);
    for (size_t i = 0; !status && i < MTH_SMALL_TENSORS; i++) {
        mth_small_tensor_fill(i, at);
        at += 2 * mth_small_tensor_elems(i);
    }
    if (!status)
        status = write_all(
            path, (struct mth_bytes){(const uint8_t *)header, write_header(n_joined, header, capacity)},
            (struct mth_bytes){data, n_bytes}, err);
    free(header);
    free(data);
    return status;
}
