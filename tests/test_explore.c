/*
 * Laws of an exploration: fronts, sums and choices from numbers given here; candidates from the registries alone; a search whose
 * measurements and clock are made up; and a spec that is written, taken by --pipeline, and restores. No law depends on how
 * fast anything is.
 */
#include "harness/explore.h"
#include "harness/json.h"
#include "harness/statistics.h"
#include "pipeline/pipeline.h"
#include "tests/support/made_checkpoint.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TINY "datasets/tiny-gpt/pretrain/pretrain-step-002000.safetensors"

/* ---- fronts ---- */

static void ranks_are_fronts_without_the_fronts_before(void **state)
{
    (void)state;
    static const struct mth_cost costs[] = {{{5, 5, 5}}, {{1, 9, 9}}, {{9, 1, 9}}, {{9, 9, 1}},
                                            {{6, 5, 5}}, {{7, 7, 7}}, {{5, 5, 5}}, {{1, 9, 10}}};
    static const size_t expected[] = {0, 0, 0, 0, 1, 2, 0, 1};
    enum { N = sizeof costs / sizeof costs[0] };
    size_t order[N], rank[N], seen = 0;
    assert_int_equal(mth_cost_order(costs, N, order, rank), 0);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(rank[i], expected[i]);
        assert_true(i == 0 || rank[order[i]] >= rank[order[i - 1]]);
        seen |= (size_t)1 << order[i];
    }
    assert_int_equal(seen, (1 << N) - 1);
    assert_false(mth_cost_dominates(&costs[0], &costs[6]));
    assert_true(mth_cost_dominates(&costs[0], &costs[4]));
    assert_int_equal(mth_cost_order(costs, 0, order, rank), 0);
}

/* Of many on a line the ends come first, and a point far from the others before those in a crowd. */
static void points_that_stand_apart_come_first(void **state)
{
    (void)state;
    static const struct mth_cost costs[] = {{{100, 1, 1}}, {{99, 2, 1}}, {{98, 3, 1}}, {{97, 4, 1}},
                                            {{40, 60, 1}}, {{2, 99, 1}}, {{1, 100, 1}}};
    size_t order[7];
    assert_int_equal(mth_cost_order(costs, 7, order, NULL), 0);
    assert_true((order[0] == 0 && order[1] == 6) || (order[0] == 6 && order[1] == 0));
    assert_int_equal(order[2], 4);
}

static double below(uint64_t *random, size_t n)
{
    return (double)(1 + mth_random_below(random, n));
}

static bool is_dominated(const struct mth_cost *cost, const struct mth_cost *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (mth_cost_dominates(&all[i], cost))
            return true;
    }
    return false;
}

/* Against all sums there are. */
static void sums_are_the_front_of_all_sums(void **state)
{
    (void)state;
    enum { N = 6, N_ALL = N * N * N };
    uint64_t random = 7;
    for (int trial = 0; trial < 20; trial++) {
        struct mth_cost points[3][N], all[N_ALL];
        struct mth_cost_set sets[3];
        struct mth_cost_sum sums[N_ALL];
        size_t n_sums, n_front = 0;
        for (size_t s = 0; s < 3; s++) {
            sets[s] = (struct mth_cost_set){points[s], N};
            for (size_t i = 0; i < N; i++)
                points[s][i] =
                    (struct mth_cost){{below(&random, 20), below(&random, 20), below(&random, 20)}};
        }
        for (size_t i = 0; i < N_ALL; i++) {
            for (size_t k = 0; k < MTH_N_COSTS; k++)
                all[i].of[k] =
                    points[0][i % N].of[k] + points[1][i / N % N].of[k] + points[2][i / N / N].of[k];
        }
        for (size_t i = 0; i < N_ALL; i++)
            n_front += !is_dominated(&all[i], all, N_ALL);
        assert_int_equal(mth_cost_sums(sets, 3, sums, N_ALL, &n_sums), 0);
        assert_int_equal(n_sums, n_front);
        for (size_t i = 0; i < n_sums; i++) {
            for (size_t k = 0; k < MTH_N_COSTS; k++)
                assert_true(sums[i].cost.of[k] == points[0][sums[i].picks[0]].of[k] +
                                                      points[1][sums[i].picks[1]].of[k] +
                                                      points[2][sums[i].picks[2]].of[k]);
            assert_false(is_dominated(&sums[i].cost, all, N_ALL));
        }
        assert_int_equal(mth_cost_sums(sets, 3, sums, 4, &n_sums), 0);
        assert_in_range(n_sums, 1, 4);
    }
}

