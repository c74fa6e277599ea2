/*
 * A rig: a codec with one set of options, its states and its memory account, and the moves that tests repeat.
 *
 * Every move puts its buffers at guard pages and ends the test with a line that names codec, options and
 * case when something does not hold. Statuses that a test wants to judge itself come back.
 */
#ifndef MTH_TESTS_CODEC_RIG_H
#define MTH_TESTS_CODEC_RIG_H

#include "codecs/codec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct codec_rig {
    const struct mth_codec *codec;
    int64_t options[MTH_MAX_OPTIONS];
    struct mth_symbol_type type; /* the first of rig_types that the codec takes; a test may set another */
    struct mth_memory *memory;
    void *state;
    char spec[256]; /* for messages: name:option=value... */
    struct mth_bytes
        context; /* given to every job, as an earlier stream and as a reference, when not empty */
    const void *encode_model; /* given to every job */
    const void *decode_model;
};

/* An encoded stream in memory of its own: exactly n_bytes between guard pages. */
struct encoded {
    uint8_t *data;
    size_t n_bytes;
};

/*
 * Sets of options: the defaults, then for each option in turn its least and its greatest value (each of its words)
 * with the others at their default.
 */
size_t rig_n_sets(const struct mth_codec *codec);

/* False when the library at hand can not do this set. End it with rig_close, which checks the memory account. */
bool rig_open(struct codec_rig *rig, const struct mth_codec *codec, size_t set);
void rig_close(struct codec_rig *rig);

/* Another rig with the same options. */
void rig_clone(struct codec_rig *rig, const struct codec_rig *of);

/* The kinds of symbols that streams are tried with: bytes first. */
extern const struct mth_symbol_type rig_types[];
extern const size_t rig_n_types;

/* End the test with a line about the rig. */
void rig_fail(const struct codec_rig *rig, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Encode src into room of exactly capacity bytes. encoded is set on success only. */
int rig_encode_into(struct codec_rig *rig, const uint8_t *src, size_t n, size_t capacity,
                    struct encoded *encoded);
/* Encode into exactly bound bytes; must succeed. */
struct encoded rig_encode(struct codec_rig *rig, const uint8_t *src, size_t n);
void encoded_free(struct encoded *encoded);

/*
 * Decode into room of exactly n_dst bytes, each of them poison first. dst is a guarded buffer (guard_alloc(n_dst)).
 * A status that is not of the enum ends the test.
 */
int rig_decode(struct codec_rig *rig, const uint8_t *src, size_t n_src, uint8_t *dst, size_t n_dst,
               uint8_t poison);

/* Decode and compare; must succeed. */
void rig_expect(struct codec_rig *rig, const struct encoded *encoded, const uint8_t *raw, size_t n);

/* Encode, decode and compare. Returns the size in between. */
size_t rig_round_trip(struct codec_rig *rig, const uint8_t *src, size_t n);

#endif
