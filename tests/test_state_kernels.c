/*
 * Laws of the arithmetic that redoes an optimizer's step: with any compiler and on any processor it gives the same bits, whether there is a
 * fused multiply-add or not, on values that are hard: no numbers, infinite, denormal, of either sign.
 */
#include "base/cpu.h"
#include "base/hash.h"
#include "transforms/moment/moment.h"
#include "transforms/moment/moment_kernels.h"
#include "transforms/predictors/adam_kernels.h"
#include "transforms/predictors/predictor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Of all that a predictor predicts below. */
static const uint64_t golden_digests[MTH_N_PREDICTORS] = {
    [MTH_PREDICT_BF16_NEAREST] = 0xb74b1b79ff54609dULL,
    [MTH_PREDICT_BF16_TRUNCATED] = 0x71869a63edbaffa9ULL,
    [MTH_PREDICT_F16_NEAREST] = 0xdf05146f5df61a53ULL,
    [MTH_PREDICT_ADAM_V] = 0xc5b5ff0d659b8087ULL,
    [MTH_PREDICT_ADAM_W] = 0xb6ff0ae1bff4d9edULL,
    [MTH_PREDICT_ADAM_DRIFT] = 0xcec9878cd1bee87eULL,
    [MTH_PREDICT_LARGER] = 0x658a1591c79da392ULL,
    [MTH_PREDICT_SGD_W] = 0xdf36130de3a4d32cULL,
    [MTH_PREDICT_NESTEROV_W] = 0xd7ca210c5a48ddcaULL,
    [MTH_PREDICT_DIVISORS] = 0x81089a5b99552d1dULL,
    [MTH_PREDICT_CENTERED] = 0xf297c52cbcc69084ULL,
    [MTH_PREDICT_AVERAGED] = 0x24f1d3f66fc0a852ULL,
    [MTH_PREDICT_AVERAGED_APART] = 0xa181a7b4ba5dec86ULL,
    [MTH_PREDICT_ADAM_V24] = 0xdb68852e3e8b27b8ULL,
    [MTH_PREDICT_SUMMED_V] = 0xd4cfaaeb66868e72ULL,
    [MTH_PREDICT_DIVIDED_V] = 0xa5c5daaf6198b3e2ULL,
    [MTH_PREDICT_BF16_ROUNDED] = 0xcdc446a319ddbe6dULL,
    [MTH_PREDICT_F16_ROUNDED] = 0x5950e68f3f5bbc13ULL,
    [MTH_PREDICT_BF16_CHANCE] = 0x86f0e17dca916e27ULL,
    [MTH_PREDICT_F16_CHANCE] = 0x72171d8e95fcbb7fULL,
};

enum { LARGEST_FINITE_BITS = 0x7f7fffff };
enum { N = 1 << 15, N_INPUTS = MTH_MAX_INPUTS, MAX_TABLES = 3 };

static const uint32_t hard[] = {0,          0x80000000, 1,          0x80000001, 0x007fffff, 0x00800000,
                                0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
                                0x7f800001, 0xffffffff, 0x3f800000, 0x33800000, 0x7e967699, 0x0da24260};

static uint8_t values[N_INPUTS][4 * N];
static const uint8_t *const inputs[N_INPUTS] = {values[0], values[1], values[2], values[3], values[4]};

static const uint32_t settings[][MTH_MAX_SETTINGS] = {
    {0x3dcccccd, 0x3f7d70a4, 0x3c23d70a, 0x3f74f7a9, 0x3f666666, 0x3c23d70a, 0x322bcc77},
    {0x3dcccccd, 0x3f7d70a4, 0x3c23d70a, 0, 0x3f666666, 0, 0x322bcc77},
    {0x3f7fffef, 0xb8d1b717, 0x3e9e377a, 0x322bcc77, 0, 0x3c23d70a, 0x322bcc77},
    {0, 0, 0, 0, 0, 0, 0}};
enum { N_SETTINGS = sizeof settings / sizeof settings[0] };

/* Hard ones and others, in every combination. */
static int make_values(void **state)
{
    uint32_t x = 1;
    (void)state;
    for (size_t k = 0; k < N_INPUTS; k++) {
        for (size_t i = 0; i < N; i++) {
            x = x * 1664525 + 1013904223;
            uint32_t bits = x >> 8 & 1 ? hard[(x >> 16) % (sizeof hard / sizeof hard[0])]
                                       : (x & 0x807fffff) | (100 + (x >> 24) % 30) << 23;
            mth_lane_store32(values[k] + 4 * i, bits);
        }
    }
    return 0;
}

static void predictions_are_the_same_bits_everywhere(void **state)
{
    static uint8_t out[4 * N];
    bool same = true;
    (void)state;
    for (uint64_t p = MTH_PREDICT_BF16_NEAREST; p < MTH_N_PREDICTORS; p++) {
        const struct mth_predictor *predictor = mth_predictor_at(p);
        uint64_t digest = 0;
        for (size_t s = 0; s < N_SETTINGS; s++) {
            predictor->predict(settings[s], inputs, N, out);
            digest = mth_hash64(out, N * predictor->elem_bytes, digest);
        }
        if (digest != golden_digests[p])
            print_message("[%s] has the digest 0x%llx\n", predictor->name, (unsigned long long)digest);
        same &= digest == golden_digests[p];
    }
    assert_true(same);
}

/* ---- rounded by chance ---- */

/* Of a pattern of fp16 without sign, what is too large for it included; by its fields. */
static double f16_value(uint32_t bits)
{
    double mantissa = bits & 0x3ff;
    return bits < 0x400 ? ldexp(mantissa, -24) : ldexp(mantissa + 1024, (int)(bits >> 10) - 25);
}

