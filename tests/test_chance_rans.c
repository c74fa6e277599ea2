/* Laws of the codec chance-rans beyond those of every codec: its kernels agree, it takes what chance leaves, it notices what its page calls an error. */
#include "base/cpu.h"
#include "base/lane.h"
#include "codecs/chance_rans/chance_kernels.h"
#include "codecs/codec.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const struct mth_codec mth_codec_chance_rans;

enum { MAX_ELEMS = 1 << 17, MAX_KERNELS = 8, MANTISSA = 7, N_CLASSES = 16 };

static uint8_t elements[2 * MAX_ELEMS + 1], stand_ins[2 * MAX_ELEMS + 1], coded[2 * MAX_ELEMS + 2];

/* ---- through the codec ---- */

struct rig {
    struct mth_memory *memory;
    void *state;
    struct mth_context_part part;
};

static void open_rig(struct rig *rig)
{
    *rig = (struct rig){.memory = mth_memory_create(0)};
    assert_non_null(rig->memory);
    assert_int_equal(
        mth_codec_chance_rans.create(NULL, MTH_SIDE_ENCODE | MTH_SIDE_DECODE, rig->memory, &rig->state),
        MTH_OK);
}

static void close_rig(struct rig *rig)
{
    mth_codec_chance_rans.destroy(rig->state);
    mth_memory_destroy(rig->memory);
}

static struct mth_context context_of(struct rig *rig, size_t n)
{
    struct mth_symbol_type type = mth_symbol_type_of(MTH_DTYPE_BF16);
    rig->part = (struct mth_context_part){MTH_CONTEXT_REFERENCE, 0, type, {stand_ins, n}};
    return (struct mth_context){&rig->part, 1};
}

/* Codes n bytes of elements; returns what they take. */
static size_t code(struct rig *rig, size_t n)
{
    struct mth_encode_job job = {.src = {elements, n},
                                 .type = mth_symbol_type_of(MTH_DTYPE_BF16),
                                 .context = context_of(rig, n),
                                 .dst = coded,
                                 .dst_capacity = mth_codec_chance_rans.bound(NULL, n)};
    assert_int_equal(mth_codec_chance_rans.encode(rig->state, &job), MTH_OK);
    memmove(coded, job.out.data, job.out.n_bytes);
    return job.out.n_bytes;
}

/* Decodes a stream, which ends at a guard page, to n bytes, which do, too. */
static int decode(struct rig *rig, const uint8_t *stream, size_t n_stream, size_t n, uint8_t *out)
{
    uint8_t *src = guard_alloc(n_stream), *dst = guard_alloc(n);
    if (n_stream)
        memcpy(src, stream, n_stream);
    struct mth_decode_job job = {.src = {src, n_stream},
                                 .type = mth_symbol_type_of(MTH_DTYPE_BF16),
                                 .context = context_of(rig, n),
                                 .dst = dst,
                                 .dst_bytes = n};
    int status = mth_codec_chance_rans.decode(rig->state, &job, 1);
    if (status == MTH_OK && n)
        memcpy(out, dst, n);
    guard_free(src, n_stream);
    guard_free(dst, n);
    return status;
}

static void assert_comes_back(struct rig *rig, size_t n, size_t n_coded)
{
    static uint8_t back[2 * MAX_ELEMS + 1];
    assert_int_equal(decode(rig, coded, n_coded, n, back), MTH_OK);
    assert_memory_equal(back, elements, n);
}

static double entropy_of(double p)
{
    return p <= 0 || p >= 1 ? 0 : -p * log2(p) - (1 - p) * log2(1 - p);
}

