/* Laws for every codec about rooms that do not fit and bytes that are not what an encoder made. */
#include "tests/support/codec_laws.h"

#include "tests/support/codec_rig.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Small, so that every byte and bit can be tried; no multiple of anything. */
enum { RAW_BYTES = 237 };

static const enum pattern patterns[] = {PATTERN_TEXT, PATTERN_RANDOM, PATTERN_EXPONENT, PATTERN_FLOAT};
enum { N_TRIED = sizeof patterns / sizeof patterns[0] };

/* A stream with the encoded bytes that a law goes through. */
struct victim {
    uint8_t raw[RAW_BYTES];
    struct encoded encoded;
    uint8_t *dst;   /* RAW_BYTES, guarded */
    uint8_t *again; /* the same */
};

static void victim_make(struct codec_rig *rig, enum pattern pattern, struct victim *victim)
{
    pattern_fill(pattern, 7, victim->raw, RAW_BYTES);
    victim->encoded = rig_encode(rig, victim->raw, RAW_BYTES);
    victim->dst = guard_alloc(RAW_BYTES);
    victim->again = guard_alloc(RAW_BYTES);
}

static void victim_free(struct victim *victim)
{
    guard_free(victim->dst, RAW_BYTES);
    guard_free(victim->again, RAW_BYTES);
    encoded_free(&victim->encoded);
}

/* Try something on victims with every set of options; all contents with the defaults, else one. */
static void for_every_victim(const struct mth_codec *codec, void (*try)(struct codec_rig *, struct victim *))
{
    struct codec_rig rig;
    struct victim victim;
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        if (!rig_open(&rig, codec, set))
            continue;
        for (size_t i = 0; i < N_TRIED; i++) {
            if (set != 0 && i != set % N_TRIED)
                continue;
            victim_make(&rig, patterns[i], &victim);
            try(&rig, &victim);
            /* Whatever happened, the state decodes good streams afterwards. */
            rig_expect(&rig, &victim.encoded, victim.raw, RAW_BYTES);
            victim_free(&victim);
        }
        rig_close(&rig);
    }
}

static void try_capacities(struct codec_rig *rig, struct victim *victim)
{
    for (size_t capacity = 0; capacity < victim->encoded.n_bytes; capacity++) {
        struct encoded encoded;
        int status = rig_encode_into(rig, victim->raw, RAW_BYTES, capacity, &encoded);
        if (status != MTH_ERR_CAPACITY)
            rig_fail(rig, "needs %zu bytes, is given %zu: %s", victim->encoded.n_bytes, capacity,
                     mth_status_name(status));
    }
    /* The refusals left the state as it was. */
    struct encoded again = rig_encode(rig, victim->raw, RAW_BYTES);
    rig_expect(rig, &again, victim->raw, RAW_BYTES);
    if (!(rig->codec->flags & MTH_CODEC_VARIES)) {
        assert_int_equal(again.n_bytes, victim->encoded.n_bytes);
        assert_memory_equal(again.data, victim->encoded.data, again.n_bytes);
    }
    encoded_free(&again);
}

void law_refuses_every_smaller_capacity(const struct mth_codec *codec)
{
    for_every_victim(codec, try_capacities);
}

static void try_destinations(struct codec_rig *rig, struct victim *victim)
{
    static const size_t sizes[] = {
        0, 1, RAW_BYTES / 2, RAW_BYTES - 1, RAW_BYTES + 1, RAW_BYTES + 64, 4 * RAW_BYTES};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *dst = guard_alloc(sizes[i]);
        if (rig_decode(rig, victim->encoded.data, victim->encoded.n_bytes, dst, sizes[i], 0) == MTH_OK)
            rig_fail(rig, "decodes %d bytes to %zu", RAW_BYTES, sizes[i]);
        guard_free(dst, sizes[i]);
    }
    /* And an empty stream to something, something to an empty stream. */
    struct encoded empty = rig_encode(rig, victim->raw, 0);
    if (rig_decode(rig, empty.data, empty.n_bytes, victim->dst, RAW_BYTES, 0) == MTH_OK ||
        rig_decode(rig, empty.data, empty.n_bytes, victim->dst, 1, 0) == MTH_OK)
        rig_fail(rig, "decodes an empty stream to something");
    encoded_free(&empty);
}

void law_refuses_another_destination(const struct mth_codec *codec)
{
    for_every_victim(codec, try_destinations);
}

static void try_truncations(struct codec_rig *rig, struct victim *victim)
{
    for (size_t n = 0; n < victim->encoded.n_bytes; n++) {
        uint8_t *cut = guard_alloc(n);
        if (n)
            memcpy(cut, victim->encoded.data, n);
        if (rig_decode(rig, cut, n, victim->dst, RAW_BYTES, 0) == MTH_OK)
            rig_fail(rig, "%zu of %zu bytes pass for the stream", n, victim->encoded.n_bytes);
        guard_free(cut, n);
    }
}

void law_notices_truncation_at_every_byte(const struct mth_codec *codec)
{
    for_every_victim(codec, try_truncations);
}

