/* The conformance suite of transforms; see transform_conformance.h. */
#include "tests/support/transform_conformance.h"

#include "tests/support/float_patterns.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "transforms/transform_registry.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    MAX_SMALL_BYTES = 130,
    MAX_POWER_BYTES = 1 << 14, /* past every block of a kernel, with the widest elements */
    CONTENT_BYTES = 1 << 17,   /* all patterns of 16 bits */
    CANARY_BYTES = 16,
    ARENA_BYTES =
        2 * CONTENT_BYTES + 64, /* a stream may be wider than its source: one f8 of 8 bits gives 8 + 4 */
    ALIGNMENTS = 8,
};

/* Where a buffer lies: its arena ends at a forbidden page, the buffer `gap` bytes before that, canaries around it. */
struct arena {
    uint8_t *memory;
    uint8_t *data;
    size_t n_bytes, gap;
};

struct rig {
    const struct mth_transform *transform;
    struct arena src, restored, streams[MTH_MAX_STREAMS], references[MTH_MAX_REFERENCES];
    uint8_t *content, *reference_content, *copy;
    int64_t options[MTH_MAX_OPTIONS];
    struct mth_symbol_type type;
};

static uint64_t random_state;

static void fill_random(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
        uint64_t word = pattern_random(&random_state);
        memcpy(p + i, &word, n - i < sizeof word ? n - i : sizeof word);
    }
}

static void arena_open(struct arena *arena)
{
    arena->memory = guard_alloc(ARENA_BYTES);
}

static void arena_close(struct arena *arena)
{
    guard_free(arena->memory, ARENA_BYTES);
}

static void canary_range(const struct arena *arena, uint8_t **before, uint8_t **after)
{
    *after = arena->memory + ARENA_BYTES - arena->gap;
    *before = *after - arena->n_bytes - CANARY_BYTES;
}

/* Lay out n poisoned bytes; with an empty buffer at the very end goes a NULL, which is all that n = 0 promises. */
static uint8_t *arena_place(struct arena *arena, size_t n, size_t gap, uint8_t poison)
{
    uint8_t *before, *after;
    assert_true(n + gap + CANARY_BYTES <= ARENA_BYTES);
    arena->n_bytes = n;
    arena->gap = gap;
    canary_range(arena, &before, &after);
    memset(before, 0xc5, CANARY_BYTES);
    memset(before + CANARY_BYTES, poison, n);
    memset(after, 0xc5, gap);
    arena->data = n == 0 && gap == 0 ? NULL : after - n;
    return arena->data;
}

static void arena_check(const struct rig *rig, const struct arena *arena, const char *what)
{
    uint8_t *before, *after;
    canary_range(arena, &before, &after);
    for (size_t i = 0; i < CANARY_BYTES; i++) {
        if (before[i] != 0xc5)
            fail_msg("%s: wrote before its %s", rig->transform->name, what);
    }
    for (size_t i = 0; i < arena->gap; i++) {
        if (after[i] != 0xc5)
            fail_msg("%s: wrote behind its %s", rig->transform->name, what);
    }
}

/* The case at hand, for messages. */
static const char *describe(const struct rig *rig, size_t n)
{
    static char text[256];
    int at =
        snprintf(text, sizeof text, "%s of %s (%u bits in %u), %zu bytes, options", rig->transform->name,
                 mth_dtype_info(rig->type.dtype)->name, rig->type.symbol_bits, rig->type.container_bits, n);
    for (size_t i = 0; i < rig->transform->n_options && at < (int)sizeof text - 24; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, " %lld", (long long)rig->options[i]);
    return text;
}

