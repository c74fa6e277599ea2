/* libdeflate: raw DEFLATE (RFC 1951) of whole buffers. Its states come from malloc: it has no hook but a
 * global one. */
#include "config.h"

#if MTH_HAVE_LIBDEFLATE

#include "codecs/codec.h"

#include <libdeflate.h>

enum { OPTION_LEVEL };

static const struct mth_option options[] = {
    {"level", "0 stores, 12 searches longest", 0, 12, 6, NULL},
};

struct libdeflate_state {
    struct mth_memory *memory;
    struct libdeflate_compressor *encoder;
    struct libdeflate_decompressor *decoder;
};

/* The library does not tell its version at run time. */
static const char *library(void)
{
    return "libdeflate " LIBDEFLATE_VERSION_STRING;
}

static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    size_t n = libdeflate_deflate_compress_bound(NULL, src_bytes);
    return n < src_bytes ? 0 : n;
}

static void destroy(void *opaque)
{
    struct libdeflate_state *state = opaque;
    if (!state)
        return;
    if (state->encoder)
        libdeflate_free_compressor(state->encoder);
    if (state->decoder)
        libdeflate_free_decompressor(state->decoder);
    mth_memory_free(state->memory, state);
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    struct libdeflate_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    if (sides & MTH_SIDE_ENCODE)
        state->encoder = libdeflate_alloc_compressor((int)values[OPTION_LEVEL]);
    if (sides & MTH_SIDE_DECODE)
        state->decoder = libdeflate_alloc_decompressor();
    if ((!state->encoder && (sides & MTH_SIDE_ENCODE)) || (!state->decoder && (sides & MTH_SIDE_DECODE))) {
        destroy(state);
        return MTH_ERR_NO_MEMORY;
    }
    *out = state;
    return MTH_OK;
}

static int encode(void *opaque, struct mth_encode_job *job)
{
    struct libdeflate_state *state = opaque;
    size_t n = libdeflate_deflate_compress(state->encoder, job->src.data, job->src.n_bytes, job->dst,
                                           job->dst_capacity);
    if (n == 0)
        return MTH_ERR_CAPACITY;
    job->out = (struct mth_bytes){job->dst, n};
    return MTH_OK;
}

static int decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    struct libdeflate_state *state = opaque;
    uint8_t none;
    for (size_t i = 0; i < n_jobs; i++) {
        struct mth_decode_job *job = &jobs[i];
        size_t n_in, n_out;
        enum libdeflate_result result = libdeflate_deflate_decompress_ex(
            state->decoder, job->src.data, job->src.n_bytes, job->dst_bytes ? job->dst : &none,
            job->dst_bytes, &n_in, &n_out);
        if (result != LIBDEFLATE_SUCCESS || n_in != job->src.n_bytes || n_out != job->dst_bytes)
            return MTH_ERR_CORRUPT;
    }
    return MTH_OK;
}

/* From level 10 on the compressor keeps the matches of a block of 300,000 bytes and a node for each; measured 9.2 MB. */
static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    (void)stream_bytes;
    return side == MTH_SIDE_ENCODE && values[OPTION_LEVEL] >= 10 ? 10 << 20 : MTH_CODEC_SMALL_STATE_BYTES;
}

const struct mth_codec mth_codec_libdeflate = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "libdeflate",
    .summary = "raw DEFLATE (RFC 1951), several times as fast as zlib",
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
