/* ulp-rans: its tables come back from their bytes, and its bytes are fixed. */
#include "codecs/ulp_rans/ulp_bits.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "tests/support/ulp_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- tables ---- */

/* Bytes that come near a table. */
static size_t draw_table(uint64_t *random, bool has_shifts, uint8_t *wire)
{
    size_t n = 4;
    uint64_t r = pattern_random(random);
    uint16_t used = (uint16_t)(r & r >> 16 & 0xffff);
    memcpy(wire, (const uint8_t[]){(uint8_t)(r >> 40), 0, (uint8_t)used, (uint8_t)(used >> 8)}, 4);
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        if (!(used >> c & 1))
            continue;
        r = pattern_random(random);
        uint16_t mask = (uint16_t)((r & r >> 16 & 0xffff) | (r >> 32 & 0x3f ? 1 : 0));
        wire[n++] = (uint8_t)(r >> 48 & 0xff);
        if (has_shifts)
            wire[n++] = (uint8_t)(r >> 56 & 0x3f);
        wire[n++] = (uint8_t)mask;
        wire[n++] = (uint8_t)(mask >> 8);
        for (size_t s = 0; mask >> s > 1; s++) {
            if (mask >> s & 1)
                wire[n++] = (uint8_t)(1 + pattern_random(random) % 40);
        }
    }
    return n;
}

static void tables_that_read_are_written_as_they_were(void **state)
{
    (void)state;
    uint64_t random = 3;
    size_t n_read = 0;
    for (size_t trial = 0; trial < 8000; trial++) {
        uint8_t wire[MTH_ULP_TABLE_BYTES], again[MTH_ULP_TABLE_BYTES];
        bool has_shifts = trial % 2;
        size_t n = draw_table(&random, has_shifts, wire);
        uint8_t *guarded = guard_alloc(n);
        memcpy(guarded, wire, n);
        struct mth_reader reader = {.at = guarded, .end = guarded + n};
        struct mth_ulp_table table;
        if (mth_ulp_table_read(&reader, has_shifts, &table)) {
            n_read++;
            assert_ptr_equal(reader.at, reader.end);
            assert_int_equal(mth_ulp_table_write(&table, has_shifts, again), n);
            assert_memory_equal(again, wire, n);
            /* A byte less is no table. */
            reader = (struct mth_reader){.at = guarded, .end = guarded + n - 1};
            assert_false(mth_ulp_table_read(&reader, has_shifts, &table));
        }
        guard_free(guarded, n);
    }
    assert_true(n_read > 500);
}

/* What a table holds, whatever its bytes were; starts and bounds follow from it. */
static void assert_same_table(const struct mth_ulp_table *a, const struct mth_ulp_table *b)
{
    assert_int_equal(a->top, b->top);
    assert_int_equal(a->used, b->used);
    assert_memory_equal(a->changed, b->changed, sizeof a->changed);
    assert_memory_equal(a->shift, b->shift, sizeof a->shift);
    assert_memory_equal(a->freq, b->freq, sizeof a->freq);
    assert_memory_equal(a->bound, b->bound, sizeof a->bound);
    assert_int_equal(a->n_symbols, b->n_symbols);
}

static void packed_tables_come_back(void **state)
{
    (void)state;
    uint64_t random = 5;
    size_t n_read = 0;
    for (size_t trial = 0; trial < 8000; trial++) {
        uint8_t wire[MTH_ULP_TABLE_BYTES], packed[MTH_ULP_PACKED_TABLE_BYTES];
        bool has_shifts = trial % 2;
        struct mth_reader reader = {.at = wire, .end = wire + draw_table(&random, has_shifts, wire)};
        struct mth_ulp_table table, again;
        if (!mth_ulp_table_read(&reader, has_shifts, &table))
            continue;
        n_read++;
        size_t n = mth_ulp_table_pack(&table, has_shifts, packed);
        assert_true(n <= sizeof packed);
        uint8_t *guarded = guard_alloc(n);
        memcpy(guarded, packed, n);
        reader = (struct mth_reader){.at = guarded, .end = guarded + n};
        assert_true(mth_ulp_table_unpack(&reader, has_shifts, &again));
        assert_ptr_equal(reader.at, reader.end);
        assert_same_table(&table, &again);
        reader = (struct mth_reader){.at = guarded, .end = guarded + n - 1};
        assert_false(mth_ulp_table_unpack(&reader, has_shifts, &again));
        /* Whatever the bytes say: refused, or a table that packs to just these. */
        guarded[pattern_random(&random) % n] ^= (uint8_t)(1u << pattern_random(&random) % 8);
        reader = (struct mth_reader){.at = guarded, .end = guarded + n};
        if (mth_ulp_table_unpack(&reader, has_shifts, &again)) {
            size_t n_again = mth_ulp_table_pack(&again, has_shifts, packed);
            assert_int_equal(n_again, reader.at - guarded);
            assert_memory_equal(packed, guarded, n_again);
        }
        guard_free(guarded, n);
    }
    assert_true(n_read > 500);
}

