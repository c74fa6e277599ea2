/*
 * Laws of damage: in a small container of every kind of block each flipped bit, each truncation, each block that was moved,
 * dropped, doubled or taken from elsewhere is noticed by all who read it: in order, without the base, and at offsets.
 */
#include "base/checked.h"
#include "base/hash.h"
#include "tests/support/made_container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mth_memory *memory;

/* ---- containers ---- */

struct sample {
    struct made *input, *base; /* base: NULL for none */
    struct mth_bytes bytes;
};

enum { CHUNK_BYTES = 4096 };

/* Three bundles and an opaque header; most elements alike, so that all of it is small. */
static struct made *made_small(uint8_t seed)
{
    struct made *made = made_begin();
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, 5);
    made_add_tensor(made, "a", MTH_DTYPE_BF16, 100);
    made_add_tensor(made, "b", MTH_DTYPE_U8, CHUNK_BYTES);
    made_add_tensor(made, "c", MTH_DTYPE_F32, CHUNK_BYTES / 4);
    made_fill(made);
    for (size_t i = 300; i < made->map.n_bytes; i++)
        made->data[i] = (uint8_t)(i % 7 == 0 ? seed : i % 97 == 0 ? i : 0x3c);
    return made;
}

static struct sample sample_make(uint8_t seed, bool has_base, const char *spec)
{
    struct sample sample = {.input = made_small(seed)};
    if (has_base) {
        sample.base = made_base(sample.input);
        /* Nothing may be a mere copy: what is coded is to be damaged. */
        for (size_t i = 0; i < sample.base->map.n_bytes; i += 50)
            sample.base->data[i] ^= 4;
    }
    sample.bytes = made_compress(memory, 1, CHUNK_BYTES, spec, sample.input, sample.base, NULL);
    assert_in_range(sample.bytes.n_bytes, 700, 10000);
    return sample;
}

static void sample_free(struct sample *sample)
{
    made_free(sample->input);
    if (sample->base)
        made_free(sample->base);
    made_container_free(sample->bytes);
}

/* The specs use a model each, which is a block of its own. */
static struct sample alone(void)
{
    return sample_make(1, false, "exponent-split+range0/zstd");
}

static struct sample against_base(void)
{
    return sample_make(1, true, "delta-xor+byte-group+range0/zstd");
}

/* ---- who reads ---- */

static int read_in_order(const struct sample *sample, struct mth_bytes bytes, uint8_t *dst,
                         struct mth_error *err)
{
    return made_decompress(memory, 1, bytes, sample->base, true, dst, (size_t)sample->input->map.n_bytes,
                           err);
}

/* What `verify` does without a base. */
static int check_alone(const struct sample *sample, struct mth_bytes bytes, uint8_t *dst,
                       struct mth_error *err)
{
    struct mth_stream_config config = made_config(memory, 1, 0);
    struct mth_container_stats stats;
    struct mth_source source;
    struct mth_input input;
    (void)sample, (void)dst;
    mth_source_memory("container", bytes, &source);
    mth_input_source(&source, &input);
    return mth_container_check(&input, NULL, &config, &stats, err);
}

static int read_at_offsets(const struct sample *sample, struct mth_bytes bytes, uint8_t *dst,
                           struct mth_error *err)
{
    struct mth_stream_config config = made_config(memory, 1, 0);
    struct made_base_source against;
    struct mth_source source, original;
    struct mth_container *container;
    mth_source_memory("container", bytes, &source);
    int status = mth_container_open(&source, &config, &container, err);
    if (status)
        return status;
    if (sample->base) {
        made_base_source(sample->base, &against);
        status = mth_container_set_base(container, &against.base, err);
    }
    mth_container_source(container, &original);
    /* From the end to the beginning, a piece at a time. */
    for (uint64_t end = original.n_bytes; !status && end > 0;) {
        size_t n = end < 1000 ? (size_t)end : 1000;
        end -= n;
        status = end + n > sample->input->map.n_bytes ? MTH_ERR_CORRUPT
                                                      : mth_source_read(&original, end, dst + end, n, err);
    }
    if (!status && original.n_bytes != sample->input->map.n_bytes)
        status = MTH_ERR_CORRUPT;
    mth_container_close(container);
    return status;
}

static const struct {
    const char *name;
    int (*read)(const struct sample *sample, struct mth_bytes bytes, uint8_t *dst, struct mth_error *err);
} readers[] = {{"in order", read_in_order}, {"without base", check_alone}, {"at offsets", read_at_offsets}};
enum { N_READERS = sizeof readers / sizeof readers[0] };

