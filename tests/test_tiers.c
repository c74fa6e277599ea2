/* Laws of the codec tiers beyond those of every codec: its kernels agree, its pairs are the best, its bytes are fixed. */
#include "base/checked.h"
#include "base/cpu.h"
#include "codecs/codec_registry.h"
#include "codecs/tiers/tiers_stream.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = 1 << 17, MAX_KERNELS = 8 };

static uint8_t content[MAX_BYTES];

/* Kernels that run here. */
static size_t runnable(const struct mth_tiers_kernels *out[MAX_KERNELS])
{
    const struct mth_tiers_kernels *kernels;
    size_t n = 0;
    for (size_t i = 0; (kernels = mth_tiers_kernels_at(i)) != NULL; i++) {
        if ((kernels->needs & mth_cpu_features()) == kernels->needs)
            out[n++] = kernels;
    }
    return n;
}

/* Contents that lead to tables of every kind. */
enum shape { BELL, BROAD, SKEWED, PRUNED, OUTLIERS, WRAPPED, N_SHAPES };

static uint8_t draw_bell(uint64_t *random, unsigned width, unsigned middle)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < 6; i++)
        sum += (unsigned)(pattern_random(random) % width);
    return (uint8_t)(middle + sum / 2 - 3 * (width - 1) / 2);
}

static uint8_t draw(enum shape shape, uint64_t *random)
{
    uint64_t r = pattern_random(random);
    switch (shape) {
    case BELL:
        return draw_bell(random, 5, 120);
    case BROAD:
        return draw_bell(random, 12, 120);
    case SKEWED:
        return (uint8_t)(r % 8 ? 127 : 120 + r / 8 % 8);
    case PRUNED:
        return r % 3 ? 0 : draw_bell(random, 6, 120);
    case OUTLIERS:
        return r % 100 ? draw_bell(random, 5, 120) : (uint8_t)(r / 100);
    default:
        return draw_bell(random, 4, 0);
    }
}

static void fill_shape(enum shape shape, uint64_t seed, uint8_t *out, size_t n)
{
    uint64_t random = seed + 1;
    for (size_t i = 0; i < n; i++)
        out[i] = draw(shape, &random);
}

static void build_for(enum shape shape, uint64_t seed, struct mth_tiers_table *table, uint32_t counts[256])
{
    enum { N = 20000 };
    memset(counts, 0, 256 * sizeof *counts);
    memset(table, 0, sizeof *table);
    fill_shape(shape, seed, content, N);
    for (size_t i = 0; i < N; i++)
        counts[content[i]]++;
    unsigned mode = 0;
    for (unsigned v = 1; v < 256; v++)
        mode = counts[v] > counts[mode] ? v : mode;
    mth_tiers_table_build(counts, N, (uint8_t)mode, table);
}

static bool has_rank(const struct mth_tiers_table *table, uint8_t byte)
{
    return memchr(table->value, byte, MTH_TIERS_RANKS) != NULL;
}

/* ---- kernels ---- */

/* What a kernel makes of a piece, in guarded places of just the size. */
struct coded {
    size_t n_low, n_high, n_rest, n_room;
    uint8_t *low, *high, *rest_room;
};

static struct coded coded_open(size_t n_vecs)
{
    struct coded coded = {.n_low = mth_tiers_low_bytes(n_vecs),
                          .n_high = mth_tiers_high_bytes(n_vecs),
                          .n_room = n_vecs * MTH_TIERS_VEC + MTH_TIERS_SLACK};
    coded.low = guard_alloc(coded.n_low);
    coded.high = guard_alloc(coded.n_high);
    coded.rest_room = guard_alloc(coded.n_room);
    memset(coded.low, 0x5a, coded.n_low);
    memset(coded.high, 0x5a, coded.n_high);
    return coded;
}

static void coded_close(struct coded *coded)
{
    guard_free(coded->low, coded->n_low);
    guard_free(coded->high, coded->n_high);
    guard_free(coded->rest_room, coded->n_room);
}

static const uint8_t *rest_of(const struct coded *coded)
{
    return coded->rest_room + coded->n_room - coded->n_rest;
}

