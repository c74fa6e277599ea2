/* Laws of scale-split beyond those of every transform: kernels agree, rows and columns are used, notes that lie are refused. */
#include "base/checked.h"
#include "base/cpu.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "tests/support/transform_run.h"
#include "transforms/scale_split/scale_kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MANTISSAS, SCALES, EVEN, ODD, ESCAPES, SIGNS };

static uint64_t random_state = 9;

static uint32_t random32(void)
{
    return (uint32_t)pattern_random(&random_state);
}

/* About normal, with a mean of 0 and a variance of 1: a sum of uniform numbers. */
static double random_normal(void)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += (double)(random32() & 0xffffff) / 0x1000000;
    return sum - 6;
}

static uint16_t bf16_of(double x)
{
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* ---- kernels ---- */

/* Bits of any kind, with runs of like exponents. */
static void fill_elements(uint8_t *src, size_t n, unsigned mantissa_bits)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t x = random32();
        if (random32() % 8)
            x = (x & (0x8000u | ((1u << mantissa_bits) - 1))) | (110 % (1u << (15 - mantissa_bits)) + x % 7)
                                                                    << mantissa_bits;
        mth_store16(src + 2 * i, (uint16_t)(random32() % 50 ? x : 0));
    }
}

static void check_rest(const struct mth_scale_format *a, const struct mth_scale_format *b, const uint8_t *src,
                       size_t n)
{
    size_t low = a->mantissa_bits - 2u, n_mantissas = (n * low + 7) / 8, n_signs = (n + 7) / 8;
    uint8_t *m[2], *s[2], *dst = guard_alloc(2 * n);
    for (size_t i = 0; i < 2; i++) {
        const struct mth_scale_format *format = i ? b : a;
        m[i] = guard_alloc(n_mantissas);
        s[i] = guard_alloc(n_signs);
        format->take_rest(src, n, m[i], s[i]);
    }
    assert_memory_equal(m[0], m[1], n_mantissas);
    assert_memory_equal(s[0], s[1], n_signs);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(get_bits(m[0], i * low, (unsigned)low), mth_load16(src + 2 * i) & ((1u << low) - 1));
        assert_int_equal(get_bits(s[0], i, 1), mth_load16(src + 2 * i) >> 15);
    }
    for (size_t k = 0; k < 2; k++) {
        assert_true((k ? b : a)->put_rest(m[0], s[0], n, dst));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(mth_load16(dst + 2 * i), mth_load16(src + 2 * i) & (0x8000 | ((1u << low) - 1)));
        if (n % 8) {
            s[0][n / 8] |= 0x80;
            assert_false((k ? b : a)->put_rest(m[0], s[0], n, dst));
            s[0][n / 8] &= 0x7f;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        guard_free(m[i], n_mantissas);
        guard_free(s[i], n_signs);
    }
    guard_free(dst, 2 * n);
}