static size_t picked(const char *rule, const struct mth_cost *costs, size_t n, double raw)
{
    struct mth_preference preference;
    struct mth_error err = {0};
    if (mth_preference_parse(rule, &preference, &err))
        fail_msg("%s", err.text);
    return mth_preference_pick(&preference, costs, n, raw);
}

static void the_winner_follows_the_rule(void **state)
{
    (void)state;
    /* Of 1000 bytes: as they are; a little; most of it; all that can be had, slowly; the same size and slower. */
    static const struct mth_cost costs[] = {{{1000, 1, 1}},  {{900, 2, 2}},   {{670, 4, 5}},
                                            {{660, 90, 80}}, {{660, 95, 80}}, {{680, 3, 6}}};
    assert_int_equal(picked("ratio", costs, 6, 1000), 3);
    assert_int_equal(picked("speed", costs, 6, 1000), 5);
    assert_int_equal(picked("balanced", costs, 6, 1000), 2);
    assert_int_equal(picked("decompress:1", costs, 6, 1000), 2);
    assert_int_equal(picked("compress:1", costs, 6, 1000), 5);
    assert_int_equal(picked("ratio:1", costs, 6, 1000), 3);
    assert_int_equal(picked("ratio:1000,compress:0.001", costs, 6, 1000), 3);
    /* Only what does not shrink: what grows least. */
    assert_int_equal(picked("speed", costs, 1, 1000), 0);
    assert_int_equal(picked("speed", costs, 2, 500), 1);
    assert_int_equal(picked("balanced", costs, 0, 1000), 0);
    static const char *const wrong[] = {"",          "fast",     "ratio:",          "ratio:x",  "ratio:0",
                                        "ratio:1,",  ",ratio:1", "ratio:1,ratio:2", "ratio:-1", "ratio:1e99",
                                        "ratio:nan", "weights",  "size:1",          "ratio;1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct mth_preference preference;
        struct mth_error err;
        if (mth_preference_parse(wrong[i], &preference, &err) != MTH_ERR_USAGE)
            fail_msg("'%s' was taken", wrong[i]);
    }
}

/* ---- candidates ---- */

static bool has_item(const struct mth_spec_pool *pool, const char *begin)
{
    for (size_t i = 0; i < pool->n_items; i++) {
        size_t n = strlen(begin);
        if (strncmp(pool->items[i], begin, n) == 0 && pool->items[i][n] == '@')
            return true;
    }
    return false;
}

static void check_pool(const struct mth_spec_pool *pool, enum mth_dtype dtype, bool has_base)
{
    for (size_t i = 0; i < pool->n_items; i++) {
        struct mth_pipeline *pipeline;
        struct mth_error err;
        char brief[4096];
        for (size_t j = 0; j < i && i < 300; j++)
            assert_string_not_equal(pool->items[i], pool->items[j]);
        if (mth_pipeline_parse(pool->items[i], has_base, &pipeline, &err))
            fail_msg("%s", err.text);
        assert_string_equal(mth_pipeline_text(pipeline), pool->items[i]);
        assert_true(mth_pipeline_accepts(pipeline, mth_symbol_type_of(dtype)));
        assert_true(has_base || !mth_pipeline_needs_base(pipeline));
        assert_false(mth_pipeline_is_lossy(pipeline));
        mth_pipeline_destroy(pipeline);
        assert_int_equal(mth_explore_short(pool->items[i], brief, sizeof brief), 0);
        assert_null(strchr(brief, '@'));
        assert_int_equal(mth_pipeline_parse(brief, has_base, &pipeline, &err), 0);
        assert_string_equal(mth_pipeline_text(pipeline), pool->items[i]);
        mth_pipeline_destroy(pipeline);
    }
}

