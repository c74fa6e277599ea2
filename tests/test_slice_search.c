/*
 * Laws of the search for tensors that are parts of others: what stands before a part or behind it is found, in any order and padded as people
 * pad; what is found fits, whatever tensors look like; what is of another dtype or differs where it is looked at is none; there is a limit
 * of parts, of cuts, and of memory.
 */
#include "pipeline/slices.h"
#include "tests/support/made_container.h"

#include "base/checked.h"
#include "transforms/predictors/predictor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t *region_bytes(const struct made *made, size_t region)
{
    return made->data + made->map.regions[region].offset;
}

static uint64_t region_elems(const struct made *made, size_t region)
{
    return made->map.regions[region].n_bytes / mth_dtype_lane_bytes(made->map.regions[region].dtype);
}

/* Parts lie in their wholes, once, and beside each other, or are the same place; nothing is both. */
static size_t find(const struct made *made, struct mth_slice **slices)
{
    struct mth_source source;
    struct mth_error err = {0};
    size_t n;
    mth_source_memory("made", (struct mth_bytes){made->data, (size_t)made->map.n_bytes}, &source);
    assert_int_equal(mth_slices_find(&made->map, &source, false, made->memory, slices, &n, &err), 0);
    for (size_t i = 0; i < n; i++) {
        const struct mth_slice *a = &(*slices)[i];
        assert_true(a->n_elems == region_elems(made, a->part) && a->n_elems < region_elems(made, a->whole) &&
                    a->first <= region_elems(made, a->whole) - a->n_elems);
        for (size_t k = 0; k < n; k++) {
            const struct mth_slice *b = &(*slices)[k];
            assert_int_not_equal(a->part, b->whole);
            assert_true(i == k || a->part != b->part || a->whole != b->whole);
            if (a->whole != b->whole || (a->first == b->first && a->n_elems == b->n_elems))
                continue;
            assert_true(a->first >= b->first + b->n_elems || b->first >= a->first + a->n_elems);
        }
    }
    return n;
}

static size_t count(const struct made *made)
{
    struct mth_slice *slices;
    size_t n = find(made, &slices);
    mth_memory_free(made->memory, slices);
    return n;
}

/* Too small to be found but beside the one that is not. */
static const size_t small[] = {256, 77, 300, 190};
enum {
    FIRST_PART = 1000,
    N_SMALL = sizeof small / sizeof small[0],
    N_PARTS = N_SMALL + 1,
    LARGE = 9001,
    MAX_ALIGN = 512
};

/* Parts of a flat tensor, padded; the large one is the position-th; in the file they lie in this order or the other way round. */
static void what_stands_beside_a_part_is_found(void **state)
{
    (void)state;
    for (size_t align = 1; align <= MAX_ALIGN; align *= align == 1 ? 4 : 2) {
        for (size_t position = 0; position < N_PARTS; position++) {
            for (int reversed = 0; reversed < 2; reversed++) {
                struct made *made = made_begin();
                /* The first does not begin where the whole does. */
                size_t at = 3 * align, n_of[N_PARTS], first_of[N_PARTS];
                for (size_t i = 0; i < N_PARTS; i++) {
                    n_of[i] = i == position ? LARGE : small[i - (i > position)];
                    first_of[i] = at = (at + align - 1) / align * align;
                    at += n_of[i];
                }
                made_add_tensor(made, "flat", MTH_DTYPE_F32, at);
                for (size_t i = 0; i < N_PARTS; i++) {
                    char name[] = {'t', (char)('0' + i), '\0'};
                    made_add_tensor(made, name, MTH_DTYPE_F32, n_of[reversed ? N_PARTS - 1 - i : i]);
                }
                made_fill(made);
                for (size_t i = 0; i < N_PARTS; i++) {
                    size_t part = reversed ? N_PARTS - 1 - i : i;
                    memcpy(region_bytes(made, 1 + i), region_bytes(made, 0) + 4 * first_of[part],
                           4 * n_of[part]);
                }
                struct mth_slice *slices;
                assert_int_equal(find(made, &slices), N_PARTS);
                for (size_t i = 0; i < N_PARTS; i++)
                    assert_true(slices[i].first == first_of[i] && slices[i].n_elems == n_of[i]);
                mth_memory_free(made->memory, slices);
                made_free(made);
            }
        }
    }
}

