/*
 * Laws of tensors that are a part of another: they cost next to nothing, as they are or rounded, wherever they begin; a step of an
 * optimizer is redone on a flat buffer with parts beside it; and what only looks like a part comes back all the same.
 */
#include "pipeline/slices.h"
#include "tests/support/made_container.h"

#include "base/checked.h"
#include "transforms/predictors/float_bits.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHUNK_BYTES = 16384 };

static uint8_t *bytes_of(const struct made *made, const char *name)
{
    const struct mth_tensor *tensor = mth_region_map_find(&made->map, name);
    assert_non_null(tensor);
    return made->data + made->map.regions[tensor->region].offset;
}

static void fill_weights(uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t x = made_random32();
        mth_store32(out + 4 * i, (x & 0x80ffffff) | (0x3a + (x >> 24 & 3)) << 24);
    }
}

static size_t assert_comes_back(const struct made *input, const struct made *base, const char *spec)
{
    return made_assert_comes_back(CHUNK_BYTES, input, base, spec);
}

static size_t search(const struct made *made, bool is_coarse, struct mth_slice **slices)
{
    struct mth_source source;
    struct mth_error err = {0};
    size_t n;
    mth_source_memory("made", (struct mth_bytes){made->data, (size_t)made->map.n_bytes}, &source);
    assert_int_equal(mth_slices_find(&made->map, &source, is_coarse, made->memory, slices, &n, &err), 0);
    return n;
}

static size_t find(const struct made *made, struct mth_slice **slices)
{
    return search(made, false, slices);
}

/* ---- what is found ---- */

enum { N_Q = 6000, N_K = 1500, N_ROWS = 9001, FIRST_ROW = 1234, N_SOME = 5000 };

/* A fused matrix and its parts, and rows of a table. */
static struct made *with_parts(enum mth_dtype dtype, bool has_parts)
{
    struct made *made = made_begin();
    size_t width = mth_dtype_lane_bytes(dtype);
    made_add_tensor(made, "header", MTH_DTYPE_OPAQUE, 333);
    made_add_tensor(made, "qkv", dtype, N_Q + 2 * N_K);
    made_add_tensor(made, "rows", dtype, N_ROWS);
    if (has_parts) {
        made_add_tensor(made, "q", dtype, N_Q);
        made_add_tensor(made, "some", dtype, N_SOME);
        made_add_tensor(made, "v", dtype, N_K);
        made_add_tensor(made, "between", MTH_DTYPE_OPAQUE, 77);
        made_add_tensor(made, "k", dtype, N_K);
    }
    made_fill(made);
    if (has_parts) {
        memcpy(bytes_of(made, "q"), bytes_of(made, "qkv"), N_Q * width);
        memcpy(bytes_of(made, "k"), bytes_of(made, "qkv") + N_Q * width, N_K * width);
        memcpy(bytes_of(made, "v"), bytes_of(made, "qkv") + (N_Q + N_K) * width, N_K * width);
        memcpy(bytes_of(made, "some"), bytes_of(made, "rows") + FIRST_ROW * width, N_SOME * width);
    }
    return made;
}

/* A part of a table, and what stands beside it in the file and is too small to be looked for. */
static void a_coarse_search_finds_parts_at_round_places(void **state)
{
    (void)state;
    enum { N_TABLE = 200000, N_PART = 40000, N_BESIDE = 700 };
    static const size_t firsts[] = {0, 256, 1280, 256 * 620};
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        for (size_t off = 0; off < 2; off++) {
            size_t first = firsts[i] + 3 * off;
            struct mth_slice *slices;
            struct made *made = made_begin();
            made_add_tensor(made, "table", MTH_DTYPE_BF16, N_TABLE);
            made_add_tensor(made, "part", MTH_DTYPE_BF16, N_PART);
            made_add_tensor(made, "beside", MTH_DTYPE_BF16, N_BESIDE);
            made_fill(made);
            memcpy(bytes_of(made, "part"), bytes_of(made, "table") + 2 * first, 2 * (size_t)N_PART);
            memcpy(bytes_of(made, "beside"), bytes_of(made, "table") + 2 * (first + N_PART),
                   2 * (size_t)N_BESIDE);
            assert_int_equal(search(made, true, &slices), off ? 0 : 2);
            for (size_t k = 0; k < 2 && !off; k++)
                assert_true(slices[k].whole == 0 && slices[k].part == 1 + k &&
                            slices[k].first == first + k * N_PART);
            mth_memory_free(made->memory, slices);
            assert_int_equal(find(made, &slices), 2);
            mth_memory_free(made->memory, slices);
            made_free(made);
        }
    }
}