static double bf16_value(uint32_t bits)
{
    return (double)mth_float_of(bits << 16);
}

/* The value towards zero of two of 16 bits, without sign, by looking for it; and how much of the way to the next it is. */
static uint32_t cut_by_search(double (*value_of)(uint32_t bits), uint32_t end, double x, double *share)
{
    uint32_t low = 0;
    while (end - low > 1) {
        uint32_t middle = low + (end - low) / 2;
        if (value_of(middle) <= x)
            low = middle;
        else
            end = middle;
    }
    *share = (x - value_of(low)) / (value_of(low + 1) - value_of(low));
    return low;
}

static uint16_t steps_from_stand_in(const struct mth_predictor *predictor, uint32_t x, uint32_t elem,
                                    uint32_t *exponent)
{
    uint8_t wide[4], narrow[2], expected[2], steps[2];
    const uint8_t *const of[1] = {wide};
    mth_lane_store32(wide, x);
    mth_lane_store16(narrow, (uint16_t)elem);
    predictor->predict(NULL, of, 1, expected);
    predictor->steps(of, narrow, 1, steps);
    *exponent = mth_lane_load16(expected);
    return (uint16_t)(mth_lane_load16(steps) - *exponent);
}

/* Values of all sizes, so that fp16 has denormals and what is too large. */
static uint32_t value_of_any_size(uint32_t *random, uint32_t i, unsigned lowest, unsigned n)
{
    *random = *random * 1664525 + 1013904223;
    uint32_t rest = i % 8 ? *random >> 8 & 0x7fffff : (*random >> 8 & 0x3ff) << 13;
    return (i & 1) << 31 | (lowest + *random % 65521 % n) << 23 | rest;
}

static void of_both_values_the_nearer_is_the_stand_in_and_the_other_one_up(void **state)
{
    static const struct {
        uint64_t predictor;
        double (*value_of)(uint32_t bits);
        uint32_t end;
        unsigned lowest, n, mantissa_bits;
    } cases[] = {{MTH_PREDICT_BF16_ROUNDED, bf16_value, 0x7f7f, 1, 253, 7},
                 {MTH_PREDICT_F16_ROUNDED, f16_value, 0x7c00, 90, 53, 10}};
    uint32_t random = 1;
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const struct mth_predictor *predictor = mth_predictor_at(cases[c].predictor);
        for (uint32_t i = 0; i < 20000; i++) {
            uint32_t x = value_of_any_size(&random, i, cases[c].lowest, cases[c].n), sign = x >> 31 << 15,
                     exponent;
            double share, size = (double)mth_float_of(x & 0x7fffffff);
            uint32_t cut = cut_by_search(cases[c].value_of, cases[c].end, size, &share);
            uint16_t of_cut = steps_from_stand_in(predictor, x, sign | cut, &exponent),
                     of_next = steps_from_stand_in(predictor, x, sign | (cut + 1), &exponent);
            double nearer = share < 0.5 ? share : 1 - share;
            uint32_t class = (exponent >> cases[c].mantissa_bits) - 2;
            assert_int_equal(exponent & ((1u << cases[c].mantissa_bits) - 1), 0);
            if (share == 0) {
                assert_int_equal(of_cut, 0);
                assert_int_equal(exponent >> cases[c].mantissa_bits, 1);
                continue;
            }
            assert_int_equal(of_cut + of_next, 1);
            if (share != 0.5)
                assert_int_equal(of_next, share < 0.5);
            /* Of 15 classes; a value of fp32 may lie so near the middle that it counts as that. */
            assert_true(class <= 14);
            assert_true(nearer * 30 > class - 0.001 && nearer * 30 < class + 1.001);
        }
    }
}

static void of_both_values_the_one_towards_zero_is_the_stand_in_and_the_other_one_up(void **state)
{
    static const struct {
        uint64_t predictor;
        double (*value_of)(uint32_t bits);
        uint32_t end;
        unsigned lowest, n, mantissa_bits;
    } cases[] = {{MTH_PREDICT_BF16_CHANCE, bf16_value, 0x7f7f, 1, 253, 7},
                 {MTH_PREDICT_F16_CHANCE, f16_value, 0x7c00, 90, 53, 10}};
    uint32_t random = 1;
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const struct mth_predictor *predictor = mth_predictor_at(cases[c].predictor);
        for (uint32_t i = 0; i < 20000; i++) {
            uint32_t x = value_of_any_size(&random, i, cases[c].lowest, cases[c].n), sign = x >> 31 << 15,
                     exponent;
            double share, size = (double)mth_float_of(x & 0x7fffffff);
            uint32_t cut = cut_by_search(cases[c].value_of, cases[c].end, size, &share);
            assert_int_equal(steps_from_stand_in(predictor, x, sign | cut, &exponent), 0);
            assert_int_equal(steps_from_stand_in(predictor, x, sign | (cut + 1), &exponent), 1);
            uint32_t class = (exponent >> cases[c].mantissa_bits) - 2;
            assert_int_equal(exponent & ((1u << cases[c].mantissa_bits) - 1), 0);
            if (share == 0) {
                assert_int_equal(exponent >> cases[c].mantissa_bits, 1);
                continue;
            }
            /* Of 14 classes; of what is cut off 2^-16 counts. */
            assert_true(class <= 13);
            assert_true(share * 14 >= class && share * 14 < class + 1.001);
        }
    }
}

