/* Every kernel set of ulp-rans on the same streams; see ulp_rig.h. */
#include "tests/support/ulp_rig.h"

#include "base/cpu.h"
#include "base/hash.h"
#include "codecs/codec_registry.h"
#include "tests/support/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

size_t ulp_runnable(const struct mth_ulp_kernels *out[ULP_MAX_KERNELS])
{
    const struct mth_ulp_kernels *kernels;
    size_t n = 0;
    for (size_t i = 0; (kernels = mth_ulp_kernels_at(i)) != NULL; i++) {
        if ((kernels->needs & mth_cpu_features()) == kernels->needs)
            out[n++] = kernels;
    }
    out[n++] = &ulp_emulated;
    return n;
}

void ulp_rig_open(struct ulp_rig *rig)
{
    *rig = (struct ulp_rig){.codec = mth_codec_find("ulp-rans", 8), .memory = mth_memory_create(0)};
    assert_true(rig->codec && rig->memory);
    rig->n = ulp_runnable(rig->kernels);
    for (size_t k = 0; k < rig->n; k++) {
        void *state;
        assert_int_equal(rig->codec->create(NULL, MTH_SIDE_ENCODE | MTH_SIDE_DECODE, rig->memory, &state),
                         MTH_OK);
        rig->states[k] = state;
        rig->states[k]->kernels = rig->kernels[k];
    }
}

void ulp_rig_close(struct ulp_rig *rig)
{
    for (size_t k = 0; k < rig->n; k++)
        rig->codec->destroy(rig->states[k]);
    assert_int_equal(mth_memory_current(rig->memory), 0);
    mth_memory_destroy(rig->memory);
}

/* The references of a stream; returns how many. */
static size_t references_of(const struct ulp_stream *stream, struct mth_context_part parts[2])
{
    for (size_t i = 0; i < 2; i++)
        parts[i] = (struct mth_context_part){.kind = MTH_CONTEXT_REFERENCE,
                                             .index = i,
                                             .type = mth_symbol_type_of(stream->dtype),
                                             .bytes = {i ? stream->older : stream->base, stream->n_base}};
    return stream->older ? 2 : stream->base ? 1 : 0;
}

static uint8_t *guarded_copy(const uint8_t *from, size_t n)
{
    uint8_t *to = guard_alloc(n);
    if (n)
        memcpy(to, from, n);
    return to;
}

/* A coded stream has digests of what it was read from; a raw one has them, or says that it has none. */
static void check_digests(const struct ulp_stream *stream, const struct mth_encode_digests *digests,
                          bool is_coded)
{
    if (is_coded && stream->base && stream->n_base == stream->n)
        assert_true(digests->taken);
    if (!digests->taken)
        return;
    assert_true(digests->src == mth_hash64(stream->src, stream->n, 0));
    assert_true(digests->reference == mth_hash64(stream->base, stream->n_base, 0));
}

/* The first kernel set's bytes are the stream's; the others' are compared with them. */
static void encode_with(struct ulp_rig *rig, size_t k, struct ulp_stream *stream)
{
    struct mth_context_part parts[2];
    size_t capacity = rig->codec->bound(NULL, stream->n);
    uint8_t *room = guard_alloc(capacity);
    struct mth_encode_digests digests = {.taken = false};
    struct mth_encode_job job = {.src = {stream->src, stream->n},
                                 .digests = &digests,
                                 .type = mth_symbol_type_of(stream->dtype),
                                 .context = {parts, references_of(stream, parts)},
                                 .spans = stream->spans,
                                 .n_spans = stream->n_spans,
                                 .dst = room,
                                 .dst_capacity = capacity};
    assert_int_equal(rig->codec->encode(rig->states[k], &job), MTH_OK);
    check_digests(stream, &digests, job.out.n_bytes > 0 && job.out.data[0] != MTH_ULP_RAW);
    if (k == 0) {
        stream->n_coded = job.out.n_bytes;
        stream->coded = guarded_copy(job.out.data, job.out.n_bytes);
    } else {
        if (job.out.n_bytes != stream->n_coded || memcmp(job.out.data, stream->coded, stream->n_coded) != 0)
            fail_msg("%s, %zu bytes: %s gives others", mth_dtype_info(stream->dtype)->name, stream->n,
                     rig->kernels[k]->name);
    }
    guard_free(room, capacity);
}

/* The same bytes, past the caches and not, in turns, and their digests. */
static void check_digested(struct ulp_rig *rig, size_t k, const struct mth_decode_job *job, size_t n_base,
                           int status)
{
    static unsigned n_checked;
    struct mth_decode_digests digests = {.is_away = ++n_checked / rig->n % 2};
    struct mth_decode_job digested = *job;
    digested.dst = guard_alloc(job->dst_bytes);
    memset(digested.dst, 0x5a, job->dst_bytes);
    assert_int_equal(rig->codec->decode_digested(rig->states[k], &digested, &digests), status);
    if (!status) {
        assert_memory_equal(digested.dst, job->dst, job->dst_bytes);
        assert_int_equal(digests.taken, n_base == job->dst_bytes && n_base > 0);
    }
    if (digests.taken) {
        assert_true(digests.dst == mth_hash64(job->dst, job->dst_bytes, 0));
        assert_true(digests.reference == mth_hash64(job->context.parts[0].bytes.data, n_base, 0));
    }
    guard_free(digested.dst, job->dst_bytes);
}