/* Plan twice into different garbage; 0 or MTH_ERR_UNSUPPORTED. */
static int check_plan(const struct rig *rig, size_t n, struct mth_stream_plan plans[MTH_MAX_STREAMS],
                      size_t *n_streams)
{
    struct mth_stream_plan again[MTH_MAX_STREAMS];
    size_t n_again = 99;
    *n_streams = 77;
    memset(plans, 0xff, MTH_MAX_STREAMS * sizeof *plans);
    memset(again, 0x11, sizeof again);
    int rc = rig->transform->plan(rig->options, &rig->type, n, plans, n_streams);
    if (rig->transform->plan(rig->options, &rig->type, n, again, &n_again) != rc)
        fail_msg("two plans differ: %s", describe(rig, n));
    if (rc == MTH_ERR_UNSUPPORTED)
        return rc;
    if (rc != MTH_OK || *n_streams != n_again || *n_streams == 0 || *n_streams > rig->transform->max_streams)
        fail_msg("no plan (%d, %zu streams): %s", rc, *n_streams, describe(rig, n));
    for (size_t s = 0; s < *n_streams; s++) {
        const struct mth_stream_plan *p = &plans[s], *q = &again[s];
        if (p->type.dtype != q->type.dtype || p->type.symbol_bits != q->type.symbol_bits ||
            p->type.container_bits != q->type.container_bits || p->n_symbols != q->n_symbols ||
            p->n_bytes != q->n_bytes || p->flags != q->flags)
            fail_msg("two plans differ: %s", describe(rig, n));
        if (p->type.symbol_bits == 0 || p->type.symbol_bits > p->type.container_bits ||
            (unsigned)p->type.dtype >= MTH_N_DTYPES || mth_symbol_bytes(&p->type, p->n_symbols) > p->n_bytes)
            fail_msg("stream %zu can not hold its symbols: %s", s, describe(rig, n));
    }
    return MTH_OK;
}

static void run_forward(struct rig *rig, const struct mth_transform_job *job, const uint8_t *src, size_t gap,
                        uint8_t poison, struct mth_buffer *out)
{
    for (size_t s = 0; s < job->n_streams; s++) {
        size_t n = job->plans[s].n_bytes;
        uint8_t *data = arena_place(&rig->streams[s], n, (gap * 3 + s) % ALIGNMENTS, poison);
        out[s] = (struct mth_buffer){.data = data, .n_bytes = SIZE_MAX, .capacity_bytes = n};
    }
    if (rig->transform->forward(job, src, out) != MTH_OK)
        fail_msg("forward fails: %s", describe(rig, job->n_bytes));
    for (size_t s = 0; s < job->n_streams; s++) {
        size_t n = job->plans[s].n_bytes;
        arena_check(rig, &rig->streams[s], "stream");
        if (job->plans[s].flags & MTH_STREAM_VARIABLE ? out[s].n_bytes > n : out[s].n_bytes != n)
            fail_msg("stream %zu has %zu bytes of %zu: %s", s, out[s].n_bytes, n,
                     describe(rig, job->n_bytes));
    }
}

static int run_inverse(struct rig *rig, const struct mth_transform_job *job, const struct mth_buffer *streams,
                       size_t gap)
{
    struct mth_bytes in[MTH_MAX_STREAMS];
    for (size_t s = 0; s < job->n_streams; s++)
        in[s] = (struct mth_bytes){.data = streams[s].data, .n_bytes = streams[s].n_bytes};
    uint8_t *dst = arena_place(&rig->restored, job->n_bytes, gap * 5 % ALIGNMENTS, 0x77);
    int rc = rig->transform->inverse(job, in, dst);
    arena_check(rig, &rig->restored, "destination");
    return rc;
}

/* All streams one after the other. */
static size_t concatenate(const struct mth_buffer *streams, size_t n_streams, uint8_t *out)
{
    size_t n = 0;
    for (size_t s = 0; s < n_streams; s++) {
        if (streams[s].n_bytes)
            memcpy(out + n, streams[s].data, streams[s].n_bytes);
        n += streams[s].n_bytes;
    }
    return n;
}

