/* zstd through libzstd: levels -7 to 22, long-distance matching, and the reference as a prefix
 * (--patch-from). */
#include "codecs/codec.h"

#include "base/checked.h"

#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_createCCtx_advanced: its memory belongs on our account */
#include <limits.h>
#include <stdio.h>
#include <zstd.h>
#include <zstd_errors.h>

enum { OPTION_LEVEL, OPTION_LONG, OPTION_PREFIX };

enum { SLACK_BYTES = 1 << 16 /* of allocations, beside what they are asked for */ };

static const char *const no_yes[] = {"no", "yes"};

static const struct mth_option options[] = {
    {"level", "speed (negative) to ratio (22)", -7, 22, 3, NULL},
    {"long", "long-distance matching with a window of 2^long bytes; 0 turns it off", 0, 27, 0, NULL},
    {"prefix", "match against the reference too, as --patch-from does", 0, 1, 0, no_yes},
};

struct zstd_state {
    struct mth_memory *memory;
    ZSTD_CCtx *encoder;
    ZSTD_DCtx *decoder;
    int prefix;
};

static const char *library(void)
{
    static char text[32];
    snprintf(text, sizeof text, "libzstd %s", ZSTD_versionString());
    return text;
}

static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    size_t n = ZSTD_compressBound(src_bytes);
    return ZSTD_isError(n) ? 0 : n;
}

static void *zstd_alloc(void *opaque, size_t n_bytes)
{
    return mth_memory_alloc(opaque, n_bytes);
}

static void zstd_free(void *opaque, void *block)
{
    mth_memory_free(opaque, block);
}

static void destroy(void *opaque)
{
    struct zstd_state *state = opaque;
    if (!state)
        return;
    ZSTD_freeCCtx(state->encoder);
    ZSTD_freeDCtx(state->decoder);
    mth_memory_free(state->memory, state);
}

static int set_up_encoder(struct zstd_state *state, const int64_t *values)
{
    size_t bad = ZSTD_CCtx_setParameter(state->encoder, ZSTD_c_compressionLevel, (int)values[OPTION_LEVEL]);
    if (!ZSTD_isError(bad) && values[OPTION_LONG]) {
        /* Windows below 2^10 do not exist. */
        int window_log = values[OPTION_LONG] < 10 ? 10 : (int)values[OPTION_LONG];
        bad = ZSTD_CCtx_setParameter(state->encoder, ZSTD_c_enableLongDistanceMatching, 1);
        if (!ZSTD_isError(bad))
            bad = ZSTD_CCtx_setParameter(state->encoder, ZSTD_c_windowLog, window_log);
    }
    return ZSTD_isError(bad) ? MTH_ERR_LIBRARY : MTH_OK;
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    ZSTD_customMem allocator = {zstd_alloc, zstd_free, memory};
    struct zstd_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    state->prefix = values[OPTION_PREFIX] != 0;
    int status = MTH_OK;
    if (sides & MTH_SIDE_ENCODE) {
        state->encoder = ZSTD_createCCtx_advanced(allocator);
        status = state->encoder ? set_up_encoder(state, values) : MTH_ERR_NO_MEMORY;
    }
    if (!status && (sides & MTH_SIDE_DECODE)) {
        state->decoder = ZSTD_createDCtx_advanced(allocator);
        if (!state->decoder || ZSTD_isError(ZSTD_DCtx_setParameter(state->decoder, ZSTD_d_windowLogMax, 31)))
            status = MTH_ERR_NO_MEMORY;
    }
    if (status) {
        destroy(state);
        return status;
    }
    *out = state;
    return MTH_OK;
}

/* The first reference in a context; empty when there is none. */
static struct mth_bytes reference_of(const struct mth_context *context)
{
    for (size_t i = 0; i < context->n_parts; i++) {
        if (context->parts[i].kind == MTH_CONTEXT_REFERENCE)
            return context->parts[i].bytes;
    }
    return (struct mth_bytes){0};
}