static void what_is_no_number_or_too_large_is_exact(void **state)
{
    static const struct {
        uint64_t predictor;
        uint32_t x, elem;
        unsigned mantissa_bits;
    } cases[] = {
        {MTH_PREDICT_BF16_CHANCE, 0x7f800000, 0x7f80, 7}, {MTH_PREDICT_BF16_CHANCE, 0xff800000, 0xff80, 7},
        {MTH_PREDICT_BF16_CHANCE, 0x7fc12345, 0x7fc1, 7}, {MTH_PREDICT_BF16_CHANCE, 0x7f800001, 0x7f80, 7},
        {MTH_PREDICT_BF16_CHANCE, 0x80000000, 0x8000, 7}, {MTH_PREDICT_F16_CHANCE, 0x80000000, 0x8000, 10},
        {MTH_PREDICT_F16_CHANCE, 0x47800000, 0x7c00, 10}, {MTH_PREDICT_F16_CHANCE, 0xc7812345, 0xfc00, 10},
        {MTH_PREDICT_F16_CHANCE, 0x7fc12345, 0x7c00, 10}, {MTH_PREDICT_F16_CHANCE, 0xff800001, 0xfc00, 10},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t exponent;
        assert_int_equal(
            steps_from_stand_in(mth_predictor_at(cases[i].predictor), cases[i].x, cases[i].elem, &exponent),
            0);
        assert_int_equal(exponent, 1u << cases[i].mantissa_bits);
    }
}

static void every_pattern_comes_back_from_its_steps(void **state)
{
    static const uint64_t numbers[] = {MTH_PREDICT_BF16_ROUNDED, MTH_PREDICT_F16_ROUNDED,
                                       MTH_PREDICT_BF16_CHANCE, MTH_PREDICT_F16_CHANCE};
    static uint8_t steps[2 * N];
    (void)state;
    for (size_t c = 0; c < sizeof numbers / sizeof numbers[0]; c++) {
        const struct mth_predictor *predictor = mth_predictor_at(numbers[c]);
        for (size_t n = 0; n <= N; n = n ? n * 2 : 1) {
            const uint8_t *elems = values[1] + 1;
            size_t n_here = n < N ? n : N - 1;
            predictor->steps(inputs, elems, n_here, steps);
            predictor->restore(inputs, steps, n_here, steps);
            assert_memory_equal(steps, elems, 2 * n_here);
        }
    }
}