/* What forward makes of the elements that inverse made of garbage: the same garbage, or, where it may choose, what inverse
 * turns into the same elements. */
static void check_accepted(struct rig *rig, const struct mth_transform_job *job,
                           const struct mth_buffer *streams, size_t n_garbage, size_t gap)
{
    struct mth_buffer again[MTH_MAX_STREAMS];
    bool chooses = (rig->transform->flags & MTH_TRANSFORM_CHOOSES) != 0, same = true;
    uint8_t *elements = chooses ? malloc(job->n_bytes + 1) : NULL;
    if (elements && job->n_bytes)
        memcpy(elements, rig->restored.data, job->n_bytes);
    run_forward(rig, job, rig->restored.data, gap, 0x00, again);
    if (chooses) {
        assert_non_null(elements);
        same = run_inverse(rig, job, again, gap) == MTH_OK &&
               (job->n_bytes == 0 || memcmp(rig->restored.data, elements, job->n_bytes) == 0);
        free(elements);
        if (!same)
            fail_msg("elements that inverse made do not come back: %s", describe(rig, job->n_bytes));
        return;
    }
    size_t at = 0;
    for (size_t s = 0; s < job->n_streams && same; s++) {
        same = again[s].n_bytes == streams[s].n_bytes &&
               (again[s].n_bytes == 0 || memcmp(again[s].data, rig->copy + at, again[s].n_bytes) == 0);
        at += streams[s].n_bytes;
    }
    if (!same || at != n_garbage)
        fail_msg("inverse accepts streams that forward does not make: %s", describe(rig, job->n_bytes));
}

/* Garbage instead of streams: refused, or elements of which the same garbage is made. Streams of variable length also lose
 * their ends, and grow to all that was planned. */
static void check_garbage(struct rig *rig, const struct mth_transform_job *job, struct mth_buffer *streams,
                          size_t gap)
{
    for (unsigned kind = 0; kind < 6; kind++) {
        for (size_t s = 0; s < job->n_streams; s++) {
            uint8_t *p = streams[s].data;
            size_t n = streams[s].n_bytes;
            if (kind == 4 && job->plans[s].flags & MTH_STREAM_VARIABLE && n)
                streams[s].n_bytes = pattern_random(&random_state) % n;
            else if (kind == 5 && job->plans[s].flags & MTH_STREAM_VARIABLE)
                streams[s].n_bytes = job->plans[s].n_bytes;
            else if (n == 0)
                continue;
            else if (kind == 0)
                p[pattern_random(&random_state) % n] ^= (uint8_t)(1u << pattern_random(&random_state) % 8);
            else if (kind == 1)
                fill_random(p, n);
            else if (kind < 4)
                memset(p, kind == 2 ? 0xff : 0, n);
        }
        size_t n_garbage = concatenate(streams, job->n_streams, rig->copy);
        int rc = run_inverse(rig, job, streams, gap);
        if (rc == MTH_ERR_CORRUPT)
            continue;
        if (rc != MTH_OK)
            fail_msg("inverse of garbage gives %d: %s", rc, describe(rig, job->n_bytes));
        check_accepted(rig, job, streams, n_garbage, gap);
    }
}

/* Where forward may choose: how long a stream of variable length is, the others tell, and a byte more or less is refused. */
static void check_lengths(struct rig *rig, const struct mth_transform_job *job, struct mth_buffer *streams,
                          size_t gap)
{
    for (size_t s = 0; s < job->n_streams; s++) {
        size_t n = streams[s].n_bytes;
        if (!(job->plans[s].flags & MTH_STREAM_VARIABLE))
            continue;
        for (unsigned more = 0; more < 2; more++) {
            if (more ? n == job->plans[s].n_bytes : n == 0)
                continue;
            streams[s].n_bytes = more ? n + 1 : n - 1;
            if (run_inverse(rig, job, streams, gap) != MTH_ERR_CORRUPT)
                fail_msg("stream %zu may have a byte %s: %s", s, more ? "more" : "less",
                         describe(rig, job->n_bytes));
        }
        streams[s].n_bytes = n;
    }
}

