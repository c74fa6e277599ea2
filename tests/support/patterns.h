/* Test data: kinds of content that checkpoints and their streams have, the same bytes on every machine. */
#ifndef MTH_TESTS_PATTERNS_H
#define MTH_TESTS_PATTERNS_H

#include <stddef.h>
#include <stdint.h>

enum pattern {
    PATTERN_ZEROS,
    PATTERN_CONSTANT, /* one byte that is not zero */
    PATTERN_RANDOM,   /* every byte alike */
    PATTERN_TEXT,     /* words of a small vocabulary */
    PATTERN_EXPONENT, /* exponents of bf16 weights: about 2.6 bits a byte */
    PATTERN_MANTISSA, /* signs and mantissas of bf16 weights: nearly random */
    PATTERN_RAMP,     /* 0, 1, 2 .. 255, 0 .. */
    PATTERN_SPARSE,   /* zeros, one byte in 64 is not */
    PATTERN_FLOAT,    /* f32 values on a smooth curve, now and then NaN, infinity, -0 or a denormal */
    N_PATTERNS
};

/* Lower case, for messages and golden tables. */
const char *pattern_name(enum pattern pattern);

/* Fill dst with n bytes. Another seed gives other bytes of the same kind (zeros and ramps stay what they
 * are). */
void pattern_fill(enum pattern pattern, uint64_t seed, uint8_t *dst, size_t n);

/* The next number of a generator (splitmix64) whose state is any number. */
uint64_t pattern_random(uint64_t *state);

#endif