enum { HEAD = 200, BEHIND = 300 };

/* A whole, a part of it, and two that are small and not beside that one in the file. */
static struct made *made_with_small_parts(enum mth_dtype of_whole, size_t n_whole, enum mth_dtype of_parts)
{
    struct made *made = made_begin();
    made_add_tensor(made, "flat", of_whole, n_whole);
    made_add_tensor(made, "large", of_parts, LARGE);
    made_add_tensor(made, "other.1", of_parts, 222);
    made_add_tensor(made, "head", of_parts, HEAD);
    made_add_tensor(made, "other.2", of_parts, 333);
    made_add_tensor(made, "behind", of_parts, BEHIND);
    made_fill(made);
    return made;
}

/* The large one begins at `first`, the small ones where the whole does and at `behind`. */
static void assert_small_parts_are_found(const struct made *made, size_t first, size_t behind)
{
    struct mth_slice *slices;
    assert_int_equal(find(made, &slices), 3);
    assert_true(slices[0].part == 3 && slices[0].first == 0 && slices[1].part == 1 &&
                slices[1].first == first && slices[2].part == 5 && slices[2].first == behind);
    mth_memory_free(made->memory, slices);
}

/* Where the whole begins, and behind a part, padded. */
static void what_begins_where_a_whole_or_a_gap_does_is_found(void **state)
{
    (void)state;
    static const size_t alignments[] = {1, 8, 64, 512};
    for (size_t a = 0; a < sizeof alignments / sizeof alignments[0]; a++) {
        size_t end = FIRST_PART + LARGE, behind = (end + alignments[a] - 1) / alignments[a] * alignments[a];
        struct made *made = made_with_small_parts(MTH_DTYPE_BF16, behind + 400, MTH_DTYPE_BF16);
        memcpy(region_bytes(made, 1), region_bytes(made, 0) + (size_t)2 * FIRST_PART, (size_t)2 * LARGE);
        memcpy(region_bytes(made, 3), region_bytes(made, 0), (size_t)2 * HEAD);
        memcpy(region_bytes(made, 5), region_bytes(made, 0) + 2 * behind, (size_t)2 * BEHIND);
        assert_small_parts_are_found(made, FIRST_PART, behind);
        made_free(made);
    }
}

/* The same of what is rounded: small copies of fp32 elements, and small fp32 tensors whose rounding is there. */
static void heads_are_found_rounded_too(void **state)
{
    (void)state;
    enum { AT = FIRST_PART + LARGE };
    for (size_t rounded = 0; rounded < 2; rounded++) { /* the whole or the parts */
        struct made *made = made_with_small_parts(rounded ? MTH_DTYPE_F32 : MTH_DTYPE_BF16, AT + BEHIND + 100,
                                                  rounded ? MTH_DTYPE_BF16 : MTH_DTYPE_F32);
        static const size_t n[] = {LARGE, 0, HEAD, 0, BEHIND}, first[] = {FIRST_PART, 0, 0, 0, AT};
        uint8_t *flat = region_bytes(made, 0);
        for (size_t i = 0; i < 5; i++) {
            uint8_t *part = region_bytes(made, 1 + i), *wide = rounded ? flat + 4 * first[i] : part;
            const uint8_t *inputs[] = {wide};
            if (n[i])
                mth_predictor_at(MTH_PREDICT_BF16_NEAREST)
                    ->predict(NULL, inputs, n[i], rounded ? part : flat + 2 * first[i]);
        }
        assert_small_parts_are_found(made, FIRST_PART, AT);
        made_free(made);
    }
}

/* Windows of zeros are not looked up: a part that begins with them where the whole does is found by what stands behind it. */
static void a_part_in_front_is_found_by_the_one_behind_it(void **state)
{
    (void)state;
    struct made *made = made_begin();
    made_add_tensor(made, "flat", MTH_DTYPE_BF16, 300 + LARGE + 100);
    made_add_tensor(made, "front", MTH_DTYPE_BF16, 300);
    made_add_tensor(made, "large", MTH_DTYPE_BF16, LARGE);
    made_fill(made);
    memset(region_bytes(made, 0), 0, 64);
    memcpy(region_bytes(made, 1), region_bytes(made, 0), (size_t)2 * 300);
    memcpy(region_bytes(made, 2), region_bytes(made, 0) + (size_t)2 * 300, (size_t)2 * LARGE);
    assert_int_equal(count(made), 2);
    made_free(made);
}

