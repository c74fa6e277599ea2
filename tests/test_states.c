/*
 * Laws of training states: a step of Adam is redone bit for bit, its numbers come from the file, and whatever the tensors hold comes
 * back. The files are two steps of a small network, trained by torch (tests/fixtures/states/train_states.py).
 */
#include "pipeline/bundle.h"
#include "tests/support/made_states.h"

#include "base/checked.h"
#include "transforms/predictors/adam.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One of AdamW's. */
static struct made *load(const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "adamw-%s", name);
    return made_states_load(path);
}

static uint8_t *bytes_of(const struct made *made, const char *name, size_t *n_elems)
{
    const struct mth_tensor *tensor = mth_region_map_find(&made->map, name);
    assert_non_null(tensor);
    *n_elems = (size_t)tensor->n_elems;
    return made->data + made->map.regions[tensor->region].offset + tensor->offset_bytes;
}

static size_t assert_comes_back(const struct made *input, const struct made *base, const char *spec)
{
    return made_assert_comes_back(16384, input, base, spec);
}

static void a_step_costs_its_gradients(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        unsigned bits; /* at most, an element of w, m and v and the copy together */
    } cases[] = {{"bf16-11", "bf16-12", 13}, {"fp32-11", "fp32-12", 29}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct made *before = load(cases[i].before), *after = load(cases[i].after);
        size_t n_elems = 48 * 32 + 32 + 32 * 20 + 20;
        size_t n_overhead =
            (size_t)assert_comes_back(after, after, "balanced"); /* nothing has changed: frames alone */
        size_t n_bytes = assert_comes_back(after, before, "balanced");
        assert_true(n_bytes < n_overhead + n_elems * cases[i].bits / 8 + 1500);
        assert_true(n_bytes < assert_comes_back(after, before, "ulp-rans,exponent-split+rans/store") * 3 / 5);
        assert_comes_back(after, before, "max");
        assert_comes_back(before, after, "balanced"); /* a step back is none */
        made_free(before);
        made_free(after);
    }
}

/* The archive around before's tensors becomes that around after's: what is coded then are tensors alone. */
static void take_archive(struct made *before, const struct made *after)
{
    assert_int_equal(before->map.n_regions, after->map.n_regions);
    for (size_t i = 0; i < before->map.n_regions; i++) {
        const struct mth_region *to = &before->map.regions[i], *from = &after->map.regions[i];
        assert_true(to->offset == from->offset && to->n_bytes == from->n_bytes && to->dtype == from->dtype);
        if (to->dtype == MTH_DTYPE_OPAQUE)
            memcpy(before->data + to->offset, after->data + from->offset, (size_t)to->n_bytes);
    }
}

static void ten_steps_apart_less_follows(void **state)
{
    (void)state;
    struct made *before = load("bf16-11"), *after = load("bf16-21");
    take_archive(before, after);
    const char *plain = "ulp-rans,exponent-split+rans/store";
    size_t n_frames = (size_t)assert_comes_back(after, after, plain);
    size_t n_plain = assert_comes_back(after, before, plain);
    size_t n_bytes = assert_comes_back(after, before, "balanced");
    assert_true(n_bytes < n_plain - (n_plain - n_frames) / 40);
    assert_comes_back(after, before, "max");
    made_free(before);
    made_free(after);
}