/* Stand-ins of classes 1 .. 15, those from 2 on as likely to go up as chance_of says; returns the entropy in bits. */
static double fill(size_t n_elems, double (*chance_of)(unsigned class_), uint64_t seed)
{
    double entropy = 0;
    for (size_t i = 0; i < n_elems; i++) {
        unsigned class_ = 1 + (unsigned)(pattern_random(&seed) % 15);
        double chance = class_ > 1 ? chance_of(class_) : 0;
        bool up = (double)(pattern_random(&seed) >> 11) * 0x1p-53 < chance;
        mth_lane_store16(stand_ins + 2 * i, (uint16_t)(class_ << MANTISSA));
        mth_lane_store16(elements + 2 * i, (uint16_t)((class_ << MANTISSA) + up));
        entropy += entropy_of(chance);
    }
    elements[2 * n_elems] = 0x5a;
    stand_ins[2 * n_elems] = 0xa5;
    return entropy;
}

static double by_distance(unsigned class_)
{
    return (class_ - 1.5) / 14;
}

static double half_of_the_upper(unsigned class_)
{
    return class_ < 9 ? 0 : 0.5;
}

static double always(unsigned class_)
{
    (void)class_;
    return 1;
}

static void it_takes_what_chance_leaves_and_its_states(void **state)
{
    static double (*const chances[])(unsigned) = {by_distance, half_of_the_upper, always};
    /* Head, table and states; 16 counts of up to 64 Ki elements, and half a bit of a percent of them all. */
    enum { BESIDE = 1 + 2 + 2 * N_CLASSES + 3 + 4 * 32 };
    struct rig rig;
    (void)state;
    open_rig(&rig);
    for (size_t c = 0; c < sizeof chances / sizeof chances[0]; c++) {
        double entropy = fill(MAX_ELEMS, chances[c], 3 + c);
        size_t n = code(&rig, 2 * MAX_ELEMS);
        assert_true((double)n <= entropy / 8 * 1.004 + BESIDE + 32);
        assert_true((double)n >= entropy / 8 * 0.99);
        assert_comes_back(&rig, 2 * MAX_ELEMS, n);
    }
    close_rig(&rig);
}

static void every_length_comes_back_whatever_is_neither_of_both(void **state)
{
    static const size_t lengths[] = {0,     1,     2,     3,     63,    64,    65,    2047,     2048,
                                     2049,  4095,  4096,  4097,  8191,  8192,  8193,  16383,    16384,
                                     16385, 32767, 32768, 32769, 32799, 32800, 65537, MAX_ELEMS};
    struct rig rig;
    (void)state;
    open_rig(&rig);
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        for (unsigned every = 0; every < 4; every++) {
            size_t n_elems = lengths[l], step = every == 1 ? 1000 : every == 2 ? 7 : 1;
            fill(n_elems, by_distance, 11 + l);
            /* None, few, many, all of them; the first and the last among them. */
            for (size_t i = 0; every && i < n_elems; i += step)
                mth_lane_store16(elements + 2 * i,
                                 (uint16_t)(mth_lane_load16(stand_ins + 2 * i) - 1 - i % 9));
            if (every == 1 && n_elems)
                mth_lane_store16(elements + 2 * (n_elems - 1), 0xffff);
            for (size_t n_tail = 0; n_tail < 2; n_tail++) {
                size_t n_coded = code(&rig, 2 * n_elems + n_tail);
                assert_true(n_coded <= 2 * n_elems + n_tail + (n_coded > 0));
                assert_true(n_elems < 2048 || every > 1 || n_coded < n_elems / 2);
                assert_comes_back(&rig, 2 * n_elems + n_tail, n_coded);
            }
        }
    }
    close_rig(&rig);
}

/* ---- kernels ---- */

static size_t runnable(const struct mth_chance_kernels *out[MAX_KERNELS])
{
    const struct mth_chance_kernels *kernels;
    size_t n = 0;
    for (size_t i = 0; (kernels = mth_chance_kernels_at(i)) != NULL; i++) {
        if ((kernels->needs & mth_cpu_features()) == kernels->needs)
            out[n++] = kernels;
    }
    return n;
}

