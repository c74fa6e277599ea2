/*
 * A plug-in for tests: the codec `moody` makes other bytes each time, which no codec may. A stream of one byte over and over becomes
 * a number that nothing reads, which is another one in each call, and that byte. It takes no other streams.
 */
#include "pipeline/mithril.h"

#include <string.h>

enum { ENCODED_BYTES = 2 };

static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values, (void)src_bytes;
    return ENCODED_BYTES;
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    static int nothing;
    (void)values, (void)sides, (void)memory;
    *out = &nothing;
    return MTH_OK;
}

static void destroy(void *state)
{
    (void)state;
}

static int encode(void *state, struct mth_encode_job *job)
{
    static uint8_t n_calls;
    size_t n = job->src.n_bytes;
    (void)state;
    if (n == 0 || memcmp(job->src.data, job->src.data + 1, n - 1) != 0)
        return MTH_ERR_UNSUPPORTED;
    job->dst[0] = n_calls++;
    job->dst[1] = job->src.data[0];
    job->out = (struct mth_bytes){job->dst, ENCODED_BYTES};
    return MTH_OK;
}

static int decode(void *state, struct mth_decode_job *jobs, size_t n_jobs)
{
    (void)state;
    for (size_t i = 0; i < n_jobs; i++) {
        if (jobs[i].src.n_bytes != ENCODED_BYTES)
            return MTH_ERR_CORRUPT;
        memset(jobs[i].dst, jobs[i].src.data[1], jobs[i].dst_bytes);
    }
    return MTH_OK;
}

static const struct mth_codec codec_moody = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "moody",
    .summary = "for tests: other bytes each time",
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
};

static const struct mth_codec *const codecs[] = {&codec_moody};

extern const struct mth_plugin mth_plugin;
const struct mth_plugin mth_plugin = {
    .abi = MTH_PLUGIN_ABI,
    .codecs = codecs,
    .n_codecs = sizeof codecs / sizeof codecs[0],
};