/* Runs out of one tensor, at its ends and beyond, that overlap, hold each other and are as long as it: what is found fits (above). */
static void what_is_found_fits_whatever_there_is(void **state)
{
    (void)state;
    enum { N = 12000, N_TENSORS = 12, N_ROUNDS = 60 };
    size_t n_found = 0;
    for (size_t round = 0; round < N_ROUNDS; round++) {
        struct made *made = made_begin();
        size_t sizes[N_TENSORS];
        for (size_t i = 0; i < N_TENSORS; i++) {
            char name[8];
            sizes[i] = i < 2 ? N : round % 3 ? 1500 + made_random32() % N : 100 + made_random32() % 4000;
            snprintf(name, sizeof name, "t%zu", i);
            made_add_tensor(made, name, MTH_DTYPE_BF16, sizes[i]);
        }
        made_fill(made);
        uint8_t *whole = region_bytes(made, 0);
        /* But for the first round of three the second tensor is the first. */
        if (round % 3)
            memcpy(region_bytes(made, 1), whole, (size_t)2 * N);
        for (size_t i = 2; i < N_TENSORS; i++) {
            /* As much as there is; some begin before it does. */
            size_t before = i % 4 == 3 ? made_random32() % (sizes[i] / 2) : 0,
                   first = before ? 0 : made_random32() % (N - 64);
            size_t n = mth_size_min(sizes[i] - before, N - first);
            memcpy(region_bytes(made, i) + 2 * before, whole + 2 * first, 2 * n);
        }
        n_found += count(made);
        made_free(made);
    }
    assert_true(n_found > N_ROUNDS);
}

/* ---- what is no part ---- */

enum { FLAT = 12000, FIRST = 1000 };

/* A flat tensor and one that holds the bytes of it from an element on, as they are. */
static struct made *made_pair(enum mth_dtype of_whole, enum mth_dtype of_part)
{
    struct made *made = made_begin();
    made_add_tensor(made, "flat", of_whole, FLAT);
    made_add_tensor(made, "part", of_part, LARGE);
    made_fill(made);
    size_t width = mth_dtype_lane_bytes(of_whole);
    memcpy(region_bytes(made, 1), region_bytes(made, 0) + FIRST * width,
           LARGE * mth_dtype_lane_bytes(of_part));
    return made;
}

static void only_elements_of_one_dtype_are_the_same(void **state)
{
    (void)state;
    static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16, MTH_DTYPE_F16, MTH_DTYPE_F32, MTH_DTYPE_I32};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) {
            if (mth_dtype_lane_bytes(dtypes[i]) != mth_dtype_lane_bytes(dtypes[k]))
                continue;
            struct made *made = made_pair(dtypes[i], dtypes[k]);
            assert_int_equal(count(made), i == k);
            made_free(made);
        }
    }
}