/* Words that may be anything: all kernels make the same flags of them, end in the same states, and stop at the same place. */
static void kernels_agree_on_any_words(void **state)
{
    enum { N = 5000, MAX_WORDS = 1 << 12 };
    static uint8_t classes[N], flags[MAX_KERNELS][N];
    const struct mth_chance_kernels *kernels[MAX_KERNELS];
    size_t n_kernels = runnable(kernels);
    uint64_t seed = 5;
    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        struct mth_rans_wide_reader readers[MAX_KERNELS];
        uint32_t chances[MTH_CHANCE_CLASSES];
        bool good[MAX_KERNELS];
        size_t n_words = pattern_random(&seed) % MAX_WORDS, n = pattern_random(&seed) % N,
               n_lanes = (size_t)1 << (round % 3 ? 5 : pattern_random(&seed) % 6);
        uint8_t *words = guard_alloc(2 * n_words);
        for (size_t i = 0; i < 2 * n_words; i++)
            words[i] = (uint8_t)pattern_random(&seed);
        for (size_t c = 0; c < MTH_CHANCE_CLASSES; c++)
            chances[c] = (uint32_t)(c % 5 == 4   ? 1 + 4094 * (c & 1)
                                    : c % 5 == 3 ? 2048
                                                 : 1 + pattern_random(&seed) % 4095);
        for (size_t i = 0; i < n; i++)
            classes[i] = (uint8_t)(pattern_random(&seed) % MTH_CHANCE_CLASSES);
        struct mth_rans_wide_lanes lanes;
        mth_rans_wide_lanes_init(&lanes, n_lanes);
        for (size_t i = 0; i < n_lanes; i++)
            lanes.x[i] = (uint32_t)(0x8000 + pattern_random(&seed) % (round % 2 ? 0x7fff8000 : 0x8000));
        for (size_t k = 0; k < n_kernels; k++) {
            readers[k] =
                (struct mth_rans_wide_reader){.lanes = lanes, .in = words, .end = words + 2 * n_words};
            memset(flags[k], 0xee, sizeof flags[k]);
            good[k] = mth_chance_decode(kernels[k], chances, &readers[k], classes, flags[k], n);
            assert_int_equal(good[k], good[0]);
            if (!good[0])
                continue;
            assert_memory_equal(flags[k], flags[0], N);
            assert_ptr_equal(readers[k].in, readers[0].in);
            assert_memory_equal(readers[k].lanes.x, readers[0].lanes.x, n_lanes * sizeof lanes.x[0]);
        }
        guard_free(words, 2 * n_words);
    }
}

/* What the kernels of rans' wide mode wrote every kernel here reads. */
static void kernels_read_what_any_of_rans_wrote(void **state)
{
    enum { N = 70000 };
    static uint8_t symbols[N], classes[N], flags[N], room[2 * N];
    static struct mth_rans_wide_table table;
    const struct mth_chance_kernels *kernels[MAX_KERNELS];
    const struct mth_rans_wide_kernels *writers;
    uint32_t chances[MTH_CHANCE_CLASSES];
    size_t n_kernels = runnable(kernels);
    uint64_t seed = 9;
    (void)state;
    table.slot_bits = MTH_CHANCE_SLOT_BITS;
    for (uint32_t c = 0; c < MTH_CHANCE_CLASSES; c++) {
        chances[c] = c == 0 ? 1 : c == 15 ? 4095 : 270 * c;
        table.coders[c] = mth_rans_wide_coder_of(MTH_CHANCE_SLOTS - chances[c], chances[c]);
        table.coders[c + MTH_CHANCE_CLASSES] = mth_rans_wide_coder_of(chances[c], 0);
    }
    for (size_t i = 0; i < N; i++) {
        classes[i] = (uint8_t)(pattern_random(&seed) % MTH_CHANCE_CLASSES);
        bool up = pattern_random(&seed) % MTH_CHANCE_SLOTS < chances[classes[i]];
        symbols[i] = (uint8_t)(classes[i] + up * MTH_CHANCE_CLASSES);
    }
    for (size_t w = 0; (writers = mth_rans_wide_kernels_at(w)) != NULL; w++) {
        struct mth_rans_wide_writer writer = {.begin = room, .at = room + sizeof room};
        if ((writers->needs & mth_cpu_features()) != writers->needs)
            continue;
        mth_rans_wide_lanes_init(&writer.lanes, MTH_RANS_WIDE_LANES);
        assert_true(mth_rans_wide_encode(writers, &table, &writer, symbols, N));
        for (size_t k = 0; k < n_kernels; k++) {
            struct mth_rans_wide_reader reader = {
                .lanes = writer.lanes, .in = writer.at, .end = room + sizeof room};
            assert_true(mth_chance_decode(kernels[k], chances, &reader, classes, flags, N));
            assert_true(reader.in == reader.end && mth_rans_wide_lanes_at_start(&reader.lanes));
            for (size_t i = 0; i < N; i++)
                assert_int_equal(flags[i], symbols[i] / MTH_CHANCE_CLASSES);
        }
    }
}