/* Every reader refuses these bytes, with a line. With may_be_right set it may also read what is right. */
static void assert_refused_or(const struct sample *sample, const uint8_t *bytes, size_t n_bytes,
                              const char *what, size_t number, bool may_be_right)
{
    uint8_t dst[16384];
    /* In a block of just this size, so that reading behind it shows. */
    uint8_t *copy = malloc(n_bytes ? n_bytes : 1);
    assert_non_null(copy);
    if (n_bytes)
        memcpy(copy, bytes, n_bytes);
    for (size_t i = 0; i < N_READERS; i++) {
        struct mth_error err = {0};
        int status = readers[i].read(sample, (struct mth_bytes){copy, n_bytes}, dst, &err);
        bool is_right = may_be_right && readers[i].read == read_at_offsets &&
                        memcmp(dst, sample->input->data, (size_t)sample->input->map.n_bytes) == 0;
        if (status == MTH_OK && !is_right)
            fail_msg("%s %zu passes unseen by who reads %s", what, number, readers[i].name);
        if (status != MTH_OK && err.text[0] == '\0')
            fail_msg("%s %zu: no line says what is wrong", what, number);
    }
    free(copy);
}

static void assert_refused(const struct sample *sample, const uint8_t *bytes, size_t n_bytes,
                           const char *what, size_t number)
{
    assert_refused_or(sample, bytes, n_bytes, what, number, false);
}

static void assert_fine(const struct sample *sample)
{
    uint8_t dst[16384];
    for (size_t i = 0; i < N_READERS; i++) {
        struct mth_error err = {0};
        if (readers[i].read(sample, sample->bytes, dst, &err))
            fail_msg("%s: %s", readers[i].name, err.text);
        if (readers[i].read != check_alone)
            assert_memory_equal(dst, sample->input->data, (size_t)sample->input->map.n_bytes);
    }
}

/* ---- what a container is made of, taken from its bytes as docs/container.md has it ---- */

enum part {
    HEAD,
    SPEC,
    MODEL,
    BASE,
    REFERENCES,
    BUNDLE_HEAD,
    PAYLOAD,
    PLAN,
    TAIL,
    PAGE,
    ROOT,
    TRAILER,
    N_PARTS
};
static const char *const part_names[N_PARTS] = {
    "head",    "spec", "model", "base", "references", "head of a bundle",
    "payload", "plan", "tail",  "page", "root",       "trailer"};

struct block {
    size_t begin, n_bytes; /* with its head */
    unsigned type;
};

static size_t list_blocks(struct mth_bytes bytes, struct block *blocks, size_t capacity)
{
    size_t n = 0;
    for (size_t at = 24; at + 24 < bytes.n_bytes; at += blocks[n - 1].n_bytes) {
        assert_true(n < capacity);
        blocks[n++] = (struct block){
            .begin = at, .n_bytes = 16 + mth_load32(bytes.data + at + 4), .type = bytes.data[at]};
    }
    return n;
}

static enum part part_at(struct mth_bytes bytes, const struct block *blocks, size_t n_blocks, size_t at)
{
    static const enum part of_type[] = {HEAD, SPEC, MODEL, BASE, REFERENCES, PAYLOAD, PAGE, ROOT};
    if (at < 24)
        return HEAD;
    for (size_t i = 0; i < n_blocks; i++) {
        const struct block *block = &blocks[i];
        size_t end = block->begin + block->n_bytes;
        if (at >= end)
            continue;
        if (block->type != 5)
            return of_type[block->type];
        size_t n_plan = mth_load32(bytes.data + end - 16);
        return at < block->begin + 16    ? BUNDLE_HEAD
               : at >= end - 16          ? TAIL
               : at >= end - 16 - n_plan ? PLAN
                                         : PAYLOAD;
    }
    return TRAILER;
}

/* ---- laws ---- */

static void every_bit(struct sample sample, bool has_base)
{
    struct block blocks[64];
    size_t n_blocks = list_blocks(sample.bytes, blocks, 64), n_flips[N_PARTS] = {0};
    uint8_t *copy = malloc(sample.bytes.n_bytes);
    assert_fine(&sample);
    memcpy(copy, sample.bytes.data, sample.bytes.n_bytes);
    for (size_t bit = 0; bit < 8 * sample.bytes.n_bytes; bit++) {
        enum part part = part_at(sample.bytes, blocks, n_blocks, bit / 8);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_refused(&sample, copy, sample.bytes.n_bytes, part_names[part], bit);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        n_flips[part]++;
    }
    for (size_t part = 0; part < N_PARTS; part++) {
        bool wanted = has_base || (part != BASE && part != REFERENCES);
        if (wanted != (n_flips[part] > 0))
            fail_msg("the container has %s %s", n_flips[part] ? "a" : "no", part_names[part]);
    }
    free(copy);
    sample_free(&sample);
    assert_int_equal(mth_memory_current(memory), 0);
}

