/* Laws of palette: dequantised tensors take a byte an element, whatever their groups; products are exact; notes may lie. */
#include "tests/support/transform_run.h"
#include "transforms/palette/palette_scale.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCKS, NUMBERS, ELEMENTS, N_ROWS = 40, ROW = 96 };

static uint32_t random32(void)
{
    static uint64_t state = 5;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static const struct {
    enum mth_dtype dtype;
    enum mth_palette_float format;
} floats[] = {
    {MTH_DTYPE_BF16, MTH_PALETTE_BF16}, {MTH_DTYPE_F16, MTH_PALETTE_F16}, {MTH_DTYPE_F32, MTH_PALETTE_F32}};

/* Any scale of the size that weights have. */
static float random_scale(void)
{
    return ldexpf(1 + (float)(random32() % (1 << 23)) / (float)(1 << 23), -12 + (int)(random32() % 8));
}

static void put(uint8_t *dst, size_t i, size_t width, uint64_t x)
{
    for (size_t b = 0; b < width; b++)
        dst[i * width + b] = (uint8_t)(x >> 8 * b);
}

/* Rows of integers of some bits, a scale for each group of a row. */
static void fill(uint8_t *src, size_t f, size_t n, size_t group, unsigned bits)
{
    float scale = 0;
    size_t width = mth_dtype_lane_bytes(floats[f].dtype);
    for (size_t i = 0; i < n; i++) {
        if (i % group == 0)
            scale = random_scale();
        int factor = (int)(random32() % (1u << bits)) - (1 << (bits - 1));
        put(src, i, width, mth_palette_product(floats[f].format, scale, factor));
    }
}

static void forward(struct transform_run *run, enum mth_dtype dtype, const uint8_t *src, size_t n_elems,
                    uint32_t row_elems)
{
    struct mth_row_span span = {.n_elems = n_elems, .row_elems = row_elems};
    size_t n_bytes = n_elems * mth_dtype_lane_bytes(dtype);
    transform_run_forward(run, "palette", mth_symbol_type_of(dtype), 0, src, NULL, n_bytes);
    run->job.spans = &span;
    run->job.n_spans = 1;
    assert_int_equal(run->transform->forward(&run->job, src, run->streams), MTH_OK);
    uint8_t *back = malloc(n_bytes);
    assert_non_null(back);
    assert_int_equal(transform_run_inverse(run, back), MTH_OK);
    assert_memory_equal(back, src, n_bytes);
    free(back);
}

static void dequantised_tensors_take_a_byte_an_element(void **state)
{
    (void)state;
    static uint8_t src[N_ROWS * ROW * 4];
    static const struct {
        size_t group;
        unsigned bits;
    } cases[] = {{N_ROWS * ROW, 8}, {ROW, 8}, {ROW, 4}, {32, 4}, {N_ROWS * ROW, 4}};
    for (size_t f = 0; f < 3; f++) {
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
            struct transform_run run;
            fill(src, f, N_ROWS * ROW, cases[c].group, cases[c].bits);
            forward(&run, floats[f].dtype, src, N_ROWS * ROW, ROW);
            if (run.streams[ELEMENTS].n_bytes || run.streams[NUMBERS].n_bytes != N_ROWS * ROW ||
                run.streams[BLOCKS].n_bytes > 8 + 6 * (N_ROWS * ROW / cases[c].group))
                fail_msg("format %zu, case %zu: %zu blocks, %zu elements", f, c, run.streams[BLOCKS].n_bytes,
                         run.streams[ELEMENTS].n_bytes);
            transform_run_end(&run);
        }
    }
}

static void few_values_of_any_kind_are_a_table(void **state)
{
    (void)state;
    static uint8_t src[N_ROWS * ROW * 8];
    static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16, MTH_DTYPE_I32, MTH_DTYPE_F64};
    for (size_t d = 0; d < 3; d++) {
        struct transform_run run;
        size_t width = mth_dtype_lane_bytes(dtypes[d]);
        uint64_t values[16];
        for (size_t i = 0; i < 16; i++)
            values[i] =
                (uint64_t)random32() << 32 | random32() | 0x7f80; /* a NaN of bf16: no multiple of anything */
        for (size_t i = 0; i < N_ROWS * ROW; i++)
            put(src, i, width, values[random32() % 16]);
        forward(&run, dtypes[d], src, N_ROWS * ROW, ROW);
        assert_int_equal(run.streams[ELEMENTS].n_bytes, 16 * width);
        transform_run_end(&run);
    }
}