static void wrong_tables_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t n, wire[12];
        bool has_shifts, is_table;
        const char *what;
    } tables[] = {
        {4, {0, 0, 0, 0}, false, true, "of no context"},
        {7, {255, 255, 1, 0, 1, 1, 0}, false, true, "of one symbol"},
        {7, {0, 0, 1, 0, 0, 1, 0}, false, false, "of a context that never changes"},
        {7, {0, 0, 1, 0, 1, 0, 0}, false, false, "without symbols"},
        {7, {0, 0, 1, 0, 1, 2, 0}, false, false, "without the symbol 0"},
        {8, {0, 0, 0, 128, 255, 1, 128, 255}, false, true, "of the last context and the last symbol"},
        {8, {0, 0, 1, 0, 1, 3, 0, 0}, false, false, "with a frequency of 0"},
        {9, {0, 0, 1, 0, 1, 7, 0, 128, 127}, false, true, "of 256 slots"},
        {9, {0, 0, 1, 0, 1, 7, 0, 128, 128}, false, false, "with nothing left for the last symbol"},
        {9, {0, 0, 1, 0, 1, 7, 0, 255, 255}, false, false, "of more than 256 slots"},
        {8, {0, 0, 1, 0, 1, 63, 1, 0}, true, true, "with the longest shift"},
        {8, {0, 0, 1, 0, 1, 64, 1, 0}, true, false, "with a longer shift"},
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        struct mth_reader reader = {.at = tables[i].wire, .end = tables[i].wire + tables[i].n};
        struct mth_ulp_table table;
        if (mth_ulp_table_read(&reader, tables[i].has_shifts, &table) != tables[i].is_table)
            fail_msg("a table %s", tables[i].what);
    }
}

/* However long a number's prefix is said to be: none is longer than what any field needs, so that each has one code and fits its variable. */
static void packed_numbers_have_one_code(void **state)
{
    (void)state;
    for (unsigned n_ones = 0; n_ones < 56; n_ones++) {
        uint8_t packed[32] = {0};
        struct mth_ulp_bit_writer writer = {.at = packed, .end = packed + sizeof packed};
        struct mth_ulp_table table;
        mth_ulp_put_bits(&writer, 0, 11);
        mth_ulp_put_bits(&writer, 1, MTH_ULP_CONTEXTS);
        for (unsigned i = 0; i < n_ones; i++)
            mth_ulp_put_bits(&writer, 1, 1);
        mth_ulp_put_bits(&writer, 0, 1);
        /* 2 bits and as many as the prefix says, all zero; then no symbols but 0. */
        for (unsigned i = 0; i < 2 + n_ones + 4; i++)
            mth_ulp_put_bits(&writer, 0, 1);
        mth_ulp_end_bits(&writer);
        struct mth_reader reader = {.at = packed, .end = writer.at};
        /* 4 (2^n - 1), folded, is twice as much as what is added to 1 expected. */
        assert_int_equal(mth_ulp_table_unpack(&reader, false, &table), n_ones < 8);
        assert_true(n_ones >= 8 || table.changed[0] == 1 + 2 * ((1u << n_ones) - 1));
    }
}

