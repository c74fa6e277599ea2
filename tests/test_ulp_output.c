/*
 * Laws of where a decoder puts its elements: whatever the pieces and wherever the place begins and ends, all of them are there, nothing beside
 * them is touched, and the digest is theirs.
 */
#include "base/checked.h"
#include "codecs/ulp_rans/ulp_output.h"
#include "tests/support/patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = 5 * MTH_ULP_PIECE_BYTES, UNTOUCHED = 0xa5, N_BESIDE = 2 * MTH_LINE_BYTES };

static uint8_t bytes[MAX_BYTES], place[N_BESIDE + MTH_LINE_BYTES + MAX_BYTES + N_BESIDE];
static uint8_t room[MTH_ULP_OUTPUT_ROOM_BYTES + 1];

static int make_bytes(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)pattern_random(&random);
    return 0;
}

/* Somewhere in a line of the place. */
static uint8_t *place_at(size_t in_line)
{
    memset(place, UNTOUCHED, sizeof place);
    uint8_t *begin = place + N_BESIDE;
    return begin + (0 - (uintptr_t)begin) % MTH_LINE_BYTES + in_line;
}

static void assert_is_there(const uint8_t *dst, size_t n, const char *what)
{
    if (n && memcmp(dst, bytes, n) != 0)
        fail_msg("%s: others are there", what);
    for (const uint8_t *at = place; at < place + sizeof place; at++)
        if ((at < dst || at >= dst + n) && *at != UNTOUCHED)
            fail_msg("%s: byte %td from where it begins was touched, of %zu", what, at - dst, n);
}

/* Puts n bytes in pieces of n_piece, made where they are asked for. */
static void put_pieces(struct mth_ulp_output *output, size_t n, size_t n_piece)
{
    for (size_t at = 0; at < n; at += n_piece) {
        size_t n_here = mth_size_min(n_piece, n - at);
        memcpy(mth_ulp_output_piece(output), bytes + at, n_here);
        mth_ulp_output_put(output, n_here);
    }
}

static void assert_digest(const struct mth_hash64_pieces *digest, size_t n)
{
    assert_true(mth_hash64_end(digest) == mth_hash64(bytes, n, 0));
}

static const size_t sizes[] = {0,    1,    2,    63,   64,   65,   127,  128,   129,
                               4095, 4096, 4097, 4160, 8191, 8192, 8193, 12345, MAX_BYTES};

static void pieces_past_the_caches_are_all_there(void **state)
{
    (void)state;
    static const size_t pieces[] = {2, 62, 64, 100, 1024, 4094, MTH_ULP_PIECE_BYTES};
    for (size_t in_line = 0; in_line < MTH_LINE_BYTES; in_line += in_line < 4 ? 1 : 15)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
            for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++)
                for (size_t begin = 0; begin < 2; begin++) {
                    struct mth_ulp_output output;
                    struct mth_hash64_pieces digest;
                    uint8_t *dst = place_at(in_line);
                    mth_ulp_output_begin(&output, dst, room + begin, &digest);
                    put_pieces(&output, sizes[s], pieces[p]);
                    mth_ulp_output_end(&output);
                    assert_is_there(dst, sizes[s], "past the caches");
                    assert_digest(&digest, sizes[s]);
                }
}

static void pieces_in_their_place_are_all_there(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct mth_ulp_output output;
        struct mth_hash64_pieces digest;
        uint8_t *dst = place_at(s);
        mth_ulp_output_begin(&output, dst, NULL, s % 2 ? &digest : NULL);
        put_pieces(&output, sizes[s], 1000);
        mth_ulp_output_end(&output);
        assert_is_there(dst, sizes[s], "in place");
        if (s % 2)
            assert_digest(&digest, sizes[s]);
    }
}

/* What lies elsewhere, and zeros, in whatever order. */
static void copies_and_zeros_are_all_there(void **state)
{
    (void)state;
    uint64_t random = 5;
    for (size_t turn = 0; turn < 400; turn++) {
        struct mth_ulp_output output;
        struct mth_hash64_pieces digest;
        bool is_away = turn % 2;
        size_t n = (size_t)(pattern_random(&random) % (MAX_BYTES + 1)), at = 0;
        uint8_t *dst = place_at((size_t)(pattern_random(&random) % MTH_LINE_BYTES));
        static uint8_t kept[MAX_BYTES];
        memcpy(kept, bytes, sizeof kept);
        memset(room, UNTOUCHED, sizeof room);
        mth_ulp_output_begin(&output, dst, is_away ? room : NULL, &digest);
        while (at < n) {
            size_t n_here = (size_t)(1 + pattern_random(&random) % (turn % 3 ? 9000 : 90));
            n_here = mth_size_min(n_here, n - at);
            bool is_zero = pattern_random(&random) % 3 == 0;
            if (is_zero)
                memset(bytes + at, 0, n_here);
            mth_ulp_output_copy(&output, is_zero ? NULL : bytes + at, n_here);
            at += n_here;
        }
        mth_ulp_output_end(&output);
        assert_is_there(dst, n, is_away ? "copied past the caches" : "copied");
        assert_digest(&digest, n);
        memcpy(bytes, kept, sizeof kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_past_the_caches_are_all_there),
        cmocka_unit_test(pieces_in_their_place_are_all_there),
        cmocka_unit_test(copies_and_zeros_are_all_there),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