static void try_longer(struct codec_rig *rig, struct victim *victim)
{
    static const uint8_t tails[] = {0x00, 0x01, 0x5a, 0xff};
    static const size_t lengths[] = {1, 2, 4, 8, 40};
    for (size_t t = 0; t < sizeof tails; t++) {
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            size_t n = victim->encoded.n_bytes + lengths[i];
            uint8_t *longer = guard_alloc(n);
            memcpy(longer, victim->encoded.data, victim->encoded.n_bytes);
            memset(longer + victim->encoded.n_bytes, tails[t], lengths[i]);
            if (rig_decode(rig, longer, n, victim->dst, RAW_BYTES, 0) == MTH_OK)
                rig_fail(rig, "a stream with %zu bytes of %02x behind it passes", lengths[i], tails[t]);
            guard_free(longer, n);
        }
    }
}

void law_notices_a_byte_too_many(const struct mth_codec *codec)
{
    for_every_victim(codec, try_longer);
}

/* Whatever the bytes are: what decodes writes every byte of dst, and the same ones each time. */
static void decode_twice(struct codec_rig *rig, struct victim *victim, const uint8_t *src, size_t n)
{
    int first = rig_decode(rig, src, n, victim->dst, RAW_BYTES, 0x00);
    int second = rig_decode(rig, src, n, victim->again, RAW_BYTES, 0xff);
    if (first != second)
        rig_fail(rig, "decodes damaged bytes to %s, then to %s", mth_status_name(first),
                 mth_status_name(second));
    if (first == MTH_OK && memcmp(victim->dst, victim->again, RAW_BYTES) != 0)
        rig_fail(rig, "leaves bytes of its destination unwritten and says it succeeded");
}

static void try_bit_flips(struct codec_rig *rig, struct victim *victim)
{
    for (size_t bit = 0; bit < 8 * victim->encoded.n_bytes; bit++) {
        victim->encoded.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        decode_twice(rig, victim, victim->encoded.data, victim->encoded.n_bytes);
        victim->encoded.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

void law_survives_every_bit_flip(const struct mth_codec *codec)
{
    for_every_victim(codec, try_bit_flips);
}

/* Random bytes, bare and behind a good beginning, where decoders have stopped to look at every field. */
static void try_garbage(struct codec_rig *rig, struct victim *victim)
{
    uint64_t random = 11;
    for (size_t i = 0; i < 600; i++) {
        size_t n = pattern_random(&random) % 400;
        size_t n_good = i % 2 ? pattern_random(&random) % (victim->encoded.n_bytes + 1) : 0;
        n_good = n_good < n ? n_good : n;
        uint8_t *src = guard_alloc(n);
        pattern_fill(PATTERN_RANDOM, pattern_random(&random), src, n);
        if (n_good)
            memcpy(src, victim->encoded.data, n_good);
        decode_twice(rig, victim, src, n);
        guard_free(src, n);
    }
}

void law_survives_garbage(const struct mth_codec *codec)
{
    for_every_victim(codec, try_garbage);
}

/* Create, encode and decode with as much memory as limit allows. Returns whether all of it went well. */
static bool works_within(const struct codec_rig *like, size_t limit, const uint8_t *raw, size_t n)
{
    struct codec_rig rig = *like;
    struct encoded encoded = {0};
    uint8_t *dst = guard_alloc(n);
    rig.memory = mth_memory_create(limit);
    assert_non_null(rig.memory);
    rig.state = NULL;
    bool good = false;
    if (rig.codec->create(rig.options, MTH_SIDE_ENCODE | MTH_SIDE_DECODE, rig.memory, &rig.state) == MTH_OK) {
        good = rig_encode_into(&rig, raw, n, rig.codec->bound(rig.options, n), &encoded) == MTH_OK &&
               rig_decode(&rig, encoded.data, encoded.n_bytes, dst, n, 0x5a) == MTH_OK;
        if (good && memcmp(dst, raw, n) != 0)
            rig_fail(&rig, "gives other bytes back within %zu bytes of memory", limit);
        rig.codec->destroy(rig.state);
    }
    if (mth_memory_current(rig.memory) != 0)
        rig_fail(&rig, "keeps %zu bytes of a limit of %zu", mth_memory_current(rig.memory), limit);
    mth_memory_destroy(rig.memory);
    encoded_free(&encoded);
    guard_free(dst, n);
    return good;
}

/* An account that refuses, early or late, gives an error, and nothing is lost. */
void law_survives_a_lack_of_memory(const struct mth_codec *codec)
{
    enum { MEMORY_RAW_BYTES = 20000 };
    static uint8_t raw[MEMORY_RAW_BYTES];
    pattern_fill(PATTERN_TEXT, 3, raw, sizeof raw);
    struct codec_rig rig;
    assert_true(rig_open(&rig, codec, 0));
    rig_round_trip(&rig, raw, sizeof raw);
    size_t enough = mth_memory_peak(rig.memory);
    for (size_t limit = 1; limit < enough; limit += limit / 6 + 1)
        works_within(&rig, limit, raw, sizeof raw);
    if (rig.state && works_within(&rig, 1, raw, sizeof raw))
        rig_fail(&rig, "keeps its state outside the memory account");
    if (!works_within(&rig, 4 * enough + 4096, raw, sizeof raw))
        rig_fail(&rig, "needs more than four times the %zu bytes that it took", enough);
    rig_close(&rig);
}
