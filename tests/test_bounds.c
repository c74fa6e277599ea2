/* Order-0 bounds: planted counts give the entropy that theory says, and the trained run gives the known numbers. */
#include "base/checked.h"
#include "harness/bounds.h"
#include "harness/checkpoint_file.h"
#include "harness/entropy.h"
#include "tests/support/made_checkpoint.h"
#include "transforms/predictors/float_convert.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mth_memory *memory;

static int create_memory(void **state)
{
    (void)state;
    memory = mth_memory_create(0);
    return memory ? 0 : -1;
}

/* What was not freed shows here. */
static int destroy_memory(void **state)
{
    (void)state;
    if (mth_memory_current(memory) != 0)
        return -1;
    mth_memory_destroy(memory);
    return 0;
}

static bool within(double value, double expected, double tolerance)
{
    return fabs(value - expected) <= fabs(expected) * tolerance;
}

/* SplitMix64: mantissas and orders that no count depends on. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Puts n things of size bytes into another order. */
static void shuffle(uint8_t *data, size_t n, size_t size, uint64_t seed)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)(next_random(&seed) % i);
        uint8_t swap[8];
        memcpy(swap, data + (i - 1) * size, size);
        memcpy(data + (i - 1) * size, data + k * size, size);
        memcpy(data + k * size, swap, size);
    }
}

/*
 * Floats of a dtype whose exponents come 1/2, 1/4, 1/8 and 1/8 of the time: exactly 1.75 bits. Signs and mantissas are
 * random.
 */
static uint8_t *planted_floats(enum mth_dtype dtype, size_t n)
{
    const struct mth_dtype_info *info = mth_dtype_info(dtype);
    size_t width = info->lane_bits / 8;
    uint8_t *data = malloc(n * width);
    assert_non_null(data);
    uint64_t seed = 7, mantissa_mask = (UINT64_C(1) << info->mantissa_bits) - 1;
    for (size_t i = 0; i < n; i++) {
        static const uint64_t exponents[8] = {3, 3, 3, 3, 1, 1, 5, 6};
        uint64_t random = next_random(&seed);
        uint64_t lane = (random & mantissa_mask) | exponents[i % 8] << info->mantissa_bits |
                        (random >> 63) << (info->lane_bits - 1);
        for (size_t b = 0; b < width; b++)
            data[i * width + b] = (uint8_t)(lane >> 8 * b);
    }
    shuffle(data, n, width, 11);
    return data;
}

struct raw_checkpoint {
    struct mth_region_map map;
    struct mth_checkpoint checkpoint;
};

static void make_raw(struct raw_checkpoint *raw, const uint8_t *data, size_t n_bytes, enum mth_dtype dtype)
{
    struct mth_source source;
    struct mth_error err;
    mth_source_memory("planted", (struct mth_bytes){data, n_bytes}, &source);
    assert_int_equal(
        mth_format_map(&source, &(struct mth_format_options){.raw_dtype = dtype}, memory, &raw->map, &err),
        0);
    raw->checkpoint = (struct mth_checkpoint){.data = data, .map = &raw->map};
}

static void bound_of_floats_is_exponent_entropy_and_raw_rest(void **state)
{
    (void)state;
    static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16, MTH_DTYPE_F16,     MTH_DTYPE_F32,
                                            MTH_DTYPE_F64,  MTH_DTYPE_F8_E4M3, MTH_DTYPE_F8_E5M2};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        const struct mth_dtype_info *info = mth_dtype_info(dtypes[i]);
        size_t n = 80000;
        uint8_t *data = planted_floats(dtypes[i], n);
        struct raw_checkpoint raw;
        struct mth_bound bound;
        make_raw(&raw, data, n * info->lane_bits / 8, dtypes[i]);
        assert_int_equal(mth_bound_compute(&raw.checkpoint, NULL, &bound), 0);
        double bits = 1.75 + 1 + info->mantissa_bits;
        assert_true(within(bound.bits, bits * (double)n, 1e-9));
        assert_true(within(bound.ratio, info->lane_bits / bits, 1e-9));
        assert_string_equal(bound.model, "order0-exponent");
        mth_region_map_free(&raw.map);
        free(data);
    }
}

