/* ulp-rans on bytes that no encoder made: streams cut short or with bits turned, and ones written by hand, field by field. */
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "tests/support/ulp_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* ---- streams cut short, and with a bit turned ---- */

static const struct {
    enum mth_dtype dtype;
    enum ulp_pair pair;
    size_t n_elems;
} victims[] = {{MTH_DTYPE_BF16, ULP_TRAINED, 700}, {MTH_DTYPE_BF16, ULP_ROWS, 3000},
               {MTH_DTYPE_F16, ULP_EDGES, 500},    {MTH_DTYPE_F32, ULP_STEPS, 600},
               {MTH_DTYPE_F64, ULP_STEPS, 300},    {MTH_DTYPE_F8_E4M3, ULP_DENSE, 600},
               {MTH_DTYPE_I8, ULP_STEPS, 900},     {MTH_DTYPE_I64, ULP_ROWS, 1500},
               {MTH_DTYPE_U16, ULP_SAME, 100},     {MTH_DTYPE_F32, ULP_RANDOM, 30}};

static void damage_ends_the_same_way_by_every_kernel(void **state)
{
    (void)state;
    static uint8_t src[1 << 15], base[1 << 15], bad[1 << 15];
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    size_t n_grouped = 0, n_raw = 0;
    for (size_t v = 0; v < sizeof victims / sizeof victims[0]; v++) {
        size_t n = victims[v].n_elems * mth_dtype_lane_bytes(victims[v].dtype) + v % 3;
        ulp_fill(victims[v].pair, victims[v].dtype, 5, src, base, victims[v].n_elems + 1);
        struct ulp_stream stream = ulp_rig_code(&rig, victims[v].dtype, src, n, base, n);
        n_grouped += ulp_head_of(&stream) & MTH_ULP_GROUPED ? 1 : 0;
        n_raw += stream.coded[0] == MTH_ULP_RAW;
        for (size_t cut = 0; cut < stream.n_coded; cut++)
            assert_int_equal(ulp_rig_decode(&rig, &stream, stream.coded, cut), MTH_ERR_CORRUPT);
        memcpy(bad, stream.coded, stream.n_coded);
        bad[stream.n_coded] = 0;
        assert_int_equal(ulp_rig_decode(&rig, &stream, bad, stream.n_coded + 1), MTH_ERR_CORRUPT);
        for (size_t bit = 0; bit < 8 * stream.n_coded; bit++) {
            bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
            int status = ulp_rig_decode(&rig, &stream, bad, stream.n_coded);
            assert_true(status == MTH_OK || status == MTH_ERR_CORRUPT);
            bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(ulp_rig_decode(&rig, &stream, bad, stream.n_coded), MTH_OK);
        ulp_stream_free(&stream);
    }
    assert_true(n_grouped >= 2 && n_raw == 1);
    ulp_rig_close(&rig);
}

/* The same of blocks in which anything may stand behind a good head. */
static void garbage_ends_the_same_way_by_every_kernel(void **state)
{
    (void)state;
    enum { N = 4000, ROOM = 900 };
    static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16, MTH_DTYPE_F32, MTH_DTYPE_U8, MTH_DTYPE_F64};
    static uint8_t src[N], base[N], bad[ROOM];
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    uint64_t random = 1;
    for (size_t trial = 0; trial < 4000; trial++) {
        struct ulp_stream stream = {
            .dtype = dtypes[trial % 4], .src = src, .base = base, .n = N, .n_base = N};
        size_t n_bad = 200 + pattern_random(&random) % (ROOM - 200);
        pattern_fill(PATTERN_RANDOM, trial, bad, n_bad);
        pattern_fill(PATTERN_RANDOM, trial, base, N);
        const uint8_t begin[] = {MTH_ULP_CODED,
                                 (uint8_t)((n_bad - 3) | 0x80),
                                 (uint8_t)((n_bad - 3) >> 7),
                                 (uint8_t)(MTH_ULP_CHANGES | (pattern_random(&random) & 0x7c)),
                                 (uint8_t)pattern_random(&random),
                                 0,
                                 (uint8_t)(1u << trial % 5),
                                 0,
                                 (uint8_t)(1 + trial % 255)};
        memcpy(bad, begin, sizeof begin);
        ulp_rig_decode(&rig, &stream, bad, n_bad);
    }
    ulp_rig_close(&rig);
}

