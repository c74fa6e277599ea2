/* Order-0 bounds; see bounds.h. */
#include "harness/bounds.h"

#include "formats/region_match.h"
#include "harness/entropy.h"
#include "harness/state_bound.h"
#include "harness/step_entropy.h"

#include <math.h>

/* Regions with a counterpart in the base and those without are pooled apart. */
struct pools {
    struct mth_entropy_counter *alone[MTH_N_DTYPES];
    struct mth_entropy_counter *paired[MTH_N_DTYPES];
    struct mth_step_entropy *steps[MTH_N_DTYPES];
    double step_bits;    /* of regions with a counterpart, by the model of steps */
    uint64_t tail_bytes; /* behind the last whole lane of a region */
};

static void pools_free(struct pools *pools)
{
    for (size_t i = 0; i < MTH_N_DTYPES; i++) {
        mth_entropy_counter_destroy(pools->alone[i]);
        mth_entropy_counter_destroy(pools->paired[i]);
        mth_step_entropy_destroy(pools->steps[i]);
    }
}

static unsigned parts_alone(enum mth_dtype dtype)
{
    return mth_dtype_info(dtype)->exponent_bits ? MTH_ENTROPY_EXPONENT : MTH_ENTROPY_PLANES;
}

static int count_region(struct pools *pools, const struct mth_region *region, const uint8_t *data,
                        const uint8_t *base, struct mth_memory *memory)
{
    struct mth_entropy_counter **counter =
        base ? &pools->paired[region->dtype] : &pools->alone[region->dtype];
    if (!*counter)
        *counter = mth_entropy_counter_create(region->dtype,
                                              base ? MTH_ENTROPY_XOR : parts_alone(region->dtype), memory);
    if (!*counter)
        return MTH_ERR_NO_MEMORY;
    mth_entropy_count(*counter, data, base, (size_t)region->n_bytes);
    if (base) {
        struct mth_step_entropy **steps = &pools->steps[region->dtype];
        if (!*steps)
            *steps = mth_step_entropy_create(region->dtype, memory);
        if (!*steps)
            return MTH_ERR_NO_MEMORY;
        pools->step_bits += mth_step_entropy_bits(*steps, data, base, (size_t)region->n_bytes);
    }
    pools->tail_bytes += region->n_bytes % mth_dtype_lane_bytes(region->dtype);
    return MTH_OK;
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
static int count_all(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                     const uint64_t *base_offsets, const bool *left_out, struct mth_bound *out)
{
    const struct mth_region_map *map = input->map;
    struct pools pools = {0};
    int status = MTH_OK;
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        if (region->dtype == MTH_DTYPE_OPAQUE || (left_out && left_out[i]))
            continue;
        bool paired = base && base_offsets[i] != MTH_NO_MATCH;
        status = count_region(&pools, region, input->data + region->offset,
                              paired ? base->data + base_offsets[i] : NULL, map->memory);
    }
    if (!status) {
        double bits = 8.0 * (double)pools.tail_bytes, xor_bits = 0;
        for (int dtype = 0; dtype < MTH_N_DTYPES; dtype++) {
            if (pools.alone[dtype])
                bits += bits_alone(pools.alone[dtype], (enum mth_dtype)dtype);
            if (pools.paired[dtype])
                xor_bits += bits_paired(pools.paired[dtype]);
        }
        bool by_steps = base && pools.step_bits < xor_bits;
        out->model = by_steps ? "ulp-given-exponent" : base ? "order0-xor-bytes" : "order0-exponent";
        out->bits = bits + (by_steps ? pools.step_bits : xor_bits);
    }
    pools_free(&pools);
    return status;
}

/* With what is told of training states, where that is less. */
static int try_states(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                      const uint64_t *base_offsets, struct mth_bound *out)
{
    struct mth_memory *memory = input->map->memory;
    bool *covered = mth_memory_calloc(memory, input->map->n_regions, sizeof *covered);
    struct mth_bound rest = {.bits = 0};
    double bits = 0;
    int status = covered ? mth_state_bound(input, base, base_offsets, covered, &bits) : MTH_ERR_NO_MEMORY;
    if (!status && bits > 0)
        status = count_all(input, base, base_offsets, covered, &rest);
    if (!status && bits > 0 && bits + rest.bits < out->bits)
        *out = (struct mth_bound){.model = "adam-steps-apart", .bits = bits + rest.bits};
    mth_memory_free(memory, covered);
    return status;
}

int mth_bound_compute(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                      struct mth_bound *out)
{
    const struct mth_region_map *map = input->map;
    uint64_t *base_offsets = NULL;
    int status = MTH_OK;
    if (base) {
        base_offsets = mth_memory_calloc(map->memory, map->n_regions, sizeof *base_offsets);
        status = base_offsets ? mth_region_match(map, base->map, base_offsets) : MTH_ERR_NO_MEMORY;
    }
    if (!status)
        status = count_all(input, base, base_offsets, NULL, out);
    if (!status && base)
        status = try_states(input, base, base_offsets, out);
    if (!status)
        out->ratio = ratio_of(map->n_bytes, out->bits);
    mth_memory_free(map->memory, base_offsets);
    return status;
}