/* Sums that lie so near the middle of two fp32 values that a double does not tell on which side. */
static void a_multiply_add_without_the_instruction_rounds_once(void **state)
{
    static const struct {
        uint32_t a, b, c, sum;
    } cases[] = {
        /* 2^-24 (1 + u) * (1 - u) + (1 + u), u = 2^-23: a little below the middle above an odd value. */
        {0x33800001, 0x3f7ffffe, 0x3f800001, 0x3f800001},
        {0xb3800001, 0x3f7ffffe, 0xbf800001, 0xbf800001},
        /* (1 + u) * (1 - u) of 2^-24 taken away: a little above the middle. */
        {0xb3800001, 0x3f7ffffe, 0x3f800003, 0x3f800003},
        /* The middle itself goes to the even one. */
        {0x33800000, 0x3f800000, 0x3f800001, 0x3f800002},
        {0x33800000, 0x3f800000, 0x3f800002, 0x3f800002},
        /* Denormals, kept; and what is too large. */
        {0x00000001, 0x3f800000, 0x00000001, 0x00000002},
        {0x00000001, 0x3f000000, 0x00000001, 0x00000002},
        {0x7f7fffff, 0x40000000, 0xff7fffff, 0x7f7fffff},
        {0x7f7fffff, 0x40000000, 0x00000000, 0x7f800000},
        {0x7f800000, 0x00000000, 0x3f800000, 0x7fc00000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(mth_bits_of(mth_fma(mth_float_of(cases[i].a), mth_float_of(cases[i].b),
                                             mth_float_of(cases[i].c))),
                         cases[i].sum);
}

/* Lengths around the widths of registers, and all. */
static const size_t lengths[] = {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 127, 511, 512};

static void every_instruction_set_predicts_alike(void **state)
{
    static uint8_t expected[4 * N], out[4 * N];
    const struct mth_adam_kernels *tables[MAX_TABLES] = {0};
    size_t n_tables = 0;
    (void)state;
    if (mth_cpu_features() & MTH_CPU_AVX2 && mth_adam_kernels_avx2.name)
        tables[n_tables++] = &mth_adam_kernels_avx2;
    if (mth_cpu_features() & MTH_CPU_AVX512 && mth_adam_kernels_avx512.name)
        tables[n_tables++] = &mth_adam_kernels_avx512;
    for (size_t s = 0; s < N_SETTINGS; s++) {
        for (size_t t = 0; t < n_tables; t++) {
            mth_adam_kernels_portable.v(settings[s], inputs, N, expected);
            tables[t]->v(settings[s], inputs, N, out);
            assert_memory_equal(out, expected, sizeof out);
            mth_adam_kernels_portable.v24(settings[s], inputs, N, expected);
            tables[t]->v24(settings[s], inputs, N, out);
            assert_memory_equal(out, expected, sizeof out);
            mth_adam_kernels_portable.w(settings[s], inputs, N, expected);
            tables[t]->w(settings[s], inputs, N, out);
            assert_memory_equal(out, expected, sizeof out);
            mth_adam_kernels_portable.drift(settings[s], inputs, N, expected);
            tables[t]->drift(settings[s], inputs, N, out);
            assert_memory_equal(out, expected, sizeof out);
        }
    }
}

/* Fills what a step of Adam has before: roots lie about half way between quotients by the divisor, or are any, and one in a block is none in some rounds. */
static void make_roots(float divisor, uint32_t seed, uint8_t *moments, uint8_t *squares)
{
    uint32_t x = seed;
    for (size_t i = 0; i < N; i++) {
        x = x * 1664525 + 1013904223;
        uint32_t bits = x % LARGEST_FINITE_BITS;
        if (x >> 9 & 1) {
            double middle = ((double)(0x800000 | (x >> 9 & 0x7fffff)) + 0.5) * 0x1p-40;
            float root = (float)(middle * (double)divisor);
            bits = mth_bits_of(root * root);
        }
        mth_lane_store32(squares + 4 * i, bits);
        mth_lane_store32(moments + 4 * i, 0x3f800000 | (x & 0x7fffff));
    }
    for (size_t i = seed % 4 * 1000; seed % 4 && i < N; i += 3011)
        mth_lane_store32(squares + 4 * i, hard[i % (sizeof hard / sizeof hard[0])]);
}

/* Quotients by one divisor are products that are put right, where a multiply-add rounds once. */
static void roots_are_divided_alike(void **state)
{
    static uint8_t expected[4 * N], out[4 * N], zeros[4 * N], moments[4 * N], squares[4 * N];
    static const uint32_t divisors[] = {0x3f800000, 0x3f7fffff, 0x3f000000, 0x3f000001, 0x3e9e377a,
                                        0x3f7fffef, 0x3d4cccce, 0x3cffffff, 0x3f2aaaab, 0x3f333333,
                                        0x35800000, 0x357fffff, 0x00000001, 0x80000000, 0xbf800000,
                                        0x49800000, 0x49800001, 0x7f800000};
    const uint8_t *const before[] = {zeros, moments, squares};
    (void)state;
    for (uint32_t d = 0; d < sizeof divisors / sizeof divisors[0]; d++) {
        for (uint32_t round = 0; round < 8; round++) {
            uint32_t numbers[MTH_MAX_SETTINGS] = {0x3f800000, 0x3f800000, divisors[d], 0};
            make_roots(mth_float_of(divisors[d]), 64 * d + round, moments, squares);
            mth_adam_kernels_portable.w(numbers, before, N, expected);
            if (mth_cpu_features() & MTH_CPU_AVX2 && mth_adam_kernels_avx2.name) {
                mth_adam_kernels_avx2.w(numbers, before, N - round, out);
                assert_memory_equal(out, expected, 4 * (N - round));
            }
            if (mth_cpu_features() & MTH_CPU_AVX512 && mth_adam_kernels_avx512.name) {
                mth_adam_kernels_avx512.w(numbers, before, N - round, out);
                assert_memory_equal(out, expected, 4 * (N - round));
            }
        }
    }
}

/* What one table makes of a block, and of its own symbols. */
struct block {
    uint8_t sizes[MTH_MOMENT_BLOCK_ELEMS], rests[MTH_MOMENT_BLOCK_ELEMS], m[4 * MTH_MOMENT_BLOCK_ELEMS];
    uint8_t classes[MTH_MOMENT_BLOCK_ELEMS], again[MTH_MOMENT_BLOCK_ELEMS], symbols[MTH_MOMENT_BLOCK_ELEMS];
    uint8_t low[2 * MTH_MOMENT_BLOCK_ELEMS], high[MTH_MOMENT_BLOCK_ELEMS], m32[4 * MTH_MOMENT_BLOCK_ELEMS];
    uint8_t sizes24[MTH_MOMENT_BLOCK_ELEMS], rests24[MTH_MOMENT_BLOCK_ELEMS], lows[MTH_MOMENT_BLOCK_ELEMS],
        m24[4 * MTH_MOMENT_BLOCK_ELEMS];
    uint8_t packed[2][MTH_MOMENT_BLOCK_ELEMS], sorted[MTH_MOMENT32_CLASSES][MTH_MOMENT_BLOCK_ELEMS];
    uint32_t unsound[3];
};

/* Symbols sorted by class, as far as there are any, and back; one fewer of any class is noticed. */
static void sort(const struct mth_moment_kernels *kernels, size_t n, struct block *block)
{
    uint8_t *ends[MTH_MOMENT32_CLASSES], back[MTH_MOMENT_BLOCK_ELEMS];
    const uint8_t *starts[MTH_MOMENT32_CLASSES], *sizes[MTH_MOMENT32_CLASSES];
    size_t n_sorted = 0;
    for (size_t c = 0; c < MTH_MOMENT32_CLASSES; c++)
        ends[c] = block->sorted[c];
    kernels->deal32(block->classes, block->symbols, n, ends);
    for (size_t lacking = 0; lacking <= MTH_MOMENT32_CLASSES; lacking++) {
        bool is_whole = true;
        for (size_t c = 0; c < MTH_MOMENT32_CLASSES; c++) {
            starts[c] = block->sorted[c];
            sizes[c] = ends[c];
            if (c == lacking && ends[c] > starts[c]) {
                sizes[c]--;
                is_whole = false;
            }
        }
        assert_int_equal(kernels->collect32(block->classes, n, starts, sizes, back), is_whole);
    }
    assert_memory_equal(back, block->symbols, n);
    for (size_t c = 0; c < MTH_MOMENT32_CLASSES; c++) {
        assert_ptr_equal(starts[c], ends[c]);
        n_sorted += (size_t)(ends[c] - block->sorted[c]);
    }
    assert_int_equal(n_sorted, n);
}

/* Packed as if other symbols stood before, and back. */
static void pack(const struct mth_moment_kernels *kernels, size_t n, struct block *block)
{
    enum { BEFORE = 16 };
    uint8_t back[MTH_MOMENT_BLOCK_ELEMS];
    kernels->pack(block->high, 0, n, MTH_MOMENT32_HIGH_BITS, block->packed[0]);
    kernels->unpack(block->packed[0], 0, n, MTH_MOMENT32_HIGH_BITS, back);
    assert_memory_equal(back, block->high, n);
    if (n > MTH_MOMENT_BLOCK_ELEMS - 2 * BEFORE)
        return;
    kernels->pack(block->rests, BEFORE, n, MTH_MOMENT16_REST_BITS, block->packed[1]);
    kernels->unpack(block->packed[1], BEFORE, n, MTH_MOMENT16_REST_BITS, back);
    assert_memory_equal(back, block->rests, n);
}

static void fill(const struct mth_moment_kernels *kernels, size_t setting, size_t at, size_t n,
                 struct block *block)
{
    const struct mth_adam_rule rule = mth_adam_rule_of(settings[setting][0], settings[setting][3]);
    const struct mth_moment32_rule rule32 = {1 - rule.weight, -7};
    const uint8_t *m0 = values[0] + 4 * at, *v0 = values[1] + 4 * at, *m1 = values[2] + 4 * at;
    memset(block, 0, sizeof *block);
    kernels->find16(&rule, m0, v0, m1, n, block->sizes, block->rests);
    block->unsound[0] = kernels->restore16(&rule, m0, v0, block->sizes, block->rests, n, block->m);
    kernels->find24(&rule, m0, v0, m1, n, block->sizes24, block->rests24, block->lows);
    block->unsound[2] =
        kernels->restore24(&rule, m0, v0, block->sizes24, block->rests24, block->lows, n, block->m24);
    kernels->split32(&rule32, m0, v0, m1, n, block->classes, block->symbols, block->low, block->high);
    kernels->classify32(&rule32, m0, v0, n, block->again);
    block->unsound[1] =
        kernels->join32(&rule32, m0, v0, block->symbols, block->low, block->high, n, block->m32);
    assert_memory_equal(block->again, block->classes, n);
    sort(kernels, n, block);
    pack(kernels, n, block);
    for (size_t i = 0; i < n; i++) {
        if (block->sizes[i] != MTH_MOMENT_ESCAPE)
            assert_memory_equal(block->m + 4 * i, m1 + 4 * i, 4);
        if (block->sizes24[i] != MTH_MOMENT_ESCAPE)
            assert_memory_equal(block->m24 + 4 * i, m1 + 4 * i, 4);
        if (block->symbols[i] != MTH_MOMENT_ESCAPE)
            assert_memory_equal(block->m32 + 4 * i, m1 + 4 * i, 4);
    }
    assert_int_equal(block->unsound[0] | block->unsound[1] | block->unsound[2], 0);
}

static void every_instruction_set_splits_moments_alike(void **state)
{
    static struct block expected, block;
    const struct mth_moment_kernels *tables[3];
    unsigned features = mth_cpu_features();
    size_t n_tables = 0;
    (void)state;
    if (features & MTH_CPU_AVX2 && mth_moment_kernels_avx2.name)
        tables[n_tables++] = &mth_moment_kernels_avx2;
    if (features & MTH_CPU_AVX512 && mth_moment_kernels_avx512.name)
        tables[n_tables++] = &mth_moment_kernels_avx512;
    if (features & MTH_CPU_AVX512 && features & MTH_CPU_VBMI && mth_moment_kernels_vbmi.name)
        tables[n_tables++] = &mth_moment_kernels_vbmi;
    for (size_t s = 0; s < N_SETTINGS; s++) {
        for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
            for (size_t at = 0; at + lengths[l] <= N; at += N / 8 + 1) {
                fill(&mth_moment_kernels_portable, s, at, lengths[l], &expected);
                for (size_t t = 0; t < n_tables; t++) {
                    fill(tables[t], s, at, lengths[l], &block);
                    assert_memory_equal(&block, &expected, sizeof block);
                }
            }
        }
    }
}

/* A table's loops of gradient24, in a form: what is no escape comes back. */
static void sum_up(const struct mth_moment_kernels *kernels, const struct mth_gradient24_rule *rule,
                   size_t at, size_t n, struct block *block)
{
    const uint8_t *m0 = values[0] + 4 * at, *v0 = values[1] + 4 * at, *m1 = values[2] + 4 * at,
                  *w0 = values[3] + 4 * at;
    memset(block, 0, sizeof *block);
    kernels->find_sum(rule, m0, v0, w0, m1, n, block->sizes24, block->rests24, block->lows);
    assert_int_equal(
        kernels->restore_sum(rule, m0, v0, w0, block->sizes24, block->rests24, block->lows, n, block->m24),
        0);
    for (size_t i = 0; i < n; i++) {
        if (block->sizes24[i] != MTH_MOMENT_ESCAPE)
            assert_memory_equal(block->m24 + 4 * i, m1 + 4 * i, 4);
    }
    if (n == 0)
        return;
    /* A size that no gradient has, and a rest of what is kept, are noticed. */
    static const uint8_t no_squares[4 * MTH_MOMENT_BLOCK_ELEMS];
    const uint8_t kept_lows[MTH_MOMENT_BLOCK_ELEMS] = {1};
    memset(block->again, 1, n);
    block->unsound[0] = kernels->restore_sum(rule, m0, no_squares, w0, block->again, block->rests24,
                                             block->lows, n, block->m24);
    assert_int_equal(block->unsound[0] != 0, rule->by_squares);
    memset(block->again, MTH_MOMENT_ESCAPE, n);
    assert_int_not_equal(
        kernels->restore_sum(rule, m0, v0, w0, block->again, block->rests24, kept_lows, n, block->m24), 0);
}

static void every_instruction_set_sums_gradients_alike(void **state)
{
    static struct block expected, block;
    static uint8_t v_expected[4 * N], v[4 * N];
    const struct mth_moment_kernels *tables[] = {&mth_moment_kernels_avx2, &mth_moment_kernels_avx512,
                                                 &mth_moment_kernels_vbmi};
    const struct mth_adam_kernels *adam_tables[] = {&mth_adam_kernels_avx2, &mth_adam_kernels_avx512, NULL};
    static const unsigned needed[] = {MTH_CPU_AVX2, MTH_CPU_AVX512, MTH_CPU_AVX512 | MTH_CPU_VBMI};
    (void)state;
    /* By lerp_ or not, with a share of the weights or not, of few bits or any, sized by squares or not. */
    for (unsigned form = 0; form < 16; form++) {
        const uint32_t of_v[MTH_MAX_SETTINGS] = {0x3dcccccd,
                                                 0x3f7d70a4,
                                                 0x3c23d70a,
                                                 form & 4 ? 0x3f74f7a9 : 0,
                                                 form & 1 ? 0 : 0x3f666666,
                                                 form & 2 ? 0x3c23d70a : 0};
        const struct mth_gradient24_rule rule = {mth_sum_rule_of(of_v[0], of_v[4], of_v[5], 0x3f74f7a9),
                                                 form & 8};
        mth_adam_kernels_portable.v_sum(of_v, inputs, N, v_expected);
        for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
            if ((mth_cpu_features() & needed[t]) != needed[t] || !tables[t]->name)
                continue;
            for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
                sum_up(&mth_moment_kernels_portable, &rule, l * 600, lengths[l], &expected);
                sum_up(tables[t], &rule, l * 600, lengths[l], &block);
                assert_memory_equal(&block, &expected, sizeof block);
            }
            if (adam_tables[t]) {
                adam_tables[t]->v_sum(of_v, inputs, N, v);
                assert_memory_equal(v, v_expected, sizeof v);
            }
        }
    }
}