/* By another way than the code's: halves and bf16 are a number of units of their last place. */
static void products_are_rounded_to_nearest_even(void **state)
{
    (void)state;
    for (int i = 0; i < 200000; i++) {
        float scale =
            ldexpf(1 + (float)(random32() % (1 << 23)) / (float)(1 << 23), -30 + (int)(random32() % 36));
        int factor = (int)(random32() % 511) - 255;
        double product = (double)(scale * (float)factor);
        for (size_t f = 0; f < 2; f++) {
            int m = f ? 10 : 7, lowest = f ? -24 : -133, power;
            frexp(product, &power);
            int unit = power - 1 - m > lowest ? power - 1 - m : lowest;
            double units = nearbyint(ldexp(product, -unit)), value = ldexp(units, unit);
            uint64_t got = mth_palette_product(f ? MTH_PALETTE_F16 : MTH_PALETTE_BF16, scale, factor);
            int e = (int)(got >> m & (f ? 31 : 255));
            double read =
                ldexp((double)(got & ((1u << m) - 1)) + (e ? (1 << m) : 0), (e ? e : 1) - (f ? 15 : 127) - m);
            if (f && fabs(value) >= 65536)
                assert_int_equal(got & 0x7fff, 0x7c00);
            else if (read != fabs(value) || (got >> 15 != 0) != (product < 0))
                fail_msg("%d times %a as format %zu is %#llx", factor, (double)scale, f,
                         (unsigned long long)got);
        }
    }
}

static void notes_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *blocks;
        size_t n_blocks, n_numbers, n_elements;
        int status;
    } cases[] = {
        /* Four elements of f32: 16 bytes. */
        {"\x01\x04\x04\x00\x00", 5, 0, 16, MTH_OK},
        {"\x01\x04\x04\x00\x00", 5, 0, 15, MTH_ERR_CORRUPT},
        {"\x01\x04\x04\x00\x00", 5, 0, 20, MTH_ERR_CORRUPT},
        {"\x01\x04\x04\x00\x03", 5, 0, 16, MTH_ERR_CORRUPT},             /* no such kind */
        {"\x01\x03\x04\x00\x00", 5, 0, 16, MTH_ERR_CORRUPT},             /* an element is missing */
        {"\x01\x05\x04\x00\x00", 5, 0, 16, MTH_ERR_CORRUPT},             /* one too many */
        {"\x01\x04\x00\x00\x00", 5, 0, 16, MTH_ERR_CORRUPT},             /* rows of nothing */
        {"\x01\x04\x04\x04\x00", 5, 0, 16, MTH_ERR_CORRUPT},             /* a phase of a whole row */
        {"\x02\x04\x04\x00\x00\x04\x00\x00", 8, 0, 16, MTH_ERR_CORRUPT}, /* an empty span */
        {"\x01\x04\x02\x01\x00\x00\x00", 7, 0, 16, MTH_OK},              /* rows of 1, 2 and 1 */
        {"\x01\x04\x04\x00\x02\x00", 6, 4, 4, MTH_OK},
        {"\x01\x04\x04\x00\x02\x00", 6, 3, 4, MTH_ERR_CORRUPT},
        {"\x01\x04\x04\x00\x02\x01", 6, 4, 4, MTH_ERR_CORRUPT}, /* a table of two of which one is there */
        {"\x01\x04\x04\x00\x01\x00\x00\x00\x3f\x7f", 10, 4, 0, MTH_OK},
        {"\x01\x04\x04\x00\x01\x00\x00\x00\xbf\x7f", 10, 4, 0,
         MTH_ERR_CORRUPT}, /* scales below 0, NaN, infinite */
        {"\x01\x04\x04\x00\x01\x00\x00\xc0\x7f\x7f", 10, 4, 0, MTH_ERR_CORRUPT},
        {"\x01\x04\x04\x00\x01\x00\x00\x80\x7f\x7f", 10, 4, 0, MTH_ERR_CORRUPT},
        {"\x01\x04\x04\x00\x01\x00\x00\x00\x3f", 9, 4, 0, MTH_ERR_CORRUPT},
        {"\x81\x02", 2, 0, 16, MTH_ERR_CORRUPT}, /* more spans than there may be */
    };
    struct transform_run run;
    uint8_t src[16] = {0}, dst[16];
    transform_run_forward(&run, "palette", mth_symbol_type_of(MTH_DTYPE_F32), 0, src, NULL, sizeof src);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(run.streams[BLOCKS].data, cases[i].blocks, cases[i].n_blocks);
        memset(run.streams[NUMBERS].data, 0, 4);
        run.streams[BLOCKS].n_bytes = cases[i].n_blocks;
        run.streams[NUMBERS].n_bytes = cases[i].n_numbers;
        run.streams[ELEMENTS].n_bytes = cases[i].n_elements;
        if (transform_run_inverse(&run, dst) != cases[i].status)
            fail_msg("case %zu", i);
    }
    transform_run_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dequantised_tensors_take_a_byte_an_element),
        cmocka_unit_test(few_values_of_any_kind_are_a_table),
        cmocka_unit_test(products_are_rounded_to_nearest_even),
        cmocka_unit_test(notes_that_lie_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