static void check_rows(const struct mth_scale_format *a, const struct mth_scale_format *b, const uint8_t *src,
                       size_t n)
{
    uint8_t *symbols[2] = {guard_alloc(n), guard_alloc(n)}, *dst = guard_alloc(2 * n);
    int16_t *shifts = (int16_t *)(void *)guard_alloc(2 * n);
    uint16_t *sums[2] = {calloc(n + 1, 2), calloc(n + 1, 2)};
    unsigned m = a->mantissa_bits, e_mask = (1u << (15 - m)) - 1;
    int base = 110 % (1 << (15 - m));
    for (size_t i = 0; i < n; i++)
        shifts[i] = (int16_t)((int)(random32() % 9) - 4);
    for (size_t k = 0; k < 2; k++) {
        const struct mth_scale_format *format = k ? b : a;
        size_t n_zeros, want_zeros = 0;
        uint64_t want = 0;
        bool escaped = format->take_symbols(src, n, base, shifts, symbols[k]), want_escaped = false;
        assert_true(sums[k] != NULL);
        uint64_t sum = format->add_exponents(src, n, sums[k], &n_zeros);
        format->add_zeros(src, n, sums[k]);
        for (size_t i = 0; i < n; i++) {
            unsigned x = mth_load16(src + 2 * i), e = x >> m & e_mask;
            int code = (int)e - base - shifts[i] - MTH_SCALE_LOWEST + 1;
            code = code < 1 || code > MTH_SCALE_N_CODES ? 0 : code;
            want_escaped |= code == 0;
            want += e;
            want_zeros += e == 0;
            assert_int_equal(symbols[k][i], (unsigned)code << 2 | (x >> (m - 2) & 3));
            assert_int_equal(sums[k][i], e + (e == 0));
        }
        assert_int_equal(escaped, want_escaped);
        assert_int_equal(sum, want);
        assert_int_equal(n_zeros, want_zeros);
        assert_int_equal(format->add_exponents(src, n, NULL, &n_zeros), want);
    }
    for (size_t k = 0; k < 2; k++) {
        memset(dst, 0, 2 * n);
        unsigned seen = (k ? b : a)->put_symbols(symbols[0], n, base, shifts, dst);
        assert_false(seen & MTH_SCALE_INVALID);
        for (size_t i = 0; i < n; i++) {
            unsigned x = mth_load16(src + 2 * i) & (0x7fffu & ~((1u << (m - 2)) - 1));
            assert_int_equal(mth_load16(dst + 2 * i), symbols[0][i] >> 2 ? x : x & (3u << (m - 2)));
        }
    }
    guard_free(symbols[0], n);
    guard_free(symbols[1], n);
    guard_free(dst, 2 * n);
    guard_free((uint8_t *)shifts, 2 * n);
    free(sums[0]);
    free(sums[1]);
}

static void kernels_give_the_same_bytes_as_defined(void **state)
{
    (void)state;
    const struct mth_scale_kernels *best =
        mth_cpu_features() & MTH_CPU_AVX2 ? &mth_scale_kernels_avx2 : &mth_scale_kernels_portable;
    for (size_t n = 0; n < 1100; n += n < 100 ? 1 : 97) {
        for (int f16 = 0; f16 < 2; f16++) {
            const struct mth_scale_format *a =
                f16 ? &mth_scale_kernels_portable.f16 : &mth_scale_kernels_portable.bf16;
            const struct mth_scale_format *b = f16 ? &best->f16 : &best->bf16;
            uint8_t *src = guard_alloc(2 * n);
            fill_elements(src, n, a->mantissa_bits);
            check_rest(a, b, src, n);
            check_rows(a, b, src, n);
            guard_free(src, 2 * n);
        }
    }
}

/* ---- rows and columns ---- */

static void forward(struct transform_run *run, enum mth_dtype dtype, const uint8_t *src, size_t n_bytes,
                    const struct mth_row_span *spans, size_t n_spans)
{
    uint8_t *back = malloc(n_bytes + 1);
    assert_non_null(back);
    transform_run_forward(run, "scale-split", mth_symbol_type_of(dtype), 0, src, NULL, n_bytes);
    run->job.spans = spans;
    run->job.n_spans = n_spans;
    assert_int_equal(run->transform->forward(&run->job, src, run->streams), MTH_OK);
    for (size_t s = 0; s < run->job.n_streams; s++)
        assert_true(run->streams[s].n_bytes <= run->plans[s].n_bytes);
    assert_int_equal(transform_run_inverse(run, back), MTH_OK);
    assert_memory_equal(back, src, n_bytes);
    free(back);
}

static void any_rows_come_back(void **state)
{
    (void)state;
    enum { N = 40000, MAX_SPANS = 300 };
    static uint8_t src[2 * N + 1];
    static struct mth_row_span spans[MAX_SPANS];
    fill_elements(src, N, 7);
    for (size_t trial = 0; trial < 200; trial++) {
        size_t left = N, n_spans = 0, n_odd = trial % 2;
        /* Some spans are too many to be noted, some are more than the elements. */
        while (left && n_spans < MAX_SPANS) {
            struct mth_row_span *span = &spans[n_spans++];
            span->n_elems = 1 + random32() % (trial % 3 ? 20000 : 200);
            span->row_elems = random32() % 3 ? 1 + random32() % (random32() % 2 ? 9000 : 100) : 0;
            span->phase = span->row_elems ? random32() % span->row_elems : 0;
            left -= span->n_elems < left ? span->n_elems : left;
        }
        struct transform_run run;
        forward(&run, trial % 5 ? MTH_DTYPE_BF16 : MTH_DTYPE_F16, src, 2 * N + n_odd, spans, n_spans);
        transform_run_end(&run);
    }
}

