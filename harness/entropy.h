/* Order-0 entropy of the parts of tensor elements: exponents, signs, mantissas, byte planes, differences to a
 * base. */
#ifndef MTH_HARNESS_ENTROPY_H
#define MTH_HARNESS_ENTROPY_H

#include "base/dtype.h"
#include "base/memory.h"

#include <stddef.h>
#include <stdint.h>

enum mth_entropy_parts {
    MTH_ENTROPY_EXPONENT = 1 << 0, /* of floats */
    MTH_ENTROPY_FIELDS = 1 << 1,   /* sign and mantissa of floats */
    MTH_ENTROPY_PLANES = 1 << 2,   /* byte i of every lane */
    MTH_ENTROPY_XOR = 1 << 3       /* byte i of every lane's xor with the base, and how many lanes differ */
};

enum { MTH_ENTROPY_MAX_PLANES = 8 };

/* Bits a lane, as an ideal order-0 coder would spend them; 0 for what was not counted or is not there. */
struct mth_entropy {
    uint64_t n_lanes;
    uint64_t n_changed; /* lanes that differ from the base */
    size_t n_planes;
    unsigned n_exponents; /* distinct ones */
    double exponent;
    double sign;
    double mantissa;                       /* above 12 bits: the sum over pieces of 12 bits, from the top */
    double planes[MTH_ENTROPY_MAX_PLANES]; /* least significant byte first */
    double xor_planes[MTH_ENTROPY_MAX_PLANES];
};

/* Counts of symbols, in integers: doubles come in only when the result is asked for. */
struct mth_entropy_counter;

/* NULL when there is no memory. parts: enum mth_entropy_parts. */
struct mth_entropy_counter *mth_entropy_counter_create(enum mth_dtype dtype, unsigned parts,
                                                       struct mth_memory *memory);
void mth_entropy_counter_destroy(struct mth_entropy_counter *counter);
void mth_entropy_counter_reset(struct mth_entropy_counter *counter);

/*
 * Count the lanes of n_bytes; what is left behind the last whole lane is not counted. base: as many bytes, or
 * NULL where MTH_ENTROPY_XOR was not asked for. Cost: about 1 ns a lane and part.
 */
void mth_entropy_count(struct mth_entropy_counter *counter, const uint8_t *data, const uint8_t *base,
                       size_t n_bytes);

void mth_entropy_result(const struct mth_entropy_counter *counter, struct mth_entropy *out);

#endif