/* What fp32 elements are as a 16-bit dtype is no part in another, and integers are not rounded at all. */
static void what_is_rounded_is_of_its_own_dtype(void **state)
{
    (void)state;
    static const struct {
        enum mth_dtype dtypes[2]; /* of 32 bits, and of 16 */
        uint8_t predictor;
        bool found;
    } cases[] = {{{MTH_DTYPE_F32, MTH_DTYPE_BF16}, MTH_PREDICT_BF16_NEAREST, true},
                 {{MTH_DTYPE_F32, MTH_DTYPE_BF16}, MTH_PREDICT_BF16_TRUNCATED, true},
                 {{MTH_DTYPE_F32, MTH_DTYPE_F16}, MTH_PREDICT_F16_NEAREST, true},
                 {{MTH_DTYPE_F32, MTH_DTYPE_F16}, MTH_PREDICT_BF16_NEAREST, false},
                 {{MTH_DTYPE_F32, MTH_DTYPE_F16}, MTH_PREDICT_BF16_TRUNCATED, false},
                 {{MTH_DTYPE_F32, MTH_DTYPE_BF16}, MTH_PREDICT_F16_NEAREST, false},
                 {{MTH_DTYPE_I32, MTH_DTYPE_BF16}, MTH_PREDICT_BF16_NEAREST, false}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        size_t rounded = i % 2; /* the whole or the part */
        struct made *made = made_begin();
        made_add_tensor(made, "flat", cases[i / 2].dtypes[!rounded], FLAT);
        made_add_tensor(made, "part", cases[i / 2].dtypes[rounded], LARGE);
        made_fill(made);
        uint8_t *flat = region_bytes(made, 0), *part = region_bytes(made, 1);
        uint8_t *wide = rounded ? flat + 4 * FIRST : part, *narrow = rounded ? part : flat + 2 * FIRST;
        /* Values that half floats have too. */
        for (size_t k = 0; k < LARGE; k++) {
            uint32_t x = made_random32();
            mth_store32(wide + 4 * k, (x & 0x80ffffff) | (0x3c + (x >> 24 & 3)) << 24);
        }
        const uint8_t *inputs[] = {wide};
        mth_predictor_at(cases[i / 2].predictor)->predict(NULL, inputs, LARGE, narrow);
        assert_int_equal(count(made), cases[i / 2].found);
        made_free(made);
    }
}

/* Nothing but whole numbers of elements, no region that says it is something of its own, and none of a few elements. */
static void only_tensors_of_elements_are_looked_at(void **state)
{
    (void)state;
    for (size_t region = 0; region < 2; region++) {
        struct made *made = made_pair(MTH_DTYPE_BF16, MTH_DTYPE_BF16);
        assert_int_equal(count(made), 1);
        made->map.regions[region].flags = 1;
        assert_int_equal(count(made), 0);
        made->map.regions[region].flags = 0;
        made->map.regions[region].n_bytes--;
        assert_int_equal(count(made), 0);
        made_free(made);
    }
    for (size_t n = MTH_MIN_RELATED_ELEMS - 1; n <= MTH_MIN_RELATED_ELEMS; n++) {
        struct made *made = made_begin();
        made_add_tensor(made, "flat", MTH_DTYPE_F32, FLAT);
        made_add_tensor(made, "part", MTH_DTYPE_F32, LARGE);
        made_add_tensor(made, "few", MTH_DTYPE_F32, n);
        made_fill(made);
        memcpy(region_bytes(made, 1), region_bytes(made, 0), (size_t)4 * LARGE);
        memcpy(region_bytes(made, 2), region_bytes(made, 0) + (size_t)4 * LARGE, 4 * n);
        assert_int_equal(count(made), n == MTH_MIN_RELATED_ELEMS ? 2 : 1);
        made_free(made);
    }
}

/* In front, at the end, a third in and two: sixteen elements each, by all their bytes. */
static void what_differs_where_it_is_compared_is_no_part(void **state)
{
    (void)state;
    enum { N_SPOTS = 4, SPOT = 16 };
    for (size_t spot = 0; spot < N_SPOTS; spot++) {
        for (size_t elem = 0; elem < SPOT; elem++) {
            struct made *made = made_pair(MTH_DTYPE_F32, MTH_DTYPE_F32);
            size_t at = (LARGE - SPOT) / (N_SPOTS - 1) * spot + elem;
            region_bytes(made, 1)[4 * at + elem % 4] ^= 1;
            assert_int_equal(count(made), 0);
            made_free(made);
        }
    }
}

/* Two of one size are both parts; each of them is a tensor of its own. */
static void parts_may_be_the_same_place(void **state)
{
    (void)state;
    struct made *made = made_begin();
    made_add_tensor(made, "flat", MTH_DTYPE_BF16, FLAT);
    made_add_tensor(made, "one", MTH_DTYPE_BF16, LARGE);
    made_add_tensor(made, "two", MTH_DTYPE_BF16, LARGE);
    made_fill(made);
    for (size_t i = 1; i < 3; i++)
        memcpy(region_bytes(made, i), region_bytes(made, 0) + 2 * FIRST, (size_t)2 * LARGE);
    struct mth_slice *slices;
    assert_int_equal(find(made, &slices), 2);
    assert_true(slices[0].part == 1 && slices[1].part == 2 && slices[0].whole == 0 && slices[1].whole == 0 &&
                slices[0].first == FIRST && slices[1].first == FIRST);
    mth_memory_free(made->memory, slices);
    made_free(made);
}