/* ---- streams written by hand ---- */

/* One block with one context, in 32 lanes of flags and one of symbols; bit i of lanes: lane i says that its element changed. */
struct hand {
    uint8_t head, used, changed;
    int shift; /* -1: the type has none */
    uint16_t mask;
    uint8_t n_freqs, freqs[4];
    uint8_t n_changed, n_extra, extra[8], n_map, map[4], signs;
    uint8_t high, symbols[2], n_payload; /* of symbols: zeros */
    uint32_t lanes;
};

/* The example of spec.md: element 1 of two goes down by 2. */
static const struct hand example = {.head = 1,
                                    .used = 1,
                                    .changed = 0x80,
                                    .shift = -1,
                                    .mask = 3,
                                    .n_freqs = 1,
                                    .freqs = {0x80},
                                    .n_changed = 1,
                                    .signs = 1,
                                    .high = 2,
                                    .lanes = 2,
                                    .symbols = {2, 0x80}};

static size_t assemble(const struct hand *hand, uint8_t *out)
{
    size_t n = 2;
    out[0] = MTH_ULP_CODED;
    out[n++] = hand->head;
    n += 2; /* top */
    memset(out + n - 2, 0, 2);
    out[n++] = hand->used;
    out[n++] = 0;
    out[n++] = hand->changed;
    if (hand->shift >= 0)
        out[n++] = (uint8_t)hand->shift;
    out[n++] = (uint8_t)hand->mask;
    out[n++] = (uint8_t)(hand->mask >> 8);
    memcpy(out + n, hand->freqs, hand->n_freqs);
    n += hand->n_freqs;
    out[n++] = hand->n_changed;
    out[n++] = hand->n_extra;
    if (hand->head & MTH_ULP_GROUPED) {
        out[n++] = hand->n_map;
        memcpy(out + n, hand->map, hand->n_map);
        n += hand->n_map;
    }
    bool carries = hand->head & MTH_ULP_CARRIES;
    if (!carries)
        out[n++] = hand->signs;
    memcpy(out + n, hand->extra, hand->n_extra);
    n += hand->n_extra;
    memset(out + n, hand->high, MTH_ULP_GROUP);
    n += MTH_ULP_GROUP;
    for (size_t i = 0; i < MTH_ULP_GROUP; i++)
        out[n++] = (uint8_t)((hand->lanes >> i & 1 ? 0 : 0x80) + (carries && i == 0 ? hand->signs : 0));
    out[n++] = hand->symbols[0];
    out[n++] = hand->symbols[1];
    memset(out + n, 0, hand->n_payload);
    n += hand->n_payload;
    out[1] = (uint8_t)(n - 2);
    return n;
}

/* What n elements of a dtype become, all of whose bases are 0x10. */
static int decode_hand(struct ulp_rig *rig, const struct hand *hand, enum mth_dtype dtype, size_t n_elems,
                       uint8_t *dst)
{
    uint8_t bytes[200], base[512];
    size_t n = n_elems * mth_dtype_lane_bytes(dtype), n_bytes = assemble(hand, bytes);
    struct ulp_stream stream = {.dtype = dtype, .src = base, .base = base, .n = n, .n_base = n};
    for (size_t i = 0; i < n_elems; i++)
        ulp_store(base + i * mth_dtype_lane_bytes(dtype), 0x10, mth_dtype_info(dtype)->lane_bits);
    int status = ulp_rig_decode(rig, &stream, bytes, n_bytes);
    struct mth_context_part part = {.kind = MTH_CONTEXT_REFERENCE, .bytes = {base, n}};
    struct mth_decode_job job = {.src = {bytes, n_bytes},
                                 .type = mth_symbol_type_of(dtype),
                                 .context = {&part, 1},
                                 .dst = dst,
                                 .dst_bytes = n};
    assert_int_equal(rig->codec->decode(rig->states[0], &job, 1), status);
    return status;
}

