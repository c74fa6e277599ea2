/* Laws of the codec rans beyond those of every codec: its kernels agree, its tables are the best, its bytes are fixed. */
#include "base/checked.h"
#include "base/cpu.h"
#include "codecs/codec_registry.h"
#include "codecs/rans/rans_quantise.h"
#include "codecs/rans/rans_shuffles.h"
#include "codecs/rans/rans_stream.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "tests/support/rans_emulated.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = 1 << 16, MAX_KERNELS = 8 };

static uint8_t content[MAX_BYTES];

/* Kernels that run here: those of this processor, and the AVX-512 source emulated. */
static size_t runnable(const struct mth_rans_narrow_kernels *out[MAX_KERNELS])
{
    const struct mth_rans_narrow_kernels *kernels;
    size_t n = 0;
    for (size_t i = 0; (kernels = mth_rans_narrow_kernels_at(i)) != NULL; i++) {
        if ((kernels->needs & mth_cpu_features()) == kernels->needs)
            out[n++] = kernels;
    }
    out[n++] = &rans_narrow_emulated;
    return n;
}

/* Contents that lead to tables of every shape. */
enum shape { BELL, BROAD, SKEWED, PRUNED, OUTLIERS, MANY_ESCAPES, CRAMPED, N_SHAPES };

static uint8_t draw_bell(uint64_t *random, unsigned width)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < 6; i++)
        sum += (unsigned)(pattern_random(random) % width);
    return (uint8_t)(120 + sum / 2 - 3 * (width - 1) / 2);
}

static uint8_t draw(enum shape shape, uint64_t *random)
{
    uint64_t r = pattern_random(random);
    switch (shape) {
    case BELL:
        return draw_bell(random, 5);
    case BROAD:
        return draw_bell(random, 15);
    case SKEWED:
        return (uint8_t)(r % 16 ? 127 : 120 + r / 16 % 8);
    case PRUNED:
        return (uint8_t)(r % 3 ? 0 : draw_bell(random, 6));
    case OUTLIERS:
        return (uint8_t)(r % 200 ? draw_bell(random, 5) : r / 200);
    case MANY_ESCAPES:
        return (uint8_t)(r % 4 ? draw_bell(random, 4) : r / 4);
    default:
        /* One large symbol, and many of one slot each: as many bounds in a cell as there can be. */
        return (uint8_t)(r % 256 < 240 ? 100 : 101 + r % 256 - 240);
    }
}

static void fill_shape(enum shape shape, uint64_t seed, uint8_t *out, size_t n)
{
    uint64_t random = seed + 1;
    for (size_t i = 0; i < n; i++)
        out[i] = draw(shape, &random);
}

static void count_all(const uint8_t *src, size_t n, uint32_t counts[256])
{
    memset(counts, 0, 256 * sizeof *counts);
    for (size_t i = 0; i < n; i++)
        counts[src[i]]++;
}

/* A stream coded without the codec around it. */
struct piece {
    uint8_t *room; /* guarded */
    size_t n_room, n_coded;
    struct mth_rans_lanes lanes;
};

static bool code(const struct mth_rans_narrow_kernels *kernels, const struct mth_rans_narrow_table *table,
                 size_t n_lanes, const uint8_t *src, size_t n, size_t n_room, struct piece *piece)
{
    piece->n_room = n_room;
    piece->room = guard_alloc(n_room);
    struct mth_rans_writer writer = {.begin = piece->room, .at = piece->room + n_room};
    mth_rans_lanes_init(&writer.lanes, n_lanes);
    bool good = mth_rans_narrow_encode(kernels, table, &writer, src, n);
    piece->lanes = writer.lanes;
    piece->n_coded = (size_t)(piece->room + n_room - writer.at);
    return good;
}

static void open_reader(const struct piece *piece, struct mth_rans_reader *reader)
{
    reader->lanes = piece->lanes;
    reader->ahead = NULL;
    reader->end = piece->room + piece->n_room;
    reader->in = reader->end - piece->n_coded;
}

/* Markers in dst stand for bytes that have no symbol. */
static void assert_decoded(const struct mth_rans_narrow_table *table, const uint8_t *dst, const uint8_t *src,
                           size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (dst[i] != src[i])
            assert_true(table->escape_freq && dst[i] == table->marker);
    }
}

static const size_t sizes[] = {0, 1, 31, 32, 33, 63, 64, 65, 127, 129, 1000, 4096, 20001};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