/* Order-0 bits of a stream. */
static double entropy(const struct mth_buffer *stream)
{
    size_t counts[256] = {0};
    double bits = 0;
    for (size_t i = 0; i < stream->n_bytes; i++)
        counts[stream->data[i]]++;
    for (size_t v = 0; v < 256; v++) {
        if (counts[v])
            bits += (double)counts[v] * log2((double)stream->n_bytes / (double)counts[v]);
    }
    return bits;
}

static double coded_bits(const struct transform_run *run)
{
    double bits = 8 * (double)(run->streams[MANTISSAS].n_bytes + run->streams[SIGNS].n_bytes);
    for (size_t s = SCALES; s < SIGNS; s++)
        bits += entropy(&run->streams[s]);
    return bits;
}

/* Normal numbers cost 16 / 1.5291 = 10.4635 bits where their scale is known exactly; half an octave for rows and a whole one for
 * columns cost some of it. */
static void rows_and_columns_of_any_scale_cost_little_more_than_a_known_one(void **state)
{
    (void)state;
    enum { ROWS = 512, COLUMNS = 640, N = ROWS * COLUMNS };
    static uint8_t src[2 * N];
    static double row[ROWS], column[COLUMNS];
    struct mth_row_span span = {.n_elems = N, .row_elems = COLUMNS}, none = {.n_elems = N};
    struct transform_run run;
    for (size_t i = 0; i < ROWS; i++)
        row[i] = exp2(2 * random_normal() - 5);
    for (size_t i = 0; i < COLUMNS; i++)
        column[i] = exp2(random_normal());
    for (size_t i = 0; i < N; i++)
        mth_store16(src + 2 * i, bf16_of(row[i / COLUMNS] * column[i % COLUMNS] * random_normal()));
    forward(&run, MTH_DTYPE_BF16, src, sizeof src, &span, 1);
    double with = coded_bits(&run) / N;
    assert_int_equal(run.streams[ESCAPES].n_bytes, 0);
    transform_run_end(&run);
    forward(&run, MTH_DTYPE_BF16, src, sizeof src, &none, 1);
    double without = coded_bits(&run) / N;
    transform_run_end(&run);
    if (with > 10.4635 + 0.08 || without < with + 0.2)
        fail_msg("%.4f bits with rows, %.4f without", with, without);
}

static void zeros_say_nothing_of_a_scale(void **state)
{
    (void)state;
    enum { ROWS = 100, COLUMNS = 256, N = ROWS * COLUMNS };
    static uint8_t src[2 * N];
    struct mth_row_span span = {.n_elems = N, .row_elems = COLUMNS};
    struct transform_run run;
    for (size_t i = 0; i < N; i++)
        mth_store16(src + 2 * i, i / COLUMNS % 7 == 3 || random32() % 4 == 0 ? 0 : bf16_of(random_normal()));
    forward(&run, MTH_DTYPE_BF16, src, sizeof src, &span, 1);
    size_t n_zeros = 0;
    for (size_t i = 0; i < N; i++)
        n_zeros += mth_load16(src + 2 * i) == 0;
    /* Zeros are escapes, and little else is. */
    assert_in_range(run.streams[ESCAPES].n_bytes, n_zeros, n_zeros + N / 1000);
    transform_run_end(&run);
}

/* ---- notes ---- */