static void every_instruction_set_divides_gradients_alike(void **state)
{
    static struct block expected, block;
    static uint8_t v_expected[4 * N], v[4 * N];
    const struct mth_moment_kernels *tables[] = {&mth_moment_kernels_portable, &mth_moment_kernels_avx2,
                                                 &mth_moment_kernels_avx512, &mth_moment_kernels_vbmi};
    const struct mth_adam_kernels *adam_tables[] = {&mth_adam_kernels_portable, &mth_adam_kernels_avx2,
                                                    &mth_adam_kernels_avx512, NULL};
    static const unsigned needed[] = {0, MTH_CPU_AVX2, MTH_CPU_AVX512, MTH_CPU_AVX512 | MTH_CPU_VBMI};
    /* RMSprop on weights that decay, on its momentum, and Adagrad. */
    static const uint32_t numbers[][MTH_N_DIVIDED] = {
        {0x3c23d70a, 0x3f7d70a4, 0x3c23d70a, 0x3f74f7a9, 0x3f800000, 0xb8d1b717, 0x322bcc77},
        {0x3c23d70a, 0x3f7d70a4, 0, 0x3f74f7a9, 0x3f666666, 0x3f800000, 0x322bcc77},
        {0x3f800000, 0x3f800000, 0, 0x3f800000, 0x3f800000, 0xbc23d70a, 0x2edbe6ff}};
    (void)state;
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
        const struct mth_divided_rule rule = mth_divided_rule_of(numbers[k]);
        mth_adam_kernels_portable.v_divided(numbers[k], inputs, N, v_expected);
        for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
            if ((mth_cpu_features() & needed[t]) != needed[t] || !tables[t]->name)
                continue;
            for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
                const uint8_t *x0 = values[0] + 2400 * l, *v0 = values[1] + 2400 * l,
                              *x1 = values[2] + 2400 * l, *w0 = values[3] + 2400 * l;
                size_t n = lengths[l];
                memset(&block, 0, sizeof block);
                tables[t]->find_divided(&rule, x0, v0, w0, x1, n, block.sizes24, block.rests24, block.lows);
                block.unsound[0] = tables[t]->restore_divided(&rule, x0, v0, w0, block.sizes24, block.rests24,
                                                              block.lows, n, block.m24);
                assert_int_equal(block.unsound[0], 0);
                for (size_t i = 0; i < n; i++) {
                    if (block.sizes24[i] != MTH_MOMENT_ESCAPE)
                        assert_memory_equal(block.m24 + 4 * i, x1 + 4 * i, 4);
                }
                if (t == 0)
                    expected = block;
            }
            assert_memory_equal(&block, &expected, sizeof block);
            if (adam_tables[t]) {
                adam_tables[t]->v_divided(numbers[k], inputs, N, v);
                assert_memory_equal(v, v_expected, sizeof v);
            }
        }
    }
}

