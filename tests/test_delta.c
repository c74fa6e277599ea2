/* The differences against a base, number by number: what their symbols mean. */
#include "tests/support/patterns.h"
#include "tests/support/sanitized.h"
#include "tests/support/transform_run.h"
#include "transforms/transform.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every value of 16 bits. */
enum { N_MAX = 1 << 17 };

#ifndef __OPTIMIZE__
enum { SLOW_BUILD = 1 };
#else
enum { SLOW_BUILD = SANITIZED };
#endif

static uint64_t random_state;

static void fill_random(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)pattern_random(&random_state);
}

static void deltas_say_what_their_symbols_are(void **state)
{
    (void)state;
    static const enum mth_dtype unsigned_of_bytes[] = {
        [1] = MTH_DTYPE_U8, [2] = MTH_DTYPE_U16, [4] = MTH_DTYPE_U32, [8] = MTH_DTYPE_U64};
    for (unsigned d = 0; d < MTH_N_DTYPES; d++) {
        struct mth_symbol_type type = mth_symbol_type_of((enum mth_dtype)d);
        struct transform_run run;
        assert_int_equal(transform_run_plan(&run, "delta-xor", type, 0, NULL, 100), MTH_OK);
        assert_int_equal(run.plans[0].type.dtype, d);
        assert_int_equal(transform_run_plan(&run, "delta-sub", type, 0, NULL, 100), MTH_OK);
        assert_int_equal(run.plans[0].type.dtype, unsigned_of_bytes[type.container_bits / 8]);
        assert_int_equal(transform_run_plan(&run, "delta-ulp", type, 0, NULL, 100), MTH_OK);
        assert_int_equal(run.plans[0].type.dtype, unsigned_of_bytes[type.container_bits / 8]);
    }
}

static void delta_sub_is_the_difference_of_bits(void **state)
{
    (void)state;
    static const enum mth_dtype dtypes[] = {MTH_DTYPE_I8, MTH_DTYPE_BF16, MTH_DTYPE_F32, MTH_DTYPE_F64};
    uint8_t src[1000], base[1000];
    fill_random(src, sizeof src);
    fill_random(base, sizeof base);
    for (size_t d = 0; d < 4; d++) {
        unsigned bits = mth_dtype_info(dtypes[d])->lane_bits;
        uint64_t mask = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
        struct transform_run run;
        transform_run_forward(&run, "delta-sub", mth_symbol_type_of(dtypes[d]), 0, src, base, sizeof src);
        for (size_t at = 0; at < 8 * sizeof src; at += bits) {
            uint64_t want = (get_bits(src, at, bits) - get_bits(base, at, bits)) & mask;
            assert_true(get_bits(run.streams[0].data, at, bits) == want);
        }
        transform_run_end(&run);
    }
}

/* All 65536 values against every base; sanitizers, which cost a hundredfold, see one base in 131. */
static void delta_ulp_roundtrips_every_bf16_pair(void **state)
{
    (void)state;
    uint8_t *src = malloc(N_MAX), *base = malloc(N_MAX), *dst = malloc(N_MAX);
    assert_true(src && base && dst);
    for (size_t i = 0; i < N_MAX / 2; i++) {
        src[2 * i] = (uint8_t)i;
        src[2 * i + 1] = (uint8_t)(i >> 8);
    }
    for (unsigned value = 0; value < 65536; value += SLOW_BUILD ? 131 : 1) {
        struct transform_run run;
        for (size_t i = 0; i < N_MAX; i += 2) {
            base[i] = (uint8_t)value;
            base[i + 1] = (uint8_t)(value >> 8);
        }
        transform_run_forward(&run, "delta-ulp", mth_symbol_type_of(MTH_DTYPE_BF16), 0, src, base, N_MAX);
        assert_int_equal(transform_run_inverse(&run, dst), MTH_OK);
        if (memcmp(dst, src, N_MAX) != 0)
            fail_msg("against base %04x", value);
        transform_run_end(&run);
    }
    free(src);
    free(base);
    free(dst);
}

/* The symbols of two values against each other: b after a, and a after b. */
static void check_step(enum mth_dtype dtype, const void *a, const void *b, uint64_t up, uint64_t down)
{
    unsigned bits = mth_dtype_info(dtype)->lane_bits;
    struct transform_run run;
    transform_run_forward(&run, "delta-ulp", mth_symbol_type_of(dtype), 0, b, a, bits / 8);
    assert_true(get_bits(run.streams[0].data, 0, bits) == up);
    transform_run_end(&run);
    transform_run_forward(&run, "delta-ulp", mth_symbol_type_of(dtype), 0, a, b, bits / 8);
    assert_true(get_bits(run.streams[0].data, 0, bits) == down);
    transform_run_end(&run);
}

