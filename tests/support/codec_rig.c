/* A codec with one set of options, set up for tests; see codec_rig.h. */
#include "tests/support/codec_rig.h"

#include "tests/support/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const struct mth_symbol_type rig_types[] = {
    {MTH_DTYPE_OPAQUE, 8, 8}, {MTH_DTYPE_F32, 32, 32}, {MTH_DTYPE_F64, 64, 64},
    {MTH_DTYPE_U32, 32, 32},  {MTH_DTYPE_I64, 64, 64}, {MTH_DTYPE_BF16, 16, 16},
    {MTH_DTYPE_BF16, 8, 8},   {MTH_DTYPE_F16, 11, 11}, {MTH_DTYPE_OPAQUE, 1, 1},
};
const size_t rig_n_types = sizeof rig_types / sizeof rig_types[0];

static size_t n_values(const struct mth_option *option)
{
    if (option->words)
        return (size_t)(option->max - option->min + 1);
    return 2;
}

size_t rig_n_sets(const struct mth_codec *codec)
{
    size_t n = 1;
    for (size_t i = 0; i < codec->n_options; i++)
        n += n_values(&codec->options[i]);
    return n;
}

static void choose_options(const struct mth_codec *codec, size_t set, int64_t *values)
{
    mth_option_defaults(codec->options, codec->n_options, values);
    if (set == 0)
        return;
    set--;
    for (size_t i = 0; i < codec->n_options; i++) {
        const struct mth_option *option = &codec->options[i];
        if (set < n_values(option)) {
            values[i] = option->words ? option->min + (int64_t)set : set == 0 ? option->min : option->max;
            return;
        }
        set -= n_values(option);
    }
}

/* The first type that the codec takes. */
static void choose_type(struct codec_rig *rig)
{
    uint8_t room[4096];
    for (size_t i = 0; i < rig_n_types; i++) {
        struct mth_encode_job job = {.type = rig_types[i], .dst = room, .dst_capacity = sizeof room};
        if (rig->codec->encode(rig->state, &job) != MTH_ERR_UNSUPPORTED) {
            rig->type = rig_types[i];
            return;
        }
    }
    rig_fail(rig, "takes no type of symbol");
}

static bool create_state(struct codec_rig *rig)
{
    int64_t options[MTH_MAX_OPTIONS];
    memcpy(options, rig->options, sizeof options);
    int status = rig->codec->create(options, MTH_SIDE_ENCODE | MTH_SIDE_DECODE, rig->memory, &rig->state);
    /* A state must not hold on to the caller's array. */
    memset(options, 0x7f, sizeof options);
    if (status == MTH_ERR_UNSUPPORTED)
        return false;
    if (status)
        rig_fail(rig, "create: %s", mth_status_name(status));
    return true;
}

bool rig_open(struct codec_rig *rig, const struct mth_codec *codec, size_t set)
{
    *rig = (struct codec_rig){.codec = codec};
    choose_options(codec, set, rig->options);
    int n = snprintf(rig->spec, sizeof rig->spec, "%s", codec->name);
    mth_option_print(codec->options, codec->n_options, rig->options, rig->spec + n,
                     sizeof rig->spec - (size_t)n);
    rig->memory = mth_memory_create(0);
    assert_non_null(rig->memory);
    if (!create_state(rig)) {
        mth_memory_destroy(rig->memory);
        return false;
    }
    choose_type(rig);
    return true;
}

void rig_clone(struct codec_rig *rig, const struct codec_rig *of)
{
    *rig = *of;
    rig->memory = mth_memory_create(0);
    assert_non_null(rig->memory);
    if (!create_state(rig))
        rig_fail(rig, "can be created once only");
}

void rig_close(struct codec_rig *rig)
{
    rig->codec->destroy(rig->state);
    if (mth_memory_current(rig->memory) != 0)
        rig_fail(rig, "keeps %zu bytes", mth_memory_current(rig->memory));
    mth_memory_destroy(rig->memory);
}

void rig_fail(const struct codec_rig *rig, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fail_msg("%s, symbols of %u bits: %s", rig->spec, (unsigned)rig->type.container_bits, text);
    abort(); /* not reached: the test has ended */
}

/* What guard_alloc left in front of a buffer must still be there: up to 64 bytes, as far as the page goes. */
static void check_front(const struct codec_rig *rig, const uint8_t *buffer, size_t n)
{
    for (size_t i = 1; i <= 64 && (n + i - 1) % 4096 != 0; i++) {
        if (buffer[-(ptrdiff_t)i] != 0xa5)
            rig_fail(rig, "writes %zu bytes in front of its room of %zu", i, n);
    }
}

