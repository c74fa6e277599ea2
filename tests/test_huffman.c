/*
 * What is special about the huffman codec: its golden frames, that its codes are optimal, that every instruction set
 * writes and reads the same bytes, and what it refuses.
 */
#include "base/cpu.h"
#include "codecs/codec_registry.h"
#include "codecs/huffman/huffman_block.h"
#include "tests/support/codec_rig.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OPTION_BLOCK, OPTION_SPARSE, OPTION_GAIN };
enum { MAX_BYTES = 70000 };

extern const struct mth_codec mth_codec_huffman;

static void open_rig(struct codec_rig *rig)
{
    assert_true(rig_open(rig, &mth_codec_huffman, 0));
}

/* A rig whose states were made with one option set otherwise. */
static void set_option(struct codec_rig *rig, size_t option, int64_t value)
{
    rig->options[option] = value;
    rig->codec->destroy(rig->state);
    assert_int_equal(
        rig->codec->create(rig->options, MTH_SIDE_ENCODE | MTH_SIDE_DECODE, rig->memory, &rig->state),
        MTH_OK);
}

/* ---- golden frames ---- */

static const uint8_t example[] = "aabaaacabaadabaaacbd";
static const uint8_t example_frame[] = {0x02, 0xf6, 0x0e, 0x1d, 0x80, 0x21, 0x91, 0xd0, 0xd7, 0x80};
enum { N_EXAMPLE = sizeof example - 1, N_EXAMPLE_CODE = 4 };

static void expect_frame(struct codec_rig *rig, const uint8_t *raw, size_t n_raw, const uint8_t *frame,
                         size_t n_frame)
{
    struct encoded encoded = rig_encode(rig, raw, n_raw);
    assert_int_equal(encoded.n_bytes, n_frame);
    assert_memory_equal(encoded.data, frame, n_frame);
    rig_expect(rig, &encoded, raw, n_raw);
    encoded_free(&encoded);
}

static void frames_of_version_1_are_written_and_read_as_ever(void **state)
{
    (void)state;
    static const uint8_t raw[] = {0x01, 0x02, 0x03};
    static const uint8_t raw_frame[] = {0x00, 0x01, 0x02, 0x03};
    static const uint8_t constant[300] = {0};
    static const uint8_t constant_frame[] = {0x01, 0x00, 0x2c, 0x01};
    /* 200 zeros but for 05 at 3, 06 at 150: gaps 3 and 146, both blocks raw. */
    static uint8_t sparse[200];
    static const uint8_t sparse_frame[] = {0x05, 0x00, 0xc8, 0x02, 0x02, 0x03, 0x00,
                                           0x00, 0x03, 0x92, 0x00, 0x05, 0x06};
    /* As earlier encoders wrote it. k = 2: 3, and 146 = 36 * 4 + 2, low 11 10. */
    static const uint8_t earlier_frame[] = {0x05, 0x00, 0xc8, 0x02, 0x02, 0x03, 0x02,
                                            0xe0, 0x00, 0x00, 0x24, 0x00, 0x05, 0x06};
    uint8_t *restored = guard_alloc(sizeof sparse);
    struct codec_rig rig;
    open_rig(&rig);
    sparse[3] = 5;
    sparse[150] = 6;
    expect_frame(&rig, NULL, 0, NULL, 0);
    expect_frame(&rig, raw, sizeof raw, raw_frame, sizeof raw_frame);
    expect_frame(&rig, constant, sizeof constant, constant_frame, sizeof constant_frame);
    expect_frame(&rig, example, N_EXAMPLE, example_frame, sizeof example_frame);
    expect_frame(&rig, sparse, sizeof sparse, sparse_frame, sizeof sparse_frame);
    assert_int_equal(rig_decode(&rig, earlier_frame, sizeof earlier_frame, restored, sizeof sparse, 0),
                     MTH_OK);
    assert_memory_equal(restored, sparse, sizeof sparse);
    guard_free(restored, sizeof sparse);
    rig_close(&rig);
}

