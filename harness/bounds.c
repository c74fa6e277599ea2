/* Order-0 bounds; see bounds.h. */
#include "harness/bounds.h"

#include "formats/region_match.h"
#include "harness/entropy.h"
#include "harness/state_bound.h"
#include "harness/step_entropy.h"
#include "pipeline/base_match.h"
#include "transforms/predictors/float_convert.h"

#include <math.h>

/* Regions with a counterpart in the base and those without are pooled apart. */
struct pools {
    struct mth_entropy_counter *alone[MTH_N_DTYPES];
    struct mth_entropy_counter *paired[MTH_N_DTYPES];
    struct mth_step_entropy *steps[MTH_N_DTYPES][2]; /* the second of regions that have an older base */
    double step_bits;    /* of regions with a counterpart, by the model of steps */
    uint64_t tail_bytes; /* behind the last whole lane of a region */
};

static void pools_free(struct pools *pools)
{
    for (size_t i = 0; i < MTH_N_DTYPES; i++) {
        mth_entropy_counter_destroy(pools->alone[i]);
        mth_entropy_counter_destroy(pools->paired[i]);
        for (size_t k = 0; k < 2; k++)
            mth_step_entropy_destroy(pools->steps[i][k]);
    }
}

static unsigned parts_alone(enum mth_dtype dtype)
{
    return mth_dtype_info(dtype)->exponent_bits ? MTH_ENTROPY_EXPONENT : MTH_ENTROPY_PLANES;
}

static int count_alone(struct pools *pools, enum mth_dtype dtype, const uint8_t *data, size_t n_bytes,
                       struct mth_memory *memory)
{
    struct mth_entropy_counter **counter = &pools->alone[dtype];
    if (!*counter)
        *counter = mth_entropy_counter_create(dtype, parts_alone(dtype), memory);
    if (!*counter)
        return MTH_ERR_NO_MEMORY;
    mth_entropy_count(*counter, data, NULL, n_bytes);
    return MTH_OK;
}

static int count_paired(struct pools *pools, enum mth_dtype dtype, const uint8_t *data, const uint8_t *base,
                        const uint8_t *older, size_t n_bytes, struct mth_memory *memory)
{
    struct mth_entropy_counter **counter = &pools->paired[dtype];
    struct mth_step_entropy **steps = &pools->steps[dtype][older != NULL];
    if (!*counter)
        *counter = mth_entropy_counter_create(dtype, MTH_ENTROPY_XOR, memory);
    if (!*steps)
        *steps = mth_step_entropy_create(dtype, older != NULL, memory);
    if (!*counter || !*steps)
        return MTH_ERR_NO_MEMORY;
    mth_entropy_count(*counter, data, base, n_bytes);
    pools->step_bits += mth_step_entropy_bits(*steps, data, base, older, n_bytes);
    return MTH_OK;
}

/* The same against a base that keeps the elements in another dtype. */
static int count_converted(struct pools *pools, enum mth_dtype dtype, const uint8_t *data,
                           enum mth_dtype base_dtype, const uint8_t *base, size_t n_elems,
                           struct mth_memory *memory)
{
    size_t n_bytes = n_elems * mth_dtype_lane_bytes(dtype);
    uint8_t *converted = mth_memory_alloc(memory, n_bytes);
    if (!converted)
        return MTH_ERR_NO_MEMORY;
    mth_float_convert(base_dtype, dtype, n_elems, base, converted);
    int status = count_paired(pools, dtype, data, converted, NULL, n_bytes, memory);
    mth_memory_free(memory, converted);
    return status;
}

/* A checkpoint and what it is coded against, as a plan would pair them. */
struct against {
    const struct mth_checkpoint *input, *base, *older; /* NULL where there is none */
    struct mth_alignment *alignments, *older_alignments;
};

/* What the older base has of a region that all of it has a counterpart in its own dtype of; NULL: it has no such. */
static const uint8_t *older_of(const struct against *against, size_t index)
{
    const struct mth_region *region = &against->input->map->regions[index];
    if (!against->older)
        return NULL;
    const struct mth_alignment *pair = &against->older_alignments[index];
    if (pair->kind == MTH_ALIGNED_NOT || pair->kind == MTH_ALIGNED_CONVERTED ||
        pair->n_elems * mth_dtype_lane_bytes(region->dtype) != region->n_bytes)
        return NULL;
    const struct mth_region_map *map = against->older->map;
    return against->older->data + map->regions[pair->base_region].offset;
}

/* What has a counterpart stands in front. */
static int count_region(struct pools *pools, const struct against *against, size_t index)
{
    const struct mth_checkpoint *base = against->base;
    const struct mth_alignment *alignment = base ? &against->alignments[index] : NULL;
    const struct mth_region *region = &against->input->map->regions[index];
    const uint8_t *data = against->input->data + region->offset;
    struct mth_memory *memory = against->input->map->memory;
    size_t lane_bytes = mth_dtype_lane_bytes(region->dtype), n_front = 0;
    int status = MTH_OK;
    /* Headers are counted alone, as they always were: bounds are of tensors. */
    if (alignment && alignment->kind != MTH_ALIGNED_NOT && alignment->kind != MTH_ALIGNED_OPAQUE) {
        const struct mth_region *of = &base->map->regions[alignment->base_region];
        const uint8_t *before = base->data + of->offset;
        n_front = (size_t)alignment->n_elems * lane_bytes;
        status =
            alignment->kind == MTH_ALIGNED_CONVERTED
                ? count_converted(pools, region->dtype, data, of->dtype, before, (size_t)alignment->n_elems,
                                  memory)
                : count_paired(pools, region->dtype, data, before,
                               n_front == region->n_bytes ? older_of(against, index) : NULL, n_front, memory);
    }
    size_t n_rest = (size_t)region->n_bytes - n_front;
    if (!status && n_rest >= lane_bytes)
        status = count_alone(pools, region->dtype, data + n_front, n_rest, memory);
    pools->tail_bytes += n_rest % lane_bytes;
    return status;
}

