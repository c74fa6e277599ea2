/*
 * xz through liblzma: .xz streams without an integrity check, which belongs to the frame around them.
 *
 * A preset's dictionary is up to 64 MiB, and liblzma allocates about ten times that to encode and all of it
 * to decode, however short the stream. A stream can not refer to more than itself, so the dictionary is cut
 * to it.
 */
#include "codecs/codec.h"

#include "codecs/block_cache.h"

#include <lzma.h>
#include <stdio.h>

enum { OPTION_LEVEL, OPTION_EXTREME };

static const char *const no_yes[] = {"no", "yes"};

static const struct mth_option options[] = {
    {"level", "preset: dictionary and effort", 0, 9, 6, NULL},
    {"extreme", "search longer without more memory", 0, 1, 0, no_yes},
};

struct xz_state {
    struct mth_memory *memory;
    struct mth_block_cache encoder; /* apart, so that neither side takes the blocks of the other */
    struct mth_block_cache decoder;
    lzma_allocator encoder_allocator;
    lzma_allocator decoder_allocator;
    lzma_options_lzma lzma;
};

static const char *library(void)
{
    static char text[48];
    snprintf(text, sizeof text, "liblzma %s", lzma_version_string());
    return text;
}

static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    return lzma_stream_buffer_bound(src_bytes);
}

static void *xz_alloc(void *opaque, size_t n_items, size_t size)
{
    /* liblzma documents that n_items is always 1. */
    return mth_block_cache_alloc(opaque, n_items * size);
}

static void xz_free(void *opaque, void *block)
{
    mth_block_cache_free(opaque, block);
}

static void destroy(void *opaque)
{
    struct xz_state *state = opaque;
    if (!state)
        return;
    mth_block_cache_release(&state->encoder);
    mth_block_cache_release(&state->decoder);
    mth_memory_free(state->memory, state);
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    (void)sides;
    struct xz_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = state->encoder.memory = state->decoder.memory = memory;
    state->encoder_allocator = (lzma_allocator){xz_alloc, xz_free, &state->encoder};
    state->decoder_allocator = (lzma_allocator){xz_alloc, xz_free, &state->decoder};
    uint32_t preset = (uint32_t)values[OPTION_LEVEL] | (values[OPTION_EXTREME] ? LZMA_PRESET_EXTREME : 0);
    if (lzma_lzma_preset(&state->lzma, preset)) {
        destroy(state);
        return MTH_ERR_LIBRARY;
    }
    *out = state;
    return MTH_OK;
}

/* The smallest power of two that spans the stream, within what liblzma and the preset allow. */
static uint32_t dictionary_bytes(uint32_t preset_bytes, size_t stream_bytes)
{
    uint32_t n = LZMA_DICT_SIZE_MIN;
    while (n < preset_bytes && n < stream_bytes)
        n *= 2;
    return n < preset_bytes ? n : preset_bytes;
}

static int encode(void *opaque, struct mth_encode_job *job)
{
    struct xz_state *state = opaque;
    lzma_options_lzma lzma = state->lzma;
    lzma.dict_size = dictionary_bytes(lzma.dict_size, job->src.n_bytes);
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &lzma}, {LZMA_VLI_UNKNOWN, NULL}};
    size_t n = 0;
    lzma_ret status =
        lzma_stream_buffer_encode(filters, LZMA_CHECK_NONE, &state->encoder_allocator, job->src.data,
                                  job->src.n_bytes, job->dst, &n, job->dst_capacity);
    switch (status) {
    case LZMA_OK:
        job->out = (struct mth_bytes){job->dst, n};
        return MTH_OK;
    case LZMA_BUF_ERROR:
        return MTH_ERR_CAPACITY;
    case LZMA_MEM_ERROR:
        return MTH_ERR_NO_MEMORY;
    default:
        return MTH_ERR_LIBRARY;
    }
}

/* What decoding takes when the header tells the truth; a header that asks for more is a lie. */
static uint64_t memory_limit(const struct xz_state *state, size_t dst_bytes)
{
    lzma_options_lzma lzma = state->lzma;
    lzma.dict_size = dictionary_bytes(lzma.dict_size, dst_bytes);
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &lzma}, {LZMA_VLI_UNKNOWN, NULL}};
    return lzma_raw_decoder_memusage(filters);
}

/* liblzma's own figure, and what its block cache rounds up and keeps. */
static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    lzma_options_lzma lzma;
    uint32_t preset = (uint32_t)values[OPTION_LEVEL] | (values[OPTION_EXTREME] ? LZMA_PRESET_EXTREME : 0);
    if (lzma_lzma_preset(&lzma, preset))
        return SIZE_MAX;
    lzma.dict_size = dictionary_bytes(lzma.dict_size, stream_bytes);
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &lzma}, {LZMA_VLI_UNKNOWN, NULL}};
    uint64_t n =
        side == MTH_SIDE_ENCODE ? lzma_raw_encoder_memusage(filters) : lzma_raw_decoder_memusage(filters);
    return n > SIZE_MAX / 2 ? SIZE_MAX : sizeof(struct xz_state) + mth_block_cache_bound((size_t)n);
}

static int decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    struct xz_state *state = opaque;
    uint8_t none;
    for (size_t i = 0; i < n_jobs; i++) {
        struct mth_decode_job *job = &jobs[i];
        uint64_t limit = memory_limit(state, job->dst_bytes);
        size_t n_in = 0, n_out = 0;
        lzma_ret status = lzma_stream_buffer_decode(
            &limit, 0, &state->decoder_allocator, job->src.data, &n_in, job->src.n_bytes,
            job->dst_bytes ? job->dst : &none, &n_out, job->dst_bytes);
        if (status == LZMA_MEM_ERROR)
            return MTH_ERR_NO_MEMORY;
        if (status != LZMA_OK || n_in != job->src.n_bytes || n_out != job->dst_bytes)
            return MTH_ERR_CORRUPT;
    }
    return MTH_OK;
}

const struct mth_codec mth_codec_xz = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "xz",
    .summary = "LZMA2 in .xz streams",
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
