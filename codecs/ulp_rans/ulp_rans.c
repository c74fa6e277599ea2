/*
 * ulp-rans: by how many representable values elements moved from the base, given the exponent that the base has there.
 *
 * An optimizer's step below half a unit in the last place vanishes, and the next is one unit: whether an element changes, and by
 * how many units, depends on its exponent, which both sides know. So a flag for each element says whether it changed, coded
 * given the exponent; then come the steps of those that did, given the same; their signs, which are as good as random, are
 * stored. docs/delta.md tells what that gains, spec.md describes the bytes.
 *
 * The files: ulp_encode.c and ulp_decode.c bind blocks to kernels, ulp_table.c does the tables, ulp_symbols.c turns steps into
 * symbols, ulp_portable.c, ulp_avx2.c and ulp_avx512.c are the kernels.
 *
 * Source    the order of floats as integers: IEEE 754 totalOrder; rANS as in codecs/rans
 */
#include "codecs/ulp_rans/ulp_stream.h"

#include "base/cpu.h"

#include <string.h>

extern const struct mth_codec mth_codec_rans;

/* Of the codec for maps: `aim`, and that is size. */
static const int64_t map_options[] = {1};

/* Raw is the worst case. */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    return src_bytes == SIZE_MAX ? 0 : src_bytes + 1;
}

static void destroy(void *opaque)
{
    struct mth_ulp_state *state = opaque;
    if (!state)
        return;
    if (state->map_state)
        mth_codec_rans.destroy(state->map_state);
    mth_memory_free(state->memory, state->steps);
    mth_memory_free(state->memory, state->contexts);
    mth_memory_free(state->memory, state->symbols);
    mth_memory_free(state->memory, state->of_base);
    mth_memory_free(state->memory, state->coded);
    mth_memory_free(state->memory, state->signs);
    mth_memory_free(state->memory, state->masks);
    mth_memory_free(state->memory, state);
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    struct mth_ulp_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    (void)values;
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    state->kernels = mth_ulp_kernels_for(mth_cpu_features());
    mth_ulp_shuffles_fill(&state->shuffles);
    state->steps = mth_memory_alloc(memory, MTH_ULP_STEPS_BYTES);
    state->contexts = mth_memory_alloc(memory, MTH_ULP_BLOCK_ELEMS + MTH_ULP_SLACK_BYTES);
    state->symbols = mth_memory_alloc(memory, MTH_ULP_BLOCK_ELEMS + MTH_ULP_SLACK_BYTES);
    state->masks =
        mth_memory_calloc(memory, MTH_ULP_MASK_ARRAYS * MTH_ULP_BLOCK_GROUPS, sizeof *state->masks);
    if (sides & MTH_SIDE_ENCODE) {
        state->of_base = mth_memory_alloc(memory, MTH_ULP_BLOCK_ELEMS);
        state->coded = mth_memory_alloc(memory, MTH_ULP_CODED_BYTES);
    }
    if (sides & MTH_SIDE_DECODE)
        state->signs = mth_memory_alloc(memory, MTH_ULP_SIGNS_BYTES);
    int status = mth_codec_rans.create(map_options, sides, memory, &state->map_state);
    if (status || !state->steps || !state->contexts || !state->symbols || !state->masks ||
        (sides & MTH_SIDE_ENCODE && (!state->of_base || !state->coded)) ||
        (sides & MTH_SIDE_DECODE && !state->signs)) {
        destroy(state);
        return MTH_ERR_NO_MEMORY;
    }
    state->active = state->masks + MTH_ULP_BLOCK_GROUPS;
    state->numbers = state->active + MTH_ULP_BLOCK_GROUPS;
    state->turns = state->numbers + MTH_ULP_BLOCK_GROUPS;
    *out = state;
    return MTH_OK;
}

static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    (void)values;
    size_t n = sizeof(struct mth_ulp_state) + MTH_ULP_STEPS_BYTES + 2 * MTH_ULP_BLOCK_ELEMS +
               2 * MTH_ULP_SLACK_BYTES + MTH_ULP_MASK_ARRAYS * MTH_ULP_BLOCK_GROUPS * sizeof(uint32_t);
    if (side & MTH_SIDE_ENCODE)
        n += MTH_ULP_BLOCK_ELEMS + MTH_ULP_CODED_BYTES;
    if (side & MTH_SIDE_DECODE)
        n += MTH_ULP_SIGNS_BYTES;
    return n + mth_codec_rans.state_bytes(map_options, side, stream_bytes);
}

