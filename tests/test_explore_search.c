/*
 * Laws of the search of an exploration: candidates from the registries alone, and a search whose measurements and clock are made up.
 */
#include "harness/explore.h"
#include "harness/explore_search.h"
#include "harness/explore_specs.h"
#include "pipeline/pipeline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_are_every_transform_with_every_codec),
        cmocka_unit_test(neighbours_are_one_change_away),
        cmocka_unit_test(short_texts_keep_guards_and_what_is_not_default),
        cmocka_unit_test(a_search_with_time_finds_the_best_and_the_front),
        cmocka_unit_test(of_specs_that_hardly_differ_the_shortest_stays),
        cmocka_unit_test(a_search_keeps_to_its_time_and_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
