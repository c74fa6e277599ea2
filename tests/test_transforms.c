/* Every transform's conformance, and what each promises beyond coming back: its streams, bit by bit. */
#include "pipeline/mithril.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "tests/support/transform_conformance.h"
#include "transforms/transform_registry.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_MAX = 1 << 17 };

static uint64_t random_state;

static void fill_random(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)pattern_random(&random_state);
}

/* A transform with default options, planned and run into buffers of its own. */
struct run {
    const struct mth_transform *transform;
    int64_t options[MTH_MAX_OPTIONS];
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    struct mth_bytes base;
    struct mth_transform_job job;
    struct mth_buffer streams[MTH_MAX_STREAMS];
};

static int run_plan(struct run *run, const char *name, struct mth_symbol_type type, size_t width,
                    const void *base, size_t n_bytes)
{
    memset(run, 0, sizeof *run);
    run->transform = mth_transform_find(name, strlen(name));
    assert_non_null(run->transform);
    mth_option_defaults(run->transform->options, run->transform->n_options, run->options);
    if (width)
        run->options[0] = (int64_t)width;
    run->base = (struct mth_bytes){.data = base, .n_bytes = n_bytes};
    run->job = (struct mth_transform_job){.options = run->options,
                                          .type = type,
                                          .n_bytes = n_bytes,
                                          .references = &run->base,
                                          .plans = run->plans};
    return run->transform->plan(run->options, &type, n_bytes, run->plans, &run->job.n_streams);
}

static void run_forward(struct run *run, const char *name, struct mth_symbol_type type, size_t width,
                        const void *src, const void *base, size_t n_bytes)
{
    assert_int_equal(run_plan(run, name, type, width, base, n_bytes), MTH_OK);
    for (size_t s = 0; s < run->job.n_streams; s++) {
        run->streams[s].capacity_bytes = run->plans[s].n_bytes;
        run->streams[s].data = malloc(run->plans[s].n_bytes + 1);
        assert_non_null(run->streams[s].data);
    }
    assert_int_equal(run->transform->forward(&run->job, src, run->streams), MTH_OK);
}

static int run_inverse(const struct run *run, uint8_t *dst)
{
    struct mth_bytes in[MTH_MAX_STREAMS];
    for (size_t s = 0; s < run->job.n_streams; s++)
        in[s] = (struct mth_bytes){.data = run->streams[s].data, .n_bytes = run->streams[s].n_bytes};
    return run->transform->inverse(&run->job, in, dst);
}

static void run_end(struct run *run)
{
    for (size_t s = 0; s < run->job.n_streams; s++)
        free(run->streams[s].data);
}

static uint64_t get_bits(const uint8_t *p, size_t at, unsigned n)
{
    uint64_t x = 0;
    for (unsigned i = 0; i < n; i++)
        x |= (uint64_t)(p[(at + i) / 8] >> (at + i) % 8 & 1) << i;
    return x;
}

/* ---- all transforms ---- */

static void every_transform_keeps_the_laws(void **state)
{
    (void)state;
    const struct mth_transform *transform;
    size_t n = 0;
    for (; (transform = mth_transform_at(n)) != NULL; n++) {
        print_message("           %s\n", transform->name);
        conformance_check_transform(transform);
    }
    assert_true(n >= 6);
}

/* ---- docs/transforms.md: the examples, as bytes ---- */

struct example {
    const char *name;
    enum mth_dtype dtype;
    unsigned width;      /* option, 0 for the default */
    const char *src;     /* hex */
    const char *base;    /* hex, NULL where there is none */
    const char *streams; /* hex, | between streams */
};

