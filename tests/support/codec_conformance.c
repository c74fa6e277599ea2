/* Laws for every codec: round trips, determinism, reuse, batches, threads, memory; see codec_conformance.h. */
#include "tests/support/codec_conformance.h"

#include "tests/support/codec_laws.h"
#include "tests/support/codec_rig.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SMALL_BYTES = 130, LARGE_BYTES = (1 << 16) + 1, HUGE_BYTES = 1 << 20 };

static uint8_t content[HUGE_BYTES];

static void check_option(const struct mth_option *option)
{
    assert_non_null(option->name);
    assert_non_null(option->help);
    assert_true(option->min <= option->default_value && option->default_value <= option->max);
    for (int64_t v = option->min; option->words && v <= option->max; v++)
        assert_non_null(option->words[v - option->min]);
}

/* What `list`, the spec parser and the frame rely on. */
static void law_describes_itself(const struct mth_codec *codec)
{
    assert_int_equal(codec->abi, MTH_CODEC_ABI);
    assert_true(codec->wire_version >= 1);
    assert_true(strspn(codec->name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(codec->name));
    assert_true(codec->name[0] >= 'a' && codec->name[0] <= 'z');
    assert_true(strlen(codec->summary) > 0 && !strchr(codec->summary, '\n'));
    assert_true(codec->n_options <= MTH_MAX_OPTIONS);
    for (size_t i = 0; i < codec->n_options; i++)
        check_option(&codec->options[i]);
    if (codec->library) {
        /* A name, a space, a version. */
        const char *library = codec->library();
        assert_non_null(strchr(library, ' '));
        assert_non_null(strpbrk(library, "0123456789"));
    }
    if (codec->flags & MTH_CODEC_IDENTITY) {
        assert_null(codec->encode);
        assert_null(codec->decode);
        assert_int_equal(codec->n_options, 0);
        return;
    }
    assert_true(codec->bound && codec->create && codec->destroy && codec->encode && codec->decode);
    assert_true(!codec->uses_context || (codec->flags & MTH_CODEC_CONTEXT));
    codec->destroy(NULL);
}

/* A bound grows with its argument, covers any content, and never wraps. */
static void law_bounds_every_size(const struct mth_codec *codec)
{
    struct codec_rig rig;
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        if (!rig_open(&rig, codec, set))
            continue;
        for (size_t n = 0; n <= HUGE_BYTES; n = n * 3 / 2 + 1) {
            if (codec->bound(rig.options, n) == 0 ||
                codec->bound(rig.options, n) > codec->bound(rig.options, n + 1))
                rig_fail(&rig, "its bound of %zu bytes is %zu", n, codec->bound(rig.options, n));
        }
        for (size_t n = SIZE_MAX; n > SIZE_MAX / 2; n -= SIZE_MAX / 16) {
            size_t bound = codec->bound(rig.options, n);
            if (bound != 0 && bound < n / 2)
                rig_fail(&rig, "its bound of %zu bytes is %zu", n, bound);
        }
        rig_close(&rig);
    }
}

static void law_round_trips_every_small_size(const struct mth_codec *codec)
{
    struct codec_rig rig;
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        if (!rig_open(&rig, codec, set))
            continue;
        for (size_t n = 0; n <= SMALL_BYTES; n++) {
            for (int pattern = 0; pattern < N_PATTERNS; pattern++) {
                /* Every content with the defaults; with other options they take turns. */
                if (set != 0 && n % N_PATTERNS != (size_t)pattern)
                    continue;
                pattern_fill((enum pattern)pattern, n, content, n);
                rig_round_trip(&rig, content, n);
            }
        }
        rig_close(&rig);
    }
}

static void round_trip(struct codec_rig *rig, enum pattern pattern, size_t n)
{
    pattern_fill(pattern, n, content, n);
    rig_round_trip(rig, content, n);
}

