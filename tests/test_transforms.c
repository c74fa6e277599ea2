/* Every transform's conformance, and what each promises beyond coming back: its streams, bit by bit. */
#include "pipeline/mithril.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "tests/support/transform_conformance.h"
#include "tests/support/transform_run.h"
#include "transforms/transform_registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t random_state;

static void fill_random(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)pattern_random(&random_state);
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
    {"changes", MTH_DTYPE_U8, 0, "010203090506", "010203040500", "0301|0906"},
    {"changes", MTH_DTYPE_BF16, 0, "803f0100ee", "803f0000dd", "01|0100ee"},
    {"changed-rows", MTH_DTYPE_U8, 0, "010203", "010204", "0103400001|010203"},
    {"changed-rows", MTH_DTYPE_U8, 0, "0102", "0102", "0102400000|"},
    {"changed-rows", MTH_DTYPE_BF16, 0, "803f0100ee", "803f0000dd", "0102400001|803f0100ee"},
    {"quantize-rows", MTH_DTYPE_F32, 0, "0000803fee", NULL, "0101400002|||0000803fee"},
    {"quantize-changed-rows", MTH_DTYPE_F32, 0, "0000803fee", "0000803f00", "0101400000|||ee"},
    {"delta-previous", MTH_DTYPE_U16, 0, "050007000600ee", NULL, "0a0004000100ee"},
    {"halves", MTH_DTYPE_F32, 0, "db0f49400000803fee", NULL, "4940803f|db0f0000ee"},
    {"zero-map", MTH_DTYPE_BF16, 0, "803f0000008040c0ee", NULL, "09|02|803f40c0ee"},
    {"zero-map", MTH_DTYPE_U8, 0, "008000", NULL, "02||80"},
    {"palette", MTH_DTYPE_F32, 0, "0000003f0000c03f000080bf", NULL, "01030300010000003f7f|81837e|"},
    {"scale-split", MTH_DTYPE_BF16, 0, "803f40c0003f0000ee", NULL,
     "000000|01048004007e0080|5c625800||00|02ee"},
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
        struct transform_run run;
        size_t n = from_hex(e->src, src);
        if (e->base)
            assert_int_equal(from_hex(e->base, base), n);
        transform_run_forward(&run, e->name, mth_symbol_type_of(e->dtype), e->width, src, base, n);
        const char *streams = e->streams;
        for (size_t s = 0; s < run.job.n_streams; s++) {
            size_t n_want = from_hex(streams, want);
            if (n_want != run.streams[s].n_bytes || memcmp(want, run.streams[s].data, n_want) != 0)
                fail_msg("%s, example %zu, stream %zu is another", e->name, i, s);
            const char *bar = strchr(streams, '|');
            streams = bar ? bar + 1 : "";
        }
        assert_int_equal(streams[0], '\0');
        assert_int_equal(transform_run_inverse(&run, back), MTH_OK);
        assert_memory_equal(back, src, n);
        transform_run_end(&run);
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
            struct transform_run run;
            mth_byte_group_bf16(from, n, to);
            transform_run_forward(&run, "byte-group", mth_symbol_type_of(MTH_DTYPE_BF16), 0, from, NULL, n);
            assert_memory_equal(to, run.streams[0].data, run.streams[0].n_bytes);
            assert_memory_equal(to + n / 2, run.streams[1].data, run.streams[1].n_bytes);
            transform_run_end(&run);
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
        struct transform_run run;
        transform_run_forward(&run, "byte-group", mth_symbol_type_of(MTH_DTYPE_OPAQUE), width, src, NULL, N);
        assert_int_equal(run.job.n_streams, width);
        for (size_t i = 0; i < N / width * width; i++)
            assert_int_equal(run.streams[i % width].data[i / width], src[i]);
        transform_run_end(&run);
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
        struct transform_run run;
        transform_run_forward(&run, "bit-shuffle", mth_symbol_type_of(MTH_DTYPE_F32), width, src, NULL, N);
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
        transform_run_end(&run);
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
        struct transform_run run;
        transform_run_forward(&run, "exponent-split", mth_symbol_type_of(floats[f]), 0, src, NULL, N);
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
        transform_run_end(&run);
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
        struct transform_run run;
        transform_run_forward(&run, "exponent-split", mth_symbol_type_of(floats[f]), 0, src, NULL, n_bytes);
        unsigned container = run.plans[0].type.container_bits;
        for (unsigned bit = 0; bit < 3 * container; bit++) {
            bool in_field = bit % container < info->exponent_bits;
            run.streams[0].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(transform_run_inverse(&run, dst), in_field ? MTH_OK : MTH_ERR_CORRUPT);
            run.streams[0].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t bit = 0; bit < 8 * run.streams[1].n_bytes; bit++) {
            bool in_field = bit < 3 * (1 + info->mantissa_bits);
            run.streams[1].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(transform_run_inverse(&run, dst), in_field ? MTH_OK : MTH_ERR_CORRUPT);
            run.streams[1].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(transform_run_inverse(&run, dst), MTH_OK);
        assert_memory_equal(dst, src, n_bytes);
        transform_run_end(&run);
    }
}

