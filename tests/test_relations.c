/*
 * Laws of tensors that are predicted from others of their checkpoint: a copy costs next to nothing, what only looks like one
 * comes back all the same, and the order in which a container holds them is one-to-one with the file's.
 */
#include "pipeline/bundle.h"
#include "tests/support/golden_inputs.h"
#include "tests/support/made_container.h"

#include "base/checked.h"
#include "base/file.h"
#include "transforms/predictors/float_bits.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHUNK_BYTES = 16384, LARGE_CHUNK_BYTES = 1 << 20 };

/* ---- the layout ---- */

static struct mth_layout two_families(struct mth_memory *memory)
{
    struct mth_layout layout = {.memory = memory};
    assert_int_equal(mth_layout_add_family(&layout, 3000, 1024), 0);
    assert_int_equal(mth_layout_add_member(&layout, 20000, 4), 0);
    assert_int_equal(mth_layout_add_member(&layout, 100, 2), 0);
    assert_int_equal(mth_layout_add_family(&layout, 5, 1024), 0);
    assert_int_equal(mth_layout_add_member(&layout, 6100, 4), 0);
    assert_int_equal(mth_layout_add_member(&layout, 6120, 1), 0);
    assert_int_equal(mth_layout_add_member(&layout, 40000, 8), 0);
    return layout;
}

static void places_and_offsets_are_one_to_one(void **state)
{
    (void)state;
    enum { N_BYTES = 41000 };
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_layout layout = two_families(memory);
    static bool seen[N_BYTES];
    assert_int_equal(mth_layout_finish(&layout, N_BYTES), MTH_OK);
    assert_int_equal(layout.n_rest, N_BYTES - 3000 * 6 - 5 * 13);
    for (uint64_t place = 0, n_run; place < N_BYTES; place += n_run) {
        uint64_t offset = mth_layout_to_file(&layout, place, &n_run), n_back;
        assert_true(n_run > 0 && n_run <= N_BYTES - place && n_run <= N_BYTES - offset);
        for (uint64_t i = 0; i < n_run; i++) {
            assert_false(seen[offset + i]);
            seen[offset + i] = true;
            assert_int_equal(mth_layout_to_place(&layout, offset + i, &n_back), place + i);
            assert_true(n_back > 0 && n_back <= n_run - i);
        }
    }
    /* Pieces of the same elements stand side by side: 1024 wide ones, then 1024 narrow ones. */
    uint64_t n_run;
    assert_int_equal(mth_layout_to_file(&layout, layout.n_rest, &n_run), 20000);
    assert_int_equal(n_run, 4096);
    assert_int_equal(mth_layout_to_file(&layout, layout.n_rest + 4096, &n_run), 100);
    assert_int_equal(n_run, 2048);
    assert_int_equal(mth_layout_to_file(&layout, layout.n_rest + 6144, &n_run), 24096);
    mth_layout_free(&layout);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void a_layout_that_no_file_has_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t n_elems;
        uint32_t piece_elems;
        uint64_t offsets[2];
        uint32_t widths[2];
    } cases[] = {
        {100, 100, {0, 399}, {4, 4}},            /* they overlap */
        {100, 100, {0, 9601}, {4, 4}},           /* one ends behind the file */
        {100, 100, {0, UINT64_MAX}, {4, 4}},     /* one begins there */
        {100, 99, {0, 400}, {4, 4}},             /* cut too small */
        {100, 0, {0, 400}, {4, 4}},              /* pieces of nothing */
        {0, 100, {0, 400}, {4, 4}},              /* nothing */
        {100, 100, {0, 400}, {4, 0}},            /* elements of nothing */
        {UINT64_MAX / 2, 2048, {0, 400}, {4, 4}} /* more than there is */
    };
    struct mth_memory *memory = mth_memory_create(0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mth_layout layout = {.memory = memory};
        assert_int_equal(mth_layout_add_family(&layout, cases[i].n_elems, cases[i].piece_elems), 0);
        for (size_t m = 0; m < 2; m++)
            assert_int_equal(mth_layout_add_member(&layout, cases[i].offsets[m], cases[i].widths[m]), 0);
        assert_int_equal(mth_layout_finish(&layout, 10000), MTH_ERR_CORRUPT);
        mth_layout_free(&layout);
    }
    struct mth_layout alone = {.memory = memory};
    assert_int_equal(mth_layout_add_family(&alone, 100, 100), 0);
    assert_int_equal(mth_layout_add_member(&alone, 0, 4), 0);
    assert_int_equal(mth_layout_finish(&alone, 10000), MTH_ERR_CORRUPT);
    mth_layout_free(&alone);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