/* The example's code as a model: its frame loses the code and is of form 4. */
static void a_frame_with_a_model_is_written_and_read_as_ever(void **state)
{
    (void)state;
    struct codec_rig rig;
    struct mth_huffman_table *model = malloc(sizeof *model);
    uint8_t frame[sizeof example_frame - N_EXAMPLE_CODE] = {0x04};
    assert_non_null(model);
    memcpy(frame + 1, example_frame + 1 + N_EXAMPLE_CODE, sizeof frame - 1);
    open_rig(&rig);
    assert_int_equal(mth_codec_huffman.models->read(
                         rig.options, (struct mth_bytes){example_frame + 1, N_EXAMPLE_CODE}, model),
                     MTH_OK);
    rig.encode_model = rig.decode_model = model;
    expect_frame(&rig, example, N_EXAMPLE, frame, sizeof frame);
    rig.encode_model = rig.decode_model = NULL;
    rig_close(&rig);
    free(model);
}

/* Two blocks of 4096 symbols: the first brings its code, the second uses it. And the four streams of a larger one. */
static void frames_of_several_blocks_and_streams_keep_their_shape(void **state)
{
    (void)state;
    static uint8_t raw[16384];
    struct codec_rig rig;
    open_rig(&rig);
    set_option(&rig, OPTION_SPARSE, 0);
    set_option(&rig, OPTION_BLOCK, 12);
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = example[i % N_EXAMPLE];
    struct encoded encoded = rig_encode(&rig, raw, 8192);
    size_t n_first = encoded.data[0] | (size_t)encoded.data[1] << 8 | (size_t)encoded.data[2] << 16;
    assert_int_equal(encoded.data[3], MTH_HUFFMAN_OWN_CODE);
    assert_memory_equal(encoded.data + 4, example_frame + 1, N_EXAMPLE_CODE);
    assert_int_equal(encoded.data[3 + n_first], MTH_HUFFMAN_LAST_CODE);
    rig_expect(&rig, &encoded, raw, 8192);
    encoded_free(&encoded);
    set_option(&rig, OPTION_BLOCK, 16);
    encoded = rig_encode(&rig, raw, sizeof raw);
    /* 4096 symbols of each quarter are 1.6 bits each but for where the quarter begins in the example, and the 1. */
    assert_int_equal(encoded.data[0], MTH_HUFFMAN_OWN_CODE | MTH_HUFFMAN_FOUR_STREAMS);
    for (size_t s = 0; s < 3; s++)
        assert_in_range(encoded.data[5 + 2 * s] | encoded.data[6 + 2 * s] << 8, 4096 * 8 / 40 - 2,
                        4096 * 8 / 40 + 2);
    rig_expect(&rig, &encoded, raw, sizeof raw);
    encoded_free(&encoded);
    rig_close(&rig);
}

/* ---- codes ---- */

enum { MAX_BRUTE = 15 };

/* The least cost of ascending counts under lengths that fall from `length` on and take `left` of 2^MAX_LENGTH. */
static uint64_t least_cost(const uint64_t *counts, size_t n, unsigned length, unsigned left)
{
    if (n == 0)
        return left == 0 ? 0 : UINT64_MAX;
    uint64_t best = UINT64_MAX;
    for (unsigned l = length; l > 0; l--) {
        unsigned part = 1u << (MTH_HUFFMAN_MAX_LENGTH - l);
        if (part > left)
            break;
        uint64_t rest = least_cost(counts + 1, n - 1, l, left - part);
        if (rest != UINT64_MAX && rest + counts[0] * l < best)
            best = rest + counts[0] * l;
    }
    return best;
}

static uint64_t cost_of(const uint64_t *counts, const struct mth_huffman_code *code)
{
    uint64_t cost = 0;
    for (size_t s = 0; s < MTH_HUFFMAN_SYMBOLS; s++)
        cost += counts[s] * code->length[s];
    return cost;
}

static void assert_complete(const struct mth_huffman_code *code)
{
    unsigned sum = 0;
    for (size_t s = 0; s < MTH_HUFFMAN_SYMBOLS; s++) {
        assert_true(code->length[s] <= MTH_HUFFMAN_MAX_LENGTH);
        sum += code->length[s] ? 1u << (MTH_HUFFMAN_MAX_LENGTH - code->length[s]) : 0;
    }
    assert_int_equal(sum, 1u << MTH_HUFFMAN_MAX_LENGTH);
}

