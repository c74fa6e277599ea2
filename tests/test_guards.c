/* Laws of guards: a candidate with one codes the tensors it names and no other, the nearest guard wins, and all restores. */
#include "pipeline/planner.h"
#include "tests/support/made_checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mth_pipeline *parsed(const char *spec, bool has_base)
{
    struct mth_pipeline *pipeline = NULL;
    struct mth_error err = {0};
    if (mth_pipeline_parse(spec, has_base, &pipeline, &err))
        fail_msg("%s", err.text);
    return pipeline;
}

static void canonical_text_keeps_guards(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"bf16=store", "bf16=store@1"},
        {"BF16=store", NULL},
        {"adam_m=lz4,f32.adam_v=store,lz4",
         "adam_m=lz4@1:acceleration=1,f32.adam_v=store@1,lz4@1:acceleration=1"},
        {"bfloat16.vector=store,related", "bf16.vector=store@1,related"},
        {"i64=seed", "i64=byte-group@1:width=0+zstd@1:level=3:long=0:prefix=no"},
        {"both=store", NULL},
        {"f32.=store", NULL},
        {".f32=store", NULL},
        {"=store", NULL},
        {"f32.f32=store", NULL},
        {"matrix.f32=store", NULL},
        {"matrix.vector=store", NULL},
        {"f32=bf16=store", NULL},
        {"f32=", NULL},
        {"byte-group+f32=store", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mth_pipeline *pipeline = NULL;
        struct mth_error err = {0};
        int status = mth_pipeline_parse(cases[i][0], false, &pipeline, &err);
        if (!cases[i][1]) {
            assert_int_not_equal(status, 0);
            continue;
        }
        if (status)
            fail_msg("%s", err.text);
        assert_string_equal(mth_pipeline_text(pipeline), cases[i][1]);
        struct mth_pipeline *again = parsed(mth_pipeline_text(pipeline), false);
        assert_string_equal(mth_pipeline_text(again), cases[i][1]);
        mth_pipeline_destroy(pipeline);
        mth_pipeline_destroy(again);
    }
}

/* A guard before the name of a list is one before each of them. */
static void a_guard_before_a_name_is_for_all_that_it_stands_for(void **state)
{
    (void)state;
    struct mth_error err;
    assert_int_equal(mth_spec_define("two", "store,lz4", &err), 0);
    assert_int_equal(mth_spec_define("guarded", "f32=lz4", &err), 0);
    struct mth_pipeline *pipeline = parsed("f16=two,store", false);
    assert_string_equal(mth_pipeline_text(pipeline), "f16=store@1,f16=lz4@1:acceleration=1,store@1");
    mth_pipeline_destroy(pipeline);
    assert_int_equal(mth_pipeline_parse("f16=guarded", false, &pipeline, &err), MTH_ERR_SPEC);
}