static void bound_of_integers_is_entropy_of_byte_planes(void **state)
{
    (void)state;
    /* Low bytes: 16 values alike often; second bytes: two; the others: one. 4 + 1 + 0 + 0 bits. */
    enum { N = 64000 };
    static uint8_t data[N * 4];
    for (size_t i = 0; i < N; i++) {
        data[4 * i] = (uint8_t)(i % 16 * 13);
        data[4 * i + 1] = i / 16 % 2 ? 200 : 3;
        data[4 * i + 2] = 77;
        data[4 * i + 3] = 0;
    }
    struct raw_checkpoint raw;
    struct mth_bound bound;
    make_raw(&raw, data, sizeof data, MTH_DTYPE_I32);
    assert_int_equal(mth_bound_compute(&raw.checkpoint, NULL, &bound), 0);
    assert_true(within(bound.ratio, 32.0 / 5.0, 1e-9));
    mth_region_map_free(&raw.map);
}

static void bound_of_a_pair_is_entropy_of_xor_planes(void **state)
{
    (void)state;
    enum { N = 65536, CHANGED = N / 16 };
    uint8_t *base = planted_floats(MTH_DTYPE_BF16, N);
    uint8_t *data = malloc(N * 2);
    assert_non_null(data);
    memcpy(data, base, N * 2);
    for (size_t i = 0; i < CHANGED; i++)
        data[i * 32] ^= 1;
    struct raw_checkpoint raw, raw_base;
    struct mth_bound bound;
    make_raw(&raw, data, N * 2, MTH_DTYPE_BF16);
    make_raw(&raw_base, base, N * 2, MTH_DTYPE_BF16);
    assert_int_equal(mth_bound_compute(&raw.checkpoint, &raw_base.checkpoint, &bound), 0);
    /* H(1/16) in the low plane, nothing in the high one. */
    double entropy = 1.0 / 16 * 4 + 15.0 / 16 * log2(16.0 / 15);
    assert_true(within(bound.ratio, 16 / entropy, 1e-9));
    assert_string_equal(bound.model, "order0-xor-bytes");

    assert_int_equal(mth_bound_compute(&raw.checkpoint, &raw.checkpoint, &bound), 0);
    assert_true(isinf(bound.ratio));
    mth_region_map_free(&raw.map);
    mth_region_map_free(&raw_base.map);
    free(data);
    free(base);
}

/* Exponent 100 + k moves up or down by one, in turn, in one element of 2^(k + 1); one element flies off altogether. */
static void bound_of_a_pair_is_entropy_of_steps_given_the_exponent(void **state)
{
    (void)state;
    enum { EXPONENTS = 4, EACH = 16384, N = EXPONENTS * EACH };
    static uint8_t base[N * 2], data[N * 2];
    double bits = 0;
    for (size_t k = 0; k < EXPONENTS; k++) {
        size_t every = (size_t)2 << k;
        for (size_t i = 0; i < EACH; i++) {
            uint16_t x = (uint16_t)((100 + k) << 7 | 64), y = x;
            size_t at = 2 * (k * EACH + i);
            if (i % every == 0)
                y = (uint16_t)(i / every % 2 ? x - 1 : x + 1);
            mth_store16(base + at, x);
            mth_store16(data + at, y);
        }
        double p = 1.0 / (double)every;
        bits += EACH * (p * log2(2 / p) + (1 - p) * log2(1 / (1 - p)));
    }
    struct raw_checkpoint raw, raw_base;
    struct mth_bound bound;
    make_raw(&raw, data, sizeof data, MTH_DTYPE_BF16);
    make_raw(&raw_base, base, sizeof base, MTH_DTYPE_BF16);
    assert_int_equal(mth_bound_compute(&raw.checkpoint, &raw_base.checkpoint, &bound), 0);
    assert_string_equal(bound.model, "ulp-given-exponent");
    assert_true(within(bound.bits, bits, 1e-9));

    /* One that takes the place of an unchanged one of exponent 103: 1/16 of those move. */
    mth_store16(data + 2 * (N - 1), 0x8000);
    double n = EACH, moved = EACH / 16.0, same = n - moved - 1;
    bits -= n * (1.0 / 16 * log2(32) + 15.0 / 16 * log2(16.0 / 15));
    bits += moved * log2(2 * n / moved) + same * log2(n / same) + log2(n) + 16;
    assert_int_equal(mth_bound_compute(&raw.checkpoint, &raw_base.checkpoint, &bound), 0);
    assert_true(within(bound.bits, bits, 1e-9));
    mth_region_map_free(&raw.map);
    mth_region_map_free(&raw_base.map);
}

