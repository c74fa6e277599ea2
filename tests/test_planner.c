/* Laws of the planner: of several candidates each tensor gets what is smallest on a sample, whatever else happens. */
#include "tests/support/made_container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LARGE = 1 << 20, N_SMALL = 200 };

/* Elements as they are after pruning: nine of ten are zero. */
static void prune(uint8_t *data, size_t n_elems, size_t width)
{
    for (size_t i = 0; i < n_elems; i++) {
        if (made_random32() % 10)
            memset(data + i * width, 0, width);
    }
}

/* Numbers that count up. */
static void count_up(uint8_t *data, size_t n_elems)
{
    for (uint64_t i = 0, x = 0; i < n_elems; i++) {
        x += made_random32() % 64;
        for (size_t b = 0; b < 8; b++)
            data[i * 8 + b] = (uint8_t)(x >> 8 * b);
    }
}

static uint8_t *tensor_data(struct made *made, size_t tensor)
{
    return made->data + made->map.regions[made->map.tensors[tensor].region].offset;
}

/* Weights, pruned weights, offsets, and many small tensors, which are pruned too. */
static struct made *mixed_checkpoint(void)
{
    struct made *made = made_begin();
    char name[32];
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, 100);
    made_add_tensor(made, "weights", MTH_DTYPE_BF16, LARGE / 2);
    made_add_tensor(made, "pruned", MTH_DTYPE_BF16, LARGE / 2);
    made_add_tensor(made, "offsets", MTH_DTYPE_I64, LARGE / 8);
    for (int i = 0; i < N_SMALL; i++) {
        snprintf(name, sizeof name, "small.%d", i);
        made_add_tensor(made, name, MTH_DTYPE_F32, 1000);
    }
    made_fill(made);
    prune(tensor_data(made, 1), LARGE / 2, 2);
    count_up(tensor_data(made, 2), LARGE / 8);
    for (size_t i = 0; i < N_SMALL; i++)
        prune(tensor_data(made, 3 + i), 1000, 4);
    return made;
}

static size_t encoded_bytes(struct mth_coder *coder, const char *spec, const struct made *input,
                            const struct made *base)
{
    struct made_frame frame = made_encode(coder, spec, input, base);
    made_assert_restores(coder, frame, input, base);
    free(frame.data);
    return frame.n_bytes;
}

static void each_tensor_gets_the_candidate_that_is_smallest_on_it(void **state)
{
    (void)state;
    static const char weights[] = "exponent-split+zstd/store",
                      pruned[] = "zero-map+zstd/zstd/exponent-split+zstd//store",
                      offsets[] = "delta-previous+byte-group+zstd";
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 1, 0);
    struct made *input = mixed_checkpoint();
    char list[256];
    snprintf(list, sizeof list, "%s,%s,%s", weights, pruned, offsets);
    size_t all = encoded_bytes(coder, list, input, NULL);
    size_t only_weights = encoded_bytes(coder, weights, input, NULL);
    size_t only_pruned = encoded_bytes(coder, pruned, input, NULL);
    size_t only_offsets = encoded_bytes(coder, offsets, input, NULL);
    /* Pruned tensors gain most by their map, offsets by their steps, where else zstd had to find them. */
    assert_true(all + LARGE / 2 < only_weights);
    assert_true(all + LARGE / 32 < only_pruned);
    assert_true(all + LARGE / 32 < only_offsets);
    made_free(input);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

static void a_candidate_that_is_not_smaller_changes_no_byte(void **state)
{
    (void)state;
    static const char *const lists[][2] = {
        {"exponent-split+zstd/store,zstd:level=1", "exponent-split+zstd/store"},
        {"zstd:level=3,store", "zstd:level=3"},
        {"seed,seed", "seed"},
        /* Most of these fit no dtype of the checkpoint. */
        {"seed,exponent-split+byte-group+zero-map+store", "seed"},
    };
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 1, 1 << 16);
    struct made *input = made_begin();
    made_add_tensor(input, "a", MTH_DTYPE_BF16, LARGE / 2);
    made_add_tensor(input, "b", MTH_DTYPE_BF16, 1000);
    made_fill(input);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct made_frame list = made_encode(coder, lists[i][0], input, NULL);
        struct made_frame one = made_encode(coder, lists[i][1], input, NULL);
        assert_int_equal(list.n_bytes, one.n_bytes);
        assert_memory_equal(list.data, one.data, one.n_bytes);
        free(list.data);
        free(one.data);
    }
    made_free(input);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

