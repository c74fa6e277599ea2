/* Blosc 1 through libblosc: a byte or bit shuffle by the width of a symbol, then one of its compressors. */
#include "config.h"

#if MTH_HAVE_BLOSC

#include "codecs/codec.h"

#include <blosc.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPTION_COMPRESSOR, OPTION_LEVEL, OPTION_SHUFFLE };

/* Blosc takes compressors by the same names. */
static const char *const compressors[] = {"blosclz", "lz4", "lz4hc", "zlib", "zstd"};
static const char *const shuffles[] = {"none", "byte", "bit"};

static const struct mth_option options[] = {
    {"compressor", "what codes the shuffled blocks", 0, 4, 0, compressors},
    {"level", "0 stores, 9 is smallest", 0, 9, 5, NULL},
    {"shuffle", "how the symbols of a block are regrouped first", BLOSC_NOSHUFFLE, BLOSC_BITSHUFFLE,
     BLOSC_SHUFFLE, shuffles},
};

struct blosc_state {
    struct mth_memory *memory;
    const char *compressor;
    int level;
    int shuffle;
};

/* Its output also depends on the compressors inside, of which it tells the versions that it was built with. */
static const char *library(void)
{
    static char text[96];
    static const char *const inner[] = {"lz4", "zlib", "zstd"};
    int n = snprintf(text, sizeof text, "blosc %s", blosc_get_version_string());
    for (size_t i = 0; i < sizeof inner / sizeof inner[0] && n > 0 && (size_t)n < sizeof text; i++) {
        char *name = NULL, *version = NULL;
        if (blosc_get_complib_info(inner[i], &name, &version) >= 0)
            n += snprintf(text + n, sizeof text - (size_t)n, ", %s %s", inner[i], version);
        free(name);
        free(version);
    }
    return text;
}

static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    return src_bytes > BLOSC_MAX_BUFFERSIZE ? 0 : src_bytes + BLOSC_MAX_OVERHEAD;
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    (void)sides;
    const char *compressor = compressors[values[OPTION_COMPRESSOR]];
    /* A libblosc may be built without some of them. */
    if (blosc_compname_to_compcode(compressor) < 0)
        return MTH_ERR_UNSUPPORTED;
    struct blosc_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    state->compressor = compressor;
    state->level = (int)values[OPTION_LEVEL];
    state->shuffle = (int)values[OPTION_SHUFFLE];
    *out = state;
    return MTH_OK;
}

static void destroy(void *opaque)
{
    struct blosc_state *state = opaque;
    if (state)
        mth_memory_free(state->memory, state);
}

/* Bytes of a symbol, which is what Blosc shuffles by; 1 where symbols do not fill bytes. */
static size_t symbol_bytes(const struct mth_symbol_type *type)
{
    return type->container_bits >= 8 && type->container_bits % 8 == 0 ? type->container_bits / 8 : 1;
}

/* The contextual calls share no state and, with one thread, start none. Their scratch comes from malloc: no
 * hooks. */
static int encode(void *opaque, struct mth_encode_job *job)
{
    struct blosc_state *state = opaque;
    if (job->src.n_bytes > BLOSC_MAX_BUFFERSIZE)
        return MTH_ERR_UNSUPPORTED;
    if (job->src.n_bytes == 0) {
        job->out = (struct mth_bytes){job->dst, 0};
        return MTH_OK;
    }
    /* With less room Blosc writes its table of blocks without looking; with more it would overflow its int. */
    size_t capacity = bound(NULL, job->src.n_bytes);
    if (job->dst_capacity < capacity)
        return MTH_ERR_CAPACITY;
    int n = blosc_compress_ctx(state->level, state->shuffle, symbol_bytes(&job->type), job->src.n_bytes,
                               job->src.data, job->dst, capacity, state->compressor, 0, 1);
    if (n < 0)
        return MTH_ERR_LIBRARY;
    if (n == 0)
        return MTH_ERR_CAPACITY;
    job->out = (struct mth_bytes){job->dst, (size_t)n};
    return MTH_OK;
}

static int decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    (void)opaque;
    for (size_t i = 0; i < n_jobs; i++) {
        struct mth_decode_job *job = &jobs[i];
        /* An empty stream is empty on the wire too. */
        if (job->dst_bytes == 0) {
            if (job->src.n_bytes != 0)
                return MTH_ERR_CORRUPT;
            continue;
        }
        size_t n_bytes;
        if (blosc_cbuffer_validate(job->src.data, job->src.n_bytes, &n_bytes) < 0 ||
            n_bytes != job->dst_bytes)
            return MTH_ERR_CORRUPT;
        int n = blosc_decompress_ctx(job->src.data, job->dst, job->dst_bytes, 1);
        if (n < 0 || (size_t)n != job->dst_bytes)
            return MTH_ERR_CORRUPT;
    }
    return MTH_OK;
}

/*
 * Blosc's scratch, from malloc: three blocks and the state of its compressor. A block is at most the stream, 8 MiB at level
 * 9 of zlib and zstd, and an own context of these compressors a few MiB.
 */
static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    enum { BLOCK_BYTES = 8 << 20, COMPRESSOR_BYTES = 8 << 20 };
    (void)values, (void)side;
    return sizeof(struct blosc_state) + 4 * (stream_bytes < BLOCK_BYTES ? stream_bytes : BLOCK_BYTES) +
           COMPRESSOR_BYTES;
}

const struct mth_codec mth_codec_blosc = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "blosc",
    .summary = "Blosc 1: shuffle, then a fast compressor",
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
