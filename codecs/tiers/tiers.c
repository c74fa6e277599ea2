/*
 * tiers: bytes of few values, two by two in codes of 5 bits, what has none in further tiers; our own wire format (spec.md).
 *
 * It gives up a few percent of what entropy allows so that both directions are shuffles of vectors, and read no bits. The
 * files: tiers_encode.c and tiers_decode.c bind streams to kernels, tiers_table.c chooses the codes, tiers_portable.c and
 * tiers_avx2.c are the kernels.
 */
#include "codecs/tiers/tiers_stream.h"

#include "base/cpu.h"

/* Raw is the worst case. The 1 also keeps an empty stream apart from "can not". */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    return src_bytes == SIZE_MAX ? 0 : src_bytes + 1;
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    (void)values;
    (void)sides;
    struct mth_tiers_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    state->kernels = mth_tiers_kernels_for(mth_cpu_features());
    *out = state;
    return MTH_OK;
}

static void destroy(void *opaque)
{
    struct mth_tiers_state *state = opaque;
    if (state)
        mth_memory_free(state->memory, state);
}

static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    (void)values, (void)side, (void)stream_bytes;
    return sizeof(struct mth_tiers_state);
}

const struct mth_codec mth_codec_tiers = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "tiers",
    .summary = "pairs of bytes of few values in codes of 5 bits, for speed",
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = mth_tiers_encode,
    .decode = mth_tiers_decode,
    .state_bytes = state_bytes,
};