static void the_example_of_the_spec_decodes(void **state)
{
    (void)state;
    struct ulp_rig rig;
    uint8_t bytes[200], dst[2];
    ulp_rig_open(&rig);
    static const uint8_t begin[] = {0x01, 0x4e, 0x01, 0x00, 0x00, 0x01, 0x00, 0x80,
                                    0x03, 0x00, 0x80, 0x01, 0x00, 0x01, 0x02, 0x02};
    assert_int_equal(assemble(&example, bytes), 80);
    assert_memory_equal(bytes, begin, sizeof begin);
    assert_int_equal(decode_hand(&rig, &example, MTH_DTYPE_U8, 2, dst), MTH_OK);
    assert_int_equal(dst[0], 0x10);
    assert_int_equal(dst[1], 0x0e);
    ulp_rig_close(&rig);
}

static void expect(struct ulp_rig *rig, const struct hand *hand, enum mth_dtype dtype, size_t n_elems,
                   int status, const char *what)
{
    uint8_t dst[512];
    if (decode_hand(rig, hand, dtype, n_elems, dst) != status)
        fail_msg("%s: is not what it should be", what);
}

/* The example with a field or two that are other than they should be. */
static void fields_out_of_range_are_refused(void **state)
{
    (void)state;
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    static const uint8_t heads[] = {0, 2, 4, 5, 0x45, 0x81, 0xc1, 1 | 7 << 3, 1 | 1 << 3, 1 | 6 << 3};
    for (size_t i = 0; i < sizeof heads; i++) {
        struct hand bad = example;
        bad.head = heads[i];
        expect(&rig, &bad, MTH_DTYPE_U8, 2, MTH_ERR_CORRUPT, "a head");
    }
    static const struct {
        size_t at;
        uint8_t value;
        const char *what;
    } fields[] = {
        {offsetof(struct hand, used), 0, "no context"},
        {offsetof(struct hand, used), 2, "another context"},
        {offsetof(struct hand, changed), 0, "a context that never changes"},
        {offsetof(struct hand, mask), 2, "no symbol 0"},
        {offsetof(struct hand, mask), 7, "a frequency that is not there"},
        {offsetof(struct hand, freqs), 0, "a frequency of 0"},
        {offsetof(struct hand, n_changed), 0, "nothing changed"},
        {offsetof(struct hand, n_changed), 2, "more changed"},
        {offsetof(struct hand, n_changed), 3, "more changed than there is"},
        {offsetof(struct hand, n_extra), 1, "bits that nobody reads"},
        {offsetof(struct hand, signs), 3, "a sign of nobody"},
        {offsetof(struct hand, high), 0, "a state below its range"},
        {offsetof(struct hand, high), 1, "states that end elsewhere"},
        {offsetof(struct hand, lanes), 3, "an element that did not change"},
        {offsetof(struct hand, lanes), 0, "no element that did"},
        {offsetof(struct hand, symbols), 0, "a symbol's state below its range"},
        {offsetof(struct hand, symbols), 3, "a symbol's state that ends elsewhere"},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct hand bad = example;
        ((uint8_t *)&bad)[fields[i].at] = fields[i].value;
        expect(&rig, &bad, MTH_DTYPE_U8, 2, MTH_ERR_CORRUPT, fields[i].what);
    }
    struct hand bad = example;
    /* Without the rule this one would end where it should: 129, then 1, then 256 with the byte. */
    bad.symbols[0] = 0;
    bad.symbols[1] = 0x81;
    bad.n_payload = 1;
    expect(&rig, &bad, MTH_DTYPE_U8, 2, MTH_ERR_CORRUPT, "a state below its range");
    bad = example;
    bad.n_payload = 1;
    expect(&rig, &bad, MTH_DTYPE_U8, 2, MTH_ERR_CORRUPT, "a byte that no state takes");
    /* Where nothing changes, and all else is as it should be, a block says so in its head. */
    bad = example;
    bad.head |= MTH_ULP_CARRIES;
    bad.n_changed = bad.signs = bad.symbols[1] = 0;
    bad.lanes = 0;
    bad.symbols[0] = 1;
    expect(&rig, &bad, MTH_DTYPE_U8, 2, MTH_ERR_CORRUPT, "nothing that changed");
    bad = example;
    bad.mask = 7;
    bad.n_freqs = 2;
    bad.freqs[1] = 0x80; /* nothing left for the last one */
    expect(&rig, &bad, MTH_DTYPE_U8, 2, MTH_ERR_CORRUPT, "frequencies that fill all slots");
    bad.freqs[1] = 0x7f;
    expect(&rig, &bad, MTH_DTYPE_U8, 2, MTH_ERR_CORRUPT, "a symbol of 127 slots, with a state made for 128");
    ulp_rig_close(&rig);
}