/* Weights that the base has all of are searched coarsely: a part that changed as its whole did is still a copy. */
static void parts_are_found_where_the_base_has_all(void **state)
{
    (void)state;
    enum { N_TABLE = 200000, N_PART = 100000, FIRST = 25600 };
    struct made *base = made_begin(), *made = made_begin();
    struct made *both[] = {base, made};
    for (size_t i = 0; i < 2; i++) {
        made_add_tensor(both[i], "table", MTH_DTYPE_BF16, N_TABLE);
        made_add_tensor(both[i], "part", MTH_DTYPE_BF16, N_PART);
        made_fill(both[i]);
    }
    memcpy(bytes_of(made, "part"), bytes_of(made, "table") + 2 * FIRST, 2 * (size_t)N_PART);
    memcpy(bytes_of(base, "part"), bytes_of(base, "table") + 2 * FIRST, 2 * (size_t)N_PART);
    size_t n_found = assert_comes_back(made, base, "balanced");
    bytes_of(made, "part")[3000] ^= 1;
    for (size_t i = 0; i < N_PART; i++)
        bytes_of(made, "part")[2 * i] ^= (uint8_t)(i * 31 >> 3 & 7);
    assert_true(n_found + N_PART / 2 < assert_comes_back(made, base, "balanced"));
    made_free(base);
    made_free(made);
}

static void parts_cost_next_to_nothing(void **state)
{
    (void)state;
    static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16, MTH_DTYPE_F16, MTH_DTYPE_F32, MTH_DTYPE_I32};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        struct mth_slice *slices;
        struct made *with = with_parts(dtypes[i], true), *without = with_parts(dtypes[i], false);
        assert_int_equal(find(with, &slices), 4);
        static const struct mth_slice expected[] = {
            {1, 3, 0, N_Q}, {1, 7, N_Q, N_K}, {1, 5, N_Q + N_K, N_K}, {2, 4, FIRST_ROW, N_SOME}};
        for (size_t k = 0; k < 4; k++)
            assert_true(slices[k].whole == expected[k].whole && slices[k].part == expected[k].part &&
                        slices[k].first == expected[k].first && slices[k].n_elems == expected[k].n_elems);
        mth_memory_free(with->memory, slices);
        assert_int_equal(find(without, &slices), 0);
        assert_null(slices);
        size_t n_with = assert_comes_back(with, NULL, "balanced"),
               n_without = assert_comes_back(without, NULL, "balanced");
        /* A chunk that is as predicted, and another cut of what it is predicted from: tables of chunks that small are much. */
        assert_true(n_with < n_without + 5000);
        assert_true(n_with + (N_Q + 2 * N_K + N_SOME) / 2 <
                    assert_comes_back(with, NULL, "exponent-split+rans/store,rans"));
        assert_comes_back(with, NULL, "max");
        assert_comes_back(with, without, "balanced");
        made_free(with);
        made_free(without);
    }
}

/* Tensors in fp32, one behind the other, each at a multiple of so many elements: what an optimizer steps, beside what is computed with. */
static const size_t layers[] = {7000, 256, 12000, 64, 3000, 300, 9000};
enum { N_LAYERS = sizeof layers / sizeof layers[0] };

static size_t flat_elems(size_t align)
{
    size_t n = 0;
    for (size_t i = 0; i < N_LAYERS; i++)
        n = (n + align - 1) / align * align + layers[i];
    return n;
}

static void add_layers(struct made *made, enum mth_dtype dtype)
{
    char name[] = "layer.0";
    for (size_t i = 0; i < N_LAYERS; i++, name[6]++)
        made_add_tensor(made, name, dtype, layers[i]);
}