/* Whether a transform takes a dtype is asked of the planner's own rule, with the codec that is always there behind it. */
static bool takes(const struct mth_transform *transform, enum mth_dtype dtype, bool has_base)
{
    char text[128];
    struct mth_pipeline *pipeline;
    struct mth_error err;
    snprintf(text, sizeof text, "%s+store", transform->name);
    assert_int_equal(mth_pipeline_parse(text, has_base, &pipeline, &err), 0);
    bool answer = !mth_pipeline_is_lossy(pipeline) && transform->n_references <= 1 &&
                  mth_pipeline_accepts(pipeline, mth_symbol_type_of(dtype)) &&
                  (has_base || !mth_pipeline_needs_base(pipeline));
    mth_pipeline_destroy(pipeline);
    return answer;
}

static void seeds_are_every_transform_with_every_codec(void **state)
{
    (void)state;
    static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16, MTH_DTYPE_F32, MTH_DTYPE_I64, MTH_DTYPE_BOOL,
                                            MTH_DTYPE_F4};
    for (size_t d = 0; d < 2 * sizeof dtypes / sizeof dtypes[0]; d++) {
        struct mth_spec_pool pool = {0};
        bool has_base = d % 2;
        const struct mth_transform *transform;
        const struct mth_codec *codec;
        assert_int_equal(mth_explore_seeds(dtypes[d / 2], has_base, &pool), 0);
        check_pool(&pool, dtypes[d / 2], has_base);
        for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
            bool wanted = has_base || !(codec->flags & MTH_CODEC_NEEDS_REFERENCE);
            assert_int_equal(has_item(&pool, codec->name), wanted);
        }
        for (size_t i = 0; (transform = mth_transform_at(i)) != NULL; i++) {
            char begin[128];
            bool wanted = takes(transform, dtypes[d / 2], has_base);
            size_t n = 0;
            snprintf(begin, sizeof begin, "%s@", transform->name);
            for (size_t k = 0; k < pool.n_items; k++)
                n += strncmp(pool.items[k], begin, strlen(begin)) == 0;
            assert_int_equal(n > 0, wanted);
        }
        size_t n_before = pool.n_items;
        assert_int_equal(mth_explore_seeds(dtypes[d / 2], has_base, &pool), 0);
        assert_int_equal(pool.n_items, n_before);
        assert_int_equal(mth_explore_preset_seeds(dtypes[d / 2], has_base, &pool), 0);
        check_pool(&pool, dtypes[d / 2], has_base);
        mth_spec_pool_free(&pool);
    }
}

static bool has_text(const struct mth_spec_pool *pool, const char *spec)
{
    struct mth_pipeline *pipeline;
    struct mth_error err;
    bool found = false;
    if (mth_pipeline_parse(spec, true, &pipeline, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < pool->n_items; i++)
        found |= strcmp(pool->items[i], mth_pipeline_text(pipeline)) == 0;
    mth_pipeline_destroy(pipeline);
    return found;
}

static void neighbours_are_one_change_away(void **state)
{
    (void)state;
    static const char *const wanted[] = {"exponent-split+zstd:level=4/store",
                                         "exponent-split+zstd:level=2/store",
                                         "exponent-split+zstd:level=-7/store",
                                         "exponent-split+zstd:level=22/store",
                                         "exponent-split+zstd:level=13/store",
                                         "exponent-split+rans/store",
                                         "exponent-split+zstd/lz4",
                                         "exponent-split+byte-group+zstd/store",
                                         "exponent-split+delta-previous+zstd/store",
                                         "zstd",
                                         "zero-map+store/store/exponent-split+zstd//store"};
    static const char *const unwanted[] = {"delta-xor+exponent-split+zstd/store", "exponent-split+rans/lz4",
                                           "zstd:level=4", "exponent-split+ulp-rans/store"};
    struct mth_spec_pool pool = {0};
    assert_int_equal(mth_explore_neighbours("exponent-split+zstd/store", MTH_DTYPE_BF16, false, &pool), 0);
    check_pool(&pool, MTH_DTYPE_BF16, false);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (!has_text(&pool, wanted[i]))
            fail_msg("%s is missing", wanted[i]);
    }
    for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++) {
        if (has_text(&pool, unwanted[i]))
            fail_msg("%s is there", unwanted[i]);
    }
    mth_spec_pool_free(&pool);
    assert_int_equal(mth_explore_neighbours("exponent-split+zstd/store", MTH_DTYPE_BF16, true, &pool), 0);
    assert_true(has_text(&pool, "delta-xor+exponent-split+zstd/store"));
    mth_spec_pool_free(&pool);
    assert_int_equal(mth_explore_neighbours("zstd,store", MTH_DTYPE_BF16, true, &pool), MTH_ERR_SPEC);
    mth_spec_pool_free(&pool);
}