/* The example with more lanes of symbols: the others' states are as they began. 128 are not taken, though they are all there. */
static void lanes_of_symbols_are_64_at_most(void **state)
{
    (void)state;
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (unsigned log2 = 0; log2 < 8; log2++) {
        enum { HEAD = 2, FRONT = 78 /* with the mode and the length, to the states of symbols */ };
        uint8_t bytes[200], body[400] = {0}, stream[404] = {MTH_ULP_CODED}, base[2] = {0x10, 0x10};
        size_t n_lanes = (size_t)1 << log2, n = FRONT - HEAD;
        assert_int_equal(assemble(&example, bytes), FRONT + 2);
        memcpy(body, bytes + HEAD, n);
        body[0] = (uint8_t)(1 | log2 << MTH_ULP_LANES_SHIFT);
        memset(body + n, 1, n_lanes);
        body[n] = bytes[FRONT];
        body[n + n_lanes] = bytes[FRONT + 1];
        n += 2 * n_lanes;
        size_t n_front = 1 + mth_varint_put(stream + 1, n);
        memcpy(stream + n_front, body, n);
        struct ulp_stream hand = {.dtype = MTH_DTYPE_U8, .src = base, .base = base, .n = 2, .n_base = 2};
        assert_int_equal(ulp_rig_decode(&rig, &hand, stream, n_front + n),
                         log2 < 7 ? MTH_OK : MTH_ERR_CORRUPT);
    }
    ulp_rig_close(&rig);
}

/* The example with its sign in the state of lane 0: 257, where any other lane, and any other bit, is an error. */
static void signs_come_out_of_states(void **state)
{
    (void)state;
    struct ulp_rig rig;
    uint8_t dst[2], bytes[200];
    ulp_rig_open(&rig);
    struct hand hand = example;
    hand.head |= MTH_ULP_CARRIES;
    assert_int_equal(assemble(&hand, bytes), 79);
    assert_int_equal(decode_hand(&rig, &hand, MTH_DTYPE_U8, 2, dst), MTH_OK);
    assert_int_equal(dst[1], 0x0e);
    hand.signs = 0;
    assert_int_equal(decode_hand(&rig, &hand, MTH_DTYPE_U8, 2, dst), MTH_OK);
    assert_int_equal(dst[1], 0x12);
    for (hand.signs = 2; hand.signs < 128; hand.signs++)
        expect(&rig, &hand, MTH_DTYPE_U8, 2, MTH_ERR_CORRUPT, "a sign of nobody");
    hand.signs = 1;
    hand.symbols[1] ^= 1;
    expect(&rig, &hand, MTH_DTYPE_U8, 2, MTH_ERR_CORRUPT, "a sign byte too many");
    hand.symbols[1] ^= 1;
    hand.high = 3;
    expect(&rig, &hand, MTH_DTYPE_U8, 2, MTH_ERR_CORRUPT, "states that end elsewhere");
    ulp_rig_close(&rig);
}

