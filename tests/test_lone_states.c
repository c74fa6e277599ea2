/*
 * Laws of states whose file does not tell which weights they are of: these are found by how they moved, whatever the optimizer, wherever they
 * stand; without any, moments follow all the same. Files are torch's (tests/fixtures/states/).
 */
#include "formats/optimizer_state.h"
#include "tests/support/made_states.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHUNK_BYTES = 65536 };

static void load_pair(const char *name, unsigned later, struct made *both[2])
{
    char path[100];
    snprintf(path, sizeof path, "%s-11", name);
    both[0] = made_states_load(path);
    snprintf(path, sizeof path, "%s-%u", name, later);
    both[1] = made_states_load(path);
}

static void free_pair(struct made *both[2])
{
    made_free(both[0]);
    made_free(both[1]);
}

/* Nobody knows any more which weights a state is of, in its order. */
static void forget_params(struct mth_region_map *map)
{
    for (uint32_t first = 0, end; first < map->n_tensors; first = end) {
        const struct mth_tensor *param = mth_tensor_param(map, &map->tensors[first]);
        for (end = first + 1; param && end < map->n_tensors; end++) {
            if (mth_tensor_param(map, &map->tensors[end]) != param)
                break;
        }
        if (param)
            assert_int_equal(mth_region_map_add_lone_state(map, (struct mth_lone_state){first, end}), 0);
    }
    assert_true(map->n_lone_states > 0);
    map->n_params = 0;
    assert_int_equal(mth_region_map_check(map), 0);
}

static size_t n_bytes_of(struct made *const both[2])
{
    return made_assert_comes_back(CHUNK_BYTES, both[1], both[0], "balanced");
}

static void weights_are_found_by_how_they_moved(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned later;
    } cases[] = {{"adamw-bf16", 12},       {"adamw-fp32", 12},   {"adamw-bf16", 21},
                 {"amsgrad", 12},          {"accumulated", 12},  {"fp16", 12},
                 {"adamw-1.12", 12},       {"adam-l2-bf16", 12}, {"sgd", 12},
                 {"nesterov", 12},         {"sgd-bf16", 12},     {"rmsprop", 12},
                 {"rmsprop-bf16", 12},     {"adagrad", 12},      {"adagrad-bf16", 12},
                 {"rmsprop-momentum", 12}, {"adam-l2", 12},      {"rmsprop-centered", 12}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct made *both[2];
        load_pair(cases[i].name, cases[i].later, both);
        size_t n_told = n_bytes_of(both);
        forget_params(&both[1]->map);
        size_t n_found = n_bytes_of(both);
        if (n_found > n_told + 40)
            fail_msg("%s: %zu bytes, and %zu where the file tells", cases[i].name, n_found, n_told);
        free_pair(both);
    }
}

/* The files of a trainer: weights whose names are sorted beside states that are numbered, here as one. */
static void moments_follow_without_weights(void **state)
{
    (void)state;
    struct made *both[2] = {made_states_load("trainer-11/optimizer"),
                            made_states_load("trainer-12/optimizer")};
    const struct mth_region_map *map = &both[1]->map;
    assert_int_equal(map->n_lone_states, 18);
    assert_int_equal(map->n_groups, 2);
    for (size_t i = 0; i < map->n_lone_states; i++) {
        const struct mth_tensor *first = &map->tensors[map->lone_states[i].first];
        const struct mth_optimizer_group *group = mth_tensor_group(map, first);
        assert_int_equal(map->lone_states[i].end - map->lone_states[i].first, 3);
        assert_non_null(group);
        assert_true(group->weight_decay == (i < 9 ? 0.1 : 0.0));
    }
    size_t n_overhead = made_assert_comes_back(CHUNK_BYTES, both[1], both[1], "balanced");
    size_t n_bytes = n_bytes_of(both);
    /* 9 matrices of 256 gradients, each in chunks of its own: of m some 11 bits with their tables, of v nothing. */
    assert_true(n_bytes < n_overhead + 9 * (size_t)256 * 20 / 8);
    assert_true(n_bytes <
                made_assert_comes_back(CHUNK_BYTES, both[1], both[0], "ulp-rans,exponent-split+rans/store") /
                    2);
    free_pair(both);
}

