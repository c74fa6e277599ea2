/*
 * The loops of the huffman codec, one set for each instruction set. All write and read the same bytes; the format is in
 * spec.md. Pure: they allocate nothing and check what they are told to check.
 */
#ifndef MTH_CODECS_HUFFMAN_KERNEL_H
#define MTH_CODECS_HUFFMAN_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MTH_HUFFMAN_MAX_STREAMS = 4 };

/* Symbols of stream s of n_streams lie in [mth_huffman_stream_start(.., s), mth_huffman_stream_start(.., s + 1)). */
static inline size_t mth_huffman_stream_start(size_t n, size_t n_streams, size_t s)
{
    size_t at = s * (n / n_streams + (n % n_streams != 0));
    return at < n ? at : n;
}

struct mth_huffman_kernel {
    const char *name;
    /*
     * Encode the streams of a block.
     *
     * Shape     src: n symbols; words: of single symbols; pairs: of pairs of them, or NULL; sizes: bytes that each of
     *           the n_streams (1 or 4) takes, as the words add up; out: their sum
     * Requires  a word for every symbol of src; no overlap; n at least n_streams
     */
    void (*encode)(const uint8_t *src, size_t n, const uint32_t *words, const uint32_t *pairs,
                   size_t n_streams, const size_t *sizes, uint8_t *out);
    /*
     * Decode the streams of a block. False when a stream does not hold exactly its symbols.
     *
     * Shape     entries, width, lengths: of a struct mth_huffman_table; src: the streams, one behind the other, their
     *           sizes given; dst: n symbols
     * Requires  no overlap; n at least n_streams; sizes add up to what src has. What the streams hold may be hostile
     */
    bool (*decode)(const uint64_t *entries, unsigned width, const uint8_t *lengths, const uint8_t *src,
                   size_t n_streams, const size_t *sizes, uint8_t *dst, size_t n);
};

extern const struct mth_huffman_kernel mth_huffman_kernel_portable;
#if defined(__x86_64__) && defined(__GNUC__)
extern const struct mth_huffman_kernel mth_huffman_kernel_bmi2; /* needs BMI1 and BMI2 */
#endif

#endif