/* The numbers of the candidates of a kind, as text. */
static void assert_candidates(const char *spec, enum mth_dtype dtype, enum mth_tensor_class class_,
                              bool matched, const char *expected)
{
    struct mth_pipeline *pipeline = parsed(spec, true);
    const struct mth_pipeline *specs[MTH_N_PLAN_SPECS] = {0};
    struct mth_spec_guard guards[MTH_MAX_CANDIDATES];
    uint32_t found[MTH_MAX_PLAN_CANDIDATES];
    char text[128] = "";
    size_t n = 0;
    for (const struct mth_pipeline *p = pipeline; p; p = p->next)
        specs[n++] = p;
    mth_pipeline_guards(pipeline, guards);
    n = mth_plan_candidates(specs, guards, dtype, class_, matched, found);
    for (size_t i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u", i ? " " : "", found[i]);
    if (strcmp(text, expected) != 0)
        fail_msg("%s: %s, not %s", spec, text, expected);
    mth_pipeline_destroy(pipeline);
}

static void the_nearest_guard_wins(void **state)
{
    (void)state;
    static const char spec[] = "store,bf16=lz4,vector=zstd,bf16.vector=store,bf16.vector=zstd";
    assert_candidates(spec, MTH_DTYPE_BF16, MTH_CLASS_VECTOR, false, "3 4");
    assert_candidates(spec, MTH_DTYPE_F32, MTH_CLASS_VECTOR, false, "2");
    assert_candidates(spec, MTH_DTYPE_BF16, MTH_CLASS_MATRIX, false, "1");
    assert_candidates(spec, MTH_DTYPE_I64, MTH_CLASS_OTHER, false, "0");
    /* What may be, of whatever class: all of its dtype, and where there are guards the stand-in. */
    char all[64];
    snprintf(all, sizeof all, "0 1 2 3 4 %d", MTH_PLAN_WIDE);
    assert_candidates(spec, MTH_DTYPE_BF16, MTH_N_CLASSES, false, all);
    assert_candidates("store,lz4", MTH_DTYPE_BF16, MTH_N_CLASSES, false, "0 1");
    /* Where the nearest does not fit, the next does: integers have no exponents, and nothing without a counterpart steps. */
    assert_candidates("store,matrix=exponent-split+zstd/store", MTH_DTYPE_I8, MTH_CLASS_MATRIX, false, "0");
    assert_candidates("bf16=ulp-rans,store", MTH_DTYPE_BF16, MTH_CLASS_MATRIX, false, "1");
    /* What the base makes no smaller may do without, by what is next; where nothing is, there is nothing to choose. */
    assert_candidates("bf16=ulp-rans,store", MTH_DTYPE_BF16, MTH_CLASS_MATRIX, true, "0 1");
    assert_candidates("bf16=ulp-rans,f32=store", MTH_DTYPE_BF16, MTH_CLASS_MATRIX, true, "0");
    char narrow[8];
    snprintf(narrow, sizeof narrow, "%d", MTH_PLAN_NARROW);
    assert_candidates("bf16=store", MTH_DTYPE_U8, MTH_CLASS_OTHER, false, narrow);
}

static void classes_follow_from_role_shape_and_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t n_dims;
        enum mth_role role;
        enum mth_tensor_class class_;
    } cases[] = {
        {"layers.0.mlp.weight", 2, MTH_ROLE_WEIGHT, MTH_CLASS_MATRIX},
        {"conv.weight", 4, MTH_ROLE_WEIGHT, MTH_CLASS_MATRIX},
        {"norm.weight", 1, MTH_ROLE_WEIGHT, MTH_CLASS_VECTOR},
        {"scale", 0, MTH_ROLE_WEIGHT, MTH_CLASS_VECTOR},
        {"model.embed_tokens.weight", 2, MTH_ROLE_WEIGHT, MTH_CLASS_EMBEDDING},
        {"transformer.wte.weight", 2, MTH_ROLE_WEIGHT, MTH_CLASS_EMBEDDING},
        {"wpe", 2, MTH_ROLE_WEIGHT, MTH_CLASS_EMBEDDING},
        {"transformer.wten.weight", 2, MTH_ROLE_WEIGHT, MTH_CLASS_MATRIX},
        {"embed.bias", 1, MTH_ROLE_WEIGHT, MTH_CLASS_VECTOR},
        {"embed.exp_avg", 2, MTH_ROLE_ADAM_M, MTH_CLASS_ADAM_M},
        {"exp_avg_sq", 2, MTH_ROLE_ADAM_V, MTH_CLASS_ADAM_V},
        {"step", 0, MTH_ROLE_STEP, MTH_CLASS_STEP},
        {"mask", 2, MTH_ROLE_OTHER, MTH_CLASS_OTHER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct made *made = made_begin();
        const uint64_t shape[4] = {1, 1, 1, 1};
        struct mth_tensor tensor = {.n_elems = 1, .dtype = MTH_DTYPE_F32, .role = (uint8_t)cases[i].role};
        assert_int_equal(mth_region_map_add_region(&made->map, 0, 4, MTH_DTYPE_F32, &tensor.region), 0);
        assert_int_equal(mth_region_map_add_tensor(&made->map, cases[i].name, strlen(cases[i].name), shape,
                                                   cases[i].n_dims, &tensor),
                         0);
        uint8_t *classes = mth_region_classes(&made->map, made->memory);
        assert_non_null(classes);
        if (classes[0] != cases[i].class_)
            fail_msg("%s: %s", cases[i].name, mth_tensor_class_name((enum mth_tensor_class)classes[0]));
        enum mth_tensor_class class_ = (enum mth_tensor_class)classes[0];
        const char *name = mth_tensor_class_name(class_);
        assert_int_equal(mth_tensor_class_find(name, strlen(name)), class_);
        mth_memory_free(made->memory, classes);
        made->data = malloc(1);
        made_free(made);
    }
}

