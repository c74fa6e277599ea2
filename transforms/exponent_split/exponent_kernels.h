/*
 * The kernels of exponent-split: floats of one format to exponents and packed signs with mantissas, and back.
 *
 * One table an instruction set; all of them give the same bytes. A run may be coded in pieces whose lengths are
 * multiples of 8 elements, since the packing starts anew with each eight.
 */
#ifndef MTH_TRANSFORMS_EXPONENT_KERNELS_H
#define MTH_TRANSFORMS_EXPONENT_KERNELS_H

#include "base/stream.h"

#include <stddef.h>
#include <stdint.h>

enum { MTH_N_EXPONENT_FORMATS = 6, MTH_EXPONENT_GROUP_ELEMS = 8 };

struct mth_exponent_format {
    uint8_t lane_bits, exponent_bits, mantissa_bits;
    /*
     * Shape     src: n elements of lane_bits; exponent: n bytes, 2n where exponent_bits > 8; sign_mantissa: n fields of
     *           1 + mantissa_bits bits, sign highest, lowest bit first, the last byte filled up with zeros
     * Requires  no overlap; any alignment
     * Exact     for every bit pattern; n = 0 writes nothing
     * Example   bf16 80 3f (1.0), 40 c0 (-3.0) -> exponent 7f 80, sign with mantissa 00 c0
     */
    void (*split)(const uint8_t *restrict src, size_t n, uint8_t *restrict exponent,
                  uint8_t *restrict sign_mantissa);
    /* The inverse. Errors: MTH_ERR_CORRUPT for bits that split would not have set; dst is then of no use. */
    int (*join)(const uint8_t *restrict exponent, const uint8_t *restrict sign_mantissa, size_t n,
                uint8_t *restrict dst);
};

struct mth_exponent_kernels {
    const char *name; /* "avx2" */
    struct mth_exponent_format formats[MTH_N_EXPONENT_FORMATS];
};

extern const struct mth_exponent_kernels mth_exponent_kernels_portable;
extern const struct mth_exponent_kernels mth_exponent_kernels_avx2; /* empty where it can not be compiled */

/* The best of a set of CPU features (mth_cpu_features()). */
const struct mth_exponent_kernels *mth_exponent_kernels_of(unsigned features);

/* The kernels of a type's floats; NULL when it has no such fields or its symbols are not whole elements. */
const struct mth_exponent_format *mth_exponent_format_of(const struct mth_exponent_kernels *kernels,
                                                         const struct mth_symbol_type *type);

#endif
