/*
 * Blocks of the huffman codec: what a stream is cut into, each coded in the form that is shortest for it. spec.md says
 * what is written; here are its numbers and the two sides.
 */
#ifndef MTH_CODECS_HUFFMAN_BLOCK_H
#define MTH_CODECS_HUFFMAN_BLOCK_H

#include "base/memory.h"
#include "codecs/byte_histogram.h"
#include "codecs/huffman/huffman_code.h"
#include "codecs/huffman/huffman_kernel.h"

/* The first byte of a block: its form, and whether its symbols are in four streams (else one). */
enum mth_huffman_form {
    MTH_HUFFMAN_RAW = 0,
    MTH_HUFFMAN_CONSTANT = 1,
    MTH_HUFFMAN_OWN_CODE = 2,
    MTH_HUFFMAN_LAST_CODE = 3, /* of the nearest earlier block that brought its own */
    MTH_HUFFMAN_MODEL_CODE = 4,
    MTH_HUFFMAN_SPARSE = 5,
    MTH_HUFFMAN_FOUR_STREAMS = 8 /* a flag of the forms 2 to 4 */
};

enum {
    MTH_HUFFMAN_SIZE_BYTES = 3, /* of the size before every block but the last */
    /* Below, the sizes of four streams cost more than they gain: 7 bytes of some 2700. */
    MTH_HUFFMAN_MIN_FOUR = 8192,
    /* At least every other symbol is the same: beyond, gaps no longer pay. */
    MTH_HUFFMAN_SPARSE_PART = 2,
    MTH_HUFFMAN_GAP_ESCAPE = 255, /* this much of a gap, and another byte follows */
    MTH_HUFFMAN_MAX_LOW_BITS = 16
};

/* Bytes of a size inside a block of n symbols. */
static inline size_t mth_huffman_size_width(size_t n)
{
    return n < 1u << 8 ? 1 : n < 1u << 16 ? 2 : 3;
}

/* Symbols that may differ from the most frequent one, and the bytes that the high parts of their gaps take. */
static inline size_t mth_huffman_max_exceptions(size_t n)
{
    return n / MTH_HUFFMAN_SPARSE_PART;
}

static inline size_t mth_huffman_max_gap_bytes(size_t n)
{
    return n / MTH_HUFFMAN_SPARSE_PART + n / MTH_HUFFMAN_GAP_ESCAPE;
}

/* Bytes of the low parts, n_low_bits each. */
static inline size_t mth_huffman_low_bytes(size_t n_exceptions, unsigned n_low_bits)
{
    return (n_exceptions * n_low_bits + 7) / 8;
}

struct mth_huffman_settings {
    size_t block_bytes;
    unsigned gain_percent; /* by which a block must shrink not to be left raw */
    bool sparse;
};

/* Of the features of base/cpu.h, the set to take. */
const struct mth_huffman_kernel *mth_huffman_kernel_for(unsigned features);

struct mth_huffman_encoder;

/* NULL without memory. */
struct mth_huffman_encoder *mth_huffman_encoder_create(struct mth_memory *memory,
                                                       const struct mth_huffman_settings *settings,
                                                       const struct mth_huffman_kernel *kernel);
void mth_huffman_encoder_destroy(struct mth_memory *memory, struct mth_huffman_encoder *encoder);

/*
 * Encode a stream.
 *
 * Shape     model: a code to use where it is shorter than others, or NULL
 * Errors    MTH_ERR_CAPACITY
 */
int mth_huffman_encode(struct mth_huffman_encoder *encoder, const uint8_t *src, size_t n,
                       const struct mth_huffman_code *model, uint8_t *dst, size_t capacity, size_t *n_dst);

struct mth_huffman_decoder;

/* NULL without memory. */
struct mth_huffman_decoder *mth_huffman_decoder_create(struct mth_memory *memory,
                                                       const struct mth_huffman_settings *settings,
                                                       const struct mth_huffman_kernel *kernel);
void mth_huffman_decoder_destroy(struct mth_memory *memory, struct mth_huffman_decoder *decoder);

/*
 * Decode hostile bytes to exactly n.
 *
 * Errors    MTH_ERR_CORRUPT: they are not n_src bytes of an encoder, or want a model and model is NULL
 */
int mth_huffman_decode(struct mth_huffman_decoder *decoder, const uint8_t *src, size_t n_src,
                       const struct mth_huffman_table *model, uint8_t *dst, size_t n);

#endif