static const struct example examples[] = {
    {"byte-group", MTH_DTYPE_BF16, 0, "a0b0a1b1c0", NULL, "a0a1|b0b1c0"},
    {"byte-group", MTH_DTYPE_F32, 0, "000102031011121320", NULL, "0010|0111|0212|031320"},
    {"byte-group", MTH_DTYPE_F32, 3, "a0b0c0a1b1c1d0d1", NULL, "a0a1|b0b1|c0c1d0d1"},
    {"byte-group", MTH_DTYPE_BF16, 0, "", NULL, "|"},
    {"bit-shuffle", MTH_DTYPE_U8, 0, "0100030000000080ee", NULL, "0504000000000080ee"},
    {"bit-shuffle", MTH_DTYPE_BF16, 0, "803f803f803f803f803f803f803f8040aabbcc", NULL,
     "00000000000000ff7f7f7f7f7f7f8000aabbcc"},
    {"exponent-split", MTH_DTYPE_BF16, 0, "803f40c0ee", NULL, "7f80|00c0ee"},
    {"exponent-split", MTH_DTYPE_F16, 0, "003c00be", NULL, "0f0f|000030"},
    {"exponent-split", MTH_DTYPE_F32, 0, "0000803fdb0f49c0eeee", NULL, "7f80|000000db0fc9eeee"},
    {"exponent-split", MTH_DTYPE_F64, 0, "182d4454fb2109c0", NULL, "0004|182d4454fb2119"},
    {"exponent-split", MTH_DTYPE_F8_E4M3, 0, "38bc01", NULL, "070700|c001"},
    {"exponent-split", MTH_DTYPE_F8_E5M2, 0, "3cbe01", NULL, "0f0f00|7000"},
    {"delta-xor", MTH_DTYPE_BF16, 0, "813f0102ee", "803f0304dd", "01000206ee"},
    {"delta-sub", MTH_DTYPE_BF16, 0, "813f0000ee", "803f0100dd", "0100ffffee"},
    {"delta-ulp", MTH_DTYPE_BF16, 0, "813f7f3f0080ee", "803f803f0000dd", "020001000100ee"},
    {"delta-ulp", MTH_DTYPE_I8, 0, "05fe80", "07017f", "030502"},
};

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    for (; hex[0] && hex[0] != '|'; hex += 2) {
        unsigned byte;
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        out[n++] = (uint8_t)byte;
    }
    return n;
}

static void examples_of_the_documentation_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        const struct example *e = &examples[i];
        uint8_t src[64], base[64], want[64], back[64];
        struct run run;
        size_t n = from_hex(e->src, src);
        if (e->base)
            assert_int_equal(from_hex(e->base, base), n);
        run_forward(&run, e->name, mth_symbol_type_of(e->dtype), e->width, src, base, n);
        const char *streams = e->streams;
        for (size_t s = 0; s < run.job.n_streams; s++) {
            size_t n_want = from_hex(streams, want);
            if (n_want != run.streams[s].n_bytes || memcmp(want, run.streams[s].data, n_want) != 0)
                fail_msg("%s, example %zu, stream %zu is another", e->name, i, s);
            const char *bar = strchr(streams, '|');
            streams = bar ? bar + 1 : "";
        }
        assert_int_equal(streams[0], '\0');
        assert_int_equal(run_inverse(&run, back), MTH_OK);
        assert_memory_equal(back, src, n);
        run_end(&run);
    }
}

/* ---- byte-group, bit-shuffle ---- */

static void byte_group_bf16_keeps_the_founding_example(void **state)
{
    (void)state;
    const uint8_t src[] = {0xa0, 0xb0, 0xa1, 0xb1, 0xc0}, grouped[] = {0xa0, 0xa1, 0xb0, 0xb1, 0xc0};
    uint8_t dst[5];
    byte_group_bf16(src, 5, dst);
    assert_memory_equal(dst, grouped, 5);
    byte_ungroup_bf16(grouped, 5, dst);
    assert_memory_equal(dst, src, 5);
    byte_group_bf16(src, 4, dst);
    assert_memory_equal(dst, grouped, 4);
    byte_group_bf16(NULL, 0, NULL);
    byte_ungroup_bf16(NULL, 0, NULL);
}

/* And groups what the transform groups, for every length and alignment. */
static void byte_group_bf16_roundtrips_any_length_and_alignment(void **state)
{
    (void)state;
    enum { MAX = 9000, SLACK = 16 };
    uint8_t *src = guard_alloc(MAX), *grouped = guard_alloc(MAX + SLACK), *back = guard_alloc(MAX);
    fill_random(src, MAX);
    for (size_t n = 0; n <= MAX; n += n < 140 ? 1 : 887) {
        for (size_t gap = 0; gap < 8; gap++) {
            uint8_t *from = src + MAX - n - (n + gap <= MAX ? gap : 0),
                    *to = grouped + MAX + SLACK - n - gap * 3 % 8;
            uint8_t *again = back + MAX - n;
            struct run run;
            mth_byte_group_bf16(from, n, to);
            run_forward(&run, "byte-group", mth_symbol_type_of(MTH_DTYPE_BF16), 0, from, NULL, n);
            assert_memory_equal(to, run.streams[0].data, run.streams[0].n_bytes);
            assert_memory_equal(to + n / 2, run.streams[1].data, run.streams[1].n_bytes);
            run_end(&run);
            mth_byte_ungroup_bf16(to, n, again);
            assert_memory_equal(again, from, n);
        }
    }
    guard_free(src, MAX);
    guard_free(grouped, MAX + SLACK);
    guard_free(back, MAX);
}