static int decode_with(struct ulp_rig *rig, size_t k, const struct ulp_stream *stream, struct mth_bytes coded,
                       uint8_t *dst)
{
    struct mth_context_part parts[2];
    struct mth_decode_job job = {.src = coded,
                                 .type = mth_symbol_type_of(stream->dtype),
                                 .context = {parts, references_of(stream, parts)},
                                 .dst = dst,
                                 .dst_bytes = stream->n};
    int status = rig->codec->decode(rig->states[k], &job, 1);
    check_digested(rig, k, &job, stream->base ? stream->n_base : 0, status);
    return status;
}

int ulp_rig_decode(struct ulp_rig *rig, const struct ulp_stream *stream, const uint8_t *coded, size_t n_coded)
{
    uint8_t *copy = guarded_copy(coded, n_coded), *dst = guard_alloc(stream->n);
    uint8_t *other = guard_alloc(stream->n);
    struct mth_bytes bytes = {copy, n_coded};
    int status = decode_with(rig, 0, stream, bytes, dst);
    for (size_t k = 1; k < rig->n; k++) {
        assert_int_equal(decode_with(rig, k, stream, bytes, other), status);
        assert_true(status || memcmp(dst, other, stream->n) == 0);
    }
    guard_free(copy, n_coded);
    guard_free(dst, stream->n);
    guard_free(other, stream->n);
    return status;
}

static struct ulp_stream code_stream(struct ulp_rig *rig, enum mth_dtype dtype, const uint8_t *src, size_t n,
                                     const uint8_t *base, size_t n_base, const uint8_t *older,
                                     const struct mth_row_span *spans, size_t n_spans)
{
    struct ulp_stream stream = {.dtype = dtype, .n = n, .n_base = n_base, .spans = spans, .n_spans = n_spans};
    stream.src = guarded_copy(src, n);
    stream.base = base ? guarded_copy(base, n_base) : NULL;
    stream.older = older ? guarded_copy(older, n_base) : NULL;
    for (size_t k = 0; k < rig->n; k++)
        encode_with(rig, k, &stream);
    assert_true(stream.n_coded <= n + 1);
    for (size_t k = 0; k < rig->n; k++) {
        uint8_t *dst = guard_alloc(n);
        assert_int_equal(decode_with(rig, k, &stream, (struct mth_bytes){stream.coded, stream.n_coded}, dst),
                         MTH_OK);
        if (memcmp(dst, src, n) != 0)
            fail_msg("%s, %zu bytes: %s gives others back", mth_dtype_info(dtype)->name, n,
                     rig->kernels[k]->name);
        guard_free(dst, n);
    }
    return stream;
}

struct ulp_stream ulp_rig_code(struct ulp_rig *rig, enum mth_dtype dtype, const uint8_t *src, size_t n,
                               const uint8_t *base, size_t n_base)
{
    return code_stream(rig, dtype, src, n, base, n_base, NULL, NULL, 0);
}

struct ulp_stream ulp_rig_code_directed(struct ulp_rig *rig, enum mth_dtype dtype, const uint8_t *src,
                                        size_t n, const uint8_t *base, const uint8_t *older)
{
    return code_stream(rig, dtype, src, n, base, n, older, NULL, 0);
}

struct ulp_stream ulp_rig_code_rows(struct ulp_rig *rig, enum mth_dtype dtype, const uint8_t *src, size_t n,
                                    const uint8_t *base, const uint8_t *older,
                                    const struct mth_row_span *spans, size_t n_spans)
{
    return code_stream(rig, dtype, src, n, base, base ? n : 0, older, spans, n_spans);
}

void ulp_stream_free(struct ulp_stream *stream)
{
    guard_free(stream->src, stream->n);
    guard_free(stream->base, stream->n_base);
    guard_free(stream->older, stream->n_base);
    guard_free(stream->coded, stream->n_coded);
}

void ulp_rig_check(struct ulp_rig *rig, enum mth_dtype dtype, const uint8_t *src, size_t n,
                   const uint8_t *base)
{
    struct ulp_stream stream = ulp_rig_code(rig, dtype, src, n, base, base ? n : 0);
    ulp_stream_free(&stream);
}

uint8_t ulp_head_of(const struct ulp_stream *stream)
{
    struct mth_reader reader = {.at = stream->coded, .end = stream->coded + stream->n_coded};
    uint64_t n_block;
    if (*reader.at++ == MTH_ULP_RAW)
        return 0;
    assert_true(mth_varint_get(&reader, &n_block));
    return *reader.at;
}
