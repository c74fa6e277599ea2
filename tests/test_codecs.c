/*
 * Every law of the conformance suite on every registered codec, the example plug-in's included, and what is special
 * about single ones. A test's name is codec and law: "lz4 round_trips_every_small_size". With arguments, only tests
 * whose name contains the first one are run.
 */
#include "codecs/block_cache.h"
#include "codecs/codec_registry.h"
#include "pipeline/mithril.h"
#include "tests/support/codec_conformance.h"
#include "tests/support/codec_rig.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"

#include "base/checked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_TESTS = 2048, NAME_BYTES = 96, MAX_PATH_BYTES = 4096 };

/* ---- the suite ---- */

struct pair {
    const struct mth_codec *codec;
    const struct conformance_law *law;
    char name[NAME_BYTES];
};

static struct pair pairs[MAX_TESTS];
static struct CMUnitTest tests[MAX_TESTS];
static size_t n_tests;

static void run_pair(void **state)
{
    const struct pair *pair = *state;
    pair->law->check(pair->codec);
}

static void add_pair(const struct mth_codec *codec, const struct conformance_law *law)
{
    if (n_tests == MAX_TESTS)
        abort();
    struct pair *pair = &pairs[n_tests];
    pair->codec = codec;
    pair->law = law;
    snprintf(pair->name, sizeof pair->name, "%s %s", codec->name, law->name);
    tests[n_tests++] = (struct CMUnitTest){pair->name, run_pair, NULL, NULL, pair};
}

/* ---- single codecs ---- */

static uint8_t reference[1 << 16], stream[1 << 16];

static struct codec_rig open_with(const char *codec, const char *option, int64_t value)
{
    const struct mth_codec *found = mth_codec_find(codec, strlen(codec));
    assert_non_null(found);
    for (size_t set = 0; set < rig_n_sets(found); set++) {
        struct codec_rig rig;
        if (!rig_open(&rig, found, set))
            continue;
        for (size_t i = 0; i < found->n_options; i++) {
            if (strcmp(found->options[i].name, option) == 0 && rig.options[i] == value)
                return rig;
        }
        rig_close(&rig);
    }
    fail_msg("%s has no %s=%d", codec, option, (int)value);
    abort();
}

static void zstd_finds_the_reference(void **state)
{
    (void)state;
    struct codec_rig rig = open_with("zstd", "prefix", 1);
    pattern_fill(PATTERN_RANDOM, 1, reference, sizeof reference);
    memcpy(stream, reference, sizeof stream);
    stream[1000] ^= 1;
    size_t without = rig_round_trip(&rig, stream, sizeof stream);
    rig.context = (struct mth_bytes){reference, sizeof reference};
    size_t with = rig_round_trip(&rig, stream, sizeof stream);
    assert_true(without >= sizeof stream);
    assert_true(with < sizeof stream / 100);
    rig_close(&rig);
}

/* The largest dictionary is 64 MiB, for which liblzma would allocate 674 MiB. */
static void xz_takes_memory_for_its_stream_not_for_its_preset(void **state)
{
    (void)state;
    struct codec_rig rig = open_with("xz", "level", 9);
    pattern_fill(PATTERN_EXPONENT, 1, stream, sizeof stream);
    rig_round_trip(&rig, stream, sizeof stream);
    assert_true(mth_memory_peak(rig.memory) < 8u << 20);
    rig_close(&rig);
}

/* What a header asks for is paid only as far as the stream can need it. */
static void xz_refuses_a_dictionary_larger_than_the_stream(void **state)
{
    (void)state;
    struct codec_rig small = open_with("xz", "level", 9), large;
    rig_clone(&large, &small);
    static uint8_t zeros[8 << 20];
    struct encoded encoded = rig_encode(&large, zeros, sizeof zeros);
    uint8_t *dst = guard_alloc(100);
    /* The header asks for 8 MiB where 100 bytes are to come out. */
    assert_int_equal(rig_decode(&small, encoded.data, encoded.n_bytes, dst, 100, 0), MTH_ERR_CORRUPT);
    assert_true(mth_memory_peak(small.memory) < 1u << 20);
    guard_free(dst, 100);
    encoded_free(&encoded);
    rig_close(&large);
    rig_close(&small);
}