static void kernels_write_the_same_bytes_and_read_each_other(void **state)
{
    (void)state;
    const struct mth_rans_narrow_kernels *kernels[MAX_KERNELS];
    size_t n_kernels = runnable(kernels);
    for (int shape = 0; shape < N_SHAPES; shape++) {
        uint32_t counts[256];
        struct mth_rans_narrow_table table;
        fill_shape((enum shape)shape, 7, content, MAX_BYTES);
        count_all(content, MAX_BYTES, counts);
        assert_true(mth_rans_narrow_build(counts, false, &table));
        for (size_t n_lanes = 1; n_lanes <= MTH_RANS_MAX_LANES; n_lanes *= 2) {
            for (size_t i = 0; i < N_SIZES; i++) {
                size_t n = sizes[i];
                uint8_t *src = guard_alloc(n), *dst = guard_alloc(n);
                memcpy(src, content, n);
                struct piece first;
                assert_true(code(kernels[0], &table, n_lanes, src, n, 2 * n + 8, &first));
                for (size_t k = 0; k < n_kernels; k++) {
                    struct piece piece;
                    struct mth_rans_reader reader;
                    /* With no more room than needed, and with less. */
                    if (first.n_coded) {
                        assert_false(code(kernels[k], &table, n_lanes, src, n, first.n_coded - 1, &piece));
                        guard_free(piece.room, piece.n_room);
                    }
                    assert_true(code(kernels[k], &table, n_lanes, src, n, first.n_coded, &piece));
                    assert_int_equal(piece.n_coded, first.n_coded);
                    if (piece.n_coded)
                        assert_memory_equal(piece.room, first.room + first.n_room - first.n_coded,
                                            piece.n_coded);
                    assert_memory_equal(piece.lanes.high, first.lanes.high, n_lanes);
                    assert_memory_equal(piece.lanes.low, first.lanes.low, n_lanes);
                    guard_free(first.room, first.n_room);
                    first = piece;
                    memset(dst, 0x5a, n);
                    open_reader(&piece, &reader);
                    assert_true(mth_rans_narrow_decode(kernels[k], &table, &reader, dst, n));
                    assert_ptr_equal(reader.in, reader.end);
                    assert_true(mth_rans_lanes_at_start(&reader.lanes));
                    assert_decoded(&table, dst, src, n);
                    /* A byte less is noticed. */
                    if (piece.n_coded) {
                        open_reader(&piece, &reader);
                        reader.end--;
                        assert_false(mth_rans_narrow_decode(kernels[k], &table, &reader, dst, n) &&
                                     mth_rans_lanes_at_start(&reader.lanes));
                    }
                }
                guard_free(first.room, first.n_room);
                guard_free(src, n);
                guard_free(dst, n);
            }
        }
    }
}

/* The shapes are not all alike: the variants of the kernels that tables lead to are all reached. */
static void shapes_reach_every_variant(void **state)
{
    (void)state;
    unsigned bounds = 0, positions = 0;
    bool wide = false, far = false;
    for (int shape = 0; shape < N_SHAPES; shape++) {
        uint32_t counts[256];
        struct mth_rans_narrow_table table;
        fill_shape((enum shape)shape, 7, content, MAX_BYTES);
        count_all(content, MAX_BYTES, counts);
        assert_true(mth_rans_narrow_build(counts, false, &table));
        bounds |= 1u << table.n_bounds;
        positions |= table.n_positions;
        wide |= table.n_symbols > 16;
        far |= table.far != table.base;
    }
    assert_true(bounds >> 5); /* more than 4 */
    assert_true(bounds & 0x1f);
    assert_int_equal(positions, 16 | 32);
    assert_true(wide && far);
}

/* All kernels code n bytes in so many lanes, and restore what each other wrote. */
static void check_wide_kernels(const struct mth_rans_wide_table *table, size_t n, size_t n_lanes)
{
    enum { N_WAYS = 4, ROOM = 2 * MAX_BYTES };
    static uint8_t out[N_WAYS][ROOM], dst[MAX_BYTES];
    const struct mth_rans_wide_kernels *const ways[N_WAYS] = {
        &mth_rans_wide_portable, mth_rans_wide_kernels_for(mth_cpu_features() & MTH_CPU_AVX2),
        mth_rans_wide_kernels_for(mth_cpu_features()), &rans_wide_emulated};
    struct mth_rans_wide_writer writers[N_WAYS];
    for (size_t way = 0; way < N_WAYS; way++) {
        writers[way] = (struct mth_rans_wide_writer){.begin = out[way], .at = out[way] + ROOM};
        mth_rans_wide_lanes_init(&writers[way].lanes, n_lanes);
        assert_true(mth_rans_wide_encode(ways[way], table, &writers[way], content, n));
    }
    size_t n_out = (size_t)(out[0] + ROOM - writers[0].at);
    for (size_t way = 1; way < N_WAYS; way++) {
        assert_int_equal(out[way] + ROOM - writers[way].at, n_out);
        assert_memory_equal(writers[0].at, writers[way].at, n_out);
        assert_memory_equal(writers[0].lanes.x, writers[way].lanes.x, sizeof writers[0].lanes.x);
    }
    for (size_t way = 0; way < N_WAYS; way++) {
        struct mth_rans_wide_reader reader = {
            .lanes = writers[0].lanes, .in = writers[0].at, .end = out[0] + ROOM};
        assert_true(mth_rans_wide_decode(ways[way], table, &reader, dst, n));
        assert_true(reader.in == reader.end && mth_rans_wide_lanes_at_start(&reader.lanes));
        for (size_t i = 0; i < n; i++)
            assert_true(dst[i] == content[i] || table->escapes);
    }
    /* With one byte of room less than it takes, every way says so and writes in front of nothing. */
    for (size_t way = 0; way < N_WAYS; way++) {
        struct mth_rans_wide_writer writer = {.begin = out[0] + ROOM - n_out + 1, .at = out[0] + ROOM};
        mth_rans_wide_lanes_init(&writer.lanes, n_lanes);
        out[0][ROOM - n_out] = 0x5a;
        assert_false(mth_rans_wide_encode(ways[way], table, &writer, content, n));
        assert_int_equal(out[0][ROOM - n_out], 0x5a);
    }
}

