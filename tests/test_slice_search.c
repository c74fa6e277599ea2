/*
 * Laws of the search for tensors that are parts of others: what stands before a part or behind it is found, in any order and padded as people
 * pad; what is found fits, whatever tensors look like; there is a limit of parts, and of memory.
 */
#include "pipeline/slices.h"
#include "tests/support/made_container.h"

#include "base/checked.h"

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

/* Parts lie in their wholes and beside each other, or are the same place; nothing is both. */
static size_t find(const struct made *made, struct mth_slice **slices)
{
    struct mth_source source;
    struct mth_error err = {0};
    size_t n;
    mth_source_memory("made", (struct mth_bytes){made->data, (size_t)made->map.n_bytes}, &source);
    assert_int_equal(mth_slices_find(&made->map, &source, made->memory, slices, &n, &err), 0);
    for (size_t i = 0; i < n; i++) {
        const struct mth_slice *a = &(*slices)[i];
        assert_true(a->n_elems == region_elems(made, a->part) && a->n_elems < region_elems(made, a->whole) &&
                    a->first <= region_elems(made, a->whole) - a->n_elems);
        for (size_t k = 0; k < n; k++) {
            const struct mth_slice *b = &(*slices)[k];
            assert_int_not_equal(a->part, b->whole);
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
enum { N_SMALL = sizeof small / sizeof small[0], N_PARTS = N_SMALL + 1, LARGE = 9001, MAX_ALIGN = 512 };

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

/* Small ones that are not beside it in the file: where the whole begins, and behind a part, padded. */
static void what_begins_where_a_whole_or_a_gap_does_is_found(void **state)
{
    (void)state;
    static const size_t alignments[] = {1, 8, 64, 512};
    for (size_t a = 0; a < sizeof alignments / sizeof alignments[0]; a++) {
        struct made *made = made_begin();
        size_t first = 1000, behind = (first + LARGE + alignments[a] - 1) / alignments[a] * alignments[a];
        made_add_tensor(made, "flat", MTH_DTYPE_BF16, behind + 400);
        made_add_tensor(made, "large", MTH_DTYPE_BF16, LARGE);
        made_add_tensor(made, "other.1", MTH_DTYPE_BF16, 222);
        made_add_tensor(made, "head", MTH_DTYPE_BF16, 200);
        made_add_tensor(made, "other.2", MTH_DTYPE_BF16, 333);
        made_add_tensor(made, "behind", MTH_DTYPE_BF16, 300);
        made_fill(made);
        memcpy(region_bytes(made, 1), region_bytes(made, 0) + 2 * first, 2 * LARGE);
        memcpy(region_bytes(made, 3), region_bytes(made, 0), 2 * 200);
        memcpy(region_bytes(made, 5), region_bytes(made, 0) + 2 * behind, 2 * 300);
        struct mth_slice *slices;
        assert_int_equal(find(made, &slices), 3);
        assert_true(slices[0].part == 3 && slices[0].first == 0 && slices[1].part == 1 &&
                    slices[1].first == first && slices[2].part == 5 && slices[2].first == behind);
        mth_memory_free(made->memory, slices);
        made_free(made);
    }
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

static void there_is_a_limit_of_parts(void **state)
{
    (void)state;
    enum { N_FIRST = 2000, N_EACH = 64, N_MORE = MTH_MAX_SLICES + 50 };
    struct made *made = made_begin();
    made_add_tensor(made, "flat", MTH_DTYPE_BF16, N_FIRST + N_EACH * N_MORE);
    made_add_tensor(made, "first", MTH_DTYPE_BF16, N_FIRST);
    for (size_t i = 0; i < N_MORE; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%zu", i);
        made_add_tensor(made, name, MTH_DTYPE_BF16, N_EACH);
    }
    made_fill(made);
    memcpy(region_bytes(made, 1), region_bytes(made, 0), (size_t)2 * (N_FIRST + N_EACH * N_MORE));
    struct mth_slice *slices;
    struct mth_source source;
    struct mth_error err = {0};
    size_t n;
    mth_source_memory("made", (struct mth_bytes){made->data, (size_t)made->map.n_bytes}, &source);
    assert_int_equal(mth_slices_find(&made->map, &source, made->memory, &slices, &n, &err), 0);
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
        cmocka_unit_test(what_is_found_fits_whatever_there_is),
        cmocka_unit_test(there_is_a_limit_of_parts),
        cmocka_unit_test(a_search_takes_no_more_than_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