static int compare_counts(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Counts: random, equal, and Fibonacci's, whose unlimited code would be as deep as there are symbols. */
static uint64_t make_count(size_t kind, size_t i, uint64_t *seed)
{
    uint64_t a = 1, b = 1;
    switch (kind % 4) {
    case 0:
        return 1 + pattern_random(seed) % 1000;
    case 1:
        return 1 + (pattern_random(seed) >> (pattern_random(seed) % 60)) % (1u << 30);
    case 2:
        return 7;
    default:
        for (; i > 0; i--) {
            uint64_t sum = a + b;
            a = b;
            b = sum;
        }
        return a;
    }
}

static void codes_are_optimal_within_their_limit(void **state)
{
    (void)state;
    static struct mth_huffman_workspace workspace;
    struct mth_huffman_code code;
    uint64_t seed = 1;
    for (size_t n = 2; n <= MAX_BRUTE; n++) {
        for (size_t kind = 0; kind < 8; kind++) {
            uint64_t counts[MTH_HUFFMAN_SYMBOLS] = {0}, sorted[MAX_BRUTE];
            for (size_t i = 0; i < n; i++)
                counts[i * 17 % 256] = sorted[i] = make_count(kind, i, &seed);
            qsort(sorted, n, sizeof sorted[0], compare_counts);
            mth_huffman_code_build(counts, &workspace, &code);
            assert_complete(&code);
            for (size_t s = 0; s < MTH_HUFFMAN_SYMBOLS; s++)
                assert_int_equal(code.length[s] > 0, counts[s] > 0);
            uint64_t best = least_cost(sorted, n, MTH_HUFFMAN_MAX_LENGTH, 1u << MTH_HUFFMAN_MAX_LENGTH);
            if (cost_of(counts, &code) != best)
                fail_msg("%zu symbols, kind %zu: %llu bits, %llu would do", n, kind,
                         (unsigned long long)cost_of(counts, &code), (unsigned long long)best);
        }
    }
}

/* A code over some symbols: from counts of n of them, spread over all 256. */
static void make_code(size_t n, size_t kind, uint64_t *seed, struct mth_huffman_code *code)
{
    static struct mth_huffman_workspace workspace;
    uint64_t counts[MTH_HUFFMAN_SYMBOLS] = {0};
    size_t first = pattern_random(seed) % 256, step = n <= 64 && kind % 3 == 0 ? 3 : 1;
    for (size_t i = 0; i < n; i++)
        counts[(first + i * step) % 256] = make_count(kind, i % 40, seed);
    mth_huffman_code_build(counts, &workspace, code);
}

static void every_code_comes_back_from_its_wire_form(void **state)
{
    (void)state;
    struct mth_huffman_code code, back;
    uint64_t seed = 3;
    for (size_t n = 2; n <= 256; n++) {
        for (size_t kind = 0; kind < 4; kind++) {
            uint8_t wire[MTH_HUFFMAN_CODE_BYTES];
            make_code(n, kind, &seed, &code);
            assert_complete(&code);
            size_t n_wire = mth_huffman_code_write(&code, wire);
            assert_in_range(n_wire, 1, sizeof wire);
            assert_int_equal(mth_huffman_code_write(&code, NULL), n_wire);
            uint8_t *exact = guard_alloc(n_wire);
            memcpy(exact, wire, n_wire);
            assert_int_equal(mth_huffman_code_read(exact, n_wire, &back), n_wire);
            assert_memory_equal(&back, &code, sizeof code);
            assert_int_equal(mth_huffman_code_read(exact, n_wire - 1, &back), 0);
            guard_free(exact, n_wire);
        }
    }
}

/* The longest description there can be: lengths that jump, with one absent symbol between. */
static void no_code_is_longer_than_its_bound(void **state)
{
    (void)state;
    struct mth_huffman_code code = {{0}};
    for (size_t i = 0; i < 256; i++)
        code.length[i] = i % 2 ? 5 : 11;
    assert_in_range(mth_huffman_code_write(&code, NULL), 256, MTH_HUFFMAN_CODE_BYTES);
}

/* Bytes that are read as a code are one. */
static void what_is_no_code_is_not_read_as_one(void **state)
{
    (void)state;
    struct mth_huffman_code code;
    uint64_t seed = 5;
    size_t n_read = 0;
    for (size_t i = 0; i < 200000; i++) {
        size_t n = i % 12;
        uint8_t *wire = guard_alloc(n);
        for (size_t k = 0; k < n; k++)
            wire[k] = (uint8_t)(pattern_random(&seed) & pattern_random(&seed));
        size_t n_taken = mth_huffman_code_read(wire, n, &code);
        assert_true(n_taken <= n);
        if (n_taken) {
            assert_complete(&code);
            n_read++;
        }
        guard_free(wire, n);
    }
    assert_true(n_read > 0);
}

/* ---- kernels ---- */

static const struct mth_huffman_kernel *kernels[2];
static size_t n_kernels;

static void find_kernels(void)
{
    kernels[n_kernels++] = mth_huffman_kernel_for(0);
    if (mth_huffman_kernel_for(mth_cpu_features()) != kernels[0])
        kernels[n_kernels++] = mth_huffman_kernel_for(mth_cpu_features());
}

/* Symbols of a code, each with the probability that its length stands for. */
static void draw_symbols(const struct mth_huffman_table *table, uint64_t *seed, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)table->entry[pattern_random(seed) % ((size_t)1 << table->width)];
}