/* One round trip of n bytes of the content from an offset, buffers laid out by gap. */
static void check_round_trip(struct rig *rig, size_t n, size_t offset, size_t gap, bool garbage)
{
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    struct mth_bytes references[MTH_MAX_REFERENCES];
    struct mth_buffer streams[MTH_MAX_STREAMS];
    size_t n_streams;
    if (check_plan(rig, n, plans, &n_streams) != MTH_OK)
        return;

    uint8_t *src = arena_place(&rig->src, n, gap, 0);
    if (n)
        memcpy(src, rig->content + offset, n);
    for (size_t r = 0; r < rig->transform->n_references; r++) {
        uint8_t *p = arena_place(&rig->references[r], n, (gap * 7 + 3 * r + n / 16) % ALIGNMENTS, 0);
        if (n)
            memcpy(p, rig->reference_content + (offset + 64 * r) % CONTENT_BYTES, n);
        references[r] = (struct mth_bytes){.data = p, .n_bytes = n};
    }
    struct mth_transform_job job = {.options = rig->options,
                                    .type = rig->type,
                                    .n_bytes = n,
                                    .references = references,
                                    .plans = plans,
                                    .n_streams = n_streams};

    run_forward(rig, &job, src, gap, 0x00, streams);
    size_t n_copy = concatenate(streams, n_streams, rig->copy);
    run_forward(rig, &job, src, gap, 0xff, streams);
    uint8_t *first = rig->copy;
    for (size_t s = 0; s < n_streams; s++) {
        if (streams[s].n_bytes && memcmp(streams[s].data, first, streams[s].n_bytes) != 0)
            fail_msg("stream %zu differs the second time, or was not all written: %s", s, describe(rig, n));
        first += streams[s].n_bytes;
    }
    if (first != rig->copy + n_copy)
        fail_msg("streams are longer or shorter the second time: %s", describe(rig, n));

    int rc = run_inverse(rig, &job, streams, gap);
    if (rc != MTH_OK)
        fail_msg("inverse gives %d: %s", rc, describe(rig, n));
    if (n && memcmp(rig->restored.data, rig->content + offset, n) != 0)
        fail_msg("other bytes come back: %s", describe(rig, n));
    if (rig->transform->flags & MTH_TRANSFORM_CHOOSES)
        check_lengths(rig, &job, streams, gap);
    if (garbage)
        check_garbage(rig, &job, streams, gap);

    if (n && memcmp(src, rig->content + offset, n) != 0)
        fail_msg("the source was changed: %s", describe(rig, n));
    arena_check(rig, &rig->src, "source");
    for (size_t r = 0; r < rig->transform->n_references; r++) {
        if (n &&
            memcmp(references[r].data, rig->reference_content + (offset + 64 * r) % CONTENT_BYTES, n) != 0)
            fail_msg("a reference was changed: %s", describe(rig, n));
    }
}

/* ---- suites ---- */

static void check_sizes(struct rig *rig, bool every_alignment)
{
    fill_random(rig->content, CONTENT_BYTES);
    fill_random(rig->reference_content, CONTENT_BYTES);
    for (size_t n = 0; n <= MAX_SMALL_BYTES; n++) {
        for (size_t gap = 0; gap < (every_alignment ? ALIGNMENTS : 1); gap++)
            check_round_trip(rig, n, n * 8 + gap, gap, gap == n % ALIGNMENTS || !every_alignment);
    }
    for (size_t power = 256; power <= MAX_POWER_BYTES; power *= 2) {
        static const int around[] = {-9, -1, 0, 1, 7};
        for (size_t i = 0; i < sizeof around / sizeof around[0]; i++)
            check_round_trip(rig, (size_t)((int)power + around[i]), i, i % 2 ? i : 0, i == 3);
    }
}

