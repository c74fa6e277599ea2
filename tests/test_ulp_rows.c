/* Laws of ulp-rans on tables: maps that go by rows, and signs given the side of zero on which the base lies. */
#include "codecs/ulp_rans/ulp_rows.h"
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

enum { MAX_BYTES = 3 << 20 };

static uint8_t src[MAX_BYTES], base[MAX_BYTES], older[MAX_BYTES];

static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16,    MTH_DTYPE_F16,     MTH_DTYPE_F32, MTH_DTYPE_F64,
                                        MTH_DTYPE_F8_E4M3, MTH_DTYPE_F8_E5M2, MTH_DTYPE_I8,  MTH_DTYPE_U16,
                                        MTH_DTYPE_I32,     MTH_DTYPE_U64};
enum { N_DTYPES = sizeof dtypes / sizeof dtypes[0] };

/*
 * Rows of a table, of which one in `share` changed: there, most elements moved by 1 .. 3 steps, and went towards zero with a probability
 * of `towards` in 256.
 *
 * Shape     phase: elements of the first row that are not there
 */
static void plant(enum mth_dtype dtype, uint64_t random, size_t n_elems, size_t row, size_t phase,
                  unsigned share, unsigned towards)
{
    struct mth_ulp_format format = ulp_format(dtype);
    unsigned bits = format.lane_bits;
    bool rests = false;
    ulp_fill(ULP_TRAINED, dtype, random, src, base, n_elems);
    for (size_t i = 0; i < n_elems; i++) {
        uint64_t r = pattern_random(&random), b = ulp_load(base + i * (bits / 8), bits);
        if (i == 0 || (i + phase) % row == 0)
            rests = (r >> 32) % share != 0;
        uint64_t step = (r >> 8) % 3 + 1;
        bool is_negative = b >> (bits - 1) & 1, down = ((r & 255) < towards) != is_negative;
        bool moves = !rests && (r >> 16 & 7) > 1;
        /* Zero and what is next to it have a side each, and are few. */
        ulp_store(src + i * (bits / 8), moves ? ulp_move(&format, b, down ? 0 - step : step) : b, bits);
    }
}

static struct ulp_stream code(struct ulp_rig *rig, enum mth_dtype dtype, size_t n, const uint8_t *before,
                              const struct mth_row_span *span)
{
    return ulp_rig_code_rows(rig, dtype, src, n, base, before, span, 1);
}

static bool is_rowed(const struct ulp_stream *stream)
{
    return stream->coded[0] >= MTH_ULP_ROWED && !(ulp_head_of(stream) & MTH_ULP_CHANGES);
}

static void rows_of_every_type_come_back(void **state)
{
    (void)state;
    static const size_t rows[] = {33, 47, 64, 72, 136, 257, 1000};
    struct ulp_rig rig;
    size_t n_rowed = 0;
    ulp_rig_open(&rig);
    for (size_t d = 0; d < N_DTYPES; d++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            size_t lane_bytes = mth_dtype_lane_bytes(dtypes[d]), phase = i % 2 ? rows[i] / 3 : 0;
            size_t n_elems = 60 * rows[i] + 13 * i;
            struct mth_row_span span = {n_elems, (uint32_t)rows[i], (uint32_t)phase};
            plant(dtypes[d], 77 + i, n_elems, rows[i], phase, 5, 128);
            struct ulp_stream stream = code(&rig, dtypes[d], n_elems * lane_bytes, NULL, &span);
            n_rowed += is_rowed(&stream);
            ulp_stream_free(&stream);
            /* No whole number of elements, and no base: then zeros stand for it. */
            stream = code(&rig, dtypes[d], n_elems * lane_bytes - 1, NULL, &span);
            ulp_stream_free(&stream);
            memcpy(older, src, sizeof older);
            for (size_t k = 0; k < n_elems * lane_bytes; k++)
                src[k] ^= base[k];
            stream = ulp_rig_code_rows(&rig, dtypes[d], src, n_elems * lane_bytes, NULL, NULL, &span, 1);
            ulp_stream_free(&stream);
            memcpy(src, older, sizeof older);
            /* With an older one, from which all moved on. */
            memcpy(older, base, sizeof older);
            for (size_t k = 0; k < n_elems; k++) {
                struct mth_ulp_format format = ulp_format(dtypes[d]);
                uint64_t b = ulp_load(base + k * lane_bytes, format.lane_bits),
                         x = ulp_load(src + k * lane_bytes, format.lane_bits);
                bool down = ulp_step(&format, b, x) >> (format.lane_bits - 1);
                ulp_store(older + k * lane_bytes, ulp_move(&format, b, down ? 2 : 0 - (uint64_t)2),
                          format.lane_bits);
            }
            stream = code(&rig, dtypes[d], n_elems * lane_bytes, older, &span);
            ulp_stream_free(&stream);
        }
    }
    assert_true(n_rowed > 40);
    ulp_rig_close(&rig);
}

