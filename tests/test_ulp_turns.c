/* Laws of ulp-rans with two references: signs given the direction of the step before. */
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "tests/support/ulp_rig.h"

#include "codecs/ulp_rans/ulp_turn_kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = 3 << 20 };

static uint8_t src[MAX_BYTES], base[MAX_BYTES], older[MAX_BYTES];

static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16,    MTH_DTYPE_F16,     MTH_DTYPE_F32, MTH_DTYPE_F64,
                                        MTH_DTYPE_F8_E4M3, MTH_DTYPE_F8_E5M2, MTH_DTYPE_I8,  MTH_DTYPE_U8,
                                        MTH_DTYPE_I16,     MTH_DTYPE_U32,     MTH_DTYPE_I64, MTH_DTYPE_BOOL};
enum { N_DTYPES = sizeof dtypes / sizeof dtypes[0] };

/*
 * An older checkpoint, from which each element moved by 0 .. 4 steps; and that it moves on with a probability of 1 in 256ths, instead of
 * where it went.
 */
static void plant(enum mth_dtype dtype, uint64_t random, unsigned moves_on, size_t n_elems)
{
    struct mth_ulp_format format = ulp_format(dtype);
    unsigned bits = format.lane_bits;
    for (size_t i = 0; i < n_elems; i++) {
        uint64_t r = pattern_random(&random), b = ulp_load(base + i * (bits / 8), bits);
        uint64_t x = ulp_load(src + i * (bits / 8), bits), step = ulp_step(&format, b, x),
                 before = r >> 8 & 7;
        bool down = step >> (bits - 1), on = (r & 255) < moves_on;
        before = before < 5 ? before : 0;
        /* The base was reached from below where the older element lies down from it. */
        ulp_store(older + i * (bits / 8), ulp_move(&format, b, down != on ? before : 0 - before), bits);
    }
}

static void check(struct ulp_rig *rig, enum mth_dtype dtype, size_t n_bytes)
{
    struct ulp_stream stream = ulp_rig_code_directed(rig, dtype, src, n_bytes, base, older);
    ulp_stream_free(&stream);
}

static void every_pair_of_every_type_comes_back_with_an_older_one(void **state)
{
    (void)state;
    enum { LONG_ELEMS = 20011 };
    static const size_t sizes[] = {1, 31, 32, 33, 64, 100, 2048, 2049, LONG_ELEMS};
    struct ulp_rig rig;
    size_t n_directed = 0;
    ulp_rig_open(&rig);
    for (size_t d = 0; d < N_DTYPES; d++) {
        for (int pair = 0; pair < ULP_N_PAIRS; pair++) {
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                size_t n = sizes[i] * mth_dtype_lane_bytes(dtypes[d]);
                /* Long ones by turns: each type has some, and each kind of pair. */
                if (sizes[i] >= LONG_ELEMS && (d + (size_t)pair) % 3 != 0)
                    continue;
                ulp_fill((enum ulp_pair)pair, dtypes[d], i, src, base, sizes[i]);
                plant(dtypes[d], i, 240, sizes[i]);
                struct ulp_stream stream = ulp_rig_code_directed(&rig, dtypes[d], src, n, base, older);
                n_directed += stream.coded[0] == MTH_ULP_DIRECTED;
                ulp_stream_free(&stream);
                check(&rig, dtypes[d], n - 1);
                pattern_fill(PATTERN_RANDOM, i, older, n);
                check(&rig, dtypes[d], n);
            }
        }
    }
    assert_true(n_directed > 50);
    ulp_rig_close(&rig);
}

/* By some kernel sets: where blocks begin and how large they are is no matter of which. */
static struct ulp_rig with_some(const struct ulp_rig *rig, size_t n)
{
    struct ulp_rig some = *rig;
    some.n = n < rig->n ? n : rig->n;
    return some;
}