/* ---- checkpoints ---- */

static uint8_t *bytes_of(const struct made *made, const char *name)
{
    const struct mth_tensor *tensor = mth_region_map_find(&made->map, name);
    return made->data + made->map.regions[tensor->region].offset;
}

/* Weights with every kind of value among them. */
static void fill_weights(uint8_t *out, size_t n)
{
    static const uint32_t special[] = {0,          0x80000000, 1,          0x80000001, 0x7f800000,
                                       0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 0x7f7fffff,
                                       0x3f808000, 0x3f818000, 0x477fe000, 0x477ff000, 0x33000000,
                                       0x33000001, 0x387fe000, 0x387ff000, 0x00400000, 0x38001000};
    for (size_t i = 0; i < n; i++) {
        uint32_t x = made_random32();
        x = (x & 0x80ffffff) | (0x3a + (x >> 24 & 3)) << 24;
        if (made_random32() % 50 == 0)
            x = special[made_random32() % (sizeof special / sizeof special[0])];
        mth_lane_store32(out + 4 * i, x);
    }
}

/* Masters, a copy in bf16, one in fp16, one cut off, one that is tied, and tensors that are related to nothing. */
static struct made *with_copies(size_t n)
{
    struct made *made = made_begin();
    made_add_tensor(made, "header", MTH_DTYPE_OPAQUE, 333);
    made_add_tensor(made, "model.w", MTH_DTYPE_BF16, n);
    made_add_tensor(made, "other", MTH_DTYPE_F32, n);
    made_add_tensor(made, "master.w", MTH_DTYPE_F32, n);
    made_add_tensor(made, "between", MTH_DTYPE_OPAQUE, 77);
    made_add_tensor(made, "half.w", MTH_DTYPE_F16, n);
    made_add_tensor(made, "cut.w", MTH_DTYPE_BF16, n);
    made_add_tensor(made, "tied.w", MTH_DTYPE_F32, n);
    made_add_tensor(made, "head", MTH_DTYPE_I8, 300);
    made_add_tensor(made, "head.again", MTH_DTYPE_I8, 300);
    made_fill(made);
    fill_weights(bytes_of(made, "master.w"), n);
    memcpy(bytes_of(made, "tied.w"), bytes_of(made, "master.w"), 4 * n);
    memcpy(bytes_of(made, "head.again"), bytes_of(made, "head"), 300);
    const uint8_t *inputs[] = {bytes_of(made, "master.w")};
    mth_predictor_at(MTH_PREDICT_BF16_NEAREST)->predict(NULL, inputs, n, bytes_of(made, "model.w"));
    mth_predictor_at(MTH_PREDICT_F16_NEAREST)->predict(NULL, inputs, n, bytes_of(made, "half.w"));
    mth_predictor_at(MTH_PREDICT_BF16_TRUNCATED)->predict(NULL, inputs, n, bytes_of(made, "cut.w"));
    return made;
}

static void assert_comes_back(const struct made *input, const struct made *base, const char *spec,
                              size_t *n_bytes)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_bytes first = {0};
    for (size_t n_threads = 1; n_threads <= 3; n_threads++) {
        struct mth_bytes bytes = made_compress(memory, n_threads, CHUNK_BYTES, spec, input, base, NULL);
        made_assert_container(memory, 4 - n_threads, bytes, input, base);
        if (first.data) {
            assert_int_equal(bytes.n_bytes, first.n_bytes);
            assert_memory_equal(bytes.data, first.data, first.n_bytes);
            made_container_free(bytes);
        } else {
            first = bytes;
        }
    }
    *n_bytes = first.n_bytes;
    made_container_free(first);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void copies_cost_next_to_nothing(void **state)
{
    (void)state;
    static const size_t sizes[] = {64, 65, 1000, 1024, 5000, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t n = sizes[i], n_related, n_plain;
        struct made *made = with_copies(n);
        assert_comes_back(made, NULL, "balanced", &n_related);
        assert_comes_back(made, NULL, "exponent-split+rans/store", &n_plain);
        /* Ten bytes an element less: a bundle's entry, head and tail are what copies take. */
        if (n >= 5000)
            assert_true(n_related + n * 6 < n_plain);
        made_free(made);
    }
}