/* Two states of each, made by torch: one tensor at a time, all together, or fused. */
static void steps_of_other_optimizers_are_redone(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t n_free; /* tensors of 384 values that cost next to nothing */
    } cases[] = {{"sgd", 2},      {"nesterov", 1},         {"adagrad", 0},
                 {"rmsprop", 0},  {"rmsprop-momentum", 1}, {"rmsprop-centered", 3},
                 {"amsgrad", 4},  {"adam-l2", 2},          {"accumulated", 3},
                 {"fp16", 3},     {"adamw-1.12", 4},       {"adam-l2-bf16", 4},
                 {"sgd-bf16", 2}, {"rmsprop-bf16", 4},     {"adagrad-bf16", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[100];
        snprintf(name, sizeof name, "%s-11", cases[i].name);
        struct made *before = made_states_load(name);
        snprintf(name, sizeof name, "%s-12", cases[i].name);
        struct made *after = made_states_load(name);
        size_t n_plain = made_assert_comes_back(65536, after, before, "ulp-rans,exponent-split+rans/store");
        size_t n_bytes = made_assert_comes_back(65536, after, before, "balanced");
        /* Of the tensors that follow less than a byte a value is left, of squares that were divided by two; any other has 2 or more. */
        assert_true(n_bytes + 384 * (cases[i].n_free ? cases[i].n_free : 1) < n_plain);
        assert_comes_back(after, before, "max");
        assert_comes_back(before, after, "balanced");
        made_free(before);
        made_free(after);
    }
}

/* By lerp_ or by mul_ and add_, with a share of the weights or without, beside squares or not. */
static void gradients_are_found_however_they_were_summed(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t n_gradients;
        size_t n_beside; /* tables and pipelines, of which each group of parameters has its own */
    } cases[] = {{"adamw-1.12", 384, 768},     {"adam-l2-bf16", 384, 768}, {"sgd-bf16", 384, 768},
                 {"rmsprop-bf16", 384, 768},   {"adagrad-bf16", 384, 768}, {"adamw-groups", 528, 800},
                 {"adam-l2-groups", 528, 800}, {"sgd-groups", 528, 800},   {"rmsprop-groups", 528, 800},
                 {"adagrad-groups", 528, 800}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[100];
        snprintf(name, sizeof name, "%s-11", cases[i].name);
        struct made *before = made_states_load(name);
        snprintf(name, sizeof name, "%s-12", cases[i].name);
        struct made *after = made_states_load(name);
        take_archive(before, after);
        size_t n_overhead = made_assert_comes_back(65536, after, after, "balanced");
        size_t n_bytes = made_assert_comes_back(65536, after, before, "balanced");
        /* 11 bits of each gradient, and tables of what is as small as this; 32 where they are not found. */
        assert_true(n_bytes < n_overhead + cases[i].n_gradients * 11 / 8 + cases[i].n_beside);
        made_free(before);
        made_free(after);
    }
}

/* As long as squares rise, the largest are copies of them. */
static void the_largest_squares_may_be_the_squares(void **state)
{
    (void)state;
    struct made *before = made_states_load("amsgrad-11"), *after = made_states_load("amsgrad-12");
    size_t n_different = made_assert_comes_back(65536, after, before, "balanced");
    struct made *const both[] = {before, after};
    for (size_t i = 0; i < 2; i++) {
        size_t n;
        uint8_t *largest = bytes_of(both[i], "optimizer.state.0.max_exp_avg_sq", &n);
        memcpy(largest, bytes_of(both[i], "optimizer.state.0.exp_avg_sq", &n), 4 * n);
    }
    size_t n_alike = made_assert_comes_back(65536, after, before, "balanced");
    assert_true(n_alike < n_different + 2 * 384); /* the weights were made with others */
    made_free(before);
    made_free(after);
}

static void what_groups_say_is_read(void **state)
{
    (void)state;
    struct made *made = load("bf16-12");
    size_t n_seen = 0;
    for (size_t i = 0; i < made->map.n_tensors; i++) {
        const struct mth_tensor *tensor = &made->map.tensors[i];
        const struct mth_optimizer_group *group = mth_tensor_group(&made->map, tensor);
        if (tensor->role != MTH_ROLE_ADAM_M)
            continue;
        assert_non_null(group);
        assert_true(group->kind == MTH_OPTIMIZER_ADAM && group->beta1 == 0.9 && group->beta2 == 0.99 &&
                    group->eps == 1e-8 && group->lr == 1e-3 / 12);
        assert_true(group->weight_decay == (tensor->n_dims == 2 ? 0.1 : 0.0));
        n_seen++;
    }
    assert_int_equal(n_seen, 4);
    made_free(made);
}