/* What codes a piece: a first tier of codes, one of flags, a second tier. */
enum way { FIRST, FLAGS, SECOND, N_WAYS };

static void encode_with(const struct mth_tiers_kernels *kernels, enum way way,
                        const struct mth_tiers_table *table, const uint8_t *src, size_t n_vecs,
                        struct coded *coded)
{
    struct mth_tiers_codes codes = {coded->low, coded->high};
    uint8_t *end = coded->rest_room + coded->n_room;
    if (way == FIRST)
        coded->n_rest = kernels->encode_bytes(table, src, n_vecs, codes, end);
    else if (way == FLAGS)
        coded->n_rest = kernels->encode_flags(table, src, n_vecs, codes, end);
    else
        coded->n_rest = kernels->encode_pairs(&table->tiers[1], src, n_vecs, codes, end);
}

/* The rest lies where decoders want it: with all pairs and the slack behind its begin. */
static size_t decode_with(const struct mth_tiers_kernels *kernels, enum way way,
                          const struct mth_tiers_table *table, const struct coded *coded, size_t n_vecs,
                          uint8_t *dst)
{
    struct mth_tiers_source codes = {coded->low, coded->high};
    uint8_t *rest = guard_alloc(coded->n_room);
    size_t taken;
    memset(rest, 0, coded->n_room);
    memcpy(rest, rest_of(coded), coded->n_rest);
    if (way == FIRST)
        taken = kernels->decode_bytes(table, codes, n_vecs, rest, dst);
    else if (way == FLAGS)
        taken = kernels->decode_flags(table, codes, n_vecs, rest, dst);
    else
        taken = kernels->decode_pairs(&table->tiers[1], codes, n_vecs, rest, dst);
    guard_free(rest, coded->n_room);
    return taken;
}

static void assert_decoded(enum way way, const struct mth_tiers_table *table, const uint8_t *dst,
                           const uint8_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool is_lost = way != SECOND && !has_rank(table, src[i]);
        assert_int_equal(dst[i], is_lost ? table->value[0] : src[i]);
    }
}

/* A pair that the first tier leaves to the second one. */
static uint8_t left_by_first(const struct mth_tiers_table *table, uint8_t byte)
{
    uint8_t pair = (uint8_t)(byte * 7);
    return pair >> 4 < table->tiers[0].end[pair & 15] ? MTH_TIERS_REST_PAIR : pair;
}

static const size_t vec_counts[] = {0, 1, 2, 3, 7, 8, 9, 15, 16, 64};
enum { N_VEC_COUNTS = sizeof vec_counts / sizeof vec_counts[0] };

static void kernels_write_the_same_bytes_and_read_each_other(void **state)
{
    (void)state;
    const struct mth_tiers_kernels *kernels[MAX_KERNELS];
    size_t n_kernels = runnable(kernels);
    for (int trial = 0; trial < N_SHAPES * N_WAYS * N_VEC_COUNTS; trial++) {
        enum way way = (enum way)(trial % N_WAYS);
        enum shape shape = (enum shape)(trial / N_WAYS % N_SHAPES);
        size_t n_vecs = vec_counts[trial / N_WAYS / N_SHAPES];
        size_t n = n_vecs * (way == SECOND ? MTH_TIERS_VEC : MTH_TIERS_VEC_BYTES);
        struct mth_tiers_table table;
        uint32_t counts[256];
        build_for(shape, 7, &table, counts);
        uint8_t *src = guard_alloc(n), *dst = guard_alloc(n);
        memcpy(src, content, n);
        for (size_t i = 0; way == SECOND && i < n; i++)
            src[i] = left_by_first(&table, src[i]);
        struct coded first = coded_open(n_vecs);
        encode_with(kernels[0], way, &table, src, n_vecs, &first);
        for (size_t k = 0; k < n_kernels; k++) {
            struct coded coded = coded_open(n_vecs);
            encode_with(kernels[k], way, &table, src, n_vecs, &coded);
            assert_int_equal(coded.n_rest, first.n_rest);
            assert_memory_equal(coded.low, first.low, coded.n_low);
            assert_memory_equal(coded.high, first.high, coded.n_high);
            assert_memory_equal(rest_of(&coded), rest_of(&first), coded.n_rest);
            coded_close(&first);
            first = coded;
            memset(dst, 0x5a, n);
            assert_int_equal(decode_with(kernels[k], way, &table, &first, n_vecs, dst), first.n_rest);
            assert_decoded(way, &table, dst, src, n);
        }
        coded_close(&first);
        guard_free(src, n);
        guard_free(dst, n);
    }
}

