/* Laws of the fronts of an exploration: ranks, sums and choices from numbers given here. */
#include "harness/explore_front.h"
#include "harness/statistics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_fronts_without_the_fronts_before),
        cmocka_unit_test(points_that_stand_apart_come_first),
        cmocka_unit_test(sums_are_the_front_of_all_sums),
        cmocka_unit_test(the_winner_follows_the_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