/* The numbers of the fixture's second weight, for predictors. */
static void the_arithmetic_is_that_of_torch(void **state)
{
    (void)state;
    struct made *before = load("bf16-11"), *after = load("bf16-12");
    size_t n, n_same = 0;
    const uint8_t *w[2] = {bytes_of(before, "masters.0.weight", &n), bytes_of(after, "masters.0.weight", &n)};
    const uint8_t *m = bytes_of(after, "optimizer.state.0.exp_avg", &n);
    const uint8_t *v = bytes_of(after, "optimizer.state.0.exp_avg_sq", &n);
    double lr = 1e-3 / 12;
    const uint32_t settings[] = {mth_bits_of((float)(1 - lr * 0.1)),
                                 mth_bits_of((float)-(lr / (1 - pow(0.9, 12)))),
                                 mth_bits_of((float)sqrt(1 - pow(0.99, 12))), mth_bits_of((float)1e-8)};
    const uint8_t *const inputs[] = {w[0], m, v};
    uint8_t *predicted = malloc(4 * n);
    mth_predict_adam_w(settings, inputs, n, predicted);
    for (size_t i = 0; i < n; i++)
        n_same += memcmp(predicted + 4 * i, w[1] + 4 * i, 4) == 0;
    assert_int_equal(n, 48 * 32);
    assert_true(n_same >= n - 3);
    free(predicted);
    made_free(before);
    made_free(after);
}

static const uint32_t hard[] = {0,          0x80000000, 1,          0x80000001, 0x007fffff, 0x00800000,
                                0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
                                0x7f800001, 0xffffffff, 0x3f800000, 0x33800000, 0x7e967699, 0x0da24260};

/* Elements that no step made, in any tensor of the state, before or after. */
static void whatever_a_state_holds_comes_back(void **state)
{
    (void)state;
    static const char *const names[] = {"optimizer.state.0.exp_avg",
                                        "optimizer.state.0.exp_avg_sq",
                                        "masters.0.weight",
                                        "model.0.weight",
                                        "optimizer.state.1.exp_avg_sq",
                                        "masters.2.bias"};
    for (size_t i = 0; i < 24; i++) {
        struct made *before = load(i % 2 ? "bf16-11" : "fp32-11"),
                    *after = load(i % 2 ? "bf16-12" : "fp32-12");
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            struct made *victim = made_random32() % 3 ? after : before;
            size_t n_elems;
            uint8_t *bytes = bytes_of(victim, names[k], &n_elems);
            size_t width = k == 3 ? 2 : 4, every = (size_t)1 << made_random32() % 8;
            for (size_t e = made_random32() % 8; e < n_elems; e += every)
                memcpy(bytes + width * e, &hard[made_random32() % (sizeof hard / sizeof hard[0])], width);
        }
        assert_comes_back(after, before, i % 3 ? "balanced" : "max");
        made_free(before);
        made_free(after);
    }
}

/* One element is another than what is predicted, behind many that are the same, and somewhere among what is compared together. */
static void what_is_as_predicted_at_first_comes_back(void **state)
{
    (void)state;
    static const char *const names[] = {"masters.0.weight", "optimizer.state.0.exp_avg_sq", "model.0.weight"};
    static const size_t places[] = {0, 511, 512, 700, 1023, 1024, 1535};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            struct made *before = load(i % 2 ? "bf16-11" : "fp32-11"),
                        *after = load(i % 2 ? "bf16-12" : "fp32-12");
            size_t n_elems, n_right = assert_comes_back(after, before, "balanced");
            uint8_t *bytes = bytes_of(after, names[k], &n_elems);
            bytes[(k == 2 ? 2 : 4) * places[i]] ^= 1;
            assert_true(assert_comes_back(after, before, "balanced") < n_right + 100);
            made_free(before);
            made_free(after);
        }
    }
}

