/* Fused paths: the bytes and the verdicts of the generic path, for every format, content and length. */
#include "pipeline/chunk.h"
#include "pipeline/fused/fused.h"
#include "pipeline/mithril.h"
#include "tests/support/patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = 600 << 10 };

static uint64_t random_state;

/* One way to code chunks. */
struct way {
    struct mth_memory *memory;
    struct mth_chunk_worker worker;
    struct mth_stage_states encode, decode;
    struct mth_buffer payload;
    struct mth_chunk_entry entry;
};

struct rig {
    struct mth_pipeline *pipeline;
    struct way ways[2]; /* generic, fused */
};

static void rig_open(struct rig *rig, const char *spec)
{
    struct mth_error err = {0};
    memset(rig, 0, sizeof *rig);
    assert_int_equal(mth_pipeline_parse(spec, false, &rig->pipeline, &err), MTH_OK);
    for (size_t w = 0; w < 2; w++) {
        struct way *way = &rig->ways[w];
        way->memory = mth_memory_create(0);
        way->worker.memory = way->memory;
        mth_arena_init(&way->worker.arena, way->memory);
        way->worker.generic = w == 0;
        way->payload.capacity_bytes = 2 * MAX_BYTES + 4096;
        way->payload.data = malloc(way->payload.capacity_bytes);
        assert_non_null(way->payload.data);
    }
}

static void rig_close(struct rig *rig)
{
    for (size_t w = 0; w < 2; w++) {
        struct way *way = &rig->ways[w];
        mth_stage_states_free(rig->pipeline, &way->encode);
        mth_stage_states_free(rig->pipeline, &way->decode);
        mth_arena_free(&way->worker.arena);
        assert_int_equal(mth_memory_current(way->memory), 0);
        mth_memory_destroy(way->memory);
        free(way->payload.data);
    }
    mth_pipeline_destroy(rig->pipeline);
}

static void encode_both(struct rig *rig, struct mth_symbol_type type, const uint8_t *src, size_t n)
{
    for (size_t w = 0; w < 2; w++) {
        struct way *way = &rig->ways[w];
        memset(way->payload.data, 0xa5, way->payload.capacity_bytes);
        way->payload.n_bytes = 0;
        assert_int_equal(mth_chunk_encode(&way->worker, rig->pipeline, &way->encode, NULL, type,
                                          (struct mth_bytes){src, n}, (struct mth_bytes){0}, &way->payload,
                                          &way->entry),
                         MTH_OK);
    }
}

static int decode_with(struct rig *rig, size_t w, struct mth_symbol_type type,
                       const struct mth_chunk_decode_job *jobs, size_t n_jobs)
{
    struct way *way = &rig->ways[w];
    return mth_chunk_decode(&way->worker, rig->pipeline, &way->decode, NULL, type, jobs, n_jobs);
}

/* Kinds of content, by the exponents they have. */
enum content { TRAINED, WITH_ESCAPES, RANDOM, ZEROS, NEARLY_CONSTANT, N_CONTENTS };

static uint64_t exponent_of(enum content content, size_t i, uint64_t r, uint64_t mask)
{
    uint64_t low = (uint64_t)__builtin_ctzll(r | 1u << 12) & mask;
    switch (content) {
    case TRAINED:
        return (mask / 2 - low) & mask;
    case WITH_ESCAPES:
        return i % 997 == 3 ? r >> 20 & mask : (mask / 2 - low) & mask;
    case RANDOM:
        return r & mask;
    case NEARLY_CONSTANT:
        return i % 5003 == 17 ? 3 : mask / 2;
    default:
        return 0;
    }
}

static void fill(enum content content, enum mth_dtype dtype, uint8_t *out, size_t n_bytes)
{
    const struct mth_dtype_info *info = mth_dtype_info(dtype);
    size_t width = info->lane_bits / 8;
    uint64_t mask = ((uint64_t)1 << info->exponent_bits) - 1;
    for (size_t i = 0; i * width < n_bytes; i++) {
        uint64_t r = pattern_random(&random_state), bits = pattern_random(&random_state);
        bits &= ~(mask << info->mantissa_bits);
        bits |= exponent_of(content, i, r, mask) << info->mantissa_bits;
        for (size_t b = 0; b < width && i * width + b < n_bytes; b++)
            out[i * width + b] = (uint8_t)(bits >> (8 * b));
    }
}

static const enum mth_dtype dtypes[] = {MTH_DTYPE_F8_E4M3, MTH_DTYPE_F8_E5M2, MTH_DTYPE_BF16,
                                        MTH_DTYPE_F16,     MTH_DTYPE_F32,     MTH_DTYPE_F64};
enum { N_DTYPES = sizeof dtypes / sizeof dtypes[0] };