static bool has_codec(const char *name)
{
    return mth_codec_find(name, strlen(name)) != NULL;
}

/* What a coder that computes with floats may lose: -0 among zeros, NaNs beside numbers, denormals. */
static void zfp_gives_every_bit_pattern_back(void **state)
{
    (void)state;
    static const uint32_t bits[] = {0x00000000, 0x80000000, 0x00000001, 0x3f800000, 0x7f7fffff,
                                    0x7f800000, 0x7fc00001, 0xff800001, 0xc2f6e979, 0x00800000};
    enum { N_BITS = sizeof bits / sizeof bits[0] };
    if (!has_codec("zfp"))
        skip();
    struct codec_rig rig;
    assert_true(rig_open(&rig, mth_codec_find("zfp", 3), 0));
    /* Every row of four, which is zfp's block. */
    for (size_t row = 0; row < N_BITS * N_BITS * N_BITS * N_BITS; row++) {
        uint8_t block[16];
        for (size_t i = 0, r = row; i < 4; i++, r /= N_BITS)
            mth_store32(block + 4 * i, bits[r % N_BITS]);
        memcpy(stream + row % 1024 * 16, block, 16);
        if (row % 1024 == 1023 || row % 97 == 0)
            rig_round_trip(&rig, stream, (row % 1024 + 1) * 16);
    }
    for (size_t t = 0; t < rig_n_types; t++) {
        rig.type = rig_types[t];
        struct encoded encoded = {0};
        pattern_fill(PATTERN_RANDOM, t, stream, sizeof stream);
        if (rig_encode_into(&rig, stream, 0, 4, &encoded) == MTH_OK) {
            encoded_free(&encoded);
            rig_round_trip(&rig, stream, sizeof stream);
        }
    }
    rig_close(&rig);
}

/* Several pieces of 1 MiB, the last one of a single byte. */
static void rans4x16_codes_long_streams_in_pieces(void **state)
{
    (void)state;
    if (!has_codec("rans4x16"))
        skip();
    struct codec_rig rig;
    enum { LONG_BYTES = (2 << 20) + 1 };
    uint8_t *raw = malloc(LONG_BYTES);
    assert_non_null(raw);
    pattern_fill(PATTERN_EXPONENT, 1, raw, LONG_BYTES);
    for (size_t set = 0; set < rig_n_sets(mth_codec_find("rans4x16", 8)); set++) {
        assert_true(rig_open(&rig, mth_codec_find("rans4x16", 8), set));
        assert_true(rig_round_trip(&rig, raw, LONG_BYTES) < LONG_BYTES / 2);
        rig_close(&rig);
    }
    free(raw);
}

/* Lengths that a library counts in an int are refused, not cut. */
static void codecs_refuse_what_their_library_can_not_count(void **state)
{
    (void)state;
    const size_t two_gib = (size_t)1 << 31;
    int64_t values[MTH_MAX_OPTIONS];
    static const struct {
        const char *name;
        size_t most;
    } limits[] = {{"lz4", 0x7e000000}, {"lz4hc", 0x7e000000}, {"blosc", two_gib - 17}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (!has_codec(limits[i].name))
            continue;
        const struct mth_codec *codec = mth_codec_find(limits[i].name, strlen(limits[i].name));
        mth_option_defaults(codec->options, codec->n_options, values);
        assert_true(codec->bound(values, limits[i].most) > limits[i].most);
        assert_int_equal(codec->bound(values, limits[i].most + 1), 0);
        assert_int_equal(codec->bound(values, two_gib * 4), 0);
    }
}