/* Layers out of a flat buffer of fp32, or the other way round; one of both is rounded by a predictor. */
static void fill_layers(struct made *made, size_t align, uint8_t predictor, bool flat_is_rounded)
{
    uint8_t *flat = bytes_of(made, "flat");
    char name[] = "layer.0";
    size_t at = 0;
    memset(flat, 0, flat_elems(align) * (flat_is_rounded ? 2 : 4));
    for (size_t i = 0; i < N_LAYERS; i++, name[6]++) {
        uint8_t *layer = bytes_of(made, name);
        at = (at + align - 1) / align * align;
        const uint8_t *inputs[] = {flat_is_rounded ? layer : flat + 4 * at};
        uint8_t *out = flat_is_rounded ? flat + 2 * at : layer;
        fill_weights(flat_is_rounded ? layer : flat + 4 * at, layers[i]);
        if (predictor == MTH_PREDICT_SAME)
            memcpy(out, inputs[0], 4 * layers[i]);
        else
            mth_predictor_at(predictor)->predict(NULL, inputs, layers[i], out);
        at += layers[i];
    }
}

static void flat_buffers_are_the_tensors_behind_one_another(void **state)
{
    (void)state;
    static const struct {
        uint8_t predictor;
        enum mth_dtype rounded;
        bool flat_is_rounded;
    } cases[] = {{MTH_PREDICT_BF16_NEAREST, MTH_DTYPE_BF16, false},
                 {MTH_PREDICT_BF16_TRUNCATED, MTH_DTYPE_BF16, false},
                 {MTH_PREDICT_F16_NEAREST, MTH_DTYPE_F16, false},
                 {MTH_PREDICT_SAME, MTH_DTYPE_F32, false},
                 {MTH_PREDICT_BF16_NEAREST, MTH_DTYPE_BF16, true},
                 {MTH_PREDICT_F16_NEAREST, MTH_DTYPE_F16, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t align = 1; align <= 128; align *= 128) {
            struct mth_slice *slices;
            struct made *made = made_begin();
            made_add_tensor(made, "header", MTH_DTYPE_OPAQUE, 100);
            add_layers(made, cases[i].flat_is_rounded ? MTH_DTYPE_F32 : cases[i].rounded);
            made_add_tensor(made, "flat", cases[i].flat_is_rounded ? cases[i].rounded : MTH_DTYPE_F32,
                            flat_elems(align));
            made_fill(made);
            fill_layers(made, align, cases[i].predictor, cases[i].flat_is_rounded);
            assert_int_equal(find(made, &slices), N_LAYERS);
            mth_memory_free(made->memory, slices);
            /* Of 32 bits an element 27 or so are left, and nothing of its copy. */
            size_t n = assert_comes_back(made, NULL, "balanced");
            assert_true(n < flat_elems(align) * 29 / 8 + 4000);
            assert_comes_back(made, NULL, "max");
            made_free(made);
        }
    }
}

/* Where memory is short they are not looked for, and no more is taken than was said. */
static void parts_are_found_within_a_limit_of_memory(void **state)
{
    (void)state;
    enum { LITTLE = 1 << 10 }; /* beyond what was said, which suffices */
    struct made *made = with_parts(MTH_DTYPE_BF16, true);
    struct mth_pipeline *pipeline;
    struct mth_memory_need need;
    struct mth_error err = {0};
    size_t n_least = SIZE_MAX, n_plain = 0;
    assert_int_equal(mth_pipeline_parse("balanced", false, &pipeline, &err), 0);
    for (size_t extra = 0; extra <= (size_t)64 << 20; extra = extra ? 2 * extra : LITTLE) {
        struct mth_memory *roomy = mth_memory_create(0);
        struct mth_stream_config config = made_config(roomy, 1, CHUNK_BYTES);
        assert_int_equal(mth_compress_memory(pipeline, &made->map, false, &config, &need, &err), 0);
        mth_memory_destroy(roomy);
        struct mth_memory *memory = mth_memory_create((size_t)need.total_bytes + extra);
        struct mth_bytes bytes = made_compress(memory, 1, CHUNK_BYTES, "balanced", made, NULL, NULL);
        n_plain = extra == 0 ? bytes.n_bytes : n_plain;
        n_least = bytes.n_bytes;
        assert_true(n_least <= n_plain);
        made_container_free(bytes);
        mth_memory_destroy(memory);
    }
    assert_true(n_least + N_Q < n_plain);
    mth_pipeline_destroy(pipeline);
    made_free(made);
}

/* ---- what is none ---- */

