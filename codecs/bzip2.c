/* bzip2 through libbz2. Its streams carry a CRC-32 of every block. */
#include "codecs/codec.h"

#include "base/checked.h"
#include "codecs/block_cache.h"

#include <stdio.h> /* before bzlib.h, which wants FILE */

#include <bzlib.h>
#include <limits.h>

enum { OPTION_LEVEL };

static const struct mth_option options[] = {
    {"level", "block size in units of 100 kB", 1, 9, 9, NULL},
};

struct bzip2_state {
    struct mth_memory *memory;
    struct mth_block_cache encoder; /* apart, so that neither side takes the blocks of the other */
    struct mth_block_cache decoder;
    int level;
};

static const char *library(void)
{
    /* "1.0.8, 13-Jul-2019": the date says nothing new. */
    static char text[32];
    const char *version = BZ2_bzlibVersion();
    size_t n = 0;
    while (version[n] && version[n] != ',')
        n++;
    snprintf(text, sizeof text, "libbz2 %.*s", (int)mth_size_min(n, 16), version);
    return text;
}

/* The manual's bound for a compressed stream: 1 % more and 600 bytes. */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    size_t n;
    return mth_size_add(src_bytes, src_bytes / 100 + 601, &n) ? n : 0;
}

static void *bzip2_alloc(void *opaque, int n_items, int size)
{
    size_t n_bytes;
    if (n_items < 0 || size < 0 || !mth_size_mul((size_t)n_items, (size_t)size, &n_bytes))
        return NULL;
    return mth_block_cache_alloc(opaque, n_bytes);
}

static void bzip2_free(void *opaque, void *block)
{
    mth_block_cache_free(opaque, block);
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    (void)sides;
    struct bzip2_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = state->encoder.memory = state->decoder.memory = memory;
    state->level = (int)values[OPTION_LEVEL];
    *out = state;
    return MTH_OK;
}

static void destroy(void *opaque)
{
    struct bzip2_state *state = opaque;
    if (!state)
        return;
    mth_block_cache_release(&state->encoder);
    mth_block_cache_release(&state->decoder);
    mth_memory_free(state->memory, state);
}

/* What an unsigned can count of n bytes. */
static unsigned piece(size_t n_bytes)
{
    return n_bytes > UINT_MAX ? UINT_MAX : (unsigned)n_bytes;
}

static int run_encoder(bz_stream *bz, size_t in_left, size_t *out_left)
{
    for (;;) {
        unsigned in = piece(in_left), out = piece(*out_left);
        int action = in_left > in ? BZ_RUN : BZ_FINISH;
        bz->avail_in = in;
        bz->avail_out = out;
        int status = BZ2_bzCompress(bz, action);
        in_left -= in - bz->avail_in;
        *out_left -= out - bz->avail_out;
        if (status == BZ_STREAM_END)
            return MTH_OK;
        if (status < 0)
            return MTH_ERR_LIBRARY;
        if (*out_left == 0)
            return MTH_ERR_CAPACITY;
    }
}

static int encode(void *opaque, struct mth_encode_job *job)
{
    struct bzip2_state *state = opaque;
    uint8_t none = 0;
    bz_stream bz = {.bzalloc = bzip2_alloc, .bzfree = bzip2_free, .opaque = &state->encoder};
    int status = BZ2_bzCompressInit(&bz, state->level, 0, 0);
    if (status != BZ_OK)
        return status == BZ_MEM_ERROR ? MTH_ERR_NO_MEMORY : MTH_ERR_LIBRARY;
    /* libbz2 only reads its input, but does not say so. */
    bz.next_in = job->src.n_bytes ? (char *)(uintptr_t)job->src.data : (char *)&none;
    bz.next_out = (char *)job->dst;
    size_t out_left = job->dst_capacity;
    status = run_encoder(&bz, job->src.n_bytes, &out_left);
    BZ2_bzCompressEnd(&bz);
    if (!status)
        job->out = (struct mth_bytes){job->dst, job->dst_capacity - out_left};
    return status;
}

static int run_decoder(bz_stream *bz, size_t in_left, size_t out_left)
{
    for (;;) {
        unsigned in = piece(in_left), out = piece(out_left);
        bz->avail_in = in;
        bz->avail_out = out;
        int status = BZ2_bzDecompress(bz);
        size_t n_in = in - bz->avail_in, n_out = out - bz->avail_out;
        in_left -= n_in;
        out_left -= n_out;
        if (status == BZ_STREAM_END)
            return in_left == 0 && out_left == 0 ? MTH_OK : MTH_ERR_CORRUPT;
        if (status == BZ_MEM_ERROR)
            return MTH_ERR_NO_MEMORY;
        /* A call that got nowhere wants more input or more room than there is. */
        if (status != BZ_OK || (n_in == 0 && n_out == 0))
            return MTH_ERR_CORRUPT;
    }
}

static int decode_one(struct bzip2_state *state, const struct mth_decode_job *job)
{
    uint8_t none = 0;
    bz_stream bz = {.bzalloc = bzip2_alloc, .bzfree = bzip2_free, .opaque = &state->decoder};
    int status = BZ2_bzDecompressInit(&bz, 0, 0);
    if (status != BZ_OK)
        return status == BZ_MEM_ERROR ? MTH_ERR_NO_MEMORY : MTH_ERR_LIBRARY;
    bz.next_in = job->src.n_bytes ? (char *)(uintptr_t)job->src.data : (char *)&none;
    bz.next_out = job->dst_bytes ? (char *)job->dst : (char *)&none;
    status = run_decoder(&bz, job->src.n_bytes, job->dst_bytes);
    BZ2_bzDecompressEnd(&bz);
    return status;
}

/* The manual's figures; a stream may have been made with any level. */
static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    (void)stream_bytes;
    size_t n =
        side == MTH_SIDE_ENCODE ? 400000 + 8 * 100000 * (size_t)values[OPTION_LEVEL] : 100000 + 4 * 900000;
    return sizeof(struct bzip2_state) + mth_block_cache_bound(n);
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

const struct mth_codec mth_codec_bzip2 = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "bzip2",
    .summary = "Burrows-Wheeler transform and Huffman codes",
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