static void kernels_find_the_same_places(void **state)
{
    (void)state;
    enum { MAX_N = 300 };
    const struct mth_tiers_kernels *kernels[MAX_KERNELS];
    size_t n_kernels = runnable(kernels), n_all = 0;
    for (int trial = 0; trial < N_SHAPES * MAX_N; trial++) {
        size_t n = (size_t)(trial % MAX_N), expected = 0;
        struct mth_tiers_table table;
        uint32_t counts[256];
        if (n % 16 == 0)
            build_for((enum shape)(trial / MAX_N), 9, &table, counts);
        uint8_t *src = guard_alloc(n);
        memcpy(src, content + 1000, n);
        for (size_t i = 0; i < n; i++)
            expected += !has_rank(&table, src[i]);
        for (size_t k = 0; k < n_kernels; k++) {
            uint8_t *room = guard_alloc(2 * n);
            uint16_t *places = (void *)room;
            assert_int_equal(kernels[k]->find_unranked(&table, src, n, 500, places), expected);
            for (size_t i = 0; i < expected; i++) {
                assert_true(places[i] >= 500 && places[i] - 500u < n &&
                            (i == 0 || places[i - 1] < places[i]));
                assert_false(has_rank(&table, src[places[i] - 500]));
            }
            guard_free(room, 2 * n);
        }
        n_all += expected;
        guard_free(src, n);
    }
    assert_true(n_all > 1000);
}

/* Whatever codes and rests are, decoders stay where they may be. */
static void any_codes_decode_safely(void **state)
{
    (void)state;
    const struct mth_tiers_kernels *kernels[MAX_KERNELS];
    size_t n_kernels = runnable(kernels);
    for (uint64_t trial = 0; trial < 600; trial++) {
        size_t n_vecs = vec_counts[trial % N_VEC_COUNTS], n = n_vecs * MTH_TIERS_VEC_BYTES;
        struct mth_tiers_table table;
        uint32_t counts[256];
        struct coded coded = coded_open(n_vecs);
        uint8_t *dst[2] = {guard_alloc(n), guard_alloc(n)};
        build_for((enum shape)(trial % N_SHAPES), trial, &table, counts);
        pattern_fill(PATTERN_RANDOM, trial, coded.rest_room, coded.n_room);
        if (trial % 5 == 0) {
            memset(coded.low, 0xff, coded.n_low); /* all are of the rest */
            memset(coded.high, 0xff, coded.n_high);
        } else {
            pattern_fill(PATTERN_RANDOM, trial + 1, coded.low, coded.n_low);
            pattern_fill(PATTERN_RANDOM, trial + 2, coded.high, coded.n_high);
        }
        coded.n_rest = coded.n_room;
        for (int way = 0; way < N_WAYS; way++) {
            size_t taken[2] = {0};
            for (size_t k = 0; k < n_kernels; k++) {
                memset(dst[k > 0], 0, n);
                taken[k > 0] = decode_with(kernels[k], (enum way)way, &table, &coded, n_vecs, dst[k > 0]);
                assert_int_equal(taken[k > 0], taken[0]);
                assert_memory_equal(dst[k > 0], dst[0], n);
            }
        }
        guard_free(dst[0], n);
        guard_free(dst[1], n);
        coded_close(&coded);
    }
}

/* ---- tables ---- */