static void check_contents(struct rig *rig)
{
    fill_lane_pairs(rig->content, rig->reference_content, CONTENT_BYTES);
    check_round_trip(rig, CONTENT_BYTES, 0, 0, false);
    check_round_trip(rig, CONTENT_BYTES - 1, 1, 1, false);
    fill_float_edges(MTH_DTYPE_F32, rig->content, rig->reference_content, MAX_POWER_BYTES);
    check_round_trip(rig, MAX_POWER_BYTES, 0, 0, false);
    fill_float_edges(MTH_DTYPE_F64, rig->content, rig->reference_content, MAX_POWER_BYTES);
    check_round_trip(rig, MAX_POWER_BYTES, 0, 3, false);
    memset(rig->content, 0xff, MAX_POWER_BYTES);
    memset(rig->reference_content, 0, MAX_POWER_BYTES);
    check_round_trip(rig, MAX_POWER_BYTES, 0, 0, false);
}

struct thread {
    const struct mth_transform *transform;
    const struct mth_transform_job *job;
    const uint8_t *src;
    atomic_int *n_waiting; /* for the others to start */
    size_t n_failures;
};

enum { N_THREADS = 2, THREAD_BYTES = 4001, THREAD_ROUNDS = 100 };

/* Round trips in own buffers, counted rather than asserted: cmocka's assertions belong to the main thread. */
static void *thread_main(void *arg)
{
    struct thread *t = arg;
    uint8_t *dst = malloc(THREAD_BYTES);
    struct mth_buffer streams[MTH_MAX_STREAMS];
    struct mth_bytes in[MTH_MAX_STREAMS];
    for (size_t s = 0; s < t->job->n_streams; s++) {
        size_t n = t->job->plans[s].n_bytes;
        streams[s] = (struct mth_buffer){.data = malloc(n + 1), .capacity_bytes = n};
        if (!streams[s].data)
            abort();
    }
    if (!dst)
        abort();
    atomic_fetch_sub(t->n_waiting, 1);
    while (atomic_load(t->n_waiting) > 0)
        sched_yield();
    for (int round = 0; round < THREAD_ROUNDS; round++) {
        memset(dst, round, THREAD_BYTES);
        int rc = t->transform->forward(t->job, t->src, streams);
        for (size_t s = 0; s < t->job->n_streams; s++)
            in[s] = (struct mth_bytes){.data = streams[s].data, .n_bytes = streams[s].n_bytes};
        if (rc == MTH_OK)
            rc = t->transform->inverse(t->job, in, dst);
        t->n_failures += rc != MTH_OK || memcmp(dst, t->src, THREAD_BYTES) != 0;
    }
    for (size_t s = 0; s < t->job->n_streams; s++)
        free(streams[s].data);
    free(dst);
    return NULL;
}

static void check_threads(struct rig *rig)
{
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    struct mth_bytes references[MTH_MAX_REFERENCES];
    size_t n_streams;
    if (check_plan(rig, THREAD_BYTES, plans, &n_streams) != MTH_OK)
        return;
    for (size_t r = 0; r < rig->transform->n_references; r++)
        references[r] = (struct mth_bytes){.data = rig->reference_content + 64 * r, .n_bytes = THREAD_BYTES};
    struct mth_transform_job job = {.options = rig->options,
                                    .type = rig->type,
                                    .n_bytes = THREAD_BYTES,
                                    .references = references,
                                    .plans = plans,
                                    .n_streams = n_streams};
    struct thread threads[N_THREADS];
    pthread_t ids[N_THREADS];
    atomic_int n_waiting = N_THREADS;
    for (size_t i = 0; i < N_THREADS; i++) {
        threads[i] = (struct thread){rig->transform, &job, rig->content + 7 * i, &n_waiting, 0};
        assert_int_equal(pthread_create(&ids[i], NULL, thread_main, &threads[i]), 0);
    }
    size_t n_failures = 0;
    for (size_t i = 0; i < N_THREADS; i++) {
        pthread_join(ids[i], NULL);
        n_failures += threads[i].n_failures;
    }
    if (n_failures)
        fail_msg("two threads disturb each other: %s", describe(rig, THREAD_BYTES));
}