static void choices_do_not_depend_on_threads_or_on_what_was_coded_before(void **state)
{
    (void)state;
    static const char list[] =
        "zstd:level=1,exponent-split+zstd/store,zero-map+zstd,palette+zstd,delta-previous+byte-group+zstd";
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *one = made_coder(memory, 1, 1 << 16), *three = made_coder(memory, 3, 1 << 16);
    struct made *input = mixed_checkpoint(), *other = made_checkpoint();
    struct made_frame a = made_encode(one, list, input, NULL);
    struct made_frame b = made_encode(three, list, other, NULL);
    made_assert_restores(one, b, other, NULL);
    free(b.data);
    b = made_encode(three, list, input, NULL);
    assert_int_equal(a.n_bytes, b.n_bytes);
    assert_memory_equal(a.data, b.data, a.n_bytes);
    made_assert_restores(three, a, input, NULL);
    free(a.data);
    free(b.data);
    made_free(input);
    made_free(other);
    mth_coder_destroy(one);
    mth_coder_destroy(three);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

/* A base helps the first tensor; the second is another there, so that its difference is worse than itself. */
static void against_a_base_each_tensor_is_a_difference_or_itself(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 2, 0);
    struct made *input = made_begin(), *base = made_begin();
    for (int i = 0; i < 2; i++) {
        struct made *made = i ? base : input;
        made_add_tensor(made, "same", MTH_DTYPE_BF16, LARGE / 2);
        made_add_tensor(made, "other", MTH_DTYPE_BF16, LARGE / 2);
        made_fill(made);
    }
    memcpy(base->data, input->data, LARGE);
    for (size_t i = 0; i < LARGE; i += 100)
        base->data[i] ^= 1;
    memset(input->data + LARGE, 0x3c, LARGE);
    size_t delta = encoded_bytes(coder, "delta-xor+byte-group+zstd", input, base);
    size_t alone = encoded_bytes(coder, "byte-group+zstd", input, NULL);
    size_t either = encoded_bytes(coder, "delta-xor+byte-group+zstd,byte-group+zstd", input, base);
    assert_true(either + LARGE / 2 < delta);
    assert_true(either + LARGE / 2 < alone);
    /* Without a base, a list is its candidates that want none. */
    assert_int_equal(encoded_bytes(coder, "delta-xor+byte-group+zstd,store", input, NULL),
                     encoded_bytes(coder, "store", input, NULL));
    made_free(input);
    made_free(base);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

/* Half of a tensor is made anew: its chunks are coded as if alone, the other half's as differences. */
static void against_a_base_a_chunk_is_a_difference_or_itself(void **state)
{
    (void)state;
    enum { CHUNK = 1 << 16 };
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 2, CHUNK);
    struct made *input = made_begin(), *base = made_begin();
    for (int i = 0; i < 2; i++) {
        struct made *made = i ? base : input;
        made_add_tensor(made, "half", MTH_DTYPE_BF16, LARGE / 2);
        made_fill(made);
    }
    memcpy(base->data, input->data, LARGE / 2);
    for (size_t i = 0; i < LARGE / 2; i += 1000)
        base->data[i] ^= 1;
    for (size_t i = LARGE / 2; i < LARGE; i++)
        base->data[i] = (uint8_t)(base->data[i] * 7 + i);
    memset(input->data + LARGE / 2, 0x3c, LARGE / 4);
    size_t delta = encoded_bytes(coder, "delta-xor+byte-group+zstd", input, base);
    size_t alone = encoded_bytes(coder, "byte-group+zstd", input, NULL);
    size_t either = encoded_bytes(coder, "delta-xor+byte-group+zstd,byte-group+zstd", input, base);
    assert_true(either + LARGE / 5 < delta);
    assert_true(either + LARGE / 5 < alone);
    made_free(input);
    made_free(base);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

/* Elements that are nearly all the same, a step from a base where one in ten is another: a tenth as large as they are, but alone far
 * less. */
static void what_is_smaller_alone_is_coded_so_however_small_its_difference_is(void **state)
{
    (void)state;
    enum { ALONE_BYTES = 100 };
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 2, 0);
    struct made *input = made_begin(), *base = made_begin();
    for (int i = 0; i < 2; i++) {
        made_add_tensor(i ? base : input, "same", MTH_DTYPE_BF16, LARGE / 2);
        made_fill(i ? base : input);
    }
    memset(input->data, 0x3c, LARGE);
    memset(base->data, 0x3c, LARGE);
    for (size_t i = 0; i < LARGE; i += 2)
        base->data[i] ^= made_random32() % 10 == 0;
    size_t alone = encoded_bytes(coder, "max", input, NULL);
    assert_true(encoded_bytes(coder, "max", input, base) <= alone + alone / 1000 + ALONE_BYTES);
    assert_true(alone < LARGE / 100);
    made_free(input);
    made_free(base);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

/* What has no counterpart in the base is coded by the candidate that wants none, as if there were no base. */
static void against_a_base_a_new_tensor_is_coded_as_if_alone(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 2, 0);
    struct made *input = made_begin(), *base = made_begin();
    made_add_tensor(input, "new", MTH_DTYPE_BF16, LARGE / 2);
    made_add_tensor(input, "numbers", MTH_DTYPE_U8, LARGE / 2);
    for (int i = 0; i < 2; i++)
        made_add_tensor(i ? base : input, "same", MTH_DTYPE_BF16, 1);
    made_fill(input);
    made_fill(base);
    for (size_t i = 0; i < LARGE / 2; i++)
        input->data[LARGE + i] = (uint8_t)(i % 100);
    size_t either = encoded_bytes(coder, "delta-xor+rans,exponent-split+rans/store", input, base);
    size_t alone = encoded_bytes(coder, "exponent-split+rans/store", input, NULL);
    size_t stripped = encoded_bytes(coder, "delta-xor+rans", input, base);
    assert_true(either < alone + 256);
    assert_true(alone + LARGE / 8 < stripped);
    made_free(input);
    made_free(base);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

/* Tensors of several dtypes and sizes, each of a scale of its own, so that chunks pay for what they pool. */
enum { N_MADE_KINDS = 5, N_MADE_TENSORS = 21 };
static struct made *scaled_checkpoint(int kind)
{
    static const enum mth_dtype dtypes[N_MADE_KINDS][3] = {
        {MTH_DTYPE_BF16, MTH_DTYPE_BF16, MTH_DTYPE_BF16},  {MTH_DTYPE_F32, MTH_DTYPE_F32, MTH_DTYPE_F32},
        {MTH_DTYPE_F16, MTH_DTYPE_F8_E4M3, MTH_DTYPE_F16}, {MTH_DTYPE_I64, MTH_DTYPE_U8, MTH_DTYPE_I32},
        {MTH_DTYPE_BF16, MTH_DTYPE_F32, MTH_DTYPE_U8},
    };
    static const size_t sizes[] = {LARGE + 3000, 5000, LARGE / 2, 1000, 60000, 300, 70000};
    struct made *made = made_begin();
    char name[32];
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, 100);
    for (size_t i = 0; i < N_MADE_TENSORS; i++) {
        enum mth_dtype dtype = dtypes[kind][i % 3];
        snprintf(name, sizeof name, "t.%zu", i);
        made_add_tensor(made, name, dtype, sizes[i % 7] / mth_dtype_lane_bytes(dtype));
    }
    made_fill(made);
    for (size_t i = 0; i < N_MADE_TENSORS; i++) {
        const struct mth_region *region = &made->map.regions[made->map.tensors[i].region];
        size_t width = mth_dtype_lane_bytes(region->dtype);
        for (uint64_t b = width - 1; b < region->n_bytes; b += width)
            made->data[region->offset + b] = (uint8_t)(made->data[region->offset + b] + i);
    }
    return made;
}