static void several_blocks_come_back(void **state)
{
    (void)state;
    static const enum mth_dtype wide[] = {MTH_DTYPE_I8, MTH_DTYPE_BF16, MTH_DTYPE_F32, MTH_DTYPE_F64};
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    struct ulp_rig two = with_some(&rig, 2);
    for (size_t d = 0; d < sizeof wide / sizeof wide[0]; d++) {
        struct mth_ulp_format format = ulp_format(wide[d]);
        size_t block = mth_ulp_block_elems(&format), n = 2 * block + 77, lane_bytes = format.lane_bits / 8;
        ulp_fill(ULP_TRAINED, wide[d], 1, src, base, n);
        plant(wide[d], 1, 250, n);
        /* Of one of them nothing is told by what was before. */
        memcpy(older, base, block * lane_bytes);
        struct ulp_stream stream = ulp_rig_code_directed(&two, wide[d], src, n * lane_bytes, base, older);
        assert_int_equal(stream.coded[0], MTH_ULP_DIRECTED);
        assert_true(ulp_head_of(&stream) & MTH_ULP_CARRIES);
        ulp_stream_free(&stream);
    }
    ulp_rig_close(&rig);
}

/* Where an older one tells nothing, the stream is what it is without it, and says so. */
static void what_is_of_no_use_is_not_used(void **state)
{
    (void)state;
    enum { N = 40000 };
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    ulp_fill(ULP_TRAINED, MTH_DTYPE_BF16, 1, src, base, N);
    for (unsigned same = 0; same < 2; same++) {
        plant(MTH_DTYPE_BF16, 1, 128, N);
        if (same)
            memcpy(older, base, sizeof older);
        struct ulp_stream with = ulp_rig_code_directed(&rig, MTH_DTYPE_BF16, src, 2 * N, base, older);
        struct ulp_stream without = ulp_rig_code(&rig, MTH_DTYPE_BF16, src, 2 * N, base, 2 * N);
        assert_int_equal(with.coded[0], MTH_ULP_CODED);
        assert_int_equal(with.n_coded, without.n_coded);
        assert_memory_equal(with.coded, without.coded, with.n_coded);
        ulp_stream_free(&with);
        ulp_stream_free(&without);
    }
    ulp_rig_close(&rig);
}

static double information(double p)
{
    return p > 0 && p < 1 ? -p * log2(p) - (1 - p) * log2(1 - p) : 0;
}

/* Elements that moved before take h(p) bits for their sign, the others one. */
static void turns_come_close_to_their_entropy(void **state)
{
    (void)state;
    enum { N = 1 << 18 };
    static const unsigned moves_on[] = {160, 180, 200, 230, 250, 256};
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    struct ulp_rig one = with_some(&rig, 1);
    ulp_fill(ULP_TRAINED, MTH_DTYPE_BF16, 1, src, base, N);
    struct ulp_stream without = ulp_rig_code(&one, MTH_DTYPE_BF16, src, 2 * (size_t)N, base, 2 * (size_t)N);
    for (size_t i = 0; i < sizeof moves_on / sizeof moves_on[0]; i++) {
        double saved = 0, p = moves_on[i] / 256.0;
        plant(MTH_DTYPE_BF16, 7, moves_on[i], N);
        for (size_t at = 0; at < 2 * (size_t)N; at += 2) {
            if (memcmp(src + at, base + at, 2) != 0 && memcmp(older + at, base + at, 2) != 0)
                saved += (1 - information(p)) / 8;
        }
        struct ulp_stream with = ulp_rig_code_directed(&one, MTH_DTYPE_BF16, src, 2 * (size_t)N, base, older);
        double wanted = (double)without.n_coded - saved, over = (double)with.n_coded / wanted;
        if (getenv("MTH_TEST_SHOW"))
            printf("%u of 256 move on: %zu bytes, %.0f by entropy, %zu without\n", moves_on[i], with.n_coded,
                   wanted, without.n_coded);
        assert_int_equal(with.coded[0], MTH_ULP_DIRECTED);
        if (over > 1.005 || over < 0.99)
            fail_msg("%u of 256 move on: %zu bytes, %.0f by entropy", moves_on[i], with.n_coded, wanted);
        ulp_stream_free(&with);
    }
    ulp_stream_free(&without);
    ulp_rig_close(&rig);
}