static void what_only_looks_like_a_part_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < 12; i++) {
        struct made *made = with_parts(i % 2 ? MTH_DTYPE_F32 : MTH_DTYPE_BF16, true);
        size_t width = i % 2 ? 4 : 2;
        uint8_t *some = bytes_of(made, "some"), *q = bytes_of(made, "q");
        /* What is looked at stays. */
        for (size_t k = 600; k < N_SOME - 600; k += 1 + made_random32() % (i < 6 ? 3 : 300))
            some[k * width] ^= (uint8_t)(1 + made_random32() % 255);
        for (size_t k = 600; k < N_Q - 600; k++)
            q[k * width + made_random32() % width] = (uint8_t)made_random32();
        assert_comes_back(made, NULL, i % 3 ? "balanced" : "max");
        made_free(made);
    }
}

/* Zeros, one value, two in turn, counters: all of them look like parts at many places. */
static void tensors_of_few_values_come_back_in_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct mth_slice *slices;
        struct made *made = made_begin();
        static const char *const names[] = {"a", "b", "c", "d", "e"};
        for (size_t t = 0; t < 5; t++)
            made_add_tensor(made, names[t], MTH_DTYPE_F32, 40000 >> t);
        made_fill(made);
        for (size_t t = 0; t < 5; t++) {
            for (uint32_t k = 0; k < 40000u >> t; k++)
                mth_store32(bytes_of(made, names[t]) + 4 * k, i == 0   ? 0
                                                              : i == 1 ? 0x3f800000
                                                              : i == 2 ? k % 3
                                                                       : k);
        }
        size_t n = find(made, &slices);
        assert_true(n <= 8);
        mth_memory_free(made->memory, slices);
        assert_comes_back(made, NULL, "balanced");
        made_free(made);
    }
}

/* ---- a step of Adam on a flat buffer ---- */

enum { STATE_W, STATE_M, STATE_V, STATE_STEP, N_STATE };

/* A flat parameter with what Adam keeps of it, and the layers in bf16; in the step before where after is NULL. */
static struct made *flat_state(const struct made *before)
{
    static const char *const names[N_STATE] = {"flat", "state.flat.exp_avg", "state.flat.exp_avg_sq",
                                               "state.flat.step"};
    struct made *made = made_begin();
    size_t n = flat_elems(1);
    made_add_tensor(made, "header", MTH_DTYPE_OPAQUE, 100);
    for (size_t i = 0; i < N_STATE; i++)
        made_add_tensor(made, names[i], MTH_DTYPE_F32, i == STATE_STEP ? 1 : n);
    add_layers(made, MTH_DTYPE_BF16);
    made_fill(made);
    fill_layers(made, 1, MTH_PREDICT_BF16_NEAREST, false);
    struct mth_region_map *map = &made->map;
    map->n_params = map->params_capacity = map->n_grouped = map->n_tensors;
    map->params = mth_memory_alloc(made->memory, map->n_tensors * sizeof *map->params);
    map->group_of = mth_memory_alloc(made->memory, map->n_tensors * sizeof *map->group_of);
    map->groups = mth_memory_alloc(made->memory, sizeof *map->groups);
    map->n_groups = 1;
    map->groups[0] = (struct mth_optimizer_group){.kind = MTH_OPTIMIZER_ADAM,
                                                  .lr = 1e-3,
                                                  .weight_decay = 0.1,
                                                  .beta1 = 0.9,
                                                  .beta2 = 0.99,
                                                  .eps = 1e-8};
    for (size_t i = 0; i < map->n_tensors; i++) {
        bool is_state = i >= STATE_M && i <= STATE_STEP;
        map->params[i] = is_state ? STATE_W : (uint32_t)MTH_NO_TENSOR;
        map->group_of[i] = is_state ? 0 : UINT32_MAX;
    }
    mth_store32(bytes_of(made, names[STATE_STEP]), mth_bits_of(before ? 12 : 11));
    for (size_t i = 0; i < n; i++) {
        uint8_t *w = bytes_of(made, names[STATE_W]) + 4 * i, *m = bytes_of(made, names[STATE_M]) + 4 * i,
                *v = bytes_of(made, names[STATE_V]) + 4 * i;
        float g = (float)((double)made_random32() / 4294967296 - 0.5) * 0.01f;
        if (!before) {
            mth_store32(m, mth_bits_of(g * 0.3f));
            mth_store32(v, mth_bits_of(g * g + 1e-6f));
            continue;
        }
        float w0 = mth_float_of(mth_load32(bytes_of(before, names[STATE_W]) + 4 * i)),
              m0 = mth_float_of(mth_load32(bytes_of(before, names[STATE_M]) + 4 * i)),
              v0 = mth_float_of(mth_load32(bytes_of(before, names[STATE_V]) + 4 * i));
        float m1 = fmaf((float)(1 - 0.9), g - m0, m0), v1 = fmaf((float)(1 - 0.99) * g, g, v0 * (float)0.99);
        mth_store32(m, mth_bits_of(m1));
        mth_store32(v, mth_bits_of(v1));
        const uint32_t settings[] = {mth_bits_of((float)(1 - 1e-3 * 0.1)),
                                     mth_bits_of((float)-(1e-3 / (1 - pow(0.9, 12)))),
                                     mth_bits_of((float)sqrt(1 - pow(0.99, 12))), mth_bits_of((float)1e-8)};
        uint8_t old[4];
        const uint8_t *const inputs[] = {old, m, v};
        mth_store32(old, mth_bits_of(w0));
        mth_predict_adam_w(settings, inputs, 1, w);
    }
    size_t at = 0;
    char name[] = "layer.0";
    for (size_t i = 0; i < N_LAYERS; at += layers[i], i++, name[6]++) {
        const uint8_t *inputs[] = {bytes_of(made, "flat") + 4 * at};
        mth_predictor_at(MTH_PREDICT_BF16_NEAREST)->predict(NULL, inputs, layers[i], bytes_of(made, name));
    }
    return made;
}