/* No pair without a code is more frequent than one with, and the second tier has the best of what the first one leaves. */
static void pairs_with_codes_are_the_most_frequent(void **state)
{
    (void)state;
    size_t n_flagged = 0, n_far = 0;
    for (uint64_t trial = 0; trial < 60; trial++) {
        struct mth_tiers_table table;
        uint32_t counts[256];
        build_for((enum shape)(trial % N_SHAPES), trial, &table, counts);
        n_flagged += table.has_flags;
        n_far += table.has_far;
        uint64_t least[2] = {UINT64_MAX, UINT64_MAX}, most[2] = {0};
        for (unsigned pair = 0; pair < 256; pair++) {
            unsigned a = pair & 15, b = pair >> 4;
            if (a == 15 || b == 15)
                continue;
            uint64_t product = (uint64_t)counts[table.value[a]] * counts[table.value[b]];
            unsigned tier = b < table.tiers[0].end[a] ? 0 : b < table.tiers[1].end[a] ? 1 : 2;
            for (unsigned t = 0; t < 2; t++) {
                if (tier == t && product < least[t])
                    least[t] = product;
                if (tier > t && product > most[t])
                    most[t] = product;
            }
        }
        assert_true(least[0] >= most[0] && least[1] >= most[1]);
        for (unsigned r = 1; r < MTH_TIERS_RANKS; r++)
            assert_true(counts[table.value[r - 1]] >= counts[table.value[r]]);
    }
    assert_true(n_flagged > 5 && n_flagged < 55 && n_far > 5 && n_far < 55);
}

static void tables_come_back_from_their_bytes(void **state)
{
    (void)state;
    for (uint64_t trial = 0; trial < 60; trial++) {
        struct mth_tiers_table table, back;
        uint32_t counts[256];
        uint8_t wire[MTH_TIERS_WIRE_BYTES];
        build_for((enum shape)(trial % N_SHAPES), trial, &table, counts);
        mth_tiers_table_write(&table, wire);
        assert_int_equal(mth_tiers_table_read(wire, table.has_flags, &back), MTH_OK);
        assert_memory_equal(table.value, back.value, sizeof table.value);
        for (unsigned t = 0; t < 2; t++)
            assert_memory_equal(table.tiers[t].pair, back.tiers[t].pair, sizeof table.tiers[t].pair);
    }
}

static void hostile_tables_are_refused(void **state)
{
    (void)state;
    uint8_t wire[MTH_TIERS_WIRE_BYTES] = {0};
    struct mth_tiers_table table;
    uint8_t *ends = wire + MTH_TIERS_RANKS;
    assert_int_equal(mth_tiers_table_read(wire, false, &table), MTH_OK); /* no pair has a code */
    assert_int_equal(mth_tiers_table_read(wire, true, &table), MTH_ERR_CORRUPT);
    ends[0] = ends[1] = 0xff;
    ends[2] = 0xf1;
    assert_int_equal(mth_tiers_table_read(wire, false, &table), MTH_OK); /* 31 and 14 pairs */
    ends[3] = 0xf1;
    assert_int_equal(mth_tiers_table_read(wire, false, &table), MTH_ERR_CORRUPT); /* 32 */
    ends[3] = 0xf0;
    assert_int_equal(mth_tiers_table_read(wire, false, &table), MTH_OK); /* 31 and 29 */
    ends[4] = 0x20;
    assert_int_equal(mth_tiers_table_read(wire, false, &table), MTH_OK); /* 31 and 31 */
    ends[4] = 0x30;
    assert_int_equal(mth_tiers_table_read(wire, false, &table), MTH_ERR_CORRUPT);
    ends[4] = 0x01; /* a row that ends before it begins */
    assert_int_equal(mth_tiers_table_read(wire, false, &table), MTH_ERR_CORRUPT);
    memset(ends, 0, MTH_TIERS_RANKS);
    ends[0] = 0x11;
    assert_int_equal(mth_tiers_table_read(wire, true, &table), MTH_OK);
    ends[0] = 0x22; /* flags for two pairs */
    assert_int_equal(mth_tiers_table_read(wire, true, &table), MTH_ERR_CORRUPT);
    ends[0] = 0x00;
    ends[1] = 0x11; /* for another pair */
    assert_int_equal(mth_tiers_table_read(wire, true, &table), MTH_ERR_CORRUPT);
}