/* What is packed ends within a byte, of which the rest is zero. */
static void moments_refuse_bits_that_forward_never_sets(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t stream, n_used; /* where the packed bits of one element lie */
    } cases[] = {{"moment16", 1, 7},
                 {"moment24", 1, 7},
                 {"gradient24", 1, 7},
                 {"divided24", 1, 7},
                 {"moment32", 0, 22}};
    uint8_t src[4], dst[4], before[4];
    fill_random(src, sizeof src);
    fill_random(before, sizeof before);
    const struct mth_bytes references[] = {{before, 4}, {before, 4}, {before, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct transform_run run;
        assert_int_equal(
            transform_run_plan(&run, cases[i].name, mth_symbol_type_of(MTH_DTYPE_F32), 0, NULL, 4), MTH_OK);
        run.job.references = references;
        for (size_t s = 0; s < run.job.n_streams; s++) {
            run.streams[s] = (struct mth_buffer){malloc(8), 0, run.plans[s].n_bytes};
            assert_true(run.streams[s].data && run.plans[s].n_bytes <= 8);
        }
        assert_int_equal(run.transform->forward(&run.job, src, run.streams), MTH_OK);
        const struct mth_buffer *packed = &run.streams[cases[i].stream];
        assert_int_equal(8 * packed->n_bytes, (cases[i].n_used + 7) / 8 * 8);
        for (size_t bit = cases[i].n_used; bit < 8 * packed->n_bytes; bit++) {
            packed->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(transform_run_inverse(&run, dst), MTH_ERR_CORRUPT);
            packed->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(transform_run_inverse(&run, dst), MTH_OK);
        assert_memory_equal(dst, src, sizeof src);
        transform_run_end(&run);
    }
}

/*
 * What zero-map takes is what it makes. That is all a stream cut short can be held to: without its signs, where they are one byte, it
 * is what zeros without signs give, and only the container knows how long it was.
 */
static void zero_map_takes_only_what_it_makes(void **state)
{
    enum { MAX_BYTES = 48, N_TRIES = 20000 };
    static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16, MTH_DTYPE_F32, MTH_DTYPE_U8};
    size_t n_taken = 0, n_refused = 0;
    (void)state;
    for (size_t i = 0; i < N_TRIES; i++) {
        uint8_t src[MAX_BYTES], out[MAX_BYTES], random[8];
        struct transform_run run, again;
        fill_random(src, sizeof src);
        fill_random(random, sizeof random);
        size_t n = random[0] % (MAX_BYTES + 1);
        for (size_t k = 0; k + 4 <= MAX_BYTES; k += 4) {
            if (src[k] & 1)
                memcpy(src + k, src[k] & 2 ? "\0\x80\0\x80" : "\0\0\0\x80", 4);
        }
        struct mth_symbol_type type = mth_symbol_type_of(dtypes[random[1] % 3]);
        transform_run_forward(&run, "zero-map", type, 0, src, NULL, n);
        struct mth_buffer *stream = &run.streams[random[2] % 3];
        if (random[2] % 3 && random[3] % 2 && stream->n_bytes)
            stream->n_bytes -= 1 + random[4] % stream->n_bytes;
        else if (stream->n_bytes)
            stream->data[random[4] % stream->n_bytes] ^= (uint8_t)(1u << random[5] % 8);
        int status = transform_run_inverse(&run, out);
        n_taken += status == MTH_OK;
        n_refused += status == MTH_ERR_CORRUPT;
        if (status == MTH_OK) {
            transform_run_forward(&again, "zero-map", type, 0, out, NULL, n);
            for (size_t s = 0; s < 3; s++) {
                assert_int_equal(again.streams[s].n_bytes, run.streams[s].n_bytes);
                if (run.streams[s].n_bytes)
                    assert_memory_equal(again.streams[s].data, run.streams[s].data, run.streams[s].n_bytes);
            }
            transform_run_end(&again);
        }
        transform_run_end(&run);
    }
    assert_true(n_taken > N_TRIES / 16 && n_refused > N_TRIES / 16);
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
        struct transform_run run;
        if (transform_run_plan(&run, cases[i].name, cases[i].type, 0, NULL, 100) != cases[i].status)
            fail_msg("%s, case %zu", cases[i].name, i);
    }
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
        cmocka_unit_test(moments_refuse_bits_that_forward_never_sets),
        cmocka_unit_test(zero_map_takes_only_what_it_makes),
        cmocka_unit_test(transforms_refuse_types_that_do_not_fit),
    };
    random_state = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
