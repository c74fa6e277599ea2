/*
 * What the input of fuzz_codec means, shared with the program that writes its seeds.
 *
 *     0   u32   the codec: the low half of the XXH3-64 of its name, so that a new codec moves no other
 *     4   8 u8  an option each: 0 its default, else a value of its range
 *     12  u8    bit 0: the bytes are a stream to encode, not an encoded one; bit 1: a context is there; bit 2: a model is
 *               there; bits 3 and 4: how many streams are decoded side by side, less one
 *     13  u8    the type of the symbols, an index of codec_input_types
 *     14  u16   bytes that each stream decodes to; what is to be encoded is repeated up to this length
 *     16  u8    from 0xf0 on: times 2 to the power of 1 to 4, the low two bits and one. Large ones are rare, for they are slow
 *     17  u16   bytes of the context; for a codec that needs a reference it is repeated, or cut, to what a stream decodes
 *               to, and no more than 4 KiB are encoded
 *     19  u16   bytes of the model's wire form
 *     21        the context, the model, the streams: all alike in size but the last, which has the rest
 *
 * Numbers are little-endian. What is too large is cut to what is there, so that every input means something.
 */
#ifndef MTH_TESTS_FUZZ_CODEC_INPUT_H
#define MTH_TESTS_FUZZ_CODEC_INPUT_H

#include "base/bytes.h"
#include "base/checked.h"
#include "codecs/codec_registry.h"
#include "tests/fuzz/input.h"

#include <stdbool.h>
#include <string.h>

enum {
    CODEC_INPUT_HEAD_BYTES = 21,
    CODEC_INPUT_MAX_STREAMS = 4,
    CODEC_INPUT_IS_LARGE = 0xf0,
    CODEC_INPUT_ENCODE = 1 << 0,
    CODEC_INPUT_CONTEXT = 1 << 1,
    CODEC_INPUT_MODEL = 1 << 2,
    CODEC_INPUT_STREAMS_SHIFT = 3
};

struct codec_input {
    uint32_t codec;
    uint8_t options[INPUT_OPTIONS];
    uint8_t flags;
    uint8_t type;
    size_t raw_bytes;
    size_t n_streams;
    struct mth_bytes context, model;
    struct mth_bytes streams[CODEC_INPUT_MAX_STREAMS];
};

static const struct mth_symbol_type codec_input_types[] = {
    {MTH_DTYPE_OPAQUE, 8, 8}, {MTH_DTYPE_BF16, 8, 8},   {MTH_DTYPE_BF16, 16, 16},  {MTH_DTYPE_F32, 32, 32},
    {MTH_DTYPE_F64, 64, 64},  {MTH_DTYPE_U32, 32, 32},  {MTH_DTYPE_I64, 64, 64},   {MTH_DTYPE_F16, 5, 8},
    {MTH_DTYPE_F16, 11, 11},  {MTH_DTYPE_OPAQUE, 1, 1}, {MTH_DTYPE_F8_E4M3, 4, 4},
};
enum { CODEC_INPUT_N_TYPES = sizeof codec_input_types / sizeof codec_input_types[0] };

/* Cut n bytes, or what there is, off the front of rest. */
static inline struct mth_bytes codec_input_cut(struct mth_bytes *rest, size_t n)
{
    struct mth_bytes cut = {rest->data, mth_size_min(n, rest->n_bytes)};
    rest->data += cut.n_bytes;
    rest->n_bytes -= cut.n_bytes;
    return cut;
}

/* False when the input is shorter than its head. */
static inline bool codec_input_read(struct mth_bytes bytes, struct codec_input *input)
{
    const uint8_t *p = bytes.data;
    if (bytes.n_bytes < CODEC_INPUT_HEAD_BYTES)
        return false;
    *input =
        (struct codec_input){.codec = mth_load32(p), .flags = p[12], .type = p[13] % CODEC_INPUT_N_TYPES};
    memcpy(input->options, p + 4, sizeof input->options);
    input->raw_bytes = (size_t)p[14] | (size_t)p[15] << 8;
    if (p[16] >= CODEC_INPUT_IS_LARGE)
        input->raw_bytes <<= 1 + (p[16] & 3);
    struct mth_bytes rest = {p + CODEC_INPUT_HEAD_BYTES, bytes.n_bytes - CODEC_INPUT_HEAD_BYTES};
    size_t n_context = (size_t)p[17] | (size_t)p[18] << 8, n_model = (size_t)p[19] | (size_t)p[20] << 8;
    if (input->flags & CODEC_INPUT_CONTEXT)
        input->context = codec_input_cut(&rest, n_context);
    if (input->flags & CODEC_INPUT_MODEL)
        input->model = codec_input_cut(&rest, n_model);
    input->n_streams = 1 + (input->flags >> CODEC_INPUT_STREAMS_SHIFT) % CODEC_INPUT_MAX_STREAMS;
    size_t n_stream = rest.n_bytes / input->n_streams;
    for (size_t i = 0; i < input->n_streams; i++)
        input->streams[i] = codec_input_cut(&rest, i + 1 < input->n_streams ? n_stream : rest.n_bytes);
    return true;
}

/* The head of an input, raw_bytes below 2^16; out has CODEC_INPUT_HEAD_BYTES. */
static inline void codec_input_write_head(const struct codec_input *input, uint8_t *out)
{
    mth_store32(out, input->codec);
    memcpy(out + 4, input->options, sizeof input->options);
    out[12] = input->flags;
    out[13] = input->type;
    out[16] = 0;
    for (unsigned i = 0; i < 2; i++) {
        out[14 + i] = (uint8_t)(input->raw_bytes >> 8 * i);
        out[17 + i] = (uint8_t)(input->context.n_bytes >> 8 * i);
        out[19 + i] = (uint8_t)(input->model.n_bytes >> 8 * i);
    }
}

#endif