/* A rate, a step or a decay that is not what the step was made with: more bytes, the same tensors. */
static void wrong_numbers_cost_bytes_alone(void **state)
{
    (void)state;
    struct made *before = load("bf16-11"), *after = load("bf16-12");
    size_t n_right = assert_comes_back(after, before, "balanced");
    for (size_t i = 0; i < 6; i++) {
        struct mth_optimizer_group saved = after->map.groups[0], *group = &after->map.groups[0];
        *(i == 0   ? &group->lr
          : i == 1 ? &group->weight_decay
          : i == 2 ? &group->beta1
          : i == 3 ? &group->beta2
          : i == 4 ? &group->eps
                   : &group->lr) = i == 5 ? NAN : 0.25;
        size_t n_wrong = assert_comes_back(after, before, "balanced");
        assert_true(n_wrong > n_right || i == 4);
        after->map.groups[0] = saved;
    }
    size_t n;
    uint8_t *step = bytes_of(after, "optimizer.state.0.step", &n);
    mth_store32(step, mth_bits_of(13));
    assert_true(assert_comes_back(after, before, "balanced") > n_right);
    made_free(before);
    made_free(after);
}

/* Numbers that no optimizer has, or none that is known: they are neither settings of a pipeline nor what stops one. */
static void whatever_groups_say_comes_back(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t numbers[5]; /* that the optimizer has, by their places below */
    } cases[] = {{"adamw-bf16", {0, 1, 2, 3, 4}},
                 {"sgd-bf16", {0, 1, 5, 6, 6}},
                 {"adagrad-bf16", {0, 1, 4, 8, 8}},
                 {"rmsprop-bf16", {0, 1, 4, 7, 7}}};
    static const double said[] = {-1, 2, 1e-30, NAN};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[100];
        snprintf(path, sizeof path, "%s-11", cases[i].name);
        struct made *before = made_states_load(path);
        snprintf(path, sizeof path, "%s-12", cases[i].name);
        struct made *after = made_states_load(path);
        size_t n_bytes = (size_t)after->map.n_bytes;
        uint8_t *dst = malloc(n_bytes);
        for (size_t k = 0; k < 5 * sizeof said / sizeof said[0]; k++) {
            struct mth_optimizer_group saved = after->map.groups[0], *group = &after->map.groups[0];
            double *const numbers[] = {&group->lr,        &group->weight_decay, &group->beta1,
                                       &group->beta2,     &group->eps,          &group->momentum,
                                       &group->dampening, &group->alpha,        &group->lr_decay};
            struct mth_error err = {0};
            *numbers[cases[i].numbers[k % 5]] = said[k / 5];
            struct mth_bytes bytes = made_compress(after->memory, 1, 65536, "balanced", after, before, NULL);
            memset(dst, 0x5a, n_bytes);
            assert_int_equal(made_decompress(after->memory, 1, bytes, before, false, dst, n_bytes, &err), 0);
            assert_memory_equal(dst, after->data, n_bytes);
            made_container_free(bytes);
            after->map.groups[0] = saved;
        }
        free(dst);
        made_free(before);
        made_free(after);
    }
}

static void the_rate_may_be_the_base_s(void **state)
{
    (void)state;
    struct made *before = load("bf16-11"), *after = load("bf16-12");
    size_t n_right = assert_comes_back(after, before, "balanced");
    for (size_t i = 0; i < after->map.n_groups; i++) {
        before->map.groups[i].lr = after->map.groups[i].lr;
        after->map.groups[i].lr = 1e-3 / 13;
    }
    assert_in_range(assert_comes_back(after, before, "balanced"), n_right - 50, n_right + 50);
    made_free(before);
    made_free(after);
}