/* Patterns that have a fused path. */
static const struct {
    const char *spec;
    const struct mth_fused *fused;
    size_t noticed; /* one damage in so many, at least: a wrong code of tiers is mostly another pair */
} fused_paths[] = {
    {"exponent-split+rans/store", &mth_fused_exponent_rans, 4},
    {"exponent-split+tiers/store", &mth_fused_exponent_tiers, 16},
};
enum { N_FUSED = sizeof fused_paths / sizeof fused_paths[0] };

static const size_t lengths[] = {0, 1, 4000, 40001, 131072, 262149, MAX_BYTES - 3};
enum { N_LENGTHS = sizeof lengths / sizeof lengths[0] };

static void check_same_bytes(size_t pattern)
{
    uint8_t *src = malloc(MAX_BYTES), *back = malloc(MAX_BYTES);
    struct rig rig;
    assert_non_null(src);
    assert_non_null(back);
    rig_open(&rig, fused_paths[pattern].spec);
    for (size_t d = 0; d < N_DTYPES; d++) {
        struct mth_symbol_type type = mth_symbol_type_of(dtypes[d]);
        for (size_t c = 0; c < N_CONTENTS; c++) {
            for (size_t l = 0; l < N_LENGTHS; l++) {
                size_t n = lengths[l];
                fill((enum content)c, dtypes[d], src, n);
                encode_both(&rig, type, src, n);
                const struct way *generic = &rig.ways[0], *fused = &rig.ways[1];
                assert_int_equal(generic->payload.n_bytes, fused->payload.n_bytes);
                assert_memory_equal(generic->payload.data, fused->payload.data, generic->payload.n_bytes);
                assert_int_equal(generic->entry.n_bytes, fused->entry.n_bytes);
                assert_memory_equal(generic->entry.bytes, fused->entry.bytes, generic->entry.n_bytes);
                for (size_t w = 0; w < 2; w++) {
                    struct mth_chunk_decode_job job = {
                        .payload = {generic->payload.data, generic->payload.n_bytes},
                        .entry = {generic->entry.bytes, generic->entry.n_bytes},
                        .dst = back,
                        .dst_bytes = n};
                    memset(back, 0x5a, MAX_BYTES);
                    assert_int_equal(decode_with(&rig, w, type, &job, 1), MTH_OK);
                    assert_memory_equal(src, back, n);
                }
            }
        }
    }
    rig_close(&rig);
    free(src);
    free(back);
}

static void fused_paths_make_the_bytes_of_the_generic_one(void **state)
{
    (void)state;
    for (size_t pattern = 0; pattern < N_FUSED; pattern++)
        check_same_bytes(pattern);
}

/* The generic path needs room for the exponents. */
static void check_taken(size_t pattern)
{
    uint8_t *src = malloc(MAX_BYTES), *back = malloc(MAX_BYTES);
    struct rig rig;
    assert_non_null(src);
    assert_non_null(back);
    rig_open(&rig, fused_paths[pattern].spec);
    assert_ptr_equal(mth_fused_find(rig.pipeline, &rig.pipeline->nodes[0]), fused_paths[pattern].fused);
    fill(TRAINED, MTH_DTYPE_BF16, src, MAX_BYTES);
    encode_both(&rig, mth_symbol_type_of(MTH_DTYPE_BF16), src, MAX_BYTES);
    size_t encoding[2];
    for (size_t w = 0; w < 2; w++) {
        struct mth_chunk_decode_job job = {.payload = {rig.ways[w].payload.data, rig.ways[w].payload.n_bytes},
                                           .entry = {rig.ways[w].entry.bytes, rig.ways[w].entry.n_bytes},
                                           .dst = back,
                                           .dst_bytes = MAX_BYTES};
        encoding[w] = mth_memory_current(rig.ways[w].memory);
        mth_arena_free(&rig.ways[w].worker.arena);
        mth_arena_init(&rig.ways[w].worker.arena, rig.ways[w].memory);
        assert_int_equal(decode_with(&rig, w, mth_symbol_type_of(MTH_DTYPE_BF16), &job, 1), MTH_OK);
        assert_memory_equal(src, back, MAX_BYTES);
    }
    assert_true(encoding[1] + MAX_BYTES / 2 <= encoding[0]);
    assert_true(mth_memory_current(rig.ways[1].memory) + MAX_BYTES / 2 <=
                mth_memory_current(rig.ways[0].memory));
    rig_close(&rig);
    free(src);
    free(back);
}

static void trained_weights_take_the_fused_path(void **state)
{
    (void)state;
    for (size_t pattern = 0; pattern < N_FUSED; pattern++)
        check_taken(pattern);
}

