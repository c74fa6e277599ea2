/*
 * chance-rans: which of two neighbours each element is, by rANS given a class that the reference tells.
 *
 * What stochastic rounding made of a value is one of the two next to it, and how near the value was says how likely each is. The
 * predictors of such copies (transforms/predictors/rounded.h) give a stand-in whose exponent is that class, and an element is its
 * stand-in or one more. A bit an element is so little that bytes beside it count: one state of 32 lanes for all classes, and two bytes of a
 * table for each. spec.md describes the bytes.
 *
 * Source    rANS as in codecs/rans
 */
#include "codecs/chance_rans/chance_stream.h"

#include "base/cpu.h"

/* Raw is the worst case. */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    return src_bytes == SIZE_MAX ? 0 : src_bytes + 1;
}

static void destroy(void *opaque)
{
    struct mth_chance_state *state = opaque;
    if (!state)
        return;
    mth_memory_free(state->memory, state->table);
    mth_memory_free(state->memory, state);
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    (void)values;
    struct mth_chance_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    state->kernels = mth_chance_kernels_for(mth_cpu_features());
    state->wide_kernels = mth_rans_wide_kernels_for(mth_cpu_features());
    if (sides & MTH_SIDE_ENCODE) {
        state->table = mth_memory_calloc(memory, 1, sizeof *state->table);
        if (!state->table) {
            destroy(state);
            return MTH_ERR_NO_MEMORY;
        }
        state->table->slot_bits = MTH_CHANCE_SLOT_BITS;
    }
    *out = state;
    return MTH_OK;
}

static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    (void)values;
    (void)stream_bytes;
    return sizeof(struct mth_chance_state) +
           (side & MTH_SIDE_ENCODE ? sizeof(struct mth_rans_wide_table) : 0);
}

struct mth_chance_known mth_chance_known_of(const struct mth_symbol_type *type,
                                            const struct mth_context *context, size_t n_bytes)
{
    struct mth_chance_known known = {.reference = NULL};
    const struct mth_dtype_info *info = mth_dtype_info(type->dtype);
    for (size_t i = 0; i < context->n_parts; i++) {
        const struct mth_context_part *part = &context->parts[i];
        if (part->kind == MTH_CONTEXT_REFERENCE && part->index == 0 && part->bytes.n_bytes == n_bytes)
            known.reference = part->bytes.data;
    }
    if (type->container_bits == 16 && type->symbol_bits == 16 && info->lane_bits == 16 &&
        info->exponent_bits) {
        known.shift = info->mantissa_bits;
        known.mask = (uint16_t)((1u << info->exponent_bits) - 1);
    }
    return known;
}

const uint8_t *mth_chance_reference_at(const struct mth_chance_known *known, size_t elem)
{
    static const uint8_t zeros[ELEM_BYTES * PIECE_ELEMS];
    return known->reference ? known->reference + ELEM_BYTES * elem : zeros;
}

uint32_t mth_chance_by_distance(uint32_t class)
{
    enum { FIRST = 2, N = MTH_CHANCE_CLASSES - FIRST };
    return class < FIRST ? 1 : ((2 * (class - FIRST) + 1) * MTH_CHANCE_SLOTS + N) / (2 * N);
}

const struct mth_codec mth_codec_chance_rans = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "chance-rans",
    .summary =
        "which of two neighbours elements are, by rANS given the class that the reference's exponent is",
    .flags = MTH_CODEC_CONTEXT | MTH_CODEC_NEEDS_REFERENCE,
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = mth_chance_encode_stream,
    .decode = mth_chance_decode_streams,
    .state_bytes = state_bytes,
};