static void short_texts_keep_guards_and_what_is_not_default(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"bf16.vector=zstd@1:level=3:long=0:prefix=no", "bf16.vector=zstd"},
        {"zstd@1:level=4:long=0:prefix=no,f32=store@1,related", "zstd:level=4,f32=store,related"},
        {"exponent-split@1+rans@1:aim=speed/huffman@1:block=16:sparse=no:gain=0",
         "exponent-split+rans/huffman:sparse=no"},
        /* 1 is no default of a level where the default is 16 */
        {"lz4@1:acceleration=16", "lz4:acceleration=16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char brief[512];
        assert_int_equal(mth_explore_short(cases[i][0], brief, sizeof brief), 0);
        assert_string_equal(brief, cases[i][1]);
    }
}

/* ---- the search, with a made-up world ---- */

struct world {
    uint64_t now, deadline;
    size_t n_calls, n_late, n_level[MTH_EXPLORE_LEVELS];
    size_t cancel_at;  /* 0: never */
    const char *fails; /* specs with this in them do */
};

static uint64_t world_now(void *arg)
{
    const struct world *world = arg;
    return world->now;
}

/*
 * The best is delta-previous+zstd:level=17, which is no seed: it takes a transform that is one, and steps of an option from there.
 * Speeds follow from the length of the text, so that short specs are on the front as well.
 */
static int world_measure(void *arg, size_t class_index, size_t level, const char *spec, struct mth_cost *cost)
{
    struct world *world = arg;
    assert_int_equal(class_index, 3);
    world->n_calls++;
    world->n_level[level]++;
    world->n_late += world->now >= world->deadline;
    world->now += UINT64_C(10) << level;
    if (world->cancel_at && world->n_calls == world->cancel_at)
        return MTH_ERR_CANCELLED;
    if (world->fails && strstr(spec, world->fails))
        return MTH_ERR_LIBRARY;
    const char *at = strstr(spec, "zstd@1:level=");
    double scale = pow(8, (double)level), effort = at ? strtod(at + 13, NULL) : -40;
    double bytes = 500 + 3 * fabs(effort - 17) - (strncmp(spec, "delta-previous@1+zstd", 21) == 0 ? 200 : 0);
    *cost = (struct mth_cost){{scale * bytes, scale * (double)strlen(spec), scale * (double)strlen(spec)}};
    return MTH_OK;
}

static struct mth_explore_class some_class(void)
{
    return (struct mth_explore_class){.guard = "i64.other",
                                      .dtype = MTH_DTYPE_I64,
                                      .class_ = MTH_CLASS_OTHER,
                                      .n_bytes = 1 << 20,
                                      .n_levels = 3,
                                      .sample_bytes = {1 << 13, 1 << 16, 1 << 19}};
}