/* ---- what a page says, and what breaks it ---- */

struct stream {
    uint8_t bytes[24];
    size_t n;
};

#define STREAM(...)                                     \
    {                                                   \
        {__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}) \
    }

/* The stand-ins of the page's example: 0080, 0100. */
static void set_example(void)
{
    mth_lane_store16(stand_ins, 0x0080);
    mth_lane_store16(stand_ins + 2, 0x0100);
    stand_ins[4] = 0;
}

static void the_page_s_example_decodes(void **state)
{
    static const struct {
        struct stream stream;
        size_t n;
        uint8_t elements[5];
    } cases[] = {
        {STREAM(0x01, 2, 0, 0, 8, 2, 0x22, 5, 1, 0), 4, {0x81, 0, 0, 1}},
        /* A tail, an exception at either end, one of each. */
        {STREAM(0x01, 2, 0, 0, 8, 2, 0x22, 5, 1, 0, 0x77), 5, {0x81, 0, 0, 1, 0x77}},
        {STREAM(0x01, 2, 0, 0, 8, 0, 2, 0, 1, 0x22, 5, 1, 0), 4, {0x82, 0, 0, 1}},
        {STREAM(0x01, 2, 0, 0, 8, 1, 0xff, 0xff, 0, 0x22, 5, 1, 0), 4, {0x81, 0, 0xff, 0}},
        {STREAM(0x01, 2, 0, 0, 8, 0, 2, 0, 0, 0, 0xff, 0, 0x22, 5, 1, 0), 4, {0x82, 0, 0, 0}},
        {STREAM(0x00, 1, 2, 3, 4), 4, {1, 2, 3, 4}},
    };
    struct rig rig;
    uint8_t out[5];
    (void)state;
    open_rig(&rig);
    set_example();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct stream *stream = &cases[i].stream;
        assert_int_equal(decode(&rig, stream->bytes, stream->n, cases[i].n, out), MTH_OK);
        assert_memory_equal(out, cases[i].elements, cases[i].n);
        for (size_t n = 0; n < stream->n; n++)
            assert_int_equal(decode(&rig, stream->bytes, n, cases[i].n, out), MTH_ERR_CORRUPT);
    }
    close_rig(&rig);
}