/* By the definition, for each kernel set, all kinds of elements. */
static void directions_are_what_the_specification_says(void **state)
{
    (void)state;
    enum { N_GROUPS = 67, N = N_GROUPS * MTH_ULP_GROUP };
    const struct mth_ulp_kernels *kernels[ULP_MAX_KERNELS];
    size_t n_kernels = ulp_runnable(kernels);
    for (size_t d = 0; d < N_DTYPES; d++) {
        struct mth_ulp_format format = ulp_format(dtypes[d]);
        unsigned bits = format.lane_bits;
        size_t n_bytes = (size_t)N * (bits / 8);
        for (int pair = 0; pair < ULP_N_PAIRS; pair++) {
            uint8_t *from = guard_alloc(n_bytes), *to = guard_alloc(n_bytes), *out = guard_alloc(N);
            ulp_fill((enum ulp_pair)pair, dtypes[d], 9, to, from, N);
            /* The longest step of all is down. */
            ulp_store(to, ulp_move(&format, ulp_load(from, bits), (uint64_t)1 << (bits - 1)), bits);
            for (size_t k = 0; k < n_kernels; k++) {
                memset(out, 0x5a, N);
                kernels[k]->directions(&format, to, from, N_GROUPS, out);
                for (size_t i = 0; i < N; i++) {
                    uint64_t step = ulp_step(&format, ulp_load(from + i * (bits / 8), bits),
                                             ulp_load(to + i * (bits / 8), bits));
                    uint64_t mask = UINT64_MAX >> (64 - bits);
                    bool down = step >> (bits - 1) & 1;
                    uint64_t distance = down ? (0 - step) & mask : step;
                    unsigned wanted = (unsigned)(distance < 3 ? distance : 3) | (down ? 0x80u : 0);
                    if (out[i] != wanted)
                        fail_msg("%s, %s: %02x, not %02x", kernels[k]->name, mth_dtype_info(dtypes[d])->name,
                                 out[i], wanted);
                }
            }
            guard_free(from, n_bytes);
            guard_free(to, n_bytes);
            guard_free(out, N);
        }
    }
}

/* ---- kernels ---- */

enum { TURN_ELEMS = 300, TURN_WORDS = (TURN_ELEMS + MTH_ULP_GROUP - 1) / MTH_ULP_GROUP };

struct turned {
    uint32_t moved[TURN_WORDS], down[TURN_WORDS], masks[TURN_WORDS], counts[MTH_ULP_CONTEXTS][2];
    uint8_t contexts[TURN_WORDS * MTH_ULP_GROUP], plain[TURN_WORDS * 4], joined[TURN_WORDS * 4];
};