static void a_step_is_redone_on_a_flat_buffer(void **state)
{
    (void)state;
    struct made *before = flat_state(NULL), *after = flat_state(before);
    size_t n = flat_elems(1), n_bytes = assert_comes_back(after, before, "balanced");
    /* Of w, m, v and the copy m is left, of 32 bits, and a bit of v. */
    assert_true(n_bytes < n * 29 / 8 + 6000);
    assert_true(assert_comes_back(after, before, "ulp-rans,exponent-split+rans/store") > 2 * n_bytes);
    assert_comes_back(after, before, "max");
    assert_comes_back(before, after, "balanced");
    made_free(before);
    made_free(after);
}

/* ---- maps that are cut ---- */

static void a_map_that_is_cut_tells_the_same(void **state)
{
    (void)state;
    struct made *made = flat_state(NULL);
    const struct mth_region_cut cuts[] = {{1, 400}, {1, 4000}, {2, 400}, {2, 4000},
                                          {3, 400}, {3, 4000}, {5, 20}};
    struct mth_region_map out;
    uint32_t first[32];
    assert_int_equal(mth_region_split(&made->map, cuts, sizeof cuts / sizeof cuts[0], &out, first), 0);
    assert_int_equal(mth_region_map_check(&out), 0);
    assert_int_equal(out.n_regions, made->map.n_regions + 7);
    assert_int_equal(first[2] - first[1], 3);
    assert_int_equal(first[made->map.n_regions], out.n_regions);
    /* Each part of the moments is of the part of the weights, and steps are of each. */
    size_t n_parts = 0, n_steps = 0;
    for (size_t i = 0; i < out.n_tensors; i++) {
        const struct mth_tensor *param = mth_tensor_param(&out, &out.tensors[i]);
        if (!param)
            continue;
        assert_non_null(mth_tensor_group(&out, &out.tensors[i]));
        assert_string_equal(mth_tensor_name(&out, param), "flat");
        if (out.tensors[i].n_elems == 1) {
            n_steps++;
            continue;
        }
        n_parts++;
        assert_int_equal(out.tensors[i].n_elems, param->n_elems);
        uint64_t of_w = out.regions[param->region].offset - made->map.regions[1].offset,
                 of_state = out.regions[out.tensors[i].region].offset;
        assert_true(of_state == made->map.regions[2].offset + of_w ||
                    of_state == made->map.regions[3].offset + of_w);
    }
    assert_int_equal(n_parts, 6);
    assert_int_equal(n_steps, 3);
    mth_region_split_free(&out);
    made_free(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_coarse_search_finds_parts_at_round_places),
        cmocka_unit_test(parts_are_found_where_the_base_has_all),
        cmocka_unit_test(parts_cost_next_to_nothing),
        cmocka_unit_test(flat_buffers_are_the_tensors_behind_one_another),
        cmocka_unit_test(parts_are_found_within_a_limit_of_memory),
        cmocka_unit_test(what_only_looks_like_a_part_comes_back),
        cmocka_unit_test(tensors_of_few_values_come_back_in_time),
        cmocka_unit_test(a_step_is_redone_on_a_flat_buffer),
        cmocka_unit_test(a_map_that_is_cut_tells_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