static void every_flipped_bit_is_noticed_without_a_base(void **state)
{
    (void)state;
    every_bit(alone(), false);
}

static void every_flipped_bit_is_noticed_with_a_base(void **state)
{
    (void)state;
    every_bit(against_base(), true);
}

static void every_truncation_is_noticed(void **state)
{
    (void)state;
    for (int has_base = 0; has_base < 2; has_base++) {
        struct sample sample = has_base ? against_base() : alone();
        for (size_t n = 0; n < sample.bytes.n_bytes; n++)
            assert_refused(&sample, sample.bytes.data, n, "truncation", n);
        sample_free(&sample);
    }
    assert_int_equal(mth_memory_current(memory), 0);
}

static void what_follows_the_end_is_noticed(void **state)
{
    (void)state;
    for (int has_base = 0; has_base < 2; has_base++) {
        struct sample sample = has_base ? against_base() : alone();
        size_t n = sample.bytes.n_bytes;
        uint8_t *longer = malloc(2 * n);
        memcpy(longer, sample.bytes.data, n);
        for (unsigned byte = 0; byte < 256; byte++) {
            longer[n] = (uint8_t)byte;
            assert_refused(&sample, longer, n + 1, "appended byte", byte);
        }
        memset(longer + n, 0, n);
        for (size_t more = 2; more < 100; more++)
            assert_refused(&sample, longer, n + more, "appended zeros", more);
        /* The same again: its trailer is right where it should be, and points to a root that is right. */
        memcpy(longer + n, sample.bytes.data, n);
        assert_refused(&sample, longer, 2 * n, "a container behind it", 0);
        sample_free(&sample);
        free(longer);
    }
}

/* Puts blocks one behind the other, head and trailer around them. */
static size_t assemble(struct mth_bytes bytes, const struct block *blocks, size_t n_blocks, uint8_t *out)
{
    size_t n = 24;
    memcpy(out, bytes.data, 24);
    for (size_t i = 0; i < n_blocks; i++) {
        memcpy(out + n, bytes.data + blocks[i].begin, blocks[i].n_bytes);
        n += blocks[i].n_bytes;
    }
    memcpy(out + n, bytes.data + bytes.n_bytes - 24, 24);
    return n + 24;
}

static void every_block_moved_dropped_or_doubled_is_noticed(void **state)
{
    (void)state;
    for (int has_base = 0; has_base < 2; has_base++) {
        struct sample sample = has_base ? against_base() : alone();
        struct block blocks[64], other[65];
        size_t n = list_blocks(sample.bytes, blocks, 64);
        uint8_t *out = malloc(3 * sample.bytes.n_bytes);
        assert_int_equal(assemble(sample.bytes, blocks, n, out), sample.bytes.n_bytes);
        assert_memory_equal(out, sample.bytes.data, sample.bytes.n_bytes);
        for (size_t i = 0; i < n; i++) {
            memcpy(other, blocks, i * sizeof *blocks);
            memcpy(other + i, blocks + i + 1, (n - i - 1) * sizeof *blocks);
            assert_refused(&sample, out, assemble(sample.bytes, other, n - 1, out), "dropped block", i);
            memcpy(other + i, blocks + i, (n - i) * sizeof *blocks);
            memmove(other + i + 1, other + i, (n - i) * sizeof *blocks);
            assert_refused(&sample, out, assemble(sample.bytes, other, n + 1, out), "doubled block", i);
            for (size_t j = i + 1; j < n; j++) {
                memcpy(other, blocks, n * sizeof *blocks);
                other[i] = blocks[j];
                other[j] = blocks[i];
                assert_refused(&sample, out, assemble(sample.bytes, other, n, out), "swapped block",
                               100 * i + j);
            }
        }
        free(out);
        sample_free(&sample);
    }
}

/* A block of another container fits its own checksum; the others tell that it does not belong. */
static void a_block_of_another_container_is_noticed(void **state)
{
    (void)state;
    size_t n_tried = 0;
    for (int has_base = 0; has_base < 2; has_base++) {
        const char *spec = has_base ? "delta-xor+store" : "store";
        struct sample sample = sample_make(1, has_base, spec), other = sample_make(2, has_base, spec);
        struct block blocks[64], others[64];
        size_t n = list_blocks(sample.bytes, blocks, 64);
        assert_int_equal(list_blocks(other.bytes, others, 64), n);
        uint8_t *out = malloc(sample.bytes.n_bytes);
        assert_fine(&sample);
        for (size_t i = 0; i < n; i++) {
            const uint8_t *mine = sample.bytes.data + blocks[i].begin;
            const uint8_t *foreign = other.bytes.data + others[i].begin;
            if (blocks[i].n_bytes != others[i].n_bytes || memcmp(mine, foreign, blocks[i].n_bytes) == 0)
                continue;
            memcpy(out, sample.bytes.data, sample.bytes.n_bytes);
            memcpy(out + blocks[i].begin, foreign, blocks[i].n_bytes);
            /* A root's digest is over all bundles: who reads some of them, and reads them right, does not need it. */
            assert_refused_or(&sample, out, sample.bytes.n_bytes, "foreign block", i, blocks[i].type == 7);
            n_tried++;
        }
        free(out);
        sample_free(&sample);
        sample_free(&other);
    }
    assert_true(n_tried >= 6);
}

