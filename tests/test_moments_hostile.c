/* Laws of the transforms of moments on streams that no forward made, each wrong in one thing: refused, and nothing beside them is read. */
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "tests/support/transform_run.h"
#include "transforms/moment/moment.h"
#include "transforms/moment/moment_kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* More than a block, not a whole number of groups, and a tail. */
enum {
    N = MTH_MOMENT_BLOCK_ELEMS + 71,
    N_TAIL = 3,
    N_BYTES = 4 * N + N_TAIL,
    ZERO = 40 /* an element without squares */
};

static uint8_t before[N_BYTES], squares[N_BYTES], weights[N_BYTES], after[N_BYTES];
static const struct mth_bytes references[] = {{before, N_BYTES}, {squares, N_BYTES}, {weights, N_BYTES}};

/* Gradients of 16 bits and any that made averages of others; some elements nobody made. */
static int make_moments(void **state)
{
    const struct mth_adam_rule rule = mth_adam_rule_of(0x3dcccccd, 0x3f800000);
    uint64_t random = 1;
    (void)state;
    for (size_t i = 0; i < N; i++) {
        uint64_t r = pattern_random(&random);
        uint32_t m0 = (uint32_t)(r & 0x807fffff) | (uint32_t)(112 + r % 7) << 23,
                 g = (uint32_t)(r >> 32 & 0x807f0000) | (uint32_t)(113 + (r >> 20) % 7) << 23,
                 m1 = mth_bits_of(mth_adam_m(&rule, mth_float_of(m0), mth_float_of(g)));
        mth_lane_store32(before + 4 * i, m0);
        mth_lane_store32(squares + 4 * i,
                         i == ZERO ? 0 : (uint32_t)(r >> 9 & 0x7fffff) | (uint32_t)(100 + r % 7) << 23);
        mth_lane_store32(weights + 4 * i, (uint32_t)(r >> 17 & 0x807fffff) | 0x3c000000);
        mth_lane_store32(after + 4 * i, i % 9 ? m1 : i % 2 ? 0x7f800001 : (uint32_t)r);
    }
    return 0;
}

static void begin(struct transform_run *run, const char *name)
{
    struct mth_symbol_type type = mth_symbol_type_of(MTH_DTYPE_F32);
    assert_int_equal(transform_run_plan(run, name, type, 0, NULL, N_BYTES), MTH_OK);
    run->job.references = references;
    for (size_t s = 0; s < run->job.n_streams; s++) {
        run->streams[s].capacity_bytes = run->plans[s].n_bytes;
        run->streams[s].data = malloc(run->plans[s].n_bytes + 64);
        assert_non_null(run->streams[s].data);
    }
    assert_int_equal(run->transform->forward(&run->job, after, run->streams), MTH_OK);
}

/* The status of inverse, where streams and what comes of them end where memory does; what is restored is what was there. */
static int restore(const struct transform_run *run)
{
    struct mth_bytes in[MTH_MAX_STREAMS];
    uint8_t *dst = guard_alloc(N_BYTES);
    for (size_t s = 0; s < run->job.n_streams; s++) {
        uint8_t *copy = guard_alloc(run->streams[s].n_bytes);
        memcpy(copy, run->streams[s].data, run->streams[s].n_bytes);
        in[s] = (struct mth_bytes){copy, run->streams[s].n_bytes};
    }
    int status = run->transform->inverse(&run->job, in, dst);
    if (!status)
        assert_memory_equal(dst, after, N_BYTES);
    for (size_t s = 0; s < run->job.n_streams; s++)
        guard_free((uint8_t *)(uintptr_t)in[s].data, in[s].n_bytes);
    guard_free(dst, N_BYTES);
    return status;
}

static const char *const names[] = {"moment16", "moment24", "gradient24", "divided24", "moment32"};
enum { N_NAMES = sizeof names / sizeof names[0], MOMENT16 = 0, GRADIENT24 = 2, MOMENT32 = 4 };

/* As many are kept as symbols say. */
static void elements_that_are_kept_are_all_there(void **state)
{
    (void)state;
    for (size_t t = 0; t < N_NAMES; t++) {
        struct transform_run run;
        begin(&run, names[t]);
        struct mth_buffer *kept = &run.streams[run.job.n_streams - 1];
        size_t n = kept->n_bytes;
        assert_true(n > 40);
        assert_int_equal(restore(&run), MTH_OK);
        for (kept->n_bytes = 0; kept->n_bytes < n; kept->n_bytes++)
            assert_int_equal(restore(&run), MTH_ERR_CORRUPT);
        memset(kept->data + n, 0, 8);
        for (kept->n_bytes = n + 1; kept->n_bytes <= n + 8; kept->n_bytes++)
            assert_int_equal(restore(&run), MTH_ERR_CORRUPT);
        transform_run_end(&run);
    }
}