static void law_round_trips_around_powers_of_two(const struct mth_codec *codec)
{
    static const enum pattern turns[] = {PATTERN_EXPONENT, PATTERN_TEXT, PATTERN_RANDOM, PATTERN_FLOAT,
                                         PATTERN_SPARSE};
    enum { N_TURNS = sizeof turns / sizeof turns[0] };
    struct codec_rig rig;
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        if (!rig_open(&rig, codec, set))
            continue;
        for (size_t size = 256; size < LARGE_BYTES; size *= 2) {
            for (size_t n = size - 1; n <= size + 1; n++) {
                for (size_t i = 0; i < N_TURNS; i++) {
                    if (set == 0 ? i < 3 || size <= 4096 : n % N_TURNS == i && n <= 16385)
                        round_trip(&rig, turns[i], n);
                }
            }
        }
        round_trip(&rig, turns[set % N_TURNS], LARGE_BYTES);
        if (set == 0) {
            round_trip(&rig, PATTERN_EXPONENT, HUGE_BYTES);
            round_trip(&rig, PATTERN_ZEROS, HUGE_BYTES);
        }
        rig_close(&rig);
    }
}

/* A type that a codec does not take it refuses for every size, in encode. */
static void law_round_trips_every_type_it_takes(const struct mth_codec *codec)
{
    static const size_t sizes[] = {0, 1, 3, 4, 7, 8, 12, 31, 64, 130, 1000, 4096, 16384, 16389, 40000};
    static const enum pattern patterns[] = {PATTERN_FLOAT, PATTERN_RANDOM, PATTERN_ZEROS, PATTERN_EXPONENT};
    struct codec_rig rig;
    assert_true(rig_open(&rig, codec, 0));
    for (size_t t = 0; t < rig_n_types; t++) {
        rig.type = rig_types[t];
        struct encoded encoded = {0};
        int status = rig_encode_into(&rig, content, 0, codec->bound(rig.options, 0), &encoded);
        encoded_free(&encoded);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            for (size_t p = 0; p < sizeof patterns / sizeof patterns[0]; p++) {
                pattern_fill(patterns[p], i, content, sizes[i]);
                if (status == MTH_OK)
                    rig_round_trip(&rig, content, sizes[i]);
                else if (rig_encode_into(&rig, content, sizes[i], codec->bound(rig.options, sizes[i]),
                                         &encoded) != MTH_ERR_UNSUPPORTED)
                    rig_fail(&rig, "takes %zu bytes of a type that it refused for none", sizes[i]);
            }
        }
    }
    rig_close(&rig);
}

/* A stream that compresses must: the suite would else be passed by memcpy. */
static void law_shrinks_what_repeats(const struct mth_codec *codec)
{
    struct codec_rig rig;
    assert_true(rig_open(&rig, codec, 0));
    pattern_fill(PATTERN_ZEROS, 0, content, 1 << 14);
    size_t n = rig_round_trip(&rig, content, 1 << 14);
    if (n > (1 << 14) / 8)
        rig_fail(&rig, "makes %zu bytes of 16384 zeros", n);
    rig_close(&rig);
}

/* Some libraries make bytes that differ: all the more must each of them come back. */
static void expect_same(struct codec_rig *rig, const struct encoded *a, const struct encoded *b,
                        const char *what)
{
    if (rig->codec->flags & MTH_CODEC_VARIES)
        return;
    if (a->n_bytes != b->n_bytes || (a->n_bytes && memcmp(a->data, b->data, a->n_bytes) != 0))
        rig_fail(rig, "%s: %zu and %zu bytes that differ", what, a->n_bytes, b->n_bytes);
}

/* The streams that determinism and reuse are tried with, small and large in turn. */
static const struct {
    enum pattern pattern;
    size_t n;
} mixed[] = {{PATTERN_TEXT, 5000},    {PATTERN_ZEROS, 0},    {PATTERN_RANDOM, 100}, {PATTERN_EXPONENT, 40000},
             {PATTERN_SPARSE, 1},     {PATTERN_RAMP, 3000},  {PATTERN_TEXT, 17},    {PATTERN_MANTISSA, 9000},
             {PATTERN_CONSTANT, 700}, {PATTERN_FLOAT, 20000}};
enum { N_MIXED = sizeof mixed / sizeof mixed[0] };