static size_t measure_streams(const struct mth_huffman_code *code, const uint8_t *src, size_t n,
                              size_t n_streams, size_t *sizes)
{
    size_t total = 0;
    for (size_t s = 0; s < n_streams; s++) {
        size_t n_bits = 1;
        for (size_t i = mth_huffman_stream_start(n, n_streams, s);
             i < mth_huffman_stream_start(n, n_streams, s + 1); i++)
            n_bits += code->length[src[i]];
        sizes[s] = (n_bits + 7) / 8;
        total += sizes[s];
    }
    return total;
}

static uint32_t all_pairs[1 << 16];

static void check_kernels(const struct mth_huffman_table *table, size_t n, size_t n_streams, uint64_t *seed)
{
    uint32_t words[MTH_HUFFMAN_SYMBOLS];
    size_t sizes[MTH_HUFFMAN_MAX_STREAMS];
    uint8_t *src = guard_alloc(n), *dst = guard_alloc(n);
    draw_symbols(table, seed, src, n);
    size_t n_coded = measure_streams(&table->code, src, n, n_streams, sizes);
    uint8_t *coded = guard_alloc(n_coded), *other = guard_alloc(n_coded);
    mth_huffman_codewords(&table->code, words);
    mth_huffman_pair_codewords(&table->code, words, all_pairs);
    kernels[0]->encode(src, n, words, NULL, n_streams, sizes, coded);
    for (size_t k = 0; k < n_kernels; k++) {
        for (size_t pairs = 0; pairs < 2; pairs++) {
            memset(other, 0xaa, n_coded);
            kernels[k]->encode(src, n, words, pairs ? all_pairs : NULL, n_streams, sizes, other);
            assert_memory_equal(other, coded, n_coded);
        }
        memset(dst, 0x55, n);
        assert_true(kernels[k]->decode(table->entry, table->width, table->code.length, coded, n_streams,
                                       sizes, dst, n));
        assert_memory_equal(dst, src, n);
    }
    guard_free(src, n);
    guard_free(dst, n);
    guard_free(coded, n_coded);
    guard_free(other, n_coded);
}

static void every_kernel_writes_and_reads_the_same_bytes(void **state)
{
    (void)state;
    static const size_t alphabets[] = {2, 3, 7, 30, 120, 256};
    static struct mth_huffman_table table;
    static uint64_t scratch[MTH_HUFFMAN_ENTRIES];
    uint64_t seed = 9;
    for (size_t a = 0; a < sizeof alphabets / sizeof alphabets[0]; a++) {
        for (size_t kind = 0; kind < 4; kind++) {
            struct mth_huffman_code code;
            make_code(alphabets[a], kind, &seed, &code);
            for (unsigned width = mth_huffman_code_width(&code); width <= MTH_HUFFMAN_MAX_LENGTH; width++) {
                mth_huffman_table_build(&code, width, scratch, &table);
                for (size_t n = 1; n <= 3000; n = n < 140 ? n + 3 : n * 2) {
                    check_kernels(&table, n, 1, &seed);
                    if (n >= MTH_HUFFMAN_MAX_STREAMS)
                        check_kernels(&table, n, MTH_HUFFMAN_MAX_STREAMS, &seed);
                }
            }
        }
    }
}

