/*
 * Laws of containers that were coded against two bases: what is written of both is what they are, each is found by names or by its size, another one
 * is refused, only what is looked at is listed, and fronts that lie are refused or harmless.
 */
#include "base/checked.h"
#include "base/hash.h"
#include "base/lane.h"
#include "pipeline/container_read.h"
#include "tests/support/made_container.h"
#include "tests/support/made_states.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHUNK_BYTES = 1 << 14 };

/* ---- three states of one model ---- */

struct part {
    const char *name;
    enum mth_dtype dtype;
    uint64_t n_elems;
};

/* Opaque bytes in front and between, as files have them. */
static const struct part parts[] = {{NULL, MTH_DTYPE_OPAQUE, 5000}, {"a", MTH_DTYPE_BF16, 20000},
                                    {"b", MTH_DTYPE_BF16, 9000},    {NULL, MTH_DTYPE_OPAQUE, 700},
                                    {"c", MTH_DTYPE_F16, 12000},    {"d", MTH_DTYPE_BF16, 12000}};
enum { N_PARTS = sizeof parts / sizeof parts[0] };

/* Which part stands at each place. */
enum order { PLAIN, SWAPPED, TENSOR_FIRST, N_ORDERS };
static const uint8_t orders[N_ORDERS][N_PARTS] = {{0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 5, 4}, {2, 0, 5, 1, 3, 4}};

struct states {
    struct made *older, *base, *input;
};

/* The parts in this order, without one of them or with that in another dtype; n_behind: opaque bytes at the end. */
static struct made *begin_changed(enum order order, size_t changed, enum mth_dtype dtype, size_t n_behind)
{
    struct made *made = made_begin();
    for (size_t k = 0; k < N_PARTS; k++) {
        const struct part *part = &parts[orders[order][k]];
        bool is_changed = orders[order][k] == changed;
        if (!is_changed || dtype != MTH_DTYPE_OPAQUE)
            made_add_tensor(made, part->name, is_changed ? dtype : part->dtype, part->n_elems);
    }
    if (n_behind)
        made_add_tensor(made, NULL, MTH_DTYPE_OPAQUE, n_behind);
    made_fill(made);
    return made;
}

static struct made *begin_state(enum order order, size_t n_behind)
{
    return begin_changed(order, N_PARTS, MTH_DTYPE_OPAQUE, n_behind);
}

/* The bytes of part i. */
static uint8_t *part_of(const struct made *made, enum order order, size_t i)
{
    size_t k = 0;
    while (orders[order][k] != i)
        k++;
    return made->data + made->map.regions[k].offset;
}

static size_t bytes_of(size_t i)
{
    return parts[i].n_elems * mth_dtype_info(parts[i].dtype)->bits / 8;
}

/* Each element goes on the way that it went. */
static struct states make_states(enum order of_older, enum order order, size_t n_behind)
{
    struct states states = {begin_state(of_older, n_behind), begin_state(order, 0), begin_state(order, 0)};
    for (size_t i = 0; i < N_PARTS; i++) {
        uint8_t *older = part_of(states.older, of_older, i), *base = part_of(states.base, order, i),
                *input = part_of(states.input, order, i);
        memcpy(base, older, bytes_of(i));
        memcpy(input, older, bytes_of(i));
        if (parts[i].dtype == MTH_DTYPE_OPAQUE)
            continue;
        for (size_t e = 0; e < parts[i].n_elems; e++) {
            uint16_t step = (uint16_t)(made_random32() % 3 - 1), before = mth_load16(older + 2 * e);
            uint16_t next = made_random32() % 8 ? step : 0;
            mth_store16(base + 2 * e, (uint16_t)(before + step));
            mth_store16(input + 2 * e, (uint16_t)(before + step + next));
        }
    }
    return states;
}

static void free_states(struct states *states)
{
    made_free(states->older);
    made_free(states->base);
    made_free(states->input);
}