static void shifts_are_at_most_two_bits_below_the_lane(void **state)
{
    (void)state;
    static const struct {
        enum mth_dtype dtype;
        uint8_t shift, n_extra;
        int status;
    } wanted[] = {{MTH_DTYPE_U32, 30, 4, MTH_OK},          {MTH_DTYPE_U32, 31, 4, MTH_ERR_CORRUPT},
                  {MTH_DTYPE_U64, 62, 8, MTH_OK},          {MTH_DTYPE_U64, 63, 8, MTH_ERR_CORRUPT},
                  {MTH_DTYPE_U64, 64, 8, MTH_ERR_CORRUPT}, {MTH_DTYPE_U32, 8, 1, MTH_OK},
                  {MTH_DTYPE_U32, 8, 2, MTH_ERR_CORRUPT},  {MTH_DTYPE_U32, 9, 1, MTH_ERR_CORRUPT}};
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct hand hand = example;
        hand.shift = wanted[i].shift;
        hand.n_extra = wanted[i].n_extra;
        hand.extra[0] = 5;
        uint8_t dst[16];
        if (decode_hand(&rig, &hand, wanted[i].dtype, 2, dst) != wanted[i].status)
            fail_msg("a shift of %u in %u bits", wanted[i].shift, mth_dtype_info(wanted[i].dtype)->lane_bits);
        if (wanted[i].status == MTH_OK) {
            unsigned bits = mth_dtype_info(wanted[i].dtype)->lane_bits;
            uint64_t m = ((uint64_t)1 << wanted[i].shift | 5) + 1, x = (0x10 - m) & UINT64_MAX >> (64 - bits);
            assert_int_equal(ulp_load(dst + bits / 8, bits), x);
        }
    }
    /* The symbol 0 alone, whose step any shift leaves within the lane: the rule is all that refuses it. */
    struct hand hand = example;
    hand.mask = 1;
    hand.n_freqs = 0;
    hand.symbols[0] = 1;
    hand.symbols[1] = 0;
    hand.n_extra = 4;
    for (hand.shift = 30; hand.shift < 32; hand.shift++)
        expect(&rig, &hand, MTH_DTYPE_U32, 2, hand.shift == 30 ? MTH_OK : MTH_ERR_CORRUPT, "a shift of 31");
    ulp_rig_close(&rig);
}

/* A symbol beside 0, with its bits. */
static void steps_beyond_the_lane_are_refused(void **state)
{
    (void)state;
    static const struct {
        unsigned symbol;
        uint8_t n_extra, extra;
        int status;
        unsigned m;
    } wanted[] = {
        {7, 0, 0, MTH_OK, 8},           {8, 1, 0, MTH_OK, 9},
        {8, 1, 1, MTH_OK, 10},          {8, 1, 2, MTH_ERR_CORRUPT, 0},
        {8, 0, 0, MTH_ERR_CORRUPT, 0},  {8, 2, 0, MTH_ERR_CORRUPT, 0},
        {13, 1, 57, MTH_OK, 128},       {13, 1, 58, MTH_ERR_CORRUPT, 0},
        {14, 1, 0, MTH_ERR_CORRUPT, 0}, {15, 1, 127, MTH_OK, 128},
        {15, 1, 0, MTH_OK, 1},          {15, 1, 128, MTH_ERR_CORRUPT, 0},
    };
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct hand hand = example;
        uint8_t dst[2];
        hand.mask = (uint16_t)(1 | 1u << wanted[i].symbol);
        hand.n_extra = wanted[i].n_extra;
        hand.extra[0] = wanted[i].extra;
        if (decode_hand(&rig, &hand, MTH_DTYPE_U8, 2, dst) != wanted[i].status)
            fail_msg("symbol %u with %u in %u bytes", wanted[i].symbol, wanted[i].extra, wanted[i].n_extra);
        if (wanted[i].status == MTH_OK)
            assert_int_equal(dst[1], (uint8_t)(0x10 - wanted[i].m));
    }
    ulp_rig_close(&rig);
}

