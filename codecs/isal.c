/*
 * isa-l's igzip: raw DEFLATE (RFC 1951) for speed.
 *
 * Its bytes are not reproducible. Its kernels for different CPUs do not find the same matches; and those in x86
 * assembly look up the third position of a stream by a hash of their own state's address instead of the data
 * (2.30.0, still in 2.32.1: igzip_icf_body_h1_gr_bt.asm, .write_first_byte). Any decoder takes all of them.
 */
#include "config.h"

#if MTH_HAVE_ISAL

#include "codecs/codec.h"

#include <isa-l.h>
#include <stdio.h>

enum { OPTION_LEVEL };

static const struct mth_option options[] = {
    {"level", "0 is fastest", ISAL_DEF_MIN_LEVEL, ISAL_DEF_MAX_LEVEL, 1, NULL},
};

/* Stored blocks, which igzip falls back to: at most 65535 bytes behind a header of 5. */
enum { STORED_BLOCK_BYTES = 65535, STORED_HEADER_BYTES = 5 };

struct isal_state {
    struct mth_memory *memory;
    struct isal_zstream *encoder;
    struct inflate_state *decoder;
    uint8_t *level_buffer;
    uint32_t level_bytes;
    uint32_t level;
};

/* The library does not tell its version at run time. */
static const char *library(void)
{
    static char text[32];
    snprintf(text, sizeof text, "isa-l %d.%d.%d", ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION, ISAL_PATCH_VERSION);
    return text;
}

/* igzip counts in uint32_t. */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    uint64_t n_blocks =
        src_bytes == 0 ? 1 : ((uint64_t)src_bytes + STORED_BLOCK_BYTES - 1) / STORED_BLOCK_BYTES;
    uint64_t n = (uint64_t)src_bytes + n_blocks * STORED_HEADER_BYTES;
    return n > UINT32_MAX ? 0 : (size_t)n;
}

static void destroy(void *opaque)
{
    struct isal_state *state = opaque;
    if (!state)
        return;
    mth_memory_free(state->memory, state->encoder);
    mth_memory_free(state->memory, state->decoder);
    mth_memory_free(state->memory, state->level_buffer);
    mth_memory_free(state->memory, state);
}

static uint32_t level_bytes(int64_t level)
{
    static const uint32_t bytes[] = {ISAL_DEF_LVL0_DEFAULT, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT,
                                     ISAL_DEF_LVL3_DEFAULT};
    return bytes[level];
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    struct isal_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    state->level = (uint32_t)values[OPTION_LEVEL];
    state->level_bytes = level_bytes(values[OPTION_LEVEL]);
    int complete = 1;
    if (sides & MTH_SIDE_ENCODE) {
        state->encoder = mth_memory_alloc(memory, sizeof *state->encoder);
        state->level_buffer = mth_memory_alloc(memory, state->level_bytes);
        complete = state->encoder && state->level_buffer;
    }
    if (sides & MTH_SIDE_DECODE) {
        state->decoder = mth_memory_alloc(memory, sizeof *state->decoder);
        complete = complete && state->decoder;
    }
    if (!complete) {
        destroy(state);
        return MTH_ERR_NO_MEMORY;
    }
    *out = state;
    return MTH_OK;
}

/* With less room than the bound igzip may miss its fall-back to stored blocks; it is not asked to try. */
static int encode(void *opaque, struct mth_encode_job *job)
{
    struct isal_state *state = opaque;
    struct isal_zstream *z = state->encoder;
    size_t most = bound(NULL, job->src.n_bytes);
    if (most == 0)
        return MTH_ERR_UNSUPPORTED;
    if (job->dst_capacity < most)
        return MTH_ERR_CAPACITY;
    /* isal_deflate_stateless_init leaves the window as the memory happened to be. */
    isal_deflate_init(z);
    z->level = state->level;
    z->level_buf = state->level_bytes ? state->level_buffer : NULL;
    z->level_buf_size = state->level_bytes;
    z->end_of_stream = 1;
    z->flush = NO_FLUSH;
    /* igzip only reads its input, but does not say so. */
    z->next_in = (uint8_t *)(uintptr_t)job->src.data;
    z->avail_in = (uint32_t)job->src.n_bytes;
    z->next_out = job->dst;
    z->avail_out = (uint32_t)most;
    if (isal_deflate_stateless(z) != COMP_OK || z->avail_in != 0)
        return MTH_ERR_LIBRARY;
    job->out = (struct mth_bytes){job->dst, z->total_out};
    return MTH_OK;
}

static int decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    struct isal_state *state = opaque;
    struct inflate_state *z = state->decoder;
    uint8_t none;
    for (size_t i = 0; i < n_jobs; i++) {
        struct mth_decode_job *job = &jobs[i];
        if (job->src.n_bytes > UINT32_MAX || job->dst_bytes > UINT32_MAX)
            return MTH_ERR_CORRUPT;
        isal_inflate_init(z);
        z->next_in = (uint8_t *)(uintptr_t)job->src.data;
        z->avail_in = (uint32_t)job->src.n_bytes;
        z->next_out = job->dst_bytes ? job->dst : &none;
        z->avail_out = (uint32_t)job->dst_bytes;
        if (isal_inflate_stateless(z) != ISAL_DECOMP_OK || z->block_state != ISAL_BLOCK_FINISH ||
            z->avail_in != 0 || z->total_out != job->dst_bytes)
            return MTH_ERR_CORRUPT;
    }
    return MTH_OK;
}

const struct mth_codec mth_codec_isal = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "isa-l",
    .summary = "raw DEFLATE (RFC 1951) by igzip; its bytes are not reproducible",
    .flags = MTH_CODEC_VARIES,
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .library = library,
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
};

#endif