static int search_world(struct world *world, struct mth_explore_class *at, uint64_t seed)
{
    const struct mth_explore_hooks hooks = {.measure = world_measure, .now_ns = world_now, .arg = world};
    return mth_explore_search(at, 3, seed, world->deadline, &hooks);
}

static void a_search_with_time_finds_the_best_and_the_front(void **state)
{
    (void)state;
    struct world world = {.deadline = UINT64_C(1) << 40, .fails = "bzip2"};
    struct mth_explore_class at = some_class();
    /* All neighbours of all neighbours do not end; the clock does. */
    world.deadline = 400000;
    assert_int_equal(search_world(&world, &at, 1), 0);
    assert_int_equal(world.n_late, 0);
    assert_true(at.n_front > 1);
    assert_true(at.n_dropped > 0);
    assert_int_equal(world.n_calls, at.n_passes);
    assert_true(world.n_level[2] < world.n_level[1] && world.n_level[1] < world.n_level[0]);
    const struct mth_explore_found *best = &at.front[0];
    for (size_t i = 0; i < at.n_front; i++) {
        const struct mth_explore_found *found = &at.front[i];
        best = found->cost.of[MTH_COST_BYTES] < best->cost.of[MTH_COST_BYTES] ? found : best;
        assert_null(strstr(at.pool.items[found->spec], "bzip2"));
        for (size_t j = 0; j < at.n_front; j++)
            assert_false(mth_cost_dominates(&at.front[j].cost, &found->cost));
        /* Costs are those of the whole class. */
        double growth = (double)at.n_bytes / (double)at.sample_bytes[found->level];
        struct mth_cost again;
        assert_int_equal(world_measure(&world, 3, found->level, at.pool.items[found->spec], &again), 0);
        assert_true(found->cost.of[0] == again.of[0] * growth);
    }
    assert_string_equal(at.pool.items[best->spec], "delta-previous@1+zstd@1:level=17:long=0:prefix=no");
    mth_explore_class_free(&at);
}

/* In a checkpoint beside which the class is nothing, nothing is better than what is shortest. */
static void of_specs_that_hardly_differ_the_shortest_stays(void **state)
{
    (void)state;
    struct world world = {.deadline = 100000};
    struct mth_explore_class at = some_class();
    at.n_whole_bytes = UINT64_C(1) << 50;
    assert_int_equal(search_world(&world, &at, 1), 0);
    assert_int_equal(at.n_front, 1);
    for (size_t i = 0; i < at.pool.n_items; i++)
        assert_true(strlen(at.pool.items[at.front[0].spec]) <= strlen(at.pool.items[i]));
    mth_explore_class_free(&at);
}

static void a_search_keeps_to_its_time_and_seed(void **state)
{
    (void)state;
    for (uint64_t deadline = 0; deadline < 5000; deadline += 617) {
        struct mth_explore_class at[2] = {some_class(), some_class()};
        for (size_t i = 0; i < 2; i++) {
            struct world world = {.deadline = deadline};
            assert_int_equal(search_world(&world, &at[i], 5), 0);
            assert_int_equal(world.n_late, 0);
            assert_true(world.now < deadline + 100);
            /* Whatever the time, what was measured is of use. */
            assert_int_equal(at[i].n_front > 0, deadline > 0);
        }
        assert_int_equal(at[0].n_front, at[1].n_front);
        for (size_t i = 0; i < at[0].n_front; i++)
            assert_string_equal(at[0].pool.items[at[0].front[i].spec], at[1].pool.items[at[1].front[i].spec]);
        mth_explore_class_free(&at[0]);
        mth_explore_class_free(&at[1]);
    }
    struct mth_explore_class at = some_class();
    struct world world = {.deadline = 100000, .cancel_at = 57};
    assert_int_equal(search_world(&world, &at, 5), MTH_ERR_CANCELLED);
    assert_int_equal(world.n_calls, 57);
    mth_explore_class_free(&at);
}

/* ---- specs for whole checkpoints ---- */

