/*
 * rans4x16: the interleaved static rANS of htscodecs (the rANS Nx16 of CRAM 3.1).
 *
 * The wire format: a stream is cut into pieces of 1 MiB, the last one shorter. Each piece is the number of
 * bytes that follow for it (32 bits, little-endian), then the library's stream. No pieces: n = 0. The library does not say how much of its input it used; the number is how a truncated stream
 * is noticed.
 *
 * Of the library's flags only those that this encoder sets are accepted: its packing, striping and run-length
 * modes, which allocate what the stream asks for, can not be reached.
 */
#include "config.h"

#if MTH_HAVE_HTSCODECS

#include "codecs/codec.h"

#include "base/checked.h"

#include <htscodecs/htscodecs.h>
#include <htscodecs/rANS_static4x16.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { OPTION_ORDER, OPTION_LANES };

static const char *const lanes[] = {"4", "32"};

static const struct mth_option options[] = {
    {"order", "0: symbols on their own; 1: given the one before", 0, 1, 0, NULL},
    {"lanes", "interleaved states in order 0; order 1 has 4", 0, 1, 1, lanes},
};

enum {
    PIECE_BYTES = 1 << 20,
    LENGTH_BYTES = 4,
    FLAG_BYTES = 1,
    SIZE_BYTES = 3, /* of a piece's size field, seven bits a byte, at most */
    /*
     * Before htscodecs 1.5.2 the SIMD decoders read up to 64 bytes behind a stream. What is decoded is copied
     * in front of this many bytes of ours.
     */
    READ_AHEAD_BYTES = 128
};

struct rans4x16_state {
    struct mth_memory *memory;
    unsigned char *encoded; /* one piece, with room for the library's bound and its reading ahead */
    unsigned char *check;   /* order 1 only: one piece, decoded again */
    unsigned capacity;
    int order; /* of the library: order and flags */
};

static const char *library(void)
{
    static char text[48];
    snprintf(text, sizeof text, "htscodecs %s", htscodecs_version());
    return text;
}

/* A piece that does not shrink is stored behind its flags and size. An empty stream has a bound too: 0 says "can not". */
static size_t bound(const int64_t *values, size_t src_bytes)
{
    (void)values;
    size_t n_pieces = src_bytes / PIECE_BYTES + 1;
    size_t n;
    return mth_size_add(src_bytes, n_pieces * (LENGTH_BYTES + FLAG_BYTES + SIZE_BYTES), &n) ? n : 0;
}

static void destroy(void *opaque)
{
    struct rans4x16_state *state = opaque;
    if (!state)
        return;
    mth_memory_free(state->memory, state->encoded);
    mth_memory_free(state->memory, state->check);
    mth_memory_free(state->memory, state);
}

/*
 * Order 1 stays at 4 lanes: before 1.5.2 its 32-lane encoder reads in front of its input (AVX-512) and its
 * decoder loses bytes (SSE4).
 */
static int library_order(const int64_t *values)
{
    if (values[OPTION_ORDER])
        return 1;
    return values[OPTION_LANES] ? RANS_ORDER_X32 : 0;
}

static int create(const int64_t *values, unsigned sides, struct mth_memory *memory, void **out)
{
    struct rans4x16_state *state = mth_memory_calloc(memory, 1, sizeof *state);
    if (!state)
        return MTH_ERR_NO_MEMORY;
    state->memory = memory;
    state->order = library_order(values);
    state->capacity = rans_compress_bound_4x16(PIECE_BYTES, state->order);
    state->encoded = mth_memory_calloc(memory, 1, (size_t)state->capacity + READ_AHEAD_BYTES);
    bool checks = values[OPTION_ORDER] && (sides & MTH_SIDE_ENCODE);
    if (checks)
        state->check = mth_memory_alloc(memory, PIECE_BYTES);
    if (!state->encoded || (checks && !state->check)) {
        destroy(state);
        return MTH_ERR_NO_MEMORY;
    }
    *out = state;
    return MTH_OK;
}

static unsigned size_field_bytes(unsigned n)
{
    return n < 1u << 7 ? 1 : n < 1u << 14 ? 2 : 3;
}