static void bits_behind_the_last_symbol_are_zero(void **state)
{
    (void)state;
    for (size_t t = 0; t < N_NAMES; t++) {
        struct transform_run run;
        begin(&run, names[t]);
        struct mth_buffer *rests = &run.streams[t == MOMENT32 ? 0 : 1];
        rests->data[rests->n_bytes - 1] ^= 0x80;
        assert_int_equal(restore(&run), MTH_ERR_CORRUPT);
        transform_run_end(&run);
    }
}

/* The other streams have nothing of what is kept. */
static void nothing_else_is_said_of_what_is_kept(void **state)
{
    (void)state;
    for (size_t t = 0; t < MOMENT32; t++) {
        struct transform_run run;
        begin(&run, names[t]);
        const uint8_t *sizes = run.streams[0].data, *escape = memchr(sizes, MTH_MOMENT_ESCAPE, N);
        assert_non_null(escape);
        size_t i = (size_t)(escape - sizes);
        for (unsigned bit = 0; bit < 7; bit++) {
            size_t at = 7 * i + bit;
            run.streams[1].data[at / 8] ^= (uint8_t)(1u << at % 8);
            assert_int_equal(restore(&run), MTH_ERR_CORRUPT);
            run.streams[1].data[at / 8] ^= (uint8_t)(1u << at % 8);
        }
        for (unsigned bit = 0; t != MOMENT16 && bit < 8; bit++) {
            run.streams[2].data[i] ^= (uint8_t)(1u << bit);
            assert_int_equal(restore(&run), MTH_ERR_CORRUPT);
            run.streams[2].data[i] ^= (uint8_t)(1u << bit);
        }
        assert_int_equal(restore(&run), MTH_OK);
        transform_run_end(&run);
    }
}

/* Below what squares of zero tell there is no gradient. */
static void sizes_are_those_of_a_float(void **state)
{
    (void)state;
    for (size_t t = 0; t <= GRADIENT24; t++) {
        struct transform_run run;
        begin(&run, names[t]);
        uint8_t *size = run.streams[0].data + ZERO;
        assert_true(*size != MTH_MOMENT_ESCAPE);
        /* Of gradient24 0 is one of its own, of those that are next to nothing. */
        *size = t < GRADIENT24 ? 0 : 1;
        assert_int_equal(restore(&run), MTH_ERR_CORRUPT);
        transform_run_end(&run);
    }
}

/* The class of the first element of a moment32, and its symbol. */
static uint8_t *first_symbol(const struct transform_run *run)
{
    const struct mth_moment32_rule rule = {1.0f - mth_float_of(0x3dcccccd),
                                           mth_half_octave(0x3dcccccd) - MTH_HALF_OCTAVE_BIAS};
    uint8_t class;
    mth_moment_kernels_portable.classify32(&rule, before + 4, squares + 4, 1, &class);
    /* It is the second: the first may be in its class, too. */
    uint8_t class_of_first;
    mth_moment_kernels_portable.classify32(&rule, before, squares, 1, &class_of_first);
    return run->streams[1 + class].data + (class == class_of_first);
}

static void what_has_a_symbol_is_not_kept(void **state)
{
    (void)state;
    struct transform_run run;
    begin(&run, names[MOMENT32]);
    uint8_t *symbol = first_symbol(&run), was = *symbol;
    struct mth_buffer *kept = &run.streams[run.job.n_streams - 1];
    assert_true(was != MTH_MOMENT_ESCAPE);
    /* No size is so large that it is this one. */
    *symbol = 2 * MTH_MOMENT32_SIZES;
    assert_int_equal(restore(&run), MTH_ERR_CORRUPT);
    *symbol = 2 * MTH_MOMENT32_SIZES + (was & 1);
    assert_int_equal(restore(&run), MTH_ERR_CORRUPT);
    /* Kept, behind the first one that is, with nothing left of it elsewhere. */
    *symbol = MTH_MOMENT_ESCAPE;
    size_t n_first = memcmp(kept->data, after, 4) == 0 ? 4 : 0;
    memmove(kept->data + n_first + 4, kept->data + n_first, kept->n_bytes - n_first);
    memcpy(kept->data + n_first, after + 4, 4);
    kept->n_bytes += 4;
    memset(run.streams[0].data + 2, 0, 2);
    for (size_t bit = MTH_MOMENT32_HIGH_BITS; bit < 2 * MTH_MOMENT32_HIGH_BITS; bit++)
        run.streams[0].data[2 * N + bit / 8] &= (uint8_t) ~(1u << bit % 8);
    assert_int_equal(restore(&run), MTH_ERR_CORRUPT);
    transform_run_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_that_are_kept_are_all_there),
        cmocka_unit_test(bits_behind_the_last_symbol_are_zero),
        cmocka_unit_test(nothing_else_is_said_of_what_is_kept),
        cmocka_unit_test(sizes_are_those_of_a_float),
        cmocka_unit_test(what_has_a_symbol_is_not_kept),
    };
    return cmocka_run_group_tests(tests, make_moments, NULL);
}