/* A gradient that was divided by the root of its square is found to its last bit, and the square with it. */
/* Steps that all witnesses agree to but a few, one by one: the first of each stretch. */
static void agree_one_by_one(const struct mth_scale_witnesses *witnesses,
                             uint32_t agreed[MTH_SCALE_STRETCHES][MTH_SCALES_TRIED],
                             size_t n_agreed[MTH_SCALE_STRETCHES])
{
    const uint64_t grid = (uint64_t)1 << (52 - witnesses->n_mantissa);
    memset(n_agreed, 0, MTH_SCALE_STRETCHES * sizeof *n_agreed);
    for (uint32_t step = 0; step < MTH_SCALE_STEPS; step++) {
        size_t n_far = 0, k = step / (MTH_SCALE_STEPS / MTH_SCALE_STRETCHES);
        for (size_t i = 0; i < MTH_SCALE_WITNESSES; i++) {
            double above = mth_above_grid(witnesses->gradients[i] * mth_scale_inverse_at(step), grid - 1);
            n_far += above > witnesses->off[i] && (double)grid - above > witnesses->off[i];
        }
        if (n_far <= MTH_SCALE_MISSES && n_agreed[k] < MTH_SCALES_TRIED)
            agreed[k][n_agreed[k]++] = step;
    }
}

