/* Inputs of golden containers; see golden_inputs.h. Any change here is a change of what they restore to. */
#include "tests/support/golden_inputs.h"

#include "base/checked.h"
#include "tests/support/patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_LARGE = 20 * 1024, N_LONG = 4097 * 4096 + 100 };

/* The bits of a value like those of weights: exponents around 118, in steps of a row. */
static uint32_t weight(uint64_t *random, unsigned row)
{
    uint64_t x = pattern_random(random);
    uint32_t exponent = 120 - row % 3;
    for (unsigned i = 0; i < 7 && (x >> 40 >> i & 1); i++)
        exponent--;
    return (uint32_t)(x >> 63) << 31 | exponent << 23 | (uint32_t)(x & 0x7fffff);
}

/* The next tensor, appended; what it holds comes later. */
static uint8_t **add(struct made *made, uint8_t **at, const char *name, enum mth_dtype dtype, uint64_t rows,
                     uint64_t columns)
{
    uint64_t shape[] = {rows, columns}, n = rows * columns, n_bytes = n * mth_dtype_info(dtype)->bits / 8;
    struct mth_tensor tensor = {.n_elems = n, .dtype = (uint8_t)dtype};
    assert_int_equal(mth_region_map_add_region(&made->map, made->map.n_bytes, n_bytes, dtype, &tensor.region),
                     0);
    if (dtype != MTH_DTYPE_OPAQUE)
        assert_int_equal(
            mth_region_map_add_tensor(&made->map, name, strlen(name), shape, columns > 1 ? 2 : 1, &tensor),
            0);
    *at = made->data + made->map.n_bytes;
    made->map.n_bytes += n_bytes;
    return at;
}

static struct made *begin(size_t capacity)
{
    struct made *made = made_begin();
    made->data = calloc(1, capacity + 1);
    assert_non_null(made->data);
    return made;
}

static struct made *finish(struct made *made)
{
    made->checkpoint = (struct mth_checkpoint){made->data, &made->map};
    return made;
}

static void put_bf16(uint8_t *p, uint64_t seed, unsigned n, unsigned columns)
{
    for (unsigned i = 0; i < n; i++)
        mth_store16(p + 2 * i, (uint16_t)(weight(&seed, i / columns) >> 16));
}

/* Every fifth element or so to a neighbour, away from the ends of what there is. */
static void step_bf16(uint8_t *p, uint64_t seed, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t x = pattern_random(&seed);
        uint16_t bits = mth_load16(p + 2 * i);
        if (x % 5 == 0)
            mth_store16(p + 2 * i, (uint16_t)(bits + (x >> 40 & 1 ? 1 : -1)));
    }
}

static struct made *weights(enum golden_input which)
{
    enum { ROWS = 32, COLUMNS = 48 };
    bool is_large = which == GOLDEN_LARGE || which == GOLDEN_LARGE_NEXT || which == GOLDEN_LARGE_BEFORE;
    unsigned n = is_large ? N_LARGE : ROWS * COLUMNS;
    struct made *made = begin(2 * (size_t)n);
    uint8_t *at, next[2 * N_LARGE];
    add(made, &at, "w", MTH_DTYPE_BF16, n / COLUMNS, COLUMNS);
    put_bf16(at, which == GOLDEN_OTHER_WEIGHTS ? 2 : 1, n / COLUMNS * COLUMNS, COLUMNS);
    if (which == GOLDEN_NEXT_WEIGHTS || which == GOLDEN_LARGE_NEXT)
        step_bf16(at, 3, n);
    if (which != GOLDEN_LARGE_BEFORE)
        return finish(made);
    memcpy(next, at, sizeof next);
    step_bf16(next, 3, n);
    /* But for some, it came from where it does not go. */
    for (unsigned i = 0; i < n; i++) {
        uint16_t bits = mth_load16(at + 2 * i), step = (uint16_t)(mth_load16(next + 2 * i) - bits);
        mth_store16(at + 2 * i, (uint16_t)(i % 16 ? bits - step : bits + step));
    }
    return finish(made);
}

