/* Laws of the codec ulp-rans beyond those of every codec: all elements of all types come back, by every kernel set from the same bytes. */
#include "codecs/codec_registry.h"
#include "tests/support/float_patterns.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "tests/support/ulp_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = (2 << 20) + 4096 };

static uint8_t src[MAX_BYTES], base[MAX_BYTES];

static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16,    MTH_DTYPE_F16,     MTH_DTYPE_F32, MTH_DTYPE_F64,
                                        MTH_DTYPE_F8_E4M3, MTH_DTYPE_F8_E5M2, MTH_DTYPE_I8,  MTH_DTYPE_U8,
                                        MTH_DTYPE_I16,     MTH_DTYPE_U16,     MTH_DTYPE_I32, MTH_DTYPE_U32,
                                        MTH_DTYPE_I64,     MTH_DTYPE_U64,     MTH_DTYPE_C64, MTH_DTYPE_BOOL};
enum { N_DTYPES = sizeof dtypes / sizeof dtypes[0] };

/* ---- what comes back ---- */

static void every_pair_of_every_type_comes_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 31, 32, 33, 63, 64, 65, 95, 100, 257, 2048, 2049, 20011};
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t d = 0; d < N_DTYPES; d++) {
        for (int pair = 0; pair < ULP_N_PAIRS; pair++) {
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                size_t n = sizes[i] * mth_dtype_lane_bytes(dtypes[d]);
                ulp_fill((enum ulp_pair)pair, dtypes[d], i, src, base, sizes[i]);
                ulp_rig_check(&rig, dtypes[d], src, n, base);
                /* No whole number of elements. */
                ulp_rig_check(&rig, dtypes[d], src, n - 1, base);
            }
        }
    }
    ulp_rig_close(&rig);
}

/* The pairs would say little of the codec if it kept them raw. */
static void pairs_are_coded_but_for_random_ones(void **state)
{
    (void)state;
    enum { N = 20011 };
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t d = 0; d < N_DTYPES; d++) {
        size_t n = N * mth_dtype_lane_bytes(dtypes[d]);
        for (int pair = 0; pair < ULP_N_PAIRS; pair++) {
            ulp_fill((enum ulp_pair)pair, dtypes[d], 3, src, base, N);
            struct ulp_stream stream = ulp_rig_code(&rig, dtypes[d], src, n, base, n);
            if ((stream.coded[0] == MTH_ULP_RAW) != (pair == ULP_RANDOM))
                fail_msg("%s, %s: mode %u", mth_dtype_info(dtypes[d])->name,
                         ulp_pair_name((enum ulp_pair)pair), stream.coded[0]);
            ulp_stream_free(&stream);
        }
    }
    ulp_rig_close(&rig);
}

static void every_pair_of_bytes_comes_back(void **state)
{
    (void)state;
    static const enum mth_dtype bytes[] = {MTH_DTYPE_F8_E4M3,     MTH_DTYPE_F8_E5M2, MTH_DTYPE_F8_E4M3FNUZ,
                                           MTH_DTYPE_F8_E5M2FNUZ, MTH_DTYPE_F8_E8M0, MTH_DTYPE_U8};
    enum { N = 4 << 16 };
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    /* Each pair once, beside three elements that did not change, so that it is coded. */
    for (size_t i = 0; i < N; i++) {
        size_t pair = i / 4;
        base[i] = (uint8_t)pair;
        src[i] = (uint8_t)(i % 4 == pair % 3 ? pair >> 8 : pair);
    }
    for (size_t d = 0; d < sizeof bytes / sizeof bytes[0]; d++) {
        struct ulp_stream stream = ulp_rig_code(&rig, bytes[d], src, N, base, N);
        assert_int_equal(stream.coded[0], MTH_ULP_CODED);
        ulp_stream_free(&stream);
    }
    ulp_rig_close(&rig);
}

/* Pairs of two, drawn from all 2^32 without repeating one: an odd factor goes through all. */
static void millions_of_pairs_of_16_bits_come_back(void **state)
{
    (void)state;
    enum { N = 1 << 20, N_STREAMS = 4 };
    uint32_t pair = 1;
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t s = 0; s < N_STREAMS; s++) {
        enum mth_dtype dtype = s % 2 ? MTH_DTYPE_F16 : MTH_DTYPE_BF16;
        for (size_t i = 0; i < N; i++) {
            /* Where all change it would be raw. */
            bool changes = s < 2 || i % 3 == 0;
            pair += UINT32_C(0x9e3779b1);
            ulp_store(base + 2 * i, pair & 0xffff, 16);
            ulp_store(src + 2 * i, changes ? pair >> 16 : pair & 0xffff, 16);
        }
        ulp_rig_check(&rig, dtype, src, 2 * (size_t)N, base);
    }
    ulp_rig_close(&rig);
}

