/* Laws of chunks that are coded without their base: where that is smaller, and only there; in pieces as long as chunks are without one. */
#include "base/checked.h"
#include "tests/support/made_container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char either[] = "ulp-rans,exponent-split+rans/store", delta[] = "ulp-rans",
                  alone[] = "exponent-split+rans/store";

/* What a second pipeline and the choice of chunks add. */
enum { OVERHEAD = 150 };

static size_t coded_bytes(size_t chunk_bytes, const char *spec, const struct made *input,
                          const struct made *base)
{
    return made_assert_comes_back(chunk_bytes, input, base, spec);
}

static struct made *one_tensor(size_t n_bytes)
{
    struct made *made = made_begin();
    made_add_tensor(made, "w", MTH_DTYPE_BF16, n_bytes / 2);
    made_fill(made);
    return made;
}

/* Elements that moved by some steps from a base, and some that are others, share of 1024 of them. */
static void move(const struct made *input, struct made *base, size_t begin, size_t end, uint32_t share,
                 uint32_t n_steps)
{
    for (size_t i = begin; i < end; i += 2) {
        uint32_t r = made_random32();
        uint16_t x = mth_load16(input->data + i);
        x = r % 1024 < share ? (uint16_t)(x ^ (r >> 10 & 0xffff)) : (uint16_t)(x + (r >> 12) % n_steps);
        mth_store16(base->data + i, x);
    }
}

/*
 * One chunk of five, which no sample is taken of, from a base that is near to it to one that is of no use, in steps that are smaller than
 * what may be lost.
 */
static void a_chunk_is_never_larger_than_either_way(void **state)
{
    (void)state;
    enum { N_CHUNKS = 5, CHUNK = 1 << 16, AT = 2 };
    struct made *input = one_tensor((size_t)N_CHUNKS * CHUNK), *base = one_tensor((size_t)N_CHUNKS * CHUNK),
                *same = one_tensor((size_t)N_CHUNKS * CHUNK), *other = one_tensor(CHUNK);
    bool was_smaller = false, was_larger = false;
    move(input, base, 0, (size_t)N_CHUNKS * CHUNK, 0, 32);
    memcpy(other->data, input->data + (size_t)AT * CHUNK, CHUNK);
    memcpy(same->data, base->data, (size_t)N_CHUNKS * CHUNK);
    memcpy(same->data + (size_t)AT * CHUNK, other->data, CHUNK);
    /* All but that chunk; and that alone. */
    size_t n_others = coded_bytes(CHUNK, either, input, same),
           n_alone = coded_bytes(CHUNK, alone, other, NULL);
    for (uint32_t share = 320; share <= 720; share += 12) {
        move(input, base, (size_t)AT * CHUNK, (size_t)(AT + 1) * CHUNK, share, 32);
        size_t n_delta = coded_bytes(CHUNK, delta, input, base), n = coded_bytes(CHUNK, either, input, base);
        size_t n_apart = n_others + n_alone, least = n_delta < n_apart ? n_delta : n_apart;
        if (n > least + OVERHEAD)
            fail_msg("%u of 1024 are others: %zu bytes as a difference, %zu alone, %zu of both", share,
                     n_delta, n_apart, n);
        was_smaller |= n_delta < n_apart - OVERHEAD;
        was_larger |= n_delta > n_apart + OVERHEAD;
    }
    assert_true(was_smaller && was_larger);
    made_free(input);
    made_free(base);
    made_free(same);
    made_free(other);
}

/*
 * A chunk among others that the base is of no use to, as large as chunks with a base are: it is cut in four, of which each has its own exponents.
 * So it costs what it costs alone, and the others what they cost against the base.
 */