/* A lane of a sign and a size that grows with the value; up by steps. */
static uint16_t moved_lane(uint16_t lane, int steps)
{
    return (uint16_t)(lane & 0x8000 ? lane - steps : lane + steps);
}

/*
 * The base came from 1, 2, 3 or 40 steps below or above. What came from 1 or 2 goes on by one step, what came from 3 goes on, too,
 * what came from 40 rests: these two are one class, a bit an element. Of all elements, 3/8 go up, 3/8 down.
 */
static void with_an_older_base_the_bound_knows_where_elements_came_from(void **state)
{
    (void)state;
    static const int came[] = {1, -1, 2, -2, 3, -3, 40, -40};
    enum { N = 1 << 15 };
    static uint8_t older[N * 2], base[N * 2], data[N * 2];
    uint64_t seed = 5;
    for (size_t i = 0; i < N; i++) {
        int steps = came[i % 8], goes = steps == 40 || steps == -40 ? 0 : steps > 0 ? 1 : -1;
        uint16_t lane = (uint16_t)((i / 8 % 2 ? 0x8000 : 0) | 100 << 7 | (48 + next_random(&seed) % 16));
        mth_store16(base + 2 * i, lane);
        mth_store16(older + 2 * i, moved_lane(lane, -steps));
        mth_store16(data + 2 * i, moved_lane(lane, goes));
    }
    struct raw_checkpoint raw, raw_base, raw_older;
    struct mth_bound bound;
    make_raw(&raw, data, sizeof data, MTH_DTYPE_BF16);
    make_raw(&raw_base, base, sizeof base, MTH_DTYPE_BF16);
    make_raw(&raw_older, older, sizeof older, MTH_DTYPE_BF16);
    assert_int_equal(mth_bound_compute(&raw.checkpoint, &raw_base.checkpoint, &bound), 0);
    assert_string_equal(bound.model, "ulp-given-exponent");
    assert_true(within(bound.bits, N * (0.75 * log2(8.0 / 3) + 0.5), 1e-9));
    assert_int_equal(
        mth_bound_compute_directed(&raw.checkpoint, &raw_base.checkpoint, &raw_older.checkpoint, &bound), 0);
    assert_string_equal(bound.model, "ulp-given-exponent-and-direction");
    assert_true(within(bound.bits, N / 2, 1e-9));

    /* An older one of another size has no counterparts. */
    mth_region_map_free(&raw_older.map);
    make_raw(&raw_older, older, sizeof older / 2, MTH_DTYPE_BF16);
    assert_int_equal(
        mth_bound_compute_directed(&raw.checkpoint, &raw_base.checkpoint, &raw_older.checkpoint, &bound), 0);
    assert_true(within(bound.bits, N * (0.75 * log2(8.0 / 3) + 0.5), 1e-9));
    mth_region_map_free(&raw.map);
    mth_region_map_free(&raw_base.map);
    mth_region_map_free(&raw_older.map);
}

enum { ROWS = 600, MORE_ROWS = 100, COLUMNS = 256, N_COMMON = ROWS * COLUMNS };

