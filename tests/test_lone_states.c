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

/* ---- many layers of one shape ---- */

/*
 * A parameter that torch trained, many times over: an optimizer works element by element, so that any order of its elements makes
 * tensors of their own, and their steps. Some of a layer's elements may be another one's.
 */
struct layers {
    size_t n, n_weights;            /* the first have a state alone where there are fewer weights */
    size_t (*number)(size_t layer); /* in its weights' name; NULL: its own */
    size_t n_shared;                /* of each group of elements each odd layer has from the one before */
    size_t group_elems;             /* 0: 8 */
    bool two_shapes;                /* every other layer is as long in the other direction */
};

enum { ROWS = 32, COLUMNS = 16, LAYER_ELEMS = ROWS * COLUMNS };

static void put_layer(const struct layers *layers, const struct made *from, const char *name, size_t layer,
                      uint8_t *out)
{
    const struct mth_region_map *map = &from->map;
    const uint8_t *elems = NULL;
    size_t n = 0;
    for (size_t i = 0; i < map->n_tensors; i++) {
        if (strcmp(mth_tensor_name(map, &map->tensors[i]), name) == 0) {
            elems = from->data + map->regions[map->tensors[i].region].offset;
            n = (size_t)map->tensors[i].n_elems;
        }
    }
    assert_true(n > LAYER_ELEMS);
    size_t n_group = layers->group_elems ? layers->group_elems : 8;
    for (size_t i = 0; i < LAYER_ELEMS; i++) {
        size_t of = layer % 2 && i % n_group < layers->n_shared ? layer - 1 : layer;
        memcpy(out + 4 * i, elems + 4 * ((i + 41 * of) % n), 4);
    }
}

/* told: the file says which weights a state is of. */
static struct made *made_layers(const struct layers *layers, const struct made *from, float step, bool told)
{
    static const char *const parts[] = {"exp_avg", "exp_avg_sq", "step"};
    enum { N_PARTS = sizeof parts / sizeof parts[0] };
    struct made *made = made_begin();
    struct mth_region_map *map = &made->map;
    size_t n_without = layers->n - layers->n_weights, n_tensors = layers->n_weights + N_PARTS * layers->n;
    char name[64];
    for (size_t i = n_without; i < layers->n; i++) {
        bool is_wide = layers->two_shapes && i % 2;
        snprintf(name, sizeof name, "h.%zu.w", layers->number ? layers->number(i) : i);
        made_add_shaped(made, name, MTH_DTYPE_F32,
                        (const uint64_t[]){is_wide ? COLUMNS : ROWS, is_wide ? ROWS : COLUMNS}, 2);
        map->tensors[map->n_tensors - 1].role = MTH_ROLE_WEIGHT;
    }
    for (size_t i = 0; i < layers->n; i++) {
        bool is_wide = layers->two_shapes && i % 2;
        for (size_t k = 0; k < N_PARTS; k++) {
            snprintf(name, sizeof name, "state.%zu.%s", i, parts[k]);
            made_add_shaped(made, name, MTH_DTYPE_F32,
                            (const uint64_t[]){is_wide ? COLUMNS : ROWS, is_wide ? ROWS : COLUMNS},
                            k < 2 ? 2 : 0);
            map->tensors[map->n_tensors - 1].role = (uint8_t)(MTH_ROLE_ADAM_M + k);
        }
    }
    made_fill(made);
    map->groups = mth_memory_alloc(made->memory, from->map.n_groups * sizeof *map->groups);
    map->group_of = mth_memory_alloc(made->memory, n_tensors * sizeof *map->group_of);
    map->params = mth_memory_alloc(made->memory, n_tensors * sizeof *map->params);
    assert_true(map->groups && map->group_of && map->params && map->n_tensors == n_tensors);
    memcpy(map->groups, from->map.groups, from->map.n_groups * sizeof *map->groups);
    map->n_groups = from->map.n_groups;
    map->n_grouped = n_tensors;
    map->n_params = told ? n_tensors : 0;
    map->params_capacity = n_tensors;
    for (size_t i = 0; i < n_tensors; i++) {
        bool is_weight = i < layers->n_weights;
        size_t layer = is_weight ? i + n_without : (i - layers->n_weights) / N_PARTS,
               part = is_weight ? 0 : (i - layers->n_weights) % N_PARTS;
        map->group_of[i] = is_weight ? UINT32_MAX : 0;
        map->params[i] =
            is_weight || layer < n_without ? (uint32_t)MTH_NO_TENSOR : (uint32_t)(layer - n_without);
        snprintf(name, sizeof name, "optimizer.state.0.%s", parts[part]);
        uint8_t *out = made->data + map->regions[map->tensors[i].region].offset;
        if (part == 2)
            memcpy(out, &step, sizeof step);
        else
            put_layer(layers, from, is_weight ? "masters.0.weight" : name, layer, out);
        if ((!told || layer < n_without) && !is_weight && part == 0)
            assert_int_equal(mth_region_map_add_lone_state(
                                 map, (struct mth_lone_state){(uint32_t)i, (uint32_t)(i + N_PARTS)}),
                             0);
    }
    assert_int_equal(mth_region_map_check(map), 0);
    return made;
}

