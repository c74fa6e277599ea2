/* Laws of which tensor of a base one is held against: the most like one that is free, found by any part of it, and only what can be referred to. */
#include "formats/region_align.h"
#include "tests/support/made_container.h"
#include "tests/support/patterns.h"
#include "transforms/predictors/float_convert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ELEMS = 3001, MAX_REGIONS = 64 };

/* Tensors of bf16 one behind the other, of one content; its names are text and a number. */
static struct made *alike(const char *format, size_t n_tensors, size_t n_elems)
{
    struct made *made = made_begin();
    char name[32];
    for (size_t i = 0; i < n_tensors; i++) {
        snprintf(name, sizeof name, format, i);
        made_add_tensor(made, name, MTH_DTYPE_BF16, n_elems);
    }
    made_fill(made);
    for (size_t i = 0; i < n_tensors; i++)
        pattern_fill(PATTERN_RANDOM, 1, made->data + 2 * n_elems * i, 2 * n_elems);
    return made;
}

static uint8_t *data_of(const struct made *made, size_t region)
{
    return made->data + made->map.regions[region].offset;
}

static void align(const struct made *input, const struct made *base,
                  struct mth_alignment alignments[MAX_REGIONS])
{
    struct made_base_source of_input, of_base;
    struct mth_error err = {0};
    made_base_source(input, &of_input);
    made_base_source(base, &of_base);
    assert_true(input->map.n_regions <= MAX_REGIONS);
    assert_int_equal(mth_region_align(&input->map, &of_input.source, &base->map, &of_base.source,
                                      mth_float_converts, alignments, &err),
                     0);
    for (size_t i = 0; i < input->map.n_regions; i++) {
        const struct mth_alignment *alignment = &alignments[i];
        if (alignment->kind == MTH_ALIGNED_NOT)
            continue;
        /* Never more than either has. */
        uint64_t n_elems = alignment->n_elems;
        const struct mth_region *own = &input->map.regions[i],
                                *other = &base->map.regions[alignment->base_region];
        assert_true(n_elems > 0 && n_elems * mth_dtype_lane_bytes(own->dtype) <= own->n_bytes);
        assert_true(n_elems * mth_dtype_lane_bytes(other->dtype) <= other->n_bytes);
    }
}

/* Each is found once as long as there are as many, whether others are found by name or not. */
static void copies_have_counterparts_of_their_own(void **state)
{
    (void)state;
    enum { N = 5 };
    for (size_t n_named = 0; n_named < 2; n_named++) {
        struct made *base = alike("a.%zu", N, ELEMS), *input = alike(n_named ? "b%zu" : "c.%zu", N, ELEMS);
        struct mth_alignment alignments[MAX_REGIONS];
        bool seen[N] = {false};
        if (n_named) {
            made_free(input);
            input = made_begin();
            made_add_tensor(input, "first", MTH_DTYPE_BF16, ELEMS);
            made_add_tensor(input, "a.1", MTH_DTYPE_BF16, ELEMS);
            made_add_tensor(input, "third", MTH_DTYPE_BF16, ELEMS);
            made_add_tensor(input, "a.0", MTH_DTYPE_BF16, ELEMS);
            made_add_tensor(input, "fifth", MTH_DTYPE_BF16, ELEMS);
            made_fill(input);
            for (size_t i = 0; i < N; i++)
                memcpy(data_of(input, i), data_of(base, 0), 2 * ELEMS);
        }
        align(input, base, alignments);
        for (size_t i = 0; i < N; i++) {
            bool is_named = n_named && i % 2;
            assert_int_equal(alignments[i].kind, is_named ? MTH_ALIGNED_SAME : MTH_ALIGNED_RENAMED);
            assert_false(seen[alignments[i].base_region]);
            seen[alignments[i].base_region] = true;
        }
        made_free(base);
        made_free(input);
    }
}