/* Contexts and states that are anything, with tables that read: the end of the bytes is found, nothing else is touched. */
static void any_table_that_reads_decodes_safely(void **state)
{
    (void)state;
    enum { N_GROUPS = 30, N = N_GROUPS * MTH_ULP_GROUP, N_IN = 300 };
    const struct mth_ulp_kernels *kernels[ULP_MAX_KERNELS];
    size_t n_kernels = ulp_runnable(kernels);
    uint64_t random = 4;
    uint8_t *in = guard_alloc(N_IN), *symbols = guard_alloc(N), *contexts = guard_alloc(N);
    for (size_t trial = 0; trial < 3000; trial++) {
        uint8_t wire[MTH_ULP_TABLE_BYTES];
        struct mth_reader bytes = {.at = wire, .end = wire + draw_table(&random, false, wire)};
        struct mth_ulp_table table;
        if (!mth_ulp_table_read(&bytes, false, &table))
            continue;
        pattern_fill(PATTERN_RANDOM, trial, in, N_IN);
        for (size_t i = 0; i < N; i++)
            contexts[i] = (uint8_t)(pattern_random(&random) % MTH_ULP_CONTEXTS);
        uint32_t masks[2][N_GROUPS];
        const uint8_t *ends[2] = {NULL, NULL};
        for (size_t k = 0; k < n_kernels; k++) {
            struct mth_rans_reader reader = {.in = in, .end = in + N_IN};
            size_t n_lanes = trial % 2 ? 64 : 128;
            mth_rans_lanes_init(&reader.lanes, n_lanes);
            pattern_fill(PATTERN_RANDOM, trial, reader.lanes.low, n_lanes);
            bool good =
                mth_ulp_decode_flags(kernels[k], &table, &reader, contexts, 0, N_GROUPS, masks[k > 0]);
            assert_true(reader.in <= reader.end);
            const uint8_t *end = good ? reader.in : NULL;
            if (k == 0) {
                memcpy(masks[1], masks[0], sizeof masks[0]);
                ends[0] = end;
            }
            assert_ptr_equal(end, ends[0]);
            assert_true(!good || memcmp(masks[0], masks[k > 0], sizeof masks[0]) == 0);
            reader.in = in;
            reader.lanes.n_lanes = 64;
            mth_ulp_decode_symbols(kernels[k], &table, &reader, contexts, N, symbols);
            assert_true(reader.in <= reader.end);
        }
    }
    guard_free(in, N_IN);
    guard_free(symbols, N);
    guard_free(contexts, N);
}

/* ---- fixed bytes ---- */

struct golden {
    const char *name;
    enum mth_dtype dtype;
    size_t n_elems;
    uint64_t raw_hash; /* FNV-1a of what it decodes to */
    size_t n_frame;
    uint8_t frame[1024];
};

/* What encoders write, and what they wrote when signs were not in states yet, and tables not packed. */
#include "tests/golden/ulp_frames.h"
#include "tests/golden/ulp_frames_before.h"

enum {
    N_GOLDEN = sizeof golden_frames / sizeof golden_frames[0],
    N_BEFORE = sizeof golden_frames_before / sizeof golden_frames_before[0],
    GOLDEN_BYTES = 1 << 14
};

static uint64_t fnv(const uint8_t *p, size_t n)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* A base of numbers in five binades, or any integers, and elements that moved as the name of the frame says. */
static void make_golden(const struct golden *golden, uint8_t *src, uint8_t *base)
{
    struct mth_ulp_format format = ulp_format(golden->dtype);
    unsigned bits = format.lane_bits;
    for (size_t i = 0; i < golden->n_elems; i++) {
        uint64_t random = i, r = pattern_random(&random), b = r & UINT64_MAX >> (64 - bits), step = 0;
        if (format.exponent_bits) {
            uint64_t exponent = ((uint64_t)1 << (format.exponent_bits - 1)) - 2 - r % 5;
            b = (r >> 63) << (bits - 1) | exponent << format.mantissa_bits |
                (r >> 8 & (((uint64_t)1 << format.mantissa_bits) - 1));
        }
        if (strcmp(golden->name, "few steps") == 0)
            step = r % 6 == 0 ? 1 + (r >> 20) % 12 : 0;
        else if (strcmp(golden->name, "many") == 0)
            step = r % 64 != 0;
        else if (strcmp(golden->name, "long steps") == 0)
            step = r % 4 == 0 ? (uint64_t)1 << (r >> 20) % bits : 0;
        else if (strcmp(golden->name, "rows") == 0)
            step = i / 256 % 8 == 3 && r % 3 == 0 ? 1 : 0;
        else if (strcmp(golden->name, "raw") == 0)
            step = r >> 3 | 1;
        ulp_store(base + i * (bits / 8), b, bits);
        ulp_store(src + i * (bits / 8), ulp_move(&format, b, r >> 62 & 1 ? step : 0 - step), bits);
    }
}

