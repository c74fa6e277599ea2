/* Laws of coding a checkpoint in memory: exact, the same bytes on any number of threads, and hostile frames refused. */
#include "pipeline/mithril.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A checkpoint made up in memory, with a base whose tensors lie in another order. */
struct made {
    struct mth_memory *memory;
    struct mth_region_map map;
    uint8_t *data;
    struct mth_checkpoint checkpoint;
};

static uint64_t random_state = 1;

static uint32_t random32(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

static void add_tensor(struct made *made, const char *name, enum mth_dtype dtype, uint64_t n_elems)
{
    uint64_t n_bytes = n_elems * mth_dtype_info(dtype)->bits / 8;
    struct mth_tensor tensor = {.n_elems = n_elems, .dtype = (uint8_t)dtype};
    assert_int_equal(mth_region_map_add_region(&made->map, made->map.n_bytes, n_bytes, dtype, &tensor.region), 0);
    if (dtype != MTH_DTYPE_OPAQUE)
        assert_int_equal(mth_region_map_add_tensor(&made->map, name, strlen(name), &n_elems, 1, &tensor), 0);
    made->map.n_bytes += n_bytes;
}

/* Bytes like those of weights: a narrow range of exponents in the high byte of every pair. */
static void fill(struct made *made)
{
    made->data = malloc(made->map.n_bytes + 1);
    assert_non_null(made->data);
    for (uint64_t i = 0; i < made->map.n_bytes; i++)
        made->data[i] = i & 1 ? (uint8_t)(0x3c + random32() % 3) : (uint8_t)random32();
    made->checkpoint = (struct mth_checkpoint){made->data, &made->map};
}

static struct made *begin_made(void)
{
    struct made *made = calloc(1, sizeof *made);
    assert_non_null(made);
    made->memory = mth_memory_create(0);
    mth_region_map_init(&made->map, made->memory, "test", 0);
    return made;
}

static void free_made(struct made *made)
{
    mth_region_map_free(&made->map);
    assert_int_equal(mth_memory_current(made->memory), 0);
    mth_memory_destroy(made->memory);
    free(made->data);
    free(made);
}

/* Every kind of trouble: opaque bytes, dtypes in turn, tensors below and above a chunk, one without a match. */
static struct made *make_checkpoint(void)
{
    static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16, MTH_DTYPE_F32, MTH_DTYPE_I64, MTH_DTYPE_F16,
                                            MTH_DTYPE_BOOL, MTH_DTYPE_F8_E4M3, MTH_DTYPE_F64};
    struct made *made = begin_made();
    char name[32];
    add_tensor(made, "", MTH_DTYPE_OPAQUE, 333);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "small.%u", i);
        add_tensor(made, name, dtypes[i % 7], 1 + i * 37);
    }
    add_tensor(made, "large", MTH_DTYPE_BF16, 30001);
    add_tensor(made, "", MTH_DTYPE_OPAQUE, 1);
    add_tensor(made, "new", MTH_DTYPE_BF16, 5000);
    fill(made);
    return made;
}