static void wide_kernels_write_the_same_bytes_and_read_each_other(void **state)
{
    (void)state;
    static struct mth_rans_wide_table table;
    for (int shape = 0; shape < N_SHAPES; shape++) {
        for (unsigned slot_bits = MTH_RANS_MIN_SLOT_BITS; slot_bits <= MTH_RANS_MAX_SLOT_BITS; slot_bits++) {
            uint32_t counts[256] = {0};
            size_t n = MAX_BYTES - 100 * slot_bits - (size_t)shape;
            fill_shape((enum shape)shape, slot_bits, content, n);
            for (size_t i = 0; i < n; i++)
                counts[content[i]]++;
            if (!mth_rans_wide_build(counts, true, slot_bits, &table))
                continue;
            mth_rans_wide_prepare_encoder(&table);
            mth_rans_wide_prepare_decoder(&table);
            for (size_t n_lanes = MTH_RANS_WIDE_LANES; n_lanes >= 4; n_lanes /= 2)
                check_wide_kernels(&table, n, n_lanes);
        }
    }
}

static void kernels_find_the_same_escapes(void **state)
{
    (void)state;
    const struct mth_rans_narrow_kernels *kernels[MAX_KERNELS];
    size_t n_kernels = runnable(kernels);
    for (int shape = 0; shape < N_SHAPES; shape++) {
        uint32_t counts[256];
        struct mth_rans_narrow_table table;
        fill_shape((enum shape)shape, 9, content, MAX_BYTES);
        count_all(content, MAX_BYTES, counts);
        assert_true(mth_rans_narrow_build(counts, false, &table));
        for (size_t i = 0; i < N_SIZES; i++) {
            size_t n = sizes[i];
            uint8_t *src = guard_alloc(n);
            memcpy(src, content, n);
            size_t expected = kernels[0]->escapes(&table, src, n, NULL, 0);
            uint8_t *list = guard_alloc(expected), *other = guard_alloc(expected);
            assert_int_equal(kernels[0]->escapes(&table, src, n, list, expected), expected);
            for (size_t k = 0; k < n_kernels; k++) {
                assert_int_equal(kernels[k]->escapes(&table, src, n, other, expected), expected);
                if (expected) {
                    assert_memory_equal(list, other, expected);
                    /* Too little room: the count is right and nothing else happens. */
                    assert_int_equal(kernels[k]->escapes(&table, src, n, other + 1, expected - 1), expected);
                }
            }
            guard_free(list, expected);
            guard_free(other, expected);
            guard_free(src, n);
        }
    }
}

static void two_streams_decode_side_by_side_as_alone(void **state)
{
    (void)state;
    const struct mth_rans_narrow_kernels *kernels[MAX_KERNELS];
    size_t n_kernels = runnable(kernels);
    enum { N = 9000 };
    static uint8_t src[2][N], dst[2][N];
    for (int shape = 0; shape < N_SHAPES * N_SHAPES; shape++) {
        struct mth_rans_narrow_table tables[2];
        fill_shape((enum shape)(shape / N_SHAPES), 3, src[0], N);
        fill_shape((enum shape)(shape % N_SHAPES), 4, src[1], N);
        for (size_t k = 0; k < n_kernels; k++) {
            for (size_t n_lanes = 32; n_lanes <= 64; n_lanes *= 2) {
                struct piece pieces[2];
                struct mth_rans_reader readers[2];
                for (size_t s = 0; s < 2; s++) {
                    uint32_t counts[256];
                    count_all(src[s], N, counts);
                    assert_true(mth_rans_narrow_build(counts, false, &tables[s]));
                    assert_true(code(kernels[k], &tables[s], n_lanes, src[s], N, N * 2, &pieces[s]));
                    open_reader(&pieces[s], &readers[s]);
                }
                memset(dst, 0x5a, sizeof dst);
                size_t done =
                    n_lanes * kernels[k]->decode_pair(
                                  (const struct mth_rans_narrow_table *const[]){&tables[0], &tables[1]},
                                  (struct mth_rans_reader *const[]){&readers[0], &readers[1]},
                                  (uint8_t *const[]){dst[0], dst[1]}, N / n_lanes);
                assert_true(done <= N);
                /* The fast ones get far before they leave the ends to others. */
                bool fast = k > 0 && (kernels[k] != &rans_narrow_emulated || n_lanes == 64);
                assert_true(!fast || done > N / 2);
                for (size_t s = 0; s < 2; s++) {
                    assert_true(
                        mth_rans_narrow_decode(kernels[k], &tables[s], &readers[s], dst[s] + done, N - done));
                    assert_ptr_equal(readers[s].in, readers[s].end);
                    assert_decoded(&tables[s], dst[s], src[s], N);
                    guard_free(pieces[s].room, pieces[s].n_room);
                }
            }
        }
    }
}