static void check_golden(const struct golden *frames, size_t n_frames, bool are_written)
{
    struct ulp_rig rig;
    static uint8_t src[GOLDEN_BYTES], base[GOLDEN_BYTES], dst[GOLDEN_BYTES];
    ulp_rig_open(&rig);
    for (size_t i = 0; i < n_frames; i++) {
        const struct golden *golden = &frames[i];
        make_golden(golden, src, base);
        size_t n = golden->n_elems * mth_dtype_lane_bytes(golden->dtype);
        if (fnv(src, n) != golden->raw_hash)
            fail_msg("%s: other elements than the frame has", golden->name);
        struct mth_context_part part = {.kind = MTH_CONTEXT_REFERENCE, .bytes = {base, n}};
        struct mth_decode_job decode = {.src = {golden->frame, golden->n_frame},
                                        .type = mth_symbol_type_of(golden->dtype),
                                        .context = {&part, 1},
                                        .dst = dst,
                                        .dst_bytes = n};
        assert_int_equal(rig.codec->decode(rig.states[0], &decode, 1), MTH_OK);
        assert_memory_equal(dst, src, n);
        if (!are_written)
            continue;
        struct ulp_stream stream = ulp_rig_code(&rig, golden->dtype, src, n, base, n);
        assert_int_equal(stream.n_coded, golden->n_frame);
        assert_memory_equal(stream.coded, golden->frame, golden->n_frame);
        ulp_stream_free(&stream);
    }
    ulp_rig_close(&rig);
}

static void frames_of_version_1_are_written_and_read(void **state)
{
    (void)state;
    check_golden(golden_frames, N_GOLDEN, true);
}

static void frames_of_before_are_read(void **state)
{
    (void)state;
    check_golden(golden_frames_before, N_BEFORE, false);
}

/* `test_ulp_frames --golden` prints the frames as the compiler wants them. */
static void print_golden(void)
{
    static const struct golden wanted[] = {
        {"raw", MTH_DTYPE_BF16, 10, 0, 0, {0}},        {"same", MTH_DTYPE_F32, 1000, 0, 0, {0}},
        {"few steps", MTH_DTYPE_BF16, 500, 0, 0, {0}}, {"few steps", MTH_DTYPE_F8_E4M3, 600, 0, 0, {0}},
        {"long steps", MTH_DTYPE_F32, 200, 0, 0, {0}}, {"long steps", MTH_DTYPE_I64, 100, 0, 0, {0}},
        {"long steps", MTH_DTYPE_F16, 300, 0, 0, {0}}, {"rows", MTH_DTYPE_BF16, 6000, 0, 0, {0}},
        {"many", MTH_DTYPE_BF16, 2100, 0, 0, {0}}};
    struct ulp_rig rig;
    static uint8_t src[GOLDEN_BYTES], base[GOLDEN_BYTES];
    ulp_rig_open(&rig);
    printf("/* Streams of version 1, as test_ulp_frames.c --golden prints them. */\n"
           "static const struct golden golden_frames[] = {\n");
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        make_golden(&wanted[i], src, base);
        size_t n = wanted[i].n_elems * mth_dtype_lane_bytes(wanted[i].dtype);
        struct ulp_stream stream = ulp_rig_code(&rig, wanted[i].dtype, src, n, base, n);
        printf("    {\"%s\", MTH_DTYPE_%s, %zu, UINT64_C(0x%016llx), %zu, {", wanted[i].name,
               mth_dtype_info(wanted[i].dtype)->name, wanted[i].n_elems, (unsigned long long)fnv(src, n),
               stream.n_coded);
        for (size_t k = 0; k < stream.n_coded; k++)
            printf("%s0x%02x", k ? ", " : "", stream.coded[k]);
        printf("}},\n");
        ulp_stream_free(&stream);
    }
    printf("};\n");
    ulp_rig_close(&rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_that_read_are_written_as_they_were),
        cmocka_unit_test(packed_tables_come_back),
        cmocka_unit_test(wrong_tables_are_refused),
        cmocka_unit_test(packed_numbers_have_one_code),
        cmocka_unit_test(any_table_that_reads_decodes_safely),
        cmocka_unit_test(frames_of_version_1_are_written_and_read),
        cmocka_unit_test(frames_of_before_are_read),
    };
    if (argc > 1 && strcmp(argv[1], "--golden") == 0) {
        print_golden();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