/* ---- what a later program may write ---- */

/* Makes the checksum of a block right again. */
static void reseal(uint8_t *bytes, const struct block *block, uint64_t number)
{
    uint8_t *head = bytes + block->begin;
    uint64_t seed = mth_hash64(head, 8, number);
    mth_store64(head + 8, mth_hash64(head + 16, block->n_bytes - 16, seed));
}

/* Every reader refuses these bytes and says this. */
static void assert_says(const struct sample *sample, const uint8_t *bytes, const char *words)
{
    uint8_t dst[16384];
    for (size_t i = 0; i < N_READERS; i++) {
        struct mth_error err = {0};
        int status = readers[i].read(sample, (struct mth_bytes){bytes, sample->bytes.n_bytes}, dst, &err);
        if (status == MTH_OK || !strstr(err.text, words))
            fail_msg("who reads %s says '%s' (status %d), not '%s'", readers[i].name, err.text, status,
                     words);
    }
}

static void what_is_unknown_is_refused_by_name(void **state)
{
    (void)state;
    struct sample sample = alone();
    struct block blocks[64];
    size_t n_blocks = list_blocks(sample.bytes, blocks, 64), first = 0;
    uint8_t *copy = malloc(sample.bytes.n_bytes);
#define FRESH() memcpy(copy, sample.bytes.data, sample.bytes.n_bytes)
    FRESH();
    copy[4] = 3;
    assert_says(&sample, copy, "version 3");
    FRESH();
    copy[5] = 0x40;
    mth_store64(copy + 16, mth_hash64(copy, 16, 0));
    assert_says(&sample, copy, "flags 40");
    FRESH();
    copy[blocks[0].begin] = 9;
    assert_says(&sample, copy, "type 9");
    FRESH();
    copy[blocks[0].begin + 2] = 1;
    assert_says(&sample, copy, "flags");
    /* The first block is a spec: exponent-split@1+range0@1:..., of which a letter, then the version, is another. */
    uint8_t *text = copy + blocks[0].begin + 16;
    FRESH();
    text[1] = 'q';
    reseal(copy, &blocks[0], 0);
    assert_says(&sample, copy, "eqponent-split");
    FRESH();
    text[strcspn((const char *)text, "@") + 1] = '8';
    reseal(copy, &blocks[0], 0);
    assert_says(&sample, copy, "exponent-split@8 is not known");
    while (first < n_blocks && blocks[first].type != 5)
        first++;
    size_t end = blocks[first].begin + blocks[first].n_bytes;
    size_t plan = end - 16 - mth_load32(sample.bytes.data + end - 16);
    FRESH();
    copy[plan + 1] = 3; /* the mode of the first chunk, behind their number */
    reseal(copy, &blocks[first], 0);
    assert_says(&sample, copy, "kind of chunk");
#undef FRESH
    free(copy);
    sample_free(&sample);
}

/* build/examples/plugin_range0.so lies beside the build/tests that holds this program. */
static int load_plugin(const char *program)
{
    char path[4096];
    struct mth_error err = {0};
    const char *slash = strrchr(program, '/');
    snprintf(path, sizeof path, "%.*s../examples/plugin_range0.so", slash ? (int)(slash - program + 1) : 0,
             program);
    int status = mth_plugin_load(path, &err);
    if (status)
        fprintf(stderr, "test_container_damage: %s\n", err.text);
    return status;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flipped_bit_is_noticed_without_a_base),
        cmocka_unit_test(every_flipped_bit_is_noticed_with_a_base),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(what_follows_the_end_is_noticed),
        cmocka_unit_test(every_block_moved_dropped_or_doubled_is_noticed),
        cmocka_unit_test(a_block_of_another_container_is_noticed),
        cmocka_unit_test(what_is_unknown_is_refused_by_name),
    };
    if (argc < 1 || load_plugin(argv[0]))
        return 1;
    memory = mth_memory_create(0);
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    mth_memory_destroy(memory);
    return n_failed;
}