/* One tensor of BF16 with those elements, if there are any, in front of others. */
static struct made *matrix(const char *name, uint64_t n_rows, uint64_t n_columns, const uint8_t *elements)
{
    struct made *made = made_begin();
    made_add_shaped(made, name, MTH_DTYPE_BF16, (const uint64_t[]){n_rows, n_columns}, 2);
    made_fill(made);
    if (elements)
        memcpy(made->data, elements, (size_t)N_COMMON * 2);
    return made;
}

static double bits_of(const struct made *input, const struct made *base)
{
    struct mth_bound bound;
    assert_int_equal(mth_bound_compute(&input->checkpoint, base ? &base->checkpoint : NULL, &bound), 0);
    return bound.bits;
}

static void tensors_without_counterpart_are_bounded_as_alone(void **state)
{
    (void)state;
    struct made *input = matrix("w", ROWS, COLUMNS, NULL), *other = matrix("v", ROWS / 2, COLUMNS, NULL);
    assert_true(bits_of(input, other) == bits_of(input, NULL));
    made_free(input);
    made_free(other);
}

/* Renamed, reshaped, grown, converted: what `compress` finds, the bound knows. */
static void the_bound_pairs_tensors_as_a_plan_does(void **state)
{
    (void)state;
    struct made *base = matrix("w", ROWS, COLUMNS, NULL), *wide = made_begin();
    uint8_t *stepped = malloc((size_t)N_COMMON * 2);
    assert_non_null(stepped);
    memcpy(stepped, base->data, (size_t)N_COMMON * 2);
    for (size_t i = 0; i < N_COMMON; i += 1 + made_random32() % 32)
        stepped[2 * i] ^= 1;
    struct made *same = matrix("w", ROWS, COLUMNS, stepped), *renamed = matrix("v", ROWS, COLUMNS, stepped),
                *reshaped = matrix("w", ROWS / 2, COLUMNS * 2, stepped),
                *grown = matrix("w", ROWS + MORE_ROWS, COLUMNS, stepped);
    double bits = bits_of(same, base);
    assert_true(bits > 0 && bits < N_COMMON);
    assert_true(bits_of(renamed, base) == bits);
    assert_true(bits_of(reshaped, base) == bits);

    struct mth_bound alone;
    struct raw_checkpoint raw;
    make_raw(&raw, grown->data + (size_t)N_COMMON * 2, (size_t)MORE_ROWS * COLUMNS * 2, MTH_DTYPE_BF16);
    assert_int_equal(mth_bound_compute(&raw.checkpoint, NULL, &alone), 0);
    assert_true(within(bits_of(grown, base), bits + alone.bits, 1e-9));
    mth_region_map_free(&raw.map);

    made_add_shaped(wide, "w", MTH_DTYPE_F32, (const uint64_t[]){ROWS, COLUMNS}, 2);
    made_fill(wide);
    mth_float_convert(MTH_DTYPE_BF16, MTH_DTYPE_F32, N_COMMON, base->data, wide->data);
    assert_true(bits_of(same, wide) == bits);

    struct made *const all[] = {base, wide, same, renamed, reshaped, grown};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        made_free(all[i]);
    free(stepped);
}

static void opaque_and_empty_checkpoints_have_a_bound(void **state)
{
    (void)state;
    static const uint8_t text[] = "no tensor";
    struct raw_checkpoint raw;
    struct mth_bound bound;
    make_raw(&raw, text, sizeof text, MTH_DTYPE_OPAQUE);
    assert_int_equal(mth_bound_compute(&raw.checkpoint, NULL, &bound), 0);
    assert_true(isinf(bound.ratio) && bound.bits == 0);
    mth_region_map_free(&raw.map);

    make_raw(&raw, text, 0, MTH_DTYPE_BF16);
    assert_int_equal(mth_bound_compute(&raw.checkpoint, NULL, &bound), 0);
    assert_true(bound.ratio == 1 && bound.bits == 0);
    mth_region_map_free(&raw.map);

    /* Five bytes are two bf16 and a tail, which is charged as it is or belongs to no tensor. */
    make_raw(&raw, text, 5, MTH_DTYPE_BF16);
    assert_int_equal(mth_bound_compute(&raw.checkpoint, &raw.checkpoint, &bound), 0);
    assert_true(bound.bits == 0);
    mth_region_map_free(&raw.map);
}