/* Hints are hints: rows that are not those of the elements, spans that are not the stream's. */
static void wrong_rows_cost_bytes_alone(void **state)
{
    (void)state;
    enum { N = 20000 };
    static const struct mth_row_span wrong[][3] = {
        {{N, 100, 99}, {0, 0, 0}, {0, 0, 0}},      {{N, 33, 7}, {0, 0, 0}, {0, 0, 0}},
        {{7, 1, 0}, {N, 136, 3}, {5, 40, 39}},     {{3 * (size_t)N, 136, 135}, {9, 9, 9}, {0, 0, 0}},
        {{10, 64, 0}, {20, 50, 1}, {30, 40, 2}},   {{N, 4999, 4998}, {0, 0, 0}, {0, 0, 0}},
        {{N, UINT32_MAX, 5}, {0, 0, 0}, {0, 0, 0}}};
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    plant(MTH_DTYPE_BF16, 3, N, 136, 0, 6, 128);
    struct mth_row_span right = {N, 136, 0};
    struct ulp_stream best = code(&rig, MTH_DTYPE_BF16, 2 * (size_t)N, NULL, &right);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ulp_stream stream =
            ulp_rig_code_rows(&rig, MTH_DTYPE_BF16, src, 2 * (size_t)N, base, NULL, wrong[i], 3);
        assert_true(stream.n_coded >= best.n_coded);
        ulp_stream_free(&stream);
    }
    ulp_stream_free(&best);
    ulp_rig_close(&rig);
}

static void several_blocks_come_back_in_rows(void **state)
{
    (void)state;
    static const enum mth_dtype wide[] = {MTH_DTYPE_I8, MTH_DTYPE_BF16, MTH_DTYPE_F32};
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t d = 0; d < sizeof wide / sizeof wide[0]; d++) {
        struct mth_ulp_format format = ulp_format(wide[d]);
        size_t block = mth_ulp_block_elems(&format), n = 2 * block + 77, lane_bytes = format.lane_bits / 8;
        struct mth_row_span spans[2] = {{1000, 0, 0}, {n - 1000, 136, 0}};
        plant(wide[d], 1, n, 136, 136 - 1000 % 136, 8, 128);
        /* Nothing of rows in the first block. */
        ulp_fill(ULP_TRAINED, wide[d], 2, src, base, block);
        struct ulp_stream with = ulp_rig_code_rows(&rig, wide[d], src, n * lane_bytes, base, NULL, spans, 2);
        struct ulp_stream without = ulp_rig_code(&rig, wide[d], src, n * lane_bytes, base, n * lane_bytes);
        assert_int_equal(with.coded[0], MTH_ULP_ROWED);
        assert_true(ulp_head_of(&with) & MTH_ULP_CHANGES);
        assert_true(with.n_coded < without.n_coded);
        ulp_stream_free(&with);
        ulp_stream_free(&without);
    }
    ulp_rig_close(&rig);
}

/* Where all elements of some rows may change and no others, flags take what their entropy is, and rows a bit each at most. */
static void rows_come_close_to_their_entropy(void **state)
{
    (void)state;
    enum { N = 1 << 19, ROW = 136 };
    static const unsigned shares[] = {3, 5, 20, 50};
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        size_t n_changed = 0, n_in_rows = 0, n_rows = (N + ROW - 1) / ROW;
        struct mth_row_span span = {N, ROW, 0};
        plant(MTH_DTYPE_BF16, 5, N, ROW, 0, shares[i], 128);
        for (size_t r = 0; r < n_rows; r++) {
            size_t n = 0, end = (r + 1) * ROW < N ? (r + 1) * ROW : N;
            for (size_t k = r * ROW; k < end; k++)
                n += memcmp(src + 2 * k, base + 2 * k, 2) != 0;
            n_changed += n;
            n_in_rows += n ? end - r * ROW : 0;
        }
        double p = (double)n_changed / (double)n_in_rows, rows = 1.0 / shares[i];
        double flags = (double)n_in_rows * -(p * log2(p) + (1 - p) * log2(1 - p)) / 8,
               map = (double)n_rows * -(rows * log2(rows) + (1 - rows) * log2(1 - rows)) / 8,
               steps = (double)n_changed * (1 + log2(3)) / 8, wanted = flags + map + steps;
        struct ulp_stream stream = code(&rig, MTH_DTYPE_BF16, 2 * (size_t)N, NULL, &span);
        if (getenv("MTH_TEST_SHOW"))
            printf("one row of %u: %zu bytes, %.0f by entropy\n", shares[i], stream.n_coded, wanted);
        assert_true(is_rowed(&stream));
        if ((double)stream.n_coded > wanted * 1.02 + 500)
            fail_msg("one row of %u: %zu bytes, %.0f by entropy", shares[i], stream.n_coded, wanted);
        ulp_stream_free(&stream);
    }
    ulp_rig_close(&rig);
}

