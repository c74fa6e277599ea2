/* brotli through libbrotli (RFC 7932), windows up to 16 MiB. */
#include "config.h"

#if MTH_HAVE_BROTLI

#include "codecs/codec.h"

#include "base/checked.h"
#include "codecs/block_cache.h"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <setjmp.h>
#include <stdio.h>

enum { OPTION_QUALITY, OPTION_LGWIN };

static const struct mth_option options[] = {
    {"quality", "0 is fastest, 11 smallest", BROTLI_MIN_QUALITY, BROTLI_MAX_QUALITY, 5, NULL},
    {"lgwin", "window of 2^lgwin bytes", BROTLI_MIN_WINDOW_BITS, BROTLI_MAX_WINDOW_BITS,
     BROTLI_DEFAULT_WINDOW, NULL},
};

struct brotli_state {
    struct mth_memory *memory;
    struct mth_block_cache encoder; /* apart, so that neither side takes the blocks of the other */
    struct mth_block_cache decoder;
    jmp_buf out_of_memory; /* where encode goes on when an allocation of its library fails */
    uint32_t quality;
    uint32_t lgwin;
};

static const char *library(void)
{
    static char text[32];
    uint32_t version = BrotliEncoderVersion();
    snprintf(text, sizeof text, "libbrotli %u.%u.%u", (unsigned)(version >> 24),
             (unsigned)(version >> 12 & 0xfff), (unsigned)(version & 0xfff));
    return text;
}

/*
 * BrotliEncoderMaxCompressedSize holds for default windows. A meta-block that does not shrink is stored with
 * a header of 4 bytes, and holds at least half of the smallest window, 512 bytes: 8 bytes in 512 are ample.
 */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    size_t n;
    return mth_size_add(src_bytes, src_bytes / 64 + 1024, &n) ? n : 0;
}

/*
 * libbrotli's encoder ends the process when an allocation fails, so that a failure must not come back to it: it is left
 * by a jump. What it held lies in the cache, which does not need it to be freed.
 */
static void *encoder_alloc(void *opaque, size_t n_bytes)
{
    struct brotli_state *state = opaque;
    void *block = mth_block_cache_alloc(&state->encoder, n_bytes);
    if (!block)
        longjmp(state->out_of_memory, 1);
    return block;
}

static void *decoder_alloc(void *opaque, size_t n_bytes)
{
    struct brotli_state *state = opaque;
    return mth_block_cache_alloc(&state->decoder, n_bytes);
}

static void encoder_free(void *opaque, void *block)
{
    struct brotli_state *state = opaque;
    mth_block_cache_free(&state->encoder, block);
}

static void decoder_free(void *opaque, void *block)
{
    struct brotli_state *state = opaque;
    mth_block_cache_free(&state->decoder, block);
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    (void)sides;
    struct brotli_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = state->encoder.memory = state->decoder.memory = memory;
    state->quality = (uint32_t)values[OPTION_QUALITY];
    state->lgwin = (uint32_t)values[OPTION_LGWIN];
    *out = state;
    return MTH_OK;
}

static void destroy(void *opaque)
{
    struct brotli_state *state = opaque;
    if (!state)
        return;
    mth_block_cache_release(&state->encoder);
    mth_block_cache_release(&state->decoder);
    mth_memory_free(state->memory, state);
}

static int run_encoder(const struct brotli_state *state, BrotliEncoderState *encoder,
                       struct mth_encode_job *job)
{
    /* A hint of 2^30 already means "large". */
    uint32_t hint = (uint32_t)mth_size_min(job->src.n_bytes, (size_t)1 << 30);
    if (!BrotliEncoderSetParameter(encoder, BROTLI_PARAM_QUALITY, state->quality) ||
        !BrotliEncoderSetParameter(encoder, BROTLI_PARAM_LGWIN, state->lgwin) ||
        !BrotliEncoderSetParameter(encoder, BROTLI_PARAM_SIZE_HINT, hint))
        return MTH_ERR_LIBRARY;
    const uint8_t *in = job->src.data;
    uint8_t *out = job->dst;
    size_t in_left = job->src.n_bytes, out_left = job->dst_capacity;
    while (!BrotliEncoderIsFinished(encoder)) {
        if (!BrotliEncoderCompressStream(encoder, BROTLI_OPERATION_FINISH, &in_left, &in, &out_left, &out,
                                         NULL))
            return MTH_ERR_NO_MEMORY;
        if (out_left == 0 && !BrotliEncoderIsFinished(encoder))
            return MTH_ERR_CAPACITY;
    }
    job->out = (struct mth_bytes){job->dst, job->dst_capacity - out_left};
    return MTH_OK;
}

