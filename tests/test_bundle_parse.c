/* Laws of what is refused of a bundle's plan: plans written by hand, each right but for one thing. Its checksum says nothing of who wrote it. */
#include "base/checked.h"
#include "pipeline/bundle.h"
#include "tests/support/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In place of a number: the 8 bytes of a digest, the 4 of a setting; and the end. */
#define DIGEST  (UINT64_MAX - 1)
#define SETTING (UINT64_MAX - 2)
#define END     (UINT64_MAX - 3)

enum {
    MAX_NUMBERS = 48,
    CODED = MTH_CHUNK_CODED,
    STORED = MTH_CHUNK_STORED,
    COPY = MTH_CHUNK_COPY_OF_BASE,
    PREDICTED = MTH_CHUNK_PREDICTED,
    AS_PREDICTED = MTH_CHUNK_AS_PREDICTED,
    U8 = MTH_DTYPE_U8,
    BF16 = MTH_DTYPE_BF16,
    SELF = MTH_FROM_SELF,
    BASE = MTH_FROM_BASE,
    STORE = 0,
    DELTA = 1,
    SPLIT = 2 /* specs of the front */
};

static struct mth_memory *memory;
static struct mth_coder_spec specs[3];
/* 50 elements of bf16 and 50 of fp32; behind them one that is none. */
static struct mth_reference references[] = {{.n_bytes = 100, .dtype = MTH_DTYPE_BF16},
                                            {.n_bytes = 200, .dtype = MTH_DTYPE_F32},
                                            {.n_bytes = 100, .dtype = MTH_DTYPE_BF16}};
static const struct mth_container_front front = {.specs = {&specs[0], &specs[1], &specs[2]},
                                                 .n_specs = 3,
                                                 .references = references,
                                                 .n_references = 2,
                                                 .n_of_base = 2};