bool mth_ulp_format_of(const struct mth_symbol_type *type, struct mth_ulp_format *format)
{
    const struct mth_dtype_info *info = mth_dtype_info(type->dtype);
    unsigned bits = type->container_bits;
    bool is_lane = type->symbol_bits == bits && (bits == 8 || bits == 16 || bits == 32 || bits == 64);
    *format = (struct mth_ulp_format){.lane_bits = bits};
    if (!is_lane || (info->exponent_bits && info->lane_bits != bits))
        return false;
    format->exponent_bits = info->exponent_bits;
    format->mantissa_bits = info->mantissa_bits;
    return true;
}

/* The reference of a number. */
static const uint8_t *reference_of(const struct mth_context *context, size_t number, size_t n_bytes)
{
    for (size_t i = 0; i < context->n_parts; i++) {
        if (context->parts[i].kind == MTH_CONTEXT_REFERENCE && context->parts[i].index == number)
            return context->parts[i].bytes.n_bytes == n_bytes ? context->parts[i].bytes.data : NULL;
    }
    return NULL;
}

const uint8_t *mth_ulp_base_of(const struct mth_context *context, size_t n_bytes)
{
    return reference_of(context, 0, n_bytes);
}

const uint8_t *mth_ulp_older_of(const struct mth_context *context, size_t n_bytes)
{
    return mth_ulp_base_of(context, n_bytes) ? reference_of(context, 1, n_bytes) : NULL;
}

void mth_ulp_contexts(struct mth_ulp_state *state, const struct mth_ulp_format *format, const uint8_t *base,
                      size_t n_full, const uint32_t *numbers, size_t first, size_t n, uint8_t *out)
{
    size_t group_bytes = MTH_ULP_GROUP * (format->lane_bits / 8);
    unsigned top = state->table.top;
    if (!numbers) {
        size_t n_whole = first + n <= n_full ? n : n_full - first;
        state->kernels->contexts(format, mth_ulp_base_at(state, base, group_bytes, first), n_whole, top, out);
        if (n_whole < n)
            state->kernels->contexts(format, state->last_base, 1, top, out + n_whole * MTH_ULP_GROUP);
        return;
    }
    for (size_t i = 0; i < n; i++, out += MTH_ULP_GROUP) {
        size_t number = numbers[first + i];
        const uint8_t *group =
            number < n_full ? mth_ulp_base_at(state, base, group_bytes, number) : state->last_base;
        state->kernels->contexts(format, group, 1, top, out);
    }
}

void mth_ulp_fill_last(const struct mth_ulp_format *format, const uint8_t *from, size_t n_elems,
                       uint8_t *group)
{
    size_t lane_bytes = format->lane_bits / 8, n_left = n_elems % MTH_ULP_GROUP;
    memset(group, 0, MTH_ULP_GROUP * lane_bytes);
    if (n_left && from)
        memcpy(group, from + (n_elems - n_left) * lane_bytes, n_left * lane_bytes);
}

size_t mth_ulp_symbol_lanes(size_t n)
{
    enum { SYMBOLS_A_LANE = 128, MAX_LANES = MTH_RANS_MAX_LANES, MANY = 1 << 14 };
    size_t lanes = 1, most = n >= MANY ? MAX_LANES : MAX_LANES / 2;
    while (lanes < most && lanes * 2 * SYMBOLS_A_LANE <= n)
        lanes *= 2;
    return lanes;
}

const struct mth_codec mth_codec_ulp_rans = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "ulp-rans",
    .summary = "steps from the base in units of the last place, by rANS given the base's exponent",
    .flags = MTH_CODEC_CONTEXT | MTH_CODEC_NEEDS_REFERENCE | MTH_CODEC_TAKES_OLDER | MTH_CODEC_TAKES_ROWS |
             MTH_CODEC_DIGESTS,
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = mth_ulp_encode,
    .decode = mth_ulp_decode,
    .state_bytes = state_bytes,
    .decode_digested = mth_ulp_decode_digested,
};
