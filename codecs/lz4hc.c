/* lz4hc through liblz4: blocks as lz4 makes them, searched for longer. */
#include "codecs/codec.h"

#include <limits.h>
#include <lz4hc.h>
#include <stdio.h>

enum { OPTION_LEVEL };

static const struct mth_option options[] = {
    {"level", "effort of the match search", LZ4HC_CLEVEL_MIN, LZ4HC_CLEVEL_MAX, LZ4HC_CLEVEL_DEFAULT, NULL},
};

struct lz4hc_state {
    struct mth_memory *memory;
    void *encoder;
    int level;
};

static const char *library(void)
{
    static char text[32];
    snprintf(text, sizeof text, "liblz4 %s", LZ4_versionString());
    return text;
}

/* A block ends at 0x7E000000 bytes: larger streams do not go through this codec. */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    return src_bytes > LZ4_MAX_INPUT_SIZE ? 0 : (size_t)LZ4_compressBound((int)src_bytes);
}

static void destroy(void *opaque)
{
    struct lz4hc_state *state = opaque;
    if (!state)
        return;
    mth_memory_free(state->memory, state->encoder);
    mth_memory_free(state->memory, state);
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    struct lz4hc_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    state->level = (int)values[OPTION_LEVEL];
    if (sides & MTH_SIDE_ENCODE) {
        state->encoder = mth_memory_alloc(memory, (size_t)LZ4_sizeofStateHC());
        if (!state->encoder) {
            destroy(state);
            return MTH_ERR_NO_MEMORY;
        }
    }
    *out = state;
    return MTH_OK;
}

static int encode(void *opaque, struct mth_encode_job *job)
{
    struct lz4hc_state *state = opaque;
    if (job->src.n_bytes > LZ4_MAX_INPUT_SIZE)
        return MTH_ERR_UNSUPPORTED;
    /* The caller's pointer may be NULL when there is nothing, which liblz4 may still look at. */
    const char *src = job->src.n_bytes ? (const char *)job->src.data : "";
    int capacity = job->dst_capacity > INT_MAX ? INT_MAX : (int)job->dst_capacity;
    int n = LZ4_compress_HC_extStateHC(state->encoder, src, (char *)job->dst, (int)job->src.n_bytes, capacity,
                                       state->level);
    if (n <= 0)
        return MTH_ERR_CAPACITY;
    job->out = (struct mth_bytes){job->dst, (size_t)n};
    return MTH_OK;
}

static int decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    (void)opaque;
    char none;
    for (size_t i = 0; i < n_jobs; i++) {
        struct mth_decode_job *job = &jobs[i];
        if (job->src.n_bytes == 0 || job->src.n_bytes > INT_MAX || job->dst_bytes > LZ4_MAX_INPUT_SIZE)
            return MTH_ERR_CORRUPT;
        char *dst = job->dst_bytes ? (char *)job->dst : &none;
        int n =
            LZ4_decompress_safe((const char *)job->src.data, dst, (int)job->src.n_bytes, (int)job->dst_bytes);
        if (n < 0 || (size_t)n != job->dst_bytes)
            return MTH_ERR_CORRUPT;
    }
    return MTH_OK;
}

const struct mth_codec mth_codec_lz4hc = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "lz4hc",
    .summary = "LZ4 blocks, searched for longer",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .library = library,
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
};
