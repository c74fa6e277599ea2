/*
 * The kernels of scale-split: rows of 16-bit floats to symbols, and what is left of them packed; and back.
 *
 * A symbol is a byte: the code of the exponent in bits 2 .. 6, above the two leading bits of the mantissa. Code 0 is an
 * escape; code c stands for the exponent c - 1 + MTH_SCALE_LOWEST + base + shift of its column.
 *
 * One table an instruction set; all of them give the same bytes.
 */
#ifndef MTH_TRANSFORMS_SCALE_KERNELS_H
#define MTH_TRANSFORMS_SCALE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MTH_SCALE_LOWEST = -22,        /* exponents from here on, counted from their scale, have a code */
    MTH_SCALE_N_CODES = 31,        /* beside the escape */
    MTH_SCALE_LEADING_BITS = 2,    /* of the mantissa */
    MTH_SCALE_MAX_ADDED_ROWS = 256 /* 255 times that fits 16 bits */
};

/* What put_symbols has seen. */
enum { MTH_SCALE_ESCAPES = 1, MTH_SCALE_INVALID = 2 };

struct mth_scale_format {
    uint8_t mantissa_bits;
    /*
     * The sum of n exponents; *n_zeros is how many of them are 0. Where columns is not NULL, adds exponent i to columns[i].
     * Requires that this happens at most MTH_SCALE_MAX_ADDED_ROWS times to a column.
     */
    uint64_t (*add_exponents)(const uint8_t *restrict src, size_t n, uint16_t *restrict columns,
                              size_t *n_zeros);
    /* Adds 1 to columns[i] where exponent i is 0. */
    void (*add_zeros)(const uint8_t *restrict src, size_t n, uint16_t *restrict columns);
    /* Shape: n symbols; shifts[n]. True when an escape is among them. */
    bool (*take_symbols)(const uint8_t *restrict src, size_t n, int base, const int16_t *restrict shifts,
                         uint8_t *restrict symbols);
    /* Ors exponents and leading bits into n elements; escapes get the exponent 0. MTH_SCALE_INVALID for a symbol that
     * take_symbols does not make. */
    unsigned (*put_symbols)(const uint8_t *restrict symbols, size_t n, int base,
                            const int16_t *restrict shifts, uint8_t *restrict dst);
    /*
     * What symbols leave: the lower bits of mantissas, packed, and signs, a bit each; lowest bit first, the last byte filled
     * up with zeros.
     */
    void (*take_rest)(const uint8_t *restrict src, size_t n, uint8_t *restrict mantissas,
                      uint8_t *restrict signs);
    /* The inverse: sets n elements, all but exponents and leading bits. False for bits that take_rest would not set. */
    bool (*put_rest)(const uint8_t *restrict mantissas, const uint8_t *restrict signs, size_t n,
                     uint8_t *restrict dst);
};

struct mth_scale_kernels {
    const char *name; /* "avx2" */
    struct mth_scale_format bf16, f16;
};

extern const struct mth_scale_kernels mth_scale_kernels_portable;
extern const struct mth_scale_kernels mth_scale_kernels_avx2; /* empty where it can not be compiled */

#endif
