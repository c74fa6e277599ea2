/* Checkpoints made up in memory; see made_checkpoint.h. */
#include "tests/support/made_checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t random_state = 1;

uint32_t made_random32(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

void made_add_tensor(struct made *made, const char *name, enum mth_dtype dtype, uint64_t n_elems)
{
    made_add_shaped(made, name, dtype, &n_elems, 1);
}

void made_add_shaped(struct made *made, const char *name, enum mth_dtype dtype, const uint64_t *shape,
                     size_t n_dims)
{
    uint64_t n_elems = 1;
    for (size_t i = 0; i < n_dims; i++)
        n_elems *= shape[i];
    uint64_t n_bytes = n_elems * mth_dtype_info(dtype)->bits / 8;
    struct mth_tensor tensor = {.n_elems = n_elems, .dtype = (uint8_t)dtype};
    assert_int_equal(mth_region_map_add_region(&made->map, made->map.n_bytes, n_bytes, dtype, &tensor.region),
                     0);
    if (dtype != MTH_DTYPE_OPAQUE)
        assert_int_equal(mth_region_map_add_tensor(&made->map, name, strlen(name), shape, n_dims, &tensor),
                         0);
    made->map.n_bytes += n_bytes;
}

/* Bytes like those of weights: a narrow range of exponents in the high byte of every pair. */
void made_fill(struct made *made)
{
    made->data = malloc(made->map.n_bytes + 1);
    assert_non_null(made->data);
    for (uint64_t i = 0; i < made->map.n_bytes; i++)
        made->data[i] = i & 1 ? (uint8_t)(0x3c + made_random32() % 3) : (uint8_t)made_random32();
    made->checkpoint = (struct mth_checkpoint){made->data, &made->map};
}

struct made *made_begin(void)
{
    struct made *made = calloc(1, sizeof *made);
    assert_non_null(made);
    made->memory = mth_memory_create(0);
    mth_region_map_init(&made->map, made->memory, "test", 0);
    return made;
}

void made_free(struct made *made)
{
    mth_region_map_free(&made->map);
    assert_int_equal(mth_memory_current(made->memory), 0);
    mth_memory_destroy(made->memory);
    free(made->data);
    free(made);
}

/* Every kind of trouble: opaque bytes, dtypes in turn, tensors below and above a chunk, one without a match. */
struct made *made_checkpoint(void)
{
    static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16, MTH_DTYPE_F32,     MTH_DTYPE_I64, MTH_DTYPE_F16,
                                            MTH_DTYPE_BOOL, MTH_DTYPE_F8_E4M3, MTH_DTYPE_F64};
    struct made *made = made_begin();
    char name[32];
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, 333);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "small.%u", i);
        made_add_tensor(made, name, dtypes[i % 7], 1 + i * 37);
    }
    made_add_tensor(made, "large", MTH_DTYPE_BF16, 30001);
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, 1);
    made_add_tensor(made, "new", MTH_DTYPE_BF16, 5000);
    made_fill(made);
    return made;
}

/* The same tensors without "new", in reverse, a few bytes changed. */
struct made *made_base(const struct made *of)
{
    struct made *made = made_begin();
    uint64_t at = 77;
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, at);
    for (size_t i = of->map.n_tensors; i-- > 0;) {
        const struct mth_tensor *tensor = &of->map.tensors[i];
        if (strcmp(mth_tensor_name(&of->map, tensor), "new") != 0)
            made_add_tensor(made, mth_tensor_name(&of->map, tensor), (enum mth_dtype)tensor->dtype,
                            tensor->n_elems);
    }
    made_fill(made);
    for (size_t i = of->map.n_tensors; i-- > 0;) {
        const struct mth_tensor *tensor = &of->map.tensors[i];
        if (strcmp(mth_tensor_name(&of->map, tensor), "new") == 0)
            continue;
        const struct mth_region *region = &of->map.regions[tensor->region];
        memcpy(made->data + at, of->data + region->offset, region->n_bytes);
        for (uint64_t j = 0; j < region->n_bytes; j += 200)
            made->data[at + j] ^= 1;
        at += region->n_bytes;
    }
    return made;
}

struct mth_coder *made_coder(struct mth_memory *memory, size_t n_threads, size_t chunk_bytes)
{
    struct mth_coder *coder;
    struct mth_error err = {0};
    struct mth_coder_config config = {.n_threads = n_threads, .chunk_bytes = chunk_bytes, .memory = memory};
    if (mth_coder_create(&config, &coder, &err))
        fail_msg("%s", err.text);
    return coder;
}

struct made_frame made_encode(struct mth_coder *coder, const char *spec, const struct made *input,
                              const struct made *base)
{
    struct mth_pipeline *pipeline;
    struct mth_error err = {0};
    struct made_frame frame = {0};
    size_t bound;
    if (mth_pipeline_parse(spec, base != NULL, &pipeline, &err))
        fail_msg("%s", err.text);
    assert_int_equal(mth_coder_bound(coder, &input->checkpoint, &bound), 0);
    frame.data = malloc(bound);
    assert_non_null(frame.data);
    if (mth_coder_encode(coder, pipeline, &input->checkpoint, base ? &base->checkpoint : NULL, base != NULL,
                         frame.data, bound, &frame.n_bytes, NULL, &err))
        fail_msg("%s: %s", spec, err.text);
    mth_pipeline_destroy(pipeline);
    return frame;
}

int made_decode(struct mth_coder *coder, struct made_frame frame, const struct made *base, uint8_t *dst,
                size_t n_bytes, struct mth_error *err)
{
    struct mth_bytes base_bytes = {0};
    if (base)
        base_bytes = (struct mth_bytes){base->data, base->map.n_bytes};
    return mth_coder_decode(coder, (struct mth_bytes){frame.data, frame.n_bytes}, &base_bytes, base != NULL,
                            dst, n_bytes, err);
}

void made_assert_restores(struct mth_coder *coder, struct made_frame frame, const struct made *input,
                          const struct made *base)
{
    struct mth_error err = {0};
    uint8_t *dst = malloc(input->map.n_bytes + 1);
    assert_non_null(dst);
    memset(dst, 0xa5, input->map.n_bytes + 1);
    if (made_decode(coder, frame, base, dst, input->map.n_bytes, &err))
        fail_msg("%s", err.text);
    assert_memory_equal(dst, input->data, input->map.n_bytes);
    assert_int_equal(dst[input->map.n_bytes], 0xa5);
    free(dst);
}