static void give(struct mth_explore_class *at, const char *guard, enum mth_dtype dtype,
                 const char *const *specs, const double (*costs)[MTH_N_COSTS], size_t n)
{
    *at = (struct mth_explore_class){.dtype = dtype, .n_bytes = 1000, .n_levels = 1};
    snprintf(at->guard, sizeof at->guard, "%s", guard);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(mth_spec_pool_add(&at->pool, specs[i], NULL), 0);
        at->front[i] =
            (struct mth_explore_found){.spec = i, .cost = {{costs[i][0], costs[i][1], costs[i][2]}}};
    }
    at->n_front = n;
}

static void joined_specs_parse_add_up_and_restore(void **state)
{
    (void)state;
    static const char *const specs[] = {"store@1", "exponent-split@1+rans@1:aim=speed/store@1"},
                             *const wide[] = {"store@1",
                                              "byte-group@1:width=0+zstd@1:level=1:long=0:prefix=no"};
    static const double costs[2][MTH_N_COSTS] = {{1000, 1, 1}, {600, 10, 20}};
    struct mth_exploration exploration = {.n_classes = 4};
    struct mth_error err;
    assert_int_equal(mth_preference_parse("ratio", &exploration.preference, &err), 0);
    give(&exploration.classes[0], "bf16.matrix", MTH_DTYPE_BF16, specs, costs, 2);
    give(&exploration.classes[1], "bf16.vector", MTH_DTYPE_BF16, specs, costs, 2);
    give(&exploration.classes[2], "f32.other", MTH_DTYPE_F32, wide, costs, 2);
    give(&exploration.classes[3], "i64.other", MTH_DTYPE_I64, wide, costs, 0); /* nothing was found for it */
    assert_int_equal(mth_explore_join(&exploration), 0);
    /* Alike points add up alike: 4 sums differ, of 8; and what ratio would take once more. */
    bool together = false, apart = false;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 1, 0);
    struct made *input = made_checkpoint();
    for (size_t i = 0; i < exploration.n_picks; i++) {
        const struct mth_explore_pick *pick = &exploration.picks[i];
        struct made_frame frame = made_encode(coder, pick->spec, input, NULL);
        made_assert_restores(coder, frame, input, NULL);
        free(frame.data);
        together |= strcmp(pick->spec, "bf16=exponent-split+rans/store,f32=byte-group+zstd:level=1") == 0;
        apart |= strncmp(pick->spec, "bf16.matrix=store,bf16.vector=exponent-split+rans/store", 55) == 0 ||
                 strncmp(pick->spec, "bf16.matrix=exponent-split+rans/store,bf16.vector=store", 55) == 0;
        double coded = (3000 - pick->cost.of[0]) / 400;
        assert_true(pick->cost.of[1] == 3 + 9 * coded);
        assert_true(pick->cost.of[2] == 3 + 19 * coded);
    }
    assert_true(together && apart);
    assert_true(exploration.picks[exploration.n_picks - 1].relates);
    assert_string_equal(exploration.picks[exploration.n_picks - 1].spec,
                        "bf16=exponent-split+rans/store,f32=byte-group+zstd:level=1,related");
    made_free(input);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
    mth_exploration_free(&exploration);
}

static void what_is_measured_in_full_fits_the_time(void **state)
{
    (void)state;
    struct mth_exploration exploration = {0};
    struct mth_error err;
    size_t chosen[MTH_EXPLORE_CELLS], n;
    assert_int_equal(mth_preference_parse("balanced", &exploration.preference, &err), 0);
    for (size_t i = 0; i < 40; i++) {
        const struct mth_cost cost = {{600 - 4 * (double)i, 10 + (double)(i * i), 10 + (double)(i * i)}};
        char spec[32];
        snprintf(spec, sizeof spec, "zstd:level=%zu", i);
        assert_int_equal(mth_explore_add_pick(&exploration, spec, &cost, i % 4 == 3), 0);
    }
    for (double limit = 0; limit < 1e5; limit = 3 * limit + 50) {
        double spent = 0;
        bool preset = false;
        assert_int_equal(mth_explore_choose(&exploration, 1000, 5, 7, limit, chosen, &n, &err), 0);
        for (size_t i = 0; i < n; i++) {
            const struct mth_explore_pick *pick = &exploration.picks[chosen[i]];
            spent += 7 + 5 * (pick->cost.of[1] + pick->cost.of[2]);
            preset |= pick->is_preset;
            for (size_t j = 0; j < i; j++)
                assert_int_not_equal(chosen[i], chosen[j]);
        }
        assert_true(spent <= limit);
        assert_true(n <= MTH_EXPLORE_CELLS);
        assert_true(limit < 5000 || (n > 4 && preset));
    }
    mth_exploration_free(&exploration);
}