/* How many bytes a state and its weights take more where the file does not tell that they belong together. */
static size_t n_lost(const struct layers *layers, unsigned later)
{
    struct made *from[2];
    size_t n_bytes[2];
    load_pair("adamw-bf16", later, from);
    for (int told = 0; told < 2; told++) {
        struct made *both[] = {made_layers(layers, from[0], 11, told),
                               made_layers(layers, from[1], (float)later, told)};
        n_bytes[told] = n_bytes_of(both);
        free_pair(both);
    }
    free_pair(from);
    return n_bytes[0] > n_bytes[1] ? n_bytes[0] - n_bytes[1] : 0;
}

static size_t moved_by_25(size_t layer)
{
    return (layer + 25) % 70;
}

static size_t swapped(size_t layer)
{
    return layer ^ 1;
}

/* Of four the second's stand last and the fourth's second: on their way to them states pass what is taken. */
static size_t crossed(size_t layer)
{
    return layer % 2 ? layer ^ 2 : layer;
}

/* Every other one is far away. */
static size_t half_moved(size_t layer)
{
    return layer % 2 ? layer : (layer + 24) % 70;
}

static void weights_are_found_near_the_place_of_their_state(void **state)
{
    (void)state;
    enum { LITTLE = 40, A_LAYER = 800 /* whose weights are not found, at least */ };
    static const struct {
        struct layers layers;
        unsigned later;
        size_t n_not_found;
    } cases[] = {
        /* More than are tried, in the order of their numbers, each shape on its own. */
        {{.n = 120, .n_weights = 120}, 12, 0},
        {{.n = 150, .n_weights = 150, .two_shapes = true}, 12, 0},
        /* 32 away at most. */
        {{.n = 70, .n_weights = 70, .number = moved_by_25}, 12, 25},
        /* The first state has none: the last one's place is behind all weights. */
        {{.n = 70, .n_weights = 69}, 12, 0},
        /* Neighbours that moved alike in part, several steps on: the better one is taken. */
        {{.n = 20, .n_weights = 20, .number = swapped, .n_shared = 6}, 21, 0},
        /* What fits in part is taken by its own state: nobody takes it again. */
        {{.n = 20, .n_weights = 20, .number = crossed, .n_shared = 6}, 12, 0},
        /* One that fits a little, and is near, is not certain enough to look no further. */
        {{.n = 70, .n_weights = 70, .number = half_moved, .n_shared = 1, .group_elems = 16}, 21, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = n_lost(&cases[i].layers, cases[i].later), n_not_found = cases[i].n_not_found;
        if (n < n_not_found * A_LAYER || n > n_not_found * 2 * A_LAYER + LITTLE)
            fail_msg("case %zu: %zu bytes more than where the file tells", i, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_found_by_how_they_moved),
        cmocka_unit_test(moments_follow_without_weights),
        cmocka_unit_test(groups_may_say_the_step),
        cmocka_unit_test(groups_of_no_state_tell_of_several_steps),
        cmocka_unit_test(weights_are_found_near_the_place_of_their_state),
        cmocka_unit_test(states_that_fit_nothing_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