static void byte_group_puts_byte_s_of_every_element_in_stream_s(void **state)
{
    (void)state;
    enum { N = 9973 };
    uint8_t src[N];
    fill_random(src, N);
    for (size_t width = 1; width <= MTH_MAX_STREAMS; width++) {
        struct run run;
        run_forward(&run, "byte-group", mth_symbol_type_of(MTH_DTYPE_OPAQUE), width, src, NULL, N);
        assert_int_equal(run.job.n_streams, width);
        for (size_t i = 0; i < N / width * width; i++)
            assert_int_equal(run.streams[i % width].data[i / width], src[i]);
        run_end(&run);
    }
}

static void bit_shuffle_puts_bit_i_of_every_element_in_plane_i(void **state)
{
    (void)state;
    enum { N = 20011 };
    uint8_t *src = malloc(N);
    assert_non_null(src);
    fill_random(src, N);
    for (size_t width = 1; width <= 16; width++) {
        struct run run;
        run_forward(&run, "bit-shuffle", mth_symbol_type_of(MTH_DTYPE_F32), width, src, NULL, N);
        size_t n_elems = N / width / 8 * 8;
        for (size_t plane = 0; plane < 8 * width; plane++) {
            const uint8_t *bits = run.streams[0].data + plane * (n_elems / 8);
            for (size_t i = 0; i < n_elems; i++) {
                if (get_bits(bits, i, 1) != get_bits(src + i * width, plane, 1))
                    fail_msg("width %zu, bit %zu of element %zu", width, plane, i);
            }
        }
        assert_memory_equal(run.streams[0].data + n_elems * width, src + n_elems * width,
                            N - n_elems * width);
        run_end(&run);
    }
    free(src);
}

/* ---- exponent-split ---- */

static const enum mth_dtype floats[] = {MTH_DTYPE_BF16, MTH_DTYPE_F16,         MTH_DTYPE_F32,
                                        MTH_DTYPE_F64,  MTH_DTYPE_F8_E4M3,     MTH_DTYPE_F8_E5M2,
                                        MTH_DTYPE_C64,  MTH_DTYPE_F8_E4M3FNUZ, MTH_DTYPE_F8_E5M2FNUZ};
enum { N_FLOATS = sizeof floats / sizeof floats[0] };

static void exponent_split_gives_each_field_as_defined(void **state)
{
    (void)state;
    enum { N = 20021 };
    uint8_t *src = malloc(N);
    assert_non_null(src);
    fill_random(src, N);
    for (size_t f = 0; f < N_FLOATS; f++) {
        const struct mth_dtype_info *info = mth_dtype_info(floats[f]);
        unsigned lane = info->lane_bits, e = info->exponent_bits, m = info->mantissa_bits;
        struct run run;
        run_forward(&run, "exponent-split", mth_symbol_type_of(floats[f]), 0, src, NULL, N);
        assert_int_equal(run.job.n_streams, 2);
        const struct mth_symbol_type *exponent = &run.plans[0].type, *packed = &run.plans[1].type;
        assert_int_equal(exponent->symbol_bits, e);
        assert_int_equal(exponent->container_bits, e > 8 ? 16 : 8);
        assert_int_equal(packed->symbol_bits, 1 + m);
        assert_int_equal(packed->container_bits, 1 + m);
        size_t n = N / (lane / 8);
        assert_int_equal(run.plans[0].n_symbols, n);
        assert_int_equal(run.plans[1].n_symbols, n);
        for (size_t i = 0; i < n; i++) {
            uint64_t x = get_bits(src, i * lane, lane);
            uint64_t want_exponent = x >> m & ((1u << e) - 1);
            uint64_t want_packed = (x >> (lane - 1)) << m | (x & (((uint64_t)1 << m) - 1));
            if (get_bits(run.streams[0].data, i * exponent->container_bits, exponent->container_bits) !=
                    want_exponent ||
                get_bits(run.streams[1].data, i * (1 + m), 1 + m) != want_packed)
                fail_msg("%s, element %zu", info->name, i);
        }
        run_end(&run);
    }
    free(src);
}