/* ---- coding ---- */

struct against {
    struct made_base_source base, older;
};

static const struct mth_stream_base *against(const struct made *base, const struct made *older,
                                             struct against *out)
{
    made_base_source(base, &out->base);
    if (older) {
        made_base_source(older, &out->older);
        out->base.base.older = &out->older.base;
    }
    return &out->base.base;
}

static struct mth_bytes compress_as(const char *spec, struct mth_memory *memory, const struct made *input,
                                    const struct mth_stream_base *base)
{
    struct mth_stream_config config = made_config(memory, 1, CHUNK_BYTES);
    struct mth_buffer out = {.capacity_bytes = 2 * input->map.n_bytes + (1 << 20)};
    struct mth_pipeline *pipeline;
    struct mth_source source;
    struct mth_sink sink;
    struct mth_error err = {0};
    out.data = malloc(out.capacity_bytes);
    assert_non_null(out.data);
    mth_sink_memory(&out, &sink);
    mth_source_memory("made", (struct mth_bytes){input->data, input->map.n_bytes}, &source);
    if (mth_pipeline_parse(spec, true, &pipeline, &err) ||
        mth_compress(pipeline, &source, &input->map, base, NULL, &sink, &config, NULL, &err))
        fail_msg("%s", err.text);
    mth_pipeline_destroy(pipeline);
    return (struct mth_bytes){out.data, out.n_bytes};
}

static struct mth_bytes compress(struct mth_memory *memory, const struct made *input,
                                 const struct mth_stream_base *base)
{
    return compress_as("balanced", memory, input, base);
}

/* The status of restoring; where it is 0, what came back is the input. */
static int restore(struct mth_memory *memory, struct mth_bytes container, const struct mth_stream_base *base,
                   const struct made *input)
{
    struct mth_stream_config config = made_config(memory, 1, 0);
    size_t n_bytes = (size_t)input->map.n_bytes;
    struct mth_buffer out = {.data = malloc(n_bytes), .capacity_bytes = n_bytes};
    struct mth_source source;
    struct mth_input in;
    struct mth_sink sink;
    struct mth_error err = {0};
    assert_non_null(out.data);
    mth_source_memory("container", container, &source);
    mth_input_source(&source, &in);
    mth_sink_memory(&out, &sink);
    int status = mth_decompress(&in, base, &sink, &config, NULL, &err);
    if (!status) {
        assert_int_equal(out.n_bytes, n_bytes);
        assert_memory_equal(out.data, input->data, n_bytes);
    }
    free(out.data);
    return status;
}

/* ---- what is written ---- */

static struct mth_container_info describe(struct mth_memory *memory, struct mth_bytes bytes)
{
    struct mth_stream_config config = made_config(memory, 1, 0);
    struct mth_container_info info;
    struct mth_container *container;
    struct mth_source source;
    struct mth_error err = {0};
    mth_source_memory("container", bytes, &source);
    if (mth_container_open(&source, &config, &container, &err))
        fail_msg("%s", err.text);
    mth_container_describe(container, &info);
    mth_container_close(container);
    return info;
}

static struct mth_memory *memory;

static int begin(void **state)
{
    (void)state;
    memory = mth_memory_create(0);
    return memory ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    return 0;
}