/* Containers as they were first written. */
/* What neither file tells is found from what fits: betas, rate, decay, eps, and the step where it is not kept either. */
static void numbers_that_no_file_tells_are_found(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"bf16-11", "bf16-12"}, {"fp32-11", "fp32-12"}, {"bf16-11", "bf16-21"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct made *both[2] = {load(names[i][0]), load(names[i][1])};
        size_t n_told = assert_comes_back(both[1], both[0], "balanced");
        size_t n_plain = assert_comes_back(both[1], both[0], "ulp-rans,exponent-split+rans/store");
        for (size_t k = 0; k < 2; k++)
            both[k]->map.n_grouped = 0;
        /* Each parameter has settings of its own then, and a rate that no one rounded is found to some six digits. */
        size_t n_found = assert_comes_back(both[1], both[0], "balanced");
        assert_true(n_found < n_told + 400);
        for (size_t k = 0; i < 2 && k < 2; k++) {
            struct mth_region_map *map = &both[k]->map;
            for (size_t t = 0; t < map->n_params; t++) {
                if (map->tensors[t].role == MTH_ROLE_STEP)
                    map->params[t] = MTH_NO_TENSOR;
            }
        }
        n_found = assert_comes_back(both[1], both[0], "balanced");
        assert_true(n_found < n_told + 400 && n_found < n_plain);
        for (size_t k = 0; k < 2; k++)
            made_free(both[k]);
    }
}

static void containers_of_states_decode_for_good(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } pairs[] = {{"bf16-11", "bf16-12"}, {"fp32-11", "fp32-12"}, {"bf16-11", "bf16-21"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char path[200];
        struct mth_buffer file = {0};
        struct mth_error err = {0};
        struct made *before = load(pairs[i].before), *after = load(pairs[i].after);
        snprintf(path, sizeof path, MADE_STATES "adamw-%s.mth", pairs[i].after);
        assert_int_equal(mth_file_read_all(path, before->memory, &file, &err), 0);
        made_assert_container(before->memory, 1, (struct mth_bytes){file.data, file.n_bytes}, after, before);
        mth_memory_free(before->memory, file.data);
        made_free(before);
        made_free(after);
    }
}

/* Whatever is predicted, and even where nothing can be decoded of what it is predicted from. */
static int read_made(void *state, uint64_t offset, void *dst, size_t n_bytes, struct mth_error *err)
{
    const struct made *made = state;
    (void)err;
    memcpy(dst, made->data + offset, n_bytes);
    return 0;
}

/* Chunks that are looked at where they lie, or copied to their bundle first, by one thread or two, restored at once or not. */
static void what_is_read_and_what_lies_in_memory_are_coded_alike(void **state)
{
    (void)state;
    enum { CAPACITY = 1 << 18 };
    struct mth_memory *memory = mth_memory_create(0);
    struct made *before = load("fp32-11"), *after = load("fp32-12");
    struct mth_source read = {
        .name = "read", .n_bytes = after->map.n_bytes, .fd = -1, .read = read_made, .state = after};
    struct made_base_source base;
    struct mth_pipeline *pipeline;
    struct mth_error err = {0};
    made_base_source(before, &base);
    assert_int_equal(mth_pipeline_parse("balanced", true, &pipeline, &err), 0);
    for (size_t i = 0; i < 4; i++) {
        struct mth_stream_config config = made_config(memory, 1 + i % 2, 16384);
        struct mth_bytes made = made_compress(memory, 1 + i % 2, 16384, "balanced", after, before, NULL);
        struct mth_buffer out = {.data = malloc(CAPACITY), .capacity_bytes = CAPACITY};
        struct mth_sink sink;
        config.verify = i > 1;
        mth_sink_memory(&out, &sink);
        if (mth_compress(pipeline, &read, &after->map, &base.base, NULL, &sink, &config, NULL, &err))
            fail_msg("%s", err.text);
        assert_int_equal(out.n_bytes, made.n_bytes);
        assert_memory_equal(out.data, made.data, made.n_bytes);
        made_container_free(made);
        free(out.data);
    }
    mth_pipeline_destroy(pipeline);
    made_free(before);
    made_free(after);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void a_wrong_base_of_a_state_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } pairs[] = {{"bf16-11", "bf16-12"}, {"fp32-11", "fp32-12"}, {"bf16-11", "bf16-21"}};
    static const char *const names[] = {"masters.0.weight", "optimizer.state.0.exp_avg",
                                        "optimizer.state.0.exp_avg_sq"};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct made *before = load(pairs[i].before), *after = load(pairs[i].after);
        struct mth_bytes bytes = made_compress(before->memory, 1, 0, "balanced", after, before, NULL);
        size_t n, n_bytes = (size_t)after->map.n_bytes;
        uint8_t *dst = malloc(n_bytes);
        struct mth_error err = {0};
        for (size_t k = 0; k < 4 * sizeof names / sizeof names[0]; k++) {
            uint8_t *damaged = bytes_of(before, names[k / 4], &n) + 16 + k % 4; /* mantissa, or exponent */
            *damaged ^= 0x40;
            assert_int_equal(made_decompress(before->memory, 1, bytes, before, false, dst, n_bytes, &err),
                             MTH_ERR_BASE);
            *damaged ^= 0x40;
        }
        /* A moment that is another everywhere: no stream has as many symbols as it tells. */
        uint8_t *moment = bytes_of(before, "optimizer.state.0.exp_avg", &n);
        for (size_t e = 0; e < n; e++)
            moment[4 * e + 3] ^= 0x10;
        assert_int_equal(made_decompress(before->memory, 1, bytes, before, false, dst, n_bytes, &err),
                         MTH_ERR_BASE);
        assert_int_equal(made_decompress(before->memory, 1, bytes, NULL, false, dst, n_bytes, &err),
                         MTH_ERR_BASE);
        free(dst);
        made_container_free(bytes);
        made_free(before);
        made_free(after);
    }
}