/* What lies between in the file, of another dtype or of a few elements, is passed over. */
static void others_between_parts_are_passed_over(void **state)
{
    (void)state;
    static const size_t sizes[] = {256, 300, 190, LARGE};
    enum { N = 4 };
    for (int few = 0; few < 2; few++) {
        struct made *made = made_begin();
        size_t at = 3;
        made_add_tensor(made, "flat", MTH_DTYPE_BF16, FLAT);
        for (size_t i = 0; i < N; i++) {
            char part[] = {'p', (char)('0' + i), '\0'}, other[] = {'o', (char)('0' + i), '\0'};
            made_add_tensor(made, part, MTH_DTYPE_BF16, sizes[i]);
            made_add_tensor(made, other, few ? MTH_DTYPE_BF16 : MTH_DTYPE_I32, few ? 10 : 100);
        }
        made_fill(made);
        for (size_t i = 0; i < N; at += sizes[i], i++)
            memcpy(region_bytes(made, 1 + 2 * i), region_bytes(made, 0) + 2 * at, 2 * sizes[i]);
        assert_int_equal(count(made), N);
        made_free(made);
    }
}

/* A part is of the largest that is not itself one, and what is in it is not a part of it. */
static void of_what_hold_each_other_the_larger_is_the_part(void **state)
{
    (void)state;
    struct made *made = made_begin();
    struct mth_slice *slices;
    made_add_tensor(made, "flat", MTH_DTYPE_F32, FLAT);
    made_add_tensor(made, "part", MTH_DTYPE_F32, LARGE);
    made_add_tensor(made, "inner", MTH_DTYPE_F32, LARGE / 2);
    made_fill(made);
    memcpy(region_bytes(made, 1), region_bytes(made, 0) + (size_t)4 * FIRST, (size_t)4 * LARGE);
    memcpy(region_bytes(made, 2), region_bytes(made, 1) + (size_t)4 * FIRST, (size_t)4 * (LARGE / 2));
    assert_int_equal(find(made, &slices), 1);
    assert_true(slices[0].whole == 0 && slices[0].part == 1 && slices[0].first == FIRST);
    mth_memory_free(made->memory, slices);
    made_free(made);
}

/* The last tensor of a file, a window of which would end behind it. */
static void no_window_reaches_beyond_a_tensor(void **state)
{
    (void)state;
    for (size_t tail = 0; tail < 12; tail++) {
        struct made *made = made_begin();
        made_add_tensor(made, "part", MTH_DTYPE_BF16, LARGE);
        made_add_tensor(made, "flat", MTH_DTYPE_BF16, 12288 + tail);
        made_fill(made);
        memcpy(region_bytes(made, 0), region_bytes(made, 1) + 2 * (3287 + tail), (size_t)2 * LARGE);
        assert_int_equal(count(made), 1);
        made_free(made);
    }
}

/* ---- limits ---- */

enum { N_FIRST = 2000, N_EACH = 64 };

/* A part that is large enough to be found, and n small ones behind it. */
static void add_parts(struct made *made, size_t n)
{
    made_add_tensor(made, "first", MTH_DTYPE_BF16, N_FIRST);
    for (size_t i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%zu", i);
        made_add_tensor(made, name, MTH_DTYPE_BF16, N_EACH);
    }
    made_fill(made);
}