/* Every x that a lane can hold, divided by every frequency. */
static void every_state_advances_as_division_says(void **state)
{
    (void)state;
    const struct mth_rans_narrow_kernels *kernels[MAX_KERNELS];
    size_t n_kernels = runnable(kernels);
    for (unsigned freq = 1; freq <= 255; freq++) {
        uint8_t wire[4] = {0, 50, (uint8_t)freq, (uint8_t)(256 - freq)};
        struct mth_bytes bytes = {wire, sizeof wire};
        struct mth_rans_narrow_table table;
        uint8_t src[64], room[64];
        assert_int_equal(mth_rans_narrow_read(&bytes, &table), MTH_OK);
        memset(src, 50, sizeof src);
        unsigned start = table.start[table.value[0] == 50 ? 0 : 1];
        for (unsigned x = 256; x < 65536; x += 64) {
            for (size_t k = 0; k < n_kernels; k++) {
                struct mth_rans_writer writer = {.begin = room, .at = room + sizeof room};
                mth_rans_lanes_init(&writer.lanes, 64);
                for (unsigned i = 0; i < 64; i++) {
                    writer.lanes.high[i] = (uint8_t)((x + i) >> 8);
                    writer.lanes.low[i] = (uint8_t)(x + i);
                }
                assert_true(mth_rans_narrow_encode(kernels[k], &table, &writer, src, 64));
                for (unsigned i = 0; i < 64; i++) {
                    unsigned y = x + i >= freq << 8 ? (x + i) >> 8 : x + i;
                    unsigned expected = (y / freq << 8) + start + y % freq;
                    if (writer.lanes.high[i] != expected >> 8 || writer.lanes.low[i] != (expected & 255))
                        fail_msg("%s: %u by %u", kernels[k]->name, x + i, freq);
                }
            }
        }
    }
}

/* ---- frequencies ---- */

static void log2_is_close_to_the_real_one(void **state)
{
    (void)state;
    for (uint32_t x = 1; x <= 65536; x++) {
        double error = mth_rans_log2(x) / 16777216.0 - log2(x);
        assert_true(fabs(error) < (x <= 256 ? 0.6 / 16777216 : 1.0 / 131072));
    }
}

static double real_price(const uint32_t *counts, const uint32_t *freq, size_t n, uint32_t total)
{
    double price = 0;
    for (size_t i = 0; i < n; i++)
        price -= counts[i] * log2((double)freq[i] / total);
    return price;
}

/* All ways of giving total slots to n symbols; the lowest price. */
static double cheapest(const uint32_t *counts, uint32_t *freq, size_t i, size_t n, uint32_t left,
                       uint32_t total)
{
    if (i == n - 1) {
        freq[i] = left;
        return real_price(counts, freq, n, total);
    }
    double best = INFINITY;
    for (freq[i] = 1; freq[i] + (n - 1 - i) <= left; freq[i]++) {
        uint32_t mine = freq[i];
        double price = cheapest(counts, freq, i + 1, n, left - mine, total);
        freq[i] = mine;
        best = price < best ? price : best;
    }
    return best;
}

static void frequencies_are_the_cheapest(void **state)
{
    (void)state;
    uint64_t random = 5;
    for (size_t trial = 0; trial < 400; trial++) {
        uint32_t counts[4], freq[4], scratch[4];
        size_t n = 2 + trial % 3;
        uint32_t total = 16 + (uint32_t)(trial % 9);
        for (size_t i = 0; i < n; i++)
            counts[i] = (uint32_t)(pattern_random(&random) % (trial % 2 ? 10 : 1000));
        mth_rans_quantise(counts, n, total, freq);
        uint32_t sum = 0;
        for (size_t i = 0; i < n; i++) {
            assert_true(freq[i] >= 1);
            sum += freq[i];
        }
        assert_int_equal(sum, total);
        double price = real_price(counts, freq, n, total);
        assert_true(price <= cheapest(counts, scratch, 0, n, total, total) + 1e-3);
    }
}

/* No slot moved from one symbol to another makes a large table cheaper. */
static void no_move_of_a_slot_makes_frequencies_cheaper(void **state)
{
    (void)state;
    uint64_t random = 6;
    enum { N = 256, TOTAL = 4096 };
    for (size_t trial = 0; trial < 20; trial++) {
        uint32_t counts[N], freq[N];
        for (size_t i = 0; i < N; i++)
            counts[i] = (uint32_t)(pattern_random(&random) % 60000 >> pattern_random(&random) % 17);
        mth_rans_quantise(counts, N, TOTAL, freq);
        for (size_t from = 0; from < N; from++) {
            for (size_t to = 0; freq[from] > 1 && to < N; to++) {
                double lost = counts[from] * log2((double)freq[from] / (freq[from] - 1));
                double won = counts[to] * log2((freq[to] + 1.0) / freq[to]);
                if (from != to)
                    assert_true(won <= lost * (1 + 1e-4) + 1e-3);
            }
        }
    }
}

/* ---- tables ---- */