/* ---- the codec ---- */

struct rig {
    const struct mth_codec *codec;
    struct mth_memory *memory;
    struct mth_tiers_state *state;
};

static struct rig open_rig(void)
{
    struct rig rig = {.codec = mth_codec_find("tiers", 5), .memory = mth_memory_create(0)};
    void *opaque;
    assert_true(rig.codec && rig.memory);
    assert_int_equal(rig.codec->create(NULL, MTH_SIDE_ENCODE | MTH_SIDE_DECODE, rig.memory, &opaque), MTH_OK);
    rig.state = opaque;
    return rig;
}

static void close_rig(struct rig *rig)
{
    rig->codec->destroy(rig->state);
    mth_memory_destroy(rig->memory);
}

static struct mth_bytes encode(struct rig *rig, const uint8_t *src, size_t n, uint8_t *out)
{
    struct mth_encode_job job = {.src = {src, n}, .dst = out, .dst_capacity = n + 1};
    assert_int_equal(rig->codec->encode(rig->state, &job), MTH_OK);
    return job.out;
}

static int decode(struct rig *rig, struct mth_bytes stream, uint8_t *dst, size_t n)
{
    struct mth_decode_job job = {.src = stream, .dst = dst, .dst_bytes = n};
    return rig->codec->decode(rig->state, &job, 1);
}

/* Encode, check that it comes back, and return the bytes, which lie in out. */
static struct mth_bytes round_trip(struct rig *rig, const uint8_t *src, size_t n, uint8_t *out)
{
    struct mth_bytes stream = encode(rig, src, n, out);
    uint8_t *dst = guard_alloc(n);
    assert_int_equal(decode(rig, stream, dst, n), MTH_OK);
    assert_memory_equal(src, dst, n);
    guard_free(dst, n);
    return stream;
}

static const size_t lengths[] = {0,    1,    2,    63,    64,    65,    129,   1000,
                                 4095, 4096, 4097, 32767, 32768, 32769, 70001, MAX_BYTES};
enum { N_LENGTHS = sizeof lengths / sizeof lengths[0] };

static void streams_are_the_same_with_any_kernels(void **state)
{
    (void)state;
    static uint8_t out[2][MAX_BYTES + 1];
    const struct mth_tiers_kernels *kernels[MAX_KERNELS];
    size_t n_kernels = runnable(kernels);
    struct rig rig = open_rig();
    for (int shape = 0; shape < N_SHAPES; shape++) {
        fill_shape((enum shape)shape, 5, content, MAX_BYTES);
        for (size_t l = 0; l < N_LENGTHS; l++) {
            struct mth_bytes streams[2] = {{0}};
            size_t n = lengths[l];
            uint8_t *dst = guard_alloc(n);
            for (size_t k = 0; k < n_kernels; k++) {
                rig.state->kernels = kernels[k];
                streams[k > 0] = encode(&rig, content, n, out[k > 0]);
                assert_int_equal(streams[k > 0].n_bytes, streams[0].n_bytes);
                assert_memory_equal(streams[k > 0].data, streams[0].data, streams[0].n_bytes);
                for (size_t other = 0; other < n_kernels; other++) {
                    rig.state->kernels = kernels[other];
                    memset(dst, 0x5a, n);
                    assert_int_equal(decode(&rig, streams[k > 0], dst, n), MTH_OK);
                    assert_memory_equal(dst, content, n);
                }
            }
            guard_free(dst, n);
        }
    }
    close_rig(&rig);
}