static void lengths_around_a_block_come_back(void **state)
{
    (void)state;
    static const enum mth_dtype wide[] = {MTH_DTYPE_I8, MTH_DTYPE_BF16, MTH_DTYPE_F32, MTH_DTYPE_F64};
    static const int around[] = {-64, -33, -32, -31, -1, 0, 1, 31, 32, 33, 64};
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t d = 0; d < sizeof wide / sizeof wide[0]; d++) {
        struct mth_ulp_format format = ulp_format(wide[d]);
        size_t block = mth_ulp_block_elems(&format), lane_bytes = format.lane_bits / 8;
        ulp_fill(ULP_TRAINED, wide[d], 1, src, base, block + 64);
        for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
            size_t n = (size_t)((int)block + around[i]) * lane_bytes;
            ulp_rig_check(&rig, wide[d], src, n, base);
            ulp_rig_check(&rig, wide[d], src, n + 1, base);
        }
        /* Nothing in the first of two blocks. */
        memcpy(src, base, block * lane_bytes);
        ulp_rig_check(&rig, wide[d], src, (block + 64) * lane_bytes, base);
        /* A block of nothing is two bytes, so that they can be counted. */
        memcpy(src, base, (block + 64) * lane_bytes);
        for (size_t more = 0; more < 2; more++) {
            size_t n = (block + more) * lane_bytes;
            struct ulp_stream stream = ulp_rig_code(&rig, wide[d], src, n, base, n);
            assert_int_equal(block, wide[d] == MTH_DTYPE_I8 ? 1 << 19 : (1 << 20) / lane_bytes);
            assert_int_equal(stream.n_coded, 3 + 2 * more);
            ulp_stream_free(&stream);
        }
    }
    ulp_rig_close(&rig);
}

static void a_base_that_is_not_there_is_zeros(void **state)
{
    (void)state;
    static uint8_t zeros[MAX_BYTES];
    enum { N = 5000 };
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t d = 0; d < N_DTYPES; d++) {
        size_t n = N * mth_dtype_lane_bytes(dtypes[d]);
        ulp_fill(ULP_TRAINED, dtypes[d], 3, src, base, N);
        memset(src, 0, n / 2);
        struct ulp_stream none = ulp_rig_code(&rig, dtypes[d], src, n, NULL, 0);
        struct ulp_stream shorter = ulp_rig_code(&rig, dtypes[d], src, n, base, n - 1);
        struct ulp_stream zero = ulp_rig_code(&rig, dtypes[d], src, n, zeros, n);
        assert_int_equal(none.n_coded, shorter.n_coded);
        assert_int_equal(none.n_coded, zero.n_coded);
        assert_memory_equal(none.coded, shorter.coded, none.n_coded);
        assert_memory_equal(none.coded, zero.coded, none.n_coded);
        assert_int_equal(none.coded[0], MTH_ULP_CODED);
        ulp_stream_free(&none);
        ulp_stream_free(&shorter);
        ulp_stream_free(&zero);
    }
    ulp_rig_close(&rig);
}

static void symbols_that_are_no_elements_are_not_taken(void **state)
{
    (void)state;
    static const struct mth_symbol_type types[] = {{MTH_DTYPE_F16, 11, 11},  {MTH_DTYPE_F16, 5, 8},
                                                   {MTH_DTYPE_BF16, 8, 8},   {MTH_DTYPE_F32, 16, 16},
                                                   {MTH_DTYPE_OPAQUE, 1, 1}, {MTH_DTYPE_OPAQUE, 24, 24}};
    struct ulp_rig rig;
    uint8_t out[65];
    ulp_rig_open(&rig);
    memset(src, 0, 64);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct mth_encode_job job = {
            .src = {src, 64}, .type = types[i], .dst = out, .dst_capacity = sizeof out};
        struct mth_decode_job back = {.src = {out, 4}, .type = types[i], .dst = base, .dst_bytes = 64};
        assert_int_equal(rig.codec->encode(rig.states[0], &job), MTH_ERR_UNSUPPORTED);
        memcpy(out, (const uint8_t[]){MTH_ULP_CODED, 1, 0, 0}, 4);
        back.src.n_bytes = 3;
        assert_int_equal(rig.codec->decode(rig.states[0], &back, 1), MTH_ERR_CORRUPT);
        /* Raw is raw. */
        memset(out, 0, sizeof out);
        back.src.n_bytes = sizeof out;
        assert_int_equal(rig.codec->decode(rig.states[0], &back, 1), MTH_OK);
    }
    /* The same bytes of a type that has elements are a block in which nothing changed. */
    struct mth_decode_job good = {.src = {(const uint8_t[]){MTH_ULP_CODED, 1, 0}, 3},
                                  .type = mth_symbol_type_of(MTH_DTYPE_BF16),
                                  .dst = base,
                                  .dst_bytes = 64};
    assert_int_equal(rig.codec->decode(rig.states[0], &good, 1), MTH_OK);
    ulp_rig_close(&rig);
}