/* A flat parameter of many layers, and four states that are cut as it is. */
static void there_is_a_limit_of_cuts(void **state)
{
    (void)state;
    enum { N_STATES = 4 };
    size_t n_flat = N_FIRST + (size_t)N_EACH * MTH_MAX_SLICES;
    struct made *made = made_begin();
    made_add_tensor(made, "flat", MTH_DTYPE_BF16, n_flat);
    for (size_t i = 0; i < N_STATES; i++) {
        char name[] = {'s', (char)('0' + i), '\0'};
        made_add_tensor(made, name, MTH_DTYPE_BF16, n_flat);
    }
    add_parts(made, MTH_MAX_SLICES - 1);
    struct mth_region_map *map = &made->map;
    memcpy(region_bytes(made, 1 + N_STATES), region_bytes(made, 0),
           2 * (N_FIRST + (size_t)N_EACH * (MTH_MAX_SLICES - 1)));
    map->n_params = map->params_capacity = map->n_tensors;
    map->params = mth_memory_alloc(made->memory, map->n_tensors * sizeof *map->params);
    assert_non_null(map->params);
    for (size_t i = 0; i < map->n_tensors; i++)
        map->params[i] = i >= 1 && i <= N_STATES ? 0 : (uint32_t)MTH_NO_TENSOR;
    struct mth_bundle_planner planner = {.map = map};
    struct mth_base_match match = {0};
    struct mth_slices slices = {0};
    struct mth_source source;
    struct mth_error err = {0};
    mth_source_memory("made", (struct mth_bytes){made->data, (size_t)map->n_bytes}, &source);
    assert_int_equal(mth_slices_cut(&planner, &source, &match, made->memory, &slices, &err), 0);
    assert_ptr_equal(planner.map, &slices.split);
    assert_int_equal(slices.split.n_regions, map->n_regions + MTH_MAX_SLICE_CUTS);
    assert_int_equal(mth_region_map_check(&slices.split), 0);
    mth_slices_free(&slices, made->memory);
    made_free(made);
}

static void there_is_a_limit_of_parts(void **state)
{
    (void)state;
    enum { N_MORE = MTH_MAX_SLICES + 50 };
    struct made *made = made_begin();
    made_add_tensor(made, "flat", MTH_DTYPE_BF16, N_FIRST + N_EACH * N_MORE);
    add_parts(made, N_MORE);
    memcpy(region_bytes(made, 1), region_bytes(made, 0), (size_t)2 * (N_FIRST + N_EACH * N_MORE));
    struct mth_slice *slices;
    struct mth_source source;
    struct mth_error err = {0};
    size_t n;
    mth_source_memory("made", (struct mth_bytes){made->data, (size_t)made->map.n_bytes}, &source);
    assert_int_equal(mth_slices_find(&made->map, &source, false, made->memory, &slices, &n, &err), 0);
    assert_int_equal(n, MTH_MAX_SLICES);
    mth_memory_free(made->memory, slices);
    made_free(made);
}

/* Of fp32 beside bf16, where each window is there in all its forms. */
static void a_search_takes_no_more_than_it_says(void **state)
{
    (void)state;
    struct made *made = made_begin();
    for (size_t i = 0; i < 6; i++) {
        char name[] = {'t', (char)('0' + i), '\0'};
        made_add_tensor(made, name, i < 5 ? MTH_DTYPE_F32 : MTH_DTYPE_BF16, i < 5 ? 300000 : 20000);
    }
    made_fill(made);
    size_t before = mth_memory_current(made->memory);
    mth_memory_reset_peak(made->memory);
    assert_int_equal(count(made), 0);
    size_t taken = mth_memory_peak(made->memory) - before;
    assert_true(taken <= mth_slices_need(&made->map));
    made_free(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_beside_a_part_is_found),
        cmocka_unit_test(what_begins_where_a_whole_or_a_gap_does_is_found),
        cmocka_unit_test(heads_are_found_rounded_too),
        cmocka_unit_test(a_part_in_front_is_found_by_the_one_behind_it),
        cmocka_unit_test(what_is_found_fits_whatever_there_is),
        cmocka_unit_test(only_elements_of_one_dtype_are_the_same),
        cmocka_unit_test(what_is_rounded_is_of_its_own_dtype),
        cmocka_unit_test(only_tensors_of_elements_are_looked_at),
        cmocka_unit_test(what_differs_where_it_is_compared_is_no_part),
        cmocka_unit_test(parts_may_be_the_same_place),
        cmocka_unit_test(others_between_parts_are_passed_over),
        cmocka_unit_test(of_what_hold_each_other_the_larger_is_the_part),
        cmocka_unit_test(no_window_reaches_beyond_a_tensor),
        cmocka_unit_test(there_is_a_limit_of_cuts),
        cmocka_unit_test(there_is_a_limit_of_parts),
        cmocka_unit_test(a_search_takes_no_more_than_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