static void streams_get_the_form_that_fits(void **state)
{
    (void)state;
    static uint8_t out[MAX_BYTES + 1];
    struct rig rig = open_rig();
    memset(content, 77, MAX_BYTES);
    struct mth_bytes stream = round_trip(&rig, content, MAX_BYTES, out);
    assert_int_equal(stream.data[0], MTH_TIERS_CONSTANT);
    assert_int_equal(stream.n_bytes, 2);
    for (size_t i = 100; i < MAX_BYTES; i += 9999)
        content[i] = (uint8_t)i;
    assert_int_equal(round_trip(&rig, content, MAX_BYTES, out).data[0], MTH_TIERS_SPARSE);
    pattern_fill(PATTERN_RANDOM, 1, content, MAX_BYTES);
    stream = round_trip(&rig, content, MAX_BYTES, out);
    assert_int_equal(stream.data[0], MTH_TIERS_RAW);
    assert_int_equal(stream.n_bytes, MAX_BYTES + 1);
    fill_shape(BELL, 1, content, MAX_BYTES);
    assert_int_equal(round_trip(&rig, content, MAX_BYTES, out).data[0], MTH_TIERS_CODED);
    fill_shape(SKEWED, 1, content, MAX_BYTES);
    assert_int_equal(round_trip(&rig, content, MAX_BYTES, out).data[0], MTH_TIERS_FLAGGED);
    close_rig(&rig);
}

/* Of bf16, where as many bytes go raw: 97 % of the bound. */
static void trained_exponents_come_close_to_their_entropy(void **state)
{
    (void)state;
    static uint8_t out[MAX_BYTES + 1];
    uint32_t counts[256] = {0};
    double bits = 0;
    struct rig rig = open_rig();
    fill_shape(BELL, 1, content, MAX_BYTES);
    for (size_t i = 0; i < MAX_BYTES; i++)
        counts[content[i]]++;
    for (size_t v = 0; v < 256; v++)
        bits -= counts[v] ? counts[v] * log2((double)counts[v] / MAX_BYTES) : 0;
    double bound = MAX_BYTES + bits / 8;
    double size = (double)(MAX_BYTES + round_trip(&rig, content, MAX_BYTES, out).n_bytes);
    if (bound / size < 0.97)
        fail_msg("%.0f bytes, the bound is %.0f", size, bound);
    close_rig(&rig);
}

/* A sample sees few of many bytes: what it did not see is coded all the same, anywhere in a block. */
static void bytes_that_no_sample_saw_come_back(void **state)
{
    (void)state;
    static uint8_t out[MAX_BYTES + 1];
    struct rig rig = open_rig();
    fill_shape(BELL, 1, content, MAX_BYTES);
    static const size_t places[] = {0, 63, 64, 4095, 4096, 32767, 32768, 100000, MAX_BYTES - 1};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        content[places[i]] = (uint8_t)(200 + i);
    assert_int_equal(round_trip(&rig, content, MAX_BYTES, out).data[0], MTH_TIERS_CODED);
    assert_int_equal(round_trip(&rig, content, MAX_BYTES - 77, out).data[0], MTH_TIERS_CODED);
    close_rig(&rig);
}

/* ---- fixed bytes ---- */

struct golden {
    const char *name;
    uint8_t frame[512];
    size_t n_frame;
    size_t n_raw;
    uint64_t raw_hash; /* of what it decodes to: FNV-1a */
};

static uint64_t fnv(const uint8_t *p, size_t n)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void make_golden_content(const char *name, uint8_t *out, size_t n)
{
    uint64_t random = 1;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(name, "coded") == 0)
            out[i] = draw_bell(&random, 5, 120);
        else if (strcmp(name, "coded, with places") == 0)
            out[i] = i % 101 == 40 ? (uint8_t)(i + 3) : draw_bell(&random, 4, 2);
        else if (strcmp(name, "flagged") == 0)
            out[i] = pattern_random(&random) % 5 ? 9 : draw_bell(&random, 2, 10);
        else if (strcmp(name, "sparse") == 0)
            out[i] = (uint8_t)(i == 3 || i == 200 ? i : 9);
        else if (strcmp(name, "constant") == 0)
            out[i] = 127;
        else
            out[i] = (uint8_t)(i * 37);
    }
}

#include "tests/golden/tiers_frames.h"