/* ---- which form, and how small ---- */

/* Rows of 768 of which few changed, and as many changes spread evenly. */
static void changes_in_few_rows_are_named_by_a_map(void **state)
{
    (void)state;
    enum { ROW = 768, N = 300 * ROW, EVERY = 20 };
    uint64_t random = 1;
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    size_t n_coded[2];
    for (unsigned spread = 0; spread < 2; spread++) {
        ulp_fill(ULP_SAME, MTH_DTYPE_BF16, 1, src, base, N);
        for (size_t i = 0; i < N; i++) {
            uint64_t r = pattern_random(&random);
            bool changes = spread ? r % (3 * EVERY) == 0 : i / ROW % EVERY == 0 && r % 3 == 0;
            src[2 * i] = (uint8_t)(src[2 * i] ^ (changes ? 1 : 0));
        }
        struct ulp_stream stream =
            ulp_rig_code(&rig, MTH_DTYPE_BF16, src, 2 * (size_t)N, base, 2 * (size_t)N);
        assert_int_equal((ulp_head_of(&stream) & MTH_ULP_GROUPED) != 0, !spread);
        n_coded[spread] = stream.n_coded;
        ulp_stream_free(&stream);
    }
    assert_true(n_coded[0] < n_coded[1] * 6 / 10);
    ulp_rig_close(&rig);
}

static void the_form_of_lanes_follows_what_changes(void **state)
{
    (void)state;
    enum { LONG = 3 << 15, SHORT = (1 << 16) - 1 };
    static const struct {
        enum ulp_pair pair;
        size_t n_elems;
        unsigned flag_lanes, log2_lanes;
    } wanted[] = {{ULP_SAME, LONG, 32, 0},   {ULP_ONE, LONG, 32, 0},    {ULP_TRAINED, LONG, 128, 5},
                  {ULP_DENSE, LONG, 128, 6}, {ULP_DENSE, SHORT, 32, 6}, {ULP_TRAINED, SHORT, 32, 5},
                  {ULP_TRAINED, 2000, 32, 0}};
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        size_t n = 2 * wanted[i].n_elems;
        ulp_fill(wanted[i].pair, MTH_DTYPE_BF16, 1, src, base, wanted[i].n_elems);
        struct ulp_stream stream = ulp_rig_code(&rig, MTH_DTYPE_BF16, src, n, base, n);
        uint8_t head = ulp_head_of(&stream);
        assert_int_equal(stream.coded[0], MTH_ULP_CODED);
        assert_int_equal(head == 0, wanted[i].pair == ULP_SAME);
        assert_int_equal(mth_ulp_flag_lanes(head), wanted[i].flag_lanes);
        assert_int_equal(head >> MTH_ULP_LANES_SHIFT & MTH_ULP_LANES_MASK, wanted[i].log2_lanes);
        if (wanted[i].pair == ULP_SAME)
            assert_int_equal(stream.n_coded, 3);
        if (wanted[i].pair == ULP_ONE)
            assert_true(stream.n_coded < 200);
        ulp_stream_free(&stream);
    }
    ulp_rig_close(&rig);
}

/* A law that elements change by: given the exponent, how often, and the mean of their magnitudes. */
struct law {
    enum mth_dtype dtype;
    double changed[6]; /* by how far the base's exponent lies below the highest */
    double mean[6];
};

static double uniform(uint64_t *random)
{
    return ((double)(pattern_random(random) >> 11) + 0.5) / 9007199254740992.0;
}

static double information(double p)
{
    return -p * log2(p) - (1 - p) * log2(1 - p);
}