/* What an old state makes of a stream is what a fresh one makes of it, whatever the old one saw before. */
static void law_makes_the_same_bytes_in_any_state(const struct mth_codec *codec)
{
    struct codec_rig old, fresh;
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        if (!rig_open(&old, codec, set))
            continue;
        for (size_t i = 0; i < 2 * N_MIXED; i++) {
            size_t n = mixed[i % N_MIXED].n;
            pattern_fill(mixed[i % N_MIXED].pattern, i, content, n);
            rig_clone(&fresh, &old);
            struct encoded a = rig_encode(&old, content, n);
            struct encoded b = rig_encode(&fresh, content, n);
            expect_same(&old, &a, &b, "an old state and a fresh one");
            rig_expect(&old, &b, content, n);
            rig_expect(&fresh, &a, content, n);
            encoded_free(&a);
            encoded_free(&b);
            rig_close(&fresh);
        }
        rig_close(&old);
    }
}

/* More room changes no byte of the output. */
static void law_makes_the_same_bytes_in_more_room(const struct mth_codec *codec)
{
    struct codec_rig rig;
    assert_true(rig_open(&rig, codec, 0));
    for (size_t i = 0; i < N_MIXED; i++) {
        size_t n = mixed[i].n;
        pattern_fill(mixed[i].pattern, i, content, n);
        struct encoded a = rig_encode(&rig, content, n), b = {0};
        int status = rig_encode_into(&rig, content, n, codec->bound(rig.options, n) + 5000, &b);
        if (status)
            rig_fail(&rig, "with more room: %s", mth_status_name(status));
        expect_same(&rig, &a, &b, "its bound and more room");
        encoded_free(&a);
        encoded_free(&b);
    }
    rig_close(&rig);
}

/* A state that only encodes and one that only decodes are enough for their sides. */
static void law_works_with_one_side(const struct mth_codec *codec)
{
    struct codec_rig rig;
    assert_true(rig_open(&rig, codec, 0));
    size_t n = mixed[0].n;
    pattern_fill(mixed[0].pattern, 0, content, n);
    for (unsigned side = MTH_SIDE_ENCODE; side <= MTH_SIDE_DECODE; side <<= 1) {
        struct encoded encoded = rig_encode(&rig, content, n);
        void *both = rig.state;
        assert_int_equal(codec->create(rig.options, side, rig.memory, &rig.state), MTH_OK);
        if (side == MTH_SIDE_ENCODE) {
            struct encoded again = rig_encode(&rig, content, n);
            expect_same(&rig, &encoded, &again, "an encoder and a state for both sides");
            encoded_free(&again);
        } else {
            rig_expect(&rig, &encoded, content, n);
        }
        codec->destroy(rig.state);
        rig.state = both;
        encoded_free(&encoded);
    }
    rig_close(&rig);
}

/* Encoding and decoding a stream again and again takes no more memory than at first. */
static void law_needs_no_more_memory_as_it_goes(const struct mth_codec *codec)
{
    struct codec_rig rig;
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        if (!rig_open(&rig, codec, set))
            continue;
        pattern_fill(PATTERN_EXPONENT, 1, content, 30000);
        rig_round_trip(&rig, content, 30000);
        rig_round_trip(&rig, content, 30000);
        size_t before = mth_memory_peak(rig.memory);
        mth_memory_reset_peak(rig.memory);
        for (size_t i = 0; i < 3; i++)
            rig_round_trip(&rig, content, 30000);
        if (mth_memory_peak(rig.memory) > before)
            rig_fail(&rig, "took %zu bytes, then %zu", before, mth_memory_peak(rig.memory));
        rig_close(&rig);
    }
}

enum { MAX_BATCH = 7 };

/* Encoded streams and where they are to be decoded to, in one batch. */
struct batch {
    struct mth_decode_job jobs[MAX_BATCH];
    struct encoded encoded[MAX_BATCH];
    uint8_t *raw[MAX_BATCH];
};

static void batch_fill(struct codec_rig *rig, struct batch *batch)
{
    for (size_t i = 0; i < MAX_BATCH; i++) {
        size_t n = mixed[i].n;
        batch->raw[i] = guard_alloc(n);
        pattern_fill(mixed[i].pattern, i, batch->raw[i], n);
        batch->encoded[i] = rig_encode(rig, batch->raw[i], n);
        batch->jobs[i] = (struct mth_decode_job){.src = {batch->encoded[i].data, batch->encoded[i].n_bytes},
                                                 .type = rig->type,
                                                 .dst = guard_alloc(n),
                                                 .dst_bytes = n};
    }
}