enum { NEAREST_OR_CUT = 1 << 30 };

/* What stochastic rounding makes of fp32: random bits are added to those that are then cut off; and either of two schemes by chance. */
static uint16_t rounded_by_chance(uint32_t x, enum mth_dtype dtype, uint32_t random)
{
    if (random == NEAREST_OR_CUT)
        return made_random32() & 1 ? mth_bf16_nearest(x) : (uint16_t)(x >> 16);
    if (dtype == MTH_DTYPE_BF16)
        return (uint16_t)((x + (random & 0xffff)) >> 16);
    return (uint16_t)((x >> 31) << 15 | ((x & 0x7fffffff) - (112u << 23) + (random & 0x1fff)) >> 13);
}

/* Bytes that a copy of n weights takes more than one that is rounded to nearest; entropy: of up or down given what is cut off, in bits of all. */
static size_t bytes_of_rounded_copy(enum mth_dtype dtype, size_t n, uint32_t random_bits, double *entropy)
{
    size_t n_bytes[2];
    *entropy = 0;
    for (size_t with = 0; with < 2; with++) {
        struct made *made = made_begin();
        made_add_tensor(made, "other", MTH_DTYPE_F32, n);
        made_add_tensor(made, "master.w", MTH_DTYPE_F32, n);
        made_add_tensor(made, "model.w", dtype, n);
        made_fill(made);
        for (size_t i = 0; i < n; i++) {
            /* The same weights both times. */
            uint32_t x = (uint32_t)(i * 2654435761u);
            x = (x ^ x >> 15) * 0x2c1b3c6du;
            x = (x & 0x80ffffff) | (0x3a + (x >> 24 & 3)) << 24;
            mth_lane_store32(bytes_of(made, "master.w") + 4 * i, x);
            if (!with) {
                uint16_t nearest = dtype == MTH_DTYPE_BF16 ? mth_bf16_nearest(x) : mth_f16_nearest(x);
                mth_store16(bytes_of(made, "model.w") + 2 * i, nearest);
                continue;
            }
            uint32_t unit = dtype == MTH_DTYPE_BF16 ? 0x10000 : 0x2000, rest = x & random_bits & (unit - 1);
            double up = (double)rest / unit;
            mth_store16(bytes_of(made, "model.w") + 2 * i,
                        rounded_by_chance(x, dtype,
                                          random_bits == NEAREST_OR_CUT ? random_bits
                                                                        : made_random32() & random_bits));
            if (random_bits == NEAREST_OR_CUT)
                *entropy += mth_bf16_nearest(x) != x >> 16;
            else if (rest)
                *entropy -= up * log2(up) + (1 - up) * log2(1 - up);
        }
        /* Small chunks have as many tables; large ones are what is measured. */
        assert_comes_back(made, NULL, "balanced", &n_bytes[with]);
        struct mth_memory *memory = mth_memory_create(0);
        struct mth_bytes bytes = made_compress(memory, 1, LARGE_CHUNK_BYTES, "balanced", made, NULL, NULL);
        made_assert_container(memory, 2, bytes, made, NULL);
        n_bytes[with] = bytes.n_bytes;
        made_container_free(bytes);
        mth_memory_destroy(memory);
        made_free(made);
    }
    return n_bytes[1] - n_bytes[0];
}

/* Up or down by chance, as likely as it is near: 0.72 bits an element that nobody knows, half a bit where one side is sure. */
static void stochastic_rounding_costs_its_chance_and_hardly_more(void **state)
{
    (void)state;
    enum { N = 60000 };
    static const struct {
        enum mth_dtype dtype;
        uint32_t random_bits;
        double bits;
    } cases[] = {{MTH_DTYPE_BF16, 0xffff, 0.7213},
                 {MTH_DTYPE_BF16, 0xff00, 0.7213},
                 {MTH_DTYPE_BF16, NEAREST_OR_CUT, 0.5},
                 {MTH_DTYPE_F16, 0x1fff, 0.7213},
                 {MTH_DTYPE_F16, 0x1fe0, 0.7213}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double entropy;
        size_t n_bytes = bytes_of_rounded_copy(cases[i].dtype, N, cases[i].random_bits, &entropy);
        assert_true(fabs(entropy / N - cases[i].bits) < 0.01);
        assert_true((double)n_bytes * 8 < entropy + 0.03 * N);
    }
}