/* Whole stretches are leapt over where witnesses are far, and none that agree: few steps or many, and the scale there is. */
static void every_instruction_set_finds_the_scales_that_witnesses_agree_to(void **state)
{
    const struct mth_moment_kernels *tables[] = {&mth_moment_kernels_portable, &mth_moment_kernels_avx2,
                                                 &mth_moment_kernels_avx512, &mth_moment_kernels_vbmi};
    const unsigned needed[] = {0, MTH_CPU_AVX2, MTH_CPU_AVX512, MTH_CPU_AVX512 | MTH_CPU_VBMI};
    static const uint32_t scales[] = {MTH_SCALE_STEPS / 5, MTH_SCALE_STEPS / MTH_SCALE_STRETCHES - 1,
                                      MTH_SCALE_STEPS / MTH_SCALE_STRETCHES, MTH_SCALE_STEPS - 1};
    (void)state;
    for (unsigned round = 0; round < sizeof scales / sizeof scales[0]; round++) {
        struct mth_scale_witnesses witnesses = {.n_mantissa = 15};
        uint32_t expected[MTH_SCALE_STRETCHES][MTH_SCALES_TRIED], x = round + 1, right = scales[round];
        size_t n_expected[MTH_SCALE_STRETCHES], n_all = 0;
        bool has_right = false;
        for (size_t i = 0; i < MTH_SCALE_WITNESSES; i++) {
            x = x * 1664525 + 1013904223;
            int exponent;
            double few_bits = ldexp((double)(0x8000 | (x >> 17)), (int)(x % 40) - 30);
            witnesses.gradients[i] = few_bits / mth_scale_inverse_at(right);
            witnesses.off[i] = ldexp(1, round == 3 ? 34 : 32);
            witnesses.steps_a_unit[i] = 0x1p-32 / frexp(witnesses.gradients[i], &exponent);
        }
        agree_one_by_one(&witnesses, expected, n_expected);
        for (size_t k = 0; k < MTH_SCALE_STRETCHES; k++) {
            n_all += n_expected[k];
            for (size_t i = 0; i < n_expected[k]; i++)
                has_right |= expected[k][i] == right;
        }
        assert_true(has_right || n_all > MTH_SCALES_TRIED);
        for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
            uint32_t agreed[MTH_SCALE_STRETCHES][MTH_SCALES_TRIED];
            size_t n_agreed[MTH_SCALE_STRETCHES];
            if ((mth_cpu_features() & needed[t]) != needed[t] || !tables[t]->name)
                continue;
            tables[t]->find_scales(&witnesses, agreed, n_agreed);
            for (size_t k = 0; k < MTH_SCALE_STRETCHES; k++) {
                assert_int_equal(n_agreed[k], n_expected[k]);
                assert_memory_equal(agreed[k], expected[k], n_agreed[k] * sizeof agreed[k][0]);
            }
        }
    }
}

static void divided_gradients_are_found(void **state)
{
    static uint8_t x[4 * MTH_MOMENT_BLOCK_ELEMS], v0[4 * MTH_MOMENT_BLOCK_ELEMS],
        x1[4 * MTH_MOMENT_BLOCK_ELEMS], v1[4 * MTH_MOMENT_BLOCK_ELEMS], predicted[4 * MTH_MOMENT_BLOCK_ELEMS];
    static struct block block;
    static const uint32_t numbers[MTH_N_DIVIDED] = {0x3c23d70a, 0x3f7d70a4, 0x3c23d70a, 0x3f74f7a9,
                                                    0x3f666666, 0x3f800000, 0x322bcc77};
    const struct mth_divided_rule rule = mth_divided_rule_of(numbers);
    uint32_t random = 7;
    (void)state;
    for (size_t i = 0; i < MTH_MOMENT_BLOCK_ELEMS; i++) {
        random = random * 1664525 + 1013904223;
        uint32_t before = (random & 0x807fffff) | (118 + (random >> 24) % 6) << 23,
                 gradient = random ^ random >> 11;
        gradient = ((gradient & 0x807f) | (113 + (random >> 21) % 6) << 7) << 16;
        float w = mth_float_of(before), v = mth_float_of(0x36000000 + (random & 0x7fffff));
        float added = mth_divided_added(&rule, w, mth_float_of(gradient) * rule.scale);
        mth_lane_store32(x + 4 * i, before);
        mth_lane_store32(v0 + 4 * i, mth_bits_of(v));
        mth_lane_store32(x1 + 4 * i, mth_bits_of(mth_divided_moved(&rule, w, v, added)));
        mth_lane_store32(v1 + 4 * i, mth_bits_of(mth_divided_squares(&rule, v, added)));
    }
    mth_moment_kernels_of(mth_cpu_features())
        ->find_divided(&rule, x, v0, x, x1, MTH_MOMENT_BLOCK_ELEMS, block.sizes24, block.rests24, block.lows);
    const uint8_t *const known[] = {v0, x, x1, x};
    mth_predict_divided_v(numbers, known, MTH_MOMENT_BLOCK_ELEMS, predicted);
    assert_memory_equal(predicted, v1, sizeof v1);
    for (size_t i = 0; i < MTH_MOMENT_BLOCK_ELEMS; i++)
        assert_int_not_equal(block.sizes24[i], MTH_MOMENT_ESCAPE);
}