static int encode(void *opaque, struct mth_encode_job *job)
{
    struct brotli_state *state = opaque;
    if (setjmp(state->out_of_memory)) {
        mth_block_cache_release(&state->encoder);
        return MTH_ERR_NO_MEMORY;
    }
    BrotliEncoderState *encoder = BrotliEncoderCreateInstance(encoder_alloc, encoder_free, state);
    if (!encoder)
        return MTH_ERR_NO_MEMORY;
    int status = run_encoder(state, encoder, job);
    BrotliEncoderDestroyInstance(encoder);
    return status;
}

/* libbrotli numbers its failed allocations from -21 (context modes) down to -30 (block type trees). */
static int out_of_memory(BrotliDecoderErrorCode error)
{
    return error <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
           error >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

/* Large windows stay off, so that a stream can make its decoder allocate 16 MiB and some tables, no more. */
static int decode_one(struct brotli_state *state, const struct mth_decode_job *job)
{
    uint8_t none;
    BrotliDecoderState *decoder = BrotliDecoderCreateInstance(decoder_alloc, decoder_free, state);
    if (!decoder)
        return MTH_ERR_NO_MEMORY;
    const uint8_t *in = job->src.data;
    uint8_t *out = job->dst_bytes ? job->dst : &none;
    size_t in_left = job->src.n_bytes, out_left = job->dst_bytes;
    BrotliDecoderResult result = BrotliDecoderDecompressStream(decoder, &in_left, &in, &out_left, &out, NULL);
    BrotliDecoderErrorCode error = BrotliDecoderGetErrorCode(decoder);
    int status = MTH_OK;
    /* All of the input and all of the room is offered at once: any other result means that one does not
     * suffice. */
    if (result != BROTLI_DECODER_RESULT_SUCCESS || in_left != 0 || out_left != 0)
        status = out_of_memory(error) ? MTH_ERR_NO_MEMORY : MTH_ERR_CORRUPT;
    BrotliDecoderDestroyInstance(decoder);
    return status;
}

static int decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    for (size_t i = 0; i < n_jobs; i++) {
        int status = decode_one(opaque, &jobs[i]);
        if (status)
            return status;
    }
    return MTH_OK;
}

/*
 * libbrotli tells what its encoder takes only from 1.1 on. Measured with 1.0.9 on noise, zeros and weights, over qualities,
 * windows and lengths: a ring buffer and its copy of the window each, twice the stream up to the window for output and
 * commands, tables by quality, and from quality 10 on trees of 8 bytes a position of the window. Tables in MiB, rounded up.
 */
static size_t encoder_bytes(const int64_t *values, size_t stream_bytes)
{
    static const uint8_t tables_mib[] = {1, 2, 2, 2, 6, 4, 6, 12, 20, 37, 12, 20};
    size_t window = (size_t)1 << values[OPTION_LGWIN];
    size_t trees = values[OPTION_QUALITY] >= 10 ? 8 * window : 0;
    return 2 * window + 2 * mth_size_min(stream_bytes, window) + trees +
           ((size_t)tables_mib[values[OPTION_QUALITY]] << 20);
}

static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    enum { DECODER_TABLES = 1 << 20 };
    /* A stream names its own window, whatever the options say. */
    size_t n = side == MTH_SIDE_DECODE ? ((size_t)1 << BROTLI_MAX_WINDOW_BITS) + DECODER_TABLES
                                       : encoder_bytes(values, stream_bytes);
    return sizeof(struct brotli_state) + mth_block_cache_bound(n);
}

const struct mth_codec mth_codec_brotli = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "brotli",
    .summary = "Brotli (RFC 7932)",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .library = library,
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
    .state_bytes = state_bytes,
};

#endif
