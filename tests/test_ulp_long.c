/* Laws of the long steps of ulp-rans: symbols, signs and bits of 32-bit steps are those of the specification, by every kernel. */
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "tests/support/ulp_rig.h"

#include "codecs/ulp_rans/ulp_symbols.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct mth_ulp_kernels *kernels[ULP_MAX_KERNELS];
static size_t n_kernels;

static int find_kernels(void **state)
{
    (void)state;
    n_kernels = ulp_runnable(kernels);
    return 0;
}

/* Steps of 32 bits with a shift by context: every kernel as the first, which is plain C, and back from bits that end right behind the last one. */
static void check_steps32(const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *steps,
                          const uint8_t *contexts, size_t n)
{
    enum { ROOM = 64 };
    size_t n_room = 4 * n + ROOM, n_extra = 0, n_signs = (n + 7) / 8;
    uint8_t *symbols = guard_alloc(n), *signs = guard_alloc(n_signs), *room = guard_alloc(n_room);
    uint8_t *wanted = guard_alloc(n), *wanted_signs = guard_alloc(n_signs), *first = guard_alloc(n_room);
    uint8_t *back = guard_alloc(4 * n);
    for (size_t k = 0; k < n_kernels; k++) {
        struct mth_ulp_parts parts = {.symbols = k ? symbols : wanted,
                                      .signs = k ? signs : wanted_signs,
                                      .extra = {.at = k ? room : first, .end = (k ? room : first) + n_room}};
        assert_true(mth_ulp_split(kernels[k], 32, shift, steps, contexts, n, &parts));
        assert_true(mth_ulp_end_bits(&parts.extra));
        if (k == 0)
            n_extra = (size_t)(parts.extra.at - first);
        assert_int_equal(parts.extra.at - (k ? room : first), n_extra);
        assert_memory_equal(parts.symbols, wanted, n);
        assert_memory_equal(parts.signs, wanted_signs, n_signs);
        assert_memory_equal(k ? room : first, first, n_extra);
        uint8_t *bits = guard_alloc(n_extra);
        if (n_extra)
            memcpy(bits, first, n_extra);
        struct mth_ulp_bit_reader reader = {.at = bits, .end = bits + n_extra};
        assert_true(mth_ulp_join(kernels[k], 32, shift, wanted, wanted_signs, contexts, n, &reader, back));
        assert_true(mth_ulp_bits_ended(&reader));
        assert_memory_equal(back, steps, 4 * n);
        if (n_extra) {
            reader = (struct mth_ulp_bit_reader){.at = bits, .end = bits + n_extra - 1};
            assert_false(
                mth_ulp_join(kernels[k], 32, shift, wanted, wanted_signs, contexts, n, &reader, back));
        }
        guard_free(bits, n_extra);
    }
    guard_free(symbols, n);
    guard_free(signs, n_signs);
    guard_free(room, n_room);
    guard_free(wanted, n);
    guard_free(wanted_signs, n_signs);
    guard_free(first, n_room);
    guard_free(back, 4 * n);
}

/* The bits of v by the specification, one by one. */
static size_t define_bits(uint32_t v, unsigned shift, uint8_t *bits, unsigned *symbol)
{
    uint32_t u = v >> shift;
    unsigned k = 0, n_rest = 0;
    uint64_t value = v & (((uint64_t)1 << shift) - 1);
    if (u < 8) {
        *symbol = u;
    } else {
        while (k < 7 && u >= 6 + (4u << k))
            k++;
        *symbol = 8 + k;
        n_rest = k + 1;
        value |= (uint64_t)(u - 6 - (2u << k)) << shift;
    }
    if (*symbol == 15) {
        value = v;
        n_rest = 31 - shift;
    }
    for (unsigned i = 0; i < shift + n_rest; i++)
        bits[i] = value >> i & 1;
    return shift + n_rest;
}