static size_t encoded_bytes(struct mth_coder *coder, const char *spec, const struct made *input,
                            const struct made *base)
{
    struct made_frame frame = made_encode(coder, spec, input, base);
    made_assert_restores(coder, frame, input, base);
    free(frame.data);
    return frame.n_bytes;
}

static size_t distance(size_t a, size_t b)
{
    return a > b ? a - b : b - a;
}

/* What guards bring adds up: bf16 shrinks as under the one spec, f32 as under the other. */
static void guarded_tensors_are_coded_as_by_their_own_spec(void **state)
{
    (void)state;
    enum { N = 100000, FRAMING = 400 };
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_coder *coder = made_coder(memory, 1, 0);
    struct made *input = made_begin();
    made_add_tensor(input, "", MTH_DTYPE_OPAQUE, 77);
    made_add_tensor(input, "a", MTH_DTYPE_BF16, N);
    made_add_tensor(input, "b", MTH_DTYPE_F32, N);
    made_fill(input);
    size_t none = encoded_bytes(coder, "store", input, NULL);
    size_t on_bf16 = encoded_bytes(coder, "bf16=byte-group+zstd,store", input, NULL);
    size_t on_f32 = encoded_bytes(coder, "f32=byte-group+zstd,store", input, NULL);
    size_t on_both = encoded_bytes(coder, "bf16=byte-group+zstd,f32=byte-group+zstd,store", input, NULL);
    size_t everywhere = encoded_bytes(coder, "byte-group+zstd", input, NULL);
    assert_true(on_bf16 < none - N / 4);
    assert_true(on_f32 < none - N / 2);
    assert_true(distance(none - on_both, (none - on_bf16) + (none - on_f32)) < FRAMING);
    assert_true(distance(on_both, everywhere) < FRAMING);
    made_free(input);
    mth_coder_destroy(coder);
    mth_memory_destroy(memory);
}

/* With guards and a base, in threads, under a memory account: every kind of trouble restores. */
static void guarded_containers_restore(void **state)
{
    (void)state;
    static const char *const specs[] = {
        "bf16=store",
        "other=zstd",
        "f32=lz4,other=store,zstd",
        "vector=max,seed",
        "bf16=ulp-rans,f32=delta-xor+zstd,store",
        "bf16=ulp-rans,bf16=exponent-split+rans/store,delta-xor+byte-group+zstd",
        "f32=delta-xor+lz4",
        "bf16.other=delta-ulp+byte-group+zstd,f32=max,related"};
    for (size_t t = 1; t <= 3; t += 2) {
        struct mth_memory *memory = mth_memory_create(0);
        struct mth_coder *coder = made_coder(memory, t, 1 << 14);
        struct made *input = made_checkpoint(), *base = made_base(input);
        for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
            struct mth_pipeline *pipeline = parsed(specs[i], false);
            (void)encoded_bytes(coder, specs[i], input, base);
            if (!mth_pipeline_needs_base(pipeline))
                (void)encoded_bytes(coder, specs[i], input, NULL);
            mth_pipeline_destroy(pipeline);
        }
        made_free(input);
        made_free(base);
        mth_coder_destroy(coder);
        mth_memory_destroy(memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_text_keeps_guards),
        cmocka_unit_test(a_guard_before_a_name_is_for_all_that_it_stands_for),
        cmocka_unit_test(the_nearest_guard_wins),
        cmocka_unit_test(classes_follow_from_role_shape_and_name),
        cmocka_unit_test(guarded_tensors_are_coded_as_by_their_own_spec),
        cmocka_unit_test(guarded_containers_restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