static void entropy_counts_changed_lanes_signs_and_mantissas(void **state)
{
    (void)state;
    enum { N = 4096 };
    static uint8_t data[N * 4], base[N * 4];
    for (uint32_t i = 0; i < N; i++) {
        /* Sign in a quarter; one exponent; the upper 12 mantissa bits all once, the lower 11 never set. */
        mth_store32(data + 4 * i, (uint32_t)(i % 4 == 0) << 31 | 127u << 23 | i << 11);
        mth_store32(base + 4 * i, mth_load32(data + 4 * i) ^ (i % 8 == 0 ? 0x10001u : 0));
    }
    struct mth_entropy_counter *counter = mth_entropy_counter_create(
        MTH_DTYPE_F32, MTH_ENTROPY_EXPONENT | MTH_ENTROPY_FIELDS | MTH_ENTROPY_PLANES | MTH_ENTROPY_XOR,
        memory);
    assert_non_null(counter);
    for (int pass = 0; pass < 2; pass++) {
        struct mth_entropy entropy;
        mth_entropy_counter_reset(counter);
        mth_entropy_count(counter, data, base, sizeof data);
        mth_entropy_result(counter, &entropy);
        assert_int_equal(entropy.n_lanes, N);
        assert_int_equal(entropy.n_changed, N / 8);
        assert_int_equal(entropy.n_exponents, 1);
        assert_true(entropy.exponent == 0);
        assert_true(within(entropy.sign, 0.25 * 2 + 0.75 * log2(4.0 / 3), 1e-9));
        assert_true(within(entropy.mantissa, 12, 1e-9));
        double changed = 1.0 / 8 * 3 + 7.0 / 8 * log2(8.0 / 7);
        assert_true(within(entropy.xor_planes[0], changed, 1e-9));
        assert_true(entropy.xor_planes[1] == 0);
        assert_true(within(entropy.xor_planes[2], changed, 1e-9));
        assert_true(entropy.planes[0] == 0);
    }
    mth_entropy_counter_destroy(counter);
}

static void states_steps_apart_are_bounded_by_what_adam_left(void **state)
{
    (void)state;
    static const char folder[] = "tests/fixtures/states/adamw-bf16-";
    struct mth_loaded before, next, later;
    struct mth_bound bound, plain;
    struct mth_error err;
    char path[256];
    snprintf(path, sizeof path, "%s11.pt", folder);
    assert_int_equal(mth_loaded_open(path, MTH_N_DTYPES, memory, &before, &err), 0);
    snprintf(path, sizeof path, "%s12.pt", folder);
    assert_int_equal(mth_loaded_open(path, MTH_N_DTYPES, memory, &next, &err), 0);
    snprintf(path, sizeof path, "%s21.pt", folder);
    assert_int_equal(mth_loaded_open(path, MTH_N_DTYPES, memory, &later, &err), 0);
    assert_int_equal(mth_bound_compute(&next.checkpoint, &before.checkpoint, &bound), 0);
    assert_string_not_equal(bound.model, "adam-steps-apart");
    /* That is for what follows each other; ten steps later less is left, but more than the xor tells. */
    assert_int_equal(mth_bound_compute(&later.checkpoint, &before.checkpoint, &bound), 0);
    assert_string_equal(bound.model, "adam-steps-apart");
    size_t n_params = later.checkpoint.map->n_params;
    ((struct mth_region_map *)(uintptr_t)later.checkpoint.map)->n_params = 0;
    assert_int_equal(mth_bound_compute(&later.checkpoint, &before.checkpoint, &plain), 0);
    ((struct mth_region_map *)(uintptr_t)later.checkpoint.map)->n_params = n_params;
    assert_string_not_equal(plain.model, "adam-steps-apart");
    assert_true(bound.bits < plain.bits);
    /* The low 22 bits of each first moment at least. */
    assert_true(bound.bits > 22.0 * (48 * 32 + 32 + 32 * 20 + 20));
    mth_loaded_close(&before);
    mth_loaded_close(&next);
    mth_loaded_close(&later);
}