/* n changed elements, of which one in `still` did not move, through all that a kernel set has for turns. */
static void turn(const struct mth_ulp_kernels *kernels, uint64_t random, size_t n, unsigned still,
                 struct turned *out)
{
    size_t n_words = mth_ulp_turn_words(n), n_bytes = n_words * MTH_ULP_GROUP, n_signs = (n + 7) / 8;
    uint8_t *directions = guard_alloc(n_bytes), *exponents = guard_alloc(n_bytes),
            *signs = guard_alloc(n_signs), bins[MTH_ULP_CONTEXTS];
    for (size_t i = 0; i < n_bytes; i++) {
        uint64_t r = pattern_random(&random);
        directions[i] = i >= n || r % still == 0 ? 0 : (uint8_t)((r >> 8 & MTH_ULP_DOWN) | (r >> 16 & 3));
        exponents[i] = r >> 24 & 15;
    }
    for (size_t i = 0; i < n_signs; i++)
        signs[i] = (uint8_t)pattern_random(&random);
    if (n % 8)
        signs[n_signs - 1] &= (uint8_t)((1u << n % 8) - 1);
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++)
        bins[c] = (uint8_t)(c / 4); /* four bins */
    memset(out, 0, sizeof *out);
    struct mth_ulp_turns turns = {
        .n_changed = n, .moved = out->moved, .down = out->down, .masks = out->masks};
    turns.n = kernels->turns->find(directions, n_words, out->moved, out->down);
    kernels->turns->contexts(bins, directions, exponents, n_words, out->contexts);
    memcpy(out->plain, signs, n_signs);
    kernels->turns->turned(&turns, out->plain);
    for (size_t j = 0; j < TURN_WORDS; j++)
        out->masks[j] = mth_lane_load32((const uint8_t *)&out->masks[j]);
    kernels->turns->plain(&turns, out->plain);
    kernels->turns->join(&turns, out->plain, out->joined);
    assert_memory_equal(out->joined, signs, n_signs);
    /* Of contexts of elements that did not move nothing is said. */
    for (size_t i = 0; i < n_bytes; i++)
        out->contexts[i] = out->moved[i / MTH_ULP_GROUP] >> i % MTH_ULP_GROUP & 1 ? out->contexts[i] : 15;
    kernels->turns->count(out->contexts, out->masks, n_words, out->counts);
    memset(out->counts[MTH_ULP_TURN_CONTEXTS], 0, sizeof out->counts[0]);
    guard_free(directions, n_bytes);
    guard_free(exponents, n_bytes);
    guard_free(signs, n_signs);
}

static void turns_are_the_same_by_every_kernel(void **state)
{
    (void)state;
    static const unsigned stills[] = {1, 2, 5, 1000};
    const struct mth_ulp_kernels *kernels[ULP_MAX_KERNELS];
    size_t n_kernels = ulp_runnable(kernels);
    for (size_t n = 1; n <= TURN_ELEMS; n++) {
        for (size_t s = 0; s < sizeof stills / sizeof stills[0]; s++) {
            struct turned first, other;
            turn(kernels[0], n, n, stills[s], &first);
            for (size_t k = 1; k < n_kernels; k++) {
                turn(kernels[k], n, n, stills[s], &other);
                if (memcmp(&first, &other, sizeof first) != 0)
                    fail_msg("%s, %zu elements, one in %u still", kernels[k]->name, n, stills[s]);
            }
        }
    }
}

static void damage_ends_the_same_way_by_every_kernel(void **state)
{
    (void)state;
    static const struct {
        enum mth_dtype dtype;
        enum ulp_pair pair;
        size_t n_elems;
    } victims[] = {
        {MTH_DTYPE_BF16, ULP_DENSE, 700}, {MTH_DTYPE_F32, ULP_DENSE, 900}, {MTH_DTYPE_I8, ULP_DENSE, 1000}};
    enum { N_FRONT = 200 };
    static uint8_t bad[1 << 14];
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t v = 0; v < sizeof victims / sizeof victims[0]; v++) {
        size_t n = victims[v].n_elems * mth_dtype_lane_bytes(victims[v].dtype);
        ulp_fill(victims[v].pair, victims[v].dtype, 5, src, base, victims[v].n_elems);
        plant(victims[v].dtype, 3, 250, victims[v].n_elems);
        struct ulp_stream stream = ulp_rig_code_directed(&rig, victims[v].dtype, src, n, base, older);
        assert_int_equal(stream.coded[0], MTH_ULP_DIRECTED);
        for (size_t cut = 0; cut < stream.n_coded; cut++)
            assert_int_equal(ulp_rig_decode(&rig, &stream, stream.coded, cut), MTH_ERR_CORRUPT);
        memcpy(bad, stream.coded, stream.n_coded);
        bad[stream.n_coded] = 0;
        assert_int_equal(ulp_rig_decode(&rig, &stream, bad, stream.n_coded + 1), MTH_ERR_CORRUPT);
        /* All bits of heads and tables, and of what is drawn from them one in three, each place of a byte in turn. */
        for (size_t bit = 0; bit < 8 * stream.n_coded; bit += bit < 8 * (size_t)N_FRONT ? 1 : 3) {
            bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
            int status = ulp_rig_decode(&rig, &stream, bad, stream.n_coded);
            assert_true(status == MTH_OK || status == MTH_ERR_CORRUPT);
            bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        /* Without the older one there is nothing to be had of it. */
        struct ulp_stream alone = stream;
        alone.older = NULL;
        assert_int_equal(ulp_rig_decode(&rig, &alone, bad, stream.n_coded), MTH_ERR_CORRUPT);
        assert_int_equal(ulp_rig_decode(&rig, &stream, bad, stream.n_coded), MTH_OK);
        ulp_stream_free(&stream);
    }
    ulp_rig_close(&rig);
}