/* A geometric law: m = 1 + floor(log u / log q). Its entropy is h(1 - q) / (1 - q). */
static double plant(const struct law *law, size_t n)
{
    struct mth_ulp_format format = ulp_format(law->dtype);
    unsigned top = (1u << (format.exponent_bits - 1)) - 3;
    uint64_t random = 7;
    double bits = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t r = pattern_random(&random);
        size_t c = r % 6;
        uint64_t mantissa = r >> 8 & (((uint64_t)1 << format.mantissa_bits) - 1);
        uint64_t b =
            (r >> 63) << (format.lane_bits - 1) | (top - (uint64_t)c) << format.mantissa_bits | mantissa;
        double p = law->changed[c], q = 1 - 1 / law->mean[c];
        uint64_t x = b;
        if (uniform(&random) < p) {
            uint64_t m = q > 0 ? 1 + (uint64_t)(log(uniform(&random)) / log(q)) : 1;
            x = ulp_move(&format, b, pattern_random(&random) & 1 ? m : 0 - m);
        }
        bits += information(p) + p * (1 + (q > 0 ? information(q) / (1 - q) : 0));
        ulp_store(base + i * (format.lane_bits / 8), b, format.lane_bits);
        ulp_store(src + i * (format.lane_bits / 8), x, format.lane_bits);
    }
    return bits / 8;
}

static void streams_come_close_to_their_conditional_entropy(void **state)
{
    (void)state;
    static const struct law laws[] = {
        /* A step before: few change, by one, the smaller the more. */
        {MTH_DTYPE_BF16, {.006, .01, .02, .05, .1, .2}, {1, 1, 1, 1.01, 1.1, 1.3}},
        {MTH_DTYPE_BF16, {.1, .2, .3, .5, .7, .9}, {1.1, 1.3, 1.7, 2.5, 4, 8}},
        {MTH_DTYPE_BF16, {.5, .7, .9, .97, .98, .99}, {2, 4, 8, 16, 25, 30}},
        {MTH_DTYPE_F16, {.05, .1, .2, .4, .8, .9}, {1.2, 1.5, 2, 4, 8, 16}},
        {MTH_DTYPE_F32, {.9, .93, .95, .97, .98, .99}, {5, 10, 20, 40, 80, 160}},
        {MTH_DTYPE_F32, {.3, .6, .9, .97, .98, .99}, {100, 200, 400, 1000, 10000, 20000}},
        {MTH_DTYPE_F64, {.9, .9, .9, .9, .9, .9}, {1e3, 1e5, 1e7, 1e9, 1e11, 1e12}},
    };
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t i = 0; i < sizeof laws / sizeof laws[0]; i++) {
        size_t lane_bytes = mth_dtype_lane_bytes(laws[i].dtype), n = (1 << 20) / lane_bytes;
        double bound = plant(&laws[i], n);
        struct ulp_stream stream =
            ulp_rig_code(&rig, laws[i].dtype, src, n * lane_bytes, base, n * lane_bytes);
        double over = (double)stream.n_coded / bound;
        if (getenv("MTH_TEST_SHOW"))
            printf("law %zu: %zu bytes, %.0f are the bound, %.4f\n", i, stream.n_coded, bound, over);
        if (over > 1.02 || over < 0.99)
            fail_msg("law %zu: %zu bytes, the bound is %.0f", i, stream.n_coded, bound);
        ulp_stream_free(&stream);
    }
    ulp_rig_close(&rig);
}

static void a_stream_of_nothing_is_nothing(void **state)
{
    (void)state;
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    struct ulp_stream stream = ulp_rig_code(&rig, MTH_DTYPE_BF16, src, 0, base, 0);
    assert_int_equal(stream.n_coded, 0);
    assert_int_equal(ulp_rig_decode(&rig, &stream, (const uint8_t[]){0}, 1), MTH_ERR_CORRUPT);
    ulp_stream_free(&stream);
    /* Less than an element. */
    stream = ulp_rig_code(&rig, MTH_DTYPE_F64, src, 7, base, 7);
    assert_int_equal(ulp_rig_decode(&rig, &stream, stream.coded, 0), MTH_ERR_CORRUPT);
    ulp_stream_free(&stream);
    ulp_rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_every_type_comes_back),
        cmocka_unit_test(pairs_are_coded_but_for_random_ones),
        cmocka_unit_test(every_pair_of_bytes_comes_back),
        cmocka_unit_test(millions_of_pairs_of_16_bits_come_back),
        cmocka_unit_test(lengths_around_a_block_come_back),
        cmocka_unit_test(a_base_that_is_not_there_is_zeros),
        cmocka_unit_test(symbols_that_are_no_elements_are_not_taken),
        cmocka_unit_test(changes_in_few_rows_are_named_by_a_map),
        cmocka_unit_test(the_form_of_lanes_follows_what_changes),
        cmocka_unit_test(streams_come_close_to_their_conditional_entropy),
        cmocka_unit_test(a_stream_of_nothing_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