static void each_base_is_noted_as_what_it_is(void **state)
{
    (void)state;
    struct states states = make_states(PLAIN, PLAIN, 40);
    /* Of containers: none, one, the other, both. */
    for (unsigned digests = 0; digests < 4; digests++) {
        struct against bases;
        against(states.base, states.older, &bases);
        bases.base.base.has_digest = digests & 1;
        bases.older.base.has_digest = digests & 2;
        memset(bases.base.base.digest, digests & 1 ? 0x17 : 0, 16);
        memset(bases.older.base.digest, digests & 2 ? 0x29 : 0, 16);
        struct mth_bytes bytes = compress(memory, states.input, &bases.base.base);
        struct mth_container_info info = describe(memory, bytes);
        assert_int_equal(info.version, MTH_CONTAINER_VERSION_OLDER);
        assert_true(info.has_base && info.has_older);
        assert_int_equal(info.base_bytes, states.base->map.n_bytes);
        assert_int_equal(info.older_bytes, states.base->map.n_bytes + 40);
        assert_int_equal(info.base_has_digest, digests & 1);
        assert_int_equal(info.older_has_digest, digests >> 1);
        assert_memory_equal(info.base_digest, bases.base.base.digest, 16);
        assert_memory_equal(info.older_digest, bases.older.base.digest, 16);
        assert_int_equal(restore(memory, bytes, &bases.base.base, states.input), 0);
        made_container_free(bytes);
    }
    free_states(&states);
}

/* The bodies of a front's blocks of one type; how many there are. */
static size_t list_blocks(struct mth_bytes container, enum mth_block_type type, struct mth_bytes found[4])
{
    size_t n = 0;
    for (size_t at = MTH_HEAD_BYTES; at + MTH_TRAILER_BYTES < container.n_bytes;) {
        size_t n_body = mth_load32(container.data + at + 4);
        if (container.data[at] == type && n < 4)
            found[n++] = (struct mth_bytes){container.data + at + MTH_BLOCK_HEAD_BYTES, n_body};
        at += MTH_BLOCK_HEAD_BYTES + n_body;
    }
    return n;
}

/* What is no tensor stays in the list of the older base, too, though nothing looks there. */
static void lists_that_are_the_same_are_written_once(void **state)
{
    (void)state;
    struct mth_bytes blocks[4];
    for (size_t behind = 0; behind < 2; behind++) {
        struct states states = make_states(PLAIN, PLAIN, behind * 40);
        struct against bases;
        struct mth_bytes bytes = compress(memory, states.input, against(states.base, states.older, &bases));
        /* One base's, and that the other's is the same: 1, how many, no bytes, 2. */
        assert_int_equal(list_blocks(bytes, MTH_BLOCK_REFERENCES, blocks), 2);
        assert_int_equal(blocks[1].n_bytes, 4);
        assert_int_equal(blocks[1].data[0], 1);
        assert_int_equal(blocks[1].data[1], N_PARTS);
        assert_int_equal(blocks[1].data[3], 2);
        assert_int_equal(describe(memory, bytes).n_references, 2 * N_PARTS);
        made_container_free(bytes);
        free_states(&states);
    }
    /* At other places they are others, where that alone tells them apart. */
    struct states states = make_states(SWAPPED, PLAIN, 0);
    struct against bases;
    struct mth_bytes bytes = compress(memory, states.input, against(states.base, states.older, &bases));
    assert_int_equal(list_blocks(bytes, MTH_BLOCK_REFERENCES, blocks), 2);
    assert_true(blocks[1].n_bytes > 8);
    bases.base.base.map = bases.older.base.map = NULL;
    assert_int_equal(restore(memory, bytes, &bases.base.base, states.input), 0);
    made_container_free(bytes);
    free_states(&states);
}

/* Nothing but opaque bytes would have an older counterpart here, and nothing looks there for them. */
static void codecs_that_take_no_older_base_need_none(void **state)
{
    (void)state;
    static const char *const specs[] = {"zstd:prefix=yes", "delta-xor+byte-group+zstd"};
    struct states states = make_states(PLAIN, PLAIN, 0);
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        struct against bases;
        struct mth_bytes bytes =
            compress_as(specs[i], memory, states.input, against(states.base, states.older, &bases));
        assert_int_equal(describe(memory, bytes).version, MTH_CONTAINER_VERSION);
        assert_false(describe(memory, bytes).has_older);
        assert_true(describe(memory, bytes).n_references > 0);
        assert_int_equal(restore(memory, bytes, against(states.base, NULL, &bases), states.input), 0);
        made_container_free(bytes);
    }
    free_states(&states);
}