static double information(double p)
{
    return p > 0 && p < 1 ? -p * log2(p) - (1 - p) * log2(1 - p) : 0;
}

/* Signs that go towards zero, or away from it, take h(p) bits; those that do neither a bit, and are left alone. */
static void signs_from_zero_come_close_to_their_entropy(void **state)
{
    (void)state;
    enum { N = 1 << 19 };
    static const unsigned towards[] = {20, 60, 90, 118, 128, 138, 166, 200, 236};
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    struct mth_row_span none = {N, 0, 0};
    plant(MTH_DTYPE_BF16, 5, N, 64, 0, 1, 128);
    struct ulp_stream plain = code(&rig, MTH_DTYPE_BF16, 2 * (size_t)N, NULL, &none);
    assert_int_equal(plain.coded[0], MTH_ULP_CODED);
    for (size_t i = 0; i < sizeof towards / sizeof towards[0]; i++) {
        size_t n_changed = 0;
        plant(MTH_DTYPE_BF16, 5, N, 64, 0, 1, towards[i]);
        for (size_t k = 0; k < 2 * (size_t)N; k += 2)
            n_changed += memcmp(src + k, base + k, 2) != 0;
        double saved = (double)n_changed / 8 * (1 - information(towards[i] / 256.0)),
               wanted = (double)plain.n_coded - saved;
        struct ulp_stream stream = code(&rig, MTH_DTYPE_BF16, 2 * (size_t)N, NULL, &none);
        if (getenv("MTH_TEST_SHOW"))
            printf("%u of 256 go towards zero: %zu bytes, %.0f by entropy, mode %u\n", towards[i],
                   stream.n_coded, wanted, stream.coded[0]);
        assert_int_equal(stream.coded[0],
                         towards[i] >= 118 && towards[i] <= 138 ? MTH_ULP_CODED : MTH_ULP_ROWED);
        if ((double)stream.n_coded > wanted * 1.006 || (double)stream.n_coded < wanted * 0.99)
            fail_msg("%u of 256 go towards zero: %zu bytes, %.0f by entropy", towards[i], stream.n_coded,
                     wanted);
        ulp_stream_free(&stream);
    }
    ulp_stream_free(&plain);
    ulp_rig_close(&rig);
}

/* ---- fixed bytes, and damaged ones ---- */

struct golden {
    enum mth_dtype dtype;
    size_t n_elems, row, phase;
    unsigned share, towards;
    bool has_older;
    size_t n_frame;
    uint8_t frame[2400];
};

#include "tests/golden/ulp_rows_frames.h"

enum { N_GOLDEN = sizeof golden_rows / sizeof golden_rows[0] };

/* What a frame is of; the older one is where all came from in the direction in which they go on. */
static struct ulp_stream make(struct ulp_rig *rig, const struct golden *golden, struct mth_row_span *span)
{
    struct mth_ulp_format format = ulp_format(golden->dtype);
    size_t lane_bytes = format.lane_bits / 8, n = golden->n_elems * lane_bytes;
    plant(golden->dtype, 12, golden->n_elems, golden->row, golden->phase, golden->share, golden->towards);
    for (size_t k = 0; k < golden->n_elems; k++) {
        uint64_t b = ulp_load(base + k * lane_bytes, format.lane_bits),
                 x = ulp_load(src + k * lane_bytes, format.lane_bits);
        bool down = ulp_step(&format, b, x) >> (format.lane_bits - 1);
        ulp_store(older + k * lane_bytes, ulp_move(&format, b, down ? 1 : 0 - (uint64_t)1), format.lane_bits);
    }
    *span = (struct mth_row_span){golden->n_elems, (uint32_t)golden->row, (uint32_t)golden->phase};
    return code(rig, golden->dtype, n, golden->has_older ? older : NULL, span);
}