/* Symbols that no tensor has, but a stream of another transform may, and some that nothing has. */
static const struct mth_symbol_type odd_types[] = {
    {MTH_DTYPE_OPAQUE, 1, 1},   {MTH_DTYPE_OPAQUE, 3, 3},     {MTH_DTYPE_OPAQUE, 4, 4},
    {MTH_DTYPE_U8, 5, 8},       {MTH_DTYPE_OPAQUE, 11, 11},   {MTH_DTYPE_U16, 11, 16},
    {MTH_DTYPE_OPAQUE, 24, 24}, {MTH_DTYPE_OPAQUE, 53, 53},   {MTH_DTYPE_BF16, 8, 16},
    {MTH_DTYPE_BF16, 16, 32},   {MTH_DTYPE_F32, 8, 8},        {MTH_DTYPE_F64, 64, 72},
    {MTH_DTYPE_OPAQUE, 0, 0},   {MTH_DTYPE_OPAQUE, 128, 128}, {MTH_DTYPE_U8, 8, 136},
    {MTH_DTYPE_F16, 255, 255},
};

static void check_options(struct rig *rig)
{
    for (unsigned dtype = 0; dtype < MTH_N_DTYPES; dtype++) {
        struct mth_stream_plan plans[MTH_MAX_STREAMS];
        size_t n_streams;
        rig->type = mth_symbol_type_of((enum mth_dtype)dtype);
        check_plan(rig, SIZE_MAX, plans, &n_streams);
        check_plan(rig, SIZE_MAX - 1, plans, &n_streams);
        check_sizes(rig, true);
        check_threads(rig);
        check_contents(rig);
    }
    for (size_t i = 0; i < sizeof odd_types / sizeof odd_types[0]; i++) {
        rig->type = odd_types[i];
        check_sizes(rig, false);
    }
}

/* Of more options not all combinations, but each option's values while the others have their defaults. */
enum { MAX_COMBINED = 3 };

/* And those that choose a way together. */
static const struct {
    const char *transform;
    int64_t options[MTH_MAX_OPTIONS];
} combinations[] = {
    /* weight, stays, decay, scale, sizes: Adam by lerp_, momentum, each with decay, by squares or a middle. */
    {"gradient24", {0x3dcccccd, 0, 0x3c23d70a, 0x3f74f7a9, 0}},
    {"gradient24", {0x3dcccccd, 0, 0x3c23d70a, 0x3f800000, 1}},
    {"gradient24", {0x3dcccccd, 0, 0, 0x40000000, 1}},
    {"gradient24", {0x3dcccccd, 0x3f666666, 0x3c23d70a, 0x3f74f7a9, 0}},
    {"gradient24", {0x3f800000, 0x3f666666, 0x3c23d70a, 0x3f74f7a9, 1}},
    {"gradient24", {0x33800000, 0, 0x3f800000, 0x5f000000, 1}},
    /* weight, stays, decay, scale, mu, rate, eps: RMSprop with decay, of momentum too; Adagrad; what divides by nothing. */
    {"divided24", {0x3c23d70a, 0x3f7d70a4, 0x3c23d70a, 0x3f74f7a9, 0x3f800000, 0xb8d1b717, 0x322bcc77}},
    {"divided24", {0x3c23d70a, 0x3f7d70a4, 0x3c23d70a, 0x3f74f7a9, 0x3f666666, 0x3f800000, 0x322bcc77}},
    {"divided24", {0x3f800000, 0x3f800000, 0, 0x3f800000, 0x3f800000, 0xbc23d70a, 0x2edbe6ff}},
    {"divided24", {0, 0, 0x3f800000, 0x20000000, 0, 0, 0}},
    {"divided24", {0x7fc00000, 0x7f800000, 0x3f800000, 0x5f000000, 0xff800000, 0xffffffff, 0x7f800000}},
};