/* A tensor that it lacks, or has in another dtype. */
static void what_the_older_base_lacks_is_coded_without_it(void **state)
{
    (void)state;
    struct states states = make_states(PLAIN, PLAIN, 0);
    for (size_t i = 0; i < N_PARTS; i++)
        for (unsigned is_there = 0; parts[i].name && is_there < 2; is_there++) {
            struct against bases;
            struct made *older =
                begin_changed(PLAIN, i, is_there ? MTH_DTYPE_F32 : MTH_DTYPE_OPAQUE, is_there ? 0 : 5);
            for (size_t k = 0; k < older->map.n_tensors; k++) {
                const struct mth_tensor *tensor = &older->map.tensors[k];
                for (size_t p = 0; p < N_PARTS; p++)
                    if (p != i && parts[p].name &&
                        !strcmp(parts[p].name, mth_tensor_name(&older->map, tensor)))
                        memcpy(older->data + older->map.regions[tensor->region].offset,
                               part_of(states.older, PLAIN, p), bytes_of(p));
            }
            struct mth_bytes bytes = compress(memory, states.input, against(states.base, older, &bases));
            struct mth_container_info info = describe(memory, bytes);
            assert_true(info.has_older);
            assert_true(info.n_references < 2 * N_PARTS);
            assert_int_equal(restore(memory, bytes, &bases.base.base, states.input), 0);
            made_container_free(bytes);
            made_free(older);
        }
    free_states(&states);
}

/* ---- what restores it ---- */

/* One bit of the older base that is another is enough. */
static void assert_each_tensor_is_looked_at(const struct states *states, enum order of_older,
                                            const struct mth_stream_base *base, struct mth_bytes container)
{
    for (size_t i = 0; i < N_PARTS; i++) {
        uint8_t *data = part_of(states->older, of_older, i) + bytes_of(i) / 2;
        *data ^= 1;
        assert_int_equal(restore(memory, container, base, states->input),
                         parts[i].dtype == MTH_DTYPE_OPAQUE ? MTH_OK : MTH_ERR_BASE);
        *data ^= 1;
    }
}

/* The first reference of the older base is one that is looked at here. */
static void orders_of_either_do_not_matter(void **state)
{
    (void)state;
    for (enum order order = PLAIN; order < N_ORDERS; order++)
        for (enum order of_older = PLAIN; of_older < N_ORDERS; of_older++) {
            struct states states = make_states(of_older, order, 0);
            struct against bases;
            struct mth_bytes bytes =
                compress(memory, states.input, against(states.base, states.older, &bases));
            assert_true(describe(memory, bytes).has_older);
            assert_each_tensor_is_looked_at(&states, of_older, &bases.base.base, bytes);
            assert_int_equal(restore(memory, bytes, &bases.base.base, states.input), 0);
            bases.base.base.map = bases.older.base.map = NULL;
            assert_int_equal(restore(memory, bytes, &bases.base.base, states.input), 0);
            made_container_free(bytes);
            free_states(&states);
        }
}

static void an_older_base_is_found_by_names_or_by_its_size(void **state)
{
    (void)state;
    struct states states = make_states(PLAIN, PLAIN, 40), wider = {0};
    struct against bases;
    struct mth_bytes bytes = compress(memory, states.input, against(states.base, states.older, &bases));
    for (unsigned maps = 0; maps < 4; maps++) {
        bases.base.base.map = maps & 1 ? &states.base->map : NULL;
        bases.older.base.map = maps & 2 ? &states.older->map : NULL;
        assert_int_equal(restore(memory, bytes, &bases.base.base, states.input), 0);
    }
    /* Its tensors in another order, in a file of another size: names find them, offsets alone do not. */
    wider.older = begin_state(PLAIN, 1000);
    memcpy(wider.older->data, states.older->data, (size_t)states.base->map.n_bytes);
    against(states.base, wider.older, &bases);
    assert_int_equal(restore(memory, bytes, &bases.base.base, states.input), 0);
    bases.older.base.map = NULL;
    assert_int_equal(restore(memory, bytes, &bases.base.base, states.input), MTH_ERR_BASE);
    made_free(wider.older);
    made_container_free(bytes);
    free_states(&states);
}