/* The numbers were computed apart, in datasets/train/checkpoint_stats.py, over the tensors without the header. */
static void bounds_of_the_trained_run_are_the_known_ones(void **state)
{
    (void)state;
    static const struct {
        const char *path, *base;
        double ratio;
    } known[] = {
        {"pretrain/pretrain-step-002000", NULL, 1.500},
        {"finetune-1e-5/finetune-1e-5-step-000101", NULL, 1.500},
        {"pretrain/pretrain-step-002001", "pretrain/pretrain-step-002000", 36.99},
        {"pretrain/pretrain-step-002010", "pretrain/pretrain-step-002001", 10.90},
        {"finetune-1e-6/finetune-1e-6-step-000101", "finetune-1e-6/finetune-1e-6-step-000100", 230.30},
        {"finetune-1e-6/finetune-1e-6-step-000102", "finetune-1e-6/finetune-1e-6-step-000101", 221.81},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct mth_loaded input, base;
        struct mth_bound bound;
        struct mth_error err;
        char path[256];
        snprintf(path, sizeof path, "datasets/tiny-gpt/%s.safetensors", known[i].path);
        assert_int_equal(mth_loaded_open(path, MTH_N_DTYPES, memory, &input, &err), 0);
        if (known[i].base) {
            snprintf(path, sizeof path, "datasets/tiny-gpt/%s.safetensors", known[i].base);
            assert_int_equal(mth_loaded_open(path, MTH_N_DTYPES, memory, &base, &err), 0);
        }
        assert_int_equal(
            mth_bound_compute(&input.checkpoint, known[i].base ? &base.checkpoint : NULL, &bound), 0);
        /* The header is in our raw bytes: 0.3 %. */
        assert_true(within(bound.ratio, known[i].ratio, 0.005));
        mth_loaded_close(&input);
        if (known[i].base)
            mth_loaded_close(&base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bound_of_floats_is_exponent_entropy_and_raw_rest, create_memory,
                                        destroy_memory),
        cmocka_unit_test_setup_teardown(bound_of_integers_is_entropy_of_byte_planes, create_memory,
                                        destroy_memory),
        cmocka_unit_test_setup_teardown(states_steps_apart_are_bounded_by_what_adam_left, create_memory,
                                        destroy_memory),
        cmocka_unit_test_setup_teardown(bound_of_a_pair_is_entropy_of_xor_planes, create_memory,
                                        destroy_memory),
        cmocka_unit_test_setup_teardown(bound_of_a_pair_is_entropy_of_steps_given_the_exponent, create_memory,
                                        destroy_memory),
        cmocka_unit_test_setup_teardown(with_an_older_base_the_bound_knows_where_elements_came_from,
                                        create_memory, destroy_memory),
        cmocka_unit_test_setup_teardown(tensors_without_counterpart_are_bounded_as_alone, create_memory,
                                        destroy_memory),
        cmocka_unit_test_setup_teardown(the_bound_pairs_tensors_as_a_plan_does, create_memory,
                                        destroy_memory),
        cmocka_unit_test_setup_teardown(opaque_and_empty_checkpoints_have_a_bound, create_memory,
                                        destroy_memory),
        cmocka_unit_test_setup_teardown(entropy_counts_changed_lanes_signs_and_mantissas, create_memory,
                                        destroy_memory),
        cmocka_unit_test_setup_teardown(bounds_of_the_trained_run_are_the_known_ones, create_memory,
                                        destroy_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
