/* Values drawn by counter with integers only, so that every host draws the same ones. */
#ifndef MTH_DATASETS_DRAWN_H
#define MTH_DATASETS_DRAWN_H

#include <stdint.h>

/*
 * Output number counter of splitmix64 from a seed: a hash of the two, no state.
 * Source  Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014)
 */
uint64_t mth_drawn_bits(uint64_t seed, uint64_t counter);

/* A normal variate times 2^21; its tails end at six standard deviations. */
int64_t mth_drawn_normal(uint64_t seed, uint64_t index);

/* value * 2^-45 as bf16, to nearest, ties to even. No integer is small enough to be subnormal. */
uint16_t mth_drawn_bf16(int64_t value);

#endif