static void tables_come_back_from_their_bytes(void **state)
{
    (void)state;
    static struct mth_rans_wide_table wide, wide_back;
    for (int pattern = 0; pattern < N_PATTERNS + N_SHAPES; pattern++) {
        uint32_t counts[256];
        if (pattern < N_PATTERNS)
            pattern_fill((enum pattern)pattern, 3, content, MAX_BYTES);
        else
            fill_shape((enum shape)(pattern - N_PATTERNS), 3, content, MAX_BYTES);
        count_all(content, MAX_BYTES, counts);
        for (int exact = 0; exact < 2; exact++) {
            struct mth_rans_narrow_table table, back;
            uint8_t wire[MTH_RANS_WIDE_TABLE_BYTES];
            if (mth_rans_narrow_build(counts, exact, &table)) {
                size_t n = mth_rans_narrow_write(&table, wire);
                assert_true(n <= MTH_RANS_NARROW_TABLE_BYTES);
                struct mth_rans_narrow_plan plan;
                assert_true(mth_rans_narrow_plan(counts, exact, &plan));
                assert_int_equal(mth_rans_narrow_plan_bytes(&plan), n);
                assert_int_equal(plan.cost, mth_rans_narrow_cost(&table, counts));
                struct mth_bytes bytes = {wire, n};
                assert_int_equal(mth_rans_narrow_read(&bytes, &back), MTH_OK);
                assert_int_equal(bytes.n_bytes, 0);
                assert_memory_equal(&table, &back, sizeof table);
            }
            for (unsigned bits = MTH_RANS_MIN_SLOT_BITS; bits <= MTH_RANS_MAX_SLOT_BITS; bits++) {
                if (!mth_rans_wide_build(counts, exact, bits, &wide))
                    continue;
                size_t n = mth_rans_wide_write(&wide, wire);
                struct mth_bytes bytes = {wire, n};
                assert_int_equal(mth_rans_wide_read(&bytes, &wide_back), MTH_OK);
                assert_int_equal(bytes.n_bytes, 0);
                assert_memory_equal(wide.freq, wide_back.freq, sizeof wide.freq);
                assert_int_equal(wide.escapes, wide_back.escapes);
                assert_int_equal(wide.marker, wide_back.marker);
            }
        }
    }
}

static void hostile_narrow_tables_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t wire[8];
        size_t n;
        const char *why;
    } bad[] = {
        {{0}, 0, "nothing"},
        {{1}, 1, "no first value"},
        {{1, 120}, 2, "no symbol"},
        {{1, 120, 100}, 3, "the sum is not reached"},
        {{1, 120, 200, 100}, 4, "the sum is passed"},
        {{0, 120, 200, 0, 0, 56}, 6, "a gap of none"},
        {{0, 120, 200, 0}, 4, "a gap cut off"},
        {{1, 255, 100, 155}, 4, "a value above 255"},
        {{0, 250, 100, 0, 5, 156}, 6, "a value above 255 behind a gap"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mth_rans_narrow_table table;
        uint8_t *wire = guard_alloc(bad[i].n);
        memcpy(wire, bad[i].wire, bad[i].n);
        struct mth_bytes bytes = {wire, bad[i].n};
        if (mth_rans_narrow_read(&bytes, &table) != MTH_ERR_CORRUPT)
            fail_msg("passes: %s", bad[i].why);
        guard_free(wire, bad[i].n);
    }
    /* 33 symbols. */
    uint8_t many[2 + 33];
    memset(many, 7, sizeof many);
    many[0] = 32;
    struct mth_rans_narrow_table table;
    struct mth_bytes bytes = {many, sizeof many};
    assert_int_equal(mth_rans_narrow_read(&bytes, &table), MTH_ERR_CORRUPT);
}

/* Whatever reads as a table keeps a decoder inside its buffers and ends. */
static void any_table_that_reads_decodes_safely(void **state)
{
    (void)state;
    uint64_t random = 12;
    const struct mth_rans_narrow_kernels *kernels[MAX_KERNELS];
    size_t n_kernels = runnable(kernels), n_read = 0;
    static struct mth_rans_wide_table wide;
    for (size_t trial = 0; trial < 30000; trial++) {
        uint8_t wire[80];
        size_t n = pattern_random(&random) % sizeof wire;
        unsigned range = 2 + (unsigned)(pattern_random(&random) % 250), sum = 0;
        for (size_t i = 0; i < n; i++) {
            wire[i] = (uint8_t)(pattern_random(&random) % (i == 1 ? 256 : range));
            /* Most add up, so that more than the first checks are seen. */
            bool is_gap = i > 1 && wire[i - 1] == 0;
            if (trial % 4 && i != 1 && !is_gap && sum < 256 && sum + wire[i] > 256)
                wire[i] = (uint8_t)(256 - sum);
            sum += i == 1 || is_gap ? 0 : wire[i];
        }
        struct mth_bytes bytes = {wire, n};
        struct mth_rans_narrow_table table;
        if (mth_rans_narrow_read(&bytes, &table) == MTH_OK && n_read++ % 16 == 0) {
            enum { N = 300 };
            uint8_t *in = guard_alloc(90), *dst = guard_alloc(N);
            pattern_fill(PATTERN_RANDOM, trial, in, 90);
            for (size_t k = 0; k < n_kernels; k++) {
                struct mth_rans_reader reader = {.in = in, .end = in + 90};
                mth_rans_lanes_init(&reader.lanes, 64);
                pattern_fill(PATTERN_RANDOM, trial, reader.lanes.low, 64);
                mth_rans_narrow_decode(kernels[k], &table, &reader, dst, N);
                assert_true(reader.in <= reader.end);
            }
            guard_free(in, 90);
            guard_free(dst, N);
        }
        bytes = (struct mth_bytes){wire, n};
        if (mth_rans_wide_read(&bytes, &wide) == MTH_OK)
            mth_rans_wide_prepare_decoder(&wide);
    }
    assert_true(n_read > 1000);
}

/* ---- the codec ---- */

