/*
 * Laws of what a container's front says of one base and of two, block by block: each reference lies inside the base that it is of, those of the
 * older one come last, and what is said twice, of a base that is not there, or of a third one is refused.
 */
#include "base/checked.h"
#include "pipeline/container.h"
#include "tests/support/made_checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { N_BASE = 1000, N_OLDER = 2000, STORED = 0, AS_BASE = 2, MAX_BODY = 200 };

struct body {
    uint8_t bytes[MAX_BODY];
    size_t n;
};

static struct mth_memory *memory;
static struct mth_coder *coder;
static struct mth_container_front front;

static int begin(void **state)
{
    (void)state;
    memory = mth_memory_create(0);
    coder = made_coder(memory, 1, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    mth_front_free(memory, &front);
    mth_coder_destroy(coder);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    return 0;
}

static void anew(void)
{
    mth_front_free(memory, &front);
}

static void put_number(struct body *body, uint64_t value)
{
    body->n += mth_varint_put(body->bytes + body->n, value);
}

static int take(enum mth_block_type type, const struct body *body)
{
    const struct mth_block block = {.type = (uint8_t)type, .n_bytes = (uint32_t)body->n};
    struct mth_error err = {0};
    int status = mth_front_read_block(coder, &front, &block, (struct mth_bytes){body->bytes, body->n}, &err);
    assert_true(!status == !err.text[0]);
    return status;
}

static int take_base(uint64_t n_bytes, uint8_t flags, size_t n_digest)
{
    struct body body = {.n = 0};
    put_number(&body, n_bytes);
    body.bytes[body.n] = flags;
    memset(body.bytes + body.n + 1, 0x33, n_digest);
    body.n += 1 + n_digest;
    return take(MTH_BLOCK_BASE, &body);
}

static void take_two_bases(void)
{
    anew();
    assert_int_equal(take_base(N_BASE, 0, 16), 0);
    assert_int_equal(take_base(N_OLDER, 1, 16), 0);
}

struct entry {
    const char *name;
    uint64_t n_bytes;
    int64_t step; /* from where the one before ends */
};

static int take_entries(uint64_t base, uint64_t n_entries, const struct entry *entries, size_t n)
{
    struct body body = {.n = 0}, page = {.n = 0};
    for (size_t i = 0; i < n; i++) {
        size_t n_name = strlen(entries[i].name);
        put_number(&page, n_name);
        memcpy(page.bytes + page.n, entries[i].name, n_name);
        page.n += n_name;
        put_number(&page, MTH_DTYPE_BF16);
        put_number(&page, entries[i].n_bytes);
        put_number(&page, mth_zigzag(entries[i].step));
    }
    put_number(&body, base);
    put_number(&body, n_entries);
    put_number(&body, page.n);
    body.bytes[body.n++] = STORED;
    memcpy(body.bytes + body.n, page.bytes, page.n);
    body.n += page.n;
    return take(MTH_BLOCK_REFERENCES, &body);
}

static int take_entry(uint64_t base, uint64_t n_bytes, int64_t step)
{
    return take_entries(base, 1, &(struct entry){"w", n_bytes, step}, 1);
}

static int take_same(uint64_t base, uint64_t n_entries, uint64_t n_bytes, size_t n_behind)
{
    struct body body = {.n = 0};
    put_number(&body, base);
    put_number(&body, n_entries);
    put_number(&body, n_bytes);
    body.bytes[body.n] = AS_BASE;
    body.n += 1 + n_behind;
    return take(MTH_BLOCK_REFERENCES, &body);
}

static void each_reference_is_inside_its_base(void **state)
{
    (void)state;
    static const struct {
        uint64_t base, n_bytes;
        int64_t step;
        int status;
    } cases[] = {
        {0, N_BASE, 0, MTH_OK},
        {0, 0, N_BASE, MTH_OK},
        {0, N_BASE - 7, 7, MTH_OK},
        {0, N_BASE + 1, 0, MTH_ERR_CORRUPT},
        {0, N_BASE, 1, MTH_ERR_CORRUPT},
        {0, 0, N_BASE + 1, MTH_ERR_CORRUPT},
        {0, 4, N_BASE + 4, MTH_ERR_CORRUPT}, /* the older one has it */
        {0, 4, -1, MTH_ERR_CORRUPT},
        {0, UINT64_MAX, 1, MTH_ERR_CORRUPT},
        {1, N_OLDER, 0, MTH_OK},
        {1, 4, N_BASE + 4, MTH_OK}, /* the base has not */
        {1, N_OLDER, 1, MTH_ERR_CORRUPT},
        {1, N_OLDER + 1, 0, MTH_ERR_CORRUPT},
        {1, 0, N_OLDER + 1, MTH_ERR_CORRUPT},
        {1, UINT64_MAX, 1, MTH_ERR_CORRUPT},
        {1, 4, -1, MTH_ERR_CORRUPT},
        {2, 4, 0, MTH_ERR_CORRUPT},
        {UINT64_MAX, 4, 0, MTH_ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        take_two_bases();
        int status = take_entry(cases[i].base, cases[i].n_bytes, cases[i].step);
        if (status != cases[i].status)
            fail_msg("case %zu: status %d", i, status);
        assert_int_equal(front.n_of_base, !status && cases[i].base == 0);
    }
    assert_true(front.has_base && front.has_older && !front.base.has_digest && front.older.has_digest);
}

/* Of each base from its beginning, and from page to page. */
static void places_run_on_in_each_base(void **state)
{
    (void)state;
    static const struct entry two[] = {{"a", 100, 50}, {"b", 10, -20}};
    take_two_bases();
    for (uint64_t base = 0; base < 2; base++)
        for (size_t page = 0; page < 2; page++)
            assert_int_equal(take_entries(base, 2, two, 2), 0);
    assert_int_equal(front.n_references, 8);
    assert_int_equal(front.n_of_base, 4);
    static const uint64_t offsets[] = {50, 130, 190, 270};
    for (size_t i = 0; i < 8; i++) {
        const char *name = (const char *)front.text.data + front.references[i].name;
        assert_int_equal(front.references[i].offset, offsets[i % 4]);
        assert_string_equal(name, i % 2 ? "b" : "a");
    }
}

static void references_of_the_base_come_first(void **state)
{
    (void)state;
    take_two_bases();
    assert_int_equal(take_entry(0, 4, 0), 0);
    assert_int_equal(take_entry(1, 4, 0), 0);
    assert_int_equal(take_entry(1, 4, 0), 0);
    assert_int_equal(take_entry(0, 4, 0), MTH_ERR_CORRUPT);
    take_two_bases();
    assert_int_equal(take_entry(1, 4, 0), 0);
    assert_int_equal(take_entry(0, 4, 0), MTH_ERR_CORRUPT);
    take_two_bases();
    assert_int_equal(take_entry(0, 4, 0), 0);
    assert_int_equal(take_same(1, 1, 0, 0), 0);
    assert_int_equal(take_entry(0, 4, 0), MTH_ERR_CORRUPT);
}

static void a_list_is_repeated_whole_and_once(void **state)
{
    (void)state;
    static const struct entry two[] = {{"a", 100, 50}, {"b", 10, 700}};
    static const struct {
        uint64_t base, n_entries, n_bytes;
        size_t n_behind;
        int status;
    } cases[] = {
        {1, 2, 0, 0, MTH_OK},          {1, 1, 0, 0, MTH_ERR_CORRUPT}, {1, 3, 0, 0, MTH_ERR_CORRUPT},
        {1, 0, 0, 0, MTH_ERR_CORRUPT}, {0, 2, 0, 0, MTH_ERR_CORRUPT}, {1, 2, 0, 1, MTH_ERR_CORRUPT},
        {1, 2, 1, 0, MTH_ERR_CORRUPT}, {2, 2, 0, 0, MTH_ERR_CORRUPT}, {1, UINT64_MAX, 0, 0, MTH_ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        take_two_bases();
        assert_int_equal(take_entries(0, 2, two, 2), 0);
        int status = take_same(cases[i].base, cases[i].n_entries, cases[i].n_bytes, cases[i].n_behind);
        if (status != cases[i].status)
            fail_msg("case %zu: status %d", i, status);
        if (status)
            continue;
        assert_int_equal(front.n_references, 4);
        assert_int_equal(front.n_of_base, 2);
        for (size_t k = 0; k < 2; k++)
            assert_memory_equal(&front.references[k], &front.references[2 + k], sizeof front.references[k]);
        assert_int_equal(take_same(1, 2, 0, 0), MTH_ERR_CORRUPT);
    }
    /* Behind others of the older one. */
    take_two_bases();
    assert_int_equal(take_entries(0, 2, two, 2), 0);
    assert_int_equal(take_entry(1, 4, 0), 0);
    assert_int_equal(take_same(1, 2, 0, 0), MTH_ERR_CORRUPT);
    /* The older one is too short for it, by one byte and by many. */
    for (uint64_t n_older = 0; n_older < 870; n_older += n_older < 850 ? 50 : 1) {
        anew();
        assert_int_equal(take_base(N_BASE, 0, 16), 0);
        assert_int_equal(take_base(n_older, 0, 16), 0);
        assert_int_equal(take_entries(0, 2, two, 2), 0);
        assert_int_equal(take_same(1, 2, 0, 0), n_older < 860 ? MTH_ERR_CORRUPT : MTH_OK);
    }
}

static void bases_that_are_not_there_have_no_references(void **state)
{
    (void)state;
    anew();
    assert_int_equal(take_entry(0, 0, 0), MTH_ERR_CORRUPT);
    for (size_t is_same = 0; is_same < 2; is_same++) {
        anew();
        assert_int_equal(take_base(N_BASE, 0, 16), 0);
        assert_false(front.has_older);
        assert_int_equal(take_entry(0, 4, 0), 0);
        assert_int_equal(is_same ? take_same(1, 1, 0, 0) : take_entry(1, 0, 0), MTH_ERR_CORRUPT);
    }
    /* Nor is there a third one, or one behind its references. */
    take_two_bases();
    assert_int_equal(take_base(N_BASE, 0, 16), MTH_ERR_UNSUPPORTED);
    take_two_bases();
    assert_int_equal(take_entry(0, 4, 0), 0);
    assert_int_equal(take_base(N_BASE, 0, 16), MTH_ERR_CORRUPT);
}

static void what_is_said_of_a_base_has_one_form(void **state)
{
    (void)state;
    for (size_t is_older = 0; is_older < 2; is_older++)
        for (unsigned flags = 0; flags < 4; flags++)
            for (size_t n_digest = 15; n_digest <= 17; n_digest++) {
                anew();
                if (is_older)
                    assert_int_equal(take_base(N_BASE, 0, 16), 0);
                bool is_right = flags < 2 && n_digest == 16;
                assert_int_equal(take_base(N_OLDER, (uint8_t)flags, n_digest),
                                 is_right ? MTH_OK : MTH_ERR_CORRUPT);
            }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_reference_is_inside_its_base),           TEST(places_run_on_in_each_base),
        TEST(references_of_the_base_come_first),           TEST(a_list_is_repeated_whole_and_once),
        TEST(bases_that_are_not_there_have_no_references), TEST(what_is_said_of_a_base_has_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