/* The context of a job: the same bytes as an earlier stream and as a reference, so that codecs find what they want. */
static struct mth_context context_of(const struct codec_rig *rig, struct mth_context_part parts[2])
{
    if (!rig->context.data)
        return (struct mth_context){0};
    parts[0] = (struct mth_context_part){MTH_CONTEXT_STREAM, 0, rig->type, rig->context};
    parts[1] = (struct mth_context_part){MTH_CONTEXT_REFERENCE, 0, rig->type, rig->context};
    return (struct mth_context){parts, 2};
}

int rig_encode_into(struct codec_rig *rig, const uint8_t *src, size_t n, size_t capacity,
                    struct encoded *encoded)
{
    uint8_t *in = guard_alloc(n), *out = guard_alloc(capacity);
    if (n)
        memcpy(in, src, n);
    struct mth_context_part parts[2];
    struct mth_encode_job job = {.src = {in, n},
                                 .type = rig->type,
                                 .context = context_of(rig, parts),
                                 .model = rig->encode_model,
                                 .dst = out,
                                 .dst_capacity = capacity};
    int status = rig->codec->encode(rig->state, &job);
    if (n && memcmp(in, src, n) != 0)
        rig_fail(rig, "writes to its source of %zu bytes", n);
    if (!status) {
        if (job.out.n_bytes > capacity ||
            (job.out.n_bytes && (job.out.data < out || job.out.data + job.out.n_bytes > out + capacity)))
            rig_fail(rig, "its output for %zu bytes lies outside its room", n);
        *encoded = (struct encoded){guard_alloc(job.out.n_bytes), job.out.n_bytes};
        if (job.out.n_bytes)
            memcpy(encoded->data, job.out.data, job.out.n_bytes);
    } else if (status > 0 || status < MTH_STATUS_LAST) {
        rig_fail(rig, "encode gives %d, which is no status", status);
    }
    check_front(rig, out, capacity);
    guard_free(in, n);
    guard_free(out, capacity);
    return status;
}

struct encoded rig_encode(struct codec_rig *rig, const uint8_t *src, size_t n)
{
    struct encoded encoded = {0};
    size_t capacity = rig->codec->bound(rig->options, n);
    if (capacity == 0)
        rig_fail(rig, "has no bound for %zu bytes", n);
    int status = rig_encode_into(rig, src, n, capacity, &encoded);
    if (status)
        rig_fail(rig, "encoding %zu bytes into its bound of %zu: %s", n, capacity, mth_status_name(status));
    return encoded;
}

void encoded_free(struct encoded *encoded)
{
    guard_free(encoded->data, encoded->n_bytes);
    *encoded = (struct encoded){0};
}

int rig_decode(struct codec_rig *rig, const uint8_t *src, size_t n_src, uint8_t *dst, size_t n_dst,
               uint8_t poison)
{
    memset(dst, poison, n_dst);
    struct mth_context_part parts[2];
    struct mth_decode_job job = {.src = {src, n_src},
                                 .type = rig->type,
                                 .context = context_of(rig, parts),
                                 .model = rig->decode_model,
                                 .dst = dst,
                                 .dst_bytes = n_dst};
    int status = rig->codec->decode(rig->state, &job, 1);
    if (status > 0 || status < MTH_STATUS_LAST)
        rig_fail(rig, "decode gives %d, which is no status", status);
    check_front(rig, dst, n_dst);
    return status;
}

void rig_expect(struct codec_rig *rig, const struct encoded *encoded, const uint8_t *raw, size_t n)
{
    uint8_t *dst = guard_alloc(n);
    int status = rig_decode(rig, encoded->data, encoded->n_bytes, dst, n, 0x5a);
    if (status)
        rig_fail(rig, "decoding its own stream of %zu bytes (raw %zu): %s", encoded->n_bytes, n,
                 mth_status_name(status));
    if (n && memcmp(dst, raw, n) != 0)
        rig_fail(rig, "%zu bytes do not come back as they were", n);
    guard_free(dst, n);
}

size_t rig_round_trip(struct codec_rig *rig, const uint8_t *src, size_t n)
{
    struct encoded encoded = rig_encode(rig, src, n);
    size_t n_encoded = encoded.n_bytes;
    rig_expect(rig, &encoded, src, n);
    encoded_free(&encoded);
    return n_encoded;
}
