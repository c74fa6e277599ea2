/*
 * rans: order-0 entropy coding of bytes by interleaved rANS, our own wire format (spec.md).
 *
 * The files: rans_encode.c and rans_decode.c bind streams to kernels, rans_models.c does the tables that streams share,
 * rans_narrow*.c are the kernels for up to 32 symbols, rans_wide*.c those for any alphabet.
 *
 * Source    J. Duda, "Asymmetric numeral systems", 2013, section 3; interleaving after F. Giesen, "Interleaved entropy
 *           coders", 2014. Differs in states of 16 bits over 256 slots, renormalised by bytes, so that a state is two bytes
 *           of two planes and its slot is one of them
 */
#include "codecs/rans/rans_stream.h"

#include "base/cpu.h"

static const char *const aims[] = {"speed", "size"};
static const struct mth_option options[] = {
    {"aim", "speed: of two tables about as good the faster one; size: the better one, from a larger sample",
     MTH_RANS_AIM_SPEED, MTH_RANS_AIM_SIZE, MTH_RANS_AIM_SPEED, aims},
};

/* Raw is the worst case. The 1 also keeps an empty stream apart from "can not". */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    return src_bytes == SIZE_MAX ? 0 : src_bytes + 1;
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    (void)sides;
    struct mth_rans_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    state->for_size = values[MTH_RANS_OPTION_AIM] == MTH_RANS_AIM_SIZE;
    state->kernels = mth_rans_narrow_kernels_for(mth_cpu_features());
    state->wide_kernels = mth_rans_wide_kernels_for(mth_cpu_features());
    *out = state;
    return MTH_OK;
}

static void destroy(void *opaque)
{
    struct mth_rans_state *state = opaque;
    if (state)
        mth_memory_free(state->memory, state);
}

static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    (void)values, (void)side, (void)stream_bytes;
    return sizeof(struct mth_rans_state);
}

const struct mth_codec mth_codec_rans = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "rans",
    .summary = "interleaved rANS for exponents and other bytes of few values",
    .flags = MTH_CODEC_INTERLEAVES,
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = mth_rans_encode,
    .decode = mth_rans_decode,
    .models = &mth_rans_models,
    .state_bytes = state_bytes,
};