/* Decode one piece of the library's stream: n bytes that lie in state->encoded, with room to read ahead. */
static int decode_piece(const struct rans4x16_state *state, unsigned n, uint8_t *dst, unsigned n_dst)
{
    const int allowed = RANS_ORDER_CAT | RANS_ORDER_X32 | 1;
    int flags = state->encoded[0];
    if (flags & ~allowed)
        return MTH_ERR_CORRUPT;
    if ((flags & RANS_ORDER_CAT) && n != FLAG_BYTES + size_field_bytes(n_dst) + n_dst)
        return MTH_ERR_CORRUPT;
    unsigned n_out = n_dst;
    if (!rans_uncompress_to_4x16(state->encoded, n, dst, &n_out) || n_out != n_dst)
        return MTH_ERR_CORRUPT;
    return MTH_OK;
}

static bool is_sound(const struct rans4x16_state *state, const uint8_t *src, unsigned n_src, unsigned n)
{
    return decode_piece(state, n, state->check, n_src) == MTH_OK && memcmp(state->check, src, n_src) == 0;
}

/*
 * Code a piece into state->encoded. Before 1.4.0 the order 1 decoder refuses streams of its own encoder whose payload
 * is much shorter than their table, so that they are decoded at once, and the piece is stored when they do not.
 */
static bool encode_piece(struct rans4x16_state *state, const uint8_t *src, unsigned n_src, unsigned *n)
{
    /* The library only reads its input, but does not say so. */
    unsigned char *in = (unsigned char *)(uintptr_t)src;
    *n = state->capacity;
    if (!rans_compress_to_4x16(in, n_src, state->encoded, n, state->order))
        return false;
    if (!state->check || is_sound(state, src, n_src, *n))
        return true;
    *n = state->capacity;
    return rans_compress_to_4x16(in, n_src, state->encoded, n, RANS_ORDER_CAT) != NULL;
}

static int encode(void *opaque, struct mth_encode_job *job)
{
    struct rans4x16_state *state = opaque;
    size_t n_out = 0;
    for (size_t at = 0; at < job->src.n_bytes; at += PIECE_BYTES) {
        unsigned n_in = (unsigned)mth_size_min(job->src.n_bytes - at, PIECE_BYTES);
        unsigned n;
        if (!encode_piece(state, job->src.data + at, n_in, &n))
            return MTH_ERR_LIBRARY;
        if (job->dst_capacity - n_out < LENGTH_BYTES || job->dst_capacity - n_out - LENGTH_BYTES < n)
            return MTH_ERR_CAPACITY;
        mth_store32(job->dst + n_out, n);
        memcpy(job->dst + n_out + LENGTH_BYTES, state->encoded, n);
        n_out += LENGTH_BYTES + (size_t)n;
    }
    job->out = (struct mth_bytes){job->dst, n_out};
    return MTH_OK;
}

static int decode_one(struct rans4x16_state *state, const struct mth_decode_job *job)
{
    const uint8_t *in = job->src.data;
    size_t in_left = job->src.n_bytes;
    for (size_t at = 0; at < job->dst_bytes; at += PIECE_BYTES) {
        if (in_left < LENGTH_BYTES)
            return MTH_ERR_CORRUPT;
        unsigned n = mth_load32(in);
        in_left -= LENGTH_BYTES;
        if (n == 0 || n > in_left || n > state->capacity)
            return MTH_ERR_CORRUPT;
        memcpy(state->encoded, in + LENGTH_BYTES, n);
        memset(state->encoded + n, 0, READ_AHEAD_BYTES);
        int status =
            decode_piece(state, n, job->dst + at, (unsigned)mth_size_min(job->dst_bytes - at, PIECE_BYTES));
        if (status)
            return status;
        in += LENGTH_BYTES + (size_t)n;
        in_left -= n;
    }
    return in_left == 0 ? MTH_OK : MTH_ERR_CORRUPT;
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

/* Two pieces of ours, and tables of the library for each pair of symbols, which come from malloc. */
static size_t state_bytes(const int64_t *values, unsigned side, size_t stream_bytes)
{
    enum { TABLES_BYTES = 4 << 20 };
    (void)side, (void)stream_bytes;
    return sizeof(struct rans4x16_state) + rans_compress_bound_4x16(PIECE_BYTES, library_order(values)) +
           READ_AHEAD_BYTES + PIECE_BYTES + (values[OPTION_ORDER] ? TABLES_BYTES : 0);
}

const struct mth_codec mth_codec_rans4x16 = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "rans4x16",
    .summary = "static interleaved rANS of htscodecs (CRAM 3.1)",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .library = library,
    .bound = bound,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
    .state_bytes = state_bytes,
};

#endif
