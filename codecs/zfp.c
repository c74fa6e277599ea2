/*
 * zfp's reversible mode through libzfp: floats and integers of 32 and 64 bits, as a one-dimensional array.
 *
 * The wire format: the elements are cut into pieces of 4096, the last one shorter. Each piece is a 32-bit
 * little-endian header, then the elements as they are (raw) or zfp's bits:
 *
 *     bit 31: raw    bits 16-30: number of elements    bits 0-15: number of bytes that follow
 *
 * Behind the last piece lie the tail bytes that fill no element. No pieces: fewer bytes than an element. The number
 * of elements is known, but zfp pads its bits with zeros, which also mean zeros: a few more would decode as well.
 *
 * That every bit comes back is not taken on trust, since zfp computes with floats: every piece is decoded again and
 * compared, and goes raw when it differs. libzfp reads without looking where its input ends, so that it is given a copy
 * in a buffer as large as zfp's longest stream.
 */
#include "config.h"

#if MTH_HAVE_ZFP

#include "codecs/codec.h"

#include "base/checked.h"

#include <stdio.h>
#include <string.h>
#include <zfp.h>

enum {
    PIECE_ELEMS = 4096,
    HEADER_BYTES = 4,
    MAX_ELEM_BYTES = 8,
    SLACK_BYTES = 64 /* the bit reader fetches whole words ahead */
};

/* A piece is kept coded when it is shorter than raw, 32 KiB at most: 16 bits hold its length. */
static const uint32_t raw_flag = UINT32_C(1) << 31;

struct zfp_state {
    struct mth_memory *memory;
    zfp_stream *stream;
    zfp_field *field;
    bitstream *bits;
    uint8_t *elements; /* one piece, aligned */
    uint8_t *check;    /* the same, decoded again */
    uint8_t *coded;    /* one piece of zfp's bits */
    size_t coded_bytes;
};

static const char *library(void)
{
    /* "zfp version 1.0.0 (August 1, 2022)": only the number is wanted, whose packed form changed with 1.0. */
    static char text[32];
    const char *number = zfp_version_string + strcspn(zfp_version_string, "0123456789");
    snprintf(text, sizeof text, "libzfp %.*s", (int)strcspn(number, " "), number);
    return text;
}

static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    /* The narrowest elements, 4 bytes, make the most headers. */
    size_t n_pieces = src_bytes / (PIECE_ELEMS * 4) + 1;
    size_t n;
    return mth_size_add(src_bytes, n_pieces * HEADER_BYTES, &n) ? n : 0;
}

static zfp_type type_of(const struct mth_symbol_type *type)
{
    if (type->symbol_bits != type->container_bits)
        return zfp_type_none;
    switch (type->dtype) {
    case MTH_DTYPE_F32:
        return type->symbol_bits == 32 ? zfp_type_float : zfp_type_none;
    case MTH_DTYPE_F64:
        return type->symbol_bits == 64 ? zfp_type_double : zfp_type_none;
    case MTH_DTYPE_I32:
    case MTH_DTYPE_U32:
        return type->symbol_bits == 32 ? zfp_type_int32 : zfp_type_none;
    case MTH_DTYPE_I64:
    case MTH_DTYPE_U64:
        return type->symbol_bits == 64 ? zfp_type_int64 : zfp_type_none;
    default:
        return zfp_type_none;
    }
}

static void destroy(void *opaque)
{
    struct zfp_state *state = opaque;
    if (!state)
        return;
    if (state->field)
        zfp_field_free(state->field);
    if (state->stream)
        zfp_stream_close(state->stream);
    if (state->bits)
        stream_close(state->bits);
    mth_memory_free(state->memory, state->elements);
    mth_memory_free(state->memory, state->check);
    mth_memory_free(state->memory, state->coded);
    mth_memory_free(state->memory, state);
}

/* libzfp's own three handles come from malloc; they are some hundred bytes, and it allocates nothing later.
 */
static int set_up(struct zfp_state *state)
{
    state->stream = zfp_stream_open(NULL);
    state->field = zfp_field_1d(NULL, zfp_type_double, PIECE_ELEMS);
    if (!state->stream || !state->field)
        return MTH_ERR_NO_MEMORY;
    zfp_stream_set_reversible(state->stream);
    /* Doubles make the longest streams. A decoder reads no more than that either, whatever the bits are. */
    state->coded_bytes = zfp_stream_maximum_size(state->stream, state->field);
    if (state->coded_bytes == 0)
        return MTH_ERR_LIBRARY;
    state->elements = mth_memory_calloc(state->memory, PIECE_ELEMS, MAX_ELEM_BYTES);
    state->check = mth_memory_calloc(state->memory, PIECE_ELEMS, MAX_ELEM_BYTES);
    state->coded = mth_memory_calloc(state->memory, 1, state->coded_bytes + SLACK_BYTES);
    if (!state->elements || !state->check || !state->coded)
        return MTH_ERR_NO_MEMORY;
    state->bits = stream_open(state->coded, state->coded_bytes);
    if (!state->bits)
        return MTH_ERR_NO_MEMORY;
    zfp_stream_set_bit_stream(state->stream, state->bits);
    return MTH_OK;
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    (void)values;
    (void)sides;
    struct zfp_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    int status = set_up(state);
    if (status) {
        destroy(state);
        return status;
    }
    *out = state;
    return MTH_OK;
}