/* Signs and exponents are those of many, and more than a few are looked at. */
static void of_those_that_are_alike_the_most_alike_is_taken(void **state)
{
    (void)state;
    enum { N = 20 };
    for (size_t right = 0; right < N; right += 6) {
        struct made *base = alike("a.%zu", N, ELEMS), *input = alike("b.%zu", 1, ELEMS);
        struct mth_alignment alignments[MAX_REGIONS];
        for (size_t t = 0; t < N; t++)
            for (size_t i = 0; i < ELEMS; i += t == right ? 7 : 2)
                data_of(base, t)[2 * i] ^= 1;
        align(input, base, alignments);
        assert_int_equal(alignments[0].kind, MTH_ALIGNED_RENAMED);
        assert_int_equal(alignments[0].base_region, right);
        made_free(base);
        made_free(input);
    }
}

/* All of these lower bytes are others, and the upper ones of the first elements; of any number of elements. */
static void any_part_of_a_tensor_tells_it(void **state)
{
    (void)state;
    for (size_t n_elems = ELEMS; n_elems < ELEMS + 9; n_elems++) {
        struct made *base = alike("a.%zu", 1, n_elems), *input = alike("b.%zu", 1, n_elems);
        struct mth_alignment alignments[MAX_REGIONS];
        for (size_t i = 0; i < n_elems; i++)
            data_of(input, 0)[2 * i] ^= 1;
        memset(data_of(input, 0), 0x77, n_elems / 4);
        align(input, base, alignments);
        assert_int_equal(alignments[0].kind, MTH_ALIGNED_RENAMED);
        made_free(base);
        made_free(input);
    }
}

/* A part that two have in common does not make one of the other: three of four upper bytes do. */
static void a_part_in_common_is_not_enough(void **state)
{
    (void)state;
    for (size_t share = 1; share <= 8; share++) {
        struct made *base = alike("a.%zu", 1, ELEMS), *input = alike("b.%zu", 1, ELEMS);
        struct mth_alignment alignments[MAX_REGIONS];
        size_t n_same = ELEMS * share / 8 * 2;
        pattern_fill(PATTERN_RANDOM, 9, data_of(input, 0) + n_same, 2 * ELEMS - n_same);
        align(input, base, alignments);
        assert_int_equal(alignments[0].kind, share >= 6 ? MTH_ALIGNED_RENAMED : MTH_ALIGNED_NOT);
        made_free(base);
        made_free(input);
    }
}

/* Elements in another order of bytes, or of a view, are not those that stand in the file; and those below a byte have no offsets: such a
 * tensor is found by its content, as a whole. */
static void what_cannot_be_referred_to_has_no_counterpart(void **state)
{
    (void)state;
    struct mth_alignment alignments[MAX_REGIONS];
    const uint64_t shape[] = {30, 100}, other[] = {100, 30};
    for (size_t what = 0; what < 5; what++) {
        for (size_t renamed = 0; renamed < 2; renamed++) {
            enum mth_dtype dtype = what == 4 ? MTH_DTYPE_F4 : MTH_DTYPE_BF16;
            struct made *base = made_begin(), *input = made_begin();
            made_add_shaped(base, "w", dtype, shape, 2);
            made_add_shaped(input, renamed ? "v" : "w", dtype, other, 2);
            made_fill(base);
            made_fill(input);
            memcpy(input->data, base->data, (size_t)base->map.n_bytes);
            base->map.regions[0].flags = what == 1 ? MTH_REGION_BIG_ENDIAN : 0;
            input->map.regions[0].flags = what == 2 ? MTH_REGION_BIG_ENDIAN : 0;
            base->map.tensors[0].flags = what == 3 ? MTH_TENSOR_NEGATED : 0;
            align(input, base, alignments);
            enum mth_alignment_kind wanted = what == 0 && !renamed    ? MTH_ALIGNED_RESHAPED
                                             : what == 0 || what == 4 ? MTH_ALIGNED_RENAMED
                                                                      : MTH_ALIGNED_NOT;
            if (alignments[0].kind != wanted)
                fail_msg("case %zu, %s: %s", what, renamed ? "renamed" : "named",
                         mth_alignment_text(alignments[0].kind));
            made_free(base);
            made_free(input);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_have_counterparts_of_their_own),
        cmocka_unit_test(of_those_that_are_alike_the_most_alike_is_taken),
        cmocka_unit_test(any_part_of_a_tensor_tells_it),
        cmocka_unit_test(a_part_in_common_is_not_enough),
        cmocka_unit_test(what_cannot_be_referred_to_has_no_counterpart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