static void a_large_chunk_is_cut_and_costs_what_it_costs_alone(void **state)
{
    (void)state;
    enum { N_CHUNKS = 5, CHUNK = MTH_CHUNK_BYTES_LARGE, PIECE = MTH_CHUNK_BYTES_ALONE, AT = 2 };
    static const uint8_t exponents[CHUNK / PIECE] = {0, 0x10, 0x3f, 0x20};
    struct made *input = one_tensor((size_t)N_CHUNKS * CHUNK), *base = one_tensor((size_t)N_CHUNKS * CHUNK),
                *near = one_tensor((size_t)(N_CHUNKS - 1) * CHUNK),
                *near_base = one_tensor((size_t)(N_CHUNKS - 1) * CHUNK), *other = one_tensor(CHUNK);
    for (size_t i = 0; i < CHUNK; i += 2) {
        uint8_t *high = input->data + (size_t)AT * CHUNK + i + 1, e = exponents[i / PIECE];
        /* A piece of few exponents, one of more, one of any. */
        *high = (uint8_t)((*high & ~e) | (made_random32() & e));
    }
    move(input, base, 0, (size_t)N_CHUNKS * CHUNK, 0, 32);
    move(input, base, (size_t)AT * CHUNK, (size_t)(AT + 1) * CHUNK, 1024, 32);
    for (size_t c = 0, to = 0; c < N_CHUNKS; c++) {
        uint8_t *at = input->data + c * CHUNK;
        if (c == AT)
            memcpy(other->data, at, CHUNK);
        else {
            memcpy(near->data + to, at, CHUNK);
            memcpy(near_base->data + to, base->data + c * CHUNK, CHUNK);
            to += CHUNK;
        }
    }
    size_t n = coded_bytes(0, either, input, base), n_near = coded_bytes(0, either, near, near_base),
           n_other = coded_bytes(0, alone, other, NULL);
    assert_true(n_near < coded_bytes(0, alone, near, NULL));
    if (n > n_near + n_other + n_other / 1000 + OVERHEAD)
        fail_msg("%zu bytes, of %zu and %zu", n, n_near, n_other);
    made_free(input);
    made_free(base);
    made_free(near);
    made_free(near_base);
    made_free(other);
}

/*
 * Small tensors, judged by the first 4 KiB of some: the base is near there, and of no use behind. Elements have three random bits, so that
 * alone they take less than what the base is off by.
 */
static void move_behind_samples(struct made *both[2], size_t every)
{
    enum { SAMPLE = 4096 };
    for (size_t t = 0; t < both[0]->map.n_tensors; t++) {
        const struct mth_region *region = &both[0]->map.regions[both[0]->map.tensors[t].region];
        size_t n_near = t % every == 0 ? SAMPLE : 0;
        for (size_t i = 0; i < region->n_bytes; i += 2) {
            uint8_t *at = both[0]->data + region->offset + i;
            uint32_t r = made_random32();
            at[0] &= 7;
            uint16_t x = mth_load16(at);
            x = (uint16_t)(i < n_near ? x + r % 18 : (x & 0xff00) | (r & 0xff));
            mth_store16(both[1]->data + region->offset + i, x);
        }
    }
}

/* Sizes of tensors: 16 of the first, spread over all, and others. */
static size_t either_or(size_t n_tensors, size_t sampled_elems, size_t elems, size_t *n_alone)
{
    char name[32];
    struct made *both[2];
    size_t every = (n_tensors + 15) / 16;
    for (size_t b = 0; b < 2; b++) {
        both[b] = made_begin();
        for (size_t i = 0; i < n_tensors; i++) {
            snprintf(name, sizeof name, "%zu", i);
            made_add_tensor(both[b], name, MTH_DTYPE_BF16, i % every ? elems : sampled_elems);
        }
        made_fill(both[b]);
    }
    move_behind_samples(both, every);
    size_t n = coded_bytes(0, "ulp-rans,exponent-split+rans/rans", both[0], both[1]);
    *n_alone = coded_bytes(0, "exponent-split+rans/rans", both[0], NULL);
    made_free(both[0]);
    made_free(both[1]);
    return n;
}

/* Where it is cut tensors end, or they go on. */
static void a_chunk_of_many_tensors_is_cut_anywhere(void **state)
{
    (void)state;
    static const size_t elems[] = {1 << 15, (1 << 15) - 1, (1 << 15) - 1000};
    for (size_t i = 0; i < sizeof elems / sizeof elems[0]; i++) {
        size_t n_alone, n = either_or(16, elems[i], elems[i], &n_alone);
        /* Places in the base are what a chunk has too many of that was to be coded against it. */
        if (n > n_alone + n_alone / 1000 + 5 * OVERHEAD)
            fail_msg("%zu elements each: %zu bytes, %zu alone", elems[i], n, n_alone);
    }
}

/* A bundle may have no room for more parts: then what would be cut stays whole, and comes back all the same. */
static void what_has_no_room_to_be_cut_comes_back(void **state)
{
    (void)state;
    enum { MOST = 1 << 14, SAMPLED = 2048, SMALL = 30 };
    for (size_t n_tensors = MOST - 4; n_tensors <= MOST; n_tensors += 2) {
        size_t n_alone;
        either_or(n_tensors, SAMPLED, SMALL, &n_alone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_is_never_larger_than_either_way),
        cmocka_unit_test(a_large_chunk_is_cut_and_costs_what_it_costs_alone),
        cmocka_unit_test(a_chunk_of_many_tensors_is_cut_anywhere),
        cmocka_unit_test(what_has_no_room_to_be_cut_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