/* Point libzfp at a piece and at the start of its bits. */
static void aim(struct zfp_state *state, zfp_type type, void *elements, size_t n_elems)
{
    zfp_field_set_type(state->field, type);
    zfp_field_set_pointer(state->field, elements);
    zfp_field_set_size_1d(state->field, n_elems);
    zfp_stream_rewind(state->stream);
}

/* Code the piece in state->elements into state->coded; 0 bytes when zfp can not give all of its bits back. */
static size_t code_piece(struct zfp_state *state, zfp_type type, size_t n_elems, size_t n_bytes)
{
    aim(state, type, state->elements, n_elems);
    size_t n_coded = zfp_compress(state->stream, state->field);
    if (n_coded == 0 || n_coded >= n_bytes)
        return 0;
    aim(state, type, state->check, n_elems);
    if (zfp_decompress(state->stream, state->field) != n_coded ||
        memcmp(state->elements, state->check, n_bytes) != 0)
        return 0;
    return n_coded;
}

static int encode(void *opaque, struct mth_encode_job *job)
{
    struct zfp_state *state = opaque;
    zfp_type type = type_of(&job->type);
    if (type == zfp_type_none)
        return MTH_ERR_UNSUPPORTED;
    size_t width = job->type.symbol_bits / 8;
    size_t n_elems = job->src.n_bytes / width;
    const uint8_t *src = job->src.data;
    size_t n_out = 0;
    for (size_t at = 0; at < n_elems; at += PIECE_ELEMS) {
        size_t n_piece = mth_size_min(n_elems - at, PIECE_ELEMS);
        size_t n_bytes = n_piece * width;
        memcpy(state->elements, src + at * width, n_bytes);
        size_t n_coded = code_piece(state, type, n_piece, n_bytes);
        const uint8_t *piece = n_coded ? state->coded : state->elements;
        size_t n_piece_bytes = n_coded ? n_coded : n_bytes;
        uint32_t header = (uint32_t)n_piece_bytes | (uint32_t)n_piece << 16 | (n_coded ? 0 : raw_flag);
        if (job->dst_capacity - n_out < HEADER_BYTES + n_piece_bytes)
            return MTH_ERR_CAPACITY;
        mth_store32(job->dst + n_out, header);
        memcpy(job->dst + n_out + HEADER_BYTES, piece, n_piece_bytes);
        n_out += HEADER_BYTES + n_piece_bytes;
    }
    size_t n_tail = job->src.n_bytes % width;
    if (job->dst_capacity - n_out < n_tail)
        return MTH_ERR_CAPACITY;
    if (n_tail)
        memcpy(job->dst + n_out, src + n_elems * width, n_tail);
    job->out = (struct mth_bytes){job->dst, n_out + n_tail};
    return MTH_OK;
}

/* Decode zfp's bits, of which n_coded are there, into dst. */
static int decode_coded(struct zfp_state *state, zfp_type type, const uint8_t *src, size_t n_coded,
                        uint8_t *dst, size_t n_elems, size_t n_bytes)
{
    if (n_coded > state->coded_bytes)
        return MTH_ERR_CORRUPT;
    memcpy(state->coded, src, n_coded);
    aim(state, type, state->elements, n_elems);
    /* Behind the copy lie bits of an earlier piece: had they been needed, the count would tell. */
    if (zfp_decompress(state->stream, state->field) != n_coded)
        return MTH_ERR_CORRUPT;
    memcpy(dst, state->elements, n_bytes);
    return MTH_OK;
}

static int decode_one(struct zfp_state *state, const struct mth_decode_job *job)
{
    zfp_type type = type_of(&job->type);
    if (type == zfp_type_none)
        return MTH_ERR_CORRUPT;
    size_t width = job->type.symbol_bits / 8;
    size_t n_elems = job->dst_bytes / width;
    const uint8_t *src = job->src.data;
    size_t in_left = job->src.n_bytes;
    for (size_t at = 0; at < n_elems; at += PIECE_ELEMS) {
        size_t n_piece = mth_size_min(n_elems - at, PIECE_ELEMS);
        size_t n_bytes = n_piece * width;
        uint8_t *dst = job->dst + at * width;
        if (in_left < HEADER_BYTES)
            return MTH_ERR_CORRUPT;
        uint32_t header = mth_load32(src);
        size_t n_coded = header & 0xffff;
        src += HEADER_BYTES;
        in_left -= HEADER_BYTES;
        if (n_coded > in_left || (header & ~raw_flag) >> 16 != n_piece)
            return MTH_ERR_CORRUPT;
        if (!(header & raw_flag)) {
            int status = decode_coded(state, type, src, n_coded, dst, n_piece, n_bytes);
            if (status)
                return status;
        } else {
            if (n_coded != n_bytes)
                return MTH_ERR_CORRUPT;
            memcpy(dst, src, n_bytes);
        }
        src += n_coded;
        in_left -= n_coded;
    }
    size_t n_tail = job->dst_bytes % width;
    if (in_left != n_tail)
        return MTH_ERR_CORRUPT;
    if (n_tail)
        memcpy(job->dst + n_elems * width, src, n_tail);
    return MTH_OK;
}

static int decode(void *opaque, struct mth_decode_job *jobs, size_t n_jobs)
{
    for (size_t i = 0; i < n_jobs; i++) {
        int status = decode_one(opaque, &jobs[i]);
        if (status)
            return status;
    }
    return MTH_OK;
}

const struct mth_codec mth_codec_zfp = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "zfp",
    .summary = "zfp's reversible mode; f32, f64 and integers of 32 and 64 bits only",
    .library = library,
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
};

#endif