static void long_steps_have_the_symbols_and_bits_of_the_specification(void **state)
{
    (void)state;
    enum { N = 4096 };
    uint8_t *steps = guard_alloc(4 * N), *contexts = guard_alloc(N), *room = guard_alloc(4 * N + 64);
    static uint8_t bits[N * 32], symbols[N], signs[N / 8], shift[MTH_ULP_CONTEXTS];
    uint64_t random = 3;
    for (unsigned c = 0; c < MTH_ULP_CONTEXTS; c++)
        shift[c] = (uint8_t)(2 * c);
    for (size_t i = 0; i < N; i++) {
        uint64_t r = pattern_random(&random);
        uint32_t m = 1 + (uint32_t)(r >> 32) % ((uint32_t)1 << r % 32);
        contexts[i] = r >> 8 & 15;
        ulp_store(steps + 4 * i, r >> 16 & 1 ? 0 - m : m, 32);
    }
    for (size_t k = 0; k < n_kernels; k++) {
        struct mth_ulp_parts parts = {
            .symbols = symbols, .signs = signs, .extra = {.at = room, .end = room + 4 * N + 64}};
        size_t n_bits = 0;
        assert_true(mth_ulp_split(kernels[k], 32, shift, steps, contexts, N, &parts));
        assert_true(mth_ulp_end_bits(&parts.extra));
        for (size_t i = 0; i < N; i++) {
            uint32_t step = (uint32_t)ulp_load(steps + 4 * i, 32), down = step >> 31;
            unsigned symbol;
            n_bits += define_bits((down ? 0 - step : step) - 1, shift[contexts[i]], bits + n_bits, &symbol);
            assert_int_equal(symbols[i], symbol);
            assert_int_equal(signs[i / 8] >> i % 8 & 1, down);
        }
        assert_int_equal(parts.extra.at - room, (n_bits + 7) / 8);
        for (size_t i = 0; i < n_bits; i++)
            assert_int_equal(room[i / 8] >> i % 8 & 1, bits[i]);
    }
    guard_free(steps, 4 * N);
    guard_free(contexts, N);
    guard_free(room, 4 * N + 64);
}

static void long_steps_are_the_same_by_every_kernel(void **state)
{
    (void)state;
    enum { N_MIXED = 5000, MAX_SHIFT = 30 };
    uint64_t random = 2;
    for (size_t n = 0; n < N_MIXED; n = n < 130 ? n + 1 : 2 * n) {
        for (unsigned kind = 0; kind < 4; kind++) {
            uint8_t *steps = guard_alloc(4 * n), *contexts = guard_alloc(n), shift[MTH_ULP_CONTEXTS];
            for (unsigned c = 0; c < MTH_ULP_CONTEXTS; c++)
                shift[c] = (uint8_t)(kind == 0   ? 0
                                     : kind == 1 ? MAX_SHIFT
                                                 : pattern_random(&random) % (MAX_SHIFT + 1));
            for (size_t i = 0; i < n; i++) {
                uint64_t r = pattern_random(&random);
                contexts[i] = (uint8_t)(r >> 8 & (MTH_ULP_CONTEXTS - 1));
                /* Of every length; of the one that the shift suits; the largest and the smallest. */
                unsigned log =
                    kind == 3 && r >> 20 & 7 ? shift[contexts[i]] + (unsigned)(r >> 12 & 3) : r % 32;
                uint32_t m = 1 + (uint32_t)(r >> 32) % ((uint32_t)1 << (log < 31 ? log : 31));
                if ((r >> 24 & 31) < 2)
                    m = r >> 24 & 1 ? (uint32_t)1 << 31 : 1;
                ulp_store(steps + 4 * i, r >> 16 & 1 ? 0 - m : m, 32);
            }
            check_steps32(shift, steps, contexts, n);
            guard_free(steps, 4 * n);
            guard_free(contexts, n);
        }
    }
}

/* A symbol and a shift that together leave the 31 bits of a magnitude are refused, wherever they stand. */
static void long_steps_that_there_are_not_are_refused(void **state)
{
    (void)state;
    enum { N = 320, N_BYTES = 4 * N + 64 };
    static uint8_t symbols[N], signs[N / 8], contexts[N], bits[2 * N_BYTES], steps[4 * N];
    for (unsigned s = 0; s < MTH_ULP_SYMBOLS; s++) {
        for (unsigned shift_bits = 0; shift_bits <= 30; shift_bits++) {
            for (unsigned ones = 0; ones < 2; ones++) {
                uint8_t shift[MTH_ULP_CONTEXTS] = {0};
                size_t at = (s * 31 + shift_bits * 7) % N;
                shift[1] = (uint8_t)shift_bits;
                memset(symbols, 3, N);
                memset(contexts, 0, N);
                memset(bits, ones ? 0xff : 0, sizeof bits);
                symbols[at] = (uint8_t)s;
                contexts[at] = 1;
                unsigned n_rest = s < 8 ? 0 : s - 7;
                uint64_t u = s < 8 ? s : 6 + ((uint64_t)(ones ? 2 : 1) << n_rest) - ones;
                bool is_step = s == MTH_ULP_ESCAPE || u >> (31 - shift_bits) == 0;
                for (size_t k = 0; k < n_kernels; k++) {
                    struct mth_ulp_bit_reader reader = {.at = bits, .end = bits + sizeof bits};
                    assert_int_equal(
                        mth_ulp_join(kernels[k], 32, shift, symbols, signs, contexts, N, &reader, steps),
                        is_step);
                }
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_steps_have_the_symbols_and_bits_of_the_specification),
        cmocka_unit_test(long_steps_are_the_same_by_every_kernel),
        cmocka_unit_test(long_steps_that_there_are_not_are_refused),
    };
    return cmocka_run_group_tests(tests, find_kernels, NULL);
}