static void damaged_states_are_refused_or_harmless(void **state)
{
    (void)state;
    struct made *before = load("bf16-11"), *after = load("bf16-12");
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_bytes bytes = made_compress(memory, 1, 16384, "balanced", after, before, NULL);
    size_t n_bytes = (size_t)after->map.n_bytes;
    uint8_t *damaged = malloc(bytes.n_bytes), *dst = malloc(n_bytes);
    for (size_t i = 0; i < 1500; i++) {
        struct mth_error err = {0};
        memcpy(damaged, bytes.data, bytes.n_bytes);
        damaged[made_random32() % bytes.n_bytes] ^= (uint8_t)(1u << made_random32() % 8);
        made_repair(damaged, bytes.n_bytes);
        struct mth_bytes hostile = {damaged, bytes.n_bytes};
        if (made_decompress(memory, 1, hostile, before, i % 2, dst, n_bytes, &err) == 0)
            assert_memory_equal(dst, after->data, n_bytes);
    }
    free(damaged);
    free(dst);
    made_container_free(bytes);
    made_free(before);
    made_free(after);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_costs_its_gradients),
        cmocka_unit_test(ten_steps_apart_less_follows),
        cmocka_unit_test(steps_of_other_optimizers_are_redone),
        cmocka_unit_test(gradients_are_found_however_they_were_summed),
        cmocka_unit_test(the_largest_squares_may_be_the_squares),
        cmocka_unit_test(what_groups_say_is_read),
        cmocka_unit_test(the_arithmetic_is_that_of_torch),
        cmocka_unit_test(whatever_a_state_holds_comes_back),
        cmocka_unit_test(what_is_as_predicted_at_first_comes_back),
        cmocka_unit_test(wrong_numbers_cost_bytes_alone),
        cmocka_unit_test(whatever_groups_say_comes_back),
        cmocka_unit_test(the_rate_may_be_the_base_s),
        cmocka_unit_test(numbers_that_no_file_tells_are_found),
        cmocka_unit_test(containers_of_states_decode_for_good),
        cmocka_unit_test(what_is_read_and_what_lies_in_memory_are_coded_alike),
        cmocka_unit_test(a_wrong_base_of_a_state_is_refused),
        cmocka_unit_test(damaged_states_are_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