/* ---- the command ---- */

#define RUN(directory, ...) program_run(directory, (const char *const[]){__VA_ARGS__, NULL})

static const char *string_of(const struct mth_json_node *row, const char *key)
{
    struct mth_error err;
    const char *text = NULL;
    assert_int_equal(mth_json_get_string(row, key, MTH_JSON_OPTIONAL, &text, &err), 0);
    return text ? text : "";
}

struct found_rows {
    char winner_row[32], winner[4096], cell_spec[4096];
    bool verified;
    size_t n_front, n_cells;
};

static void look_at_row(const struct mth_json_node *row, struct found_rows *found, bool second)
{
    struct mth_error err;
    struct mth_json_node array;
    if (!second && strcmp(string_of(row, "kind"), "explore") == 0) {
        snprintf(found->winner_row, sizeof found->winner_row, "%s", string_of(row, "winner_row"));
        snprintf(found->winner, sizeof found->winner, "%s", string_of(row, "winner"));
        assert_int_equal(mth_json_get_array(row, "front", MTH_JSON_REQUIRED, &array, &found->n_front, &err),
                         0);
    }
    found->n_cells += !second && strcmp(string_of(row, "kind"), "cell") == 0;
    assert_string_not_equal(string_of(row, "kind"), "verdict");
    if (second && strcmp(string_of(row, "row_id"), found->winner_row) == 0) {
        snprintf(found->cell_spec, sizeof found->cell_spec, "%s", string_of(row, "spec"));
        assert_int_equal(mth_json_get_bool(row, "verified", MTH_JSON_REQUIRED, &found->verified, &err), 0);
    }
}

static void look_at_rows(const char *rows, struct found_rows *found)
{
    for (int second = 0; second < 2; second++) {
        for (const char *line = rows; *line; line = strchr(line, '\n') + 1) {
            struct mth_json *json;
            struct mth_error err;
            if (mth_json_parse("rows", line, strcspn(line, "\n"), &json, &err))
                fail_msg("%s", err.text);
            struct mth_json_node root = mth_json_root(json, "rows");
            look_at_row(&root, found, second);
            mth_json_free(json);
        }
    }
}