/* The same tensors without "new", in reverse, a few bytes changed. */
static struct made *make_base(const struct made *of)
{
    struct made *made = begin_made();
    uint64_t at = 77;
    add_tensor(made, "", MTH_DTYPE_OPAQUE, at);
    for (size_t i = of->map.n_tensors; i-- > 0;) {
        const struct mth_tensor *tensor = &of->map.tensors[i];
        if (strcmp(mth_tensor_name(&of->map, tensor), "new") != 0)
            add_tensor(made, mth_tensor_name(&of->map, tensor), (enum mth_dtype)tensor->dtype, tensor->n_elems);
    }
    fill(made);
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

static struct mth_coder *new_coder(struct mth_memory *memory, size_t n_threads, size_t chunk_bytes)
{
    struct mth_coder *coder;
    struct mth_error err = {0};
    struct mth_coder_config config = {.n_threads = n_threads, .chunk_bytes = chunk_bytes, .memory = memory};
    if (mth_coder_create(&config, &coder, &err))
        fail_msg("%s", err.text);
    return coder;
}

struct frame {
    uint8_t *data;
    size_t n_bytes;
};

static struct frame encode(struct mth_coder *coder, const char *spec, const struct made *input,
                           const struct made *base)
{
    struct mth_pipeline *pipeline;
    struct mth_error err = {0};
    struct frame frame = {0};
    size_t bound;
    if (mth_pipeline_parse(spec, base != NULL, &pipeline, &err))
        fail_msg("%s", err.text);
    assert_int_equal(mth_coder_bound(coder, &input->checkpoint, &bound), 0);
    frame.data = malloc(bound);
    assert_non_null(frame.data);
    if (mth_coder_encode(coder, pipeline, &input->checkpoint, base ? &base->checkpoint : NULL, frame.data, bound,
                         &frame.n_bytes, NULL, &err))
        fail_msg("%s: %s", spec, err.text);
    mth_pipeline_destroy(pipeline);
    return frame;
}

static int decode(struct mth_coder *coder, struct frame frame, const struct made *base, uint8_t *dst, size_t n_bytes,
                  struct mth_error *err)
{
    struct mth_bytes base_bytes = {0};
    if (base)
        base_bytes = (struct mth_bytes){base->data, base->map.n_bytes};
    return mth_coder_decode(coder, (struct mth_bytes){frame.data, frame.n_bytes}, base ? &base_bytes : NULL, dst,
                            n_bytes, err);
}

static void assert_restores(struct mth_coder *coder, struct frame frame, const struct made *input,
                            const struct made *base)
{
    struct mth_error err = {0};
    uint8_t *dst = malloc(input->map.n_bytes + 1);
    assert_non_null(dst);
    memset(dst, 0xa5, input->map.n_bytes + 1);
    if (decode(coder, frame, base, dst, input->map.n_bytes, &err))
        fail_msg("%s", err.text);
    assert_memory_equal(dst, input->data, input->map.n_bytes);
    assert_int_equal(dst[input->map.n_bytes], 0xa5);
    free(dst);
}

static const char *const specs_alone[] = {
    "store",
    "zstd:level=1",
    "seed",
    "balanced",
    "byte-group+store/zstd",
    "byte-group:width=3+zstd",
    "bit-shuffle+zstd:level=1",
    "exponent-split+zstd/byte-group+store",
    "exponent-split+byte-group+zstd//store/bit-shuffle+zstd",
};
static const char *const specs_delta[] = {
    "seed",
    "balanced",
    "delta-xor+store",
    "delta-sub+byte-group+zstd",
    "delta-ulp+exponent-split+zstd/store",
    "byte-group+delta-xor+zstd:level=1/delta-sub+store",
    "zstd:prefix=yes",
    "byte-group+zstd:prefix=yes",
    "delta-xor+byte-group+zstd:prefix=yes",
};
enum { N_ALONE = sizeof specs_alone / sizeof specs_alone[0], N_DELTA = sizeof specs_delta / sizeof specs_delta[0] };

static void every_spec_restores_the_same_bytes_on_any_number_of_threads(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = make_checkpoint();
    struct made *base = make_base(input);
    struct mth_coder *one = new_coder(memory, 1, 4096);
    struct mth_coder *three = new_coder(memory, 3, 4096);
    struct mth_coder *fresh = new_coder(memory, 2, 1 << 20);

    for (size_t i = 0; i < N_ALONE + N_DELTA; i++) {
        const char *spec = i < N_ALONE ? specs_alone[i] : specs_delta[i - N_ALONE];
        const struct made *against = i < N_ALONE ? NULL : base;
        struct frame a = encode(one, spec, input, against);
        struct frame b = encode(three, spec, input, against);
        assert_int_equal(a.n_bytes, b.n_bytes);
        assert_memory_equal(a.data, b.data, a.n_bytes);
        assert_restores(one, a, input, against);
        assert_restores(three, a, input, against);
        assert_restores(fresh, a, input, against);
        free(a.data);
        free(b.data);
    }
    mth_coder_destroy(one);
    mth_coder_destroy(three);
    mth_coder_destroy(fresh);
    free_made(input);
    free_made(base);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void a_checkpoint_of_any_small_length_restores(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = new_coder(memory, 2, 4096);
    for (uint64_t n = 0; n < 70; n++) {
        struct made *input = begin_made();
        if (n)
            add_tensor(input, "t", MTH_DTYPE_BF16, n);
        fill(input);
        struct frame frame = encode(coder, "balanced", input, NULL);
        assert_restores(coder, frame, input, NULL);
        free(frame.data);
        free_made(input);
    }
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

static void a_base_makes_the_frame_smaller_and_small_tensors_share_chunks(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = new_coder(memory, 1, 0);
    struct made *input = make_checkpoint();
    struct made *base = make_base(input);
    struct frame alone = encode(coder, "seed", input, NULL);
    struct frame delta = encode(coder, "seed", input, base);
    assert_true(delta.n_bytes * 3 < alone.n_bytes);

    struct mth_pipeline *pipeline;
    struct mth_frame_stats stats;
    struct mth_error err;
    assert_int_equal(mth_pipeline_parse("seed", false, &pipeline, &err), 0);
    assert_int_equal(mth_coder_encode(coder, pipeline, &input->checkpoint, NULL, alone.data, alone.n_bytes,
                                      &alone.n_bytes, &stats, &err),
                     0);
    /* One chunk for each dtype: all 43 tensors are small beside a chunk. */
    assert_int_equal(stats.n_chunks, 8);
    mth_pipeline_destroy(pipeline);
    free(alone.data);
    free(delta.data);
    free_made(input);
    free_made(base);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

static void another_base_is_refused_before_anything_is_written(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = new_coder(memory, 2, 4096);
    struct made *input = make_checkpoint();
    struct made *base = make_base(input);
    struct frame frame = encode(coder, "seed", input, base);
    uint8_t *dst = calloc(1, input->map.n_bytes);
    struct mth_error err = {0};

    base->data[base->map.n_bytes / 2] ^= 1;
    assert_int_equal(decode(coder, frame, base, dst, input->map.n_bytes, &err), MTH_ERR_BASE);
    base->data[base->map.n_bytes / 2] ^= 1;
    assert_int_equal(decode(coder, frame, NULL, dst, input->map.n_bytes, &err), MTH_ERR_BASE);
    assert_int_equal(decode(coder, frame, input, dst, input->map.n_bytes, &err), MTH_ERR_BASE);
    for (size_t i = 0; i < input->map.n_bytes; i++)
        assert_int_equal(dst[i], 0);
    assert_int_equal(decode(coder, frame, base, dst, input->map.n_bytes - 1, &err), MTH_ERR_CAPACITY);
    assert_int_equal(decode(coder, frame, base, dst, input->map.n_bytes, &err), MTH_OK);

    struct mth_pipeline *pipeline;
    assert_int_equal(mth_pipeline_parse("seed", true, &pipeline, &err), 0);
    assert_int_equal(mth_coder_encode(coder, pipeline, &input->checkpoint, NULL, frame.data, frame.n_bytes,
                                      &frame.n_bytes, NULL, &err),
                     MTH_ERR_UNSUPPORTED);
    mth_pipeline_destroy(pipeline);
    free(dst);
    free(frame.data);
    free_made(input);
    free_made(base);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

static void a_base_of_another_model_is_refused(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = new_coder(memory, 1, 4096);
    struct made *input = begin_made(), *stranger = begin_made();
    struct mth_pipeline *pipeline;
    struct mth_error err = {0};
    static uint8_t dst[1 << 18];
    size_t n_bytes;
    add_tensor(input, "a", MTH_DTYPE_BF16, 100);
    add_tensor(stranger, "a", MTH_DTYPE_BF16, 101);
    fill(input);
    fill(stranger);
    assert_int_equal(mth_pipeline_parse("seed", true, &pipeline, &err), 0);
    assert_int_equal(mth_coder_encode(coder, pipeline, &input->checkpoint, &stranger->checkpoint, dst, sizeof dst,
                                      &n_bytes, NULL, &err),
                     MTH_ERR_BASE);
    assert_non_null(strstr(err.text, "does not match"));
    mth_pipeline_destroy(pipeline);
    free_made(input);
    free_made(stranger);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

static void a_destination_too_small_is_an_error_at_every_size(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *input = begin_made();
    add_tensor(input, "t", MTH_DTYPE_BF16, 3000);
    fill(input);
    for (size_t n_threads = 1; n_threads < 3; n_threads++) {
        struct mth_coder *coder = new_coder(memory, n_threads, 4096);
        struct frame frame = encode(coder, "balanced", input, NULL);
        struct mth_pipeline *pipeline;
        struct mth_error err;
        assert_int_equal(mth_pipeline_parse("balanced", false, &pipeline, &err), 0);
        for (size_t capacity = 0; capacity < frame.n_bytes; capacity++) {
            size_t n_bytes;
            uint8_t *dst = malloc(capacity + 1); /* the sanitizer watches its end */
            assert_int_equal(mth_coder_encode(coder, pipeline, &input->checkpoint, NULL, dst, capacity, &n_bytes,
                                              NULL, &err),
                             MTH_ERR_CAPACITY);
            free(dst);
        }
        mth_pipeline_destroy(pipeline);
        free(frame.data);
        mth_coder_destroy(coder);
    }
    free_made(input);
    mth_memory_destroy(memory);
}

/* A small frame with every feature: base, two units, coded and stored streams. */
static struct frame small_frame(struct mth_coder *coder, struct made **input, struct made **base)
{
    *input = begin_made();
    add_tensor(*input, "", MTH_DTYPE_OPAQUE, 5);
    add_tensor(*input, "a", MTH_DTYPE_BF16, 120);
    add_tensor(*input, "b", MTH_DTYPE_F32, 30);
    fill(*input);
    *base = make_base(*input);
    return encode(coder, "delta-xor+exponent-split+zstd/store", *input, *base);
}

static void every_flipped_bit_and_every_truncation_of_a_frame_is_detected(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = new_coder(memory, 1, 4096);
    struct made *input, *base;
    struct frame frame = small_frame(coder, &input, &base);
    uint8_t *dst = malloc(input->map.n_bytes);
    struct mth_error err;

    for (size_t bit = 0; bit < 8 * frame.n_bytes; bit++) {
        frame.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (decode(coder, frame, base, dst, input->map.n_bytes, &err) == MTH_OK)
            fail_msg("bit %zu of %zu may flip unseen", bit, 8 * frame.n_bytes);
        frame.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < frame.n_bytes; n++) {
        struct frame cut = {malloc(n + 1), n};
        memcpy(cut.data, frame.data, n);
        assert_int_not_equal(decode(coder, cut, base, dst, input->map.n_bytes, &err), MTH_OK);
        free(cut.data);
    }
    assert_int_equal(decode(coder, frame, base, dst, input->map.n_bytes, &err), MTH_OK);
    free(dst);
    free(frame.data);
    free_made(input);
    free_made(base);
    mth_coder_destroy(coder);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void a_second_call_allocates_nothing_more(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = new_coder(memory, 2, 4096);
    struct made *input = make_checkpoint();
    struct frame frame = encode(coder, "seed", input, NULL);
    free(frame.data);
    size_t before = mth_memory_current(memory);
    frame = encode(coder, "seed", input, NULL);
    /* Which worker meets which chunk differs, so scratch may still grow a little; it must not pile up. */
    for (int i = 0; i < 20; i++) {
        struct frame again = encode(coder, "seed", input, NULL);
        free(again.data);
    }
    assert_in_range(mth_memory_current(memory), before, 2 * before);
    free(frame.data);
    free_made(input);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

static void buffers_restore_and_wrong_dtype_or_size_is_an_error(void **state)
{
    (void)state;
    uint8_t src[1001], out[1001];
    struct mth_error err = {0};
    for (size_t i = 0; i < sizeof src; i++)
        src[i] = i & 1 ? 0x3f : (uint8_t)random32();
    for (size_t n = 0; n <= sizeof src; n += n < 10 ? 1 : 331) {
        size_t n_bytes, capacity = mth_buffer_bound(n);
        uint8_t *packed = malloc(capacity);
        assert_int_equal(mth_buffer_compress(src, n, MTH_DTYPE_BF16, packed, capacity, &n_bytes, &err), MTH_OK);
        memset(out, 0, sizeof out);
        if (mth_buffer_decompress(packed, n_bytes, MTH_DTYPE_BF16, out, n, &err))
            fail_msg("%zu bytes: %s", n, err.text);
        assert_memory_equal(out, src, n);
        assert_int_equal(mth_buffer_decompress(packed, n_bytes, MTH_DTYPE_F16, out, n, &err), MTH_ERR_USAGE);
        assert_int_equal(mth_buffer_decompress(packed, n_bytes, MTH_DTYPE_BF16, out, n + 1, &err), MTH_ERR_USAGE);
        assert_int_not_equal(mth_buffer_decompress(packed, n_bytes - 1, MTH_DTYPE_BF16, out, n, &err), MTH_OK);
        assert_int_equal(mth_buffer_compress(src, n, MTH_N_DTYPES, packed, capacity, &n_bytes, &err), MTH_ERR_USAGE);
        free(packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spec_restores_the_same_bytes_on_any_number_of_threads),
        cmocka_unit_test(a_checkpoint_of_any_small_length_restores),
        cmocka_unit_test(a_base_makes_the_frame_smaller_and_small_tensors_share_chunks),
        cmocka_unit_test(another_base_is_refused_before_anything_is_written),
        cmocka_unit_test(a_base_of_another_model_is_refused),
        cmocka_unit_test(a_destination_too_small_is_an_error_at_every_size),
        cmocka_unit_test(every_flipped_bit_and_every_truncation_of_a_frame_is_detected),
        cmocka_unit_test(a_second_call_allocates_nothing_more),
        cmocka_unit_test(buffers_restore_and_wrong_dtype_or_size_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