/* ---- fixed bytes ---- */

struct golden {
    enum mth_dtype dtype;
    enum ulp_pair pair;
    size_t n_elems;
    size_t n_frame;
    uint8_t frame[2400];
};

#include "tests/golden/ulp_turns_frames.h"

enum { N_GOLDEN = sizeof golden_turns / sizeof golden_turns[0] };

static void frames_decode_and_are_made_again(void **state)
{
    (void)state;
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    for (size_t i = 0; i < N_GOLDEN; i++) {
        const struct golden *golden = &golden_turns[i];
        size_t n = golden->n_elems * mth_dtype_lane_bytes(golden->dtype);
        ulp_fill(golden->pair, golden->dtype, 11, src, base, golden->n_elems);
        plant(golden->dtype, 12, 248, golden->n_elems);
        struct ulp_stream stream = ulp_rig_code_directed(&rig, golden->dtype, src, n, base, older);
        assert_int_equal(ulp_rig_decode(&rig, &stream, golden->frame, golden->n_frame), MTH_OK);
        assert_int_equal(stream.n_coded, golden->n_frame);
        assert_memory_equal(stream.coded, golden->frame, golden->n_frame);
        ulp_stream_free(&stream);
    }
    ulp_rig_close(&rig);
}

static void print_frames(void)
{
    static const char *const dtype_names[] = {"MTH_DTYPE_BF16", "MTH_DTYPE_F32", "MTH_DTYPE_U8"};
    static const enum mth_dtype of[] = {MTH_DTYPE_BF16, MTH_DTYPE_F32, MTH_DTYPE_U8};
    static const size_t sizes[] = {1200, 1200, 1300};
    struct ulp_rig rig;
    ulp_rig_open(&rig);
    puts("/* Directed streams of version 1, as test_ulp_turns --golden prints them. */\nstatic const struct "
         "golden "
         "golden_turns[] = {");
    for (size_t i = 0; i < 3; i++) {
        size_t n = sizes[i] * mth_dtype_lane_bytes(of[i]);
        ulp_fill(ULP_DENSE, of[i], 11, src, base, sizes[i]);
        plant(of[i], 12, 248, sizes[i]);
        struct ulp_stream stream = ulp_rig_code_directed(&rig, of[i], src, n, base, older);
        assert_int_equal(stream.coded[0], MTH_ULP_DIRECTED);
        printf("{%s, ULP_DENSE, %zu, %zu, {", dtype_names[i], sizes[i], stream.n_coded);
        for (size_t k = 0; k < stream.n_coded; k++)
            printf("0x%02x, ", stream.coded[k]);
        puts("}},");
        ulp_stream_free(&stream);
    }
    puts("};");
    ulp_rig_close(&rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_every_type_comes_back_with_an_older_one),
        cmocka_unit_test(several_blocks_come_back),
        cmocka_unit_test(what_is_of_no_use_is_not_used),
        cmocka_unit_test(turns_come_close_to_their_entropy),
        cmocka_unit_test(directions_are_what_the_specification_says),
        cmocka_unit_test(turns_are_the_same_by_every_kernel),
        cmocka_unit_test(damage_ends_the_same_way_by_every_kernel),
        cmocka_unit_test(frames_decode_and_are_made_again),
    };
    if (argc > 1 && strcmp(argv[1], "--golden") == 0) {
        print_frames();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