static int begin(void **state)
{
    static const char *const texts[] = {"store", "delta-xor+store", "exponent-split+store/store"};
    struct mth_error err;
    (void)state;
    memory = mth_memory_create(0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(mth_pipeline_parse(texts[i], i == DELTA, &specs[i].pipeline, &err), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        mth_pipeline_destroy(specs[i].pipeline);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    return 0;
}

/* The status of a body of payloads, a plan, and the tail that belongs to it; n_more: what the tail adds to the plan's length. */
static int parse(const uint8_t *plan, size_t n_plan, size_t n_payload, size_t n_raw, uint32_t n_more)
{
    size_t n = n_payload + n_plan + MTH_BUNDLE_TAIL_BYTES;
    uint8_t *body = guard_alloc(n), *tail = body + n_payload + n_plan;
    struct mth_bundle *bundle = calloc(1, sizeof *bundle);
    const struct mth_bundle_decoder decoder = {.front = &front, .chunk_bytes = 1 << 20};
    struct mth_error err = {0};
    assert_non_null(bundle);
    bundle->memory = memory;
    memset(body, 0, n);
    memcpy(body + n_payload, plan, n_plan);
    mth_store32(tail, (uint32_t)n_plan + n_more);
    mth_store32(tail + 4, (uint32_t)n_raw);
    int status = mth_bundle_parse(&decoder, (struct mth_bytes){body, n}, 0, bundle, &err);
    mth_bundle_free(bundle);
    free(bundle);
    guard_free(body, n);
    return status;
}

struct plan {
    const char *what;
    size_t n_raw, n_payload;
    bool is_right;
    uint64_t numbers[MAX_NUMBERS];
};

static int status_of(const struct plan *plan)
{
    uint8_t bytes[8 * MAX_NUMBERS + 64];
    size_t n = 0;
    for (const uint64_t *at = plan->numbers; *at != END; at++) {
        if (*at == DIGEST || *at == SETTING) {
            size_t n_zeros = *at == DIGEST ? 8 : 4;
            memset(bytes + n, 0, n_zeros);
            n += n_zeros;
        } else {
            n += mth_varint_put(bytes + n, *at);
        }
    }
    return parse(bytes, n, plan->n_payload, plan->n_raw, 0);
}

/* One segment, from a gap on. */
#define AT(gap, n) 1, (gap), (n)
#define WIDE       ((uint64_t)1 << 32)

static const struct plan plans[] = {
    {"a stored chunk", 10, 10, true, {1, STORED, U8, AT(0, 10), END}},
    {"of a type that is none", 10, 10, false, {1, STORED, MTH_N_DTYPES, AT(0, 10), END}},
    {"of a mode that is none", 10, 10, false, {1, 7, U8, AT(0, 10), END}},
    {"with less than there is", 10, 9, false, {1, STORED, U8, AT(0, 10), END}},
    {"with more than it takes", 10, 11, false, {1, STORED, U8, AT(0, 10), END}},
    {"with a number more", 10, 10, false, {1, STORED, U8, AT(0, 10), 0, END}},
    {"no chunks", 10, 0, false, {0, END}},
    /* Segments. */
    {"two segments", 10, 10, true, {1, STORED, U8, 2, 0, 4, 0, 6, END}},
    {"no segments", 10, 0, false, {1, STORED, U8, 0, END}},
    {"an empty segment", 10, 10, false, {1, STORED, U8, 2, 0, 0, 0, 10, END}},
    {"a segment that ends behind", 10, 11, false, {1, STORED, U8, AT(0, 11), END}},
    {"one that goes back to the front", 10, 10, false, {1, STORED, U8, 2, 5, 5, 0 - (uint64_t)10, 5, END}},
    {"one of 4 GiB more", 10, 0, false, {1, COPY, BF16, AT(0, WIDE + 10), 1, BASE, DIGEST, 0, 0, END}},
    {"a gap that nobody fills", 10, 9, false, {1, STORED, U8, AT(1, 9), END}},
    {"chunks in turn", 10, 10, true, {2, STORED, U8, AT(5, 5), STORED, U8, AT(0, 5), END}},
    {"chunks that overlap", 10, 10, false, {2, STORED, U8, AT(0, 5), STORED, U8, AT(2, 5), END}},
    /* Places in the base. */
    {"a copy", 10, 0, true, {1, COPY, BF16, AT(0, 10), 1, BASE, DIGEST, 0, 90, END}},
    {"of nothing", 10, 0, false, {1, COPY, BF16, AT(0, 10), 0, END}},
    {"of two", 10, 0, false, {1, COPY, BF16, AT(0, 10), 2, BASE, DIGEST, 0, 90, END}},
    {"of itself", 10, 0, false, {1, COPY, BF16, AT(0, 10), 1, SELF, DIGEST, 0, 90, END}},
    {"that ends behind", 10, 0, false, {1, COPY, BF16, AT(0, 10), 1, BASE, DIGEST, 0, 92, END}},
    {"that begins behind", 10, 0, false, {1, COPY, BF16, AT(0, 10), 1, BASE, DIGEST, 0, 102, END}},
    {"of a reference before the first", 10, 0, false, {1, COPY, BF16, AT(0, 10), 1, BASE, DIGEST, 1, 0, END}},
    {"of one behind the last", 10, 0, false, {1, COPY, BF16, AT(0, 10), 1, BASE, DIGEST, 4, 0, END}},
    {"converted", 10, 0, true, {1, COPY, BF16, AT(0, 10), 1, BASE, DIGEST, 2, 90, END}},
    {"converted, from behind", 10, 0, false, {1, COPY, BF16, AT(0, 10), 1, BASE, DIGEST, 2, 92, END}},
    {"converted, from half an element", 10, 0, false, {1, COPY, BF16, AT(0, 10), 1, BASE, DIGEST, 2, 1, END}},
    {"converted, to half of one", 9, 0, false, {1, COPY, BF16, AT(0, 9), 1, BASE, DIGEST, 2, 0, END}},
    {"of a type that is not converted", 10, 0, false, {1, COPY, U8, AT(0, 10), 1, BASE, DIGEST, 0, 0, END}},
    {"with half a digest", 10, 0, false, {1, COPY, BF16, AT(0, 10), 1, BASE, SETTING, END}},
    /* What is coded. */
    {"a coded chunk", 10, 9, true, {1, CODED, BF16, AT(0, 10), 0, STORE, 9, 0, END}},
    {"that did not shrink", 10, 10, false, {1, CODED, BF16, AT(0, 10), 0, STORE, 10, 0, END}},
    {"by no spec", 10, 9, false, {1, CODED, BF16, AT(0, 10), 0, 3, 9, 0, END}},
    {"with an entry that is not there", 10, 9, false, {1, CODED, BF16, AT(0, 10), 0, STORE, 9, 1, END}},
    {"a difference", 10, 9, true, {1, CODED, BF16, AT(0, 10), 1, BASE, DIGEST, 0, 0, DELTA, 9, 0, END}},
    {"a difference from nothing", 10, 9, false, {1, CODED, BF16, AT(0, 10), 0, DELTA, 9, 0, END}},
    {"of another type than its spec takes", 10, 9, false, {1, CODED, U8, AT(0, 10), 0, SPLIT, 9, 0, END}},
    /* Predictions. */
    {"as an earlier one",
     20,
     10,
     true,
     {2, STORED, BF16, AT(0, 10), AS_PREDICTED, BF16, AT(10, 10), MTH_PREDICT_SAME, 1, SELF, 0, END}},
    {"as itself",
     20,
     10,
     false,
     {2, STORED, BF16, AT(0, 10), AS_PREDICTED, BF16, AT(10, 10), MTH_PREDICT_SAME, 1, SELF, 1, END}},
    {"as a shorter one",
     18,
     8,
     false,
     {2, STORED, BF16, AT(0, 8), AS_PREDICTED, BF16, AT(8, 10), MTH_PREDICT_SAME, 1, SELF, 0, END}},
    {"of one too many",
     20,
     10,
     false,
     {2, STORED, BF16, AT(0, 10), AS_PREDICTED, BF16, AT(10, 10), MTH_PREDICT_SAME, 2, SELF, 0, SELF, 0,
      END}},
    {"of nothing",
     20,
     10,
     false,
     {2, STORED, BF16, AT(0, 10), AS_PREDICTED, BF16, AT(10, 10), MTH_PREDICT_SAME, 0, END}},
    {"by nothing",
     20,
     10,
     false,
     {2, STORED, BF16, AT(0, 10), AS_PREDICTED, BF16, AT(10, 10), MTH_PREDICT_NOTHING, 1, SELF, 0, END}},
    {"by what is not known",
     20,
     10,
     false,
     {2, STORED, BF16, AT(0, 10), AS_PREDICTED, BF16, AT(10, 10), MTH_N_PREDICTORS, 1, SELF, 0, END}},
    {"from where there is nothing",
     20,
     10,
     false,
     {2, STORED, BF16, AT(0, 10), AS_PREDICTED, BF16, AT(10, 10), MTH_PREDICT_SAME, 1, 2, 0, END}},
    {"rounded",
     24,
     16,
     true,
     {2, STORED, U8, AT(0, 16), AS_PREDICTED, BF16, AT(16, 8), MTH_PREDICT_BF16_NEAREST, 1, SELF, 0, END}},
    {"rounded, with half an element more",
     25,
     16,
     false,
     {2, STORED, U8, AT(0, 16), AS_PREDICTED, BF16, AT(16, 9), MTH_PREDICT_BF16_NEAREST, 1, SELF, 0, END}},
    {"rounded, of the base",
     8,
     0,
     false,
     {1, AS_PREDICTED, BF16, AT(0, 8), MTH_PREDICT_BF16_NEAREST, 1, BASE, DIGEST, 2, 0, END}},
    {"as the base",
     8,
     0,
     true,
     {1, AS_PREDICTED, BF16, AT(0, 8), MTH_PREDICT_SAME, 1, BASE, DIGEST, 0, 0, END}},
    {"as the base with half a digest",
     8,
     0,
     false,
     {1, AS_PREDICTED, BF16, AT(0, 8), MTH_PREDICT_SAME, 1, BASE, SETTING, END}},
    {"with a setting",
     24,
     8,
     true,
     {3,
      STORED,
      U8,
      AT(0, 8),
      AS_PREDICTED,
      U8,
      AT(8, 8),
      MTH_PREDICT_SAME,
      1,
      SELF,
      0,
      AS_PREDICTED,
      U8,
      AT(16, 8),
      MTH_PREDICT_SGD_W,
      SETTING,
      2,
      SELF,
      0,
      SELF,
      1,
      END}},
    {"with no setting",
     16,
     8,
     false,
     {2, STORED, U8, AT(0, 8), AS_PREDICTED, U8, AT(8, 8), MTH_PREDICT_SGD_W, END}},
    {"with as many inputs as there may be", 20, 19, true, {2,         STORED, BF16,       AT(0, 10),
                                                           PREDICTED, BF16,   AT(10, 10), MTH_PREDICT_NOTHING,
                                                           5,         SELF,   0,          SELF,
                                                           0,         SELF,   0,          SELF,
                                                           0,         SELF,   0,          STORE,
                                                           9,         0,      END}},
    {"with more", 20, 19, false, {2,         STORED, BF16,       AT(0, 10),
                                  PREDICTED, BF16,   AT(10, 10), MTH_PREDICT_NOTHING,
                                  6,         SELF,   0,          SELF,
                                  0,         SELF,   0,          SELF,
                                  0,         SELF,   0,          SELF,
                                  0,         STORE,  9,          0,
                                  END}},
};

static void plans_are_refused_for_one_thing(void **state)
{
    (void)state;
    assert_int_equal(MTH_MAX_INPUTS, 5);
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        int status = status_of(&plans[i]);
        if ((status == MTH_OK) != plans[i].is_right)
            fail_msg("%s: %s", plans[i].what, mth_status_text(status));
        assert_true(status == MTH_OK || status == MTH_ERR_CORRUPT || status == MTH_ERR_UNSUPPORTED);
    }
}

/* As many chunks and segments as there is room for, and one more. */
static void chunks_and_segments_are_counted(void **state)
{
    (void)state;
    enum { MOST = MTH_MAX_BUNDLE_SEGMENTS, CHUNKS = MTH_MAX_BUNDLE_CHUNKS };
    uint8_t *plan = malloc(16 + 2 * (MOST + 1) + 8 * (CHUNKS + 1));
    assert_non_null(plan);
    for (size_t more = 0; more < 2; more++) {
        size_t n = 0;
        n += mth_varint_put(plan + n, 1);
        n += mth_varint_put(plan + n, STORED);
        n += mth_varint_put(plan + n, U8);
        n += mth_varint_put(plan + n, MOST + more);
        for (size_t i = 0; i < MOST + more; i++) {
            plan[n++] = 0;
            plan[n++] = 1;
        }
        assert_int_equal(parse(plan, n, MOST + more, MOST + more, 0), more ? MTH_ERR_CORRUPT : MTH_OK);
        n = mth_varint_put(plan, CHUNKS + more);
        for (size_t i = 0; i < CHUNKS + more; i++) {
            n += mth_varint_put(plan + n, STORED);
            n += mth_varint_put(plan + n, U8);
            n += mth_varint_put(plan + n, 1);
            n += mth_varint_put(plan + n, i);
            n += mth_varint_put(plan + n, 1);
        }
        assert_int_equal(parse(plan, n, CHUNKS + more, CHUNKS + more, 0), more ? MTH_ERR_CORRUPT : MTH_OK);
    }
    free(plan);
}

/* The plan lies in the body, however long it is said to be. */
static void a_plan_is_no_longer_than_its_body(void **state)
{
    (void)state;
    static const uint8_t plan[] = {1, STORED, MTH_DTYPE_U8, 1, 0, 10};
    static const uint32_t n_more[] = {11, 1000, 1u << 31, UINT32_MAX - sizeof plan};
    assert_int_equal(parse(plan, sizeof plan, 10, 10, 0), MTH_OK);
    for (size_t i = 0; i < sizeof n_more / sizeof n_more[0]; i++)
        assert_int_equal(parse(plan, sizeof plan, 10, 10, n_more[i]), MTH_ERR_CORRUPT);
    /* It restores to something, and to no more than a chunk. */
    assert_int_equal(parse(plan, sizeof plan, 10, 0, 0), MTH_ERR_CORRUPT);
    assert_int_equal(parse(plan, sizeof plan, 10, (1 << 20) + 1, 0), MTH_ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_refused_for_one_thing),
        cmocka_unit_test(chunks_and_segments_are_counted),
        cmocka_unit_test(a_plan_is_no_longer_than_its_body),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