struct rig {
    const struct mth_codec *codec;
    struct mth_memory *memory;
    void *state;
};

static const int64_t for_speed[] = {MTH_RANS_AIM_SPEED}, for_size[] = {MTH_RANS_AIM_SIZE};

static struct rig open_rig_with(const int64_t *options)
{
    struct rig rig = {.codec = mth_codec_find("rans", 4), .memory = mth_memory_create(0)};
    assert_true(rig.codec && rig.memory);
    assert_int_equal(rig.codec->create(options, MTH_SIDE_ENCODE | MTH_SIDE_DECODE, rig.memory, &rig.state),
                     MTH_OK);
    return rig;
}

static struct rig open_rig(void)
{
    return open_rig_with(for_speed);
}

static void close_rig(struct rig *rig)
{
    rig->codec->destroy(rig->state);
    mth_memory_destroy(rig->memory);
}

/* Encode, check that it comes back, and return the bytes, which lie in out. */
static struct mth_bytes round_trip(struct rig *rig, const uint8_t *src, size_t n, const void *model,
                                   uint8_t *out)
{
    struct mth_encode_job encode = {.src = {src, n}, .model = model, .dst = out, .dst_capacity = n + 1};
    uint8_t *dst = guard_alloc(n);
    assert_int_equal(rig->codec->encode(rig->state, &encode), MTH_OK);
    struct mth_decode_job decode = {.src = encode.out, .model = model, .dst = dst, .dst_bytes = n};
    assert_int_equal(rig->codec->decode(rig->state, &decode, 1), MTH_OK);
    assert_memory_equal(src, dst, n);
    guard_free(dst, n);
    return encode.out;
}

static unsigned mode_of(struct mth_bytes stream)
{
    return stream.data[0] & MTH_RANS_MODE_MASK;
}

static void streams_get_the_form_that_fits(void **state)
{
    (void)state;
    static uint8_t out[MAX_BYTES + 1];
    struct rig rig = open_rig();
    memset(content, 77, MAX_BYTES);
    struct mth_bytes stream = round_trip(&rig, content, MAX_BYTES, NULL, out);
    assert_int_equal(mode_of(stream), MTH_RANS_CONSTANT);
    assert_int_equal(stream.n_bytes, 2);
    for (size_t i = 100; i < MAX_BYTES; i += 9999)
        content[i] = (uint8_t)i;
    stream = round_trip(&rig, content, MAX_BYTES, NULL, out);
    assert_int_equal(mode_of(stream), MTH_RANS_SPARSE);
    assert_true(stream.n_bytes <= 2 + 7 * 3);
    pattern_fill(PATTERN_RANDOM, 1, content, MAX_BYTES);
    stream = round_trip(&rig, content, MAX_BYTES, NULL, out);
    assert_int_equal(mode_of(stream), MTH_RANS_RAW);
    assert_int_equal(stream.n_bytes, MAX_BYTES + 1);
    fill_shape(BELL, 1, content, MAX_BYTES);
    assert_int_equal(mode_of(round_trip(&rig, content, MAX_BYTES, NULL, out)), MTH_RANS_NARROW);
    for (size_t i = 0; i < MAX_BYTES; i++)
        content[i] = (uint8_t)((content[i] - 110u) * 12 + i * 7 % 12);
    assert_int_equal(mode_of(round_trip(&rig, content, MAX_BYTES, NULL, out)), MTH_RANS_WIDE);
    close_rig(&rig);
}

static double entropy_bytes(const uint8_t *src, size_t n)
{
    uint32_t counts[256];
    double bits = 0;
    count_all(src, n, counts);
    for (size_t v = 0; v < 256; v++)
        bits -= counts[v] ? counts[v] * log2((double)counts[v] / (double)n) : 0;
    return bits / 8;
}

/* Of bf16, where as many bytes go raw: 99.5 % of the bound. */
static void streams_come_close_to_their_entropy(void **state)
{
    (void)state;
    static uint8_t out[MAX_BYTES + 1];
    struct rig rig = open_rig();
    for (int shape = 0; shape < N_SHAPES; shape++) {
        if (shape == MANY_ESCAPES || shape == CRAMPED)
            continue;
        fill_shape((enum shape)shape, 1, content, MAX_BYTES);
        double bound = MAX_BYTES + entropy_bytes(content, MAX_BYTES);
        double size = (double)(MAX_BYTES + round_trip(&rig, content, MAX_BYTES, NULL, out).n_bytes);
        if (bound / size < 0.995)
            fail_msg("shape %d: %.0f bytes, the bound is %.0f", shape, size, bound);
    }
    close_rig(&rig);
}

/* A byte in no block of the sample is still coded. */
/* By a better sample, and by the wide mode where that saves less than a 64th. */
static void streams_that_aim_at_size_are_never_larger(void **state)
{
    (void)state;
    static uint8_t out[MAX_BYTES + 1];
    struct rig fast = open_rig(), small = open_rig_with(for_size);
    size_t n_smaller = 0;
    for (int shape = 0; shape < N_SHAPES; shape++) {
        fill_shape((enum shape)shape, 3, content, MAX_BYTES);
        size_t n_fast = round_trip(&fast, content, MAX_BYTES, NULL, out).n_bytes;
        size_t n_small = round_trip(&small, content, MAX_BYTES, NULL, out).n_bytes;
        /* Two samples of the same bytes may differ a little. */
        if (n_small > n_fast + n_fast / 256)
            fail_msg("shape %d: %zu bytes, %zu where speed counts", shape, n_small, n_fast);
        n_smaller += n_small < n_fast;
    }
    assert_true(n_smaller >= 3);
    close_rig(&fast);
    close_rig(&small);
}

