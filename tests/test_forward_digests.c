/* Digests that transforms take of what they read: those of the whole, whatever its length, and whatever stood before. */
#include "base/hash.h"
#include "transforms/transform.h"
#include "transforms/transform_registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = 9000, FRONT_BYTES = 3000, N_REFERENCES = 2 };

static uint8_t elems[MAX_BYTES], references[N_REFERENCES][MAX_BYTES];

static int make_bytes(void **state)
{
    uint32_t x = 7;
    (void)state;
    for (size_t i = 0; i < MAX_BYTES; i++) {
        x = x * 1664525 + 1013904223;
        elems[i] = (uint8_t)(x >> 24);
        references[0][i] = (uint8_t)(x >> 16);
        references[1][i] = i % 4 == 3 ? 0x2f : (uint8_t)(x >> 8);
    }
    return 0;
}

/* Blocks that were told of, which must be all of the elements in their order. */
struct told {
    size_t at, n;
};

static void note(void *arg, size_t at, size_t n_bytes)
{
    struct told *told = arg;
    assert_int_equal(at, told->at);
    told->at += n_bytes;
    told->n++;
}

/* Runs forward on the first n bytes. */
static void run(const struct mth_transform *transform, size_t n, struct mth_forward_digests *digests)
{
    struct mth_symbol_type type = mth_symbol_type_of(MTH_DTYPE_F32);
    struct mth_bytes bytes[N_REFERENCES] = {{references[0], n}, {references[1], n}};
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    struct mth_buffer streams[MTH_MAX_STREAMS];
    int64_t options[MTH_MAX_OPTIONS];
    size_t n_streams;
    mth_option_defaults(transform->options, transform->n_options, options);
    assert_int_equal(transform->plan(options, &type, n, plans, &n_streams), MTH_OK);
    for (size_t i = 0; i < n_streams; i++) {
        streams[i] =
            (struct mth_buffer){.data = malloc(plans[i].n_bytes + 1), .capacity_bytes = plans[i].n_bytes};
        assert_non_null(streams[i].data);
    }
    struct mth_transform_job job = {.options = options,
                                    .type = type,
                                    .n_bytes = n,
                                    .references = bytes,
                                    .plans = plans,
                                    .n_streams = n_streams,
                                    .digests = digests};
    assert_int_equal(transform->forward(&job, elems, streams), MTH_OK);
    for (size_t i = 0; i < n_streams; i++)
        free(streams[i].data);
}

static void digests_on_the_way_are_those_of_the_whole(void **state)
{
    static const char *const names[] = {"moment16", "moment32"};
    static const size_t lengths[] = {0, 1, 4, 7, 1024, 2044, 2048, 2050, 2052, 4096, 8192, 8195};
    static const size_t fronts[] = {0, 1, 1024, FRONT_BYTES};
    static uint8_t whole[FRONT_BYTES + MAX_BYTES + 1];
    (void)state;
    for (size_t t = 0; t < sizeof names / sizeof names[0]; t++) {
        const struct mth_transform *transform = mth_transform_find(names[t], strlen(names[t]));
        assert_non_null(transform);
        for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
            for (size_t f = 0; f < sizeof fronts / sizeof fronts[0]; f++) {
                for (size_t n_behind = 0; n_behind < 2; n_behind++) {
                    size_t n = lengths[l], n_front = fronts[f];
                    struct mth_hash64_pieces pieces;
                    struct told told = {0, 0};
                    struct mth_forward_digests digests = {
                        .src = &pieces, .src_goes_on = n_behind > 0, .beside = note, .beside_arg = &told};
                    mth_hash64_begin(&pieces);
                    mth_hash64_add(&pieces, references[0], n_front);
                    run(transform, n, &digests);
                    mth_hash64_add(&pieces, references[1], n_behind);
                    memcpy(whole, references[0], n_front);
                    memcpy(whole + n_front, elems, n);
                    memcpy(whole + n_front + n, references[1], n_behind);
                    assert_true(digests.taken);
                    assert_true(mth_hash64_end(&pieces) == mth_hash64(whole, n_front + n + n_behind, 0));
                    for (size_t i = 0; i < N_REFERENCES; i++)
                        assert_true(digests.references[i] == mth_hash64(references[i], n, 0));
                    assert_int_equal(told.at, n);
                    assert_true(n == 0 || told.n > 0);
                }
            }
        }
    }
}

/* Who does not take them says so, and who is asked for references alone leaves the rest. */
static void what_is_not_asked_for_is_not_taken(void **state)
{
    struct mth_forward_digests digests = {.src = NULL};
    (void)state;
    run(mth_transform_find("moment32", 8), 4096, &digests);
    assert_true(digests.taken);
    assert_true(digests.references[1] == mth_hash64(references[1], 4096, 0));
    digests.taken = false;
    run(mth_transform_find("moment24", 8), 4096, &digests);
    assert_false(digests.taken);
    run(mth_transform_find("moment32", 8), 4096, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_on_the_way_are_those_of_the_whole),
        cmocka_unit_test(what_is_not_asked_for_is_not_taken),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