/* Some optimizers count steps in their groups. */
static void groups_may_say_the_step(void **state)
{
    (void)state;
    for (size_t is_lone = 0; is_lone < 2; is_lone++) {
        struct made *both[2];
        load_pair("adamw-bf16", 12, both);
        size_t n_told = n_bytes_of(both), n_without;
        for (size_t k = 0; k < 2; k++) {
            struct mth_region_map *map = &both[k]->map;
            for (size_t i = 0; i < map->n_params; i++) {
                if (map->tensors[i].role == MTH_ROLE_STEP)
                    map->params[i] = MTH_NO_TENSOR;
            }
        }
        if (is_lone)
            forget_params(&both[1]->map);
        n_without = n_bytes_of(both);
        for (size_t k = 0; k < 2; k++)
            for (size_t i = 0; i < both[k]->map.n_groups; i++)
                both[k]->map.groups[i].step = 11 + (double)k;
        assert_in_range(n_bytes_of(both), n_told - 40, n_told + 40);
        /* A step that nobody tells is found where weights are known. */
        assert_true(is_lone ? n_without > n_told + 1000 : n_without < n_told + 400);
        both[0]->map.groups[0].step = 1e30; /* no step back */
        assert_true(!is_lone || n_bytes_of(both) > n_told + 1000);
        free_pair(both);
    }
}

/*
 * As in Megatron's: the groups are in the file of the weights, which does not say whose they are. A step that is told to be two has no exact
 * arithmetic, so that sizes show whether the groups were looked at.
 */
static void groups_of_no_state_tell_of_several_steps(void **state)
{
    (void)state;
    struct made *both[2];
    size_t n_told, n_loose, n_one_step;
    load_pair("adamw-bf16", 12, both);
    for (size_t k = 0; k < 2; k++) {
        struct mth_region_map *map = &both[k]->map;
        for (size_t i = 0; i < map->n_params; i++) {
            if (map->tensors[i].role == MTH_ROLE_STEP)
                map->params[i] = MTH_NO_TENSOR;
        }
        for (size_t i = 0; i < map->n_groups; i++)
            map->groups[i].step = 11 + 2 * (double)k;
    }
    n_told = n_bytes_of(both);
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < both[k]->map.n_grouped; i++)
            both[k]->map.group_of[i] = UINT32_MAX;
    }
    n_loose = n_bytes_of(both);
    both[1]->map.n_groups = 0;
    n_one_step = n_bytes_of(both);
    assert_in_range(n_loose, n_told - 40, n_told + 40);
    assert_true(n_told > n_one_step + 1000);
    free_pair(both);
}

/* What is no step, or not of these weights, or of no arithmetic that is known: more bytes, the same tensors. */
static void states_that_fit_nothing_come_back(void **state)
{
    (void)state;
    for (size_t what = 0; what < 5; what++) {
        struct made *both[2];
        load_pair("adamw-bf16", 12, both);
        struct mth_region_map *map = &both[1]->map;
        size_t n_told = n_bytes_of(both), n_moments = 0;
        forget_params(map);
        for (size_t i = 0; i < map->n_tensors; i++) {
            struct mth_tensor *tensor = &map->tensors[i];
            n_moments += mth_kept_of(mth_tensor_name(map, tensor)) == MTH_KEPT_M;
            if (what == 0 && tensor->role == MTH_ROLE_WEIGHT) /* nothing is left that could be weights */
                tensor->role = MTH_ROLE_OTHER;
            if (what == 1 && tensor->role == MTH_ROLE_WEIGHT && tensor->dtype == MTH_DTYPE_F32) /* others */
                memset(both[1]->data + map->regions[tensor->region].offset, 0x3c,
                       4 * (size_t)tensor->n_elems);
        }
        assert_int_equal(n_moments, 4);
        if (what == 2)
            map->n_grouped = 0;
        for (size_t i = 0; what == 3 && i < map->n_lone_states; i++)
            map->lone_states[i].end = map->lone_states[i].first + 1;
        for (size_t i = 0; what == 4 && i < map->n_groups; i++)
            map->groups[i].kind = MTH_OPTIMIZER_OTHER;
        assert_true(n_bytes_of(both) > n_told);
        free_pair(both);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_found_by_how_they_moved),
        cmocka_unit_test(moments_follow_without_weights),
        cmocka_unit_test(groups_may_say_the_step),
        cmocka_unit_test(groups_of_no_state_tell_of_several_steps),
        cmocka_unit_test(states_that_fit_nothing_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
