/* The kernels of exponent-split: every instruction set gives the same bytes, in the same room. */
#include "base/cpu.h"
#include "base/status.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "transforms/exponent_split/exponent_kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint64_t random_state;

static void fill_random(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)pattern_random(&random_state);
}

static size_t exponent_bytes(const struct mth_exponent_format *format, size_t n)
{
    return n * (format->exponent_bits > 8 ? 2 : 1);
}

static size_t packed_bytes(const struct mth_exponent_format *format, size_t n)
{
    return (n * (1u + format->mantissa_bits) + 7) / 8;
}

/* The tables that this machine can run; the portable one comes first. */
static size_t tables(const struct mth_exponent_kernels *out[2])
{
    size_t n = 0;
    out[n++] = mth_exponent_kernels_of(0);
    if (mth_cpu_features() & MTH_CPU_AVX2)
        out[n++] = mth_exponent_kernels_of(MTH_CPU_AVX2);
    return n;
}

/* Splits n elements with one table and joins them with another, in buffers that end at forbidden pages. */
static void cross(const struct mth_exponent_format *encoder, const struct mth_exponent_format *decoder,
                  const struct mth_exponent_format *reference, size_t n)
{
    size_t n_raw = n * (encoder->lane_bits / 8u), n_exponent = exponent_bytes(encoder, n),
           n_packed = packed_bytes(encoder, n);
    uint8_t *src = guard_alloc(n_raw), *back = guard_alloc(n_raw);
    uint8_t *exponent[2] = {guard_alloc(n_exponent), guard_alloc(n_exponent)};
    uint8_t *packed[2] = {guard_alloc(n_packed), guard_alloc(n_packed)};
    fill_random(src, n_raw);
    reference->split(src, n, exponent[0], packed[0]);
    encoder->split(src, n, exponent[1], packed[1]);
    assert_memory_equal(exponent[0], exponent[1], n_exponent);
    assert_memory_equal(packed[0], packed[1], n_packed);
    assert_int_equal(decoder->join(exponent[1], packed[1], n, back), MTH_OK);
    assert_memory_equal(src, back, n_raw);
    guard_free(src, n_raw);
    guard_free(back, n_raw);
    for (size_t i = 0; i < 2; i++) {
        guard_free(exponent[i], n_exponent);
        guard_free(packed[i], n_packed);
    }
}

static void every_instruction_set_gives_the_same_bytes(void **state)
{
    (void)state;
    const struct mth_exponent_kernels *kernels[2];
    size_t n_kernels = tables(kernels);
    for (size_t f = 0; f < MTH_N_EXPONENT_FORMATS; f++) {
        for (size_t e = 0; e < n_kernels; e++) {
            for (size_t d = 0; d < n_kernels; d++) {
                for (size_t n = 0; n < 150; n++)
                    cross(&kernels[e]->formats[f], &kernels[d]->formats[f], &kernels[0]->formats[f], n);
                cross(&kernels[e]->formats[f], &kernels[d]->formats[f], &kernels[0]->formats[f], 20011);
            }
        }
    }
}

static void pieces_of_eight_give_the_bytes_of_the_whole(void **state)
{
    (void)state;
    enum { N = 4 * 96 + 5, PIECE = 96 };
    static uint8_t src[8 * N], whole[2][8 * N], parts[2][8 * N];
    const struct mth_exponent_kernels *kernels[2];
    size_t n_kernels = tables(kernels);
    fill_random(src, sizeof src);
    for (size_t k = 0; k < n_kernels; k++) {
        for (size_t f = 0; f < MTH_N_EXPONENT_FORMATS; f++) {
            const struct mth_exponent_format *format = &kernels[k]->formats[f];
            memset(whole, 0, sizeof whole);
            memset(parts, 0, sizeof parts);
            format->split(src, N, whole[0], whole[1]);
            for (size_t at = 0; at < N; at += PIECE)
                format->split(src + at * (format->lane_bits / 8u), N - at < PIECE ? N - at : PIECE,
                              parts[0] + exponent_bytes(format, at), parts[1] + packed_bytes(format, at));
            assert_memory_equal(whole[0], parts[0], exponent_bytes(format, N));
            assert_memory_equal(whole[1], parts[1], packed_bytes(format, N));
        }
    }
}

/* A bit above an exponent's field, anywhere in the run. */
static void exponents_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    enum { N = 133 };
    const struct mth_exponent_kernels *kernels[2];
    size_t n_kernels = tables(kernels);
    for (size_t k = 0; k < n_kernels; k++) {
        for (size_t f = 0; f < MTH_N_EXPONENT_FORMATS; f++) {
            const struct mth_exponent_format *format = &kernels[k]->formats[f];
            static uint8_t exponent[2 * N], packed[8 * N], dst[8 * N];
            size_t width = exponent_bytes(format, 1);
            memset(exponent, 0, sizeof exponent);
            memset(packed, 0, sizeof packed);
            for (size_t bit = format->exponent_bits; bit < 8 * width; bit++) {
                for (size_t i = 0; i < N; i++) {
                    uint8_t *at = &exponent[i * width + bit / 8];
                    *at = (uint8_t)(1u << bit % 8);
                    assert_int_equal(format->join(exponent, packed, N, dst), MTH_ERR_CORRUPT);
                    *at = 0;
                }
            }
            assert_int_equal(format->join(exponent, packed, N, dst), MTH_OK);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set_gives_the_same_bytes),
        cmocka_unit_test(pieces_of_eight_give_the_bytes_of_the_whole),
        cmocka_unit_test(exponents_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