/* An entry of a table is what looking up one symbol after the other finds in its bits. */
static void tables_hold_what_one_symbol_at_a_time_gives(void **state)
{
    (void)state;
    static struct mth_huffman_table table;
    static uint64_t scratch[MTH_HUFFMAN_ENTRIES];
    uint64_t seed = 11;
    for (size_t n = 2; n <= 256; n = n * 3 / 2 + 1) {
        for (size_t kind = 0; kind < 4; kind++) {
            struct mth_huffman_code code;
            uint32_t words[MTH_HUFFMAN_SYMBOLS];
            make_code(n, kind, &seed, &code);
            mth_huffman_codewords(&code, words);
            unsigned width = mth_huffman_code_width(&code);
            width += (MTH_HUFFMAN_MAX_LENGTH - width) * (unsigned)(kind & 1);
            mth_huffman_table_build(&code, width, scratch, &table);
            for (unsigned v = 0; v < 1u << width; v++) {
                unsigned at = 0, count = 0;
                uint64_t want = 0;
                for (size_t s = 0; s < 256 && count < MTH_HUFFMAN_ENTRY_SYMBOLS;) {
                    unsigned length = code.length[s];
                    if (length && at + length <= width &&
                        (v >> (width - at - length) & ((1u << length) - 1)) == words[s] >> 8) {
                        want |= (uint64_t)s << 8 * count++;
                        at += length;
                        s = 0;
                    } else {
                        s++;
                    }
                }
                assert_true(table.entry[v] == (want | (uint64_t)at << 48 | (uint64_t)count << 56));
            }
        }
    }
}

/* ---- what is refused ---- */

static void expect_refusal(struct codec_rig *rig, const uint8_t *frame, size_t n_frame, size_t n)
{
    uint8_t *exact = guard_alloc(n_frame), *dst = guard_alloc(n);
    memcpy(exact, frame, n_frame);
    int status = rig_decode(rig, exact, n_frame, dst, n, 0x5a);
    if (status != MTH_ERR_CORRUPT)
        fail_msg("a frame of %zu bytes, %02x %02x .., for %zu symbols gives %s", n_frame, frame[0],
                 n_frame > 1 ? frame[1] : 0, n, mth_status_name(status));
    guard_free(exact, n_frame);
    guard_free(dst, n);
}

#define MTH_REFUSE(n, ...)                              \
    do {                                                \
        static const uint8_t frame_[] = {__VA_ARGS__};  \
        expect_refusal(&rig, frame_, sizeof frame_, n); \
    } while (0)