static bool has_other_than_default(const struct rig *rig, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (rig->options[i] != rig->transform->options[i].default_value)
            return true;
    }
    return false;
}

/* Every combination of values of options from `first` on; of a wide range its ends, the default and those beside. */
static void for_each_option(struct rig *rig, size_t first)
{
    if (first == rig->transform->n_options) {
        check_options(rig);
        return;
    }
    if (rig->transform->n_options > MAX_COMBINED && has_other_than_default(rig, first)) {
        rig->options[first] = rig->transform->options[first].default_value;
        for_each_option(rig, first + 1);
        return;
    }
    const struct mth_option *o = &rig->transform->options[first];
    for (int64_t v = o->min; v <= o->max; v++) {
        bool wide = (uint64_t)o->max - (uint64_t)o->min > MTH_MAX_STREAMS;
        if (wide && v > o->min + 1 && v < o->max - 1 && v != o->default_value) {
            v = v < o->default_value ? o->default_value - 1 : o->max - 2;
            continue;
        }
        rig->options[first] = v;
        for_each_option(rig, first + 1);
        if (v == INT64_MAX)
            break;
    }
}

static void check_combinations(struct rig *rig)
{
    for (size_t i = 0; i < sizeof combinations / sizeof combinations[0]; i++) {
        assert_non_null(mth_transform_find(combinations[i].transform, strlen(combinations[i].transform)));
        if (strcmp(combinations[i].transform, rig->transform->name) != 0)
            continue;
        for (size_t k = 0; k < rig->transform->n_options; k++) {
            const struct mth_option *o = &rig->transform->options[k];
            rig->options[k] = combinations[i].options[k];
            assert_true(o->min <= rig->options[k] && rig->options[k] <= o->max);
        }
        check_options(rig);
    }
}

void conformance_check_transform(const struct mth_transform *transform)
{
    struct rig rig = {.transform = transform};
    random_state = 1;
    assert_int_equal(transform->abi, MTH_TRANSFORM_ABI);
    assert_true(transform->wire_version >= 1);
    assert_non_null(transform->summary);
    assert_in_range(transform->max_streams, 1, MTH_MAX_STREAMS);
    assert_true(transform->n_references <= MTH_MAX_REFERENCES && transform->n_options <= MTH_MAX_OPTIONS);
    arena_open(&rig.src);
    arena_open(&rig.restored);
    for (size_t i = 0; i < MTH_MAX_STREAMS; i++)
        arena_open(&rig.streams[i]);
    for (size_t i = 0; i < transform->n_references; i++)
        arena_open(&rig.references[i]);
    /* References start up to 64 bytes apart, and content up to a few bytes in. */
    rig.content = malloc(2 * CONTENT_BYTES);
    rig.reference_content = malloc(2 * CONTENT_BYTES);
    rig.copy = malloc((size_t)MTH_MAX_STREAMS * ARENA_BYTES);
    if (!rig.content || !rig.reference_content || !rig.copy)
        fail_msg("no memory");
    fill_random(rig.content, 2 * CONTENT_BYTES);
    fill_random(rig.reference_content, 2 * CONTENT_BYTES);

    for_each_option(&rig, 0);
    check_combinations(&rig);

    free(rig.copy);
    free(rig.reference_content);
    free(rig.content);
    for (size_t i = 0; i < transform->n_references; i++)
        arena_close(&rig.references[i]);
    for (size_t i = 0; i < MTH_MAX_STREAMS; i++)
        arena_close(&rig.streams[i]);
    arena_close(&rig.restored);
    arena_close(&rig.src);
}