static void block_cache_reuses_blocks_of_a_size(void **state)
{
    (void)state;
    struct mth_block_cache cache = {.memory = mth_memory_create(0)};
    assert_non_null(cache.memory);
    void *a = mth_block_cache_alloc(&cache, 10000), *b = mth_block_cache_alloc(&cache, 500);
    assert_true(a && b && a != b);
    mth_block_cache_free(&cache, a);
    assert_ptr_equal(mth_block_cache_alloc(&cache, 9999), a);
    mth_block_cache_free(&cache, b);
    assert_ptr_equal(mth_block_cache_alloc(&cache, 500), b);
    /* Blocks in use are given back too. */
    mth_block_cache_release(&cache);
    assert_int_equal(mth_memory_current(cache.memory), 0);
    mth_memory_destroy(cache.memory);
}

/* One block of each size in turn: what waits must not add up. */
static void block_cache_holds_little_more_than_was_in_use(void **state)
{
    (void)state;
    enum { MOST_BYTES = 1 << 20 };
    struct mth_block_cache cache = {.memory = mth_memory_create(0)};
    assert_non_null(cache.memory);
    for (size_t n = MOST_BYTES; n > 100; n -= n / 7) {
        void *block = mth_block_cache_alloc(&cache, n);
        assert_non_null(block);
        memset(block, 0x5a, n);
        mth_block_cache_free(&cache, block);
        assert_true(mth_memory_current(cache.memory) <= MOST_BYTES + MOST_BYTES / 8 + 4096);
    }
    mth_block_cache_release(&cache);
    mth_memory_destroy(cache.memory);
}

static void block_cache_refuses_more_blocks_than_it_can_remember(void **state)
{
    (void)state;
    struct mth_block_cache cache = {.memory = mth_memory_create(0)};
    assert_non_null(cache.memory);
    for (size_t i = 0; i < MTH_BLOCK_CACHE_SLOTS; i++)
        assert_non_null(mth_block_cache_alloc(&cache, 100 * i));
    assert_null(mth_block_cache_alloc(&cache, 1));
    mth_block_cache_release(&cache);
    assert_int_equal(mth_memory_current(cache.memory), 0);
    mth_memory_destroy(cache.memory);
}

static const struct CMUnitTest single[] = {
    cmocka_unit_test(block_cache_reuses_blocks_of_a_size),
    cmocka_unit_test(block_cache_holds_little_more_than_was_in_use),
    cmocka_unit_test(block_cache_refuses_more_blocks_than_it_can_remember),
    cmocka_unit_test(zstd_finds_the_reference),
    cmocka_unit_test(xz_takes_memory_for_its_stream_not_for_its_preset),
    cmocka_unit_test(xz_refuses_a_dictionary_larger_than_the_stream),
    cmocka_unit_test(zfp_gives_every_bit_pattern_back),
    cmocka_unit_test(rans4x16_codes_long_streams_in_pieces),
    cmocka_unit_test(codecs_refuse_what_their_library_can_not_count),
};

/* build/examples/plugin_range0.so, beside the build/tests/test_codecs that runs. */
static int load_example(const char *program)
{
    char path[MAX_PATH_BYTES];
    struct mth_error err;
    const char *slash = strrchr(program, '/');
    snprintf(path, sizeof path, "%.*s../examples/plugin_range0.so", slash ? (int)(slash - program + 1) : 0,
             program);
    if (mth_plugin_load(path, &err)) {
        fprintf(stderr, "test_codecs: %s\n", err.text);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (load_example(argv[0]))
        return 1;
    const struct mth_codec *codec;
    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
        for (size_t k = 0; k < conformance_n_laws; k++) {
            if (conformance_applies(&conformance_laws[k], codec))
                add_pair(codec, &conformance_laws[k]);
        }
    }
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        tests[n_tests++] = single[i];
    size_t n_kept = 0;
    for (size_t i = 0; i < n_tests; i++) {
        if (argc < 2 || strstr(tests[i].name, argv[1]))
            tests[n_kept++] = tests[i];
    }
    return _cmocka_run_group_tests("codecs", tests, n_kept, NULL, NULL);
}