static void frames_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    struct codec_rig rig;
    open_rig(&rig);
    /* Forms that there are not, and flags where they mean nothing. */
    for (unsigned head = 0; head < 256; head++) {
        uint8_t frame[12] = {(uint8_t)head};
        if ((head & 7) > MTH_HUFFMAN_SPARSE || head > 0x0f)
            expect_refusal(&rig, frame, sizeof frame, 11);
    }
    MTH_REFUSE(3, 0x08, 1, 2, 3);
    MTH_REFUSE(3, 0x09, 1, 3);
    MTH_REFUSE(8, 0x0d, 0, 8, 1, 1, 2, 0, 0, 3, 0, 7);
    /* Raw and constant blocks of other sizes; a constant one of another count. */
    MTH_REFUSE(3, 0x00, 1, 2);
    MTH_REFUSE(3, 0x00, 1, 2, 3, 4);
    MTH_REFUSE(3, 0x01, 1);
    MTH_REFUSE(3, 0x01, 1, 4);
    MTH_REFUSE(3, 0x01, 1, 3, 0);
    /* Codes: oversubscribed (three of 1 bit), never complete, a length of 12, too many absent, bits behind. */
    MTH_REFUSE(4, 0x02, 0xe1, 0xe2, 0xe1, 0x00, 0x80);
    MTH_REFUSE(4, 0x02, 0xe1, 0xff, 0xff, 0xff, 0xff);
    MTH_REFUSE(4, 0x02, 0xec, 0x00, 0x00, 0x00);
    MTH_REFUSE(4, 0x02, 0xe1, 0x60);
    MTH_REFUSE(4, 0x02, 0xff, 0xfe, 0x10, 0x80);
    MTH_REFUSE(4, 0x02, 0xe1, 0x01, 0x08);
    /* The last code, and a model's, where there are none. */
    MTH_REFUSE(4, 0x03, 0x08);
    MTH_REFUSE(4, 0x04, 0x08);
    /* A code of two symbols, 0 and 1: streams without their 1, with bits behind it, too short, too long. */
    MTH_REFUSE(4, 0x02, 0xe1, 0x00, 0x00);
    MTH_REFUSE(4, 0x02, 0xe1, 0x00, 0x0c);
    MTH_REFUSE(4, 0x02, 0xe1, 0x00);
    MTH_REFUSE(4, 0x02, 0xe1, 0x00, 0x08, 0x00);
    MTH_REFUSE(8, 0x02, 0xe1, 0x00, 0x08);
    /* Four streams: for fewer symbols, larger than the block, one empty. */
    MTH_REFUSE(3, 0x0a, 0xe1, 0x00, 1, 1, 1, 0x40, 0x40, 0x40, 0x80);
    MTH_REFUSE(4, 0x0a, 0xe1, 0x00, 1, 1, 200, 0x40, 0x40, 0x40, 0x40);
    MTH_REFUSE(4, 0x0a, 0xe1, 0x00, 1, 1, 2, 0x40, 0x40, 0x40, 0x40);
    MTH_REFUSE(4, 0x0a, 0xe1, 0x00, 1, 1);
    /* Sparse: another count, no exception, too many, gaps behind the end, gaps left, an escape at the end, no gaps, a
     * block that is too long, other forms inside, too many low bits, low bits behind. */
    MTH_REFUSE(8, 0x05, 0, 9, 1, 1, 2, 0, 0, 3, 0, 7);
    MTH_REFUSE(8, 0x05, 0, 8, 0, 1, 2, 0, 0, 3, 0, 7);
    MTH_REFUSE(8, 0x05, 0, 8, 5, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7);
    MTH_REFUSE(8, 0x05, 0, 8, 1, 1, 2, 0, 0, 8, 0, 7);
    MTH_REFUSE(8, 0x05, 0, 8, 1, 2, 3, 0, 0, 1, 1, 0, 7);
    MTH_REFUSE(8, 0x05, 0, 8, 1, 1, 2, 0, 0, 255, 0, 7);
    MTH_REFUSE(8, 0x05, 0, 8, 1, 0, 1, 0, 0, 0, 7);
    MTH_REFUSE(8, 0x05, 0, 8, 1, 1, 9, 0, 0, 3, 0, 7);
    MTH_REFUSE(8, 0x05, 0, 8, 1, 1, 2, 0, 3, 3, 0, 7);
    MTH_REFUSE(8, 0x05, 0, 8, 1, 1, 2, 0, 0, 3, 5, 7);
    MTH_REFUSE(8, 0x05, 0, 8, 1, 1, 2, 17, 0, 0, 0, 0, 3, 0, 7);
    MTH_REFUSE(8, 0x05, 0, 8, 1, 1, 2, 1, 0x81, 0, 1, 0, 7);
    MTH_REFUSE(8, 0x05, 0, 8, 1, 1, 2, 16, 0x00);
    rig_close(&rig);
}

/* The frames above are a byte away from ones that decode. */
static void their_neighbours_are_taken(void **state)
{
    (void)state;
    static const struct {
        size_t n, n_frame;
        uint8_t frame[17], raw[8];
    } cases[] = {
        {3, 3, {0x01, 1, 3}, {1, 1, 1}},
        {4, 4, {0x02, 0xe1, 0x00, 0x08}, {0, 0, 0, 0}},
        {4, 10, {0x0a, 0xe1, 0x00, 1, 1, 1, 0xc0, 0x40, 0x40, 0xc0}, {1, 0, 0, 1}},
        {8, 11, {0x05, 0, 8, 1, 1, 2, 0, 0, 3, 0, 7}, {0, 0, 0, 7, 0, 0, 0, 0}},
        {8, 12, {0x05, 0, 8, 1, 1, 2, 1, 0x80, 0, 1, 0, 7}, {0, 0, 0, 7, 0, 0, 0, 0}},
        {8, 17, {0x05, 0, 8, 4, 4, 5, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7}, {7, 7, 7, 7, 0, 0, 0, 0}},
    };
    struct codec_rig rig;
    open_rig(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t *dst = guard_alloc(cases[i].n);
        assert_int_equal(rig_decode(&rig, cases[i].frame, cases[i].n_frame, dst, cases[i].n, 0), MTH_OK);
        assert_memory_equal(dst, cases[i].raw, cases[i].n);
        guard_free(dst, cases[i].n);
    }
    rig_close(&rig);
}