/* Chunks side by side, of different lengths, one of which no fused path takes. */
static void check_side_by_side(size_t pattern)
{
    enum { N_JOBS = MTH_MAX_BATCH };
    static const size_t n_bytes[N_JOBS] = {200000, 120002, 64, 300006};
    uint8_t *src[N_JOBS], *payload[N_JOBS], *back[N_JOBS];
    struct mth_chunk_entry entries[N_JOBS];
    struct mth_chunk_decode_job jobs[N_JOBS];
    struct mth_symbol_type type = mth_symbol_type_of(MTH_DTYPE_BF16);
    struct rig rig;
    rig_open(&rig, fused_paths[pattern].spec);
    for (size_t i = 0; i < N_JOBS; i++) {
        src[i] = malloc(n_bytes[i]);
        back[i] = malloc(n_bytes[i]);
        fill(i % 2 ? WITH_ESCAPES : TRAINED, MTH_DTYPE_BF16, src[i], n_bytes[i]);
        encode_both(&rig, type, src[i], n_bytes[i]);
        size_t n = rig.ways[1].payload.n_bytes;
        payload[i] = malloc(n);
        memcpy(payload[i], rig.ways[1].payload.data, n);
        entries[i] = rig.ways[1].entry;
        jobs[i] = (struct mth_chunk_decode_job){.payload = {payload[i], n},
                                                .entry = {entries[i].bytes, entries[i].n_bytes},
                                                .dst = back[i],
                                                .dst_bytes = n_bytes[i]};
    }
    for (size_t n_jobs = 1; n_jobs <= N_JOBS; n_jobs++) {
        for (size_t i = 0; i < n_jobs; i++)
            memset(back[i], 0x5a, n_bytes[i]);
        assert_int_equal(decode_with(&rig, 1, type, jobs, n_jobs), MTH_OK);
        for (size_t i = 0; i < n_jobs; i++)
            assert_memory_equal(src[i], back[i], n_bytes[i]);
    }
    for (size_t i = 0; i < N_JOBS; i++) {
        free(src[i]);
        free(back[i]);
        free(payload[i]);
    }
    rig_close(&rig);
}

static void chunks_side_by_side_come_back(void **state)
{
    (void)state;
    for (size_t pattern = 0; pattern < N_FUSED; pattern++)
        check_side_by_side(pattern);
}

/* Damaged chunks are refused by both paths, or come out alike. */
static void check_damaged(size_t pattern)
{
    enum { N = 70000, N_TRIALS = 400 };
    static uint8_t src[N], back[2][N];
    static const enum mth_dtype tried[] = {MTH_DTYPE_BF16, MTH_DTYPE_F16};
    struct rig rig;
    size_t n_refused = 0;
    rig_open(&rig, fused_paths[pattern].spec);
    for (size_t t = 0; t < 2 * N_TRIALS; t++) {
        struct mth_symbol_type type = mth_symbol_type_of(tried[t % 2]);
        if (t < 2 || t % 100 < 2) {
            fill(WITH_ESCAPES, tried[t % 2], src, N);
        }
        encode_both(&rig, type, src, N);
        struct way *way = &rig.ways[0];
        size_t n = way->payload.n_bytes, n_coded = n < 4000 ? n : 4000;
        /* Mostly in the coded stream, which lies behind the stored one; some at its front, where tables are. */
        uint64_t r = pattern_random(&random_state);
        size_t at = t % 4 < 2 ? n - 1 - (size_t)(r >> 8) % n_coded : (size_t)(r >> 8) % n;
        way->payload.data[at] ^= (uint8_t)(1u << (r & 7));
        int status[2];
        for (size_t w = 0; w < 2; w++) {
            struct mth_chunk_decode_job job = {.payload = {way->payload.data, n - (t % 16 == 5)},
                                               .entry = {way->entry.bytes, way->entry.n_bytes},
                                               .dst = back[w],
                                               .dst_bytes = N};
            memset(back[w], 0, N);
            status[w] = decode_with(&rig, w, type, &job, 1);
        }
        assert_int_equal(status[0], status[1]);
        if (status[0] == MTH_OK)
            assert_memory_equal(back[0], back[1], N);
        n_refused += status[0] != MTH_OK;
    }
    assert_true(n_refused > N_TRIALS / fused_paths[pattern].noticed);
    rig_close(&rig);
}

static void both_paths_judge_damaged_chunks_alike(void **state)
{
    (void)state;
    for (size_t pattern = 0; pattern < N_FUSED; pattern++)
        check_damaged(pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fused_paths_make_the_bytes_of_the_generic_one),
        cmocka_unit_test(trained_weights_take_the_fused_path),
        cmocka_unit_test(chunks_side_by_side_come_back),
        cmocka_unit_test(both_paths_judge_damaged_chunks_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