static uint16_t bf16_nearest(uint32_t bits)
{
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* To nearest, of values that are normal in both. */
static uint16_t f16_nearest(uint32_t bits)
{
    uint32_t rounded = (bits & 0x7fffffff) - (112u << 23) + 0xfff + (bits >> 13 & 1);
    return (uint16_t)((bits >> 31) << 15 | rounded >> 13);
}

enum { TABLE_ROWS = 64, TABLE_COLUMNS = 24, ROWS = 16, COLUMNS = 40, N = ROWS * COLUMNS };

static void put_table(uint8_t *p, bool next)
{
    uint64_t seed = 11, other = 12;
    for (unsigned i = 0; i < TABLE_ROWS * TABLE_COLUMNS; i++) {
        uint32_t bits = weight(&seed, i / TABLE_COLUMNS), moved = weight(&other, i / TABLE_COLUMNS);
        mth_store32(p + 4 * i, next && i / TABLE_COLUMNS % 6 == 1 ? moved : bits);
    }
}

/* A master copy and what is rounded from it. */
static void put_copies(struct made *made, bool next)
{
    uint64_t seed = next ? 14 : 13;
    uint8_t *master, *nearest, *cut, *half;
    add(made, &master, "master", MTH_DTYPE_F32, ROWS, COLUMNS);
    add(made, &nearest, "model", MTH_DTYPE_BF16, ROWS, COLUMNS);
    add(made, &cut, "model.cut", MTH_DTYPE_BF16, ROWS, COLUMNS);
    add(made, &half, "model.half", MTH_DTYPE_F16, ROWS, COLUMNS);
    for (unsigned i = 0; i < N; i++) {
        uint32_t bits = weight(&seed, i / COLUMNS);
        mth_store32(master + 4 * i, bits);
        mth_store16(nearest + 2 * i, bf16_nearest(bits));
        mth_store16(cut + 2 * i, (uint16_t)(bits >> 16));
        mth_store16(half + 2 * i, f16_nearest(bits));
    }
    /* One that is not: predicted and coded. */
    mth_store16(nearest + 2 * 77, 0x3f80);
}

/* Few values, zeros, integers: what `max` has transforms for. */
static void put_odd_ones(struct made *made, bool next)
{
    static const enum mth_dtype narrow[] = {MTH_DTYPE_BOOL, MTH_DTYPE_U8, MTH_DTYPE_F8_E4M3, MTH_DTYPE_F64};
    uint64_t seed = 15;
    uint8_t *at;
    add(made, &at, "zeros", MTH_DTYPE_F32, 20, 16);
    for (unsigned i = 0; i < 320; i++)
        mth_store32(at + 4 * i, i % 9 == 0 ? weight(&seed, 0) : i % 13 == 0 ? 0x80000000 : 0);
    add(made, &at, "few", MTH_DTYPE_F32, 16, 32);
    for (unsigned i = 0; i < 512; i++)
        mth_store32(at + 4 * i,
                    0x3d000000 + (uint32_t)(pattern_random(&seed) >> 61) * 0x10000 + i / 32 * 256);
    add(made, &at, "ids", MTH_DTYPE_I64, 64, 1);
    for (unsigned i = 0; i < 64; i++)
        mth_store64(at + 8 * i, 1000 + i * 3 + next);
    for (size_t d = 0; d < sizeof narrow / sizeof narrow[0]; d++) {
        char name[16];
        snprintf(name, sizeof name, "narrow.%zu", d);
        add(made, &at, name, narrow[d], 100, 1);
        pattern_fill(PATTERN_EXPONENT, d, at, 100 * mth_dtype_lane_bytes(narrow[d]));
    }
}

static struct made *parts(bool next)
{
    struct made *made = begin(1 << 16);
    uint8_t *at, *tied;
    add(made, &at, NULL, MTH_DTYPE_OPAQUE, 120, 1);
    pattern_fill(PATTERN_TEXT, 1, at, 120);
    add(made, &at, "user_embedding", MTH_DTYPE_F32, TABLE_ROWS, TABLE_COLUMNS);
    put_table(at, next);
    add(made, &at, "layer.weight", MTH_DTYPE_BF16, ROWS, COLUMNS);
    put_bf16(at, 16, N, COLUMNS);
    if (next)
        step_bf16(at, 17, N);
    add(made, &tied, "layer.tied", MTH_DTYPE_BF16, ROWS, COLUMNS);
    memcpy(tied, at, (size_t)2 * N);
    add(made, &at, "frozen", MTH_DTYPE_BF16, ROWS, COLUMNS);
    put_bf16(at, 18, N, COLUMNS);
    put_copies(made, next);
    put_odd_ones(made, next);
    add(made, &at, NULL, MTH_DTYPE_OPAQUE, 1, 1);
    *at = 0x5a;
    return finish(made);
}

/* Weights of bf16 that were F32 and F16 before, a master that was bf16, and one that had another name. */
static struct made *converted(void)
{
    struct made *made = begin(1 << 16);
    uint8_t bf16[2 * N], *at;
    uint64_t seed = 14;
    put_bf16(bf16, 16, N, COLUMNS);
    add(made, &at, "layer.weight", MTH_DTYPE_F32, ROWS, COLUMNS);
    for (unsigned i = 0; i < N; i++)
        mth_store32(at + 4 * i, (uint32_t)mth_load16(bf16 + 2 * i) << 16);
    add(made, &at, "master", MTH_DTYPE_BF16, ROWS, COLUMNS);
    for (unsigned i = 0; i < N; i++)
        mth_store16(at + 2 * i, bf16_nearest(weight(&seed, i / COLUMNS)));
    add(made, &at, "frozen.before", MTH_DTYPE_BF16, ROWS, COLUMNS);
    put_bf16(at, 18, N, COLUMNS);
    add(made, &at, "layer.tied", MTH_DTYPE_F16, ROWS, COLUMNS);
    for (unsigned i = 0; i < N; i++)
        mth_store16(at + 2 * i, f16_nearest((uint32_t)mth_load16(bf16 + 2 * i) << 16));
    return finish(made);
}

/* A fused matrix beside its parts, and a flat buffer of fp32 beside its layers in bf16, each at a multiple of 64 elements. */
static struct made *slices(bool next)
{
    enum { WIDTH = 48, N_FUSED = 40 * WIDTH, N_FLAT = 1600, N_LAYERS = 3 };
    static const struct {
        char name[8];
        unsigned first, n;
    } parts[] = {{"q", 0, 32 * WIDTH}, {"k", 32 * WIDTH, 4 * WIDTH}, {"v", 36 * WIDTH, 4 * WIDTH}},
      layers[N_LAYERS] = {{"layer.0", 0, 1100}, {"layer.1", 1152, 70}, {"layer.2", 1280, 300}};
    struct made *made = begin(1 << 15);
    uint64_t seed = 19;
    uint8_t *fused, *flat, *at;
    add(made, &at, NULL, MTH_DTYPE_OPAQUE, 50, 1);
    pattern_fill(PATTERN_TEXT, 2, at, 50);
    add(made, &fused, "qkv", MTH_DTYPE_BF16, N_FUSED / WIDTH, WIDTH);
    put_bf16(fused, 20, N_FUSED, WIDTH);
    if (next)
        step_bf16(fused, 21, N_FUSED);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        add(made, &at, parts[i].name, MTH_DTYPE_BF16, parts[i].n / WIDTH, WIDTH);
        memcpy(at, fused + (size_t)2 * parts[i].first, (size_t)2 * parts[i].n);
    }
    add(made, &flat, "flat", MTH_DTYPE_F32, N_FLAT, 1);
    for (size_t i = 0; i < N_LAYERS; i++) {
        add(made, &at, layers[i].name, MTH_DTYPE_BF16, layers[i].n, 1);
        for (unsigned k = 0; k < layers[i].n; k++) {
            uint32_t bits = weight(&seed, k / 64) + (next ? 0x1000 * (k % 5) : 0);
            mth_store32(flat + (size_t)4 * (layers[i].first + k), bits);
            mth_store16(at + (size_t)2 * k, bf16_nearest(bits));
        }
    }
    return finish(made);
}

