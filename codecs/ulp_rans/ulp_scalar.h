/* The kernels of flags and symbols in plain C; see ulp_kernels.h. */
#ifndef MTH_CODECS_ULP_SCALAR_H
#define MTH_CODECS_ULP_SCALAR_H

#include "base/lane.h"
#include "codecs/ulp_rans/ulp_kernels.h"

/* Bit i of the result is flags[i], 0 or 1. A product puts the eight bits of a word beside each other. */
static inline uint32_t mth_ulp_mask_of(const uint8_t flags[MTH_ULP_GROUP])
{
    uint32_t mask = 0;
    for (unsigned i = 0; i < MTH_ULP_GROUP; i += 8)
        mask |= (uint32_t)(mth_lane_load64(flags + i) * 0x0102040810204080u >> 56) << i;
    return mask;
}

/* The inverse of eight bits: byte i is bit i. A bit in its byte carries to the highest one. */
static inline uint64_t mth_ulp_flags_of(uint64_t bits)
{
    const uint64_t ones = 0x0101010101010101, bit_of_byte = 0x8040201008040201, all = 0x7f7f7f7f7f7f7f7f;
    return ((bits * ones & bit_of_byte) + all) >> 7 & ones;
}

size_t mth_ulp_scalar_decode_flags(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                   const uint8_t *contexts, size_t first, size_t n_groups, uint32_t *masks);
size_t mth_ulp_scalar_encode_flags(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                   const uint8_t *contexts, size_t first, size_t n_groups,
                                   const uint32_t *masks);
size_t mth_ulp_scalar_decode_symbols(const struct mth_ulp_table *table, struct mth_rans_reader *reader,
                                     const uint8_t *contexts, size_t n_steps, uint8_t *symbols);
size_t mth_ulp_scalar_encode_symbols(const struct mth_ulp_table *table, struct mth_rans_writer *writer,
                                     const uint8_t *contexts_end, const uint8_t *symbols_end, size_t n_steps);

#endif