static void frames_of_version_1_are_written_and_read(void **state)
{
    (void)state;
    struct rig rig = open_rig();
    uint8_t raw[1024], out[1025];
    for (size_t i = 0; i < sizeof golden_frames / sizeof golden_frames[0]; i++) {
        const struct golden *golden = &golden_frames[i];
        assert_int_equal(decode(&rig, (struct mth_bytes){golden->frame, golden->n_frame}, raw, golden->n_raw),
                         MTH_OK);
        if (fnv(raw, golden->n_raw) != golden->raw_hash)
            fail_msg("%s decodes to something else", golden->name);
        make_golden_content(golden->name, raw, golden->n_raw);
        struct mth_bytes stream = round_trip(&rig, raw, golden->n_raw, out);
        assert_int_equal(stream.n_bytes, golden->n_frame);
        assert_memory_equal(stream.data, golden->frame, stream.n_bytes);
    }
    close_rig(&rig);
}

/* `test_tiers --golden` prints the frames as the compiler wants them. */
static void print_golden(void)
{
    static const struct {
        const char *name;
        size_t n_raw;
    } wanted[] = {{"raw", 12},    {"constant", 300},           {"sparse", 300},
                  {"coded", 500}, {"coded, with places", 700}, {"flagged", 600}};
    struct rig rig = open_rig();
    uint8_t raw[1024], out[1025];
    printf("/* Streams of version 1, as test_tiers.c --golden prints them. */\n"
           "static const struct golden golden_frames[] = {\n");
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        make_golden_content(wanted[i].name, raw, wanted[i].n_raw);
        struct mth_bytes stream = round_trip(&rig, raw, wanted[i].n_raw, out);
        printf("    {\"%s\", {", wanted[i].name);
        for (size_t k = 0; k < stream.n_bytes; k++)
            printf("%s0x%02x", k ? ", " : "", stream.data[k]);
        printf("}, %zu, %zu, UINT64_C(0x%016llx)},\n", stream.n_bytes, wanted[i].n_raw,
               (unsigned long long)fnv(raw, wanted[i].n_raw));
    }
    printf("};\n");
    close_rig(&rig);
}

/* The example of spec.md: 64 bytes, of which the first three are 7a 79 05, the others 78. */
static size_t make_example(uint8_t stream[256], uint8_t raw[64])
{
    static const uint8_t head[] = {3, 64, 0, 0, 0};
    uint8_t *at = stream;
    memset(raw, 0x78, 64);
    raw[0] = 0x7a;
    raw[1] = 0x79;
    raw[2] = 0x05;
    memset(stream, 0, 256);
    memcpy(at, head, sizeof head);
    at += sizeof head;
    memcpy(at, "\x78\x79\x7a", 3);
    at[15] = 0x21; /* (0, 0) in the first tier, (0, 1) in the second */
    at[16] = 0x10; /* (1, 0) in the second */
    at += MTH_TIERS_WIRE_BYTES;
    at[0] = 3; /* two pairs and the place's */
    at[2] = 2;
    at[4] = 1;
    at += MTH_TIERS_BLOCK_HEAD_BYTES;
    memset(at, 15, 3); /* the codes of three pairs, lower bits and highest ones */
    memset(at + 32, 0x80, 3);
    at += 64;
    memset(at, 15, 32); /* the second tier: 31, 1, 31, and padding */
    memset(at + 32, 0x80, 32);
    at[1] = 1;
    at[32 + 1] = 0;
    at += 64;
    *at++ = 0x02; /* the pair (2, 0) */
    *at++ = 0x0f; /* a pair without rank */
    *at++ = 2;    /* its place, and what it is */
    *at++ = 0;
    *at++ = 0x05;
    return (size_t)(at - stream);
}

static void the_example_of_the_spec_decodes(void **state)
{
    (void)state;
    uint8_t stream[256], raw[64], dst[64];
    size_t n = make_example(stream, raw);
    struct rig rig = open_rig();
    assert_int_equal(decode(&rig, (struct mth_bytes){stream, n}, dst, sizeof dst), MTH_OK);
    assert_memory_equal(dst, raw, sizeof raw);
    close_rig(&rig);
}