static void frames_decode_and_are_made_again(void **state)
{
    (void)state;
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t i = 0; i < N_GOLDEN; i++) {
        struct mth_row_span span;
        struct ulp_stream stream = make(&rig, &golden_rows[i], &span);
        assert_int_equal(ulp_rig_decode(&rig, &stream, golden_rows[i].frame, golden_rows[i].n_frame), MTH_OK);
        assert_int_equal(stream.n_coded, golden_rows[i].n_frame);
        assert_memory_equal(stream.coded, golden_rows[i].frame, golden_rows[i].n_frame);
        ulp_stream_free(&stream);
    }
    ulp_rig_close(&rig);
}

static void damage_ends_the_same_way_by_every_kernel(void **state)
{
    (void)state;
    static uint8_t bad[1 << 14];
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t i = 0; i < N_GOLDEN; i++) {
        struct mth_row_span span;
        struct ulp_stream stream = make(&rig, &golden_rows[i], &span);
        for (size_t cut = 0; cut < stream.n_coded; cut++)
            assert_int_equal(ulp_rig_decode(&rig, &stream, stream.coded, cut), MTH_ERR_CORRUPT);
        memcpy(bad, stream.coded, stream.n_coded);
        bad[stream.n_coded] = 0;
        assert_int_equal(ulp_rig_decode(&rig, &stream, bad, stream.n_coded + 1), MTH_ERR_CORRUPT);
        for (size_t bit = 0; bit < 8 * stream.n_coded; bit++) {
            bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
            int status = ulp_rig_decode(&rig, &stream, bad, stream.n_coded);
            assert_true(status == MTH_OK || status == MTH_ERR_CORRUPT);
            bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        ulp_stream_free(&stream);
    }
    ulp_rig_close(&rig);
}

/* Where in a frame of one block the rows stand: behind mode, length, head, table and two numbers. */
static void rows_that_there_can_not_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t row, first;
        bool fits;
    } cases[] = {{64, 0, true},          {32, 0, false},         {33, 33, false},
                 {64, 64, false},        {3201, 0, false},       {0, 0, false},
                 {1ull << 40, 0, false}, {UINT64_MAX, 0, false}, {64, UINT64_MAX, false}};
    enum { N = 3200 };
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    plant(MTH_DTYPE_U8, 9, N, 64, 0, 4, 128);
    struct mth_row_span span = {N, 64, 0};
    struct ulp_stream stream = code(&rig, MTH_DTYPE_U8, N, NULL, &span);
    assert_true(is_rowed(&stream));
    struct mth_reader reader = {.at = stream.coded + 1, .end = stream.coded + stream.n_coded};
    struct mth_ulp_table table;
    uint64_t n_block, number;
    assert_true(mth_varint_get(&reader, &n_block));
    const uint8_t *head = reader.at++;
    assert_true(*head & MTH_ULP_PACKED ? mth_ulp_table_unpack(&reader, false, &table)
                                       : mth_ulp_table_read(&reader, false, &table));
    assert_true(mth_varint_get(&reader, &number) && mth_varint_get(&reader, &number));
    const uint8_t *at = reader.at;
    assert_true(mth_varint_get(&reader, &number) && number == 64);
    assert_true(mth_varint_get(&reader, &number) && number == 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bad[2 * N], body[2 * N];
        size_t n = (size_t)(at - head), n_rest = (size_t)(reader.end - reader.at), n_bad = 1;
        memcpy(body, head, n);
        n += mth_varint_put(body + n, cases[i].row);
        n += mth_varint_put(body + n, cases[i].first);
        memcpy(body + n, reader.at, n_rest);
        bad[0] = stream.coded[0];
        n_bad += mth_varint_put(bad + 1, n + n_rest);
        memcpy(bad + n_bad, body, n + n_rest);
        assert_int_equal(ulp_rig_decode(&rig, &stream, bad, n_bad + n + n_rest),
                         cases[i].fits ? MTH_OK : MTH_ERR_CORRUPT);
        /* Streams of other modes have no such blocks. */
        bad[0] = MTH_ULP_CODED;
        assert_int_equal(ulp_rig_decode(&rig, &stream, bad, n_bad + n + n_rest), MTH_ERR_CORRUPT);
        bad[0] = MTH_ULP_ROWED_DIRECTED + 1;
        assert_int_equal(ulp_rig_decode(&rig, &stream, bad, n_bad + n + n_rest), MTH_ERR_CORRUPT);
    }
    ulp_stream_free(&stream);
    ulp_rig_close(&rig);
}