static void a_copy_that_is_none_after_all_comes_back(void **state)
{
    (void)state;
    struct made *made = with_copies(20000);
    size_t n_exact, n_bytes;
    assert_comes_back(made, NULL, "max", &n_exact);
    /* What is looked at stays; elsewhere all is different, or a step away. */
    made_random32();
    uint8_t *tied = bytes_of(made, "tied.w"), *model = bytes_of(made, "model.w");
    for (size_t i = 100; i < 6000; i++)
        mth_lane_store32(tied + 4 * i, made_random32());
    for (size_t i = 100; i < 6000; i++)
        mth_lane_store16(model + 2 * i, (uint16_t)(mth_lane_load16(model + 2 * i) + made_random32() % 2));
    assert_comes_back(made, NULL, "balanced", &n_bytes);
    assert_true(n_bytes > n_exact);
    made_free(made);
}

static void copies_against_a_base_come_back(void **state)
{
    (void)state;
    struct made *made = with_copies(9000), *base = made_base(made);
    size_t n_related, n_plain;
    assert_comes_back(made, base, "balanced", &n_related);
    assert_comes_back(made, base, "ulp-rans,exponent-split+rans/store", &n_plain);
    assert_true(n_related < n_plain);
    made_free(base);
    made_free(made);
}

static void any_range_of_related_tensors_reads_as_the_original(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *made = with_copies(9000);
    struct mth_bytes bytes = made_compress(memory, 1, CHUNK_BYTES, "balanced", made, NULL, NULL);
    struct mth_stream_config config = made_config(memory, 1, 0);
    struct mth_source source, original;
    struct mth_container *container;
    struct mth_error err = {0};
    mth_source_memory("bytes", bytes, &source);
    assert_int_equal(mth_container_open(&source, &config, &container, &err), 0);
    mth_container_source(container, &original);
    uint8_t *dst = malloc((size_t)original.n_bytes);
    for (size_t i = 0; i < 500; i++) {
        size_t at = made_random32() % (original.n_bytes + 1);
        size_t n = made_random32() % (i % 4 ? 100 : original.n_bytes + 1);
        n = n > original.n_bytes - at ? (size_t)original.n_bytes - at : n;
        if (mth_source_read(&original, at, dst, n, &err))
            fail_msg("%s", err.text);
        if (n)
            assert_memory_equal(dst, made->data + at, n);
    }
    free(dst);
    mth_container_close(container);
    made_container_free(bytes);
    made_free(made);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void what_copies_take_is_known_before(void **state)
{
    (void)state;
    struct made *made = with_copies(200000);
    for (size_t n_threads = 1; n_threads <= 2; n_threads++) {
        struct mth_memory *memory = mth_memory_create(0);
        struct mth_stream_config config = made_config(memory, n_threads, 0);
        struct mth_pipeline *pipeline;
        struct mth_memory_need need;
        struct mth_error err = {0};
        config.verify = true;
        assert_int_equal(mth_pipeline_parse("balanced", false, &pipeline, &err), 0);
        assert_int_equal(mth_compress_memory(pipeline, &made->map, false, &config, &need, &err), 0);
        mth_pipeline_destroy(pipeline);
        mth_memory_reset_peak(memory);
        made_container_free(made_compress(memory, n_threads, 0, "balanced", made, NULL, NULL));
        assert_true(mth_memory_peak(memory) <= need.total_bytes);
        assert_true(need.total_bytes <= ((size_t)64 << 20) + n_threads * ((size_t)8 << 20));
        mth_memory_destroy(memory);
    }
    made_free(made);
}

/* A container with bits turned or bytes set, and checksums that are right again: it is refused, or the same n_bytes come out. */
static void assert_damage_is_refused_or_harmless(struct mth_memory *memory, struct mth_bytes bytes,
                                                 const uint8_t *restored, size_t n_bytes)
{
    size_t n_refused = 0, n_tries = 4000;
    uint8_t *damaged = malloc(bytes.n_bytes), *dst = malloc(n_bytes);
    assert_true(damaged && dst);
    for (size_t i = 0; i < n_tries; i++) {
        struct mth_error err = {0};
        memcpy(damaged, bytes.data, bytes.n_bytes);
        /* Front and plans are at the ends of blocks; the first bytes hold the layout. */
        size_t at = i % 2 ? MTH_HEAD_BYTES + made_random32() % 400 : made_random32() % bytes.n_bytes;
        damaged[at] = i % 5 ? (uint8_t)(damaged[at] ^ (1u << made_random32() % 8))
                            : (uint8_t)(made_random32() % 2 ? 0xff : made_random32());
        made_repair(damaged, bytes.n_bytes);
        struct mth_bytes hostile = {damaged, bytes.n_bytes};
        int status = made_decompress(memory, 1, hostile, NULL, i % 3 == 0, dst, n_bytes, &err);
        n_refused += status != 0;
        if (status == 0)
            assert_memory_equal(dst, restored, n_bytes);
    }
    assert_true(n_refused > n_tries / 2);
    free(damaged);
    free(dst);
}

static void hostile_families_are_refused_or_harmless(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    struct made *made = with_copies(1500);
    struct mth_bytes bytes = made_compress(memory, 1, CHUNK_BYTES, "balanced", made, NULL, NULL);
    assert_damage_is_refused_or_harmless(memory, bytes, made->data, (size_t)made->map.n_bytes);
    made_container_free(bytes);
    made_free(made);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

/* Masters and what chance rounded of them, as programs of before wrote it and as this one does. */
static void hostile_roundings_are_refused_or_harmless(void **state)
{
    static const char *const paths[] = {"tests/golden/containers/rounded_by_chance.mth",
                                        "tests/golden/containers/chances.mth"};
    struct made *made = golden_input(GOLDEN_ROUNDED);
    size_t n_bytes = (size_t)made->map.n_bytes;
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct mth_memory *memory = mth_memory_create(0);
        struct mth_buffer file;
        struct mth_error err = {0};
        if (mth_file_read_all(paths[i], memory, &file, &err))
            fail_msg("%s", err.text);
        assert_damage_is_refused_or_harmless(memory, (struct mth_bytes){file.data, file.n_bytes}, made->data,
                                             n_bytes);
        mth_memory_free(memory, file.data);
        assert_int_equal(mth_memory_current(memory), 0);
        mth_memory_destroy(memory);
    }
    made_free(made);
}

/* ---- arithmetic ---- */

static float random_float(void)
{
    uint32_t bits = made_random32();
    /* Exponents near each other, so that sums cancel and ties come up; now and then any. */
    if (made_random32() % 8)
        bits = (bits & 0x80000fff) | (120 + made_random32() % 12) << 23 | (made_random32() & 0x7ff000 & bits);
    return mth_float_of(bits);
}

static void a_fused_multiply_add_is_rounded_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2000000; i++) {
        float a = random_float(), b = random_float(), c = random_float();
        /* Less than half way from a denormal to the next, by less than a double of its size tells. */
        if (i % 16 == 0) {
            a = 0x1.000002p-75F;
            b = 0x0.fffffep-75F;
            c = mth_float_of((made_random32() & 0x803fffff) | 0x400000);
        }
        if (i % 3 == 0)
            c = -(a * b) * (i % 2 ? 1.0f : 0x1p-24f);
        uint32_t expected = mth_bits_of(fmaf(a, b, c)), got = mth_bits_of(mth_fma(a, b, c));
        if (expected != got)
            fail_msg("fma(%a, %a, %a): %08x, not %08x", (double)a, (double)b, (double)c, got, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_and_offsets_are_one_to_one),
        cmocka_unit_test(a_layout_that_no_file_has_is_refused),
        cmocka_unit_test(copies_cost_next_to_nothing),
        cmocka_unit_test(stochastic_rounding_costs_its_chance_and_hardly_more),
        cmocka_unit_test(a_copy_that_is_none_after_all_comes_back),
        cmocka_unit_test(copies_against_a_base_come_back),
        cmocka_unit_test(any_range_of_related_tensors_reads_as_the_original),
        cmocka_unit_test(what_copies_take_is_known_before),
        cmocka_unit_test(hostile_families_are_refused_or_harmless),
        cmocka_unit_test(hostile_roundings_are_refused_or_harmless),
        cmocka_unit_test(a_fused_multiply_add_is_rounded_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