static void exponent_split_refuses_bits_that_forward_never_sets(void **state)
{
    (void)state;
    uint8_t src[64], dst[64];
    fill_random(src, sizeof src);
    for (size_t f = 0; f < N_FLOATS; f++) {
        const struct mth_dtype_info *info = mth_dtype_info(floats[f]);
        size_t width = info->lane_bits / 8, n_bytes = 3 * width;
        struct run run;
        run_forward(&run, "exponent-split", mth_symbol_type_of(floats[f]), 0, src, NULL, n_bytes);
        unsigned container = run.plans[0].type.container_bits;
        for (unsigned bit = 0; bit < 3 * container; bit++) {
            bool in_field = bit % container < info->exponent_bits;
            run.streams[0].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(run_inverse(&run, dst), in_field ? MTH_OK : MTH_ERR_CORRUPT);
            run.streams[0].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t bit = 0; bit < 8 * run.streams[1].n_bytes; bit++) {
            bool in_field = bit < 3 * (1 + info->mantissa_bits);
            run.streams[1].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(run_inverse(&run, dst), in_field ? MTH_OK : MTH_ERR_CORRUPT);
            run.streams[1].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(run_inverse(&run, dst), MTH_OK);
        assert_memory_equal(dst, src, n_bytes);
        run_end(&run);
    }
}

static void transforms_refuse_types_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct mth_symbol_type type;
        int status;
    } cases[] = {
        {"exponent-split", {MTH_DTYPE_I32, 32, 32}, MTH_ERR_UNSUPPORTED},
        {"exponent-split", {MTH_DTYPE_OPAQUE, 8, 8}, MTH_ERR_UNSUPPORTED},
        {"exponent-split", {MTH_DTYPE_F8_E8M0, 8, 8}, MTH_ERR_UNSUPPORTED},
        {"exponent-split", {MTH_DTYPE_F4, 8, 8}, MTH_ERR_UNSUPPORTED},
        {"exponent-split", {MTH_DTYPE_BF16, 8, 8}, MTH_ERR_UNSUPPORTED},
        {"exponent-split", {MTH_DTYPE_BF16, 16, 32}, MTH_ERR_UNSUPPORTED},
        {"exponent-split", {MTH_DTYPE_BF16, 16, 16}, MTH_OK},
        {"delta-xor", {MTH_DTYPE_OPAQUE, 11, 11}, MTH_ERR_UNSUPPORTED},
        {"delta-xor", {MTH_DTYPE_OPAQUE, 24, 24}, MTH_OK},
        {"delta-sub", {MTH_DTYPE_OPAQUE, 24, 24}, MTH_ERR_UNSUPPORTED},
        {"delta-sub", {MTH_DTYPE_U16, 11, 16}, MTH_OK},
        {"delta-ulp", {MTH_DTYPE_OPAQUE, 3, 3}, MTH_ERR_UNSUPPORTED},
        {"delta-ulp", {MTH_DTYPE_F32, 8, 8}, MTH_ERR_UNSUPPORTED},
        {"delta-ulp", {MTH_DTYPE_U8, 5, 8}, MTH_OK},
        {"byte-group", {MTH_DTYPE_OPAQUE, 11, 11}, MTH_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct run run;
        if (run_plan(&run, cases[i].name, cases[i].type, 0, NULL, 100) != cases[i].status)
            fail_msg("%s, case %zu", cases[i].name, i);
    }
}

/* ---- differences ---- */