static int encode(void *opaque, struct mth_encode_job *job)
{
    struct zstd_state *state = opaque;
    if (state->prefix) {
        struct mth_bytes prefix = reference_of(&job->context);
        /* A stream that did not fit leaves the session open, and an open session takes no prefix. */
        ZSTD_CCtx_reset(state->encoder, ZSTD_reset_session_only);
        if (ZSTD_isError(ZSTD_CCtx_refPrefix(state->encoder, prefix.data, prefix.n_bytes)))
            return MTH_ERR_LIBRARY;
    }
    size_t n = ZSTD_compress2(state->encoder, job->dst, job->dst_capacity, job->src.data, job->src.n_bytes);
    if (ZSTD_isError(n))
        return ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall ? MTH_ERR_CAPACITY : MTH_ERR_LIBRARY;
    job->out = (struct mth_bytes){job->dst, n};
    return MTH_OK;
}

static int decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    struct zstd_state *state = opaque;
    for (size_t i = 0; i < n_jobs; i++) {
        struct mth_decode_job *job = &jobs[i];
        if (state->prefix) {
            struct mth_bytes prefix = reference_of(&job->context);
            if (ZSTD_isError(ZSTD_DCtx_refPrefix(state->decoder, prefix.data, prefix.n_bytes)))
                return MTH_ERR_LIBRARY;
        }
        size_t n =
            ZSTD_decompressDCtx(state->decoder, job->dst, job->dst_bytes, job->src.data, job->src.n_bytes);
        if (ZSTD_isError(n) || n != job->dst_bytes)
            return MTH_ERR_CORRUPT;
    }
    return MTH_OK;
}

static size_t set(ZSTD_CCtx_params *params, ZSTD_cParameter name, int value, size_t bad)
{
    return ZSTD_isError(bad) ? bad : ZSTD_CCtxParams_setParameter(params, name, value);
}

/* libzstd's own estimate, for streams of the length it is told. */
static size_t encoder_bytes(const int64_t *values, size_t stream_bytes)
{
    ZSTD_CCtx_params *params = ZSTD_createCCtxParams();
    if (!params)
        return SIZE_MAX;
    int hint = stream_bytes > INT_MAX / 2 ? INT_MAX / 2 : (int)stream_bytes;
    /* A prefix is as long as its stream. */
    hint = values[OPTION_PREFIX] ? 2 * hint : hint;
    size_t bad = set(params, ZSTD_c_compressionLevel, (int)values[OPTION_LEVEL], 0);
    bad = set(params, ZSTD_c_srcSizeHint, hint, bad);
    if (values[OPTION_LONG]) {
        int window_log = values[OPTION_LONG] < 10 ? 10 : (int)values[OPTION_LONG];
        /* A window is not longer than what it slides over. */
        while (window_log > 10 && hint >> (window_log - 1) == 0)
            window_log--;
        bad = set(params, ZSTD_c_enableLongDistanceMatching, 1, bad);
        bad = set(params, ZSTD_c_windowLog, window_log, bad);
        /* As libzstd would choose them; its estimate does not. */
        bad = set(params, ZSTD_c_ldmHashLog, window_log < 13 ? 6 : window_log - 7, bad);
        bad = set(params, ZSTD_c_ldmBucketSizeLog, 3, bad);
        bad = set(params, ZSTD_c_ldmMinMatch, 32, bad);
    }
    size_t n = ZSTD_isError(bad) ? bad : ZSTD_estimateCCtxSize_usingCCtxParams(params);
    ZSTD_freeCCtxParams(params);
    return ZSTD_isError(n) ? SIZE_MAX : n;
}

/* A decoder that has the whole stream and all the room keeps no window. */
static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    size_t n = side == MTH_SIDE_ENCODE ? encoder_bytes(values, stream_bytes) : ZSTD_estimateDCtxSize();
    size_t total;
    return mth_size_add(n, sizeof(struct zstd_state) + SLACK_BYTES, &total) ? total : SIZE_MAX;
}

static int uses_context(const int64_t *values)
{
    return values[OPTION_PREFIX] != 0;
}

const struct mth_codec mth_codec_zstd = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "zstd",
    .summary = "Zstandard (RFC 8878)",
    .flags = MTH_CODEC_CONTEXT,
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .library = library,
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
    .uses_context = uses_context,
    .state_bytes = state_bytes,
};
