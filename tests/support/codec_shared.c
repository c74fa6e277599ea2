/* Laws for every codec about what encoder and decoder share beside the stream: context and models. */
#include "tests/support/codec_laws.h"

#include "tests/support/codec_rig.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STREAM_BYTES = 12000 };

static uint8_t reference[2 * STREAM_BYTES];
static uint8_t stream[STREAM_BYTES];

/* A stream that differs from its reference in one byte of 64, as a checkpoint does from the one before it. */
static void make_pair(enum pattern pattern, uint64_t seed)
{
    pattern_fill(pattern, seed, reference, sizeof reference);
    memcpy(stream, reference, sizeof stream);
    for (size_t i = 0; i < sizeof stream; i += 64)
        stream[i + pattern_random(&seed) % 64 % (sizeof stream - i)] ^= (uint8_t)(1 + seed % 3);
}

static bool looks_at_context(const struct codec_rig *rig)
{
    if (rig->codec->uses_context)
        return rig->codec->uses_context(rig->options) != 0;
    return (rig->codec->flags & MTH_CODEC_CONTEXT) != 0;
}

/* Contexts of any length are taken, those that are shorter than the stream too. */
void law_round_trips_with_any_context(const struct mth_codec *codec)
{
    static const size_t lengths[] = {0, 1, 100, STREAM_BYTES - 1, STREAM_BYTES, 2 * STREAM_BYTES};
    static const size_t sizes[] = {0, 1, 99, 4097, STREAM_BYTES};
    struct codec_rig rig;
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        if (!rig_open(&rig, codec, set))
            continue;
        make_pair(PATTERN_TEXT, set);
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
                uint8_t *context = guard_alloc(lengths[i]);
                memcpy(context, reference, lengths[i]);
                rig.context = (struct mth_bytes){context, lengths[i]};
                struct encoded encoded = rig_encode(&rig, stream, sizes[k]);
                rig_expect(&rig, &encoded, stream, sizes[k]);
                /* What does not look at its context decodes without. */
                rig.context = (struct mth_bytes){0};
                if (!looks_at_context(&rig))
                    rig_expect(&rig, &encoded, stream, sizes[k]);
                encoded_free(&encoded);
                guard_free(context, lengths[i]);
            }
        }
        rig_close(&rig);
    }
}

/* With options that use context, the right one makes streams smaller. */
void law_uses_a_context_it_says_it_uses(const struct mth_codec *codec)
{
    struct codec_rig rig;
    size_t n_users = 0;
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        if (!rig_open(&rig, codec, set))
            continue;
        if (looks_at_context(&rig)) {
            n_users++;
            /* Symbols spread over all values, so that what a context says of them is worth something. */
            make_pair(PATTERN_MANTISSA, set);
            size_t without = rig_round_trip(&rig, stream, STREAM_BYTES);
            rig.context = (struct mth_bytes){reference, STREAM_BYTES};
            size_t with = rig_round_trip(&rig, stream, STREAM_BYTES);
            if (with >= without)
                rig_fail(&rig, "takes %zu bytes with its reference, %zu without", with, without);
        }
        rig_close(&rig);
    }
    assert_true(n_users > 0);
}

/* A decoder that is given another context, or none, may give anything but must end within its room. */
void law_survives_the_wrong_context(const struct mth_codec *codec)
{
    static const size_t lengths[] = {0, 1, 63, STREAM_BYTES / 2, STREAM_BYTES, 2 * STREAM_BYTES};
    struct codec_rig rig;
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        if (!rig_open(&rig, codec, set))
            continue;
        make_pair(PATTERN_TEXT, set);
        rig.context = (struct mth_bytes){reference, STREAM_BYTES};
        struct encoded encoded = rig_encode(&rig, stream, STREAM_BYTES);
        uint8_t *dst = guard_alloc(STREAM_BYTES);
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            uint8_t *wrong = guard_alloc(lengths[i]);
            pattern_fill(i % 2 ? PATTERN_RANDOM : PATTERN_ZEROS, i, wrong, lengths[i]);
            rig.context = (struct mth_bytes){wrong, lengths[i]};
            rig_decode(&rig, encoded.data, encoded.n_bytes, dst, STREAM_BYTES, 0);
            guard_free(wrong, lengths[i]);
        }
        rig.context = (struct mth_bytes){0};
        rig_decode(&rig, encoded.data, encoded.n_bytes, dst, STREAM_BYTES, 0);
        rig.context = (struct mth_bytes){reference, STREAM_BYTES};
        rig_expect(&rig, &encoded, stream, STREAM_BYTES);
        guard_free(dst, STREAM_BYTES);
        encoded_free(&encoded);
        rig_close(&rig);
    }
}