static const char *const pair_presets[] = {"balanced", "max", "fast"};

/* What a base adds that is no use: its block, and nothing else. */
enum { USELESS_BASE_BYTES = 100 };

static void against_a_base_of_no_use_nothing_is_lost(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 2, 0);
    for (int kind = 0; kind < N_MADE_KINDS; kind++) {
        struct made *base = scaled_checkpoint(kind), *input = scaled_checkpoint(kind);
        for (size_t p = 0; p < sizeof pair_presets / sizeof pair_presets[0]; p++) {
            size_t alone = encoded_bytes(coder, pair_presets[p], input, NULL);
            size_t paired = encoded_bytes(coder, pair_presets[p], input, base);
            if (paired > alone + alone / 1000 + USELESS_BASE_BYTES)
                fail_msg("%s, kind %d: %zu bytes alone, %zu against the base", pair_presets[p], kind, alone,
                         paired);
        }
        made_free(base);
        made_free(input);
    }
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

/* A checkpoint of every other tensor. */
static struct made *odd_tensors(const struct made *of)
{
    struct made *made = made_begin();
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, 100);
    for (size_t i = 1; i < of->map.n_tensors; i += 2)
        made_add_tensor(made, mth_tensor_name(&of->map, &of->map.tensors[i]), of->map.tensors[i].dtype,
                        mth_tensor_shape(&of->map, &of->map.tensors[i])[0]);
    made_fill(made);
    memcpy(made->data, of->data, 100);
    for (size_t i = 0; i < made->map.n_tensors; i++)
        memcpy(tensor_data(made, i), tensor_data((struct made *)(uintptr_t)of, 2 * i + 1),
               (size_t)made->map.regions[made->map.tensors[i].region].n_bytes);
    return made;
}