static void bytes_that_no_sample_saw_come_back(void **state)
{
    (void)state;
    static uint8_t out[MAX_BYTES + 1];
    struct mth_rans_counts counts;
    struct rig rig = open_rig();
    fill_shape(BELL, 1, content, MAX_BYTES);
    for (size_t i = 0; i < MAX_BYTES; i++) {
        uint8_t before = content[i];
        content[i] = 7;
        if (i % 61 == 0) {
            mth_rans_sample(content, MAX_BYTES, false, &counts);
            assert_false(counts.exact);
            if (counts.n[7] == 0) {
                round_trip(&rig, content, MAX_BYTES, NULL, out);
                break;
            }
        }
        content[i] = before;
    }
    assert_int_equal(counts.n[7], 0);
    close_rig(&rig);
}

/* With a model a chunk of 16 Ki elements is as good as a large one. */
static void a_model_makes_short_streams_pay(void **state)
{
    (void)state;
    enum { SHORT = 1 << 14 };
    static uint8_t out[MAX_BYTES + 1];
    const struct mth_model_ops *models = &mth_rans_models;
    struct rig rig = open_rig();
    void *counts = calloc(1, models->counts_bytes), *model = calloc(1, models->model_bytes);
    fill_shape(BELL, 1, content, MAX_BYTES);
    models->count(for_speed, &(struct mth_bytes){content, MAX_BYTES}, NULL, counts);
    assert_int_equal(models->build(for_speed, counts, model), MTH_OK);
    size_t with = 0, without = 0;
    for (size_t at = 0; at < MAX_BYTES; at += SHORT) {
        struct mth_bytes stream = round_trip(&rig, content + at, SHORT, model, out);
        assert_true(stream.data[0] & MTH_RANS_SHARED);
        with += stream.n_bytes;
        without += round_trip(&rig, content + at, SHORT, NULL, out).n_bytes;
    }
    double size = MAX_BYTES + (double)with;
    assert_true(with < without);
    assert_true((MAX_BYTES + entropy_bytes(content, MAX_BYTES)) / size > 0.994);
    /* A stream unlike the model brings its own table. */
    fill_shape(PRUNED, 1, content, SHORT);
    assert_false(round_trip(&rig, content, SHORT, model, out).data[0] & MTH_RANS_SHARED);
    free(counts);
    free(model);
    close_rig(&rig);
}

/* ---- fixed bytes ---- */

struct golden {
    const char *name;
    uint8_t frame[256];
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
        if (strcmp(name, "narrow") == 0)
            out[i] = draw_bell(&random, 3);
        else if (strcmp(name, "narrow with escapes") == 0)
            out[i] = (uint8_t)(i % 50 == 49 ? i * 5 : draw_bell(&random, 2));
        else if (strcmp(name, "wide") == 0)
            out[i] = (uint8_t)(pattern_random(&random) % 12 * 20);
        else if (strcmp(name, "sparse") == 0)
            out[i] = (uint8_t)(i == 3 || i == 200 ? i : 9);
        else if (strcmp(name, "constant") == 0)
            out[i] = 127;
        else
            out[i] = (uint8_t)(i * 37);
    }
}

#include "tests/golden/rans_frames.h"

static void frames_of_version_1_are_written_and_read(void **state)
{
    (void)state;
    struct rig rig = open_rig();
    uint8_t raw[512], out[513];
    for (size_t i = 0; i < sizeof golden_frames / sizeof golden_frames[0]; i++) {
        const struct golden *golden = &golden_frames[i];
        struct mth_decode_job decode = {
            .src = {golden->frame, golden->n_frame}, .dst = raw, .dst_bytes = golden->n_raw};
        assert_int_equal(rig.codec->decode(rig.state, &decode, 1), MTH_OK);
        if (fnv(raw, golden->n_raw) != golden->raw_hash)
            fail_msg("%s decodes to something else", golden->name);
        make_golden_content(golden->name, raw, golden->n_raw);
        struct mth_bytes stream = round_trip(&rig, raw, golden->n_raw, NULL, out);
        assert_int_equal(stream.n_bytes, golden->n_frame);
        assert_memory_equal(stream.data, golden->frame, stream.n_bytes);
    }
    close_rig(&rig);
}

static void the_example_of_the_spec_decodes(void **state)
{
    (void)state;
    static const uint8_t stream[] = {0x03, 0x00, 0x78, 0x80, 0x80, 0x01, 0x80, 0x00};
    static const uint8_t raw[] = {0x79, 0x78, 0x78, 0x78, 0x78, 0x78, 0x78, 0x78};
    uint8_t dst[sizeof raw];
    struct rig rig = open_rig();
    struct mth_decode_job job = {.src = {stream, sizeof stream}, .dst = dst, .dst_bytes = sizeof dst};
    assert_int_equal(rig.codec->decode(rig.state, &job, 1), MTH_OK);
    assert_memory_equal(dst, raw, sizeof raw);
    close_rig(&rig);
}