/* Room for a model, at a guard page as far as its alignment allows. */
static void *model_alloc(const struct mth_model_ops *models)
{
    return guard_alloc((models->model_bytes + 15) / 16 * 16);
}

static void model_free(const struct mth_model_ops *models, void *model)
{
    guard_free(model, (models->model_bytes + 15) / 16 * 16);
}

/* A context for counting: the same one that the rig gives to jobs. */
static void count(const struct codec_rig *rig, const uint8_t *src, size_t n, void *counts)
{
    struct mth_context_part part = {MTH_CONTEXT_STREAM, 0, rig->type, rig->context};
    struct mth_context context = {&part, rig->context.data ? 1 : 0};
    struct mth_bytes bytes = {src, n};
    rig->codec->models->count(rig->options, &bytes, &context, counts);
}

/* The wire form of a model, in guarded memory of exactly its size. */
static struct encoded write_model(const struct codec_rig *rig, const void *model)
{
    const struct mth_model_ops *models = rig->codec->models;
    uint8_t *room = guard_alloc(models->wire_bound);
    struct mth_buffer out = {room, 0, models->wire_bound};
    int status = models->write(model, &out);
    if (status || out.n_bytes > models->wire_bound)
        rig_fail(rig, "writing a model into %zu bytes: %s", models->wire_bound, mth_status_name(status));
    struct encoded wire = {guard_alloc(out.n_bytes), out.n_bytes};
    memcpy(wire.data, room, out.n_bytes);
    guard_free(room, models->wire_bound);
    /* A byte less is refused. */
    room = guard_alloc(wire.n_bytes - 1);
    out = (struct mth_buffer){room, 0, wire.n_bytes - 1};
    if (models->write(model, &out) != MTH_ERR_CAPACITY)
        rig_fail(rig, "writes a model of %zu bytes into less", wire.n_bytes);
    guard_free(room, wire.n_bytes - 1);
    return wire;
}

/*
 * A model of one kind of content, counted in two parts: one after the other, or apart and merged. False when the codec sees
 * no use in one, which for exponents it must.
 */
static bool build_model(const struct codec_rig *rig, enum pattern pattern, bool merged, void *model)
{
    const struct mth_model_ops *models = rig->codec->models;
    void *a = calloc(1, models->counts_bytes), *b = calloc(1, models->counts_bytes);
    assert_true(a && b);
    for (uint64_t seed = 0; seed < 2; seed++) {
        pattern_fill(pattern, seed, stream, sizeof stream);
        count(rig, stream, sizeof stream, merged && seed == 1 ? b : a);
    }
    models->merge(a, b);
    int status = models->build(rig->options, a, model);
    if (status && (status != MTH_ERR_UNSUPPORTED || pattern == PATTERN_EXPONENT))
        rig_fail(rig, "building a model of %s: %s", pattern_name(pattern), mth_status_name(status));
    free(a);
    free(b);
    return status == MTH_OK;
}

/* Merging is adding: counting in parts, on any number of threads, gives the same model. */
void law_builds_the_same_model_from_merged_counts(const struct mth_codec *codec)
{
    const struct mth_model_ops *models = codec->models;
    struct codec_rig rig;
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        if (!rig_open(&rig, codec, set))
            continue;
        void *model = model_alloc(models);
        for (int pattern = 0; pattern < N_PATTERNS; pattern++) {
            if (!build_model(&rig, (enum pattern)pattern, false, model)) {
                assert_false(build_model(&rig, (enum pattern)pattern, true, model));
                continue;
            }
            struct encoded whole = write_model(&rig, model);
            assert_true(build_model(&rig, (enum pattern)pattern, true, model));
            struct encoded merged = write_model(&rig, model);
            assert_int_equal(whole.n_bytes, merged.n_bytes);
            assert_memory_equal(whole.data, merged.data, whole.n_bytes);
            encoded_free(&whole);
            encoded_free(&merged);
        }
        /* Nothing counted: a model that works, or none. */
        void *counts = calloc(1, models->counts_bytes);
        assert_non_null(counts);
        int status = models->build(rig.options, counts, model);
        assert_true(status == MTH_OK || status == MTH_ERR_UNSUPPORTED);
        free(counts);
        model_free(models, model);
        rig_close(&rig);
    }
}