static struct made *bytes(enum mth_dtype dtype, size_t n, enum pattern pattern)
{
    struct made *made = begin(n);
    uint8_t *at;
    if (n)
        add(made, &at, "bytes", dtype, n, 1);
    pattern_fill(pattern, 1, made->data, n);
    return finish(made);
}

static struct made *fixture(const char *path)
{
    struct made *made = begin(0);
    struct mth_buffer file = {0};
    struct mth_source source;
    struct mth_error err = {0};
    struct mth_format_options options = {.raw_dtype = MTH_N_DTYPES};
    mth_region_map_free(&made->map);
    free(made->data);
    if (mth_file_read_all(path, made->memory, &file, &err))
        fail_msg("%s", err.text);
    made->data = malloc(file.n_bytes);
    assert_non_null(made->data);
    memcpy(made->data, file.data, file.n_bytes);
    mth_source_memory(path, (struct mth_bytes){made->data, file.n_bytes}, &source);
    mth_memory_free(made->memory, file.data);
    if (mth_format_map(&source, &options, made->memory, &made->map, &err))
        fail_msg("%s", err.text);
    return finish(made);
}

/* Up by chance, the likelier the nearer; every sixth is exact, and some are neither of both. */
static struct made *rounded_by_chance(void)
{
    enum { R_ROWS = 64, R_COLUMNS = 48, R_N = R_ROWS * R_COLUMNS };
    struct made *made = begin(8 * (size_t)R_N);
    uint64_t seed = 21, chance = 22;
    uint8_t *master, *model, *half;
    add(made, &master, "master", MTH_DTYPE_F32, R_ROWS, R_COLUMNS);
    add(made, &model, "model", MTH_DTYPE_BF16, R_ROWS, R_COLUMNS);
    add(made, &half, "model.half", MTH_DTYPE_F16, R_ROWS, R_COLUMNS);
    for (unsigned i = 0; i < R_N; i++) {
        uint32_t bits = weight(&seed, i / R_COLUMNS) ^ (uint32_t)(pattern_random(&seed) & 0xffff);
        uint32_t random = (uint32_t)pattern_random(&chance);
        if (i % 6 == 5)
            bits &= 0xffff0000;
        mth_store32(master + 4 * i, bits);
        mth_store16(model + 2 * i, (uint16_t)((bits + (random & 0xffff)) >> 16));
        uint32_t cut = (bits & 0x7fffffff) - (112u << 23) + (random & 0x1fff);
        mth_store16(half + 2 * i, (uint16_t)((bits >> 31) << 15 | (cut >> 13 & 0x7fff)));
    }
    mth_store32(master + 4 * 100, 0x7f800000);
    mth_store16(model + 2 * 100, 0x7f80);
    mth_store16(half + 2 * 100, 0x7c00);
    mth_store32(master + 4 * 200, 0x80000000);
    mth_store16(model + 2 * 200, 0x8000);
    mth_store16(half + 2 * 200, 0x8000);
    mth_store16(model + 2 * 300, 0x7fc1);
    mth_store16(half + 2 * 301, 0xffff);
    return finish(made);
}