/* Of 16-bit gradients that made a moment, most come back as the nearest. */
static void gradients_of_16_bits_are_found(void **state)
{
    static uint8_t m0[4 * MTH_MOMENT_BLOCK_ELEMS], m1[4 * MTH_MOMENT_BLOCK_ELEMS],
        v0[4 * MTH_MOMENT_BLOCK_ELEMS], sizes[MTH_MOMENT_BLOCK_ELEMS], rests[MTH_MOMENT_BLOCK_ELEMS];
    const struct mth_adam_rule rule = mth_adam_rule_of(settings[0][0], settings[0][3]);
    uint32_t x = 7;
    (void)state;
    for (size_t i = 0; i < MTH_MOMENT_BLOCK_ELEMS; i++) {
        x = x * 1664525 + 1013904223;
        uint32_t before = (x & 0x807fffff) | (100 + (x >> 24) % 6) << 23, gradient = x ^ x >> 11;
        gradient = (gradient & 0x807f) | (102 + (x >> 21) % 6) << 7;
        float m = mth_adam_m(&rule, mth_float_of(before), mth_adam_scaled(&rule, (uint16_t)gradient));
        mth_lane_store32(m0 + 4 * i, before);
        mth_lane_store32(v0 + 4 * i, 0x35000000);
        mth_lane_store32(m1 + 4 * i, mth_bits_of(m));
    }
    mth_moment_kernels_of(mth_cpu_features())
        ->find16(&rule, m0, v0, m1, MTH_MOMENT_BLOCK_ELEMS, sizes, rests);
    for (size_t i = 0; i < MTH_MOMENT_BLOCK_ELEMS; i++)
        assert_int_not_equal(sizes[i], MTH_MOMENT_ESCAPE);
}

/* A gradient of fewer bits is taken where there is one, though one of more gives the same: its lower bits cost nothing. What was before is larger, so
 * that m1 tells less than 24 bits of it. */
static void summed_gradients_have_as_few_bits_as_they_can(void **state)
{
    static const struct {
        unsigned n_cut;
        uint32_t lowest;
    } cases[] = {{16, 0xffff}, {12, 0xfff}, {8, 0xff}};
    struct mth_sum_rule rules[] = {mth_sum_rule_of(0x3dcccccd, 0, 0, 0x3f700001),
                                   mth_sum_rule_of(0x3f800000, 0x3f666666, 0, 0x3f700001)};
    uint32_t random = 5;
    (void)state;
    for (size_t r = 0; r < sizeof rules / sizeof rules[0]; r++) {
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
            for (size_t i = 0; i < 4000; i++) {
                struct mth_sum_form form = mth_sum_form_of(&rules[r]);
                random = random * 1664525 + 1013904223;
                float g = mth_float_of(((random & 0x80ffffff) | 0x3a000000) & ~cases[c].lowest);
                float m0 = mth_float_of((random * 2654435761u & 0x807fffff) | 0x3d800000);
                float m1 = mth_sum_after(&rules[r], form, m0, g * rules[r].scale);
                uint32_t fits, found = mth_sum_gradient(&rules[r], form, m0, 0, mth_bits_of(m1), &fits);
                assert_true(!fits || (found & cases[c].lowest) == 0);
                assert_true(fits || cases[c].n_cut == 8);
            }
        }
    }
}

/* All of these laws again in a process that has no vectors: it takes the loops in plain C. */
static const char *program;

static void they_hold_in_plain_c_as_well(void **state)
{
    int status;
    (void)state;
    if (!(mth_cpu_features() & MTH_CPU_AVX2))
        skip();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("MTH_DISABLE_CPU", "avx2,avx512", 1);
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(1);
        execl(program, program, (char *)NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
    program = argc > 0 ? argv[0] : "";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_both_values_the_nearer_is_the_stand_in_and_the_other_one_up),
        cmocka_unit_test(of_both_values_the_one_towards_zero_is_the_stand_in_and_the_other_one_up),
        cmocka_unit_test(what_is_no_number_or_too_large_is_exact),
        cmocka_unit_test(every_pattern_comes_back_from_its_steps),
        cmocka_unit_test(predictions_are_the_same_bits_everywhere),
        cmocka_unit_test(a_multiply_add_without_the_instruction_rounds_once),
        cmocka_unit_test(every_instruction_set_predicts_alike),
        cmocka_unit_test(roots_are_divided_alike),
        cmocka_unit_test(every_instruction_set_splits_moments_alike),
        cmocka_unit_test(every_instruction_set_sums_gradients_alike),
        cmocka_unit_test(every_instruction_set_divides_gradients_alike),
        cmocka_unit_test(summed_gradients_have_as_few_bits_as_they_can),
        cmocka_unit_test(every_instruction_set_finds_the_scales_that_witnesses_agree_to),
        cmocka_unit_test(divided_gradients_are_found),
        cmocka_unit_test(gradients_of_16_bits_are_found),
        cmocka_unit_test(they_hold_in_plain_c_as_well),
    };
    return cmocka_run_group_tests(tests, make_values, NULL);
}