static void elements_that_are_not_there_do_not_change(void **state)
{
    (void)state;
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    struct hand hand = example;
    uint8_t dst[40];
    /* Elements 0 and 1 change, by a symbol each. */
    hand.n_changed = 2;
    hand.lanes = 3;
    hand.symbols[0] = 5; /* 1408: 640 with another symbol 1 in front of it */
    assert_int_equal(decode_hand(&rig, &hand, MTH_DTYPE_U8, 2, dst), MTH_OK);
    assert_int_equal(dst[0], 0x0e);
    assert_int_equal(dst[1], 0x12);
    expect(&rig, &hand, MTH_DTYPE_U8, 1, MTH_ERR_CORRUPT, "more changes than elements");
    /* Elements 0 and 5. */
    hand.lanes = 1 | 1 << 5;
    assert_int_equal(decode_hand(&rig, &hand, MTH_DTYPE_U8, 6, dst), MTH_OK);
    assert_int_equal(dst[5], 0x12);
    for (size_t n = 2; n < 6; n++)
        expect(&rig, &hand, MTH_DTYPE_U8, n, MTH_ERR_CORRUPT, "an element behind the last");
    ulp_rig_close(&rig);
}

/* 40 elements are two groups, of which a map in a raw stream of rans names some. */
static void maps_name_groups_that_there_are(void **state)
{
    (void)state;
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    static const struct {
        uint8_t n_map, map[3];
        int status;
    } wanted[] = {{2, {0, 1}, MTH_OK},          {2, {0, 2}, MTH_OK},          {2, {0, 0}, MTH_ERR_CORRUPT},
                  {2, {0, 5}, MTH_ERR_CORRUPT}, {2, {0, 3}, MTH_ERR_CORRUPT}, {3, {0, 1, 0}, MTH_ERR_CORRUPT},
                  {1, {0}, MTH_ERR_CORRUPT},    {0, {0}, MTH_ERR_CORRUPT},    {2, {1, 1}, MTH_OK},
                  {2, {7, 1}, MTH_ERR_CORRUPT}, {2, {11, 1}, MTH_ERR_CORRUPT}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct hand hand = example;
        uint8_t dst[40];
        hand.head |= MTH_ULP_GROUPED;
        hand.n_map = wanted[i].n_map;
        memcpy(hand.map, wanted[i].map, 3);
        if (decode_hand(&rig, &hand, MTH_DTYPE_U8, sizeof dst, dst) != wanted[i].status)
            fail_msg("map %zu", i);
        for (size_t e = 0; wanted[i].status == MTH_OK && e < sizeof dst; e++)
            assert_int_equal(dst[e], e == (wanted[i].map[1] == 2 ? 33 : 1) ? 0x0e : 0x10);
    }
    ulp_rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_ends_the_same_way_by_every_kernel),
        cmocka_unit_test(garbage_ends_the_same_way_by_every_kernel),
        cmocka_unit_test(the_example_of_the_spec_decodes),
        cmocka_unit_test(fields_out_of_range_are_refused),
        cmocka_unit_test(lanes_of_symbols_are_64_at_most),
        cmocka_unit_test(signs_come_out_of_states),
        cmocka_unit_test(shifts_are_at_most_two_bits_below_the_lane),
        cmocka_unit_test(steps_beyond_the_lane_are_refused),
        cmocka_unit_test(elements_that_are_not_there_do_not_change),
        cmocka_unit_test(maps_name_groups_that_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
