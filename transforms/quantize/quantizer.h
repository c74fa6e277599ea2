/*
 * Quantizers of rows of fp32 values: what a row is taken for, its numbers in a few bits, and back. What comes back is not what
 * went in: these are lossy.
 *
 * Uniform ones note a bias and a scale, and number c stands for bias + c * scale; k-means notes its 2^bits values. All that is
 * restored follows from single operations in double that are exact or rounded once, and rows are fitted in one order of
 * operations, so that bytes and values are the same on every machine.
 *
 * Source  A. Eisenman et al., Check-N-Run, NSDI 2022, arXiv:2010.08679, section on checkpoint quantization. The adaptive one is a
 *         greedy search for the range, as H. Guan et al., Post-Training 4-bit Quantization on Embedding Tables, 2019,
 *         arXiv:1911.02079, have it. Ours differs in that centres of k-means begin on the uniform grid, not at random.
 */
#ifndef MTH_TRANSFORMS_QUANTIZER_H
#define MTH_TRANSFORMS_QUANTIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mth_quantizer_kind {
    MTH_QUANTIZER_SYMMETRIC,  /* from minus the largest magnitude to it */
    MTH_QUANTIZER_ASYMMETRIC, /* from the smallest value to the largest */
    MTH_QUANTIZER_K_MEANS,    /* the values nearest to which a row's lie */
    MTH_QUANTIZER_ADAPTIVE    /* asymmetric, its range narrowed while that makes the error smaller */
};

enum { MTH_MAX_QUANTIZER_BITS = 8, MTH_MAX_QUANTIZER_LEVELS = 1 << MTH_MAX_QUANTIZER_BITS };

struct mth_quantizer {
    enum mth_quantizer_kind kind;
    unsigned bits;  /* 2 .. 8 */
    unsigned steps; /* of the adaptive one: into so many steps a row's range is cut */
    unsigned tried; /* and so many of them are tried, less than there are */
};

/* How many fp32 values it notes of a row. */
size_t mth_quantizer_n_noted(const struct mth_quantizer *quantizer);

/* Bytes of the numbers of n elements, the last byte filled with zeros. */
size_t mth_quantizer_code_bytes(const struct mth_quantizer *quantizer, size_t n_elems);

/*
 * What to note of a row.
 *
 * Shape     row: n_elems fp32 values at any address, one at least; noted: mth_quantizer_n_noted
 * Errors    false when a value is infinite or none: such a row can not be quantized
 */
bool mth_quantizer_fit(const struct mth_quantizer *quantizer, const uint8_t *row, size_t n_elems,
                       float *noted);

/* The numbers of a fitted row's elements. Shape: codes, mth_quantizer_code_bytes. */
void mth_quantizer_encode(const struct mth_quantizer *quantizer, const float *noted, const uint8_t *row,
                          size_t n_elems, uint8_t *codes);

/* Can that have been noted, and are the bits behind the numbers zero? */
bool mth_quantizer_is_valid(const struct mth_quantizer *quantizer, const float *noted, const uint8_t *codes,
                            size_t n_elems);

/* The values of numbers. noted is valid. */
void mth_quantizer_decode(const struct mth_quantizer *quantizer, const float *noted, const uint8_t *codes,
                          size_t n_elems, uint8_t *row);

#endif