/* Streams that the model was not made of are coded with it, or without, but come back. */
void law_decodes_with_a_model_that_was_read_back(const struct mth_codec *codec)
{
    const struct mth_model_ops *models = codec->models;
    struct codec_rig rig;
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        if (!rig_open(&rig, codec, set))
            continue;
        pattern_fill(PATTERN_MANTISSA, 5, reference, sizeof reference);
        rig.context = (struct mth_bytes){reference, STREAM_BYTES};
        void *built = model_alloc(models), *back = model_alloc(models);
        build_model(&rig, PATTERN_EXPONENT, false, built);
        struct encoded wire = write_model(&rig, built);
        assert_int_equal(models->read(rig.options, (struct mth_bytes){wire.data, wire.n_bytes}, back),
                         MTH_OK);
        struct encoded again = write_model(&rig, back);
        assert_int_equal(again.n_bytes, wire.n_bytes);
        assert_memory_equal(again.data, wire.data, wire.n_bytes);
        encoded_free(&again);
        rig.encode_model = built;
        rig.decode_model = back;
        for (int pattern = 0; pattern < N_PATTERNS; pattern++) {
            for (size_t n = 0; n < 300; n = n * 2 + 1) {
                pattern_fill((enum pattern)pattern, n, stream, n);
                rig_round_trip(&rig, stream, n);
            }
        }
        /* What a model is for: a stream shorter than its own tables. */
        pattern_fill(PATTERN_EXPONENT, 1, stream, 100);
        size_t with = rig_round_trip(&rig, stream, 100);
        rig.encode_model = rig.decode_model = NULL;
        size_t without = rig_round_trip(&rig, stream, 100);
        if (with >= without)
            rig_fail(&rig, "takes %zu bytes with a model, %zu without", with, without);
        model_free(models, built);
        model_free(models, back);
        encoded_free(&wire);
        rig_close(&rig);
    }
}

/* Read hostile bytes as a model; one that reads is then used to decode a stream. */
static void try_model(struct codec_rig *rig, const uint8_t *wire, size_t n_wire,
                      const struct encoded *encoded)
{
    const struct mth_model_ops *models = rig->codec->models;
    void *model = model_alloc(models);
    uint8_t *dst = guard_alloc(STREAM_BYTES);
    int status = models->read(rig->options, (struct mth_bytes){wire, n_wire}, model);
    if (status > 0 || status < MTH_STATUS_LAST)
        rig_fail(rig, "reading a model gives %d, which is no status", status);
    if (status == MTH_OK) {
        rig->decode_model = model;
        rig_decode(rig, encoded->data, encoded->n_bytes, dst, STREAM_BYTES, 0);
        rig->decode_model = NULL;
    }
    guard_free(dst, STREAM_BYTES);
    model_free(models, model);
}

void law_survives_hostile_models(const struct mth_codec *codec)
{
    const struct mth_model_ops *models = codec->models;
    struct codec_rig rig;
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        if (!rig_open(&rig, codec, set))
            continue;
        void *model = model_alloc(models);
        build_model(&rig, PATTERN_EXPONENT, false, model);
        struct encoded wire = write_model(&rig, model);
        rig.encode_model = model;
        pattern_fill(PATTERN_EXPONENT, 0, stream, STREAM_BYTES);
        struct encoded encoded = rig_encode(&rig, stream, STREAM_BYTES);
        rig.encode_model = NULL;
        for (size_t n = 0; n < wire.n_bytes; n++) {
            uint8_t *cut = guard_alloc(n);
            memcpy(cut, wire.data, n);
            if (models->read(rig.options, (struct mth_bytes){cut, n}, model) == MTH_OK)
                rig_fail(&rig, "%zu of %zu bytes pass for a model", n, wire.n_bytes);
            guard_free(cut, n);
        }
        for (size_t bit = 0; bit < 8 * wire.n_bytes; bit++) {
            wire.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            try_model(&rig, wire.data, wire.n_bytes, &encoded);
            wire.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        /* The stream without the model that it was coded with. */
        uint8_t *dst = guard_alloc(STREAM_BYTES);
        rig_decode(&rig, encoded.data, encoded.n_bytes, dst, STREAM_BYTES, 0);
        guard_free(dst, STREAM_BYTES);
        model_free(models, model);
        encoded_free(&wire);
        encoded_free(&encoded);
        rig_close(&rig);
    }
}