static void batch_free(struct batch *batch)
{
    for (size_t i = 0; i < MAX_BATCH; i++) {
        guard_free(batch->jobs[i].dst, mixed[i].n);
        guard_free(batch->raw[i], mixed[i].n);
        encoded_free(&batch->encoded[i]);
    }
}

static void law_decodes_a_batch_as_one_by_one(const struct mth_codec *codec)
{
    struct codec_rig rig;
    struct batch batch;
    assert_true(rig_open(&rig, codec, 0));
    batch_fill(&rig, &batch);
    for (size_t n_jobs = 0; n_jobs <= MAX_BATCH; n_jobs++) {
        for (size_t i = 0; i < n_jobs; i++)
            memset(batch.jobs[i].dst, 0x5a, mixed[i].n);
        int status = codec->decode(rig.state, batch.jobs, n_jobs);
        if (status)
            rig_fail(&rig, "a batch of %zu: %s", n_jobs, mth_status_name(status));
        for (size_t i = 0; i < n_jobs; i++) {
            if (mixed[i].n && memcmp(batch.jobs[i].dst, batch.raw[i], mixed[i].n) != 0)
                rig_fail(&rig, "job %zu of a batch of %zu differs", i, n_jobs);
        }
    }
    /* One bad job fails the batch, wherever it stands, and the state works on. */
    for (size_t i = 0; i < MAX_BATCH; i++) {
        if (batch.encoded[i].n_bytes == 0)
            continue;
        batch.jobs[i].src.n_bytes--;
        if (codec->decode(rig.state, batch.jobs, MAX_BATCH) == MTH_OK && mixed[i].n != 0)
            rig_fail(&rig, "job %zu of a batch is truncated and passes", i);
        batch.jobs[i].src.n_bytes++;
    }
    assert_int_equal(codec->decode(rig.state, batch.jobs, MAX_BATCH), MTH_OK);
    batch_free(&batch);
    rig_close(&rig);
}

enum { N_THREADS = 2, THREAD_BYTES = 6000, THREAD_ROUNDS = 20 };

/* What a thread works on. It can not end the test itself, so it reports. */
struct thread_work {
    const struct mth_codec *codec;
    struct codec_rig rig;
    struct encoded expected[THREAD_ROUNDS];
    uint8_t raw[THREAD_BYTES];
    uint8_t room[THREAD_BYTES];
    uint8_t *dst;
    size_t n_dst;
    bool good;
};

static bool thread_round(struct thread_work *work, size_t round)
{
    pattern_fill((enum pattern)(round % N_PATTERNS), round, work->raw, THREAD_BYTES);
    struct mth_encode_job encode = {.src = {work->raw, THREAD_BYTES},
                                    .type = work->rig.type,
                                    .dst = work->dst,
                                    .dst_capacity = work->n_dst};
    if (work->codec->encode(work->rig.state, &encode))
        return false;
    const struct encoded *expected = &work->expected[round];
    bool same = encode.out.n_bytes == expected->n_bytes &&
                memcmp(encode.out.data, expected->data, expected->n_bytes) == 0;
    if (!same && !(work->codec->flags & MTH_CODEC_VARIES))
        return false;
    struct mth_decode_job decode = {
        .src = encode.out, .type = work->rig.type, .dst = work->room, .dst_bytes = THREAD_BYTES};
    return !work->codec->decode(work->rig.state, &decode, 1) &&
           memcmp(work->room, work->raw, THREAD_BYTES) == 0;
}

static void *thread_run(void *arg)
{
    struct thread_work *work = arg;
    work->good = true;
    for (size_t i = 0; i < THREAD_ROUNDS; i++)
        work->good = thread_round(work, i) && work->good;
    return NULL;
}