static void an_older_base_that_is_none_is_refused(void **state)
{
    (void)state;
    struct states states = make_states(PLAIN, PLAIN, 0), others = make_states(PLAIN, PLAIN, 0);
    struct against bases;
    struct mth_bytes two = compress(memory, states.input, against(states.base, states.older, &bases)),
                     one = compress(memory, states.input, against(states.base, NULL, &bases));
    assert_true(two.n_bytes < one.n_bytes);
    assert_int_equal(describe(memory, one).version, MTH_CONTAINER_VERSION);
    assert_false(describe(memory, one).has_older);
    assert_int_equal(restore(memory, one, against(states.base, NULL, &bases), states.input), 0);
    assert_int_equal(restore(memory, one, against(states.base, states.older, &bases), states.input),
                     MTH_ERR_BASE);
    assert_int_equal(restore(memory, two, against(states.base, NULL, &bases), states.input), MTH_ERR_BASE);
    assert_int_equal(restore(memory, two, against(states.older, states.base, &bases), states.input),
                     MTH_ERR_BASE);
    assert_int_equal(restore(memory, two, against(states.base, others.older, &bases), states.input),
                     MTH_ERR_BASE);
    assert_int_equal(restore(memory, two, against(states.base, states.base, &bases), states.input),
                     MTH_ERR_BASE);
    assert_int_equal(restore(memory, two, against(others.base, states.older, &bases), states.input),
                     MTH_ERR_BASE);
    against(states.base, states.older, &bases);
    assert_each_tensor_is_looked_at(&states, PLAIN, &bases.base.base, two);
    made_container_free(one);
    made_container_free(two);
    free_states(&states);
    free_states(&others);
}

/* ---- what is predicted ---- */

static void what_is_predicted_has_no_use_for_an_older_base(void **state)
{
    (void)state;
    struct made *input = made_states_load("adamw-bf16-12"), *base = made_states_load("adamw-bf16-11"),
                *older = made_states_load("adamw-bf16-21");
    struct against bases;
    struct mth_bytes bytes = compress(memory, input, against(base, older, &bases));
    struct mth_coder *coder = made_coder(memory, 1, 0);
    struct mth_container_reader reader = {.memory = memory};
    struct mth_source source;
    struct mth_input in;
    struct mth_error err = {0};
    mth_source_memory("container", bytes, &source);
    mth_input_source(&source, &in);
    if (mth_container_reader_open(&reader, coder, &in, &err))
        fail_msg("%s", err.text);
    const struct mth_container_front *front = &reader.front;
    size_t n_predicted = 0;
    for (size_t i = 0; i < front->n_references; i++) {
        const struct mth_reference *reference = &front->references[i];
        const char *name = (const char *)front->text.data + reference->name;
        const struct mth_tensor *tensor = mth_region_map_find(&input->map, name);
        for (size_t m = 0; tensor && tensor->region != MTH_NO_REGION && m < front->layout.n_members; m++)
            if (front->layout.members[m].offset == input->map.regions[tensor->region].offset) {
                n_predicted++;
                if (i >= front->n_of_base)
                    fail_msg("the older base is kept for '%s', which is predicted", name);
            }
    }
    assert_true(n_predicted > 0);
    assert_int_equal(restore(memory, bytes, against(base, front->has_older ? older : NULL, &bases), input),
                     0);
    mth_container_reader_free(&reader);
    mth_coder_destroy(coder);
    made_container_free(bytes);
    made_free(input);
    made_free(base);
    made_free(older);
}