static void hostile_streams_are_refused(void **state)
{
    (void)state;
    enum { BLOCK_AT = MTH_TIERS_HEAD_BYTES + MTH_TIERS_WIRE_BYTES };
    uint8_t raw[64], dst[64], good[256], bad[256];
    size_t n = make_example(good, raw);
    static const struct {
        const char *what;
        size_t at;
        int value;
    } changes[] = {
        {"another mode", 0, 5},
        {"flags of more than a pair", 0, 4},
        {"another length", 1, 65},
        {"another length, far away", 4, 1},
        {"a row that ends before it begins", MTH_TIERS_HEAD_BYTES + MTH_TIERS_RANKS, 0x12},
        {"one pair fewer in the second tier", BLOCK_AT, 2},
        {"one pair more in the second tier", BLOCK_AT, 4},
        {"more pairs than there can be", BLOCK_AT + 1, 0xff},
        {"one pair fewer behind it", BLOCK_AT + 2, 1},
        {"one pair more behind it", BLOCK_AT + 2, 3},
        {"more pairs behind than in it", BLOCK_AT + 3, 1},
        {"no place", BLOCK_AT + 4, 0},
        {"two places", BLOCK_AT + 4, 2},
        {"a code of the first tier less", BLOCK_AT + 6 + 32, 0},
        {"a code of the first tier more", BLOCK_AT + 6 + 31, 15},
        {"padding with a code", BLOCK_AT + 6 + 64 + 5, 1},
        {"a place behind the end", BLOCK_AT + 6 + 128 + 2, 64},
    };
    struct rig rig = open_rig();
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        memcpy(bad, good, n);
        bad[changes[i].at] = (uint8_t)changes[i].value;
        if (strcmp(changes[i].what, "a code of the first tier more") == 0)
            bad[BLOCK_AT + 6 + 32 + 31] = 0x80;
        if (decode(&rig, (struct mth_bytes){bad, n}, dst, sizeof dst) != MTH_ERR_CORRUPT)
            fail_msg("%s passes", changes[i].what);
    }
    close_rig(&rig);
}

/* Places have to rise: a second one where the first one is would be written twice. */
static void places_that_do_not_rise_are_refused(void **state)
{
    (void)state;
    uint8_t raw[64], dst[64], stream[256];
    size_t n = make_example(stream, raw);
    struct rig rig = open_rig();
    stream[MTH_TIERS_HEAD_BYTES + MTH_TIERS_WIRE_BYTES + 4] = 2;
    static const uint8_t places[2][6] = {{2, 0, 5, 0, 0x05, 0x78}, {5, 0, 2, 0, 0x78, 0x05}};
    for (size_t i = 0; i < 2; i++) {
        memcpy(stream + n - 3, places[i], 6);
        int status = decode(&rig, (struct mth_bytes){stream, n + 3}, dst, sizeof dst);
        assert_int_equal(status, i == 0 ? MTH_OK : MTH_ERR_CORRUPT);
        if (i == 0)
            assert_memory_equal(dst, raw, sizeof raw);
    }
    close_rig(&rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_write_the_same_bytes_and_read_each_other),
        cmocka_unit_test(kernels_find_the_same_places),
        cmocka_unit_test(any_codes_decode_safely),
        cmocka_unit_test(pairs_with_codes_are_the_most_frequent),
        cmocka_unit_test(tables_come_back_from_their_bytes),
        cmocka_unit_test(hostile_tables_are_refused),
        cmocka_unit_test(streams_are_the_same_with_any_kernels),
        cmocka_unit_test(streams_get_the_form_that_fits),
        cmocka_unit_test(trained_exponents_come_close_to_their_entropy),
        cmocka_unit_test(bytes_that_no_sample_saw_come_back),
        cmocka_unit_test(frames_of_version_1_are_written_and_read),
        cmocka_unit_test(the_example_of_the_spec_decodes),
        cmocka_unit_test(hostile_streams_are_refused),
        cmocka_unit_test(places_that_do_not_rise_are_refused),
    };
    if (argc > 1 && strcmp(argv[1], "--golden") == 0) {
        print_golden();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
