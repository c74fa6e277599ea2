/* zlib through zlib: DEFLATE in a zlib wrapper (RFC 1950), so that every stream carries its Adler-32. */
#include "codecs/codec.h"

#include <limits.h>
#include <stdio.h>
#define ZLIB_CONST
#include <zlib.h>

enum { OPTION_LEVEL };

static const struct mth_option options[] = {
    {"level", "0 stores, 9 searches longest", 0, 9, 6, NULL},
};

struct zlib_state {
    struct mth_memory *memory;
    z_stream encoder;
    z_stream decoder;
    unsigned sides; /* those set up so far */
};

static const char *library(void)
{
    static char text[32];
    snprintf(text, sizeof text, "zlib %s", zlibVersion());
    return text;
}

/* compressBound is for windowBits 15 and memLevel 8, which deflateInit gives, at any level. */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    if (src_bytes > ULONG_MAX)
        return 0;
    uLong n = compressBound((uLong)src_bytes);
    return n < src_bytes ? 0 : n;
}

static voidpf zlib_alloc(voidpf opaque, uInt n_items, uInt size)
{
    return mth_memory_calloc(opaque, n_items, size);
}

static void zlib_free(voidpf opaque, voidpf block)
{
    mth_memory_free(opaque, block);
}

static void destroy(void *opaque)
{
    struct zlib_state *state = opaque;
    if (!state)
        return;
    if (state->sides & MTH_SIDE_ENCODE)
        deflateEnd(&state->encoder);
    if (state->sides & MTH_SIDE_DECODE)
        inflateEnd(&state->decoder);
    mth_memory_free(state->memory, state);
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    struct zlib_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    state->encoder.zalloc = state->decoder.zalloc = zlib_alloc;
    state->encoder.zfree = state->decoder.zfree = zlib_free;
    state->encoder.opaque = state->decoder.opaque = memory;
    int status = Z_OK;
    if (sides & MTH_SIDE_ENCODE) {
        status = deflateInit(&state->encoder, (int)values[OPTION_LEVEL]);
        state->sides |= status == Z_OK ? MTH_SIDE_ENCODE : 0;
    }
    if (status == Z_OK && (sides & MTH_SIDE_DECODE)) {
        status = inflateInit(&state->decoder);
        state->sides |= status == Z_OK ? MTH_SIDE_DECODE : 0;
    }
    if (status != Z_OK) {
        destroy(state);
        return status == Z_MEM_ERROR ? MTH_ERR_NO_MEMORY : MTH_ERR_LIBRARY;
    }
    *out = state;
    return MTH_OK;
}

/* What a uInt can count of n bytes. */
static uInt piece(size_t n_bytes)
{
    return n_bytes > UINT_MAX ? UINT_MAX : (uInt)n_bytes;
}

static int encode(void *opaque, struct mth_encode_job *job)
{
    struct zlib_state *state = opaque;
    z_stream *z = &state->encoder;
    if (deflateReset(z) != Z_OK)
        return MTH_ERR_LIBRARY;
    size_t in_left = job->src.n_bytes, out_left = job->dst_capacity;
    z->next_in = job->src.data;
    z->next_out = job->dst;
    for (;;) {
        uInt in = piece(in_left), out = piece(out_left);
        z->avail_in = in;
        z->avail_out = out;
        int status = deflate(z, in_left > in ? Z_NO_FLUSH : Z_FINISH);
        in_left -= in - z->avail_in;
        out_left -= out - z->avail_out;
        if (status == Z_STREAM_END)
            break;
        if (out_left == 0)
            return MTH_ERR_CAPACITY;
        if (status != Z_OK)
            return MTH_ERR_LIBRARY;
    }
    job->out = (struct mth_bytes){job->dst, job->dst_capacity - out_left};
    return MTH_OK;
}

static int decode_one(z_stream *z, const struct mth_decode_job *job)
{
    uint8_t none;
    if (inflateReset(z) != Z_OK)
        return MTH_ERR_LIBRARY;
    size_t in_left = job->src.n_bytes, out_left = job->dst_bytes;
    z->next_in = job->src.data;
    z->next_out = job->dst_bytes ? job->dst : &none;
    for (;;) {
        uInt in = piece(in_left), out = piece(out_left);
        z->avail_in = in;
        z->avail_out = out;
        int status = inflate(z, Z_NO_FLUSH);
        in_left -= in - z->avail_in;
        out_left -= out - z->avail_out;
        if (status == Z_STREAM_END)
            return in_left == 0 && out_left == 0 ? MTH_OK : MTH_ERR_CORRUPT;
        if (status == Z_MEM_ERROR)
            return MTH_ERR_NO_MEMORY;
        /* Z_BUF_ERROR is a call that got nowhere: the stream wants more input or more room than there is. */
        if (status != Z_OK)
            return MTH_ERR_CORRUPT;
    }
}

static int decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    struct zlib_state *state = opaque;
    for (size_t i = 0; i < n_jobs; i++) {
        int status = decode_one(&state->decoder, &jobs[i]);
        if (status)
            return status;
    }
    return MTH_OK;
}

const struct mth_codec mth_codec_zlib = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "zlib",
    .summary = "DEFLATE in a zlib wrapper (RFC 1950)",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .library = library,
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
};