/* `test_rans --golden` prints the frames as the compiler wants them. */
static void print_golden(void)
{
    static const struct {
        const char *name;
        size_t n_raw;
    } wanted[] = {{"raw", 12},    {"constant", 300}, {"sparse", 300},
                  {"narrow", 90}, {"wide", 400},     {"narrow with escapes", 150}};
    struct rig rig = open_rig();
    uint8_t raw[512], out[513];
    printf("/* Streams of version 1, as test_rans.c --golden prints them. */\n"
           "static const struct golden golden_frames[] = {\n");
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        make_golden_content(wanted[i].name, raw, wanted[i].n_raw);
        struct mth_bytes stream = round_trip(&rig, raw, wanted[i].n_raw, NULL, out);
        printf("    {\"%s\", {", wanted[i].name);
        for (size_t k = 0; k < stream.n_bytes; k++)
            printf("%s0x%02x", k ? ", " : "", stream.data[k]);
        printf("}, %zu, %zu, UINT64_C(0x%016llx)},\n", stream.n_bytes, wanted[i].n_raw,
               (unsigned long long)fnv(raw, wanted[i].n_raw));
    }
    printf("};\n");
    close_rig(&rig);
}

static void hostile_streams_are_refused(void **state)
{
    (void)state;
    struct rig rig = open_rig();
    uint8_t raw[512], out[513], bad[513], dst[512];
    enum { N = 90 };
    make_golden_content("narrow", raw, N);
    struct mth_bytes stream = round_trip(&rig, raw, N, NULL, out);
    struct mth_bytes table = {stream.data + 1, stream.n_bytes - 1};
    struct mth_rans_narrow_table read;
    assert_int_equal(mth_rans_narrow_read(&table, &read), MTH_OK);
    size_t states_at = (size_t)(table.data - stream.data);
    static const uint8_t heads[] = {5,          6,          7,          0x80 | 3, 3 | 8,
                                    3 | 7 << 4, 4 | 6 << 4, 1 | 1 << 4, 0 | 8,    2 | 8};
    for (size_t i = 0; i < sizeof heads + 1; i++) {
        memcpy(bad, stream.data, stream.n_bytes);
        if (i < sizeof heads)
            bad[0] = heads[i];
        else
            bad[states_at] = 0; /* a state below its range */
        struct mth_decode_job job = {.src = {bad, stream.n_bytes}, .dst = dst, .dst_bytes = N};
        assert_int_equal(rig.codec->decode(rig.state, &job, 1), MTH_ERR_CORRUPT);
    }
    close_rig(&rig);
}

/* A row is what a shuffle by it is for, bit by bit of its mask. */
static void shuffles_follow_their_masks(void **state)
{
    (void)state;
    for (unsigned mask = 0; mask < 256; mask++) {
        uint8_t expand[2][8], compress[2][8];
        size_t n = 0;
        for (unsigned lane = 0; lane < 8; lane++) {
            for (unsigned half = 0; half < 2; half++)
                expand[half][lane] = mask >> lane & 1 ? (uint8_t)(n + 8 * half) : 128;
            n += mask >> lane & 1;
        }
        memset(compress, 128, sizeof compress);
        for (unsigned lane = 8, place = 8; lane-- > 0;) {
            if (mask >> lane & 1) {
                compress[0][--place] = (uint8_t)lane;
                compress[1][place] = (uint8_t)(lane + 8);
            }
        }
        assert_memory_equal(mth_rans_expand.first[mask], expand[0], 8);
        assert_memory_equal(mth_rans_expand.second[mask], expand[1], 8);
        assert_memory_equal(mth_rans_compress.first[mask], compress[0], 8);
        assert_memory_equal(mth_rans_compress.second[mask], compress[1], 8);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_write_the_same_bytes_and_read_each_other),
        cmocka_unit_test(shapes_reach_every_variant),
        cmocka_unit_test(wide_kernels_write_the_same_bytes_and_read_each_other),
        cmocka_unit_test(kernels_find_the_same_escapes),
        cmocka_unit_test(shuffles_follow_their_masks),
        cmocka_unit_test(two_streams_decode_side_by_side_as_alone),
        cmocka_unit_test(every_state_advances_as_division_says),
        cmocka_unit_test(log2_is_close_to_the_real_one),
        cmocka_unit_test(frequencies_are_the_cheapest),
        cmocka_unit_test(no_move_of_a_slot_makes_frequencies_cheaper),
        cmocka_unit_test(tables_come_back_from_their_bytes),
        cmocka_unit_test(hostile_narrow_tables_are_refused),
        cmocka_unit_test(any_table_that_reads_decodes_safely),
        cmocka_unit_test(streams_get_the_form_that_fits),
        cmocka_unit_test(streams_come_close_to_their_entropy),
        cmocka_unit_test(streams_that_aim_at_size_are_never_larger),
        cmocka_unit_test(bytes_that_no_sample_saw_come_back),
        cmocka_unit_test(a_model_makes_short_streams_pay),
        cmocka_unit_test(frames_of_version_1_are_written_and_read),
        cmocka_unit_test(the_example_of_the_spec_decodes),
        cmocka_unit_test(hostile_streams_are_refused),
    };
    if (argc > 1 && strcmp(argv[1], "--golden") == 0) {
        print_golden();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