static void what_breaks_a_rule_of_the_page_is_refused(void **state)
{
    static const struct stream streams[] = {
        /* Heads: bit 3, other modes, 64 lanes, bit 7, a raw one with lanes or another length. */
        STREAM(0x09, 2, 0, 0, 8, 2, 0x22, 5, 1, 0),
        STREAM(0x02, 2, 0, 0, 8, 2, 0x22, 5, 1, 0),
        STREAM(0x61, 2, 0, 0, 8, 2, 0x22, 5, 1, 0),
        STREAM(0x81, 2, 0, 0, 8, 2, 0x22, 5, 1, 0),
        STREAM(0x10, 1, 2, 3, 4),
        STREAM(0x00, 1, 2, 3, 4, 5),
        /* Chances of 0, 4096 and more. */
        STREAM(0x01, 2, 0, 0, 0, 2, 0x22, 0x85, 0, 0),
        STREAM(0x01, 2, 0, 0, 0x10, 2, 0x22, 5, 1, 0),
        STREAM(0x01, 2, 0, 0xff, 0xff, 2, 0x22, 5, 1, 0),
        /* All classes named, and not so many chances. */
        STREAM(0x01, 0xff, 0xff, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8),
        /* Gaps that lead behind the end, the largest, one and another that comes back to the end, one longer than it need be, one without end, steps of 0 and 1. */
        STREAM(0x01, 2, 0, 0, 8, 3, 0x22, 5, 1, 0),
        STREAM(0x01, 2, 0, 0, 8, 1, 2, 0, 1, 0x22, 5, 1, 0),
        STREAM(0x01, 2, 0, 0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x22, 5, 1, 0),
        STREAM(0x01, 2, 0, 0, 8, 5, 2, 0, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x22, 5, 1,
               0),
        STREAM(0x01, 2, 0, 0, 8, 3, 2, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x22, 5, 1,
               0),
        STREAM(0x01, 2, 0, 0, 8, 0x82, 0, 0x22, 5, 1, 0),
        STREAM(0x01, 2, 0, 0, 8, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82),
        STREAM(0x01, 2, 0, 0, 8, 0, 0, 0, 1, 0x22, 5, 1, 0),
        STREAM(0x01, 2, 0, 0, 8, 0, 1, 0, 1, 0x22, 5, 1, 0),
        /* States too small, too large, that end elsewhere; a word that is left. */
        STREAM(0x01, 2, 0, 0, 8, 2, 0xff, 0x7f, 0, 0),
        STREAM(0x01, 2, 0, 0, 8, 2, 0x22, 5, 1, 0x80),
        STREAM(0x01, 2, 0, 0, 8, 2, 10, 0, 1, 0),
        STREAM(0x01, 2, 0, 0, 8, 2, 0x22, 5, 1, 0, 0, 0),
        /* 32 lanes, and the state of one. */
        STREAM(0x51, 2, 0, 0, 8, 2, 0x22, 5, 1, 0),
    };
    struct rig rig;
    uint8_t out[5];
    (void)state;
    open_rig(&rig);
    set_example();
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++)
        assert_int_equal(decode(&rig, streams[i].bytes, streams[i].n, 4, out), MTH_ERR_CORRUPT);
    /* The example without the elements it is of, with more of them, and without what it was coded against. */
    static const uint8_t example[] = {0x01, 2, 0, 0, 8, 2, 0x22, 5, 1, 0};
    assert_int_equal(decode(&rig, example, sizeof example, 0, out), MTH_ERR_CORRUPT);
    assert_int_equal(decode(&rig, example, sizeof example, 2, out), MTH_ERR_CORRUPT);
    assert_int_equal(decode(&rig, example, sizeof example, 5, out), MTH_ERR_CORRUPT);
    memset(stand_ins, 0, 4);
    assert_int_equal(decode(&rig, example, sizeof example, 4, out), MTH_ERR_CORRUPT);
    close_rig(&rig);
}