/* The winner is on the front of rows that report shows, and what -o wrote compresses and restores. */
static void the_winner_is_a_spec_that_compresses(void **state)
{
    (void)state;
    char *directory = temp_dir_create(), winner[4200], rows[4200], packed[4200], back[4200];
    snprintf(winner, sizeof winner, "%s/winner", directory);
    snprintf(rows, sizeof rows, "%s/rows.jsonl", directory);
    snprintf(packed, sizeof packed, "%s/packed.mth", directory);
    snprintf(back, sizeof back, "%s/back", directory);
    struct program_result result = {.exit_code = 4};
    /* A machine that is busy with something else needs more. */
    for (const char *const *budget = (const char *const[]){"3s", "60s", NULL};
         *budget && result.exit_code == 4; budget++) {
        if (result.out)
            program_result_free(&result);
        result = RUN(NULL, "explore", TINY, "--budget", *budget, "--cache", "64KiB", "-o", winner, "--json",
                     rows, "-f");
    }
    if (result.exit_code)
        fail_msg("exit %d: %s", result.exit_code, result.err);
    assert_non_null(strstr(result.out, "bf16.matrix"));
    char *spec = temp_dir_read(directory, "winner", NULL),
         *text = temp_dir_read(directory, "rows.jsonl", NULL);
    assert_true(spec && text);
    assert_int_equal(program_lines(spec), 1);
    spec[strcspn(spec, "\n")] = '\0';
    struct found_rows found = {.n_front = 0};
    look_at_rows(text, &found);
    assert_string_equal(found.winner, spec);
    assert_string_equal(found.cell_spec, spec);
    assert_true(found.verified && found.n_front > 0 && found.n_cells >= 2 * found.n_front);
    program_result_free(&result);
    result = RUN(NULL, "report", rows);
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out, spec));
    program_result_free(&result);
    /* Rows on standard output stand there alone; the winner alone with -q. */
    result = RUN(NULL, "explore", TINY, "--cache", "64KiB", "--json", "-", "--budget", "3s", "-q");
    assert_true(result.exit_code == 4 || (result.out[0] == '{' && program_lines(result.err) == 1));
    look_at_rows(result.out, &found);
    program_result_free(&result);
    result = RUN(NULL, "compress", TINY, "-p", spec, "-o", packed, "-q");
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    result = RUN(NULL, "decompress", packed, "-o", back, "-q");
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    size_t n, n_back;
    char *restored = temp_dir_read(directory, "back", &n_back), *original = temp_dir_read(".", TINY, &n);
    assert_true(restored && original && n == n_back && memcmp(restored, original, n) == 0);
    free(restored);
    free(original);
    free(spec);
    free(text);
    temp_dir_destroy(directory);
}

static void bad_input_is_one_line(void **state)
{
    (void)state;
    char *directory = temp_dir_create();
    temp_dir_write(directory, "bytes", "not a checkpoint", 16);
    temp_dir_write(directory, "there", "x", 1);
    static const char tiny[] = "tiny.safetensors";
    size_t n_tiny;
    char *bytes = temp_dir_read(".", TINY, &n_tiny);
    assert_non_null(bytes);
    temp_dir_write(directory, tiny, bytes, n_tiny);
    free(bytes);
    const struct {
        const char *arguments[8];
        int exit_code;
    } cases[] = {
        {{"explore", tiny, "--budget", "0.001s"}, 4},
        {{"explore", tiny, "--budget", "0"}, 1},
        {{"explore", tiny, "--budget", "5x"}, 1},
        {{"explore", tiny, "--budget", "-5s"}, 1},
        {{"explore", tiny, "--prefer", "best"}, 1},
        {{"explore", tiny, "-o", "there"}, 1},
        {{"explore", tiny, "--rounds", "3"}, 1},
        {{"explore", "nothing"}, 6},
        {{"explore"}, 1},
        {{"explore", "."}, 6},
        {{"explore", "bytes"}, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct program_result result = program_run(directory, cases[i].arguments);
        if (result.exit_code != cases[i].exit_code || program_lines(result.err) != 1)
            fail_msg("case %zu: exit %d: %s", i, result.exit_code, result.err);
        program_result_free(&result);
    }
    temp_dir_destroy(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_fronts_without_the_fronts_before),
        cmocka_unit_test(points_that_stand_apart_come_first),
        cmocka_unit_test(sums_are_the_front_of_all_sums),
        cmocka_unit_test(the_winner_follows_the_rule),
        cmocka_unit_test(seeds_are_every_transform_with_every_codec),
        cmocka_unit_test(neighbours_are_one_change_away),
        cmocka_unit_test(short_texts_keep_guards_and_what_is_not_default),
        cmocka_unit_test(a_search_with_time_finds_the_best_and_the_front),
        cmocka_unit_test(of_specs_that_hardly_differ_the_shortest_stays),
        cmocka_unit_test(a_search_keeps_to_its_time_and_seed),
        cmocka_unit_test(joined_specs_parse_add_up_and_restore),
        cmocka_unit_test(what_is_measured_in_full_fits_the_time),
        cmocka_unit_test(the_winner_is_a_spec_that_compresses),
        cmocka_unit_test(bad_input_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