static void notes_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *scales;
        size_t n_scales, n_even, n_odd, n_escapes;
        int status;
    } cases[] = {
        /* Four elements: spans, then of each the lowest scale, columns or not, a level a row. 64: code 16, exponent 103 + 1. */
        {"\x01\x04\x04\x00\xd4\x01\x00\x00", 8, 4, 0, 0, MTH_OK},
        {"\x01\x04\x04\x00\xd4\x01\x00\x01", 8, 0, 4, 0, MTH_OK},
        {"\x01\x04\x04\x00\xd4\x01\x00\x01", 8, 4, 0, 0, MTH_ERR_CORRUPT},
        {"\x01\x04\x04\x00\xd4\x01\x00\x00", 8, 3, 0, 0, MTH_ERR_CORRUPT},
        {"\x01\x04\x04\x00\xd4\x01\x00\x00", 8, 4, 1, 0, MTH_ERR_CORRUPT},
        {"\x01\x04\x04\x00\xd4\x01\x00\x00", 8, 4, 0, 1, MTH_ERR_CORRUPT},
        {"\x01\x04\x04\x00\xd4\x01\x00", 7, 4, 0, 0, MTH_ERR_CORRUPT},
        {"\x01\x04\x04\x00\xd4\x01\x02\x00", 8, 4, 0, 0, MTH_ERR_CORRUPT},         /* columns are 0 or 1 */
        {"\x01\x04\x04\x00\xd4\x01\x01\x00\x01\x02\x03\x00", 12, 4, 0, 0, MTH_OK}, /* shifts 0, -1, 1, -2 */
        {"\x01\x04\x04\x00\xd4\x01\x01\x00\x01\x02\x00", 11, 4, 0, 0, MTH_ERR_CORRUPT}, /* one is missing */
        {"\x01\x04\x04\x00\xd4\x01\x01\x00\x01\x02\x80\x00", 12, 4, 0, 0,
         MTH_ERR_CORRUPT},                                                 /* 64 is too far */
        {"\x01\x04\x02\x01\xd4\x01\x00\x00\x02\x04", 10, 4, 0, 0, MTH_OK}, /* rows of 1, 2, 1 */
        {"\x01\x04\x04\x00\xc8\x03\x00\xff", 8, 0, 4, 0, MTH_ERR_CORRUPT}, /* exponents above 255 */
        {"\x01\x04\x04\x00\x00\x00\x00", 7, 4, 0, 0, MTH_ERR_CORRUPT},     /* exponents below 0 */
        {"\x01\x04\x04\x00\x81\x08\x00\x00", 8, 4, 0, 0, MTH_ERR_CORRUPT}, /* no such scale */
        {"\x01\x05\x04\x00\xd4\x01\x00\x00\x00", 9, 4, 0, 0, MTH_ERR_CORRUPT},
        {"\x00", 1, 0, 0, 0, MTH_ERR_CORRUPT},
    };
    struct transform_run run;
    uint8_t src[8] = {0}, dst[8];
    transform_run_forward(&run, "scale-split", mth_symbol_type_of(MTH_DTYPE_BF16), 0, src, NULL, sizeof src);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(run.streams[SCALES].data, cases[i].scales, cases[i].n_scales);
        memset(run.streams[EVEN].data, 64, 4);
        memset(run.streams[ODD].data, 64, 4);
        run.streams[SCALES].n_bytes = cases[i].n_scales;
        run.streams[EVEN].n_bytes = cases[i].n_even;
        run.streams[ODD].n_bytes = cases[i].n_odd;
        run.streams[ESCAPES].n_bytes = cases[i].n_escapes;
        if (transform_run_inverse(&run, dst) != cases[i].status)
            fail_msg("case %zu", i);
    }
    /* A symbol above the last, and an escape that is not there. */
    static const uint8_t good[] = "\x01\x04\x04\x00\xd4\x01\x00\x00";
    memcpy(run.streams[SCALES].data, good, 8);
    run.streams[SCALES].n_bytes = 8;
    run.streams[EVEN].n_bytes = 4;
    run.streams[ODD].n_bytes = run.streams[ESCAPES].n_bytes = 0;
    run.streams[EVEN].data[2] = 128;
    assert_int_equal(transform_run_inverse(&run, dst), MTH_ERR_CORRUPT);
    run.streams[EVEN].data[2] = 3;
    assert_int_equal(transform_run_inverse(&run, dst), MTH_ERR_CORRUPT);
    run.streams[ESCAPES].data[0] = 7;
    run.streams[ESCAPES].n_bytes = 1;
    assert_int_equal(transform_run_inverse(&run, dst), MTH_OK);
    assert_int_equal(mth_load16(dst + 4), 7 << 7 | 3 << 5);
    transform_run_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_give_the_same_bytes_as_defined),
        cmocka_unit_test(any_rows_come_back),
        cmocka_unit_test(rows_and_columns_of_any_scale_cost_little_more_than_a_known_one),
        cmocka_unit_test(zeros_say_nothing_of_a_scale),
        cmocka_unit_test(notes_that_lie_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