/* ---- what lies ---- */

/* Changes one byte where the front says something of bases and their tensors, with its checksums made right again. */
static void fronts_that_lie_are_refused_or_harmless(void **state)
{
    (void)state;
    size_t n_tries = 0, n_refused = 0;
    for (size_t turn = 0; turn < 2; turn++) {
        struct states states = make_states(turn ? SWAPPED : PLAIN, PLAIN, 0);
        struct against bases;
        const struct mth_stream_base *base = against(states.base, states.older, &bases);
        struct mth_bytes bytes = compress(memory, states.input, base);
        uint8_t *copy = malloc(bytes.n_bytes);
        assert_non_null(copy);
        for (unsigned type = MTH_BLOCK_BASE; type <= MTH_BLOCK_REFERENCES; type++) {
            struct mth_bytes blocks[4];
            size_t n = list_blocks(bytes, (enum mth_block_type)type, blocks);
            assert_int_equal(n, 2);
            for (size_t i = 0; i < 2 * blocks[0].n_bytes + 4 * blocks[1].n_bytes; i++) {
                size_t which = i >= 2 * blocks[0].n_bytes;
                size_t at = (size_t)(blocks[which].data - bytes.data) + i % blocks[which].n_bytes;
                memcpy(copy, bytes.data, bytes.n_bytes);
                copy[at] = (uint8_t)(i % 2 ? copy[at] ^ 1u << made_random32() % 8 : made_random32());
                made_repair(copy, bytes.n_bytes);
                bases.base.base.map = made_random32() % 2 ? &states.base->map : NULL;
                bases.older.base.map = made_random32() % 2 ? &states.older->map : NULL;
                n_tries++;
                n_refused +=
                    restore(memory, (struct mth_bytes){copy, bytes.n_bytes}, base, states.input) != 0;
            }
        }
        free(copy);
        made_container_free(bytes);
        free_states(&states);
    }
    assert_true(n_refused * 4 > n_tries);
}

/* The version in the head says how many bases there may be. */
static void versions_are_of_one_base_or_of_two(void **state)
{
    (void)state;
    struct states states = make_states(PLAIN, PLAIN, 0);
    for (size_t n_bases = 1; n_bases <= 2; n_bases++) {
        struct against bases;
        const struct mth_stream_base *base = against(states.base, n_bases == 2 ? states.older : NULL, &bases);
        struct mth_bytes bytes = compress(memory, states.input, base);
        uint8_t *copy = malloc(bytes.n_bytes);
        assert_non_null(copy);
        memcpy(copy, bytes.data, bytes.n_bytes);
        for (uint8_t version = MTH_CONTAINER_VERSION; version <= MTH_CONTAINER_VERSION_OLDER; version++) {
            copy[4] = version;
            mth_store64(copy + 16, mth_hash64(copy, 16, 0));
            bool is_right = (version == MTH_CONTAINER_VERSION_OLDER) == (n_bases == 2);
            assert_int_equal(restore(memory, (struct mth_bytes){copy, bytes.n_bytes}, base, states.input),
                             is_right ? MTH_OK : MTH_ERR_CORRUPT);
        }
        free(copy);
        made_container_free(bytes);
    }
    free_states(&states);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_base_is_noted_as_what_it_is),         TEST(lists_that_are_the_same_are_written_once),
        TEST(codecs_that_take_no_older_base_need_none), TEST(what_the_older_base_lacks_is_coded_without_it),
        TEST(orders_of_either_do_not_matter),           TEST(an_older_base_is_found_by_names_or_by_its_size),
        TEST(an_older_base_that_is_none_is_refused),    TEST(what_is_predicted_has_no_use_for_an_older_base),
        TEST(fronts_that_lie_are_refused_or_harmless),  TEST(versions_are_of_one_base_or_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