/* All else in these is right: they end as 2^15, and no word is left. Only where the state begins no encoder's does. */
static void states_out_of_their_bounds_are_refused(void **state)
{
    static const struct {
        struct stream stream;
        size_t n;
    } cases[] = {
        /* 0 and 800 leave 0, and the word 8000 comes in. */
        {STREAM(0x01, 2, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0x80), 2},
        {STREAM(0x01, 2, 0, 0, 8, 1, 0, 8, 0, 0, 0, 0x80), 2},
        /* A chance of all slots leaves a state as it is. */
        {STREAM(0x01, 2, 0, 0, 0x10, 1, 0, 0x80, 0, 0), 2},
        /* 80000000, 80000, 80 and a word, 800 and a word, 8000, with one slot for "up". */
        {STREAM(0x01, 2, 0, 1, 0, 4, 0, 0, 0, 0x80, 0, 0, 0, 0), 8},
    };
    struct rig rig;
    uint8_t out[8];
    (void)state;
    open_rig(&rig);
    for (size_t i = 0; i < sizeof out / 2; i++)
        mth_lane_store16(stand_ins + 2 * i, 0x0080);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(decode(&rig, cases[i].stream.bytes, cases[i].stream.n, cases[i].n, out),
                         MTH_ERR_CORRUPT);
    /* One within them: 10000 leaves 8000. */
    static const uint8_t least[] = {0x01, 2, 0, 0, 8, 1, 0, 0, 1, 0};
    assert_int_equal(decode(&rig, least, sizeof least, 2, out), MTH_OK);
    assert_int_equal(mth_lane_load16(out), 0x0081);
    close_rig(&rig);
}

/* Streams with a bit turned, and with words cut off, end; one byte too many does not pass. */
static void damage_ends(void **state)
{
    enum { N = 3000 };
    static uint8_t bad[2 * N], out[2 * N];
    struct rig rig;
    (void)state;
    open_rig(&rig);
    fill(N, by_distance, 21);
    mth_lane_store16(elements + 2 * 77, 0x1234);
    size_t n = code(&rig, 2 * N);
    memcpy(bad, coded, n);
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(decode(&rig, bad, cut, 2 * N, out), MTH_ERR_CORRUPT);
    bad[n] = 0;
    assert_int_equal(decode(&rig, bad, n + 1, 2 * N, out), MTH_ERR_CORRUPT);
    for (size_t bit = 0; bit < 8 * n; bit += bit < 512 ? 1 : 5) {
        bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int status = decode(&rig, bad, n, 2 * N, out);
        assert_true(status == MTH_OK || status == MTH_ERR_CORRUPT);
        bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    close_rig(&rig);
}

/* All is right in these but that lanes are more than 32: of 2^16 a half and nothing leave 2^15, with which the others began. */
static void more_lanes_than_there_can_be_are_refused(void **state)
{
    static const uint8_t front[] = {2, 0, 0, 8, 2};
    enum { MAX_LOG2 = 8 };
    uint8_t stream[1 + sizeof front + (4 << MAX_LOG2)], out[4];
    struct rig rig;
    (void)state;
    open_rig(&rig);
    for (size_t i = 0; i < sizeof out / 2; i++)
        mth_lane_store16(stand_ins + 2 * i, 0x0080);
    for (unsigned log2 = 5; log2 <= MAX_LOG2; log2++) {
        size_t n_lanes = (size_t)1 << log2;
        stream[0] = (uint8_t)(log2 << 4 | 1);
        memcpy(stream + 1, front, sizeof front);
        for (size_t i = 0; i < n_lanes; i++)
            mth_lane_store32(stream + 1 + sizeof front + 4 * i, i < 2 ? 0x10000 : 0x8000);
        assert_int_equal(decode(&rig, stream, 1 + sizeof front + 4 * n_lanes, sizeof out, out),
                         log2 == 5 ? MTH_OK : MTH_ERR_CORRUPT);
    }
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_takes_what_chance_leaves_and_its_states),
        cmocka_unit_test(every_length_comes_back_whatever_is_neither_of_both),
        cmocka_unit_test(kernels_agree_on_any_words),
        cmocka_unit_test(kernels_read_what_any_of_rans_wrote),
        cmocka_unit_test(the_page_s_example_decodes),
        cmocka_unit_test(what_breaks_a_rule_of_the_page_is_refused),
        cmocka_unit_test(states_out_of_their_bounds_are_refused),
        cmocka_unit_test(more_lanes_than_there_can_be_are_refused),
        cmocka_unit_test(damage_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