/* All that changed went one step up, so that symbols take nothing: the number of them is all that tells how many there are. */
static void flags_are_as_many_as_the_block_says(void **state)
{
    (void)state;
    enum { N = 3200, ROW = 64 };
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    memset(base, 0x10, N);
    for (size_t i = 0; i < N; i++)
        src[i] = (uint8_t)(0x10 + (i / ROW % 8 == 3 && i % 2));
    struct mth_row_span span = {N, ROW, 0};
    struct ulp_stream stream = code(&rig, MTH_DTYPE_U8, N, NULL, &span);
    assert_true(is_rowed(&stream));
    struct mth_reader reader = {.at = stream.coded + 1, .end = stream.coded + stream.n_coded};
    struct mth_ulp_table table;
    uint64_t n_changed = 0;
    uint8_t bad[2 * N];
    assert_true(mth_varint_get(&reader, &n_changed));
    const uint8_t head = *reader.at++;
    assert_true(head & MTH_ULP_PACKED ? mth_ulp_table_unpack(&reader, false, &table)
                                      : mth_ulp_table_read(&reader, false, &table));
    size_t at = (size_t)(reader.at - stream.coded);
    assert_true(mth_varint_get(&reader, &n_changed));
    assert_int_equal(n_changed % 8, 0);
    for (uint64_t n = n_changed - 8; n <= n_changed; n++) {
        memcpy(bad, stream.coded, stream.n_coded);
        assert_int_equal(mth_varint_put(bad + at, n), (size_t)(reader.at - stream.coded) - at);
        assert_int_equal(ulp_rig_decode(&rig, &stream, bad, stream.n_coded),
                         n == n_changed ? MTH_OK : MTH_ERR_CORRUPT);
    }
    ulp_stream_free(&stream);
    ulp_rig_close(&rig);
}

static void print_frames(void)
{
    static const struct golden wanted[] = {
        {.dtype = MTH_DTYPE_BF16, .n_elems = 2000, .row = 72, .phase = 5, .share = 6, .towards = 128},
        {.dtype = MTH_DTYPE_F32, .n_elems = 9000, .row = 100, .share = 5, .towards = 128, .has_older = true},
        {.dtype = MTH_DTYPE_F16, .n_elems = 3400, .row = 64, .share = 1, .towards = 230},
        {.dtype = MTH_DTYPE_I8, .n_elems = 2000, .row = 40, .phase = 39, .share = 8, .towards = 128}};
    static const char *const names[] = {"BF16", "F32", "F16", "I8"};
    static const uint8_t modes[] = {MTH_ULP_ROWED, MTH_ULP_ROWED_DIRECTED, MTH_ULP_ROWED, MTH_ULP_ROWED};
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    puts("/* Streams with rows, and with signs from zero, as test_ulp_rows --golden prints them. */\n"
         "static const struct golden golden_rows[] = {");
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct mth_row_span span;
        struct ulp_stream stream = make(&rig, &wanted[i], &span);
        assert_int_equal(stream.coded[0], modes[i]);
        assert_int_equal(is_rowed(&stream), i != 2);
        printf("{MTH_DTYPE_%s, %zu, %zu, %zu, %u, %u, %s, %zu, {", names[i], wanted[i].n_elems, wanted[i].row,
               wanted[i].phase, wanted[i].share, wanted[i].towards, wanted[i].has_older ? "true" : "false",
               stream.n_coded);
        for (size_t k = 0; k < stream.n_coded; k++)
            printf("0x%02x, ", stream.coded[k]);
        puts("}},");
        ulp_stream_free(&stream);
    }
    puts("};");
    ulp_rig_close(&rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_every_type_come_back),
        cmocka_unit_test(wrong_rows_cost_bytes_alone),
        cmocka_unit_test(several_blocks_come_back_in_rows),
        cmocka_unit_test(rows_come_close_to_their_entropy),
        cmocka_unit_test(signs_from_zero_come_close_to_their_entropy),
        cmocka_unit_test(rows_that_there_can_not_be_are_refused),
        cmocka_unit_test(flags_are_as_many_as_the_block_says),
        cmocka_unit_test(damage_ends_the_same_way_by_every_kernel),
        cmocka_unit_test(frames_decode_and_are_made_again),
    };
    if (argc > 1 && strcmp(argv[1], "--golden") == 0) {
        print_frames();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
