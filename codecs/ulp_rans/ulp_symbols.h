/*
 * Steps of changed elements as symbols, signs and bits.
 *
 * A step is a sign and a magnitude m >= 1. v = m - 1; its lowest table->shift[context] bits are stored as they are, the others
 * are u. Symbols 0 .. 7 are u; 8 + k stands for u from 6 + 2^(k+1) on, of which k + 1 bits follow; the escape for v in all bits.
 */
#ifndef MTH_CODECS_ULP_SYMBOLS_H
#define MTH_CODECS_ULP_SYMBOLS_H

#include "codecs/ulp_rans/ulp_bits.h"
#include "codecs/ulp_rans/ulp_kernels.h"

/* What a stream of n steps becomes. */
struct mth_ulp_parts {
    uint8_t *symbols; /* n */
    uint8_t *signs;   /* (n + 7) / 8: bit i, whether step i goes down; bits behind the last are 0 */
    struct mth_ulp_bit_writer extra;
};

/* The bits of v, 0 for v = 0: for the choice of a shift. */
unsigned mth_ulp_step_bits(unsigned lane_bits, const uint8_t *steps, size_t i);
/* The same where lanes have 32 bits. */
static inline unsigned mth_ulp_step_bits32(const uint8_t *steps, size_t i)
{
    uint32_t step = mth_lane_load32(steps + 4 * i), down = 0 - (step >> 31), v = ((step ^ down) - down) - 1;
    return v ? 32u - (unsigned)__builtin_clz(v) : 0;
}

/* Errors: false when there is no room for extra bits. */
bool mth_ulp_split(const struct mth_ulp_kernels *kernels, unsigned lane_bits,
                   const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *steps, const uint8_t *contexts,
                   size_t n, struct mth_ulp_parts *parts);

/* The inverse. Errors: false when bits end too early, or stand for steps that there are not. */
bool mth_ulp_join(const struct mth_ulp_kernels *kernels, unsigned lane_bits,
                  const uint8_t shift[MTH_ULP_CONTEXTS], const uint8_t *symbols, const uint8_t *signs,
                  const uint8_t *contexts, size_t n, struct mth_ulp_bit_reader *extra, uint8_t *steps);

#endif