static void deltas_say_what_their_symbols_are(void **state)
{
    (void)state;
    static const enum mth_dtype unsigned_of_bytes[] = {
        [1] = MTH_DTYPE_U8, [2] = MTH_DTYPE_U16, [4] = MTH_DTYPE_U32, [8] = MTH_DTYPE_U64};
    for (unsigned d = 0; d < MTH_N_DTYPES; d++) {
        struct mth_symbol_type type = mth_symbol_type_of((enum mth_dtype)d);
        struct run run;
        assert_int_equal(run_plan(&run, "delta-xor", type, 0, NULL, 100), MTH_OK);
        assert_int_equal(run.plans[0].type.dtype, d);
        assert_int_equal(run_plan(&run, "delta-sub", type, 0, NULL, 100), MTH_OK);
        assert_int_equal(run.plans[0].type.dtype, unsigned_of_bytes[type.container_bits / 8]);
        assert_int_equal(run_plan(&run, "delta-ulp", type, 0, NULL, 100), MTH_OK);
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
        struct run run;
        run_forward(&run, "delta-sub", mth_symbol_type_of(dtypes[d]), 0, src, base, sizeof src);
        for (size_t at = 0; at < 8 * sizeof src; at += bits) {
            uint64_t want = (get_bits(src, at, bits) - get_bits(base, at, bits)) & mask;
            assert_true(get_bits(run.streams[0].data, at, bits) == want);
        }
        run_end(&run);
    }
}

/* Against each of these bases, all 65536 values; make test-large takes every base. */
static void delta_ulp_roundtrips_every_bf16_pair(void **state)
{
    (void)state;
    static const unsigned mantissas[] = {0x00, 0x01, 0x55, 0x7f};
    uint8_t *src = malloc(N_MAX), *base = malloc(N_MAX), *dst = malloc(N_MAX);
    assert_true(src && base && dst);
    for (size_t i = 0; i < N_MAX / 2; i++) {
        src[2 * i] = (uint8_t)i;
        src[2 * i + 1] = (uint8_t)(i >> 8);
    }
    for (unsigned top = 0; top < 512; top++) {
        unsigned value = top << 7 | mantissas[top % 4];
        struct run run;
        for (size_t i = 0; i < N_MAX; i += 2) {
            base[i] = (uint8_t)value;
            base[i + 1] = (uint8_t)(value >> 8);
        }
        run_forward(&run, "delta-ulp", mth_symbol_type_of(MTH_DTYPE_BF16), 0, src, base, N_MAX);
        assert_int_equal(run_inverse(&run, dst), MTH_OK);
        assert_int_equal(memcmp(dst, src, N_MAX), 0);
        run_end(&run);
    }
    free(src);
    free(base);
    free(dst);
}

/* The symbols of two values against each other: b after a, and a after b. */
static void check_step(enum mth_dtype dtype, const void *a, const void *b, uint64_t up, uint64_t down)
{
    unsigned bits = mth_dtype_info(dtype)->lane_bits;
    struct run run;
    run_forward(&run, "delta-ulp", mth_symbol_type_of(dtype), 0, b, a, bits / 8);
    assert_true(get_bits(run.streams[0].data, 0, bits) == up);
    run_end(&run);
    run_forward(&run, "delta-ulp", mth_symbol_type_of(dtype), 0, a, b, bits / 8);
    assert_true(get_bits(run.streams[0].data, 0, bits) == down);
    run_end(&run);
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
            struct run run;
            for (size_t i = 0; i + steps < n; i++) {
                for (size_t k = 0; k < width; k++) {
                    low[i * width + k] = (uint8_t)(sorted[i] >> 8 * k);
                    high[i * width + k] = (uint8_t)(sorted[i + steps] >> 8 * k);
                }
            }
            run_forward(&run, "delta-ulp", mth_symbol_type_of(dtypes[d]), 0, high, low, (n - steps) * width);
            /* Halfway round, what is far up is near down: the fold takes the shorter way. */
            uint64_t want = steps < 1u << (bits - 1) ? 2 * steps : 2 * ((1u << bits) - steps) - 1;
            for (size_t i = 0; i + steps < n; i++)
                assert_true(get_bits(run.streams[0].data, i * bits, bits) == want);
            run_end(&run);
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
        cmocka_unit_test(every_transform_keeps_the_laws),
        cmocka_unit_test(examples_of_the_documentation_hold),
        cmocka_unit_test(byte_group_bf16_keeps_the_founding_example),
        cmocka_unit_test(byte_group_bf16_roundtrips_any_length_and_alignment),
        cmocka_unit_test(byte_group_puts_byte_s_of_every_element_in_stream_s),
        cmocka_unit_test(bit_shuffle_puts_bit_i_of_every_element_in_plane_i),
        cmocka_unit_test(exponent_split_gives_each_field_as_defined),
        cmocka_unit_test(exponent_split_refuses_bits_that_forward_never_sets),
        cmocka_unit_test(transforms_refuse_types_that_do_not_fit),
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