static void against_a_base_with_half_the_tensors_the_others_cost_what_they_cost_alone(void **state)
{
    (void)state;
    enum { SAME_TENSOR_BYTES = 60 }; /* entries of what is the same */
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 2, 0);
    for (int kind = 0; kind < N_MADE_KINDS; kind++) {
        struct made *base = scaled_checkpoint(kind), *input = scaled_checkpoint(kind);
        for (size_t i = 0; i < N_MADE_TENSORS; i += 2)
            memcpy(tensor_data(input, i), tensor_data(base, i),
                   (size_t)base->map.regions[base->map.tensors[i].region].n_bytes);
        struct made *others = odd_tensors(input);
        for (size_t p = 0; p < sizeof pair_presets / sizeof pair_presets[0]; p++) {
            size_t alone = encoded_bytes(coder, pair_presets[p], others, NULL);
            size_t paired = encoded_bytes(coder, pair_presets[p], input, base);
            if (paired > alone + alone / 1000 + USELESS_BASE_BYTES + N_MADE_TENSORS * SAME_TENSOR_BYTES)
                fail_msg("%s, kind %d: %zu bytes of what is another, alone; %zu against the base",
                         pair_presets[p], kind, alone, paired);
        }
        made_free(base);
        made_free(input);
        made_free(others);
    }
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

/* Layers that rest, where they are wanted, and adapters that are trained, in turn; those a step from before, if that is given. */
static struct made *adapted_checkpoint(bool with_resting, const struct made *before)
{
    enum { N_LAYERS = 12, LAYER_ELEMS = 24 << 10, ADAPTER_ELEMS = 6 << 10 };
    struct made *made = made_begin();
    char name[32];
    for (int i = 0; i < N_LAYERS; i++) {
        snprintf(name, sizeof name, "layers.%d", i);
        if (with_resting)
            made_add_tensor(made, name, MTH_DTYPE_BF16, LAYER_ELEMS);
        snprintf(name, sizeof name, "adapters.%d", i);
        made_add_tensor(made, name, MTH_DTYPE_BF16, ADAPTER_ELEMS);
    }
    made_fill(made);
    if (!before)
        return made;
    memcpy(made->data, before->data, (size_t)made->map.n_bytes);
    for (size_t t = with_resting; t < made->map.n_tensors; t += 1 + with_resting) {
        for (size_t i = 0; i < ADAPTER_ELEMS; i += 1 + i % 5)
            tensor_data(made, t)[2 * i] ^= 1;
    }
    return made;
}

/* A frozen backbone costs entries, and does not make changes look rare beside it. */
static void tensors_that_rest_cost_entries_beside_those_that_are_trained(void **state)
{
    (void)state;
    enum { ENTRY_BYTES = 30 };
    static const char *const presets[] = {"balanced", "max"};
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 2, 0);
    struct made *base = adapted_checkpoint(true, NULL), *input = adapted_checkpoint(true, base),
                *adapters_before = adapted_checkpoint(false, NULL),
                *adapters = adapted_checkpoint(false, adapters_before);
    for (size_t p = 0; p < sizeof presets / sizeof presets[0]; p++) {
        size_t whole = encoded_bytes(coder, presets[p], input, base);
        size_t alone = encoded_bytes(coder, presets[p], adapters, adapters_before);
        if (whole > alone + alone / 50 + input->map.n_tensors * ENTRY_BYTES)
            fail_msg("%s: %zu bytes trained, %zu with what rests", presets[p], alone, whole);
        struct mth_container_stats stats;
        struct mth_bytes container = made_compress(memory, 2, 0, presets[p], input, base, &stats);
        made_assert_container(memory, 2, container, input, base);
        made_container_free(container);
        assert_int_equal(stats.n_chunks_copied, 1);
    }
    made_free(base);
    made_free(input);
    made_free(adapters_before);
    made_free(adapters);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_a_base_a_chunk_is_a_difference_or_itself),
        cmocka_unit_test(what_is_smaller_alone_is_coded_so_however_small_its_difference_is),
        cmocka_unit_test(against_a_base_a_new_tensor_is_coded_as_if_alone),
        cmocka_unit_test(against_a_base_of_no_use_nothing_is_lost),
        cmocka_unit_test(against_a_base_with_half_the_tensors_the_others_cost_what_they_cost_alone),
        cmocka_unit_test(tensors_that_rest_cost_entries_beside_those_that_are_trained),
        cmocka_unit_test(each_tensor_gets_the_candidate_that_is_smallest_on_it),
        cmocka_unit_test(a_candidate_that_is_not_smaller_changes_no_byte),
        cmocka_unit_test(choices_do_not_depend_on_threads_or_on_what_was_coded_before),
        cmocka_unit_test(against_a_base_each_tensor_is_a_difference_or_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