struct made *golden_input(enum golden_input which)
{
    static const char *const fixtures[] = {"tests/fixtures/states/adamw-bf16-11.pt",
                                           "tests/fixtures/states/adamw-bf16-12.pt",
                                           "tests/fixtures/states/adamw-bf16-21.pt",
                                           "tests/fixtures/states/adamw-fp32-11.pt",
                                           "tests/fixtures/states/adamw-fp32-12.pt",
                                           "tests/fixtures/states/sgd-11.pt",
                                           "tests/fixtures/states/sgd-12.pt",
                                           "tests/fixtures/states/nesterov-11.pt",
                                           "tests/fixtures/states/nesterov-12.pt",
                                           "tests/fixtures/states/adagrad-11.pt",
                                           "tests/fixtures/states/adagrad-12.pt",
                                           "tests/fixtures/states/rmsprop-centered-11.pt",
                                           "tests/fixtures/states/rmsprop-centered-12.pt",
                                           "tests/fixtures/states/amsgrad-11.pt",
                                           "tests/fixtures/states/amsgrad-12.pt",
                                           "tests/fixtures/states/accumulated-11.pt",
                                           "tests/fixtures/states/accumulated-12.pt",
                                           "tests/fixtures/states/adamw-1.12-11.pt",
                                           "tests/fixtures/states/adamw-1.12-12.pt",
                                           "tests/fixtures/states/adam-l2-bf16-11.pt",
                                           "tests/fixtures/states/adam-l2-bf16-12.pt",
                                           "tests/fixtures/states/sgd-bf16-11.pt",
                                           "tests/fixtures/states/sgd-bf16-12.pt",
                                           "tests/fixtures/states/rmsprop-bf16-11.pt",
                                           "tests/fixtures/states/rmsprop-bf16-12.pt",
                                           "tests/fixtures/states/adagrad-bf16-11.pt",
                                           "tests/fixtures/states/adagrad-bf16-12.pt",
                                           "tests/fixtures/states/adamw-groups-11.pt",
                                           "tests/fixtures/states/adamw-groups-12.pt",
                                           "tests/fixtures/states/sgd-groups-11.pt",
                                           "tests/fixtures/states/sgd-groups-12.pt",
                                           "tests/fixtures/states/rmsprop-groups-11.pt",
                                           "tests/fixtures/states/rmsprop-groups-12.pt"};
    switch (which) {
    case GOLDEN_EMPTY:
        return bytes(MTH_DTYPE_OPAQUE, 0, PATTERN_ZEROS);
    case GOLDEN_ONE_BYTE:
        return bytes(MTH_DTYPE_OPAQUE, 1, PATTERN_RANDOM);
    case GOLDEN_TEXT:
        return bytes(MTH_DTYPE_U8, 6000, PATTERN_TEXT);
    case GOLDEN_LONG:
        return bytes(MTH_DTYPE_U8, N_LONG, PATTERN_ZEROS);
    case GOLDEN_CONVERTED:
        return converted();
    case GOLDEN_PARTS:
    case GOLDEN_PARTS_PACKED:
        return parts(false);
    case GOLDEN_NEXT:
        return parts(true);
    case GOLDEN_ROUNDED:
        return rounded_by_chance();
    case GOLDEN_SLICES:
        return slices(false);
    case GOLDEN_SLICES_NEXT:
        return slices(true);
    case GOLDEN_ADAM_BF16_BEFORE:
    case GOLDEN_ADAM_BF16:
    case GOLDEN_ADAM_BF16_LATER:
    case GOLDEN_ADAM_FP32_BEFORE:
    case GOLDEN_ADAM_FP32:
    case GOLDEN_SGD_BEFORE:
    case GOLDEN_SGD:
    case GOLDEN_NESTEROV_BEFORE:
    case GOLDEN_NESTEROV:
    case GOLDEN_ADAGRAD_BEFORE:
    case GOLDEN_ADAGRAD:
    case GOLDEN_CENTERED_BEFORE:
    case GOLDEN_CENTERED:
    case GOLDEN_AMSGRAD_BEFORE:
    case GOLDEN_AMSGRAD:
    case GOLDEN_ACCUMULATED_BEFORE:
    case GOLDEN_ACCUMULATED:
    case GOLDEN_ADAM_SUMMED_BEFORE:
    case GOLDEN_ADAM_SUMMED:
    case GOLDEN_ADAM_DECAYED_BEFORE:
    case GOLDEN_ADAM_DECAYED:
    case GOLDEN_SGD_BF16_BEFORE:
    case GOLDEN_SGD_BF16:
    case GOLDEN_RMSPROP_BF16_BEFORE:
    case GOLDEN_RMSPROP_BF16:
    case GOLDEN_ADAGRAD_BF16_BEFORE:
    case GOLDEN_ADAGRAD_BF16:
    case GOLDEN_ADAMW_GROUPS_BEFORE:
    case GOLDEN_ADAMW_GROUPS:
    case GOLDEN_SGD_GROUPS_BEFORE:
    case GOLDEN_SGD_GROUPS:
    case GOLDEN_RMSPROP_GROUPS_BEFORE:
    case GOLDEN_RMSPROP_GROUPS:
        return fixture(fixtures[which - GOLDEN_ADAM_BF16_BEFORE]);
    case GOLDEN_WEIGHTS:
    case GOLDEN_NEXT_WEIGHTS:
    case GOLDEN_OTHER_WEIGHTS:
    case GOLDEN_LARGE:
    case GOLDEN_LARGE_NEXT:
    case GOLDEN_LARGE_BEFORE:
        return weights(which);
    default:
        return NULL;
    }
}