/* Two threads, each with its own state, make the bytes that one alone makes. */
static void law_works_on_two_threads_at_once(const struct mth_codec *codec)
{
    struct thread_work *works = calloc(N_THREADS, sizeof *works);
    pthread_t threads[N_THREADS];
    assert_non_null(works);
    for (size_t t = 0; t < N_THREADS; t++) {
        works[t].codec = codec;
        assert_true(rig_open(&works[t].rig, codec, 0));
        works[t].n_dst = codec->bound(works[t].rig.options, THREAD_BYTES);
        works[t].dst = guard_alloc(works[t].n_dst);
        for (size_t i = 0; i < THREAD_ROUNDS; i++) {
            pattern_fill((enum pattern)(i % N_PATTERNS), i, content, THREAD_BYTES);
            works[t].expected[i] = rig_encode(&works[t].rig, content, THREAD_BYTES);
        }
    }
    for (size_t t = 0; t < N_THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, thread_run, &works[t]), 0);
    for (size_t t = 0; t < N_THREADS; t++)
        assert_int_equal(pthread_join(threads[t], NULL), 0);
    for (size_t t = 0; t < N_THREADS; t++) {
        if (!works[t].good)
            rig_fail(&works[t].rig, "makes something else beside another thread");
        for (size_t i = 0; i < THREAD_ROUNDS; i++)
            encoded_free(&works[t].expected[i]);
        guard_free(works[t].dst, works[t].n_dst);
        rig_close(&works[t].rig);
    }
    free(works);
}

static bool any(const struct mth_codec *codec)
{
    (void)codec;
    return true;
}

static bool takes_context(const struct mth_codec *codec)
{
    return (codec->flags & MTH_CODEC_CONTEXT) != 0;
}

static bool has_models(const struct mth_codec *codec)
{
    return codec->models != NULL;
}

const struct conformance_law conformance_laws[] = {
    {"describes_itself", any, law_describes_itself},
    {"bounds_every_size", NULL, law_bounds_every_size},
    {"round_trips_every_small_size", NULL, law_round_trips_every_small_size},
    {"round_trips_around_powers_of_two", NULL, law_round_trips_around_powers_of_two},
    {"round_trips_every_type_it_takes", NULL, law_round_trips_every_type_it_takes},
    {"shrinks_what_repeats", NULL, law_shrinks_what_repeats},
    {"makes_the_same_bytes_in_any_state", NULL, law_makes_the_same_bytes_in_any_state},
    {"makes_the_same_bytes_in_more_room", NULL, law_makes_the_same_bytes_in_more_room},
    {"works_with_one_side", NULL, law_works_with_one_side},
    {"needs_no_more_memory_as_it_goes", NULL, law_needs_no_more_memory_as_it_goes},
    {"decodes_a_batch_as_one_by_one", NULL, law_decodes_a_batch_as_one_by_one},
    {"works_on_two_threads_at_once", NULL, law_works_on_two_threads_at_once},
    {"refuses_every_smaller_capacity", NULL, law_refuses_every_smaller_capacity},
    {"refuses_another_destination", NULL, law_refuses_another_destination},
    {"notices_truncation_at_every_byte", NULL, law_notices_truncation_at_every_byte},
    {"notices_a_byte_too_many", NULL, law_notices_a_byte_too_many},
    {"survives_every_bit_flip", NULL, law_survives_every_bit_flip},
    {"survives_garbage", NULL, law_survives_garbage},
    {"survives_a_lack_of_memory", NULL, law_survives_a_lack_of_memory},
    {"takes_the_memory_it_says", NULL, law_takes_the_memory_it_says},
    {"round_trips_with_any_context", NULL, law_round_trips_with_any_context},
    {"uses_a_context_it_says_it_uses", takes_context, law_uses_a_context_it_says_it_uses},
    {"survives_the_wrong_context", takes_context, law_survives_the_wrong_context},
    {"builds_the_same_model_from_merged_counts", has_models, law_builds_the_same_model_from_merged_counts},
    {"decodes_with_a_model_that_was_read_back", has_models, law_decodes_with_a_model_that_was_read_back},
    {"survives_hostile_models", has_models, law_survives_hostile_models},
};
const size_t conformance_n_laws = sizeof conformance_laws / sizeof conformance_laws[0];

bool conformance_applies(const struct conformance_law *law, const struct mth_codec *codec)
{
    if (law->applies == any)
        return true;
    /* The identity codec has nothing to call. */
    if (codec->flags & MTH_CODEC_IDENTITY)
        return false;
    return !law->applies || law->applies(codec);
}

void conformance_check_codec(const struct mth_codec *codec)
{
    for (size_t i = 0; i < conformance_n_laws; i++) {
        if (conformance_applies(&conformance_laws[i], codec))
            conformance_laws[i].check(codec);
    }
}