/* One step up is 2, one step down is 1: libm says who is next to whom. */
static void delta_ulp_of_neighbouring_floats_is_small(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint32_t bits = (uint32_t)pattern_random(&random_state);
        uint64_t bits64 = pattern_random(&random_state);
        float a, b;
        double x, y;
        memcpy(&a, &bits, 4);
        memcpy(&x, &bits64, 8);
        b = nextafterf(a, INFINITY);
        y = nextafter(x, INFINITY);
        /* There is no step between -0 and +0 for libm, and from an infinity or a NaN there is none. */
        if (isfinite(a) && a != 0 && b != 0)
            check_step(MTH_DTYPE_F32, &a, &b, 2, 1);
        if (isfinite(x) && x != 0 && y != 0)
            check_step(MTH_DTYPE_F64, &x, &y, 2, 1);
    }
    const float zeros[] = {-0x1p-149f, -0.0f, 0.0f, 0x1p-149f};
    for (int i = 0; i < 3; i++)
        check_step(MTH_DTYPE_F32, &zeros[i], &zeros[i + 1], 2, 1);
    const float most = 0x1.fffffep127f, infinity = INFINITY;
    check_step(MTH_DTYPE_F32, &most, &infinity, 2, 1);
}

/* The value of a finite float of at most 16 bits, from its definition. */
static double value_of(unsigned bits, const struct mth_dtype_info *info)
{
    unsigned m = info->mantissa_bits, e = bits >> m & ((1u << info->exponent_bits) - 1);
    int bias = (1 << (info->exponent_bits - 1)) - 1;
    double mantissa = bits & ((1u << m) - 1);
    double magnitude = e == 0 ? ldexp(mantissa, 1 - bias - (int)m)
                              : ldexp(mantissa + (double)(1u << m), (int)e - bias - (int)m);
    return bits >> (info->lane_bits - 1) ? -magnitude : magnitude;
}

static const struct mth_dtype_info *sorted_format;

static int by_value(const void *pa, const void *pb)
{
    unsigned a = *(const uint16_t *)pa, b = *(const uint16_t *)pb;
    double x = value_of(a, sorted_format), y = value_of(b, sorted_format);
    if (x == y) /* zeros: the negative one first */
        return a > b ? -1 : a < b;
    return x < y ? -1 : 1;
}

static void delta_ulp_counts_values_in_their_order(void **state)
{
    (void)state;
    static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16, MTH_DTYPE_F16, MTH_DTYPE_F8_E4M3,
                                            MTH_DTYPE_F8_E5M2};
    uint16_t *sorted = malloc(sizeof *sorted << 16);
    uint8_t *low = malloc(N_MAX), *high = malloc(N_MAX);
    assert_true(sorted && low && high);
    for (size_t d = 0; d < 4; d++) {
        sorted_format = mth_dtype_info(dtypes[d]);
        unsigned bits = sorted_format->lane_bits, e_mask = (1u << sorted_format->exponent_bits) - 1;
        size_t n = 0, width = bits / 8;
        for (unsigned x = 0; x < 1u << bits; x++) {
            if ((x >> sorted_format->mantissa_bits & e_mask) != e_mask)
                sorted[n++] = (uint16_t)x;
        }
        qsort(sorted, n, sizeof *sorted, by_value);
        for (size_t steps = 1; steps < n; steps = 3 * steps + 1) {
            struct transform_run run;
            for (size_t i = 0; i + steps < n; i++) {
                for (size_t k = 0; k < width; k++) {
                    low[i * width + k] = (uint8_t)(sorted[i] >> 8 * k);
                    high[i * width + k] = (uint8_t)(sorted[i + steps] >> 8 * k);
                }
            }
            transform_run_forward(&run, "delta-ulp", mth_symbol_type_of(dtypes[d]), 0, high, low,
                                  (n - steps) * width);
            /* Halfway round, what is far up is near down: the fold takes the shorter way. */
            uint64_t want = steps < 1u << (bits - 1) ? 2 * steps : 2 * ((1u << bits) - steps) - 1;
            for (size_t i = 0; i + steps < n; i++)
                assert_true(get_bits(run.streams[0].data, i * bits, bits) == want);
            transform_run_end(&run);
        }
    }
    free(sorted);
    free(low);
    free(high);
}

static void delta_ulp_counts_integers_in_their_order(void **state)
{
    (void)state;
    const int8_t i8[] = {-128, -127, -1, 0, 1, 126, 127};
    const int64_t a64 = -1, b64 = 0;
    const uint64_t u63 = INT64_MAX, u64 = (uint64_t)INT64_MAX + 1;
    const uint8_t opaque_a = 0x7f, opaque_b = 0x80;
    check_step(MTH_DTYPE_I8, &i8[0], &i8[1], 2, 1);
    check_step(MTH_DTYPE_I8, &i8[2], &i8[3], 2, 1);
    check_step(MTH_DTYPE_I8, &i8[2], &i8[4], 4, 3);
    check_step(MTH_DTYPE_I8, &i8[5], &i8[6], 2, 1);
    check_step(MTH_DTYPE_I64, &a64, &b64, 2, 1);
    check_step(MTH_DTYPE_U64, &u63, &u64, 2, 1);
    check_step(MTH_DTYPE_OPAQUE, &opaque_a, &opaque_b, 2, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deltas_say_what_their_symbols_are),
        cmocka_unit_test(delta_sub_is_the_difference_of_bits),
        cmocka_unit_test(delta_ulp_roundtrips_every_bf16_pair),
        cmocka_unit_test(delta_ulp_of_neighbouring_floats_is_small),
        cmocka_unit_test(delta_ulp_counts_values_in_their_order),
        cmocka_unit_test(delta_ulp_counts_integers_in_their_order),
    };
    random_state = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