/* Every bit of large frames flipped, in turn: no access out of bounds, and the next good frame decodes. */
static void large_frames_survive_flipped_bits(void **state)
{
    (void)state;
    static const enum pattern patterns[] = {PATTERN_EXPONENT, PATTERN_SPARSE, PATTERN_TEXT};
    static uint8_t raw[20000];
    struct codec_rig rig;
    open_rig(&rig);
    set_option(&rig, OPTION_BLOCK, 14);
    for (size_t p = 0; p < 3; p++) {
        pattern_fill(patterns[p], 1, raw, sizeof raw);
        struct encoded encoded = rig_encode(&rig, raw, sizeof raw);
        uint8_t *dst = guard_alloc(sizeof raw);
        for (size_t bit = 0; bit < 8 * encoded.n_bytes; bit += bit < 500 ? 1 : 61) {
            encoded.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            rig_decode(&rig, encoded.data, encoded.n_bytes, dst, sizeof raw, 0);
            encoded.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        rig_expect(&rig, &encoded, raw, sizeof raw);
        guard_free(dst, sizeof raw);
        encoded_free(&encoded);
    }
    rig_close(&rig);
}

/* ---- sizes ---- */

static uint8_t content[MAX_BYTES];

static size_t size_of(struct codec_rig *rig, size_t n)
{
    return rig_round_trip(rig, content, n);
}

/* One symbol in a hundred differs, in one of four ways: 0.081 + 0.02 bits a symbol. Huffman alone would take a bit. */
static void nearly_constant_streams_come_near_their_entropy(void **state)
{
    (void)state;
    struct codec_rig rig;
    uint64_t seed = 2;
    memset(content, 0, sizeof content);
    for (size_t i = 0; i < 65536; i++)
        content[i] = pattern_random(&seed) % 100 ? 0 : (uint8_t)(1 + pattern_random(&seed) % 4);
    open_rig(&rig);
    assert_in_range(size_of(&rig, 65536), 700, 65536 * 0.101 / 8 * 1.06);
    set_option(&rig, OPTION_SPARSE, 0);
    assert_in_range(size_of(&rig, 65536), 65536 / 8, 65536 / 8 + 300);
    rig_close(&rig);
}

/* Three symbols in ten differ: 0.881 + 0.3 * 2 bits a symbol. Huffman alone would take 1.6. */
static void streams_of_one_symbol_and_many_others_come_near_their_entropy(void **state)
{
    (void)state;
    struct codec_rig rig;
    uint64_t seed = 3;
    for (size_t i = 0; i < 65536; i++)
        content[i] = pattern_random(&seed) % 10 >= 3 ? 0 : (uint8_t)(1 + pattern_random(&seed) % 4);
    open_rig(&rig);
    assert_in_range(size_of(&rig, 65536), 65536 * 1.47 / 8, 65536 * 1.481 / 8 * 1.03);
    set_option(&rig, OPTION_SPARSE, 0);
    assert_in_range(size_of(&rig, 65536), 65536 * 1.59 / 8, 65536 * 1.61 / 8 + 300);
    rig_close(&rig);
}

/* A ninth of a block differs, all of it at its end: one bit for each gap, 8 for each value. */
static void gaps_of_a_cluster_cost_a_bit_each(void **state)
{
    (void)state;
    struct codec_rig rig;
    uint64_t seed = 4;
    memset(content, 0, 58254);
    for (size_t i = 58254; i < 65536; i++)
        content[i] = (uint8_t)(1 + pattern_random(&seed) % 255);
    open_rig(&rig);
    assert_in_range(size_of(&rig, 65536), 7282 * 9 / 8, 7282 * 9 / 8 + 300);
    rig_close(&rig);
}

static void a_block_that_gains_too_little_is_left_raw(void **state)
{
    (void)state;
    struct codec_rig rig;
    pattern_fill(PATTERN_EXPONENT, 1, content, 65536);
    open_rig(&rig);
    size_t n = size_of(&rig, 65536);
    size_t percent = 100 - n * 100 / 65536 - 1;
    /* Such exponents shrink by two thirds; half of a mantissa's stream does not shrink by a hundredth. */
    assert_true(percent > 50);
    set_option(&rig, OPTION_GAIN, 50);
    assert_int_equal(size_of(&rig, 65536), n);
    for (size_t i = 0; i < 65536; i++)
        content[i] = (uint8_t)(content[i] ^ (i * 2654435761u >> 24 & 0x1f));
    assert_int_equal(size_of(&rig, 65536), 65537);
    set_option(&rig, OPTION_GAIN, 0);
    assert_in_range(size_of(&rig, 65536), 32768, 64000);
    rig_close(&rig);
}

/* With a model a small chunk has no code of its own; a symbol that the model lacks makes it bring one. */
static void a_model_saves_the_code_unless_a_symbol_is_missing(void **state)
{
    (void)state;
    const struct mth_model_ops *models = mth_codec_huffman.models;
    struct codec_rig rig;
    void *counts = calloc(1, models->counts_bytes), *model = malloc(models->model_bytes);
    assert_true(counts && model);
    open_rig(&rig);
    pattern_fill(PATTERN_EXPONENT, 1, content, MAX_BYTES);
    struct mth_bytes bytes = {content, MAX_BYTES};
    struct mth_context none = {0};
    models->count(rig.options, &bytes, &none, counts);
    assert_int_equal(models->build(rig.options, counts, model), MTH_OK);
    rig.encode_model = rig.decode_model = model;
    struct encoded with = rig_encode(&rig, content, 2048);
    assert_int_equal(with.data[0], MTH_HUFFMAN_MODEL_CODE);
    content[77] = 3;
    struct encoded without = rig_encode(&rig, content, 2048);
    assert_int_equal(without.data[0], MTH_HUFFMAN_OWN_CODE);
    assert_in_range(without.n_bytes, with.n_bytes + 4, with.n_bytes + 20);
    rig_expect(&rig, &without, content, 2048);
    encoded_free(&with);
    encoded_free(&without);
    rig.encode_model = rig.decode_model = NULL;
    rig_close(&rig);
    free(counts);
    free(model);
}

static void quarters_are_counted_as_bytes_are(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (size_t n = 0; n < 400; n = n < 70 ? n + 1 : n + 37) {
        uint32_t counts[MTH_BYTE_QUARTERS][MTH_BYTE_VALUES], all[MTH_BYTE_VALUES],
            want[MTH_BYTE_VALUES] = {0};
        uint8_t *src = guard_alloc(n);
        for (size_t i = 0; i < n; i++)
            want[src[i] = (uint8_t)(pattern_random(&seed) % 5)]++;
        mth_byte_histogram_quarters(src, n, counts);
        mth_byte_histogram(src, n, all);
        assert_memory_equal(all, want, sizeof want);
        for (size_t q = 0; q < MTH_BYTE_QUARTERS; q++) {
            for (size_t i = mth_byte_quarter(n, q); i < mth_byte_quarter(n, q + 1); i++)
                counts[q][src[i]]--;
            for (size_t v = 0; v < MTH_BYTE_VALUES; v++)
                assert_int_equal(counts[q][v], 0);
        }
        guard_free(src, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_version_1_are_written_and_read_as_ever),
        cmocka_unit_test(a_frame_with_a_model_is_written_and_read_as_ever),
        cmocka_unit_test(frames_of_several_blocks_and_streams_keep_their_shape),
        cmocka_unit_test(codes_are_optimal_within_their_limit),
        cmocka_unit_test(every_code_comes_back_from_its_wire_form),
        cmocka_unit_test(no_code_is_longer_than_its_bound),
        cmocka_unit_test(what_is_no_code_is_not_read_as_one),
        cmocka_unit_test(every_kernel_writes_and_reads_the_same_bytes),
        cmocka_unit_test(tables_hold_what_one_symbol_at_a_time_gives),
        cmocka_unit_test(frames_that_contradict_themselves_are_refused),
        cmocka_unit_test(their_neighbours_are_taken),
        cmocka_unit_test(large_frames_survive_flipped_bits),
        cmocka_unit_test(nearly_constant_streams_come_near_their_entropy),
        cmocka_unit_test(streams_of_one_symbol_and_many_others_come_near_their_entropy),
        cmocka_unit_test(gaps_of_a_cluster_cost_a_bit_each),
        cmocka_unit_test(a_block_that_gains_too_little_is_left_raw),
        cmocka_unit_test(a_model_saves_the_code_unless_a_symbol_is_missing),
        cmocka_unit_test(quarters_are_counted_as_bytes_are),
    };
    find_kernels();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
