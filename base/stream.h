/*
 * Streams and their context: the words that transforms, codecs and the pipeline share.
 *
 * A stream is a run of symbols. A symbol has symbol_bits of information and starts container_bits after the
 * one before, least significant bit first: symbol i lies in bits [i * container_bits, i * container_bits +
 * symbol_bits). An f16's exponent has 5 bits in a container of 8; its sign and mantissa have 11 in a
 * container of 11, so eight of them fill eleven bytes. Behind the symbols there may be tail bytes: what was
 * left of a run of elements whose length is no multiple of their width.
 */
#ifndef MTH_BASE_STREAM_H
#define MTH_BASE_STREAM_H

#include "base/bytes.h"
#include "base/dtype.h"

#include <stddef.h>
#include <stdint.h>

struct mth_symbol_type {
    enum mth_dtype dtype; /* what the fields of the symbol mean; MTH_DTYPE_OPAQUE for bare bits */
    uint8_t symbol_bits;
    uint8_t container_bits;
};

/* The symbols of a tensor: whole lanes of its dtype. */
static inline struct mth_symbol_type mth_symbol_type_of(enum mth_dtype dtype)
{
    uint8_t bits = (uint8_t)mth_dtype_info(dtype)->lane_bits;
    return (struct mth_symbol_type){.dtype = dtype, .symbol_bits = bits, .container_bits = bits};
}

/* Bytes of n symbols; n * container_bits must not overflow (n comes from a buffer that exists). */
static inline size_t mth_symbol_bytes(const struct mth_symbol_type *type, size_t n_symbols)
{
    return n_symbols / 8 * type->container_bits + (n_symbols % 8 * type->container_bits + 7) / 8;
}

/* Bytes that both sides know when a stream is coded. */
enum mth_context_kind {
    MTH_CONTEXT_STREAM = 0,   /* an earlier stream of the same chunk */
    MTH_CONTEXT_REFERENCE = 1 /* the chunk's counterpart in a reference */
};

struct mth_context_part {
    enum mth_context_kind kind;
    size_t index; /* of the stream in its transform, or of the reference in the chunk */
    struct mth_symbol_type type;
    struct mth_bytes bytes;
};

struct mth_context {
    const struct mth_context_part *parts;
    size_t n_parts;
};

/*
 * Elements that lie side by side in one tensor, and how its rows run through them. Only what encodes is told: what decoding
 * needs of it is noted in streams.
 */
struct mth_row_span {
    size_t n_elems;
    uint32_t row_elems; /* of a whole row; 0: there are none, or nobody knows */
    uint32_t phase;     /* elements of the first row that lie before the span; below row_elems */
};

#endif