static double bits_alone(const struct mth_entropy_counter *counter, enum mth_dtype dtype)
{
    struct mth_entropy entropy;
    mth_entropy_result(counter, &entropy);
    const struct mth_dtype_info *info = mth_dtype_info(dtype);
    double bits = 0;
    if (info->exponent_bits)
        bits = entropy.exponent + info->lane_bits - info->exponent_bits;
    for (size_t i = 0; i < entropy.n_planes; i++)
        bits += entropy.planes[i];
    return bits * (double)entropy.n_lanes;
}

static double bits_paired(const struct mth_entropy_counter *counter)
{
    struct mth_entropy entropy;
    mth_entropy_result(counter, &entropy);
    double bits = 0;
    for (size_t i = 0; i < entropy.n_planes; i++)
        bits += entropy.xor_planes[i];
    return bits * (double)entropy.n_lanes;
}

static double ratio_of(uint64_t raw_bytes, double bits)
{
    if (raw_bytes == 0)
        return 1;
    return bits > 0 ? (double)raw_bytes * 8 / bits : INFINITY;
}

/* Bits of all regions that are not left out, and by which model those with a counterpart are. */
static int count_all(const struct against *against, const bool *left_out, struct mth_bound *out)
{
    const struct mth_region_map *map = against->input->map;
    struct pools pools = {0};
    int status = MTH_OK;
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        if (region->dtype == MTH_DTYPE_OPAQUE || (left_out && left_out[i]))
            continue;
        status = count_region(&pools, against, i);
    }
    if (!status) {
        double bits = 8.0 * (double)pools.tail_bytes, xor_bits = 0;
        for (int dtype = 0; dtype < MTH_N_DTYPES; dtype++) {
            if (pools.alone[dtype])
                bits += bits_alone(pools.alone[dtype], (enum mth_dtype)dtype);
            if (pools.paired[dtype])
                xor_bits += bits_paired(pools.paired[dtype]);
        }
        bool by_steps = against->base && pools.step_bits < xor_bits;
        out->model = !against->base   ? "order0-exponent"
                     : !by_steps      ? "order0-xor-bytes"
                     : against->older ? "ulp-given-exponent-and-direction"
                                      : "ulp-given-exponent";
        out->bits = bits + (by_steps ? pools.step_bits : xor_bits);
    }
    pools_free(&pools);
    return status;
}

/* With what is told of training states, where that is less. */
static int try_states(const struct against *against, struct mth_bound *out)
{
    const struct mth_checkpoint *input = against->input, *base = against->base;
    const struct mth_region_map *map = input->map;
    uint64_t *base_offsets = mth_memory_calloc(map->memory, map->n_regions, sizeof *base_offsets);
    bool *covered = mth_memory_calloc(map->memory, map->n_regions, sizeof *covered);
    struct mth_bound rest = {.bits = 0};
    double bits = 0;
    int status = base_offsets && covered ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status)
        status = mth_region_match(map, base->map, base_offsets);
    if (!status)
        status = mth_state_bound(input, base, base_offsets, covered, &bits);
    if (!status && bits > 0)
        status = count_all(against, covered, &rest);
    if (!status && bits > 0 && bits + rest.bits < out->bits)
        *out = (struct mth_bound){.model = "adam-steps-apart", .bits = bits + rest.bits};
    mth_memory_free(map->memory, base_offsets);
    mth_memory_free(map->memory, covered);
    return status;
}

/* The counterparts that a plan would take. */
static int align(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                 struct mth_alignment *alignments)
{
    struct mth_source source, base_source;
    struct mth_paired paired = {0};
    struct mth_error err;
    mth_source_memory("input", (struct mth_bytes){input->data, (size_t)input->map->n_bytes}, &source);
    mth_source_memory("the base", (struct mth_bytes){base->data, (size_t)base->map->n_bytes}, &base_source);
    struct mth_stream_base stream = {.source = &base_source, .map = base->map};
    return mth_base_align(&source, input->map, &stream, alignments, &paired, &err);
}

int mth_bound_compute(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                      struct mth_bound *out)
{
    return mth_bound_compute_directed(input, base, NULL, out);
}

int mth_bound_compute_directed(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                               const struct mth_checkpoint *older, struct mth_bound *out)
{
    const struct mth_region_map *map = input->map;
    struct against against = {.input = input, .base = base, .older = older};
    int status = MTH_OK;
    if (base) {
        against.alignments = mth_memory_calloc(map->memory, map->n_regions, sizeof *against.alignments);
        status = against.alignments ? align(input, base, against.alignments) : MTH_ERR_NO_MEMORY;
    }
    if (!status && older) {
        against.older_alignments =
            mth_memory_calloc(map->memory, map->n_regions, sizeof *against.older_alignments);
        status = against.older_alignments ? align(input, older, against.older_alignments) : MTH_ERR_NO_MEMORY;
    }
    if (!status)
        status = count_all(&against, NULL, out);
    if (!status && base)
        status = try_states(&against, out);
    if (!status)
        out->ratio = ratio_of(map->n_bytes, out->bits);
    mth_memory_free(map->memory, against.alignments);
    mth_memory_free(map->memory, against.older_alignments);
    return status;
}
